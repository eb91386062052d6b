"""Settings in sections: type, bounds, default and help of a value are declared once, at the field.

A section is a frozen msgspec struct. Its fields define the checks, the options of the command line, the keys of TOML
and JSON, and the fields of the page.
"""

from __future__ import annotations

import inspect
import json
import operator
import os
import re
import tomllib
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from myrnn import _checks
from myrnn._signals import held_interrupts
from myrnn.errors import InvalidArgument

# No settings that a person wrote come near this size.
MOST_BYTES = 10_000_000

REQUIRED = msgspec.NODEFAULT
"""The default of a required setting."""


def converted(owner: str, given: Any, kind: Any) -> Any:
    """Return plain values as a type that msgspec knows; raises InvalidArgument where they do not fit."""
    try:
        # msgspec would swallow a KeyboardInterrupt that comes while it reads the type.
        with held_interrupts():
            return msgspec.convert(given, kind)
    # UnicodeEncodeError is for text with half of a surrogate pair.
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise InvalidArgument(f"{owner}: {error}") from None


@dataclass(frozen=True)
class Setting:
    """One setting of a section."""

    name: str
    kind: Any  # the type of the value: with its bounds, if any, as ``Annotated[int, Meta(ge=1)]``
    default: Any  # `REQUIRED` if it must be given

    @property
    def meta(self) -> Meta:
        """Bounds, help and label."""
        return next((m for part in self.parts for m in getattr(part, "__metadata__", ())), Meta())

    @property
    def is_described(self) -> bool:
        """Whether the annotation has more than a type."""
        return any(hasattr(part, "__metadata__") for part in self.parts)

    @property
    def help(self) -> str:
        """One line of help; choices that can be extended are listed."""
        text = self.meta.description or ""
        return f"{text}: {', '.join(self.choices)}." if "choices" in (self.meta.extra or {}) else text

    @property
    def label(self) -> str:
        """Its name on a page; a setting without a label is not shown there."""
        return self.meta.title or ""

    @property
    def is_optional(self) -> bool:
        """Whether it may be None."""
        return types.NoneType in self.parts

    @property
    def type(self) -> Any:
        """The type of the value without None and bounds."""
        (part,) = [part for part in self.parts if part is not types.NoneType]
        return get_args(part)[0] if get_origin(part) is Annotated else part

    @property
    def choices(self) -> tuple[Any, ...]:
        """The possible values if they are few: of a Literal, or those that ``extra["choices"]`` returns."""
        if get_origin(self.type) is Literal:
            return get_args(self.type)
        listed = (self.meta.extra or {}).get("choices", tuple)
        return tuple(listed())

    @property
    def divides(self) -> str | None:
        """The name of the setting that it must divide, from ``extra["divides"]``."""
        return (self.meta.extra or {}).get("divides")

    @property
    def parts(self) -> tuple[Any, ...]:
        """The possible types of the value, None among them."""
        return get_args(self.kind) if get_origin(self.kind) in (Union, types.UnionType) else (self.kind,)

    @property
    def example(self) -> Any:
        """A value that it may have."""
        lowest = () if self.meta.ge is None else (self.meta.ge,)
        return next(iter((*(self.meta.examples or ()), *self.choices, *lowest)), self.name.upper())

    def read(self, text: str) -> Any:
        """Return the value that a text means, such as 3, true or none; text that means none of them stays as it is."""
        if text == "none" and (self.is_optional or self.type is Any):
            return None
        if self.type in (bool, Any) and text in ("true", "false"):
            return text == "true"
        for kind in (int, float):
            if self.type in (kind, Any):
                with suppress(ValueError):
                    return kind(text)
        return text

    def checked(self, value: Any) -> Any:
        """Return the value as it is stored; raises InvalidArgument if it is not valid."""
        given = self._plain(value)
        with suppress(InvalidArgument):
            found = converted(self.name, given, self.kind)
            if found is None or not self.choices or found in self.choices:
                return found
        raise InvalidArgument(self._refusal(given))

    def _plain(self, value: Any) -> Any:
        """Return numbers of other types, such as NumPy's, as Python's own."""
        if value is None or isinstance(value, bool | str | list | tuple | dict) or np.ndim(value):
            return value
        try:
            if self.type is int:
                return operator.index(value)
            return _checks.real(self.name, value) if self.type is float else value
        except TypeError:
            return value

    def _refusal(self, value: Any) -> str:
        if self.choices:
            return _checks.not_one_of(self.name, value, self.choices)
        what = {int: "an integer", float: "a number", bool: "true or false", str: "text"}.get(self.type, self.type)
        if isinstance(value, int if self.type is int else int | float) and not isinstance(value, bool):
            meta = self.meta
            what = _checks.broken_bound(value, meta.ge, meta.gt, meta.le, meta.lt) or what
        return f"{self.name} must be {what}, not {_checks.shown(value)}"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of related settings; every value is checked when a section is made.

    Raises
    ------
    InvalidArgument
        When a value is not valid.

    Examples
    --------
    >>> from myrnn.training import TrainingSettings
    >>> settings = TrainingSettings.read({"iterations": 100}, "a training")
    >>> isinstance(settings, Section), settings == TrainingSettings(iterations=100)
    (True, True)
    >>> settings.to_dict()["iterations"]
    100
    """

    def __post_init__(self) -> None:
        """Check all values."""
        settings = settings_of(type(self))
        for setting in settings:
            self._keep(setting.name, setting.checked(getattr(self, setting.name)))
        for setting in settings:
            value = getattr(self, setting.name)
            if setting.divides and value is not None:
                _checks.divides(setting.name, value, setting.divides, getattr(self, setting.divides))

    def _keep(self, name: str, value: Any) -> None:
        """Set a value while the section is made."""
        msgspec.structs.force_setattr(self, name, value)

    @classmethod
    def read(cls, given: Mapping[str, Any], owner: str) -> Self:
        """Return the section with these settings, the others at their defaults; messages call it `owner`."""
        known = settings_of(cls)
        for name in given:
            _checks.check_setting(owner, name, [setting.name for setting in known])
        for setting in known:
            if setting.default is REQUIRED and setting.name not in given:
                raise InvalidArgument(f"{owner} needs {setting.name!r}")
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


def arguments_of(make: Any) -> dict[str, Setting]:
    """Return the arguments of a function or a class as settings, by name."""
    # Annotations are on the fields of a dataclass, and on the constructor of another class.
    source = make if not isinstance(make, type) or hasattr(make, "__dataclass_fields__") else make.__init__  # type: ignore[misc]
    hints, parameters = get_type_hints(source, include_extras=True), inspect.signature(make).parameters
    defaults = {name: REQUIRED if p.default is p.empty else p.default for name, p in parameters.items()}
    return {name: Setting(name, hints.get(name, Any), default) for name, default in defaults.items()}


@cache
def settings_of_call(make: Any) -> dict[str, Setting]:
    """Return the arguments of a function or a class whose annotations have more than a type."""
    return {name: setting for name, setting in arguments_of(make).items() if setting.is_described}


def check_arguments(make: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check those of the arguments that are settings, and return them as they are stored."""
    return {name: setting.checked(given[name]) for name, setting in settings_of_call(make).items() if name in given}


def check_fields(thing: Any) -> None:
    """Check the fields of a frozen dataclass by their annotations."""
    for name, value in check_arguments(type(thing), vars(thing)).items():
        object.__setattr__(thing, name, value)


def read_settings(section: type[Section], text: str, owner: str, others: bool = False) -> dict[str, Any]:
    """Return the settings in a text such as ``2,depth=3``; messages call the section `owner`."""
    # A setting begins at the start or after a comma, with its name and ``=``. Text in front of them is the value of
    # the section's first setting. With `others` any name is that of a setting.
    known = {setting.name: setting for setting in settings_of(section)}
    # A word of one letter that is no setting may belong to the value, as in the regular expression (a,b=c)*.
    names = "|".join((*map(re.escape, known), r"[A-Za-z_][\w-]*" if others else r"[A-Za-z_][\w-]+"))
    first, *parts = re.split(rf"(?:^|,)\s*({names})\s*=", text)
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    if first or not pairs:
        if not known:
            raise InvalidArgument(f"{owner} has no settings: leave out {text!r}")
        pairs.insert(0, (next(iter(known)), first))
    found: dict[str, Any] = {}
    for name, value in pairs:
        if not others:
            _checks.check_setting(owner, name, tuple(known))
        if name in found:
            raise InvalidArgument(f"{owner} gets {name} twice: leave one of them out")
        found[name] = known.get(name, Setting(name, Any, None)).read(value)
    return found


def settings_by_name(what: str, given: Any) -> Mapping[str, Any]:
    """Return a mapping of settings as it is, or raise an error that says what should have been one."""
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"{what} must have settings by name, not {_checks.shown(given)}")
    return given


def settings_in_file(path: str | os.PathLike[str], most: int = MOST_BYTES) -> dict[str, Any]:
    """Return the unchecked settings in a TOML or JSON file of at most so many bytes; errors name the file."""
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except (OSError, TypeError, ValueError) as error:
        raise InvalidArgument(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most:
        raise InvalidArgument(f"{path} is too large for settings: at most {most:,} bytes are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from None
    is_json = os.fspath(path).lower().endswith(".json") or text.lstrip().startswith("{")
    try:
        found = json.loads(text, object_pairs_hook=_checks.unrepeated) if is_json else tomllib.loads(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number with more digits than Python converts
        raise InvalidArgument(f"{path} is not valid {'JSON' if is_json else 'TOML'}: {error}") from None
    return dict(settings_by_name(str(path), found))


@cache
def settings_of(section: Any) -> tuple[Setting, ...]:
    """Return the settings of a section, in order."""
    fields = msgspec.structs.fields(section)
    return tuple(
        Setting(f.name, f.type, f.default if f.default_factory is msgspec.NODEFAULT else f.default_factory())
        for f in fields
    )
