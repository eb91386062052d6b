"""What a value that comes from the page may be: kinds of fields, each with its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from myrnn import _checks
from myrnn.errors import InvalidArgument


class Field(Protocol):
    """Says whether a value will do."""

    def checked(self, name: str, value: Any) -> Any:
        """Return the value, or refuse it."""
        ...


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds."""

    minimum: int
    maximum: int

    def checked(self, name: str, value: Any) -> int:
        """Return the number, or refuse it."""
        return _checks.integer(name, value, minimum=self.minimum, maximum=self.maximum)


@dataclass(frozen=True)
class Real:
    """A number within bounds; with `optional`, or None."""

    minimum: float
    maximum: float
    optional: bool = False

    def checked(self, name: str, value: Any) -> float | None:
        """Return the number, or refuse it."""
        if value is None and self.optional:
            return None
        number = _checks.real(name, value, minimum=self.minimum)
        if number > self.maximum:
            raise InvalidArgument(f"{name} must be at most {self.maximum}, not {number}")
        return number


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    choices: tuple[str, ...]

    def checked(self, name: str, value: Any) -> str:
        """Return the word, or refuse it."""
        return _checks.one_of(name, value, self.choices)


@dataclass(frozen=True)
class Truth:
    """True or false."""

    def checked(self, name: str, value: Any) -> bool:
        """Return the value, or refuse it."""
        if not isinstance(value, bool):
            raise InvalidArgument(f"{name} must be true or false, not {_checks.shown(value)}")
        return value


@dataclass(frozen=True)
class Text:
    """A text that is not too long; with `optional`, or None."""

    longest: int
    optional: bool = False

    def checked(self, name: str, value: Any) -> str | None:
        """Return the text, or refuse it."""
        if value is None and self.optional:
            return None
        if not isinstance(value, str):
            raise InvalidArgument(f"{name} must be a text, not {_checks.shown(value)}")
        if len(value) > self.longest:
            raise InvalidArgument(f"{name} must have at most {self.longest} characters, not {len(value)}")
        return value


@dataclass(frozen=True)
class Some:
    """A list of values of one kind, within bounds of its length."""

    field: Field
    least: int
    most: int

    def checked(self, name: str, value: Any) -> list[Any]:
        """Return the list, or refuse it."""
        if not isinstance(value, list):
            raise InvalidArgument(f"{name} must be a list, not {_checks.shown(value)}")
        if not self.least <= len(value) <= self.most:
            raise InvalidArgument(f"{name} must have {self.least} to {self.most} entries, not {len(value)}")
        return [self.field.checked(f"{name}[{place}]", entry) for place, entry in enumerate(value)]


@dataclass(frozen=True)
class Record:
    """An object with given fields, all of them and no others."""

    fields: Mapping[str, Field]

    def checked(self, name: str, value: Any) -> dict[str, Any]:
        """Return the object, or refuse it."""
        if not isinstance(value, dict):
            raise InvalidArgument(f"{name} must be an object, not {_checks.shown(value)}")
        for key in value:
            if not self.fields:
                raise InvalidArgument(f"{name} takes no fields, but there is {_checks.shown(key)}")
            _checks.one_of(f"a field of {name}", key, tuple(self.fields))
        for key in self.fields:
            if key not in value:
                raise InvalidArgument(f"{name} has no {key!r}")
        return {key: field.checked(key, value[key]) for key, field in self.fields.items()}
