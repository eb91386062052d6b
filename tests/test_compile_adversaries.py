"""Models that try to be silently wrong: they branch on values, treat one length differently, or change."""

import contextlib
import contextvars
import itertools
import os
import types
import warnings

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

import myrnn
from marks import most_are_long, the_rest_is_long
from myrnn import SGD
from myrnn.errors import CompileError, NotARecurrence, NotDeterministic
from myrnn.training.engine import MyGradEngine
from myrnn.training.feed import BLOCK
from myrnn.training.loop import Training
from myrnn.training.native import NativeEngine
from recurrences.oracle import disagreement
from stepped import SteppedRNN


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


def data(largest):
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=(n, 10)).astype(np.float32), n % 2) for n in (3, 5, 4, 6)]
    for x, _ in pairs:
        x[0, 0] = largest
    return pairs


# Branching on values ------------------------------------------------------------------------------------------------


class LooksAtItsState(SteppedRNN):
    """Halves states that grow too large; with its first weights none does."""

    def step(self, h, x_t, t):
        z = x_t[None] @ self.x + h @ self.h
        return mg.tanh(z / np.float32(2) if mg.abs(z).max().item() > 80 else z)


class Compares(SteppedRNN):
    def step(self, h, x_t, t):
        z = x_t[None] @ self.x + h @ self.h
        return mg.tanh(z / np.float32(2) if (z > 80).any() else z)


class LooksAtAWeight(SteppedRNN):
    def __call__(self, x):
        logits = super().__call__(x)
        return logits / np.float32(2) if np.abs(self.y.data).max() > 5 else logits


class ReadsValuesThroughNumPy(SteppedRNN):
    def step(self, h, x_t, t):
        z = x_t[None] @ self.x
        return super().step(h, x_t, t) / np.float32(2 if np.max(np.asarray(z)) > 80 else 1)


LOOKING = [RareBranch, LooksAtItsState, Compares, LooksAtAWeight, ReadsValuesThroughNumPy]


@pytest.mark.parametrize("model", LOOKING)
def test_a_model_that_branches_on_values_is_not_trained_natively(model):
    model = model()
    with pytest.raises(
        NotARecurrence, match=r"(?s)takes numbers out of its tensors.*test_compile_adversaries\.py:\d+ "
    ):
        myrnn.train(model, data(1.0), SGD(model.parameters), 5, engine="native", progress=False)


@pytest.mark.usefixtures("in_python")
def test_a_model_that_branches_on_values_is_checked_on_every_sequence():
    compiled = myrnn.compile(RareBranch(), dim_input=10)
    small, large = (myrnn.Sequences.from_pairs(data(n)) for n in (1.0, 2e4))
    expected = np.concatenate([RareBranch()(x).data for x, _ in small])
    np.testing.assert_allclose(compiled.logits(small), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(compiled(small.features(0)), expected[:1], rtol=1e-4, atol=1e-5)
    for use in (compiled.logits, compiled.predict, lambda s: compiled(s.features(0))):
        with pytest.raises(NotARecurrence, match="with some values, it computes something else than when"):
            use(large)
    with pytest.raises(NotARecurrence, match="with some values, it computes something else than when"):
        compiled.loss_and_gradients(large.features(2), 0)


class AsksForShapes(SteppedRNN):
    """Only reads sizes, and stores its states for display."""

    def __call__(self, x):
        self.states, self.length = [], len(x)
        h = np.zeros((1, self.h.data.shape[0]), dtype=self.h.data.dtype)
        assert x.ndim == 2 and x.shape[1] == self.x.shape[0] and self.y.size == 12
        for x_t in x:
            h = self.step(h, x_t, 0)
            self.states.append(h)
        return h @ self.y


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("model", [SteppedRNN, AsksForShapes])
def test_a_correct_model_gives_no_warning(model):
    model = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = myrnn.train(model, data(1.0), SGD(model.parameters), 40, progress=False)
    assert history.engine == "native"


# Lengths -------------------------------------------------------------------------------------------------------------


class AtOneLength(SteppedRNN):
    def __call__(self, x):
        return super().__call__(x) * np.float32(0.5 if len(x) == 20 else 1)


class ArraysAtOneLength(SteppedRNN):
    def __call__(self, x):
        return super().__call__(x) * np.float32(0.5 if isinstance(x, np.ndarray) and len(x) == 20 else 1)


def many_lengths():
    rng = np.random.default_rng(2)
    return myrnn.Sequences.from_pairs([(rng.normal(size=(n, 10)), n % 2) for n in range(15, 25)])


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("model", [AtOneLength, ArraysAtOneLength])
def test_a_special_case_at_one_length_is_found_when_that_length_occurs(model):
    compiled = myrnn.compile(model(), dim_input=10)
    x = many_lengths().features(5)
    assert compiled(x[:19]).shape == (1, 2)
    with pytest.raises(NotARecurrence, match="on a sequence of 20"):
        compiled(x)
    with pytest.raises(NotARecurrence, match="on a sequence of 20"):
        compiled.loss_and_gradients(x, 1)
    with pytest.raises(NotARecurrence, match="on a sequence of 20"):
        compiled.logits(many_lengths())


class AtLengthFifty(SteppedRNN):
    def __call__(self, x):
        return super().__call__(x) * np.float32(0.5 if len(x) == 50 else 1)


def of_lengths(lengths):
    rng = np.random.default_rng(2)
    return myrnn.Sequences.from_pairs([(rng.normal(size=(n, 10)).astype(np.float32), 0) for n in lengths])


@pytest.mark.long
def test_a_special_case_at_one_of_many_lengths_is_found():
    compiled = myrnn.compile(AtLengthFifty(), dim_input=10, check=False)
    with pytest.raises(NotARecurrence, match="on a sequence of 50"):
        compiled.guard.check_use(of_lengths(range(2, 81, 2)))


def test_very_long_sequences_are_checked_at_some_steps(monkeypatch):
    monkeypatch.setattr("myrnn.compiler.guard.STEPS_AT_ONCE", 100)
    guard = myrnn.compile(SteppedRNN(), dim_input=10, check=False).guard
    sequences = of_lengths(range(15, 31))

    def left():
        return sequences.lengths[guard.unchecked(sequences.lengths)].tolist()

    guard.check_use(sequences)
    assert left() == [15, 16, 17, 19, 20, 21, 23, 24, 25, 27, 28, 29]
    monkeypatch.setattr("myrnn.compiler.guard.STEPS_AT_ONCE", 10)
    guard.check_use(sequences)
    assert 29 not in left() and 28 in left()
    monkeypatch.setattr("myrnn.compiler.guard.STEPS_AT_ONCE", 1000)
    guard.check_use(sequences)
    assert left() == []


def test_checking_the_longest_sequence_is_enough_for_a_library_model():
    guard = myrnn.compile(myrnn.GRU(10, 4, 2, rng=0), check=False).guard
    sequences = of_lengths(range(15, 31))
    guard.check_use(sequences)
    assert sequences.lengths[guard.unchecked(sequences.lengths)].tolist() == list(range(15, 30))


class NotesTracedLengths(SteppedRNN):
    """Records, where the check does not look, the lengths of the sequences that it was traced on."""

    def __init__(self):
        super().__init__()
        self.note = set().add

    def __call__(self, x):
        if isinstance(x, mg.Tensor):
            self.note(len(x))
        return super().__call__(x)


@pytest.mark.usefixtures("in_python")
def test_few_steps_of_a_very_long_sequence_are_traced():
    model = NotesTracedLengths()
    long = of_lengths([2_000, 3_000])
    history = myrnn.train(model, long, SGD(model.parameters), 2, engine="native", progress=False)
    assert (history.engine, max(model.note.__self__)) == ("native", 500)


@pytest.mark.long
def test_fewer_steps_of_wide_sequences_are_traced():
    model, width = NotesTracedLengths(), 2**16
    model.x = mg.tensor(np.zeros((width, 6), dtype=np.float32))
    model.parameters = (model.x, model.h, model.y)
    guard = myrnn.compile(model, 9, dim_input=width, check=False).guard
    guard.check_use(myrnn.Sequences(np.zeros(300, dtype=int), [0, 300], [0], width))
    assert max(model.note.__self__) == 64


class LeavesStepsOut(SteppedRNN):
    def __call__(self, x):
        return super().__call__(x[:30])


class Chaotic(SteppedRNN):
    """Amplifies any small difference between two sequences until they are unrelated."""

    def step(self, h, x_t, t):
        return mg.tanh(x_t[None] @ self.x + h @ self.h * np.float32(20))


@pytest.mark.parametrize(("model", "is_refused"), [(LeavesStepsOut, True), (Chaotic, False), (SteppedRNN, False)])
def test_logits_are_compared_beyond_the_traced_steps(model, is_refused, monkeypatch):
    monkeypatch.setattr("myrnn.compiler.guard.TRACED", 20)
    guard = myrnn.compile(model(), 9, dim_input=10, check=False).guard
    with pytest.raises(NotARecurrence, match="gives other logits") if is_refused else contextlib.nullcontext():
        guard.check_use(of_lengths([300]))


def test_training_checks_lengths_that_it_has_not_seen_first(monkeypatch):
    monkeypatch.setattr("myrnn.training.native.CHECKED_SHARE", np.inf)
    model = AtOneLength()
    with pytest.raises(NotARecurrence, match="on a sequence of 20 steps"):
        # One length in ten is 20, and there are only a few checks: a random choice would seldom find it.
        myrnn.train(model, many_lengths(), SGD(model.parameters), 50_000, engine="native", progress=False)


@pytest.mark.long
def test_iterations_are_undone_if_training_finds_a_difference():
    model, reference = LateHabit(), LateHabit()
    rng = np.random.default_rng(3)
    pairs = [(rng.normal(size=(n, 10)).astype(np.float32), 1) for n in (5, 8, 130)]

    def stream():
        # The long one is late.
        yield from (pairs[i % 2] for i in range(96))
        yield from (pairs[i % 3] for i in range(96))

    arguments = {"iterations": 192, "report_every": 64, "progress": False}
    with pytest.warns(UserWarning, match=r"(?s)op by op.*on a sequence of 130 steps"):
        history = myrnn.train(model, stream(), SGD(model.parameters, learning_rate=0.01), **arguments)
    expected = myrnn.train(
        reference, stream(), SGD(reference.parameters, learning_rate=0.01), engine="mygrad", **arguments
    )
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-4)
    for ours, theirs in zip(model.parameters, reference.parameters, strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-3, atol=1e-5)


# Models that change --------------------------------------------------------------------------------------------------


class EveryHundredthCall(SteppedRNN):
    def __call__(self, x):
        self.calls += 1
        return super().__call__(x) * np.float32(0.5 if self.calls % 100 == 99 else 1)


@pytest.mark.long
def test_a_model_that_counts_its_calls_is_refused():
    with pytest.raises(NotDeterministic, match=r"^every call of the model changes its calls, so that a later one"):
        myrnn.compile(EveryHundredthCall(), dim_input=10)


class KeepsItsState(SteppedRNN):
    def __call__(self, x):
        h = getattr(self, "last", np.zeros((1, 6), dtype=np.float32))
        for t, x_t in enumerate(x):
            h = self.step(h, x_t, t)
        self.last = h.data.copy()
        return h @ self.y


def test_a_model_that_keeps_its_state_between_calls_is_refused():
    with pytest.raises(
        NotDeterministic, match=r"^two calls of the model on the same sequence compute different things"
    ):
        myrnn.compile(KeepsItsState(), dim_input=10)


class Tunable(SteppedRNN):
    def __init__(self):
        super().__init__()
        self.scale, self.training, self.activation = 1.0, False, mg.tanh
        self.mask = np.ones((1, 6), dtype=np.float32)
        self.secret = mg.tensor(np.ones((1, 6), dtype=np.float32))

    def step(self, h, x_t, t):
        h = self.activation(x_t[None] @ self.x + h @ self.h) * np.float32(self.scale) * self.mask * self.secret
        return h * np.random.default_rng().random(dtype=np.float32) if self.training else h


def set_scale(model):
    model.scale = 2.0


def set_training(model):
    model.training = True


def set_activation(model):
    model.activation = mg.sin


def set_mask(model):
    model.mask[0, 3] = 0


def set_secret(model):
    model.secret.data = np.full((1, 6), 0.5, dtype=np.float32)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("change", [set_scale, set_training, set_activation, set_mask, set_secret])
def test_a_model_that_was_changed_after_it_was_compiled_is_refused(change):
    model = Tunable()
    compiled = myrnn.compile(model, dim_input=10)
    x = np.random.default_rng(4).normal(size=(5, 10)).astype(np.float32)
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-6)
    change(model)
    for use in (compiled, lambda x: compiled.loss_and_gradients(x, 0), lambda x: compiled.observe(x, 0)):
        with pytest.raises(NotARecurrence, match=r"^on a sequence of 5 (steps )?the model"):
            use(x)


@pytest.mark.long
def test_a_model_that_is_changed_while_it_trains_is_detected():
    model = Tunable()

    class Meddler:
        def on_report(self, report):
            if report.iteration >= 100:
                model.scale = 2.0

    arguments = {"engine": "native", "report_every": 50, "hooks": [Meddler()], "progress": False}
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        myrnn.train(model, data(1.0), SGD(model.parameters), 300, **arguments)


def changed_while_training(engine, changes):
    """Train for 300 iterations; return the weights, and the number of iterations of each engine in turn."""
    model, done = Tunable(), []

    class Changing:
        def on_report(self, report):
            if report.iteration in changes:
                changes[report.iteration](model)

    def counted(kind, run):
        def counting(self, batches):
            found = run(self, batches)
            done.extend([kind] * len(batches.order))
            return found

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for kind in (NativeEngine, MyGradEngine):
            patch.setattr(kind, "run", counted(kind.name, kind.run))
        options = {"engine": engine, "report_every": 50, "hooks": [Changing()], "progress": False}
        history = myrnn.train(model, data(1.0), SGD(model.parameters, learning_rate=0.01), 300, **options)
    assert history.engine == done[-1]
    return model.parameters, [(name, len(list(group))) for name, group in itertools.groupby(done)]


def assert_trained_as_by_mygrad(parameters, changes):
    for one, other in zip(parameters, changed_while_training("mygrad", changes)[0], strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


def test_a_model_that_is_changed_while_it_trains_is_compiled_again():
    changes = {100: set_scale}
    parameters, engines = changed_while_training("auto", changes)
    assert engines == [("native", 300)]
    assert_trained_as_by_mygrad(parameters, changes)


@pytest.mark.long
def test_a_model_that_is_changed_too_often_is_compiled_again_after_a_while(monkeypatch):
    # About 90 iterations of sequences of 3 to 6 steps.
    monkeypatch.setattr("myrnn.training.engine.WORTH_COMPILING", 400)
    changes = {50: set_scale, 100: set_mask, 150: set_secret}
    with pytest.warns(UserWarning, match="^the model runs op by op with MyGrad for a while, because") as caught:
        parameters, engines = changed_while_training("auto", changes)
    assert len(caught) == 1
    assert engines == [("native", 100), ("mygrad", 98), ("native", 102)]
    assert_trained_as_by_mygrad(parameters, changes)


def test_a_model_that_is_no_longer_a_recurrence_continues_op_by_op():
    with pytest.warns(UserWarning, match="^the model runs op by op with MyGrad, because") as caught:
        _, engines = changed_while_training("auto", {100: set_training})
    assert (len(caught), engines) == (1, [("native", 100), ("mygrad", 200)])


@pytest.mark.long
def test_a_model_that_is_changed_repeatedly_alternates_between_engines(monkeypatch):
    monkeypatch.setattr("myrnn.training.engine.WORTH_COMPILING", 400)
    changes = {50: set_scale, 100: set_mask, 200: set_secret}
    with pytest.warns(UserWarning, match="^the model runs op by op with MyGrad for a while, because") as caught:
        parameters, engines = changed_while_training("auto", changes)
    assert len(caught) == 2
    assert engines == [("native", 100), ("mygrad", 98), ("native", 2), ("mygrad", 98), ("native", 2)]
    assert_trained_as_by_mygrad(parameters, changes)


@pytest.mark.long
def test_a_model_that_is_changed_back_is_compiled_again(monkeypatch):
    monkeypatch.setattr("myrnn.training.engine.WORTH_COMPILING", 400)
    changes = {50: set_training, 100: lambda model: setattr(model, "training", False)}
    with pytest.warns(UserWarning, match="^the model runs op by op with MyGrad, because") as caught:
        _, engines = changed_while_training("auto", changes)
    assert (len(caught), engines) == (1, [("native", 50), ("mygrad", 98), ("native", 152)])


HIDDEN = {"scale": 1.0}
PROXY = types.MappingProxyType(HIDDEN)
CONTEXT = contextvars.ContextVar("CONTEXT", default=1.0)

# Values that a model's attributes and globals do not lead to, and how each is changed.
WAYS = {
    "a mapping proxy": (lambda: PROXY["scale"], lambda number: HIDDEN.update(scale=number)),
    "a context variable": (CONTEXT.get, CONTEXT.set),
    "the environment": (
        lambda: float(os.environ.get("TESTED_SCALE", "1")),
        lambda number: os.environ.update(TESTED_SCALE=str(number)),
    ),
}


class ReadsFarAway(SteppedRNN):
    """Multiplies its states by the result of a given function."""

    def __init__(self, read):
        super().__init__()
        self.read = read

    def step(self, h, x_t, t):
        return super().step(h, x_t, t) * np.float32(self.read())


class ChangesInAHook:
    def __init__(self, event, write):
        setattr(self, event, lambda *_: write(2.0))


class ChangesInItsTask:
    dim_input, dim_output = 10, 2

    def __init__(self, write):
        self.write, self.draws = write, 0

    def sample(self, n, rng):
        self.draws += 1
        if self.draws == 2:
            self.write(2.0)
        return myrnn.Sequences.from_pairs([data(1.0)[i % 4] for i in range(n)])


@pytest.fixture(params=WAYS)
def far_away(request):
    read, write = WAYS[request.param]
    yield ReadsFarAway(read), write
    write(1.0)


def train_far_away(model, write, where, engine):
    hooks, task, schedule, iterations = [], data(1.0), "constant", 20
    if where == "task":
        task, iterations = ChangesInItsTask(write), BLOCK + 5
    elif where == "schedule":
        schedule = lambda iteration: 0.01 if write(2.0 if iteration > 5 else 1.0) != "" else 0.0  # noqa: E731
    else:
        hooks = [ChangesInAHook(where, write)]
    options = {"engine": engine, "report_every": 5, "hooks": hooks, "schedule": schedule, "progress": False}
    return myrnn.train(model, task, SGD(model.parameters, learning_rate=0.01), iterations, **options)


@pytest.mark.parametrize(
    "where", most_are_long(["on_train_begin", "on_progress", "on_report", "on_reported", "task", "schedule"], 3)
)
def test_no_change_by_user_code_goes_unnoticed(far_away, where):
    model, write = far_away
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        train_far_away(model, write, where, "native")


class ReadsFarAwayLater(ReadsFarAway):
    def step(self, h, x_t, t):
        return SteppedRNN.step(self, h, x_t, t) * np.float32(self.read() if t >= 3 else 1)


def test_no_change_of_a_value_read_after_some_steps_goes_unnoticed():
    read, write = WAYS["a mapping proxy"]
    try:
        with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
            train_far_away(ReadsFarAwayLater(read), write, "on_report", "native")
    finally:
        write(1.0)


def test_no_change_by_a_failing_hook_goes_unnoticed(far_away):
    model, write = far_away

    class ChangesAndFails:
        def on_progress(self, iteration):
            write(2.0)
            raise InterruptedError

    training = Training(model, data(1.0), SGD(model.parameters), hooks=[ChangesAndFails()], engine="native")
    with pytest.raises(InterruptedError):
        training.run(5)
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        training.run(5)


@pytest.mark.long
def test_a_model_that_is_changed_far_away_is_compiled_again():
    read, write = WAYS["a context variable"]
    weights = []
    for engine in ("auto", "mygrad"):
        write(1.0)
        model = ReadsFarAway(read)
        assert train_far_away(model, write, "on_report", engine).engine == {"auto": "native"}.get(engine, engine)
        weights.append([parameter.data for parameter in model.parameters])
    write(1.0)
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_changes_without_effect_are_allowed():
    model = Tunable()
    compiled = myrnn.compile(model, dim_input=10)
    model.comment = "trained on Tuesday"
    x = np.random.default_rng(4).normal(size=(5, 10)).astype(np.float32)
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-6)


def test_replaced_parameters_are_detected():
    model = SteppedRNN()
    compiled = myrnn.compile(model, dim_input=10)
    model.y = mg.tensor(model.y.data * 2)
    model.parameters = (model.x, model.h, model.y)
    with pytest.raises(CompileError, match=r"^the model's parameters are not the tensors that it was compiled"):
        compiled(np.zeros((3, 10), dtype=np.float32))


def test_the_array_of_a_parameter_can_be_replaced():
    model = SteppedRNN()
    compiled = myrnn.compile(model, dim_input=10)
    x = np.random.default_rng(4).normal(size=(5, 10)).astype(np.float32)
    model.y.data = model.y.data * np.float32(-2)
    np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-6)


# In place, left over, unlisted ---------------------------------------------------------------------------------------


class SetsAnItem(SteppedRNN):
    def step(self, h, x_t, t):
        h = super().step(h, x_t, t)
        h[0, 0] = 0.5
        return h


class HalvesInPlace(SteppedRNN):
    def step(self, h, x_t, t):
        h = super().step(h, x_t, t)
        h *= np.float32(0.5)
        return h


class UsesWhatIsLeftOver(SteppedRNN):
    """Reads the variables of the loop after it."""

    def __call__(self, x):
        h = np.zeros((1, 6), dtype=np.float32)
        for x_t in x:
            z = x_t[None] @ self.x + h @ self.h
            h = mg.tanh(z)
        return (h + z + x_t[None] @ self.x) @ self.y


class Unlisted(SteppedRNN):
    """Uses a weight that it does not list, which stays unchanged."""

    def __init__(self):
        super().__init__()
        self.parameters = (self.x, self.y)


class AddsTheRows(SteppedRNN):
    """Sums the rows outside of its loop; an empty sequence has none."""

    def __call__(self, x):
        return super().__call__(x) + mg.sum(x, axis=0, keepdims=True) @ self.x @ self.y


@pytest.mark.usefixtures("in_python")
def test_a_sum_over_no_rows_is_zero():
    model = AddsTheRows()
    compiled = myrnn.compile(model, dim_input=10)
    for x in (np.zeros((0, 10), dtype=np.float32), np.ones((3, 10), dtype=np.float32)):
        np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-6)


class BeginsByComputing(SteppedRNN):
    """Computes its first states from parameters, but not in the way of its steps."""

    def __init__(self):
        super().__init__()
        self.b = mg.tensor(np.linspace(-1, 1, 6, dtype=np.float32)[None])
        self.parameters = (*self.parameters, self.b)

    def __call__(self, x):
        h = mg.tanh(self.b @ self.h)
        c = h * self.b
        for x_t in x:
            c = mg.tanh(x_t[None] @ self.x + h @ self.h) * c + c
            h = mg.tanh(c)
        return (h + c) @ self.y


@pytest.mark.usefixtures("in_python")
def test_computed_first_states_are_those_of_an_empty_sequence():
    model = BeginsByComputing()
    compiled = myrnn.compile(model, dim_input=10)
    for x in (np.zeros((0, 10), dtype=np.float32), np.ones((1, 10), dtype=np.float32)):
        np.testing.assert_allclose(compiled(x), model(x).data, rtol=1e-4, atol=1e-6)


class PoolsOrBegins(SteppedRNN):
    """Takes the largest value of each unit; without rows, its logits are `begun` times a row of its weights."""

    begun = 1.0

    def __call__(self, x):
        if not len(x):
            return mg.tanh(self.begun * self.y[:1])
        h, states = np.zeros((1, 6), dtype=np.float32), []
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h)
            states.append(h)
        return mg.max(mg.concatenate(states), axis=0, keepdims=True) @ self.y


@pytest.mark.usefixtures("in_python")
def test_an_empty_sequence_has_no_part_in_the_largest_of_no_values():
    model, x = PoolsOrBegins(), np.zeros((0, 10), dtype=np.float32)
    loss, gradients = myrnn.compile(model, dim_input=10, check=False).loss_and_gradients(x, 1)
    expected = softmax_crossentropy(model(x), np.array([1]))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for gradient, parameter in zip(gradients, model.parameters, strict=True):
        np.testing.assert_allclose(gradient, 0 if parameter.grad is None else parameter.grad, atol=1e-6)


@pytest.mark.usefixtures("in_python")
def test_models_of_a_class_may_differ_on_an_empty_sequence():
    one, other, x = PoolsOrBegins(), PoolsOrBegins(), np.zeros((0, 10), dtype=np.float32)
    other.begun = 0.0
    found = [myrnn.compile(model, dim_input=10, check=False) for model in (one, other)]
    assert [str(compiled).count("tanh(1 * y[") for compiled in found] == [1, 0]
    np.testing.assert_array_equal(found[1](x), other(x).data)


class UndefinedWithoutRows(SteppedRNN):
    """Its logits are not finite for an empty sequence, in one of several ways."""

    def __init__(self, undefined):
        super().__init__()
        self.undefined = undefined

    def __call__(self, x):
        return super().__call__(x) if len(x) else self.undefined(self.y[:1])


UNDEFINED = {
    "divided by zero": lambda y: y / np.float32(0),
    "zeros divided by zero": lambda y: np.zeros((1, 6), np.float32) @ mg.concatenate([y] * 6) / np.float32(0),
    "times infinity": lambda y: y * np.float32(np.inf),
    "plus infinity": lambda y: y + np.float32(np.inf),
    "a root of a negative number": lambda y: mg.sqrt(-mg.exp(y)),
    "a constant": lambda y: mg.tensor(np.full((1, 2), -np.inf, np.float32)),
}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", the_rest_is_long(UNDEFINED, "divided by zero"))
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
def test_only_an_empty_sequence_is_undefined(name):
    model, rng = UndefinedWithoutRows(UNDEFINED[name]), np.random.default_rng(0)
    compiled = myrnn.compile(model, dim_input=10)
    xs = [rng.normal(size=(n, 10)).astype(np.float32) for n in (3, 0, 1, 12)]
    found = compiled.logits(myrnn.Sequences.from_pairs([(x, 0) for x in xs]))
    np.testing.assert_allclose(found, np.concatenate([model(x).data for x in xs]), rtol=1e-4, atol=1e-6)
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, True, True]
    groups = [1], [2], [13], [5, 1, 3, 2]
    assert disagreement(compiled, groups) is None
    assert not np.isfinite(compiled.loss_and_gradients(xs[1], 0)[0])


class SmallLogarithms(SteppedRNN):
    """Computes with numbers so small that 1 plus them is 1."""

    def step(self, h, x_t, t):
        z = x_t[None] @ self.x * np.float32(1e-8)
        return (mg.log1p(z) + mg.expm1(z)) * np.float32(1e8) + h @ self.h * np.float32(0.1)


def test_small_numbers_keep_their_digits():
    model = SmallLogarithms()
    x = np.random.default_rng(4).normal(size=(5, 10)).astype(np.float32)
    np.testing.assert_allclose(myrnn.compile(model, dim_input=10)(x), model(x).data, rtol=1e-4)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "model",
    [
        UsesWhatIsLeftOver,
        *(pytest.param(kind, marks=pytest.mark.long) for kind in (SetsAnItem, HalvesInPlace, Unlisted)),
    ],
)
def test_unusual_recurrences_train_like_mygrad(model):
    native, reference = model(), model()
    for trained, engine in ((native, "native"), (reference, "mygrad")):
        optimizer = SGD(trained.parameters, learning_rate=0.05)
        myrnn.train(trained, data(1.0), optimizer, 30, engine=engine, progress=False)
    for name in ("x", "h", "y"):
        np.testing.assert_allclose(getattr(native, name).data, getattr(reference, name).data, rtol=1e-4, atol=1e-5)
