import re

import numpy as np
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from myrnn.compiler import _notice
from myrnn.compiler._notice import TOLD, compiling_seconds, notice


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    monkeypatch.setattr(_notice, "_thread", type("Unsaid", (), {})())


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
    monkeypatch.setattr(_notice.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(_notice, "on_terminal", lambda: True)
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
