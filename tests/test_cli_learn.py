"""The commands on tags, numbers, text and series: train from files, test, save and use."""

import csv
import io
import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from interpreter import interpreted
from myrnn import (
    Experiment,
    LanguageModel,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    read_sequences,
    run,
    sweep,
)
from myrnn.cli import main
from myrnn.data.read import read_examples
from myrnn.errors import DataError, InvalidArgument
from myrnn.experiment import Data
from myrnn.runs import load_run

RNG = np.random.default_rng(0)
WORDS = ["".join(RNG.choice(list("abcd"), RNG.integers(1, 9))) for _ in range(90)]
MARKS = [["twice" if i and word[i] == word[i - 1] else "once" for i in range(len(word))] for word in WORDS]
ROWS = [RNG.normal(size=(RNG.integers(1, 9), 2)).round(3) for _ in range(90)]
SUMS = [float(rows[:, 0].sum().round(3)) for rows in ROWS]
WAVE = (np.sin(np.arange(300) / 4) * 10 + 50).round(4)
TEXT = "the cat sat on the mat. the dog sat on the log. " * 10
SMALL = ("--model=rnn", "--dim-recurrent=8", "--max-epochs=3", "--quiet")


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=re.escape(message))


def written(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of all kinds, and a run on each of four."""
    place = tmp_path_factory.mktemp("learn")
    pairs = list(zip(WORDS, MARKS, strict=True))
    written(place / "tags.csv", ["sequence,tags", *(f"{word},{' '.join(tags)}" for word, tags in pairs)])
    written(place / "tags.jsonl", [json.dumps({"sequence": word, "tags": tags}) for word, tags in pairs])
    both = list(zip(ROWS, SUMS, strict=True))
    written(place / "sums.jsonl", [json.dumps({"sequence": r.tolist(), "target": t}) for r, t in both])
    steps = [(rows, rows[:, 0].cumsum().round(3)) for rows in ROWS]
    written(place / "steps.jsonl", [json.dumps({"sequence": r.tolist(), "target": t.tolist()}) for r, t in steps])
    (place / "text.txt").write_text(TEXT)
    written(place / "wave.csv", ["day,height", *(f"d{i},{height}" for i, height in enumerate(WAVE))])
    written(place / "wave.txt", WAVE[200:])
    for name, file, learn, test in (
        ("tags", "tags.csv", "tags", "tags.jsonl"),
        ("sums", "sums.jsonl", "numbers", "sums.jsonl"),
        ("text", "text.txt", "text", "text.txt"),
        ("wave", "wave.csv", "series", "wave.txt"),
    ):
        more = []
        more += ["--truncate=16", "--batch-size=4"] if learn in ("text", "series") else []
        more += ["--text-column=height"] if learn == "series" else []
        data, tested = f"--data={place / file}", f"--test={place / test}"
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            # A few epochs take less time in Python than the compilation of machine code.
            patch.setattr("myrnn.compiler.cache.load", interpreted)
            # Two formats of the same sequences.
            warnings.filterwarnings("ignore", "100.0% of the sequences of .*tags.jsonl are also in the training data")
            assert main(["train", data, f"--learn={learn}", tested, f"--out={place / name}", *SMALL, *more]) == 0
    return place


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# --- files


@pytest.mark.long
def test_several_file_formats_give_the_same_sequences(folder):
    csv_, json_ = (read_examples(folder / f"tags.{ending}", "tags") for ending in ("csv", "jsonl"))
    assert csv_.targets == json_.targets == MARKS
    assert [list(one) for one in csv_.sequences] == [list(word) for word in WORDS]
    sums = read_examples(folder / "sums.jsonl", "numbers")
    assert sums.targets == SUMS and np.array_equal(sums.sequences[3], ROWS[3])
    steps = read_examples(folder / "steps.jsonl", "numbers").targets
    assert all(np.allclose(one, rows[:, 0].cumsum(), atol=1e-3) for one, rows in zip(steps, ROWS, strict=True))
    text = read_examples(folder / "text.txt", "text")
    assert len(text) == 1 and "".join(text.sequences[0]) == TEXT
    with pytest.warns(UserWarning, match="the column day holds something other than numbers, and is left out"):
        wave = read_examples(folder / "wave.csv", "series").sequences
    assert len(wave) == 1 and np.array_equal(wave[0][:, 0], WAVE)
    named = read_examples(folder / "wave.csv", "series", text_column="height").sequences
    assert np.array_equal(named[0], wave[0])
    assert np.array_equal(read_examples(folder / "wave.txt", "series").sequences[0][:, 0], WAVE[200:])
    several = written(folder / "several.jsonl", [json.dumps({"sequence": [1.5, 2, 3]}), json.dumps({"sequence": [4]})])
    assert [len(one) for one in read_examples(several, "series").sequences] == [3, 1]


def test_tags_of_characters_may_be_characters(tmp_path):
    file = written(tmp_path / "few.csv", ["sequence,tags", "abba,cvcc", "a,c"])
    assert read_examples(file, "tags").targets == [["c", "v", "c", "c"], ["c"]]
    words = written(tmp_path / "words.csv", ["sequence,tags", "the cat,DET NOUN"])
    assert read_examples(words, "tags").targets == [["DET", "NOUN"]]


@pytest.mark.parametrize(
    ("name", "lines", "learn", "message"),
    [
        ("a.csv", ["sequence,tags", "abc,x y"], "tags", "a.csv, line 2: 3 steps, but 2 tags"),
        ("a.csv", ["sequence,label", "abc,x y z"], "tags", "has no column 'tags'; its columns are 'sequence', 'label'"),
        ("a.csv", ["sequence,target", "abc,1", "abd,much"], "numbers", "a.csv, line 3: 'much' is not a finite number"),
        ("a.csv", ["sequence,target", "abc,nan"], "numbers", "a.csv, line 2: 'nan' is not a finite number, or several"),
        ("a.jsonl", ['{"sequence": "abc", "tags": 3}'], "tags", "a.jsonl, line 1: 3 steps, but 3"),
        ("a.csv", ["day,name", "1x,b"], "series", "has no column of numbers; its columns are 'day', 'name'"),
        ("a.csv", ["value", "1", "", "3"], "series", "a.csv, line 3: a number is missing or not finite"),
        ("a.csv", ["value", "1", "nan", "3"], "series", "a.csv, line 3: 'nan' in 'value' is not a number"),
        ("a.csv", ["value", "1.5", "nan", "3"], "series", "a.csv, line 3: 'nan' in 'value' is not a number"),
        ("a.csv", ["value", "1", "nan"], "series", "a.csv has no column of numbers; its columns are 'value'"),
        ("a.csv", ["value", "1", "-inf", "3"], "series", "a.csv, line 3: a number is missing or not finite"),
        ("a.txt", ["1 2", "3"], "series", "a.txt, line 2: 1 number, but the first line has 2 numbers"),
        ("a.txt", ["1", "two"], "series", "a.txt, line 2: 'two' is not numbers"),
        ("a.txt", ["# nothing"], "series", "a.txt holds no number"),
        ("a.txt", ["# a series", "1", "", "nan"], "series", "a.txt, line 4: a number is missing or not finite"),
    ],
)
def test_errors_in_a_file_are_named(tmp_path, name, lines, learn, message):
    with refused(message, DataError):
        read_examples(written(tmp_path / name, lines), learn)


# --- runs


@pytest.mark.parametrize(
    ("name", "kind"), [("tags", "tags"), ("sums", "numbers"), ("text", "text"), ("wave", "series")]
)
def test_a_run_contains_its_learned_model(folder, name, kind):
    found = load_run(folder / name)
    assert found.reader.targets.learn == kind and found.experiment.source.settings.learn == kind
    assert found.history.unit == "epoch" and len(found.history) == 3
    assert (folder / name / "scores.csv").is_file() and (folder / name / "training.svg").is_file()
    assert (folder / name / "by_position.png").is_file() == (kind != "numbers")
    again = Experiment.read(found.experiment.to_dict())
    assert again == found.experiment


@pytest.mark.long
def test_the_command_does_what_the_library_does(folder, capsys):
    assert main(["predict", str(folder / "tags"), "abba", "ccd"]) == 0
    said = rows_of(capsys.readouterr().out)
    tagger = SequenceTagger.load(folder / "tags")
    assert [row["tag"] for row in said] == [tag for tags in tagger.predict(["abba", "ccd"]) for tag in tags]
    assert [(row["line"], row["step"]) for row in said[:5]] == [*(("1", str(i)) for i in range(4)), ("2", "0")]
    assert main(["predict", str(folder / "sums"), f"--data={folder / 'sums.jsonl'}"]) == 0
    said = [float(row["number"]) for row in rows_of(capsys.readouterr().out)]
    assert np.allclose(said, SequenceRegressor.load(folder / "sums").predict(ROWS), rtol=1e-6)
    assert main(["generate", str(folder / "text"), "--prime=the ", "--length=20", "--seed=3"]) == 0
    writer = LanguageModel.load(folder / "text")
    assert capsys.readouterr().out == f"the {writer.generate('the ', 20, seed=3)}\n"
    assert main(["forecast", str(folder / "wave"), "--horizon=4", "--quiet"]) == 0
    said = [float(row["mean"]) for row in rows_of(capsys.readouterr().out)]
    assert np.allclose(said, SequenceForecaster.load(folder / "wave").forecast(WAVE, 4), rtol=1e-5)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", ["tags", "sums", "text", "wave"])
def test_a_run_that_is_tested_again_has_the_same_results(folder, name):
    found = load_run(folder / name)
    before = found.report["tests"]
    (test,), tested = before, found.test()
    own = {"seconds", "baselines", "share_in_training", "repeated_in_training"}
    numbers = {key: value for key, value in before[test].items() if key not in own}
    again = json.loads(json.dumps(tested[test].numbers()))
    assert {key: value for key, value in again.items() if key not in own} == numbers
    file = found.experiment.evaluation.test[0][1]
    (other,) = found.test(file).values()
    assert other.report.scores == tested[test].report.scores


@pytest.mark.long
def test_a_report_of_a_run_is_that_of_the_estimator(folder, capsys):
    report = SequenceTagger.load(folder / "tags").report(WORDS, MARKS)
    (numbers,) = json.loads((folder / "tags" / "report.json").read_text())["tests"].values()
    assert numbers["accuracy"] == report.accuracy and len(numbers["baselines"]) == 4
    text = LanguageModel.load(folder / "text")
    (numbers,) = json.loads((folder / "text" / "report.json").read_text())["tests"].values()
    assert numbers["bits_per_symbol"] == pytest.approx(text.bits(TEXT), rel=1e-5)
    wave = SequenceForecaster.load(folder / "wave")
    (numbers,) = json.loads((folder / "wave" / "report.json").read_text())["tests"].values()
    assert numbers["r2"] == pytest.approx(wave.score(WAVE[200:]), abs=1e-6)
    seasonal = wave.report(WAVE[200:], period=25)
    assert main(["evaluate", str(folder / "wave"), "--period=25", f"--out={folder / 'w.csv'}"]) == 0
    assert "25 steps before" in capsys.readouterr().out and (folder / "w.csv").is_file()
    truth, said = WAVE[225:], wave.predict(WAVE[200:])[24:-1]
    naive = WAVE[200:-25]
    assert seasonal.skill == pytest.approx(1 - np.mean((truth - said) ** 2) / np.mean((truth - naive) ** 2), rel=1e-4)
    sums = SequenceRegressor.load(folder / "sums")
    assert sums.report(ROWS, SUMS).r2 == pytest.approx(sums.score(ROWS, SUMS))


@pytest.mark.long
def test_several_runs_forecast_together(folder, capsys):
    data = (f"--data={folder / 'wave.csv'}", "--learn=series", "--text-column=height")
    one = ["train", *data, *SMALL, "--truncate=16", "--seed=1"]
    assert main([*one, f"--out={folder / 'wave1'}"]) == 0
    capsys.readouterr()
    both = [str(folder / "wave"), str(folder / "wave1")]
    assert main(["forecast", *both, "--horizon=4", f"--figure={folder / 'f.svg'}", f"--out={folder / 'f.csv'}"]) == 0
    assert "2 networks" in capsys.readouterr().out and (folder / "f.svg").is_file()
    rows = rows_of((folder / "f.csv").read_text())
    assert len(rows) == 4 and all(float(row["low"]) < float(row["high"]) for row in rows)


def test_the_figure_of_a_forecast_has_the_steps_of_the_series(folder, monkeypatch, in_python):
    drawn = []
    monkeypatch.setattr("myrnn.cli.forecast.save_figure", lambda figure, path: drawn.append(figure))
    assert main(["forecast", str(folder / "wave"), "--horizon=4", f"--figure={folder / 'f.svg'}", "--quiet"]) == 0
    (ax,) = drawn[0]
    truth, ahead = (line for line in ax.lines if len(line.get_xdata()) > 1)
    assert ahead.get_xdata().tolist() == [301, 302, 303, 304] and ax.get_ylabel() == "height"
    shown = np.isfinite(truth.get_ydata())
    assert truth.get_xdata()[shown].tolist() == list(range(289, 301))
    np.testing.assert_allclose(truth.get_ydata()[shown], WAVE[288:])


@pytest.mark.long
def test_an_experiment_with_data_in_memory(tmp_path):
    experiment = Experiment(data=(WORDS, MARKS), model={"name": "gru", "dim_recurrent": 4}, training={"max_epochs": 1})
    tags = replace(experiment, source=replace(experiment.source, data=Data(learn="tags")))
    found = run(tags, tmp_path / "run", progress=False)
    assert found.reader.targets.learn == "tags"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["predict", "text", "abc"], "learned text: myrnn generate"),
        (["predict", "wave", "abc"], "learned series: myrnn forecast"),
        (["predict", "sums", "abc"], "reads features, which cannot be given as text: give a file"),
        (["generate", "tags"], "learned tags: only what learned text writes"),
        (["forecast", "text"], "learned text: only what learned series forecasts"),
        (["evaluate", "tags", "--period=3"], "period is for series, not for tags: leave it out"),
        (["evaluate", "tags", "--shortcuts"], "--shortcuts goes with labels of sequences"),
        (["train", "--data=text.txt", "--learn=tags"], "text.txt is plain text, which holds no tags"),
        (["train", "--data=text.txt"], "text.txt is plain text: give its labels, one per line, with --labels"),
        (["train", "--data="], "--data must be the name of a file, not ''"),
        (["train", "--data=tags.csv", "--test=text.txt"], "one per line, with --test-labels"),
        (["train", "--data=tags.csv", "--text-column=label"], "--text-column and --label-column must differ, but both"),
        (["train", "--data=tags.jsonl", "--delimiter=;"], "--delimiter is for .csv and .tsv and .tab files, not for"),
        (["train", "--data=text_column.csv", "--text-column=a"], "there is no file text_column.csv"),
        (
            ["train", "--data=text.txt", "--learn=text", "--labels=text.txt"],
            "--labels needs --learn labels, not 'text'",
        ),
        (["train", "--data=tags.csv", "--learn=words"], "--learn must be one of"),
        (["train", "--data=tags.csv", "--learn=tags", "--loss=huber"], "the loss 'huber' is for targets that are numb"),
        (
            ["train", "--data=text.txt", "--learn=text", "--model=rnn:bidirectional=true", "--out=b"],
            "depends on later steps, which contain the targets",
        ),
    ],
)
def test_options_that_conflict(folder, monkeypatch, capsys, command, message):
    monkeypatch.chdir(folder)
    assert main(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


def test_labels_are_read_as_before(folder):
    file = written(folder / "labels.csv", ["sequence,label", "ab,x", "ba,y"])
    one, other = read_sequences(file), read_examples(file, "labels")
    assert one.labels.tolist() == other.labels.tolist() and other.targets is None


def test_runs_are_listed_compared_and_drawn(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["runs", "list", "."]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("tags", "sums", "text", "wave"))
    assert main(["runs", "compare", "tags", "text"]) == 0
    out = capsys.readouterr().out
    assert "Scores, with their intervals" in out and "accuracy" in out
    assert main(["plot", "wave", "sums", "--out=both.svg"]) == 0
    assert {"epochs", "squared error"} <= set(re.split(r" {2,}|\n", capsys.readouterr().out))
    assert main(["plot", "wave", "tags", "--out=other.svg"]) == 2
    told = "only trainings with the same score can be drawn in one figure: wave has squared error and tags has accur"
    assert told in capsys.readouterr().err
    small = ("--dim-recurrent=2", "--iterations=2", "--samples=100", "--engine=mygrad", "--quiet")
    assert main(["train", *small, "--out=halves"]) == 0
    assert main(["plot", "tags", "halves", "--out=other.svg"]) == 2
    told = "only trainings with the same unit can be drawn in one figure: tags has epochs and halves has iterations"
    assert told in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("name", ["tags", "sums", "text", "wave"])
def test_the_step_of_every_kind_of_network_is_drawn(folder, name, tmp_path):
    assert main(["graph", str(folder / name), f"--out={tmp_path / 'step.svg'}"]) == 0
    if name in ("tags", "text"):
        letters = "ab" if name == "tags" else "at"
        assert main(["graph", str(folder / name), f"--sequence={letters}", f"--out={tmp_path / 'two.svg'}"]) == 0
        assert main(["inspect", str(folder / name), letters]) == 0


@pytest.mark.long
def test_the_columns_of_a_series_are_known_by_their_names(tmp_path, capsys):
    both = np.stack([WAVE, 1000 - WAVE], axis=1)
    one = written(tmp_path / "ab.csv", ["a,b", *(f"{a},{b}" for a, b in both)])
    other = written(tmp_path / "ba.csv", ["b,more,a", *(f"{b},7,{a}" for a, b in both)])
    third = written(tmp_path / "cd.csv", ["a,c", *(f"{a},{b}" for a, b in both)])
    run_ = tmp_path / "run"
    tests = (f"--test=one={one}", f"--test=other={other}")
    assert main(["train", f"--data={one}", "--learn=series", *tests, f"--out={run_}", *SMALL]) == 0
    found = json.loads((run_ / "report.json").read_text())["tests"]
    assert found["one"]["mae"] == found["other"]["mae"]
    capsys.readouterr()
    said = []
    for file in (one, other):
        assert main(["forecast", str(run_), f"--data={file}", "--quiet", "--horizon=2"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert main(["forecast", str(run_), f"--data={third}"]) == 2
    assert "cd.csv has no column 'b'; its columns are 'a', 'c'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1.5", "2.5", "3"], "line 1: the first line must name the columns, but it holds the number 1.5"),
        (["x,x", "1,2"], "has more than one column 'x'"),
        (["x", "1", "2", "NA"], "line 4: 'NA' in 'x' is not a number"),
        (["x", "1", "2", '"3,5"'], "line 4: '3,5' in 'x' is not a number"),
        (["x", '"1,5"', '"2,5"', '"3,5"'], "'x' holds numbers with a decimal comma, such as 1,5: use decimal points"),
    ],
)
def test_an_ambiguous_table_is_refused(tmp_path, lines, message):
    with refused(message, DataError):
        read_examples(written(tmp_path / "wrong.csv", lines), "series")


def test_bad_lines_can_be_skipped(tmp_path):
    tags = written(tmp_path / "tags.csv", ["sequence,tags", "ab,x y", "ab,x", "a,x"])
    read = read_examples(tags, "tags", skip_bad_lines=True)
    assert read.targets == [["x", "y"], ["x"]] and read.skipped == 1 and read.lines.tolist() == [2, 4]
    numbers = written(tmp_path / "n.csv", ["sequence,target", "ab,1", "ab,much"])
    assert read_examples(numbers, "numbers", skip_bad_lines=True).targets == [1.0]


@pytest.mark.long
def test_numbers_can_be_declared_per_step_or_not(tmp_path):
    file = written(
        tmp_path / "two.csv", ["sequence,target", *(f"{w},{i} {2 * i}" for i, w in enumerate(["ab", "ba"] * 9))]
    )
    data = (f"--data={file}", "--learn=numbers", "--validation-fraction=0")
    for given, per_step in (((), True), (("--no-per-step",), False)):
        place = tmp_path / str(per_step)
        assert main(["train", *data, *given, f"--out={place}", *SMALL]) == 0
        assert load_run(place).reader.per_step == per_step


@pytest.mark.long
def test_a_study_of_tags(folder, tmp_path):
    study = tmp_path / "study.toml"
    lines = [
        "[data]",
        f'file = "{folder / "tags.csv"}"',
        'learn = "tags"',
        "[training]",
        "max_epochs = 2",
        "seed = [0, 1]",
    ]
    written(study, [*lines, "[evaluation]", f'test = "{folder / "tags.jsonl"}"', "[model]", "dim_recurrent = 4"])
    results = sweep(study, tmp_path / "out", jobs=1, progress=False)
    tagger = SequenceTagger("rnn", dim_recurrent=4, max_epochs=2, random_state=0).fit(WORDS, MARKS)
    assert results.runs["accuracy"][0] == pytest.approx(tagger.score(WORDS, MARKS))
