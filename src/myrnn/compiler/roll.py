"""Stage 2: find the loops in traces of several lengths, and prove them by unrolling them again.

A model is a list of loops over one sequence, and a readout. The traces of a sequence and of one with an additional row
share everything that a loop has computed up to any step, and the shared part closest to the sequence is the next loop.
Later steps can only read earlier ones through states: what the model's variables hold between two steps or, if that has
fewer numbers, what they are computed from without weights (a minimum cut). The values between two cuts are the step.
Values that the rest of the model reads of every step form a new sequence, over which the next loop is found in the same
way; a loop that runs backward is found in the mirrored traces. In the end the rest only reads last states: the readout.

The search may be wrong, because the proof does not depend on it: unrolled again, the loops must be exactly the traced
nodes, at every length.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.beginning import sized
from myrnn.compiler.finder import Finder, both_lines, where_of
from myrnn.compiler.found import Found, NeedsState, Stream, View, differs_by_length
from myrnn.compiler.graph import Builder, Node, leaves_of, substitute, topological
from myrnn.compiler.leaves import INPUT, LENGTH, Final, Kept, LoopState, Row, Stepwise
from myrnn.compiler.loops import Loop, Recurrence, placeholders, prove
from myrnn.compiler.match import Differs, Match
from myrnn.compiler.probe import ADVICE, Traces, first_difference
from myrnn.compiler.tables import without_fractions
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence

SoFar = tuple[list[Loop], list[Stream], dict[bool, int], set[int], dict[int, Trace]]

# A model with more loops is not comprehensible.
MOST_LOOPS = 32
# The largest distance, in steps, of the rows that the logits of a step read.
MOST_LAG = 4


def roll(traced: Traces, period: int = 1) -> Recurrence:
    """Find the loops in traces, and prove them at all lengths; with a `period`, steps may differ in turn."""
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
        # An empty sequence shows the initial states, but a model may treat it differently.
        with suppress(NotARecurrence):
            found = _proved(traced, traces, together=True, period=period)
            if not any(loop.ahead for loop in found.loops):
                return found
    some = {length: trace for length, trace in traces.items() if length}
    try:
        found = _proved(traced, some, together=True, period=period)
    except NotARecurrence:
        # The values that the rest reads may have changed the states, so that the loop came a step late.
        with suppress(NotARecurrence):
            return _proved(traced, some, together=False, period=period)
        raise
    if _carries_too_much(found) or any(loop.ahead for loop in found.loops):
        with suppress(NotARecurrence):
            return _proved(traced, some, together=False, period=period)
    return found


def _carries_too_much(found: Recurrence) -> bool:
    """Whether there are states that nothing depends on in the end."""
    reads = [{state.number for state in leaves_of(LoopState, [node])} for node in found.step]
    rest = [found.readout, *found.kept.values(), *found.initial]
    needed = {state.number for state in leaves_of(LoopState, rest)}
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
                    f"the last value of a loop's steps is read, but the loop does not pass it on.\n{ADVICE}"
                ) from None
            wanted.setdefault(needed.stream.loop, []).append(needed.stream.around)
    refusals: dict[int, NotARecurrence] = {}
    whole = found
    for steps, trace in sorted(traces.items(), reverse=True):
        try:
            prove(found, trace)
        except NotARecurrence as error:
            readout = search.readout_after(steps)
            if readout is None:
                raise
            # With so few steps the readout differs.
            is_so_short = ops.equal(readout.build.given(LENGTH), float(steps))
            whole, refusals[steps] = replace(whole, readout=ops.select(is_so_short, readout, whole.readout)), error
    for steps, trace in traces.items() if refusals else ():
        try:
            prove(whole, trace)
        except NotARecurrence as error:
            raise refusals.get(steps, error) from None
    return whole


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
            before = self._so_far()
            try:
                if len(self.loops) == MOST_LOOPS or not (self._finds(backward=False) or self._finds(backward=True)):
                    raise self.no_loop()
            except NotARecurrence:
                self._put_back(before)
                if not (self.traced.per_step and self._is_done(MOST_LAG)):
                    raise
                break
        if self.traced.per_step:
            readout = self._readout_of_steps()
        else:
            readout = self._readout()
            self._begin_as_short_sequences(readout)
        read = [*(n for loop in self.loops for n in loop.step), *(s.node for s in self.streams), readout]
        used = {kept.number for kept in leaves_of(Kept, read)}
        loops = tuple(
            replace(loop, kept={k: s.node for k, s in enumerate(self.streams) if s.loop == i and k in used})
            for i, loop in enumerate(self.loops)
        )
        traced = self.traced
        found = Recurrence(
            traced.dim_input, loops, readout, self.origins, traced.parameter_names, traced.shapes, traced.draws
        )
        order = topological(found.nodes)
        computed = substitute(self.build, order, without_fractions(found.nodes))
        return found.placed(dict(zip(order, computed, strict=True)))

    def _finds(self, *, backward: bool) -> bool:
        """Find the next loop of one direction; change nothing if none reduces the rest."""
        before, to_find = self._so_far(), self._to_find()
        if Finder(self, backward=backward).find() and self._to_find() < to_find:
            return True
        self._put_back(before)
        return False

    def _to_find(self) -> tuple[int, int]:
        """Return the number of operations of the longest trace that are not in a loop yet, and of rows they read."""
        # Rows at which a stream ends do not count: loops could pass them on without end.
        order = topological([self.left[self.longest].output])
        rows = [n.leaf for n in order if isinstance(n.leaf, Row)]
        return sum(1 for n in order if n.inputs), sum(1 for row in rows if not self._is_end(row))

    def _so_far(self) -> SoFar:
        """Return copies of what was found."""
        return [*self.loops], [*self.streams], dict(self.ends), set(self.unknown), dict(self.left)

    def _put_back(self, before: SoFar) -> None:
        self.loops, self.streams, self.ends, self.unknown, self.left = before

    def _is_done(self, lag: int = 0) -> bool:
        """Whether the rest only reads last states or, for logits of every step, rows up to `lag` steps away."""
        if not self.traced.per_step:
            return not self._reads_rows(View(self, self.longest).output)
        return all(
            abs(row.step - t) <= lag or self._is_end(row)
            for t, logits in enumerate(self._logits())
            for row in leaves_of(Row, [logits])
        )

    def _logits(self) -> tuple[Node, ...]:
        """Return the rest of the logits of every step of the longest trace."""
        return self.left[self.longest].output.inputs

    def _is_end(self, row: Row) -> bool:
        """Whether a row of the longest trace is the end of a stream."""
        return bool(self._ending_at(row))

    def _ending_at(self, row: Row) -> list[int]:
        """Return the streams of which a row of the longest trace is the end; those of the sequence are its ends."""
        kept = [row.of.number] if isinstance(row.of, Kept) else []
        numbers = self.ends.values() if row.of == INPUT else kept
        return [k for k in numbers if row.step == (0 if self.streams[k].backward else self.longest - 1)]

    @staticmethod
    def _reads_rows(output: Node) -> bool:
        return bool(leaves_of(Row, [output]))

    def _readout(self) -> Node:
        """Return the logits as a function of the last states; constants that always equal the length become it."""
        lengths = (self.middle, self.middle + 1)
        shorter, longer = (View(self, n) for n in lengths)
        parts = [self._on_last_states(view, with_length=False) for view in (shorter, longer)]
        one, two = (part[view.output] for part, view in zip(parts, (shorter, longer), strict=True))
        general = parts[0]
        if one is not two:
            general, other = (self._on_last_states(view, with_length=True) for view in (shorter, longer))
            if general[shorter.output] is not other[longer.output]:
                here, there = first_difference(one, two) or (one, two)
                if here.is_constant and there.is_constant and here.size == there.size:
                    raise differs_by_length(where_of(shorter, parts[0], here))
                raise NotARecurrence(
                    f"the readout after {lengths[0]} steps is not the same computation as after {lengths[1]}.\n"
                    + both_lines(shorter, parts[0], here, longer, parts[1], there)
                )
        for n, node in general.items():
            if n in shorter.origins:
                self.origins.setdefault(node, shorter.origins[n])
        return general[shorter.output]

    def _on_last_states(self, view: View, *, with_length: bool) -> dict[Node, Node]:
        """Return a view's values made of last states; `with_length`, the length replaces constants that equal it."""
        length, known = self.build.given(LENGTH), dict[Node, Node]()
        for n in view.written:
            folded = view.folded[n]
            if isinstance(folded.leaf, Final):
                known[n] = self.last(folded.leaf.number)
            elif with_length and folded is self.build.constant(float(view.length)):
                known[n] = length
        order = topological([view.written[-1]], stop=known)
        made = zip(order, substitute(self.build, order, known), strict=True)
        return {view.folded[n]: node for n, node in made}

    def readout_after(self, steps: int) -> Node | None:
        """Return the logits of a short sequence as a function of the last states, or None."""
        if self.traced.per_step or steps not in self.left or steps >= self.middle:
            return None
        view = View(self, steps)
        try:
            known = self.lasts(topological([view.output]))
        except NeedsState:
            return None
        (readout,) = substitute(self.build, [view.output], known)
        return None if self._reads_rows(readout) else readout

    def _readout_of_steps(self) -> Node:
        """Return the leaf for the logits of each step, from a loop or from an additional one without states."""
        logits, shifted = self._logits()[self.middle], self._shifted()
        order, known = topological([logits]), dict[Node, Node]()
        for n in order:
            if isinstance(row := n.leaf, Row):
                if row.step == self.middle:
                    known[n] = self.build.leaf(row.of, n.size)
                elif n in shifted:
                    known[n] = shifted[n]
                else:
                    known[n] = self._last_of(row)
        nodes = substitute(self.build, order, known)
        for n, node in zip(order, nodes, strict=True):
            if n in self.left[self.longest].origins:
                self.origins.setdefault(node, self.left[self.longest].origins[n])
        if isinstance(nodes[-1].leaf, Kept) and nodes[-1] not in shifted.values():
            return nodes[-1]
        self.streams.append(Stream(nodes[-1], False, None, len(self.loops), ()))
        self.loops.append(Loop((), ()))
        return self.build.leaf(Kept(len(self.streams) - 1), logits.size)

    def _last_of(self, row: Row) -> Node:
        """Return the value of a row that is the end of a stream, made of last states."""
        return self.last(self._ending_at(row)[0])

    def _shifted(self) -> dict[Node, Node]:
        """Add loops that pass rows on to later or earlier steps; return what replaces each row that logits read."""
        all_logits = self._logits()
        order = topological([all_logits[self.middle]])
        rows = {n: row for n in order if isinstance(row := n.leaf, Row) and abs(self.middle - row.step) <= MOST_LAG}
        lags = {n: self.middle - row.step for n, row in rows.items()}
        known = {n: self.build.leaf(rows[n].of, n.size) for n, lag in lags.items() if not lag}
        lags = {n: lag for n, lag in lags.items() if lag}
        # A state for each row, and for those between it and the step, so that each takes over from a closer one.
        states: dict[tuple[bool, Stepwise, int], Node] = {}
        for backward in (False, True):
            for n, lag in lags.items():
                for i in range(1, abs(lag) + 1 if (lag < 0) is backward else 0):
                    key = backward, rows[n].of, i
                    if key not in states:
                        states[key] = self.build.leaf(LoopState(self.states + len(states)), n.size)
        if not states:
            return {}
        known |= {n: states[lag < 0, rows[n].of, abs(lag)] for n, lag in lags.items()}
        (template,) = substitute(self.build, [all_logits[self.middle]], known)
        initial = self._at_edges(template, list(states.values()))
        found = {}
        for backward in (False, True):
            own = [(key, leaf) for key, leaf in states.items() if key[0] is backward]
            if not own:
                continue
            nearer = [
                states[backward, read, i - 1] if i > 1 else self.build.leaf(read, leaf.size)
                for (_, read, i), leaf in own
            ]
            for _, leaf in own:
                found[leaf] = self.build.leaf(Kept(len(self.streams)), leaf.size)
                self.streams.append(Stream(leaf, backward, None, len(self.loops), ()))
            self.loops.append(Loop(tuple(initial[leaf] for _, leaf in own), tuple(nearer), {}, backward))
        return {n: found[known[n]] for n in lags}

    def _at_edges(self, template: Node, states: Sequence[Node]) -> dict[Node, Node]:
        """Return the values before the first row, and after the last one, for states that the logits read."""
        numbers = leaves_of(LoopState, states)
        first, found = numbers[0].number, dict[int, Node]()
        for t in (0, self.longest - 1):
            logits = self._logits()[t]
            order = topological([logits])
            match = Match(dict(zip(order, substitute(self.build, order, {}), strict=True)), first, t)
            try:
                match.add(template, logits)
            except Differs:
                raise self.no_loop() from None
            for i, node in match.states.items():
                rows = {n: row for n in topological([node]) if isinstance(row := n.leaf, Row)}
                ends = {n: self._last_of(row) for n, row in rows.items() if self._is_end(row)}
                if len(ends) == len(rows):
                    (found[i],) = substitute(self.build, [node], ends)
        return {
            leaf: sized(found.get(state.number, self.build.constant(np.zeros(leaf.size))), leaf.size)
            for leaf, state in zip(states, numbers, strict=True)
        }

    def _begin_as_short_sequences(self, readout: Node) -> None:
        """Let states whose initial value no step shows begin as the shortest sequences show."""
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
