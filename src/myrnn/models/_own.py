"""Models of classes that somebody wrote: made with their first weights, and found in a file."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myrnn._user_code import failure
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.models._model import parameters_of


@dataclass(frozen=True)
class OwnModel:
    """A model class and where it stands.

    Attributes
    ----------
    make : class
        Called with C, D and K, and with ``rng`` where it takes that.
    name, file : str
    """

    make: Callable[..., Any]
    name: str
    file: str


def load_own(place: str) -> OwnModel:
    """Run a file and return its class; `place` is ``"my_file.py:MyClass"``.

    Raises
    ------
    InvalidArgument
        When there is no such file or class, or the file fails.
    """
    file, colon, name = place.rpartition(":")
    if not colon and place.endswith(".py"):
        file, name = place, ""
    elif not colon or not name.isidentifier() or not file.endswith(".py"):
        raise InvalidArgument(f"--model must be a file and a class, such as my_file.py:MyClass, not {place!r}")
    path = Path(file)
    if not path.is_file():
        raise InvalidArgument(f"--model: there is no file {file}")
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise InvalidArgument(f"--model: {file} fails: {failure(error)}") from error
    make = found.get(name)
    if not isinstance(make, type):
        classes = [n for n, v in found.items() if isinstance(v, type) and v.__module__ == "<run_path>"]
        if not name:
            example = f"{file}:{classes[0] if classes else 'MyClass'}"
            raise InvalidArgument(f"--model must name the class in the file, too, such as {example}, not {place!r}")
        has = f"; it has {', '.join(classes)}" if classes else ""
        raise InvalidArgument(f"--model: {file} has no class {name}{has}")
    return OwnModel(make, name, str(path.resolve()))


def make_own(make: Callable[..., Any], sizes: tuple[int, int, int], rng: np.random.Generator) -> Any:
    """Return a new model of a user-defined class or function.

    Parameters
    ----------
    make : callable
        Called with C, D and K.
    sizes : tuple of int
        C, D and K.
    rng : numpy.random.Generator
        Draws the weights: it is handed on where `make` has a parameter ``rng`` without a value of its own. NumPy's
        global generator, from which MyGrad's initializers draw, is seeded by it for the call.

    Raises
    ------
    InvalidArgument
        When `make` fails, or makes no model.
    """
    name = getattr(make, "__name__", "the model's factory")
    try:
        wanted = inspect.signature(make).parameters.get("rng")
        takes_rng = wanted is not None and wanted.default in (None, inspect.Parameter.empty)
        with _seeded(int(rng.integers(2**32))):
            model = make(*sizes, **({"rng": rng} if takes_rng else {}))
    except MyRNNError:
        raise
    except Exception as error:
        raise InvalidArgument(f"{name}{sizes} fails: {failure(error)}") from error
    parameters_of(model)
    return model


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let NumPy's global generator begin at a seed, and put it back to where it was."""
    before = np.random.get_state()  # noqa: NPY002 - it is the one that MyGrad's initializers draw from
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
