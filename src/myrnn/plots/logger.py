"""A manual record of a training: every batch, and means over the batches of an epoch."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument


class MetricRecord:
    """The values of one metric by batch, and their means by epoch, by noggin's names; domains count iterations."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batch_data, self.batch_domain = array("d"), array("d")
        self.epoch_data, self.epoch_domain = array("d"), array("d")
        self.cnt_since_epoch, self.total_weighting, self.running_weighted_sum = 0, 0.0, 0.0

    @property
    def position(self) -> float:
        """The number of recorded iterations."""
        return self.batch_domain[-1] if self.batch_domain else 0.0

    def add(self, value: float, weight: int, iterations: int) -> None:
        """Record the value of a batch with this weight in the epoch's mean."""
        self.batch_domain.append(self.position + iterations)
        self.batch_data.append(value)
        self.running_weighted_sum += weight * value
        self.total_weighting += weight
        self.cnt_since_epoch += 1

    def end_epoch(self, position: float) -> None:
        """Record the mean since the last epoch, unless there was no batch."""
        if self.cnt_since_epoch:
            self.epoch_data.append(self.running_weighted_sum / self.total_weighting)
            self.epoch_domain.append(position)
            self.cnt_since_epoch, self.total_weighting, self.running_weighted_sum = 0, 0.0, 0.0

    def numbers(self) -> dict[str, Any]:
        """Return copies of all of it."""
        return {key: np.array(part) if isinstance(part, array) else part for key, part in vars(self).items()}


class Split(dict[str, MetricRecord]):
    """The records of training or of tests by metric, and the numbers of batches and epochs."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.batches = self.epochs = 0

    def add_batch(self, metrics: Mapping[str, Any], batch_size: int, iterations: int = 1) -> None:
        """Record all values of a batch, or none if one is invalid; without names, the first batch determines them."""
        if not isinstance(metrics, Mapping):
            raise InvalidArgument(f"metrics must map names to numbers, not be {metrics!r}")
        batch_size = _checks.integer("batch_size", batch_size, minimum=1)
        iterations = _checks.integer("iterations", iterations, minimum=1)
        names = self.names if metrics and self.names else metric_names(metrics)
        for name in metrics:
            _checks.one_of("every metric", name, names)
        values = {name: _number(name, value) for name, value in metrics.items()}
        self.names = names
        for name, value in values.items():
            self.setdefault(name, MetricRecord(name)).add(value, batch_size, iterations)
        self.batches += 1

    def end_epoch(self, beside: Mapping[str, MetricRecord]) -> None:
        """Record the epoch's means at the positions of the same metrics in `beside`, or at their own."""
        for name, record in self.items():
            record.end_epoch(beside.get(name, record).position)
        self.epochs += 1


class LiveLogger:
    """Record the batch values and epoch means of a training and its tests.

    It has the methods and the numbers of noggin's logger: an epoch's mean is weighted by batch size, covers the batches
    since the previous epoch, and is recorded at the number of the last batch. A test epoch is recorded at the position
    of the training. A value may be NaN or infinite, like the loss of a failed training.

    Parameters
    ----------
    metrics : str or list of str, optional
        The names that may be recorded; by default, those of the first training batch for training and those of the
        first test batch for tests.

    Examples
    --------
    >>> logger = LiveLogger()
    >>> logger.set_train_batch({"loss": 2.0}, batch_size=10)
    >>> logger.set_train_batch({"loss": 0.5}, batch_size=5)
    >>> logger.set_train_epoch()
    >>> logger.train_metrics["loss"]["epoch_data"]
    array([1.5])
    """

    def __init__(self, metrics: str | Iterable[str] | None = None) -> None:
        names = () if metrics is None else metric_names(metrics)
        self.train, self.test = Split(names), Split(names)

    def set_train_batch(
        self, metrics: Mapping[str, Any], batch_size: int, plot: bool = True, *, iterations: int = 1
    ) -> None:
        """Record metrics of a training batch.

        Parameters
        ----------
        metrics : dict of str to number
            The mean of each metric over the batch. Metrics may be omitted.
        batch_size : int
            The number of sequences in the batch: its weight in the epoch's mean.
        plot : bool
            Ignored, so that a logger can replace a `LivePlot`.
        iterations : int
            The number of iterations that the values cover.

        Raises
        ------
        InvalidArgument
            When a name is unknown, a value is not a number, or a count is below 1. Nothing is recorded then.
        """
        self.train.add_batch(metrics, batch_size, iterations)

    def set_train_epoch(self) -> None:
        """Record each metric's mean over the training batches since the last epoch."""
        self.train.end_epoch({})

    def set_test_batch(self, metrics: Mapping[str, Any], batch_size: int) -> None:
        """Record metrics of a test batch, as `set_train_batch` does."""
        self.test.add_batch(metrics, batch_size)

    def set_test_epoch(self) -> None:
        """Record each metric's mean over the test batches since the last epoch, at the position of the training."""
        self.test.end_epoch(self.train)

    @property
    def train_metrics(self) -> dict[str, dict[str, Any]]:
        """The training record: for each name ``batch_data``, ``epoch_data``, their ``_domain``, and running sums."""
        return {name: record.numbers() for name, record in self.train.items()}

    @property
    def test_metrics(self) -> dict[str, dict[str, Any]]:
        """The test record, like `train_metrics`."""
        return {name: record.numbers() for name, record in self.test.items()}

    def __repr__(self) -> str:
        """Return the metrics and the number of records."""
        counts = ", ".join(
            f"{_checks.count_of(split.batches, f'{kind} batch')}, {_checks.count_of(split.epochs, f'{kind} epoch')}"
            for kind, split in (("training", self.train), ("test", self.test))
        )
        return f"{type(self).__name__}({', '.join(dict.fromkeys((*self.train.names, *self.test.names)))}: {counts})"


def metric_names(metrics: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple; refuse an empty list, duplicates and anything but strings."""
    if not isinstance(metrics, Iterable):
        raise InvalidArgument(f"metrics must be a name or a list of names, not {metrics!r}")
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    if not names:
        raise InvalidArgument("metrics must name at least one metric")
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise InvalidArgument(f"the name of a metric must be a string, not {name!r}")
        if name in names[:place]:
            raise InvalidArgument(f"metrics must be different names, but {name!r} is repeated")
    return names


def _number(name: str, value: Any) -> float:
    """Return one number, which may be NaN, from a Python number or anything with ``.item()`` such as a tensor."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, str | bytes):
            raise TypeError
        return float(plain)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{name} must be a number, not {value!r}") from None
