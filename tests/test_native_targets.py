"""Targets of every kind, of sequences and of steps, train natively as with MyGrad op by op."""

import re
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import product

import mygrad as mg
import numpy as np
import pytest

from marks import most_are_long, named, the_rest_is_long
from myrnn import SGD, Adam, Sequences, train
from myrnn.compiler import compile
from myrnn.compiler.loss import trace_loss
from myrnn.compiler.native import Native
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence
from myrnn.flat import offsets_of
from myrnn.targets import TargetKind
from myrnn.training import Validation, measure
from myrnn.training.loop import Training
from recurrences import ALL
from recurrences import C as WIDTH
from targets_help import LENGTHS, STEPS, Model, data, gaussian, smoothed


def trained(engine, sequences, batch_size=1, iterations=12, outputs=2, model=None, kind=Model, **options):
    model = model or kind(sequences.per_step, outputs)
    optimizer = Adam(model.parameters, learning_rate=0.03)
    history = train(model, sequences, optimizer, iterations, batch_size, engine=engine, report_every=1, **options)
    return model, history


def agree(sequences, batch_size=1, **options):
    """Check that both engines train to the same numbers."""
    (ours, history), (theirs, expected) = (
        trained(engine, sequences, batch_size, **options) for engine in ("native", "mygrad")
    )
    assert (history.engine, expected.engine) == ("native", "mygrad")
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(history.score, expected.score, rtol=1e-4, atol=1e-7)
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-3, atol=2e-5)
    return history


@pytest.fixture
def two_threads(monkeypatch):
    """Share every batch between two threads, and return the number of threads at each call."""
    seen, train_natively = [], Native.train
    monkeypatch.setattr("myrnn.training.native.shards_for", lambda *_: 2)
    monkeypatch.setattr(Native, "train", lambda *given: (seen.append(given[4]), train_natively(*given))[1])
    return seen


@pytest.mark.parametrize(
    ("per_step", "weighted", "tokens"), the_rest_is_long(product((False, True), repeat=3), (True, False, True))
)
@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 4, 6], 4))
def test_classes_train_as_with_mygrad(per_step, weighted, tokens, batch_size):
    agree(data("class", per_step, weighted, tokens=tokens), batch_size)


def not_finite_at_zero(outputs, targets):
    logs = mg.log(outputs**2)
    return logs[np.arange(len(targets)), targets] ** 2 + (logs**2).mean(axis=1)


@pytest.mark.usefixtures("in_python")
def test_gradients_of_a_loss_that_is_not_finite_in_the_padding_are_clipped_as_with_mygrad():
    # 18 outputs fill two vectors of 16 numbers; the zeros after them must add nothing to the norm of the gradients.
    rng, lengths = np.random.default_rng(0), [9, 11, 4]
    sequences = Sequences(rng.normal(size=(sum(lengths), 3)), offsets_of(lengths), rng.integers(0, 18, 3))
    agree(sequences, 2, iterations=3, outputs=18, loss=not_finite_at_zero, gradient_clip=0.5, progress=False)


LOSSES = {
    "cross-entropy": "class",
    smoothed: "class",
    None: "several",
    "mean-squared-error": "numbers",
    "huber": "numbers",
    gaussian: "numbers",
}


# The size of batches, whether steps have weights, and whether the inputs are tokens.
RUNS = [(1, False, False), (1, True, False), (4, False, False), (6, True, False), (4, False, True)]


@pytest.mark.parametrize(
    ("loss", "per_step", "run"),
    the_rest_is_long(product(LOSSES, (False, True), RUNS), ("cross-entropy", False, RUNS[1]), ("huber", True, RUNS[3])),
)
def test_losses_train_as_with_mygrad(loss, per_step, run, request):
    # Machine code of every loss is tested with one kind of outputs, and of every kind of targets with both.
    if loss is not None and per_step != [*LOSSES].index(loss) % 2 and (loss, run) != ("huber", RUNS[3]):
        request.getfixturevalue("in_python")
    batch_size, weighted, tokens = run
    agree(data(LOSSES[loss], per_step, weighted, tokens=tokens), batch_size, loss=loss)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("what", "per_step"), the_rest_is_long(product(("numbers", "several"), (False, True)), ("several", True))
)
def test_a_single_output_trains_as_with_mygrad(what, per_step):
    agree(data(what, per_step, columns=1), 4, outputs=1)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("per_step", the_rest_is_long([False, True], True))
@pytest.mark.parametrize("loss", most_are_long([smoothed, "cross-entropy", "huber"], 3))
def test_they_train_in_threads_and_with_class_weights(loss, per_step, two_threads):
    what = LOSSES[loss]
    weights = {"class_weight": [3, 0.5]} if what == "class" else {}
    agree(data(what, per_step, weighted=True), 6, loss=loss, gradient_clip=0.2, **weights)
    assert set(two_threads) == {2}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("what", most_are_long(["class", "several", "numbers"], 3))
def test_many_outputs_train_as_with_mygrad(what):
    """More than the sixteen that are computed at once."""
    loss = smoothed if what == "class" else None
    agree(data(what, True, True, columns=19), 4, outputs=19, loss=loss)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("weighted", the_rest_is_long([False, True], True))
@pytest.mark.parametrize(
    "targets",
    [pytest.param([1, 0], id="classes", marks=pytest.mark.long), pytest.param([[0.5, 1], [2, 3]], id="numbers")],
)
def test_a_sequence_without_steps_has_no_loss(targets, weighted):
    """Alone or in a batch, an empty sequence has no step targets, and its iteration has no loss."""
    offsets = [0, 0, 2, 2]
    weights = [0.5, 2] if weighted else None
    sequences = Sequences(np.ones((2, 3)), offsets, targets, per_step=True, weights=weights)
    assert (agree(sequences).loss == 0).sum() == 8
    agree(sequences, 2)
    agree(sequences, 3)


class Growing(Model):
    """Has nonfinite outputs where the sequence has large numbers."""

    def __call__(self, x):
        return super().__call__(x) + x[:, :1] ** 2


def with_lost_steps(what):
    """Return two sequences whose last steps, of weight 0, have nonfinite outputs."""
    values = np.zeros((6, 3))
    values[[2, 5], 0] = 1e30
    targets = [0, 1, 0, 1, 1, 1] if what == "class" else np.ones((6, 2))
    return Sequences(values, [0, 3, 6], targets, per_step=True, weights=[1, 1, 0] * 2)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize("loss", ["cross-entropy", smoothed, "huber"], ids=named)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_steps_of_weight_0_do_no_harm(engine, loss, batch_size):
    """Steps of weight 0 with nonfinite outputs leave loss, score and weights finite."""
    sequences = with_lost_steps(LOSSES[loss])
    model, history = trained(engine, sequences, batch_size, 3, model=Growing(True), loss=loss)
    assert np.isfinite(history.loss).all() and np.isfinite(history.score).all()
    assert LOSSES[loss] != "class" or set(history.accuracy) <= {0, 0.25, 0.5, 0.75, 1}
    assert all(np.isfinite(p.data).all() for p in model.parameters)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize("what", ["class", "numbers"])
@pytest.mark.parametrize("per_step", [False, True])
def test_a_batch_of_weight_0_changes_nothing(engine, what, per_step):
    rows = STEPS if per_step else len(LENGTHS)
    given = data(what, per_step)
    sequences = Sequences(given.values, given.offsets, given.targets, per_step=per_step, weights=np.zeros(rows))
    model, before = Model(per_step), Model(per_step)
    history = train(model, sequences, SGD(model.parameters), 3, 3, engine=engine)
    assert (history.loss[0], history.score[0]) == (0, 0)
    for one, other in zip(model.parameters, before.parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("loss", the_rest_is_long(["cross-entropy", smoothed, "huber"], smoothed))
def test_a_training_resumes_bit_for_bit(loss, tmp_path):
    def job(iterations, **options):
        sequences = data(LOSSES[loss], True, True)
        model, history = trained("native", sequences, 2, iterations, loss=loss, **options)
        return [*(p.data.tobytes() for p in model.parameters), history.loss.tobytes()]

    whole = job(14)
    job(8, checkpoint=tmp_path)
    assert job(14, checkpoint=tmp_path, resume=True) == whole


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("what", "per_step"), list(product(("class", "several", "numbers"), (False, True))))
def test_native_evaluation_gives_the_same(what, per_step, weighted):
    model, sequences = Model(per_step), data(what, per_step, weighted)
    assert measure(model, sequences, engine="native") == pytest.approx(
        measure(model, sequences, engine="mygrad"), rel=1e-5
    )


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize("what", ["class", "numbers"])
def test_evaluation_ignores_steps_of_weight_0(what, engine):
    model, sequences = Growing(True), with_lost_steps(what)
    kept = [0, 1, 3, 4]
    short = Sequences(sequences.values[kept], [0, 2, 4], sequences.targets[kept], per_step=True)
    with np.errstate(over="ignore"):
        assert measure(model, sequences, engine=engine) == pytest.approx(measure(model, short, engine=engine))


def test_evaluation_compiles_if_it_pays_off(monkeypatch):
    model, sequences, seen = Model(True), data("numbers", True), []
    module = import_module("myrnn.training.validation")
    with monkeypatch.context() as patched:
        patched.setattr(module, "compile_for", lambda *given: seen.append(given))
        measure(model, sequences)
    assert not seen
    monkeypatch.setattr(module, "WORTH_CHECKING", STEPS)
    monkeypatch.setattr(module, "reference_in_parts", lambda *given: seen.append(given) or [])
    measure(model, sequences)
    assert not seen


def test_evaluation_of_a_model_that_does_not_compile(in_python):
    class Changing(Model):
        def __call__(self, x):
            return super().__call__(x) * (2.0 if len(x) % 2 else 1.0)

    model, sequences = Changing(False), data()
    expected = measure(model, sequences, engine="mygrad")
    with pytest.raises(CompileError):
        measure(model, sequences, engine="native")
    assert measure(model, sequences) == expected


def test_validation_keeps_the_best_weights(in_python):
    model, kept = Model(True), data("class", True, seed=5)
    watched = Validation(model, partial(measure, model, kept, engine="native"))
    optimizer = SGD(model.parameters, learning_rate=0.5)
    train(model, data("class", True), optimizer, 20, 2, engine="native", report_every=4, hooks=[watched])
    watched.use_best()
    assert measure(model, kept, engine="native")[0] == min(watched.columns["validation_loss"])


def test_outputs_after_the_last_step_are_not_those_of_every_step():
    """A sequence of a single step does not show which of the two a model returns."""
    sequences = Sequences(np.ones((2, 3)), [0, 1, 2], [0, 1])
    model = Model(True)
    wanted = "the model gives outputs for every step, but the targets are a class for each sequence"
    with pytest.raises(CompileError, match=f"^{re.escape(wanted)}$"):
        train(model, sequences, SGD(model.parameters), 1, engine="native")
    steps = Sequences(np.ones((2, 3)), [0, 1, 2], [0, 1], per_step=True)
    wanted = "the model gives outputs after the last step only, but the targets are a class for each step"
    model = Model(False)
    with pytest.raises(CompileError, match=f"^{re.escape(wanted)}$"):
        Training(model, steps, SGD(model.parameters), engine="native")


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("loss", ["cross-entropy", smoothed], ids=named)
def test_a_label_must_be_a_class_of_the_model(loss):
    model = Model(True)
    with pytest.raises(InvalidArgument, match=r"^a label is 4, but the model has 2 classes, 0 \.\. 1$"):
        train(model, data("class", True, columns=5), SGD(model.parameters), 1, engine="native", loss=loss)


# --- losses that change, or cannot be compiled


class Annealed:
    """A loss with a number that a hook can change."""

    def __init__(self):
        self.power = 2.0

    def __call__(self, outputs, targets):
        return (mg.abs(outputs - targets) ** self.power).mean(axis=1)

    def on_report(self, report):
        self.power = 1.0


@pytest.mark.long
def test_a_loss_that_a_hook_changes_is_compiled_again(monkeypatch):
    sequences, histories = data("numbers", True), []
    for engine in ("auto", "mygrad"):
        loss, model = Annealed(), Model(True)
        optimizer = SGD(model.parameters, learning_rate=0.1)
        history = train(model, sequences, optimizer, 30, 2, engine=engine, loss=loss, report_every=10, hooks=[loss])
        histories.append(history)
    assert histories[0].engine == "native"
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-4)
    loss, model = Annealed(), Model(True)
    with pytest.raises(CompileError, match=r"^the loss computes something else now than what was compiled$"):
        train(model, sequences, SGD(model.parameters), 30, engine="native", loss=loss, report_every=10, hooks=[loss])


def test_losses_that_cannot_be_compiled_train_with_mygrad(in_python):
    def looking(outputs, targets):
        return ((outputs - targets) ** 2).mean(axis=1) * (2.0 if targets.sum() > 1000 else 1.0)

    sequences, model = data("numbers"), Model(False)
    told = r"^the model runs op by op with MyGrad, because the loss '.*looking' has no native form: it inspects numbers"
    with pytest.warns(UserWarning, match=told):
        history = train(model, sequences, SGD(model.parameters), 3, 2, loss=looking)
    plain = Model(False)
    expected = train(plain, sequences, SGD(plain.parameters), 3, 2, loss="mean-squared-error")
    assert (history.engine, expected.engine) == ("mygrad", "native")
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-5)
    with pytest.raises(CompileError, match=r"^the loss '.*looking' has no native form: it inspects numbers"):
        train(model, sequences, SGD(model.parameters), 3, engine="native", loss=looking)


# --- models of every shape that give logits for every step


@pytest.mark.parametrize("entry", most_are_long([e for e in ALL if e.outputs == "steps" and e.compiles], 10))
def test_a_compiled_model_gives_logits_for_every_step(entry, in_python):
    model = entry.made()
    compiled = compile(model, dim_input=WIDTH, check=False)
    assert compiled.per_step
    for lengths in ([1], [7, 3, 5, 1, 0, 9, 2]):
        values = np.random.default_rng(0).normal(size=(sum(lengths), WIDTH))
        sequences = Sequences(values, offsets_of(lengths), [0] * sum(lengths), per_step=True)
        expected = np.concatenate([model(x).data for x, _ in sequences if len(x)])
        np.testing.assert_allclose(compiled.logits(sequences), expected, atol=1e-4)
        np.testing.assert_array_equal(compiled.predict(sequences), expected.argmax(axis=1))


SOME = [entry for i, entry in enumerate(ALL) if entry.compiles and (entry.outputs == "steps" or i % 20 == 0)]


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("entry", most_are_long(SOME, 18))
def test_losses_of_models_of_every_shape_are_those_of_mygrad(entry):
    model = entry.made()
    compiled = compile(model, max_length=min(20, entry.largest), dim_input=WIDTH, check=False)
    rng = np.random.default_rng(0)
    numbers, classes = rng.normal(size=(8, compiled.dim_output)), np.arange(8) % compiled.dim_output
    for loss, targets in (("huber", numbers), (smoothed, classes)):
        kind = TargetKind("numbers" if loss == "huber" else "a class", compiled.per_step)
        graph = trace_loss(loss, kind, compiled.dim_output, targets, model.parameters)
        for batched in (False, True):
            # A program is compared with MyGrad before it is returned.
            native = compiled.native(batched=batched, loss=graph)
            assert native.loss == graph and compiled.native(batched=batched, loss=graph) is native


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("per_step", [False, True])
def test_a_wrong_loss_is_found_before_it_is_used(per_step, batched, in_python):
    compiled = compile(Model(per_step), dim_input=3, check=False)
    graph = trace_loss("huber", TargetKind("numbers", per_step, 2), 2, np.full((1, 2), 3.0))
    with pytest.raises(NotARecurrence, match=r"^the compiled functions do not agree with the model: the loss of"):
        compiled.native(batched=batched, loss=replace(graph, function="mean-squared-error"))


class WithLastState(Model):
    """Has outputs for every step that read the last state."""

    def __call__(self, x):
        h = np.zeros((1, 4), dtype=np.float32)
        for x_t in x:
            h = mg.tanh(x_t[np.newaxis] @ self.wx + h @ self.wh)
        return mg.concatenate([mg.tanh(x_t[np.newaxis] @ self.wx + h) @ self.wy + self.by for x_t in x])


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 4], 4))
def test_outputs_of_every_step_can_read_the_last_state(batch_size):
    sequences = Sequences(np.random.default_rng(0).normal(size=(10, 3)), [0, 3, 4, 6, 10], [0, 1] * 5, per_step=True)
    history, expected = (
        trained(engine, sequences, batch_size, model=WithLastState(True))[1] for engine in ("native", "mygrad")
    )
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-4)
