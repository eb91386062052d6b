"""Recognition and next symbols, learned together: numbers agree with explicit formulas, and runs can be used."""

import json
import re
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from myrnn import (
    Adam,
    Experiment,
    Recognizer,
    Sequences,
    compile,
    counterexamples,
    evaluate,
    extract_automaton,
    gradient_flow,
    inspect,
    load_sweep,
    recurrent_eigenvalues,
    run,
    shortcuts,
    sweep,
    train,
)
from myrnn.cli import main
from myrnn.errors import InvalidArgument, NotARecurrence
from myrnn.losses import loss_for, mean_loss, name_of
from myrnn.models import Stacked
from myrnn.models.model import parameter_names
from myrnn.runs import load_run
from myrnn.targets import CLASS, NUMBERS, SEVERAL, TargetPart
from myrnn.tasks import (
    ContextFree,
    Dyck,
    Flare,
    Membership,
    NextCharacter,
    Regular,
    Tomita,
    recognition_of,
)
from myrnn.training import measure
from myrnn.training.outputs import total_score

WEIGHTS = {"also_next_symbol": 0.3, "also_next_symbols": 0.5}
# The empty string is a member here.
TASK = Regular("(ab|ba)*", length_min=0, length_max=6, any_length=True, **WEIGHTS)


def network(task, units=5, **settings):
    return Stacked(task.dim_input, units, task.dim_output, layers=1, per_step=True, rng=0, **settings)


def trained(task, engine="auto", iterations=20, batch_size=4, data=None, **options):
    model = network(task)
    optimizer = Adam(model.parameters, learning_rate=0.02)
    history = train(
        model, task if data is None else data, optimizer, iterations, batch_size, engine=engine, report_every=5,
        progress=False, **options,
    )  # fmt: skip
    return model, history


def string_of(drawn, index):
    """Return a drawn string without its start symbol, and whether it is a member of the language above."""
    tokens = drawn.tokens(index).tolist()
    string = "".join("ab"[token] for token in tokens[1:])
    return string, re.fullmatch("(ab|ba)*", string) is not None


def may_follow(string):
    """Return which of a, b and the end may follow a prefix of a member."""
    return np.array([True, True, True]) if len(string) % 2 == 0 else np.array([string[-1] == "b", string[-1] == "a", 0])


def expected(drawn, outputs):
    """Return the loss of strings by the formula on the page about formal languages, and its gradient."""
    total, gradient, right = 0.0, np.zeros(outputs.shape), 0
    for index in range(len(drawn)):
        begin, end = drawn.offsets[index : index + 2]
        rows, grads = outputs[begin:end].astype(np.float64), gradient[begin:end]
        string, is_member = string_of(drawn, index)
        total -= log_softmax(rows[-1, :2])[int(is_member)]
        grads[-1, :2] += softmax(rows[-1, :2]) - np.eye(2)[int(is_member)]
        right += int(rows[-1, :2].argmax() == is_member)
        for t in range(len(rows) if is_member else 0):
            follows = "ab$".index((string + "$")[t])
            total -= 0.3 * log_softmax(rows[t, 2:5])[follows] / len(rows)
            grads[t, 2:5] += 0.3 * (softmax(rows[t, 2:5]) - np.eye(3)[follows]) / len(rows)
            may = may_follow(string[:t])
            chances = expit(rows[t, 5:])
            total -= 0.5 * np.where(may, np.log(chances), np.log1p(-chances)).mean() / len(rows)
            grads[t, 5:] += 0.5 * (chances - may) / 3 / len(rows)
    return total / len(drawn), gradient / len(drawn), right


# --- loss and score


def test_the_loss_is_the_mean_over_strings_of_recognition_and_what_follows_in_members():
    drawn = TASK.sample(60, 0)
    assert {string_of(drawn, i)[1] for i in range(60)} == {True, False}
    assert drawn.lengths.min() == 1
    outputs = mg.tensor(3 * np.random.default_rng(1).normal(size=drawn.targets.shape))
    loss = mean_loss(loss_for(None, drawn.kind), outputs, drawn.targets, None, drawn.weights)
    loss.backward()
    value, gradient, right = expected(drawn, outputs.data)
    assert loss.item() == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(outputs.grad, gradient, rtol=1e-5, atol=1e-8)
    assert total_score(outputs.data, drawn.targets, drawn.weights, drawn.kind.scored) == right
    assert drawn.counted.tolist() == [1] * 60


def test_large_and_equal_scores_have_a_finite_loss_and_gradient():
    drawn = TASK.sample(20, 0)
    for size in (0.0, 1e4):
        outputs = mg.tensor(np.full(drawn.targets.shape, size))
        outputs.data[:, ::2] *= -1
        loss = mean_loss(loss_for(None, drawn.kind), outputs, drawn.targets, None, drawn.weights)
        loss.backward()
        assert np.isfinite(loss.item())
        assert np.isfinite(outputs.grad).all()
    zeros = mg.tensor(np.zeros(drawn.targets.shape))
    mean_loss(loss_for(None, drawn.kind), zeros, drawn.targets, None, drawn.weights).backward()
    np.testing.assert_allclose(zeros.grad, expected(drawn, zeros.data)[1], rtol=1e-5, atol=1e-8)


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 4])
def test_both_engines_train_alike(batch_size):
    (ours, history), (theirs, other) = (trained(TASK, engine, batch_size=batch_size) for engine in ("native", "mygrad"))
    assert (history.engine, other.engine) == ("native", "mygrad")
    assert history.metric == "accuracy"
    np.testing.assert_allclose(history.loss, other.loss, rtol=1e-4)
    assert np.array_equal(history.accuracy, other.accuracy)
    for one, two in zip(ours.parameters, theirs.parameters, strict=True):
        np.testing.assert_allclose(one.data, two.data, rtol=1e-3, atol=2e-5)
    assert (history.longest, history.chance) == (6, 0.5)


@pytest.mark.long
def test_the_accuracy_is_that_of_recognition(in_python):
    model, _ = trained(TASK, "mygrad")
    drawn = TASK.sample(300, 3)
    loss, accuracy = measure(model, drawn, engine="mygrad")
    assert accuracy == pytest.approx(np.mean(answers(model, drawn) == TASK.truth(drawn)))
    assert measure(model, drawn, engine="native") == pytest.approx((loss, accuracy), rel=1e-5)


def answers(model, drawn):
    return np.array([np.asarray(model(drawn.features(i)))[-1, :2].argmax() for i in range(len(drawn))])


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_non_members_only_train_recognition(engine, in_python):
    drawn = TASK.sample(200, 0)
    others = drawn.select(np.flatnonzero(TASK.truth(drawn) == 0))
    before = network(TASK)
    model, history = trained(TASK, engine, 10, data=others)
    changed = (model.fc_h2y.weight.data != before.fc_h2y.weight.data).any(axis=0)
    assert changed.tolist() == [True] * 2 + [False] * 6
    assert np.isfinite(history.loss).all()


def test_windows_count_the_classes_that_end_in_them(in_python):
    data = TASK.sample(60, 0)
    _, history = trained(TASK, "auto", 60, data=data, truncate=2)
    # An iteration reads two steps of four strings, of which not all end there. The accuracy is that of those that do.
    assert ((history.accuracy >= 0) & (history.accuracy <= 1)).all()
    assert history.accuracy[-4:].mean() > 0.6


# --- what is drawn


@pytest.mark.parametrize("task", [TASK, Tomita(4, length_max=9, **WEIGHTS), Dyck(1, length_max=8, also_next_symbol=1)])
def test_the_strings_are_those_of_recognition_after_a_start_symbol(task):
    alone = task.recognition
    assert recognition_of(task) == alone
    assert recognition_of(alone) is alone
    drawn, plain = task.sample(100, 5), alone.sample(100, 5)
    assert drawn.lengths.tolist() == (plain.lengths + 1).tolist()
    assert np.array_equal(np.delete(drawn.values, drawn.offsets[:-1]), plain.values)
    assert set(drawn.values[drawn.offsets[:-1]].tolist()) == {task.dim_input - 1}
    assert task.symbol_names == (*alone.symbol_names, "^")
    assert task.lengths.tolist() == (alone.lengths + 1).tolist()
    assert task.truth(drawn).tolist() == plain.targets.tolist()
    lengths = task.lengths[-2:]
    assert task.sample_lengths(lengths, 0).lengths.tolist() == lengths.tolist()
    assert max(task.twice_as_long().lengths) == max(alone.twice_as_long().lengths) + 1


def test_a_weight_of_zero_is_recognition_to_the_last_byte():
    plain, zero = Tomita(4), Tomita(4, also_next_symbol=0, also_next_symbols=0)
    assert plain == zero
    assert plain.recognition is None
    assert not plain.per_step
    one, other = plain.sample(50, 0), zero.sample(50, 0)
    assert one.values.tobytes() == other.values.tobytes()
    experiment = Experiment(task={"name": "tomita", "number": 4, "also_next_symbol": 0})
    assert experiment == Experiment(task="tomita:4")
    assert experiment.to_dict()["task"]["also_next_symbol"] == 0


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(Regular("(aa)*", any_length=True, length_min=0, length_max=5, **WEIGHTS), marks=pytest.mark.long),
        Regular("a*", any_length=True, length_min=0, length_max=0, **WEIGHTS),
        pytest.param(Dyck(1, length_max=6, also_next_symbols=1000), marks=pytest.mark.long),
        pytest.param(
            Membership("ab", lambda s: s.count("a") > s.count("b"), length_max=5, also_next_symbol=1e-45),
            marks=pytest.mark.long,
        ),
        pytest.param(ContextFree("S -> a S b | ", length_max=8, also_next_symbol=0.1), marks=pytest.mark.long),
    ],
    ids=["one symbol", "only the empty string", "a large weight", "a tiny weight", "a grammar"],
)
def test_unusual_languages_and_weights_train(task, in_python):
    model, history = trained(task, "mygrad")
    other = trained(task, "native")[1]
    np.testing.assert_allclose(other.loss, history.loss, rtol=1e-4)
    report = evaluate(model, task, 50, trained=history, engine="mygrad", progress=False)
    assert not report.beyond.any()
    assert report.lengths[-1] == task.length_max == history.longest


# --- what is tested


@pytest.mark.long
def test_a_model_is_tested_as_a_recognizer_of_strings(in_python):
    model, history = trained(TASK, "mygrad", 60)
    report = evaluate(model, TASK, 400, 7, trained=history, progress=False)
    plain, drawn = TASK.recognition.sample(400, np.random.default_rng(7)), TASK.sample(400, np.random.default_rng(7))
    right = answers(model, drawn) == plain.targets
    assert (report.each, report.class_names, report.chance) == ("sequence", ("no member", "member"), 0.5)
    assert report.mean_accuracy == pytest.approx(right.mean())
    assert report.lengths.tolist() == [0, 1, 2, 3, 4, 5, 6]
    for given in (compile(model), Recognizer(model)):
        found = evaluate(given, TASK, 400, 7, engine="mygrad", progress=False)
        assert found.correct.tolist() == report.correct.tolist()
    found = evaluate(Recognizer(model), TASK.recognition, 400, 7, engine="mygrad", progress=False)
    assert found.correct.tolist() == report.correct.tolist()
    assert counterexamples(model, TASK, 400, 7, engine="mygrad").mistakes == (~right).sum()
    assert shortcuts(TASK, 400).overall == shortcuts(TASK.recognition, 400).overall
    flows = gradient_flow(model, TASK, 20), gradient_flow(Recognizer(model), TASK.recognition, 20)
    assert flows[0].table().rows() == flows[1].table().rows()


@pytest.mark.long
def test_a_user_defined_model_is_checked_at_every_length_through_a_recognizer(in_python):
    class Odd(Stacked):
        """Treats strings of 17 symbols differently."""

        def __call__(self, x):
            return super().__call__(x) * (2 if len(x) == 18 else 1)

    model = Odd(TASK.dim_input, 4, TASK.dim_output, layers=1, per_step=True, rng=0)
    task = Tomita(4, length_min=4, length_max=30, **WEIGHTS)
    with pytest.raises(NotARecurrence, match=r"^on a sequence of 17 steps the model does not compute"):
        evaluate(model, task, 100, engine="native", progress=False)


class WithoutWidth:
    """A user-defined network without an attribute for its number of inputs."""

    def __init__(self, task, units=3):
        rng = np.random.default_rng(0)
        shapes = (task.dim_input, units), (units, units), (units, task.dim_output)
        self.U, self.W, self.V = self.parameters = tuple(mg.tensor(rng.normal(size=s).astype("f4")) for s in shapes)

    def __call__(self, x):
        h, outputs = np.zeros((1, len(self.W)), dtype=np.float32), []
        for t in range(len(x)):
            h = mg.tanh(x[t : t + 1] @ self.U + h @ self.W)
            outputs.append(h @ self.V)
        return mg.concatenate(outputs)


@pytest.mark.long
def test_a_recognizer_has_the_names_and_inputs_of_its_network(in_python):
    model = network(TASK)
    assert parameter_names(Recognizer(model)) == parameter_names(model)
    assert "stack[0].fc_h2n.weight" in recurrent_eigenvalues(Recognizer(model)).matrices
    assert repr(gradient_flow(model, TASK, 10)).startswith("GradientFlow(Stacked, ")
    x = np.eye(2, dtype=np.float32)
    own = Recognizer(WithoutWidth(TASK))
    assert compile(own).dim_input == 2
    assert inspect(own, x).logits[-1] == pytest.approx(own(x).data[0], abs=1e-6)
    with refused("x must be one string, an array of shape (T, C), not [[0, 1]]"):
        own([[0, 1]])


@pytest.mark.long
def test_the_automaton_of_a_recognizer_is_that_of_its_answers(in_python):
    pytest.importorskip("aalpy")

    class Counts:
        """Says at every step whether it has read an even number of ones; all other outputs are zero."""

        dim_input = 3

        def __init__(self):
            self.one = mg.tensor(np.array([[0.0], [1.0], [0.0]], dtype=np.float32))
            self.parameters = (self.one,)

        def __call__(self, x):
            odd, rows = np.zeros((1, 1), dtype=np.float32), []
            for x_t in x:
                now = x_t[np.newaxis] @ self.one
                odd = now + odd - 2 * now * odd
                rows.append(mg.concatenate([1 - odd, odd, np.zeros((1, 3), dtype=np.float32)], axis=1))
            return mg.concatenate(rows)

    task = Flare("parity", length_max=8, also_next_symbol=0.3)
    assert evaluate(Counts(), task, 200, progress=False).mean_accuracy == 1
    for model, examples in ((Counts(), task), (Recognizer(Counts()), ())):
        found = extract_automaton(model, "01", examples=examples, equivalence="words", samples=100, max_length=8)
        assert len(found.dfa.accepting) == 2
        agreement = found.agreement(task, lengths=range(9))
        assert agreement.correct.tolist() == agreement.total.tolist()


# --- the command line


OPTIONS = (
    *("train", "--task=flare:parity,also_next_symbol=0.1,also_next_symbols=0.3,length_min=0,length_max=6"),
    *("--model=gru", "--dim-recurrent=4", "--batch-size=4", "--samples=60", "--report-every=5"),
    *("--engine=mygrad", "--quiet"),
)
SAME = ("model.safetensors", "history.csv", "accuracy_by_length.csv")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together") / "run"
    assert main([*OPTIONS, "--iterations=40", "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(("language", "chance"), [("objective=next_symbols", 0.5), ("any_length=true", None)])
def test_a_run_has_the_accuracy_of_guessing_of_its_training(language, chance, tmp_path):
    settings = {"iterations": 2, "engine": "mygrad"}
    task = f"regular:(ab)*,length_max=6,{language}"
    experiment = Experiment(task, "rnn:dim_recurrent=3", training=settings, evaluation={"samples": 10})
    made = run(experiment, tmp_path / "run", progress=False)
    assert made.history.chance == load_run(tmp_path / "run").history.chance == chance
    _, model, optimizer = experiment.make()
    trained = train(model, made.task, optimizer, **settings, progress=False)
    assert trained.chance == 0.5


def test_a_run_folder_has_the_accuracy_of_recognition(saved):
    run = load_run(saved)
    assert (run.task.also_next_symbol, run.task.also_next_symbols) == (0.1, 0.3)
    assert (run.model.dim_input, run.model.dim_output) == (3, 2 + 3 + 3)
    assert (run.recognizer.dim_input, run.recognizer.dim_output) == (2, 2)
    assert (run.history.longest, run.history.chance) == (6, 0.5)
    numbers = json.loads((saved / "report.json").read_text())
    lengths = {row["length"]: row["beyond"] for row in numbers["tests"]["task"]["lengths"]}
    assert lengths == {length: length > 6 for length in range(1, 13)}
    assert numbers["tests"]["task"]["chance"] == 0.5


@pytest.mark.long
def test_a_stopped_run_gives_the_same_result(saved, tmp_path, capsys):
    folder = tmp_path / "extended"
    assert main([*OPTIONS, "--iterations=15", "--out", str(folder)]) == 0
    assert main(["train", "--resume", str(folder), "--iterations=40", "--quiet"]) == 0
    assert [(folder / name).read_bytes() for name in SAME] == [(saved / name).read_bytes() for name in SAME]


@pytest.mark.long
def test_a_run_is_evaluated_predicts_and_is_inspected(saved, tmp_path, capsys, in_python):
    copy = tmp_path / "run"
    copy.mkdir()
    for file in saved.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    assert main(["evaluate", str(copy), "--samples=60", "--shortcuts", "--counterexamples=2"]) == 0
    out = capsys.readouterr().out
    assert "no member" in out
    assert re.search(r"^ 7 beyond", out, re.MULTILINE)
    assert "Bayes rate" in out
    assert main(["predict", str(copy), "0110", "01", ""]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-1] for row in rows if row and row[0] in ("0110", "01")] == ["member", "member"]
    # The empty string has an empty name.
    assert rows[-1][-2:] == ["no", "member"]
    assert main(["inspect", str(copy), "011", "--samples=10"]) == 0
    assert "gradient" in capsys.readouterr().out
    assert main(["graph", str(copy), "--sequence=01"]) == 0
    assert main(["runs", "list", str(tmp_path)]) == 0
    assert re.search(r"flare parity 1-6", capsys.readouterr().out)


def test_a_study_varies_the_additional_objectives(tmp_path):
    study = {
        "task": {"name": "flare:parity", "length_max": 4, "also_next_symbol": [0, 0.1], "also_next_symbols": [0, 0.3]},
        "model": {"name": "gru", "dim_recurrent": 3},
        "training": {"iterations": 3, "engine": "mygrad"},
        "evaluation": {"samples": 20},
    }
    results = sweep(study, tmp_path / "sweep", jobs=1, progress=False)
    assert results.runs["status"] == ["done"] * 4
    pairs = zip(results.runs["task.also_next_symbol"], results.runs["task.also_next_symbols"], strict=True)
    assert set(pairs) == {(0.0, 0.0), (0.0, 0.3), (0.1, 0.0), (0.1, 0.3)}
    assert results.runs["longest"] == [4] * 4
    # All are tested on the same lengths, whatever they learn.
    pairs = list(zip(results.lengths["run"], results.lengths["length"], strict=True))
    tested = {tuple(length for run, length in pairs if run == one) for one in results.runs["run"]}
    assert tested == {tuple(range(1, 9))}
    assert all(value is not None for value in load_sweep(tmp_path / "sweep").summary().columns["shortcut_accuracy"])


def test_the_figure_of_a_study_has_the_accuracy_of_guessing_of_its_tests(tmp_path):
    study = {
        "task": {"name": "regular:(ab)*", "length_max": 4, "objective": "next_symbols"},
        "model": {"dim_recurrent": [2, 3]},
        "training": {"iterations": 2, "engine": "mygrad"},
        "evaluation": {"samples": 10},
    }
    ax = sweep(study, tmp_path / "sweep", jobs=1, progress=False).plot()
    # Whether each of two symbols, and the end, may follow.
    assert [line.get_ydata()[0] for line in ax.lines if line.get_label() == "chance"] == [0.5**3]


@pytest.mark.long
def test_a_user_defined_class_learns_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from myrnn import Stacked\n\n\nclass Mine(Stacked):\n"
        "    def __init__(self, dim_input, dim_recurrent, dim_output, rng=None):\n"
        "        super().__init__(dim_input, dim_recurrent, dim_output, layers=1, per_step=True, rng=rng)\n"
    )
    options = [option for option in OPTIONS if option != "--model=gru"]
    assert main([*options, "--model=mine.py:Mine", "--iterations=5", "--out=run"]) == 0
    assert main(["evaluate", "run", "--model=mine.py:Mine", "--samples=30", "--quiet"]) == 0


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task=flare:parity,objective=next_symbol,also_next_symbols=0.3"],
         "also_next_symbols is for what is learned beside objective recognition, not next_symbol: leave it out"),
        (["--task=flare:parity,also_next_symbols=-1"], "also_next_symbols must be at least 0, not -1.0"),
        (["--task=flare:parity,also_next_symbol=1001"], "also_next_symbol must be at most 1000, not 1001.0"),
        (["--task=flare:parity,also_next_symbol=nan"], "also_next_symbol must be finite, not nan"),
        (["--task=flare:parity,also_next_symbol=1", "--model=mine.py:Mine"], None),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("from myrnn import RNN\n\n\nclass Mine(RNN):\n    pass\n")
    assert main(["train", "--iterations=2", "--out=run", *options]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert message is None or said == f"myrnn: {message}"
    assert message is not None or "the model must return outputs of shape (T, K)" in said


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}")


def test_objectives_that_conflict_are_refused():
    with refused("it is not known which symbols may follow in this language"):
        Membership("ab", lambda text: text[:1] == "a", also_next_symbols=0.3)
    with refused("to learn what follows, strings get a start ^ and an end $: the alphabet must not have ^"):
        Regular(r"[\^a]*", any_length=True, also_next_symbol=0.3)
    drawn = TASK.sample(20, 0)
    assert name_of(loss_for(None, drawn.kind)) == "cross-entropy"
    kind = "a class (2) and a class (3) and several classes at once (3) for each step, with weights"
    assert str(drawn.kind) == kind
    model = network(TASK)
    with refused(f"the loss 'huber' is for targets that are numbers, but these are {kind}"):
        train(model, TASK, Adam(model.parameters), 1, loss="huber")
    with refused(f"class_weight is for targets that are a class, but these are {kind}"):
        train(model, TASK, Adam(model.parameters), 1, class_weight=[1, 2])
    with refused(f"a class for each sequence is needed here, without weights, but these sequences have {kind}"):
        evaluate(model, drawn)
    with refused("the model must return scores of shape (T, K), with K above 2, but it returned shape (1, 8) for"):
        evaluate(Stacked(3, 4, 8, layers=1, rng=0), TASK, 10, engine="mygrad")
    with refused("the task trains 8 outputs, of which the first 2 are classes, but the model has 7"):
        evaluate(Stacked(3, 4, 7, layers=1, per_step=True, rng=0), TASK, 10, engine="mygrad")
    with refused("a Recognizer is for tests: train the model in it, its attribute `model`"):
        train(Recognizer(model), TASK, Adam(model.parameters), 1)
    with pytest.raises(InvalidArgument, match="has no sequence of length 0: lengths are one more than those of"):
        TASK.sample_lengths([0], 0)


@pytest.mark.parametrize("task", [TASK, Tomita(3, objective="next_symbol"), NextCharacter(3, 5)])
def test_a_model_that_reads_backward_would_see_what_follows(task):
    model = network(task, bidirectional=True)
    with refused("the model's output after a step depends on later steps, which contain the targets: it must not read"):
        train(model, task, Adam(model.parameters), 1)


def test_large_weights_do_not_hide_that_a_model_reads_backward():
    class Backward(Stacked):
        """Its units are saturated: their states are 1, whatever they read."""

        def __init__(self, *sizes):
            super().__init__(*sizes, cell="rnn", activation="tanh", layers=1, per_step=True, bidirectional=True, rng=0)
            rng = np.random.default_rng(0)
            for parameter in self.parameters:
                parameter.data[...] = rng.uniform(5, 9, parameter.shape)

    model = Backward(TASK.dim_input, 20, TASK.dim_output)
    before = [parameter.data for parameter in model.parameters]
    with refused("the model's output after a step depends on later steps"):
        train(model, TASK, Adam(model.parameters), 1)
    assert all(parameter.data is data for parameter, data in zip(model.parameters, before, strict=True))


def test_targets_in_parts_are_checked_and_stored():
    parts = TargetPart(CLASS, 2), TargetPart(SEVERAL, 1)
    rows = [[0.0, 0.0, 1.0], [0.0, 2.0, -1.0]]
    both = Sequences([0, 1], [0, 2], rows, per_step=True, parts=parts)
    assert both.kind.scored == 2
    assert both.counted.tolist() == [1]
    for same in (both.select([0]), both.over(3), both.cut(1), Sequences.from_pairs(both)):
        assert same.kind == both.kind
    assert both.cut(2).counted.tolist() == [0, 1]
    for wrong, message in (
        ([("a class", 2)], "parts must be of a class or of several classes at once, not ('a class', 2)"),
        ([TargetPart(NUMBERS, 3)], "parts must be of a class or of several classes at once, not"),
        (parts[::-1], "the first of the parts must be a class, which is scored, not several classes at once (1)"),
        (5, "parts must be a sequence of TargetPart, not 5"),
        ([TargetPart(CLASS, 3), TargetPart(SEVERAL, 0)], "the columns of a part must be at least 1, not 0"),
        ([TargetPart(CLASS, "3")], "the columns of a part must be an integer, not '3'"),
        (parts[:1], "targets of these parts must be floats of shape (N, 2), not float32 of shape (2, 3)"),
    ):
        with refused(message):
            Sequences([0, 1], [0, 2], rows, per_step=True, parts=wrong)
    for row in ([-1.0, 0.0, 0.0], [1.0, 1.0, 0.0]):
        with refused("targets of a class (2) must be 0 but for one number above 0 at most in each row"):
            Sequences([0, 1], [0, 2], [row, row], per_step=True, parts=parts)
