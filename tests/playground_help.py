"""Shared by the tests of the playground: a small network, and a page that listens."""

import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from types import SimpleNamespace

from anyio.from_thread import start_blocking_portal

from myrnn.playground.messages import parse
from myrnn.playground.session import Session, Shared
from myrnn.playground.settings import defaults

# Compiled once for all of them.
SMALL = {**defaults(), "pattern_length_max": 3, "dim_recurrent": 8, "learning_rate": 0.01}
# Cannot be compiled, because it jumps among the rows: it is trained op by op.
JUMPING = """
import numpy as np
from mygrad import tanh
from myrnn import dense


class Jumping:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2y.weight.shape[0]), dtype=np.float32)
        for t in range(len(x)):
            h = tanh(self.fc_x2h(x[t * t % len(x)][np.newaxis]) + np.float32(0.5) * h)
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2y.parameters
"""
# Can be compiled.
RECURRENT = """
import numpy as np
from mygrad import tanh
from myrnn import dense


class Recurrent:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters
"""
WAIT = 120  # timeout in seconds
# The event loop in which the sessions run, and what they share.
LOOP = SimpleNamespace(portal=None, shared=None)


@contextmanager
def loop():
    """Run sessions inside the block."""
    with start_blocking_portal() as LOOP.portal:
        LOOP.shared = Shared()
        yield


@contextmanager
def turn():
    """Take a turn with MyGrad, which runs one model at a time, to use the library next to a session."""
    me = object()
    LOOP.portal.call(LOOP.shared.turns.acquire_on_behalf_of, me)
    try:
        yield
    finally:
        LOOP.portal.call(LOOP.shared.turns.release_on_behalf_of, me)


def wait_for_waiting():
    """Wait until somebody waits for a turn."""
    wait_until(lambda: LOOP.portal.call(LOOP.shared.turns.statistics).tasks_waiting, "nobody waits for a turn")


def wait_until(condition, message):
    """Wait until the condition holds, or fail with the message."""
    latest = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < latest, message
        time.sleep(0.001)


class Listener:
    """A session, and its messages to a page."""

    def __init__(self, settings=SMALL, tokens=(1, 2, 1, 2), own=None):
        self.session = LOOP.portal.call(Session, dict(settings), list(tokens), LOOP.shared, own)
        self.last, self.all = {}, []
        self._waiting = deque()
        self._ready, self._ended = threading.Event(), threading.Event()
        self.session.outbox.wake = self._ready.set
        self._running = LOOP.portal.start_task_soon(self._run)

    async def _run(self):
        try:
            await self.session.run()
        finally:
            self._ended.set()

    def close(self):
        """End the session."""
        self._running.cancel()
        assert self._ended.wait(WAIT)

    def send(self, kind, /, **fields):
        """Send a message like the page."""
        LOOP.portal.call(self.session.submit, parse(json.dumps({"type": kind, **fields})))

    def until(self, condition, message="nothing came"):
        """Wait for a message for which the condition holds, and return it."""
        latest = time.monotonic() + WAIT
        while time.monotonic() < latest:
            self._waiting += self.session.outbox.take()
            while self._waiting:
                told = self._waiting.popleft()
                self.all.append(told)
                self.last[told["type"]] = told
                if condition(told):
                    return told
            self._ready.wait(WAIT)
            self._ready.clear()
        raise AssertionError(f"{message}; there were {[told['type'] for told in self.all][-100:]}")

    def next(self, kind):
        return self.until(lambda told: told["type"] == kind, f"no {kind} came")

    def ask(self, kind, answer, /, **fields):
        self.send(kind, **fields)
        return self.next(answer)

    def step(self, done):
        """Do one iteration after the given number, and return its status; an earlier status may still arrive."""
        self.send("step")
        return self.status(lambda told: told.get("iteration") == done + 1)

    def settled(self, condition):
        """Return the status as soon as the condition holds; it may hold already."""
        told = self.last.get("status")
        return told if told and condition(told) else self.status(condition)

    def status(self, condition):
        return self.until(lambda told: told["type"] == "status" and condition(told), "no such status came")


@contextmanager
def open_session(settings=SMALL, tokens=(1, 2, 1, 2), own=None):
    """Open a session that is ready."""
    listener = Listener(settings, tokens, own)
    try:
        listener.status(lambda told: "iteration" in told and "busy" not in told)
        yield listener
    finally:
        listener.close()
