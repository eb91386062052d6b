"""Run a compiled program against the model's own forward and backward."""

from __future__ import annotations

from typing import Any

import mygrad
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn.compiler._native import Native
from myrnn.compiler._probe import gradients_kept, replaced
from myrnn.compiler._workspace import Block
from myrnn.errors import NotARecurrence
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences

# Lengths of the random sequences of each trial; a program for one takes the first. None of the longer ones was traced;
# the shortest are for models that are chaotic with the weights that they have, where rounding grows from step to step.
TRIALS = ((8, 10, 9), (11, 9, 8), (3, 2, 4))


def verify(model: Any, native: Native, dim_input: int, max_length: int) -> bool:
    """Compare the loss and the gradients of random sequences with MyGrad's.

    Where the weights are such that no loss is finite, small random ones take their place.

    Returns
    -------
    bool
        Whether there was anything to compare: False where no loss is finite even so.

    Raises
    ------
    NotARecurrence
        When they differ by more than rounding.
    """
    tensors, rng = parameters_of(model), np.random.default_rng(0)
    if _agrees(model, native, dim_input, max_length, rng):
        return True
    small = [rng.normal(size=tensor.shape).astype(np.float32) * np.float32(0.1) for tensor in tensors]
    with replaced(tensors, small):
        return _agrees(model, native, dim_input, max_length, rng)


def _agrees(model: Any, native: Native, dim_input: int, max_length: int, rng: np.random.Generator) -> bool:
    """Whether a trial shows that model and program agree; False where no loss is finite, which shows nothing."""
    parameters = native.block_of([tensor.data for tensor in parameters_of(model)])
    failures = []
    for lengths in TRIALS:
        shortened = [min(n, max_length) for n in (lengths if native.batched else lengths[:1])]
        told = _compared(model, native, parameters, _random(shortened, dim_input, native.tokens, rng))
        if told == "":
            # A kink that rounding falls on either side of can spoil one trial; a wrong program spoils all.
            return True
        if told is not None:
            failures.append(told)
    if not failures:
        return False
    raise NotARecurrence(
        f"the compiled functions do not agree with the model: {failures[0]}.\n"
        "  Something that MyGrad's graph does not show changes the numbers: a value taken out with .data or\n"
        '  NumPy, or a model that treats arrays and tensors differently. Train it with engine="mygrad".'
    )


def _random(lengths: list[int], dim_input: int, tokens: bool, rng: np.random.Generator) -> Sequences:
    offsets, total = np.concatenate(([0], np.cumsum(lengths))), sum(lengths)
    labels = np.zeros(len(lengths), dtype=np.int64)
    if tokens:
        return Sequences(rng.integers(0, dim_input, total), offsets, labels, dim_input)
    return Sequences(rng.normal(size=(total, dim_input)), offsets, labels)


def _compared(model: Any, native: Native, parameters: Block, sequences: Sequences) -> str | None:
    """Return what differs between the model and the program, "" if nothing does; None where the loss is not finite."""
    tensors = parameters_of(model)
    with gradients_kept(tensors), np.errstate(all="ignore"):
        logits = [model(sequences.features(i)) for i in range(len(sequences))]
        # The class that the model holds least likely: the gradients of a right answer are mostly rounding.
        labels = np.array([int(row.data.argmin()) for row in logits])
        loss = softmax_crossentropy(mygrad.concatenate(logits), labels)
        loss.backward()
        expected = [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in tensors]
        value = loss.item()
    if not np.isfinite(value):
        return None
    labelled = Sequences(sequences.values, sequences.offsets, labels, sequences.dim_input)
    found, block = native.gradients(labelled, np.arange(len(labels)), parameters.numbers)
    gradients = [np.empty(p.shape, dtype=np.float32) for p in tensors]
    for i, gradient in enumerate(gradients):
        block.read(i, gradient)
    return _told(found, value, gradients, expected, parameter_names(model))


def _told(
    found: float,
    value: float,
    gradients: list[NDArray[np.float32]],
    expected: list[NDArray[Any]],
    names: tuple[str, ...],
) -> str:
    if not abs(found - value) <= 1e-3 * (1 + abs(value)):
        return f"the loss of a random sequence is {found:.6g}, and by MyGrad {value:.6g}"
    scale = max((float(np.abs(e).max(initial=0)) for e in expected), default=0.0)
    for name, ours, theirs in zip(names, gradients, expected, strict=True):
        error = float(np.abs(ours - theirs).max(initial=0))
        if not error <= 1e-3 * float(np.abs(theirs).max(initial=0)) + 1e-4 * scale + 1e-6:
            return f"the gradient of {name} differs by {error:.3g} on a random sequence"
    return ""
