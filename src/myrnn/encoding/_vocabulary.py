"""The symbols that a training saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.encoding._raw import KINDS, Symbols
from myrnn.errors import InvalidArgument

# The token of every symbol that is not in the vocabulary.
UNKNOWN = 0


@dataclass(frozen=True)
class Vocabulary:
    """Symbols and their tokens: 0 is for every unknown one, 1, 2, ... for the symbols in their order.

    Attributes
    ----------
    kind : {"characters", "words", "integers"}
    symbols : tuple of str or int
        All different.

    Examples
    --------
    >>> from myrnn.encoding import read_sequences
    >>> vocabulary = Vocabulary.fit(read_sequences(["abba", "cab"]), max_size=2)
    >>> vocabulary.symbols, vocabulary.encode(read_sequences(["bad"])).tolist()
    (('a', 'b'), [2, 1, 0])
    """

    kind: str
    symbols: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Check the kind, and that every symbol is of it and stands there once."""
        _checks.one_of("kind", self.kind, tuple(KINDS))
        wanted = int if self.kind == "integers" else str
        for symbol in self.symbols:
            if type(symbol) is not wanted or (self.kind == "characters" and len(str(symbol)) != 1):
                raise InvalidArgument(f"a vocabulary of {self.kind} cannot hold {_checks.shown(symbol)}")
        if len(self._tokens) != len(self.symbols):
            raise InvalidArgument("every symbol of a vocabulary must be there once")

    @classmethod
    def fit(cls, raw: Symbols, training: NDArray[np.bool_] | None = None, max_size: int | None = None) -> Vocabulary:
        """Return the symbols that occur, in the order of the table.

        Parameters
        ----------
        raw : Symbols
        training : ndarray of bool (N,), optional
            Which sequences to learn from; by default all.
        max_size : int, optional
            How many symbols to keep at most: the most frequent ones.
        """
        codes = raw.codes if training is None else raw.codes[np.repeat(training, np.diff(raw.offsets))]
        counts = np.bincount(codes, minlength=len(raw.table))
        kept = np.flatnonzero(counts)
        if max_size is not None and len(kept) > _checks.integer("max_size", max_size, minimum=1):
            kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[:max_size]])
        return cls(raw.kind, tuple(raw.table[code] for code in kept))

    def __len__(self) -> int:
        """Return the number of tokens: that of the symbols, and one for unknown ones."""
        return len(self.symbols) + 1

    @cached_property
    def _tokens(self) -> dict[Any, int]:
        return {symbol: token for token, symbol in enumerate(self.symbols, start=1)}

    def encode(self, raw: Symbols) -> NDArray[np.int32]:
        """Return the token of every step, int32 (sum of T,)."""
        tokens = np.array([self._tokens.get(symbol, UNKNOWN) for symbol in raw.table], dtype=np.int32)
        return tokens[raw.codes] if len(raw.codes) else np.zeros(0, dtype=np.int32)

    def unknown(self, raw: Symbols) -> dict[Any, int]:
        """Return the symbols that are not in the vocabulary, and at how many steps each stands."""
        counts = np.bincount(raw.codes, minlength=len(raw.table)).tolist()
        return {
            symbol: count
            for symbol, count in zip(raw.table, counts, strict=True)
            if count and symbol not in self._tokens
        }

    def to_settings(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {"kind": self.kind, "symbols": list(self.symbols)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Vocabulary:
        """Make it again; raises InvalidArgument where the values are not what `to_settings` returns."""
        symbols = settings.get("symbols")
        if set(settings) != {"kind", "symbols"} or not isinstance(symbols, list):
            raise InvalidArgument("a vocabulary must have 'kind' and a list 'symbols', and nothing else")
        return cls(settings["kind"], tuple(symbols))
