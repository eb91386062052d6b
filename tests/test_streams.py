"""States that continue: a sequence read in pieces gives the same as the whole, in compiled models and in training.

`test_recurrences` reads sequences in pieces with all models of the corpus.
"""

import pickle
import re
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad import tanh

from marks import the_rest_is_long
from myrnn import GRU, LSTM, RNN, Adam, Sequences, train
from myrnn.compiler import compile
from myrnn.compiler.derive import ProgramKind
from myrnn.compiler.native import Native
from myrnn.compiler.streams import Streams
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence
from myrnn.optimizers import SGD, RMSprop
from myrnn.tasks import TwinHalves
from myrnn.training.feed import WindowFeed
from myrnn.training.loop import Training
from myrnn.training.native import Batches
from truncated_training import by_mygrad

D, K, SYMBOLS = 6, 3, 5

# Models whose states cannot be continued, by the reason.
REFUSED = "the states of the model cannot be carried from one piece of a sequence to the next: "


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=f"^{re.escape(message)}")


class Tagger:
    """Returns logits of every step, and starts with a learned state; the other state can be given."""

    def __init__(self, seed=3):
        rng = np.random.default_rng(seed)
        shapes = (SYMBOLS, D), (D, D), (D, K), (1, D)
        self.w, self.u, self.v, self.h0 = (mg.tensor((0.4 * rng.normal(size=s)).astype(np.float32)) for s in shapes)
        self.parameters = self.w, self.u, self.v, self.h0

    def __call__(self, x):
        return self.going_on(x, self.begin(), 0)[0]

    def begin(self):
        return [self.h0]

    def going_on(self, x, states, first):
        (h,), logits = states, []
        for x_t in x:
            h = tanh(x_t[None] @ self.w + h @ self.u)
            logits.append(h @ self.v)
        return mg.concatenate(logits), [h]


def data(lengths, seed=1):
    rng = np.random.default_rng(seed)
    count = sum(lengths)
    values, targets = rng.integers(0, SYMBOLS, count), rng.integers(0, K, count)
    return Sequences(values, np.cumsum([0, *lengths]), targets, SYMBOLS, per_step=True)


# --- step by step


@pytest.mark.parametrize("kind", the_rest_is_long([LSTM, RNN, GRU], RNN))
def test_a_sequence_read_step_by_step_is_the_sequence(kind, in_python):
    compiled = compile(kind(10, 8, 2, rng=0))
    state, tokens = compiled.start(), [3, 1, 4, 1, 5]
    x = np.eye(10, dtype=np.float32)[tokens]
    for i, token in enumerate(tokens):
        before, state, logits = state, *compiled.step(state, token)
        assert logits.shape == (2,)
        np.testing.assert_allclose(logits, compiled(x[: i + 1])[0], rtol=1e-5, atol=1e-6)
        assert (before.steps, state.steps) == (i, i + 1)
    for name, whole in zip(compiled.state_names, compiled.observe(x, 0).states, strict=True):
        np.testing.assert_allclose(state[name], whole[-1], rtol=1e-5, atol=1e-6)
    _, again = compiled.step(before, tokens[-1])
    assert (again == logits).all(), "a state that was read from is as it was"


@pytest.mark.long
def test_steps_of_several_sequences_and_several_steps_at_once():
    compiled = compile(Tagger())
    x = np.random.default_rng(0).normal(size=(3, 7, SYMBOLS)).astype(np.float32)
    whole = [compiled(one) for one in x]
    state, first = compiled.step(compiled.start(3), x[:, :4])
    state, step = compiled.step(state, x[:, 4])
    state, rest = compiled.step(state, x[:, 5:])
    assert (first.shape, step.shape, rest.shape) == ((3, 4, K), (3, K), (3, 2, K))
    np.testing.assert_allclose(np.concatenate([first, step[:, None], rest], axis=1), whole, rtol=1e-5, atol=1e-6)
    assert state.steps == 7 and state["h"].shape == (3, D)
    assert repr(state) == "State(3 streams, h (6), after 7 steps)"
    alone, logits = compiled.step(compiled.start(), x[0])
    np.testing.assert_allclose(logits, whole[0], rtol=1e-5, atol=1e-6)
    assert repr(alone) == "State(h (6), after 7 steps)"


@pytest.mark.usefixtures("in_python")
def test_zero_steps_keep_the_state():
    compiled = compile(Tagger())
    state, _ = compiled.step(compiled.start(), [1, 2])
    after, logits = compiled.step(state, np.zeros((0, SYMBOLS)))
    assert logits.shape == (0, K) and (after["h"] == state["h"]).all() and after.steps == 2


@pytest.mark.usefixtures("in_python")
def test_steps_use_the_current_weights():
    model = Tagger()
    compiled = compile(model)
    state = compiled.start()
    before = compiled.step(state, 2)[1]
    model.v.data *= 2
    np.testing.assert_allclose(compiled.step(state, 2)[1], 2 * before, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_an_invalid_step_is_refused():
    compiled = compile(Tagger())
    told = "x must be one step, floats (5,), or several, (T, 5), or integers without the last axis, not an array of "
    for x, what in [
        (np.zeros(4), "shape (4,) of float64"),
        (np.zeros((2, 4)), "shape (2, 4) of float64"),
        (np.zeros((1, 2, 5)), "shape (1, 2, 5) of float64"),
        (0.5, "shape () of float64"),
    ]:
        with refused(told + what):
            compiled.step(compiled.start(), x)
    with refused("x must be one step, floats (2, 5), or several, (2, T, 5), or integers without the last axis"):
        compiled.step(compiled.start(2), np.zeros((3, 5)))
    with refused("values must be tokens in 0 .. 4"):
        compiled.step(compiled.start(), 5)
    with refused("there is no state 'c': there are h"):
        compiled.start()["c"]
    with refused("streams must be at least 1, not 0"):
        compiled.start(0)


class Backward(RNN):
    def __call__(self, x):
        return super().__call__(x[::-1])


@pytest.mark.usefixtures("in_python")
def test_a_model_whose_states_cannot_be_continued_is_refused():
    with refused(REFUSED + "it goes over the sequence backward", CompileError):
        compile(Backward(10, 4, 2, rng=0)).start()


class Late(Tagger):
    """Behaves differently from a step on."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def going_on(self, x, states, first):
        (h,), logits = states, []
        for t, x_t in enumerate(x, first):
            h = tanh(x_t[None] @ self.w + h @ self.u) if t < self.step else 0.5 * h
            logits.append(h @ self.v)
        return mg.concatenate(logits), [h]


@pytest.mark.long
def test_a_model_that_changes_at_a_late_step_is_detected():
    model = Late(300)
    compiled = compile(model)
    state = compiled.start()
    with pytest.raises(NotARecurrence, match=r"than what was compiled|at step 299"):
        for _ in range(400):
            state, _ = compiled.step(state, 1)
    compiled = compile(Late(700))
    with pytest.raises(NotARecurrence, match="than what was compiled, though it computes the same on the first 500"):
        compiled.step(compiled.start(), np.ones(5000, dtype=int))
    assert compiled.max_length < 700
    with pytest.raises(CompileError, match=r"^truncate needs a compiled model, and this one is none: "):
        train(model := Late(30), data([60]), SGD(model.parameters), 5, truncate=5, progress=False)
    # The first thousand steps of a long stream are checked, half of them by a trace.
    with pytest.raises(CompileError, match="than what was compiled, though it computes the same on the first 500"):
        train(model := Late(700), data([5000]), SGD(model.parameters), 5, truncate=5, progress=False)
    # If the same model then reads whole sequences, further steps are checked, too.
    model, whole = Late(1100), data([1200])
    train(model, whole, SGD(model.parameters), 2, truncate=5, progress=False)
    with pytest.raises(NotARecurrence, match="than what was compiled, though it computes the same on the first 500"):
        train(model, whole, SGD(model.parameters), 2, engine="native", progress=False)
    # The check of one model does not count for another one of its class.
    assert compile(Late(700)).max_length < 700


@pytest.mark.usefixtures("in_python")
def test_a_model_that_branches_on_values_is_refused():
    class Looking(Tagger):
        def __call__(self, x):
            return (2 if float(np.sum(x)) > 1e6 else 1) * super().__call__(x)

    with pytest.raises(NotARecurrence, match=r"numbers (of|out of) its tensors"):
        compile(Looking()).start()


@pytest.mark.usefixtures("in_python")
def test_a_state_of_another_model_is_refused():
    state = compile(RNN(5, 8, 2, rng=0)).start()
    with refused("State(h (8), after 0 steps) belongs to another model than CompiledModel(Tagger: 5 inputs"):
        compile(Tagger()).step(state, 1)
    with pytest.raises(ValueError, match="read-only"):
        state.numbers[0, 0] = 1


def test_one_hot_rows_of_integers_are_not_read_as_tokens():
    compiled = compile(Tagger())
    with refused("x may be one-hot rows or tokens, an array of int64 of shape (5,): give floats for rows"):
        compiled.step(compiled.start(), [0, 1, 0, 0, 0])
    _, logits = compiled.step(compiled.start(), np.array([[0.0, 1, 0, 0, 0]]))
    np.testing.assert_array_equal(logits[0], compiled.step(compiled.start(), 1)[1])


# --- truncated backpropagation


@pytest.mark.usefixtures("in_python")
def test_a_program_that_learns_numbers_can_run_without_targets():
    # Native code would silently read after the end of the targets.
    rng = np.random.default_rng(0)
    data = Sequences(
        rng.integers(0, SYMBOLS, 40), np.arange(0, 41, 5), rng.normal(size=(40, K)), SYMBOLS, per_step=True
    )
    model = Tagger()
    history = train(model, data, Adam(model.parameters), 10, batch_size=3, truncate=2)
    assert np.isfinite(history.loss).all()


def check_training(kind, sequences, streams, steps, iterations, optimizer_of, **close):
    """Compare a truncated training of a new model of a kind with the same one in MyGrad."""
    model, by = kind(), kind()
    options = {"seed": 5, "truncate": steps, "report_every": 1, "progress": False}
    history = train(model, sequences, optimizer_of(model.parameters), iterations, streams, **options)
    losses = by_mygrad(by, sequences, streams, steps, iterations, optimizer_of)
    np.testing.assert_allclose(history.loss, losses, **close)
    for ours, theirs in zip(model.parameters, by.parameters, strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, atol=2e-4)


WINDOWS = ([30, 17, 0, 40, 1, 25], 3, 6), ([9, 9], 2, 1), ([40], 1, 7), ([50] * 8, 8, 5), ([5, 6, 7], 2, 100)


@pytest.mark.parametrize(
    ("lengths", "streams", "steps"),
    the_rest_is_long(WINDOWS, *WINDOWS[:2]),
)
@pytest.mark.parametrize(
    "optimizer_of",
    [
        pytest.param(partial(SGD, learning_rate=0.1), marks=pytest.mark.long),
        partial(Adam, learning_rate=0.01),
        pytest.param(partial(SGD, momentum=0.5, weight_decay=0.01), marks=pytest.mark.long),
    ],
    ids=["sgd", "adam", "momentum"],
)
def test_it_is_trained_as_with_mygrad(lengths, streams, steps, optimizer_of):
    check_training(Tagger, data(lengths), streams, steps, 40, optimizer_of, rtol=1e-3, atol=1e-4)


class Carries(Tagger):
    """A tagger with another step, whose state is carried on by hand."""

    def __init__(self, step):
        super().__init__()
        rng = np.random.default_rng(4)
        self.step, self.m, self.n = step, *(mg.tensor(rng.normal(size=s).astype(np.float32)) for s in ((D, 2), (2, D)))
        self.parameters = self.w, self.u, self.v, self.m, self.n

    def begin(self):
        return [np.zeros((1, D), np.float32)]

    def going_on(self, x, states, first):
        (h,), logits = states, []
        for x_t in x:
            h = self.step(self, x_t[None] @ self.w, h)
            logits.append(h @ self.v)
        return mg.concatenate(logits), [h]


class Mixes(Tagger):
    """Mixes each row with the two before, which are carried; those before the first are learned."""

    def begin(self):
        return [np.zeros((1, D), np.float32), self.h0, self.h0]

    def going_on(self, x, states, first):
        (h, before, earlier), logits = states, []
        for x_t in x:
            row = x_t[None] @ self.w
            h = tanh((row + before * earlier) @ self.u + 0.5 * h)
            before, earlier = row, before
            logits.append(h @ self.v)
        return mg.concatenate(logits), [h, before, earlier]


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_earlier_rows_are_carried(steps):
    optimizer_of = partial(Adam, learning_rate=0.01)
    check_training(Mixes, data([11, 0, 1, 5]), 2, steps, 12, optimizer_of, rtol=1e-3, atol=1e-4)


STEPS = {
    "low rank": lambda m, z, h: tanh(z + h @ m.m @ m.n),
    "bottleneck": lambda m, z, h: tanh(z + tanh(h @ m.m) @ m.n),
    "gain": lambda m, z, h: tanh(z + h @ m.u) * m.n[0],
    "no state": lambda m, z, h: z * m.n[0],
}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_state_of_the_loop_is_carried_not_a_product_with_an_old_weight(step):
    check_training(lambda: Carries(step), data([15]), 1, 3, 5, partial(SGD, learning_rate=0.1), rtol=1e-4)


class ByNumber:
    """A tagger whose steps use weights by their number."""

    def __init__(self, step):
        rng, self.step = np.random.default_rng(2), step
        shapes = (SYMBOLS, D), (D, D), (D, D), (D, K)
        self.w, self.u, self.m, self.v = (mg.tensor((0.4 * rng.normal(size=s)).astype(np.float32)) for s in shapes)
        self.parameters = self.w, self.u, self.m, self.v

    def __call__(self, x):
        return self.going_on(x, self.begin(), 0)[0]

    def begin(self):
        return [np.zeros((1, D), np.float32), np.zeros((1, D), np.float32)]

    def going_on(self, x, states, first):
        logits = []
        for t, x_t in enumerate(x, first):
            states = self.step(self, t, x_t[None] @ self.w, *states)
            logits.append((states[0] + states[1]) @ self.v)
        return mg.concatenate(logits), states


def every_third(m, t, z, h, g):
    return tanh(z + h @ (m.u if t % 3 == 0 else m.m)), g


def beginning_late(m, t, z, h, g):
    h = tanh(z + h @ m.u)
    return h, tanh(h + g @ m.m) if t >= 3 else g


def without_gradient(m, t, z, h, g):
    """The gradient of `h` stops at every third step, and no gradient at all reaches `m`."""
    h = mg.tensor(np.asarray(h)) if t % 3 == 0 else h
    return tanh(z + h @ m.u), tanh(h + np.asarray(g @ m.m))


def straight_through(m, t, z, h, g):
    h = tanh(z + h @ m.u + np.asarray(g) @ m.m)
    return h, h + (np.round(h.data, 1) - h.data)


def once_in_a_sequence(m, t, z, h, g):
    return tanh(z + h @ (m.m if t == 2 else m.u)), g


OPTIMIZERS = {
    "Adam": partial(Adam, learning_rate=0.02),
    "AdamW": partial(Adam, learning_rate=0.02, weight_decay=0.1),
    "RMSprop": partial(RMSprop, learning_rate=0.01),
    "momentum": partial(SGD, learning_rate=0.1, momentum=0.9),
}
STEPS = (every_third, beginning_late, once_in_a_sequence, without_gradient, straight_through)
# Some steps, and all optimizers.
SHORT = {(once_in_a_sequence, "Adam")} | {(beginning_late, name) for name in OPTIMIZERS}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("streams", "window"), the_rest_is_long([(1, 2), (2, 3)], (1, 2)))
@pytest.mark.parametrize(("step", "optimizer"), the_rest_is_long(product(STEPS, OPTIMIZERS), *SHORT))
def test_a_weight_that_a_window_does_not_use_is_not_trained_in_it(step, optimizer, streams, window):
    check_training(lambda: ByNumber(step), data([6, 6, 9]), streams, window, 9, OPTIMIZERS[optimizer], rtol=1e-4)


@pytest.mark.usefixtures("in_python")
def test_a_program_that_goes_on_in_another_way_is_refused(monkeypatch):
    logits = Native.logits

    def tampered(native, sequences, members, parameters, out, shard=0, streams=None):
        if streams is not None and (streams.rows >= 0).any():
            streams.numbers[:, 0] += 0.5
        logits(native, sequences, members, parameters, out, shard, streams)

    monkeypatch.setattr(Native, "logits", tampered)
    with pytest.raises(NotARecurrence, match="a sequence in two pieces gives other results than in one: train without"):
        compile(Tagger(), check=False).start()
    monkeypatch.setattr(Native, "logits", logits)
    compile(Tagger(), check=False).start()


def test_a_program_that_has_not_run_yet_can_generate(monkeypatch):
    # Machine code would silently read after the end of an empty array.
    calls = []
    code = SimpleNamespace(call=lambda function, batched, samples, members, *rest: calls.append(members))
    monkeypatch.setattr("myrnn.compiler.cache.load", lambda source: code)
    compiled = compile(RNN(SYMBOLS, 8, SYMBOLS, rng=0), check=False)
    native = Native(compiled.program(carried=True, tokens=True), ProgramKind(tokens=True, carried=True))
    streams = Streams(np.array([~0]), np.zeros((1, native.program.stream_layout.width), np.float32))
    native.generate(1, streams, native.block().numbers, np.full(3, 0.5), 1.0, SYMBOLS, np.zeros(0, np.int64))
    assert [members.tolist() for members in calls] == [[0]]


def test_streams_distributed_over_threads_are_the_same_streams():
    sequences, model = data([40, 31, 52, 47]), Tagger()
    native = compile(model).native(tokens=True, batched=True, carried=True)
    parameters = native.block_of([p.data for p in model.parameters]).numbers
    found = []
    for shards in (1, 2):
        rows = np.array([0, 1, ~2, 3])
        numbers = np.random.default_rng(0).normal(size=(4, native.program.stream_layout.width)).astype(np.float32)
        training = Training(model, sequences, SGD(model.parameters), 4, truncate=100)
        descent = training._engine._engine._descent(Batches(sequences, np.arange(4)[None]))
        descent = descent._replace(parameters=parameters.copy())
        losses, _ = native.train(sequences, np.arange(4)[None], descent, shards, Streams(rows, numbers))
        found.append((losses, numbers))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.long
@pytest.mark.parametrize("streams", [1, 4])
def test_it_resumes_from_a_checkpoint_to_the_same_bytes(tmp_path, streams):
    sequences = data([30, 17, 40, 1, 25])

    def trained(iterations, **options):
        model = Tagger()
        optimizer = Adam(model.parameters)
        options |= {"seed": 2, "truncate": 6, "report_every": 5, "progress": False}
        history = train(model, sequences, optimizer, iterations, streams, **options)
        return [a.tobytes() for a in (*(p.data for p in model.parameters), *optimizer.m, history.loss)]

    whole = trained(40)
    for stop in (5, 23, 37):
        trained(stop, checkpoint=tmp_path / str(stop))
        assert trained(40, resume=tmp_path / str(stop))[:-1] == whole[:-1]


def test_the_split_of_iterations_into_calls_does_not_matter():
    sequences, found = data([30, 17, 40, 1, 25]), []
    for turns in ([20], [1] * 20, [7, 13]):
        model = Tagger()
        training = Training(model, sequences, Adam(model.parameters), 3, truncate=6)
        for turn in turns:
            training.advance(turn)
        found.append([p.data.tobytes() for p in model.parameters])
    assert found[0] == found[1] == found[2]


def test_a_million_steps_need_little_memory():
    model = Tagger()
    training = Training(model, data([1_000_000]).cut(8), Adam(model.parameters), 8, truncate=50)
    training.advance(20)
    native = training._engine._engine._native
    assert max(work.steps for work in native._workspaces.values()) == 8 * 50


@pytest.mark.long
def test_a_dependency_longer_than_a_window_is_learned():
    # The class is the symbol before the last marker, however long ago that was.
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, 40_000)
    tokens[rng.random(len(tokens)) < 0.2] = 4
    last, targets = 0, np.zeros(len(tokens), dtype=int)
    for t, token in enumerate(tokens):
        last = tokens[t - 1] % 3 if token == 4 and t and tokens[t - 1] < 4 else last
        targets[t] = last
    sequences = Sequences(tokens, [0, len(tokens)], targets, SYMBOLS, per_step=True).cut(16)

    accuracy = {}
    for steps in (4, 16):
        model = Marker(steps)
        history = train(
            model, sequences, Adam(model.parameters, learning_rate=0.01), 1500, 16, truncate=steps, progress=False
        )
        accuracy[steps] = history.accuracy[-1]
    assert min(accuracy.values()) > 0.9


class Marker:
    """A GRU in equations that predicts the class at every step."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        shapes = *[(SYMBOLS, 16)] * 3, *[(16, 16)] * 3, (16, K)
        self.parameters = tuple(mg.tensor((0.3 * rng.normal(size=s)).astype(np.float32)) for s in shapes)

    def __call__(self, x):
        wz, wr, wh, uz, ur, uh, v = self.parameters
        h, logits = np.zeros((1, 16), dtype=np.float32), []
        for x_t in x:
            z = mg.nnet.sigmoid(x_t[None] @ wz + h @ uz)
            r = mg.nnet.sigmoid(x_t[None] @ wr + h @ ur)
            h = z * h + (1 - z) * tanh(x_t[None] @ wh + (r * h) @ uh)
            logits.append(h @ v)
        return mg.concatenate(logits)


def test_data_that_cannot_be_read_in_windows_are_refused():
    model, sequences = Tagger(), data([30, 17])
    optimizer = SGD(model.parameters)
    one = "truncate reads batch_size=3 sequences side by side, but there are 2 sequences: cut a long one in pieces"
    for task, batch_size, options, message in [
        (sequences, 3, {}, one),
        (sequences, 1, {"truncate": 0}, "truncate must be at least 1, not 0"),
        (sequences, 1, {"engine": "mygrad"}, "truncate needs a compiled model"),
        (TwinHalves(1, 2), 1, {}, "truncate reads fixed sequences: task must be a Sequences, not TwinHalves"),
        (TwinHalves(1, 2).sample(5, 0), 1, {}, "truncate needs a target for every step, but the targets are"),
    ]:
        with refused(message):
            train(model, task, optimizer, 1, batch_size, progress=False, **{"truncate": 5, **options})


def test_windows_can_be_copied():
    windows = WindowFeed(data([9, 8]), 2, np.random.default_rng(0), 4).peek()
    again = pickle.loads(pickle.dumps(windows))
    assert (again.values == windows.values).all() and (again.targets == windows.targets).all() and again.per_step


def test_a_series_is_cut_into_pieces():
    pieces = data([10]).cut(3)
    assert pieces.lengths.tolist() == [3, 3, 4]
    assert (pieces.values == data([10]).values).all() and (pieces.targets == data([10]).targets).all()
    with refused("cut takes one sequence with a target for each step, but there are 2 with"):
        data([3, 4]).cut(2)
    with refused("pieces must be at most 10, not 11"):
        data([10]).cut(11)


@pytest.mark.long
def test_the_page_of_long_series_is_right():
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "your-own-sequences.md").read_text(encoding="utf-8")
    section = page.split("\n## Long series\n")[1].split("\n## ")[0]
    learn, go_on = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    known = {}
    exec(learn.replace("4_000", "600").replace("truncate=50", "truncate=50, progress=False"), known)
    exec(go_on, known)
    t = np.arange(200_001, 200_051)
    assert known["history"].squared_error[-1] < 0.02
    assert np.abs(np.concatenate(known["forecast"]) - np.sin(t / 9) * np.sin(t / 70)).mean() < 0.5
