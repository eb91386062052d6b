"""The instructions of a program, part by part: what to compute, and where to store it.

A program runs forward from values that depend only on parameters, over the steps, to the loss, and back through all of
these. `fuse` says what is computed together, `buffers` where leaves are, and `forms` makes the instructions, for one
sequence or for a batch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from myrnn.compiler.buffers import BACKWARD, DERIVED, DRAWN, INPUT, PARAMETERS, Buffers
from myrnn.compiler.carry import carried_of, steps_so_far
from myrnn.compiler.derive import Pullback, reads_states
from myrnn.compiler.equations import state_names
from myrnn.compiler.forms import BATCH, LABELS, PLACE, SINGLE, TARGETS, Over, Place, RowOf
from myrnn.compiler.fuse import Fused, Group, Linear, fuse, is_one_number
from myrnn.compiler.graph import Node, in_order, leaves_of, topological
from myrnn.compiler.instructions import (
    AddLoss,
    AddPenalty,
    Argument,
    ClearGradients,
    Comment,
    CrossEntropy,
    Elementwise,
    Indices,
    Instruction,
    Interface,
    Phase,
    Rows,
    Schedule,
    Size,
    StopUnlessLearning,
    Store,
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
from myrnn.compiler.ops import OPERATIONS, run_of
from myrnn.compiler.plan import PartPlan, Plan
from myrnn.compiler.printer import LONGEST, Printer, sum_of
from myrnn.compiler.runtime import LANES
from myrnn.targets import CLASS


def schedule(plan: Plan) -> Schedule:
    """Choose the instructions of a program."""
    return _Scheduler(plan).result()


@dataclass(frozen=True)
class Destination:
    """A node that is to be computed, and where it is stored."""

    node: Node
    place: Place
    add: bool = False  # to the present numbers
    clean: bool = False  # zeros are written into the padding


class _Scheduler:
    """Writes the parts of a program, and gives a location to each node that needs one."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._printer = plan, plan.printer
        self._form = BATCH if plan.kind.batched else SINGLE
        self._buffers = Buffers(plan, self._form)
        self._new, self._weights = self._buffers.new, self._buffers.weights
        # The parts of the program by heading, and the instructions of the present one.
        self._phases: dict[str, list[list[Instruction]]] = {}
        self._out: list[Instruction] = []
        self._places: dict[Node, Place] = {}
        # Nodes that are zero, and nodes that nothing reads, at the first step of the current loop.
        self._zero: frozenset[Node] = frozenset()
        self._unread: frozenset[Node] = frozenset()
        self._derivative = plan.derivative
        self._recurrence = r = plan.derivative.recurrence
        self._leaf = r.build.leaf
        names, sizes = state_names(r), r.state_sizes
        self._states = [self._new(name, size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        self._gradients = [self._new(f"d_{name}", size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        self._input_gradients = self._new("d_inputs", r.dim_input, Rows.STEPS) if plan.kind.observed else None
        penalty = plan.penalty
        self._penalty, self._penalty_times = (
            self._new(n, 1) if penalty else None for n in ("penalty", "penalty_times")
        )
        self._state_leaves = [self._leaf(LoopState(i), size) for i, size in enumerate(sizes)]
        self._gradient_leaves = [self._leaf(Gradient(LoopState(i)), size) for i, size in enumerate(sizes)]
        self._kept_leaves = {k: self._leaf(Kept(k), n.size) for k, n in r.kept.items()}
        self._kept = {k: self._new(self._printer.names[n], n.size, Rows.STEPS) for k, n in self._kept_leaves.items()}
        self._kept_gradients = {
            k: self._new(f"d_{place.buffer.name}", place.size, Rows.STEPS) for k, place in self._kept.items()
        }
        if isinstance(r.readout.leaf, Kept):
            kept = r.readout.leaf.number
            self._logits, self._logit_gradients = self._kept[kept], self._kept_gradients[kept]
        else:
            self._logits = self._new("logits", r.readout.size, Rows.SEQUENCES)
            self._logit_gradients = self._new("d_logits", r.readout.size, Rows.SEQUENCES)
        # Last states that other parts than the readout read, or that are stored where it does not read: copies, and the
        # sums of their gradients.
        read = {
            state.number
            for loop, first in zip(r.loops, r.first_states, strict=True)
            for state in leaves_of(LoopState, [*loop.initial, *loop.step, *loop.kept.values()])
            if state.number < first
        }
        read |= {i for i in range(len(sizes)) if r.loops[self._loop_of(i)].backward}
        self._last = {i: self._new(f"last_{names[i]}", sizes[i], Rows.SEQUENCES) for i in sorted(read)}
        self._last_gradients = {i: self._new(f"d_last_{names[i]}", sizes[i], Rows.SEQUENCES) for i in sorted(read)}

    def _loop_of(self, state: int) -> int:
        return bisect_right(self._recurrence.first_states, state) - 1

    def result(self) -> Schedule:
        """Write all parts, in the order in which they run."""
        # The same node, such as the square of a state, has different values before a step and after the last one, so
        # that one part of the program never reads values kept by the other.
        prepared, loops = self._buffers.before, self._recurrence.loops
        self._phases[PARAMETERS] = [prepared[PARAMETERS]]
        self._phase("Values that depend only on parameters, and the states before the first step.", self._prelude)
        fixed = dict(self._places)
        self._phases |= {heading: [prepared[heading]] for heading in (DERIVED, DRAWN, INPUT)}
        self._phase(INPUT, self._projections, Input)
        fixed |= {n: place for n, place in self._places.items() if n in self._plan.projected}
        entered, walked = [], []
        for number, loop in enumerate(loops):
            which = f" of loop {number + 1}" if len(loops) > 1 else ""
            self._places = dict(fixed)
            self._phase(f"The states before the first step{which}.", self._enter, number)
            entered.append(self._places)
            self._places = dict(fixed)
            self._phase(f"Values for all steps at once{which}.", self._projections, Kept)
            fixed |= {n: place for n, place in self._places.items() if n in self._plan.projected}
            way = "Backward, the last step first" if loop.backward else "Forward, step by step"
            way = "All steps at once" if _is_at_once(loop) else way
            self._phase(f"{way}{which and f': loop {number + 1}'}.", self._steps, number)
            walked.append(self._places)
            fixed |= {leaf: self._kept[k] for k, leaf in self._kept_leaves.items() if k in loop.kept}
        self._places = dict(fixed)
        self._phase("The final states of the streams.", self._hand_on)
        self._places = dict(fixed)
        self._phase("The readout, the loss, and the gradient of the logits.", self._readout)
        self._buffers.is_backward = True
        self._phases[BACKWARD] = [prepared[BACKWARD]]
        self._phase("Back through the readout.", self._readout_backward)
        for number, loop in reversed([*enumerate(loops)]):
            which = f" of loop {number + 1}" if len(loops) > 1 else ""
            self._places = walked[number]
            order = "the first step first" if loop.backward else "the last step first"
            way = f"all steps{which}" if _is_at_once(loop) else f"time{which}, {order}"
            self._phase(f"Back through {way}.", self._steps_backward, number)
            self._places = entered[number]
            self._phase(f"Back to the initial states{which}.", self._leave, number)
        self._places = fixed
        self._phase("Back to the values that depend only on parameters.", self._prelude_backward)
        bodies = {title: [i for part in parts for i in part] for title, parts in self._phases.items()}
        return Schedule(
            self._plan,
            tuple(Phase(title, tuple(body)) for title, body in bodies.items() if body),
            tuple(self._buffers.all),
            self._buffers.constants,
            self._buffers.tables,
            self._interface(),
        )

    def _phase(self, title: str, write: Callable[..., None], *which: Any) -> None:
        """Write a part under a heading."""
        self._out = []
        self._phases.setdefault(title, []).append(self._out)
        write(*which)

    def _interface(self) -> Interface:
        r = self._recurrence
        return Interface(
            parameters=self._plan.parameters,
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

    def _stores(self, nodes: Iterable[Node], places: Iterable[Place], row: RowOf = RowOf.NOW) -> list[Destination]:
        return [self._store(n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True)]

    def _stand(self, nodes: Iterable[Node], places: Iterable[Place], row: RowOf = RowOf.NOW) -> None:
        """Set the locations of nodes."""
        self._places.update((n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True))

    def _place(self, node: Node) -> Place:
        """Return the location of a node's numbers."""
        if node in self._places:
            return self._places[node]
        if node.is_leaf:
            return self._buffers.place(node)
        assert self._is_slice(node), f"{node} has no place"
        source, run = self._place(node.inputs[0]), run_of(node.attributes[0])
        assert run is not None
        return replace(source, size=node.size, offset=source.offset + run.start)

    def _is_slice(self, node: Node) -> bool:
        """Whether the node is a contiguous part of another node that can be read in place."""
        return node.operation == "take" and node not in self._plan.clean and run_of(node.attributes[0]) is not None

    @contextmanager
    def _loop_over_steps(self, backward: bool) -> Iterator[None]:
        """Collect the following instructions in a loop over the steps."""
        before, self._out = self._out, []
        self._buffers.begin_step(self._out)
        yield
        body, self._out = self._out, before
        if body:
            self._out.append(self._form.steps(tuple(body), backward))

    def _add(self, over: Over, instructions: tuple[Instruction, ...], comment: str = "") -> None:
        """Add instructions for one moment."""
        self._out += [Comment(comment)] if comment else []
        self._out += self._form.at(over, *instructions)

    # Nodes -----------------------------------------------------------------------------------------------------------

    def _store(self, node: Node, place: Place, add: bool = False) -> Destination:
        """Return where a node is stored; the padding is cleared if it is read."""
        return Destination(node, place, add, clean=add or node in self._plan.clean)

    def _compute(
        self, over: Over, stores: Sequence[Destination], keep: Sequence[Node] = (), lasting: Iterable[Node] = ()
    ) -> None:
        """Compute all nodes of the stores and of `keep`, which stay in memory, those of `lasting` for every step."""
        fused = fuse([*(s.node for s in stores), *keep], set(self._places), {*keep, *lasting})
        stores = self._assign(over, fused, stores, set(lasting))
        done: set[Node] = set()
        for is_loop, nodes in fused.groups:
            if is_loop:
                computed = {n for n in nodes if n not in fused.linear}
                self._elementwise(over, fused, nodes, [s for s in stores if s.node in computed])
                done |= computed
            elif nodes[0] in fused.linear:
                self._products(over, nodes[0], fused.linear[nodes[0]])
            else:
                self._call(over, nodes[0])
        left = [s for s in stores if s.node not in done]
        for size in dict.fromkeys(s.node.size for s in left):
            self._elementwise(over, fused, (), [s for s in left if s.node.size == size])

    def _assign(self, over: Over, fused: Fused, stores: Sequence[Destination], lasting: set[Node]) -> list[Destination]:
        """Give a location to every node that needs one: that of a store, or a buffer; return the other stores."""
        left = list(stores)
        rows = {Over.ONCE: Rows.ONE, Over.ALL: Rows.STEPS}.get(over, Rows.SEQUENCES)
        for node in [n for _, nodes in fused.groups for n in nodes if n in fused.kept]:
            if node in self._places:
                continue
            lasts = node in lasting
            store = next((s for s in left if s.node is node and not s.add and (s.place.lasts or not lasts)), None)
            if store is not None:
                self._places[node] = store.place
                left.remove(store)
            elif not self._is_slice(node) or (lasts and not self._place(node).lasts):
                self._places[node] = self._new(self._printer.label(node), node.size, Rows.STEPS if lasts else rows)
        return left

    def _elementwise(self, over: Over, fused: Fused, nodes: Group, stores: list[Destination]) -> None:
        """Add a loop that computes nodes, initializes the linear ones with their terms, and ends with the stores."""
        computed = tuple(n for n in nodes if n not in fused.linear)
        inputs = {n: fused.linear[n].terms if n in fused.linear else n.inputs for n in nodes}
        read = dict.fromkeys([*(i for several in inputs.values() for i in several), *(s.node for s in stores)])
        reads = {n: self._form.address(self._place(n), over) for n in read if n not in nodes and not is_one_number(n)}
        written = [
            self._store_at(over, self._store(n, self._places[n]), inputs[n] if n in fused.linear else ())
            for n in nodes
            if n in self._places and (n in computed or inputs[n])
        ]
        written += [self._store_at(over, store) for store in stores]
        if written:
            size = Size((*nodes, *(s.node for s in stores))[0].size, padded=True)
            loop = Elementwise(size, computed, reads, tuple(written))
            self._add(over, self._form.rows(over, loop), _comment(self._printer, fused, nodes, stores))

    def _store_at(self, over: Over, store: Destination, terms: tuple[Node, ...] = ()) -> Store:
        """Return the store of a node, or of the terms that initialize it."""
        node, address = store.node, self._form.address(store.place, over)
        value, *others = terms or (node,)
        is_zero = not others and value.is_zero
        is_clean = store.clean and node.size % LANES and not is_zero
        return Store(node, address, terms, store.add, Size(node.size) if is_clean else None)

    def _products(self, over: Over, node: Node, linear: Linear) -> None:
        """Add the products of a linear node, after a loop has initialized it with its terms, if any."""
        zero, unread = self._zero, self._unread
        out, label = self._places[node], self._printer.label(node)
        # A product that is zero at the first step comes last, so that there is something to add it to.
        for i, product in enumerate(sorted(linear.products, key=lambda p: p.inputs[0] in zero)):
            add = bool(linear.terms) or i > 0
            what = self._printer.expression(node) if product is node else self._printer.text("{0}", product)
            # A product that is zero or unread before the first step can be skipped there.
            idle = node in unread or (add and product.inputs[0] in zero)
            comment = f"{label} {'+=' if add else '='} {what}"
            self._product(Over.GOING if idle else over, out, product, add, comment)

    def _product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> None:
        """Add the instruction for `out (+)= vector @ matrix`, or for the product of any other two nodes."""
        left, right = product.inputs
        vector = self._place(left)
        weight = self._plan.weights.get(right)
        if weight is None or not weight.fits(product):
            *shape, transposed = product.attributes or (left.size, 1, right.size, False)
            sizes = map(Size, shape)
            call = self._form.call(over, "multiply_plain", out, vector, self._place(right), *sizes, transposed, add)
            self._add(over, call, comment)
            return
        _, k, n, _ = product.attributes
        along = weight.goes_along_rows(product)
        # With few rows, dot products are faster than a transposed copy.
        multiply = self._form.product if along or not weight.flipped else self._form.dots
        matrix = self._weights[right][0] if along or weight.flipped else self._buffers.transposed(right)
        self._add(over, multiply(over, out, vector, matrix, k, n, add=add), comment)

    def _call(self, over: Over, node: Node) -> None:
        """Add the call of an operation that is neither element-wise nor a product."""
        if node not in self._places:
            # A slice is read in place.
            return
        out, sources = self._places[node], [self._place(i) for i in node.inputs]
        calls: list[tuple[Place | Argument, ...]] = [(*sources, *map(_argument, node.attributes))]
        if node.operation == "join":
            calls = [(source, Indices(where)) for source, where in zip(sources, node.attributes[0], strict=True)]
        comment = f"{self._printer.label(node)} = {self._printer.expression(node)}"
        for arguments in calls:
            self._add(over, self._form.call(over, OPERATIONS[node.operation].numba, out, *arguments), comment)

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
        return reads_states(self._recurrence.loops[number].initial)

    def _prelude(self) -> None:
        r, stores = self._recurrence, list[Destination]()
        packs: list[Instruction] = []
        begun = [n for n in range(len(r.loops)) if not self._reads_last(n)]
        initial = [node for number in begun for node in r.loops[number].initial]
        for node, leaf in self._derived():
            (matrix, _), weight = self._weights[leaf], self._plan.weights[leaf]
            flat = matrix if weight.is_flat else self._new(f"{matrix.buffer.name}_flat", node.size)
            stores.append(self._store(node, flat))
            if not weight.is_flat:
                packs += self._buffers.moved(weight, flat, matrix, to_matrix=True)
        self._compute(Over.ONCE, stores, self._plan.prelude.saved)
        self._out += packs
        if (penalty := self._plan.penalty) is not None:
            assert self._penalty is not None
            self._compute(Over.ONCE, [self._store(penalty.value, self._penalty)], penalty.part.saved)
        # Computed once for all sequences; each gets a copy.
        self._compute(Over.ONCE, [], [n for n in initial if n.inputs])
        for number in begun:
            loop, own = r.loops[number], self._own(number)
            self._compute(_begin(loop), self._stores(loop.initial, self._states[own]))

    def _projections(self, source: type[Input | Kept]) -> None:
        """Multiply all rows by the weights of their first products; a token selects a row of the weight."""
        r = self._recurrence
        for node in in_order(self._plan.projected, [*r.step, *r.kept.values()]):
            row, (matrix, _) = node.inputs[0], self._weights[node.inputs[1]]
            if not isinstance(row.leaf, source) or node in self._places or (source is Kept and row not in self._places):
                continue
            if source is Input and self._plan.kind.tokens:
                self._places[node] = Place(matrix.buffer, node.size, RowOf.TOKEN)
                continue
            out = self._places[node] = self._new(self._printer.text("{0}", node), node.size, Rows.STEPS)
            product = self._form.product(Over.ALL, out, self._place(row), matrix, row.size, node.size)
            self._add(Over.ALL, product, self._printer.expression(node))

    def _enter(self, number: int) -> None:
        """Compute the initial states of a loop that read last states of others."""
        loop = self._recurrence.loops[number]
        if self._reads_last(number):
            self._stand_last()
            stores = self._stores(loop.initial, self._states[self._own(number)])
            self._compute(_begin(loop), stores, self._plan.entries[number].saved)

    def _stand_last(self) -> None:
        self._stand([self._state_leaves[i] for i in self._last], self._last.values())

    def _steps(self, number: int) -> None:
        loop, part, own = self._recurrence.loops[number], self._plan.steps[number], self._own(number)
        targets, operands, saved = [*loop.step, *loop.kept.values()], set(part.operands), set(part.saved)
        order = topological(targets)
        # The rows of tokens are scattered, but products read consecutive rows.
        factors = {i for n in order if n.operation == "matmul" and n not in self._plan.projected for i in n.inputs}
        self._stand_last()
        self._stand(self._state_leaves[own], self._states[own], _before(loop))
        lasting = [n for n in order if n.inputs and (n in operands or (n in saved and n not in loop.step))]
        after = self._stores(loop.step, self._states[own], _after(loop))
        after += self._stores(loop.kept.values(), [self._kept[k] for k in loop.kept])
        over = Over.ALL if _is_at_once(loop) else Over.STEP
        with self._in(number), nullcontext() if over is Over.ALL else self._loop_over_steps(backward=loop.backward):
            # Nodes that are multiplied as rows, or summed over all steps, need a row each.
            given = [n for n in order if n in operands | factors and _needs_rows(n)]
            self._places |= {n: self._place(n) for n in given}
            self._give_rows(given, over)
            self._give_rows((n for n in order if n in self._plan.projected and n in operands | factors), over)
            self._give_rows((n for n in self._state_leaves if n in operands and n in self._places), over)
            known = {*self._places, *lasting}
            self._compute(over, after, [n for n in lasting if n not in self._places], lasting)
        # All other nodes with a location only hold the numbers of the last step.
        self._places = {node: place for node, place in self._places.items() if node in known}
        for store in after:
            # A node in `lasting` has a location, or is a slice of a node with one.
            if store.node.inputs and store.node not in lasting:
                self._places.setdefault(store.node, store.place)
        here = dict(self._places)
        for i in range(own.start, own.stop):
            if i in self._last:
                self._stand([self._state_leaves[i]], [self._states[i]])
                self._compute(_end(loop), [self._store(self._state_leaves[i], self._last[i])])
        self._places = here

    @contextmanager
    def _in(self, number: int) -> Iterator[None]:
        """Set what can be skipped at the first step of a loop."""
        own = self._own(number)
        self._zero = self._plan.zero_at_first & set(self._state_leaves[own])
        self._unread = self._plan.unread_at_first if not self._recurrence.loops[number].backward else frozenset()
        yield
        self._zero = self._unread = frozenset()

    def _give_rows(self, nodes: Iterable[Node], over: Over) -> None:
        """Copy nodes without a row for each step, but which are read like that, to new rows."""
        nodes = [node for node in nodes if not self._places[node].lasts]
        copies = [self._new(self._printer.text("{0}", node), node.size, Rows.STEPS) for node in nodes]
        self._compute(over, self._stores(nodes, copies))
        self._stand(nodes, copies)

    def _hand_on(self) -> None:
        if not self._recurrence.carried:
            return
        carried = carried_of(self._recurrence)
        for at, place in zip(carried.places, self._states, strict=True):
            self._hand(place, at)
        steps, one = steps_so_far(self._recurrence), self._recurrence.build.constant(1.0)
        for name, at, node in (("steps", carried.steps, steps), ("one", carried.begun, one)):
            place = self._new(name, 1, Rows.SEQUENCES)
            self._compute(Over.END, [self._store(node, place)])
            self._hand(place, at)

    def _hand(self, place: Place, at: int) -> None:
        """Add the call that writes the final value of each sequence into the row of its stream."""
        self._out += self._form.call(Over.END, "hand_on", *self._buffers.in_stream(at), place, Size(place.size))

    def _readout(self) -> None:
        if self._recurrence.per_step:
            self._loss()
            return
        self._stand(self._state_leaves, self._states)
        self._stand_last()
        readout = self._recurrence.readout
        logits = self._store(readout, self._logits)
        self._compute(Over.END, [logits], self._plan.readout.saved)
        self._loss()

    @property
    def _over_targets(self) -> Over:
        return Over.ALL if self._recurrence.per_step else Over.END

    def _loss(self) -> None:
        self._loss_of_rows()
        if self._penalty is not None and self._penalty_times is not None:
            value, times = (self._form.address(p, Over.ONCE) for p in (self._penalty, self._penalty_times))
            self._out.append(AddPenalty(value, times))

    def _loss_of_rows(self) -> None:
        over, part, loss = self._over_targets, self._plan.loss, self._plan.kind.loss
        if part is None or loss is None:
            out, logits = (self._form.address(p, over) for p in (self._logit_gradients, self._logits))
            sizes = Size(logits.size), Size(out.size, padded=True)
            self._out += [StopUnlessLearning(), *self._form.rows(over, CrossEntropy(out, logits, *sizes, PLACE))]
            return
        rows = self._logits.buffer.rows
        if loss.width:
            target, width = self._new("target", loss.width, rows), Size(loss.width)
            row = LABELS[PLACE] if loss.is_of_classes else PLACE
            self._out += self._form.call(over, "copy", target, TARGETS, row * width, width)
            self._stand([self._leaf(TARGET, loss.width)], [target])
        values, counts = self._new("losses", 1, rows), self._new("d_losses", 1, rows)
        self._stand([self._leaf(OUTPUTS, loss.outputs)], [self._logits])
        self._compute(over, [self._store(part.value, values)], part.saved)
        outputs, value, out = (self._form.address(place, over) for place in (self._logits, values, counts))
        scored = Size(loss.scored if loss.classes is None or loss.what == CLASS else loss.classes)
        add_loss = AddLoss(outputs, Size(loss.scored), scored, value, out, loss.what, PLACE)
        self._out += [StopUnlessLearning(), *self._form.rows(over, add_loss)]
        self._stand([self._leaf(Gradient("loss"), 1)], [counts])

    # Back ------------------------------------------------------------------------------------------------------------

    def _gradient(self, pullback: Pullback, state: int) -> Node:
        """Return the gradient of a state, which is zero if nothing reads it."""
        size = self._recurrence.state_sizes[state]
        return pullback.states.get(state) or self._recurrence.build.constant(np.zeros(size))

    def _readout_backward(self) -> None:
        if self._plan.loss is not None:
            gradient = self._store(self._plan.loss.gradient, self._logit_gradients)
            self._compute(self._over_targets, [replace(gradient, clean=True)])
        computed = [gradient.buffer for _, gradient in self._weights.values() if gradient.buffer.array == "w"]
        self._out += [ClearGradients(), *map(self._form.clear, computed)]
        self._stand([self._leaf(Gradient("logits"), self._recurrence.readout.size)], [self._logit_gradients])
        places = [self._last_gradients.get(i, place) for i, place in enumerate(self._gradients)]
        gradients = [self._gradient(self._derivative.readout, i) for i in range(len(places))]
        self._way_back(Over.END, self._plan.readout, self._stores(gradients, places))

    def _steps_backward(self, number: int) -> None:
        r, part, pullback = self._recurrence, self._plan.steps[number], self._derivative.loops[number]
        loop, own = r.loops[number], self._own(number)
        for i in range(own.start, own.stop):
            if i in self._last:
                self._stand([self._gradient_leaves[i]], [self._last_gradients[i]])
                self._compute(_end(loop), self._stores([self._gradient_leaves[i]], [self._gradients[i]]))
        self._stand(self._gradient_leaves[own], self._gradients[own], _after(loop))
        self._stand(
            [self._leaf(Gradient(Kept(k)), n.size) for k, n in loop.kept.items()],
            [self._kept_gradients[k] for k in loop.kept],
        )
        self._out += [
            self._form.clear(self._kept_gradients[k].buffer) for k in loop.kept if not self._is_summed(k, number + 1)
        ]
        stores = [
            self._store(self._gradient(pullback, i), replace(self._gradients[i], row=_before(loop)))
            for i in range(own.start, own.stop)
        ]
        stores += self._stores_of_last(pullback, own)
        for k, node in pullback.kept.items():
            stores.append(self._store(node, self._kept_gradients[k], add=self._is_summed(k, number + 1)))
        for o in part.outer:
            if o.is_row:
                gradient = Place(self._weights[o.leaf][1].buffer, o.right.size, RowOf.TOKEN)
                stores.append(self._store(o.right, gradient, add=True))
        if self._input_gradients is not None:
            stores.append(self._store(pullback.input, self._input_gradients, add=number < len(r.loops) - 1))
        with self._in(number):
            self._way_back(Over.ALL if _is_at_once(loop) else Over.STEP, part, stores, backward=not loop.backward)

    def _is_summed(self, kept: int, number: int) -> bool:
        """Whether the loss, or a loop before this one, also adds to the gradient of a kept value."""
        later = self._derivative.loops[number:]
        return any(kept in pullback.kept for pullback in (self._derivative.readout, *later))

    def _stores_of_last(self, pullback: Pullback, own: slice) -> list[Destination]:
        """Return the stores of the gradients of last states of other loops."""
        others = [(i, n) for i, n in pullback.states.items() if not own.start <= i < own.stop]
        return [self._store(node, self._last_gradients[i], add=True) for i, node in others]

    def _leave(self, number: int) -> None:
        """Go back from the initial states of a loop to last states of others."""
        if not self._reads_last(number):
            return
        loop, own = self._recurrence.loops[number], self._own(number)
        leaves, begin = self._gradient_leaves[own], _begin(loop)
        copies = [self._new(f"{place.buffer.name}_begin", place.size, Rows.SEQUENCES) for place in self._gradients[own]]
        self._stand(leaves, self._gradients[own])
        self._compute(begin, self._stores(leaves, copies))
        self._stand(leaves, copies)
        pullback = self._derivative.entries[number]
        self._way_back(begin, self._plan.entries[number], self._stores_of_last(pullback, own))

    def _prelude_backward(self) -> None:
        terms = [term for several in self._derivative.prelude.weights.values() for term in several]
        needed = topological(terms)
        # The gradient of an initial state is a sum over all sequences.
        for i, (leaf, place) in enumerate(zip(self._gradient_leaves, self._gradients, strict=True)):
            if leaf in needed:
                total = self._new(f"{place.buffer.name}_sum", leaf.size)
                self._out.append(self._form.clear(total.buffer))
                self._stand([leaf], [place])
                self._compute(_begin(self._recurrence.loops[self._loop_of(i)]), [self._store(leaf, total, add=True)])
                self._stand([leaf], [total])
        for node, leaf in self._derived():
            weight, (_, gradient) = self._plan.weights[leaf], self._weights[leaf]
            flat = gradient if weight.is_flat else self._new(f"{gradient.buffer.name}_flat", node.size)
            assert leaf.leaf is not None
            self._stand([self._leaf(Gradient(leaf.leaf), node.size)], [flat])
            if not weight.is_flat:
                self._out += self._buffers.moved(weight, flat, gradient, to_matrix=False)
        self._way_back(Over.ONCE, self._plan.prelude, [])
        if self._plan.penalty is not None and self._penalty_times is not None:
            self._stand([self._leaf(Gradient("penalty"), 1)], [self._penalty_times])
            self._way_back(Over.ONCE, self._plan.penalty.part, [])

    def _way_back(self, over: Over, part: PartPlan, stores: list[Destination], *, backward: bool = True) -> None:
        """Compute the stores, and the terms of a part in the gradients of weights."""
        weights, at_step = self._plan.weights, over is Over.STEP
        wide = [(leaf, term) for leaf, term in part.others if not weights[leaf].is_flat]
        for leaf, term in part.others:
            if weights[leaf].is_flat:
                stores.append(self._store(term, replace(self._weights[leaf][1], size=term.size), add=True))
        with self._loop_over_steps(backward=backward) if at_step else nullcontext():
            if at_step:
                self._give_rows((n for n in self._gradient_leaves if n in part.operands), over)
            keep = [n for n in dict.fromkeys(part.operands) if n.inputs and n not in self._places]
            self._compute(over, stores, [*keep, *(term for _, term in wide)], keep if at_step else ())
            for leaf, term in wide:
                gradient = self._weights[leaf][1]
                self._out += self._buffers.moved(
                    weights[leaf], self._place(term), gradient, to_matrix=True, over=over, add=True
                )
        for o in part.outer:
            if not o.is_row:
                # If the initial state is zero, so are its products.
                later = {o.left, o.right} & self._zero
                rows = (Over.LATER if later else Over.ALL) if at_step else over
                assert not at_step or (self._place(o.left).lasts and self._place(o.right).lasts)
                gradient = self._weights[o.leaf][1]
                product = "({1}.T @ {0}).T" if weights[o.leaf].flipped else "{0}.T @ {1}"
                comment = f"d_{gradient.buffer.name} += {self._printer.text(product, o.left, o.right)}"
                self._add(rows, self._form.outer(rows, gradient, self._place(o.left), self._place(o.right)), comment)


def _argument(attribute: Any) -> Argument:
    """Return an attribute of an operation as an argument of its function."""
    return Indices(attribute) if isinstance(attribute, bytes) else Size(attribute)


def _comment(printer: Printer, fused: Fused, nodes: Group, stores: Sequence[Destination]) -> str:
    """Return a description of a loop in the model's names: equations if they fit in a line, otherwise names."""
    parts: list[tuple[str, str]] = []
    for node in nodes:
        linear = fused.linear.get(node)
        if linear is not None and linear.terms:
            parts.append((f"{printer.label(node)} =", printer.text(sum_of(len(linear.terms)), *linear.terms)))
        elif linear is None and node in fused.kept:
            parts.append((f"{printer.label(node)} =", printer.expression(node)))
    for store in stores:
        inside = store.node in nodes and store.node not in fused.kept and not store.add
        right = printer.expression(store.node) if inside else printer.text("{0}", store.node)
        name = f"d_{store.place.buffer.name}" if store.place.buffer.array == "g" else store.place.buffer.name
        if name != right:
            parts.append((f"{name} {'+=' if store.add else '='}", right))
    text = "; ".join(f"{left} {right}" for left, right in parts)
    if len(text) > LONGEST:
        text = ", ".join(dict.fromkeys(left.split()[0] for left, _ in parts))
    return text if len(text) <= LONGEST else f"{text[: text.rfind(',', 0, LONGEST)]}, ..."


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
