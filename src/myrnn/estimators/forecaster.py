"""A recurrent network that forecasts a series."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data import Differences, Numbers
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import SERIES, RawTargets
from myrnn.errors import InvalidArgument
from myrnn.estimators.ahead import Ahead
from myrnn.estimators.base import SequenceEstimator, by_sequence
from myrnn.estimators.tables import check_names
from myrnn.evaluation.scores import mean_r2

# The longest horizon.
MOST_STEPS = 100_000


class SequenceForecaster(SequenceEstimator):
    """A recurrent network that learns the next row of a series from all rows before it.

    Parameters
    ----------
    cell : str or callable
        As for `SequenceClassifier`; a user-defined model returns the next row after every step, (T, C), and must not
        read backward.
    truncate, batch_size, validation_fraction
        As for `LanguageModel`, which reads texts in the same way.
    loss : {"mean-squared-error", "huber"} or a registered name, optional
        As for `SequenceRegressor`.
    difference : int
        With 1 the network learns the changes from row to row, with 2 the changes of these: for series with a trend.
        Predictions, scores and forecasts are those of the series itself.
    period : int, optional
        The length of a season: the network learns the changes from this many rows before.
    others
        As for `SequenceClassifier`.

    Attributes
    ----------
    history_, best_epoch_, model_, encoder_, n_features_in_
        As those of `SequenceRegressor`.

    Notes
    -----
    X is one series, an array (T,) or (T, C), or a list of such series; y is ignored. The network only learns behaviour
    that is present in the past. It does not follow a trend beyond the numbers that it learned: use `difference`, or, if
    there is a season, `period`. A warning names a trend, and numbers outside of those that were learned.

    References
    ----------
    Hewamalage, Bergmeir and Bandara, "Recurrent neural networks for time series forecasting: current status and future
    directions", 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import SequenceForecaster
    >>> wave = np.sin(np.arange(600) / 5)
    >>> forecaster = SequenceForecaster(dim_recurrent=16, batch_size=8, learning_rate=0.01, random_state=0)
    >>> future = forecaster.fit(wave[:500]).forecast(wave[:500], horizon=50)
    >>> bool(np.abs(future - wave[500:550]).max() < 0.2)
    True
    """

    learn, word = SERIES, "forecaster"
    without = frozenset(("dim_embedding", "bidirectional", "per_step", "class_weight", "tokenize", "max_vocabulary"))
    defaults: ClassVar = {"cell": "gru", "truncate": 64}

    def _sequences(self, X: Any) -> Any:
        return series_of(X)[0]

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        if not isinstance(raw, Numbers):
            raise InvalidArgument("X must hold numbers, not symbols: use a LanguageModel for symbols")
        self._check_length(raw.lengths, Differences(self.difference, self.period))
        return super()._targets(raw, None)

    def _check_length(self, lengths: NDArray[np.int64], differences: Differences) -> None:
        if not (lengths > 1 + differences.undefined_rows).any():
            least = differences.undefined_rows + 2
            raise InvalidArgument(f"X holds no series of {least:,} steps or more: there is nothing to predict")

    def predict(self, X: Any) -> Any:
        """Return one-step predictions: float64 (T,) or (T, C) like the series; a list for several.

        Row t predicts step t + 1 from the rows 0 to t. It is NaN for the first rows, which have no difference.

        Raises
        ------
        NotFinite
            When outputs are not finite.
        """
        check_names(self, X)
        listed, is_one = series_of(X)
        rows, targets = self._reader.raw(listed), self._reader.targets
        assert isinstance(rows, Numbers)
        sequences = targets.inputs(self._reader.encoder, rows)
        predictions = by_sequence(targets.next_rows(rows, self._run.outputs(sequences)), sequences)
        parts = [np.full(one.shape, np.nan) for one in listed]
        for part, found in zip(parts, predictions, strict=True):
            part[len(part) - len(found) :] = found.reshape(len(found), *part.shape[1:])
        return parts[0] if is_one else parts

    def score(self, X: Any, y: None = None) -> float:
        """Return the coefficient of determination R² of the one-step predictions: 1 is perfect.

        For several columns it is their mean. As in scikit-learn, a constant column counts 1 if it is predicted exactly,
        and 0 otherwise.
        """
        listed = self._table(X)
        predictions = self.predict(listed)
        differences = self._reader.targets.differences
        self._check_length(np.array(list(map(len, listed))), differences)
        first = differences.undefined_rows
        pairs = [(one[first + 1 :], part[first:-1]) for one, part in zip(listed, predictions, strict=True)]
        truth, found = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        return mean_r2(truth, found)

    def forecast(self, series: Any, horizon: int) -> NDArray[np.float64]:
        """Forecast a series, float64 (horizon,) or (horizon, C): each row from those before it.

        `myrnn.forecast` returns intervals, too.
        """
        check_names(self, series)
        known = one_series(series)
        horizon = _checks.integer("horizon", horizon, minimum=1, maximum=MOST_STEPS)
        return Ahead(self._run, self.engine, known).mean(horizon).reshape(horizon, *known.shape[1:])


def series_of(X: Any) -> tuple[list[NDArray[np.float64]], bool]:
    """Return series as arrays, float64 (T,) or (T, C), and whether `X` is a single series."""
    if X is None:
        raise InvalidArgument("X must be a series, an array (T,) or (T, C), or a list of series, not None")
    if isinstance(X, list | tuple) and any(hasattr(one, "__len__") for one in X):
        return [_series(f"X[{index}]", one) for index, one in enumerate(X)], False
    if getattr(X, "ndim", 1) == 3:
        return [_series("X", one) for one in np.asarray(X)], False
    return [_series("X", X)], True


def one_series(given: Any) -> NDArray[np.float64]:
    """Return one series as an array, float64 (T,) or (T, C), with at least one row; raise InvalidArgument otherwise."""
    known, is_one = series_of(given)
    if not is_one or not len(known[0]):
        raise InvalidArgument("series must be one series, an array (T,) or (T, C), with at least one row")
    return known[0]


def _series(name: str, given: Any) -> NDArray[np.float64]:
    array = _checks.array(name, given)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub" or (array.ndim == 2 and not array.shape[1]):
        raise InvalidArgument(
            f"{name} must be a series of numbers (T,) or (T, C), not {array.dtype} of shape {array.shape}"
        )
    return array.astype(np.float64)
