"""The two forms of a program, for one sequence and for a batch: how its instructions repeat, and which rows they read.

A batch has its sequences in parallel. They end together: at step t those that have begun, the longest first, are the
rows of one matrix. Row ``start[t] + r`` of a buffer belongs to sequence r at step t; nothing is padded. The rows of a
state are those before each step, followed by the last of each sequence. So row ``start[t + 1] + r`` is the state after
step t, including the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from myrnn.compiler.addresses import Address, Buffer, Infix, Matrix, Name, Number, Rows, Size
from myrnn.compiler.instructions import (
    Apply,
    Argument,
    Call,
    Conditional,
    Define,
    Dots,
    DrawNumbers,
    Fill,
    For,
    If,
    Instruction,
    Product,
    Write,
    names_in,
)
from myrnn.compiler.leaves import Drawn


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
    AFTER = "after this step"
    TOKEN = "token"
    DONE = "the number of steps that the sequence has done"
    LEFT = "the number of steps that it has left"


@dataclass(frozen=True)
class Place:
    """The location of `size` numbers at any moment: a row of a buffer, from `offset` on."""

    buffer: Buffer
    size: int
    row: RowOf = RowOf.NOW
    offset: int = 0

    @property
    def of_every_step(self) -> bool:
        """Whether each step has its own row, so that all steps can be read at once."""
        return self.row is RowOf.NOW and self.buffer.rows in (Rows.STEPS, Rows.STATES)


def whole(buffer: Buffer) -> Place:
    """Return the location of all lines of a row."""
    return Place(buffer, buffer.lines * buffer.columns)


# The arguments and variables of programs.
T, R, STEPS, SEQUENCES, TOTAL = map(Name, ("t", "r", "steps", "sequences", "total"))
BEGIN, MEMBER, MEMBERS, OFFSETS, START, LINED = map(Name, ("begin", "member", "members", "offsets", "start", "lined"))
TOKENS, FEATURES, LABELS, TARGETS = map(Name, ("tokens", "features", "labels", "targets"))
# The only token that a step reads, and the only label of a sequence.
TOKEN, LABEL = map(Name, ("token", "label"))
# The members of the whole batch, and whether this micro-batch is the first or the last one of it.
BATCH_MEMBERS, IS_FIRST, IS_LAST = map(Name, ("batch", "is_first", "is_last"))
STREAMS, CARRIED = map(Name, ("streams", "carried"))
X, SOURCE, PLACE, LENGTH, DONE, LEFT = map(Name, ("x", "source", "place", "length", "done", "left"))
ROW, AFTER, ACTIVE, BEGUN = map(Name, ("row", "after", "active", "begun"))

# All these names, which nothing else in a program may have.
NAMES = frozenset(value.text for value in list(globals().values()) if isinstance(value, Name))

# The rows of a buffer that depend on the step.
_OF_STEPS = (Rows.STEPS, Rows.STATES, Rows.TURNS)
_ROWS = {RowOf.TOKEN: X, RowOf.DONE: DONE, RowOf.LEFT: LEFT}


@dataclass(frozen=True)
class Form:
    """How a kind of program repeats its instructions, and the rows of its locations."""

    is_batch: bool
    # The number of parallel rows; one if it is missing.
    count: dict[Over, Number]
    # The first row of a buffer with several rows, at each moment and after a step; none for the first of all.
    row: dict[Over | RowOf, Number | None]
    # The same if there are two rows for each sequence, in turns.
    turn: dict[Over | RowOf, Number]
    # Definitions at a step, and for each of several rows.
    at_step: tuple[Define, ...]
    for_each: dict[Over, tuple[Define, ...]]
    # The length of a sequence, and its stream.
    length: Number
    stream: Number

    # Iterations ------------------------------------------------------------------------------------------------------

    def steps(self, body: tuple[Instruction, ...], backward: bool = False) -> For:
        """Return the loop that does `body` at every step."""
        return For(T, STEPS, (*_needed(self.at_step, body), *body), backward)

    def rows(self, over: Over, *body: Instruction) -> tuple[Instruction, ...]:
        """Return instructions that do `body` for each of the parallel rows."""
        body = (*_needed(self.for_each.get(over, ()), body), *body)
        return (For(R, self.count[over], body),) if over in self.count else body

    def at(self, over: Over, *body: Instruction) -> tuple[Instruction, ...]:
        """Return instructions that do `body` only if there is something to do."""
        # In a batch, `begun` excludes the sequences whose first step this is.
        return (If(T > 0, body),) if over is Over.GOING and not self.is_batch else body

    def once_per_batch(self, when: Name, *body: Instruction) -> tuple[Instruction, ...]:
        """Return instructions that serve the whole batch, and are done in its first or in its last micro-batch."""
        return (If(when, body),) if self.is_batch and body else body

    # Addresses -------------------------------------------------------------------------------------------------------

    def address(self, place: Place, over: Over, each_row: bool = True) -> Address:
        """Return the address of a location, in the row of sequence r if there are several in parallel."""
        moment = over if place.row is RowOf.NOW else place.row
        row: Number | None = None
        if place.row in _ROWS:
            row = _ROWS[place.row]
        elif place.buffer.rows in (Rows.STEPS, Rows.STATES):
            row = self.row[moment]
        elif place.buffer.rows is Rows.TURNS:
            row = self.turn[moment]
        if each_row and place.buffer.rows not in (Rows.ONE, Rows.TABLE) and over in self.count:
            row = R if row is None else Infix("+", row, R)
        return Address(place.buffer, place.size, row, place.offset)

    def _first_row(self, place: Place, over: Over) -> Address:
        """Return the address of the first of the parallel rows."""
        assert not self._lies_apart(place, over), "these rows are not contiguous"
        return self.address(place, over, each_row=False)

    def _lies_apart(self, place: Place, over: Over) -> bool:
        """Whether the rows of a batch are not contiguous: sequences of other lengths begin at other steps."""
        moment = over if place.row is RowOf.NOW else place.row
        return self.is_batch and moment is Over.START and place.buffer.rows in _OF_STEPS

    def _matrix(self, place: Place) -> Matrix:
        """Return the address of a matrix of which all rows are read together."""
        return Matrix(self.address(place, Over.ONCE), place.buffer.stride)

    # Instructions ----------------------------------------------------------------------------------------------------

    def call(self, over: Over, function: str, *arguments: Place | Argument) -> tuple[Instruction, ...]:
        """Call a function for each row."""
        given = (self.address(a, over) if isinstance(a, Place) else a for a in arguments)
        return self.rows(over, Call(function, tuple(given)))

    def apply(self, over: Over, operation: str, *arguments: Place | Argument) -> tuple[Instruction, ...]:
        """Apply an operation for each row."""
        given = (self.address(a, over) if isinstance(a, Place) else a for a in arguments)
        return self.rows(over, Apply(operation, tuple(given)))

    def write(self, over: Over, out: Place, number: Number) -> tuple[Instruction, ...]:
        """Write a number for each sequence."""
        return self.rows(over, Write(self.address(out, over), number))

    def product(
        self, over: Over, out: Place, vector: Place, matrix: Place, k: int, n: int, *, add: bool = False
    ) -> tuple[Instruction, ...]:
        """Multiply the parallel rows by a (k, n) matrix."""
        sizes = self._matrix(matrix), Size(k), Size(n, padded=True)
        if over not in self.count or self._lies_apart(out, over) or self._lies_apart(vector, over):
            return self.rows(over, Product(*sizes, self.address(out, over), self.address(vector, over), add))
        first, strides = (self._first_row(out, over), self._first_row(vector, over)), (_stride(out), _stride(vector))
        return (Product(*sizes, *first, add, strides, self.count[over]),)

    def dots(
        self, over: Over, out: Place, vector: Place, matrix: Place, k: int, n: int, *, add: bool
    ) -> tuple[Instruction, ...]:
        """Multiply the parallel rows by a (k, n) matrix that is stored transposed."""
        clear, length = None if add else Size(n, padded=True), Size(k, padded=True)
        dots = Dots(self._matrix(matrix), self.address(out, over), Size(n), clear, self.address(vector, over), length)
        return self.rows(over, dots)

    def outer(self, over: Over, gradient: Place, left: Place, right: Place) -> tuple[Instruction, ...]:
        """Add the outer products of two vectors, of all rows at once, to the gradient of a weight."""
        arguments = (
            self._matrix(gradient), self._first_row(left, over), 1, _stride(left), self._first_row(right, over),
            _stride(right), Size(left.size), self.count.get(over, 1), Size(right.size, padded=True), True,
        )  # fmt: skip
        return (Call("multiply", arguments),)

    def draws(self, out: Place, drawn: Drawn, amount: Place) -> tuple[Instruction, ...]:
        """Draw a row of a site's stream for each sequence: that of the step, after T rows for each earlier part."""
        over, parts = Over.START if drawn.once else Over.STEP, drawn.parts if drawn.by_part else 1
        site, rate = Size(drawn.site, wanted="site", is_shared=False), self.address(amount, Over.ONCE)
        size, kind, instructions = out.size // parts, drawn.draw.kind, list[Instruction]()
        for part in range(parts):
            place = replace(out, size=size, offset=part * size)
            first, count = self._first_row(place, over), Size(size)
            if over in self.count:
                shift, times = (0, 0) if drawn.once else (LEFT, part) if drawn.backward else (T - STEPS, part + 1)
                row: tuple[Number, ...] = (OFFSETS, MEMBERS, self.count[over], shift, times)
                instructions.append(DrawNumbers(f"draw_{kind}s", rate, site, first, (_stride(place),), count, row))
            else:
                step = 0 if drawn.once else LEFT if drawn.backward else DONE
                row = (Infix("+", Infix("*", part, STEPS), step) if part else step,)
                instructions.append(DrawNumbers(f"draw_{kind}", rate, site, first, (), count, row))
        return tuple(instructions) if drawn.once else (self.steps(tuple(instructions)),)

    def clear(self, buffer: Buffer) -> Fill:
        """Fill a buffer with zeros."""
        count: Number = buffer.stride if buffer.lines == 1 else Infix("*", Size(buffer.lines), buffer.stride)
        if buffer.rows is Rows.STEPS:
            count = Infix("*", self.count[Over.ALL], buffer.stride)
        return Fill(Address(buffer, buffer.columns), count)


def _stride(place: Place) -> Number:
    """Return the distance of the parallel rows."""
    return 0 if place.buffer.rows is Rows.ONE else place.buffer.stride


def _needed(definitions: tuple[Define, ...], body: tuple[Instruction, ...]) -> tuple[Define, ...]:
    """Return the definitions whose names are read."""
    needed: tuple[Define, ...] = ()
    read = names_in(body) if definitions else set()
    for definition in reversed(definitions):
        if definition.name.text in read:
            needed = (definition, *needed)
            read |= names_in(definition.value)
    return needed


SINGLE = Form(
    is_batch=False,
    count={Over.ALL: STEPS, Over.LATER: STEPS - 1},
    row={
        Over.START: None,
        Over.STEP: T,
        Over.GOING: T,
        RowOf.AFTER: T + 1,
        Over.END: STEPS,
        Over.ALL: None,
        Over.LATER: 1,
    },
    turn={
        Over.START: 0,
        Over.STEP: T % 2,
        Over.GOING: T % 2,
        RowOf.AFTER: (T + 1) % 2,
        Over.END: STEPS % 2,
    },
    at_step=(Define(X, TOKENS[BEGIN + T]), Define(DONE, T), Define(LEFT, STEPS - 1 - T)),
    for_each={
        Over.END: (Define(PLACE, MEMBER),),
        Over.ALL: (Define(SOURCE, BEGIN + R), Define(X, TOKENS[SOURCE]), Define(PLACE, SOURCE)),
    },
    length=STEPS,
    stream=STREAMS[MEMBER],
)

_LENGTH = Define(LENGTH, OFFSETS[MEMBERS[R] + 1] - OFFSETS[MEMBERS[R]])
_TOKEN = Define(X, TOKENS[LINED[ROW + R]])
BATCH = Form(
    is_batch=True,
    count={
        Over.START: SEQUENCES,
        Over.STEP: ACTIVE,
        Over.GOING: BEGUN,
        Over.END: SEQUENCES,
        Over.ALL: TOTAL,
        Over.LATER: TOTAL - START[1],
    },
    row={
        Over.START: START[STEPS - LENGTH],
        Over.STEP: ROW,
        Over.GOING: ROW,
        RowOf.AFTER: AFTER,
        Over.END: TOTAL,
        Over.ALL: None,
        Over.LATER: START[1],
    },
    turn={
        Over.START: (STEPS - LENGTH) % 2 * SEQUENCES,
        Over.STEP: T % 2 * SEQUENCES,
        Over.GOING: T % 2 * SEQUENCES,
        RowOf.AFTER: (T + 1) % 2 * SEQUENCES,
        Over.END: STEPS % 2 * SEQUENCES,
    },
    at_step=(
        Define(ROW, START[T]),
        Define(AFTER, START[T + 1]),
        Define(ACTIVE, START[T + 1] - ROW),
        Define(BEGUN, Conditional(T > 0, ROW - START[T - 1], 0)),
        Define(LEFT, STEPS - 1 - T),
    ),
    for_each={
        Over.START: (_LENGTH,),
        Over.STEP: (_TOKEN, Define(DONE, T - STEPS + OFFSETS[MEMBERS[R] + 1] - OFFSETS[MEMBERS[R]])),
        Over.GOING: (_TOKEN,),
        Over.END: (_LENGTH, Define(PLACE, MEMBERS[R])),
        Over.ALL: (Define(SOURCE, LINED[R]), Define(X, TOKENS[SOURCE]), Define(PLACE, SOURCE)),
    },
    length=LENGTH,
    stream=STREAMS[MEMBERS[R]],
)
