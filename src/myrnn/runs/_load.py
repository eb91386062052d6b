"""Reading a run folder back. Nothing in it is trusted: every value is checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import PARTS, Part, Training, weight_generator
from myrnn.models import parameter_names, parameters_of
from myrnn.registry import find, make
from myrnn.results import LearningCurve
from myrnn.runs._data import is_data_run
from myrnn.runs._origin import CONTINUED_FROM, PHASES, check_origin, check_phases
from myrnn.runs._own import OWN, SIZES, check_same, checked_own, remake
from myrnn.runs._save import HISTORY, INDEX, REPORT, RUN, UNFINISHED, WEIGHTS
from myrnn.settings import settings_of
from myrnn.storage import Stored
from myrnn.tasks import Palindromes, TwinHalves

# No size is larger; with digits without end even a message about it would fail.
LARGEST = 2**63 - 1

# Settings that the first runs did not write, with what they were.
LATER_SETTINGS = {"rnn": {"recurrent_init": "glorot"}}


@dataclass(frozen=True, eq=False)
class Run:
    """A run as it was saved.

    Attributes
    ----------
    folder : Path
    settings : dict
        What it takes to repeat the run: ``task``, ``model``, ``optimizer`` and ``training``, each a dict; where its
        first weights are those of another run also ``continued_from``, which says of which; where settings changed
        while it was trained also ``phases``.
    task : TwinHalves or Palindromes
    model : RNN, GRU or LSTM, or a model of a user-defined class
        With the trained weights.
    history : LearningCurve
    report : dict
        The numbers of the training and of its evaluation.
    own : class, callable or model, optional
        What `load_run` was given as the model.
    """

    folder: Path
    settings: dict[str, Any]
    task: TwinHalves | Palindromes
    model: Any
    history: LearningCurve
    report: dict[str, Any]
    own: Any = None

    def untrained(self) -> Any:
        """Return a new model of the same kind, with the weights that ``myrnn train`` begins with, given the run's seed.

        Raises
        ------
        InvalidArgument
            When the model is of a user-defined class, and `load_run` was not given the class.
        """
        if self.own is self.model:
            raise InvalidArgument(f"{self.folder} was loaded into a model: give load_run its class to make another one")
        return remake(self.settings["model"], self.own, weight_generator(self.settings["training"]["seed"]))


def load_run(folder: str | os.PathLike[str], model: Any = None) -> Run:
    """Read a run folder.

    Parameters
    ----------
    folder : path
    model : class, callable or model, optional
        Of a run whose model is of a user-defined class: that class, a function that makes a model of it from C, D
        and K, or such a model, whose weights are replaced.

    Raises
    ------
    RunError
        When it is missing, half-written, damaged, of a newer version, or holds what no run can hold; the message says
        which file, and what is wrong with it.
    InvalidArgument
        When `model` is missing, is given where none is needed, or is not what was saved.
    """
    path = Path(folder)
    if is_data_run(path):
        raise RunError(
            f"{folder} was trained on data, not on a task that draws sequences: "
            f"myrnn predict {folder} --data FILE says the classes of others"
        )
    if (path / UNFINISHED.index).exists() and not (path / INDEX).exists():
        raise RunError(f"{folder} is not finished yet: myrnn train --resume {folder} goes on with it")
    stored = RUN.read(folder)
    for part in (*PARTS, "training"):
        if not isinstance(stored.index.get(part), dict):
            stored.damaged(INDEX, f"has no valid {part!r}: {_checks.shown(stored.index.get(part))}")
    report = stored.json(REPORT)
    task, described, loaded = _rebuild(stored)
    try:
        if loaded is None or model is not None:
            loaded = remake(described, model, np.random.default_rng(0))
        load_weights(stored, WEIGHTS, loaded)
        check_same(described, loaded)
    except InvalidArgument as error:
        raise InvalidArgument(f"{folder}: {error}") from None
    history = parse_history(stored, report, 1 / task.dim_output)
    settings = {
        part: stored.index[part] for part in (*PARTS, "training", CONTINUED_FROM, PHASES) if part in stored.index
    }
    return Run(stored.folder, settings, task, loaded, history, report, model)


def holds_own(folder: str | os.PathLike[str]) -> bool:
    """Return whether the model of a run is of a user-defined class; raises RunError where there is no run."""
    model = RUN.read_index(folder).get("model")
    return isinstance(model, dict) and model.get("name") == OWN


def _rebuild(stored: Stored) -> tuple[TwinHalves | Palindromes, dict[str, Any], Any]:
    """Return the task, the settings of the model, and the model, None where it is of a user-defined class.

    Whatever is wrong with settings is an error of the index.
    """
    index = stored.index
    try:
        task = checked_task(index["task"])
        settings = checked_settings("model", index["model"])
        check_size(settings, len(stored.content[WEIGHTS]), f"{WEIGHTS} has")
        model = None if settings["name"] == OWN else make("model", **settings, rng=0)
        Part.read("optimizer", checked_settings("optimizer", index["optimizer"]))
        Training.read(index["training"], "a training")
        if CONTINUED_FROM in index:
            check_origin(index[CONTINUED_FROM])
        if PHASES in index:
            check_phases(index[PHASES])
        if (settings["dim_input"], settings["dim_output"]) != (task.dim_input, task.dim_output):
            raise InvalidArgument(
                f"the model has {settings['dim_input']} inputs and {settings['dim_output']} classes, "
                f"the task {task.dim_input} and {task.dim_output}"
            )
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    return task, settings, model


def checked_task(given: Any) -> TwinHalves | Palindromes:
    """Return the task with these settings; raises InvalidArgument where there is none."""
    task: TwinHalves | Palindromes = Part.read("task", checked_settings("task", given)).make()
    return task


def checked_settings(part: str, given: Any) -> dict[str, Any]:
    """Return the settings of a task, model or optimizer (`part` says which), its name and all that it is made from."""
    if not isinstance(given, dict):
        raise InvalidArgument(f"the {part} must have settings by name, not {_checks.shown(given)}")
    if part == "model" and given.get("name") == OWN:
        return checked_own(given)
    kind = find(part, given.get("name"))
    name, sizes = kind.name, SIZES if part == "model" else ()
    settings = {**LATER_SETTINGS.get(name, {}), **given}
    wanted = {"name", *sizes, *kind.section.__struct_fields__}
    later = {setting.name for setting in settings_of(kind.section) if setting.is_later}
    if odds := (set(settings) - wanted) | (wanted - later - set(settings)):
        odd = sorted(odds)[0]
        raise InvalidArgument(f"{part} {name} " + (f"needs {odd!r}" if odd in wanted else f"has no setting {odd!r}"))
    return settings


def check_size(model: Mapping[str, Any], most: int, whose: str) -> None:
    """Refuse a model that ships and has more bytes of weights than there can be; `whose` says where `most` is from."""
    if model["name"] == OWN or "dim_recurrent" not in model:
        return
    inputs, units, classes = (
        _checks.integer(name, model[name], minimum=1, maximum=LARGEST)
        for name in ("dim_input", "dim_recurrent", "dim_output")
    )
    # Every model holds these three matrices of float32 at least.
    least = 4 * units * (inputs + units + classes)
    if least > most:
        raise InvalidArgument(
            f"a model of {inputs} inputs, {units} units and {classes} classes has {least:,} bytes of weights or more, "
            f"but {whose} {most:,}"
        )


def load_weights(stored: Stored, file: str, model: Any) -> None:
    """Put the weights that a file of a folder holds into a model, or say what is wrong with the file."""
    weights = stored.arrays(file)
    names = parameter_names(model)
    if odd := sorted(set(names) ^ set(weights)):
        what = f"has no {odd[0]!r}" if odd[0] in names else f"holds {_checks.shown(odd[0])}, which the model has not"
        stored.damaged(file, what)
    for name, parameter in zip(names, parameters_of(model), strict=True):
        given = weights[name]
        if given.dtype != parameter.dtype or given.shape != parameter.shape:
            wanted = f"{parameter.dtype} of shape {parameter.shape}"
            stored.damaged(file, f"has {name!r} as {given.dtype} of shape {given.shape}, not {wanted}")
        if not np.isfinite(given).all():
            stored.damaged(file, f"has a value in {name!r} that is not finite")
        parameter.data[...] = given


def parse_history(stored: Stored, report: Mapping[str, Any], chance: float | None) -> LearningCurve:
    """Return the history that a run holds; raises RunError where it is none."""
    try:
        curve = LearningCurve.from_csv(stored.content[HISTORY])
        iteration, loss, accuracy = curve.iteration, curve.loss, curve.accuracy
    except (ValueError, AttributeError) as error:
        stored.damaged(HISTORY, f"is not a history: {error}", error)
    if len(iteration) and (iteration[0] < 1 or np.any(np.diff(iteration) < 1)):
        stored.damaged(HISTORY, "must have iterations that rise from 1 or more")
    if not (np.isfinite(loss).all() and np.all(loss >= 0) and np.all((accuracy >= 0) & (accuracy <= 1))):
        stored.damaged(HISTORY, "must have finite losses of 0 or more and accuracies between 0 and 1")
    training = report.get("training")
    try:
        if not isinstance(training, dict):
            raise InvalidArgument("'training' is missing")
        longest = _checks.integer("longest", training.get("longest"), minimum=0)
        engine = _checks.one_of("engine", training.get("engine"), ("native", "mygrad"))
    except InvalidArgument as error:
        stored.damaged(REPORT, f"cannot be used: {error}", error)
    return replace(curve, longest=longest, engine=engine, chance=chance)
