"""Accuracy and other measures by the length of the sequence and by the position of the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.evaluation.intervals import mean_ends, ratios_of_steps, share_ends
from myrnn.evaluation.scores import SHARES, shown_measure
from myrnn.evaluation.steps import Steps, Values
from myrnn.results import ENDS, Counted, Floats, HasTable, Shown, Table, counted, integer, share

# Positions up to this many get one bucket each; beyond, each bucket is twice as wide as the one before.
_MOST_POSITIONS = 12
_MOST_LENGTHS = 8


@dataclass(frozen=True, repr=False, eq=False)
class LengthBuckets(Counted, HasTable):
    """Accuracy for sequences of similar length.

    Attributes
    ----------
    shortest, longest : ndarray, int64 (B,)
        The range of lengths in each bucket, ascending.
    total, correct : ndarray, int64 (B,)
        The number of sequences in each bucket, and of those classified correctly.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> buckets = LengthBuckets(np.array([1, 5]), np.array([4, 9]), np.array([50, 50]), np.array([49, 30]))
    >>> buckets
    LengthBuckets(98.0% at length 1 to 4, 60.0% at length 5 to 9)
    >>> buckets.accuracy, buckets.interval.round(2).tolist()
    (array([0.98, 0.6 ]), [[0.9, 1.0], [0.46, 0.72]])
    """

    shortest: NDArray[np.int64]
    longest: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    confidence: float = 0.95

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the buckets: ``"4"`` or ``"5 to 9"``."""
        return _names(self.shortest, self.longest)

    def __repr__(self) -> str:
        """Show the accuracy of the first and the last bucket."""
        first, last = self.accuracy[[0, -1]]
        return f"LengthBuckets({first:.1%} at length {self.names[0]}, {last:.1%} at length {self.names[-1]})"

    def table(self) -> Table:
        """Return the accuracies, one row per bucket; terminals show per cent.

        Its columns are ``shortest``, ``longest``, ``total``, ``correct``, ``accuracy``, ``low`` and ``high``.
        """
        names = dict(zip(self.shortest.tolist(), self.names, strict=True))
        return Table(
            f"Accuracy by length, % ({self.confidence:.0%} interval)",
            {
                "shortest": self.shortest,
                "longest": self.longest,
                **counted(self.correct, self.total, self.confidence),
            },
            (
                Shown("length", lambda row: names[row["shortest"]], is_number=False),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
        )

    def plot(self, ax: Any = None, *, chance: float | None = None) -> Any:
        """Draw the accuracies, and a line at `chance` if given, and return the Matplotlib axes."""
        from myrnn import plots

        return plots.plot_accuracy_by_bucket(self, chance=chance, ax=ax)


def length_buckets(lengths: NDArray[np.int64], right: NDArray[np.bool_], most: int, confidence: float) -> LengthBuckets:
    """Count correctly classified sequences by length.

    Parameters
    ----------
    lengths : ndarray, int64 (N,)
    right : ndarray, bool (N,)
    most : int
        The most buckets: one for each length if possible, otherwise of about equally many sequences.
    confidence : float
        The level of the intervals.
    """
    shortest, longest, place = _by_quantiles(lengths, most)
    total = np.bincount(place, minlength=len(longest))
    correct = np.bincount(place, weights=right, minlength=len(longest)).astype(np.int64)
    return LengthBuckets(shortest, longest, total, correct, confidence)


@dataclass(frozen=True, repr=False, eq=False)
class StepBuckets(HasTable):
    """Measures of steps at similar positions, or in sequences of similar length.

    Attributes
    ----------
    by : {"position", "length"}
        Whether buckets are by the position of a step in its sequence, from 1, or by the length of the sequence.
    first, last : ndarray, int64 (B,)
        The range of positions or lengths in each bucket, ascending.
    total : ndarray, int64 (B,)
        The number of steps in each bucket.
    measures : dict of str to ndarray, float64 (B, 3)
        Each measure by name, such as ``accuracy``: its value in every bucket, and the two ends of its interval. The
        steps of a sequence are not treated as independent; an end is NaN if there are too few sequences.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.evaluation import tag_report
    >>> chances = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    >>> positions = tag_report([0, 1, 1, 0], chances, [0, 2, 4]).positions
    >>> positions
    StepBuckets(accuracy 50.0% at position 1, 100.0% at position 2)
    >>> positions.first, positions.last, positions.total
    (array([1, 2]), array([1, 2]), array([2, 2]))
    """

    by: str
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    total: NDArray[np.int64]
    measures: dict[str, Floats]
    confidence: float = 0.95

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the buckets: ``"4"`` or ``"5 to 8"``."""
        return _names(self.first, self.last)

    def __repr__(self) -> str:
        """Show the first measure of the first and the last bucket."""
        measure, values = next(iter(self.measures.items()))
        spec = ".1%" if measure in SHARES else ".4g"
        first, last = (format(values[place, 0], spec) for place in (0, -1))
        word = measure.replace("_", " ")
        return f"StepBuckets({word} {first} at {self.by} {self.names[0]}, {last} at {self.by} {self.names[-1]})"

    def table(self) -> Table:
        """Return the measures, one row per bucket; terminals show shares in per cent.

        Its columns are ``first``, ``last``, ``total``, and each measure with its interval as ``..._low`` and
        ``..._high``.
        """
        names = dict(zip(self.first.tolist(), self.names, strict=True))
        columns: dict[str, Any] = {"first": self.first, "last": self.last, "total": self.total}
        for measure, values in self.measures.items():
            ends = {measure: values[:, 0], f"{measure}_low": values[:, 1], f"{measure}_high": values[:, 2]}
            columns |= {name: np.where(np.isfinite(column), column, np.nan) for name, column in ends.items()}
        return Table(
            f"By {self.by} ({self.confidence:.0%} interval)",
            columns,
            (
                Shown(self.by, lambda row: names[row["first"]], is_number=False),
                *(shown_measure(name, _heading(name)) for name in self.measures),
                integer("total", "steps"),
            ),
        )

    def plot(self, ax: Any = None, *, measure: str | None = None, levels: Mapping[str, float] | None = None) -> Any:
        """Draw a measure against position or length, and return the Matplotlib axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default in a new figure.
        measure : str, optional
            The measure to draw; by default the first.
        levels : mapping of str to float, optional
            Scores of others over all steps, by name: a dashed line for each.

        Raises
        ------
        InvalidArgument
            When there is no such measure.
        """
        from myrnn import plots

        return plots.plot_by_position(self, measure=measure, levels=levels, ax=ax)

    def values_of(self, measure: str | None = None) -> tuple[str, Floats]:
        """Return the name of a measure, by default the first, and its values (B, 3)."""
        name = next(iter(self.measures)) if measure is None else measure
        return _checks.one_of("measure", name, tuple(self.measures)), self.measures[name]


def _heading(measure: str) -> str:
    return measure.replace("_", " ") + (", %" if measure in SHARES else "")


@dataclass(frozen=True)
class _BucketOfPosition:
    """The bucket of the position of every step; `last` has the last position of each bucket."""

    steps: Steps
    last: NDArray[np.int64]

    def __getitem__(self, steps: slice) -> NDArray[np.int64]:
        return np.searchsorted(self.last, self.steps.position_of(steps))


def by_position(steps: Steps, values: Mapping[str, Values], confidence: float) -> StepBuckets:
    """Return the means of `values` (S,) by the position of the step; those of ``"rmse"`` are squares."""
    longest = int(steps.lengths.max())
    if longest <= _MOST_POSITIONS:
        last = np.arange(1, longest + 1)
    else:
        # 1, 2, 3 to 4, 5 to 8, 9 to 16 and so on.
        last = np.minimum(2 ** np.arange((longest - 1).bit_length() + 1), longest)
    first = np.concatenate(([1], last[:-1] + 1))
    return _bucketed("position", first, last, _BucketOfPosition(steps, last), steps, values, confidence)


def by_length(steps: Steps, values: Mapping[str, Values], confidence: float) -> StepBuckets:
    """Return the means of `values` (S,) by the length of the sequence that the step is in."""
    first, last, place = _by_quantiles(steps.lengths[steps.lengths > 0], _MOST_LENGTHS)
    each = np.repeat(place, steps.lengths[steps.lengths > 0])
    return _bucketed("length", first, last, each, steps, values, confidence)


def _bucketed(
    by: str,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    place: Values,
    steps: Steps,
    values: Mapping[str, Values],
    confidence: float,
) -> StepBuckets:
    measures = {}
    for name, each in values.items():
        # A root mean square is computed from the squares.
        squared = name == "rmse"
        found = ratios_of_steps(each, steps, place, len(last))
        ends = share_ends(found, confidence) if name in SHARES else mean_ends(found, confidence)
        if squared or name == "mae":
            ends = np.maximum(ends, 0.0)
        both = np.column_stack((found.value, ends))
        measures[name] = np.sqrt(both) if squared else both
    total = sum(np.bincount(place[block], minlength=len(last)) for _, block in steps.blocks())
    return StepBuckets(by, first, last, np.asarray(total), measures, confidence)


def _by_quantiles(
    lengths: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the shortest and longest length of every bucket, (B,), and the bucket of each length, (N,).

    There is one bucket for each length, or at most `most` buckets of about equally many sequences.
    """
    distinct = np.unique(lengths)
    longest = distinct
    if len(distinct) > most:
        longest = np.unique(np.quantile(lengths, np.arange(1, most + 1) / most, method="inverted_cdf"))
    # A bucket begins at its shortest length, not where the previous one ends.
    shortest = distinct[np.searchsorted(distinct, np.concatenate(([-1], longest[:-1])), side="right")]
    return shortest, longest.astype(np.int64), np.searchsorted(longest, lengths)


def _names(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[str, ...]:
    pairs = zip(low.tolist(), high.tolist(), strict=True)
    return tuple(str(first) if first == last else f"{first} to {last}" for first, last in pairs)
