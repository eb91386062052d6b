"""The bench of one page: the network that is trained, the one that is pinned, the sequence that is looked at."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

from myrnn.errors import InvalidArgument, MyRNNError, NotFinite
from myrnn.playground import _looks
from myrnn.playground._compiling import Compiling
from myrnn.playground._network import MOST_ITERATIONS, Network
from myrnn.playground._outbox import Outbox
from myrnn.playground._trial import MOST, Trial, portion
from myrnn.playground._views import Views

# The folders of an absolute path, before the name of a file.
_FOLDERS = re.compile(r"(?<![\w./\\])(?:[A-Za-z]:[/\\]|\\\\|/)(?:[^\s:'\"/\\]+[/\\])+")
# The shortest time between two pictures of a training, in seconds.
TICK = 0.05
# Slower than so many iterations a second, every sequence that is learned from is told.
FOLLOWED = 25.0
COMPILING = "Compiling this cell. This takes a few seconds the first time; the result is kept."
# How many sequences of each length are enough to know a network that rests; how many are searched for mistakes.
ENOUGH, SEARCHED = 400, 2000


class Bench:
    """Trains and looks.

    Parameters
    ----------
    tokens : list of int
        The sequence that is looked at.
    outbox : Outbox
        Where what there is to tell goes.

    Attributes
    ----------
    views : Views
    network, pinned : Network or None
    playing : bool
    speed : float
        Iterations a second; 0 is as fast as it goes.
    due : float
        When the next iterations are, by the clock ``time.monotonic``.
    steps : list of callable
        What is still to be loaded and checked before the network can be trained and looked at.
    compiling : Future or None
        Done when what they load has been compiled.
    tokens, state, family
        The sequence that is looked at, the state that is shown of it, and the kind of mistakes that are looked for.
    """

    def __init__(self, tokens: list[int], outbox: Outbox) -> None:
        self.outbox, self.views = outbox, Views()
        self.network: Network | None = None
        self.pinned: Network | None = None
        self.playing, self.speed, self.due = False, 0.0, 0.0
        self.steps: list[Callable[[], object]] = []
        self.compiling: Future[None] | None = None
        self._is_asked = True
        self.tokens, self.state, self.family = tokens, "", "trained"
        self._trial = Trial(ENOUGH)
        self._draws = 0
        # The eigenvalues that the network began with.
        self._began: list[dict[str, Any]] = []
        self._told = 0.0
        # Why there is no network with the settings that were chosen last.
        self._missing = ""
        self._sent, self._sent_width = 0, 1
        self._pinned_told: dict[str, Any] = {"network": None}
        # The network that waits until a tour is over, with its first eigenvalues, and what was pinned then.
        self._aside: tuple[Network, list[dict[str, Any]], Network | None, dict[str, Any]] | None = None

    # Training --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Network:
        """The network that is trained."""
        if self.network is None:
            raise InvalidArgument(self._missing or "choose other settings")
        return self.network

    def await_chosen(self) -> None:
        """Forget why there was no network with the settings before these."""
        self._missing = ""

    def begin(self, network: Network, began: list[dict[str, Any]] | None = None) -> None:
        """Put a network in the place of the one before; `began` are its first eigenvalues, by default those of now."""
        self.network, self.playing, self.state = network, False, ""
        self._trial = Trial(ENOUGH)
        self._await(network.preparations())
        self._sent, self._sent_width = 0, 1
        self.views.forget()
        self._began = _looks.eigenvalues_or_none(network) if began is None else began
        self._tell_network()
        self.tell_training()

    def adjust(self, settings: dict[str, Any]) -> bool:
        """Let the network go on with other settings; return whether it can."""
        if self.network is None or not self.network.adjust(settings):
            return False
        self._await(self.network.preparations())
        self.outbox.answer("adjusted", settings=self.network.settings)
        self.tell_status()
        return True

    def set_aside(self) -> None:
        """Let the network and the pinned one wait, unless others wait already."""
        if self._aside is None and self.network is not None:
            self._aside = self.network, self._began, self.pinned, self._pinned_told

    def take_back(self) -> None:
        """Go on with the network that waits, and with what was pinned beside it."""
        if self._aside is None:
            return
        network, began, self.pinned, self._pinned_told = self._aside
        self._aside = None
        self._missing = ""
        self.begin(network, began)
        self.tell_pinned()

    @property
    def waits(self) -> bool:
        """Whether nothing can be done with the network before it is compiled."""
        return self.compiling is not None and not self.compiling.done()

    def _await(self, steps: list[Callable[[], object]]) -> None:
        """Do these steps before anything else, after `compile`."""
        self.steps, self._is_asked = steps, False
        self.wait_no_longer()

    def wait_no_longer(self) -> None:
        """Do not compile what a network was waiting for, unless that is under way."""
        if self.compiling is not None:
            self.compiling.cancel()
            self.compiling = None

    def compile(self, compiling: Compiling, finished: Callable[[], None]) -> None:
        """Ask for the programs of a new network to be compiled, and for `finished` to be called then.

        It needs no turn.
        """
        if self.network is not None and self.steps and not self._is_asked:
            self._is_asked = True
            self.compiling = compiling.start(self.network.programs(), finished)

    def prepare(self) -> None:
        """Load and check the next program."""
        step = self.steps.pop(0)
        try:
            step()
        except BaseException:
            # It is no recurrence after all.
            self.network, self.steps, self.playing = None, [], False
            raise
        if not self.steps:
            self.due = time.monotonic()
        self.tell_status()

    def train(self, seconds: float) -> None:
        """Train for about so many seconds, or as much as is due at a lower speed."""
        network = self.now
        done = network.advance(seconds, max(1, round(self.speed * TICK)) if self.speed else MOST_ITERATIONS)
        now = time.monotonic()
        if self.speed:
            # Whoever was late does not hurry afterwards.
            self.due = max(self.due + done / self.speed, now)
        if network.ended:
            self.stop(network.ended)
        if now - self._told >= TICK:
            self.tell_training()

    def stop(self, message: str) -> None:
        """Pause, and say why: as long as there is no network, if this is why; else once."""
        self.playing = False
        if self.network is None and not self._missing:
            self._missing = message
        else:
            self.outbox.answer("error", message=message)
        self.tell_status()

    def tell_all(self) -> None:
        """Tell everything again, to a page that knows nothing of it."""
        if self.network is not None:
            self._tell_network()
            self._sent = 0
            self.tell_training()
        self.tell_pinned()
        self.views.forget()

    def _tell_network(self) -> None:
        told = network_told(self.now)
        self.outbox.begin("network", **told, eigenvalues=self._began, aside=self._aside is not None)

    def tell_training(self) -> None:
        """Tell the new points of the curve, and how far the training is."""
        curve = self.now.curve
        if curve.width != self._sent_width:
            self._sent, self._sent_width = 0, curve.width
        pending = self.outbox.pending("curve")
        first = self._sent if pending is None else min(self._sent, pending["first"])
        loss, accuracy = curve.since(first)
        self.outbox.show("curve", first=first, width=curve.width, loss=loss, accuracy=accuracy)
        # The last point may still change.
        self._sent = max(0, first + len(loss) - 1)
        self._told = time.monotonic()
        self.tell_status()

    def tell_status(self) -> None:
        """Tell what is going on."""
        told: dict[str, Any] = {"playing": self.playing, "speed": self.speed}
        if self.steps:
            told["busy"] = COMPILING
        network = self.network
        if network is None and self._missing:
            told["busy"] = f"There is no network with these settings: {self._missing}"
        if network is not None:
            told |= {"iteration": network.iteration, "before": network.done_before}
            told |= {"engine": "native" if network.compiled else "mygrad", "note": without_folders(network.note)}
            if network.iteration and (not self.playing or 0 < self.speed <= FOLLOWED):
                told["last"] = _last_of(network)
        self.outbox.show("status", **told)

    def pin(self) -> None:
        """Keep the network that is trained, to compare with."""
        pinned = self.now
        loss, accuracy = pinned.curve.since(0)
        told = {
            "network": network_told(pinned),
            "iteration": pinned.iteration + pinned.done_before,
            "curve": {"width": pinned.curve.width, "loss": loss, "accuracy": accuracy},
            "accuracy": _looks.accuracy_told(self._trial.report(pinned)),
            "gradient": _looks.gradient(pinned) if pinned.compiled else None,
        }
        # Not before all of it is known: a class of the person's own may fail.
        self.pinned, self._pinned_told = pinned, told
        self.tell_pinned()

    def unpin(self) -> None:
        """Let the pinned network go."""
        self.pinned, self._pinned_told = None, {"network": None}
        self.tell_pinned()

    def tell_pinned(self) -> None:
        """Tell all of the pinned network, which stays as it is."""
        self.outbox.answer("pinned", **self._pinned_told)

    # Looking ---------------------------------------------------------------------------------------------------------

    def next_view(self) -> str | None:
        """Return what is due for a look."""
        if self.network is None or self.steps:
            return None
        return self.views.next(self._state_of, not self.playing)

    def look(self, seconds: float) -> None:
        """Look at all that is due, but at nothing more after so many seconds."""
        begin = time.monotonic()
        while (view := self.next_view()) is not None:
            shown, start = self._state_of(view), time.monotonic()
            try:
                seen = self._see(view)
            # Also what a class of the person's own raises, of whatever kind: the view has had its look, and the others
            # and the training go on.
            except BaseException as error:
                seen = {"problem": reason(error)}
            self.outbox.show(view, **{"iteration": self.now.iteration, **seen})
            self.views.looked(view, shown, time.monotonic() - start, self.playing and not self.speed)
            if time.monotonic() - begin > seconds:
                return

    def _state_of(self, view: str) -> Hashable:
        """Return what decides over what a view shows."""
        network = self.network
        common = (id(network), network.moment if network else None, id(self.pinned))
        own: dict[str, Hashable] = {
            "row": (tuple(self.tokens), self.state),
            "accuracy": self._trial.parts(network) if network else 0,
            "mistakes": self.family,
        }
        return (*common, own.get(view))

    def _see(self, view: str) -> dict[str, Any]:
        network = self.now
        if view == "accuracy":
            return _looks.accuracy_told(self._trial.report(network))
        if view == "mistakes":
            self._draws += 1
            return _looks.mistakes(network, self.family, SEARCHED * portion(network) // MOST, self._draws)
        if network.compiled is None:
            raise InvalidArgument(f"this model cannot be compiled, so it cannot be looked into: {network.note}")
        if view == "gradient":
            return _looks.gradient(network)
        return {"matrices": _looks.eigenvalues(network)} if view == "eigenvalues" else self._row(network)

    def _row(self, network: Network) -> dict[str, Any]:
        # The sequence may be one of an alphabet that was larger.
        tokens = [min(token, network.task.alphabet_size - 1) for token in self.tokens]
        seen, pinned = _looks.row(network, tokens, self.state), self.pinned
        if pinned is not None and pinned.compiled is not None and max(tokens) < pinned.task.alphabet_size:
            with contextlib.suppress(NotFinite):
                seen["pinned"] = _looks.row(pinned, tokens, self.state)
        return seen


def reason(error: BaseException) -> str:
    """Return what the page says of an error, in a line."""
    text = str(error) if isinstance(error, MyRNNError) else f"{type(error).__name__}: {error}"
    return without_folders(" ".join(text.split()))


def without_folders(text: str) -> str:
    """Return a text in which files have no folders: where they lie on the server is nobody's business."""
    return _FOLDERS.sub("", text)


def network_told(network: Network) -> dict[str, Any]:
    """Return what the page must know of a network before anything else."""
    told: dict[str, Any] = {"settings": network.settings, "unrepeatable": network.unrepeatable}
    before = network.before
    if before is not None:
        told["past"] = {name: getattr(before, name).tolist() for name in ("iteration", "loss", "accuracy")}
    return told


def _last_of(network: Network) -> dict[str, Any]:
    """Return what the latest iteration learned from, and what it came to before the network learned."""
    tokens = network.last_tokens
    return {"tokens": tokens, "truth": _looks.truth_of(network.task, tokens), "loss": network.last_loss}
