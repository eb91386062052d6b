"""Settings in sections: type, bounds, default and help of a value are declared once, at the field.

A section is a frozen msgspec struct. Its fields define the checks, the options of the command line, the keys of TOML
and JSON, and the fields of the page.
"""

from __future__ import annotations

import inspect
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from myrnn import _checks
from myrnn.errors import InvalidArgument

REQUIRED = msgspec.NODEFAULT
"""The default of a required setting."""


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
    def is_later(self) -> bool:
        """Whether files omit it at its default, as files written before the setting existed do."""
        return bool((self.meta.extra or {}).get("later"))

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
    def parts(self) -> tuple[Any, ...]:
        """The possible types of the value, None among them."""
        return get_args(self.kind) if get_origin(self.kind) in (Union, types.UnionType) else (self.kind,)

    def checked(self, value: Any) -> Any:
        """Return the value as it is stored; raises InvalidArgument if it is not valid."""
        given = self._plain(value)
        try:
            found = msgspec.convert(given, self.kind)
        # UnicodeEncodeError is for text with half of a surrogate pair.
        except (msgspec.ValidationError, UnicodeEncodeError):
            raise InvalidArgument(self._refusal(given)) from None
        if self.choices and found is not None and found not in self.choices:
            raise InvalidArgument(self._refusal(given))
        return found

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
            near = _checks.nearest(value, self.choices)
            return f"{self.name} must be one of {', '.join(map(repr, self.choices))}, not {_checks.shown(value)}{near}"
        what = {int: "an integer", float: "a number", bool: "true or false", str: "text"}.get(self.type, self.type)
        if isinstance(value, int if self.type is int else int | float) and not isinstance(value, bool):
            what = next((words for is_broken, words in self._bounds(value) if is_broken), what)
        return f"{self.name} must be {what}, not {_checks.shown(value)}"

    def _bounds(self, value: float) -> Iterator[tuple[bool, str]]:
        meta = self.meta
        if meta.ge is not None:
            yield value < meta.ge, f"at least {meta.ge}"
        if meta.gt is not None:
            yield value <= meta.gt, f"above {meta.gt}"
        if meta.le is not None:
            yield value > meta.le, f"at most {meta.le}"
        if meta.lt is not None:
            yield value >= meta.lt, f"below {meta.lt}"


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
        for setting in settings_of(type(self)):
            self._keep(setting.name, setting.checked(getattr(self, setting.name)))

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

    def to_dict(self, whole: bool = False) -> dict[str, Any]:
        """Return all settings as plain values; unless `whole`, later additions are omitted at their defaults."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        for setting in settings_of(type(self)):
            if not whole and setting.is_later and values[setting.name] == setting.default:
                del values[setting.name]
        return values


@cache
def settings_of_call(function: Callable[..., Any]) -> dict[str, Setting]:
    """Return the arguments of a function, or the fields of a dataclass, that are annotated as settings."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    settings = {name: Setting(name, hints.get(name), parameter.default) for name, parameter in parameters.items()}
    return {name: setting for name, setting in settings.items() if setting.is_described}


def check_fields(thing: Any) -> None:
    """Check the fields of a frozen dataclass by their annotations."""
    described: Callable[..., Any] = type(thing)
    for name, setting in settings_of_call(described).items():
        object.__setattr__(thing, name, setting.checked(getattr(thing, name)))


@cache
def settings_of(section: Any) -> tuple[Setting, ...]:
    """Return the settings of a section, in order."""
    fields = msgspec.structs.fields(section)
    return tuple(
        Setting(f.name, f.type, f.default if f.default_factory is msgspec.NODEFAULT else f.default_factory())
        for f in fields
    )
