"""From nodes to instructions: what shares a loop, where each node stands, and what neither loops nor stands alone.

Element-wise nodes are gathered into loops, each as large as what is known by then allows; a sum of matrix products and
other terms becomes one *linear* node: a loop begins it with its terms, and its products add up in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from myrnn.compiler.graph import Node, topological
from myrnn.compiler.instructions import Argument, Call, For, IfLater, Instruction, Loop, Padded, Product, Store
from myrnn.compiler.layout import Buffer, Names, Over, Place, Row, Rows, padded
from myrnn.compiler.ops import OPERATIONS, indices_of
from myrnn.compiler.plan import Plan
from myrnn.compiler.printer import LONGEST, Printer, sum_of

# What shares a loop --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """A sum of vector-matrix products and other terms."""

    products: tuple[Node, ...]
    terms: tuple[Node, ...]


Group = tuple[Node, ...]
"""The nodes of a loop in order; or one node that is not element-wise, or the products of a linear one."""


@dataclass(frozen=True)
class Fused:
    """The nodes of a part in groups.

    Attributes
    ----------
    groups : list
        Whether each is a loop, and its nodes.
    linear : dict
        The linear nodes.
    kept : set of Node
        The nodes that must be in memory: something outside their own loop reads them.
    """

    groups: list[tuple[bool, Group]]
    linear: dict[Node, Linear]
    kept: set[Node] = field(default_factory=set)

    def reads(self, is_loop: bool, nodes: Group) -> set[Node]:
        """Return what a group reads: a loop the terms of its linear nodes, otherwise their vectors."""
        if is_loop:
            return {i for n in nodes for i in (self.linear[n].terms if n in self.linear else n.inputs)}
        (node,) = nodes
        return {i for p in (self.linear[node].products if node in self.linear else (node,)) for i in p.inputs}


def fuse(targets: Iterable[Node], available: set[Node], keep: set[Node]) -> Fused:
    """Order the computation of the targets from what is available, and gather it in loops.

    Parameters
    ----------
    targets : iterable of Node
        What must be computed.
    available : set of Node
        What stands in memory already.
    keep : set of Node
        What must stand in memory afterwards.
    """
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
    """Find the sums that hold products, from the largest down, and the nodes that they absorb."""
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
        if node in absorbed or node.operation not in ("add", "matmul"):
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
        products = tuple(n for n in leaves if _is_row_product(n) and (n is node or private(n)))
        if products:
            linear[node] = Linear(products, tuple(n for n in leaves if n not in products))
            absorbed |= ({*inner, *products}) - {node}
    return linear, absorbed


def _is_row_product(node: Node) -> bool:
    return node.operation == "matmul" and node.attributes[0] == 1


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
                    # A linear node is finished by its products only: nothing in its own loop may read it.
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


# Where everything goes -----------------------------------------------------------------------------------------------


class Assembler:
    """Gathers the instructions of a program, and gives each node that needs one a place."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.printer = plan, plan.printer
        self.out: list[Instruction] = []
        self.places: dict[Node, Place] = {}
        self.buffers: list[Buffer] = []
        self.constants: dict[Node, Buffer] = {}
        # What computes copies of weights in the layout in which they are read.
        self.copies: dict[str, list[Instruction]] = {"parameters": [], "derived": [], "backward": []}
        self._copied: dict[tuple[str, Node], Buffer] = {}
        self.is_backward = False
        self._names = Names(plan.sizes)
        # Where each weight and its gradient stand.
        self.weights: dict[Node, tuple[Buffer, Buffer]] = {}
        for leaf in sorted(plan.weights, key=lambda n: (n.operation, n.attributes)):
            self.weights[leaf] = self._place_weight(leaf)

    # Buffers and places ----------------------------------------------------------------------------------------------

    def new(self, wanted: str, columns: int, rows: Rows = Rows.ONE, lines: int = 1) -> Buffer:
        """Return a new buffer of the workspace."""
        buffer = Buffer("w", self._names.new(wanted), columns, rows, lines)
        self.buffers.append(buffer)
        return buffer

    def _place_weight(self, leaf: Node) -> tuple[Buffer, Buffer]:
        """Return where a weight and its gradient stand."""
        weight = self.plan.weights[leaf]
        if leaf.operation == "derived":
            matrix = self.new(f"derived_{leaf.attributes[0]}", weight.columns, lines=weight.rows)
            return matrix, self.new(f"d_{matrix.name}", weight.columns, lines=weight.rows)
        index, *first_row = leaf.attributes
        rows, columns = weight.stored
        layout = self.plan.parameters.layouts[index]
        at, name = layout.at, layout.name
        if first_row:
            at, name = at + first_row[0] * padded(weight.columns), f"{name}_from_{first_row[0]}"
        matrix = Buffer("p", self._names.new(name), columns, Rows.ONE, rows, at)
        self.buffers.append(matrix)
        return matrix, replace(matrix, array="g")

    def _flat(self, leaf: Node) -> Buffer:
        """Return a weight's numbers one after the other: where they are, or a copy."""
        weight, (matrix, _) = self.plan.weights[leaf], self.weights[leaf]
        if weight.is_flat:
            return matrix
        if ("flat", leaf) not in self._copied:
            flat = self._copied["flat", leaf] = self.new(f"{matrix.name}_flat", leaf.size)
            shape = weight.rows, weight.columns, weight.flipped
            self._copy(leaf, "unpack", Place(flat, leaf.size), matrix, *shape)
        return self._copied["flat", leaf]

    def _transposed(self, leaf: Node) -> Buffer:
        """Return a copy of the weight with the rows and columns of its layout exchanged."""
        if ("transposed", leaf) not in self._copied:
            matrix, _ = self.weights[leaf]
            copy = self.new(f"{matrix.name}_transposed", matrix.lines, lines=padded(matrix.columns))
            self._copied["transposed", leaf] = copy
            self._copy(leaf, "transpose", copy, matrix, matrix.lines, Padded(matrix.columns))
        return self._copied["transposed", leaf]

    def _copy(self, leaf: Node, function: str, *arguments: Argument) -> None:
        when = "backward" if self.is_backward else "derived" if leaf.operation == "derived" else "parameters"
        self.copies[when].append(Call(Over.ONCE, function, arguments))

    def place(self, node: Node) -> Place:
        """Return where the numbers of a node stand."""
        if node in self.places:
            return self.places[node]
        if node.is_constant:
            if node not in self.constants:
                self.constants[node] = self.new("constant", node.size)
            return Place(self.constants[node], node.size)
        if node in self.weights:
            return Place(self._flat(node), node.size)
        assert self._is_slice(node), f"{node} has no place"
        whole = self.place(node.inputs[0])
        return replace(whole, size=node.size, offset=whole.offset + _run(node))

    def _is_slice(self, node: Node) -> bool:
        """Whether the node is a run of another one's numbers and can be read where they stand."""
        return node.operation == "take" and node not in self.plan.clean and _run(node) >= 0

    def _source(self, node: Node) -> Node:
        """Return the node whose numbers are read where a node is: of a slice, what it is a slice of."""
        while node not in self.places and self._is_slice(node):
            node = node.inputs[0]
        return node

    def _sharing(self, place: Place) -> set[Node]:
        """Return the nodes whose numbers stand at a place."""
        return {n for n, p in self.places.items() if p.buffer == place.buffer and p.row == place.row}

    @contextmanager
    def steps(self, backward: bool) -> Iterator[None]:
        """Gather the instructions that follow inside in a loop over the steps."""
        before, self.out = self.out, []
        yield
        body, self.out = self.out, before
        if body:
            self.out.append(For(backward, tuple(body)))

    # Nodes -----------------------------------------------------------------------------------------------------------

    def store(self, node: Node, place: Place, add: bool = False) -> Store:
        """Return a store, which clears the padding where that is read."""
        return Store(node, place, add=add, clean=add or node in self.plan.clean)

    def compute(
        self, over: Over, stores: Sequence[Store], keep: Sequence[Node] = (), lasting: Iterable[Node] = ()
    ) -> None:
        """Compute all nodes of the stores and of `keep`, which stay in memory, those of `lasting` for every step."""
        fused = fuse([*(s.node for s in stores), *keep], set(self.places), {*keep, *lasting})
        # Some stores must wait until the end, because they overwrite what is read until then.
        late = [
            s
            for s in stores
            for i, (is_loop, nodes) in enumerate(fused.groups)
            if is_loop and s.node in nodes and self._is_read_later(fused, i, s, stores)
        ]
        fused.kept.update(s.node for s in late)
        waiting = self._assign(over, fused, stores, set(lasting))
        for is_loop, nodes in fused.groups:
            if is_loop:
                computed = {n for n in nodes if n not in fused.linear}
                now = [s for s in waiting if s.node in computed and s not in late]
                waiting = [s for s in waiting if s not in now]
                self._loop(over, fused, nodes, now)
            elif nodes[0] in fused.linear:
                self._products(over, nodes[0], fused.linear[nodes[0]])
            else:
                self._call(over, nodes[0])
        while waiting:
            # A slice is read before what it is a slice of is overwritten.
            size = min((s.node.size for s in waiting), key=lambda size: self._is_read_by_others(size, waiting))
            self._loop(over, fused, (), [s for s in waiting if s.node.size == size])
            waiting = [s for s in waiting if s.node.size != size]

    def _assign(self, over: Over, fused: Fused, stores: Sequence[Store], lasting: set[Node]) -> list[Store]:
        """Give a place to every node that needs one; return the stores whose place is no node's."""
        left = list(stores)
        rows = Rows.SEQUENCES if over in (Over.STEP, Over.END) else Rows.ONE
        for i, (_, nodes) in enumerate(fused.groups):
            for node in nodes:
                if node not in fused.kept or node in self.places:
                    continue
                store = next((s for s in left if s.node is node and not s.add), None)
                lasts = node in lasting
                if store is not None and not lasts and self._may_compute_in_place(fused, i, store, left):
                    self.places[node] = store.place
                    left.remove(store)
                elif not self._is_slice(node) or (lasts and self._needs_copy(node, store)):
                    buffer = self.new(self.printer.label(node), node.size, Rows.STEPS if lasts else rows)
                    self.places[node] = Place(buffer, node.size)
        return left

    def _needs_copy(self, node: Node, store: Store | None) -> bool:
        """Whether a slice that is kept for every step needs a buffer: its source is overwritten, or it is stored."""
        return store is not None or self.place(node.inputs[0]).buffer.rows not in (Rows.STEPS, Rows.STATES)

    def _may_compute_in_place(self, fused: Fused, index: int, store: Store, stores: Sequence[Store]) -> bool:
        """Whether the node of a group may be computed where a store writes it."""
        linear = fused.linear.get(store.node)
        if linear is not None:
            if store.place.row is Row.AFTER and self.plan.kind.batched:
                return False
            vectors = [self.places.get(self._source(p.inputs[0])) for p in linear.products]
            if any(v is not None and v.buffer == store.place.buffer for v in vectors):
                return False
        return not self._is_read_later(fused, index, store, stores)

    def _is_read_later(self, fused: Fused, index: int, store: Store, stores: Sequence[Store]) -> bool:
        """Whether anything after a group still reads what the store would overwrite, or a call at that moment."""
        over = self._sharing(store.place)
        if store.add or not over:
            return False
        # A loop reads each lane before it writes it; a call reads one number after others are written.
        groups = fused.groups[index + fused.groups[index][0] :]
        later = {i for group in groups for i in fused.reads(*group)} | {s.node for s in stores if s is not store}
        return not over.isdisjoint(map(self._source, later))

    def _is_read_by_others(self, size: int, stores: Sequence[Store]) -> bool:
        """Whether stores of other sizes read what those of this size overwrite."""
        read = {self._source(s.node) for s in stores if s.node.size != size}
        return any(self._sharing(s.place) & read for s in stores if s.node.size == size and not s.add)

    def _loop(self, over: Over, fused: Fused, nodes: Group, stores: list[Store]) -> None:
        """Add a loop that computes nodes, begins the linear ones with their terms, and ends with the stores."""
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
            self.out.append(Loop(over, size, computed, (*begun, *stores), reads, comment))

    def _note_read(self, reads: dict[Node, Place], node: Node, computed: Group) -> None:
        if node not in computed and node not in reads and not is_one_number(node):
            reads[node] = self.place(node)

    def _products(self, over: Over, node: Node, linear: Linear) -> None:
        """Add the products of a linear node, which a loop has begun with its terms if it has any."""
        zero, unread = (self.plan.zero_at_first, self.plan.unread_at_first) if over is Over.STEP else ((), ())
        out, label = self.places[node], self.printer.label(node)
        # What is zero at the first step comes last, so that there is something to add it to.
        for i, product in enumerate(sorted(linear.products, key=lambda p: p.inputs[0] in zero)):
            add = bool(linear.terms) or i > 0
            what = self.printer.expression(node) if product is node else self.printer.text("{0}", product)
            instruction = self._product(over, out, product, add, f"{label} {'+=' if add else '='} {what}")
            if node in unread or (add and product.inputs[0] in zero):
                # One condition serves all that follow each other.
                before = self.out[-1] if self.out else None
                if isinstance(before, IfLater):
                    self.out[-1] = IfLater((*before.body, instruction))
                else:
                    self.out.append(IfLater((instruction,)))
            else:
                self.out.append(instruction)

    def _product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> Instruction:
        """Return the instruction for `out (+)= vector @ matrix`."""
        left, right = product.inputs
        vector = self.place(left)
        weight = self.plan.weights.get(right)
        if weight is None or not weight.fits(product):
            return self._plain_product(over, out, product, add, comment)
        _, k, n, _ = product.attributes
        along = weight.goes_along_rows(product)
        # Dots are better than a transposed copy where there are few rows.
        by_dots = not along and weight.flipped
        matrix = self.weights[right][0] if along or by_dots else self._transposed(right)
        return Product(over, out, vector, matrix, k, n, add, by_dots, comment)

    def _plain_product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> Call:
        """Return the product of two values, whatever their shapes."""
        left, right = map(self.place, product.inputs)
        return Call(over, "multiply_plain", (out, left, right, *product.attributes, add), comment)

    def _call(self, over: Over, node: Node) -> None:
        """Add the call of an operation that neither works element by element nor is one row times a weight."""
        sources = [self.place(i) for i in node.inputs]
        if self._is_slice(node) and node not in self.places:
            # It is read where it stands; what it is a slice of has its place now.
            return
        out = self.places[node]
        comment = f"{self.printer.label(node)} = {self.printer.expression(node)}"
        match node.operation:
            case "matmul":
                self.out.append(self._plain_product(over, out, node, False, comment))
            case "join":
                for source, where in zip(sources, node.attributes[0], strict=True):
                    self.out.append(Call(over, "spread_out", (out, source, where, source.size), comment))
            case "outer":
                m, n = (i.size for i in node.inputs)
                self.out.append(Call(over, "multiply_plain", (out, *sources, m, 1, n, False, False), comment))
            case "take" | "put":
                sizes = (node.size,) if node.operation == "take" else (node.inputs[0].size, node.size)
                self.out.append(Call(over, node.operation, (out, *sources, node.attributes[0], *sizes), comment))
            case "sum":
                self.out.append(Call(over, "sum_axis", (out, *sources, *node.attributes), comment))
            case "softmax" | "log_softmax":
                arguments = out, *sources, *node.attributes, node.operation == "log_softmax"
                self.out.append(Call(over, "softmax_axis", arguments, comment))


def is_one_number(node: Node) -> bool:
    """Whether the node is one constant number, however often: its lanes are a literal."""
    return node.is_constant and bool(np.all(node.numbers == node.numbers[0]))


def _run(node: Node) -> int:
    """Return where the run of neighbours begins that a node takes; -1 where it is no run."""
    where = indices_of(node.attributes[0])
    return int(where[0]) if np.array_equal(where, np.arange(where[0], where[0] + len(where))) else -1


def _comment(printer: Printer, fused: Fused, nodes: Group, stores: list[Store]) -> str:
    """Return what a loop computes, in the model's words: as equations if they fit in a line, else the names."""
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
