"""Note where a model looks at numbers while it runs: what it does next may depend on them, and no graph shows it."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import CodeType, FrameType
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

# What tells of a tensor's kind and size, not of its numbers.
_SIZES = frozenset({"constant", "ndim", "size", "__len__", "__hash__"})
_ATTRIBUTES_OF_SIZE = frozenset({"dtype", "ndim", "shape", "size"})

_NUMBERS = (np.ndarray, np.generic, bool, int, float)

_lock = threading.RLock()


def gives_numbers(frame: FrameType, result: Any) -> bool:
    """Whether a function of MyGrad returns numbers in place of a tensor."""
    return isinstance(result, _NUMBERS) and frame.f_code.co_name not in _SIZES


@contextmanager
def noted(note: Callable[[FrameType], None]) -> Iterator[None]:
    """Call `note` with the frame that reads a tensor's `data`, wherever it stands."""
    here = threading.get_ident()

    def read(tensor: Tensor) -> NDArray[Any]:
        if threading.get_ident() == here:
            note(sys._getframe(1))
        return tensor.__dict__["data"]

    def write(tensor: Tensor, value: NDArray[Any]) -> None:
        tensor.__dict__["data"] = value

    # `data` is an attribute of each tensor; a property of the class comes before it.
    with _lock:
        Tensor.data = property(read, write)
        try:
            yield
        finally:
            del Tensor.data


def asks_for_size(frame: FrameType) -> bool:
    """Whether a frame asks what it reads for its shape at once, as in ``weight.data.shape``."""
    return _size_follows(frame.f_code, frame.f_lasti)


@cache
def _size_follows(code: CodeType, at: int) -> bool:
    following = next((i for i in dis.get_instructions(code) if i.offset > at), None)
    return following is not None and following.opname == "LOAD_ATTR" and following.argval in _ATTRIBUTES_OF_SIZE
