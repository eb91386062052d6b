"""The growing series of values that a logger keeps."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument


class MetricSeries:
    """The values of one metric, batch by batch and epoch by epoch.

    Positions count iterations. They stand in growing buffers of float64, so a value costs 16 bytes and well under a
    microsecond.
    """

    __slots__ = (
        "epoch_means",
        "epoch_positions",
        "name",
        "pending",
        "position",
        "positions",
        "total",
        "values",
        "weight",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = array("d")
        self.positions = array("d")
        self.position = 0.0
        self.epoch_means = array("d")
        self.epoch_positions = array("d")
        self._start_epoch()

    def _start_epoch(self) -> None:
        self.total, self.weight, self.pending = 0.0, 0.0, 0

    def add(self, value: float, weight: int, iterations: int) -> None:
        """Record the value of a batch that counts `weight` times in the epoch's mean."""
        self.position += iterations
        self.positions.append(self.position)
        self.values.append(value)
        self.total += weight * value
        self.weight += weight
        self.pending += 1

    def end_epoch(self, position: float) -> None:
        """Record the mean since the last epoch; without a batch since then there is none."""
        if self.pending:
            self.epoch_means.append(self.total / self.weight)
            self.epoch_positions.append(position)
            self._start_epoch()

    def to_dict(self) -> dict[str, Any]:
        """Return all of the series as arrays and numbers."""
        return {
            "name": self.name,
            "batch_data": np.array(self.values),
            "batch_domain": np.array(self.positions),
            "epoch_data": np.array(self.epoch_means),
            "epoch_domain": np.array(self.epoch_positions),
            "cnt_since_epoch": self.pending,
            "total_weighting": self.weight,
            "running_weighted_sum": self.total,
        }

    @classmethod
    def from_dict(cls, name: str, record: Mapping[str, Any]) -> MetricSeries:
        """Return the series that `to_dict` describes; without positions, batches stand one iteration apart."""
        new = cls(name)
        new.values = _buffer(name, "batch_data", record)
        if "batch_domain" in record:
            new.positions = _buffer(name, "batch_domain", record)
        else:
            new.positions = array("d", range(1, len(new.values) + 1))
        new.epoch_means = _buffer(name, "epoch_data", record)
        new.epoch_positions = _buffer(name, "epoch_domain", record)
        if len(new.values) != len(new.positions) or len(new.epoch_means) != len(new.epoch_positions):
            raise InvalidArgument(f"the record of {name!r} must have one position for every value")
        new.position = new.positions[-1] if new.positions else 0.0
        new.pending = _checks.integer("cnt_since_epoch", entry(name, "cnt_since_epoch", record), minimum=0)
        new.weight = _number("total_weighting", entry(name, "total_weighting", record))
        new.total = _number("running_weighted_sum", entry(name, "running_weighted_sum", record))
        return new


class SplitRecord:
    """The series of one split, training or test, and how many batches and epochs were set."""

    def __init__(self, names: tuple[str, ...] | None) -> None:
        self._names = names
        self.series: dict[str, MetricSeries] = {}
        self.batches = 0
        self.epochs = 0

    def add_batch(self, metrics: Mapping[str, Any], batch_size: int, iterations: int) -> None:
        """Record all the values of a batch, or none when one is wrong."""
        # This runs once an iteration: what is nearly always right is tested in the cheapest way first.
        if type(metrics) is not dict and not isinstance(metrics, Mapping):
            raise InvalidArgument(f"metrics must map names to numbers, not be {metrics!r}")
        if type(batch_size) is not int or batch_size < 1:
            batch_size = _checks.integer("batch_size", batch_size, minimum=1)
        if type(iterations) is not int or iterations < 1:
            iterations = _checks.integer("iterations", iterations, minimum=1)
        values = [value if type(value) is float else _number(name, value) for name, value in metrics.items()]
        series = self.series
        if not metrics or not metrics.keys() <= series.keys():
            self._admit(metrics)
        for name, value in zip(metrics, values, strict=True):
            series[name].add(value, batch_size, iterations)
        self.batches += 1

    def _admit(self, metrics: Mapping[str, Any]) -> None:
        """Begin the series of new names; without names given beforehand, those of the first batch are the names."""
        if not metrics:
            raise InvalidArgument("metrics must name at least one metric")
        known = self._names or tuple(self.series)
        for name in metrics:
            if known:
                _checks.one_of("every metric", name, known)
            elif not isinstance(name, str):
                raise InvalidArgument(f"the name of a metric must be a string, not {name!r}")
        for name in metrics:
            self.series.setdefault(name, MetricSeries(name))

    def end_epoch(self, beside: Mapping[str, MetricSeries] | None = None) -> None:
        """Record the epoch means, each where its own series stands, or where its namesake in `beside` does."""
        for name, series in self.series.items():
            leader = (beside or {}).get(name)
            series.end_epoch(leader.position if leader is not None and leader.values else series.position)
        self.epochs += 1


def entry(owner: str, key: str, record: Mapping[str, Any]) -> Any:
    """Return the entry of a saved record, or say that it is missing."""
    if key not in record:
        raise InvalidArgument(f"the record of {owner!r} lacks {key!r}")
    return record[key]


def _buffer(name: str, key: str, record: Mapping[str, Any]) -> array[float]:
    values = entry(name, key, record)
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{key} of {name!r} must be a list of numbers") from None
    if numbers.ndim != 1:
        raise InvalidArgument(f"{key} of {name!r} must be a list of numbers, not of shape {numbers.shape}")
    return array("d", numbers.tobytes())


def _number(name: str, value: Any) -> float:
    """Return one number, which may be NaN, from a Python number or anything with ``.item()`` such as a tensor."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, str | bytes):
            raise TypeError
        return float(plain)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{name} must be a number, not {value!r}") from None
