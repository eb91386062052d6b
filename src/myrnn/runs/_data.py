"""The folders of classifiers, and of runs that trained one on data."""

from __future__ import annotations

from pathlib import Path

from myrnn.storage import FolderFormat

# What a classifier's own folder holds; no sound one comes near these sizes.
CLASSIFIER = FolderFormat(
    "myrnn classifier",
    1,
    "classifier",
    "classifier.json",
    {"encoding.json": 1_000_000_000, "history.json": 100_000_000, "model.safetensors": 4_000_000_000},
)
# A run on data holds one in a folder of its own. The command line writes and reads these.
CLASSIFIER_FOLDER = "classifier"
DATA_RUN = FolderFormat("myrnn data run", 1, "run", "data.json", {"report.json": 1_000_000_000})


def is_data_run(folder: Path) -> bool:
    """Tell whether a folder holds a classifier that was trained on data."""
    return (folder / DATA_RUN.index).is_file()
