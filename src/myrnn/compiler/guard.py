"""Checks that keep a compiled model correct in use: it is compared with the model itself wherever there is doubt.

What can go wrong, and the guard that finds it (`tests/test_guard.py` has a model for each):

=====================================================  =================================================================
a model changes: an attribute, a global, a layer,      before every use five steps are run, and traced unless the
a context variable, by whatever code                   computation is the same (`Guard.check_unchanged`, `work_of`);
                                                       for gradients they are always traced
it does something else at one length, or later on      each length is traced once, when it is new; beyond `TRACED` steps
                                                       the logits are compared (`Guard.check`)
it is changed so that this shows after five steps, or  of many sequences one's logits are compared with the model's own
at one length only                                     at every use (`Guard.check_result`), not of a single sequence;
                                                       training traces some
it looks at numbers, on which it may then depend       looks are noted while tracing; it is not trained natively, and
                                                       traced on every sequence that it is used on
it draws random numbers, but with `dropout` and        what a call changes is looked for when it is compiled
`noise`, or keeps something                            (`check_calls`)
its parameters are replaced                            they are known by identity (`Guard.is_over`)
the compiler is wrong                                  native losses and gradients are compared with MyGrad's before a
                                                       program is first used (`verify`)
=====================================================  =================================================================
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.compiler.draws import drawn_whole
from myrnn.compiler.graph import Builder
from myrnn.compiler.loops import Recurrence, prove, run_in_numpy
from myrnn.compiler.native import Native, longest_first
from myrnn.compiler.probe import (
    ADVICE,
    PROBES,
    Traces,
    answer,
    gradients_kept,
    replaced,
    shifted,
    traced_with_array,
)
from myrnn.compiler.recording import Recording
from myrnn.compiler.streams import Streams
from myrnn.compiler.tables import LONGEST_TABLE
from myrnn.compiler.trace import MYGRAD, Recorder, takes_numbers
from myrnn.compiler.work import Work, work_of
from myrnn.errors import CompileError, NotARecurrence
from myrnn.losses import CROSS_ENTROPY, mean_loss
from myrnn.models.model import network_of, parameter_names, parameters_of
from myrnn.randomness import Keys, SequenceDraws, keys_of, run_with
from myrnn.sequences import Sequences, offsets_of, steps_of

# In use --------------------------------------------------------------------------------------------------------------

# The number of steps that are run, and traced, to see whether a model has changed.
FEW = 5
# The most steps of a sequence that are traced, and the most of a longer one that run in NumPy to compare its logits.
TRACED, RUN = 500, 20_000
# Both are lower if so many steps would have more numbers than these (16 MB and 64 MB).
TRACED_NUMBERS, RUN_NUMBERS = 2**22, 2**24
# The same for a long sequence that is read piece by piece: the check must not take longer than the reading. Steps with
# the same graph so far are assumed to continue like that.
STREAM_TRACED, STREAM_RUN = 128, 1000
# The traced steps, each of which takes a millisecond or two, when sequences of unchecked lengths are used.
STEPS_AT_ONCE = 2000


class Guard:
    """Knows on which lengths a model has been checked, and checks it on new ones."""

    def __init__(
        self,
        model: Any,
        parameters: tuple[Tensor, ...],
        recurrence: Recurrence,
        traces: Traces,
        max_length: int,
    ) -> None:
        self._model, self._parameters, self._recurrence = model, parameters, recurrence
        self._build = recurrence.readout.build
        # If the model reads sequences piece by piece, only the first steps of long ones are checked.
        self.max_length, self.is_stream = max_length, False
        # Places where the model's code inspects the numbers of tensors. If there are any, its behaviour may depend on
        # them, and it is checked on every sequence that it is used on.
        self.looks = tuple(dict.fromkeys(origin for traced in traces.by_length.values() for origin in traced.looks))
        # Length -> the parameters that have a gradient in MyGrad, for the lengths that were traced at first.
        self.reached = {length: traced.parameters for length, traced in traces.by_length.items()}
        # Tracing an empty sequence does not prove that the recurrence gives the same for it.
        self._lengths = set(traces.by_length) - {0}
        self._rng = np.random.default_rng(0)
        steps = max(2, min(FEW, self._steps_of(RUN_NUMBERS)))
        self._probe = self._rng.normal(size=(steps, recurrence.dim_input)).astype(np.float32)
        # What the model computed for the probe when it was last traced.
        self._work: Work | None = None
        # The same for sequences of the lengths that a compilation traces.
        self._works: dict[int, Work] = {}

    def of(self, model: Any, parameters: tuple[Tensor, ...]) -> Guard:
        """Return the guard of another model of the class, without any checked lengths."""
        guard = copy(self)
        guard._model, guard._parameters, guard._lengths, guard._work = model, parameters, set(), None
        guard._works, guard.is_stream, guard.max_length = {}, False, 0
        return guard

    def check_as_compiled(self, longest: int) -> None:
        """Check the model at the lengths that a compilation traces, unless it computes the same as before there."""
        # A few steps show what is computed out of MyGrad's sight, too: they are traced.
        self.check_unchanged()
        rng, anew = np.random.default_rng(0), not self._works
        for length in sorted({*PROBES, max(longest, 9)}):
            x = rng.normal(size=(length, self._recurrence.dim_input)).astype(np.float32)
            # Logits do not show random draws of the training.
            recording = Recording()
            with MYGRAD:
                found = work_of(partial(run_with, recording, self._model), x, self._parameters)
            if found is None or recording.calls or self._works.get(length) != found:
                if not anew:
                    # Earlier checks were for the earlier model.
                    anew, self._lengths, self._works = True, set(), {}
                self.check(Sequences.from_pairs([(x, 0)]), 0)
                if found is not None:
                    self._works[length] = found

    def forget(self) -> None:
        """Check lengths other than those of a compilation again: the model may have changed there."""
        self._lengths &= {*self._works, *PROBES}

    @property
    def traced(self) -> int:
        """The most steps of a sequence that are traced."""
        return min(TRACED, self._steps_of(TRACED_NUMBERS))

    def _steps_of(self, numbers: int) -> int:
        """Return the number of steps with this many numbers, at least two."""
        return max(2, numbers // self._recurrence.dim_input)

    def is_over(self, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these are the same tensors that the model was compiled with."""
        return len(parameters) == len(self._parameters) and all(
            one is other for one, other in zip(parameters, self._parameters, strict=True)
        )

    def has_changed(self) -> bool:
        """Whether the model differs from what was compiled, tested on a few steps."""
        try:
            self.check_again()
        except CompileError:
            return True
        return False

    def check_use(self, sequences: Sequences, *, gradients: bool = False) -> None:
        """Check the model before it is used on the sequences, as far as necessary."""
        # It is checked on one sequence of each length that is new. If these have more than `STEPS_AT_ONCE` steps, only
        # some lengths are checked, from the longest down and evenly spread. MyRNN's own models are known to repeat a
        # step at every length, so the longest one is enough. For `gradients` a few steps are traced in any case: they
        # may have changed even if the logits have not.
        if gradients:
            self.check_again()
        else:
            self.check_unchanged()
        if self.looks:
            # Its code may behave differently for the numbers of any of them.
            for index in range(len(sequences)):
                self.check(sequences, index)
            return
        self.check_lengths(sequences)
        places = self.unchecked(sequences.lengths)[::-1]
        sparser = (places[::every] for every in range(1, len(places)) if not self._is_ours)
        traced = np.minimum(sequences.lengths, self.traced)
        for index in next((p for p in sparser if traced[p].sum() <= STEPS_AT_ONCE), places[:1]):
            self.check(sequences, int(index))

    @property
    def _is_ours(self) -> bool:
        return type(network_of(self._model)).__module__.startswith("myrnn.models.")

    def refuse_looks(self) -> None:
        """Refuse a model that may behave differently for other numbers; raises NotARecurrence."""
        if self.looks:
            raise NotARecurrence(takes_numbers(self.looks[0]))

    def check_unchanged(self) -> None:
        """Run a few steps of the model, and check it again unless it computes what it did, bit for bit."""
        recorder = Recorder()
        with MYGRAD:
            try:
                watched = partial(recorder.run, self._model, names=False)
                found = work_of(watched, self._probe, self._parameters)
            except CompileError:
                found = None
            if found is None or found != self._work or recorder.looks or not self._is_over_its_own():
                self.check_again()

    def check_parameters(self) -> None:
        """Raise CompileError when the model's parameters are not the tensors that it was compiled with."""
        if not self._is_over_its_own():
            raise CompileError("the model's parameters are not the tensors that it was compiled with: compile it again")

    def check_again(self) -> None:
        """Trace a few steps of the model, and compare them with the recurrence; see `check_unchanged`."""
        self.check_parameters()
        self._work = None
        with MYGRAD:
            self._check(self._probe)
            self._work = work_of(self._model, self._probe, self._parameters)

    def _is_over_its_own(self) -> bool:
        return self.is_over(parameters_of(self._model))

    def check_lengths(self, sequences: Sequences) -> None:
        """Check the model on the longest of the sequences, if it is longer than any before, and on an empty one."""
        lengths = sequences.lengths
        if len(lengths) and lengths.min() == 0 and 0 not in self._lengths and not self._recurrence.per_step:
            self.check(sequences, int(lengths.argmin()))
        if len(lengths) and lengths.max() > self.max_length:
            self.check(sequences, int(lengths.argmax()))

    def reads_streams(self, is_stream: bool) -> None:
        """Set how a training reads long sequences: piece by piece, or whole, which is checked further."""
        if self.is_stream and not is_stream:
            self.max_length = min(self.max_length, STREAM_RUN)
            self._lengths = {length for length in self._lengths if length <= STREAM_RUN}
        self.is_stream = is_stream

    def unchecked(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of one sequence of each length that has not been checked yet."""
        found, places = np.unique(lengths, return_index=True)
        # Without steps there are no logits that could differ.
        known = self._lengths | {0} if self._recurrence.per_step else self._lengths
        return places[[n not in known for n in found.tolist()]]

    def check(self, sequences: Sequences, index: int, most: int = TRACED) -> None:
        """Trace the model on one sequence with its current parameters, and compare it with the recurrence by nodes."""
        # Of more than `traced` steps, or more than `most`, only these are traced, and the logits of the whole sequence
        # are compared; for a very long one those of its first steps.
        length, run = int(sequences.lengths[index]), min(RUN, self._steps_of(RUN_NUMBERS))
        if self.is_stream and length > STREAM_RUN:
            most, run = min(most, STREAM_TRACED), min(run, STREAM_RUN)
        # The numbers of tables come from a trace of the whole.
        traced = min(length, LONGEST_TABLE) if self._recurrence.tables else min(self.traced, most)
        if self._recurrence.tables and length > LONGEST_TABLE:
            raise CompileError(
                f"the model computes with numbers that differ from step to step, and a sequence has {length:,} steps: "
                f"a compiled model supports at most {LONGEST_TABLE:,} such steps"
            )
        with MYGRAD:
            self._check(sequences.features(index, traced))
            if length > traced:
                self._compare(
                    sequences.features(index, run),
                    f"than what was compiled, though it computes the same on the first {traced}:\n"
                    "  later on it does what its other steps do not, or leaves steps out.",
                )
        self._lengths.add(length)
        self.max_length = max(self.max_length, length)

    def check_result(self, sequences: Sequences, logits: NDArray[np.float32]) -> None:
        """Compare the logits of one random sequence with the model's own."""
        index = int(self._rng.integers(max(1, len(sequences))))
        is_empty = self._recurrence.per_step and not sequences.lengths[index]
        if sequences.lengths[index] <= self.traced and not is_empty:
            with MYGRAD:
                self._compare(
                    sequences.features(index),
                    "than what was compiled: it does something else at this length, or with these values.",
                    logits[steps_of(index, sequences.offsets)] if self._recurrence.per_step else logits[index],
                )

    def _check(self, x: NDArray[np.float32]) -> None:
        with gradients_kept(self._parameters):
            # As in rolling: first as written, then with constants folded.
            whole = drawn_whole(self._recurrence.draws)
            traced = traced_with_array(self._model, self._parameters, x, Builder(fold=False), whole)
        self.looks = tuple(dict.fromkeys((*self.looks, *traced.looks)))
        prove(self._recurrence, traced)

    def _compare(self, x: NDArray[np.float32], what: str, native: NDArray[np.float32] | None = None) -> None:
        """Compare the model's logits with native ones; if these differ, with those of the recurrence in NumPy."""
        found = np.ravel(answer(self._model, x))
        if native is not None and _alike(found, native.ravel()):
            return
        expected = self._logits(x)
        # Unless a change of the sequence by as much as rounding makes the same difference.
        if not _alike(found, expected) and _alike(self._logits(x * np.float32(1 + 1e-6)), expected):
            raise NotARecurrence(f"on a sequence of {len(x)} steps the model gives other logits {what}\n{ADVICE}")

    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the recurrence on a sequence in NumPy, step by step."""
        return run_in_numpy(self._recurrence, [p.data.reshape(-1) for p in self._parameters], x).ravel()


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether logits agree up to rounding; those that are not finite prove nothing."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.isfinite(one).all() == np.isfinite(other).all()
    return bool(np.abs(one - other).max() <= 1e-3 * np.abs(other).max() + 1e-5)


# Native functions ----------------------------------------------------------------------------------------------------

# Lengths of the random sequences of each trial; a program for one takes the first. None of the longer ones was traced.
TRIALS = ((8, 10, 9), (3, 1, 4))
# The relative change of the weights in a trial that shows how much rounding matters.
_ROUNDING = 1e-6


def verify(model: Any, native: Native, dim_input: int, max_length: int) -> bool:
    """Compare the loss and the gradients of random sequences with MyGrad's; return whether that was conclusive."""
    # Every trial has other weights and a clean workspace, so that a program that reads values it has not computed, or
    # stale ones, is detected. If no trial with weights like the model's is conclusive, small random ones are used.
    tensors, rng = parameters_of(model), np.random.default_rng(0)
    own = [tensor.data.copy() for tensor in tensors]
    seen = False
    for lengths, weights in zip(TRIALS, (own, shifted(tensors, rng)), strict=True):
        seen |= _agrees(model, native, weights, _random(native, lengths, dim_input, max_length, rng), rng)
    if not native.batched:
        # One sequence at a time: the shortest, which may be computed differently.
        for length in (1, 2):
            short = _random(native, (length,), dim_input, max_length, rng)
            seen |= _agrees(model, native, own, short, rng, where_finite=True)
    if seen:
        return True
    small = [rng.normal(size=tensor.shape).astype(np.float32) * np.float32(0.1) for tensor in tensors]
    return _agrees(model, native, small, _random(native, TRIALS[-1], dim_input, max_length, rng), rng)


def _agrees(
    model: Any,
    native: Native,
    weights: list[NDArray[np.float32]],
    sequences: Sequences,
    rng: np.random.Generator,
    *,
    where_finite: bool = False,
) -> bool:
    """Whether a trial shows that model and program agree; False if it is inconclusive."""
    # It is inconclusive if neither loss is finite, or if rounding alone makes as much of a difference, as in a model
    # that is chaotic with these weights, or close to a kink. With `where_finite`, it is inconclusive if a gradient of
    # MyGrad's is not finite.
    with replaced(parameters_of(model), weights):
        expected = _by_model(model, native, sequences)
        native.workspace(len(sequences.values), len(sequences))
        native.forget()
        found = _by_program(native, weights, sequences, expected.targets)
        if native.program.carried is not None:
            _check_going_on(native, weights, sequences)
        if not (np.isfinite(expected.loss) or np.isfinite(found.loss)):
            return False
        is_finite = all(np.isfinite(gradient).all() for gradient in expected.gradients)
        if where_finite and not is_finite:
            return False
        difference = _difference(found, expected, parameter_names(model))
    if difference is None:
        return True
    if _rounding_explains(model, native, weights, sequences, found, expected, rng):
        return False
    if is_finite and not all(np.isfinite(gradient).all() for gradient in found.gradients):
        raise NotARecurrence(
            f"the compiled functions do not agree with the model: {difference}.\n"
            "  If steps or short sequences differ, all alternatives are computed, and one that is not used is not\n"
            '  finite here, for example after a division by zero. Keep it finite, or train with engine="mygrad".'
        )
    raise NotARecurrence(
        f"the compiled functions do not agree with the model: {difference}.\n"
        "  Something that MyGrad's graph does not show changes the numbers: a value taken out with .data or\n"
        '  NumPy, or a model that treats arrays and tensors differently. Train it with engine="mygrad".'
    )


def _check_going_on(native: Native, weights: list[NDArray[np.float32]], sequences: Sequences) -> None:
    """Check that a program gives the same for sequences in two pieces as for whole ones."""
    carried, parameters = native.program.carried, native.block_of(weights).numbers
    assert carried is not None
    count = len(sequences)
    numbers, rows, per_step = np.zeros((count, carried.width), np.float32), np.arange(count), native.program.per_step

    def logits(parts: list[NDArray[Any]], streams: Streams) -> list[NDArray[np.float32]]:
        given = Sequences(
            np.concatenate(parts), offsets_of([len(p) for p in parts]), np.zeros(count, np.int64), sequences.dim_input
        )
        out = np.zeros((len(given.values) if per_step else count, native.program.classes), np.float32)
        native.logits(given, longest_first(given.lengths), parameters, out, streams=streams)
        return [out[steps_of(i, given.offsets)] if per_step else out[i : i + 1] for i in range(count)]

    whole = [sequences.values[steps_of(i, sequences.offsets)] for i in range(count)]
    expected = logits(whole, Streams(~rows, np.zeros_like(numbers)))
    halves = [[part[: len(part) // 2] for part in whole], [part[len(part) // 2 :] for part in whole]]
    first, second = (logits(parts, Streams(r, numbers)) for parts, r in zip(halves, (~rows, rows), strict=True))
    found = [np.concatenate(pair) if per_step else pair[1] for pair in zip(first, second, strict=True)]
    if not _alike(np.concatenate(found), np.concatenate(expected)):
        raise NotARecurrence("a sequence in two pieces gives other results than in one: train without truncate")


@dataclass(frozen=True)
class _Result:
    """The result of a trial: the mean loss of its sequences for these targets, and its gradients."""

    targets: NDArray[Any]
    loss: float
    gradients: list[NDArray[Any]]


def _random(
    native: Native, lengths: tuple[int, ...], dim_input: int, max_length: int, rng: np.random.Generator
) -> Sequences:
    chosen = [min(n, max_length) for n in (lengths if native.batched else lengths[:1])]
    offsets, total = np.concatenate(([0], np.cumsum(chosen))), sum(chosen)
    per_step = native.program.per_step
    targets = np.zeros(total if per_step else len(chosen), dtype=np.int64)
    if native.loss is not None:
        targets = native.loss.examples[rng.integers(0, len(native.loss.examples), len(targets))]
    if native.tokens:
        return Sequences(rng.integers(0, dim_input, total), offsets, targets, dim_input, per_step=per_step)
    return Sequences(rng.normal(size=(total, dim_input)), offsets, targets, per_step=per_step)


def _by_model(model: Any, native: Native, sequences: Sequences, targets: NDArray[Any] | None = None) -> _Result:
    """Run the model; for cross-entropy each sequence gets the class that the model considers least likely."""
    tensors, loss = parameters_of(model), native.loss
    with gradients_kept(tensors), np.errstate(all="ignore"):
        for tensor in tensors:
            # MyGrad only clears the gradients of tensors in a graph; others keep those of the user's own graph.
            tensor.null_grad()
        # A model that draws random numbers is compared with MyGrad using the same ones.
        keys = _keys(sequences).tolist()
        logits = [run_with(SequenceDraws(key), model, sequences.features(i)) for i, key in enumerate(keys)]
        if targets is None:
            # The gradients of a right answer are mostly rounding.
            least = np.concatenate([rows.data.argmin(axis=1) for rows in logits])
            targets = least if loss is None else sequences.targets
        mean = mean_loss(CROSS_ENTROPY if loss is None else loss.function, mygrad.concatenate(logits), targets)
        if native.penalty is not None:
            mean = mean + native.penalty.function(model)
        mean.backward()
        gradients = [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in tensors]
        return _Result(targets, mean.item(), gradients)


def _keys(sequences: Sequences) -> Keys:
    return keys_of(0, 0, (1, len(sequences)))[0]


def _by_program(
    native: Native, weights: list[NDArray[np.float32]], sequences: Sequences, targets: NDArray[Any]
) -> _Result:
    labelled = Sequences(
        sequences.values, sequences.offsets, targets, sequences.dim_input, per_step=native.program.per_step
    )
    keys = _keys(sequences) if native.draws else None
    loss, block = native.gradients(labelled, np.arange(len(sequences)), native.block_of(weights).numbers, keys)
    gradients = [np.empty(w.shape, dtype=np.float32) for w in weights]
    for i, gradient in enumerate(gradients):
        block.read(i, gradient)
    return _Result(targets, loss, gradients)


def _difference(found: _Result, expected: _Result, names: tuple[str, ...]) -> str | None:
    """Describe what differs by more than the usual rounding; None if nothing does."""
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
    native: Native,
    weights: list[NDArray[np.float32]],
    sequences: Sequences,
    found: _Result,
    expected: _Result,
    rng: np.random.Generator,
) -> bool:
    """Whether MyGrad's own numbers change as much when the weights change by about the size of rounding."""
    moved = np.zeros(1 + len(weights))
    for _ in range(8):
        near = [w * (1 + _ROUNDING * rng.choice((-1, 1), w.shape)).astype(np.float32) for w in weights]
        with replaced(parameters_of(model), near):
            moved = np.maximum(moved, _distances(_by_model(model, native, sequences, expected.targets), expected))
    # NaN explains nothing, and is explained by nothing.
    return bool(np.all(_distances(found, expected) <= 10 * moved + _tolerances(expected)))


def _distances(one: _Result, other: _Result) -> NDArray[np.float64]:
    """Return the differences of two results: of the losses, and the largest of each parameter's gradient."""
    pairs = zip(one.gradients, other.gradients, strict=True)
    return np.array([abs(one.loss - other.loss), *(_apart(a, b) for a, b in pairs)])


def _apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest difference of two arrays: 0 where both have the same infinity, or NaN."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return float(np.abs(np.subtract(one, other, where=~same, out=np.zeros(one.shape))).max(initial=0))


def _tolerances(expected: _Result) -> NDArray[np.float64]:
    """Return the usual rounding errors of the loss and of each parameter's gradient in a well-behaved model."""
    sizes = np.array([_largest(gradient) for gradient in expected.gradients])
    return np.array([1e-3 * (1 + abs(expected.loss)), *(1e-3 * sizes + 1e-4 * sizes.max(initial=0) + 1e-6)])


def _largest(numbers: NDArray[Any]) -> float:
    """Return the largest absolute value among the finite numbers."""
    return float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0))
