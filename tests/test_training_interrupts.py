import signal
import threading

import pytest

from myrnn import RNN, Adam, tasks
from myrnn.training import Training
from myrnn.training.interrupts import held_interrupts, raising


def press():
    signal.raise_signal(signal.SIGINT)


class Finalized:
    """Presses Ctrl-C in a finalizer, where a raised exception is lost."""

    def __del__(self):
        press()


@pytest.fixture(autouse=True)
def handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class Pressed(RNN):
    """Presses Ctrl-C in a finalizer while it reads the sequence of this number."""

    def __init__(self, number):
        super().__init__(10, 4, 2, rng=0)
        self.left = number

    def __call__(self, x):
        self.left -= 1
        if self.left == 0:
            Finalized()
        return super().__call__(x)


@pytest.mark.parametrize("turn", ["run", "advance"])
def test_an_interrupt_in_a_finalizer_takes_effect_at_a_consistent_point(turn):
    model = Pressed(40)
    optimizer = Adam(model.parameters)
    training = Training(model, tasks.TwinHalves(1, 3), optimizer, engine="mygrad")
    with pytest.raises(KeyboardInterrupt):
        getattr(training, turn)(1000)
    assert 40 <= training.iteration == optimizer.t < 60
    getattr(training, turn)(5)
    assert training.iteration == optimizer.t


class Told(Exception):
    pass


@pytest.fixture
def told():
    """Make SIGTERM raise `Told`, in a handler that does nothing else."""

    def tell(number, frame):
        raise Told

    before = signal.signal(signal.SIGTERM, raising(tell))
    yield tell
    assert signal.getsignal(signal.SIGTERM) is tell
    signal.signal(signal.SIGTERM, before)


def test_a_handler_that_only_raises_is_also_deferred(told):
    reached = []
    with pytest.raises(Told), held_interrupts(), held_interrupts() as obey:
        signal.raise_signal(signal.SIGTERM)
        reached.append("held")
        obey()
    assert reached == ["held"]


def test_a_second_signal_of_any_kind_acts_at_once(told):
    reached = []
    with pytest.raises(Told), held_interrupts():
        press()
        reached.append("held")
        signal.raise_signal(signal.SIGTERM)
    assert reached == ["held"]


def test_a_second_signal_acts_at_once():
    reached = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        press()
        reached.append("held")
        press()
        reached.append("not reached")
    assert reached == ["held"]


def test_a_signal_after_the_last_call_ends_the_block():
    with pytest.raises(KeyboardInterrupt), held_interrupts() as obey:
        obey()
        press()


def test_the_inner_of_two_nested_trainings_ends_first():
    ended = []
    with held_interrupts():
        with pytest.raises(KeyboardInterrupt), held_interrupts() as obey:
            press()
            obey()
        ended.append("inner")
    assert ended == ["inner"]


def test_other_handlers_are_kept():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("pressed"))
    with held_interrupts():
        press()
    assert heard == ["pressed"]
    signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_handlers_to_set():
    found = []

    def work():
        with held_interrupts() as obey:
            obey()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
