"""From nodes to instructions: fusion of nodes into loops, and the location of every node.

Element-wise nodes are fused into loops, each as large as the known values allow. A sum of matrix products and other
terms becomes one *linear* node: a loop initializes it with its terms, and its products are accumulated in place.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import numpy as np

from myrnn.compiler.derive import WEIGHTS
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.instructions import (
    Argument,
    Buffer,
    Call,
    Elementwise,
    For,
    Give,
    GoOn,
    Inputs,
    Instruction,
    Over,
    Padded,
    Place,
    Product,
    RowOf,
    Rows,
    Store,
)
from myrnn.compiler.leaves import (
    CarriedNumbers,
    Constant,
    Derived,
    Drawn,
    Input,
    Length,
    Parameter,
    ParameterRows,
    StepNumber,
    StepTable,
)
from myrnn.compiler.ops import OPERATIONS, indices_of
from myrnn.compiler.plan import Plan, Weight, padded
from myrnn.compiler.printer import LONGEST, Printer, sum_of
from myrnn.compiler.runtime import OF_PROGRAMS

# What shares a loop --------------------------------------------------------------------------------------------------


_PRODUCTS = ("matmul", "outer")


@dataclass(frozen=True)
class Linear:
    """A sum of products and other terms."""

    products: tuple[Node, ...]
    terms: tuple[Node, ...]


Group = tuple[Node, ...]
"""The nodes of a loop in order; or one node that is not element-wise, or the products of a linear one."""


@dataclass(frozen=True)
class Fused:
    """The nodes of a part in groups."""

    # For each group, whether it is a loop, and its nodes.
    groups: list[tuple[bool, Group]]
    linear: dict[Node, Linear]
    # The nodes that must be in memory, because something outside of their own loop reads them.
    kept: set[Node] = field(default_factory=set)

    def reads(self, is_loop: bool, nodes: Group) -> set[Node]:
        """Return what a group reads: the terms of linear nodes for a loop, otherwise their vectors."""
        if is_loop:
            return {i for n in nodes for i in (self.linear[n].terms if n in self.linear else n.inputs)}
        (node,) = nodes
        return {i for p in (self.linear[node].products if node in self.linear else (node,)) for i in p.inputs}


def fuse(targets: Iterable[Node], available: set[Node], keep: set[Node]) -> Fused:
    """Order the computation of the targets from values in memory, and fuse it into loops; `keep` stays in memory."""
    wanted = list(dict.fromkeys(targets))
    order = [n for n in topological(wanted, stop=available) if n not in available and n.inputs]
    linear, absorbed = _linear_nodes(order, set(wanted), available)
    nodes = [n for n in order if n not in absorbed]
    fused = Fused(_groups(nodes, linear, set(available)), linear, set(linear) | (keep & set(nodes)))
    for is_loop, group in fused.groups:
        inside = {n for n in group if n not in linear} if is_loop else set()
        fused.kept.update(fused.reads(is_loop, group) - inside)
        if not is_loop:
            fused.kept.update(group)
    return fused


def _linear_nodes(
    order: Sequence[Node], wanted: set[Node], available: set[Node]
) -> tuple[dict[Node, Linear], set[Node]]:
    """Find the sums with products, from the largest down, and the nodes that they absorb."""
    readers: dict[Node, int] = {}
    for node in order:
        for child in node.inputs:
            readers[child] = readers.get(child, 0) + 1
    inside = set(order) - available

    def private(node: Node) -> bool:
        return node in inside and node not in wanted and readers[node] == 1

    linear: dict[Node, Linear] = {}
    absorbed: set[Node] = set()
    for node in reversed(order):
        if node in absorbed or node.operation not in ("add", *_PRODUCTS):
            continue
        leaves, inner, stack = [], [], [node]
        while stack:
            part = stack.pop()
            if part is node or private(part):
                if part.operation == "add" and all(i.size == part.size for i in part.inputs):
                    inner.append(part)
                    stack.extend(reversed(part.inputs))
                    continue
            leaves.append(part)
        products = tuple(n for n in leaves if n.operation in _PRODUCTS and (n is node or private(n)))
        if products:
            linear[node] = Linear(products, tuple(n for n in leaves if n not in products))
            absorbed |= ({*inner, *products}) - {node}
    return linear, absorbed


def _groups(nodes: list[Node], linear: dict[Node, Linear], done: set[Node]) -> list[tuple[bool, Group]]:
    reads = {n: n.inputs for n in nodes}
    reads |= {n: (*s.terms, *(i for p in s.products for i in p.inputs)) for n, s in linear.items()}
    looped = {n for n in nodes if n in linear or OPERATIONS[n.operation].kind == "map"}

    def ready(node: Node, loop: Iterable[Node] = (), size: int = 0) -> bool:
        # A single number that a larger loop reads must be finished before that loop.
        return all(i in done or not i.inputs or (i in loop and i.size == size) for i in reads[node])

    groups: list[tuple[bool, Group]] = []
    left = list(nodes)
    while left:
        before = len(groups)
        first = next((n for n in left if n in looped and ready(n)), None)
        if first is not None:
            inside: dict[Node, None] = {}
            begun = []
            for node in left:
                if node in looped and node.size == first.size and ready(node, inside, first.size):
                    # A linear node is only finished by its products, so nothing in its own loop may read it.
                    if node in linear:
                        begun.append(node)
                    else:
                        inside[node] = None
            members = {*inside, *begun}
            groups.append((True, tuple(n for n in left if n in members)))
            groups += [(False, (n,)) for n in begun]
            done |= members
            left = [n for n in left if n not in done]
        calls = [n for n in left if n not in looped and ready(n)]
        groups += [(False, (n,)) for n in calls]
        done |= set(calls)
        left = [n for n in left if n not in done]
        assert len(groups) > before, f"nothing can be computed of {left}"
    return groups


# Names ---------------------------------------------------------------------------------------------------------------

# Names that the emitted code uses itself, besides the functions that it calls.
_OWN = (
    "p g m v w t r j s n k x np row rows steps total begin label labels targets learn loss one_loss score best "
    "share mode streams carried keys weight weights place class_weights member tokens features offsets members "
    "sequences sizes tables start lined active begun after length source range len int float bool tuple done left"
).split()
_TAKEN = frozenset(_OWN).union(*OF_PROGRAMS.values())


class Names:
    """Gives every object a unique name that is a valid identifier."""

    def __init__(self, used: Iterable[str] = ()) -> None:
        self.used = {*_TAKEN, *used}

    def new(self, wanted: str) -> str:
        """Return `wanted`, made into an identifier, with a number appended if the name is in use."""
        stem = re.sub(r"\W+", "_", wanted).strip("_") or "value"
        if stem[0].isdigit() or keyword.iskeyword(stem):
            stem = f"v_{stem}"
        name, count = stem, 1
        while name in self.used:
            count += 1
            name = f"{stem}_{count}"
        self.used.add(name)
        return name


# Where everything goes -----------------------------------------------------------------------------------------------


# Headings of values that are prepared before they are read.
PARAMETERS = "Weights in the layout of the forward pass."
DERIVED = "Computed weights in the layout of the forward pass."
DRAWN = "Random numbers."
INPUT = "Values that only depend on the input, for all steps at once."
BACKWARD = "Weights in the layout of the backward pass."


class Assembler:
    """Collects the instructions of a program, and gives a location to each node that needs one."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.printer = plan, plan.printer
        self.out: list[Instruction] = []
        self.places: dict[Node, Place] = {}
        self.buffers: list[Buffer] = []
        self.constants: dict[Node, Buffer] = {}
        self.tables: dict[Buffer, StepTable] = {}
        # Instructions that must come before, because something asked for their result, by heading.
        self.before: dict[str, list[Instruction]] = {
            heading: [] for heading in (PARAMETERS, DERIVED, DRAWN, INPUT, BACKWARD)
        }
        self.is_backward = False
        # Nodes that are zero, and nodes that nothing reads, at the first step of the current loop.
        self.zero: frozenset[Node] = frozenset()
        self.unread: frozenset[Node] = frozenset()
        self._made: dict[tuple[str, Node], Place] = {}
        self._names = Names(plan.sizes)
        # The locations of each weight and its gradient.
        self.weights: dict[Node, tuple[Place, Place]] = {}
        for leaf in sorted(plan.weights, key=weight_order):
            self.weights[leaf] = self._place_weight(leaf)

    # Buffers and places ----------------------------------------------------------------------------------------------

    def new(self, wanted: str, columns: int, rows: Rows = Rows.ONE, lines: int = 1) -> Place:
        """Return the location of a new buffer of the workspace."""
        buffer = Buffer("w", self._names.new(wanted), columns, rows, lines)
        self.buffers.append(buffer)
        return buffer.whole

    def _place_weight(self, leaf: Node) -> tuple[Place, Place]:
        """Return the locations of a weight and its gradient."""
        weight = self.plan.weights[leaf]
        if isinstance(leaf.leaf, Derived):
            name = str(leaf.leaf)
            matrix = self.new(name, weight.columns, lines=weight.rows)
            return matrix, self.new(f"d_{name}", weight.columns, lines=weight.rows)
        assert isinstance(leaf.leaf, Parameter | ParameterRows)
        rows, columns = weight.stored
        layout = self.plan.parameters.layouts[leaf.leaf.number]
        at, name = layout.at, layout.name
        if isinstance(leaf.leaf, ParameterRows):
            first = leaf.leaf.first
            at, name = at + first * padded(weight.columns), f"{name}_from_{first}"
        buffer = Buffer("p", self._names.new(name), columns, Rows.ONE, rows, at)
        self.buffers.append(buffer)
        return buffer.whole, replace(buffer, array="g").whole

    def place(self, node: Node) -> Place:
        """Return the location of a node's numbers."""
        if node in self.places:
            return self.places[node]
        if node.is_leaf:
            return self._place_of_leaf(node)
        assert self._is_slice(node), f"{node} has no place"
        whole = self.place(node.inputs[0])
        return replace(whole, size=node.size, offset=whole.offset + _run(node))

    def _place_of_leaf(self, leaf: Node) -> Place:
        """Return the location of a leaf: a constant, the input, or a weight's numbers without padding between rows."""
        if leaf in self.plan.weights and self.plan.weights[leaf].is_flat:
            return self.weights[leaf][0]
        if ("flat", leaf) not in self._made:
            match leaf.leaf:
                case Constant():
                    flat = self.new("constant", leaf.size)
                    self.constants[leaf] = flat.buffer
                case Input():
                    flat = self.new("inputs", leaf.size, Rows.STEPS)
                    self.before[INPUT].append(Inputs(flat))
                case StepTable() as table:
                    flat = self.new("table", leaf.size, Rows.TABLE)
                    self.tables[flat.buffer] = table
                    flat = replace(flat, row=RowOf.LEFT if table.backward else RowOf.DONE)
                case Drawn() as drawn:
                    flat = self._drawn(drawn)
                case StepNumber() as given:
                    flat = self.new("time", 1, Rows.SEQUENCES)
                    self.out.append(Give(Over.STEP, flat, given))
                case Length() as given:
                    flat = self.new("length", 1, Rows.SEQUENCES)
                    self.before[INPUT].append(Give(Over.END, flat, given))
                case CarriedNumbers(offset):
                    flat = self.new(self.printer.names[leaf], leaf.size, Rows.SEQUENCES)
                    self.before[INPUT].append(GoOn(flat, offset))
                case _:
                    weight, (matrix, _) = self.plan.weights[leaf], self.weights[leaf]
                    flat = self.new(f"{matrix.buffer.name}_flat", leaf.size)
                    self._before(leaf).append(moved(weight, flat, matrix, to_matrix=False))
            self._made["flat", leaf] = flat
        return self._made["flat", leaf]

    def _drawn(self, drawn: Drawn) -> Place:
        """Return the location of random numbers, for each step or each sequence, and add their instruction."""
        amount = self._place_of_leaf(self.plan.derivative.recurrence.build.constant([drawn.draw.amount]))
        out = self.new(drawn.draw.kind, drawn.size, Rows.SEQUENCES if drawn.once else Rows.STEPS)
        row = RowOf.NOW if drawn.once else RowOf.LEFT if drawn.backward else RowOf.DONE
        give = Give(Over.START if drawn.once else Over.STEP, out, drawn, row, amount)
        self.before[DRAWN].append(give if drawn.once else For(False, (give,)))
        return out

    def _transposed(self, leaf: Node) -> Place:
        """Return a copy of the weight in transposed layout."""
        if ("transposed", leaf) not in self._made:
            matrix, _ = self.weights[leaf]
            lines, columns = self.plan.weights[leaf].stored
            copy = self.new(f"{matrix.buffer.name}_transposed", lines, lines=padded(columns))
            self._made["transposed", leaf] = copy
            arguments = (copy, Padded(lines), matrix, Padded(columns), lines, Padded(columns))
            self._before(leaf).append(Call(Over.ONCE, "transpose", arguments))
        return self._made["transposed", leaf]

    def _before(self, leaf: Node) -> list[Instruction]:
        """Return the list for the instructions that make a copy of a weight."""
        if self.is_backward:
            return self.before[BACKWARD]
        return self.before[DERIVED if isinstance(leaf.leaf, Derived) else PARAMETERS]

    def _is_slice(self, node: Node) -> bool:
        """Whether the node is a contiguous part of another node that can be read in place."""
        return node.operation == "take" and node not in self.plan.clean and _run(node) >= 0

    @contextmanager
    def steps(self, backward: bool) -> Iterator[None]:
        """Collect the following instructions in a loop over the steps."""
        before, self.out = self.out, []
        for key in [key for key in self._made if isinstance(key[1].leaf, StepNumber)]:
            # A slice of a step differs in every step, and must be written again.
            del self._made[key]
        yield
        body, self.out = self.out, before
        if body:
            self.out.append(For(backward, tuple(body)))

    # Nodes -----------------------------------------------------------------------------------------------------------

    def store(self, node: Node, place: Place, add: bool = False) -> Store:
        """Return a store, which clears the padding if that is read."""
        return Store(node, place, add=add, clean=add or node in self.plan.clean)

    def compute(
        self, over: Over, stores: Sequence[Store], keep: Sequence[Node] = (), lasting: Iterable[Node] = ()
    ) -> None:
        """Compute all nodes of the stores and of `keep`, which stay in memory, those of `lasting` for every step."""
        fused = fuse([*(s.node for s in stores), *keep], set(self.places), {*keep, *lasting})
        stores = self._assign(over, fused, stores, set(lasting))
        done: set[Node] = set()
        for is_loop, nodes in fused.groups:
            if is_loop:
                computed = {n for n in nodes if n not in fused.linear}
                self._loop(over, fused, nodes, [s for s in stores if s.node in computed])
                done |= computed
            elif nodes[0] in fused.linear:
                self._products(over, nodes[0], fused.linear[nodes[0]])
            else:
                self._call(over, nodes[0])
        left = [s for s in stores if s.node not in done]
        for size in dict.fromkeys(s.node.size for s in left):
            self._loop(over, fused, (), [s for s in left if s.node.size == size])

    def _assign(self, over: Over, fused: Fused, stores: Sequence[Store], lasting: set[Node]) -> list[Store]:
        """Give a location to every node that needs one: that of a store, or a buffer; return the other stores."""
        left = list(stores)
        rows = {Over.ONCE: Rows.ONE, Over.ALL: Rows.STEPS}.get(over, Rows.SEQUENCES)
        for node in [n for _, nodes in fused.groups for n in nodes if n in fused.kept]:
            if node in self.places:
                continue
            lasts = node in lasting
            store = next((s for s in left if s.node is node and not s.add and (s.place.lasts or not lasts)), None)
            if store is not None:
                self.places[node] = store.place
                left.remove(store)
            elif not self._is_slice(node) or (lasts and not self.place(node).lasts):
                self.places[node] = self.new(self.printer.label(node), node.size, Rows.STEPS if lasts else rows)
        return left

    def _loop(self, over: Over, fused: Fused, nodes: Group, stores: list[Store]) -> None:
        """Add a loop that computes nodes, initializes the linear ones with their terms, and ends with the stores."""
        reads: dict[Node, Place] = {}
        begun: list[Store] = []
        for node in nodes:
            linear = fused.linear.get(node)
            terms = linear.terms if linear is not None else ()
            for i in terms if linear is not None else node.inputs:
                self._note_read(reads, i, nodes)
            if node in self.places and (linear is None or terms):
                begun.append(replace(self.store(node, self.places[node]), terms=terms))
        for store in stores:
            self._note_read(reads, store.node, nodes)
        if begun or stores:
            size = (*nodes, *(s.node for s in stores))[0].size
            computed = tuple(n for n in nodes if n not in fused.linear)
            comment = _comment(self.printer, fused, nodes, stores)
            self.out.append(Elementwise(over, size, computed, (*begun, *stores), reads, comment))

    def _note_read(self, reads: dict[Node, Place], node: Node, computed: Group) -> None:
        if node not in computed and node not in reads and not is_one_number(node):
            reads[node] = self.place(node)

    def _products(self, over: Over, node: Node, linear: Linear) -> None:
        """Add the products of a linear node, after a loop has initialized it with its terms, if any."""
        zero, unread = self.zero, self.unread
        out, label = self.places[node], self.printer.label(node)
        # A product that is zero at the first step comes last, so that there is something to add it to.
        for i, product in enumerate(sorted(linear.products, key=lambda p: p.inputs[0] in zero)):
            add = bool(linear.terms) or i > 0
            what = self.printer.expression(node) if product is node else self.printer.text("{0}", product)
            # A product that is zero or unread before the first step can be skipped there.
            idle = node in unread or (add and product.inputs[0] in zero)
            comment = f"{label} {'+=' if add else '='} {what}"
            self.out.append(self._product(Over.GOING if idle else over, out, product, add, comment))

    def _product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> Instruction:
        """Return the instruction for `out (+)= vector @ matrix`, or for the product of any other two nodes."""
        left, right = product.inputs
        vector = self.place(left)
        weight = self.plan.weights.get(right)
        if weight is not None and weight.fits(product):
            _, k, n, _ = product.attributes
            along = weight.goes_along_rows(product)
            # With few rows, dot products are faster than a transposed copy.
            by_dots = not along and weight.flipped
            matrix = self.weights[right][0] if along or by_dots else self._transposed(right)
            return Product(over, out, vector, matrix, k, n, add, by_dots, comment)
        shape = product.attributes or (left.size, 1, right.size, False)
        return Call(over, "multiply_plain", (out, vector, self.place(right), *shape, add), comment)

    def _call(self, over: Over, node: Node) -> None:
        """Add the call of an operation that is neither element-wise nor a product."""
        if node not in self.places:
            # A slice is read in place.
            return
        function, out, sources = OPERATIONS[node.operation].native, self.places[node], [*map(self.place, node.inputs)]
        arguments: list[tuple[Argument, ...]] = [(out, *sources, *node.attributes)]
        if node.operation == "join":
            arguments = [(out, source, where) for source, where in zip(sources, node.attributes[0], strict=True)]
        comment = f"{self.printer.label(node)} = {self.printer.expression(node)}"
        self.out += [Call(over, function, a, comment) for a in arguments]


def weight_order(node: Node) -> tuple[Any, ...]:
    """Return what weights are sorted by."""
    assert isinstance(node.leaf, WEIGHTS)
    return (type(node.leaf).__name__, *astuple(node.leaf))


def moved(
    weight: Weight, flat: Place, matrix: Place, *, to_matrix: bool, over: Over = Over.ONCE, add: bool = False
) -> Call:
    """Return the call that copies or adds a weight's numbers from unpadded rows to its layout, or back."""
    line = Padded(weight.stored[1])
    sides: list[tuple[Argument, ...]] = [
        (flat, weight.columns, 1),
        (matrix, 1, line) if weight.flipped else (matrix, line, 1),
    ]
    source, out = sides if to_matrix else reversed(sides)
    return Call(over, "copy_matrix", (*out, *source, weight.rows, weight.columns, add))


def is_one_number(node: Node) -> bool:
    """Whether the node is one constant number, maybe repeated: its lanes are a literal."""
    return node.is_constant and bool(np.all(node.numbers == node.numbers[0]))


def _run(node: Node) -> int:
    """Return the start of the contiguous range that a node takes; -1 if it is not contiguous."""
    where = indices_of(node.attributes[0])
    return int(where[0]) if np.array_equal(where, np.arange(where[0], where[0] + len(where))) else -1


def _comment(printer: Printer, fused: Fused, nodes: Group, stores: list[Store]) -> str:
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
