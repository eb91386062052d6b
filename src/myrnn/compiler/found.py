"""The loops found so far in a model, and the remaining traces.

In the remaining traces, values computed by loops are rows of a *passed value*: a new sequence, over which the next loop
is searched. A `View` shows the rest of one trace as a loop in one direction sees it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from myrnn.compiler.differences import ADVICE, differs_by_length, line_of
from myrnn.compiler.graph import Builder, Node, leaves_of, substitute, topological
from myrnn.compiler.leaves import (
    INPUT,
    Final,
    Given,
    Kept,
    LoopState,
    Row,
    StepNumber,
    Stepwise,
    TableRows,
)
from myrnn.compiler.loops import Loop
from myrnn.compiler.probe import BACK, Traces, lengths_for, longest_of, middle_of, most_lag
from myrnn.compiler.record import Origin
from myrnn.compiler.steps import period_of
from myrnn.compiler.tables import find_tables
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence


@dataclass(frozen=True)
class LaggedRow:
    """The row of the sequence, of a passed value or of given numbers, `lag` steps before the current one."""

    of: Stepwise
    lag: int


@dataclass(frozen=True)
class PassedValue:
    """Values of a loop that the rest of the model reads, of every step or at its end."""

    node: Node
    backward: bool
    # Its value at the end, made of last states; None if it is not a state or made of none.
    last: Node | None
    loop: int
    # What the rest reads: a row of its own, or a row that the loop only carries on.
    row: LaggedRow

    def end(self, length: int) -> int:
        """Return the step of its last row."""
        return self.row.lag if self.backward else length - 1 - self.row.lag


@dataclass(frozen=True)
class Evidence:
    """What the traces of a model show of all its loops."""

    traced: Traces
    # The traces that are searched, which read tables instead of numbers that differ from step to step.
    traces: Mapping[int, Trace]
    # What steps are given: the time, and what the traces show.
    given: tuple[Given, ...]
    # The line of numbers that differ from length to length, if there are any.
    by_length: Origin | None
    # The rows of tables that the traces show.
    rows: TableRows
    # After how many steps the same computation repeats.
    period: int
    # In this builder, computations on constants are folded; in the other they stay as written.
    build: Builder
    flat: Builder

    @classmethod
    def of(cls, traced: Traces) -> Evidence:
        """Return what traces show whose random numbers are settled."""
        flat = Builder(fold=False)
        lengths = sorted(lengths_for(traced.back, traced.apart) & traced.by_length.keys())
        tables = find_tables({n: traced.by_length[n].rebuilt(flat.rebuild) for n in lengths})
        drawn = (drawn for drawn in traced.draws if drawn.by_step)
        given = (*(StepNumber(way) for way in (False, True)), *tables.given, *drawn)
        # The steps of a long trace show whether they differ in turn. If states are passed on over several steps, they
        # seem to, because the states of other steps are missing.
        is_long = traced.back == BACK[-1] and traced.apart == 1
        period = period_of(tables.traces[longest_of(traced.back)], middle_of(traced.back)) if is_long else 1
        return cls(traced, tables.traces, given, tables.by_length, tables.rows, period, Builder(), flat)


@dataclass(frozen=True)
class Found:
    """The loops found, the values read of them, and the remaining traces."""

    evidence: Evidence
    # The remaining traces: values computed by loops are rows of a passed value.
    left: Mapping[int, Trace]
    loops: tuple[Loop, ...] = ()
    passed: tuple[PassedValue, ...] = ()
    # States whose initial value no step determines.
    unknown: frozenset[int] = frozenset()
    origins: Mapping[Node, Origin] = field(default_factory=dict)

    @property
    def build(self) -> Builder:
        """The builder of loops and readouts."""
        return self.evidence.build

    @property
    def traced(self) -> Traces:
        """The traces, from the sequence on."""
        return self.evidence.traced

    @property
    def middle(self) -> int:
        """The step that is analysed."""
        return middle_of(self.traced.back)

    @property
    def longest(self) -> int:
        """The longest length whose trace is searched."""
        return longest_of(self.traced.back)

    @property
    def most_lag(self) -> int:
        """The largest distance, in steps, of the rows that the logits of a step read."""
        return most_lag(self.traced.back)

    @property
    def states(self) -> int:
        """The number of states so far."""
        return sum(len(loop.step) for loop in self.loops)

    @property
    def has_read_all_rows(self) -> bool:
        """Whether the rest of the longest trace only reads last states."""
        return not leaves_of(Row, [View(self, self.longest).output])

    def noting(self, made: Mapping[Node, Node], origins: Mapping[Node, Origin]) -> Found:
        """Return it with the lines of nodes that those of a trace have become."""
        lines = {**self.origins}
        for node in made:
            if node in origins:
                lines.setdefault(made[node], origins[node])
        return replace(self, origins=lines)

    def ending_at(self, row: Row, length: int) -> int | None:
        """Return the passed value of which a row of a trace is the end, None if there is none."""
        ends = [k for k, s in enumerate(self.passed) if s.row.of == row.of and s.end(length) == row.step]
        # Several loops may carry the same row; not all show it by last states.
        return max(ends, key=lambda k: self.passed[k].last is not None, default=None)

    @property
    def read_by_steps(self) -> dict[Stepwise, int]:
        """What steps may read: the sequence, passed values and given numbers -> its size."""
        sizes: dict[Stepwise, int] = {INPUT: self.traced.dim_input}
        sizes |= {Kept(k): s.node.size for k, s in enumerate(self.passed)}
        return sizes | {given: given.width for given in self.evidence.given}

    def no_loop(self) -> NotARecurrence:
        """Return the refusal of a model that does not read rows, or steps of its loops, step by step."""
        if self.evidence.by_length is not None:
            return differs_by_length(self.evidence.by_length)
        view = View(self, self.longest)
        order = topological([view.output])
        rows = [(n, n.leaf) for n in order if isinstance(n.leaf, Row)]
        if not rows:
            line = next((view.origins[n] for n in reversed(order) if n in view.origins), Origin())
            return NotARecurrence(
                f"after the last row the model computes something else at every length.\n  {line}\n{ADVICE}"
            )
        node, row = rows[len(rows) // 2]
        reader = next((n for n in order if node in n.inputs and n in view.origins), node)
        of_loop = "numbers of step" if isinstance(row.of, Given) else "what a loop has computed at step"
        what = "element" if row.of == INPUT else of_loop
        return NotARecurrence(
            f"the model reads {what} {row.step} of a sequence of {view.length} in another way than those around it, or "
            "out\n  of order: it is not part of a loop over the whole sequence.\n"
            f"  {view.origins.get(reader, Origin())}\n{ADVICE}"
        )

    def last(self, number: int) -> Node:
        """Return the last row of a passed value, made of last states."""
        if (last := self.passed[number].last) is None:
            raise NotARecurrence(
                f"the last value of a loop's steps is read, but the loop does not pass it on.\n{ADVICE}"
            )
        return last

    def final_to_state(self, order: Iterable[Node], known: Container[Node] = ()) -> dict[Node, Node]:
        """Return the finals among nodes -> what they are, made of last states."""
        return {n: self.last(n.leaf.number) for n in order if isinstance(n.leaf, Final) and n not in known}

    def state_to_final(self) -> dict[Node, Node]:
        """Return last states -> the finals that views show instead."""
        return {
            s.last: self.build.leaf(Final(k), s.node.size)
            for k, s in enumerate(self.passed)
            if s.last is not None and isinstance(s.last.leaf, LoopState)
        }


class View:
    """The rest of a trace as a loop in one direction sees it."""

    # Rows are numbered in its order, and the last row of each passed value is a leaf `Final`.

    def __init__(self, found: Found, length: int, *, backward: bool = False) -> None:
        left = found.left[length]
        self.length, self.order = length, topological([left.output])
        self._found, self._backward, self._per_step = found, backward, found.traced.per_step

        def seen(row: Row, size: int) -> Node:
            step = length - 1 - row.step if backward else row.step
            return found.evidence.flat.leaf(self.row_at(step, row.of), size)

        known = {n: seen(n.leaf, n.size) for n in self.order if isinstance(n.leaf, Row)}
        # The nodes of `order` with rows as they are seen here, once as written, and once with constants folded.
        self.written = substitute(found.evidence.flat, self.order, known)
        self.nodes = substitute(found.build, self.written, {})
        self.output = self.nodes[-1]
        self.folded = dict(zip(self.written, self.nodes, strict=True))
        self.origins = {
            n: left.origins[old] for old, n in zip(self.order, self.nodes, strict=True) if old in left.origins
        }

    def row_at(self, step: int, read: Stepwise) -> Row | Final:
        """Return the leaf by which it shows the row that a step reads."""
        return leaf_of(self._found, Row(step, read), self.length, self._backward)

    def rows_of(self, step: int) -> dict[Node, Node]:
        """Return the leaves by which it shows the rows of a step -> the leaves that steps read."""
        build, sizes = self._found.build, self._found.read_by_steps
        return {build.leaf(self.row_at(step, read), n): build.leaf(read, n) for read, n in sizes.items()}

    def line_of(self, part: Mapping[Node, Node], node: Node) -> Origin:
        """Return the user's line of a node that a node of the view has become."""
        lines = {part[n]: self.origins[n] for n in reversed(list(part)) if n in self.origins}
        return line_of(node, part.values(), lines)

    def logits_of(self, step: int) -> Node:
        """Return the logits of a step before constants are folded, or the only ones."""
        if not self._per_step:
            return self.written[-1]
        return self.written[-1].inputs[self.length - 1 - step if self._backward else step]


def leaf_of(found: Found, row: Row, length: int, backward: bool) -> Row | Final:
    """Return the leaf for a row as a loop in one direction sees it: the last one of a passed value is its end."""
    number = found.ending_at(Row(length - 1 - row.step if backward else row.step, row.of), length)
    return row if number is None else Final(number)
