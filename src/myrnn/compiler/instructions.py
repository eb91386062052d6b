"""The elements of a program: buffers, locations in them, and a few kinds of instructions that read and write them.

A batch has its sequences in parallel. They end together: at step t those that have begun, the longest first, are the
rows of one matrix. Row ``start[t] + r`` of a buffer belongs to sequence r at step t; nothing is padded. The rows of a
state are those before each step, followed by the last of each sequence. So row ``start[t + 1] + r`` is the state after
step t, including the last one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from myrnn.compiler.graph import Node
from myrnn.compiler.leaves import Given, StepTable
from myrnn.compiler.plan import Plan

# Where numbers stand -------------------------------------------------------------------------------------------------


class Rows(Enum):
    """How many rows a buffer has."""

    ONE = "one"
    SEQUENCES = "one for each sequence"
    STEPS = "one for each step of each sequence"
    STATES = "one for each step of each sequence, and one for each sequence"
    TABLE = "one for each step, whatever the sequence"


class Over(Enum):
    """The iterations of an instruction: at which moment, and over how many parallel rows."""

    ONCE = "once"
    START = "each sequence before its first step"
    STEP = "each sequence at this step"
    GOING = "each sequence at this step, unless it is its first"
    END = "each sequence after its last step"
    ALL = "all steps"
    LATER = "all steps but the first"


class RowOf(Enum):
    """The row of a buffer that a location means, relative to the moment of an instruction."""

    NOW = "now"
    AFTER = "after"  # this step
    TOKEN = "token"
    DONE = "done"  # the number of steps that the sequence has done
    LEFT = "left"  # or has left


@dataclass(frozen=True)
class Buffer:
    """Numbers in a flat array: `rows` times `lines` lines of `columns` numbers, each line padded to whole lanes."""

    array: str  # ``w``, the workspace, ``p``, the parameters, or ``g``, their gradients
    name: str
    columns: int
    rows: Rows = Rows.ONE
    lines: int = 1
    begin: int = 0  # in `p` and `g`; in `w` it depends on the numbers of steps and sequences

    @property
    def whole(self) -> Place:
        """All lines of a row."""
        return Place(self, self.lines * self.columns)


@dataclass(frozen=True)
class Place:
    """The location of `size` numbers: a row of a buffer, from `offset` on. A single one serves all lanes."""

    buffer: Buffer
    size: int
    row: RowOf = RowOf.NOW
    offset: int = 0

    @property
    def lasts(self) -> bool:
        """Whether each step has its own row, so that all steps can be read at once."""
        return self.row is RowOf.NOW and self.buffer.rows in (Rows.STEPS, Rows.STATES)

    def __str__(self) -> str:
        """Return the location as an index."""
        array = "" if self.buffer.array == "w" else f"{self.buffer.array}."
        moves = self.buffer.rows in (Rows.STEPS, Rows.STATES) or self.row in (RowOf.TOKEN, RowOf.DONE, RowOf.LEFT)
        row = f"[{self.row.value}]" if moves else ""
        return f"{array}{self.buffer.name}{row}" + (f"[{self.offset}:]" if self.offset else "")


# Instructions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """Writes a node to a location, or the sum of the terms that initialize a linear node."""

    node: Node
    place: Place
    terms: tuple[Node, ...] = ()
    add: bool = False  # to the present numbers
    clean: bool = False  # zeros are written into the padding


@dataclass(frozen=True)
class Elementwise:
    """Computes nodes of one size element by element; all stores come after all computations."""

    over: Over
    size: int
    nodes: tuple[Node, ...]
    stores: tuple[Store, ...]
    reads: dict[Node, Place]
    comment: str


@dataclass(frozen=True)
class Product:
    """Multiplies a vector, or the parallel rows, by a (k, n) matrix; `by_dots` if it is stored transposed."""

    over: Over
    out: Place
    vector: Place
    matrix: Place
    k: int
    n: int
    add: bool
    by_dots: bool
    comment: str


@dataclass(frozen=True)
class Sum:
    """Adds the outer products of two vectors, of all rows at once, to the gradient of a weight."""

    over: Over
    gradient: Place
    left: Place
    right: Place
    comment: str


@dataclass(frozen=True)
class Padded:
    """A size in whole lanes, as an argument."""

    size: int


Argument = Place | Padded | int | bytes
"""Locations, sizes, flags, and indices."""


@dataclass(frozen=True)
class Call:
    """Calls a function of the runtime for each row; its first argument is the output."""

    over: Over
    function: str
    arguments: tuple[Argument, ...]
    comment: str = ""


@dataclass(frozen=True)
class Clear:
    """Fills a matrix with zeros; without one, the gradients of all parameters that are not lookups."""

    out: Place | None = None


@dataclass(frozen=True)
class Inputs:
    """Prepares the rows of the sequences."""

    out: Place


@dataclass(frozen=True)
class Give:
    """Writes given numbers for each sequence, at a step or once."""

    over: Over
    out: Place
    given: Given
    row: RowOf = RowOf.NOW  # the order of the steps of random numbers
    amount: Place | None = None  # of randomness: the rate or the standard deviation


@dataclass(frozen=True)
class GoOn:
    """Reads the row of each sequence's stream, or zeros if it begins anew."""

    out: Place
    at: int


@dataclass(frozen=True)
class HandOn:
    """Writes the final value of each sequence into the row of its stream."""

    value: Place
    at: int


@dataclass(frozen=True)
class CrossEntropy:
    """Computes softmax cross-entropy of each sequence or step, and the gradient of its logits."""

    over: Over
    out: Place
    logits: Place


@dataclass(frozen=True)
class Targets:
    """Copies the target of each sequence or step: its own numbers, or those of its class."""

    over: Over
    out: Place
    is_of_classes: bool


@dataclass(frozen=True)
class Losses:
    """Adds up the losses of sequences or steps, and their scores, and writes the weight of each loss."""

    over: Over
    out: Place
    values: Place
    outputs: Place
    scored: int  # the number of outputs with a target
    what: str  # the kind of targets, as in `TargetKind`
    classes: int | None  # for several targets together, the number of outputs for the class that is scored


@dataclass(frozen=True)
class Penalize:
    """Adds a penalty to the mean loss, `times` times."""

    value: Place
    times: Place


@dataclass(frozen=True)
class For:
    """Does its body at every step, from the first to the last or back."""

    backward: bool
    body: tuple[Instruction, ...]


Instruction = (
    Elementwise | Product | Sum | Call | Clear | Inputs | Give | GoOn | HandOn | Targets | CrossEntropy | Losses
    | Penalize | For
)  # fmt: skip


@dataclass(frozen=True)
class Phase:
    """A part of the program, with its heading."""

    title: str
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class Schedule:
    """The instructions of a program; printed one per line, each with its outputs and inputs."""

    plan: Plan
    forward: tuple[Phase, ...]
    backward: tuple[Phase, ...]
    # Everything that the instructions read and write; those of the parameters too.
    buffers: tuple[Buffer, ...]
    constants: dict[Node, Buffer]
    # The buffers of the tables of numbers for every step.
    tables: dict[Buffer, StepTable]
    logits: Buffer
    states: tuple[Buffer, ...]
    state_gradients: tuple[Buffer, ...]
    # The number of a state -> the gradient from later loops that read it.
    kept_gradients: dict[int, Buffer]
    input_gradients: Buffer | None
    # How many times the penalty counts: 1, or 0 if another thread adds it.
    penalty_times: Buffer | None

    def __str__(self) -> str:
        """Return the instructions as text."""
        phases = [*self.forward, *self.backward]
        return "\n".join(line for phase in phases for line in (phase.title, *_lines(phase.body, "    ")))


def _lines(body: Iterable[Instruction], indent: str) -> list[str]:
    lines = []
    for instruction in body:
        lines.append(f"{indent}{_title(instruction)}")
        match instruction:
            case For():
                lines += _lines(instruction.body, f"{indent}    ")
                continue
            case Elementwise():
                reads, writes = list(instruction.reads.values()), [store.place for store in instruction.stores]
            case _:
                # The output of an instruction comes first.
                values = instruction.arguments if isinstance(instruction, Call) else vars(instruction).values()
                places = [value for value in values if isinstance(value, Place)]
                reads, writes = places[1:], places[:1]
        read, written = (", ".join(dict.fromkeys(map(str, places))) for places in (reads, writes))
        if written:
            lines.append(f"{indent}    {f'{read} -> {written}'.lstrip()}")
    return lines


def _title(instruction: Instruction) -> str:
    match instruction:
        case For(backward):
            return f"for every step{', the last one first' if backward else ''}:"
        case Elementwise():
            return f"loop over {instruction.size}: {instruction.comment}"
        case Product():
            when = ", not at the first step" if instruction.over is Over.GOING else ""
            return f"product{when}: {instruction.comment}"
        case Sum():
            return f"sum of products: {instruction.comment}"
        case Call(_, function, _, comment):
            return f"{function}: {comment}" if comment else function
        case Give(_, _, given):
            return f"give {given}"
        case Clear(out):
            return "clear" if out else "clear all gradients of parameters"
    return type(instruction).__name__.lower()
