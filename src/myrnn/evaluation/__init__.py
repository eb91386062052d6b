"""What a trained model can do, what it cannot, and what a number is worth: tests, transfer, shortcuts, mistakes."""

from myrnn.evaluation._buckets import LengthBuckets
from myrnn.evaluation._calibration import Calibration
from myrnn.evaluation._classification import ClassificationReport, classification_report
from myrnn.evaluation._classify import ENGINES, Classifier
from myrnn.evaluation._compare import Comparison
from myrnn.evaluation._counterexamples import Counterexamples, Mistake, counterexamples
from myrnn.evaluation._evaluate import evaluate
from myrnn.evaluation._intervals import mean_difference_interval, newcombe_interval
from myrnn.evaluation._report import LengthReport
from myrnn.evaluation._shortcuts import ShortcutReport, shortcuts
from myrnn.evaluation._transfer import TransferTable, transfer
from myrnn.results import wilson_interval

__all__ = [
    "ENGINES",
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
    "evaluate",
    "mean_difference_interval",
    "newcombe_interval",
    "shortcuts",
    "transfer",
    "wilson_interval",
]
