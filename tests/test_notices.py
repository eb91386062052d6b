"""Notices never fail, whatever happens to the stream that they are written to."""

import io
import sys
import warnings

import pytest

from myrnn import output
from myrnn.cli import entry
from myrnn.training.progress import progress_display


class Failing(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


def full():
    return Failing(OSError(28, "No space left on device"))


def unread():
    return Failing(BrokenPipeError(32, "Broken pipe"))


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def line():
    output.notify("something")


def passing():
    output.shown_lines.discard("something")
    with output.passing_line("something"):
        return "the work"


def bar():
    shown = progress_display(True, "training", 10, "iterations")
    for done in range(11):
        shown.update(done)
    shown.close()


def failure():
    assert entry.main(["evaluate", "no such run"]) == entry.FAILED


def warning():
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = entry._shown_once([])
        warnings.warn("something", stacklevel=1)


@pytest.mark.parametrize("on_terminal", [False, True])
@pytest.mark.parametrize("stream", [full, closed, unread, lambda: None])
@pytest.mark.parametrize("show", [line, passing, bar, failure, warning])
def test_what_cannot_be_shown_stops_nothing(show, stream, on_terminal, monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(sys, "stderr", stream())
    if on_terminal:
        monkeypatch.setattr(output, "on_terminal", lambda: True)
        monkeypatch.setattr("myrnn.training.progress.on_terminal", lambda: True)
    show()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("stream", [closed, lambda: None])
def test_without_an_error_stream_there_is_no_terminal(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream())
    assert not output.on_terminal()


def test_an_output_of_a_notebook_that_is_gone_stops_nothing(monkeypatch):
    def gone(*_, **__):
        raise OSError("no front end")

    monkeypatch.setattr("IPython.display.display", gone)
    output.Output("a").replace("b")
