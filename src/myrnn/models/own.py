"""User-defined model classes: loaded from a file that the user names, made, and found again by the hash of that file.

A run folder names the class and the hash of its file, but a folder may come from somebody else, who chose both. So code
only runs if the user named it: `load_own` runs the named file and remembers its hash, its class and its place for this
account, and the hashes of the files next to it that it imports. `named_before` runs nothing else.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

import numpy as np
from platformdirs import user_state_path

from myrnn import _checks
from myrnn._user_code import failure
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.models.model import parameters_of
from myrnn.models.siblings import import_beside
from myrnn.registry import seeded
from myrnn.settings import Setting
from myrnn.storage import others_may_write

# The name of the module of a file while it runs.
MODULE = "<run_path>"
# The file of this account that remembers the classes that the user has named.
NAMED = "named-classes.jsonl"


@dataclass(frozen=True)
class ClassFile:
    """The file of a user-defined class, with its content."""

    name: str
    file: str
    source: bytes  # the content of the file

    @property
    def sha256(self) -> str:
        """The hash of the file."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def shown_file(self) -> str:
        """Its path from the working folder, or its name: others need not learn the folders of this machine."""
        file, here = Path(self.file), Path.cwd()
        return file.relative_to(here).as_posix() if file.is_relative_to(here) else file.name


# The files of the classes in memory.
_FILES: WeakKeyDictionary[Any, ClassFile] = WeakKeyDictionary()


def file_of(make: Any) -> ClassFile | None:
    """Return the file of a class, if `load_own` loaded it."""
    return _FILES.get(make) if isinstance(make, type) else None


def load_own(place: str, sha256: str | None = None, siblings: Mapping[str, str] | None = None) -> type[Any]:
    """Run the file of ``"my_file.py:MyClass"`` and return the class; refuse a file that fails or has another hash.

    It may import modules of its folder; with `siblings`, only files with these hashes, by path.
    """
    file, name = _split(place)
    source = _read(file)
    if sha256 is not None and hashlib.sha256(source).hexdigest() != sha256:
        raise InvalidArgument(f"{file} has changed since it was read first")
    finder = import_beside(file, siblings)
    found = _run(file, source)
    make = found.get(name)
    if not isinstance(make, type):
        classes = [n for n, v in found.items() if isinstance(v, type) and v.__module__ == MODULE]
        if not name:
            example = f"{file}:{classes[0] if classes else 'MyClass'}"
            raise InvalidArgument(f"a model must name the class in its file, too, such as {example}, not {place!r}")
        has = f"; it has {', '.join(classes)}" if classes else ""
        raise InvalidArgument(f"{file} has no class {name}{has}")
    its_file = ClassFile(name, str(Path(file).resolve()), source)
    _FILES[make] = its_file
    _remember(its_file, finder.found)
    return make


def _split(place: str) -> tuple[str, str]:
    file, colon, name = place.rpartition(":")
    if not colon and place.endswith(".py"):
        return place, ""
    if not colon or not name.isidentifier() or not file.endswith(".py"):
        raise InvalidArgument(f"a model must be a file and a class, such as my_file.py:MyClass, not {place!r}")
    return file, name


def _read(file: str) -> bytes:
    path = Path(file)
    if not path.is_file():
        raise InvalidArgument(f"there is no file {file}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error.strerror or error}") from None


def _run(file: str, source: bytes) -> dict[str, Any]:
    """Run a file as `runpy.run_path` does, but these bytes of it, and return its names."""
    module = ModuleType(MODULE)
    module.__file__ = file
    before = sys.modules.get(MODULE)
    # Dataclasses look for the module of a class.
    sys.modules[MODULE] = module
    try:
        exec(compile(source, file, "exec"), vars(module))
    except Exception as error:
        raise InvalidArgument(f"{file} fails: {failure(error)}") from error
    finally:
        del sys.modules[MODULE]
        if before is not None:
            sys.modules[MODULE] = before
    return vars(module)


# --- making models


def make_own(
    make: Callable[..., Any],
    sizes: tuple[int, int, int],
    rng: np.random.Generator,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """Return a new model of a user-defined class or function, called with `sizes` (C, D and K) and its settings."""
    # `rng` is passed on if `make` requires it. It also seeds NumPy's global generator, which MyGrad's initializers use.
    name = getattr(make, "__name__", "the model's factory")
    try:
        wanted = inspect.signature(make).parameters.get("rng")
        takes_rng = wanted is not None and wanted.default in (None, inspect.Parameter.empty)
        with seeded(rng):
            model = make(*sizes, **(settings or {}), **({"rng": rng} if takes_rng else {}))
    except MyRNNError:
        raise
    except Exception as error:
        raise InvalidArgument(f"{name}{sizes} fails: {failure(error)}") from error
    parameters_of(model)
    return model


def check_settings_of(make: Any, owner: str, settings: Mapping[str, Any]) -> None:
    """Check settings by the parameters of a class besides C, D, K and ``rng``; messages call it `owner`."""
    parameters = list(inspect.signature(make).parameters.values())
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    sizes = [parameter for parameter in parameters if parameter.kind in by_place][:3]
    known = {p.name: p for p in parameters if p not in sizes and p.name != "rng" and p.kind != p.VAR_POSITIONAL}
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters)
    known = {name: parameter for name, parameter in known.items() if parameter.kind != parameter.VAR_KEYWORD}
    hints = _hints(make)
    for name, value in settings.items():
        if not takes_any:
            _checks.check_setting(owner, name, ("dim_recurrent", *known))
        with suppress(TypeError):  # an annotation that describes no setting
            Setting(name, hints.get(name, Any), None).checked(value)
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in settings:
            raise InvalidArgument(f"{owner} needs {name!r}")


def _hints(make: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(make.__init__, include_extras=True)
    except Exception:  # annotations may name anything
        return {}


# --- the classes that the user has named


def named_before(place: str, sha256: str) -> type[Any] | None:
    """Return a class that the user has named, by its name in `place` and the hash of its file; the path is not used."""
    _, name = _split(place)
    for kept_hash, kept_name, path, siblings in reversed(_remembered()):
        if (kept_hash, kept_name) != (sha256, name):
            continue
        if all(_has(file, kept) for file, kept in ({path: sha256} | siblings).items()):
            return load_own(f"{path}:{name}", sha256, siblings)
    return None


def not_named(place: str) -> str:
    """Return the reason why `named_before` finds no class."""
    return f"{_split(place)[0]} has changed or was never named on this machine"


def _has(path: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(_read(path)).hexdigest() == sha256
    except InvalidArgument:
        return False


def _remember(own: ClassFile, siblings: Mapping[str, str]) -> None:
    entry = [own.sha256, own.name, own.file, dict(siblings)]
    if entry in _remembered():
        return
    path = _path()
    with suppress(OSError):  # without it, the user names the file again
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and others_may_write(path):
            path.unlink()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")


def _remembered() -> list[list[Any]]:
    """Return the hash, the class, the path and the imported files of each class that was named, the newest last."""
    path = _path()
    try:
        lines = [] if others_may_write(path) else path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line)
            if not (isinstance(entry, list) and len(entry) == 4 and isinstance(entry[3], dict)):
                continue
            if all(isinstance(part, str) for part in (*entry[:3], *entry[3].values())):
                found.append(entry)
    return found


def _path() -> Path:
    return user_state_path("myrnn", appauthor=False) / NAMED
