"""Is a student's model class right? It is instantiated, called, differentiated and compared with the equations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import mygrad as mg
import numpy as np
from mygrad import Tensor
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn._checks import count_of, shown
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.exercises.report import Checklist, ExerciseReport
from myrnn.sequences import one_hot

# C, D and K of the lesson. No two are equal, so that a shape identifies a parameter.
SIZES = (10, 50, 2)
OTHER_SIZES = (6, 17, 4)
NAMES = ("dim_input", "dim_recurrent", "dim_output")
SEQUENCES = ((3, 1, 4, 0, 5, 9), (2, 7, 1, 8, 6, 4), (1, 6, 0, 3, 9, 8), (5, 7, 2, 9, 4, 0))
# A digit that only occurs at the beginning of the sequence of one check.
RARE = 7
# Rounding in another order of summation stays far below; the effect of a digit is far above.
TOLERANCE = 1e-5
MODERATE = 1e4


def check_model(cls: type) -> ExerciseReport:
    """Check a recurrent model class, ``RNN`` of the lesson.

    Models of the class are made and called on short sequences, with weights chosen by the check, so that the initial
    weights of the class do not matter. Cells with other equations (gates, a second state, another activation) pass as
    well: only a class with the parameters of the lesson is compared with its equations. In the main thread a call that
    never ends is stopped, and only the first printed lines are shown.

    Parameters
    ----------
    cls : type
        ``cls(dim_input, dim_recurrent, dim_output)`` makes a model; ``model(x)`` with `x` float32 (T, C) returns the
        scores, a MyGrad tensor of shape (1, K); ``model.parameters`` is a tuple of tensors.

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property.

    Raises
    ------
    InvalidArgument
        When `cls` is not a class.

    Examples
    --------
    >>> from myrnn import RNN
    >>> check_model(RNN).ok
    True
    """
    check_class(cls)
    with MYGRAD:
        return checks.run(cls.__name__, Candidate(cls))


def check_class(cls: Any) -> None:
    """Raise InvalidArgument unless it is a class."""
    if not isinstance(cls, type):
        hint = f"pass the class itself, {type(cls).__name__}" if hasattr(type(cls), "parameters") else "pass a class"
        raise InvalidArgument(f"cls must be a model class, not {shown(cls)}: {hint}")


# The model under examination ------------------------------------------------------------------------------------------


class Candidate:
    """A model class; its models are made when a check asks for one."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def make(self, sizes: tuple[int, int, int] = SIZES) -> Any:
        """Return a new model."""
        return self.cls(**dict(zip(NAMES, sizes, strict=True)))

    def filled(self) -> Any:
        """Return a new model with weights of Glorot's size, and nonzero biases: the same at every call."""
        rng = np.random.default_rng(0)
        model = self.make()
        for parameter in model.parameters:
            shape = parameter.shape
            deviation = np.sqrt(2 / sum(shape)) if min(shape, default=0) > 1 else 0.1
            parameter.data[...] = rng.normal(0.0, deviation, shape)
        return model


def encoded(*digits: int) -> NDArray[np.float32]:
    """Return the digits as model input, float32 (T, 10)."""
    return one_hot(np.array(digits), SIZES[0])


def scores_of(model: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the scores of one sequence, without a graph; the model gets a copy of the sequence."""
    with mg.no_autodiff:
        return np.array(model(x.copy()))


def _path_to(tensor: Tensor, model: Any) -> str:
    """Return the attribute that holds a tensor, such as ``fc_x2h.weight``, or its shape if there is none."""
    for name, value in vars(model).items() if hasattr(model, "__dict__") else ():
        if value is tensor:
            return name
        for part, inner in getattr(value, "__dict__", {}).items():
            if inner is tensor:
                return f"{name}.{part}"
    return f"a tensor of shape {tensor.shape}"


# Its parameters ------------------------------------------------------------------------------------------------------

checks = Checklist()


@checks("A model is made from dim_input, dim_recurrent and dim_output.")
def _made(candidate: Candidate) -> None:
    candidate.make()


@checks("parameters is a tuple of trainable tensors, each once.", _made)
def are_parameters(candidate: Candidate) -> Iterator[str]:
    """Find anything that is not a parameter."""
    model = candidate.make()
    if not hasattr(model, "parameters"):
        yield "The model has no attribute parameters."
    given = model.parameters
    if callable(given) and not isinstance(given, Tensor):
        yield "parameters is a method: put @property above it, so that model.parameters is the tuple."
    # The exercise asks for a tuple, but every optimizer accepts a list.
    if not isinstance(given, tuple | list):
        yield f"parameters is of type {type(given).__name__}" + (
            ", not yet joined into a tuple." if isinstance(given, Iterable) else "."
        )
    if not given:
        yield "parameters is empty."
    for index, parameter in enumerate(given):
        if not isinstance(parameter, Tensor):
            hint = ": a layer without a bias has none" if parameter is None else ""
            hint = ": join the layers' tuples with +" if isinstance(parameter, tuple) else hint
            yield f"parameters[{index}] is of type {type(parameter).__name__} and no tensor{hint}."
        if parameter.constant:
            yield f"parameters[{index}], {_path_to(parameter, model)}, is constant, so it gets no gradient."
        if any(parameter is other for other in given[:index]):
            yield f"{_path_to(parameter, model)} is in parameters twice: the optimizer would move it twice."


@checks("Every parameter is float32.", are_parameters)
def _parameter_dtypes(candidate: Candidate) -> Iterator[str]:
    model = candidate.make()
    for parameter in model.parameters:
        if parameter.dtype != np.float32:
            yield f"{_path_to(parameter, model)} is {parameter.dtype}."


@checks(
    "The parameters map the input to the hidden state, the hidden state to itself and to the scores.", are_parameters
)
def _weights(candidate: Candidate) -> Iterator[str]:
    inputs, hidden, classes = SIZES
    shapes = [parameter.shape for parameter in candidate.make().parameters]
    # Gates may be joined, and so may input and hidden state.
    wanted = (
        ("W_xh, shape (C, D)", {inputs, inputs + hidden}, hidden, inputs),
        ("W_hh, shape (D, D)", {hidden, inputs + hidden}, hidden, hidden),
        ("W_hy, shape (D, K)", {hidden}, classes, hidden),
    )
    for name, rows, columns, first in wanted:
        if not any(_maps(shape, rows, columns) or _maps(shape[::-1], rows, columns) for shape in shapes):
            yield f"No parameter is {name} = ({first}, {columns}). There are {', '.join(map(str, shapes))}."


def _maps(shape: tuple[int, ...], rows: set[int], columns: int) -> bool:
    return len(shape) == 2 and shape[0] in rows and shape[1] % columns == 0 and (columns > 2 or shape[1] == columns)


@checks("Every model has separate parameters.", are_parameters)
def _own_parameters(candidate: Candidate) -> Iterator[str]:
    one, other = candidate.make(), candidate.make()
    for parameter in one.parameters:
        if any(parameter is theirs for theirs in other.parameters):
            yield f"Two models share {_path_to(parameter, one)}: make the layers in __init__, as attributes of self."


# Its results ----------------------------------------------------------------------------------------------------------


@checks("A sequence gives one row of scores, a tensor of shape (1, K).", _made)
def one_row(candidate: Candidate) -> Iterator[str]:
    """Find scores of another kind or shape."""
    _, hidden, classes = SIZES
    return wrong_scores(
        candidate,
        lambda steps: {
            (1, classes): "",
            (steps, classes): " These are scores for every step: only those of the last are asked for.",
            (1, hidden): " This is a hidden state: the readout W_hy is still to come.",
            (classes,): " The hidden state has shape (1, D); keep its first axis.",
        },
    )


def wrong_scores(
    candidate: Candidate, shapes: Callable[[int], dict[tuple[int, ...], str]], kinds: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Say what is wrong with scores; `shapes` has the right shape for so many steps, and hints for wrong ones."""
    for steps in (20, 2, 1):
        given = candidate.make()(encoded(*(np.arange(steps) % SIZES[0])))
        if not isinstance(given, Tensor):
            kind = type(given).__name__
            hints = {"NoneType": " Is the return missing?", **(kinds or {})}
            yield f"The model returns {kind}, not a mygrad.Tensor.{hints.get(kind, '')}"
        (right, _), *wrong = shapes(steps).items()
        if given.shape != right:
            hint = dict(wrong).get(given.shape, "")
            yield f"For {count_of(steps, 'step')} the scores have shape {given.shape}.{hint}"


@checks("The scores are float32.", one_row, are_parameters)
def _score_dtype(candidate: Candidate) -> Iterator[str]:
    model = candidate.make()
    dtype = model(encoded(1, 2)).dtype
    # MyGrad makes float64 of a tensor and a Python number, such as 1 - z in a gate.
    if dtype != np.float32 and not (dtype == np.float64 and _is_another_cell(model.parameters)):
        hint = " Is the hidden state made of zeros with dtype=np.float32?" if dtype == np.float64 else ""
        yield f"They are {dtype}.{hint}"


@checks("Sizes other than 10, 50 and 2 work, too.", one_row)
def _other_sizes(candidate: Candidate) -> Iterator[str]:
    inputs, _, classes = OTHER_SIZES
    shape = candidate.make(OTHER_SIZES)(np.eye(inputs, dtype=np.float32)[[0, 1, 5]]).shape
    if shape != (1, classes):
        yield f"With dim_input, dim_recurrent, dim_output = {OTHER_SIZES} the scores have shape {shape}."


@checks("The same sequence gives the same scores, whatever came before.", one_row)
def repeatable(candidate: Candidate) -> Iterator[str]:
    """Find anything that a model keeps between calls."""
    model = candidate.make()
    x = encoded(*SEQUENCES[0])
    with mg.no_autodiff:
        first = np.array(model(x))
    if not np.array_equal(x, encoded(*SEQUENCES[0])):
        yield "The model changes its input sequence."
    scores_of(model, encoded(*SEQUENCES[1]))
    again = scores_of(model, x)
    if not np.array_equal(first, again):
        yield (
            f"A second call gave {listed(again)} after {listed(first)}. The hidden state begins with zeros in every "
            "call, and the layers are made in __init__ alone."
        )


@checks("The first weights are small: scores stay moderate over 20 steps.", one_row)
def _moderate(candidate: Candidate) -> Iterator[str]:
    largest = max(_largest(candidate.make()) for _ in range(3))
    if largest >= MODERATE:
        yield (
            f"There is a score of size {largest:.0e}. The first weights should be small, and some of them negative, "
            "like those that dense draws without weight_initializer."
        )


def _largest(model: Any) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.abs(scores_of(model, encoded(*(np.arange(20) % SIZES[0])))).max()
    return float(size) if np.isfinite(size) else np.inf


@checks("Every tensor that the scores are computed from is in parameters.", one_row, are_parameters)
def _listed(candidate: Candidate) -> Iterator[str]:
    model = candidate.make()
    first, second = _leaves(model), _leaves(model)
    known = {id(parameter) for parameter in model.parameters}
    # Tensors made anew in every call, such as zeros, are not parameters.
    missing = [leaf for key, leaf in first.items() if key in second and key not in known]
    if missing:
        yield f"{_path_to(missing[0], model)} is used, but is not in parameters: the optimizer would never change it."


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


@checks("A gradient reaches every parameter.", one_row, are_parameters)
def _reaches_parameters(candidate: Candidate) -> Iterator[str]:
    model = candidate.filled()
    reached = [False] * len(model.parameters)
    for digits in SEQUENCES:
        gradients = _gradients(model, encoded(*digits))
        reached = [before or _is_there(gradient) for before, gradient in zip(reached, gradients, strict=True)]
    if not any(reached):
        yield "No parameter gets a gradient: are the scores computed with MyGrad's operations, without .data?"
    for parameter, there in zip(model.parameters, reached, strict=True):
        if not there:
            yield f"No gradient reaches {_path_to(parameter, model)}: is it used?"


def _gradients(model: Any, x: NDArray[np.float32]) -> list[NDArray[Any] | None]:
    for parameter in model.parameters:
        parameter.null_grad()
    loss = softmax_crossentropy(model(x), np.array([1], dtype=np.int16))
    loss.backward()
    return [None if parameter.grad is None else np.array(parameter.grad) for parameter in model.parameters]


def _is_there(gradient: NDArray[Any] | None) -> bool:
    return gradient is not None and bool(np.any(gradient))


@checks("The scores depend on every element of the sequence.", repeatable, are_parameters)
def _every_element(candidate: Candidate) -> Iterator[str]:
    model = candidate.filled()
    steps = len(SEQUENCES[0])

    def notices(step: int) -> bool:
        return _are_changed(model, lambda d: (*d[:step], (d[step] + 1) % SIZES[0], *d[step + 1 :]))

    unnoticed = [step for step in range(steps) if not notices(step)]
    if unnoticed == list(range(steps - 1)):
        yield f"Of {steps} elements only the last one matters: is the hidden state carried from step to step?"
    if unnoticed == list(range(1, steps)):
        yield f"Of {steps} elements only the first one matters: does the loop end too early?"
    if unnoticed:
        yield f"Of {steps} elements, numbers {', '.join(map(str, unnoticed))} (counted from 0) change nothing."


def _are_changed(model: Any, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> bool:
    """Return whether the scores of some sequence change: in one a silent unit may hide an element by chance."""
    return any(differ(*(scores_of(model, encoded(*given)) for given in (d, change(d)))) for d in SEQUENCES)


@checks("The scores depend on the order of the elements.", _every_element)
def _order(candidate: Candidate) -> Iterator[str]:
    if not _are_changed(candidate.filled(), lambda d: (d[2], d[1], d[0], d[4], d[3], *d[5:])):
        yield "Swapping elements changes nothing: the hidden state has to go through W_hh at every step."


@checks("The gradient goes back through time to the first element.", _reaches_parameters, _every_element)
def _reaches_first_step(candidate: Candidate) -> Iterator[str]:
    # The digit 7 only occurs at the beginning. Row 7 of a matrix with a row for each input gets a gradient only through
    # all the states between.
    model = candidate.filled()
    inputs, hidden, _ = SIZES
    x = encoded(RARE, *(digit for digit in SEQUENCES[0] if digit != RARE))
    for gradient in _gradients(model, x):
        if gradient is None:
            continue
        for axis, size in enumerate(gradient.shape):
            # In a matrix for input and hidden state together, either may come first.
            places = {inputs: (RARE,), inputs + hidden: (RARE, hidden + RARE)}.get(size, ())
            if any(gradient.take(place, axis=axis).any() for place in places):
                return
    yield (
        "It stops on the way, although the scores depend on the first element: is the state taken out of the graph, by "
        ".data, by an array made of it, or by no_autodiff?"
    )


@checks("The hidden state has an activation function.", repeatable, are_parameters)
def _nonlinear(candidate: Candidate) -> Iterator[str]:
    model = candidate.filled()
    for one, other in pairwise(SEQUENCES):
        between = (encoded(*one) + encoded(*other)) * np.float32(0.5)
        mean = (scores_of(model, encoded(*one)) + scores_of(model, encoded(*other))) / 2
        if differ(scores_of(model, between), mean):
            return
    yield "The scores are a linear function of the input: no activation function is applied to the hidden state."


@checks("The scores come straight from the hidden state: softmax is left to the loss.", repeatable, _weights)
def _linear_readout(candidate: Candidate) -> Iterator[str]:
    model = candidate.filled()
    before = [scores_of(model, encoded(*digits)) for digits in SEQUENCES]
    for parameter in model.parameters:
        if SIZES[2] in parameter.shape:
            parameter.data[...] *= -1
    after = [scores_of(model, encoded(*digits)) for digits in SEQUENCES]
    if not any(differ(one, -other) for one, other in zip(before, after, strict=True)):
        return
    if all(np.allclose(one.sum(), 1, atol=1e-4) for one in before):
        yield "The scores always sum to 1: return them before softmax."
    yield "Something is applied to the scores after h W_hy + b_y."


@checks("Where the parameters are those of the equations, so are the scores.", repeatable, _weights)
def _equations(candidate: Candidate) -> Iterator[str]:
    model = candidate.filled()
    parts = _parts_of_the_equations(model.parameters)
    if parts is None:
        return
    for activation in (lambda h: np.maximum(h, 0), np.tanh):
        if not any(differ(scores_of(model, encoded(*d)), _reference(d, parts, activation)) for d in SEQUENCES):
            return
    if _is_another_cell(model.parameters):
        return
    digits = SEQUENCES[0]
    found, expected = scores_of(model, encoded(*digits)), _reference(digits, parts, lambda h: np.maximum(h, 0))
    yield (
        f"For the digits {list(digits)} the scores are {listed(found)}, where the equations with the same weights "
        f"give {listed(expected)}."
    )


def _parts_of_the_equations(parameters: Any) -> tuple[NDArray[np.float64], ...] | None:
    """Return W_xh, W_hh, W_hy, b_h and b_y, or None if the parameters are those of another cell."""
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


def _is_another_cell(parameters: Any) -> bool:
    """Whether the parameters need not be those of the equations: a second vector may be a bias or, say, a leak."""
    return _parts_of_the_equations(parameters) is None or sum(p.size == SIZES[1] for p in parameters) > 1


def _reference(digits: Any, parts: Any, activation: Any) -> NDArray[np.float64]:
    x_to_h, h_to_h, h_to_y, h_bias, y_bias = parts
    h = np.zeros((1, SIZES[1]))
    for digit in digits:
        h = activation(x_to_h[digit] + h @ h_to_h + h_bias)
    result: NDArray[np.float64] = h @ h_to_y + y_bias
    return result


def differ(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether scores differ by more than rounding."""
    return bool(np.abs(one - other).max() > TOLERANCE * max(1.0, np.abs(one).max()))


def listed(values: NDArray[Any]) -> str:
    """Return scores as a message shows them."""
    return "[" + ", ".join(f"{value:.4f}" for value in np.ravel(values)) + "]"
