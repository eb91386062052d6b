"""Progress of long work: a bar in a terminal, an updated line in a notebook, plain lines in a pipe."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from myrnn.training._history import History
from myrnn.training._hooks import Report, TrainingStart


class Display(Protocol):
    """Shows how far some work has come."""

    def update(self, done: int, detail: str) -> None:
        """Show that `done` of the total is done, with `detail` beside it."""
        ...

    def close(self) -> None:
        """Show the last state and leave it."""
        ...


def progress_display(show: bool | None, what: str, total: int, unit: str) -> Display | None:
    """Return a display for the place where the program runs, or None where nothing shall be shown.

    Parameters
    ----------
    show : bool or None
        Whether to show it; None shows it in a terminal and in a notebook.
    what : str
        What is being done, such as ``"training"``.
    total : int
        How much there is to do.
    unit : str
        What is counted, such as ``"iterations"``.
    """
    notebook, terminal = _in_notebook(), sys.stderr.isatty()
    if show is False or (show is None and not notebook and not terminal):
        return None
    if notebook:
        return _NotebookDisplay(what, total, unit)
    if terminal:
        return _TerminalDisplay(what, total, unit)
    return _PlainDisplay(what, total, unit, sys.stderr)


def progress_hooks(show: bool | None) -> tuple[Any, ...]:
    """Return the hook that shows a training's progress, or none."""
    return () if show is False else (_TrainingProgress(show),)


class _TrainingProgress:
    """The hook that shows iterations a second, the time left, loss and accuracy."""

    def __init__(self, show: bool | None) -> None:
        self._show = show
        self._display: Display | None = None
        self._detail = ""

    def on_train_begin(self, start: TrainingStart) -> None:
        self._display = progress_display(self._show, "training", start.iterations, "iterations")

    def on_progress(self, iteration: int) -> None:
        if self._display is not None:
            self._display.update(iteration, self._detail)

    def on_report(self, report: Report) -> None:
        self._detail = f"loss {report.loss:.4f}  accuracy {report.accuracy:.1%}"
        self.on_progress(report.iteration)

    def on_train_end(self, history: History) -> None:
        if self._display is not None:
            self._display.close()


class _Meter:
    """How fast the work goes and how long it will still take."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._clock, self._begin = total, clock, clock()

    @property
    def elapsed(self) -> float:
        return self._clock() - self._begin

    def describe(self, done: int, unit: str) -> str:
        elapsed = self.elapsed
        rate = done / elapsed if elapsed > 0 else 0.0
        left = f"{duration((self.total - done) / rate)} left" if rate and done < self.total else duration(elapsed)
        return f"{rate:,.0f} {unit}/s  {left}"


class _PlainDisplay:
    """One line now and then: at most about thirty for the whole work, whatever its speed."""

    def __init__(self, what: str, total: int, unit: str, stream: TextIO) -> None:
        self._what, self._unit, self._stream = what, unit, stream
        self._meter = _Meter(total)
        self._next_share, self._next_time = 0.1, 10.0
        self._last = (0, "")

    def update(self, done: int, detail: str) -> None:
        self._last = (done, detail)
        if done < self._meter.total and (
            done >= self._next_share * self._meter.total or self._meter.elapsed >= self._next_time
        ):
            self._write()

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        done, detail = self._last
        share = done / self._meter.total
        line = f"{self._what} {done:,}/{self._meter.total:,} ({share:.0%})  {self._meter.describe(done, self._unit)}"
        print(f"{line}  {detail}".rstrip(), file=self._stream, flush=True)
        self._next_share = share + 0.1
        self._next_time = self._meter.elapsed * 1.25 + 10.0


class _TerminalDisplay:
    """A Rich progress bar on the error output."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        # Rich is imported where it is used: importing it costs more than all the rest of this package.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._unit, self._meter = unit, _Meter(total)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[detail]}"),
            console=Console(stderr=True),
            refresh_per_second=8,
        )
        self._task = self._bar.add_task(what, total=total, speed="", detail="")
        self._bar.start()

    def update(self, done: int, detail: str) -> None:
        self._bar.update(self._task, completed=done, detail=detail, speed=self._meter.describe(done, self._unit))

    def close(self) -> None:
        self._bar.stop()


class _NotebookDisplay:
    """One output of a notebook's cell, updated in place through IPython's display handle; needs no widgets."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        from IPython.display import HTML, display

        self._html, self._what, self._unit = HTML, what, unit
        self._meter, self._shown_at = _Meter(total), 0.0
        self._last = (0, "")
        self._handle = display(HTML(self._text()), display_id=True)

    def update(self, done: int, detail: str) -> None:
        self._last = (done, detail)
        if self._meter.elapsed - self._shown_at >= 0.2:
            self._show()

    def close(self) -> None:
        self._show()

    def _show(self) -> None:
        self._shown_at = self._meter.elapsed
        self._handle.update(self._html(self._text()))

    def _text(self) -> str:
        done, detail = self._last
        text = f"{done:,}/{self._meter.total:,}  {self._meter.describe(done, self._unit)}  {detail}"
        return (
            f'<div>{html.escape(self._what)} <progress value="{done}" max="{self._meter.total}"></progress> '
            f"<code>{html.escape(text)}</code></div>"
        )


def duration(seconds: float) -> str:
    """Return a time as people say it: ``4.2 s``, ``3:05`` or ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _in_notebook() -> bool:
    # Only a running kernel has loaded IPython already; importing it to find out would be slow.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
