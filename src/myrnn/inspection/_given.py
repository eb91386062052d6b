"""What is given to look into: a model, one sequence in any form, or many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import CompiledModel, Observation, compile, topological
from myrnn.errors import InvalidArgument
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences, given_sequences, one_hot

DIGITS = frozenset("0123456789")


def compiled_of(model: Any, dim_input: int | None = None) -> CompiledModel:
    """Return the model compiled, as it is if it was before.

    Raises
    ------
    InvalidArgument
        When it is no model.
    CompileError
        When it cannot be compiled, as a model that keeps no state from step to step.
    """
    if isinstance(model, CompiledModel):
        return model
    parameters_of(model)
    return compile(model, dim_input=dim_input)


def parse_tokens(text: str, alphabet_size: int) -> list[int]:
    """Return the tokens of a sequence as it is written on the command line.

    Parameters
    ----------
    text : str
        Digits, such as ``"2020"``, where the alphabet has no more than ten symbols; or whole numbers with commas
        between, such as ``"10,3,10,3"``, for any alphabet.
    alphabet_size : int

    Raises
    ------
    InvalidArgument
        When there is no symbol, or one that is not in the alphabet; the message says where.
    """
    if alphabet_size > 10 and "," not in text:
        raise InvalidArgument(
            f"sequence {_checks.shown(text)}: write it with commas between, such as 10,3,10,3, "
            f"because the alphabet has {alphabet_size} symbols"
        )
    parts = text.split(",") if "," in text else list(text)
    if not parts:
        raise InvalidArgument("a sequence is empty: write digits, such as 2020")
    for place, part in enumerate(parts, 1):
        # Not isdigit(): that holds for digits of other scripts, too.
        if not part or set(part) - DIGITS or len(part) > 10:
            raise InvalidArgument(f"sequence {_checks.shown(text)}: {_checks.shown(part)} at place {place} is no digit")
        if int(part) >= alphabet_size:
            raise InvalidArgument(
                f"sequence {_checks.shown(text)}: {part} at place {place} is not one of the symbols "
                f"0 to {alphabet_size - 1}"
            )
    return [int(part) for part in parts]


def one_sequence(x: Any, dim_input: int) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Return the features (T, C) of one sequence, and its tokens (T,) where it has any.

    Rows of features that are all one-hot are tokens, too.
    """
    if isinstance(x, str):
        tokens = np.array(parse_tokens(x, dim_input), dtype=np.int64)
        return one_hot(tokens, dim_input), tokens
    given = _checks.array("x", x.data if isinstance(x, Tensor) else x)
    if given.ndim in (1, 2) and not len(given):
        raise InvalidArgument("x is empty: a sequence needs at least one step to look into")
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


def many_sequences(name: str, given: Any, samples: int, seed: int, compiled: CompiledModel) -> Sequences:
    """Draw sequences from a task, or take those that are given, without the empty ones."""
    count = _checks.integer("samples", samples, minimum=1)
    drawn = given_sequences(given, count, compiled.dim_input)
    if drawn is None and callable(getattr(given, "sample", None)):
        drawn = given.sample(count, np.random.default_rng(_checks.integer("seed", seed, minimum=0)))
    if drawn is None:
        raise InvalidArgument(
            f"{name} must be a task, a Sequences or an iterable of (x, y) pairs, not {type(given).__name__}"
        )
    if drawn.dim_input != compiled.dim_input:
        raise InvalidArgument(
            f"{name} has sequences of {drawn.dim_input} inputs, but the model takes {compiled.dim_input}"
        )
    kept = drawn.select(drawn.lengths > 0)
    if not len(kept):
        raise InvalidArgument(f"{name} holds no sequence of at least one step")
    if kept.labels.max() >= compiled.dim_output:
        raise InvalidArgument(
            f"{name} has a label {kept.labels.max()}, but the model has {compiled.dim_output} classes, "
            f"0 .. {compiled.dim_output - 1}"
        )
    return kept


def observations(compiled: CompiledModel, sequences: Sequences) -> Iterator[Observation]:
    """Look inside while each sequence runs, the loss being that of its own label."""
    return (compiled.observe(sequences.features(i), int(sequences.labels[i])) for i in range(len(sequences)))


def name_of(compiled: CompiledModel) -> str:
    """Return the name of the model's class."""
    return type(compiled.model).__name__


def main_state(compiled: CompiledModel) -> str:
    """Return the name of the state that the logits are computed from, or of the first of several."""
    leaves = topological([compiled.recurrence.readout])
    read = [leaf.attributes[0] for leaf in leaves if leaf.operation == "state"]
    return compiled.state_names[min(read, default=0)]


def weight_matrices(model: Any) -> dict[str, NDArray[np.float32]]:
    """Return copies of the model's parameters with more than one row and column, by name."""
    named = zip(parameter_names(model), parameters_of(model), strict=True)
    return {name: p.data.copy() for name, p in named if p.ndim == 2 and min(p.shape) > 1}


def norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the Euclidean norm of every row, float64: squares of small float32 numbers would be zero."""
    return np.linalg.norm(rows.astype(np.float64), axis=1)
