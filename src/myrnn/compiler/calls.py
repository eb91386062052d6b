"""Refuses models whose calls change something, so that a later call may compute something else."""

from __future__ import annotations

import gc
import itertools
import pickle
import random
import sys
from collections import deque
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._user_code import is_users_file
from myrnn.compiler.graph import Builder
from myrnn.compiler.reference import answer
from myrnn.compiler.trace import trace_once
from myrnn.errors import NotDeterministic
from myrnn.models.model import network_of

# If this many calls in a row all change something, the model changes it, not another thread.
CALLS = 30
_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_SOURCES = (np.random.Generator, np.random.RandomState, random.Random, itertools.count)
# The global sources of random numbers.
_SHARED = (random.random.__self__, np.random.random.__self__)  # type: ignore[attr-defined]
# The most objects that are examined, nearest to the model first, and the most parts of each.
_MOST = 10_000
# Attributes that Python adds to every imported module. Under pytest a loader leads to the whole of pytest.
_OF_IMPORT = ("__builtins__", "__loader__", "__spec__")


def check_calls(model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder) -> None:
    """Raise NotDeterministic unless repeated calls on one sequence compute the same, without side effects."""
    first = trace_once(model, parameters, x, build)
    if changed := _changed_by_calls(model, x[:3]):
        raise NotDeterministic(
            "the model draws random numbers while it runs: draw them outside, use myrnn.dropout or myrnn.noise, or\n"
            '  train it with engine="mygrad".'
            if changed & {"random", "np.random"}
            else f"every call of the model changes its {', '.join(sorted(changed))}, so that a later one may compute "
            'something else.\n  Leave that out of the call, or train it with engine="mygrad".'
        )
    if trace_once(model, parameters, x, build).output is not first.output:
        raise NotDeterministic(
            "two calls of the model on the same sequence compute different things: it draws random numbers, or\n"
            "  keeps something from one call to the next. Draw with myrnn.dropout or myrnn.noise, or train it with\n"
            '  engine="mygrad".'
        )


def _changed_by_calls(model: Any, x: NDArray[np.float32]) -> set[str]:
    """Return what every one of many calls changes; changes by another thread are missing in some."""
    changed: set[str] | None = None
    scalars, sources = _reachable(model)
    for _ in range(CALLS):
        # Nothing slow may run between reading the states of sources and the call.
        drawn = [_drawn(source) for source in sources.values()]
        answer(model, x)
        now = {path for path, before in zip(sources, drawn, strict=True) if _drawn(sources[path]) != before}
        before, (scalars, _) = scalars, _reachable(model)
        now |= {path for path in {*before, *scalars} if before.get(path) != scalars.get(path)}
        changed = now if changed is None else changed & now
        if not changed:
            break
    return changed or set()


def _drawn(source: Any) -> Any:
    """Return the state of a source of numbers, which changes with every draw."""
    return repr(source) if isinstance(source, itertools.count) else pickle.dumps(source)


def _reachable(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scalars, and the sources of random and other numbers, that the model's code can reach, by path."""
    home = type(network_of(model)).__module__.partition(".")[0]
    scalars, sources = dict[str, Any](), dict[str, Any](zip(("random", "np.random"), _SHARED, strict=True))
    seen, listed, waiting = set[int](), set[int](), deque([("", model)])
    while waiting and len(seen) + len(scalars) < _MOST:
        path, value = waiting.popleft()
        if isinstance(value, _SCALARS):
            # NaN does not equal itself.
            scalars[path] = repr(value) if value != value else value
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, _SOURCES):
                sources[path] = value
            else:
                waiting.extend(_parts(path, value, home, listed)[:_MOST])
    return scalars, sources


def _parts(path: str, value: Any, home: str, listed: set[int]) -> list[tuple[str, Any]]:
    """Return the members of a user's object, by path; none of arrays, modules and objects of libraries."""
    if isinstance(value, np.ndarray | Tensor | ModuleType):
        return []
    if isinstance(value, FunctionType):
        if not _is_users(value.__module__ or "", value.__code__.co_filename, home):
            return []
        # All functions of a module have the same globals: they are listed once. A wrapper that is named after a
        # function of another module has the globals of its own.
        shared = value.__globals__
        module, known = shared.get("__name__"), [] if id(shared) in listed else list(shared.items())
        listed.add(id(shared))
        names = [(f"{module}.{name}", item) for name, item in known if name not in _OF_IMPORT]
        return [*names, *((path, item) for item in (value.__closure__, value.__defaults__, value.__kwdefaults__))]
    if isinstance(value, type):
        module = sys.modules.get(value.__module__)
        if not _is_users(value.__module__, getattr(module, "__file__", None) or "", home):
            return []
        names = [(f"{value.__name__}.{name}", item) for name, item in list(vars(value).items())]
        return [*((name, item) for name, item in names if ".__" not in name or callable(item)), *_bases(value)]
    if isinstance(value, dict):
        return [(f"{path}[{key!r}]", item) for key, item in list(value.items())]
    if (held := _attributes(value)) is not None:
        return [*((f"{path}.{name}".lstrip("."), item) for name, item in held.items()), (path, type(value))]
    if isinstance(value, list):
        # A growing container changes its length in any case. Tensors may be stored for later inspection.
        size = [(path, len(value))] if all(isinstance(item, _SCALARS) for item in value) else []
        return [*size, *((f"{path}[{i}]", item) for i, item in enumerate(value))]
    size = [(path, len(value))] if isinstance(value, set) else []
    return [*size, *((path, item) for item in gc.get_referents(value))]


def _attributes(value: Any) -> dict[str, Any] | None:
    """Return an object's own attributes; its class may intercept any other way to ask for them."""
    try:
        return dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:
        return None


def _bases(kind: type) -> list[tuple[str, Any]]:
    return [(base.__name__, base) for base in kind.__bases__]


def _is_users(module: str, file: str, home: str) -> bool:
    """Whether code may change during a session: it is not a library's, or in the same package as the model."""
    top = module.partition(".")[0]
    return top not in ("myrnn", "builtins") and (top == home or is_users_file(file))
