"""Emitted modules on disk: each is written once under the name of its content's hash, and imported from there.

Numba keeps machine code only of functions that come from a file. A file's name holds the hash of its text and of
everything else that the machine code depends on, so it never changes once it is there.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import inspect
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import types
from numba.core.caching import IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock
from platformdirs import user_cache_path

from myrnn._notebook import Output, in_kernel, on_terminal
from myrnn._version import __version__
from myrnn.compiler.runtime import runtime_texts

CACHE_VARIABLE = "MYRNN_CACHE_DIR"

# How many modules stay in memory that nobody uses any more. Each takes about 5 MB, of which a tenth is never freed: so
# there are enough for all cells of the playground in the sizes that it offers.
MOST_UNUSED = 64

# Held while a module is written and imported.
MODULES = threading.Lock()
# In the order in which they were last asked for.
_modules: dict[str, ModuleType] = {}
_users: dict[str, weakref.WeakSet[Any]] = {}


def load(source: str, user: object = None) -> ModuleType:
    """Return the module with this text; it is written to the cache folder and imported when it is new.

    It stays in memory as long as `user` lives, and for a while after that; without one, for ever.
    """
    name = _name(source)
    with MODULES:
        if name not in _modules:
            _unload_unused()
            _modules[name] = _import(name, _write(cache_folder() / f"{name}.py", source), source)
        module = _modules[name] = _modules.pop(name)
        if user is not None:
            _users.setdefault(name, weakref.WeakSet()).add(user)
        return module


def _unload_unused() -> None:
    if len(_users) <= MOST_UNUSED:
        return
    # A compiled model and its parts refer to each other.
    gc.collect()
    unused = [name for name in _modules if name in _users and not _users[name]]
    for name in unused[:-MOST_UNUSED]:
        _unload(name)


def _unload(name: str) -> None:
    """Forget a module, and free what LLVM knows of its functions, which Numba keeps as long as the process lives."""
    del _users[name]
    module = _modules.pop(name)
    sys.modules.pop(name, None)
    with global_compiler_lock:
        # The functions that it imports are those of all modules.
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == name]
        for function in own:
            for compiled in getattr(function, "overloads", {}).values():
                library = compiled.library
                library._codegen._engine._ee.remove_module(library._final_module)
                for part in (library._final_module, library._shared_module):
                    if part is not None:
                        part.close()


def is_known(source: str, function: str) -> bool:
    """Whether a function of the module with this text has been compiled before."""
    name = _name(source)
    # Another thread may unload it meanwhile.
    module = _modules.get(name)
    if module is not None and getattr(module, function).signatures:
        return True
    return any((cache_folder() / "__pycache__").glob(f"{name}.{function}-*.nbc"))


def cache_folder() -> Path:
    """Return the folder of emitted modules: ``$MYRNN_CACHE_DIR``, or the platform's cache folder for MyRNN.

    Where neither can be written, a temporary folder serves for this process.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    folder = Path(chosen) if chosen else user_cache_path("myrnn", appauthor=False)
    folder = folder / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return _temporary_folder()


@cache
def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="myrnn-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _name(source: str) -> str:
    digest = hashlib.sha256((_surroundings() + source).encode()).hexdigest()[:32]
    return f"_myrnn_{digest}"


@cache
def _surroundings() -> str:
    """Return what machine code depends on beside its source: versions, the processor, and the functions it calls."""
    versions = (__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    return "\n".join((*versions, llvmlite.binding.get_host_cpu_name(), *runtime_texts()))


def _write(path: Path, source: str) -> Path:
    """Write the module unless it is there; another process may do the same at the same time."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text(encoding="utf-8") == source:
            return path
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(source)
    os.replace(temporary, path)
    return path


def _import(name: str, path: Path, source: str) -> ModuleType:
    """Run the module's text as that of the file, so that Numba keeps its machine code beside it."""
    module = ModuleType(name)
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    for function in vars(module).values():
        file = getattr(getattr(function, "_cache", None), "_cache_file", None)
        if isinstance(file, IndexDataCacheFile):
            file.__class__ = _CheckedFile
    sys.modules[name] = module
    return module


class _CheckedFile(IndexDataCacheFile):
    """Numba's files of machine code, each with a hash at its end; one whose hash is wrong counts as not there.

    Numba would fail on a file that was cut off, and run whatever stands in one that was changed.
    """

    def save(self, key: Any, data: Any) -> None:
        # A full disk costs the next start its time, and this one nothing.
        with contextlib.suppress(OSError):
            super().save(key, data)

    def _load_index(self) -> Any:
        return super()._load_index() if _is_intact(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_intact(self._data_path(name)):
            raise FileNotFoundError(name)
        return super()._load_data(name)

    @contextlib.contextmanager
    def _open_for_write(self, path: str) -> Iterator[io.BytesIO]:
        buffer = io.BytesIO()
        yield buffer
        content = buffer.getvalue()
        with super()._open_for_write(path) as file:
            file.write(content + hashlib.sha256(content).digest())


def _is_intact(path: str) -> bool:
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-32]).digest() == content[-32:]


# ---- ahead: in a process of its own. Numba holds the interpreter while it compiles, and all threads stand still ----

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
        return all(is_known(self.source, function) for function in self.functions)


_COMPILE = f"import json, sys; from {__name__} import compile_all; compile_all(json.load(sys.stdin))"


def begin_to_compile(programs: Sequence[Wanted]) -> subprocess.Popen[str]:
    """Return the process that compiles these programs; it ends when the cache has them all."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    # A file, unlike a pipe, takes everything at once: nobody waits until the process has begun to read.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as wanted:
        json.dump([(program.source, program.functions) for program in programs], wanted)
        wanted.seek(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _COMPILE],
            stdin=wanted,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path, CACHE_VARIABLE: str(cache_folder().parent)},
            # Ctrl-C in the terminal reaches only the process that started this one, which ends it.
            start_new_session=True,
        )


def compile_all(programs: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Compile functions of modules, given by their texts, for the types that they are called with."""
    for source, functions in programs:
        module = load(source)
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


# ---- the notice ----

TOLD = "compiling this model; it takes a few seconds, once"

_thread = threading.local()


@contextlib.contextmanager
def notice() -> Iterator[None]:
    """Show that a model is being compiled: in a terminal with the seconds so far, in a notebook as a line of text.

    Elsewhere a line is printed once, on the error stream.
    """
    begin = time.perf_counter()
    try:
        with _shown():
            yield
    finally:
        _thread.seconds = compiling_seconds() + time.perf_counter() - begin


def compiling_seconds() -> float:
    """Return how many seconds the calling thread has spent on compilations, in all."""
    return getattr(_thread, "seconds", 0.0)


def without_notice() -> None:
    """Say nothing of compilations in the calling thread from now on: nobody waits for one of many runs."""
    _thread.is_silent = True


@contextlib.contextmanager
def _shown() -> Iterator[None]:
    if in_kernel():
        output = Output(f"<i>{TOLD} …</i>")
        try:
            yield
        finally:
            output.replace("")
    elif getattr(_thread, "is_silent", False):
        yield
    elif on_terminal():
        with _counting():
            yield
    else:
        without_notice()
        print(f"myrnn: {TOLD}", file=sys.stderr, flush=True)
        yield


@contextlib.contextmanager
def _counting() -> Iterator[None]:
    """Show a line that counts the seconds, and remove it at the end."""
    # Rich is imported where it is used: importing it costs more than all the rest of this package.
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    begin = time.perf_counter()

    def line() -> Text:
        return Text(f"compiling this model, once: {time.perf_counter() - begin:.0f} s", overflow="ellipsis")

    with Live(get_renderable=line, console=Console(stderr=True), refresh_per_second=4, transient=True):
        yield


# Now, while the files are those that were imported: an update may change them under a running process.
_surroundings()
