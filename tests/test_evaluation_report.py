import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthReport, counterexamples, evaluate, shortcuts
from myrnn.intervals import newcombe_interval, wilson_interval
from myrnn.models import GRU, RNN
from myrnn.sequences import Sequences
from myrnn.tasks import Flare, TwinHalves

TASK = TwinHalves(pattern_length_max=3)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def a_report(trained_length=4, **changes):
    report = LengthReport(
        lengths=np.array([2, 4, 8]),
        total=np.array([10, 20, 40]),
        correct=np.array([9, 15, 22]),
        chance=0.5,
        trained_length=trained_length,
        class_total=np.array([[10, 0], [8, 12], [20, 20]]),
        class_correct=np.array([[9, 0], [5, 10], [4, 18]]),
        class_names=("no match", "match"),
    )
    return replace(report, **changes)


# --- by class


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_every_class_is_counted_as_by_hand(engine):
    model = RNN(10, 8, 2, rng=0)
    report = evaluate(model, TASK, samples=300, seed=4, engine=engine)
    total, correct = np.zeros((3, 2), dtype=int), np.zeros((3, 2), dtype=int)
    for x, y in TASK.sample(300, np.random.default_rng(4)):
        cell = len(x) // 2 - 1, y.item()
        total[cell] += 1
        correct[cell] += np.argmax(model(x).data) == y.item()
    assert report.class_total.tolist() == total.tolist()
    assert report.class_correct.tolist() == correct.tolist()
    assert report.class_names == ("no match", "match")
    np.testing.assert_array_equal(report.class_accuracy, correct / total)


def test_classes_of_given_sequences_are_named_by_number():
    data = Sequences(np.arange(6), np.arange(7), np.arange(6) % 3, 10)
    report = evaluate(RNN(10, 8, 4, rng=0), data)
    assert report.class_names == ("class 0", "class 1", "class 2", "class 3")
    assert report.class_total.tolist() == [[2, 2, 2, 0]]
    assert np.isnan(report.class_accuracy[0, 3])


def test_a_wrong_number_of_class_names_is_refused():
    class Misnamed(TwinHalves):
        class_names = ("yes", "no", "maybe")

    message = "^class_names must be one for each of the 2 classes, not 3$"
    for test in (evaluate, counterexamples):
        with pytest.raises(InvalidArgument, match=message):
            test(RNN(10, 8, 2, rng=0), Misnamed(), 40)


def test_outputs_beyond_the_classes_of_a_task_have_numbers():
    assert evaluate(RNN(10, 8, 4, rng=0), TASK, 40).class_names == ("no match", "match", "class 2", "class 3")


def test_eighty_lengths_have_equally_many_sequences():
    report = evaluate(RNN(10, 8, 2, rng=0), TASK, samples=800, lengths=range(2, 81, 2), trained=20)
    assert report.lengths.tolist() == list(range(2, 81, 2))
    assert report.total.tolist() == [20] * 40
    assert report.beyond.sum() == 30


def test_a_length_that_is_named_twice_is_drawn_as_often_as_the_others():
    assert evaluate(RNN(10, 8, 2, rng=0), TASK, samples=40, lengths=[4, 2, 4]).total.tolist() == [20, 20]


def test_a_smaller_alphabet_fits_in():
    model, small = RNN(10, 8, 2, rng=0), TwinHalves(1, 3, alphabet_size=4)
    drawn = small.sample(200, np.random.default_rng(1))
    report = evaluate(model, small, samples=200, seed=1)
    widened = evaluate(model, Sequences(drawn.values, drawn.offsets, drawn.labels, 10))
    assert report.class_correct.tolist() == widened.class_correct.tolist()


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_a_larger_alphabet_does_not(engine):
    with refused("the sequences have 12 symbols, but the model takes 10 inputs"):
        evaluate(RNN(10, 8, 2, rng=0), TwinHalves(1, 3, alphabet_size=12), samples=9, engine=engine)


@pytest.mark.parametrize("columns", [2, 12])
def test_features_must_be_as_many_as_the_inputs(columns):
    with refused(f"the sequences have {columns} features, but the model takes 10 inputs"):
        evaluate(RNN(10, 8, 2, rng=0), Sequences(np.zeros((3, columns)), [0, 3], [0]))


class Unsized:
    """A model without an attribute for the number of inputs."""

    def __init__(self):
        self._inner = RNN(6, 5, 2, rng=0)
        self.parameters = self._inner.parameters

    def __call__(self, x):
        return self._inner(x)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize("alphabet", [3, 6])
def test_the_inputs_of_a_model_that_does_not_say_are_found(engine, alphabet):
    model, task = Unsized(), TwinHalves(1, 2, alphabet_size=alphabet)
    report = evaluate(model, task, samples=60, engine=engine)
    assert report.correct.tolist() == evaluate(model._inner, task, samples=60).correct.tolist()


# --- groups and rows


def test_trained_lengths_and_those_beyond_are_separate_groups():
    totals = a_report().totals()
    assert list(totals) == ["trained", "beyond", "several classes", "one class", "all"]
    assert (totals["trained"]["correct"], totals["trained"]["total"]) == (24, 30)
    assert (totals["beyond"]["correct"], totals["beyond"]["total"]) == (22, 40)
    assert totals["all"]["match_accuracy"] == 28 / 32
    assert [totals["all"]["low"], totals["all"]["high"]] == wilson_interval(46, 70).tolist()


@pytest.mark.parametrize(("trained", "groups"), [(None, ["all"]), (8, ["trained", "all"]), (0, ["beyond", "all"])])
def test_groups_without_lengths_are_left_out(trained, groups):
    one, other = np.array([[10, 0], [20, 0], [40, 0]]), np.array([[5, 5], [1, 19], [39, 1]])
    for counts in (one, other):
        assert list(a_report(trained, class_total=counts, class_correct=counts).totals()) == groups


def test_lengths_at_which_all_sequences_have_one_class_are_counted_apart():
    totals = a_report().totals()
    assert (totals["one class"]["correct"], totals["one class"]["total"]) == (9, 10)
    assert (totals["several classes"]["correct"], totals["several classes"]["total"]) == (37, 60)
    assert (totals["one class"]["base_rate"], totals["one class"]["balanced_accuracy"]) == (1, None)
    assert (totals["several classes"]["base_rate"], totals["all"]["base_rate"]) == (32 / 60, 42 / 70)
    assert totals["all"]["balanced_accuracy"] == pytest.approx((18 / 38 + 28 / 32) / 2)


def test_the_base_rate_is_the_share_of_the_most_frequent_class():
    report = a_report()
    assert report.base_rate.tolist() == [1, 12 / 20, 1 / 2] and report.one_class.tolist() == [True, False, False]
    assert np.isnan(report.balanced_accuracy[0])
    assert report.balanced_accuracy[1:] == pytest.approx([(5 / 8 + 10 / 12) / 2, (4 / 20 + 18 / 20) / 2])
    assert [row["base_rate"] for row in report.rows()] == report.base_rate.tolist()
    assert report.rows()[0]["balanced_accuracy"] is None
    unknown = LengthReport(np.array([2]), np.array([10]), np.array([9]), 0.5)
    assert np.isnan([unknown.base_rate, unknown.balanced_accuracy]).all() and not unknown.one_class.any()


def test_always_no_is_the_base_rate_of_a_language():
    """Of bucket sort, strings of odd length have members: one number of symbols, a mark, and as many sorted."""
    task = Flare("bucket-sort", length_min=1, length_max=20, any_length=True)

    model = RNN(task.dim_input, 2, 2, rng=0)
    for parameter in model.parameters:
        parameter.data[...] = 0
    model.parameters[-1].data[...] = [1, 0]
    report = evaluate(model, task, samples=800, lengths=range(1, 21), engine="mygrad")
    even = report.lengths % 2 == 0
    assert (report.accuracy[even] == 1).all() and report.one_class.tolist() == even.tolist()
    all_, several = (report.totals()[name] for name in ("all", "several classes"))
    assert 0.7 < all_["accuracy"] <= all_["base_rate"] < 0.8 and all_["balanced_accuracy"] == 0.5
    assert 0.4 < several["accuracy"] < 0.6


def test_an_interval_of_a_perfect_score_ends_at_1_exactly():
    counts = np.arange(1, 2_000)
    assert (wilson_interval(counts, counts)[:, 1] == 1).all() and (wilson_interval(0 * counts, counts)[:, 0] == 0).all()


def test_rows_contain_every_class():
    row = a_report().rows()[0]
    assert row["no_match_accuracy"] == 0.9
    assert row["match_accuracy"] is None
    assert (row["match_total"], row["match_low"], row["match_high"]) == (0, 0.0, 1.0)
    assert json.loads(json.dumps(a_report().rows(), allow_nan=False)) == a_report().rows()


@pytest.mark.parametrize("names", [("A b", "a-B"), ("?", "x")])
def test_classes_whose_names_cannot_be_columns_are_numbered(names):
    row = a_report(class_names=names).rows()[1]
    assert (row["class_0_total"], row["class_1_total"]) == (8, 12)


def test_a_report_without_classes_has_none():
    report = LengthReport(np.array([2]), np.array([10]), np.array([9]), 0.5)
    assert report.class_accuracy.shape == (1, 0)
    assert list(report.rows()[0]) == ["length", "total", "correct", "accuracy", "low", "high", "beyond", "not_finite"]
    assert "90.0" in report.table().to_text()


def test_the_csv_file_contains_the_classes(tmp_path):
    a_report().to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["match_accuracy"] for row in rows] == ["", str(10 / 12), "0.9"]


# --- the table


def test_the_table_shows_accuracy_and_classes():
    lines = [line.split() for line in a_report().table().to_text().splitlines()]
    assert lines[0] == ["Accuracy", "by", "length,", "%", "(95%", "interval)"]
    assert lines[1] == ["length", "accuracy", "base", "rate", "no", "match", "match", "of"]
    assert lines[3] == ["2", "90.0", "(59.6-98.2)", "100.0", "90.0", "(59.6-98.2)", "-", "10"]
    assert lines[5][:3] == ["8", "beyond", "55.0"]
    assert [line[0] for line in lines[7:12]] == ["trained", "beyond", "several", "one", "all"]


def test_the_widest_table_fits_into_80_columns():
    total = np.full(3, 300_000)
    halves = np.column_stack((total // 2, total // 2))
    report = a_report(total=total, correct=total, class_total=halves, class_correct=halves)
    known = shortcuts(TASK, samples=60, lengths=[2, 4, 8])
    lines = report.table(known).to_text().splitlines()
    assert max(map(len, lines)) <= 80
    # One line for each length, group and shortcut, and the lines around them.
    assert len(lines) == 3 + 3 + 1 + 3 + 1 + len(known.names) + 1


def test_many_classes_are_rows_of_the_table():
    report = evaluate(RNN(10, 8, 4, rng=0), Sequences(np.arange(6), np.arange(7), np.arange(6) % 3, 10))
    lines = [line.split() for line in report.table().to_text().splitlines()]
    assert lines[1] == ["length", "accuracy", "base", "rate", "balanced", "of"]
    assert [line[:3] for line in lines[-4:]] == [["of", "class", str(label)] for label in range(4)]
    assert lines[-1] == ["of", "class", "3", "-", "0"]


def test_shortcuts_are_rows_of_the_table():
    known = shortcuts(TASK, samples=4000, lengths=[2, 4, 6, 8])
    text = a_report().table(known).to_text()
    row = known.only(np.array([2, 4, 8])).totals()["counts"]
    told = f"{100 * row['accuracy']:.1f} ({100 * row['low']:.1f}-{100 * row['high']:.1f})"
    assert re.search(rf"^counts +{re.escape(told)} +1,500 *$", text, re.MULTILINE)
    assert re.search(r"^Bayes rate +100\.0 *$", text, re.MULTILINE)


def test_a_notebook_shows_the_table():
    bundle = a_report()._repr_mimebundle_()
    assert "no match" in bundle["text/html"]
    assert "beyond" in bundle["text/plain"]


# --- the plot


def test_shortcuts_are_drawn_instead_of_chance():
    known = shortcuts(TASK, samples=4000, lengths=[2, 4, 8])
    ax = a_report().plot(shortcuts=known)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[0] == "the model"
    assert "chance" not in names
    assert {part for name in names for part in name.split(" / ")} >= set(known.names)


def test_classes_are_separate_curves():
    ax = a_report().plot(by_class=True, label="RNN")
    curves = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert curves["no match only"] == [0.9, 5 / 8, 0.2]
    assert curves["match only"][1:] == [10 / 12, 0.9]
    assert ax.get_legend().get_texts()[0].get_text() == "RNN"


@pytest.mark.parametrize("method", ["plot", "table"])
def test_shortcuts_must_have_the_lengths(method):
    known = shortcuts(TASK, samples=20, lengths=[2, 4])
    with refused(
        "the shortcuts lack length 8, which the report has: estimate them with shortcuts(task, lengths=report.lengths)"
    ):
        getattr(a_report(), method)(shortcuts=known)
    with refused("shortcuts must be a ShortcutReport, not list"):
        getattr(a_report(), method)(shortcuts=[0.5])


# --- comparing


def other_report(**changes):
    counts = {"lengths": np.array([4, 8, 10]), "total": np.array([20, 400, 30]), "correct": np.array([15, 80, 3])}
    classes = {"class_total": np.zeros((3, 2)), "class_correct": np.zeros((3, 2))}
    return a_report(**{**counts, **classes, **changes})


def test_a_comparison_covers_the_common_lengths():
    found = a_report().compare(other_report(), names=("RNN", "GRU"))
    assert found.lengths.tolist() == [4, 8]
    np.testing.assert_allclose(found.difference, [0.0, 0.55 - 0.2])
    np.testing.assert_array_equal(found.interval, newcombe_interval([15, 22], [20, 40], [15, 80], [20, 400]))
    assert [row["told_apart"] for row in found.rows()] == [False, True]
    assert repr(found).startswith("Comparison(RNN less GRU: +17.50 points (")


def test_a_difference_is_detected_in_both_directions():
    assert [row["told_apart"] for row in other_report().compare(a_report()).rows()] == [False, True]


def test_lengths_have_equal_weight_in_a_comparison():
    groups = a_report().compare(other_report()).groups()
    assert list(groups) == ["trained", "beyond", "all"]
    assert [groups[name][0] for name in groups] == pytest.approx([0.0, 0.35, 0.175])
    low, high = groups["trained"][1]
    assert [low, high] == pytest.approx(newcombe_interval(15, 20, 15, 20).tolist())


def test_groups_of_different_trainings_contain_shared_lengths():
    # Both were trained on lengths up to 4, one of them also on 8.
    found = a_report(4).compare(other_report(trained_length=8)).groups()
    assert list(found) == ["trained", "all"]
    assert list(a_report(4).compare(other_report(trained_length=None)).groups()) == ["all"]


def test_a_comparison_as_table_csv_and_figure(tmp_path):
    found = a_report().compare(other_report(), names=("RNN", "GRU"))
    text = found.table().to_text()
    assert max(map(len, text.splitlines())) <= 80
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == ["length", "RNN", "GRU", "difference", "(95%)", "told", "apart"]
    assert lines[4][:4] == ["8", "55.0", "20.0", "+35.0"]
    assert lines[4][-1] == "yes"
    assert lines[-1][:4] == ["all", "65.0", "47.5", "+17.5"]
    found.to_csv(tmp_path / "compared.csv")
    with open(tmp_path / "compared.csv", newline="", encoding="utf-8") as file:
        assert [row["length"] for row in csv.DictReader(file)] == ["4", "8"]
    ax = found.plot()
    assert len(ax.containers) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["RNN", "GRU"]


@pytest.mark.usefixtures("in_python")
def test_models_are_compared():
    reports = [evaluate(kind(10, 8, 2, rng=0), TASK, samples=60, lengths=[2, 4]) for kind in (RNN, GRU)]
    found = reports[0].compare(reports[1])
    np.testing.assert_array_equal(found.difference, reports[0].accuracy - reports[1].accuracy)


@pytest.mark.parametrize(
    ("other", "names", "message"),
    [
        (5, ("a", "b"), "other must be a LengthReport, not int"),
        (other_report(), ("a", "a"), "names must differ, but both are 'a'"),
        (other_report(), "ab", "names must be two strings, not 'ab'"),
        (other_report(), ("a",), "names must be two strings, not ('a',)"),
        (
            other_report(lengths=np.array([12, 14, 16])),
            ("a", "b"),
            "the two reports have no length in common: evaluate both on the same lengths",
        ),
    ],
)
def test_incomparable_arguments_are_refused(other, names, message):
    with refused(message):
        a_report().compare(other, names)


# --- two reports as one


def test_two_joined_reports_equal_one_report_of_all():
    model, rng = RNN(10, 8, 2, rng=0), np.random.default_rng(4)
    one, other = TASK.sample(200, rng), TASK.sample(100, rng)
    # Neither has all lengths.
    one, other = one.select(one.lengths > 2), other.select(other.lengths < 6)
    both = Sequences(
        np.concatenate((one.values, other.values)),
        np.concatenate((one.offsets, one.offsets[-1] + other.offsets[1:])),
        np.concatenate((one.labels, other.labels)),
        10,
    )
    joined = evaluate(model, one, trained=4).joined(evaluate(model, other, trained=4))
    assert joined.rows() == evaluate(model, both, trained=4).rows()


def test_reports_of_other_classes_are_not_joined():
    with refused("reports with different classes cannot be joined"):
        a_report().joined(a_report(class_names=("odd", "even")))
