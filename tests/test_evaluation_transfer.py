import csv
import re

import mygrad as mg
import numpy as np
import pytest

from myrnn.errors import InvalidArgument
from myrnn.evaluation import evaluate, transfer
from myrnn.intervals import wilson_interval
from myrnn.models import GRU, RNN
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves

MODELS = {"RNN": RNN(6, 5, 2, rng=0), "GRU of 4": GRU(4, 5, 2, rng=1)}
TASKS = {
    "halves": TwinHalves(1, 3, 6),
    "palindromes": Palindromes(1, 3, 6, negatives="near_miss"),
    "fewer symbols": TwinHalves(1, 3, 4),
}
NOT_4 = "the sequences have 6 symbols, but the model takes 4 inputs"


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


@pytest.fixture(scope="module")
def found(module_in_python):
    return transfer(MODELS, TASKS, samples=300, seed=5)


def test_every_pair_equals_a_single_evaluation(found):
    assert (found.models, found.tasks) == (tuple(MODELS), tuple(TASKS))
    for i, j in [(0, 0), (0, 1), (0, 2), (1, 2)]:
        alone = evaluate(MODELS[found.models[i]], TASKS[found.tasks[j]], samples=300, seed=5)
        assert found.accuracy[i, j] == alone.mean_accuracy
        assert found.total[i, j] == 300
    np.testing.assert_array_equal(found.interval[0], wilson_interval(found.correct[0], found.total[0]))


def test_both_engines_find_the_same(found):
    assert transfer(MODELS, TASKS, samples=300, seed=5, engine="mygrad").correct.tolist() == found.correct.tolist()


def test_a_larger_alphabet_is_not_applicable(found):
    assert np.isnan(found.accuracy).tolist() == [[False] * 3, [True, True, False]]
    assert np.isnan(found.interval[1, :2]).all()
    assert found.reasons == {("GRU of 4", "halves"): NOT_4, ("GRU of 4", "palindromes"): NOT_4}
    assert repr(found) == "TransferTable(2 models on 3 tasks, 2 not applicable)"


def test_other_classes_and_features_are_not_applicable():
    tasks = {
        "three classes": Sequences([0, 1, 2], [0, 1, 2, 3], [0, 1, 2], 6),
        "features": Sequences(np.zeros((2, 3)), [0, 2], [0]),
        "halves": TASKS["halves"],
    }
    found = transfer({"RNN": MODELS["RNN"]}, tasks, samples=10)
    assert found.reasons == {
        ("RNN", "three classes"): "a label is 2, but the model has 2 classes, 0 .. 1",
        ("RNN", "features"): "the sequences have 3 features, but the model takes 6 inputs",
    }


def test_tasks_can_be_named():
    texts = ["twin-halves:pattern_length_max=2,alphabet_size=4", "palindromes:parity=odd,alphabet_size=4"]
    made = {"a": TwinHalves(1, 2, alphabet_size=4), "b": Palindromes(parity="odd", alphabet_size=4)}
    named, given = (transfer(MODELS, tasks, samples=50, engine="mygrad") for tasks in (texts, made))
    assert named.tasks[1] == "palindromes: parity odd, alphabet size 4"
    assert named.correct.tolist() == given.correct.tolist()
    with pytest.raises(InvalidArgument, match=r"task must be one of 'twin-halves', .*, not 'halves'"):
        transfer(MODELS, ["halves"], samples=5)


def test_lengths_can_be_requested():
    found = transfer(MODELS, {"halves": TASKS["fewer symbols"]}, samples=100, lengths=[2, 8, 20])
    assert found.total.tolist() == [[99], [99]]


def test_the_table_fits_into_80_columns(found):
    text = found.table().to_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["model", "halves", "palindromes", "fewer", "symbols"]
    share, (low, high) = 100 * found.accuracy[0, 0], 100 * found.interval[0, 0]
    assert f"{share:.1f} ({low:.1f}-{high:.1f})" in lines[3]
    assert lines[4].split()[3:5] == ["n/a", "n/a"]
    assert " ".join(" ".join(lines[5:]).split()) == f"n/a: GRU of 4 on halves; palindromes: {NOT_4}"
    assert "n/a" in found._repr_mimebundle_()["text/html"]


def test_the_csv_file_holds_every_pair(found, tmp_path):
    found.to_csv(tmp_path / "transfer.csv")
    with open(tmp_path / "transfer.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["task"]) for row in rows] == [(m, t) for m in MODELS for t in TASKS]
    assert float(rows[1]["accuracy"]) == found.accuracy[0, 1]
    assert (rows[3]["accuracy"], rows[3]["reason"]) == ("", NOT_4)


def test_it_is_drawn(found):
    ax = found.plot()
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("n/a") == 2
    assert f"{100 * found.accuracy[0, 0]:.1f}" in texts
    assert ax.images[0].get_clim() == (0.5, 1.0)


@pytest.mark.parametrize("engine", ["auto", "mygrad"])
def test_models_stay_as_they_are(engine):
    for model in MODELS.values():
        model(np.eye(model.dim_input, dtype=np.float32)).sum().backward()
    tensors = [p for model in MODELS.values() for p in model.parameters]
    before = [(p.data.tobytes(), p.grad.tobytes()) for p in tensors]
    transfer(MODELS, TASKS, samples=40, engine=engine)
    assert [(p.data.tobytes(), p.grad.tobytes()) for p in tensors] == before


def test_a_model_that_cannot_be_compiled_gives_one_warning():
    class Positional(RNN):
        def __call__(self, x):
            return super().__call__(x) * (1 + len(x) % 2)

    with pytest.warns(UserWarning, match="op by op with MyGrad") as told:
        found = transfer({"odd": Positional(6, 5, 2, rng=0)}, TASKS, samples=20)
    assert len(told) == 1
    assert not np.isnan(found.accuracy).any()


def test_a_failing_model_raises_instead_of_leaving_an_empty_cell():
    class Failing:
        dim_input = 6
        parameters = (mg.tensor([0.0]),)

        def __call__(self, x):
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        transfer({"failing": Failing()}, TASKS, samples=5, engine="mygrad")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": [RNN(6, 5, 2)]}, "models must be a dictionary of models by name, not list"),
        ({"models": {}}, "models is empty: name at least one"),
        ({"tasks": TASKS["halves"]}, "tasks must be a dictionary of tasks by name, not TwinHalves"),
        ({"tasks": {}}, "tasks is empty: name at least one"),
        ({"tasks": {3: TASKS["halves"]}}, "tasks must have names that are strings, not 3"),
        ({"tasks": {"x": 5}}, "task must be a task, a Sequences or an iterable of (x, y) pairs, not int"),
        ({"models": {"x": RNN}}, "model must be a model, not the class RNN: call it, RNN(...)"),
        ({"samples": 0}, "samples must be at least 1, not 0"),
        ({"confidence": 0}, "confidence must be above 0, not 0.0"),
        ({"engine": "gpu"}, "engine must be one of 'auto', 'native', 'mygrad', not 'gpu'"),
        (
            {"models": {"GRU of 4": MODELS["GRU of 4"]}, "tasks": {"halves": TASKS["halves"]}},
            f"no model can read any of the tasks; GRU of 4 on halves: {NOT_4}",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with refused(message):
        transfer(**{"models": MODELS, "tasks": TASKS, "samples": 5, **arguments})
