"""Is a student's model class right? It is made, called, differentiated and compared with the equations."""

from __future__ import annotations

from myrnn._checks import shown
from myrnn.compiler import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.exercises import _behaviour, _gradients, _parts
from myrnn.exercises._report import Check, ExerciseReport, run_checks
from myrnn.exercises._subject import Subject

CHECKS = (
    Check("made", "A model is made from dim_input, dim_recurrent and dim_output.", _parts.made),
    Check("parameters", "parameters is a tuple of trainable tensors, each once.", _parts.parameters, ("made",)),
    Check("float32", "Every parameter is float32.", _parts.parameter_dtypes, ("parameters",)),
    Check(
        "weights",
        "The parameters map the input to the hidden state, the hidden state to itself and to the scores.",
        _parts.weights,
        ("parameters",),
    ),
    Check("own", "Every model has parameters of its own.", _parts.own_parameters, ("parameters",)),
    Check("scores", "A sequence gives one row of scores, a tensor of shape (1, K).", _behaviour.scores, ("made",)),
    Check("scores float32", "The scores are float32.", _behaviour.score_dtype, ("scores",)),
    Check("sizes", "Other sizes than 10, 50 and 2 do as well.", _behaviour.other_sizes, ("scores",)),
    Check("same", "The same sequence gives the same scores, whatever came before.", _behaviour.repeatable, ("scores",)),
    Check(
        "moderate",
        "The first weights are small: scores stay moderate over 20 steps.",
        _behaviour.moderate,
        ("scores",),
    ),
    Check(
        "listed",
        "Every tensor that the scores are computed from is in parameters.",
        _gradients.listed,
        ("scores", "parameters"),
    ),
    Check("gradient", "A gradient reaches every parameter.", _gradients.reaches_parameters, ("scores", "parameters")),
    Check(
        "elements",
        "The scores depend on every element of the sequence.",
        _behaviour.every_element,
        ("same", "parameters"),
    ),
    Check("order", "The scores depend on the order of the elements.", _behaviour.order, ("elements",)),
    Check(
        "through time",
        "The gradient goes back through time to the first element.",
        _gradients.reaches_first_step,
        ("gradient", "elements"),
    ),
    Check("nonlinear", "The hidden state has an activation function.", _behaviour.nonlinear, ("same", "parameters")),
    Check(
        "readout",
        "The scores come straight from the hidden state: softmax is left to the loss.",
        _behaviour.linear_readout,
        ("same", "weights"),
    ),
    Check(
        "equations",
        "Where the parameters are those of the equations, so are the scores.",
        _behaviour.equations,
        ("same", "weights"),
    ),
)


def check_model(cls: type) -> ExerciseReport:
    """Say what is wrong with a recurrent model class, ``RNN`` of the lesson.

    Models of the class are made and called on short sequences, with weights that the check chooses, so that what the
    class draws its first weights from does not matter. Cells with other equations (gates, a second state, another
    activation) pass as well: only a class whose parameters are those of the lesson is compared with its equations.
    In the main thread a call that never ends is stopped, and of what is printed the first lines are shown.

    Parameters
    ----------
    cls : type
        ``cls(dim_input, dim_recurrent, dim_output)`` makes a model; ``model(x)`` with `x` float32 (T, C) returns the
        scores, a MyGrad tensor of shape (1, K); ``model.parameters`` is a tuple of tensors.

    Returns
    -------
    ExerciseReport
        ``.ok`` and one line for each property. An exception of the class is a property that does not hold.

    Raises
    ------
    InvalidArgument
        When `cls` is no class.

    Examples
    --------
    >>> from myrnn import RNN
    >>> check_model(RNN).ok
    True
    """
    if isinstance(cls, type):
        with MYGRAD:
            return run_checks(cls.__name__, Subject(cls), CHECKS)
    hint = f"pass the class itself, {type(cls).__name__}" if hasattr(type(cls), "parameters") else "pass a class"
    raise InvalidArgument(f"cls must be a model class, not {shown(cls)}: {hint}")
