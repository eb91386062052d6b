import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from myrnn import SequenceClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X.reshape(-1, 8, 8), y, test_size=0.25, random_state=0, stratify=y)


def test_digits_read_row_by_row(digits):
    X, X_test, y, y_test = digits
    classifier = SequenceClassifier("gru", random_state=0).fit(X, y)
    assert classifier.score(X_test, y_test) >= 0.96
    assert classifier.history_["validation_loss"][classifier.best_epoch_ - 1] == min(
        classifier.history_["validation_loss"]
    )


def test_saved_and_loaded_it_says_the_same(tmp_path, digits):
    X, X_test, y, _ = digits
    classifier = SequenceClassifier("gru", max_epochs=2, random_state=0).fit(X, y)
    classifier.save(tmp_path / "saved")
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert np.array_equal(loaded.predict_proba(X_test), classifier.predict_proba(X_test))
    assert loaded.get_params() == classifier.get_params()
