"""Classifiers of sequences for scikit-learn."""

from myrnn.estimator._classifier import SequenceClassifier

__all__ = ["SequenceClassifier"]
