"""The instructions of a program, part by part.

A program runs forward from values that depend only on parameters, over the steps, to the loss, and back through all of
these. `part` makes the instructions of each part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import starmap
from typing import Any

import numpy as np

from myrnn.compiler.addresses import Rows, Size
from myrnn.compiler.buffers import BACKWARD, DERIVED, DRAWN, INPUT, PARAMETERS, SYMBOLS, Buffers, ResultBuffers
from myrnn.compiler.carry import carried_of, steps_so_far
from myrnn.compiler.derive import Pullback, differ_by_sequence
from myrnn.compiler.forms import BATCH, IS_FIRST, IS_LAST, LABELS, PLACE, SINGLE, TARGETS, Over, Place, RowOf
from myrnn.compiler.graph import Node, in_order, leaves_of, topological
from myrnn.compiler.instructions import (
    AddLoss,
    AddPenalty,
    CrossEntropy,
    Instruction,
    Phase,
    Schedule,
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
from myrnn.compiler.part import Destination, PartWriter
from myrnn.compiler.plan import PartPlan, Plan
from myrnn.targets import CLASS

HAND_ON = "The final states of the streams."
READOUT = "The readout."
"""Headings of what follows the last step; `READOUT` is that of a program that does not learn."""
FOR_WHOLE_BATCH = (SYMBOLS, PARAMETERS, DERIVED, BACKWARD)
"""Headings of what the first micro-batch prepares for the whole batch."""


def schedule(plan: Plan) -> Schedule:
    """Choose the instructions of a program."""
    return _Scheduler(plan).result()


class _Scheduler:
    """Writes the parts of a program."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._printer = plan, plan.printer
        self._form = BATCH if plan.kind.batched else SINGLE
        self._buffers = Buffers(plan, self._form)
        self._new, self._weights = self._buffers.new, self._buffers.weights
        self._results = ResultBuffers.of(self._buffers)
        # The instructions by heading, in order.
        self._phases: dict[str, list[Instruction]] = {}
        self._derivative = plan.derivative
        self._recurrence = r = plan.derivative.recurrence
        self._leaf = r.build.leaf
        self._state_leaves = [self._leaf(LoopState(i), size) for i, size in enumerate(r.state_sizes)]
        self._gradient_leaves = [self._leaf(Gradient(LoopState(i)), size) for i, size in enumerate(r.state_sizes)]

    def result(self) -> Schedule:
        """Write all parts, in the order in which they run."""
        # The same node, such as the square of a state, has different values before a step and after the last one, so
        # that one part of the program never reads values kept by the other.
        plan, loops = self._plan, self._recurrence.loops
        self._phases |= {heading: [] for heading in (SYMBOLS, PARAMETERS)}
        title = "Values that depend only on parameters."
        fixed = self._write(title, self._part({}), self._prelude)
        self._phases |= {heading: [] for heading in (DERIVED, DRAWN)}
        self._write("The states before the first step.", self._part(fixed), self._begin_states)
        fixed = self._write(INPUT, self._part(fixed), self._projections, Input)
        entered, walked = [], []
        for number, loop in enumerate(loops):
            which = f" of loop {number + 1}" if len(loops) > 1 else ""
            title = f"The states before the first step{which}, from what was read before."
            entered.append(self._write(title, self._part(fixed), self._enter, number))
            title = f"Values for all steps at once{which}."
            fixed = self._write(title, self._part(fixed), self._projections, Kept)
            way = "Backward, the last step first" if loop.backward else "Forward, step by step"
            way = "All steps at once" if _is_at_once(loop) else way
            title = f"{way}{which and f': loop {number + 1}'}."
            walked.append(self._write(title, self._part_of(number, fixed), self._steps, number))
            self._write(title, self._part(walked[number]), self._keep_last, number)
            fixed = fixed | {self._leaf(Kept(k), n.size): self._results.kept[k] for k, n in loop.kept.items()}
        self._write(HAND_ON, self._part(fixed), self._hand_on)
        title = "The readout, the loss, and the gradient of the logits." if plan.kind.learns else READOUT
        read_out = self._write(title, self._part(fixed), self._readout)
        if plan.kind.learns:
            self._go_back(read_out, walked, entered, fixed)
        bodies = {title: (*self._prepared(title), *body) for title, body in self._phases.items()}
        return Schedule(
            plan,
            tuple(Phase(title, body) for title, body in bodies.items() if body),
            tuple(self._buffers.all),
            self._buffers.constants,
            self._buffers.tables,
            self._results.interface(plan),
        )

    def _prepared(self, title: str) -> tuple[Instruction, ...]:
        """Return the instructions that prepare the values of leaves."""
        body = self._buffers.prepared.get(title, ())
        return self._form.once_per_batch(IS_FIRST, *body) if title in FOR_WHOLE_BATCH else tuple(body)

    def _go_back(
        self,
        read_out: Mapping[Node, Place],
        walked: Sequence[Mapping[Node, Place]],
        entered: Sequence[Mapping[Node, Place]],
        fixed: Mapping[Node, Place],
    ) -> None:
        """Write the parts of the backward pass, given the locations in the parts of the forward pass."""
        loops = self._recurrence.loops
        self._phases[BACKWARD] = []
        self._write("Back through the readout.", self._part(read_out, backward=True), self._readout_backward)
        for number, loop in reversed([*enumerate(loops)]):
            which = f" of loop {number + 1}" if len(loops) > 1 else ""
            order = "the first step first" if loop.backward else "the last step first"
            way = f"all steps{which}" if _is_at_once(loop) else f"time{which}, {order}"
            back = self._part_of(number, walked[number], backward=True)
            self._write(f"Back through {way}.", back, self._steps_backward, number)
            back = self._part(entered[number], backward=True)
            self._write(f"Back to the initial states{which}.", back, self._leave, number)
        title = "The gradients of the states before the first step."
        begun = self._write(title, self._part(fixed, backward=True), self._begin_backward)
        title = "Back to the values that depend only on parameters."
        self._write(title, self._part(begun, backward=True), self._prelude_backward)

    def _part(self, places: Mapping[Node, Place], *, backward: bool = False) -> PartWriter:
        """Return the writer of a part outside of loops."""
        return PartWriter(self._buffers, places, backward=backward)

    def _part_of(self, number: int, places: Mapping[Node, Place], *, backward: bool = False) -> PartWriter:
        """Return the writer of a loop, at whose first step some computations can be skipped."""
        zero = self._plan.zero_at_first.intersection(self._state_leaves[self._own(number)])
        unread = frozenset[Node]() if self._recurrence.loops[number].backward else self._plan.unread_at_first
        return PartWriter(self._buffers, places, zero=zero, unread=unread, backward=backward)

    def _write(self, title: str, part: PartWriter, write: Callable[..., None], *which: Any) -> dict[Node, Place]:
        """Write a part under a heading, and return the locations in it."""
        write(part, *which)
        self._phases.setdefault(title, []).extend(part.instructions)
        return part.places

    # Forward ---------------------------------------------------------------------------------------------------------

    def _derived(self) -> list[tuple[Node, Node]]:
        """Return nodes that are computed once from parameters and read somewhere, with their leaves."""
        leaves = [(n, self._leaf(Derived(i), n.size)) for i, n in enumerate(self._derivative.derived)]
        return [(node, leaf) for node, leaf in leaves if leaf in self._plan.weights]

    def _own(self, number: int) -> slice:
        """Return the range of a loop's states."""
        first = self._recurrence.first_states[number]
        return slice(first, first + len(self._recurrence.loops[number].step))

    def _reads_last(self, number: int) -> bool:
        return differ_by_sequence(self._recurrence.loops[number].initial)

    def _prelude(self, part: PartWriter) -> None:
        stores, packs = list[Destination](), list[Instruction]()
        for node, leaf in self._derived():
            (matrix, _), weight = self._weights[leaf], self._plan.weights[leaf]
            flat = matrix if weight.is_flat else self._new(f"{matrix.buffer.name}_flat", node.size)
            stores.append(part.store(node, flat))
            if not weight.is_flat:
                packs += self._buffers.moved(weight, flat, matrix, to_matrix=True)
        part.compute(Over.ONCE, stores, self._plan.prelude.saved)
        part.instructions += packs
        if (penalty := self._plan.penalty) is not None:
            assert self._results.penalty is not None
            part.compute(Over.ONCE, [part.store(penalty.value, self._results.penalty)], penalty.part.saved)
        # All sequences begin with the same.
        loops = self._recurrence.loops
        part.compute(Over.ONCE, [], [n for number in self._begun for n in loops[number].initial if n.inputs])
        part.instructions = [*self._form.once_per_batch(IS_FIRST, *part.instructions)]

    def _begin_states(self, part: PartWriter) -> None:
        places = dict(part.places)
        for number in self._begun:
            loop = self._recurrence.loops[number]
            part.compute(_begin(loop), part.stores(loop.initial, self._results.states[self._own(number)]))
            # The copies become the states: everything else reads what was computed once.
            part.places = dict(places)

    def _projections(self, part: PartWriter, source: type[Input | Kept]) -> None:
        """Multiply all rows by the weights of their first products; a token selects a row of the weight."""
        r = self._recurrence
        for node in in_order(self._plan.projected, [*r.step, *r.kept.values()]):
            row, (matrix, _) = node.inputs[0], self._weights[node.inputs[1]]
            if not isinstance(row.leaf, source) or node in part.places or (source is Kept and row not in part.places):
                continue
            if source is Input and self._plan.kind.tokens:
                part.places[node] = Place(matrix.buffer, node.size, RowOf.TOKEN)
                continue
            out = part.places[node] = self._new(self._printer.text("{0}", node), node.size, Rows.STEPS)
            product = self._form.product(Over.ALL, out, part.place(row), matrix, row.size, node.size)
            part.add(Over.ALL, product, self._printer.expression(node))

    def _enter(self, part: PartWriter, number: int) -> None:
        """Compute the initial states of a loop that read last states of others."""
        loop = self._recurrence.loops[number]
        if self._reads_last(number):
            self._stand_last(part)
            stores = part.stores(loop.initial, self._results.states[self._own(number)])
            part.compute(_begin(loop), stores, self._plan.entries[number].saved)

    @property
    def _begun(self) -> list[int]:
        """The loops whose initial states depend only on parameters."""
        return [number for number in range(len(self._recurrence.loops)) if not self._reads_last(number)]

    def _stand_last(self, part: PartWriter) -> None:
        part.stand([self._state_leaves[i] for i in self._results.last], self._results.last.values())

    def _steps(self, part: PartWriter, number: int) -> None:
        loop, planned, own = self._recurrence.loops[number], self._plan.steps[number], self._own(number)
        targets, operands, saved = [*loop.step, *loop.kept.values()], set(planned.operands), set(planned.saved)
        order = topological(targets)
        # The rows of tokens are scattered, but products with weights read consecutive rows.
        products = [n for n in order if n.operation == "matmul" and n.inputs[1] in self._plan.weights]
        factors = {n.inputs[0] for n in products if n not in self._plan.projected}
        self._stand_last(part)
        part.stand(self._state_leaves[own], self._results.states[own], _before(loop))
        lasting = [n for n in order if n.inputs and (n in operands or (n in saved and n not in loop.step))]
        after = part.stores(loop.step, self._results.states[own], _after(loop))
        after += part.stores(loop.kept.values(), [self._results.kept[k] for k in loop.kept])
        over = Over.ALL if _is_at_once(loop) else Over.STEP
        with nullcontext(part) if over is Over.ALL else part.each_step(loop.backward) as body:
            # Nodes that are multiplied as rows, or summed over all steps, need a row each.
            given = [n for n in order if n in operands | factors and _needs_rows(n)]
            body.places |= {n: body.place(n) for n in given}
            body.give_rows(given, over)
            body.give_rows((n for n in order if n in self._plan.projected and n in operands | factors), over)
            body.give_rows((n for n in self._state_leaves if n in operands and n in body.places), over)
            known = {*body.places, *lasting}
            body.compute(over, after, [n for n in lasting if n not in body.places], lasting)
        # All other nodes with a location only hold the numbers of the last step.
        part.places = {node: place for node, place in part.places.items() if node in known}
        for store in after:
            # A node in `lasting` has a location, or is a slice of a node with one.
            if store.node.inputs and store.node not in lasting:
                part.places.setdefault(store.node, store.place)

    def _keep_last(self, part: PartWriter, number: int) -> None:
        """Copy the last states of a loop that other parts read."""
        own, end = self._own(number), _end(self._recurrence.loops[number])
        for i in range(own.start, own.stop):
            if i in self._results.last:
                part.stand([self._state_leaves[i]], [self._results.states[i]])
                part.compute(end, [part.store(self._state_leaves[i], self._results.last[i])])

    def _hand_on(self, part: PartWriter) -> None:
        if not self._recurrence.carried:
            return
        carried = carried_of(self._recurrence)
        for at, place in zip(carried.places, self._results.states, strict=True):
            self._hand(part, place, at)
        steps, one = steps_so_far(self._recurrence), self._recurrence.build.constant(1.0)
        for name, at, node in (("steps", carried.steps, steps), ("one", carried.begun, one)):
            place = self._new(name, 1, Rows.SEQUENCES)
            part.compute(Over.END, [part.store(node, place)])
            self._hand(part, place, at)

    def _hand(self, part: PartWriter, place: Place, at: int) -> None:
        """Add the call that writes the final value of each sequence into the row of its stream."""
        part.instructions += self._form.call(Over.END, "hand_on", *self._buffers.in_stream(at), place, Size(place.size))

    def _readout(self, part: PartWriter) -> None:
        if not self._recurrence.per_step:
            self._read_last(part)
        if self._plan.kind.learns:
            self._loss(part)

    def _read_last(self, part: PartWriter) -> None:
        part.stand(self._state_leaves, self._results.states)
        self._stand_last(part)
        readout = self._recurrence.readout
        logits = part.store(readout, self._results.logits)
        part.compute(Over.END, [logits], self._plan.readout.saved)

    @property
    def _over_targets(self) -> Over:
        return Over.ALL if self._recurrence.per_step else Over.END

    def _loss(self, part: PartWriter) -> None:
        self._loss_of_rows(part)
        if self._results.penalty is not None and self._results.penalty_times is not None:
            value, times = (
                self._form.address(p, Over.ONCE) for p in (self._results.penalty, self._results.penalty_times)
            )
            part.instructions += self._form.once_per_batch(IS_FIRST, AddPenalty(value, times))

    def _loss_of_rows(self, part: PartWriter) -> None:
        over, graph, loss = self._over_targets, self._plan.loss, self._plan.kind.loss
        if graph is None or loss is None:
            out, logits = (self._form.address(p, over) for p in (self._results.logit_gradients, self._results.logits))
            sizes = Size(logits.size), Size(out.size, padded=True)
            part.instructions += [
                StopUnlessLearning(),
                *self._form.rows(over, CrossEntropy(out, logits, *sizes, PLACE)),
            ]
            return
        rows = self._results.logits.buffer.rows
        if loss.width:
            target, width = self._new("target", loss.width, rows), Size(loss.width)
            row = LABELS[PLACE] if loss.is_of_classes else PLACE
            part.instructions += self._form.call(over, "copy", target, TARGETS, row * width, width)
            part.stand([self._leaf(TARGET, loss.width)], [target])
        values, counts = self._new("losses", 1, rows), self._new("d_losses", 1, rows)
        part.stand([self._leaf(OUTPUTS, loss.outputs)], [self._results.logits])
        part.compute(over, [part.store(graph.value, values)], graph.saved)
        outputs, value, out = (self._form.address(place, over) for place in (self._results.logits, values, counts))
        scored = Size(loss.scored if loss.classes is None or loss.what == CLASS else loss.classes)
        add_loss = AddLoss(outputs, Size(loss.scored), scored, value, out, loss.what, PLACE)
        part.instructions += [StopUnlessLearning(), *self._form.rows(over, add_loss)]
        part.stand([self._leaf(Gradient("loss"), 1)], [counts])

    # Back ------------------------------------------------------------------------------------------------------------

    def _gradient(self, pullback: Pullback, state: int) -> Node:
        """Return the gradient of a state, which is zero if nothing reads it."""
        size = self._recurrence.state_sizes[state]
        return pullback.states.get(state) or self._recurrence.build.constant(np.zeros(size))

    def _readout_backward(self, part: PartWriter) -> None:
        if self._plan.loss is not None:
            gradient = part.store(self._plan.loss.gradient, self._results.logit_gradients)
            part.compute(self._over_targets, [replace(gradient, clean=True)])
        computed = [gradient.buffer for _, gradient in self._weights.values() if gradient.buffer.array == "w"]
        part.instructions += self._form.once_per_batch(IS_FIRST, *map(self._form.clear, computed))
        part.stand([self._leaf(Gradient("logits"), self._recurrence.readout.size)], [self._results.logit_gradients])
        places = [self._results.last_gradients.get(i, place) for i, place in enumerate(self._results.gradients)]
        gradients = [self._gradient(self._derivative.readout, i) for i in range(len(places))]
        self._way_back(part, Over.END, self._plan.readout, part.stores(gradients, places))

    def _steps_backward(self, part: PartWriter, number: int) -> None:
        r, planned, pullback = self._recurrence, self._plan.steps[number], self._derivative.loops[number]
        loop, own = r.loops[number], self._own(number)
        for i in range(own.start, own.stop):
            if i in self._results.last:
                part.stand([self._gradient_leaves[i]], [self._results.last_gradients[i]])
                part.compute(_end(loop), part.stores([self._gradient_leaves[i]], [self._results.gradients[i]]))
        part.stand(self._gradient_leaves[own], self._results.gradients[own], _after(loop))
        sizes = {Kept(k): n.size for k, n in loop.kept.items()}
        part.stand(
            [self._leaf(Gradient(leaf), size) for leaf, size in sizes.items()],
            [self._results.kept_gradients[k] for k in loop.kept],
        )
        # What the loop keeps instead of a state may be computed from what else it keeps.
        part.stand(starmap(self._leaf, sizes.items()), [self._results.kept[k] for k in loop.kept])
        part.instructions += [
            self._form.clear(self._results.kept_gradients[k].buffer)
            for k in loop.kept
            if not self._is_summed(k, number + 1)
        ]
        stores = [
            part.store(self._gradient(pullback, i), replace(self._results.gradients[i], row=_before(loop)))
            for i in range(own.start, own.stop)
        ]
        stores += self._stores_of_last(part, pullback, own)
        for i, place in self._results.moved_gradients.items():
            if own.start <= i < own.stop:
                stores.append(part.store(self._derivative.of_moved[i], place))
        for k, node in pullback.kept.items():
            stores.append(part.store(node, self._results.kept_gradients[k], add=self._is_summed(k, number + 1)))
        for o in planned.outer:
            if o.is_row:
                gradient = Place(self._weights[o.leaf][1].buffer, o.right.size, RowOf.TOKEN)
                stores.append(part.store(o.right, gradient, add=True))
        if self._results.input_gradients is not None:
            stores.append(part.store(pullback.input, self._results.input_gradients, add=number < len(r.loops) - 1))
        over = Over.ALL if _is_at_once(loop) else Over.STEP
        self._way_back(part, over, planned, stores, backward=not loop.backward)

    def _is_summed(self, kept: int, number: int) -> bool:
        """Whether the loss, or a loop before this one, also adds to the gradient of a kept value."""
        later = self._derivative.loops[number:]
        return any(kept in pullback.kept for pullback in (self._derivative.readout, *later))

    def _stores_of_last(self, part: PartWriter, pullback: Pullback, own: slice) -> list[Destination]:
        """Return the stores of the gradients of last states of other loops."""
        others = [(i, n) for i, n in pullback.states.items() if not own.start <= i < own.stop]
        return [part.store(node, self._results.last_gradients[i], add=True) for i, node in others]

    def _leave(self, part: PartWriter, number: int) -> None:
        """Go back from the initial states of a loop to last states of others."""
        if not self._reads_last(number):
            return
        loop, own = self._recurrence.loops[number], self._own(number)
        leaves, begin = self._gradient_leaves[own], _begin(loop)
        copies = [
            self._new(f"{place.buffer.name}_begin", place.size, Rows.SEQUENCES)
            for place in self._results.gradients[own]
        ]
        part.stand(leaves, self._results.gradients[own])
        part.compute(begin, part.stores(leaves, copies))
        part.stand(leaves, copies)
        pullback = self._derivative.entries[number]
        self._way_back(part, begin, self._plan.entries[number], self._stores_of_last(part, pullback, own))

    def _begin_backward(self, part: PartWriter) -> None:
        terms = [term for several in self._derivative.prelude.weights.values() for term in several]
        needed = topological(terms)
        for i, (leaf, place) in enumerate(zip(self._gradient_leaves, self._results.gradients, strict=True)):
            if leaf in needed:
                total = self._new(f"{place.buffer.name}_sum", leaf.size)
                part.instructions += self._form.once_per_batch(IS_FIRST, self._form.clear(total.buffer))
                part.stand([leaf], [place])
                part.compute(_begin(self._recurrence.loop_of(i)), [part.store(leaf, total, add=True)])
                part.stand([leaf], [total])

    def _prelude_backward(self, part: PartWriter) -> None:
        for node, leaf in self._derived():
            weight, (_, gradient) = self._plan.weights[leaf], self._weights[leaf]
            flat = gradient if weight.is_flat else self._new(f"{gradient.buffer.name}_flat", node.size)
            assert leaf.leaf is not None
            part.stand([self._leaf(Gradient(leaf.leaf), node.size)], [flat])
            if not weight.is_flat:
                part.instructions += self._buffers.moved(weight, flat, gradient, to_matrix=False)
        self._way_back(part, Over.ONCE, self._plan.prelude, [])
        if self._plan.penalty is not None and self._results.penalty_times is not None:
            part.stand([self._leaf(Gradient("penalty"), 1)], [self._results.penalty_times])
            self._way_back(part, Over.ONCE, self._plan.penalty.part, [])
        part.instructions = [*self._form.once_per_batch(IS_LAST, *part.instructions)]

    def _way_back(
        self, part: PartWriter, over: Over, planned: PartPlan, stores: list[Destination], *, backward: bool = True
    ) -> None:
        """Compute the stores, and the terms of a part in the gradients of weights."""
        weights, at_step = self._plan.weights, over is Over.STEP
        wide = [(leaf, term) for leaf, term in planned.others if not weights[leaf].is_flat]
        for leaf, term in planned.others:
            if weights[leaf].is_flat:
                stores.append(part.store(term, replace(self._weights[leaf][1], size=term.size), add=True))
        with part.each_step(backward) if at_step else nullcontext(part) as body:
            if at_step:
                body.give_rows((n for n in self._gradient_leaves if n in planned.operands), over)
            keep = [n for n in dict.fromkeys(planned.operands) if n.inputs and n not in body.places]
            body.compute(over, stores, [*keep, *(term for _, term in wide)], keep if at_step else ())
            for leaf, term in wide:
                gradient = self._weights[leaf][1]
                body.instructions += self._buffers.moved(
                    weights[leaf], body.place(term), gradient, to_matrix=True, over=over, add=True
                )
        for o in planned.outer:
            if not o.is_row:
                # If the initial state is zero, so are its products.
                later = not part.zero.isdisjoint((o.left, o.right))
                rows = (Over.LATER if later else Over.ALL) if at_step else over
                assert not at_step or (part.place(o.left).of_every_step and part.place(o.right).of_every_step)
                gradient = self._weights[o.leaf][1]
                product = "({1}.T @ {0}).T" if weights[o.leaf].flipped else "{0}.T @ {1}"
                comment = f"d_{gradient.buffer.name} += {self._printer.text(product, o.left, o.right)}"
                part.add(rows, self._form.outer(rows, gradient, part.place(o.left), part.place(o.right)), comment)


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
