"""What an operation is: how large the result is, what it is in NumPy, its derivative, its native form.

Values are flat vectors. There are four kinds of operation:

``map``
    element by element; an input may be a single number, which then serves for every element;
``move``
    elements of the inputs in another order or place, fixed when the model is traced;
``reduce``
    over the middle axis of the input seen as (outer, n, inner);
``product``
    matrix products: ``matmul`` of (m, k) and (k, n), the right matrix stored as (n, k) where it is read transposed.

A derivative rule gets a builder, the result, the gradient with respect to it and the inputs, and returns graph nodes:
the gradient with respect to each input, or None where there is none. Where a function has a kink or a tie, MyGrad's
convention holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
SizeRule = Callable[[tuple[int, ...], tuple[Any, ...]], int]
Reference = Callable[[Sequence[Array], tuple[Any, ...]], Array]
Rule = Callable[..., "tuple[Any, ...]"]


@dataclass(frozen=True)
class Operation:
    """A row of the table.

    Attributes
    ----------
    kind : str
        ``map``, ``move``, ``reduce`` or ``product``.
    attributes : tuple of str
        The names of what the operation needs beside its inputs.
    size : callable
        The sizes of the inputs and the attributes -> the size of the result.
    reference : callable
        The inputs as arrays and the attributes -> the result, by NumPy.
    derivative : callable or None
        ``(build, out, grad, *inputs)`` -> gradients; None for what has no gradient (it is constant almost everywhere).
    emitted : str
        For a map, the expression in the emitted code: ``{0}`` and so on are the inputs.
    """

    kind: str
    attributes: tuple[str, ...]
    size: SizeRule
    reference: Reference
    derivative: Rule | None
    emitted: str


class Operations(dict[str, Operation]):
    """A table of operations by their names, whose rows are entered as decorators of their derivative rules."""

    def map(self, name: str, reference: Callable[..., Array], emitted: str) -> Callable[[Rule], Rule]:
        """Enter an element-wise operation with its derivative rule."""

        def enter(rule: Rule) -> Rule:
            self[name] = _element_wise(reference, rule, emitted)
            return rule

        return enter

    def flat(self, name: str, reference: Callable[..., Array], emitted: str) -> None:
        """Enter an element-wise operation that is constant almost everywhere: no gradient passes."""
        self[name] = _element_wise(reference, None, emitted)

    def other(
        self, kind: str, name: str, attributes: tuple[str, ...], size: SizeRule, reference: Reference
    ) -> Callable[[Rule], Rule]:
        """Enter another kind of operation with its derivative rule."""

        def enter(rule: Rule) -> Rule:
            self[name] = Operation(kind, attributes, size, reference, rule, "")
            return rule

        return enter


def _element_wise(reference: Callable[..., Array], rule: Rule | None, emitted: str) -> Operation:
    return Operation("map", (), _map_size, lambda arrays, _: reference(*arrays), rule, emitted)


def _map_size(sizes: tuple[int, ...], attributes: tuple[Any, ...]) -> int:
    largest = max(sizes)
    assert all(size in (1, largest) for size in sizes), f"sizes {sizes} do not fit together"
    return largest
