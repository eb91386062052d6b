"""The instructions of a program: a few kinds, which read and write `addresses`.

Everything that a program needs is a value: addresses, strides, numbers of rows, bounds of loops. A renderer (`render`)
only writes them in the syntax of its language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

from myrnn.compiler.addresses import Address, Begin, Buffer, Expression, Indices, Matrix, Name, Number, Size
from myrnn.compiler.graph import Node
from myrnn.compiler.leaves import StepTable
from myrnn.compiler.plan import Parameters, Plan
from myrnn.compiler.streams import Carried

# Instructions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comment:
    """Says in the model's names what the next instruction computes."""

    text: str


@dataclass(frozen=True)
class Conditional:
    """One of two numbers."""

    condition: Expression
    yes: Number
    no: Number


@dataclass(frozen=True)
class Define:
    """Gives a name to a number."""

    name: Name
    value: Number | Conditional


@dataclass(frozen=True)
class For:
    """Does its body for every number of a range, from the first to the last or back."""

    index: Name
    count: Number
    body: tuple[Instruction, ...]
    backward: bool = False


@dataclass(frozen=True)
class If:
    """Does its body if a condition holds."""

    condition: Expression
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class Store:
    """Writes a node to an address, or the sum of the terms that initialize a linear node."""

    node: Node
    address: Address
    terms: tuple[Node, ...] = ()
    add: bool = False  # to the present numbers
    clean: Size | None = None  # zeros are written behind so many numbers, into the padding


@dataclass(frozen=True)
class Piece:
    """The numbers of a joined vector from `begin` to `end`, at the address of the vector as if all of it was there."""

    begin: Size
    end: Size
    address: Address


@dataclass(frozen=True)
class Joined:
    """A vector whose pieces are in several places, and which is zero elsewhere."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Range:
    """A range of the elements of a loop, and where it reads joined vectors."""

    begin: Number
    end: Number
    joined: dict[Node, Address | Joined]


@dataclass(frozen=True)
class Sum:
    """Writes the sum of the products of all elements of one or two nodes."""

    node: Node
    address: Address
    factors: tuple[Node, ...]
    clean: Size | None = None  # only so many elements count, and no padding


@dataclass(frozen=True)
class Elementwise:
    """Computes nodes of one size element by element; all stores come after all computations."""

    size: Size
    nodes: tuple[Node, ...]
    # Addresses of what is read. A single number serves all elements. Nodes without one are in `ranges`, or constants.
    reads: dict[Node, Address]
    stores: tuple[Store, ...]
    sums: tuple[Sum, ...]
    # All elements, in order.
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Product:
    """Multiplies a vector, or `rows` vectors with a stride each, by a (k, n) matrix."""

    matrix: Matrix
    k: Size
    n: Size
    out: Address
    vector: Address
    add: bool
    strides: tuple[Number, ...] = ()  # of the output and of the vectors
    rows: Number | None = None


@dataclass(frozen=True)
class Dots:
    """Adds the products of a vector with the rows of an (n, k) matrix to the output, which `clear` numbers are of."""

    matrix: Matrix
    out: Address
    n: Size
    clear: Size | None  # so many numbers of the output before
    vector: Address
    k: Size


Argument = Address | Matrix | Indices | Number | float


@dataclass(frozen=True)
class Call:
    """Calls a function of the runtime; its first address is the output."""

    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Apply:
    """Applies an operation that is neither element-wise nor a product; its first address is the output."""

    operation: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class DrawNumbers:
    """Draws random numbers of a site for a step: for one sequence, or for several with the given stride."""

    function: str
    amount: Address  # of randomness: the rate or the standard deviation
    site: Size
    out: Address
    strides: tuple[Number, ...]
    count: Size
    row: tuple[Number, ...]  # what the function computes the row of the stream from


@dataclass(frozen=True)
class Fill:
    """Writes zeros."""

    out: Address
    count: Number


@dataclass(frozen=True)
class Write:
    """Writes an integer."""

    out: Address
    number: Number


@dataclass(frozen=True)
class StopUnlessLearning:
    """Ends a run for the outputs alone; otherwise the sums of losses and scores begin at zero."""


@dataclass(frozen=True)
class CrossEntropy:
    """Computes the softmax cross-entropy of a row, and the gradient of its logits."""

    out: Address
    logits: Address
    classes: Size
    clear: Size  # so many numbers, if the row has no weight
    row: Number  # of labels and weights


@dataclass(frozen=True)
class AddLoss:
    """Adds up the loss of a row and its score, and writes the weight of the loss."""

    outputs: Address
    targets: Size  # the number of outputs with a target
    scored: Size  # the number of outputs that are scored: fewer if only the class of several targets counts
    values: Address
    out: Address
    what: str  # the kind of targets, as in `TargetKind`
    row: Number


@dataclass(frozen=True)
class AddPenalty:
    """Adds a penalty to the mean loss, `times` times."""

    value: Address
    times: Address


Instruction = (
    Comment | Define | For | If | Elementwise | Product | Dots | Call | Apply | DrawNumbers | Fill
    | Write | StopUnlessLearning | CrossEntropy | AddLoss | AddPenalty
)  # fmt: skip


def elements(part: Any) -> Iterator[Any]:
    """Yield an instruction, or what one consists of, and everything in it, in order; nodes are not taken apart."""
    left = [part]
    while left:
        part = left.pop()
        yield part
        left.extend(reversed(_parts(part)))


def _parts(part: Any) -> Sequence[Any]:
    match part:
        case str() | int() | Node() | Begin():
            return ()
        case tuple():
            return part
        case dict():
            return tuple(part.values())
        case Address():
            return (part.index,)
        case Indices():
            return (part.count,)
    return tuple(vars(part).values()) if is_dataclass(part) else ()


def names_in(parts: Any) -> set[str]:
    """Return the names of everything that is read or written."""
    return {part.text for part in elements(parts) if isinstance(part, Name)}


def written_by(instruction: Instruction) -> list[Address]:
    """Return the addresses that an instruction writes to, apart from those of loops and choices."""
    match instruction:
        case Elementwise():
            return [*(store.address for store in instruction.stores), *(one.address for one in instruction.sums)]
        case Call(_, (Address() as out, *_)) | Apply(_, (Address() as out, *_)):
            return [out]
    written = getattr(instruction, "out", None)
    return [written] if isinstance(written, Address) else []


# Programs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """A part of the program, with its heading."""

    title: str
    body: tuple[Instruction, ...]


def buffers_in(phases: Iterable[Phase]) -> list[Buffer]:
    """Return the buffers that phases read or write, in order."""
    return list(dict.fromkeys(part.buffer for part in elements(tuple(phases)) if isinstance(part, Address)))


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What the callers of a program have to know: the layout of the parameters, and where its results are."""

    parameters: Parameters
    logits: Buffer
    # Whether there are logits, and labels, for every step; and whether training draws random numbers.
    per_step: bool
    draws: bool
    # The states that streams carry; None if every sequence begins anew.
    stream_layout: Carried | None
    # One row before every step and the last ones, in the order of the sequence even if a loop runs backward. Observed
    # programs also have the gradients of these, of what later loops read of them (by the number of the state), and of
    # their input.
    goes_backward: tuple[bool, ...]
    states: tuple[Buffer, ...]
    state_gradients: tuple[Buffer, ...]
    kept_gradients: dict[int, Buffer]
    input_gradients: Buffer | None
    # How many times the penalty counts, written before a run: 1, or 0 if another thread adds it.
    penalty_times: Buffer | None
    # The most sequences that it gets at once.
    micro_batch: int

    @property
    def classes(self) -> int:
        """K, the number of logits."""
        return self.logits.columns


@dataclass(frozen=True)
class Schedule:
    """The instructions of a program; printed one per line, each with its inputs and outputs."""

    plan: Plan
    phases: tuple[Phase, ...]
    # Everything that the instructions read and write; those of the parameters too.
    buffers: tuple[Buffer, ...]
    constants: dict[Node, Buffer]
    # The buffers of the tables of numbers for every step.
    tables: dict[Buffer, StepTable]
    interface: Interface

    def __str__(self) -> str:
        """Return the instructions as text."""
        return "\n".join(line for phase in self.phases for line in (phase.title, *_lines(phase.body, "    ")))


def _lines(body: Iterable[Instruction], indent: str) -> Iterator[str]:
    for instruction in body:
        match instruction:
            case Define():
                continue
            case Comment(text):
                yield f"{indent}# {text}"
            case For(index, count, inside, backward):
                yield f"{indent}for {index} in {count}{', the last one first' if backward else ''}:"
                yield from _lines(inside, f"{indent}    ")
            case If(condition, inside):
                yield f"{indent}if {condition}:"
                yield from _lines(inside, f"{indent}    ")
            case _:
                yield f"{indent}{_line(instruction)}"


def _line(instruction: Instruction) -> str:
    """Return the kind of an instruction, what it reads, and what it writes."""
    title = re.sub(r"(?<!^)([A-Z])", r" \1", type(instruction).__name__).lower()
    read: Iterable[Any]
    into: str | None = None
    match instruction:
        case Elementwise(size, _, reads):
            title, read = f"loop over {size.size}", elements((reads, instruction.ranges))
        case Call(title, (first, *others)) | Apply(title, (first, *others)):
            into, read = str(first), others
        case DrawNumbers(title, amount):
            read = [amount]
        case _:
            read = [value for name, value in vars(instruction).items() if name != "out"]
    of = ", ".join(dict.fromkeys(str(value) for value in read if isinstance(value, Address | Matrix)))
    into = into or ", ".join(dict.fromkeys(map(str, written_by(instruction))))
    text = f"{of} -> {into}".lstrip() if into else of
    return f"{title}: {text}" if text else title
