"""Classifiers of sequences for scikit-learn."""

from myrnn.estimator._classifier import SequenceClassifier, fit_with_checkpoints
from myrnn.estimator._models import CELLS, embedding_size

__all__ = ["CELLS", "SequenceClassifier", "embedding_size", "fit_with_checkpoints"]
