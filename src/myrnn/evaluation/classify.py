"""Sequences to test a model on, and the model's outputs for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import mygrad
import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._signals import held_interrupts
from myrnn.compiler import CompiledModel, compile
from myrnn.compiler.compilation import compile_for, warn_of_fallback
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import CompileError, InvalidArgument, NotFinite
from myrnn.finite import is_lost
from myrnn.models import Recognizer
from myrnn.models.model import num_classes, parameter_names, parameters_of
from myrnn.sequences import LARGEST_INT32, Sequences, given_sequences
from myrnn.targets import CLASS, SEVERAL
from myrnn.tasks import recognition_of
from myrnn.training.outputs import reference_in_parts, reference_logits
from myrnn.training.progress import progress_display
from myrnn.training.settings import ENGINES

# The approximate number of sequences between two updates of the progress display: op by op, and natively.
PORTION, NATIVE_PORTION = 1000, 20_000

Found = TypeVar("Found")
# Takes the place of some rows among all, and their logits.
Use = Callable[[slice, NDArray[np.float32]], Found]


def draw(task: Any, samples: int, seed: int, lengths: ArrayLike | None) -> Sequences:
    """Return sequences drawn from a task, or the given ones; each must have a class."""
    drawn = draw_any(task, samples, seed, lengths)
    drawn.check_labels()
    return drawn


def draw_any(task: Any, samples: int, seed: int, lengths: ArrayLike | None) -> Sequences:
    """Return sequences drawn from a task, or the given ones, with any targets."""
    drawn = drawn_or_given("task", recognition_of(task), samples, seed, lengths)
    if not len(drawn):
        raise InvalidArgument("task holds no sequence to evaluate on")
    return drawn


def drawn_or_given(
    name: str, task: Any, samples: int, seed: int, lengths: ArrayLike | None = None, dim_input: int | None = None
) -> Sequences:
    """Return sequences drawn from a task, or the given ones; `name` is that of the argument `task`."""
    count = _checks.integer("samples", samples, minimum=1)
    given = given_sequences(task, count, dim_input)
    if given is not None:
        if lengths is not None:
            raise InvalidArgument("lengths can be asked of a task that draws, not of given sequences")
        return given
    if not callable(getattr(task, "sample", None)):
        raise InvalidArgument(
            f"{name} must be a task, a Sequences or an iterable of (x, y) pairs, not {type(task).__name__}"
        )
    rng = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    return task.sample(count, rng) if lengths is None else _equally_often(task, lengths, count, rng)


def as_tested(model: Any, task: Any) -> tuple[Any, Any]:
    """Return a model and its task as they are tested: if it learned more than recognition, recognition alone."""
    inner = model.model if isinstance(model, CompiledModel) else model
    recognition = recognition_of(task)
    if recognition is task or isinstance(inner, Recognizer):
        return model, recognition
    if getattr(inner, "dim_output", task.dim_output) != task.dim_output:
        raise InvalidArgument(
            f"the task trains {task.dim_output} outputs, of which the first {recognition.dim_output} are classes, but "
            f"the model has {inner.dim_output}"
        )
    return Recognizer(inner, recognition.dim_output), recognition


def check_classes(sequences: Sequences) -> None:
    """Refuse sequences without a class, or several at once, for each sequence or each step."""
    if sequences.kind.what != SEVERAL and (sequences.kind.what != CLASS or not sequences.per_step):
        sequences.check_labels()


def classes_of(task: Any, outputs: int | None = None) -> tuple[str, ...]:
    """Return the names of a task's classes: its own, or their numbers; further outputs of a model have numbers."""
    count: Any = getattr(task, "dim_output", outputs)
    names = _checks.names("class_names", getattr(task, "class_names", None), count)
    return tuple(names + [f"class {label}" for label in range(len(names), outputs or 0)])


class Classifier:
    """A model with an engine: native if it compiles, otherwise op by op."""

    def __init__(self, model: Any, engine: str) -> None:
        self._compiled = model if isinstance(model, CompiledModel) else None
        self.model = model.model if isinstance(model, CompiledModel) else model
        parameters_of(self.model)
        self._engine = _checks.one_of("engine", engine, ENGINES)

    def scores(self, sequences: Sequences, progress: bool | None = False) -> NDArray[np.float32]:
        """Return the logits of every sequence, float32 (N, K), or of every step; some may not be finite."""
        readable = self._readable(sequences)

        def native(compiled: CompiledModel) -> NDArray[np.float32]:
            if progress is not False:
                # Compile before there is a progress bar, because the compilation shows its own line.
                compiled.logits(readable[:2])
            return _in_portions(lambda part: compiled.logits(readable[part]), len(readable), NATIVE_PORTION, progress)

        def reference() -> NDArray[np.float32]:
            classify = partial(reference_logits, self.model, readable)
            return _in_portions(classify, len(readable), PORTION, progress)

        logits = self._run(readable, native, reference)
        self._check_scores(readable, logits)
        return logits

    def prepare(self, sequences: Sequences) -> None:
        """Compile what computes the logits of such sequences."""
        self._run(sequences, lambda compiled: compiled.prepare(sequences), lambda: None)

    def in_parts(self, sequences: Sequences, use: Use[Found]) -> list[Found]:
        """Call `use` with some rows of `scores` at a time and their place among all; return all that it returned."""
        # This takes little memory, however many steps there are. If the compiled model fails on the way, all parts come
        # again, from MyGrad.
        readable = self._readable(sequences)

        def used(parts: Iterable[tuple[slice, NDArray[np.float32]]]) -> list[Found]:
            found = []
            with held_interrupts() as obey:
                for place, logits in parts:
                    self._check_scores(readable, logits)
                    found.append(use(place, logits))
                    obey()
            return found

        return self._run(
            readable,
            lambda compiled: used(compiled.logits_in_parts(readable)),
            lambda: used(reference_in_parts(self.model, readable)),
        )

    def _run(
        self, sequences: Sequences, native: Callable[[CompiledModel], Found], reference: Callable[[], Found]
    ) -> Found:
        """Return what the compiled model gives, or MyGrad for a model that does not compile."""
        # MyGrad's sigmoid overflows on its way to 0; any other overflow is visible in the logits.
        with np.errstate(over="ignore", invalid="ignore"):
            if self._engine != "mygrad":
                try:
                    return native(self._compiled_for(sequences))
                except CompileError as error:
                    if self._engine == "native":
                        raise
                    warn_of_fallback(error)
                    self._engine = "mygrad"
            return reference()

    def _check_scores(self, sequences: Sequences, logits: NDArray[np.float32]) -> None:
        if sequences.kind.what == CLASS and len(logits):
            classes, largest = num_classes((1, *logits.shape[1:])), sequences.targets.max(initial=0)
            if classes <= largest:
                raise InvalidArgument(f"a label is {largest}, but the model has {classes} classes, 0 .. {classes - 1}")
        if is_lost(logits).any():
            self._check_parameters()

    def _check_parameters(self) -> None:
        """Refuse a model with parameters that are not finite: it fails on every sequence."""
        named = zip(parameter_names(self.model), parameters_of(self.model), strict=True)
        lost = next((name for name, parameter in named if not np.isfinite(parameter.data).all()), None)
        if lost is not None:
            raise NotFinite(f"the model cannot be evaluated: its {lost} holds numbers that are not finite")

    def _compiled_for(self, sequences: Sequences) -> CompiledModel:
        if self._compiled is None:
            self._compiled = compile_for(self.model, sequences)
        return self._compiled

    def _readable(self, sequences: Sequences) -> Sequences:
        if not len(sequences):
            raise InvalidArgument("there is no sequence: the model can only be evaluated on one or more")
        width = self._width(sequences.dim_input)
        if width == sequences.dim_input:
            return sequences
        if sequences.is_tokens and sequences.dim_input < width:
            return sequences.over(width)
        kind = "symbols" if sequences.is_tokens else "features"
        wanted = _checks.count_of(width, "input")
        raise InvalidArgument(f"the sequences have {sequences.dim_input} {kind}, but the model takes {wanted}")

    def _width(self, asked: int) -> int:
        """Return C: that of the model, or the requested one if the model accepts it."""
        width = getattr(self.model, "dim_input", None)
        if isinstance(width, int | np.integer) and width > 0:
            return int(width)
        if self._compiled is not None:
            return self._compiled.dim_input
        try:
            with MYGRAD, mygrad.no_autodiff:
                self.model(np.zeros((3, asked), dtype=np.float32))
        except Exception:
            return self._compiled_width(asked)
        return asked

    def _compiled_width(self, asked: int) -> int:
        """Return the C that the compiler finds, or else `asked`, for which the model raises its own error."""
        try:
            return compile(self.model).dim_input
        except CompileError:
            return asked


def _equally_often(task: Any, lengths: ArrayLike, samples: int, rng: np.random.Generator) -> Sequences:
    wanted = _checks.integers("lengths", lengths, minimum=0, maximum=LARGEST_INT32)
    if not wanted.size:
        raise InvalidArgument("lengths is empty: name at least one length")
    distinct = np.unique(wanted)
    return task.sample_lengths(np.repeat(distinct, max(1, samples // distinct.size)), rng)


def _in_portions(
    classify: Callable[[NDArray[np.int64]], NDArray[np.float32]], count: int, portion: int, progress: bool | None
) -> NDArray[np.float32]:
    """Classify the sequences 0 .. count - 1 in portions of equal size, and show the progress."""
    display = progress_display(progress, "evaluating", count, "sequences")
    parts = []
    try:
        with held_interrupts() as obey:
            for indices in np.array_split(np.arange(count), -(-count // portion)):
                parts.append(classify(indices))
                if display is not None:
                    display.update(int(indices[-1]) + 1)
                obey()
    finally:
        if display is not None:
            display.close()
    return np.concatenate(parts)
