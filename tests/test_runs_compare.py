import hashlib
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from myrnn import Experiment, run
from myrnn.cli import main
from myrnn.errors import InvalidArgument, RunError
from myrnn.evaluation import Estimate
from myrnn.intervals import newcombe_interval
from myrnn.runs import ComparedRun, RunComparison, compare_runs, load_run
from myrnn.storage import seal
from run_folders import data_run, gru_run, task_run, without_pictures


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    task_run(folder / "rnn")
    task_run(folder / "longer", iterations=50)
    task_run(folder / "other", seed=1)
    gru_run(folder / "gru")
    data_run(folder / "words")
    data_run(folder / "wide", "--dim-recurrent=5", "--class-weight=balanced")
    return folder


@pytest.fixture
def copied(tmp_path, made, monkeypatch):
    """Return a function that copies one of the runs, so that tests can change it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda name, to=None: without_pictures(made / name, tmp_path / (to or name))


def edit_json(folder, name, change):
    """Change a JSON file of a run, and its entry in the index."""
    path = next(folder / index for index in ("settings.json", "data.json") if (folder / index).exists())
    content = json.loads((folder / name).read_text())
    change(content)
    written = json.dumps(content if name != path.name else seal(content)).encode()
    (folder / name).write_bytes(written)
    if name != path.name:
        facts = {"bytes": len(written), "sha256": hashlib.sha256(written).hexdigest()}
        edit_json(folder, path.name, lambda index: index["files"].update({name: facts}))


def test_two_runs_of_the_same_settings_are_the_same(made, copied):
    found = compare_runs(made / "rnn", copied("rnn", "again"))
    assert found.settings == {}
    assert found.weight_distance == 0.0
    assert found.common_reports == 3
    assert not found.accuracy.difference.any()
    assert repr(found) == "RunComparison(rnn and again: 0 settings differ, weights the same)"


def test_settings_that_differ(made):
    found = compare_runs(made / "rnn", made / "gru")
    assert found.names == ("rnn", "gru")
    assert found.settings == {
        "model.name": ("rnn", "gru"),
        "model.activation": ("relu", None),
        "training.iterations": (30, 20),
        "training.seed": (0, 1),
    }
    assert found.weight_distance is None
    assert "weights of different shapes" in repr(found)


def test_other_versions_and_kinds_of_values_differ(made, copied):
    folder = copied("rnn", "changed")

    def change(index):
        index["versions"]["python"] = "3.1"
        index["training"]["batch_size"] = True
        index["training"]["extra"] = [1, {"a": None}]

    edit_json(folder, "settings.json", change)
    settings = compare_runs(made / "rnn", folder).settings
    assert settings["versions.python"][1] == "3.1"
    assert settings["training.batch_size"] == (1, True)
    assert settings["training.extra"] == (None, '[1, {"a": null}]')


def test_the_distance_of_weights(made):
    one, other = (load_run(made / name).model.parameters for name in ("rnn", "other"))
    largest = max(np.abs(a.data.astype(float) - b.data.astype(float)).max() for a, b in zip(one, other, strict=True))
    assert compare_runs(made / "rnn", made / "other").weight_distance == largest > 0


def test_the_number_of_common_reports(made):
    assert compare_runs(made / "rnn", made / "longer").common_reports == 3
    assert compare_runs(made / "rnn", made / "other").common_reports == 0


def test_accuracy_by_length_agrees_with_the_reports(made):
    found = compare_runs(made / "rnn", made / "gru").accuracy
    one, other = (load_run(made / name).report["tests"]["task"]["lengths"] for name in ("rnn", "gru"))
    assert found.lengths.tolist() == [2, 4, 6, 8]
    differences = [a["accuracy"] - b["accuracy"] for a, b in zip(one, other, strict=True)]
    assert np.allclose(found.difference, differences, atol=1e-12)
    counts = [[row[key] for row in rows] for rows in (one, other) for key in ("correct", "total")]
    assert np.array_equal(found.interval, newcombe_interval(*counts))
    assert set(found.groups()) == {"trained", "beyond", "all"}


def test_runs_without_lengths_in_common_have_no_difference(made, copied):
    folder = copied("rnn", "untested")
    edit_json(folder, "report.json", lambda report: report.pop("tests"))
    found = compare_runs(made / "rnn", folder)
    assert found.accuracy is None
    assert len(found.table()) == 0
    assert len(found.plot()) == 2

    def longer(report):
        report["tests"]["task"]["lengths"] = [{"length": 99, "total": 3, "correct": 2}]

    folder = copied("rnn", "longer")
    edit_json(folder, "report.json", longer)
    assert compare_runs(made / "rnn", folder).accuracy is None


def test_runs_on_data_compare_in_the_same_way(made):
    found = compare_runs(made / "words", made / "wide")
    assert found.settings == {"model.dim_recurrent": (4, 5), "training.class_weight": (None, "balanced")}
    assert found.accuracy is None
    assert [column.heading for column in found.table().shown][:3] == ["length", "words", "wide"]
    one, other = (json.loads((made / name / "report.json").read_text())["tests"]["data"] for name in ("words", "wide"))
    ends = newcombe_interval(*(round(report["accuracy"] * 24) if k else 24 for report in (one, other) for k in (1, 0)))
    difference = f"{100 * (one['accuracy'] - other['accuracy']):+.1f} ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
    assert found.table().cells("difference (95%)")[-1] == difference
    assert found.table().columns["length"] == ["1", "2", "3", "all"]


def test_data_runs_with_different_tests_are_compared_as_a_whole(made, copied):
    folder = copied("words", "other")

    def change(report):
        rows = report["tests"]["data"]["lengths"]
        rows[0]["last"] = rows.pop(1)["last"]

    edit_json(folder, "report.json", change)
    assert compare_runs(made / "words", folder).table().columns["length"] == ["all"]
    edit_json(folder, "report.json", lambda report: report.pop("tests"))
    assert compare_runs(made / "words", folder).table().rows() == []


def test_data_runs_with_several_tests_compare_test_by_test(made, tmp_path):
    (tmp_path / "short.csv").write_text("sequence,label\nfine,pos\nbad,neg\n")
    tests = (f"--test=short={tmp_path / 'short.csv'}", f"--test=long={made / 'data.csv'}")
    for name, further in (("one", ()), ("other", ("--dim-recurrent=5",))):
        data_run(tmp_path / name, *tests, *further)
    found = compare_runs(tmp_path / "one", tmp_path / "other")
    tested = [json.loads((tmp_path / name / "report.json").read_text())["tests"] for name in ("one", "other")]
    assert found.table().columns["test"] == [name for name in tested[0] if name in tested[1]]
    assert found.table().columns["first"] == [test["accuracy"] for test in tested[0].values()]
    assert compare_runs(tmp_path / "one", made / "words").table().columns["test"] == ["data"]


def test_incomparable_arguments_are_refused(made, tmp_path):
    for first, second, kind, message in (
        (made / "rnn", made / "rnn", InvalidArgument, f"{made / 'rnn'} is given twice"),
        (made / "rnn", tmp_path / "gone", RunError, f"there is no run folder {tmp_path / 'gone'}"),
        (
            made / "words",
            made / "rnn",
            InvalidArgument,
            f"{made / 'rnn'} was trained on a task, {made / 'words'} on data: there is nothing to compare",
        ),
    ):
        with pytest.raises(kind, match=f"^{re.escape(message)}$"):
            compare_runs(first, second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(lengths=[]), "'lengths' must be a list of records"),
        (lambda e: e.update(lengths=[3]), "'lengths' must be a list of records"),
        (lambda e: e["lengths"].reverse(), "the lengths must rise"),
        (lambda e: e["lengths"][0].update(length=True), "length must be an integer, not True"),
        (lambda e: e["lengths"][0].update(correct=2**53 + 1), f"correct must be at most {2**53}, not {2**53 + 1}"),
        (lambda e: e["lengths"][0].update(correct=21), "'correct' must be 'total' at most"),
        (lambda e: e["lengths"][0].update(correct=0, total=0), "'total' must be 1 at least"),
        (lambda e: e.update(chance=None), "chance must be a number, not None"),
        (lambda e: e.update(confidence=1), "confidence must be below 1, not 1.0"),
    ],
)
def test_an_invalid_test_is_refused(made, copied, change, message):
    folder = copied("rnn", "changed")
    edit_json(folder, "report.json", lambda report: change(report["tests"]["task"]))
    with pytest.raises(RunError, match=f"^{re.escape(f'{folder}: report.json cannot be used: {message}')}$"):
        compare_runs(made / "rnn", folder)


def test_a_test_that_is_not_an_object_is_refused(made, copied):
    folder = copied("rnn", "changed")
    edit_json(folder, "report.json", lambda report: report.update(tests=[1]))
    with pytest.raises(RunError, match=r"report\.json cannot be used: tests must be an object, not \[1\]$"):
        compare_runs(made / "rnn", folder)
    folder = copied("words", "bucketless")
    edit_json(folder, "report.json", lambda report: report["tests"]["data"]["lengths"][0].update(first=9))
    with pytest.raises(RunError, match=r"report\.json cannot be used: 'last' must be 'first' at least$"):
        compare_runs(made / "words", folder)
    folder = copied("words", "too-good")
    edit_json(folder, "report.json", lambda report: report["tests"]["data"]["lengths"][0].update(accuracy=1.5))
    with pytest.raises(RunError, match=r"report\.json cannot be used: 'accuracy' must be 1 at most$"):
        compare_runs(made / "words", folder)


def test_scores_are_compared_if_only_one_run_has_an_interval(made, copied):
    curve = compare_runs(made / "words", made / "wide").first.curve
    one = ComparedRun({}, {}, curve, {"one": {"mae": Estimate(1.25, 0.5, 2.0), "rmse": Estimate(2.0)}})
    other = ComparedRun({}, {}, curve, {"other": {"mae": Estimate(1.5), "macro_f1": Estimate(0.5)}})
    for first, second in ((one, other), (other, one)):
        (row,) = RunComparison(first, second, ("a", "b")).table().rows()
        cells = {"1.250 (0.500 to 2.000)", "1.500"}
        assert (row["score"], {row["first"], row["second"]}) == ("mae", cells)
    both = {"macro_f1": Estimate(0.5), "accuracy": Estimate(0.75, 0.7, 0.8)}
    found = RunComparison(*2 * [ComparedRun({}, {}, curve, {"t": both, "u": both})], ("a", "b"))
    assert [(row["test"], row["score"], row["first"]) for row in found.table().rows()] == [
        (test, *cells) for test in "tu" for cells in (("macro f1, %", "50.0"), ("accuracy, %", "75.0 (70.0-80.0)"))
    ]


def test_a_run_with_one_test_row_is_compared(tmp_path):
    numbers = "".join(json.dumps({"sequence": [0.1 * i, 0.3], "target": 0.5 * i}) + "\n" for i in range(20))
    (tmp_path / "many.jsonl").write_text(numbers)
    (tmp_path / "one.jsonl").write_text(json.dumps({"sequence": [0.7, 0.8], "target": 1.0}))
    for name in ("one", "many"):
        settings = {"file": str(tmp_path / "many.jsonl"), "learn": "numbers"}
        sections = {
            "training": {"max_epochs": 1, "engine": "mygrad"},
            "evaluation": {"test": f"{tmp_path}/{name}.jsonl"},
        }
        with warnings.catch_warnings(action="ignore"):  # the many are those of the training
            run(Experiment(data=settings, model="rnn:dim_recurrent=2", **sections), tmp_path / name, progress=False)
    scores = compare_runs(tmp_path / "many", tmp_path / "one").table().columns["score"]
    assert scores == ["mae", "rmse"]


def test_weights_of_other_dtypes_are_different(made, copied):
    folder = copied("rnn", "changed")
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    weights["fc_h2y.bias"] = weights["fc_h2y.bias"].astype(np.float64)
    content = safetensors.numpy.save(weights)
    (folder / "model.safetensors").write_bytes(content)

    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit_json(folder, "settings.json", lambda index: index["files"].update({"model.safetensors": facts}))
    assert compare_runs(made / "rnn", folder).weight_distance == 0.0


# --- the command


def test_the_command_shows_what_differs(made, copied, drawn_figures, capsys):
    assert main(["runs", "compare", str(made / "rnn"), str(made / "gru"), "--figure=two.png"]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["training.iterations", "30", "20"] in lines
    assert ["model.activation", "relu", "-"] in lines
    assert ["weights", "of", "different", "shapes"] in lines
    assert ["history", "differs", "from", "the", "beginning"] in lines
    assert any(line[:1] == ["beyond"] and line[-1] in ("yes", "no") for line in lines)
    assert lines[-1] == ["figure", "two.png"]
    assert max(map(len, out.splitlines())) <= 80
    with Image.open("two.png") as image:
        assert image.size[0] == 1280


def test_the_command_shows_what_is_equal(made, copied, capsys):
    assert main(["runs", "compare", str(made / "rnn"), str(copied("rnn", "again"))]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the same settings\n\nweights     the same\nhistory     the same\n")
    assert main(["runs", "compare", str(made / "rnn"), str(made / "longer")]) == 0
    assert "history     the same up to 30 iterations\n" in capsys.readouterr().out


def test_the_command_says_that_tasks_differ_or_tests_are_missing(made, copied, drawn_figures, capsys):
    folder = copied("rnn", "changed")
    edit_json(folder, "settings.json", lambda index: index["task"].update(negatives="near_miss"))
    assert main(["runs", "compare", str(made / "rnn"), str(folder)]) == 0
    assert "note        the tasks differ: each run was tested on sequences of its own task\n" in capsys.readouterr().out
    edit_json(folder, "report.json", lambda report: report.pop("tests"))
    assert main(["runs", "compare", str(made / "rnn"), str(folder), "--figure=trainings.svg"]) == 0
    out = capsys.readouterr().out
    assert "nothing to compare by length: one of the two was not tested, or only on other lengths\n" in out
    assert Path("trainings.svg").read_text().count('id="training"') == 4


def test_a_folder_called_compare_is_listed_by_its_path(made, copied, capsys):
    Path("compare").mkdir()
    assert main(["runs", "./compare"]) == 0
    assert capsys.readouterr().out == "no runs in compare\n"
