"""Machine code on disk: one file for each function of the runtime that was needed, and for each emitted program.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

import llvmlite
import numba
import numpy as np
from platformdirs import user_cache_path

from myrnn._version import __version__
from myrnn.compiler.runtime import runtime_texts, training
from myrnn.compiler.runtime.functions import MachineCode, called_by, caller, code_generation, machine_code, symbol
from myrnn.output import notify, passing_line
from myrnn.storage import others_may_replace

CACHE_VARIABLE = "MYRNN_CACHE_DIR"

# Loaded with every program. `Code.prepare` loads others before they are called, so that no training stops to compile.
_CALLERS = (training.backpropagate, training.logits)

# Held while machine code is made and loaded. A fork also takes it, maybe in the thread that holds it.
LOADING = threading.RLock()
_programs: WeakValueDictionary[str, Code] = WeakValueDictionary()
# Those of the functions of the runtime, which stay in memory, because programs hold their addresses.
_addresses: dict[str, int] = {}


class Code:
    """The machine code of an emitted program."""

    def __init__(self, name: str, content: bytes) -> None:
        self._memory = MachineCode()
        self._address = self._memory.add(name, content)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the runtime whose first argument is the program."""
        return caller(function)(address(function), (self._address, *arguments))

    def prepare(self, function: Callable[..., Any]) -> None:
        """Compile a function of the runtime before it is called."""
        address(function)


def load(source: str) -> Code:
    """Return the program with this text; it is compiled if the cache folder does not have it."""
    name = _program(source)
    with LOADING:
        code = _programs.get(name)
        if code is None:
            module = ModuleType(name.removesuffix(".run"))
            exec(compile(source, name, "exec"), module.__dict__)
            *called, (_, content) = _contents([*_CALLERS, module.run])
            _share(called)
            code = _programs[name] = Code(name, content)
    return code


def address(function: Callable[..., Any]) -> int:
    """Return the address of a function of the runtime; it is compiled if the cache folder does not have it."""
    name = symbol(function)
    if name not in _addresses:
        with LOADING:
            _share(_contents([function]))
    return _addresses[name]


@cache
def _runtime() -> MachineCode:
    return MachineCode()


def _share(contents: Iterable[tuple[str, bytes]]) -> None:
    """Load functions of the runtime, callees first, and let all other machine code call them by name."""
    for name, content in contents:
        _addresses[name] = _runtime().add(name, content)
        llvmlite.binding.add_symbol(name, _addresses[name])


def _contents(functions: Iterable[Callable[..., Any]]) -> list[tuple[str, bytes]]:
    """Return the machine code of functions and of all that they call, unless it is loaded; callees come first."""
    needed: dict[str, Callable[..., Any]] = {}
    for function in functions:
        _need(function, needed)
    folder = cache_folder()
    found = {name: _read(folder / _name(name)) for name in needed}
    missing = [name for name, content in found.items() if content is None]
    with notice() if missing else contextlib.nullcontext():
        for name in missing:
            content = found[name] = machine_code(needed[name])
            # On a full disk, only the next start has to compile again.
            with contextlib.suppress(OSError):
                _write(folder / _name(name), content)
    return [(name, content) for name, content in found.items() if content is not None]


def _need(function: Callable[..., Any], needed: dict[str, Callable[..., Any]]) -> None:
    name = symbol(function)
    if name not in _addresses and name not in needed:
        for other in called_by(function):
            _need(other, needed)
        needed[name] = function


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
    name = _program(source)
    return name in _programs or (cache_folder() / _name(name)).exists()


def cache_folder() -> Path:
    """Return the folder of machine code: ``$MYRNN_CACHE_DIR``, the platform's, or if unsafe a temporary one."""
    chosen = os.environ.get(CACHE_VARIABLE)
    folder = (Path(chosen) if chosen else user_cache_path("myrnn", appauthor=False)) / "compiled"
    try:
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.mkdir(mode=0o755, exist_ok=True)
        # What is in there is executed.
        if not others_may_replace(folder):
            with tempfile.TemporaryFile(dir=folder):
                return folder
        _refuse(folder)
    except OSError:
        pass
    return _temporary_folder()


@cache
def _refuse(folder: Path) -> None:
    notify(
        f"myrnn: machine code is not kept in {folder}, because other users may write there, or in a folder above: make "
        f"it writable only for you (chmod go-w), or set {CACHE_VARIABLE} to another folder"
    )


@cache
def _temporary_folder() -> Path:
    parent = tempfile.mkdtemp(prefix="myrnn-")
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    # Where another process looks if its variable is the parent, as in `begin_to_compile`.
    folder = Path(parent) / "compiled"
    folder.mkdir()
    return folder


def _program(source: str) -> str:
    """Return the `symbol` of the program with this text."""
    return f"{_name(source)}.run"


def _name(text: str) -> str:
    return "myrnn_" + hashlib.sha256((_surroundings() + text).encode()).hexdigest()[:32]


@cache
def _surroundings() -> str:
    """Return what machine code depends on besides its source: versions, its target, and the functions it calls."""
    versions = (__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    return "\n".join((*versions, *code_generation(), *runtime_texts()))


# ---- compiling ahead, in another process: Numba holds the interpreter lock while it compiles ----

_COMPILE = f"import json, sys; from {__name__} import compile_to_train; compile_to_train(json.load(sys.stdin))"


def compile_to_train(sources: Iterable[str]) -> None:
    """Compile programs, and what trains them."""
    for source in sources:
        load(source).prepare(training.train)


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
