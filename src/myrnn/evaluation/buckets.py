"""Accuracy and other measures by length and by position, and accuracy by probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.clusters import ClusteredSteps, Computed, Values, mean_ends, ratios_of_steps, share_ends
from myrnn.evaluation.lengths import LengthReport
from myrnn.evaluation.scores import SHARES, shown_measure, shown_number
from myrnn.intervals import shares, wilson_interval
from myrnn.results import ENDS, Counted, Floats, Result, Shown, Table, integer, read_confidence, read_counts, share

# Positions up to this many get one bucket each; beyond, each bucket is twice as wide as the one before.
_MOST_POSITIONS = 12
_MOST_LENGTHS = 8


@dataclass(frozen=True, repr=False, eq=False)
class Buckets(Result):
    """Measures of steps at similar positions, or of sequences of similar length.

    Attributes
    ----------
    by : {"position", "length"}
        Whether buckets are by the position of a step in its sequence, from 1, or by the length of the sequence.
    each : {"step", "sequence"}
        The unit that is counted.
    first, last : ndarray, int64 (B,)
        The range of positions or lengths in each bucket, ascending.
    total : ndarray, int64 (B,)
        The number of steps or sequences in each bucket.
    measures : dict of str to ndarray, float64 (B, 3)
        Each measure by name, such as ``accuracy``: its value in every bucket, and the two ends of its interval. The
        steps of a sequence are not treated as independent; an end is NaN if there are too few sequences.
    confidence : float
        The level of the intervals.
    levels : dict of str to float
        Scores of others over all buckets by name, in the first measure, which `plot` draws beside it.
    base_rate : ndarray, float64 (B,), optional
        For labels, the accuracy in each bucket of always giving the most frequent class of each length. None for
        others, and with so few sequences of each length that it would be too high by chance. `plot` draws it, too.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.evaluation import tag_report
    >>> chances = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    >>> positions = tag_report([0, 1, 1, 0], chances, [0, 2, 4]).positions
    >>> positions
    Buckets(accuracy 50.0% at position 1, 100.0% at position 2)
    >>> positions.first, positions.last, positions.total
    (array([1, 2]), array([1, 2]), array([2, 2]))
    """

    by: str
    each: str
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    total: NDArray[np.int64]
    measures: dict[str, Floats]
    confidence: float = 0.95
    levels: Mapping[str, float] = field(default_factory=dict)
    base_rate: Floats | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the buckets: ``"4"`` or ``"5 to 8"``."""
        pairs = zip(self.first.tolist(), self.last.tolist(), strict=True)
        return tuple(str(first) if first == last else f"{first} to {last}" for first, last in pairs)

    @property
    def correct(self) -> NDArray[np.int64]:
        """The number of right steps or sequences in each bucket, int64 (B,), where accuracy is a measure."""
        return np.rint(self.measures["accuracy"][:, 0] * self.total).astype(np.int64)

    def __repr__(self) -> str:
        """Show the first measure of the first and the last bucket."""
        measure, values = self.values_of()
        first, last = (f"{v:.1%}" if measure in SHARES else shown_number(v) for v in values[[0, -1], 0])
        word = measure.replace("_", " ")
        return f"Buckets({word} {first} at {self.by} {self.names[0]}, {last} at {self.by} {self.names[-1]})"

    def table(self) -> Table:
        """Return the measures, one row per bucket; terminals show shares in per cent.

        Its columns are ``first``, ``last``, ``total``, each measure with its interval as ``..._low`` and
        ``..._high``, and ``base_rate`` if it is known.
        """
        names = dict(zip(self.first.tolist(), self.names, strict=True))
        columns: dict[str, Any] = {"first": self.first, "last": self.last, "total": self.total}
        for measure, values in self.measures.items():
            ends = np.where(np.isfinite(values), values, np.nan).T
            columns |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), ends, strict=True))
        if self.base_rate is not None:
            columns["base_rate"] = self.base_rate
        headings = {name: name.replace("_", " ") + (", %" if name in SHARES else "") for name in self.measures}
        title = f"By {self.by}"
        if list(headings) == ["accuracy"]:
            headings, title = {"accuracy": "accuracy"}, f"Accuracy by {self.by}, %"
        return Table(
            f"{title} ({self.confidence:.0%} interval)",
            columns,
            (
                Shown(self.by, lambda row: names[row["first"]], is_number=False),
                *(shown_measure(measure, heading) for measure, heading in headings.items()),
                *(() if self.base_rate is None else (share("base_rate", "base rate"),)),
                integer("total", "of" if self.each == "sequence" else "steps"),
            ),
        )

    @classmethod
    def from_numbers(cls, given: Mapping[str, Any]) -> Buckets:
        """Return the accuracy of sequences by length that the numbers of a `Report` have stored, checked."""
        last, first, total = read_counts(given, ("last", "first", "total"))
        if (first > last).any():
            raise InvalidArgument("'last' must be 'first' at least")
        if not total.all():
            raise InvalidArgument("'total' must be 1 at least")
        ends = ("accuracy", "accuracy_low", "accuracy_high")
        has_base = "base_rate" in given["lengths"][0]
        names = (*ends, "base_rate") if has_base else ends
        values = np.array(
            [[_checks.real(name, row.get(name), minimum=0) for name in names] for row in given["lengths"]]
        )
        if (values > 1).any():
            raise InvalidArgument("'accuracy' must be 1 at most")
        measures, base = {"accuracy": values[:, :3]}, values[:, 3] if has_base else None
        confidence = read_confidence(given)
        return cls("length", "sequence", first, last, total, measures, confidence, base_rate=base)

    def values_of(self, measure: str | None = None) -> tuple[str, Floats]:
        """Return the name of a measure, by default the first, and its values (B, 3)."""
        name = next(iter(self.measures)) if measure is None else measure
        return _checks.one_of("measure", name, tuple(self.measures)), self.measures[name]


def of_sequences(each: LengthReport, most: int, majority: Mapping[str, float]) -> Buckets:
    """Return the accuracy of sequences, counted by length, in at most `most` buckets of lengths.

    Beside it is their base rate or, if that is unknown, that of the majority.
    """
    first, last, bucket = _by_quantiles(np.repeat(each.lengths, each.total), most)
    place = np.searchsorted(last, each.lengths)
    total, correct = np.bincount(bucket, minlength=len(last)), np.bincount(place, each.correct, len(last))
    ends = wilson_interval(correct, total, each.confidence)
    measures = {"accuracy": np.column_stack((shares(correct, total), ends))}
    if not each.is_base_rate_known:
        return Buckets("length", "sequence", first, last, total, measures, each.confidence, majority)
    base_rate = shares(np.bincount(place, each.class_total.max(axis=1), len(last)), total)
    return Buckets("length", "sequence", first, last, total, measures, each.confidence, base_rate=base_rate)


def by_length(
    steps: ClusteredSteps, right: NDArray[np.bool_], confidence: float, levels: Mapping[str, float]
) -> Buckets:
    """Return the accuracy of steps (S,) by the length of the sequence that the step is in."""
    lengths = steps.lengths[steps.lengths > 0]
    first, last, place = _by_quantiles(lengths, _MOST_LENGTHS)
    return _of_steps("length", first, last, np.repeat(place, lengths), steps, {"accuracy": right}, confidence, levels)


def by_position(
    steps: ClusteredSteps, values: Mapping[str, Values], confidence: float, levels: Mapping[str, float]
) -> Buckets:
    """Return the means of `values` (S,) by the position of the step; those of ``"rmse"`` are squares."""
    longest = int(steps.lengths.max())
    if longest <= _MOST_POSITIONS:
        last = np.arange(1, longest + 1)
    else:
        # 1, 2, 3 to 4, 5 to 8, 9 to 16 and so on.
        last = np.minimum(2 ** np.arange((longest - 1).bit_length() + 1), longest)
    first = np.concatenate(([1], last[:-1] + 1))
    place = Computed(lambda some: np.searchsorted(last, steps.position_of(some)))
    return _of_steps("position", first, last, place, steps, values, confidence, levels)


def _of_steps(
    by: str,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    place: Values,
    steps: ClusteredSteps,
    values: Mapping[str, Values],
    confidence: float,
    levels: Mapping[str, float],
) -> Buckets:
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
    return Buckets(by, "step", first, last, np.asarray(total), measures, confidence, levels)


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


# --- Probabilities ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Counted, Result):
    """The accuracy of a classifier by its confidence, the probability of the class that it predicts.

    Attributes
    ----------
    edges : ndarray, float64 (M + 1,)
        The ends of M bins of probabilities; a bin includes its upper end.
    total, correct : ndarray, int64 (M,)
        The number of predictions in each bin, and of the correct ones.
    mean_probability : ndarray, float64 (M,)
        The mean of the probabilities in each bin; NaN in an empty bin.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import classification_report
    >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> calibration = classification_report(["a", "b", "b"], probabilities, ["a", "b"], [3, 5, 5], bins=2).calibration
    >>> calibration
    Calibration(3 predictions, expected calibration error 10.00%)
    >>> calibration.total, calibration.accuracy.round(3), calibration.mean_probability.round(3)
    (array([0, 3]), array([  nan, 0.667]), array([  nan, 0.767]))
    >>> round(calibration.excess, 3)
    0.1
    """

    edges: Floats
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    mean_probability: Floats
    confidence: float = 0.95

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean distance between accuracy and mean probability.

        It is NaN without predictions.

        References
        ----------
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
        """
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        apart = np.abs(self.accuracy[filled] - self.mean_probability[filled])
        return float(np.average(apart, weights=self.total[filled]))

    @property
    def excess(self) -> float:
        """The mean probability minus the accuracy: above 0 for an overconfident classifier."""
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        mean = np.average(self.mean_probability[filled], weights=self.total[filled])
        return float(mean - self.correct.sum() / self.total.sum())

    def __repr__(self) -> str:
        """Show the expected calibration error."""
        count = _checks.count_of(self.total.sum(), "prediction")
        return f"Calibration({count}, expected calibration error {self.expected_error:.2%})"

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found = {"expected_error": self.expected_error, "excess": self.excess}
        numbers = {name: None if np.isnan(value) else value for name, value in found.items()}
        return {**numbers, "bins": self.rows()}

    def data(self) -> Table:
        """Return a row for every bin.

        Its columns are ``above``, ``up_to``, ``total``, ``correct``, ``mean_probability``, ``accuracy``, ``low`` and
        ``high``; an undefined share is None.
        """
        return self._table(np.ones(len(self.total), dtype=np.bool_))

    def table(self) -> Table:
        """Return the bins that have predictions; terminals show per cent."""
        return self._table(self.total > 0)

    def _table(self, bins: NDArray[np.bool_]) -> Table:
        rates = self._rates()
        ends = {"above": self.edges[:-1], "up_to": self.edges[1:]}
        counts = {name: rates.pop(name) for name in ("total", "correct")}
        columns = {**ends, **counts, "mean_probability": self.mean_probability, **rates}
        return Table(
            f"Accuracy by probability, % ({self.confidence:.0%} interval)",
            {name: values[bins] for name, values in columns.items()},
            (
                Shown("probability", lambda row: f"{100 * row['above']:.0f} to {100 * row['up_to']:.0f}", False),
                share("mean_probability", "mean probability"),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
            caption=f"expected calibration error {self.expected_error:.2%}",
        )


def calibration(probability: Floats, right: NDArray[np.bool_], bins: int, confidence: float) -> Calibration:
    """Count correct predictions by their probabilities (N,), in bins of equal width."""
    edges = np.linspace(0, 1, bins + 1)
    # The bin (a, b] of each probability; rounding may put one just above 1, and 0 belongs to the first bin.
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
    total = np.bincount(place, minlength=bins)
    return Calibration(
        edges,
        total,
        np.bincount(place, weights=right, minlength=bins).astype(np.int64),
        shares(np.bincount(place, weights=probability, minlength=bins), total),
        confidence,
    )
