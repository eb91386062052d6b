import re
from functools import cache as cache_results
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from interpreter import interpreted
from myrnn import SequenceClassifier
from myrnn.compiler import cache
from myrnn.compiler.cache import TOLD, compiling_seconds, notice
from myrnn.estimator._fitting import EpochProgress


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    monkeypatch.setattr(cache, "_thread", type("Unsaid", (), {})())


@pytest.fixture
def outputs(monkeypatch):
    """What the front end of a notebook would get."""
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "display_pub", CapturingDisplayPublisher())
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield shell.display_pub.outputs
    InteractiveShell.clear_instance()


def test_a_terminal_counts_the_seconds_as_long_as_it_lasts(capsys, monkeypatch):
    now = iter(np.arange(0, 1000, 3.5).tolist())
    monkeypatch.setattr(cache.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(cache, "on_terminal", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with notice():
        pass
    written = capsys.readouterr().err
    assert re.search(r"compiling this model, once: \d+ s", written)
    assert written.endswith("\x1b[2K")
    assert compiling_seconds() >= 7


def test_a_pipe_is_told_once(capsys):
    for _ in range(2):
        with notice():
            pass
    assert capsys.readouterr().err == f"myrnn: {TOLD}\n"


def test_a_notebook_is_told_as_long_as_it_lasts(outputs, capsys):
    with pytest.raises(ValueError, match="while compiling"), notice():
        assert TOLD in outputs[-1]["data"]["text/html"]
        raise ValueError("while compiling")
    assert [output["update"] for output in outputs] == [False, True]
    assert outputs[-1]["data"]["text/html"] == ""
    assert capsys.readouterr().err == ""


def test_all_compilations_of_a_fit_count(monkeypatch, capsys):
    now = [0.0]

    @cache_results
    def load(source):
        """Take eight seconds for every program."""
        with notice():
            now[0] += 8
        return interpreted(source)

    monkeypatch.setattr(cache, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr("myrnn.compiler.cache.load", load)
    before_the_bar = []
    begin = EpochProgress.begin
    monkeypatch.setattr(EpochProgress, "begin", lambda self: before_the_bar.append(now[0]) or begin(self))
    classifier = SequenceClassifier(dim_recurrent=3, max_epochs=1, engine="native", random_state=0)
    classifier.fit(["ab", "ba"] * 4, ["a", "b"] * 4)
    assert [compiling_seconds()] == before_the_bar == [now[0]] != [0.0]
    assert capsys.readouterr().err == f"myrnn: {TOLD}\n"
