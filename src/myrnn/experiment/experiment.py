"""An experiment: everything needed to train and test a model, as one value."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment.parts import OWN, PARTS, SHA256, Part, in_full, is_own, written_out
from myrnn.experiment.sections import Evaluation
from myrnn.experiment.sources import SOURCES, MemorySource, Source, TaskSource, read_source, with_memory
from myrnn.results import Table
from myrnn.settings import REQUIRED, settings_by_name, settings_in_file, settings_of
from myrnn.training import TrainingSettings

SECTIONS = (*SOURCES, "model", "optimizer", "training", "evaluation")


@dataclass(frozen=True, repr=False, init=False)
class Experiment:
    """Everything needed to train and test a model.

    Each section may be given as a mapping, and a task, model or optimizer also as just a name.

    Parameters
    ----------
    task : str, mapping, Task or Part, optional
        The task that draws the sequences; by default that of the lesson.
    model, optimizer : str, mapping, object or Part
    training, evaluation : mapping, TrainingSettings or Evaluation, optional
    data : str, mapping, tuple (X, y), Sequences or Data, optional
        Given sequences instead of a task: a file, how to read files, or sequences in memory, as
        `SequenceClassifier.fit` takes them.
    source : TaskSource, FileSource or MemorySource, optional
        The source of another experiment, instead of `task` and `data`. `dataclasses.replace` gives the old one again:
        with a new task or new data, give ``source=None``, too.

    Attributes
    ----------
    source : TaskSource, FileSource or MemorySource
        Where the sequences come from; ``source.settings`` are those of the task or of the data.
    model, optimizer : Part
    training : TrainingSettings
    evaluation : Evaluation

    Raises
    ------
    InvalidArgument
        When a setting is unknown or invalid, or does not apply to the source.

    Examples
    --------
    >>> experiment = Experiment(model={"name": "gru", "dim_recurrent": 16}, training={"iterations": 1000})
    >>> experiment.source.name, experiment.model.settings.dim_recurrent, experiment.training.seed
    ('twin-halves', 16, 0)
    >>> experiment = Experiment(data={"file": "train.csv"}, evaluation={"test": "test.csv"})
    >>> experiment
    Experiment(rnn on train.csv, adam, up to 100 epochs)
    >>> dict(experiment.evaluation.test)
    {'test': 'test.csv'}
    """

    source: Source
    model: Part
    optimizer: Part
    training: TrainingSettings
    evaluation: Evaluation

    def __init__(
        self,
        task: Any = None,
        model: Any = "rnn",
        optimizer: Any = "adam",
        training: Any = None,
        evaluation: Any = None,
        data: Any = None,
        *,
        source: Source | None = None,
    ) -> None:
        chosen = read_source(task, data, source)
        self._keep("source", chosen)
        for part, given in (("model", model), ("optimizer", optimizer)):
            self._keep(part, Part.read(part, given, chosen.default(part)))
        for name, kind, given in (("training", TrainingSettings, training), ("evaluation", Evaluation, evaluation)):
            if not isinstance(given, kind):
                known = [setting.name for setting in settings_of(kind) if setting.name not in chosen.without[name]]
                given = settings_by_name(name, {} if given is None else given)
                for setting in given:
                    _checks.check_setting(name, setting, known)
                given = kind.read({**chosen.default(name), **given}, name)
            self._keep(name, given)
        chosen.check(self.training, self.evaluation)
        if self.evaluation.stack_depth is not None and not self.model.has_stack:
            raise InvalidArgument(
                f"stack_depth is for a stack-rnn, and the model is {self.model.name!r}: leave it out of the evaluation"
            )

    def __repr__(self) -> str:
        """Return the model, what it learns from, the optimizer, and the length of the training."""
        length = _checks.count_of(self.length, self.source.unit)
        most = "" if isinstance(self.source, TaskSource) else "up to "
        return f"Experiment({self.model.name} on {self.source.title}, {self.optimizer.name}, {most}{length})"

    def _repr_html_(self) -> str:
        sections = self.to_dict()
        settings = {f"{section}.{name}": value for section in sections for name, value in sections[section].items()}
        columns = {"setting": list(settings), "value": list(settings.values())}
        return Table("Experiment", columns)._repr_html_()

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def length(self) -> int:
        """The length of the training, in the unit of the source: iterations, or the most epochs."""
        length: int = getattr(self.training, self.source.length)
        return length

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Return the experiment with these sections, as `to_dict` returns them; the rest has its defaults."""
        for name in settings_by_name("an experiment", given):
            _checks.one_of("a section of an experiment", name, SECTIONS)
        return cls(**given)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Experiment:
        """Read an experiment from a file: TOML with a table for each section, or JSON as `to_json` writes it.

        Paths in it are relative to its folder.

        Raises
        ------
        InvalidArgument
            When it cannot be read or is invalid; the message names the file.
        """
        sections = {name: section for name, section in settings_in_file(path).items() if section is not None}
        try:
            found = cls.read(sections)
            if isinstance(found.source, MemorySource):
                raise InvalidArgument("data needs 'file'")
        except InvalidArgument as error:
            raise InvalidArgument(f"{path}: {error}") from None
        return found.with_paths(lambda file: os.path.join(os.path.dirname(path), file))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings that apply to the source, as plain values, by section."""
        sections = {self.source.section: self.source.to_dict()}
        for name in ("model", "optimizer", "training", "evaluation"):
            others = self.source.without.get(name, {})
            settings = getattr(self, name).to_dict()
            sections[name] = {setting: value for setting, value in settings.items() if setting not in others}
        return sections

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
        sections = self.to_dict()
        for name, section in sections.items():
            known = {setting: value for setting, value in section.items() if value is not None}
            again = Experiment.read({**sections, name: known}).to_dict()[name]
            for setting in section:
                if setting not in known and again.get(setting, REQUIRED) is not None:
                    raise InvalidArgument(f"TOML cannot say that {setting} is None: write JSON, with to_json")
        self._write(path, _toml)

    def _write(self, path: str | os.PathLike[str], write: Callable[[dict[str, Any]], str]) -> None:
        if isinstance(self.source, MemorySource):
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
        return _made_again, (self.to_dict(), getattr(self.source, "given", None))

    def with_training(self, **changed: Any) -> Experiment:
        """Return the experiment with some training settings changed."""
        training: Any = {**self.to_dict()["training"], **changed}
        return replace(self, training=training)

    def with_evaluation(self, **changed: Any) -> Experiment:
        """Return the experiment with some settings of its tests changed."""
        evaluation: Any = {**self.to_dict()["evaluation"], **changed}
        return replace(self, evaluation=evaluation)

    @property
    def parts(self) -> dict[str, str]:
        """The names of its task, model, optimizer, schedule and loss, as far as it has them."""
        task, training = getattr(self.source.settings, "name", None), self.training
        names = {"task": task, "model": self.model.name, "optimizer": self.optimizer.name}
        names |= {"schedule": training.schedule, "loss": training.loss}
        return {part: name for part, name in names.items() if name is not None}

    @property
    def files(self) -> dict[str, str]:
        """The data files by role: ``"data"``, ``"labels"``, ``"test NAME"``, ``"test_labels NAME"``."""
        return {**self.source.files, **self.evaluation.files}

    def with_paths(self, change: Callable[[str], str]) -> Experiment:
        """Return the experiment with the paths of its `files`, and of the file of its model's class, changed."""
        model = self.model
        if is_own(model.name) and model.name != OWN:
            file, colon, name = model.name.rpartition(":")
            model = replace(model, name=f"{change(file)}{colon}{name}" if colon else change(name))
        source, evaluation = self.source.with_paths(change), self.evaluation.with_paths(change)
        return replace(self, source=source, model=model, evaluation=evaluation)

    def make(self, own: Callable[..., Any] | None = None) -> tuple[Any, Any, Any]:
        """Return the task, the model with its initial weights, and its optimizer, for an experiment with a task.

        `own` is the class of a user-defined model, if it is loaded already.
        """
        if not isinstance(self.source, TaskSource):
            raise InvalidArgument("the model of an experiment with data is made when the data are read: use myrnn.run")
        task, rng = self.source.part.make(), self.source.initial_draws(self.training.seed, 0).weights
        model = self.model.new_model(task, rng, self.model.own_class(own))
        return task, model, self.optimizer.make(params=model.parameters)


def _made_again(sections: Mapping[str, Any], given: Any) -> Experiment:
    found = Experiment.read(sections)
    return replace(found, source=with_memory(found.source, given))


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


def written_in(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return the settings in a file of an experiment by section, without defaults; checked as in `from_file`."""
    whole, found = Experiment.from_file(path).to_dict(), {}
    for name, section in settings_in_file(path).items():
        if section is not None:
            named = written_out(name, in_full(name, section))
            found[name] = {setting: value for setting, value in whole[name].items() if setting in named}
    return found


def merged(begin: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return sections with some settings changed; another kind of task, model or optimizer starts from its defaults."""
    sections = {**begin}
    for name, given in changed.items():
        old, new = (written_out(name, each) for each in (sections.get(name, {}), given))
        if name in PARTS and new.get("name", _name(name, old)) != _name(name, old):
            old = {}
        if name == "model" and "name" in new:
            # The user names the class again.
            old.pop(SHA256, None)
        sections[name] = {**old, **new}
    return sections


def _name(part: str, settings: Mapping[str, Any]) -> Any:
    return settings.get("name", PARTS[part])
