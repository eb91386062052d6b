"""The sessions of a server: each is one tab of the page, with a network that trains and answers messages.

MyGrad has global switches, so two models cannot run in one process at the same time: the sessions take turns, in the
order of their requests.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import numpy as np
from anyio import CancelScope, CapacityLimiter, to_thread
from anyio.abc import TaskGroup

from myrnn.compiler.cache import begin_to_compile, is_known
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.evaluation import LengthReport
from myrnn.playground import keep, messages, views
from myrnn.playground.bench import Bench, reason, without_folders
from myrnn.playground.material import Material, data_of
from myrnn.playground.messages import Message, Outbox
from myrnn.playground.network import ModelClass, Network
from myrnn.playground.settings import checked_settings

_log = logging.getLogger("myrnn.playground")

MOST_SESSIONS = 40
# How long a session waits for a page that lost its connection, in seconds.
PATIENCE = 30.0
# The longest turn of training and of updating views, in seconds; many sessions share the time of a round.
TURN, ROUND = 0.045, 0.15
# Further messages are refused.
MOST_WAITING = 200
_TOO_MANY = f"{MOST_WAITING} messages are waiting already: give it a moment"
# The test sequences per length of a saved run.
EACH = 500

# Messages that run the network, and wait until it is compiled.
_NATIVE = frozenset(["step", "pin", "save", "figure"])
# Messages that change the network, and wait for a pending pin or save.
_CHANGES = frozenset(["configure", "reset", "load", "play", "unpin", "set_aside", "take_back"])
# Of these only the last counts if several wait.
_REPLACED = frozenset(["configure", "tokens"])

# Work that remains after a turn: it takes long and needs no MyGrad, or takes its own turns.
Later = Callable[[], Awaitable[None]]


@dataclass
class Shared:
    """Resources of all sessions of a server: one at a time runs a model, one draws, and one compiles."""

    turns: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    # Drawing may run besides a model: Matplotlib and MyGrad do not interfere.
    drawing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    # On two cores, one is left for training.
    compiler: anyio.Lock = field(default_factory=anyio.Lock)


class Session:
    """Trains a network, and answers the messages of one page."""

    # It begins with a network of `settings` and the sequence `tokens`; `own` is the user-defined class.

    def __init__(
        self, settings: dict[str, Any], tokens: list[int], shared: Shared, own: ModelClass | None = None
    ) -> None:
        self.outbox = Outbox()
        self._bench = Bench(tokens, self.outbox)
        self._shared, self._own = shared, own
        self._rng = np.random.default_rng()
        # Those of the last loaded run on data.
        self._data: Material | None = None
        self._waiting: list[Message] = []
        self._news = asyncio.Event()
        # The steps whose programs were requested last, and those whose programs are still being compiled.
        self._asked: object = None
        self._compiling: object = None
        self.submit(messages.Configure(settings=checked_settings(settings), anew=True))

    def submit(self, message: Message) -> None:
        """Queue a message for the session; raises InvalidArgument when too many are waiting."""
        if len(self._waiting) >= MOST_WAITING:
            raise InvalidArgument(_TOO_MANY)
        self._waiting.append(message)
        self._news.set()

    async def run(self) -> None:
        """Train and answer until this is cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    await self._ask_for_programs(tasks)
                    self._news.clear()
                    with anyio.move_on_after(self._patience()):
                        await self._news.wait()
                    share = min(TURN, ROUND / (1 + self._shared.turns.statistics().tasks_waiting))
                    later = await self._in_turn(self._work, share)
                    if later is not None:
                        await later()
                # Catch everything: otherwise the page would wait for ever.
                except Exception as error:
                    if not isinstance(error, MyRNNError):
                        _log.exception("the playground failed")
                    self._bench.stop(reason(error))

    def _patience(self) -> float | None:
        """Return how long to wait for a message, until there is something to do; None is for ever."""
        bench = self._bench
        if self._next_place() is not None:
            return 0.0
        if bench.steps:
            return None if self._compiling is not None else 0.0
        if bench.playing:
            return max(0.0, bench.due - time.monotonic()) if bench.speed else 0.0
        return None if bench.next_view() is None else 0.0

    async def _in_turn(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do work with MyGrad in a thread during this session's turn."""
        return await to_thread.run_sync(_contained, work, *arguments, limiter=self._shared.turns)

    def _work(self, share: float) -> Later | None:
        """Answer a message, or train for this many seconds; then update views."""
        bench, later = self._bench, None
        message = self._next_message()
        if message is not None:
            later = self._answer(message)
        elif bench.steps:
            if self._compiling is None:
                bench.prepare()
        elif bench.playing and time.monotonic() >= bench.due:
            bench.train(share)
        bench.look(share)
        return later

    # Messages --------------------------------------------------------------------------------------------------------

    def _next_place(self) -> int | None:
        """Return the index of the first message that can be answered now, or None."""
        # Whether the network is still to be pinned or saved, or to be changed after that.
        keeps = False
        for place, message in enumerate(self._waiting):
            waits = message.kind in _NATIVE or (keeps and message.kind in _CHANGES)
            if not (waits and self._bench.steps):
                return place
            keeps = keeps or message.kind in {*_CHANGES, "pin", "save"}
        return None

    def _next_message(self) -> Message | None:
        place = self._next_place()
        if place is None:
            return None
        message, waiting = self._waiting.pop(place), self._waiting
        while message.kind in _REPLACED and place < len(waiting) and waiting[place].kind == message.kind:
            latest = waiting.pop(place)
            if isinstance(message, messages.Configure) and isinstance(latest, messages.Configure):
                latest = messages.Configure(latest.settings, latest.anew or message.anew)
            message = latest
        return message

    def _answer(self, message: Message) -> Later | None:
        """Answer a message; the returned work remains to be done."""
        bench = self._bench
        off = {} if bench.network is None else bench.network.off
        if message.kind in off:
            raise InvalidArgument(off[message.kind])
        match message:
            case messages.Configure(settings, anew):
                self._configure(settings, anew)
            case messages.Speed(speed):
                bench.choose_speed(speed)
            case messages.Look(tokens):
                bench.look_at(tokens)
            case messages.DrawSequence(label, length):
                self._draw(label, length)
            case messages.ChooseState(name):
                bench.show_state(name)
            case messages.Watch(watched):
                bench.views.watched = frozenset(watched)
            case messages.Family(family):
                bench.choose_family(family)
            case messages.Unit(unit):
                self.outbox.answer("unit", **views.unit(bench.now, unit, bench.state))
            case messages.Load(run):
                loaded, settings = keep.load(run, self._own)
                if loaded.task is None:
                    self._data = data_of(loaded)
                bench.begin(lambda: Network(settings, run=loaded, data=self._data))
            case messages.Figure(figure, form):
                return partial(self._figure, bench.now, figure, form)
            case _:
                return self._act(message.kind)
        return None

    def _act(self, kind: str) -> Later | None:
        """Answer a message that is only a word."""
        bench, outbox = self._bench, self.outbox
        acts: dict[str, Callable[[], None]] = {
            "refresh": bench.show_all,
            "play": bench.play,
            "pause": bench.pause,
            "step": bench.step,
            "unpin": bench.unpin,
            "set_aside": bench.set_aside,
            "take_back": bench.take_back,
            "runs": lambda: outbox.answer("runs", runs=keep.listed_runs()),
        }
        if kind in acts:
            acts[kind]()
            return None
        network = bench.now
        match kind:
            case "pin":
                bench.pin()
                self._configure(network.settings, anew=True)
            case "reset":
                self._configure(network.settings, anew=True)
            case "recurrence":
                why = {"equations": without_folders(network.note), "svg": None}
                outbox.answer("recurrence", **(views.recurrence(network) if network.compiled else why))
            case "script":
                outbox.answer("script", text=keep.script(network, self._own))
            case "shortcuts":
                return partial(self._shortcuts, network)
            case "save":
                keep.check_can_be_saved(network)
                return partial(self._save, network)
        return None

    def _configure(self, settings: dict[str, Any], anew: bool) -> None:
        self._bench.forget_problem()
        settings = checked_settings(settings)
        if anew or not self._bench.adjust(settings):
            self._bench.begin(lambda: Network(settings, self._own, data=self._data))

    def _draw(self, label: int | None, length: int) -> None:
        material = self._bench.now.material
        if label is None and not material.per_step:
            raise InvalidArgument("name the class of the sequence")
        drawn = material.like(label, length, self._rng)
        self._bench.look_at(drawn.tokens(0).tolist())

    async def _shortcuts(self, network: Network) -> None:
        self.outbox.answer("shortcuts", **await to_thread.run_sync(views.shortcut_levels, network.material.tested))

    async def _save(self, network: Network) -> None:
        folder = await self._in_turn(keep.save, network, await self._tested(network))
        command = keep.opening_command(folder, network, self._own)
        runs = await to_thread.run_sync(keep.listed_runs)
        self.outbox.answer("saved", folder=folder.as_posix(), command=command, runs=runs)

    async def _figure(self, network: Network, figure: str, form: str) -> None:
        if figure == "accuracy":
            draw = partial(keep.drawn, (await self._tested(network)).plot, form)
        else:
            draw = await self._in_turn(keep.figure, figure, form, network, self._bench.tokens)
        content = await to_thread.run_sync(draw, limiter=self._shared.drawing)
        self.outbox.answer("figure", figure=figure, format=form, content=content)

    async def _tested(self, network: Network) -> LengthReport:
        """Test a network in several turns, so that the other sessions do not wait."""
        report: LengthReport = await self._in_turn(views.tried_further, network, None, EACH)
        while (further := await self._in_turn(views.tried_further, network, report, EACH)) is not report:
            report = further
        return report

    # Compiling -------------------------------------------------------------------------------------------------------

    async def _ask_for_programs(self, tasks: TaskGroup) -> None:
        """Start compiling the programs of a new network; meanwhile, messages are answered."""
        # A network that needs other programs has other steps.
        steps = self._bench.steps
        if steps is self._asked:
            return
        self._asked, self._compiling = steps, None
        network = self._bench.network
        if network is None or not steps:
            return
        programs = await to_thread.run_sync(network.programs)
        if not all(map(is_known, programs)):
            self._compiling = steps
            tasks.start_soon(self._compile, programs, steps)

    async def _compile(self, programs: list[str], steps: object) -> None:
        async with self._shared.compiler:
            # Another network may have replaced it in the meantime.
            if self._compiling is steps:
                try:
                    await _compile_apart(programs)
                # Compile here what failed in the other process.
                except OSError as error:
                    _log.warning("compiling in a process of its own failed: %s", error)
        if self._compiling is steps:
            self._compiling = None
            self._news.set()


def _contained(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do work; if a user-defined class tries to exit the program, end only the work."""
    try:
        return work(*arguments)
    except Exception:
        raise
    except BaseException as error:
        raise MyRNNError(reason(error)) from error


async def _compile_apart(programs: list[str]) -> None:
    """Compile missing programs in another process, so that this one stays responsive; failures are compiled here."""
    missing = [program for program in programs if not is_known(program)]
    if not missing:
        return
    process = begin_to_compile(missing)
    try:
        _, errors = await to_thread.run_sync(process.communicate, abandon_on_cancel=True)
    except BaseException:
        process.kill()
        raise
    if process.returncode:
        _log.warning("compiling in a process of its own failed: %s", errors.strip())


# All of them ---------------------------------------------------------------------------------------------------------


class Full(InvalidArgument):
    """The limit of sessions is reached."""


@dataclass
class _Entry:
    """A session, its page, and the connection of the page, if there is one."""

    session: Session
    page: str
    connection: CancelScope | None
    left: float = 0.0
    life: CancelScope = field(default_factory=CancelScope)


class Sessions:
    """Opens, finds and frees sessions, up to a limit, while it is open itself."""

    def __init__(self, own: ModelClass | None = None, most: int = MOST_SESSIONS) -> None:
        self.own, self._most, self._shared = own, most, Shared()
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self._entries)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let sessions run during the block."""
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()
        self._entries.clear()

    def attach(
        self, name: str | None, page: str, settings: dict[str, Any], tokens: list[int], connection: CancelScope
    ) -> tuple[str, Session]:
        """Return the session with this name if it waits for this page, otherwise a new one, with its name."""
        # A page is one document in one tab: a copy of the tab has the same name but gets a new session. An earlier
        # connection of the same page, which the server had not noticed to be lost, is cancelled.
        entry = self._entries.get(name or "")
        if name is not None and entry is not None and (entry.page == page or entry.connection is None):
            if entry.connection is not None:
                entry.connection.cancel()
            entry.page, entry.connection = page, connection
            return name, entry.session
        if len(self._entries) >= self._most:
            raise Full(
                f"{self._most} pages are open already, and more would slow them all down: "
                "this one starts when another is closed"
            )
        fresh, session = secrets.token_urlsafe(16), Session(settings, tokens, self._shared, self.own)
        entry = self._entries[fresh] = _Entry(session, page, connection)
        self._tasks.start_soon(self._run, entry)
        return fresh, session

    def detach(self, name: str, connection: CancelScope) -> None:
        """Record that a connection has ended; its page may return for a while."""
        entry = self._entries.get(name)
        if entry is not None and entry.connection is connection:
            entry.connection, entry.left = None, anyio.current_time()
            self._tasks.start_soon(self._free_later, name, entry)

    async def _run(self, entry: _Entry) -> None:
        with entry.life:
            await entry.session.run()

    async def _free_later(self, name: str, entry: _Entry) -> None:
        await anyio.sleep(PATIENCE)
        if entry.connection is None and anyio.current_time() - entry.left >= PATIENCE:
            self._entries.pop(name, None)
            entry.life.cancel()
