"""Engines that run iterations: MyGrad op by op, the reference, and the choice between it and native code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import failure, warn
from myrnn.added_loss import with_added
from myrnn.compiler.model import compile_for
from myrnn.compiler.probe import ADVICE, unreached
from myrnn.compiler.trace import MYGRAD, lines_that_look
from myrnn.errors import CompileError, InvalidArgument, MyRNNError
from myrnn.losses import Objective
from myrnn.models.model import parameter_names, parameters_of
from myrnn.randomness import Keys, RandomSource, SequenceDraws, keys_of, run_with
from myrnn.sequences import Sequences, groups
from myrnn.targets import TargetKind
from myrnn.training.native import Losses, NativeEngine, Scores
from myrnn.training.outputs import checked_columns, scores_dtype, total_score
from myrnn.training.settings import ENGINES
from myrnn.training.windows import Windows

# Compiling takes about as long as MyGrad takes for this many steps of sequences.
WORTH_COMPILING = 50_000
# The shape of a model's logits is determined on this many steps of a sequence, fewer if they have more numbers (16 MB).
BEGINNING, BEGINNING_NUMBERS = 500, 2**22
# The steps of sequences whose outputs are kept at once.
STEPS_OF_A_PART = 2000
# The number of steps in the test of whether a model sees future steps.
TRIED = 6


class Engine(Protocol):
    """Trains a model in place, iteration by iteration."""

    name: str
    iterations_per_call: int  # the number of iterations per call, so that progress can be shown in between
    gradient_clip: float | None  # the largest joint norm of all gradients; it may be changed between two calls

    def run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64] | None, first: int
    ) -> tuple[Losses, Scores]:
        """Do one iteration for each row of `order`, int64 (n, B); return its mean losses and scores before the step."""
        # Without `rates`, the optimizer's learning rate stays. `first` numbers the first iteration: the model draws by
        # it. A score is the number of right classes, or the sum of `total_score`.
        ...


class MyGradEngine:
    """The reference: every operation of every step through MyGrad."""

    name = "mygrad"

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        batch_size: int,
        gradient_clip: float | None,
        objective: Objective,
        seed: int,
    ) -> None:
        self._model, self._optimizer, self.gradient_clip = model, optimizer, gradient_clip
        self._seed = seed
        self._objective = objective
        self._parameters = parameters_of(model)
        # Few, since Ctrl-C is handled between two calls.
        self.iterations_per_call = max(1, 16 // batch_size)

    def run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64] | None, first: int
    ) -> tuple[Losses, Scores]:
        """Do one iteration for each row of `order`; see `Engine.run`."""
        losses, scores = np.empty(len(order)), np.empty(len(order), dtype=scores_dtype(sequences.kind))
        own = None if rates is None else self._optimizer.learning_rate
        keys = keys_of(self._seed, first, order.shape)
        try:
            for row, batch in enumerate(order):
                if rates is not None:
                    self._optimizer.learning_rate = float(rates[row])
                with MYGRAD:
                    losses[row], scores[row] = self._iterate(sequences, batch, keys[row])
        finally:
            # The rate that a hook finds there, and may set, is the optimizer's own.
            if rates is not None:
                self._optimizer.learning_rate = own
        return losses, scores

    def _iterate(self, sequences: Sequences, batch: NDArray[np.int64], keys: Keys) -> tuple[float, Any]:
        added = self._objective.added
        rows = sequences.rows(batch)
        targets, weights = sequences.targets[rows], None if sequences.weights is None else sequences.weights[rows]
        # MyGrad clears a gradient when its tensor is used again: parameters that these sequences do not use would keep
        # theirs.
        for parameter in (*self._parameters, *self._optimizer.params):
            parameter.null_grad()
        used = _have_rows(sequences, batch)
        pairs = zip(batch[used], keys[used].tolist(), strict=True)
        outputs = _stack([_output(self._model, sequences, index, SequenceDraws(key), added) for index, key in pairs])
        loss = self._objective(self._model, outputs, targets, weights)
        loss.backward()
        # A penalty may reach parameters that the model does not use.
        is_unreached = outputs.constant or all(parameter.grad is None for parameter in self._parameters)
        if is_unreached and sequences.lengths[batch].any():
            longest = sequences.features(batch[sequences.lengths[batch].argmax()])
            raise InvalidArgument(unreached(lines_that_look(self._model, longest)))
        if self.gradient_clip is not None:
            clip_gradients(self._parameters, self.gradient_clip)
        self._optimizer.step()
        scored = outputs.data[:, : outputs.shape[1] - added]
        return loss.item(), total_score(scored, targets, weights, sequences.kind.scored) if len(rows) else 0


class ChosenEngine:
    """The native engine or MyGrad's; with ``"auto"`` the native one as long as possible."""

    # A model that was changed, usually by a hook, is compiled again. If it was compiled shortly before, MyGrad trains
    # it first for about as long as compiling takes.

    def __init__(
        self,
        engine: str,
        model: Any,
        optimizer: Any,
        batch_size: int,
        gradient_clip: float | None,
        objective: Objective,
        example: Sequences,
        seed: int,
    ) -> None:
        self._seed = seed
        reference = MyGradEngine(model, optimizer, batch_size, gradient_clip, objective, seed)
        self._fallback = reference if engine == "auto" else None
        self._engine: Engine = reference
        self._model, self._optimizer, self._batch_size = model, optimizer, batch_size
        self._objective = objective
        # The steps since the model was compiled again, or given to MyGrad; whether to compile it after enough of them.
        self._steps, self._is_changed = WORTH_COMPILING, False
        if isinstance(example, Windows):
            # Only compiled models carry states from step to step across windows.
            self._fallback = None
            if engine == "mygrad":
                raise InvalidArgument(
                    'truncate needs a compiled model: leave engine at "auto" or "native", or read sequences whole '
                    "(truncate=None; --truncate 0)"
                )
        if engine == "mygrad":
            return
        try:
            self._engine = self._native(example, gradient_clip)
            _warn_of_rounding(model)
        except CompileError as error:
            if isinstance(example, Windows):
                why = str(error).replace(ADVICE, "").rstrip()
                raise CompileError(f"truncate needs a compiled model, and this one is none: {why}") from error
            if self._fallback is None:
                raise
            _warn_of_fallback(error)

    def _native(self, example: Sequences, gradient_clip: float | None) -> NativeEngine:
        # Windows continue up to the end of their sequence.
        compiled = compile_for(self._model, example.whole if isinstance(example, Windows) else example)
        return NativeEngine(
            compiled, self._optimizer, self._batch_size, gradient_clip, self._objective, example, self._seed
        )

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
        return self._engine.carried if isinstance(self._engine, NativeEngine) else 0

    def doubt(self) -> None:
        """Check the model again before the next iterations, because user code may have changed it."""
        if isinstance(self._engine, NativeEngine):
            self._engine.doubt()

    def clip(self, limit: float | None) -> None:
        """Clip gradients to another norm from now on."""
        for engine in (self._engine, self._fallback):
            if engine is not None:
                engine.gradient_clip = limit

    def run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64] | None, first: int
    ) -> tuple[Losses, Scores]:
        """Do one iteration for each row of `order`; see `Engine.run`."""
        if self._is_changed and self._steps >= WORTH_COMPILING:
            self._compile_again(sequences)
        try:
            done = self._engine.run(sequences, order, rates, first)
        except CompileError as error:
            # The engine has restored everything to the state before these iterations.
            if self._fallback is None or not isinstance(self._engine, NativeEngine):
                raise
            self._leave_native(error, self._engine.has_changed)
            return self.run(sequences, order, rates, first)
        self._steps += int(sequences.lengths[order].sum())
        return done

    def _leave_native(self, error: CompileError, has_changed: bool) -> None:
        assert self._fallback is not None
        self._engine, self._is_changed = self._fallback, has_changed
        if not has_changed:
            _warn_of_fallback(error)
        elif self._steps < WORTH_COMPILING:
            self._steps = 0
            _warn_of_fallback(error, " for a while")

    def _compile_again(self, sequences: Sequences) -> None:
        self._steps, self._is_changed = 0, False
        try:
            self._engine = self._native(sequences, self._engine.gradient_clip)
        except CompileError as error:
            # It may be changed back.
            self._is_changed = True
            _warn_of_fallback(error)

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


def _warn_of_fallback(error: CompileError, how_long: str = "") -> None:
    warn(f"training goes on op by op with MyGrad{how_long}, because {error}")


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


def reference_logits(model: Any, sequences: Sequences, indices: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Return the outputs, op by op and without a graph: float32 (N, K) or, if steps have targets, (sum of T, K)."""
    chosen = np.arange(len(sequences)) if indices is None else indices
    rows = []
    for index in chosen[_have_rows(sequences, chosen)]:
        with MYGRAD, mygrad.no_autodiff:
            rows.append(np.asarray(_output(model, sequences, index)))
    return np.concatenate(rows).astype(np.float32) if rows else np.empty((0, 0), dtype=np.float32)


def reference_in_parts(model: Any, sequences: Sequences) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the outputs of `reference_logits`, some rows at a time, each part with its place among all rows."""
    if not sequences.per_step:
        yield slice(0, len(sequences)), reference_logits(model, sequences)
        return
    for part in groups(sequences.lengths, STEPS_OF_A_PART):
        place = slice(*sequences.offsets[[part.start, part.stop]].tolist())
        if place.start < place.stop:
            yield place, reference_logits(model, sequences, np.arange(part.start, part.stop))


def columns_of(model: Any, sequences: Sequences) -> int:
    """Run the model on one sequence and return K; raise an error if its result is invalid."""
    return tried_on(model, sequences)[0]


def tried_on(model: Any, sequences: Sequences) -> tuple[int, bool]:
    """Run the model on one sequence; return K, and whether it adds to its loss, or raise InvalidArgument."""
    made_for, width = getattr(model, "dim_input", None), sequences.dim_input
    if isinstance(made_for, int | np.integer) and made_for != width:
        kind = "symbols" if sequences.is_tokens else "features"
        raise InvalidArgument(
            f"the sequences have {width} {kind}, but {type(model).__name__} was made for "
            f"{_checks.count_of(made_for, 'input')}: "
            f"make it with dim_input={width}"
        )
    # With one step, a row for each step is a row for the sequence; and without steps, nothing may be added to the loss.
    index = int((sequences.lengths if sequences.per_step else sequences.lengths > 0).argmax())
    try:
        # The beginning of a long sequence is enough.
        beginning = sequences.features(index, min(BEGINNING, max(2, BEGINNING_NUMBERS // width)))
        return _tried(model, beginning, sequences.kind)
    except MyRNNError:
        # The model may need the whole sequence.
        return _tried(model, sequences.features(index), sequences.kind)


def check_sees_no_future(model: Any, sequences: Sequences) -> None:
    """Refuse a model whose output at a step depends on later steps: it would read the answer instead of learning it."""
    # The test continues the beginning of the longest sequence in two ways, with the weights of the model and with small
    # ones: with large weights, units are saturated and hide what they depend on. A model that fails on so short a
    # sequence is not tested.
    first = sequences.features(int(sequences.lengths.argmax()), TRIED)
    changed = np.roll(first, 1, axis=1) if sequences.is_tokens else -1 - first
    continued = [first, *(np.concatenate([first[:begin], changed[begin:]]) for begin in range(1, len(first)))]
    for weights in (nullcontext(), _small_weights(model)):
        with weights, np.errstate(over="ignore", invalid="ignore"), MYGRAD, mygrad.no_autodiff:
            try:
                outputs, *others = [np.asarray(model(x)) for x in continued]
            except Exception:
                return
        for begin, other in enumerate(others, 1):
            if not np.allclose(outputs[:begin], other[:begin], rtol=1e-4, atol=1e-5, equal_nan=True):
                raise InvalidArgument(
                    "the model's output after a step depends on later steps, which contain the targets: it must not "
                    "read backward (bidirectional=False)"
                )


@contextmanager
def _small_weights(model: Any) -> Iterator[None]:
    """Scale each parameter to a norm of at most 1 for the block."""
    before = {id(parameter): (parameter, parameter.data) for parameter in parameters_of(model)}
    try:
        for parameter, data in before.values():
            parameter.data = (data / max(1.0, float(np.linalg.norm(data)))).astype(data.dtype)
        yield
    finally:
        for parameter, data in before.values():
            parameter.data = data


def _tried(model: Any, x: NDArray[np.float32], kind: TargetKind) -> tuple[int, bool]:
    try:
        # Numbers may overflow, as in training: that ends in a loss that is refused.
        with np.errstate(over="ignore", invalid="ignore"), MYGRAD, mygrad.no_autodiff:
            found, added = with_added(model, x)
            _checks.of_mygrad("the result of the model", found)
            outputs = np.asarray(found)
    except MyRNNError:
        raise
    except Exception as error:
        raise InvalidArgument(f"the model fails on a sequence of shape {x.shape}: {failure(error)}") from error
    return checked_columns(outputs.shape, kind, len(x)), bool(added)


def _have_rows(sequences: Sequences, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the sequences have targets: if each step has one, an empty sequence has none."""
    return (sequences.lengths[indices] > 0) | (not sequences.per_step)


def _output(model: Any, sequences: Sequences, index: int, source: RandomSource | None = None, added: int = 0) -> Any:
    """Run the model on a sequence and return its outputs, whose shape fits the targets."""
    # With a source, as in training, it draws random numbers. The last `added` outputs have no target.
    features = sequences.features(index)
    output = model(features) if source is None else run_with(source, model, features)
    shape = np.shape(output)
    if added:
        shape = *shape[:-1], shape[-1] - added
    checked_columns(shape, sequences.kind, int(sequences.lengths[index]))
    return output


def _stack(rows: list[Tensor]) -> Tensor:
    """Return all rows as one array; without rows, a constant (0, 0)."""
    if not rows:
        return mygrad.zeros((0, 0), dtype=np.float32, constant=True)
    return mygrad.astensor(rows[0]) if len(rows) == 1 else mygrad.concatenate(rows)
