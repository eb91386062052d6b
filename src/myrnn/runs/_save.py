"""Writing a run folder, so that what stands there is either whole or not a run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from myrnn import plots
from myrnn._version import __version__
from myrnn.errors import RunError
from myrnn.evaluation import LengthReport
from myrnn.experiment import Part, Training
from myrnn.models import num_parameters, parameter_names, parameters_of
from myrnn.runs._origin import CONTINUED_FROM, PHASES, check_origin, check_phases
from myrnn.runs._own import describe_model
from myrnn.storage import FolderFormat, FolderLock, arrays_to_bytes, clear_scratch, empty_folder, json_to_bytes
from myrnn.training import History

INDEX, WEIGHTS, HISTORY, REPORT = "settings.json", "model.safetensors", "history.csv", "report.json"
# What numbers depend on, beside MyRNN, Python and all settings. The last two make the machine code.
PACKAGES = ("numpy", "mygrad", "numba", "llvmlite")
# What a folder holds until its run is whole.
UNFINISHED = FolderFormat("myrnn unfinished run", 1, "unfinished run", "unfinished.json", {})
CHECKPOINTS = "checkpoints"
# No sound run comes near these sizes.
RUN = FolderFormat("myrnn run", 2, "run", INDEX, {WEIGHTS: 2_000_000_000, HISTORY: 500_000_000, REPORT: 10_000_000})


@contextmanager
def claim_folder(folder: str | os.PathLike[str] | None, name: str) -> Iterator[Path]:
    """Hold and lock an empty folder while a run is made, and remove it again when the work fails with nothing in it.

    Parameters
    ----------
    folder : path, optional
        Where to save: it must not exist or be empty. By default a new folder ``runs/<name>-<time>``.
    name : str
        Begins the name of the default folder.

    Raises
    ------
    RunError
        When the folder holds something, is in use by another process or cannot be made.
    """
    claimed = _new_folder(name) if folder is None else empty_folder(folder, "run")
    made = False
    try:
        with FolderLock(claimed):
            # Another process may have been at work between the first look and the lock.
            clear_scratch(empty_folder(claimed, "run"))
            yield claimed
            made = True
    finally:
        if not made:
            with suppress(OSError):  # there is something in it
                claimed.rmdir()


def save_run(
    folder: str | os.PathLike[str],
    *,
    task: Any,
    model: Any,
    optimizer: Any,
    history: History,
    training: Mapping[str, Any] | None = None,
    report: LengthReport | None = None,
    numbers: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Callable[[Path], Any]] | None = None,
    described: Mapping[str, Any] | None = None,
    continued_from: Mapping[str, Any] | None = None,
    phases: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write a run folder and return its path.

    Parameters
    ----------
    folder : path
        It must not exist or be empty.
    task : TwinHalves or Palindromes
    model : RNN, GRU or LSTM, or a model of a class of your own
        With its trained weights. Of a class of your own the name is kept, not the code: `load_run` is given it again.
    optimizer : SGD, RMSprop or Adam
        Only its settings are kept.
    history : History
    training : mapping, optional
        The arguments of `train` other than its defaults: iterations, batch_size, seed, engine, report_every,
        schedule (by name), gradient_clip.
    report : LengthReport, optional
        Writes ``accuracy_by_length.csv`` and its pictures.
    numbers : mapping, optional
        The content of ``report.json``; by default that of `summarize`.
    pictures : mapping of str to callable, optional
        Further files: each function is called with the path to write to.
    described : mapping, optional
        What is kept of the model beside its weights; by default what `describe_model` says of it now.
    continued_from : mapping, optional
        Of a run that the training went on from: its ``name``, the SHA-256 of its ``weights`` and its ``iterations``.
    phases : sequence of mapping
        Where the learning rate, the batch size or the clipping changed while it was trained: what `train` was called
        with, one call after the other. Each has ``iterations``, ``learning_rate``, ``batch_size``, ``seed`` and
        ``gradient_clip``.

    Raises
    ------
    InvalidArgument
        When the task or optimizer is of a kind that cannot be made again from a file.
    RunError
        When the folder holds something or cannot be written.
    """
    settings = {
        **made_with(),
        "task": Part.of("task", task).to_dict(),
        "model": dict(describe_model(model, task) if described is None else described),
        "optimizer": Part.of("optimizer", optimizer).to_dict(),
        "training": Training.read(training or {}, "a training").to_dict(),
        **({} if continued_from is None else {CONTINUED_FROM: check_origin(continued_from)}),
        **({PHASES: check_phases(list(phases))} if phases else {}),
    }
    chosen = summarize(model, history, report) if numbers is None else numbers
    target = empty_folder(folder, "run")
    write_run(target, settings, model, history, chosen, report, pictures or {})
    return target


def write_run(
    folder: Path,
    settings: Mapping[str, Any],
    model: Any,
    history: History,
    numbers: Mapping[str, Any],
    report: LengthReport | None,
    pictures: Mapping[str, Callable[[Path], Any]],
) -> None:
    """Write the files of a run, the index with its settings last; raises RunError where it cannot be written."""
    RUN.write(folder, settings, {**_parts(model, history, report, numbers, settings["model"]), **pictures})


def summarize(
    model: Any,
    history: History,
    report: LengthReport | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all numbers of a training and of its evaluation as plain values, as ``report.json`` has them.

    `training` and `evaluation` add further numbers to the two parts, such as the seconds they took.
    """
    last = len(history) - 1
    numbers: dict[str, Any] = {
        "training": {
            "engine": history.engine,
            "iterations": int(history.iteration[last]) if len(history) else 0,
            "longest": history.longest,
            "parameters": num_parameters(model),
            "loss": float(history.loss[last]) if len(history) else None,
            "accuracy": float(history.accuracy[last]) if len(history) else None,
            **(training or {}),
        }
    }
    if report is not None:
        numbers["evaluation"] = {
            "chance": report.chance,
            "confidence": report.confidence,
            "accuracy_trained_lengths": _share(report, ~report.beyond),
            "accuracy_beyond": _share(report, report.beyond),
            **(evaluation or {}),
            "lengths": report.rows(),
        }
    return numbers


def _share(report: LengthReport, chosen: Any) -> float | None:
    total = int(report.total[chosen].sum())
    return int(report.correct[chosen].sum()) / total if total else None


def _new_folder(name: str) -> Path:
    base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    suffixes = ("", *(f"-{count}" for count in range(2, 1000)))
    for suffix in suffixes:
        folder = base.with_name(base.name + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"cannot make the run folder {folder}: {error.strerror or error}") from error
        return folder
    raise RunError(f"there are {len(suffixes)} run folders called {base} already")


def _parts(
    model: Any,
    history: History,
    report: LengthReport | None,
    numbers: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, bytes | Callable[[Path], Any]]:
    """Return what stands in the files of a run."""
    parts: dict[str, bytes | Callable[[Path], Any]] = {
        WEIGHTS: weight_bytes(model),
        HISTORY: history.to_csv,
        REPORT: json_to_bytes(numbers),
    }
    if len(history):
        chance = 1 / settings["dim_output"]
        axes = plots.plot_history(history.iteration, history.loss, history.accuracy, chance=chance)
        parts |= _figure(axes, "training")
    if report is not None:
        parts["accuracy_by_length.csv"] = report.to_csv
        parts |= _figure(report.plot(), "accuracy_by_length")
    return parts


def made_with(*further: str) -> dict[str, Any]:
    """Return when something was made, and with which versions: of what numbers depend on, and of `further` packages."""
    versions = {name: metadata.version(name) for name in (*PACKAGES, *further)}
    versions = {"myrnn": __version__, "python": platform.python_version(), **versions}
    return {"created": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "versions": versions}


def weight_bytes(model: Any) -> bytes:
    """Return a model's weights, by their names, as safetensors."""
    names = parameter_names(model)
    return arrays_to_bytes({name: p.data for name, p in zip(names, parameters_of(model), strict=True)})


def _figure(axes: Any, name: str) -> dict[str, Callable[[Path], Any]]:
    return {f"{name}{suffix}": lambda path: plots.save_figure(axes, path) for suffix in (".svg", ".png")}
