"""Tell nine speakers apart by how they say two vowels: ``python examples/japanese_vowels.py``.

The sequences are 7 to 29 steps of 12 cepstral coefficients: 270 utterances for training and 370 for the test, split as
published. They come with sktime (``pip install '.[examples]'``).

The settings were chosen by the mean log loss of a cross-validation on the 270 utterances, because the accuracies differ
by only an utterance or two. ``--choose`` repeats this. A fold is a run of consecutive utterances in the file, because
neighbours may be alike.

References
----------
Kudo, Toyama and Shimbo, "Multidimensional curve classification using passing-through regions", 1999.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _show import choose, options, show, train_and_test
from sklearn.model_selection import StratifiedKFold
from sktime.datasets import load_japanese_vowels

from myrnn import SequenceClassifier
from myrnn.evaluation import Report

# What --choose tries: every combination.
CANDIDATES = {"learning_rate": [0.003, 0.01], "weight_decay": [0.0, 0.03, 0.1, 0.3]}


def load(split: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the utterances, a list of float arrays (T, 12), and the speakers, "1" to "9"."""
    utterances, speakers = load_japanese_vowels(split, return_type="df-list")
    return [utterance.to_numpy() for utterance in utterances], speakers


def make_classifier(seed: int) -> SequenceClassifier:
    """Return the classifier that the cross-validation chose. It does not hold out utterances for validation."""
    return SequenceClassifier(
        "gru",
        dim_recurrent=64,
        learning_rate=0.01,
        schedule="cosine",
        weight_decay=0.1,
        max_epochs=60,
        validation_fraction=0,
        random_state=seed,
    )


def main(arguments: list[str] | None = None) -> list[Report]:
    """Train and test, and return a report for each seed."""
    given = options(__doc__.splitlines()[0], arguments, seeds=5)
    if given.choose:
        choose(make_classifier(0), CANDIDATES, load("train"), StratifiedKFold(5), by="log loss")
        return []
    classifier, reports = train_and_test(make_classifier, load("train"), load("test"), given.seeds)
    show(Path(__file__).stem, classifier, reports[0], given.out)
    return reports


if __name__ == "__main__":
    main()
