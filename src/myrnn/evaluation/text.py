"""A test of a model that says which symbol comes next."""

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
    """How well a model says the next symbol at every step.

    Attributes
    ----------
    scores : dict of str to Estimate
        ``bits_per_symbol`` (of characters: bits per character), ``perplexity``, ``cross_entropy`` in nats, and
        ``accuracy``, the share of steps whose symbol was the likeliest; with the ends of their intervals.
    steps, symbols, sequences : int
        How many steps there are, of how many symbols, and in how many sequences with at least one step.
    not_finite : int
        How many steps have outputs that are not finite.
    impossible : int
        How many symbols came that had probability 0, those of steps that are not finite among them.
    positions : StepBuckets
        ``bits_per_symbol`` and ``accuracy`` by the position of the step: at the beginning a model knows little of what
        it reads.
    clusters : str
        What the intervals go by, such as ``"200 sequences"`` or ``"30 blocks"``.
    baselines : Baselines or None
        What n-gram models reach on the same sequences.
    gains : dict of str to Estimate
        By the name of each baseline, how many bits fewer a step costs the model.
        The interval is that of the difference.
    confidence : float
        The level of the intervals.
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
        """The mean of -ln of the probabilities of the symbols that came, in nats."""
        return self.scores["cross_entropy"].value

    @property
    def bits_per_symbol(self) -> float:
        """The cross-entropy in bits; of characters it is called bits per character."""
        return self.scores["bits_per_symbol"].value

    @property
    def perplexity(self) -> float:
        """The exponential of the cross-entropy: among how many equally likely symbols a guess would be as hard."""
        return self.scores["perplexity"].value

    @property
    def accuracy(self) -> float:
        """The share of steps whose symbol was the likeliest."""
        return self.scores["accuracy"].value

    def __repr__(self) -> str:
        """Say bits per symbol, perplexity and accuracy."""
        _, low, high = self.scores["bits_per_symbol"]
        return (
            f"TextReport({_checks.count_of(self.steps, 'step')}, {self.bits_per_symbol:.3f} bits per symbol "
            f"({low:.3f} to {high:.3f}), perplexity {self.perplexity:.4g}, accuracy {self.accuracy:.2%})"
        )

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values, as a file of JSON has them."""
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
        """Return the numbers of the model, and below it those of the baselines.

        Its columns are ``model``, ``bits_per_symbol``, ``perplexity``, ``cross_entropy``, ``accuracy``, and the ends
        of their intervals, such as ``accuracy_low``.
        """
        title = f"The next symbol ({self.confidence:.0%} intervals, of {self.clusters})"
        lost = f"{_checks.count_of(self.impossible, 'symbol')} came that had probability 0" if self.impossible else None
        return table_with_baselines(title, TEXT, self.scores, self.baselines, self.gains, lost)

    def plot(self, ax: Any = None) -> Any:
        """Draw bits per symbol by position, and the level of the best baseline; return the matplotlib axes."""
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
    """Compare the probabilities that a model gives to the next symbol with the symbols that came.

    Parameters
    ----------
    targets : array_like of int (S,)
        The symbol that came after every step, of all N sequences one after the other, 0 to K - 1.
    probabilities : array_like of float (S, K)
        Of each symbol at every step; a row adds up to 1. A row of NaN stands for outputs that are not finite: its step
        counts as wrong, as if its symbol had had probability 0, and a warning says how many there are.
    offsets : array_like of int (N + 1,), optional
        Where each sequence begins, and the end of the last one; by default all steps are of one.
    confidence : float
        The level of the intervals.
    baselines : Baselines, optional
        What `text_baselines` returns for the same sequences; it is shown beside the model.

    Returns
    -------
    TextReport

    Raises
    ------
    InvalidArgument
        When the arrays do not fit together, hold no step, or the probabilities are none.

    Notes
    -----
    A probability of 0 is taken as the smallest positive number of its type at full precision, 1.2e-38 for float32 and
    2.2e-308 for float64, so that the cross-entropy is finite; `impossible` counts these symbols.

    Intervals are those of cluster samples, over sequences (`ratio_interval` and `cluster_interval`). With fewer than
    10 sequences they go by blocks of consecutive steps, about 30 in all.

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
    steps = Steps.given([0, len(truth)] if offsets is None else offsets, len(truth))
    check_baselines(baselines, TEXT, steps)
    lost = is_lost(values)
    check_sums(values, lost)
    warn_of_lost_steps(lost, steps, "outputs", "they count as wrong, with probability 0 for the symbol that came")
    right = np.where(lost, NO_CLASS, np.argmax(values, axis=1)) == truth
    nats, impossible = _nats(values[np.arange(len(truth)), truth], lost)
    return TextReport(
        text_scores(nats, right, steps, level),
        len(truth),
        values.shape[1],
        int(np.count_nonzero(steps.lengths)),
        int(lost.sum()),
        impossible,
        by_position(steps, {"bits_per_symbol": nats / np.log(2), "accuracy": right}, level),
        steps.cluster_count,
        baselines,
        gains_of(baselines, steps.sums(nats / np.log(2)), level),
        level,
    )


def _nats(chosen: NDArray[Any], lost: NDArray[np.bool_]) -> tuple[Floats, int]:
    """Return -ln of the probabilities (S,), finite where they are 0 too, and how many of them are 0."""
    given = np.where(lost, 0, chosen).astype(np.float64)
    smallest = np.finfo(chosen.dtype if chosen.dtype.kind == "f" else np.float64).tiny
    return -np.log(np.clip(given, smallest, 1.0)), int(np.count_nonzero(given <= 0))
