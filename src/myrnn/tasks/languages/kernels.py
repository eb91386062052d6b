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


@native
def draw_brackets(kinds: int, logs: Any, offsets: Any, uniform: Any, stack: Any, strings: Any) -> None:
    """Write balanced brackets; ``logs[left, height]`` is the logarithm of the number of ways to go on."""
    for index in range(len(offsets) - 1):
        height, left = 0, offsets[index + 1] - offsets[index]
        for place in range(offsets[index], offsets[index + 1]):
            closing = np.exp(logs[left - 1, height - 1] - logs[left, height]) if height > 0 else 0.0
            rest = uniform[place] - closing
            left -= 1
            if rest < 0 or left < height + 1:
                height -= 1
                strings[place] = stack[height] + kinds
            else:
                kind = min(int(rest / (1 - closing) * kinds), kinds - 1)
                strings[place] = stack[height] = kind
                height += 1


@native
def draw_stacks(starts: Any, logs: Any, offsets: Any, uniform: Any, stack: Any, strings: Any) -> None:
    """Write stacks, operations, the mark and the stacks that result; see `structures.StackManipulation`."""
    push, pop, mark = 2, 3, 4
    for index in range(len(offsets) - 1):
        place, end, height = offsets[index], offsets[index + 1], starts[index]
        for level in range(height):
            stack[level] = strings[place + level] = int(uniform[place + level] < 0.5)
        place += height
        chosen = push
        while chosen != mark:
            left = end - place
            total = logs[left, height]
            rest = uniform[place]
            for option in (mark, pop, push):
                share = 0.0
                if option == mark and left == height + 1:
                    share = np.exp(-total)
                elif option == pop and height > 0:
                    share = np.exp(logs[left - 1, height - 1] - total)
                elif option == push and left >= 2:
                    share = 2 * np.exp(logs[left - 2, height + 1] - total)
                if share > 0:
                    # As above.
                    chosen = option
                    rest -= share
                    if rest < 0:
                        break
            strings[place] = chosen
            place += 1
            if chosen == pop:
                height -= 1
            elif chosen == push:
                strings[place] = stack[height] = int(uniform[place] < 0.5)
                place += 1
                height += 1
        for level in range(height):
            strings[place + level] = stack[height - 1 - level]


@native
def manipulated(strings: Any, offsets: Any, stack: Any, found: Any) -> None:
    """Write which strings are a stack, operations that are possible, the mark and the stack that results."""
    push, pop, mark = 2, 3, 4
    for index in range(len(offsets) - 1):
        place, end, height = offsets[index], offsets[index + 1], 0
        fits = True
        while place < end and strings[place] < push:
            stack[height] = strings[place]
            height += 1
            place += 1
        while fits and place < end and strings[place] != mark:
            if strings[place] == pop and height > 0:
                height -= 1
                place += 1
            elif strings[place] == push and place + 1 < end and strings[place + 1] < push:
                stack[height] = strings[place + 1]
                height += 1
                place += 2
            else:
                fits = False
        fits = fits and place < end and end - place == height + 1
        if fits:
            for level in range(height):
                fits = fits and strings[place + 1 + level] == stack[height - 1 - level]
        found[index] = fits


@native
def balanced(kinds: int, strings: Any, offsets: Any, stack: Any, found: Any) -> None:
    """Write which strings are balanced brackets; token k + `kinds` closes token k."""
    for index in range(len(offsets) - 1):
        height = 0
        fits = True
        for place in range(offsets[index], offsets[index + 1]):
            token = strings[place]
            if token < kinds:
                stack[height] = token
                height += 1
            elif height > 0 and stack[height - 1] == token - kinds:
                height -= 1
            else:
                fits = False
                break
        found[index] = fits and height == 0
