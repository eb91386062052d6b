"""Readers for the former folder formats of classifiers and of runs on data.

A run on data had an index ``data.json`` and a classifier in a subfolder; a saved classifier was such a subfolder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.data import ClassLabels, SequenceEncoder
from myrnn.errors import InvalidArgument
from myrnn.experiment import Part
from myrnn.storage import FolderFormat, Stored, json_to_bytes

ENCODING, HISTORY, WEIGHTS, REPORT = "encoding.json", "history.json", "model.safetensors", "report.json"
FORMER_CLASSIFIER = FolderFormat(
    "myrnn classifier",
    2,
    "classifier",
    "classifier.json",
    {ENCODING: 1_000_000_000, HISTORY: 100_000_000, WEIGHTS: 4_000_000_000},
    oldest=1,
)
FORMER_DATA_RUN = FolderFormat("myrnn data run", 2, "run", "data.json", {REPORT: 1_000_000_000}, oldest=1)
FOLDER = "classifier"
# The columns of a classifier's history: the first three are required.
COLUMNS = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy")
# Settings that the first of these folders lack, with their values.
ADDED = {"activation": None, "tokenize": "auto"}


def is_former(folder: Path) -> bool:
    """Return whether a folder has one of the former formats."""
    return (folder / FORMER_DATA_RUN.index).is_file() or (folder / FORMER_CLASSIFIER.index).is_file()


def read_former(folder: Path) -> Stored:
    """Read such a folder in the form of a present run; raises RunError if it is damaged."""
    report, index = None, {}
    place = folder
    if (folder / FORMER_DATA_RUN.index).is_file():
        run = FORMER_DATA_RUN.read(folder)
        report, index, place = run.content[REPORT], run.index, folder / FOLDER
    stored = FORMER_CLASSIFIER.read(place)
    try:
        sections = _sections(stored, index)
    except InvalidArgument as error:
        stored.damaged(FORMER_CLASSIFIER.index, f"cannot be used: {error}", error)
    content = {
        WEIGHTS: stored.content[WEIGHTS],
        "history.csv": _curve(stored),
        REPORT: json_to_bytes({"training": {}}) if report is None else report,
        ENCODING: stored.content[ENCODING],
    }
    header = {name: stored.index.get(name) for name in ("created", "versions")}
    return Stored(folder, {**header, **sections}, content)


def _sections(stored: Stored, run: Mapping[str, Any]) -> dict[str, Any]:
    for part in ("settings", "fitted"):
        if not isinstance(stored.index.get(part), dict):
            raise InvalidArgument(f"{part!r} is missing")
    cell, fitted = stored.index.get("cell"), stored.index["fitted"]
    settings = {**ADDED, **stored.index["settings"]}
    encoding = stored.json(ENCODING)
    for part in ("sequences", "labels"):
        if not isinstance(encoding.get(part), dict):
            raise InvalidArgument(f"{ENCODING} has no {part!r}")
    sizes = {
        "dim_input": SequenceEncoder.from_settings(encoding["sequences"]).dim_input,
        "dim_output": len(ClassLabels.from_settings(encoding["labels"])),
    }
    width = settings.get("dim_embedding")
    width = fitted.get("dim_embedding") if width == "auto" else width
    if cell is None:
        model = {"name": "own", "class": "YourCell", "dim_recurrent": settings.get("dim_recurrent"), "logits": None}
    else:
        _checks.one_of("cell", cell, ("rnn", "gru", "lstm"))
        activation = {"activation": settings["activation"] or "relu"} if cell == "rnn" else {}
        deep = {"layers": settings.get("layers"), "dim_embedding": width or 0}
        model = {"name": cell, "dim_recurrent": settings.get("dim_recurrent"), **activation, **deep}
        model["recurrent_init"] = "orthogonal"
    optimizer = {name: settings[name] for name in ("learning_rate", "weight_decay") if name in settings}
    optimizer["name"] = settings.get("optimizer")
    seed, weight = settings.get("random_state"), settings.get("class_weight")
    names = ("max_epochs", "batch_size", "engine", "validation_fraction", "early_stopping_patience", "schedule")
    return {
        "data": {
            "text_column": run.get("text_column", "sequence"),
            **{name: settings[name] for name in ("standardize", "max_vocabulary") if name in settings},
        },
        "model": {**model, **sizes},
        "optimizer": Part.read("optimizer", optimizer).to_dict(),
        "training": {
            **{name: settings[name] for name in (*names, "gradient_clip") if name in settings},
            "seed": seed if isinstance(seed, int) else 0,
            "class_weight": weight if weight == "balanced" else None,
        },
        "evaluation": {},
        "classifier": {"settings": settings, **fitted},
    }


def _curve(stored: Stored) -> bytes:
    """Return the history as the CSV file of a present run."""
    columns = stored.json(HISTORY)
    lengths = {len(column) if isinstance(column, list) else -1 for column in columns.values()}
    if not set(COLUMNS[:3]) <= set(columns) <= set(COLUMNS) or len(lengths) != 1 or min(lengths) < 1:
        stored.damaged(HISTORY, f"must hold lists of one length out of {', '.join(COLUMNS)}")
    text = io.StringIO(newline="")
    names = [name for name in COLUMNS if name in columns]
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows(zip(*(columns[name] for name in names), strict=True))
    return text.getvalue().encode()
