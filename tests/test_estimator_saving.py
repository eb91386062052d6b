"""Classifiers in folders: what is loaded, and what is refused."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marks import most_are_long
from myrnn import RNN, SequenceClassifier
from myrnn.errors import InvalidArgument, RunError
from myrnn.models.stacked import CELLS
from myrnn.storage import seal

SMALL = {"dim_recurrent": 3, "max_epochs": 2, "engine": "mygrad", "random_state": 0}
FILES = ("settings.json", "encoding.json", "history.csv", "model.safetensors", "report.json")
WORDS = ["ab" * (index % 5) + "c" * (index % 2) for index in range(12)]
ROWS = [np.random.default_rng(index).normal(size=(index % 4, 2)) for index in range(12)]
LABELS = ["yes", "no"] * 6

EXAMPLES = {
    "characters": (WORDS, {}),
    "surrogates": ([word + "\ud800\n\U0001f600" for word in WORDS], {"cell": "gru", "tokenize": "characters"}),
    "words": ([list(word) for word in WORDS], {"cell": "lstm", "layers": 2, "dim_embedding": 2}),
    "integers": ([[ord(letter) - 2**40 for letter in word] for word in WORDS], {"class_weight": {"yes": 2}}),
    "numbers": (ROWS, {"class_weight": "balanced", "learning_rate": np.float32(0.01)}),
    "table": (np.arange(36.0).reshape(12, 3), {"random_state": np.random.RandomState(0), "standardize": False}),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "classifier"
    return SequenceClassifier(**SMALL).fit(WORDS, LABELS).save(folder)


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


@pytest.mark.parametrize("example", most_are_long(EXAMPLES, 3))
def test_a_saved_classifier_is_loaded_unchanged(example, tmp_path):
    X, settings = EXAMPLES[example]
    classifier = SequenceClassifier(**{**SMALL, **settings}).fit(X, LABELS)
    assert classifier.save(tmp_path / "saved") == tmp_path / "saved"
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == sorted(FILES)
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.predict(X).tolist() == classifier.predict(X).tolist()
    assert loaded.encoder_ == classifier.encoder_
    assert loaded.best_epoch_ == classifier.best_epoch_
    assert {name: values.tolist() for name, values in loaded.history_.items()} == {
        name: values.tolist() for name, values in classifier.history_.items()
    }
    assert getattr(loaded, "n_features_in_", None) == getattr(classifier, "n_features_in_", None)
    expected = classifier.get_params()
    if example == "table":
        # The state of a generator is not saved.
        expected["random_state"] = None
    assert loaded.get_params() == expected
    # It can be trained again, and saved again.
    assert loaded.fit(X, LABELS).save(tmp_path / "again")


def test_an_embedding_keeps_its_size(tmp_path, monkeypatch):
    classifier = SequenceClassifier("gru", **SMALL).fit(WORDS, LABELS)
    classifier.save(tmp_path / "saved")
    monkeypatch.setitem(CELLS, "gru", replace(CELLS["gru"], dim_embedding=5))
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert np.array_equal(loaded.predict_proba(WORDS), classifier.predict_proba(WORDS))
    assert loaded.get_params()["dim_embedding"] == "auto"


class Mine(RNN):
    """A user-defined cell."""


def test_a_cell_made_by_a_function_is_saved_as_its_result(tmp_path):
    classifier = SequenceClassifier(partial(RNN, activation="tanh"), **SMALL).fit(ROWS, LABELS)
    loaded = SequenceClassifier.load(classifier.save(tmp_path / "saved"))
    assert np.array_equal(loaded.predict_proba(ROWS), classifier.predict_proba(ROWS))


def test_a_user_defined_cell_must_be_passed_again(tmp_path):
    cell = partial(Mine, activation="tanh")
    classifier = SequenceClassifier(cell, **SMALL).fit(ROWS, LABELS)
    classifier.save(tmp_path / "saved")
    loaded = SequenceClassifier.load(tmp_path / "saved", cell=cell)
    assert np.array_equal(loaded.predict_proba(ROWS), classifier.predict_proba(ROWS))
    told = f"{tmp_path / 'saved'} holds the weights of a user-defined cell: give its class or function as cell="
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        SequenceClassifier.load(tmp_path / "saved")
    with pytest.raises(RunError, match=r"model\.safetensors"):
        SequenceClassifier.load(tmp_path / "saved", cell=lambda *dims: Mine(dims[0], dims[1] + 1, dims[2]))


def test_a_named_cell_must_not_be_passed_again(saved):
    with pytest.raises(InvalidArgument, match=r"holds a built-in cell: leave out cell=$"):
        SequenceClassifier.load(saved, cell=RNN)


def test_nothing_is_overwritten(saved, copy):
    with pytest.raises(RunError, match=r"is not empty: choose another folder, nothing is overwritten$"):
        SequenceClassifier.load(saved).save(copy)


def test_a_full_disk_leaves_nothing(saved, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    loaded = SequenceClassifier.load(saved)
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(RunError, match=r"^cannot write the run folder .*: No space left on device$"):
        loaded.save(tmp_path / "new")
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []


# --- what is refused


def index_with(folder, **changes):
    """Change values of the index, with a valid hash."""
    path = folder / "settings.json"
    path.write_text(json.dumps(seal({**json.loads(path.read_text()), **changes})))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format_version": 4}, "FOLDER was written by a newer MyRNN, in format 4; this one reads up to 1"),
        ({"format_version": 0}, "FOLDER: settings.json has no valid 'format_version': 0"),
        ({"format": "myrnn sweep"}, "FOLDER: settings.json is not that of a run: 'format' must be 'myrnn run'"),
        ({"model": {}}, None),
        ({"model": 3}, "FOLDER: settings.json cannot be used: the model must have settings by name, not 3"),
        ({"estimator": {"settings": {}}}, None),
        ({"estimator": {"settings": 3}}, None),
        ({"estimator": {"table": "no"}}, None),
        ({"estimator": 3}, "FOLDER: settings.json cannot be used: 'estimator' must be an object"),
        ({"data": {"tokenize": 3}}, None),
        ({"training": {"seed": -1}}, "FOLDER: settings.json cannot be used: seed must be at least 0, not -1"),
    ],
)
def test_an_invalid_index_is_refused(changes, told, copy):
    index_with(copy, **changes)
    with pytest.raises(RunError) as caught:
        SequenceClassifier.load(copy)
    assert "\n" not in str(caught.value)
    if told is not None:
        assert str(caught.value) == told.replace("FOLDER", str(copy))


def test_a_setting_of_another_type_is_refused(copy):
    model = json.loads((copy / "settings.json").read_text())["model"]
    for name, value in [
        ("dim_recurrent", "3"),
        ("layers", 0),
        ("layers", 3),
        ("dim_recurrent", 10**12),
        ("dim_input", 10**9),
        ("name", "gr"),
        ("name", ["rnn"]),
    ]:
        index_with(copy, model={**model, name: value})
        with pytest.raises(RunError):
            SequenceClassifier.load(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_cut_short(name, copy):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-2])
    with pytest.raises(RunError, match=re.escape(name)):
        SequenceClassifier.load(copy)
    (copy / name).unlink()
    with pytest.raises(RunError, match=f"{re.escape(name)} is missing"):
        SequenceClassifier.load(copy)


def test_a_folder_without_a_classifier(tmp_path):
    with pytest.raises(RunError, match=r"^there is no run folder .*nowhere$"):
        SequenceClassifier.load(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"is not a whole run: settings.json is missing, which is written last$"):
        SequenceClassifier.load(tmp_path)


@given(st.sampled_from(FILES), st.data())
def test_any_damage_is_detected(saved, tmp_path_factory, name, data):
    folder = shutil.copytree(saved, tmp_path_factory.mktemp("damaged") / "copy")
    content = bytearray((folder / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)
    try:
        SequenceClassifier.load(folder)
    except RunError as error:
        assert "\n" not in str(error)
    else:
        # White space between the values of the index does not matter.
        assert name == "settings.json"
        assert json.loads(content) == json.loads((saved / name).read_bytes())
