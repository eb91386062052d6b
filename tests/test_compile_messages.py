"""Messages of refused models say which line, what was found there, and what to do; what they propose compiles."""

import signal
from itertools import product
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import softmax, tanh

import myrnn
from marks import most_are_long
from myrnn import SGD, Sequences, add_loss, dropout
from myrnn.errors import CompileError, InvalidArgument

C, D, K = 4, 5, 3


def zeros(n=D):
    return np.zeros(n, np.float32)


class Model:
    def __init__(self):
        rng = np.random.default_rng(0)
        shapes = (C, D), (D, D), (D, D), (D, K)
        self.w, self.u, self.u2, self.v = (mg.tensor((0.4 * rng.normal(size=s)).astype(np.float32)) for s in shapes)

    @property
    def parameters(self):
        return self.w, self.u, self.u2, self.v

    def step(self, x_t, h):
        return tanh(x_t @ self.w + h @ self.u)

    def __call__(self, x):
        h = zeros()
        for x_t in self.rows(x):
            h = self.step(x_t, h)
        return (h @ self.v)[None]

    def rows(self, x):
        return x


class FirstRows(Model):
    def rows(self, x):
        return x[:6]


class Break(Model):
    def __call__(self, x):
        h = zeros()
        for t, x_t in enumerate(x):
            h = self.step(x_t, h)
            if t == 5:
                break
        return (h @ self.v)[None]


class FirstRowsOfAFewPositions(Model):
    """It fails on sequences that are as long as those that a second search reads."""

    def rows(self, x):
        np.arange(20)[len(x) - 1]
        return x[:6]


class KeptAfterSix(Model):
    def __call__(self, x):
        h = zeros()
        for t, x_t in enumerate(x):
            h = mg.where(t < 6, self.step(x_t, h), h)
        return (h @ self.v)[None]


class BreakAtAValue(Model):
    def __call__(self, x):
        h = zeros()
        for x_t in x:
            h = self.step(x_t, h)
            if mg.max(h) > 0.3:
                break
        return (h @ self.v)[None]


class KeptAtAValue(Model):
    def __call__(self, x):
        h = zeros()
        for x_t in x:
            h = mg.where(mg.max(h) > 0.3, h, self.step(x_t, h))
        return (h @ self.v)[None]


class RowOfTheToken(Model):
    def __call__(self, x):
        h = zeros()
        for e_t in self.w[x.argmax(axis=1)]:
            h = tanh(e_t + h @ self.u)
        return (h @ self.v)[None]


class Median(Model):
    def rows(self, x):
        return x - np.median(x, axis=1, keepdims=True)


class Detached(Model):
    def step(self, x_t, h):
        return tanh(x_t @ self.w + float(mg.sum(h)) * self.u[0])


class ChangesItsInput(Model):
    def rows(self, x):
        x *= 0.5
        return x


class SumOfTheRows(Model):
    def rows(self, x):
        return x - 0.1 * mg.sum(x, axis=0)


class SineOfTheShare(Model):
    def __call__(self, x):
        h = zeros()
        for t, x_t in enumerate(x):
            h = self.step(x_t, h) + np.sin(np.pi * t / len(x))
        return (h @ self.v)[None]


class RootOfTheLength(Model):
    def __call__(self, x):
        h = zeros()
        for x_t in x:
            h = self.step(x_t, h)
        return (h / np.sqrt(len(x)) @ self.v)[None]


class MeanOfAStack(Model):
    def __call__(self, x):
        h = zeros()
        for x_t in np.stack([x, 2 * x]).mean(0):
            h = self.step(x_t, h)
        return (h @ self.v)[None]


class Decoder(Model):
    """Runs as many steps after the sequence as it has."""

    def __call__(self, x):
        h, out = zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
        for _ in x:
            h = tanh(h @ self.u2)
            out.append(h @ self.v)
        return mg.stack(out)


class DecoderOfAContext(Model):
    def __call__(self, x):
        h, g, out = zeros(), zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
        for _ in x:
            g = tanh(g @ self.u2 + h)
            out.append(g @ self.v)
        return mg.stack(out)


class DecoderThatCounts(Model):
    """Its steps differ by a number."""

    def __call__(self, x):
        h, out = zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
        for t in range(len(x)):
            h = tanh(h @ self.u2 + 0.1 * t)
            out.append(h @ self.v)
        return mg.stack(out)


class DecoderThatReadsTheTime(Model):
    """The way out: the number is a column of the data."""

    def __call__(self, x):
        h, out = zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
        for x_t in x:
            h = tanh(h @ self.u2 + 0.1 * x_t[0])
            out.append(h @ self.v)
        return mg.stack(out)


class DecoderFromTheEnd(Decoder):
    """Its first output is the last one that is returned."""

    def __call__(self, x):
        return super().__call__(x)[::-1]


class TwoRowsReshaped(Model):
    """Fails on odd lengths."""

    def __call__(self, x):
        h = zeros()
        for one, two in x.reshape(-1, 2, C):
            h = self.step(one + 2 * two, h)
        return (h @ self.v)[None]


class TwoRowsReshapedIfEven(TwoRowsReshaped):
    def __call__(self, x):
        return super().__call__(x[: len(x) // 2 * 2]) if len(x) > 1 else mg.zeros((1, K))


class ThreeRowsReshaped(Model):
    def __call__(self, x):
        h = mg.tensor(zeros())
        for rows in x[: len(x) // 3 * 3].reshape(-1, 3, C):
            h = self.step(mg.mean(rows, axis=0), h)
        return (h @ self.v)[None]


class SixRowsReshaped(Model):
    def __call__(self, x):
        h = mg.tensor(zeros())
        for t in range(0, len(x) - 5, 6):
            h = self.step(mg.sum(x[t : t + 6], axis=0), h)
        return (h @ self.v)[None]


class TwoRowsByIndex(Model):
    def __call__(self, x):
        h = mg.tensor(zeros())
        for t in range(0, len(x) - 1, 2):
            h = self.step(x[t] + 2 * x[t + 1], h)
        return (h @ self.v)[None]


class ThreeRowsByIndex(Model):
    def __call__(self, x):
        h = mg.tensor(zeros())
        for t in range(0, len(x) - 2, 3):
            h = self.step(x[t] + x[t + 1] - x[t + 2], h)
        return (h @ self.v)[None]


class DroppedBeforeTheLast(Model):
    """Draws for all rows, and reads one of them."""

    def __call__(self, x):
        h, states = zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
            states.append(h)
        return dropout(mg.stack(states), 0.5)[-1:] @ self.v


class DroppedLast(Model):
    def __call__(self, x):
        h = zeros()
        for x_t in x:
            h = self.step(x_t, h)
        return dropout(h[None], 0.5) @ self.v


class EveryStep(Model):
    def __call__(self, x):
        h, out = zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
            out.append(h @ self.v)
        return mg.stack(out)


class WideWindow(Model):
    """A convolution alone, of rows that are put together."""

    width = 13

    def __call__(self, x):
        padded = mg.concatenate([np.zeros((self.width - 1, C), dtype=np.float32), x])
        w = mg.concatenate([self.w * np.float32(0.9**i) for i in range(self.width)])
        return mg.stack([tanh(padded[t : t + self.width].reshape(-1) @ w) @ self.v for t in range(len(x))])


class Window(WideWindow):
    width = 12


class SumOfAWindow(WideWindow):
    """A convolution as a sum of products with shifted rows."""

    width = 12

    def __call__(self, x):
        padded = mg.concatenate([np.zeros((self.width - 1, C), dtype=np.float32), x])
        return tanh(sum(padded[i : i + len(x)] @ self.w * 0.9**i for i in range(self.width))) @ self.v


class WideSumOfAWindow(SumOfAWindow):
    width = 20


class Attention(Model):
    def __call__(self, x):
        h, states, out = zeros(), [], []
        for x_t in x:
            h = self.step(x_t, h)
            states.append(h)
        states = mg.stack(states)
        for _ in x:
            h = tanh(softmax(states @ h) @ states + h @ self.u2)
            out.append(h @ self.v)
        return mg.stack(out)


class AttentionOnce(Model):
    def __call__(self, x):
        h, states = zeros(), []
        for x_t in x:
            h = self.step(x_t, h)
            states.append(h)
        states = mg.stack(states)
        return (softmax(states @ h) @ states @ self.v)[None]


class AttentionToAllBefore(Model):
    def __call__(self, x):
        h, states = zeros(), [zeros()]
        for x_t in x:
            before = mg.stack(states)
            h = tanh(x_t @ self.w + softmax(before @ h) @ before @ self.u)
            states.append(h)
        return (h @ self.v)[None]


class Clockwork(Model):
    def __call__(self, x):
        a, b = zeros(3), zeros(2)
        for t, x_t in enumerate(x):
            z = x_t @ self.w + mg.concatenate([a, b]) @ self.u
            a = tanh(z[:3])
            if t % 4 == 0:
                b = tanh(z[3:])
        return (mg.concatenate([a, b]) @ self.v)[None]


class ClockworkByNumbers(Model):
    def __call__(self, x):
        a, b = zeros(3), zeros(2)
        for t, x_t in enumerate(x):
            z = x_t @ self.w + mg.concatenate([a, b]) @ self.u
            a = tanh(z[:3])
            b = mg.where(t % 4 == 0, tanh(z[3:]), b)
        return (mg.concatenate([a, b]) @ self.v)[None]


class ResetEveryFour(EveryStep):
    every = 4

    def __call__(self, x):
        h, out = zeros(), []
        for t, x_t in enumerate(x):
            if t % self.every == 0:
                h = zeros()
            h = self.step(x_t, h)
            out.append(h @ self.v)
        return mg.stack(out)


class ResetEverySix(ResetEveryFour):
    every = 6


class ResetEveryFive(Model):
    def __call__(self, x):
        h = zeros()
        for t, x_t in enumerate(x):
            if t % 5 == 0:
                h = zeros()
            h = self.step(x_t, h)
        return (h @ self.v)[None]


class ResetByAFactor(Model):
    def __call__(self, x):
        h = zeros()
        for t, x_t in enumerate(x):
            h = self.step(x_t, float(t % 5 != 0) * h)
        return (h @ self.v)[None]


class ResetByNumbers(EveryStep):
    def __call__(self, x):
        h, out = zeros(), []
        for t, x_t in enumerate(x):
            h = self.step(x_t, mg.where(t % 4 == 0, zeros(), h))
            out.append(h @ self.v)
        return mg.stack(out)


class TwiceAtTwenty(Model):
    def __call__(self, x):
        h = zeros()
        for t, x_t in enumerate(x):
            h = self.step(x_t, h)
            h = 2 * h if t == 20 else h
        return (h @ self.v)[None]


MESSAGES = {
    FirstRows: (r"reads 6 rows of a sequence and ignores the rest", "", "h = mg.where(t < 6, new, h)"),
    FirstRowsOfAFewPositions: ("reads 6 rows of a sequence and ignores the rest", "", "h = mg.where(t < 6, new, h)"),
    Break: ("reads 6 rows of a sequence and ignores the rest, as after a break", "", "h = mg.where(t < 6, new, h)"),
    BreakAtAValue: (
        "takes numbers out of its tensors to decide by them (if, while",
        "if mg.max(h) > 0.3:",
        "instead of a break, keep the state: h = mg.where(done, h, new)",
    ),
    RowOfTheToken: ("to choose by argmax", "for e_t in self.w[x.argmax(axis=1)]:", "x_t @ E is the row E[np.argmax"),
    Median: ("with NumPy's median, for which the compiler has no rule", "np.median(x, axis=1", "columns of the data"),
    Detached: ("takes numbers out of its tensors", "float(mg.sum(h)) * self.u[0]", "mg.sum(h).data has the number"),
    ChangesItsInput: ("changes its sequence in place", "x *= 0.5", "x = 2 * x instead of x *= 2"),
    SineOfTheShare: ("numbers that differ from length to length", "np.sin(np.pi * t / len(x))", "a column of the data"),
    RootOfTheLength: ("numbers that differ from length to length", "np.sqrt(len(x))", "a column of the data"),
    MeanOfAStack: ("reads element", "np.stack([x, 2 * x])", "not part of a loop over the whole sequence"),
    DecoderThatCounts: (
        "goes on for as many steps as the sequence has, without reading a row",
        "h @ self.v",
        "Give numbers of the time as a column of the data",
    ),
    DecoderFromTheEnd: ("without reading a row", "h @ self.v", "return the outputs in order"),
    TwoRowsReshaped: ("cannot reshape array", "x.reshape(-1, 2, C)", "for t in range(0, len(x) - 1, 2)"),
    TwoRowsReshapedIfEven: ("reads 2 rows in a step", "", "for t in range(0, len(x) - 1, 2)"),
    ThreeRowsReshaped: ("reads 3 rows in a step", "", "for t in range(0, len(x) - 2, 3)"),
    SixRowsReshaped: ("reads 6 rows in a step", "", "Make 6 rows one row of the data"),
    WideWindow: ("the outputs read windows of 13 rows", "", "Let them read 12 rows or fewer, in several layers"),
    WideSumOfAWindow: ("the outputs read windows of 20 rows", "", "pass on a state that every row changes"),
    Attention: ("the work of a step grows with the sequence", "softmax(states @ h) @ states", "Attend once, after"),
    AttentionToAllBefore: ("the work of a step grows", "softmax(before @ h) @ before", "the last few states"),
    Clockwork: ("the steps take turns, with 4 kinds", "tanh(z[3:])", "b = mg.where(t % 2 == 0, new, b)"),
    ResetEveryFive: ("the model forgets the first 10", "", "h = float(t % 5 != 0) * h"),
    ResetEverySix: ("the model forgets the first 12", "", "h = mg.where(t % 6 == 0, h0, h)"),
    TwiceAtTwenty: (
        "at step 20 or the next",
        "h = 2 * h if t == 20 else h",
        "except for the first few and up to four that take turns",
    ),
}
# What the messages propose.
COMPILE = (
    KeptAfterSix, KeptAtAValue, SumOfTheRows, EveryStep, AttentionOnce, ClockworkByNumbers, ResetByNumbers,
    ResetByAFactor, Decoder, DecoderOfAContext, DecoderThatReadsTheTime, TwoRowsByIndex, ThreeRowsByIndex,
    DroppedLast, DroppedBeforeTheLast, ResetEveryFour, Window, SumOfAWindow,
)  # fmt: skip


@pytest.mark.parametrize("model", most_are_long(MESSAGES, 10))
def test_a_refusal_shows_the_line_and_what_to_write_instead(model):
    what, line, instead = MESSAGES[model]
    with pytest.raises(CompileError) as refusal:
        myrnn.compile(model(), dim_input=C, check=False)
    message = str(refusal.value).replace(str(Path(__file__).parent), "")
    assert what in message and line in message and instead in " ".join(message.split())
    assert "test_compile_messages.py:" in message
    assert message.endswith(".")
    # A model that changes its sequence is wrong in any engine.
    assert 'engine="mygrad"' in " ".join(message.split()) or model is ChangesItsInput
    assert max(map(len, message.splitlines())) < 200


@pytest.mark.parametrize("model", most_are_long(COMPILE, 4))
def test_what_the_messages_propose_compiles(model):
    assert myrnn.compile(model(), dim_input=C, check=False).recurrence.loops


class AddsTheMean(EveryStep):
    def __call__(self, x):
        out = super().__call__(x)
        add_loss(0.1 * (out**2).mean())
        return out


class AddsAShare(EveryStep):
    def __call__(self, x):
        out = super().__call__(x)
        add_loss(0.1 * (out**2).sum() / len(x))
        return out


@pytest.mark.parametrize("model", most_are_long([AddsTheMean, AddsAShare], 2))
def test_a_mean_over_steps_may_be_added_to_the_loss(model, in_python):
    rng = np.random.default_rng(0)
    data = Sequences.from_pairs([(rng.normal(size=(n, C)), rng.integers(0, K, n)) for n in (3, 7)], per_step=True)
    losses = []
    for engine in ("native", "mygrad"):
        made = model()
        options = {"engine": engine, "progress": False, "report_every": 2, "seed": 0}
        losses.append(myrnn.train(made, data, SGD(made.parameters), 4, **options).loss)
    np.testing.assert_allclose(*losses, rtol=1e-5)


class Constant(Model):
    """A choice by a constant mask of one number."""

    def __init__(self, mask, in_step):
        super().__init__()
        self.mask, self.in_step = np.array([[mask]]), in_step

    def step(self, x_t, h):
        if not self.in_step:
            return super().step(x_t, h)
        one = mg.where(self.mask[0], tanh(x_t @ self.w[:, :1] + h[:1] * self.u[0, :1]), 0.5 * h[:1] + x_t[:1])
        return mg.concatenate([one, h[:4]])

    def __call__(self, x):
        readout = super().__call__(x)[:, :1]
        return readout if self.in_step else mg.where(self.mask, readout + self.u2[0, 0], mg.sum(readout) * readout)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("in_step", "mask"), most_are_long(product((True, False), repeat=2), 3))
def test_a_constant_mask_of_one_number_chooses(mask, in_step):
    model, x = Constant(mask, in_step), np.random.default_rng(1).normal(size=(7, C)).astype(np.float32)
    np.testing.assert_allclose(myrnn.compile(model, dim_input=C, check=False)(x), model(x).data, rtol=1e-4, atol=1e-6)


# Objects of another framework, which need not be installed ------------------------------------------------------------


def made_with(module, **members):
    return type("Net", (), members | {"__module__": module})


Weight = made_with("torch.nn.parameter")
Module = made_with(
    "torch.nn.modules.module", parameters=lambda self: iter([Weight()]), __call__=lambda self, x: Weight()
)


class Holds(Model):
    parameters = (Weight(),)


class Returns(Model):
    def __call__(self, x):
        return Weight()


TASK = Sequences([0, 1, 2], [0, 1, 3], [0, 1], C)


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda: SGD(Module().parameters()), r"params\[0\]"),
        (lambda: SGD(Module().parameters), "params"),
        (lambda: myrnn.compile(Module()), "model"),
        (lambda: myrnn.evaluate(Module(), TASK), "model"),
        (lambda: myrnn.train(Module(), TASK, SGD(Model().parameters), 3), "model"),
        (lambda: myrnn.train(Model(), TASK, made_with("torch.optim.sgd", step=print)(), 3), "optimizer"),
        (lambda: myrnn.compile(Holds()), r"Holds\.parameters\[0\]"),
        (lambda: myrnn.compile(Returns(), dim_input=C), "the result of the model"),
        (lambda: myrnn.train(m := Returns(), TASK, SGD(m.parameters), 3), "the result of the model"),
    ],
)
def test_objects_of_pytorch_are_named_with_the_page_that_helps(use, what):
    told = rf"^{what} is made with PyTorch \(Net\), but MyRNN trains models that compute with MyGrad: .*porting\.md"
    with pytest.raises(InvalidArgument, match=told):
        use()


# An endless loop in a model -------------------------------------------------------------------------------------------


class Endless(Model):
    """Never returns for some sequences; in the loop, someone presses Ctrl-C."""

    def __init__(self, is_endless):
        super().__init__()
        self.is_endless = is_endless

    def step(self, x_t, h):
        while self.is_endless(x_t):
            h = tanh(h @ self.u)
            signal.raise_signal(signal.SIGINT)
        return super().step(x_t, h)


@pytest.mark.parametrize("is_endless", [lambda x_t: True, lambda x_t: isinstance(x_t, mg.Tensor)])
@pytest.mark.parametrize(
    "use",
    [
        lambda model: myrnn.compile(model, dim_input=C),
        lambda model: myrnn.train(model, TASK, SGD(model.parameters), 3, progress=False),
        lambda model: myrnn.evaluate(model, TASK, progress=False),
        lambda model: myrnn.build_graph(model, x=np.eye(C, dtype=np.float32)),
    ],
)
def test_ctrl_c_ends_an_endless_loop_in_a_model(use, is_endless):
    with pytest.raises(KeyboardInterrupt):
        use(Endless(is_endless))
