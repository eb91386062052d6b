"""The list of all passes, and their results for a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from myrnn.compiler.by_symbol import by_symbol
from myrnn.compiler.carry import going_on
from myrnn.compiler.derive import ONE_OF_FEATURES, ProgramKind, differentiate, hoist
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.plan import plan
from myrnn.compiler.probe import Traces, trace
from myrnn.compiler.record import Origin
from myrnn.compiler.render.numba import emit
from myrnn.compiler.roll import roll
from myrnn.compiler.schedule import schedule
from myrnn.errors import CompileError, MyRNNError

PASSES = (trace, roll, hoist, differentiate, plan, schedule, emit)
"""The compiler: each pass takes the result of the previous one, a frozen dataclass that `show` prints as text.

The first takes a `Subject`. The results of the first four serve every kind of data; `Derivative.kind` selects one for
the others. But a program that continues from streams, or looks up what it computes from symbols, begins from another
recurrence than `roll` has found.
"""


class Stages:
    """The results of the passes for a model, each computed on first access. Models of one class share them."""

    def __init__(self, traces: Traces, recurrence: Recurrence, *, is_variant: bool = False) -> None:
        self._returned: dict[Any, Any] = {(trace, None): traces, (roll, None): recurrence}
        self._is_variant = is_variant

    def after(self, last: Callable[[Any], Any], kind: ProgramKind = ONE_OF_FEATURES) -> Any:
        """Return the result of a pass, for one kind of data."""
        if (variant := self._variant_for(kind)) is not None:
            return variant.after(last, kind._replace(carried=False))
        position = PASSES.index(last)
        key = last, kind if position >= PASSES.index(plan) else None
        if key not in self._returned:
            before = self.after(PASSES[position - 1], kind)
            self._returned[key] = last(replace(before, kind=kind) if last is plan else before)
        return self._returned[key]

    def _variant_for(self, kind: ProgramKind) -> Stages | None:
        """Return the results for another recurrence that computes the same for such data; None if it is this one."""
        if self._is_variant:
            return None
        if kind.carried:
            return self._going_on
        # A single sequence may have fewer steps than there are symbols.
        return self._by_symbol if kind.tokens and kind.batched else None

    @cached_property
    def _going_on(self) -> Stages:
        """The same for the recurrence that continues from streams."""
        return Stages(self.after(trace), going_on(self.after(roll)), is_variant=True)

    @cached_property
    def _by_symbol(self) -> Stages | None:
        """The same for rows that are symbols, if that makes a difference."""
        found = by_symbol(self.after(roll))
        return None if found is None else Stages(self.after(trace), found, is_variant=True)


@contextmanager
def failures_named(model: Any) -> Iterator[None]:
    """Raise any exception during a compilation as a CompileError that names the model and its line."""
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
            '  If the model runs in MyGrad, this is a bug in the compiler. Train the model with engine="mygrad".'
        ) from error
