"""MyGrad's graph of a model as nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from myrnn.compiler import ops
from myrnn.compiler.arithmetic import READS, lost
from myrnn.compiler.graph import Builder, Node, inputs_first, inputs_with_gradient
from myrnn.compiler.leaves import Parameter
from myrnn.compiler.lower import INSTEAD, RULES
from myrnn.compiler.record import Origin, Record
from myrnn.compiler.shapes import SHAPES, Rule
from myrnn.compiler.traced_arrays import PiecewiseConstant, Reading, WithoutGradient
from myrnn.compiler.values import Value, plain
from myrnn.compiler.writes import READ_OR_WRITE, WRITES, Written, written_into
from myrnn.errors import CompileError, UnsupportedOperation


def tensors_below(target: Any) -> list[Any]:
    """Return a MyGrad tensor and all that it is computed from, each after its operands."""
    return inputs_first([target], variables_of)


def variables_of(tensor: Any) -> tuple[Any, ...]:
    """Return the operands of a tensor that a gradient may pass to."""
    return () if tensor.creator is None else tensor.creator.variables


def stops_gradient(tensor: Any) -> bool:
    """Whether no gradient passes from a tensor to its operands."""
    return bool(tensor.constant) or isinstance(tensor.creator, WithoutGradient)


def operands_of(tensor: Any) -> tuple[Any, ...]:
    """Return all operands of a tensor: first those that pass no gradient."""
    return (*getattr(tensor.creator, "reads_beside", ()), *variables_of(tensor))


def read_graph(tensors: list[Any], values: dict[int, Any], build: Builder, record: Record) -> dict[Node, Origin]:
    """Add the values of tensors, inputs first, to those of the leaves; return the origins of their nodes."""
    origins: dict[Node, Origin] = {}
    is_learned = _Learned()
    # Constants that are written into.
    targets = {id(variables_of(t)[0]) for t in tensors if type(t.creator).__name__ in WRITES}
    for tensor in tensors:
        if id(tensor) in values:
            continue
        if id(tensor) in targets and tensor.creator is None:
            values[id(tensor)] = written_into(build.constant(tensor.data), tensor.shape)
            continue
        if tensor.creator is None:
            _check_constant(tensor, tensors, record)
            values[id(tensor)] = plain(build.constant(tensor.data), tensor.shape)
            continue
        if _is_older(tensor, record):
            # MyGrad forgets how a tensor was computed after a backward pass: then it is a constant.
            raise CompileError(
                "the model uses a tensor that was computed from others before it was called: it would not follow its "
                f"parameters.\n  {_reader(lambda t: _is_older(t, record), tensors, record)}\n"
                "  Compute it inside the call, or keep its numbers only."
            )
        operands = [values[id(v)] for v in operands_of(tensor)]
        if not any(operand.nodes for operand in operands):
            # Operations on no rows compute nothing, and have a fixed result: a sum is 0.
            known = plain(build.constant(tensor.data), tensor.shape) if tensor.size else Value((), tensor.shape, 0)
            values[id(tensor)] = known
            continue
        value = values[id(tensor)] = _lowered(tensor, operands, record, is_learned)
        if isinstance(value, Written):
            continue
        origin = record.origin(tensor)
        moves = type(tensor.creator).__name__ in (*SHAPES, *READ_OR_WRITE)
        # A sequence has a node for every step, which is read at every step: they must not be listed there.
        handed = set() if moves else {node for operand in operands for node in operand.nodes}
        for node in value.nodes:
            if node in origins:
                # It was computed before. If it is not one of the operands, it is computed again.
                before = origins[node]
                again = () if moves or node in handed else origin.runs
                best = origin if origin.name and not before.name else before
                origins[node] = replace(best, runs=(*before.runs, *again))
            else:
                origins[node] = origin
    return origins


class _Learned:
    """Returns whether a gradient passes from a node to parameters."""

    def __init__(self) -> None:
        self._known: dict[Node, bool] = {}

    def __call__(self, node: Node) -> bool:
        known = self._known
        for one in inputs_first([node], lambda n: () if n in known else inputs_with_gradient(n)):
            if one not in known:
                known[one] = isinstance(one.leaf, Parameter) or any(known[i] for i in inputs_with_gradient(one))
        return known[node]


def _is_older(tensor: Any, record: Record) -> bool:
    """Whether a tensor was computed before the model was called."""
    return tensor.creator is not None and not record.is_new(tensor)


def _reader(is_read: Callable[[Any], bool], tensors: list[Any], record: Record) -> Origin:
    """Return the line where the model first reads such a tensor."""
    readers = (t for t in tensors if record.is_new(t) and any(map(is_read, operands_of(t))))
    return record.origin(next(readers, tensors[-1]))


def _check_constant(tensor: Any, tensors: list[Any], record: Record) -> None:
    """Refuse a constant with numbers that become 0 or infinite in native code."""
    if message := lost(np.asarray(tensor.data)):
        raise CompileError(f"{message}\n  {_reader(lambda t: t is tensor, tensors, record)}")


def _lowered(tensor: Any, operands: list[Any], record: Record, is_learned: Callable[[Node], bool]) -> Value | Written:
    creator = tensor.creator
    try:
        if type(creator).__name__ not in READ_OR_WRITE:
            operands = [operand.value if isinstance(operand, Written) else operand for operand in operands]
        rule = _rule_for(creator, tensor)
        value = rule(creator, operands, tensor.shape)
        # Values that depend on no parameter, and truth values, have no gradient anyway.
        if not stops_gradient(tensor) or not any(map(is_learned, value.nodes)):
            return value
        return replace(value, nodes=tuple(map(ops.stop_gradient, value.nodes)))
    except UnsupportedOperation as error:
        instead = INSTEAD.get(type(creator).__name__, "Write it with supported operations")
        raise UnsupportedOperation(
            f'{error}\n  {record.origin(tensor)}\n  {instead}, or train with engine="mygrad".'
        ) from None


def _rule_for(creator: Any, tensor: Any) -> Rule:
    name = type(creator).__name__
    if type(creator) in (Reading, PiecewiseConstant):
        return READS[name]
    # A user-defined operation may have the name of one of MyGrad's.
    is_mygrads = type(creator).__module__.startswith("mygrad.")
    if not is_mygrads or name not in RULES:
        what = f"MyGrad's {name}" if is_mygrads else f"{name} of {type(creator).__module__}"
        raise UnsupportedOperation(f"the compiler has no rule for {what}.")
    if creator.where is not True:
        raise UnsupportedOperation(f"the compiler has no rule for MyGrad's {name} with a where= mask.")
    if tensor.dtype == np.float16:
        raise UnsupportedOperation("this rounds to float16, but compiled models work in float32 only.")
    # Numbers of any type may be moved and chosen, and truth values written into others.
    moves = name in SHAPES or name == "Where" or (name in WRITES and {v.dtype.kind for v in creator.variables} == {"b"})
    if tensor.dtype.kind in "iub" and not moves:
        raise UnsupportedOperation(
            f"this computes in {tensor.dtype}, which overflows or rounds where float32 does not: "
            "begin with a float, such as 0.0 instead of 0."
        )
    return RULES[name]
