"""Stage 1: run the model on a probe sequence and convert MyGrad's graph to nodes.

The user's lines and names, which MyGrad's graph lacks, are recorded while the model runs.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._checks import of_mygrad
from myrnn._user_code import failure
from myrnn.compiler.graph import Builder, Made, Node, fold, inputs_first, topological
from myrnn.compiler.leaves import CallResult, Parameter, Row
from myrnn.compiler.mygrad_graph import operands_of, read_graph, stops_gradient, variables_of
from myrnn.compiler.ops import join
from myrnn.compiler.record import DrawCall, Execution, Origin, Record, TensorRead
from myrnn.compiler.recorder import recorded
from myrnn.compiler.traced_arrays import TracedArray
from myrnn.compiler.values import Value, plain
from myrnn.compiler.writes import Written
from myrnn.errors import CompileError, InvalidArgument
from myrnn.randomness import Draw


@dataclass(frozen=True)
class SiteUse:
    """How a trace uses a site: number and size of leaves, line of the first call, and whether calls draw by rows."""

    site: int
    draw: Draw
    leaves: int
    size: int
    line: Origin
    of_rows: bool
    length: int


@dataclass(frozen=True)
class Trace:
    """The computation of a model for a sequence of one length, T."""

    length: int
    # The logits: K numbers, or the concatenated rows of a model with logits for every step.
    output: Node
    # The line of each node in the user's code.
    origins: dict[Node, Origin] = field(repr=False)
    # The numbers of the logits, (1, K) or (T, K).
    logits: NDArray[Any] | None = field(default=None, repr=False)
    # Lines where the user's code inspects the numbers of a tensor.
    looks: tuple[TensorRead, ...] = ()
    # The numbers of the parameters that MyGrad's graph reaches: these have a gradient.
    parameters: frozenset[int] = frozenset()
    # How it draws random numbers.
    draws: tuple[SiteUse, ...] = ()
    # The operations that ran, also those that the output does not depend on.
    runs: frozenset[Execution] = field(default=frozenset(), repr=False)

    def rebuilt(self, made: Made[Node], known: Mapping[Node, Node] | None = None) -> Trace:
        """Return the trace with nodes that `made` makes of other inputs, and those of `known` replaced."""
        ends = known or {}
        order = topological([self.output], stop=ends)
        nodes = fold(order, ends, made)
        origins = {nodes[old]: self.origins[old] for old in order if old in self.origins}
        return replace(self, output=nodes[self.output], origins=origins)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the garbage collector, which would scan all objects repeatedly while many are made that stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@collection_paused()
def trace_once(
    model: Any, parameters: tuple[Tensor, ...], x: np.ndarray[Any, Any], build: Builder, whole: Collection[int] = ()
) -> Trace:
    """Trace the model on `x`, float32 (T, C); `whole` has the sites that do not draw row by row (see `draws`)."""
    record = _run(model, parameters, x)
    try:
        return _graph_of(record, parameters, build, whole)
    finally:
        record.let_arrays_go()


def _graph_of(record: Record, parameters: tuple[Tensor, ...], build: Builder, whole: Collection[int]) -> Trace:
    """Return the graph of a model's result for a sequence."""
    output, sequence = record.result, record.argument
    of_mygrad("the result of the model", output)
    is_array = isinstance(output, TracedArray) and _depends_on(output, parameters)
    if not isinstance(output, Tensor) or is_array:
        kind = "ndarray" if is_array else type(output).__name__
        raise CompileError(
            f"the model must return a MyGrad tensor, but returned {kind}: no gradient reaches any "
            "parameter of the model, so that it would learn nothing"
        )
    length, width = sequence.shape
    if output.ndim != 2 or output.shape[0] not in (1, length):
        raise InvalidArgument(
            "the model must return logits of shape (1, K), or (T, K) with a row for each step, but for a sequence of "
            f"{length} steps it returned shape {output.shape}"
        )
    _check_untouched(parameters, record)
    values = {id(p): plain(build.leaf(Parameter(i), p.size), p.shape) for i, p in reversed(list(enumerate(parameters)))}
    rows = tuple(build.leaf(Row(t), width) for t in range(length))
    values[id(sequence)] = Value(rows, sequence.shape, 0)
    of_drawn, draws = _drawn_values(record.draws, length, build, whole)
    values |= of_drawn
    origins = read_graph(inputs_first([output], operands_of), values, build, record)
    tensors = inputs_first([output], lambda t: () if stops_gradient(t) else variables_of(t))
    reached = frozenset(i for i, p in enumerate(parameters) if any(p is t for t in tensors))
    found = values[id(output)]
    rows_found = (found.value if isinstance(found, Written) else found).parts(-2)
    logits = joined([part.node for part in rows_found], build)
    return Trace(length, logits, origins, output.data.copy(), record.looks, reached, draws, record.runs)


def _drawn_values(
    calls: Sequence[DrawCall], length: int, build: Builder, whole: Collection[int]
) -> tuple[dict[int, Value], tuple[SiteUse, ...]]:
    """Return the values of the drawn tensors, by their ids, and the use of each site."""
    # The sites in `whole` do not draw by rows, even if the number of rows matches by chance.
    values: dict[int, Value] = {}
    uses: dict[int, SiteUse] = {}
    for call in calls:
        shape, size = call.tensor.shape, call.tensor.size
        if not size:
            values[id(call.tensor)] = Value((), shape, 0)
            continue
        of_rows = len(shape) > 1 and shape[0] == length > 1 and call.site not in whole
        rows = length if of_rows else 1
        use = uses.setdefault(call.site, SiteUse(call.site, call.draw, 0, size // rows, call.line, of_rows, length))
        if (use.draw, use.size) != (call.draw, size // rows):
            what = "another number" if use.draw != call.draw else "another shape"
            raise CompileError(f"a line draws with {what} from call to call: write a line for each.\n  {call.line}")
        first, last = use.leaves, use.leaves + rows
        uses[call.site] = replace(use, leaves=last)
        leaves = [build.leaf(CallResult(i, call.site, call.draw), use.size) for i in range(first, last)]
        values[id(call.tensor)] = Value(tuple(leaves), shape, 0) if of_rows else plain(leaves[0], shape)
    return values, tuple(uses.values())


def _depends_on(output: Tensor, parameters: tuple[Tensor, ...]) -> bool:
    return not {id(p) for p in parameters}.isdisjoint(map(id, inputs_first([output], operands_of)))


def joined(rows: Sequence[Node], build: Builder) -> Node:
    """Return the logits of all steps in one node."""
    if len(rows) < 2:
        return rows[0] if rows else build.constant([])
    size = rows[0].size
    return join(*rows, places=[np.arange(t * size, (t + 1) * size) for t in range(len(rows))])


def _run(model: Any, parameters: tuple[Tensor, ...], x: NDArray[Any]) -> Record:
    """Run the model on `x` as a tensor, and return what it did."""
    # If the model fails with a traced tensor instead of an array, it is given arrays.
    for arrays in (True, False):
        sequence = mygrad.tensor(x, constant=False)
        if arrays:
            # As the data are.
            sequence.__class__ = TracedArray
        try:
            # The sequences are artificial, with large numbers, so overflows on them do not matter.
            with np.errstate(all="ignore"):
                return recorded(model, sequence, origins=True, arrays=arrays, draws=True, parameters=parameters)
        except InvalidArgument:
            raise
        except Exception as error:
            if not arrays:
                raise CompileError(f"the model fails on a sequence of shape {x.shape}: {failure(error)}") from error
    raise AssertionError


def _check_untouched(parameters: tuple[Tensor, ...], record: Record) -> None:
    """Refuse parameters or a sequence that are computed, or changed in place, which would go unnoticed."""
    for i, tensor in enumerate((*parameters, record.argument)):
        if tensor.creator is not None:
            line = f"\n  {record.origin(tensor)}" if record.is_new(tensor) else ""
            if tensor is record.argument:
                raise CompileError(
                    f"the model changes its sequence in place, though others may still read it.{line}\n"
                    "  Compute a new one: x = 2 * x instead of x *= 2."
                )
            raise CompileError(
                f"parameters[{i}] of the model is computed from other tensors, or changed in place. Parameters must be "
                f"separate tensors that a call does not change.{line}"
            )
