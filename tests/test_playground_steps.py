"""The playground on tasks with an answer at every step."""

import base64
import re

import numpy as np
import pytest

from marks import most_are_long
from myrnn import evaluate, generate
from myrnn.errors import InvalidArgument
from myrnn.playground import keep, views
from myrnn.playground.network import Network
from myrnn.playground.settings import checked_settings, defaults
from myrnn.runs import load_run
from myrnn.sequences import Sequences
from myrnn.tasks import CopyAfterPause, NextCharacter, RunningParity
from playground_help import loop, open_session

SMALL = {**defaults(), "dim_recurrent": 8, "length_max": 6, "copied_max": 2, "pause": 2, "alphabet_size": 4}
PARITY, COPY, TEXT = ({**SMALL, "task": name} for name in ("running-parity", "copy-after-pause", "next-character"))
EACH = [PARITY, COPY, TEXT]


def trained(settings, iterations=30):
    network = Network(settings)
    while network.iteration < iterations:
        network.advance(0.1, iterations - network.iteration)
    return network


@pytest.fixture(scope="module")
def parity():
    """A trained network that no test changes."""
    return trained(PARITY, 30)


def told_tokens(network):
    return network.material.example()


@pytest.fixture(scope="module", autouse=True)
def sessions():
    with loop():
        yield


@pytest.mark.parametrize("settings", most_are_long(EACH, len(EACH)))
def test_a_row_has_the_answer_and_the_truth_at_each_step(settings, in_python):
    network = trained(settings)
    tokens = told_tokens(network)
    told = views.row(network, tokens)
    truth = network.task.truth(Sequences(tokens, [0, len(tokens)], [0], network.task.dim_input))
    assert told["answers"] == [None if answer < 0 else answer for answer in truth.tolist()]
    logits = np.asarray(network.model(np.eye(network.task.dim_input, dtype=np.float32)[tokens]), dtype=np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for likely, row in zip(told["likely"], shares, strict=True):
        assert likely[0][0] == row.argmax()
        assert [share for _, share in likely] == sorted((share for _, share in likely), reverse=True)
        np.testing.assert_allclose([row[which] for which, _ in likely], [share for _, share in likely], rtol=1e-4)
    known = truth >= 0
    assert told["loss"] == pytest.approx(-np.log(shares[known, truth[known]]).mean(), rel=1e-4)
    assert len(base64.b64decode(told["states"])) == 4 * len(tokens) * 8


@pytest.mark.usefixtures("in_python")
def test_a_sequence_without_answers_has_no_loss():
    told = views.row(trained(COPY, 1), [1, 2, 3])
    assert (told["answers"], told["loss"]) == ([None, None, None], None)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("settings", most_are_long(EACH, len(EACH)))
def test_accuracy_counts_steps(settings):
    network = Network(settings)
    report = views.tried_further(network, None, 3)
    drawn = network.material.tested.part(views.portion(network))
    assert views.accuracy_shown(report)["whole"] == evaluate(network.model, drawn).whole_accuracy
    assert report.total.tolist() == evaluate(network.model, drawn).total.tolist()
    # An idle network is evaluated further, up to this many sequences of each length.
    assert views.tried_further(network, report, int(report.sequences.max())) is report


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("settings", most_are_long([PARITY, COPY], 2))
def test_the_curve_is_over_the_answers_of_each_iteration(settings):
    network, untrained = Network(settings), Network(settings)
    network.advance(0.0, 1)
    _, (accuracy,) = network.curve.since(0)
    row = views.row(untrained, network.last_tokens)
    right = [
        likely[0][0] == answer
        for likely, answer in zip(row["likely"], row["answers"], strict=True)
        if answer is not None
    ]
    assert accuracy == pytest.approx(np.mean(right))
    assert network.last_loss == pytest.approx(row["loss"], rel=1e-5)


@pytest.mark.parametrize("settings", most_are_long([PARITY, COPY], 2))
def test_the_curve_agrees_with_the_history(settings):
    network = trained({**settings, "batch_size": 4}, 500)
    _, accuracy = network.curve.since(0)
    assert np.mean(accuracy) == pytest.approx(network.history.accuracy[-1], abs=0.03)


def test_only_applicable_views_are_offered():
    assert views.views_of(Network(PARITY)) == ("row", "accuracy", "eigenvalues")
    assert views.views_of(Network(TEXT)) == ("row", "accuracy", "eigenvalues", "text")
    assert "mistakes" in views.views_of(Network(SMALL))


@pytest.mark.long
def test_a_network_writes_the_same_as_generate():
    network = trained(TEXT)
    told = views.text(network, [3, 1], 5)
    for name, temperature in (("likeliest", 0.0), ("drawn", 1.0)):
        written = generate(network.model, [3, 1], views.WRITTEN, temperature=temperature, seed=5)
        assert told[name] == written.tolist()


@pytest.mark.usefixtures("in_python")
def test_the_script_of_a_network_has_outputs_for_each_step():
    network = trained(PARITY, 20)
    script = keep.script(network)
    assert "task = myrnn.tasks.RunningParity(length_min=1, length_max=6)" in script
    assert "model = registry.make('model', 'rnn', rng=weights, dim_input=2, dim_output=2, per_step=True, " in script
    namespace = {}
    exec(script.split("print(history)")[0], namespace)
    for one, other in zip(namespace["model"].parameters, network.model.parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.usefixtures("in_python")
def test_a_run_is_saved_and_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = trained(COPY)
    folder = keep.save(network, views.tried_further(network, None, 1))
    run, settings = keep.load(folder.name)
    assert {**COPY, **settings, "length_max": 6} == checked_settings(COPY)
    assert isinstance(run.task, CopyAfterPause)
    again = Network(settings, run=load_run(folder))
    tokens = told_tokens(again)
    assert views.row(again, tokens)["likely"] == views.row(network, tokens)["likely"]


@pytest.mark.parametrize("name", ["states", "training", "eigenvalues", "graph"])
def test_pictures_are_drawn(name, parity):
    assert keep.figure(name, "svg", parity, [1, 0, 1])().lstrip().startswith("<")


def test_inapplicable_requests_are_refused(parity):
    kind = "a class for each sequence is needed here, without weights, but these sequences have a class for each step"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(kind)}$"):
        keep.figure("gradient", "svg", parity, [1, 0, 1])


# --- a page


def test_a_page_trains_a_network_with_outputs_for_each_step():
    with open_session(PARITY, [1, 0, 1]) as page:
        task = page.last["network"]["task"]
        assert task["each"] == "step"
        assert task["views"] == ("row", "accuracy", "eigenvalues")
        assert len(RunningParity().truth(Sequences(task["example"], [0, len(task["example"])], [0]))) == 12
        page.send("watch", views=["row", "accuracy", "gradient", "eigenvalues", "mistakes", "text"])
        assert page.next("row")["answers"] == [1, 1, 0]
        assert page.next("accuracy")["whole"] is not None
        page.step(0)
        assert page.last["status"]["last"]["tokens"]
        page.send("draw", label=None, length=9)
        told = page.until(lambda told: told["type"] == "row" and len(told["tokens"]) == 9)
        assert told["answers"] == np.cumsum(told["tokens"]).__mod__(2).tolist()
        page.ask("pin", "pinned")
        assert page.last["pinned"]["gradient"] is None
        assert not {"gradient", "mistakes", "text"} & page.last.keys()


@pytest.mark.long
def test_a_page_shows_what_a_network_writes():
    with open_session(TEXT, [1, 0, 1]) as page:
        page.send("watch", views=["text"])
        first = page.next("text")
        assert first["begin"] == [1, 0, 1]
        assert len(first["likeliest"]) == len(first["drawn"]) == views.WRITTEN
        page.send("tokens", tokens=[2])
        assert page.next("text")["begin"] == [2]
        page.step(0)
        assert page.next("text")["iteration"] == 1


def test_a_task_with_one_answer_needs_the_class():
    with open_session({**SMALL, "pattern_length_max": 3}) as page:
        assert page.ask("draw", "error", label=None, length=4)["message"] == "name the class of the sequence"


def test_a_task_with_too_many_symbols_is_refused(monkeypatch):
    monkeypatch.setattr("myrnn.playground.material.MOST_OF_TASK", 20)
    message = (
        "the page shows only tasks of two classes, or with a class for each step, with at most 20 tokens and a method "
        "'truth': NextCharacter is not one"
    )
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
        Network(TEXT)


def test_all_symbols_of_the_text_fit_into_an_address():
    assert NextCharacter().dim_input <= 36
