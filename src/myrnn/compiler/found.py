"""The loops found so far in a model, and the remaining traces.

In the remaining traces, values computed by loops are leaves ``row``, of a step and a *stream*: a new sequence, over
which the next loop is searched. A `View` shows the rest of one trace as a loop in one direction sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.loops import Loop, rewritten
from myrnn.compiler.probe import ADVICE, Traces, lengths_for, longest_of, middle_of
from myrnn.compiler.tables import find_tables
from myrnn.compiler.trace import Origin, Trace
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
        # The remaining traces: values computed by loops are leaves ``row``, of a step and a stream.
        left = {
            n: rewritten(traces[n], self.flat) for n in sorted(lengths_for(traced.back, traced.apart)) if n in traces
        }
        self.tables, self.left, self.by_length = find_tables(left)
        # The unchanged traces of the shortest sequences, also of an empty one that the model treats differently.
        self.whole = {n: rewritten(trace, self.flat) for n, trace in traced.by_length.items() if n < 2}

    @property
    def states(self) -> int:
        """The number of states so far."""
        return sum(len(loop.step) for loop in self.loops)

    def no_loop(self) -> NotARecurrence:
        """Return the refusal of a model that does not read rows, or steps of its loops, step by step."""
        if self.by_length is not None:
            return NotARecurrence(
                "the model computes with numbers that differ from length to length, and are not a fraction of it.\n"
                f"  {self.by_length}\n"
                "  Numbers of the time compile, and fractions such as t / len(x): multiply tensors by other factors.\n"
                '  Feed other numbers as a column of the data, or train with engine="mygrad".'
            )
        view = View(self, self.longest)
        order = topological([view.output])
        rows = [n for n in order if n.operation == "row"]
        row = rows[len(rows) // 2]
        reader = next((n for n in order if row in n.inputs and n in view.origins), row)
        t, *stream = row.attributes
        what = (
            "element" if not stream else "numbers of step" if stream[0] in GIVEN else "what a loop has computed at step"
        )
        return NotARecurrence(
            f"the model reads {what} {t} of a sequence of {view.length} in another way than those around it, or out\n"
            "  of order: it is not part of a loop over the whole sequence.\n"
            f"  {view.origins.get(reader, Origin())}\n{ADVICE}"
        )

    def last(self, leaf: Node) -> Node:
        """Return the last value of a stream, made of last states."""
        stream = self.streams[leaf.attributes[0]]
        if stream.last is None:
            raise NeedsState(stream)
        return stream.last

    def finals(self) -> dict[Node, Node]:
        """Return the values of last states in a view."""
        return {
            s.last: self.build.leaf("final", k, size=s.node.size)
            for k, s in enumerate(self.streams)
            if s.last is not None and s.last.operation == "state"
        }


class View:
    """The rest of a trace as a loop in one direction sees it."""

    # Rows are numbered in its order, and the last value of each stream is a leaf ``final``.

    def __init__(self, found: Found, length: int, *, backward: bool = False) -> None:
        left = found.left[length]
        self.length, self.order = length, topological([left.output])

        def seen(row: Node) -> Node:
            t, *stream = row.attributes
            return leaf_of(found, found.flat, length - 1 - t if backward else t, length, stream, row.size, backward)

        known = {n: seen(n) for n in self.order if n.operation == "row"}
        # The nodes of `order` with rows as they are seen here, once as written, and once with constants folded.
        self.written = substitute(found.flat, self.order, known)
        self.nodes = substitute(found.build, self.written, {})
        self.output = self.nodes[-1]
        self.folded = dict(zip(self.written, self.nodes, strict=True))
        self.origins = {
            n: left.origins[old] for old, n in zip(self.order, self.nodes, strict=True) if old in left.origins
        }


# Values that steps read besides the sequence and loops: from a table, or random.
GIVEN = ("table", "drawn")
# Values that a step reads from the current row.
STEPWISE = ("input", "kept", *GIVEN)


def read_at_step(build: Builder, stream: Sequence[Any], size: int) -> Node:
    """Return the leaf that a step reads for a row: of the sequence, of kept values, or of given ones."""
    if stream and stream[0] in GIVEN:
        return build.leaf(*stream, size=size)
    return build.leaf("kept" if stream else "input", *stream, size=size)


def leaf_of(
    found: Found, build: Builder, step: int, length: int, stream: Sequence[Any], size: int, backward: bool
) -> Node:
    """Return the leaf for a value of a stream, or of the sequence, at a step of a loop in one direction."""
    is_last = {False: length - 1, True: 0}
    t = length - 1 - step if backward else step
    if stream and stream[0] in GIVEN:
        return build.leaf("row", step, *stream, size=size)
    if stream and t == is_last[found.streams[stream[0]].backward]:
        return build.leaf("final", *stream, size=size)
    for end, number in found.ends.items():
        if not stream and t == is_last[end]:
            return build.leaf("final", number, size=size)
    return build.leaf("row", step, *stream, size=size)
