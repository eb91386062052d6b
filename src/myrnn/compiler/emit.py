"""Writes the instructions of a schedule as a Python module for Numba.

One renderer serves both forms of program, for a single sequence and for a batch; `runtime.training` calls them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler.assemble import Names, is_one_number
from myrnn.compiler.carry import carried_of
from myrnn.compiler.equations import write_equations
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import (
    Argument,
    Buffer,
    Call,
    Clear,
    CrossEntropy,
    Elementwise,
    For,
    Give,
    GoOn,
    HandOn,
    Inputs,
    Instruction,
    Losses,
    Over,
    Padded,
    Penalize,
    Phase,
    Place,
    Product,
    RowOf,
    Rows,
    Schedule,
    Sum,
    Targets,
)  # fmt: skip
from myrnn.compiler.leaves import Drawn, Length, StepNumber
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.plan import LANES, Plan, padded
from myrnn.compiler.printer import atom, compose, sum_of
from myrnn.compiler.program import Memory, Program
from myrnn.compiler.runtime import OF_PROGRAMS
from myrnn.targets import CLASS, SEVERAL, TOGETHER

WIDTH = 120

# An unnamed expression that is read once is written inline, unless it is longer.
_LONGEST_INSIDE = 60


@dataclass(frozen=True)
class Form:
    """How a kind of program writes the iterations of its instructions and the rows of its locations."""

    # The number of parallel rows; one if it is missing.
    count: dict[Over, str]
    # The first row of a buffer with several rows, at each moment and after a step.
    row: dict[Over | RowOf, str]
    # Definitions at a step, and for each of several rows.
    at_step: tuple[str, ...]
    for_each: dict[Over, tuple[str, ...]]
    # The length of a sequence, and its stream.
    length: str
    stream: str


SINGLE = Form(
    count={Over.ALL: "steps", Over.LATER: "steps - 1"},
    row={
        Over.START: "",
        Over.STEP: "t",
        Over.GOING: "t",
        RowOf.AFTER: "t + 1",
        Over.END: "steps",
        Over.ALL: "",
        Over.LATER: "1",
    },
    at_step=("x = tokens[begin + t]", "done = t", "left = steps - 1 - t"),
    for_each={Over.END: ("place = member",), Over.ALL: ("source = begin + r", "x = tokens[source]", "place = source")},
    length="steps",
    stream="streams[member]",
)
_LENGTH = "length = offsets[members[r] + 1] - offsets[members[r]]"
BATCH = Form(
    count={
        Over.START: "sequences",
        Over.STEP: "active",
        Over.GOING: "begun",
        Over.END: "sequences",
        Over.ALL: "total",
        Over.LATER: "total - start[1]",
    },
    row={
        Over.START: "start[steps - length]",
        Over.STEP: "row",
        Over.GOING: "row",
        RowOf.AFTER: "after",
        Over.END: "total",
        Over.ALL: "",
        Over.LATER: "start[1]",
    },
    at_step=(
        "row = start[t]",
        "after = start[t + 1]",
        "active = start[t + 1] - row",
        "begun = row - start[t - 1] if t > 0 else 0",
        "left = steps - 1 - t",
    ),
    for_each={
        Over.START: (_LENGTH,),
        Over.STEP: ("x = tokens[lined[row + r]]", "done = t - steps + offsets[members[r] + 1] - offsets[members[r]]"),
        Over.GOING: ("x = tokens[lined[row + r]]",),
        Over.END: (_LENGTH, "place = members[r]"),
        Over.ALL: ("source = lined[r]", "x = tokens[source]", "place = source"),
    },
    length="length",
    stream="streams[members[r]]",
)


def emit(schedule: Schedule) -> Program:
    """Write a schedule as a module with the function `run`."""
    renderer = _Renderer(schedule)
    renderer.phases(schedule.forward)
    renderer.phases(schedule.backward)
    renderer.lines("restore_mode(mode)", "return loss, score")
    memory, plan = renderer.memory(), schedule.plan
    r = plan.derivative.recurrence
    body = read_lines([*renderer.header(memory), *renderer.written])
    return Program(
        _module(plan, [part for line in body for part in wrapped(line)]),
        plan.kind, memory, plan.parameters, schedule.logits.name, schedule.logits.columns,
        r.per_step, bool(r.draws), carried_of(r) if r.carried else None, r.goes_backward, schedule.states,
        schedule.state_gradients, schedule.kept_gradients, schedule.input_gradients,
        schedule.penalty_times,
    )  # fmt: skip


class _Renderer:
    """The lines of a program, and the names that they use."""

    def __init__(self, schedule: Schedule) -> None:
        self.written: list[str] = []
        self._depth = 1
        self._schedule, self._printer = schedule, schedule.plan.printer
        self._kind = schedule.plan.kind
        self._form = BATCH if self._kind.batched else SINGLE
        self._names = Names(buffer.name for buffer in schedule.buffers)
        self._parameters = self._names.new("parameters")
        self._numbers: dict[str, int] = {}
        self._by_value: dict[int, str] = {}
        self._padded: dict[int, str] = {}
        self._tables: dict[bytes, str] = {}
        for name, size in schedule.plan.sizes.items():
            self._number(size, name)

    # Lines -----------------------------------------------------------------------------------------------------------

    def lines(self, *texts: str) -> None:
        """Write lines."""
        self.written += ["    " * self._depth + text if text else "" for text in texts]

    @contextmanager
    def _block(self, *heads: str) -> Iterator[None]:
        """Write the lines of the block inside of a block that each of the heads opens."""
        for head in heads:
            self.lines(head)
            self._depth += 1
        yield
        self._depth -= len(heads)

    @contextmanager
    def _each_row(self, over: Over) -> Iterator[None]:
        """Write the lines of the block for each of the parallel rows."""
        rows = self._form.count.get(over)
        with self._block(*[f"for r in range({rows}):"] if rows else ()):
            self.lines(*self._form.for_each.get(over, ()))
            yield

    def phases(self, phases: Iterable[Phase]) -> None:
        for phase in phases:
            self.lines("", f"# {phase.title}")
            self._body(phase.body)

    def _body(self, body: Iterable[Instruction]) -> None:
        for instruction in body:
            if comment := getattr(instruction, "comment", ""):
                self.lines(f"# {comment}")
            # In a batch, `begun` excludes the sequences whose first step this is.
            alone = getattr(instruction, "over", None) is Over.GOING and not self._kind.batched
            with self._block(*["if t > 0:"] if alone else ()):
                self._write(instruction)

    def _write(self, instruction: Instruction) -> None:
        match instruction:
            case For(backward, body):
                with self._block(f"for t in range({'steps - 1, -1, -1' if backward else 'steps'}):"):
                    self.lines(*self._form.at_step)
                    self._body(body)
            case Elementwise(over, size):
                with self._each_row(over), self._block(f"for j in range(0, {self._padded_size(size)}, {LANES}):"):
                    self._loop(instruction)
            case Product():
                self._product(instruction)
            case Sum(over, gradient, left, right):
                count = self._form.count.get(over, "1")
                self._call(
                    "multiply", self._matrix(gradient), self._first_row(left, over), 1, self._stride(left),
                    self._first_row(right, over), self._stride(right), self._number(left.size), count,
                    self._padded_size(right.size), True,
                )  # fmt: skip
            case Call(over, function, arguments):
                with self._each_row(over):
                    self._call(function, *(self._argument(a, over) for a in arguments))
            case Clear(None):
                self._call("fill", "g", 0, self._parameters, "0.0")
            case Clear(Place(Buffer(array, name, columns, Rows.STEPS))):
                steps = self._form.count[Over.ALL]
                self._call("fill", array, name, f"{name} + {steps} * {self._padded_size(columns)}", "0.0")
            case Clear(Place(Buffer(array, name, columns, _, lines))):
                self._call("fill", array, name, f"{name} + {self._number(lines * padded(columns))}", "0.0")
            case Inputs(out):
                width = self._number(out.size)
                with self._each_row(Over.ALL):
                    if self._kind.tokens:
                        self._call("one_hot", self._address(out, Over.ALL), "x", width)
                    else:
                        self._call("copy", self._address(out, Over.ALL), "features", f"source * {width}", width)
            case Give(_, _, Drawn() as drawn):
                self._draws(instruction, drawn)
            case Give(over, out, given):
                steps = "left" if isinstance(given, StepNumber) and given.backward else "done"
                with self._each_row(over):
                    number = self._form.length if isinstance(given, Length) else steps
                    self.lines(f"w[{self._base(out, over)}] = {number}")
            case GoOn(out, at):
                with self._each_row(Over.START):
                    self._call("go_on", self._address(out, Over.START), *self._in_stream(at), self._number(out.size))
            case HandOn(value, at):
                with self._each_row(Over.END):
                    self._call(
                        "hand_on", *self._in_stream(at), self._address(value, Over.END), self._number(value.size)
                    )
            case Targets(over, out, is_of_classes):
                width, row = self._number(out.size), "labels[place]" if is_of_classes else "place"
                with self._each_row(over):
                    self._call("copy", self._address(out, over), "targets", f"{row} * {width}", width)
            case Penalize(value, times):
                penalty, count = (self._base(place, Over.ONCE) for place in (value, times))
                self.lines(f"loss += w[{penalty}] * w[{count}] / share")
            case CrossEntropy():
                self._cross_entropy(instruction)
            case Losses():
                self._losses(instruction)

    def _in_stream(self, at: int) -> tuple[str, ...]:
        """Return the arguments for the location of a number in the row of a stream."""
        width = carried_of(self._schedule.plan.derivative.recurrence).width
        return "carried", self._form.stream, self._number(width), self._number(at, "at")

    def _draws(self, give: Give, drawn: Drawn) -> None:
        """Write a row of a site's stream for each sequence: that of the step, after T rows for each earlier part."""
        assert give.amount is not None
        parts, rows = drawn.parts if drawn.by_part else 1, self._form.count.get(give.over)
        amount, site = self._address(give.amount, Over.ONCE), self._fixed(drawn.site, "site")
        for part in range(parts):
            size = give.out.size // parts
            place = replace(give.out, size=size, offset=part * size)
            target, count = self._first_row(place, give.over), self._number(size)
            if rows is None:
                step = {RowOf.DONE: "done", RowOf.LEFT: "left"}.get(give.row, "0")
                row = f"{part} * steps + {step}" if part else step
                self._call(f"draw_{drawn.draw.kind}", target, count, amount, "keys", site, row)
                continue
            shift, times = {RowOf.DONE: ("t - steps", part + 1), RowOf.LEFT: ("left", part)}.get(give.row, ("0", 0))
            self._call(
                f"draw_{drawn.draw.kind}s", target, self._stride(place), count, amount, "keys", site, "offsets",
                "members", rows, shift, times,
            )  # fmt: skip

    def _cross_entropy(self, loss: CrossEntropy) -> None:
        over, gradients, classes = loss.over, loss.out, self._number(loss.logits.size)
        places = [self._address(place, over) for place in (loss.logits, gradients)]
        self._end_without_learning()
        with self._each_row(over):
            self.lines("label = labels[place]", "weight = class_weights[label] * weights[place]")
            call = f"cross_entropy({places[0]}, {classes}, label, {places[1]}, share * weight)"
            self.lines(f"one_loss, best = {call}", "score += int(best == label and weights[place] > 0)")
            # Zero times infinity would be NaN.
            with self._block("if weight > 0:"):
                self.lines("loss += one_loss * weight")
            with self._block("else:"):
                end = f"{self._base(gradients, over)} + {self._padded_size(gradients.size)}"
                self._call("fill", places[1], end, "0.0")

    def _end_without_learning(self) -> None:
        """Write the end of a run for the outputs alone, and the initial sums of one that continues to the loss."""
        self.lines("loss, score = 0.0, 0.0", "if not learn:", "    restore_mode(mode)", "    return loss, score")

    def _losses(self, losses: Losses) -> None:
        over, outputs = losses.over, self._address(losses.outputs, losses.over)
        count = self._number(losses.scored)
        self._end_without_learning()
        with self._each_row(over):
            if losses.what == CLASS:
                self.lines("weight = class_weights[labels[place]] * weights[place]")
                score = f"int(largest({outputs}, {count}) == labels[place])"
            else:
                self.lines("weight = weights[place]")
                function = {SEVERAL: "share_right", TOGETHER: "class_right"}.get(losses.what, "squared_error")
                scored = count if losses.classes is None else self._number(losses.classes)
                score = f"{function}({outputs}, targets, place * {count}, {scored})"
            with self._block("if weights[place] > 0:"):
                self.lines(f"score += {score}")
            with self._block("if weight > 0:"):
                self.lines(f"loss += w[{self._base(losses.values, over)}] * weight")
            self.lines(f"w[{self._base(losses.out, over)}] = share * weight")

    def _call(self, function: str, *arguments: object) -> None:
        self.lines(f"{function}({', '.join(map(str, arguments))})")

    # Loops and products ----------------------------------------------------------------------------------------------

    def _loop(self, loop: Elementwise) -> None:
        inputs = [i for n in loop.nodes for i in n.inputs]
        uses = Counter([*inputs, *(i for s in loop.stores for i in s.terms or (s.node,))])
        # The expression of each node that is computed here: a variable, or an inline expression.
        local: dict[Node, ast.expr] = {}

        def value(node: Node) -> ast.expr:
            return local[node] if node in local else self._lanes(node, loop)

        for node in loop.nodes:
            made = compose(OPERATIONS[node.operation].native, [value(i) for i in node.inputs])
            inside = node not in self._printer.names and uses[node] == 1 and len(ast.unparse(made)) < _LONGEST_INSIDE
            local[node] = made if inside else self._variable(node, made)
        # Everything is read before anything is written, since something may read what is overwritten.
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
            self._call("store", address, ast.unparse(v))

    def _lanes(self, node: Node, loop: Elementwise) -> ast.expr:
        """Return the lane expression of a node that a loop reads."""
        if node not in loop.reads:
            return compose(_literal(float(node.numbers[0])))
        address = self._address(loop.reads[node], loop.over)
        return atom(f"spread({address})" if loop.reads[node].size == 1 else f"load({address} + j)")

    def _variable(self, node: Node, value: ast.expr) -> ast.expr:
        """Write an assignment to a new variable and return it."""
        name = self._names.new(f"{self._printer.label(node)}_j")
        self.lines(f"{name} = {ast.unparse(value)}")
        return atom(name)

    def _product(self, product: Product) -> None:
        over, out, vector, matrix = product.over, product.out, product.vector, self._matrix(product.matrix)
        if product.by_dots:
            with self._each_row(over):
                target, n = self._address(out, over), self._number(product.n)
                if not product.add:
                    self._call("fill", target, f"{self._base(out, over)} + {self._padded_size(product.n)}", "0.0")
                self._call("add_dots", target, self._address(vector, over), matrix, n, self._padded_size(product.k))
            return
        sizes = self._number(product.k), self._padded_size(product.n), product.add
        if self._lies_apart(out, over) or self._lies_apart(vector, over):
            with self._each_row(over):
                self._call("multiply_row", self._address(out, over), self._address(vector, over), matrix, *sizes)
            return
        target, left = self._first_row(out, over), self._first_row(vector, over)
        if rows := self._form.count.get(over):
            self._call("multiply", target, self._stride(out), left, self._stride(vector), 1, matrix, rows, *sizes)
        else:
            self._call("multiply_row", target, left, matrix, *sizes)

    # Places ----------------------------------------------------------------------------------------------------------

    def _base(self, place: Place, over: Over, each_row: bool = True) -> str:
        """Return the offset of a location, in the row of sequence r if there are several in parallel."""
        buffer, parts = place.buffer, [place.buffer.name]
        rows, moment = "", over if place.row is RowOf.NOW else place.row
        if place.row in (RowOf.TOKEN, RowOf.DONE, RowOf.LEFT):
            rows = {RowOf.TOKEN: "x", RowOf.DONE: "done", RowOf.LEFT: "left"}[place.row]
        elif buffer.rows in (Rows.STEPS, Rows.STATES):
            rows = self._form.row[moment]
        if each_row and buffer.rows not in (Rows.ONE, Rows.TABLE) and over in self._form.count:
            rows = f"{rows} + r" if rows else "r"
        if rows:
            parts.append(f"({rows}) * {self._line(place)}" if " " in rows else f"{rows} * {self._line(place)}")
        if place.offset:
            parts.append(self._number(place.offset, "offset"))
        return " + ".join(parts)

    def _address(self, place: Place, over: Over) -> str:
        """Return the array and the offset of a location, as the arguments of a call."""
        return f"{place.buffer.array}, {self._base(place, over)}"

    def _first_row(self, place: Place, over: Over) -> str:
        """Return the address of the first of the parallel rows."""
        assert not self._lies_apart(place, over), "these rows are not contiguous"
        return f"{place.buffer.array}, {self._base(place, over, each_row=False)}"

    def _lies_apart(self, place: Place, over: Over) -> bool:
        """Whether the rows of a batch are not contiguous: sequences of other lengths begin at other steps."""
        moment = over if place.row is RowOf.NOW else place.row
        return self._kind.batched and moment is Over.START and place.buffer.rows in (Rows.STEPS, Rows.STATES)

    def _line(self, place: Place) -> str:
        return self._padded_size(place.buffer.columns)

    def _stride(self, place: Place) -> str:
        """Return the distance of two rows."""
        return "0" if place.buffer.rows is Rows.ONE else self._line(place)

    def _matrix(self, place: Place) -> str:
        """Return the array, the offset and the row distance of a matrix, as the arguments of a call."""
        return f"{self._address(place, Over.ONCE)}, {self._line(place)}"

    def _argument(self, value: Argument, over: Over) -> str:
        match value:
            case Place():
                return self._address(value, over)
            case bytes():
                return f"tables, {self._table(value)}, {self._number(len(value) // 4)}"
            case Padded(size):
                return self._padded_size(size)
            case bool():
                return str(value)
        return self._number(value)

    # Names -----------------------------------------------------------------------------------------------------------

    def _number(self, value: int, wanted: str = "n") -> str:
        """Return the name of an integer: equal sizes share one."""
        if value not in self._by_value:
            self._by_value[value] = self._fixed(value, wanted)
        return self._by_value[value]

    def _fixed(self, value: int, wanted: str) -> str:
        """Return a separate name for an integer, even if another one has the same value."""
        name = self._names.new(wanted)
        self._numbers[name] = value
        return name

    def _padded_size(self, size: int) -> str:
        """Return the name of a size in whole lanes: one for each size, even if two of them are equal."""
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
        numbers, schedule = self._numbers | self._offsets(), self._schedule
        return Memory(numbers, buffers, schedule.constants, schedule.tables, self._tables)

    def _offsets(self) -> dict[str, int]:
        """Return where the parameters begin, and where those that are not lookups end."""
        offsets = {b.name: b.begin for b in self._schedule.buffers if b.array == "p"}
        return offsets | {self._parameters: self._schedule.plan.parameters.dense_size}

    def header(self, memory: Memory) -> list[str]:
        """Return the lines that read the integers of the program."""
        titles = {
            "sizes": self._numbers,
            "offsets of the parameters in p, and of their gradients in g": self._offsets(),
            "offsets of everything else in w": [b.name for b in memory.buffers],
            "offsets of the indices in tables": memory.table_names.values(),
        }
        where, lines = {name: i for i, name in enumerate(memory.names)}, []
        for title, names in titles.items():
            if names:
                lines += [f"    # {title}", *(f"    {name} = sizes[{where[name]}]" for name in names)]
        return [*lines, "    mode = flush_subnormals()"]


def read_lines(lines: list[str]) -> list[str]:
    """Return the lines without assignments of names that are never read afterwards."""
    kept, read = [], set[str]()
    for line in reversed(lines):
        name, assigned, value = line.strip().partition(" = ")
        if assigned and name.isidentifier():
            if name not in read:
                continue
            read.discard(name)
            read |= names_in([value])
        else:
            read |= names_in([line])
        kept.append(line)
    return kept[::-1]


def _literal(value: float) -> str:
    number = np.float32(value)
    if np.isfinite(number):
        return str(number)
    return "np.float32(np.nan)" if np.isnan(number) else f"np.float32({'-' if number < 0 else ''}np.inf)"


def names_in(lines: Iterable[str]) -> set[str]:
    """Return all names in the lines, without comments."""
    return {name for line in lines if not line.lstrip().startswith("#") for name in re.findall(r"\b[A-Za-z_]\w*", line)}


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
    """Run the sequence `member`; with `learn`, leave the gradients of all parameters in `g`, else only the logits.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return two sums: of the weighted losses, and of the
    scores of what counts, such as 1 for a class that was right. Each loss counts for `share` in the gradients.
    """
BODY'''

_BATCH = '''
def run(
    VALUES, offsets: Integers, labels: Integers, targets: Floats, weights: Floats, class_weights: Floats,
    streams: Integers, carried: Floats, members: Integers, keys: Integers, share: np.float32, learn: bool, p: Floats,
    g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens,
) -> tuple[float, float]:
    """Run `members`, the longest first; with `learn`, leave the gradients of all parameters in `g`, else only logits.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return two sums: of the weighted losses, and of the
    scores of what counts, such as 1 for a class that was right. Each loss counts for `share` in the gradients.
    """
    sequences = len(members)
    steps = line_up(start, lined, offsets, members)
    total = start[steps]
BODY'''


def _module(plan: Plan, body: list[str]) -> str:
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
