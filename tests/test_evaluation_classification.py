import csv
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from myrnn.errors import InvalidArgument
from myrnn.evaluation import Buckets, classification_report
from myrnn.intervals import wilson_interval

NAMES = np.array(["a", "b", "c", "d"])
OUT_OF_RANGE = "probabilities must lie between 0 and 1, or a row must be all NaN"


def drawn(count, known, seed):
    """Return labels, probabilities, classes and lengths of `count` sequences; labels may be unknown."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(known, 0.5), size=count)
    return rng.choice(NAMES, size=count), probabilities, NAMES[:known], rng.integers(0, 30, size=count)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 1000))
def test_numbers_agree_with_scikit_learn(count, known, seed):
    truth, probabilities, classes, lengths = drawn(count, known, seed)
    report = classification_report(truth, probabilities, classes, lengths)
    predicted = classes[probabilities.argmax(axis=1)]
    there = sorted(set(truth) | set(classes))
    confusion = report.confusion
    assert confusion.classes == tuple(there)
    assert confusion.unseen == tuple(sorted(set(truth) - set(classes)))
    assert np.array_equal(confusion.counts, metrics.confusion_matrix(truth, predicted, labels=there))
    assert report.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    counted = sorted(set(truth) | set(predicted))
    f1 = metrics.f1_score(truth, predicted, labels=counted, average="macro", zero_division=0)
    assert report.macro_f1 == pytest.approx(f1)
    recall = metrics.recall_score(truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0)
    assert report.balanced_accuracy == pytest.approx(recall)
    each = metrics.precision_recall_fscore_support(truth, predicted, labels=there, zero_division=0)
    rates = confusion.precision, confusion.recall, confusion.f1, confusion.total
    for found, expected in zip(rates, each, strict=True):
        assert np.nan_to_num(found) == pytest.approx(expected)


def test_balanced_accuracy_agrees_with_scikit_learn():
    truth, probabilities, classes, lengths = drawn(200, 4, 0)
    report = classification_report(truth, probabilities, classes, lengths)
    predicted = classes[probabilities.argmax(axis=1)]
    assert report.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert report.confusion.majority == max(np.mean(truth == name) for name in NAMES)
    _, low, high = report.scores["accuracy"]
    assert [low, high] == wilson_interval(np.sum(truth == predicted), 200).tolist()
    assert repr(report) == (
        f"Report(labels: 200 sequences, right {report.accuracy:.1%} ({100 * low:.1f}-{100 * high:.1f}), "
        f"balanced {report.balanced_accuracy:.1%}, macro F1 {report.macro_f1:.1%})"
    )


def test_rows_of_nan_are_sequences_without_a_class_and_count_as_wrong():
    truth, lengths = ["a", "a", "b", "b", "c"], [1, 9, 5, 2, 7]
    probabilities = np.array([[0.9, 0.1], [np.nan] * 2, [0.2, 0.8], [0.6, 0.4], [np.nan] * 2])
    message = "^the logits of 2 of 5 sequences are not finite, the shortest of length 7: "
    with pytest.warns(UserWarning, match=f"{message}they count as wrong$") as warned:
        report = classification_report(truth, probabilities, ["a", "b"], lengths)
    assert len(warned) == 1
    assert (report.accuracy, report.confusion.total.tolist()) == (2 / 5, [2, 2, 1])
    assert (report.confusion.not_finite.tolist(), report.shortest_not_finite) == ([1, 0, 1], 7)
    assert (report.confusion.recall.tolist(), report.confusion.precision[:2].tolist()) == ([0.5, 0.5, 0], [0.5, 1.0])
    assert (report.lengths.correct.sum(), report.lengths.total.sum(), report.calibration.total.sum()) == (2, 5, 3)
    numbers = report.numbers()
    assert (numbers["sequences"], numbers["not_finite"], numbers["shortest_not_finite"]) == (5, 2, 7)


def test_a_classifier_that_never_predicts_a_class_has_a_report():
    with pytest.warns(UserWarning, match="^the logits of 2 of 2 sequences are not finite"):
        report = classification_report(["a", "b"], np.full((2, 2), np.nan), ["a", "b"], [1, 2])
    assert report.accuracy == 0
    assert json.loads(json.dumps(report.numbers(), allow_nan=False))["calibration"]["excess"] is None
    for table in (*report.tables(), report.calibration.table()):
        assert table.to_text()


# --- by length


@given(st.lists(st.integers(0, 25), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 100))
def test_buckets_contain_every_sequence_once(lengths, most, seed):
    count = len(lengths)
    right = np.random.default_rng(seed).random(count) < 0.6
    probabilities = np.where(right[:, np.newaxis], [0.9, 0.1], [0.2, 0.8])
    buckets = classification_report(["a"] * count, probabilities, ["a", "b"], lengths, buckets=most).lengths
    distinct = sorted(set(lengths))
    assert len(buckets.total) <= most or len(buckets.total) == len(distinct)
    if len(distinct) <= most:
        assert buckets.last.tolist() == buckets.first.tolist() == distinct
    assert np.all(buckets.first[1:] > buckets.last[:-1])
    for low, high, total, correct in zip(buckets.first, buckets.last, buckets.total, buckets.correct, strict=True):
        within = (np.array(lengths) >= low) & (np.array(lengths) <= high)
        assert (low in distinct, high in distinct) == (True, True)
        assert (within.sum(), right[within].sum()) == (total, correct)
    assert buckets.total.sum() == count


def test_buckets_have_similar_sizes():
    lengths = np.arange(1000) % 97
    buckets = classification_report(["a"] * 1000, np.ones((1000, 1)), ["a"], lengths).lengths
    assert len(buckets.total) == 8
    assert buckets.total.min() > 100
    assert buckets.names[0] == f"0 to {buckets.last[0]}"
    assert repr(buckets) == f"Buckets(accuracy 100.0% at length 0 to 11, 100.0% at length {buckets.names[-1]})"


# --- calibration


@given(st.integers(1, 50), st.integers(0, 1000), st.integers(1, 12))
def test_calibration_follows_its_definition(count, seed, bins):
    truth, probabilities, classes, lengths = drawn(count, 3, seed)
    found = classification_report(truth, probabilities, classes, lengths, bins=bins).calibration
    highest, right = probabilities.max(axis=1), classes[probabilities.argmax(axis=1)] == truth
    expected = 0.0
    for place in range(bins):
        within = (highest > found.edges[place]) & (highest <= found.edges[place + 1])
        assert (within.sum(), right[within].sum()) == (found.total[place], found.correct[place])
        if within.any():
            assert found.mean_probability[place] == pytest.approx(highest[within].mean())
            expected += within.mean() * abs(right[within].mean() - highest[within].mean())
    assert found.expected_error == pytest.approx(expected)
    assert found.excess == pytest.approx(highest.mean() - right.mean())


def test_a_well_calibrated_classifier():
    sure = [[0.75, 0.25]] * 4 + [[1.0, 0.0]]
    found = classification_report(["a", "a", "a", "b", "a"], sure, ["a", "b"], [1] * 5).calibration
    assert found.expected_error == pytest.approx(0)
    assert repr(found) == "Calibration(5 predictions, expected calibration error 0.00%)"
    assert [row["total"] for row in found.rows()] == [0, 0, 0, 0, 0, 0, 0, 4, 0, 1]
    assert found.rows()[0]["mean_probability"] is None


# --- how it is shown


def test_numbers_are_plain_values():
    report = classification_report(*drawn(30, 3, 1))
    numbers = json.loads(json.dumps(report.numbers(), allow_nan=False))
    assert numbers == report.numbers()
    assert numbers["confusion"] == {"classes": list("abcd"), "counts": report.confusion.counts.tolist()}
    assert (numbers["sequences"], numbers["unseen"]) == (30, ["d"])
    assert numbers["accuracy"] == report.accuracy
    assert [row["class"] for row in numbers["classes"]] == list("abcd")
    assert sum(row["total"] for row in numbers["lengths"]) == 30
    assert numbers["calibration"]["expected_error"] == report.calibration.expected_error


def test_the_csv_has_one_row_per_class(tmp_path):
    report = classification_report(*drawn(30, 3, 1))
    report.to_csv(tmp_path / "classes.csv")
    with open(tmp_path / "classes.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list("abcd")
    assert [int(row["total"]) for row in rows] == report.confusion.total.tolist()


def test_tables():
    truth, probabilities, classes, lengths = drawn(200, 3, 2)
    report = classification_report(truth, probabilities, classes, lengths)
    shown = report.table().to_text()
    precision, recall = 100 * report.confusion.precision[0], 100 * report.confusion.recall[0]
    assert re.search(rf"^a +{precision:.1f} +{recall:.1f} \(", shown, re.MULTILINE)
    assert re.search(rf"^d +- +0\.0 \(.*{report.confusion.total[3]} unseen in training", shown, re.MULTILINE)
    counts = " +".join(str(count or "·") for count in report.confusion.counts[0])
    assert re.search(rf"^a +{counts}", report.confusion.matrix().to_text(), re.MULTILINE)
    assert f"{report.lengths.names[2]} " in report.lengths.table().to_text()
    calibration = report.calibration.table().to_text()
    assert f"expected calibration error {report.calibration.expected_error:.2%}" in calibration
    assert "90 to 100 " in calibration


def test_many_classes_show_their_most_frequent_mistakes():
    names = [f"c{place}" for place in range(12)]
    truth = ["c0"] * 5 + ["c1"] * 3 + ["c2"]
    predicted = np.eye(12)[[7, 7, 7, 0, 0, 4, 4, 1, 3]]
    shown = classification_report(truth, predicted, names, [1] * 9).confusion.matrix().to_text()
    rows = [line.split() for line in shown.splitlines()[3:]]
    assert rows == [["c0", "c7", "3", "5"], ["c1", "c4", "2", "3"], ["c2", "c3", "1", "1"]]


def test_whole_numbers_are_in_their_own_order():
    report = classification_report([10, 2], np.eye(3)[[0, 2]], ["10", "-1", "2"], [1, 1])
    assert report.confusion.classes == ("-1", "2", "10")
    assert report.accuracy == 1.0


# --- figures


def test_the_figure_of_the_confusion():
    report = classification_report(*drawn(50, 3, 3))
    ax = report.plot()
    shown = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}
    counts = report.confusion.counts
    assert shown == {(row, column): str(count) for (row, column), count in np.ndenumerate(counts) if count}
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abcd")
    of_row = counts / report.confusion.total[:, np.newaxis]
    assert np.allclose(ax.images[0].get_array(), of_row)


def test_the_figure_of_many_classes_has_no_numbers():
    names = [f"class {place}" for place in range(50)]
    ax = classification_report(names, np.eye(50), names, [1] * 50).plot()
    assert len(ax.texts) == 0
    assert len(ax.get_xticks()) == 25


def test_the_figure_by_length():
    report = classification_report(*drawn(300, 4, 4))
    ax = report.lengths.plot()
    points, level = ax.get_lines()[0], ax.get_lines()[-1]
    assert np.allclose(points.get_ydata(), report.lengths.measures["accuracy"][:, 0])
    assert level.get_ydata()[0] == report.confusion.majority
    told = [label.get_text() for label in ax.get_xticklabels()]
    assert told[0] == f"{report.lengths.names[0].replace(' to ', '-')}\n({report.lengths.total[0]})"


def by_length_alone(count, longest=10):
    """Return the report on perfect predictions of labels that the length decides."""
    lengths = np.random.default_rng(0).integers(1, longest + 1, count)
    truth = np.where(lengths <= longest // 2, "short", "long")
    shares = np.column_stack((truth == "long", truth == "short")).astype(np.float64)
    return classification_report(truth, shares, ["long", "short"], lengths), truth, lengths


def test_the_base_rate_shows_that_the_length_alone_gives_the_answer():
    report, _, _ = by_length_alone(500)
    assert report.confusion.majority < 0.6
    assert report.base_rate == report.numbers()["base_rate"] == 1
    assert report.lengths.base_rate.tolist() == [1] * len(report.lengths.total)
    assert [row["base_rate"] for row in report.numbers()["lengths"]] == [1] * len(report.lengths.total)
    again = Buckets.from_numbers(report.numbers())
    assert again.rows() == report.lengths.rows()


def test_the_base_rate_of_a_bucket_is_that_of_its_lengths():
    lengths = np.repeat(np.arange(20), 100)
    truth = np.where(np.arange(2000) % 100 < 60 + lengths, lengths % 2, 1 - lengths % 2)
    report = classification_report(truth, np.tile([0.5, 0.5], (2000, 1)), [0, 1], lengths)
    shares = 0.6 + np.arange(20) / 100
    ends = zip(report.lengths.first, report.lengths.last + 1, strict=True)
    expected = [shares[first:end].mean() for first, end in ends]
    assert report.lengths.base_rate == pytest.approx(expected)
    assert report.base_rate == pytest.approx(shares.mean())


def test_a_base_rate_by_chance_is_not_shown_beside_the_accuracy():
    report = classification_report(*drawn(300, 4, 4))
    assert report.base_rate > report.confusion.majority + 0.1
    assert report.lengths.base_rate is None
    assert "base_rate" not in report.lengths.rows()[0]


def test_the_figure_by_length_has_the_base_rates_and_its_legend_above():
    ax = by_length_alone(500)[0].lengths.plot()
    assert ax.get_lines()[-1].get_ydata().tolist() == [1] * 8
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["the model", "base rate"]
    ax.figure.draw_without_rendering()
    assert legend.get_window_extent().y0 >= ax.get_window_extent().y1 - 1


def test_the_figure_of_the_calibration():
    report = classification_report(*drawn(300, 4, 5))
    ax = report.calibration.plot()
    filled = report.calibration.total > 0
    assert np.allclose(ax.containers[-1][0].get_ydata(), report.calibration.accuracy[filled])
    assert np.allclose([bar.get_height() for bar in ax.patches], report.calibration.total / 300)


# --- mistakes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"truth": []}, "truth must be at least one label in a list, not float64 of shape (0,)"),
        ({"classes": [["a"]]}, "classes must be at least one label in a list, not <U1 of shape (1, 1)"),
        (
            {"probabilities": [[1.0, 0.0]]},
            "probabilities must be numbers of shape (2, 2), a row per label and a column per class, not float64 of "
            "shape (1, 2)",
        ),
        (
            {"probabilities": [[1.0, 0.0], [2.0, 0.0]]},
            "probabilities must lie between 0 and 1, or a row must be all NaN",
        ),
        (
            {"probabilities": [[1.0, 0.0], [np.nan, 0.0]]},
            "probabilities must lie between 0 and 1, or a row must be all NaN",
        ),
        ({"lengths": [1]}, "lengths must be one for each of the 2 labels, not 1"),
        ({"lengths": [1, -1]}, "lengths must be at least 0, but there is -1 at [1]"),
        ({"confidence": 1}, "confidence must be below 1, not 1.0"),
        ({"bins": 0}, "bins must be at least 1, not 0"),
        ({"buckets": 0}, "buckets must be at least 1, not 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, told):
    right = {
        "truth": ["a", "b"],
        "probabilities": [[1.0, 0.0], [0.5, 0.5]],
        "classes": ["a", "b"],
        "lengths": [1, 2],
    }
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        classification_report(**{**right, **change})
