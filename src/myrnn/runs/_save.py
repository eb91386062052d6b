"""Writing a run folder, so that what stands there is either whole or not a run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.numpy

from myrnn import plots
from myrnn._version import __version__
from myrnn.errors import RunError
from myrnn.evaluation import LengthReport
from myrnn.models import num_parameters, parameter_names, parameters_of
from myrnn.runs._kinds import check_training, describe
from myrnn.training import History

FORMAT = "myrnn run"
FORMAT_VERSION = 1

INDEX, WEIGHTS, HISTORY, REPORT = "settings.json", "model.safetensors", "history.csv", "report.json"
# The files that are read back, and whose size and hash the index holds.
READ_BACK = (WEIGHTS, HISTORY, REPORT)


@contextmanager
def claim_folder(folder: str | os.PathLike[str] | None, name: str) -> Iterator[Path]:
    """Hold an empty folder while a run is made, and remove it again when the work fails with nothing in it.

    Parameters
    ----------
    folder : path, optional
        Where to save: it must not exist or be empty. By default a new folder ``runs/<name>-<time>``.
    name : str
        Begins the name of the default folder.

    Raises
    ------
    RunError
        When the folder holds something or cannot be made.
    """
    claimed = _new_folder(name) if folder is None else _empty_folder(Path(folder))
    try:
        yield claimed
    except BaseException:
        if not any(claimed.iterdir()):
            claimed.rmdir()
        raise


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
) -> Path:
    """Write a run folder and return its path.

    Parameters
    ----------
    folder : path
        It must not exist or be empty.
    task : TwinHalves or Palindromes
    model : RNN, GRU or LSTM
        With its trained weights.
    optimizer : SGD, RMSprop or Adam
        Only its settings are kept.
    history : History
    training : mapping, optional
        The arguments of `train` other than its defaults: iterations, batch_size, seed, engine, report_every,
        gradient_clip.
    report : LengthReport, optional
        Writes ``accuracy_by_length.csv`` and its pictures.
    numbers : mapping, optional
        The content of ``report.json``; by default that of `summarize`.
    pictures : mapping of str to callable, optional
        Further files: each function is called with the path to write to.

    Raises
    ------
    InvalidArgument
        When the task, model or optimizer is of a kind that cannot be made again from a file.
    RunError
        When the folder holds something or cannot be written.
    """
    settings = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {
            "myrnn": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "mygrad")},
        },
        "task": describe("task", task),
        "model": describe("model", model),
        "optimizer": describe("optimizer", optimizer),
        "training": check_training(training or {}),
    }
    chosen = summarize(model, history, report) if numbers is None else numbers
    target = _empty_folder(Path(folder))
    try:
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target) as scratch:
            written = Path(scratch)
            _write_parts(written, model, history, report, chosen)
            for name, write in (pictures or {}).items():
                write(written / name)
            settings["files"] = {name: _fingerprint(written / name) for name in READ_BACK}
            _write_json(written / INDEX, settings)
            _move(written, target)
    except OSError as error:
        raise RunError(f"cannot write the run folder {target}: {error.strerror or error}") from error
    return target


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


def _empty_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{folder} is or lies below a file: a run needs a folder of its own") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot make the run folder {folder}: {getattr(error, 'strerror', None) or error}") from error
    if taken:
        raise RunError(f"{folder} is not empty: choose another folder, nothing is overwritten")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(f"cannot write into {folder}: permission denied")
    return folder


def _write_parts(
    folder: Path, model: Any, history: History, report: LengthReport | None, numbers: Mapping[str, Any]
) -> None:
    weights = dict(zip(parameter_names(model), (p.data for p in parameters_of(model)), strict=True))
    (folder / WEIGHTS).write_bytes(safetensors.numpy.save(weights))
    history.to_csv(folder / HISTORY)
    _write_json(folder / REPORT, numbers)
    if len(history):
        chance = 1 / model.dim_output
        axes = plots.plot_history(history.iteration, history.loss, history.accuracy, chance=chance)
        _write_figure(axes, folder, "training")
    if report is not None:
        report.to_csv(folder / "accuracy_by_length.csv")
        _write_figure(report.plot(), folder, "accuracy_by_length")


def _write_figure(axes: Any, folder: Path, name: str) -> None:
    for suffix in (".svg", ".png"):
        plots.save_figure(axes, folder / f"{name}{suffix}")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _fingerprint(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _move(source: Path, target: Path) -> None:
    """Move all files of one folder into another on the same disk, each at once and the index last."""
    files = sorted(source.iterdir(), key=lambda path: (path.name == INDEX, path.name))
    for path in files:
        # On the disk before it gets its name: a power cut leaves no empty file under a right name.
        with path.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(path, target / path.name)
