"""What a trained model can do, what it cannot, and how reliable the numbers are.

The modules, each after those that it imports:

classify        sequences to test a model on, and the model's outputs for them
clusters        means and shares of steps, which depend on each other within a sequence
scores          the measures of each kind of target, with their intervals
classes         precision, recall and F1 of classes, and their confusion
shortcuts       accuracy of classifiers that see only part of each sequence
comparison      the difference of two models by length
lengths         reports of accuracy by length and class
buckets         accuracy and other measures by length and by position, and accuracy by probability
ngrams          counts of the symbols that follow each context
baselines       simple rules (frequent tags, n-grams, naive forecasts) and their scores
report          scores beside baselines, by class, length and position
scoring         reports on labels, tags, text and numbers
evaluate        the test of a model on a task that gives such a report
transfer        tests of models on tasks that they were not trained on
mistakes        the shortest and the most confident mistakes
"""

from myrnn.evaluation.baselines import Baselines, naive_forecast, tag_baselines, text_baselines
from myrnn.evaluation.buckets import Buckets, Calibration
from myrnn.evaluation.classes import Confusion
from myrnn.evaluation.comparison import Comparison
from myrnn.evaluation.evaluate import evaluate
from myrnn.evaluation.lengths import LengthReport
from myrnn.evaluation.mistakes import Counterexamples, Halves, Mistake, counterexamples
from myrnn.evaluation.report import Report
from myrnn.evaluation.scores import Estimate
from myrnn.evaluation.scoring import classification_report, number_report, tag_report, text_report
from myrnn.evaluation.shortcuts import ShortcutReport, shortcuts
from myrnn.evaluation.transfer import TransferTable, transfer

__all__ = [
    "Baselines",
    "Buckets",
    "Calibration",
    "Comparison",
    "Confusion",
    "Counterexamples",
    "Estimate",
    "Halves",
    "LengthReport",
    "Mistake",
    "Report",
    "ShortcutReport",
    "TransferTable",
    "classification_report",
    "counterexamples",
    "evaluate",
    "naive_forecast",
    "number_report",
    "shortcuts",
    "tag_baselines",
    "tag_report",
    "text_baselines",
    "text_report",
    "transfer",
]
