"""Read handwritten digits row by row: ``python examples/digits.py``.

A picture of 8 x 8 pixels is a sequence of 8 rows, from top to bottom, of 8 numbers each. The 1,797 pictures come with
scikit-learn; a fifth of them is held out for the test.

The settings were chosen by the mean accuracy of a cross-validation on the other four fifths, without the test pictures.
``--choose`` repeats this.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _show import choose, options, show, train_and_test
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

from myrnn import SequenceClassifier
from myrnn.evaluation import Report

# What --choose tries: every combination.
CANDIDATES = {"cell": ["rnn", "gru"], "learning_rate": [0.003, 0.01], "standardize": [True, False]}


def load() -> list[np.ndarray]:
    """Return training and test pictures, (N, 8, 8), and the digits of both, (N,)."""
    digits = load_digits()
    return train_test_split(digits.images, digits.target, test_size=0.2, stratify=digits.target, random_state=0)


def make_classifier(seed: int) -> SequenceClassifier:
    """Return the classifier that the cross-validation chose."""
    return SequenceClassifier(
        "gru",
        dim_recurrent=64,
        learning_rate=0.01,
        schedule="cosine",
        max_epochs=30,
        validation_fraction=0,
        random_state=seed,
    )


def main(arguments: list[str] | None = None) -> list[Report]:
    """Train and test, and return a report for each seed."""
    given = options(__doc__.splitlines()[0], arguments, seeds=5)
    X, X_test, y, y_test = load()
    if given.choose:
        choose(make_classifier(0), CANDIDATES, (X, y), StratifiedKFold(5, shuffle=True, random_state=0))
        return []
    classifier, reports = train_and_test(make_classifier, (X, y), (X_test, y_test), given.seeds)
    show(Path(__file__).stem, classifier, reports[0], given.out)
    return reports


if __name__ == "__main__":
    main()
