"""A compact program with some of its numbers known: loops of one step, and choices that are decided, disappear.

So does what nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass, replace
from typing import Any

from myrnn.compiler.addresses import Address, Buffer, Infix, Item, Name, Number, Size
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import (
    AddLoss,
    Comment,
    Conditional,
    CrossEntropy,
    Define,
    Elementwise,
    For,
    If,
    Instruction,
    Phase,
    elements,
    written_by,
)

Known = Mapping[str, Number]
"""The name of a number, or of an array whose items are all the same number -> that number."""

_DECIDED = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "%": int.__mod__, ">": int.__gt__}


def specialized(phases: Iterable[Phase], known: Known) -> tuple[Phase, ...]:
    """Return the phases in which something is left to do; sizes in their numbers are those without padding."""
    done = (Phase(phase.title, tuple(_body(phase.body, known))) for phase in phases)
    return tuple(phase for phase in done if phase.body)


def _body(body: Iterable[Instruction], known: Known) -> Iterator[Instruction]:
    for instruction in body:
        match instruction:
            case Define(name, value):
                value = _replaced(value, known)
                if isinstance(value, int | Name):
                    known = {**known, name.text: value}
                else:
                    known = {other: number for other, number in known.items() if other != name.text}
                    yield Define(name, value)
            case For(index, count, inside, backward):
                count = _replaced(count, known)
                if count == 1:
                    yield from _body(inside, {**known, index.text: 0})
                elif count != 0 and (left := tuple(_body(inside, known))):
                    yield For(index, count, left, backward)
            case If(condition, inside):
                condition = _replaced(condition, known)
                if not isinstance(condition, int):
                    yield If(condition, tuple(_body(inside, known)))
                elif condition:
                    yield from _body(inside, known)
            case _:
                yield _replaced(instruction, known)


def _replaced(part: Any, known: Known) -> Any:
    """Return an instruction, or a part of one, with the known numbers."""
    match part:
        case Node() | Buffer() | Size():
            return part
        case Name(text):
            return known.get(text, part)
        case Item(array, index):
            return known[array.text] if array.text in known else Item(array, _replaced(index, known))
        case Infix(sign, left, right):
            return _infix(sign, _number(left, known), _number(right, known))
        case Conditional(condition, yes, no):
            condition = _replaced(condition, known)
            chosen = (yes if condition else no) if isinstance(condition, int) else None
            return Conditional(condition, yes, no) if chosen is None else _replaced(chosen, known)
        case tuple():
            return tuple(_replaced(one, known) for one in part)
        case dict():
            return {key: _replaced(one, known) for key, one in part.items()}
    if is_dataclass(part) and not isinstance(part, type):
        return type(part)(**{one.name: _replaced(getattr(part, one.name), known) for one in fields(part)})
    return part


def _number(number: Number, known: Known) -> Number:
    return number.size if isinstance(number, Size) else _replaced(number, known)


def _infix(sign: str, left: Number, right: Number) -> Number:
    match sign, left, right:
        case _, int(), int():
            return int(_DECIDED[sign](left, right))
        case ("+", 0, other) | ("+" | "-", other, 0) | ("*", 1, other) | ("*", other, 1):
            return other
        case ("*", 0, _) | ("*", _, 0):
            return 0
        case ("+", Infix("-", first, int(less)), int(more)) | ("-", Infix("+", first, int(more)), int(less)):
            return _infix("+", first, more - less)
    return Infix(sign, left, right)


# What is needed -------------------------------------------------------------------------------------------------------


def needed(phases: Sequence[Phase], outputs: Set[Buffer]) -> tuple[Phase, ...]:
    """Return the phases without instructions whose results nothing reads; `outputs` are read by the caller."""
    read, before = set(outputs), set[Buffer]()
    while read != before:
        before = set(read)
        for instruction in elements(tuple(_needed_in(phases, read))):
            if isinstance(instruction, Address):
                read.add(instruction.buffer)
    return tuple(_needed_in(phases, read))


def _needed_in(phases: Iterable[Phase], read: Set[Buffer]) -> Iterator[Phase]:
    for phase in phases:
        if body := tuple(_needed(phase.body, read)):
            yield Phase(phase.title, body)


def _needed(body: Iterable[Instruction], read: Set[Buffer]) -> Iterator[Instruction]:
    comment: Comment | None = None
    for instruction in body:
        outs = written_by(instruction)
        match instruction:
            case Comment():
                comment = instruction
                continue
            case For() | If():
                instruction = replace(instruction, body=tuple(_needed(instruction.body, read)))
                is_needed = bool(instruction.body)
            case CrossEntropy() | AddLoss():
                is_needed = True
            case Elementwise():
                gone = {out for out in outs if out.buffer not in read}
                if gone and comment is not None:
                    comment = _about(comment, outs, gone)
                instruction = _without(instruction, gone)
                is_needed = len(gone) < len(outs)
            case _:
                is_needed = not outs or any(out.buffer in read for out in outs)
        if is_needed:
            yield from (comment,) if comment else ()
            yield instruction
        comment = None


def _about(comment: Comment, outs: Sequence[Address], gone: Set[Address]) -> Comment | None:
    """Return what a comment says of the results that are left; None if nothing."""
    names = {out.buffer.name for out in gone} - {out.buffer.name for out in outs if out not in gone}
    left = [part for part in comment.text.split("; ") if part.split(" ")[0] not in names]
    return Comment("; ".join(left)) if left else None


def _without(loop: Elementwise, gone: Set[Address]) -> Elementwise:
    """Return a loop that only computes what is needed for results at other addresses."""
    stores = tuple(store for store in loop.stores if store.address not in gone)
    sums = tuple(one for one in loop.sums if one.address not in gone)
    wanted = {node for store in stores for node in store.terms or (store.node,)}
    wanted |= {node for one in sums for node in one.factors}
    for node in reversed(loop.nodes):
        if node in wanted:
            wanted |= set(node.inputs)
    return replace(
        loop,
        nodes=tuple(node for node in loop.nodes if node in wanted),
        reads={node: address for node, address in loop.reads.items() if node in wanted},
        stores=stores,
        sums=sums,
        ranges=tuple(
            replace(one, joined={node: where for node, where in one.joined.items() if node in wanted})
            for one in loop.ranges
        ),
    )
