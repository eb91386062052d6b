"""Find the line of the user's code that raised an exception or that a warning is about."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
import warnings
from functools import cache
from pathlib import Path
from types import FrameType

import mygrad

# Code in these folders does not belong to the user.
LIBRARIES = tuple(
    {
        f"{Path(folder).resolve()}{os.sep}"
        for folder in (
            *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            os.path.dirname(mygrad.__file__),
            os.path.dirname(__file__),
        )
    }
)


def user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost frame of an exception that is in the user's code, or None."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users_file(frame.filename)]
    return frames[-1] if frames else None


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line of the user's code, however many library calls lie between."""
    frames = (frame for frame, _ in traceback.walk_stack(sys._getframe(1)))
    # 1 is this function, 2 its caller. The warning names the caller if no frame belongs to the user.
    level = next((level for level, frame in enumerate(frames, 2) if _is_users(frame)), 2)
    warnings.warn(message, category, stacklevel=level)


def _is_users(frame: FrameType) -> bool:
    # Methods that `dataclass` writes have no file, but the names of their module.
    is_ours = str(frame.f_globals.get("__name__")).partition(".")[0] == "myrnn"
    return is_users_file(frame.f_code.co_filename) and not is_ours


def in_one_line(error: object) -> str:
    """Return a message, such as that of an exception, in one line."""
    return " ".join(str(error).split())


def line_of(frame: traceback.FrameSummary) -> str:
    """Return the source text of a frame's line; empty if there is no source."""
    return linecache.getline(frame.filename, frame.lineno or 0).strip()


def failure(error: BaseException) -> str:
    """Return the exception, and the user's line that raised it, in one line."""
    if isinstance(error, SyntaxError):
        text = (error.text or "").strip()
        return f"{type(error).__name__}: {error.msg}, in {error.filename}:{error.lineno}" + (
            f": {text}" if text else ""
        )
    message = in_one_line(error)
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frame = user_frame(error)
    if frame is None:
        return text
    line = line_of(frame)
    return f"{text}, in {frame.filename}:{frame.lineno}" + (f": {line}" if line else "")


@cache
def is_users_file(filename: str) -> bool:
    """Whether code in this file is the user's, not a library's or MyRNN's."""
    # Compiled libraries name their sources by relative paths.
    if filename.startswith("<frozen") or filename.endswith((".pyx", ".pxd", ".pxi")):
        return False
    # Code without a file, such as a notebook's cell, is the user's.
    return filename.startswith("<") or not str(Path(filename).resolve()).startswith(LIBRARIES)
