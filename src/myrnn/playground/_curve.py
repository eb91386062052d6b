"""Loss and accuracy of a training of any length in a bounded number of points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 512


class Curve:
    """Means over equally many iterations each: one at first, and twice as many whenever the points become too many.

    Parameters
    ----------
    most : int
        How many points there may be, an even number.

    Attributes
    ----------
    width : int
        How many iterations each point is the mean of; the last point may still have fewer.
    iterations : int
        How many there were.

    Examples
    --------
    >>> curve = Curve(most=4)
    >>> curve.add([4.0, 2.0, 1.0, 1.0, 0.5], [0, 0, 1, 1, 1])
    >>> curve.width, curve.since(0)
    (2, ([3.0, 1.0, 0.5], [0.0, 1.0, 1.0]))
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._most = most
        self.width, self.iterations = 1, 0
        self._loss, self._right = np.zeros(most), np.zeros(most)

    def add(self, losses: Any, right: Any) -> None:
        """Add the mean loss and the share of right answers of iterations, each of shape (n,)."""
        losses, right = np.asarray(losses, dtype=np.float64), np.asarray(right, dtype=np.float64)
        while self.iterations + len(losses) > self._most * self.width:
            self._halve()
        first = self.iterations // self.width
        place = (self.iterations + np.arange(len(losses))) // self.width - first
        for sums, numbers in ((self._loss, losses), (self._right, right)):
            added = np.bincount(place, weights=numbers)
            sums[first : first + len(added)] += added
        self.iterations += len(losses)

    def since(self, point: int) -> tuple[list[float], list[float]]:
        """Return the losses and accuracies of all points from the given one on."""
        counts = self._counts()
        loss = self._loss[: len(counts)] / counts
        accuracy = self._right[: len(counts)] / counts
        return loss[point:].tolist(), accuracy[point:].tolist()

    def _counts(self) -> NDArray[np.int64]:
        points = -(-self.iterations // self.width)
        return np.minimum(self.iterations - self.width * np.arange(points), self.width)

    def _halve(self) -> None:
        for sums in (self._loss, self._right):
            pairs = sums.reshape(-1, 2).sum(axis=1)
            sums[: len(pairs)], sums[len(pairs) :] = pairs, 0.0
        self.width *= 2
