import io
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from rich.console import Console

from myrnn.models import RNN
from myrnn.optimizers import Adam
from myrnn.tasks import TwinHalves
from myrnn.training import progress, train
from myrnn.training.progress import ASCII, BLOCKS, Curve, curves_line, duration, progress_display, sparkline

CURVES = (Curve("loss 0.1000", [0.7, 0.6, 0.1]), Curve("accuracy 90.0%", [0.5, 0.6, 0.9]))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The clock of the displays."""
    clock = Clock()
    monkeypatch.setattr(progress.Display.__init__, "__defaults__", (0, clock))
    return clock


@pytest.fixture
def terminal(monkeypatch):
    """Make stderr a terminal of the given width and encoding, and return the output of a display's console."""

    def make(width=80, encoding="utf-8"):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        settings = {"force_terminal": True, "width": width, "color_system": None, "legacy_windows": False}
        console = Console(file=file, **settings)

        def written():
            file.flush()
            return file.buffer.getvalue().decode(encoding)

        return console, written

    return make


# --- sparklines


def test_a_curve_runs_from_the_lowest_to_the_highest_character():
    assert sparkline(range(8), 8) == BLOCKS
    assert sparkline([2.0, 1.0, 2.0], 8) == "█▁█"
    assert sparkline(range(8), 8, levels=ASCII) == ASCII


def test_a_long_curve_shows_the_means_of_its_parts():
    assert sparkline([0, 0, 7, 7, 3, 4], 3, levels="01234567") == "074"
    assert len(sparkline(np.random.default_rng(0).random(1001), 24)) == 24


def test_constant_and_missing_values_are_shown():
    assert sparkline([0.5] * 4, 8) == BLOCKS[0] * 4
    assert sparkline([], 8) == ""
    assert sparkline([1.0], 0) == ""
    assert sparkline([math.nan, 1.0, 2.0, math.inf], 8) == " ▁█ "
    assert sparkline([math.nan] * 3, 8) == "   "


@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.integers(1, 40))
def test_a_curve_is_no_wider_than_requested(values, width):
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set(BLOCKS)


def test_ascii_is_ascii():
    assert ASCII.isascii()
    assert len(set(ASCII)) == len(BLOCKS)


@given(st.integers(1, 200), st.integers(1, 300))
def test_curves_fit_the_width_if_their_texts_do(width, reports):
    curves = [Curve(curve.text, list(range(reports))) for curve in CURVES]
    line = curves_line(curves, width)
    assert len(line) <= max(width, len("loss 0.1000   accuracy 90.0%"))
    assert "loss 0.1000" in line
    assert "accuracy 90.0%" in line


def test_without_a_curve_there_is_no_line():
    assert curves_line([], 80) == ""


# --- where it is shown


def test_a_pipe_gets_nothing_by_default(capsys):
    assert progress_display(None, "training", 10, "iterations") is None
    assert progress_display(False, "training", 10, "iterations") is None


def test_a_pipe_gets_plain_lines_with_the_last_values(capsys, clock):
    display = progress_display(True, "training", 100, "iterations")
    for done in range(0, 101, 5):
        clock.now = done / 50
        display.update(done, CURVES)
    display.close()
    written = capsys.readouterr().err
    assert written.isascii()
    assert "\r" not in written
    lines = written.splitlines()
    assert 9 <= len(lines) <= 10
    assert lines[0] == ("training 10/100 (10%)  50 iterations/s  1.8 s left  loss 0.1000  accuracy 90.0%")
    assert lines[-1] == "training 100/100 (100%)  50 iterations/s  2.0 s  loss 0.1000  accuracy 90.0%"


def test_slow_work_is_reported_regularly(capsys, clock):
    display = progress_display(True, "evaluating", 1000, "sequences")
    for clock.now in range(60):
        display.update(1)
    assert capsys.readouterr().err.count("evaluating 1/1,000 (0%)") == 4  # after 10, 23, 39 and 59 seconds


@pytest.mark.parametrize(("term", "kind"), [("xterm-256color", "_TerminalDisplay"), ("dumb", "_PlainDisplay")])
def test_a_terminal_that_cannot_overwrite_gets_plain_lines(monkeypatch, term, kind):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    shown = []
    for name in ("_TerminalDisplay", "_PlainDisplay"):
        monkeypatch.setattr(progress, name, lambda *_, name=name, **__: shown.append(name))
    progress_display(True, "training", 10, "iterations")
    assert shown == [kind]


def test_a_terminal_gets_a_bar_and_the_curves_below_it(terminal, clock):
    console, written = terminal()
    display = progress._TerminalDisplay("training", 100, "iterations", console=console)
    clock.now = 2.0
    display.update(50, CURVES)
    display.close()
    bar, curves = last_lines(written())
    assert bar.startswith("training ━━━━")
    assert bar.endswith("50% 25 iterations/s  2.0 s left")
    assert curves == "loss 0.1000 █▇▁   accuracy 90.0% ▁▃█"


def last_lines(text):
    """The lines of the last picture of a live display, without control codes."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
    return [line.rstrip() for line in plain.splitlines() if line.strip()][-2:]


def test_a_terminal_without_blocks_gets_ascii(terminal, clock):
    console, written = terminal(encoding="ascii")
    display = progress._TerminalDisplay("training", 100, "iterations", console=console)
    clock.now = 2.0
    display.update(50, CURVES)
    display.close()
    bar, curves = last_lines(written())
    assert bar.startswith("training ----")
    assert curves == "loss 0.1000 @%.   accuracy 90.0% .-@"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(terminal, clock, width):
    console, written = terminal(width)
    display = progress._TerminalDisplay("training", 100_000, "iterations", console=console)
    clock.now = 0.5
    display.update(50_000, [Curve(curve.text, list(range(500))) for curve in CURVES])
    display.close()
    lines = last_lines(written())
    assert len(lines) == 2
    assert max(map(len, lines)) <= width
    assert "loss 0.1000" in lines[1]


def test_work_without_curves_gets_only_the_bar(terminal, clock):
    console, written = terminal()
    display = progress._TerminalDisplay("evaluating", 100, "sequences", console=console)
    clock.now = 1.0
    display.update(100)
    display.close()
    assert last_lines(written())[-1].endswith("100% 100 sequences/s  1.0 s")
    assert not set(written()) & set(BLOCKS)


@pytest.fixture
def shell(monkeypatch):
    """An IPython shell that acts as the kernel of a notebook; its ``outputs`` are the messages to a front end."""
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "display_pub", CapturingDisplayPublisher())
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield shell.display_pub
    InteractiveShell.clear_instance()


def test_a_notebook_gets_one_output_that_is_updated(shell, clock):
    display = progress_display(None, "training", 100, "iterations")
    for done in range(0, 101, 10):
        clock.now = done / 100
        display.update(done, CURVES)
    display.close()
    assert [output["update"] for output in shell.outputs] == [False] + [True] * (len(shell.outputs) - 1)
    assert 3 <= len(shell.outputs) <= 8  # at most five a second
    assert len({output["transient"]["display_id"] for output in shell.outputs}) == 1
    last = shell.outputs[-1]["data"]["text/html"]
    assert '<progress value="100" max="100">' in last
    assert "loss 0.1000 █▇▁   accuracy 90.0% ▁▃█" in last
    assert "color" not in last


def test_training_shows_its_own_curves(monkeypatch):
    seen = []
    display = SimpleNamespace(update=lambda done, curves: seen.append((done, curves)), close=lambda: seen.append("end"))
    monkeypatch.setattr(progress, "progress_display", lambda *_: display)
    model = RNN(10, 4, 2, rng=0)
    history = train(model, TwinHalves(1, 2), Adam(model.parameters), 60, report_every=20, progress=True)
    assert seen[0] == (20, ())
    assert seen[-1] == "end"
    done, (loss, accuracy) = seen[-2]
    assert done == 60
    assert (loss.values, accuracy.values) == (history.loss.tolist(), history.accuracy.tolist())
    assert loss.text == f"loss {history.loss[-1]:.4f}"
    assert accuracy.text == f"accuracy {history.accuracy[-1]:.1%}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (4.24, "4.2 s"), (59.94, "59.9 s"), (185, "3 min 5 s"), (3723, "1 h 2 min")]
)
def test_times_are_readable(seconds, text):
    assert duration(seconds) == text
