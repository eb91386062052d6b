"""The class that logits predict: that of the largest, or none where one of them is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._user_code import warn
from myrnn.errors import NotFinite

# The class of a sequence whose logits are not finite: it is none of the classes, so it is always wrong.
NO_CLASS = -1


def is_lost(logits: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return for which sequences a logit is not finite, bool (N,): their largest logit says nothing."""
    lost: NDArray[np.bool_] = ~np.isfinite(logits).all(axis=1)
    return lost


def predicted(logits: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the class of every sequence, int64 (N,): of the largest logit, and `NO_CLASS` where one is not finite."""
    return np.where(is_lost(logits), NO_CLASS, np.argmax(logits, axis=1))


def lost_message(lost: int, total: int, shortest: int) -> str:
    """Say how many sequences have logits that are not finite."""
    sequences = f"{total:,} {'sequence' if total == 1 else 'sequences'}"
    return f"the logits of {lost:,} of {sequences} are not finite, the shortest of length {shortest}"


def _message_of(lost: NDArray[np.bool_], lengths: NDArray[np.int64]) -> str | None:
    """Return the message for such sequences of these lengths; None where there are none."""
    return lost_message(int(lost.sum()), len(lost), int(lengths[lost].min())) if lost.any() else None


def check_finite(logits: NDArray[np.floating[Any]], lengths: NDArray[np.int64]) -> None:
    """Raise NotFinite if any sequence has logits that are not finite."""
    message = _message_of(is_lost(logits), lengths)
    if message is not None:
        raise NotFinite(f"{message}: the model's numbers overflow there")


def warn_of_lost(lost: NDArray[np.bool_], lengths: NDArray[np.int64]) -> None:
    """Warn once, for all of them, that sequences whose logits are not finite count as wrong."""
    message = _message_of(lost, lengths)
    if message is not None:
        warn(f"{message}: they count as wrong")
