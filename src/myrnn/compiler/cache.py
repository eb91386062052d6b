"""Machine code on disk: that of the runtime, and one file for each emitted program.

A file's name contains the hash of the program's text and of everything else that its machine code depends on, so a file
never changes.
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

# Held while machine code is made and loaded. A fork also takes it, maybe in the thread that holds it.
LOADING = threading.RLock()
_loaded: WeakValueDictionary[str, MachineCode] = WeakValueDictionary()
# Empty until the first program is loaded.
_runtime: list[MachineCode] = []


@dataclass(frozen=True)
class Code:
    """The machine code of an emitted program, and that of the shared runtime."""

    machine_code: MachineCode
    address: int
    runtime: MachineCode

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of `runtime.training`, whose first argument is the program."""
        return caller(function)(self.runtime.address(symbol(function)), (self.address, *arguments))


def load(source: str) -> Code:
    """Return the program with this text; it is compiled if the cache folder does not have it."""
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
    """Return the functions that all programs call. They stay in memory because programs hold their addresses."""
    with LOADING:
        if not _runtime:
            code = _kept(_name(""), FUNCTIONS.values)
            for name in FUNCTIONS:
                llvmlite.binding.add_symbol(name, code.address(name))
            _runtime.append(code)
    return _runtime[0]


def _kept(name: str, functions: Callable[[], Any]) -> MachineCode:
    """Return the machine code of this name, from the cache folder or by compiling these functions."""
    path = cache_folder() / name
    content = _read(path)
    if content is None:
        with notice():
            content = machine_code(functions())
        # On a full disk, only the next start has to compile again.
        with contextlib.suppress(OSError):
            _write(path, content)
    return MachineCode(content)


def _read(path: Path) -> bytes | None:
    """Return what `_write` wrote; None if the file is missing, incomplete or changed."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content[:-32] if hashlib.sha256(content[:-32]).digest() == content[-32:] else None


def _write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all; another process may do the same at the same time."""
    # Not by `tempfile`, whose files are unreadable for other users, who may share the folder.
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

    If neither is writable, this process uses a temporary folder.
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
    """Return what machine code depends on besides its source: versions, its target, and the functions it calls."""
    versions = (__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    return "\n".join((*versions, *code_generation(), *runtime_texts()))


# ---- compiling ahead, in another process: Numba holds the interpreter lock while it compiles ----

_COMPILE = f"import json, sys; from {__name__} import load; [load(source) for source in json.load(sys.stdin)]"


def begin_to_compile(sources: Sequence[str]) -> subprocess.Popen[str]:
    """Return the process that compiles these programs; it ends when the cache has them all."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    # A file, unlike a pipe, takes everything at once, so nobody waits until the process begins to read.
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
            # Ctrl-C in the terminal only reaches the process that started this one, which ends it.
            start_new_session=True,
        )


# ---- the notice ----

NOTICE = "compiling this model; it takes a few seconds, once"

_thread = threading.local()


@contextlib.contextmanager
def notice() -> Iterator[None]:
    """Show that a model is being compiled, and count the seconds."""
    begin = time.perf_counter()
    try:
        with contextlib.nullcontext() if getattr(_thread, "is_silent", False) else passing_line(NOTICE):
            yield
    finally:
        _thread.seconds = compiling_seconds() + time.perf_counter() - begin


def compiling_seconds() -> float:
    """Return the total seconds that the calling thread has spent on compilations."""
    return getattr(_thread, "seconds", 0.0)


def without_notice() -> None:
    """Show no notices in the calling thread from now on: with many runs, nobody waits for a single one."""
    _thread.is_silent = True


# Now, while the files are those that were imported: an update may change them later.
_surroundings()
