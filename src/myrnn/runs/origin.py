"""The history of a run beyond its settings: continued from another run, or trained in several phases."""

from __future__ import annotations

import re
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.training import TrainingSettings as Training

# Keys in the settings of a run.
CONTINUED_FROM, PHASES = "continued_from", "phases"
_FIELDS = ("name", "weights", "iterations")
_PHASE_FIELDS = ("iterations", "learning_rate", "batch_size", "seed", "gradient_clip")
_MOST_ITERATIONS = 2**63 - 1


def check_origin(given: Any) -> dict[str, Any]:
    """Return, checked, the name, the SHA-256 of the weights and the iterations of the run that this one continues."""
    if not isinstance(given, dict) or set(given) != set(_FIELDS):
        raise InvalidArgument(f"{CONTINUED_FROM} must have {', '.join(_FIELDS)}, not {_checks.shown(given)}")
    name, weights = given["name"], given["weights"]
    if not isinstance(name, str):
        raise InvalidArgument(f"the name in {CONTINUED_FROM} must be a text, not {_checks.shown(name)}")
    if not (isinstance(weights, str) and re.fullmatch("[0-9a-f]{64}", weights)):
        raise InvalidArgument(f"the weights in {CONTINUED_FROM} must be a SHA-256, not {_checks.shown(weights)}")
    _checks.integer("iterations", given["iterations"], minimum=0, maximum=_MOST_ITERATIONS)
    return dict(given)


def check_phases(given: Any) -> list[dict[str, Any]]:
    """Return, checked, the phases of a training whose settings changed on the way, each as `train` takes them."""
    if not isinstance(given, list) or not all(isinstance(phase, dict) for phase in given):
        raise InvalidArgument(f"{PHASES} must be a list of objects, not {_checks.shown(given)}")
    for phase in given:
        if set(phase) != set(_PHASE_FIELDS):
            raise InvalidArgument(
                f"every one of {PHASES} must have {', '.join(_PHASE_FIELDS)}, not {_checks.shown(phase)}"
            )
        _checks.real("learning_rate", phase["learning_rate"], minimum=0)
        Training.read({name: phase[name] for name in _PHASE_FIELDS if name != "learning_rate"}, "a phase")
    return [dict(phase) for phase in given]
