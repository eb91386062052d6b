"""The one-step errors of a network of series: those that a run keeps, and future ones that are drawn from them.

References
----------
Politis and Romano, "A circular block-resampling procedure for stationary data", 1992: errors of consecutive steps
together. Gelman, Carlin, Stern, Dunson, Vehtari and Rubin, "Bayesian data analysis", 3rd edition, 2013, section 3.2:
the deviation that few errors leave open.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from myrnn import _checks
from myrnn.data.encode import PlainValues
from myrnn.errors import InvalidArgument
from myrnn.results import Floats
from myrnn.sequences import Sequences

# The first errors of a series, one in so many, are left out: the network had read too little of the series when it made
# them, and a forecast begins where it has read all of it.
WARM_UP = 4
# A run keeps this many errors, the last ones.
MOST_KEPT = 1_000
# Fewer errors do not tell the size of future ones.
FEWEST = 5
# So many errors of the series itself are preferred to those of the training.
ENOUGH = 20
# A block of errors is at most this part of all errors.
FEWEST_BLOCKS = 4


@dataclass(frozen=True)
class KeptErrors(PlainValues):
    """The one-step errors of a trained network, in standard deviations of what it learned.

    Attributes
    ----------
    held_out : tuple of tuple of float, N of C each
        On the validation rows, or without validation on those that it learned.
    learned : tuple of float, C
        Their standard deviation on rows that it learned.

    Examples
    --------
    >>> KeptErrors(((0.5,), (-0.7,)), (0.4,)).rows.shape
    (2, 1)
    """

    held_out: tuple[tuple[float, ...], ...]
    learned: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that they are finite, and of as many columns."""
        for row in (*self.held_out, self.learned):
            if len(row) != len(self.learned):
                raise InvalidArgument(f"errors must have {len(self.learned)} columns, not {len(row)}")
            for number in row:
                _checks.real("an error", number)

    @property
    def rows(self) -> Floats:
        """The errors on held-out rows, float64 (N, C)."""
        return np.array(self.held_out, dtype=np.float64).reshape(-1, len(self.learned))

    @classmethod
    def of(cls, run: Any, learned: Sequences, held_out: Sequences | None) -> Self:
        """Return the errors of a run on rows that it learned, and on those held out, if there are enough."""
        known = _errors_on(run, learned)
        rows = known if held_out is None or not len(held_out) else _errors_on(run, held_out)
        if len(rows) < FEWEST:
            rows = known
        return cls(tuple(map(tuple, rows.tolist())), tuple(_deviation(known).tolist()))


def _errors_on(run: Any, sequences: Sequences) -> Floats:
    """Return the last errors on sequences, float64 (N, C), without the first ones of each."""
    # The last sequences with enough steps.
    later = np.cumsum(sequences.lengths[::-1])[::-1] - sequences.lengths
    some = sequences.select(later * (WARM_UP - 1) < MOST_KEPT * WARM_UP)
    errors = some.targets.astype(np.float64) - run.scores(some)
    parts = [errors[begin + (end - begin) // WARM_UP : end] for begin, end in pairwise(some.offsets.tolist())]
    rows = np.concatenate([errors[:0], *parts])
    return rows[np.isfinite(rows).all(axis=1)][-MOST_KEPT:]


def drawn_errors(made: Floats, kept: KeptErrors, horizon: int, paths: int, rng: np.random.Generator) -> Floats:
    """Draw errors of future steps, float64 (horizon, paths, C), from those that a network made on a series, (N, C)."""
    made, held_out = made[len(made) // WARM_UP :], kept.rows
    used = made if len(made) >= min(ENOUGH, len(held_out)) else held_out
    if (count := len(used)) < FEWEST:
        raise InvalidArgument(
            f"intervals need {FEWEST} errors of one step, but there are {len(made)} of the series and {len(held_out)} "
            "of the training: give a longer series; with paths=0 there are no intervals"
        )
    # The same error at every step would move all paths away from the forecast without errors.
    errors = used - used.mean(axis=0)
    if used is made and len(held_out) >= FEWEST:
        # The errors of a network that has learned the series are smaller there than on later rows.
        larger, least = _deviation(held_out), np.maximum(_deviation(errors), kept.learned)
        growth = np.divide(larger, least, out=np.ones(len(larger)), where=least > 0)
        if (growth > 1).any():
            count = min(count, len(held_out))
        errors *= np.maximum(growth, 1)
    # Errors of consecutive steps stay together, because they may depend on each other: those of the changes of a
    # noisy line cancel, and drawn one by one they would add up to intervals that are far too wide.
    length = max(1, min(horizon, len(errors) // FEWEST_BLOCKS))
    begins = rng.integers(len(errors), size=(-(-horizon // length), 1, paths))
    steps = (begins + np.arange(length)[:, np.newaxis]) % len(errors)
    # A path has the mean and the deviation of its own: `count` errors leave them open, so that normal ones become
    # Student's.
    scale = np.sqrt((count + 1) / rng.chisquare(count - 1, size=(paths, 1)))
    found: Floats = errors[steps.reshape(-1, paths)[:horizon]] * scale
    return found


def _deviation(rows: Floats) -> Floats:
    """Return the standard deviation of every column, 0 of fewer than two rows."""
    return rows.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(rows.shape[1])
