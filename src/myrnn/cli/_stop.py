"""What stops a run on its way (Ctrl-C, SIGTERM, a fault), and what is said of it."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from myrnn.errors import MyRNNError, RunError, TrainingDiverged
from myrnn.runs import is_unfinished, iterations_saved
from myrnn.training import raising


class Terminated(KeyboardInterrupt):
    """The process was told to end with SIGTERM: what Ctrl-C is, but for the exit code."""


@contextmanager
def terminations() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, where nobody else has a use for it."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> Any:
        raise Terminated

    signal.signal(signal.SIGTERM, raising(terminate))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def told(folder: Path, own: str | None = None) -> Iterator[None]:
    """Say of whatever stops the run in a folder what is saved of it, and how it goes on.

    Parameters
    ----------
    folder : Path
        Of a run that has begun.
    own : str, optional
        Where its model's class stands, if that is somebody's own.
    """
    try:
        with terminations():
            yield
    except KeyboardInterrupt as stop:
        how = "terminated" if isinstance(stop, Terminated) else "interrupted"
        raise type(stop)(f"{how}: {_kept(folder, own) or 'nothing was saved'}") from None
    except TrainingDiverged as error:
        what, _, _ = str(error).partition(": ")
        raise TrainingDiverged(f"{what}: {_advice(folder)}") from error
    except BrokenPipeError:
        raise
    except MyRNNError as error:
        raise type(error)(_with(str(error), folder, own)) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise RunError(_with(what, folder, own)) from error
    except MemoryError as error:
        raise MemoryError(_with(str(error), folder, own)) from error


def _with(what: str, folder: Path, own: str | None) -> str:
    """Return an error's message with what is saved, if anything is."""
    return "; ".join(filter(None, (what, _kept(folder, own))))


def _kept(folder: Path, own: str | None) -> str:
    if not is_unfinished(folder):
        return f"{folder} is whole"
    saved = iterations_saved(folder)
    if not saved:
        return ""
    command = ["myrnn", "train", "--resume", str(folder), *([] if own is None else ["--model", own])]
    return f"iteration {saved:,} is saved, go on with: {shlex.join(command)}"


def _advice(folder: Path) -> str:
    saved = iterations_saved(folder)
    kept = f"; the state of iteration {saved:,}, the last that was saved, is kept in {folder}" if saved else ""
    return f"try a smaller --learning-rate, --gradient-clip 1, or --on-divergence restart{kept}"
