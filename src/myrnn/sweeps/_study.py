"""A study: which settings to try, read from TOML."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.storage import json_to_bytes
from myrnn.sweeps._choices import Choice, Drawn, Listed, read_choice
from myrnn.sweeps._settings import FIXED, SECTIONS, resolve

MOST_BYTES = 1_000_000
# As JSON, as which the folder of a sweep keeps it.
MOST_STORED = 10_000_000
# So many runs are more than can be waited for: a study that has more is a slip, and is not to fill the memory.
MOST_RUNS = 1_000_000
MOST_DRAWS = MOST_RUNS
_TOP = ("name", *SECTIONS, "search", "variants")


@dataclass(frozen=True)
class Variant:
    """Settings that belong together.

    Attributes
    ----------
    name : str
        Empty in a study without variants.
    sections : mapping of str to mapping of str to Choice
        By section and setting.
    """

    name: str
    sections: Mapping[str, Mapping[str, Choice]]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What the settings of all sections may be."""
        return tuple(choice for section in self.sections.values() for choice in section.values())

    @property
    def drawn(self) -> tuple[str, ...]:
        """The settings that are drawn at random, as in ``"optimizer.learning_rate"``."""
        return tuple(choice.place for choice in self.choices if isinstance(choice, Drawn))


@dataclass(frozen=True)
class Study:
    """Which settings to try.

    Attributes
    ----------
    name : str
    variants : tuple of Variant
        At least one.
    draws : int
        How often the ranges are drawn from; each draw is tried with all combinations of the lists.
    seed : int
        Seeds the draws.
    given : mapping
        What was read, as plain values.
    """

    name: str
    variants: tuple[Variant, ...]
    draws: int = 1
    seed: int = 0
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def drawn(self) -> frozenset[str]:
        """The settings that any variant draws at random."""
        return frozenset(place for variant in self.variants for place in variant.drawn)


def read_study(source: str | os.PathLike[str] | Mapping[str, Any]) -> Study:
    """Read a study and check all of it.

    Parameters
    ----------
    source : path or mapping
        A TOML file, or what such a file says, as a mapping. ``docs/sweeps.md`` describes it.

    Raises
    ------
    InvalidArgument
        When the file cannot be read or is no TOML, or anything in it is not known or not right: in one line, with the
        file, the table and the setting.
    """
    if isinstance(source, Mapping):
        with _located("study"):
            return _study(_plain(source), "study")
    if not isinstance(source, str | os.PathLike):
        raise InvalidArgument(f"study must be a TOML file or a mapping, not {type(source).__name__}")
    path = Path(source)
    with _located(str(path)):
        return _study(_parsed(path), path.stem)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidArgument(f"cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise InvalidArgument(f"is too large for a study: at most {MOST_BYTES:,} bytes are read")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"is not text in UTF-8: byte {error.start} is {content[error.start]:#04x}") from None
    except (ValueError, RecursionError) as error:  # also a number of more digits than Python reads
        raise InvalidArgument(f"is not valid TOML: {error}") from None


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mapping says in the values that a TOML file has."""

    def known(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        if isinstance(value, range):
            return list(value)
        raise InvalidArgument(f"a value must be one that TOML has, not {_checks.shown(value)}")

    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(source), default=known))
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidArgument):
            raise
        raise InvalidArgument(f"must hold what a TOML file could: {error}") from None
    return plain


def _study(given: Mapping[str, Any], name: str) -> Study:
    for top in given:
        _checks.one_of("a table of a study", top, _TOP)
    name = _checked_name(given.get("name", name))
    search = _table("[search]", given.get("search", {}))
    for setting in search:
        _checks.one_of("a setting of [search]", setting, ("draws", "seed"))
    common = {section: _table(f"[{section}]", given.get(section, {})) for section in SECTIONS}
    variants = tuple(_variants(given.get("variants"), common))
    study = Study(
        name,
        variants,
        _checks.integer("[search] draws", search.get("draws", 1), minimum=1, maximum=MOST_DRAWS),
        _checks.integer("[search] seed", search.get("seed", 0), minimum=0),
        {"name": name, **given},
    )
    if "draws" in search and not study.drawn:
        raise InvalidArgument("[search] draws has nothing to draw: no setting is a range { low = ..., high = ... }")
    if "draws" not in search and study.drawn:
        raise InvalidArgument(f"[search] draws is missing: how often is {min(study.drawn)} to be drawn?")
    _check_size(study)
    for variant in variants:
        _check(variant)
    if (stored := len(json_to_bytes(study.given))) > MOST_STORED:
        raise InvalidArgument(f"is too large for a study: {stored:,} bytes as JSON, at most {MOST_STORED:,} are kept")
    return study


def _variants(given: Any, common: Mapping[str, Mapping[str, Any]]) -> Iterator[Variant]:
    if given is None:
        yield Variant("", {section: _choices(section, common[section], "") for section in SECTIONS})
        return
    if not isinstance(given, list | tuple) or not given:
        raise InvalidArgument(f"variants must be tables, each begun with [[variants]], not {_checks.shown(given)}")
    names: list[str] = []
    for number, item in enumerate(given, start=1):
        own = _table(f"[[variants]] number {number}", item)
        name = own.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgument(f"[[variants]] number {number} needs a name, not {_checks.shown(name)}")
        if name in names:
            raise InvalidArgument(f"[[variants]] number {number} is called {name!r} as another one")
        names.append(name)
        with _located(f"variant {name!r}"):
            yield _variant(name, own, common)


def _variant(name: str, own: Mapping[str, Any], common: Mapping[str, Mapping[str, Any]]) -> Variant:
    sections = {}
    for section in own:
        _checks.one_of("a table of a variant", section, ("name", *(s for s in SECTIONS if s != FIXED)))
    for section in SECTIONS:
        changed = _table(f"[{section}]", own.get(section, {}))
        sections[section] = _choices(section, {**common[section], **changed}, name)
    return Variant(name, sections)


def _choices(section: str, settings: Mapping[str, Any], variant: str) -> dict[str, Choice]:
    if section == FIXED:
        return {name: Listed((value,)) for name, value in settings.items()}
    return {name: read_choice(f"{section}.{name}", f"[{section}] {name}", value) for name, value in settings.items()}


def _checked_name(name: Any) -> str:
    """Return the name of a study, which is that of a folder, too."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument(f"name must be a word, not {_checks.shown(name)}")
    if name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
        raise InvalidArgument(f"name must be one that a folder can have, without / and \\, not {_checks.shown(name)}")
    return name


def _check_size(study: Study) -> None:
    """Refuse more runs than can be done, and more choices than can be looked at, before either is tried."""
    runs = 0
    for variant in study.variants:
        listed = [len(choice.values) for choice in variant.choices if isinstance(choice, Listed)]
        runs += math.prod(listed) * (study.draws if variant.drawn else 1)
        for section, choices in variant.sections.items():
            if (count := math.prod(len(choice.ends()) for choice in choices.values())) > MOST_RUNS:
                raise InvalidArgument(f"[{section}] has {count:,} combinations: at most {MOST_RUNS:,} are possible")
    if runs > MOST_RUNS:
        raise InvalidArgument(f"these are {runs:,} runs: at most {MOST_RUNS:,} are possible; draw some with [search]")


def _check(variant: Variant) -> None:
    """Make every section once with all that stands in it: what is wrong is told before anything runs."""
    with _located(f"variant {variant.name!r}" if variant.name else ""):
        for section, choices in variant.sections.items():
            for values in product(*(choice.ends() for choice in choices.values())):
                with _located(f"[{section}]"):
                    resolve(section, dict(zip(choices, values, strict=True)))


def _table(shown: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{shown} must be a table, not {_checks.shown(value)}")
    return value


@contextmanager
def _located(place: str) -> Iterator[None]:
    """Say in the errors of the block where they are."""
    try:
        yield
    except InvalidArgument as error:
        message = str(error)
        if not place:
            raise
        joint = " " if place.startswith("[") or message.startswith(("cannot", "is ")) else ": "
        raise InvalidArgument(f"{place}{joint}{message}") from None
