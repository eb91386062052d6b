"""The memory layout of weights, the values kept for the backward pass, and what the first step can skip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import prod

from myrnn.compiler.derive import (
    Derivative,
    ProgramKind,
    Pullback,
    differ_by_sequence,
    differentiate_loss,
    differentiate_penalty,
    without_gradients,
)
from myrnn.compiler.equations import printer_of
from myrnn.compiler.graph import Node, in_order, leaves_of, topological
from myrnn.compiler.leaves import INPUT, Derived, Gradient, Kept, LoopState, Parameter, ParameterRows
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.ops import OPERATIONS, is_slice, parts_in_place, repeated_axes, sizes_of
from myrnn.compiler.printer import Printer
from myrnn.compiler.runtime import LANES

# With this many rows, updating all rows of a weight costs more than keeping a record of each.
LOOKUP_ROWS = 4096
# The gradients of states of this many numbers, which are mostly matrices, do not stay in the cache for all steps.
MATRIX = 256
# The most sequences of a micro-batch. If each step reads weights for all of them, the more the better, as long as their
# rows stay in the cache. Otherwise it is best if the states of all steps stay there, so large ones are alone.
MICRO_BATCH, MICRO_BATCH_APART, MICRO_BATCH_LARGE = 32, 2, 1
# States are large with more numbers than this.
LARGE_STATES = 2048
# With more parameters, their gradients and layouts for so few sequences would cost more than that saves.
FEW_PARAMETERS = 2**17


def padded(size: int) -> int:
    """Return the size, rounded up to whole lanes."""
    return -(-size // LANES) * LANES


@dataclass(frozen=True)
class Weight:
    """The shape in which products read a parameter, rows of one, or a value computed once; a vector has one row."""

    rows: int
    columns: int
    # Stored transposed, because it has many rows and few columns.
    flipped: bool = False
    # Without padding.
    compact: bool = False

    @property
    def stored(self) -> tuple[int, int]:
        """Its rows and columns in memory."""
        return (self.columns, self.rows) if self.flipped else (self.rows, self.columns)

    @property
    def line(self) -> int:
        """The distance of two rows in memory."""
        _, columns = self.stored
        return columns if self.compact else padded(columns)

    @property
    def is_flat(self) -> bool:
        """Whether its numbers are contiguous, without padding."""
        return self.compact or self.rows == 1 or (self.columns % LANES == 0 and not self.flipped)

    def fits(self, product: Node) -> bool:
        """Whether the product is one of a row with the weight in its layout."""
        if product.operation != "matmul":
            return False
        matrices, m, k, n, transposed = sizes_of(product)
        return matrices == m == 1 and (self.rows, self.columns) == ((n, k) if transposed else (k, n))

    def goes_along_rows(self, product: Node) -> bool:
        """Whether the product goes along the rows of the weight in memory (else it needs the transposed matrix)."""
        return sizes_of(product).transposed == self.flipped

    def is_read_by_dots(self, product: Node) -> bool:
        """Whether the product is computed as dot products, one for each row of the weight in memory."""
        # With few rows, that is faster than a transposed copy; a compact program has no copies.
        return (self.flipped or self.compact) and not self.goes_along_rows(product)


@dataclass(frozen=True, kw_only=True)
class ParameterLayout(Weight):
    """The offset of a parameter in the block of all parameters."""

    name: str
    at: int

    @property
    def size(self) -> int:
        """The number of its elements, including padding."""
        return self.stored[0] * self.line


@dataclass(frozen=True)
class Parameters:
    """The block of all parameters."""

    layouts: dict[int, ParameterLayout]
    # Parameters with many rows of which a step only reads and changes those of its tokens. They come last. Only these
    # rows of their gradients are cleared, clipped and used; the others are zero.
    lookups: frozenset[int]

    @property
    def size(self) -> int:
        """The number of elements of the block, including padding."""
        return sum(layout.size for layout in self.layouts.values())

    @property
    def dense_size(self) -> int:
        """The number of elements of parameters that are not lookups."""
        return min((self.layouts[i].at for i in self.lookups), default=self.size)


@dataclass(frozen=True)
class Outer:
    """A term of a weight's gradient that is a product of two vectors, in the layout of the weight: rows by lanes."""

    # Such terms are summed over all steps in one product. A token's is one row of the gradient (`is_row`).

    leaf: Node
    left: Node
    right: Node
    is_row: bool


@dataclass(frozen=True)
class PartPlan:
    """The plan of a part: the values that it keeps, and the gradients of weights."""

    # Values of the forward pass that are kept for the backward pass, in order.
    saved: tuple[Node, ...]
    # The terms of the weights' gradients: products of two vectors, and all others with their weights.
    outer: tuple[Outer, ...]
    others: tuple[tuple[Node, Node], ...]

    @property
    def operands(self) -> list[Node]:
        """The vectors whose products are summed later."""
        return [node for term in self.outer if not term.is_row for node in (term.left, term.right)]


@dataclass(frozen=True)
class LossPart:
    """The loss of a row, the gradient of its outputs, and the values of the forward pass that it keeps."""

    value: Node
    gradient: Node
    saved: tuple[Node, ...]


@dataclass(frozen=True)
class PenaltyPart:
    """A penalty, and its backward pass to the parameters."""

    value: Node
    part: PartPlan


@dataclass(frozen=True)
class Plan:
    """The decisions about one kind of program that precede its instructions."""

    derivative: Derivative
    printer: Printer
    parameters: Parameters
    weights: dict[Node, Weight]
    prelude: PartPlan
    # For each loop: the initial states that read last states, and its steps.
    entries: tuple[PartPlan, ...]
    steps: tuple[PartPlan, ...]
    readout: PartPlan
    # None for softmax cross-entropy.
    loss: LossPart | None
    penalty: PenaltyPart | None
    # Products of a row with a weight: computed for all steps at once, or, for tokens, a row of the weight.
    projected: set[Node]
    # Nodes whose padding must be zero, because a product or a sum reads it.
    clean: frozenset[Node]
    # For loops that run forward: states that are zero before the first step, and gradients that nothing reads there.
    zero_at_first: frozenset[Node]
    unread_at_first: frozenset[Node]
    # The states whose gradients are kept for all steps.
    gradients_of_all_steps: frozenset[int]

    @property
    def kind(self) -> ProgramKind:
        """The kind of data of the program."""
        return self.derivative.kind

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes with names: the number of inputs, of classes, and of the units."""
        r = self.derivative.recurrence
        units = {"D" if i == 0 else f"D_{i + 1}": size for i, size in enumerate(r.state_sizes)}
        return {"C": r.dim_input, "K": r.readout.size, **units}

    @property
    def micro_batch(self) -> int:
        """The most sequences that the program gets at once: batches run in micro-batches, one after the other."""
        if not self.kind.batched:
            return 1
        r = self.derivative.recurrence
        steps = topological(n for loop in r.loops if loop.step for n in (*loop.step, *loop.kept.values()))
        read = (n for n in steps if n.operation == "matmul" and n.inputs[1] in self.weights)
        shares = any(n not in self.projected for n in read) or self.parameters.dense_size > FEW_PARAMETERS
        if shares:
            return MICRO_BATCH
        return MICRO_BATCH_LARGE if sum(r.state_sizes) > LARGE_STATES else MICRO_BATCH_APART

    def __str__(self) -> str:
        """Return the decisions about weights and kept values as text."""
        weights = []
        for leaf, weight in self.weights.items():
            rows, columns = weight.stored
            how = ", transposed" if weight.flipped else ""
            weights.append(f"{self.printer.names[leaf]:<16} {rows} x {columns} in rows of {weight.line}{how}")

        def texts(nodes: Iterable[Node]) -> list[str]:
            return sorted(self.printer.text("{0}", node) for node in nodes)

        how = "a row of the weight each" if self.kind.tokens else "computed for all steps at once"
        parts = {
            "weights in memory": weights,
            f"products of the input alone, {how}": texts(self.projected),
            "kept of every step": texts({node for part in self.steps for node in part.saved}),
            "kept of the readout": texts(self.readout.saved),
            "kept of what comes before the first step": texts(self.prelude.saved),
        }
        return "\n".join("\n    ".join([f"{title}:", *lines]) for title, lines in parts.items() if lines)


def plan(derivative: Derivative) -> Plan:
    """Plan the memory of a program for one kind of data."""
    kind = derivative.kind
    derivative = derivative if kind.learns else without_gradients(derivative)
    r = derivative.recurrence
    penalty = differentiate_penalty(kind.penalty, r) if kind.penalty is not None else None
    weights = _weights(derivative, [penalty[0]] if penalty else [])
    projected = _projected(derivative, weights)
    begin = [node for loop in r.loops if not differ_by_sequence(loop.initial) for node in loop.initial]
    prelude = _part([*begin, *derivative.derived], derivative.prelude, weights, kind)
    entries = tuple(
        _part(loop.initial, pullback, weights, kind) for loop, pullback in zip(r.loops, derivative.entries, strict=True)
    )
    steps = tuple(
        _part([*loop.step, *loop.kept.values()], pullback, weights, kind, projected, loop.step)
        for loop, pullback in zip(r.loops, derivative.loops, strict=True)
    )
    readout = _part([r.readout], derivative.readout, weights, kind)
    of_penalty = PenaltyPart(penalty[0], _part([penalty[0]], penalty[1], weights, kind)) if penalty else None
    parts = [prelude, *entries, *steps, readout, *([of_penalty.part] if of_penalty else [])]
    zero = [
        first + i
        for loop, first in zip(r.loops, r.first_states, strict=True)
        for i, n in enumerate(loop.initial)
        if not loop.backward and n.is_zero
    ]
    return Plan(
        derivative,
        printer_of(derivative),
        _parameters(weights, r, _lookups(derivative, weights, steps, of_penalty), compact=kind.compact),
        weights,
        prelude,
        entries,
        steps,
        readout,
        _loss_part(derivative),
        of_penalty,
        projected,
        _clean(derivative, weights, parts),
        frozenset(r.build.leaf(LoopState(i), r.state_sizes[i]) for i in zero),
        frozenset() if kind.observed else _unread_at_first(derivative),
        _gradients_of_all_steps(r, kind, steps),
    )


def _gradients_of_all_steps(recurrence: Recurrence, kind: ProgramKind, steps: Sequence[PartPlan]) -> frozenset[int]:
    """Return the states whose gradients need a row for every step, and the small ones, for which it costs little."""
    read = {n.leaf.of for part in steps for n in part.operands if isinstance(n.leaf, Gradient)}
    return frozenset(
        i for i, size in enumerate(recurrence.state_sizes) if kind.observed or size < MATRIX or LoopState(i) in read
    )


def _projected(derivative: Derivative, weights: dict[Node, Weight]) -> set[Node]:
    """Return the products of rows with weights that are computed for all steps at once, before the loop."""
    stepping = [n for loop in derivative.recurrence.loops if loop.step for n in (*loop.step, *loop.kept.values())]
    products = {n for n in topological(stepping) if n.operation == "matmul" and isinstance(n.inputs[0].leaf, Kept)}
    everywhere = stepping if not derivative.kind.tokens else [*stepping, *derivative.recurrence.kept.values()]
    products |= {n for n in topological(everywhere) if n.operation == "matmul" and n.inputs[0].leaf == INPUT}
    return {n for n in products if _goes_along_rows(n, weights)}


def backward_targets(pullback: Pullback) -> list[Node]:
    """Return the targets of a backward pass: gradients of what it reads, and the operands and terms of the weights'."""
    targets = [*pullback.states.values(), *pullback.kept.values()]
    for terms in pullback.weights.values():
        for term in terms:
            targets += term.inputs if term.operation == "outer" else (term,)
    return targets


# Weights -------------------------------------------------------------------------------------------------------------


def _goes_along_rows(product: Node, weights: dict[Node, Weight]) -> bool:
    weight = weights.get(product.inputs[1])
    return weight is not None and weight.fits(product) and weight.goes_along_rows(product)


def _weights(derivative: Derivative, further: Sequence[Node]) -> dict[Node, Weight]:
    """Choose the layout of every parameter and derived node from how the products read it."""
    r, compact = derivative.recurrence, derivative.kind.compact
    graph = topological([*r.nodes, *derivative.derived, *further])
    weights: dict[Node, Weight] = {}
    taken_apart = {n.leaf.number for n in graph if isinstance(n.leaf, ParameterRows)}
    for node in graph:
        if isinstance(leaf := node.leaf, Parameter | ParameterRows):
            shape = derivative.recurrence.shapes[leaf.number]
            columns = shape[-1] if shape else 1
            rows = node.size // columns
            whole = isinstance(leaf, Parameter) and leaf.number not in taken_apart
            flipped = (
                whole and not compact and columns < min(LANES, rows) and _only_multiplied(graph, node, rows, columns)
            )
            weights[node] = Weight(rows, columns, flipped, compact)
    for node in graph:
        if isinstance(node.leaf, Derived):
            weights[node] = Weight(*shape_by_products(graph, node), compact=compact)
    return weights


def _only_multiplied(graph: Sequence[Node], leaf: Node, rows: int, columns: int) -> bool:
    """Whether every use is a product of a vector other than the input with the leaf in its own shape."""
    weight = Weight(rows, columns)
    return all(
        weight.fits(n) and n.inputs[0] is not leaf and n.inputs[0].leaf != INPUT for n in graph if leaf in n.inputs
    )


def shape_by_products(graph: Sequence[Node], leaf: Node) -> tuple[int, int]:
    """Return the shape of the matrix that products read a leaf as; other leaves have one row."""
    for node in graph:
        if node.operation == "matmul" and node.inputs[1] is leaf and sizes_of(node).matrices == 1:
            _, _, k, n, transposed = sizes_of(node)
            # A token selects a row.
            is_column = n == 1 and node.inputs[0].leaf != INPUT
            return (n, k) if transposed or is_column else (k, n)
    return 1, leaf.size


def _parameters(
    weights: dict[Node, Weight], recurrence: Recurrence, lookups: frozenset[int], *, compact: bool
) -> Parameters:
    """Lay out the parameters one after the other, the lookups last."""
    flipped = {n.leaf.number for n, weight in weights.items() if isinstance(n.leaf, Parameter) and weight.flipped}
    layouts, at = {}, 0
    for index, shape in sorted(enumerate(recurrence.shapes), key=lambda item: item[0] in lookups):
        columns = shape[-1] if shape else 1
        rows = prod(shape) // columns if columns else 0
        name = recurrence.parameter_names[index]
        layouts[index] = ParameterLayout(rows, columns, index in flipped, compact, name=name, at=at)
        at += layouts[index].size
    return Parameters(layouts, lookups)


def _lookups(
    derivative: Derivative, weights: dict[Node, Weight], steps: Sequence[PartPlan], penalty: PenaltyPart | None
) -> frozenset[int]:
    if not derivative.kind.tokens or derivative.kind.compact:
        return frozenset()
    elsewhere = {
        leaf for part in (derivative.readout, *derivative.entries, derivative.prelude) for leaf in part.weights
    }
    for part in [*steps, *([penalty.part] if penalty else [])]:
        elsewhere |= {leaf for leaf, _ in part.others} | {o.leaf for o in part.outer if not o.is_row}
    taken_apart = {node.leaf.number for node in weights if isinstance(node.leaf, ParameterRows)}
    return frozenset(
        node.leaf.number
        for pullback in derivative.loops
        for node in pullback.weights
        if isinstance(node.leaf, Parameter) and weights[node].rows >= LOOKUP_ROWS and node not in elsewhere
    ) - taken_apart  # fmt: skip


# Kept and skipped values ----------------------------------------------------------------------------------------------


def _part(
    forward: Sequence[Node],
    pullback: Pullback,
    weights: dict[Node, Weight],
    kind: ProgramKind,
    projected: Collection[Node] = (),
    states: Sequence[Node] = (),
) -> PartPlan:
    outer, others = [], []
    for leaf, terms in pullback.weights.items():
        weight = weights[leaf]
        for term in terms:
            is_outer = term.operation == "outer" and sizes_of(term).matrices == 1
            sizes = [i.size for i in term.inputs] if is_outer else []
            # A vector is a row, whatever products made of it.
            is_turned = weight.rows == 1 and sizes == [weight.columns, 1]
            if sizes == [weight.rows, weight.columns] or is_turned:
                left, right = reversed(term.inputs) if weight.flipped or is_turned else term.inputs
                outer.append(Outer(leaf, left, right, kind.tokens and left.leaf == INPUT))
            else:
                others.append((leaf, term))
    saved = tuple(
        node
        for node in _saved(forward, backward_targets(pullback))
        # All steps have a row of these in any case, of which slices are read in place.
        if node not in projected and not (is_slice(node) and node.inputs[0] in [*projected, *states])
    )
    return PartPlan(saved, tuple(outer), tuple(others))


def _loss_part(derivative: Derivative) -> LossPart | None:
    if derivative.kind.loss is None:
        return None
    value, gradient = differentiate_loss(derivative.kind.loss, derivative.recurrence.build)
    return LossPart(value, gradient, _saved([value], [gradient]))


def _saved(forward: Sequence[Node], backward: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes of the forward pass that must be in memory for the backward pass, in order."""
    ahead = {n for n in topological(forward) if n.inputs}
    saved = {n for n in topological(backward, stop=ahead) if n in ahead}
    for node in reversed(topological(forward)):
        # A repeated vector and an outer product are larger than what they are computed from.
        if node in saved and node not in forward and (node.operation == "outer" or repeated_axes(node) is not None):
            saved.discard(node)
            saved.update(i for i in node.inputs if i.inputs)
    for node in topological(forward):
        # A cheap node needs no buffer if its inputs have one: the backward pass recomputes it.
        if node in saved and node not in forward:
            is_cheap = OPERATIONS[node.operation].cheap or parts_in_place(node) is not None
            if is_cheap and all(
                i.is_leaf or i in saved for i in (n.inputs[0] if is_slice(n) else n for n in node.inputs)
            ):
                saved.discard(node)
    # A slice is read in place, so its source must be kept.
    for node in reversed(topological(forward)):
        if node in saved and node.operation == "take" and node.inputs[0].inputs:
            saved.add(node.inputs[0])
    return tuple(in_order(saved, forward))


def _clean(derivative: Derivative, weights: dict[Node, Weight], parts: Iterable[PartPlan]) -> frozenset[Node]:
    r = derivative.recurrence
    clean = {node for p in derivative.pullbacks for node in (*p.states.values(), *p.kept.values())}
    clean |= {term.right for part in parts for term in part.outer}
    for node in topological([*r.nodes, *(n for p in derivative.pullbacks for n in backward_targets(p))]):
        weight = weights.get(node.inputs[1]) if node.operation == "matmul" else None
        if weight is not None and weight.fits(node) and not weight.goes_along_rows(node):
            clean.add(node.inputs[0])
    made = [[r.step[n.leaf.number], r.initial[n.leaf.number]] for n in clean if isinstance(n.leaf, LoopState)]
    made += [[r.kept[n.leaf.number]] for n in clean if isinstance(n.leaf, Kept)]
    return frozenset(clean.union(*made))


def _unread_at_first(derivative: Derivative) -> frozenset[Node]:
    """Return the gradients of states that nothing reads at step 0: no parameter depends on them."""
    r = derivative.recurrence
    before = [n for p in (derivative.prelude, *derivative.entries) for n in backward_targets(p)]
    read = {gradient.of for gradient in leaves_of(Gradient, before)}
    unread = set[Node]()
    for loop, pullback, first in zip(r.loops, derivative.loops, r.first_states, strict=True):
        if loop.backward:
            continue
        own = {i for i in range(first, first + len(loop.step)) if LoopState(i) not in read}
        # The gradient of what is added to a state, such as a weight or a kept value, is the state's gradient.
        terms = [term for several in pullback.weights.values() for term in several]
        others = [node for i, node in pullback.states.items() if i not in own]
        needed = set(topological([*others, *pullback.kept.values(), *terms]))
        unread |= {node for i, node in pullback.states.items() if i in own and node not in needed}
    return frozenset(unread)
