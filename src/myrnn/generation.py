"""Sequences that a trained model generates: each token is drawn from the model's prediction after those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mygrad
import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.compiler import CompiledModel, compile
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import CompileError, InvalidArgument, NotFinite
from myrnn.models.model import parameters_of
from myrnn.sequences import Sequences
from myrnn.training.settings import DEFAULTS, ENGINES, EngineName

# Tokens that one native call draws; Ctrl-C is handled between calls.
CALL = 10_000
# The most tokens that it draws.
MOST = 1_000_000_000


def generate(
    model: Any,
    prime: ArrayLike,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    never: Sequence[int] = (),
    seed: int | None = None,
    engine: EngineName = DEFAULTS.engine,
) -> NDArray[np.int64]:
    """Continue a sequence with a model of tokens, token by token.

    Parameters
    ----------
    model : callable or CompiledModel
        After each step, or after the last one, it has K = C outputs; their softmax is the probability of each token to
        come next.
    prime : array_like of int (T,)
        The first tokens of the sequence, at least one.
    length : int
        How many tokens to draw.
    temperature : float
        Outputs are divided by it before their softmax: values below 1 make likely tokens more likely, values above 1
        make all tokens more equally likely. 0 takes the most likely token.
    top_k : int, optional
        Draw only from this many of the most likely tokens.
    never : sequence of int
        Tokens that are not drawn; the probabilities of the others are divided by their sum.
    seed : int, optional
        Seeds the random numbers; without it they differ at every call.
    engine : {"auto", "native", "mygrad"}
        The native engine computes one step per token from the states before it. MyGrad reads the whole sequence again
        for every token; ``"auto"`` falls back to it, with a warning, for a model whose states cannot be carried over.

    Returns
    -------
    ndarray, int64 (length,)
        The tokens drawn.

    Raises
    ------
    InvalidArgument
        When the model does not have as many outputs as inputs, or an argument is invalid.
    NotFinite
        When outputs are not finite, so that there are no probabilities.
    CompileError
        With ``"native"``, when the model cannot be compiled or its states cannot be carried over.

    References
    ----------
    Graves, "Generating sequences with recurrent neural networks", 2013.

    Examples
    --------
    >>> from myrnn import RNN, generate
    >>> generate(RNN(4, 8, 4, rng=0), prime=[0, 1], length=5, temperature=0).shape
    (5,)
    """
    _checks.one_of("engine", engine, ENGINES)
    length = _checks.integer("length", length, minimum=0, maximum=MOST)
    temperature = _checks.real("temperature", temperature, minimum=0)
    top = None if top_k is None else _checks.integer("top_k", top_k, minimum=1)
    left_out = np.array([_checks.integer("never", token, minimum=0) for token in never], dtype=np.int64)
    seed = None if seed is None else _checks.integer("seed", seed, minimum=0)
    uniforms = np.random.default_rng(seed).random(length)
    if engine != "mygrad":
        try:
            compiled = model if isinstance(model, CompiledModel) else compile(model, check=False)
            return _natively(compiled, prime, uniforms, temperature, top, left_out)
        except CompileError as error:
            if engine == "native":
                raise
            warn(f"the whole sequence is read again for every token, with MyGrad, because {error}")
    plain = model.model if isinstance(model, CompiledModel) else model
    return _op_by_op(plain, prime, uniforms, temperature, top, left_out)


def _natively(
    compiled: CompiledModel,
    prime: ArrayLike,
    uniforms: NDArray[np.float64],
    temperature: float,
    top: int | None,
    left_out: NDArray[np.int64],
) -> NDArray[np.int64]:
    classes = compiled.dim_output
    tokens = _tokens(prime, classes, compiled.dim_input)
    _check_never(left_out, classes)
    state = compiled.start()
    if len(tokens) > 1:
        state, _ = compiled.step(state, tokens[:-1])
    token, parts = int(tokens[-1]), [tokens[:0]]
    for begin in range(0, len(uniforms), CALL):
        some = uniforms[begin : begin + CALL]
        reader = compiled.going_on(state, len(some), tokens=True)
        state, drawn = reader.draw_on(state, token, some, temperature, min(top or classes, classes), left_out)
        _check_drawn(drawn, len(tokens) + begin)
        token = int(drawn[-1])
        parts.append(drawn)
    return np.concatenate(parts)


def _op_by_op(
    model: Any,
    prime: ArrayLike,
    uniforms: NDArray[np.float64],
    temperature: float,
    top: int | None,
    left_out: NDArray[np.int64],
) -> NDArray[np.int64]:
    parameters_of(model)
    width: int = _checks.integer("model.dim_input", getattr(model, "dim_input", None), minimum=1)
    tokens = list(_tokens(prime, width, width))
    _check_never(left_out, width)
    for uniform in uniforms:
        sequence = Sequences(np.array(tokens), [0, len(tokens)], [0], width)
        with MYGRAD, mygrad.no_autodiff:
            outputs = np.asarray(model(sequence.features(0)))
        if outputs.ndim != 2 or len(outputs) not in (1, len(tokens)):
            raise InvalidArgument(
                f"the model must return outputs (1, K), or (T, K), but returned shape {outputs.shape}"
            )
        if outputs.shape[1] != width:
            raise InvalidArgument(_shape_message(outputs.shape[1], width))
        scores = outputs[-1].astype(np.float64)
        with np.errstate(invalid="ignore"):
            # A sum, so that an output that is not finite is still found.
            scores[left_out] += -np.inf
        tokens.append(_drawn(scores, uniform, temperature, top or width))
        _check_drawn(np.array(tokens[-1:]), len(tokens) - 1)
    return np.array(tokens[len(tokens) - len(uniforms) :], dtype=np.int64)


def _drawn(outputs: NDArray[np.float64], uniform: float, temperature: float, top: int) -> int:
    if not np.isfinite(outputs.max()):
        return -1
    if temperature == 0 or top == 1:
        return int(outputs.argmax())
    kept = np.argsort(-outputs, kind="stable")[:top]
    shares = np.zeros(len(outputs))
    shares[kept] = scipy.special.softmax((outputs[kept] - outputs.max()) / temperature)
    found = int(np.searchsorted(shares.cumsum(), uniform * shares.sum(), side="right"))
    # Because of rounding there may be none.
    return found if found < len(outputs) else int(outputs.argmax())


def _check_drawn(drawn: NDArray[np.int64], before: int) -> None:
    """Raise NotFinite if there are no probabilities to draw from."""
    if (drawn < 0).any():
        raise NotFinite(f"after {before + int((drawn < 0).argmax()):,} tokens the outputs of the model are not finite")


def _tokens(prime: ArrayLike, outputs: int, inputs: int) -> NDArray[np.int64]:
    if outputs != inputs:
        raise InvalidArgument(_shape_message(outputs, inputs))
    tokens = _checks.integers("prime", prime, minimum=0, maximum=inputs - 1)
    if tokens.ndim != 1 or not len(tokens):
        raise InvalidArgument(f"prime must be the first tokens of a sequence, at least one, not {_checks.shown(prime)}")
    return tokens.astype(np.int64)


def _check_never(left_out: NDArray[np.int64], classes: int) -> None:
    if len(left_out) and left_out.max() >= classes:
        raise InvalidArgument(f"never must be tokens of the model, at most {classes - 1}, not {left_out.max()}")
    if len(np.unique(left_out)) == classes:
        raise InvalidArgument("never must leave a token to draw")


def _shape_message(outputs: int, inputs: int) -> str:
    return f"to go on with a sequence, a model needs an output for each token: it has {outputs} for {inputs} tokens"
