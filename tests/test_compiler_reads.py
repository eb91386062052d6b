"""Whatever a model's code can read beside its parameters may change, and none of it may go unnoticed."""

import functools
import itertools
import random
import threading
from contextvars import ContextVar
from types import MappingProxyType, SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import leaky_relu

import myrnn
from myrnn import NotARecurrence, NotDeterministic
from myrnn.compiler._reads import readable

SCALE = 1.0
CALLS = 0


class Base:
    """A simple RNN that multiplies its states by what it reads somewhere."""

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
    def scale(self, options={"scale": 1.0}):  # noqa: B006 - what a careless user writes
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


def changes():
    """Kinds of models, and what changes what they compute: given the model and pytest's monkeypatch."""
    return {
        ReadsAGlobal: lambda model, patch: patch.setitem(globals(), "SCALE", 2.0),
        ReadsItsClass: lambda model, patch: patch.setattr(ReadsItsClass, "factor", 2.0),
        ReadsADefault: lambda model, patch: patch.setitem(ReadsADefault.scale.__defaults__[0], "scale", 2.0),
        ReadsFarAway: lambda model, patch: setattr(model.options["all"][0]["of"], "scale", 2.0),
        ReadsSlots: lambda model, patch: model.options.hide(2.0),
        ReadsASet: lambda model, patch: model.words.add("loud"),
        ReadsAProxy: lambda model, patch: patch.setitem(OPTIONS, "scale", 2.0),
        ReadsAContext: lambda model, patch: CONTEXT.set(2.0),
        HasAPartial: lambda model, patch: setattr(model, "activation", functools.partial(leaky_relu, slope=0.5)),
        HasAUfunc: lambda model, patch: setattr(model, "activation", np.sin),
        closing(BOX): lambda model, patch: patch.setattr(f"{__name__}.BOX", BOX) or BOX.__setitem__(0, 2.0),
        Base: lambda model, patch: patch.setattr(Base, "activation", lambda self, z: mg.sin(z)),
    }


@pytest.mark.parametrize(("kind", "change"), changes().items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_change_of_what_a_model_reads_is_found_at_the_next_use(kind, change, monkeypatch):
    model = kind()
    compiled = myrnn.compile(model, dim_input=4, check=False)
    assert not compiled.guard.has_changed()
    before = model(X).data
    change(model, monkeypatch)
    assert not np.allclose(model(X).data, before)
    with pytest.raises(NotARecurrence, match="does not compute what was compiled"):
        compiled(X)


def test_a_function_in_the_place_of_one_that_is_gone_is_another(monkeypatch):
    model = Base()
    model.activation = lambda z: mg.tanh(z)
    compiled = myrnn.compile(model, dim_input=4, check=False)
    # The second may lie where the first one lay.
    del model.activation
    model.activation = lambda z: mg.sin(z)
    assert compiled.guard.has_changed()


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
    [
        (CountsInAGlobal, r"changes its \S+\.CALLS"),
        (CountsInItsClass, r"changes its CountsInItsClass\.calls"),
        (Numbers, "changes its number"),
        (lambda: Owns(np.random.default_rng(0)), "changes its rng"),
        (lambda: Owns(random.Random(0)), "changes its rng"),
        (lambda: Owns(np.random.RandomState(0)), "changes its rng"),
        (lambda: Draws(np.random.random), "draws random numbers while it runs"),
        (lambda: Draws(random.random), "draws random numbers while it runs"),
    ],
)
def test_what_changes_by_itself_at_every_call_is_refused(model, told):
    with pytest.raises(NotDeterministic, match=told):
        myrnn.compile(model(), dim_input=4)


SHARED = np.random.default_rng(0)


class MadeFromAShared(Base):
    """Draws its first weights, and nothing later, from a generator of the module."""

    def __init__(self):
        super().__init__()
        self.x.data[...] = SHARED.normal(size=(4, 5)) / 2


def compiled_beside(work, model):
    """Compile a model while another thread does some work again and again."""
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
def test_what_another_thread_draws_is_not_the_models_doing(draw):
    assert compiled_beside(draw, MadeFromAShared()).recurrence.state_sizes == (5,)


class GivesOthersTime(Base):
    """Takes so long that another thread comes to draw in every call, as in a large model."""

    def __init__(self):
        super().__init__()
        self.drawn = threading.Event()

    def __call__(self, x):
        # What is told first may have been drawn before the call.
        for _ in range(2):
            self.drawn.clear()
            self.drawn.wait(0.1)
        return super().__call__(x)


@pytest.mark.parametrize("draw", [random.random, np.random.random], ids=range(2))
def test_what_another_thread_draws_in_every_call_is_not_the_models_doing(draw):
    model = GivesOthersTime()

    def draw_and_tell():
        draw()
        model.drawn.set()

    assert compiled_beside(draw_and_tell, model).recurrence.state_sizes == (5,)


def test_a_model_that_begins_to_look_at_numbers_is_no_longer_trained_natively():
    class Clips(Base):
        clips = False

        def activation(self, z):
            return mg.tanh(z / np.float32(2) if self.clips and np.abs(z.data).max() > 1e6 else z)

    model = Clips()
    compiled = myrnn.compile(model, dim_input=4, check=False)
    assert not compiled.guard.looks
    model.clips = True
    compiled.guard.check_unchanged(myrnn.Sequences.from_pairs([(X, 0)]))
    assert len(compiled.guard.looks) == 1


@pytest.mark.usefixtures("in_python")
def test_a_model_that_begins_to_look_at_numbers_is_checked_on_all_sequences_at_once():
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
    with pytest.raises(NotARecurrence, match="with some values, it does what it did not do"):
        compiled.logits(sequences)


def test_what_is_too_much_to_go_through_counts_as_changed():
    model = Base()
    model.log = list(range(20_000))
    assert readable(model, arrays=True) == readable(model, arrays=True)
    model.log = [object() for _ in range(10_000)]
    assert readable(model, arrays=True) != readable(model, arrays=True)


def test_a_cycle_comes_to_an_end():
    model = Base()
    model.parts = [model, {"self": model}]
    assert readable(model, arrays=True) == readable(model, arrays=True)
