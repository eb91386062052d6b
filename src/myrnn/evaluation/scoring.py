"""The four functions that score predictions of labels, tags, text or numbers, and return a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.data.targets import LABELS, TAGS, TEXT, VALUES
from myrnn.errors import InvalidArgument
from myrnn.evaluation.baselines import Baselines, beside, best_of, naive_of, number_rows
from myrnn.evaluation.buckets import by_length, by_position, calibration, of_sequences
from myrnn.evaluation.classes import Labels, check_sums, checked_probabilities
from myrnn.evaluation.clusters import ClusteredSteps, Computed, ratios_of_steps, share_ends, warn_of_lost_steps
from myrnn.evaluation.lengths import LengthReport
from myrnn.evaluation.report import Report
from myrnn.evaluation.scores import (
    RANKED_BY,
    Estimate,
    Scores,
    number_scores,
    share_of,
    tag_scores,
    text_scores,
)
from myrnn.finite import NO_CLASS, is_lost, warn_of_lost
from myrnn.results import Floats

MAJORITY = "the most frequent class"


def classification_report(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: ArrayLike,
    lengths: ArrayLike,
    *,
    bins: int = 10,
    buckets: int = 8,
    trained: int | None = None,
    confidence: float = 0.95,
) -> Report:
    """Compare the predictions of a classifier with the true labels.

    Parameters
    ----------
    truth : array_like (N,)
        The labels of the sequences; labels that are not in `classes` count as mistakes.
    probabilities : array_like (N, K)
        As returned by `SequenceClassifier.predict_proba`. The class of the largest is predicted. A row of NaN is a
        sequence whose logits are not finite: it counts as wrong, and a warning says how many there are.
    classes : array_like (K,)
        The labels of the columns, as in `SequenceClassifier.classes_`.
    lengths : array_like of int (N,)
        T of every sequence.
    bins : int
        The number of bins of equal width for the probabilities.
    buckets : int
        The maximum number of buckets for the lengths.
    trained : int, optional
        The longest length in the training: longer lengths are then marked as beyond.
    confidence : float
        The level of the intervals, Wilson's.

    Returns
    -------
    Report

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no sequence, or the probabilities are invalid.

    Examples
    --------
    >>> report = classification_report(["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"], [3, 5, 5])
    >>> report
    Report(labels: 3 sequences, right 66.7% (20.8-93.9), balanced 75.0%, macro F1 66.7%)
    >>> report.confusion.counts.tolist(), round(report.balanced_accuracy, 3), report.lengths.correct.tolist()
    ([[1, 0], [1, 1]], 0.75, [1, 1])
    """
    labels = Labels.of("truth", truth, classes)
    count = len(labels.truth)
    values = checked_probabilities(probabilities, count, len(labels.columns)).astype(np.float64)
    steps = _checks.integers("lengths", lengths, minimum=0, maximum=2**62).astype(np.int64)
    if len(steps) != count:
        raise InvalidArgument(f"lengths must be one for each of the {count} labels, not {len(steps)}")
    level = _checks.real("confidence", confidence, above=0, below=1)
    count_bins, most = _checks.integer("bins", bins, minimum=1), _checks.integer("buckets", buckets, minimum=1)
    lost, predicted = is_lost(values), labels.predicted(values)
    warn_of_lost(lost, steps)
    right = predicted == labels.truth
    confusion = labels.confusion(predicted, level)
    each = LengthReport.of(
        steps,
        labels.truth,
        right,
        lost,
        labels.names,
        chance=1 / values.shape[1],
        trained_length=None if trained is None else _checks.integer("trained", trained, minimum=0),
        confidence=level,
    )
    return Report(
        LABELS,
        {
            "accuracy": share_of(right, level),
            "balanced_accuracy": Estimate(confusion.balanced_accuracy),
            "macro_f1": Estimate(confusion.macro_f1),
        },
        {
            "sequences": count,
            "not_finite": int(lost.sum()),
            "shortest_not_finite": int(steps[lost].min()) if lost.any() else None,
            "base_rate": float(each.class_total.max(axis=1).sum() / count),
        },
        level,
        _checks.count_of(count, "sequence"),
        confusion=confusion,
        every_length=each,
        lengths=of_sequences(each, most, {MAJORITY: confusion.majority}),
        calibration=calibration(values[~lost].max(axis=1), right[~lost], count_bins, level),
    )


def tag_report(
    targets: ArrayLike,
    probabilities: ArrayLike,
    offsets: ArrayLike,
    confidence: float = 0.95,
    *,
    classes: ArrayLike | None = None,
    baselines: Baselines | None = None,
) -> Report:
    """Compare the classes that a model predicts at every step with the true ones.

    Parameters
    ----------
    targets : array_like (S,)
        The class of every step of all N sequences, concatenated: a column of `probabilities`, 0 to K - 1, or one of
        `classes`.
    probabilities : array_like of float (S, K)
        The probabilities of the classes at every step. The class of the largest is predicted. A row of NaN stands for
        outputs that are not finite: its step counts as wrong, and a warning says how many there are.
    offsets : array_like of int (N + 1,)
        The start of each sequence, and the end of the last one.
    confidence : float
        The level of the intervals.
    classes : array_like (K,), optional
        The labels of the columns. Targets that are not among them count as mistakes.
    baselines : Baselines, optional
        The result of `tag_baselines` for the same sequences, shown below the model.

    Returns
    -------
    Report

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no step, no target is one of the classes, or the probabilities are
        invalid.

    References
    ----------
    Those of :doc:`/explanation/intervals`.

    Examples
    --------
    >>> report = tag_report([0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], [0, 2, 4])
    >>> report.accuracy, report.sequence_accuracy, report.confusion.counts.tolist()
    (0.75, 0.5, [[2, 0], [1, 1]])
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    truth = _targets(targets, any_label=classes is not None)
    known = None if classes is None else _checks.array("classes", classes)
    values = checked_probabilities(probabilities, len(truth), None if known is None else known.size, each="step")
    steps = ClusteredSteps.given(offsets, len(truth))
    if known is None:
        known = np.arange(values.shape[1])
        _checks.integers("targets", truth, minimum=0, maximum=values.shape[1] - 1)
    labels = Labels.of("targets", truth, known)
    if not np.isin(labels.truth, labels.columns).any():
        first = labels.names[labels.truth[0]]
        raise InvalidArgument(
            f"no target is one of the classes: the first target is {first!r}, the first class {str(known[0])!r}"
        )
    lost, predicted = is_lost(values), labels.predicted(values)
    right = predicted == labels.truth
    rules = beside(baselines, TAGS, steps.sums(~right), steps, level)
    warn_of_lost_steps(lost, steps, "outputs", "they count as wrong")
    by_class = ratios_of_steps(right, steps, labels.truth, len(labels.names))
    confusion = labels.confusion(predicted, level, share_ends(by_class, level))
    levels = _best(TAGS, rules) or {MAJORITY: confusion.majority}
    there = steps.lengths > 0
    return Report(
        TAGS,
        tag_scores(right, confusion.macro_f1, steps, level),
        {
            "steps": len(truth),
            "sequences": int(there.sum()),
            "not_finite": int(lost.sum()),
            "sequences_not_finite": int(np.logical_or.reduceat(lost, steps.offsets[:-1][there]).sum()),
        },
        level,
        steps.cluster_count,
        _notes({f"{_checks.count_of(lost.sum(), 'step')} without finite outputs count as wrong": lost.any()}),
        rules,
        confusion=confusion,
        lengths=by_length(steps, right, level, levels),
        positions=by_position(steps, {"accuracy": right}, level, levels),
    )


def text_report(
    targets: ArrayLike,
    probabilities: ArrayLike,
    offsets: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    baselines: Baselines | None = None,
) -> Report:
    """Compare the probabilities that a model predicts for the next symbol with the observed symbols.

    Parameters
    ----------
    targets : array_like of int (S,)
        The observed next symbol at every step of all N sequences, concatenated, 0 to K - 1.
    probabilities : array_like of float (S, K)
        The probabilities of the symbols at every step; a row adds up to 1. A row of NaN stands for outputs that are not
        finite: its step counts as wrong, as if its symbol had probability 0, and a warning says how many there are.
    offsets : array_like of int (N + 1,), optional
        The start of each sequence, and the end of the last one; by default there is one sequence.
    confidence, baselines
        As for `tag_report`; the baselines are those of `text_baselines`.

    Returns
    -------
    Report

    Raises
    ------
    InvalidArgument
        As for `tag_report`.

    Notes
    -----
    A probability of 0 is replaced by the smallest positive number of its type at full precision, 1.2e-38 for float32
    and 2.2e-308 for float64, so that the cross-entropy is finite; `impossible` counts these symbols.

    References
    ----------
    Jelinek, Mercer, Bahl and Baker, "Perplexity - a measure of the difficulty of speech recognition tasks", Journal of
    the Acoustical Society of America 62, 1977. For the intervals, those of :doc:`/explanation/intervals`.

    Examples
    --------
    >>> report = text_report([0, 1, 1], [[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]])
    >>> round(report.bits_per_symbol, 3), round(report.perplexity, 3), round(report.accuracy, 3)
    (1.333, 2.52, 0.333)
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    truth = _checks.integers("targets", targets, minimum=0, maximum=2**62).astype(np.int64)
    if not len(truth):
        raise InvalidArgument("targets must be the symbols of at least one step, not an empty list")
    values = checked_probabilities(probabilities, len(truth), None, each="step")
    _checks.integers("targets", truth, minimum=0, maximum=values.shape[1] - 1)
    lost = is_lost(values)
    check_sums(values, lost)
    chosen = values[np.arange(len(truth)), truth]
    right = np.where(lost, NO_CLASS, np.argmax(values, axis=1)) == truth
    layout = [0, len(truth)] if offsets is None else offsets
    return report_of_chosen(chosen, right, lost, values.shape[1], layout, level, baselines)


def report_of_chosen(
    chosen: NDArray[Any],
    right: NDArray[np.bool_],
    lost: NDArray[np.bool_],
    symbols: int,
    offsets: ArrayLike,
    confidence: float = 0.95,
    baselines: Baselines | None = None,
) -> Report:
    """Return the report on the probabilities of the observed symbols (S,), and whether each was the likeliest.

    `lost` marks steps with outputs that are not finite; `symbols` is the number of different symbols.
    """
    steps = ClusteredSteps.given(offsets, len(chosen))
    nats, bits = _surprise(chosen, lost, 1.0), _surprise(chosen, lost, float(np.log(2)))
    rules = beside(baselines, TEXT, steps.sums(bits), steps, confidence)
    warn_of_lost_steps(lost, steps, "outputs", "they count as wrong, with probability 0 for the symbol that came")
    impossible = int(np.count_nonzero(lost | ~(chosen > 0)))
    return Report(
        TEXT,
        text_scores(steps.sums(nats), steps.sums(right), steps, confidence),
        {
            "steps": len(chosen),
            "symbols": symbols,
            "sequences": int(np.count_nonzero(steps.lengths)),
            "not_finite": int(lost.sum()),
            "impossible": impossible,
        },
        confidence,
        steps.cluster_count,
        _notes({f"{_checks.count_of(impossible, 'symbol')} came that had probability 0": impossible}),
        rules,
        positions=by_position(steps, {"bits_per_symbol": bits, "accuracy": right}, confidence, _best(TEXT, rules)),
    )


def _surprise(chosen: NDArray[Any], lost: NDArray[np.bool_], unit: float) -> Computed:
    """Return the negative logarithms of probabilities (S,), made finite for 0, in a unit of so many nats."""
    smallest = np.finfo(chosen.dtype if chosen.dtype.kind == "f" else np.float64).tiny

    def compute(steps: slice) -> Floats:
        given = np.where(lost[steps], 0, chosen[steps]).astype(np.float64)
        return -np.log(np.clip(given, smallest, 1.0)) / unit

    return Computed(compute)


def number_report(
    targets: ArrayLike,
    predictions: ArrayLike,
    offsets: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    naive: str | int | ArrayLike | Mapping[str, ArrayLike] | None = None,
    names: Sequence[str] | None = None,
) -> Report:
    """Compare the numbers that a model predicts with the true ones.

    Parameters
    ----------
    targets : array_like of float (S,) or (S, C)
        The true values at every step of all N sequences, concatenated, or one row for each sequence.
    predictions : array_like of float, shape of `targets`
        The predictions of the model. Measures computed from predictions that are not finite are NaN; a warning says how
        many rows there are.
    offsets : array_like of int (N + 1,), optional
        The start of each sequence, and the end of the last one; by default each row is independent.
    confidence : float
        As for `tag_report`.
    naive : {"last"}, int, array_like or mapping of str to array_like, optional
        The forecast to compare with: the last known value, the value this many steps before (a season), or forecasts in
        the shape of `targets`, NaN where there is none; a mapping gives these their name.
    names : sequence of str (C,), optional
        The names of the columns; by default their numbers.

    Returns
    -------
    Report

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no row, a target is not finite, or a naive forecast needs
        `offsets`.

    Notes
    -----
    R² is 1 minus the ratio of the squared error to that of the mean of the test targets; a constant column has none.
    MAE and RMSE over several columns are those of all their numbers, whatever their units.

    References
    ----------
    Murphy, "Skill scores based on the mean square error and their relationships to the correlation coefficient",
    Monthly Weather Review 116, 1988. For naive forecasts, that of `naive_forecast`; for the intervals, those of
    :doc:`/explanation/intervals`.

    Examples
    --------
    >>> report = number_report([1.0, 2.0, 4.0, 3.0], [1.0, 2.5, 3.5, 3.0], [0, 4], naive="last")
    >>> report.mae, round(report.r2, 3), round(report.skill, 3)
    (0.25, 0.9, 0.917)
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    truth, predicted_rows = number_rows("targets", targets), number_rows("predictions", predictions)
    _checks.finite("targets", truth)
    if predicted_rows.shape != truth.shape:
        raise InvalidArgument(
            f"predictions must be of the shape of the targets, {truth.shape}, not {predicted_rows.shape}"
        )
    rows, count = truth.shape
    steps = ClusteredSteps.given(np.arange(rows + 1) if offsets is None else offsets, rows)
    called = [str(column) for column in range(count)] if names is None else [str(one) for one in names]
    if len(called) != count:
        raise InvalidArgument(f"names must be one for each column, {count} in all, not {len(called)}")
    if len(set(called)) < count:
        raise InvalidArgument(f"names must differ, but they are {', '.join(called)}")
    name, forecast = naive_of(naive, truth, None if offsets is None else steps)
    naive_rows = 0 if forecast is None else int((~np.isnan(forecast)).any(axis=1).sum())
    lost = ~np.isfinite(predicted_rows).all(axis=1)
    errors = np.where(np.isfinite(predicted_rows), predicted_rows, np.nan) - truth
    by_step = {"rmse": (errors**2).mean(axis=1), "mae": np.abs(errors).mean(axis=1)}
    warn_of_lost_steps(lost, steps, "predictions", "errors that are computed from them are NaN")
    together, each = number_scores(errors, truth, steps, None if forecast is None else forecast - truth, level)
    return Report(
        VALUES,
        together,
        {"rows": rows, "not_finite": int(lost.sum()), "naive": name, "naive_rows": naive_rows},
        level,
        steps.cluster_count if offsets is not None else _checks.count_of(rows, "row"),
        _notes(
            {
                f"skill: against {name}, in {naive_rows:,} of {rows:,} rows": name,
                f"predictions of {_checks.count_of(lost.sum(), 'row')} are not finite": lost.any(),
            }
        ),
        positions=None if offsets is None else by_position(steps, by_step, level, {}),
        columns=dict(zip(called, each, strict=True)),
    )


def _notes(notes: dict[str, Any]) -> tuple[str, ...]:
    """Return the notes that apply."""
    return tuple(note for note, applies in notes.items() if applies)


def _best(kind: str, rules: dict[str, Scores]) -> dict[str, float]:
    """Return the name of the best rule, and its score."""
    return {name: rules[name][RANKED_BY[kind]].value for name in [best_of(kind, rules)]} if rules else {}


def _targets(given: ArrayLike, any_label: bool) -> NDArray[Any]:
    """Return the targets of steps, which must be whole numbers unless `any_label`."""
    targets = _checks.array("targets", given)
    if targets.ndim != 1 or not len(targets) or (targets.dtype.kind not in "iu" and not any_label):
        kind = "label" if any_label else "integer"
        raise InvalidArgument(
            f"targets must be one {kind} for each of at least one step, not {targets.dtype} of shape {targets.shape}"
        )
    return targets
