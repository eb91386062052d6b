"""The measures of predictions by kind of target: numbers with their intervals, and their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.data.targets import LABELS, TAGS, TEXT, VALUES
from myrnn.errors import InvalidArgument
from myrnn.evaluation.clusters import ClusteredSteps, mean_ends, ratio, share_ends
from myrnn.intervals import student_interval, wilson_interval
from myrnn.results import Floats, Row, Shown, Table, percent, points, text

MODEL = "the model"
# The advantage of the model over a rule, per step.
GAIN = "gain"
# The measures of each kind, and their headings in a table.
HEADINGS = {
    LABELS: {"accuracy": "right, %", "balanced_accuracy": "balanced, %", "macro_f1": "macro F1, %"},
    TAGS: {
        "accuracy": "steps right, %",
        "sequence_accuracy": "whole sequences, %",
        "macro_f1": "macro F1, %",
        GAIN: "model's gain, points",
    },
    TEXT: {
        "bits_per_symbol": "bits per symbol",
        "perplexity": "perplexity",
        "cross_entropy": "nats",
        "accuracy": "right, %",
        GAIN: "model's gain, bits",
    },
    VALUES: {"mae": "MAE", "rmse": "RMSE", "r2": "R²", "skill": "skill"},
}
# The measure that ranks simple rules.
RANKED_BY = {TAGS: "accuracy", TEXT: "bits_per_symbol"}
SHARES = frozenset({"accuracy", "sequence_accuracy", "balanced_accuracy", "macro_f1"})
# Shown without their intervals, which follow from those of the bits per symbol, or not at all.
_PLAIN, _HIDDEN = frozenset({"perplexity"}), frozenset({"cross_entropy"})


class Estimate(NamedTuple):
    """A number and its interval; the ends are NaN if there is none.

    Attributes
    ----------
    value, low, high : float

    Examples
    --------
    >>> estimate = Estimate(1.874, 1.852, 1.896)
    >>> str(estimate), estimate.value
    ('1.874 (1.852 to 1.896)', 1.874)
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        """Return the number and its interval, such as ``1.874 (1.852 to 1.896)``."""
        return written("", *self)


Scores = Mapping[str, Estimate]


def shown_number(value: float) -> str:
    """Return a number as text, with three decimals or four digits."""
    return f"{value:.3f}" if 0.01 <= abs(value) < 100 or value == 0 else f"{value:.4g}"


def written(measure: str, value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a measure and its interval as text, shares in per cent; a dash for None or NaN."""
    if value is None or np.isnan(value):
        return "-"
    has_ends = low is not None and high is not None and not np.isnan(low) and measure not in _PLAIN
    if measure in SHARES:
        return percent(value, (low, high) if has_ends else None)  # type: ignore[arg-type]
    return shown_number(value) + (f" ({shown_number(low)} to {shown_number(high)})" if has_ends else "")  # type: ignore[arg-type]


def summary_of(kind: str, scores: Scores) -> str:
    """Return the measures of a model in a line, such as ``MAE 0.375 (0.2 to 0.5), RMSE 0.559``."""
    parts = []
    for measure, heading in HEADINGS[kind].items():
        if measure in scores and measure not in _HIDDEN:
            value, *ends = written(measure, *scores[measure]).split(" ", 1)
            unit = "%" if measure in SHARES else ""
            parts.append(" ".join((heading.removesuffix(", %"), f"{value}{unit}", *ends)))
    return ", ".join(parts)


def scores_table(title: str, kind: str, scores: Mapping[str, Scores], caption: str | None = None) -> Table:
    """Return a row for each model or rule: its name as ``model``, and each measure with its interval."""
    columns: dict[str, Any] = {"model": list(scores)}
    shown = [text("model", "")]
    for measure, heading in HEADINGS[kind].items():
        # Infinities cannot be represented in JSON.
        ends = np.array([each.get(measure, Estimate(float("nan"))) for each in scores.values()]).reshape(-1, 3)
        value, low, high = np.where(np.isfinite(ends), ends, np.nan).T
        if np.isnan(ends[:, 0]).all():
            continue
        columns[measure] = value
        if not np.isnan(ends[:, 1]).all():
            columns |= {f"{measure}_low": low, f"{measure}_high": high}
        if measure == GAIN:
            shown.append(_shown_gain(heading, kind == TAGS))
        elif measure not in _HIDDEN:
            shown.append(shown_measure(measure, heading))
    return Table(title, columns, shown, caption=caption)


def shown_measure(measure: str, heading: str) -> Shown:
    """Show a measure with its interval, whose ends are in the columns ``..._low`` and ``..._high``."""
    ends = f"{measure}_low", f"{measure}_high"
    return Shown(heading, lambda row: written(measure, row.get(measure), *(row.get(end) for end in ends)))


def _shown_gain(heading: str, in_points: bool) -> Shown:
    """Show a difference with its sign; nothing in the row of the model."""

    def cell(row: Row) -> str:
        ends = [row[name] for name in (GAIN, f"{GAIN}_low", f"{GAIN}_high") if row.get(name) is not None]
        if not ends:
            return "" if row["model"] == MODEL else "-"
        if in_points:
            return points(ends[0], ends[1:]) if ends[1:] else f"{100 * ends[0]:+.1f}"
        value, *interval = (f"{'+' if end > 0 else ''}{shown_number(end)}" for end in ends)
        return f"{value} ({' to '.join(interval)})" if interval else value

    return Shown(heading, cell)


def plain_scores(scores: Scores) -> dict[str, Any]:
    """Return measures and the ends of their intervals as plain values; None for values that are not finite."""
    found: dict[str, Any] = {}
    for measure, one in scores.items():
        for name, value in zip((measure, f"{measure}_low", f"{measure}_high"), one, strict=True):
            if name == measure or not np.isnan(one.low):
                found[name] = value if np.isfinite(value) else None
    return found


def read_scores(given: Mapping[str, Any]) -> dict[str, Estimate]:
    """Return the measures among the numbers of a report that has stored them as `plain_scores`, checked."""
    measures = {measure for headings in HEADINGS.values() for measure in headings}
    found = {}
    for measure in (name for name in given if name in measures):
        known = {name: given.get(name) for name in (measure, f"{measure}_low", f"{measure}_high")}
        if known[measure] is not None:
            ends = (float("nan") if end is None else _checks.real(name, end) for name, end in known.items())
            found[measure] = Estimate(*ends)
    return found


# --- The measures of each kind ----------------------------------------------------------------------------------------


def tag_scores(
    right: NDArray[np.bool_], macro_f1: float, steps: ClusteredSteps, confidence: float
) -> dict[str, Estimate]:
    """Return the scores of classes predicted at every step, from which are right (S,)."""
    # A sequence is right if none of its steps is wrong.
    whole = np.logical_and.reduceat(right, steps.offsets[:-1][steps.lengths > 0])
    return {
        "accuracy": _share(steps.sums(right), steps, confidence),
        "sequence_accuracy": share_of(whole, confidence),
        "macro_f1": Estimate(macro_f1),
    }


def share_of(right: NDArray[np.bool_], confidence: float) -> Estimate:
    """Return the share of independent cases (N,) that are right, with Wilson's interval."""
    return Estimate(float(right.mean()), *wilson_interval(right.sum(), len(right), confidence).tolist())


def text_scores(nats: Floats, right: Floats, steps: ClusteredSteps, confidence: float) -> dict[str, Estimate]:
    """Return the scores of symbol predictions, from the cross-entropy and the right ones of each cluster, (M,)."""
    loss = mean_of(nats, steps, confidence)
    with np.errstate(over="ignore"):
        perplexity = Estimate(*np.exp(loss).tolist())
    return {
        "bits_per_symbol": Estimate(*(end / float(np.log(2)) for end in loss)),
        "perplexity": perplexity,
        "cross_entropy": loss,
        "accuracy": _share(right, steps, confidence),
    }


def number_scores(
    errors: Floats, targets: Floats, steps: ClusteredSteps, naive_errors: Floats | None, confidence: float
) -> tuple[dict[str, Estimate], list[dict[str, Estimate]]]:
    """Return the scores of predicted numbers, over all C columns and for each, from their errors (S, C)."""
    squares, count = errors**2, np.ones(errors.shape)
    ratio_of = {
        "mae": (np.abs(errors), count),
        "rmse": (squares, count),
        "r2": (squares, np.where(np.ptp(targets, axis=0) != 0, targets - targets.mean(axis=0), 0.0) ** 2),
    }
    if naive_errors is not None:
        known = ~np.isnan(naive_errors)
        ratio_of["skill"] = (np.where(known, squares, 0.0), np.where(known, naive_errors, 0.0) ** 2)
    together: dict[str, Estimate] = {}
    each: list[dict[str, Estimate]] = [{} for _ in range(errors.shape[1])]
    for measure, (above, below) in ratio_of.items():
        values, influence = _ratios_of_columns(steps.sums(above), steps.sums(below))
        for column, found in enumerate(each):
            found[measure] = _finished(measure, values[column], influence[:, column], confidence)
        # A column without a reference to compare with, such as a constant one, has no R² and no skill.
        some = np.flatnonzero(below.sum(axis=0) > 0)
        known_columns = some if len(some) else np.arange(errors.shape[1])
        mean = values[known_columns].mean()
        together[measure] = _finished(measure, mean, influence[:, known_columns].mean(axis=1), confidence)
    return together, each


def mean_r2(y: ArrayLike, predicted: Floats, weights: ArrayLike | None = None) -> float:
    """Return scikit-learn's R² for arrays (S,) or (S, C), the mean over columns; rows are weighted by weights (S,).

    A constant column, which has no R² in a report, counts 1 if it is predicted exactly, and 0 otherwise.
    """
    from sklearn.metrics import r2_score  # imported late because it takes long

    truth, rows = (np.asarray(given, np.float64).reshape(len(given), -1) for given in (y, predicted))  # type: ignore[arg-type]
    if truth.shape != rows.shape:
        raise InvalidArgument(f"y must be of the shape of what is predicted, {rows.shape}, not {truth.shape}")
    return float(r2_score(truth, rows, sample_weight=weights))


def _ratios_of_columns(above: Floats, below: Floats) -> tuple[Floats, Floats]:
    """Return the ratio of each column's sums over clusters (M, C), and the influence of each cluster on it, (M, C)."""
    total = below.sum(axis=0)
    total = np.where(total > 0, total, np.nan)
    ratio = above.sum(axis=0) / total
    return ratio, (above - ratio * below) / total


def _finished(measure: str, ratio: float, influence: Floats, confidence: float) -> Estimate:
    """Return a measure from the ratio that defines it: its root, or 1 minus the ratio."""
    clusters = len(influence)
    variance = np.sum(influence**2) * clusters / (clusters - 1) if clusters > 1 else np.nan
    low, high = student_interval(ratio, np.sqrt(variance), clusters, confidence).tolist()
    low = float(np.maximum(low, 0.0))
    if measure == "rmse":
        return Estimate(*np.sqrt([ratio, low, high]).tolist())
    return Estimate(float(ratio), low, high) if measure == "mae" else Estimate(float(1 - ratio), 1 - high, 1 - low)


def mean_of(sums: Floats, steps: ClusteredSteps, confidence: float) -> Estimate:
    """Return the mean over steps of values with these sums over clusters (M,)."""
    mean = ratio(sums, np.diff(steps.clusters))
    return Estimate(float(mean.value[0]), *mean_ends(mean, confidence)[0].tolist())


def _share(right: Floats, steps: ClusteredSteps, confidence: float) -> Estimate:
    """Return the share of steps that are right, with its interval, from their number in each cluster (M,)."""
    share = ratio(right, np.diff(steps.clusters))
    return Estimate(float(share.value[0]), *share_ends(share, confidence)[0].tolist())
