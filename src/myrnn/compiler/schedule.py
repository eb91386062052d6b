"""Which instructions a program has: part by part, what it computes, and where that goes.

A program goes forward from what depends on parameters alone over the steps to the loss, and back through all of these.
`assemble` makes the instructions of each part; `emit` writes them as Python, for one sequence or for a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from myrnn.compiler.assemble import Assembler
from myrnn.compiler.equations import state_names
from myrnn.compiler.graph import Node, in_order, topological
from myrnn.compiler.instructions import Call, Fill, Inputs, Length, Loss, Padded, Part, Product, Schedule, Store, Sum
from myrnn.compiler.layout import Buffer, Over, Place, Row, Rows
from myrnn.compiler.plan import Outer, Plan, Terms

_COPIES = {
    "parameters": "Weights as the way forward reads them.",
    "derived": "Computed weights as the way forward reads them.",
    "backward": "Weights as the way back reads them.",
}


def schedule(plan: Plan) -> Schedule:
    """Decide the instructions of a program."""
    return _Scheduler(plan).result()


class _Scheduler(Assembler):
    """Writes the parts of a program."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._derivative, self._recurrence = plan.derivative, plan.derivative.recurrence
        self._leaf = self._recurrence.readout.build.leaf
        names = dict(enumerate(zip(state_names(self._recurrence), self._recurrence.state_sizes, strict=True)))
        classes, width = self._recurrence.readout.size, self._recurrence.dim_input
        self._states = [self.new(name, size, Rows.STATES) for name, size in names.values()]
        self._gradients = [self.new(f"d_{name}", size, Rows.SEQUENCES) for name, size in names.values()]
        self._logits = self.new("logits", classes, Rows.SEQUENCES)
        self._logit_gradients = self.new("d_logits", classes, Rows.SEQUENCES)
        # What an observed program keeps besides.
        observed = plan.kind.observed
        self._seen = [self.new(f"seen_{b.name}", b.columns, Rows.STATES) for b in self._gradients if observed]
        self._input_gradients = self.new("d_inputs", width, Rows.STEPS) if observed else None
        self._state_leaves = [self._leaf("state", i, size=size) for i, (_, size) in names.items()]
        self._gradient_leaves = [self._leaf("gradient", i, size=size) for i, (_, size) in names.items()]

    def result(self) -> Schedule:
        # The same node, such as the square of a state, is another number before a step and after the last one: what
        # one part of the program keeps is never read in the place of the other's.
        prelude = self._part(
            "What depends on the parameters alone, and the states before the first step.", self._prelude
        )
        fixed = dict(self.places)
        forward = self._part("What the input alone gives, for all steps at once.", self._projections)
        forward += self._part("Forward, step by step.", self._steps)
        of_steps, self.places = self.places, dict(fixed)
        forward += self._part("The readout, the loss, and the gradient of the logits.", self._readout)
        self.is_backward = True
        backward = self._part("Back through the readout.", self._readout_backward)
        self.places = of_steps
        backward += self._part("Back through time, the last step first.", self._steps_backward)
        self.places = fixed
        backward += self._part("Back to what depends on the parameters alone.", self._prelude_backward)
        copies = {when: [Part(_COPIES[when], tuple(calls))] if calls else [] for when, calls in self.copies.items()}
        return Schedule(
            self.plan,
            (*copies["parameters"], *prelude, *copies["derived"], *forward),
            (*copies["backward"], *backward),
            tuple(self.buffers),
            self.constants,
            self._logits,
            tuple(self._states),
            tuple(self._seen),
            self._input_gradients,
        )

    def _part(self, title: str, write: Callable[[], None]) -> list[Part]:
        self.out = []
        write()
        return [Part(title, tuple(self.out))] if self.out else []

    def _stores(self, nodes: Iterable[Node], buffers: Iterable[Buffer], row: Row = Row.NOW) -> list[Store]:
        return [self.store(n, Place(b, b.columns, row)) for n, b in zip(nodes, buffers, strict=True)]

    def _stand(self, nodes: Iterable[Node], buffers: Iterable[Buffer]) -> None:
        """Note that nodes stand in buffers."""
        self.places.update((n, Place(b, n.size)) for n, b in zip(nodes, buffers, strict=True))

    # Forward ---------------------------------------------------------------------------------------------------------

    def _derived(self) -> list[tuple[Node, Node]]:
        """Return what is computed from parameters once, where anything reads it, with the leaf that stands for it."""
        leaves = [(n, self._leaf("derived", i, size=n.size)) for i, n in enumerate(self._derivative.derived)]
        return [(node, leaf) for node, leaf in leaves if leaf in self.plan.weights]

    def _prelude(self) -> None:
        stores, packs = [], []
        for node, leaf in self._derived():
            (matrix, _), weight = self.weights[leaf], self.plan.weights[leaf]
            flat = matrix if weight.is_flat else self.new(f"{matrix.name}_flat", node.size)
            stores.append(self.store(node, Place(flat, node.size)))
            if not weight.is_flat:
                shape = weight.rows, weight.columns, False
                packs.append(Call(Over.ONCE, "pack", (matrix, Place(flat, node.size), *shape)))
        initial = self._recurrence.initial
        self.compute(Over.ONCE, stores, in_order(self.plan.saved_prelude, [*initial, *self._derivative.derived]))
        self.out += packs
        if self.plan.kind.batched:
            # Once for all sequences; each gets a copy.
            self.compute(Over.ONCE, [], [n for n in initial if n.inputs])
        self.compute(Over.START, self._stores(initial, self._states, Row.AFTER))

    def _projections(self) -> None:
        """Multiply all rows of the sequence by the weights that they meet first; a token picks a row of the weight."""
        width = self._recurrence.dim_input
        inputs = Place(self.new("inputs", width, Rows.STEPS), width) if self.plan.reads_inputs else None
        if inputs is not None:
            self.places[self._leaf("input", size=width)] = inputs
            self.out.append(Inputs(inputs))
        for node in in_order(self.plan.projected, self._recurrence.step):
            matrix, _ = self.weights[node.inputs[1]]
            if self.plan.kind.tokens:
                self.places[node] = Place(matrix, node.size, Row.TOKEN)
                continue
            assert inputs is not None
            out = self.places[node] = Place(self.new(f"x_{matrix.name}", node.size, Rows.STEPS), node.size)
            comment = self.printer.expression(node)
            self.out.append(Product(Over.ALL, out, inputs, matrix, width, node.size, False, False, comment))

    def _steps(self) -> None:
        step = self._recurrence.step
        self._stand(self._state_leaves, self._states)
        operands = {n for o in self.plan.terms["step"].outer for n in (o.left, o.right)}
        lasting = {n for n in self.plan.saved_step | (operands & set(topological(step))) if n.inputs and n not in step}
        if self.plan.kind.batched:
            # In a batch the states after a step do not lie side by side.
            lasting |= {n for n in step if n.inputs and n in self.plan.whole | operands}
        after = self._stores(step, self._states, Row.AFTER)
        with self.steps(backward=False):
            if self.plan.kind.tokens:
                self._copy_token_rows(operands)
            known = set(self.places) | lasting
            self.compute(Over.STEP, after, in_order(lasting - set(self.places), step), lasting)
        # What else has a place holds the last step's numbers only.
        self.places = {node: place for node, place in self.places.items() if node in known}
        for store in after:
            self.places.setdefault(store.node, store.place)

    def _copy_token_rows(self, operands: set[Node]) -> None:
        """Copy a token's row of a weight where whole rows of many steps or sequences are read."""
        rows = in_order(self.plan.projected & (operands | self.plan.whole), self._recurrence.step)
        names = [f"x_{self.weights[n.inputs[1]][0].name}" for n in rows]
        copies = [self.new(name, n.size, Rows.STEPS) for name, n in zip(names, rows, strict=True)]
        self.compute(Over.STEP, self._stores(rows, copies))
        self._stand(rows, copies)

    def _readout(self) -> None:
        self._stand(self._state_leaves, self._states)
        readout, length = self._recurrence.readout, self._leaf("length", size=1)
        if length in topological([readout]):
            self._stand([length], [self.new("length", 1, Rows.SEQUENCES)])
            self.out.append(Length(self.places[length]))
        (logits,) = self._stores([readout], [self._logits])
        self.compute(Over.END, [logits], in_order(self.plan.saved_readout, [readout]))
        self.out.append(Loss(logits.place, Place(self._logit_gradients, readout.size)))

    # Back ------------------------------------------------------------------------------------------------------------

    def _readout_backward(self) -> None:
        self.out += [Fill(), *(Fill(gradient) for _, gradient in self.weights.values() if gradient.array == "w")]
        self._stand([self._leaf("gradient", "logits", size=self._recurrence.readout.size)], [self._logit_gradients])
        self._way_back(Over.END, self._stores(self._derivative.readout.states, self._gradients), "readout")

    def _steps_backward(self) -> None:
        terms, pullback = self.plan.terms["step"], self._derivative.step
        self._stand(self._state_leaves, self._states)
        self._stand(self._gradient_leaves, self._gradients)
        lasting = [n for n in dict.fromkeys(terms.operands) if n.inputs and n not in self.places]
        stores = self._stores(pullback.states, self._gradients)
        for o in terms.outer:
            if o.is_row:
                gradient = self.weights[o.leaf][1]
                stores.append(self.store(o.right, Place(gradient, o.right.size, Row.TOKEN), add=True))
        # A gradient that a later sum reads is overwritten at every step, and needs a copy.
        copied = [n for n in self._gradient_leaves if n in terms.operands]
        copies = [self.new("d_kept", n.size, Rows.STEPS) for n in copied]
        stores += self._stores(copied, copies)
        seen = self._stores(self._gradient_leaves, self._seen, Row.AFTER) if self._seen else []
        stores += seen
        if self._input_gradients is not None:
            stores += self._stores([pullback.input], [self._input_gradients])
        with self.steps(backward=True):
            self._compute_terms(Over.STEP, stores, terms, lasting, lasting)
        self.compute(Over.START, seen)
        self._stand(copied, copies)
        for o in terms.outer:
            if not o.is_row:
                # Where the state before the first step is zero, so are its products.
                self._sum(Over.LATER if {o.left, o.right} & self.plan.zero_at_first else Over.ALL, o)

    def _prelude_backward(self) -> None:
        if not self._derivative.prelude.weights:
            return
        gradients = self._gradients
        if self.plan.kind.batched:
            gradients = [self.new(f"{b.name}_sum", b.columns) for b in self._gradients]
            for summed, b in zip(gradients, self._gradients, strict=True):
                arguments = Place(summed, b.columns), b, Over.END, Padded(b.columns), False
                self.out.append(Call(Over.ONCE, "sum_rows", arguments))
        self._stand(self._gradient_leaves, gradients)
        for node, leaf in self._derived():
            weight, (_, gradient) = self.plan.weights[leaf], self.weights[leaf]
            flat = gradient if weight.is_flat else self.new(f"{gradient.name}_flat", node.size)
            self._stand([self._leaf("gradient", "derived", *leaf.attributes, size=node.size)], [flat])
            if not weight.is_flat:
                shape = weight.rows, weight.columns, False
                self.out.append(Call(Over.ONCE, "unpack", (Place(flat, node.size), gradient, *shape)))
        self._way_back(Over.ONCE, [], "prelude")

    def _way_back(self, over: Over, stores: list[Store], part: str) -> None:
        terms = self.plan.terms[part]
        self._compute_terms(over, stores, terms, [n for n in terms.operands if n.inputs and n not in self.places])
        for outer in terms.outer:
            self._sum(over, outer)

    def _compute_terms(
        self, over: Over, stores: list[Store], terms: Terms, keep: Sequence[Node], lasting: Iterable[Node] = ()
    ) -> None:
        """Compute a way back: the stores, and the terms of weights that no product sums up."""
        wide = [(leaf, term) for leaf, term in terms.others if not self.plan.weights[leaf].is_flat]
        for leaf, term in terms.others:
            if self.plan.weights[leaf].is_flat:
                stores.append(self.store(term, Place(self.weights[leaf][1], term.size), add=True))
        self.compute(over, stores, [*keep, *(term for _, term in wide)], lasting)
        for leaf, term in wide:
            weight = self.plan.weights[leaf]
            shape = weight.rows, weight.columns, weight.flipped
            self.out.append(Call(over, "add_packed", (self.weights[leaf][1], self.place(term), *shape)))

    def _sum(self, over: Over, outer: Outer) -> None:
        gradient = self.weights[outer.leaf][1]
        product = "({1}.T @ {0}).T" if self.plan.weights[outer.leaf].flipped else "{0}.T @ {1}"
        comment = f"d_{gradient.name} += {self.printer.text(product, outer.left, outer.right)}"
        self.out.append(Sum(over, gradient, self.place(outer.left), self.place(outer.right), comment))
