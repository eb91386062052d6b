"""Which instructions a program has: part by part, what it computes, and where that goes.

A program goes forward from what depends on parameters alone over the steps to the loss, and back through all of these.
`assemble` makes the instructions of each part; `emit` writes them as Python, for one sequence or for a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace

from myrnn.compiler.assemble import BACKWARD, DERIVED, INPUT, PARAMETERS, Assembler, moved
from myrnn.compiler.equations import state_names
from myrnn.compiler.graph import Node, in_order, topological
from myrnn.compiler.instructions import (
    Clear,
    Instruction,
    Loss,
    Over,
    Place,
    Product,
    Row,
    Rows,
    Schedule,
    Section,
    Store,
    Sum,
)
from myrnn.compiler.plan import Part, Plan


def schedule(plan: Plan) -> Schedule:
    """Decide the instructions of a program."""
    return _Scheduler(plan).result()


class _Scheduler(Assembler):
    """Writes the parts of a program."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._derivative, self._recurrence = plan.derivative, plan.derivative.recurrence
        self._leaf = self._recurrence.readout.build.leaf
        names, sizes = state_names(self._recurrence), self._recurrence.state_sizes
        observed = plan.kind.observed
        self._states = [self.new(name, size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        self._gradients = [self.new(f"d_{name}", size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        self._logits = self.new("logits", self._recurrence.readout.size, Rows.SEQUENCES)
        self._logit_gradients = self.new("d_logits", self._recurrence.readout.size, Rows.SEQUENCES)
        self._input_gradients = self.new("d_inputs", self._recurrence.dim_input, Rows.STEPS) if observed else None
        self._state_leaves = [self._leaf("state", i, size=size) for i, size in enumerate(sizes)]
        self._gradient_leaves = [self._leaf("gradient", i, size=size) for i, size in enumerate(sizes)]

    def result(self) -> Schedule:
        # The same node, such as the square of a state, is another number before a step and after the last one: what
        # one part of the program keeps is never read in the place of the other's.
        prelude = self._written(self._prelude)
        fixed = dict(self.places)
        projections, steps = self._written(self._projections), self._written(self._steps)
        of_steps, self.places = self.places, dict(fixed)
        readout = self._written(self._readout)
        self.is_backward = True
        readout_backward = self._written(self._readout_backward)
        self.places = of_steps
        steps_backward = self._written(self._steps_backward)
        self.places = fixed
        prelude_backward = self._written(self._prelude_backward)
        forward = {
            PARAMETERS: self.before[PARAMETERS],
            "What depends on the parameters alone, and the states before the first step.": prelude,
            DERIVED: self.before[DERIVED],
            INPUT: [*self.before[INPUT], *projections],
            "Forward, step by step.": steps,
            "The readout, the loss, and the gradient of the logits.": readout,
        }
        backward = {
            BACKWARD: self.before[BACKWARD],
            "Back through the readout.": readout_backward,
            "Back through time, the last step first.": steps_backward,
            "Back to what depends on the parameters alone.": prelude_backward,
        }
        return Schedule(
            self.plan,
            tuple(Section(title, tuple(body)) for title, body in forward.items() if body),
            tuple(Section(title, tuple(body)) for title, body in backward.items() if body),
            tuple(self.buffers),
            self.constants,
            self._logits.buffer,
            tuple(place.buffer for place in self._states),
            tuple(place.buffer for place in self._gradients),
            self._input_gradients.buffer if self._input_gradients else None,
        )

    def _written(self, write: Callable[[], None]) -> list[Instruction]:
        self.out = []
        write()
        return self.out

    def _stores(self, nodes: Iterable[Node], places: Iterable[Place], row: Row = Row.NOW) -> list[Store]:
        return [self.store(n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True)]

    def _stand(self, nodes: Iterable[Node], places: Iterable[Place], row: Row = Row.NOW) -> None:
        """Note where nodes stand."""
        self.places.update((n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True))

    # Forward ---------------------------------------------------------------------------------------------------------

    def _derived(self) -> list[tuple[Node, Node]]:
        """Return what is computed from parameters once, where anything reads it, with the leaf that stands for it."""
        leaves = [(n, self._leaf("derived", i, size=n.size)) for i, n in enumerate(self._derivative.derived)]
        return [(node, leaf) for node, leaf in leaves if leaf in self.plan.weights]

    def _prelude(self) -> None:
        stores, packs, initial = [], [], self._recurrence.initial
        for node, leaf in self._derived():
            (matrix, _), weight = self.weights[leaf], self.plan.weights[leaf]
            flat = matrix if weight.is_flat else self.new(f"{matrix.buffer.name}_flat", node.size)
            stores.append(self.store(node, flat))
            if not weight.is_flat:
                packs.append(moved(weight, flat, matrix, to_matrix=True))
        self.compute(Over.ONCE, stores, in_order(self.plan.prelude.saved, [*initial, *self._derivative.derived]))
        self.out += packs
        # Once for all sequences; each gets a copy.
        self.compute(Over.ONCE, [], [n for n in initial if n.inputs])
        self.compute(Over.START, self._stores(initial, self._states))

    def _projections(self) -> None:
        """Multiply all rows of the sequence by the weights that they meet first; a token picks a row of the weight."""
        for node in in_order(self.plan.projected, self._recurrence.step):
            row, (matrix, _) = node.inputs[0], self.weights[node.inputs[1]]
            if self.plan.kind.tokens:
                self.places[node] = Place(matrix.buffer, node.size, Row.TOKEN)
                continue
            out = self.places[node] = self.new(self.printer.text("{0}", node), node.size, Rows.STEPS)
            comment = self.printer.expression(node)
            self.out.append(Product(Over.ALL, out, self.place(row), matrix, row.size, node.size, False, False, comment))

    def _steps(self) -> None:
        step, saved, operands = self._recurrence.step, self.plan.step.saved, set(self.plan.step.operands)
        order = topological(step)
        # The rows of tokens lie apart, but products read rows side by side.
        factors = {i for n in order if n.operation == "matmul" and n not in self.plan.projected for i in n.inputs}
        self._stand(self._state_leaves, self._states)
        lasting = [n for n in order if n.inputs and (n in operands or (n in saved and n not in step))]
        after = self._stores(step, self._states, Row.AFTER)
        with self.steps(backward=False):
            self._give_rows(n for n in order if n in self.plan.projected and n in operands | factors)
            known = {*self.places, *lasting}
            self.compute(Over.STEP, after, [n for n in lasting if n not in self.places], lasting)
        # What else has a place holds the last step's numbers only.
        self.places = {node: place for node, place in self.places.items() if node in known}
        for store in after:
            if store.node.inputs:
                self.places.setdefault(store.node, store.place)

    def _give_rows(self, nodes: Iterable[Node]) -> None:
        """Copy nodes that do not have a row for each step, but are read like that, to rows of their own."""
        nodes = [node for node in nodes if not self.places[node].lasts]
        copies = [self.new(self.printer.text("{0}", node), node.size, Rows.STEPS) for node in nodes]
        self.compute(Over.STEP, self._stores(nodes, copies))
        self._stand(nodes, copies)

    def _readout(self) -> None:
        self._stand(self._state_leaves, self._states)
        readout = self._recurrence.readout
        logits = self.store(readout, self._logits)
        self.compute(Over.END, [logits], in_order(self.plan.readout.saved, [readout]))
        self.out.append(Loss(self._logit_gradients, self._logits))

    # Back ------------------------------------------------------------------------------------------------------------

    def _readout_backward(self) -> None:
        self.out += [
            Clear(),
            *(Clear(gradient) for _, gradient in self.weights.values() if gradient.buffer.array == "w"),
        ]
        self._stand([self._leaf("gradient", "logits", size=self._recurrence.readout.size)], [self._logit_gradients])
        self._way_back(Over.END, self.plan.readout, self._stores(self._derivative.readout.states, self._gradients))

    def _steps_backward(self) -> None:
        part, pullback = self.plan.step, self._derivative.step
        self._stand(self._state_leaves, self._states)
        self._stand(self._gradient_leaves, self._gradients, Row.AFTER)
        stores = self._stores(pullback.states, self._gradients)
        for o in part.outer:
            if o.is_row:
                gradient = Place(self.weights[o.leaf][1].buffer, o.right.size, Row.TOKEN)
                stores.append(self.store(o.right, gradient, add=True))
        if self._input_gradients is not None:
            stores.append(self.store(pullback.input, self._input_gradients))
        self._way_back(Over.STEP, part, stores)

    def _prelude_backward(self) -> None:
        terms = [term for several in self._derivative.prelude.weights.values() for term in several]
        needed = topological(terms)
        # The gradient of an initial state is a sum over all sequences.
        for leaf, place in zip(self._gradient_leaves, self._gradients, strict=True):
            if leaf in needed:
                total = self.new(f"{place.buffer.name}_sum", leaf.size)
                self.out.append(Clear(total))
                self._stand([leaf], [place])
                self.compute(Over.START, [self.store(leaf, total, add=True)])
                self._stand([leaf], [total])
        for node, leaf in self._derived():
            weight, (_, gradient) = self.plan.weights[leaf], self.weights[leaf]
            flat = gradient if weight.is_flat else self.new(f"{gradient.buffer.name}_flat", node.size)
            self._stand([self._leaf("gradient", "derived", *leaf.attributes, size=node.size)], [flat])
            if not weight.is_flat:
                self.out.append(moved(weight, flat, gradient, to_matrix=False))
        self._way_back(Over.ONCE, self.plan.prelude, [])

    def _way_back(self, over: Over, part: Part, stores: list[Store]) -> None:
        """Compute the stores, and what the part adds to the gradients of weights."""
        weights, at_step = self.plan.weights, over is Over.STEP
        wide = [(leaf, term) for leaf, term in part.others if not weights[leaf].is_flat]
        for leaf, term in part.others:
            if weights[leaf].is_flat:
                stores.append(self.store(term, replace(self.weights[leaf][1], size=term.size), add=True))
        with self.steps(backward=True) if at_step else nullcontext():
            if at_step:
                self._give_rows(n for n in self._gradient_leaves if n in part.operands)
            keep = [n for n in dict.fromkeys(part.operands) if n.inputs and n not in self.places]
            self.compute(over, stores, [*keep, *(term for _, term in wide)], keep if at_step else ())
            for leaf, term in wide:
                gradient = self.weights[leaf][1]
                self.out.append(moved(weights[leaf], self.place(term), gradient, to_matrix=True, over=over, add=True))
        for o in part.outer:
            if not o.is_row:
                # Where the state before the first step is zero, so are its products.
                later = {o.left, o.right} & self.plan.zero_at_first
                rows = (Over.LATER if later else Over.ALL) if at_step else over
                gradient = self.weights[o.leaf][1]
                product = "({1}.T @ {0}).T" if weights[o.leaf].flipped else "{0}.T @ {1}"
                comment = f"d_{gradient.buffer.name} += {self.printer.text(product, o.left, o.right)}"
                self.out.append(Sum(rows, gradient, self.place(o.left), self.place(o.right), comment))
