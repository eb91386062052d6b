"""The native engine in use: other threads, interrupts, odd lengths and widths, labels, frozen weights."""

import copy
import re
import threading
import tracemalloc
from collections import deque

import mygrad as mg
import numpy as np
import pytest

import myrnn
from marks import the_rest_is_long
from myrnn import RNN, SGD, Adam, Sequences, compile, tasks
from myrnn.compiler import cache
from myrnn.compiler.native import Native
from myrnn.compiler.runtime.updates import Descent
from myrnn.compiler.shards import limit_threads, shards_for
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence, NotFinite, TrainingDiverged
from myrnn.training.loop import Training
from zoo import Narrow, made

TASK = tasks.TwinHalves(1, 4)


def small():
    return RNN(10, 12, 2, activation="tanh", rng=0)


def train(model, data=TASK, iterations=60, **options):
    optimizer = SGD(model.parameters, learning_rate=0.05)
    return myrnn.train(model, data, optimizer, iterations, **{"engine": "native", "progress": False, **options})


def assert_same_parameters(one, other, atol=0.0):
    for a, b in zip(one.parameters, other.parameters, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=0, atol=atol)


def features(lengths, dim_input, classes, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    labels = np.arange(len(lengths)) % classes
    return Sequences(rng.normal(size=(offsets[-1], dim_input)) * 0.3, offsets, labels)


@pytest.mark.parametrize("report_every", [1, 7, 1000])
def test_reports_do_not_change_the_weights(report_every):
    one, other = small(), small()
    train(one, report_every=report_every)
    train(other, report_every=60)
    assert_same_parameters(one, other)


def test_threads_can_be_limited_for_the_calling_thread_alone(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("MYRNN_NUM_THREADS", "4")
    seen = []
    with limit_threads(2):
        other = threading.Thread(target=lambda: seen.append(shards_for(1000, 10**9, 10**6)))
        other.start()
        other.join()
        seen.append(shards_for(1000, 10**9, 10**6))
        with limit_threads(1):
            seen.append(shards_for(1000, 10**9, 10**6))
        seen.append(shards_for(1000, 10**9, 10**6))
    assert [*seen, shards_for(1000, 10**9, 10**6)] == [4, 2, 1, 2, 4]


@pytest.mark.parametrize("given", ["two", "0", "-1", "1.5"])
def test_an_invalid_number_of_threads_is_refused(given, monkeypatch):
    monkeypatch.setenv("MYRNN_NUM_THREADS", given)
    message = f"MYRNN_NUM_THREADS must be an integer of 1 or more, not '{given}'"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
        shards_for(1000, 10**9, 10**6)


def test_none_does_not_limit_threads(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("MYRNN_NUM_THREADS", "")
    assert shards_for(1000, 10**9, 10**6) == 8


def test_long_sequences_are_spread_over_threads_but_short_ones_are_not(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(2)), raising=False)
    monkeypatch.delenv("MYRNN_NUM_THREADS", raising=False)
    seen, train_natively = [], Native.train
    monkeypatch.setattr(Native, "train", lambda *given: (seen.append(given[4]), train_natively(*given))[1])
    for length in (5, 1200):
        sequences = Sequences(np.zeros(32 * length, dtype=int), np.arange(33) * length, np.arange(32) % 2, 3)
        train(RNN(3, 16, 2, rng=0), sequences, iterations=2, batch_size=32)
    assert seen[0] == 1 and seen[-1] == 2


def test_other_threads_run_while_it_trains():
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    compiled = myrnn.compile(small())
    native = compiled.native(tokens=True, batched=False)
    drawn = TASK.sample(1000, np.random.default_rng(0))
    blocks = [native.block() for _ in range(3)]
    order = np.resize(np.arange(1000), (100_000, 1))
    settings = np.array([0.0, 0.0, 0.0, 0.0, 0.0])
    nothing, trained = np.zeros((0, 3), dtype=np.int64), np.zeros((len(order), 0), dtype=np.bool_)
    equal = np.ones(2, dtype=np.float32)
    rates = np.zeros(len(order))
    descent = Descent(equal, rates, 0.0, settings, 1, nothing, trained, *(block.numbers for block in blocks))
    native.train(drawn, order[:1], descent)
    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted[0]
        # One call of machine code: if it held the interpreter lock, the other thread could not count until it returns.
        native.train(drawn, order, descent)
        assert counted[0] - before > 10_000
    finally:
        done.set()
        thread.join()


class Interrupting:
    """A hook that raises an interrupt like Ctrl-C after a number of iterations."""

    def __init__(self, iteration):
        self.iteration, self.history = iteration, None

    def on_progress(self, iteration):
        if iteration >= self.iteration:
            raise KeyboardInterrupt

    def on_train_end(self, history):
        self.history = history


def test_an_interrupt_leaves_model_and_optimizer_at_the_same_iteration():
    model, reference = small(), small()
    optimizer, hook = Adam(model.parameters), Interrupting(40)
    with pytest.raises(KeyboardInterrupt):
        myrnn.train(model, TASK, optimizer, 500, engine="native", report_every=20, hooks=[hook], progress=False)
    # The iterations since the last report are in the history, too.
    assert hook.history.iteration.tolist() == [20, 40] and optimizer.t == 40
    expected = Adam(reference.parameters)
    myrnn.train(reference, TASK, expected, optimizer.t, engine="native", report_every=20, progress=False)
    assert_same_parameters(model, reference)
    for one, other in zip(optimizer.m + optimizer.v, expected.m + expected.v, strict=True):
        np.testing.assert_array_equal(one, other)


def test_labels_outside_the_classes_are_refused_before_anything_is_changed():
    model = small()
    data = Sequences([1, 2, 3, 4], [0, 2, 4], [0, 2], dim_input=10)
    with pytest.raises(InvalidArgument, match=r"^a label is 2, but the model has 2 classes, 0 \.\. 1$"):
        train(model, data)
    with pytest.raises(InvalidArgument, match=r"^a label is 2, but the model has 2 classes, 0 \.\. 1$"):
        myrnn.compile(model).logits(data)
    assert_same_parameters(model, small())


def test_the_first_bad_iteration_is_named_by_both_engines():
    told = []
    for engine in ("native", "mygrad"):
        model = RNN(10, 8, 2, rng=0)
        with pytest.raises(TrainingDiverged) as error:
            optimizer = SGD(model.parameters, learning_rate=1e12)
            myrnn.train(model, TASK, optimizer, 200, engine=engine, report_every=50, progress=False)
        told.append(str(error.value).split(" at iteration ")[1])
    assert told[0] == told[1]


@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 3], 3))
def test_one_input_and_one_unit(batch_size):
    data = features([3, 1, 8, 5], 1, 2)
    one, other = made(Narrow), made(Narrow)
    train(one, data, batch_size=batch_size)
    train(other, data, batch_size=batch_size, engine="mygrad")
    assert_same_parameters(one, other, atol=1e-5)


@pytest.mark.long
def test_a_very_long_sequence_trains_like_the_others():
    data = features([3000, 4], 2, 3)
    one, other = (RNN(2, 6, 3, activation="tanh", rng=0) for _ in range(2))
    train(one, data, 1, batch_size=2)
    train(other, data, 1, batch_size=2, engine="mygrad")
    assert_same_parameters(one, other, atol=1e-4)


def test_empty_sequences_only_train_the_readout():
    one, other = small(), small()
    data = Sequences(np.zeros(0, dtype=np.int64), [0, 0, 0], [1, 1], dim_input=10)
    train(one, data, 5, batch_size=2)
    train(other, data, 5, batch_size=2, engine="mygrad")
    assert_same_parameters(one, other, atol=1e-6)
    assert not np.array_equal(one.fc_h2y.bias.data, small().fc_h2y.bias.data)


class Frozen:
    """Lists a weight that is never trained, because the optimizer does not have it, and uses a constant one."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.h, self.y = (
            mg.tensor(rng.normal(size=s).astype(np.float32) * np.float32(0.4)) for s in ((10, 6), (6, 6), (6, 2))
        )
        self.table = mg.tensor(rng.normal(size=(6, 6)).astype(np.float32), constant=True)
        self.parameters = (self.x, self.h, self.y)

    def __call__(self, x):
        h = np.zeros((1, 6), dtype=np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h @ self.table)
        return h @ self.y


@pytest.mark.usefixtures("in_python")
def test_frozen_weights_stay_and_the_others_train_like_mygrad():
    one, other = Frozen(), Frozen()
    for model, engine in ((one, "native"), (other, "mygrad")):
        optimizer = Adam([model.x, model.y], learning_rate=0.01)
        myrnn.train(model, TASK, optimizer, 60, engine=engine, progress=False)
    assert_same_parameters(one, other, atol=2e-5)
    np.testing.assert_array_equal(one.h.data, Frozen().h.data)
    np.testing.assert_array_equal(one.table.data, Frozen().table.data)


class BeyondTwenty:
    def __init__(self):
        self.inner = small()
        self.parameters = self.inner.parameters

    def __call__(self, x):
        logits = self.inner(x)
        return logits * np.float32(0.5) if len(x) > 20 else logits


@pytest.mark.long
def test_max_length_says_how_far_the_model_is_checked(monkeypatch):
    # An equal model of an earlier test may have been checked further.
    monkeypatch.setattr("myrnn.compiler.compilation._recent", deque())
    assert myrnn.compile(small(), max_length=9).max_length == 9
    compiled = myrnn.compile(BeyondTwenty(), max_length=20, dim_input=10)
    assert compiled(np.zeros((20, 10), dtype=np.float32)).shape == (1, 2)
    with pytest.raises(NotARecurrence):
        myrnn.compile(BeyondTwenty(), max_length=21, dim_input=10)
    with pytest.raises(InvalidArgument, match=r"^max_length must be at least 1, not 0"):
        myrnn.compile(small(), max_length=0)


def test_a_tensor_that_is_listed_twice_is_refused():
    model = Frozen()
    model.parameters = (model.x, model.h, model.h, model.y)
    with pytest.raises(CompileError, match=r"^a tensor occurs twice among the model's parameters"):
        train(model)
    model = Frozen()
    optimizer = SGD([model.x, model.x])
    with pytest.raises(CompileError, match=r"^a tensor occurs twice among the optimizer's parameters"):
        myrnn.train(model, TASK, optimizer, 5, engine="native", progress=False)


def test_many_long_sequences_need_bounded_memory(monkeypatch):
    portion = 2**20
    monkeypatch.setattr("myrnn.compiler.reader.PORTION_BYTES", portion)
    compiled = compile(RNN(10, 16, 2, rng=0), check=False)
    rng = np.random.default_rng(0)
    sequences = Sequences(rng.integers(0, 10, 80 * 300), 80 * np.arange(301), np.zeros(300, dtype=np.int64), 10)
    logits = compiled.logits(sequences)
    native = compiled.native(tokens=True, batched=True)
    sizes = [work.numbers.nbytes for work in native._workspaces.values()]
    assert sizes and max(sizes) < 1.1 * portion < 300 * 80 * native.bytes_per_step
    assert logits[299] == pytest.approx(compiled(sequences.features(299))[0], rel=1e-4, abs=1e-5)


def test_nonfinite_logits_predict_no_class():
    model = RNN(10, 4, 2, rng=0)
    compiled = myrnn.compile(model)
    sequences = TASK.sample(3, np.random.default_rng(0))
    model.fc_h2y.bias.data[:] = np.nan
    with pytest.raises(NotFinite, match=r"^the logits of 3 of 3 sequences are not finite, "):
        compiled.predict(sequences)
    assert compiled.predict(sequences, not_finite=1).tolist() == [1, 1, 1]
    with pytest.raises(InvalidArgument, match=r"^not_finite must be at most 1, not 2$"):
        compiled.predict(sequences, not_finite=2)


@pytest.mark.long
def test_memory_grows_neither_with_the_batch_nor_with_the_data():
    """The memory besides the data: the same for sixteen times as many sequences, and for larger batches."""

    def taken(count, batch_size):
        sequences = features(np.full(count, 40), 12, 2)
        model = RNN(12, 16, 2, rng=0)
        optimizer = SGD(model.parameters, learning_rate=0.05)
        tracemalloc.start()
        try:
            training = Training(model, sequences, optimizer, batch_size, engine="native", report_every=10**6)
            training.advance(2 * count // batch_size)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    taken(64, 32)  # Compile first, which needs memory, too.
    few, many, wide = taken(500, 32), taken(8000, 32), taken(500, 256)
    # The margins allow for the order of the sequences, and for checks of the model, which depend on time.
    data = 8000 * 40 * 12 * 4
    assert many - few < data / 10
    assert wide < 1.5 * few


@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 5], 5))
def test_programs_compiled_ahead_are_used(batch_size, monkeypatch):
    model, drawn = RNN(10, 8, 2, rng=0), TASK.sample(20, np.random.default_rng(0))
    compiled = compile(model)
    programs, used = compiled.programs_for_tokens(batch_size), []
    monkeypatch.setattr(cache, "load", lambda source, load=cache.load: used.append(source) or load(source))
    for data in (TASK, drawn, copy.deepcopy(drawn), drawn[:9]):
        myrnn.train(model, data, SGD(model.parameters), 20, batch_size, progress=False)
        compiled.logits(drawn if data is TASK else data)
    myrnn.evaluate(model, TASK, samples=20, progress=False)
    compiled.observe(drawn.features(0), 0)
    assert set(used) == set(programs)


@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 8], 1))
def test_a_training_that_diverges_continues_from_a_good_state(batch_size):
    losses = {}
    for engine in ("native", "mygrad"):
        model = RNN(10, 20, 2, rng=0)
        optimizer = SGD(model.parameters, learning_rate=5.0)
        with pytest.warns(UserWarning, match="resumes from iteration 0 with 0.5 times the learning rate"):
            history = myrnn.train(
                model,
                tasks.TwinHalves(1, 10),
                optimizer,
                60,
                batch_size,
                seed=0,
                engine=engine,
                on_divergence="restart",
                progress=False,
            )
        losses[engine] = history.loss
    np.testing.assert_allclose(losses["native"], losses["mygrad"], rtol=1e-3)
