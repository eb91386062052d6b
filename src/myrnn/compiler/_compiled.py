"""A compiled model: what was found of it, and its native functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._logits import check_finite, is_lost
from myrnn.compiler._programs import Programs
from myrnn.compiler.derive import Derivative, trained_by_length
from myrnn.compiler.graph import Builder, topological
from myrnn.compiler.guard import Guard
from myrnn.compiler.names import state_names
from myrnn.compiler.native import Block, Native, in_threads, shards_for
from myrnn.compiler.plan import Kind
from myrnn.compiler.roll import Recurrence
from myrnn.compiler.show import stage_texts, write_equations
from myrnn.compiler.trace import Trace
from myrnn.errors import InvalidArgument
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences

# Sequences whose logits are computed in one native call: few enough for their states to stay in the cache.
PORTION = 512
# The memory for all steps of these sequences, in bytes: wide layers and long sequences come in smaller portions.
PORTION_BYTES = 2**24
# How many multiplications are worth a thread.
LEAST_WORK = 200_000


@dataclass(frozen=True, repr=False, eq=False)
class Observation:
    """What went on inside while one sequence ran forward and back.

    Attributes
    ----------
    loss : float
        The softmax cross-entropy, in nats.
    logits : ndarray, float32 (K,)
    states : tuple of ndarray, float32 (T + 1, D)
        Each state, in the order of ``CompiledModel.state_names``: before the first step, and after every step.
    state_gradients : tuple of ndarray, float32 (T + 1, D)
        The gradient of the loss with respect to each of these.
    input_gradients : ndarray, float32 (T, C)
        The gradient of the loss with respect to every row of the sequence.
    """

    loss: float
    logits: NDArray[np.float32]
    states: tuple[NDArray[np.float32], ...]
    state_gradients: tuple[NDArray[np.float32], ...]
    input_gradients: NDArray[np.float32]


class CompiledModel:
    """The native functions of a model, over the model's own parameters.

    Attributes
    ----------
    model : callable
        The model that was compiled; its parameters are read at every call.
    dim_input, dim_output : int
        C and K.
    max_length : int
        Up to what length the model has been checked to be this recurrence.
    state_names : tuple of str
        What the model calls its states.
    guard : Guard
        Holds the recurrence against the model while it is in use.
    """

    def __init__(self, model: Any, recurrence: Recurrence, guard: Guard, programs: Programs) -> None:
        self.model, self.recurrence, self.guard, self._programs = model, recurrence, guard, programs
        self.dim_input, self.dim_output = recurrence.dim_input, recurrence.readout.size
        self._parameters = parameters_of(model)
        # Whatever becomes of this model, others are compared with what it was.
        self._names = parameter_names(model)

    @classmethod
    def found(
        cls, model: Any, recurrence: Recurrence, build: Builder, traces: dict[int, Trace], max_length: int
    ) -> CompiledModel:
        """Return a model of which this recurrence was found, in these traces."""
        parameters = parameters_of(model)
        guard = Guard(model, parameters, recurrence, build, traces, max_length)
        return cls(model, recurrence, guard, Programs(model, parameters, recurrence))

    def is_like(self, model: Any, parameters: tuple[Tensor, ...]) -> bool:
        """Whether another model is of the same class, with parameters of the same names and shapes."""
        return (
            type(model) is type(self.model)
            and parameter_names(model) == self._names
            and [p.shape for p in parameters] == [p.shape for p in self._parameters]
        )

    def of(self, model: Any, parameters: tuple[Tensor, ...]) -> CompiledModel:
        """Return this recurrence over the parameters of another model that is like this one; it is to be checked."""
        guard, programs = self.guard.of(model, parameters), self._programs.of(model, parameters)
        return CompiledModel(model, self.recurrence, guard, programs)

    # What was found --------------------------------------------------------------------------------------------------

    @property
    def max_length(self) -> int:
        """Up to what length the model has been checked to be this recurrence."""
        return self.guard.max_length

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the model calls its states."""
        return state_names(self.recurrence)

    def __str__(self) -> str:
        """Return the recurrence as equations, in the model's own names."""
        return str(write_equations(self.recurrence, parameter_names(self.model)))

    def __repr__(self) -> str:
        """Say what it is."""
        states = ", ".join(
            f"{name} ({size})" for name, size in zip(self.state_names, self.recurrence.state_sizes, strict=True)
        )
        name = type(self.model).__name__
        return f"CompiledModel({name}: {self.dim_input} inputs, states {states}, {self.dim_output} classes)"

    @property
    def source(self) -> str:
        """The emitted Python for one sequence of features at a time."""
        return self.source_for(tokens=False, batched=False)

    def source_for(self, *, tokens: bool, batched: bool) -> str:
        """Return the emitted Python for tokens or features, for one sequence at a time or for batches."""
        return self._programs.emitted(tokens=tokens, batched=batched)[1]

    @property
    def stages(self) -> dict[str, str]:
        """What every stage made of the model, as text, by the stage's name."""
        names = parameter_names(self.model)
        return stage_texts(self.model, self._parameters, names, self.recurrence, self.derivative)

    @property
    def derivative(self) -> Derivative:
        """The derivatives of the recurrence, as graphs."""
        return self._programs.derivative

    def trained_by_length(self, longest: int) -> NDArray[np.bool_]:
        """Return which parameters have a gradient after 0, 1, ..., `longest` steps, bool (longest + 1, parameters)."""
        return trained_by_length(self.recurrence, self.guard.reached, len(self._parameters), longest)

    @property
    def work_per_row(self) -> int:
        """How many multiplications of matrix products one step of one sequence takes, forward."""
        products = (n for n in topological(self.derivative.recurrence.step) if n.operation == "matmul")
        return sum(m * k * n for m, k, n, _ in (product.attributes for product in products))

    def native(self, *, tokens: bool, batched: bool) -> Native:
        """Return the compiled program for this kind of data, checked against the model; it may take some seconds.

        Raises
        ------
        NotARecurrence
            When loss or gradients of random sequences differ from MyGrad's by more than rounding.
        """
        return self._programs.native(tokens=tokens, batched=batched, max_length=self.max_length)

    def programs_for_tokens(self, batch_size: int) -> list[str]:
        """Return the texts of the programs that train on tokens, classify them and inspect sequences of them."""
        batched = sorted({batch_size > 1, self._pays_to_batch()})
        kinds = [*(Kind(True, many) for many in batched), Kind(tokens=False, batched=False, observed=True)]
        return [self._programs.emitted(**kind._asdict())[1] for kind in kinds]

    # Using it --------------------------------------------------------------------------------------------------------

    def __call__(self, x: NDArray[Any] | Tensor) -> NDArray[np.float32]:
        """Return the logits of one sequence: `x` is (T, C), the result float32 (1, K)."""
        return self.logits(self._one(x, 0))

    def logits(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the logits of every sequence, float32 (N, K)."""
        return self._logits(sequences, batched=len(sequences) > 1 and self._pays_to_batch())

    def _logits(self, sequences: Sequences, *, batched: bool) -> NDArray[np.float32]:
        self._check_input(sequences)
        self.guard.check_use(sequences)
        native = self.native(tokens=sequences.is_tokens, batched=batched)
        parameters = self.parameter_block(native).numbers
        # Neighbours in length side by side leave the fewest rows of a batch idle.
        order = np.argsort(sequences.lengths, kind="stable")
        out = np.zeros((len(sequences), self.dim_output), dtype=np.float32)
        portions = list(_portions(order, sequences.lengths[order], PORTION_BYTES // native.bytes_per_step))
        steps = len(sequences.values)
        shards = shards_for(steps, steps * self.work_per_row, LEAST_WORK)

        def run(shard: int) -> None:
            for members in portions[shard::shards]:
                out[members] = native.logits(sequences, members, parameters, shard)

        with native.lock:
            in_threads(run, shards)
        self.guard.check_result(sequences, out)
        return out

    def predict(self, sequences: Sequences, *, not_finite: int | None = None) -> NDArray[np.int64]:
        """Return the class of every sequence, int64 (N,): the one with the largest logit.

        Parameters
        ----------
        sequences : Sequences
        not_finite : int, optional
            The class to return for sequences whose logits are not finite; without it, such a sequence is an error.

        Raises
        ------
        NotFinite
            When logits are not finite, and no class is named for such sequences.
        """
        logits = self.logits(sequences)
        if not_finite is None:
            check_finite(logits, sequences.lengths)
            return np.argmax(logits, axis=1)
        label = _checks.integer("not_finite", not_finite, minimum=0, maximum=self.dim_output - 1)
        return np.where(is_lost(logits), label, np.argmax(logits, axis=1))

    def loss_and_gradients(self, x: NDArray[Any] | Tensor, y: Any) -> tuple[float, tuple[NDArray[np.float32], ...]]:
        """Return the softmax cross-entropy of one sequence and its gradients.

        Parameters
        ----------
        x : array, shape (T, C)
        y : int or array of one int
            The right class.

        Returns
        -------
        loss : float
        gradients : tuple of ndarray, float32
            In the order and the shapes of ``model.parameters``.
        """
        sequences = self._one(x, y)
        self._check_input(sequences)
        self.guard.check_use(sequences)
        native = self.native(tokens=sequences.is_tokens, batched=False)
        loss, block = native.gradients(sequences, np.zeros(1, dtype=np.int64), self.parameter_block(native).numbers)
        gradients = tuple(np.empty(parameter.shape, dtype=np.float32) for parameter in self._parameters)
        for i, gradient in enumerate(gradients):
            block.read(i, gradient)
        return loss, gradients

    def observe(self, x: NDArray[Any] | Tensor, y: Any) -> Observation:
        """Look inside while one sequence runs forward and back.

        Parameters
        ----------
        x : array, shape (T, C)
        y : int or array of one int
            The class that the loss is taken for.

        Returns
        -------
        Observation
        """
        sequences = self._one(x, y)
        self._check_input(sequences)
        self.guard.check_use(sequences)
        native = self._programs.observer(max_length=self.max_length)
        observation = Observation(*native.observe(sequences, 0, self.parameter_block(native).numbers))
        if self.recurrence.reverse:
            return replace(observation, input_gradients=observation.input_gradients[::-1])
        return observation

    def prefix_logits(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the logits if the only one of `sequences` ended after each step, float32 (T, K)."""
        values = sequences.values
        count = len(values)
        prefixes = np.concatenate([values[: t + 1] for t in range(count)] or [values])
        ends = np.cumsum(np.arange(count + 1))
        labels = np.zeros(count, dtype=np.int64)
        width = sequences.dim_input if sequences.is_tokens else None
        return self._logits(Sequences(prefixes, ends, labels, width), batched=self._pays_to_batch())

    def parameter_block(self, native: Native) -> Block:
        """Return the model's parameters in the layout of a program."""
        return self._programs.parameter_block(native)

    def _one(self, x: Any, y: Any) -> Sequences:
        array = np.asarray(x.data if isinstance(x, Tensor) else x)
        if array.ndim != 2 or array.shape[1] != self.dim_input:
            raise InvalidArgument(
                f"x must be one sequence of shape (T, {self.dim_input}), not an array of shape {array.shape}"
            )
        return Sequences.from_pairs([(array, y)])

    def _check_input(self, sequences: Sequences) -> None:
        if not isinstance(sequences, Sequences):
            raise InvalidArgument(f"sequences must be a Sequences, not {type(sequences).__name__}")
        if sequences.dim_input != self.dim_input:
            raise InvalidArgument(
                f"the sequences have {sequences.dim_input} inputs, but the model takes {self.dim_input}"
            )
        if len(sequences) and sequences.labels.max() >= self.dim_output:
            raise InvalidArgument(
                f"a label is {sequences.labels.max()}, but the model has {self.dim_output} classes, "
                f"0 .. {self.dim_output - 1}"
            )

    def _pays_to_batch(self) -> bool:
        return max(self.recurrence.state_sizes, default=0) >= 8


def _portions(order: NDArray[np.int64], lengths: NDArray[np.int64], steps: int) -> Iterator[NDArray[np.int64]]:
    """Cut sequences, sorted by length, into portions of at most so many steps."""
    begin = 0
    while begin < len(order):
        longest = lengths[min(begin + PORTION, len(order)) - 1]
        end = min(begin + PORTION, begin + max(1, int(steps // max(1, longest))), len(order))
        yield order[begin:end]
        begin = end
