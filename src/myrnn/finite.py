"""Outputs of models that are not finite: which they are, the class that is predicted there, and messages about them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import NotFinite
from myrnn.sequences import Sequences

# The predicted class of a sequence whose logits are not finite. It equals no class, so it always counts as wrong.
NO_CLASS = -1


def is_lost(logits: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return which sequences have a logit that is not finite, bool (N,): their largest logit means nothing."""
    lost: NDArray[np.bool_] = ~np.isfinite(logits).all(axis=1)
    return lost


def predicted(logits: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the class of the largest logit of each sequence, int64 (N,); `NO_CLASS` if a logit is not finite."""
    return np.where(is_lost(logits), NO_CLASS, np.argmax(logits, axis=1))


def lost_message(lost: int, total: int, shortest: int, each: str = "sequence") -> str:
    """Say how many sequences, or steps, have logits that are not finite."""
    shortest_of = "the shortest of length" if each == "sequence" else "in a sequence of length"
    return f"the logits of {lost:,} of {_checks.count_of(total, each)} are not finite, {shortest_of} {shortest}"


def _message_of(lost: NDArray[np.bool_], lengths: NDArray[np.int64], each: str = "sequence") -> str | None:
    """Return the message for such sequences or steps, or None; `lengths` are those of the sequences."""
    return lost_message(int(lost.sum()), len(lost), int(lengths[lost].min()), each) if lost.any() else None


def check_finite(logits: NDArray[np.floating[Any]], lengths: NDArray[np.int64]) -> None:
    """Raise NotFinite if any sequence has logits that are not finite."""
    check_lost(is_lost(logits), lengths)


def check_lost(lost: NDArray[np.bool_], lengths: NDArray[np.int64]) -> None:
    """Raise NotFinite if the outputs of any sequence are not finite; `lost` marks them."""
    message = _message_of(lost, lengths)
    if message is not None:
        raise NotFinite(f"{message}: the model's numbers overflow there")


def warn_of_lost(lost: NDArray[np.bool_], lengths: NDArray[np.int64], each: str = "sequence") -> None:
    """Warn once, for all of them, that sequences or steps whose logits are not finite count as wrong."""
    message = _message_of(lost, lengths, each)
    if message is not None:
        warn(f"{message}: they count as wrong")


def sequences_of(lost: NDArray[np.bool_], sequences: Sequences) -> NDArray[np.bool_]:
    """Return which sequences have a row of targets that is marked, bool (N,)."""
    if not sequences.per_step:
        return lost
    marked = np.zeros(len(sequences), dtype=np.bool_)
    marked[np.searchsorted(sequences.offsets, np.flatnonzero(lost), side="right") - 1] = True
    return marked
