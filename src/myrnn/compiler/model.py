"""Compiled models: the results of their analysis, and their use."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler.carry import carried_of, check_steps, why_not_carried
from myrnn.compiler.derive import Derivative, ProgramKind, differentiate
from myrnn.compiler.equations import show, state_names, write_equations
from myrnn.compiler.graph import topological
from myrnn.compiler.guard import STREAM_RUN, Guard
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.loss import LossGraph, PenaltyGraph
from myrnn.compiler.memory import Floats
from myrnn.compiler.native import Native, Observation
from myrnn.compiler.ops import sizes_of
from myrnn.compiler.passes import PASSES, Stages, failures_named
from myrnn.compiler.program import Program
from myrnn.compiler.reach import Reach
from myrnn.compiler.reader import Reader
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.render.numba import emit
from myrnn.compiler.roll import roll
from myrnn.compiler.streams import Carried, State
from myrnn.compiler.verify import verify
from myrnn.errors import InvalidArgument
from myrnn.finite import check_finite, is_lost
from myrnn.flat import groups
from myrnn.models.model import num_classes, parameter_names, parameters_of
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, TargetKind

# The memory of a part of the logits of all steps, and the memory of the states and logits of a sequence that is read
# whole: programs need some ten times as much for it.
PART_BYTES, SHORT_BYTES = 2**24, 2**22
# The result of one sequence in so many is checked.
UNCHECKED = 20_000


class CompiledModel:
    """The compiled form of a model, which uses the model's own parameters; `compile` returns it.

    Call it like the model: for one sequence (T, C) it returns the logits, float32 (1, K), or (T, K) for every step.
    ``print`` shows its recurrence as equations.

    Attributes
    ----------
    model : callable
        The model that was compiled; its parameters are read at every call.
    dim_input, dim_output : int
        C and K.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn import RNN, Sequences, compile
    >>> compiled = compile(RNN(10, 8, 2, rng=0))
    >>> compiled
    CompiledModel(RNN: 10 inputs, states h (8), 2 classes)
    >>> print(compiled)
    before the first step:
        h = 0
    for every x:
        h = relu(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight)
    after the last step:
        logits = h @ fc_h2y.weight + fc_h2y.bias
    >>> compiled.logits(Sequences([3, 1, 4, 1], [0, 3, 4], [0, 0], 10)).shape
    (2, 2)
    >>> loss, gradients = compiled.loss_and_gradients(np.eye(10)[[3, 1, 4]], 1)
    >>> [gradient.shape for gradient in gradients]
    [(10, 8), (1, 8), (8, 8), (8, 2), (1, 2)]
    """

    def __init__(self, model: Any, stages: Stages, guard: Guard) -> None:
        self.model, self.guard, self._stages = model, guard, stages
        self.dim_input, self.dim_output = self.recurrence.dim_input, self.recurrence.readout.size
        self._parameters = parameters_of(model)
        self._natives: dict[ProgramKind, Native] = {}

    def of(self, model: Any, parameters: tuple[Tensor, ...]) -> CompiledModel | None:
        """Return this recurrence over another model, which is to be checked, or None if that is another kind."""
        if model is self.model and self.guard.is_over(parameters):
            return self
        is_like = (
            type(model) is type(self.model)
            and parameter_names(model) == self.recurrence.parameter_names
            and tuple(p.shape for p in parameters) == self.recurrence.shapes
        )
        if not is_like:
            return None
        return CompiledModel(model, self._stages, Guard(model, parameters, self._stages.after(roll)))

    # Results of the analysis -----------------------------------------------------------------------------------------

    @property
    def recurrence(self) -> Recurrence:
        """The recurrence, with the rows of tables that are known by now."""
        return self.guard.recurrence

    @property
    def per_step(self) -> bool:
        """Whether the model gives logits for every step, (T, K), instead of only (1, K)."""
        return self.recurrence.per_step

    @property
    def max_length(self) -> int:
        """The length up to which the model was checked to be this recurrence."""
        return self.guard.max_length

    @property
    def state_names(self) -> tuple[str, ...]:
        """The model's names for its states."""
        return state_names(self.recurrence)

    def __str__(self) -> str:
        """Return the recurrence as equations, in the model's own names."""
        return str(write_equations(self.recurrence))

    def __repr__(self) -> str:
        """Return the class of the model and its sizes."""
        states = ", ".join(
            f"{name} ({size})" for name, size in zip(self.state_names, self.recurrence.state_sizes, strict=True)
        )
        name = type(self.model).__name__
        return f"CompiledModel({name}: {self.dim_input} inputs, states {states}, {self.dim_output} classes)"

    @property
    def source(self) -> str:
        """The emitted Python for one sequence of features at a time."""
        return self.program().source

    def program(
        self, *, tokens: bool = False, batched: bool = False, observed: bool = False, carried: bool = False
    ) -> Program:
        """Return the program of a kind; an observed one keeps gradients, a carried one continues from given states."""
        with failures_named(self.model):
            program: Program = self._stages.after(emit, ProgramKind(tokens, batched, observed, carried=carried))
            return program

    @property
    def stages(self) -> dict[str, str]:
        """The results of every pass for the model, as text, by the name of the pass: the input of the next one."""
        return {make.__name__: show(self._stages.after(make, ProgramKind(tokens=True))) for make in PASSES}

    @property
    def derivative(self) -> Derivative:
        """The derivatives of the recurrence, as graphs."""
        with failures_named(self.model):
            derivative: Derivative = self._stages.after(differentiate)
            return derivative

    @cached_property
    def reach(self) -> Reach:
        """Which parameters have a gradient from pieces of sequences."""
        return Reach(self.recurrence, self.guard.reached, len(self._parameters))

    @cached_property
    def work_per_row(self) -> int:
        """The number of multiplications in the matrix products of one forward step of one sequence."""
        products = (n for n in topological(self.derivative.recurrence.nodes) if n.operation == "matmul")
        return sum(prod(sizes_of(product)[:4]) for product in products)

    def native(
        self,
        *,
        tokens: bool = False,
        batched: bool = False,
        observed: bool = False,
        loss: LossGraph | None = None,
        carried: bool = False,
        penalty: PenaltyGraph | None = None,
    ) -> Native:
        """Return the compiled program of a kind, checked against the model; this may take a few seconds."""
        kind = ProgramKind(tokens, batched, observed, loss, carried, penalty)
        with MYGRAD, failures_named(self.model):
            if kind in self._natives:
                return self._natives[kind]
            guard = self.guard
            native = Native(self._stages.after(emit, kind), kind, lambda: guard.recurrence.rows)
            if verify(self.model, native, self.dim_input, self.max_length):
                self._natives[kind] = native
            return native

    def programs_for_tokens(self, batch_size: int, *, writes: bool = False) -> list[str]:
        """Return the texts of the programs that train on tokens, classify, inspect and, with `writes`, generate."""
        batched = sorted({batch_size > 1, self._pays_to_batch()})
        programs = [*(self.program(tokens=True, batched=many) for many in batched), self.program(observed=True)]
        if writes:
            programs += [self.program(tokens=tokens, carried=True) for tokens in (False, True)]
        return [program.source for program in programs]

    # Use -------------------------------------------------------------------------------------------------------------

    def __call__(self, x: NDArray[Any] | Tensor) -> NDArray[np.float32]:
        """Return the logits of one sequence: `x` is (T, C), the result float32 (1, K), or (T, K) for every step."""
        return self.logits(self._one(x, None))

    def logits(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the logits of every sequence, float32 (N, K), or of all their steps, (sum of T, K)."""
        return self._logits(sequences, batched=len(sequences) > 1 and self._pays_to_batch())

    def logits_in_parts(self, sequences: Sequences) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the logits of all sequences or steps, some rows at a time, each part with its place among all rows.

        The memory for logits of all steps does not grow with the sequences. Long ones are read piece by piece, if the
        model can be continued from its states; otherwise each is read whole. The logits of a sequence do not depend on
        the others, bit for bit.
        """
        if not self.per_step:
            # A single sequence would run through a different program, which sums in another order.
            both = sequences if len(sequences) != 1 else sequences.select([0, 0])
            yield slice(0, len(sequences)), self.logits(both)[: len(sequences)]
            return
        self._check_use(sequences)
        continued = self._continued(sequences)
        long = np.flatnonzero(sequences.lengths > self._short) if continued is not None else np.empty(0, np.int64)
        due, batched = 0, self._pays_to_batch()
        for part in groups(sequences.lengths, PART_BYTES // (4 * self.dim_output), long):
            place = slice(*sequences.offsets[[part.start, part.stop]].tolist())
            if place.start == place.stop:
                continue
            some = sequences[part]
            found = self.reader(tokens=some.is_tokens, batched=batched).whole(some)
            if part.start >= due:
                due = part.stop + UNCHECKED
                self.guard.check_result(some, found)
            yield place, found
        if continued is not None:
            yield from continued.in_pieces(sequences, long)

    def prepare(self, sequences: Sequences) -> None:
        """Compile the programs that compute the logits of such sequences."""
        is_short = sequences.lengths <= self._short
        if self._continued(sequences) is None or is_short.any():
            self.native(tokens=sequences.is_tokens, batched=self._pays_to_batch())

    @property
    def _short(self) -> int:
        """The most steps of a sequence that is read whole."""
        return SHORT_BYTES // (4 * (self.dim_output + sum(self.recurrence.state_sizes)))

    def _continued(self, sequences: Sequences) -> Reader | None:
        """Return what reads long sequences piece by piece; None if none is long, or the model cannot be continued."""
        if sequences.lengths.max(initial=0) <= self._short or why_not_carried(self.recurrence) is not None:
            return None
        return self.reader(tokens=sequences.is_tokens, batched=self._pays_to_batch(), carried=True)

    def _logits(self, sequences: Sequences, *, batched: bool) -> NDArray[np.float32]:
        self._check_use(sequences)
        out = self.reader(tokens=sequences.is_tokens, batched=batched).whole(sequences)
        if len(sequences) > 1:
            self.guard.check_result(sequences, out)
        return out

    def reader(self, *, tokens: bool, batched: bool = False, carried: bool = False) -> Reader:
        """Return the program that computes logits, with the current weights."""
        native = self.native(tokens=tokens, batched=batched, carried=carried)
        return Reader(native, self.numbers_for(native), self.work_per_row)

    def predict(self, sequences: Sequences, *, not_finite: int | None = None) -> NDArray[np.int64]:
        """Return the class of every sequence, int64 (N,), or of every step, (sum of T,): that of the largest logit.

        Parameters
        ----------
        sequences : Sequences
        not_finite : int, optional
            The class for sequences whose logits are not finite; by default they are an error.

        Raises
        ------
        NotFinite
            When logits are not finite and `not_finite` is None.
        """
        logits = self.logits(sequences)
        if not_finite is None:
            check_finite(logits, np.ones(len(logits), np.int64) if self.per_step else sequences.lengths)
            return np.argmax(logits, axis=1)
        label = _checks.integer("not_finite", not_finite, minimum=0, maximum=self.dim_output - 1)
        return np.where(is_lost(logits), label, np.argmax(logits, axis=1))

    def start(self, streams: int | None = None) -> State:
        """Return the initial state for reading a sequence step by step: see `step`.

        Parameters
        ----------
        streams : int, optional
            B: the number of sequences that are read in parallel.

        Raises
        ------
        CompileError
            When the model also reads sequences backward, or needs a whole sequence before its first output.
        NotARecurrence
            When the model now differs from what was compiled, or inspects the numbers of its tensors.
        """
        count = 1 if streams is None else _checks.integer("streams", streams, minimum=1)
        self.native(batched=count > 1, carried=True)
        self.guard.refuse_looks()
        self.guard.check_unchanged()
        names, carried = self._row_of_a_stream
        return State(names, carried, carried.begin(count).numbers, 0, streams)

    def step(self, state: State, x: Any) -> tuple[State, NDArray[np.float32]]:
        """Read the next step of a sequence, or several at once, with the model's current weights.

        Parameters
        ----------
        state : State
            The result of `start` or the last `step`; it is not changed.
        x : array_like
            One step: floats (C,), or an integer, a token. Several: floats (T, C) or integers (T,). With streams there
            is a leading axis: (B, C), (B,), (B, T, C) or (B, T).

        Returns
        -------
        state : State
            The state of the sequence after these steps.
        outputs : ndarray, float32 (K,), or (B, K)
            The model's output after these steps. If it has outputs for every step and there are several steps, all of
            them: (T, K), or (B, T, K).

        Raises
        ------
        InvalidArgument
            When `x` is not valid, or the state belongs to another model.
        NotARecurrence
            When the model now differs from what was compiled: this is checked in `start` and, up to 1,000 steps,
            whenever the sequence is longer than any that the model was checked on.

        Examples
        --------
        >>> import numpy as np
        >>> from myrnn import RNN
        >>> from myrnn.compiler import compile
        >>> compiled = compile(RNN(10, 8, 2, rng=0))
        >>> state = compiled.start()
        >>> for token in [3, 1, 4]:
        ...     state, logits = compiled.step(state, token)
        >>> state
        State(h (8), after 3 steps)
        >>> bool(np.allclose(logits, compiled(np.eye(10)[[3, 1, 4]])[0], atol=1e-6))
        True
        """
        if not isinstance(state, State):
            raise InvalidArgument(f"state must be a result of start() or step(), not {_checks.shown(state)}")
        self.guard.check_parameters()
        if (state.names, state.layout) != self._row_of_a_stream:
            raise InvalidArgument(f"{state!r} belongs to another model than {self!r}: begin with its own start()")
        sequences, is_one = state.pieces(x, self.dim_input)
        count, steps = len(sequences), len(sequences.values)
        after, out = self.going_on(state, steps // count, tokens=sequences.is_tokens).on(state, sequences)
        if self.per_step and not is_one:
            out = out.reshape(count, -1, self.dim_output)
        return after, out if state.streams is not None else out[0]

    def going_on(self, state: State, steps: int, *, tokens: bool) -> Reader:
        """Return what reads `steps` more steps from a state of this model, with the current weights."""
        self._check_up_to(state.steps + steps)
        return self.reader(tokens=tokens, batched=len(state.numbers) > 1, carried=True)

    @cached_property
    def _row_of_a_stream(self) -> tuple[tuple[str, ...], Carried]:
        """The names of the states, and their layout in the row of a stream."""
        return self.state_names, carried_of(self.recurrence)

    def _check_up_to(self, steps: int) -> None:
        """Check the model on sequences of this length, each time that it has doubled."""
        check_steps(self.recurrence, steps)
        known = self.guard.max_length
        if known < steps and known < STREAM_RUN:
            rng, most = np.random.default_rng(steps), min(max(2 * known, steps), STREAM_RUN)
            length = self.guard.readable(min(steps, most), most)
            rows = rng.normal(size=(length, self.dim_input)).astype(np.float32)
            self.guard.check_unchanged()
            self.guard.check(self._one(rows, None), 0, self.guard.traced_of_stream)
        self.guard.know(steps, goes_on=True)

    def loss_and_gradients(
        self, x: NDArray[Any] | Tensor, y: Any, weights: Any = None
    ) -> tuple[float, tuple[NDArray[np.float32], ...]]:
        """Return the softmax cross-entropy of one sequence, or its mean over all steps, and its gradients.

        Parameters
        ----------
        x : array, shape (T, C)
        y : int or array of one int
            The true class. If the model gives logits for every step, one per step: ints (T,).
        weights : array_like of float (T,), optional
            If the model gives logits for every step, the weight of each in the loss.

        Returns
        -------
        loss : float
        gradients : tuple of ndarray, float32
            In the order and the shapes of ``model.parameters``.
        """
        sequences = self._one(x, y, weights)
        native, parameters = self._ready(sequences, gradients=True)
        loss, block = native.gradients(sequences, np.zeros(1, dtype=np.int64), parameters)
        gradients = tuple(np.empty(parameter.shape, dtype=np.float32) for parameter in self._parameters)
        for i, gradient in enumerate(gradients):
            block.read(i, gradient)
        return loss, gradients

    def observe(self, x: NDArray[Any] | Tensor, y: Any, weights: Any = None) -> Observation:
        """Observe a sequence forward and back, with the loss of class `y`, or of ints (T,) with `weights` (T,)."""
        sequences = self._one(x, y, weights)
        native, parameters = self._ready(sequences, observed=True, gradients=True)
        return native.observe(sequences, 0, parameters)

    def prefix_logits(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the logits as if the only one of `sequences` ended at each step, or those of steps: float32 (T, K)."""
        if self.per_step:
            return self.logits(sequences)
        values = sequences.values
        count = len(values)
        prefixes = np.concatenate([values[: t + 1] for t in range(count)] or [values])
        ends = np.cumsum(np.arange(count + 1))
        labels = np.zeros(count, dtype=np.int64)
        width = sequences.dim_input if sequences.is_tokens else None
        return self._logits(Sequences(prefixes, ends, labels, width), batched=self._pays_to_batch())

    def _ready(self, sequences: Sequences, *, observed: bool = False, gradients: bool = False) -> tuple[Native, Floats]:
        """Check sequences, and the model on them; return the program for them, and its parameters."""
        self._check_use(sequences, gradients=gradients)
        native = self.native(tokens=sequences.is_tokens, observed=observed)
        return native, self.numbers_for(native)

    def numbers_for(self, native: Native) -> Floats:
        """Return the current weights in the layout of a program."""
        # A thread that compiles this model may write other numbers into its parameters meanwhile.
        with MYGRAD:
            return native.block_of([parameter.data for parameter in self._parameters]).numbers

    def _check_use(self, sequences: Sequences, *, gradients: bool = False) -> None:
        self._check_input(sequences, gradients=gradients)
        self.guard.check_use(sequences, gradients=gradients)

    def _one(self, x: Any, y: Any, weights: Any = None) -> Sequences:
        array = np.asarray(x.data if isinstance(x, Tensor) else x)
        if array.ndim != 2 or array.shape[1] != self.dim_input:
            raise InvalidArgument(
                f"x must be one sequence of shape (T, {self.dim_input}), not an array of shape {array.shape}"
            )
        if y is None:
            y = np.zeros(len(array), np.int64) if self.per_step else 0
        return Sequences.from_pairs([(array, y)], per_step=self.per_step, weights=weights)

    def _check_input(self, sequences: Sequences, *, gradients: bool) -> None:
        if not isinstance(sequences, Sequences):
            raise InvalidArgument(f"sequences must be a Sequences, not {type(sequences).__name__}")
        if sequences.dim_input != self.dim_input:
            raise InvalidArgument(
                f"the sequences have {sequences.dim_input} inputs, but the model takes {self.dim_input}"
            )
        kind = sequences.kind
        if kind.what == CLASS and sequences.targets.max(initial=0) >= self.dim_output:
            raise InvalidArgument(
                f"a label is {sequences.targets.max()}, but the model has {self.dim_output} classes, "
                f"0 .. {self.dim_output - 1}"
            )
        if gradients and (kind.what != CLASS or kind.per_step != self.per_step):
            wanted = TargetKind(per_step=self.per_step)
            raise InvalidArgument(f"the loss of this model needs {wanted}, but these sequences have {kind}")
        if gradients:
            num_classes((1, self.dim_output))

    def _pays_to_batch(self) -> bool:
        return max(self.recurrence.state_sizes, default=0) >= 8
