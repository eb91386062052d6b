"""What a program is made of: a short list of kinds of instructions, each with the places that it reads and writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from myrnn.compiler.graph import Node
from myrnn.compiler.layout import Buffer, Over, Place
from myrnn.compiler.plan import Plan


@dataclass(frozen=True)
class Store:
    """Writes a node to a place, or the sum of the terms that a linear node begins with."""

    node: Node
    place: Place
    terms: tuple[Node, ...] = ()
    add: bool = False  # to what is there
    clean: bool = False  # zeros are written into the padding


@dataclass(frozen=True)
class Loop:
    """Computes nodes of one size element by element; what it stores, it stores when all is computed."""

    over: Over
    size: int
    nodes: tuple[Node, ...]
    stores: tuple[Store, ...]
    reads: dict[Node, Place]
    comment: str


@dataclass(frozen=True)
class Product:
    """Multiplies a vector, or the rows side by side, by a (k, n) matrix; `by_dots`, if it is kept transposed."""

    over: Over
    out: Place
    vector: Place
    matrix: Buffer
    k: int
    n: int
    add: bool
    by_dots: bool
    comment: str


@dataclass(frozen=True)
class Sum:
    """Adds the outer products of two vectors, those of all rows at once, to the gradient of a weight."""

    over: Over
    gradient: Buffer
    left: Place
    right: Place
    comment: str


@dataclass(frozen=True)
class Padded:
    """A size in whole lanes, as an argument."""

    size: int


Argument = Place | Buffer | int | Padded | bytes | Over
"""Places, matrices, sizes, flags, indices, and how many rows there are."""


@dataclass(frozen=True)
class Call:
    """Calls a function of the runtime for each row; its first argument is what it writes."""

    over: Over
    function: str
    arguments: tuple[Argument, ...]
    comment: str = ""


@dataclass(frozen=True)
class Fill:
    """Clears a matrix; without one, the gradients of all parameters that are no lookups."""

    buffer: Buffer | None = None


@dataclass(frozen=True)
class Inputs:
    """Makes the rows of the sequences ready."""

    place: Place


@dataclass(frozen=True)
class Length:
    """Writes how long each sequence is."""

    place: Place


@dataclass(frozen=True)
class Loss:
    """Computes the loss, and the gradient of the logits."""

    logits: Place
    gradients: Place


@dataclass(frozen=True)
class For:
    """Does its body at every step, from the first to the last or back."""

    backward: bool
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class IfLater:
    """Does its body at every step but the first."""

    body: tuple[Instruction, ...]


Instruction = Loop | Product | Sum | Call | Fill | Inputs | Length | Loss | For | IfLater


@dataclass(frozen=True)
class Part:
    """A section of the program."""

    title: str
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class Schedule:
    """The instructions of a program; printed, one below the other, each with what it reads and writes."""

    plan: Plan
    forward: tuple[Part, ...]
    backward: tuple[Part, ...]
    # All that the instructions read and write; those of the parameters too.
    buffers: tuple[Buffer, ...]
    constants: dict[Node, Buffer]
    logits: Buffer
    states: tuple[Buffer, ...]
    # In an observed program, those of the states at every step and of the rows of the sequence.
    state_gradients: tuple[Buffer, ...]
    input_gradients: Buffer | None

    def __str__(self) -> str:
        """Return the instructions as text."""
        parts = [*self.forward, *self.backward]
        return "\n".join(line for part in parts for line in (part.title, *_lines(part.body, "    ")))


def _lines(body: Iterable[Instruction], indent: str) -> list[str]:
    lines = []
    for instruction in body:
        text, reads, writes = _described(instruction)
        lines.append(f"{indent}{text}")
        if isinstance(instruction, For | IfLater):
            lines += _lines(instruction.body, f"{indent}    ")
        elif writes:
            read, written = (", ".join(dict.fromkeys(map(str, places))) for places in (reads, writes))
            lines.append(f"{indent}    {f'{read} -> {written}'.lstrip()}")
    return lines


def _described(instruction: Instruction) -> tuple[str, list[Place], list[Place]]:
    """Return what an instruction does, what it reads and what it writes."""
    match instruction:
        case For():
            return f"for every step{', the last one first' if instruction.backward else ''}:", [], []
        case IfLater():
            return "not at the first step:", [], []
        case Loop(_, size, _, stores, reads, comment):
            return f"loop over {size}: {comment}", list(reads.values()), [store.place for store in stores]
        case Product():
            factors = [instruction.vector, _whole(instruction.matrix)]
            return f"product: {instruction.comment}", factors, [instruction.out]
        case Sum(_, gradient, left, right, comment):
            return f"sum of products: {comment}", [left, right], [_whole(gradient)]
        case Call(_, function, arguments, comment):
            out, *rest = [a if isinstance(a, Place) else _whole(a) for a in arguments if isinstance(a, Place | Buffer)]
            return f"{function}: {comment}" if comment else function, rest, [out]
        case Fill(buffer):
            return f"fill with zeros: {buffer.name if buffer else 'all gradients of parameters'}", [], []
        case Inputs(place) | Length(place):
            return type(instruction).__name__.lower(), [], [place]
        case Loss(logits, gradients):
            return "loss", [logits], [gradients]


def _whole(matrix: Buffer) -> Place:
    return Place(matrix, matrix.lines * matrix.columns)
