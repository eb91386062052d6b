"""Give tensors and arrays the names that they have where the graph was built."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mygrad as mg
import numpy as np
from numpy.typing import NDArray

_DEPTH = 3  # model.layers[0].weight is three steps from its name
_MEMBERS = 256  # of a list or dictionary, so that a long history costs nothing
_VISITS = 20_000
_CLOSED = (str, bytes, int, float, complex, bool, type(None), type, np.ndarray, np.generic, mg.Tensor)
_CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def tensor_names(names: Mapping[str, Any], tensors: Iterable[mg.Tensor], leaves: Iterable[mg.Tensor]) -> dict[int, str]:
    """Name `tensors` found in `names` itself, and `leaves` also in the attributes and members of what is there.

    Returns
    -------
    dict of int to str
        The name of each tensor found, by its ``id``. The shortest way wins, then attributes before indices, then
        the order of `names`.
    """
    wanted = {id(tensor) for tensor in tensors}
    found: dict[int, str] = {}
    for name, value in _public(names):
        if id(value) in wanted:
            found.setdefault(id(value), name)
    missing = {id(leaf) for leaf in leaves} - found.keys()
    level = list(_public(names))
    seen: set[int] = set()
    for _ in range(_DEPTH):
        if not missing or len(seen) > _VISITS:
            break
        level = [member for name, value in level for member in _members(name, value, seen)]
        for name, value in sorted(level, key=lambda member: member[0].count("[")):
            if id(value) in missing:
                found[id(value)] = name
                missing.discard(id(value))
    return found


def _public(names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    # Notebooks keep their history in locals() as In, Out, _, _12; none of these is a name that somebody gave.
    return ((str(k), v) for k, v in names.items() if not str(k).startswith("_") and k not in ("In", "Out"))


def _members(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, _CLOSED + _CODE) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        for key, member in itertools.islice(value.items(), _MEMBERS):
            yield f"{name}[{key!r}]" if isinstance(key, str | int) else f"{name}[...]", member
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value[:_MEMBERS]):
            yield f"{name}[{index}]", member
    else:
        for key, member in _attributes(value):
            yield f"{name}.{key}", member


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield stored attributes only: a property might compute for long, or change something."""
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield slot, getattr(value, slot)


def arrays_in(names: Mapping[str, Any]) -> list[tuple[str, NDArray[Any]]]:
    """Return the arrays that stand in `names`, those of tensors included."""
    found = []
    for name, value in _public(names):
        array = value.data if isinstance(value, mg.Tensor) else value
        if isinstance(array, np.ndarray) and array.size and array.dtype != object:
            found.append((name, array))
    return found


def place_in(part: NDArray[Any], arrays: Iterable[tuple[str, NDArray[Any]]]) -> str | None:
    """Say which of `arrays` the memory of `part` belongs to, as ``x``, ``x[3]``, ``x[3:5]`` or ``part of x``."""
    for name, whole in arrays:
        if part.size and np.may_share_memory(part, whole):
            return _place(part, name, whole)
    return None


def _place(part: NDArray[Any], name: str, whole: NDArray[Any]) -> str:
    if _same(part, whole):
        return name
    if whole.ndim and whole.strides[0] > 0:
        start, rest = divmod(_address(part) - _address(whole), whole.strides[0])
        rows = part.size * len(whole) // whole.size
        if rest == 0 and rows > 0 and _same(part, whole[start : start + rows]):
            return f"{name}[{start}]" if rows == 1 else f"{name}[{start}:{start + rows}]"
    return f"part of {name}"


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays are the same elements, axes of length 1 apart."""
    if _address(a) != _address(b) or a.dtype != b.dtype:
        return False
    return [(n, s) for n, s in zip(a.shape, a.strides, strict=True) if n != 1] == [
        (n, s) for n, s in zip(b.shape, b.strides, strict=True) if n != 1
    ]


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
