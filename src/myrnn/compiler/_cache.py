"""Emitted modules on disk: each is written once under the name of its content's hash, and imported from there.

Numba keeps machine code only of functions that come from a file. A file's name holds the hash of its text and of
everything else that the machine code depends on, so it never changes once it is there.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import io
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock
from platformdirs import user_cache_path

from myrnn._version import __version__
from myrnn.compiler._runtime import runtime_texts

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


# Now, while the files are those that were imported: an update may change them under a running process.
_surroundings()
