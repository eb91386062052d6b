"""Recurrent networks as estimators of scikit-learn, for sequences of different lengths.

`base` has what they share, `tables` what scikit-learn asks of tables. `classifier`, `tagger`, `regressor`, `language`
and `forecaster` have an estimator each. `ahead` goes on from a series, and `forecast` says how, with intervals.
"""

from myrnn.estimators.base import SequenceEstimator
from myrnn.estimators.classifier import SequenceClassifier
from myrnn.estimators.forecast import Forecast, forecast
from myrnn.estimators.forecaster import SequenceForecaster
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
