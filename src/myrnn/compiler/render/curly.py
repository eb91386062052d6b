"""Writes the instructions of a compact program in the syntax that C and JavaScript share.

Each buffer is an array of its own. The functions that a program calls are the runtime of its language, a file beside
this one, of which a program gets those that it needs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from myrnn.compiler.addresses import Address, Buffer, Expression, Indices, Infix, Matrix, Name, Number, Size, written
from myrnn.compiler.buffers import Names
from myrnn.compiler.forms import CARRIED, FEATURES, LABEL, LABELS, NAMES, TARGETS
from myrnn.compiler.graph import Node, inputs_first
from myrnn.compiler.instructions import (
    AddLoss,
    Argument,
    Comment,
    Conditional,
    CrossEntropy,
    Define,
    Elementwise,
    For,
    If,
    Instruction,
    Joined,
    Phase,
    Range,
    Schedule,
    StopUnlessLearning,
    Write,
)
from myrnn.compiler.ops import indices_of
from myrnn.compiler.printer import atom
from myrnn.compiler.render.elementwise import computed
from myrnn.compiler.render.writer import InstructionWriter
from myrnn.errors import CompileError


@dataclass(frozen=True)
class Syntax:
    """What differs between the languages."""

    counter: str  # the type of a loop's variable
    integer: str  # the type of an integer that does not change
    number: str  # the type of a number that does not change
    literal: Callable[[float], str]  # a number
    pointer: Callable[[str, str], str]  # an array from an index on, as arguments of a call
    functions: Mapping[str, str]  # the names of the language's own functions, by those in the table of operations
    runtime: str  # the file of all other functions
    reserved: frozenset[str]


@dataclass
class Text:
    """The lines of functions, and what they call and read besides their buffers."""

    syntax: Syntax
    names: Names
    prefix: str = ""  # of the names of functions
    # The functions that they call, and their fixed indices by the name of the array.
    called: set[str] = field(default_factory=set)
    tables: dict[bytes, str] = field(default_factory=dict)

    def function(self, name: str) -> str:
        """Return the name of a function that is called."""
        if name in self.syntax.functions:
            return self.syntax.functions[name]
        self.called.add(name)
        return self.prefix + name

    def table(self, indices: Indices) -> str:
        """Return the name of an array of fixed indices."""
        if indices.data not in self.tables:
            self.tables[indices.data] = self.names.new(f"{self.prefix}table")
        return self.tables[indices.data]

    @property
    def indices(self) -> dict[str, list[int]]:
        """The arrays of fixed indices by name."""
        return {name: indices_of(data).tolist() for data, name in self.tables.items()}


class CodeWriter(InstructionWriter):
    """Writes phases of a program, given the arrays of its buffers and of its arguments."""

    _opening, _closing = " {", "}"

    def __init__(self, text: Text, schedule: Schedule, arrays: Mapping[Buffer, str]) -> None:
        super().__init__(depth=0)
        self._text, self._syntax, self._arrays = text, text.syntax, arrays
        self._printer = schedule.plan.printer
        # No variable of a loop is called like an array.
        self._used = {*text.names.used, *arrays.values()}

    def phases(self, phases: Iterable[Phase]) -> list[str]:
        """Return the lines of phases."""
        for phase in phases:
            if phase.title:
                self._write(f"/* {in_comment(phase.title)} */")
            self._body(phase.body)
        return self.lines

    def _instruction(self, instruction: Instruction) -> None:
        match instruction:
            case Comment(text):
                self._write(f"/* {in_comment(text)} */")
            case Define(name, Conditional(condition, yes, no)):
                chosen = f"{self._number(condition)} ? {self._number(yes)} : {self._number(no)}"
                self._write(f"{self._syntax.integer} {name.text} = {chosen};")
            case Define(name, Expression() | int() as value):
                self._write(f"{self._syntax.integer} {name.text} = {self._number(value)};")
            case For(index, count, body, backward):
                first, test, step = ("0", f"{index} < {self._number(count)}", f"{index}++")
                if backward:
                    first, test, step = self._number(Infix("-", count, 1)), f"{index} >= 0", f"{index}--"
                with self._block(f"for ({self._syntax.counter} {index} = {first}; {test}; {step})"):
                    self._body(body)
            case If(condition, body):
                with self._block(f"if ({self._number(condition)})"):
                    self._body(body)
            case Elementwise():
                self._elementwise(instruction)
            case Write(out, number):
                self._write(f"{self._item(out)} = {self._number(number)};")
            case StopUnlessLearning():
                pass
            case CrossEntropy(out, logits, classes, _, row):
                # A sequence with one label has the row 0.
                given = self._arguments((logits, classes, LABEL if row == 0 else LABELS[row], out))
                self._write(f"loss += share * {self._text.function('cross_entropy')}({given}, share);")
            case AddLoss():
                self._write(
                    f"loss += share * {self._item(instruction.values)};", f"{self._item(instruction.out)} = share;"
                )
            case _:
                super()._instruction(instruction)

    # Loops -----------------------------------------------------------------------------------------------------------

    def _elementwise(self, loop: Elementwise) -> None:
        # What begins like a function or an array of the file may be one, maybe one that is not written yet.
        names = Names(self._used, self._text.prefix)
        self._write(*(f"{self._item(one.address)} = {self._syntax.literal(0.0)};" for one in loop.sums))
        for part in loop.ranges:
            self._range(loop, part, names)

    def _range(self, loop: Elementwise, part: Range, names: Names) -> None:
        count = loop.size.size
        variables, values, products = computed(loop, part, self._printer, names, self._element)
        lines = [f"{self._syntax.number} {name} = {self._tree(value)};" for name, value in variables.items()]
        lines += [
            f"{self._item(one.address)} += {self._tree(value)};" for one, value in zip(loop.sums, products, strict=True)
        ]
        for store, value in zip(loop.stores, values, strict=True):
            sign = "+=" if store.add else "="
            lines.append(f"{self._item(store.address, count > 1)} {sign} {self._tree(value)};")
        if count == 1 and not variables:
            self._write(*lines)
            return
        begin, end = (self._number(bound) for bound in (part.begin, part.end))
        with self._block("" if count == 1 else f"for ({self._syntax.counter} j = {begin}; j < {end}; j++)"):
            self._write(*lines)

    def _element(self, node: Node, address: Address | Joined | None) -> ast.expr:
        if address is None:
            return ast.Constant(float(node.numbers[0]))
        if isinstance(address, Joined):
            # Without lanes, no range of a loop is across two pieces.
            assert not address.pieces
            return ast.Constant(0.0)
        return atom(self._item(address, address.size > 1))

    def _tree(self, tree: ast.expr, within: int = 0) -> str:
        """Return an expression; `within` is the precedence that it needs no parentheses at."""
        match tree:
            case ast.Name(text):
                return text
            case ast.Constant(int() | float() as value):
                text = self._syntax.literal(value)
                return f"({text})" if text.startswith("-") and within else text
            case ast.Call(ast.Name(function), arguments):
                return f"{self._text.function(function)}({', '.join(map(self._tree, arguments))})"
            case ast.UnaryOp(ast.USub(), operand):
                text = f"-{self._tree(operand, 3)}"
                return f"({text})" if within else text
            case ast.BinOp(left, op, right):
                sign, precedence = _SIGNS[type(op)]
                # Sums and products are computed from left to right.
                text = f"{self._tree(left, precedence)} {sign} {self._tree(right, precedence + 1)}"
                return f"({text})" if within > precedence else text
        raise CompileError(f"{ast.unparse(tree)} has no code here")

    # Values ----------------------------------------------------------------------------------------------------------

    def _call(self, function: str, *arguments: Argument) -> None:
        self._write(f"{self._text.function(function)}({self._arguments(arguments)});")

    def _fill(self, out: Address, count: Number) -> None:
        self._call("fill", out, count)

    def _multiply_row(self, *arguments: Argument) -> None:
        out, vector, matrix, *sizes = arguments
        self._call("multiply", out, 0, vector, 0, 1, matrix, 1, *sizes)

    def _arguments(self, arguments: Iterable[Argument]) -> str:
        texts, left = list[str](), list(arguments)
        while left:
            match left.pop(0):
                case Address() as address:
                    texts.append(self._pointer(address))
                case Matrix(address, stride):
                    texts += [self._pointer(address), self._number(stride)]
                case Indices() as indices:
                    texts += [self._syntax.pointer(self._text.table(indices), "0"), str(indices.count.size)]
                case Name() as array if array in (CARRIED, FEATURES, TARGETS, GRADIENTS):
                    index = left.pop(0)
                    assert isinstance(index, Expression | int)
                    texts.append(self._syntax.pointer(array.text, self._number(index)))
                case bool() as choice:
                    texts.append(str(int(choice)))
                case Expression() | int() as number:
                    texts.append(self._number(number))
                case float() as value:
                    texts.append(self._syntax.literal(value))
        return ", ".join(texts)

    def _pointer(self, address: Address) -> str:
        return self._syntax.pointer(self._arrays[address.buffer], self._number(_index(address)))

    def _item(self, address: Address, is_in_loop: bool = False) -> str:
        index = _index(address)
        inside = index if not is_in_loop else _J if index == 0 else Infix("+", index, _J)
        return f"{self._arrays[address.buffer]}[{self._number(inside)}]"

    def _number(self, number: Number) -> str:
        return written(number, lambda one: str(one.size) if isinstance(one, Size) else "")


_J = Name("j")
GRADIENTS = Name("gradients")
"""The array of the gradients of all weights."""
INDEX_NAMES = NAMES | {"j"}
"""The names that code has for numbers and for its arguments."""

_SIGNS = {ast.Add: ("+", 1), ast.Sub: ("-", 1), ast.Mult: ("*", 2), ast.Div: ("/", 2)}


def _index(address: Address) -> Number:
    """Return the index of the first number in the array of its buffer."""
    row: Number = 0
    if isinstance(address.row, int):
        row = address.row * address.buffer.columns
    elif address.row is not None:
        row = Infix("*", address.row, address.buffer.columns)
    if not address.offset:
        return row
    if isinstance(row, int):
        return row + address.offset
    return Infix("+", row, address.offset) if address.offset > 0 else Infix("-", row, -address.offset)


def in_comment(text: str) -> str:
    """Return a text that does not end a comment, and that can be encoded."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("??/", "? ?/").encode(errors="replace").decode()


# Numbers and functions ------------------------------------------------------------------------------------------------


def listed(texts: Iterable[str], width: int = 110) -> str:
    """Return texts as the lines of a list."""
    lines = [""]
    for text in texts:
        if len(lines[-1]) + len(text) + 2 > width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{text},"
    return "\n".join(f"    {line}" for line in lines)


def functions_of(syntax: Syntax) -> dict[str, str]:
    """Return all functions of the runtime by name."""
    file = Path(__file__).with_name(syntax.runtime).read_text(encoding="utf-8")
    return {match[1]: part.strip() for part in file.split("\n\n") if (match := _DEFINITION.search(part))}


_DEFINITION = re.compile(r"^(?:static \w+|function) (\w+)\(", re.MULTILINE)


def runtime(text: Text) -> list[str]:
    """Return the functions of the runtime that are called, and those that they call, callees first."""
    known = functions_of(text.syntax)
    calls = {name: [other for other in known if re.search(rf"\b{other}\(", known[name])] for name in known}
    calls = {name: [other for other in others if other != name] for name, others in calls.items()}
    order = inputs_first([name for name in known if name in text.called], calls.__getitem__)
    return [re.sub(r"\b(\w+)(?=\()", lambda m: text.prefix * (m[1] in known) + m[1], known[name]) for name in order]
