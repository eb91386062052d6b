"""Whole models as users write them: compiled, they agree with MyGrad."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.compiler import compile
from myrnn.models import GRU, LSTM
from myrnn.optimizers import SGD
from myrnn.sequences import Sequences
from myrnn.training import train
from zoo import ALL, LastRow, Lesson, made

LENGTHS = (1, 2, 3, 8, 20, 50, 1, 31, 20)
# For these, batches of tokens are also compiled; for the others, features of one and several sequences are enough.
MANY_KINDS = {"Lesson", "GatesInOneMatrix", "PassAfterPass", "Backwards", "Embedding", "LastRow"}
# Each kind takes seconds to compile; `test_compile_interpreted` runs the programs of all of them in Python.
SHORT = {"Lesson"}


def each(kinds):
    """One case for each kind of model; most are long tests."""
    return [
        pytest.param(kind, id=kind.__name__, marks=() if kind.__name__ in SHORT else pytest.mark.long) for kind in kinds
    ]


ALL_KINDS, TOKEN_KINDS = each(ALL), each(kind for kind in ALL if kind.__name__ in MANY_KINDS)


@pytest.fixture
def some_in_python(request, kind):
    """Run the programs of every second kind in Python: machine code of one sequence is tested with half of the kinds,
    and of batches with the other half.
    """
    is_batched = "batches" in request.node.name
    if kind.__name__ not in MANY_KINDS and ALL.index(kind) % 2 == is_batched:
        request.getfixturevalue("in_python")


_compiled = {}


def compiled_model(kind):
    """One compiled model for all tests of this file, because its native code is the same."""
    if kind not in _compiled:
        _compiled[kind] = compile(made(kind), dim_input=kind.C)
    return _compiled[kind]


def drawn(kind, tokens, lengths=LENGTHS, seed=1):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    labels = rng.integers(0, kind.K, len(lengths))
    if tokens:
        return Sequences(rng.integers(0, kind.C, offsets[-1]), offsets, labels, kind.C)
    return Sequences(rng.normal(size=(offsets[-1], kind.C)), offsets, labels)


def by_mygrad(model, x, label):
    logits = model(x)
    loss = softmax_crossentropy(logits, np.array([label]))
    numbers, value = logits.data.copy(), loss.item()
    for parameter in model.parameters:
        parameter.null_grad()
    loss.backward()
    return numbers, value, [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in model.parameters]


def assert_gradients(ours, theirs, what):
    scale = max(np.abs(g).max(initial=0) for g in theirs)
    for i, (gradient, true) in enumerate(zip(ours, theirs, strict=True)):
        # A sum that cancels has a rounding error of the size of its terms, not of its result.
        atol = 1e-4 * max(np.abs(true).max(initial=0), 1e-2 * scale) + 1e-9
        np.testing.assert_allclose(gradient, true, rtol=0, atol=atol, err_msg=f"{what}: parameter {i}")


@pytest.mark.usefixtures("some_in_python")
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_one_sequence_at_a_time(kind):
    compiled, model = compiled_model(kind), made(kind)
    for x, label in drawn(kind, tokens=False):
        logits, loss, gradients = by_mygrad(model, x, int(label[0]))
        np.testing.assert_allclose(compiled(x), logits, rtol=1e-4, atol=1e-5)
        found, ours = compiled.loss_and_gradients(x, label)
        assert found == pytest.approx(loss, rel=1e-4, abs=1e-6)
        assert_gradients(ours, gradients, f"length {len(x)}")


@pytest.mark.parametrize("kind", TOKEN_KINDS)
@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "features"])
def test_logits_of_many_sequences(kind, tokens):
    compiled, model, sequences = compiled_model(kind), made(kind), drawn(kind, tokens)
    expected = np.concatenate([model(sequences.features(i)).data for i in range(len(sequences))])
    np.testing.assert_allclose(compiled.logits(sequences), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(compiled.predict(sequences), expected.argmax(axis=1))


def trained(kind, tokens, batch_size, engine, iterations=12):
    model = made(kind)
    sequences = drawn(kind, tokens, lengths=(3, 1, 7, 7, 12, 5, 2, 9, 4, 6), seed=2)
    optimizer = SGD(model.parameters, learning_rate=0.05)
    history = train(model, sequences, optimizer, iterations, batch_size, seed=3, engine=engine, report_every=4)
    assert history.engine == engine
    return model, history


@pytest.mark.parametrize("kind", TOKEN_KINDS)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_training_on_tokens(kind, batch_size):
    (native, history), (reference, expected) = (
        trained(kind, True, batch_size, engine) for engine in ("native", "mygrad")
    )
    assert_same_training(native, history, reference, expected)


@pytest.mark.usefixtures("some_in_python")
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_training_on_batches_of_features(kind):
    (native, history), (reference, expected) = (trained(kind, False, 5, engine) for engine in ("native", "mygrad"))
    assert_same_training(native, history, reference, expected)


def assert_same_training(native, history, reference, expected):
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(native.parameters, reference.parameters, strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-4, atol=2e-5)
    start = made(type(native)).parameters
    moved = [not np.array_equal(p.data, q.data) for p, q in zip(reference.parameters, start, strict=True)]
    assert any(moved)


@pytest.mark.long
@pytest.mark.parametrize(
    ("sizes", "kind"),
    [((1, 1, 2), GRU), ((3, 16, 2), LSTM), ((5, 17, 4), GRU), ((2, 50, 3), LSTM)],
)
def test_library_models_at_odd_sizes(sizes, kind):
    model = kind(*sizes, rng=0)
    compiled = compile(model)
    rng = np.random.default_rng(4)
    for length in (1, 6, 33):
        x = rng.normal(size=(length, sizes[0])).astype(np.float32)
        logits, loss, gradients = by_mygrad(model, x, sizes[2] - 1)
        np.testing.assert_allclose(compiled(x), logits, rtol=1e-4, atol=1e-5)
        found, ours = compiled.loss_and_gradients(x, sizes[2] - 1)
        assert found == pytest.approx(loss, rel=1e-4, abs=1e-6)
        assert_gradients(ours, gradients, f"length {length}")


@pytest.mark.long
@pytest.mark.parametrize("kind", [LastRow])
def test_the_gradient_of_every_row_can_be_observed(kind):
    compiled, model = compiled_model(kind), made(kind)
    x = np.random.default_rng(6).normal(size=(4, kind.C)).astype(np.float32)
    tensor = mg.tensor(x)
    loss = softmax_crossentropy(model(tensor), np.array([1]))
    loss.backward()
    seen = compiled.observe(x, 1)
    assert seen.loss == pytest.approx(loss.item(), rel=1e-4)
    np.testing.assert_allclose(seen.input_gradients, tensor.grad, rtol=1e-4, atol=1e-6)


def test_the_equations_are_those_of_the_lesson():
    assert str(compiled_model(Lesson)).splitlines()[1:4] == [
        "    h = 0",
        "for every x:",
        "    h = relu(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight)",
    ]


def test_compiling_does_not_change_the_model():
    model = made(Lesson)
    before = [p.data.tobytes() for p in model.parameters]
    softmax_crossentropy(model(np.zeros((2, 10), np.float32)), np.array([1])).backward()
    gradients = [p.grad.tobytes() for p in model.parameters]
    compile(model, dim_input=10)
    assert [p.data.tobytes() for p in model.parameters] == before
    assert [p.grad.tobytes() for p in model.parameters] == gradients


def test_a_compiled_model_follows_its_parameters():
    model = made(Lesson)
    compiled = compile(model, dim_input=10)
    x = np.eye(10, dtype=np.float32)[[1, 2, 3]]
    before = compiled(x)
    model.fc_h2y.bias.data[0, 0] += 1
    assert compiled(x)[0, 0] == pytest.approx(before[0, 0] + 1, rel=1e-5)
    model.fc_h2y.bias.data = np.zeros((1, 2), np.float32)
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-5)


def test_a_sequence_without_steps_gives_the_readout_of_the_first_state():
    compiled, model = compiled_model(Lesson), made(Lesson)
    x = np.zeros((0, 10), np.float32)
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-5)


@pytest.mark.long
def test_a_very_long_sequence():
    compiled, model = compiled_model(Lesson), made(Lesson)
    x = np.random.default_rng(5).normal(size=(700, 10)).astype(np.float32) * 0.1
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-3, atol=1e-4)
    assert compiled.max_length == 700
