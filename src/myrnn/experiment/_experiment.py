"""An experiment: all that it takes to train a model and to test it, as one value."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment._sections import Evaluation, Training
from myrnn.models import Units, load_own, make_own
from myrnn.registry import Kind, find, kinds
from myrnn.settings import Section


class OwnModel(Section, frozen=True, kw_only=True):
    """The settings of a model of a class of your own."""

    dim_recurrent: Units = 50


@dataclass(frozen=True)
class Part:
    """A task, model or optimizer: its kind and its settings.

    Attributes
    ----------
    part : {"task", "model", "optimizer"}
    name : str
        The name of the kind; of a model also ``file.py:Class``.
    settings : Section
    """

    part: str
    name: str
    settings: Section

    @classmethod
    def read(cls, part: str, given: Any) -> Self:
        """Return the part with these settings: its name alone, a mapping, or an object of a registered kind."""
        if isinstance(given, cls):
            if given.part != part:
                raise InvalidArgument(f"the {part} must be one, not the {given.part} {given.name!r}")
            return given
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, Mapping):
            return cls.of(part, given)
        settings = dict(given)
        name = settings.pop("name", PARTS[part])
        section = section_of(part, name)
        for setting in settings:
            if part == "model" and setting in ("dim_input", "dim_output"):
                raise InvalidArgument(f"{setting} is for the task to say: leave it out")
            _checks.check_setting(f"{part} {name}", setting, ("name", *setting_names(part, name)))
        return cls(part, name, section.read(settings, f"{part} {name}"))

    @classmethod
    def of(cls, part: str, thing: Any) -> Self:
        """Return the kind and the settings of an object."""
        for kind in kinds(part).values():
            if type(thing) is kind.make:
                settings = {name: getattr(thing, name) for name in kind.section.__struct_fields__}
                return cls(part, kind.name, kind.section(**settings))
        known = ", ".join(kind.make.__name__ for kind in kinds(part).values())
        raise InvalidArgument(f"the {part} must be of the kinds {known}, not {type(thing).__name__}")

    @property
    def kind(self) -> Kind:
        """What is registered under its name."""
        return find(self.part, self.name)

    def make(self, **further: Any) -> Any:
        """Return a new object with these settings."""
        return self.kind.make(**self.settings.to_dict(), **further)

    def to_dict(self) -> dict[str, Any]:
        """Return the name and all settings as plain values."""
        return {"name": self.name, **self.settings.to_dict()}


# Longer sequences are not drawn to see whether the task has such lengths.
LONGEST_TRIED = 10_000
PARTS = {"task": "twin-halves", "model": "rnn", "optimizer": "adam"}


def section_of(part: str, name: str) -> type[Section]:
    """Return the settings of a kind of task, model or optimizer."""
    if not isinstance(name, str):
        raise InvalidArgument(f"name must be a word, not {_checks.shown(name)}")
    return OwnModel if part == "model" and is_own(name) else find(part, name).section


def setting_names(part: str, name: str) -> tuple[str, ...]:
    """Return the names of the settings of a kind."""
    return section_of(part, name).__struct_fields__


def is_own(name: str) -> bool:
    """Whether a model is named by a file and a class in it."""
    return ":" in name or name.endswith(".py")


def weight_generator(seed: int) -> np.random.Generator:
    """Return the generator of the first weights: another stream than the one that draws the sequences."""
    return np.random.default_rng((seed, 1))


@dataclass(frozen=True)
class Experiment:
    """All that it takes to train a model and to test it.

    Each section may be given as a mapping, and a task, model or optimizer by its name alone, too.

    Attributes
    ----------
    task, model, optimizer : Part
    training : Training
    evaluation : Evaluation

    Raises
    ------
    InvalidArgument
        When a setting is unknown, or not what it should be.

    Examples
    --------
    >>> experiment = Experiment(model={"name": "gru", "dim_recurrent": 16}, training={"iterations": 1000})
    >>> experiment.model.to_dict(), experiment.training.seed
    ({'name': 'gru', 'dim_recurrent': 16}, 0)
    """

    task: Any = "twin-halves"
    model: Any = "rnn"
    optimizer: Any = "adam"
    training: Any = None
    evaluation: Any = None

    def __post_init__(self) -> None:
        """Read sections that are given as mappings or names."""
        for part in PARTS:
            object.__setattr__(self, part, Part.read(part, getattr(self, part)))
        for name, kind in (("training", Training), ("evaluation", Evaluation)):
            given = getattr(self, name)
            if not isinstance(given, kind):
                object.__setattr__(self, name, kind.read(_mapping(name, given), name))
        # The task checks settings that depend on each other, and the lengths that it is tested on.
        task, lengths = self.task.make(), self.evaluation.lengths
        if lengths is not None and callable(getattr(task, "sample_lengths", None)):
            task.sample_lengths([n for n in lengths if n <= LONGEST_TRIED], np.random.default_rng(0))

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Return the experiment with these sections, as `to_dict` gives them; what is missing has its defaults."""
        for name in _mapping("an experiment", given):
            _checks.one_of("a section of an experiment", name, SECTIONS)
        return cls(**given)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read an experiment from a file: TOML with a table for each section, or JSON as `to_json` writes it."""
        sections = _sections_of(path)
        try:
            return cls.read(sections)
        except InvalidArgument as error:
            raise InvalidArgument(f"{path}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values, by section."""
        return {name: getattr(self, name).to_dict() for name in SECTIONS}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all settings as JSON."""
        try:
            Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror or error}") from error

    def __reduce__(self) -> Any:
        """Return how to make it again: sections of registered kinds are classes without a name of their own."""
        return Experiment.read, (self.to_dict(),)

    def with_training(self, **changed: Any) -> Experiment:
        """Return the experiment with some settings of its training changed."""
        return replace(self, training={**self.training.to_dict(), **changed})

    def make(self) -> tuple[Any, Any, Any]:
        """Return the task, the model with its first weights, and its optimizer."""
        task, rng = self.task.make(), weight_generator(self.training.seed)
        if is_own(self.model.name):
            sizes = task.dim_input, self.model.settings.dim_recurrent, task.dim_output
            model = make_own(load_own(self.model.name).make, sizes, rng)
        else:
            model = self.model.make(dim_input=task.dim_input, dim_output=task.dim_output, rng=rng)
        return task, model, self.optimizer.make(params=model.parameters)


SECTIONS = ("task", "model", "optimizer", "training", "evaluation")


def _sections_of(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return what a TOML or JSON file says, section by section, unchecked."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from error
    except (OSError, TypeError, ValueError) as error:
        raise InvalidArgument(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    is_json = Path(path).suffix.lower() == ".json" or text.lstrip().startswith("{")
    try:
        found = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{path} is not {'JSON' if is_json else 'TOML'}: {error}") from error
    sections = {}
    for name, section in _mapping(str(path), found).items():
        named = {"name": section} if name in PARTS and isinstance(section, str) else section
        sections[name] = dict(_mapping(f"[{name}] in {path}", named))
    return sections


def merged(begin: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return sections with some settings changed; another kind of task, model or optimizer begins at its defaults."""
    sections = {**begin}
    for name, settings in changed.items():
        before = begin.get(name, {})
        if name in PARTS and settings.get("name", _name(name, before)) != _name(name, before):
            before = {}
        sections[name] = {**before, **settings}
    return sections


def _name(part: str, settings: Mapping[str, Any]) -> Any:
    return settings.get("name", PARTS[part])


def _mapping(name: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"{name} must have settings by name, not {_checks.shown(given)}")
    return given
