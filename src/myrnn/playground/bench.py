"""The bench of one page: the network in training, the pinned one, and the sequence on display."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from myrnn.errors import InvalidArgument, MyRNNError, NotFinite
from myrnn.playground import views
from myrnn.playground.messages import Outbox
from myrnn.playground.network import MOST_ITERATIONS, Network
from myrnn.playground.settings import ENOUGH, FOLLOWED
from myrnn.playground.views import MOST, Trial, Views, portion

# The folders of an absolute path, before the name of a file.
_FOLDERS = re.compile(r"(?<![\w./\\])(?:[A-Za-z]:[/\\]|\\\\|/)(?:[^\s:'\"/\\]+[/\\])+")
# The shortest time between two updates of a training, in seconds.
TICK = 0.05
COMPILING = "Compiling this cell. This takes a few seconds the first time; the result is kept."
# The number of sequences to search for mistakes.
SEARCHED = 2000


@dataclass(frozen=True)
class Pinned:
    """A network that is kept for comparison, and what the page shows of it, which no longer changes."""

    network: Network
    shown: dict[str, Any]


class Bench:
    """Trains and inspects networks. All of it needs a turn with MyGrad."""

    def __init__(self, tokens: list[int], outbox: Outbox) -> None:
        self.outbox, self.views = outbox, Views()
        self.network: Network | None = None
        self.pinned: Pinned | None = None
        # Iterations per second (0: as fast as possible), and the time (monotonic) of the next ones.
        self.playing, self.speed, self.due = False, 0.0, 0.0
        # Programs that must be loaded and checked before the network can be trained and inspected.
        self.steps: list[Callable[[], object]] = []
        # The sequence on display, the state that is shown for it, and the kind of mistakes to search.
        self.tokens, self.state, self.family = tokens, "", "trained"
        self._trial: Trial | None = None
        self._draws = 0
        self._shown_at = 0.0
        # Why the last chosen settings gave no network.
        self._missing = ""
        # The first point of the curve that the page lacks, and the width of those that it has.
        self._curve_from, self._curve_width = 0, 1
        # The networks that are set aside during a tour.
        self._aside: tuple[Network, Pinned | None] | None = None

    # Training --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Network:
        """The network in training."""
        if self.network is None:
            raise InvalidArgument(self._missing or "choose other settings")
        return self.network

    def begin(self, make: Callable[[], Network]) -> None:
        """Replace the network by the one that `make` returns."""
        self.outbox.show("status", playing=False, speed=self.speed, busy=COMPILING)
        self.playing = False
        try:
            self._put(make())
        except BaseException:
            self.show_status()
            raise

    def forget_problem(self) -> None:
        """Forget the error of earlier settings."""
        self._missing = ""

    def adjust(self, settings: dict[str, Any]) -> bool:
        """Let the network continue with other settings; return whether it can."""
        if self.network is None or not self.network.adjust(settings):
            return False
        self.steps = self.network.preparations()
        self.outbox.answer("adjusted", settings=self.network.settings)
        self.show_status()
        return True

    def play(self) -> None:
        """Train until `pause`."""
        self.now.check_goes_on()
        self.playing, self.due = True, time.monotonic()
        self.show_status()

    def pause(self) -> None:
        """Stop training."""
        self.playing = False
        self.show_status()

    def step(self) -> None:
        """Do one iteration."""
        self.playing = False
        self.now.advance(0.0, 1)
        self.show_training()

    def choose_speed(self, speed: float) -> None:
        """Set the iterations per second."""
        self.speed, self.due = speed, time.monotonic()
        self.show_status()

    def set_aside(self) -> None:
        """Set the current and the pinned network aside, unless others are set aside already."""
        if self._aside is None and self.network is not None:
            self._aside = self.network, self.pinned

    def take_back(self) -> None:
        """Restore the networks that were set aside."""
        if self._aside is None:
            return
        (network, self.pinned), self._aside = self._aside, None
        self.forget_problem()
        self._put(network)
        self.show_pinned()

    def _put(self, network: Network) -> None:
        if network.began is None:
            network.began = views.eigenvalues_or_none(network)
        self.network, self.playing, self.state = network, False, ""
        self.steps = network.preparations()
        self._trial = Trial(network, ENOUGH)
        self._curve_from, self._curve_width = 0, 1
        self.views.offered = frozenset(views.views_of(network))
        self.views.forget()
        self._show_network()
        self.show_training()

    def prepare(self) -> None:
        """Load and check the next program."""
        step = self.steps.pop(0)
        try:
            step()
        except BaseException:
            # It turned out not to be a recurrence.
            self.network, self.steps, self.playing = None, [], False
            raise
        if not self.steps:
            self.due = time.monotonic()
        self.show_status()

    def train(self, seconds: float) -> None:
        """Train for about this many seconds, or the iterations that are due at a lower speed."""
        network = self.now
        done = network.advance(seconds, max(1, round(self.speed * TICK)) if self.speed else MOST_ITERATIONS)
        now = time.monotonic()
        if self.speed:
            # A late training does not catch up.
            self.due = max(self.due + done / self.speed, now)
        if network.ended:
            self.stop(network.ended)
        if now - self._shown_at >= TICK:
            self.show_training()

    def stop(self, message: str) -> None:
        """Pause with a message: once, or, without a network, as long as this is so."""
        self.playing = False
        if self.network is None and not self._missing:
            self._missing = message
        else:
            self.outbox.answer("error", message=message)
        self.show_status()

    # Messages to the page --------------------------------------------------------------------------------------------

    def show_all(self) -> None:
        """Send everything to a page that knows nothing."""
        if self.network is not None:
            self._show_network()
            self._curve_from = 0
            self.show_training()
        self.show_pinned()
        self.views.forget()

    def _show_network(self) -> None:
        self.outbox.begin("network", **_described(self.now), eigenvalues=self.now.began, aside=self._aside is not None)

    def show_training(self) -> None:
        """Send the new points of the curve, and the progress of the training."""
        curve = self.now.curve
        if curve.width != self._curve_width:
            self._curve_from, self._curve_width = 0, curve.width
        pending = self.outbox.pending("curve")
        first = self._curve_from if pending is None else min(self._curve_from, pending["first"])
        loss, accuracy = curve.since(first)
        self.outbox.show("curve", first=first, width=curve.width, loss=loss, accuracy=accuracy)
        # The last point may still change.
        self._curve_from = max(0, first + len(loss) - 1)
        self._shown_at = time.monotonic()
        self.show_status()

    def show_status(self) -> None:
        """Send the current activity."""
        status: dict[str, Any] = {"playing": self.playing, "speed": self.speed}
        network = self.network
        if self.steps:
            status["busy"] = COMPILING
        elif network is None and self._missing:
            status["busy"] = f"There is no network with these settings: {self._missing}"
        if network is not None:
            status |= {"iteration": network.iteration, "before": network.done_before}
            status |= {"engine": network.engine, "note": without_folders(network.note)}
            if network.iteration and (not self.playing or 0 < self.speed <= FOLLOWED):
                tokens = network.last_tokens
                status["last"] = {"tokens": tokens, "loss": network.last_loss}
        self.outbox.show("status", **status)

    def pin(self) -> None:
        """Keep the current network for comparison."""
        pinned = self.now
        loss, accuracy = pinned.curve.since(0)
        shown = {
            "network": _described(pinned),
            "iteration": pinned.iteration + pinned.done_before,
            "curve": {"width": pinned.curve.width, "loss": loss, "accuracy": accuracy},
            "accuracy": None if pinned.material.tested.missing else self._accuracy(),
            "gradient": views.gradient(pinned) if pinned.compiled and "gradient" in self.views.offered else None,
        }
        # Compute all of it first: a user-defined class may fail.
        self.pinned = Pinned(pinned, shown)
        self.show_pinned()

    def unpin(self) -> None:
        """Let the pinned network go."""
        self.pinned = None
        self.show_pinned()

    def show_pinned(self) -> None:
        """Send everything about the pinned network."""
        self.outbox.answer("pinned", **({"network": None} if self.pinned is None else self.pinned.shown))

    # Looking ---------------------------------------------------------------------------------------------------------

    def look_at(self, tokens: list[int]) -> None:
        """Choose another sequence."""
        self.tokens = tokens
        self.views.forget("row")
        self.views.forget("text")

    def show_state(self, name: str) -> None:
        """Choose the displayed state."""
        self.state = name
        self.views.forget("row")

    def choose_family(self, family: str) -> None:
        """Choose the kind of mistakes to search."""
        self.family = family
        self.views.forget("mistakes")

    def next_view(self) -> str | None:
        """Return the next view that is due."""
        if self.network is None or self.steps:
            return None
        return self.views.next(self._state_of, not self.playing)

    def look(self, seconds: float) -> None:
        """Update all views that are due, but start none after this many seconds."""
        begin = time.monotonic()
        while (view := self.next_view()) is not None:
            state, start = self._state_of(view), time.monotonic()
            try:
                seen = self._see(view)
            # A user-defined class may raise any exception: the view counts as updated, and the other views and the
            # training continue.
            except BaseException as error:
                seen = {"problem": reason(error)}
            self.outbox.show(view, **{"iteration": self.now.iteration, **seen})
            self.views.looked(view, state, time.monotonic() - start, self.playing and not self.speed)
            if time.monotonic() - begin > seconds:
                return

    def _state_of(self, view: str) -> Hashable:
        """Return the values that determine the content of a view."""
        network = self.network
        common = (id(network), network.moment if network else None, id(self.pinned))
        own: dict[str, Hashable] = {
            "row": (tuple(self.tokens), self.state),
            "accuracy": self._trial.total if self._trial else 0,
            "mistakes": self.family,
            "text": tuple(self.tokens),
        }
        return (*common, own.get(view))

    def _see(self, view: str) -> dict[str, Any]:
        network = self.now
        if view == "accuracy":
            return self._accuracy()
        if view == "mistakes":
            self._draws += 1
            return views.mistakes(network, self.family, SEARCHED * portion(network) // MOST, self._draws)
        if network.compiled is None:
            raise InvalidArgument(f"this model cannot be compiled, so it cannot be inspected: {network.note}")
        if view == "gradient":
            return views.gradient(network)
        if view == "text":
            self._draws += 1
            return views.text(network, self._readable(network), self._draws)
        return {"matrices": views.eigenvalues(network)} if view == "eigenvalues" else self._row(network)

    def _accuracy(self) -> dict[str, Any]:
        assert self._trial is not None
        return views.accuracy_shown(self._trial.report())

    def _readable(self, network: Network) -> list[int]:
        """Return the sequence on display, with tokens that the network's alphabet may lack replaced."""
        return [min(token, network.task.dim_input - 1) for token in self.tokens]

    def _row(self, network: Network) -> dict[str, Any]:
        tokens = self._readable(network)
        seen, pinned = views.row(network, tokens, self.state), self.pinned
        if pinned is not None and pinned.network.compiled is not None and _reads(pinned.network, network, max(tokens)):
            with contextlib.suppress(NotFinite):
                seen["pinned"] = views.row(pinned.network, tokens, self.state)
        return seen


def _reads(one: Network, other: Network, greatest: int) -> bool:
    """Return whether tokens up to the greatest, and the classes, mean the same in two networks."""
    symbols, others = (network.material.symbol_names[: greatest + 1] for network in (one, other))
    return symbols == others and one.material.class_names == other.material.class_names


def reason(error: BaseException) -> str:
    """Return an error as one line for the page."""
    text = str(error) if isinstance(error, MyRNNError) else f"{type(error).__name__}: {error}"
    return without_folders(" ".join(text.split()))


def without_folders(text: str) -> str:
    """Return a text with folders removed from paths: pages must not learn the folders of the server."""
    return _FOLDERS.sub("", text)


def _described(network: Network) -> dict[str, Any]:
    """Return what the page must know about a network first."""
    material = network.material
    described: dict[str, Any] = {
        "settings": network.settings,
        "task": {
            "told": without_folders(material.description),
            "symbols": material.symbol_names,
            "classes": material.class_names,
            "families": material.families,
            "each": "step" if material.per_step else "sequence",
            "views": views.views_of(network),
            "example": material.example(),
        },
        "off": {name: without_folders(why) for name, why in network.off.items()},
        "is_loaded": network.run is not None,
    }
    before = network.before
    if before is not None:
        described["past"] = {name: getattr(before, name).tolist() for name in ("iteration", "loss", "accuracy")}
    return described
