"""What a model or a loss computes, as a value to compare: if it has changed, the function has changed.

Results alone do not show this: a bound, a threshold or the size of a stack may have changed without an effect on the
few steps of a test. So the operations count, too, with all that they take. What Python and NumPy compute from the
numbers of tensors is not seen; there the function looks at numbers.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import EllipsisType, NoneType
from typing import Any

import numpy as np
from mygrad import Tensor
from mygrad.operation_base import _NoValue
from numpy.typing import NDArray

from myrnn.compiler.patches import replaced
from myrnn.compiler.reads import COMPARED, Array, raw
from myrnn.compiler.reference import answer

Work = tuple[Any, ...]

# What computations with tensors go through: MyGrad's operations, NumPy's functions and comparisons.
_WAYS = ("_op", "__array_ufunc__", *COMPARED)
# The last two stand for an option that was not given.
_PLAIN = (bool, str, slice, type, np.dtype, np.ufunc, NoneType, EllipsisType, type(_NoValue), type(np._NoValue))
# The attribute of a tensor that says how it was made.
_NOTE = "_made_for_myrnn"
# The functions that make a view again; the operations that they stand for are noted themselves.
_VIEWS = "view_fn_sequence"
# Arrays with more bytes than this are replaced by a hash.
_FEW_BYTES = 64


def work_of(model: Callable[[Any], Any], x: NDArray[np.float32], parameters: Sequence[Tensor]) -> Work | None:
    """Return the logits of a sequence with the operations behind them; the caller holds the lock of MyGrad."""
    # None if the logits prove nothing, because one of them is not finite, or 0 like those of a readout of zeros.
    # A tensor shows what is computed from the sequence. NumPy's functions take it as they take an array.
    with operations_noted(parameters) as operations:
        logits = answer(lambda array: model(Array(array, constant=True)), x)
    return (logits.tobytes(), *operations) if np.isfinite(logits).all() and logits.all() else None


@contextmanager
def operations_noted(parameters: Sequence[Tensor] = ()) -> Iterator[list[Any]]:
    """Give a list of the operations on tensors that this thread does."""
    # Each is a class or function, and its operands: a parameter and the result of another operation as their numbers in
    # the order, other tensors and arrays as their bytes.
    # Noted in the tensors themselves: if one is written into, MyGrad computes all of its views again that still exist.
    here, found, mark = threading.get_ident(), list[Any](), object()
    for i, parameter in enumerate(parameters):
        vars(parameter)[_NOTE] = mark, ("parameter", i)

    def of_tensor(tensor: Tensor) -> Any:
        whose, what = vars(tensor).get(_NOTE, (None, None))
        return what if whose is mark else _of_array(raw(tensor))

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def noted(*given: Any, **named: Any) -> Any:
            if threading.get_ident() != here:
                return function(*given, **named)
            # The target of a result is not an operand.
            options = ((key, _value(value, of_tensor)) for key, value in named.items() if key != "out")
            found.append((name, *(_value(value, of_tensor) for value in given), *options))
            place, result = len(found), function(*given, **named)
            if isinstance(result, Tensor):
                vars(result)[_NOTE] = mark, ("result", place)
                if {type(value) for value in given if isinstance(value, Tensor)} == {Array}:
                    result.__class__, result._constant = Array, True
            return result

        return noted

    def noted_way(name: str) -> Any:
        way = vars(Tensor)[name]
        return classmethod(noting(name, way.__func__)) if isinstance(way, classmethod) else noting(name, way)

    try:
        with replaced((Tensor, name, noted_way(name)) for name in _WAYS):
            yield found
    finally:
        for parameter in parameters:
            del vars(parameter)[_NOTE]


def _value(value: Any, of_tensor: Callable[[Tensor], Any]) -> Any:
    """Return what can be compared of an operand."""
    if isinstance(value, Tensor):
        return of_tensor(value)
    if isinstance(value, tuple | list):
        return tuple(_value(each, of_tensor) for each in value)
    if isinstance(value, dict):
        return tuple((name, _value(each, of_tensor)) for name, each in value.items() if name != _VIEWS)
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, int | float | complex):
        # Other than the number itself, its text is equal if it is not a number (NaN).
        return type(value), repr(value)
    return _of_array(np.asarray(value))


def _of_array(array: NDArray[Any]) -> Any:
    if array.dtype == object:
        # Equal to nothing: what it holds cannot be compared.
        return object()
    data = array.tobytes()
    return array.dtype, array.shape, data if len(data) <= _FEW_BYTES else hashlib.blake2b(data).digest()
