"""The user's own modules next to the file of a class, which that file may import."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType


class SiblingFinder(MetaPathFinder):
    """Finds modules in the folder of a class file: after installed ones, before those of the working folder.

    With `allowed`, hashes of files by their paths, no other file is run.
    """

    def __init__(self, folder: Path, allowed: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.found: dict[str, str] = {}  # the hashes of the files that were imported
        self._allowed = allowed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a module of the folder, or of a package in it; None for all others."""
        where = [str(self.folder)] if path is None else [part for part in path if self._has(part)]
        spec = PathFinder.find_spec(fullname, where, target) if where else None
        # Folders without `__init__.py` are left to Python: many folders have the name of some module.
        if spec is None or spec.origin is None or (path is None and _is_installed(fullname)):
            return None
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = _SourceLoader(fullname, spec.origin, self)
        elif self._allowed is not None:
            raise ModuleNotFoundError(f"{spec.origin} is no Python source", name=fullname)
        return spec

    def check(self, name: str, file: str, source: bytes) -> None:
        """Refuse to run these bytes of a file unless they are allowed."""
        sha256 = hashlib.sha256(source).hexdigest()
        if self._allowed is not None and self._allowed.get(file) != sha256:
            raise ModuleNotFoundError(
                f"{Path(file).name} was not imported with these bytes when the class was named: name it again",
                name=name,
            )
        self.found[file] = sha256

    def _has(self, part: str) -> bool:
        return Path(part).is_relative_to(self.folder)


class _SourceLoader(SourceFileLoader):
    """Loads a module from its source, never from bytecode: what is checked is what runs."""

    def __init__(self, name: str, file: str, finder: SiblingFinder) -> None:
        super().__init__(name, file)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        self._finder.check(fullname, self.path, source)
        code: CodeType = self.source_to_code(source, self.path)
        return code


def import_beside(file: str, allowed: Mapping[str, str] | None = None) -> SiblingFinder:
    """Let a file import the modules of its folder, read anew, from now on until another file is loaded."""
    finder = SiblingFinder(Path(file).resolve().parent, allowed)
    for name, module in list(sys.modules.items()):
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _SourceLoader):
            del sys.modules[name]
    sys.meta_path[:] = [finder, *(one for one in sys.meta_path if not isinstance(one, SiblingFinder))]
    importlib.invalidate_caches()
    return finder


def _is_installed(name: str) -> bool:
    """Return whether a module is found elsewhere than in the folder of the script, which is the first of the path."""
    for finder in sys.meta_path:
        if isinstance(finder, SiblingFinder) or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, sys.path[1:] if finder is PathFinder else None)
        if spec is not None and spec.loader is not None:
            return True
    return False
