"""Folders that earlier versions wrote: classifiers, and runs on data with a classifier in a separate folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from myrnn import SequenceClassifier
from myrnn.cli import main
from myrnn.errors import InvalidArgument, RunError
from myrnn.runs import compare_runs, list_runs, load_run

FORMER = Path(__file__).parent / "golden" / "former"
EXPECTED = json.loads((FORMER / "expected.json").read_text())
X = [["to", "be"], ["or"], ["not", "to", "be"], ["be", "be"]] * 3


def test_an_old_classifier_loads_unchanged():
    classifier = SequenceClassifier.load(FORMER / "classifier")
    assert (classifier.activation, classifier.class_weight) == ("tanh", {1: 2.0, 2: 1.0})
    assert classifier.classes_.tolist() == [1, 2]
    np.testing.assert_allclose(classifier.predict_proba(X), EXPECTED["classifier"], rtol=1e-5)
    assert classifier.history_["epoch"].tolist() == [1, 2]


def test_an_old_run_on_data_loads_unchanged(tmp_path, capsys):
    run = load_run(FORMER / "data-run")
    assert (run.settings["model"]["layers"], run.experiment.model.name) == (2, "gru")
    found = run.fitted.probabilities([["good", "film"], ["bad"], []])
    np.testing.assert_allclose(found, EXPECTED["data-run"], rtol=1e-5)
    again = SequenceClassifier.load(FORMER / "data-run")
    assert np.array_equal(again.predict_proba([["good", "film"], ["bad"], []]), found)
    shutil.copytree(FORMER / "data-run", tmp_path / "run")
    (summary,) = list_runs(tmp_path)
    assert (summary.state, summary.model, summary.epochs) == ("whole", "gru 2x3", 3)
    assert summary.tested == run.report["evaluation"]["accuracy"]
    assert compare_runs(FORMER / "data-run", tmp_path / "run").weight_distance == 0
    assert main(["predict", str(tmp_path / "run"), "good film", "bad"]) == 0
    assert main(["train", "--resume", str(tmp_path / "run"), "--max-epochs=9"]) == 2
    assert "has no state of its training to resume from" in capsys.readouterr().err


def test_a_classifier_may_be_in_a_run_that_is_given():
    inner = SequenceClassifier.load(FORMER / "data-run" / "classifier")
    assert (
        inner.predict(["good film"]).tolist()
        == SequenceClassifier.load(FORMER / "data-run").predict(["good film"]).tolist()
    )


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "classifier.json",
            lambda text: text.replace('"rnn"', '"rnm"', 1),
            "classifier.json is damaged or was changed",
        ),
        ("history.json", lambda text: text[:-3], "history.json is cut short"),
        ("encoding.json", lambda text: text.replace("to", "tö"), "encoding.json is too long"),
    ],
)
def test_a_damaged_old_folder_is_refused(tmp_path, file, change, message):
    folder = tmp_path / "classifier"
    shutil.copytree(FORMER / "classifier", folder)
    (folder / file).write_text(change((folder / file).read_text()), encoding="utf-8")
    with pytest.raises(RunError, match=message):
        SequenceClassifier.load(folder)


def test_a_run_on_a_task_is_not_a_classifier(tmp_path):
    small = ("--dim-recurrent=3", "--iterations=20", "--engine=mygrad", "--samples=20", "--quiet")
    assert main(["train", *small, "--out", str(tmp_path / "run")]) == 0
    with pytest.raises(InvalidArgument, match="was trained on a task"):
        SequenceClassifier.load(tmp_path / "run")
