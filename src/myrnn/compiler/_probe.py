"""Run a model at several lengths, with several values, to see what it computes and what that depends on."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.compiler._differences import ADVICE, difference_told
from myrnn.compiler._reads import readable
from myrnn.compiler._record import Origin, watched
from myrnn.compiler._roll import Recurrence, unroll
from myrnn.compiler._trace import Trace, trace
from myrnn.compiler.graph import Builder
from myrnn.errors import CompileError, NotARecurrence, NotDeterministic
from myrnn.sequences import one_hot

# MyGrad has one switch and one set of locks for all threads: whatever runs a model in it, or writes into parameters,
# holds this, so that no two do at a time.
MYGRAD = threading.RLock()

# Lengths that are traced to find the loop; the longest that is asked for is traced beside them.
PROBES = (1, 2, 3, 4, 5, 6, 7, 13)
# If so many calls in a row all change something, the model changes it, and not another thread.
CALLS = 100


def probe(model: Any, parameters: tuple[Tensor, ...], dim_input: int, longest: int, build: Builder) -> dict[int, Trace]:
    """Trace the model at several lengths, and again with other values, which must change nothing."""
    rng = np.random.default_rng(0)
    with gradients_kept(parameters):
        x = _drawn(5, dim_input, rng)
        _check_calls(model, parameters, x, build)
        traces = _traces(model, parameters, dim_input, {*PROBES, max(longest, 9)}, build, rng)
        _check_reaches_parameters(traces)
        tokens = one_hot(rng.integers(0, dim_input, 5), dim_input)
        _same_graph(traces[5], trace(model, parameters, tokens, build), "the values of the sequence")
        _same_graph(
            traces[5], trace(model, parameters, 10 * _drawn(5, dim_input, rng), build), "the values of the sequence"
        )
        with replaced(parameters, shifted(parameters, rng)):
            before = [parameter.data.tobytes() for parameter in parameters]
            _same_graph(traces[5], trace(model, parameters, x, build), "the values of its parameters")
            if before != [parameter.data.tobytes() for parameter in parameters]:
                raise NotDeterministic(
                    "a call of the model changes the numbers of its parameters, which only training may: change them\n"
                    '  between calls, in a hook, or train it with engine="mygrad".'
                )
    return traces


def probe_further(
    model: Any, parameters: tuple[Tensor, ...], dim_input: int, back: int, build: Builder
) -> dict[int, Trace]:
    """Trace the model at the lengths that are needed beside to find a loop that looks back at up to `back` steps."""
    lengths = {*range(back, back + 4), 2 * back + 7}
    with gradients_kept(parameters):
        return _traces(model, parameters, dim_input, lengths, build, np.random.default_rng(back))


def _traces(
    model: Any,
    parameters: tuple[Tensor, ...],
    dim_input: int,
    lengths: set[int],
    build: Builder,
    rng: np.random.Generator,
) -> dict[int, Trace]:
    return {n: traced_with_array(model, parameters, _drawn(n, dim_input, rng), build) for n in lengths}


def _drawn(length: int, dim_input: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.normal(size=(length, dim_input)).astype(np.float32)


def _check_reaches_parameters(traces: dict[int, Trace]) -> None:
    if not any(traced.parameters for traced in traces.values()):
        looks = dict.fromkeys(look for traced in traces.values() for look in traced.looks)
        raise CompileError(unreached(list(looks)))


def unreached(looks: Sequence[Origin]) -> str:
    """Say that no gradient reaches a parameter, and where numbers are taken out of tensors, which is why."""
    return "no gradient reaches any parameter of the model, so that it would learn nothing: " + (
        f"it takes numbers out of its tensors, with .data or NumPy, in\n  {looks[0]}"
        if looks
        else "its logits must be computed from its parameters by MyGrad's operations"
    )


def _check_calls(model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder) -> None:
    """Call the model again and again on one sequence: it must compute the same, and change nothing by it."""
    first = trace(model, parameters, x, build)
    if changed := _changed_by_calls(model, x[:3]):
        raise NotDeterministic(
            'the model draws random numbers while it runs: draw them outside, or train it with engine="mygrad".'
            if changed & _SHARED
            else f"every call of the model changes its {', '.join(sorted(changed))}, so that a later one may compute "
            'something else.\n  Leave that out of the call, or train it with engine="mygrad".'
        )
    if trace(model, parameters, x, build).output is not first.output:
        raise NotDeterministic(
            "two calls of the model on the same sequence compute different things: it draws random numbers, or\n"
            '  keeps something from one call to the next. Train it with engine="mygrad".'
        )


def _changed_by_calls(model: Any, x: NDArray[np.float32]) -> set[str]:
    """Return what every call changes of all that the model can read; another thread would miss some of the calls."""
    changed: set[str] | None = None
    for _ in range(CALLS):
        before = readable(model, arrays=False)
        with mygrad.no_autodiff, np.errstate(all="ignore"), _shared_draws() as drawn_from:
            model(mygrad.tensor(x))
        after = readable(model, arrays=False)
        now = {name for name in {*before, *after} if before.get(name) != after.get(name)} | drawn_from
        changed = now if changed is None else changed & now
        if not changed:
            break
    return changed or set()


# The sources of random numbers that all code shares.
_SHARED = {"random", "np.random"}


@contextmanager
def _shared_draws() -> Iterator[set[str]]:
    """Note which of the shared sources the block draws from; what other threads draw meanwhile does not count."""
    drawn_from: set[str] = set()
    source = random.random.__self__  # type: ignore[attr-defined]

    def watch(_: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and getattr(function, "__self__", None) is source:
            drawn_from.add("random")

    # NumPy's functions show in no profile, but its lock keeps the draws of other threads out. Older versions have one
    # that would keep out the model's own as well; there, only a draw at every one of the calls tells.
    lock = np.random.get_bit_generator().lock  # type: ignore[attr-defined]
    with lock if isinstance(lock, _REENTRANT) else nullcontext():
        before = _numpy_state()
        with watched(watch):
            yield drawn_from
        if _numpy_state() != before:
            drawn_from.add("np.random")


_REENTRANT = type(threading.RLock())


def _numpy_state() -> dict[str, Any]:
    return readable(np.random.get_state(legacy=False), arrays=True)  # noqa: NPY002


def traced_with_array(
    model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder, *, looks: bool = True
) -> Trace:
    """Trace the model on `x` as a tensor, and see that it gives the same logits for the array that it is used on.

    Raises
    ------
    NotARecurrence
        When it does not.
    """
    traced = trace(model, parameters, x, build, looks=looks)
    try:
        # As while tracing, what overflows on numbers that are made up is nobody's concern.
        with mygrad.no_autodiff, np.errstate(all="ignore"):
            result = model(x.copy())
    except Exception as error:
        raise CompileError(f"the model fails on an array of shape {x.shape}, but not on a tensor: {error}") from error
    logits = np.asarray(result.data if isinstance(result, Tensor) else result)
    expected = np.asarray(traced.logits)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    same = logits.shape == expected.shape and np.allclose(
        logits, expected, rtol=1e-3, atol=1e-3 * scale, equal_nan=True
    )
    if not same:
        raise NotARecurrence(
            f"on a sequence of {len(x)} the model gives other logits for an array than for a tensor of the same\n"
            "  numbers: it looks at the kind of its argument, or keeps something from one call to the next.\n"
            '  Train it with engine="mygrad".'
        )
    return traced


def _same_graph(one: Trace, other: Trace, what: str) -> None:
    if one.output is other.output:
        return
    if one.looks:
        raise NotARecurrence(
            "the model takes numbers out of its tensors, with .data or NumPy, and computes with them or branches on\n"
            f"  them, where no gradient passes:\n  {one.looks[0]}\n"
            "  Use MyGrad's operations alone: instead of mg.where(h > 0, ...) write relu, leaky_relu, mg.maximum\n"
            "  or mg.minimum."
        )
    raise NotARecurrence(
        f"what the model computes depends on {what}, not only through MyGrad's operations.\n"
        f"{difference_told(one, other)}"
        f"  Instead of mg.where(h > 0, ...) write relu, leaky_relu, mg.maximum or mg.minimum.\n{ADVICE}"
    )


def difference_from_recurrence(recurrence: Recurrence, traced: Trace, build: Builder) -> str:
    unrolled = Trace(traced.length, unroll(recurrence, traced.length, build), {})
    return difference_told(traced, unrolled) + ADVICE


def shifted(parameters: tuple[Tensor, ...], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Return values near those of the parameters."""
    shifts = (rng.normal(size=parameter.shape).astype(np.float32) for parameter in parameters)
    return [p.data * np.float32(1.25) + shift * np.float32(0.1) for p, shift in zip(parameters, shifts, strict=True)]


@contextmanager
def replaced(parameters: tuple[Tensor, ...], values: Sequence[NDArray[np.float32]]) -> Iterator[None]:
    """Give the parameters other values for a while; afterwards they are the same bytes."""
    before = [parameter.data.copy() for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            _write(parameter, value)
        yield
    finally:
        for parameter, value in zip(parameters, before, strict=True):
            _write(parameter, value)


def _write(parameter: Tensor, values: NDArray[np.float32]) -> None:
    """Write into a parameter, and leave MyGrad's lock on it as it is: a graph of the user's may still hold it."""
    writeable = parameter.data.flags.writeable
    parameter.data.flags.writeable = True
    parameter.data[...] = values
    parameter.data.flags.writeable = writeable


@contextmanager
def gradients_kept(parameters: tuple[Tensor, ...]) -> Iterator[None]:
    """Leave the parameters' gradients as they were, and the user's own graphs of them able to go back."""
    before = [(parameter._grad, set(parameter._ops)) for parameter in parameters]
    try:
        yield
    finally:
        for parameter, (gradient, readers) in zip(parameters, before, strict=True):
            parameter._grad = gradient
            # Going back through one graph makes MyGrad forget all graphs of the tensors in it.
            parameter._ops.update(reader for reader in readers if reader() is not None)


def input_width(model: Any, parameters: tuple[Tensor, ...]) -> int:
    """Return C: what the model says, or the first size of a parameter that it accepts as the width of a sequence."""
    told = getattr(model, "dim_input", None)
    if isinstance(told, int | np.integer) and told > 0:
        return int(told)
    sizes = [p.shape[0] for p in parameters if p.ndim == 2] + [p.shape[1] for p in parameters if p.ndim == 2]
    error: Exception | None = None
    for size in dict.fromkeys(sizes):
        try:
            with mygrad.no_autodiff, np.errstate(all="ignore"):
                model(np.zeros((3, size), dtype=np.float32))
            return int(size)
        except Exception as failure:
            error = error or failure
    raise CompileError(
        f"how many inputs the model takes cannot be told ({error}): name it, compile(model, dim_input=...)"
    ) from error
