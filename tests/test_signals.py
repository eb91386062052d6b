import signal
import threading
from dataclasses import dataclass

import pytest

from myrnn import RNN, Adam, tasks
from myrnn._signals import ALARM, Terminated, TookTooLong, held_interrupts, noted_stops, within
from myrnn.settings import converted
from myrnn.training.loop import Training


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


def test_what_raises_for_a_signal_to_terminate_is_also_held_back():
    reached = []
    with noted_stops(), pytest.raises(Terminated), held_interrupts(), held_interrupts() as obey:
        signal.raise_signal(signal.SIGTERM)
        reached.append("held")
        obey()
    assert reached == ["held"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_signal_of_any_kind_acts_at_once():
    reached = []
    with noted_stops() as stops, pytest.raises(Terminated), held_interrupts():
        press()
        reached.append("held")
        signal.raise_signal(signal.SIGTERM)
    assert reached == ["held"]
    with pytest.raises(Terminated, match=r"^terminated: nothing is lost$"):
        stops.obey("nothing is lost")


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


def test_a_signal_before_an_inner_training_does_not_end_it():
    ended = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        press()
        with held_interrupts() as obey:
            obey()
            ended.append("inner")
        ended.append("outer")
    assert ended == ["inner", "outer"]


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


def test_a_loop_that_catches_everything_is_stopped_too():
    def stubborn():
        while True:
            try:
                sum(range(1000))
            except:  # noqa: E722
                continue

    with pytest.raises(TookTooLong):
        within(0.05, stubborn)


def test_a_loop_is_stopped_where_the_alarm_is_ignored():
    def endless():
        while True:
            pass

    ignored = signal.signal(ALARM, signal.SIG_IGN)
    try:
        with pytest.raises(TookTooLong):
            within(0.05, endless)
        assert signal.getsignal(ALARM) == signal.SIG_IGN
    finally:
        signal.signal(ALARM, ignored)


def test_a_signal_before_another_error_is_not_obeyed_later():
    with noted_stops():
        with pytest.raises(ZeroDivisionError), held_interrupts():
            press()
            1 / 0  # noqa: B018
        with held_interrupts() as obey:
            obey()


def test_a_result_in_time_is_returned():
    assert within(60.0, lambda: "done") == "done"


def test_another_thread_is_not_interrupted():
    found = []
    thread = threading.Thread(target=lambda: found.append(within(60.0, lambda: "done")))
    thread.start()
    thread.join()
    assert found == ["done"]


def test_a_program_that_uses_the_alarm_itself_keeps_it():
    before = signal.signal(ALARM, lambda *_: None)
    try:
        own = signal.getsignal(ALARM)
        assert within(60.0, lambda: signal.getsignal(ALARM)) is own
    finally:
        signal.signal(ALARM, before)


class Pressing(type):
    """Presses Ctrl-C when a class is hashed, as msgspec does."""

    def __hash__(cls):
        press()
        return super().__hash__()


class Value(metaclass=Pressing):
    """A type that msgspec does not know."""


@dataclass
class Stored:
    value: Value


def test_an_interrupt_while_settings_are_converted_is_not_lost():
    with pytest.raises(KeyboardInterrupt):
        converted("settings", {"value": Value()}, Stored)
