"""Compares the native loss and gradients of a program with MyGrad's, before the program is first used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mygrad
import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.native import Native, longest_first
from myrnn.compiler.reference import alike, gradients_kept, shifted, with_values
from myrnn.compiler.streams import Streams
from myrnn.errors import NotARecurrence
from myrnn.flat import offsets_of, steps_of
from myrnn.losses import CROSS_ENTROPY, mean_loss
from myrnn.models.model import parameter_names, parameters_of
from myrnn.randomness import Keys, SequenceDraws, keys_of, run_with
from myrnn.sequences import Sequences

# Lengths of the random sequences of each trial; a program for one takes the first. None of the longer ones was traced.
TRIALS = ((8, 10, 9), (3, 1, 4))
# The relative change of the weights in a trial that shows how much rounding matters.
_ROUNDING = 1e-6


def verify(model: Any, native: Native, dim_input: int, max_length: int) -> bool:
    """Compare the loss and the gradients of random sequences with MyGrad's; return whether that was conclusive."""
    # Every trial has other weights and a clean workspace, so that a program that reads values it has not computed, or
    # stale ones, is detected. If no trial with weights like the model's is conclusive, small random ones are used.
    tensors, rng = parameters_of(model), np.random.default_rng(0)
    own = [tensor.data.copy() for tensor in tensors]
    seen = False
    for lengths, weights in zip(TRIALS, (own, shifted(tensors, rng)), strict=True):
        seen |= _agrees(model, native, weights, _random(native, lengths, dim_input, max_length, rng), rng)
    if not native.batched:
        # One sequence at a time: the shortest, which may be computed differently.
        for length in (1, 2):
            short = _random(native, (length,), dim_input, max_length, rng)
            seen |= _agrees(model, native, own, short, rng, where_finite=True)
    if seen:
        return True
    small = [rng.normal(size=tensor.shape).astype(np.float32) * np.float32(0.1) for tensor in tensors]
    return _agrees(model, native, small, _random(native, TRIALS[-1], dim_input, max_length, rng), rng)


def _agrees(
    model: Any,
    native: Native,
    weights: list[NDArray[np.float32]],
    sequences: Sequences,
    rng: np.random.Generator,
    *,
    where_finite: bool = False,
) -> bool:
    """Whether a trial shows that model and program agree; False if it is inconclusive."""
    # It is inconclusive if neither loss is finite, or if rounding alone makes as much of a difference, as in a model
    # that is chaotic with these weights, or close to a kink. With `where_finite`, it is inconclusive if a gradient of
    # MyGrad's is not finite.
    with with_values(parameters_of(model), weights):
        expected = _by_model(model, native, sequences)
        native.workspace(len(sequences.values), len(sequences))
        native.forget()
        found = _by_program(native, weights, sequences, expected.targets)
        if native.program.stream_layout is not None:
            _check_in_pieces(native, weights, sequences)
        if not (np.isfinite(expected.loss) or np.isfinite(found.loss)):
            return False
        is_finite = all(np.isfinite(gradient).all() for gradient in expected.gradients)
        if where_finite and not is_finite:
            return False
        difference = _difference(found, expected, parameter_names(model))
    if difference is None:
        return True
    if _rounding_explains(model, native, weights, sequences, found, expected, rng):
        return False
    if is_finite and not all(np.isfinite(gradient).all() for gradient in found.gradients):
        raise NotARecurrence(
            f"the compiled functions do not agree with the model: {difference}.\n"
            "  If steps or short sequences differ, all alternatives are computed, and one that is not used is not\n"
            '  finite here, for example after a division by zero. Keep it finite, or train with engine="mygrad".'
        )
    raise NotARecurrence(
        f"the compiled functions do not agree with the model: {difference}.\n"
        "  Something that MyGrad's graph does not show changes the numbers: a value taken out with .data or\n"
        '  NumPy, or a model that treats arrays and tensors differently. Train it with engine="mygrad".'
    )


def _check_in_pieces(native: Native, weights: list[NDArray[np.float32]], sequences: Sequences) -> None:
    """Check that a program gives the same for sequences in two pieces as for whole ones."""
    carried, parameters = native.program.stream_layout, native.block_of(weights).numbers
    assert carried is not None
    count = len(sequences)
    numbers, rows, per_step = np.zeros((count, carried.width), np.float32), np.arange(count), native.program.per_step

    def logits(parts: list[NDArray[Any]], streams: Streams) -> list[NDArray[np.float32]]:
        given = Sequences(
            np.concatenate(parts), offsets_of([len(p) for p in parts]), np.zeros(count, np.int64), sequences.dim_input
        )
        out = np.zeros((len(given.values) if per_step else count, native.program.classes), np.float32)
        native.logits(given, longest_first(given.lengths), parameters, out, streams=streams)
        return [out[steps_of(i, given.offsets)] if per_step else out[i : i + 1] for i in range(count)]

    whole = [sequences.values[steps_of(i, sequences.offsets)] for i in range(count)]
    expected = logits(whole, Streams(~rows, np.zeros_like(numbers)))
    halves = [[part[: len(part) // 2] for part in whole], [part[len(part) // 2 :] for part in whole]]
    first, second = (logits(parts, Streams(r, numbers)) for parts, r in zip(halves, (~rows, rows), strict=True))
    found = [np.concatenate(pair) if per_step else pair[1] for pair in zip(first, second, strict=True)]
    if not alike(np.concatenate(found), np.concatenate(expected)):
        raise NotARecurrence("a sequence in two pieces gives other results than in one: train without truncate")


@dataclass(frozen=True)
class _Result:
    """The result of a trial: the mean loss of its sequences for these targets, and its gradients."""

    targets: NDArray[Any]
    loss: float
    gradients: list[NDArray[Any]]


def _random(
    native: Native, lengths: tuple[int, ...], dim_input: int, max_length: int, rng: np.random.Generator
) -> Sequences:
    chosen = [min(n, max_length) for n in (lengths if native.batched else lengths[:1])]
    offsets, total = np.concatenate(([0], np.cumsum(chosen))), sum(chosen)
    per_step = native.program.per_step
    targets = np.zeros(total if per_step else len(chosen), dtype=np.int64)
    if native.loss is not None:
        targets = native.loss.examples[rng.integers(0, len(native.loss.examples), len(targets))]
    if native.tokens:
        return Sequences(rng.integers(0, dim_input, total), offsets, targets, dim_input, per_step=per_step)
    return Sequences(rng.normal(size=(total, dim_input)), offsets, targets, per_step=per_step)


def _by_model(model: Any, native: Native, sequences: Sequences, targets: NDArray[Any] | None = None) -> _Result:
    """Run the model; for cross-entropy each sequence gets the class that the model considers least likely."""
    tensors, loss = parameters_of(model), native.loss
    with gradients_kept(tensors), np.errstate(all="ignore"):
        for tensor in tensors:
            # MyGrad only clears the gradients of tensors in a graph; others keep those of the user's own graph.
            tensor.null_grad()
        # A model that draws random numbers is compared with MyGrad using the same ones.
        keys = _keys(sequences).tolist()
        logits = [run_with(SequenceDraws(key), model, sequences.features(i)) for i, key in enumerate(keys)]
        if targets is None:
            # The gradients of a right answer are mostly rounding.
            least = np.concatenate([rows.data.argmin(axis=1) for rows in logits])
            targets = least if loss is None else sequences.targets
        mean = mean_loss(CROSS_ENTROPY if loss is None else loss.function, mygrad.concatenate(logits), targets)
        if native.penalty is not None:
            mean = mean + native.penalty.function(model)
        mean.backward()
        gradients = [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in tensors]
        return _Result(targets, mean.item(), gradients)


def _keys(sequences: Sequences) -> Keys:
    return keys_of(0, 0, (1, len(sequences)))[0]


def _by_program(
    native: Native, weights: list[NDArray[np.float32]], sequences: Sequences, targets: NDArray[Any]
) -> _Result:
    labelled = Sequences(
        sequences.values, sequences.offsets, targets, sequences.dim_input, per_step=native.program.per_step
    )
    keys = _keys(sequences) if native.draws else None
    loss, block = native.gradients(labelled, np.arange(len(sequences)), native.block_of(weights).numbers, keys)
    gradients = [np.empty(w.shape, dtype=np.float32) for w in weights]
    for i, gradient in enumerate(gradients):
        block.read(i, gradient)
    return _Result(targets, loss, gradients)


def _difference(found: _Result, expected: _Result, names: tuple[str, ...]) -> str | None:
    """Describe what differs by more than the usual rounding; None if nothing does."""
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
    native: Native,
    weights: list[NDArray[np.float32]],
    sequences: Sequences,
    found: _Result,
    expected: _Result,
    rng: np.random.Generator,
) -> bool:
    """Whether MyGrad's own numbers change as much when the weights change by about the size of rounding."""
    moved = np.zeros(1 + len(weights))
    for _ in range(8):
        near = [w * (1 + _ROUNDING * rng.choice((-1, 1), w.shape)).astype(np.float32) for w in weights]
        with with_values(parameters_of(model), near):
            moved = np.maximum(moved, _distances(_by_model(model, native, sequences, expected.targets), expected))
    # NaN explains nothing, and is explained by nothing.
    return bool(np.all(_distances(found, expected) <= 10 * moved + _tolerances(expected)))


def _distances(one: _Result, other: _Result) -> NDArray[np.float64]:
    """Return the differences of two results: of the losses, and the largest of each parameter's gradient."""
    pairs = zip(one.gradients, other.gradients, strict=True)
    return np.array([abs(one.loss - other.loss), *(_apart(a, b) for a, b in pairs)])


def _apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest difference of two arrays: 0 where both have the same infinity, or NaN."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return float(np.abs(np.subtract(one, other, where=~same, out=np.zeros(one.shape))).max(initial=0))


def _tolerances(expected: _Result) -> NDArray[np.float64]:
    """Return the usual rounding errors of the loss and of each parameter's gradient in a well-behaved model."""
    sizes = np.array([_largest(gradient) for gradient in expected.gradients])
    return np.array([1e-3 * (1 + abs(expected.loss)), *(1e-3 * sizes + 1e-4 * sizes.max(initial=0) + 1e-6)])


def _largest(numbers: NDArray[Any]) -> float:
    """Return the largest absolute value among the finite numbers."""
    return float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0))
