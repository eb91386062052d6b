"""What a model's code can read beside its sequence and its parameters, to tell later whether any of it has changed.

That is whatever its attributes lead to, what stands in its class, and the globals, closures and defaults of its
functions and of those that they call. A change of it need not change what the model computes: it is a reason to check.
"""

from __future__ import annotations

import dis
import functools
import itertools
import random
import sys
from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar
from enum import Enum
from functools import cache
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np
from mygrad import Tensor

from myrnn._user_code import is_users_file

_WORDS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), slice, range, Enum)
_ARRAYS = (np.ndarray, np.generic, Tensor)
_DRAWN_FROM = (np.random.Generator, np.random.RandomState, random.Random, itertools.count)
_WRAPPERS = (staticmethod, classmethod, functools.cached_property)
_MYRNN = __name__.partition(".")[0]
# A model that leads to more than this is taken to have changed every time.
_MOST = 10_000

Items = Iterable[tuple[str, Any]]


class _Same:
    """An object that equals itself only, kept so that no other takes its place in memory."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.kept is self.kept

    def __hash__(self) -> int:
        return id(self.kept)


def readable(model: Any, *, arrays: bool, without: frozenset[int] = frozenset()) -> dict[str, Any]:
    """Return what the model's code can read, by a path that leads to it, to compare with a later time.

    Parameters
    ----------
    model : callable
    arrays : bool
        Whether to tell the numbers of arrays and tensors too, and which objects there are that cannot be looked into.
    without : frozenset of int
        The ids of tensors that are left out.
    """
    home = type(model).__module__.partition(".")[0]
    found: dict[str, Any] = {}
    seen, stack = set(without), [("", model)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, _WORDS):
            told = value
        elif id(value) in seen:
            continue
        else:
            seen.add(id(value))
            told, parts = _looked_into(path, value, arrays, home)
            stack.extend(parts)
        if len(seen) + len(found) > _MOST:
            return {"": object()} if arrays else {}
        if told is not None:
            # Two classes of one name must not stand for each other.
            found[path if path not in found else f"{path} ({len(found)})"] = told
    return found


def _looked_into(path: str, value: Any, arrays: bool, home: str) -> tuple[Any, Items]:
    """Return what is to be told of a value itself, and what it leads to."""
    if isinstance(value, _ARRAYS):
        return _digest(value) if arrays else None, ()
    if isinstance(value, FunctionType):
        return _of_function(path, value, home)
    if isinstance(value, type):
        return _Same(value), _of_class(value, home)
    if isinstance(value, _DRAWN_FROM):
        return _state_of(value), ()
    if isinstance(value, list | tuple) and all(isinstance(item, _WORDS) for item in value):
        return tuple(value), ()
    parts = _parts(path, value)
    if parts is not None:
        return None, [*parts, (path and f"type of {path}", type(value))]
    return _Same(value) if arrays and not isinstance(value, ModuleType) else None, ()


def _parts(path: str, value: Any) -> Items | None:
    """Return what an object is made of; None where that cannot be told."""
    if isinstance(value, dict | MappingProxyType):
        return [(f"{path}[{key!r}]", item) for key, item in list(value.items())]
    if isinstance(value, list | tuple | deque):
        return [(f"{path}[{index}]", item) for index, item in enumerate(list(value))]
    if isinstance(value, set | frozenset):
        return [(path, tuple(sorted(map(repr, value))))]
    if isinstance(value, ContextVar):
        return [(path, value.get(None))]
    if isinstance(value, MethodType):
        return [(path, value.__func__), (f"{path}.__self__", value.__self__)]
    if isinstance(value, functools.partial):
        return [(path, value.func), (f"{path}.args", value.args), (f"{path}.keywords", value.keywords)]
    if isinstance(value, property):
        return [(path, value.fget)]
    if isinstance(value, _WRAPPERS):
        return [(path, getattr(value, "__func__", None) or getattr(value, "func", None))]
    held = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        held |= {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    if not held and not hasattr(value, "__dict__"):
        return None
    return [(f"{path}.{name}".lstrip("."), item) for name, item in held.items()]


def _slots(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    private = f"_{kind.__name__.lstrip('_')}"
    return [f"{private}{name}" if name.startswith("__") and not name.endswith("__") else name for name in names]


# Functions and classes -----------------------------------------------------------------------------------------------


def _of_function(path: str, function: FunctionType, home: str) -> tuple[Any, Items]:
    """Return a function's code, and what it reads that is not given to it; of a library's only which one it is."""
    if not _is_users(function.__module__ or "", function.__code__.co_filename, home):
        return _Same(function), ()
    parts: list[tuple[str, Any]] = [
        (f"default of {path}", function.__defaults__),
        (f"default of {path}", function.__kwdefaults__),
        (path, function.__dict__),
    ]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            parts.append((f"{name} of {path}", cell.cell_contents))
        except ValueError:
            # Nothing stands in it yet.
            continue
    space, (names, attributes) = function.__globals__, _names(function.__code__)
    where = space.get("__name__", "")
    for name in names:
        item = space.get(name, sys.modules.get(name))
        if isinstance(item, ModuleType):
            parts.extend(_of_module(item, attributes | names, home))
        elif name in space:
            parts.append((f"{where}.{name}", item))
    return _Same(function.__code__), parts


def _of_module(module: ModuleType, names: frozenset[str], home: str) -> Items:
    if _is_users(module.__name__, getattr(module, "__file__", None) or "", home):
        for name in names:
            if name in module.__dict__:
                yield f"{module.__name__}.{name}", module.__dict__[name]


def _of_class(kind: type, home: str) -> Items:
    module = sys.modules.get(kind.__module__)
    if _is_users(kind.__module__, getattr(module, "__file__", None) or "", home):
        for name, item in list(kind.__dict__.items()):
            if callable(item) or not name.startswith("__"):
                yield f"{kind.__name__}.{name}", item
        for base in kind.__bases__:
            yield f"base of {kind.__name__}", base


@cache
def _names(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the globals and modules, and the attributes, that code and code within it look up by name."""
    reads = [(i.opname, i.argval) for i in dis.get_instructions(code) if i.opname.startswith(("LOAD_", "IMPORT_"))]
    names = {name for kind, name in reads if kind in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME")}
    attributes = {name for kind, name in reads if kind in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")}
    for within in (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)):
        names |= within[0]
        attributes |= within[1]
    return frozenset(names), frozenset(attributes)


@cache
def _is_users(module: str, file: str, home: str) -> bool:
    """Whether code may change as the user goes: it is no library's, or of the same package as the model."""
    top = module.partition(".")[0]
    return top not in (_MYRNN, "builtins") and (top == home or is_users_file(file))


# Numbers -------------------------------------------------------------------------------------------------------------


def _state_of(source: Any) -> Any:
    """Return the state of something that gives another number every time."""
    if isinstance(source, random.Random):
        return source.getstate()
    if isinstance(source, itertools.count):
        return repr(source)
    bits = source.bit_generator if isinstance(source, np.random.Generator) else source._bit_generator
    return readable(bits.state, arrays=True)


def _digest(array: Any) -> tuple[Any, ...]:
    values = np.asarray(array.data if isinstance(array, Tensor) else array)
    return values.shape, values.dtype.str, hash(values.tobytes())
