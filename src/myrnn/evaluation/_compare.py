"""Two evaluations side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from myrnn._tables import ShownAsTable, new_table, per_cent, points, write_csv
from myrnn.errors import InvalidArgument
from myrnn.evaluation._intervals import mean_difference_interval, newcombe_interval
from myrnn.results import shares

if TYPE_CHECKING:
    from myrnn.evaluation._report import LengthReport


# Right and tried of the first, right and tried of the second.
Counts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(ShownAsTable):
    """The accuracy of two models at the lengths that both were tried on.

    Differences are the first less the second. Their intervals hold for sequences that were drawn apart; for the same
    sequences, which two models judge alike more often than not, they are rather too wide. Of twenty differences at a
    level of 95 %, one excludes zero by chance: look at the groups first.

    Attributes
    ----------
    first, second : LengthReport
    names : two strings
    lengths : ndarray, int64 (N,)
        The lengths that both reports have.
    """

    first: LengthReport
    second: LengthReport
    names: tuple[str, str]
    lengths: NDArray[np.int64]

    @property
    def difference(self) -> NDArray[np.float64]:
        """The first accuracy less the second at each length, float64 (N,)."""
        correct, total, other_correct, other_total = self._counts
        return shares(correct, total) - shares(other_correct, other_total)

    @property
    def interval(self) -> NDArray[np.float64]:
        """Newcombe's interval of each difference, float64 (N, 2), at the level of the first report."""
        return newcombe_interval(*self._counts, confidence=self.first.confidence)

    @property
    def told_apart(self) -> NDArray[np.bool_]:
        """At which lengths the interval excludes zero, bool (N,)."""
        low, high = self.interval.T
        return np.logical_or(low > 0, high < 0)

    def groups(self) -> dict[str, tuple[float, NDArray[np.float64]]]:
        """Return the mean difference and its interval over the groups of lengths, each length counting alike.

        They are ``"trained"`` (lengths that both were trained on), ``"beyond"`` (that neither was) and ``"all"``.
        """
        found = {}
        for name, chosen in self._groups().items():
            right, tried, other_right, other_tried = (counts[chosen] for counts in self._counts)
            found[name] = mean_difference_interval(right, tried, other_right, other_tried, self.first.confidence)
        return found

    def __repr__(self) -> str:
        """Say the mean difference over all common lengths."""
        mean, (low, high) = self.groups()["all"]
        return (
            f"Comparison({self.names[0]} less {self.names[1]}: {100 * mean:+.2f} points "
            f"({100 * low:+.2f} to {100 * high:+.2f}) over {len(self.lengths)} lengths)"
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a length: length, first, second, difference, low, high, told_apart."""
        correct, total, other_correct, other_total = self._counts
        pair = (shares(correct, total), shares(other_correct, other_total))
        columns = (self.lengths, *pair, self.difference, *self.interval.T, self.told_apart)
        names = ("length", "first", "second", "difference", "low", "high", "told_apart")
        return [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV."""
        write_csv(self.rows(), path)

    def table(self) -> Table:
        """Return both accuracies and their differences as a Rich table, in per cent and percentage points."""
        level = f"{self.first.confidence:.0%}"
        table = new_table("Accuracy by length, %", "length", *self.names, f"difference ({level})", "told apart")
        for row in self.rows():
            difference = points(row["difference"], (row["low"], row["high"]))
            both = (per_cent(row["first"]), per_cent(row["second"]))
            table.add_row(f"{row['length']}", *both, difference, "yes" if row["told_apart"] else "no")
        table.add_section()
        for name, (mean, ends) in self.groups().items():
            chosen = self._groups()[name]
            means = (float(np.mean([row[key] for row in np.array(self.rows())[chosen]])) for key in ("first", "second"))
            told = "yes" if ends[0] > 0 or ends[1] < 0 else "no"
            table.add_row(name, *(per_cent(mean) for mean in means), points(mean, ends.tolist()), told, style="bold")
        return table

    def plot(self, ax: Any = None) -> Any:
        """Draw both curves, each at all lengths of its own, and return the matplotlib axes."""
        ax = self.first.plot(ax, label=self.names[0])
        return self.second.plot(ax, label=self.names[1])

    @property
    def _counts(self) -> Counts:
        """Right and tried of the first, right and tried of the second, at the common lengths."""
        places = [np.searchsorted(report.lengths, self.lengths) for report in (self.first, self.second)]
        one, other = self.first, self.second
        return one.correct[places[0]], one.total[places[0]], other.correct[places[1]], other.total[places[1]]

    def _groups(self) -> dict[str, NDArray[np.bool_]]:
        beyond = [np.isin(self.lengths, report.lengths[report.beyond]) for report in (self.first, self.second)]
        both_known = None not in (self.first.trained_length, self.second.trained_length)
        named = {"trained": ~(beyond[0] | beyond[1]), "beyond": beyond[0] & beyond[1]} if both_known else {}
        found = {name: chosen for name, chosen in named.items() if chosen.any()}
        return {**found, "all": np.ones(len(self.lengths), dtype=bool)}


def compare(first: LengthReport, second: LengthReport, names: tuple[str, str]) -> Comparison:
    """Return the comparison of two reports; see `LengthReport.compare`."""
    if isinstance(names, str) or len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise InvalidArgument(f"names must be two strings, not {names!r}")
    if names[0] == names[1]:
        raise InvalidArgument(f"names must differ, but both are {names[0]!r}")
    lengths = np.intersect1d(first.lengths, second.lengths)
    if not len(lengths):
        raise InvalidArgument("the two reports have no length in common: evaluate both on the same lengths")
    return Comparison(first, second, (names[0], names[1]), lengths)
