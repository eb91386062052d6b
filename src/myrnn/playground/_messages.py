"""The messages of the page, each checked before anything else sees it."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.playground._fields import Choice, Field, Real, Record, Some, Text, Truth, Whole
from myrnn.playground._settings import LONGEST, RECORD
from myrnn.tasks import FAMILIES

# More characters than any message of the page has.
LONGEST_MESSAGE = 16_384

VIEWS = ("row", "accuracy", "gradient", "eigenvalues", "mistakes")
FIGURES = ("training", "accuracy", "states", "gradient", "eigenvalues", "graph")

_TOKENS = Some(Whole(0, 9), 1, LONGEST)

# The fields of every kind of message.
MESSAGES: dict[str, dict[str, Field]] = {
    "hello": {"session": Text(64, optional=True), "page": Text(64), "settings": RECORD, "tokens": _TOKENS},
    # With `anew`, a new network begins whatever the settings are.
    "configure": {"settings": RECORD, "anew": Truth()},
    "play": {},
    "pause": {},
    "step": {},
    "reset": {},
    # Iterations a second; 0 is as fast as it goes.
    "speed": {"speed": Real(0, 1e6)},
    "tokens": {"tokens": _TOKENS},
    "draw": {"kind": Choice(("match", "other")), "length": Whole(1, LONGEST)},
    "state": {"name": Text(100)},
    "watch": {"views": Some(Choice(VIEWS), 0, len(VIEWS))},
    "family": {"family": Choice(FAMILIES)},
    "unit": {"unit": Whole(0, 255)},
    "shortcuts": {},
    "recurrence": {},
    # A tour begins with networks of its own, and ends with the one of before.
    "set_aside": {},
    "take_back": {},
    "pin": {},
    "unpin": {},
    "save": {},
    "runs": {},
    "load": {"run": Text(200)},
    "script": {},
    "figure": {"figure": Choice(FIGURES), "format": Choice(("svg", "png"))},
}

_RECORDS = {kind: Record(fields) for kind, fields in MESSAGES.items()}


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Return the kind of a message and its fields.

    Raises
    ------
    InvalidArgument
        When it is no message; the error says what is wrong with it.
    """
    if len(text) > LONGEST_MESSAGE:
        raise InvalidArgument(f"a message must have at most {LONGEST_MESSAGE:,} characters, not {len(text):,}")
    try:
        return _parsed(text)
    except RecursionError:
        raise InvalidArgument(f"a message must not be nested that deep: {_checks.shown(text)}") from None


def _parsed(text: str) -> tuple[str, dict[str, Any]]:
    try:
        message = json.loads(text, parse_constant=_refuse)
    except ValueError:
        raise InvalidArgument(f"a message must be JSON, not {_checks.shown(text)}") from None
    if not isinstance(message, dict) or "type" not in message:
        raise InvalidArgument(f"a message must be an object with a 'type', not {_checks.shown(message)}")
    kind = _checks.one_of("type", message["type"], tuple(MESSAGES))
    fields = {name: value for name, value in message.items() if name != "type"}
    return kind, _RECORDS[kind].checked(kind, fields)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
