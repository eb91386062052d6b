"""A saved run in the playground: the settings that it has there, what else it has, and what is said of it later."""

from __future__ import annotations

import hashlib
from typing import Any

from myrnn.errors import InvalidArgument
from myrnn.playground._settings import DEFAULTS, checked_settings
from myrnn.runs import Run, weight_bytes

# What a task can be beside the settings of the playground: sequences of another one are not drawn here.
_TASK: dict[str, Any] = {"parity": "even", "max_changes": 3}
# What else a run can be beside them, with what a network is that the settings make.
_OTHERS: dict[str, dict[str, Any]] = {
    "model": {"recurrent_init": "glorot"},
    "optimizer": {"momentum": 0.0, "weight_decay": 0.0, "alpha": 0.9, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "training": {"schedule": "constant", "on_divergence": "stop"},
}


def settings_of(run: Run) -> dict[str, Any]:
    """Return the settings of a run as the playground has them.

    Raises
    ------
    InvalidArgument
        When they are out of its bounds, or the task is of a kind that it has not.
    """
    task, model, optimizer, training = (run.settings[part] for part in ("task", "model", "optimizer", "training"))
    for part in _differing(task, _TASK):
        raise InvalidArgument(f"the playground cannot show this run: its task has {part}")
    settings = {
        "task": task["name"],
        "cell": "-".join(filter(None, (model["name"], model.get("activation")))),
        "optimizer": optimizer["name"],
        "learning_rate": optimizer["learning_rate"],
        **{key: task[key] for key in ("negatives", "pattern_length_min", "pattern_length_max", "alphabet_size")},
        "dim_recurrent": model["dim_recurrent"],
        **{key: training[key] for key in ("batch_size", "gradient_clip")},
        "seed": training["seed"],
    }
    assert settings.keys() == DEFAULTS.keys()
    return checked_settings(settings)


def unrepeatable(run: Run) -> str:
    """Return why no settings of the playground make a run again, or nothing where some do."""
    others = [told for part, usual in _OTHERS.items() for told in _differing(run.settings[part], usual)]
    if "phases" in run.settings:
        others.append("settings that were changed while it was trained")
    if not others:
        return ""
    return (
        f"the settings on this page cannot repeat this run, which has {', '.join(others)}: to start it again, load it"
    )


def origin_of(run: Run) -> dict[str, Any]:
    """Return what a run that goes on from this one, whose weights are still its own, says of it."""
    iterations = int(run.history.iteration[-1]) if len(run.history) else 0
    return {
        "name": run.folder.resolve().name,
        "weights": hashlib.sha256(weight_bytes(run.model)).hexdigest(),
        "iterations": iterations,
    }


def _differing(given: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """Return the settings that are not as usual, such as ``"schedule cosine"``."""
    return [f"{key} {given[key]}" for key, value in usual.items() if given.get(key, value) != value]
