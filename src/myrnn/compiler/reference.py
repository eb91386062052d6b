"""The model itself, run in MyGrad without a graph: the reference for everything that is compiled from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._user_code import failure
from myrnn.errors import CompileError
from myrnn.models import Recognizer

# MyGrad has one switch and one set of locks for all threads: whatever runs a model in it, or writes into parameters,
# holds this lock.
MYGRAD = threading.RLock()


def answer(model: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the model's own logits for an array, as computed without a graph."""
    with without_graph(x):
        result = model(x.copy())
    return np.asarray(result.data if isinstance(result, Tensor) else result)


@contextmanager
def without_graph(x: NDArray[np.float32]) -> Iterator[None]:
    """Run a model on `x` without a graph; raises CompileError if it fails."""
    try:
        # The sequences may be artificial, so overflows on them do not matter.
        with mygrad.no_autodiff, np.errstate(all="ignore"):
            yield
    except Exception as error:
        raise CompileError(
            f"the model fails on an array of shape {x.shape}, but not on a tensor: {failure(error)}"
        ) from error


def shifted(parameters: tuple[Tensor, ...], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Return values near those of the parameters."""
    shifts = (rng.normal(size=parameter.shape).astype(np.float32) for parameter in parameters)
    return [p.data * np.float32(1.25) + shift * np.float32(0.1) for p, shift in zip(parameters, shifts, strict=True)]


@contextmanager
def with_values(parameters: tuple[Tensor, ...], values: Sequence[NDArray[np.float32]]) -> Iterator[None]:
    """Give the parameters other values for a while; afterwards they are the same bytes."""
    before = [parameter.data.copy() for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            _write(parameter, value)
        yield
    finally:
        for parameter, value in zip(parameters, before, strict=True):
            _write(parameter, value)


def _write(parameter: Tensor, values: NDArray[np.float32]) -> None:
    """Write into a parameter without changing MyGrad's lock on it, which a graph of the user's may hold."""
    writeable = parameter.data.flags.writeable
    parameter.data.flags.writeable = True
    parameter.data[...] = values
    parameter.data.flags.writeable = writeable


@contextmanager
def gradients_kept(parameters: tuple[Tensor, ...]) -> Iterator[None]:
    """Restore the parameters' gradients, and keep the user's graphs of them able to go back."""
    before = [(parameter._grad, set(parameter._ops)) for parameter in parameters]
    try:
        yield
    finally:
        for parameter, (gradient, readers) in zip(parameters, before, strict=True):
            parameter._grad = gradient
            # A backward pass through one graph makes MyGrad forget all graphs of the tensors in it.
            parameter._ops.update(reader for reader in readers if reader() is not None)


def input_width(model: Any, parameters: tuple[Tensor, ...]) -> int:
    """Return C: that of the model, or the first size of a parameter that it accepts as the width of a sequence."""
    if isinstance(model, Recognizer):
        return input_width(model.model, parameters) - 1
    given = getattr(model, "dim_input", None)
    if isinstance(given, int | np.integer) and given > 0:
        return int(given)
    sizes = [p.shape[0] for p in parameters if p.ndim == 2] + [p.shape[1] for p in parameters if p.ndim == 2]
    error: Exception | None = None
    for size in dict.fromkeys(sizes):
        try:
            with mygrad.no_autodiff, np.errstate(all="ignore"):
                model(np.zeros((3, size), dtype=np.float32))
            return int(size)
        except Exception as failure:
            error = error or failure
    raise CompileError(
        f"the number of inputs of the model cannot be determined ({error}): name it, compile(model, dim_input=...)"
    ) from error


def read_length(model: Any, dim_input: int, lengths: Sequence[int]) -> int:
    """Return the first of some lengths that the model reads, or the first of all if it reads none of them."""
    for length in lengths:
        with suppress(Exception), mygrad.no_autodiff, np.errstate(all="ignore"):
            model(np.zeros((length, dim_input), dtype=np.float32))
            return length
    return lengths[0]


def alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether logits agree up to rounding; those that are not finite prove nothing."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.isfinite(one).all() == np.isfinite(other).all()
    return bool(np.abs(one - other).max() <= 1e-3 * np.abs(other).max() + 1e-5)
