"""A test of a model that predicts the next symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.baselines import Baselines, check_baselines, gains_of, table_with_baselines
from myrnn.evaluation.buckets import StepBuckets, by_position
from myrnn.evaluation.classes import check_sums, checked_probabilities
from myrnn.evaluation.scores import (
    TEXT,
    Estimate,
    plain_scores,
    text_scores,
)
from myrnn.evaluation.steps import Steps, warn_of_lost_steps
from myrnn.results import NO_CLASS, Floats, HasTable, Table, is_lost


@dataclass(frozen=True, repr=False, eq=False)
class TextReport(HasTable):
    """The scores of a model that predicts the next symbol at every step.

    Attributes
    ----------
    scores : dict of str to Estimate
        ``bits_per_symbol`` (for characters: bits per character), ``perplexity``, ``cross_entropy`` in nats, and
        ``accuracy``, the share of steps whose symbol was the most likely one; with their intervals.
    steps, symbols, sequences : int
        The number of steps, of different symbols, and of sequences with at least one step.
    not_finite : int
        The number of steps with outputs that are not finite.
    impossible : int
        The number of observed symbols with probability 0, including those of steps that are not finite.
    positions : StepBuckets
        ``bits_per_symbol`` and ``accuracy`` by the position of the step: at the beginning a model has little context.
    clusters : str
        The sampling units of the intervals, such as ``"200 sequences"`` or ``"30 blocks"``.
    baselines : Baselines or None
        Scores of n-gram models on the same sequences.
    gains : dict of str to Estimate
        For each baseline by name, how many bits per step fewer the model needs, with the interval of the difference.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn.evaluation import text_report
    >>> report = text_report([0, 1, 1], [[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]])
    >>> round(report.cross_entropy, 3), round(report.perplexity, 3), report.clusters
    (0.924, 2.52, '3 blocks')
    >>> report.scores["accuracy"].value == report.accuracy
    True
    """

    scores: dict[str, Estimate]
    steps: int
    symbols: int
    sequences: int
    not_finite: int
    impossible: int
    positions: StepBuckets
    clusters: str
    baselines: Baselines | None
    gains: dict[str, Estimate]
    confidence: float = 0.95

    @property
    def cross_entropy(self) -> float:
        """The mean of -ln of the probabilities of the observed symbols, in nats."""
        return self.scores["cross_entropy"].value

    @property
    def bits_per_symbol(self) -> float:
        """The cross-entropy in bits; for characters it is called bits per character."""
        return self.scores["bits_per_symbol"].value

    @property
    def perplexity(self) -> float:
        """The exponential of the cross-entropy: predicting is as hard as guessing among this many symbols."""
        return self.scores["perplexity"].value

    @property
    def accuracy(self) -> float:
        """The share of steps whose symbol was the most likely one."""
        return self.scores["accuracy"].value

    def __repr__(self) -> str:
        """Show bits per symbol, perplexity and accuracy."""
        _, low, high = self.scores["bits_per_symbol"]
        return (
            f"TextReport({_checks.count_of(self.steps, 'step')}, {self.bits_per_symbol:.3f} bits per symbol "
            f"({low:.3f} to {high:.3f}), perplexity {self.perplexity:.4g}, accuracy {self.accuracy:.2%})"
        )

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "steps": self.steps,
            "symbols": self.symbols,
            "sequences": self.sequences,
            "not_finite": self.not_finite,
            "impossible": self.impossible,
            **plain_scores(self.scores),
            "confidence": self.confidence,
            "baselines": self.table().rows()[1:],
            "positions": self.positions.rows(),
        }

    def table(self) -> Table:
        """Return the scores of the model, and below them those of the baselines.

        Its columns are ``model``, ``bits_per_symbol``, ``perplexity``, ``cross_entropy``, ``accuracy``, and the ends
        of their intervals, such as ``accuracy_low``.
        """
        title = f"The next symbol ({self.confidence:.0%} intervals, of {self.clusters})"
        lost = f"{_checks.count_of(self.impossible, 'symbol')} came that had probability 0" if self.impossible else None
        return table_with_baselines(title, TEXT, self.scores, self.baselines, self.gains, lost)

    def plot(self, ax: Any = None) -> Any:
        """Draw bits per symbol by position, with the best baseline, and return the Matplotlib axes."""
        levels = None
        if self.baselines is not None:
            best = self.baselines.best
            levels = {best: self.baselines.scores[best]["bits_per_symbol"].value}
        return self.positions.plot(ax, levels=levels)


def text_report(
    targets: ArrayLike,
    probabilities: ArrayLike,
    offsets: ArrayLike | None = None,
    confidence: float = 0.95,
    *,
    baselines: Baselines | None = None,
) -> TextReport:
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
    confidence : float
        The level of the intervals.
    baselines : Baselines, optional
        The result of `text_baselines` for the same sequences, shown below the model.

    Returns
    -------
    TextReport

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together or hold no step, or the probabilities are invalid.

    Notes
    -----
    A probability of 0 is replaced by the smallest positive number of its type at full precision, 1.2e-38 for float32
    and 2.2e-308 for float64, so that the cross-entropy is finite; `impossible` counts these symbols.

    Intervals are those of cluster samples, over sequences (`ratio_interval` and `cluster_interval`). With fewer than 10
    sequences the clusters are blocks of consecutive steps, about 30 in all.

    References
    ----------
    Jelinek, Mercer, Bahl and Baker, "Perplexity - a measure of the difficulty of speech recognition tasks", Journal of
    the Acoustical Society of America 62, 1977. Schmeiser, "Batch size effects in the analysis of simulation output",
    Operations Research 30, 1982 (the blocks).

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
) -> TextReport:
    """Return the report on the probabilities of the observed symbols (S,), and whether each was the likeliest.

    `lost` marks steps with outputs that are not finite; `symbols` is the number of different symbols.
    """
    steps = Steps.given(offsets, len(chosen))
    check_baselines(baselines, TEXT, steps)
    warn_of_lost_steps(lost, steps, "outputs", "they count as wrong, with probability 0 for the symbol that came")
    nats, bits = _Surprise(chosen, lost, 1.0), _Surprise(chosen, lost, float(np.log(2)))
    return TextReport(
        text_scores(steps.sums(nats), steps.sums(right), steps, confidence),
        len(chosen),
        symbols,
        int(np.count_nonzero(steps.lengths)),
        int(lost.sum()),
        int(np.count_nonzero(lost | ~(chosen > 0))),
        by_position(steps, {"bits_per_symbol": bits, "accuracy": right}, confidence),
        steps.cluster_count,
        baselines,
        gains_of(baselines, steps.sums(bits), confidence),
        confidence,
    )


@dataclass(frozen=True)
class _Surprise:
    """The negative logarithms of probabilities (S,), made finite for 0, in a unit of so many nats."""

    chosen: NDArray[Any]
    lost: NDArray[np.bool_]
    unit: float

    def __getitem__(self, steps: slice) -> Floats:
        given = np.where(self.lost[steps], 0, self.chosen[steps]).astype(np.float64)
        smallest = np.finfo(self.chosen.dtype if self.chosen.dtype.kind == "f" else np.float64).tiny
        return -np.log(np.clip(given, smallest, 1.0)) / self.unit
