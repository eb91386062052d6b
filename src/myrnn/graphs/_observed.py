"""What the nodes of a recurrence hold while one sequence runs through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import CompiledModel, Equations, Node, Observation, evaluate, topological

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Observed:
    """The numbers of one sequence; empty where none was given.

    Attributes
    ----------
    steps : int
        T.
    sequence : ndarray, float32 (T, C)
    initial : tuple of ndarray, float32 (D,)
        Each state before the first step.
    step : dict
        Node of an equation of the step -> its values, float32 (T, size).
    readout : dict
        Node of an equation of the readout -> its values, float32 (1, size).
    observation : Observation or None
        The gradients, where the right class was given.
    parameter_gradients : tuple of ndarray
        In the order of the model's parameters.
    label : int
        The right class; only with an observation.
    """

    steps: int
    sequence: Array
    initial: tuple[Array, ...]
    step: dict[Node, Array] = field(default_factory=dict)
    readout: dict[Node, Array] = field(default_factory=dict)
    observation: Observation | None = None
    parameter_gradients: tuple[Array, ...] = ()
    label: int = 0

    @property
    def logits_gradient(self) -> Array:
        """The gradient of the softmax cross-entropy with respect to the logits, float32 (K,)."""
        assert self.observation is not None
        logits = self.observation.logits - self.observation.logits.max()
        probabilities: Array = np.exp(logits) / np.exp(logits).sum()
        probabilities[self.label] -= 1
        return probabilities


def observe(compiled: CompiledModel, equations: Equations, x: Any, y: Any) -> Observed:
    """Run one sequence (T, C) through the recurrence, and its loss back where `y` tells the right class."""
    compiled(x)  # refuses what is no sequence, and a sequence on which the model does something else
    sequence = np.asarray(getattr(x, "data", x), dtype=np.float32)
    parameters = tuple(p.data.reshape(-1) for p in compiled.model.parameters)
    recurrence = compiled.recurrence
    initial = tuple(_run(recurrence.initial, parameters))
    states, by_step = initial, []
    nodes = [equation.node for equation in equations.step]
    for row in sequence[::-1] if recurrence.reverse else sequence:
        *found, states = _step(nodes, recurrence.step, parameters, states, row)
        by_step.append(found)
    columns = [np.stack(column) for column in zip(*by_step, strict=True)]
    after = [equation.node for equation in equations.readout]
    last = _run(after, parameters, states, length=len(sequence))
    observation: Observation | None = None
    gradients: tuple[Array, ...] = ()
    if y is not None:
        observation = compiled.observe(x, y)
        gradients = compiled.loss_and_gradients(x, y)[1]
    return Observed(
        len(sequence),
        sequence,
        initial,
        dict(zip(nodes, columns, strict=True)),
        {node: values[np.newaxis] for node, values in zip(after, last, strict=True)},
        observation,
        gradients,
        0 if y is None else int(np.asarray(getattr(y, "data", y)).reshape(-1)[0]),
    )


def _step(
    nodes: Sequence[Node], after: Sequence[Node], parameters: Sequence[Array], states: Sequence[Array], row: Array
) -> list[Any]:
    values = _run([*nodes, *after], parameters, states, row)
    return [*values[: len(nodes)], tuple(values[len(nodes) :])]


def _run(
    targets: Sequence[Node],
    parameters: Sequence[Array],
    states: Sequence[Array] = (),
    row: Array | None = None,
    length: int = 0,
) -> list[Array]:
    """Compute the targets with NumPy from the values of the leaves below them."""
    known: dict[Node, Any] = {}
    for node in topological(targets):
        if node.operation == "parameter":
            known[node] = parameters[node.attributes[0]]
        elif node.operation == "state":
            known[node] = states[node.attributes[0]]
        elif node.operation == "input":
            known[node] = row
        elif node.operation == "length":
            known[node] = np.full(1, length, dtype=np.float32)
    return evaluate(targets, known)
