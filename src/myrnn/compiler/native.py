"""Stage 7: an emitted program as functions over a model's own parameters."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakSet

import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from numpy.typing import NDArray

from myrnn.compiler import cache
from myrnn.compiler.derive import ProgramKind
from myrnn.compiler.leaves import TableRows
from myrnn.compiler.memory import Block, Floats, Workspace, aligned, machine_memory
from myrnn.compiler.plan import padded
from myrnn.compiler.program import UNSEEN, Program
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.runtime import generation, training
from myrnn.compiler.runtime.lookups import Lookups, lookups_of
from myrnn.compiler.runtime.threads import BARRIER_SIZE
from myrnn.compiler.runtime.updates import Descent
from myrnn.compiler.shards import in_threads
from myrnn.compiler.streams import Streams
from myrnn.errors import CompileError, InvalidArgument
from myrnn.randomness import Keys
from myrnn.sequences import Sequences

# The cost of a token's row, in rows of an update of all rows, and of finding it, in numbers of a row.
TOKEN_COST, ROW_COST = 6, 150


@dataclass(frozen=True, repr=False, eq=False)
class Observation:
    """The inner values of a run of one sequence forward and back."""

    loss: float  # the softmax cross-entropy, in nats
    logits: NDArray[np.float32]  # float32 (K,), or (T, K) if there are some for every step
    # Float32 (T + 1, D): each state, in the order of ``CompiledModel.state_names``: before the first step, and after
    # every step.
    states: tuple[NDArray[np.float32], ...]
    # Float32 (T + 1, D): the gradient of the loss with respect to each of these, through later steps, later loops and
    # the readout.
    state_gradients: tuple[NDArray[np.float32], ...]
    # Float32 (T, C): the gradient of the loss with respect to every row of the sequence.
    input_gradients: NDArray[np.float32]


natives: WeakSet[Native] = WeakSet()
"""All programs of this process."""


class Native:
    """An emitted and compiled program with its memory."""

    def __init__(self, program: Program, kind: ProgramKind, rows: Callable[[], TableRows] = dict) -> None:
        # Kinds are equal if their losses compute the same; the traced functions may differ.
        self.program, self.loss, self.penalty = program, kind.loss, kind.penalty
        self.tokens, self.batched = kind.tokens, kind.batched
        # Returns the rows of tables that the model knows by now.
        self._rows = rows
        self._code = cache.load(program.source)
        self._ones = np.ones(program.classes, dtype=np.float32)
        self._zeros = np.zeros(0, dtype=np.int64)
        self._workspaces: dict[int, Workspace] = {}
        self._gradients: dict[int, Floats] = {}
        # Held while the program runs, because its workspaces serve one caller at a time.
        self.lock = threading.RLock()
        natives.add(self)

    def block(self, copies: int = 1) -> Block:
        """Return an empty block in the layout of the parameters."""
        return Block(self.program.parameters.layouts, aligned(self.program.parameters.size * copies))

    def block_of(self, arrays: Sequence[NDArray[Any]]) -> Block:
        """Return a block with the numbers of all parameters, in the model's order."""
        block = self.block()
        for i, array in enumerate(arrays):
            block.write(i, array)
        return block

    def _workspace_for(self, lengths: NDArray[np.int64], longest: int, shard: int = 0) -> Workspace:
        """Return memory for batches, given the lengths of their sequences, the longest first."""
        if not self.batched:
            return self.workspace(int(lengths.max(initial=1)), 1, shard, longest)
        first = lengths[:, : self.program.micro_batch]
        return self.workspace(int(first.sum(axis=1).max(initial=1)), first.shape[1], shard, longest)

    def workspace(self, steps: int, sequences: int, shard: int = 0, longest: int = 0) -> Workspace:
        """Return memory for at least this many steps (of all parallel sequences) and sequences."""
        # The `longest` sequence must have a row of every table for each step: native code checks no bounds.
        known, rows = self._workspaces.get(shard), self._rows()
        if known is None or known.steps < steps or known.sequences < sequences or known.table_rows is not rows:
            steps = max(steps, known.steps if known else 0)
            sequences = max(sequences, known.sequences if known else 0)
            needed = steps * self.bytes_per_step
            if needed > (there := machine_memory()):
                # Larger batches run in micro-batches.
                smaller = ", or make batches smaller" if 1 < sequences < self.program.micro_batch else ""
                raise InvalidArgument(
                    f"{steps:,} steps that are computed at once take about {needed / 1e9:.1f} GB, but there are "
                    f"{there / 1e9:.1f} GB: cut long sequences into shorter ones{smaller}"
                )
            known = self._workspaces[shard] = Workspace(self.program, steps, sequences, rows)
        if self.program.memory.by_step and longest > known.known_steps + UNSEEN:
            raise CompileError(
                f"the numbers that differ from step to step are known for {known.known_steps} steps, not for {longest}"
            )
        return known

    def longest(self, sequences: Sequences, order: NDArray[np.int64], streams: Streams | None) -> int:
        """Return the most steps of a sequence, counted from where its stream began, when batches run in this order."""
        if not self.program.memory.by_step:
            # Nothing depends on it.
            return 0
        lengths, carried = sequences.lengths[order], self.program.stream_layout
        if streams is None or carried is None or not order.size:
            return int(lengths.max(initial=0))
        return carried.longest(streams, order, lengths)

    @property
    def draws(self) -> bool:
        """Whether the model draws random numbers while it trains."""
        return self.program.draws

    def forget(self) -> None:
        """Write NaN over all numbers that the program has computed, to detect reads before writes."""
        for work in self._workspaces.values():
            self.program.memory.forget(work.numbers, work.sizes, work.steps, work.sequences)
            work.penalize(1)

    @cached_property
    def bytes_per_step(self) -> int:
        """The memory for one more step of a sequence."""
        one, more = (self.program.memory.resolve(steps, 1)[1] for steps in (1, 257))
        return max(1, 4 * (more - one) // 256)

    def _equal(self, count: int) -> Floats:
        """Return `count` weights of 1."""
        if len(self._ones) < count:
            self._ones = np.ones(count, dtype=np.float32)
        return self._ones[:count]

    def _indices(self, count: int) -> NDArray[np.int64]:
        """Return `count` zeros, which are valid members and labels."""
        if len(self._zeros) < count:
            self._zeros = np.zeros(count, dtype=np.int64)
        return self._zeros[:count]

    def _labels_of(self, sequences: Sequences) -> NDArray[np.int64]:
        if self.loss is None or self.loss.is_of_classes:
            return sequences.classes
        return self._indices(len(sequences.targets))

    def _targets_of(self, sequences: Sequences, any_rows: int | None = None) -> Floats:
        """Return the numbers of all targets or classes, with `any_rows` any; none for softmax cross-entropy."""
        if self.loss is None:
            return self._ones[:0]
        if self.loss.table is not None:
            return self.loss.table.reshape(-1)
        if any_rows is not None:
            return self._equal(any_rows * self.loss.width)
        return sequences.targets.astype(np.float32, copy=False).reshape(-1)

    def _new_streams(self, count: int) -> Streams:
        """Return a new stream for each sequence; none if the program has no streams."""
        carried = self.program.stream_layout
        if carried is None:
            return Streams(self._zeros[:0], self._ones[:0])
        return carried.begin(count)

    # Running ---------------------------------------------------------------------------------------------------------

    def _call(
        self,
        function: Any,
        sequences: Sequences,
        class_weights: Floats,
        *arguments: Any,
        labels: NDArray[np.int64] | None = None,
        streams: Streams | None = None,
    ) -> Any:
        values = sequences.values.reshape(-1).view(np.int32)
        weights = sequences.weights if labels is None else None
        targets = self._targets_of(sequences, None if labels is None else len(labels))
        labels = self._labels_of(sequences) if labels is None else labels
        weights = self._equal(len(labels)) if weights is None else weights
        streams = streams or self._new_streams(len(sequences))
        carried = self.program.stream_layout
        # Native code checks no bounds, and a copy would lose the final states.
        assert carried is None or (streams.numbers.shape[1] == carried.width and streams.numbers.flags.c_contiguous)
        samples = training.Samples(
            values,
            sequences.offsets,
            labels,
            targets,
            weights,
            class_weights,
            streams.rows,
            streams.numbers.reshape(-1),
        )
        return self._code.call(function, self.batched, samples, *arguments)

    def logits(
        self,
        sequences: Sequences,
        members: NDArray[np.int64],
        parameters: Floats,
        out: Floats,
        shard: int = 0,
        streams: Streams | None = None,
    ) -> None:
        """Write the logits of the sequences `members`, the longest first, into their rows of `out`, float32 (N, K)."""
        # Logits of every step go into the rows of the steps, (sum of T, K). Each thread that shares the lock is a
        # shard.
        lengths = sequences.lengths[members][None]
        work = self._workspace_for(lengths, self.longest(sequences, members[None], streams), shard)
        self._call(
            training.logits, sequences, self._equal(self.program.classes), members, self.program.per_step, parameters,
            work.arguments, work.logits, padded(self.program.classes), out, labels=self._indices(len(out)),
            streams=streams,
        )  # fmt: skip

    def generate(
        self,
        token: int,
        streams: Streams,
        parameters: Floats,
        uniforms: NDArray[np.float64],
        temperature: float,
        top: int,
        left_out: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Read a token in the only stream, draw the next by a number in [0, 1), and so on; return those drawn.

        Tokens `left_out` are never drawn.
        """
        # The last one is not read. From a -1 on, outputs are not finite.
        one = Sequences(np.array([token]), [0, 1], [0], self.program.classes)
        longest = self.longest(one, np.zeros((1, 1), np.int64), streams) + len(uniforms) - 1
        drawn, work = np.full(len(uniforms), -1), self.workspace(1, 1, longest=longest)
        self._call(
            generation.generate, one, self._equal(self.program.classes), self._indices(1), parameters, work.arguments,
            work.logits, self.program.classes, temperature, top, left_out, uniforms,
            aligned(padded(self.program.classes)), aligned(padded(self.program.classes)), drawn,
            labels=self._indices(1), streams=streams,
        )  # fmt: skip
        return drawn

    def gradients(
        self, sequences: Sequences, members: NDArray[np.int64], parameters: Floats, keys: Keys | None = None
    ) -> tuple[float, Block]:
        """Return the mean loss of the sequences `members`, or of their steps, and its gradients."""
        # Without a batch, a penalty would count for each of them.
        assert self.batched or len(members) == 1
        with self.lock:
            block, lengths = self.block(), sequences.lengths[members]
            order = longest_first(lengths)
            work = self._workspace_for(lengths[order][None], int(lengths.max(initial=0)))
            (share,) = shares_of(sequences, members[None])
            loss, _ = self._call(
                training.backpropagate, sequences, self._equal(self.program.classes), members[order],
                self._zeros[:0] if keys is None else keys[order], np.float32(share), parameters, block.numbers,
                work.arguments,
            )  # fmt: skip
            return float(loss * share), block

    def observe(self, sequences: Sequences, index: int, parameters: Floats) -> Observation:
        """Run an observed program."""
        program = self.program
        assert program.input_gradients is not None
        with self.lock:
            loss, _ = self.gradients(sequences, np.array([index]), parameters)
            steps = int(sequences.lengths[index])
            work = self.workspace(steps, 1)
            ways = [-1 if backward else 1 for backward in program.goes_backward]
            gradients = [work.rows(b, steps + 1)[::way] for b, way in zip(program.state_gradients, ways, strict=True)]
            for i, buffer in program.kept_gradients.items():
                gradients[i][1:] += work.rows(buffer, steps)[:: ways[i]]
            return Observation(
                loss,
                self._observed_logits(work, steps),
                tuple(work.rows(buffer, steps + 1)[::way] for buffer, way in zip(program.states, ways, strict=True)),
                tuple(gradients),
                work.rows(program.input_gradients, steps),
            )

    def _observed_logits(self, work: Workspace, steps: int) -> Floats:
        if self.program.per_step:
            width = padded(self.program.classes)
            rows = work.numbers[work.logits : work.logits + steps * width].reshape(steps, width)
            return rows[:, : self.program.classes].copy()
        return work.numbers[work.logits : work.logits + self.program.classes].copy()

    def train(
        self,
        sequences: Sequences,
        order: NDArray[np.int64],
        descent: Descent,
        shards: int = 1,
        streams: Streams | None = None,
        keys: Keys | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Do one iteration for each row of `order`; return the loss of each, float64 (n,), and the score."""
        # The blocks of `descent` change in place. The score is a sum over all that counts: int64 for classes, otherwise
        # float64.
        with self.lock:
            longest = self.longest(sequences, order, streams)
            sorting = longest_first(sequences.lengths[order])
            order = np.take_along_axis(order, sorting, axis=1)
            drawn = order[:, :0] if keys is None else np.take_along_axis(keys, sorting, axis=1)
            lengths = sequences.lengths[order]
            losses, scores = np.zeros((shards, len(order))), np.zeros((shards, len(order)))
            barrier = np.zeros(BARRIER_SIZE, dtype=np.int64)
            gradients, lookups = self._gradient_numbers(shards), self._lookups(descent, lengths, shards)
            descent = descent._replace(paces=np.zeros((len(order), 2), dtype=np.float32))
            # Everything that can fail comes before the threads start: a missing thread would keep the others waiting.
            members, by = ([np.ascontiguousarray(a[:, s::shards]) for s in range(shards)] for a in (order, drawn))
            works = [self._workspace_for(lengths[:, s::shards], longest, s) for s in range(shards)]

            for shard, work in enumerate(works):
                work.penalize(int(shard == 0))
            shares = shares_of(sequences, order).astype(np.float32)

            dense = lookups[0].begin if lookups else len(descent.parameters)

            def run(shard: int) -> None:
                self._call(
                    self._trainer, sequences, descent.class_weights, order, shares, members[shard], by[shard], barrier,
                    descent, gradients, works[shard].arguments, training.shard_of(dense, shard, shards), losses, scores,
                    *lookups[shard : shard + 1], streams=streams,
                )  # fmt: skip

            in_threads(run, shards)
        score = scores.sum(axis=0)
        return losses.sum(axis=0), score.astype(np.int64) if self.loss is None or self.loss.is_of_classes else score

    def prepare_to_train(self) -> None:
        """Compile what `train` calls."""
        self._code.prepare(self._trainer)

    @property
    def _trainer(self) -> Callable[..., None]:
        """The function that trains the program's model."""
        return training.train_lookups if self.program.parameters.lookups else training.train

    def _gradient_numbers(self, shards: int) -> Floats:
        """Return a buffer for the gradients of all shards; iterations clear it, of lookups only what they wrote."""
        if shards not in self._gradients:
            self._gradients[shards] = self.block(shards).numbers
        return self._gradients[shards]

    def _lookups(self, descent: Descent, lengths: NDArray[np.int64], shards: int) -> list[Lookups]:
        """Return the lookups of the program, if it has some, for each shard."""
        # All rows change if weights decay or tokens are many.
        parameters = self.program.parameters
        layouts = sorted((parameters.layouts[i] for i in parameters.lookups), key=lambda x: x.at)
        if not layouts:
            return []
        # A parameter without numbers begins where the next one does.
        parts = {int(begin): i for i, (begin, end, _) in enumerate(descent.ranges) if begin < end}
        places = [(layout.at, layout.size // layout.rows, parts.get(layout.at, -1)) for layout in layouts]
        symbols, tokens = layouts[0].rows, lengths.sum() / max(1, len(lengths))
        width = sum(stride for _, stride, _ in places) / len(places)
        every = bool(descent.optimizer[1:3].any() or tokens * TOKEN_COST * (width + ROW_COST) > symbols * width)
        return lookups_of(layouts[0].at, places, symbols, shards, every=every)


def shares_of(sequences: Sequences, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weight of each loss of an iteration, a row of `order`: together they give its mean."""
    weights = sequences.weights
    if weights is None:
        counts = sequences.lengths[order].sum(axis=1) if sequences.per_step else np.full(len(order), order.shape[1])
        return 1 / np.maximum(counts, 1)
    of_sequences = weights.astype(np.float64)
    if sequences.per_step:
        sums = np.concatenate(([0], np.cumsum(of_sequences)))
        of_sequences = np.diff(sums[sequences.offsets])
    totals = of_sequences[order].sum(axis=1)
    return 1 / np.where(totals > 0, totals, 1)


def longest_first(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order in which a batch takes sequences, or those of each row."""
    return np.argsort(-lengths, axis=-1, kind="stable")


# ---- forks: the child inherits the locks of its parent's threads, but not the threads ----

# While one of these is held, weights, files or MyGrad's state are inconsistent, and a child would keep them so: a fork
# waits for all of them, in the order in which a compilation takes them.
_WAITED_FOR = (MYGRAD, cache.LOADING, global_compiler_lock)


def _hold() -> None:
    for lock in _WAITED_FOR:
        lock.acquire()


def _release() -> None:
    for lock in reversed(_WAITED_FOR):
        lock.release()


def _begin_anew() -> None:
    _release()
    for native in natives:
        # Its run only continues in the parent. The next one here writes the workspaces anew.
        native.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_begin_anew)
