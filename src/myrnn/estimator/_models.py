"""The models that a classifier trains."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.models import Stacked, make_own
from myrnn.registry import find, kind_of

# Float32 arrays of the size of the weights that a training holds at a time: the weights, the best ones, gradients of
# two threads, two averages of the optimizer, and copies of three of these on the way into native code and back.
COPIES = 10
# A classifier's word for the embedding that it chooses itself.
AUTO = "auto"
# The cells that read symbols through an embedding where the user asks for none, and its size. Both were chosen by
# measurement: docs/your-own-sequences.md has the numbers.
GATED, DIM_EMBEDDING = ("gru", "lstm"), 32
CELLS = ("rnn", "gru", "lstm")


def embedding_size(dim_embedding: Any, cell: Any, is_symbols: bool) -> int | None:
    """Return the size of the embedding below the lowest layer, None for none.

    Parameters
    ----------
    dim_embedding : int, None or "auto"
        As a classifier takes it: ``"auto"`` is an embedding of symbols below a gated cell, and otherwise none.
    cell : {"rnn", "gru", "lstm"} or callable
    is_symbols : bool
        Whether the sequences are symbols.
    """
    if isinstance(dim_embedding, str) and dim_embedding == AUTO:
        return DIM_EMBEDDING if is_symbols and isinstance(cell, str) and cell in GATED else None
    if dim_embedding is None:
        return None
    if isinstance(dim_embedding, str):
        raise InvalidArgument(f"dim_embedding must be an integer, None or 'auto', not {dim_embedding!r}")
    return _checks.integer("dim_embedding", dim_embedding, minimum=1)


def make_model(
    cell: Any,
    dims: tuple[int, int, int],
    *,
    activation: str | None = None,
    layers: int = 1,
    dim_embedding: int | None = None,
    rng: np.random.Generator,
) -> Any:
    """Return a new model.

    Parameters
    ----------
    cell : {"rnn", "gru", "lstm"} or callable
        A name, or what makes a model of the three sizes, as `models.make_own` calls it.
    dims : tuple of int
        C, D and K.
    activation : {"relu", "tanh"}, optional
        Of the cell ``"rnn"``.
    layers, dim_embedding : int
        As `Stacked` takes them; for cells by name alone.
    rng : numpy.random.Generator
        Draws the weights.
    """
    count = _checks.integer("layers", layers, minimum=1)
    width = None if dim_embedding is None else _checks.integer("dim_embedding", dim_embedding, minimum=1)
    if isinstance(cell, str):
        name = _checks.one_of("cell", cell, CELLS)
        chosen: dict[str, Any] = {} if activation is None else {"activation": activation}
        if count == 1 and width is None:
            return find("model", name).make(*dims, **chosen, rng=rng)
        chosen["cell"] = name
        return Stacked(*dims, **chosen, layers=count, dim_embedding=width, rng=rng)
    if not callable(cell) or (not isinstance(cell, type) and hasattr(cell, "parameters")):
        raise InvalidArgument(
            f"cell must be one of {', '.join(map(repr, CELLS))}, or a model class or a function that makes a model, "
            f"not {_checks.shown(cell)}"
        )
    if count != 1 or width is not None:
        raise InvalidArgument("layers and dim_embedding are for the cells 'rnn', 'gru' and 'lstm': leave them out")
    return make_own(cell, dims, rng)


def no_input(model: Any, token: int) -> None:
    """Let a token be a step without input, in a model that was made by name; it stays so while it is not seen."""
    if isinstance(model, Stacked) and model.embedding is not None:
        tables = [model.embedding.weight]
    else:
        tables = [weight for layer in _layers(model)[:1] for weight in _weights(layer, "fc_x2")]
    for table in tables:
        table.data[token] = 0.0


def orthogonal(model: Any, rng: np.random.Generator) -> None:
    """Let the recurrent weights of a model that was made by name begin as orthogonal matrices.

    Such a matrix turns a state and keeps its length: without input an RNN's does not grow from step to step. With other
    random matrices it may grow beyond all bounds on a long sequence, the more so the fewer units there are.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2014.
    """
    for layer in _layers(model):
        for weight in _weights(layer, "fc_h2", but="fc_h2y"):
            # With these signs, every orthogonal matrix is equally likely.
            turned, sizes = np.linalg.qr(rng.normal(size=weight.shape))
            weight.data[...] = turned * np.sign(np.diag(sizes))


def _layers(model: Any) -> tuple[Any, ...]:
    """Return the recurrent layers, the lowest first; a model of your own has none that are known."""
    if isinstance(model, Stacked):
        return model.stack
    return (model,) if kind_of("model", model) is not None else ()


def _weights(layer: Any, begin: str, but: str = "") -> list[Any]:
    """Return the weights whose names begin in the same way, but for one."""
    return [dense.weight for name, dense in vars(layer).items() if name.startswith(begin) and name != but]


def check_memory(dims: tuple[int, int, int], dim_embedding: int | None) -> None:
    """Refuse a model whose weights alone would not fit the memory, before anything is allocated."""
    inputs, units, _ = dims
    there = memory()
    limits = (
        (units**2, f"{units:,} recurrent units", "make dim_recurrent smaller"),
        (
            inputs * (units if dim_embedding is None else dim_embedding),
            f"{inputs:,} inputs of a step",
            "keep the most frequent symbols with max_vocabulary= (of numbers, give fewer columns), or make "
            "dim_embedding or dim_recurrent smaller",
        ),
    )
    for numbers, what, instead in limits:
        needed = 4 * COPIES * numbers
        if needed > there:
            raise InvalidArgument(
                f"{what} take about {needed / 1e9:.1f} GB to train, but there are {there / 1e9:.1f} GB: {instead}"
            )


def memory() -> int:
    """Return how many bytes of memory the machine has; where it does not tell, more than any."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**63
