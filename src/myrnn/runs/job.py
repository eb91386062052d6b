"""The work of a run as its folder stores it: written before the first iteration, and read to resume.

Until a run is complete, its folder holds ``unfinished.json`` and, in ``checkpoints``, the state of the training. They
suffice to resume it after any interruption. ``settings.json``, the index of a complete run, is written before
``unfinished.json`` is removed; the last checkpoint stays, so that a complete run can be given more iterations or
epochs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import OWN, Experiment, is_own, weight_generator
from myrnn.runs.data import MEMORY
from myrnn.runs.folder import (
    CHECKPOINTS,
    INDEX,
    RUN,
    RUN_ON_DATA,
    UNFINISHED,
    WEIGHTS,
    has_run,
    is_begun,
    is_unfinished,
    made_with,
    read_folder,
)
from myrnn.runs.model import (
    GIVEN,
    PER_STEP,
    check_same,
    check_size,
    checked_settings,
    describe_class,
    describe_model,
    part_of_own,
    remake,
)
from myrnn.storage import Stored
from myrnn.training import saved_iteration

HASHES = "data_files"


@dataclass(frozen=True)
class Job:
    """The work of a run: train a new model as an experiment says, and test it.

    Attributes
    ----------
    experiment : Experiment
    model : mapping
        The description of the model in the run's folder; without sizes if the data have not been read.
    hashes : mapping of str to str
        The SHA-256 of every file that the experiment names, by the names of `Experiment.files`.
    """

    experiment: Experiment
    model: Mapping[str, Any]
    hashes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment, task: Any, model: Any) -> Job:
        """Return the job of an experiment for its task and model."""
        return cls(experiment, described(experiment, task, model))

    @classmethod
    def on_data(cls, experiment: Experiment, hashes: Mapping[str, str], make: Any = None) -> Job:
        """Return the job of an experiment with data; `make` is the class of a user-defined model."""
        part = experiment.model
        if is_own(part.name):
            described = describe_class(make, part.name.rpartition(":")[2], part.own_settings)
            settings = {**described, "dim_recurrent": part.settings.dim_recurrent, "logits": None}
        else:
            settings = part.to_dict(whole=True)
        return cls(experiment, settings, hashes)

    @property
    def training(self) -> Any:
        """The training section."""
        return self.experiment.training

    def make(self, own: Any = None) -> tuple[Any, Any]:
        """Return the model with its initial weights, and its optimizer, for an experiment with a task.

        Parameters
        ----------
        own : class or callable, optional
            The class of the model, if it is user-defined; by default the one that the user has named before.
        """
        model = remake(self.model, own, weight_generator(self.training.seed))
        check_same(self.model, model)
        return model, self.experiment.optimizer.make(params=model.parameters)

    def settings(self, folder: Path, model: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings for the index in a folder; `model` replaces the description of the model."""
        kept = self.experiment.with_paths(lambda file: os.path.relpath(Path(file).resolve(), folder.resolve()))
        sections = {**kept.to_dict(), "model": dict(self.model if model is None else model)}
        if self.experiment.data is None:
            return {**made_with(), **sections}
        return {**made_with("scikit-learn"), **sections, HASHES: dict(self.hashes)}

    def begin(self, folder: Path) -> None:
        """Write the job into a folder; raises RunError if that fails."""
        UNFINISHED.write(folder, self.settings(folder), {})

    def changed(self, folder: Path, **asked: Any) -> Job:
        """Return the job with some training settings changed, for a run in progress or complete.

        Raises
        ------
        InvalidArgument
            When the run cannot have that number of iterations or epochs.
        """
        new = replace(self, experiment=self.experiment.with_training(**asked))
        unit = "iterations" if self.experiment.data is None else "max_epochs"
        what = "iteration" if unit == "iterations" else "epoch"
        before, now, schedule = getattr(self.training, unit), getattr(new.training, unit), self.training.schedule
        if now == before:
            return self if new.experiment == self.experiment else new
        if schedule != "constant":
            raise InvalidArgument(
                f"the learning rate of {folder} falls to 0 over its {_checks.count_of(before, what)} ({schedule}): "
                f"it cannot do {now:,}"
            )
        done = saved_iteration(folder / CHECKPOINTS)
        if unit == "iterations" and now < done:
            raise InvalidArgument(f"iterations must be at least {done}, the number that {folder} has done, not {now}")
        return new


def described(experiment: Experiment, task: Any, model: Any) -> dict[str, Any]:
    """Return the description of a model in a run's folder: its settings and its sizes.

    `task` has the sizes.
    """
    if is_own(experiment.model.name):
        part = experiment.model
        return describe_model(model, task, part.settings.dim_recurrent, part.own_settings)
    whole = experiment.data is not None
    settings = {**experiment.model.to_dict(whole), "dim_input": task.dim_input, "dim_output": task.dim_output}
    if getattr(model, PER_STEP, False):
        settings[PER_STEP] = True
    if whole and "dim_embedding" in settings:
        # The actual size if the setting is None.
        settings["dim_embedding"] = getattr(model, "dim_embedding", None) or 0
    return settings


def load_job(folder: str | os.PathLike[str]) -> Job:
    """Read the job of a run that is in progress, or is complete and keeps the state of its training.

    Raises
    ------
    RunError
        When there is no such run, or its folder is damaged; the message names the fault.
    """
    path = Path(folder)
    unfinished = is_unfinished(path)
    if unfinished or not has_run(path):
        stored = UNFINISHED.read(path)
    else:
        stored = read_folder(path)
        if not is_begun(path):
            raise RunError(f"{path} is complete, and has no state of its training to resume from")
    if (path / CHECKPOINTS).is_symlink():
        stored.damaged(CHECKPOINTS, "is a link that leads out of the folder")
    try:
        job = parse_job(stored, is_sized=not unfinished)
    except InvalidArgument as error:
        stored.damaged(UNFINISHED.index if unfinished else INDEX, f"cannot be used: {error}", error)
    _warn_of_versions(stored)
    if not unfinished and job.model["name"] == OWN:
        # The logits of a complete run are those of the trained model, not of the initial weights.
        return replace(job, model={**job.model, "logits": None})
    return job


def parse_job(stored: Stored, is_sized: bool = True) -> Job:
    """Return the job in an index; raises InvalidArgument if it is not valid.

    `is_sized` says whether the sizes of a model for data are known; they are once it is made.
    """
    index = stored.index
    on_data = "data" in index
    sized = is_sized or not on_data
    model = checked_settings("model", index.get("model"), sized)
    if sized:
        most = (RUN_ON_DATA if on_data else RUN).files[WEIGHTS]
        check_size(model, len(stored.content.get(WEIGHTS, b"")) or most, _whose(stored))
    # A user-defined class is checked when the model is made.
    of_user = model["name"] == OWN
    part: Any = part_of_own(model) if of_user else {name: value for name, value in model.items() if name not in GIVEN}
    optimizer = checked_settings("optimizer", index.get("optimizer"))
    training, evaluation = index.get("training"), index.get("evaluation", {})
    if not isinstance(training, dict) or not isinstance(evaluation, dict):
        raise InvalidArgument("it has no settings of training and tests")
    source = {"data": index["data"]} if on_data else {"task": checked_settings("task", index.get("task"))}
    experiment = Experiment(model=part, optimizer=optimizer, training=training, evaluation=evaluation, **source)
    if not on_data:
        task = experiment.task.make()
        if (model["dim_input"], model["dim_output"]) != (task.dim_input, task.dim_output):
            raise InvalidArgument(
                f"the model has {model['dim_input']} inputs and {model['dim_output']} classes, "
                f"the task {task.dim_input} and {task.dim_output}"
            )
        return Job(experiment, model)
    hashes = index.get(HASHES, {})
    if not isinstance(hashes, dict) or not {*experiment.files, MEMORY} >= set(hashes):
        raise InvalidArgument(f"{HASHES} must be those of its files, not {_checks.shown(hashes)}")
    here = Path(os.path.relpath(stored.folder.resolve()))
    return Job(experiment.with_paths(lambda file: os.path.normpath(here / file)), model, hashes)


def _whose(stored: Stored) -> str:
    return f"{WEIGHTS} has" if WEIGHTS in stored.content else "a run can hold"


def _warn_of_versions(stored: Stored) -> None:
    then, now = stored.index.get("versions"), made_with()["versions"]
    if then != now and isinstance(then, dict):
        changed = next((name for name in now if then.get(name) != now[name]), None)
        if changed is not None:
            warn(
                f"{stored.folder} was begun with {changed} {_checks.shown(then.get(changed))}, this is {now[changed]}: "
                "it continues, but perhaps not bit for bit"
            )
