"""Run a model once and keep what a trace needs beside MyGrad's graph: the user's lines and names."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from types import FrameType
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor

from myrnn.compiler import _looks

# Code that a reader of an error would not call their own model: its callers are shown instead.
_MYGRAD = os.path.join(os.path.dirname(mygrad.__file__), "")
_NUMPY = os.path.join(os.path.dirname(np.__file__), "")
_MYNN = os.path.join(os.sep, "mynn", "")
_DENSE = os.path.join("myrnn", "models", "_dense.py")
# The models that ship look at their argument only to check it.
_MODELS = os.path.join(os.sep, "myrnn", "models", "")

_OF_MYGRAD, _OF_NUMPY, _OF_LAYERS, _OF_MODELS, _OF_USER = range(5)


@dataclass(frozen=True)
class Origin:
    """Where a computation stands in the user's code, and the variable that holds it.

    Attributes
    ----------
    file : str
    line : int
    name : str
        The local variable that held the result; empty where there is none.
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
        The id of a tensor, and of its operation -> (file, line) of the user's code that made it.
    names : dict
        The id of a tensor -> the local variable that held it when its function returned.
    passing : dict
        The same for what a variable held only until it got the value of the next step.
    passed : dict
        The same for arguments: what a function calls that which another one gave it.
    looks : dict
        (file, line) of the user's code that looks at the numbers of a tensor.
    operations : dict
        The operations of MyGrad that were made, by id. A tensor that is written into may get another's.
    keep : dict
        Keeps the tensors alive, by id, so that an id stays that of one tensor.
    """

    output: Any
    lines: dict[int, tuple[str, int]]
    names: dict[int, str] = field(default_factory=dict)
    passing: dict[int, str] = field(default_factory=dict)
    passed: dict[int, str] = field(default_factory=dict)
    looks: dict[tuple[str, int], None] = field(default_factory=dict)
    operations: dict[int, Any] = field(default_factory=dict)
    keep: dict[int, Any] = field(default_factory=dict)

    def origin(self, tensor: Any) -> Origin:
        """Return where the tensor was made, and the best of its names."""
        found = (names[id(tensor)] for names in (self.names, self.passing, self.passed) if id(tensor) in names)
        # What is written into a tensor makes another operation of it.
        line = self.lines.get(id(tensor.creator)) or self.lines.get(id(tensor)) or ("", 0)
        return Origin(*line, next(found, ""))

    def note(self, frame: FrameType, *, returns: bool) -> None:
        """Note what the variables of a frame hold; what the caller calls a result wins over what the function did."""
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        held: dict[int, str] = {}
        for name, value in frame.f_locals.items():
            if not isinstance(value, Tensor):
                continue
            self.keep[id(value)] = value
            if name in arguments:
                self.passed.setdefault(id(value), name)
            else:
                held.setdefault(id(value), name)
        if returns:
            self.names.update(held)
        else:
            self.passing.update((key, name) for key, name in held.items() if key not in self.passing)


def record(model: Callable[[Any], Any], x: Any, *, looks: bool = True) -> Recording:
    """Run ``model(x)`` and note where each tensor is made, what it is called and, with `looks`, who reads numbers."""
    recording = Recording(None, {})
    operation = Tensor._op.__func__.__code__

    # It is called for all that MyGrad and NumPy do inside, thousands of times: what does not matter has to leave soon.
    def watch(frame: FrameType, event: str, result: Any) -> None:
        if event != "return":
            return
        code = frame.f_code
        kind = _kind_of(code.co_filename)
        if kind == _OF_MYGRAD and _looks.gives_numbers(frame, result):
            look(frame.f_back)
        if code is operation:
            user = _user_frame(frame)
            if isinstance(result, Tensor):
                recording.keep[id(result)] = result
                recording.operations[id(result.creator)] = result.creator
                for made in (result, result.creator):
                    recording.lines.setdefault(id(made), _line(user))
            if user is not None:
                recording.note(user, returns=False)
        elif kind >= _OF_MODELS:
            recording.note(frame, returns=True)

    def look(frame: FrameType | None) -> None:
        # NumPy may stand between, as in np.asarray(h); MyGrad's own work is no look.
        while frame is not None and _kind_of(frame.f_code.co_filename) == _OF_NUMPY:
            frame = frame.f_back
        if frame is None or _kind_of(frame.f_code.co_filename) < _OF_USER:
            return
        if not _looks.asks_for_size(frame):
            recording.looks.setdefault(_line(frame))

    with watched(watch), _looks.noted(look) if looks else nullcontext():
        output = model(x)
    return replace(recording, output=output)


@contextmanager
def watched(watch: Callable[[FrameType, str, Any], object]) -> Iterator[None]:
    """Let the calling thread's profile function be `watch`, and afterwards what it was."""
    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        # Python's own profiler is no function: it is switched on again by its own method.
        sys.setprofile(previous if previous is None or callable(previous) else None)
        if previous is not None and not callable(previous):
            previous.enable()


def lines_that_look(model: Callable[[Any], Any], x: Any) -> list[Origin]:
    """Run the model on `x`, an array (T, C), and return where its code looks at the numbers of a tensor."""
    return [Origin(*line) for line in record(model, mygrad.tensor(x)).looks]


@cache
def _kind_of(file: str) -> int:
    """Return whose code stands in a file, as a number that is the larger the more it is a user's own."""
    if file.startswith(_MYGRAD):
        return _OF_MYGRAD
    if file.startswith((_NUMPY, "<frozen ")):
        return _OF_NUMPY
    if file == _looks.__file__ or _MYNN in file or file.endswith(_DENSE):
        return _OF_LAYERS
    return _OF_MODELS if _MODELS in file else _OF_USER


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _kind_of(frame.f_code.co_filename) < _OF_MODELS:
        frame = frame.f_back
    return frame


def _line(frame: FrameType | None) -> tuple[str, int]:
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
