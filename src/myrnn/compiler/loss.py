"""The training loss as a graph: a loss is traced like a model, on one row of outputs and its target.

A numeric target is a leaf, like the outputs. A class is an index: a loss takes the number at this index, or computes
numbers from it, such as a one-hot row. So the loss is traced for every class, and the differences between these graphs,
numbers and indices, become a row of numbers for each class. These are then the target.

A penalty that a training adds to its loss is a function of the parameters alone, traced in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mygrad
import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn._user_code import failure
from myrnn.compiler.graph import Builder, Node, evaluate, inputs_first, leaves_of, substitute, topological
from myrnn.compiler.leaves import OUTPUTS, TARGET, ClassNumbers, Parameter
from myrnn.compiler.mygrad_graph import read_graph, tensors_below
from myrnn.compiler.ops import indices_of, select, take, total
from myrnn.compiler.printer import Printer
from myrnn.compiler.record import Record, Work
from myrnn.compiler.recorder import recorded
from myrnn.compiler.reference import MYGRAD
from myrnn.compiler.values import plain
from myrnn.errors import CompileError, MyRNNError
from myrnn.losses import Loss, Penalty, checked_penalty, losses_of, name_of
from myrnn.targets import CLASS, TargetKind

# The most classes for which a loss is traced, each separately.
MOST_CLASSES = 64
# The number of targets on which a loss is tested.
EXAMPLES = 64


@dataclass(frozen=True)
class LossGraph:
    """A loss of one row; losses with the same computation are equal."""

    what: str  # the kind of its target, as in `TargetKind`
    outputs: int  # the number of outputs that it reads
    scored: int  # K: the number of these, the first ones, that have a target
    width: int  # the size of the target of a row
    classes: int | None  # for several targets together, the number of outputs for the class that is scored
    # All its nodes.
    text: tuple[Any, ...] = field(repr=False)
    # Float32 (K, width): for classes: the numbers of each class, which are its target.
    table: NDArray[np.float32] | None = field(compare=False, repr=False)
    value: Node = field(compare=False)  # the loss. It reads the leaves ``output`` and ``target``
    function: Loss | str = field(compare=False)  # the loss that was traced
    examples: NDArray[Any] = field(compare=False, repr=False)  # some targets, in the form of `Sequences`
    # What it computed when it was traced; see `has_changed`.
    work: Work = field(compare=False, repr=False)

    @property
    def is_of_classes(self) -> bool:
        """Whether its target consists of the numbers of a class."""
        return self.what == CLASS

    def has_changed(self) -> bool:
        """Whether the function now computes something else on some rows than when it was traced."""
        try:
            return _work_of(self.function, self.outputs, self.scored, self.examples) != self.work
        except MyRNNError:
            return True

    def names(self, build: Builder) -> dict[Node, str]:
        """Name its leaves in a builder."""
        outputs, target = build.leaf(OUTPUTS, self.outputs), build.leaf(TARGET, self.width)
        return {outputs: "outputs", target: "target"}

    def __str__(self) -> str:
        """Return it as an equation, with the target of each class."""
        lines = [f"loss = {Printer(self.names(self.value.build), longest=300).expression(self.value)}"]
        if self.width and self.table is not None:
            lines += [f"target of class {k}: [{', '.join(f'{n:g}' for n in row)}]" for k, row in enumerate(self.table)]
        return "\n".join(lines)


def trace_loss(
    loss: Loss | str,
    kind: TargetKind,
    outputs: int,
    targets: NDArray[Any],
    parameters: Sequence[Tensor] = (),
    *,
    added: int = 0,
) -> LossGraph:
    """Trace a loss."""
    scored = outputs - added
    examples = targets[:: max(1, len(targets) // EXAMPLES)][:EXAMPLES]
    if not len(examples):
        examples = np.zeros((1, *targets.shape[1:]), targets.dtype)
    tracer = _Tracer(loss, outputs, scored, parameters)
    try:
        with MYGRAD, np.errstate(all="ignore"):
            tracer.check_rows(examples)
            if kind.what == CLASS:
                value, table = _by_class(tracer.of_classes())
                tracer.check_numbers(value, np.arange(scored), table)
            else:
                value, table = tracer.of_numbers(examples), None
                tracer.check_numbers(value, examples, examples.astype(np.float32))
    except CompileError as error:
        raise CompileError(f"the loss {name_of(loss)!r} has no native form: {error}") from None
    width = examples.shape[1] if table is None else table.shape[1]
    text = *text_of(value), b"" if table is None else table.tobytes()
    work = _work_of(loss, outputs, scored, examples)
    return LossGraph(kind.what, outputs, scored, width, kind.scored, text, table, value, loss, examples, work)


def _work_of(loss: Loss | str, outputs: int, scored: int, targets: NDArray[Any]) -> Work:
    """Return a loss and its gradients on rows of these targets, and of all classes, and the operations behind them."""
    rows = np.concatenate([targets, np.arange(scored)]) if targets.ndim == 1 else targets

    def losses(outputs: Tensor) -> Any:
        of_rows = tried(lambda: losses_of(loss, outputs, rows))
        of_rows.sum().backward()
        return of_rows.data

    with MYGRAD, np.errstate(all="ignore"):
        given = mygrad.tensor(np.random.default_rng(1).normal(size=(len(rows), outputs)), constant=False)
        record = recorded(losses, given, work=True)
        return (*(np.asarray(numbers).tobytes() for numbers in (record.result, given.grad)), *record.work)


def text_of(value: Node) -> tuple[Any, ...]:
    """Return a graph in a form that can be compared with one of another builder."""
    order = topological([value])
    number = {node: i for i, node in enumerate(order)}
    return tuple((n.leaf or n.operation, tuple(number[i] for i in n.inputs), n.attributes, n.size) for n in order)


class _Tracer:
    """Runs a loss on a row, and reads MyGrad's graph of it."""

    def __init__(self, loss: Loss | str, outputs: int, scored: int, parameters: Sequence[Tensor]) -> None:
        self._loss, self._outputs, self._scored, self._parameters = loss, outputs, scored, parameters
        # Computations on constants stay as written, so that the graphs of two classes match.
        self._build = Builder(fold=False)
        self._rng = np.random.default_rng(0)

    def of_numbers(self, examples: NDArray[Any]) -> Node:
        """Return the loss of a row, which is the same for all numbers."""
        target = self._build.leaf(TARGET, examples.shape[1])
        rows = examples.astype(np.float32)
        graphs = []
        for i in (0, len(rows) // 2, len(rows) - 1):
            given = mygrad.tensor(rows[i : i + 1], constant=False)
            graphs.append(self._trace(given, {id(given): plain(target, given.shape)}))
        return _same(graphs)

    def of_classes(self) -> list[Node]:
        """Return the loss of a row for each class."""
        if self._scored > MOST_CLASSES:
            raise CompileError(f"it is traced for every class, for {MOST_CLASSES} at most")
        return [_same([self._trace(np.array([k]), {}) for _ in range(2)]) for k in range(self._scored)]

    def _trace(self, target: Any, values: dict[int, Any]) -> Node:
        outputs = mygrad.tensor(self._drawn(1), constant=False)
        values[id(outputs)] = plain(self._build.leaf(OUTPUTS, self._outputs), outputs.shape)
        record, tensors = _run(lambda given: losses_of(self._loss, given, target), outputs, "its outputs or targets")
        found = record.result
        if any(parameter is tensor for parameter in self._parameters for tensor in tensors):
            raise CompileError("it reads a parameter of the model: only the model and a penalty may")
        if not any(tensor is outputs for tensor in tensors):
            raise CompileError("no gradient reaches its outputs")
        read_graph(tensors, values, self._build, record)
        value: Node = values[id(found)].node
        return value

    def check_rows(self, examples: NDArray[Any]) -> None:
        """Check that the loss of each row depends only on this row."""
        for count in (2, 5):
            rows = np.resize(examples, (count, *examples.shape[1:]))
            outputs = self._drawn(count)
            alone = np.concatenate([self._losses(outputs[i : i + 1], rows[i : i + 1]) for i in range(count)])
            if not _alike(self._losses(outputs, rows), alone):
                raise CompileError("the loss of a row depends on other rows")

    def check_numbers(self, value: Node, targets: NDArray[Any], numbers: NDArray[np.float32]) -> None:
        """Compare the traced loss with the loss itself, on rows of targets and their numbers."""
        outputs = self._drawn(len(targets))
        leaves = self._build.leaf(OUTPUTS, self._outputs), self._build.leaf(TARGET, numbers.shape[1])
        found = [
            evaluate([value], dict(zip(leaves, row, strict=True)), np.float64)[0]
            for row in zip(outputs.astype(np.float64), numbers.astype(np.float64), strict=True)
        ]
        if not _alike(np.concatenate(found), self._losses(outputs, targets)):
            raise CompileError(
                "it gives other numbers than MyGrad's graph of it: it takes some out with .data or NumPy"
            )

    def _drawn(self, count: int) -> NDArray[np.float32]:
        return self._rng.normal(size=(count, self._outputs)).astype(np.float32)

    def _losses(self, outputs: NDArray[np.float32], targets: NDArray[Any]) -> NDArray[Any]:
        with mygrad.no_autodiff:
            given = mygrad.tensor(outputs.astype(np.float64), constant=True)
            return np.asarray(tried(lambda: losses_of(self._loss, given, targets)))


def _run(function: Callable[[Any], Tensor], given: Any, inspected: str) -> tuple[Record, list[Tensor]]:
    """Run a user's function; return the record, and all tensors below its result."""
    record = tried(lambda: recorded(function, given, origins=True))
    if record.looks:
        raise CompileError(
            f"it inspects numbers of {inspected}, and may behave differently for others:\n  {record.looks[0]}"
        )
    return record, tensors_below(record.result)


def tried(run: Any) -> Any:
    """Return the result of a user's function; raises CompileError if it fails."""
    try:
        return run()
    except MyRNNError:
        raise
    except Exception as error:
        raise CompileError(f"it fails: {failure(error)}") from error


def _same(graphs: Sequence[Node]) -> Node:
    if any(graph is not graphs[0] for graph in graphs):
        raise CompileError("two calls of it compute different things")
    return graphs[0]


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)


# Classes --------------------------------------------------------------------------------------------------------------

_Group = tuple[Node, ...]
"""The corresponding nodes in the graphs of all classes."""


def _by_class(values: Sequence[Node]) -> tuple[Node, NDArray[np.float32]]:
    """Return one graph for the graphs of all classes, and the numbers of each class in it, float32 (K, width)."""
    build, groups, rows = values[0].build, dict[_Group, _Group](), list[NDArray[np.float32]]()

    def parts(group: _Group) -> list[_Group]:
        if _is_one(group) or _is_fixed(group):
            return []
        _check_alike(group)
        below = zip(*(node.inputs for node in group), strict=True)
        return [groups.setdefault(part, part) for part in below]

    def numbers(of_classes: Any) -> Node:
        """Return the leaf for numbers that differ between classes."""
        table = np.array(of_classes, dtype=np.float32).reshape(len(values), -1)
        known = next((i for i, row in enumerate(rows) if np.array_equal(row, table)), len(rows))
        if known == len(rows):
            rows.append(table)
        return build.leaf(ClassNumbers(known), table.shape[1])

    done: dict[_Group, Node] = {}
    whole = tuple(values)
    for group in inputs_first([groups.setdefault(whole, whole)], parts):
        first, inputs = group[0], [done[part] for part in parts(group)]
        if _is_one(group):
            done[group] = first
        elif _is_fixed(group):
            size = max(node.size for node in group)
            done[group] = numbers([np.broadcast_to(node.numbers, size) for node in group])
        elif len({node.attributes for node in group}) > 1:
            places = [indices_of(node.attributes[0]) for node in group]
            chosen = numbers([np.equal.outer(where, np.arange(inputs[0].size)) for where in places])
            done[group] = _chosen(inputs[0], chosen, first.size)
        else:
            done[group] = build.rebuild(first, inputs)
    table = np.concatenate([np.zeros((len(values), 0), np.float32), *rows], axis=1)
    target, ends = build.leaf(TARGET, table.shape[1]), np.cumsum([row.shape[1] for row in rows])
    leaves = {
        build.leaf(ClassNumbers(i), row.shape[1]): take(target, indices=np.arange(end - row.shape[1], end))
        for i, (row, end) in enumerate(zip(rows, ends, strict=True))
    }
    return substitute(build, [done[whole]], leaves)[0], table


def _is_one(group: _Group) -> bool:
    return all(node is group[0] for node in group)


def _is_fixed(group: _Group) -> bool:
    return all(node.is_constant for node in group) and len({node.size for node in group} - {1}) <= 1


def _check_alike(group: _Group) -> None:
    """Refuse corresponding nodes that compute different things for two classes."""
    first = group[0]
    for k, node in enumerate(group):
        is_taken = first.operation == "take"
        if (
            (node.operation, node.leaf, len(node.inputs), node.size)
            != (first.operation, first.leaf, len(first.inputs), first.size)
            or (node.attributes != first.attributes and not is_taken)
            or (is_taken and node.inputs[0].size != first.inputs[0].size)
        ):
            raise CompileError(f"for class {k} it computes something different than for class 0")


def _chosen(node: Node, chosen: Node, count: int) -> Node:
    """Return `count` numbers of a node, selected by the one-hot rows of `chosen`."""
    all_of_each = take(node, indices=np.tile(np.arange(node.size), count))
    return total(select(chosen, all_of_each, 0.0), outer=count, n=node.size, inner=1)


# Penalties ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PenaltyGraph:
    """A penalty on parameters; penalties with the same computation are equal."""

    text: tuple[Any, ...] = field(repr=False)
    value: Node = field(compare=False)  # it reads parameters
    function: Penalty = field(compare=False)  # the penalty that was traced

    @property
    def parameters(self) -> set[int]:
        """The numbers of the parameters that it reads."""
        return {parameter.number for parameter in leaves_of(Parameter, [self.value])}

    def has_changed(self, model: Any, parameters: Sequence[Tensor]) -> bool:
        """Whether the function now computes something different than when it was traced."""
        try:
            return trace_penalty(self.function, model, parameters) != self
        except CompileError:
            return True


def trace_penalty(penalty: Penalty, model: Any, parameters: Sequence[Tensor]) -> PenaltyGraph:
    """Trace a penalty; raises CompileError when its computation cannot be determined, or has no rule."""
    try:
        one, other = (_traced(penalty, model, parameters) for _ in range(2))
        if one.text != other.text:
            raise CompileError("two calls of it compute different things")
    except CompileError as error:
        raise CompileError(f"the penalty {name_of(penalty)!r} has no native form: {error}") from None
    return one


def _traced(penalty: Penalty, model: Any, parameters: Sequence[Tensor]) -> PenaltyGraph:
    # Computations on constants stay as written, as in a loss.
    build = Builder(fold=False)
    leaves = [build.leaf(Parameter(i), p.size) for i, p in enumerate(parameters)]
    values = {id(p): plain(leaf, p.shape) for p, leaf in zip(parameters, leaves, strict=True)}
    with MYGRAD, np.errstate(all="ignore"):
        record, tensors = _run(partial(checked_penalty, penalty), model, "the parameters")
        found = record.result
        if not any(tensor is p for tensor in tensors for p in parameters):
            raise CompileError("it reads no parameter of the model")
        read_graph(tensors, values, build, record)
        value: Node = values[id(found)].node
        known = {leaf: p.data.reshape(-1).astype(np.float64) for leaf, p in zip(leaves, parameters, strict=True)}
        (number,) = evaluate([value], known, np.float64)[0]
        if not np.allclose(number, found.item(), rtol=1e-3, atol=1e-6, equal_nan=True):
            raise CompileError("it computes with numbers that MyGrad's graph of it does not show")
    return PenaltyGraph(text_of(value), value, penalty)
