"""Lets Ctrl-C stop a command that is still importing, and imports MyGrad a second faster.

MyGrad's GRU layer makes Numba compile three small functions when it is imported. Here it is imported when it is first
used.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

from myrnn._signals import end_imports

end_imports()

GRU = "mygrad.nnet.layers.gru"
# What waits for the import of that module.
_waiting: list[Callable[[ModuleType], None]] = []


@contextmanager
def when_gru_is_imported(do: Callable[[ModuleType], None]) -> Iterator[None]:
    """Call `do` with MyGrad's module of the GRU layer: at once if it is imported already, or when the block does it."""
    module = sys.modules.get(GRU)
    if type(module) is ModuleType:
        do(module)
        yield
        return
    _waiting.append(do)
    try:
        yield
    finally:
        _waiting.remove(do)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for do in _waiting:
            do(module)


def _import_mygrad() -> None:
    """Import MyGrad without its GRU layer, and put a module in its place that is executed when it is first used."""
    sys.modules[GRU] = None  # type: ignore[assignment] # makes an import fail, which MyGrad expects without Numba
    try:
        from mygrad import nnet
    finally:
        del sys.modules[GRU]
    spec = importlib.util.find_spec(GRU)
    assert spec is not None and spec.origin is not None
    loader = spec.loader = importlib.util.LazyLoader(_Loader(GRU, spec.origin))
    late = sys.modules[GRU] = importlib.util.module_from_spec(spec)
    loader.exec_module(late)

    def layer(name: str) -> Any:
        if name == "gru":
            return late.gru
        raise AttributeError(f"module 'mygrad.nnet' has no attribute {name!r}")

    nnet.__all__ = [*(name for name in vars(nnet) if not name.startswith("_")), "gru"]
    nnet.layers.__all__.append("gru")
    nnet.__getattr__ = nnet.layers.__getattr__ = layer


if "mygrad" not in sys.modules:
    _import_mygrad()
