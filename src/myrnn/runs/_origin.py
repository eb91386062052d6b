"""What a run went on from, where its first weights are those of another run."""

from __future__ import annotations

import re
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument

# In the settings of a run.
CONTINUED_FROM = "continued_from"
_FIELDS = ("name", "weights", "iterations")
_MOST_ITERATIONS = 2**63 - 1


def check_origin(given: Any) -> dict[str, Any]:
    """Return the name, the SHA-256 of the weights and the iterations of the run that another went on from, checked."""
    if not isinstance(given, dict) or set(given) != set(_FIELDS):
        raise InvalidArgument(f"{CONTINUED_FROM} must have {', '.join(_FIELDS)}, not {_checks.shown(given)}")
    name, weights = given["name"], given["weights"]
    if not isinstance(name, str):
        raise InvalidArgument(f"the name in {CONTINUED_FROM} must be a text, not {_checks.shown(name)}")
    if not (isinstance(weights, str) and re.fullmatch("[0-9a-f]{64}", weights)):
        raise InvalidArgument(f"the weights in {CONTINUED_FROM} must be a SHA-256, not {_checks.shown(weights)}")
    _checks.integer("iterations", given["iterations"], minimum=0, maximum=_MOST_ITERATIONS)
    return dict(given)
