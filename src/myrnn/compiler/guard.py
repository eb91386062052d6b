"""Everything that makes a compiled model safe in use: it is held against the model itself wherever there is doubt.

What can go wrong, and the guard that finds it (`tests/test_guard.py` has a model for each):

=====================================================  =================================================================
a model changes: an attribute, a global, a layer,      before every use five steps are run, and traced unless the
a context variable, by whatever code                   result is bit for bit what it was (`Guard.check_unchanged`)
it does something else at one length, or later on      each length is traced once, when it is new; beyond `TRACED` steps
                                                       the logits are compared (`Guard.check`)
it is changed so that this shows at one length only    of many sequences one's logits are compared with the model's own
                                                       at every use (`Guard.check_result`); training traces some
it looks at numbers, on which it may then depend       looks are noted while tracing; it is not trained natively, and
                                                       traced on every sequence that it is used on
it draws random numbers, or keeps something            what a call changes is looked for when it is compiled
                                                       (`check_calls`)
its parameters are replaced                            they are known by identity (`Guard.is_over`)
the compiler is wrong                                  native losses and gradients are compared with MyGrad's before a
                                                       program is first used (`verify`)
=====================================================  =================================================================
"""

from __future__ import annotations

import gc
import itertools
import pickle
import random
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from mygrad.nnet.losses import softmax_crossentropy
from numpy.typing import NDArray

from myrnn._user_code import is_users_file
from myrnn.compiler.graph import Builder, evaluate
from myrnn.compiler.native import Native
from myrnn.compiler.roll import ADVICE, Recurrence, difference_told, lengths_for, mirrored, placeholders, unroll
from myrnn.compiler.trace import MYGRAD, Origin, Recorder, Trace, trace
from myrnn.errors import CompileError, NotARecurrence, NotDeterministic
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences, one_hot

# When it is compiled -------------------------------------------------------------------------------------------------

# Lengths that are traced to find the loop; the longest that is asked for is traced beside them.
PROBES = (1, 2, 3, 4, 5, 6, 7, 13)
# If so many calls in a row all change something, the model changes it, and not another thread.
CALLS = 30


def probe(model: Any, parameters: tuple[Tensor, ...], dim_input: int, longest: int, build: Builder) -> dict[int, Trace]:
    """Trace the model at several lengths, and again with other values, which must change nothing."""
    rng = np.random.default_rng(0)
    with gradients_kept(parameters):
        x = _random_rows(5, dim_input, rng)
        check_calls(model, parameters, x, build)
        traces = _traces(model, parameters, dim_input, {*PROBES, max(longest, 9)}, build, rng)
        _check_reaches_parameters(traces)
        tokens, large = one_hot(rng.integers(0, dim_input, 5), dim_input), 10 * _random_rows(5, dim_input, rng)
        for values in (tokens, large):
            _same_graph(traces[5], trace(model, parameters, values, build), "the values of the sequence")
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
    with gradients_kept(parameters):
        return _traces(model, parameters, dim_input, lengths_for(back), build, np.random.default_rng(back))


def _traces(
    model: Any,
    parameters: tuple[Tensor, ...],
    dim_input: int,
    lengths: set[int],
    build: Builder,
    rng: np.random.Generator,
) -> dict[int, Trace]:
    return {n: traced_with_array(model, parameters, _random_rows(n, dim_input, rng), build) for n in lengths}


def _random_rows(length: int, dim_input: int, rng: np.random.Generator) -> NDArray[np.float32]:
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


# What a call changes -------------------------------------------------------------------------------------------------

_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_SOURCES = (np.random.Generator, np.random.RandomState, random.Random, itertools.count)
# The sources of random numbers that all code shares.
_SHARED = (random.random.__self__, np.random.random.__self__)  # type: ignore[attr-defined]
# How many objects are looked into, those nearest to the model first, and how many parts of each.
_MOST = 10_000


def check_calls(model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder) -> None:
    """Call the model again and again on one sequence: it must compute the same, and change nothing by it.

    Raises
    ------
    NotDeterministic
        When it does not.
    """
    first = trace(model, parameters, x, build)
    if changed := _changed_by_calls(model, x[:3]):
        raise NotDeterministic(
            'the model draws random numbers while it runs: draw them outside, or train it with engine="mygrad".'
            if changed & {"random", "np.random"}
            else f"every call of the model changes its {', '.join(sorted(changed))}, so that a later one may compute "
            'something else.\n  Leave that out of the call, or train it with engine="mygrad".'
        )
    if trace(model, parameters, x, build).output is not first.output:
        raise NotDeterministic(
            "two calls of the model on the same sequence compute different things: it draws random numbers, or\n"
            '  keeps something from one call to the next. Train it with engine="mygrad".'
        )


def _changed_by_calls(model: Any, x: NDArray[np.float32]) -> set[str]:
    """Return what every one of many calls changes: what another thread changes meanwhile, some calls do not see."""
    changed: set[str] | None = None
    scalars, sources = _reachable(model)
    for _ in range(CALLS):
        # Nothing that takes time stands between the states of sources before and after the call.
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
    """Return the state of a source of numbers, another one after every draw."""
    return repr(source) if isinstance(source, itertools.count) else pickle.dumps(source)


def _reachable(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scalars, and the sources of random and other numbers, that the model's code can reach, by paths."""
    home = type(model).__module__.partition(".")[0]
    scalars, sources = dict[str, Any](), dict[str, Any](zip(("random", "np.random"), _SHARED, strict=True))
    seen, waiting = set[int](), deque([("", model)])
    while waiting and len(seen) + len(scalars) < _MOST:
        path, value = waiting.popleft()
        if isinstance(value, _SCALARS):
            scalars[path] = value
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, _SOURCES):
                sources[path] = value
            else:
                waiting.extend(_parts(path, value, home)[:_MOST])
    return scalars, sources


def _parts(path: str, value: Any, home: str) -> list[tuple[str, Any]]:
    """Return what an object of the user's holds, by paths; of arrays, modules and what libraries define nothing."""
    if isinstance(value, np.ndarray | Tensor | ModuleType):
        return []
    if isinstance(value, FunctionType):
        if not _is_users(value.__module__ or "", value.__code__.co_filename, home):
            return []
        names = [(f"{value.__module__}.{name}", item) for name, item in list(value.__globals__.items())]
        return [*names, *((path, item) for item in (value.__closure__, value.__defaults__, value.__kwdefaults__))]
    if isinstance(value, type):
        module = sys.modules.get(value.__module__)
        if not _is_users(value.__module__, getattr(module, "__file__", None) or "", home):
            return []
        names = [(f"{value.__name__}.{name}", item) for name, item in list(vars(value).items())]
        return [*((name, item) for name, item in names if ".__" not in name or callable(item)), *_bases(value)]
    if isinstance(value, dict):
        return [(f"{path}[{key!r}]", item) for key, item in list(value.items())]
    if hasattr(value, "__dict__"):
        held = [(f"{path}.{name}".lstrip("."), item) for name, item in list(vars(value).items())]
        return [*held, (path, type(value))]
    if isinstance(value, list):
        return [(f"{path}[{i}]", item) for i, item in enumerate(value)]
    return [(path, item) for item in gc.get_referents(value)]


def _bases(kind: type) -> list[tuple[str, Any]]:
    return [(base.__name__, base) for base in kind.__bases__]


def _is_users(module: str, file: str, home: str) -> bool:
    """Whether code may change as the user goes: it is no library's, or of the same package as the model."""
    top = module.partition(".")[0]
    return top not in ("myrnn", "builtins") and (top == home or is_users_file(file))


# The model itself ----------------------------------------------------------------------------------------------------


def answer(model: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    """Return the model's own logits for an array, as it gives them where no graph is made."""
    try:
        # The sequences may be made up, and what overflows on these is nobody's concern.
        with mygrad.no_autodiff, np.errstate(all="ignore"):
            result = model(x.copy())
    except Exception as error:
        raise CompileError(f"the model fails on an array of shape {x.shape}, but not on a tensor: {error}") from error
    return np.asarray(result.data if isinstance(result, Tensor) else result)


def traced_with_array(model: Any, parameters: tuple[Tensor, ...], x: NDArray[np.float32], build: Builder) -> Trace:
    """Trace the model on `x` as a tensor, and see that it gives the same logits for the array that it is used on.

    Raises
    ------
    NotARecurrence
        When it does not.
    """
    traced, logits = trace(model, parameters, x, build), answer(model, x)
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
    """Return where a trace and the recurrence part, and what to do."""
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


# In use --------------------------------------------------------------------------------------------------------------

# How many steps are run, and traced, to see whether a model has changed.
FEW = 5
# The most steps of a sequence that are traced, and the most of a longer one that run in NumPy to compare its logits.
TRACED, RUN = 500, 20_000
# Both are fewer where so many steps would have more numbers than these (16 MB and 64 MB).
TRACED_NUMBERS, RUN_NUMBERS = 2**22, 2**24
# The steps that are traced, each in a millisecond or two, when sequences of lengths that were not checked are used.
STEPS_AT_ONCE = 2000


class Guard:
    """Knows what a model has been checked on, and checks it on what is new.

    Attributes
    ----------
    max_length : int
        Up to what length the model has been checked to be the recurrence.
    looks : tuple
        Where the model's code looks at the numbers of tensors. If it does anywhere, what it does may depend on them,
        and it is checked on every sequence that it is used on.
    reached : dict
        Length -> the parameters that have a gradient there by MyGrad, for the lengths that were traced at first.
    """

    def __init__(
        self,
        model: Any,
        parameters: tuple[Tensor, ...],
        recurrence: Recurrence,
        build: Builder,
        traces: dict[int, Trace],
        max_length: int,
    ) -> None:
        self._model, self._parameters, self._recurrence, self._build = model, parameters, recurrence, build
        self.max_length = max_length
        self.looks = tuple(dict.fromkeys(origin for traced in traces.values() for origin in traced.looks))
        self.reached = {length: traced.parameters for length, traced in traces.items()}
        self._lengths = set(traces)
        self._rng = np.random.default_rng(0)
        steps = max(2, min(FEW, self._steps_of(RUN_NUMBERS)))
        self._probe = self._rng.normal(size=(steps, recurrence.dim_input)).astype(np.float32)
        # The bytes of the logits of the probe when it was last traced.
        self._answer: bytes | None = None

    def of(self, model: Any, parameters: tuple[Tensor, ...]) -> Guard:
        """Return the guard of another model of the class, which is to be checked."""
        guard = copy(self)
        guard._model, guard._parameters, guard._lengths, guard._answer = model, parameters, set(self._lengths), None
        return guard

    @property
    def traced(self) -> int:
        """How many steps of a sequence are traced at most."""
        return min(TRACED, self._steps_of(TRACED_NUMBERS))

    def _steps_of(self, numbers: int) -> int:
        """Return how many steps have so many numbers, or two where even these have more."""
        return max(2, numbers // self._recurrence.dim_input)

    def is_over(self, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these are the very tensors that the model was compiled over."""
        return len(parameters) == len(self._parameters) and all(
            one is other for one, other in zip(parameters, self._parameters, strict=True)
        )

    def has_changed(self) -> bool:
        """Whether the model does something else now than what was compiled, even on a few steps."""
        try:
            self.check_again()
        except CompileError:
            return True
        return False

    def check_use(self, sequences: Sequences) -> None:
        """Check the model before it is used on the sequences, as far as there is reason to.

        That is on one sequence of each length that it was not checked on before: on all of these lengths, or on so many
        of them, from the longest down and evenly spread, that no more than `STEPS_AT_ONCE` steps are traced.
        """
        self.check_unchanged()
        if self.looks:
            # Its code may do something else for the numbers of any of them.
            for index in range(len(sequences)):
                self.check(sequences, index)
            return
        self.check_lengths(sequences)
        places = self.unchecked(sequences.lengths)[::-1]
        sparser = (places[::every] for every in range(1, len(places)))
        traced = np.minimum(sequences.lengths, self.traced)
        for index in next((p for p in sparser if traced[p].sum() <= STEPS_AT_ONCE), places[:1]):
            self.check(sequences, int(index))

    def check_unchanged(self) -> None:
        """Run a few steps of the model, and check it again unless its logits are what they were, bit for bit.

        Where they are, neither its weights nor anything else that they depend on has changed.

        Raises
        ------
        CompileError
            When its parameters are other tensors.
        NotARecurrence
            When the model does something else now.
        """
        recorder = Recorder()
        with MYGRAD:
            try:
                found = _bits(answer(lambda x: recorder.run(self._model, x, names=False), self._probe))
            except CompileError:
                found = None
            if found is None or found != self._answer or recorder.looks or not self._is_over_its_own():
                self.check_again()

    def check_again(self) -> None:
        """Trace a few steps of the model, and compare them with the recurrence; see `check_unchanged`."""
        if not self._is_over_its_own():
            raise CompileError(
                "the model's parameters are other tensors than those that it was compiled with: compile it again"
            )
        self._answer = None
        with MYGRAD:
            self._check(self._probe)
            self._answer = _bits(answer(self._model, self._probe))

    def _is_over_its_own(self) -> bool:
        return self.is_over(parameters_of(self._model))

    def check_lengths(self, sequences: Sequences) -> None:
        """Check the model on the longest of the sequences, if it is longer than any before, and on an empty one.

        Raises
        ------
        NotARecurrence
            When the model does something on it that the recurrence does not.
        CompileError
            When the model takes no empty sequence.
        """
        lengths = sequences.lengths
        if len(lengths) and lengths.min() == 0 and 0 not in self._lengths:
            self.check(sequences, int(lengths.argmin()))
        if len(lengths) and lengths.max() > self.max_length:
            self.check(sequences, int(lengths.argmax()))

    def unchecked(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of one of each length on which the model has not been checked yet."""
        found, places = np.unique(lengths, return_index=True)
        return places[[n not in self._lengths for n in found.tolist()]]

    def check(self, sequences: Sequences, index: int) -> None:
        """Trace the model on one sequence, with its present parameters, and compare with the recurrence, node by node.

        Of a sequence of more than `traced` steps these are traced, and the logits of the whole are compared.

        Raises
        ------
        NotARecurrence
            When the model is not this recurrence on that sequence.
        """
        length = int(sequences.lengths[index])
        with MYGRAD:
            self._check(sequences.features(index, self.traced))
            if length > self.traced:
                self._compare(
                    sequences.features(index, min(RUN, self._steps_of(RUN_NUMBERS))),
                    f"than what was compiled, though it computes the same on the first {self.traced}:\n"
                    "  later on it does what its other steps do not, or leaves steps out.",
                )
        self._lengths.add(length)
        self.max_length = max(self.max_length, length)

    def check_result(self, sequences: Sequences, logits: NDArray[np.float32]) -> None:
        """Compare the logits of one of many sequences, drawn at random, with the model's own.

        Raises
        ------
        NotARecurrence
            When they differ by more than rounding explains.
        """
        index = int(self._rng.integers(max(1, len(sequences))))
        if len(sequences) > 1 and sequences.lengths[index] <= self.traced:
            with MYGRAD:
                self._compare(
                    sequences.features(index),
                    "than what was compiled: it does something else at this length, or with these values.",
                    logits[index],
                )

    def _check(self, x: NDArray[np.float32]) -> None:
        with gradients_kept(self._parameters):
            traced = traced_with_array(self._model, self._parameters, x, self._build)
        self.looks = tuple(dict.fromkeys((*self.looks, *traced.looks)))
        traced = mirrored(traced, self._build) if self._recurrence.reverse else traced
        if traced.output is not unroll(self._recurrence, len(x), self._build):
            raise NotARecurrence(
                f"on a sequence of {len(x)} steps the model does not compute what was compiled: at some step, or with "
                "some values, it does what it did not do when it was traced.\n"
                f"{difference_from_recurrence(self._recurrence, traced, self._build)}"
            )

    def _compare(self, x: NDArray[np.float32], what: str, native: NDArray[np.float32] | None = None) -> None:
        """Compare the model's logits with native ones, and where these differ with those of the recurrence in NumPy."""
        found = np.ravel(answer(self._model, x))
        if native is not None and _alike(found, native):
            return
        expected = self._logits(x)
        # Unless a change of the sequence by as much as rounding makes the same difference.
        if not _alike(found, expected) and _alike(self._logits(x * np.float32(1 + 1e-6)), expected):
            raise NotARecurrence(f"on a sequence of {len(x)} steps the model gives other logits {what}\n{ADVICE}")

    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the recurrence on a sequence in NumPy, step by step."""
        build, recurrence = self._build, self._recurrence
        parameters = {
            build.leaf("parameter", i, size=p.size): p.data.reshape(-1) for i, p in enumerate(self._parameters)
        }
        leaves, row = placeholders(build, recurrence.state_sizes), build.leaf("input", size=recurrence.dim_input)
        states = evaluate(recurrence.initial, parameters)
        for x_t in x[::-1] if recurrence.reverse else x:
            states = evaluate(recurrence.step, {**parameters, **dict(zip(leaves, states, strict=True)), row: x_t})
        known = {**parameters, **dict(zip(leaves, states, strict=True))}
        known[build.leaf("length", size=1)] = np.array([len(x)], dtype=np.float32)
        return evaluate([recurrence.readout], known)[0]


def _bits(logits: NDArray[Any]) -> bytes | None:
    """Return logits as bytes to compare; None where they tell nothing, as those of a readout of zeros."""
    return logits.tobytes() if np.isfinite(logits).all() and logits.all() else None


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether logits agree but for rounding; those that are not finite tell nothing."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.isfinite(one).all() == np.isfinite(other).all()
    return bool(np.abs(one - other).max() <= 1e-3 * np.abs(other).max() + 1e-5)


# Native functions ----------------------------------------------------------------------------------------------------

# Lengths of the random sequences of each trial; a program for one takes the first. None of the longer ones was traced.
TRIALS = ((8, 10, 9), (3, 1, 4))
# How much the weights of a trial are changed, in units of their own size, to see how much rounding matters.
_ROUNDING = 1e-6


def verify(model: Any, native: Native, dim_input: int, max_length: int) -> bool:
    """Compare the loss and the gradients of random sequences with MyGrad's.

    Every trial has other weights, and a workspace in which nothing is left of the one before: a program that reads what
    it has not computed, or what it computed from weights of before, shows. Where no trial with weights like the model's
    can tell, small random ones take their place.

    Returns
    -------
    bool
        Whether there was anything to compare: False where no loss is finite even so.

    Raises
    ------
    NotARecurrence
        When they differ by more than rounding explains.
    """
    tensors, rng = parameters_of(model), np.random.default_rng(0)
    own = [tensor.data.copy() for tensor in tensors]
    seen = False
    for lengths, weights in zip(TRIALS, (own, shifted(tensors, rng)), strict=True):
        seen |= _agrees(model, native, weights, _random(native, lengths, dim_input, max_length, rng), rng)
    if seen:
        return True
    small = [rng.normal(size=tensor.shape).astype(np.float32) * np.float32(0.1) for tensor in tensors]
    return _agrees(model, native, small, _random(native, TRIALS[-1], dim_input, max_length, rng), rng)


def _agrees(
    model: Any, native: Native, weights: list[NDArray[np.float32]], sequences: Sequences, rng: np.random.Generator
) -> bool:
    """Whether a trial shows that model and program agree; False where it shows nothing.

    It shows nothing where neither loss is finite, or where rounding alone makes as much of a difference, as in a model
    that is chaotic with these weights, or that comes close to a kink.
    """
    with replaced(parameters_of(model), weights):
        expected = _by_model(model, sequences)
        native.workspace(len(sequences.values), len(sequences))
        native.forget()
        found = _by_program(native, weights, sequences, expected.labels)
        if not (np.isfinite(expected.loss) or np.isfinite(found.loss)):
            return False
        difference = _difference(found, expected, parameter_names(model))
    if difference is None:
        return True
    if _rounding_explains(model, weights, sequences, found, expected, rng):
        return False
    raise NotARecurrence(
        f"the compiled functions do not agree with the model: {difference}.\n"
        "  Something that MyGrad's graph does not show changes the numbers: a value taken out with .data or\n"
        '  NumPy, or a model that treats arrays and tensors differently. Train it with engine="mygrad".'
    )


@dataclass(frozen=True)
class _Result:
    """The result of a trial: the mean loss of its sequences for these labels, and its gradients."""

    labels: NDArray[np.int64]
    loss: float
    gradients: list[NDArray[Any]]


def _random(
    native: Native, lengths: tuple[int, ...], dim_input: int, max_length: int, rng: np.random.Generator
) -> Sequences:
    chosen = [min(n, max_length) for n in (lengths if native.batched else lengths[:1])]
    offsets, total = np.concatenate(([0], np.cumsum(chosen))), sum(chosen)
    labels = np.zeros(len(chosen), dtype=np.int64)
    if native.tokens:
        return Sequences(rng.integers(0, dim_input, total), offsets, labels, dim_input)
    return Sequences(rng.normal(size=(total, dim_input)), offsets, labels)


def _by_model(model: Any, sequences: Sequences, labels: NDArray[np.int64] | None = None) -> _Result:
    """Run the model; without labels each sequence gets the class that the model holds least likely."""
    tensors = parameters_of(model)
    with gradients_kept(tensors), np.errstate(all="ignore"):
        logits = [model(sequences.features(i)) for i in range(len(sequences))]
        if labels is None:
            # The gradients of a right answer are mostly rounding.
            labels = np.array([int(row.data.argmin()) for row in logits])
        loss = softmax_crossentropy(mygrad.concatenate(logits), labels)
        loss.backward()
        gradients = [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in tensors]
        return _Result(labels, loss.item(), gradients)


def _by_program(
    native: Native, weights: list[NDArray[np.float32]], sequences: Sequences, labels: NDArray[np.int64]
) -> _Result:
    labelled = Sequences(sequences.values, sequences.offsets, labels, sequences.dim_input)
    loss, block = native.gradients(labelled, np.arange(len(labels)), native.block_of(weights).numbers)
    gradients = [np.empty(w.shape, dtype=np.float32) for w in weights]
    for i, gradient in enumerate(gradients):
        block.read(i, gradient)
    return _Result(labels, loss, gradients)


def _difference(found: _Result, expected: _Result, names: tuple[str, ...]) -> str | None:
    """Describe what differs by more than rounding usually does; None if nothing does."""
    distances = _distances(found, expected)
    # NaN is within no tolerance.
    differs = ~(distances <= _tolerances(expected))
    if differs[0]:
        return f"the loss of a random sequence is {found.loss:.6g}, and by MyGrad {expected.loss:.6g}"
    for name, error, is_off in zip(names, distances[1:], differs[1:], strict=True):
        if is_off:
            return f"the gradient of {name} differs by {error:.3g} on a random sequence"
    return None


def _rounding_explains(
    model: Any,
    weights: list[NDArray[np.float32]],
    sequences: Sequences,
    found: _Result,
    expected: _Result,
    rng: np.random.Generator,
) -> bool:
    """Whether MyGrad's own numbers move as much when the weights change by about as much as rounding changes them."""
    moved = np.zeros(1 + len(weights))
    for _ in range(8):
        near = [w * (1 + _ROUNDING * rng.choice((-1, 1), w.shape)).astype(np.float32) for w in weights]
        with replaced(parameters_of(model), near):
            moved = np.maximum(moved, _distances(_by_model(model, sequences, expected.labels), expected))
    # NaN explains nothing, and is explained by nothing.
    return bool(np.all(_distances(found, expected) <= 10 * moved + _tolerances(expected)))


def _distances(one: _Result, other: _Result) -> NDArray[np.float64]:
    """Return how far two results are apart: the losses, and the numbers of each parameter's gradient that do most."""
    pairs = zip(one.gradients, other.gradients, strict=True)
    return np.array([abs(one.loss - other.loss), *(_largest(a - b) for a, b in pairs)])


def _tolerances(expected: _Result) -> NDArray[np.float64]:
    """Return how far from these the loss and each parameter's gradient may be by rounding in a model that is tame."""
    sizes = np.array([_largest(gradient) for gradient in expected.gradients])
    return np.array([1e-3 * (1 + abs(expected.loss)), *(1e-3 * sizes + 1e-4 * sizes.max(initial=0) + 1e-6)])


def _largest(numbers: NDArray[Any]) -> float:
    return float(np.abs(numbers).max(initial=0))
