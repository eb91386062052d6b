"""Where in a student's own code an exception came up."""

from __future__ import annotations

from myrnn._user_code import line_of, user_frame
from myrnn.exercises._limits import TookTooLong

# What an answer may do wrong. Only KeyboardInterrupt is not its own: that is the one who waits.
FAULTS = (Exception, SystemExit, TookTooLong)


def describe(error: BaseException) -> str:
    """Return one line: the exception, and the line of the student's code that it came from."""
    message = " ".join(str(error).split())
    if isinstance(error, TookTooLong):
        return f"{message}{_place(error)}. Does a loop never end?"
    return f"it raised {type(error).__name__}" + (f": {message}" if message else "") + _place(error)


def _place(error: BaseException) -> str:
    """Return where in the student's code an exception came up, or nothing if it was elsewhere."""
    frame = user_frame(error)
    if frame is None:
        return ""
    text = line_of(frame)
    return f", in {frame.name}, line {frame.lineno}" + (f": {text}" if text else "")
