"""What the writers of all languages share: lines in blocks, and the instructions that are calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from myrnn.compiler.addresses import Address, Number
from myrnn.compiler.instructions import Apply, Argument, Call, Dots, Fill, Instruction, Product
from myrnn.compiler.ops import OPERATIONS
from myrnn.errors import CompileError


class InstructionWriter(ABC):
    """Writes instructions as lines of a language, whose class knows all that are no calls."""

    # What follows the line that opens a block, and the line that ends it.
    _opening, _closing = "", ""

    def __init__(self, depth: int) -> None:
        self.lines: list[str] = []
        self._depth = depth

    def _write(self, *lines: str) -> None:
        self.lines += ["    " * self._depth + line if line else "" for line in lines]

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        """Write the lines of the block inside of a block that `head` opens."""
        self._write(f"{head}{self._opening}".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self._write(*[self._closing] * bool(self._closing))

    def _body(self, body: Iterable[Instruction]) -> None:
        for instruction in body:
            self._instruction(instruction)

    def _instruction(self, instruction: Instruction) -> None:
        match instruction:
            case Product(matrix, k, n, out, vector, add, rows=None):
                self._multiply_row(out, vector, matrix, k, n, add)
            case Product(matrix, k, n, out, vector, add, (of_out, of_vector), rows) if rows is not None:
                self._call("multiply", out, of_out, vector, of_vector, 1, matrix, rows, k, n, add)
            case Dots(matrix, out, n, clear, vector, k):
                if clear is not None:
                    self._fill(out, clear)
                self._call("add_dots", out, vector, matrix, n, k)
            case Apply(operation, arguments):
                self._call(OPERATIONS[operation].code, *arguments)
            case Call(function, arguments):
                self._call(function, *arguments)
            case Fill(out, count):
                self._fill(out, count)
            case _:
                raise CompileError(f"{type(instruction).__name__} has no code here")

    @abstractmethod
    def _call(self, function: str, *arguments: Argument) -> None:
        """Write the call of a function of the runtime."""

    @abstractmethod
    def _fill(self, out: Address, count: Number) -> None:
        """Write what fills numbers with zeros."""

    def _multiply_row(self, *arguments: Argument) -> None:
        """Write the product of a vector and a matrix: output, vector, matrix, sizes, and whether it is added."""
        self._call("multiply_row", *arguments)
