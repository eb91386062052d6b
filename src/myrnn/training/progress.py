"""Progress of long work: a bar with curves in terminals and notebooks, plain lines in a pipe."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn.learning_curve import LearningCurve, shown_score, word_for
from myrnn.output import Output, in_kernel, notice_console, notify, on_terminal
from myrnn.training.hooks import TrainingReport, TrainingStart
from myrnn.training.validation import Validation

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_CURVE = 24  # characters wide, if there is space
BLOCKS = "▁▂▃▄▅▆▇█"
# For terminals without block characters: more ink means more.
ASCII = ".:-=+*%@"


class Curve(NamedTuple):
    """A changing value, as text, and all its values so far."""

    text: str
    values: Sequence[float]


class Display:
    """Shows the progress of some work, of whose total `begun` was done before; `clock` returns seconds."""

    def __init__(
        self, what: str, total: int, unit: str, begun: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.what, self.total, self.unit = what, total, unit
        self._clock, self._begin, self._begun = clock, clock(), begun
        self.done = begun
        self.curves: Sequence[Curve] = ()

    def update(self, done: int, curves: Sequence[Curve] = ()) -> None:
        """Show that `done` of the total is done, and the curves of values so far."""
        self.done, self.curves = done, curves

    def close(self) -> None:
        """Show the last state and leave it on the screen."""

    @property
    def elapsed(self) -> float:
        """The seconds since the work began."""
        return self._clock() - self._begin

    @property
    def speed(self) -> str:
        """The speed of the work, and the time left."""
        elapsed = self.elapsed
        rate = (self.done - self._begun) / elapsed if elapsed > 0 else 0.0
        is_open = rate and self.done < self.total
        left = f"{duration((self.total - self.done) / rate)} left" if is_open else duration(elapsed)
        return f"{f'{rate:,.0f}' if rate >= 10 else f'{rate:.2g}'} {self.unit}/s  {left}"


def progress_display(show: bool | None, what: str, total: int, unit: str, begun: int = 0) -> Display | None:
    """Return a display for this environment, by default in terminals and notebooks, or None if nothing is shown."""
    notebook, terminal = in_kernel(), on_terminal()
    if show is False or (show is None and not notebook and not terminal):
        return None
    kind: Any = _NotebookDisplay if notebook else _TerminalDisplay if terminal else _PlainDisplay
    shown: Display = kind(what, total, unit, begun)
    return shown


class TrainingProgress:
    """The hook that shows iterations per second, the time left, and the curves of loss and score, or of validation."""

    def __init__(self, show: bool | None, validation: Validation | None = None) -> None:
        self._show, self._validation = show, validation
        self._display: Display | None = None
        self._losses: list[float] = []
        self._scores: list[float] = []
        self._curves: tuple[Curve, ...] = ()

    def on_train_begin(self, start: TrainingStart) -> None:
        """Start the display here, so that its time excludes compilation and other preparation."""
        self._display = progress_display(self._show, "training", start.iterations, "iterations", start.iteration)

    def on_progress(self, iteration: int) -> None:
        """Show the number of iterations done."""
        if self._display is not None:
            self._display.update(iteration, self._curves)

    def on_reported(self, report: TrainingReport) -> None:
        """Show the results of the report, and of its validation."""
        self._losses.append(report.loss)
        self._scores.append(report.score)
        loss, name, scores = f"loss {report.loss:.4f}", word_for(report.metric), self._scores
        if self._validation is not None:
            loss = f"epoch {self._validation.reports}  {loss}"
            if validated := self._validation.columns[f"validation_{report.metric}"]:
                name, scores = f"validation {name}", validated
        score = f"{name} {shown_score(report.metric, scores[-1])}"
        self._curves = Curve(loss, self._losses), Curve(score, scores)
        self.on_progress(report.iteration)

    def on_train_end(self, history: LearningCurve) -> None:
        """Leave the last state on the screen."""
        if self._display is not None:
            self._display.close()


class _PlainDisplay(Display):
    """A line at intervals: at most about thirty for the whole work, whatever its speed."""

    _next_share, _next_time = 0.1, 10.0

    def update(self, done: int, curves: Sequence[Curve] = ()) -> None:
        super().update(done, curves)
        if done < self.total and (done >= self._next_share * self.total or self.elapsed >= self._next_time):
            self.close()

    def close(self) -> None:
        share = self.done / self.total
        line = f"{self.what} {self.done:,}/{self.total:,} ({share:.0%})  {self.speed}"
        notify("  ".join([line, *(curve.text for curve in self.curves)]))
        self._next_share = share + 0.1
        self._next_time = self.elapsed * 1.25 + 10.0


class _TerminalDisplay(Display):
    """A Rich progress bar, and the curves in a line below it."""

    def __init__(self, what: str, total: int, unit: str, begun: int = 0, console: Console | None = None) -> None:
        # Rich is imported here because it takes longer to import than the rest of this package.
        from rich.live import Live

        super().__init__(what, total, unit, begun)
        self._console = notice_console() if console is None else console
        self._bar = _bar(self._console)
        self._task = self._bar.add_task(what, total=total, speed="")
        # It is rendered when it is shown, eight times a second, whatever the number of updates.
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=8)
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        self._bar.update(self._task, completed=self.done, speed=self.speed)
        line = curves_line(self.curves, self._console.width, curve_levels(self._console))
        return Group(self._bar, *([Text(line, no_wrap=True, overflow="crop")] if line else []))


def _bar(console: Console) -> Progress:
    """Return a progress bar of one line, as wide as the console allows."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    room = console.width - len("training  100%  100,000 iterations/s  59 min 59 s left") - 2
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=min(_CURVE, max(4, room))),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        console=console,
    )


def curves_line(curves: Iterable[Curve], width: int, levels: str = BLOCKS) -> str:
    """Return the last values and the curves side by side, in `width` characters; `levels` are those of `sparkline`."""
    shown = list(curves)
    if not shown:
        return ""
    texts = sum(len(curve.text) for curve in shown) + 3 * (len(shown) - 1) + len(shown)
    each = min(_CURVE, (width - 1 - texts) // len(shown))
    return "   ".join(f"{curve.text} {sparkline(curve.values, each, levels)}".rstrip() for curve in shown)


class _NotebookDisplay(Display):
    """A bar below the running cell, updated five times a second."""

    def __init__(self, what: str, total: int, unit: str, begun: int = 0) -> None:
        super().__init__(what, total, unit, begun)
        self._shown_at = 0.0
        self._output = Output(self._text())

    def update(self, done: int, curves: Sequence[Curve] = ()) -> None:
        super().update(done, curves)
        if self.elapsed - self._shown_at >= 0.2:
            self.close()

    def close(self) -> None:
        self._shown_at = self.elapsed
        self._output.replace(self._text())

    def _text(self) -> str:
        lines = [f"{self.done:,}/{self.total:,}  {self.speed}", curves_line(self.curves, width=100)]
        text = html.escape("\n".join(line for line in lines if line))
        # No colour is set, so that it fits light and dark pages.
        return (
            f'<div>{html.escape(self.what)} <progress value="{self.done}" max="{self.total}"></progress></div>'
            f'<div style="font-family: monospace; line-height: 1.5; white-space: pre-wrap">{text}</div>'
        )


def duration(seconds: float) -> str:
    """Return a time in readable units: ``4.2 s``, ``3 min 5 s`` or ``1 h 2 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def curve_levels(console: Console) -> str:
    """Return the characters of curves that a console can show, from low to high."""
    return ASCII if console.options.ascii_only else BLOCKS


def sparkline(values: Sequence[float] | NDArray[np.float64], width: int, levels: str = BLOCKS) -> str:
    """Return evenly spaced values as a curve of at most `width` characters; parts without finite ones are spaces."""
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers) or width < 1:
        return ""
    starts = np.linspace(0, len(numbers), min(width, len(numbers)), endpoint=False).astype(np.intp)
    finite = np.isfinite(numbers)
    counts = np.add.reduceat(finite.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(finite, numbers, 0.0), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    known = means[counts > 0]
    if not len(known):
        return " " * len(starts)
    low, span = known.min(), np.ptp(known)
    shares = (means - low) / (span if span > 0 else 1.0)
    top = len(levels) - 1
    return "".join(levels[round(share * top)] if np.isfinite(share) else " " for share in shares.tolist())
