"""The outputs of a model that targets of each kind require, their scores, and the outputs op by op with MyGrad."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import mygrad
import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import failure
from myrnn.added_loss import with_added
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import InvalidArgument, MyRNNError
from myrnn.flat import groups
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR
from myrnn.losses import Objective, mean_of_logits
from myrnn.models.model import num_classes, parameters_of
from myrnn.randomness import RandomSource, run_with
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, NUMBERS, SEVERAL, TOGETHER, TargetKind

# The number of target rows that determine the loss of guessing.
MOST_ROWS = 10_000
# The shape of a model's logits is determined on this many steps of a sequence, fewer if they have more numbers (16 MB).
BEGINNING, BEGINNING_NUMBERS = 500, 2**22
# The steps of sequences whose outputs are kept at once.
STEPS_OF_A_PART = 2000
# The number of steps in the tests of whether a model sees future steps, and whether it adds to its loss.
TRIED = 6


def checked_columns(shape: tuple[int, ...], kind: TargetKind, steps: int) -> int:
    """Return K from the shape of a model's outputs for a sequence of some steps, which must fit the targets."""
    if kind.what == CLASS and not kind.per_step:
        return num_classes(shape)
    rows = steps if kind.per_step else 1
    if len(shape) == 2 and shape[0] == rows and (shape[1] == kind.columns if kind.columns else shape[1] >= 2):
        return int(shape[1])
    wanted = f"({'T' if kind.per_step else '1'}, {kind.columns or 'K'})"
    least = "" if kind.columns else " for K = 2 classes or more"
    here = f" for {steps} steps" if kind.per_step else ""
    raise InvalidArgument(
        f"the targets are {kind}, so the model must return outputs of shape {wanted}{least}, but it returned shape "
        f"{shape}{here}"
    )


def metric_of(kind: TargetKind) -> str:
    """Return the metric that a training reports: ``"accuracy"``, or for numbers ``"squared_error"``."""
    return SQUARED_ERROR if kind.what == NUMBERS else ACCURACY


def scores_dtype(kind: TargetKind) -> type[np.generic]:
    """Return the type of sums of scores: the number of right classes is an integer."""
    return np.int64 if kind.what == CLASS else np.float64


def total_score(
    outputs: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any] | None, scored: int | None = None
) -> Any:
    """Return the sum of the scores of rows whose weight is not 0; `scored` columns are the first of several targets."""
    # For a class the score is 1 if it has the largest output; for several classes the share of right decisions, where
    # an output above 0, with a sigmoid above 1/2, means that the class holds; for numbers the mean squared error; for
    # several targets together that of the first, a class.
    if scored is not None:
        right = np.argmax(outputs[:, :scored], axis=1) == np.argmax(targets[:, :scored], axis=1)
        scores = right & targets[:, :scored].any(axis=1)
    elif targets.dtype.kind == "i":
        scores = np.argmax(outputs, axis=1) == targets
    elif targets.dtype.kind == "b":
        scores = ((outputs > 0) == targets).mean(axis=1)
    else:
        scores = ((outputs.astype(np.float64) - targets) ** 2).mean(axis=1)
    return np.sum(scores if weights is None else scores[weights > 0])


def chance_of(kind: TargetKind, columns: int) -> float | None:
    """Return the accuracy of guessing; None for numbers."""
    return {CLASS: 1 / columns, SEVERAL: 0.5, TOGETHER: 1 / (kind.scored or columns)}.get(kind.what)


def guessing_loss(objective: Objective, model: Any, sequences: Sequences, columns: int) -> float:
    """Return the loss of guessing (equal probabilities, or outputs of zero), plus the penalty of this model."""
    with MYGRAD, mygrad.no_autodiff:
        penalty = float(objective.penalty_of(model).item())
    if sequences.kind.what == CLASS:
        heaviest = 1.0 if objective.class_weights is None else float(objective.class_weights.max())
        return float(np.log(columns) * heaviest + penalty)
    targets = sequences.targets[:MOST_ROWS]
    weights = None if sequences.weights is None else sequences.weights[:MOST_ROWS]
    nothing = np.zeros((len(targets), columns), dtype=np.float32)
    return penalty + (mean_of_logits(objective.loss, nothing, targets, None, weights) if len(targets) else 0.0)


def checked_class_weights(given: ArrayLike | None, kind: TargetKind, classes: int) -> NDArray[np.float32] | None:
    """Return the weight of each class, float32 (K,), each 0 or more, or None."""
    if given is None:
        return None
    if kind.what != CLASS:
        raise InvalidArgument(f"class_weight is for targets that are a class, but these are {kind}")
    weights = _checks.array("class_weight", given)
    if weights.shape != (classes,) or weights.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"class_weight must be a number for each of the {classes} classes, not {_checks.shown(given)}"
        )
    _checks.finite("class_weight", weights)
    _checks.not_negative("class_weight", weights)
    return weights.astype(np.float32)


def reference_logits(model: Any, sequences: Sequences, indices: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Return the outputs, op by op and without a graph: float32 (N, K) or, if steps have targets, (sum of T, K)."""
    chosen = np.arange(len(sequences)) if indices is None else indices
    rows = []
    for index in chosen[have_rows(sequences, chosen)]:
        with MYGRAD, mygrad.no_autodiff:
            rows.append(np.asarray(output_of(model, sequences, index)))
    if not rows:
        # No sequence has a step: the model says how many outputs it has, if anything does.
        return np.empty((0, getattr(model, "dim_output", 1)), dtype=np.float32)
    return np.concatenate(rows).astype(np.float32)


def reference_in_parts(model: Any, sequences: Sequences) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the outputs of `reference_logits`, some rows at a time, each part with its place among all rows."""
    if not sequences.per_step:
        yield slice(0, len(sequences)), reference_logits(model, sequences)
        return
    for part in groups(sequences.lengths, STEPS_OF_A_PART):
        place = slice(*sequences.offsets[[part.start, part.stop]].tolist())
        if place.start < place.stop:
            yield place, reference_logits(model, sequences, np.arange(part.start, part.stop))


def tried_on(model: Any, sequences: Sequences) -> tuple[int, bool]:
    """Run the model on one sequence; return K, and whether it adds to its loss, or raise InvalidArgument."""
    made_for, width = getattr(model, "dim_input", None), sequences.dim_input
    if isinstance(made_for, int | np.integer) and made_for != width:
        kind = "symbols" if sequences.is_tokens else "features"
        raise InvalidArgument(
            f"the sequences have {width} {kind}, but {type(model).__name__} was made for "
            f"{_checks.count_of(made_for, 'input')}: "
            f"make it with dim_input={width}"
        )
    # With one step, a row for each step is a row for the sequence; and without steps, nothing may be added to the loss.
    index = int((sequences.lengths if sequences.per_step else sequences.lengths > 0).argmax())
    try:
        # The beginning of a long sequence is enough.
        beginning = sequences.features(index, min(BEGINNING, max(2, BEGINNING_NUMBERS // width)))
        columns, adds = _tried(model, beginning, sequences.kind)
    except MyRNNError:
        # The model may need the whole sequence.
        columns, adds = _tried(model, sequences.features(index), sequences.kind)
    return columns, adds or (0 < len(beginning) < TRIED and _adds_later(model, beginning))


def _adds_later(model: Any, x: NDArray[np.float32]) -> bool:
    """Whether the model adds to its loss at a later step than those of a short sequence, which is repeated for that."""
    try:
        with np.errstate(over="ignore", invalid="ignore"), MYGRAD, mygrad.no_autodiff:
            return bool(with_added(model, np.resize(x, (TRIED, x.shape[1])))[1])
    except Exception:
        # It may not take longer sequences.
        return False


def check_sees_no_future(model: Any, sequences: Sequences) -> None:
    """Refuse a model whose output at a step depends on later steps: it would read the answer instead of learning it."""
    # The test continues the beginning of the longest sequence in two ways, with the weights of the model and with small
    # ones: with large weights, units are saturated and hide what they depend on. A model that fails on so short a
    # sequence is not tested.
    first = sequences.features(int(sequences.lengths.argmax()), TRIED)
    changed = np.roll(first, 1, axis=1) if sequences.is_tokens else -1 - first
    continued = [first, *(np.concatenate([first[:begin], changed[begin:]]) for begin in range(1, len(first)))]
    for weights in (nullcontext(), _small_weights(model)):
        with weights, np.errstate(over="ignore", invalid="ignore"), MYGRAD, mygrad.no_autodiff:
            try:
                outputs, *others = [np.asarray(model(x)) for x in continued]
            except Exception:
                return
        for begin, other in enumerate(others, 1):
            if not np.allclose(outputs[:begin], other[:begin], rtol=1e-4, atol=1e-5, equal_nan=True):
                raise InvalidArgument(
                    "the model's output after a step depends on later steps, which contain the targets: it must not "
                    "read backward (bidirectional=False)"
                )


@contextmanager
def _small_weights(model: Any) -> Iterator[None]:
    """Scale each parameter to a norm of at most 1 for the block."""
    before = {id(parameter): (parameter, parameter.data) for parameter in parameters_of(model)}
    try:
        for parameter, data in before.values():
            parameter.data = (data / max(1.0, float(np.linalg.norm(data)))).astype(data.dtype)
        yield
    finally:
        for parameter, data in before.values():
            parameter.data = data


def _tried(model: Any, x: NDArray[np.float32], kind: TargetKind) -> tuple[int, bool]:
    try:
        # Numbers may overflow, as in training: that ends in a loss that is refused.
        with np.errstate(over="ignore", invalid="ignore"), MYGRAD, mygrad.no_autodiff:
            found, added = with_added(model, x)
            _checks.of_mygrad("the result of the model", found)
            outputs = np.asarray(found)
    except MyRNNError:
        raise
    except Exception as error:
        raise InvalidArgument(f"the model fails on a sequence of shape {x.shape}: {failure(error)}") from error
    return checked_columns(outputs.shape, kind, len(x)), bool(added)


def have_rows(sequences: Sequences, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the sequences have targets: if each step has one, an empty sequence has none."""
    return (sequences.lengths[indices] > 0) | (not sequences.per_step)


def output_of(model: Any, sequences: Sequences, index: int, source: RandomSource | None = None, added: int = 0) -> Any:
    """Run the model on a sequence and return its outputs, whose shape fits the targets."""
    # With a source, as in training, it draws random numbers. The last `added` outputs have no target.
    features = sequences.features(index)
    output = model(features) if source is None else run_with(source, model, features)
    shape = np.shape(output)
    if added:
        shape = *shape[:-1], shape[-1] - added
    checked_columns(shape, sequences.kind, int(sequences.lengths[index]))
    return output
