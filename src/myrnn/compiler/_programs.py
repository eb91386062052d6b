"""The programs of a compiled model: one for each kind of data, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from mygrad import Tensor

from myrnn.compiler.derive import Derivative, differentiate, hoist
from myrnn.compiler.emit import Program, emit, module_source
from myrnn.compiler.guard import verify
from myrnn.compiler.native import Block, Native
from myrnn.compiler.plan import Kind, plan
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.schedule import schedule
from myrnn.compiler.show import write_equations
from myrnn.compiler.trace import MYGRAD, Origin
from myrnn.errors import CompileError, MyRNNError
from myrnn.models import parameter_names


class Programs:
    """Emits and compiles a model's recurrence, and keeps what came of it.

    Parameters
    ----------
    model : callable
    parameters : tuple of Tensor
        Those of the model.
    recurrence : Recurrence
        What was found of it.
    """

    def __init__(self, model: Any, parameters: tuple[Tensor, ...], recurrence: Recurrence) -> None:
        self._model, self._parameters, self._recurrence = model, parameters, recurrence
        self._emitted: dict[Kind, tuple[Program, str]] = {}
        self._natives: dict[Kind, Native] = {}

    def of(self, model: Any, parameters: tuple[Tensor, ...]) -> Programs:
        """Return the programs of another model with the same recurrence: what was emitted serves both."""
        programs = Programs(model, parameters, self._recurrence)
        programs.__dict__["derivative"] = self.derivative
        programs._emitted = self._emitted
        return programs

    @cached_property
    def derivative(self) -> Derivative:
        """The derivatives of the recurrence, as graphs."""
        with failures_named(self._model):
            return differentiate(hoist(self._recurrence, self._shapes))

    def emitted(self, *, tokens: bool, batched: bool, observed: bool = False) -> tuple[Program, str]:
        """Return the program for this kind of data, and the text of its module."""
        kind = Kind(tokens, batched, observed)
        if kind not in self._emitted:
            self._emitted[kind] = self._emit(*kind)
        return self._emitted[kind]

    def _emit(self, tokens: bool, batched: bool, observed: bool) -> tuple[Program, str]:
        names = parameter_names(self._model)
        program = emit(schedule(plan(self.derivative, self._shapes, names, Kind(tokens, batched, observed))))
        # Without the name of the model's class: classes with the same equations share their machine code.
        header = f"A recurrent model, compiled.\n\n{write_equations(self._recurrence, names)}"
        return program, module_source(program, header, tokens, batched, self._recurrence.reverse)

    def native(self, *, tokens: bool, batched: bool, max_length: int) -> Native:
        """Return the compiled program for this kind of data, checked against the model up to `max_length`.

        Raises
        ------
        NotARecurrence
            When loss or gradients of random sequences differ from MyGrad's by more than rounding.
        """
        return self._checked(Kind(tokens, batched), max_length)

    def observer(self, *, max_length: int) -> Native:
        """Return the program for one sequence of features that keeps what it computes on the way, checked, too."""
        return self._checked(Kind(tokens=False, batched=False, observed=True), max_length)

    def _checked(self, kind: Kind, max_length: int) -> Native:
        tokens, batched, observed = kind
        with MYGRAD, failures_named(self._model):
            if kind in self._natives:
                return self._natives[kind]
            program, source = self.emitted(tokens=tokens, batched=batched, observed=observed)
            native = Native(program, source, tokens, batched)
            if verify(self._model, native, self._recurrence.dim_input, max_length):
                self._natives[kind] = native
            return native

    def parameter_block(self, native: Native) -> Block:
        """Return the model's parameters in the layout of a program."""
        # Who compiles this very model meanwhile tries other numbers in them.
        with MYGRAD:
            return native.block_of([parameter.data for parameter in self._parameters])

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [parameter.shape for parameter in self._parameters]


@contextmanager
def failures_named(model: Any) -> Iterator[None]:
    """Raise whatever fails while a model is compiled as a CompileError that names the model and its line."""
    try:
        yield
    except (MyRNNError, MemoryError):
        raise
    except Exception as error:
        code = getattr(type(model).__call__, "__code__", None)
        line = f"\n  {Origin(code.co_filename, code.co_firstlineno)}" if code else ""
        reason = f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__
        raise CompileError(
            f"{type(model).__name__} cannot be compiled ({reason}).{line}\n"
            '  If the model runs in MyGrad, this is a fault of the compiler. Train the model with engine="mygrad".'
        ) from error
