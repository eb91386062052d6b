"""How a network does on new sequences: on a few at a time, since all trainings wait for one who looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from myrnn.evaluation import LengthReport, evaluate
from myrnn.playground._network import HalvesTask, Network
from myrnn.sequences import Sequences

# Seeds what is tested on: other sequences than those of the training, the same at every look.
TEST_SEED = 1_000_001
# How many sequences of each length are tried at a time, within about so many multiplications.
MOST, WORK = 40, 40_000_000
# Op by op, all takes so many times longer.
SLOWER = 20


def portion(network: Network) -> int:
    """Return how many sequences of each length a network is tried on at a time, at least one."""
    if network.compiled is None:
        return MOST // SLOWER
    work = int(network.longer.lengths.sum()) * network.compiled.work_per_row
    # A single unit has no matrix product.
    return int(np.clip(WORK // max(1, work), 1, MOST))


def test_sequences(task: HalvesTask, each: int, part: int = 0) -> Sequences:
    """Return `each` sequences of every length of a task, the same at every call, others for every part."""
    return task.sample_lengths(np.repeat(task.lengths, each), np.random.default_rng((TEST_SEED, part)))


def accuracy(network: Network, sequences: Sequences) -> LengthReport:
    """Try a network on given sequences."""
    model = network.model if network.compiled is None else network.compiled
    longest = int(network.task.lengths[-1])
    engine = "mygrad" if network.compiled is None else "native"
    return evaluate(model, sequences, trained=longest, engine=engine, progress=False)


def tested(network: Network, each: int, turn: Callable[[], AbstractContextManager[None]]) -> LengthReport:
    """Try a network on so many sequences of every length, up to twice as long as it learned from, in several turns."""
    report, part = None, 0
    while report is None or report.total.min() < each:
        with turn():
            found = accuracy(network, test_sequences(network.longer, portion(network), part))
        report, part = found if report is None else report.joined(found), part + 1
    return report


class Trial:
    """Tries a network on more and more sequences, as long as it stays as it is.

    Parameters
    ----------
    most : int
        How many of every length are enough.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._subject: tuple[Network, object] | None = None
        self._report: LengthReport | None = None
        self._part = 0
        # What every look at a network that learns begins with.
        self._first: tuple[tuple[HalvesTask, int], Sequences] | None = None

    def parts(self, network: Network) -> int:
        """Return on how many portions the network has been tried as it is."""
        return self._part if self._subject == (network, network.moment) else 0

    def report(self, network: Network) -> LengthReport:
        """Return what is known of the network as it is, after one more portion if it is not enough."""
        if self._subject != (network, network.moment):
            self._subject, self._report, self._part = (network, network.moment), None, 0
        known = self._report
        enough = self._most if network.compiled is not None else self._most // SLOWER
        if known is not None and known.total.min() >= enough:
            return known
        found = accuracy(network, self._sequences(network))
        self._report, self._part = found if known is None else known.joined(found), self._part + 1
        return self._report

    def _sequences(self, network: Network) -> Sequences:
        key = network.longer, portion(network)
        if self._part:
            return test_sequences(*key, self._part)
        if self._first is None or self._first[0] != key:
            self._first = key, test_sequences(*key)
        return self._first[1]
