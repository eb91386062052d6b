"""What tells the run of a classifier that was trained on data from one that was trained on a task."""

from __future__ import annotations

from pathlib import Path

from myrnn.storage import FolderFormat

# The command line writes and reads these.
DATA_RUN = FolderFormat("myrnn data run", 1, "run", "data.json", {"report.json": 1_000_000_000})


def is_data_run(folder: Path) -> bool:
    """Tell whether a folder holds a classifier that was trained on data."""
    return (folder / DATA_RUN.index).is_file()
