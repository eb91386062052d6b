"""The programs of a network in C or JavaScript, whatever the language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from myrnn.compiler.carry import can_be_carried
from myrnn.compiler.leaves import Floats
from myrnn.compiler.loss import LossGraph, trace_loss
from myrnn.compiler.plan import Parameters
from myrnn.compiler.portable import SequenceProgram, StepProgram, learning_program, sequence_program, step_program
from myrnn.compiler.reach import PERIOD
from myrnn.errors import InvalidArgument
from myrnn.exports.network import TrainedNetwork
from myrnn.exports.options import Options
from myrnn.losses import CROSS_ENTROPY, SHIPPED, loss_for, name_of
from myrnn.targets import CLASS, SEVERAL, TargetKind


@dataclass(frozen=True)
class Learning:
    """How a network continues to learn: its loss, and all weights in one array."""

    network: TrainedNetwork
    program: SequenceProgram
    loss: str
    # The amount of numbers of a target; None if it is a label.
    width: int | None

    @property
    def _parameters(self) -> Parameters:
        return self.program.program.schedule.plan.parameters

    @property
    def size(self) -> int:
        """The number of weights."""
        return self._parameters.size

    @property
    def trained(self) -> Floats:
        """The weights that the network is exported with."""
        numbers = np.zeros(self.size, dtype=np.float32)
        for number, layout in self._parameters.layouts.items():
            numbers[layout.at : layout.at + layout.size] = self.network.weights[number].reshape(-1)
        return numbers

    @cached_property
    def reached(self) -> list[tuple[int, int, int]]:
        """Parts of the weights: begin, end, and from how many steps of a sequence on they have a gradient."""
        # MyGrad's optimizers leave weights without a gradient unchanged, whatever their moments are.
        lengths = np.arange(1, PERIOD)
        found = self.network.compiled.reach.of(np.zeros_like(lengths), lengths)
        # The length after the last one without a gradient.
        least = np.where(found, 1, lengths[:, np.newaxis] + 1).max(axis=0)
        parts = list[tuple[int, int, int]]()
        for number, layout in sorted(self._parameters.layouts.items(), key=lambda item: item[1].at):
            begin, end, steps = layout.at, layout.at + layout.size, int(least[number])
            if parts and parts[-1][2] == steps:
                begin = parts.pop()[0]
            if begin < end:
                parts.append((begin, end, steps))
        return parts


@dataclass(frozen=True)
class Programs:
    """The programs of a network."""

    reading: StepProgram | SequenceProgram
    # None if there is no limit.
    most_steps: int | None
    # None if its weights never change.
    learning: Learning | None


def programs_of(network: TrainedNetwork, options: Options) -> Programs:
    """Return the programs of a network.

    Raises InvalidArgument for training with a loss that is not the library's, and CompileError if the model draws
    random numbers when it trains.
    """
    recurrence, tokens = network.compiled.recurrence, options.tokens
    weights = None if options.training else network.weights
    make = step_program if can_be_carried(recurrence) else sequence_program
    reading: StepProgram | SequenceProgram = make(recurrence, weights, tokens=tokens)
    most_steps = network.most_steps or reading.program.most_steps
    if not options.training:
        return Programs(reading, most_steps, None)
    name, loss = _loss_of(network)
    program = learning_program(recurrence, loss, tokens=tokens)
    return Programs(reading, most_steps, Learning(network, program, name, None if loss is None else loss.width))


def _loss_of(network: TrainedNetwork) -> tuple[str, LossGraph | None]:
    """Return the name of the loss of a network, and its graph; none for cross-entropy, which every program contains."""
    columns = None if network.targets == CLASS else network.dim_output
    kind = TargetKind(network.targets, network.per_step, columns)
    loss = loss_for(None if network.run is None else network.run.experiment.training.loss, kind)
    if loss == CROSS_ENTROPY:
        return CROSS_ENTROPY, None
    if loss not in SHIPPED:
        raise InvalidArgument(f"an exported network learns by one of {', '.join(SHIPPED)}, not by {name_of(loss)}")
    # Any targets show what the loss computes.
    rows = np.random.default_rng(0).normal(size=(8, network.dim_output)).astype(np.float32)
    examples = (rows > 0).astype(np.float32) if network.targets == SEVERAL else rows
    return name_of(loss), trace_loss(loss, kind, network.dim_output, examples)
