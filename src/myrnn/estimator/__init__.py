"""Classifiers of sequences for scikit-learn."""

from myrnn.estimator._classifier import SequenceClassifier
from myrnn.estimator._models import embedding_size

__all__ = ["SequenceClassifier", "embedding_size"]
