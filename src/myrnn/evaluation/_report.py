"""What an evaluation found: counts, shares and intervals, by length and by class."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from myrnn._logits import lost_message
from myrnn._tables import ShownAsTable, known, new_table, per_cent, slug, write_csv
from myrnn.errors import InvalidArgument
from myrnn.evaluation._compare import Comparison, compare
from myrnn.evaluation._shortcuts import ShortcutReport
from myrnn.results import Counted, shares, wilson_interval

# Classes that have columns of their own in a table of 80 columns.
FEW_CLASSES = 2


def _no_classes() -> NDArray[np.int64]:
    return np.zeros((0, 0), dtype=np.int64)


def _none() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, repr=False, eq=False)
class LengthReport(Counted, ShownAsTable):
    """Accuracy for every length.

    Attributes
    ----------
    lengths : ndarray, int64 (L,)
        The lengths T that were tried, rising.
    total, correct : ndarray, int64 (L,)
        How many sequences of each length were tried, and classified rightly.
    chance : float
        The accuracy of guessing, 1 / K.
    trained_length : int or None
        The longest length that the model was trained on; longer ones are marked as beyond.
    confidence : float
        The level of the intervals.
    class_total, class_correct : ndarray, int64 (L, K)
        The same counts for each true class: how many sequences of the class there were, and how many of them were
        seen as that class. Shape (L, 0) in a report that was made without them.
    class_names : tuple of str
        What the K classes are called.
    not_finite : ndarray, int64 (L,)
        How many sequences of each length have logits that are not finite. They count in `total` and never in
        `correct`.
    """

    lengths: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    chance: float
    trained_length: int | None = None
    confidence: float = 0.95
    class_total: NDArray[np.int64] = field(default_factory=_no_classes)
    class_correct: NDArray[np.int64] = field(default_factory=_no_classes)
    class_names: tuple[str, ...] = ()
    not_finite: NDArray[np.int64] = field(default_factory=_none)

    def __post_init__(self) -> None:
        """Give counts by class the shape (L, 0) where there are none."""
        shape = (len(self.lengths), len(self.class_names))
        for name in ("class_total", "class_correct"):
            object.__setattr__(self, name, np.reshape(getattr(self, name), shape))
        if not len(self.not_finite):
            object.__setattr__(self, "not_finite", np.zeros(len(self.lengths), dtype=np.int64))

    @property
    def class_accuracy(self) -> NDArray[np.float64]:
        """How often a sequence of each class is seen as one, float64 (L, K); NaN where there was none."""
        return shares(self.class_correct, self.class_total)

    @property
    def class_interval(self) -> NDArray[np.float64]:
        """The Wilson interval of each of these, float64 (L, K, 2)."""
        return wilson_interval(self.class_correct, self.class_total, self.confidence)

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """Which lengths lie beyond those trained on, bool (L,)."""
        return self.lengths > (np.inf if self.trained_length is None else self.trained_length)

    @property
    def mean_accuracy(self) -> float:
        """The share of all sequences that was classified rightly."""
        return float(self.correct.sum() / self.total.sum())

    def __repr__(self) -> str:
        """Say the accuracy over all lengths and at the two ends."""
        return (
            f"LengthReport({self.total.sum():,} sequences, accuracy {self.mean_accuracy:.2%}: "
            f"{self.accuracy[0]:.1%} at length {self.lengths[0]}, {self.accuracy[-1]:.1%} at length {self.lengths[-1]})"
        )

    def joined(self, other: LengthReport) -> LengthReport:
        """Return one report of these sequences and those of another evaluation of the same model.

        Raises
        ------
        InvalidArgument
            When the other has other lengths or classes.
        """
        if not np.array_equal(self.lengths, other.lengths) or self.class_names != other.class_names:
            raise InvalidArgument("reports of other lengths or classes cannot be joined")
        counts = ("total", "correct", "class_total", "class_correct", "not_finite")
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in counts})

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Return which lengths belong together, by name, each bool (L,).

        They are ``"trained"`` (lengths up to the longest trained on) and ``"beyond"`` where both are known and there
        are some, and ``"all"``.
        """
        named = {"trained": ~self.beyond, "beyond": self.beyond} if self.trained_length is not None else {}
        found = {name: chosen for name, chosen in named.items() if chosen.any()}
        return {**found, "all": np.ones(len(self.lengths), dtype=bool)}

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a length.

        Its keys are ``length``, ``total``, ``correct``, ``accuracy``, ``low``, ``high``, ``beyond``,
        ``not_finite``, and for every class, by its name, ``..._total``, ``..._correct``, ``..._accuracy``, ``..._low``
        and ``..._high``; a share of no sequences is None.
        """
        each = np.eye(len(self.lengths), dtype=bool)
        return [
            {"length": int(length), **self._counted(chosen, bool(beyond))}
            for length, chosen, beyond in zip(self.lengths, each, self.beyond, strict=True)
        ]

    def totals(self) -> dict[str, dict[str, Any]]:
        """Return the records of `rows` for every one of `groups`, by its name: all its sequences counted together."""
        return {name: self._counted(chosen, name == "beyond") for name, chosen in self.groups().items()}

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV."""
        write_csv(self.rows(), path)

    def table(self, shortcuts: ShortcutReport | None = None) -> Table:
        """Return the accuracy, and how often each class is seen as what it is, as a Rich table; in per cent.

        Parameters
        ----------
        shortcuts : ShortcutReport, optional
            What classifiers reach that see less; they become rows below. They must have all lengths of the report.
        """
        columns = [*self.class_names] if len(self.class_names) <= FEW_CLASSES else []
        table = new_table(
            f"Accuracy by length, % ({self.confidence:.0%} interval)",
            *("length", "accuracy", *columns, "of"),
            caption=self._lost_caption(),
        )
        width = len(str(self.lengths[-1]))
        for row in self.rows():
            name = f"{row['length']:>{width}}" + (" beyond" if row["beyond"] else "")
            table.add_row(name, *self._cells(row, columns), style="yellow" if row["beyond"] else None)
        table.add_section()
        for name, row in self.totals().items():
            table.add_row(name, *self._cells(row, columns), style="yellow" if row["beyond"] else "bold")
        if len(self.class_names) > len(columns):
            self._add_class_rows(table)
        if shortcuts is not None:
            table.add_section()
            self._add_shortcuts(table, self._matching(shortcuts), len(columns))
        return table

    def plot(
        self,
        ax: Any = None,
        label: str | None = None,
        *,
        shortcuts: ShortcutReport | None = None,
        by_class: bool = False,
    ) -> Any:
        """Draw accuracy against length, with intervals and the chance level, and return the matplotlib axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without it, in a new figure.
        label : str, optional
            The name of the curve in the legend.
        shortcuts : ShortcutReport, optional
            What classifiers reach that see less; they become dashed lines, in the place of the chance level.
        by_class : bool
            Whether to draw how often each class is seen as what it is, too.
        """
        from myrnn import plots

        known = None if shortcuts is None else self._matching(shortcuts)
        return plots.plot_accuracy_by_length(self, label=label, shortcuts=known, by_class=by_class, ax=ax)

    def compare(self, other: LengthReport, names: tuple[str, str] = ("first", "second")) -> Comparison:
        """Compare with the report of another model, or of the same at another time.

        Parameters
        ----------
        other : LengthReport
            It must share some lengths with this one; the others are left out.
        names : two strings
            What to call the two, this one first.

        Returns
        -------
        Comparison
            The differences, this one less the other, and whether their intervals exclude zero.
        """
        if not isinstance(other, LengthReport):
            raise InvalidArgument(f"other must be a LengthReport, not {type(other).__name__}")
        return compare(self, other, names)

    @property
    def _class_keys(self) -> tuple[str, ...]:
        """The classes' names as records have them."""
        keys = tuple(slug(name) for name in self.class_names)
        distinct = len(set(keys)) == len(keys) and all(keys)
        return keys if distinct else tuple(f"class_{label}" for label in range(len(keys)))

    def _counted(self, chosen: NDArray[np.bool_], beyond: bool) -> dict[str, Any]:
        parts = [("", self.total[chosen].sum(), self.correct[chosen].sum())]
        by_class = zip(self.class_total[chosen].sum(axis=0), self.class_correct[chosen].sum(axis=0), strict=True)
        parts += [(f"{key}_", *counts) for key, counts in zip(self._class_keys, by_class, strict=True)]
        record: dict[str, Any] = {}
        for prefix, total, correct in parts:
            low, high = wilson_interval(correct, total, self.confidence)
            values = (int(total), int(correct), known(float(shares(correct, total))), float(low), float(high))
            record |= {
                f"{prefix}{key}": value
                for key, value in zip(("total", "correct", "accuracy", "low", "high"), values, strict=True)
            }
            if not prefix:
                record |= {"beyond": beyond, "not_finite": int(self.not_finite[chosen].sum())}
        return record

    def _lost_caption(self) -> str | None:
        if not self.not_finite.any():
            return None
        shortest = int(self.lengths[self.not_finite > 0].min())
        return f"counted as wrong: {lost_message(int(self.not_finite.sum()), int(self.total.sum()), shortest)}"

    def _cells(self, row: dict[str, Any], columns: list[str]) -> list[str]:
        prefixes = ["", *(f"{key}_" for key in self._class_keys[: len(columns)])]
        return [*(_share_cell(row, prefix) for prefix in prefixes), f"{row['total']:,}"]

    def _add_class_rows(self, table: Table) -> None:
        table.add_section()
        row = self.totals()["all"]
        for name, key in zip(self.class_names, self._class_keys, strict=True):
            table.add_row(f"of {name}", _share_cell(row, f"{key}_"), f"{row[f'{key}_total']:,}")

    def _add_shortcuts(self, table: Table, shortcuts: ShortcutReport, class_columns: int) -> None:
        empty = [""] * class_columns
        for name, row in shortcuts.totals().items():
            table.add_row(name, _share_cell(row, ""), *empty, f"{row['total']:,}", style="dim")
        if shortcuts.bayes is not None:
            table.add_row("Bayes rate", per_cent(shortcuts.bayes), *empty, "", style="dim")

    def _matching(self, shortcuts: ShortcutReport) -> ShortcutReport:
        if not isinstance(shortcuts, ShortcutReport):
            raise InvalidArgument(f"shortcuts must be a ShortcutReport, not {type(shortcuts).__name__}")
        missing = np.setdiff1d(self.lengths, shortcuts.lengths)
        if len(missing):
            raise InvalidArgument(
                f"the shortcuts know nothing of length {missing[0]}, which the report has: "
                "estimate them with shortcuts(task, lengths=report.lengths)"
            )
        return shortcuts.only(self.lengths)


def _share_cell(row: dict[str, Any], prefix: str) -> str:
    share = row[f"{prefix}accuracy"]
    return per_cent(float("nan") if share is None else share, (row[f"{prefix}low"], row[f"{prefix}high"]))
