"""What a trained model can do, what it cannot, and what a number is worth.

The modules, each after those that it needs:

classify        which sequences a model is tried on, and what it says of them
intervals       confidence intervals of differences, and of rates over steps that belong together
steps           steps in flat arrays: their places, and the clusters that intervals go by
classes         precision, recall and F1 of classes, and which are taken for which
scores          what models and baselines reach, side by side
buckets         accuracy and other measures by length and by position
naive           naive forecasts of numbers
ngrams          counts of what came after the last symbols
baselines       what frequent tags, n-grams and naive forecasts reach
shortcuts       what a classifier reaches that sees only a part of each sequence
evaluate        accuracy by length and class, and two reports side by side
transfer        models on tasks that they were not trained on
mistakes        the shortest mistakes and the most confident ones
classification  a test of a classifier: classes, mistakes, lengths, probabilities
tags            a test of a model that says a class at every step
text            a test of a model that says which symbol comes next
numbers         a test of a model that says numbers
"""

from myrnn.evaluation.baselines import Baselines, number_baselines, tag_baselines, text_baselines
from myrnn.evaluation.buckets import LengthBuckets, StepBuckets
from myrnn.evaluation.classification import Calibration, ClassificationReport, classification_report
from myrnn.evaluation.classify import Classifier, check_classes, recognizer_of
from myrnn.evaluation.evaluate import Comparison, LengthReport, difference_columns, difference_table, evaluate
from myrnn.evaluation.intervals import cluster_interval, mean_difference_interval, newcombe_interval, ratio_interval
from myrnn.evaluation.mistakes import Counterexamples, Mistake, counterexamples
from myrnn.evaluation.naive import naive_forecast
from myrnn.evaluation.numbers import NumberReport, number_report
from myrnn.evaluation.scores import Estimate, mean_r2
from myrnn.evaluation.shortcuts import ShortcutReport, shortcuts
from myrnn.evaluation.tags import TagReport, tag_report
from myrnn.evaluation.text import TextReport, text_report
from myrnn.evaluation.transfer import TransferTable, transfer
from myrnn.results import wilson_interval

__all__ = [
    "Baselines",
    "Calibration",
    "ClassificationReport",
    "Classifier",
    "Comparison",
    "Counterexamples",
    "Estimate",
    "LengthBuckets",
    "LengthReport",
    "Mistake",
    "NumberReport",
    "ShortcutReport",
    "StepBuckets",
    "TagReport",
    "TextReport",
    "TransferTable",
    "check_classes",
    "classification_report",
    "cluster_interval",
    "counterexamples",
    "difference_columns",
    "difference_table",
    "evaluate",
    "mean_difference_interval",
    "mean_r2",
    "naive_forecast",
    "newcombe_interval",
    "number_baselines",
    "number_report",
    "ratio_interval",
    "recognizer_of",
    "shortcuts",
    "tag_baselines",
    "tag_report",
    "text_baselines",
    "text_report",
    "transfer",
    "wilson_interval",
]
