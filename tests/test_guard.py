"""Every danger to a compiled model in use, and the guard that finds it.

Long ones, and those of training, are in `test_compile_adversaries.py`.
"""

import functools
import itertools
import os
import random
import threading
from contextvars import ContextVar
from types import MappingProxyType, SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import leaky_relu

import myrnn
from marks import most_are_long
from myrnn import RNN, Adam, Sequences, compile, train
from myrnn.compiler.recorder import recorded
from myrnn.errors import NotARecurrence, NotDeterministic

SCALE = 1.0
CALLS = 0


class Base:
    """A simple RNN that multiplies its states by a value that it reads somewhere."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.h, self.y = (
            mg.tensor(rng.normal(size=shape).astype(np.float32) * np.float32(0.5)) for shape in ((4, 5), (5, 5), (5, 2))
        )
        self.parameters = (self.x, self.h, self.y)

    def scale(self):
        return 1.0

    def activation(self, z):
        return mg.tanh(z)

    def __call__(self, x):
        h = np.zeros((1, 5), dtype=np.float32)
        for x_t in x:
            h = self.activation(x_t[None] @ self.x + h @ self.h) * np.float32(self.scale())
        return h @ self.y


X = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


class ReadsAGlobal(Base):
    def scale(self):
        return SCALE


class ReadsItsClass(Base):
    factor = 1.0

    def scale(self):
        return self.factor


class ReadsADefault(Base):
    def scale(self, options={"scale": 1.0}):  # noqa: B006 - as a careless user writes
        return options["scale"]


class ReadsFarAway(Base):
    def __init__(self):
        super().__init__()
        self.options = {"all": [{"of": SimpleNamespace(scale=1.0)}]}

    def scale(self):
        return self.options["all"][0]["of"].scale


class Slots:
    __slots__ = ("__hidden", "scale")

    def __init__(self):
        self.scale, self.__hidden = 1.0, 1.0

    def hide(self, value):
        self.__hidden = value

    def hidden(self):
        return self.__hidden


class ReadsSlots(Base):
    def __init__(self):
        super().__init__()
        self.options = Slots()

    def scale(self):
        return self.options.scale * self.options.hidden()


class ReadsASet(Base):
    def __init__(self):
        super().__init__()
        self.words = {"quiet"}

    def scale(self):
        return 2.0 if "loud" in self.words else 1.0


OPTIONS = {"scale": 1.0}
CONTEXT = ContextVar("CONTEXT", default=1.0)


class ReadsAProxy(Base):
    def __init__(self):
        super().__init__()
        self.options = MappingProxyType(OPTIONS)

    def scale(self):
        return self.options["scale"]


class ReadsAContext(Base):
    def scale(self):
        return CONTEXT.get()


class ReadsTheEnvironment(Base):
    def scale(self):
        return float(os.environ.get("TESTED_SCALE", "1"))


class ReadsAFile(Base):
    path = None

    def scale(self):
        return float(self.path.read_text()) if self.path else 1.0


class ReadsLate(Base):
    """Reads a number in its fourth step."""

    late = np.float32(1)

    def __call__(self, x):
        h = np.zeros((1, 5), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t[None] @ self.x + h @ self.h) * (self.late if t == 3 else np.float32(1))
        return h @ self.y


class HasALayer(Base):
    def __init__(self):
        super().__init__()
        self.fixed = mg.tensor(np.ones((1, 5), dtype=np.float32))

    def activation(self, z):
        return mg.tanh(z) * self.fixed


class HasAPartial(Base):
    def __init__(self):
        super().__init__()
        self.activation = functools.partial(leaky_relu, slope=0.1)


class HasAUfunc(Base):
    def __init__(self):
        super().__init__()
        self.activation = np.tanh


def closing(box):
    class ReadsAClosure(Base):
        def scale(self):
            return box[0]

    return ReadsAClosure


BOX = [1.0]


def two_in_a_file():
    return SimpleNamespace(read_text=lambda: "2")


def changes():
    """Kinds of models, and functions that change what they compute, called with the model and pytest's monkeypatch."""
    return {
        ReadsAGlobal: lambda model, patch: patch.setitem(globals(), "SCALE", 2.0),
        ReadsItsClass: lambda model, patch: patch.setattr(ReadsItsClass, "factor", 2.0),
        ReadsADefault: lambda model, patch: patch.setitem(ReadsADefault.scale.__defaults__[0], "scale", 2.0),
        ReadsFarAway: lambda model, patch: setattr(model.options["all"][0]["of"], "scale", 2.0),
        ReadsSlots: lambda model, patch: model.options.hide(2.0),
        ReadsASet: lambda model, patch: model.words.add("loud"),
        ReadsAProxy: lambda model, patch: patch.setitem(OPTIONS, "scale", 2.0),
        ReadsAContext: lambda model, patch: CONTEXT.set(2.0),
        ReadsTheEnvironment: lambda model, patch: patch.setenv("TESTED_SCALE", "2"),
        ReadsAFile: lambda model, patch: patch.setattr(model, "path", two_in_a_file()),
        ReadsLate: lambda model, patch: setattr(model, "late", np.float32(2)),
        HasALayer: lambda model, patch: setattr(model, "fixed", mg.tensor(np.full((1, 5), 2, dtype=np.float32))),
        HasAPartial: lambda model, patch: setattr(model, "activation", functools.partial(leaky_relu, slope=0.5)),
        HasAUfunc: lambda model, patch: setattr(model, "activation", np.sin),
        closing(BOX): lambda model, patch: patch.setattr(f"{__name__}.BOX", BOX) or BOX.__setitem__(0, 2.0),
        Base: lambda model, patch: patch.setattr(Base, "activation", lambda self, z: mg.sin(z)),
    }


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("kind", "change"), most_are_long(changes().items(), 6))
def test_a_change_of_a_value_that_a_model_reads_is_found_at_the_next_use(kind, change, monkeypatch):
    model = kind()
    compiled = myrnn.compile(model, dim_input=4, check=False)
    compiled(X)
    assert not compiled.guard.has_changed()
    before = model(X).data
    change(model, monkeypatch)
    assert not np.allclose(model(X).data, before)
    uses = (compiled, lambda x: compiled.loss_and_gradients(x, 0), lambda x: compiled.observe(x, 0))
    for use in uses:
        with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
            use(X)
    assert compiled.guard.has_changed()


class HasABound(Base):
    bound = 1e6

    def activation(self, z):
        return mg.minimum(mg.tanh(z), np.float32(self.bound))


class HasAThreshold(Base):
    threshold = 1e6

    def activation(self, z):
        return mg.where(z > self.threshold, np.float32(0), mg.tanh(z))


class HasABoundTensor(Base):
    bound = mg.tensor(np.float32(1e6))

    def activation(self, z):
        return mg.minimum(mg.tanh(z), self.bound)


class ClipsItsInputs(Base):
    bound = 1e6

    def __call__(self, x):
        return super().__call__(np.clip(np.asarray(x), -self.bound, self.bound))


class ChoosesOneOfTwo(Base):
    first = True

    def activation(self, z):
        one, other = mg.tanh(z), mg.sin(z)
        return mg.where(z > 1e6, one if self.first else other, one) + np.float32(0) * other


class HasAStack(Base):
    size = 50

    def __call__(self, x):
        h, stack = np.zeros((1, 5), dtype=np.float32), np.zeros((self.size, 5), dtype=np.float32)
        for x_t in x:
            h = mg.tanh(x_t[None] @ self.x + h @ self.h + stack[1:2])
            stack = mg.concatenate([h, stack[:-1]])
        return h @ self.y


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (HasABound, "bound", 1e5),
        pytest.param(HasABoundTensor, "bound", mg.tensor(np.float32(1e5)), marks=pytest.mark.long),
        pytest.param(HasAThreshold, "threshold", 1e5, marks=pytest.mark.long),
        pytest.param(ClipsItsInputs, "bound", 1e5, marks=pytest.mark.long),
        pytest.param(ChoosesOneOfTwo, "first", False, marks=pytest.mark.long),
        pytest.param(HasAStack, "size", 40, marks=pytest.mark.long),
    ],
    ids=["bound", "tensor", "threshold", "input", "choice", "stack"],
)
def test_a_change_without_effect_on_a_few_steps_is_found(kind, name, value):
    model = kind()
    for _ in range(2):
        # A second compilation keeps what it compares later ones with.
        compiled = myrnn.compile(model, dim_input=4, check=False)
    before = model(X).data
    compiled(X)
    setattr(model, name, value)
    np.testing.assert_array_equal(model(X).data, before)
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        compiled(X)
    again = myrnn.compile(model, dim_input=4, check=False)
    assert again is not compiled
    np.testing.assert_allclose(again(X), before, rtol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("in_python")
def test_a_model_may_use_a_compiled_one():
    inner = myrnn.compile(Base(), dim_input=4, check=False)

    class UsesACompiledOne(Base):
        def __call__(self, x):
            data = x.data if isinstance(x, mg.Tensor) else x
            return super().__call__(x) + np.float32(0) * np.float32(inner(data).shape[0])

    model = UsesACompiledOne()
    for _ in range(2):
        np.testing.assert_allclose(myrnn.compile(model, dim_input=4, check=False)(X), model(X).data, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
def test_what_watches_a_model_is_gone_after_an_error():
    class Fails(Base):
        fails = False

        def __call__(self, x):
            y = super().__call__(x)
            if self.fails:
                raise KeyboardInterrupt
            return y

    before, model = dict(vars(mg.Tensor)), Fails()
    compiled = myrnn.compile(model, dim_input=4, check=False)
    model.fails = True
    with pytest.raises(KeyboardInterrupt):
        compiled(X)
    assert dict(vars(mg.Tensor)) == before


@pytest.mark.usefixtures("in_python")
def test_a_change_is_found_whatever_the_logits_show(monkeypatch):
    """Zero or nonfinite logits stay the same whatever the model does."""
    for number in (0, np.nan):
        model = Base()
        model.y.data[...] = number
        compiled = myrnn.compile(model, dim_input=4, check=False)
        compiled(X)
        model.activation = lambda z: mg.sin(z)
        with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
            compiled(X)


@pytest.mark.usefixtures("in_python")
def test_a_model_that_stays_is_traced_once(monkeypatch):
    model = Base()
    compiled = myrnn.compile(model, dim_input=4)
    compiled(X)
    monkeypatch.setattr("myrnn.compiler.guard.traced_with_array", lambda *given: pytest.fail("it is traced again"))
    for _ in range(3):
        compiled(X)
    # Other weights give other logits: those of the recurrence.
    model.y.data[...] *= 2
    np.testing.assert_allclose(compiled(X), model(X).data, rtol=1e-4)


class HalvesAtLength(Base):
    at = 0

    def __call__(self, x):
        return super().__call__(x) * np.float32(0.5 if len(x) == self.at else 1)


@pytest.mark.usefixtures("in_python")
def test_a_change_at_a_checked_length_is_found_among_many_sequences():
    model = HalvesAtLength()
    compiled = myrnn.compile(model, dim_input=4)
    sequences = myrnn.Sequences.from_pairs([(np.concatenate([X, X]), 0)] * 3)
    compiled.logits(sequences)
    model.at = 10
    with pytest.raises(NotARecurrence, match="gives other logits than what was compiled: it does something else at"):
        compiled.logits(sequences)


class StopsAtStep(Base):
    """A curriculum: later steps keep the state."""

    limit = 6

    def __call__(self, x):
        h = np.zeros((1, 5), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = mg.where(t < self.limit, mg.tanh(x_t[None] @ self.x + h @ self.h), h)
        return h @ self.y

    def on_report(self, report):
        self.limit += 2


CHANGED = "gives other logits than what was compiled: it does something else at this length, at later steps"


def rows_of(*lengths):
    rng = np.random.default_rng(3)
    return Sequences.from_pairs([(rng.normal(size=(n, 4)), i % 2) for i, n in enumerate(lengths)])


@pytest.mark.usefixtures("in_python")
def test_a_change_of_later_steps_is_found_by_gradients_batches_and_training():
    sequences = rows_of(*[3, 4, 5] * 20, 12)
    x = sequences.features(60)
    for use in (
        lambda compiled: compiled.loss_and_gradients(x, 1),
        lambda compiled: compiled.logits(sequences),
    ):
        model = StopsAtStep()
        compiled = compile(model, dim_input=4, check=False)
        use(compiled)
        model.limit = 8
        with pytest.raises(NotARecurrence, match=CHANGED):
            use(compiled)
    model = StopsAtStep()
    options = {"batch_size": 3, "report_every": 5, "hooks": [model], "progress": False}
    with pytest.raises(NotARecurrence, match=CHANGED):
        train(model, sequences, Adam(model.parameters), 30, engine="native", **options)


@pytest.mark.usefixtures("in_python")
def test_training_compares_all_lengths_before_it_begins():
    model = HalvesAtLength()
    model.at = 23
    with pytest.raises(NotARecurrence, match="on a sequence of 23 steps the model gives other logits"):
        train(model, rows_of(*range(10, 40)), Adam(model.parameters), 1, engine="native", progress=False)


# Which operations extract values from a tensor, and which do not.
LOOKS = {
    "data": lambda h: h.data,
    "float": lambda h: float(h[0, 0]),
    "int": lambda h: int(h[0, 0]),
    "item": lambda h: h[0, 0].item(),
    "index": lambda h: [1, 2][mg.tensor(1)],
    "comparison": lambda h: h > 0,
    "equality": lambda h: h == 0,
    "contains": lambda h: 0.5 in h,
    "any": lambda h: h.any(),
    "argmax": lambda h: mg.argmax(h),
    "asarray": lambda h: np.asarray(h),
    "mygrad.asarray": lambda h: mg.asarray(h),
    "array of tensors": lambda h: np.array([h, h]),
    "a comparison of NumPy": lambda h: np.less(h, 0),
    "allclose": lambda h: np.allclose(h, 0),
    "isnan": lambda h: np.isnan(h),
}
NO_LOOKS = {
    "shape": lambda h: (h.shape, h.ndim, h.size, h.dtype, len(h)),
    "shape of data": lambda h: (h.data.shape, h.data.dtype, np.asarray(h).shape),
    "shape by NumPy": lambda h: np.shape(h),
    "printed": lambda h: (repr(h), f"{h}"),
    "another tensor": lambda h: (mg.tensor(h), h.astype(np.float64), h.copy(), mg.zeros_like(h), np.zeros_like(h)),
    "operations": lambda h: (h[0], h.T, h.reshape(-1), np.tanh(h), np.sum(h), np.max(h), mg.clip(h, 0, 1), list(h)),
    "in place": lambda h: h.__imul__(2),
}


@pytest.mark.parametrize("way", [*LOOKS, *NO_LOOKS])
def test_only_reads_of_values_are_recorded(way):
    look = {**LOOKS, **NO_LOOKS}[way]

    def model(x):
        look(mg.exp(x))
        return x

    assert len(recorded(model, mg.tensor(X)).looks) == (way in LOOKS)


class CountsInAGlobal(Base):
    def scale(self):
        global CALLS
        CALLS += 1
        return 2.0 if CALLS % 10_000 == 9_999 else 1.0


class CountsInItsClass(Base):
    calls = 0

    def scale(self):
        type(self).calls += 1
        return 2.0 if self.calls % 10_000 == 9_999 else 1.0


class KeepsAList(Base):
    def __init__(self):
        super().__init__()
        self.log = []

    def scale(self):
        self.log.append(1.0)
        return 2.0 if len(self.log) == 9_999 else 1.0


class CountsDeepInside(Base):
    """Counts so deep inside that the search reaches it last; it must not search the importers of this module."""

    def __init__(self):
        super().__init__()
        self.part = SimpleNamespace(calls=0)
        for _ in range(24):
            self.part = SimpleNamespace(part=self.part)

    def scale(self):
        part = self.part
        while hasattr(part, "part"):
            part = part.part
        part.calls += 1
        return 2.0 if part.calls == 9_999 else 1.0


class KeepsItsStates(Base):
    """Stores the states of all calls for display."""

    def __init__(self):
        super().__init__()
        self.states = []

    def activation(self, z):
        self.states.append(mg.tanh(z))
        return self.states[-1]


def test_a_model_that_stores_its_states_for_display_is_accepted():
    assert myrnn.compile(KeepsItsStates(), 9, dim_input=4, check=False).recurrence.state_sizes == (5,)


class Draws(Base):
    def __init__(self, source):
        super().__init__()
        self.source = source

    def scale(self):
        return 0.0 if self.source() > 0.99999 else 1.0


class Owns(Base):
    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def scale(self):
        return 0.0 if self.rng.random() > 0.99999 else 1.0


class Numbers(Base):
    def __init__(self):
        super().__init__()
        self.number = itertools.count()

    def scale(self):
        return 2.0 if next(self.number) == 9_999 else 1.0


@pytest.mark.parametrize(
    ("model", "told"),
    most_are_long(
        [
            (CountsInAGlobal, r"changes its \S+\.CALLS"),
            (CountsInItsClass, r"changes its CountsInItsClass\.calls"),
            (Numbers, "changes its number"),
            (KeepsAList, "changes its log"),
            (CountsDeepInside, r"changes its part\S+\.calls"),
            (lambda: Owns(np.random.default_rng(0)), "changes its rng"),
            (lambda: Owns(random.Random(0)), "changes its rng"),
            (lambda: Owns(np.random.RandomState(0)), "changes its rng"),
            (lambda: Draws(np.random.random), "draws random numbers while it runs"),
            (lambda: Draws(random.random), "draws random numbers while it runs"),
        ],
        9,
    ),
)
def test_a_model_that_changes_at_every_call_is_refused(model, told):
    with pytest.raises(NotDeterministic, match=told):
        myrnn.compile(model(), dim_input=4)


SHARED = np.random.default_rng(0)


class MadeFromAShared(Base):
    """Draws only its first weights from a generator of the module."""

    def __init__(self):
        super().__init__()
        self.x.data[...] = SHARED.normal(size=(4, 5)) / 2


def compiled_beside(work, model):
    """Compile a model while another thread repeats some work."""
    done = threading.Event()

    def beside():
        while not done.is_set():
            work()

    thread = threading.Thread(target=beside)
    thread.start()
    try:
        return myrnn.compile(model, 9, dim_input=4, check=False)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("draw", [random.random, np.random.random, SHARED.random], ids=range(3))
def test_random_numbers_of_another_thread_do_not_count(draw):
    assert compiled_beside(draw, MadeFromAShared()).recurrence.state_sizes == (5,)


class WaitsForAnother(Base):
    """Waits, when called, for a thread that draws random numbers."""

    def __call__(self, x):
        thread = threading.Thread(target=np.random.random)
        thread.start()
        thread.join()
        return super().__call__(x)


def test_a_model_that_waits_for_a_thread_that_draws_does_not_wait_for_ever():
    with pytest.raises(NotDeterministic, match="draws random numbers"):
        myrnn.compile(WaitsForAnother(), 9, dim_input=4, check=False)


def test_a_model_that_starts_to_branch_on_values_is_no_longer_trained_natively():
    class Clips(Base):
        clips = False

        def activation(self, z):
            return mg.tanh(z / np.float32(2) if self.clips and np.abs(z.data).max() > 1e6 else z)

    model = Clips()
    compiled = myrnn.compile(model, dim_input=4, check=False)
    assert not compiled.guard.looks
    model.clips = True
    compiled.guard.check_unchanged()
    assert len(compiled.guard.looks) == 1


@pytest.mark.usefixtures("in_python")
def test_a_model_that_starts_to_branch_on_values_is_checked_on_all_sequences_at_once():
    class Halves(Base):
        halves = False

        def activation(self, z):
            return mg.tanh(z / np.float32(2) if self.halves and z.data.max() > 3 else z)

    model = Halves()
    compiled = myrnn.compile(model, dim_input=4)
    # Only the shorter of the two is large enough for the branch.
    sequences = myrnn.Sequences.from_pairs([(0 * X, 0), (100 * X[1:], 0)])
    compiled.logits(sequences)
    model.halves = True
    with pytest.raises(NotARecurrence, match="with some values, it computes something else than when it was traced"):
        compiled.logits(sequences)


def test_a_model_that_references_many_objects_compiles():
    model = Base()
    model.log, model.parts = [object() for _ in range(20_000)], [model, {"self": model}]
    assert myrnn.compile(model, dim_input=4, check=False).dim_output == 2


class Answers:
    """Has every attribute, like wrappers of C libraries."""

    __slots__ = ()

    def __getattr__(self, name):
        return Answers()


LIBRARY = Answers()


@pytest.mark.usefixtures("in_python")
def test_a_model_can_reference_objects_that_have_every_attribute():
    model = Base()
    np.testing.assert_allclose(myrnn.compile(model, dim_input=4)(X), model(X).data, rtol=1e-4)


class SkipsNothing(RNN):
    """Adds the product of the last row with a weight of zeros to the logits, or does not."""

    skips = False

    def __init__(self):
        super().__init__(4, 3, 2, rng=0)
        self.skip = mg.tensor(np.zeros((4, 2), dtype=np.float32))

    @property
    def parameters(self):
        return (*super().parameters, self.skip)

    def __call__(self, x):
        logits = super().__call__(x)
        return logits + x[-1:] @ self.skip if self.skips else logits


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("ask", [lambda c, x: c.loss_and_gradients(x, 1), lambda c, x: c.observe(x, 1)])
def test_gradients_are_not_those_of_a_model_that_gave_the_same_logits(ask):
    model, x = SkipsNothing(), np.ones((4, 4), dtype=np.float32)
    compiled = compile(model)
    ask(compiled, x)
    model.skips = True
    with pytest.raises(NotARecurrence):
        ask(compiled, x)


class SkipsZeros(Base):
    """Multiplies the state of zeros before the first step by a weight, which then has a gradient; or skips that."""

    def __init__(self, skips):
        super().__init__()
        self.skips, self.h = skips, mg.tensor(np.full((1, 5), 0.5, dtype=np.float32))
        self.parameters = (self.x, self.h, self.y)

    def __call__(self, x):
        h = np.zeros((1, 5), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t[None] @ self.x + (h * self.h if t or not self.skips else h))
        return h @ self.y


@pytest.mark.usefixtures("in_python")
def test_what_is_trained_does_not_depend_on_other_models_of_the_class():
    """Adam moves a parameter with a gradient of zeros, but none without a gradient."""
    lengths = np.array([1, 1, 3, 1, 1, 1, 3, 1])
    values = np.random.default_rng(1).normal(size=(lengths.sum(), 4))
    sequences = Sequences(values, np.append(0, np.cumsum(lengths)), np.arange(8) % 2)

    def trained(engine):
        model = SkipsZeros(skips=True)
        train(model, sequences, Adam(model.parameters, learning_rate=0.05), 12, 1, engine=engine, progress=False)
        return model.h.data

    compile(SkipsZeros(skips=False), 9, dim_input=4, check=False)
    np.testing.assert_allclose(trained("native"), trained("mygrad"), atol=1e-3)


@pytest.mark.usefixtures("in_python")
def test_what_is_trained_is_that_of_the_model_as_it_is_now():
    model, one = SkipsZeros(skips=False), np.array([1])
    assert compile(model, 9, dim_input=4, check=False).reach.of(0 * one, one).tolist() == [[True, True, True]]
    model.skips = True
    assert compile(model, 9, dim_input=4, check=False).reach.of(0 * one, one).tolist() == [[True, False, True]]
