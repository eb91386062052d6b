"""Numbers that differ from step to step, beyond the steps that were traced: in long sequences, steps and streams.

Whatever a compiled model computes with them is compared with the same class in MyGrad, op by op.
"""

import re

import mygrad as mg
import numpy as np
import pytest
from mygrad import tanh
from mygrad.nnet.losses import softmax_crossentropy

from marks import most_are_long, the_rest_is_long
from myrnn import RNN, Sequences, generate, train
from myrnn.compiler import compile, guard
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence
from myrnn.optimizers import SGD, Adam
from truncated_training import by_mygrad

D, K = 6, 5
# The numbers of a NumPy array.
ROWS = np.random.default_rng(7).normal(size=(70, D)).astype(np.float32)


class Positions:
    """A tagger that reads numbers of the step, and whose state can be given."""

    def __init__(self, seed=3):
        rng = np.random.default_rng(seed)
        shapes = (K, D), (D, D), (D, K)
        self.w, self.u, self.v = (mg.tensor((0.4 * rng.normal(size=s)).astype(np.float32)) for s in shapes)
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        return self.going_on(x, self.begin(), 0)[0]

    def begin(self):
        return [np.zeros((1, D), np.float32)]

    def going_on(self, x, states, first):
        (h,), numbers, logits = states, self.numbers(first + len(x)), []
        for t, x_t in enumerate(x, first):
            h = self.step(x_t[None] @ self.w, h, numbers[t])
            logits.append(h @ self.v)
        return mg.concatenate(logits), [h]

    def step(self, z, h, number):
        return tanh(z + number * (h @ self.u))

    def numbers(self, length):
        return [np.float32(np.sin(t)) for t in range(length)]


class OfAnArray(Positions):
    def numbers(self, length):
        return ROWS[:length]


class Sinusoids(Positions):
    def step(self, z, h, number):
        return tanh(z + number + h @ self.u)

    def numbers(self, length):
        return np.sin(np.arange(length)[:, None] / 3 ** np.arange(D)).astype(np.float32)


class InALoop(Positions):
    def numbers(self, length):
        found, number = [], 0.3
        for _ in range(length):
            found.append(np.float32(number))
            number = 3.7 * number * (1 - number)
        return found


class Learned(Positions):
    def __init__(self, seed=3):
        super().__init__(seed)
        self.rows = mg.tensor(ROWS.copy())
        self.parameters = (*self.parameters, self.rows)

    def step(self, z, h, number):
        return tanh(z + number + h @ self.u)

    def numbers(self, length):
        return self.rows


class Delayed(Positions):
    """Reads the number of a step in the logits of the third one after it."""

    def begin(self):
        return super().begin() * 4

    def going_on(self, x, states, first):
        numbers, logits = self.numbers(first + len(x)), []
        for t, x_t in enumerate(x, first):
            states = [self.step(x_t[None] @ self.w, states[0], numbers[t]), *states[:-1]]
            logits.append((states[-1] + x_t[None] @ self.w) @ self.v)
        return mg.concatenate(logits), states


MODELS = [Positions, OfAnArray, Sinusoids, InALoop, Learned, Delayed]


def compiled_of(model):
    return compile(model, 9, dim_input=K, check=False)


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def data(lengths, seed=1):
    rng = np.random.default_rng(seed)
    count = sum(lengths)
    values, targets = rng.integers(0, K, (2, count))
    return Sequences(values, np.cumsum([0, *lengths]), targets, K, per_step=True)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("kind", most_are_long(MODELS, len(MODELS)))
def test_a_sequence_read_step_by_step_is_the_sequence(kind):
    model, x = kind(), rows(60, K)
    compiled, found = compiled_of(model), []
    state = compiled.start()
    for piece in (x[:5], *x[5:20], x[20:59], x[59:59], x[59:]):
        state, logits = compiled.step(state, piece)
        found.append(logits.reshape(-1, K))
    np.testing.assert_allclose(np.concatenate(found), model(x).data, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_streams_read_the_rows_of_their_own_steps():
    model, x = Positions(), rows(3, 40, K)
    compiled = compiled_of(model)
    state, first = compiled.step(compiled.start(3), x[:, :25])
    _, rest = compiled.step(state, x[:, 25:])
    found = np.concatenate([first, rest], axis=1)
    np.testing.assert_allclose(found, [model(one).data for one in x], rtol=1e-4, atol=1e-5)


class DiffersLate(Positions):
    """Reads numbers that depend on the model from step 80 on."""

    def __init__(self, late):
        super().__init__()
        self.late = late

    def numbers(self, length):
        return np.append(ROWS[:, 0], np.linspace(1, 2, 10)).tolist() + [self.late] * (length - 80)


@pytest.mark.usefixtures("in_python")
def test_models_of_a_class_have_the_rows_of_tables_that_are_their_own():
    models, x = [DiffersLate(3.0), DiffersLate(0.5)], rows(90, K)
    compiled = [compile(model, 64, dim_input=K, check=False) for model in models]
    for one, model in zip(compiled, models, strict=True):
        np.testing.assert_allclose(one(x), model(x).data, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one.step(one.start(), x)[1], model(x).data, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_a_refused_trace_leaves_no_rows_of_tables():
    model, x = DiffersLate(3.0), rows(150, K)
    compiled, step = compile(model, 64, dim_input=K, check=False), model.step
    model.step = lambda z, h, number: step(z, h, number) + (number == 0.5)
    model.late = 0.5
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        compiled(x)
    del model.step
    model.late = 3.0
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("kind", "lengths", "streams"),
    [
        (Positions, [30, 17, 0, 40, 1, 25], 3),
        pytest.param(OfAnArray, [70], 1, marks=pytest.mark.long),
        (Learned, [30, 50, 70], 2),
        pytest.param(InALoop, [50] * 4, 4, marks=pytest.mark.long),
    ],
)
def test_truncated_training_is_that_of_mygrad(kind, lengths, streams):
    sequences, model = data(lengths), kind()
    options = {"seed": 5, "truncate": 6, "report_every": 1, "progress": False}
    history = train(model, sequences, SGD(model.parameters, learning_rate=0.1), 25, streams, **options)
    expected = kind()
    losses = by_mygrad(expected, sequences, streams, 6, 25, lambda p: SGD(p, learning_rate=0.1))
    np.testing.assert_allclose(history.loss, losses, rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(model.parameters, expected.parameters, strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, atol=2e-4)


@pytest.mark.long
def test_machine_code_trains_and_resumes_as_mygrad(tmp_path):
    sequences = data([300, 170, 400])

    def trained(iterations, **options):
        model = Positions()
        options |= {"seed": 5, "truncate": 20, "report_every": 1, "progress": False}
        return model, train(model, sequences, Adam(model.parameters), iterations, 2, **options)

    losses = by_mygrad(Positions(), sequences, 2, 20, 60, Adam)
    model, history = trained(60)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-3, atol=1e-4)
    trained(33, checkpoint=tmp_path / "here")
    again, _ = trained(60, resume=tmp_path / "here")
    assert [p.data.tobytes() for p in model.parameters] == [p.data.tobytes() for p in again.parameters]


@pytest.mark.long
def test_generated_tokens_are_those_of_mygrad():
    model = Positions()
    model.dim_input = K
    found = [generate(model, [1, 2], 50, seed=4, engine=engine) for engine in ("native", "mygrad")]
    assert found[0].tolist() == found[1].tolist()


# --- sequences longer than any that was traced


@pytest.fixture
def short(monkeypatch):
    """Let sequences of more than twenty steps be long."""
    monkeypatch.setattr(guard, "WHOLE", 20)
    monkeypatch.setattr(guard, "TRACED", 10)


@pytest.mark.usefixtures("in_python", "short")
@pytest.mark.parametrize("kind", most_are_long(MODELS, len(MODELS)))
def test_tables_grow_with_the_sequences(kind):
    model, x = kind(), rows(70, K)
    compiled, traced = compiled_of(model), []
    check = compiled.guard._check
    compiled.guard._check = lambda x: traced.append(len(x)) or check(x)
    for length in (25, 26, 31, 70, 33, 1):
        np.testing.assert_allclose(compiled(x[:length]), model(x[:length]).data, rtol=1e-4, atol=1e-5)
    assert sum(length > 25 for length in traced) <= 3, "each trace has twice the steps of the one before, if it can"


@pytest.mark.usefixtures("in_python", "short")
def test_sequences_of_several_lengths_are_those_of_mygrad():
    model, sequences = Sinusoids(), data([45, 3, 22, 60])
    compiled = compiled_of(model)
    expected = np.concatenate([model(x).data for x, _ in sequences])
    np.testing.assert_allclose(compiled.logits(sequences), expected, rtol=1e-4, atol=1e-5)


class Depends(Positions):
    """Reads numbers that depend on the length of a long sequence."""

    def numbers(self, length):
        return [np.float32(np.sin(t + (length if length > 30 else 0))) for t in range(length)]


class LateTurn(Positions):
    """Computes something else from a step on."""

    def step(self, z, h, number):
        return tanh(z + number * (h @ self.u)) if number.size == 1 else tanh(z)

    def numbers(self, length):
        return [np.float32(np.sin(t)) if t < 40 else np.zeros(2) for t in range(length)]


@pytest.mark.usefixtures("in_python", "short")
@pytest.mark.parametrize("kind", the_rest_is_long([Depends, LateTurn], LateTurn))
def test_other_numbers_and_steps_of_long_sequences_are_refused(kind):
    compiled, x = compiled_of(kind()), rows(50, K)
    compiled(x[:18])
    with pytest.raises(NotARecurrence, match=r"on a sequence of \d+ steps the model "):
        compiled(x)
    with pytest.raises(NotARecurrence, match=r"on a sequence of \d+ steps the model "):
        compiled.step(compiled.start(), x)


@pytest.mark.usefixtures("in_python")
def test_a_model_that_has_no_more_numbers_says_so():
    model, x = OfAnArray(), rows(71, K)
    compiled = compiled_of(model)
    state, logits = compiled.step(compiled.start(), x[:69])
    state, logits = compiled.step(state, x[69])
    np.testing.assert_allclose(logits, model(x[:70]).data[-1], rtol=1e-4, atol=1e-5)
    with pytest.raises(CompileError, match=r"the model fails on a sequence of shape \(71, 5\): IndexError"):
        compiled.step(state, x[70])


@pytest.mark.usefixtures("in_python")
def test_tables_that_need_too_much_memory_are_refused(monkeypatch):
    compiled = compiled_of(Positions())
    compiled.step(compiled.start(), rows(30, K))
    monkeypatch.setattr(guard, "machine_memory", lambda: 10**6)
    message = (
        "They are read off a run of the model, which for 3,030 steps takes about 0.1 GB of memory, and at most 0.0 GB"
    )
    with pytest.raises(CompileError, match=f"^the model computes with .* differ from step to step. {message}"):
        compiled.guard.know(3030)


@pytest.mark.usefixtures("in_python")
def test_numbers_counted_from_the_end_are_refused_in_streams():
    class FromTheEnd(Positions):
        def numbers(self, length):
            return super().numbers(length)[::-1]

    with pytest.raises(CompileError, match="its steps read how long the whole sequence is"):
        compiled_of(FromTheEnd()).start()


@pytest.mark.usefixtures("in_python")
def test_numbers_that_weights_combine_with_before_their_step_are_refused_in_streams():
    class Gated(Positions):
        def __init__(self):
            super().__init__()
            self.b = mg.tensor(np.ones(D, np.float32))
            self.parameters = (*self.parameters, self.b)

        def step(self, z, h, number):
            k = mg.nnet.sigmoid(number * self.b)
            return k * tanh(z + h @ self.u) + (1 - k) * h

    with pytest.raises(CompileError, match="a state is multiplied by what weights make of a number of the next step"):
        compiled_of(Gated()).start()


@pytest.mark.usefixtures("in_python")
def test_a_stream_with_a_wrong_number_of_steps_is_refused():
    # Native code checks no bounds.
    compiled = compiled_of(Positions())
    state, _ = compiled.step(compiled.start(), rows(3, K))
    for steps, kind, message in [
        (-1, InvalidArgument, "a stream has read a negative number of steps"),
        (1e30, CompileError, "the numbers that differ from step to step are known for"),
    ]:
        numbers = state.numbers.copy()
        numbers[0, state.layout.steps] = steps
        with pytest.raises(kind, match=f"^{re.escape(message)}"):
            compiled.step(type(state)(state.names, state.layout, numbers, 3), rows(K))


class Alternating(RNN):
    """Each step reads other numbers."""

    def __call__(self, x):
        h = np.zeros((1, self.dim_recurrent), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = tanh(self.fc_x2h(x_t[None]) + np.float32(np.sin(t)) * self.fc_h2h(h))
        return self.fc_h2y(h)


@pytest.mark.long
def test_six_thousand_steps_are_those_of_mygrad():
    model, x = Alternating(4, 8, 3, rng=0), rows(6000, 4)
    compiled = compile(model)
    state, _ = compiled.step(compiled.start(), x[:2500])
    state, logits = compiled.step(state, x[2500:])
    whole = model(x)
    np.testing.assert_allclose(logits, whole.data[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(compiled(x)[0], whole.data[0], rtol=1e-4, atol=1e-5)
    softmax_crossentropy(whole, np.array([1])).backward()
    expected = [parameter.grad.copy() for parameter in model.parameters]
    _, gradients = compiled.loss_and_gradients(x, 1)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
