"""Tasks, models, optimizers, schedules and losses by name, as the command line, studies and run folders know them.

Another package adds its own by an entry point of the group ``myrnn``, whose module calls `register`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

import msgspec
import numpy as np

from myrnn import _checks
from myrnn._user_code import failure, warn
from myrnn.errors import InvalidArgument
from myrnn.settings import REQUIRED, Section, Setting, arguments_of, read_settings, settings_of

# The parts, and the arguments of each that are not settings.
_GIVEN = {
    "task": (),
    "model": ("dim_input", "dim_output", "per_step", "rng"),
    "optimizer": ("params",),
    "schedule": ("rate", "iterations"),
    "loss": ("outputs", "targets", "logits", "labels"),
}

_Made = TypeVar("_Made", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """A kind of task, model, optimizer, schedule or loss."""

    part: str  # task, model, optimizer, schedule or loss
    name: str
    # Makes an object from its settings. For a model it also takes `dim_input` and `dim_output`, `rng` if it draws its
    # weights from it, and `per_step` if it can have an output for each step; for an optimizer `params`; for a schedule
    # `rate` and `iterations`. For a loss it is the loss itself and takes `outputs` and `targets`, or `logits` and
    # `labels`.
    make: Callable[..., Any]
    section: type[Section]  # its settings
    owns: Callable[[Any], bool]  # returns whether an object is of this kind

    @property
    def is_ours(self) -> bool:
        """Whether it comes with MyRNN."""
        return self.make.__module__.startswith("myrnn.")

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.make) or "").partition("\n")[0].replace("`", "")

    @property
    def example(self) -> str:
        """A text with its name and its required settings, as `read_name` reads it."""
        settings = settings_of(self.section)
        given = [setting for setting in settings if setting.default is REQUIRED]
        if given and given == [settings[0]]:
            return f"{self.name}:{given[0].example}"
        return f"{self.name}:{','.join(f'{s.name}={s.example}' for s in given)}".rstrip(":")

    def new(self, **arguments: Any) -> Any:
        """Return a new object; ``rng`` seeds NumPy's global generator for a model that does not take it."""
        if "rng" in arguments and "rng" not in inspect.signature(self.make).parameters:
            with seeded(_checks.generator("rng", arguments.pop("rng"))):
                return self.make(**arguments)
        return self.make(**arguments)

    def settings_of(self, thing: Any) -> Section:
        """Return the settings of an object of this kind: its attributes, and the defaults of those that it lacks."""
        found = {setting.name: getattr(thing, setting.name, setting.default) for setting in settings_of(self.section)}
        return self.section(**found)


_KINDS: dict[str, dict[str, Kind]] = {part: {} for part in _GIVEN}


def register(
    part: str, name: str, *, owns: Callable[[Any], bool] | None = None, **defaults: Any
) -> Callable[[_Made], _Made]:
    """Return a decorator that registers a class, or a function, under a name.

    Its parameters are the settings. Annotations give their types, bounds and help, as
    ``Annotated[int, Meta(ge=1, description="How many units there are.")]``. A setting with a ``title`` is on the
    playground's page, which offers its ``examples``.

    Parameters
    ----------
    part : {"task", "model", "optimizer", "schedule", "loss"}
    name : str
    owns : callable, optional
        Returns whether an object is of this kind; by default, whether it is an instance of the registered class.
    **defaults
        Defaults of settings that have none in the signature, or replace those there. A schedule is chosen by its name
        alone, so all its settings need defaults.

    Returns
    -------
    callable
        It returns the class or function unchanged.

    Raises
    ------
    InvalidArgument
        When the name is taken or invalid, or a parameter cannot be a setting.

    Examples
    --------
    >>> from myrnn.registry import _KINDS, find
    >>> @register("optimizer", "still")
    ... class Still:
    ...     def __init__(self, params, learning_rate: float = 0.0):
    ...         self.params = params
    >>> find("optimizer", "still").section().to_dict()
    {'learning_rate': 0.0}
    >>> _ = _KINDS["optimizer"].pop("still")  # for the other examples
    """
    _checks.one_of("part", part, tuple(_GIVEN))
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name == "own":
        raise InvalidArgument(f"a {part} must be named by small letters, digits and dashes, not {_checks.shown(name)}")

    def enter(make: _Made) -> _Made:
        if name in _KINDS[part]:
            raise InvalidArgument(f"there is a {part} {name!r} already: register yours under another name")
        _KINDS[part][name] = Kind(
            part, name, make, _section(part, name, make, defaults), owns or (lambda thing: type(thing) is make)
        )
        return make

    return enter


def _section(part: str, name: str, make: Callable[..., Any], defaults: Mapping[str, Any]) -> type[Section]:
    fields: list[tuple[str, Any, Any]] = []
    for parameter in inspect.signature(make).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidArgument(f"{name} takes any arguments, *{parameter.name}: its settings must have names")
    for setting in arguments_of(make).values():
        if setting.name not in _GIVEN[part]:
            _check_kind(name, setting)
            default = defaults.get(setting.name, setting.default)
            if part == "schedule" and default is REQUIRED:
                raise InvalidArgument(
                    f"{name} is chosen by its name alone: its setting {setting.name!r} needs a default"
                )
            fields.append((setting.name, setting.kind, default))
    made: Any = msgspec.defstruct(name, fields, bases=(Section,), frozen=True, kw_only=True)
    return cast(type[Section], made)


def _check_kind(name: str, setting: Setting) -> None:
    """Refuse a setting that a file or an option cannot represent."""
    what = f"{name} has a setting {setting.name!r}, which must"
    if setting.name == "name" or len([kind for kind in setting.parts if kind is not type(None)]) != 1:
        raise InvalidArgument(f"{what} have one type and not be called 'name'")
    choices = setting.choices
    if not (setting.type in (int, float, bool, str, Any) or (choices and all(isinstance(c, str) for c in choices))):
        raise InvalidArgument(f"{what} be a number, a truth value or text")


def kinds(part: str) -> Mapping[str, Kind]:
    """Return all kinds of a part, by name."""
    _load_others()
    return _KINDS[part]


def kind_of(part: str, thing: Any) -> Kind | None:
    """Return the kind of an object, or None."""
    return next((kind for kind in kinds(part).values() if kind.owns(thing)), None)


def read_name(part: str, text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the settings in a text such as ``dyck:kinds=2,depth=3`` or ``regular:(ab)*``."""
    name, colon, settings = text.partition(":")
    return name, read_settings(find(part, name).section, settings, f"{part} {name}") if colon else {}


def make(part: str, name: Any, **settings: Any) -> Any:
    """Return a new object of the kind with this name, which may hold settings, as `read_name` reads it."""
    if isinstance(name, str):
        name, given = read_name(part, name)
        settings = {**given, **settings}
    kind = find(part, name)
    for setting in settings:
        if setting not in _GIVEN[part]:
            _checks.check_setting(f"{part} {name}", setting, ("name", *kind.section.__struct_fields__))
    return kind.new(**settings)


@contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Seed NumPy's global generator, from which MyGrad draws, by a draw of another; restore its state afterwards."""
    seed = int(rng.integers(2**32))
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def find(part: str, name: Any) -> Kind:
    """Return the kind of a part with this name; raises InvalidArgument if there is none."""
    known = kinds(part)
    return known[_checks.one_of(part, name, tuple(known))]


@cache
def _load_others() -> None:
    for other in entry_points(group="myrnn"):
        try:
            other.load()
        except Exception as error:
            warn(f"the entry point {other.name!r} of the group 'myrnn' cannot be loaded: {failure(error)}")
