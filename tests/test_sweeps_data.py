"""Studies on files: files x networks x tests in one table, wherever the runs are done and however they stop."""

import csv
import json
import os
import random
import re
import shutil
import signal

import polars
import pytest

import myrnn
from clusters import dask_cluster
from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.runs.training import trained
from myrnn.sweeps import folder as sweep_folder
from myrnn.sweeps import load_sweep, read_study, sweep
from myrnn.sweeps.results import found_columns
from sweeps_help import SweepProcess

STUDY = """
[data]
file = ["even/train.csv", "first/train.csv"]

[model]
name = ["rnn", "gru"]
dim_recurrent = 3

[training]
max_epochs = 2
batch_size = 8
engine = "mygrad"
seed = "0:1"

[evaluation]
test = { short = "{folder}/short.csv", long = "{folder}/long.csv" }
"""
RUNS = 8
TABLES = ("results.csv", "results.parquet", "lengths.csv", "tests.csv", "tests.parquet", "groups.csv")
LANGUAGES = {"even": lambda word: word.count("b") % 2 == 0, "first": lambda word: word[0] == "a"}


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def words(longest, count):
    """Return words of two letters, always the same."""
    draw = random.Random(longest)
    return ["".join(draw.choices("ab", k=draw.randint(1, longest))) for _ in range(count)]


def write_table(path, belongs, rows):
    lines = [f"{word},{'yes' if belongs(word) else 'no'}\n" for word in rows]
    path.write_text("sequence,label\n" + "".join(lines))


def write_languages(folder):
    """Write the files of two languages, and the study that names them."""
    for name, belongs in LANGUAGES.items():
        (folder / name).mkdir(parents=True)
        for file, rows in (("train", words(5, 24)), ("short", words(4, 10)), ("long", words(9, 10))):
            write_table(folder / name / f"{file}.csv", belongs, rows)
    (folder / "study.toml").write_text(STUDY)
    return folder / "study.toml"


def tables(folder):
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_languages(tmp_path_factory.mktemp("languages"))


@pytest.fixture(scope="module")
def one_core(study, tmp_path_factory):
    """The folder of its sweep on one core, which nothing writes to."""
    folder = tmp_path_factory.mktemp("one") / "core"
    sweep(study, folder, jobs=1)
    return folder


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """Skip the figures, which take most of the time of a small sweep, except in `one_core`."""
    monkeypatch.setattr(sweep_folder, "_write_figures", lambda results: None)


# --- the content of a study


def test_files_are_combined_with_all_other_settings(study):
    runs = [
        (p.experiment.source.settings.file, dict(p.experiment.evaluation.test)["long"], p.settings["model.name"])
        for p in read_study(study).points
    ]
    assert runs == [
        (f"{language}/train.csv", f"{language}/long.csv", name)
        for language in ("even", "first")
        for name in ("rnn", "gru")
        for _ in range(2)
    ]


def test_defaults_are_those_of_training_on_data(study):
    point = read_study(study).points[0]
    assert point.label == "rnn of 3 units on even/train.csv, adam at 0.003, seed 0"
    assert point.settings["model.recurrent_init"] == "orthogonal"
    assert point.settings["training.early_stopping_patience"] == 20


def test_an_identity_does_not_depend_on_the_paths_of_files(study, tmp_path):
    elsewhere = write_languages(tmp_path / "elsewhere")
    assert [p.run for p in read_study(elsewhere).points] == [p.run for p in read_study(study).points]


def test_variants_can_contain_data_and_tests():
    given = {
        "variants": [
            {"name": "one", "data": {"file": "a.csv"}, "evaluation": {"test": "b.csv"}},
            {"name": "two", "data": {"file": "text.txt.gz", "labels": "{stem}.labels"}},
        ],
        "evaluation": {"test": {"held out": "{stem}-test.csv"}},
    }
    found = {point.variant: point.experiment for point in read_study(given).points}
    assert found["one"].evaluation.test == (("b", "b.csv"),)
    assert found["two"].source.settings.labels == "text.labels"
    assert found["two"].evaluation.test == (("held out", "text-test.csv"),)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": {}}, "[data] file is missing: it names the training data"),
        ({"data": {"file": ["a.csv", 3]}}, "[data] file must be text, not 3"),
        (
            {"data": {"file": "a.txt"}},
            "[data] a.txt is plain text: give its labels, one per line, with labels",
        ),
        ({"data": {"file": "a.csv"}, "task": {}}, "a run has [task] or [data], not both"),
        (
            {"data": {"file": "a.csv"}, "variants": [{"name": "v", "task": {}}]},
            "variant 'v': a run has [task] or [data], not both",
        ),
        (
            {"variants": [{"name": "v", "data": {"file": "a.csv"}}, {"name": "w"}]},
            "some variants have [data], others none: a study is of runs on tasks or on data",
        ),
        (
            {"data": {"file": "a.csv"}, "evaluation": {"test": ["b/c.csv", "d/c.csv"]}},
            "[evaluation] test has two files of the name 'c': name them, as NAME=FILE",
        ),
    ],
)
def test_mistakes_are_reported_with_their_place(given, message):
    with refused(f"study: {message}"):
        read_study(given)


# --- results


def test_a_run_agrees_with_training_on_files(study, one_core, tmp_path):
    results = load_sweep(one_core)
    row = results.runs["training.seed"].index(1)
    point = read_study(study).points[row]
    myrnn.run(point.located, tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert point.run == results.runs["run"][row]
    assert results.runs["loss"][row] == report["training"]["loss"]
    assert results.runs["parameters"][row] == report["training"]["parameters"]
    for name in ("short", "long"):
        assert results.runs[f"test.{name}"][row] == report["tests"][name]["accuracy"]


def test_the_table_of_tests_has_one_row_per_run_and_test(one_core):
    with open(one_core / "tests.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * RUNS
    assert list(rows[0])[1:8] == ["data.file", "model.name", "training.seed", "test", "total", "correct", "accuracy"]
    assert [row["test"] for row in rows] == ["short", "long"] * RUNS
    results = load_sweep(one_core)
    for row in rows:
        place = results.runs["run"].index(row["run"])
        assert float(row["accuracy"]) == results.runs[f"test.{row['test']}"][place]
        assert int(row["correct"]) / int(row["total"]) == float(row["accuracy"])
    assert polars.read_parquet(one_core / "tests.parquet").height == 2 * RUNS


def test_accuracies_are_those_of_all_tests_of_the_worst_and_beyond(one_core):
    results = load_sweep(one_core)
    runs, lengths = results.runs, results.lengths
    counts = list(zip(*(lengths[name] for name in ("run", "length", "total", "correct")), strict=True))
    for row in range(RUNS):
        tests = runs["test.short"][row], runs["test.long"][row]
        assert runs["accuracy"][row] == pytest.approx(sum(tests) / 2)
        assert runs["worst"][row] == min(tests)
        mine = [counted for counted in counts if counted[0] == runs["run"][row]]
        above = [counted for counted in mine if counted[1] > runs["longest"][row]]
        assert 0 < len(above) < len(mine)
        assert runs["beyond"][row] == sum(right for *_, right in above) / sum(total for _, _, total, _ in above)
        assert runs["validation"][row] is not None


def test_the_groups_have_a_column_for_each_test(one_core):
    results = load_sweep(one_core)
    table = results.table()
    assert [column.heading for column in table.shown][:5] == ["file", "model", "runs", "short", "long"]
    long = {(group["data.file"], group["model.name"]): group["mean"] for group in results.groups(metric="test.long")}
    assert table.columns["test.long"] == list(long.values())
    assert results.best("test.long")["test.long"] == max(results.runs["test.long"])
    with refused(
        "metric must be one of 'accuracy', 'worst', 'beyond', 'validation', 'validation_loss', 'loss', 'test.short', "
        "'test.long', not 'test.lang'; did you mean 'test.long'?"
    ):
        results.groups(metric="test.lang")


def test_the_figures_exist(one_core):
    names = {path.stem for path in one_core.glob("*.svg")}
    assert names == {"accuracy_by_length", "accuracy_by_data_file", "accuracy_by_model_name", "parallel"}


def test_runs_without_tests_are_compared_by_their_validation(study, tmp_path, monkeypatch):
    monkeypatch.undo()
    given = {**read_study(study).given, "model": {"dim_recurrent": [2, 3]}}
    given = {**given, "data": {"file": str(study.parent / "even" / "train.csv")}, "evaluation": {}}
    results = sweep(given, tmp_path / "out", jobs=1, metric="validation")
    assert set(results.runs["accuracy"]) == {None} and results.best() == results.best("validation") is not None
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {
        "validation_by_model_dim_recurrent", "parallel",
    }  # fmt: skip


@pytest.fixture
def overflowing(monkeypatch):
    """Every network of a study has weights that make its outputs infinite."""

    def trained_and_spoilt(*given, **options):
        run = trained(*given, **options)
        for parameter in run.model.parameters:
            parameter.data[...] = 3e38
        return run

    monkeypatch.setattr("myrnn.sweeps.run.trained", trained_and_spoilt)


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def small_study(file, learn, **model):
    return {
        "name": learn,
        "data": {"file": file, "learn": learn},
        "model": {"dim_recurrent": [2, 3], **model},
        "training": {"max_epochs": 1, "engine": "mygrad"},
        "evaluation": {"test": file},
    }


def rows_to_learn(learn):
    """Return 16 rows of a file of this kind."""
    draw = random.Random(5)
    for word in words(9, 16):
        numbers = [round(draw.random(), 3) for _ in range(len(word) + 1)]
        yield {
            "labels": {"sequence": word, "label": word[0]},
            "tags": {"sequence": list(word), "tags": list(word)},
            "numbers": {"sequence": numbers, "target": sum(numbers)},
            "text": {"sequence": word + "a"},
            "series": {"sequence": [[number] for number in numbers]},
        }[learn]


MEASURES = {
    "labels": ("accuracy", "worst", "beyond"),
    "tags": ("accuracy", "worst"),
    "numbers": ("rmse", "mae", "worst"),
    "text": ("bits_per_symbol", "accuracy", "worst"),
    "series": ("rmse", "mae", "worst"),
}


@pytest.mark.parametrize("learn", MEASURES)
@pytest.mark.filterwarnings("ignore:.*(a trend|are also in the training data)")
def test_a_study_of_any_kind_of_data_is_compared_by_its_own_scores(learn, tmp_path):
    rows = list(rows_to_learn(learn))
    file = write_lines(tmp_path / "train.jsonl", rows)
    few = write_lines(tmp_path / "few.jsonl", rows[:5])
    study = small_study(file, learn)
    study["evaluation"] = {"test": {"one": file, "few": few}}
    results = sweep(study, tmp_path / "out", jobs=1)
    assert results.failed == 0, results.runs["error"]
    main_score = MEASURES[learn][0]
    found = [name for name in results.runs if name in found_columns(results.study)]
    others = (*MEASURES[learn], "validation", "validation_loss", "test.one", "test.few")
    assert found[6:] == ["loss", *others]
    run = myrnn.run(results.study.points[0].located, tmp_path / "run", progress=False)
    report, best = run.report["tests"], run.best - 1
    row = {name: column[0] for name, column in results.runs.items()}
    for name, test in report.items():
        assert row[f"test.{name}"] == test[main_score]
        place = results.tests["test"].index(name)
        total = next(test[unit] for unit in ("steps", "rows", "sequences") if unit in test)
        assert results.tests["total"][place] == total
        for score in run.test()[name].report.scores:
            assert results.tests[score][place] == test[score]
    units = ("steps", "rows", "sequences")
    totals = [next(test[unit] for unit in units if unit in test) for test in report.values()]
    both = list(zip(totals, (test[main_score] for test in report.values()), strict=True))
    power = 2 if main_score == "rmse" else 1
    mean = sum(count * score**power for count, score in both) / sum(count for count, _ in both)
    assert row[main_score] == pytest.approx(mean ** (1 / power))
    is_share = main_score == "accuracy"
    assert row["worst"] == (min if is_share else max)(score for _, score in both)
    assert row["validation"] == run.history.validation_score[best]
    assert row["validation_loss"] == run.history.validation_loss[best]
    assert results.best()[main_score] == (max if is_share else min)(results.runs[main_score])
    assert results.best("validation_loss")["validation_loss"] == min(results.runs["validation_loss"])
    assert f"best {main_score} " in repr(results)
    assert results.table().title.startswith(f"{learn}: {main_score.replace('_', ' ')}")


def test_runs_that_learn_different_things_are_refused_before_any_is_done():
    given = {"data": {"file": "a.jsonl", "learn": ["labels", "tags"]}}
    with refused("study: some runs learn labels, others tags: a study compares runs that learn the same"):
        read_study(given)


def test_what_shows_lengths_is_refused_before_any_run_is_done(tmp_path, capsys):
    file = write_lines(tmp_path / "train.jsonl", rows_to_learn("numbers"))
    study = tmp_path / "study.toml"
    study.write_text(f'[data]\nfile = "{file}"\nlearn = "numbers"\n')
    for option in ("--summary", "--grid"):
        assert main(["sweep", str(study), option, f"--out={tmp_path / 'out'}"]) == 2
        message = f"{option} shows accuracy by the length of sequences, but the runs learn numbers"
        assert capsys.readouterr().err == f"myrnn: {message}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("learn", ["tags", "text"])
@pytest.mark.filterwarnings("ignore:in 2 runs the scores of")
def test_steps_without_finite_scores_are_counted(learn, overflowing, tmp_path):
    rows = [{"sequence": list(word), "tags": list(word)} for word in words(5, 12)]
    file = write_lines(tmp_path / "steps.jsonl", rows)
    results = sweep(small_study(file, learn), tmp_path / "out", jobs=1)
    steps = sum(len(row["sequence"]) - (learn == "text") for row in rows)
    assert results.runs["not_finite"] == [steps, steps]
    assert results.not_finite == 2 * steps


def test_the_command_line_shows_languages_networks_and_tests(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["sweep", str(study), "--jobs", "1", "--metric", "accuracy"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["file", "model", "runs", "short", "long", "mean", "spread", "low", "high"] in lines
    assert sum(line[:1] == ["first/train.csv"] for line in lines) == 2
    assert main(["sweep", str(study), "--plan"]) == 0
    assert "rnn of 3 units on even/train.csv, adam at 0.003, seed 0" in capsys.readouterr().out


# --- the same table


@pytest.mark.long
def test_two_cores_and_another_folder_give_the_same_bytes(study, one_core, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep(os.path.relpath(study), tmp_path / "out", jobs=2)
    assert tables(tmp_path / "out") == tables(one_core)


def test_runs_on_a_changed_file_are_repeated(one_core, tmp_path):
    study = write_languages(tmp_path / "languages")
    shutil.copytree(one_core, tmp_path / "out", ignore=shutil.ignore_patterns("*.svg", "*.png"))
    log = tmp_path / "out" / "results.jsonl"
    sweep(study, tmp_path / "out", jobs=1)
    assert log.read_bytes() == (one_core / "results.jsonl").read_bytes()
    write_table(study.parent / "first" / "long.csv", LANGUAGES["first"], words(10, 12))
    results = sweep(study, tmp_path / "out", jobs=1)
    assert log.read_bytes().count(b"\n") == RUNS + RUNS // 2
    assert sorted(set(results.tests["total"])) == [10, 12]


def test_a_missing_file_is_reported_before_anything_runs(tmp_path):
    study = write_languages(tmp_path / "languages")
    missing = study.parent / "first" / "short.csv"
    missing.unlink()
    with refused(f"{missing} cannot be read: No such file or directory"):
        sweep(study, tmp_path / "out", jobs=1)
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_an_unusable_file_only_fails_its_runs(tmp_path):
    study = write_languages(tmp_path / "languages")
    write_table(study.parent / "even" / "train.csv", lambda word: True, words(4, 10))
    results = sweep(study, tmp_path / "out", jobs=1)
    pairs = zip(results.runs["data.file"], results.runs["status"], strict=True)
    failed = [file for file, status in pairs if status == "failed"]
    assert failed == ["even/train.csv"] * 4
    assert results.runs["error"][0] == (
        "InvalidArgument: even/train.csv holds one class only, 'yes': a classifier needs two or more"
    )


@pytest.mark.long
def test_an_interrupted_run_does_not_count(study, one_core, tmp_path):
    endless = study.with_name("endless.toml")
    variant = "training = { max_epochs = 100_000_000, early_stopping_patience = 100_000_000, seed = 0 }"
    endless.write_text(f'{STUDY}\n[[variants]]\nname = "short"\n\n[[variants]]\nname = "endless"\n{variant}\n')
    process = SweepProcess(endless, tmp_path / "out", "--jobs", "1")
    process.wait_for(RUNS)
    process.signal(signal.SIGTERM)
    code, _, error = process.end()
    assert code == 143
    assert re.match(r"myrnn: terminated: 8 of 12 runs are done and kept in .*; the same command goes on$", error)
    assert (tmp_path / "out" / "results.jsonl").read_bytes().count(b"\n") == RUNS
    sweep(study, tmp_path / "out", jobs=1)
    assert tables(tmp_path / "out") == tables(one_core)


@pytest.mark.long
def test_a_killed_sweep_resumes(study, one_core, tmp_path):
    process = SweepProcess(study, tmp_path / "out", "--jobs", "2")
    process.wait_for(3)
    process.kill()
    assert SweepProcess(study, tmp_path / "out", "--jobs", "2").end()[0] == 0
    assert tables(tmp_path / "out") == tables(one_core)


@pytest.mark.long
def test_dask_gives_the_same_bytes(study, one_core, tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with dask_cluster() as (address, _):
        process = SweepProcess(study, tmp_path / "out", "--backend", "dask", "--address", address)
        assert process.end()[0] == 0
    assert tables(tmp_path / "out") == tables(one_core)
