"""Presets: whole sets of settings of a run, each under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from myrnn import _checks

# What a run is made of, beside its training.
PARTS = ("task", "model", "optimizer")

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """Settings that go together; what they leave out stays at its default.

    Attributes
    ----------
    name : str
    told : str
        In a few words, what it is.
    task, model, optimizer : mapping
        The kind by its ``name``, and its settings, as `runs.make_model` and its like take them.
    training : mapping
        Arguments of `train`.
    """

    name: str
    told: str
    task: Settings = field(default_factory=dict)
    model: Settings = field(default_factory=dict)
    optimizer: Settings = field(default_factory=dict)
    training: Settings = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The settings by the names of the options of ``myrnn train``."""
        options = dict(self.training)
        for part in PARTS:
            options |= self._part(part)
        return options

    def beside(self, given: Settings) -> dict[str, Any]:
        """Return the options of the preset that are left beside those `given`.

        With another kind of task, model or optimizer go all settings of the preset's own kind.
        """
        left = self.options
        for part in PARTS:
            own = self._part(part)
            if given.get(part, own.get(part)) != own.get(part):
                left = {name: value for name, value in left.items() if name not in own}
        return {name: value for name, value in left.items() if name not in given}

    def described(self, given: Settings) -> str:
        """Say in a line what the preset is, and which options are given in the place of its own."""
        others = [f"--{name.replace('_', '-')} {given[name]}" for name in self.options if name in given]
        return f"{self.name}: {self.told}" + (f"; but with {' '.join(others)}" if others else "")

    def _part(self, part: str) -> dict[str, Any]:
        return {part if name == "name" else name: value for name, value in getattr(self, part).items()}


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("lesson", "the lesson's own network and training, which are the defaults"),
        # How it was found, and what else was tried: docs/study-halves.md.
        Preset(
            "best",
            "the best training found for the lesson's network",
            task=MappingProxyType({"name": "twin-halves", "pattern_length_min": 1, "pattern_length_max": 10}),
            model=MappingProxyType({"name": "rnn", "recurrent_init": "identity", "dim_recurrent": 50}),
            optimizer=MappingProxyType({"name": "adam", "learning_rate": 0.002}),
            training=MappingProxyType({"iterations": 62_500, "batch_size": 128, "schedule": "cosine"}),
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Return the preset called `name`, or say which there are."""
    return PRESETS[_checks.one_of("--preset", name, tuple(PRESETS))]
