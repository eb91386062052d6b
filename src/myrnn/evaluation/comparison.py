"""Comparison of the accuracies of two models by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.intervals import mean_difference_interval, newcombe_interval, shares
from myrnn.results import Result, Row, Shown, Table, points, share, text

if TYPE_CHECKING:
    from myrnn.evaluation.lengths import LengthReport

# Correct and total of the first, correct and total of the second; for steps, effective numbers.
Counts = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Result):
    """The accuracies of two models at the lengths that both were tested on.

    Differences are the first minus the second. Their intervals assume independent sequences. If both models were tested
    on the same sequences, on which they tend to agree, the intervals are somewhat too wide. At a level of 95 %, about
    one in twenty differences excludes zero by chance, so look at the groups first.

    Attributes
    ----------
    first, second : LengthReport
    names : two strings
    lengths : ndarray, int64 (N,)
        The lengths that both reports have.

    Examples
    --------
    >>> from myrnn.evaluation import LengthReport
    >>> import numpy as np
    >>> lengths, total = np.array([4, 8]), np.array([1000, 1000])
    >>> trained, guess = (LengthReport(lengths, total, np.array(right), 0.5) for right in ([990, 730], [500, 510]))
    >>> comparison = trained.compare(guess, ("trained", "guess"))
    >>> comparison
    Comparison(trained less guess: +35.50 points (+32.86 to +38.07) over 2 lengths)
    >>> comparison.difference.round(2), comparison.rows()[0]["told_apart"]
    (array([0.49, 0.22]), True)
    """

    first: LengthReport
    second: LengthReport
    names: tuple[str, str]
    lengths: NDArray[np.int64]

    @property
    def difference(self) -> NDArray[np.float64]:
        """The first accuracy minus the second at each length, float64 (N,)."""
        correct, total, other_correct, other_total = self._counts
        return shares(correct, total) - shares(other_correct, other_total)

    @property
    def interval(self) -> NDArray[np.float64]:
        """Newcombe's interval of each difference, float64 (N, 2), at the level of the first report."""
        return newcombe_interval(*self._counts, confidence=self.first.confidence)

    def groups(self) -> dict[str, tuple[float, NDArray[np.float64]]]:
        """Return the mean difference and its interval over the groups of lengths, all lengths weighted equally.

        They are ``"trained"`` (lengths that both were trained on), ``"beyond"`` (that neither was) and ``"all"``.
        """
        found = {}
        for name, chosen in self._groups().items():
            right, tried, other_right, other_tried = (counts[chosen] for counts in self._counts)
            found[name] = mean_difference_interval(right, tried, other_right, other_tried, self.first.confidence)
        return found

    def __repr__(self) -> str:
        """Show the mean difference over all common lengths."""
        mean, (low, high) = self.groups()["all"]
        return (
            f"Comparison({self.names[0]} less {self.names[1]}: {100 * mean:+.2f} points "
            f"({100 * low:+.2f} to {100 * high:+.2f}) over {_checks.count_of(len(self.lengths), 'length')})"
        )

    def table(self) -> Table:
        """Return both accuracies and their differences; terminals show per cent and percentage points.

        Its columns are ``length``, ``first``, ``second``, ``difference``, ``low``, ``high`` and ``told_apart``.
        """
        correct, total, other_correct, other_total = self._counts
        first, second = shares(correct, total), shares(other_correct, other_total)
        below: list[tuple[Row, str | None]] = []
        for name, (mean, (low, high)) in self.groups().items():
            chosen = self._groups()[name]
            pair = {"first": float(first[chosen].mean()), "second": float(second[chosen].mean())}
            ends = {"low": low, "high": high, "told_apart": low > 0 or high < 0}
            below.append(({"length": name, **pair, "difference": mean, **ends}, "bold"))
        columns = {"length": self.lengths}
        title, confidence = "Accuracy by length, %", self.first.confidence
        return difference_table(title, columns, self._counts, self.names, confidence, below=[below])

    @property
    def _counts(self) -> Counts:
        """Correct and total of the first, correct and total of the second, at the common lengths."""
        return *self.first.effective(self.lengths), *self.second.effective(self.lengths)

    def _groups(self) -> dict[str, NDArray[np.bool_]]:
        beyond = [np.isin(self.lengths, report.lengths[report.beyond]) for report in (self.first, self.second)]
        both_known = None not in (self.first.trained_length, self.second.trained_length)
        named = {"trained": ~(beyond[0] | beyond[1]), "beyond": beyond[0] & beyond[1]} if both_known else {}
        return some(named, len(self.lengths))


def difference_table(
    title: str,
    of: Mapping[str, Any],
    counts: Sequence[NDArray[Any]],
    names: Sequence[str],
    confidence: float | None,
    **others: Any,
) -> Table:
    """Return two accuracies and their difference, from the counts (N,) of each length, or of what `of` names."""
    correct, total, other_correct, other_total = counts
    first, second = shares(correct, total), shares(other_correct, other_total)
    low, high = newcombe_interval(correct, total, other_correct, other_total, confidence or 0.95).T
    columns = {**of, "first": first, "second": second, "difference": first - second}
    columns |= {"low": low, "high": high, "told_apart": (low > 0) | (high < 0)}
    level = "" if confidence is None else f" ({confidence:.0%})"
    shown = (
        text(next(iter(of))),
        share("first", names[0]),
        share("second", names[1]),
        Shown(f"difference{level}", lambda row: points(row["difference"], (row["low"], row["high"]))),
        Shown("told apart", lambda row: "yes" if row["told_apart"] else "no"),
    )
    return Table(title, columns, shown, **others)


def some(groups: dict[str, NDArray[np.bool_]], count: int) -> dict[str, NDArray[np.bool_]]:
    """Return the groups that are not empty, and the group of all."""
    return {name: chosen for name, chosen in groups.items() if chosen.any()} | {"all": np.ones(count, dtype=bool)}
