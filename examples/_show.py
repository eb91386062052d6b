"""Shared by the examples: choose settings, train with several seeds, test, print the results, draw the figures."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.model_selection import GridSearchCV

from myrnn import LearningCurve, SequenceClassifier, classification_report, plots
from myrnn.evaluation import Report

Labelled = tuple[Any, Any]

# Without highlight=False, Rich colours every number.
CONSOLE = Console(highlight=False)


def options(about: str, arguments: list[str] | None, *, seeds: int) -> argparse.Namespace:
    """Read the options of all examples: the number of seeds, the folder for figures, whether to choose settings."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seeds", type=int, default=seeds, help="how many trainings, each with another seed")
    parser.add_argument("--out", type=Path, default=Path("build/examples"), help="the folder for the figures")
    parser.add_argument("--choose", action="store_true", help="only compare settings, without the test")
    return parser.parse_args(arguments)


def choose(
    classifier: SequenceClassifier,
    candidates: dict[str, list[Any]] | list[dict[str, list[Any]]],
    training: Labelled,
    folds: Any,
    groups: Any = None,
    by: str = "accuracy",
) -> None:
    """Print the result of each combination of settings in a cross-validation on the training sequences.

    They are sorted by accuracy, or by log loss, as `by` says.
    """
    scores = {"accuracy": "accuracy", "log loss": "neg_log_loss"}
    search = GridSearchCV(classifier, candidates, cv=folds, refit=False, scoring=scores)
    found = search.fit(*training, groups=groups).cv_results_
    for place in np.argsort(found[f"rank_test_{by}"], kind="stable"):
        accuracy, loss = found["mean_test_accuracy"][place], -found["mean_test_log loss"][place]
        CONSOLE.print(f"{accuracy:.2%}, log loss {loss:.4f}  {found['params'][place]}", soft_wrap=True)


def accuracy(report: Report) -> str:
    """Return the test accuracy and its interval as text."""
    _, low, high = report.scores["accuracy"]
    return f"test accuracy {report.accuracy:.2%} (95% interval {low:.2%} to {high:.2%})"


def train_and_test(
    make: Callable[[int], SequenceClassifier], training: Labelled, test: Labelled, seeds: int
) -> tuple[SequenceClassifier, list[Report]]:
    """Train with the seeds 0, 1, ... and test each; return the first classifier and all reports."""
    classifiers, reports = [], []
    for seed in range(seeds):
        begin = time.perf_counter()
        classifiers.append(make(seed).fit(*training))
        seconds = time.perf_counter() - begin
        X, y = test
        probabilities = classifiers[-1].predict_proba(X)
        lengths = [len(x) for x in X]
        reports.append(classification_report(y, probabilities, classifiers[-1].classes_, lengths))
        CONSOLE.print(f"seed {seed}: trained in {seconds:.1f} s, {accuracy(reports[-1])}", soft_wrap=True)
    if seeds > 1:
        found = np.array([report.accuracy for report in reports])
        CONSOLE.print(f"{seeds} seeds: mean {found.mean():.2%}, from {found.min():.2%} to {found.max():.2%}")
    return classifiers[0], reports


def show(name: str, classifier: SequenceClassifier, report: Report, out: Path) -> None:
    """Print the tables of a report, and draw its figures and the learning curve."""
    tables = [report.table()]
    curve = LearningCurve.from_columns(classifier.history_)
    figures = {"training": plots.plot_learning_curve(curve), "confusion": report.plot()}
    # If there is only one length, its accuracy is the total accuracy.
    if len(report.lengths.total) > 1:
        tables.append(report.lengths.table())
        figures["lengths"] = report.lengths.plot()
    for table in tables:
        CONSOLE.print("", table)
    CONSOLE.print()
    out.mkdir(parents=True, exist_ok=True)
    for kind, figure in figures.items():
        CONSOLE.print(f"figure: {plots.save_figure(figure, out / f'{name}_{kind}.png')}", soft_wrap=True)
