"""What a model consists of: its parameters, their dtypes and shapes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from mygrad import Tensor

from myrnn.exercises._subject import SIZES, Subject, path_to


def made(subject: Subject) -> str:
    """Make a model; what goes wrong is an exception."""
    subject.make()
    return ""


def parameters(subject: Subject) -> str:
    """Look for parameters that are no tuple of tensors to train."""
    model = subject.make()
    if not hasattr(model, "parameters"):
        return "The model has no attribute parameters."
    given = model.parameters
    if callable(given) and not isinstance(given, Tensor):
        return "parameters is a method: put @property above it, so that model.parameters is the tuple."
    # A list is not what was asked for, but every optimizer takes it.
    if not isinstance(given, tuple | list):
        return f"parameters is of type {type(given).__name__}" + (
            ", not yet joined into a tuple." if isinstance(given, Iterable) else "."
        )
    if not given:
        return "parameters is empty."
    for index, parameter in enumerate(given):
        if not isinstance(parameter, Tensor):
            hint = ": a layer without a bias has none" if parameter is None else ""
            hint = ": join the layers' tuples with +" if isinstance(parameter, tuple) else hint
            return f"parameters[{index}] is of type {type(parameter).__name__} and no tensor{hint}."
        if parameter.constant:
            return f"parameters[{index}], {path_to(parameter, model)}, is constant, so it gets no gradient."
        if any(parameter is other for other in given[:index]):
            return f"{path_to(parameter, model)} is in parameters twice: the optimizer would move it twice."
    return ""


def parameter_dtypes(subject: Subject) -> str:
    """Look for a parameter of another dtype."""
    model = subject.make()
    for parameter in model.parameters:
        if parameter.dtype != np.float32:
            return f"{path_to(parameter, model)} is {parameter.dtype}."
    return ""


def weights(subject: Subject) -> str:
    """Look for a matrix product of the equations that no parameter is there for."""
    inputs, hidden, classes = SIZES
    shapes = [parameter.shape for parameter in subject.make().parameters]
    # Gates may be joined side by side, and input and hidden state one after the other.
    wanted = (
        ("W_xh, shape (C, D)", {inputs, inputs + hidden}, hidden, inputs),
        ("W_hh, shape (D, D)", {hidden, inputs + hidden}, hidden, hidden),
        ("W_hy, shape (D, K)", {hidden}, classes, hidden),
    )
    for name, rows, columns, first in wanted:
        if not any(_maps(shape, rows, columns) or _maps(shape[::-1], rows, columns) for shape in shapes):
            return f"No parameter is {name} = ({first}, {columns}). There are {', '.join(map(str, shapes))}."
    return ""


def _maps(shape: tuple[int, ...], rows: set[int], columns: int) -> bool:
    return len(shape) == 2 and shape[0] in rows and shape[1] % columns == 0 and (columns > 2 or shape[1] == columns)


def own_parameters(subject: Subject) -> str:
    """Look for tensors that two models share."""
    one, other = subject.make(), subject.make()
    for parameter in one.parameters:
        if any(parameter is theirs for theirs in other.parameters):
            return f"Two models share {path_to(parameter, one)}: make the layers in __init__, as attributes of self."
    return ""
