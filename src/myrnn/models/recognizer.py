"""A model that learned more beside recognition, as a recognizer of strings."""

from __future__ import annotations

from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.models.model import Wrapper, parameters_of


class Recognizer(Wrapper):
    """A wrapper that turns a model of recognition and of what follows into a model of recognition alone.

    It puts the start symbol before a string, lets the model read it, and returns the first scores after the last
    symbol. So functions such as `extract_automaton` and `inspect` can use it like any other classifier of strings.
    Functions that also receive the task, such as `evaluate`, create one themselves.

    Parameters
    ----------
    model : callable
        ``model(x)``, for a sequence of shape (T, C), returns scores for each step, (T, K). The last of the C symbols is
        the start.
    classes : int
        How many of the K scores, the first ones, are those of classes of the string.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import Stacked, evaluate, tasks
    >>> task = tasks.Flare("parity", also_next_symbol=0.3)
    >>> model = Stacked(task.dim_input, 8, task.dim_output, layers=1, per_step=True, rng=0)
    >>> Recognizer(model)(np.eye(2, dtype=np.float32)).shape
    (1, 2)
    >>> evaluate(model, task, 100, engine="mygrad").tried
    '100 sequences'
    """

    # How many steps the start takes.
    start_steps = 1

    def __init__(self, model: Any, classes: int = 2) -> None:
        parameters_of(model)
        self.model, self.dim_output = model, _checks.integer("classes", classes, minimum=2)

    @property
    def dim_input(self) -> int:
        """C: the number of symbols without the start symbol, if the model has a `dim_input`."""
        # An AttributeError says that it does not.
        width: int = self.model.dim_input
        return width - 1

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that the model learns."""
        return parameters_of(self.model)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the scores of one string, (1, `classes`); `x` is (T, C) without the start."""
        if len(getattr(x, "shape", ())) != 2:
            raise InvalidArgument(f"x must be one string, an array of shape (T, C), not {_checks.shown(x)}")
        steps, symbols = x.shape
        start = np.zeros((self.start_steps, symbols + 1), dtype=np.float32)
        start[:, -1] = 1.0
        wider = mygrad.concatenate([x, np.zeros((steps, 1), dtype=np.float32)], axis=1)
        scores = self.model(mygrad.concatenate([start, wider]))
        if len(scores.shape) != 2 or scores.shape[0] != steps + self.start_steps or scores.shape[1] <= self.dim_output:
            raise InvalidArgument(
                f"the model must return scores of shape (T, K), with K above {self.dim_output}, but it returned shape "
                f"{scores.shape} for {steps + self.start_steps} steps"
            )
        return scores[-1:, : self.dim_output]
