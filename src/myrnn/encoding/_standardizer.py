"""Columns of numbers brought to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.encoding._raw import Numbers, place_of
from myrnn.errors import InvalidArgument

# Rows that are worked on at a time, in float64.
BLOCK = 2**16
# A column whose deviation is a smaller share of its largest number is constant but for rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Standardizer:
    """For every column of numbers what is taken off, and what the rest is divided by.

    Attributes
    ----------
    mean, scale : tuple of float, C each
        A column that does not change has the scale 1.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that both are finite numbers, as many of each, and the scales above 0."""
        if len(self.mean) != len(self.scale) or not self.mean:
            raise InvalidArgument("mean and scale must be a number for each column, of which there is at least one")
        for mean, scale in zip(self.mean, self.scale, strict=True):
            _checks.real("mean", mean)
            _checks.real("scale", scale, above=0)

    @classmethod
    def identity(cls, columns: int) -> Standardizer:
        """Return the one that leaves numbers as they are."""
        return cls((0.0,) * columns, (1.0,) * columns)

    @classmethod
    def fit(cls, raw: Numbers, training: NDArray[np.bool_] | None = None) -> Standardizer:
        """Measure mean and standard deviation of every column.

        Parameters
        ----------
        raw : Numbers
        training : ndarray of bool (N,), optional
            Which sequences to learn from; by default all. Every step counts the same, so long sequences count more.
        """
        rows = raw.rows if training is None else raw.rows[np.repeat(training, np.diff(raw.offsets))]
        if not len(rows):
            return cls.identity(raw.rows.shape[1])
        # In shares of the largest number: neither sums nor squares overflow.
        largest = np.max([np.abs(part).max(axis=0) for part in _blocks(rows)], axis=0)
        unit = np.where(largest > 0, largest, 1.0)
        mean = sum((part / unit).sum(axis=0) for part in _blocks(rows)) / len(rows)
        variance = sum(np.square(part / unit - mean).sum(axis=0) for part in _blocks(rows)) / len(rows)
        deviation = np.sqrt(variance)
        # Numbers next to the smallest that there are have no deviation that could be divided by.
        scale = np.where((deviation > ROUNDING) & (deviation * unit > 1e-300), deviation * unit, 1.0)
        return cls(tuple((mean * unit).tolist()), tuple(scale.tolist()))

    def encode(self, raw: Numbers) -> NDArray[np.float32]:
        """Return the standardised rows, float32 (sum of T, C).

        Raises
        ------
        InvalidArgument
            When a number is too large for float32 afterwards; the message says where it stands.
        """
        encoded = np.empty(raw.rows.shape, dtype=np.float32)
        mean, scale = np.array(self.mean), np.array(self.scale)
        with np.errstate(over="ignore"):
            for index, part in enumerate(_blocks(raw.rows)):
                encoded[index * BLOCK : index * BLOCK + len(part)] = (part - mean) / scale
        bad = ~np.isfinite(encoded).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            column = int((~np.isfinite(encoded[row])).argmax())
            sequence, step = place_of(row, raw.offsets)
            raise InvalidArgument(
                f"X holds a number that is too large: sequence {sequence} has {raw.rows[row, column]} in row {step}, "
                f"column {column}"
            )
        return encoded

    def to_settings(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {"mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Standardizer:
        """Make it again; raises InvalidArgument where the values are not what `to_settings` returns."""
        lists = [settings.get("mean"), settings.get("scale")]
        if set(settings) != {"mean", "scale"} or not all(isinstance(values, list) for values in lists):
            raise InvalidArgument("a standardizer must have the lists 'mean' and 'scale', and nothing else")
        return cls(tuple(settings["mean"]), tuple(settings["scale"]))


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    return (rows[begin : begin + BLOCK].astype(np.float64) for begin in range(0, len(rows), BLOCK))
