"""The loops found so far in a model, and the remaining traces.

In the remaining traces, values computed by loops are rows of a *stream*: a new sequence, over which the next loop is
searched. A `View` shows the rest of one trace as a loop in one direction sees it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.leaves import INPUT, Final, Given, Kept, LoopState, Row, StepNumber
from myrnn.compiler.loops import Loop, rewritten
from myrnn.compiler.probe import ADVICE, Traces, lengths_for, longest_of, middle_of
from myrnn.compiler.record import Origin
from myrnn.compiler.tables import find_tables
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence


@dataclass(frozen=True)
class Stream:
    """Values of a loop that the rest of the model reads, of every step or at its end."""

    node: Node
    backward: bool
    # Its value at the end, made of last states; None if it is not a state or made of none.
    last: Node | None
    loop: int
    # Its value in the longest trace around the middle.
    around: tuple[Node, ...]


class NeedsState(Exception):
    """Raised when the last value of a stream is read that is not a state."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream


class Found:
    """The loops found, the values read of them, and the remaining traces."""

    def __init__(
        self,
        traced: Traces,
        traces: Mapping[int, Trace],
        wanted: Mapping[int, list[tuple[Node, ...]]],
        together: bool,
        period: int,
        build: Builder,
        flat: Builder,
    ) -> None:
        self.traced, self.middle, self.longest = traced, middle_of(traced.back), longest_of(traced.back)
        # In this builder, computations on constants are folded; in the other they stay as written.
        self.build, self.flat = build, flat
        # Nodes that must be states of each loop besides those that it needs itself.
        self.wanted = wanted
        # Whether the carried states are chosen together with the values that the rest reads.
        self.together = together
        # The period, in steps, after which the same computation repeats.
        self.period = period
        self.loops: list[Loop] = []
        self.streams: list[Stream] = []
        # For the sequence itself: the stream that has its last row, or its first, at its end.
        self.ends: dict[bool, int] = {}
        # States whose initial value no step determines.
        self.unknown: set[int] = set()
        self.origins: dict[Node, Origin] = {}
        # The remaining traces: values computed by loops are rows of a stream.
        left = {
            n: rewritten(traces[n], self.flat) for n in sorted(lengths_for(traced.back, traced.apart)) if n in traces
        }
        tables, self.left, self.by_length = find_tables(left)
        # What steps are given: the time, and what the traces show.
        self.given: list[Given] = [*(StepNumber(way) for way in (False, True)), *tables]
        self.given += [drawn for drawn in traced.draws if drawn.by_step]
        # The unchanged traces of the shortest sequences, also of an empty one that the model treats differently.
        self.whole = {n: rewritten(trace, self.flat) for n, trace in traced.by_length.items() if n < 2}

    @property
    def states(self) -> int:
        """The number of states so far."""
        return sum(len(loop.step) for loop in self.loops)

    def no_loop(self) -> NotARecurrence:
        """Return the refusal of a model that does not read rows, or steps of its loops, step by step."""
        if self.by_length is not None:
            return differs_by_length(self.by_length)
        view = View(self, self.longest)
        order = topological([view.output])
        rows = [(n, n.leaf) for n in order if isinstance(n.leaf, Row)]
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
        """Return the last value of a stream, made of last states."""
        stream = self.streams[number]
        if stream.last is None:
            raise NeedsState(stream)
        return stream.last

    def lasts(self, order: Iterable[Node], known: Container[Node] = ()) -> dict[Node, Node]:
        """Return the last values among nodes -> these, made of last states."""
        return {n: self.last(n.leaf.number) for n in order if isinstance(n.leaf, Final) and n not in known}

    def finals(self) -> dict[Node, Node]:
        """Return the values of last states in a view."""
        return {
            s.last: self.build.leaf(Final(k), s.node.size)
            for k, s in enumerate(self.streams)
            if s.last is not None and isinstance(s.last.leaf, LoopState)
        }


def differs_by_length(line: Origin) -> NotARecurrence:
    """Return the refusal of a model that computes with other numbers at every length."""
    return NotARecurrence(
        "the model computes with numbers that differ from length to length, and are not a fraction of it.\n"
        f"  {line}\n"
        "  Numbers of the time compile, and fractions such as t / len(x): multiply tensors by other factors.\n"
        '  Feed other numbers as a column of the data, or train with engine="mygrad".'
    )


class View:
    """The rest of a trace as a loop in one direction sees it."""

    # Rows are numbered in its order, and the last value of each stream is a leaf `Final`.

    def __init__(self, found: Found, length: int, *, backward: bool = False) -> None:
        left = found.left[length]
        self.length, self.order = length, topological([left.output])

        def seen(row: Row, size: int) -> Node:
            step = length - 1 - row.step if backward else row.step
            return leaf_of(found, found.flat, Row(step, row.of), length, size, backward)

        known = {n: seen(n.leaf, n.size) for n in self.order if isinstance(n.leaf, Row)}
        # The nodes of `order` with rows as they are seen here, once as written, and once with constants folded.
        self.written = substitute(found.flat, self.order, known)
        self.nodes = substitute(found.build, self.written, {})
        self.output = self.nodes[-1]
        self.folded = dict(zip(self.written, self.nodes, strict=True))
        self.origins = {
            n: left.origins[old] for old, n in zip(self.order, self.nodes, strict=True) if old in left.origins
        }


def leaf_of(found: Found, build: Builder, row: Row, length: int, size: int, backward: bool) -> Node:
    """Return the leaf for a row as a loop in one direction sees it: the last one of a stream is its end."""
    is_last = {False: length - 1, True: 0}
    t = length - 1 - row.step if backward else row.step
    if isinstance(row.of, Kept) and t == is_last[found.streams[row.of.number].backward]:
        return build.leaf(Final(row.of.number), size)
    for end, number in found.ends.items():
        if row.of == INPUT and t == is_last[end]:
            return build.leaf(Final(number), size)
    return build.leaf(row, size)
