"""The buffers of a program: of weights, and of other leaves with the instructions that prepare them."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

from myrnn.compiler.carry import carried_of
from myrnn.compiler.derive import WEIGHTS
from myrnn.compiler.forms import CARRIED, DONE, FEATURES, LEFT, SOURCE, Form, Over, Place, RowOf, X, whole
from myrnn.compiler.graph import Node
from myrnn.compiler.instructions import Argument, Buffer, Instruction, Number, Rows, Size
from myrnn.compiler.leaves import (
    CarriedNumbers,
    Constant,
    Derived,
    Drawn,
    Input,
    Length,
    Parameter,
    ParameterRows,
    StepNumber,
    StepTable,
)
from myrnn.compiler.names import Names
from myrnn.compiler.plan import Plan, Weight, padded

# Headings of values that are prepared before they are read.
PARAMETERS = "Weights in the layout of the forward pass."
DERIVED = "Computed weights in the layout of the forward pass."
DRAWN = "Random numbers."
INPUT = "Values that only depend on the input, for all steps at once."
BACKWARD = "Weights in the layout of the backward pass."


class Buffers:
    """Makes the buffers of a program, those of leaves when something first reads them."""

    def __init__(self, plan: Plan, form: Form) -> None:
        self._plan, self._form = plan, form
        self.all: list[Buffer] = []
        self.constants: dict[Node, Buffer] = {}
        self.tables: dict[Buffer, StepTable] = {}
        # The instructions that prepare what is read, by heading; and those of the step at hand.
        self.before: dict[str, list[Instruction]] = {
            heading: [] for heading in (PARAMETERS, DERIVED, DRAWN, INPUT, BACKWARD)
        }
        self._step: list[Instruction] = []
        self.is_backward = False
        self._made: dict[tuple[str, Node], Place] = {}
        self._names = Names(plan.sizes)
        # The locations of each weight and its gradient.
        self.weights = {leaf: self._place_weight(leaf) for leaf in sorted(plan.weights, key=weight_order)}

    def new(self, wanted: str, columns: int, rows: Rows = Rows.ONE, lines: int = 1) -> Place:
        """Return the location of a new buffer of the workspace."""
        buffer = Buffer("w", self._names.new(wanted), columns, rows, lines)
        self.all.append(buffer)
        return whole(buffer)

    def begin_step(self, instructions: list[Instruction]) -> None:
        """Write the number of the step again, among these instructions."""
        self._step = instructions
        for key in [key for key in self._made if isinstance(key[1].leaf, StepNumber)]:
            del self._made[key]

    def _place_weight(self, leaf: Node) -> tuple[Place, Place]:
        """Return the locations of a weight and its gradient."""
        weight = self._plan.weights[leaf]
        if isinstance(leaf.leaf, Derived):
            name = str(leaf.leaf)
            matrix = self.new(name, weight.columns, lines=weight.rows)
            return matrix, self.new(f"d_{name}", weight.columns, lines=weight.rows)
        assert isinstance(leaf.leaf, Parameter | ParameterRows)
        rows, columns = weight.stored
        layout = self._plan.parameters.layouts[leaf.leaf.number]
        at, name = layout.at, layout.name
        if isinstance(leaf.leaf, ParameterRows):
            first = leaf.leaf.first
            at, name = at + first * padded(weight.columns), f"{name}_from_{first}"
        buffer = Buffer("p", self._names.new(name), columns, Rows.ONE, rows, at)
        self.all.append(buffer)
        return whole(buffer), whole(replace(buffer, array="g"))

    def place(self, leaf: Node) -> Place:
        """Return the location of a leaf: a constant, the input, or a weight's numbers without padding between rows."""
        if leaf in self._plan.weights and self._plan.weights[leaf].is_flat:
            return self.weights[leaf][0]
        if ("flat", leaf) not in self._made:
            match leaf.leaf:
                case Constant():
                    flat = self.new("constant", leaf.size)
                    self.constants[leaf] = flat.buffer
                case Input():
                    flat = self.new("inputs", leaf.size, Rows.STEPS)
                    self.before[INPUT] += self._input(flat)
                case StepTable() as table:
                    flat = self._table(table)
                case Drawn() as drawn:
                    flat = self._drawn(drawn)
                case StepNumber() as given:
                    flat = self.new("time", 1, Rows.SEQUENCES)
                    self._step += self._form.write(Over.STEP, flat, LEFT if given.backward else DONE)
                case Length():
                    flat = self.new("length", 1, Rows.SEQUENCES)
                    self.before[INPUT] += self._form.write(Over.END, flat, self._form.length)
                case CarriedNumbers(offset):
                    flat = self.new(self._plan.printer.names[leaf], leaf.size, Rows.SEQUENCES)
                    stream, size = self.in_stream(offset), Size(leaf.size)
                    self.before[INPUT] += self._form.call(Over.START, "go_on", flat, *stream, size)
                case _:
                    weight, (matrix, _) = self._plan.weights[leaf], self.weights[leaf]
                    flat = self.new(f"{matrix.buffer.name}_flat", leaf.size)
                    self._before(leaf).extend(self.moved(weight, flat, matrix, to_matrix=False))
            self._made["flat", leaf] = flat
        return self._made["flat", leaf]

    def _input(self, out: Place) -> tuple[Instruction, ...]:
        """Prepare the rows of the sequences."""
        width = Size(out.size)
        if self._plan.kind.tokens:
            return self._form.call(Over.ALL, "one_hot", out, X, width)
        return self._form.call(Over.ALL, "copy", out, FEATURES, SOURCE * width, width)

    def _table(self, table: StepTable) -> Place:
        """Return the location of a table's numbers: a row of it, or of copies for each step of a stream."""
        numbers, recurrence = self.new("table", table.size, Rows.TABLE), self._plan.derivative.recurrence
        self.tables[numbers.buffer] = table
        if not recurrence.carried:
            return replace(numbers, row=RowOf.LEFT if table.backward else RowOf.DONE)
        out, line = self.new("table_rows", table.size, Rows.STEPS), Size(table.size, padded=True)
        before = self.in_stream(carried_of(recurrence).steps)
        copy = self._form.call(Over.STEP, "read_table", out, numbers, line, DONE, *before, Size(table.size))
        self.before[INPUT].append(self._form.steps(copy))
        return out

    def _drawn(self, drawn: Drawn) -> Place:
        """Return the location of random numbers, for each step or each sequence."""
        amount = self.place(self._plan.derivative.recurrence.build.constant([drawn.draw.amount]))
        out = self.new(drawn.draw.kind, drawn.size, Rows.SEQUENCES if drawn.once else Rows.STEPS)
        self.before[DRAWN] += self._form.draws(out, drawn, amount)
        return out

    def transposed(self, leaf: Node) -> Place:
        """Return a copy of the weight in transposed layout."""
        if ("transposed", leaf) not in self._made:
            matrix, _ = self.weights[leaf]
            lines, columns = self._plan.weights[leaf].stored
            copy = self.new(f"{matrix.buffer.name}_transposed", lines, lines=padded(columns))
            self._made["transposed", leaf] = copy
            size, padded_size = Size(lines), Size(columns, padded=True)
            arguments = (copy, Size(lines, padded=True), matrix, padded_size, size, padded_size)
            self._before(leaf).extend(self._form.call(Over.ONCE, "transpose", *arguments))
        return self._made["transposed", leaf]

    def _before(self, leaf: Node) -> list[Instruction]:
        """Return the list for the instructions that make a copy of a weight."""
        if self.is_backward:
            return self.before[BACKWARD]
        return self.before[DERIVED if isinstance(leaf.leaf, Derived) else PARAMETERS]

    def in_stream(self, at: int) -> tuple[Number, ...]:
        """Return the arguments for the location of a number in the row of a stream."""
        width = carried_of(self._plan.derivative.recurrence).width
        return CARRIED, self._form.stream, Size(width), Size(at, wanted="at")

    def moved(
        self, weight: Weight, flat: Place, matrix: Place, *, to_matrix: bool, over: Over = Over.ONCE, add: bool = False
    ) -> tuple[Instruction, ...]:
        """Return instructions that copy or add a weight's numbers from unpadded rows to its layout, or back."""
        line, one = Size(weight.stored[1], padded=True), Size(1)
        sides: list[tuple[Place | Argument, ...]] = [
            (flat, Size(weight.columns), one),
            (matrix, one, line) if weight.flipped else (matrix, line, one),
        ]
        source, out = sides if to_matrix else reversed(sides)
        return self._form.call(over, "copy_matrix", *out, *source, Size(weight.rows), Size(weight.columns), add)


def weight_order(node: Node) -> tuple[Any, ...]:
    """Return what weights are sorted by."""
    assert isinstance(node.leaf, WEIGHTS)
    return (type(node.leaf).__name__, *astuple(node.leaf))
