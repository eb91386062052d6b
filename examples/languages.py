"""Tell ten languages apart, letter by letter: ``python examples/languages.py``.

The sequences are the translated messages of Django's web pages and forms, and come with Django (``pip install
'.[examples]'``): 1 to 80 characters each, more than a third of them without a space. A fifth of the messages is
held out for the test, each with all its translations: if the Danish message is in the training data, the Norwegian one
is not in the test.

The network is compared with two logistic regressions: one counts the words of a message, the other its sequences of one
to three characters.

The settings were chosen by the mean accuracy of a cross-validation on the other four fifths, which also keeps the
translations of a message together. ``--choose`` repeats this.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import django
import numpy as np
from _show import CONSOLE, Labelled, accuracy, choose, options, show, train_and_test
from babel.messages.mofile import read_mo
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline

from myrnn import SequenceClassifier, classification_report
from myrnn.evaluation import Report

LANGUAGES = {
    "ca": "Catalan",
    "da": "Danish",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nb": "Norwegian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "sv": "Swedish",
}
LONGEST = 80

# Parts of a message that are not translated: %(names)s, %s, {names}, HTML tags, &entities; and addresses.
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{[^{}]*\}|<[^<>]*>|&\w+;|https?://\S+")

# What --choose tries. Other settings are those of make_classifier.
CANDIDATES = [
    {"layers": [1], "weight_decay": [0.0, 0.03, 0.1]},
    {"layers": [1], "learning_rate": [0.003]},
    {"layers": [1], "dim_embedding": [16, 32]},
    {"layers": [1], "dim_recurrent": [128]},
    {"layers": [2]},
]


class Messages(NamedTuple):
    """N messages, their languages, and their English originals."""

    texts: list[str]
    languages: np.ndarray
    english: list[str]


def tidy(message: str) -> str:
    """Return a message without its placeholders, on one line."""
    return " ".join(PLACEHOLDER.sub(" ", message).split())


def read(language: str) -> dict[str, str]:
    """Return the English original of each message in one language, without messages that are not translated."""
    found: dict[str, str] = {}
    for path in sorted(Path(django.__file__).parent.glob(f"**/locale/{language}/LC_MESSAGES/django.mo")):
        with path.open("rb") as file:
            catalog = read_mo(file)
        for message in catalog:
            # The header has no original; a message with plurals has several forms.
            if message.id and isinstance(message.id, str):
                text = tidy(message.string)
                if text != tidy(message.id) and 1 <= len(text) <= LONGEST:
                    found.setdefault(text, message.id)
    return found


def load() -> tuple[Messages, Messages]:
    """Return the training and the test messages: none belongs to two languages, and no original is in both parts."""
    found = {language: read(language) for language in LANGUAGES}
    times = Counter(text for messages in found.values() for text in messages)
    rows = [
        (text, LANGUAGES[language], english)
        for language, messages in found.items()
        for text, english in messages.items()
        if times[text] == 1
    ]
    split = GroupShuffleSplit(1, test_size=0.2, random_state=0)
    parts = next(split.split(rows, groups=[english for _, _, english in rows]))
    columns = [zip(*(rows[place] for place in part), strict=True) for part in parts]
    training, test = (
        Messages(list(texts), np.array(languages), list(english)) for texts, languages, english in columns
    )
    return training, test


def make_classifier(seed: int) -> SequenceClassifier:
    """Return the classifier that the cross-validation chose."""
    return SequenceClassifier(
        "gru",
        dim_recurrent=64,
        layers=2,
        dim_embedding=None,
        learning_rate=0.01,
        schedule="cosine",
        weight_decay=0.03,
        max_epochs=20,
        tokenize="characters",
        validation_fraction=0,
        random_state=seed,
    )


def baselines() -> dict[str, Pipeline]:
    """Return two baselines: a logistic regression on the words of a message, and one on its characters."""
    features = {
        "bag of words": CountVectorizer(),
        "sequences of 1 to 3 characters": CountVectorizer(analyzer="char", ngram_range=(1, 3)),
    }
    return {name: make_pipeline(counts, LogisticRegression(max_iter=1000)) for name, counts in features.items()}


def compare(training: Labelled, test: Labelled) -> dict[str, Report]:
    """Train the baselines, print their test accuracies, and return their reports."""
    X, y = test
    reports = {}
    for name, baseline in baselines().items():
        baseline.fit(*training)
        reports[name] = classification_report(y, baseline.predict_proba(X), baseline.classes_, [len(x) for x in X])
        CONSOLE.print(f"{name}, logistic regression: {accuracy(reports[name])}", soft_wrap=True)
    majority = reports[name].confusion.majority
    CONSOLE.print(f"always the most frequent language: test accuracy {majority:.2%}", soft_wrap=True)
    return reports


def main(arguments: list[str] | None = None) -> list[Report]:
    """Train and test, and return a report for each seed."""
    given = options(__doc__.splitlines()[0], arguments, seeds=5)
    training, test = load()
    if given.choose:
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        choose(make_classifier(0), CANDIDATES, training[:2], folds, groups=training.english)
        return []
    classifier, reports = train_and_test(make_classifier, training[:2], test[:2], given.seeds)
    compare(training[:2], test[:2])
    show(Path(__file__).stem, classifier, reports[0], given.out)
    return reports


if __name__ == "__main__":
    main()
