"""The integers of a program, its buffers, and the addresses in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from myrnn.compiler.plan import padded

# Integers ------------------------------------------------------------------------------------------------------------


class Expression:
    """A number that a program computes; Python's operators make further ones."""

    def __add__(self, other: Number) -> Infix:
        """Return the sum."""
        return Infix("+", self, other)

    def __sub__(self, other: Number) -> Infix:
        """Return the difference."""
        return Infix("-", self, other)

    def __mul__(self, other: Number) -> Infix:
        """Return the product."""
        return Infix("*", self, other)

    def __mod__(self, other: Number) -> Infix:
        """Return the remainder."""
        return Infix("%", self, other)

    def __gt__(self, other: Number) -> Infix:
        """Return the comparison."""
        return Infix(">", self, other)

    def __str__(self) -> str:
        """Return it as text, with the numbers of sizes."""
        return written(self, lambda one: str(one.number) if isinstance(one, Size) else one.buffer.name)


Number = Expression | int


@dataclass(frozen=True)
class Name(Expression):
    """An argument or a variable of the program; arrays have items."""

    text: str

    def __getitem__(self, index: Number) -> Item:
        """Return an element of the array."""
        return Item(self, index)


@dataclass(frozen=True)
class Size(Expression):
    """A number that is known when a model is compiled, such as the size of a vector, maybe in whole lanes."""

    # Programs for several sizes have the same text. So a renderer may replace it by a name, such as this one.
    size: int
    padded: bool = False
    wanted: str = "n"
    is_shared: bool = True  # with other numbers of the same value

    @property
    def number(self) -> int:
        """The number itself."""
        return padded(self.size) if self.padded else self.size


@dataclass(frozen=True)
class Item(Expression):
    """An element of an array of numbers."""

    array: Name
    index: Number


@dataclass(frozen=True)
class Infix(Expression):
    """A sum, difference, product, remainder or comparison of two numbers."""

    sign: str
    left: Number
    right: Number


def written(number: Number, name: Callable[[Size | Begin], str]) -> str:
    """Return a number in the syntax that Python, C and JavaScript share, given the text of sizes and of buffers."""
    match number:
        case Name(text):
            return text
        case Size() | Begin():
            return name(number)
        case Item(array, index):
            return f"{array.text}[{written(index, name)}]"
        case Infix(sign, left, right):
            return f"{_operand(left, sign, name)} {sign} {_operand(right, sign, name, is_right=True)}"
    assert isinstance(number, int)
    return str(number)


_PRECEDENCE = {">": 0, "+": 1, "-": 1, "*": 2, "%": 2}


def _operand(number: Number, sign: str, name: Callable[[Size | Begin], str], is_right: bool = False) -> str:
    text = written(number, name)
    if not isinstance(number, Infix):
        return text
    inside, outside = _PRECEDENCE[number.sign], _PRECEDENCE[sign]
    is_from_the_right = is_right and inside == outside and (sign in "-%" or number.sign == "%")
    return f"({text})" if inside < outside or is_from_the_right else text


# Memory --------------------------------------------------------------------------------------------------------------


class Rows(Enum):
    """How many rows a buffer has."""

    ONE = "one"
    SEQUENCES = "one for each sequence"
    STEPS = "one for each step of each sequence"
    STATES = "one for each step of each sequence, and one for each sequence"
    TURNS = "two for each sequence, which are used at every other step"
    TABLE = "one for each step, whatever the sequence"


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
    def stride(self) -> Size:
        """The distance of two lines."""
        return Size(self.columns, padded=True)


@dataclass(frozen=True)
class Begin(Expression):
    """Where a buffer begins in its array; a renderer chooses a name for it."""

    buffer: Buffer


@dataclass(frozen=True)
class Address:
    """The address of `size` numbers of a buffer: its begin, plus a row times the stride, plus an offset."""

    buffer: Buffer
    size: int
    row: Number | None = None
    offset: int = 0

    @property
    def index(self) -> Expression:
        """The index of the first number in the flat array."""
        index: Expression = Begin(self.buffer)
        if self.row is not None:
            index = index + Infix("*", self.row, self.buffer.stride)
        return index + Size(self.offset, wanted="offset") if self.offset else index

    def __str__(self) -> str:
        """Return the address as an index."""
        array = "" if self.buffer.array == "w" else f"{self.buffer.array}."
        row = "" if self.row is None else f"[{self.row}]"
        return f"{array}{self.buffer.name}{row}" + (f"[{self.offset}:]" if self.offset else "")


@dataclass(frozen=True)
class Matrix:
    """The address of rows of numbers, and the distance of two rows."""

    address: Address
    stride: Number

    def __str__(self) -> str:
        """Return the address of the first row."""
        return str(self.address)


@dataclass(frozen=True)
class Indices:
    """Fixed indices, int32."""

    data: bytes

    @property
    def count(self) -> Size:
        """The number of indices."""
        return Size(len(self.data) // 4)
