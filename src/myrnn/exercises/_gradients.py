"""Where a model's gradient goes: to every parameter, and back to the first element."""

from __future__ import annotations

from typing import Any

import numpy as np
from mygrad import Tensor
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn.exercises._behaviour import SEQUENCES
from myrnn.exercises._subject import SIZES, Subject, encoded, path_to

# A digit that the sequence of the last check has at its beginning alone.
RARE = 7


def listed(subject: Subject) -> str:
    """Look for trainable tensors that take part and are not in `parameters`."""
    model = subject.make()
    first, second = _leaves(model), _leaves(model)
    known = {id(parameter) for parameter in model.parameters}
    # What is made anew in every call, such as a tensor of zeros, is not the model's to learn.
    missing = [leaf for key, leaf in first.items() if key in second and key not in known]
    if not missing:
        return ""
    return f"{path_to(missing[0], model)} takes part, but is not in parameters: the optimizer would leave it as it is."


def _leaves(model: Any) -> dict[int, Tensor]:
    """Return the trainable tensors that the scores are computed from, by identity."""
    scores = model(encoded(1, 2, 3))
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    waiting = [scores]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if tensor.creator is not None:
            waiting.extend(tensor.creator.variables)
        elif not tensor.constant:
            found[id(tensor)] = tensor
    scores.clear_graph()
    return found


def reaches_parameters(subject: Subject) -> str:
    """Look for parameters that get no gradient from any sequence."""
    model = subject.filled()
    reached = [False] * len(model.parameters)
    for digits in SEQUENCES:
        gradients = _gradients(model, encoded(*digits))
        reached = [before or _is_there(gradient) for before, gradient in zip(reached, gradients, strict=True)]
    if not any(reached):
        return "No parameter gets a gradient: are the scores computed with MyGrad's operations, without .data?"
    for parameter, there in zip(model.parameters, reached, strict=True):
        if not there:
            return f"No gradient reaches {path_to(parameter, model)}: is it used?"
    return ""


def reaches_first_step(subject: Subject) -> str:
    """Look for a state that is cut off from its past.

    The digit 7 stands at the beginning alone. What it is multiplied with, row 7 of a matrix with a row for each input,
    gets a gradient only through all the states between.
    """
    model = subject.filled()
    inputs, hidden, _ = SIZES
    x = encoded(RARE, *(digit for digit in SEQUENCES[0] if digit != RARE))
    for gradient in _gradients(model, x):
        if gradient is None:
            continue
        for axis, size in enumerate(gradient.shape):
            # In a matrix for input and hidden state together, either may come first.
            places = {inputs: (RARE,), inputs + hidden: (RARE, hidden + RARE)}.get(size, ())
            if any(gradient.take(place, axis=axis).any() for place in places):
                return ""
    return (
        "It ends on the way, although the scores depend on the first element: is the state taken out of the graph, by "
        ".data, by an array made of it, or by no_autodiff?"
    )


def _gradients(model: Any, x: NDArray[np.float32]) -> list[NDArray[Any] | None]:
    for parameter in model.parameters:
        parameter.null_grad()
    loss = softmax_crossentropy(model(x), np.array([1], dtype=np.int16))
    loss.backward()
    return [None if parameter.grad is None else np.array(parameter.grad) for parameter in model.parameters]


def _is_there(gradient: NDArray[Any] | None) -> bool:
    return gradient is not None and bool(np.any(gradient))
