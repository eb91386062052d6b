"""Find the loop closest to the sequence, in one direction: its states, its step, and the values that the rest reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from math import inf

from myrnn.compiler.alignment import Alignment
from myrnn.compiler.beginning import BeginningFinder
from myrnn.compiler.differences import ADVICE, both_lines, describe, first_difference, reads_a_row, where
from myrnn.compiler.found import Found, LaggedRow, PassedValue, View, leaf_of
from myrnn.compiler.graph import Node, substitute, topological
from myrnn.compiler.labels import Around, FoundLoop, Label, Labels
from myrnn.compiler.leaves import Final, Kept, LoopState, Row, Stepwise
from myrnn.compiler.loops import Loop, placeholders
from myrnn.compiler.record import Origin
from myrnn.compiler.states import Variables, minimum_cut
from myrnn.compiler.steps import Positions, in_turn
from myrnn.compiler.trace import Trace
from myrnn.errors import NotARecurrence

# A value that reads no row, and is read at this many steps or more, is constant.
MANY = 4


def _known(several: Sequence[Around], place: int) -> list[Node]:
    """Return those of the values that are known in a step."""
    return [node for around in several if (node := around[place]) is not None]


class Finder:
    """Finds the loop of one direction that is closest to the sequence.

    `together`, the carried states are chosen together with the values that the rest reads. `sparing`, it leaves out
    what begins in the other direction.
    """

    def __init__(self, so_far: Found, *, backward: bool, together: bool, sparing: bool) -> None:
        self.so_far, self.build, self.backward = so_far, so_far.build, backward
        self.together, self.sparing = together, sparing
        self.middle, self.first, self.period = so_far.middle, so_far.states, so_far.evidence.period
        # The steps to compare: the one before, all kinds of steps, and the first kind again; before these as many as
        # there are kinds, if they differ.
        self.around = range(self.middle - 1 - self.period * (self.period > 1), self.middle + self.period + 1)
        self.views = {n: View(so_far, n, backward=backward) for n in so_far.left}
        self.view = self.views[so_far.longest]
        self.placed, self.changing, self.inside = self._place()
        self.variables = Variables(self.views, self.placed.order, self.inside, self.placed.step)

    def _place(self) -> tuple[Positions, Collection[Node], list[Node]]:
        """Return where all nodes are, those of them that read no row but belong to a step, and those of the loop."""
        order, shared = dict.fromkeys(topological([self.view.output])), set[Node]()
        apart = self.so_far.traced.apart
        # Nodes that only the last steps compute are in the traces in which these steps are the last.
        longest = [self.views[self.so_far.longest - i].nodes for i in range(2 * apart)]
        ends = [self._as_rows(length) for length in range(self.middle, self.middle + 5)]
        for traces, new in (longest, apart), (ends, len(ends)):
            for one, other in combinations(range(len(traces)), 2):
                if other - one <= apart:
                    shared |= {*traces[one]} & {*traces[other]}
            order |= dict.fromkeys(n for nodes in traces[:new] for n in nodes if n in shared)
        placed = Positions().including(order)
        # A node that reads no row belongs to the first step that reads it, or to the last step of the shortest sequence
        # that computes it; nodes that the shortest of all computes are constant.
        first: dict[Node, int] = {}
        for length in sorted(self.views, reverse=True):
            first |= dict.fromkeys(self.views[length].nodes, length - 1)
        for node in reversed(placed.order):
            step = placed.step.get(node, first.get(node))
            for i in node.inputs:
                if step is not None:
                    first[i] = min(step, first.get(i, step))
        computed = [n for n in placed.order if n.inputs and n in shared and n not in placed.step]
        fixed = self._fixed(computed, placed)
        changing = {n: first[n] for n in computed if first.get(n, 0) >= 2 and n not in fixed}
        placed = replace(placed, step={**placed.step, **changing})
        inside = [n for n in placed.order if n in placed.step and n in shared]
        return placed, changing.keys(), inside

    @staticmethod
    def _fixed(nodes: Sequence[Node], placed: Positions) -> set[Node]:
        """Return the nodes that many steps read, and their inputs: they are constant."""
        readers: dict[Node, set[int]] = {n: set() for n in nodes}
        for node in placed.order:
            for i in node.inputs:
                if i in readers and node in placed.step:
                    readers[i].add(placed.step[node])
        return set(topological([n for n, steps in readers.items() if len(steps) >= MANY]))

    # Steps -----------------------------------------------------------------------------------------------------------

    def find(self) -> Found | None:
        """Return what is found with the loop, None if there is none."""
        forced, beside = list[Around](), list[Around]()
        while True:
            found = self._found_loop(forced, beside)
            if hidden := [around for around in found.hidden if around not in forced + beside]:
                # Until all initial states are right, the loop does not compute the traced values.
                beside += hidden
                continue
            if self.sparing and (elsewhere := self._begun_elsewhere(found)):
                # Their loop is found later, in the rest.
                self.inside = [n for n in self.inside if n not in elsewhere]
                forced, beside = [], []
                continue
            nodes = found.computed
            labels: dict[int, Labels] = {n: found.labels(nodes, view) for n, view in self.views.items()}
            again = self._computed_again(found.loop, labels[self.so_far.longest])
            labels = {n: _without(again, several) for n, several in labels.items()}
            longest = labels[self.so_far.longest]
            if not (forced or found.hidden) and set(self.view.nodes).issuperset(found.cut):
                self._check_all_steps(found.loop, longest)
            kept, ends = self._read_outside(longest, found)
            read = dict.fromkeys([*kept, *(node for node, _ in ends)])
            numbers = {n: k for k, n in enumerate(read, len(self.so_far.passed))}
            sequences = {**found.rows, **{n: Kept(numbers[n]) for n in kept}}
            passed = {n: self._passed(n, k, sequences, longest, found) for n, k in numbers.items()}
            # A value read some steps before the end is passed on step by step.
            more = [
                self._around(longest, n, i) for n, lag in ends if lag or passed[n].last is None for i in range(lag + 1)
            ]
            more = [around for around in dict.fromkeys(more) if around not in forced + beside]
            if not more:
                break
            forced += more
        if not found.loop.step:
            return None
        return self._with(found, labels, list(passed.values()), set(kept), {n for n, lag in ends if not lag})

    def _found_loop(self, forced: Sequence[Around], beside: Sequence[Around]) -> FoundLoop:
        """Return the loop that carries the fewest numbers, and these values."""
        m = self.middle
        places = range(len(self.around))
        # Values that only the last step of the trace computes are unrolled for the others.
        placed = self.placed.including([node for i in places for node in _known(forced, i)])
        found = [self._cut(placed, self.around[i], _known(forced, i), _known(beside, i)) for i in places]
        cuts, are_ahead = [cut for cut, _ in found], [is_ahead for _, is_ahead in found]
        aligned = Alignment(placed.order, placed.step, self.around, self.period)
        if (shown := aligned.of(cuts)) is None:
            raise self._looks_back(max(cuts, key=len))
        cuts = shown[-self.period - 2 :]
        made = [self._step(before, after, t) for t, (before, after) in enumerate(pairwise(cuts), m)]
        # A state that is only made of parameters is the same node before and after the step.
        steps = [
            tuple(known[n] if n in placed.step else n for n in after)
            for known, after in zip(made, cuts[1:], strict=True)
        ]
        if steps[0] != steps[-1]:
            here, there = next(pair for pair in zip(steps[0], steps[-1], strict=True) if pair[0] is not pair[1])
            here, there = first_difference(here, there) or (here, there)
            raise NotARecurrence(
                f"step {m + self.period} of the model is not the same computation as step {m}.\n"
                + both_lines(self.view.line_of(made[-1], there), there, self.view.line_of(made[0], here), here)
            )
        template, step = made[0], steps[0]
        beginning = BeginningFinder(self.so_far, self.views, steps[:-1], cuts[1]).find()
        leaves = placeholders(self.build, [n.size for n in step], self.first)
        before = [self.so_far.state_to_final() | dict(zip(leaves, cut, strict=True)) for cut in shown]
        # The states before each of these steps.
        several = zip(*(substitute(self.build, beginning.hidden, known) for known in before), strict=True)
        hidden = [(*[None] * (len(self.around) - len(shown)), *around) for around in several]
        if step and self.period > 1:
            step = in_turn(steps[:-1], m, self.backward)
            # The rest recomputes values that only one kind of step computes.
            template = dict(zip(cuts[1], step, strict=True))
        if beginning.odd:
            template = beginning.begun(template, step, self.backward)
            step = tuple(template[n] for n in cuts[1])
        loop = Loop(beginning.initial, step, {}, self.backward, any(are_ahead))
        return FoundLoop(self.so_far, loop, template, cuts[1], hidden, beginning)

    def _cut(
        self, placed: Positions, step: int, forced: Sequence[Node], beside: Sequence[Node]
    ) -> tuple[list[Node], bool]:
        """Return the states after a step: the fewest numbers that all later steps depend on, and `forced`.

        Also return whether one of them is not what the model's variables hold, but computed of that with weights.
        """
        # Nodes in `beside` are states in any case. States are what the model's variables hold, or computed from that
        # without weights: see `states`.
        later = self.variables.later(step, self._at_the_end(step), self.so_far.traced.by_length[step + 1].runs)
        # What later steps compute with weights, though from earlier values alone.
        behind = set[Node]()
        for n in self.inside:
            if n in later and placed.step[n] <= step:
                if n in self.variables.weighted or not behind.isdisjoint(n.inputs):
                    behind.add(n)
        read = {n for n in self.inside if placed.step[n] > step}
        for n in reversed(self.inside):
            if n in read:
                read.update(i for i in n.inputs if i in behind)
        carried = {
            i: None
            for n in self.inside
            if n in read
            for i in n.inputs
            if placed.step.get(i, step + 1) <= step and i not in behind
        }
        held = {i for n in later for i in n.inputs if i not in later}
        # A node may be computed in a step, and again in the next.
        made = {
            n
            for n in self.inside
            if placed.step[n] <= step and n not in behind
            if n in self.variables.weighted or not behind.isdisjoint(n.inputs)
        }.union(self.changing)
        # Nodes made of a single row are next to the cut: otherwise that row would be the cheapest cut, and the loop a
        # step late.
        rows = [n for n in carried if n in placed.of_one_row]
        late = [*minimum_cut(rows, made, lambda n: n.size), *(n for n in forced if n in placed.of_one_row)]

        def cost(node: Node) -> float:
            if node in placed.of_one_row:
                return 0 if node in late else inf
            # Among equal cuts, prefer the wanted one, and what variables hold.
            odd = (node not in forced) + (node not in held) + (placed.step[node] < step)
            return node.size + odd / 2.0**10

        wanted = [n for n in forced if n not in placed.of_one_row]
        sinks = [*carried, *wanted] if self.together else carried
        states = minimum_cut([n for n in sinks if n not in placed.of_one_row], made, cost)
        more = minimum_cut(wanted, made, lambda node: 0 if node in states else cost(node))
        early = {n for n in states if n in later and n in self.variables.given_weights}
        is_ahead = bool(early) or not behind.isdisjoint(beside)
        return list(dict.fromkeys([*states, *more, *late, *beside])), is_ahead

    def _as_rows(self, length: int) -> list[Node]:
        """Return the nodes of a trace, with the ends of what earlier loops pass on as rows."""
        # The end of a loop in the other direction becomes the row of another step. Only that is shared which the next
        # trace computes of the same row, and that is a step of the loop anyway.
        view, passed = self.views[length], self.so_far.passed
        ends = {n: passed[n.leaf.number].row for n in view.nodes if isinstance(n.leaf, Final)}
        rows = {n: self.build.leaf(Row(length - 1 - row.lag, row.of), n.size) for n, row in ends.items()}
        return substitute(self.build, view.nodes, rows)

    def _at_the_end(self, step: int) -> dict[Node, Node]:
        """Return the nodes of the loop as a sequence that ends after this step shows them."""
        rows = {n: n.leaf for n in self.inside if isinstance(n.leaf, Row)}
        leaves = {n: leaf_of(self.so_far, row, step + 1, self.backward) for n, row in rows.items()}
        last = {n: self.build.leaf(leaf, n.size) for n, leaf in leaves.items()}
        return dict(zip(self.inside, substitute(self.build, self.inside, last), strict=True))

    def _step(self, before: Sequence[Node], after: Sequence[Node], step: int) -> dict[Node, Node]:
        """Return all nodes of a step, and the states after it, with placeholders for what it reads."""
        leaves = placeholders(self.build, [n.size for n in before], self.first)
        known = dict(zip(before, leaves, strict=True))
        targets = [*(n for n in self.inside if self.placed.step[n] == step), *after]
        order = topological(targets, stop=known)
        for node in order:
            if node in known:
                continue
            if isinstance(node.leaf, Row):
                if node.leaf.step != step:
                    reader = next((n for n in order if node in n.inputs), node)
                    line = self.view.origins.get(reader, Origin())
                    raise reads_a_row(node.leaf, line, self.view.length, step)
                known[node] = self.build.leaf(node.leaf.of, node.size)
            elif isinstance(node.leaf, Final):
                known[node] = self.so_far.last(node.leaf.number)
        return dict(zip(order, substitute(self.build, order, known), strict=True))

    # What the rest reads ---------------------------------------------------------------------------------------------

    def _begun_elsewhere(self, of_loop: FoundLoop) -> set[Node]:
        """Return nodes of the traces that belong to a loop in the other direction, because they begin at its end.

        They are made of several rows, but the traces do not have what this loop would make of the first one, and
        nothing else in this loop reads them.
        """
        nodes, present = of_loop.of_several_rows, set(self.view.nodes)
        labels = of_loop.labels(nodes, self.view) if nodes else {}
        begun = {node for one in present & labels.keys() for node, t in labels[one] if t == 0}
        if not (others := [n for n in nodes if n not in begun]):
            return set()
        inside = set(self.inside)
        found = inside & set().union(*(of_loop.labels(others, view) for view in self.views.values()))
        found -= set(topological(n for n in self.inside if n not in found))
        # In shorter traces they begin at the last row, and the longest one has no node for that.
        return (found | inside.difference(self._as_rows(self.so_far.longest))) if found else found

    def _computed_again(self, loop: Loop, labels: Labels) -> set[Node]:
        """Return values made of the states before a step that the rest also makes of those after the last step."""
        # It can make all of them of the states after each step.
        known = {label: node for node, several in labels.items() for label in several}
        leaves = placeholders(self.build, [n.size for n in loop.step], self.first)
        ends = ((leaf, known.get((node, self.view.length - 1))) for leaf, node in zip(leaves, loop.step, strict=True))
        last = self.so_far.state_to_final() | {leaf: node for leaf, node in ends if node is not None}
        present, own = set(self.view.nodes), set(loop.step)
        made = [n for n in dict.fromkeys(n for n, _ in known) if n.inputs and n not in own]
        return {n for n, end in zip(made, substitute(self.build, made, last), strict=True) if end in present}

    def _check_all_steps(self, loop: Loop, labels: Labels) -> None:
        """Check that the longest trace continues the loop after the analysed step."""
        present, last = set(self.placed.order), self.view.length - 2
        seen = {label for node, several in labels.items() if node in present for label in several}
        for t in range(self.middle, last):
            if not loop.step or any((node, t) in seen for node in loop.step):
                continue
            odd = [n for n in self.inside if n not in labels and any(i in labels for i in n.inputs)]
            odd = [n for n in odd if self.placed.step[n] >= t - 1 and n in self.view.origins] or self.inside
            raise NotARecurrence(
                f"step {self.placed.step[odd[0]]} of the model is not the same computation as step {self.middle}.\n"
                f"  {self.view.origins.get(odd[0], Origin())}      <- {describe(odd[0])} here\n{ADVICE}"
            )

    def _read_outside(self, labels: Labels, of_loop: FoundLoop) -> tuple[list[Node], list[Label]]:
        """Return the values that the rest reads of every step, and those near the end, with their distance from it."""
        reached = topological([self.view.output], stop=labels)
        readers = Counter(
            i for node in reached if node not in labels for i in dict.fromkeys(node.inputs) if i in labels
        )
        if self.view.output in labels:
            readers[self.view.output] += 1
        end, kept, ends = self.view.length - 1, dict[Node, None](), dict[Label, None]()
        of_row, held = of_loop.of_row, of_loop.held
        often: Counter[Label] = Counter()
        for node, count in readers.items():
            for label in labels[node]:
                often[label] += count
        for node in readers:
            for template, t in labels[node]:
                if t == self.middle and not isinstance(template.leaf, LoopState) and template not in of_row:
                    kept[template] = None
        of_rows = of_row.keys() | {state for state, (node, _) in held.items() if node in of_row}
        for node in readers:
            of_kept = [one for one in labels[node] if one[0] in kept]
            template, t = max(of_kept or labels[node], key=lambda one: one[1])
            # The rest may read rows, and what is made of them, at every step.
            is_end = (not of_kept and template not in of_rows) or often[template, t] > often[template, self.middle]
            if is_end and t >= (end if of_kept else end - self.so_far.traced.back):
                ends[template, end - t] = None
        # An end that is made of a row is the last one of a sequence, if the rest reads what is made of each row.
        often_read = topological([node for node in of_row if often[node, self.middle]])
        made = (held.get(node, (node, 0))[0] for node, _ in ends)
        kept |= dict.fromkeys(n for n in made if n in of_row and n not in of_loop.rows and n in often_read)
        return list(kept), list(ends)

    def _around(self, labels: Labels, template: Node, lag: int = 0) -> tuple[Node, ...]:
        where = {label: node for node, several in labels.items() for label in several}
        wanted = [(template, t - lag) for t in self.around]
        if not all(one in where for one in wanted):
            raise self._looks_back([])
        return tuple(where[one] for one in wanted)

    def _passed(
        self, template: Node, number: int, sequences: Mapping[Node, Stepwise], labels: Labels, of_loop: FoundLoop
    ) -> PassedValue:
        """Return the passed value of a node of the step; `sequences` are those that hold the values of nodes."""
        cut, here = of_loop.cut, self._around(labels, template)[self.middle - self.around[0]]
        known = dict(zip(cut, placeholders(self.build, [n.size for n in cut], self.first), strict=True))
        order = topological([here], stop=known)
        last = None
        if not any(isinstance(n.leaf, Row) and n not in known for n in order):
            (last,) = substitute(self.build, [here], {**known, **self.so_far.final_to_state(order, known)})
        node, lag = of_loop.held.get(template, (template, 0))
        row = LaggedRow(sequences[node], lag) if node in sequences else LaggedRow(Kept(number), 0)
        return PassedValue(template, self.backward, last, len(self.so_far.loops), row)

    def _with(
        self,
        of_loop: FoundLoop,
        labels: Mapping[int, Labels],
        passed: Sequence[PassedValue],
        kept: Collection[Node],
        ends: Collection[Node],
    ) -> Found:
        """Return what was found with the loop, and the remaining traces with the values that it passes on."""
        so_far = self.so_far
        # The rest reads rows of its own for all but those values that are rows themselves.
        numbers = {s.node: k for k, s in enumerate(passed, len(so_far.passed)) if s.row.of == Kept(k)}
        # A state that holds an older value has its own name only at the end of the sequence.
        last = self.views[self.middle + 1]
        named = {
            template: last.origins[node]
            for node, several in labels[self.middle + 1].items()
            for template, t in several
            if t == self.middle and isinstance(template.leaf, LoopState) and node in last.origins
        }
        origins = dict(so_far.origins)
        for node, one in of_loop.template.items():
            if one in named or node in self.view.origins:
                origins.setdefault(one, named.get(one) or self.view.origins[node])
        return replace(
            so_far,
            loops=(*so_far.loops, of_loop.loop),
            passed=(*so_far.passed, *passed),
            unknown=so_far.unknown | of_loop.beginning.unknown,
            origins=origins,
            left={length: self._rest(length, labels[length], numbers, kept, ends) for length in self.views},
        )

    def _rest(
        self,
        length: int,
        labels: Labels,
        numbers: Mapping[Node, int],
        kept: Collection[Node],
        ends: Collection[Node],
    ) -> Trace:
        """Return what remains of a trace: it reads rows of the passed values."""
        view, left, flat = self.views[length], self.so_far.left[length], self.so_far.evidence.flat
        # A value that stays the same over several steps has a row at each.
        rows = defaultdict[Node, dict[int, Node]](dict)
        for old, node in zip(view.order, view.nodes, strict=True):
            for one, t in labels.get(node, ()):
                if one in numbers and (one in kept or (one in ends and t == length - 1)):
                    step = length - 1 - t if self.backward else t
                    rows[old].setdefault(step, flat.leaf(Row(step, Kept(numbers[one])), old.size))
        first = {old: next(iter(by_step.values())) for old, by_step in rows.items()}
        if not self.so_far.traced.per_step or length < 2:
            return left.rebuilt(flat.rebuild, first)
        # The logits of each step read it at their own step.
        parts = [
            replace(left, output=output).rebuilt(
                flat.rebuild, {old: rows[old].get(step, row) for old, row in first.items()}
            )
            for step, output in enumerate(left.output.inputs)
        ]
        origins = {node: origin for part in parts for node, origin in part.origins.items()}
        return replace(left, output=flat.rebuild(left.output, [part.output for part in parts]), origins=origins)

    # What errors show ------------------------------------------------------------------------------------------------

    def _looks_back(self, cut: Sequence[Node]) -> NotARecurrence:
        shown = [n for n in cut if n in self.view.origins]
        shown += [n for n in self.placed.order if n in self.view.origins and not set(cut).isdisjoint(n.inputs)]
        line = (
            self.view.origins[shown[0]] if shown else where(self.so_far.left[self.so_far.longest], self.view.order[-1])
        )
        return NotARecurrence(
            f"the model keeps other values after {self.middle + 1} steps than after {self.middle}, to read them later: "
            "only the last few\n  states can be kept, always the same ones.\n"
            f"  {line}\n{ADVICE}"
        )


def _without(nodes: Collection[Node], labels: Labels) -> Labels:
    """Return the labels without those of some nodes of the step."""
    left = {node: [label for label in several if label[0] not in nodes] for node, several in labels.items()}
    return {node: several for node, several in left.items() if several}
