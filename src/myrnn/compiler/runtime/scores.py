"""Scores of the outputs for one row, whatever its loss is."""

from __future__ import annotations

from myrnn.compiler.runtime.functions import Floats, compiled


@compiled
def largest(outputs: Floats, at: int, count: int) -> int:
    """Return the index of the largest of `count` numbers, the first of equals."""
    best = 0
    for k in range(1, count):
        if outputs[at + k] > outputs[at + best]:
            best = k
    return best


@compiled
def class_right(outputs: Floats, at: int, targets: Floats, targets_at: int, count: int) -> int:
    """Return whether the largest of `count` outputs is where the one target above 0 is; 0 where there is none."""
    wanted = largest(targets, targets_at, count)
    return int(targets[targets_at + wanted] > 0 and largest(outputs, at, count) == wanted)


@compiled
def share_right(outputs: Floats, at: int, targets: Floats, targets_at: int, count: int) -> float:
    """Return the share of `count` outputs that are above 0 exactly where the target is."""
    right = 0
    for k in range(count):
        right += int((outputs[at + k] > 0) == (targets[targets_at + k] > 0))
    return right / count


@compiled
def squared_error(outputs: Floats, at: int, targets: Floats, targets_at: int, count: int) -> float:
    """Return the mean of `count` squared differences."""
    result = 0.0
    for k in range(count):
        difference = float(outputs[at + k]) - float(targets[targets_at + k])
        result += difference * difference
    return result / count
