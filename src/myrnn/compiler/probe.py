"""Stage 1: run the model at several lengths, with several values, to find its computation and what it depends on."""

from __future__ import annotations

import gc
import itertools
import pickle
import random
import sys
import warnings
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._user_code import failure, is_users_file
from myrnn.compiler.draws import drawn_whole, find_draws, ordered, settled, turned
from myrnn.compiler.graph import Builder, Node, topological
from myrnn.compiler.growth import check_growth
from myrnn.compiler.leaves import Drawn
from myrnn.compiler.trace import Origin, Trace, takes_numbers, trace_once
from myrnn.errors import CompileError, NotARecurrence, NotDeterministic
from myrnn.models import Recognizer
from myrnn.models.model import network_of, parameter_names
from myrnn.sequences import one_hot

# Lengths that are traced to find the loop; the longest requested one is traced as well.
PROBES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13)
# If this many calls in a row all change something, the model changes it, not another thread.
CALLS = 30
# How many steps a model may look back: few, and if no loop is found, more.
BACK = (3, 10)
# The largest distance in steps of successive states, such as those of a dilated loop.
APART = 4

ADVICE = (
    "  A compiled model computes the same at every step, except for the first few and up to four that take turns.\n"
    '  Give it what differs as a column of the data, choose with mg.where, or train with engine="mygrad".'
)


def middle_of(back: int) -> int:
    """Return the step that is analysed for a loop that looks back at up to `back` steps."""
    return back + 2


def longest_of(back: int) -> int:
    """Return the longest length whose trace is needed to see such a step, and those after it."""
    return 2 * middle_of(back) + 3


def lengths_for(back: int, apart: int = 1) -> set[int]:
    """Return the lengths whose traces show a loop that looks back at up to `back` steps."""
    middle, longest = middle_of(back), longest_of(back)
    # Long traces have space for steps that differ in turn.
    after = 5 if back == BACK[0] else 6
    return {1, 2, 3, 4, *range(middle, middle + after), *range(longest - 2 * apart + 1, longest + 1)}


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


def trace(subject: Subject) -> Traces:
    """Trace the model at several lengths, and again with other values, which must change nothing."""
    model, parameters, dim_input = subject.model, subject.parameters, subject.dim_input
    rng, build = np.random.default_rng(0), Builder(fold=False)
    with gradients_kept(parameters):
        x = _random_rows(5, dim_input, rng)
        check_calls(model, parameters, x, build)
        traces = {n: traced_with_array(model, parameters, _random_rows(n, dim_input, rng), build) for n in PROBES}
        check_growth(traces)
        lengths = {*PROBES, *lengths_for(subject.back), max(subject.longest, 9)}
        for n in sorted(lengths - {*PROBES}):
            traces[n] = traced_with_array(model, parameters, _random_rows(n, dim_input, rng), build)
        apart = 1 if subject.back == BACK[0] else _apart(traces)
        for n in lengths_for(subject.back, apart) - lengths:
            traces[n] = traced_with_array(model, parameters, _random_rows(n, dim_input, rng), build)
        _check_reaches_parameters(traces)
        per_step = _gives_every_step(traces)
        if (empty := _empty_trace(model, parameters, dim_input, build)) is not None:
            traces[0] = empty
        tokens, large = one_hot(rng.integers(0, dim_input, 5), dim_input), 10 * _random_rows(5, dim_input, rng)
        for values in (tokens, large):
            _same_graph(traces[5], trace_once(model, parameters, values, build), "the values of the sequence")
        with replaced(parameters, shifted(parameters, rng)):
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


def _empty_trace(model: Any, parameters: tuple[Tensor, ...], dim_input: int, build: Builder) -> Trace | None:
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
        looks = dict.fromkeys(look for traced in traces.values() for look in traced.looks)
        raise CompileError(unreached(list(looks)))


def unreached(looks: Sequence[Origin]) -> str:
    """Return a message that no gradient reaches a parameter, with the line that takes numbers out of tensors."""
    return "no gradient reaches any parameter of the model, so that it would learn nothing: " + (
        f"it takes numbers out of its tensors, with .data or NumPy, in\n  {looks[0]}"
        if looks
        else "its logits must be computed from its parameters by MyGrad's operations"
    )


# Changes by a call ----------------------------------------------------------------------------------------------------

_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_SOURCES = (np.random.Generator, np.random.RandomState, random.Random, itertools.count)
# The global sources of random numbers.
_SHARED = (random.random.__self__, np.random.random.__self__)  # type: ignore[attr-defined]
# The most objects that are examined, nearest to the model first, and the most parts of each.
_MOST = 10_000
# Attributes that Python adds to every imported module. Under pytest a loader leads to the whole of pytest.
_OF_IMPORT = ("__builtins__", "__loader__", "__spec__")


def check_calls(model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder) -> None:
    """Raise NotDeterministic unless repeated calls on one sequence compute the same, without side effects."""
    first = trace_once(model, parameters, x, build)
    if changed := _changed_by_calls(model, x[:3]):
        raise NotDeterministic(
            "the model draws random numbers while it runs: draw them outside, use myrnn.dropout or myrnn.noise, or\n"
            '  train it with engine="mygrad".'
            if changed & {"random", "np.random"}
            else f"every call of the model changes its {', '.join(sorted(changed))}, so that a later one may compute "
            'something else.\n  Leave that out of the call, or train it with engine="mygrad".'
        )
    if trace_once(model, parameters, x, build).output is not first.output:
        raise NotDeterministic(
            "two calls of the model on the same sequence compute different things: it draws random numbers, or\n"
            "  keeps something from one call to the next. Draw with myrnn.dropout or myrnn.noise, or train it with\n"
            '  engine="mygrad".'
        )


def _changed_by_calls(model: Any, x: NDArray[np.float32]) -> set[str]:
    """Return what every one of many calls changes; changes by another thread are missing in some."""
    changed: set[str] | None = None
    scalars, sources = _reachable(model)
    for _ in range(CALLS):
        # Nothing slow may run between reading the states of sources and the call.
        drawn = [_drawn(source) for source in sources.values()]
        answer(model, x)
        now = {path for path, before in zip(sources, drawn, strict=True) if _drawn(sources[path]) != before}
        before, (scalars, _) = scalars, _reachable(model)
        now |= {path for path in {*before, *scalars} if before.get(path) != scalars.get(path)}
        changed = now if changed is None else changed & now
        if not changed:
            break
    return changed or set()


def _drawn(source: Any) -> Any:
    """Return the state of a source of numbers, which changes with every draw."""
    return repr(source) if isinstance(source, itertools.count) else pickle.dumps(source)


def _reachable(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scalars, and the sources of random and other numbers, that the model's code can reach, by path."""
    home = type(network_of(model)).__module__.partition(".")[0]
    scalars, sources = dict[str, Any](), dict[str, Any](zip(("random", "np.random"), _SHARED, strict=True))
    seen, waiting = set[int](), deque([("", model)])
    while waiting and len(seen) + len(scalars) < _MOST:
        path, value = waiting.popleft()
        if isinstance(value, _SCALARS):
            # NaN does not equal itself.
            scalars[path] = repr(value) if value != value else value
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, _SOURCES):
                sources[path] = value
            else:
                waiting.extend(_parts(path, value, home)[:_MOST])
    return scalars, sources


def _parts(path: str, value: Any, home: str) -> list[tuple[str, Any]]:
    """Return the members of a user's object, by path; none of arrays, modules and objects of libraries."""
    if isinstance(value, np.ndarray | Tensor | ModuleType):
        return []
    if isinstance(value, FunctionType):
        if not _is_users(value.__module__ or "", value.__code__.co_filename, home):
            return []
        known = [(name, item) for name, item in list(value.__globals__.items()) if name not in _OF_IMPORT]
        names = [(f"{value.__module__}.{name}", item) for name, item in known]
        return [*names, *((path, item) for item in (value.__closure__, value.__defaults__, value.__kwdefaults__))]
    if isinstance(value, type):
        module = sys.modules.get(value.__module__)
        if not _is_users(value.__module__, getattr(module, "__file__", None) or "", home):
            return []
        names = [(f"{value.__name__}.{name}", item) for name, item in list(vars(value).items())]
        return [*((name, item) for name, item in names if ".__" not in name or callable(item)), *_bases(value)]
    if isinstance(value, dict):
        return [(f"{path}[{key!r}]", item) for key, item in list(value.items())]
    if (held := _attributes(value)) is not None:
        return [*((f"{path}.{name}".lstrip("."), item) for name, item in held.items()), (path, type(value))]
    if isinstance(value, list):
        # A growing container changes its length in any case. Tensors may be stored for later inspection.
        size = [(path, len(value))] if all(isinstance(item, _SCALARS) for item in value) else []
        return [*size, *((f"{path}[{i}]", item) for i, item in enumerate(value))]
    size = [(path, len(value))] if isinstance(value, set) else []
    return [*size, *((path, item) for item in gc.get_referents(value))]


def _attributes(value: Any) -> dict[str, Any] | None:
    """Return an object's own attributes; its class may intercept any other way to ask for them."""
    try:
        return dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:
        return None


def _bases(kind: type) -> list[tuple[str, Any]]:
    return [(base.__name__, base) for base in kind.__bases__]


def _is_users(module: str, file: str, home: str) -> bool:
    """Whether code may change during a session: it is not a library's, or in the same package as the model."""
    top = module.partition(".")[0]
    return top not in ("myrnn", "builtins") and (top == home or is_users_file(file))


# The model itself ----------------------------------------------------------------------------------------------------


def answer(model: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the model's own logits for an array, as computed without a graph."""
    try:
        # The sequences may be artificial, so overflows on them do not matter.
        with mygrad.no_autodiff, np.errstate(all="ignore"):
            result = model(x.copy())
    except Exception as error:
        raise CompileError(
            f"the model fails on an array of shape {x.shape}, but not on a tensor: {failure(error)}"
        ) from error
    return np.asarray(result.data if isinstance(result, Tensor) else result)


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
            "  numbers: it depends on the type of its argument, or keeps something from one call to the next.\n"
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
    """Write into a parameter without changing MyGrad's lock on it, which a graph of the user's may hold."""
    writeable = parameter.data.flags.writeable
    parameter.data.flags.writeable = True
    parameter.data[...] = values
    parameter.data.flags.writeable = writeable


@contextmanager
def gradients_kept(parameters: tuple[Tensor, ...]) -> Iterator[None]:
    """Restore the parameters' gradients, and keep the user's graphs of them able to go back."""
    before = [(parameter._grad, set(parameter._ops)) for parameter in parameters]
    try:
        yield
    finally:
        for parameter, (gradient, readers) in zip(parameters, before, strict=True):
            parameter._grad = gradient
            # A backward pass through one graph makes MyGrad forget all graphs of the tensors in it.
            parameter._ops.update(reader for reader in readers if reader() is not None)


def input_width(model: Any, parameters: tuple[Tensor, ...]) -> int:
    """Return C: that of the model, or the first size of a parameter that it accepts as the width of a sequence."""
    if isinstance(model, Recognizer):
        return input_width(model.model, parameters) - 1
    given = getattr(model, "dim_input", None)
    if isinstance(given, int | np.integer) and given > 0:
        return int(given)
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
        f"the number of inputs of the model cannot be determined ({error}): name it, compile(model, dim_input=...)"
    ) from error


def read_length(model: Any, dim_input: int, lengths: Sequence[int]) -> int:
    """Return the first of some lengths that the model reads, or the first of all if it reads none of them."""
    for length in lengths:
        with suppress(Exception), mygrad.no_autodiff, np.errstate(all="ignore"):
            model(np.zeros((length, dim_input), dtype=np.float32))
            return length
    return lengths[0]


# Where two traces differ ---------------------------------------------------------------------------------------------


def first_difference(a: Node, b: Node) -> tuple[Node, Node] | None:
    """Return the lowest pair of nodes that differ in more than their inputs, walking the two graphs in parallel."""
    seen: set[tuple[Node, Node]] = set()
    stack = [(a, b)]
    found = None
    while stack:
        x, y = stack.pop()
        if x is y or (x, y) in seen:
            continue
        seen.add((x, y))
        below = []
        if x.operation == y.operation and len(x.inputs) == len(y.inputs):
            below = [(p, q) for p, q in zip(x.inputs, y.inputs, strict=True) if p is not q]
        stack.extend(below)
        if not below:
            found = (x, y)
    return found


def describe(node: Node) -> str:
    """Return a description of a node on one line."""
    if node.is_constant:
        numbers = node.numbers
        if numbers.size == 1:
            return f"{numbers[0]:g}"
        shown = np.array2string(numbers, precision=4, threshold=6, max_line_width=120)
        return f"{numbers.size} constants {shown}"
    return str(node.leaf or node.operation)


def where(trace: Trace, node: Node | None) -> Origin:
    """Return the user's line of a node, or of a reader if the node has none (a constant has none)."""
    if node is None or node in trace.origins:
        return trace.origins.get(node, Origin()) if node is not None else Origin()
    readers = (n for n in topological([trace.output]) if node in n.inputs and n in trace.origins)
    return trace.origins.get(next(readers, node), Origin())


def difference_message(trace: Trace, other: Trace) -> str:
    """Return a line that shows where two traces of one length differ."""
    difference = first_difference(trace.output, other.output)
    assert difference is not None
    here, there = difference
    return f"  {where(trace, here)}      <- {describe(here)} here, {describe(there)} otherwise\n"
