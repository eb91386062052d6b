"""Lets Ctrl-C stop the command while it is still importing, and imports MyGrad a second faster.

MyGrad's GRU layer makes Numba compile three small functions in every process that imports MyGrad. Here Numba caches
them on disk.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _is_command() -> bool:
    """Whether this process is the command ``myrnn``, by its script or as ``python -m myrnn``."""
    if sys.argv[:1] != ["-m"]:
        return Path(*sys.argv[:1]).stem == "myrnn"
    # Python has not found the module yet, so its path is not in sys.argv.
    return ("-m", "myrnn") in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)


def _stop_importing(*_: Any) -> None:
    """End the process on Ctrl-C. An import could turn an exception into an ImportError or a traceback."""
    os.write(2, b"myrnn: interrupted: nothing was saved\n")
    os._exit(130)


def imports_are_done() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again; the command calls it when it starts to work."""
    if signal.getsignal(signal.SIGINT) is _stop_importing:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if (
    _is_command()
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _stop_importing)

import numba  # noqa: E402 - importing it takes long enough for a Ctrl-C


def _kept(*arguments: Any, **options: Any) -> Callable[..., Any]:
    """Replace `numba.vectorize` by a version that caches the machine code on disk where that is possible."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return _vectorize(*arguments, **{**options, "cache": True})(function)
        except (RuntimeError, OSError):
            # Numba finds no folder that it can write to.
            return _vectorize(*arguments, **options)(function)

    return decorate


_vectorize = numba.vectorize
if "mygrad" not in sys.modules:
    numba.vectorize = _kept
    try:
        import mygrad  # noqa: F401
    finally:
        numba.vectorize = _vectorize
