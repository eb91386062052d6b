"""Compiled functions are compared with the model before they are used, for any weights."""

import mygrad as mg
import numpy as np
import pytest

import myrnn
from myrnn import RNN
from myrnn.compiler.native import Native
from myrnn.errors import NotARecurrence

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


class Offset(RNN):
    """Adds the logarithm of a parameter, which is only defined for positive numbers."""

    def __init__(self):
        super().__init__(5, 8, 2, rng=0)
        self.offset = mg.tensor(np.full((1, 2), -1, dtype=np.float32))

    @property
    def parameters(self):
        return (*super().parameters, self.offset)

    def __call__(self, x):
        return super().__call__(x) + mg.log(self.offset)


@pytest.fixture
def wrong(monkeypatch):
    """Make all programs wrong, as if the compiler had an error."""
    gradients = Native.gradients

    def tampered(native, *given):
        loss, block = gradients(native, *given)
        block.numbers[...] *= -3
        return loss, block

    monkeypatch.setattr(Native, "gradients", tampered)


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("bias", [0.5, np.nan, np.inf])
def test_a_wrong_program_is_refused_with_any_weights(bias):
    model = RNN(5, 8, 2, rng=0)
    model.fc_h2y.bias.data[...] = bias
    weights = [parameter.data.tobytes() for parameter in model.parameters]
    compiled = myrnn.compile(model, check=False)
    for use in (compiled, lambda x: compiled.loss_and_gradients(x, 0), lambda x: compiled.observe(x, 0)):
        with pytest.raises(NotARecurrence, match=r"^the compiled functions do not agree with the model: the gradient"):
            use(X)
    assert [parameter.data.tobytes() for parameter in model.parameters] == weights


class Faint(RNN):
    """Adds a small multiple of a weight, whose gradient is at most some thousandths of the others."""

    def __init__(self):
        super().__init__(5, 8, 2, rng=0)
        self.offset = mg.tensor(np.ones((1, 2), dtype=np.float32))

    @property
    def parameters(self):
        return (*super().parameters, self.offset)

    def __call__(self, x):
        return super().__call__(x) + np.float32(5e-4) * self.offset


@pytest.mark.usefixtures("in_python")
def test_a_wrong_gradient_is_found_among_much_larger_ones(monkeypatch):
    gradients = Native.gradients

    def tampered(native, *given):
        loss, block = gradients(native, *given)
        faint = np.empty((1, 2), dtype=np.float32)
        block.read(len(Faint().parameters) - 1, faint)
        block.write(len(Faint().parameters) - 1, -faint)
        return loss, block

    monkeypatch.setattr(Native, "gradients", tampered)
    with pytest.raises(NotARecurrence, match=r"model: the gradient of offset differs by"):
        myrnn.compile(Faint())


@pytest.mark.usefixtures("wrong")
def test_a_program_that_could_not_be_compared_is_compared_later():
    model = Offset()
    compiled = myrnn.compile(model)
    assert np.isnan(compiled(X)).all()
    model.offset.data[...] = 1
    with pytest.raises(NotARecurrence, match=r"^the compiled functions do not agree with the model: the gradient"):
        compiled(X)


@pytest.mark.usefixtures("in_python")
def test_a_right_program_is_compared_once(monkeypatch):
    compiled = myrnn.compile(RNN(5, 8, 2, rng=0))
    compiled.observe(X, 0)
    monkeypatch.setattr("myrnn.compiler.model.verify", lambda *given: pytest.fail("it is compared again"))
    compiled(X)
    compiled.observe(X, 1)


class Chaotic:
    """A step that separates neighbouring states: the sine of a multiple of the state."""

    def __init__(self, moved=0.0):
        rng = np.random.default_rng(0)
        shapes, signs = ((3, 5), (5, 5), (5, 2)), np.random.default_rng(1)
        weights = [rng.normal(size=shape) * 0.9 / np.sqrt(shape[0]) for shape in shapes]
        self.parameters = tuple(
            mg.tensor((w * (1 + moved * signs.choice([-1, 1], w.shape))).astype(np.float32)) for w in weights
        )

    def __call__(self, x):
        W, U, V = self.parameters
        h = np.zeros((1, 5), np.float32)
        for x_t in x:
            h = mg.sin(x_t[None] @ W + mg.sum(mg.log(1 + mg.exp(mg.log10(2 + mg.sin(h @ U)))), axis=1) * h)
        return h @ V


def trained(engine, lengths, moved=0.0):
    """Train on tokens in batches of three, clipped; return the weights and the loss of every iteration."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    rng = np.random.default_rng(2)
    sequences = myrnn.Sequences(rng.integers(0, 3, offsets[-1]), offsets, rng.integers(0, 2, len(lengths)), 3)
    model = Chaotic(moved)
    optimizer = myrnn.SGD(model.parameters, learning_rate=0.05)
    history = myrnn.train(
        model, sequences, optimizer, 12, 3, seed=3, engine=engine, gradient_clip=1, report_every=1, progress=False
    )
    assert history.engine == engine
    return np.concatenate([p.data.ravel() for p in model.parameters]), np.array(history.loss)


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param((3, 1, 2, 2, 3), id="short", marks=pytest.mark.long),
        pytest.param((12, 9, 12, 11, 10), id="long"),
    ],
)
def test_a_chaotic_model_diverges_from_mygrad_as_fast_as_mygrad_from_itself(lengths):
    (weights, loss), (expected, expected_loss) = (trained(engine, lengths) for engine in ("native", "mygrad"))
    near, near_loss = trained("mygrad", lengths, moved=1e-7)
    parted = np.abs(near - expected).max(), np.abs(near_loss - expected_loss).max()
    assert (parted[1] < 1e-4) == (lengths[0] == 3)
    assert np.abs(weights - expected).max() < 10 * parted[0] + 1e-5
    assert np.abs(loss - expected_loss).max() < 10 * parted[1] + 1e-5


class TimesZero(RNN):
    """Adds zero times the logarithm of zero, which is NaN in MyGrad."""

    def __call__(self, x):
        logits = super().__call__(x)
        return logits + 0 * mg.log(mg.maximum(-mg.abs(logits), 0))


@pytest.mark.usefixtures("in_python")
def test_a_nonfinite_loss_does_not_agree_with_a_finite_one():
    with pytest.raises(NotARecurrence, match=r"the loss of a random sequence is .*, and by MyGrad nan"):
        myrnn.compile(TimesZero(5, 8, 2, rng=0))


class Spread:
    """Divides by a spread that is 0 in the first step, where its gradient is NaN in MyGrad; another weight is well."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.parameters = tuple(
            mg.tensor(rng.normal(size=s).astype(np.float32)) for s in ((5, 4), (4,), (5, 4), (4, 2))
        )

    def __call__(self, x):
        w, p, q, v = self.parameters
        h = s = np.zeros((1, 4), np.float32)
        for x_t in x:
            z = h * (x_t[None] @ w) * p
            h = mg.cos(z / (0.3 + mg.std(z, axis=1, keepdims=True)))
            s = mg.tanh(x_t[None] @ q + s)
        return (h + s) @ v


@pytest.mark.usefixtures("in_python")
def test_a_gradient_that_is_nan_in_mygrad_too_agrees(monkeypatch):
    _, gradients = myrnn.compile(Spread()).loss_and_gradients(X, 0)
    assert [bool(np.isnan(gradient).any()) for gradient in gradients] == [True, True, False, False]
    run = Native.gradients

    def tampered(native, *given):
        loss, block = run(native, *given)
        wrong = np.empty((5, 4), dtype=np.float32)
        block.read(2, wrong)
        block.write(2, -wrong)
        return loss, block

    monkeypatch.setattr(Native, "gradients", tampered)
    with pytest.raises(NotARecurrence, match=r"model: the gradient of parameter_2 differs by"):
        myrnn.compile(Spread())
