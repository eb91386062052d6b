"""Compile emitted programs in a process of their own, which leaves their machine code in the cache.

While Numba compiles, which takes seconds, it holds the interpreter, and all other threads of its process stand still.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numba import types

from myrnn.compiler import _cache

_VALUES = {"tokens": types.int32, "features": types.float32, "offsets": types.int64, "labels": types.int64}
_ARRAYS = {
    types.float32: ("class_weights", "p", "g", "gradients", "m", "v", "w"),
    types.float64: ("rates", "optimizer"),
    types.int64: ("members", "sizes", "barrier", "start"),
    types.int32: ("tables", "lined"),
}
# The types of the arguments of emitted functions, by name; `_argument_types` adds those of the results.
_TYPES: dict[str, Any] = {
    # The arrays of `Sequences` cannot be written to.
    **{name: types.Array(kind, 1, "C", readonly=True) for name, kind in _VALUES.items()},
    **{name: types.Array(kind, 1, "C") for kind, names in _ARRAYS.items() for name in names},
    **{name: types.Array(types.int64, 2, "C") for name in ("order", "ranges", "rows", "lookups")},
    **dict.fromkeys(("begin", "steps", "label", "first_step", "shard", "shards", "at", "row", "classes"), types.int64),
    **dict.fromkeys(("weight", "share"), types.float32),
    "trained": types.Array(types.boolean, 2, "C"),
    "out": types.Array(types.float32, 2, "C"),
    "limit": types.float64,
    **dict.fromkeys(("learn", "every"), types.boolean),
}


@dataclass(frozen=True)
class Wanted:
    """A program that will be used: the text of its module, and the names of the functions that will be called."""

    source: str
    functions: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether all of them have been compiled before."""
        return all(_cache.is_known(self.source, function) for function in self.functions)


def begin_to_compile(programs: Sequence[Wanted]) -> subprocess.Popen[str]:
    """Return the process that compiles these programs; it ends when the cache has them all."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    # A file, unlike a pipe, takes everything at once: nobody waits until the process has begun to read.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as wanted:
        json.dump([(program.source, program.functions) for program in programs], wanted)
        wanted.seek(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=wanted,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path, _cache.CACHE_VARIABLE: str(_cache.cache_folder().parent)},
            # Ctrl-C in the terminal reaches only the process that started this one, which ends it.
            start_new_session=True,
        )


def compile_all(programs: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Compile functions of modules, given by their texts, for the types that they are called with."""
    for source, functions in programs:
        module = _cache.load(source)
        for name in functions:
            function = getattr(module, name)
            function.compile(_argument_types(function))


def _argument_types(function: Any) -> tuple[Any, ...]:
    """Return the types that a function of a module is called with."""
    names = list(inspect.signature(function.py_func).parameters)
    # One row a shard.
    dimensions = 2 if "shards" in names else 1
    results = {"losses": types.Array(types.float64, dimensions, "C"), "hits": types.Array(types.int64, dimensions, "C")}
    return tuple((_TYPES | results)[name] for name in names)


if __name__ == "__main__":
    compile_all(json.load(sys.stdin))
