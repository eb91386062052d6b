"""Writes the instructions of a schedule as a Python module for Numba; `runtime.training` calls it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

import numpy as np

from myrnn.compiler.addresses import Address, Begin, Expression, Indices, Infix, Matrix, Number, Size, written
from myrnn.compiler.buffers import Names
from myrnn.compiler.equations import write_equations
from myrnn.compiler.forms import IS_FIRST, IS_LAST, NAMES
from myrnn.compiler.fuse import is_one_number
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import (
    AddLoss,
    AddPenalty,
    Argument,
    Comment,
    Conditional,
    CrossEntropy,
    Define,
    DrawNumbers,
    Elementwise,
    For,
    If,
    Instruction,
    Joined,
    Range,
    Schedule,
    StopUnlessLearning,
    Write,
    elements,
    names_in,
)
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.plan import Plan
from myrnn.compiler.printer import atom, compose
from myrnn.compiler.program import Memory, Program
from myrnn.compiler.render import Symbols
from myrnn.compiler.render.elementwise import computed
from myrnn.compiler.render.writer import InstructionWriter
from myrnn.compiler.runtime import LANES
from myrnn.targets import CLASS, SEVERAL, TOGETHER

WIDTH = 120


def _called_by(*kinds: str) -> set[str]:
    """Return the functions in the code of operations."""
    rows = (row for row in OPERATIONS.values() if row.kind in kinds)
    return {name for row in rows for name in re.findall(r"[a-z]\w*", row.code)}


_LANES = ("full", "keep", "load", "load_between", "spread", "store", "store_total", "where")
_MOVES = ("copy", "copy_matrix", "go_on", "hand_on", "line_up", "one_hot", "read_table", "symbol_rows")
_PLAIN = ("add_outer", "log_softmax_axis", "multiply_plain", "repeat", "softmax_axis", "sum_axis")

# Names that a program calls, and must not redefine.
OF_PROGRAMS = {
    "draws": ("draw_dropout", "draw_dropouts", "draw_noise", "draw_noises"),
    "elementary": tuple(sorted(_called_by("map").difference(_LANES))),
    "functions": ("Floats", "Integers", "Tokens"),
    "lanes": _LANES,
    "moves": tuple(sorted(_called_by("move", "reduce").difference(_PLAIN).union(_MOVES))),
    "plain": _PLAIN,
    "products": ("add_dots", "cross_entropy", "fill", "multiply", "multiply_row", "transpose"),
    "scores": ("largest", "class_right", "share_right", "squared_error"),
    "threads": ("flush_subnormals", "restore_mode"),
}

# Names that the emitted code uses itself, besides the functions that it calls.
_OWN = (
    "p g m v w j s n k np rows label learn loss one_loss score best share mode keys weight weights class_weights sizes "
    "tables range len int float bool tuple end"
).split()
RESERVED = frozenset(_OWN).union(NAMES, *OF_PROGRAMS.values())
"""Names that nothing else in a program may have."""


def emit(schedule: Schedule) -> Program:
    """Write a schedule as a module with the function `run`."""
    writer, plan = _Writer(schedule), schedule.plan
    writer.program()
    source = _module(plan, [part for line in writer.lines for part in wrapped(line)])
    return Program(source=source, memory=writer.memory, **vars(schedule.interface))


class _Writer(InstructionWriter):
    """The lines of a program."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(depth=1)
        self._schedule, self._printer = schedule, schedule.plan.printer
        names = [buffer.name for buffer in schedule.buffers]
        self._names = Names({*RESERVED, *names})
        # The names of where buffers begin; the gradient of a weight begins like the weight.
        self._begins = {name: self._names.new(name) if name in RESERVED else name for name in names}
        self._symbols = Symbols(self._names, schedule.plan.sizes, schedule.phases)
        self._offsets = {self._begins[b.name]: b.begin for b in schedule.buffers if b.array == "p"}
        buffers = {b: self._begins[b.name] for b in schedule.buffers if b.array == "w"}
        numbers, tables = self._symbols.numbers | self._offsets, self._symbols.tables
        self.memory = Memory(numbers, buffers, schedule.constants, schedule.tables, tables)

    def program(self) -> None:
        """Write all instructions."""
        self._header()
        for phase in self._schedule.phases:
            self._write("", f"# {phase.title}")
            self._body(phase.body)
        self._write("restore_mode(mode)", "return loss, score")

    def _header(self) -> None:
        """Write the lines that read the integers of the program."""
        read = {self._name(one) for one in elements(self._schedule.phases) if isinstance(one, Size | Begin)}
        read |= self._symbols.read
        titles = {
            "sizes": self._symbols.numbers,
            "offsets of the parameters in p, and of their gradients in g": self._offsets,
            "offsets of everything else in w": self.memory.buffers.values(),
            "offsets of the indices in tables": self._symbols.tables.values(),
        }
        where = {name: i for i, name in enumerate(self.memory.names)}
        for title, names in titles.items():
            if names:
                used = [name for name in names if name in read]
                self._write(f"# {title}", *(f"{name} = sizes[{where[name]}]" for name in used))
        for name, value in ((IS_FIRST, "begin == 0"), (IS_LAST, "end == len(batch)")):
            if name.text in names_in(self._schedule.phases):
                self._write(f"{name} = {value}")
        self._write("mode = flush_subnormals()")

    def _instruction(self, instruction: Instruction) -> None:
        match instruction:
            case Comment(text):
                self._write(f"# {text}")
            case Define(name, Conditional(condition, yes, no)):
                self._write(f"{name} = {self._text(yes)} if {self._text(condition)} else {self._text(no)}")
            case Define(name, Expression() | int() as value):
                self._write(f"{name} = {self._text(value)}")
            case For(index, count, body, backward):
                bounds = f"{self._text(count - 1)}, -1, -1" if backward else self._text(count)
                with self._block(f"for {index} in range({bounds}):"):
                    self._body(body)
            case If(condition, body):
                with self._block(f"if {self._text(condition)}:"):
                    self._body(body)
            case Elementwise():
                self._loop(instruction)
            case DrawNumbers(function, amount, site, out, strides, count, row):
                self._call(function, out, *strides, count, amount, "keys", site, *row)
            case Write(out, number):
                self._write(f"{self._item(out)} = {self._text(number)}")
            case StopUnlessLearning():
                self._write("loss, score = 0.0, 0.0")
                with self._block("if not learn:"):
                    self._write("restore_mode(mode)", "return loss, score")
            case CrossEntropy():
                self._cross_entropy(instruction)
            case AddLoss():
                self._add_loss(instruction)
            case AddPenalty(value, times):
                self._write(f"loss += {self._item(value)} * {self._item(times)} / share")
            case _:
                super()._instruction(instruction)

    def _fill(self, out: Address, count: Number) -> None:
        self._call("fill", out, out.index + count, 0.0)

    def _cross_entropy(self, loss: CrossEntropy) -> None:
        row, logits, out = loss.row, self._text(loss.logits), self._text(loss.out)
        self._write(f"label = labels[{row}]", f"weight = class_weights[label] * weights[{row}]")
        call = f"cross_entropy({logits}, {self._text(loss.classes)}, label, {out}, share * weight)"
        self._write(f"one_loss, best = {call}", f"score += int(best == label and weights[{row}] > 0)")
        # Zero times infinity would be NaN.
        with self._block("if weight > 0:"):
            self._write("loss += one_loss * weight")
        with self._block("else:"):
            self._fill(loss.out, loss.clear)

    def _add_loss(self, loss: AddLoss) -> None:
        row, outputs, scored = loss.row, self._text(loss.outputs), self._text(loss.scored)
        if loss.what == CLASS:
            self._write(f"weight = class_weights[labels[{row}]] * weights[{row}]")
            score = f"int(largest({outputs}, {scored}) == labels[{row}])"
        else:
            self._write(f"weight = weights[{row}]")
            function = {SEVERAL: "share_right", TOGETHER: "class_right"}.get(loss.what, "squared_error")
            score = f"{function}({outputs}, targets, {self._text(Infix('*', row, loss.targets))}, {scored})"
        with self._block(f"if weights[{row}] > 0:"):
            self._write(f"score += {score}")
        with self._block("if weight > 0:"):
            self._write(f"loss += {self._item(loss.values)} * weight")
        self._write(f"{self._item(loss.out)} = share * weight")

    # Loops -----------------------------------------------------------------------------------------------------------

    def _loop(self, loop: Elementwise) -> None:
        sums = [self._names.new(f"{self._printer.label(one.node)}_sum") for one in loop.sums]
        self._write(*(f"{name} = full(0.0)" for name in sums))
        for part in loop.ranges:
            with self._block(f"for j in range({self._text(part.begin)}, {self._text(part.end)}, {LANES}):"):
                self._range(loop, part, sums)
        for one, name in zip(loop.sums, sums, strict=True):
            self._call("store_total", one.address, name)

    def _range(self, loop: Elementwise, part: Range, sums: Sequence[str]) -> None:
        variables, values, products = computed(loop, part, self._printer, self._names, self._lanes)
        self._write(*(f"{name} = {ast.unparse(value)}" for name, value in variables.items()))
        for name, one, value in zip(sums, loop.sums, products, strict=True):
            v = value if one.clean is None else compose(f"keep({{0}}, {self._text(one.clean)} - j)", [value])
            self._write(f"{name} = {ast.unparse(compose('{0} + {1}', [atom(name), v]))}")
        for store, v in zip(loop.stores, values, strict=True):
            address = f"{self._text(store.address)} + j"
            if store.clean is not None:
                filled = "full({0})" if is_one_number(store.node) else "{0}"
                v = compose(f"keep({filled}, {self._text(store.clean)} - j)", [v])
            if store.add:
                v = compose("{0} + {1}", [atom(f"load({address})"), v])
            self._write(f"store({address}, {ast.unparse(v)})")

    def _lanes(self, node: Node, address: Address | Joined | None) -> ast.expr:
        """Return the lane expression of a node that a loop reads."""
        if address is None:
            return compose(_literal(float(node.numbers[0])))
        if isinstance(address, Joined):
            joined = "full(0.0)"
            for piece in address.pieces:
                begin, end = (f"{self._text(bound)} - j" for bound in (piece.begin, piece.end))
                joined = f"load_between({self._text(piece.address)} + j, {begin}, {end}, {joined})"
            return atom(joined)
        text = self._text(address)
        return atom(f"spread({text})" if address.size == 1 else f"load({text} + j)")

    # Values ----------------------------------------------------------------------------------------------------------

    def _call(self, function: str, *arguments: Argument | str) -> None:
        self._write(f"{function}({', '.join(map(self._text, arguments))})")

    def _name(self, number: Size | Begin) -> str:
        """Return the name of a number that the header reads."""
        return self._symbols.size(number) if isinstance(number, Size) else self._begins[number.buffer.name]

    def _item(self, address: Address) -> str:
        """Return a single number in memory."""
        return f"{address.buffer.array}[{self._text(address.index)}]"

    def _text(self, value: Argument | str) -> str:
        """Return a value as arguments of a call: an address is an array and an index, and a matrix has a stride."""
        match value:
            case Address():
                return f"{value.buffer.array}, {self._text(value.index)}"
            case Matrix(address, stride):
                return f"{self._text(address)}, {self._text(stride)}"
            case Indices():
                return f"tables, {self._symbols.table(value)}, {self._text(value.count)}"
            case Expression():
                return written(value, self._name)
        return str(value)


def _literal(value: float) -> str:
    number = np.float32(value)
    if np.isfinite(number):
        return str(number)
    return "np.float32(np.nan)" if np.isnan(number) else f"np.float32({'-' if number < 0 else ''}np.inf)"


def wrapped(line: str) -> list[str]:
    """Break a line that is too long after commas, at the lowest possible bracket depth."""
    if len(line) <= WIDTH or line.lstrip().startswith("#"):
        return [line]
    depth, commas = 0, []
    for at, character in enumerate(line):
        depth += (character in "([") - (character in ")]")
        if line[at : at + 2] == ", " and depth:
            commas.append((depth, at + 1))
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    parts, begin = [], 0
    while len(indent) + len(line) - begin > WIDTH:
        room = WIDTH - (len(indent) if begin else 0)
        within = [(-deep, at) for deep, at in commas if begin < at <= begin + room]
        if not within:
            break
        parts.append(line[begin : max(within)[1]])
        begin = max(within)[1] + 1
    parts.append(line[begin:])
    return [parts[0], *(indent + part for part in parts[1:])]


# ---- the module: a header that says what it computes, and the function; words in capitals are placeholders ----

_SINGLE = '''
def run(
    VALUES, begin: int, steps: int, member: int, keys: Integers, labels: Integers, targets: Floats,
    weights: Floats, class_weights: Floats, streams: Integers, carried: Floats, share: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, float]:
    """Run the sequence `member`; with `learn`, add the gradients of all parameters to `g`, else only the logits.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return two sums: of the weighted losses, and of the
    scores of what counts, such as 1 for a class that was right. Each loss counts for `share` in the gradients.
    """
BODY'''

_BATCH = '''
def run(
    VALUES, offsets: Integers, labels: Integers, targets: Floats, weights: Floats, class_weights: Floats,
    streams: Integers, carried: Floats, batch: Integers, begin: int, end: int, keys: Integers, share: np.float32,
    learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens,
) -> tuple[float, float]:
    """Run a micro-batch, the longest sequence first; with `learn`, add the gradients to `g`, else only logits.

    `myrnn.compiler.runtime.training` calls this for all micro-batches of a batch, in order. Return two sums: of the
    weighted losses, and of the scores of what counts, such as 1 for a class that was right. Each loss counts for
    `share` in the gradients.
    """
    members, sequences = batch[begin:end], end - begin
    steps = line_up(start, lined, offsets, members)
    total = start[steps]
BODY'''


def _module(plan: Plan, body: Iterable[str]) -> str:
    text = _BATCH if plan.kind.batched else _SINGLE
    text = text.replace("VALUES", "tokens: Tokens" if plan.kind.tokens else "features: Floats")
    text = text.replace("BODY", "\n".join(body) + "\n")
    # Without the name of the model's class: classes with the same equations share their machine code.
    equations = write_equations(plan.derivative.rolled)
    return f'"""A recurrent model, compiled.\n\n{equations}\n"""\n\n{_imports(text)}\n\n{text}'


def _imports(text: str) -> str:
    """Return the lines that import what the text calls, and nothing else."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    lines = ["import numpy as np"] if "np" in used else []
    lines.append("")
    for module, names in OF_PROGRAMS.items():
        chosen = [name for name in names if name in used]
        if chosen:
            lines.append(f"from myrnn.compiler.runtime.{module} import {', '.join(chosen)}")
    return "\n".join(lines)
