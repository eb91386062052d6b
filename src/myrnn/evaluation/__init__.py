"""What a trained model can do, what it cannot, and how reliable the numbers are.

The modules, each after those that it imports:

classify        sequences to test a model on, and the model's outputs for them
steps           the layout of steps in flat arrays, and the clusters of intervals
intervals       confidence intervals of differences, and of rates over dependent steps
classes         precision, recall and F1 of classes, and their confusion
scores          scores of models and baselines side by side
buckets         accuracy and other measures by length and by position
naive           naive forecasts of numbers
ngrams          counts of the symbols that follow each context
baselines       scores of frequent tags, n-grams and naive forecasts
shortcuts       accuracy of classifiers that see only part of each sequence
lengths         reports of accuracy by length and class, and their comparison
evaluate        the test of a model that gives such a report
transfer        tests of models on tasks that they were not trained on
mistakes        the shortest and the most confident mistakes
classification  test of a classifier: classes, mistakes, lengths, probabilities
tags            test of a model that predicts a class at every step
text            test of a model that predicts the next symbol
numbers         test of a model that predicts numbers
"""

from myrnn.evaluation.baselines import Baselines, number_baselines, tag_baselines, text_baselines
from myrnn.evaluation.buckets import LengthBuckets, StepBuckets
from myrnn.evaluation.classification import Calibration, ClassificationReport, classification_report
from myrnn.evaluation.classify import Classifier, as_tested, check_classes
from myrnn.evaluation.evaluate import evaluate
from myrnn.evaluation.intervals import cluster_interval, mean_difference_interval, newcombe_interval, ratio_interval
from myrnn.evaluation.lengths import Comparison, LengthReport, difference_columns, difference_table
from myrnn.evaluation.mistakes import Counterexamples, Halves, Mistake, counterexamples
from myrnn.evaluation.naive import naive_forecast
from myrnn.evaluation.numbers import NumberReport, number_report
from myrnn.evaluation.scores import Estimate, mean_r2
from myrnn.evaluation.shortcuts import ShortcutReport, shortcuts
from myrnn.evaluation.tags import TagReport, tag_report
from myrnn.evaluation.text import TextReport, report_of_chosen, text_report
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
    "Halves",
    "LengthBuckets",
    "LengthReport",
    "Mistake",
    "NumberReport",
    "ShortcutReport",
    "StepBuckets",
    "TagReport",
    "TextReport",
    "TransferTable",
    "as_tested",
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
    "report_of_chosen",
    "shortcuts",
    "tag_baselines",
    "tag_report",
    "text_baselines",
    "text_report",
    "transfer",
    "wilson_interval",
]
