"""The parameters of a model and their names, and checks of what it reads and returns.

A model is of any class: ``model(x)``, with `x` of shape (T, C), returns the logits (1, K), or outputs (T, K) if each
step has a target, and ``model.parameters`` is a tuple of MyGrad tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import failure, user_frame
from myrnn.errors import InvalidArgument


def parameters_of(model: Any) -> tuple[Tensor, ...]:
    """Return the model's parameters; raises InvalidArgument when they are not a tuple of trainable tensors."""
    if isinstance(model, type):
        raise InvalidArgument(f"model must be a model, not the class {model.__name__}: call it, {model.__name__}(...)")
    _checks.of_mygrad("model", model)
    name = f"{type(model).__name__}.parameters"
    has_parameters = True
    try:
        given = model.parameters
    except Exception as error:
        # The property may exist and raise an AttributeError itself.
        if user_frame(error) is not None:
            raise InvalidArgument(f"{name} fails: {failure(error)}") from error
        has_parameters = False
    if not has_parameters or not callable(model):
        raise InvalidArgument(
            f"model must have `parameters` and be callable on one sequence, which {type(model).__name__} is not"
        )
    parameters = _checks.tensors(name, given)
    for index, parameter in enumerate(parameters):
        if parameter.constant:
            raise InvalidArgument(f"{name}[{index}] must be a trainable tensor, not a constant one")
        owner = parameter.data
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        if not isinstance(owner, np.ndarray):
            # Unpickled arrays may be views into a message from another process, or into a file, which MyGrad cannot
            # lock.
            parameter.data = np.array(parameter.data)
    return parameters


def num_classes(shape: tuple[int, ...]) -> int:
    """Return K from the shape of a model's logits, which must be (1, K) with at least two classes."""
    if len(shape) != 2 or shape[0] != 1:
        each = ": of scores for each step, return the last row, [-1:]" if len(shape) == 2 and shape[0] > 1 else ""
        raise InvalidArgument(f"the model must return logits of shape (1, K), but returned shape {shape}{each}")
    if shape[1] < 2:
        raise InvalidArgument(
            f"the model must return logits of shape (1, K) for K = 2 classes or more, but returned shape {shape}: "
            "with one class the loss is always 0 and nothing is learned"
        )
    return int(shape[1])


def check_sequence(x: Tensor | NDArray[Any], dim_input: int) -> None:
    """Refuse anything but one sequence of finite numbers, shape (T, dim_input)."""
    values = x.data if isinstance(x, Tensor) else x
    # Every row of a matrix is a matrix again, so it cannot be iterated step by step.
    if not isinstance(values, np.ndarray) or isinstance(values, np.matrix):
        raise InvalidArgument(f"x must be an array or a tensor of shape (T, {dim_input}), not {type(x).__name__}")
    if values.ndim != 2 or values.shape[1] != dim_input or values.dtype.kind not in "bfiu":
        raise InvalidArgument(
            f"x must be one sequence of numbers of shape (T, {dim_input}), not {values.dtype} of shape {values.shape}"
        )
    _checks.finite("x", values)


class Wrapper:
    """A model that only asks another one, `model`, whose parameters and names it has."""

    model: Any


def network_of(model: Any) -> Any:
    """Return the model that a `Wrapper` asks, and any other one as it is."""
    return model.model if isinstance(model, Wrapper) else model


def parameter_names(model: Any) -> tuple[str, ...]:
    """Return a name for each of the model's parameters, such as ``fc_x2h.weight``: the attributes that lead to it."""
    # A parameter that is only reachable by `parameters` is called ``parameter_i`` with its index.
    names: dict[int, str] = {}
    for name, tensor in _named_tensors(network_of(model), "", depth=5):
        names.setdefault(id(tensor), name)
    return tuple(names.get(id(p), f"parameter_{i}") for i, p in enumerate(parameters_of(model)))


def num_parameters(model: Any) -> int:
    """Return the number of trainable numbers; a tensor that is listed twice counts once."""
    return sum(parameter.size for parameter in {id(p): p for p in parameters_of(model)}.values())


def _named_tensors(owner: Any, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(owner, dict):
        items = [(f"{prefix}[{key!r}]", value) for key, value in owner.items()]
    elif isinstance(owner, list | tuple):
        items = [(f"{prefix}[{index}]", value) for index, value in enumerate(owner)]
    else:
        attributes = getattr(owner, "__dict__", {}).items()
        items = [(f"{prefix}.{key}".lstrip("."), value) for key, value in attributes if key != "parameters"]
    for name, value in items:
        if isinstance(value, Tensor):
            yield name, value
        elif depth > 1:
            yield from _named_tensors(value, name, depth - 1)
