"""Run a model once and keep what a trace needs beside MyGrad's graph: the user's lines and names."""

from __future__ import annotations

import linecache
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import mygrad
from mygrad import Tensor

# Code that a reader of an error would not call their own model: its callers are shown instead.
_MYGRAD = os.path.join(os.path.dirname(mygrad.__file__), "")
_MYNN = os.path.join(os.sep, "mynn", "")
_DENSE = os.path.join("myrnn", "models", "_dense.py")


@dataclass(frozen=True)
class Origin:
    """Where a computation stands in the user's code, and the variable that holds it.

    Attributes
    ----------
    file : str
    line : int
    name : str
        The local variable that held the result when its function returned; empty where there is none.
    """

    file: str = ""
    line: int = 0
    name: str = ""

    def __str__(self) -> str:
        """Return the place and the line's text, as errors show them."""
        if not self.file:
            return "(a value of unknown origin)"
        text = linecache.getline(self.file, self.line).strip()
        return f"{os.path.basename(self.file)}:{self.line}   {text}"


@dataclass(frozen=True)
class Recording:
    """One run of a model.

    Attributes
    ----------
    output : mygrad.Tensor
    lines : dict
        The id of a tensor -> (file, line) of the user's code that made it.
    names : dict
        The id of a tensor -> the local variable that held it.
    keep : list
        Keeps the tensors alive, so that an id stays that of one tensor.
    """

    output: Any
    lines: dict[int, tuple[str, int]]
    names: dict[int, str]
    keep: list[Any]

    def origin(self, tensor: Any) -> Origin:
        """Return where the tensor was made."""
        return Origin(*self.lines.get(id(tensor), ("", 0)), self.names.get(id(tensor), ""))


def record(model: Callable[[Any], Any], x: Any) -> Recording:
    """Run ``model(x)`` and note where each tensor is made and what it is called."""
    recording = Recording(None, {}, {}, [])
    previous = sys.getprofile()
    here = threading.get_ident()
    operation = Tensor._op.__func__.__code__

    def watch(frame: FrameType, event: str, result: Any) -> None:
        if event != "return" or threading.get_ident() != here:
            return
        if frame.f_code is operation:
            if isinstance(result, Tensor):
                recording.lines.setdefault(id(result), _user_line(frame))
                recording.keep.append(result)
        elif not _is_library(frame.f_code.co_filename):
            for name, value in frame.f_locals.items():
                if isinstance(value, Tensor):
                    recording.names.setdefault(id(value), name)

    sys.setprofile(watch)
    try:
        output = model(x)
    finally:
        # Python's own profiler is no function: it is switched on again by its own method.
        sys.setprofile(previous if previous is None or callable(previous) else None)
        if previous is not None and not callable(previous):
            previous.enable()
    return Recording(output, recording.lines, recording.names, recording.keep)


def _is_library(file: str) -> bool:
    return file.startswith(_MYGRAD) or _MYNN in file or file.endswith(_DENSE)


def _user_line(frame: FrameType | None) -> tuple[str, int]:
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
