"""The notebook of the lesson's second part runs, and its claims hold."""

import ast
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cells import run
from myrnn.evaluation import Report
from myrnn.exercises import (
    ExerciseReport,
    answers,
    check_draw_symbol,
    check_naive_forecast,
    check_next_symbols,
    check_step_model,
)
from myrnn.lesson import Cell, lesson_source, make_version, read_cells


def code_cells(version):
    return [cell for cell in read_cells(make_version(lesson_source(2), version)) if cell.kind == "code"]


def run_all(cells):
    """Run cells; return the names that they define, and their output."""
    names = {"__name__": "lesson"}
    state = np.random.get_state()  # noqa: NPY002 - the lesson seeds this generator
    shown = [run(cell, names) for cell in cells]
    np.random.set_state(state)  # noqa: NPY002
    plt.close("all")
    return names, [value for value in shown if value is not None]


@pytest.fixture(scope="module")
def lesson():
    return run_all(code_cells("instructor"))


@pytest.mark.long
def test_the_answers_of_the_lesson_are_right(lesson):
    reports = [value for value in lesson[1] if isinstance(value, ExerciseReport)]
    assert [(report.name, report.ok) for report in reports] == [
        ("next_symbols", True),
        ("StepRNN", True),
        ("draw_symbol", True),
        ("naive_forecast", True),
    ]
    assert [value.kind for value in lesson[1] if isinstance(value, Report)] == ["text", "numbers"]


@pytest.mark.long
def test_no_paragraph_is_in_the_training_and_in_the_test(lesson):
    names, _ = lesson
    training, test = (set(names[name].split("\n\n")) for name in ("training_text", "test_text"))
    assert not training & test
    assert len(names["training_text"]) > 200_000


@pytest.mark.long
def test_claims_of_the_lesson_about_the_text_hold(lesson):
    names, _ = lesson
    report, counts = names["report"], names["baselines"].scores
    assert names["history"].engine == "native"
    assert names["bits"] == pytest.approx(report.bits_per_symbol, rel=1e-4)
    # An untrained network is as good as chance.
    assert abs(names["loss"].item() - np.log(names["K"])) < 0.3
    bits = {name: scores["bits_per_symbol"].value for name, scores in counts.items()}
    best = names["baselines"].best
    assert best in ("4-gram", "5-gram")
    assert bits["6-gram"] > bits["5-gram"]
    assert bits[best] + 0.05 < report.bits_per_symbol < bits["3-gram"] - 0.3
    assert names["gated"].bits(names["test_text"]) < bits[best] - 0.03
    # Some units correlate with features that a reader would name.
    for feature in names["features"].values():
        assert abs(names["most_alike"](feature)[1]) > 0.25


@pytest.mark.long
def test_claims_of_the_lesson_about_the_series_hold(lesson):
    names, _ = lesson
    assert names["one_step"].skill > 0.9
    offsets, truth = names["offsets"], names["truth"]
    errors = {name: (names[name] - truth).reshape(len(offsets) - 1, -1) for name in ("mean", "season", "last")}
    near = {name: np.sqrt((error[:, :10] ** 2).mean()) for name, error in errors.items()}
    far = {name: np.sqrt((error[:, -10:] ** 2).mean()) for name, error in errors.items()}
    assert 3 * near["mean"] < near["season"] < near["last"]
    assert 2 * near["mean"] < far["mean"]
    assert 0.8 < names["within"].mean() < 0.99


# ---- the students' version


def test_the_students_version_is_valid_python_without_solutions():
    cells = code_cells("student")
    for cell in cells:
        ast.parse(cell.source)
    text = make_version(lesson_source(2), "student")
    for solution in (
        "tokens[:-1]",
        "mg.tanh(self",
        "exponentials",
        "scores.max()",
        "step % period",
        "For instructors",
        "COG",
    ):
        assert solution not in text
    assert len(cells) == len(code_cells("instructor"))


def test_the_students_version_starts_without_solutions(capsys):
    begin = make_version(lesson_source(2), "student").split("## 5. Training")[0].count("\n")
    names, shown = run_all(cell for cell in code_cells("student") if cell.line < begin)
    assert "continue with the StepRNN of the lesson" in capsys.readouterr().out
    assert names["Network"] is answers.StepRNN
    assert names["next_symbols"] is answers.next_symbols
    assert [report.ok for report in shown if isinstance(report, ExerciseReport)] == [False, False]
    assert names["training"].targets[:50].tolist() == names["encode"](names["training_text"][1:51]).tolist()


@pytest.mark.long
# In such a short text, some characters only occur in the test.
@pytest.mark.filterwarnings("ignore:.*not in the training:UserWarning")
def test_the_students_version_runs_without_solutions(capsys):
    short = {
        "kept)": "kept)[:30_000]",
        "dim_recurrent=128": "dim_recurrent=16",
        "iterations=4000": "iterations=20",
        "report_every=50": "report_every=10",
        "max_epochs=100,": "max_epochs=2,",
        "max_epochs=10,": "max_epochs=1,",
        "some = test_text[:4000]": "some = test_text[:1700]",
        "range(3)": "range(2)",
        "blood_cells(6900)": "blood_cells(2500)",
        "paths=300": "paths=20",
        ", 26)": ", 225)",
        "place = 8": "place = 1",
    }
    source = "\0".join(cell.source for cell in code_cells("student"))
    for long, instead in short.items():
        assert source.count(long) >= 1, long
        source = source.replace(long, instead)
    names, _ = run_all(Cell("code", part, index) for index, part in enumerate(source.split("\0")))
    assert "continue with the StepRNN of the lesson" in capsys.readouterr().out
    assert names["Network"] is answers.StepRNN
    assert names["draw_symbol"] is answers.draw_symbol
    assert names["naive_forecast"] is answers.naive_forecast
    assert names["report"].bits_per_symbol < 7
    assert names["within"].shape == (3, 50)


def test_an_unanswered_exercise_gets_a_message():
    names = {"np": np}
    for cell in code_cells("student"):
        if re.match("class StepRNN|def (next_symbols|draw_symbol|naive_forecast)", cell.source):
            run(cell, names)
    assert check_step_model(names["StepRNN"]).failed[0].detail == "parameters is of type NoneType."
    for check, fn in (
        (check_next_symbols, "next_symbols"),
        (check_draw_symbol, "draw_symbol"),
        (check_naive_forecast, "naive_forecast"),
    ):
        assert check(names[fn]).failed[0].detail == "It returned nothing: is the return missing?"
