"""Run a compiled program against the model's own forward and backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mygrad
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn.compiler._native import Native
from myrnn.compiler._probe import gradients_kept, replaced, shifted
from myrnn.errors import NotARecurrence
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences

# Lengths of the random sequences of each trial; a program for one takes the first. None of the longer ones was traced.
TRIALS = ((8, 10, 9), (3, 1, 4))
# How much the weights of a trial are changed, in units of their own size, to see how much rounding matters.
_ROUNDING = 1e-6


def verify(model: Any, native: Native, dim_input: int, max_length: int) -> bool:
    """Compare the loss and the gradients of random sequences with MyGrad's.

    Every trial has other weights, and a workspace in which nothing is left of the one before: a program that reads what
    it has not computed, or what it computed from weights of before, shows. Where no trial with weights like the model's
    can tell, small random ones take their place.

    Returns
    -------
    bool
        Whether there was anything to compare: False where no loss is finite even so.

    Raises
    ------
    NotARecurrence
        When they differ by more than rounding explains.
    """
    tensors, rng = parameters_of(model), np.random.default_rng(0)
    own = [tensor.data.copy() for tensor in tensors]
    seen = False
    for lengths, weights in zip(TRIALS, (own, shifted(tensors, rng)), strict=True):
        seen |= _agrees(model, native, weights, _random(native, lengths, dim_input, max_length, rng), rng)
    if seen:
        return True
    small = [rng.normal(size=tensor.shape).astype(np.float32) * np.float32(0.1) for tensor in tensors]
    return _agrees(model, native, small, _random(native, TRIALS[-1], dim_input, max_length, rng), rng)


def _agrees(
    model: Any, native: Native, weights: list[NDArray[np.float32]], sequences: Sequences, rng: np.random.Generator
) -> bool:
    """Whether a trial shows that model and program agree; False where it shows nothing.

    It shows nothing where neither loss is finite, or where rounding alone makes as much of a difference, as in a model
    that is chaotic with these weights, or that comes close to a kink.
    """
    with replaced(parameters_of(model), weights):
        expected = _by_model(model, sequences)
        native.workspace(len(sequences.values), len(sequences))
        native.forget()
        found = _by_program(native, weights, sequences, expected.labels)
        if not (np.isfinite(expected.loss) or np.isfinite(found.loss)):
            return False
        difference = _difference(found, expected, parameter_names(model))
    if difference is None:
        return True
    if _rounding_explains(model, weights, sequences, found, expected, rng):
        return False
    raise NotARecurrence(
        f"the compiled functions do not agree with the model: {difference}.\n"
        "  Something that MyGrad's graph does not show changes the numbers: a value taken out with .data or\n"
        '  NumPy, or a model that treats arrays and tensors differently. Train it with engine="mygrad".'
    )


@dataclass(frozen=True)
class _Result:
    """The result of a trial: the mean loss of its sequences for these labels, and its gradients."""

    labels: NDArray[np.int64]
    loss: float
    gradients: list[NDArray[Any]]


def _random(
    native: Native, lengths: tuple[int, ...], dim_input: int, max_length: int, rng: np.random.Generator
) -> Sequences:
    chosen = [min(n, max_length) for n in (lengths if native.batched else lengths[:1])]
    offsets, total = np.concatenate(([0], np.cumsum(chosen))), sum(chosen)
    labels = np.zeros(len(chosen), dtype=np.int64)
    if native.tokens:
        return Sequences(rng.integers(0, dim_input, total), offsets, labels, dim_input)
    return Sequences(rng.normal(size=(total, dim_input)), offsets, labels)


def _by_model(model: Any, sequences: Sequences, labels: NDArray[np.int64] | None = None) -> _Result:
    """Run the model; without labels each sequence gets the class that the model holds least likely."""
    tensors = parameters_of(model)
    with gradients_kept(tensors), np.errstate(all="ignore"):
        logits = [model(sequences.features(i)) for i in range(len(sequences))]
        if labels is None:
            # The gradients of a right answer are mostly rounding.
            labels = np.array([int(row.data.argmin()) for row in logits])
        loss = softmax_crossentropy(mygrad.concatenate(logits), labels)
        loss.backward()
        gradients = [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in tensors]
        return _Result(labels, loss.item(), gradients)


def _by_program(
    native: Native, weights: list[NDArray[np.float32]], sequences: Sequences, labels: NDArray[np.int64]
) -> _Result:
    labelled = Sequences(sequences.values, sequences.offsets, labels, sequences.dim_input)
    loss, block = native.gradients(labelled, np.arange(len(labels)), native.block_of(weights).numbers)
    gradients = [np.empty(w.shape, dtype=np.float32) for w in weights]
    for i, gradient in enumerate(gradients):
        block.read(i, gradient)
    return _Result(labels, loss, gradients)


def _difference(found: _Result, expected: _Result, names: tuple[str, ...]) -> str | None:
    """Describe what differs by more than rounding usually does; None if nothing does."""
    distances = _distances(found, expected)
    # NaN is within no tolerance.
    differs = ~(distances <= _tolerances(expected))
    if differs[0]:
        return f"the loss of a random sequence is {found.loss:.6g}, and by MyGrad {expected.loss:.6g}"
    for name, error, is_off in zip(names, distances[1:], differs[1:], strict=True):
        if is_off:
            return f"the gradient of {name} differs by {error:.3g} on a random sequence"
    return None


def _rounding_explains(
    model: Any,
    weights: list[NDArray[np.float32]],
    sequences: Sequences,
    found: _Result,
    expected: _Result,
    rng: np.random.Generator,
) -> bool:
    """Whether MyGrad's own numbers move as much when the weights change by about as much as rounding changes them."""
    moved = np.zeros(1 + len(weights))
    for _ in range(8):
        near = [w * (1 + _ROUNDING * rng.choice((-1, 1), w.shape)).astype(np.float32) for w in weights]
        with replaced(parameters_of(model), near):
            moved = np.maximum(moved, _distances(_by_model(model, sequences, expected.labels), expected))
    # NaN explains nothing, and is explained by nothing.
    return bool(np.all(_distances(found, expected) <= 10 * moved + _tolerances(expected)))


def _distances(one: _Result, other: _Result) -> NDArray[np.float64]:
    """Return how far two results are apart: the losses, and the numbers of each parameter's gradient that do most."""
    pairs = zip(one.gradients, other.gradients, strict=True)
    return np.array([abs(one.loss - other.loss), *(_largest(a - b) for a, b in pairs)])


def _tolerances(expected: _Result) -> NDArray[np.float64]:
    """Return how far from these the loss and each parameter's gradient may be by rounding in a model that is tame."""
    sizes = np.array([_largest(gradient) for gradient in expected.gradients])
    return np.array([1e-3 * (1 + abs(expected.loss)), *(1e-3 * sizes + 1e-4 * sizes.max(initial=0) + 1e-6)])


def _largest(numbers: NDArray[Any]) -> float:
    return float(np.abs(numbers).max(initial=0))
