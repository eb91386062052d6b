"""One sequence on its way through a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks, results
from myrnn.compiler import CompiledModel, compile
from myrnn.compiler.compilation import MAX_LENGTH
from myrnn.compiler.graph import topological
from myrnn.compiler.leaves import Kept, LoopState
from myrnn.compiler.loops import Recurrence
from myrnn.errors import InvalidArgument, NotFinite
from myrnn.models.model import parameter_names, parameters_of
from myrnn.sequences import Sequences, one_hot
from myrnn.tokens import read_tokens, written_tokens

Floats = NDArray[np.float32]
Named = dict[str, Floats]


@dataclass(frozen=True, repr=False, eq=False)
class Inspection(results.Result):
    """The inner values of a model while it read one sequence.

    T steps, C inputs, K classes, D units of a state. Row t of every array belongs to element t of the sequence, even if
    a loop runs backwards. The gradient with respect to one state keeps the other states fixed, as if it were changed
    between two steps; later loops that read it do change.

    Attributes
    ----------
    x : ndarray, float32 (T, C)
        The sequence.
    tokens : ndarray, int64 (T,), or None
        Its symbols, if every row is one-hot.
    y : int, or ndarray, int64 (T,)
        The class that the loss is taken for. For a model that predicts a class at every step, one per step, with -1 at
        steps that the loss ignores.
    y_is_predicted : bool
        Whether `y` is the model's prediction, because no class was given.
    loss : float
        The softmax cross-entropy, in nats; with classes per step, their mean.
    states : dict of str to ndarray, float32 (T, D)
        Every state after every step. States that are made of the last few rows of the sequence alone, such as the row
        of the step before, are left out, unless there are no others.
    initial_states : dict of str to ndarray, float32 (D,)
        The same states before the first step.
    logits : ndarray, float32 (T, K)
        The output at each step, as if the sequence ended there.
    probabilities : ndarray, float64 (T, K)
        The softmax of these.
    state_gradients : dict of str to ndarray, float32 (T, D)
        The gradient of the loss with respect to these states after every step.
    input_gradients : ndarray, float32 (T, C)
        The gradient of the loss with respect to the sequence.
    weights : dict of str to ndarray, float32
        Copies of the model's parameters with more than one row and column, by name.
    class_names : list of str
    symbol_names : tuple of str or None
        The names of the symbols; by default their numbers.
    main_state : str
        One of `states`: one that the logits are computed from, if possible; of several, one that depends on its own
        past; of several of these, the largest.

    Examples
    --------
    >>> from myrnn import RNN, inspect
    >>> found = inspect(RNN(dim_input=10, dim_recurrent=16, dim_output=2, rng=0), "1212", y=1)
    >>> found.symbols, found.states["h"].shape, found.state_gradient_norms["h"].shape
    (['1', '2', '1', '2'], (4, 16), (4,))
    >>> list(found.rows()[0])
    ['step', 'symbol', 'class', 'probability', '|h|', '|dL/dh|', '|dL/dx|']
    """

    x: Floats
    tokens: NDArray[np.int64] | None
    y: int | NDArray[np.int64]
    y_is_predicted: bool
    loss: float
    states: Named
    initial_states: Named
    logits: Floats
    state_gradients: Named
    input_gradients: Floats
    class_names: list[str]
    main_state: str
    weights: Named
    symbol_names: tuple[str, ...] | None = None

    # Numbers ---------------------------------------------------------------------------------------------------------

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The probability of every class if the sequence ended after each step, float64 (T, K)."""
        return scipy.special.softmax(self.logits.astype(np.float64), axis=1)

    @property
    def symbols(self) -> list[str] | None:
        """The name of the symbol at every step, (T,); None if the rows are not one-hot."""
        if self.tokens is None:
            return None
        names = self.symbol_names
        return [str(token) if names is None else names[token] for token in self.tokens.tolist()]

    @property
    def predicted(self) -> int:
        """The class predicted at the end."""
        return int(self.logits[-1].argmax())

    @property
    def state_gradient_norms(self) -> dict[str, NDArray[np.float64]]:
        """The Euclidean norm of the gradient with respect to every state after every step, float64 (T,)."""
        return {name: norms(gradients) for name, gradients in self.state_gradients.items()}

    @property
    def input_gradient_norms(self) -> NDArray[np.float64]:
        """The Euclidean norm of the gradient with respect to every element of the sequence, float64 (T,)."""
        return norms(self.input_gradients)

    def __len__(self) -> int:
        """Return the number of steps, T."""
        return len(self.x)

    def __repr__(self) -> str:
        """Show what was read and what the model predicts."""
        return f"Inspection({self.summary()})"

    def summary(self) -> str:
        """Return one line: the sequence, the prediction, and the loss of the gradients."""
        read = written_tokens(self.x if self.tokens is None else self.tokens, self.symbol_names, self.x.shape[1])
        if self.tokens is not None and len(read) > 40:
            read = _checks.count_of(len(self), "symbol")
        says = f"{self.class_names[self.predicted]} ({self.probabilities[-1, self.predicted]:.4f})"
        if isinstance(self.y, np.ndarray):
            known = self.y >= 0
            right = int((self.logits.argmax(axis=1) == self.y)[known].sum())
            given = f"{right} of {_checks.count_of(known.sum(), 'answer')} right; loss {self.loss:.4g}"
            return f"{read}: {f'loss {self.loss:.4g} for the predicted class' if self.y_is_predicted else given}"
        whose = "the predicted class" if self.y_is_predicted else "the given class"
        return f"{read}: {says}; loss {self.loss:.4g} for {self.class_names[self.y]}, {whose}"

    # Tables ----------------------------------------------------------------------------------------------------------

    def table(self) -> results.Table:
        """Return one row per step, with a title that says what was read.

        Its columns are ``step`` (from 1), ``symbol`` (for tokens), ``class`` and ``probability`` (the likeliest class
        if the sequence ended here), for every state ``|h|`` and ``|dL/dh|`` (the norms of the state and of the loss's
        gradient with respect to it) and ``|dL/dx|``.
        """
        best = self.logits.argmax(axis=1)
        columns: dict[str, Any] = {"step": range(1, len(self) + 1)}
        if self.tokens is not None:
            columns["symbol"] = self.tokens if self.symbol_names is None else self.symbols
        columns["class"] = [self.class_names[which] for which in best.tolist()]
        columns["probability"] = self.probabilities[np.arange(len(self)), best]
        for name, gradient_norms in self.state_gradient_norms.items():
            columns[f"|{name}|"] = norms(self.states[name])
            columns[f"|dL/d{name}|"] = gradient_norms
        columns["|dL/dx|"] = self.input_gradient_norms
        # Norms and probabilities with three significant digits.
        words = ("step", "symbol", "class")
        shown = [
            results.text(name, is_number=True) if name in words else results.number(name, "#.3g") for name in columns
        ]
        return results.Table(self.summary(), columns, shown)


def inspect(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    symbol_names: Sequence[str] | None = None,
) -> Inspection:
    """Inspect a model while it reads one sequence.

    The model and its gradients are not changed.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.train`; it must compile, see `myrnn.compile`.
    x : array_like (T, C), integers (T,) or str
        One sequence: features, tokens, or text: digits such as ``"123123"`` (with more than ten symbols, numbers
        separated by commas: ``"10,3,10,3"``), or the `symbol_names` (names of several characters with spaces between).
    y : int or array_like of int (T,), optional
        The class that the loss is taken for; by default the predicted one. For a model that predicts a class at every
        step, one per step; -1 ignores a step.
    class_names : sequence of K str, optional
        For tables and figures; by default ``class 0`` and so on.
    symbol_names : sequence of C str, optional
        The same for symbols; by default their numbers.

    Returns
    -------
    Inspection

    Raises
    ------
    InvalidArgument
        When the sequence is empty or does not fit the model's symbols or inputs, or `y` is not a class of the model, or
        not one per step for a model with outputs at every step.
    NotFinite
        When `y` is missing and the model's logits are not finite.
    CompileError
        When the model cannot be compiled: it must keep a state from step to step.

    Examples
    --------
    >>> from myrnn.models import RNN
    >>> found = inspect(RNN(dim_input=10, dim_recurrent=16, dim_output=2, rng=0), "123123")
    >>> found.states["h"].shape, found.probabilities.shape, found.tokens.tolist()
    ((6, 16), (6, 2), [1, 2, 3, 1, 2, 3])
    """
    width = x.shape[1] if getattr(x, "ndim", 0) == 2 and not hasattr(model, "dim_input") else None
    compiled = compiled_of(model, width, len(x) if getattr(x, "ndim", 0) else None)
    symbols = None
    if symbol_names is not None:
        symbols = tuple(_checks.names("symbol_names", symbol_names, compiled.dim_input, "symbols"))
    features, tokens = one_sequence(x, compiled.dim_input, symbols)
    names = _checks.names("class_names", class_names, compiled.dim_output)
    read = Sequences.from_pairs([(features if tokens is None else tokens, 0)], compiled.dim_input)
    logits = compiled.prefix_logits(read)
    label: int | NDArray[np.int64]
    if compiled.per_step:
        label = _predicted(logits) if y is None else _checked_classes(y, len(features), compiled.dim_output)
        seen = compiled.observe(features, np.maximum(label, 0), label >= 0)
    else:
        label = int(_predicted(logits[-1:])[0]) if y is None else _checked_class(y, compiled.dim_output)
        seen = compiled.observe(features, label)
    # If a loop runs backwards, its last step reads the first element.
    ways = [-1 if backward else 1 for backward in compiled.recurrence.goes_backward]
    return Inspection(
        x=features,
        tokens=tokens,
        y=label,
        y_is_predicted=y is None,
        loss=seen.loss,
        states=_named(compiled, [state[1:][::way].copy() for state, way in zip(seen.states, ways, strict=True)]),
        initial_states=_named(compiled, [state[0].copy() for state in seen.states]),
        logits=logits,
        state_gradients=_named(
            compiled, [gradient[1:][::way].copy() for gradient, way in zip(seen.state_gradients, ways, strict=True)]
        ),
        input_gradients=seen.input_gradients.copy(),
        class_names=names,
        main_state=main_state(compiled),
        weights=_weight_matrices(compiled.model),
        symbol_names=symbols,
    )


def _named(compiled: CompiledModel, arrays: list[Floats]) -> Named:
    named = dict(zip(compiled.state_names, arrays, strict=True))
    return {name: named[name] for name in shown_states(compiled)}


def _predicted(logits: Floats) -> NDArray[np.int64]:
    if not np.isfinite(logits).all():
        raise NotFinite(
            "the model predicts no class, because its logits are not finite: give one, such as y=0, to inspect it"
        )
    return logits.argmax(axis=1)


def _checked_classes(y: Any, steps: int, classes: int) -> NDArray[np.int64]:
    """Return the class of every step, int64 (T,), -1 for none."""
    given = _checks.integers("y", y, minimum=-1, maximum=classes - 1)
    if given.shape != (steps,):
        raise InvalidArgument(f"y must be one class for each of the {steps} steps, not an array of shape {given.shape}")
    return given.astype(np.int64)


def _checked_class(y: Any, classes: int) -> int:
    given = _checks.array("y", y)
    return _checks.integer("y", given.reshape(-1)[0] if given.size == 1 else y, minimum=0, maximum=classes - 1)


# The model and the sequence -------------------------------------------------------------------------------------------


def compiled_of(model: Any, dim_input: int | None = None, steps: int | None = None) -> CompiledModel:
    """Return the model compiled for sequences of `steps`, or itself if it is compiled already."""
    if isinstance(model, CompiledModel):
        return model
    parameters_of(model)
    return compile(model, None if steps is None else max(1, min(steps, MAX_LENGTH)), dim_input=dim_input)


def one_sequence(
    x: Any, dim_input: int, symbol_names: Sequence[str] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Return the features (T, C) of one sequence, and its tokens (T,) if it has any, or its rows are one-hot."""
    if isinstance(x, str):
        tokens = np.array(read_tokens(x, dim_input, symbol_names), dtype=np.int64)
        return one_hot(tokens, dim_input), tokens
    given = _checks.array("x", x.data if isinstance(x, Tensor) else x)
    if given.ndim in (1, 2) and not len(given):
        raise InvalidArgument("x is empty: a sequence needs at least one step")
    if given.ndim == 1 and given.dtype.kind in "iu":
        tokens = _checks.integers("x", given, minimum=0, maximum=dim_input - 1).astype(np.int64)
        return one_hot(tokens, dim_input), tokens
    if given.ndim != 2 or given.shape[1] != dim_input or given.dtype.kind not in "bfiu":
        raise InvalidArgument(
            f"x must be one sequence: features of shape (T, {dim_input}), integer tokens of shape (T,) or a string of "
            f"digits, not {given.dtype} of shape {given.shape}"
        )
    features = given.astype(np.float32)
    _checks.finite("x", features)
    is_one_hot = bool(np.all((features == 0) | (features == 1)) and np.all(features.sum(axis=1) == 1))
    return features, features.argmax(axis=1) if is_one_hot else None


def shown_states(compiled: CompiledModel) -> tuple[str, ...]:
    """Return the names of the states that hold more than the last few rows of the sequence, or of all if none does."""
    names = compiled.state_names
    return tuple(names[i] for i in compiled.recurrence.memories) or names


def main_state(compiled: CompiledModel) -> str:
    """Return the name of the state that the logits are computed from: of several, the one that is best to look at."""
    recurrence, names = compiled.recurrence, compiled.state_names
    read, sizes = _read_by_logits(recurrence), recurrence.state_sizes
    shown = [names.index(name) for name in shown_states(compiled)]
    return names[min(shown, key=lambda i: (i not in read, i not in recurrence.sources[i], -sizes[i]))]


def _read_by_logits(recurrence: Recurrence) -> set[int]:
    """Return the states that logits read: the last ones, or those after each step."""
    found, kept, waiting = set[int](), recurrence.kept, [recurrence.readout]
    for node in waiting:
        for read in topological([node], stop=recurrence.step):
            if isinstance(read.leaf, Kept):
                waiting.append(kept[read.leaf.number])
            elif isinstance(read.leaf, LoopState):
                found.add(read.leaf.number)
            elif read in recurrence.step:
                found.add(recurrence.step.index(read))
    return found


def norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the Euclidean norm of every row, float64: the squares of small float32 numbers would underflow."""
    return np.linalg.norm(rows.astype(np.float64), axis=1)


def _weight_matrices(model: Any) -> dict[str, NDArray[np.float32]]:
    """Return copies of the model's parameters with more than one row and column, by name."""
    named = zip(parameter_names(model), parameters_of(model), strict=True)
    return {name: p.data.copy() for name, p in named if p.ndim == 2 and min(p.shape) > 1}
