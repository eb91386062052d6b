"""A classifier in scikit-learn: scikit-learn's checks, and combinations."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from myrnn import SequenceClassifier, Sequences
from myrnn.data import read_sequences

SMALL = {"dim_recurrent": 8, "max_epochs": 60, "random_state": 0}

# scikit-learn's checks that do not hold, and why. The guide for your own sequences has the same list.
ANY_WIDTH = (
    "The classifier SequenceClassifier does not raise an error when the number of features in predict is different "
    "from the number of features in fit."
)
EXCEPTIONS = {
    # A list of lists contains sequences of different lengths, so fewer steps than in the fit are allowed.
    "check_classifiers_train": ANY_WIDTH,
}


class Deep(SequenceClassifier):
    """Reads a table (N, C) as sequences (N, C, 1): for checks that only know tables."""

    def fit(self, X, y):
        table = validate_data(clone(self), X, reset=True)
        super().fit(table[:, :, np.newaxis], y)
        validate_data(self, X, reset=True)
        return self

    def predict(self, X):
        return super().predict(self._deep(X))

    def predict_proba(self, X):
        return super().predict_proba(self._deep(X))

    def score(self, X, y, sample_weight=None):
        return super().score(self._deep(X), y, sample_weight)

    def _deep(self, X):
        return validate_data(self, X, reset=False)[:, :, np.newaxis] if hasattr(self, "model_") else X


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "exceptions"), [(SequenceClassifier, EXCEPTIONS), (Deep, {})], ids=["2-D", "3-D"])
@pytest.mark.long
def test_scikit_learns_own_checks(kind, exceptions):
    few = {**SMALL, "max_epochs": 20, "learning_rate": 0.03}
    results = check_estimator(kind(**few), on_fail=None, on_skip=None)
    # Array API input is only checked if the environment requests it.
    assert {result["check_name"] for result in results if result["status"] == "skipped"} <= {"check_array_api_input"}
    failed = {result["check_name"]: str(result["exception"]) for result in results if result["status"] == "failed"}
    assert failed == exceptions
    assert sum(result["status"] == "passed" for result in results) > 45


# --- within others


@pytest.fixture(scope="module")
def words():
    """Words, and their last letters."""
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(list("ab"), size=rng.integers(1, 9))) for _ in range(60)]
    return X, np.array([word[-1] for word in X])


@pytest.fixture
def classifier():
    return SequenceClassifier(**{**SMALL, "max_epochs": 20, "learning_rate": 0.03})


def as_sequences(words):
    codes = np.frombuffer("".join(words).encode(), dtype=np.uint8).astype(int) - 97
    return Sequences(codes, np.cumsum([0, *map(len, words)]), np.zeros(len(words), dtype=int), 2)


FORMS = {
    "strings": list,
    "array": np.array,
    "series": pd.Series,
    "tokens": lambda words: [list(word) for word in words],
    "integers": lambda words: [[ord(letter) for letter in word] for word in words],
    "vectors": lambda words: [np.array([[letter == "a", letter == "b"] for letter in word], float) for word in words],
    "Sequences": as_sequences,
}


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_cross_validation(form, words, classifier):
    X, y = words
    scores = cross_val_score(classifier, FORMS[form](X), y, cv=3, error_score="raise")
    assert scores.min() > 0.9


@pytest.mark.long
def test_cross_validation_of_a_file(words, classifier, tmp_path):
    X, y = words
    pd.DataFrame({"sequence": X, "label": y}).to_csv(tmp_path / "words.csv", index=False)
    data = read_sequences(tmp_path / "words.csv", tokenize="characters")
    assert cross_val_score(classifier, data.sequences, data.labels, cv=3, error_score="raise").min() > 0.9


def test_a_pipeline(words, classifier):
    X, y = words
    spelled = FunctionTransformer(FORMS["tokens"])
    pipeline = make_pipeline(spelled, classifier)
    pipeline.set_params(sequenceclassifier__dim_recurrent=9).fit(X, y)
    assert pipeline[-1].model_.fc_h2h.weight.shape == (9, 9)
    assert pipeline.score(X, y) > 0.9
    assert pipeline.classes_.tolist() == ["a", "b"]


@pytest.mark.long
def test_a_search_in_two_processes(words, classifier):
    X, y = words
    search = GridSearchCV(classifier, {"dim_recurrent": [4, 8]}, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    alone = GridSearchCV(classifier, {"dim_recurrent": [4, 8]}, cv=2, error_score="raise").fit(X, y)
    assert np.array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert np.array_equal(search.predict_proba(X), alone.predict_proba(X))


@pytest.mark.long
def test_probabilities_calibrated_by_scikit_learn(words, classifier):
    X, y = words
    calibrated = CalibratedClassifierCV(classifier, cv=2).fit(X, y)
    assert calibrated.score(X, y) > 0.9
    assert cross_val_predict(classifier, X, y, cv=2, method="predict_proba").shape == (60, 2)


def test_a_clone_has_only_the_settings(words, classifier):
    fresh = clone(classifier.fit(*words))
    assert fresh.get_params() == classifier.get_params()
    assert not [name for name in vars(fresh) if name.endswith("_")]
    with pytest.raises(ValueError, match=r"^Invalid parameter 'units' for estimator SequenceClassifier"):
        fresh.set_params(units=3)


# --- as bytes


@pytest.mark.parametrize("engine", ["native", pytest.param("mygrad", marks=pytest.mark.long)])
@pytest.mark.parametrize("cell", ["rnn", pytest.param("gru", marks=pytest.mark.long)])
def test_a_pickled_classifier_predicts_the_same(cell, engine, words, classifier):
    X, y = words
    classifier.set_params(cell=cell, engine=engine, max_epochs=2).fit(X, y)
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert np.array_equal(again.fit(X, y).predict_proba(X), classifier.predict_proba(X))


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_memory_mapped_classifier_predicts_the_same(mode, words, classifier, tmp_path):
    X, y = words
    joblib.dump(classifier.set_params(max_epochs=2).fit(X, y), tmp_path / "saved")
    with warnings.catch_warnings():
        # For example those of a model that runs op by op.
        warnings.simplefilter("error")
        again = joblib.load(tmp_path / "saved", mmap_mode=mode)
        assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))
