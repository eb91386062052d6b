"""Scores of models and baselines side by side: numbers with their intervals, and their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.errors import InvalidArgument
from myrnn.evaluation.classes import confusion_of, f1_of
from myrnn.evaluation.intervals import Ratios, mean_ends, ratios, share_ends, t_of
from myrnn.evaluation.steps import Steps
from myrnn.results import Floats, Row, Shown, Table, percent, points, text, wilson_interval

# The kinds of targets at every step.
TAGS, TEXT, NUMBERS = "tags", "text", "numbers"
MODEL = "the model"
# The advantage of the model over a rule, per step.
GAIN = "gain"
# The columns of each kind, and their headings in a table.
HEADINGS = {
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
    NUMBERS: {"mae": "MAE", "rmse": "RMSE", "r2": "R²", "skill": "skill", GAIN: "model's gain, MAE"},
}
SHARES = frozenset({"accuracy", "sequence_accuracy", "macro_f1"})
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
        if np.isnan(self.value):
            return "-"
        return shown_number(self.value) + ("" if np.isnan(self.low) else f" ({_ends(self.low, self.high)})")


Scores = Mapping[str, Estimate]


def shown_number(value: float) -> str:
    """Return a number as text, with three decimals or four digits."""
    return f"{value:.3f}" if 0.01 <= abs(value) < 100 or value == 0 else f"{value:.4g}"


def _ends(low: float, high: float) -> str:
    return f"{shown_number(low)} to {shown_number(high)}"


def scores_table(title: str, kind: str, scores: Mapping[str, Scores], caption: str | None = None) -> Table:
    """Return a row for each model or rule: its name as ``model``, and each measure with its interval."""
    columns: dict[str, Any] = {"model": list(scores)}
    shown = [text("model", "")]
    for measure, heading in HEADINGS[kind].items():
        column = [each.get(measure, Estimate(float("nan"))) for each in scores.values()]
        if not column or np.isnan([one.value for one in column]).all():
            continue
        columns[measure] = [one.value for one in column]
        if not np.isnan([one.low for one in column]).all():
            columns |= {f"{measure}_low": [one.low for one in column], f"{measure}_high": [one.high for one in column]}
        if measure == GAIN:
            shown.append(_shown_gain(heading, kind == TAGS))
        elif measure not in _HIDDEN:
            shown.append(shown_measure(measure, heading))
    finite = {name: values if name == "model" else _finite(values) for name, values in columns.items()}
    return Table(title, finite, shown, caption=caption)


def _finite(values: list[float]) -> Floats:
    """Return numbers, with NaN instead of infinities, which JSON cannot represent."""
    return np.where(np.isfinite(values), values, np.nan)


def shown_measure(measure: str, heading: str | None = None) -> Shown:
    """Show a measure with its interval, whose ends are in the columns ``..._low`` and ``..._high``."""

    def cell(row: Row) -> str:
        value = row.get(measure)
        low, high = (None if measure in _PLAIN else row.get(f"{measure}_{end}") for end in ("low", "high"))
        if value is None:
            return "-"
        if measure in SHARES:
            return percent(value, None if low is None or high is None else (low, high))
        return shown_number(value) + ("" if low is None or high is None else f" ({_ends(low, high)})")

    return Shown(measure.replace("_", " ") if heading is None else heading, cell)


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


# --- The measures of each kind ----------------------------------------------------------------------------------------


def tag_scores(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, steps: Steps, confidence: float
) -> dict[str, Estimate]:
    """Return the scores of classes predicted at every step: of steps, of whole sequences, and the macro F1."""
    right = truth == predicted
    confusion, lost = confusion_of(truth, predicted, classes)
    there = steps.lengths > 0
    # A sequence is right if none of its steps is wrong.
    whole = np.logical_and.reduceat(right, steps.offsets[:-1][there])
    low, high = wilson_interval(whole.sum(), len(whole), confidence).tolist()
    return {
        "accuracy": share_estimate(steps.sums(right), steps, confidence),
        "sequence_accuracy": Estimate(float(whole.mean()), low, high),
        "macro_f1": Estimate(float(np.nanmean(f1_of(confusion, lost)))),
    }


def text_scores(nats: Floats, right: Floats, steps: Steps, confidence: float) -> dict[str, Estimate]:
    """Return the scores of symbol predictions, from the cross-entropy and the right ones of each cluster, (M,)."""
    mean = over_clusters(nats, steps)
    loss = Estimate(float(mean.value[0]), *mean_ends(mean, confidence)[0].tolist())
    with np.errstate(over="ignore"):
        perplexity = Estimate(*np.exp(loss).tolist())
    return {
        "bits_per_symbol": Estimate(*(end / float(np.log(2)) for end in loss)),
        "perplexity": perplexity,
        "cross_entropy": loss,
        "accuracy": share_estimate(right, steps, confidence),
    }


def number_scores(
    errors: Floats, targets: Floats, steps: Steps, naive_errors: Floats | None, confidence: float
) -> tuple[dict[str, Estimate], list[dict[str, Estimate]]]:
    """Return the scores of predicted numbers: over all columns, and for each.

    Parameters
    ----------
    errors, targets : ndarray, float64 (S, C)
    steps : Steps
    naive_errors : ndarray, float64 (S, C), or None
        Those of the naive forecast; NaN where there is none.
    confidence : float
    """
    squares, count = errors**2, np.ones(errors.shape)
    ratio_of = {
        "mae": (np.abs(errors), count),
        "rmse": (squares, count),
        "r2": (squares, np.where(varying(targets), targets - targets.mean(axis=0), 0.0) ** 2),
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


def varying(targets: Floats) -> NDArray[np.bool_]:
    """Return which columns have an R², bool (C,): those that are not constant."""
    return np.asarray(np.ptp(targets, axis=0) != 0)


def mean_r2(y: ArrayLike, said: Floats, weights: ArrayLike | None = None) -> float:
    """Return scikit-learn's R² for arrays (S,) or (S, C), the mean over columns; rows are weighted by weights (S,).

    A constant column, which has no R² in a report, counts 1 if it is predicted exactly, and 0 otherwise.
    """
    from sklearn.metrics import r2_score  # imported late because it takes long

    truth, rows = (np.asarray(given, np.float64).reshape(len(given), -1) for given in (y, said))  # type: ignore[arg-type]
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
    reach = float(t_of(clusters, confidence) * np.sqrt(variance))
    low, high = max(0.0, ratio - reach), ratio + reach
    if np.isnan(reach):
        low = high = float("nan")
    if measure == "rmse":
        return Estimate(*np.sqrt([ratio, low, high]).tolist())
    return Estimate(float(ratio), low, high) if measure == "mae" else Estimate(float(1 - ratio), 1 - high, 1 - low)


def over_clusters(sums: Floats, steps: Steps) -> Ratios:
    """Return the mean over steps of values with these sums over clusters (M,)."""
    sizes = np.diff(steps.clusters).astype(np.float64)
    return ratios(sums, sizes, np.zeros(len(sizes), dtype=np.int64), 1)


def share_estimate(right: Floats, steps: Steps, confidence: float) -> Estimate:
    """Return the share of steps that are right, with its interval, from their number in each cluster (M,)."""
    share = over_clusters(right, steps)
    return Estimate(float(share.value[0]), *share_ends(share, confidence)[0].tolist())
