"""What a model computes: the shape of its scores, and what they depend on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mygrad as mg
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.exercises._subject import SIZES, Subject, encoded, scores_of

# Rounding of float32 in another order of summation stays far below; what a digit changes lies far above.
TOLERANCE = 1e-5
MODERATE = 1e4
SEQUENCES = ((3, 1, 4, 0, 5, 9), (2, 7, 1, 8, 6, 4), (1, 6, 0, 3, 9, 8), (5, 7, 2, 9, 4, 0))
OTHER_SIZES = (6, 17, 4)


def scores(subject: Subject) -> str:
    """Look for scores of another kind or shape."""
    inputs, hidden, classes = SIZES
    for steps in (20, 2, 1):
        given = subject.make()(encoded(*(np.arange(steps) % inputs)))
        if not isinstance(given, Tensor):
            hint = " Is the return missing?" if given is None else ""
            return f"The model returns {type(given).__name__}, not a mygrad.Tensor.{hint}"
        if given.shape != (1, classes):
            hints = {
                (steps, classes): " These are scores for every step: only those of the last are asked for.",
                (1, hidden): " This is a hidden state: the readout W_hy is still to come.",
                (classes,): " The hidden state has shape (1, D); keep its first axis.",
            }
            return f"For {steps} steps the scores have shape {given.shape}.{hints.get(given.shape, '')}"
    return ""


def score_dtype(subject: Subject) -> str:
    """Look for scores of another dtype."""
    dtype = subject.make()(encoded(1, 2)).dtype
    hint = " Is the hidden state made of zeros with dtype=np.float32?" if dtype == np.float64 else ""
    return "" if dtype == np.float32 else f"They are {dtype}.{hint}"


def other_sizes(subject: Subject) -> str:
    """Look for sizes that are written into the class."""
    inputs, _, classes = OTHER_SIZES
    shape = subject.make(OTHER_SIZES)(np.eye(inputs, dtype=np.float32)[[0, 1, 5]]).shape
    return (
        ""
        if shape == (1, classes)
        else f"With dim_input, dim_recurrent, dim_output = {OTHER_SIZES} the scores have shape {shape}."
    )


def repeatable(subject: Subject) -> str:
    """Look for a state that outlives a call, for chance, and for a sequence that is changed."""
    model = subject.make()
    x = encoded(*SEQUENCES[0])
    with mg.no_autodiff:
        first = np.array(model(x))
        if not np.array_equal(x, encoded(*SEQUENCES[0])):
            return "The model changes the sequence that it is given."
        model(encoded(*SEQUENCES[1]))
        again = np.array(model(x))
    if np.array_equal(first, again):
        return ""
    return (
        f"A second call gave {_row(again)} after {_row(first)}. The hidden state begins with zeros in every call, and "
        "the layers are made in __init__ alone."
    )


def moderate(subject: Subject) -> str:
    """Look for first weights that let the scores explode."""
    largest = max(_largest(subject.make()) for _ in range(3))
    if largest < MODERATE:
        return ""
    return f"There is a score of size {largest:.0e}. Is weight_initializer=glorot_normal given to every layer?"


def _largest(model: Any) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.abs(scores_of(model, encoded(*(np.arange(20) % SIZES[0])))).max()
    return float(size) if np.isfinite(size) else np.inf


def every_element(subject: Subject) -> str:
    """Look for elements that change nothing."""
    model = subject.filled()
    steps = len(SEQUENCES[0])
    # An element may go unnoticed by chance in one sequence, where a unit is silent, but not in all.
    unnoticed = [t for t in range(steps) if not _notices(model, t)]
    if not unnoticed:
        return ""
    if unnoticed == list(range(steps - 1)):
        return f"Of {steps} elements only the last one matters: is the hidden state carried from step to step?"
    if unnoticed == list(range(1, steps)):
        return f"Of {steps} elements only the first one matters: does the loop end too early?"
    return f"Of {steps} elements, numbers {', '.join(map(str, unnoticed))} (counted from 0) change nothing."


def _notices(model: Any, step: int) -> bool:
    for digits in SEQUENCES:
        changed = list(digits)
        changed[step] = (changed[step] + 1) % SIZES[0]
        if _differ(scores_of(model, encoded(*digits)), scores_of(model, encoded(*changed))):
            return True
    return False


def order(subject: Subject) -> str:
    """Look for scores that stay the same when elements change places."""
    model = subject.filled()
    for digits in SEQUENCES:
        exchanged = (digits[2], digits[1], digits[0], digits[4], digits[3], *digits[5:])
        if _differ(scores_of(model, encoded(*digits)), scores_of(model, encoded(*exchanged))):
            return ""
    return "Elements that change places change nothing: the hidden state has to go through W_hh at every step."


def nonlinear(subject: Subject) -> str:
    """Look for a model that is a linear function of its input."""
    model = subject.filled()
    for one, other in pairwise(SEQUENCES):
        between = (encoded(*one) + encoded(*other)) * np.float32(0.5)
        mean = (scores_of(model, encoded(*one)) + scores_of(model, encoded(*other))) / 2
        if _differ(scores_of(model, between), mean):
            return ""
    return "The scores are a linear function of the input: no activation function is applied to the hidden state."


def linear_readout(subject: Subject) -> str:
    """Look for something applied to the scores: with the readout's sign turned round, theirs must turn, too."""
    model = subject.filled()
    before = [scores_of(model, encoded(*digits)) for digits in SEQUENCES]
    for parameter in model.parameters:
        if SIZES[2] in parameter.shape:
            parameter.data[...] *= -1
    after = [scores_of(model, encoded(*digits)) for digits in SEQUENCES]
    if not any(_differ(one, -other) for one, other in zip(before, after, strict=True)):
        return ""
    if all(np.allclose(one.sum(), 1, atol=1e-4) for one in before):
        return "The scores always sum to 1: return them before softmax."
    return "Something is applied to the scores after h W_hy + b_y."


def equations(subject: Subject) -> str:
    """Compare with the equations, where the parameters are theirs."""
    model = subject.filled()
    parts = _parts_of_the_equations(model.parameters)
    if parts is None:
        return ""
    for activation in (lambda h: np.maximum(h, 0), np.tanh):
        if not any(_differ(scores_of(model, encoded(*d)), _reference(d, parts, activation)) for d in SEQUENCES):
            return ""
    digits = SEQUENCES[0]
    expected = _reference(digits, parts, lambda h: np.maximum(h, 0))
    return (
        f"For the digits {list(digits)} the scores are {_row(scores_of(model, encoded(*digits)))}, where the equations "
        f"with the same weights give {_row(expected)}."
    )


def _parts_of_the_equations(parameters: Any) -> tuple[NDArray[np.float64], ...] | None:
    """Return W_xh, W_hh, W_hy, b_h and b_y, or None where the parameters are those of another cell."""
    inputs, hidden, classes = SIZES
    matrices = [p for p in parameters if p.ndim == 2 and min(p.shape) > 1]
    biases = [p for p in parameters if p.size in (hidden, classes) and p.size == max(p.shape)]
    if sorted(p.shape for p in matrices) != sorted([(inputs, hidden), (hidden, hidden), (hidden, classes)]):
        return None
    if len(matrices) + len(biases) < len(parameters):
        return None
    found = {p.shape: p.data.astype(np.float64) for p in matrices}
    # Layers may each have a bias: they add up.
    h_bias = sum((b.data.ravel() for b in biases if b.size == hidden), np.zeros(hidden))
    y_bias = sum((b.data.ravel() for b in biases if b.size == classes), np.zeros(classes))
    return found[inputs, hidden], found[hidden, hidden], found[hidden, classes], h_bias, y_bias


def _reference(digits: Any, parts: Any, activation: Any) -> NDArray[np.float64]:
    x_to_h, h_to_h, h_to_y, h_bias, y_bias = parts
    h = np.zeros((1, SIZES[1]))
    for digit in digits:
        h = activation(x_to_h[digit] + h @ h_to_h + h_bias)
    result: NDArray[np.float64] = h @ h_to_y + y_bias
    return result


def _differ(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return bool(np.abs(one - other).max() > TOLERANCE * max(1.0, np.abs(one).max()))


def _row(values: NDArray[Any]) -> str:
    return "[" + ", ".join(f"{value:.4f}" for value in np.ravel(values)) + "]"
