"""The parts of an experiment that are of a registered kind: its task, its model and its optimizer."""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

import msgspec
import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.models.layer import USUAL_UNITS, Units
from myrnn.models.network import sizes_for
from myrnn.models.own import check_settings_of, load_own, make_own, named_before, not_named
from myrnn.registry import Kind, find, kind_of, kinds, read_name
from myrnn.settings import REQUIRED, Section, read_settings

# The name of a user-defined model whose file is not known.
OWN = "own"
# The file and the class of another one, before any settings.
OWN_NAME = re.compile(r".*\.py(?::[^:]*)?(?=:|$)")
# The key for the hash of its file, which an experiment from a folder has.
SHA256 = "sha256"
# The parts, each with its default kind.
PARTS = {"task": "twin-halves", "model": "rnn", "optimizer": "adam"}


@cache
def own_section(names: tuple[str, ...]) -> type[Section]:
    """Return the section of a user-defined model with these settings, of any type: only its class knows them."""
    fields = [("dim_recurrent", Units, USUAL_UNITS), *((name, Any, REQUIRED) for name in names)]
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
        given = in_full(part, given)
        if not isinstance(given, Mapping):
            return cls.of(part, given)
        settings = written_out(part, given)
        name = settings.pop("name", PARTS[part])
        if part == "model" and isinstance(name, str) and is_own(name):
            sha256 = _checked_hash(settings.pop(SHA256)) if SHA256 in settings else None
            _refuse_sizes(settings)
            return cls(part, name, _own_settings(settings), sha256)
        if not isinstance(name, str):
            raise InvalidArgument(f"name must be a word, not {_checks.shown(name)}")
        section = find(part, name).section
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
        return self.kind.new(**{**self.settings.to_dict(), **further})

    def own_class(self, loaded: Callable[..., Any] | None = None) -> Callable[..., Any] | None:
        """Return the class of a user-defined model, by default that of its file; None for a model with a name.

        Raises
        ------
        InvalidArgument
            When there is no such class, it has no such settings, or the user has not named it.
        """
        if loaded is not None or not is_own(self.name):
            return loaded
        found = load_own(self.name) if self.sha256 is None else named_before(self.name, self.sha256)
        if found is None:
            raise InvalidArgument(f"{not_named(self.name)}: name the class with its file")
        check_settings_of(found, f"model {self.name}", self.own_settings)
        return found

    @property
    def has_stack(self) -> bool:
        """Whether it is a model with a stack, whose depth is a setting."""
        return hasattr(self.settings, "stack_depth")

    @property
    def own_settings(self) -> dict[str, Any]:
        """The arguments of a user-defined class besides its sizes."""
        return {name: value for name, value in self.settings.to_dict().items() if name != "dim_recurrent"}

    def new_model(
        self, reads: Any, rng: np.random.Generator, own: Callable[..., Any] | None = None, **further: Any
    ) -> Any:
        """Return a new model for a task, or a reader, which has its sizes; `own` is the class of a user-defined one."""
        if own is None:
            return self.make(**sizes_for(reads, self.name), rng=rng, **further)
        sizes = (reads.dim_input, getattr(self.settings, "dim_recurrent", 1), reads.dim_output)
        return make_own(own, sizes, rng, self.own_settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the name and all settings as plain values."""
        pinned = {} if self.sha256 is None else {SHA256: self.sha256}
        return {"name": self.name, **pinned, **self.settings.to_dict()}


def _checked_hash(given: Any) -> str:
    # A folder must not be able to leave it out: without it, whatever is in the file would be loaded.
    if not (isinstance(given, str) and re.fullmatch("[0-9a-f]{64}", given)):
        raise InvalidArgument(f"{SHA256} must be a SHA-256, not {_checks.shown(given)}")
    return given


def _refuse_sizes(settings: Mapping[str, Any]) -> None:
    for setting in ("dim_input", "dim_output"):
        if setting in settings:
            raise InvalidArgument(f"{setting} follows from the task: leave it out")


def in_full(section: str, given: Any) -> Any:
    """Return a section of an experiment with its settings by name, if it is one line: the name of a part, or a file."""
    if section == "data" and isinstance(given, str | os.PathLike):
        return {"file": os.fspath(given)}
    return {"name": given} if section in PARTS and isinstance(given, str) else given


def written_out(part: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a part with those in its name, as in ``dyck:kinds=2`` or ``my.py:Cell:leak=0.1``."""
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
