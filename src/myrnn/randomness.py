"""Dropout and noise: the only random numbers that a model may use, while it trains.

The generator is counter-based: each number is a function of where it is used, and nothing has a state. A training has a
seed. Each iteration and each position in a batch derives a *key* from it. Each line of the model that calls `dropout`
or `noise` is a *site* with one stream of numbers per key; its calls take them in order. So a training that resumes from
a checkpoint draws the same numbers as one that was never stopped, and all engines draw the same.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Protocol, TypeVar

import numpy as np
import scipy
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument

Keys = NDArray[np.int64]
Values = TypeVar("Values", Tensor, NDArray[Any])

KEEP, NORMAL = "dropout", "noise"


def dropout(h: Values, rate: float) -> Values:
    """Set random elements to zero during training; otherwise return `h` itself.

    Each element is zero with probability `rate`; the others are divided by ``1 - rate``, which keeps the mean. The seed
    of the training determines the masks. They differ for every iteration, every sequence of a batch, every step and
    every line that calls this. Both engines draw the same masks.

    Parameters
    ----------
    h : Tensor or ndarray
        Of any shape: the state of a step (1, D), the whole sequence (T, C), or all states (T, D).
    rate : float
        In [0, 1).

    Returns
    -------
    Tensor or ndarray
        Of the shape of `h`.

    Raises
    ------
    InvalidArgument
        When `rate` is not a number in [0, 1).

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.ones((1, 3), dtype=np.float32)
    >>> dropout(h, 0.5) is h  # no model trains here
    True
    """
    amount = np.float32(_checks.real("rate", rate, minimum=0, below=1))
    if amount >= 1:
        raise InvalidArgument(f"rate must be below 1 in float32, not {rate}")
    return h if (drawn := _drawn(Draw(KEEP, float(amount)), h)) is None else h * drawn


def noise(h: Values, std: float) -> Values:
    """Add normal noise of mean zero during training; otherwise return `h` itself.

    The seed of the training determines the noise, as it does the masks of `dropout`.

    Parameters
    ----------
    h : Tensor or ndarray
        Of any shape.
    std : float
        Its standard deviation, 0 or more.

    Returns
    -------
    Tensor or ndarray
        Of the shape of `h`.

    Raises
    ------
    InvalidArgument
        When `std` is not a finite number of 0 or more.

    References
    ----------
    Jim, Giles and Horne, "An analysis of noise in recurrent neural networks: convergence and generalization", 1996.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.ones((1, 3), dtype=np.float32)
    >>> noise(h, 0.1) is h  # no model trains here
    True
    """
    amount = np.float32(_checks.real("std", std, minimum=0, below=float(np.finfo(np.float32).max)))
    return h if (drawn := _drawn(Draw(NORMAL, float(amount)), h)) is None else h + drawn


def _drawn(draw: Draw, h: Any) -> Any:
    """Return the array to apply in a call; None if nothing is drawn."""
    if not isinstance(h, Tensor | np.ndarray):
        raise InvalidArgument(f"h must be a tensor or an array, not {_checks.shown(h)}")
    source = _source.get()
    return None if source is None or draw.amount == 0 else source.draw(draw, h)


@dataclass(frozen=True)
class Draw:
    """What a call draws."""

    kind: str  # dropout or noise
    amount: float  # the rate, or the standard deviation: a float32

    @property
    def neutral(self) -> float:
        """The number that leaves its operand unchanged."""
        return 1.0 if self.kind == KEEP else 0.0

    def numbers(self, key: int, site: int, first: int, count: int) -> NDArray[np.float32]:
        """Return numbers of a site's stream from number `first`, as `compiler.runtime.draws` does: float32 (count,)."""
        begin, end = first // 2, (first + count + 1) // 2
        with np.errstate(over="ignore"):
            # Each word of 64 bits gives two numbers.
            words = mixed(stream_of(key, site) + np.arange(begin + 1, end + 1, dtype=np.uint64) * GOLDEN)
        halves = np.stack([words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)], axis=1)
        drawn = kept(halves, np.float32(self.amount)) if self.kind == KEEP else normal(halves, np.float32(self.amount))
        return drawn.reshape(-1)[first - 2 * begin :][:count]


def kept(halves: NDArray[np.uint64], rate: np.float32) -> NDArray[np.float32]:
    """Return 0 for a share `rate` of these 32-bit integers, and ``1 / (1 - rate)`` for the others."""
    least = np.uint64(np.ceil(np.float64(rate) * 2.0**32))
    return np.where(halves >= least, np.float32(1) / (np.float32(1) - rate), np.float32(0))


def normal(halves: NDArray[np.uint64], std: np.float32) -> NDArray[np.float32]:
    """Return a normal number for each of these 32-bit integers."""
    numbers: NDArray[np.float32] = (std * scipy.special.ndtri((halves + 0.5) * 2.0**-32)).astype(np.float32)
    return numbers


# Words of 64 bits ----------------------------------------------------------------------------------------------------

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mixed(words: Any) -> Any:
    """Return hashed words, by the last step of SplitMix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * _FIRST
        words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def stream_of(key: int, site: int) -> np.uint64:
    """Return where the stream of a site begins."""
    with np.errstate(over="ignore"):
        return np.uint64(mixed(np.int64(key).astype(np.uint64) + np.uint64(site + 1) * GOLDEN))


def keys_of(seed: int, first: int, shape: tuple[int, int]) -> Keys:
    """Return a key for each position in the batches of `n` iterations from `first` on, int64 (n, B)."""
    iterations, places = (np.arange(1, count + 1, dtype=np.uint64) for count in shape)
    (begin,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    with np.errstate(over="ignore"):
        of_iterations = mixed(begin + (iterations + np.uint64(first)) * GOLDEN)
        keys: Keys = mixed(of_iterations[:, np.newaxis] + places * GOLDEN).view(np.int64)
    return keys


# Who draws -----------------------------------------------------------------------------------------------------------


class RandomSource(Protocol):
    """Supplies the values for calls of `dropout` and `noise`."""

    def draw(self, draw: Draw, h: Any) -> Any:
        """Return an array or a tensor of the shape of `h`."""
        ...


_source: ContextVar[RandomSource | None] = ContextVar("source", default=None)


def run_with(source: RandomSource, model: Callable[[Any], Any], x: Any) -> Any:
    """Return ``model(x)`` with numbers drawn from a source; without a source, nothing is drawn."""
    token = _source.set(source)
    try:
        return model(x)
    finally:
        _source.reset(token)


class Sites:
    """Numbers the sites of a model in the order in which one call reaches them."""

    # A site is a line of code together with the calls that lead to it from `run_with`. Code is compared by its content:
    # a text has new code whenever it is evaluated.

    def __init__(self) -> None:
        self._numbers: dict[tuple[tuple[CodeType, int], ...], int] = {}

    def number(self) -> int:
        """Return the site of the current call of `dropout` or `noise`."""
        # Between here and the user's code lie this method, the source and two functions of this file.
        frame: FrameType | None = sys._getframe(4)
        chain = []
        while frame is not None and frame.f_code is not run_with.__code__:
            chain.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        return self._numbers.setdefault(tuple(chain), len(self._numbers))


class SequenceDraws:
    """Draws for one sequence of a training."""

    def __init__(self, key: int) -> None:
        self._key, self._sites = key, Sites()
        # The numbers that each site has taken so far.
        self._taken: dict[int, int] = defaultdict(int)

    def draw(self, draw: Draw, h: Any) -> NDArray[Any]:
        """Return the next numbers of the site, in the shape of `h`, and in its dtype if that is a float."""
        site, size = self._sites.number(), int(np.prod(h.shape))
        first = self._taken[site]
        self._taken[site] += size
        numbers = draw.numbers(self._key, site, first, size).reshape(h.shape)
        return numbers.astype(h.dtype) if h.dtype.kind == "f" else numbers
