"""The buffers of a program: of its results, of weights, and of other leaves with the instructions that prepare them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from typing import Any

from myrnn.compiler.addresses import Buffer, Number, Rows, Size
from myrnn.compiler.carry import carried_of
from myrnn.compiler.equations import state_names
from myrnn.compiler.forms import (
    BATCH_MEMBERS,
    CARRIED,
    DONE,
    FEATURES,
    LEFT,
    OFFSETS,
    SOURCE,
    TOKENS,
    Form,
    Over,
    Place,
    RowOf,
    X,
    whole,
)
from myrnn.compiler.graph import Node, leaves_of
from myrnn.compiler.instructions import Argument, Instruction, Interface
from myrnn.compiler.leaves import (
    WEIGHTS,
    CarriedNumbers,
    Constant,
    Derived,
    Drawn,
    Input,
    Kept,
    Length,
    LoopState,
    Parameter,
    ParameterRows,
    StepNumber,
    StepTable,
    SymbolRows,
)
from myrnn.compiler.plan import Plan, Weight, padded

# Headings of values that are prepared before they are read.
SYMBOLS = "The symbols that occur."
PARAMETERS = "Weights in the layout of the forward pass."
DERIVED = "Computed weights in the layout of the forward pass."
DRAWN = "Random numbers."
INPUT = "Values that only depend on the input, for all steps at once."
BACKWARD = "Weights in the layout of the backward pass."


class Names:
    """Gives every object a unique name that is a valid identifier, and none of those in use.

    No name begins with what is to be `avoided`.
    """

    def __init__(self, used: Iterable[str] = (), avoided: str = "") -> None:
        self.used, self._avoided = set(used), avoided

    def new(self, wanted: str) -> str:
        """Return `wanted`, made into an identifier, with a number appended if the name is in use."""
        stem = re.sub(r"\W+", "_", wanted).strip("_") or "value"
        if stem[0].isdigit() or keyword.iskeyword(stem):
            stem = f"v_{stem}"
        if self._avoided and stem.startswith(self._avoided):
            stem = f"{'b' if self._avoided[0] == 'a' else 'a'}_{stem}"
        name, count = stem, 1
        while name in self.used:
            count += 1
            name = f"{stem}_{count}"
        self.used.add(name)
        return name


class Buffers:
    """Makes the buffers of a program, those of leaves when something first reads them."""

    def __init__(self, plan: Plan, form: Form) -> None:
        self.plan, self.form = plan, form
        self.all: list[Buffer] = []
        self.constants: dict[Node, Buffer] = {}
        self.tables: dict[Buffer, StepTable] = {}
        # The instructions that prepare what is read, by heading.
        self.prepared: dict[str, list[Instruction]] = {
            heading: [] for heading in (SYMBOLS, PARAMETERS, DERIVED, DRAWN, INPUT, BACKWARD)
        }
        self._made: dict[tuple[str, Node], Place] = {}
        self._names = Names(plan.sizes)
        # The locations of each weight and its gradient.
        self.weights = {leaf: self._place_weight(leaf) for leaf in sorted(plan.weights, key=weight_order)}

    def new(self, wanted: str, columns: int, rows: Rows = Rows.ONE, lines: int = 1) -> Place:
        """Return the location of a new buffer of the workspace."""
        buffer = Buffer("w", self._names.new(wanted), columns, rows, lines)
        self.all.append(buffer)
        return whole(buffer)

    def step_number(self, given: StepNumber) -> tuple[Place, tuple[Instruction, ...]]:
        """Return the location of a new buffer for the number of the step, and what writes it at a step."""
        place = self.new("time", 1, Rows.SEQUENCES)
        return place, self.form.write(Over.STEP, place, LEFT if given.backward else DONE)

    def _place_weight(self, leaf: Node) -> tuple[Place, Place]:
        """Return the locations of a weight and its gradient."""
        weight = self.plan.weights[leaf]
        if isinstance(leaf.leaf, Derived):
            name = str(leaf.leaf)
            matrix = self.new(name, weight.columns, lines=weight.rows)
            return matrix, self.new(f"d_{name}", weight.columns, lines=weight.rows)
        assert isinstance(leaf.leaf, Parameter | ParameterRows)
        rows, columns = weight.stored
        layout = self.plan.parameters.layouts[leaf.leaf.number]
        at, name = layout.at, layout.name
        if isinstance(leaf.leaf, ParameterRows):
            first = leaf.leaf.first
            at, name = at + first * weight.line, f"{name}_from_{first}"
        buffer = Buffer("p", self._names.new(name), columns, Rows.ONE, rows, at)
        self.all.append(buffer)
        return whole(buffer), whole(replace(buffer, array="g"))

    def place(self, leaf: Node, backward: bool = False) -> Place:
        """Return the location of a leaf: a constant, the input, or a weight's numbers without padding between rows."""
        # What is first read in the backward pass is prepared before that.
        if leaf in self.plan.weights and self.plan.weights[leaf].is_flat:
            return self.weights[leaf][0]
        if ("flat", leaf) not in self._made:
            match leaf.leaf:
                case Constant():
                    flat = self.new("constant", leaf.size)
                    self.constants[leaf] = flat.buffer
                case Input():
                    flat = self.new("inputs", leaf.size, Rows.STEPS)
                    self.prepared[INPUT] += self._input(flat)
                case SymbolRows():
                    flat = self._symbols(leaf.size)
                case StepTable() as table:
                    flat = self._table(table)
                case Drawn() as drawn:
                    flat = self._drawn(drawn)
                case Length():
                    flat = self.new("length", 1, Rows.SEQUENCES)
                    self.prepared[INPUT] += self.form.write(Over.END, flat, self.form.length)
                case CarriedNumbers(offset):
                    flat = self.new(self.plan.printer.names[leaf], leaf.size, Rows.SEQUENCES)
                    stream, size = self.in_stream(offset), Size(leaf.size)
                    self.prepared[INPUT] += self.form.call(Over.START, "go_on", flat, *stream, size)
                case _:
                    weight, (matrix, _) = self.plan.weights[leaf], self.weights[leaf]
                    flat = self.new(f"{matrix.buffer.name}_flat", leaf.size)
                    self._before(leaf, backward).extend(self.moved(weight, flat, matrix, to_matrix=False))
            self._made["flat", leaf] = flat
        return self._made["flat", leaf]

    def _input(self, out: Place) -> tuple[Instruction, ...]:
        """Prepare the rows of the sequences."""
        width = Size(out.size)
        if self.plan.kind.tokens:
            return self.form.call(Over.ALL, "one_hot", out, X, width)
        return self.form.call(Over.ALL, "copy", out, FEATURES, SOURCE * width, width)

    def _symbols(self, size: int) -> Place:
        """Prepare the row of each symbol, or of another one that occurs instead."""
        out, width = self.new("symbols", size), Size(self.plan.derivative.recurrence.dim_input)
        self.prepared[SYMBOLS] += self.form.call(Over.ONCE, "symbol_rows", out, width, TOKENS, OFFSETS, BATCH_MEMBERS)
        return out

    def _table(self, table: StepTable) -> Place:
        """Return the location of a table's numbers: a row of it, or of copies for each step of a stream."""
        numbers, recurrence = self.new("table", table.size, Rows.TABLE), self.plan.derivative.recurrence
        self.tables[numbers.buffer] = table
        if not recurrence.carried:
            return replace(numbers, row=RowOf.LEFT if table.backward else RowOf.DONE)
        out, line = self.new("table_rows", table.size, Rows.STEPS), Size(table.size, padded=True)
        before = self.in_stream(carried_of(recurrence).steps)
        copy = self.form.call(Over.STEP, "read_table", out, numbers, line, DONE, *before, Size(table.size))
        self.prepared[INPUT].append(self.form.steps(copy))
        return out

    def _drawn(self, drawn: Drawn) -> Place:
        """Return the location of random numbers, for each step or each sequence."""
        amount = self.place(self.plan.derivative.recurrence.build.constant([drawn.draw.amount]))
        out = self.new(drawn.draw.kind, drawn.size, Rows.SEQUENCES if drawn.once else Rows.STEPS)
        self.prepared[DRAWN] += self.form.draws(out, drawn, amount)
        return out

    def transposed(self, leaf: Node, backward: bool) -> Place:
        """Return a copy of the weight in transposed layout."""
        if ("transposed", leaf) not in self._made:
            matrix, _ = self.weights[leaf]
            lines, columns = self.plan.weights[leaf].stored
            copy = self.new(f"{matrix.buffer.name}_transposed", lines, lines=padded(columns))
            self._made["transposed", leaf] = copy
            size, padded_size = Size(lines), Size(columns, padded=True)
            arguments = (copy, Size(lines, padded=True), matrix, padded_size, size, padded_size)
            self._before(leaf, backward).extend(self.form.call(Over.ONCE, "transpose", *arguments))
        return self._made["transposed", leaf]

    def _before(self, leaf: Node, backward: bool) -> list[Instruction]:
        """Return the list for the instructions that make a copy of a weight."""
        if backward:
            return self.prepared[BACKWARD]
        return self.prepared[DERIVED if isinstance(leaf.leaf, Derived) else PARAMETERS]

    def in_stream(self, at: int) -> tuple[Number, ...]:
        """Return the arguments for the location of a number in the row of a stream."""
        width = carried_of(self.plan.derivative.recurrence).width
        return CARRIED, self.form.stream, Size(width), Size(at, wanted="at")

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
        return self.form.call(over, "copy_matrix", *out, *source, Size(weight.rows), Size(weight.columns), add)


@dataclass(frozen=True)
class ResultBuffers:
    """The locations of what a program computes: states, kept values, logits and a penalty, and their gradients."""

    states: list[Place]
    gradients: list[Place]
    input_gradients: Place | None
    penalty: Place | None
    penalty_times: Place | None
    kept: dict[int, Place]
    kept_gradients: dict[int, Place]
    logits: Place
    logit_gradients: Place
    # Last states that other parts than the readout read, or that are stored where it does not read: copies, and the
    # sums of their gradients.
    last: dict[int, Place]
    last_gradients: dict[int, Place]
    # Of states, by the values that their loops keep instead of them; in observed programs only.
    moved_gradients: dict[int, Place]

    @classmethod
    def of(cls, buffers: Buffers) -> ResultBuffers:
        """Return the locations of new buffers."""
        plan, new = buffers.plan, buffers.new
        r = plan.derivative.recurrence
        names, sizes = state_names(r), r.state_sizes
        states = [new(name, size, Rows.STATES) for name, size in zip(names, sizes, strict=True)]
        gradients = [
            new(f"d_{name}", size, Rows.STATES if i in plan.gradients_of_all_steps else Rows.TURNS)
            for i, (name, size) in enumerate(zip(names, sizes, strict=True))
        ]
        input_gradients = new("d_inputs", r.dim_input, Rows.STEPS) if plan.kind.observed else None
        penalty, penalty_times = (new(n, 1) if plan.penalty else None for n in ("penalty", "penalty_times"))
        leaves = {k: r.build.leaf(Kept(k), n.size) for k, n in r.kept.items()}
        kept = {k: new(plan.printer.names[leaf], leaf.size, Rows.STEPS) for k, leaf in leaves.items()}
        kept_gradients = {k: new(f"d_{place.buffer.name}", place.size, Rows.STEPS) for k, place in kept.items()}
        if isinstance(r.readout.leaf, Kept):
            logits, logit_gradients = (places[r.readout.leaf.number] for places in (kept, kept_gradients))
        else:
            logits, logit_gradients = (new(n, r.readout.size, Rows.SEQUENCES) for n in ("logits", "d_logits"))
        read = {
            state.number
            for loop, first in zip(r.loops, r.first_states, strict=True)
            for state in leaves_of(LoopState, [*loop.initial, *loop.step, *loop.kept.values()])
            if state.number < first
        }
        read |= {i for i, backward in enumerate(r.goes_backward) if backward}
        last = {i: new(f"last_{names[i]}", sizes[i], Rows.SEQUENCES) for i in sorted(read)}
        last_gradients = {i: new(f"d_last_{names[i]}", sizes[i], Rows.SEQUENCES) for i in sorted(read)}
        moved = plan.derivative.of_moved if plan.kind.observed else ()
        moved_gradients = {i: new(f"d_{names[i]}_t", sizes[i], Rows.STEPS) for i in moved}
        return cls(
            states, gradients, input_gradients, penalty, penalty_times, kept, kept_gradients, logits, logit_gradients,
            last, last_gradients, moved_gradients,
        )  # fmt: skip

    def interface(self, plan: Plan) -> Interface:
        """Return what the callers of the program have to know."""
        r = plan.derivative.recurrence
        return Interface(
            parameters=plan.parameters,
            logits=self.logits.buffer,
            per_step=r.per_step,
            draws=bool(r.draws),
            stream_layout=carried_of(r) if r.carried else None,
            goes_backward=r.goes_backward,
            states=tuple(place.buffer for place in self.states),
            state_gradients=tuple(place.buffer for place in self.gradients),
            kept_gradients={
                first + loop.step.index(node): self.kept_gradients[k].buffer
                for loop, first in zip(r.loops, r.first_states, strict=True)
                for k, node in loop.kept.items()
                if node in loop.step and not isinstance(node.leaf, LoopState)
            }
            | {i: place.buffer for i, place in self.moved_gradients.items()},
            input_gradients=self.input_gradients.buffer if self.input_gradients else None,
            penalty_times=self.penalty_times.buffer if self.penalty_times else None,
            micro_batch=plan.micro_batch,
        )


def weight_order(node: Node) -> tuple[Any, ...]:
    """Return what weights are sorted by."""
    assert isinstance(node.leaf, WEIGHTS)
    return (type(node.leaf).__name__, *astuple(node.leaf))
