"""Write the way forward of a program: what parameters alone give, the steps, the readout and the loss."""

from __future__ import annotations

from dataclasses import replace

from myrnn.compiler._frame import Frame
from myrnn.compiler._memory import Place
from myrnn.compiler._places import Sink
from myrnn.compiler.graph import in_order, topological


def write_prelude(frame: Frame) -> None:
    """Compute what depends on parameters only: initial states and derived weights."""
    region = frame.region("")
    sinks, packs = [], []
    for i, node in enumerate(frame.derivative.derived):
        leaf = frame.derived_leaf(i, node)
        if leaf is None:
            continue
        matrix = frame.weights.matrix(leaf)
        if frame.weights.is_flat(leaf):
            sinks.append(Sink(node, Place("w", matrix.at, node.size)))
        else:
            weight, flat = frame.weights.weight(leaf), frame.memory.buffer(f"{matrix.at}_flat", node.size)
            sinks.append(Sink(node, flat))
            shape = f"{frame.memory.number(weight.rows)}, {frame.memory.number(weight.columns)}"
            packs.append(f"pack(w, {matrix.at}, {matrix.stride}, w, {flat.at}, {shape}, False)")
    needed = [*frame.recurrence.initial, *frame.derivative.derived]
    region.compute(sinks, keep=in_order(frame.plan.saved_prelude, needed))
    for text in packs:
        frame.writer.line(text)
    prepare = ("after = r if r < start[1] else total + r",) if frame.batched else ()
    start = frame.region(frame.sequences, prepare=prepare)
    if frame.batched:
        region.compute([], keep=[n for n in frame.recurrence.initial if n.inputs])
    first = "after" if frame.batched else ""
    start.compute(
        [Sink(n, replace(s, step=first)) for n, s in zip(frame.recurrence.initial, frame.states, strict=True)]
    )


def write_projections(frame: Frame) -> None:
    """Multiply all rows of the sequence by the weights that they meet first; a token picks a row of the weight."""
    if frame.inputs is not None:
        frame.places[frame.leaf("input")] = frame.inputs
        _fill_inputs(frame, frame.inputs)
    for node in in_order(frame.plan.projected, frame.recurrence.step):
        matrix = frame.weights.matrix(node.inputs[1])
        if frame.plan.tokens:
            frame.places[node] = Place(matrix.array, matrix.at, node.size, extra=f"x * {matrix.stride}")
            continue
        assert frame.inputs is not None
        place = frame.buffer(frame.product_name(node), node.size, "steps")
        left = f"{frame.inputs.array}, {frame.inputs.at}, {frame.inputs.stride}, 1"
        with frame.writer.section(frame.words.expression(node)):
            frame.writer.line(
                f"multiply(w, {place.at}, {place.stride}, {left}, {matrix.array}, {matrix.at}, {matrix.stride}, "
                f"{frame.total}, {frame.memory.number(frame.recurrence.dim_input)}, {place.stride}, False)"
            )
        frame.places[node] = place


def _fill_inputs(frame: Frame, inputs: Place) -> None:
    where = f"w, {inputs.at}, {inputs.stride}"
    width, backwards = frame.memory.number(frame.recurrence.dim_input), frame.recurrence.reverse
    if frame.batched and frame.plan.tokens:
        call = f"one_hot_rows({where}, tokens, 0, total, {width}, False)"
    elif frame.batched:
        call = f"line_up_rows({where}, features, offsets, members, start, steps, {width}, {backwards})"
    elif frame.plan.tokens:
        call = f"one_hot_rows({where}, tokens, begin, steps, {width}, {backwards})"
    else:
        call = f"copy_rows({where}, features, begin, steps, {width}, {backwards})"
    frame.writer.line(call)


def write_steps(frame: Frame) -> None:
    step = frame.recurrence.step
    for i, place in enumerate(frame.states):
        frame.places[frame.leaf("state", i)] = place
    lasting = {n for n in frame.plan.saved_step if n not in step}
    lasting |= {n for n in step if n.inputs and (frame.batched and n in frame.vectors | frame.operand_nodes())}
    lasting |= {n for n in frame.operand_nodes() if n in topological(step) and n.inputs and n not in step}
    with frame.writer.block("for t in range(steps):"), frame.writer.prepared(frame.begin_step()):
        _copy_token_rows(frame)
        known = set(frame.places) | lasting
        region = frame.step_region(frozenset(lasting))
        sinks = [Sink(n, frame.after(s)) for n, s in zip(step, frame.states, strict=True)]
        region.compute(sinks, keep=in_order(lasting - set(frame.places), step))
    # What else has a place holds the last step's numbers only.
    frame.places = {node: place for node, place in frame.places.items() if node in known}
    for i, node in enumerate(step):
        frame.places.setdefault(node, frame.after(frame.states[i]))


def _copy_token_rows(frame: Frame) -> None:
    """Copy a token's row of a weight where whole rows of many steps or sequences are read."""
    needed = frame.operand_nodes() | frame.vectors
    rows = in_order(frame.plan.projected & needed, frame.recurrence.step)
    if not (frame.plan.tokens and rows):
        return
    copies = {n: frame.buffer(frame.product_name(n), n.size, "steps") for n in rows}
    frame.step_region().compute([Sink(n, place) for n, place in copies.items()])
    frame.places.update(copies)


def write_readout(frame: Frame) -> None:
    for i, place in enumerate(frame.states):
        frame.places[frame.leaf("state", i)] = frame.last(place)
    _place_length(frame)
    region = frame.region(frame.sequences, room="sequences")
    readout = frame.recurrence.readout
    region.compute([Sink(readout, frame.logits)], keep=in_order(frame.plan.saved_readout, [readout]))
    K = frame.memory.number(readout.size)
    if not frame.batched:
        frame.writer.line(
            f"loss, hits = cross_entropy(w, {frame.logits.at}, {K}, label, w, {frame.logit_gradients.at}, weight)"
        )
        frame.writer.line("loss, hits = loss * weight, int(hits == label)")
        return
    frame.writer.line("loss, hits = 0.0, 0")
    with frame.writer.block("for r in range(sequences):"):
        frame.writer.line("label = labels[members[r]]")
        frame.writer.line("weight = class_weights[label]")
        logits, gradients = frame.logits.base("r"), frame.logit_gradients.base("r")
        frame.writer.line(f"one_loss, best = cross_entropy(w, {logits}, {K}, label, w, {gradients}, share * weight)")
        frame.writer.line("loss += one_loss * weight")
        frame.writer.line("hits += int(best == label)")


def _place_length(frame: Frame) -> None:
    leaf = frame.leaves.get(("length",))
    if leaf is None:
        return
    place = frame.memory.buffer("length", 1, "sequences")
    frame.places[leaf] = place
    if not frame.batched:
        frame.writer.line(f"w[{place.at}] = steps")
        return
    with frame.writer.block("for r in range(sequences):"):
        frame.writer.line(f"w[{place.base('r')}] = offsets[members[r] + 1] - offsets[members[r]]")
