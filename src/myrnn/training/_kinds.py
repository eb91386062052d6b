"""The kinds of optimizers whose settings and memory are known: native code and checkpoints take these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from myrnn.optimizers import SGD, Adam, RMSprop


@dataclass(frozen=True)
class Kind:
    """A kind of optimizer: its number in native code, its settings, its memory, and whether its decay is scaled."""

    number: int
    settings: tuple[str, ...]
    means: str = ""
    squares: str = ""
    is_decay_scaled: bool = True

    def memory(self, optimizer: Any) -> dict[str, list[NDArray[Any]]]:
        """Return what the optimizer remembers of every parameter, by the attribute's name: its own arrays."""
        return {name: list(getattr(optimizer, name)) for name in (self.means, self.squares) if name}


_ADAM = Kind(2, ("beta1", "beta2", "eps"), "m", "v")
_SGD = Kind(0, ("momentum",), "param_moments")
_KINDS: dict[Any, Kind] = {SGD: _SGD, RMSprop: Kind(1, ("alpha", "eps"), "", "v"), Adam: _ADAM}
# MyNN's optimizers by name, so that MyNN need not be there.
_KINDS_BY_NAME = {
    "mynn.optimizers.adam.Adam": replace(_ADAM, is_decay_scaled=False),
    "mynn.optimizers.sgd.SGD": replace(_SGD, is_decay_scaled=False),
}


def kind_of(optimizer: Any) -> Kind | None:
    """Return the kind of an optimizer, or None where it is another's own."""
    kind: Any = type(optimizer)
    return _KINDS.get(kind) or _KINDS_BY_NAME.get(f"{kind.__module__}.{kind.__qualname__}")
