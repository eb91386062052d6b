"""Many runs, done by workers that may be lost: what was under way with them is done again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from myrnn.errors import RunError
from myrnn.sweeps._backends import LostWithWorkers, Place
from myrnn.sweeps._points import Point
from myrnn.sweeps._run import FAILED, Record, do

# How often a run may be under way when a worker is lost before it is done alone, to see whether it is the cause.
SUSPECT = 3


class Pool:
    """Does runs and gives their records as they come.

    Parameters
    ----------
    place : Place
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._under_way: dict[str, Point] = {}
        self.lost = 0

    @property
    def running(self) -> int:
        """How many runs are being done; none where the place does not answer, of which `records` will tell."""
        try:
            return min(len(self._under_way), self._place.workers())
        except self._place.gone:
            return 0

    def records(self, points: Iterable[Point]) -> Iterator[tuple[Point, Record]]:
        """Yield every run with its record, in the order in which they end.

        Raises
        ------
        RunError
            When the whole place is lost.
        """
        fresh, again, losses = iter(points), list[Point](), Counter[str]()
        while True:
            source = _Source(chain(again, fresh), self._under_way)
            try:
                yield from self._attempt(source)
                return
            except self._place.lost as error:
                self.lost += 1
                source.close()
                # Those that were not begun yet too.
                again = [*self._under_way.values(), *again[source.taken :]]
                blamed = error.runs if isinstance(error, LostWithWorkers) else []
                losses.update(dict.fromkeys(blamed, SUSPECT) or self._under_way.keys())
                self._under_way.clear()
            suspects = [point for point in again if losses[point.run] >= SUSPECT]
            again = sorted((point for point in again if losses[point.run] < SUSPECT), key=lambda p: losses[p.run])
            for point in suspects:
                # Where there is one suspect alone, it has been tried often enough.
                yield point, _lost(point) if blamed == [point.run] else self._alone(point)

    def _attempt(self, source: _Source) -> Iterator[tuple[Point, Record]]:
        try:
            found = self._place.parallel()((do, (point,), {}) for point in source)
            try:
                for record in found:
                    yield self._under_way.pop(record["run"]), record
            finally:
                # Whatever ends it, workers stop.
                found.close()
        except self._place.lost:
            raise
        except self._place.gone as error:
            raise RunError(f"{self._place.told} is lost: {' '.join(str(error).split())}") from error

    def _alone(self, point: Point) -> Record:
        """Return the record of a run that workers were lost with, again and again."""
        try:
            ((_, record),) = self._attempt(_Source(iter([point]), self._under_way))
        except self._place.lost:
            self.lost += 1
            self._under_way.clear()
            return _lost(point)
        return record


def _lost(point: Point) -> Record:
    """Return the record of a run that takes every worker with it."""
    error = "WorkerLost: the worker that does this run is lost, each time anew: it may need more memory than there is"
    return {"run": point.run, "status": FAILED, "error": error, "seconds": 0.0, "worker": ""}


class _Source:
    """Hands out runs to threads, one at a time, and notes which; once closed it is empty."""

    def __init__(self, points: Iterator[Point], under_way: dict[str, Point]) -> None:
        self._points, self._under_way = points, under_way
        self._lock, self._is_open = threading.Lock(), True
        self.taken = 0

    def __iter__(self) -> Iterator[Point]:
        return self

    def __next__(self) -> Point:
        with self._lock:
            if not self._is_open:
                raise StopIteration
            point = next(self._points)
            self.taken += 1
            self._under_way[point.run] = point
            return point

    def close(self) -> None:
        """Hand out no more."""
        with self._lock:
            self._is_open = False
