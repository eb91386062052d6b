"""What a trained model can do, what it cannot, and what a number is worth.

The modules, each after those that it needs:

classify        which sequences a model is tried on, and what it says of them
intervals       confidence intervals of differences
shortcuts       what a classifier reaches that sees only a part of each sequence
evaluate        accuracy by length and class, and two reports side by side
transfer        models on tasks that they were not trained on
mistakes        the shortest mistakes and the most confident ones
classification  a test of a classifier: classes, mistakes, lengths, probabilities
"""

from myrnn.evaluation.buckets import LengthBuckets
from myrnn.evaluation.classification import Calibration, ClassificationReport, classification_report
from myrnn.evaluation.classify import Classifier
from myrnn.evaluation.evaluate import Comparison, LengthReport, difference_columns, difference_table, evaluate
from myrnn.evaluation.intervals import mean_difference_interval, newcombe_interval
from myrnn.evaluation.mistakes import Counterexamples, Mistake, counterexamples
from myrnn.evaluation.shortcuts import ShortcutReport, shortcuts
from myrnn.evaluation.transfer import TransferTable, transfer
from myrnn.results import wilson_interval

__all__ = [
    "Calibration",
    "ClassificationReport",
    "Classifier",
    "Comparison",
    "Counterexamples",
    "LengthBuckets",
    "LengthReport",
    "Mistake",
    "ShortcutReport",
    "TransferTable",
    "classification_report",
    "counterexamples",
    "difference_columns",
    "difference_table",
    "evaluate",
    "mean_difference_interval",
    "newcombe_interval",
    "shortcuts",
    "transfer",
    "wilson_interval",
]
