"""What turns raw sequences into those that a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.encoding._raw import Numbers, RawSequences, Symbols
from myrnn.encoding._standardizer import Standardizer
from myrnn.encoding._vocabulary import Vocabulary
from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences


@dataclass(frozen=True)
class SequenceEncoder:
    """A vocabulary for symbols, or a standardizer for numbers.

    Attributes
    ----------
    inner : Vocabulary or Standardizer

    Examples
    --------
    >>> from myrnn.encoding import read_sequences
    >>> encoder = SequenceEncoder.fit(read_sequences([["to", "be"], ["or", "not", "to", "be"]]))
    >>> encoder.encode(read_sequences([["to", "see"]], encoder.kind)).tokens(0).tolist()
    [4, 0]
    """

    inner: Vocabulary | Standardizer

    @classmethod
    def fit(
        cls,
        raw: RawSequences,
        training: NDArray[np.bool_] | None = None,
        *,
        standardize: bool = True,
        max_vocabulary: int | None = None,
    ) -> SequenceEncoder:
        """Learn from the sequences of a training.

        Parameters
        ----------
        raw : Symbols or Numbers
        training : ndarray of bool (N,), optional
            Which sequences to learn from; by default all.
        standardize : bool
            Whether to bring numbers to mean 0 and standard deviation 1, column by column.
        max_vocabulary : int, optional
            How many symbols to keep at most, the most frequent ones; the others are unknown.
        """
        if isinstance(raw, Symbols):
            return cls(Vocabulary.fit(raw, training, max_vocabulary))
        if standardize:
            return cls(Standardizer.fit(raw, training))
        return cls(Standardizer.identity(raw.rows.shape[1]))

    @property
    def kind(self) -> str:
        """What the sequences are: ``"characters"``, ``"words"``, ``"integers"`` or ``"numbers"``."""
        return self.inner.kind if isinstance(self.inner, Vocabulary) else "numbers"

    @property
    def dim_input(self) -> int:
        """C: the number of tokens, or of columns."""
        return len(self.inner) if isinstance(self.inner, Vocabulary) else len(self.inner.mean)

    def encode(self, raw: RawSequences, labels: NDArray[np.int64] | None = None) -> Sequences:
        """Return the sequences as a model takes them, with `labels` or 0 as their classes.

        Raises
        ------
        InvalidArgument
            When they are of another kind, or have other columns, than those that were fitted.
        """
        classes = np.zeros(len(raw), dtype=np.int64) if labels is None else labels
        if isinstance(raw, Symbols) and isinstance(self.inner, Vocabulary) and raw.kind == self.inner.kind:
            return Sequences(self.inner.encode(raw), raw.offsets, classes, len(self.inner))
        if not isinstance(raw, Numbers) or not isinstance(self.inner, Standardizer):
            raise InvalidArgument(f"the sequences must be {self.kind}, as those that were fitted")
        columns = len(self.inner.mean)
        if not len(raw.rows):
            raw = Numbers(np.zeros((0, columns)), raw.offsets)
        if raw.rows.shape[1] != columns:
            raise InvalidArgument(
                f"the sequences have {raw.rows.shape[1]} columns, but those that were fitted have {columns}"
            )
        return Sequences(self.inner.encode(raw), raw.offsets, classes)

    def to_settings(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        name = "vocabulary" if isinstance(self.inner, Vocabulary) else "standardizer"
        return {name: self.inner.to_settings()}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> SequenceEncoder:
        """Make it again; raises InvalidArgument where the values are not what `to_settings` returns."""
        kinds: dict[str, type[Vocabulary] | type[Standardizer]] = {
            "vocabulary": Vocabulary,
            "standardizer": Standardizer,
        }
        if len(settings) != 1 or not set(settings) <= set(kinds) or not isinstance(next(iter(settings.values())), dict):
            raise InvalidArgument("an encoder must have either a 'vocabulary' or a 'standardizer'")
        ((name, inner),) = settings.items()
        return cls(kinds[name].from_settings(inner))
