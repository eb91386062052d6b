"""How well a model does, length by length."""

from __future__ import annotations

import csv
import os
import warnings
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks, plots
from myrnn.compiler import compile
from myrnn.errors import CompileError, InvalidArgument
from myrnn.models import parameters_of
from myrnn.sequences import LARGEST_INT32, Sequences
from myrnn.training import History, progress_display, reference_logits

ENGINES = ("auto", "native", "mygrad")

# Sequences classified between two updates of the progress display.
PORTION = 1000


@dataclass(frozen=True, repr=False, eq=False)
class LengthReport:
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
    """

    lengths: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    chance: float
    trained_length: int | None = None
    confidence: float = 0.95

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The share that was classified rightly, float64 (L,)."""
        return self.correct / self.total

    @property
    def interval(self) -> NDArray[np.float64]:
        """The Wilson interval of each accuracy, float64 (L, 2): low and high."""
        return wilson_interval(self.correct, self.total, self.confidence)

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

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a length: length, total, correct, accuracy, low, high, beyond."""
        columns = (self.lengths, self.total, self.correct, self.accuracy, *self.interval.T, self.beyond)
        names = ("length", "total", "correct", "accuracy", "low", "high", "beyond")
        return [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV."""
        rows = self.rows()
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)

    def plot(self, ax: Any = None, label: str | None = None) -> Any:
        """Draw accuracy against length, with intervals and the chance level, and return the matplotlib axes."""
        return plots.plot_accuracy_by_length(
            self.lengths,
            self.accuracy,
            self.interval[:, 0],
            self.interval[:, 1],
            trained_up_to=self.trained_length,
            chance=self.chance,
            label=label,
            ax=ax,
        )


def evaluate(
    model: Any,
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    lengths: ArrayLike | None = None,
    trained: History | int | None = None,
    confidence: float = 0.95,
    engine: str = "auto",
    progress: bool | None = None,
) -> LengthReport:
    """Classify sequences that the model has not learned from, and count the right answers for every length.

    Parameters
    ----------
    model : callable
        As for `myrnn.train`. It is not changed, and no graph is built.
    task : Task or Sequences
        Draws the sequences, or holds them.
    samples : int
        How many sequences to draw.
    seed : int
        Seeds the drawing.
    lengths : array_like of int, optional
        Draw these lengths instead of the task's own, the same number of each; they may lie beyond the task's.
    trained : History or int, optional
        The training, or the longest length it saw: longer lengths are then marked as beyond in tables and plots.
    confidence : float
        The level of the intervals.
    engine : {"auto", "native", "mygrad"}
        How the equations are run.
    progress : bool, optional
        Whether to show a progress bar; by default it shows in a terminal and in a notebook.

    Returns
    -------
    LengthReport

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be, or the task has no sequence.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927 (the intervals).
    """
    parameters_of(model)
    _checks.one_of("engine", engine, ENGINES)
    _checks.real("confidence", confidence, above=0, below=1)
    longest = trained.longest if isinstance(trained, History) else trained
    if longest is not None:
        longest = _checks.integer("trained", longest, minimum=0)
    sequences = _drawn(task, _checks.integer("samples", samples, minimum=1), seed, lengths)
    logits = _logits(model, sequences, engine, progress)
    classes = logits.shape[1]
    if classes <= sequences.labels.max():
        raise InvalidArgument(
            f"a label is {sequences.labels.max()}, but the model has {classes} classes, 0 .. {classes - 1}"
        )
    right = np.argmax(logits, axis=1) == sequences.labels
    distinct, places = np.unique(sequences.lengths, return_inverse=True)
    total = np.bincount(places)
    correct = np.bincount(places, right).astype(np.int64)
    return LengthReport(distinct, total, correct, 1 / logits.shape[1], longest, confidence)


def wilson_interval(
    correct: NDArray[np.int64], total: NDArray[np.int64], confidence: float = 0.95
) -> NDArray[np.float64]:
    """Return Wilson's interval for a share, float64 (N, 2): low and high.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return np.clip(np.column_stack((centre - half, centre + half)), 0.0, 1.0)


def _drawn(task: Any, samples: int, seed: int, lengths: ArrayLike | None) -> Sequences:
    if isinstance(task, Sequences):
        if lengths is not None:
            raise InvalidArgument("lengths can be asked of a task that draws, not of given sequences")
        drawn = task
    elif callable(getattr(task, "sample", None)):
        rng = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
        drawn = task.sample(samples, rng) if lengths is None else _equally_often(task, lengths, samples, rng)
    else:
        raise InvalidArgument(f"task must be a task or a Sequences, not {type(task).__name__}")
    if not len(drawn):
        raise InvalidArgument("task holds no sequence to evaluate on")
    return drawn


def _equally_often(task: Any, lengths: ArrayLike, samples: int, rng: np.random.Generator) -> Sequences:
    wanted = _checks.integers("lengths", lengths, minimum=0, maximum=LARGEST_INT32)
    if not wanted.size:
        raise InvalidArgument("lengths is empty: name at least one length")
    return task.sample_lengths(np.repeat(wanted, max(1, samples // wanted.size)), rng)


def _logits(model: Any, sequences: Sequences, engine: str, progress: bool | None) -> NDArray[np.float32]:
    if engine != "mygrad":
        try:
            return compile(model, dim_input=sequences.dim_input).logits(sequences)
        except CompileError as error:
            if engine == "native":
                raise
            warnings.warn(f"the model is evaluated op by op with MyGrad, because {error}", stacklevel=3)
    return _reference_logits(model, sequences, progress)


def _reference_logits(model: Any, sequences: Sequences, progress: bool | None) -> NDArray[np.float32]:
    display = progress_display(progress, "evaluating", len(sequences), "sequences")
    parts = []
    try:
        for begin in range(0, len(sequences), PORTION):
            indices = np.arange(begin, min(begin + PORTION, len(sequences)))
            parts.append(reference_logits(model, sequences, indices))
            if display is not None:
                display.update(int(indices[-1]) + 1, "")
    finally:
        if display is not None:
            display.close()
    return np.concatenate(parts)
