"""A penalty that a training adds to its loss: a function of the parameters alone, traced like a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mygrad import Tensor

from myrnn.compiler.graph import Builder, Node, evaluate, leaves_of
from myrnn.compiler.leaves import Parameter
from myrnn.compiler.loss import text_of, tried
from myrnn.compiler.trace import MYGRAD, Recorder, read_graph, tensors_below
from myrnn.compiler.values import plain
from myrnn.errors import CompileError
from myrnn.losses import Penalty, checked_penalty, name_of


@dataclass(frozen=True)
class PenaltyGraph:
    """A penalty on parameters; penalties with the same computation are equal."""

    text: tuple[Any, ...] = field(repr=False)
    value: Node = field(compare=False)  # it reads parameters
    function: Penalty = field(compare=False)  # the penalty that was traced

    @property
    def parameters(self) -> set[int]:
        """The numbers of the parameters that it reads."""
        return {parameter.number for parameter in leaves_of(Parameter, [self.value])}

    def has_changed(self, model: Any, parameters: Sequence[Tensor]) -> bool:
        """Whether the function now computes something different than when it was traced."""
        try:
            return trace_penalty(self.function, model, parameters) != self
        except CompileError:
            return True


def trace_penalty(penalty: Penalty, model: Any, parameters: Sequence[Tensor]) -> PenaltyGraph:
    """Trace a penalty; raises CompileError when its computation cannot be determined, or has no rule."""
    try:
        one, other = (_traced(penalty, model, parameters) for _ in range(2))
        if one.text != other.text:
            raise CompileError("two calls of it compute different things")
    except CompileError as error:
        raise CompileError(f"the penalty {name_of(penalty)!r} has no native form: {error}") from None
    return one


def _traced(penalty: Penalty, model: Any, parameters: Sequence[Tensor]) -> PenaltyGraph:
    # Computations on constants stay as written, as in a loss.
    build, recorder = Builder(fold=False), Recorder()
    leaves = [build.leaf(Parameter(i), p.size) for i, p in enumerate(parameters)]
    values = {id(p): plain(leaf, p.shape) for p, leaf in zip(parameters, leaves, strict=True)}
    with MYGRAD, np.errstate(all="ignore"):
        found = tried(lambda: recorder.run(lambda given: checked_penalty(penalty, given), model))
        if recorder.looks:
            raise CompileError(
                f"it inspects numbers of the parameters, and may behave differently for others:\n  {recorder.looks[0]}"
            )
        tensors = tensors_below(found)
        if not any(tensor is p for tensor in tensors for p in parameters):
            raise CompileError("it reads no parameter of the model")
        read_graph(tensors, values, build, recorder)
        value: Node = values[id(found)].node
        known = {leaf: p.data.reshape(-1).astype(np.float64) for leaf, p in zip(leaves, parameters, strict=True)}
        (number,) = evaluate([value], known, np.float64)[0]
        if not np.allclose(number, found.item(), rtol=1e-3, atol=1e-6, equal_nan=True):
            raise CompileError("it computes with numbers that MyGrad's graph of it does not show")
    return PenaltyGraph(text_of(value), value, penalty)
