"""Emitted modules on disk: each is written once under the name of its content's hash, and imported from there.

Numba keeps machine code only of functions that come from a file. A file's name holds the hash of its text and of
everything else that the machine code depends on, so it never changes once it is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import numpy as np
from platformdirs import user_cache_path

from myrnn._version import __version__

CACHE_VARIABLE = "MYRNN_CACHE_DIR"

_lock = threading.Lock()
_modules: dict[str, ModuleType] = {}


def load(source: str) -> ModuleType:
    """Return the module with this text; it is written to the cache folder and imported when it is new."""
    digest = hashlib.sha256((_surroundings() + source).encode()).hexdigest()[:32]
    name = f"_myrnn_{digest}"
    with _lock:
        if name not in _modules:
            _modules[name] = _import(name, _write(cache_folder() / f"{name}.py", source))
        return _modules[name]


def is_known(source: str) -> bool:
    """Whether a module with this text has been compiled before."""
    digest = hashlib.sha256((_surroundings() + source).encode()).hexdigest()[:32]
    name = f"_myrnn_{digest}"
    return name in _modules or any((cache_folder() / "__pycache__").glob(f"{name}*.nbc"))


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
    return Path(tempfile.mkdtemp(prefix="myrnn-"))


@cache
def _surroundings() -> str:
    """Return what machine code depends on beside its source: versions, the processor, and the functions it calls."""
    versions = (__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    here = Path(__file__).parent
    called = ("_barrier", "_elementary", "_kernels", "_lanes", "_moves", "_tiles", "_updates")
    texts = [(here / f"{name}.py").read_text(encoding="utf-8") for name in called]
    return "\n".join((*versions, *texts))


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


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
