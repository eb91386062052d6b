"""Imports MyGrad without the second that it spends on compiling what nothing here calls.

MyGrad's own GRU layer has Numba compile three small functions anew in every process that imports MyGrad. Here Numba
keeps them from one process to the next, as it does with what it is asked to keep.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba


def _kept(*arguments: Any, **options: Any) -> Callable[..., Any]:
    """Stand in for `numba.vectorize`, and keep the machine code on the disk where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return _vectorize(*arguments, **{**options, "cache": True})(function)
        except (RuntimeError, OSError):
            # Numba finds no folder that it could write to.
            return _vectorize(*arguments, **options)(function)

    return decorate


_vectorize = numba.vectorize
if "mygrad" not in sys.modules:
    numba.vectorize = _kept
    try:
        import mygrad  # noqa: F401
    finally:
        numba.vectorize = _vectorize
