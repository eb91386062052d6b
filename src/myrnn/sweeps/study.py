"""A study, read from TOML: the settings to try, and the experiments that follow."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.data.files import without_gz
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment
from myrnn.experiment.experiment import SECTIONS
from myrnn.experiment.parts import SHA256, in_full, is_own, written_out
from myrnn.experiment.sources import SOURCES
from myrnn.models.own import check_settings_of, file_of, load_own
from myrnn.settings import settings_in_file
from myrnn.storage import json_to_bytes
from myrnn.sweeps.choices import Choice, combinations, read_choice

MOST_BYTES = 1_000_000
# The size as JSON, the form in the folder of a sweep.
MOST_STORED = 10_000_000
# A study with more runs is a mistake, and must not fill the memory.
MOST_RUNS = 100_000
# The section that is not varied: its values are taken as they are, even lists.
FIXED = "evaluation"
SAMPLES = 10_000
# The settings that name files other than the training file.
FILE_SETTINGS = ("labels", "test", "test_labels")
# Hexadecimal digits of an id: among a million runs two collide by chance in one of forty million studies.
DIGITS = 16

# The settings that the label of a run shows.
OF_PARTS = ("task.name", "data.file", "model.name", "model.dim_recurrent", f"model.{SHA256}", "optimizer.name")
IN_LABELS = frozenset((*OF_PARTS, "optimizer.learning_rate", "training.seed"))

Sections = Mapping[str, Mapping[str, Choice]]


@dataclass(frozen=True)
class Point:
    """One run of a study.

    Attributes
    ----------
    run : str
        The id: a hash of all settings. It depends neither on the position in the study nor on the other runs.
    variant : str
        Empty in a study without variants.
    experiment : Experiment
        Its files are named as in the study.
    folder : str
        The folder of these files; empty if there are none.

    Examples
    --------
    >>> from myrnn.sweeps import read_study
    >>> study = read_study({"name": "sizes", "model": {"dim_recurrent": [2, 4]}})
    >>> point = study.points[1]
    >>> point.settings["model.dim_recurrent"], point.label
    (4, 'rnn of 4 units on twin-halves, adam at 0.001, seed 0')
    """

    run: str
    variant: str
    experiment: Experiment
    folder: str = ""

    @property
    def located(self) -> Experiment:
        """The experiment with full paths of its files."""
        return self.experiment.with_paths(lambda file: os.path.join(self.folder, file))

    @property
    def settings(self) -> dict[str, Any]:
        """All settings except those of the tests, under dotted names such as ``"model.dim_recurrent"``."""
        sections = self.experiment.to_dict()
        return {
            f"{name}.{setting}": value
            for name in SECTIONS
            if name != FIXED
            for setting, value in sections.get(name, {}).items()
        }

    @property
    def label(self) -> str:
        """A description of the run in one line."""
        settings = self.settings
        name = self.variant or settings["model.name"]
        return (
            f"{name} of {settings.get('model.dim_recurrent', '?')} units on {self.experiment.source.title}, "
            f"{settings['optimizer.name']} at {settings['optimizer.learning_rate']:g}, seed {settings['training.seed']}"
        )


@dataclass(frozen=True)
class Study:
    """A set of settings to try.

    Attributes
    ----------
    name : str
    points : tuple of Point
        Its runs, always in the same order.
    drawn : frozenset of str
        The settings that are drawn at random, as in ``"optimizer.learning_rate"``.
    given : mapping
        The content of the study as plain values.
    classes : mapping of str to str
        The SHA-256 of the files of user-defined classes, by their names in the study.

    Examples
    --------
    >>> from myrnn.sweeps import read_study
    >>> study = read_study({"name": "sizes", "model": {"dim_recurrent": [2, 4]}, "training": {"seed": "0:3"}})
    >>> study.name, len(study.points), study.settings[-1]
    ('sizes', 8, 'training.loss')
    """

    name: str
    points: tuple[Point, ...] = field(repr=False)
    drawn: frozenset[str]
    given: Mapping[str, Any] = field(repr=False)
    classes: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def has_files(self) -> bool:
        """Whether its runs learn from files."""
        return bool(self.points[0].experiment.source.files)

    @property
    def learn(self) -> str | None:
        """What its runs learn from files: labels, tags, numbers, text or series; None for runs on tasks."""
        learn: str | None = getattr(self.points[0].experiment.source.settings, "learn", None)
        return learn

    @cached_property
    def settings(self) -> tuple[str, ...]:
        """The names of all settings of any run, section by section, preceded by ``variant`` if there are variants."""
        sections: dict[str, dict[str, None]] = {}
        for point in self.points:
            for name in point.settings:
                sections.setdefault(name.partition(".")[0], {})[name] = None
        variant = ("variant",) if any(point.variant for point in self.points) else ()
        return (*variant, *(name for names in sections.values() for name in names))

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """The names of the tests of runs on files."""
        tests = (point.experiment.evaluation.test for point in self.points)
        return tuple(dict.fromkeys(name for test in tests for name, _ in test))

    def label(self, point: Point) -> str:
        """Return a description of a run in one line, with all settings that vary within its variant."""
        settings, names = point.settings, self._varied[point.variant]
        values = {name: settings[name] for name in names if name in settings}
        further = (
            f"{name.removesuffix('.name').rpartition('.')[2]} {f'{value:g}' if isinstance(value, float) else value}"
            for name, value in values.items()
        )
        return ", ".join([point.label, *further])

    @cached_property
    def _varied(self) -> dict[str, tuple[str, ...]]:
        """For each variant, the settings with several values that the labels of points do not show."""
        found: dict[str, dict[str, set[str]]] = {}
        for point in self.points:
            values = found.setdefault(point.variant, {})
            for name, value in point.settings.items():
                values.setdefault(name, set()).add(repr(value))
        # The name of a variant stands for that of the model.
        shown = {variant: IN_LABELS - ({"model.name"} if variant else set()) for variant in found}
        return {
            variant: tuple(name for name, several in values.items() if len(several) > 1 and name not in shown[variant])
            for variant, values in found.items()
        }


def identity(experiment: Experiment) -> str:
    """Return the hash of the settings of a run; those of a user-defined class include the hash of its file."""
    text = json.dumps(experiment.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def read_study(source: str | os.PathLike[str] | Mapping[str, Any]) -> Study:
    """Read a study and check all of it. The file of a user-defined class is run, to check its settings."""
    if isinstance(source, Mapping):
        with _located("study"):
            return _study(_plain(source), "study", _Classes(Path()))
    if not isinstance(source, str | os.PathLike):
        raise InvalidArgument(f"study must be a TOML file or a mapping, not {type(source).__name__}")
    path = Path(source)
    given = settings_in_file(path, MOST_BYTES)
    with _located(str(path)):
        return _study(given, path.stem, _Classes(path.parent))


def stored_study(given: Mapping[str, Any], classes: Any) -> Study:
    """Read a study from the folder of a sweep, which may be somebody else's: no code is run."""
    # `classes` are the hashes of the files of its user-defined classes.
    if not isinstance(classes, dict):
        raise InvalidArgument(f"classes must be hashes by name, not {_checks.shown(classes)}")
    with _located("study"):
        return _study(_plain(given), "study", _Classes(Path(), classes))


class _Classes:
    """The user-defined classes of a study, whose files are in a folder; with `hashes` they are known and not loaded."""

    def __init__(self, folder: Path, hashes: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.hashes = dict(hashes or {})
        self._are_known = hashes is not None
        self._loaded: dict[str, Callable[..., Any]] = {}

    def pinned(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings of a model, with the hash of the file of a user-defined class, which is checked."""
        settings = written_out("model", settings)
        name = settings.get("name")
        if not isinstance(name, str) or not is_own(name):
            return settings
        if self._are_known:
            if name not in self.hashes:
                raise InvalidArgument(f"the hash of {name} is missing")
        else:
            if name not in self._loaded:
                self._loaded[name] = load_own(str(self.folder / name))
                file = file_of(self._loaded[name])
                assert file is not None
                self.hashes[name] = file.sha256
            given = {setting: value for setting, value in settings.items() if setting not in ("name", "dim_recurrent")}
            check_settings_of(self._loaded[name], f"model {name}", given)
        return {**settings, SHA256: self.hashes[name]}


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the types of values that a TOML file has."""

    def known(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        if isinstance(value, range):
            return list(value)
        raise InvalidArgument(f"a value must have a type of TOML, not {_checks.shown(value)}")

    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(source), default=known))
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidArgument):
            raise
        raise InvalidArgument(f"must be representable in TOML: {error}") from None
    return plain


def _study(given: Mapping[str, Any], name: str, classes: _Classes) -> Study:
    for table in given:
        _checks.one_of("a table of a study", table, ("name", *SECTIONS, "search", "variants"))
    name = _checked_name(given.get("name", name))
    given = {"name": name, **given}
    search = _table("[search]", given.get("search", {}))
    for setting in search:
        _checks.one_of("a setting of [search]", setting, ("draws", "seed"))
    draws = _checks.integer("[search] draws", search.get("draws", 1), minimum=1)
    seed = _checks.integer("[search] seed", search.get("seed", 0), minimum=0)
    common = {section: _section(section, given) for section in SECTIONS if section in given}
    variants = dict(_variants(given.get("variants"), common))
    if len({"data" in sections for sections in variants.values()}) > 1:
        raise InvalidArgument("some variants have [data], others none: a study is of runs on tasks or on data")
    drawn = frozenset(place for sections in variants.values() for place in _drawn(sections))
    if "draws" in search and not drawn:
        raise InvalidArgument("[search] draws has nothing to draw: no setting is a range { low = ..., high = ... }")
    if "draws" not in search and drawn:
        raise InvalidArgument(f"[search] draws is missing: how often is {min(drawn)} to be drawn?")
    _check_size(variants, draws)
    points = tuple(_points(variants, draws, seed, classes))
    learned = list(dict.fromkeys(getattr(point.experiment.source.settings, "learn", None) for point in points))
    if len(learned) > 1:
        raise InvalidArgument(
            f"some runs learn {learned[0]}, others {learned[1]}: a study compares runs that learn the same"
        )
    if (stored := len(json_to_bytes(given))) > MOST_STORED:
        raise InvalidArgument(f"is too large for a study: {stored:,} bytes as JSON, at most {MOST_STORED:,} are kept")
    return Study(name, points, drawn, given, classes.hashes)


def _checked_name(name: Any) -> str:
    """Return the name of a study, which is also the name of a folder."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument(f"name must be a word, not {_checks.shown(name)}")
    if name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
        raise InvalidArgument(f"name must be one that a folder can have, without / and \\, not {_checks.shown(name)}")
    return name


def _variants(given: Any, common: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Sections]]:
    """Yield the name and the sections of every variant."""
    if given is None:
        yield "", _sections(common, {})
        return
    if not isinstance(given, list | tuple) or not given:
        raise InvalidArgument(f"variants must be tables, each begun with [[variants]], not {_checks.shown(given)}")
    names: set[str] = set()
    for number, item in enumerate(given, start=1):
        own = _table(f"[[variants]] number {number}", item)
        name = own.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgument(f"[[variants]] number {number} needs a name, not {_checks.shown(name)}")
        if name in names:
            raise InvalidArgument(f"[[variants]] number {number} has the name {name!r} of another variant")
        names.add(name)
        with _located(f"variant {name!r}"):
            for section in own:
                _checks.one_of("a table of a variant", section, ("name", *SECTIONS))
            yield name, _sections(common, own)


def _sections(common: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> Sections:
    """Return the sections of a variant in the order in which they are read: a later one may depend on earlier ones."""
    given = {*common, *own}
    if {"task", "data"} <= given:
        raise InvalidArgument("a run has [task] or [data], not both")
    sections = {}
    # The tests come last: their settings depend on the model.
    for section in ("data" if "data" in given else "task", "model", "optimizer", "training", FIXED):
        settings = {**common.get(section, {}), **_section(section, own)}
        sections[section] = {
            name: Choice((value,))
            if section == FIXED
            else read_choice(f"{section}.{name}", f"[{section}] {name}", value)
            for name, value in settings.items()
        }
    return sections


def _drawn(sections: Sections) -> list[str]:
    choices = (choice for section in sections.values() for choice in section.values())
    return [choice.place for choice in choices if choice.place]


def _check_size(variants: Mapping[str, Sections], draws: int) -> None:
    """Refuse more runs than can be done, and more combinations than can be enumerated, before doing either."""
    runs = 0
    for sections in variants.values():
        for name, choices in sections.items():
            if (count := math.prod(len(choice.values) for choice in choices.values())) > MOST_RUNS:
                raise InvalidArgument(f"[{name}] has {count:,} combinations: at most {MOST_RUNS:,} are possible")
        listed = (len(c.values) for choices in sections.values() for c in choices.values() if not c.place)
        runs += math.prod(listed) * (draws if _drawn(sections) else 1)
    if runs > MOST_RUNS:
        raise InvalidArgument(f"these are {runs:,} runs: at most {MOST_RUNS:,} are possible; draw some with [search]")


def _points(variants: Mapping[str, Sections], draws: int, seed: int, classes: _Classes) -> Iterator[Point]:
    """Yield all runs; draws of a variant with the same settings are one run."""
    known: dict[str, str] = {}
    folder = str(classes.folder.absolute())
    for variant, sections in variants.items():
        drawn = _drawn(sections)
        for draw in range(draws if drawn else 1):
            with _located(f"variant {variant!r}" if variant else ""):
                if drawn and not draw:
                    _check_ends(sections, classes)
                experiments = _experiments(sections, seed, draw, classes)
            for experiment in experiments:
                has_files = experiment.files or is_own(experiment.model.name)
                point = Point(identity(experiment), variant, experiment, folder if has_files else "")
                there = known.get(point.run)
                if there is None:
                    known[point.run] = variant
                    yield point
                elif there != variant or not drawn:
                    where = f"the variants {there!r} and {variant!r}" if there != variant else "two values of one list"
                    raise InvalidArgument(f"{where} lead to the same run: {point.label}")


def _experiments(sections: Sections, seed: int, draw: int, classes: _Classes) -> list[Experiment]:
    """Return the experiment of every combination of values in a draw."""
    found = [Experiment()]
    for name, choices in sections.items():
        # A section is read once for all runs that share it.
        values = list(combinations(choices, seed, draw))
        found = [_changed(experiment, name, each, classes) for experiment in found for each in values]
    return found


def _check_ends(sections: Sections, classes: _Classes) -> None:
    """Check the ends of every range, so that errors do not depend on the draws."""
    experiment = Experiment()
    for name, choices in sections.items():
        experiment, *_ = [_changed(experiment, name, ends, classes) for ends in combinations(choices, 0, None)]


def _changed(experiment: Experiment, name: str, values: Mapping[str, Any], classes: _Classes) -> Experiment:
    """Return the experiment with a section read from these values; a source begins a new one. An error names it."""
    with _located(f"[{name}]"):
        if name == "data":
            if "file" not in values:
                raise InvalidArgument("file is missing: it names the training data")
            values = _filled(values, values["file"])
        elif name == FIXED:
            file = experiment.files.get("data")
            values = {"samples": SAMPLES, **values} if file is None else _filled(values, file)
            if not experiment.model.has_stack:
                # Variants share it, and it has no effect on this model.
                values = {setting: value for setting, value in values.items() if setting != "stack_depth"}
        elif name == "model":
            values = classes.pinned(values)
        changed: dict[str, Any] = {name: values}
        return Experiment(**changed) if name in SOURCES else replace(experiment, **changed)


def _filled(values: Mapping[str, Any], file: Any) -> dict[str, Any]:
    """Replace ``{folder}`` and ``{stem}`` in the names of files by parts of a file's path."""
    path = Path(str(file))
    parts = {"{folder}": str(path.parent), "{stem}": without_gz(path).stem}

    def filled(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        if isinstance(value, str):
            for mark, part in parts.items():
                value = value.replace(mark, part)
        return value

    return {name: filled(value) if name in FILE_SETTINGS else value for name, value in values.items()}


def _section(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of a section of a study or a variant, which may be one line."""
    return _table(f"[{name}]", in_full(name, given.get(name, {})))


def _table(shown: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{shown} must be a table, not {_checks.shown(value)}")
    return value


@contextmanager
def _located(place: str) -> Iterator[None]:
    """Prefix errors in the block with their place in the study."""
    try:
        yield
    except InvalidArgument as error:
        message = str(error)
        if not place:
            raise
        joint = " " if place.startswith("[") or message.startswith(("cannot", "is ")) else ": "
        raise InvalidArgument(f"{place}{joint}{message}") from None
