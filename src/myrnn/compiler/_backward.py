"""Write the way back of a program: through the readout, the steps, and what parameters alone give."""

from __future__ import annotations

from dataclasses import replace

from myrnn.compiler._frame import Frame
from myrnn.compiler._memory import Place, padded
from myrnn.compiler._places import Sink
from myrnn.compiler._region import Region
from myrnn.compiler._terms import Outer, outer_terms, plain_terms
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.plan import backward_targets


def write_readout_backward(frame: Frame) -> None:
    pullback = frame.derivative.readout
    frame.writer.line(f"fill(g, 0, {frame.memory.fixed(frame.weights.dense_size, 'parameters')}, 0.0)")
    for i, node in enumerate(frame.derivative.derived):
        leaf = frame.derived_leaf(i, node)
        if leaf is not None:
            weight, at = frame.weights.weight(leaf), frame.weights.gradient(leaf).at
            size = frame.memory.number(weight.rows * padded(weight.columns))
            frame.writer.line(f"fill(w, {at}, {at} + {size}, 0.0)")
    frame.places[frame.leaf("gradient", "logits")] = frame.logit_gradients
    operands = outer_terms(frame.plan, pullback.weights)
    region = frame.region(frame.sequences, room="sequences")
    sinks = [Sink(n, place) for n, place in zip(pullback.states, frame.state_gradients, strict=True)]
    keep = [n for o in operands for n in (o.left, o.right) if n.inputs and n not in frame.places]
    _compute_with_terms(frame, region, sinks, plain_terms(frame.plan, pullback.weights), keep)
    for operand in operands:
        _sum_outer(frame, operand, frame.sequences or "1", *(frame.place_of(n) for n in (operand.left, operand.right)))


def write_steps_backward(frame: Frame) -> None:
    pullback = frame.derivative.step
    for i, (state, gradient) in enumerate(zip(frame.states, frame.state_gradients, strict=True)):
        frame.places[frame.leaf("state", i)] = state
        frame.places[frame.leaf("gradient", i)] = gradient
    scattered = [o for o in frame.operands if frame.scatters(o)]
    deferred = [o for o in frame.operands if not frame.scatters(o)]
    operands = [n for o in deferred for n in (o.left, o.right)]
    lasting = dict.fromkeys(n for n in operands if n.inputs and n not in frame.places)
    with frame.writer.block("for t in range(steps - 1, -1, -1):"), frame.writer.prepared(frame.begin_step()):
        copies = _copied_gradients(frame, deferred)
        unread = frozenset() if frame.observed else frozenset(_unread_gradients(frame))
        region = frame.step_region(frozenset(lasting), unread)
        sinks = [Sink(n, place) for n, place in zip(pullback.states, frame.state_gradients, strict=True)]
        sinks += [_scatter(frame, o) for o in scattered]
        sinks += [Sink(n, place) for n, place in copies.items()]
        sinks += _observations(frame)
        _compute_with_terms(frame, region, sinks, plain_terms(frame.plan, pullback.weights), list(lasting))
    frame.places.update(copies)
    if frame.observed:
        initial = [replace(place, step="") for place in frame.seen_gradients]
        leaves = [frame.leaf("gradient", i) for i in range(len(frame.states))]
        frame.region("").compute([Sink(n, place) for n, place in zip(leaves, initial, strict=True)])
    for operand in deferred:
        _sum_over_steps(frame, operand)


def _observations(frame: Frame) -> list[Sink]:
    """Return where an observed program keeps the gradients of the states after a step, and of its input."""
    if frame.input_gradients is None:
        return []
    after = [frame.after(place) for place in frame.seen_gradients]
    sinks = [Sink(frame.leaf("gradient", i), place) for i, place in enumerate(after)]
    return [*sinks, Sink(frame.derivative.step.input, frame.input_gradients)]


def _unread_gradients(frame: Frame) -> list[Node]:
    """Return the gradients of states that nothing reads at step 0: no parameter is behind or needs them."""
    terms = [term for several in frame.derivative.prelude.weights.values() for term in several]
    read = set(topological(terms))
    step = frame.derivative.step
    unread = [node for i, node in enumerate(step.states) if frame.leaf("gradient", i) not in read]
    others = backward_targets(step)[len(step.states) :]
    others += [node for i, node in enumerate(step.states) if frame.leaf("gradient", i) in read]
    # A weight that is added to a state has the state's gradient for its own.
    needed = set(topological(others))
    return [node for node in unread if node not in needed]


def _copied_gradients(frame: Frame, deferred: list[Outer]) -> dict[Node, Place]:
    """Return a place of its own for each operand of a later sum that does not last by itself."""
    nodes = {n for o in deferred for n in (o.left, o.right) if n.operation == "gradient"}
    return {n: frame.buffer("d_kept", n.size, "steps") for n in sorted(nodes, key=str)}


def _scatter(frame: Frame, operand: Outer) -> Sink:
    gradient = frame.weights.gradient(operand.leaf)
    place = Place(gradient.array, gradient.at, operand.right.size, extra=f"x * {gradient.stride}")
    return Sink(operand.right, place, add=True)


def _compute_with_terms(
    frame: Frame, region: Region, sinks: list[Sink], terms: list[tuple[Node, Node]], keep: list[Node]
) -> None:
    """Compute a way back: the sinks, and the terms of weights that no product sums up."""
    flat = [(leaf, term) for leaf, term in terms if frame.weights.is_flat(leaf)]
    wide = [(leaf, term) for leaf, term in terms if not frame.weights.is_flat(leaf)]
    for leaf, term in flat:
        gradient = frame.weights.gradient(leaf)
        sinks.append(Sink(term, Place(gradient.array, gradient.at, term.size), add=True))
    region.compute(sinks, keep=[*keep, *(term for _, term in wide)])
    for leaf, term in wide:
        gradient, weight = frame.weights.gradient(leaf), frame.weights.weight(leaf)
        shape = f"{frame.memory.number(weight.rows)}, {frame.memory.number(weight.columns)}, {weight.flipped}"
        numbers = region.scope.places.address_of(term)
        call = f"add_packed({gradient.array}, {gradient.at}, {gradient.stride}, {numbers}, {shape})"
        region.scope.write_calls([call])


def _sum_over_steps(frame: Frame, operand: Outer) -> None:
    left, right = (frame.place_of(n).first() for n in (operand.left, operand.right))
    count = frame.total
    if {operand.left, operand.right} & frame.zero_at_first and not (left.extra or right.extra):
        # The state before the first step is zero, and so are its products.
        first = "start[1]" if frame.batched else "1"
        left, right = (replace(p, step="2" if p.step else first) for p in (left, right))
        count = f"{frame.total} - {first}"
    _sum_outer(frame, operand, count, left, right)


def _sum_outer(frame: Frame, operand: Outer, rows: str, left: Place, right: Place) -> None:
    """Add the products of two vectors in `rows` rows to a weight's gradient."""
    gradient = frame.weights.gradient(operand.leaf)
    flipped = frame.weights.weight(operand.leaf).flipped
    product = frame.words.text("({1}.T @ {0}).T" if flipped else "{0}.T @ {1}", operand.left, operand.right)
    with frame.writer.section(f"d_{gradient.at} += {product}"):
        frame.writer.line(
            f"multiply({gradient.array}, {gradient.at}, {gradient.stride}, "
            f"{left.array}, {left.base()}, 1, {left.stride or '0'}, "
            f"{right.array}, {right.base()}, {right.stride or '0'}, "
            f"{frame.memory.number(operand.left.size)}, {rows}, {frame.memory.padded(operand.right.size)}, True)"
        )


def write_prelude_backward(frame: Frame) -> None:
    pullback = frame.derivative.prelude
    if not pullback.weights:
        return
    for i, gradient in enumerate(frame.state_gradients):
        leaf = frame.leaf("gradient", i)
        if frame.batched:
            summed = frame.memory.buffer(f"{gradient.at}_sum", gradient.size)
            counts = f"{gradient.stride}, sequences, {frame.memory.padded(gradient.size)}"
            frame.writer.line(f"sum_rows(w, {summed.at}, w, {gradient.at}, {counts}, False)")
            gradient = summed
        frame.places[leaf] = gradient
    for i, node in enumerate(frame.derivative.derived):
        _place_derived_gradient(frame, i, node)
    operands = outer_terms(frame.plan, pullback.weights)
    keep = [n for o in operands for n in (o.left, o.right) if n.inputs and n not in frame.places]
    _compute_with_terms(frame, frame.region(""), [], plain_terms(frame.plan, pullback.weights), keep)
    for operand in operands:
        _sum_outer(frame, operand, "1", *(frame.place_of(n) for n in (operand.left, operand.right)))


def _place_derived_gradient(frame: Frame, index: int, node: Node) -> None:
    leaf = frame.derived_leaf(index, node)
    if leaf is None:
        return
    gradient, weight = frame.weights.gradient(leaf), frame.weights.weight(leaf)
    place = Place("w", gradient.at, node.size)
    if not frame.weights.is_flat(leaf):
        place = frame.memory.buffer(f"{gradient.at}_flat", node.size)
        shape = f"{frame.memory.number(weight.rows)}, {frame.memory.number(weight.columns)}, False"
        frame.writer.line(f"unpack(w, {place.at}, w, {gradient.at}, {gradient.stride}, {shape})")
    frame.places[frame.leaf("gradient", "derived", index)] = place
