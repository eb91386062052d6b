"""Machine code on disk: that of the runtime, and one file for each emitted program.

A file's name holds the hash of the program's text and of everything else that its machine code depends on, so it never
changes once it is there.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakValueDictionary

import llvmlite
import numba
import numpy as np
from platformdirs import user_cache_path

from myrnn._version import __version__
from myrnn.compiler.runtime import (  # noqa: F401 - the runtime
    draws,
    generation,
    moves,
    products,
    runtime_texts,
    scores,
    training,
)
from myrnn.compiler.runtime.functions import (
    FUNCTIONS,
    MachineCode,
    caller,
    code_generation,
    machine_code,
    symbol,
)
from myrnn.output import passing_line

CACHE_VARIABLE = "MYRNN_CACHE_DIR"

# Held while machine code is made and loaded. A fork takes it, too, maybe in the very thread that holds it.
LOADING = threading.RLock()
_loaded: WeakValueDictionary[str, MachineCode] = WeakValueDictionary()
# Empty until the first program is loaded.
_runtime: list[MachineCode] = []


@dataclass(frozen=True)
class Code:
    """The machine code of an emitted program, and that of what all programs call."""

    machine_code: MachineCode
    address: int
    runtime: MachineCode

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of `runtime.training`, whose first argument is the program."""
        return caller(function)(self.runtime.address(symbol(function)), (self.address, *arguments))


def load(source: str) -> Code:
    """Return the program with this text; it is compiled where the cache folder has no machine code of it."""
    name = _name(source)
    with LOADING:
        called = runtime()
        code = _loaded.get(name)
        if code is None:
            code = _loaded[name] = _kept(name, lambda: [_function(name, source)])
    return Code(code, code.address(f"{name}.run"), called)


def _function(name: str, source: str) -> FunctionType:
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    run: FunctionType = module.run
    return run


def runtime() -> MachineCode:
    """Return what all programs call. It stays in memory: programs hold its addresses."""
    with LOADING:
        if not _runtime:
            code = _kept(_name(""), FUNCTIONS.values)
            for name in FUNCTIONS:
                llvmlite.binding.add_symbol(name, code.address(name))
            _runtime.append(code)
    return _runtime[0]


def _kept(name: str, functions: Callable[[], Any]) -> MachineCode:
    """Return the machine code of this name, from the cache folder or of these functions."""
    path = cache_folder() / name
    content = _read(path)
    if content is None:
        with notice():
            content = machine_code(functions())
        # A full disk costs the next start its time, and this one nothing.
        with contextlib.suppress(OSError):
            _write(path, content)
    return MachineCode(content)


def _read(path: Path) -> bytes | None:
    """Return what `_write` wrote; None where there is no file, or one that was cut off or changed."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content[:-32] if hashlib.sha256(content[:-32]).digest() == content[-32:] else None


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; another process may do the same at the same time."""
    # Not by `tempfile`, whose files are closed to other users, who may share the folder.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(content + hashlib.sha256(content).digest())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_known(source: str) -> bool:
    """Whether the program with this text has been compiled before."""
    return _name(source) in _loaded or (cache_folder() / _name(source)).exists()


def cache_folder() -> Path:
    """Return the folder of machine code: ``$MYRNN_CACHE_DIR``, or the platform's cache folder for MyRNN.

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
    return "myrnn_" + hashlib.sha256((_surroundings() + source).encode()).hexdigest()[:32]


@cache
def _surroundings() -> str:
    """Return what machine code depends on beside its source: versions, its target, and the functions it calls."""
    versions = (__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    return "\n".join((*versions, *code_generation(), *runtime_texts()))


# ---- ahead: in a process of its own. Numba holds the interpreter while it compiles, and all threads stand still ----

_COMPILE = f"import json, sys; from {__name__} import load; [load(source) for source in json.load(sys.stdin)]"


def begin_to_compile(sources: Sequence[str]) -> subprocess.Popen[str]:
    """Return the process that compiles these programs; it ends when the cache has them all."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    # A file, unlike a pipe, takes everything at once: nobody waits until the process has begun to read.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as wanted:
        json.dump(list(sources), wanted)
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


# ---- the notice ----

TOLD = "compiling this model; it takes a few seconds, once"

_thread = threading.local()


@contextlib.contextmanager
def notice() -> Iterator[None]:
    """Show that a model is being compiled, and count the seconds."""
    begin = time.perf_counter()
    try:
        with contextlib.nullcontext() if getattr(_thread, "is_silent", False) else passing_line(TOLD):
            yield
    finally:
        _thread.seconds = compiling_seconds() + time.perf_counter() - begin


def compiling_seconds() -> float:
    """Return how many seconds the calling thread has spent on compilations, in all."""
    return getattr(_thread, "seconds", 0.0)


def without_notice() -> None:
    """Say nothing of compilations in the calling thread from now on: nobody waits for one of many runs."""
    _thread.is_silent = True


# Now, while the files are those that were imported: an update may change them under a running process.
_surroundings()
