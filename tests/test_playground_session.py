import contextlib
import gc
import re
import threading
import weakref

import pytest
from anyio import CancelScope, sleep
from numba.core.event import install_recorder

from marks import the_rest_is_long
from myrnn import inspect
from myrnn.compiler import cache
from myrnn.errors import InvalidArgument
from myrnn.models.own import load_own
from myrnn.optimizers import RMSprop
from myrnn.playground import bench as bench_module
from myrnn.playground import session as session_module
from myrnn.playground import views
from myrnn.playground.messages import Outbox
from myrnn.playground.network import Network
from myrnn.playground.session import MOST_WAITING, Full, Sessions
from myrnn.runs import save_run
from playground_help import (
    JUMPING,
    LOOP,
    RECURRENT,
    SMALL,
    WAIT,
    Listener,
    loop,
    open_session,
    turn,
    wait_for_waiting,
    wait_until,
)

VIEWS = ["row", "accuracy", "gradient", "eigenvalues", "mistakes"]


def advanced(iterations):
    """The network of a session after a number of iterations."""
    with turn():
        network = Network(SMALL)
        if iterations:
            network.advance(0.0, iterations)
    return network


def seen_by(network, digits, truth):
    with turn():
        return inspect(network.model, digits, truth)


FAILS = (
    "Failing(10, {0}, 2) fails: ValueError: no luck with {0}, in failing.py:3: "
    "raise ValueError(f'no luck with {{sizes[1]}}')"
)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no luck, in /srv/class/mine.py:3: 1 / 0", "no luck, in mine.py:3: 1 / 0"),
        ("[Errno 2] No such file: '/srv/class/words.txt'", "[Errno 2] No such file: 'words.txt'"),
        ('File "/srv/my class/mine.py", line 3', 'File "my class/mine.py", line 3'),
        (r"no luck, in C:\Users\me\mine.py:3", "no luck, in mine.py:3"),
        (r"no luck, in \\server\class\mine.py:3", "no luck, in mine.py:3"),
        ("h / 2 / k, runs/one/model, a/b/c and http://127.0.0.1:8400/x/y stay",) * 2,
    ],
)
def test_paths_on_the_server_are_not_revealed(said, told):
    assert bench_module.reason(InvalidArgument(said)) == told


@pytest.fixture(scope="module", autouse=True)
def sessions_run():
    with loop():
        yield


@pytest.fixture(scope="module")
def page(sessions_run):
    """A session for all tests that do not change the settings."""
    with open_session() as listener:
        yield listener


@pytest.fixture
def fresh(page):
    page.ask("reset", "network")
    page.status(rests_untrained)
    return page


def rests_untrained(told):
    """Whether a status is the last one about a new network before any request."""
    return told.get("iteration") == 0 and "busy" not in told


# --- training


def test_one_iteration_is_reported_with_its_sequence(fresh):
    told = fresh.step(0)
    network = advanced(1)
    tokens = network.recorded.last_of(0).tolist()
    assert not told["playing"]
    assert told["last"]["tokens"] == tokens
    assert told["last"]["loss"] == network.last_loss
    assert fresh.last["curve"]["loss"] == [network.last_loss]


def test_a_training_plays_until_it_is_paused(fresh):
    fresh.send("speed", speed=0.0)
    fresh.send("play")
    assert fresh.status(lambda told: told["playing"] and told["iteration"] > 2000)
    told = fresh.ask("pause", "status")
    while told["playing"]:
        told = fresh.next("status")
    done = told["iteration"]
    assert fresh.step(done)


def test_a_slow_training_reports_every_sequence(fresh):
    fresh.send("speed", speed=20.0)
    fresh.send("play")
    network = advanced(40)
    for _ in range(3):
        told = fresh.status(lambda told: told.get("iteration", 0) > 0)
        # A page that is slower than the training sees only some of them.
        tokens = network.recorded.last_of(told["iteration"] - 1).tolist()
        assert told["last"]["tokens"] == tokens
    fresh.send("pause")


def test_the_curve_is_sent_in_consecutive_pieces(fresh):
    pieces = []
    for _ in range(5):
        fresh.send("step")
        pieces.append(fresh.next("curve"))
    losses = []
    for piece in pieces:
        losses[piece["first"] :] = piece["loss"]
    assert losses == pytest.approx(advanced(5).curve.since(0)[0])


def test_other_settings_make_another_network(page):
    told = page.ask("configure", "network", settings={**SMALL, "seed": 3}, anew=False)
    assert told["settings"]["seed"] == 3
    page.ask("configure", "network", settings=SMALL, anew=True)


CONFIGURE = ("configure", {"settings": SMALL, "anew": False})


@pytest.mark.parametrize(
    "first", [pytest.param(("pause", {}), id="pause"), pytest.param(CONFIGURE, id="configure", marks=pytest.mark.long)]
)
def test_only_the_last_of_waiting_settings_become_a_network(first):
    with open_session() as page:
        with turn():
            page.send(first[0], **first[1])
            wait_for_waiting()
            choose_five(page)
        assert page.next("network")["settings"]["seed"] == 5


@pytest.mark.long
def test_only_the_last_settings_become_a_network_while_a_training_waits_for_its_turn():
    with open_session() as page:
        page.send("play")
        page.status(lambda told: told["playing"])
        with turn():
            wait_for_waiting()
            choose_five(page)
        assert page.next("network")["settings"]["seed"] == 5


def test_only_the_last_of_waiting_sequences_is_shown(monkeypatch):
    row, looked = views.row, []
    with open_session() as page:
        page.send("watch", views=["row"])
        page.next("row")
        monkeypatch.setattr(
            views, "row", lambda network, tokens, *of: looked.append(tokens) or row(network, tokens, *of)
        )
        with turn():
            page.send("pause")
            wait_for_waiting()
            for length in range(1, 6):
                page.send("tokens", tokens=[1] * length)
        page.until(lambda told: told["type"] == "row" and told["tokens"] == [1] * 5)
    assert looked == [[1] * 5]


def choose_five(page):
    """Choose five seeds, one after the other."""
    for seed in range(1, 6):
        page.send("configure", settings={**SMALL, "seed": seed}, anew=False)


ADJUSTED = {"learning_rate": 0.003, "gradient_clip": 1.0, "batch_size": 4}


def test_another_rate_clipping_or_batch_keeps_the_weights_and_continues_playing(fresh):
    fresh.send("speed", speed=0.0)
    fresh.send("play")
    for name, value in ADJUSTED.items():
        done = fresh.status(lambda told: told["playing"] and told["iteration"])["iteration"]
        seen = len(fresh.all)
        settings = {**SMALL, name: value}
        assert fresh.ask("configure", "adjusted", settings=settings, anew=False)["settings"] == settings
        told = fresh.status(lambda told, done=done: told.get("iteration", 0) > done)
        assert told["playing"]
        assert not any(told["type"] == "network" for told in fresh.all[seen:])
    fresh.send("pause")


def test_the_same_settings_keep_the_network_unless_a_new_one_is_requested(fresh):
    fresh.step(0)
    fresh.ask("configure", "adjusted", settings=SMALL, anew=False)
    assert fresh.step(1)
    fresh.ask("configure", "network", settings={**SMALL, "batch_size": 4}, anew=True)
    assert fresh.status(lambda told: told.get("iteration") == 0)
    fresh.ask("configure", "network", settings=SMALL, anew=True)


def test_a_requested_new_network_is_created_even_if_settings_follow_at_once(fresh):
    fresh.step(0)
    with turn():
        fresh.send("pause")
        wait_for_waiting()
        fresh.send("configure", settings=SMALL, anew=True)
        fresh.send("configure", settings={**SMALL, "learning_rate": 0.1}, anew=False)
    assert fresh.next("network")["settings"]["learning_rate"] == 0.1
    fresh.ask("configure", "network", settings=SMALL, anew=True)


@pytest.mark.parametrize(
    ("speed", "seconds"),
    the_rest_is_long([(1.0, 10), (3.0, 10), (10.0, 5), (30.0, 3), (100.0, 2), (1000.0, 1)], (3.0, 10), (1000.0, 1)),
)
def test_training_runs_at_the_requested_speed(speed, seconds, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bench_module.time, "monotonic", lambda: now[0])
    bench = bench_module.Bench([1, 2], Outbox())
    with turn():
        bench.begin(lambda: Network(SMALL))
        bench.playing, bench.speed = True, speed
        while bench.due < seconds:
            now[0] = max(now[0], bench.due)
            bench.train(60.0)
    assert bench.now.iteration == pytest.approx(seconds * speed, rel=0.02, abs=1)


def test_settings_that_conflict_keep_the_network(page):
    page.ask("reset", "network")
    page.step(0)
    wrong = {**SMALL, "pattern_length_min": 5}
    told = page.ask("configure", "error", settings=wrong, anew=False)
    assert told["message"] == "pattern_length_min must not exceed pattern_length_max, but they are 5 and 3"
    assert page.step(1)


def test_a_training_ends_at_the_iteration_limit(fresh, monkeypatch):
    monkeypatch.setattr("myrnn.playground.network.MOST_ITERATIONS", 300)
    fresh.send("speed", speed=0.0)
    for act in ("play", "play", "step"):
        assert fresh.ask(act, "error")["message"] == "300 iterations are enough here: save it, and go on in Python"
        assert fresh.settled(lambda told: not told["playing"])["iteration"] == 300
    assert "iterations=300" in fresh.ask("script", "script")["text"]


def test_after_a_divergence_only_a_new_network_is_trained():
    diverging = {**SMALL, "dim_recurrent": 50, "optimizer": "sgd", "learning_rate": 10.0}
    with open_session(diverging) as page:
        page.send("watch", views=["accuracy"])
        assert "accuracy" in page.next("accuracy")
        assert re.fullmatch(
            r"the loss is nan at iteration \d+: choose a smaller learning rate, or clipping, and train again",
            page.ask("play", "error")["message"],
        )
        # Views show the current weights, however many iterations were counted.
        page.until(lambda told: told["type"] == "accuracy" and "not finite" in told.get("problem", ""))
        for act in ("play", "step", "script", "save"):
            assert page.ask(act, "error")["message"] == "this network has diverged: reset it, or load a run"
        page.ask("reset", "network")
        assert "accuracy" in page.next("accuracy")


# --- views


def test_watched_views_are_sent_once_at_rest(fresh):
    fresh.send("watch", views=VIEWS)
    seen = []
    enough = [400] * 6
    fresh.until(
        lambda told: (
            seen.append(told["type"]) or (set(VIEWS) <= set(seen) and fresh.last["accuracy"]["total"] == enough)
        )
    )
    fresh.ask("runs", "runs")
    fresh.ask("runs", "runs")
    assert fresh.session.outbox.take() == []
    assert [seen.count(view) for view in VIEWS if view != "accuracy"] == [1] * 4
    # Ten portions each, and the update that finds that these are enough.
    assert seen.count("accuracy") <= 11
    fresh.send("watch", views=[])


@pytest.mark.long
def test_programs_of_a_page_are_compiled_in_another_process_before_it_plays(tmp_path, monkeypatch):
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path))
    (tmp_path / "recurrent.py").write_text(RECURRENT.replace("tanh(", "0.5 + 0.3125 * tanh("))
    own = load_own(str(tmp_path / "recurrent.py:Recurrent"))
    with install_recorder("numba:compile") as compiled, open_session({**SMALL, "cell": "own"}, own=own) as page:
        page.send("watch", views=VIEWS)
        page.send("tokens", tokens=[1])
        page.send("speed", speed=0.0)
        page.send("play")
        waiting = set(VIEWS)
        while waiting:
            waiting.discard(page.until(lambda told: told["type"] in waiting and told["iteration"] > 100)["type"])
        # A training in batches uses another program.
        page.ask("configure", "adjusted", settings={**page.last["network"]["settings"], "batch_size": 4}, anew=False)
        done = page.settled(lambda told: "busy" not in told)["iteration"]
        page.status(lambda told: told["iteration"] > done + 100)
        assert page.ask("pin", "pinned")["gradient"]
    assert page.last["status"]["engine"] == "native"
    assert [event.data for _, event in compiled.buffer] == []


class Held:
    """A process that compiles until the test ends it."""

    def __init__(self):
        self.begun, self.ended, self.returncode, self.times = threading.Event(), threading.Event(), 0, 0

    def begin(self, programs):
        self.times += 1
        self.begun.set()
        return self

    def communicate(self):
        assert self.ended.wait(WAIT)
        return None, ""

    def kill(self):
        self.returncode = -9
        self.ended.set()


@pytest.fixture
def held(monkeypatch):
    process = Held()
    monkeypatch.setattr("myrnn.playground.session.begin_to_compile", process.begin)
    monkeypatch.setattr("myrnn.playground.session.is_known", lambda program: process.ended.is_set())
    return process


def test_other_networks_continue_while_one_is_compiled(page, held):
    page.send("speed", speed=0.0)
    page.ask("play", "status")
    waiting = Listener()
    try:
        assert held.begun.wait(WAIT)
        done = page.last["status"]["iteration"]
        page.status(lambda told: told["iteration"] > done + 2000)
        # The other page gets answers; only requests that run its network wait.
        waiting.send("step")
        waiting.send("tokens", tokens=[3, 4])
        assert waiting.ask("runs", "runs")
        assert waiting.last["status"]["busy"].startswith("Compiling this cell.")
        assert waiting.last["status"]["iteration"] == 0
        held.ended.set()
        assert waiting.status(lambda told: told["iteration"] == 1 and "busy" not in told)
    finally:
        held.ended.set()
        waiting.close()
        page.ask("pause", "status")


def test_a_network_that_is_pinned_while_it_is_compiled_is_the_one_that_is_compared(held):
    page = Listener()
    try:
        assert held.begun.wait(WAIT)
        page.send("pin")
        for seed in (4, 5):
            page.send("configure", settings={**SMALL, "seed": seed}, anew=False)
        page.ask("runs", "runs")
        held.ended.set()
        assert page.next("pinned")["network"]["settings"] == SMALL
        page.until(lambda told: told["type"] == "network" and told["settings"]["seed"] == 5)
    finally:
        held.ended.set()
        page.close()


def test_more_messages_than_can_wait_for_a_network_are_refused(held, monkeypatch):
    monkeypatch.setattr(session_module, "MOST_WAITING", 3)
    page = Listener()
    try:
        assert held.begun.wait(WAIT)
        for _ in range(2):
            page.send("step")
            page.ask("runs", "runs")
        page.send("step")
        with pytest.raises(InvalidArgument, match="are waiting already"):
            page.send("step")
        held.ended.set()
        assert page.status(lambda told: told["iteration"] == 3 and "busy" not in told)
    finally:
        held.ended.set()
        page.close()


def test_programs_of_a_closed_page_are_not_compiled(held, monkeypatch):
    monkeypatch.setattr(session_module, "is_known", lambda program: False)
    pages = [Listener() for _ in range(3)]
    try:
        for page in pages:
            page.ask("runs", "runs")
        pages.pop(1).close()
        held.ended.set()
        for page in pages:
            assert page.status(lambda told: "iteration" in told and "busy" not in told)
        assert held.times == 2
    finally:
        held.ended.set()
        for page in pages:
            page.close()


def test_a_session_that_ends_cancels_its_compilation(held):
    page = Listener()
    assert held.begun.wait(WAIT)
    page.close()
    assert held.returncode == -9


@pytest.mark.parametrize("fault", ["begin_to_compile", "programs"])
def test_a_network_is_trained_even_if_another_process_cannot_compile_it(monkeypatch, fault):
    def fails(*_):
        raise OSError("no processes left")

    monkeypatch.setattr(session_module, "is_known", lambda program: False)
    if fault == "programs":
        monkeypatch.setattr(Network, "programs", fails)
    else:
        monkeypatch.setattr(session_module, "begin_to_compile", fails)
    with open_session() as page:
        assert page.step(0)


class Ends(BaseException):
    """An exception that ends a program."""


def test_a_class_that_exits_only_ends_its_request(page, monkeypatch):
    def ends(*_):
        raise Ends("of the program")

    with monkeypatch.context() as patch:
        patch.setattr("myrnn.playground.views.recurrence", ends)
        assert page.ask("recurrence", "error")["message"] == "Ends: of the program"
        patch.setattr("myrnn.playground.views.tried_further", ends)
        assert page.ask("figure", "error", figure="accuracy", format="svg")["message"] == "Ends: of the program"
    assert page.ask("recurrence", "recurrence")


def test_another_sequence_is_shown_at_once(fresh):
    fresh.send("watch", views=["row"])
    fresh.send("tokens", tokens=[7, 8, 7, 8])
    told = fresh.until(lambda told: told["type"] == "row" and told["tokens"] == [7, 8, 7, 8])
    seen = seen_by(advanced(0), "7878", 1)
    assert told["loss"] == seen.loss
    assert [dict(likely)[1] for likely in told["likely"]] == seen.probabilities[:, 1].tolist()


@pytest.mark.parametrize("truth", [0, 1])
def test_a_sequence_of_the_requested_class_is_drawn(page, truth):
    page.send("watch", views=["row"])
    page.send("draw", label=truth, length=9)
    told = page.until(lambda told: told["type"] == "row" and len(told["tokens"]) == 8)
    assert told["answers"][-1] == truth
    page.send("tokens", tokens=[1, 2])
    page.until(lambda told: told["type"] == "row" and told["tokens"] == [1, 2])


def test_mistakes_of_another_family_are_searched(page):
    page.send("watch", views=["mistakes"])
    page.send("family", family="longer")
    told = page.until(lambda told: told["type"] == "mistakes" and told["family"] == "longer")
    assert all(len(mistake["tokens"]) > 6 for mistake in told["mistakes"])


@pytest.mark.parametrize(
    ("kind", "fields", "key"),
    [
        ("unit", {"unit": 2}, "incoming"),
        ("recurrence", {}, "equations"),
        ("shortcuts", {}, "names"),
        ("script", {}, "text"),
    ],
)
def test_a_question_is_answered(page, kind, fields, key):
    assert page.ask(kind, kind, **fields)[key]


def test_a_picture_is_drawn_on_request(page):
    told = page.ask("figure", "figure", figure="graph", format="svg")
    assert told["content"].startswith("<svg")
    told = page.ask("figure", "figure", figure="accuracy", format="svg")
    assert "<svg" in told["content"][:600]
    assert page.ask("figure", "error", figure="graph", format="png")["message"] == "the graph is an SVG: choose SVG"


# --- comparing and saving


def test_a_pinned_network_stays_while_another_is_trained(fresh):
    fresh.ask("step", "status")
    told = fresh.ask("pin", "pinned")
    assert (told["iteration"], told["network"]["settings"]) == (1, SMALL)
    assert told["accuracy"]["lengths"] == [2, 4, 6, 8, 10, 12]
    # The known status is that of the pinned network.
    fresh.status(rests_untrained)
    fresh.send("watch", views=["row"])
    fresh.send("tokens", tokens=[5, 6, 5, 6])
    row = fresh.until(lambda told: told["type"] == "row" and told["tokens"] == [5, 6, 5, 6])
    assert row["loss"] == seen_by(advanced(0), "5656", 1).loss
    assert row["pinned"]["loss"] == pytest.approx(seen_by(advanced(1), "5656", 1).loss)
    assert fresh.ask("unpin", "pinned")["network"] is None


def test_a_network_is_kept_while_others_replace_it(fresh):
    fresh.step(0)
    fresh.ask("pin", "pinned")
    fresh.status(rests_untrained)
    fresh.step(0)
    told = fresh.step(1)
    first = fresh.last["network"]["eigenvalues"]
    fresh.send("set_aside")
    assert fresh.ask("configure", "network", settings={**SMALL, "seed": 5}, anew=True)["aside"]
    assert fresh.ask("unpin", "pinned")["network"] is None
    # A waiting network is not replaced.
    fresh.send("set_aside")
    back = fresh.ask("take_back", "network")
    assert (back["settings"], back["aside"], back["eigenvalues"]) == (SMALL, False, first)
    assert fresh.next("pinned")["iteration"] == 1
    assert fresh.settled(lambda told: told.get("iteration") == 2)["last"] == told["last"]
    assert len(fresh.last["curve"]["loss"]) == 2
    fresh.send("take_back")
    assert fresh.step(2)
    fresh.ask("unpin", "pinned")


@pytest.mark.long
def test_a_run_is_saved_and_loaded(fresh, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fresh.send("step")
    saved = fresh.ask("save", "saved")
    assert [f"runs/{name}" for name in saved["runs"]] == [saved["folder"]]
    told = fresh.ask("load", "network", run=saved["runs"][0])
    assert told["settings"] == SMALL
    assert told["past"]["iteration"] == [1]
    assert fresh.settled(lambda told: told.get("before") == 1)
    assert (told["off"], told["is_loaded"]) == ({}, True)
    message = fresh.ask("load", "error", run="../other")["message"]
    assert message == "there is no such run any more: look at the list again"


@pytest.mark.long
def test_a_run_that_settings_cannot_reproduce_is_not_reset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = advanced(1)
    network.optimizer = RMSprop(network.model.parameters, learning_rate=0.01, alpha=0.5)
    with turn():
        folder = save_run(
            "runs/odd", task=network.task, model=network.model, optimizer=network.optimizer, history=network.history
        )
    why = "the settings on this page cannot repeat this run, which has alpha 0.5: to start it again, load it"
    with open_session() as page:
        assert page.ask("load", "network", run=folder.name)["off"] == {"reset": why, "link": why}
        assert page.ask("reset", "error")["message"] == why
        assert page.step(0)["before"] == 1


def test_a_model_that_cannot_be_compiled_is_trained_and_evaluated(tmp_path, monkeypatch):
    (tmp_path / "jumping.py").write_text(JUMPING)
    own = load_own(str(tmp_path / "jumping.py:Jumping"))
    monkeypatch.setattr(bench_module, "ENOUGH", 40)
    with open_session({**SMALL, "cell": "own"}, own=own) as page:
        assert page.last["status"]["engine"] == "mygrad"
        assert page.step(0)
        page.send("watch", views=["row", "accuracy"])
        assert page.next("row")["problem"].startswith("this model cannot be compiled, so it cannot be inspected:")
        assert page.next("accuracy")["total"] == [2] * 6
        assert "A compiled loop reads all rows" in page.ask("recurrence", "recurrence")["equations"]


# --- when things go wrong


def test_a_class_that_fails_in_a_view_is_reported_and_the_training_continues(tmp_path):
    failing = JUMPING.replace(
        "        h = np.z", "        if len(x) > 6:\n            raise IndexError('7 steps')\n        h = np.z"
    )
    (tmp_path / "failing.py").write_text(failing)
    with open_session({**SMALL, "cell": "own"}, own=load_own(str(tmp_path / "failing.py:Jumping"))) as page:
        page.send("watch", views=["accuracy"])
        seen = page.next("accuracy")
        assert (seen["problem"], seen["iteration"]) == ("IndexError: 7 steps", 0)
        page.send("play")
        page.status(lambda told: told["playing"] and told["iteration"] > 20)
        assert page.ask("pin", "error")["message"] == "IndexError: 7 steps"
        assert not any(told["type"] == "pinned" for told in page.all)


def test_the_reason_why_a_model_does_not_compile_has_no_folders(tmp_path):
    failing = JUMPING.replace(
        "        h = np.z", "        if len(x) > 2:\n            raise IndexError('3')\n        h = np.z"
    )
    (tmp_path / "failing.py").write_text(failing)
    with open_session({**SMALL, "cell": "own"}, own=load_own(str(tmp_path / "failing.py:Jumping"))) as page:
        assert "IndexError: 3, in failing.py:" in page.ask("recurrence", "recurrence")["equations"]
        assert str(tmp_path) not in str(page.all)


@pytest.fixture
def without_network(tmp_path):
    """A session without a network because the class fails, and the error."""
    (tmp_path / "failing.py").write_text(
        "class Failing:\n    def __init__(self, *sizes):\n        raise ValueError(f'no luck with {sizes[1]}')\n"
    )
    own = load_own(str(tmp_path / "failing.py:Failing"))
    page = Listener({**SMALL, "cell": "own"}, own=own)
    try:
        yield page, page.status(says_why)["busy"]
    finally:
        page.close()


def says_why(told):
    return told.get("busy", "").startswith("There is no network")


def test_a_missing_network_has_a_reason(without_network):
    page, why = without_network
    # The path of the file on the server is not revealed.
    assert why == f"There is no network with these settings: {FAILS.format(8)}"
    reason = why.removeprefix("There is no network with these settings: ")
    for act in ("step", "save", "script"):
        assert page.ask(act, "error")["message"] == reason
        assert page.settled(says_why)["busy"] == why
    page.send("configure", settings=SMALL, anew=False)
    assert "busy" not in page.status(lambda told: "iteration" in told and "busy" not in told)


def test_other_errors_are_not_the_reason_for_a_missing_network(without_network, tmp_path, monkeypatch):
    page, why = without_network
    monkeypatch.chdir(tmp_path)
    assert page.ask("load", "error", run="gone")["message"] == "there is no such run any more: look at the list again"
    assert page.ask("step", "status")["busy"] == why


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"cell": "own", "dim_recurrent": 9}, FAILS.format(9)),
        ({"pattern_length_min": 5}, "pattern_length_min must not exceed pattern_length_max, but they are 5 and 3"),
    ],
)
def test_other_settings_without_a_network_have_a_separate_reason(without_network, changed, reason):
    page, why = without_network
    page.send("configure", settings={**SMALL, **changed}, anew=False)
    told = page.status(lambda told: says_why(told) and told["busy"] != why)
    assert told["busy"] == f"There is no network with these settings: {reason}"
    assert not any(told["type"] == "error" for told in page.all)


def test_an_error_gives_a_message_and_the_session_continues(page, monkeypatch, caplog):
    monkeypatch.setattr("myrnn.playground.keep.listed_runs", lambda: 1 / 0)
    assert page.ask("runs", "error")["message"] == "ZeroDivisionError: division by zero"
    assert "the playground failed" in caplog.text
    monkeypatch.undo()
    assert page.ask("runs", "runs")


def test_too_many_messages_are_refused():
    with open_session() as page:
        with turn():
            page.send("pause")
            wait_for_waiting()
            for _ in range(MOST_WAITING - 1):
                page.send("pause")
            with refused(f"{MOST_WAITING} messages are waiting already: give it a moment"):
                page.send("pause")
        wait_until(lambda: not page.session._waiting, "the messages were not answered")
        assert page.ask("runs", "runs")


# --- all sessions


@pytest.fixture
def sessions(monkeypatch):
    """At most two sessions, each freed as soon as its page is closed."""
    monkeypatch.setattr(session_module, "PATIENCE", 0.0)
    sessions = Sessions(most=2)
    with LOOP.portal.wrap_async_context_manager(sessions.open()):
        yield sessions
    assert len(sessions) == 0


def attached(sessions, name, page):
    """The name of a page's session, that session, and the connection."""
    connection = LOOP.portal.call(CancelScope)
    return *LOOP.portal.call(sessions.attach, name, page, SMALL, [1, 2], connection), connection


def test_a_session_waits_for_its_page_and_is_freed_after_a_while(sessions, monkeypatch):
    monkeypatch.setattr(session_module, "PATIENCE", WAIT)
    name, session, connection = attached(sessions, None, "page")
    LOOP.portal.call(sessions.detach, name, connection)
    again, same, _ = attached(sessions, name, "reloaded")
    assert (again, same) == (name, session)
    other, second, connection = attached(sessions, name, "copy")
    assert other != name and second is not session
    with pytest.raises(Full, match=r"^2 pages are open already, and more would slow them all down: this one starts"):
        attached(sessions, None, "third")
    monkeypatch.setattr(session_module, "PATIENCE", 0.0)
    LOOP.portal.call(sessions.detach, other, connection)
    wait_until(lambda: len(sessions) == 1, "the session was not freed")
    assert attached(sessions, name, "reloaded")[:2] == (name, session)


def test_a_page_that_reconnects_takes_over_its_session(sessions):
    name, session, lost = attached(sessions, None, "page")
    # The server has not noticed yet that the first connection is lost.
    again, same, connection = attached(sessions, name, "page")
    assert (again, same) == (name, session)
    assert lost.cancel_called and not connection.cancel_called
    LOOP.portal.call(sessions.detach, name, lost)
    LOOP.portal.call(sleep, 0.01)
    assert len(sessions) == 1


@pytest.mark.long
def test_closed_sessions_free_their_memory_and_share_programs(monkeypatch):
    networks, put = [], bench_module.Bench._put

    def noted(bench, network):
        networks.append(weakref.ref(network))
        put(bench, network)

    monkeypatch.setattr(bench_module.Bench, "_put", noted)
    loaded, programs, sessions = set(), [], []
    monkeypatch.setattr(cache, "load", lambda source, load=cache.load: loaded.add(source) or load(source))
    for many in (2, 1):
        with contextlib.ExitStack() as stack:
            pages = [stack.enter_context(open_session()) for _ in range(many)]
            for page in pages:
                page.send("watch", views=VIEWS)
                page.send("speed", speed=0.0)
                page.send("play")
                page.status(lambda told: told["iteration"] > 500)
                page.ask("pin", "pinned")
            sessions += [weakref.ref(page.session) for page in pages]
        del pages, page, stack
        programs.append(len(loaded))
    gc.collect()
    assert [network() for network in networks] == [None] * 6
    assert [session() for session in sessions] == [None] * 3
    # Later sessions share the programs of earlier ones.
    assert programs[0] == programs[1]
