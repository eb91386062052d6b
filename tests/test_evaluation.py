import csv
import re
from itertools import count

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from myrnn.compiler import compile
from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthReport, classify, counterexamples, evaluate, transfer
from myrnn.intervals import wilson_interval
from myrnn.learning_curve import LearningCurve
from myrnn.models import GRU, LSTM, RNN
from myrnn.optimizers import Adam
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.training import train

TASK = TwinHalves(pattern_length_max=3)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def a_report(trained_length=None):
    return LengthReport(np.array([2, 4, 8]), np.array([10, 20, 40]), np.array([9, 15, 22]), 0.5, trained_length)


def counts_by_hand(model, sequences):
    """Count one sequence after the other, as the lesson does."""
    total, correct = {}, {}
    for x, y in sequences:
        length = len(x)
        total[length] = total.get(length, 0) + 1
        correct[length] = correct.get(length, 0) + int(np.argmax(model(x).data) == y.item())
    return total, correct


# --- the counts


@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize(
    "model",
    [RNN(10, 8, 2, rng=0), *(pytest.param(kind(10, 6, 2, rng=0), marks=pytest.mark.long) for kind in (GRU, LSTM))],
)
def test_every_length_is_counted_as_by_hand(model, engine):
    report = evaluate(model, TASK, samples=300, seed=4, engine=engine)
    total, correct = counts_by_hand(model, TASK.sample(300, np.random.default_rng(4)))
    assert report.lengths.tolist() == sorted(total)
    assert report.total.tolist() == [total[length] for length in sorted(total)]
    assert report.correct.tolist() == [correct[length] for length in sorted(total)]
    assert (report.lengths.dtype, report.total.dtype, report.correct.dtype) == (np.int64, np.int64, np.int64)


@pytest.mark.parametrize("of", [list, tuple, iter])
def test_pairs_are_sequences_as_for_training(of):
    model = RNN(10, 8, 2, rng=0)
    data = TASK.sample(40, np.random.default_rng(0))
    whole, pairs = (evaluate(model, given, samples=40, engine="mygrad") for given in (data, of(list(data))))
    assert (pairs.total.tolist(), pairs.correct.tolist()) == (whole.total.tolist(), whole.correct.tolist())
    tokens = [(data.tokens(index), int(data.labels[index])) for index in range(len(data))]
    assert evaluate(model, of(tokens), engine="mygrad").correct.tolist() == whole.correct.tolist()


def test_the_requested_number_of_pairs_is_read_from_an_iterator():
    report = evaluate(RNN(10, 8, 2, rng=0), (([1, 2], 0) for _ in count()), samples=7, engine="mygrad")
    assert report.total.tolist() == [7]


def test_given_sequences_are_all_counted():
    model = RNN(10, 8, 2, rng=0)
    data = Palindromes(2, 3, parity="both").sample(400, np.random.default_rng(0))
    report = evaluate(model, data)
    total, correct = counts_by_hand(model, data)
    assert dict(zip(report.lengths.tolist(), report.total.tolist(), strict=True)) == total
    assert dict(zip(report.lengths.tolist(), report.correct.tolist(), strict=True)) == correct
    assert report.mean_accuracy == sum(correct.values()) / 400


def test_a_compiled_model_is_not_compiled_again(monkeypatch):
    model = RNN(10, 8, 2, rng=0)
    expected = evaluate(model, TASK, samples=300)
    mistakes = counterexamples(model, TASK, samples=300)
    compiled = compile(model)
    monkeypatch.delattr(classify, "compile")
    assert evaluate(compiled, TASK, samples=300).correct.tolist() == expected.correct.tolist()
    assert evaluate(compiled, TASK, samples=300, engine="mygrad").correct.tolist() == expected.correct.tolist()
    assert counterexamples(compiled, TASK, samples=300).mistakes == mistakes.mistakes


def test_the_same_seed_counts_the_same():
    model = RNN(10, 8, 2, rng=0)
    one, two, other = (evaluate(model, TASK, samples=400, seed=seed) for seed in (3, 3, 4))
    assert one.correct.tolist() == two.correct.tolist()
    assert one.total.tolist() != other.total.tolist()


def test_lengths_are_drawn_equally_often():
    report = evaluate(RNN(10, 8, 2, rng=0), TASK, samples=101, lengths=[2, 6, 14])
    assert report.lengths.tolist() == [2, 6, 14]
    assert report.total.tolist() == [33, 33, 33]


def test_there_is_one_sequence_of_each_length_at_least():
    report = evaluate(RNN(10, 8, 2, rng=0), TASK, samples=1, lengths=range(2, 21, 2))
    assert report.total.tolist() == [1] * 10


def test_chance_is_that_of_the_models_classes():
    data = Sequences(np.arange(6), np.arange(7), np.arange(6) % 3, 10)
    assert evaluate(RNN(10, 8, 4, rng=0), data).chance == 0.25


def test_a_trained_network_is_better_than_chance():
    model = RNN(3, 12, 2, rng=0)
    task = TwinHalves(1, 1, alphabet_size=3)
    history = train(model, task, Adam(model.parameters, learning_rate=0.01), iterations=400, batch_size=4)
    report = evaluate(model, task, samples=600, lengths=[2, 10], trained=history)
    assert report.accuracy[0] > 0.95
    assert report.interval[0, 0] > 0.9
    assert report.beyond.tolist() == [False, True]


# --- nothing is changed


def test_the_model_and_its_gradients_do_not_change():
    model = RNN(10, 8, 2, rng=0)
    model(np.eye(10, dtype=np.float32)).sum().backward()
    before = [(p.data.tobytes(), p.grad.tobytes()) for p in model.parameters]
    evaluate(model, TASK, samples=50)
    assert [(p.data.tobytes(), p.grad.tobytes()) for p in model.parameters] == before


def test_no_graph_is_built():
    tracked = []

    class Watching(RNN):
        def __call__(self, x):
            logits = super().__call__(x)
            tracked.append(logits.creator is not None)
            return logits

    model = Watching(10, 8, 2, rng=0)
    evaluate(model, TASK, samples=20, engine="mygrad")
    assert tracked
    assert not any(tracked)
    assert model(np.eye(10, dtype=np.float32)).creator is not None


# --- intervals


@given(total=st.integers(1, 10**6), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_intervals_are_wilsons(total, share, confidence):
    correct = round(share * total)
    ours = wilson_interval(np.array([correct]), np.array([total]), confidence)[0]
    theirs = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(ours, (theirs.low, theirs.high), rtol=1e-9, atol=1e-12)


def test_a_wider_confidence_gives_a_wider_interval():
    model = RNN(10, 8, 2, rng=0)
    narrow, wide = (evaluate(model, TASK, samples=200, confidence=level).interval for level in (0.8, 0.99))
    assert np.all(wide[:, 0] < narrow[:, 0])
    assert np.all(wide[:, 1] > narrow[:, 1])


# --- beyond the trained lengths


def test_lengths_beyond_the_trained_ones_are_marked():
    assert a_report().beyond.tolist() == [False, False, False]
    assert a_report(4).beyond.tolist() == [False, False, True]
    assert a_report(0).beyond.tolist() == [True, True, True]


@pytest.mark.parametrize("trained", [4, LearningCurve(np.array([1]), np.array([0.7]), np.array([0.5]), longest=4)])
def test_the_trained_length_comes_from_the_history_or_a_number(trained):
    report = evaluate(RNN(10, 8, 2, rng=0), TASK, samples=10, lengths=[2, 4, 6], trained=trained)
    assert (report.trained_length, report.beyond.tolist()) == (4, [False, False, True])


# --- the content of a report


def test_the_repr_of_a_report_has_both_ends():
    assert repr(a_report()) == "LengthReport(70 sequences, accuracy 65.71%: 90.0% at length 2, 55.0% at length 8)"


def test_rows_are_plain_records():
    row = a_report(4).rows()[2]
    low, high = a_report().interval[2]
    assert row == {
        "length": 8,
        "total": 40,
        "correct": 22,
        "accuracy": 0.55,
        "low": low,
        "high": high,
        "beyond": True,
        "not_finite": 0,
    }
    assert [type(value) for value in row.values()] == [int, int, int, float, float, float, bool, int]


def test_the_csv_file_holds_the_rows(tmp_path):
    a_report(4).to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["length"] for row in rows] == ["2", "4", "8"]
    assert [float(row["low"]) for row in rows] == a_report().interval[:, 0].tolist()
    assert [row["beyond"] for row in rows] == ["False", "False", "True"]


def test_progress_is_shown_on_request(capsys):
    for engine in ("mygrad", "native"):
        evaluate(RNN(10, 8, 2, rng=0), TASK, samples=1200, engine=engine, progress=True)
        shown = capsys.readouterr().err.splitlines()
        assert shown[-1].startswith("evaluating 1,200/1,200 (100%)")
    evaluate(RNN(10, 8, 2, rng=0), TASK, samples=12, engine="mygrad", progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("engine", ["mygrad", "native"])
def test_portions_change_nothing(engine, monkeypatch):
    model = RNN(10, 8, 2, rng=0)
    whole = evaluate(model, TASK, samples=300, engine=engine, progress=False)
    monkeypatch.setattr(classify, "PORTION", 70)
    monkeypatch.setattr(classify, "NATIVE_PORTION", 70)
    parts = evaluate(model, TASK, samples=300, engine=engine, progress=False)
    assert parts.correct.tolist() == whole.correct.tolist()
    assert parts.total.tolist() == whole.total.tolist()


# --- arguments


class Silent:
    """A task that draws nothing."""

    def sample(self, n, rng):
        return Sequences([], [0], [], 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "ab"}, "task must be a task, a Sequences or an iterable of (x, y) pairs, not str"),
        ({"task": [1]}, "item 0 must be a pair (x, y), not 1"),
        ({"task": 5}, "task must be a task, a Sequences or an iterable of (x, y) pairs, not int"),
        ({"task": Silent()}, "task holds no sequence to evaluate on"),
        ({"task": Sequences([1], [0, 1], [2], 10)}, "a label is 2, but the model has 2 classes, 0 .. 1"),
        (
            {"task": Sequences([1], [0, 1], [1], 10), "lengths": [2]},
            "lengths can be asked of a task that draws, not of given sequences",
        ),
        ({"lengths": []}, "lengths is empty: name at least one length"),
        ({"lengths": [2, 3]}, "TwinHalves has no sequence of length 3: lengths are even, 2 or more"),
        ({"lengths": 2.5}, "lengths must be integers of shape (N,), not float64 of shape ()"),
        ({"lengths": [[2, 4]]}, "lengths must be integers of shape (N,), not int64 of shape (1, 2)"),
        ({"samples": 0}, "samples must be at least 1, not 0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"engine": "gpu"}, "engine must be one of 'auto', 'native', 'mygrad', not 'gpu'"),
        ({"confidence": 1}, "confidence must be below 1, not 1.0"),
        ({"confidence": 0}, "confidence must be above 0, not 0.0"),
        ({"trained": -1}, "trained must be at least 0, not -1"),
        ({"trained": "all"}, "trained must be an integer, not 'all'"),
        ({"model": RNN}, "model must be a model, not the class RNN: call it, RNN(...)"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {"model": RNN(10, 8, 2, rng=0), "task": TASK, "samples": 10, **arguments}
    with refused(message):
        evaluate(**arguments)


def test_a_model_may_return_an_array():
    class Constant:
        parameters = (mg.tensor([0.0]),)

        def __call__(self, x):
            return np.array([[0.0, 1.0]])

    data = Sequences(np.arange(4), np.arange(5), [0, 1, 1, 1], 10)
    assert evaluate(Constant(), data, engine="mygrad").mean_accuracy == 0.75


def test_a_label_outside_the_classes_is_also_refused_op_by_op():
    with refused("a label is 2, but the model has 2 classes, 0 .. 1"):
        evaluate(RNN(10, 8, 2, rng=0), Sequences([1], [0, 1], [2], 10), engine="mygrad")


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_a_model_that_predicts_no_class_is_refused(engine):
    lost = RNN(10, 4, 2, rng=0)
    lost.fc_h2h.weight.data[0, 0] = np.nan
    with refused("the model cannot be evaluated: its fc_h2h.weight holds numbers that are not finite"):
        evaluate(lost, TwinHalves(1, 3), 20, engine=engine)


def growing():
    """Return a model whose numbers overflow on sequences of length 8, and not on shorter ones."""
    model = RNN(10, 4, 2, rng=0)
    model.fc_x2h.weight.data[...] = 1
    model.fc_h2h.weight.data[...] = 1e8 * np.eye(4)
    return model


NOT_FINITE = "the logits of 20 of 60 sequences are not finite, the shortest of length 8"


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_sequences_with_nonfinite_logits_count_as_wrong(engine):
    with pytest.warns(UserWarning, match=f"^{NOT_FINITE}: they count as wrong$") as warned:
        report = evaluate(growing(), TwinHalves(1, 3), 60, engine=engine, lengths=[2, 4, 8])
    assert len(warned) == 1
    shorter = evaluate(growing(), TwinHalves(1, 3), 60, engine=engine, lengths=[2, 4])
    assert (report.total.tolist(), report.not_finite.tolist()) == ([20, 20, 20], [0, 0, 20])
    assert report.correct[2] == 0 < shorter.mean_accuracy
    assert [row["not_finite"] for row in report.rows()] == [0, 0, 20]
    assert report.totals()["all"]["not_finite"] == report.joined(report).not_finite[2] // 2 == 20
    assert f"counted as wrong: {NOT_FINITE}" in " ".join(report.table().to_text().split())
    assert "not finite" not in shorter.table().to_text()


def test_a_training_set_without_a_predicted_class_is_all_wrong():
    with pytest.warns(UserWarning, match="^the logits of 9 of 9 sequences are not finite"):
        assert evaluate(growing(), TwinHalves(1, 3), 9, engine="mygrad", lengths=[8]).mean_accuracy == 0


def test_a_mistake_may_have_no_class():
    with pytest.warns(UserWarning, match=f"^{NOT_FINITE}: they count as wrong$"):
        found = counterexamples(growing(), TwinHalves(1, 3), 60, most=50, engine="mygrad", lengths=[2, 4, 8])
        report = evaluate(growing(), TwinHalves(1, 3), 60, engine="mygrad", lengths=[2, 4, 8])
    lost = [mistake for mistake in found.shortest if mistake.predicted is None]
    assert {len(mistake.sequence) for mistake in lost} == {8}
    assert all(np.isnan(mistake.probability) for mistake in lost)
    assert found.mistakes == 60 - report.correct.sum() > 20
    assert all(mistake.predicted is not None for mistake in found.most_confident)
    assert "no class" in found.table().to_text()


@pytest.mark.parametrize("function", [evaluate, counterexamples])
def test_warnings_name_the_line_of_the_call(function):
    with pytest.warns(UserWarning) as caught:
        function(growing(), TwinHalves(4, 4), 9, engine="mygrad")
    assert [warning.filename for warning in caught] == [__file__]


def test_transfer_warns_once_about_all_sequences_without_a_class():
    tasks = {"short": TwinHalves(1, 1), "long": TwinHalves(4, 4)}
    message = "^sequences whose logits are not finite count as wrong: 30 of a on long, 30 of b on long$"
    with pytest.warns(UserWarning, match=message) as warned:
        found = transfer({"a": growing(), "b": growing()}, tasks, 30, engine="mygrad")
    assert len(warned) == 1
    assert found.correct[:, 1].tolist() == [0, 0]
    assert found.total.tolist() == [[30, 30], [30, 30]]


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_scores_of_no_sequence_are_refused_in_one_line(engine):
    task = TwinHalves(pattern_length_max=2)
    model = RNN(task.dim_input, 3, task.dim_output, rng=0)
    none = task.sample(4, np.random.default_rng(0)).select([])
    for use in (
        classify.Classifier(model, engine).scores,
        lambda given: classify.Classifier(model, engine).in_parts(given, print),
    ):
        with refused("there is no sequence: the model can only be evaluated on one or more"):
            use(none)
