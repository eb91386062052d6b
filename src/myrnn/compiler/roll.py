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

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.cut import minimum_cut
from myrnn.compiler.graph import Builder, Node, substitute, topological
from myrnn.compiler.loops import Loop, Recurrence, Unrolled, placeholders, prove, rewritten
from myrnn.compiler.probe import ADVICE, Traces, first_difference, lengths_for, longest_of, middle_of, told
from myrnn.compiler.trace import Origin, Trace
from myrnn.errors import NotARecurrence

# More loops than this have no model that can be understood.
MOST_LOOPS = 32

BEGIN = "  Begin with states that every step can read, such as np.zeros((1, D)).\n"


def roll(traced: Traces) -> Recurrence:
    """Find the loops in traces, and prove them at all lengths.

    Raises
    ------
    NotARecurrence
        When there are none; the message shows the user's line and what differs.
    """
    traces = dict(sorted(traced.by_length.items()))
    if 0 in traces:
        # An empty sequence shows where all states begin, but a model may do something else altogether with it.
        with suppress(NotARecurrence):
            return _proved(traced, traces)
    return _proved(traced, {length: trace for length, trace in traces.items() if length})


def _proved(traced: Traces, traces: dict[int, Trace]) -> Recurrence:
    wanted: dict[int, list[tuple[Node, ...]]] = {}
    tables = Builder(), Builder(fold=False)
    while True:
        try:
            found = _Search(traced, traces, wanted, *tables).result()
            break
        except _NeedsState as needed:
            if needed.stream.around in wanted.get(needed.stream.loop, []):
                raise NotARecurrence(
                    f"the last value of a loop's steps is read that it does not hand on.\n{ADVICE}"
                ) from None
            wanted.setdefault(needed.stream.loop, []).append(needed.stream.around)
    for trace in traces.values():
        prove(found, trace)
    return found


# The search -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stream:
    """What the rest of the model reads of a loop, of every step or at its end."""

    node: Node
    backward: bool
    # What it is at the end, made of last states; None where it is no state, and made of none.
    last: Node | None
    loop: int
    # What stands there in the longest trace around the middle.
    around: tuple[Node, ...]


class _NeedsState(Exception):
    """Raised where the last value of a stream is read that is no state."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__()
        self.stream = stream


Label = tuple[Node, int]
"""What a node is: a node of the step, and at which step."""


class _Search:
    """Finds one loop after the other, from the sequence to the logits."""

    def __init__(
        self,
        traced: Traces,
        traces: Mapping[int, Trace],
        wanted: Mapping[int, list[tuple[Node, ...]]],
        build: Builder,
        flat: Builder,
    ) -> None:
        self.traced, self.middle, self.longest = traced, middle_of(traced.back), longest_of(traced.back)
        # In this table computations on constants are numbers; in the other they stand as they were written.
        self.build, self.flat = build, flat
        # What has to be a state of each loop beside what it needs itself.
        self.wanted = wanted
        self.loops: list[Loop] = []
        self.streams: list[_Stream] = []
        # Of the sequence itself: the stream that has its last row, or its first, at its end.
        self.ends: dict[bool, int] = {}
        # States of which no step shows where they begin.
        self.unknown: set[int] = set()
        self.origins: dict[Node, Origin] = {}
        # What is left of each trace: what loops have computed are leaves ``row``, of a step and a stream.
        self.left = {n: rewritten(traces[n], self.flat) for n in sorted(lengths_for(traced.back)) if n in traces}
        # Those of the shortest sequences as they are, also of an empty one with which the model does something else.
        self.whole = {n: rewritten(trace, self.flat) for n, trace in traced.by_length.items() if n < 2}

    @property
    def states(self) -> int:
        """How many states there are so far."""
        return sum(len(loop.step) for loop in self.loops)

    def result(self) -> Recurrence:
        """Return the loops and the readout, unproved."""
        if not self._reads_rows(self.left[self.longest].output):
            raise NotARecurrence(
                "the model's logits do not depend on the sequence: there is no loop to compile.\n" + ADVICE
            )
        while self._reads_rows(_View(self, self.longest).output):
            if len(self.loops) == MOST_LOOPS or not (
                _Finder(self, backward=False).found() or _Finder(self, backward=True).found()
            ):
                raise self.no_loop()
        readout = self._readout()
        self._begin_as_short_sequences(readout)
        read = topological([*(n for loop in self.loops for n in loop.step), *(s.node for s in self.streams)])
        used = {n.attributes[0] for n in read if n.operation == "kept"}
        loops = tuple(
            replace(loop, kept={k: s.node for k, s in enumerate(self.streams) if s.loop == i and k in used})
            for i, loop in enumerate(self.loops)
        )
        traced = self.traced
        return Recurrence(traced.dim_input, loops, readout, self.origins, traced.parameter_names, traced.shapes)

    def no_loop(self) -> NotARecurrence:
        """Return the refusal of a model that reads rows, or steps of its loops, in another way than step by step."""
        view = _View(self, self.longest)
        order = topological([view.output])
        rows = [n for n in order if n.operation == "row"]
        row = rows[len(rows) // 2]
        reader = next((n for n in order if row in n.inputs and n in view.origins), row)
        t, *stream = row.attributes
        what = "what a loop has computed at step" if stream else "element"
        return NotARecurrence(
            f"the model reads {what} {t} of a sequence of {view.length} in a way that is no loop over the whole.\n"
            f"  {view.origins.get(reader, Origin())}\n{ADVICE}"
        )

    @staticmethod
    def _reads_rows(output: Node) -> bool:
        return any(n.operation == "row" for n in topological([output]))

    def last(self, leaf: Node) -> Node:
        """Return the last value of a stream, made of last states."""
        stream = self.streams[leaf.attributes[0]]
        if stream.last is None:
            raise _NeedsState(stream)
        return stream.last

    def finals(self) -> dict[Node, Node]:
        """Return what last states are in a view."""
        return {
            s.last: self.build.leaf("final", k, size=s.node.size)
            for k, s in enumerate(self.streams)
            if s.last is not None and s.last.operation == "state"
        }

    def _readout(self) -> Node:
        """Return the logits on the last states; constants that equal the length at both lengths become the length."""
        lengths = (self.middle, self.middle + 1)
        shorter, longer = (_View(self, n) for n in lengths)
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
                    + _both(shorter, parts[0], here, longer, parts[1], there)
                )
        for n, node in parts[0].items():
            if n in shorter.origins:
                self.origins.setdefault(general[node], shorter.origins[n])
        return general[one]

    def _begin_as_short_sequences(self, readout: Node) -> None:
        """Let states of which no step shows where they begin do so as the shortest sequences show it."""
        last = dict(zip(placeholders(self.build, [n.size for n in self._steps()]), self._steps(), strict=True))
        for length, output in ((0, readout), (1, substitute(self.build, [readout], last)[0])):
            if not self.unknown or length not in self.whole or len(self.loops) > 1:
                continue
            order = topological([self.whole[length].output])
            shown = _Match(dict(zip(order, substitute(self.build, order, {}), strict=True)), 0, 0)
            with suppress(_Differs):
                shown.add(output, order[-1])
            (loop,) = self.loops
            initial = list(loop.initial)
            for i in self.unknown & set(shown.states):
                initial[i] = _sized(shown.states[i], initial[i].size)
            self.unknown -= set(shown.states)
            self.loops = [replace(loop, initial=tuple(initial))]

    def _steps(self) -> list[Node]:
        return [node for loop in self.loops for node in loop.step]


class _View:
    """What is left of a trace as a loop in one direction sees it.

    Rows are numbered in its order, and the last value of each stream is a leaf ``final``.
    """

    def __init__(self, search: _Search, length: int, *, backward: bool = False) -> None:
        left = search.left[length]
        self.length, self.order = length, topological([left.output])

        def seen(row: Node) -> Node:
            t, *stream = row.attributes
            return leaf_of(search, search.flat, length - 1 - t if backward else t, length, stream, row.size, backward)

        known = {n: seen(n) for n in self.order if n.operation == "row"}
        # The nodes of `order` with rows as they are seen here, as they were written, and computed where they can be.
        self.written = substitute(search.flat, self.order, known)
        self.nodes = substitute(search.build, self.written, {})
        self.output = self.nodes[-1]
        self.folded = dict(zip(self.written, self.nodes, strict=True))
        self.origins = {
            n: left.origins[old] for old, n in zip(self.order, self.nodes, strict=True) if old in left.origins
        }


def leaf_of(
    search: _Search, build: Builder, step: int, length: int, stream: Sequence[int], size: int, backward: bool
) -> Node:
    """Return the leaf for what stands in a stream, or in the sequence, at a step of a loop in one direction."""
    is_last = {False: length - 1, True: 0}
    t = length - 1 - step if backward else step
    if stream and t == is_last[search.streams[stream[0]].backward]:
        return build.leaf("final", *stream, size=size)
    for end, number in search.ends.items():
        if not stream and t == is_last[end]:
            return build.leaf("final", number, size=size)
    return build.leaf("row", step, *stream, size=size)


class _Differs(Exception):
    """Raised where a node is not what a step computes."""

    def __init__(self, template: Node, node: Node) -> None:
        super().__init__()
        self.template, self.node = template, node


class _Match:
    """Holds what a step, or the readout, computes against a node, and notes what the states in it are.

    `node` is as it was written; where it is a number, it does not show what it was made of.
    """

    def __init__(self, folded: Mapping[Node, Node], first: int, step: int) -> None:
        self._folded, self._first, self._step = folded, first, step
        # The number of a state -> what it is.
        self.states: dict[int, Node] = {}
        # What is a number, with it; and what is made of a state that is another one elsewhere.
        self.hidden: dict[Node, Node] = {}
        self.parted: list[Node] = []
        self._readers: dict[int, Node] = {}
        self._seen: set[tuple[Node, Node]] = set()

    def add(self, template: Node, node: Node) -> None:
        """Hold a node against a template.

        Raises
        ------
        _Differs
        """
        stack = [(template, node, template)]
        while stack:
            ours, its, reader = stack.pop()
            if (ours, its) in self._seen:
                continue
            self._seen.add((ours, its))
            folded = self._folded[its]
            if ours is folded:
                continue
            if ours.operation == "state" and ours.attributes[0] >= self._first:
                self._note(ours, folded, reader)
            elif ours.operation in ("input", "kept"):
                is_row = its.operation == "row" and its.attributes == (self._step, *ours.attributes)
                if not is_row and not (its.operation == "final" and its.attributes == ours.attributes):
                    raise _Differs(ours, its)
            elif ours.inputs and folded.is_constant:
                if self._reads_states_alone(ours):
                    self.hidden[ours] = folded
            elif (ours.operation, ours.attributes, ours.size, len(ours.inputs)) == (
                its.operation, its.attributes, its.size, len(its.inputs)
            ):  # fmt: skip
                stack += ((i, j, ours) for i, j in zip(ours.inputs, its.inputs, strict=True))
            elif ours.inputs and self._step == 0 and self._reads_states_alone(ours):
                self.parted.append(ours)
            elif ours.operation != "state":
                raise _Differs(ours, its)

    def _note(self, state: Node, node: Node, reader: Node) -> None:
        (i,) = state.attributes
        known, other = self.states.setdefault(i, node), self._readers.setdefault(i, reader)
        if known.size < node.size:
            self.states[i] = node
        elif known is not node and known.size == node.size:
            parted = [n for n in (reader, other) if n.inputs and self._reads_states_alone(n)]
            if not parted:
                raise _Differs(state, node)
            self.parted += parted
            if other in parted:
                self.states[i], self._readers[i] = node, reader

    @staticmethod
    def _reads_states_alone(node: Node) -> bool:
        return not any(n.operation in ("input", "kept") for n in topological([node]))


def _sized(node: Node, size: int) -> Node:
    return node if node.size == size else node.build.make("expand", node, size=size)


class _Finder:
    """Finds the loop of one direction that is nearest to the sequence."""

    def __init__(self, search: _Search, *, backward: bool) -> None:
        self.search, self.build, self.backward = search, search.build, backward
        self.middle, self.first = search.middle, search.states
        self.views = {n: _View(search, n, backward=backward) for n in search.left}
        self.view = self.views[search.longest]
        self.order = topological([self.view.output])
        # The step of each node that belongs to a loop: that of the last row that it is made of.
        self.position: dict[Node, int] = {}
        # What is made of a single row.
        self.of_one_row: set[Node] = set()
        # What the first step has numbers for, where these do not show how a state begins.
        self.hidden: list[tuple[Node, ...]] = []
        # What is made of the present row of the sequence alone.
        self.of_input: dict[Node, None] = {}
        self._place()

    def _place(self) -> None:
        shared = set(self.views[self.search.longest - 1].nodes)
        # What only the last steps compute is in the traces of which these are the last.
        ends = [self._as_rows(length) for length in range(self.middle, self.middle + 5)]
        for one, other in pairwise(ends):
            both, here = set(one) & set(other), set(self.order)
            self.order += [n for n in one if n in both and n not in here]
            shared |= both
        for node in self.order:
            self._note_step(node)
        # What reads no row belongs to the step that reads it first, or to the last one of the shortest sequence that
        # computes it; what the shortest of all compute is the same at every step.
        first: dict[Node, int] = {}
        for length in sorted(self.views, reverse=True):
            first |= dict.fromkeys(self.views[length].nodes, length - 1)
        for node in reversed(self.order):
            step = self.position.get(node, first.get(node))
            for i in node.inputs:
                if step is not None:
                    first[i] = min(step, first.get(i, step))
        computed = (n for n in self.order if n.inputs and n in shared and n not in self.position)
        self.changing = {n: first[n] for n in computed if first.get(n, 0) >= 2}
        self.position |= self.changing
        self.inside = [n for n in self.order if n in self.position and n in shared]

    def _note_step(self, node: Node) -> None:
        read = [i for i in node.inputs if i in self.position]
        steps = {self.position[i] for i in read}
        if node.operation == "row":
            steps = {node.attributes[0]}
        if steps:
            self.position[node] = max(steps)
            if node.operation == "row" or (len(steps) == 1 and self.of_one_row.issuperset(read)):
                self.of_one_row.add(node)

    # Steps -----------------------------------------------------------------------------------------------------------

    def found(self) -> bool:
        """Find the loop and hand it to the search; return whether there is one."""
        forced, beside = list(self.search.wanted.get(len(self.search.loops), ())), list[tuple[Node, ...]]()
        while True:
            loop, template, cut = self._loop(forced, beside)
            if hidden := [around for around in self.hidden if around not in forced + beside]:
                # Until all states begin rightly, what the loop computes is not what was traced.
                beside += hidden
                continue
            labels = {n: self._labels(loop, template, view) for n, view in self.views.items()}
            if not (forced or self.hidden) and set(self.view.nodes).issuperset(cut):
                self._check_all_steps(loop, labels[self.search.longest])
            kept, ends = self._read_outside(labels[self.search.longest])
            longest = labels[self.search.longest]
            streams = {node: self._stream(node, longest, cut) for node in [*kept, *(node for node, _ in ends)]}
            # What is read some steps before the end is handed on step by step.
            more = [
                self._around(longest, n, i) for n, lag in ends if lag or streams[n].last is None for i in range(lag + 1)
            ]
            more = [around for around in dict.fromkeys(more) if around not in forced + beside]
            if not more:
                break
            forced += more
        if not loop.step:
            return False
        before = self.search.left[self.search.longest].output, dict(self.search.ends)
        self._hand_over(loop, template, labels, list(streams.values()), set(kept), {n for n, lag in ends if not lag})
        if before == (self.search.left[self.search.longest].output, self.search.ends):
            raise self.search.no_loop()
        return True

    def _loop(
        self, forced: Sequence[tuple[Node, ...]], beside: Sequence[tuple[Node, ...]]
    ) -> tuple[Loop, dict[Node, Node], list[Node]]:
        m = self.middle
        cuts = [
            self._cut(t, *([around[t - m + 1] for around in some] for some in (forced, beside)))
            for t in (m - 1, m, m + 1)
        ]
        cuts = self._side_by_side(cuts)
        template, again = self._step(cuts[0], cuts[1], m), self._step(cuts[1], cuts[2], m + 1)
        step = tuple(template[n] for n in cuts[1])
        later = tuple(again[n] for n in cuts[2])
        if step != later:
            here, there = next(pair for pair in zip(step, later, strict=True) if pair[0] is not pair[1])
            here, there = first_difference(here, there) or (here, there)
            raise NotARecurrence(
                f"step {m + 1} of the model is not the same computation as step {m}.\n"
                + _both(self.view, again, there, self.view, template, here)
            )
        initial, hidden, firsts = self._initial(step, cuts[1])
        leaves = placeholders(self.build, [n.size for n in step], self.first)
        before = [self.search.finals() | dict(zip(leaves, cut, strict=True)) for cut in cuts]
        # What they are before each of three steps.
        self.hidden = list(zip(*(substitute(self.build, hidden, known) for known in before), strict=True))
        if firsts:
            template = self._begun(template, step, firsts)
            step = tuple(template[n] for n in cuts[1])
        return Loop(initial, step, {}, self.backward), template, cuts[1]

    def _begun(
        self, template: dict[Node, Node], step: tuple[Node, ...], firsts: Mapping[int, Node]
    ) -> dict[Node, Node]:
        """Return a step of which some states are something else at the first one."""
        is_first = ops.equal(self.build.leaf("time", self.backward, size=1), 0.0)
        chosen = {step[i]: ops.select(is_first, first, step[i]) for i, first in firsts.items()}
        order = topological(dict.fromkeys(template.values()))
        done: dict[Node, Node] = {}
        for node in order:
            made = self.build.rebuild(node, [done[i] for i in node.inputs])
            done[node] = ops.select(is_first, firsts[step.index(node)], made) if node in chosen else made
        return {node: done[made] for node, made in template.items()}

    def _side_by_side(self, cuts: Sequence[list[Node]]) -> list[list[Node]]:
        """Return the states after three steps in one order: the same computation is the same state."""
        kinds = self._kinds({})
        deeper = self._kinds(kinds)
        place = {node: i for i, node in enumerate(self.order)}
        middle = sorted(cuts[1], key=place.__getitem__)
        ordered = []
        for step, cut in enumerate(cuts, self.middle - 1):
            left = sorted(cut, key=place.__getitem__)
            mine: list[Node] = []
            for state in middle:
                kind = (kinds[state], self.middle - self.position[state])
                late = [n for n in left if step - self.position[n] == kind[1]]
                # What is old may be made of what states begin with; and where a step differs, that is told later.
                alike = [n for n in late if kinds[n] == kind[0]] or [n for n in late if n.size == state.size]
                if not alike:
                    raise self._looks_back(max(cuts, key=len))
                found = next((n for n in alike if deeper[n] == deeper[state]), alike[0])
                left.remove(found)
                mine.append(found)
            if left:
                raise self._looks_back(max(cuts, key=len))
            ordered.append(mine)
        return ordered

    def _kinds(self, known: dict[Node, int]) -> dict[Node, int]:
        """Return a number for every node: the same where a step makes it in the same way of what steps before made.

        Of the latter it tells the size, or the number that is `known`.
        """
        numbers: dict[Any, int] = {}
        found: dict[Node, int] = {}
        for node in self.order:
            step = self.position.get(node, -1)
            made = tuple(
                (self.position[i] - step, found[i] if self.position[i] == step else known.get(i, i.size))
                if i in self.position
                else id(i)
                for i in node.inputs
            )
            which = node.attributes[1:] if node.operation == "row" else node.attributes
            found[node] = numbers.setdefault((node.operation, which, node.size, made), len(numbers))
        return found

    def _cut(self, step: int, forced: Sequence[Node], beside: Sequence[Node]) -> list[Node]:
        """Return the states after a step: the fewest numbers that carry all that later steps read, and `forced`.

        Those of `beside` are states in any case.
        """
        carried = {
            i: None
            for n in self.inside
            if self.position[n] > step
            for i in n.inputs
            if self.position.get(i, step + 1) <= step
        }

        computed = set(self._as_rows(step + 1))

        def cost(node: Node) -> float:
            # What is made of a single row alone is no state: the loop would be a step late.
            # Of cuts that are alike, take the one that the last step computes in any case, of what is new.
            odd = (node not in computed) + (self.position[node] < step)
            return inf if node in self.of_one_row else node.size + odd / 2.0**10

        # What only the last step of the trace computes is unrolled for the others.
        for node in topological(forced, stop=self.position):
            if node not in self.position:
                self._note_step(node)
                self.order.append(node)
        # What is made of a single row stands beside the cut: that row would do for all that is made of it, and the loop
        # would be a step late.
        rows = [n for n in carried if n in self.of_one_row]
        late = [*minimum_cut(rows, (), lambda n: n.size), *(n for n in forced if n in self.of_one_row)]
        states = minimum_cut([n for n in [*carried, *forced] if n not in self.of_one_row], self.changing, cost)
        return list(dict.fromkeys([*states, *late, *beside]))

    def _as_rows(self, length: int) -> list[Node]:
        """Return what a trace computes, with the last value of each stream as that of its step."""
        view = self.views[length]
        finals = [n for n in view.nodes if n.operation == "final"]
        rows = {n: self.build.leaf("row", length - 1, *n.attributes, size=n.size) for n in finals}
        return substitute(self.build, view.nodes, rows)

    def _step(self, before: Sequence[Node], after: Sequence[Node], step: int) -> dict[Node, Node]:
        """Return all that is computed at a step, and the states after it, with placeholders for what it reads."""
        leaves = placeholders(self.build, [n.size for n in before], self.first)
        known = dict(zip(before, leaves, strict=True))
        targets = [*(n for n in self.inside if self.position[n] == step), *after]
        order = topological(targets, stop=known)
        for node in order:
            if node in known:
                continue
            if node.operation == "row":
                t, *stream = node.attributes
                if t != step:
                    reader = next((n for n in order if node in n.inputs), node)
                    raise NotARecurrence(_reads_a_row(node, reader, self.view, step))
                known[node] = self.build.leaf("kept" if stream else "input", *stream, size=node.size)
            elif node.operation == "final":
                known[node] = self.search.last(node)
        return dict(zip(order, substitute(self.build, order, known), strict=True))

    def _initial(
        self, step: tuple[Node, ...], cut: Sequence[Node]
    ) -> tuple[tuple[Node, ...], list[Node], dict[int, Node]]:
        """Return the states before the first step, which going back from those in the middle shows.

        Where nothing shows a state (NumPy did the arithmetic, or only what follows the loop reads it), it is zero.
        Return also what the first step has numbers for, if there is such a state; and by its place what a state is
        after the first step, where that does something else.
        """
        written = dict(zip(self.view.nodes, self.view.written, strict=True))
        after: dict[int, Node] = dict(enumerate(cut, self.first))
        for t in range(self.middle, 0, -1):
            match = _Match(self.view.folded, self.first, t)
            for i, node in after.items():
                if node in written:
                    try:
                        match.add(step[i - self.first], written[node])
                    except _Differs as differs:
                        raise self._parted(differs, t) from None
            after = match.states
        odd, match, found = self._before_the_first(step, after, written)
        self.search.unknown |= {i for i in range(self.first, self.first + len(step)) if i not in match.states}
        leaves = placeholders(self.build, [n.size for n in step], self.first)
        at_first = dict(zip(leaves, found, strict=True))
        begun = substitute(self.build, list(match.hidden), at_first)
        # A number that serves for every element is written once.
        shown = [
            n.is_constant and np.all(n.numbers == m.numbers) for n, m in zip(begun, match.hidden.values(), strict=True)
        ]
        hidden = [n for n, is_shown in zip(match.hidden, shown, strict=True) if not is_shown]
        firsts = {i - self.first: self._first_step(after[i], step[i - self.first].size) for i in sorted(odd)}
        return tuple(found), list(dict.fromkeys([*match.parted, *hidden])), firsts

    def _before_the_first(
        self, step: tuple[Node, ...], after: Mapping[int, Node], written: Mapping[Node, Node]
    ) -> tuple[set[int], _Match, list[Node]]:
        """Return the states of which the first step is another one, and what the states are before it."""
        odd: set[int] = set()
        while True:
            match = _Match(self.view.folded, self.first, 0)
            before = set(odd)
            for i, node in after.items():
                if i not in odd and node in written:
                    try:
                        match.add(step[i - self.first], written[node])
                    except _Differs:
                        odd.add(i)
                        break
            if odd != before:
                continue
            found = []
            for i, node in enumerate(step, self.first):
                start = match.states.get(i) or self.build.constant(np.zeros(node.size))
                order = topological([start])
                if any(n.operation == "row" for n in order):
                    # It begins with a row: then the first step is what is made of that.
                    readers = {j for j, made in enumerate(step, self.first) if self._reads(made, i)}
                    odd |= readers & set(after)
                    start = self.build.constant(np.zeros(node.size))
                else:
                    finals = {n: self.search.last(n) for n in order if n.operation == "final"}
                    (start,) = substitute(self.build, [start], finals)
                found.append(_sized(start, node.size))
            if odd == before:
                return odd, match, found

    @staticmethod
    def _reads(node: Node, state: int) -> bool:
        return any(n.operation == "state" and n.attributes[0] == state for n in topological([node]))

    def _first_step(self, node: Node, size: int) -> Node:
        """Return what the first step computes, with placeholders for what it reads."""
        order, known = topological([node]), dict[Node, Node]()
        for n in order:
            if n.operation == "final":
                known[n] = self.search.last(n)
            elif n.operation == "row":
                step, *stream = n.attributes
                if step:
                    raise NotARecurrence(_reads_a_row(n, node, self.view, 0))
                known[n] = self.build.leaf("kept" if stream else "input", *stream, size=n.size)
        return _sized(substitute(self.build, [node], known)[0], size)

    # What the rest reads ---------------------------------------------------------------------------------------------

    def _labels(self, loop: Loop, template: dict[Node, Node], view: _View) -> dict[Node, list[Label]]:
        """Return which nodes of a view the loop computes, with all that each is."""
        build, search = self.build, self.search
        own = set(placeholders(build, [n.size for n in loop.step], self.first))
        # What the loop is for: its states, what they are made of, and what is made of them alone. The rest can compute
        # by itself what it reads of a row.
        tied, needed, mixed, fixed = set(own), set(topological(loop.step)), set[Node](), set[Node]()
        for node in topological(dict.fromkeys(template.values())):
            if node.operation == "kept" or any(i in mixed for i in node.inputs):
                mixed.add(node)
            if any(i in tied for i in node.inputs):
                tied.add(node)
        nodes = [
            n for n in dict.fromkeys([*template.values(), *loop.step]) if n in tied and (n in needed or n not in mixed)
        ]
        self.of_input = {build.leaf("input", size=search.traced.dim_input): None}
        for node in topological(dict.fromkeys(template.values())):
            read = [i for i in node.inputs if i not in fixed]
            if read and all(i in self.of_input for i in read):
                self.of_input[node] = None
            elif not read and node.operation not in ("input", "kept", "state"):
                fixed.add(node)
        nodes += self.of_input
        sizes = {(): search.traced.dim_input} | {(k,): s.node.size for k, s in enumerate(search.streams)}

        def leaf(stream: tuple[int, ...], size: int, t: int) -> tuple[Node, Node]:
            name = build.leaf("kept" if stream else "input", *stream, size=size)
            return name, leaf_of(search, build, t, view.length, stream, size, self.backward)

        rows = {t: dict(leaf(stream, size, t) for stream, size in sizes.items()) for t in range(view.length)}
        unrolled = Unrolled(replace(loop, backward=False), self.first, rows, search.finals(), build)
        labels: dict[Node, list[Label]] = {}
        for t, found in enumerate(unrolled.after(nodes, view.length)):
            for node, one in zip(nodes, found, strict=True):
                if not one.is_constant and one.operation != "parameter":
                    labels.setdefault(one, []).append((node, t))
        return labels

    def _check_all_steps(self, loop: Loop, labels: dict[Node, list[Label]]) -> None:
        """See that the longest trace goes on with the loop after the step that was looked at."""
        present, last = set(self.order), self.view.length - 2
        seen = {label for node, several in labels.items() if node in present for label in several}
        for t in range(self.middle, last):
            if not loop.step or any((node, t) in seen for node in loop.step):
                continue
            odd = [n for n in self.inside if n not in labels and any(i in labels for i in n.inputs)]
            odd = [n for n in odd if self.position[n] >= t - 1 and n in self.view.origins] or self.inside
            raise NotARecurrence(
                f"step {self.position[odd[0]]} of the model is not the same computation as step {self.middle}.\n"
                f"  {self.view.origins.get(odd[0], Origin())}      <- {told(odd[0])} here\n{ADVICE}"
            )

    def _read_outside(self, labels: dict[Node, list[Label]]) -> tuple[list[Node], list[Label]]:
        """Return what the rest reads of every step, and what it reads at the end, with how many steps before it."""
        reached = topological([self.view.output], stop=labels)
        readers = Counter(i for node in reached if node not in labels for i in set(node.inputs) if i in labels)
        if self.view.output in labels:
            readers[self.view.output] += 1
        end, kept, ends = self.view.length - 1, dict[Node, None](), dict[Label, None]()
        often: Counter[Label] = Counter()
        for node, count in readers.items():
            for label in labels[node]:
                often[label] += count
        for node in readers:
            for template, t in labels[node]:
                if t == self.middle and template.operation != "state" and template not in self.of_input:
                    kept[template] = None
        for node in readers:
            of_kept = [one for one in labels[node] if one[0] in kept]
            template, t = max(of_kept or labels[node], key=lambda one: one[1])
            if of_kept:
                if t == end and often[template, end] > often[template, self.middle]:
                    ends[template, 0] = None
            elif t >= end - self.search.traced.back and (
                template not in self.of_input or often[template, t] > often[template, self.middle]
            ):
                ends[template, end - t] = None
        return list(kept), list(ends)

    def _around(self, labels: dict[Node, list[Label]], template: Node, lag: int = 0) -> tuple[Node, ...]:
        where = {label: node for node, several in labels.items() for label in several}
        wanted = [(template, self.middle + i - lag) for i in (-1, 0, 1)]
        if not all(one in where for one in wanted):
            raise self._looks_back([])
        return tuple(where[one] for one in wanted)

    def _stream(self, template: Node, labels: dict[Node, list[Label]], cut: Sequence[Node]) -> _Stream:
        """Return the stream of a node of the step."""
        around = self._around(labels, template)
        known = dict(zip(cut, placeholders(self.build, [n.size for n in cut], self.first), strict=True))
        order = topological([around[1]], stop=known)
        last = None
        if not any(n.operation == "row" and n not in known for n in order):
            ends = {n: self.search.last(n) for n in order if n.operation == "final" and n not in known}
            (last,) = substitute(self.build, [around[1]], {**known, **ends})
        return _Stream(template, self.backward, last, len(self.search.loops), around)

    def _hand_over(
        self,
        loop: Loop,
        template: dict[Node, Node],
        labels: Mapping[int, dict[Node, list[Label]]],
        streams: Sequence[_Stream],
        kept: Collection[Node],
        ends: Collection[Node],
    ) -> None:
        """Give the loop to the search, and write what is left of the traces on what it hands on."""
        search = self.search
        numbers = {s.node: len(search.streams) + i for i, s in enumerate(streams)}
        search.loops.append(loop)
        search.streams += streams
        # A state that holds an older value has its own name only where the sequence ends.
        last = self.views[self.middle + 1]
        named = {
            template: last.origins[node]
            for node, several in labels[self.middle + 1].items()
            for template, t in several
            if t == self.middle and template.operation == "state" and node in last.origins
        }
        for node, one in template.items():
            if one in named or node in self.view.origins:
                search.origins.setdefault(one, named.get(one) or self.view.origins[node])
        for s in streams:
            if s.node.operation == "input":
                search.ends[self.backward] = numbers[s.node]
        for length, view in self.views.items():
            left, known = search.left[length], {}
            for old, node in zip(view.order, view.nodes, strict=True):
                for one, t in labels[length].get(node, ()):
                    if one.operation != "input" and (one in kept or (one in ends and t == length - 1)):
                        step = length - 1 - t if self.backward else t
                        known[old] = search.flat.leaf("row", step, numbers[one], size=old.size)
                        break
            order = topological([left.output], stop=known)
            nodes = substitute(search.flat, order, known)
            origins = {new: left.origins[old] for old, new in zip(order, nodes, strict=True) if old in left.origins}
            search.left[length] = Trace(length, nodes[-1], origins)

    # What errors show ------------------------------------------------------------------------------------------------

    def _parted(self, differs: _Differs, step: int) -> NotARecurrence:
        begin = BEGIN if step == 0 else ""
        written = dict(zip(self.view.written, self.view.nodes, strict=True))
        line = self.view.origins.get(written.get(differs.node, differs.node), Origin())
        return NotARecurrence(
            f"step {step} of the model is not the same computation as the steps after it.\n{begin}"
            f"  {line}      <- {told(differs.node)} here, {told(differs.template)} there\n{ADVICE}"
        )

    def _looks_back(self, cut: Sequence[Node]) -> NotARecurrence:
        return NotARecurrence(
            f"what the model carries on after {self.middle} steps is not what it carries on after {self.middle + 1}:\n"
            "  it looks back at more than its last states.\n"
            f"  {next((self.view.origins[n] for n in cut if n in self.view.origins), Origin())}\n{ADVICE}"
        )


def _both(
    one: _View, ours: Mapping[Node, Node], here: Node, other: _View, its: Mapping[Node, Node], there: Node
) -> str:
    """Return lines that show what is computed here, and what there."""
    first, second = (_where(*known) for known in ((one, ours, here), (other, its, there)))
    if first == second:
        return f"  {first}      <- {told(here)} here, {told(there)} there\n{ADVICE}"
    return f"  {first}      <- {told(here)} here\n  {second}      <- {told(there)} there\n{ADVICE}"


def _where(view: _View, part: Mapping[Node, Node], node: Node) -> Origin:
    """Return the user's line of a node of a part, or of what reads it where it has none."""
    wanted = [n for n, made in part.items() if made is node]
    wanted += [n for n, made in part.items() if node in made.inputs]
    return next((view.origins[n] for n in wanted if n in view.origins), Origin())


def _reads_a_row(row: Node, reader: Node, view: _View, step: int) -> str:
    return (
        f"the model reads element {row.attributes[0]} of a sequence of {view.length} at step {step}, and not so at\n"
        f"  every length.\n  {view.origins.get(reader, Origin())}\n{ADVICE}"
    )
