"""The folders of classifiers, and of runs that trained one on data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.storage import FolderFormat, Stored

# What a classifier's own folder holds; no sound one comes near these sizes.
CLASSIFIER = FolderFormat(
    "myrnn classifier",
    2,
    "classifier",
    "classifier.json",
    {"encoding.json": 1_000_000_000, "history.json": 100_000_000, "model.safetensors": 4_000_000_000},
    oldest=1,
)
HISTORY = "history.json"
# The columns of a classifier's history: the first three are always there.
COLUMNS = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy")
# A run on data holds one in a folder of its own. The command line writes and reads these.
CLASSIFIER_FOLDER = "classifier"
DATA_RUN = FolderFormat("myrnn data run", 2, "run", "data.json", {"report.json": 1_000_000_000}, oldest=1)


def is_data_run(folder: Path) -> bool:
    """Tell whether a folder holds a classifier that was trained on data."""
    return (folder / DATA_RUN.index).is_file()


def classifier_history(stored: Stored) -> dict[str, NDArray[Any]]:
    """Return the columns of a classifier's training by epoch; raises RunError where they are none."""
    columns = stored.json(HISTORY)
    lengths = {len(column) if isinstance(column, list) else -1 for column in columns.values()}
    if not set(COLUMNS[:3]) <= set(columns) <= set(COLUMNS) or len(lengths) != 1 or min(lengths) < 1:
        stored.damaged(HISTORY, f"must hold lists of one length out of {', '.join(COLUMNS)}")
    return {name: _column(stored, name, column) for name, column in columns.items()}


def _column(stored: Stored, name: str, given: list[Any]) -> NDArray[Any]:
    wanted = int if name == COLUMNS[0] else int | float
    if not all(isinstance(value, wanted) and not isinstance(value, bool) for value in given):
        stored.damaged(HISTORY, f"has something in {name!r} that is no number")
    try:
        return np.array(given, dtype=int if name == COLUMNS[0] else float)
    except OverflowError as error:
        stored.damaged(HISTORY, f"has too large a number in {name!r}", error)
