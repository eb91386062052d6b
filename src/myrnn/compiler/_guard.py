"""Hold a compiled recurrence against the model itself, whenever there is a reason to doubt that they still agree."""

from __future__ import annotations

from copy import copy
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.compiler._differences import ADVICE
from myrnn.compiler._probe import MYGRAD, difference_from_recurrence, gradients_kept, traced_with_array
from myrnn.compiler._reads import readable
from myrnn.compiler._roll import Recurrence, in_its_order, unroll
from myrnn.compiler._templates import placeholders
from myrnn.compiler._trace import Trace
from myrnn.compiler.graph import Builder, evaluate
from myrnn.errors import CompileError, NotARecurrence
from myrnn.models import parameters_of
from myrnn.sequences import Sequences

# How many steps are traced to see whether a model has changed, and how many run in NumPy to compare its logits.
FEW, MORE = 2, 13
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
        self._readable, self._is_refused = self._readable_now(), False
        self._empty_checked = False

    def of(self, model: Any, parameters: tuple[Tensor, ...]) -> Guard:
        """Return the guard of another model of the class.

        As long as `has_changed` says that it can read nothing else, what this one was checked on holds for it, too.
        """
        guard = copy(self)
        guard._model, guard._parameters, guard._lengths = model, parameters, set(self._lengths)
        return guard

    @property
    def traced(self) -> int:
        """How many steps of a sequence are traced at most."""
        return min(TRACED, self._steps_of(TRACED_NUMBERS))

    def _steps_of(self, numbers: int) -> int:
        """Return how many steps have so many numbers, or a few where even these have more."""
        return max(FEW, numbers // self._recurrence.dim_input)

    def is_over(self, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these are the very tensors that the model was compiled over."""
        return len(parameters) == len(self._parameters) and all(
            one is other for one, other in zip(parameters, self._parameters, strict=True)
        )

    def has_changed(self) -> bool:
        """Whether the model, apart from its parameters, can read anything else now than when it was checked."""
        return self._is_refused or bool(self._readable_now() != self._readable)

    def _readable_now(self) -> dict[str, Any]:
        return readable(self._model, arrays=True, without=frozenset(id(p) for p in self._parameters))

    def check_use(self, sequences: Sequences) -> None:
        """Check the model before it is used on the sequences, as far as there is reason to.

        That is on one sequence of each length that it was not checked on before: on all of these lengths, or on so many
        of them, from the longest down and evenly spread, that no more than `STEPS_AT_ONCE` steps are traced.
        """
        if not self.looks:
            self.check_unchanged(sequences)
        if self.looks:
            # Its code may do something else for the numbers of any of them; one that was changed may do so now.
            for index in range(len(sequences)):
                self.check(sequences, index)
            return
        self.check_lengths(sequences)
        places = self.unchecked(sequences.lengths)[::-1]
        sparser = (places[::every] for every in range(1, len(places)))
        traced = np.minimum(sequences.lengths, self.traced)
        for index in next((p for p in sparser if traced[p].sum() <= STEPS_AT_ONCE), places[:1]):
            self.check(sequences, int(index))

    def check_unchanged(self, sequences: Sequences) -> None:
        """Check the model again, on the longest of the sequences, if it has changed since it was last checked.

        Raises
        ------
        CompileError
            When its parameters are other tensors.
        NotARecurrence
            When the model does something else now.
        """
        if not self.is_over(parameters_of(self._model)):
            raise CompileError(
                "the model's parameters are other tensors than those that it was compiled with: compile it again"
            )
        if len(sequences) and self.has_changed():
            self.check(sequences, int(sequences.lengths.argmax()))

    def check_again(self) -> None:
        """Check the model on a few steps after the user's code ran: it may have changed what `has_changed` cannot see.

        Raises
        ------
        NotARecurrence
            When the model does something else now; from then on it counts as changed.
        """
        steps = max(FEW, min(MORE, self._steps_of(RUN_NUMBERS)))
        x = np.random.default_rng(0).normal(size=(steps, self._recurrence.dim_input)).astype(np.float32)
        try:
            with MYGRAD:
                self._check(x[:FEW], looks=True)
                # What is done otherwise only after some steps shows in the logits.
                self._check_logits(x, FEW)
        except CompileError:
            self._is_refused = True
            raise

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
        if len(lengths) and not self._empty_checked and lengths.min() == 0:
            self.check(sequences, int(lengths.argmin()))
            self._empty_checked = True
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
            # A model that was changed may look at numbers now.
            self._check(sequences.features(index, self.traced), looks=self.has_changed())
            if length > self.traced:
                self._check_logits(sequences.features(index, min(RUN, self._steps_of(RUN_NUMBERS))), self.traced)
        self._lengths.add(length)
        self.max_length = max(self.max_length, length)

    def _check(self, x: NDArray[np.float32], looks: bool) -> None:
        with gradients_kept(self._parameters):
            traced = traced_with_array(self._model, self._parameters, x, self._build, looks=looks)
        self.looks = tuple(dict.fromkeys((*self.looks, *traced.looks)))
        traced = in_its_order(self._recurrence, traced, self._build)
        if traced.output is not unroll(self._recurrence, len(x), self._build):
            raise NotARecurrence(
                f"on a sequence of {len(x)} steps the model does not compute what was compiled: at some step, or with "
                "some values, it does what it did not do when it was traced.\n"
                f"{difference_from_recurrence(self._recurrence, traced, self._build)}"
            )
        self._readable, self._is_refused = self._readable_now(), False

    def _check_logits(self, x: NDArray[np.float32], traced: int) -> None:
        """Compare the model's logits with the recurrence's on a sequence of which only so many steps were traced."""
        with mygrad.no_autodiff, np.errstate(all="ignore"):
            result, expected = self._model(x.copy()), self._logits(x)
            found = np.ravel(np.asarray(result.data if isinstance(result, Tensor) else result))
            # Unless a change of the sequence by as much as rounding makes the same difference.
            if not _alike(found, expected) and _alike(self._logits(x * np.float32(1 + 1e-6)), expected):
                raise NotARecurrence(
                    f"on a sequence of {len(x)} steps the model gives other logits than what was compiled, though it "
                    f"computes the same on the first {traced}:\n"
                    f"  later on it does what its other steps do not, or leaves steps out.\n{ADVICE}"
                )

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


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether logits agree but for rounding; those that are not finite tell nothing."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.isfinite(one).all() == np.isfinite(other).all()
    return bool(np.abs(one - other).max() <= 1e-3 * np.abs(other).max() + 1e-5)
