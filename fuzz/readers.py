"""All code that reads folders, and its allowed results: a RunError in one printable line, or valid values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.folders import CHECKPOINT_AT, SEQUENCES, new_training
from myrnn.errors import InvalidArgument, RunError, TrainingDiverged
from myrnn.estimators import SequenceClassifier
from myrnn.runs import compare_runs, list_runs, load_run
from myrnn.runs.folder import CHECKPOINTS, load_job, resumable_iteration
from myrnn.runs.listing import STATES
from myrnn.runs.work import go_on
from myrnn.sequences import Sequences
from myrnn.sweeps import load_sweep
from myrnn.training.checkpoint import load_checkpoint
from myrnn.training.outputs import reference_logits

# The maximum length of a message.
LONGEST_MESSAGE = 1000


def read(kind: str, folder: Path, good: Path) -> None:
    """Read a folder of this kind with all its readers; `good` is a valid one of the same kind."""
    for reader in READERS[kind]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                reader(folder, good)
            except RunError as error:
                check_message(str(error))


def check_message(message: str) -> None:
    """Fail if a message has several lines, is too long, or contains control characters."""
    assert message.isprintable(), repr(message)
    assert len(message) <= LONGEST_MESSAGE, message


def _run(folder: Path, good: Path) -> None:
    run = load_run(folder)
    sequences = Sequences.from_pairs([(np.zeros(2, dtype=int), 0)], run.task.dim_input)
    assert reference_logits(run.model, sequences).shape == (1, run.task.dim_output)
    assert np.isfinite(run.history.loss).all()


def _comparison(folder: Path, good: Path) -> None:
    found = compare_runs(good, folder)
    assert found.table().columns
    assert found.settings_table().columns
    assert repr(found)


def _listing(folder: Path, good: Path) -> None:
    found = list_runs(folder.parent)
    assert len(found.rows()) == len(found)
    for run in found:
        assert run.state in STATES
        assert all(number is None or np.isfinite(number) for number in (run.loss, run.accuracy, run.tested, run.made))
        check_message(run.fault or "")
    assert len(found.table()) == len(found)
    for order in ("made", "loss", "model"):
        assert len(found.sorted(order)) == len(found)


def _checkpoint(folder: Path, good: Path) -> None:
    state = load_checkpoint(folder)
    if state is None:
        return
    assert state.iteration == CHECKPOINT_AT
    training = new_training()
    before = [parameter.data.copy() for parameter in training._parameters]
    try:
        training.restore(state)
    except InvalidArgument as error:
        check_message(str(error))
        assert all(np.array_equal(one, p.data) for one, p in zip(before, training._parameters, strict=True))
        return
    with suppress(TrainingDiverged):  # from weights that are finite but absurd
        losses, _ = training.advance(2)
        assert len(losses) == 2


def _job(folder: Path, good: Path) -> None:
    assert resumable_iteration(folder) in (None, CHECKPOINT_AT)
    job = load_job(folder)
    try:
        work = go_on(folder, job)
    except InvalidArgument as error:
        # A user-defined model needs its class.
        assert "and it holds only the weights" in str(error), error
    else:
        model, task = work.prepared.model, work.prepared.reader.task
        assert (model.dim_input, model.dim_output) == (task.dim_input, task.dim_output)


def _use(classifier: SequenceClassifier) -> None:
    if classifier.engine != "mygrad":
        return  # It would be compiled, which takes seconds.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its vocabulary may differ
        try:
            assert classifier.predict_proba(SEQUENCES[:2]).shape == (2, len(classifier.classes_))
        except InvalidArgument as error:
            check_message(str(error))


def _classifier(folder: Path, good: Path) -> None:
    try:
        _use(SequenceClassifier.load(folder))
    except InvalidArgument as error:
        # A classifier with a user-defined cell needs that cell, and this one looks like such a classifier.
        assert str(error).endswith("give its class or function as cell="), error


def _sweep(folder: Path, good: Path) -> None:
    results = load_sweep(folder)
    assert len(results) <= results.planned
    assert repr(results)
    if len(results):
        assert len(results.table()) == len(results.groups())


READERS: dict[str, tuple[Callable[[Path, Path], Any], ...]] = {
    "run": (_run, _listing, _comparison),
    "checkpoint": (_checkpoint, _listing),
    "unfinished": (_job, _listing, lambda folder, good: _checkpoint(folder / CHECKPOINTS, good)),
    "classifier": (_classifier,),
    "data-run": (_classifier, _listing, _comparison),
    "sweep": (_sweep,),
}
