"""Runs under way: what is to be done is written before the first iteration, the training's state as it goes.

Until a run is whole its folder holds ``unfinished.json`` and, in ``checkpoints``, the state of the training. From these
two it goes on, whatever stopped it. ``settings.json``, the index of a whole run, is written before ``unfinished.json``
is removed; the last checkpoint stays, so that a whole run can be given further iterations.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.models import dense
from myrnn.runs._data import DATA_RUN, is_data_run
from myrnn.runs._kinds import check_largest, check_training, describe, make_model, make_optimizer, weight_generator
from myrnn.runs._load import check_size, checked_settings, checked_task
from myrnn.runs._own import OWN, check_same, describe_model, remake
from myrnn.runs._save import CHECKPOINTS, RUN, UNFINISHED, WEIGHTS, made_with
from myrnn.storage import Stored
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.training import keep_last_checkpoint, load_checkpoint, saved_iteration


@dataclass(frozen=True)
class Job:
    """What a run is to do: train a new model on a task, and test it.

    Attributes
    ----------
    task : TwinHalves or Palindromes
    model, optimizer : mapping
        Their names and settings.
    training : mapping
        The arguments of `train` that a run keeps.
    samples : int
        How many sequences the trained model is tested on.
    """

    task: TwinHalves | Palindromes
    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    training: Mapping[str, Any]
    samples: int

    def make(self, own: Any = None) -> tuple[Any, Any]:
        """Return the model with its first weights, and its optimizer.

        Parameters
        ----------
        own : class or callable, optional
            The class of the model, where it is user-defined.
        """
        model = remake(self.model, own, weight_generator(self.training["seed"]))
        check_same(self.model, model)
        return model, make_optimizer(**self.optimizer, params=model.parameters)

    def settings(self, model: Any) -> dict[str, Any]:
        """Return what a run's index says of it, with the model as it now is."""
        return {
            **made_with(),
            "task": describe("task", self.task),
            "model": describe_model(model, self.task, self.model["dim_recurrent"]),
            "optimizer": dict(self.optimizer),
            "training": dict(self.training),
            "evaluation": {"samples": self.samples},
        }

    def begin(self, folder: Path, model: Any) -> None:
        """Write down in a folder what is to be done; raises RunError where it cannot be written."""
        UNFINISHED.write(folder, self.settings(model), {})

    def with_iterations(self, folder: Path, iterations: int) -> Job:
        """Return the job with another number of iterations, for a run that has done some of them."""
        done = saved_iteration(folder / CHECKPOINTS)
        asked, schedule = self.training["iterations"], self.training["schedule"]
        if iterations == asked:
            return self
        if schedule != "constant":
            raise InvalidArgument(
                f"the learning rate of {folder} falls to 0 over its {asked:,} iterations ({schedule}): "
                f"it cannot do {iterations:,}"
            )
        if iterations < done:
            raise InvalidArgument(f"iterations must be at least {done}, which {folder} has done, not {iterations}")
        return replace(self, training={**self.training, "iterations": iterations})

    def on_divergence(self, what: str) -> Job:
        """Return the job with another answer to a loss that is no longer finite."""
        given = {**self.training, "on_divergence": what}
        return self if given == self.training else replace(self, training=check_training(given))


def load_job(folder: str | os.PathLike[str]) -> Job:
    """Read what a run has to do that is under way, or that is whole and keeps the state of its training.

    Raises
    ------
    RunError
        When there is no such run, or what stands in its folder is damaged; the message says what is wrong.
    """
    path = Path(folder)
    if is_data_run(path):
        raise RunError(f"{path} was trained on data: such a training keeps no state to go on from")
    unfinished = is_unfinished(path)
    if unfinished or not (path / RUN.index).exists():
        stored = UNFINISHED.read(path)
    else:
        stored = RUN.read(path)
        if not saved_iteration(path / CHECKPOINTS):
            raise RunError(f"{path} is whole, and keeps no state of its training to go on from")
    if (path / CHECKPOINTS).is_symlink():
        stored.damaged(CHECKPOINTS, "is a link that leads out of the folder")
    try:
        job = _parse(stored)
    except InvalidArgument as error:
        stored.damaged(UNFINISHED.index if unfinished else RUN.index, f"cannot be used: {error}", error)
    _warn_of_versions(stored)
    if not unfinished and job.model["name"] == OWN:
        # Those of a whole run are the logits of the trained model, not of one with its first weights.
        return replace(job, model={**job.model, "logits": None})
    return job


def _parse(stored: Stored) -> Job:
    index = stored.index
    evaluation, training = index.get("evaluation"), index.get("training")
    if not isinstance(evaluation, dict) or not isinstance(training, dict):
        raise InvalidArgument("it does not say how to train and to test")
    model, optimizer = (checked_settings(part, index.get(part)) for part in ("model", "optimizer"))
    check_size(model, RUN.files[WEIGHTS], "a run can hold")
    # Whether these settings make anything shows on small ones.
    make_optimizer(**optimizer, params=dense(1, 1).parameters)
    if model["name"] != OWN:
        make_model(**{**model, "dim_input": 1, "dim_recurrent": 1, "dim_output": 1}, rng=0)
    task = checked_task(index.get("task"))
    if (model["dim_input"], model["dim_output"]) != (task.dim_input, task.dim_output):
        raise InvalidArgument("the model does not have the sizes of the task")
    samples = _checks.integer("samples", evaluation.get("samples"), minimum=1)
    check_largest({**vars(task), "samples": samples, **({} if model["name"] == OWN else model)})
    return Job(task, model, optimizer, check_training(training), samples)


def _warn_of_versions(stored: Stored) -> None:
    then, now = stored.index.get("versions"), made_with()["versions"]
    if then != now and isinstance(then, dict):
        changed = next((name for name in now if then.get(name) != now[name]), None)
        if changed is not None:
            warn(
                f"{stored.folder} was begun with {changed} {_checks.shown(then.get(changed))}, this is {now[changed]}: "
                "it goes on, but maybe not bit for bit"
            )


def is_unfinished(folder: Path) -> bool:
    """Return whether a run has begun in a folder and is not whole yet; also a whole one that is given iterations."""
    return (folder / UNFINISHED.index).is_file()


def is_whole(folder: Path) -> bool:
    """Return whether a folder holds a run of which nothing is left to do; raises RunError where it is damaged."""
    if is_unfinished(folder):
        return False
    kind = DATA_RUN if is_data_run(folder) else RUN
    if not (folder / kind.index).exists():
        return False
    kind.read(folder)
    return True


def iterations_saved(folder: Path) -> int | None:
    """Return how many iterations of a run are in its last good checkpoint, None where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            state = load_checkpoint(folder / CHECKPOINTS)
        except RunError:
            return None
    return None if state is None else state.iteration


def end_job(folder: Path) -> None:
    """Remove from a whole run what it needed on its way; the last checkpoint stays."""
    keep_last_checkpoint(folder / CHECKPOINTS)
    (folder / UNFINISHED.index).unlink(missing_ok=True)


def drop_job(folder: Path) -> None:
    """Remove a run that has nothing to go on from."""
    assert iterations_saved(folder) is None
    (folder / UNFINISHED.index).unlink(missing_ok=True)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
