"""Loops over the symbols of many strings that NumPy cannot do at once, compiled by Numba when they are first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])


def native(function: _Function) -> _Function:
    """Compile a function when it is first called; the machine code is kept on disk where that can be written to."""
    compiled: list[Callable[..., Any]] = []

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not compiled:
            from numba import njit

            try:
                compiled.append(njit(cache=True)(function))
            except RuntimeError:
                # No folder can be written to.
                compiled.append(njit(function))
        return compiled[0](*arguments)

    return call  # type: ignore[return-value]


@native
def follow(moves: Any, strings: Any, offsets: Any, states: Any) -> None:
    """Write the states that each string goes through, from 0 on."""
    at = 0
    for index in range(len(offsets) - 1):
        state = 0
        states[at] = 0
        at += 1
        for place in range(offsets[index], offsets[index + 1]):
            state = moves[state, strings[place]]
            states[at] = state
            at += 1


@native
def draw_paths(moves: Any, logs: Any, offsets: Any, uniform: Any, strings: Any) -> None:
    """Write one accepted string of each length: each symbol as often as accepted strings go on with it."""
    symbols = moves.shape[1]
    for index in range(len(offsets) - 1):
        state, left = 0, offsets[index + 1] - offsets[index]
        for place in range(offsets[index], offsets[index + 1]):
            total = logs[left, state]
            left -= 1
            rest = uniform[place]
            chosen = -1
            for token in range(symbols):
                share = np.exp(logs[left, moves[state, token]] - total)
                if share > 0:
                    # Rounding may leave a little of the rest: the last possible symbol takes it.
                    chosen = token
                    rest -= share
                    if rest < 0:
                        break
            strings[place] = chosen
            state = moves[state, chosen]
