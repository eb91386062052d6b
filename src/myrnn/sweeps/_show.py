"""How far a sweep has come: runs done, running and failed, the time left, and the best so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from myrnn.sweeps._groups import is_better
from myrnn.sweeps._points import Point
from myrnn.sweeps._run import FAILED, Record
from myrnn.sweeps._table import accuracies
from myrnn.training import Curve, Display, progress_display


class Progress:
    """The display of a sweep.

    Parameters
    ----------
    show : bool or None
        As for `progress_display`.
    metric : str
        What the best run is best by.
    """

    def __init__(self, show: bool | None, metric: str) -> None:
        self._show, self._metric = show, metric
        self._display: Display | None = None
        self._done, self._failed = 0, 0
        self._best: float | None = None
        self._told = ""

    @contextmanager
    def over(self, planned: int, begun: int, known: Iterable[tuple[Point, Record | None]]) -> Iterator[None]:
        """Show the display while the block runs; `known` are runs that were done before, and count as well."""
        self._done = begun
        self._display = progress_display(self._show, "sweep", planned, "runs", begun)
        try:
            if self._display is not None:
                for point, record in known:
                    if record is not None:
                        self._count(point, record)
            yield
        finally:
            if self._display is not None:
                self._display.close()

    def add(self, point: Point, record: Record, running: int) -> None:
        """Count a run that has ended, while so many others are being done."""
        self._done += 1
        self._count(point, record)
        if self._display is not None:
            best = [Curve(self._told, ())] if self._told else []
            counts = [Curve(f"{running} running", ()), Curve(f"{self._failed} failed", ())]
            self._display.update(self._done, [*counts, *best])

    def _count(self, point: Point, record: Record) -> None:
        if record["status"] == FAILED:
            self._failed += 1
        else:
            self._compare(point, record)

    def _compare(self, point: Point, record: Record) -> None:
        value = record["loss"] if self._metric == "loss" else accuracies(record)[self._metric]
        if value is None or (self._best is not None and not is_better(self._metric, value, self._best)):
            return
        self._best = value
        shown = f"{value:.4f}" if self._metric == "loss" else f"{value:.1%}"
        self._told = f"best {shown}: {point.told}"
