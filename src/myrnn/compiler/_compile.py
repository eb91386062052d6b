"""Compile a model: the visible list of stages, and what comes out."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import _cache
from myrnn.compiler._differentiate import Derivative, differentiate
from myrnn.compiler._emit import Program, emit
from myrnn.compiler._equations import equations, state_names
from myrnn.compiler._graph import Builder, topological
from myrnn.compiler._hoist import hoist
from myrnn.compiler._looks import plain_attributes
from myrnn.compiler._module import module_source
from myrnn.compiler._native import Block, Native, in_threads, shards_for
from myrnn.compiler._plan import make_plan
from myrnn.compiler._probe import difference_from_recurrence, gradients_kept, input_width, probe, traced_with_array
from myrnn.compiler._roll import Recurrence, in_its_order, roll, unroll
from myrnn.compiler._text import stage_texts
from myrnn.compiler._trace import Trace
from myrnn.compiler._verify import verify
from myrnn.errors import CompileError, InvalidArgument, NotARecurrence
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences

# Sequences whose logits are computed in one native call: few enough for their states to stay in the cache.
PORTION = 512

# Lengths that are checked when sequences of many lengths that were not checked before are used.
LENGTHS_AT_ONCE = 12

_noticed = threading.local()


def compile(model: Any, max_length: int = 64, *, dim_input: int | None = None, check: bool = True) -> CompiledModel:
    """Compile a model to native code: find its loop, derive backpropagation through time, check it against the model.

    Parameters
    ----------
    model : callable
        ``model(x)``, for one sequence of shape (T, C), returns the logits (1, K) by a loop over the rows of `x` that
        does the same at every step; ``model.parameters`` is a tuple of float32 MyGrad tensors.
    max_length : int
        Up to what length the model is checked to be the recurrence that was found. Longer sequences are checked when
        they turn up.
    dim_input : int, optional
        C. By default it is ``model.dim_input``, or the first size among the parameters' that the model accepts.
    check : bool
        Whether to run the functions for features against the model at once. Those for each kind of data are run
        against it in any case before they are first used.

    Returns
    -------
    CompiledModel

    Raises
    ------
    NotARecurrence
        When the model does not do the same at every step; the message shows the line and what differs.
    UnsupportedOperation
        When it uses an operation that the compiler has no rule for.
    NotDeterministic
        When two calls on the same sequence differ.
    InvalidArgument
        When the model is none, or an argument is not what it should be.

    Examples
    --------
    >>> from myrnn.models import RNN
    >>> compiled = compile(RNN(dim_input=10, dim_recurrent=16, dim_output=2))
    >>> compiled(np.zeros((4, 10), dtype=np.float32)).shape
    (1, 2)
    """
    parameters = parameters_of(model)
    for name, parameter in zip(parameter_names(model), parameters, strict=True):
        if parameter.dtype != np.float32:
            raise CompileError(f"{name} is {parameter.dtype}: compiled models work in float32 only")
    if len({id(p) for p in parameters}) < len(parameters):
        raise CompileError("a tensor stands twice among the model's parameters: list it once to compile the model")
    longest = _checks.integer("max_length", max_length, minimum=1)
    width = input_width(model, parameters) if dim_input is None else _checks.integer("dim_input", dim_input, minimum=1)
    compiled = _known(model, parameters, width, longest)
    if compiled is None:
        compiled = CompiledModel(model, *_found(model, parameters, width, longest), longest)
        _recent.append(compiled)
    if check:
        compiled.native(tokens=False, batched=False)
    return compiled


# What was compiled last: training, evaluation and inspection of one model follow one another.
_recent: deque[CompiledModel] = deque(maxlen=2)


def _known(model: Any, parameters: tuple[Tensor, ...], width: int, longest: int) -> CompiledModel | None:
    """Return what the model was compiled to before, if it still is what the model computes."""
    compiled = next((c for c in _recent if c.model is model and c.is_over(parameters)), None)
    if compiled is None or compiled.dim_input != width or compiled.max_length < longest or compiled.looks:
        return None
    if compiled.has_changed():
        return None
    rng = np.random.default_rng(0)
    lengths = (5, max(longest, 9))
    sequences = Sequences.from_pairs([(rng.normal(size=(n, width)).astype(np.float32), 0) for n in lengths])
    try:
        for index in range(len(lengths)):
            compiled.check(sequences, index)
    except CompileError:
        return None
    return compiled


def _found(
    model: Any, parameters: tuple[Tensor, ...], width: int, longest: int
) -> tuple[Recurrence, Builder, dict[int, Trace]]:
    """Find the loop of the model; return it with the builder and the traces that it was found in."""
    build = Builder()
    try:
        traces = probe(model, parameters, width, longest, build)
        return roll(traces, build, width), build, traces
    except NotARecurrence as error:
        # What the first step computes from constants alone is a number, unless it is kept as it was written: the
        # first gives the start of a model that does it with NumPy, the second that of one that does it with MyGrad.
        build = Builder(fold=False)
        try:
            traces = probe(model, parameters, width, longest, build)
            return roll(traces, build, width), build, traces
        except NotARecurrence:
            raise error from None


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
    looks : tuple
        Where the model's code looks at the numbers of tensors. If it does anywhere, what it does may depend on them,
        and it is checked on every sequence that it is used on.
    """

    def __init__(
        self, model: Any, recurrence: Recurrence, build: Builder, traces: dict[int, Trace], max_length: int
    ) -> None:
        self.model, self.recurrence, self.max_length = model, recurrence, max_length
        self.dim_input, self.dim_output = recurrence.dim_input, recurrence.readout.size
        self._build = build
        self._parameters = parameters_of(model)
        self.looks = tuple(dict.fromkeys(origin for traced in traces.values() for origin in traced.looks))
        self._lengths = set(traces)
        self._attributes = self._attributes_now()
        self._natives: dict[tuple[bool, bool], Native] = {}
        self._observer: Native | None = None
        self._empty_checked = False

    # What was found --------------------------------------------------------------------------------------------------

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the model calls its states."""
        return state_names(self.recurrence)

    def __str__(self) -> str:
        """Return the recurrence as equations, in the model's own names."""
        return equations(self.recurrence, parameter_names(self.model))

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
        return self._emitted(tokens, batched)[1]

    @property
    def stages(self) -> dict[str, str]:
        """What every stage made of the model, as text, by the stage's name."""
        names = parameter_names(self.model)
        return stage_texts(self.model, self._parameters, names, self.recurrence, self.derivative)

    @cached_property
    def derivative(self) -> Derivative:
        """The derivatives of the recurrence, as graphs."""
        build = Builder(simplify=True)
        return differentiate(hoist(self.recurrence, self._shapes, build), build)

    @property
    def trained_parameters(self) -> frozenset[int]:
        """The parameters that the model uses, by their place in ``model.parameters``."""
        parts = (self.derivative.readout, self.derivative.step, self.derivative.prelude)
        leaves = (leaf for part in parts for leaf in part.weights)
        return frozenset(leaf.attributes[0] for leaf in leaves if leaf.operation in ("parameter", "rows"))

    @property
    def work_per_row(self) -> int:
        """How many multiplications of matrix products one step of one sequence takes, forward."""
        products = (n for n in topological(self.derivative.recurrence.step) if n.operation == "matmul")
        return sum(m * k * n for m, k, n, _ in (product.attributes for product in products))

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [parameter.shape for parameter in self._parameters]

    def _emitted(self, tokens: bool, batched: bool, observed: bool = False) -> tuple[Program, str]:
        plan = make_plan(self.derivative, self._shapes, tokens)
        program = emit(plan, parameter_names(self.model), batched, observed)
        header = f"{type(self.model).__name__}, compiled.\n\n{self}"
        return program, module_source(program, header, tokens, batched, self.recurrence.reverse)

    def native(self, *, tokens: bool, batched: bool) -> Native:
        """Return the compiled program for this kind of data, checked against the model; it may take some seconds.

        Raises
        ------
        NotARecurrence
            When loss or gradients of random sequences differ from MyGrad's by more than rounding.
        """
        kind = (tokens, batched)
        if kind not in self._natives:
            native = self._native(*self._emitted(tokens, batched), tokens, batched)
            verify(self.model, native, self.parameter_block(native), self.dim_input, self.max_length)
            self._natives[kind] = native
        return self._natives[kind]

    def _native(self, program: Program, source: str, tokens: bool, batched: bool) -> Native:
        if not _cache.is_known(source):
            _notice()
        return Native(program, source, tokens, batched)

    # Using it --------------------------------------------------------------------------------------------------------

    def __call__(self, x: NDArray[Any] | Tensor) -> NDArray[np.float32]:
        """Return the logits of one sequence: `x` is (T, C), the result float32 (1, K)."""
        return self.logits(self._one(x, 0))

    def logits(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return the logits of every sequence, float32 (N, K)."""
        self._check_input(sequences)
        self._check_use(sequences)
        batched = len(sequences) > 1 and self._pays_to_batch()
        native = self.native(tokens=sequences.is_tokens, batched=batched)
        parameters = self.parameter_block(native).numbers
        # Neighbours in length side by side leave the fewest rows of a batch idle.
        order = np.argsort(sequences.lengths, kind="stable")
        out = np.zeros((len(sequences), self.dim_output), dtype=np.float32)
        portions = list(_portions(order, sequences.lengths[order]))
        shards = shards_for(len(sequences.values), self.work_per_row)

        def run(shard: int) -> None:
            for members in portions[shard::shards]:
                out[members] = native.logits(sequences, members, parameters, self.dim_output, shard)

        in_threads(run, shards)
        return out

    def predict(self, sequences: Sequences) -> NDArray[np.int64]:
        """Return the class of every sequence, int64 (N,): the one with the largest logit."""
        return np.argmax(self.logits(sequences), axis=1)

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
        self._check_use(sequences)
        return self._gradients(sequences, np.zeros(1, dtype=np.int64), batched=False)

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
        self._check_use(sequences)
        if self._observer is None:
            self._observer = self._native(*self._emitted(tokens=False, batched=False, observed=True), False, False)
        native = self._observer
        found = native.observe(sequences, 0, self.parameter_block(native).numbers)
        states, state_gradients, input_gradients = found[1:]
        if self.recurrence.reverse:
            input_gradients = input_gradients[::-1]
        return Observation(found[0], self.logits(sequences)[0], states, state_gradients, input_gradients)

    def prefix_logits(self, x: NDArray[Any] | Tensor) -> NDArray[np.float32]:
        """Return the logits if the sequence ended after each step, float32 (T, K), for `x` of shape (T, C)."""
        sequence = self._one(x, 0).features(0)
        count = len(sequence)
        rows = np.concatenate([sequence[: t + 1] for t in range(count)] or [sequence])
        ends = np.cumsum(np.arange(count + 1))
        return self.logits(Sequences(rows, ends, np.zeros(count, dtype=np.int64)))

    def _gradients(
        self, sequences: Sequences, members: NDArray[np.int64], batched: bool
    ) -> tuple[float, tuple[NDArray[np.float32], ...]]:
        native = self.native(tokens=sequences.is_tokens, batched=batched)
        loss, block = native.gradients(sequences, members, self.parameter_block(native).numbers)
        gradients = tuple(np.empty(shape, dtype=np.float32) for shape in self._shapes)
        for i, gradient in enumerate(gradients):
            block.read(i, gradient)
        return loss, gradients

    def parameter_block(self, native: Native) -> Block:
        """Return the model's parameters in the layout of a program."""
        block = native.block()
        for i, parameter in enumerate(self._parameters):
            block.write(i, parameter.data)
        return block

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

    # Checking it -----------------------------------------------------------------------------------------------------

    def is_over(self, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these are the very tensors that the model was compiled over."""
        return len(parameters) == len(self._parameters) and all(
            one is other for one, other in zip(parameters, self._parameters, strict=True)
        )

    def has_changed(self) -> bool:
        """Whether the model, apart from its parameters, keeps other numbers, words or functions than when checked."""
        return bool(self._attributes_now() != self._attributes)

    def _attributes_now(self) -> Any:
        return plain_attributes(self.model, arrays=True, without=frozenset(id(p) for p in self._parameters))

    def _check_use(self, sequences: Sequences) -> None:
        """Check the model before it is used on the sequences, as far as there is reason to."""
        if self.looks:
            # Its code may do something else for the numbers of any of them.
            for index in range(len(sequences)):
                self.check(sequences, index)
            return
        self.check_unchanged(sequences)
        self.check_lengths(sequences, LENGTHS_AT_ONCE)

    def check_unchanged(self, sequences: Sequences) -> None:
        """Check the model again, on the longest of the sequences, if it has changed since it was last checked.

        Raises
        ------
        CompileError
            When its parameters are other tensors.
        NotARecurrence
            When the model does something else now.
        """
        if not self.is_over(parameters_of(self.model)):
            raise CompileError(
                "the model's parameters are other tensors than those that it was compiled with: compile it again"
            )
        if len(sequences) and self.has_changed():
            self.check(sequences, int(sequences.lengths.argmax()))

    def check_lengths(self, sequences: Sequences, at_once: int = 1) -> None:
        """Check the model on the longest of the sequences, if it is longer than any before, and on an empty one.

        Parameters
        ----------
        sequences : Sequences
        at_once : int
            Of how many lengths that were not checked before, the longest among them, to check a sequence.

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
        for index in self.unchecked(lengths)[: at_once - 1]:
            self.check(sequences, int(index))

    def unchecked(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of one of each length on which the model has not been checked yet."""
        found, places = np.unique(lengths, return_index=True)
        return places[[n not in self._lengths for n in found.tolist()]]

    def check(self, sequences: Sequences, index: int) -> None:
        """Trace the model on one sequence, with its present parameters, and compare with the recurrence, node by node.

        Raises
        ------
        NotARecurrence
            When the model is not this recurrence on that sequence.
        """
        x = sequences.features(index)
        with gradients_kept(self._parameters):
            traced = traced_with_array(self.model, self._parameters, x, self._build, looks=False)
        traced = in_its_order(self.recurrence, traced, self._build)
        if traced.output is not unroll(self.recurrence, len(x), self._build):
            raise NotARecurrence(
                f"on a sequence of {len(x)} steps the model does not compute what was compiled: at some step, or with "
                "some values, it does what it did not do when it was traced.\n"
                f"{difference_from_recurrence(self.recurrence, traced, self._build)}"
            )
        self._lengths.add(len(x))
        self._attributes = self._attributes_now()
        self.max_length = max(self.max_length, len(x))


def _portions(order: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut sequences, sorted by length, into portions of bounded memory."""
    begin = 0
    while begin < len(order):
        room = max(1, int(2**17 // max(1, lengths[min(begin + PORTION, len(order)) - 1])))
        end = min(begin + min(PORTION, room), len(order))
        yield order[begin:end]
        begin = end


def _notice() -> None:
    """Say once that the first compilation takes a moment."""
    if not getattr(_noticed, "done", False):
        _noticed.done = True
        print("myrnn: compiling this model; it takes a few seconds, once", file=sys.stderr, flush=True)
