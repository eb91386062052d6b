"""Tests of models on tasks that they were not trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import Classifier, draw
from myrnn.finite import is_lost, predicted
from myrnn.registry import make
from myrnn.results import Counted, Result, Row, Shown, Table, percent, text

NOT_APPLICABLE = "n/a"


@dataclass(frozen=True, repr=False, eq=False)
class TransferTable(Counted, Result):
    """The accuracy of every model on every task.

    Attributes
    ----------
    models : tuple of str
        The names of the M models.
    tasks : tuple of str
        The names of the T tasks.
    total, correct : ndarray, int64 (M, T)
        The number of sequences that each model classified, and of the correct ones; 0 if a model cannot read a task.
    chance : ndarray, float64 (M,)
        The accuracy of guessing among each model's classes; NaN for a model that can read no task.
    reasons : dict of (str, str) to str
        Why a model cannot read a task, by their names.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn import RNN, tasks, transfer
    >>> halves, bits = tasks.TwinHalves(pattern_length_max=2), tasks.TwinHalves(pattern_length_max=2, alphabet_size=12)
    >>> model = RNN(halves.dim_input, 8, halves.dim_output, rng=0)
    >>> table = transfer({"a model": model}, {"halves": halves, "12 symbols": bits}, samples=100, engine="mygrad")
    >>> table
    TransferTable(1 model on 2 tasks, 1 not applicable)
    >>> table.total, table.accuracy.shape, len(table.reasons)
    (array([[100,   0]]), (1, 2), 1)
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    chance: NDArray[np.float64]
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    confidence: float = 0.95

    @property
    def interval(self) -> NDArray[np.float64]:
        """The Wilson interval of each accuracy, float64 (M, T, 2): low and high; NaN without an accuracy."""
        found = super().interval
        found[self.total == 0] = np.nan
        return found

    def __repr__(self) -> str:
        """Say how many models and tasks there are, and how many pairs do not fit."""
        missing = f", {len(self.reasons)} not applicable" if self.reasons else ""
        models, tasks = _checks.count_of(len(self.models), "model"), _checks.count_of(len(self.tasks), "task")
        return f"TransferTable({models} on {tasks}{missing})"

    def data(self) -> Table:
        """Return a row for every model and task: model, task, total, correct, accuracy, low, high, reason."""
        pairs = [(model, task) for model in self.models for task in self.tasks]
        columns = {
            "model": [model for model, _ in pairs],
            "task": [task for _, task in pairs],
            **self._rates(),
            "reason": [self.reasons.get(pair, "") for pair in pairs],
        }
        return Table("Accuracy on each task", columns)

    def table(self) -> Table:
        """Return the accuracies in per cent as terminals show them: one row per model, one column per task."""
        together: dict[tuple[str, str], list[str]] = {}
        for (model, task), why in self.reasons.items():
            together.setdefault((model, why), []).append(task)
        reasons = (f"{model} on {'; '.join(tasks)}: {why}" for (model, why), tasks in together.items())
        return Table(
            f"Accuracy on each task, % ({self.confidence:.0%} interval)",
            {"model": self.models, **{f"on {task}": self.accuracy[:, j] for j, task in enumerate(self.tasks)}},
            (text("model"), *(self._shown(j, task) for j, task in enumerate(self.tasks))),
            caption="\n".join(f"{NOT_APPLICABLE}: {reason}" for reason in reasons) or None,
        )

    def _shown(self, column: int, task: str) -> Shown:
        interval = dict(zip(self.models, self.interval[:, column].tolist(), strict=True))

        def cell(row: Row) -> str:
            accuracy = row[f"on {task}"]
            return NOT_APPLICABLE if accuracy is None else percent(accuracy, interval[row["model"]])

        return Shown(task, cell)


def transfer(
    models: Mapping[str, Any],
    tasks: Mapping[str, Any] | Sequence[str],
    samples: int = 10_000,
    seed: int = 1,
    *,
    lengths: ArrayLike | None = None,
    confidence: float = 0.95,
    engine: str = "auto",
) -> TransferTable:
    """Test every model on every task, including those that it was not trained on.

    A sequence whose logits are not finite counts as wrong; a warning says how many there are.

    All models are tested on the same sequences of a task. A model with C inputs reads any task of at most C symbols;
    the task's tokens are then the first tokens of the model's alphabet. Unless the model was trained that way, it has
    never seen sequences without its other tokens. It cannot read a larger alphabet, a different number of features, or
    classes that it lacks: the cell stays empty and `reasons` says why.

    Parameters
    ----------
    models : mapping of str to models
        As for `myrnn.train`. They are not changed, and no graph is built. For a model that learned more than
        recognition, pass ``Recognizer(model)``.
    tasks : mapping of str to Task, Sequences or str; or sequence of str
        A str is the name of a task, with its settings if need be, such as ``"palindromes:parity=odd"``.
    samples : int
        The number of sequences to draw from every task.
    seed, lengths, confidence, engine
        As for `evaluate`.

    Returns
    -------
    TransferTable

    Raises
    ------
    InvalidArgument
        When an argument is invalid, or no model can read any task.

    Examples
    --------
    >>> from myrnn import RNN, tasks, transfer
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> transfer({"a model": model}, ["twin-halves", "palindromes:parity=odd"], samples=100, engine="mygrad")
    TransferTable(1 model on 2 tasks)
    """
    by_name: Any = {_in_words(task): task for task in tasks} if isinstance(tasks, list | tuple) else tasks
    names, task_names = _names("models", models), _names("tasks", by_name)
    _checks.real("confidence", confidence, above=0, below=1)
    classifiers = [Classifier(model, engine) for model in models.values()]
    made = (make("task", task) if isinstance(task, str) else task for task in by_name.values())
    drawn = [draw(task, samples, seed, lengths) for task in made]
    total = np.zeros((len(names), len(task_names)), dtype=np.int64)
    correct, chance = np.zeros_like(total), np.full(len(names), np.nan)
    reasons: dict[tuple[str, str], str] = {}
    lost: dict[str, int] = {}
    for i, j in np.ndindex(*total.shape):
        try:
            logits = classifiers[i].scores(drawn[j])
        except InvalidArgument as error:
            reasons[names[i], task_names[j]] = str(error)
        else:
            total[i, j], chance[i] = len(drawn[j]), 1 / logits.shape[1]
            correct[i, j] = np.sum(predicted(logits) == drawn[j].labels)
            if is_lost(logits).any():
                lost[f"{names[i]} on {task_names[j]}"] = int(is_lost(logits).sum())
    if not total.any():
        (model, task), why = next(iter(reasons.items()))
        raise InvalidArgument(f"no model can read any of the tasks; {model} on {task}: {why}")
    if lost:
        listed = ", ".join(f"{count:,} of {where}" for where, count in lost.items())
        warn(f"sequences whose logits are not finite count as wrong: {listed}")
    return TransferTable(names, task_names, total, correct, chance, reasons, confidence)


def _in_words(task: Any) -> str:
    """Return the name of a task for a table and a figure, where lines break between words."""
    return re.sub(r"([:,])\b", r"\1 ", re.sub(r"[-_=]", " ", str(task)))


def _names(what: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"{what} must be a dictionary of {what} by name, not {type(given).__name__}")
    if not given:
        raise InvalidArgument(f"{what} is empty: name at least one")
    wrong = [name for name in given if not isinstance(name, str) or not name]
    if wrong:
        raise InvalidArgument(f"{what} must have names that are strings, not {_checks.shown(wrong[0])}")
    return tuple(given)
