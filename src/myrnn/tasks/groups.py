"""Words over the elements of a finite group, with the product so far as the answer at each step."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of
from myrnn.registry import register
from myrnn.sequences import Sequences
from myrnn.tasks.drawn import answered, tokens_of
from myrnn.tasks.steps import LengthMax, LengthMin, OfAnyLength

# The most elements of a group.
MOST_ELEMENTS = 1000
_FACTOR = re.compile(r"([ZSA])([1-9][0-9]{0,99})")


@dataclass(frozen=True)
class Group:
    """A finite group: ``table[a, b]`` is the product of the elements a and b; element 0 is the identity."""

    names: tuple[str, ...]
    table: NDArray[np.int64]
    generators: tuple[int, ...]


def _cyclic(n: int) -> Group:
    numbers = np.arange(n)
    return Group(tuple(map(str, range(n))), (numbers[:, np.newaxis] + numbers) % n, (1,) if n > 1 else ())


def _permutations(n: int, even: bool) -> Group:
    """Return the group of all permutations of n points, or of the even ones; a product moves by the first one first."""
    every = itertools.permutations(range(n))
    moves = np.array([moved for moved in every if not even or _is_even(moved)])
    digits = n ** np.arange(n - 1, -1, -1)
    numbers = moves @ digits  # ascending, like the permutations
    table = np.searchsorted(numbers, moves[:, moves].transpose(1, 0, 2) @ digits)
    turn = [*range(1, n), 0]
    if even:
        # A cycle of an odd number of points is even; otherwise the first point stays.
        found = [[1, 2, 0, *range(3, n)], turn if n % 2 else [0, *range(2, n), 1]] if n > 2 else []
    else:
        found = [[1, 0, *range(2, n)], turn] if n > 1 else []
    generators = dict.fromkeys(int(np.searchsorted(numbers, np.array(moved) @ digits)) for moved in found)
    return Group(tuple("".join(map(str, moved)) for moved in moves), table, tuple(generators))


def _is_even(moved: tuple[int, ...]) -> bool:
    return sum(a > b for a, b in itertools.combinations(moved, 2)) % 2 == 0


def _product(one: Group, other: Group) -> Group:
    """Return the direct product: pairs of elements, which multiply side by side."""
    size = len(other.names)
    first, second = np.divmod(np.arange(len(one.names) * size), size)
    table = one.table[np.ix_(first, first)] * size + other.table[np.ix_(second, second)]
    names = tuple(f"{a}.{b}" for a, b in itertools.product(one.names, other.names))
    return Group(names, table, (*(element * size for element in one.generators), *other.generators))


def _order(kind: str, n: int) -> int:
    """Return the number of elements, or one above `MOST_ELEMENTS` if there are more."""
    if kind == "Z":
        return n
    # No factorial of a large number is computed.
    return max(1, math.factorial(min(n, 10)) // (2 if kind == "A" else 1))


@lru_cache(16)
def group_of(name: str) -> Group:
    """Return the group of this name, such as Z5, S3, A4 or Z2xS3; raises InvalidArgument if there is none."""
    found = [_FACTOR.fullmatch(word) for word in name.split("x")]
    factors = [(each[1], int(each[2])) for each in found if each]
    if len(factors) < len(found):
        raise InvalidArgument(f"group must be Z, S or A and a number, or a product such as Z2xZ3, not {name!r}")
    order = math.prod(_order(kind, n) for kind, n in factors)
    if not 2 <= order <= MOST_ELEMENTS:
        raise InvalidArgument(f"group must have 2 to {MOST_ELEMENTS:,} elements, which {name} does not")
    groups = [_cyclic(n) if kind == "Z" else _permutations(n, kind == "A") for kind, n in factors]
    return reduce(_product, groups)


@register("task", "group-words")
@dataclass(frozen=True)
class GroupWords(OfAnyLength):
    """Elements of a finite group, and after each of them the product so far: the word problem of the group.

    Elements of Z_k are the numbers below k, and their product is the sum modulo k. Elements of S_n and A_n are
    permutations, such as 120, which moves 0 to 1, 1 to 2 and 2 to 0; in a product the first one moves first. Elements
    of a product of groups are written with a dot, such as ``1.120``.

    Parameters
    ----------
    group : str
        ``"Z5"`` (the cyclic group), ``"S5"`` (all permutations), ``"A5"`` (the even ones), or a product of such groups,
        ``"Z2xZ3"``, of at most 1,000 elements.
    symbols : {"elements", "generators"}
        What sequences consist of: all elements, or the identity and generators. Those of Z_k are 1; of S_n the swap of
        0 and 1, and the cycle of all points; of A_n the cycle of 0, 1 and 2, and that of all points or all but the
        first.
    length_min, length_max : int
        The shortest and longest sequence; every length between is equally likely.

    References
    ----------
    Merrill, Petty and Sabharwal, "The illusion of state in state-space models", arXiv 2404.08819, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> task = GroupWords("S3", length_max=4)
    >>> task.sample(1000, np.random.default_rng(0))
    Sequences(1,000 of tokens below 6, lengths 1 to 4, a class for each step)
    >>> task.symbol_names
    ('012', '021', '102', '120', '201', '210')
    >>> from myrnn import Sequences
    >>> swaps = Sequences([2, 1, 2], [0, 3], [0], 6)
    >>> [task.class_names[answer] for answer in task.truth(swaps)]
    ['102', '201', '210']
    >>> GroupWords("S5", symbols="generators").symbol_names
    ('01234', '10234', '12340')
    """

    group: Annotated[str, Meta(description="The group, such as Z5, S5, A5 or Z2xZ3.", examples=["S5"])]
    symbols: Annotated[
        Literal["elements", "generators"],
        Meta(description="The symbols of sequences: all elements, or generators and the identity."),
    ] = "elements"
    length_min: LengthMin = 1
    length_max: LengthMax = 20

    def __post_init__(self) -> None:
        """Check the settings, and that there is such a group."""
        super().__post_init__()
        group_of(self.group)

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"group-words {self.group}{' generators' if self.symbols == 'generators' else ''}"

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the K classes: all elements, the identity first."""
        return group_of(self.group).names

    @cached_property
    def symbol_names(self) -> tuple[str, ...]:
        """The names of the C tokens."""
        return tuple(self.class_names[element] for element in self._elements)

    @cached_property
    def _elements(self) -> NDArray[np.int64]:
        """The element that each token means."""
        if self.symbols == "elements":
            return np.arange(len(self.class_names))
        return np.array([0, *group_of(self.group).generators])

    def truth(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the product so far after every step, int64 (sum of T,)."""
        table, elements = group_of(self.group).table, self._elements[tokens_of(self, sequences)]
        answers = np.empty(len(elements), dtype=np.int64)
        # The longest sequences first: those that are still running at a step are the first ones.
        order = np.argsort(-sequences.lengths, kind="stable")
        starts, lengths = sequences.offsets[:-1][order], sequences.lengths[order]
        products = np.zeros(len(starts), dtype=np.int64)
        for step in range(int(lengths[0]) if len(lengths) else 0):
            running = np.searchsorted(-lengths, -step)
            places = starts[:running] + step
            products[:running] = table[products[:running], elements[places]]
            answers[places] = products[:running]
        return answers

    def _draw(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> Sequences:
        offsets = offsets_of(lengths)
        return answered(self, rng.integers(0, self.dim_input, int(offsets[-1]), dtype=np.int32), offsets)
