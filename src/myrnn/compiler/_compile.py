"""Compile a model: find its loop, and return its native functions."""

from __future__ import annotations

import copyreg
from collections import deque
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from mygrad import Tensor

from myrnn import _checks
from myrnn.compiler._compiled import CompiledModel
from myrnn.compiler._programs import failures_named
from myrnn.compiler.graph import Builder
from myrnn.compiler.guard import input_width, probe, probe_further
from myrnn.compiler.roll import BACK, LooksFurtherBack, Recurrence, roll
from myrnn.compiler.trace import MYGRAD, Trace
from myrnn.errors import CompileError, NotARecurrence
from myrnn.models import num_classes, parameter_names, parameters_of
from myrnn.sequences import Sequences

# Up to what length a model is checked to be a recurrence, unless more is asked for.
MAX_LENGTH = 64


def compile(
    model: Any, max_length: int = MAX_LENGTH, *, dim_input: int | None = None, check: bool = True
) -> CompiledModel:
    """Compile a model to native code: find its loop, derive backpropagation through time, check it against the model.

    Parameters
    ----------
    model : callable
        ``model(x)``, for one sequence of shape (T, C), returns the logits (1, K) by a loop over the rows of `x` that
        does the same at every step; ``model.parameters`` is a tuple of float32 MyGrad tensors.
    max_length : int
        Up to what length the model is checked to be the recurrence that was found. Longer sequences are checked when
        they turn up.
    dim_input : int, optional
        C. By default it is ``model.dim_input``, or the first size among the parameters' that the model accepts.
    check : bool
        Whether to run the functions for features against the model at once. Those for each kind of data are run
        against it in any case before they are first used.

    Returns
    -------
    CompiledModel

    Raises
    ------
    NotARecurrence
        When the model does not do the same at every step; the message shows the line and what differs.
    UnsupportedOperation
        When it uses an operation that the compiler has no rule for.
    NotDeterministic
        When two calls on the same sequence differ.
    InvalidArgument
        When the model is none, or an argument is not what it should be.

    Examples
    --------
    >>> from myrnn.models import RNN
    >>> compiled = compile(RNN(dim_input=10, dim_recurrent=16, dim_output=2))
    >>> compiled(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """
    parameters = parameters_of(model)
    _check_parameters(parameters, parameter_names(model))
    longest = _checks.integer("max_length", max_length, minimum=1)
    width = None if dim_input is None else _checks.integer("dim_input", dim_input, minimum=1)
    with MYGRAD, failures_named(model):
        width = width or input_width(model, parameters)
        compiled = _known(model, parameters, width, longest)
        if compiled is None:
            compiled = _alike(model, parameters, width, longest) or CompiledModel.found(
                model, *_found(model, parameters, width, longest), longest
            )
            _recent.append(compiled)
    num_classes((1, compiled.dim_output))
    if check:
        compiled.native(tokens=False, batched=False)
    return compiled


def _check_parameters(parameters: tuple[Tensor, ...], names: tuple[str, ...]) -> None:
    for name, parameter in zip(names, parameters, strict=True):
        if parameter.dtype != np.float32:
            raise CompileError(
                f"{name} is {parameter.dtype}: compiled models work in float32 only; make it with dtype=np.float32"
            )
    if len({id(p) for p in parameters}) < len(parameters):
        raise CompileError("a tensor stands twice among the model's parameters: list it once to compile the model")
    for (name, one), (other_name, other) in combinations(zip(names, parameters, strict=True), 2):
        if np.may_share_memory(one.data, other.data) and np.shares_memory(one.data, other.data):
            raise CompileError(
                f"{name} and {other_name} share their numbers: use one tensor in both places to compile the model"
            )


def compile_for(model: Any, sequences: Sequences) -> CompiledModel:
    """Compile a model for use on such sequences: up to their lengths, as far as `compile` goes by itself.

    The programs are checked when each is first used, and lengths beyond when they turn up.
    """
    longest = int(np.clip(sequences.lengths.max(initial=1), 1, MAX_LENGTH))
    return compile(model, longest, dim_input=sequences.dim_input, check=False)


def _made_again(compiled: CompiledModel) -> tuple[Any, ...]:
    """Tell copy and pickle how to make a compiled model again: machine code and its memory cannot be copied."""
    # The lengths that it was checked on are not kept: the copy checks its own when it is used.
    return _compiled_again, (compiled.model, compiled.dim_input)


def _compiled_again(model: Any, dim_input: int) -> CompiledModel:
    return compile(model, dim_input=dim_input, check=False)


copyreg.pickle(CompiledModel, _made_again)

# What was compiled last: training, evaluation and inspection of one model follow one another, and models of one class.
_recent: deque[CompiledModel] = deque(maxlen=4)


def _known(model: Any, parameters: tuple[Tensor, ...], width: int, longest: int) -> CompiledModel | None:
    """Return what the model was compiled to before, if it still is what the model computes."""
    compiled = next((c for c in reversed(_recent) if c.model is model and c.guard.is_over(parameters)), None)
    if compiled is None or compiled.dim_input != width:
        return None
    return compiled if _is_still(compiled, longest) else None


def _alike(model: Any, parameters: tuple[Tensor, ...], width: int, longest: int) -> CompiledModel | None:
    """Return the model compiled as another one of its class was before, if that is what it computes, too."""
    for known in reversed(_recent):
        if known.dim_input == width and known.is_like(model, parameters):
            compiled = known.of(model, parameters)
            if _is_still(compiled, longest):
                return compiled
    return None


def _is_still(compiled: CompiledModel, longest: int) -> bool:
    """Whether the model is the recurrence on a sequence as long as it must be."""
    if compiled.guard.looks:
        return False
    x = np.random.default_rng(0).normal(size=(max(longest, 9), compiled.dim_input)).astype(np.float32)
    try:
        compiled.guard.check(Sequences.from_pairs([(x, 0)]), 0)
    except CompileError:
        return False
    return True


def _found(
    model: Any, parameters: tuple[Tensor, ...], width: int, longest: int
) -> tuple[Recurrence, Builder, dict[int, Trace]]:
    """Find the loop of the model; return it with the builder and the traces that it was found in."""
    refusal: NotARecurrence | None = None
    # As written: what a first step computes from constants alone shows what it is computed from.
    build, table = Builder(), Builder(fold=False)
    traces = probe(model, parameters, width, longest, table)
    for back in BACK:
        if back > BACK[0]:
            traces |= probe_further(model, parameters, width, back, table)
        try:
            found = roll(traces, build, width, back)
            shapes = tuple(p.shape for p in parameters)
            return replace(found, parameter_names=parameter_names(model), shapes=shapes), build, traces
        except NotARecurrence as error:
            refusal = error if refusal is None or isinstance(error, LooksFurtherBack) else refusal
    assert refusal is not None
    raise refusal
