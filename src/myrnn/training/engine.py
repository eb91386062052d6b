"""Engines that run iterations: MyGrad op by op, the reference, and the choice between it and native code."""

from __future__ import annotations

from typing import Any, Protocol

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.compiler.compilation import compile_for, warn_of_fallback
from myrnn.compiler.differences import ADVICE
from myrnn.compiler.probe import unreached
from myrnn.compiler.recorder import recorded
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import CompileError, InvalidArgument
from myrnn.models.model import parameter_names, parameters_of
from myrnn.randomness import Keys, SequenceDraws, keys_of
from myrnn.sequences import Sequences
from myrnn.training.feed import Windows
from myrnn.training.native import Batches, Losses, NativeEngine, Problem, Scores
from myrnn.training.outputs import have_rows, output_of, scores_dtype, total_score
from myrnn.training.settings import ENGINES

# Compiling takes about as long as MyGrad takes for this many steps of sequences.
WORTH_COMPILING = 50_000


class Engine(Protocol):
    """Trains a model in place, iteration by iteration."""

    name: str  # "native" or "mygrad"
    iterations_per_call: int  # the number of iterations per call, so that progress can be shown in between
    carried: int  # the amount of numbers that a stream carries; 0 if every sequence begins anew

    def run(self, batches: Batches) -> tuple[Losses, Scores]:
        """Do one iteration for each batch; return its mean losses and scores before the step."""
        # A score is the number of right classes, or the sum of `total_score`.
        ...

    def doubt(self) -> None:
        """Check the model again before the next iterations, because user code may have changed it."""
        ...


class MyGradEngine:
    """The reference: every operation of every step through MyGrad."""

    name = "mygrad"

    carried = 0

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._parameters = parameters_of(problem.model)
        # Few, since Ctrl-C is handled between two calls.
        self.iterations_per_call = max(1, 16 // problem.batch_size)

    def doubt(self) -> None:
        """Do nothing: every iteration calls the model itself."""

    def run(self, batches: Batches) -> tuple[Losses, Scores]:
        """Do one iteration for each batch; see `Engine.run`."""
        sequences, order, rates, first, limit = batches
        losses, scores = np.empty(len(order)), np.empty(len(order), dtype=scores_dtype(sequences.kind))
        optimizer = self._problem.optimizer
        own = None if rates is None else optimizer.learning_rate
        keys = keys_of(self._problem.seed, first, order.shape)
        try:
            for row, batch in enumerate(order):
                if rates is not None:
                    optimizer.learning_rate = float(rates[row])
                with MYGRAD:
                    losses[row], scores[row] = self._iterate(sequences, batch, keys[row], limit)
        finally:
            # The rate that a hook finds there, and may set, is the optimizer's own.
            if rates is not None:
                optimizer.learning_rate = own
        return losses, scores

    def _iterate(
        self, sequences: Sequences, batch: NDArray[np.int64], keys: Keys, limit: float | None
    ) -> tuple[float, Any]:
        model, optimizer, objective = self._problem.model, self._problem.optimizer, self._problem.objective
        rows = sequences.rows(batch)
        targets, weights = sequences.targets[rows], None if sequences.weights is None else sequences.weights[rows]
        # MyGrad clears a gradient when its tensor is used again: parameters that these sequences do not use would keep
        # theirs.
        for parameter in (*self._parameters, *optimizer.params):
            parameter.null_grad()
        used = have_rows(sequences, batch)
        pairs = zip(batch[used], keys[used].tolist(), strict=True)
        found = [output_of(model, sequences, index, SequenceDraws(key), objective.added) for index, key in pairs]
        outputs = _stack(found)
        loss = objective(model, outputs, targets, weights)
        loss.backward()
        # A penalty may reach parameters that the model does not use.
        is_unreached = outputs.constant or all(parameter.grad is None for parameter in self._parameters)
        if is_unreached and sequences.lengths[batch].any():
            longest = sequences.features(batch[sequences.lengths[batch].argmax()])
            raise InvalidArgument(unreached(recorded(model, mygrad.tensor(longest)).looks))
        if limit is not None:
            clip_gradients(self._parameters, limit)
        optimizer.step()
        scored = outputs.data[:, : outputs.shape[1] - objective.added]
        return loss.item(), total_score(scored, targets, weights, sequences.kind.scored) if len(rows) else 0


class ChosenEngine:
    """The native engine or MyGrad's; with ``"auto"`` the native one as long as possible."""

    # A model that was changed, usually by a hook, is compiled again. If it was compiled shortly before, MyGrad trains
    # it first for about as long as compiling takes.

    def __init__(self, engine: str, problem: Problem, example: Sequences) -> None:
        reference = MyGradEngine(problem)
        self._fallback = reference if engine == "auto" else None
        self._engine: Engine = reference
        self._problem = problem
        # The steps since the model was compiled again, or given to MyGrad; whether to compile it after enough of them.
        self._steps, self._is_changed = WORTH_COMPILING, False
        if isinstance(example, Windows):
            # Only compiled models carry states from step to step across windows.
            self._fallback = None
            if engine == "mygrad":
                raise InvalidArgument(
                    'truncate needs a compiled model: leave engine at "auto" or "native", or read sequences whole '
                    "(truncate=None, in an experiment truncate=0)"
                )
        if engine == "mygrad":
            return
        try:
            self._engine = self._native(example)
            _warn_of_rounding(problem.model)
        except CompileError as error:
            if isinstance(example, Windows):
                why = str(error).replace(ADVICE, "").rstrip()
                raise CompileError(f"truncate needs a compiled model, and this one is none: {why}") from error
            if self._fallback is None:
                raise
            warn_of_fallback(error)

    def _native(self, example: Sequences) -> NativeEngine:
        # Windows continue up to the end of their sequence.
        whole = example.whole if isinstance(example, Windows) else example
        return NativeEngine(self._problem, compile_for(self._problem.model, whole), example)

    @property
    def name(self) -> str:
        """``"native"`` or ``"mygrad"``."""
        return self._engine.name

    @property
    def iterations_per_call(self) -> int:
        """The number of iterations per call."""
        return self._engine.iterations_per_call

    @property
    def carried(self) -> int:
        """The amount of numbers that a stream carries; 0 if every sequence begins anew."""
        return self._engine.carried

    def doubt(self) -> None:
        """Check the model again before the next iterations, because user code may have changed it."""
        self._engine.doubt()

    def run(self, batches: Batches) -> tuple[Losses, Scores]:
        """Do one iteration for each batch; see `Engine.run`."""
        if self._is_changed and self._steps >= WORTH_COMPILING:
            self._compile_again(batches.sequences)
        try:
            done = self._engine.run(batches)
        except CompileError as error:
            # The engine has restored everything to the state before these iterations.
            if self._fallback is None or not isinstance(self._engine, NativeEngine):
                raise
            self._leave_native(error, self._engine.has_changed)
            return self.run(batches)
        self._steps += int(batches.sequences.lengths[batches.order].sum())
        return done

    def _leave_native(self, error: CompileError, has_changed: bool) -> None:
        assert self._fallback is not None
        self._engine, self._is_changed = self._fallback, has_changed
        if not has_changed:
            warn_of_fallback(error)
        elif self._steps < WORTH_COMPILING:
            self._steps = 0
            warn_of_fallback(error, " for a while")

    def _compile_again(self, sequences: Sequences) -> None:
        self._steps, self._is_changed = 0, False
        try:
            self._engine = self._native(sequences)
        except CompileError as error:
            # It may be changed back.
            self._is_changed = True
            warn_of_fallback(error)

    def checked(self, given: Any) -> str:
        """Return the name of an engine, if this one has that name or can switch to it."""
        name = _checks.one_of("engine", given, ENGINES)
        if name != self.name and (self._fallback is None or name != self._fallback.name):
            raise InvalidArgument(f"engine must be the one that the training was saved with, {name!r}")
        return name

    def become(self, name: str) -> None:
        """Switch to the engine of this name."""
        if name != self.name and self._fallback is not None:
            self._engine, self._is_changed = self._fallback, False


def _warn_of_rounding(model: Any) -> None:
    """Name the parameters whose numbers native training rounds."""
    named = zip(parameter_names(model), parameters_of(model), strict=True)
    rounded = [name for name, parameter in named if parameter.dtype == np.float64]
    if rounded:
        warn(
            f"native training computes in float32 and rounds what is float64 here: {', '.join(rounded)}. "
            "Make parameters with dtype=np.float32, such as mygrad.tensor(np.zeros(5, dtype=np.float32)); or train in "
            'float64 with engine="mygrad", op by op'
        )


def clip_gradients(parameters: tuple[Tensor, ...], limit: float) -> None:
    """Scale all gradients by one factor so that their joint norm is at most `limit` (Pascanu et al., 2013)."""
    gradients = {id(p): p.grad for p in parameters if p.grad is not None}
    norm = np.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients.values()))
    if norm > limit:
        for gradient in gradients.values():
            gradient *= limit / norm


def _stack(rows: list[Tensor]) -> Tensor:
    """Return all rows as one array; without rows, a constant (0, 0)."""
    if not rows:
        return mygrad.zeros((0, 0), dtype=np.float32, constant=True)
    return mygrad.astensor(rows[0]) if len(rows) == 1 else mygrad.concatenate(rows)
