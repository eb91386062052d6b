"""Several recurrent layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from msgspec import Meta
from mygrad import Tensor, concatenate
from numpy.typing import NDArray

from myrnn._keywords import keywords
from myrnn.errors import InvalidArgument
from myrnn.models.cells import GRU, LSTM, MGU, RNN, Activation, StackDepth, StackRNN, StackRNNLayer, StackWidth
from myrnn.models.delta import RWKV7, DeltaProduct, Gated, GatedDeltaNet, Householders, NegativeEigenvalues
from myrnn.models.dense import Maker, dense
from myrnn.models.layer import Heads, Layer, OneLayer, RecurrentInit, Size, Units, call_of_model
from myrnn.models.linear import LRU, Convolution, Mamba, MinGRU, StateSize
from myrnn.models.model import check_sequence, network_of
from myrnn.models.xlstm import MLSTM, SLSTM
from myrnn.settings import check_arguments


@dataclass(frozen=True)
class KnownCell:
    """A kind of layer, by its model of one layer."""

    model: type[OneLayer]
    label: str
    # The size of the embedding through which it reads symbols by default; 0 is one-hot. Measured:
    # docs/how-to/your-own-sequences.md has the numbers.
    dim_embedding: int = 0

    @property
    def layer(self) -> Callable[..., Layer]:
        """The class of the layer."""
        kind: Callable[..., Layer] = self.model.__bases__[-1]
        return kind

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its layers besides their sizes, with their defaults."""
        of_model = inspect.signature(self.model).parameters
        return {name: of_model[name].default for name in list(inspect.signature(self.layer).parameters)[3:]}


CELLS = {
    "rnn": KnownCell(RNN, "RNN"),
    "gru": KnownCell(GRU, "GRU", dim_embedding=32),
    "lstm": KnownCell(LSTM, "LSTM", dim_embedding=32),
    "mgu": KnownCell(MGU, "MGU", dim_embedding=32),
    "stack-rnn": KnownCell(StackRNN, "RNN with a stack", dim_embedding=32),
    "min-gru": KnownCell(MinGRU, "minGRU"),
    "lru": KnownCell(LRU, "linear recurrent unit (LRU)"),
    "slstm": KnownCell(SLSTM, "sLSTM", dim_embedding=32),
    "mlstm": KnownCell(MLSTM, "mLSTM"),
    "mamba": KnownCell(Mamba, "Mamba"),
    "gated-deltanet": KnownCell(GatedDeltaNet, "gated DeltaNet"),
    "deltaproduct": KnownCell(DeltaProduct, "DeltaProduct"),
    "rwkv7": KnownCell(RWKV7, "RWKV-7", dim_embedding=32),
}
if TYPE_CHECKING:
    CellName: TypeAlias = str
else:
    CellName = Literal[tuple(CELLS)]


class Stacked:
    """Several recurrent layers, optionally above a learned embedding.

    The lowest layer reads the sequence, or the embedding ``e_t = x_t E`` of each of its rows; each other layer reads
    the hidden states of the layer below, step by step. The last hidden state of the topmost layer scores the sequence,
    or each of its hidden states scores a step::

        y = h_{T-1} W_hy + b_y          y_t = h_t W_hy + b_y

    With `bidirectional` every layer is a pair, one of which reads from the end to the beginning, and their hidden
    states are concatenated, as in PyTorch. A sequence is then scored by the final states of both.

    The equations of a layer are those of the model of its cell, such as `GRU`. For one-hot rows the embedding is a
    table of learned vectors, one per symbol.

    Parameters
    ----------
    dim_input, dim_recurrent, dim_output : int
        C, D (of every layer) and K.
    cell : str
        The kind of the layers, by the name of the model of one such layer: ``"rnn"`` (`RNN`), ``"gru"`` (`GRU`) and so
        on. The command ``myrnn models`` lists all names.
    activation : {"relu", "tanh"}, optional
        The nonlinearity of the cell ``"rnn"``, by default relu; the others have their own.
    stack_depth, stack_width, heads, dim_state, convolution, householders, negative_eigenvalues, gated : optional
        The settings of the cells that have them, for every layer: see their models.
    layers : int
        The number of layers.
    dim_embedding : int, optional
        The size of the embedding; without it the lowest layer reads the sequence itself.
    bidirectional : bool
        Whether each layer reads in both directions.
    per_step : bool
        Whether each step has an output, instead of the whole sequence.
    recurrent_init, rng
        As for `RNN`, for every layer; cells without recurrent weights have no `recurrent_init`.

    References
    ----------
    Graves, Mohamed and Hinton, "Speech recognition with deep recurrent neural networks", 2013. Schuster and Paliwal,
    "Bidirectional recurrent neural networks", 1997.

    Examples
    --------
    >>> import numpy as np
    >>> Stacked(10, 16, 2, cell="gru", layers=2, dim_embedding=4)(np.zeros((5, 10), dtype=np.float32)).shape
    (1, 2)
    >>> Stacked(10, 16, 2, layers=1, bidirectional=True, per_step=True)(np.zeros((5, 10), dtype=np.float32)).shape
    (5, 2)
    """

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        cell: Annotated[CellName, Meta()] = "gru",
        activation: Activation | None = None,
        stack_depth: StackDepth | None = None,
        stack_width: StackWidth | None = None,
        heads: Heads | None = None,
        dim_state: StateSize | None = None,
        convolution: Convolution | None = None,
        householders: Householders | None = None,
        negative_eigenvalues: NegativeEigenvalues | None = None,
        gated: Gated | None = None,
        layers: Size = 2,
        dim_embedding: Size | None = None,
        bidirectional: Annotated[bool, Meta()] = False,
        per_step: Annotated[bool, Meta()] = False,
        recurrent_init: RecurrentInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        settings = _settings_of(
            cell,
            activation=activation,
            stack_depth=stack_depth,
            stack_width=stack_width,
            heads=heads,
            dim_state=dim_state,
            convolution=convolution,
            householders=householders,
            negative_eigenvalues=negative_eigenvalues,
            gated=gated,
        )
        # Gated cells have fewer initializations.
        check_arguments(CELLS[cell].model, {"recurrent_init": recurrent_init})
        self.dim_input, self.dim_recurrent, self.dim_output = dim_input, dim_recurrent, dim_output
        self.cell, self.dim_embedding = cell, dim_embedding
        self.bidirectional, self.per_step = bidirectional, per_step
        make = Maker(rng, recurrent_init)
        self.embedding = None if dim_embedding is None else make.dense(dim_input, dim_embedding, bias=False)
        directions = 2 if bidirectional else 1
        width = directions * dim_recurrent
        inputs = [dim_embedding or dim_input, *[width] * (layers - 1)]
        # In both directions, forward and backward layers alternate.
        layer = partial(CELLS[cell].layer, **settings)
        self.stack = tuple(layer(dim, dim_recurrent, make) for dim in inputs for _ in range(directions))
        self.fc_h2y = make.dense(width, dim_output)
        if make.recurrent_weights:
            self.recurrent_init = recurrent_init
        elif recurrent_init != "glorot":
            raise InvalidArgument(
                f"recurrent_init is for cells that have recurrent weights, not for {cell!r}: leave it out"
            )
        make.begin_recurrent()
        for name, value in settings.items():
            setattr(self, name, value)

    @property
    def layers(self) -> int:
        """The number of recurrent layers."""
        return len(self.stack) // (2 if self.bidirectional else 1)

    @property
    def readers(self) -> list[dense]:
        """The dense layers that read the rows: the embedding, or those of the lowest layer."""
        if self.embedding is not None:
            return [self.embedding]
        return [reader for layer in self.stack[: len(self.stack) // self.layers] for reader in layer.readers]

    @property
    def stack_depth(self) -> int:
        """The depth of the stack of every layer, which can be changed, also after training."""
        return self._layers_with_stacks()[0].stack_depth

    @stack_depth.setter
    def stack_depth(self, depth: int) -> None:
        for layer in self._layers_with_stacks():
            layer.stack_depth = depth

    def _layers_with_stacks(self) -> list[StackRNNLayer]:
        if layers := stacks_of(self):
            return layers
        raise AttributeError(f"layers of the cell {self.cell!r} have no stack")

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return call_of_model(self)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the scores of one sequence, (1, K), or of its steps, (T, K); `x` is (T, C)."""
        check_sequence(x, self.dim_input)
        rows = [x_t[np.newaxis] for x_t in x]
        if self.embedding is not None:
            rows = [self.embedding(row) for row in rows]
        states, last = self._both_ways(rows) if self.bidirectional else self._forward(rows)
        if not self.per_step:
            return self.fc_h2y(last)
        return self.fc_h2y(concatenate(states) if states else np.zeros((0, last.shape[1]), dtype=np.float32))

    def _forward(self, rows: list[Any]) -> tuple[list[Any], Any]:
        """Return the hidden states of the topmost layer, (1, D) each, and the one that scores the sequence."""
        states = [layer.start() for layer in self.stack]
        tops = []
        for h in rows:
            for index, layer in enumerate(self.stack):
                states[index] = layer.step(h, states[index])
                h = states[index][0]
            tops.append(h)
        return tops, states[-1][0]

    def _both_ways(self, rows: list[Any]) -> tuple[list[Any], Any]:
        """Return the same, (1, 2 D) each, for layers that read in both directions."""
        for ahead, back in zip(self.stack[::2], self.stack[1::2], strict=True):
            ahead_states, ahead_last = _read(ahead, rows)
            back_states, back_last = _read(back, rows[::-1])
            pairs = zip(ahead_states, back_states[::-1], strict=True)
            rows = [concatenate(pair, axis=1) for pair in pairs]
            last = concatenate([ahead_last, back_last], axis=1)
        return rows, last

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All parameters of the model, layer by layer."""
        parts = (self.embedding, *self.stack, self.fc_h2y)
        return tuple(parameter for part in parts if part is not None for parameter in part.parameters)


def _settings_of(cell: str, **given: Any) -> dict[str, Any]:
    """Return the settings of the layers of a cell: those that are given, not None, and the cell's defaults."""
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        owners = [repr(each) for each, kind in CELLS.items() if name in kind.settings]
        if repr(cell) not in owners:
            which = f"cell {owners[0]}" if len(owners) == 1 else f"cells {', '.join(owners)}"
            raise InvalidArgument(f"{name} is for the {which}, not for {cell!r}: leave it out")
    return CELLS[cell].settings | given


def stacks_of(model: Any) -> list[StackRNNLayer]:
    """Return the layers with a stack of a built-in model; none for another one."""
    network = network_of(model)
    layers = network.stack if isinstance(network, Stacked) else (network,)
    return [layer for layer in layers if isinstance(layer, StackRNNLayer)]


@contextmanager
def with_stack_depth(model: Any, depth: int | None) -> Iterator[None]:
    """Give the stacks of a model another depth for a while; None, and a model without stacks, change nothing."""
    before = [(layer, layer.stack_depth) for layer in stacks_of(model)]
    try:
        for layer, usual in before:
            layer.stack_depth = usual if depth is None else depth
        yield
    finally:
        for layer, usual in before:
            layer.stack_depth = usual


def _read(layer: Layer, rows: list[Any]) -> tuple[list[Any], Any]:
    """Return the hidden state of a layer after each row, and the last one (without rows, the initial one)."""
    state, hidden = layer.start(), []
    for row in rows:
        state = layer.step(row, state)
        hidden.append(state[0])
    return hidden, state[0]
