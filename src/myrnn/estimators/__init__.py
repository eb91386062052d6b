"""Recurrent networks as scikit-learn estimators, for sequences of different lengths.

`base` has their common part, `tables` the checks that scikit-learn requires for tables. `classifier`, `tagger`,
`regressor`, `language` and `forecaster` each have an estimator. `ahead` continues a series, and `forecast` adds
intervals.
"""

from myrnn.estimators.base import SequenceEstimator
from myrnn.estimators.classifier import SequenceClassifier
from myrnn.estimators.forecaster import SequenceForecaster
from myrnn.estimators.forecasts import Forecast, forecast
from myrnn.estimators.language import LanguageModel
from myrnn.estimators.regressor import SequenceRegressor
from myrnn.estimators.tagger import SequenceTagger

__all__ = [
    "Forecast",
    "LanguageModel",
    "SequenceClassifier",
    "SequenceEstimator",
    "SequenceForecaster",
    "SequenceRegressor",
    "SequenceTagger",
    "forecast",
]
