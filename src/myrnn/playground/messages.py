"""The messages between the page and its session; messages of the page are checked before they are used."""

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
from myrnn.playground.material import MOST_OF_TASK
from myrnn.playground.settings import LONGEST

# No message of the page is longer.
LONGEST_MESSAGE = 16_384
# The most answers that are kept for a page that does not take them.
MOST_ANSWERS = 50

View = Literal["row", "accuracy", "gradient", "eigenvalues", "mistakes", "text"]
VIEWS: tuple[str, ...] = get_args(View)
Tokens = Annotated[list[Annotated[int, Meta(ge=0, lt=MOST_OF_TASK)]], Meta(min_length=1, max_length=LONGEST)]
Name = Annotated[str, Meta(max_length=200)]
Settings = dict[Name, int | float | bool | str | None]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=str.lower):
    """A request of the page. Its ``type`` is the name of its class in lower case, unless that is given."""

    @property
    def kind(self) -> str:
        """Its ``type``."""
        return str(self.__struct_config__.tag)


class Hello(Message, frozen=True):
    """Begin or resume a session; every loaded document draws its own `page`."""

    session: Name | None
    page: Name
    settings: Settings
    tokens: Tokens


class Configure(Message, frozen=True):
    """Choose settings. With `anew`, a new network begins even if they are unchanged."""

    settings: Settings
    anew: bool


class Speed(Message, frozen=True):
    """Set the iterations per second; 0 is as fast as possible."""

    speed: Annotated[float, Meta(ge=0, le=1e6)]


class Look(Message, frozen=True, tag="tokens"):
    """Choose the displayed sequence."""

    tokens: Tokens


class DrawSequence(Message, frozen=True, tag="draw"):
    """Display a random sequence; `label` is its class, if sequences have one."""

    label: Annotated[int, Meta(ge=0, le=1)] | None
    length: Annotated[int, Meta(ge=1, le=LONGEST)]


class ChooseState(Message, frozen=True, tag="state"):
    """Choose the displayed state."""

    name: Name


class Watch(Message, frozen=True):
    """Keep these views up to date."""

    views: Annotated[list[View], Meta(max_length=len(VIEWS))]


class Family(Message, frozen=True):
    """Search for mistakes in sequences of this family."""

    family: Literal["trained", "longer", "near", "other"]


class Unit(Message, frozen=True):
    """Send the weights that lead into a unit."""

    unit: Annotated[int, Meta(ge=0, le=255)]


class Load(Message, frozen=True):
    """Continue a saved run."""

    run: Name


class Figure(Message, frozen=True):
    """Draw a figure."""

    figure: Literal["training", "accuracy", "states", "gradient", "eigenvalues", "graph"]
    format: Literal["svg", "png"]


# The requests that are only a word, with what they ask for.
_ACTIONS = {
    "refresh": "send everything to a page that knows nothing",
    "play": "train until `pause`",
    "pause": "stop training",
    "step": "do one iteration",
    "reset": "start the same network again",
    "shortcuts": "send the accuracy of simple shortcuts",
    "recurrence": "send the equations of the network",
    "set_aside": "set the network aside while a tour trains its own networks",
    "take_back": "restore the network that was set aside",
    "pin": "keep the network for comparison, and start it again",
    "unpin": "drop the pinned network",
    "save": "test the network, and write a run folder",
    "runs": "list the saved runs",
    "script": "write a Python program that trains the same network",
}
_with_fields = Message.__subclasses__()
_actions: list[Any] = [
    msgspec.defstruct(name, (), bases=(Message,), namespace={"__doc__": what}, frozen=True)
    for name, what in _ACTIONS.items()
]
MESSAGES: dict[str, type[Message]] = {str(one.__struct_config__.tag): one for one in (*_with_fields, *_actions)}
_decoder = msgspec.json.Decoder(reduce(operator.or_, MESSAGES.values()))


def parse(text: str) -> Message:
    """Return a message of the page; raises InvalidArgument with the reason when it is not valid."""
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
    """Return a message to the page as JSON, with null for NaN and infinity."""
    return msgspec.json.encode(message).decode()


class Outbox:
    """Messages to the page in order: only the latest of those that change continually, and all answers."""

    # It is thread-safe. `wake` is called whenever there is something to take.

    def __init__(self) -> None:
        self.wake: Callable[[], None] = _nobody
        self._lock = threading.Lock()
        # Messages that replace earlier ones are stored by kind, answers by number.
        self._messages: dict[str | int, dict[str, Any]] = {}
        self._answers = 0

    def show(self, kind: str, **content: Any) -> None:
        """Add a message that replaces an earlier one of its kind."""
        with self._lock:
            self._messages[kind] = {"type": kind, **content}
        self.wake()

    def answer(self, kind: str, **content: Any) -> None:
        """Add an answer; if nobody takes them, the oldest ones are lost."""
        with self._lock:
            self._answers += 1
            self._messages[self._answers] = {"type": kind, **content}
            self._messages.pop(self._answers - MOST_ANSWERS, None)
        self.wake()

    def begin(self, kind: str, **content: Any) -> None:
        """Add an answer that begins something new, and drop the outdated messages."""
        with self._lock:
            self._messages = {key: message for key, message in self._messages.items() if isinstance(key, int)}
        self.answer(kind, **content)

    def pending(self, kind: str) -> dict[str, Any] | None:
        """Return the latest message of a kind that was not taken yet."""
        with self._lock:
            return self._messages.get(kind)

    def take(self) -> list[dict[str, Any]]:
        """Return all messages and clear the outbox."""
        with self._lock:
            taken, self._messages = list(self._messages.values()), {}
        return taken


def _nobody() -> None:
    """Do nothing."""
