"""The built-in networks by name: one layer of a cell, several, or with an embedding below them."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, get_type_hints

from msgspec import Meta

from myrnn.errors import InvalidArgument
from myrnn.models.layer import USUAL_UNITS, OneLayer
from myrnn.models.stacked import CELLS, Stacked
from myrnn.registry import find, register

Layers = Annotated[int, Meta(ge=1, le=1_000, description="The number of recurrent layers.")]
Bidirectional = Annotated[bool, Meta(description="Whether each layer reads in both directions.")]
Embedding = Annotated[
    int, Meta(ge=0, le=50_000, description="The size of a learned embedding of symbols; 0 is one-hot.")
]


def _register(cell: str, kind: Any) -> None:
    """Register the networks of a cell: a model of this kind, or a `Stacked` if it needs more than one plain layer."""

    def make(
        layers: Layers = 1,
        dim_embedding: Embedding | None = None,
        bidirectional: Bidirectional = False,
        per_step: bool = False,
        **own: Any,
    ) -> Any:
        if layers == 1 and not (dim_embedding or bidirectional or per_step):
            return kind(**own)
        deep: dict[str, Any] = {"cell": cell, "layers": layers, "dim_embedding": dim_embedding or None}
        return Stacked(**own, **deep, bidirectional=bidirectional, per_step=per_step)

    def owns(model: Any) -> bool:
        return type(model) is kind or (type(model) is Stacked and model.cell == cell)

    # It takes the arguments of both, in the order in which they are listed.
    *of_kind, rng = inspect.signature(kind).parameters.values()
    of_stack = list(inspect.signature(make).parameters.values())[:-1]
    of_stack = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in of_stack]
    known: Any = make
    known.__signature__ = inspect.Signature([*of_kind, *of_stack, rng])
    hints = (get_type_hints(source, include_extras=True) for source in (kind.__init__, make))
    known.__annotations__ = {name: hint for found in hints for name, hint in found.items()}
    # Messages and lists name and describe it by its class.
    known.__name__, known.__doc__ = kind.__name__, kind.__doc__.partition("\n")[0]
    register("model", cell, owns=owns, dim_recurrent=USUAL_UNITS)(make)


for _name, _cell in CELLS.items():
    _register(_name, _cell.model)


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
    return CELLS[cell].dim_embedding if is_symbols and cell in CELLS else 0


def no_input(model: Any, token: int) -> None:
    """Let a token be a step without input in a built-in network; it stays so as long as the token does not occur."""
    for reader in model.readers if isinstance(model, OneLayer | Stacked) else []:
        reader.weight.data[token] = 0.0
