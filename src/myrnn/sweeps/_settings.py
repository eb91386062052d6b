"""The settings of one run, section by section: checked, and with the defaults of those that are not given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mygrad import Tensor

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.runs import MODELS, check_largest, check_training, describe, make_model, make_optimizer, setting_names
from myrnn.sequences import LARGEST_INT32
from myrnn.sweeps._choices import MOST_NUMBERS
from myrnn.tasks import make_task

# What a model takes from the task.
FROM_TASK = ("dim_input", "dim_output")
SAMPLES = 10_000

Settings = dict[str, dict[str, Any]]


def _task(given: Mapping[str, Any]) -> dict[str, Any]:
    return describe("task", make_task(**{"name": "twin-halves", **given}))


def _model(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in FROM_TASK:
        if name in given:
            raise InvalidArgument(f"{name} is for the task to say: leave it out")
    kind = given.get("name", "rnn")
    if kind in MODELS:
        known = [name for name in setting_names(MODELS[kind]) if name not in FROM_TASK]
        for name in given:
            _checks.check_setting(f"model {kind}", name, ("name", *known))
    width = _checks.integer("dim_recurrent", given.get("dim_recurrent", 50), minimum=1)
    # One unit is enough to check the other settings.
    small = {**dict.fromkeys(FROM_TASK, 1), "dim_recurrent": 1}
    described = describe("model", make_model(**{"name": "rnn", **given, **small}, rng=0))
    return {name: value for name, value in {**described, "dim_recurrent": width}.items() if name not in FROM_TASK}


def _optimizer(given: Mapping[str, Any]) -> dict[str, Any]:
    return describe("optimizer", make_optimizer(**{"name": "adam", **given}, params=[Tensor(np.zeros(1, np.float32))]))


def _evaluate(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        _checks.check_setting("an evaluation", name, ("samples", "seed", "lengths"))
    seed, lengths = given.get("seed"), given.get("lengths")
    if isinstance(lengths, str):
        numbers = _checks.span("lengths", lengths, MOST_NUMBERS)
        if numbers is None:
            raise InvalidArgument(f"lengths must be a list, or 'first:last:step' as in '2:40:2', not {lengths!r}")
        lengths = list(numbers)
    if lengths is not None:
        whole = _checks.integers("lengths", lengths, minimum=1, maximum=LARGEST_INT32)
        if not len(whole):
            raise InvalidArgument("lengths is empty: name at least one length")
        lengths = np.unique(whole).tolist()
    return {
        "samples": _checks.integer("samples", given.get("samples", SAMPLES), minimum=1),
        "seed": None if seed is None else _checks.integer("seed", seed, minimum=0),
        "lengths": lengths,
    }


_RESOLVED: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "task": _task,
    "model": _model,
    "optimizer": _optimizer,
    "training": check_training,
    "evaluate": _evaluate,
}
SECTIONS = tuple(_RESOLVED)
# What is not swept over: all runs of a study are tried in the same way.
FIXED = "evaluate"


def resolve(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a section as plain values, from those that are given.

    Raises
    ------
    InvalidArgument
        When one is not known, or not what it should be.
    """
    if "name" in given and not isinstance(given["name"], str):
        raise InvalidArgument(f"name must be a word, not {_checks.shown(given['name'])}")
    check_largest(given)
    return _RESOLVED[section](given)
