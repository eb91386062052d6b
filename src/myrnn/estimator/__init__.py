"""Classifiers of sequences for scikit-learn."""

from myrnn.estimator._classifier import SequenceClassifier, fit_with_checkpoints
from myrnn.estimator._models import embedding_size

__all__ = ["SequenceClassifier", "embedding_size", "fit_with_checkpoints"]
