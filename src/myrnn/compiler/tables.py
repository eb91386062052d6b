"""Numbers that differ from step to step, such as positions and decays, become rows of tables that loops read.

A model may compute with numbers that NumPy or Python made of the time: ``t``, ``0.9 ** t``, sines of it, masks by ``t %
3``, a row of a parameter, ``P[t]``. In its traces they are constants. Computations of different steps that are equal
except for such numbers have the same *kind*. If numbers of one kind differ, they become a table with a row for every
step, counted from the first step or from the last. A longer sequence needs more rows than the first traces show: they
are read off another trace (`rows_shown`, `Guard.know`).

Numbers that also depend on the length of the sequence are not a table. They may be a fraction of both, such as ``t /
len(x)`` or ``1 / len(x)``: then they are computed (`Fraction`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Builder, Node, evaluate, in_parallel, topological
from myrnn.compiler.leaves import (
    LENGTH,
    Drawn,
    Floats,
    Fraction,
    Given,
    Parameter,
    Row,
    StepNumber,
    StepTable,
    TableRows,
)
from myrnn.compiler.ops import matmul, run_of
from myrnn.compiler.record import Origin
from myrnn.compiler.steps import Kinds, steps_of
from myrnn.compiler.trace import Trace

# Leaves without numbers that are the same at every step.
_UNKNOWN = Parameter | Drawn
# This many first and last steps may compute something else.
EDGE = 3
# Numbers are taken for a fraction of the length if this many lengths show it.
FEWEST_LENGTHS = 4
# At most this many fixed numbers are searched for below a node that depends only on parameters.
MOST_NUMBERS = 64


Path = tuple[int, ...]
"""From a node to a number below it: which input, which input of that, and so on."""


@dataclass(frozen=True)
class _Slot:
    """The location of numbers in a trace."""

    node: Node
    path: Path

    @cached_property
    def numbers(self) -> np.ndarray[Any, Any]:
        """The numbers; for a row of a parameter, the one-hot numbers that select it."""
        node = self.node
        for place in self.path:
            node = node.inputs[place]
        if node.is_constant:
            return node.numbers
        if (row := _row_of_parameter(node)) is not None:
            number, count = row
            return _one_hot(number, count)
        (values,) = evaluate([node], {})
        return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Tables:
    """What gives the numbers that differ from step to step, and the traces that read it."""

    traces: Mapping[int, Trace]
    given: tuple[Given, ...] = ()
    rows: TableRows = field(default_factory=dict)
    # The line of numbers that differ from length to length, if there are any.
    by_length: Origin | None = None


def find_tables(traces: Mapping[int, Trace]) -> Tables:
    """Find the numbers that differ from step to step."""
    longest, both = max(traces), (False, True)
    # Most models have no such numbers, as two traces show.
    some = {length: topological([traces[length].output]) for length in sorted(traces)[-2:]}
    few = [several for backward in both for several in _by_kind(some, backward)]
    if not any(map(_differ, few)) and not any(map(_differs_by_length, _by_line(traces, few, ()))):
        return Tables(traces)
    orders = {length: topological([trace.output]) for length, trace in traces.items()}
    by_length: Origin | None = None
    found, alike = _Replaced(), [several for backward in both for several in _by_kind(orders, backward)]
    for slots in (slots for several in alike if _differ(several) for slots in _one_by_one(several)):
        if not found.slots.isdisjoint(slots.values()):
            continue
        if not (found.by_table(slots) or found.by_fraction(slots, _fractions_of(slots))):
            there = [slot.node for (length, _), slot in slots.items() if length == longest]
            by_length = by_length or next(map(traces[longest].origins.get, there), None)
    # The first and the last steps may use the same numbers in a different way.
    for slots in (slots for several in alike if not any(map(_is_within, several)) for slots in _one_by_one(several)):
        if found.slots.isdisjoint(slots.values()):
            _ = found.by_fraction(slots, found.fractions) or found.by_known_table(slots)
    for slots in (slots for several in _by_line(traces, alike, found.slots) for slots in _one_by_one(several)):
        if len(slots) >= FEWEST_LENGTHS:
            found.by_fraction(slots, _fractions_of(slots, of_step=False))
    if not found.slots:
        return Tables(traces, by_length=by_length)
    nodes, rows = found.nodes, found.rows
    rewritten = {length: _rewritten(trace, nodes) for length, trace in traces.items()}
    by_step = [fraction for fraction in found.fractions if fraction.of_step]
    return Tables(rewritten, (*rows, *by_step), rows, by_length)


Alike = dict[tuple[int, int], list[_Slot]]
"""The slots of one kind, by the length of the trace and the row."""


def _by_kind(orders: Mapping[int, list[Node]], backward: bool) -> Iterable[Alike]:
    """Return the slots of each kind, for loops that run forward or backward."""
    kinds, found = Kinds(), defaultdict[Any, Alike](lambda: defaultdict(list))
    for length, order in orders.items():
        for kind, step, slot in _slots(kinds, order, length if backward else None):
            found[kind][length, length - 1 - step if backward else step].append(slot)
    return found.values()


Slots = Mapping[tuple[int, int], _Slot]
"""One of them for each length and row."""


def _one_by_one(alike: Alike) -> Iterator[Slots]:
    """Yield the slots of one kind; those of one step in their order."""
    for nth in range(max(map(len, alike.values()))):
        yield {place: slots[nth] for place, slots in alike.items() if nth < len(slots)}


def _is_within(place: tuple[int, int]) -> bool:
    """Whether a row is not among the first or last of its trace."""
    length, row = place
    return EDGE <= row < length - EDGE


def _differ(alike: Alike) -> bool:
    """Whether the numbers of one kind differ from step to step, or from length to length, not only at both ends."""
    by_row = [Counter(slot.numbers.tobytes() for slot in slots) for place, slots in alike.items() if _is_within(place)]
    # A row may have fewer of the same numbers: near the ends of a sequence, fewer windows read it.
    return not all(fewer <= more for fewer, more in pairwise(sorted(by_row, key=Counter.total)))


def _differs_by_length(alike: Alike) -> bool:
    """Whether the numbers of one line differ from length to length."""
    return len({tuple(slot.numbers.tobytes() for slot in slots) for slots in alike.values()}) > 1


def _by_line(traces: Mapping[int, Trace], alike: Iterable[Alike], known: Container[_Slot]) -> Iterable[Alike]:
    """Return the slots that no table or fraction gives yet, of first and last steps, by line and operation."""
    # What is made of all steps, such as a mean, is another computation at every length.
    found = defaultdict[Any, dict[tuple[int, int], dict[_Slot, None]]](lambda: defaultdict(dict))
    lines = {length: _lines(trace) for length, trace in traces.items()}
    for several in alike:
        for place, slots in several.items():
            for slot in slots:
                if slot not in known and not _is_within(place):
                    which = lines[place[0]].get(slot.node), slot.node.operation, slot.path
                    found[which][place][slot] = None
    return [{place: [*slots] for place, slots in several.items()} for several in found.values()]


def _lines(trace: Trace) -> dict[Node, tuple[str, int]]:
    """Return the file and line of each node, or of a reader of it."""
    found: dict[Node, tuple[str, int]] = {}
    for node in reversed(topological([trace.output])):
        if node in trace.origins:
            found[node] = trace.origins[node].file, trace.origins[node].line
        for i in node.inputs if node in found else ():
            found.setdefault(i, found[node])
    return found


@dataclass
class _Reads:
    """Where the traces read a table, relative to the rows by which it was found."""

    rows: dict[int, Floats]
    slots: list[tuple[Slots, int]]  # with how many rows later they read
    moved: int = 0  # how many rows later all of them read in the end, so that each row is one of its sequence


class _Replaced:
    """The replacements of numbers in traces."""

    def __init__(self) -> None:
        self.slots = set[_Slot]()
        self.fractions: list[Fraction] = []
        self._tables: dict[StepTable, _Reads] = {}
        self._computed: dict[_Slot, Node] = {}

    @property
    def rows(self) -> dict[StepTable, dict[int, Floats]]:
        """The rows of each table."""
        return {table: _moved(table, reads.rows, reads.moved) for table, reads in self._tables.items()}

    @property
    def nodes(self) -> dict[_Slot, Node]:
        """What replaces the numbers."""
        of_tables = {
            slot: slot.node.build.leaf(Row(row + later + reads.moved, table), table.size)
            for table, reads in self._tables.items()
            for slots, later in reads.slots
            for (_, row), slot in slots.items()
        }
        return of_tables | self._computed

    def by_table(self, slots: Slots) -> bool:
        """Replace the numbers of a kind by a table, if possible."""
        found = _table_of(slots, len(self._tables))
        if found is None:
            return False
        table, rows = found
        self._tables[table] = _Reads(rows, [(slots, 0)])
        self.slots.update(slots.values())
        return True

    def by_known_table(self, slots: Slots) -> bool:
        """Replace the numbers of a kind by a table that was found, if one has them."""
        # The first step of a loop computes another kind of nodes, because it reads no state. For a backward loop its
        # number depends on the length. If the number is a factor of the state, most nodes show it beside the state, a
        # row early.
        for table, reads in self._tables.items():
            for early in (0, -1, 1):
                later = early - reads.moved
                rows = {table.step_of(row + later, length): slot.numbers for (length, row), slot in slots.items()}
                differ = len({reads.rows[row].tobytes() for row in rows.keys() & reads.rows.keys()}) > 1
                if not differ or not all(_fits(numbers, table, reads.rows.get(row)) for row, numbers in rows.items()):
                    continue
                if not all(0 <= row + early < length for length, row in slots):
                    reads.moved -= early
                for row, numbers in rows.items():
                    reads.rows.setdefault(row, np.broadcast_to(numbers, table.size))
                reads.slots.append((slots, later))
                self.slots.update(slots.values())
                return True
        return False

    def by_fraction(self, slots: Slots, fractions: Iterable[Fraction]) -> bool:
        """Replace the numbers of a kind by one of these fractions, if possible."""
        fraction = next((f for f in fractions if _is_fraction(slots, f)), None)
        if fraction is None:
            return False
        if fraction not in self.fractions:
            self.fractions.append(fraction)
        self.slots.update(slots.values())
        for (_, row), slot in slots.items():
            build = slot.node.build
            # A fraction of the length alone is the same at every step.
            self._computed[slot] = build.leaf(Row(row, fraction), 1) if fraction.of_step else _computed(fraction, build)
        return True


def without_fractions(nodes: Sequence[Node]) -> dict[Node, Node]:
    """Return the fractions that the nodes read -> the nodes that compute them from the step and the length."""
    return {n: _computed(leaf, n.build) for n in topological(nodes) if isinstance(leaf := n.leaf, Fraction)}


def _computed(fraction: Fraction, build: Builder) -> Node:
    """Return the node that computes a fraction."""
    step, length = build.given(StepNumber(backward=False)), build.given(LENGTH)
    factors = ((step, fraction.of_step), (length, fraction.of_length))
    terms = [node if factor == 1 else node * factor for node, factor in factors if factor]
    constant = build.constant(fraction.more)
    found = sum(terms[1:], terms[0]) if terms else constant
    if terms and fraction.more:
        found = found + constant
    if fraction.below is None:
        return found
    return found / (length + fraction.below if fraction.below else length)


def _table_of(slots: Slots, number: int) -> tuple[StepTable, dict[int, Floats]] | None:
    """Return the table with the numbers of a kind, and its rows; None if they do not depend on the step alone."""
    sizes = {slot.numbers.size for slot in slots.values()}
    if len(sizes - {1}) > 1:
        return None
    # Equal numbers are stored as one.
    numbers = {place: np.broadcast_to(slot.numbers, max(sizes)) for place, slot in slots.items()}
    if len({values.tobytes() for values in numbers.values()}) == 1:
        return None
    for backward in (False, True):
        table, rows = StepTable(number, max(sizes), backward), dict[int, Floats]()
        if all(
            np.array_equal(rows.setdefault(table.step_of(row, length), values), values, equal_nan=True)
            for (length, row), values in numbers.items()
        ):
            return table, rows
    return None


def _moved(table: StepTable, rows: Mapping[int, Floats], later: int) -> dict[int, Floats]:
    """Return the rows of a table that is read this many rows later."""
    return {step + (-later if table.backward else later): numbers for step, numbers in rows.items()}


def _fits(numbers: NDArray[Any], table: StepTable, row: Floats | None) -> bool:
    """Whether numbers may be those of a row of a table, which may be known."""
    return numbers.size in (1, table.size) and (row is None or bool(np.all(row == numbers)))


def _fractions_of(slots: Slots, *, of_step: bool = True) -> Iterator[Fraction]:
    """Yield fractions of step and length, or of the length alone, that may give the numbers of a kind."""
    (lengths, steps), numbers = np.array(list(slots)).T, _numbers_of(slots)
    if numbers is None or not np.isfinite(numbers).all():
        return
    known = np.stack([steps * of_step, lengths, np.ones(len(slots))], axis=1)
    for below in (0.0, -1.0, 1.0, None):
        above = numbers if below is None else numbers * (lengths + below)
        factors = np.linalg.lstsq(known, above.astype(np.float64))[0]
        # The factors are mostly short numbers, such as 1 or 0.5.
        for several in (np.round(8 * factors) / 8, np.where(np.abs(factors) < 1e-5, 0, factors).astype(np.float32)):
            by_step, by_length, more = map(float, several + 0.0)
            yield Fraction(by_step, by_length, more, below)


def _is_fraction(slots: Slots, fraction: Fraction) -> bool:
    (lengths, steps), numbers = np.array(list(slots)).T, _numbers_of(slots)
    if numbers is None or len(set(numbers.tolist())) == 1:
        return False
    with np.errstate(all="ignore"):
        return np.array_equal(fraction.of(steps, lengths), numbers)


def _numbers_of(slots: Slots) -> NDArray[np.float32] | None:
    """Return the single numbers of a kind, float32; None if slots have several."""
    if any(slot.numbers.size != 1 for slot in slots.values()):
        return None
    return np.array([slot.numbers.item() for slot in slots.values()], dtype=np.float32)


def _rewritten(trace: Trace, replaced: Mapping[_Slot, Node]) -> Trace:
    """Return a trace with other nodes in some slots."""
    at: dict[Node, dict[Path, Node]] = defaultdict(dict)
    for slot, leaf in replaced.items():
        at[slot.node][slot.path] = leaf

    def made(node: Node, inputs: Sequence[Node]) -> Node:
        inputs = [*inputs]
        for place, i in enumerate(node.inputs):
            below = {path[1:]: leaf for path, leaf in at[node].items() if path[0] == place} if node in at else {}
            if below:
                inputs[place] = _replaced(i, below)
        return node.build.rebuild(node, inputs)

    return trace.rebuilt(made)


def _replaced(node: Node, below: Mapping[Path, Node]) -> Node:
    """Return a node that depends only on parameters, with leaves at some locations below it."""
    if () in below:
        leaf = below[()]
        if _row_of_parameter(node) is None:
            return leaf
        return matmul(leaf, node.inputs[0], m=1, k=leaf.size, n=node.size)
    inputs = [
        _replaced(i, inside) if (inside := {p[1:]: leaf for p, leaf in below.items() if p[0] == place}) else i
        for place, i in enumerate(node.inputs)
    ]
    return node.build.rebuild(node, inputs)


def _row_of_parameter(node: Node) -> tuple[int, int] | None:
    """Return the index of the row of a parameter that a node is, and the number of rows; None for anything else."""
    if node.operation != "take" or not isinstance(node.inputs[0].leaf, Parameter) or not node.size:
        return None
    run = run_of(node.attributes[0])
    if run is None or run.start % node.size or node.inputs[0].size % node.size:
        return None
    return run.start // node.size, node.inputs[0].size // node.size


def _one_hot(number: int, count: int) -> NDArray[np.float32]:
    found = np.zeros(count, dtype=np.float32)
    found[number] = 1
    return found


def _slots(kinds: Kinds, order: list[Node], length: int | None = None) -> Iterator[tuple[Any, int, _Slot]]:
    """Yield the numbers in nodes that read rows: their kind, the row, and their location."""
    # With the length, rows are counted from the last to the first.
    step = steps_of(order, length)
    learned = dict[Node, None]()
    for node in order:
        if node not in step and (isinstance(node.leaf, _UNKNOWN) or any(i in learned for i in node.inputs)):
            learned[node] = None
    picked = {n for n in learned if _row_of_parameter(n) is not None}
    fixed = kinds.of(learned, dict.fromkeys(learned, -1), fixed=lambda _: "number", plain=picked)
    kind = kinds.of([n for n in order if n in step], step, fixed=lambda i: fixed.get(i, "number"))
    below: dict[Node, list[Path]] = {}
    for node in order:
        paths = [(n, *path) for n, i in enumerate(node.inputs) if i not in step for path in below.get(i, ())]
        if node in step:
            for path in paths:
                yield (kind[node], path), step[node], _Slot(node, path)
        elif node in learned:
            paths = [(), *paths] if node in picked else paths
            below[node] = paths if len(paths) <= MOST_NUMBERS else []
        else:
            below[node] = [()]


def _chosen(select: Node) -> Node | None:
    """Return the side that a choice by numbers, such as that of a first step, selects."""
    condition, one, other = select.inputs
    if _reads_more_than_numbers(condition):
        return None
    (values,) = evaluate([condition], {})
    return one if np.all(values) else None if np.any(values) else other


def _reads_more_than_numbers(node: Node) -> bool:
    return any(isinstance(n.leaf, Row | _UNKNOWN) for n in topological([node]))


def rows_shown(unrolled: Node, traced: Node, length: int) -> TableRows:
    """Read rows of tables that the unrolled loops do not know off a trace, going through both in parallel."""
    found: dict[StepTable, dict[int, Floats]] = {}

    def note(leaf: Node, numbers: Any) -> None:
        assert isinstance(leaf.leaf, Row) and isinstance(leaf.leaf.of, StepTable)
        table = leaf.leaf.of
        if np.size(numbers) in (1, table.size):
            row = np.broadcast_to(np.asarray(numbers, dtype=np.float32), table.size)
            found.setdefault(table, {}).setdefault(table.step_of(leaf.leaf.step, length), row)

    def below(ours: Node, its: Node) -> Iterable[tuple[Node, Node]]:
        picked = _row_of_parameter(its) if _is_of_table(ours) else None
        if _is_row_of_table(ours):
            if not _reads_more_than_numbers(its):
                note(ours, evaluate([its], {})[0])
        elif picked is not None:
            number, count = picked
            note(ours.inputs[0], _one_hot(number, count))
        elif ours.operation == "select" != its.operation and (chosen := _chosen(ours)) is not None:
            return [(chosen, its)]
        elif ours.operation == its.operation and len(ours.inputs) == len(its.inputs):
            return zip(ours.inputs, its.inputs, strict=True)
        return []

    in_parallel(unrolled, traced, below)
    return found


def _is_row_of_table(node: Node) -> bool:
    return isinstance(node.leaf, Row) and isinstance(node.leaf.of, StepTable)


def _is_of_table(node: Node) -> bool:
    """Whether a node is the product of a row of a table and a matrix."""
    return node.operation == "matmul" and _is_row_of_table(node.inputs[0])
