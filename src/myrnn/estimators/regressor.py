"""A recurrent network that predicts numbers for sequences or their steps."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from myrnn.data.symbols import RawSequences
from myrnn.data.targets import VALUES, RawTargets, flat_numbers
from myrnn.estimators.base import SequenceEstimator, by_sequence
from myrnn.evaluation.scores import mean_r2
from myrnn.flat import offsets_of


class SequenceRegressor(RegressorMixin, SequenceEstimator):
    """A recurrent network that predicts one or more numbers for each sequence or each of its steps.

    Parameters
    ----------
    cell : str or callable
        As for `SequenceClassifier`; a user-defined model returns numbers, (1, K), or (T, K) with `per_step`.
    per_step : bool
        Whether to predict numbers for each step instead of the whole sequence.
    loss : {"mean-squared-error", "huber"} or a registered name, optional
        The loss to minimise, by default the mean squared error. It is measured in standard deviations: the network
        learns numbers scaled to mean 0 and standard deviation 1, column by column.
    others
        As for `SequenceClassifier`.

    Attributes
    ----------
    history_ : dict of ndarray (epochs,)
        ``epoch``, ``loss`` and ``squared_error``, both in standard deviations, and their validation values.
    best_epoch_, model_, tokenize_, encoder_, n_features_in_
        As those of `SequenceClassifier`.

    Notes
    -----
    X is as for `SequenceClassifier`; y holds numbers for each sequence, (N,) or (N, K), or with `per_step` for each of
    its steps: N arrays (T,) or (T, K).

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import SequenceRegressor
    >>> rng = np.random.default_rng(0)
    >>> series = [rng.normal(size=rng.integers(3, 9)) for _ in range(200)]
    >>> regressor = SequenceRegressor(dim_recurrent=16, max_epochs=30, learning_rate=0.01, random_state=0)
    >>> regressor.fit(series, [one.mean() for one in series]).predict(series[:2]).shape
    (2,)
    >>> regressor.score(series, [one.mean() for one in series]) > 0.9
    True
    """

    learn, word = VALUES, "regressor"
    without = frozenset(("truncate", "class_weight", "difference", "period"))
    defaults: ClassVar = {"cell": "gru"}

    def _targets(self, raw: RawSequences, y: Any) -> RawTargets:
        return RawTargets.read(VALUES, y, raw.offsets, bool(self.per_step))

    def predict(self, X: Any) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        """Return the numbers of every sequence, float64 (N,) or (N, K) like y; of steps, N arrays (T,) or (T, K).

        Raises
        ------
        NotFinite
            When outputs are not finite.
        """
        sequences = self._read(X)
        rows = self._reader.targets.decode(self._run.outputs(sequences))
        return by_sequence(rows, sequences) if sequences.per_step else rows

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination R²: 1 is perfect, 0 as good as the mean of y.

        For several columns it is their mean. As in scikit-learn, a constant column counts 1 if it is predicted exactly,
        and 0 otherwise.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array_like (N,), optional
            The weight of each sequence, or of each step with `per_step`.
        """
        predictions, truth = self.predict(X), y
        if isinstance(predictions, list):
            truth = flat_numbers(y, offsets_of(list(map(len, predictions))))
            predictions = np.concatenate(predictions)
        return mean_r2(truth, predictions, sample_weight)

    def __sklearn_tags__(self) -> Any:
        """Return the estimator tags of scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
