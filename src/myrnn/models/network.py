"""The built-in networks by name: one layer of a cell, several, or with an embedding below them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from myrnn.errors import InvalidArgument
from myrnn.models.cells import (
    GRU,
    LATER,
    LSTM,
    MGU,
    RNN,
    Activation,
    GatedInit,
    RecurrentInit,
    Size,
    StackDepth,
    StackRNN,
    StackWidth,
    Units,
)
from myrnn.models.stacked import Stacked
from myrnn.registry import find, register

Generator = np.random.Generator | int | None
Layers = Annotated[int, Meta(ge=1, le=1_000, description="The number of recurrent layers.", extra=LATER)]
Bidirectional = Annotated[bool, Meta(description="Whether each layer reads in both directions.", extra=LATER)]
Embedding = Annotated[
    int, Meta(ge=0, le=50_000, description="The size of a learned embedding of symbols; 0 is one-hot.", extra=LATER)
]


def _is_of(cell: str, kind: type) -> Callable[[Any], bool]:
    return lambda model: type(model) is kind or (type(model) is Stacked and model.cell == cell)


def _made(
    cell: str,
    kind: Any,
    sizes: tuple[int, int, int],
    own: Mapping[str, Any],
    layers: int,
    dim_embedding: int | None,
    bidirectional: bool,
    per_step: bool,
) -> Any:
    """Return a model of a kind: a single layer, or a `Stacked` if more is needed."""
    if layers == 1 and not (dim_embedding or bidirectional or per_step):
        return kind(*sizes, **own)
    deep: dict[str, Any] = {"cell": cell, "layers": layers, "dim_embedding": dim_embedding or None, **own}
    return Stacked(*sizes, **deep, bidirectional=bidirectional, per_step=per_step)


@register("model", "rnn", owns=_is_of("rnn", RNN), dim_recurrent=50)
def rnn(
    dim_input: Size,
    dim_recurrent: Units,
    dim_output: Size,
    *,
    activation: Activation = "relu",
    recurrent_init: RecurrentInit = "glorot",
    layers: Layers = 1,
    dim_embedding: Embedding | None = None,
    bidirectional: Bidirectional = False,
    per_step: bool = False,
    rng: Generator = None,
) -> Any:
    """Return an `RNN`, or a `Stacked` of its layers."""
    sizes = dim_input, dim_recurrent, dim_output
    own = {"activation": activation, "recurrent_init": recurrent_init, "rng": rng}
    return _made("rnn", RNN, sizes, own, layers, dim_embedding, bidirectional, per_step)


def _gated(cell: str, kind: Any) -> None:
    def make(
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        recurrent_init: GatedInit = "glorot",
        layers: Layers = 1,
        dim_embedding: Embedding | None = None,
        bidirectional: Bidirectional = False,
        per_step: bool = False,
        rng: Generator = None,
    ) -> Any:
        sizes = dim_input, dim_recurrent, dim_output
        own = {"recurrent_init": recurrent_init, "rng": rng}
        return _made(cell, kind, sizes, own, layers, dim_embedding, bidirectional, per_step)

    make.__name__ = kind.__name__
    register("model", cell, owns=_is_of(cell, kind), dim_recurrent=50)(make)


_gated("gru", GRU)
_gated("lstm", LSTM)
_gated("mgu", MGU)


@register("model", "stack-rnn", owns=_is_of("stack-rnn", StackRNN), dim_recurrent=50)
def stack_rnn(
    dim_input: Size,
    dim_recurrent: Units,
    dim_output: Size,
    *,
    stack_depth: StackDepth = 48,
    stack_width: StackWidth = 8,
    recurrent_init: GatedInit = "glorot",
    layers: Layers = 1,
    dim_embedding: Embedding | None = None,
    bidirectional: Bidirectional = False,
    per_step: bool = False,
    rng: Generator = None,
) -> Any:
    """Return a `StackRNN`, or a `Stacked` of its layers."""
    sizes = dim_input, dim_recurrent, dim_output
    own = {"stack_depth": stack_depth, "stack_width": stack_width, "recurrent_init": recurrent_init, "rng": rng}
    return _made("stack-rnn", StackRNN, sizes, own, layers, dim_embedding, bidirectional, per_step)


# Messages name a kind of network by its class.
rnn.__name__, stack_rnn.__name__ = RNN.__name__, StackRNN.__name__

# The cells that read symbols through an embedding by default, and its size. Both were chosen by measurement:
# docs/how-to/your-own-sequences.md has the numbers.
GATED, DIM_EMBEDDING = ("gru", "lstm"), 32


def check_gives_each_step(name: str) -> None:
    """Refuse a registered model without an output for each step: its constructor takes no ``per_step``."""
    if "per_step" not in inspect.signature(find("model", name).make).parameters:
        raise InvalidArgument(f"the model {name!r} has one output per sequence, not one per step")


def sizes_for(task: Any, name: str) -> dict[str, Any]:
    """Return the arguments of a registered model for a task: its sizes, and whether each step has an output."""
    sizes: dict[str, Any] = {"dim_input": task.dim_input, "dim_output": task.dim_output}
    if getattr(task, "per_step", False):
        check_gives_each_step(name)
        sizes["per_step"] = True
    return sizes


def embedding_of(cell: str, dim_embedding: int | None, is_symbols: bool) -> int:
    """Return the embedding size of a network for data: 0 for none; by default the best one for the cell."""
    if dim_embedding is not None:
        return dim_embedding
    return DIM_EMBEDDING if is_symbols and cell in GATED else 0


def no_input(model: Any, token: int) -> None:
    """Let a token be a step without input in a built-in network; it stays so as long as the token does not occur."""
    if isinstance(model, Stacked) and model.embedding is not None:
        tables = [model.embedding.weight]
    elif isinstance(model, RNN | GRU | LSTM | MGU | StackRNN | Stacked):
        lowest = model.stack[0] if isinstance(model, Stacked) else model
        tables = [layer.weight for name, layer in vars(lowest).items() if name.startswith("fc_x2")]
    else:
        tables = []
    for table in tables:
        table.data[token] = 0.0
