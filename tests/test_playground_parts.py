import json
import re
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta

from myrnn import registry
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import classes_of
from myrnn.optimizers import SGD
from myrnn.playground.keep import script
from myrnn.playground.messages import LONGEST_MESSAGE, MESSAGES, MOST_ANSWERS, Outbox, as_json, parse
from myrnn.playground.network import MeanCurve, Network
from myrnn.playground.settings import checked_settings, controls, defaults, offered_settings, sections_of
from myrnn.playground.views import Views
from myrnn.registry import register
from myrnn.tasks import TwinHalves
from names import CELLS
from playground_help import SMALL


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def test_classes_without_names_are_numbered():
    assert classes_of(SimpleNamespace(dim_output=2)) == ("class 0", "class 1")
    assert classes_of(TwinHalves()) == ("no match", "match")


# --- the curve


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 3)), max_size=200),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_a_curve_contains_the_same_means_in_any_portions(iterations, portions):
    losses, right = np.array([loss for loss, _ in iterations]), np.array([hits / 3 for _, hits in iterations])
    curve, begin = MeanCurve(most=8), 0
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
    curve = MeanCurve(most=4)
    curve.add(np.ones(4), np.ones(4))
    assert curve.width == 1
    curve.add([2.0], [0])
    assert curve.width == 2
    assert curve.since(2) == ([2.0], [0.0])
    curve.add(np.ones(100), np.ones(100))
    assert curve.width == 32


# --- messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is not a message of the page: Input data was truncated"),
        ("NaN", "this is not a message of the page: JSON is malformed: invalid character (byte 0)"),
        ("[1]", "this is not a message of the page: Expected `object`, got `array`"),
        ('{"kind": "play"}', "this is not a message of the page: Object missing required field `type`"),
        ('{"type": "plai"}', "this is not a message of the page: Invalid value 'plai' - at `$.type`"),
        ('{"type": "play", "speed": 1}', "this is not a message of the page: Object contains unknown field `speed`"),
        ('{"type": "speed"}', "this is not a message of the page: Object missing required field `speed`"),
        ('{"type": "speed", "speed": 1e999}', "this is not a message of the page: Number out of range - at `$.speed`"),
        ('{"type": "speed", "speed": -1}', "this is not a message of the page: Expected `float` >= 0.0 - at `$.speed`"),
        ('{"type": "tokens", "tokens": [1, 36]}', "this is not a message of the page: Expected `int` <= 35 - at"),
        (" " * 16_385, f"a message must have at most {LONGEST_MESSAGE:,} characters, not 16,385"),
    ],
)
def test_an_invalid_message_is_refused(text, message):
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("before", ["", '{"type": ', '{"type": "speed", "speed": ', '{"type": "tokens", "tokens": '])
def test_a_message_of_any_depth_is_refused(before):
    after = "}" if before else ""
    for depth in [*range(1, 1100, 7), 8000]:
        with pytest.raises(InvalidArgument):
            parse(before + "[" * depth + "]" * depth + after)


def test_a_message_is_decoded_as_its_kind():
    message = parse('{"type": "tokens", "tokens": [1, 2]}')
    assert (type(message), message.tokens) == (MESSAGES["tokens"], [1, 2])
    assert parse('{"type": "play"}') == MESSAGES["play"]()


def test_nonfinite_numbers_are_null():
    assert json.loads(as_json({"loss": [1.5, float("nan"), -float("inf")]})) == {"loss": [1.5, None, None]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(sorted(MESSAGES)), st.dictionaries(st.text(max_size=8), json_values, max_size=3))
@example("configure", {"\n": None})
def test_any_object_is_a_message_or_is_refused(kind, fields):
    try:
        message = parse(json.dumps({**fields, "type": kind}))
    except InvalidArgument as error:
        assert "\n" not in str(error)
    else:
        assert type(message) is MESSAGES[kind]


# --- settings


def test_all_offered_values_are_within_bounds():
    for name, control in controls().items():
        assert control.offered and control.setting.label and control.setting.help
        for value in (control.setting.default, *(value for value, _ in control.offered)):
            assert checked_settings({"pattern_length_max": 20, name: value})[name] == value


def test_the_page_starts_with_the_defaults_of_the_library():
    model = {"name": "rnn", "activation": "relu", "dim_recurrent": 50}
    task = {"name": "twin-halves", "pattern_length_min": 1, "pattern_length_max": 10, "alphabet_size": 10}
    assert sections_of(defaults()) == {
        "task": {**task, "negatives": "uniform"},
        "model": model,
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "training": {"batch_size": 1, "seed": 0, "gradient_clip": None},
    }


def test_the_choices_include_a_user_defined_class():
    def cells(own):
        (offered,) = (s["offered"] for s in offered_settings(own) if s["name"] == "cell")
        return offered

    assert cells("Mine") == [*cells(None), ["own", "Mine"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"pattern_length_min": 5, "pattern_length_max": 3},
            "pattern_length_min must not exceed pattern_length_max, but they are 5 and 3",
        ),
        ({"dim_recurrent": 10**9}, "dim_recurrent must be at most 256, not 1000000000"),
        ({"dim_recurrent": 2.5}, "dim_recurrent must be an integer, not 2.5"),
        ({"learning_rate": None}, "learning_rate must be a number, not None"),
        ({"gradient_clip": 0}, "gradient_clip must be above 0, not 0.0"),
        (
            {"task": "twin-halve"},
            "task must be one of 'twin-halves', 'palindromes', 'running-parity', 'copy-after-pause', "
            "'next-character', 'modular-arithmetic', 'associative-recall', 'induction', "
            "'data', not 'twin-halve'; did you mean",
        ),
        ({"cell": 1}, "cell must be one of 'rnn-relu', 'rnn-tanh'" + CELLS.removeprefix("'rnn'") + ", 'own', not 1"),
        ({"momentum": 0.5}, "settings has no setting 'momentum', only 'task', "),
    ],
)
def test_settings_out_of_bounds_are_refused(given, message):
    with pytest.raises(InvalidArgument) as caught:
        checked_settings(given)
    assert str(caught.value).startswith(message)


class Ends:
    """A task of another package."""

    dim_input, dim_output, class_names = 10, 2, ("no match", "match")

    def __init__(
        self,
        half: Annotated[int, Meta(ge=1, le=9, title="Half", description="How long a half is.")] = 4,
        parity: Annotated[Literal["even", "odd"], Meta(description="Has no label.")] = "even",
    ):
        self.half, halves = half, TwinHalves(half, half)
        self.lengths, self.sample, self.truth = halves.lengths, halves.sample, halves.truth
        self.sample_lengths = halves.sample_lengths


class Kind(SGD):
    """An optimizer of another package with a setting that has the same name as one of the task."""

    def __init__(
        self,
        params,
        learning_rate: Annotated[float, Meta(ge=0, title="Learning rate")] = 0.25,
        half: Annotated[bool, Meta(title="Halve")] = False,
    ):
        super().__init__(params, learning_rate=learning_rate / (1 + half))


@pytest.fixture
def registered(monkeypatch):
    """Register the parts of another package."""
    monkeypatch.setattr(registry, "_KINDS", {part: dict(registry.kinds(part)) for part in registry._KINDS})
    register("task", "ends")(Ends)
    register("optimizer", "kind")(Kind)
    register("model", "wide-gru", dim_recurrent=9)(registry.find("model", "gru").make)


def test_registered_parts_are_on_the_page_with_their_labelled_settings(registered):
    offered = {one["name"]: one for one in offered_settings(None)}
    assert ["ends", "ends"] in offered["task"]["offered"]
    assert ["wide-gru", "wide-gru"] in offered["cell"]["offered"]
    assert ["kind", "kind"] in offered["optimizer"]["offered"]
    assert offered["half"] == {
        "name": "half",
        "group": "What to learn",
        "label": "Half",
        "hint": "How long a half is.",
        "offered": [[2, "2"], [4, "4"], [8, "8"]],
        "of": ["task", ("ends",)],
    }
    # A name that a setting of another part already has.
    assert offered["optimizer_half"]["offered"] == [[False, "no"], [True, "yes"]]
    assert offered["pattern_length_max"]["of"] == ["task", ("twin-halves", "palindromes")]
    assert "parity" not in offered
    with refused("half must be at most 9, not 10"):
        checked_settings({"half": 10})


def test_a_network_of_registered_parts_is_trained(registered):
    chosen = {"task": "ends", "half": 2, "cell": "wide-gru", "optimizer": "kind", "optimizer_half": True}
    settings = checked_settings({**SMALL, **chosen, "learning_rate": 0.5})
    network = Network(settings)
    network.advance(0.0, 3)
    assert (type(network.task), network.task.half, network.optimizer.learning_rate) == (Ends, 2, 0.25)
    assert network.model.parameters[-2].shape == (8, 2)
    made = "registry.make('optimizer', 'kind', params=model.parameters, learning_rate=0.5, half=True)"
    assert made in script(network)


# --- the outbox


def test_only_the_latest_status_but_every_answer_is_sent():
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


def test_a_new_network_discards_messages_about_the_old_one():
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


def test_answers_that_nobody_reads_are_bounded():
    outbox = Outbox()
    for number in range(MOST_ANSWERS + 5):
        outbox.answer("error", message=number)
    taken = outbox.take()
    assert [len(taken), taken[0]["message"]] == [MOST_ANSWERS, 5]


def test_a_waiting_listener_is_woken():
    outbox, woken = Outbox(), []
    outbox.show("row")
    outbox.wake = lambda: woken.append(1)
    outbox.show("row")
    outbox.answer("error")
    assert len(woken) == 2


# --- views


def test_a_view_is_updated_when_it_has_changed_and_time_allows():
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


def test_views_that_are_not_watched_are_not_updated():
    assert Views().next(lambda name: 1, at_rest=True) is None


@pytest.mark.parametrize(
    ("cost", "again", "due"),
    # The first update also loads code; however long the others take, the view is never much out of date.
    [(5.0, False, 0.05), (0.0, True, 0.05), (0.004, True, 0.5), (5.0, True, 1.0)],
)
def test_a_view_is_updated_within_a_second(cost, again, due):
    now = [0.0]
    views = Views(lambda: now[0])
    views.watched = frozenset({"row"})
    for iteration in range(1 + again):
        views.looked("row", iteration, cost, busy=True)
    for now[0], name in ((0.99 * due, None), (1.01 * due, "row")):
        assert views.next(lambda _: -1, at_rest=False) == name
