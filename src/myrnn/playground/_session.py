"""One tab of the page: a bench, and the thread that works at it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from typing import Any

from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.models import OwnModel
from myrnn.playground._answers import Answers
from myrnn.playground._bench import Bench, reason
from myrnn.playground._compiling import Compiling
from myrnn.playground._memory import give_back
from myrnn.playground._outbox import Outbox
from myrnn.playground._settings import checked_settings
from myrnn.playground._turns import Turns

_log = logging.getLogger("myrnn.playground")

# How long one turn of training takes at most, and of looking, in seconds; many sessions share the time of a round.
TURN, ROUND = 0.045, 0.15
# What a hand does and an eye waits for; whatever else takes time, nobody waits for so impatiently.
QUICK = frozenset({"refresh", "play", "pause", "step", "speed", "tokens", "draw", "state", "watch", "family", "unit"})
# What runs the network, and waits until it is compiled.
NATIVE = frozenset({"step", "pin", "save", "figure"})
# What changes the network, and waits behind a network that is still to be pinned or saved.
CHANGES = frozenset({"configure", "reset", "load", "play", "unpin", "set_aside", "take_back"})
# What the next of its kind takes the place of.
REPLACED = frozenset({"configure", "tokens"})
# More messages than this at a time are refused.
MOST_WAITING = 200
_TOO_MANY = f"{MOST_WAITING} messages are waiting already: give it a moment"
# No time to wait, but time for others.
_AT_ONCE = 0.0001

Message = tuple[str, dict[str, Any]]


class Session:
    """Trains a network in a thread of its own, and answers the messages of one page.

    Parameters
    ----------
    settings : dict
        Of the first network.
    tokens : list of int
        The sequence that is looked at.
    turns : Turns
    compiling : Compiling
        Shared by all sessions, like the turns.
    own : OwnModel, optional
        The person's own class.

    Attributes
    ----------
    outbox : Outbox
    """

    def __init__(
        self,
        settings: dict[str, Any],
        tokens: list[int],
        *,
        turns: Turns,
        compiling: Compiling,
        own: OwnModel | None = None,
    ) -> None:
        self.outbox, self._turns, self._compiling = Outbox(), turns, compiling
        self._held: deque[Message] = deque()
        self._messages: queue.Queue[Message | None] = queue.Queue(MOST_WAITING)
        self._closed = threading.Event()
        self.submit("configure", {"settings": checked_settings(settings), "anew": True})
        self._thread = threading.Thread(target=self._work, args=(tokens, own), name="myrnn-playground", daemon=True)
        self._thread.start()

    def submit(self, kind: str, fields: dict[str, Any]) -> None:
        """Leave a message, already checked, for the session to answer.

        Raises
        ------
        InvalidArgument
            When too many are waiting.
        """
        try:
            self._messages.put_nowait((kind, fields))
        except queue.Full:
            raise InvalidArgument(_TOO_MANY) from None
        if kind in QUICK:
            self._turns.hurry(self)

    def close(self) -> None:
        """Let the thread end and let go of the networks; it returns at once."""
        self._closed.set()
        self._wake()

    def join(self, seconds: float) -> bool:
        """Wait for the end of the thread; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self, tokens: list[int], own: OwnModel | None) -> None:
        self._run(tokens, own)
        give_back()

    def _run(self, tokens: list[int], own: OwnModel | None) -> None:
        # Nobody else holds the bench: with the end of this, the networks are let go.
        bench = Bench(tokens, self.outbox)
        answers = Answers(bench, self._turn, own)
        while not self._closed.is_set():
            message = self._next_message(bench)
            if self._closed.is_set():
                break
            try:
                self._take_turn(bench, answers, message)
            except MyRNNError as error:
                bench.stop(reason(error))
            # Also what ends a program, which a class of the person's own may raise: the page would wait for ever.
            except BaseException as error:
                _log.exception("the playground failed")
                bench.stop(reason(error))
        bench.wait_no_longer()

    def _next_message(self, bench: Bench) -> Message | None:
        if self._held and not bench.steps:
            return self._held.popleft()
        try:
            return self._messages.get(timeout=_patience(bench))
        except queue.Empty:
            return None

    def _latest(self, message: Message | None) -> Message | None:
        """Return a message, or the last of those behind it where all of them choose settings, or a sequence."""
        while message is not None and message[0] in REPLACED and self._is_next(message[0]):
            latest = self._messages.get_nowait()
            assert latest is not None
            kind, fields = latest
            if kind == "configure":
                fields = {**fields, "anew": fields["anew"] or message[1]["anew"]}
            message = kind, fields
        return message

    def _is_next(self, kind: str) -> bool:
        with self._messages.mutex:
            waiting = self._messages.queue
            return bool(waiting and waiting[0] and waiting[0][0] == kind)

    def _take_turn(self, bench: Bench, answers: Answers, message: Message | None) -> None:
        rest = None
        with self._turn(message is not None and message[0] in QUICK):
            if message is None:
                # What has come since then goes first.
                with contextlib.suppress(queue.Empty):
                    message = self._messages.get_nowait()
            message = self._latest(message)
            if message is not None and bench.steps and self._must_wait(message[0]):
                self._hold(message)
            elif message is not None:
                rest = answers.answer(*message)
            elif bench.steps:
                if not bench.waits:
                    bench.prepare()
            elif bench.playing and time.monotonic() >= bench.due:
                bench.train(self._share())
            bench.look(self._share())
        # What takes long and needs no MyGrad is done after the turn.
        bench.compile(self._compiling, self._wake)
        if rest is not None:
            rest()

    def _must_wait(self, kind: str) -> bool:
        """Return whether a message has to wait until the network is compiled."""
        keeps = any(held in CHANGES or held in ("pin", "save") for held, _ in self._held)
        return kind in NATIVE or (keeps and kind in CHANGES)

    def _hold(self, message: Message) -> None:
        if len(self._held) == MOST_WAITING:
            raise InvalidArgument(_TOO_MANY)
        self._held.append(message)

    def _wake(self) -> None:
        """Let the thread see what there is to do."""
        with contextlib.suppress(queue.Full):
            self._messages.put_nowait(None)

    def _turn(self, hurried: bool = False) -> AbstractContextManager[None]:
        return self._turns.turn(self, hurried)

    def _share(self) -> float:
        """Return how many seconds of a turn training or looking may take."""
        return min(TURN, ROUND / (1 + self._turns.waiting))


def _patience(bench: Bench) -> float | None:
    """Return how long to wait for a message: until there is something to do; None is for ever."""
    if bench.waits:
        return None
    if bench.steps:
        return _AT_ONCE
    if bench.playing:
        return max(_AT_ONCE, bench.due - time.monotonic()) if bench.speed else _AT_ONCE
    return None if bench.next_view() is None else _AT_ONCE
