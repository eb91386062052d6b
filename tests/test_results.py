"""Tables as values, and learning curves."""

import csv
import json

import numpy as np
import polars
import pytest

from myrnn.errors import InvalidArgument
from myrnn.learning_curve import CURVE_HEADERS, LearningCurve
from myrnn.results import (
    Result,
    Table,
    counted,
    integer,
    number,
    share,
    text,
)

ITERATION = LearningCurve(np.array([500, 1000]), np.array([0.7, 0.25]), np.array([0.5, 0.875]), 20)
EPOCH = LearningCurve.from_columns(
    {
        "epoch": [1, 2],
        "loss": [0.1 + 0.2, 0.25],
        "accuracy": [0.5, 0.875],
        "validation_loss": [0.8, 1 / 3],
        "validation_accuracy": [0.25, 0.5],
    },
    engine="native",
)


def a_table():
    columns = {"length": [2, 4, 1000], **counted(np.array([9, 0, 1234]), np.array([10, 0, 2468]), 0.95)}
    below = [[({"length": "all", "accuracy": 0.5, "total": 2478}, "bold")], [({"length": "guess"}, None)]]
    shown = (text("length"), share("accuracy", interval=("low", "high")), integer("total", "of"))
    return Table("Accuracy, %", columns, shown, caption="of a test", styles=[None, "yellow", None], below=below)


# --- tables


def test_counts_give_accuracy_and_interval():
    first, nothing, _ = a_table().rows()
    assert list(first) == ["length", "total", "correct", "accuracy", "low", "high"]
    assert (first["accuracy"], round(first["low"], 3), round(first["high"], 3)) == (0.9, 0.596, 0.982)
    assert nothing == {"length": 4, "total": 0, "correct": 0, "accuracy": None, "low": 0.0, "high": 1.0}


def test_a_terminal_shows_the_chosen_columns():
    lines = [line.split() for line in a_table().to_text().splitlines()]
    assert lines[0] == ["Accuracy,", "%"]
    assert lines[1] == ["length", "accuracy", "of"]
    assert lines[3:6] == [["2", "90.0", "(59.6-98.2)", "10"], ["4", "-", "0"], ["1000", "50.0", "(48.0-52.0)", "2,468"]]
    assert lines[7] == ["all", "50.0", "2,478"]
    assert lines[9:] == [["guess"], ["of", "a", "test"]]
    assert a_table().cells("of") == ["10", "0", "2,468", "2,478", ""]
    assert max(map(len, a_table().to_text(20).splitlines())) <= 20


def test_a_notebook_shows_the_same():
    bundle = a_table()._repr_mimebundle_()
    assert "59.6-98.2" in bundle["text/html"]
    assert "guess" in bundle["text/plain"]
    assert a_table()._repr_html_() == bundle["text/html"]


def test_a_table_without_a_choice_shows_every_column():
    table = Table("", {"name": ["[red]", None], "share": [0.25, float("nan")]})
    assert (table.cells("name"), table.cells("share")) == (["[red]", ""], ["0.25", ""])
    assert "[red]  0.25" in table.to_text()
    assert repr(table) == "Table('': 2 rows of name, share)"


def test_numbers_have_a_format_and_none_is_a_dash():
    table = Table("", {"loss": [0.25, None]}, [number("loss", ".4f")])
    assert table.cells("loss") == ["0.2500", "-"]


def test_files_and_frames_have_every_digit(tmp_path):
    table = a_table()
    table.to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["accuracy"] for row in rows] == ["0.9", "", "0.5"]
    assert rows[0]["low"] == str(table.rows()[0]["low"])
    assert json.loads(table.to_json()) == table.rows()
    assert isinstance(table.to_polars(), polars.DataFrame)
    assert table.to_polars().to_dicts() == table.rows()
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert frame["total"].tolist() == [10, 0, 2468]
    assert pandas.isna(frame["accuracy"][1])


def test_values_are_plain_python():
    table = Table("", {"a": [np.int64(3), 4], "b": (np.float32(0.5), np.nan), "c": np.array([True, False])})
    assert table.to_json() == '[{"a": 3, "b": 0.5, "c": true}, {"a": 4, "b": null, "c": false}]'


def test_an_empty_table_is_valid(tmp_path):
    table = Table("", {"run": [], "loss": []}, [text("run")])
    table.to_csv(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text(encoding="utf-8") == "run,loss\n"
    assert (len(table), table.rows(), table.to_polars().shape) == (0, [], (0, 2))


# --- learning curves


@pytest.mark.parametrize("curve", [ITERATION, EPOCH])
def test_a_curve_is_the_same_after_a_file(curve, tmp_path):
    curve.to_csv(tmp_path / "curve.csv")
    again = LearningCurve.from_csv((tmp_path / "curve.csv").read_bytes(), longest=curve.longest, engine=curve.engine)
    assert {name: column.tolist() for name, column in again.columns.items()} == {
        name: column.tolist() for name, column in curve.columns.items()
    }
    assert (again.unit, again.longest, again.engine) == (curve.unit, curve.longest, curve.engine)
    assert tuple(curve.columns) in CURVE_HEADERS


def test_lines_can_have_any_line_ending():
    content = b"epoch,loss,accuracy\n1,0.5,1\n2,0.25,1.0\n"
    for one in (content, content.replace(b"\n", b"\r\n")):
        curve = LearningCurve.from_csv(one)
        assert (curve.epoch.tolist(), curve.loss.tolist(), curve.accuracy.tolist()) == ([1, 2], [0.5, 0.25], [1, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not enough values to unpack"),
        (b"iteration,loss\n1,2\n", "its columns must be iteration, loss, accuracy"),
        (b"epoch,loss,accuracy\n1,0.5\n", "row 1 has 2 columns, not 3"),
        (b"epoch,loss,accuracy\nx,0.5,1\n", "invalid literal for int"),
        (b"iteration,loss,accuracy\n99999999999999999999,0.5,1\n", "too large"),
        (b"iteration,loss,accuracy\n1,\xff,1\n", "invalid start byte"),
    ],
)
def test_an_invalid_curve_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        LearningCurve.from_csv(content)


def test_steps_are_named_after_what_they_count():
    assert ITERATION.iteration.tolist() == [500, 1000]
    assert EPOCH.epoch.tolist() == [1, 2]
    with pytest.raises(AttributeError, match="by iteration has no attribute 'epoch'"):
        _ = ITERATION.epoch
    assert not hasattr(EPOCH, "iteration")


def test_a_curve_shows_its_length():
    curve = LearningCurve(np.array([500, 1000]), np.array([0.7, 0.25]), np.array([0.5, 0.875]), 20)
    assert repr(curve) == "LearningCurve(1,000 iterations, 2 reports, loss 0.7000 to 0.2500, accuracy 50.0% to 87.5%)"
    assert repr(LearningCurve(*np.empty((3, 0)))) == "LearningCurve(no report yet)"


def test_a_notebook_shows_at_most_20_reports_of_a_curve():
    steps = np.arange(10, 460, 10)
    curve = LearningCurve(steps, np.linspace(0.7, 0.2, 45), np.append(np.linspace(0.5, 0.9, 44), np.nan))
    table = curve.table()
    assert (table.columns["iteration"], table.caption) == (list(range(30, 460, 30)), "15 of 45 reports")
    assert table.cells("accuracy, %")[-2:] == ["88.1", "-"]
    assert "15 of 45 reports" in curve._repr_html_()
    assert [row["iteration"] for row in curve.rows()] == steps.tolist()
    assert EPOCH.table().columns.keys() == EPOCH.columns.keys() and EPOCH.table().caption is None
    assert len(LearningCurve(*np.empty((3, 0))).table()) == 0


def test_consecutive_curves_are_joined():
    first = LearningCurve(np.array([5, 8]), np.array([0.7, 0.6]), np.array([0.5, 0.6]), 20, "mygrad", 0.5)
    later = LearningCurve(np.array([5, 7]), np.array([0.4, 0.3]), np.array([0.7, 0.8]), 6, "native", 0.5)
    joined = first.joined(later)
    assert joined.iteration.tolist() == [5, 8, 13, 15]
    assert joined.loss.tolist() == [0.7, 0.6, 0.4, 0.3]
    assert joined.accuracy.tolist() == [0.5, 0.6, 0.7, 0.8]
    assert (joined.longest, joined.engine, joined.chance) == (20, "native", 0.5)
    none = LearningCurve(*np.empty((3, 0), dtype=np.int64))
    assert none.joined(later).iteration.tolist() == [5, 7]
    assert first.joined(none).iteration.tolist() == [5, 8]


def test_validation_is_also_joined():
    joined = EPOCH.joined(EPOCH)
    assert joined.epoch.tolist() == [1, 2, 3, 4]
    assert joined.validation_accuracy.tolist() == [0.25, 0.5, 0.25, 0.5]
    with pytest.raises(InvalidArgument, match="curves of iteration, loss, accuracy and of epoch, loss, acc"):
        ITERATION.joined(EPOCH)


def test_curves_are_drawn_against_what_they_count():
    assert [len(ax.get_lines()) for ax in ITERATION.plot()] == [1, 1]
    loss, accuracy = EPOCH.plot()
    assert [line.get_label() for line in loss.get_lines()] == ["training", "validation"]
    assert accuracy.get_xlabel() == "epochs"


def test_digits_that_come_from_rounding_are_not_shown():
    table = Table("", {"share": [0.1 + 0.2, 1 - 1e-16, 0.1234567, 2e-20]})
    assert table.cells("share") == ["0.3", "1", "0.1234567", "2e-20"]
    assert table.columns["share"][0] == 0.1 + 0.2


# --- results


class Words(Result):
    def table(self):
        return Table("Words", {"word": ["yes", "no"], "count": [2, 1]})


def test_a_result_has_the_forms_of_its_table():
    assert Words().rows() == Words().to_polars().to_dicts() == [{"word": "yes", "count": 2}, {"word": "no", "count": 1}]
    assert str(Words()) == str(Words().table())
    assert "yes" in Words()._repr_html_()
    pytest.importorskip("pandas")
    assert Words().to_pandas()["count"].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: ITERATION.plot("loss"), "what must be one of 'learning_curve', not 'loss'"),
        (lambda: ITERATION.plot(3), "what must be one of 'learning_curve', not 3"),
        (lambda: Words().plot(), "there is no figure of Words: it has a table, rows and to_csv"),
    ],
)
def test_a_figure_that_does_not_exist_is_refused(draw, message):
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        draw()


def test_a_subclass_is_drawn_as_its_base():
    class Later(LearningCurve):
        pass

    later = Later.from_columns(ITERATION.columns)
    assert type(later) is Later
    assert [ax.get_ylabel() for ax in later.plot("learning_curve")] == ["loss", "accuracy"]
