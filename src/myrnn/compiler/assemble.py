"""From nodes to instructions: the location of every node, and the instructions that compute it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np

from myrnn.compiler.carry import carried_of
from myrnn.compiler.derive import WEIGHTS
from myrnn.compiler.forms import (
    BATCH,
    CARRIED,
    DONE,
    FEATURES,
    LEFT,
    MEMBERS,
    OFFSETS,
    SINGLE,
    SOURCE,
    STEPS,
    Over,
    Place,
    RowOf,
    T,
    X,
    stride_of,
    whole,
)
from myrnn.compiler.fuse import Fused, Group, Linear, fuse, is_one_number
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import (
    Argument,
    Buffer,
    Call,
    Comment,
    Dots,
    DrawNumbers,
    Elementwise,
    Indices,
    Infix,
    Instruction,
    Number,
    Product,
    Rows,
    Size,
    Store,
    Write,
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
from myrnn.compiler.names import Names
from myrnn.compiler.ops import OPERATIONS, indices_of
from myrnn.compiler.plan import LANES, Plan, Weight, padded
from myrnn.compiler.printer import LONGEST, Printer, sum_of

# Headings of values that are prepared before they are read.
PARAMETERS = "Weights in the layout of the forward pass."
DERIVED = "Computed weights in the layout of the forward pass."
DRAWN = "Random numbers."
INPUT = "Values that only depend on the input, for all steps at once."
BACKWARD = "Weights in the layout of the backward pass."


@dataclass(frozen=True)
class Destination:
    """A node that is to be computed, and where it is stored."""

    node: Node
    place: Place
    add: bool = False  # to the present numbers
    clean: bool = False  # zeros are written into the padding


class Assembler:
    """Collects the instructions of a program, and gives a location to each node that needs one."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.printer = plan, plan.printer
        self.form = BATCH if plan.kind.batched else SINGLE
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
        return whole(buffer)

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
        return whole(buffer), whole(replace(buffer, array="g"))

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
                    self.before[INPUT] += self._input(flat)
                case StepTable() as table:
                    flat = self.new("table", leaf.size, Rows.TABLE)
                    self.tables[flat.buffer] = table
                    flat = replace(flat, row=RowOf.LEFT if table.backward else RowOf.DONE)
                case Drawn() as drawn:
                    flat = self._drawn(drawn)
                case StepNumber() as given:
                    flat = self.new("time", 1, Rows.SEQUENCES)
                    self.out += self._write(Over.STEP, flat, LEFT if given.backward else DONE)
                case Length():
                    flat = self.new("length", 1, Rows.SEQUENCES)
                    self.before[INPUT] += self._write(Over.END, flat, self.form.length)
                case CarriedNumbers(offset):
                    flat = self.new(self.printer.names[leaf], leaf.size, Rows.SEQUENCES)
                    stream, size = self.in_stream(offset), Size(leaf.size)
                    self.before[INPUT] += self.called(Over.START, "go_on", flat, *stream, size)
                case _:
                    weight, (matrix, _) = self.plan.weights[leaf], self.weights[leaf]
                    flat = self.new(f"{matrix.buffer.name}_flat", leaf.size)
                    self._before(leaf).extend(self.moved(weight, flat, matrix, to_matrix=False))
            self._made["flat", leaf] = flat
        return self._made["flat", leaf]

    def _drawn(self, drawn: Drawn) -> Place:
        """Return the location of random numbers, for each step or each sequence, and add their instruction."""
        amount = self._place_of_leaf(self.plan.derivative.recurrence.build.constant([drawn.draw.amount]))
        out = self.new(drawn.draw.kind, drawn.size, Rows.SEQUENCES if drawn.once else Rows.STEPS)
        row = RowOf.NOW if drawn.once else RowOf.LEFT if drawn.backward else RowOf.DONE
        draws = self._draws(Over.START if drawn.once else Over.STEP, out, drawn, row, amount)
        self.before[DRAWN] += draws if drawn.once else [self.form.steps(draws)]
        return out

    def _draws(self, over: Over, out: Place, drawn: Drawn, row: RowOf, amount: Place) -> tuple[Instruction, ...]:
        """Return instructions that draw a row of a site's stream for each sequence."""
        # That of the step, after T rows for each earlier part.
        parts, rows = drawn.parts if drawn.by_part else 1, self.form.count.get(over)
        function = f"draw_{drawn.draw.kind}"
        site, address = Size(drawn.site, wanted="site", is_shared=False), self.form.address(amount, Over.ONCE)
        draws = []
        for part in range(parts):
            size = out.size // parts
            place = replace(out, size=size, offset=part * size)
            first, count = self.form.first_row(place, over), Size(size)
            if rows is None:
                step: Number = {RowOf.DONE: DONE, RowOf.LEFT: LEFT}.get(row, 0)
                step = Infix("+", Infix("*", part, STEPS), step) if part else step
                draws.append(DrawNumbers(function, address, site, first, (), count, (step,)))
                continue
            shift: Number
            shift, times = {RowOf.DONE: (T - STEPS, part + 1), RowOf.LEFT: (LEFT, part)}.get(row, (0, 0))
            step_of_each = (OFFSETS, MEMBERS, rows, shift, times)
            draws.append(DrawNumbers(f"{function}s", address, site, first, (stride_of(place),), count, step_of_each))
        return tuple(draws)

    def _transposed(self, leaf: Node) -> Place:
        """Return a copy of the weight in transposed layout."""
        if ("transposed", leaf) not in self._made:
            matrix, _ = self.weights[leaf]
            lines, columns = self.plan.weights[leaf].stored
            copy = self.new(f"{matrix.buffer.name}_transposed", lines, lines=padded(columns))
            self._made["transposed", leaf] = copy
            size, padded_size = Size(lines), Size(columns, padded=True)
            arguments = (copy, Size(lines, padded=True), matrix, padded_size, size, padded_size)
            self._before(leaf).extend(self.called(Over.ONCE, "transpose", *arguments))
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
            self.out.append(self.form.steps(tuple(body), backward))

    # Instructions ----------------------------------------------------------------------------------------------------

    def add(self, over: Over, instructions: tuple[Instruction, ...], comment: str = "") -> None:
        """Add instructions for one moment."""
        self.out += [Comment(comment)] if comment else []
        self.out += self.form.at(over, *instructions)

    def called(self, over: Over, function: str, *arguments: Place | Argument) -> tuple[Instruction, ...]:
        """Return instructions that call a function for each row."""
        given = (self.form.address(a, over) if isinstance(a, Place) else a for a in arguments)
        return self.form.rows(over, Call(function, tuple(given)))

    def _input(self, out: Place) -> tuple[Instruction, ...]:
        """Return instructions that prepare the rows of the sequences."""
        width = Size(out.size)
        if self.plan.kind.tokens:
            return self.called(Over.ALL, "one_hot", out, X, width)
        return self.called(Over.ALL, "copy", out, FEATURES, SOURCE * width, width)

    def _write(self, over: Over, out: Place, number: Number) -> tuple[Instruction, ...]:
        """Return instructions that write a number for each sequence."""
        return self.form.rows(over, Write(self.form.address(out, over), number))

    def in_stream(self, at: int) -> tuple[Number, ...]:
        """Return the arguments for the location of a number in the row of a stream."""
        width = carried_of(self.plan.derivative.recurrence).width
        return CARRIED, self.form.stream, Size(width), Size(at, wanted="at")

    def moved(
        self, weight: Weight, flat: Place, matrix: Place, *, to_matrix: bool, over: Over = Over.ONCE, add: bool = False
    ) -> tuple[Instruction, ...]:
        """Return instructions that copy or add a weight's numbers from unpadded rows to its layout, or back."""
        line, one = Size(weight.stored[1], padded=True), Size(1)
        sides: list[tuple[Place | Argument, ...]] = [
            (flat, Size(weight.columns), one),
            (matrix, one, line) if weight.flipped else (matrix, line, one),
        ]
        source, out = sides if to_matrix else reversed(sides)
        return self.called(over, "copy_matrix", *out, *source, Size(weight.rows), Size(weight.columns), add)

    def multiply(
        self, over: Over, out: Place, vector: Place, matrix: Place, k: int, n: int, *, add: bool, comment: str
    ) -> None:
        """Add the product of the parallel rows with a (k, n) matrix."""
        form, places = self.form, (out, vector)
        sizes = form.matrix(matrix), Size(k), Size(n, padded=True)
        if over in form.count and not any(form.lies_apart(place, over) for place in places):
            target, left = (form.first_row(place, over) for place in places)
            product = Product(*sizes, target, left, add, (stride_of(out), stride_of(vector)), form.count[over])
            self.add(over, (product,), comment)
        else:
            target, left = (form.address(place, over) for place in places)
            self.add(over, form.rows(over, Product(*sizes, target, left, add)), comment)

    def add_outer(self, over: Over, gradient: Place, left: Place, right: Place, comment: str) -> None:
        """Add the outer products of two vectors, of all rows at once, to the gradient of a weight."""
        arguments = (
            self.form.matrix(gradient), self.form.first_row(left, over), 1, stride_of(left),
            self.form.first_row(right, over), stride_of(right), Size(left.size), self.form.count.get(over, 1),
            Size(right.size, padded=True), True,
        )  # fmt: skip
        self.add(over, (Call("multiply", arguments),), comment)

    # Nodes -----------------------------------------------------------------------------------------------------------

    def store(self, node: Node, place: Place, add: bool = False) -> Destination:
        """Return where a node is stored; the padding is cleared if it is read."""
        return Destination(node, place, add, clean=add or node in self.plan.clean)

    def compute(
        self, over: Over, stores: Sequence[Destination], keep: Sequence[Node] = (), lasting: Iterable[Node] = ()
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

    def _assign(self, over: Over, fused: Fused, stores: Sequence[Destination], lasting: set[Node]) -> list[Destination]:
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

    def _loop(self, over: Over, fused: Fused, nodes: Group, stores: list[Destination]) -> None:
        """Add a loop that computes nodes, initializes the linear ones with their terms, and ends with the stores."""
        computed = tuple(n for n in nodes if n not in fused.linear)
        inputs = {n: fused.linear[n].terms if n in fused.linear else n.inputs for n in nodes}
        read = dict.fromkeys([*(i for several in inputs.values() for i in several), *(s.node for s in stores)])
        reads = {n: self.form.address(self.place(n), over) for n in read if n not in nodes and not is_one_number(n)}
        written = [
            self._store(over, self.store(n, self.places[n]), inputs[n] if n in fused.linear else ())
            for n in nodes
            if n in self.places and (n in computed or inputs[n])
        ]
        written += [self._store(over, store) for store in stores]
        if written:
            size = Size((*nodes, *(s.node for s in stores))[0].size, padded=True)
            loop = Elementwise(size, computed, reads, tuple(written))
            self.add(over, self.form.rows(over, loop), _comment(self.printer, fused, nodes, stores))

    def _store(self, over: Over, store: Destination, terms: tuple[Node, ...] = ()) -> Store:
        """Return the store of a node, or of the terms that initialize it."""
        node, address = store.node, self.form.address(store.place, over)
        value, *others = terms or (node,)
        is_zero = not others and is_one_number(value) and str(np.float32(value.numbers[0])) == "0.0"
        is_clean = store.clean and node.size % LANES and not is_zero
        return Store(node, address, terms, store.add, Size(node.size) if is_clean else None)

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
            self._product(Over.GOING if idle else over, out, product, add, comment)

    def _product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> None:
        """Add the instruction for `out (+)= vector @ matrix`, or for the product of any other two nodes."""
        left, right = product.inputs
        vector = self.place(left)
        weight = self.plan.weights.get(right)
        if weight is None or not weight.fits(product):
            *shape, transposed = product.attributes or (left.size, 1, right.size, False)
            sizes = map(Size, shape)
            call = self.called(over, "multiply_plain", out, vector, self.place(right), *sizes, transposed, add)
            self.add(over, call, comment)
            return
        _, k, n, _ = product.attributes
        along = weight.goes_along_rows(product)
        if along or not weight.flipped:
            matrix = self.weights[right][0] if along else self._transposed(right)
            self.multiply(over, out, vector, matrix, k, n, add=add, comment=comment)
            return
        # With few rows, dot products are faster than a transposed copy.
        rows, clear = self.form.matrix(self.weights[right][0]), None if add else Size(n, padded=True)
        target, factor = (self.form.address(place, over) for place in (out, vector))
        dots = Dots(rows, target, Size(n), clear, factor, Size(k, padded=True))
        self.add(over, self.form.rows(over, dots), comment)

    def _call(self, over: Over, node: Node) -> None:
        """Add the call of an operation that is neither element-wise nor a product."""
        if node not in self.places:
            # A slice is read in place.
            return
        function, out, sources = OPERATIONS[node.operation].numba, self.places[node], [*map(self.place, node.inputs)]
        arguments: list[tuple[Place | Argument, ...]] = [(out, *sources, *map(_fixed, node.attributes))]
        if node.operation == "join":
            indices = map(Indices, node.attributes[0])
            arguments = [(out, source, where) for source, where in zip(sources, indices, strict=True)]
        comment = f"{self.printer.label(node)} = {self.printer.expression(node)}"
        for given in arguments:
            self.add(over, self.called(over, function, *given), comment)


def _fixed(attribute: Any) -> Argument:
    """Return an attribute of an operation as an argument of its function."""
    return Indices(attribute) if isinstance(attribute, bytes) else Size(attribute)


def weight_order(node: Node) -> tuple[Any, ...]:
    """Return what weights are sorted by."""
    assert isinstance(node.leaf, WEIGHTS)
    return (type(node.leaf).__name__, *astuple(node.leaf))


def _run(node: Node) -> int:
    """Return the start of the contiguous range that a node takes; -1 if it is not contiguous."""
    where = indices_of(node.attributes[0])
    return int(where[0]) if np.array_equal(where, np.arange(where[0], where[0] + len(where))) else -1


def _comment(printer: Printer, fused: Fused, nodes: Group, stores: Sequence[Destination]) -> str:
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
