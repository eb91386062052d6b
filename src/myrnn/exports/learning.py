"""How an exported network goes on learning: its loss, and its weights in one array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myrnn.compiler.leaves import Floats
from myrnn.compiler.loss import LossGraph, trace_loss
from myrnn.compiler.plan import Parameters
from myrnn.compiler.reach import PERIOD
from myrnn.errors import InvalidArgument
from myrnn.exports.network import TrainedNetwork
from myrnn.losses import CROSS_ENTROPY, SHIPPED, loss_for, name_of
from myrnn.targets import CLASS, SEVERAL, TargetKind


@dataclass(frozen=True)
class Learning:
    """What an exported network learns by."""

    name: str
    # None for softmax cross-entropy, which every program contains.
    loss: LossGraph | None

    def argument(self, *, per_step: bool) -> str:
        """Return the target as an argument of a function in C."""
        if self.loss is not None:
            return "const float *targets"
        return "const int *labels" if per_step else "int label"


def learning_of(network: TrainedNetwork) -> Learning:
    """Return the loss of a network, that of its run; raises InvalidArgument for a loss that is not the library's."""
    columns = None if network.targets == CLASS else network.dim_output
    kind = TargetKind(network.targets, network.per_step, columns)
    loss = loss_for(None if network.run is None else network.run.experiment.training.loss, kind)
    if loss == CROSS_ENTROPY:
        return Learning(CROSS_ENTROPY, None)
    if loss not in SHIPPED:
        raise InvalidArgument(f"an exported network learns by one of {', '.join(SHIPPED)}, not by {name_of(loss)}")
    # Any targets show what the loss computes.
    rows = np.random.default_rng(0).normal(size=(8, network.dim_output)).astype(np.float32)
    examples = (rows > 0).astype(np.float32) if network.targets == SEVERAL else rows
    return Learning(name_of(loss), trace_loss(loss, kind, network.dim_output, examples))


def reached_parts(network: TrainedNetwork, parameters: Parameters) -> list[tuple[int, int, int]]:
    """Return the parts of the weights: begin, end, and from how many steps of a sequence on they have a gradient.

    MyGrad's optimizers leave weights without a gradient unchanged, whatever their moments are.
    """
    lengths = np.arange(1, PERIOD)
    found = network.compiled.reach.of(np.zeros_like(lengths), lengths)
    # The length after the last one without a gradient.
    least = np.where(found, 1, lengths[:, np.newaxis] + 1).max(axis=0)
    parts = list[tuple[int, int, int]]()
    for number, layout in sorted(parameters.layouts.items(), key=lambda item: item[1].at):
        begin, end, steps = layout.at, layout.at + layout.size, int(least[number])
        if parts and parts[-1][2] == steps:
            begin = parts.pop()[0]
        if begin < end:
            parts.append((begin, end, steps))
    return parts


def weight_numbers(network: TrainedNetwork, parameters: Parameters) -> Floats:
    """Return all weights in one array, in the layout of a program."""
    numbers = np.zeros(parameters.size, dtype=np.float32)
    for number, layout in parameters.layouts.items():
        numbers[layout.at : layout.at + layout.size] = network.weights[number].reshape(-1)
    return numbers
