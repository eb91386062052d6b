"""The runs of a study, each with an identity that is that of its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from myrnn.errors import InvalidArgument
from myrnn.sweeps._choices import combinations
from myrnn.sweeps._settings import FIXED, SECTIONS, Settings, resolve
from myrnn.sweeps._study import Study, Variant

# Hexadecimal digits of an identity: of a million runs two are the same by chance in one of forty million studies.
DIGITS = 16


@dataclass(frozen=True)
class Point:
    """One run that is to be done.

    Attributes
    ----------
    run : str
        The identity: the hash of all settings. It depends neither on the place in the study nor on the other runs.
    variant : str
    settings : dict
        By section, all of them, as plain values.
    """

    run: str
    variant: str
    settings: Settings

    @property
    def told(self) -> str:
        """Which run it is, in a line."""
        task, model, optimizer, training = (self.settings[s] for s in ("task", "model", "optimizer", "training"))
        name = self.variant or model["name"]
        return (
            f"{name} of {model.get('dim_recurrent', '?')} units on {task['name']}, "
            f"{optimizer['name']} at {optimizer['learning_rate']:g}, seed {training['seed']}"
        )


def points(study: Study) -> Iterator[Point]:
    """Yield the runs of a study, always in the same order; draws that lead to the same settings are one run."""
    for variant in study.variants:
        known: set[str] = set()
        for draw in range(study.draws if variant.drawn else 1):
            # The section that is the same for all runs first, those of which there are many last.
            for settings in _nested(study, variant, draw, (FIXED, *(s for s in SECTIONS if s != FIXED))):
                point = Point(identity(settings), variant.name, settings)
                if variant.drawn:
                    if point.run in known:
                        continue
                    known.add(point.run)
                yield point


def count_points(study: Study) -> int:
    """Return how many runs a study has.

    Raises
    ------
    InvalidArgument
        When it leads to the same run twice: in two variants, or by two values that are the same number.
    """
    seen: dict[str, str] = {}
    for point in points(study):
        if point.run in seen:
            here, there = point.variant, seen[point.run]
            where = f"the variants {there!r} and {here!r}" if here != there else "two values of one list"
            raise InvalidArgument(f"{where} lead to the same run: {point.told}")
        seen[point.run] = point.variant
    return len(seen)


def identity(settings: Settings) -> str:
    """Return the hash of the settings of a run."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def _nested(study: Study, variant: Variant, draw: int, sections: Sequence[str]) -> Iterator[Settings]:
    if not sections:
        yield {}
        return
    section, *inner = sections
    for values in combinations(variant.sections[section], study.seed, draw):
        resolved = resolve(section, values)
        for others in _nested(study, variant, draw, inner):
            yield {section: resolved, **others}
