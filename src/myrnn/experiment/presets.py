"""Experiments by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myrnn import _checks


@dataclass(frozen=True)
class Preset:
    """Settings that belong together; all others keep their defaults."""

    name: str
    summary: str
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("lesson", "the lesson's own network and training, which are the defaults"),
        # docs/explanation/study-halves.md says how it was found and what else was tried.
        Preset(
            "best",
            "the best training found for the lesson's network",
            {
                "task": {"name": "twin-halves", "pattern_length_min": 1, "pattern_length_max": 10},
                "model": {"name": "rnn", "recurrent_init": "identity", "dim_recurrent": 50},
                "optimizer": {"name": "adam", "learning_rate": 0.002},
                "training": {"iterations": 62_500, "batch_size": 128, "schedule": "cosine"},
            },
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Return the preset called `name`, or raise an error that lists all."""
    return PRESETS[_checks.one_of("--preset", name, tuple(PRESETS))]
