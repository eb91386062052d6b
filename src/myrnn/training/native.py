"""The native engine: whole runs of iterations as one call of the compiled model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import CompiledModel
from myrnn.compiler.carry import check_steps
from myrnn.compiler.loss import LossGraph, trace_loss, trace_penalty
from myrnn.compiler.memory import Block
from myrnn.compiler.native import Native
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.runtime.updates import Descent
from myrnn.compiler.shards import shards_for
from myrnn.errors import CompileError
from myrnn.losses import CROSS_ENTROPY, Objective
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.randomness import keys_of
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, TargetKind
from myrnn.training.feed import Windows

Losses = NDArray[np.float64]
# The number of right sequences, int64, or the sums of another score, float64.
Scores = NDArray[Any]

# The duration of a native call in seconds: short enough to show progress and to handle an interrupt.
CALL = 0.2
# The share of the training time for comparisons of the compiled model with the model itself.
CHECKED_SHARE = 0.01
# The number of multiplications of a forward iteration that are worth a thread, which synchronizes after each.
LEAST_WORK = 4_000_000


@dataclass(frozen=True, eq=False)
class Problem:
    """What an engine solves: a model, the objective to minimise, and the optimizer that does so."""

    model: Any
    optimizer: Any
    objective: Objective
    batch_size: int
    seed: int  # of what the model draws


class Batches(NamedTuple):
    """The batches of one call of an engine, one for each iteration."""

    sequences: Sequences
    order: NDArray[np.int64]  # int64 (n, B): the sequences of each batch
    rates: NDArray[np.float64] | None = None  # the learning rate of each; None leaves the optimizer's own
    first: int = 0  # the number of the first iteration: the model draws by it
    limit: float | None = None  # the largest joint norm of all gradients


@dataclass(frozen=True)
class NativeOptimizer:
    """A kind of optimizer in native code: its number, settings and state, and whether the rate scales its decay."""

    number: int
    settings: tuple[str, ...]
    means: str = ""
    squares: str = ""
    is_decay_scaled: bool = True


_ADAM = NativeOptimizer(2, ("beta1", "beta2", "eps"), "m", "v")
_SGD = NativeOptimizer(0, ("momentum",), "param_moments")
_KINDS: dict[type, NativeOptimizer] = {SGD: _SGD, RMSprop: NativeOptimizer(1, ("alpha", "eps"), "", "v"), Adam: _ADAM}
# MyNN's optimizers by name, so that MyNN need not be installed.
_KINDS_BY_NAME = {
    "mynn.optimizers.adam.Adam": replace(_ADAM, is_decay_scaled=False),
    "mynn.optimizers.sgd.SGD": replace(_SGD, is_decay_scaled=False),
}


class _OptimizerState:
    """An optimizer's settings and state, moved to native blocks and back."""

    def __init__(self, optimizer: Any, compiled: CompiledModel, native: Native) -> None:
        self._optimizer, self._kind = optimizer, _native_kind(optimizer)
        places = {id(parameter): i for i, parameter in enumerate(compiled.model.parameters)}
        layouts = native.program.parameters.layouts
        trained = [(k, p, places[id(p)]) for k, p in enumerate(optimizer.params) if id(p) in places]
        if len(trained) < len(optimizer.params):
            raise CompileError(
                "the optimizer holds a tensor that is not among the model's parameters: a compiled model treats all "
                "others as constants"
            )
        if len({place for _, _, place in trained}) < len(trained):
            raise CompileError("a tensor occurs twice among the optimizer's parameters: list it once")
        self._places = [(k, place) for k, _, place in trained]
        self.ranges = np.array(
            [(layouts[i].at, layouts[i].at + layouts[i].size, parameter.ndim > 1) for _, parameter, i in trained],
            dtype=np.int64,
        ).reshape(-1, 3)
        self._compiled = compiled
        # Of which sequences it is known which ranges have a gradient, in one row if this is the same for all of them.
        self._of: Sequences | None = None
        self._trained = np.zeros((0, 0), dtype=np.bool_)
        self._own = [place for _, place in self._places]
        penalized = native.penalty.parameters if native.penalty is not None else set[int]()
        self._penalized = np.array([place in penalized for place in self._own], dtype=np.bool_)

    def trained(self, sequences: Sequences, order: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which ranges have a gradient in each iteration; MyGrad's optimizers leave others unchanged."""
        if sequences is not self._of:
            firsts = sequences.firsts if isinstance(sequences, Windows) else np.zeros(len(sequences), dtype=np.int64)
            found = self._compiled.reach.of(firsts, sequences.lengths)[:, self._own] | self._penalized
            self._of, self._trained = sequences, found[:1] if (found == found[:1]).all() else found
        if len(self._trained) == 1:
            return np.repeat(self._trained, len(order), axis=0)
        return self._trained[order].any(axis=1)

    @property
    def settings(self) -> NDArray[np.float64]:
        """The kind, the decay, fixed or times the rate, and the kind's own settings, in the form of native code."""
        values = [float(getattr(self._optimizer, name)) for name in self._kind.settings]
        decay = float(getattr(self._optimizer, "weight_decay", 0))
        decays = (0.0, decay) if self._kind.is_decay_scaled else (decay, 0.0)
        return np.array([self._kind.number, *decays, *values, *[0.0] * (3 - len(values))])

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return int(getattr(self._optimizer, "t", 0))

    def memory(self, means: Block, squares: Block) -> Iterator[tuple[Block, int, NDArray[Any]]]:
        """Yield the arrays of the optimizer's state, each with its block and its parameter's index there."""
        for block, name in ((means, self._kind.means), (squares, self._kind.squares)):
            arrays = getattr(self._optimizer, name) if name else []
            if arrays:
                yield from ((block, place, arrays[k]) for k, place in self._places)

    def advance(self, steps: int) -> None:
        """Count the steps that were taken."""
        if hasattr(self._optimizer, "t"):
            self._optimizer.t += steps


class NativeEngine:
    """Runs iterations in the compiled model, with the GIL released, on data of the kind of `example`."""

    name = "native"

    def __init__(self, problem: Problem, compiled: CompiledModel, example: Sequences) -> None:
        self._problem, self._compiled = problem, compiled
        compiled.guard.refuse_looks()
        check_rows(compiled, example.kind)
        compiled.guard.reads_streams(isinstance(example, Windows))
        if isinstance(example, Windows):
            compiled.guard.check_lengths(example.whole)
            check_steps(compiled.recurrence, int(example.whole.lengths.max()))
        self._parameters = tuple(compiled.model.parameters)
        weights, penalty = problem.objective.class_weights, problem.objective.penalty
        self._class_weights = np.ones(compiled.dim_output, np.float32) if weights is None else weights
        self._loss = _traced(problem.objective, compiled, example)
        self._penalty = None if penalty is None else trace_penalty(penalty, compiled.model, self._parameters)
        self._native = compiled.native(
            tokens=example.is_tokens,
            batched=problem.batch_size > 1,
            loss=self._loss,
            carried=isinstance(example, Windows),
            penalty=self._penalty,
        )
        self._native.prepare_to_train()
        carried = self._native.program.stream_layout
        self.carried = 0 if carried is None else carried.width
        self._state = _OptimizerState(problem.optimizer, compiled, self._native)
        steps = problem.batch_size * float(example.lengths.mean())
        work = steps * compiled.work_per_row
        self._shards = shards_for(problem.batch_size, work, LEAST_WORK) if problem.batch_size > 1 else 1
        self._blocks = (self._native.block(), self._native.block(), self._native.block())
        self._seen: Sequences | None = None
        self._is_doubted, self._longest = False, 0
        self._rng = np.random.default_rng(0)
        self._ran, self._checked = 0.0, 0.0
        self.iterations_per_call = 32

    @property
    def has_changed(self) -> bool:
        """Whether the model or the loss now differs from what was compiled."""
        return self._compiled.guard.has_changed(self._longest) or self._changed is not None

    def doubt(self) -> None:
        """Check the model again before the next iterations, because user code may have changed it."""
        self._is_doubted = True

    def run(self, batches: Batches) -> tuple[Losses, Scores]:
        """Do one iteration for each batch, see `Engine.run`; after a CompileError nothing has changed."""
        sequences, order = batches.sequences, batches.order
        if sequences is not self._seen:
            if sequences.is_tokens != self._native.tokens:
                now, at_first = ("tokens", "features") if sequences.is_tokens else ("features", "tokens")
                raise CompileError(
                    f"the sequences are {now} now and were {at_first} at first: a training takes one kind"
                )
            begin = time.perf_counter()
            self._compiled.guard.check_lengths(sequences)
            if self._seen is None and not isinstance(sequences, Windows):
                self._compiled.guard.compare_lengths(sequences)
            longest = int(sequences.lengths.max(initial=0))
            self._longest = max(self._longest, longest)
            if longest > self._compiled.guard.traced:
                # This takes seconds: the next check waits until they are a small share of the training.
                self._checked += time.perf_counter() - begin
            self._seen = sequences
        if self._is_doubted:
            self._compiled.guard.check_again(self._longest)
            if (changed := self._changed) is not None:
                raise CompileError(f"the {changed} computes something else now than what was compiled")
            self._is_doubted = False
        self._compiled.guard.refuse_looks()
        streams = sequences.streams if isinstance(sequences, Windows) else None
        if isinstance(sequences, Windows):
            longest = self._native.longest(sequences, order, streams)
            self._compiled.guard.know(longest, goes_on=longest < int(sequences.whole.lengths.max()))
        begin = time.perf_counter()
        for block, place, array in self._arrays():
            block.write(place, array)
        keys = keys_of(self._problem.seed, batches.first, order.shape) if self._native.draws else None
        losses, scores = self._native.train(sequences, order, self._descent(batches), self._shards, streams, keys)
        ran = time.perf_counter() - begin
        self._ran += ran
        self.iterations_per_call = int(np.clip(CALL / ran * len(order), 1, 10 * self.iterations_per_call))
        # What a check refuses never reaches the model.
        self._check_now_and_then(sequences, order)
        for block, place, array in self._arrays():
            block.read(place, array)
        self._state.advance(len(order))
        return losses, scores

    @property
    def _changed(self) -> str | None:
        """The part that now differs from what was compiled: the loss or the penalty."""
        if self._loss is not None and self._loss.has_changed():
            return "loss"
        if self._penalty is not None and self._penalty.has_changed(self._compiled.model, self._parameters):
            return "penalty"
        return None

    def _descent(self, batches: Batches) -> Descent:
        state, rates = self._state, batches.rates
        if rates is None:
            rates = np.full(len(batches.order), float(self._problem.optimizer.learning_rate))
        return Descent(
            self._class_weights,
            rates,
            batches.limit or 0.0,
            state.settings,
            state.steps + 1,
            state.ranges,
            state.trained(batches.sequences, batches.order),
            *(block.numbers for block in self._blocks),
        )

    def _arrays(self) -> Iterator[tuple[Block, int, NDArray[Any]]]:
        """Yield all arrays that training changes, each with its block and its parameter's index there."""
        parameters, means, squares = self._blocks
        # A thread that compiles this model may write other numbers into its parameters, and locks them.
        with MYGRAD:
            yield from ((parameters, i, parameter.data) for i, parameter in enumerate(self._parameters))
        yield from self._state.memory(means, squares)

    def _check_now_and_then(self, sequences: Sequences, order: NDArray[np.int64]) -> None:
        """Compare the compiled model with the model itself on one of the last sequences, if time allows."""
        if self._checked > CHECKED_SHARE * self._ran:
            return
        begin = time.perf_counter()
        chosen = order.reshape(-1)
        if self._compiled.per_step:
            # Without steps there is nothing to check.
            chosen = chosen[sequences.lengths[chosen] > 0]
        if not len(chosen):
            return
        # A length that was not seen yet before others.
        new = chosen[self._compiled.guard.unchecked(sequences.lengths[chosen])]
        self._compiled.guard.check(sequences, int(self._rng.choice(new if len(new) else chosen)))
        self._checked += time.perf_counter() - begin


def _traced(objective: Objective, compiled: CompiledModel, example: Sequences) -> LossGraph | None:
    """Return the graph of the loss; None for softmax cross-entropy, which every program contains."""
    if objective.loss == CROSS_ENTROPY:
        return None
    counted = example.targets if example.weights is None else example.targets[example.weights > 0]
    if example.kind.what == CLASS:
        # A label that is not a class of the model is refused when it occurs.
        counted = counted[counted < compiled.dim_output - objective.added]
    parameters = compiled.model.parameters
    return trace_loss(objective.loss, example.kind, compiled.dim_output, counted, parameters, added=objective.added)


def check_rows(compiled: CompiledModel, kind: TargetKind) -> None:
    """Raise CompileError if only the model's outputs or only the targets are for every step."""
    if compiled.per_step != kind.per_step:
        when = "for every step" if compiled.per_step else "after the last step only"
        raise CompileError(f"the model gives outputs {when}, but the targets are {kind}")


def _native_kind(optimizer: Any) -> NativeOptimizer:
    kind = type(optimizer)
    found = _KINDS.get(kind) or _KINDS_BY_NAME.get(f"{kind.__module__}.{kind.__qualname__}")
    if found is None:
        raise CompileError(
            f"{kind.__name__} has no native form; native training takes SGD, RMSprop and Adam, of myrnn or MyNN"
        )
    return found
