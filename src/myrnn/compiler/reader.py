"""Sequences read by a native program: whole, in pieces, or on from a state, in portions and on threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.memory import Floats
from myrnn.compiler.native import Native, longest_first
from myrnn.compiler.shards import in_threads, shards_for
from myrnn.compiler.streams import State, Streams
from myrnn.sequences import Sequences, steps_at

# Sequences whose logits are computed in one native call: few enough for their states to stay in the cache.
PORTION = 512
# The memory for all steps of these sequences, in bytes: wide layers and long sequences use smaller portions.
PORTION_BYTES = 2**24
# The number of multiplications that are worth a thread.
LEAST_WORK = 200_000


@dataclass(frozen=True, eq=False)
class Reader:
    """A native program with weights, which reads sequences for their logits."""

    native: Native
    parameters: Floats
    work_per_step: int  # the number of multiplications

    def whole(self, sequences: Sequences) -> Floats:
        """Return the logits of every sequence, float32 (N, K), or of all their steps, (sum of T, K)."""
        out, portions = self._rows_for(sequences), _portions(sequences.lengths, self._steps_at_once)
        shards = self._threads_for(len(sequences.values))

        def run(shard: int) -> None:
            for members in portions[shard::shards]:
                self.native.logits(sequences, members, self.parameters, out, shard)

        with self.native.lock:
            in_threads(run, shards)
        return out

    def in_pieces(self, sequences: Sequences, long: NDArray[np.int64]) -> Iterator[tuple[slice, Floats]]:
        """Yield the logits of the sequences `long` piece by piece, as many sequences at once as there are threads."""
        carried, steps = self.native.program.stream_layout, max(1, self._steps_at_once)
        assert carried is not None
        together = min(len(long), self._threads_for(int(sequences.lengths[long].sum())))
        for first in range(0, len(long), together):
            some = long[first : first + together]
            some = some[longest_first(sequences.lengths[some])]
            begins, ends = sequences.offsets[some], sequences.offsets[some + 1]
            rows = [carried.begin().numbers for _ in some]
            for done in range(0, int((ends - begins).max()), steps):
                pairs = zip((begins + done).tolist(), np.minimum(begins + done + steps, ends).tolist(), strict=True)
                pieces = [slice(begin, end) for begin, end in pairs if begin < end]
                streams = [carried.streams(numbers) for numbers in rows]
                yield from zip(pieces, self._of_pieces(sequences, pieces, streams), strict=True)

    def _of_pieces(self, sequences: Sequences, pieces: list[slice], streams: list[Streams]) -> list[Floats]:
        """Return the logits of pieces of sequences, each of which continues its stream."""
        given = [steps_at(sequences, piece) for piece in pieces]
        out, only = list(map(self._rows_for, given)), np.zeros(1, dtype=np.int64)

        def run(shard: int) -> None:
            self.native.logits(given[shard], only, self.parameters, out[shard], shard, streams[shard])

        with self.native.lock:
            in_threads(run, len(pieces))
        return out

    def on(self, state: State, sequences: Sequences) -> tuple[State, Floats]:
        """Read the next steps of each stream of a state, as many of each; return the next state and the logits."""
        out, streams = self._rows_for(sequences), state.to_continue()
        with self.native.lock:
            self.native.logits(sequences, np.arange(len(sequences)), self.parameters, out, streams=streams)
        return state.after(streams, len(sequences.values) // len(sequences)), out

    def draw_on(
        self,
        state: State,
        token: int,
        uniforms: NDArray[np.float64],
        temperature: float,
        top: int,
        left_out: NDArray[np.int64],
    ) -> tuple[State, NDArray[np.int64]]:
        """Read a token after a state, draw the next one, and so on; see `Native.generate`."""
        streams = state.to_continue()
        with self.native.lock:
            drawn = self.native.generate(token, streams, self.parameters, uniforms, temperature, top, left_out)
        return state.after(streams, len(drawn)), drawn

    @property
    def _steps_at_once(self) -> int:
        return PORTION_BYTES // self.native.bytes_per_step

    def _threads_for(self, steps: int) -> int:
        return shards_for(steps, steps * self.work_per_step, LEAST_WORK)

    def _rows_for(self, sequences: Sequences) -> Floats:
        """Return rows for the logits of sequences, or of their steps."""
        program = self.native.program
        count = len(sequences.values) if program.per_step else len(sequences)
        return np.zeros((count, program.classes), dtype=np.float32)


def _portions(lengths: NDArray[np.int64], steps: int) -> list[NDArray[np.int64]]:
    """Divide sequences into portions of at most this many steps, of similar length, the longest first."""
    order = longest_first(lengths)
    portions, begin = [], 0
    while begin < len(order):
        end = begin + min(PORTION, max(1, steps // max(1, int(lengths[order[begin]]))))
        portions.append(order[begin:end])
        begin = end
    return portions
