"""Messages of a command that is interrupted or fails: what is saved, and how to resume."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from myrnn._signals import STOPPING, Stops, handled_by, handlers, noted_stops, stopped
from myrnn._user_code import failure, user_frame
from myrnn.errors import MyRNNError, RunError, TrainingDiverged
from myrnn.runs.folder import has_run, is_unfinished, resumable_iteration


@contextmanager
def explained(folder: Path, own: str | None, on_divergence: str) -> Iterator[Stops]:
    """When a run is interrupted or fails, add to the message what is saved, and how to resume."""
    try:
        with explaining_stops(folder, own), noted_stops() as stops, keeping(lambda: _kept(folder, own)):
            yield stops
    except TrainingDiverged as error:
        what, _, _ = str(error).partition(": ")
        raise TrainingDiverged(f"{what}: {_advice(folder, own, on_divergence)}") from error


@contextmanager
def explaining_stops(folder: Path, own: str | None) -> Iterator[None]:
    """Add to an interrupt without a message what is saved of a run."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if str(stop):
            raise
        # Further signals do not cut the message off.
        with handled_by(dict.fromkeys(handlers(*STOPPING), signal.SIG_IGN)):
            message = _kept(folder, own) or "nothing was saved"
        raise stopped(stop, message) from None


@contextmanager
def keeping(kept: Callable[[], str]) -> Iterator[None]:
    """Add to the message of an error what is saved, as `kept` says it, unless that is empty."""
    try:
        yield
    except (BrokenPipeError, TrainingDiverged):
        raise
    except MyRNNError as error:
        raise type(error)(_joined(str(error), kept())) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise RunError(_joined(what, kept())) from error
    except MemoryError as error:
        raise MemoryError(_joined(str(error), kept())) from error
    except Exception as error:
        if user_frame(error) is None:
            raise
        raise RunError(_joined(f"the model fails: {failure(error)}", kept())) from error


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _kept(folder: Path, own: str | None) -> str:
    if not is_unfinished(folder):
        # The run may not have begun: on a full disk even its first file may be missing.
        return f"{folder} is whole" if has_run(folder) else ""
    saved = resumable_iteration(folder)
    return "" if saved is None else f"iteration {saved:,} is saved, resume with: {command(folder, own)}"


def command(folder: Path, own: str | None, *options: str) -> str:
    """Return the command that resumes a run."""
    return shlex.join(["myrnn", "train", "--resume", str(folder), *([] if own is None else ["--model", own]), *options])


def _advice(folder: Path, own: str | None, on_divergence: str) -> str:
    """Suggest what may help a run that has diverged, and say what is kept of it."""
    saved, gentle = resumable_iteration(folder), ("--on-divergence", "restart")
    if on_divergence == "restart":
        kept = "" if saved is None else f"; iteration {saved:,}, from before it, is kept in {folder}"
        return f"try a smaller --learning-rate or --gradient-clip 1{kept}"
    if saved is None:
        return f"try a smaller --learning-rate, --gradient-clip 1, or {' '.join(gentle)}"
    return (
        f"try a smaller --learning-rate or --gradient-clip 1; iteration {saved:,}, from before it, is saved, "
        f"resume from there with half the rate: {command(folder, own, *gentle)}"
    )
