"""What a model or a loss computes, as a value to compare: as long as it stays equal, the function has not changed.

Results alone do not show this: a bound, a threshold or the size of a stack may have changed without an effect on the
few steps of a test. So the operations count, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import EllipsisType, NoneType
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.compiler.probe import answer
from myrnn.compiler.reads import COMPARED, raw

Work = tuple[Any, ...]

# What all computations with tensors go through: MyGrad's operations, comparisons and NumPy's functions.
_WAYS = ("_op", "__array_ufunc__", *COMPARED)
_PLAIN = (bool, int, float, complex, str, slice, type, np.ufunc, NoneType, EllipsisType)


def work_of(model: Callable[[Any], Any], x: NDArray[np.float32]) -> Work | None:
    """Return the logits of a sequence and the operations behind them; None if the logits prove nothing.

    Logits prove nothing if one of them is not finite, or 0 like those of a readout of zeros. The operations are given
    by name, with the shapes of their tensors and the numbers of all else that they take. The caller holds the lock of
    MyGrad.
    """
    # A tensor shows what is computed from the sequence; an array does not.
    with operations_noted() as operations:
        logits = answer(lambda array: model(mygrad.tensor(array)), x)
    return (logits.tobytes(), *operations) if np.isfinite(logits).all() and logits.all() else None


@contextmanager
def operations_noted() -> Iterator[list[Any]]:
    """Give a list of the operations on tensors that this thread does, with their operands, as `work_of` describes."""
    here, found = threading.get_ident(), list[Any]()

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def noted(*given: Any, **named: Any) -> Any:
            if threading.get_ident() == here:
                found.append((function, *map(_value, given)))
                # The target of a result is not an operand.
                found.extend((name, _value(value)) for name, value in named.items() if name != "out")
            return function(*given, **named)

        return noted

    before = {name: vars(Tensor)[name] for name in _WAYS}
    for name, way in before.items():
        is_of_class = isinstance(way, classmethod)
        setattr(Tensor, name, classmethod(noting(way.__func__)) if is_of_class else noting(way))
    try:
        yield found
    finally:
        for name, way in before.items():
            setattr(Tensor, name, way)


def _value(value: Any) -> Any:
    """Return what can be compared of an operand."""
    if isinstance(value, Tensor):
        data = raw(value)
        return data.dtype, data.shape
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, tuple | list):
        return tuple(map(_value, value))
    if isinstance(value, dict):
        return tuple((name, _value(each)) for name, each in value.items())
    # As operands, 1 and 1.0 are not the same.
    return (type(value), value) if isinstance(value, _PLAIN) else repr(value)
