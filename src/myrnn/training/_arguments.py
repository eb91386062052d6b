"""Checks of what a training is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.compiler import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.models import parameters_of
from myrnn.sequences import LARGEST_INT32, Sequences


def check_optimizer(optimizer: Any, model: Any) -> None:
    parameters = {id(parameter) for parameter in parameters_of(model)}
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise InvalidArgument(f"optimizer must be an optimizer such as Adam(model.parameters), not {optimizer!r}")
    check_writeable(parameters_of(model))
    if not any(id(parameter) in parameters for parameter in getattr(optimizer, "params", ())):
        raise InvalidArgument("optimizer holds none of the model's parameters: make it from this model's .parameters")


def check_writeable(parameters: Iterable[Tensor]) -> None:
    """Refuse a model whose graph is alive: a hook, too, may keep what the model computed."""
    # Another thread that traces the model locks its parameters for a while.
    with MYGRAD:
        if not all(parameter.data.flags.writeable for parameter in parameters):
            raise InvalidArgument(
                "a graph of this model is still alive, and MyGrad keeps its parameters from changing: "
                "call loss.backward() first, or delete the tensors that hold it"
            )


def checked_settings(batch_size: int, seed: int, report_every: int, gradient_clip: float | None) -> dict[str, Any]:
    return {
        "batch_size": _checks.integer("batch_size", batch_size, minimum=1, maximum=LARGEST_INT32),
        "seed": _checks.integer("seed", seed, minimum=0),
        "report_every": _checks.integer("report_every", report_every, minimum=1),
        "gradient_clip": None if gradient_clip is None else _checks.real("gradient_clip", gradient_clip, above=0),
    }


def checked_class_weights(given: ArrayLike | None, classes: int) -> NDArray[np.float32] | None:
    if given is None:
        return None
    weights = _checks.array("class_weight", given)
    if weights.shape != (classes,) or weights.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"class_weight must be a number for each of the {classes} classes, not {_checks.shown(given)}"
        )
    _checks.finite("class_weight", weights)
    if weights.min() < 0:
        raise InvalidArgument(f"class_weight must be at least 0, but there is {weights.min()} at [{weights.argmin()}]")
    return weights.astype(np.float32)


def check_sequences(data: Sequences, classes: int, dim_input: int) -> None:
    """Refuse sequences of a class that the model does not have, or of another width than the first ones."""
    if data.labels.max() >= classes:
        raise InvalidArgument(
            f"a label is {data.labels.max()}, but the model has {classes} classes, 0 .. {classes - 1}"
        )
    if data.dim_input != dim_input:
        raise InvalidArgument(f"sequences with {data.dim_input} inputs turned up, but the first ones have {dim_input}")
