"""The native engine: whole runs of iterations as one call of the compiled model."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import MYGRAD, Block, CompiledModel, Descent, Native, shards_for
from myrnn.errors import CompileError, NotARecurrence
from myrnn.sequences import Sequences
from myrnn.training._engines import Correct, Losses
from myrnn.training._kinds import Kind, kind_of

# How long one native call should take, in seconds: short enough to show progress and to heed an interrupt.
CALL = 0.2
# The share of the time that may go into checking the compiled model against the model itself while it trains.
CHECKED_SHARE = 0.01
# How many multiplications of an iteration, forward, are worth a thread, which meets the others at the end of each.
LEAST_WORK = 4_000_000


class _OptimizerState:
    """An optimizer's settings and memory, moved to native blocks and back."""

    def __init__(self, optimizer: Any, compiled: CompiledModel, native: Native) -> None:
        self._optimizer, self._kind = optimizer, _native_kind(optimizer)
        places = {id(parameter): i for i, parameter in enumerate(compiled.model.parameters)}
        layouts = native.program.weights.layouts
        trained = [(k, p, places[id(p)]) for k, p in enumerate(optimizer.params) if id(p) in places]
        if len(trained) < len(optimizer.params):
            raise CompileError(
                "the optimizer holds a tensor that is not among the model's parameters: a compiled model takes what is "
                "not listed there for fixed"
            )
        if len({place for _, _, place in trained}) < len(trained):
            raise CompileError("a tensor stands twice among the optimizer's parameters: list it once")
        self._places = [(k, place) for k, _, place in trained]
        self.ranges = np.array(
            [(layouts[i].at, layouts[i].at + layouts[i].size, parameter.ndim > 1) for _, parameter, i in trained],
            dtype=np.int64,
        ).reshape(-1, 3)
        self._compiled = compiled
        # For every length so far, a bit for each range; and the longest length whose bits are not those of all longer.
        self._bits, self._odd = np.zeros((0, 0), dtype=np.uint8), -1

    def trained(self, sequences: Sequences, order: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which ranges have a gradient in each iteration; MyGrad's optimizers leave the others alone.

        A parameter has one that any of an iteration's sequences is long enough to use.
        """
        longest = int(sequences.lengths.max(initial=0))
        if longest >= len(self._bits):
            by_length = self._compiled.trained_by_length(longest)
            self._bits = np.packbits(by_length[:, [place for _, place in self._places]], axis=1)
            like_last = (self._bits[::-1] == self._bits[-1]).all(axis=1)
            self._odd = longest - int(np.logical_and.accumulate(like_last).sum())
        if sequences.lengths.min(initial=longest) > self._odd:
            bits = np.repeat(self._bits[-1:], len(order), axis=0)
        else:
            bits = np.bitwise_or.reduce(self._bits[sequences.lengths[order]], axis=1)
        return np.unpackbits(bits, axis=1, count=len(self.ranges)).view(np.bool_)

    @property
    def settings(self) -> NDArray[np.float64]:
        """The kind, the decay, fixed or times the rate, and the kind's own settings, as native code takes them."""
        values = [float(getattr(self._optimizer, name)) for name in self._kind.settings]
        decay = float(getattr(self._optimizer, "weight_decay", 0))
        decays = (0.0, decay) if self._kind.is_decay_scaled else (decay, 0.0)
        return np.array([self._kind.number, *decays, *values, *[0.0] * (3 - len(values))])

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return int(getattr(self._optimizer, "t", 0))

    def load(self, means: Block, squares: Block) -> None:
        for block, name in ((means, self._kind.means), (squares, self._kind.squares)):
            arrays = getattr(self._optimizer, name) if name else []
            for k, place in self._places:
                if arrays:
                    block.write(place, arrays[k])

    def store(self, means: Block, squares: Block, steps: int) -> None:
        for block, name in ((means, self._kind.means), (squares, self._kind.squares)):
            arrays = getattr(self._optimizer, name) if name else []
            for k, place in self._places:
                if arrays:
                    block.read(place, arrays[k])
        if hasattr(self._optimizer, "t"):
            self._optimizer.t = steps


class NativeEngine:
    """Runs iterations in the compiled model, with the GIL released.

    Parameters
    ----------
    compiled : CompiledModel
    optimizer : SGD, RMSprop, Adam, or MyNN's SGD or Adam
    batch_size : int
    gradient_clip : float or None
    class_weights : ndarray, float32 (K,), or None
        How much the loss of a sequence of each class counts; None is 1 for all.
    example : Sequences
        Data of the kind that will come.
    """

    name = "native"

    def __init__(
        self,
        compiled: CompiledModel,
        optimizer: Any,
        batch_size: int,
        gradient_clip: float | None,
        class_weights: NDArray[np.float32] | None,
        example: Sequences,
    ) -> None:
        _refuse_looks(compiled)
        self._compiled, self._optimizer = compiled, optimizer
        self._parameters = tuple(compiled.model.parameters)
        self.gradient_clip = gradient_clip
        self._class_weights = np.ones(compiled.dim_output, np.float32) if class_weights is None else class_weights
        self._native = compiled.native(tokens=example.is_tokens, batched=batch_size > 1)
        self._state = _OptimizerState(optimizer, compiled, self._native)
        steps = batch_size * float(example.lengths.mean())
        self._shards = shards_for(batch_size, steps * compiled.work_per_row, LEAST_WORK) if batch_size > 1 else 1
        self._blocks = (self._native.block(), self._native.block(), self._native.block())
        self._seen: Sequences | None = None
        self._is_doubted = False
        self._rng = np.random.default_rng(0)
        self._ran, self._checked = 0.0, 0.0
        self.iterations_per_call = 32

    @property
    def has_changed(self) -> bool:
        """Whether the model does something else now than what was compiled."""
        return self._compiled.guard.has_changed()

    def doubt(self) -> None:
        """Check the model again before the next iterations: the user's code ran, and may have changed it."""
        self._is_doubted = True

    def run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64] | None
    ) -> tuple[Losses, Correct]:
        """Do one iteration for each row of `order`; see `Engine.run`.

        Raises
        ------
        NotARecurrence
            When a check finds that the model is not what was compiled; parameters and optimizer are then as before.
        CompileError
            When the sequences are of another kind than the example; nothing has changed then either.
        """
        if sequences is not self._seen:
            if sequences.is_tokens != self._native.tokens:
                now, at_first = ("tokens", "features") if sequences.is_tokens else ("features", "tokens")
                raise CompileError(
                    f"the sequences are {now} now and were {at_first} at first: a training takes one kind"
                )
            begin = time.perf_counter()
            self._compiled.guard.check_lengths(sequences)
            if sequences.lengths.max(initial=0) > self._compiled.guard.traced:
                # This takes seconds: the next check waits until they are a small share of the training.
                self._checked += time.perf_counter() - begin
            self._seen = sequences
        if self._is_doubted:
            self._compiled.guard.check_again()
            self._is_doubted = False
        _refuse_looks(self._compiled)
        begin = time.perf_counter()
        self._load()
        steps = self._state.steps
        rates = np.full(len(order), float(self._optimizer.learning_rate)) if rates is None else rates
        losses, hits = self._run(sequences, order, rates)
        ran = time.perf_counter() - begin
        self._ran += ran
        self.iterations_per_call = int(np.clip(CALL / ran * len(order), 1, 10 * self.iterations_per_call))
        # What a check refuses never reaches the model.
        self._check_now_and_then(sequences, order)
        self._store(steps + len(order))
        return losses, hits

    def _run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64]
    ) -> tuple[Losses, Correct]:
        parameters, means, squares = self._blocks
        state = self._state
        blocks = (parameters.numbers, means.numbers, squares.numbers)
        descent = Descent(
            self._class_weights,
            rates,
            self.gradient_clip or 0.0,
            state.settings,
            state.steps + 1,
            state.ranges,
            state.trained(sequences, order),
            *blocks,
        )
        return self._native.train(sequences, order, descent, self._shards)

    def _load(self) -> None:
        parameters, means, squares = self._blocks
        # Who compiles this very model meanwhile tries other numbers in its parameters, and locks them.
        with MYGRAD:
            for i, parameter in enumerate(self._parameters):
                parameters.write(i, parameter.data)
        self._state.load(means, squares)

    def _store(self, steps: int) -> None:
        parameters, means, squares = self._blocks
        with MYGRAD:
            for i, parameter in enumerate(self._parameters):
                parameters.read(i, parameter.data)
        self._state.store(means, squares, steps)

    def _check_now_and_then(self, sequences: Sequences, order: NDArray[np.int64]) -> None:
        """Hold the compiled model against the model itself on one of the last sequences, while time allows."""
        if self._checked > CHECKED_SHARE * self._ran:
            return
        begin = time.perf_counter()
        chosen = order.reshape(-1)
        # A length that was not seen yet before others.
        new = chosen[self._compiled.guard.unchecked(sequences.lengths[chosen])]
        self._compiled.guard.check(sequences, int(self._rng.choice(new if len(new) else chosen)))
        self._checked += time.perf_counter() - begin


def _refuse_looks(compiled: CompiledModel) -> None:
    if compiled.guard.looks:
        raise NotARecurrence(
            "the model looks at the numbers of its tensors while it runs, and for others may do something else:\n"
            f"  {compiled.guard.looks[0]}\n"
            "  Use MyGrad's operations instead of .data, item(), comparisons and NumPy."
        )


def _native_kind(optimizer: Any) -> Kind:
    kind = kind_of(optimizer)
    if kind is None:
        raise CompileError(
            f"{type(optimizer).__name__} has no native form; "
            "native training takes SGD, RMSprop and Adam, of myrnn or MyNN"
        )
    return kind
