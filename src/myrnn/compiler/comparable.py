"""What operations take, as values that can be compared: if one has changed, the function has changed.

Results alone do not show this: a bound, a threshold or the size of a stack may have changed without an effect on the
few steps of a test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from types import EllipsisType, NoneType
from typing import Any

import numpy as np
from mygrad import Tensor
from mygrad.operation_base import Operation, _NoValue
from numpy.typing import NDArray

from myrnn.compiler.traced_arrays import raw

# The last two stand for an option that was not given.
_PLAIN = (bool, str, slice, type, np.dtype, np.ufunc, NoneType, EllipsisType, type(_NoValue), type(np._NoValue))
# Types of which instances are compared as they are, and the class of MyGrad's operations.
_AS_THEY_ARE = frozenset((*_PLAIN, int, type(Operation)))
# The attribute of a tensor that says how it was made.
_NOTE = "_made_for_myrnn"
# The functions that make a view again; the operations that they stand for are noted themselves.
_VIEWS = "view_fn_sequence"
# Arrays with more bytes than this are replaced by a hash.
_FEW_BYTES = 64


class Operands:
    """The operands of operations on tensors in one list: tensors by how they were made, arrays by their bytes."""

    # How a tensor was made is noted in the tensor itself: it must not be kept alive, because MyGrad computes all views
    # of a tensor that is written into again, if they still exist.

    def __init__(self) -> None:
        self._mark = object()
        self.noted: list[Any] = []

    def mark(self, tensor: Tensor, made: Any) -> None:
        """Note how a tensor was made."""
        tensor.__dict__[_NOTE] = self._mark, made

    def note(self, values: Iterable[Any]) -> None:
        """Add what can be compared of operands."""
        # This runs for all operands of every operation whenever a compiled model is used, so it must be fast.
        noted = self.noted
        for value in values:
            kind = type(value)
            if kind in _AS_THEY_ARE:
                noted.append(kind)
                noted.append(value)
            elif isinstance(value, Tensor):
                known = value.__dict__.get(_NOTE)
                noted.append(known[1] if known is not None and known[0] is self._mark else _of_array(raw(value)))
            elif isinstance(value, tuple | list):
                noted += kind, len(value)
                self.note(value)
            elif isinstance(value, dict):
                value = {key: each for key, each in value.items() if key != _VIEWS} if _VIEWS in value else value
                noted += kind, *value
                self.note(value.values())
            elif isinstance(value, _PLAIN):
                noted += kind, value
            elif isinstance(value, int | float | complex):
                # Other than the number itself, its text is equal if it is not a number (NaN).
                noted += kind, repr(value)
            else:
                noted.append(_of_array(np.asarray(value)))

    def forget(self, tensors: Iterable[Tensor]) -> None:
        """Remove the notes of how tensors were made."""
        for tensor in tensors:
            vars(tensor).pop(_NOTE, None)


def _of_array(array: NDArray[Any]) -> Any:
    if array.dtype == object:
        # Equal to nothing: what it holds cannot be compared.
        return object()
    data = array.tobytes()
    return array.dtype, array.shape, data if len(data) <= _FEW_BYTES else hashlib.blake2b(data).digest()
