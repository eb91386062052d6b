"""`dropout` and `noise`: drawn only in training, the same in both engines, and the same after a stop."""

import copy
import re

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import myrnn
from marks import the_rest_is_long
from myrnn import dropout, noise
from myrnn.compiler.runtime import draws
from myrnn.errors import CompileError, InvalidArgument
from myrnn.optimizers import SGD, Adam
from myrnn.randomness import KEEP, NORMAL, Draw, SequenceDraws, keys_of, run_with
from myrnn.runs import load_run, save_run
from myrnn.sequences import Sequences
from myrnn.tasks import TwinHalves
from myrnn.training import Checkpoint, measure
from myrnn.training.loop import Training
from natively import native

C, D, K = 4, 6, 3
SHAPES = {
    "w": (C, D), "u": (D, D), "v": (D, K), "w2": (D, D), "u2": (D, D), "wb": (C, D), "ub": (D, D), "v2": (2 * D, K),
    "wl": (C, 4 * D), "ul": (D, 4 * D), "h0": (1, D),
}  # fmt: skip


class Model:
    """A function of a sequence and of weights, whose names give their shapes."""

    def __init__(self, function, seed=0, dtype=np.float32):
        rng, self.function, self.dim_input, self.rate = np.random.default_rng(seed), function, C, 0.3
        self.names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
        for name in self.names:
            setattr(self, name, mg.tensor((0.5 * rng.normal(size=SHAPES[name])).astype(dtype)))

    @property
    def parameters(self):
        return tuple(getattr(self, name) for name in self.names)

    def __call__(self, x):
        return self.function(x, *self.parameters)


def zeros():
    return np.zeros((1, D), dtype=np.float32)


def step(x_t, h, w, u):
    return mg.tanh(x_t[np.newaxis] @ w + h @ u)


def sigmoid(z):
    return 1 / (1 + mg.exp(-z))


def of_state(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = dropout(step(x_t, h, w, u), 0.4)
    return h @ v


def before_step(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = step(x_t, dropout(h, 0.4), w, u)
    return h @ v


def of_sequence(x, w, u, v):
    h = zeros()
    for x_t in dropout(x, 0.3):
        h = step(x_t, h, w, u)
    return h @ v


def of_reversed(x, w, u, v):
    h = zeros()
    for x_t in dropout(x[::-1], 0.3):
        h = step(x_t, h, w, u)
    return h @ v


def of_projection(x, w, u, v):
    h = zeros()
    for z in dropout(x @ w, 0.3):
        h = mg.tanh(z[np.newaxis] + h @ u)
    return h @ v


def of_readout(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = step(x_t, h, w, u)
    return dropout(h, 0.5) @ v


def lstm(x, wl, ul, v):
    h, c = zeros(), zeros()
    for x_t in x:
        z = x_t[np.newaxis] @ wl + h @ ul
        i, f, o, g = (z[:, n * D : (n + 1) * D] for n in range(4))
        c = sigmoid(f) * c + sigmoid(i) * mg.tanh(g)
        h = dropout(sigmoid(o) * mg.tanh(c), 0.3)
    return h @ v


def both_ways(x, w, u, wb, ub, v2):
    f, b = zeros(), zeros()
    for x_t in x:
        f = dropout(step(x_t, f, w, u), 0.3)
    for x_t in x[::-1]:
        b = dropout(step(x_t, b, wb, ub), 0.2)
    return mg.concatenate([f, b], axis=1) @ v2


def back_over_both(x, w, u, wb, ub, u2, v):
    h, forward = zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        forward.append(h)
    h, backward = zeros(), []
    for x_t in x[::-1]:
        h = step(x_t, h, wb, ub)
        backward.append(h)
    h = zeros()
    for t in reversed(range(len(x))):
        h = dropout(mg.tanh(forward[t] * backward[len(x) - 1 - t] + h @ u2), 0.3)
    return h @ v


def every_step(x, w, u, v):
    h, seen = zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        seen.append(dropout(h, 0.3))
    return mg.concatenate(seen) @ v


def all_states(x, w, u, v):
    h, seen = zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        seen.append(h)
    return dropout(mg.concatenate(seen), 0.3) @ v


def of_last_output(x, w, u, v):
    h = y = zeros()
    for x_t in x:
        h = step(x_t, h, w, u)
        y = dropout(h, 0.3)
    return y @ v


def last_of_all_states(x, w, u, v):
    h, seen = zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        seen.append(h)
    return dropout(mg.concatenate(seen), 0.3)[-1:] @ v


def first_of_all_states(x, w, u, v):
    h, seen = zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        seen.append(h)
    return (h + dropout(mg.concatenate(seen), 0.3)[:1]) @ v


def pooled(x, w, u, v):
    h, seen = zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        seen.append(h)
    return dropout(mg.concatenate(seen), 0.3).mean(axis=0, keepdims=True) @ v


def layers_in_the_step(x, w, u, w2, u2, v):
    states = [zeros(), zeros()]
    for x_t in x:
        below = x_t[np.newaxis] @ w
        for i, weight in enumerate((u, u2)):
            states[i] = dropout(mg.tanh(below + states[i] @ weight), 0.3)
            below = states[i] @ w2
    return states[1] @ v


def layers_outside(x, w, u, w2, u2, v):
    below = [x_t[np.newaxis] @ w for x_t in x]
    for weight in (u, u2):
        h, above = zeros(), []
        for z in below:
            h = dropout(mg.tanh(z + h @ weight), 0.3)
            above.append(h @ w2)
        below = above
    return below[-1] @ v


def layers_of_rows(x, w, u, w2, u2, v):
    below = x @ w
    for weight in (u, u2):
        h, above = zeros(), []
        for z in dropout(below, 0.3):
            h = mg.tanh(z[np.newaxis] + h @ weight)
            above.append(h @ w2)
        below = mg.concatenate(above)
    return below[-1:] @ v


def one_mask(x, w, u, v):
    """The same mask at every step: Gal and Ghahramani, 2016."""
    mask, h = dropout(np.ones((1, D), dtype=np.float32), 0.3), zeros()
    for x_t in x:
        h = step(x_t, h * mask, w, u)
    return h @ v


def one_mask_of_outputs(x, w, u, v):
    mask, h, seen = dropout(np.ones((1, D), dtype=np.float32), 0.3), zeros(), []
    for x_t in x:
        h = step(x_t, h, w, u)
        seen.append(h * mask)
    return mg.concatenate(seen) @ v


def of_weights(x, w, u, v):
    """Wan et al., Regularization of neural networks using DropConnect, 2013."""
    h, dropped = zeros(), dropout(u, 0.3)
    for x_t in x:
        h = step(x_t, h, w, dropped)
    return h @ v


def of_first_state(x, w, u, v, h0):
    h = noise(h0, 0.3)
    for x_t in x:
        h = step(x_t, h, w, u)
    return h @ v


def three_readouts(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = step(x_t, h, w, u)
    return sum(dropout(h, 0.3) @ v for _ in range(3))


def noisy(x, w, u, v):
    h = zeros()
    for x_t in noise(x, 0.5):
        h = mg.tanh(noise(x_t[np.newaxis] @ w + h @ u, 0.3))
    return h @ v


def flat(x, w, u, v):
    h = np.zeros(D, dtype=np.float32)
    for x_t in x:
        h = dropout(mg.tanh(x_t @ w + h @ u), 0.4)
    return (h @ v)[np.newaxis]


def dropped(h):
    return dropout(h, 0.3)


def from_three_lines(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = dropped(mg.tanh(dropped(x_t[np.newaxis] @ w) + h @ u))
    return dropped(h) @ v


def from_a_text(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = eval("dropout(z, 0.3)", {"dropout": dropout, "z": step(x_t, h, w, u)})
    return h @ v


def with_decay(x, w, u, v):
    h = zeros()
    for t, x_t in enumerate(x):
        h = mg.tanh(dropout(x_t[np.newaxis] @ w, 0.3) * np.float32(0.9**t) + h @ u)
    return h @ v


def at_odd_steps(x, w, u, v):
    h = zeros()
    for t, x_t in enumerate(x):
        h = step(x_t, h, w, u)
        h = mg.where(t % 2 == 1, dropout(h, 0.3), h)
    return h @ v


def zoneout(x, w, u, v):
    """Krueger et al., Zoneout: regularizing RNNs by randomly preserving hidden activations, 2017."""
    h = zeros()
    for x_t in x:
        keep = np.float32(0.7) * dropout(np.ones((1, D), dtype=np.float32), 0.3)
        h = keep * step(x_t, h, w, u) + (1 - keep) * h
    return h @ v


PER_STEP = (every_step, all_states, one_mask_of_outputs)
MODELS = [
    of_state, before_step, of_sequence, of_reversed, of_projection, of_readout, lstm, both_ways, back_over_both,
    every_step, all_states, of_last_output, last_of_all_states, first_of_all_states, pooled, layers_in_the_step,
    layers_outside, layers_of_rows, one_mask, one_mask_of_outputs, of_weights, of_first_state, three_readouts, noisy,
    flat, from_three_lines, from_a_text, with_decay, at_odd_steps, zoneout,
]  # fmt: skip


def data(function, tokens=False, count=30):
    rng, per_step = np.random.default_rng(1), function in PER_STEP
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, 9, count))))
    targets = rng.integers(0, K, offsets[-1] if per_step else count)
    if tokens:
        return Sequences(rng.integers(0, C, offsets[-1]), offsets, targets, C, per_step=per_step)
    return Sequences(rng.normal(size=(offsets[-1], C)).astype(np.float32), offsets, targets, per_step=per_step)


def training(model, sequences, engine, batch_size=4, seed=3):
    return Training(model, sequences, Adam(model.parameters), batch_size, seed, engine=engine, report_every=1)


def trained(function, engine, iterations=12, sequences=None, **options):
    """Train a model, and return the losses and the weights."""
    model = Model(function)
    history = training(model, data(function) if sequences is None else sequences, engine, **options).run(iterations)
    return np.array(history.loss), [parameter.data for parameter in model.parameters]


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


# --- both engines


@pytest.mark.parametrize(
    ("tokens", "batch_size"), [(False, 4), pytest.param(True, 1, marks=pytest.mark.long)], ids=["batches", "tokens"]
)
@pytest.mark.parametrize("function", the_rest_is_long(MODELS, of_state, at_odd_steps, of_last_output, from_a_text))
def test_both_engines_train_to_the_same(function, tokens, batch_size, in_python):
    options = {"sequences": data(function, tokens), "batch_size": batch_size}
    (losses, weights), (others, other_weights) = (trained(function, e, **options) for e in ("mygrad", "native"))
    np.testing.assert_allclose(losses, others, rtol=1e-4, atol=1e-6)
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("function", [both_ways, of_state, noisy])
def test_so_does_machine_code(function, batch_size):
    (losses, weights), (others, other_weights) = (
        trained(function, engine, batch_size=batch_size) for engine in ("mygrad", "native")
    )
    np.testing.assert_allclose(losses, others, rtol=1e-4, atol=1e-6)
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_threads_share_a_batch_as_one_trains_it(monkeypatch):
    alone = trained(of_state, "native", batch_size=16)
    monkeypatch.setattr("myrnn.training.native.shards_for", lambda *arguments: 2)
    np.testing.assert_allclose(alone[0], trained(of_state, "native", batch_size=16)[0], rtol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_a_batch_is_the_mean_of_its_sequences():
    sequences, model = data(of_state), Model(of_state)
    batched = myrnn.compile(model).native(batched=True)
    alone = myrnn.compile(model).native()
    members, keys = np.arange(5), keys_of(0, 0, (1, 5))[0]
    numbers = batched.block_of([p.data for p in model.parameters]).numbers
    loss, block = batched.gradients(sequences, members, numbers, keys)
    each = [alone.gradients(sequences, members[i : i + 1], numbers, keys[i : i + 1]) for i in range(5)]
    assert np.isclose(loss, np.mean([one for one, _ in each]), rtol=1e-5)
    np.testing.assert_allclose(block.numbers, np.mean([b.numbers for _, b in each], axis=0), atol=1e-6)
    assert loss != batched.gradients(sequences, members, numbers)[0]


@pytest.mark.parametrize("function", [lstm, layers_outside, noisy], ids=lambda function: function.__name__)
def test_gradients_are_those_of_the_drawn_numbers(function):
    model, x = Model(function, dtype=np.float64), data(function).features(0, 8).astype(np.float64)

    def loss():
        return (run_with(SequenceDraws(7), model, x) ** 2).sum()

    loss().backward()
    gradients, rng = [parameter.grad.copy() for parameter in model.parameters], np.random.default_rng(0)
    for parameter, gradient in zip(model.parameters, gradients, strict=True):
        way, before, losses = rng.normal(size=parameter.shape), parameter.data.copy(), []
        with mg.no_autodiff:
            for sign in (1, -1):
                parameter.data[...] = before + sign * 1e-6 * way
                losses.append(float(loss()))
        parameter.data[...] = before
        assert np.isclose((losses[0] - losses[1]) / 2e-6, (gradient * way).sum(), rtol=1e-5, atol=1e-7)


# --- the same again


@pytest.mark.parametrize("engine", the_rest_is_long(["mygrad", "native"], "native"))
@pytest.mark.parametrize("function", the_rest_is_long([of_state, noisy], noisy))
def test_a_training_resumes_byte_for_byte(function, engine, tmp_path, in_python):
    whole, first, second = (Model(function) for _ in range(3))
    sequences, folder = data(function), tmp_path / "checkpoints"
    history = training(whole, sequences, engine).run(24)
    training(first, sequences, engine).run(11)
    options = {"batch_size": 4, "seed": 3, "engine": engine, "report_every": 1}
    stopped = Model(function)
    saving = Checkpoint(folder, every=0, share=1e9)
    myrnn.train(stopped, sequences, Adam(stopped.parameters), 11, checkpoint=saving, **options)
    found = myrnn.train(second, sequences, Adam(second.parameters), 24, checkpoint=folder, resume=True, **options)
    assert np.array(found.loss).tobytes() == np.array(history.loss).tobytes()
    for one, other in zip(whole.parameters, second.parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.parametrize("engine", ["mygrad", "native"])
def test_the_split_of_iterations_into_calls_makes_no_difference(engine, in_python):
    one, other = Model(of_state), Model(of_state)
    training(one, data(of_state), engine).run(12)
    turns = training(other, data(of_state), engine)
    for count in (1, 4, 7):
        turns.advance(count)
    assert all(a.data.tobytes() == b.data.tobytes() for a, b in zip(one.parameters, other.parameters, strict=True))


def test_another_seed_iteration_or_position_draws_other_numbers():
    keys = np.concatenate([keys_of(seed, 0, (50, 40)).ravel() for seed in (0, 1, 2**70)])
    assert len(set(keys.tolist())) == len(keys)
    assert (keys_of(1, 20, (5, 3)) == keys_of(1, 0, (25, 3))[20:]).all()
    x, model = data(of_state).features(0), Model(of_state)
    outputs = {run_with(SequenceDraws(key), model, x).data.tobytes() for key in range(20)}
    assert len(outputs) > 15
    assert run_with(SequenceDraws(5), model, x).data.tobytes() == run_with(SequenceDraws(5), model, x).data.tobytes()


class Spoiling:
    """Damages a weight once."""

    def __init__(self, model):
        self.model, self.at = model, 15

    def on_progress(self, iteration):
        if iteration == self.at:
            self.model.parameters[-1].data[...] = np.nan
            self.at = None


def test_a_restart_after_divergence_draws_the_same(in_python):
    """A restart goes back to an iteration, and draws the numbers of that iteration again."""
    found = []
    for engine in ("mygrad", "native"):
        model = Model(of_readout)
        options = {"engine": engine, "report_every": 5, "on_divergence": "restart", "hooks": [Spoiling(model)]}
        one = Training(model, data(of_readout), SGD(model.parameters), 4, 3, **options)
        with pytest.warns(UserWarning, match="training resumes from iteration"):
            one.run(20)
        found.append([p.data for p in model.parameters])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


# --- off


SOME = [of_state, of_sequence, every_step, noisy, both_ways, layers_outside, one_mask, of_weights, of_first_state]


@pytest.mark.parametrize("function", the_rest_is_long(SOME, *SOME[:2]))
def test_nothing_is_drawn_outside_of_training(function, monkeypatch, in_python):
    model, sequences = Model(function), data(function)
    with_draws = myrnn.compile(model, check=False).logits(sequences)
    own = [model(sequences.features(i)).data for i in range(len(sequences))]
    for name in ("dropout", "noise"):
        monkeypatch.setitem(globals(), name, lambda h, amount: h)
    without = [model(sequences.features(i)).data for i in range(len(sequences))]
    assert [a.tobytes() for a in own] == [a.tobytes() for a in without]
    np.testing.assert_allclose(with_draws, np.concatenate(without), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("in_python")
def test_native_logits_equal_those_of_a_model_without_dropout(monkeypatch):
    sequences = data(of_state)
    found = []
    for _ in range(2):
        found.append(myrnn.compile(Model(of_state), check=False).logits(sequences).tobytes())
        monkeypatch.setitem(globals(), "dropout", lambda h, rate: h)
    assert found[0] == found[1]


@pytest.mark.usefixtures("in_python")
def test_evaluating_between_iterations_changes_nothing():
    one, other = Model(of_state), Model(of_state)
    sequences = data(of_state)
    first, second = training(one, sequences, "native"), training(other, sequences, "native")
    first.run(10)
    before = measure(other, sequences, engine="native")
    assert before == measure(other, sequences, engine="native")
    second.run(5)
    measure(other, sequences, engine="native")
    myrnn.compile(other).observe(sequences.features(0), 1)
    second.run(5)
    assert all(a.data.tobytes() == b.data.tobytes() for a, b in zip(one.parameters, other.parameters, strict=True))


@pytest.mark.parametrize("of", [lambda h: dropout(h, 0), lambda h: noise(h, 0.0)], ids=["dropout", "noise"])
def test_a_rate_of_zero_returns_the_argument_itself(of):
    h = mg.tensor([[1.0, 2.0]])
    assert of(h) is h
    assert run_with(SequenceDraws(0), lambda x: of(x), h) is h


# --- the numbers


def stream(kind, amount, count=100_000, site=0):
    return Draw(kind, float(np.float32(amount))).numbers(1, site, 0, count)


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.5, 0.9])
def test_the_share_of_zeros_is_the_rate(rate):
    numbers = stream(KEEP, rate)
    zero = numbers == 0
    assert stats.binomtest(int(zero.sum()), len(zero), float(np.float32(rate))).pvalue > 1e-4
    assert (numbers[~zero] == np.float32(1) / (np.float32(1) - np.float32(rate))).all()
    # Neighbours, and numbers of another line, are independent.
    other = stream(KEEP, rate, site=1) == 0
    for a, b in ((zero[1:], zero[:-1]), (zero[2:], zero[:-2]), (zero, other)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(zero))


def test_noise_is_normal():
    numbers = stream(NORMAL, 0.5).astype(np.float64)
    assert stats.kstest(numbers / 0.5, "norm").pvalue > 1e-4
    assert abs(numbers.mean()) < 0.5 * 5 / np.sqrt(len(numbers))
    assert abs(numbers.std() / 0.5 - 1) < 5 / np.sqrt(2 * len(numbers))
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 5 / np.sqrt(len(numbers))


@given(
    key=st.integers(-(2**63), 2**63 - 1), site=st.integers(0, 50), row=st.integers(0, 10**6), count=st.integers(1, 40),
    rate=st.floats(2.0**-7, 1 - 2.0**-7, width=32), kind=st.sampled_from([KEEP, NORMAL]),
)  # fmt: skip
def test_native_code_draws_the_same_numbers(key, site, row, count, rate, kind):
    function = {KEEP: draws.draw_dropout, NORMAL: draws.draw_noise}[kind]
    out = np.full(64, -1, dtype=np.float32)
    native(function)(out, 3, count, np.full(2, rate, dtype=np.float32), 1, np.array([key]), site, row)
    expected = Draw(kind, rate).numbers(key, site, row * count, count)
    assert (out[:3] == -1).all()
    assert (out[3 + count :] == -1).all()
    if kind == KEEP:
        assert (out[3 : 3 + count] == expected).all()
    np.testing.assert_allclose(out[3 : 3 + count], expected, rtol=1e-6, atol=1e-8)


@given(first=st.integers(0, 50), count=st.integers(0, 50))
def test_a_stream_is_the_same_in_any_portions(first, count):
    whole = stream(NORMAL, 1, 100)
    assert (Draw(NORMAL, 1.0).numbers(1, 0, first, count) == whole[first : first + count]).all()


# --- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: dropout(h, 1), "rate must be below 1, not 1.0"),
        (lambda h: dropout(h, -0.1), "rate must be at least 0, not -0.1"),
        (lambda h: dropout(h, 1 - 1e-12), "rate must be below 1 in float32, not 0.999999999999"),
        (lambda h: dropout(h, float("nan")), "rate must be finite, not nan"),
        (lambda h: dropout(h, "0.5"), "rate must be a number, not '0.5'"),
        (lambda h: noise(h, -1), "std must be at least 0, not -1.0"),
        (lambda h: noise(h, float("inf")), "std must be finite, not inf"),
        (lambda h: dropout(0.5, 0.5), "h must be a tensor or an array, not 0.5"),
    ],
)
def test_an_invalid_amount_is_refused(call, message):
    with refused(message):
        call(np.ones(3, dtype=np.float32))


def not_at_first(x, w, u, v):
    h = zeros()
    for t, x_t in enumerate(x):
        h = step(x_t, h, w, u)
        h = dropout(h, 0.3) if t else h
    return h @ v


def ever_more(x, w, u, v):
    h = zeros()
    for t, x_t in enumerate(x):
        h = dropout(step(x_t, h, w, u), 0.5 / (t + 1))
    return h @ v


def columns(x, w, u, v):
    h, z = zeros(), dropout((x @ w).T, 0.3)
    for t in range(len(x)):
        h = mg.tanh(z[:, t] + h @ u)
    return h @ v


def any_shape(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = step(x_t, dropout(h, 0.5), w, u)
        for rows in (x_t[np.newaxis], h):
            h = h + dropout(rows, 0.5).sum()
    return h @ v


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            not_at_first,
            "a line draws 8 times 6 numbers for 9 steps, 11 times 6 numbers for 12 steps, 12 times 6 numbers for 13 "
            "steps: a compiled model draws at every step, once, or rows of the sequence, (T, ...).",
        ),
        (
            columns,
            "a line draws 1 times 54 numbers for 9 steps, 1 times 72 numbers for 12 steps, 1 times 78 numbers for 13 "
            "steps: a compiled model draws at every step, once, or rows of the sequence, (T, ...).",
        ),
        (ever_more, "a line draws with another number from call to call: write a line for each."),
        (any_shape, "a line draws with another shape from call to call: write a line for each."),
    ],
)
def test_draws_without_an_order_are_refused_with_their_line(function, message):
    with pytest.raises(CompileError, match=f"^{re.escape(message)}\n  test_dropout.py:\\d+   .*dropout"):
        myrnn.compile(Model(function), 13)


def with_numpy(x, w, u, v):
    h = zeros()
    for x_t in x:
        h = step(x_t, h, w, u) * (np.random.random((1, D)) > 0.3)  # noqa: NPY002 - a model may do so
    return h @ v


def test_other_random_numbers_are_refused():
    with pytest.raises(CompileError, match=r"draws random numbers while it runs: .* use myrnn.dropout or myrnn.noise"):
        myrnn.compile(Model(with_numpy))


# --- what may change


class Changing(Model):
    def __call__(self, x):
        h = zeros()
        for x_t in x:
            h = dropout(step(x_t, h, self.w, self.u), self.rate)
        return h @ self.v


@pytest.mark.parametrize(("first", "then"), the_rest_is_long([(0.3, 0.6), (0.0, 0.5), (0.5, 0.0)], (0.0, 0.5)))
def test_a_rate_that_changes_takes_effect(first, then, in_python):
    found = []
    for engine in ("mygrad", "auto"):
        model, sequences = Changing(of_state), data(of_state)
        optimizer = Adam(model.parameters)
        for rate in (first, then):
            model.rate = rate
            Training(model, sequences, optimizer, 4, 3, engine=engine, report_every=1).run(6)
        found.append([p.data for p in model.parameters])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("then", the_rest_is_long([0.6, 0.0], 0.0))
def test_a_hook_may_change_the_rate(then, in_python):
    class Hook:
        def on_report(self, report):
            if report.iteration == 6:
                model.rate = then

    found = []
    for engine in ("mygrad", "auto"):
        model = Changing(of_state)
        options = {"engine": engine, "report_every": 3, "hooks": [Hook()]}
        Training(model, data(of_state), Adam(model.parameters), 4, 3, **options).run(12)
        found.append([p.data for p in model.parameters])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_rows_that_equal_the_steps_in_number_by_chance_are_not_rows_of_the_sequence(in_python):
    """A weight of 6 rows, and a sequence of 6 or 13 steps."""
    for steps in (D, 13):
        x = np.random.default_rng(0).normal(size=(steps * 4, C)).astype(np.float32)
        sequences = Sequences(x, np.arange(5) * steps, np.arange(4) % K)
        one, other = (trained(of_weights, e, 4, sequences) for e in ("mygrad", "native"))
        np.testing.assert_allclose(one[0], other[0], rtol=1e-4)


def test_equations_name_the_random_numbers():
    assert str(myrnn.compile(Model(from_three_lines), check=False)).splitlines() == [
        "before the first step:",
        "    h = 0",
        "for every x:",
        "    h_1 = x @ w",
        "    h_2 = tanh(h_1 * dropout_0[t] + h @ u)",
        "    h = h_2 * dropout_1[t]",
        "after the last step:",
        "    logits = (h * dropout_2) @ v",
    ]


# --- other uses of models


def test_stages_and_graphs_show_the_random_numbers(in_python):
    compiled, sequences = myrnn.compile(Model(both_ways), check=False), data(both_ways)
    assert "dropout_0[0]" in compiled.stages["trace"]
    assert re.search(r"draw_dropout: \w+ -> dropout\[t\]", compiled.stages["schedule"])
    assert "draw_dropout(" in compiled.stages["emit"]
    drawing = myrnn.build_graph(compiled, x=sequences.features(0), y=1)
    assert "dropout, drawn at random in training" in drawing.to_svg()


def test_inspection_shows_the_model_without_dropout(in_python):
    model, sequences = Model(of_state), data(of_state)
    compiled, x = myrnn.compile(model, check=False), sequences.features(3)
    expected = mg.nnet.losses.softmax_crossentropy(model(x), np.array([1]))
    expected.backward()
    loss, gradients = compiled.loss_and_gradients(x, 1)
    assert np.isclose(loss, expected.item(), rtol=1e-5)
    np.testing.assert_allclose(gradients[1], model.u.grad, atol=1e-6)
    assert np.isclose(compiled.observe(x, 1).loss, loss)


def test_a_copy_of_a_compiled_model_draws_the_same(in_python):
    one, other = Model(of_state), Model(of_state)
    copy.copy(myrnn.compile(other, check=False))
    for model in (one, copy.deepcopy(other)):
        training(model, data(of_state), "native").run(4)
    assert one.u.data.tobytes() != other.u.data.tobytes()


def test_a_run_of_a_model_that_draws_is_saved_and_loaded(tmp_path, in_python):
    task = TwinHalves(pattern_length_max=2, alphabet_size=C)
    model = OfTask()
    optimizer = Adam(model.parameters)
    history = myrnn.train(model, task, optimizer, 6, 4, report_every=3, engine="native")
    folder = save_run(tmp_path / "run", task=task, model=model, optimizer=optimizer, history=history)
    loaded = load_run(folder, model=OfTask())
    assert [p.data.tobytes() for p in loaded.model.parameters] == [p.data.tobytes() for p in model.parameters]


class OfTask(Model):
    def __init__(self):
        super().__init__(of_state)
        self.v = mg.tensor(self.v.data[:, :2].copy())


@pytest.mark.long
def test_long_sequences_draw_the_same(in_python):
    x = np.random.default_rng(0).normal(size=(300, C)).astype(np.float32)
    sequences = Sequences(x, np.array([0, 100, 300]), np.array([0, 1]))
    one, other = (trained(of_state, e, 3, sequences, batch_size=2) for e in ("mygrad", "native"))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4)


@pytest.mark.parametrize(
    "function", [of_state, of_sequence, of_readout, of_last_output, one_mask], ids=lambda function: function.__name__
)
def test_empty_sequences_draw_the_same(function, in_python):
    x = np.random.default_rng(0).normal(size=(7, C)).astype(np.float32)
    sequences = Sequences(x, np.array([0, 0, 3, 3, 7]), np.array([0, 1, 2, 0]))
    one, other = (trained(function, e, 6, sequences, batch_size=3) for e in ("mygrad", "native"))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-4)


def from_two_lines(x, w, u, v, h0):
    h = h0
    for x_t in x:
        h = dropped(step(x_t, h, w, u))
    return dropped(h) @ v


def test_an_empty_sequence_that_numbers_sites_differently_is_refused(in_python):
    """The line after the loop draws second, but first if there is no step."""
    sequences = Sequences(np.ones((2, C), dtype=np.float32), np.array([0, 0, 2]), np.array([0, 1]))
    with pytest.raises(CompileError, match="on a sequence of 0 steps the model does not compute what was compiled"):
        trained(from_two_lines, "native", 6, sequences, batch_size=2)
