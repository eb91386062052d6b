"""The instructions of a program, part by part: what to compute, and where to store it.

A program runs forward from values that depend only on parameters, over the steps, to the loss, and back through all of
these. `assemble` makes the instructions of each part; `emit` writes them as Python, for one sequence or for a batch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from myrnn.compiler.assemble import BACKWARD, DERIVED, DRAWN, INPUT, PARAMETERS, Assembler, Destination
from myrnn.compiler.carry import carried_of, steps_so_far
from myrnn.compiler.derive import Pullback, reads_states
from myrnn.compiler.equations import state_names
from myrnn.compiler.forms import LABELS, PLACE, TARGETS, Over, Place, RowOf
from myrnn.compiler.graph import Node, in_order, leaves_of, topological
from myrnn.compiler.instructions import (
    AddLoss,
    AddPenalty,
    Address,
    ClearGradients,
    CrossEntropy,
    Fill,
    Infix,
    Instruction,
    Interface,
    Number,
    Phase,
    Rows,
    Schedule,
    Size,
    StopUnlessLearning,
)
from myrnn.compiler.leaves import (
    OUTPUTS,
    TARGET,
    Derived,
    Drawn,
    Given,
    Gradient,
    Input,
    Kept,
    Leaf,
    LoopState,
    StepTable,
)
from myrnn.compiler.loops import Loop
from myrnn.compiler.plan import PartPlan, Plan, padded
from myrnn.targets import CLASS


def schedule(plan: Plan) -> Schedule:
    """Choose the instructions of a program."""
    return _Scheduler(plan).result()


class _Scheduler(Assembler):
    """Writes the parts of a program."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._derivative = plan.derivative
        self._recurrence = r = plan.derivative.recurrence
        self._leaf = r.build.leaf
        names, sizes = state_names(r), r.state_sizes
        self._states = [self.new(name, size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        self._gradients = [self.new(f"d_{name}", size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        self._input_gradients = self.new("d_inputs", r.dim_input, Rows.STEPS) if plan.kind.observed else None
        penalty = plan.penalty
        self._penalty, self._penalty_times = (self.new(n, 1) if penalty else None for n in ("penalty", "penalty_times"))
        self._state_leaves = [self._leaf(LoopState(i), size) for i, size in enumerate(sizes)]
        self._gradient_leaves = [self._leaf(Gradient(LoopState(i)), size) for i, size in enumerate(sizes)]
        self._kept_leaves = {k: self._leaf(Kept(k), n.size) for k, n in r.kept.items()}
        self._kept = {k: self.new(self.printer.names[n], n.size, Rows.STEPS) for k, n in self._kept_leaves.items()}
        self._kept_gradients = {
            k: self.new(f"d_{place.buffer.name}", place.size, Rows.STEPS) for k, place in self._kept.items()
        }
        if isinstance(r.readout.leaf, Kept):
            kept = r.readout.leaf.number
            self._logits, self._logit_gradients = self._kept[kept], self._kept_gradients[kept]
        else:
            self._logits = self.new("logits", r.readout.size, Rows.SEQUENCES)
            self._logit_gradients = self.new("d_logits", r.readout.size, Rows.SEQUENCES)
        # Last states that other parts than the readout read, or that are stored where it does not read: copies, and the
        # sums of their gradients.
        read = {
            state.number
            for loop, first in zip(r.loops, r.first_states, strict=True)
            for state in leaves_of(LoopState, [*loop.initial, *loop.step, *loop.kept.values()])
            if state.number < first
        }
        read |= {i for i in range(len(sizes)) if r.loops[self._loop_of(i)].backward}
        self._last = {i: self.new(f"last_{names[i]}", sizes[i], Rows.SEQUENCES) for i in sorted(read)}
        self._last_gradients = {i: self.new(f"d_last_{names[i]}", sizes[i], Rows.SEQUENCES) for i in sorted(read)}

    def _loop_of(self, state: int) -> int:
        return bisect_right(self._recurrence.first_states, state) - 1

    def result(self) -> Schedule:
        # The same node, such as the square of a state, has different values before a step and after the last one, so
        # that one part of the program never reads values kept by the other.
        forward: dict[str, list[Instruction]] = {}
        prelude = self._written(self._prelude)
        fixed = dict(self.places)
        projections = self._written(self._projections, Input)
        fixed |= {n: place for n, place in self.places.items() if n in self.plan.projected}
        loops = self._recurrence.loops
        entered, walked = [], []
        for number, loop in enumerate(loops):
            which = f" of loop {number + 1}" if len(loops) > 1 else ""
            self.places = dict(fixed)
            forward[f"The states before the first step{which}."] = self._written(self._enter, number)
            entered.append(self.places)
            self.places = dict(fixed)
            forward[f"Values for all steps at once{which}."] = self._written(self._projections, Kept)
            fixed |= {n: place for n, place in self.places.items() if n in self.plan.projected}
            way = "Backward, the last step first" if loop.backward else "Forward, step by step"
            way = "All steps at once" if _is_at_once(loop) else way
            forward[f"{way}{which and f': loop {number + 1}'}."] = self._written(self._steps, number)
            walked.append(self.places)
            fixed |= {leaf: self._kept[k] for k, leaf in self._kept_leaves.items() if k in loop.kept}
        self.places = dict(fixed)
        handed_on = self._written(self._hand_on)
        self.places = dict(fixed)
        readout = self._written(self._readout)
        self.is_backward = True
        readout_backward = self._written(self._readout_backward)
        backward: dict[str, list[Instruction]] = {}
        for number in reversed(range(len(loops))):
            ordinal = f" of loop {number + 1}" if len(loops) > 1 else ""
            self.places = walked[number]
            order = "the first step first" if loops[number].backward else "the last step first"
            at_once = _is_at_once(loops[number])
            back = f"Back through all steps{ordinal}." if at_once else f"Back through time{ordinal}, {order}."
            backward[back] = self._written(self._steps_backward, number)
            self.places = entered[number]
            backward[f"Back to the initial states{ordinal}."] = self._written(self._leave, number)
        self.places = fixed
        prelude_backward = self._written(self._prelude_backward)
        phases = {
            PARAMETERS: self.before[PARAMETERS],
            "Values that depend only on parameters, and the states before the first step.": prelude,
            DERIVED: self.before[DERIVED],
            DRAWN: self.before[DRAWN],
            INPUT: [*self.before[INPUT], *projections],
            **forward,
            "The final states of the streams.": handed_on,
            "The readout, the loss, and the gradient of the logits.": readout,
            BACKWARD: self.before[BACKWARD],
            "Back through the readout.": readout_backward,
            **backward,
            "Back to the values that depend only on parameters.": prelude_backward,
        }
        return Schedule(
            self.plan,
            tuple(Phase(title, tuple(body)) for title, body in phases.items() if body),
            tuple(self.buffers),
            self.constants,
            self.tables,
            self._interface(),
        )

    def _interface(self) -> Interface:
        r = self._recurrence
        return Interface(
            parameters=self.plan.parameters,
            logits=self._logits.buffer,
            per_step=r.per_step,
            draws=bool(r.draws),
            carried=carried_of(r) if r.carried else None,
            goes_backward=r.goes_backward,
            states=tuple(place.buffer for place in self._states),
            state_gradients=tuple(place.buffer for place in self._gradients),
            kept_gradients={
                first + loop.step.index(node): self._kept_gradients[k].buffer
                for loop, first in zip(r.loops, r.first_states, strict=True)
                for k, node in loop.kept.items()
                if node in loop.step
            },
            input_gradients=self._input_gradients.buffer if self._input_gradients else None,
            penalty_times=self._penalty_times.buffer if self._penalty_times else None,
        )

    def _written(self, write: Callable[..., None], *which: Any) -> list[Instruction]:
        self.out = []
        write(*which)
        return self.out

    def _stores(self, nodes: Iterable[Node], places: Iterable[Place], row: RowOf = RowOf.NOW) -> list[Destination]:
        return [self.store(n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True)]

    def _stand(self, nodes: Iterable[Node], places: Iterable[Place], row: RowOf = RowOf.NOW) -> None:
        """Set the locations of nodes."""
        self.places.update((n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True))

    # Forward ---------------------------------------------------------------------------------------------------------

    def _derived(self) -> list[tuple[Node, Node]]:
        """Return nodes that are computed once from parameters and read somewhere, with their leaves."""
        leaves = [(n, self._leaf(Derived(i), n.size)) for i, n in enumerate(self._derivative.derived)]
        return [(node, leaf) for node, leaf in leaves if leaf in self.plan.weights]

    def _own(self, number: int) -> slice:
        """Return the range of a loop's states."""
        first = self._recurrence.first_states[number]
        return slice(first, first + len(self._recurrence.loops[number].step))

    def _reads_last(self, number: int) -> bool:
        return reads_states(self._recurrence.loops[number].initial)

    def _prelude(self) -> None:
        r, stores = self._recurrence, list[Destination]()
        packs: list[Instruction] = []
        begun = [n for n in range(len(r.loops)) if not self._reads_last(n)]
        initial = [node for number in begun for node in r.loops[number].initial]
        for node, leaf in self._derived():
            (matrix, _), weight = self.weights[leaf], self.plan.weights[leaf]
            flat = matrix if weight.is_flat else self.new(f"{matrix.buffer.name}_flat", node.size)
            stores.append(self.store(node, flat))
            if not weight.is_flat:
                packs += self.moved(weight, flat, matrix, to_matrix=True)
        self.compute(Over.ONCE, stores, self.plan.prelude.saved)
        self.out += packs
        if (penalty := self.plan.penalty) is not None:
            assert self._penalty is not None
            self.compute(Over.ONCE, [self.store(penalty.value, self._penalty)], penalty.part.saved)
        # Computed once for all sequences; each gets a copy.
        self.compute(Over.ONCE, [], [n for n in initial if n.inputs])
        for number in begun:
            loop, own = r.loops[number], self._own(number)
            self.compute(_begin(loop), self._stores(loop.initial, self._states[own]))

    def _projections(self, source: type[Input | Kept]) -> None:
        """Multiply all rows by the weights of their first products; a token selects a row of the weight."""
        r = self._recurrence
        for node in in_order(self.plan.projected, [*r.step, *r.kept.values()]):
            row, (matrix, _) = node.inputs[0], self.weights[node.inputs[1]]
            if not isinstance(row.leaf, source) or node in self.places or (source is Kept and row not in self.places):
                continue
            if source is Input and self.plan.kind.tokens:
                self.places[node] = Place(matrix.buffer, node.size, RowOf.TOKEN)
                continue
            out = self.places[node] = self.new(self.printer.text("{0}", node), node.size, Rows.STEPS)
            self.multiply(
                Over.ALL, out, self.place(row), matrix, row.size, node.size, add=False,
                comment=self.printer.expression(node),
            )  # fmt: skip

    def _enter(self, number: int) -> None:
        """Compute the initial states of a loop that read last states of others."""
        loop = self._recurrence.loops[number]
        if self._reads_last(number):
            self._stand_last()
            stores = self._stores(loop.initial, self._states[self._own(number)])
            self.compute(_begin(loop), stores, self.plan.entries[number].saved)

    def _stand_last(self) -> None:
        self._stand([self._state_leaves[i] for i in self._last], self._last.values())

    def _steps(self, number: int) -> None:
        loop, part, own = self._recurrence.loops[number], self.plan.steps[number], self._own(number)
        targets, operands, saved = [*loop.step, *loop.kept.values()], set(part.operands), set(part.saved)
        order = topological(targets)
        # The rows of tokens are scattered, but products read consecutive rows.
        factors = {i for n in order if n.operation == "matmul" and n not in self.plan.projected for i in n.inputs}
        self._stand_last()
        self._stand(self._state_leaves[own], self._states[own], _before(loop))
        lasting = [n for n in order if n.inputs and (n in operands or (n in saved and n not in loop.step))]
        after = self._stores(loop.step, self._states[own], _after(loop))
        after += self._stores(loop.kept.values(), [self._kept[k] for k in loop.kept])
        over = Over.ALL if _is_at_once(loop) else Over.STEP
        with self._in(number), nullcontext() if over is Over.ALL else self.steps(backward=loop.backward):
            # Nodes that are multiplied as rows, or summed over all steps, need a row each.
            given = [n for n in order if n in operands | factors and _needs_rows(n)]
            self.places |= {n: self.place(n) for n in given}
            self._give_rows(given, over)
            self._give_rows((n for n in order if n in self.plan.projected and n in operands | factors), over)
            self._give_rows((n for n in self._state_leaves if n in operands and n in self.places), over)
            known = {*self.places, *lasting}
            self.compute(over, after, [n for n in lasting if n not in self.places], lasting)
        # All other nodes with a location only hold the numbers of the last step.
        self.places = {node: place for node, place in self.places.items() if node in known}
        for store in after:
            # A node in `lasting` has a location, or is a slice of a node with one.
            if store.node.inputs and store.node not in lasting:
                self.places.setdefault(store.node, store.place)
        here = dict(self.places)
        for i in range(own.start, own.stop):
            if i in self._last:
                self._stand([self._state_leaves[i]], [self._states[i]])
                self.compute(_end(loop), [self.store(self._state_leaves[i], self._last[i])])
        self.places = here

    @contextmanager
    def _in(self, number: int) -> Iterator[None]:
        """Set what can be skipped at the first step of a loop."""
        own = self._own(number)
        self.zero = self.plan.zero_at_first & set(self._state_leaves[own])
        self.unread = self.plan.unread_at_first if not self._recurrence.loops[number].backward else frozenset()
        yield
        self.zero = self.unread = frozenset()

    def _give_rows(self, nodes: Iterable[Node], over: Over) -> None:
        """Copy nodes without a row for each step, but which are read like that, to new rows."""
        nodes = [node for node in nodes if not self.places[node].lasts]
        copies = [self.new(self.printer.text("{0}", node), node.size, Rows.STEPS) for node in nodes]
        self.compute(over, self._stores(nodes, copies))
        self._stand(nodes, copies)

    def _hand_on(self) -> None:
        if not self._recurrence.carried:
            return
        carried = carried_of(self._recurrence)
        for at, place in zip(carried.places, self._states, strict=True):
            self._hand(place, at)
        steps, one = steps_so_far(self._recurrence), self._recurrence.build.constant(1.0)
        for name, at, node in (("steps", carried.steps, steps), ("one", carried.begun, one)):
            place = self.new(name, 1, Rows.SEQUENCES)
            self.compute(Over.END, [self.store(node, place)])
            self._hand(place, at)

    def _hand(self, place: Place, at: int) -> None:
        """Add the call that writes the final value of each sequence into the row of its stream."""
        self.out += self.called(Over.END, "hand_on", *self.in_stream(at), place, Size(place.size))

    def _readout(self) -> None:
        if self._recurrence.per_step:
            self._loss()
            return
        self._stand(self._state_leaves, self._states)
        self._stand_last()
        readout = self._recurrence.readout
        logits = self.store(readout, self._logits)
        self.compute(Over.END, [logits], self.plan.readout.saved)
        self._loss()

    @property
    def _over_targets(self) -> Over:
        return Over.ALL if self._recurrence.per_step else Over.END

    def _loss(self) -> None:
        self._loss_of_rows()
        if self._penalty is not None and self._penalty_times is not None:
            value, times = (self.form.address(p, Over.ONCE) for p in (self._penalty, self._penalty_times))
            self.out.append(AddPenalty(value, times))

    def _loss_of_rows(self) -> None:
        over, part, loss = self._over_targets, self.plan.loss, self.plan.kind.loss
        if part is None or loss is None:
            out, logits = (self.form.address(p, over) for p in (self._logit_gradients, self._logits))
            sizes = Size(logits.size), Size(out.size, padded=True)
            self.out += [StopUnlessLearning(), *self.form.rows(over, CrossEntropy(out, logits, *sizes, PLACE))]
            return
        rows = self._logits.buffer.rows
        if loss.width:
            target, width = self.new("target", loss.width, rows), Size(loss.width)
            row = LABELS[PLACE] if loss.is_of_classes else PLACE
            self.out += self.called(over, "copy", target, TARGETS, row * width, width)
            self._stand([self._leaf(TARGET, loss.width)], [target])
        values, counts = self.new("losses", 1, rows), self.new("d_losses", 1, rows)
        self._stand([self._leaf(OUTPUTS, loss.outputs)], [self._logits])
        self.compute(over, [self.store(part.value, values)], part.saved)
        outputs, value, out = (self.form.address(place, over) for place in (self._logits, values, counts))
        scored = Size(loss.scored if loss.classes is None or loss.what == CLASS else loss.classes)
        add_loss = AddLoss(outputs, Size(loss.scored), scored, value, out, loss.what, PLACE)
        self.out += [StopUnlessLearning(), *self.form.rows(over, add_loss)]
        self._stand([self._leaf(Gradient("loss"), 1)], [counts])

    # Back ------------------------------------------------------------------------------------------------------------

    def _gradient(self, pullback: Pullback, state: int) -> Node:
        """Return the gradient of a state, which is zero if nothing reads it."""
        size = self._recurrence.state_sizes[state]
        return pullback.states.get(state) or self._recurrence.build.constant(np.zeros(size))

    def _readout_backward(self) -> None:
        if self.plan.loss is not None:
            gradient = self.store(self.plan.loss.gradient, self._logit_gradients)
            self.compute(self._over_targets, [replace(gradient, clean=True)])
        computed = [gradient for _, gradient in self.weights.values() if gradient.buffer.array == "w"]
        self.out += [ClearGradients(), *map(self._clear, computed)]
        self._stand([self._leaf(Gradient("logits"), self._recurrence.readout.size)], [self._logit_gradients])
        places = [self._last_gradients.get(i, place) for i, place in enumerate(self._gradients)]
        gradients = [self._gradient(self._derivative.readout, i) for i in range(len(places))]
        self._way_back(Over.END, self.plan.readout, self._stores(gradients, places))

    def _steps_backward(self, number: int) -> None:
        r, part, pullback = self._recurrence, self.plan.steps[number], self._derivative.loops[number]
        loop, own = r.loops[number], self._own(number)
        for i in range(own.start, own.stop):
            if i in self._last:
                self._stand([self._gradient_leaves[i]], [self._last_gradients[i]])
                self.compute(_end(loop), self._stores([self._gradient_leaves[i]], [self._gradients[i]]))
        self._stand(self._gradient_leaves[own], self._gradients[own], _after(loop))
        self._stand(
            [self._leaf(Gradient(Kept(k)), n.size) for k, n in loop.kept.items()],
            [self._kept_gradients[k] for k in loop.kept],
        )
        self.out += [self._clear(self._kept_gradients[k]) for k in loop.kept if not self._is_summed(k, number + 1)]
        stores = [
            self.store(self._gradient(pullback, i), replace(self._gradients[i], row=_before(loop)))
            for i in range(own.start, own.stop)
        ]
        stores += self._stores_of_last(pullback, own)
        for k, node in pullback.kept.items():
            stores.append(self.store(node, self._kept_gradients[k], add=self._is_summed(k, number + 1)))
        for o in part.outer:
            if o.is_row:
                gradient = Place(self.weights[o.leaf][1].buffer, o.right.size, RowOf.TOKEN)
                stores.append(self.store(o.right, gradient, add=True))
        if self._input_gradients is not None:
            stores.append(self.store(pullback.input, self._input_gradients, add=number < len(r.loops) - 1))
        with self._in(number):
            self._way_back(Over.ALL if _is_at_once(loop) else Over.STEP, part, stores, backward=not loop.backward)

    def _clear(self, place: Place) -> Fill:
        """Return the instruction that fills a buffer with zeros."""
        buffer = place.buffer
        count: Number = Size(buffer.lines * padded(buffer.columns))
        if buffer.rows is Rows.STEPS:
            count = Infix("*", self.form.count[Over.ALL], buffer.stride)
        return Fill(Address(buffer, place.size), count)

    def _is_summed(self, kept: int, number: int) -> bool:
        """Whether the loss, or a loop before this one, also adds to the gradient of a kept value."""
        later = self._derivative.loops[number:]
        return any(kept in pullback.kept for pullback in (self._derivative.readout, *later))

    def _stores_of_last(self, pullback: Pullback, own: slice) -> list[Destination]:
        """Return the stores of the gradients of last states of other loops."""
        others = [(i, n) for i, n in pullback.states.items() if not own.start <= i < own.stop]
        return [self.store(node, self._last_gradients[i], add=True) for i, node in others]

    def _leave(self, number: int) -> None:
        """Go back from the initial states of a loop to last states of others."""
        if not self._reads_last(number):
            return
        loop, own = self._recurrence.loops[number], self._own(number)
        leaves, begin = self._gradient_leaves[own], _begin(loop)
        copies = [self.new(f"{place.buffer.name}_begin", place.size, Rows.SEQUENCES) for place in self._gradients[own]]
        self._stand(leaves, self._gradients[own])
        self.compute(begin, self._stores(leaves, copies))
        self._stand(leaves, copies)
        pullback = self._derivative.entries[number]
        self._way_back(begin, self.plan.entries[number], self._stores_of_last(pullback, own))

    def _prelude_backward(self) -> None:
        terms = [term for several in self._derivative.prelude.weights.values() for term in several]
        needed = topological(terms)
        # The gradient of an initial state is a sum over all sequences.
        for i, (leaf, place) in enumerate(zip(self._gradient_leaves, self._gradients, strict=True)):
            if leaf in needed:
                total = self.new(f"{place.buffer.name}_sum", leaf.size)
                self.out.append(self._clear(total))
                self._stand([leaf], [place])
                self.compute(_begin(self._recurrence.loops[self._loop_of(i)]), [self.store(leaf, total, add=True)])
                self._stand([leaf], [total])
        for node, leaf in self._derived():
            weight, (_, gradient) = self.plan.weights[leaf], self.weights[leaf]
            flat = gradient if weight.is_flat else self.new(f"{gradient.buffer.name}_flat", node.size)
            assert leaf.leaf is not None
            self._stand([self._leaf(Gradient(leaf.leaf), node.size)], [flat])
            if not weight.is_flat:
                self.out += self.moved(weight, flat, gradient, to_matrix=False)
        self._way_back(Over.ONCE, self.plan.prelude, [])
        if self.plan.penalty is not None and self._penalty_times is not None:
            self._stand([self._leaf(Gradient("penalty"), 1)], [self._penalty_times])
            self._way_back(Over.ONCE, self.plan.penalty.part, [])

    def _way_back(self, over: Over, part: PartPlan, stores: list[Destination], *, backward: bool = True) -> None:
        """Compute the stores, and the terms of a part in the gradients of weights."""
        weights, at_step = self.plan.weights, over is Over.STEP
        wide = [(leaf, term) for leaf, term in part.others if not weights[leaf].is_flat]
        for leaf, term in part.others:
            if weights[leaf].is_flat:
                stores.append(self.store(term, replace(self.weights[leaf][1], size=term.size), add=True))
        with self.steps(backward=backward) if at_step else nullcontext():
            if at_step:
                self._give_rows((n for n in self._gradient_leaves if n in part.operands), over)
            keep = [n for n in dict.fromkeys(part.operands) if n.inputs and n not in self.places]
            self.compute(over, stores, [*keep, *(term for _, term in wide)], keep if at_step else ())
            for leaf, term in wide:
                gradient = self.weights[leaf][1]
                self.out += self.moved(weights[leaf], self.place(term), gradient, to_matrix=True, over=over, add=True)
        for o in part.outer:
            if not o.is_row:
                # If the initial state is zero, so are its products.
                later = {o.left, o.right} & self.zero
                rows = (Over.LATER if later else Over.ALL) if at_step else over
                assert not at_step or (self.place(o.left).lasts and self.place(o.right).lasts)
                gradient = self.weights[o.leaf][1]
                product = "({1}.T @ {0}).T" if weights[o.leaf].flipped else "{0}.T @ {1}"
                comment = f"d_{gradient.buffer.name} += {self.printer.text(product, o.left, o.right)}"
                self.add_outer(rows, gradient, self.place(o.left), self.place(o.right), comment)


def _is_at_once(loop: Loop) -> bool:
    """Whether a loop needs no order of its steps: it reads no states, no time, and nothing of a whole sequence."""
    return not loop.step and not any(
        isinstance(leaf, LoopState | Given) and not (isinstance(leaf, Drawn) and leaf.by_step)
        for leaf in leaves_of(Leaf, loop.kept.values())
    )


def _needs_rows(node: Node) -> bool:
    """Whether the numbers of a leaf must be written again for each step, to be multiplied as rows."""
    return isinstance(node.leaf, StepTable) or (isinstance(node.leaf, Drawn) and node.leaf.once)


# The rows of states: before each step and after the last one, in the order of the sequence.


def _before(loop: Loop) -> RowOf:
    return RowOf.AFTER if loop.backward else RowOf.NOW


def _after(loop: Loop) -> RowOf:
    return RowOf.NOW if loop.backward else RowOf.AFTER


def _begin(loop: Loop) -> Over:
    return Over.END if loop.backward else Over.START


def _end(loop: Loop) -> Over:
    return Over.START if loop.backward else Over.END
