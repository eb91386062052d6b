"""A report on given sequences: scores beside those of simple rules, and parts by class, length and position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from myrnn import _checks
from myrnn.data.targets import LABELS, TAGS, TEXT, VALUES
from myrnn.evaluation.buckets import Buckets, Calibration
from myrnn.evaluation.classes import Confusion
from myrnn.evaluation.lengths import LengthReport
from myrnn.evaluation.scores import (
    MODEL,
    Estimate,
    Scores,
    plain_scores,
    scores_table,
    summary_of,
)
from myrnn.results import Result, Table

# The titles of the scores of each kind, and the words for what was tested.
_TITLES = {LABELS: "Labels", TAGS: "A class at every step", TEXT: "The next symbol", VALUES: "Numbers"}
_UNITS = ("step", "row", "sequence")


@dataclass(frozen=True, repr=False, eq=False)
class Report(Result):
    """The scores of a model on given sequences, beside those of simple rules, and its parts: by class, by length.

    Every part is a result, too: a table that draws itself, such as ``report.positions.plot()``. Each score and each
    count is also an attribute, such as ``report.accuracy``.

    Attributes
    ----------
    kind : {"labels", "tags", "text", "numbers"}
        What the model predicts: a class for each sequence or for each step, the next symbol, or numbers.
    scores : dict of str to Estimate
        The measures, with their intervals. Labels: ``accuracy``, ``balanced_accuracy`` and ``macro_f1``. Tags:
        ``accuracy`` of the steps, ``sequence_accuracy`` (the share of sequences that are right at every step) and
        ``macro_f1``. Text: ``bits_per_symbol`` (for characters: bits per character), ``perplexity``, ``cross_entropy``
        in nats, and ``accuracy``, the share of steps whose symbol was the most likely one. Numbers: ``mae`` and
        ``rmse``, the mean absolute error and the root mean squared error of all numbers; ``r2``, the mean R² of the
        columns; and ``skill``, the mean of their skills (1 minus the ratio of the squared error to that of the naive
        forecast), if there is a naive forecast.
    counts : dict of str to int, float, str or None
        What was tested: ``sequences``, ``steps`` or ``rows``; ``not_finite``, how many of them have outputs that are
        not finite; and others by kind, such as ``impossible``, the symbols that had probability 0; ``naive``, the
        name of the naive forecast; and for labels ``base_rate``, the accuracy of always giving the most frequent class
        of each length, which is too high by chance with few sequences of each.
    confidence : float
        The level of the intervals.
    clusters : str
        The sampling units of the intervals of steps, such as ``"200 sequences"`` or ``"30 blocks"``: steps of one
        sequence, or of one block of a long sequence, are not independent.
    notes : tuple of str
        What else a reader should know, shown below the table.
    baselines : dict of str to dict of str to Estimate
        The scores of simple rules on the same sequences, by name, and the ``gain`` of the model: how much larger its
        share of correct steps is, or how many bits per step fewer it needs.
    confusion : Confusion or None
        The classes of labels and tags.
    every_length : LengthReport or None
        The accuracy of labels at each length, and of each class.
    lengths : Buckets or None
        The accuracy of labels and tags by the length of the sequence, in groups of lengths.
    positions : Buckets or None
        The measures of tags, text and numbers by the position of the step.
    calibration : Calibration or None
        The accuracy of labels by the probability of the predicted class.
    columns : dict of str to dict of str to Estimate
        The scores of numbers for each column.

    Examples
    --------
    >>> from myrnn.evaluation import tag_report
    >>> report = tag_report([0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], [0, 2, 4])
    >>> report.accuracy, round(report.scores["accuracy"].low, 3), report.confusion.recall.tolist()
    (0.75, 0.131, [1.0, 0.5])
    >>> report.positions
    Buckets(accuracy 50.0% at position 1, 100.0% at position 2)
    >>> report.rows()[0]["model"], len(report.tables()), report.kind
    ('the model', 3, 'tags')
    """

    kind: str
    scores: dict[str, Estimate]
    counts: dict[str, Any]
    confidence: float
    clusters: str
    notes: tuple[str, ...] = ()
    baselines: dict[str, Scores] = field(default_factory=dict)
    confusion: Confusion | None = None
    every_length: LengthReport | None = None
    lengths: Buckets | None = None
    positions: Buckets | None = None
    calibration: Calibration | None = None
    columns: dict[str, dict[str, Estimate]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Return a score or a count by its name."""
        scores, counts = self.__dict__.get("scores", {}), self.__dict__.get("counts", {})
        if name in scores:
            return scores[name].value
        if name in counts:
            return counts[name]
        raise AttributeError(f"a report on {self.__dict__.get('kind')} has no {name!r}, but {', '.join(scores)}")

    def __dir__(self) -> list[str]:
        """Return the attributes, with the scores and counts."""
        return [*super().__dir__(), *self.scores, *self.counts]

    def __repr__(self) -> str:
        """Show what was tested, and the scores."""
        units = [_checks.count_of(self.counts[f"{unit}s"], unit) for unit in _UNITS if f"{unit}s" in self.counts]
        return f"Report({self.kind}: {' of '.join(units)}, {summary_of(self.kind, self.scores)})"

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        by = {"lengths": self.lengths, "positions": self.positions}
        return {
            **self.counts,
            **plain_scores(self.scores),
            "confidence": self.confidence,
            "baselines": self._scores_table().rows()[1:],
            **({} if self.confusion is None else self.confusion.numbers()),
            **({"columns": {name: plain_scores(one) for name, one in self.columns.items()}} if self.columns else {}),
            **{name: part.rows() for name, part in by.items() if part is not None},
            **({} if self.calibration is None else {"calibration": self.calibration.numbers()}),
        }

    def table(self) -> Table:
        """Return the scores of the model, and below them those of the baselines; for labels, the rates of each class.

        Its columns are ``model``, each measure and the ends of its interval, such as ``accuracy_low``.
        """
        return self.tables()[0]

    def tables(self) -> list[Table]:
        """Return the tables that a terminal shows, the main one first."""
        found = [] if self.kind == LABELS else [self._scores_table()]
        if self.confusion is not None:
            found += [self.confusion.table(), self.confusion.matrix()]
        if len(self.columns) > 1:
            found.append(scores_table(self._titled("Numbers by column"), self.kind, self.columns, self._caption))
        return [*found, self.lengths.table()] if self.kind == LABELS and self.lengths is not None else found

    def _scores_table(self) -> Table:
        scores = {MODEL: self.scores, **self.baselines}
        return scores_table(self._titled(_TITLES[self.kind]), self.kind, scores, self._caption)

    def _titled(self, what: str) -> str:
        return f"{what} ({self.confidence:.0%} intervals, of {self.clusters})"

    @property
    def _caption(self) -> str | None:
        return "; ".join(self.notes) or None
