"""Runs under way: what is to be done is written before the first iteration, the training's state as it goes.

Until a run is whole its folder holds ``unfinished.json`` and, in ``checkpoints``, the state of the training. From these
two it goes on, whatever stopped it. ``settings.json``, the index of a whole run, is written before ``unfinished.json``
is removed; the last checkpoint stays, so that a whole run can be given further iterations.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import Experiment, Training, is_own, weight_generator
from myrnn.runs._data import DATA_RUN, is_data_run
from myrnn.runs._load import check_size, checked_settings
from myrnn.runs._own import OWN, SIZES, check_same, describe_model, remake
from myrnn.runs._save import CHECKPOINTS, RUN, UNFINISHED, WEIGHTS, made_with
from myrnn.storage import Stored
from myrnn.training import keep_last_checkpoint, load_checkpoint, saved_iteration


@dataclass(frozen=True)
class Job:
    """What a run is to do: train a new model on a task, and test it.

    Attributes
    ----------
    experiment : Experiment
    model : mapping
        What the run's folder says of the model.
    """

    experiment: Experiment
    model: Mapping[str, Any]

    @classmethod
    def of(cls, experiment: Experiment, task: Any, model: Any) -> Job:
        """Return the job of an experiment whose task and model are made."""
        return cls(experiment, _described(experiment, task, model))

    @property
    def training(self) -> Training:
        """How it trains."""
        training: Training = self.experiment.training
        return training

    def make(self, own: Any = None) -> tuple[Any, Any]:
        """Return the model with its first weights, and its optimizer.

        Parameters
        ----------
        own : class or callable, optional
            The class of the model, where it is user-defined.
        """
        model = remake(self.model, own, weight_generator(self.training.seed))
        check_same(self.model, model)
        return model, self.experiment.optimizer.make(params=model.parameters)

    def settings(self, model: Any) -> dict[str, Any]:
        """Return what a run's index says of it, with the model as it now is."""
        settings = self.experiment.to_dict()
        return {**made_with(), **settings, "model": _described(self.experiment, self.experiment.task.make(), model)}

    def begin(self, folder: Path, model: Any) -> None:
        """Write down in a folder what is to be done; raises RunError where it cannot be written."""
        UNFINISHED.write(folder, self.settings(model), {})

    def with_iterations(self, folder: Path, iterations: int) -> Job:
        """Return the job with another number of iterations, for a run that has done some of them."""
        done = saved_iteration(folder / CHECKPOINTS)
        asked, schedule = self.training.iterations, self.training.schedule
        if iterations == asked:
            return self
        if schedule != "constant":
            raise InvalidArgument(
                f"the learning rate of {folder} falls to 0 over its {asked:,} iterations ({schedule}): "
                f"it cannot do {iterations:,}"
            )
        if iterations < done:
            raise InvalidArgument(f"iterations must be at least {done}, which {folder} has done, not {iterations}")
        return replace(self, experiment=self.experiment.with_training(iterations=iterations))

    def on_divergence(self, what: str) -> Job:
        """Return the job with another answer to a loss that is no longer finite."""
        changed = self.experiment.with_training(on_divergence=what)
        return self if changed == self.experiment else replace(self, experiment=changed)


def _described(experiment: Experiment, task: Any, model: Any) -> dict[str, Any]:
    """Return what a run's folder says of the model: its settings and the sizes that the task gives it."""
    if is_own(experiment.model.name):
        return describe_model(model, task, experiment.model.settings.dim_recurrent)
    return {**experiment.model.to_dict(), "dim_input": task.dim_input, "dim_output": task.dim_output}


def load_job(folder: str | os.PathLike[str]) -> Job:
    """Read what a run has to do that is under way, or that is whole and keeps the state of its training.

    Raises
    ------
    RunError
        When there is no such run, or what stands in its folder is damaged; the message says what is wrong.
    """
    path = Path(folder)
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
    model = checked_settings("model", index.get("model"))
    check_size(model, RUN.files[WEIGHTS], "a run can hold")
    if model["name"] == OWN:
        # Its class is named when it is made.
        units = model["dim_recurrent"]
        part: Any = {"name": f"{OWN}.py", **({} if units is None else {"dim_recurrent": units})}
    else:
        part = {name: value for name, value in model.items() if name not in SIZES}
    parts = {name: checked_settings(name, index.get(name)) for name in ("task", "optimizer")}
    further = {name: index.get(name) for name in ("training", "evaluation")}
    if not all(isinstance(section, dict) for section in further.values()):
        raise InvalidArgument("it does not say how to train and to test")
    experiment = Experiment(**parts, model=part, **further)
    task = experiment.task.make()
    if (model["dim_input"], model["dim_output"]) != (task.dim_input, task.dim_output):
        raise InvalidArgument("the model does not have the sizes of the task")
    return Job(experiment, model)


def _warn_of_versions(stored: Stored) -> None:
    then, now = stored.index.get("versions"), made_with()["versions"]
    if then != now and isinstance(then, dict):
        changed = next((name for name in now if then.get(name) != now[name]), None)
        if changed is not None:
            warn(
                f"{stored.folder} was begun with {changed} {_checks.shown(then.get(changed))}, this is {now[changed]}: "
                "it goes on, but maybe not bit for bit"
            )


def begin_data_job(folder: Path, options: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Write down in a folder how a classifier is trained on data; raises RunError where it cannot be written.

    Parameters
    ----------
    folder : Path
    options : mapping
        Those of the command line.
    files : mapping
        The SHA-256 of every file that they name, by the option.
    """
    UNFINISHED.write(folder, {**made_with("scikit-learn"), "data": dict(options), "data_files": dict(files)}, {})


def load_data_job(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of a run on data, under way or whole, and the SHA-256 of its files.

    Raises
    ------
    RunError
        When it keeps no state to go on from, or what stands in its folder is damaged.
    """
    unfinished = is_unfinished(folder)
    stored = UNFINISHED.read(folder) if unfinished else DATA_RUN.read(folder)
    options, files = stored.index.get("data"), stored.index.get("data_files")
    if not unfinished and (options is None or not saved_iteration(folder / CHECKPOINTS)):
        raise RunError(f"{folder} is whole, and keeps no state of its training to go on from")
    index = UNFINISHED.index if unfinished else DATA_RUN.index
    if not isinstance(options, dict) or not isinstance(options.get("data"), str) or not isinstance(files, dict):
        stored.damaged(index, "does not say what it was trained on")
    if (folder / CHECKPOINTS).is_symlink():
        stored.damaged(CHECKPOINTS, "is a link that leads out of the folder")
    if unfinished:
        _warn_of_versions(stored)
    return options, files


def is_on_data(folder: Path) -> bool:
    """Return whether the run in a folder, under way or whole, is one on data."""
    if is_unfinished(folder):
        return "data" in UNFINISHED.read_index(folder)
    return is_data_run(folder)


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


@contextmanager
def dropped_unless_saved(folder: Path) -> Iterator[None]:
    """Remove from a folder what a run has begun there, where the work fails with nothing to go on from."""
    try:
        yield
    except BaseException:
        if is_unfinished(folder) and iterations_saved(folder) is None:
            (folder / UNFINISHED.index).unlink(missing_ok=True)
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        raise
