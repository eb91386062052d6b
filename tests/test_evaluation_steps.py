import itertools
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from myrnn.errors import InvalidArgument
from myrnn.evaluation import Baselines, naive_forecast, number_report, tag_report, text_report
from myrnn.evaluation.clusters import mean_ends, ratio, share_ends
from myrnn.intervals import wilson_interval
from myrnn.sequences import Sequences


def ratio_interval(numerator, denominator, confidence=0.95):
    return mean_ends(ratio(numerator, denominator), confidence)[0]


def cluster_interval(correct, total, confidence=0.95):
    return share_ends(ratio(correct, total), confidence)[0]


def drawn(sequences, classes, seed, longest=30):
    """Return targets, probabilities and offsets of sequences, some of them empty; half of the steps are right."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(0, longest, size=sequences)), [0])).astype(int)
    offsets[-1] = offsets[-2] + 3
    targets = rng.integers(0, classes, size=offsets[-1])
    probabilities = rng.dirichlet(np.full(classes, 0.5), size=len(targets))
    swap = rng.random(len(targets)) < 0.5
    best = probabilities.argmax(axis=1)
    rows = np.arange(len(targets))[swap]
    probabilities[rows, best[swap]], probabilities[rows, targets[swap]] = (
        probabilities[rows, targets[swap]],
        probabilities[rows, best[swap]],
    )
    return targets, probabilities, offsets


def parts(offsets, *arrays):
    """Return the part of the arrays that belongs to each sequence, without empty ones."""
    pairs = itertools.pairwise(offsets)
    return [tuple(array[a:b] for array in arrays) for a, b in pairs if b > a]


# --- intervals


def test_the_interval_of_a_ratio_follows_cochran():
    rng = np.random.default_rng(0)
    sizes, sums = rng.integers(1, 9, size=12), rng.random(12)
    ratio = sums.sum() / sizes.sum()
    variance = 12 / 11 * sum((y - ratio * m) ** 2 for y, m in zip(sums, sizes, strict=True)) / sizes.sum() ** 2
    ends = stats.t.interval(0.9, 11, ratio, math.sqrt(variance))
    assert ratio_interval(sums, sizes, 0.9) == pytest.approx(ends)
    # With one step per sequence it is Student's interval of a mean.
    expected = stats.t.interval(0.95, 11, sums.mean(), stats.sem(sums))
    assert ratio_interval(sums, np.ones(12)) == pytest.approx(expected)
    assert np.isnan(ratio_interval([1.0], [2])).all()


def test_the_interval_of_a_share_counts_steps_that_agree_once():
    rng = np.random.default_rng(1)
    right = rng.random(400) < 0.8
    low, high = cluster_interval(right * 25, np.full(400, 25))
    assert np.diff([low, high]) == pytest.approx(np.diff(wilson_interval(right.sum(), 400)), rel=0.02)
    assert cluster_interval(np.full(50, 8), np.full(50, 8)).tolist() == wilson_interval(50, 50).tolist()
    assert cluster_interval([0, 0], [9, 4]).tolist() == wilson_interval(0, 2).tolist()
    assert cluster_interval([3], [4])[0] < 0.5 < cluster_interval([3], [4])[1]


def test_the_interval_of_a_ratio_has_its_nominal_coverage():
    rng = np.random.default_rng(2)
    held = {"clusters": 0, "steps": 0}
    for _ in range(300):
        sizes = rng.integers(5, 40, size=40)
        right = rng.binomial(sizes, rng.beta(3.2, 0.8, size=40))
        both = {"clusters": cluster_interval(right, sizes), "steps": wilson_interval(right.sum(), sizes.sum())}
        for name, (low, high) in both.items():
            held[name] += low <= 0.8 <= high
    assert held["clusters"] > 0.91 * 300
    assert held["steps"] < 0.7 * 300


# --- tags


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.integers(1, 15), st.integers(1, 4), st.integers(0, 1000))
def test_tags_are_scored_as_by_scikit_learn_and_by_loops(sequences, classes, seed):
    targets, probabilities, offsets = drawn(sequences, classes, seed)
    report = tag_report(targets, probabilities, offsets)
    predicted = probabilities.argmax(axis=1)
    there = list(range(classes))
    assert np.array_equal(report.confusion.counts, metrics.confusion_matrix(targets, predicted, labels=there))
    assert report.accuracy == report.scores["accuracy"].value == pytest.approx(np.mean(targets == predicted))
    counted = sorted({*targets, *predicted})
    f1 = metrics.f1_score(targets, predicted, labels=counted, average="macro", zero_division=0)
    assert report.macro_f1 == report.scores["macro_f1"].value == pytest.approx(f1)
    whole = [bool(np.all(a == b)) for a, b in parts(offsets, targets, predicted)]
    assert (report.sequences, report.sequence_accuracy) == (len(whole), pytest.approx(np.mean(whole)))
    assert report.scores["sequence_accuracy"][1:] == pytest.approx(wilson_interval(sum(whole), len(whole)))
    for k in set(targets.tolist()):
        low, high = report.confusion.recall_interval[k]
        assert low - 1e-9 <= report.confusion.recall[k] <= high + 1e-9


def test_accuracy_by_length_and_position_is_that_of_loops():
    targets, probabilities, offsets = drawn(40, 3, 0)
    report = tag_report(targets, probabilities, offsets)
    right = parts(offsets, targets == probabilities.argmax(axis=1))
    by_length, by_position = {}, {}
    for (one,) in right:
        for place, value in enumerate(one, 1):
            by_length.setdefault(len(one), []).append(value)
            by_position.setdefault(place, []).append(value)
    for buckets, expected in ((report.lengths, by_length), (report.positions, by_position)):
        accuracy = buckets.measures["accuracy"]
        for place, (first, last) in enumerate(zip(buckets.first, buckets.last, strict=True)):
            values = [value for key, some in expected.items() if first <= key <= last for value in some]
            assert (buckets.total[place], accuracy[place, 0]) == (len(values), pytest.approx(np.mean(values)))
            assert accuracy[place, 1] <= accuracy[place, 0] <= accuracy[place, 2]
        assert buckets.total.sum() == len(targets)
    assert report.positions.names == ("1", "2", "3 to 4", "5 to 8", "9 to 16", "17 to 29")


def test_the_interval_of_the_accuracy_goes_by_sequences():
    targets, probabilities, offsets = drawn(60, 3, 1)
    right = targets == probabilities.argmax(axis=1)
    sums = [(one.sum(), len(one)) for (one,) in parts(offsets, right)]
    report = tag_report(targets, probabilities, offsets, 0.9)
    assert report.scores["accuracy"][1:] == pytest.approx(cluster_interval(*zip(*sums, strict=True), 0.9))
    assert report.clusters == f"{len(sums)} sequences"
    assert tag_report(targets, probabilities, [0, len(targets)]).clusters == "30 blocks"


def test_steps_whose_outputs_are_not_finite_count_as_wrong():
    targets, probabilities, offsets = drawn(20, 2, 2)
    probabilities = np.eye(2)[targets]
    lost = np.array([offsets[3], offsets[3] + 1, offsets[9]])
    assert offsets[4] > offsets[3] + 1
    probabilities[lost] = np.nan
    message = f"^the outputs of 3 of {len(targets)} steps are not finite, the first at \\[{lost[0]}\\], step 1 of its "
    with pytest.warns(UserWarning, match=f"{message}sequence: they count as wrong$") as warned:
        report = tag_report(targets, probabilities, offsets)
    assert len(warned) == 1
    assert report.accuracy == pytest.approx(1 - 3 / len(targets))
    assert (report.not_finite, report.sequences_not_finite) == (3, 2)
    assert report.sequence_accuracy == pytest.approx(1 - 2 / report.sequences)
    assert report.numbers()["not_finite"] == 3
    assert "3 steps without finite outputs count as wrong" in report.table().to_text()


def test_tags_may_have_names():
    report = tag_report(["N", "V", "X"], [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]], [0, 3], classes=["V", "N"])
    confusion = report.confusion
    assert (confusion.classes, confusion.unseen, confusion.total.tolist()) == (("N", "V", "X"), ("X",), [1, 1, 1])
    assert confusion.counts.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert "unseen in training" in confusion.table().to_text()


# --- text


@given(st.integers(1, 15), st.integers(2, 5), st.integers(0, 1000))
def test_text_is_scored_as_by_scikit_learn(sequences, symbols, seed):
    targets, probabilities, offsets = drawn(sequences, symbols, seed)
    report = text_report(targets, probabilities, offsets)
    loss = metrics.log_loss(targets, probabilities, labels=range(symbols))
    assert report.cross_entropy == pytest.approx(loss)
    assert report.bits_per_symbol == pytest.approx(loss / math.log(2))
    assert report.perplexity == pytest.approx(math.exp(loss))
    assert report.accuracy == pytest.approx(np.mean(targets == probabilities.argmax(axis=1)))
    bits = report.positions.measures["bits_per_symbol"][:, 0]
    assert np.average(bits, weights=report.positions.total) == pytest.approx(report.bits_per_symbol)
    first = [-np.log2(rows[0, tags[0]]) for tags, rows in parts(offsets, targets, probabilities)]
    assert bits[0] == pytest.approx(np.mean(first))


def test_the_interval_of_the_bits_goes_by_sequences_or_blocks():
    targets, probabilities, offsets = drawn(60, 3, 3)
    bits = -np.log2(probabilities[np.arange(len(targets)), targets])
    sums = [(one.sum(), len(one)) for (one,) in parts(offsets, bits)]
    report = text_report(targets, probabilities, offsets)
    assert report.scores["bits_per_symbol"][1:] == pytest.approx(ratio_interval(*zip(*sums, strict=True)))
    whole = text_report(targets[:600], probabilities[:600])
    blocks = bits[:600].reshape(30, -1).sum(axis=1)
    assert whole.scores["bits_per_symbol"][1:] == pytest.approx(ratio_interval(blocks, np.full(30, 20)))
    assert (report.clusters, whole.clusters) == (f"{len(sums)} sequences", "30 blocks")


def test_symbols_of_probability_0_have_the_maximal_loss():
    probabilities = np.array([[1, 0], [0.5, 0.5], [np.nan, np.nan]], dtype=np.float32)
    with pytest.warns(UserWarning, match="they count as wrong, with probability 0 for the symbol that came$"):
        report = text_report([1, 0, 0], probabilities)
    smallest = -math.log(np.finfo(np.float32).tiny)
    assert report.cross_entropy == pytest.approx((2 * smallest + math.log(2)) / 3)
    assert (report.impossible, report.not_finite, report.accuracy) == (2, 1, pytest.approx(1 / 3))
    assert "2 symbols came that had probability 0" in report.table().to_text()


# --- numbers


@given(st.integers(1, 15), st.integers(1, 3), st.integers(0, 1000))
def test_numbers_are_scored_as_by_scikit_learn(sequences, columns, seed):
    _, _, offsets = drawn(sequences, 2, seed)
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(offsets[-1], columns))
    said = targets + rng.normal(size=targets.shape) * [0.5, 1, 2][:columns]
    report = number_report(targets, said, offsets)
    assert report.mae == pytest.approx(metrics.mean_absolute_error(targets, said))
    assert report.rmse == pytest.approx(math.sqrt(metrics.mean_squared_error(targets, said)))
    assert report.r2 == pytest.approx(metrics.r2_score(targets, said))
    each = metrics.r2_score(targets, said, multioutput="raw_values")
    assert [scores["r2"].value for scores in report.columns.values()] == pytest.approx(each)
    squares = report.positions.measures["rmse"][:, 0] ** 2
    assert np.average(squares, weights=report.positions.total) == pytest.approx(report.rmse**2)
    assert not hasattr(report, "skill")


def test_the_intervals_of_numbers_go_by_sequences():
    _, _, offsets = drawn(50, 2, 4)
    rng = np.random.default_rng(4)
    targets = rng.normal(size=offsets[-1])
    errors = rng.normal(size=offsets[-1])
    report = number_report(targets, targets + errors, offsets, naive=np.zeros(offsets[-1]))
    size, absolute, squared, base, naive = np.array(
        [
            (len(e), np.abs(e).sum(), (e**2).sum(), ((y - targets.mean()) ** 2).sum(), (y**2).sum())
            for e, y in parts(offsets, errors, targets)
        ]
    ).T
    assert report.scores["mae"][1:] == pytest.approx(ratio_interval(absolute, size))
    assert report.scores["rmse"][1:] == pytest.approx(np.sqrt(ratio_interval(squared, size)))
    assert report.scores["r2"][1:] == pytest.approx(1 - ratio_interval(squared, base)[::-1])
    assert report.scores["skill"][1:] == pytest.approx(1 - ratio_interval(squared, naive)[::-1])
    # Without offsets each row is a sequence.
    alone = number_report(targets, targets + errors)
    assert alone.scores["mae"][1:] == pytest.approx(ratio_interval(np.abs(errors), np.ones(len(errors))))
    assert (alone.positions, alone.clusters) == (None, f"{len(errors)} rows")


@pytest.mark.parametrize("period", [1, 4])
def test_naive_forecasts_are_those_of_the_book(period):
    rng = np.random.default_rng(5)
    offsets = np.array([0, 9, 9, 11, 30])
    targets = rng.normal(size=(30, 2))
    found = naive_forecast(targets, offsets, period)
    for begin, end in itertools.pairwise(offsets):
        for row in range(begin, end):
            for column in range(2):
                expected = targets[row - period, column] if row - period >= begin else np.nan
                assert found[row, column] == pytest.approx(expected, nan_ok=True)
    known = ~np.isnan(found)
    report = number_report(targets, targets * 0.5, offsets, naive=period)
    skills = [
        1
        - metrics.mean_squared_error(targets[known[:, c], c], targets[known[:, c], c] * 0.5)
        / metrics.mean_squared_error(targets[known[:, c], c], found[known[:, c], c])
        for c in range(2)
    ]
    assert [scores["skill"].value for scores in report.columns.values()] == pytest.approx(skills)
    assert report.skill == pytest.approx(np.mean(skills))
    assert report.naive_rows == known.any(axis=1).sum()


def test_naive_forecasts_may_have_a_name():
    report = number_report([1.0, 2.0], [1.0, 3.0], naive={"the market": [0.0, np.nan]})
    assert (report.naive, report.naive_rows, report.skill) == ("the market", 1, 1.0)
    assert "skill: against the market, in 1 of 2 rows" in report.table().to_text(120)


def test_a_column_that_does_not_vary_has_no_r2():
    report = number_report([[0.1, 1], [0.1, 2], [0.1, 4]], [[0.2, 1], [0.1, 2], [0.1, 3]])
    assert [round(scores["r2"].value, 3) for scores in report.columns.values()] == pytest.approx(
        [np.nan, 0.786], nan_ok=True
    )
    assert report.r2 == report.columns["1"]["r2"].value
    assert np.isnan(number_report([1.0, 1.0], [1.0, 1.0]).r2)


def test_numbers_that_are_not_finite_leave_no_error():
    message = (
        r"^the predictions of 2 of 3 steps are not finite, the first at \[1\], step 2 of its sequence: errors that"
    )
    with pytest.warns(UserWarning, match=message):
        report = number_report([[1, 2], [3, 4], [5, 7]], [[1, 2], [np.inf, 4], [np.nan, 6]], [0, 3], naive="last")
    assert report.not_finite == 2
    assert np.isnan([report.mae, report.rmse, report.r2, report.skill]).all()
    assert report.columns["1"]["mae"].value == pytest.approx(1 / 3)
    assert json.loads(json.dumps(report.numbers(), allow_nan=False))["mae"] is None
    assert "predictions of 2 rows are not finite" in report.table().to_text(120)


# --- how it is shown


def reports():
    targets, probabilities, offsets = drawn(20, 3, 6)
    numbers = targets.astype(float)
    return {
        "tags": tag_report(targets, probabilities, offsets),
        "text": text_report(targets, probabilities, offsets),
        "numbers": number_report(numbers, numbers + 0.1 * probabilities[:, 0], offsets, naive="last"),
    }


@pytest.mark.parametrize(("kind", "report"), reports().items())
def test_reports_are_tables_plain_values_and_figures(kind, report, tmp_path):
    numbers = json.loads(json.dumps(report.numbers(), allow_nan=False))
    assert numbers == report.numbers()
    assert len(numbers["positions"]) == len(report.positions.total)
    measure = next(iter(report.scores))
    assert numbers[measure] == report.rows()[0][measure] == report.scores[measure].value
    assert numbers[f"{measure}_low"] == report.scores[measure].low
    assert report.rows()[0]["model"] == "the model"
    report.to_csv(tmp_path / "table.csv")
    for table in (report.table(), report.positions.table()):
        assert table.to_text()
    shown = {"tags": "accuracy", "text": "bits_per_symbol", "numbers": "rmse"}[kind]
    line = report.plot().containers[0][0]
    assert line.get_ydata() == pytest.approx(report.positions.measures[shown][:, 0])


def test_reprs():
    found = reports()
    tags, text, numbers = (repr(found[kind]) for kind in ("tags", "text", "numbers"))
    report = found["tags"]
    assert tags.startswith(f"Report(tags: {report.steps} steps of {report.sequences} sequences, steps right ")
    assert f", perplexity {found['text'].perplexity:.3f}, right {found['text'].accuracy:.1%} (" in text
    assert f", skill {found['numbers'].skill:.3f} (" in numbers
    assert repr(report.positions).startswith("Buckets(accuracy ")
    assert str(found["text"].scores["accuracy"]).count(" to ") == 1


# --- mistakes


TAG = {"targets": [0, 1], "probabilities": [[0.5, 0.5], [0.1, 0.9]], "offsets": [0, 2]}
NUMBER = {"targets": [1.0, 2.0], "predictions": [1.0, 2.0], "offsets": [0, 2]}
SHAPE = "probabilities must be numbers of shape {}, a row per step and a column per class, not {} of shape {}"


@pytest.mark.parametrize(
    ("function", "change", "message"),
    [
        (
            tag_report,
            {"targets": []},
            "targets must be one integer for each of at least one step, not float64 of shape (0,)",
        ),
        (
            tag_report,
            {"targets": [0.0, np.nan]},
            "targets must be one integer for each of at least one step, not float64 of shape (2,)",
        ),
        (tag_report, {"targets": [0, 2]}, "targets must be at most 1, but there is 2 at [1]"),
        (
            tag_report,
            {"classes": ["a", "b"]},
            "no target is one of the classes: the first target is '0', the first class 'a'",
        ),
        (tag_report, {"classes": ["0"]}, SHAPE.format("(2, 1)", "float64", "(2, 2)")),
        (tag_report, {"probabilities": [[0.5, 0.5]]}, SHAPE.format("(2, 2)", "float64", "(1, 2)")),
        (tag_report, {"probabilities": [0.5, 0.5]}, SHAPE.format("(2, K)", "float64", "(2,)")),
        (
            tag_report,
            {"probabilities": [[0.5, np.nan], [0.5, 0.5]]},
            "probabilities must lie between 0 and 1, or a row must be all NaN",
        ),
        (tag_report, {"offsets": [0, 1]}, "offsets must rise from 0 to the number of values, 2"),
        (tag_report, {"confidence": 1}, "confidence must be below 1, not 1.0"),
        (tag_report, {"baselines": 3}, "baselines must be the result of tag_baselines, not 3"),
        (text_report, {"targets": []}, "targets must be the symbols of at least one step, not an empty list"),
        (text_report, {"targets": [0, -1]}, "targets must be at least 0, but there is -1 at [1]"),
        (text_report, {"targets": [0, 5]}, "targets must be at most 1, but there is 5 at [1]"),
        (
            text_report,
            {"probabilities": [[0.5, 0.5], [0.5, 0.1]]},
            "every row of probabilities must add up to 1, but row 1 adds up to 0.6",
        ),
        (
            text_report,
            {"baselines": Baselines("tags", {}, {}, np.array([0, 1, 2]))},
            "baselines must be those of text, of text_baselines, not those of tags",
        ),
        (
            text_report,
            {"baselines": Baselines("text", {}, {}, np.array([0, 9]))},
            "baselines must be tried on the same sequences as the model, 2 steps of 2 blocks, not on 9 steps of others",
        ),
        (number_report, {"targets": [1.0, np.nan]}, "targets must be finite float64, but there is nan at [1, 0]"),
        (
            number_report,
            {"targets": []},
            "targets must be numbers of shape (S,) or (S, C), of at least one row, not float64 of shape (0,)",
        ),
        (
            number_report,
            {"predictions": [1.0]},
            "predictions must be of the shape of the targets, (2, 1), not (1, 1)",
        ),
        (number_report, {"naive": "mean"}, "naive must be one of 'last', not 'mean'"),
        (number_report, {"naive": 7}, "naive=7 has no forecast: no series is long enough"),
        (
            number_report,
            {"naive": "last", "offsets": None},
            "naive='last' needs offsets, which say where each series begins",
        ),
        (
            number_report,
            {"naive": [1.0]},
            "naive must be 'last', a period, or numbers in the shape of the targets, (2, 1), NaN where there is no "
            "forecast, not [1.0]",
        ),
        (number_report, {"names": ["a", "b"]}, "names must be one for each column, 1 in all, not 2"),
        (
            number_report,
            {"targets": np.eye(2), "predictions": np.eye(2), "names": ["a", "a"]},
            "names must differ, but they are a, a",
        ),
    ],
)
def test_mistakes_give_a_one_line_error(function, change, message):
    arguments = {**(NUMBER if function is number_report else TAG), **change}
    with pytest.raises(InvalidArgument) as caught:
        function(**arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_report_without_positions_has_no_figure_of_them():
    with pytest.raises(InvalidArgument, match=r"^there are no positions to draw: number_report was called without "):
        number_report([1.0, 2.0], [1.0, 2.0]).plot()
    with pytest.raises(InvalidArgument, match=r"^measure must be one of 'accuracy', not 'loss'"):
        tag_report(**TAG).positions.plot(measure="loss")


def test_a_report_has_its_scores_and_counts_as_attributes():
    report = text_report([0, 1], [[0.5, 0.5], [0.5, 0.5]])
    assert {"perplexity", "impossible", "table"} <= set(dir(report))
    assert (report.perplexity, report.impossible) == (report.scores["perplexity"].value, 0)
    message = "a report on text has no 'mae', but bits_per_symbol, perplexity, cross_entropy, accuracy"
    with pytest.raises(AttributeError, match=f"^{message}$"):
        report.mae  # noqa: B018
    again = pickle.loads(pickle.dumps(report))
    assert (again.perplexity, repr(again)) == (report.perplexity, repr(report))


def test_sequences_have_what_the_reports_take():
    data = Sequences([0, 1, 0], [0, 2, 3], [1, 0, 1], per_step=True)
    assert tag_report(data.targets, np.eye(2)[data.targets], data.offsets).accuracy == 1
