"""Writes the instructions of a schedule as a module of Python for Numba.

One renderer serves both forms of program, for a single sequence and for a batch; `runtime.training` calls them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from myrnn.compiler.assemble import is_one_number
from myrnn.compiler.derive import Kind
from myrnn.compiler.equations import write_equations
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import (
    Argument,
    Call,
    Fill,
    For,
    IfLater,
    Inputs,
    Instruction,
    Length,
    Loop,
    Loss,
    Padded,
    Part,
    Product,
    Schedule,
    Sum,
)  # fmt: skip
from myrnn.compiler.layout import BATCH, LANES, SINGLE, Buffer, Memory, Names, Over, Place, Row, Rows, padded
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.plan import Parameters, Plan
from myrnn.compiler.printer import atom, compose, sum_of
from myrnn.compiler.runtime import OF_PROGRAMS

WIDTH = 120

# An unnamed expression that is read once stands where it is read, unless it is longer.
_LONGEST_INSIDE = 60


@dataclass(frozen=True)
class Program:
    """An emitted program: the text of its module, and where its function leaves what."""

    source: str
    kind: Kind
    memory: Memory
    weights: Parameters
    # The name of the offset of the logits, and K, how many they are.
    logits: str
    classes: int
    # A row before every step and the last ones; in an observed program also the gradients of these and of its input.
    states: tuple[Buffer, ...]
    state_gradients: tuple[Buffer, ...]
    input_gradients: Buffer | None

    def __str__(self) -> str:
        """Return the text of its module."""
        return self.source


def emit(schedule: Schedule) -> Program:
    """Write a schedule as a module with the function `run`."""
    renderer = _Renderer(schedule)
    renderer.parts(schedule.forward)
    renderer.lines(["if not learn:", "    restore_mode(mode)", "    return loss, hits"])
    renderer.parts(schedule.backward)
    renderer.lines(["restore_mode(mode)", "return loss, hits"])
    memory = renderer.memory()
    header = [f"    {line}" for line in (*renderer.header(memory), "mode = flush_subnormals()")]
    source = _module(schedule.plan, [*header, *renderer.written])
    return Program(
        source, schedule.plan.kind, memory, schedule.plan.parameters, schedule.logits.name,
        schedule.logits.columns, schedule.states, schedule.state_gradients, schedule.input_gradients,
    )  # fmt: skip


class _Renderer:
    """The lines of a program, and the names that they use."""

    def __init__(self, schedule: Schedule) -> None:
        self.written: list[str] = []
        self._depth = 1
        self._schedule, self._printer = schedule, schedule.plan.printer
        self._kind = schedule.plan.kind
        self._form = BATCH if self._kind.batched else SINGLE
        self._reverse = schedule.plan.derivative.recurrence.reverse
        self._names = Names(buffer.name for buffer in schedule.buffers)
        self._parameters = self._names.new("parameters")
        self._numbers: dict[str, int] = {}
        self._by_value: dict[int, str] = {}
        self._padded: dict[int, str] = {}
        self._tables: dict[bytes, str] = {}
        for name, size in schedule.plan.sizes.items():
            self._number(size, name)

    # Lines -----------------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Write a line, in several where it is long."""
        self.written += wrapped("    " * self._depth + text)

    def lines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.line(text)

    @contextmanager
    def _block(self, text: str, prepared: Sequence[str] = ()) -> Iterator[None]:
        """Write a line that opens a block, if any, and in it those of `prepared`, ``name = value``, that it reads."""
        if text:
            self.line(text)
            self._depth += 1
        begin = len(self.written)
        yield
        for line in reversed(prepared):
            if line.split(" = ")[0] in names_in(self.written[begin:]):
                self.written.insert(begin, "    " * self._depth + line)
        if text:
            self._depth -= 1

    @contextmanager
    def _each_row(self, over: Over) -> Iterator[None]:
        """Write what follows inside for each of the sequences side by side."""
        rows = self._form.count.get(over)
        with self._block(f"for r in range({rows}):" if rows else "", self._form.for_each.get(over, ())):
            yield

    def parts(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self.written.append("")
            self.line(f"# {part.title}")
            self._body(part.body)

    def _body(self, body: Iterable[Instruction]) -> None:
        for instruction in body:
            if comment := getattr(instruction, "comment", ""):
                self.line(f"# {comment}")
            self._write(instruction)

    def _write(self, instruction: Instruction) -> None:
        form = self._form
        match instruction:
            case For(backward, body):
                first = "begin + steps - 1 - t" if self._reverse else "begin + t"
                at_step = [line.format(first=first) for line in form.at_step]
                with self._block(f"for t in range({'steps - 1, -1, -1' if backward else 'steps'}):", at_step):
                    self._body(body)
            case IfLater(body):
                with self._block("if t > 0:"):
                    self._body(body)
            case Loop():
                lanes = f"for j in range(0, {self._padded_size(instruction.size)}, {LANES}):"
                with self._each_row(instruction.over), self._block(lanes):
                    self._loop(instruction)
            case Product():
                self._product(instruction)
            case Sum(over, gradient, left, right, _):
                sizes = f"{self._number(left.size)}, {form.count.get(over, '1')}, {self._padded_size(right.size)}"
                self.line(
                    f"multiply({self._matrix(gradient)}, {self._first_row(left, over)}, 1, {self._stride(left)}, "
                    f"{self._first_row(right, over)}, {self._stride(right)}, {sizes}, True)"
                )
            case Call(over, function, arguments, _):
                with self._each_row(over):
                    self.line(f"{function}({', '.join(self._argument(a, over) for a in arguments)})")
            case Fill(buffer) if buffer is None:
                self.line(f"fill(g, 0, {self._parameters}, 0.0)")
            case Fill(buffer):
                assert buffer is not None
                size = self._number(buffer.lines * padded(buffer.columns))
                self.line(f"fill({buffer.array}, {buffer.name}, {buffer.name} + {size}, 0.0)")
            case Inputs(place):
                inputs, width = self._matrix(place.buffer), self._number(place.size)
                text = form.inputs[self._kind.tokens].format(inputs=inputs, width=width, reverse=self._reverse)
                self.line(text)
            case Length(place):
                self.lines(text.format(length=self._base(place, Over.END)) for text in form.length)
            case Loss(logits, gradients):
                texts = {"logits": self._base(logits, Over.END), "gradients": self._base(gradients, Over.END)}
                self.lines(text.format(classes=self._number(logits.size), **texts) for text in form.loss)

    # Loops and products ----------------------------------------------------------------------------------------------

    def _loop(self, loop: Loop) -> None:
        inputs = [i for n in loop.nodes for i in n.inputs]
        uses = Counter([*inputs, *(i for s in loop.stores for i in s.terms or (s.node,))])
        # The expression of each node that is computed here: a variable, or what it is made of.
        local: dict[Node, ast.expr] = {}

        def value(node: Node) -> ast.expr:
            return local[node] if node in local else self._lanes(node, loop)

        for node in loop.nodes:
            made = compose(OPERATIONS[node.operation].native, [value(i) for i in node.inputs])
            inside = node not in self._printer.names and uses[node] == 1 and len(ast.unparse(made)) < _LONGEST_INSIDE
            local[node] = made if inside else self._variable(node, made)
        # All is read before any of it is written, since something here may read what is overwritten.
        summed = [store.terms or (store.node,) for store in loop.stores]
        values = [compose(sum_of(len(nodes)), [value(node) for node in nodes]) for nodes in summed]
        if len(values) > 1:
            values = [
                v if ast.unparse(v).isidentifier() or store.node.is_constant else self._variable(store.node, v)
                for store, v in zip(loop.stores, values, strict=True)
            ]
        for store, v in zip(loop.stores, values, strict=True):
            address = f"{self._address(store.place, loop.over)} + j"
            if store.clean and store.node.size % LANES and ast.unparse(v) != "0.0":
                filled = "full({0})" if is_one_number(store.node) else "{0}"
                v = compose(f"keep({filled}, {self._number(store.node.size)} - j)", [v])
            if store.add:
                v = compose("{0} + {1}", [atom(f"load({address})"), v])
            self.line(f"store({address}, {ast.unparse(v)})")

    def _lanes(self, node: Node, loop: Loop) -> ast.expr:
        """Return the expression for lanes of a node that a loop reads."""
        if node not in loop.reads:
            return compose(_literal(float(node.numbers[0])))
        address = self._address(loop.reads[node], loop.over)
        return atom(f"spread({address})" if loop.reads[node].size == 1 else f"load({address} + j)")

    def _variable(self, node: Node, value: ast.expr) -> ast.expr:
        """Write an assignment to a new variable and return it."""
        name = self._names.new(f"{self._printer.label(node)}_j")
        self.line(f"{name} = {ast.unparse(value)}")
        return atom(name)

    def _product(self, product: Product) -> None:
        over, out, vector = product.over, product.out, product.vector
        if product.by_dots:
            with self._each_row(over):
                target = self._address(out, over)
                if not product.add:
                    self.line(f"fill({target}, {self._base(out, over)} + {self._padded_size(product.n)}, 0.0)")
                sizes = f"{self._number(product.n)}, {self._padded_size(product.k)}"
                self.line(f"add_dots({target}, {self._address(vector, over)}, {self._matrix(product.matrix)}, {sizes})")
            return
        target, left, right = self._first_row(out, over), self._first_row(vector, over), self._matrix(product.matrix)
        sizes = f"{self._number(product.k)}, {self._padded_size(product.n)}, {product.add}"
        if rows := self._form.count.get(over):
            strides = self._stride(out), self._stride(vector)
            self.line(f"multiply({target}, {strides[0]}, {left}, {strides[1]}, 1, {right}, {rows}, {sizes})")
        else:
            self.line(f"multiply_row({target}, {left}, {right}, {sizes})")

    # Places ----------------------------------------------------------------------------------------------------------

    def _base(self, place: Place, over: Over, each_row: bool = True) -> str:
        """Return the offset of a place, in the row of sequence r where several stand side by side."""
        buffer, parts = place.buffer, [place.buffer.name]
        rows = "x" if place.row is Row.TOKEN else ""
        if buffer.rows in (Rows.STEPS, Rows.STATES):
            rows = self._form.row[over, place.row]
        # `after` counts the sequences already.
        if each_row and buffer.rows is not Rows.ONE and over in self._form.count and rows != "after":
            rows = f"{rows} + r" if rows else "r"
        if rows:
            parts.append(f"({rows}) * {self._line(place)}" if "+" in rows else f"{rows} * {self._line(place)}")
        if place.offset:
            parts.append(self._number(place.offset, "offset"))
        return " + ".join(parts)

    def _address(self, place: Place, over: Over) -> str:
        """Return the array and the offset of a place, as the arguments of a call."""
        return f"{place.buffer.array}, {self._base(place, over)}"

    def _first_row(self, place: Place, over: Over) -> str:
        """Return the address of the first of the rows side by side."""
        return f"{place.buffer.array}, {self._base(place, over, each_row=False)}"

    def _line(self, place: Place) -> str:
        return self._padded_size(place.buffer.columns)

    def _stride(self, place: Place) -> str:
        """Return the distance of two rows."""
        return "0" if place.buffer.rows is Rows.ONE else self._line(place)

    def _matrix(self, buffer: Buffer) -> str:
        """Return the array, the offset and the distance of two lines of a matrix, as the arguments of a call."""
        return f"{buffer.array}, {buffer.name}, {self._padded_size(buffer.columns)}"

    def _argument(self, value: Argument, over: Over) -> str:
        match value:
            case Place():
                return self._address(value, over)
            case Buffer():
                return self._matrix(value)
            case bytes():
                return f"tables, {self._table(value)}"
            case Over():
                return self._form.count[value]
            case Padded(size):
                return self._padded_size(size)
            case bool():
                return str(value)
        return self._number(value)

    # Names -----------------------------------------------------------------------------------------------------------

    def _number(self, value: int, wanted: str = "n") -> str:
        """Return the name of an integer: sizes that are equal share one."""
        if value not in self._by_value:
            self._by_value[value] = self._fixed(value, wanted)
        return self._by_value[value]

    def _fixed(self, value: int, wanted: str) -> str:
        """Return a name of its own for an integer, also where another one has the same value."""
        name = self._names.new(wanted)
        self._numbers[name] = value
        return name

    def _padded_size(self, size: int) -> str:
        """Return the name of a size in whole lanes: one for each size, even where both or two of them are equal."""
        if size not in self._padded:
            self._padded[size] = self._fixed(padded(size), f"{self._number(size)}_padded")
        return self._padded[size]

    def _table(self, indices: bytes) -> str:
        if indices not in self._tables:
            self._tables[indices] = self._names.new("table")
        return self._tables[indices]

    def memory(self) -> Memory:
        """Return the integers that the program reads."""
        buffers = tuple(b for b in self._schedule.buffers if b.array == "w")
        return Memory(self._numbers | self._offsets(), buffers, self._schedule.constants, self._tables)

    def _offsets(self) -> dict[str, int]:
        """Return where the parameters begin, and where those that are no lookups end."""
        offsets = {b.name: b.begin for b in self._schedule.buffers if b.array == "p"}
        return offsets | {self._parameters: self._schedule.plan.parameters.dense_size}

    def header(self, memory: Memory) -> list[str]:
        """Return the lines that read those of the integers that the program uses."""
        used = names_in(self.written)
        titles = {
            "sizes": set(self._numbers),
            "where the parameters stand in p, and their gradients in g": set(self._offsets()),
            "where everything else stands in w": {b.name for b in memory.buffers},
            "where the indices stand in tables": set(memory.table_names.values()),
        }
        lines = []
        for title, names in titles.items():
            chosen = [f"{name} = sizes[{i}]" for i, name in enumerate(memory.names) if name in names & used]
            lines += [f"# {title}", *chosen] if chosen else []
        return lines


def _literal(value: float) -> str:
    number = np.float32(value)
    if np.isfinite(number):
        return str(number)
    return "np.float32(np.nan)" if np.isnan(number) else f"np.float32({'-' if number < 0 else ''}np.inf)"


def names_in(lines: Iterable[str]) -> set[str]:
    """Return all names that stand in the lines, comments apart."""
    return {name for line in lines if not line.lstrip().startswith("#") for name in re.findall(r"\b[A-Za-z_]\w*", line)}


def wrapped(line: str) -> list[str]:
    """Break a line that is too long behind commas, as few brackets deep as it can be."""
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
    VALUES, begin: int, steps: int, label: int, weight: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, int]:
    """Run one sequence; with `learn`, leave the gradients of all parameters in `g`.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return the loss, which counts `weight` times, and 1
    where the largest logit is the right one.
    """
BODY'''

_BATCH = '''
def run(
    VALUES, offsets: Integers, labels: Integers, class_weights: Floats, members: Integers, share: np.float32,
    learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens,
) -> tuple[float, int]:
    """Run the sequences `members`, the longest first; with `learn`, leave the gradients of all parameters in `g`.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return the sum of the losses, each weighted by its
    class, and how many are right. Each counts for `share` in the gradients.
    """
    sequences = len(members)
    steps = line_up(start, offsets, members)
    total = start[steps]
TOKENS
BODY'''


def _module(plan: Plan, body: list[str]) -> str:
    kind, reverse = plan.kind, plan.derivative.recurrence.reverse
    text, lined_up = _BATCH if kind.batched else _SINGLE, ""
    if kind.tokens and kind.batched:
        lined_up = f"    line_up_tokens(lined, tokens, offsets, members, start, steps, {reverse})\n    tokens = lined\n"
    text = text.replace("TOKENS\n", lined_up).replace("VALUES", "tokens: Tokens" if kind.tokens else "features: Floats")
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
