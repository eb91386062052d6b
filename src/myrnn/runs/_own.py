"""Models of user-defined classes in run folders: what is kept of one, and how it is made again.

No file of a folder holds code. Of such a model the name of its class, its sizes and its weights are kept, and what it
says of two fixed sequences: whoever loads the run gives the class again, and one that says something else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn._user_code import failure
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.experiment import Part
from myrnn.models import make_own, parameters_of
from myrnn.registry import kind_of, make
from myrnn.sequences import Sequences
from myrnn.training import reference_logits

OWN = "own"
SIZES = ("dim_input", "dim_output")
_SETTINGS = ("name", "class", "dim_input", "dim_recurrent", "dim_output", "logits")
# The lengths of the sequences whose logits are kept, and how far they may be off on another machine.
_LENGTHS, _TOLERANCE = (3, 8), 1e-3


def describe_model(model: Any, task: Any, dim_recurrent: int | None = None) -> dict[str, Any]:
    """Return a model's name and settings as plain values.

    Parameters
    ----------
    model : object
    task : TwinHalves or Palindromes
        The sizes of a user-defined model are those of its task.
    dim_recurrent : int, optional
        D of a user-defined model; by default its attribute of that name, if it has one.
    """
    if kind_of("model", model) is not None:
        sizes = {"dim_input": model.dim_input, "dim_output": model.dim_output}
        return {**Part.of("model", model).to_dict(), **sizes}
    parameters_of(model)
    units = getattr(model, "dim_recurrent", None) if dim_recurrent is None else dim_recurrent
    return {
        "name": OWN,
        "class": type(model).__qualname__,
        "dim_input": task.dim_input,
        "dim_recurrent": int(units) if isinstance(units, int | np.integer) and units > 0 else None,
        "dim_output": task.dim_output,
        "logits": _logits(model, task.dim_input),
    }


def checked_own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a user-defined model that a file holds, or refuse them with InvalidArgument."""
    if odd := sorted(set(given) ^ set(_SETTINGS)):
        raise InvalidArgument("model own " + (f"needs {odd[0]!r}" if odd[0] in _SETTINGS else f"has no {odd[0]!r}"))
    name = given["class"]
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.replace("<locals>", "_").split(".")):
        raise InvalidArgument(f"class must be the name of a class, not {_checks.shown(name)}")
    for size in ("dim_input", "dim_output", "dim_recurrent"):
        if size != "dim_recurrent" or given[size] is not None:
            _checks.integer(size, given[size], minimum=1)
    logits = given["logits"]
    if logits is not None:
        rows = _checks.array("logits", logits)
        if rows.shape != (len(_LENGTHS), given["dim_output"]) or rows.dtype.kind not in "fi":
            raise InvalidArgument(f"logits must be numbers, {len(_LENGTHS)} rows of {given['dim_output']}")
    return dict(given)


def remake(settings: Mapping[str, Any], given: Any, rng: np.random.Generator) -> Any:
    """Make the model of a run again, with new weights.

    Parameters
    ----------
    settings : mapping
        As `describe_model` returns them.
    given : class, callable or model, optional
        The user-defined class, a function that makes a model of it, or such a model; none for a model that ships.
    rng : numpy.random.Generator
        Draws the weights.
    """
    if settings["name"] != OWN:
        if given is not None:
            raise InvalidArgument(f"its model is the {settings['name']} that ships: leave the class of your own out")
        return make("model", **settings, rng=rng)
    name = settings["class"]
    if given is None:
        raise InvalidArgument(
            f"its model is of the class {name}, of which it holds the weights alone: give the class, "
            f"with model={name} or --model FILE.py:{name}"
        )
    if not isinstance(given, type) and hasattr(given, "parameters"):
        parameters_of(given)
        return given
    if settings["dim_recurrent"] is None:
        raise InvalidArgument(f"it does not know how many units its {name} has: give a model, as model={name}(...)")
    sizes = (settings["dim_input"], settings["dim_recurrent"], settings["dim_output"])
    return make_own(given, sizes, rng)


def check_same(settings: Mapping[str, Any], model: Any) -> None:
    """Refuse a user-defined model that does not say, with the same weights, what the one that was kept said."""
    kept = settings["logits"] if settings["name"] == OWN else None
    if kept is None:
        return
    found = _logits(model, settings["dim_input"])
    if found is None or not np.allclose(found, kept, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise InvalidArgument(
            f"the model is not the {settings['class']} that was saved: with the same weights it gives other logits"
        )


def _logits(model: Any, dim_input: int) -> list[list[float]] | None:
    """Return what a model says of two fixed sequences; None where that is not the same every time, or not finite."""
    pairs = [(3 * np.arange(length) % dim_input, 0) for length in _LENGTHS]
    sequences = Sequences.from_pairs(pairs, dim_input)
    try:
        with np.errstate(all="ignore"):
            once, again = reference_logits(model, sequences), reference_logits(model, sequences)
    except MyRNNError:
        raise
    except Exception as error:
        raise InvalidArgument(f"the model fails on a sequence of {dim_input} inputs: {failure(error)}") from error
    return once.tolist() if np.isfinite(once).all() and np.array_equal(once, again) else None
