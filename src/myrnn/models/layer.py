"""A recurrent layer, and a model of one such layer: what all cells have in common."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._keywords import keywords
from myrnn.models.dense import HeadwiseDense, Maker, dense
from myrnn.models.model import check_sequence

Size = Annotated[int, Meta(ge=1)]
# The number of units of a model that nobody chose: that of the lesson.
USUAL_UNITS = 50
Units = Annotated[
    int,
    Meta(
        ge=1,
        le=50_000,
        title="Units",
        description="The number of recurrent units.",
        examples=[4, 8, 16, 32, 50, 100],
    ),
]
RecurrentInit = Annotated[
    Literal["glorot", "orthogonal", "identity", "minus_identity"],
    Meta(description="The initialization of the recurrent weights: glorot, orthogonal, identity or minus_identity."),
]
GatedInit = Annotated[
    Literal["glorot", "orthogonal"],
    Meta(description="The initialization of the recurrent weights: glorot or orthogonal."),
]
Heads = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000,
        description="The number of heads, which share the units equally.",
        extra={"divides": "dim_recurrent"},
    ),
]

# The state of a layer: the hidden state h, which is its output, and whatever else the next step reads.
State = tuple[Any, ...]


class Layer:
    """One recurrent layer: its initial state, and its step.

    Its constructor takes C, D, what makes its weights, and its settings, whose defaults are those of the model of one
    such layer.

    Some cells compute h from the rest of the state and from the row. Before the first step they do so with zeros
    instead of what they compute from a row: an empty sequence is then no other computation.
    """

    def __init__(self, dim_recurrent: int) -> None:
        self.dim_recurrent = dim_recurrent

    def start(self) -> State:
        """Return the state before the first step: h, zeros (1, D)."""
        return (self._zeros(),)

    def step(self, x_t: Any, state: State) -> State:
        """Return the next state, whose first part is h (1, D); `x_t` is (1, C)."""
        raise NotImplementedError

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All parameters of the layer, in the order in which they were made."""
        return tuple(_tensors(value for name, value in vars(self).items() if name in self._own))

    @property
    def _own(self) -> Collection[str]:
        """The names of the attributes whose parameters are the layer's: all of them."""
        return vars(self).keys()

    @property
    def readers(self) -> list[dense]:
        """The dense layers that read the rows, whose names begin with ``fc_x2``."""
        found = [part for name, part in vars(self).items() if name.startswith("fc_x2")]
        return [each for part in found for each in (part if isinstance(part, list) else [part])]

    def _zeros(self, *shape: int) -> NDArray[np.float32]:
        """Return zeros of a shape, by default (1, D)."""
        return np.zeros(shape or (1, self.dim_recurrent), dtype=np.float32)


class HeadsLayer(Layer):
    """A layer whose units are heads of equally many units each.

    A vector (1, D) has a part for each head, which is a row or a column of that head: (H, 1, d) or (H, d, 1).
    """

    def __init__(self, dim_input: int, dim_recurrent: int, heads: int) -> None:
        _checks.divides("heads", heads, "dim_recurrent", dim_recurrent)
        super().__init__(dim_recurrent)
        self.dim_input, self.heads, self.dim_head = dim_input, heads, dim_recurrent // heads

    def _rows(self, z: Any) -> Any:
        return z.reshape(self.heads, 1, -1)

    def _columns(self, z: Any) -> Any:
        return z.reshape(self.heads, -1, 1)

    def _joined(self, z: Any) -> Any:
        return z.reshape(1, self.dim_recurrent)

    def _zero_matrices(self) -> NDArray[np.float32]:
        """Return the states of all heads before the first step, (H, d, d)."""
        return self._zeros(self.heads, self.dim_head, self.dim_head)


class OneLayer(Layer):
    """A layer that reads one sequence, and a dense layer that scores its last hidden state.

    The class of the layer follows it in the list of bases.
    """

    dim_input: int
    dim_output: int
    fc_h2y: dense

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._make((dim_input, dim_recurrent, dim_output), rng)

    def _make(
        self,
        sizes: tuple[int, int, int],
        rng: np.random.Generator | int | None,
        *,
        recurrent_init: str | None = None,
        **own: Any,
    ) -> None:
        """Make the layer, with settings of its own, and the dense layer."""
        make = Maker(rng, recurrent_init or "glorot")
        dim_input, dim_recurrent, dim_output = sizes
        super().__init__(dim_input, dim_recurrent, make, **own)  # type: ignore[call-arg]  # of the layer
        self.dim_input, self.dim_output = dim_input, dim_output
        self.fc_h2y = make.dense(dim_recurrent, dim_output)
        make.begin_recurrent()
        if recurrent_init is not None:
            self.recurrent_init = recurrent_init
        self._made = tuple(vars(self))

    @property
    def _own(self) -> Collection[str]:
        """The names of the attributes that the constructor made: a subclass lists its own parameters itself."""
        return self._made

    def __repr__(self) -> str:
        """Return the call that makes such a model."""
        return call_of_model(self)

    def __call__(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Return the class scores of one sequence: `x` is (T, C), the logits are (1, K)."""
        check_sequence(x, self.dim_input)
        state = self.start()
        for x_t in x:
            state = self.step(x_t[np.newaxis], state)
        return self.fc_h2y(state[0])


def call_of_model(model: Any) -> str:
    """Return the call that makes a model, with all arguments of its constructor that are its attributes."""
    return _checks.call_of(model, *(name for name in inspect.signature(type(model)).parameters if hasattr(model, name)))


class GatedOneLayer(OneLayer):
    """A model of one layer with recurrent weights, whose initialization is a setting."""

    recurrent_init: str

    @keywords
    def __init__(
        self,
        dim_input: Size,
        dim_recurrent: Units,
        dim_output: Size,
        *,
        recurrent_init: GatedInit = "glorot",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._make((dim_input, dim_recurrent, dim_output), rng, recurrent_init=recurrent_init)


def _tensors(parts: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the parameters of parts of a layer, and those in lists and dictionaries of them."""
    for part in parts:
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, dense | HeadwiseDense):
            yield from part.parameters
        elif isinstance(part, list | dict):
            yield from _tensors(part.values() if isinstance(part, dict) else part)
