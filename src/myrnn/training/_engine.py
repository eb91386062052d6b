"""The engine that a training runs on, and the one that takes its place where the model turns out not to compile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.compiler import compile_for
from myrnn.errors import CompileError, InvalidArgument
from myrnn.sequences import Sequences
from myrnn.training._engines import ENGINES, Correct, Engine, Losses, MyGradEngine
from myrnn.training._native import NativeEngine

# Compiling takes about as long as MyGrad takes for so many steps of sequences.
WORTH_COMPILING = 50_000


class ChosenEngine:
    """The native engine or MyGrad's; with ``"auto"`` the first for as long as it can.

    A model that was changed, by a hook as a rule, is compiled again. Where it was compiled only shortly before, MyGrad
    first goes on with it for as long as compiling takes. The other arguments are those of the engines.
    """

    def __init__(
        self,
        engine: str,
        model: Any,
        optimizer: Any,
        batch_size: int,
        gradient_clip: float | None,
        class_weights: NDArray[np.float32] | None,
        example: Sequences,
    ) -> None:
        reference = MyGradEngine(model, optimizer, batch_size, gradient_clip, class_weights)
        self._fallback = reference if engine == "auto" else None
        self._engine: Engine = reference
        self._model, self._optimizer, self._batch_size = model, optimizer, batch_size
        self._class_weights = class_weights
        # The steps since the model was compiled again, or given to MyGrad; whether to compile it after enough of them.
        self._steps, self._is_changed = WORTH_COMPILING, False
        if engine == "mygrad":
            return
        try:
            self._engine = self._native(example, gradient_clip)
        except CompileError as error:
            if self._fallback is None:
                raise
            _warn_of_fallback(error)

    def _native(self, example: Sequences, gradient_clip: float | None) -> NativeEngine:
        compiled = compile_for(self._model, example)
        return NativeEngine(compiled, self._optimizer, self._batch_size, gradient_clip, self._class_weights, example)

    @property
    def name(self) -> str:
        """``"native"`` or ``"mygrad"``."""
        return self._engine.name

    @property
    def iterations_per_call(self) -> int:
        """How many iterations to ask for at a time."""
        return self._engine.iterations_per_call

    def doubt(self) -> None:
        """Check the model again before the next iterations: the user's code ran, and may have changed it."""
        if isinstance(self._engine, NativeEngine):
            self._engine.doubt()

    def clip(self, limit: float | None) -> None:
        """Clip gradients to another norm from now on."""
        for engine in (self._engine, self._fallback):
            if engine is not None:
                engine.gradient_clip = limit

    def run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64] | None
    ) -> tuple[Losses, Correct]:
        """Do one iteration for each row of `order`; see `Engine.run`."""
        if self._is_changed and self._steps >= WORTH_COMPILING:
            self._compile_again(sequences)
        try:
            done = self._engine.run(sequences, order, rates)
        except CompileError as error:
            # The engine has put everything back to where it was before these iterations.
            if self._fallback is None or not isinstance(self._engine, NativeEngine):
                raise
            self._leave_native(error, self._engine.has_changed)
            return self.run(sequences, order, rates)
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
        """Return the name of an engine, if this one is that or can become it."""
        name = _checks.one_of("engine", given, ENGINES)
        if name != self.name and (self._fallback is None or name != self._fallback.name):
            raise InvalidArgument(f"engine must be the one that the training was saved with, {name!r}")
        return name

    def become(self, name: str) -> None:
        """Be the engine of this name from now on."""
        if name != self.name and self._fallback is not None:
            self._engine, self._is_changed = self._fallback, False


def _warn_of_fallback(error: CompileError, how_long: str = "") -> None:
    warn(f"training goes on op by op with MyGrad{how_long}, because {error}")
