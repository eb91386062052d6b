import json
import re
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.errors import InvalidArgument
from myrnn.playground._curve import Curve
from myrnn.playground._fields import Choice, Real, Record, Some, Text, Truth, Whole
from myrnn.playground._messages import LONGEST_MESSAGE, MESSAGES, parse
from myrnn.playground._outbox import MOST_ANSWERS, Outbox
from myrnn.playground._settings import DEFAULTS, SETTINGS, checked_settings, offered_settings
from myrnn.playground._turns import Turns
from myrnn.playground._views import Views
from playground_help import wait_until


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


# --- the curve


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 3)), max_size=200),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_a_curve_holds_the_means_however_it_is_filled(iterations, portions):
    losses, right = np.array([loss for loss, _ in iterations]), np.array([hits / 3 for _, hits in iterations])
    curve, begin = Curve(most=8), 0
    while begin < len(losses):
        for count in portions:
            curve.add(losses[begin : begin + count], right[begin : begin + count])
            begin += count
    loss, accuracy = curve.since(0)
    assert curve.iterations == len(losses)
    assert len(loss) <= 8
    width = curve.width
    assert loss == pytest.approx([losses[i : i + width].mean() for i in range(0, len(losses), width)])
    assert accuracy == pytest.approx([right[i : i + width].mean() for i in range(0, len(losses), width)])


def test_a_curve_is_as_fine_as_its_points_allow():
    curve = Curve(most=4)
    curve.add(np.ones(4), np.ones(4))
    assert curve.width == 1
    curve.add([2.0], [0])
    assert curve.width == 2
    assert curve.since(2) == ([2.0], [0.0])
    curve.add(np.ones(100), np.ones(100))
    assert curve.width == 32


# --- fields and messages


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (Whole(1, 5), 0, "size must be at least 1, not 0"),
        (Whole(1, 5), 6, "size must be at most 5, not 6"),
        (Whole(1, 5), 2.0, "size must be an integer, not 2.0"),
        (Whole(1, 5), True, "size must be an integer, not True"),
        (Real(0.5, 2.0), 0.1, "size must be at least 0.5, not 0.1"),
        (Real(0.5, 2.0), 2.5, "size must be at most 2.0, not 2.5"),
        (Real(0.5, 2.0), None, "size must be a number, not None"),
        (Real(0.5, 2.0, optional=True), "1", "size must be a number, not '1'"),
        (Choice(("adam", "sgd")), "adm", "size must be one of 'adam', 'sgd', not 'adm'; did you mean 'adam'?"),
        (Truth(), 1, "size must be true or false, not 1"),
        (Text(3), "abcd", "size must have at most 3 characters, not 4"),
        (Text(3), 5, "size must be a text, not 5"),
        (Some(Whole(0, 9), 1, 2), [], "size must have 1 to 2 entries, not 0"),
        (Some(Whole(0, 9), 1, 2), "12", "size must be a list, not '12'"),
        (Some(Whole(0, 9), 1, 2), [1, 12], "size[1] must be at most 9, not 12"),
        (Record({"a": Whole(0, 9)}), [], "size must be an object, not []"),
        (Record({"a": Whole(0, 9)}), {}, "size has no 'a'"),
        (Record({"a": Whole(0, 9)}), {"a": 1, "b": 2}, "a field of size must be one of 'a', not 'b'"),
    ],
)
def test_a_value_out_of_bounds_is_refused(field, value, message):
    with refused(message):
        field.checked("size", value)


def test_a_value_within_bounds_comes_back():
    assert Real(0.5, 2.0, optional=True).checked("size", None) is None
    assert Text(3, optional=True).checked("size", None) is None
    assert Record({"a": Some(Whole(0, 9), 0, 2)}).checked("size", {"a": [3]}) == {"a": [3]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a message must be JSON, not '{'"),
        ("NaN", "a message must be JSON, not 'NaN'"),
        ("[1]", "a message must be an object with a 'type', not [1]"),
        ('{"kind": "play"}', "a message must be an object with a 'type', not {'kind': 'play'}"),
        ('{"type": "play", "speed": 1}', "play takes no fields, but there is 'speed'"),
        ('{"type": "speed"}', "speed has no 'speed'"),
        ('{"type": "speed", "speed": 1e999}', "speed must be finite, not inf"),
        ('{"type": "tokens", "tokens": [1, 10]}', "tokens[1] must be at most 9, not 10"),
        (" " * 16_385, f"a message must have at most {LONGEST_MESSAGE:,} characters, not 16,385"),
    ],
)
def test_what_is_no_message_is_refused(text, message):
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert str(caught.value)[:100] == message[:100]


def test_a_message_of_a_thousand_lists_is_refused():
    # How deep a parser goes depends on the version of Python.
    for text in ("[" * 9000, "[" * 8000 + "]" * 8000):
        with pytest.raises(InvalidArgument, match=r"a message must (be JSON|be an object|not be nested that deep)"):
            parse(text)


@pytest.mark.parametrize("before", ["", '{"type": ', '{"type": "speed", "speed": ', '{"type": "tokens", "tokens": '])
def test_a_message_of_any_depth_is_refused(before):
    after = "}" if before else ""
    for depth in range(1, 1100):
        with pytest.raises(InvalidArgument):
            parse(before + "[" * depth + "]" * depth + after)


def test_a_message_comes_back_in_parts():
    assert parse('{"type": "tokens", "tokens": [1, 2]}') == ("tokens", {"tokens": [1, 2]})
    assert parse('{"type": "play"}') == ("play", {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(sorted(MESSAGES)), st.dictionaries(st.text(max_size=8), json_values, max_size=3))
def test_any_object_is_a_message_or_is_refused(kind, fields):
    try:
        found, checked = parse(json.dumps({**fields, "type": kind}))
    except InvalidArgument as error:
        assert "\n" not in str(error)
    else:
        assert found == kind
        assert set(checked) == set(MESSAGES[kind])


# --- settings


def test_all_that_is_offered_is_within_bounds():
    for name, setting in SETTINGS.items():
        for value in (setting.default, *(value for value, _ in setting.offered)):
            assert checked_settings({**DEFAULTS, "pattern_length_max": 20, "pattern_length_min": 1, name: value})


def test_the_offers_name_a_class_of_ones_own():
    def cells(own):
        (offered,) = (s["offered"] for s in offered_settings(own) if s["name"] == "cell")
        return offered

    assert cells("Mine") == [*cells(None), ["own", "Mine"]]


def test_lengths_that_do_not_go_together_are_refused():
    with refused("the shortest half must not be longer than the longest: 5 is more than 3"):
        checked_settings({**DEFAULTS, "pattern_length_min": 5, "pattern_length_max": 3})


# --- turns


def test_turns_are_given_in_order():
    turns, order, threads = Turns(), [], []

    def work(number):
        with turns.turn(number):
            order.append(number)

    with turns.turn("first"):
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            wait_until(lambda: turns.waiting == len(threads), "a thread does not wait for its turn")
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert turns.waiting == 0


def test_who_is_in_a_hurry_goes_first_but_not_for_ever():
    turns, order, threads = Turns(), [], []

    def work(name):
        with turns.turn(name, hurried=name[0] == "h"):
            order.append(name)

    with turns.turn("first"):
        for name in ["p0", "p1", "p2", *(f"h{n}" for n in range(6))]:
            threads.append(threading.Thread(target=work, args=(name,)))
            threads[-1].start()
            wait_until(lambda: turns.waiting == len(threads), "a thread does not wait for its turn")
        turns.hurry("p1")
        turns.hurry("nobody")
    for thread in threads:
        thread.join()
    assert order == ["h0", "h1", "h2", "h3", "p0", "h4", "h5", "p1", "p2"]


def test_a_turn_ends_with_an_error_too():
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn("one"):
        1 / 0  # noqa: B018
    with turns.turn("other"):
        assert turns.waiting == 0


# --- the outbox


def test_the_latest_counts_and_every_answer_does():
    outbox = Outbox()
    outbox.show("row", loss=1)
    outbox.answer("error", message="a")
    outbox.show("row", loss=2)
    outbox.answer("error", message="b")
    assert outbox.pending("row") == {"type": "row", "loss": 2}
    assert outbox.take() == [
        {"type": "row", "loss": 2},
        {"type": "error", "message": "a"},
        {"type": "error", "message": "b"},
    ]
    assert outbox.take() == []
    assert outbox.pending("row") is None


def test_with_a_new_network_nothing_counts_that_was_shown_of_the_old_one():
    outbox = Outbox()
    outbox.show("curve", of="old")
    outbox.answer("saved")
    outbox.begin("network", of="new")
    outbox.show("curve", of="new")
    assert [(told["type"], told.get("of")) for told in outbox.take()] == [
        ("saved", None),
        ("network", "new"),
        ("curve", "new"),
    ]


def test_answers_that_nobody_takes_are_bounded():
    outbox = Outbox()
    for number in range(MOST_ANSWERS + 5):
        outbox.answer("error", message=number)
    taken = outbox.take()
    assert [len(taken), taken[0]["message"]] == [MOST_ANSWERS, 5]


def test_whoever_is_attached_is_woken():
    outbox, woken = Outbox(), []
    outbox.attach(wake := lambda: woken.append(1))
    outbox.show("row")
    outbox.answer("error")
    assert len(woken) == 3  # once for being attached, since something may be there already
    outbox.attach(other := lambda: None)
    outbox.detach(wake)  # which is no longer attached
    assert outbox.is_attached(other) and not outbox.is_attached(wake)
    outbox.show("row")
    outbox.detach(other)
    outbox.show("row")
    assert len(woken) == 3


# --- views


def test_a_view_is_looked_at_when_it_has_changed_and_time_allows():
    now = [0.0]
    views = Views(lambda: now[0])
    views.watched = frozenset({"row", "accuracy"})
    shown = {"row": 1, "accuracy": 1}
    assert views.next(shown.get, at_rest=False) == "row"
    views.looked("row", 1, cost=0.003, busy=True)
    assert views.next(shown.get, at_rest=False) == "accuracy"
    views.looked("accuracy", 1, cost=0.003, busy=True)
    assert views.next(shown.get, at_rest=True) is None
    shown["row"] = 2
    assert views.next(shown.get, at_rest=False) is None
    assert views.next(shown.get, at_rest=True) == "row"
    now[0] = 0.38  # 3 ms at a share of 0.8 % are due after 375 ms
    assert views.next(shown.get, at_rest=False) == "row"
    views.forget("accuracy")
    views.looked("row", 2, cost=0.0, busy=True)
    assert views.next(shown.get, at_rest=False) == "accuracy"


def test_what_is_not_watched_is_not_looked_at():
    assert Views().next(lambda name: 1, at_rest=True) is None


@pytest.mark.parametrize(
    ("cost", "again", "due"),
    # The first look also loads what is looked with; whatever the others cost, what is shown is never long past.
    [(5.0, False, 0.05), (0.0, True, 0.05), (0.004, True, 0.5), (5.0, True, 1.0)],
)
def test_a_view_is_looked_at_again_within_a_second(cost, again, due):
    now = [0.0]
    views = Views(lambda: now[0])
    views.watched = frozenset({"row"})
    for iteration in range(1 + again):
        views.looked("row", iteration, cost, busy=True)
    for now[0], name in ((0.99 * due, None), (1.01 * due, "row")):
        assert views.next(lambda _: -1, at_rest=False) == name
