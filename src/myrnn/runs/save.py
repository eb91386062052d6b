"""Writing a run folder that is either complete or not a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from myrnn import plots
from myrnn.data import LABELS
from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthReport, Report
from myrnn.experiment import Part, Training
from myrnn.learning_curve import ACCURACY
from myrnn.models import file_of, num_parameters
from myrnn.runs.fitted import Fitted
from myrnn.runs.folder import ENCODING, HISTORY, REPORT, RUN, RUN_ON_DATA, WEIGHTS, made_with, weight_bytes
from myrnn.runs.model import SOURCE, describe_model
from myrnn.runs.origin import CONTINUED_FROM, PHASES, check_origin, check_phases
from myrnn.runs.reports import parts_of, tests_table
from myrnn.storage import empty_folder, json_to_bytes
from myrnn.training import History

Files = dict[str, bytes | Callable[[Path], Any]]

# Numbers of a report that counts classes, over all lengths.
BALANCE = ("base_rate", "balanced_accuracy")


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
        A path that does not exist, or an empty folder.
    task : TwinHalves or Palindromes
    model : a network of this package, or a model of a user-defined class
        With its trained weights. For a user-defined class that was loaded from a file, the folder names the file, has
        its hash, and a copy to read, which is never run. `load_run` finds that file, or takes the class.
    optimizer : SGD, RMSprop or Adam
        Only its settings are stored.
    history : History
    training : mapping, optional
        The arguments of `train` that are not defaults: iterations, batch_size, seed, engine, report_every, schedule (by
        name), gradient_clip.
    report : LengthReport, optional
        Writes ``accuracy_by_length.csv`` and its figures.
    numbers : mapping, optional
        The content of ``report.json``; by default that of `summarize`.
    pictures : mapping of str to callable, optional
        Further files: each function is called with the path to write to.
    described : mapping, optional
        The stored description of the model; by default that of `describe_model`.
    continued_from : mapping, optional
        The run that the training continued: its ``name``, the SHA-256 of its ``weights`` and its ``iterations``.
    phases : sequence of mapping
        If the learning rate, the batch size or the clipping changed during the training: the arguments of the calls of
        `train`, in order. Each has ``iterations``, ``learning_rate``, ``batch_size``, ``seed`` and ``gradient_clip``.

    Raises
    ------
    InvalidArgument
        When the task or optimizer is of a kind that cannot be rebuilt from a file, or the history is not that of a
        classifier.
    RunError
        When the folder is not empty or cannot be written.
    """
    if history.metric != ACCURACY:
        raise InvalidArgument(f"save_run saves a classifier, whose history has {ACCURACY}, not {history.metric}")
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
    """Write the files of a run, and last the index with its settings; raises RunError if that fails."""
    RUN.write(folder, settings, {**_parts(model, history, report, numbers, settings["model"]), **pictures})


def summarize(
    model: Any,
    history: History,
    report: LengthReport | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all results of a training and its evaluation as plain values, in the form of ``report.json``.

    `training` and `evaluation` add further numbers to the two parts, such as their seconds.
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
            **({name: report.totals()["all"][name] for name in BALANCE} if report.class_names else {}),
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


def _parts(
    model: Any,
    history: History,
    report: LengthReport | None,
    numbers: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, bytes | Callable[[Path], Any]]:
    """Return the content of the files of a run."""
    parts: dict[str, bytes | Callable[[Path], Any]] = {
        WEIGHTS: weight_bytes(model),
        HISTORY: history.to_csv,
        REPORT: json_to_bytes(numbers),
        **_source(model),
    }
    if len(history):
        chance = 1 / settings["dim_output"] if history.chance is None else history.chance
        axes = plots.plot_history(history.iteration, history.loss, history.accuracy, chance=chance)
        parts |= _figure(axes, "training")
    if report is not None:
        parts["accuracy_by_length.csv"] = report.to_csv
        parts |= _figure(report.plot(), "accuracy_by_length")
    return parts


def write_data_run(
    folder: Path,
    settings: Mapping[str, Any],
    fitted: Fitted,
    numbers: Mapping[str, Any],
    reports: Mapping[str, Report],
    pictures: bool = True,
) -> None:
    """Write the files of a run on data, and last the index with its settings; raises RunError if that fails.

    `reports` are those of its tests, by name.
    """
    how = "own" if callable(fitted.tokenize) else fitted.tokenize
    noted = {"tokenize": how, "best_epoch": fitted.best_epoch, **settings.get("classifier", {})}
    files: Files = {
        WEIGHTS: weight_bytes(fitted.model),
        HISTORY: fitted.history.to_csv,
        REPORT: json_to_bytes(numbers),
        ENCODING: json_to_bytes({"sequences": fitted.encoder.to_settings(), **_learned(fitted)}),
        **_source(fitted.model),
    }
    # One at a time: a figure occupies memory until it is written.
    figures: dict[str, Callable[[], Any]] = {}
    if pictures:
        # Without validation the last weights count. The classes of data are not equally frequent, so the accuracy of
        # guessing means little.
        best = fitted.best_epoch if fitted.history.validation_loss is not None else None
        curve = replace(fitted.history, chance=None)
        figures["training"] = partial(plots.plot_learning_curve, curve, best_epoch=best)
    for name, report in reports.items():
        end = "" if len(reports) == 1 else f"-{name}"
        tables, drawn = parts_of(report)
        files |= {f"{part}{end}.csv": write for part, write in tables.items()}
        figures |= {f"{part}{end}": draw for part, draw in drawn.items()}
    if len(reports) > 1:
        files["tests.csv"] = tests_table(reports).to_csv
    for name, draw in figures.items():
        figure = draw()
        files |= {f"{name}{ending}": partial(plots.save_figure, figure) for ending in (".svg", ".png")}
    RUN_ON_DATA.write(folder, {**settings, "classifier": noted}, files)


def _source(model: Any) -> Files:
    """Return a copy of the file of a user-defined class, if it was loaded from one."""
    file = file_of(type(model))
    return {} if file is None else {SOURCE: file.source}


def _learned(fitted: Fitted) -> dict[str, Any]:
    """Return the description of the targets; labels in the form of the first runs."""
    if fitted.targets.learn == LABELS:
        return {"labels": fitted.labels.to_settings()}
    columns = {} if fitted.columns is None else {"columns": list(fitted.columns)}
    return {"targets": fitted.targets.to_settings(), **columns}


def _figure(axes: Any, name: str) -> dict[str, Callable[[Path], Any]]:
    return {f"{name}{suffix}": lambda path: plots.save_figure(axes, path) for suffix in (".svg", ".png")}
