"""Models in several threads: MyGrad has one switch and one set of locks for all of them."""

import contextlib
import copy
import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import myrnn
from marks import the_rest_is_long
from myrnn import RNN, SGD, build_graph, tasks
from myrnn.compiler import cache
from myrnn.compiler.memory import Block
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.shards import in_threads
from myrnn.errors import CompileError
from myrnn.exercises import check_model
from myrnn.training.loop import Training

TASK = tasks.TwinHalves(1, 3)


def is_ours():
    """Whether this thread holds the lock for running models in MyGrad: no other thread gets it."""

    def try_it():
        if got := MYGRAD.acquire(blocking=False):
            MYGRAD.release()
        return got

    with ThreadPoolExecutor(1) as pool:
        return not pool.submit(try_it).result()


class Watched(RNN):
    """Records at every call whether its thread holds the lock of MyGrad."""

    def __init__(self, dim_input=10, dim_recurrent=8, dim_output=2):
        super().__init__(dim_input, dim_recurrent, dim_output, rng=0)

    def __call__(self, x):
        calls.append(is_ours())
        return super().__call__(x)


calls = []


def train_watched(engine):
    model = Watched()
    myrnn.train(model, TASK, SGD(model.parameters), 3, engine=engine, progress=False)


def compile_watched():
    # The record of each call changes the model.
    with pytest.raises(CompileError, match="calls"):
        myrnn.compile(Widthless(), 3)


class Widthless:
    """A model without an attribute for the number of inputs."""

    def __init__(self):
        self.inner = Watched()
        self.parameters = self.inner.parameters

    def __call__(self, x):
        return self.inner(x)


@pytest.mark.filterwarnings("ignore:the model runs op by op:UserWarning")
@pytest.mark.parametrize(
    "use",
    [
        lambda: train_watched("mygrad"),
        lambda: train_watched("auto"),
        lambda: myrnn.evaluate(Watched(), TASK, samples=3, engine="mygrad", progress=False),
        lambda: myrnn.evaluate(Widthless(), TASK, samples=3, engine="mygrad", progress=False),
        compile_watched,
        lambda: build_graph(Watched(), rolled=False, x=np.eye(10, dtype=np.float32)[:2], y=1),
        lambda: check_model(Watched),
    ],
    ids=["train", "train natively", "evaluate", "evaluate any width", "compile", "build_graph", "check_model"],
)
def test_only_one_model_runs_in_mygrad_at_a_time(use):
    calls.clear()
    use()
    assert calls and all(calls)


def weights(model):
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters])


def trained(engine="mygrad"):
    model = RNN(10, 8, 2, rng=0)
    myrnn.train(model, TASK, SGD(model.parameters), 60, engine=engine, progress=False)
    return weights(model)


@pytest.mark.long
@pytest.mark.parametrize(
    "other",
    [
        lambda: myrnn.evaluate(RNN(10, 8, 2, rng=1), TASK, samples=50, seed=0, engine="mygrad", progress=False),
        lambda: myrnn.compile(RNN(10, 8, 2, rng=2), check=False),
    ],
    ids=["evaluates", "compiles"],
)
def test_a_training_is_the_same_while_another_thread(other):
    alone, done = trained(), threading.Event()

    def go_on():
        while not done.is_set():
            other()

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(go_on)
        try:
            weights_beside = trained()
        finally:
            done.set()
        beside.result()
    np.testing.assert_array_equal(weights_beside, alone)


@pytest.fixture
def touched(monkeypatch):
    """Record whether native code holds the lock of MyGrad when it reads or writes parameters."""
    noted = []

    def watch(name):
        method = getattr(Block, name)

        def watched(block, place, array):
            noted.append((name, is_ours()))
            return method(block, place, array)

        monkeypatch.setattr(Block, name, watched)

    watch("read")
    watch("write")
    return noted


def test_native_training_only_accesses_parameters_while_no_other_thread_traces(touched):
    model = RNN(10, 8, 2, rng=0)
    Training(model, TASK, SGD(model.parameters), engine="native", on_divergence="restart").run(3)
    assert set(touched) == {("read", True), ("write", True)}


def test_a_compiled_model_only_reads_parameters_while_no_other_thread_traces(touched):
    compiled = myrnn.compile(RNN(10, 8, 2, rng=0))
    touched.clear()
    compiled(np.eye(10, dtype=np.float32)[:3])
    assert set(touched) == {("write", True)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only some systems fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("engine", the_rest_is_long(["native", "mygrad"], "native"))
def test_a_process_that_is_forked_while_it_trains_can_compile_and_train(engine):
    model, begun, done = RNN(10, 8, 2, rng=0), threading.Event(), threading.Event()
    compiled = myrnn.compile(model)

    class Going:
        def on_progress(self, iteration):
            begun.set()
            if done.is_set():
                raise InterruptedError

    def train(model, engine, iterations, hooks=()):
        options = {"engine": engine, "hooks": hooks, "progress": False}
        myrnn.train(model, TASK, SGD(model.parameters), iterations, **options)

    def train_until_done():
        with contextlib.suppress(InterruptedError):
            train(model, engine, 10**9, [Going()])

    thread = threading.Thread(target=train_until_done)
    thread.start()
    begun.wait()
    try:
        for what in ("native", "mygrad", "use"):
            child = os.fork()
            if not child:
                # Whatever happens, this forked copy of the tests ends here.
                try:
                    signal.alarm(600)
                    _ = (
                        compiled(np.eye(10, dtype=np.float32))
                        if what == "use"
                        else train(RNN(10, 8, 2, rng=1), what, 5)
                    )
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0, what
    finally:
        done.set()
        thread.join()


def test_loaded_programs_run_without_llvm_and_its_lock(monkeypatch):
    compiled = myrnn.compile(RNN(10, 8, 2, rng=0))
    engine = "llvmlite.binding.executionengine.ExecutionEngine.get_function_address"
    monkeypatch.setattr(engine, lambda *given: pytest.fail("LLVM is asked again"))
    assert compiled(np.eye(10, dtype=np.float32)).shape == (1, 2)
    assert compiled.loss_and_gradients(np.eye(10, dtype=np.float32), 1)[0] > 0


def test_no_thread_runs_if_another_cannot_start(monkeypatch):
    ran, started = [], []

    class Scarce(threading.Thread):
        def start(self):
            if started:
                raise RuntimeError("can't start new thread")
            started.append(self)
            super().start()

    monkeypatch.setattr(threading, "Thread", Scarce)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        in_threads(ran.append, 3)
    started[0].join(10)
    assert not started[0].is_alive() and not ran


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only some systems fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_thread_can_fork_while_it_loads_a_program():
    with cache.LOADING:
        child = os.fork()
        if not child:
            signal.alarm(60)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def sent(compiled):
    """Return the object as another process would receive it."""
    return pickle.loads(memoryview(pickle.dumps(compiled, 5)))


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        pytest.param(copy.deepcopy, marks=pytest.mark.long),
        lambda compiled: pickle.loads(pickle.dumps(compiled)),
        pytest.param(sent, marks=pytest.mark.long),
    ],
    ids=range(4),
)
def test_a_compiled_model_is_copied_and_pickled_by_compiling_again(again):
    x = np.eye(10, dtype=np.float32)[[3, 1, 4, 1]]
    # NumPy pickles arrays of more than a thousand bytes differently.
    compiled = myrnn.compile(RNN(10, 24, 2, rng=0))
    other = again(compiled)
    assert (other.model is compiled.model) == (again is copy.copy)
    np.testing.assert_array_equal(other(x), compiled(x))
    other.model.parameters[-1].data[...] += 1
    assert np.array_equal(other(x), compiled(x)) == (again is copy.copy)
