"""Emitted programs run in Python agree with MyGrad: every model of the zoo, and every way of computing weights."""

import itertools
from dataclasses import replace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import softmax
from mygrad.nnet.losses import softmax_crossentropy

from executed import executed
from marks import most_are_long, the_rest_is_long
from myrnn.compiler import compile
from myrnn.compiler.derive import ProgramKind
from myrnn.compiler.plan import plan
from myrnn.compiler.schedule import schedule
from myrnn.sequences import Sequences
from zoo import ALL, FastWeights, Lesson, made

# How a weight (rows, columns) is made: the shapes of the parameters, and the function that computes it.
MANNERS = {
    "scaled": (lambda r, c: [(r, c)], lambda p: 0.8 * p),
    "masked": (lambda r, c: [(r, c)], lambda p: p * (np.arange(p.size) % 3 != 1).reshape(p.shape).astype(np.float32)),
    "absolute": (lambda r, c: [(r, c)], lambda p: mg.abs(p) - 0.2),
    "squared": (lambda r, c: [(r, c)], lambda p: p**2 - 0.2),
    "normalised": (lambda r, c: [(r, c)], lambda p: p / mg.sqrt(mg.sum(p**2, axis=0) + 0.1)),
    "softmax": (lambda r, c: [(r, c)], lambda p: softmax(p) - 0.1),
    "some rows": (lambda r, c: [(r + 3, c)], lambda p: p[2:-1]),
    "some columns": (lambda r, c: [(r, c + 3)], lambda p: p[:, 1:-2]),
    "every other row": (lambda r, c: [(2 * r, c)], lambda p: p[::2]),
    "joined rows": (lambda r, c: [(2, c), (r, c)], lambda p, q: mg.concatenate([p, q])[2:]),
    "joined columns": (lambda r, c: [(r, 1), (r, c)], lambda p, q: mg.concatenate([p, q], axis=1)[:, 1:]),
    "a product": (lambda r, c: [(r, 2), (2, c)], lambda p, q: p @ q),
    "a sum": (lambda r, c: [(r, c), (1, c)], lambda p, q: p + q),
    "a transposed sum": (lambda r, c: [(r, c), (c, r)], lambda p, q: p + q.T),
    "as it is": (lambda r, c: [(r, c)], lambda p: p),
}
# How a row (1, rows) is multiplied by a weight, and the shape in which it is read.
READINGS = {
    "straight": (lambda row, w: row @ w, lambda r, c: (r, c)),
    "transposed": (lambda row, w: row @ w.T, lambda r, c: (c, r)),
    "from the left": (lambda row, w: (w @ row.T).T, lambda r, c: (c, r)),
}
# Inputs, units, classes: below, at and above the sixteen numbers that are computed side by side.
SIZES = ((3, 5, 18), (17, 16, 2), (2, 18, 3))


class Computed:
    """A simple recurrence that computes all its weights and its first state in one way, and reads them in one way."""

    def __init__(self, manner, reading, sizes):
        rng = np.random.default_rng(0)
        shapes, self.computed = MANNERS[manner]
        self.multiply, read_as = READINGS[reading]
        self.dim_input, units, classes = sizes
        pairs = ((self.dim_input, units), (units, units), (units, classes))
        self.start, self.x2h, self.h2h, self.h2y = (
            [mg.tensor(rng.normal(size=s).astype(np.float32) * np.float32(s[0] ** -0.5)) for s in shapes(*shape)]
            for shape in ((1, units), *(read_as(*pair) for pair in pairs))
        )
        self.parameters = (*self.start, *self.x2h, *self.h2h, *self.h2y)

    def __call__(self, x):
        h = self.computed(*self.start)
        for x_t in x:
            of_x, of_h = self.multiply(x_t[None], self.computed(*self.x2h)), self.multiply(h, self.computed(*self.h2h))
            h = mg.tanh(of_x + of_h)
        return self.multiply(h, self.computed(*self.h2y))


def drawn(lengths, model, width, tokens, rng):
    """Return random sequences of the given number of symbols or features, and their loss and gradients by MyGrad."""
    offsets, total = np.concatenate(([0], np.cumsum(lengths))), sum(lengths)
    values = rng.integers(0, width, total) if tokens else rng.normal(size=(total, width)).astype(np.float32)
    rows = np.eye(width, dtype=np.float32)[values] if tokens else values
    logits = mg.concatenate([model(rows[begin:end]) for begin, end in itertools.pairwise(offsets)])
    # The least likely class, because the gradients of a right answer are mostly rounding.
    labels = logits.data.argmin(axis=1)
    loss = softmax_crossentropy(logits, labels)
    loss.backward()
    gradients = [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in model.parameters]
    return Sequences(values, offsets, labels, width if tokens else None), loss.item(), gradients


def assert_agrees(model, native, width, tokens):
    """Compare with MyGrad on longer and shorter sequences than before, with other parameters at every call.

    Values that the previous call left in the memory of the program are set to NaN.
    """
    rng = np.random.default_rng(1)
    for lengths in ((5, 2), (9, 1, 7), (2, 3)):
        chosen = lengths if native.batched else lengths[:1]
        sequences, loss, expected = drawn(chosen, model, width, tokens, rng)
        numbers = native.block_of([p.data for p in model.parameters]).numbers
        native.forget()
        found, block = native.gradients(sequences, np.arange(len(sequences)), numbers)
        assert found == pytest.approx(loss, rel=1e-4), lengths
        scale = max(np.abs(gradient).max(initial=0) for gradient in expected)
        for i, gradient in enumerate(expected):
            ours = np.empty_like(gradient, dtype=np.float32)
            block.read(i, ours)
            np.testing.assert_allclose(ours, gradient, rtol=1e-3, atol=1e-4 * scale, err_msg=f"parameter {i}")
        for parameter in model.parameters:
            parameter.data[...] = parameter.data * np.float32(0.9) + np.float32(0.01)


# Of tokens or not, and of a batch or not: all kinds of programs, or two with every value of each.
ALL_FLAGS = [*itertools.product((False, True), repeat=2)]
TWO_FLAGS = ALL_FLAGS[::3], ALL_FLAGS[1:3]


def assert_all_agree(model, dim_input, flags=ALL_FLAGS):
    compiled = compile(model, dim_input=dim_input, check=False)
    for tokens, batched in flags:
        assert_agrees(model, compiled.native(tokens=tokens, batched=batched), dim_input, tokens)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("kind", the_rest_is_long(ALL, Lesson, FastWeights))
def test_every_program_of_every_model(kind):
    assert_all_agree(made(kind), kind.C)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("kind", the_rest_is_long(ALL, Lesson))
def test_the_instructions_alone_say_all_that_programs_do(kind):
    model = made(kind)
    compiled = compile(model, dim_input=kind.C, check=False)
    for flags in TWO_FLAGS[ALL.index(kind) % 2]:
        native = compiled.native(tokens=flags[0], batched=flags[1])
        planned = plan(replace(compiled.derivative, kind=ProgramKind(*flags)))
        native._code = executed(schedule(planned), native.program.memory)
        assert_agrees(model, native, kind.C, flags[0])


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("manner", "reading"), most_are_long([*itertools.product(MANNERS, READINGS)], 30))
def test_computed_weights_follow_their_parameters(manner, reading):
    number = list(MANNERS).index(manner) + list(READINGS).index(reading)
    sizes = SIZES[number % len(SIZES)]
    assert_all_agree(Computed(manner, reading, sizes), sizes[0], TWO_FLAGS[number // len(SIZES) % 2])


@pytest.mark.long
@pytest.mark.parametrize("batched", [False, True])
def test_native_code_follows_them_too(batched):
    model = Computed("scaled", "transposed", SIZES[0])
    assert_agrees(model, compile(model, check=False).native(tokens=False, batched=batched), SIZES[0][0], tokens=False)


class Summed:
    """A recurrence in which the gradient of the state is that of two weights, with a learned start."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = (1, 6), (4, 6), (6, 6), (6, 3)
        self.start, self.x2h, self.h2h, self.h2y = (
            mg.tensor(rng.normal(size=s).astype(np.float32) / 3) for s in shapes
        )
        self.parameters = (self.start, self.x2h, self.h2h, self.h2y)

    def __call__(self, x):
        h = self.start
        for x_t in x:
            h = x_t[None] @ self.x2h + h @ self.h2h
        return h @ self.h2y


@pytest.mark.usefixtures("in_python")
def test_the_gradient_before_the_first_step_is_observed():
    model = Summed()
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    observed = compile(model, dim_input=4, check=False).observe(x, 1)
    softmax_crossentropy(model(x), np.array([1])).backward()
    np.testing.assert_allclose(observed.state_gradients[0][:1], model.start.grad, rtol=1e-5)


class Halves:
    """A state of two halves, made in one of three ways; both gradients are read from the buffer of the state's."""

    def __init__(self, way):
        rng = np.random.default_rng(0)
        shapes = (5, 4), (8, 4), (1, 4), (8, 3)
        self.x2h, self.h2h, self.bias, self.h2y = (mg.tensor(rng.normal(size=s).astype(np.float32) / 3) for s in shapes)
        self.parameters = (self.x2h, self.h2h, self.bias, self.h2y)
        self.way = way

    def __call__(self, x):
        h = mg.tensor(np.zeros((1, 8), np.float32))
        for x_t in x:
            u = mg.tanh(x_t[None] @ self.x2h + h @ self.h2h)
            ways = {
                "shifted": (h[:, 4:] + self.bias, u),
                "scaled": (u * self.bias, u + self.bias),
                "twice": (u, u * self.bias),
            }
            h = mg.concatenate(ways[self.way], axis=1)
        return h @ self.h2y


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("way", the_rest_is_long(["shifted", "scaled", "twice"], "twice"))
def test_a_slice_is_read_before_its_source_is_overwritten(way):
    assert_all_agree(Halves(way), 5)


class OfAnotherStep:
    """Its outputs of a step are a function of the states before, at and after it."""

    def __init__(self, function):
        rng = np.random.default_rng(0)
        self.x2h, self.h2h = (mg.tensor(rng.normal(size=s).astype(np.float32) / 2) for s in ((4, 6), (6, 6)))
        self.parameters, self.function = (self.x2h, self.h2h), function

    def __call__(self, x):
        zeros = np.zeros((1, 6), dtype=np.float32)
        h, states = zeros, [zeros]
        for x_t in x:
            h = mg.tanh(x_t @ self.x2h + h @ self.h2h)
            states.append(h)
        states = mg.concatenate([*states, zeros])
        return self.function(states[:-2], states[1:-1], states[2:])


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("function", "loops"),
    [
        # One loop computes the states, and one passes them on.
        (lambda before, now, after: before, 2),
        (lambda before, now, after: after, 2),
        (lambda before, now, after: now - before, 3),
        (lambda before, now, after: after - now, 3),
    ],
    ids=["before", "after", "change", "next change"],
)
def test_outputs_read_states_of_other_steps(function, loops):
    compiled = compile(OfAnotherStep(function), dim_input=4, check=False)
    assert len(compiled.recurrence.loops) == loops
    for batched in (False, True):
        # It is compared with MyGrad.
        compiled.native(tokens=False, batched=batched)
