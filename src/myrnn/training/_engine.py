"""The engine that a training runs on, and the one that takes its place where the model turns out not to compile."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import compile_for
from myrnn.errors import CompileError, InvalidArgument
from myrnn.sequences import Sequences
from myrnn.training._engines import ENGINES, Correct, Engine, Losses, MyGradEngine
from myrnn.training._native import NativeEngine


class ChosenEngine:
    """The native engine or MyGrad's; with ``"auto"`` the first for as long as it can.

    Parameters
    ----------
    engine : {"auto", "native", "mygrad"}
    model, optimizer, batch_size, gradient_clip, class_weights, example
        As the engines take them.

    Raises
    ------
    CompileError
        When the model has to be native and cannot be.
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
        if engine == "mygrad":
            return
        try:
            compiled = compile_for(model, example)
            self._engine = NativeEngine(compiled, optimizer, batch_size, gradient_clip, class_weights, example)
        except CompileError as error:
            if self._fallback is None:
                raise
            _warn_of_fallback(error)

    @property
    def name(self) -> str:
        """``"native"`` or ``"mygrad"``."""
        return self._engine.name

    @property
    def iterations_per_call(self) -> int:
        """How many iterations to ask for at a time."""
        return self._engine.iterations_per_call

    def clip(self, limit: float | None) -> None:
        """Clip gradients to another norm from now on."""
        for engine in (self._engine, self._fallback):
            if engine is not None:
                engine.gradient_clip = limit

    def run(
        self, sequences: Sequences, order: NDArray[np.int64], rates: NDArray[np.float64] | None
    ) -> tuple[Losses, Correct]:
        """Do one iteration for each row of `order`; see `Engine.run`."""
        try:
            return self._engine.run(sequences, order, rates)
        except CompileError as error:
            # The engine has put everything back to where it was before these iterations.
            if self._fallback is None or self._engine is self._fallback:
                raise
            _warn_of_fallback(error)
            self._engine = self._fallback
            return self._engine.run(sequences, order, rates)

    def checked(self, given: Any) -> str:
        """Return the name of an engine, if this one is that or can become it."""
        name = _checks.one_of("engine", given, ENGINES)
        if name != self.name and (self._fallback is None or name != self._fallback.name):
            raise InvalidArgument(f"engine must be the one that the training was saved with, {name!r}")
        return name

    def become(self, name: str) -> None:
        """Be the engine of this name from now on."""
        if name != self.name and self._fallback is not None:
            self._engine = self._fallback


def _warn_of_fallback(error: CompileError) -> None:
    warnings.warn(f"training goes on op by op with MyGrad, because {error}", stacklevel=6)
