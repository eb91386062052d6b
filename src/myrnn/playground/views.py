"""The views of a network as plain values, and their schedule: they must cost little of the training time."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from myrnn.errors import InvalidArgument, NotFinite
from myrnn.evaluation import LengthReport, counterexamples, evaluate
from myrnn.generation import generate
from myrnn.graphs import build_graph
from myrnn.inspection import gradient_flow, incoming_weights, inspect, recurrent_eigenvalues
from myrnn.playground.material import TEST_SEED, Material
from myrnn.playground.network import Network
from myrnn.sequences import Sequences

MISTAKES = 8
FLOW_SAMPLES = 40
# The number of likeliest classes shown for each step, and the symbols that a network writes.
LIKELY, WRITTEN = 3, 160
# The number of test sequences per length at a time is limited by about this many multiplications.
MOST, WORK = 40, 40_000_000
# The factor by which op by op is slower.
SLOWER = 20
# For each view: the share of the time that it may take during training at full speed, and the shortest time between two
# updates, in seconds.
_PACE = {
    "row": (0.008, 0.05),
    "accuracy": (0.006, 0.25),
    "gradient": (0.003, 0.5),
    "eigenvalues": (0.002, 0.1),
    "mistakes": (0.001, 1.0),
    "text": (0.002, 0.5),
}
# If the network waits most of the time, views may take the idle time.
_IDLE = 20.0
# The longest time between updates, in seconds, whatever they cost: older views mislead.
LONGEST_PAUSE = 1.0


def packed(values: Any) -> str:
    """Return numbers as base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")


def views_of(network: Network) -> tuple[str, ...]:
    """Return the views that a network has."""
    if not network.material.per_step:
        return "row", "accuracy", "gradient", "eigenvalues", "mistakes"
    return ("row", "accuracy", "eigenvalues", *(["text"] if network.writes else []))


def row(network: Network, tokens: list[int], state: str = "") -> dict[str, Any]:
    """Return the network's inner values on a sequence, with the loss of the right or the predicted answers."""
    assert network.compiled is not None
    answers = network.material.answers(tokens)
    targets = network.material.targets(answers)
    seen = inspect(network.compiled, np.array(tokens), targets, class_names=network.material.class_names)
    name = state if state in seen.states else seen.main_state
    if not all(np.isfinite(part).all() for part in (seen.states[name], seen.logits, seen.state_gradients[name])):
        raise NotFinite("there is nothing to see in this sequence: the network's numbers overflow")
    likely = np.argsort(-seen.probabilities, axis=1, kind="stable")[:, :LIKELY]
    shares = np.take_along_axis(seen.probabilities, likely, axis=1)
    return {
        "tokens": tokens,
        "state": name,
        "state_names": list(seen.states),
        "units": seen.states[name].shape[1],
        "states": packed(seen.states[name]),
        "likely": [list(zip(*both, strict=True)) for both in zip(likely.tolist(), shares.tolist(), strict=True)],
        "gradients": seen.state_gradient_norms[name].tolist(),
        "loss": None if targets is None else seen.loss,
        "answers": answers,
        "iteration": network.iteration,
    }


def accuracy_shown(report: LengthReport) -> dict[str, Any]:
    """Return a report as columns."""
    return {
        "lengths": report.lengths.tolist(),
        "accuracy": report.accuracy.tolist(),
        "low": report.interval[:, 0].tolist(),
        "high": report.interval[:, 1].tolist(),
        "total": report.total.tolist(),
        "whole": None if report.each == "sequence" else report.whole_accuracy,
        "trained": report.lengths[-1].item() if report.trained_length is None else report.trained_length,
        "chance": report.chance,
        "base_rate": report.base_rate.tolist() if report.class_names else None,
    }


def gradient(network: Network) -> dict[str, Any]:
    """Return the share of the gradient that is left by steps before the end, over sequences of the task."""
    assert network.compiled is not None
    task = network.task
    longest = task.sample_lengths(np.repeat(task.lengths[-1:], FLOW_SAMPLES), np.random.default_rng(TEST_SEED))
    flow = gradient_flow(network.compiled, longest, seed=TEST_SEED, relative=True)
    name = next(iter(flow.mean))
    return {
        # If there are several, the name of each.
        "state": name if len(flow.mean) > 1 else "",
        "distance": flow.distance.tolist(),
        **{key: getattr(flow, key)[name].tolist() for key in ("mean", "low", "high")},
    }


def eigenvalues(network: Network) -> list[dict[str, Any]]:
    """Return the eigenvalues of every recurrent matrix."""
    assert network.compiled is not None
    found = recurrent_eigenvalues(network.compiled).values
    return [
        {"name": name, "real": values.real.round(5).tolist(), "imaginary": values.imag.round(5).tolist()}
        for name, values in found.items()
    ]


def eigenvalues_or_none(network: Network) -> list[dict[str, Any]]:
    """Return the eigenvalues of a network, or an empty list."""
    try:
        return [] if network.compiled is None else eigenvalues(network)
    except InvalidArgument:
        return []


def mistakes(network: Network, family: str, samples: int, seed: int) -> dict[str, Any]:
    """Return sequences of a family that the network gets wrong, the most confident mistakes first."""
    if family not in network.material.families:
        raise InvalidArgument("such mistakes exist only for twin halves and palindromes")
    drawn = network.material.of_family(family, samples, np.random.default_rng((TEST_SEED, seed)))
    model = network.model if network.compiled is None else network.compiled
    engine = "mygrad" if network.compiled is None else "native"
    found = counterexamples(model, drawn, most=MISTAKES, engine=engine)
    listed = [
        {
            "tokens": mistake.sequence.tolist(),
            "truth": mistake.truth,
            "predicted": mistake.predicted,
            "probability": mistake.probability,
        }
        for mistake in found.most_confident
    ]
    return {"family": family, "mistakes": listed, "count": found.mistakes, "samples": found.samples}


def shortcut_levels(material: Material) -> dict[str, Any]:
    """Return the accuracy by length of classifiers that see only part of each sequence."""
    report = material.shortcuts()
    return {
        "lengths": report.lengths.tolist(),
        "names": list(report.names),
        "accuracy": report.accuracy.tolist(),
    }


def text(network: Network, tokens: list[int], seed: int) -> dict[str, Any]:
    """Return how a network continues a sequence: with the likeliest symbols, and with random ones."""
    assert network.compiled is not None
    ways = {"likeliest": 0.0, "drawn": 1.0}
    written = {
        name: generate(network.compiled, tokens, WRITTEN, temperature=temperature, seed=seed).tolist()
        for name, temperature in ways.items()
    }
    return {"begin": tokens, **written}


def recurrence(network: Network) -> dict[str, Any]:
    """Return the equations of the network, and a picture of its step."""
    assert network.compiled is not None
    graph = build_graph(network.compiled)
    assert graph is not None
    return {"equations": str(network.compiled), "svg": graph.to_svg()}


def unit(network: Network, number: int, state: str = "") -> dict[str, Any]:
    """Return the weights that lead into one unit of a state, by the name of their matrix."""
    compiled, incoming = network.compiled, {}
    if compiled is not None:
        # The page may ask for a unit of the previous network, whose state may have had more.
        with contextlib.suppress(InvalidArgument):
            incoming = incoming_weights(compiled, number, state if state in compiled.state_names else None)
    named = [{"name": name, "weights": weights.round(5).tolist()} for name, weights in incoming.items()]
    return {"unit": number, "incoming": named}


# How it does on new sequences -----------------------------------------------------------------------------------------


def portion(network: Network) -> int:
    """Return the number of test sequences per length at a time, at least one."""
    if network.compiled is None:
        return MOST // SLOWER
    work = int(network.material.tested.lengths.sum()) * network.compiled.work_per_row
    # A single unit has no matrix product.
    return int(np.clip(WORK // max(1, work), 1, MOST))


def accuracy(network: Network, sequences: Sequences) -> LengthReport:
    """Test a network on given sequences."""
    model = network.model if network.compiled is None else network.compiled
    engine = "mygrad" if network.compiled is None else "native"
    return evaluate(model, sequences, trained=network.longest, engine=engine, progress=False)


def tried_further(network: Network, known: LengthReport | None, most: int) -> LengthReport:
    """Test a network on one more portion of sequences, up to `most` of every length; then return `known`."""
    each = portion(network)
    tried = 0 if known is None else int(known.sequences.max())
    if known is not None and tried >= most:
        return known
    sequences = network.material.tested.part(each, -(-tried // each))
    if known is None:
        return accuracy(network, sequences)
    return known.joined(accuracy(network, sequences)) if len(sequences) else known


class Trial:
    """Tests a network on more and more sequences, up to `most` of every length, as long as it does not change."""

    def __init__(self, network: Network, most: int) -> None:
        self._network = network
        self._most = most if network.compiled is not None else most // SLOWER
        self._report: LengthReport | None = None
        self._moment = network.moment

    @cached_property
    def _first(self) -> Sequences:
        return self._network.material.tested.part(portion(self._network))

    @property
    def known(self) -> LengthReport | None:
        """The report on the network in its present state."""
        return self._report if self._moment == self._network.moment else None

    @property
    def total(self) -> int:
        """The number of sequences that the network was tested on in its present state."""
        return 0 if self.known is None else int(self.known.sequences.sum())

    def report(self) -> LengthReport:
        """Return the report on the network, after one more portion if it has too few sequences."""
        report, self._report, self._moment = self.known, None, self._network.moment
        if report is None:
            # During training, every update begins with the same sequences.
            report = accuracy(self._network, self._first)
        else:
            report = tried_further(self._network, report, self._most)
        self._report = report
        return report


# Which view is due ----------------------------------------------------------------------------------------------------


@dataclass
class _View:
    shown: Hashable = None
    due: float = 0.0


class Views:
    """Decides which of the `watched` views, those on the screen, is updated next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._views = {name: _View() for name in _PACE}
        self.watched: frozenset[str] = frozenset()
        # The views that the network has.
        self.offered: frozenset[str] = frozenset(_PACE)

    def forget(self, name: str | None = None) -> None:
        """Let a view (by default each) be updated as soon as possible, even without a change."""
        for view in self._views.values() if name is None else [self._views[name]]:
            view.shown, view.due = None, 0.0

    def next(self, state: Callable[[str], Hashable], at_rest: bool) -> str | None:
        """Return the first view that has changed and is due, at rest at once; `state` returns the content of a view."""
        now = self._clock()
        for name, view in self._views.items():
            if name in self.watched & self.offered and (at_rest or view.due <= now) and view.shown != state(name):
                return name
        return None

    def looked(self, name: str, shown: Hashable, cost: float, busy: bool) -> None:
        """Record that a view now shows `shown`, and the seconds that it took; `busy` is training at full speed."""
        (share, shortest), view = _PACE[name], self._views[name]
        # The first update also loads what all of them need.
        pause = 0.0 if view.shown is None else min(LONGEST_PAUSE, cost / (share * (1.0 if busy else _IDLE)))
        view.shown, view.due = shown, self._clock() + max(shortest, pause)
