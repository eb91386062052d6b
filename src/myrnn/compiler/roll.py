"""Stage 2: find the loops in traces of several lengths, and prove them by unrolling them again.

A model is a list of loops over one sequence, and a readout. The traces of a sequence and of one with a row more share
what a loop has computed up to any step, so that what they share is the loop nearest to the sequence. What its later
steps read of earlier ones must come from its states: of all cuts between them, the one that carries the fewest numbers
(a minimum cut). The values between two cuts are the step. What the rest of the model reads of every step is then a
sequence of its own, over which the next loop is found in the same way; a loop that goes backwards is found in the
mirrored traces. What is left in the end reads last states only: the readout.

Finding may be wrong, because the proof does not rest on it: unrolled again, the loops must be the very nodes that were
traced, at every length.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from myrnn.compiler import ops
from myrnn.compiler.beginning import sized
from myrnn.compiler.finder import Finder, both_told
from myrnn.compiler.found import GIVEN, Found, NeedsState, Stream, View, read_at_step
from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.loops import Loop, Recurrence, placeholders, prove
from myrnn.compiler.match import Differs, Match
from myrnn.compiler.probe import ADVICE, Traces, first_difference
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence

# More loops than this have no model that can be understood.
MOST_LOOPS = 32


def roll(traced: Traces, period: int = 1) -> Recurrence:
    """Find the loops in traces, and prove them at all lengths.

    With a `period`, steps may differ in turn.

    Raises
    ------
    NotARecurrence
        When there are none; the message shows the user's line and what differs.
    """
    try:
        return _rolled(traced.settled(), period)
    except NotARecurrence:
        if traced.uncertain:
            with suppress(NotARecurrence):
                return _rolled(traced.turned().settled(), period)
        raise


def _rolled(traced: Traces, period: int) -> Recurrence:
    traces = dict(sorted(traced.by_length.items()))
    if 0 in traces:
        # An empty sequence shows where all states begin, but a model may do something else altogether with it.
        with suppress(NotARecurrence):
            return _proved(traced, traces, together=True, period=period)
    some = {length: trace for length, trace in traces.items() if length}
    try:
        found = _proved(traced, some, together=True, period=period)
    except NotARecurrence:
        # What the rest wants of the steps may have changed what they carry, so that the loop came a step late.
        with suppress(NotARecurrence):
            return _proved(traced, some, together=False, period=period)
        raise
    if _carries_too_much(found):
        with suppress(NotARecurrence):
            return _proved(traced, some, together=False, period=period)
    return found


def _carries_too_much(found: Recurrence) -> bool:
    """Whether there are states that nothing is made of in the end."""
    reads = [{n.attributes[0] for n in topological([node]) if n.operation == "state"} for node in found.step]
    rest = [found.readout, *found.kept.values(), *found.initial]
    needed = {n.attributes[0] for n in topological(rest) if n.operation == "state"}
    while more := set[int]().union(*(reads[i] for i in needed)) - needed:
        needed |= more
    return len(needed) < len(reads)


def _proved(traced: Traces, traces: dict[int, Trace], *, together: bool, period: int) -> Recurrence:
    wanted: dict[int, list[tuple[Node, ...]]] = {}
    tables = Builder(), Builder(fold=False)
    while True:
        try:
            search = Search(traced, traces, wanted, together, period, *tables)
            found = search.result()
            break
        except NeedsState as needed:
            if needed.stream.around in wanted.get(needed.stream.loop, []):
                raise NotARecurrence(
                    f"the last value of a loop's steps is read that it does not hand on.\n{ADVICE}"
                ) from None
            wanted.setdefault(needed.stream.loop, []).append(needed.stream.around)
    for steps, trace in sorted(traces.items(), reverse=True):
        try:
            prove(found, trace)
        except NotARecurrence:
            readout = search.readout_after(steps)
            if readout is None:
                raise
            # After so few steps the readout is another one.
            is_so_short = ops.equal(readout.build.leaf("length", size=1), float(steps))
            found = replace(found, readout=ops.select(is_so_short, readout, found.readout))
            prove(found, trace)
    return found


# The search -----------------------------------------------------------------------------------------------------------


class Search(Found):
    """Finds one loop after the other, from the sequence to the logits."""

    def result(self) -> Recurrence:
        """Return the loops and the readout, unproved."""
        if not self._reads_rows(View(self, self.longest).output):
            raise NotARecurrence(
                "the model's logits do not depend on the sequence: there is no loop to compile.\n" + ADVICE
            )
        while not self._is_done():
            if len(self.loops) == MOST_LOOPS or not (
                Finder(self, backward=False).find() or Finder(self, backward=True).find()
            ):
                raise self.no_loop()
        if self.traced.per_step:
            readout = self._readout_of_steps()
        else:
            readout = self._readout()
            self._begin_as_short_sequences(readout)
        read = topological([*(n for loop in self.loops for n in loop.step), *(s.node for s in self.streams), readout])
        used = {n.attributes[0] for n in read if n.operation == "kept"}
        loops = tuple(
            replace(loop, kept={k: s.node for k, s in enumerate(self.streams) if s.loop == i and k in used})
            for i, loop in enumerate(self.loops)
        )
        traced = self.traced
        return Recurrence(
            traced.dim_input, loops, readout, self.origins, traced.parameter_names, traced.shapes, tuple(self.tables),
            traced.draws,
        )  # fmt: skip

    def _is_done(self) -> bool:
        """Whether what is left reads nothing but last states, and for logits of every step what stands at that step."""
        if not self.traced.per_step:
            return not self._reads_rows(View(self, self.longest).output)
        return all(
            n.attributes[0] == t or self._is_end(n)
            for t, logits in enumerate(self._logits())
            for n in topological([logits])
            if n.operation == "row"
        )

    def _logits(self) -> tuple[Node, ...]:
        """Return what is left of the logits of every step of the longest trace."""
        return self.left[self.longest].output.inputs

    def _is_end(self, row: Node) -> bool:
        """Whether a row of the longest trace is where a stream ends."""
        t, *stream = row.attributes
        if stream and stream[0] in GIVEN:
            return False
        numbers = stream or self.ends.values()
        return any(t == (0 if self.streams[k].backward else self.longest - 1) for k in numbers)

    @staticmethod
    def _reads_rows(output: Node) -> bool:
        return any(n.operation == "row" for n in topological([output]))

    def _readout(self) -> Node:
        """Return the logits on the last states; constants that equal the length at both lengths become the length."""
        lengths = (self.middle, self.middle + 1)
        shorter, longer = (View(self, n) for n in lengths)
        parts = []
        for view in (shorter, longer):
            known = {n: self.last(n) for n in topological([view.output]) if n.operation == "final"}
            order = topological([view.output], stop=known)
            parts.append(dict(zip(order, substitute(self.build, order, known), strict=True)))
        one, two = (part[view.output] for part, view in zip(parts, (shorter, longer), strict=True))
        length = self.build.leaf("length", size=1)
        nodes = list(parts[0].values())
        general = dict(
            zip(nodes, substitute(self.build, nodes, {self.build.constant(float(lengths[0])): length}), strict=True)
        )
        if one is two:
            general = {n: n for n in nodes}
        else:
            (other,) = substitute(self.build, [two], {self.build.constant(float(lengths[1])): length})
            if general[one] is not other:
                here, there = first_difference(one, two) or (one, two)
                raise NotARecurrence(
                    f"the readout after {lengths[0]} steps is not the same computation as after {lengths[1]}.\n"
                    + both_told(shorter, parts[0], here, longer, parts[1], there)
                )
        for n, node in parts[0].items():
            if n in shorter.origins:
                self.origins.setdefault(general[node], shorter.origins[n])
        return general[one]

    def readout_after(self, steps: int) -> Node | None:
        """Return the logits of a short sequence on the last states, where they are made of nothing else."""
        if self.traced.per_step or steps not in self.left or steps >= self.middle:
            return None
        view = View(self, steps)
        try:
            known = {n: self.last(n) for n in topological([view.output]) if n.operation == "final"}
        except NeedsState:
            return None
        (readout,) = substitute(self.build, [view.output], known)
        return None if self._reads_rows(readout) else readout

    def _readout_of_steps(self) -> Node:
        """Return the leaf for the logits of each step: what a loop has, or one of its own without states computes."""
        logits = self._logits()[self.middle]
        order, known = topological([logits]), dict[Node, Node]()
        for n in order:
            if n.operation == "row":
                t, *stream = n.attributes
                known[n] = read_at_step(self.build, stream, n.size)
                if t != self.middle:
                    (number,) = stream or [k for end, k in self.ends.items() if t == (0 if end else self.longest - 1)]
                    known[n] = self.last(self.build.leaf("final", number, size=n.size))
        nodes = substitute(self.build, order, known)
        for n, node in zip(order, nodes, strict=True):
            if n in self.left[self.longest].origins:
                self.origins.setdefault(node, self.left[self.longest].origins[n])
        if nodes[-1].operation == "kept":
            return nodes[-1]
        self.streams.append(Stream(nodes[-1], False, None, len(self.loops), ()))
        self.loops.append(Loop((), ()))
        return self.build.leaf("kept", len(self.streams) - 1, size=logits.size)

    def _begin_as_short_sequences(self, readout: Node) -> None:
        """Let states of which no step shows where they begin do so as the shortest sequences show it."""
        last = dict(zip(placeholders(self.build, [n.size for n in self._steps()]), self._steps(), strict=True))
        for length, output in ((0, readout), (1, substitute(self.build, [readout], last)[0])):
            if not self.unknown or length not in self.whole or len(self.loops) > 1:
                continue
            order = topological([self.whole[length].output])
            shown = Match(dict(zip(order, substitute(self.build, order, {}), strict=True)), 0, 0)
            with suppress(Differs):
                shown.add(output, order[-1])
            (loop,) = self.loops
            initial = list(loop.initial)
            for i in self.unknown & set(shown.states):
                initial[i] = sized(shown.states[i], initial[i].size)
            self.unknown -= set(shown.states)
            self.loops = [replace(loop, initial=tuple(initial))]

    def _steps(self) -> list[Node]:
        return [node for loop in self.loops for node in loop.step]
