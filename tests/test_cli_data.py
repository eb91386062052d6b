import csv
import gzip
import io
import json
import os
import re
import shutil
import signal
import sys
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

import myrnn
from marks import the_rest_is_long
from myrnn import Experiment, SequenceClassifier, plots
from myrnn.cli import main
from myrnn.data import read_sequences
from myrnn.errors import InvalidArgument, NotFinite, RunError
from myrnn.evaluation import classification_report
from myrnn.runs import Run, load_run, reports, training, work
from myrnn.runs import saved as written
from myrnn.runs.folder import RUN, UNFINISHED
from myrnn.runs.prepare import prepare
from myrnn.training import Validation
from names import CELLS

AGAIN = r"; resume with: myrnn train --resume run"
SAVED = r"; iteration \d+ is saved, resume with: myrnn train --resume run"
SMALL = ("--dim-recurrent=4", "--max-epochs=2", "--engine=mygrad")
TRAIN = "sequence,label\n" + "good film,pos\nbad,neg\na bad film,neg\n,neg\nfine,pos\n" * 5
TEST = "sequence,label\ngood,pos\nodd film,neg\nbad bad,neg\nfine,other\n,neg\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with files of data, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("train.csv").write_text(TRAIN)
    Path("test.csv").write_text(TEST)
    return tmp_path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run on words for tests that only read it."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "train.csv").write_text(TRAIN)
    line = ("--data", str(folder / "train.csv"), *SMALL, "--out", str(folder / "run"), "--quiet")
    assert main(["train", *line]) == 0
    return folder / "run"


def left():
    """Return the names of everything in the working folder except the data files."""
    return {path.name for path in Path().iterdir()} - {"train.csv", "test.csv"}


# --- train


@pytest.mark.filterwarnings("default::UserWarning")
def test_train_reads_trains_tests_and_writes(here, drawn_figures, capsys):
    assert main(["train", "--data=train.csv", "--test=test.csv", *SMALL, "--model=gru", "--out=run"]) == 0
    out, err = capsys.readouterr()
    assert "data        train.csv: 25 sequences of length 0 to 3, 5 different words\n" in out
    assert "            neg 60.0%, pos 40.0%\n" in out
    assert "test        test.csv: 4 sequences of length 0 to 2, 5 different words\n" in out
    assert "text        read as words, separated by white space (--tokenize characters for characters)\n" in out
    assert re.search(r"^model       GRU, 4 units, [\d,]+ parameters, embedding of 32$", out, re.MULTILINE)
    assert "optimizer   Adam, learning rate 0.003\n" in out
    assert "training    at most 2 epochs in batches of 32, 10% kept for validation, seed 0\n" in out
    assert "run folder  run\n" in out
    assert max(map(len, out.split("Classes, %")[1].split("run folder")[0].splitlines())) <= 80
    assert "training 2/2 (100%)" in err
    warnings = [line for line in err.splitlines() if "warning" in line]
    assert warnings == [
        "myrnn: warning: test.csv: 1 of 5 sequences left out, of 1 class that the training does not know: 'other'",
        "myrnn: warning: 1 symbol was not in the training and counts as unknown: 'odd' (20.0% of all steps)",
    ]
    assert {path.name for path in Path("run").iterdir()} == {
        "settings.json",
        "model.safetensors",
        "encoding.json",
        "checkpoints",
        "report.json",
        "history.csv",
        "classes.csv",
        *(f"{name}.{ending}" for name in FIGURES for ending in ("svg", "png")),
    }


FIGURES = ("training", "confusion", "accuracy_by_length", "calibration")


@pytest.mark.filterwarnings("default::UserWarning")
def test_the_command_does_what_the_library_does(here, capsys):
    line = (
        "--model=rnn:layers=2,dim_embedding=3",
        "--batch-size=4",
        "--learning-rate=0.01",
        "--class-weight=balanced",
        "--seed=3",
    )
    assert main(["train", "--data=train.csv", "--test=test.csv", *SMALL, *line, "--out=run"]) == 0
    out = capsys.readouterr().out
    train, test = read_sequences("train.csv"), read_sequences("test.csv")
    classifier = SequenceClassifier(
        dim_recurrent=4,
        max_epochs=2,
        engine="mygrad",
        layers=2,
        dim_embedding=3,
        batch_size=4,
        learning_rate=0.01,
        class_weight="balanced",
        random_state=3,
    ).fit(train.sequences, train.labels)
    probabilities = classifier.predict_proba(test.sequences)
    known = test.labels != "other"  # the others are left out
    report = classification_report(test.labels[known], probabilities[known], classifier.classes_, test.lengths[known])
    numbers = json.loads(Path("run/report.json").read_text())
    assert {name: numbers["tests"]["test"][name] for name in report.numbers()} == report.numbers()
    training = numbers["training"]
    assert (training["sequences"], training["classes"], training["longest"]) == (25, {"neg": 15, "pos": 10}, 3)
    best = classifier.best_epoch_
    assert (training["best_epoch"], training["loss"]) == (best, classifier.history_["loss"][best - 1])
    assert training["validation_loss"] == classifier.history_["validation_loss"][best - 1]
    _, low, high = report.scores["accuracy"]
    assert f"accuracy    {report.accuracy:.2%} ({low:.2%} to {high:.2%})\n" in out
    told = f"base rate   {report.base_rate:.2%}, by always giving the most frequent class of a length\n"
    assert f"{told}            too high, by chance: there are few sequences of each length\n" in out
    assert f"majority    {report.confusion.majority:.2%}, by always predicting the most frequent class\n" in out
    assert f"balanced    accuracy {report.balanced_accuracy:.2%}, macro F1 {report.macro_f1:.4f}\n" in out
    assert f"calibrated  to within {report.calibration.expected_error:.2%}; " in out
    loaded = SequenceClassifier.load("run")
    assert np.array_equal(loaded.predict_proba(test.sequences), probabilities)
    with open("run/history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == classifier.history_["loss"].tolist()
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy"]


@pytest.mark.usefixtures("in_python")
def test_training_and_evaluation_tell_the_same_base_rate(here, capsys):
    rows = [(("ab" * 5)[:length], "short" if length <= 5 else "long") for length in range(1, 11)] * 10
    for name in ("learned.csv", "tested.csv"):
        Path(name).write_text("sequence,label\n" + "".join(f"{word},{label}\n" for word, label in rows))
    assert main(["train", "--data=learned.csv", "--test=tested.csv", *SMALL, "--out=run"]) == 0
    line = "base rate   100.00%, by always giving the most frequent class of a length\n"
    assert line in capsys.readouterr().out
    assert json.loads(Path("run/report.json").read_text())["tests"]["tested"]["base_rate"] == 1
    assert main(["evaluate", "run"]) == 0
    assert line in capsys.readouterr().out


def test_an_embedding_of_0_is_one_hot(here, capsys):
    line = ("--model=gru:dim_embedding=0", "--max-epochs=1", "--dim-recurrent=2", "--engine=mygrad")
    assert main(["train", "--data=train.csv", *line, "--out=run"]) == 0
    assert re.search(r"^model       GRU, 2 units, [\d,]+ parameters$", capsys.readouterr().out, re.MULTILINE)
    assert SequenceClassifier.load("run").dim_embedding is None


def test_without_a_test(here, capsys):
    assert main(["train", "--data=train.csv", *SMALL, "--validation-fraction=0"]) == 0
    out = capsys.readouterr().out
    assert "training    at most 2 epochs in batches of 32, seed 0\n" in out
    assert "test        none: --test FILE tests the network on sequences that it has not seen\n" in out
    assert "accuracy by length" not in out.lower()
    (folder,) = Path("runs").iterdir()
    assert re.fullmatch(r"train-\d{8}-\d{6}", folder.name)
    assert set(json.loads((folder / "report.json").read_text())) == {"training"}
    assert not (folder / "confusion.svg").exists()


def test_a_compressed_file_is_one_without_its_compression(here, capsys):
    Path("train.csv.gz").write_bytes(gzip.compress(TRAIN.encode()))
    assert main(["train", "--data=train.csv.gz", *SMALL, "--quiet"]) == 0
    assert re.fullmatch(r"runs/train-\d{8}-\d{6}\n", capsys.readouterr().out)
    assert main(["train", "--data=s.txt.gz", "--quiet"]) == 2
    assert capsys.readouterr().err == "myrnn: s.txt.gz is plain text: give its labels, one per line, with --labels\n"


def test_quiet_only_prints_the_run_folder(here, capsys):
    assert main(["train", "--data=train.csv", "--test=train.csv", *SMALL, "--out=run", "--quiet"]) == 0
    assert capsys.readouterr() == ("run\n", "")


def test_characters_of_text_files(here, capsys):
    Path("s.txt").write_text("ab\n\nba b\n" * 4)
    Path("l.txt").write_text("1\n2\n10\n" * 4)
    files = ("--data=s.txt", "--labels=l.txt", "--test=s.txt", "--test-labels=l.txt", "--tokenize=characters")
    assert main(["train", *files, *SMALL, "--out=run"]) == 0
    out = capsys.readouterr().out
    assert "data        s.txt: 12 sequences of length 0 to 4, 3 different characters\n" in out
    assert "text        read as characters\n" in out
    assert re.search(r"^class +1 +2 +10$", out, re.MULTILINE)
    assert main(["predict", "run", "ab", "ba b", "", "a"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    loaded = SequenceClassifier.load("run")
    assert (loaded.tokenize, loaded.tokenize_) == ("characters", "characters")
    probabilities = loaded.predict_proba(["ab", "ba b", "", "a"])
    for line, row in zip(rows, probabilities, strict=False):
        assert line.split()[-2:] == [loaded.classes_[row.argmax()], f"{row.max():.4f}"]


def test_text_without_spaces_is_read_as_characters(here, capsys):
    Path("words.csv").write_text("sequence,label\n" + "abba,x\ncab,y\n" * 6)
    Path("test2.csv").write_text("sequence,label\na b,x\n")
    Path("known.csv").write_text("sequence\nab\nba\n")
    assert main(["train", "--data=words.csv", *SMALL, "--out=run"]) == 0
    out = capsys.readouterr().out
    assert "data        words.csv: 12 sequences of length 3 to 4, 3 different characters\n" in out
    assert (
        "text        read as characters (no text has a space between words; --tokenize words for whole words)\n" in out
    )
    # From then on it is read in the same way, whatever a text contains.
    with pytest.warns(UserWarning, match=re.escape("1 symbol was not in the training and counts as unknown: ' '")):
        loaded = SequenceClassifier.load("run")
        assert loaded.predict_proba(["a b"]).shape == (1, 2)
    assert main(["predict", "run", "ab", "ba"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert main(["predict", "run", "--data=known.csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row[1] for row in table] == [row["label"] for row in rows]
    assert SequenceClassifier.load("run").tokenize_ == "characters"


def test_columns_and_the_delimiter_are_chosen(here, capsys):
    Path("own.csv").write_text("id;text;class\n" + '1;"good; film";x\n2;bad;y\n' * 6)
    options = ("--delimiter=;", "--text-column=text", "--label-column=class")
    assert main(["train", "--data=own.csv", "--test=own.csv", *options, *SMALL, "--out=run"]) == 0
    assert "data        own.csv: 12 sequences of length 1 to 2, 3 different words\n" in capsys.readouterr().out
    # The column and the delimiter are those of the training unless others are given.
    assert main(["predict", "run", "--data=own.csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 13
    Path("other.csv").write_text("words\nbad\n")
    assert main(["predict", "run", "--data=other.csv"]) == 2
    assert capsys.readouterr().err == (
        "myrnn: other.csv has no column 'text'; its columns are 'words': say which is the text column (--text-column)\n"
    )
    assert main(["predict", "run", "--data=other.csv", "--text-column=words"]) == 0
    Path("other.jsonl").write_text('{"text": "bad"}\n')
    assert main(["predict", "run", "--data=other.jsonl"]) == 0
    Path("comma.csv").write_text("id,text\n1,bad\n")
    assert main(["predict", "run", "--data=comma.csv", "--delimiter=,"]) == 0
    # A test in another format has no delimiter.
    Path("test.jsonl").write_text('{"text": "bad", "class": "x"}\n{"text": "good; film", "class": "y"}\n')
    assert main(["train", "--data=own.csv", "--test=test.jsonl", *options, *SMALL, "--out=mixed", "--quiet"]) == 0


def test_weights_of_classes_and_the_activation_are_chosen(here):
    options = ("--class-weight=pos=3,neg=0.5", "--model=rnn:activation=tanh,layers=2")
    assert main(["train", "--data=train.csv", *SMALL, *options, "--out=run", "--quiet"]) == 0
    classifier = SequenceClassifier.load("run")
    assert classifier.class_weight == {"pos": 3.0, "neg": 0.5}
    assert classifier.activation == "tanh"
    train = read_sequences("train.csv")
    settings = {"dim_recurrent": 4, "max_epochs": 2, "engine": "mygrad", "random_state": 0}
    same = SequenceClassifier(**settings, class_weight={"pos": 3, "neg": 0.5}, activation="tanh", layers=2)
    expected = same.fit(train.sequences, train.labels).predict_proba(train.sequences)
    assert np.array_equal(classifier.predict_proba(train.sequences), expected)


def test_an_unknown_word_is_named_once(saved, here, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["predict", str(saved), "good film", "odd film", "odd odd"]) == 0
    assert capsys.readouterr().err == (
        "myrnn: warning: 1 symbol was not in the training and counts as unknown: 'odd' (50.0% of all steps)\n"
    )


def test_vectors_and_integers_of_json_lines(here, capsys):
    lines = [{"sequence": [[1, 0.5], [2, 3]], "label": 1}, {"sequence": [[0, 1]], "label": 0}] * 6
    Path("v.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["train", "--data=v.jsonl", "--test=v.jsonl", *SMALL, "--out=run"]) == 0
    assert "data        v.jsonl: 12 sequences of length 1 to 2, 2 features\n" in capsys.readouterr().out
    assert main(["predict", "run", "--data=v.jsonl"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 13
    assert main(["predict", "run", "a"]) == 2
    assert capsys.readouterr().err == ("myrnn: run reads features, which cannot be given as text: give a file\n")
    # Whole numbers are features if those of the training were; symbols are refused.
    Path("w.jsonl").write_text('{"sequence": ["a"]}')
    assert main(["predict", "run", "--data=w.jsonl"]) == 2
    assert "w.jsonl holds lists of symbols, but features (numbers or vectors) are expected" in capsys.readouterr().err


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize(
    ("sequences", "warned"),
    [
        (("0.5 -1.25 3", "7e-3"), "numbers such as -1.25"),
        (("5 -1 3", "7"), None),
        (("0.5 -1.25 3", "x"), None),
        (("", "a"), None),
    ],
)
def test_numbers_as_text_are_symbols_and_warned_of(sequences, warned, here, capsys):
    Path("n.csv").write_text("sequence,label\n" + f"{sequences[0]},a\n{sequences[1]},b\n" * 3)
    assert main(["train", "--data=n.csv", *SMALL, "--out=run", "--quiet"]) == 0
    expected = (
        f"myrnn: warning: n.csv holds {warned}, which are symbols without size in text: features are read from lists "
        "of numbers, in JSON Lines or Parquet\n"
    )
    assert capsys.readouterr().err == (expected if warned else "")


def test_whole_numbers_are_read_as_in_training(here, capsys):
    Path("f.jsonl").write_text('{"sequence": [1, 0.5], "label": 1}\n{"sequence": [2], "label": 0}\n' * 6)
    Path("t.parquet").write_bytes(b"")
    pl.DataFrame({"sequence": [[1, 2], []], "label": [0, 1]}).write_parquet("t.parquet")
    assert main(["train", "--data=f.jsonl", "--test=t.parquet", *SMALL, "--out=run"]) == 0
    assert "test        t.parquet: 2 sequences of length 0 to 2, 1 feature\n" in capsys.readouterr().out


def test_malformed_lines_stop_or_are_counted(here, capsys):
    Path("train.csv").write_text(TRAIN + "broken\n")
    assert main(["train", "--data=train.csv", *SMALL, "--out=run"]) == 2
    assert capsys.readouterr() == (
        "",
        "myrnn: train.csv, line 27: 1 field where the first line names 2 (sequence, label)\n",
    )
    assert left() == set()
    assert main(["train", "--data=train.csv", *SMALL, "--out=run", "--skip-bad-lines"]) == 0
    assert "            skipped 1 malformed line\n" in capsys.readouterr().out
    assert json.loads(Path("run/report.json").read_text())["training"]["skipped_lines"] == 1


def test_many_classes_are_counted(here, capsys):
    Path("train.csv").write_text("sequence,label\n" + "".join(f"s{n % 9},c{n % 9}\n" for n in range(40)))
    assert main(["train", "--data=train.csv", "--test=train.csv", *SMALL, "--out=run"]) == 0
    assert "            9 classes of 4 to 5 sequences\n" in capsys.readouterr().out


@pytest.mark.filterwarnings("default::UserWarning")
def test_every_number_of_the_report_is_scikit_learns(here, capsys):
    Path("new.csv").write_text(TEST.replace("other", "pos") * 4)
    lines = Path("new.csv").read_text().splitlines()
    Path("new.csv").write_text("\n".join([lines[0], *(line for line in lines if line != lines[0])]))
    assert main(["train", "--data=train.csv", "--test=new.csv", *SMALL, "--model=gru", "--out=run", "--quiet"]) == 0
    found = json.loads(Path("run/report.json").read_text())["tests"]["new"]
    assert main(["predict", "run", "--data=new.csv", "--out=found.csv"]) == 0
    rows = pl.read_csv("found.csv")
    new = read_sequences("new.csv")
    truth, predicted, probability = new.labels, rows["label"].to_numpy(), rows["probability"].to_numpy()
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, predicted, average="macro", zero_division=0))
    assert found["confusion"]["counts"] == metrics.confusion_matrix(truth, predicted, labels=["neg", "pos"]).tolist()
    columns = metrics.precision_recall_fscore_support(truth, predicted, labels=["neg", "pos"], zero_division=0)
    told = [[row["precision"] or 0, row["recall"], row["f1"], row["total"]] for row in found["classes"]]
    assert np.allclose(np.transpose(told), columns)
    for row in found["lengths"]:
        within = (new.lengths >= row["first"]) & (new.lengths <= row["last"])
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(truth[within], predicted[within]))
        assert row["total"] == within.sum()
    right, mean = calibration_curve(truth == predicted, probability, n_bins=10, strategy="uniform")
    bins = [row for row in found["calibration"]["bins"] if row["total"]]
    assert [row["accuracy"] for row in bins] == pytest.approx(right.tolist())
    assert [row["mean_probability"] for row in bins] == pytest.approx(mean.tolist(), abs=1e-5)


# --- predict


@pytest.mark.filterwarnings("ignore:1 symbol was not in the training")
def test_predict_writes_csv(saved, here, capsys):
    assert main(["predict", str(saved), "--data=test.csv"]) == 0
    printed = capsys.readouterr().out
    loaded = SequenceClassifier.load(saved)
    data = read_sequences("test.csv")
    probabilities = loaded.predict_proba(data.sequences)
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert list(rows[0]) == ["line", "label", "probability", "p(neg)", "p(pos)"]
    assert [int(row["line"]) for row in rows] == [2, 3, 4, 5, 6]
    assert [row["label"] for row in rows] == loaded.predict(data.sequences).tolist()
    found = [[float(row["p(neg)"]), float(row["p(pos)"])] for row in rows]
    assert np.allclose(found, probabilities, atol=1e-5)
    assert np.allclose([float(row["probability"]) for row in rows], probabilities.max(axis=1), atol=1e-5)
    assert main(["predict", str(saved), "--data=test.csv", "--out=found.csv"]) == 0
    assert capsys.readouterr().out == "written     found.csv\n"
    assert Path("found.csv").read_text() == printed
    assert left() == {"found.csv"}


@pytest.mark.filterwarnings("default::UserWarning")
def test_predict_needs_no_labels_and_counts_malformed_lines(saved, here, capsys):
    Path("new.csv").write_text("id,sequence\n1,good\n2\n3,\n")
    assert main(["predict", str(saved), "--data=new.csv"]) == 2
    assert capsys.readouterr() == (
        "",
        "myrnn: new.csv, line 3: 1 field where the first line names 2 (id, sequence)\n",
    )
    assert main(["predict", str(saved), "--data=new.csv", "--skip-bad-lines"]) == 0
    out, err = capsys.readouterr()
    assert [line.split(",")[0] for line in out.splitlines()] == ["line", "2", "4"]
    assert err == "myrnn: warning: 1 malformed line of new.csv was skipped\n"


@pytest.fixture(scope="module")
def growing(saved, tmp_path_factory):
    """The same run with weights that overflow on 200 words."""
    folder = tmp_path_factory.mktemp("growing") / "run"
    classifier = SequenceClassifier.load(saved)
    classifier.model_.fc_x2h.weight.data[...] = 1
    classifier.model_.fc_h2h.weight.data[...] = 2 * np.eye(4)
    return classifier.save(folder)


def test_predict_gives_sequences_that_overflow_a_class_on_request(growing, here, capsys):
    Path("new.csv").write_text("sequence\n" + "good " * 200 + "\ngood\n")
    message = "the logits of 1 of {} are not finite, the shortest of length 200: "
    for line, count in ((["--data=new.csv"], "2 sequences"), (["good " * 200], "1 sequence")):
        assert main(["predict", str(growing), *line]) == 2
        assert capsys.readouterr().err.startswith(f"myrnn: {message.format(count)}")
    assert main(["predict", str(growing), "--data=new.csv", "--not-finite=neg"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0].values()) == ["2", "neg", "", "", ""]
    assert float(rows[1]["probability"]) >= 0.5
    assert main(["predict", str(growing), "good", "good " * 200, "--not-finite=pos"]) == 0
    assert [word for word in capsys.readouterr().out.split() if word != "good"][-2:] == ["pos", "-"]
    assert main(["predict", str(growing), "good", "--not-finite=odd"]) == 2
    assert capsys.readouterr().err == "myrnn: --not-finite must be one of 'neg', 'pos', not 'odd'\n"


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_test_counts_sequences_that_overflow_as_wrong(here, capsys):
    Path("long.csv").write_text("sequence,label\n" + "good " * 3000 + ",pos\nbad,neg\n")
    wild = ("--learning-rate=1", "--validation-fraction=0")
    assert main(["train", "--data=train.csv", "--test=long.csv", *SMALL, *wild, "--out=run"]) == 0
    out, err = capsys.readouterr()
    told = "the shortest of length 3000: they count as wrong\n"
    assert f"not finite  the logits of 1, {told}" in out
    assert err.count(f"myrnn: warning: the logits of 1 of 2 sequences are not finite, {told}") == 1
    evaluation = json.loads(Path("run/report.json").read_text())["tests"]["long"]
    assert (evaluation["not_finite"], evaluation["shortest_not_finite"]) == (1, 3000)
    assert evaluation["accuracy"] <= 0.5


def test_predict_of_words(saved, here, capsys):
    assert main(["predict", str(saved), "a good film"]) == 0
    row = capsys.readouterr().out.splitlines()[2].split()
    probabilities = SequenceClassifier.load(saved).predict_proba([["a", "good", "film"]])
    assert row == ["a", "good", "film", ["neg", "pos"][probabilities.argmax()], f"{probabilities.max():.4f}"]


@pytest.mark.filterwarnings("ignore:1 symbol was not in the training")
def test_a_file_that_cannot_be_written_leaves_the_old_one(saved, here, capsys, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    Path("found.csv").write_text("old")
    monkeypatch.setattr("os.replace", broken)
    assert main(["predict", str(saved), "--data=test.csv", "--out=found.csv"]) == 2
    assert capsys.readouterr() == ("", "myrnn: [Errno 28] No space left on device\n")
    assert (Path("found.csv").read_text(), left()) == ("old", {"found.csv"})


# --- several tests, and other uses of a run


PARITY = "sequence,label\n" + "".join(
    f"{word},{'even' if word.count('a') % 2 == 0 else 'odd'}\n"
    for size in range(1, 6)
    for word in map("".join, product("ab", repeat=size))
)


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """A run on characters with two tests."""
    folder = tmp_path_factory.mktemp("parity")
    for name in ("train", "short", "long"):
        (folder / f"{name}.csv").write_text(PARITY)
    (folder / "mine.toml").write_text(
        'data = "train.csv"\n[model]\nname = "gru"\ndim_recurrent = 3\n[training]\nmax_epochs = 2\n'
        'engine = "mygrad"\n[evaluation.test]\nnear = "short.csv"\nfar = "long.csv"\n'
    )
    assert main(["train", "--config", str(folder / "mine.toml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_an_experiment_in_a_file_has_several_tests(parity):
    report = json.loads((parity / "report.json").read_text())
    assert set(report) == {"training", "tests"}
    assert set(report["tests"]) == {"near", "far"}
    rows = list(csv.DictReader(io.StringIO((parity / "tests.csv").read_text())))
    assert [(row["test"], row["total"]) for row in rows] == [("near", "62"), ("far", "62")]
    assert float(rows[0]["accuracy"]) == report["tests"]["near"]["accuracy"]
    assert (parity / "confusion-far.svg").is_file()
    assert load_run(parity).experiment.files["test far"].endswith("long.csv")


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_run_on_data_is_evaluated_by_length(parity, here, capsys):
    options = ("--shortcuts", "--counterexamples=2", "--engine=mygrad")
    assert main(["evaluate", str(parity), *options, "--out=lengths.csv"]) == 0
    out = capsys.readouterr().out
    assert "evaluated   on 62 sequences of near" in out
    assert "even counts" in out
    assert " mistakes in 62 sequences\n" in out
    assert re.search(r"^shortest +\d +[ab]+ +(even|odd) +(even|odd) +0", out, re.MULTILINE)
    assert {"lengths-near.csv", "lengths-far.csv"} <= left()
    accuracy = json.loads((parity / "report.json").read_text())["tests"]["near"]["accuracy"]
    rows = list(csv.DictReader(io.StringIO(Path("lengths-near.csv").read_text())))
    assert sum(int(row["correct"]) for row in rows) == pytest.approx(62 * accuracy)
    Path("other.csv").write_text("sequence,label\nab,odd\nba,none\n")
    assert main(["evaluate", str(parity), "--data=other.csv", "--engine=mygrad", "--figure=other.svg"]) == 0
    out, err = capsys.readouterr()
    assert "other.csv: 1 of 2 sequences left out, of 1 class that the training does not know: 'none'" in err
    assert "evaluated   on 1 sequence of other.csv" in out
    assert Path("other.svg").is_file()
    Path("other.csv").write_text("sequence,label\nba,none\n")
    assert main(["evaluate", str(parity), "--data=other.csv"]) == 2
    assert capsys.readouterr().err.endswith("myrnn: other.csv has no sequence of a class that the training knows\n")


def test_a_run_on_labels_that_is_tested_again_has_the_same_results(parity):
    found = load_run(parity)
    tests = found.test()
    assert list(tests) == ["near", "far"]
    for name, tested in tests.items():
        before = found.report["tests"][name]
        assert json.loads(json.dumps(tested.report.numbers())).items() <= before.items()
        each = tested.every_length
        assert (each.total.sum(), each.correct.sum()) == (62, round(62 * before["accuracy"]))
        assert each.trained_length == found.history.longest and each.class_names == found.class_names
    (other,) = found.test(found.experiment.files["test far"], engine="mygrad").values()
    assert other.report.scores == tests["far"].report.scores


def test_shortcuts_of_a_file_with_few_sequences_of_each_length(here, capsys):
    words = ["ab" * length for length in range(1, 8)] + ["ba"] * 4
    Path("few.csv").write_text("sequence,label\n" + "".join(f"{word},{word[0]}\n" for word in words))
    Path("new.csv").write_text("sequence,label\n" + "".join(f"{word}b,{word[0]}\n" for word in words))
    line = ["--max-epochs=1", "--dim-recurrent=2", "--engine=mygrad", "--validation-fraction=0", "--quiet"]
    assert main(["train", "--data=few.csv", "--test=new.csv", *line, "--out=run"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--shortcuts", "--figure=few.svg"]) == 0
    out = capsys.readouterr().out
    assert "evaluated   on 11 sequences of new" in out and "Accuracy of shortcuts, %" in out


@pytest.mark.long
def test_a_run_on_data_is_inspected(parity, here, capsys):
    assert main(["inspect", str(parity), "abba", "--out=inside", "--samples=20"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^   2 +b +", out, re.MULTILINE)
    assert {"inspect-abba-state-h.svg", "state_space-symbol.svg", "gradient_flow.svg"} <= {
        path.name for path in Path("inside").iterdir()
    }
    assert main(["graph", str(parity), "--sequence=ab", "--out=ab.svg"]) == 0
    assert main(["graph", str(parity), "--out=step.svg"]) == 0
    assert main(["plot", str(parity), "--out=curves.svg"]) == 0
    assert {"ab.svg", "step.svg", "curves.svg"} <= left()


@pytest.mark.parametrize(("sign", "typed"), [(";", "';'"), ("\t", r"$'\t'")])
def test_advice_names_options_and_their_values(here, capsys, sign, typed):
    Path("other.csv").write_text(f"sequence{sign}label\na{sign}x\n")
    assert main(["train", "--data=other.csv"]) == 2
    assert capsys.readouterr().err.endswith(f", so give --delimiter {typed}\n")


ESCAPED = ("predict", "caf\xe9", "\ncaf\\xe9"), ("inspect", "xab", "\n\\ufffdab: ")


@pytest.mark.filterwarnings("ignore:.* not in the training")
@pytest.mark.parametrize(
    ("command", "sequence", "shown"),
    the_rest_is_long(ESCAPED, ESCAPED[0]),
)
def test_what_the_output_cannot_encode_is_escaped(command, sequence, shown, parity, here, monkeypatch):
    output = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(output, "ascii"))
        assert main([command, str(parity), sequence, *(["--out=inside"] if command == "inspect" else [])]) == 0
        sys.stdout.flush()
        assert shown in output.getvalue().decode()


def test_a_user_defined_class_learns_from_data(here, capsys):
    Path("mine.py").write_text(
        "from myrnn import RNN\n\n\nclass Mine(RNN):\n    def __init__(self, dim_input, dim_recurrent, dim_output):\n"
        "        super().__init__(dim_input, dim_recurrent, dim_output)\n"
    )
    line = ("--model=mine.py:Mine", "--dim-recurrent=3", "--max-epochs=3", "--engine=mygrad", "--checkpoint-every=0")
    assert main(["train", "--data=train.csv", *line, "--out=run", "--quiet"]) == 0
    assert type(load_run("run").model).__name__ == "Mine"
    assert main(["predict", "run", "good"]) == 0
    assert main(["train", "--resume=run", "--max-epochs=4", "--quiet"]) == 0
    with Path("mine.py").open("a") as file:
        file.write("# changed\n")
    assert main(["train", "--resume=run", "--max-epochs=5", "--quiet"]) == 2
    assert "; mine.py has changed or was never named on this machine: give the class" in capsys.readouterr().err
    assert main(["train", "--resume=run", "--max-epochs=5", "--model=mine.py:Mine", "--quiet"]) == 0
    assert main(["train", "--data=train.csv", *line, "--max-epochs=5", "--out=whole", "--quiet"]) == 0
    assert contents("run") == contents("whole")


@pytest.mark.filterwarnings("default::UserWarning")
def test_evaluate_says_that_a_test_file_has_changed(here, capsys):
    Path("test.csv").write_text(TRAIN)
    assert main(["train", "--data=train.csv", "--test=test.csv", *SMALL, "--out=run", "--quiet"]) == 0
    capsys.readouterr()
    evaluate = ["evaluate", "run", "--engine=mygrad", "--quiet"]
    assert main(evaluate) == 0
    assert capsys.readouterr().err == ""
    with Path("test.csv").open("a") as file:
        file.write("good film,pos\n")
    told = "myrnn: warning: test.csv has changed since run was made: these are not the sequences of its own test\n"
    assert main(evaluate) == 0
    assert capsys.readouterr().err == told
    # A file that the user names is not one of the run, unless it is what the run has learned.
    assert main([*evaluate, "--data=test.csv"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*evaluate, "--data=train.csv"]) == 0
    assert "train.csv is the same as the training file: a test on it says nothing" in capsys.readouterr().err


def test_sequences_in_memory_are_run_into_a_folder(here):
    X, y = ["aab", "abab", "ba", "bba"] * 6, [1, 0, 1, 1] * 6
    settings = {"model": {"dim_recurrent": 4}, "training": {"max_epochs": 3, "engine": "mygrad"}}
    run = myrnn.run(Experiment(data=(X, y), **settings), "run", progress=False)
    same = SequenceClassifier(dim_recurrent=4, max_epochs=3, engine="mygrad", random_state=0).fit(X, y)
    assert np.array_equal(run.probabilities(run.reader.read(X)), same.predict_proba(X))
    assert np.array_equal(run.history.loss, same.history_["loss"])
    assert SequenceClassifier.load("run").predict(X).tolist() == same.predict(X).tolist()
    assert run.class_names == ("0", "1")
    with pytest.raises(InvalidArgument, match="the sequences were in memory: give them again"):
        myrnn.run(run.experiment, "again")


# --- no half-written files


class Pressing:
    """Sends a signal to this process at the n-th call."""

    def __init__(self, count, number, real):
        self.left, self.number, self.real = count, number, real

    def __call__(self, *arguments, **options):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)
        return self.real(*arguments, **options)


def test_a_test_on_the_training_file_is_warned_about(here):
    Path("copy.csv").write_text(TRAIN)
    with pytest.warns(UserWarning, match=r"^copy\.csv is the same as the training file: a test on it says nothing"):
        prepare(Experiment(data={"file": "train.csv"}, evaluation={"test": "copy.csv"}))


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("number", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_a_signal_ends_a_training_cleanly(here, capsys, monkeypatch, number, word, code):
    pressing = Pressing(3, number, Validation.on_report)
    monkeypatch.setattr(Validation, "on_report", lambda *given: pressing(*given))
    options = ("--data=train.csv", "--test=train.csv", *SMALL, "--max-epochs=9", "--out=run", "--quiet")
    assert main(["train", *options]) == code
    out, err = capsys.readouterr()
    assert out == "run\n"
    assert re.fullmatch(
        r"myrnn: warning: train\.csv is the same as the training file: a test on it says nothing about new sequences\n"
        r"myrnn: warning: the training was interrupted in epoch 4: the model is that of epoch [123], and can be used\n"
        rf"myrnn: {word}: run holds the network of epoch [123]{AGAIN}\n",
        err,
    )
    report = json.loads(Path("run/report.json").read_text())
    assert (report["training"]["epochs"], report["tests"]["train"]["sequences"]) == (3, 25)
    assert SequenceClassifier.load("run").best_epoch_ in (1, 2, 3)


def test_a_signal_during_the_test_only_loses_the_test(here, capsys, monkeypatch):
    pressing = Pressing(1, signal.SIGINT, Run.probabilities)
    monkeypatch.setattr(Run, "probabilities", lambda *given, **options: pressing(*given, **options))
    assert main(["train", "--data=train.csv", "--test=train.csv", *SMALL, "--out=run", "--quiet"]) == 130
    out, err = capsys.readouterr()
    assert out == "run\n"
    assert re.fullmatch(
        r"myrnn: interrupted: run holds the network of epoch [123], which was not tested" + AGAIN + r"\n", err
    )
    assert set(json.loads(Path("run/report.json").read_text())) == {"training"}
    load_run("run")


@pytest.mark.parametrize(
    ("number", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_a_signal_while_pictures_are_drawn_loses_nothing(here, capsys, monkeypatch, number, word, code):
    pressing = Pressing(2, number, plots.save_figure)
    monkeypatch.setattr("myrnn.plots.save_figure", pressing)
    assert main(["train", "--data=train.csv", "--test=train.csv", *SMALL, "--out=run", "--quiet"]) == code
    out, err = capsys.readouterr()
    assert out == "run\n"
    assert re.fullmatch(rf"myrnn: {word}: run holds the network of epoch [123]\n", err)
    assert (here / "run" / "calibration.png").is_file()
    load_run(here / "run")


def test_a_second_signal_while_pictures_are_drawn_acts_at_once(here, capsys, monkeypatch):
    def twice(*_, **__):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second signal was held back")

    monkeypatch.setattr("myrnn.plots.save_figure", twice)
    assert main(["train", "--data=train.csv", "--test=train.csv", *SMALL, "--out=run", "--quiet"]) == 130
    out, err = capsys.readouterr()
    assert out == "run\n"
    assert re.search(
        r"myrnn: interrupted: run holds the network of epoch [12], which was not tested" + AGAIN + r"\n$", err
    )
    load_run("run")


def test_an_interrupt_leaves_nothing(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("myrnn.runs.work.trained", interrupted)
    assert main(["train", "--data=train.csv", *SMALL, "--out=run", "--quiet"]) == 130
    assert capsys.readouterr() == ("", "myrnn: interrupted: nothing was saved\n")
    assert left() == set()


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_nothing(here, capsys, monkeypatch):
    monkeypatch.setattr("os.fsync", full)
    assert main(["train", "--data=train.csv", *SMALL, "--out=run", "--quiet"]) == 2
    assert re.fullmatch(r"myrnn: .*No space left on device.*\n", capsys.readouterr().err)
    assert left() == set()


def failing(*_, **__):
    raise NotFinite("the logits of 1 of 5 sequences are not finite")


def out_of_memory(*_, **__):
    raise MemoryError("Unable to allocate 9 GiB")


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize(
    ("target", "fault", "message"),
    [
        ("Run.probabilities", failing, "the logits of 1 of 5 sequences are not finite"),
        ("Run.probabilities", out_of_memory, "not enough memory: Unable to allocate 9 GiB"),
        ("classification_report", full, "[Errno 28] No space left on device"),
        ("plots.save_figure", full, "cannot write the run folder run: No space left on device"),
    ],
)
def test_a_failure_after_the_training_does_not_lose_the_classifier(here, capsys, monkeypatch, target, fault, message):
    module = {"plots": written, "class": reports, "Run.p": work}[target[:5]]
    monkeypatch.setattr(f"{module.__name__}.{target}", fault)
    assert main(["train", "--data=train.csv", "--test=test.csv", *SMALL, "--out=run", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"^myrnn: {re.escape(message)}; run holds the network of epoch [12]{SAVED}$", err, re.MULTILINE)
    assert set(json.loads(Path("run/report.json").read_text())) == {"training"}
    assert SequenceClassifier.load("run").predict(read_sequences("test.csv").sequences).shape == (5,)


def test_a_run_on_data_is_complete(saved, capsys):
    assert main(["train", "--resume", str(saved)]) == 0
    assert (
        capsys.readouterr().out
        == f"resumed     {saved} is complete: nothing is left to do; --max-epochs gives it more\n"
    )


def test_a_damaged_run_is_refused(saved, here):
    run = here / "run"
    run.mkdir()
    for file in ("settings.json", "report.json", "model.safetensors", "history.csv"):
        (run / file).write_bytes((saved / file).read_bytes())
    with pytest.raises(RunError, match=r"encoding\.json is missing$"):
        load_run(run)
    index = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**index, "characters": True}))
    with pytest.raises(RunError, match=r"settings\.json is damaged or was changed"):
        load_run(run)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system that has pipes with names")
def test_an_endless_file_is_refused(saved, here, capsys):
    os.mkfifo("pipe.csv")
    Path("zeros.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "zeros.csv"):
        for line in (["train", "--quiet", "--data", name], ["predict", str(saved), "--data", name]):
            assert main(line) == 2
            assert capsys.readouterr().err == f"myrnn: {name} is a device or a pipe, not a file\n"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("report.json", "training", {"best_epoch": 10**30}), f"best_epoch must be at most 2, not {10**30}"),
        (
            ("encoding.json", None, {"tokenize": "characters"}),
            "tokenize must fit its sequences of words, not be 'characters'",
        ),
    ],
)
def test_the_records_of_a_classifier_are_checked(saved, here, capsys, changed, message):
    file, part, values = changed
    stored = RUN.read(saved)
    content = stored.json(file)
    (content if part is None else content[part]).update(values)
    Path("run").mkdir()
    RUN.write("run", stored.index, {**stored.content, file: json.dumps(content).encode()})
    assert main(["predict", "run", "good film"]) == 2
    assert capsys.readouterr().err == f"myrnn: run: {file} cannot be used: {message}\n"


# --- mistakes: exit code 2 and one line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --data train.csv --task palindromes", "--task does not go with --data"),
        ("train --data train.csv --iterations 5", "--iterations does not go with --data"),
        (
            "train --data train.csv --model gru:activation=tanh",
            "model gru has no setting 'activation', only 'dim_recurrent', 'recurrent_init', 'layers', 'dim_embedding', "
            "'bidirectional'",
        ),
        *(
            (
                f"train --data train.csv --class-weight {given}",
                f"--class-weight must be balanced, or weights such as spam=3,ham=1, not {given!r}",
            )
            for given in ("balance", "pos=x", "pos=1,neg", "=3")
        ),
        ("predict SAVED a --text-column x", "--text-column goes with --data, which is missing"),
        ("train --delimiter ; --task palindromes", "--delimiter goes with --data, which is missing"),
        ("train --test test.csv", "--test goes with --data, which is missing"),
        ("train --max-epochs 3", "--max-epochs goes with --data, which is missing"),
        ("train --tokenize words --task palindromes", "--tokenize goes with --data, which is missing"),
        ("train --data train.csv --test-labels l.txt", "--test-labels goes with test, which is missing"),
        ("train --data s.txt", "s.txt is plain text: give its labels, one per line, with --labels"),
        (
            "train --data train.csv --test t.txt",
            "t.txt is plain text: give its labels, one per line, with --test-labels",
        ),
        (
            "train --data train.csv --labels l.txt",
            "a .csv file has a column of labels: --labels is for plain text, not for train.csv",
        ),
        ("train --data none.csv", "there is no file none.csv"),
        ("train --data train.csv --test none.csv", "there is no file none.csv"),
        (
            "train --data train.csv --model gr",
            f"--model must be one of {CELLS}, not 'gr'; did you mean 'gru'?",
        ),
        ("train --data train.csv --learning-rate -1", "--learning-rate must be at least 0, not -1.0"),
        ("train --data train.csv --validation-fraction 1", "--validation-fraction must be below 1, not 1.0"),
        ("train --data train.csv --test one.csv", "one.csv has no sequence of a class that the training knows"),
        ("train --data one.csv", "one.csv holds one class only, 'x': a classifier needs two or more"),
        (
            "train --data train.csv --test train.csv --out full",
            "full is not empty: choose another folder, nothing is overwritten",
        ),
        ("predict SAVED", "give sequences, or a file of them with --data"),
        ("predict SAVED a --data test.csv", "sequences and --data do not go together: give one or the other"),
        ("predict SAVED a --out x.csv", "--out goes with --data, which is missing"),
        ("predict SAVED a --skip-bad-lines", "--skip-bad-lines goes with --data, which is missing"),
        ("predict SAVED --data none.csv", "there is no file none.csv"),
        ("predict SAVED --data test.csv --out no/x.csv", "--out must lie in a folder that exists, but no does not"),
        ("predict nowhere --data test.csv", "there is no run folder nowhere"),
        ("predict nowhere a", "there is no run folder nowhere"),
        (
            "predict full --data test.csv",
            "full is not a whole run: settings.json is missing, which is written last",
        ),
        ("evaluate SAVED", "SAVED has no test: give a file of labelled sequences"),
        ("evaluate SAVED --data none.csv", "there is no file none.csv"),
        *(
            (
                f"{line} {option} 9",
                f"{option} goes with a run on a task, which draws its sequences; SAVED is on data",
            )
            for line, options in (
                ("evaluate SAVED", ("--length-max", "--lengths", "--samples", "--seed")),
                ("inspect SAVED good", ("--seed",)),
            )
            for option in options
        ),
        ("evaluate SAVED --labels l.txt", "--labels goes with --data, which is missing"),
    ],
)
def test_a_mistake_is_one_line(line, message, saved, here, capsys):
    Path("one.csv").write_text("sequence,label\na,x\nb,x\n")
    Path("full").mkdir()
    Path("full", "file").write_text("")
    arguments = [str(saved) if word == "SAVED" else word for word in line.split()]
    quiet = ["--quiet"] if line.startswith("train") else []
    assert main([*arguments, *quiet]) == 2
    assert capsys.readouterr() == ("", f"myrnn: {message.replace('SAVED', str(saved))}\n")
    assert left() == {"one.csv", "full"}


BYTES = st.lists(
    st.one_of(
        st.binary(max_size=5),
        st.sampled_from([b"sequence", b"sequence,label\n", b"a,b\n", b",", b"\n", b'"', b'{"sequence": "a"}\n', b"\0"]),
    ),
    max_size=8,
).map(b"".join)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.* malformed lines? of .* skipped:UserWarning")
@pytest.mark.filterwarnings("ignore:.* not in the training|.* is read as words:UserWarning")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BYTES, st.sampled_from(["csv", "tsv", "jsonl", "parquet", "txt", "doc"]), st.booleans())
def test_any_file_is_read_or_refused_in_one_line(saved, here, capsys, content, ending, skip):
    path = Path(f"any.{ending}")
    path.write_bytes(content)
    code = main(["predict", str(saved), "--data", str(path), *(["--skip-bad-lines"] if skip else [])])
    out, err = capsys.readouterr()
    if code == 0:
        assert out.startswith("line,label,probability,")
    else:
        assert (code, out) == (2, "")
        assert re.fullmatch(r"myrnn: [^\n]+\n", err)
    line = ["train", "--data", str(path), *SMALL, "--quiet", "--out=run"]
    if main(line) != 0:
        out, err = capsys.readouterr()
        assert out == ""
        assert re.fullmatch(r"myrnn: [^\n]+\n", err)
        assert not Path("run").exists()
    else:
        Path("run").rename(f"run{len(list(here.iterdir()))}")
        capsys.readouterr()


# --- resuming


RESULTS = ("model.safetensors", "encoding.json", "history.csv")
LONGER = ("--dim-recurrent=4", "--engine=mygrad", "--checkpoint-every=0", "--quiet")


def contents(folder):
    return {name: Path(folder, name).read_bytes() for name in RESULTS}


def stop_after(epochs, monkeypatch, error):
    """Make a training fail within the epoch after the given number."""
    measured = Validation.on_report

    def on_report(validation, report):
        measured(validation, report)
        if validation.reports > epochs:
            raise error

    monkeypatch.setattr(Validation, "on_report", on_report)


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--early-stopping-patience=2",),
        pytest.param(("--validation-fraction=0", "--model=gru"), marks=pytest.mark.long),
    ],
)
def test_a_stopped_run_resumes_to_the_same_bytes(here, monkeypatch, capsys, more):
    arguments = ("train", "--data=train.csv", "--test=test.csv", *LONGER, "--max-epochs=8", *more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main([*arguments, "--out=whole"]) == 0
        with monkeypatch.context() as patch:
            stop_after(3, patch, MemoryError("Unable to allocate 9 GiB"))
            assert main([*arguments, "--out=cut"]) == 2
        assert capsys.readouterr().err.endswith("resume with: myrnn train --resume cut\n")
        assert {path.name for path in Path("cut").iterdir()} == {"unfinished.json", "checkpoints"}
        assert main(["train", "--resume=cut", "--quiet"]) == 0
    assert contents("cut") == contents("whole")
    assert Path("cut/classes.csv").read_bytes() == Path("whole/classes.csv").read_bytes()
    assert not Path("cut/unfinished.json").exists()


def test_a_complete_run_can_be_given_more_epochs(here, capsys):
    arguments = ("train", "--data=train.csv", *LONGER)
    assert main([*arguments, "--max-epochs=6", "--out=whole"]) == 0
    assert main([*arguments, "--max-epochs=3", "--out=short"]) == 0
    assert main(["train", "--resume=short", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume=short", "--max-epochs=6", "--quiet"]) == 0
    assert contents("short") == contents("whole")


def test_a_complete_run_cannot_be_given_fewer_epochs_or_iterations(here, capsys):
    assert main(["train", "--data=train.csv", *SMALL, "--out=run", "--quiet"]) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
    capsys.readouterr()
    for option, message in (
        ("--max-epochs=1", "run is complete, with its 2 epochs: ask for more with --max-epochs"),
        ("--iterations=9", "--iterations does not go with run, which is on data: --max-epochs gives it more"),
    ):
        assert main(["train", "--resume=run", option]) == 2
        assert capsys.readouterr() == ("", f"myrnn: {message}\n")
    assert main(["train", "--resume=run", "--max-epochs=2"]) == 0
    assert "run is complete: nothing is left to do; --max-epochs gives it more\n" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")} == before


@pytest.mark.long
@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("command", [["evaluate", "run"], ["inspect", "run", "good"]])
def test_a_missing_test_can_be_replaced_by_another_file(here, capsys, command):
    assert main(["train", "--data=train.csv", "--test=test.csv", *SMALL, "--out=run", "--quiet"]) == 0
    Path("test.csv").rename("moved.csv")
    capsys.readouterr()
    assert main(command) == 2
    message = "myrnn: there is no file test.csv; give another file of labelled sequences with --data\n"
    assert capsys.readouterr().err.endswith(message)
    assert main([*command, "--data=moved.csv"]) == 0


def test_stored_settings_of_a_run_cannot_be_changed(here, capsys):
    assert main(["train", "--data=train.csv", *SMALL, "--schedule=cosine", "--out=run", "--quiet"]) == 0
    capsys.readouterr()
    for option, message in (
        ("--seed=3", "--seed does not go with --resume: a run keeps its settings"),
        ("--quiet", "the learning rate of run falls to 0 over its 2 epochs (cosine): it cannot do 9"),
    ):
        assert main(["train", "--resume=run", "--max-epochs=9", option]) == 2
        assert capsys.readouterr().err == f"myrnn: {message}\n"


@pytest.fixture
def cut(here, monkeypatch, capsys):
    """A run on data that was stopped after its first epoch."""
    Path("test.csv").write_text(TEST.replace("other", "neg"))
    with monkeypatch.context() as patch:
        stop_after(1, patch, MemoryError("full"))
        assert main(["train", "--data=train.csv", "--test=test.csv", *LONGER, "--max-epochs=8", "--out=run"]) == 2
    capsys.readouterr()
    return Path("run")


def test_a_stopped_run_is_not_resumed_with_another_class(here, monkeypatch, capsys):
    """Both classes have the same parameters, but not the same equations."""
    Path("mine.py").write_text(
        "from myrnn import RNN\n\n\nclass Mine(RNN):\n    def __init__(self, dim_input, dim_recurrent, dim_output):\n"
        "        super().__init__(dim_input, dim_recurrent, dim_output)\n\n\nclass Other(Mine):\n"
        "    def __call__(self, x):\n        return -super().__call__(x)\n"
    )
    with monkeypatch.context() as patch:
        stop_after(1, patch, MemoryError("full"))
        assert main(["train", "--data=train.csv", "--model=mine.py:Mine", *LONGER, "--max-epochs=2", "--out=run"]) == 2
    capsys.readouterr()
    assert main(["train", "--resume=run", "--model=mine.py:Other", "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "myrnn: run: the model is not the Mine that was saved: with the same weights it gives other logits\n"
    )
    assert main(["train", "--resume=run", "--model=mine.py:Mine", "--quiet"]) == 0


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_other_data_are_refused(cut, capsys, name):
    before = (cut / "unfinished.json").read_bytes()
    text = Path(name).read_text()
    Path(name).write_text(text.replace("pos", "neg", 1))
    assert main(["train", "--resume=run", "--quiet"]) == 2
    assert f"{name} has changed since run was begun" in capsys.readouterr().err
    Path(name).unlink()
    assert main(["train", "--resume=run", "--quiet"]) == 2
    assert name in capsys.readouterr().err
    assert {path.name for path in cut.iterdir()} == {"unfinished.json", "checkpoints"}
    assert (cut / "unfinished.json").read_bytes() == before


def test_data_that_change_during_a_training_are_detected(here, monkeypatch, capsys):
    measured = Validation.on_report

    def on_report(validation, report):
        measured(validation, report)
        Path("train.csv").write_text(TRAIN.replace("pos", "neg", 1))

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "on_report", on_report)
        assert main(["train", "--data=train.csv", *LONGER, "--max-epochs=2", "--out=run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume=run", "--max-epochs=4", "--quiet"]) == 2
    assert "train.csv has changed since run was begun" in capsys.readouterr().err


def test_a_project_can_be_moved(cut, here):
    moved = here / "moved"
    moved.mkdir()
    for path in (cut, Path("train.csv"), Path("test.csv")):
        path.rename(moved / path.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["train", "--resume", str(moved / "run"), "--quiet"]) == 0
    assert SequenceClassifier.load(moved / "run").best_epoch_


def test_a_link_to_the_folder_of_runs_does_no_harm(here, monkeypatch):
    (here / "elsewhere" / "deep").mkdir(parents=True)
    Path("runs").symlink_to("elsewhere/deep")
    with monkeypatch.context() as patch:
        stop_after(1, patch, MemoryError("full"))
        main(["train", "--data=train.csv", *LONGER, "--max-epochs=3", "--out=runs/mine"])
    assert main(["train", "--resume=runs/mine", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("training", "seed", "x"), "seed must be an integer, not 'x'"),
        (("data", "labels", 3), "labels must be text, not 3"),
        (("model", "dim_recurrent", -1), "dim_recurrent must be at least 1, not -1"),
        (("training", "iterations", 3), "training has no setting 'iterations'"),
        (("data", "file", None), "the sequences were in memory: give them again, as data=(X, y)"),
    ],
)
def test_stored_values_of_a_run_are_checked(cut, capsys, changed, message):
    index = UNFINISHED.read_index(cut)
    section, name, value = changed
    if value is None:
        index["data_files"] = {}
    UNFINISHED.write(cut, {**index, section: {**index[section], name: value}}, {})
    assert main(["train", "--resume=run", "--quiet"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.filterwarnings("always")
def test_a_run_that_patience_ended_says_so(here, capsys):
    arguments = ("train", "--data=train.csv", *LONGER[:-1], "--learning-rate=0.5", "--max-epochs=40")
    assert main([*arguments, "--early-stopping-patience=1", "--out=run"]) == 0
    done = json.loads(Path("run/report.json").read_text())["training"]["epochs"]
    assert done < 40
    stopped = f"after {done} of 40 epochs: the last epoch brought no smaller validation loss"
    assert f"\nstopped     {stopped} (--early-stopping-patience)\nepoch {done - 1} " in capsys.readouterr().out
    assert main(["train", "--resume=run", "--max-epochs=50", "--quiet"]) == 0
    assert "the training ended after 1 epoch without a smaller validation loss" in capsys.readouterr().err
    assert main(["train", "--resume=run", f"--max-epochs={done - 1}", "--quiet"]) == 2
    assert f"run is complete, with its {done} epochs: ask for more with --max-epochs" in capsys.readouterr().err
    assert not Path("run/unfinished.json").exists()
    more = done + 3
    assert main(["train", "--resume=run", "--early-stopping-patience=30", f"--max-epochs={more}", "--quiet"]) == 0
    assert json.loads(Path("run/report.json").read_text())["training"]["epochs"] == more
    shutil.rmtree("run/checkpoints")
    capsys.readouterr()
    assert main(["train", "--resume=run", "--max-epochs=99", "--quiet"]) == 2
    assert "has no state of its training to resume from" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError("full"),
        pytest.param(NotFinite("the logits of 1 of 5 sequences are not finite"), marks=pytest.mark.long),
    ],
)
def test_a_failed_validation_is_repeated(here, monkeypatch, fault):
    arguments = ("train", "--data=train.csv", *LONGER, "--max-epochs=6")
    assert main([*arguments, "--out=whole"]) == 0
    measured = training.loss_and_score
    calls = []

    def loss_and_score(*given):
        calls.append(given)
        if len(calls) == 4:
            raise fault
        return measured(*given)

    with monkeypatch.context() as patch:
        patch.setattr(training, "loss_and_score", loss_and_score)
        assert main([*arguments, "--out=cut"]) == 2
    assert main(["train", "--resume=cut", "--quiet"]) == 0
    assert contents("cut") == contents("whole")


def test_runs_are_listed_while_they_train(here, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(1, patch, MemoryError("full"))
        main(["train", "--data=train.csv", *LONGER, "--model=gru:layers=2", "--max-epochs=8", "--out=runs/cut"])
    capsys.readouterr()
    assert main(["runs", "list"]) == 0
    assert re.search(r"cut +train.csv +gru 2x4 .*interrupted", capsys.readouterr().out)
