"""Models that are not recurrences are refused, or detected in use: nothing may be silently wrong."""

import re
from collections import deque

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import relu
from mygrad.nnet.layers import batchnorm
from mygrad.operation_base import Operation

import myrnn
from marks import most_are_long
from myrnn import SGD, tasks
from myrnn.compiler import compile
from myrnn.compiler.differences import describe
from myrnn.compiler.graph import Builder
from myrnn.compiler.passes import PASSES
from myrnn.errors import CompileError, NotARecurrence, NotDeterministic, UnsupportedOperation
from stepped import SteppedRNN


class Positional(SteppedRNN):
    """Computes with the root of t / T, which differs at every length."""

    def __call__(self, x):
        h = np.zeros((1, 6), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t[None] @ self.x + h @ self.h + np.sqrt(t / len(x)))
        return h @ self.y


class EveryEighth(SteppedRNN):
    def step(self, h, x_t, t):
        h = super().step(h, x_t, t)
        return h * np.float32(2) if t % 8 == 7 else h


class FirstTwenty(SteppedRNN):
    def __call__(self, x):
        return super().__call__(x[:20])


class Branching(SteppedRNN):
    def step(self, h, x_t, t):
        h = super().step(h, x_t, t)
        return -h if h.data.sum() > 0 else h


class Random(SteppedRNN):
    def step(self, h, x_t, t):
        return super().step(h, x_t, t) * np.random.default_rng().random(dtype=np.float32)


class Scaled(SteppedRNN):
    def step(self, h, x_t, t):
        return super().step(h, x_t, t) * np.float32(np.abs(self.h.data).max())


class Counting(SteppedRNN):
    def step(self, h, x_t, t):
        self.calls += 1
        return super().step(h, x_t, t) * np.float32(self.calls)


class LookingBack(SteppedRNN):
    def __call__(self, x):
        states, h = [], np.zeros((1, 6), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = self.step(h, x_t, t)
            states.append(h)
        every = mg.concatenate(states)
        return mg.nnet.activations.softmax(h @ every.T) @ every @ self.y


class ManyStepsBack(SteppedRNN):
    steps = 40

    def __call__(self, x):
        states = [np.zeros((1, 6), dtype=np.float32)] * self.steps
        for t, x_t in enumerate(x):
            states = [*states[1:], self.step(states[-1], x_t, t) + states[0]]
        return states[-1] @ self.y


class Normalised(SteppedRNN):
    def step(self, h, x_t, t):
        return batchnorm(super().step(h, x_t, t), eps=1e-5)


class ArraysOnly(SteppedRNN):
    def __call__(self, x):
        logits = super().__call__(x)
        return logits * np.float32(2) if isinstance(x, np.ndarray) else logits


class NormalisedBefore(SteppedRNN):
    """Computes a value that its steps read once, when it is created."""

    def __init__(self):
        super().__init__()
        self.unit = self.h / mg.sqrt((self.h**2).sum(axis=0, keepdims=True))

    def step(self, h, x_t, t):
        return mg.tanh(x_t[None] @ self.x + h @ self.unit)


class CutBefore(SteppedRNN):
    """Its parameters are slices of one tensor."""

    def __init__(self):
        super().__init__()
        self.all = mg.tensor(np.ones((16, 6), np.float32))
        self.x, self.h = self.all[:10], self.all[10:]
        self.parameters = (self.x, self.h, self.y)


class SharesNumbers(SteppedRNN):
    def __init__(self):
        super().__init__()
        self.g = mg.Tensor(self.h.data.T, copy=False)
        self.parameters = (self.x, self.h, self.g, self.y)


class MasksItsWeights(SteppedRNN):
    mask = np.eye(6, dtype=np.float32)

    def __call__(self, x):
        self.h *= self.mask
        return super().__call__(x)


class MasksItsNumbers(MasksItsWeights):
    def __call__(self, x):
        self.h.data *= self.mask
        return SteppedRNN.__call__(self, x)


class ScalesItsInput(SteppedRNN):
    def __call__(self, x):
        x *= 2
        return super().__call__(x)


class RoundsToHalves(SteppedRNN):
    def step(self, h, x_t, t):
        return mg.tanh(mg.add(x_t[None] @ self.x, h @ self.h, dtype=np.float16))


class CountsInBytes(SteppedRNN):
    """Counts its steps in an int8, which overflows after 127."""

    def __call__(self, x):
        h, count = np.zeros((1, 6), dtype=np.float32), mg.tensor(np.int8(0))
        for t, x_t in enumerate(x):
            h, count = self.step(h, x_t, t), count + np.int8(1)
        return h @ self.y * count


class TensorsOnly(SteppedRNN):
    def __call__(self, x):
        return super().__call__(x) + mg.sum(x.astype(np.float32, constant=True)) * np.float32(0)


class Tanh(Operation):
    """A user-defined operation with the name of one of MyGrad's and another derivative."""

    def __call__(self, a):
        self.variables = (a,)
        return np.tanh(a.data)

    def backward_var(self, grad, index, **kwargs):
        return grad


class Divides(SteppedRNN):
    """Guards its division against zero with a given number."""

    def __init__(self, least):
        super().__init__()
        self.least = least

    def step(self, h, x_t, t):
        a = relu(x_t[None] @ self.x + h @ self.h)
        return a / (a.sum() + self.least)


@pytest.mark.parametrize(
    ("least", "told"),
    [
        (1e-50, "1e-50 is 0 in float32, in which compiled models work: use 1e-30 or larger."),
        (-1e-50, "-1e-50 is 0 in float32, in which compiled models work: use 1e-30 or larger."),
        (np.float32(1e-40), "9.99995e-41 is 0 in float32, in which compiled models work: use 1e-30 or larger."),
        (1e50, "1e+50 is infinite in float32, in which compiled models work: use 1e30 or smaller."),
        (np.array([[1, 1, 1e-50, 1, 1, 1]]), "1e-50 is 0 in float32, in which compiled models work"),
    ],
)
def test_a_constant_that_float32_cannot_hold_is_refused_with_its_line(least, told):
    with pytest.raises(CompileError, match=re.escape(told)) as refusal:
        myrnn.compile(Divides(least), dim_input=10, check=False)
    assert "return a / (a.sum() + self.least)" in str(refusal.value)


@pytest.mark.parametrize("least", [1e-30, np.float32(2e-38), 1e30, np.inf])
def test_a_constant_that_float32_can_hold_is_accepted(least):
    myrnn.compile(Divides(least), dim_input=10, check=False)


class Chooses(SteppedRNN):
    def step(self, h, x_t, t):
        z = x_t[None] @ self.x + h @ self.h
        return mg.where(z > 0, z, 0.1 * z)


class SkipsTheFirst(SteppedRNN):
    def step(self, h, x_t, t):
        z = x_t[None] @ self.x
        return mg.tanh(z + h @ self.h if t else z)


class BeginsWithAnElement(SteppedRNN):
    def __init__(self):
        super().__init__()
        self.x = mg.tensor(self.h.data.copy())
        self.parameters = (self.x, self.h, self.y)
        self.dim_input = 6

    def __call__(self, x):
        h = x[0:1]
        for t, x_t in enumerate(x[1:]):
            h = self.step(h, x_t, t)
        return h @ self.y


class OwnOperation(SteppedRNN):
    def step(self, h, x_t, t):
        return mg.Tensor._op(Tanh, x_t[None] @ self.x + h @ self.h)


@pytest.mark.parametrize(
    ("model", "error", "told"),
    [
        (NormalisedBefore, CompileError, r"(?s)computed from others before.*refusals\.py:\d+ .*self\.unit"),
        (CutBefore, CompileError, r"^parameters\[0\] of the model is computed from other tensors"),
        (SharesNumbers, CompileError, "^h and g share their numbers"),
        (MasksItsWeights, CompileError, r"^parameters\[1\] of the model is computed .*, or changed in place"),
        (MasksItsNumbers, NotDeterministic, "^a call of the model changes the numbers of its parameters"),
        (
            ScalesItsInput,
            CompileError,
            r"(?s)^the model changes its sequence in place.* x \*= 2\n.*x = 2 \* x",
        ),
        (RoundsToHalves, UnsupportedOperation, r"(?s)^this rounds to float16.*dtype=np\.float16"),
        (CountsInBytes, UnsupportedOperation, r"(?s)^this computes in int8.*a float, such as 0\.0.*count \+ np"),
        (TensorsOnly, CompileError, "^the model fails on an array of shape"),
        (OwnOperation, UnsupportedOperation, r"(?s)no rule for Tanh of \S*test_compile_refusals.*_op\(Tanh"),
        pytest.param(
            Positional,
            NotARecurrence,
            r"(?s)numbers that differ from length to length, and are not a fraction.*as a column of the data",
            marks=pytest.mark.long,
        ),
        pytest.param(
            EveryEighth,
            NotARecurrence,
            "does something that its other steps do not|is not the same",
            marks=pytest.mark.long,
        ),
        (FirstTwenty, NotARecurrence, r"^step 2\d of the model is not the same computation|at step 19 or the next,"),
        (
            Branching,
            NotARecurrence,
            r"(?s)^the model takes numbers out of its tensors.*test_compile_refusals\.py:\d+ +return -h if",
        ),
        pytest.param(Random, NotDeterministic, "two calls of the model on the same sequence", marks=pytest.mark.long),
        (Scaled, NotARecurrence, r"(?s)^the model takes numbers out of its tensors.*self\.h\.data"),
        pytest.param(Counting, NotDeterministic, "every call of the model changes its calls", marks=pytest.mark.long),
        (ManyStepsBack, NotARecurrence, "computes something else than when|always the same ones"),
        (Normalised, UnsupportedOperation, "no rule for MyGrad's BatchNorm"),
        (ArraysOnly, NotARecurrence, "other logits for an array than for a tensor"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_is_not_a_recurrence_is_refused(model, error, told):
    with pytest.raises(error, match=told):
        myrnn.compile(model(), dim_input=10)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("model", most_are_long([LookingBack, SkipsTheFirst, BeginsWithAnElement, Chooses], 4))
def test_attention_first_steps_that_differ_and_choices_are_compiled(model):
    model = model()
    compiled = myrnn.compile(model)
    x = np.random.default_rng(0).normal(size=(9, compiled.dim_input)).astype(np.float32)
    for length in (1, 2, 9):
        np.testing.assert_allclose(compiled(x[:length]), model(x[:length]).data, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("in_python")
def test_a_model_can_read_states_of_eleven_steps_ago():
    model = ManyStepsBack()
    model.steps = 11
    compiled = myrnn.compile(model, dim_input=10)
    assert len(compiled.state_names) == 11
    x = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-5)


class Positions(SteppedRNN):
    """Adds a row of a table at every step."""

    def __init__(self, rows):
        super().__init__()
        self.table = mg.tensor(np.ones((rows, 6), dtype=np.float32))
        self.parameters = (*self.parameters, self.table)

    def step(self, h, x_t, t):
        return mg.tanh(x_t[None] @ self.x + h @ self.h + self.table[t])


@pytest.mark.parametrize("rows", [3, 12])
def test_a_table_of_positions_needs_a_row_for_every_step_that_is_traced(rows):
    with pytest.raises(
        CompileError, match=r"IndexError(.|\n)* a table of positions, such as P in P\[t\], needs 13 rows"
    ):
        compile(Positions(rows))
    assert compile(Positions(13), check=False)


class TwoDirections(SteppedRNN):
    """Draws in three loops, and all draws are on one line."""

    def __call__(self, x):
        def states(rows):
            h, found = np.zeros((1, 6), dtype=np.float32), []
            for x_t in rows:
                h = mg.tanh(x_t[None] @ self.x + dropped(h) @ self.h)
                found.append(h)
            return found

        both = zip(states(x), states(x[::-1])[::-1], strict=True)
        return mg.concatenate([dropped(one + other) @ self.y for one, other in both])


def dropped(h):
    return myrnn.dropout(h, 0.3)


class Signs(SteppedRNN):
    """Takes its outputs in turns from a product and from the state."""

    def __call__(self, x):
        h, outputs = np.zeros((1, 6), dtype=np.float32), []
        for t, x_t in enumerate(x):
            h = self.step(h, x_t, t)
            outputs.append(h)
        return mg.concatenate([h @ self.y if t % 2 else h[:, :2] for t, h in enumerate(outputs)])


@pytest.mark.long
def test_readouts_of_two_directions_are_no_decoder():
    with pytest.raises(NotARecurrence, match=r"reads numbers of step \d+ (.|\n)*myrnn\.dropout\(h, 0\.3\)") as refusal:
        compile(TwoDirections())
    assert "decoder" not in str(refusal.value)


def test_readouts_in_turn_have_a_line():
    with pytest.raises(
        NotARecurrence, match=r"the steps take turns(.|\n)*test_compile_refusals\.py:\d+ .*return mg\.conc"
    ):
        compile(Signs())


def test_many_numbers_are_shown_on_one_line():
    numbers = np.linspace(-1, 1, 9) / 3
    assert describe(Builder().constant(numbers)) == "9 constants [-0.3333 -0.25   -0.1667 ...  0.1667  0.25    0.3333]"


def test_the_refusal_shows_the_line_and_the_numbers():
    with pytest.raises(NotARecurrence) as refusal:
        myrnn.compile(Positional(), dim_input=10)
    message = str(refusal.value)
    assert "test_compile_refusals.py" in message
    assert "np.sqrt(t / len(x))" in message
    assert 'engine="mygrad"' in message


class LateHabit(SteppedRNN):
    """Changes at step 100, beyond the length that is checked when it is compiled."""

    def step(self, h, x_t, t):
        h = super().step(h, x_t, t)
        return -h if t >= 100 else h


class RareBranch(SteppedRNN):
    """Takes another branch if a feature is larger than any that was tried."""

    def step(self, h, x_t, t):
        h = super().step(h, x_t, t)
        return h * np.float32(3) if np.asarray(x_t.data if isinstance(x_t, mg.Tensor) else x_t).max() > 1e4 else h


@pytest.mark.usefixtures("in_python")
def test_a_longer_sequence_is_checked_when_it_occurs():
    compiled = myrnn.compile(LateHabit(), dim_input=10)
    assert compiled(np.zeros((60, 10), dtype=np.float32)).shape == (1, 2)
    with pytest.raises(NotARecurrence, match="on a sequence of 120 steps"):
        compiled(np.zeros((120, 10), dtype=np.float32))


def test_evaluation_finds_it_too():
    task = tasks.TwinHalves(pattern_length_min=60, pattern_length_max=60)
    with pytest.raises(NotARecurrence, match="on a sequence of 120 steps"):
        myrnn.evaluate(LateHabit(), task, samples=4, engine="native", progress=False)
    with pytest.warns(UserWarning, match="op by op"):
        report = myrnn.evaluate(LateHabit(), task, samples=4, progress=False)
    assert report.total.sum() == 4


def data(largest):
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=(n, 10)).astype(np.float32), n % 2) for n in (3, 5, 4, 6)]
    for x, _ in pairs:
        x[0, 0] = largest
    return pairs


def test_a_branch_that_only_the_data_take_is_refused_before_anything_changes():
    model = RareBranch()
    before = [parameter.data.copy() for parameter in model.parameters]
    with pytest.raises(CompileError, match="takes numbers out of its tensors"):
        myrnn.train(model, data(2e4), SGD(model.parameters), 40, engine="native", progress=False)
    assert all(np.array_equal(p.data, b) for p, b in zip(model.parameters, before, strict=True))


def test_automatic_training_uses_mygrad_instead():
    model, reference = RareBranch(), RareBranch()
    with pytest.warns(UserWarning, match="op by op"):
        history = myrnn.train(model, data(2e4), SGD(model.parameters), 40, report_every=10, progress=False)
    expected = myrnn.train(
        reference, data(2e4), SGD(reference.parameters), 40, engine="mygrad", report_every=10, progress=False
    )
    assert history.engine == "mygrad"
    np.testing.assert_array_equal(history.loss, expected.loss)
    for ours, theirs in zip(model.parameters, reference.parameters, strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)


class FilledStart:
    """Starts with a constant state of different numbers, and multiplies it by a transposed weight."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.parameters = tuple(mg.tensor(rng.normal(size=s).astype(np.float32)) for s in ((3, 2), (2, 2), (2, 2)))

    def __call__(self, x):
        W, U, V = self.parameters
        h = np.array([[0.5, 0.25]], np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ W + h @ U.T)
        return h @ V


SOME = myrnn.Sequences.from_pairs([(np.full((4, 3), i, np.float32), i % 2) for i in range(5)])


@pytest.mark.usefixtures("in_python")
def test_a_constant_first_state_can_have_any_numbers():
    model = FilledStart()
    compiled = compile(model)
    np.testing.assert_allclose(compiled.logits(SOME), np.concatenate([model(x).data for x, _ in SOME]), rtol=1e-4)


@pytest.mark.parametrize(
    ("where", "fails"), [("model", "emit"), ("passes", "hoist"), ("model", "Native"), ("compilation", "roll")]
)
def test_any_failure_while_compiling_is_a_compile_error_that_shows_the_model(where, fails, monkeypatch):
    def fail(*given, **named):
        raise TypeError("cannot type\nthis")

    monkeypatch.setattr(f"myrnn.compiler.{where}.{fails}", fail)
    monkeypatch.setattr("myrnn.compiler.passes.PASSES", [fail if p.__name__ == fails else p for p in PASSES])
    monkeypatch.setattr("myrnn.compiler.compilation._recent", deque())
    model = FilledStart()
    with pytest.raises(CompileError) as caught:
        compile(model)
    line = FilledStart.__call__.__code__.co_firstlineno
    assert str(caught.value) == (
        "FilledStart cannot be compiled (TypeError: cannot type).\n"
        f"  test_compile_refusals.py:{line}   def __call__(self, x):\n"
        '  If the model runs in MyGrad, this is a bug in the compiler. Train the model with engine="mygrad".'
    )
    with pytest.warns(UserWarning, match=r"FilledStart cannot be compiled \(TypeError: cannot type\)"):
        history = myrnn.train(model, SOME, myrnn.SGD(model.parameters, learning_rate=0.1), 3, progress=False)
    assert history.engine == "mygrad"


# A NaN of the user that no model reads.
NOTHING = float("nan")


def test_nan_outside_of_the_model_changes_nothing():
    assert myrnn.compile(LookingBack(), check=False).recurrence.loops
