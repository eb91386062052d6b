"""The description of a model in a run folder, and how the model is rebuilt.

For a user-defined model, the folder stores the name of the class, the path and the hash of its file, its settings, its
weights and its logits for two fixed sequences. No code of a folder is run: `named_before` finds the class if the user
has named that file before, and otherwise the user gives it. A class with other logits is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn._user_code import failure
from myrnn.compiler.memory import machine_memory
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.experiment import Part
from myrnn.experiment.parts import OWN, SHA256, is_own
from myrnn.models.model import parameter_names, parameters_of
from myrnn.models.own import file_of, make_own, named_before, not_named
from myrnn.registry import find, kind_of, make
from myrnn.sequences import Sequences
from myrnn.settings import settings_by_name
from myrnn.storage import Stored
from myrnn.training.outputs import reference_logits

# A copy of the file of a user-defined class, for people who read the folder.
SOURCE = "model.txt"
# No size is larger; a number with thousands of digits would make even an error message fail.
LARGEST = 2**63 - 1
SIZES = ("dim_input", "dim_output")
# Stored only if it is true: it follows from the targets, and is not a setting of the model.
PER_STEP = "per_step"
GIVEN = (*SIZES, PER_STEP)
_SETTINGS = ("name", "class", "dim_input", "dim_recurrent", "dim_output", "logits")
# Stored if they are known, and if there are any.
FILE, SETTINGS = "file", "settings"
# The longest path of a file.
_LONGEST = 300
# Float32 arrays of the size of the weights that a training holds at once: the weights, the best ones, gradients of two
# threads, two averages of the optimizer, and copies of three of these on the way into native code and back.
COPIES = 10
# The lengths of the sequences whose logits are stored, and their tolerance on another machine.
_LENGTHS, _TOLERANCE = (3, 8), 1e-3


def describe_model(
    model: Any, sizes: Any, part: Part | None = None, dim_recurrent: int | None = None
) -> dict[str, Any]:
    """Return a model's name, settings and sizes as plain values."""
    per_step = {PER_STEP: True} if getattr(sizes, PER_STEP, False) else {}
    given, without = {"dim_input": sizes.dim_input, "dim_output": sizes.dim_output, **per_step}, None
    if (part is None or is_own(part.name)) and kind_of("model", model) is not None:
        # A user-defined function may make a built-in model.
        part, without = Part.of("model", model), None if part is None else 0
        given = {"dim_input": model.dim_input, "dim_output": model.dim_output}
        given |= {PER_STEP: True} if getattr(model, PER_STEP, False) else {}
    if part is not None and not is_own(part.name):
        settings = part.to_dict()
        if "dim_embedding" in settings and settings["dim_embedding"] is None:
            # The size that was chosen for the symbols of the data, if there is an embedding.
            settings["dim_embedding"] = getattr(model, "dim_embedding", None) or without
        return {**settings, **given}
    parameters_of(model)
    units = getattr(model, "dim_recurrent", None) if dim_recurrent is None else dim_recurrent
    if part is not None:
        units = getattr(part.settings, "dim_recurrent", None)
    return {
        **describe_class(type(model), type(model).__qualname__, None if part is None else part.own_settings),
        **given,
        "dim_recurrent": int(units) if isinstance(units, int | np.integer) and units > 0 else None,
        "logits": _logits(model, sizes.dim_input, sizes.dim_output, bool(per_step), hasattr(sizes, "truth")),
    }


def describe_class(make: Any, name: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the description of a user-defined class: its name, its file and hash if they are known, its settings."""
    file = file_of(make)
    where = {} if file is None else {FILE: file.shown_file, SHA256: file.sha256}
    return {"name": OWN, "class": name, **where, **({SETTINGS: dict(settings)} if settings else {})}


def part_of_own(settings: Mapping[str, Any]) -> Part:
    """Return the model of an experiment for the description of a user-defined one; no file is read."""
    units = {} if settings["dim_recurrent"] is None else {"dim_recurrent": settings["dim_recurrent"]}
    where = {SHA256: settings[SHA256]} if FILE in settings else {}
    return Part.read("model", {**settings.get(SETTINGS, {}), **units, **where, "name": _place(settings)})


def _place(settings: Mapping[str, Any]) -> str:
    return f"{settings[FILE]}:{settings['class']}" if FILE in settings else OWN


def class_of(settings: Mapping[str, Any], given: Any = None) -> Any:
    """Return the class of a user-defined model: `given`, or the one of its file if the user has named that before.

    It is None for a model with a name; then none may be given.
    """
    if settings["name"] != OWN:
        if given is not None:
            raise InvalidArgument(f"its model is the built-in {settings['name']}: leave out the model class")
        return None
    if given is not None:
        return given
    name, place = settings["class"], _place(settings)
    found = named_before(place, settings[SHA256]) if FILE in settings else None
    if found is not None:
        return found
    why, offered = (f"; {not_named(place)}", place) if FILE in settings else ("", f"FILE.py:{name}")
    raise InvalidArgument(
        f"its model is of the class {name}, and it holds only the weights{why}: give the class, with model={name} or "
        f"--model {offered}"
    )


def checked_own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a user-defined model in a file, or raise InvalidArgument."""
    wanted = {*_SETTINGS, *({SETTINGS} & set(given))}
    if FILE in given or SHA256 in given:
        wanted |= {FILE, SHA256}
    if given.get(PER_STEP) is True:
        wanted.add(PER_STEP)
    _check_keys("model own", given, wanted)
    name = given["class"]
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.replace("<locals>", "_").split(".")):
        raise InvalidArgument(f"class must be the name of a class, not {_checks.shown(name)}")
    if FILE in given:
        file = given[FILE]
        if not (isinstance(file, str) and file.isprintable() and file.endswith(".py") and len(file) <= _LONGEST):
            raise InvalidArgument(f"{FILE} must be the path of a .py file, not {_checks.shown(file)}")
        if not name.isidentifier():
            raise InvalidArgument(f"class must be one of a file, not {_checks.shown(name)}")
    if not isinstance(given.get(SETTINGS, {}), dict):
        raise InvalidArgument(f"{SETTINGS} must be an object, not {_checks.shown(given[SETTINGS])}")
    for size in ("dim_input", "dim_output", "dim_recurrent"):
        if size in given and (size != "dim_recurrent" or given[size] is not None):
            _checks.integer(size, given[size], minimum=1)
    logits = given["logits"]
    if logits is not None:
        rows, count = _checks.array("logits", logits), sum(_LENGTHS) if PER_STEP in given else len(_LENGTHS)
        if rows.shape != (count, given["dim_output"]) or rows.dtype.kind not in "fi":
            raise InvalidArgument(f"logits must be numbers, {count} rows of {given['dim_output']}")
    return dict(given)


def remake(settings: Mapping[str, Any], given: Any, rng: np.random.Generator) -> Any:
    """Rebuild the model of a run with new weights."""
    given = class_of(settings, given)
    if given is None:
        return make("model", **settings, rng=rng)
    name = settings["class"]
    if not isinstance(given, type) and hasattr(given, "parameters"):
        parameters_of(given)
        return given
    if settings["dim_recurrent"] is None:
        raise InvalidArgument(f"it does not know how many units its {name} has: give a model, as model={name}(...)")
    sizes = (settings["dim_input"], settings["dim_recurrent"], settings["dim_output"])
    return make_own(given, sizes, rng, settings.get(SETTINGS))


def check_same(settings: Mapping[str, Any], model: Any) -> None:
    """Refuse a user-defined model whose outputs for the stored weights differ from the stored ones."""
    kept = settings["logits"] if settings["name"] == OWN else None
    if kept is None:
        return
    found = _logits(model, settings["dim_input"], settings["dim_output"], PER_STEP in settings)
    if found is None or not np.allclose(found, kept, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise InvalidArgument(
            f"the model is not the {settings['class']} that was saved: with the same weights it gives other logits"
        )


def _logits(
    model: Any, dim_input: int, dim_output: int, per_step: bool, is_class: bool = False
) -> list[list[float]] | None:
    """Return a model's outputs for two fixed sequences; None if they vary between calls or are not finite."""
    tokens = [3 * np.arange(length) % dim_input for length in _LENGTHS]
    # The outputs may be numbers, of which there may be one.
    nothing = 0 if dim_output > 1 and not per_step else np.zeros(dim_output)
    of_step = np.zeros((), dtype=np.int64) if is_class else np.zeros(dim_output)
    pairs = [(one, np.array([of_step] * len(one)) if per_step else nothing) for one in tokens]
    sequences = Sequences.from_pairs(pairs, dim_input, per_step=per_step)
    try:
        with np.errstate(all="ignore"):
            once, again = reference_logits(model, sequences), reference_logits(model, sequences)
    except MyRNNError:
        raise
    except Exception as error:
        raise InvalidArgument(f"the model fails on a sequence of {dim_input} inputs: {failure(error)}") from error
    return once.tolist() if np.isfinite(once).all() and np.array_equal(once, again) else None


def checked_settings(part: str, given: Any) -> dict[str, Any]:
    """Return the settings of a task, model or optimizer (given by `part`): its name and all its arguments."""
    given = dict(settings_by_name(f"the {part}", given))
    if part == "model" and given.get("name") == OWN:
        return checked_own(given)
    kind = find(part, given.get("name"))
    name, sizes = kind.name, SIZES if part == "model" else ()
    settings = given
    wanted = {"name", *sizes, *kind.section.__struct_fields__}
    if PER_STEP in settings and part == "model" and settings[PER_STEP] is True:
        wanted.add(PER_STEP)
    _check_keys(f"{part} {name}", settings, wanted)
    return settings


def _check_keys(owner: str, given: Mapping[str, Any], wanted: set[str]) -> None:
    if odds := sorted(set(given) ^ wanted):
        raise InvalidArgument(f"{owner} {'needs' if odds[0] in wanted else 'has no setting'} {odds[0]!r}")


def check_size(model: Mapping[str, Any], most: int, whose: str) -> None:
    """Refuse a built-in model with more bytes of weights than possible; `whose` names the source of `most`."""
    if model["name"] == OWN or "dim_recurrent" not in model:
        return
    inputs, units, classes, layers, heads = (
        _checks.integer(name, model.get(name, 1), minimum=1, maximum=LARGEST)
        for name in ("dim_input", "dim_recurrent", "dim_output", "layers", "heads")
    )
    width = _checks.integer("dim_embedding", model.get("dim_embedding") or 0, minimum=0, maximum=LARGEST)
    # Every model has at least these float32 matrices; some cells, such as DeltaNet, have none from state to state.
    has_recurrent = "recurrent_init" in find("model", model["name"]).section.__struct_fields__
    recurrent = units**2 // heads if has_recurrent else 0
    least = 4 * (inputs * (width or units) + units * (width + classes) + layers * recurrent + (layers - 1) * units**2)
    if least > most:
        deep = f"{layers} x " if layers > 1 else ""
        raise InvalidArgument(
            f"a model of {inputs} inputs, {deep}{units} units and {classes} classes has {least:,} bytes of weights or "
            f"more, but {whose} {most:,}"
        )


def load_weights(stored: Stored, file: str, model: Any) -> None:
    """Load the weights in a folder's file into a model; raises RunError if the file is not valid."""
    weights = stored.arrays(file)
    names = parameter_names(model)
    if odd := sorted(set(names) ^ set(weights)):
        what = f"has no {odd[0]!r}" if odd[0] in names else f"holds {_checks.shown(odd[0])}, unknown to the model"
        stored.damaged(file, what)
    for name, parameter in zip(names, parameters_of(model), strict=True):
        given = weights[name]
        if given.dtype != parameter.dtype or given.shape != parameter.shape:
            wanted = f"{parameter.dtype} of shape {parameter.shape}"
            stored.damaged(file, f"has {name!r} as {given.dtype} of shape {given.shape}, not {wanted}")
        if not np.isfinite(given).all():
            stored.damaged(file, f"has a value in {name!r} that is not finite")
        parameter.data[...] = given


def check_memory(inputs: int, units: int, dim_embedding: int) -> None:
    """Raise before allocating a model whose weights alone would not fit in memory."""
    there = machine_memory()
    limits = (
        (units**2, f"{units:,} recurrent units", "make dim_recurrent smaller"),
        (
            inputs * (dim_embedding or units),
            f"{inputs:,} inputs of a step",
            "keep the most frequent symbols with max_vocabulary= (of numbers, give fewer columns), or make "
            "dim_embedding or dim_recurrent smaller",
        ),
    )
    for numbers, what, instead in limits:
        needed = 4 * COPIES * numbers
        if needed > there:
            raise InvalidArgument(
                f"{what} take about {needed / 1e9:.1f} GB to train, but there are {there / 1e9:.1f} GB: {instead}"
            )
