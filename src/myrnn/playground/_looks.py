"""What the page shows of a network, as plain values: each is one call of the library."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import numpy as np

from myrnn.errors import InvalidArgument, NotFinite
from myrnn.evaluation import LengthReport, counterexamples, shortcuts
from myrnn.graphs import build_graph
from myrnn.inspection import gradient_flow, incoming_weights, inspect, recurrent_eigenvalues
from myrnn.playground._network import HalvesTask, Network
from myrnn.playground._trial import TEST_SEED
from myrnn.sequences import Sequences
from myrnn.tasks import sample_family

MISTAKES = 8
FLOW_SAMPLES = 40
SHORTCUT_SAMPLES = 40_000


def packed(values: Any) -> str:
    """Return numbers as base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")


def truth_of(task: HalvesTask, tokens: list[int]) -> int:
    """Return the true class of a sequence."""
    one = Sequences.from_pairs([(np.array(tokens), 0)], task.alphabet_size)
    return int(task.truth(one)[0])


def row(network: Network, tokens: list[int], state: str = "") -> dict[str, Any]:
    """Return what goes on inside while the network reads one sequence; the loss is that of its true class.

    Raises
    ------
    NotFinite
        When some of it is not finite.
    """
    assert network.compiled is not None
    truth = truth_of(network.task, tokens)
    seen = inspect(network.compiled, np.array(tokens), truth, class_names=network.task.class_names)
    name = state if state in seen.states else seen.main_state
    if not all(np.isfinite(part).all() for part in (seen.states[name], seen.logits, seen.state_gradients[name])):
        raise NotFinite("there is nothing to see in this sequence: the network's numbers grow beyond all bounds")
    return {
        "tokens": tokens,
        "state": name,
        "state_names": list(seen.states),
        "units": seen.states[name].shape[1],
        "states": packed(seen.states[name]),
        "probabilities": seen.probabilities[:, 1].tolist(),
        "gradients": seen.state_gradient_norms[name].tolist(),
        "loss": seen.loss,
        "truth": truth,
        "iteration": network.iteration,
    }


def accuracy_told(report: LengthReport) -> dict[str, Any]:
    """Return a report as columns."""
    return {
        "lengths": report.lengths.tolist(),
        "accuracy": report.accuracy.tolist(),
        "low": report.interval[:, 0].tolist(),
        "high": report.interval[:, 1].tolist(),
        "total": report.total.tolist(),
        "trained": report.trained_length,
        "chance": report.chance,
    }


def gradient(network: Network) -> dict[str, Any]:
    """Return how much of the gradient is left so many steps before the end, over sequences of the task."""
    assert network.compiled is not None
    flow = gradient_flow(network.compiled, _longest(network.task), seed=TEST_SEED, relative=True)
    name = next(iter(flow.mean))
    return {
        # Where there are several, which of them it is.
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
    """Return the eigenvalues of a network that has some, else an empty list."""
    try:
        return [] if network.compiled is None else eigenvalues(network)
    except InvalidArgument:
        return []


def mistakes(network: Network, family: str, samples: int, seed: int) -> dict[str, Any]:
    """Return sequences of a family that the network gets wrong, the ones it is surest of first."""
    drawn = sample_family(network.task, family, samples, np.random.default_rng((TEST_SEED, seed)))
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


def shortcut_levels(task: HalvesTask) -> dict[str, Any]:
    """Return what classifiers reach that see only a part of each sequence, by length."""
    report = shortcuts(task, SHORTCUT_SAMPLES, TEST_SEED, lengths=task.lengths)
    return {
        "lengths": report.lengths.tolist(),
        "names": list(report.names),
        "accuracy": report.accuracy.tolist(),
    }


def recurrence(network: Network) -> dict[str, Any]:
    """Return the equations of the network, and the picture of its step."""
    assert network.compiled is not None
    graph = build_graph(network.compiled)
    assert graph is not None
    return {"equations": str(network.compiled), "svg": graph.to_svg()}


def unit(network: Network, number: int, state: str = "") -> dict[str, Any]:
    """Return the weights that lead into one unit of a state, by the name of their matrix."""
    compiled, incoming = network.compiled, {}
    if compiled is not None:
        # The page may ask for a unit of the network before this one, whose state may have had more.
        with contextlib.suppress(InvalidArgument):
            incoming = incoming_weights(compiled, number, state if state in compiled.state_names else None)
    told = [{"name": name, "weights": weights.round(5).tolist()} for name, weights in incoming.items()]
    return {"unit": number, "incoming": told}


def _longest(task: HalvesTask) -> Sequences:
    """Return sequences of the greatest length of a task."""
    return task.sample_lengths(np.repeat(task.lengths[-1:], FLOW_SAMPLES), np.random.default_rng(TEST_SEED))
