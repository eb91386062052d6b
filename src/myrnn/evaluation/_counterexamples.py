"""Where a model is wrong: its shortest mistakes and its most confident ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.table import Table
from rich.text import Text

from myrnn import _checks
from myrnn._logits import NO_CLASS, is_lost, predicted, warn_of_lost
from myrnn._tables import ShownAsTable, bare_table
from myrnn.evaluation._alignment import Halves, aligned, halves_of, spelled
from myrnn.evaluation._classify import Classifier, class_names, draw
from myrnn.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Mistake:
    """One sequence that the model gets wrong.

    Attributes
    ----------
    sequence : ndarray
        Its tokens, int64 (T,), or its features, float32 (T, C).
    truth : int
        Its class.
    predicted : int or None
        The class that the model predicts; None where its logits are not finite.
    probability : float
        The probability of the class that it predicts, 1 / K or more; NaN where it predicts none.
    halves : Halves or None
        The two halves as the task compares them, where it does.
    """

    sequence: NDArray[Any]
    truth: int
    predicted: int | None
    probability: float
    halves: Halves | None = field(default=None, repr=False)


@dataclass(frozen=True, repr=False, eq=False)
class Counterexamples(ShownAsTable):
    """The mistakes of a model that say most.

    Attributes
    ----------
    shortest : list of Mistake
        Different sequences, the shortest first, and of one length the most confident first.
    most_confident : list of Mistake
        Different sequences for which it predicts a class, the one that it is surest of first.
    mistakes, samples : int
        How many sequences it got wrong, and of how many; one that was drawn twice counts twice.
    class_names : tuple of str
    """

    shortest: list[Mistake]
    most_confident: list[Mistake]
    mistakes: int
    samples: int
    class_names: tuple[str, ...]

    def __repr__(self) -> str:
        """Say how many mistakes there are, and how short the shortest is."""
        least = f", the shortest of length {len(self.shortest[0].sequence)}" if self.shortest else ""
        return f"Counterexamples({self.mistakes:,} mistakes in {self.samples:,} sequences{least})"

    def table(self) -> Table:
        """Return both lists as one Rich table: halves under each other, marked where they differ."""
        title = f"{self.mistakes:,} mistakes in {self.samples:,} sequences"
        table = bare_table(title, _caption([*self.shortest, *self.most_confident]))
        for name in ("", "length", "sequence", "truth", "model says", "sure"):
            numbers = name in ("length", "sure")
            # A folded line would no longer stand above the one that it is compared with.
            table.add_column(name, justify="right" if numbers else "left", no_wrap=name == "sequence")
        for name, found in (("shortest", self.shortest), ("surest", self.most_confident)):
            for place, mistake in enumerate(found):
                table.add_row("" if place else name, *self._cells(mistake), end_section=mistake is found[-1])
        return table

    def _cells(self, mistake: Mistake) -> tuple[str | Text, ...]:
        return (
            f"{len(mistake.sequence)}",
            _written(mistake),
            self.class_names[mistake.truth],
            "no class" if mistake.predicted is None else self.class_names[mistake.predicted],
            "-" if mistake.predicted is None else f"{mistake.probability:.4f}",
        )


def counterexamples(
    model: Any,
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    most: int = 10,
    lengths: ArrayLike | None = None,
    engine: str = "auto",
) -> Counterexamples:
    """Return a model's shortest and its most confident mistakes on sequences of a task.

    A sequence whose logits are not finite is a mistake, too: it counts, and a warning says how many there are.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.train`. It is not changed, and no graph is built.
    task : Task, Sequences or iterable of (x, y)
        Draws the sequences, or holds them.
    samples : int
        How many sequences to draw.
    seed : int
        Seeds the drawing.
    most : int
        The longest that each of the two lists may be.
    lengths : array_like of int, optional
        Draw these lengths instead of the task's own, the same number of each.
    engine : {"auto", "native", "mygrad"}
        How the equations are run.

    Returns
    -------
    Counterexamples

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be.
    """
    limit = _checks.integer("most", most, minimum=1)
    classifier = Classifier(model, engine)
    sequences = draw(task, samples, seed, lengths)
    logits = classifier.scores(sequences).astype(np.float64)
    warn_of_lost(is_lost(logits), sequences.lengths)
    said = predicted(logits)
    wrong = np.flatnonzero(said != sequences.labels)
    has_class = said[wrong] != NO_CLASS
    doubt = np.full(len(wrong), np.inf)
    doubt[has_class] = _doubt(logits[wrong[has_class]])
    length = sequences.lengths[wrong]

    def first(order: NDArray[np.int64]) -> list[Mistake]:
        places = _different(sequences, wrong, order, limit)
        return [_mistake(task, sequences, wrong[i], int(said[wrong[i]]), doubt[i]) for i in places]

    names = class_names(task, logits.shape[1])
    # lexsort is stable and takes its last key first.
    shortest, surest = np.lexsort((doubt, length)), np.lexsort((length, doubt))
    surest = surest[has_class[surest]]
    return Counterexamples(first(shortest), first(surest), len(wrong), len(sequences), names)


def _doubt(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the logarithm of the largest probability: it tells apart what rounds to a probability of 1."""
    ordered = np.sort(logits, axis=1)
    others = np.exp(ordered[:, :-1] - ordered[:, -1:]).sum(axis=1)
    doubt: NDArray[np.float64] = np.log1p(others)
    return doubt


def _different(sequences: Sequences, wrong: NDArray[np.int64], order: NDArray[np.int64], limit: int) -> list[int]:
    """Return the first places of `order`, none of a sequence that was there already."""
    found: dict[bytes, int] = {}
    for place in order.tolist():
        begin, end = sequences.offsets[wrong[place]], sequences.offsets[wrong[place] + 1]
        found.setdefault(sequences.values[begin:end].tobytes(), place)
        if len(found) == limit:
            break
    return list(found.values())


def _mistake(task: Any, sequences: Sequences, index: int, said: int, doubt: float) -> Mistake:
    halves = halves_of(task, sequences.tokens(index)) if sequences.is_tokens else None
    values = sequences.tokens(index) if sequences.is_tokens else sequences.features(index)
    predicted, probability = (None, float("nan")) if said == NO_CLASS else (said, float(np.exp(-doubt)))
    return Mistake(values, int(sequences.labels[index]), predicted, probability, halves)


def _written(mistake: Mistake) -> Text | str:
    if mistake.halves is not None:
        return aligned(mistake.halves)
    values = mistake.sequence
    return spelled(values) if values.ndim == 1 else f"{values.shape[0]} rows of {values.shape[1]} features"


def _caption(mistakes: list[Mistake]) -> str | None:
    known = [mistake.halves for mistake in mistakes if mistake.halves is not None]
    if not known:
        return None
    order = ", written backwards" if known[0].backwards else ""
    middle = "; the middle symbol of an odd length is left out" if any(len(halves.middle) for halves in known) else ""
    return f"first half above the second{order}; ^ marks where they differ{middle}"
