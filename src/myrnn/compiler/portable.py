"""Programs for languages without lanes: nothing is padded, and what weights decide is computed beforehand.

A model that reads forward has a program for one step, and one for the logits after the steps so far. Any other has one
for a whole sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler.addresses import Buffer, Number
from myrnn.compiler.carry import MOST_STEPS, carried_of, counts_steps, going_on
from myrnn.compiler.derive import Hoisted, ProgramKind, differentiate, hoist
from myrnn.compiler.forms import BEGIN, LABEL, LABELS, MEMBER, STEPS, STREAMS, TOKEN, TOKENS
from myrnn.compiler.graph import Node, evaluate, leaves_of, substitutions, topological
from myrnn.compiler.instructions import Phase, Schedule, buffers_in
from myrnn.compiler.leaves import (
    WEIGHTS,
    Constant,
    Derived,
    Drawn,
    Floats,
    Leaf,
    Parameter,
    ParameterRows,
    StepTable,
)
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.loss import LossGraph
from myrnn.compiler.plan import Parameters, plan, shape_by_products
from myrnn.compiler.program import UNSEEN
from myrnn.compiler.schedule import HAND_ON, READOUT, schedule
from myrnn.compiler.specialize import needed, specialized
from myrnn.compiler.streams import Carried
from myrnn.errors import CompileError


@dataclass(frozen=True)
class Portable:
    """The instructions of a compact program, and the weights that it reads."""

    schedule: Schedule
    # The numbers of the parameters, in their order, flat; None if its caller gives them.
    weights: tuple[Floats, ...] | None

    @property
    def recurrence(self) -> Recurrence:
        """What it computes."""
        return self.schedule.plan.derivative.recurrence

    @property
    def most_steps(self) -> int | None:
        """The most steps that it can read; None if there is no limit."""
        if any(isinstance(given, StepTable) for given in self.recurrence.given):
            return self._known_rows + UNSEEN
        return MOST_STEPS if counts_steps(self.recurrence) else None

    @property
    def _known_rows(self) -> int:
        rows = self.recurrence.rows
        return max((step + 1 for table in self.recurrence.tables for step in rows.get(table, ())), default=0)

    def numbers(self, buffers: Iterable[Buffer]) -> dict[Buffer, Floats]:
        """Return the numbers of those buffers that do not change: weights, constants and tables."""
        constants = {buffer: node.numbers for node, buffer in self.schedule.constants.items()}
        found = {}
        for buffer in buffers:
            if buffer.array == "p" and self.weights is not None:
                found[buffer] = _part_of(self.weights, self.schedule.plan.parameters, buffer)
            elif buffer in self.schedule.tables:
                found[buffer] = self._table(self.schedule.tables[buffer])
            elif buffer in constants:
                found[buffer] = constants[buffer]
        return found

    def _table(self, table: StepTable) -> Floats:
        numbers = np.zeros((self._known_rows + UNSEEN, table.size), dtype=np.float32)
        for step, row in self.recurrence.rows.get(table, {}).items():
            numbers[step] = row
        return numbers.reshape(-1)


@dataclass(frozen=True)
class StepProgram:
    """A program that reads a sequence step by step, and gives the logits after any of them."""

    program: Portable
    step: tuple[Phase, ...]
    # None if each step writes its logits.
    logits: tuple[Phase, ...] | None

    @property
    def carried(self) -> Carried:
        """The layout of the numbers that it keeps from step to step; all are zero at the beginning."""
        return carried_of(self.program.recurrence)


@dataclass(frozen=True)
class SequenceProgram:
    """A program that reads a whole sequence."""

    program: Portable
    phases: tuple[Phase, ...]


Weights = Sequence[Floats] | None
"""The weights of a program, or None if they are given when it runs, because they change."""


def step_program(recurrence: Recurrence, weights: Weights, *, tokens: bool) -> StepProgram:
    """Return the program for a step; raises CompileError if the model does not read forward alone."""
    program = portable(recurrence, weights, ProgramKind(tokens, carried=True, learns=False))
    phases = program.schedule.phases
    known: dict[str, Number] = {BEGIN.text: 0, MEMBER.text: 0, STREAMS.text: 0, TOKENS.text: TOKEN}
    step = specialized((phase for phase in phases if phase.title != READOUT), {**known, STEPS.text: 1})
    begun = specialized((phase for phase in phases if phase.title != HAND_ON), {**known, STEPS.text: 0})
    outputs = {program.schedule.interface.logits}
    return StepProgram(program, needed(step, outputs), None if recurrence.per_step else needed(begun, outputs))


def sequence_program(recurrence: Recurrence, weights: Weights, *, tokens: bool) -> SequenceProgram:
    """Return the program for a whole sequence."""
    program = portable(recurrence, weights, ProgramKind(tokens, learns=False))
    phases = specialized(program.schedule.phases, {BEGIN.text: 0, MEMBER.text: 0})
    return SequenceProgram(program, needed(phases, {program.schedule.interface.logits}))


def learning_program(recurrence: Recurrence, loss: LossGraph | None, *, tokens: bool) -> SequenceProgram:
    """Return the program for the loss of a whole sequence, and its gradients by the weights.

    Without a loss, it is softmax cross-entropy. Raises CompileError if the model draws random numbers.
    """
    if recurrence.draws:
        kinds = " and ".join(sorted({drawn.draw.kind for drawn in recurrence.draws}))
        raise CompileError(f"the model draws random numbers when it trains ({kinds}), which exported training does not")
    program = portable(recurrence, None, ProgramKind(tokens, loss=loss))
    known: dict[str, Number] = {BEGIN.text: 0, MEMBER.text: 0}
    phases = specialized(program.schedule.phases, known if recurrence.per_step else {**known, LABELS.text: LABEL})
    return SequenceProgram(program, needed(phases, {b for b in buffers_in(phases) if b.array == "g"}))


def portable(recurrence: Recurrence, weights: Weights, kind: ProgramKind) -> Portable:
    """Return the program of a kind; one that does not learn draws no random numbers."""
    if not kind.learns:
        recurrence = _without_draws(recurrence)
    if weights is not None:
        recurrence, weights = with_fixed_weights(recurrence, weights)
    if kind.carried:
        recurrence = going_on(recurrence)
    derivative = replace(differentiate(hoist(recurrence)), kind=kind._replace(compact=True))
    return Portable(schedule(plan(derivative)), None if weights is None else tuple(w.reshape(-1) for w in weights))


def _part_of(weights: Sequence[Floats], parameters: Parameters, buffer: Buffer) -> Floats:
    for number, layout in parameters.layouts.items():
        if layout.at <= buffer.begin < layout.at + layout.size:
            begin = buffer.begin - layout.at
            return weights[number][begin : begin + buffer.lines * buffer.columns]
    return np.zeros(0, dtype=np.float32)


def _without_draws(recurrence: Recurrence) -> Recurrence:
    build = recurrence.build
    drawn = [given for given in recurrence.given if isinstance(given, Drawn)]
    neutral = {build.given(given): build.constant(given.neutral) for given in drawn}
    return replace(recurrence.placed(substitutions(build, recurrence.nodes, neutral)), draws=())


def with_fixed_weights(recurrence: Recurrence, weights: Sequence[Floats]) -> tuple[Recurrence, tuple[Floats, ...]]:
    """Return the recurrence in which all that depends on parameters alone is a parameter, and their numbers.

    Initial states that depend on parameters alone become constants.
    """
    hoisted = hoist(recurrence)
    r, build = hoisted.recurrence, hoisted.recurrence.build
    known = {build.leaf(Parameter(i), w.size): w.reshape(-1) for i, w in enumerate(weights)}
    fixed = [n for n in r.initial if all(isinstance(leaf, Parameter | Constant) for leaf in leaves_of(Leaf, [n]))]
    constants = {n: build.constant(numbers) for n, numbers in zip(fixed, evaluate(fixed, known), strict=True)}
    loops = tuple(replace(loop, initial=tuple(constants.get(n, n) for n in loop.initial)) for loop in r.loops)
    r = replace(r, loops=loops)
    order = topological(r.nodes)
    read = [n for n in order if isinstance(n.leaf, WEIGHTS)]
    place = substitutions(build, r.nodes, {n: build.leaf(Parameter(i), n.size) for i, n in enumerate(read)})
    shapes = tuple(_shape(r, n, order) for n in read)
    names = tuple(_name(r, n) for n in read)
    return (
        replace(r.placed(place), parameter_names=names, shapes=shapes),
        tuple(_numbers(hoisted, n, known, weights) for n in read),
    )


def _numbers(hoisted: Hoisted, node: Node, known: dict[Node, Floats], weights: Sequence[Floats]) -> Floats:
    match node.leaf:
        case Derived(number):
            (numbers,) = evaluate([hoisted.derived[number]], known)
            return np.asarray(numbers, dtype=np.float32)
        case ParameterRows(number, first):
            width = weights[number].shape[-1]
            return weights[number].reshape(-1)[first * width :][: node.size]
    return known[node]


def _shape(recurrence: Recurrence, node: Node, order: Sequence[Node]) -> tuple[int, ...]:
    match node.leaf:
        case Parameter(number):
            return recurrence.shapes[number]
        case ParameterRows(number):
            width = recurrence.shapes[number][-1]
            return node.size // width, width
    return shape_by_products(order, node)


def _name(recurrence: Recurrence, node: Node) -> str:
    match node.leaf:
        case Parameter(number):
            return recurrence.parameter_names[number]
        case ParameterRows(number, first):
            return f"{recurrence.parameter_names[number]}_from_{first}"
    return str(node.leaf)
