"""What a session does for each message of its page."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from myrnn.errors import InvalidArgument
from myrnn.models import OwnModel
from myrnn.playground import _keep, _looks
from myrnn.playground._bench import COMPILING, Bench, without_folders
from myrnn.playground._network import Network
from myrnn.playground._script import script
from myrnn.playground._settings import checked_settings
from myrnn.playground._trial import tested

# What is left to do of a message that takes long: without MyGrad, or in turns of its own.
Rest = Callable[[], None]

# A sequence of a class is drawn at most so many times.
_TRIES = 60
# How many sequences of each length a run is tested on.
EACH = 500


class Answers:
    """Answers messages, one method a kind.

    Parameters
    ----------
    bench : Bench
    turn : callable
        ``with turn():`` is a turn with MyGrad, for what is left to do after this one.
    own : OwnModel, optional
        The person's own class.
    """

    def __init__(
        self, bench: Bench, turn: Callable[[], AbstractContextManager[None]], own: OwnModel | None = None
    ) -> None:
        self._bench, self._turn, self._own = bench, turn, own
        self._rng = np.random.default_rng()

    def answer(self, kind: str, fields: dict[str, Any]) -> Rest | None:
        """Do what a message asks for; what is returned is still to be done."""
        handler: Callable[..., Rest | None] = getattr(self, f"_do_{kind}")
        return handler(**fields)

    # Training --------------------------------------------------------------------------------------------------------

    def _do_configure(self, settings: dict[str, Any], anew: bool) -> None:
        self._bench.await_chosen()
        checked_settings(settings)
        if not anew and self._bench.adjust(settings):
            return
        self._begin(lambda: Network(settings, self._own.make if self._own else None))

    def _begin(self, make: Callable[[], Network]) -> None:
        bench = self._bench
        bench.outbox.show("status", playing=False, speed=bench.speed, busy=COMPILING)
        bench.playing = False
        try:
            bench.begin(make())
        except BaseException:
            bench.tell_status()
            raise

    def _do_refresh(self) -> None:
        self._bench.tell_all()

    def _do_play(self) -> None:
        self._bench.now.check_goes_on()
        self._bench.playing, self._bench.due = True, time.monotonic()
        self._bench.tell_status()

    def _do_pause(self) -> None:
        self._bench.playing = False
        self._bench.tell_status()

    def _do_step(self) -> None:
        self._bench.playing = False
        self._bench.now.advance(0.0, 1)
        self._bench.tell_training()

    def _do_reset(self) -> None:
        network = self._bench.now
        if network.unrepeatable:
            raise InvalidArgument(network.unrepeatable)
        self._do_configure(network.settings, anew=True)

    def _do_speed(self, speed: float) -> None:
        self._bench.speed, self._bench.due = speed, time.monotonic()
        self._bench.tell_status()

    # Looking ---------------------------------------------------------------------------------------------------------

    def _do_tokens(self, tokens: list[int]) -> None:
        self._bench.tokens = tokens
        self._bench.views.forget("row")

    def _do_draw(self, kind: str, length: int) -> None:
        task = self._bench.now.task
        for _ in range(_TRIES):
            drawn = task.sample_lengths([max(2, length - length % 2)], self._rng)
            if drawn.labels[0] == (kind == "match"):
                break
        self._do_tokens(drawn.tokens(0).tolist())

    def _do_state(self, name: str) -> None:
        self._bench.state = name
        self._bench.views.forget("row")

    def _do_watch(self, views: list[str]) -> None:
        self._bench.views.watched = frozenset(views)

    def _do_family(self, family: str) -> None:
        self._bench.family = family
        self._bench.views.forget("mistakes")

    def _do_unit(self, unit: int) -> None:
        self._bench.outbox.answer("unit", **_looks.unit(self._bench.now, unit, self._bench.state))

    def _do_set_aside(self) -> None:
        self._bench.set_aside()

    def _do_take_back(self) -> None:
        self._bench.take_back()

    def _do_shortcuts(self) -> Rest:
        task = self._bench.now.longer
        return lambda: self._bench.outbox.answer("shortcuts", **_looks.shortcut_levels(task))

    def _do_recurrence(self) -> None:
        network = self._bench.now
        why = {"equations": without_folders(network.note), "svg": None}
        self._bench.outbox.answer("recurrence", **(_looks.recurrence(network) if network.compiled else why))

    def _do_pin(self) -> None:
        self._bench.pin()
        self._do_configure(self._bench.now.settings, anew=True)

    def _do_unpin(self) -> None:
        self._bench.unpin()

    # Keeping ---------------------------------------------------------------------------------------------------------

    def _do_save(self) -> Rest:
        network, outbox = self._bench.now, self._bench.outbox
        _keep.check_can_be_saved(network)

        def save() -> None:
            folder = _keep.save(network, tested(network, EACH, self._turn), self._turn)
            command = _keep.opening_command(folder, network, self._own)
            outbox.answer("saved", folder=folder.as_posix(), command=command, runs=_keep.listed_runs())

        return save

    def _do_runs(self) -> None:
        self._bench.outbox.answer("runs", runs=_keep.listed_runs())

    def _do_load(self, run: str) -> None:
        loaded, settings = _keep.load(run, self._own.make if self._own else None)
        self._begin(lambda: Network(settings, run=loaded))

    def _do_script(self) -> None:
        source = None if self._own is None else (self._own.file, self._own.name)
        self._bench.outbox.answer("script", text=script(self._bench.now, source))

    def _do_figure(self, figure: str, format: str) -> Rest:
        network, outbox = self._bench.now, self._bench.outbox
        if figure == "accuracy":

            def draw() -> str:
                return _keep.drawn(tested(network, EACH, self._turn).plot, format)

        else:
            draw = _keep.figure(figure, format, network, self._bench.tokens)
        return lambda: outbox.answer("figure", figure=figure, format=format, content=draw())
