"""The record of a training: every batch, and means over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots._series import MetricSeries, SplitRecord, entry


class LiveLogger:
    """Keep the batch values and epoch means of a training and its tests.

    It has the verbs of noggin's logger, and its numbers: an epoch's mean is weighted by batch size and runs over the
    batches since the epoch before; it stands at the number of the last batch. A test epoch stands where training is.
    A value may be NaN or infinite, as the loss of a failed training is.

    Parameters
    ----------
    metrics : str or list of str, optional
        The names that may be recorded. Without it, those of the first training batch are the names for training and
        those of the first test batch the names for tests.

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
        self._names = None if metrics is None else metric_names(metrics)
        self._train = SplitRecord(self._names)
        self._test = SplitRecord(self._names)

    def set_train_batch(
        self, metrics: Mapping[str, Any], batch_size: int, plot: bool = True, *, iterations: int = 1
    ) -> None:
        """Record what was measured on a training batch.

        Parameters
        ----------
        metrics : dict of str to number
            The mean over the batch of each metric. A metric may be left out of a batch.
        batch_size : int
            How many sequences the means are over: the batch's weight in the epoch's mean.
        plot : bool
            Not used: it is here so that a logger can stand in for a `LivePlot`.
        iterations : int
            How many iterations the values stand for.

        Raises
        ------
        InvalidArgument
            When a name is unknown, a value is not a number, or a count is below 1. Nothing is recorded then.
        """
        self._train.add_batch(metrics, batch_size, iterations)

    def set_train_epoch(self) -> None:
        """Record each metric's mean over the training batches since the last epoch."""
        self._train.end_epoch()

    def set_test_batch(self, metrics: Mapping[str, Any], batch_size: int) -> None:
        """Record what was measured on a test batch; as `set_train_batch`."""
        self._test.add_batch(metrics, batch_size, 1)

    def set_test_epoch(self) -> None:
        """Record each metric's mean over the test batches since the last epoch, where training stands."""
        self._test.end_epoch(beside=self._train.series)

    @property
    def train_metrics(self) -> dict[str, dict[str, Any]]:
        """The training record: for each name ``batch_data``, ``epoch_data``, their ``_domain``, and running sums."""
        return {name: series.to_dict() for name, series in self._train.series.items()}

    @property
    def test_metrics(self) -> dict[str, dict[str, Any]]:
        """The test record, like `train_metrics`."""
        return {name: series.to_dict() for name, series in self._test.series.items()}

    @property
    def train_series(self) -> Mapping[str, MetricSeries]:
        """The growing training series themselves, not copied."""
        return self._train.series

    @property
    def test_series(self) -> Mapping[str, MetricSeries]:
        """The growing test series themselves, not copied."""
        return self._test.series

    def to_dict(self) -> dict[str, Any]:
        """Return the whole record as plain lists and numbers, fit for JSON.

        Returns
        -------
        dict
            ``train_metrics`` and ``test_metrics``: name to ``name``, ``batch_data`` (N values), ``batch_domain`` (N),
            ``epoch_data`` (M means), ``epoch_domain`` (M), ``cnt_since_epoch``, ``total_weighting`` and
            ``running_weighted_sum`` (of the epoch under way); ``num_train_batch``, ``num_train_epoch``,
            ``num_test_batch``, ``num_test_epoch``; ``metric_names`` (a list, or None). Positions count iterations.
        """
        return {
            "train_metrics": _plain(self.train_metrics),
            "test_metrics": _plain(self.test_metrics),
            "num_train_batch": self._train.batches,
            "num_train_epoch": self._train.epochs,
            "num_test_batch": self._test.batches,
            "num_test_epoch": self._test.epochs,
            "metric_names": None if self._names is None else list(self._names),
        }

    @classmethod
    def from_dict(cls, logger_dict: Mapping[str, Any]) -> LiveLogger:
        """Return the logger that `to_dict` describes; noggin's own dictionaries are understood too.

        Raises
        ------
        InvalidArgument
            When an entry is missing or not what it should be.
        """
        new = cls(entry("logger", "metric_names", {"metric_names": None, **_mapping("logger_dict", logger_dict)}))
        for kind, split in (("train", new._train), ("test", new._test)):
            records = _mapping(f"{kind}_metrics", entry("logger", f"{kind}_metrics", logger_dict))
            for name, record in records.items():
                split.series[name] = MetricSeries.from_dict(name, _mapping(name, record))
            for unit in ("batch", "epoch"):
                key = f"num_{kind}_{unit}"
                count = _checks.integer(key, entry("logger", key, logger_dict), minimum=0)
                setattr(split, {"batch": "batches", "epoch": "epochs"}[unit], count)
        return new

    def __repr__(self) -> str:
        """Name the metrics and count what was set."""
        names = dict.fromkeys([*(self._names or ()), *self._train.series, *self._test.series])
        counts = ", ".join(
            f"{split.batches:,} {kind} batches, {split.epochs:,} {kind} epochs"
            for kind, split in (("training", self._train), ("test", self._test))
        )
        return f"{type(self).__name__}({', '.join(names)}: {counts})"


def metric_names(metrics: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple; refuse none, doubles and what is not a string."""
    if not isinstance(metrics, Iterable):
        raise InvalidArgument(f"metrics must be a name or a list of names, not {metrics!r}")
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    if not names:
        raise InvalidArgument("metrics must name at least one metric")
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgument(f"the name of a metric must be a string, not {name!r}")
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise InvalidArgument(f"metrics must be different names, but {doubles[0]!r} stands there twice")
    return names


def _plain(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in record.items()}
        for name, record in metrics.items()
    }


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{name} must be a dictionary, not {type(value).__name__}")
    return value
