"""Tasks, models and optimizers by name, and the settings that make each of them again."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation import ENGINES
from myrnn.models import GRU, LSTM, RNN
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.tasks import TASKS
from myrnn.training import ON_DIVERGENCE, SCHEDULES, train

MODELS: dict[str, type[RNN | GRU | LSTM]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
OPTIMIZERS: dict[str, type[SGD | RMSprop | Adam]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam}

KINDS: dict[str, Mapping[str, type[Any]]] = {"task": TASKS, "model": MODELS, "optimizer": OPTIMIZERS}

# What an object is made from, but no setting of it.
NOT_SETTINGS = ("rng", "params")

# Far more than can be trained or tested; larger ones would only fill the memory until the system ends the process.
# Iterations have twelve digits in the names of checkpoints.
LARGEST = {
    "pattern_length_min": 10_000,
    "pattern_length_max": 10_000,
    "alphabet_size": 50_000,
    "dim_recurrent": 50_000,
    "iterations": 10**12 - 1,
    "report_every": 10**12 - 1,
    "batch_size": 1_000_000,
    "samples": 10_000_000,
}

# The arguments of `train` that a run keeps, with their defaults.
TRAINING = {
    name: inspect.signature(train).parameters[name].default
    for name in (
        *("iterations", "batch_size", "seed", "engine", "report_every"),
        *("schedule", "gradient_clip", "on_divergence"),
    )
}


def make_model(name: str, rng: Any = None, **settings: Any) -> RNN | GRU | LSTM:
    """Return the model called `name` (``"rnn"``, ``"gru"`` or ``"lstm"``) with the given settings."""
    model: RNN | GRU | LSTM = _kind("model", name, settings)(**settings, rng=rng)
    return model


def make_optimizer(name: str, params: Any, **settings: Any) -> SGD | RMSprop | Adam:
    """Return the optimizer called `name` (``"sgd"``, ``"rmsprop"`` or ``"adam"``) with the given settings."""
    optimizer: SGD | RMSprop | Adam = _kind("optimizer", name, settings)(params, **settings)
    return optimizer


def weight_generator(seed: int) -> np.random.Generator:
    """Return the generator of the first weights of a run: another stream than the one that draws its sequences."""
    return np.random.default_rng((seed, 1))


def describe(part: str, thing: Any) -> dict[str, Any]:
    """Return the name and settings of a task, model or optimizer (`part` says which) as plain values.

    Raises
    ------
    InvalidArgument
        When it is of a kind that cannot be made again from a file.
    """
    for name, kind in KINDS[part].items():
        if type(thing) is kind:
            return {"name": name, **{setting: getattr(thing, setting) for setting in setting_names(kind)}}
    known = ", ".join(kind.__name__ for kind in KINDS[part].values())
    raise InvalidArgument(f"the {part} of a run must be of the kinds {known}, not {type(thing).__name__}")


def setting_names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the settings that a kind is made from."""
    return tuple(name for name in inspect.signature(kind).parameters if name not in NOT_SETTINGS)


def check_largest(settings: Mapping[str, Any]) -> None:
    """Refuse settings, of whatever part, that are larger than anything can be; of others nothing is said."""
    for name in LARGEST:
        if name in settings:
            _checks.integer(name, settings[name], maximum=LARGEST[name])


def check_training(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `myrnn.train` that a run keeps, checked, with the defaults of those not given."""
    for name in given:
        _checks.check_setting("a training", name, tuple(TRAINING))
    settings = {**TRAINING, **given}
    for name in ("iterations", "batch_size", "report_every"):
        settings[name] = _checks.integer(name, settings[name], minimum=1, maximum=LARGEST[name])
    settings["seed"] = _checks.integer("seed", settings["seed"], minimum=0)
    if settings["gradient_clip"] is not None:
        settings["gradient_clip"] = _checks.real("gradient_clip", settings["gradient_clip"], above=0)
    _checks.one_of("engine", settings["engine"], ENGINES)
    _checks.one_of("schedule", settings["schedule"], SCHEDULES)
    _checks.one_of("on_divergence", settings["on_divergence"], ON_DIVERGENCE)
    return settings


def _kind(part: str, name: str, settings: Mapping[str, Any]) -> type[Any]:
    kind = KINDS[part][_checks.one_of(part, name, tuple(KINDS[part]))]
    for setting in settings:
        _checks.check_setting(f"{part} {name}", setting, ("name", *setting_names(kind)))
    return kind
