"""A model as loops over one sequence: its definition, its unrolling, and its execution step by step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import (
    Builder,
    Made,
    Node,
    Value,
    fold,
    in_numpy,
    leaves_of,
    substitute,
    substitutions,
    topological,
)
from myrnn.compiler.leaves import (
    INPUT,
    LENGTH,
    Drawn,
    Floats,
    Given,
    Kept,
    Length,
    LoopState,
    Parameter,
    Row,
    StepNumber,
    StepTable,
    SymbolRows,
    TableRows,
)
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.record import Origin
from myrnn.compiler.trace import joined


@dataclass(frozen=True)
class Loop:
    """One pass over the sequence."""

    initial: tuple[Node, ...]  # the initial states: they read parameters, constants, and last states of earlier loops
    # The states after a step. They read the current row of the sequence, values that earlier loops kept, given numbers,
    # states (the loop's own before the step, and the last ones of others), parameters and constants.
    step: tuple[Node, ...]
    kept: dict[int, Node] = field(default_factory=dict)  # number -> value that later loops read of every step
    backward: bool = False  # whether it runs from the last row to the first
    # Whether a state is what the next step computes with weights: with other weights it would be another number.
    ahead: bool = False

    def with_known(self, known: Mapping[Node, Node]) -> Loop:
        """Return the loop whose steps read leaves instead of nodes that are known."""
        targets = (*self.step, *self.kept.values())
        found = substitute(targets[0].build, targets, known) if targets else []
        count = len(self.step)
        return replace(self, step=tuple(found[:count]), kept=dict(zip(self.kept, found[count:], strict=True)))


@dataclass(frozen=True)
class Recurrence:
    """A model as loops over one sequence, in the order in which they run. All their states are numbered together."""

    dim_input: int  # C
    loops: tuple[Loop, ...]
    # The logits: they read last states, given numbers of the sequence, parameters and constants; or they are a kept
    # value, if there are logits for every step.
    readout: Node
    # Node of a step or of `readout` -> its line in the user's code.
    origins: dict[Node, Origin] = field(default_factory=dict, repr=False)
    parameter_names: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()  # the shapes of the parameters, in the model's order
    draws: tuple[Drawn, ...] = ()  # the random numbers of the model
    rows: TableRows = field(default_factory=dict, repr=False)  # the known rows of its tables
    # Whether sequences continue from streams, and write their final states to them: see `streams`.
    carried: bool = False

    @property
    def per_step(self) -> bool:
        """Whether there are logits for every step."""
        return isinstance(self.readout.leaf, Kept)

    @property
    def initial(self) -> tuple[Node, ...]:
        """All initial states."""
        return tuple(node for loop in self.loops for node in loop.initial)

    @property
    def step(self) -> tuple[Node, ...]:
        """All states after a step of their loop."""
        return tuple(node for loop in self.loops for node in loop.step)

    @property
    def kept(self) -> dict[int, Node]:
        """Values of every step that loops keep for later ones."""
        return {k: node for loop in self.loops for k, node in loop.kept.items()}

    @property
    def next_kept(self) -> int:
        """The number of the next value that a loop will keep."""
        return max(self.kept, default=-1) + 1

    @property
    def goes_backward(self) -> tuple[bool, ...]:
        """Whether the loop of each state runs from the last row of the sequence to the first."""
        return tuple(loop.backward for loop in self.loops for _ in loop.step)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The size of each state."""
        return tuple(node.size for node in self.step)

    @property
    def first_states(self) -> tuple[int, ...]:
        """The number of the first state of each loop."""
        return tuple(accumulate((len(loop.step) for loop in self.loops[:-1]), initial=0))

    @property
    def state_leaves(self) -> list[list[Node]]:
        """The leaves of the states of each loop."""
        firsts = zip(self.loops, self.first_states, strict=True)
        return [placeholders(self.build, [n.size for n in loop.step], first) for loop, first in firsts]

    @cached_property
    def sources(self) -> list[set[int]]:
        """The states that each state is made of, in any earlier step; not what it begins with.

        A state is among its own sources if it depends on its past.
        """
        found, kept = list[set[int]](), dict[int, set[int]]()

        def read(node: Node) -> set[int]:
            states = {state.number for state in leaves_of(LoopState, [node])}
            return states.union(*(kept[one.number] for one in leaves_of(Kept, [node])))

        for loop in self.loops:
            found += map(read, loop.step)
            kept |= {k: read(node) for k, node in loop.kept.items()}
        while (more := [own.union(*(found[i] for i in own)) for own in found]) != found:
            found = more
        return found

    @property
    def memories(self) -> list[int]:
        """The states that may depend on all steps before; the others depend on the last few steps alone."""
        lasting = {i for i, own in enumerate(self.sources) if i in own}
        return [i for i, own in enumerate(self.sources) if own & lasting]

    def loop_of(self, state: int) -> Loop:
        """Return the loop of a state."""
        return self.loops[bisect_right(self.first_states, state) - 1]

    @property
    def nodes(self) -> list[Node]:
        """All its nodes: initial states, steps, kept values, and the readout."""
        return [*self.initial, *self.step, *self.kept.values(), self.readout]

    @cached_property
    def given(self) -> list[Given]:
        """The given numbers that it reads."""
        return leaves_of(Given, self.nodes)

    @property
    def tables(self) -> list[StepTable]:
        """Those of tables, which are known for the steps of some traces."""
        return [given for given in self.given if isinstance(given, StepTable)]

    def numbers(self, given: Given, row: int, length: int) -> Floats | None:
        """Return the given numbers at a row of a sequence of this length; None if they are not known."""
        if isinstance(given, StepTable):
            return self.rows.get(given, {}).get(given.step_of(row, length))
        return given.at(row, length)

    @property
    def build(self) -> Builder:
        """The builder of all its nodes."""
        return self.readout.build

    def placed(self, place: Mapping[Node, Node], *, keep_initial: bool = False) -> Recurrence:
        """Return the recurrence with each node replaced."""
        loops = tuple(
            replace(
                loop,
                initial=loop.initial if keep_initial else tuple(place[n] for n in loop.initial),
                step=tuple(place[n] for n in loop.step),
                kept={k: place[n] for k, n in loop.kept.items()},
            )
            for loop in self.loops
        )
        origins = {place[n]: origin for n, origin in self.origins.items() if n in place}
        return replace(self, loops=loops, readout=place[self.readout], origins=origins)

    def rebuilt(self, build: Builder) -> Recurrence:
        """Return the recurrence in another builder."""
        return self.placed(substitutions(build, self.nodes, {}))


def reads_time_alone(condition: Node) -> bool:
    """Whether a choice depends on the number of the step or on the length, and on nothing else but constants."""
    # Which symbols occur tells whether any sequence has steps.
    leaves = [n for n in topological([condition]) if n.is_leaf and not n.is_constant]
    return bool(leaves) and all(isinstance(n.leaf, StepNumber | Length | SymbolRows) for n in leaves)


def chosen_by_time(targets: Sequence[Node]) -> dict[Node, list[tuple[Node, bool]]]:
    """Return nodes that only one side of a choice by time or length needs, with the choice and the side."""
    # If that side is not chosen, its gradient is zero, and zero times infinity would be NaN.
    found: dict[Node, list[tuple[Node, bool]]] = {}
    order = topological(targets)
    for select_ in (n for n in order if n.operation == "select" and reads_time_alone(n.inputs[0])):
        condition, *sides = select_.inputs
        for side, other, is_first in ((sides[0], sides[1], True), (sides[1], sides[0], False)):
            if not any(map(_may_be_infinite, topological([side]))):
                continue
            elsewhere = topological([*(n for n in targets if n is not select_), condition, other], stop=[select_])
            for node in set(topological([side])) - set(elsewhere):
                found.setdefault(node, []).append((condition, is_first))
    return found


def _may_be_infinite(node: Node) -> bool:
    """Whether an operation, or its derivative, may turn finite numbers into infinities or NaN, or a number is one."""
    if node.is_constant:
        return not np.isfinite(node.numbers).all()
    return bool(node.inputs) and OPERATIONS[node.operation].singular


# Interpretation -------------------------------------------------------------------------------------------------------

Watch = Callable[[int, Mapping[Node, Value]], None]
"""Gets the number of each part before it is computed, and the values that it may read."""
# There are two parts for each loop, before it and in it, and one for the readout.


def _unwatched(*_: Any) -> None:
    """Watch nothing."""


def interpret(
    recurrence: Recurrence,
    rows: Sequence[dict[Node, Value]],
    last: dict[Node, Value],
    made: Made[Value],
    watch: Watch[Value] = _unwatched,
) -> list[Value]:
    """Return the logits of every step, or the only ones, in any kind of values.

    `rows` has the values of the leaves that each step reads, and receives those that loops keep; `last` has the values
    of leaves that all steps read, and receives the last states.
    """
    build = recurrence.build
    for part, (loop, first) in enumerate(zip(recurrence.loops, recurrence.first_states, strict=True)):
        watch(2 * part, last)
        leaves = [build.leaf(Kept(k), node.size) for k, node in loop.kept.items()]
        steps = Steps(build, loop, first, last, made, partial(watch, 2 * part + 1))
        for row, kept in steps.over(rows, list(loop.kept.values())):
            row.update(zip(leaves, kept, strict=True))
        last |= steps.states
    for row in rows if recurrence.per_step else [{}]:
        watch(2 * len(recurrence.loops), last | row)
    if recurrence.per_step:
        return [row[recurrence.readout] for row in rows]
    return [fold(topological([recurrence.readout]), last, made)[recurrence.readout]]


class Steps(Generic[Value]):
    """A loop step by step, in any kind of values; `last` has those of leaves that all steps read."""

    def __init__(
        self,
        build: Builder,
        loop: Loop,
        first: int,
        last: Mapping[Node, Value],
        made: Made[Value],
        watch: Callable[[Mapping[Node, Value]], None] = _unwatched,
    ) -> None:
        self._loop, self._last, self._made, self._watch = loop, last, made, watch
        self._leaves = placeholders(build, [n.size for n in loop.step], first)
        begin = fold(topological(loop.initial), last, made)
        self.states = {leaf: begin[node] for leaf, node in zip(self._leaves, loop.initial, strict=True)}

    def over(
        self, rows: Sequence[dict[Node, Value]], nodes: Sequence[Node]
    ) -> Iterator[tuple[dict[Node, Value], list[Value]]]:
        """Go through all rows, and yield each with the values of `nodes` at its step."""
        order = topological([*self._loop.step, *nodes])
        for row in reversed(rows) if self._loop.backward else rows:
            known = {**self._last, **self.states, **row}
            self._watch(known)
            values = fold(order, known, self._made)
            self.states = {leaf: values[node] for leaf, node in zip(self._leaves, self._loop.step, strict=True)}
            yield row, [values[node] for node in nodes]


# Its graph of some steps, and its numbers -----------------------------------------------------------------------------


def unroll(recurrence: Recurrence, length: int, *, unknown: bool = False) -> Node:
    """Return the logits of `length` steps as one graph on the rows, with `unknown` also on unknown rows of tables."""
    build = recurrence.build

    def value(given: Given, t: int) -> Node:
        numbers = recurrence.numbers(given, t, length)
        if numbers is None and isinstance(given, StepTable) and not unknown:
            numbers = given.neutral
        return build.leaf(Row(t, given), given.width) if numbers is None else build.constant(numbers)

    row, width = build.leaf(INPUT, recurrence.dim_input), recurrence.dim_input
    by_step = [given for given in recurrence.given if given.by_step]
    rows = [
        {row: build.leaf(Row(t), width)} | {build.given(given): value(given, t) for given in by_step}
        for t in range(length)
    ]
    last = {build.given(LENGTH): build.constant(float(length))}
    logits = interpret(recurrence, rows, last, build.rebuild)
    return joined(logits, build) if recurrence.per_step else logits[0]


def run_in_numpy(
    recurrence: Recurrence,
    parameters: Sequence[NDArray[np.float32]],
    x: NDArray[np.float32],
    watch: Watch[NDArray[Any]] = _unwatched,
) -> NDArray[np.float32]:
    """Return the logits of one sequence, (T, C), computed step by step, float32 (K,) or (T, K)."""
    build = recurrence.build
    last = {build.leaf(Parameter(i), p.size): p for i, p in enumerate(parameters)}
    last |= given_numbers(recurrence, 0, len(x), by_step=False)
    rows = [
        {build.leaf(INPUT, recurrence.dim_input): x_t} | given_numbers(recurrence, t, len(x), by_step=True)
        for t, x_t in enumerate(x)
    ]
    logits = interpret(recurrence, rows, last, in_numpy(), watch)
    return np.array(logits).reshape(len(x), recurrence.readout.size) if recurrence.per_step else logits[0]


def given_numbers(recurrence: Recurrence, row: int, length: int, *, by_step: bool) -> dict[Node, NDArray[np.float32]]:
    """Return the given numbers of a step, or those of the whole sequence; without randomness."""
    known = ((g, recurrence.numbers(g, row, length)) for g in recurrence.given if g.by_step == by_step)
    return {recurrence.build.given(given): given.neutral if n is None else n for given, n in known}


def placeholders(build: Builder, sizes: Sequence[int], first: int = 0) -> list[Node]:
    """Return the leaves for states of these sizes, numbered from `first` on."""
    return [build.leaf(LoopState(first + i), size) for i, size in enumerate(sizes)]
