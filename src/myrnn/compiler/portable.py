"""Programs for languages without lanes: nothing is padded, and what weights decide is computed beforehand.

A forward model gets two programs: one reads a step, the other computes the logits. Other models get one program for the
whole sequence. A third kind computes the loss of a sequence, and its gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler.addresses import Address, Buffer, Name, Number, Size
from myrnn.compiler.carry import MOST_STEPS, carried_of, counts_steps, going_on
from myrnn.compiler.derive import Hoisted, ProgramKind, differentiate, hoist
from myrnn.compiler.forms import BEGIN, CARRIED, LABEL, LABELS, MEMBER, STEPS, STREAMS, TOKEN, TOKENS
from myrnn.compiler.graph import Node, evaluate, leaves_of, substitutions, topological
from myrnn.compiler.instructions import Call, Instruction, Phase, Schedule, buffers_in
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
        """The most steps that float32 can count; None if the model does not compute with their number."""
        return MOST_STEPS if counts_steps(self.recurrence) else None

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
        rows = self.recurrence.rows
        known = max((step + 1 for one in self.recurrence.tables for step in rows.get(one, ())), default=0)
        numbers = np.zeros((known + UNSEEN, table.size), dtype=np.float32)
        for step, row in rows.get(table, {}).items():
            numbers[step] = row
        return numbers.reshape(-1)


@dataclass(frozen=True)
class StepProgram:
    """A program that reads a sequence step by step, and gives the logits after any of them."""

    program: Portable
    step: tuple[Phase, ...]
    # None if each step writes its logits.
    logits: tuple[Phase, ...] | None
    # How many numbers it keeps from step to step; all are zero at the beginning.
    width: int

    @property
    def carried(self) -> Carried:
        """The layout of these numbers; if nothing reads the last ones, they are missing."""
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
    reading = _with_own_memory(
        specialized([p for p in phases if p.title != READOUT], {**known, STEPS.text: 1}),
    )
    ending = _with_own_memory(
        specialized([p for p in phases if p.title != HAND_ON], {**known, STEPS.text: 0}),
    )
    states, outputs = carried_of(program.recurrence).steps, {program.schedule.interface.logits}
    kept = set(range(states))
    while True:
        # Without the headings of a whole sequence.
        step = needed([Phase("", tuple(one for one in reading if _is_kept(one, kept)))], outputs)
        logits = needed([Phase("", ending)], outputs)
        read = {at for phase in (*step, *logits) for one in phase.body if (at := _read_at(one)) is not None}
        if read <= kept:
            break
        kept |= read
    return StepProgram(program, step, None if recurrence.per_step else logits, max(kept, default=-1) + 1)


def _with_own_memory(phases: Iterable[Phase]) -> tuple[Instruction, ...]:
    """Return the instructions of a step, which has one stream alone."""
    return tuple(_in_own_memory(instruction) for phase in phases for instruction in phase.body)


def _in_own_memory(instruction: Instruction) -> Instruction:
    match instruction:
        case Call("go_on", (out, array, _, _, Size(at), count)):
            return Call("copy", (out, array, at, count))
        case Call("hand_on", (array, _, _, Size(at), place, count)):
            return Call("copy", (array, at, place, count))
        case Call("read_table", (out, table, line, done, array, _, _, Size(at), count)):
            return Call("read_table", (out, table, line, done, array, at, count))
    return instruction


def _read_at(instruction: Instruction) -> int | None:
    """Return the place in the memory between steps that an instruction reads, if it does."""
    match instruction:
        case Call("copy", (Address(), Name(CARRIED.text), int(at), _)):
            return at
        case Call("read_table", (*_, Name(), int(at), _)):
            return at
    return None


def _is_kept(instruction: Instruction, kept: Set[int]) -> bool:
    """Whether an instruction is something else than writing what is not kept from step to step."""
    match instruction:
        case Call("copy", (Name(CARRIED.text), int(at), _, _)):
            return at in kept
    return True


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
    size = buffer.lines * buffer.columns
    for number, layout in parameters.layouts.items():
        begin = buffer.begin - layout.at
        if 0 <= begin and begin + size <= layout.size:
            return weights[number][begin : begin + size]
    raise AssertionError(f"{buffer.name} is in no parameter")


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
