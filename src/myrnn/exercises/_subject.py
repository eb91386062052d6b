"""The model under examination: made in chosen sizes, with chosen weights, called on chosen sequences."""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.sequences import one_hot

# C, D and K of the lesson. No two are equal, so that a shape tells what a parameter is for.
SIZES = (10, 50, 2)
NAMES = ("dim_input", "dim_recurrent", "dim_output")


class Subject:
    """A model class; its models are made when a check asks for one."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def make(self, sizes: tuple[int, int, int] = SIZES) -> Any:
        """Return a new model."""
        return self.cls(**dict(zip(NAMES, sizes, strict=True)))

    def filled(self) -> Any:
        """Return a new model with weights of Glorot's size, and biases that are not zero: the same at every call."""
        rng = np.random.default_rng(0)
        model = self.make()
        for parameter in model.parameters:
            shape = parameter.shape
            deviation = np.sqrt(2 / sum(shape)) if min(shape, default=0) > 1 else 0.1
            parameter.data[...] = rng.normal(0.0, deviation, shape)
        return model


def encoded(*digits: int) -> NDArray[np.float32]:
    """Return the digits as the model takes them, float32 (T, 10)."""
    return one_hot(np.array(digits), SIZES[0])


def scores_of(model: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the scores of one sequence, without a graph; the model gets a copy of the sequence."""
    with mg.no_autodiff:
        return np.array(model(x.copy()))


def path_to(tensor: Tensor, model: Any) -> str:
    """Return the attribute that holds a tensor, such as ``fc_x2h.weight``, or its shape where there is none."""
    for name, value in vars(model).items() if hasattr(model, "__dict__") else ():
        if value is tensor:
            return name
        for part, inner in getattr(value, "__dict__", {}).items():
            if inner is tensor:
                return f"{name}.{part}"
    return f"a tensor of shape {tensor.shape}"
