"""A part of a program: its nodes become instructions, and each node that needs one gets a location.

`fuse` says what is computed together, `buffers` where leaves are, and `forms` makes the instructions, for one sequence
or for a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from myrnn.compiler.addresses import Indices, Rows, Size
from myrnn.compiler.buffers import Buffers
from myrnn.compiler.forms import Over, Place, RowOf
from myrnn.compiler.fuse import Fused, Group, Linear, Scaled, fuse, is_one_number, loop_size, multiplied
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import Argument, Comment, Elementwise, Instruction, Store, Sum
from myrnn.compiler.joined import ranges_of
from myrnn.compiler.leaves import StepNumber
from myrnn.compiler.ops import is_slice, parts_in_place, repeated_axes, run_of, sizes_of
from myrnn.compiler.printer import LONGEST, Printer, sum_of
from myrnn.compiler.runtime import LANES

# A batch is multiplied by a matrix of so many columns or more lane by lane, by fewer with dot products. A single vector
# would wait for the result of each step. The number of rows must not decide: one program serves all of them.
FEW_COLUMNS = 8


@dataclass(frozen=True)
class Destination:
    """A node that is to be computed, and where it is stored."""

    node: Node
    place: Place
    add: bool = False  # to the present numbers
    clean: bool = False  # zeros are written into the padding


class PartWriter:
    """The instructions of a part of a program, and the locations of nodes in it, which begin with those given."""

    def __init__(
        self,
        buffers: Buffers,
        places: Mapping[Node, Place],
        *,
        zero: frozenset[Node] = frozenset(),
        unread: frozenset[Node] = frozenset(),
        backward: bool = False,
    ) -> None:
        self.instructions: list[Instruction] = []
        self.places = dict(places)
        # Nodes that are zero, and nodes that nothing reads, at the first step of the loop.
        self.zero, self._unread = zero, unread
        # Whether it belongs to the backward pass, before which copies of weights for it are made.
        self._backward = backward
        self._buffers, self._plan, self._form = buffers, buffers.plan, buffers.form
        self._printer: Printer = buffers.plan.printer

    @contextmanager
    def each_step(self, backward: bool) -> Iterator[PartWriter]:
        """Yield the part whose instructions a loop does at every step; both have the same locations."""
        body = PartWriter(self._buffers, {}, zero=self.zero, unread=self._unread, backward=self._backward)
        body.places = self.places
        yield body
        if body.instructions:
            self.instructions.append(self._form.steps(tuple(body.instructions), backward))

    # Locations -------------------------------------------------------------------------------------------------------

    def stand(self, nodes: Iterable[Node], places: Iterable[Place], row: RowOf = RowOf.NOW) -> None:
        """Set the locations of nodes."""
        self.places.update((n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True))

    def place(self, node: Node) -> Place:
        """Return the location of a node's numbers."""
        if node in self.places:
            return self.places[node]
        if isinstance(node.leaf, StepNumber):
            place, write = self._buffers.step_number(node.leaf)
            self.instructions += write
            self.places[node] = place
            return place
        if node.is_leaf:
            return self._buffers.place(node, self._backward)
        assert self._is_slice(node), f"{node} has no place"
        source, run = self.place(node.inputs[0]), run_of(node.attributes[0])
        assert run is not None
        return replace(source, size=node.size, offset=source.offset + run.start)

    def _is_slice(self, node: Node) -> bool:
        """Whether the node is a contiguous part of another node that can be read in place."""
        return node not in self._plan.clean and is_slice(node)

    def store(self, node: Node, place: Place, add: bool = False) -> Destination:
        """Return where a node is stored; the padding is cleared if it is read."""
        return Destination(node, place, add, clean=add or node in self._plan.clean)

    def stores(self, nodes: Iterable[Node], places: Iterable[Place], row: RowOf = RowOf.NOW) -> list[Destination]:
        """Return where nodes are stored."""
        return [self.store(n, replace(p, row=row)) for n, p in zip(nodes, places, strict=True)]

    def give_rows(self, nodes: Iterable[Node], over: Over) -> None:
        """Copy nodes without a row for each step, but which are read like that, to new rows."""
        nodes = [node for node in nodes if not self.places[node].of_every_step]
        copies = [self._buffers.new(self._printer.text("{0}", node), node.size, Rows.STEPS) for node in nodes]
        self.compute(over, self.stores(nodes, copies))
        self.stand(nodes, copies)

    # Instructions ----------------------------------------------------------------------------------------------------

    def add(self, over: Over, instructions: tuple[Instruction, ...], comment: str = "") -> None:
        """Add instructions for one moment."""
        self.instructions += [Comment(comment)] if comment else []
        self.instructions += self._form.at(over, *instructions)

    def compute(
        self, over: Over, stores: Sequence[Destination], keep: Sequence[Node] = (), lasting: Iterable[Node] = ()
    ) -> None:
        """Compute all nodes of the stores and of `keep`, which stay in memory, those of `lasting` for every step."""
        fused = fuse([*(s.node for s in stores), *keep], set(self.places), {*keep, *lasting})
        stores = self._assign(over, fused, stores, set(lasting))
        done: set[Node] = set()
        for is_loop, nodes in fused.groups:
            if is_loop:
                computed = {n for n in nodes if n not in fused.linear and n not in fused.sums}
                self._elementwise(over, fused, nodes, [s for s in stores if s.node in computed])
                done |= computed
            elif nodes[0] in fused.linear:
                self._products(over, nodes[0], fused.linear[nodes[0]])
            else:
                self._call(over, nodes[0])
        left = [s for s in stores if s.node not in done]
        for size in dict.fromkeys(s.node.size for s in left):
            self._elementwise(over, fused, (), [s for s in left if s.node.size == size])

    def _assign(self, over: Over, fused: Fused, stores: Sequence[Destination], lasting: set[Node]) -> list[Destination]:
        """Give a location to every node that needs one: that of a store, or a buffer; return the other stores."""
        left = list(stores)
        rows = {Over.ONCE: Rows.ONE, Over.ALL: Rows.STEPS}.get(over, Rows.SEQUENCES)
        for node in [n for _, nodes in fused.groups for n in nodes if n in fused.kept]:
            if node in self.places:
                continue
            lasts = node in lasting
            store = next(
                (s for s in left if s.node is node and not s.add and (s.place.of_every_step or not lasts)), None
            )
            if store is not None:
                self.places[node] = store.place
                left.remove(store)
            elif not self._is_slice(node) or (lasts and not self.place(node).of_every_step):
                label = self._printer.label(node)
                self.places[node] = self._buffers.new(label, node.size, Rows.STEPS if lasts else rows)
        return left

    def _elementwise(self, over: Over, fused: Fused, nodes: Group, stores: list[Destination]) -> None:
        """Add a loop that computes nodes, initializes the linear ones with their terms, and ends with the stores."""
        joined = {n: parts for n in nodes if (parts := parts_in_place(n)) is not None}
        sums = [n for n in nodes if n in fused.sums]
        computed = tuple(n for n in nodes if n not in fused.linear and n not in joined and n not in sums)
        inputs = {n: fused.linear[n].terms if n in fused.linear else n.inputs for n in nodes if n not in joined}
        read = dict.fromkeys([*(i for several in inputs.values() for i in several), *(s.node for s in stores)])
        reads = {n: self._form.address(self.place(n), over) for n in read if n not in nodes and not is_one_number(n)}
        written = [
            self._store_at(over, self.store(n, self.places[n]), inputs[n] if n in fused.linear else ())
            for n in nodes
            if n in self.places and n not in sums and (n in computed or n in joined or inputs[n])
        ]
        written += [self._store_at(over, store) for store in stores]
        if not written and not sums:
            return
        size = Size(loop_size(nodes[0], fused.sums) if nodes else stores[0].node.size, padded=True)
        clean = Size(size.size) if size.size % LANES else None
        vectors = {
            n: [(self._form.address(self.place(i), over), run) for i, run in parts if not i.is_zero]
            for n, parts in joined.items()
        }
        loop = Elementwise(
            size,
            computed,
            reads,
            tuple(written),
            tuple(Sum(n, self._form.address(self.places[n], over), n.inputs, clean) for n in sums),
            ranges_of(size, vectors, compact=self._plan.kind.compact),
        )
        self.add(over, self._form.rows(over, loop), _comment(self._printer, fused, nodes, stores))

    def _store_at(self, over: Over, store: Destination, terms: tuple[Node, ...] = ()) -> Store:
        """Return the store of a node, or of the terms that initialize it."""
        node, address = store.node, self._form.address(store.place, over)
        value, *others = terms or (node,)
        is_zero = not others and value.is_zero
        is_clean = store.clean and node.size % LANES and not is_zero
        return Store(node, address, terms, store.add, Size(node.size) if is_clean else None)

    def _products(self, over: Over, node: Node, linear: Linear) -> None:
        """Add the products of a linear node, after a loop has initialized it with its terms, if any."""
        whole, label = self.places[node], self._printer.label(node)
        products = list(linear.products)
        if linear.base is not None:
            self._outer_onto(over, node, products.pop(0), linear.base)
        # A product that is zero at the first step comes last, so that there is something to add it to.
        order = sorted(products, key=lambda p: (p.operation == "put", multiplied(p).inputs[0] in self.zero))
        for number, product in enumerate(order):
            add = bool(linear.terms or linear.base) or number > 0
            what = self._printer.expression(node) if product is node else self._printer.text("{0}", product)
            out = whole
            if product.operation == "put" and (run := run_of(product.attributes[0])) is not None:
                out, product = replace(whole, size=len(run), offset=whole.offset + run.start), multiplied(product)
            # A product that is zero or unread before the first step can be skipped there.
            idle = node in self._unread or (add and product.inputs[0] in self.zero)
            comment = f"{label} {'+=' if add else '='} {what}"
            self._product(Over.GOING if idle else over, out, product, add, comment)

    def _outer_onto(self, over: Over, node: Node, product: Node, base: Scaled) -> None:
        """Add the instruction for `node = base + outer(left, right)`."""
        matrices, m, _, n, _ = sizes_of(product)
        read = [self.place(i) for i in (base.node, base.factors, *product.inputs)]
        over = Over.GOING if node in self._unread else over
        sizes, has_several = map(Size, (matrices, m, n)), base.factors.size > 1
        call = self._form.call(over, "add_outer", self.places[node], *read, *sizes, has_several)
        is_whole = base.factors.is_constant and base.factors.numbers[0] == 1
        text = self._printer.text("{1} + {2}" if is_whole else "{0} * {1} + {2}", base.factors, base.node, product)
        self.add(over, call, f"{self._printer.label(node)} = {text}")

    def _product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> None:
        """Add the instruction for `out (+)= vector @ matrix`, or for the product of any other two nodes."""
        left, right = product.inputs
        vector = self.place(left)
        weight = self._plan.weights.get(right)
        if weight is None or not weight.fits(product):
            *shape, transposed = sizes_of(product)
            sizes = map(Size, shape)
            call = self._form.call(over, "multiply_plain", out, vector, self.place(right), *sizes, transposed, add)
            self.add(over, call, comment)
            return
        _, _, k, n, _ = sizes_of(product)
        matrix, _ = self._buffers.weights[right]
        by_dots = weight.is_read_by_dots(product) and (
            self._plan.kind.compact or not self._form.is_batch or n < FEW_COLUMNS
        )
        multiply = self._form.dots if by_dots else self._form.product
        if multiply == self._form.product and not weight.goes_along_rows(product):
            matrix = self._buffers.transposed(right, self._backward)
        self.add(over, multiply(over, out, vector, matrix, k, n, add=add), comment)

    def _call(self, over: Over, node: Node) -> None:
        """Add an operation that is neither element-wise nor a product."""
        if node not in self.places:
            # A slice is read in place.
            return
        out, sources = self.places[node], [self.place(i) for i in node.inputs]
        comment = f"{self._printer.label(node)} = {self._printer.expression(node)}"
        if node.operation == "join":
            for source, where in zip(sources, node.attributes[0], strict=True):
                self.add(over, self._moved(over, "join", out, source, where), comment)
        elif (axes := repeated_axes(node)) is not None:
            self.add(over, self._form.call(over, "repeat", out, *sources, *map(Size, axes)), comment)
        else:
            arguments = map(_argument, node.attributes)
            self.add(over, self._form.apply(over, node.operation, out, *sources, *arguments), comment)

    def _moved(self, over: Over, operation: str, out: Place, source: Place, where: bytes) -> tuple[Instruction, ...]:
        """Move numbers to other indices; those that stay next to each other are copied."""
        if (run := run_of(where)) is None:
            return self._form.apply(over, operation, out, source, Indices(where))
        out = replace(out, size=len(run), offset=out.offset + run.start)
        return self._form.call(over, "copy", out, source, Size(len(run)))


def _argument(attribute: Any) -> Argument:
    """Return an attribute of an operation as an argument of its function."""
    return Indices(attribute) if isinstance(attribute, bytes) else Size(attribute)


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
