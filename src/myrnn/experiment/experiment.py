"""An experiment: everything needed to train and test a model, as one value."""

from __future__ import annotations

import json
import keyword
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Self, cast

import msgspec
import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment.sections import Data, EpochTraining, Evaluation, FileEvaluation
from myrnn.models import Units, check_settings_of, load_own, make_own, named_before, not_named, sizes_for
from myrnn.registry import Kind, find, kind_of, kinds, read_name
from myrnn.results import Table
from myrnn.sequences import Sequences
from myrnn.settings import REQUIRED, Section, read_settings, settings_of
from myrnn.tasks import recognition_of
from myrnn.training import TrainingSettings as Training

# The name of a user-defined model whose file is not known.
OWN = "own"
# The file and the class of another one, before any settings.
OWN_NAME = re.compile(r".*\.py(?::[^:]*)?(?=:|$)")
# The key for the hash of its file, which an experiment from a folder has.
SHA256 = "sha256"


@cache
def own_section(names: tuple[str, ...]) -> type[Section]:
    """Return the section of a user-defined model with these settings, of any type: only its class knows them."""
    fields = [("dim_recurrent", Units, 50), *((name, Any, REQUIRED) for name in names)]
    made: Any = msgspec.defstruct(OWN, fields, bases=(Section,), frozen=True, kw_only=True)
    return cast(type[Section], made)


def _own_settings(given: Mapping[str, Any]) -> Section:
    """Return the settings of a user-defined model; their names are checked when its class is loaded."""
    settings = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
    for name, value in settings.items():
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidArgument(f"a setting of a model must have a name, not {_checks.shown(name)}")
        if not isinstance(value, bool | int | float | str | None):
            raise InvalidArgument(f"{name} must be a number, a truth value or text, not {_checks.shown(value)}")
    return own_section(tuple(sorted(settings.keys() - {"dim_recurrent"})))(**settings)


@dataclass(frozen=True)
class Part:
    """A task, model or optimizer: its kind and its settings.

    Attributes
    ----------
    part : {"task", "model", "optimizer"}
    name : str
        The name of the kind; for a model also ``file.py:Class``.
    settings : Section
    sha256 : str, optional
        The hash of the file of a user-defined class. With it, only a class is loaded that the user has named before, by
        this hash: an experiment that was read from a folder has it.

    Examples
    --------
    >>> part = Part.read("task", {"name": "twin-halves", "pattern_length_max": 4})
    >>> part.name, part.settings.alphabet_size
    ('twin-halves', 10)
    >>> part.make()
    TwinHalves(pattern_length_min=1, pattern_length_max=4, alphabet_size=10, negatives='uniform', max_changes=3)
    """

    part: str
    name: str
    settings: Section
    sha256: str | None = None

    @classmethod
    def read(cls, part: str, given: Any, defaults: Mapping[str, Any] | None = None) -> Self:
        """Return the part with these settings, given as a name, a mapping, or an object of a registered kind.

        `defaults` apply to settings that are not given, for kinds that have them.
        """
        if isinstance(given, cls):
            if given.part != part:
                raise InvalidArgument(f"the {part} must be one, not the {given.part} {given.name!r}")
            return given
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, Mapping):
            return cls.of(part, given)
        settings = written_out(part, given)
        name = settings.pop("name", PARTS[part])
        if part == "model" and isinstance(name, str) and is_own(name):
            sha256 = _checked_hash(settings.pop(SHA256)) if SHA256 in settings else None
            _refuse_sizes(settings)
            return cls(part, name, _own_settings(settings), sha256)
        section = section_of(part, name)
        if part == "model":
            _refuse_sizes(settings)
        for setting in settings:
            _checks.check_setting(f"{part} {name}", setting, ("name", *section.__struct_fields__))
        known = {name: value for name, value in (defaults or {}).items() if name in section.__struct_fields__}
        return cls(part, name, section.read({**known, **settings}, f"{part} {name}"))

    @classmethod
    def of(cls, part: str, thing: Any) -> Self:
        """Return the kind and the settings of an object."""
        if (kind := kind_of(part, thing)) is not None:
            return cls(part, kind.name, kind.settings_of(thing))
        known = ", ".join(kind.make.__name__ for kind in kinds(part).values())
        raise InvalidArgument(f"the {part} must be of the kinds {known}, not {type(thing).__name__}")

    @property
    def kind(self) -> Kind:
        """The kind that is registered under its name."""
        return find(self.part, self.name)

    def make(self, **further: Any) -> Any:
        """Return a new object with these settings; `further` adds or replaces some."""
        return self.kind.new(**{**self.settings.to_dict(whole=True), **further})

    def own_class(self) -> Callable[..., Any]:
        """Return the class of a user-defined model, after checking that it has these settings.

        Raises
        ------
        InvalidArgument
            When there is no such class, it has no such settings, or the user has not named it.
        """
        found = load_own(self.name) if self.sha256 is None else named_before(self.name, self.sha256)
        if found is None:
            raise InvalidArgument(f"{not_named(self.name)}: name the class with its file")
        check_settings_of(found.make, f"model {self.name}", self.own_settings)
        return found.make

    @property
    def own_settings(self) -> dict[str, Any]:
        """The arguments of a user-defined class besides its sizes."""
        return {name: value for name, value in self.settings.to_dict(True).items() if name != "dim_recurrent"}

    def make_own(self, make: Callable[..., Any], dim_input: int, dim_output: int, rng: np.random.Generator) -> Any:
        """Return a new model of a user-defined class with these settings."""
        units = getattr(self.settings, "dim_recurrent", 1)
        return make_own(make, (dim_input, units, dim_output), rng, self.own_settings)

    def to_dict(self, whole: bool = False) -> dict[str, Any]:
        """Return the name and all settings as plain values, as `Section.to_dict` does."""
        pinned = {} if self.sha256 is None else {SHA256: self.sha256}
        return {"name": self.name, **pinned, **self.settings.to_dict(whole)}


def _checked_hash(given: Any) -> str:
    # A folder must not be able to leave it out: without it, whatever is in the file would be loaded.
    if not (isinstance(given, str) and re.fullmatch("[0-9a-f]{64}", given)):
        raise InvalidArgument(f"{SHA256} must be a SHA-256, not {_checks.shown(given)}")
    return given


def _refuse_sizes(settings: Mapping[str, Any]) -> None:
    for setting in ("dim_input", "dim_output"):
        if setting in settings:
            raise InvalidArgument(f"{setting} follows from the task: leave it out")


# Omit lengths that no sequence can have without drawing any to find out.
LONGEST_TRIED = 10_000
PARTS = {"task": "twin-halves", "model": "rnn", "optimizer": "adam"}


def section_of(part: str, name: str) -> type[Section]:
    """Return the settings of a kind of task, model or optimizer."""
    if not isinstance(name, str):
        raise InvalidArgument(f"name must be a word, not {_checks.shown(name)}")
    return find(part, name).section


def written_out(part: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a part with those that its name holds, as in ``dyck:kinds=2`` or ``my.py:Cell:leak=0.1``.

    Raises
    ------
    InvalidArgument
        When a setting in the name is also given, or is invalid.
    """
    found = dict(settings)
    text = found.get("name")
    if part not in PARTS or not isinstance(text, str) or ":" not in text:
        return found
    if part == "model" and (own := OWN_NAME.match(text)) is not None:
        name, rest = own[0], text[own.end() + 1 :]
        given = read_settings(own_section(()), rest, f"model {name}", others=True) if rest else {}
    else:
        name, given = read_name(part, text)
    for setting in given.keys() & found.keys():
        raise InvalidArgument(f"{part} {text} says {setting} already: leave one of them out")
    return {**found, "name": name, **given}


def is_own(name: str) -> bool:
    """Return whether the name of a model is that of a user-defined class, usually a file and a class in it."""
    return name == OWN or OWN_NAME.match(name) is not None


def weight_generator(seed: int) -> np.random.Generator:
    """Return the generator of the initial weights: a different stream from that of the sequences."""
    return np.random.default_rng((seed, 1))


@dataclass(frozen=True, eq=False)
class Memory:
    """Sequences and labels in memory, as `SequenceClassifier.fit` takes them. It is equal only to itself.

    Attributes
    ----------
    X, y : object

    Examples
    --------
    >>> from myrnn import Experiment
    >>> experiment = Experiment(data=(["ab", "ba"], ["yes", "no"]))
    >>> experiment.memory.X, experiment.memory.y
    (['ab', 'ba'], ['yes', 'no'])
    """

    X: Any
    y: Any


@dataclass(frozen=True, repr=False)
class Experiment:
    """Everything needed to train and test a model.

    Each section may be a mapping, and a task, model or optimizer may also be just a name. An experiment has either a
    task or data.

    Attributes
    ----------
    task : Part or None
        The source of the sequences.
    model, optimizer : Part
    training : TrainingSettings or EpochTraining
    evaluation : Evaluation or FileEvaluation
        The latter of each pair is for data.
    data : Data or None
        Files of sequences, or data in memory: a pair of sequences and labels, as `SequenceClassifier.fit` takes them,
        or a `Sequences`.
    memory : Memory or None
        Sequences and labels, if the data are in memory.

    Raises
    ------
    InvalidArgument
        When a setting is unknown or invalid.

    Examples
    --------
    >>> experiment = Experiment(model={"name": "gru", "dim_recurrent": 16}, training={"iterations": 1000})
    >>> experiment.model.to_dict(), experiment.training.seed
    ({'name': 'gru', 'dim_recurrent': 16}, 0)
    >>> experiment = Experiment(data={"file": "train.csv"}, evaluation={"test": "test.csv"})
    >>> experiment
    Experiment(rnn on train.csv, adam, up to 100 epochs)
    >>> dict(experiment.evaluation.test)
    {'test': 'test.csv'}
    """

    task: Any = None
    model: Any = "rnn"
    optimizer: Any = "adam"
    training: Any = None
    evaluation: Any = None
    data: Any = None
    memory: Memory | None = None

    def __post_init__(self) -> None:
        """Convert sections that are given as mappings or names."""
        if self.data is not None and self.task is not None:
            raise InvalidArgument("an experiment has a task or data, not both")
        on_data = self.data is not None
        if on_data:
            self._keep("data", self._read_data())
        else:
            self._keep("task", Part.read("task", PARTS["task"] if self.task is None else self.task))
        if not on_data or self.data.file is not None:
            # It may be a leftover of the experiment that this one was made from.
            self._keep("memory", None)
        for part in ("model", "optimizer"):
            self._keep(part, Part.read(part, getattr(self, part), DATA_DEFAULTS[part] if on_data else None))
        training: Any = EpochTraining if on_data else Training
        evaluation: Any = FileEvaluation if on_data else Evaluation
        for name, kind in (("training", training), ("evaluation", evaluation)):
            given = getattr(self, name)
            if not isinstance(given, kind):
                if isinstance(given, Section):
                    raise InvalidArgument(f"{name} must be {kind.__name__} here, not {type(given).__name__}")
                self._keep(name, kind.read(_mapping(name, given), name))
        if on_data:
            labels = dict(self.evaluation.test_labels)
            for name, file in self.evaluation.test:
                self.data.check_has_labels(file, labels.get(name), "test_labels")
        else:
            _check_task(self.task, self.evaluation.lengths)
            if not hasattr(self.model.settings, "stack_depth"):
                # It has no effect on this model, so experiments with and without it are the same.
                self._keep("evaluation", msgspec.structs.replace(self.evaluation, stack_depth=None))

    def __repr__(self) -> str:
        """Name the source of the sequences, the model and the optimizer, and return the length of the training."""
        if self.data is None:
            source, length = self.task.name, _checks.count_of(self.training.iterations, "iteration")
        else:
            source = "data in memory" if self.data.file is None else self.data.file
            length = f"up to {_checks.count_of(self.training.max_epochs, 'epoch')}"
        return f"Experiment({self.model.name} on {source}, {self.optimizer.name}, {length})"

    def _repr_html_(self) -> str:
        sections = self.to_dict(whole=True)
        settings = {f"{section}.{name}": value for section in sections for name, value in sections[section].items()}
        columns = {"setting": list(settings), "value": list(settings.values())}
        return Table("Experiment", columns)._repr_html_()

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _read_data(self) -> Data:
        given = self.data
        if isinstance(given, Data):
            return given
        if isinstance(given, str | os.PathLike):
            given = {"file": os.fspath(given)}
        if isinstance(given, Mapping):
            return Data.read(given, "data")
        if isinstance(given, Sequences):
            given = given, given.labels
        if not (isinstance(given, tuple) and len(given) == 2):
            raise InvalidArgument(
                f"data must be a file, settings by name, a pair (X, y) or a Sequences, not {_checks.shown(given)}"
            )
        self._keep("memory", Memory(*given))
        return Data()

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Return the experiment with these sections, as `to_dict` returns them; the rest has its defaults."""
        for name in _mapping("an experiment", given):
            _checks.one_of("a section of an experiment", name, SECTIONS)
        return cls(**given)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Experiment:
        """Read an experiment from a file: TOML with a table for each section, or JSON as `to_json` writes it.

        Relative paths in it start at its folder.
        """
        sections = _sections_of(path)
        try:
            found = cls.read(sections)
            if found.data is not None and found.data.file is None:
                raise InvalidArgument("data needs 'file'")
        except InvalidArgument as error:
            raise InvalidArgument(f"{path}: {error}") from None
        return found.with_paths(lambda file: os.path.join(os.path.dirname(path), file))

    from_toml = from_json = from_file

    def to_dict(self, whole: bool = False) -> dict[str, Any]:
        """Return all settings as plain values, by section; of a task `whole` as `Section.to_dict` takes it."""
        whole = whole or self.data is not None
        sections = {name: getattr(self, name) for name in SECTIONS}
        return {name: section.to_dict(whole) for name, section in sections.items() if section is not None}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all settings as JSON; paths become relative to its folder."""
        self._write(path, lambda sections: json.dumps(sections, indent=2) + "\n")

    def to_toml(self, path: str | os.PathLike[str]) -> None:
        """Write all settings as TOML, without those that are None; paths as in `to_json`.

        Raises
        ------
        InvalidArgument
            When a setting is None but its default is not: TOML has no null, but JSON does.
        """
        for section in filter(None, (getattr(self, name) for name in SECTIONS)):
            settings = section.settings if isinstance(section, Part) else section
            kind: Any = type(settings)
            for setting in settings_of(kind):
                if getattr(settings, setting.name) is None and setting.default is not None:
                    raise InvalidArgument(f"TOML cannot say that {setting.name} is None: write JSON, with to_json")
        self._write(path, _toml)

    def _write(self, path: str | os.PathLike[str], write: Callable[[dict[str, Any]], str]) -> None:
        if self.memory is not None:
            raise InvalidArgument(f"{path} cannot hold sequences that are in memory: write them to a file of their own")
        folder = os.path.dirname(os.path.abspath(path))
        seen = self.with_paths(lambda file: os.path.relpath(file, folder))
        try:
            Path(path).write_text(write(seen.to_dict()), encoding="utf-8")
        except UnicodeEncodeError as error:
            raise InvalidArgument(
                f"{path} cannot hold half of a surrogate pair: {_checks.shown(error.object)}"
            ) from None
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror or error}") from error

    def __reduce__(self) -> Any:
        """Rebuild it from plain values: sections of registered kinds are classes that pickle cannot find by name."""
        return _made_again, (self.to_dict(), self.memory)

    def with_training(self, **changed: Any) -> Experiment:
        """Return the experiment with some training settings changed."""
        return replace(self, training={**self.training.to_dict(), **changed})

    @property
    def files(self) -> dict[str, str]:
        """The data files by role: ``"data"``, ``"labels"``, ``"test NAME"``, ``"test_labels NAME"``."""
        if self.data is None:
            return {}
        named = {"data": self.data.file, "labels": self.data.labels}
        tests = {
            f"{setting} {name}": file
            for setting in ("test", "test_labels")
            for name, file in getattr(self.evaluation, setting)
        }
        return {name: file for name, file in {**named, **tests}.items() if file is not None}

    def with_paths(self, change: Callable[[str], str]) -> Experiment:
        """Return the experiment with the paths of its `files`, and of the file of its model's class, changed."""
        sections: dict[str, Any] = {}
        if self.files:
            data = {n: change(f) for n in ("file", "labels") if (f := getattr(self.data, n))}
            sections["data"] = Data(**{**self.data.to_dict(), **data})
            tests = {
                name: {test: change(file) for test, file in getattr(self.evaluation, name)}
                for name in ("test", "test_labels")
            }
            sections["evaluation"] = FileEvaluation(**tests)
        if is_own(self.model.name) and self.model.name != OWN:
            file, colon, name = self.model.name.rpartition(":")
            sections["model"] = replace(self.model, name=f"{change(file)}{colon}{name}" if colon else change(name))
        return replace(self, **sections) if sections else self

    def make(self, own: Callable[..., Any] | None = None) -> tuple[Any, Any, Any]:
        """Return the task, the model with its initial weights, and its optimizer, for an experiment with a task.

        `own` is the class of a user-defined model, if it is loaded already.
        """
        if self.task is None:
            raise InvalidArgument("the model of an experiment with data is made when the data are read: use myrnn.run")
        task, rng = self.task.make(), weight_generator(self.training.seed)
        if is_own(self.model.name):
            make = self.model.own_class() if own is None else own
            model = self.model.make_own(make, task.dim_input, task.dim_output, rng)
        else:
            model = self.model.make(**sizes_for(task, self.model.name), rng=rng)
        return task, model, self.optimizer.make(params=model.parameters)


SECTIONS = ("task", "data", "model", "optimizer", "training", "evaluation")
# Defaults for training on data; docs/how-to/your-own-sequences.md says how they were found.
DATA_DEFAULTS: dict[str, dict[str, Any]] = {
    "model": {"recurrent_init": "orthogonal"},
    "optimizer": {"learning_rate": 0.003},
}


def _toml(sections: Mapping[str, Any]) -> str:
    """Return settings by section as TOML; text and lists are written as in JSON."""
    tables: dict[str, Mapping[str, Any]] = {}
    for section, settings in sections.items():
        tables[section] = {name: value for name, value in settings.items() if not isinstance(value, dict)}
        inner = {f"{section}.{name}": value for name, value in settings.items() if isinstance(value, dict) and value}
        tables |= inner
    lines = []
    for table, settings in tables.items():
        known = {name: value for name, value in settings.items() if value is not None}
        lines += [f"[{table}]", *(f"{_toml_value(name)} = {_toml_value(value)}" for name, value in known.items()), ""]
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    # JSON escapes everything that TOML requires except DEL, and writes characters beyond 16 bits as surrogate pairs.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")


@lru_cache
def _check_task(part: Part, lengths: tuple[int, ...] | None) -> None:
    """Let a task check settings that depend on each other, and the test lengths.

    The result is cached: most of the many experiments of a study share a task.
    """
    task = recognition_of(part.make())
    if lengths is not None and callable(getattr(task, "sample_lengths", None)):
        task.sample_lengths([n for n in lengths if n <= LONGEST_TRIED], np.random.default_rng(0))


def _made_again(sections: Mapping[str, Any], memory: Any) -> Experiment:
    return replace(Experiment.read(sections), memory=memory)


def _sections_of(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return the content of a TOML or JSON file, section by section, unchecked."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from error
    except (OSError, TypeError, ValueError) as error:
        raise InvalidArgument(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    is_json = Path(path).suffix.lower() == ".json" or text.lstrip().startswith("{")
    try:
        found = json.loads(text, object_pairs_hook=_checks.unrepeated) if is_json else tomllib.loads(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{path} is not {'JSON' if is_json else 'TOML'}: {error}") from error
    sections = {}
    known = {name: section for name, section in _mapping(str(path), found).items() if section is not None}
    for name, section in known.items():
        key = {"data": "file"}.get(name, "name")
        named = {key: section} if name in (*PARTS, "data") and isinstance(section, str) else section
        sections[name] = dict(_mapping(f"[{name}] in {path}", named))
    return sections


def merged(begin: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return sections with some settings changed; another kind of task, model or optimizer starts from its defaults."""
    sections = {**begin}
    if ("data" in changed and "data" not in begin) or ("task" in changed and "data" in begin):
        # For another source of sequences, the old settings of training and tests do not apply.
        sections = {name: begin[name] for name in ("model",) if name in begin}
    for name, given in changed.items():
        before, settings = (written_out(name, each) for each in (begin.get(name, {}), given))
        if name in PARTS and settings.get("name", _name(name, before)) != _name(name, before):
            before = {}
        if name == "model" and "name" in settings:
            # The user names the class again.
            before.pop(SHA256, None)
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
