"""Compile a model: find its recurrence, or take that of another model of its class, and check it."""

from __future__ import annotations

import copyreg
from collections import deque
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from mygrad import Tensor

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.compiler.explain import explained
from myrnn.compiler.guard import Guard
from myrnn.compiler.model import CompiledModel
from myrnn.compiler.passes import Stages, failures_named
from myrnn.compiler.probe import BACK, PROBES, Subject, trace
from myrnn.compiler.reference import MYGRAD, input_width, read_length
from myrnn.compiler.roll import roll
from myrnn.errors import CompileError, NotARecurrence
from myrnn.models.model import parameter_names, parameters_of
from myrnn.sequences import Sequences

# The default length up to which a model is checked to be a recurrence, and those for models that read no more steps.
MAX_LENGTH, LESS = 64, (32, 16, max(PROBES))


def compile(
    model: Any, max_length: int | None = None, *, dim_input: int | None = None, check: bool = True
) -> CompiledModel:
    """Compile a model to native code: find its loop, derive backpropagation through time, check it against the model.

    Parameters
    ----------
    model : callable
        ``model(x)``, for one sequence of shape (T, C), returns the logits, (1, K), or (T, K) for every step, by loops
        over the rows of `x` that compute the same at every step, except for the first steps and up to four kinds of
        steps that alternate; ``model.parameters`` is a tuple of MyGrad tensors. Compiled models compute in float32.
    max_length : int, optional
        The length up to which the model is checked to be the recurrence that was found; by default 64, or less if the
        model does not read so many steps. Longer sequences are checked when they occur.
    dim_input : int, optional
        The number of inputs, C. By default ``model.dim_input``, or the first size of a parameter that the model accepts
        as the width of a sequence.
    check : bool
        Whether to test the functions for features against the model at once. The functions for each kind of data are
        always tested before they are first used.

    Returns
    -------
    CompiledModel

    Raises
    ------
    NotARecurrence
        When the model does not compute the same at every step; the message shows the line and what differs.
    UnsupportedOperation
        When it uses an operation that the compiler has no rule for.
    NotDeterministic
        When two calls on the same sequence differ.
    InvalidArgument
        When the model or an argument is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.models import RNN
    >>> compiled = compile(RNN(dim_input=10, dim_recurrent=16, dim_output=2))
    >>> compiled(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """
    parameters = parameters_of(model)
    _check_parameters(parameters, parameter_names(model))
    longest = None if max_length is None else _checks.integer("max_length", max_length, minimum=1)
    width = None if dim_input is None else _checks.integer("dim_input", dim_input, minimum=1)
    with MYGRAD, failures_named(model):
        width = width or input_width(model, parameters)
        longest = longest or read_length(model, width, (MAX_LENGTH, *LESS))
        compiled = _known(model, parameters, width, longest) or _compiled(model, parameters, width, longest)
        if compiled not in _recent:
            _recent.append(compiled)
    if check:
        compiled.guard.forget()
        compiled.native(tokens=False, batched=False)
    return compiled


def _check_parameters(parameters: tuple[Tensor, ...], names: tuple[str, ...]) -> None:
    if odd := [
        f"{name} ({parameter.dtype})"
        for name, parameter in zip(names, parameters, strict=True)
        if parameter.dtype not in (np.float32, np.float64)
    ]:
        raise CompileError(
            f"a compiled model works in float32, but it has {', '.join(odd)}: make the parameters with dtype=np.float32"
        )
    if len({id(p) for p in parameters}) < len(parameters):
        raise CompileError("a tensor occurs twice among the model's parameters: list it once to compile the model")
    for (name, one), (other_name, other) in combinations(zip(names, parameters, strict=True), 2):
        if np.may_share_memory(one.data, other.data) and np.shares_memory(one.data, other.data):
            raise CompileError(
                f"{name} and {other_name} share their numbers: use one tensor in both places to compile the model"
            )


def compile_for(model: Any, sequences: Sequences) -> CompiledModel:
    """Compile a model for use on such sequences: up to their lengths, within the limits of `compile`."""
    longest = int(np.clip(sequences.lengths.max(initial=1), 1, MAX_LENGTH))
    return compile(model, longest, dim_input=sequences.dim_input, check=False)


def warn_of_fallback(refusal: CompileError, how_long: str = "") -> None:
    """Warn that a model is used without native code; a command that uses it several times shows the same text once."""
    warn(f"the model runs op by op with MyGrad{how_long}, because {refusal}")


# The last compiled models: training, evaluation and inspection of one model, or models of one class, follow each other.
_recent: deque[CompiledModel] = deque(maxlen=4)


def _known(model: Any, parameters: tuple[Tensor, ...], width: int, longest: int) -> CompiledModel | None:
    """Return the compilation of this model, or another one of its class, if the model still computes it."""
    for known in sorted(reversed(_recent), key=lambda known: known.model is not model):
        # What a model computes that inspects numbers may depend on them.
        is_usable = known.dim_input == width and not known.guard.looks
        compiled = known.of(model, parameters) if is_usable else None
        if compiled is not None and _is_still(compiled, longest):
            return compiled
    return None


def _is_still(compiled: CompiledModel, longest: int) -> bool:
    """Whether the model is the recurrence at all the lengths that a new compilation would trace."""
    try:
        compiled.guard.check_as_compiled(longest)
    except CompileError:
        return False
    return True


def _compiled(model: Any, parameters: tuple[Tensor, ...], width: int, longest: int) -> CompiledModel:
    refusal: NotARecurrence | None = None
    for back in BACK:
        try:
            traces = trace(Subject(model, parameters, width, longest, back))
        except CompileError:
            if refusal is None:
                raise
            # It does not read so many steps.
            break
        try:
            recurrence = roll(traces)
        except NotARecurrence as error:
            refusal = refusal or error
        else:
            guard = Guard(model, parameters, recurrence, traces.by_length, longest)
            return CompiledModel(model, Stages(traces, recurrence), guard)
    assert refusal is not None
    raise explained(refusal, traces)


def _how_to_rebuild(compiled: CompiledModel) -> tuple[Any, ...]:
    """Return how copy and pickle rebuild a compiled model: machine code and its memory cannot be copied."""
    # The checked lengths are not copied: the copy does its own checks.
    return partial(compile, dim_input=compiled.dim_input, check=False), (compiled.model,)


copyreg.pickle(CompiledModel, _how_to_rebuild)
