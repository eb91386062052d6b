"""The messages between the page and its session: those of the page are checked before anything else sees them."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from functools import reduce
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.playground.data import MOST_OF_TASK
from myrnn.playground.settings import LONGEST

# More bytes than any message of the page has.
LONGEST_MESSAGE = 16_384
# More answers than this are not kept for a page that does not take them.
MOST_ANSWERS = 50

View = Literal["row", "accuracy", "gradient", "eigenvalues", "mistakes", "text"]
VIEWS: tuple[str, ...] = get_args(View)
Tokens = Annotated[list[Annotated[int, Meta(ge=0, lt=MOST_OF_TASK)]], Meta(min_length=1, max_length=LONGEST)]
Name = Annotated[str, Meta(max_length=200)]
Settings = dict[Name, int | float | bool | str | None]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=str.lower):
    """What a page asks for. The name of its class, in small letters, is its ``type``."""


class Hello(Message, frozen=True):
    """Begin, or go on with a session; `page` is drawn by every document that is loaded."""

    session: Name | None
    page: Name
    settings: Settings
    tokens: Tokens


class Configure(Message, frozen=True):
    """Choose settings. With `anew`, a new network begins whatever they are."""

    settings: Settings
    anew: bool


class Refresh(Message, frozen=True):
    """Show everything again, to a page that knows nothing of it."""


class Play(Message, frozen=True):
    """Train until a pause."""


class Pause(Message, frozen=True):
    """Train no more."""


class Step(Message, frozen=True):
    """Do one iteration."""


class Reset(Message, frozen=True):
    """Begin the same network again."""


class Speed(Message, frozen=True):
    """Do so many iterations a second; 0 is as fast as it goes."""

    speed: Annotated[float, Meta(ge=0, le=1e6)]


class Look(Message, frozen=True, tag="tokens"):
    """Look at this sequence."""

    tokens: Tokens


class Draw(Message, frozen=True):
    """Look at a sequence that is drawn at random; `label` is its class, where a sequence has one."""

    label: Annotated[int, Meta(ge=0, le=1)] | None
    length: Annotated[int, Meta(ge=1, le=LONGEST)]


class State(Message, frozen=True):
    """Show this state of the network."""

    name: Name


class Watch(Message, frozen=True):
    """Keep these views up to date."""

    views: Annotated[list[View], Meta(max_length=len(VIEWS))]


class Family(Message, frozen=True):
    """Look for mistakes in sequences of this family."""

    family: Literal["trained", "longer", "near", "other"]


class Unit(Message, frozen=True):
    """Say which weights lead into a unit."""

    unit: Annotated[int, Meta(ge=0, le=255)]


class Shortcuts(Message, frozen=True):
    """Say what simple shortcuts reach."""


class Recurrence(Message, frozen=True):
    """Say the equations of the network."""


class SetAside(Message, frozen=True, tag="set_aside"):
    """Let the network wait while a tour trains networks of its own."""


class TakeBack(Message, frozen=True, tag="take_back"):
    """Go on with the network that was set aside."""


class Pin(Message, frozen=True):
    """Keep the network to compare others with, and begin it again."""


class Unpin(Message, frozen=True):
    """Let the pinned network go."""


class Save(Message, frozen=True):
    """Test the network, and write a run folder."""


class Runs(Message, frozen=True):
    """List the saved runs."""


class Load(Message, frozen=True):
    """Go on from a saved run."""

    run: Name


class Script(Message, frozen=True):
    """Write the Python that trains the same network."""


class Figure(Message, frozen=True):
    """Draw a figure."""

    figure: Literal["training", "accuracy", "states", "gradient", "eigenvalues", "graph"]
    format: Literal["svg", "png"]


MESSAGES: dict[str, type[Message]] = {str(one.__struct_config__.tag): one for one in Message.__subclasses__()}
_decoder = msgspec.json.Decoder(reduce(operator.or_, MESSAGES.values()))


def parse(text: str) -> Message:
    """Return a message of the page.

    Raises
    ------
    InvalidArgument
        When it is none; the error says what is wrong with it.
    """
    if len(text) > LONGEST_MESSAGE:
        raise InvalidArgument(f"a message must have at most {LONGEST_MESSAGE:,} characters, not {len(text):,}")
    try:
        message: Message = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidArgument(f"this is not a message of the page: {_checks.printable(str(error))}") from None
    except RecursionError:
        raise InvalidArgument("a message must not be nested that deep") from None
    return message


def as_json(message: dict[str, Any]) -> str:
    """Return a message to the page as JSON, which has null for NaN and infinity."""
    return msgspec.json.encode(message).decode()


class Outbox:
    """Messages to the page in their order: of what changes all the time only the latest, and every answer.

    Safe in threads. `wake` is called whenever there is something to take.
    """

    def __init__(self) -> None:
        self.wake: Callable[[], None] = _nobody
        self._lock = threading.Lock()
        # What replaces an earlier message is under its kind, answers are under their numbers.
        self._messages: dict[str | int, dict[str, Any]] = {}
        self._answers = 0

    def show(self, kind: str, **content: Any) -> None:
        """Leave a message that replaces an earlier one of its kind."""
        with self._lock:
            self._messages[kind] = {"type": kind, **content}
        self.wake()

    def answer(self, kind: str, **content: Any) -> None:
        """Leave an answer; those that nobody takes are lost, the oldest first."""
        with self._lock:
            self._answers += 1
            self._messages[self._answers] = {"type": kind, **content}
            self._messages.pop(self._answers - MOST_ANSWERS, None)
        self.wake()

    def begin(self, kind: str, **content: Any) -> None:
        """Leave an answer with which something new begins: what was shown before is out of date."""
        with self._lock:
            self._messages = {key: message for key, message in self._messages.items() if isinstance(key, int)}
        self.answer(kind, **content)

    def pending(self, kind: str) -> dict[str, Any] | None:
        """Return the latest message of a kind if it was not taken yet."""
        with self._lock:
            return self._messages.get(kind)

    def take(self) -> list[dict[str, Any]]:
        """Return all messages and forget them."""
        with self._lock:
            taken, self._messages = list(self._messages.values()), {}
        return taken


def _nobody() -> None:
    """Nobody listens."""
