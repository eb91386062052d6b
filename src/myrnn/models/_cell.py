"""What the cells that ship share: how a layer is made and how the input is checked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from mygrad import Tensor
from mygrad.nnet.initializers import glorot_normal
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.models._dense import dense, seeded_glorot_normal

Size = Annotated[int, Meta(ge=1)]
Units = Annotated[int, Meta(ge=1, le=50_000, description="How many recurrent units there are.")]


def layer_maker(rng: np.random.Generator | int | None) -> Callable[..., dense]:
    """Return a function that makes dense layers with Glorot-normal weights.

    Without `rng` the weights come from NumPy's global generator, as MyGrad's own initializers draw them.
    """
    initializer = glorot_normal if rng is None else seeded_glorot_normal(rng)
    return partial(dense, weight_initializer=initializer)


def identity(rows: int, columns: int, factor: float = 1) -> Tensor:
    """Return the weights that hand the state on as it is, times a factor, float32 (rows, columns)."""
    return Tensor(np.eye(rows, columns, dtype=np.float32) * np.float32(factor))


def check_sequence(x: Tensor | NDArray[Any], dim_input: int) -> None:
    """Refuse anything but one sequence of finite numbers, shape (T, dim_input)."""
    values = x.data if isinstance(x, Tensor) else x
    # Every row of a matrix is a matrix again, so it cannot be gone through step by step.
    if not isinstance(values, np.ndarray) or isinstance(values, np.matrix):
        raise InvalidArgument(f"x must be an array or a tensor of shape (T, {dim_input}), not {type(x).__name__}")
    if values.ndim != 2 or values.shape[1] != dim_input or values.dtype.kind not in "bfiu":
        raise InvalidArgument(
            f"x must be one sequence of numbers of shape (T, {dim_input}), not {values.dtype} of shape {values.shape}"
        )
    _checks.finite("x", values)


def zero_state(dim_recurrent: int) -> NDArray[np.float32]:
    """Return the state before the first step: zeros, float32 (1, D)."""
    return np.zeros((1, dim_recurrent), dtype=np.float32)
