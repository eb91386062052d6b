"""Reading a run folder back. Nothing in it is trusted: every value is checked before it is used."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.models import parameter_names, parameters_of
from myrnn.runs._kinds import KINDS, check_training, make_model, make_optimizer, setting_names
from myrnn.runs._save import FORMAT, FORMAT_VERSION, HISTORY, INDEX, READ_BACK, REPORT, WEIGHTS
from myrnn.tasks import Palindromes, TwinHalves, make_task
from myrnn.training import History

# No sound run comes near these: larger ones are refused before anything is allocated.
MAX_INDEX_BYTES = 1_000_000
MAX_FILE_BYTES = 2_000_000_000
MAX_PATTERN_LENGTH = 1_000_000

COLUMNS = ("iteration", "loss", "accuracy")


@dataclass(frozen=True, eq=False)
class Run:
    """A run as it was saved.

    Attributes
    ----------
    folder : Path
    settings : dict
        What it takes to repeat the run: ``task``, ``model``, ``optimizer`` and ``training``, each a dict.
    task : TwinHalves or Palindromes
    model : RNN, GRU or LSTM
        With the trained weights.
    history : History
    report : dict
        The numbers of the training and of its evaluation.
    """

    folder: Path
    settings: dict[str, Any]
    task: TwinHalves | Palindromes
    model: Any
    history: History
    report: dict[str, Any]


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Read a run folder.

    Raises
    ------
    RunError
        When it is missing, half-written, damaged, of a newer version, or holds what no run can hold; the message says
        which file, and what is wrong with it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise RunError(f"there is no run folder {path}" + (": it is a file" if path.is_file() else ""))
    if not (path / INDEX).exists():
        raise RunError(f"{path} is not a whole run: {INDEX} is missing, which is written last")
    index = _read_index(path)
    content = {name: _read_checked(path, name, index["files"].get(name)) for name in READ_BACK}
    report = _parse_object(path, REPORT, content[REPORT])
    task, model = _rebuild(path, index, len(content[WEIGHTS]))
    _load_weights(path, model, content[WEIGHTS])
    history = _parse_history(path, content[HISTORY], report)
    settings = {part: index[part] for part in (*KINDS, "training")}
    return Run(path, settings, task, model, history, report)


def _damaged(path: Path, name: str, what: str, cause: BaseException | None = None) -> NoReturn:
    raise RunError(f"{path}: {name} {what}") from cause


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _read_index(path: Path) -> dict[str, Any]:
    index = _parse_object(path, INDEX, _read(path, INDEX, MAX_INDEX_BYTES))
    if index.get("format") != FORMAT:
        _damaged(path, INDEX, f"is not that of a run: 'format' must be {FORMAT!r}")
    version = index.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        _damaged(path, INDEX, f"has no valid 'format_version': {_checks.shown(version)}")
    if version > FORMAT_VERSION:
        raise RunError(
            f"{path} was written by a newer MyRNN, in format {version}; this one reads up to {FORMAT_VERSION}"
        )
    for part in (*KINDS, "training", "files"):
        if not isinstance(index.get(part), dict):
            _damaged(path, INDEX, f"has no valid {part!r}: {_checks.shown(index.get(part))}")
    return index


def _read(path: Path, name: str, limit: int) -> bytes:
    file = path / name
    if not file.is_file():
        _damaged(path, name, "is missing")
    try:
        size = file.stat().st_size
        if size > limit:
            _damaged(path, name, f"is too large: {size:,} bytes, at most {limit:,} are read")
        return file.read_bytes()
    except OSError as error:
        _damaged(path, name, f"cannot be read: {error.strerror or error}", error)


def _read_checked(path: Path, name: str, facts: Any) -> bytes:
    if not isinstance(facts, dict) or not isinstance(facts.get("bytes"), int):
        _damaged(path, INDEX, f"does not say what {name} should be")
    content = _read(path, name, MAX_FILE_BYTES)
    if len(content) != facts["bytes"]:
        how = "is cut short" if len(content) < facts["bytes"] else "is too long"
        _damaged(path, name, f"{how}: {len(content):,} bytes instead of {facts['bytes']:,}")
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        _damaged(path, name, f"is damaged or was changed: its hash is not the one in {INDEX}")
    return content


def _parse_object(path: Path, name: str, content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        _damaged(path, name, f"is not valid JSON: {_one_line(error)}", error)
    if not isinstance(parsed, dict):
        _damaged(path, name, f"must hold an object, not {_checks.shown(parsed)}")
    return parsed


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _rebuild(path: Path, index: Mapping[str, Any], weight_bytes: int) -> tuple[TwinHalves | Palindromes, Any]:
    """Make the task and the model again; whatever is wrong with their settings is an error of the index."""
    try:
        settings = {part: _settings(part, index[part]) for part in KINDS}
        _check_sizes(settings["task"], settings["model"], weight_bytes)
        task = make_task(**settings["task"])
        model = make_model(**settings["model"], rng=0)
        make_optimizer(**settings["optimizer"], params=model.parameters)
        check_training(index["training"])
        if (model.dim_input, model.dim_output) != (task.dim_input, task.dim_output):
            raise InvalidArgument(
                f"the model has {model.dim_input} inputs and {model.dim_output} classes, "
                f"the task {task.dim_input} and {task.dim_output}"
            )
    except InvalidArgument as error:
        _damaged(path, INDEX, f"cannot be used: {error}", error)
    return task, model


def _settings(part: str, given: Mapping[str, Any]) -> dict[str, Any]:
    name = _checks.one_of(part, given.get("name"), tuple(KINDS[part]))
    wanted = {"name", *setting_names(KINDS[part][name])}
    if set(given) != wanted:
        odd = sorted(set(given) ^ wanted)[0]
        raise InvalidArgument(f"{part} {name} " + (f"needs {odd!r}" if odd in wanted else f"has no setting {odd!r}"))
    return dict(given)


def _check_sizes(task: Mapping[str, Any], model: Mapping[str, Any], weight_bytes: int) -> None:
    _checks.integer("pattern_length_max", task["pattern_length_max"], maximum=MAX_PATTERN_LENGTH)
    inputs, units, classes = (
        _checks.integer(name, model[name], minimum=1) for name in ("dim_input", "dim_recurrent", "dim_output")
    )
    # Every model holds these three matrices of float32 at least.
    least = 4 * units * (inputs + units + classes)
    if least > weight_bytes:
        raise InvalidArgument(
            f"a model of {inputs} inputs, {units} units and {classes} classes has {least:,} bytes of weights or more, "
            f"but {WEIGHTS} has {weight_bytes:,}"
        )


def _load_weights(path: Path, model: Any, content: bytes) -> None:
    try:
        weights = safetensors.numpy.load(content)
    except Exception as error:  # the reader of safetensors raises kinds of its own for what is wrong with the bytes
        _damaged(path, WEIGHTS, f"is not valid: {_one_line(error)}", error)
    names = parameter_names(model)
    if odd := sorted(set(names) ^ set(weights)):
        what = f"has no {odd[0]!r}" if odd[0] in names else f"holds {_checks.shown(odd[0])}, which the model has not"
        _damaged(path, WEIGHTS, what)
    for name, parameter in zip(names, parameters_of(model), strict=True):
        given = weights[name]
        if given.dtype != parameter.dtype or given.shape != parameter.shape:
            wanted = f"{parameter.dtype} of shape {parameter.shape}"
            _damaged(path, WEIGHTS, f"has {name!r} as {given.dtype} of shape {given.shape}, not {wanted}")
        if not np.isfinite(given).all():
            _damaged(path, WEIGHTS, f"has a value in {name!r} that is not finite")
        parameter.data[...] = given


def _parse_history(path: Path, content: bytes, report: Mapping[str, Any]) -> History:
    iteration, loss, accuracy = _parse_columns(path, content)
    if len(iteration) and (iteration[0] < 1 or np.any(np.diff(iteration) < 1)):
        _damaged(path, HISTORY, "must have iterations that rise from 1 or more")
    if not (np.isfinite(loss).all() and np.all(loss >= 0) and np.all((accuracy >= 0) & (accuracy <= 1))):
        _damaged(path, HISTORY, "must have finite losses of 0 or more and accuracies between 0 and 1")
    training = report.get("training")
    try:
        if not isinstance(training, dict):
            raise InvalidArgument("'training' is missing")
        longest = _checks.integer("longest", training.get("longest"), minimum=0)
        engine = _checks.one_of("engine", training.get("engine"), ("native", "mygrad"))
    except InvalidArgument as error:
        _damaged(path, REPORT, f"cannot be used: {error}", error)
    return History(iteration, loss, accuracy, longest, engine)


def _parse_columns(path: Path, content: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8")))
        if tuple(header) != COLUMNS:
            raise ValueError(f"its columns must be {', '.join(COLUMNS)}")
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        iteration, loss, accuracy = columns
        return (
            np.array([int(value) for value in iteration], dtype=np.int64),
            np.array([float(value) for value in loss], dtype=np.float64),
            np.array([float(value) for value in accuracy], dtype=np.float64),
        )
    except (ValueError, OverflowError, csv.Error) as error:
        _damaged(path, HISTORY, f"is not a history: {_one_line(error)}", error)
