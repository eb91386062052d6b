"""Outputs that are infinite for several classes name no class: they are refused, or count as wrong."""

import mygrad as mg
import numpy as np
import pytest

import myrnn
from myrnn import LanguageModel, SequenceClassifier, Sequences, SequenceTagger
from myrnn.errors import NotFinite

WORDS = ["ab", "ba", "abba", "b"] * 5
SETTINGS = {"dim_recurrent": 2, "max_epochs": 1, "validation_fraction": 0, "engine": "mygrad", "random_state": 0}
LOST = pytest.mark.filterwarnings("ignore:.*not finite")


class Certain:
    """A network that adds numbers to its outputs: infinite ones are larger than all others, and equal to each other."""

    rows = slice(None)

    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.parameters = (mg.tensor(np.eye(dim_input, dim_output, dtype=np.float32)),)
        self.added = np.zeros(dim_output, dtype=np.float32)

    def __call__(self, x):
        return mg.matmul(x, self.parameters[0])[self.rows] + self.added


class Last(Certain):
    rows = slice(-1, None)


def infinite(model):
    """Return the model, which is infinitely sure of each of its first two classes."""
    model.added[:2] = np.inf
    return model


def made_infinite(estimator):
    infinite(estimator.model_)
    return estimator


@LOST
def test_a_classifier():
    first = [0] * len(WORDS)
    found = SequenceClassifier(Last, **SETTINGS).fit(WORDS, [0, 1] * 10)
    assert found.score(["b"], [0]) + found.score(["b"], [1]) == 1
    made_infinite(found)
    assert found.score(WORDS, first) == 0
    report = found.report(WORDS, first)
    assert (report.accuracy, report.not_finite) == (0, len(WORDS))
    for use in (found.predict, found.predict_proba):
        with pytest.raises(NotFinite):
            use(WORDS)


@LOST
def test_a_tagger():
    found = made_infinite(SequenceTagger(Certain, **SETTINGS).fit(WORDS, WORDS))
    tags = [["a"] * len(word) for word in WORDS]
    report = found.report(WORDS, tags)
    assert report.accuracy == 0 and report.not_finite == sum(map(len, WORDS))
    for use in (found.predict, lambda X: found.score(X, tags)):
        with pytest.raises(NotFinite):
            use(WORDS)


@LOST
def test_a_language_model():
    found = made_infinite(LanguageModel(Certain, **SETTINGS, truncate=None).fit("ab" * 20))
    report = found.report("a" * 9)
    assert (report.accuracy, report.impossible, report.not_finite) == (0, 8, 8)
    with pytest.raises(NotFinite):
        found.score("a" * 9)


@LOST
@pytest.mark.parametrize("per_step", [False, True])
def test_an_evaluation(per_step):
    model = infinite((Certain if per_step else Last)(3, 1, 3))
    sequences = Sequences([0, 1, 2, 0], [0, 1, 4], np.zeros(4 if per_step else 2, dtype=int), per_step=per_step)
    report = myrnn.evaluate(model, sequences, engine="mygrad")
    assert (report.correct.sum(), report.not_finite.sum()) == (0, len(sequences.targets))
