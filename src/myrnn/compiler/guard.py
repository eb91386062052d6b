"""Checks that keep a compiled model correct in use: it is compared with the model itself wherever there is doubt.

What can go wrong, and the guard that finds it (`tests/test_guard.py` has a model for each):

=====================================================  =================================================================
a model changes: an attribute, a global, a layer,      before every use five steps are run, and traced unless the
a context variable, by whatever code                   computation is the same (`Guard.check_unchanged`);
                                                       for gradients they are always traced
it does something else at one length, or later on      each length is traced once, when it is new; beyond `TRACED` steps
                                                       the logits are compared (`Guard.check`); the numbers that tables
                                                       have for more steps are read off a longer trace (`Guard.know`)
it is changed so that this shows after five steps, or  of many sequences the logits of two are compared with the model's
at one length only                                     own at every use (`Guard.check_result`), not of a single one;
                                                       training compares those of all lengths at first
                                                       (`Guard.compare_lengths`), and traces some
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

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.compiler.differences import ADVICE
from myrnn.compiler.draws import drawn_whole
from myrnn.compiler.graph import Builder, topological
from myrnn.compiler.loops import Recurrence, run_in_numpy
from myrnn.compiler.memory import machine_memory
from myrnn.compiler.probe import PROBES, empty_trace, traced_with_array
from myrnn.compiler.proof import prove, prove_empty
from myrnn.compiler.record import Record, Work, takes_numbers
from myrnn.compiler.recorder import recorded
from myrnn.compiler.reference import MYGRAD, alike, answer, gradients_kept, without_graph
from myrnn.compiler.trace import Trace
from myrnn.compiler.traced_arrays import TracedArray, numbers_of
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence
from myrnn.flat import steps_of
from myrnn.models.model import network_of, parameters_of
from myrnn.sequences import Sequences

# The number of steps that are run, and traced, to see whether a model has changed.
FEW = 5
# The most steps of a sequence that are traced, and the most of a longer one that run in NumPy to compare its logits.
TRACED, RUN = 500, 20_000
# Both are lower if so many steps would have more numbers than these (16 MB and 64 MB).
TRACED_NUMBERS, RUN_NUMBERS = 2**22, 2**24
# The same for a long sequence that a model of MyRNN reads piece by piece, and the most steps that run of such a
# sequence in any model: the check must not take longer than the reading. Later steps are assumed to continue like that.
STREAM_TRACED, STREAM_RUN = 128, 1000
# The most steps of a sequence that is traced whole if the model reads tables.
WHOLE = 5000
# The most steps of which the logits are compared when a model may have changed.
LATER = 100
# The memory to trace an operation of a step, and a number that it computes, in bytes.
OPERATION_BYTES, NUMBER_BYTES = 4000, 16
# The traced steps, each of which takes a millisecond or two, when sequences of unchecked lengths are used.
STEPS_AT_ONCE = 2000
# The end of the refusal of a model whose logits differ.
CHANGED = "than what was compiled: it does something else at this length, at later steps, or with these values."


class Guard:
    """Knows on which lengths a model has been checked, and checks it on new ones."""

    def __init__(
        self,
        model: Any,
        parameters: tuple[Tensor, ...],
        recurrence: Recurrence,
        traces: Mapping[int, Trace] = MappingProxyType({}),
        max_length: int = 0,
    ) -> None:
        # `traces` are those that the model was compiled from; another model of its class begins without any.
        self._model, self._parameters = model, parameters
        # The recurrence as it was found, and with the rows of tables that this model has shown since then.
        self._found = self.recurrence = recurrence
        # If the model reads sequences piece by piece, only the first steps of long ones are checked.
        self.max_length, self.is_stream = max_length, False
        # Places where the model's code inspects the numbers of tensors. If there are any, its behaviour may depend on
        # them, and it is checked on every sequence that it is used on.
        self.looks = tuple(dict.fromkeys(origin for traced in traces.values() for origin in traced.looks))
        # Length -> the parameters that have a gradient in MyGrad, for the lengths that were traced.
        self.reached = {length: traced.parameters for length, traced in traces.items()}
        # Tracing an empty sequence does not prove that the recurrence gives the same for it.
        self._lengths = set(traces) - {0}
        # The steps for which the numbers of tables are known.
        self._known_steps = max(self._lengths, default=0)
        self._rng = np.random.default_rng(0)
        steps = max(2, min(FEW, self._steps_of(RUN_NUMBERS)))
        self._probe = self._rng.normal(size=(steps, recurrence.dim_input)).astype(np.float32)
        # What the model computed for the probe when it was last traced.
        self._work: Work | None = None
        # The same for sequences of the lengths that a compilation traces.
        self._works: dict[int, Work] = {}

    def check_as_compiled(self, longest: int) -> None:
        """Check the model at the lengths that a compilation traces, unless it computes the same as before there."""
        # A few steps show what is computed out of MyGrad's sight, too: they are traced.
        self.check_unchanged()
        rng, is_same = np.random.default_rng(0), True
        for length in sorted({*PROBES, max(longest, 9)}):
            x = rng.normal(size=(length, self.recurrence.dim_input)).astype(np.float32)
            # Logits do not show random draws of the training.
            record = self._run(x, draws=True)
            found = _work_of(record)
            if found is None or record.draws or self._works.get(length) != found:
                if is_same:
                    self._begin_anew()
                    is_same = False
                self.check(Sequences.from_pairs([(x, 0)]), 0)
                if found is not None:
                    self._works[length] = found
        with gradients_kept(self._parameters):
            empty = empty_trace(self._model, self._parameters, self.recurrence.dim_input, Builder(fold=False))
        if empty is not None and isinstance(refusal := prove_empty(self.recurrence, empty), NotARecurrence):
            raise refusal

    def _begin_anew(self) -> None:
        """Forget what earlier checks have shown: they were for the earlier model."""
        self.reached.clear()
        if self._works:
            self._lengths, self._works, self._known_steps, self.recurrence = set(), {}, 0, self._found

    def forget(self) -> None:
        """Check lengths other than those of a compilation again: the model may have changed there."""
        self._lengths &= {*self._works, *PROBES}
        self._known_steps = max(self._lengths, default=0)

    @property
    def traced(self) -> int:
        """The most steps of a sequence that are traced."""
        return min(TRACED, self._steps_of(TRACED_NUMBERS))

    @property
    def traced_of_stream(self) -> int:
        """The most steps of a sequence that are traced if it is read piece by piece."""
        return STREAM_TRACED if self._is_ours else self.traced

    def _steps_of(self, numbers: int) -> int:
        """Return the number of steps with this many numbers, at least two."""
        return max(2, numbers // self.recurrence.dim_input)

    def is_over(self, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these are the same tensors that the model was compiled with."""
        return len(parameters) == len(self._parameters) and all(
            one is other for one, other in zip(parameters, self._parameters, strict=True)
        )

    def has_changed(self, steps: int = 0) -> bool:
        """Whether the model differs from what was compiled, tested on so many steps, a few at least."""
        try:
            self.check_again(steps)
        except CompileError:
            return True
        return False

    def check_use(self, sequences: Sequences, *, gradients: bool = False) -> None:
        """Check the model before it is used on the sequences, as far as necessary."""
        # For `gradients` a few steps are traced in any case: they may have changed even if the logits have not.
        if gradients:
            self.check_again(int(sequences.lengths.max(initial=0)))
        else:
            self.check_unchanged()
        if self.looks:
            # Its code may behave differently for the numbers of any of them.
            for index in range(len(sequences)):
                self.check(sequences, index)
            return
        if self._knows(sequences.lengths):
            return
        self.check_lengths(sequences)
        for index in self._of_lengths(sequences):
            self.check(sequences, index)

    def compare_lengths(self, sequences: Sequences) -> None:
        """Compare the logits of one sequence of each length that is new; raises NotARecurrence."""
        with MYGRAD:
            for index in self._of_lengths(sequences):
                self._compare(sequences.features(index, self.traced), CHANGED)

    def _of_lengths(self, sequences: Sequences) -> list[int]:
        """Return the index of one sequence of each length that is new, or of some lengths, if these are many."""
        # If they have more than `STEPS_AT_ONCE` steps, these are from the longest down and evenly spread. MyRNN's own
        # models are known to repeat a step at every length, so the longest one is enough.
        places = self.unchecked(sequences.lengths)[::-1]
        sparser = (places[::every] for every in range(1, len(places)) if not self._is_ours)
        traced = np.minimum(sequences.lengths, self.traced)
        return next((p for p in sparser if traced[p].sum() <= STEPS_AT_ONCE), places[:1]).tolist()

    def _knows(self, lengths: NDArray[np.int64]) -> bool:
        """Whether the model has been checked on all these lengths."""
        return self._lengths.issuperset(lengths.tolist()) and bool(lengths.max(initial=0) <= self.max_length)

    @property
    def _is_ours(self) -> bool:
        return type(network_of(self._model)).__module__.startswith("myrnn.models.")

    def refuse_looks(self) -> None:
        """Refuse a model that may behave differently for other numbers; raises NotARecurrence."""
        if self.looks:
            raise NotARecurrence(takes_numbers(self.looks[0]))

    def check_unchanged(self) -> None:
        """Run a few steps of the model, and check it again unless it does what it did, with the right result."""
        with MYGRAD:
            try:
                record = self._run(self._probe)
            except CompileError:
                self._trace_again()
                return
            if record.looks or not self._is_over_its_own() or not self._does_the_same(record):
                self._trace_again()

    def _does_the_same(self, record: Record) -> bool:
        """Whether the probe shows the operations of the last trace, and the logits of that or of the recurrence."""
        work = _work_of(record)
        # If the logits prove nothing, there is no earlier work.
        if work is None or self._work is None or work[1:] != self._work[1:]:
            return False
        if work[0] != self._work[0]:
            # The weights are other ones now. Their logits also show what is computed out of MyGrad's sight.
            if not alike(np.ravel(numbers_of(record.result)), self._logits(self._probe)):
                return False
            self._work = work
        return True

    def check_parameters(self) -> None:
        """Raise CompileError when the model's parameters are not the tensors that it was compiled with."""
        if not self._is_over_its_own():
            raise CompileError("the model's parameters are not the tensors that it was compiled with: compile it again")

    def check_again(self, steps: int = 0) -> None:
        """Trace a few steps of the model, and compare the logits of so many, with the recurrence."""
        self._trace_again()
        length = min(steps, self.max_length, LATER)
        if length > len(self._probe):
            with MYGRAD:
                self._compare(self._rng.normal(size=(length, self.recurrence.dim_input)).astype(np.float32), CHANGED)

    def _trace_again(self) -> None:
        self.check_parameters()
        self._work = None
        with MYGRAD:
            self._check(self._probe)
            self._work = _work_of(self._run(self._probe))

    def _run(self, x: NDArray[np.float32], *, draws: bool = False) -> Record:
        """Run the model without a graph, and record all operations on tensors."""
        # A tensor shows what is computed from the sequence. NumPy's functions take it as they take an array.
        with MYGRAD, without_graph(x):
            sequence = TracedArray(x, constant=True)
            return recorded(self._model, sequence, work=True, draws=draws, parameters=self._parameters)

    def _is_over_its_own(self) -> bool:
        # Those that it was compiled with were checked then.
        try:
            given = self._model.parameters
        except Exception:
            given = None
        return (isinstance(given, tuple) and self.is_over(given)) or self.is_over(parameters_of(self._model))

    def check_lengths(self, sequences: Sequences) -> None:
        """Check the model on the longest of the sequences, if it is longer than any before, and on an empty one."""
        lengths = sequences.lengths
        if len(lengths) and lengths.min() == 0 and 0 not in self._lengths and not self.recurrence.per_step:
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
        known = self._lengths | {0} if self.recurrence.per_step else self._lengths
        return places[[n not in known for n in found.tolist()]]

    def check(self, sequences: Sequences, index: int, most: int = TRACED) -> None:
        """Trace the model on one sequence with its current parameters, and compare it with the recurrence by nodes."""
        # Of more than `traced` steps, or more than `most`, only these are traced, and the logits of the whole sequence
        # are compared; for a very long one those of its first steps.
        length, run = int(sequences.lengths[index]), min(RUN, self._steps_of(RUN_NUMBERS))
        if self.is_stream and length > STREAM_RUN:
            most, run = min(most, self.traced_of_stream), min(run, STREAM_RUN)
        traced = min(self.traced, most)
        if self.recurrence.tables and length <= WHOLE:
            traced = length
        elif self.recurrence.tables:
            self.know(run if self.is_stream else length)
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

    def know(self, steps: int, *, goes_on: bool = False) -> None:
        """Run the model on a longer sequence if its tables are not known for so many steps; raises CompileError.

        If the sequence goes on, the numbers of its last steps count, too: a trace shows them if it has further steps.
        """
        # What a step reads may pass through each state before the logits show it.
        wanted = steps + len(self.recurrence.step) if goes_on else steps
        if not self.recurrence.tables or wanted <= self._known_steps:
            return
        if (needed := self._bytes_for(steps)) > (there := machine_memory() // 2):
            raise CompileError(
                "the model computes with numbers that differ from step to step. They are read off a run of the model, "
                f"which for {steps:,} steps takes about {needed / 1e9:.1f} GB of memory, and at most "
                f"{there / 1e9:.1f} GB may be used: make sequences shorter"
            )
        # Each new length takes long, so that there should be few.
        self._learn_rows(self.readable(steps, max(wanted, 2 * self._known_steps)))

    def readable(self, least: int, most: int) -> int:
        """Return the greatest length, up to `most`, that a model with tables reads; it may have no numbers for more."""
        if not self.recurrence.tables or most <= least:
            return most
        # A trace takes longer than a run, but shows whether the model goes on as before, too.
        return _greatest(least, _greatest(least, most, self._can_read), self._goes_on)

    def _can_read(self, length: int) -> bool:
        """Whether the model reads so many steps, and a trace of them fits in memory."""
        if self._bytes_for(length) > machine_memory() // 2:
            return False
        with suppress(CompileError, InvalidArgument), MYGRAD:
            answer(self._model, np.zeros((length, self.recurrence.dim_input), np.float32))
            return True
        return False

    def _goes_on(self, length: int) -> bool:
        """Whether the model computes the recurrence on so many steps; the numbers of its tables are known then."""
        looks = self.looks
        try:
            self._learn_rows(length)
        except (CompileError, InvalidArgument):
            self.looks = looks
            return False
        return True

    def _learn_rows(self, length: int) -> None:
        """Read the numbers of tables off a run of so many steps, if they are not known."""
        if length > self._known_steps:
            rows = np.random.default_rng(length).normal(size=(length, self.recurrence.dim_input))
            with MYGRAD:
                self._check(rows.astype(np.float32))

    def _bytes_for(self, steps: int) -> int:
        """Return about the memory to trace the model on so many steps."""
        r = self.recurrence
        nodes = [node for node in topological([*r.step, *r.kept.values()]) if node.inputs]
        numbers = r.dim_input + sum(node.size for node in nodes)
        return steps * (OPERATION_BYTES * len(nodes) + NUMBER_BYTES * numbers)

    def check_result(self, sequences: Sequences, logits: NDArray[np.float32]) -> None:
        """Compare the logits of the longest sequence, and of a random one, with the model's own."""
        lengths = np.where(sequences.lengths <= self.traced, sequences.lengths, -1)
        chosen = {int(lengths.argmax()), int(self._rng.integers(len(sequences)))} if len(sequences) else set()
        for index in sorted(chosen):
            if lengths[index] >= self.recurrence.per_step:
                found = logits[steps_of(index, sequences.offsets)] if self.recurrence.per_step else logits[index]
                with MYGRAD:
                    self._compare(sequences.features(index), CHANGED, found)

    def _check(self, x: NDArray[np.float32]) -> None:
        with gradients_kept(self._parameters):
            # As in rolling: first as written, then with constants folded.
            whole = drawn_whole(self.recurrence.draws)
            traced = traced_with_array(self._model, self._parameters, x, Builder(fold=False), whole)
        self.looks = tuple(dict.fromkeys((*self.looks, *traced.looks)))
        proved = prove(self.recurrence, traced)
        if isinstance(proved, NotARecurrence):
            raise proved
        self.recurrence = proved
        self.reached[len(x)] = traced.parameters
        self._known_steps = max(self._known_steps, len(x))

    def _compare(self, x: NDArray[np.float32], what: str, native: NDArray[np.float32] | None = None) -> None:
        """Compare the model's logits with native ones; if these differ, with those of the recurrence in NumPy."""
        found = np.ravel(answer(self._model, x))
        if native is not None and alike(found, native.ravel()):
            return
        expected = self._logits(x)
        # Unless a change of the sequence by as much as rounding makes the same difference.
        if not alike(found, expected) and alike(self._logits(x * np.float32(1 + 1e-6)), expected):
            raise NotARecurrence(f"on a sequence of {len(x)} steps the model gives other logits {what}\n{ADVICE}")

    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the recurrence on a sequence in NumPy, step by step."""
        return run_in_numpy(self.recurrence, [p.data.reshape(-1) for p in self._parameters], x).ravel()


def _greatest(least: int, most: int, works: Callable[[int], bool]) -> int:
    """Return the greatest number that works, if all below it do: `most`, or one from `least` on, which does."""
    if most <= least or works(most):
        return most
    while most - least > 1:
        between = (least + most) // 2
        least, most = (between, most) if works(between) else (least, between)
    return least


def _computed(record: Record) -> Work:
    """Return the logits of a record, and the operations behind them."""
    return np.asarray(numbers_of(record.result)).tobytes(), *record.work


def _work_of(record: Record) -> Work | None:
    """Return the same, or None if the logits prove nothing: one is not finite, or 0, as from a readout of zeros."""
    logits = np.asarray(numbers_of(record.result))
    return _computed(record) if np.isfinite(logits).all() and logits.all() else None
