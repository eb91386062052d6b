"""Where in a student's own code an exception came up."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from pathlib import Path

import mygrad

from myrnn.exercises._limits import TookTooLong

# What an answer may do wrong. Only KeyboardInterrupt is not its own: that is the one who waits.
FAULTS = (Exception, SystemExit, TookTooLong)

# Code in these folders is not the student's.
LIBRARIES = tuple(
    {
        f"{Path(folder).resolve()}{os.sep}"
        for folder in (
            *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            os.path.dirname(mygrad.__file__),
            os.path.dirname(os.path.dirname(__file__)),
        )
    }
)


def describe(error: BaseException) -> str:
    """Return one line: the exception, and the line of the student's code that it came from."""
    message = " ".join(str(error).split())
    if isinstance(error, TookTooLong):
        return f"{message}{_place(error)}. Does a loop never end?"
    return f"it raised {type(error).__name__}" + (f": {message}" if message else "") + _place(error)


def _place(error: BaseException) -> str:
    """Return where in the student's code an exception came up, or nothing if it was elsewhere."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    if not own:
        return ""
    line = own[-1].lineno
    text = linecache.getline(own[-1].filename, line or 0).strip()
    return f", in {own[-1].name}, line {line}" + (f": {text}" if text else "")


def _is_own(filename: str) -> bool:
    # Compiled libraries name their sources by relative paths.
    if filename.startswith("<frozen") or filename.endswith((".pyx", ".pxd", ".pxi")):
        return False
    # What has no file, such as a notebook's cell, is nobody's but the student's.
    return filename.startswith("<") or not str(Path(filename).resolve()).startswith(LIBRARIES)
