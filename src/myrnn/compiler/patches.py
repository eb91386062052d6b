"""The one place that replaces functions and attributes of MyGrad and NumPy, while a model is watched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Replacement = tuple[Any, str, Any]
"""A module or class, a name in it, and what has this name meanwhile."""

_MISSING = object()


@contextmanager
def replaced(replacements: Iterable[Replacement]) -> Iterator[None]:
    """Replace all of these, and put back what was there, the last one first: a model may trace another one."""
    with ExitStack() as stack:
        for owner, name, new in replacements:
            stack.callback(_put_back, owner, name, vars(owner).get(name, _MISSING))
            setattr(owner, name, new)
        yield


def _put_back(owner: Any, name: str, before: Any) -> None:
    if before is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, before)
