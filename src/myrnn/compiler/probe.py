"""Stage 1: run the model at several lengths, with several values, to find its computation and what it depends on."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.compiler.calls import check_calls
from myrnn.compiler.differences import ADVICE, difference_message
from myrnn.compiler.draws import drawn_whole, find_draws, ordered, settled, turned
from myrnn.compiler.graph import Builder, topological
from myrnn.compiler.growth import check_growth
from myrnn.compiler.leaves import Drawn
from myrnn.compiler.record import Origin, takes_numbers
from myrnn.compiler.reference import answer, gradients_kept, shifted, with_values
from myrnn.compiler.trace import Trace, trace_once
from myrnn.errors import CompileError, NotARecurrence, NotDeterministic
from myrnn.models.model import parameter_names
from myrnn.sequences import one_hot

# Lengths that are traced to find the loop; the longest requested one is traced as well.
PROBES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13)
# How many steps a model may look back: few, and if no loop is found, more.
BACK = (3, 10)
# The largest distance in steps of successive states, such as those of a dilated loop.
APART = 4


def middle_of(back: int) -> int:
    """Return the step that is analysed for a loop that looks back at up to `back` steps."""
    return back + 2


def most_lag(back: int) -> int:
    """Return how many steps before it a step may read, if the traces are for a loop that looks back at `back` steps."""
    return back + 1


def longest_of(back: int) -> int:
    """Return the longest length whose trace is needed to see such a step, and those after it."""
    return 2 * middle_of(back) + 3


def lengths_for(back: int, apart: int = 1) -> set[int]:
    """Return the lengths whose traces show a loop that looks back at up to `back` steps."""
    middle, longest = middle_of(back), longest_of(back)
    # Long traces have space for steps that differ in turn.
    before, after = (0, 5) if back == BACK[0] else (4, 6)
    return {1, 2, 3, 4, *range(middle - before, middle + after), *range(longest - 2 * apart + 1, longest + 1)}


@dataclass(frozen=True)
class Subject:
    """A model to compile."""

    model: Any
    parameters: tuple[Tensor, ...]
    dim_input: int  # C
    longest: int  # the length up to which it is checked to be a recurrence
    back: int = BACK[0]  # how many steps it may look back


@dataclass(frozen=True)
class Traces:
    """The computation of a model for sequences of several lengths, as graphs that share one builder."""

    # Computations on constants stay as written: they show the initial states.

    by_length: dict[int, Trace]
    dim_input: int
    # The shapes of the parameters, in the model's order.
    parameter_names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    back: int = BACK[0]
    # Whether the model gives logits for every step, (T, K), instead of only (1, K).
    per_step: bool = False
    # Its random numbers, and whether the direction of their steps is uncertain.
    draws: tuple[Drawn, ...] = ()
    uncertain: bool = False
    # The largest distance in steps of successive states.
    apart: int = 1

    def settled(self) -> Traces:
        """Return the traces with random numbers in the form that steps, or the sequence, read."""
        return replace(self, by_length={n: settled(trace, self.draws) for n, trace in self.by_length.items()})

    def turned(self) -> Traces:
        """Return the traces with uncertain steps of random numbers counted the other way."""
        return replace(self, draws=turned(self.draws, self.by_length[max(self.by_length)]), uncertain=False)


@contextmanager
def _any_length(length: int) -> Iterator[None]:
    """Say what a model needs that fails at a length: more positions, as in ``P[t]``, or other groups of rows."""
    try:
        yield
    except CompileError as error:
        if isinstance(error.__cause__, ValueError) and "reshape" in str(error.__cause__):
            raise CompileError(
                f"{error}\n  The compiler runs a model on sequences of all lengths. To read two rows in a step, write\n"
                "  for t in range(0, len(x) - 1, 2), with x[t] and x[t + 1]; or make them one row of the data.\n"
                '  If all sequences have the right length, you can train with engine="mygrad".'
            ) from error.__cause__
        if not isinstance(error.__cause__, IndexError):
            raise
        needed = max(length, *PROBES)
        raise CompileError(
            f"{error}\n  The compiler runs a model on sequences of up to {needed} steps, even if those of the data are "
            f"shorter:\n  a table of positions, such as P in P[t], needs {needed} rows or more."
        ) from error.__cause__


def trace(subject: Subject) -> Traces:
    """Trace the model at several lengths, and again with other values, which must change nothing."""
    model, parameters, dim_input = subject.model, subject.parameters, subject.dim_input
    rng, build = np.random.default_rng(0), Builder(fold=False)
    with gradients_kept(parameters):
        traces: dict[int, Trace] = {}

        def trace_of(n: int) -> Trace:
            with _any_length(n):
                return traced_with_array(model, parameters, _random_rows(n, dim_input, rng), build)

        def trace_at(lengths: Collection[int]) -> None:
            for n in lengths:
                traces[n] = trace_of(n)

        x = _random_rows(5, dim_input, rng)
        with _any_length(len(x)):
            check_calls(model, parameters, x, build)
        trace_at(PROBES)
        check_growth(traces, trace_of)
        lengths = {*PROBES, *lengths_for(subject.back), max(subject.longest, 9)}
        trace_at(sorted(lengths - {*PROBES}))
        apart = 1 if subject.back == BACK[0] else _apart(traces)
        trace_at(lengths_for(subject.back, apart) - lengths)
        _check_reaches_parameters(traces)
        per_step = _gives_every_step(traces)
        if (empty := empty_trace(model, parameters, dim_input, build)) is not None:
            traces[0] = empty
        tokens, large = one_hot(rng.integers(0, dim_input, 5), dim_input), 10 * _random_rows(5, dim_input, rng)
        for values in (tokens, large):
            _same_graph(traces[5], trace_once(model, parameters, values, build), "the values of the sequence")
        with with_values(parameters, shifted(parameters, rng)):
            before = [parameter.data.tobytes() for parameter in parameters]
            _same_graph(traces[5], trace_once(model, parameters, x, build), "the values of its parameters")
            if before != [parameter.data.tobytes() for parameter in parameters]:
                raise NotDeterministic(
                    "a call of the model changes the numbers of its parameters, which only training may: change them\n"
                    '  between calls, in a hook, or train it with engine="mygrad".'
                )
    shapes = tuple(parameter.shape for parameter in parameters)
    draws = find_draws(traces)
    whole = drawn_whole(draws)
    for n in [n for n, traced in traces.items() if any(use.of_rows and use.site in whole for use in traced.draws)]:
        traces[n] = traced_with_array(model, parameters, _random_rows(n, dim_input, rng), build, whole)
    draws, uncertain = ordered(draws, traces[max(traces)])
    names = parameter_names(model)
    return Traces(traces, dim_input, names, shapes, subject.back, per_step, draws, uncertain, apart)


def _apart(traces: Mapping[int, Trace]) -> int:
    """Return the distance in steps of successive states; above one, neighbours share less than other lengths."""
    computed = {n: set(topological([traces[n].output])) for n in range(9 - APART, 10)}
    shared = [len(computed[9] & computed[9 - apart]) for apart in range(1, APART + 1)]
    return APART if max(shared) > shared[0] else 1


def _gives_every_step(traces: Mapping[int, Trace]) -> bool:
    """Return whether a model gives logits for every step; raises NotARecurrence if it does so at some lengths only."""
    rows = {length: len(trace.logits) for length, trace in traces.items() if length > 1 and trace.logits is not None}
    per_step = set(rows.values()) != {1}
    odd = [length for length, count in rows.items() if per_step and count == 1]
    if odd:
        raise NotARecurrence(
            f"the model returns logits for every step, (T, K), but for a sequence of {odd[0]} steps of shape (1, K)"
        )
    return per_step


def empty_trace(model: Any, parameters: tuple[Tensor, ...], dim_input: int, build: Builder) -> Trace | None:
    """Trace the model on an empty sequence, which shows its initial states; None if it accepts none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return traced_with_array(model, parameters, np.zeros((0, dim_input), np.float32), build)
    except Exception:
        return None


def _random_rows(length: int, dim_input: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.normal(size=(length, dim_input)).astype(np.float32)


def _check_reaches_parameters(traces: dict[int, Trace]) -> None:
    if not any(traced.parameters for traced in traces.values()):
        looks = [look for traced in traces.values() for look in (*traced.looks, *_stops(traced))]
        raise CompileError(unreached(looks))


def _stops(traced: Trace) -> list[Origin]:
    """Return the lines through which no gradient passes."""
    order = topological([traced.output])
    return [traced.origins[n] for n in order if n.operation == "stop_gradient" and n in traced.origins]


def unreached(looks: Sequence[Origin]) -> str:
    """Return a message that no gradient reaches a parameter, with the line that takes numbers out of tensors."""
    return "no gradient reaches any parameter of the model, so that it would learn nothing: " + (
        f"it takes numbers out of its tensors, with .data or NumPy, in\n  {looks[0]}"
        if looks
        else "its logits must be computed from its parameters by MyGrad's operations"
    )


def traced_with_array(
    model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder, whole: Collection[int] = ()
) -> Trace:
    """Trace the model on `x` as a tensor; raises NotARecurrence if an array, as in use, gives other logits."""
    traced, logits = trace_once(model, parameters, x, build, whole), answer(model, x)
    expected = np.asarray(traced.logits)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    same = logits.shape == expected.shape and np.allclose(
        logits, expected, rtol=1e-3, atol=1e-3 * scale, equal_nan=True
    )
    if not same:
        raise NotARecurrence(
            f"on a sequence of {len(x)} the model gives other logits for an array than for a tensor of the same\n"
            "  numbers: it depends on the type of its argument, keeps something from one call to the next, or changes\n"
            "  a tensor in place after its numbers were read with .data.\n"
            '  Train it with engine="mygrad".'
        )
    return traced


def _same_graph(one: Trace, other: Trace, what: str) -> None:
    if one.output is other.output:
        return
    if one.looks:
        raise NotARecurrence(takes_numbers(one.looks[0]))
    raise NotARecurrence(
        f"what the model computes depends on {what}, not only through MyGrad's operations.\n"
        f"{difference_message(one, other)}"
        f"{ADVICE}"
    )
