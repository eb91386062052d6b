"""Values that a model reads out of tensors: traced NumPy arrays, comparisons and choices.

While a model is traced, ``x.data``, ``np.asarray(x)`` and ``x > 0`` in the user's code are not arrays but tensors of
the class `TracedArray`, which behave like arrays. So computations with them are in MyGrad's graph, and a choice by them
is an operation. As in MyGrad, they pass no gradients. If code asks for their numbers, for example in an ``if``, the
recorder notes that it inspects numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from mygrad._utils import graph_tracking
from mygrad.operation_base import Operation
from numpy.typing import NDArray

from myrnn._user_code import is_users_file

COMPARED = {
    "__gt__": np.greater,
    "__ge__": np.greater_equal,
    "__lt__": np.less,
    "__le__": np.less_equal,
    "__eq__": np.equal,
    "__ne__": np.not_equal,
}
# For truth values only.
LOGICAL = {
    np.logical_not: np.logical_not,
    np.logical_and: np.logical_and,
    np.logical_or: np.logical_or,
    np.logical_xor: np.logical_xor,
    np.invert: np.logical_not,
    np.bitwise_and: np.logical_and,
    np.bitwise_or: np.logical_or,
    np.bitwise_xor: np.logical_xor,
}
# For arrays; MyGrad refuses them for tensors with a gradient.
ROUNDED = frozenset({np.sign, np.floor, np.ceil, np.trunc, np.rint})


def raw(tensor: Tensor) -> NDArray[Any]:
    """Return the numbers of a tensor, without recording that they were read."""
    data: NDArray[Any] = vars(tensor)["data"]
    return data


class WithoutGradient(Operation):  # type: ignore[misc]
    """An operation whose result is a constant."""

    def backward_var(self, grad: NDArray[Any], index: int, **_: Any) -> NDArray[Any]:
        """Never called: MyGrad does not differentiate constants."""
        raise AssertionError("the result is a constant")


class Reading(WithoutGradient):
    """The numbers of a tensor, of some dtype, without a gradient."""

    def __call__(self, a: Tensor, *, dtype: Any) -> NDArray[Any]:
        """Return the numbers."""
        self.variables, self.dtype = (a,), np.dtype(dtype)
        return raw(a).astype(dtype, copy=False)


class PiecewiseConstant(WithoutGradient):
    """A function that is constant almost everywhere: comparison, logic, sign, rounding."""

    def __call__(self, *operands: Tensor, function: np.ufunc) -> NDArray[Any]:
        """Return the result of the function."""
        self.variables, self.function = operands, function
        result: NDArray[Any] = np.asarray(function(*map(raw, operands)))
        return result


# The attribute of an array that shares its memory with a tensor.
_SHARES = "_shares_memory"


class TracedArray(Tensor):  # type: ignore[misc]
    """The numbers of a tensor used as an array by the user's code; operations on arrays give arrays."""

    def __getattr__(self, name: str) -> Any:
        """Return attributes that arrays have but tensors lack."""
        if name.startswith("__"):
            raise AttributeError(name)
        # A method that changes the array, such as sort, is not the function.
        if name != "sort" and (function := _FUNCTIONS.get(getattr(np, name, None))) is not None:
            return partial(function, self)
        return getattr(self.data, name)

    def __bool__(self) -> bool:
        """Return whether a single number is not zero."""
        return bool(self.data)

    def __format__(self, spec: str) -> str:
        """Return the number as text."""
        return format(self.data.item() if self.ndim == 0 else self.data, spec)

    def __invert__(self) -> Any:
        """Return the opposite truth values."""
        return np.logical_not(self)

    def __and__(self, other: Any) -> Any:
        """Return where both are true."""
        return np.logical_and(self, other)

    def __or__(self, other: Any) -> Any:
        """Return where at least one is true."""
        return np.logical_or(self, other)

    def __xor__(self, other: Any) -> Any:
        """Return where exactly one is true."""
        return np.logical_xor(self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Return whether any is true, along an axis."""
        assert out is None, "arrays of the input cannot be written into"
        return np.greater(mygrad.max(_truth(self), axis=axis, keepdims=keepdims), 0)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Return whether all are true, along an axis."""
        assert out is None, "arrays of the input cannot be written into"
        return np.greater(mygrad.min(_truth(self), axis=axis, keepdims=keepdims), 0)

    def dot(self, other: Any) -> Any:
        """Return the matrix product."""
        return _dot(self, other)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Apply a function of NumPy's."""
        if func in _FUNCTIONS:
            return _FUNCTIONS[func](*args, **kwargs)
        result = super().__array_function__(func, types, args, kwargs)
        if result is NotImplemented:
            return func(*map(_looked_at, args), **{name: _looked_at(value) for name, value in kwargs.items()})
        return result


def _looked_at(value: Any) -> Any:
    """Return the numbers of tensors, also inside a list."""
    if isinstance(value, Tensor):
        return value.data
    return type(value)(map(_looked_at, value)) if type(value) in (list, tuple) else value


def _padded(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """Pad an array with a constant, as `numpy.pad` does."""
    value = options.pop("constant_values", 0)
    if mode != "constant" or options or np.ndim(value):
        return np.pad(_looked_at(array), pad_width, mode, **options)
    for axis, ends in enumerate(np.broadcast_to(pad_width, (array.ndim, 2))):
        shapes = ((*array.shape[:axis], int(n), *array.shape[axis + 1 :]) for n in ends)
        before, after = (np.full(shape, value, array.dtype) for shape in shapes)
        array = mygrad.concatenate([before, array, after], axis=axis)
    return array


def _stacked_rows(parts: Any) -> Any:
    return mygrad.concatenate([mygrad.atleast_2d(part) for part in parts])


def _side_by_side(parts: Any) -> Any:
    parts = [mygrad.atleast_1d(part) for part in parts]
    return mygrad.concatenate(parts, axis=min(1, parts[0].ndim - 1))


def _columns(parts: Any) -> Any:
    return _side_by_side([part if np.shape(part)[1:] else part[:, None] for part in parts])


def _flipped(array: Any, axis: Any = None) -> Any:
    axes = range(array.ndim) if axis is None else np.atleast_1d(axis) % array.ndim
    return array[tuple(slice(None, None, -1 if a in axes else 1) for a in range(array.ndim))]


def _differences(array: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Subtract neighbours, as `numpy.diff` does."""
    axis %= array.ndim
    row = (*array.shape[:axis], 1, *array.shape[axis + 1 :])
    parts = [
        mygrad.broadcast_to(end, row) if np.shape(end) == () else end for end in (prepend, append) if end is not None
    ]
    parts = [array, *parts] if prepend is None else [parts[0], array, *parts[1:]]
    array = mygrad.concatenate(parts, axis=axis) if len(parts) > 1 else array
    for _ in range(n):
        before = tuple(slice(None, -1) if a == axis else slice(None) for a in range(array.ndim))
        after = tuple(slice(1, None) if a == axis else slice(None) for a in range(array.ndim))
        array = array[after] - array[before]
    return array


def windows_by(view: Any) -> Any:
    """Return the function that makes windows of an array, as `view` does for NumPy's arrays."""

    @wraps(view)
    def windows(array: Any, *given: Any, **named: Any) -> Any:
        if type(array) is not TracedArray:
            return view(array, *given, **named)
        places = view(np.arange(array.size).reshape(array.shape), *given, **named)
        return array[np.unravel_index(places, array.shape)]

    return windows


def _dot(a: Any, b: Any) -> Any:
    return mygrad.matmul(a, b) if 1 <= len(np.shape(a)) and 1 <= len(np.shape(b)) <= 2 else np.dot(_looked_at(a), b)


def _sorted(array: Any, axis: int | None = -1, **options: Any) -> Any:
    """Sort as `numpy.sort` does, by exchanges of pairs: Batcher's merge exchange (Knuth, volume 3, 5.2.2M)."""
    array = array.reshape(-1) if axis is None else mygrad.moveaxis(array, axis, -1)
    if options.keys() - {"kind", "stable"} or array.shape[-1] > MOST_SORTED:
        return np.sort(_looked_at(array), **options)
    for low, high in _exchanges(array.shape[-1]):
        a, b = array[..., low], array[..., high]
        rest = np.setdiff1d(np.arange(array.shape[-1]), [*low, *high])
        places = np.argsort([*low, *high, *rest])
        array = mygrad.concatenate([mygrad.minimum(a, b), mygrad.maximum(a, b), array[..., rest]], axis=-1)[..., places]
    return array if axis is None else mygrad.moveaxis(array, -1, axis)


def _exchanges(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the places of pairs that are put in order, all of one round at once."""
    top = 1 << max(0, (count - 1).bit_length() - 1)
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            low = [i for i in range(count - d) if i & p == r]
            if low:
                yield low, [i + d for i in low]
            if q == p:
                break
            q, r, d = q // 2, p, q - p
        p //= 2


def _tiled(array: Any, repetitions: Any) -> Any:
    repetitions = np.atleast_1d(repetitions)
    array = array.reshape((1,) * (len(repetitions) - array.ndim) + array.shape)
    repetitions = (1,) * (array.ndim - len(repetitions)) + tuple(map(int, repetitions))
    for axis, times in enumerate(repetitions):
        if times != 1:
            array = mygrad.concatenate([array] * times or [array[(slice(None),) * axis + (slice(0),)]], axis=axis)
    return array


def _not_nan(array: Any, copy: bool = True, nan: float = 0.0, **options: Any) -> Any:
    if options:
        return np.nan_to_num(_looked_at(array), nan=nan, **options)
    largest = np.finfo(array.dtype).max
    return mygrad.clip(mygrad.where(np.isnan(array), array.dtype.type(nan), array), -largest, largest)


def _rounded(array: Any, decimals: int = 0, out: Any = None) -> Any:
    if out is not None:
        return np.round(_looked_at(array), decimals, out)
    scale = array.dtype.type(10**decimals)
    return np.rint(array * scale) / scale if decimals else np.rint(array)


def _truth(array: Any) -> Any:
    # The maximum over masked steps is not that of an empty array.
    return array_of(array, bool) * np.float32(1)


# More numbers are not sorted by exchanges: there are too many.
MOST_SORTED = 64
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.pad: _padded,
    np.vstack: _stacked_rows,
    np.hstack: _side_by_side,
    np.column_stack: _columns,
    np.flip: _flipped,
    np.flipud: lambda array: _flipped(array, 0),
    np.fliplr: lambda array: _flipped(array, 1),
    np.sort: _sorted,
    np.tile: _tiled,
    np.nan_to_num: _not_nan,
    np.diff: _differences,
    np.lib.stride_tricks.sliding_window_view: windows_by(np.lib.stride_tricks.sliding_window_view),
    np.dot: _dot,
    np.outer: lambda a, b: mygrad.reshape(a, (-1, 1)) * mygrad.reshape(b, (1, -1)),
    np.round: _rounded,
    np.around: _rounded,
    np.any: lambda array, *given, **named: array.any(*given, **named),
    np.all: lambda array, *given, **named: array.all(*given, **named),
}


def array_of(tensor: Tensor, dtype: Any = None) -> Any:
    """Return the numbers of a tensor as a traced array."""
    return TracedArray._op(Reading, tensor, op_kwargs={"dtype": dtype or raw(tensor).dtype}, constant=True)


def view_of(tensor: Tensor) -> Any:
    """Return the same, as an array that shares its memory with the tensor."""
    array = array_of(tensor)
    vars(array)[_SHARES] = True
    return array


def check_own_memory(array: Tensor) -> None:
    """Raise ValueError for an array that shares its memory with a tensor: writing into it would change the tensor."""
    if any(_SHARES in vars(one) for one in (array, array.base) if one is not None):
        raise ValueError("an array that shares its memory with a tensor is written into")


def is_read_by_user() -> bool:
    """Whether the user's own code called the caller, and a graph is made."""
    return bool(graph_tracking.TRACK_GRAPH) and is_users_file(sys._getframe(2).f_code.co_filename)


def keep_arrays(tensor: Tensor, operation: Any) -> None:
    """Make the result of an operation an array if all operands are arrays or constants."""
    operands = operation.variables
    if type(tensor) is TracedArray or any(type(v) is TracedArray for v in operands):
        alone = all(type(v) is TracedArray or (v.creator is None and v.constant) for v in operands)
        tensor.__class__ = TracedArray if alone or isinstance(operation, WithoutGradient) else Tensor


def numbers_of(value: Any) -> Any:
    """Return the numbers of a tensor, or anything else itself."""
    return raw(value) if isinstance(value, Tensor) else value


def is_number(value: Any) -> bool:
    """Whether a value is a number, an array or a tensor."""
    return isinstance(value, Tensor | np.ndarray | bool | int | float | np.number | np.bool_)


def piecewise_constant(function: np.ufunc, *operands: Any) -> Any:
    """Compare tensors and numbers; Python numbers take the dtype of the other operand."""
    dtype = np.result_type(*map(numbers_of, operands))
    return TracedArray._op(
        PiecewiseConstant,
        *(
            o if isinstance(o, Tensor) else np.asarray(o, dtype if isinstance(o, int | float) else None)
            for o in operands
        ),
        op_kwargs={"function": function},
        constant=True,
    )
