"""Whatever a page sends, in any order, is answered, and the session continues."""

import contextlib
import json
import math
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from starlette.testclient import TestClient

from myrnn.playground import app, views
from myrnn.playground.app import make_app
from myrnn.playground.bench import Bench
from myrnn.playground.messages import LONGEST_MESSAGE, MESSAGES, VIEWS
from myrnn.playground.session import MOST_WAITING, Sessions
from playground_help import SMALL, WAIT

BASE = "http://127.0.0.1:8400"
HEADERS = {"origin": BASE, "host": "127.0.0.1:8400"}
HELLO = {"type": "hello", "session": None, "page": "page", "settings": SMALL, "tokens": [1, 2, 1, 2]}

# Most of these are wrong, each in a different way.
numbers = st.integers() | st.floats() | st.integers(-1, 100) | st.just(10**400) | st.just(-0.0)
words = st.text(max_size=30) | st.sampled_from(["__class__", "../../etc/passwd", "a" * 300, "\ud800", "match", "svg"])
values = st.recursive(
    numbers | words | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def wrong_messages(draw):
    """A message of a known kind with any fields, sometimes truncated, doubled or wrapped."""
    kind = draw(st.sampled_from(list(MESSAGES)) | words | values)
    known = MESSAGES[kind].__struct_fields__ if isinstance(kind, str) and kind in MESSAGES else ()
    fields = {name: draw(values) for name in known}
    # Nothing that takes long if it is valid by chance, and not the request that `quiet` sends.
    if kind in ("configure", "figure", "save", "load", "pin", "reset", "shortcuts", "unit"):
        fields["more"] = draw(values)
    text = json.dumps({**fields, "type": kind})
    return draw(st.sampled_from([text, text[:-1], text * 2, f"[{text}]", f" {text}\n"]))


garbage = st.text(max_size=60) | st.sampled_from(
    [
        "",
        "null",
        "[" * 10_000,
        "[" * 900 + "]" * 900,
        '{"type":' * 2000,
        '{"type": "speed", "speed": NaN}',
        '{"type": "speed", "speed": -Infinity}',
        '{"type": "speed", "speed": 1e999}',
        '{"type": "speed", "speed": ' + "9" * 5000 + "}",
        '{"type": "tokens", "tokens": [' + "1," * 200 + "1]}",
        '{"type": "load", "run": "../../.."}',
        json.dumps(HELLO),
        "x" * (LONGEST_MESSAGE + 1),
        "é" * LONGEST_MESSAGE,
    ]
)


class Page:
    """A connection, and the messages received over it."""

    def __init__(self, socket):
        self.socket, self.last, self.asked = socket, {}, 0

    def hello(self, **changed):
        self.socket.send_text(json.dumps({**HELLO, **changed}))
        return self.next("welcome")

    def send(self, kind, **fields):
        self.socket.send_text(json.dumps({"type": kind, **fields}))

    def next(self, kind, holds=lambda told: True):
        while True:
            told = self.socket.receive_json()
            assert told["type"] != "full", told["message"]
            self.last[told["type"]] = told
            if told["type"] == kind and holds(told):
                return told

    def quiet(self):
        """Wait until all sent messages have been handled, and return the status."""
        self.asked = (self.asked + 1) % 256
        self.send("unit", unit=self.asked)
        self.next("unit", lambda told: told["unit"] == self.asked)
        return self.last["status"]


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "PACKET", 0.0)
    # A session waits for its page to reconnect, so there are as many sessions as examples.
    sessions = Sessions(most=10_000)
    cookies = {"myrnn-playground-8400": "secret"}
    with TestClient(make_app(sessions, "secret"), base_url=BASE, cookies=cookies) as client:
        yield client


@pytest.mark.long
def test_the_server_still_answers_after_any_actions_and_garbage(server):
    class Visit(RuleBasedStateMachine):
        """One tab: its actions, and the iteration of its network."""

        @initialize()
        def come(self):
            self.stack = contextlib.ExitStack()
            self.connect(None)
            self.settings, self.iteration = SMALL, 0

        def connect(self, session):
            self.page = Page(self.stack.enter_context(server.websocket_connect("/session", headers=HEADERS)))
            self.session = self.page.hello(session=session)["session"]
            self.page.next("network")

        @rule(text=garbage | wrong_messages())
        def send_garbage(self, text):
            self.page.socket.send_text(text)
            self.after_garbage()

        @rule(content=st.binary(max_size=100))
        def send_bytes(self, content):
            self.page.socket.send_bytes(content)
            self.after_garbage()

        def after_garbage(self):
            # Some of it may have been a valid action by chance.
            self.page.send("pause")
            self.iteration = self.page.quiet()["iteration"]

        @rule()
        def step(self):
            self.page.send("step")
            told = self.page.next("status", lambda told: told["iteration"] == self.iteration + 1)
            assert not told["playing"]
            self.iteration += 1

        @rule(speed=st.sampled_from([0, 3.0, 1e6]))
        def play(self, speed):
            self.page.send("speed", speed=speed)
            self.page.send("play")
            self.page.next("status", lambda told: told["playing"] and told["iteration"] > self.iteration)
            self.page.send("pause")
            told = self.page.quiet()
            assert not told["playing"]
            self.iteration = told["iteration"]

        @rule(seed=st.integers(0, 3), batch_size=st.sampled_from([1, 4]))
        def configure(self, seed, batch_size):
            settings = {**SMALL, "seed": seed, "batch_size": batch_size}
            self.page.send("configure", settings=settings, anew=False)
            kept = seed == self.settings["seed"]
            self.settings = settings
            assert self.page.next("adjusted" if kept else "network")["settings"] == settings
            iteration = self.page.quiet()["iteration"]
            assert iteration == (self.iteration if kept else 0)
            self.iteration = iteration

        @rule(tokens=st.lists(st.integers(0, 9), min_size=1, max_size=80), views=st.sets(st.sampled_from(VIEWS)))
        def look(self, tokens, views):
            self.page.send("watch", views=["row", *sorted(views - {"row"})])
            self.page.send("tokens", tokens=tokens)
            assert len(self.page.next("row", lambda told: told["tokens"] == tokens)["likely"]) == len(tokens)

        @precondition(lambda self: self.iteration)
        @rule()
        def save_and_load(self):
            self.page.send("save")
            saved = self.page.next("saved")
            self.page.send("load", run=saved["runs"][0])
            assert self.page.next("network")["past"]["iteration"][-1] >= self.iteration
            self.page.send("configure", settings=self.settings, anew=True)
            self.page.next("network", lambda told: "past" not in told)
            self.iteration = self.page.quiet()["iteration"]

        @rule()
        def lose_the_connection(self):
            self.stack.close()
            self.connect(self.session)
            assert self.page.last["network"]["settings"] == self.settings
            assert self.page.quiet()["iteration"] == self.iteration

        @rule()
        def look_beside(self):
            with server.websocket_connect("/session", headers=HEADERS) as socket:
                assert Page(socket).hello(page="copy", session=self.session)["session"] != self.session

        def teardown(self):
            if hasattr(self, "page"):
                self.page.quiet()
                self.stack.close()
            assert server.get("/").status_code == 200

    Visit.TestCase.settings = settings(
        max_examples=settings().max_examples // 4, stateful_step_count=12, suppress_health_check=list(HealthCheck)
    )
    Visit.TestCase("runTest").runTest()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=garbage | wrong_messages())
def test_before_hello_everything_else_is_an_error(server, text):
    with server.websocket_connect("/session", headers=HEADERS) as socket:
        page = Page(socket)
        if text != json.dumps(HELLO):
            socket.send_text(text)
            assert page.next("error")["fatal"] is True
        page.hello()


def test_some_of_too_many_messages_are_refused_and_the_page_continues(server, monkeypatch):
    begin, refused = Bench.begin, threading.Event()
    # While it compiles, it handles no messages; here it compiles until a message was refused.
    monkeypatch.setattr(Bench, "begin", lambda *given: (refused.wait(WAIT), begin(*given)))
    with server.websocket_connect("/session", headers=HEADERS) as socket:
        page = Page(socket)
        page.hello()
        for _ in range(MOST_WAITING + 1):
            page.send("state", name="h")
        assert page.next("error")["message"] == f"{MOST_WAITING} messages are waiting already: give it a moment"
        refused.set()
        page.next("status", lambda told: "iteration" in told and "busy" not in told)
        page.quiet()


def test_a_network_whose_numbers_overflow_is_valid_json(server, monkeypatch):
    monkeypatch.setattr(views, "gradient", lambda network: {"mean": [1.0, math.nan], "low": [-math.inf], "of": "h"})
    with server.websocket_connect("/session", headers=HEADERS) as socket:
        page = Page(socket)
        page.hello()
        page.send("watch", views=["gradient"])
        told = page.next("gradient")
        assert (told["mean"], told["low"], told["of"]) == ([1.0, None], [None], "h")
        page.quiet()
