"""The state of run folders: their files, and whether a run has begun, is complete or is in progress."""

from __future__ import annotations

import os
import platform
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from myrnn._version import __version__
from myrnn.errors import RunError
from myrnn.models.model import parameter_names, parameters_of
from myrnn.storage import FolderFormat, FolderLock, arrays_to_bytes, clear_scratch, empty_folder
from myrnn.training.checkpoint import keep_last_checkpoint, load_checkpoint

INDEX, WEIGHTS, HISTORY, REPORT, ENCODING = (
    "settings.json",
    "model.safetensors",
    "history.csv",
    "report.json",
    "encoding.json",
)
# The packages that numbers depend on, besides MyRNN, Python and all settings. Numba and LLVM make the machine code;
# scikit-learn draws what is held out of data.
PACKAGES = ("scikit-learn", "numpy", "mygrad", "numba", "llvmlite")
# A folder has this file until its run is complete.
UNFINISHED = FolderFormat("myrnn unfinished run", 1, "unfinished run", "unfinished.json", {})
CHECKPOINTS = "checkpoints"
# No valid run comes near these sizes. A run on data also has the encoders of its sequences and targets.
RUN = FolderFormat(
    "myrnn run",
    1,
    "run",
    INDEX,
    {WEIGHTS: 4_000_000_000, HISTORY: 500_000_000, REPORT: 1_000_000_000, ENCODING: 1_000_000_000},
    optional=(ENCODING,),
)


def has_run(folder: Path) -> bool:
    """Return whether a folder holds a run that was complete once; also while it is given more iterations."""
    return (folder / INDEX).exists()


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder holds a run that is not complete, or a complete one that is given more iterations."""
    return (folder / UNFINISHED.index).is_file()


def is_whole(folder: Path) -> bool:
    """Return whether a folder holds a run with nothing left to do; raises RunError if it is damaged."""
    if is_unfinished(folder) or not has_run(folder):
        return False
    RUN.read(folder)
    return True


def iterations_saved(folder: Path) -> int | None:
    """Return the number of iterations in the last good checkpoint of a run, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            state = load_checkpoint(folder / CHECKPOINTS)
        except RunError:
            return None
    return None if state is None else state.iteration


def end_job(folder: Path) -> None:
    """Remove the temporary files of a complete run; the last checkpoint stays."""
    keep_last_checkpoint(folder / CHECKPOINTS)
    (folder / UNFINISHED.index).unlink(missing_ok=True)


@contextmanager
def claim_folder(folder: str | os.PathLike[str] | None, name: str) -> Iterator[Path]:
    """Lock an empty folder while a run is made; if that fails without a checkpoint, remove what it has begun."""
    claimed = _new_folder(name) if folder is None else empty_folder(folder, "run")
    try:
        with FolderLock(claimed):
            # Another process may have written into it before it was locked.
            clear_scratch(empty_folder(claimed, "run"))
            try:
                yield claimed
            except BaseException:
                if is_unfinished(claimed) and iterations_saved(claimed) is None:
                    (claimed / UNFINISHED.index).unlink(missing_ok=True)
                    shutil.rmtree(claimed / CHECKPOINTS, ignore_errors=True)
                raise
    except BaseException:
        with suppress(OSError):  # it is not empty
            claimed.rmdir()
        raise


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


def made_with() -> dict[str, Any]:
    """Return the time, and the versions of the packages that numbers depend on."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    versions = {"myrnn": __version__, "python": platform.python_version(), **versions}
    return {"created": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "versions": versions}


def weight_bytes(model: Any) -> bytes:
    """Return a model's weights, by their names, as safetensors."""
    names = parameter_names(model)
    return arrays_to_bytes({name: p.data for name, p in zip(names, parameters_of(model), strict=True)})
