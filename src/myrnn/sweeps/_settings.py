"""The settings of one run, section by section: checked, and with the defaults of those that are not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myrnn.errors import InvalidArgument
from myrnn.experiment import Evaluation, Part, Training, is_own
from myrnn.registry import PARTS, kinds

SAMPLES = 10_000
SECTIONS = (*PARTS, "training", "evaluate")
# What is not swept over: all runs of a study are tried in the same way.
FIXED = "evaluate"

Settings = dict[str, dict[str, Any]]


def resolve(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a section as plain values, from those that are given.

    Raises
    ------
    InvalidArgument
        When one is not known, or not what it should be.
    """
    if section in PARTS:
        part = Part.read(section, given)
        if section == "model" and is_own(part.name):
            raise InvalidArgument(
                f"name must be one of {', '.join(kinds('model'))}: a study takes no class of your own"
            )
        if section == "task":
            # What settings must be together, the task says.
            part.make()
        return part.to_dict()
    if section == FIXED:
        return Evaluation.read({"samples": SAMPLES, **given}, "an evaluation").to_dict()
    return Training.read(given, "a training").to_dict()
