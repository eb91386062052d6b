"""A network as an ONNX model: a Scan for each loop, over sequences of any length.

References
----------
https://onnx.ai/onnx/operators/onnx__Scan.html
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, helper

from myrnn._version import __version__
from myrnn.compiler.equations import state_names
from myrnn.compiler.graph import Node, fold, in_numpy, leaves_of, topological
from myrnn.compiler.leaves import (
    INPUT,
    LENGTH,
    Drawn,
    Given,
    Kept,
    Leaf,
    Length,
    Parameter,
    StepNumber,
    StepTable,
    Stepwise,
)
from myrnn.compiler.loops import Loop, Recurrence, placeholders
from myrnn.compiler.ops import Array
from myrnn.exports.graphs import File, Graph
from myrnn.exports.network import TrainedNetwork
from myrnn.exports.operators import fixed_among, lowered, write_nodes
from myrnn.exports.options import Options

# What onnxruntime 1.12 of 2022 and everything newer reads.
OPSET, IR_VERSION = 17, 8


def written(network: TrainedNetwork, options: Options) -> bytes:
    """Return the bytes of an ``.onnx`` file."""
    return onnx_model(network, tokens=options.tokens, batched=options.batched, name=options.name).SerializeToString()


def onnx_model(network: TrainedNetwork, *, tokens: bool, batched: bool, name: str = "network") -> ModelProto:
    """Return the model, which ONNX has checked.

    It reads ``x``, float32 (T, C), or ``tokens``, int64 (T,), and returns ``logits``, float32 (1, K), or (T, K) for
    every step. If it is batched, these are (N, T, C), (N, T), (N, K) and (N, T, K).
    """
    recurrence = lowered(network.compiled.recurrence)
    file = File(_fixed(recurrence, network), _labels(recurrence, network))
    steps = ["N", "T"] if batched else ["T"]
    rows: list[Any] = steps if network.per_step else ["N"] if batched else [1]
    if tokens:
        given = helper.make_tensor_value_info(file.name("tokens"), TensorProto.INT64, steps)
    else:
        given = helper.make_tensor_value_info(file.name("x"), TensorProto.FLOAT, [*steps, network.dim_input])
    logits = helper.make_tensor_value_info(file.name("logits"), TensorProto.FLOAT, [*rows, network.dim_output])
    operators = GraphWriter(recurrence, file, network.most_steps, given.name, tokens, batched).operators(logits.name)
    graph = helper.make_graph(operators, name, [given], [logits], file.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name, model.producer_version, model.doc_string = "myrnn", __version__, network.title
    helper.set_model_props(model, _properties(network))
    checker.check_model(model, full_check=True)
    return model


def _fixed(recurrence: Recurrence, network: TrainedNetwork) -> dict[Node, Array]:
    """Return the numbers of all nodes that depend on parameters alone."""
    fixed, known = fixed_among(topological(recurrence.nodes)), dict[Node, Array]()
    for node in fixed:
        if isinstance(node.leaf, Parameter):
            known[node] = network.weights[node.leaf.number].reshape(-1)
        elif isinstance(node.leaf, Drawn):
            known[node] = node.leaf.neutral
    with np.errstate(all="ignore"):
        return fold(fixed, known, in_numpy())


def _labels(recurrence: Recurrence, network: TrainedNetwork) -> dict[Node, str]:
    return {
        recurrence.build.leaf(leaf, network.weights[leaf.number].size): network.names[leaf.number]
        for leaf in leaves_of(Parameter, recurrence.nodes)
    }


def _properties(network: TrainedNetwork) -> dict[str, str]:
    """Return what a program needs to know to use the model; all but the equations is JSON."""
    scales = {"inputs": network.inputs, "outputs": network.outputs}
    found = {
        "targets": network.targets,
        "predicts_next_input": network.predicts_next_input,
        "classes": network.classes or None,
        "symbols": network.symbols,
        "most_steps": network.most_steps,
        **{place: scale and asdict(scale) for place, scale in scales.items()},
        "differences": network.differences.to_settings() if network.differences.undefined_rows else None,
    }
    as_text = {key: json.dumps(value) for key, value in found.items() if value is not None}
    return {"equations": network.equations, **as_text}


class GraphWriter:
    """Writes a recurrence as operators of ONNX. What loops read and keep has a row for each step: (T, N, size)."""

    def __init__(
        self,
        recurrence: Recurrence,
        file: File,
        most_steps: int | None,
        given: str,
        tokens: bool,
        batched: bool,
    ) -> None:
        self._recurrence, self._build, self._file = recurrence, recurrence.build, file
        self._most_steps, self._tokens, self._batched = most_steps, tokens, batched
        self._main = main = Graph(file)
        if tokens:
            given = self._checked_tokens(given)
        if batched:
            rows = main.add("Transpose", given, perm=[1, 0] if tokens else [1, 0, 2])
            main.count = main.add("Shape", rows, start=1, end=2)
        else:
            rows = main.add("Unsqueeze", given, main.integers([1]))
        # Leaf -> the name of its rows, (T, N, size), or (T, 1, size) if all sequences share them.
        self._rows: dict[Stepwise, str] = {INPUT: rows}

    def _checked_tokens(self, given: str) -> str:
        """Return the name of the tokens, none of which may be unknown."""
        # A Gather refuses indices from the number of symbols up, but counts negative ones from the end.
        main, count = self._main, self._main.integers(self._recurrence.dim_input)
        zero, one = main.integers(0), main.integers(1)
        indices = main.add("Where", main.add("Less", given, zero), count, given)
        return main.add("Gather", main.add("Range", zero, count, one), indices)

    def operators(self, result: str) -> list[NodeProto]:
        """Write everything up to the result, and return the operators."""
        recurrence, main = self._recurrence, self._main
        if leaves_of(Length, recurrence.nodes):
            main.set(self._build.given(LENGTH), self._length(), shared=True)
        for loop, first in zip(recurrence.loops, recurrence.first_states, strict=True):
            self._scan(loop, first)
        leaf = recurrence.readout.leaf
        if not isinstance(leaf, Kept):
            self._write(main, [recurrence.readout])
            main.add("Identity", main.of_batch(recurrence.readout), result=result)
        elif self._batched:
            main.add("Transpose", self._rows[leaf], result=result, perm=[1, 0, 2])
        else:
            main.add("Squeeze", self._rows[leaf], main.integers([1]), result=result)
        return main.operators

    def _write(self, graph: Graph, targets: Iterable[Node], without: Container[Node] = ()) -> None:
        """Write what the targets need and the graph does not have yet."""
        order = topological(targets)
        due = [node for node in order if not (node.is_leaf or graph.is_fixed(node) or graph.has(node))]
        write_nodes(graph, [node for node in due if node not in without])

    def _scan(self, loop: Loop, first: int) -> None:
        """Write a loop."""
        main, states = self._main, placeholders(self._build, [node.size for node in loop.step], first)
        ends = [*loop.step, *loop.kept.values()]
        changing = _changing(ends, states)
        # What all steps share is computed before the loop.
        self._write(main, [*loop.initial, *ends], without=changing)
        read = [node for node in changing if node.is_leaf and node not in states]
        read = read or [self._build.leaf(INPUT, self._recurrence.dim_input)]
        names = state_names(self._recurrence)[first : first + len(states)]
        rows = [self._rows_of(node.leaf) for node in read]
        directions = {"scan_input_directions": [int(loop.backward)] * len(read)}
        if loop.kept:
            directions["scan_output_directions"] = [int(loop.backward)] * len(loop.kept)
        last = [self._file.name(f"last_{name}") for name in names]
        kept = [self._file.name(f"all_{Kept(number)}") for number in loop.kept]
        main.add_loop(
            [*map(main.of_batch, loop.initial), *rows],
            [*last, *kept],
            self._body(loop, dict(zip(states, names, strict=True)), read),
            num_scan_inputs=len(read),
            **directions,
        )
        for node, name in zip(states, last, strict=True):
            main.set(node, name, shared=False)
        self._rows |= {Kept(number): name for number, name in zip(loop.kept, kept, strict=True)}

    def _body(self, loop: Loop, states: Mapping[Node, str], read: Sequence[Node]) -> GraphProto:
        """Return a step of a loop: the states before it and the rows that it reads -> the states after it, and more."""
        body = Graph(self._file, self._main)
        for node, name in states.items():
            body.read(node, name)
        for node in read:
            if node.leaf is INPUT and self._tokens:
                body.read_tokens("token")
            else:
                body.read(node, str(node.leaf), shared=isinstance(node.leaf, Given))
        self._write(body, [*loop.step, *loop.kept.values()])
        for node, name in zip(loop.step, states.values(), strict=True):
            body.give(node, f"next_{name}")
        for number, node in loop.kept.items():
            body.give(node, str(Kept(number)))
        return body.proto("step")

    # What loops read of every step ------------------------------------------------------------------------------------

    def _rows_of(self, leaf: Leaf | None) -> str:
        """Return the name of the rows of a leaf."""
        assert isinstance(leaf, Stepwise)
        if leaf not in self._rows:
            assert isinstance(leaf, StepNumber | StepTable)
            self._rows[leaf] = self._numbers(leaf) if isinstance(leaf, StepNumber) else self._table(leaf)
        return self._rows[leaf]

    def _length(self) -> str:
        """Return the name of the number of steps, float32 (1, 1)."""
        main = self._main
        return main.add("Reshape", main.as_float(self._shape_of_steps()), main.integers([1, 1]))

    def _shape_of_steps(self) -> str:
        return self._main.add("Shape", self._rows[INPUT], start=0, end=1)

    def _steps(self, *, backward: bool) -> str:
        """Return the name of the number of each step, int64 (T,), counted from either end."""
        main = self._main
        zero, one = main.integers(0), main.integers(1)
        length = main.add("Squeeze", self._shape_of_steps())
        steps = main.add("Range", zero, length, one)
        return main.add("Sub", main.add("Sub", length, one), steps) if backward else steps

    def _numbers(self, leaf: StepNumber) -> str:
        main = self._main
        steps = main.as_float(self._steps(backward=leaf.backward))
        return main.add("Reshape", steps, main.integers([-1, 1, 1]))

    def _table(self, leaf: StepTable) -> str:
        """Return the name of the rows of a table; those after the last known one are NaN."""
        main, known = self._main, self._most_steps
        assert known is not None
        table = np.tile(leaf.neutral, (known + 1, 1, 1))
        for step, numbers in self._recurrence.rows.get(leaf, {}).items():
            if step < known:
                table[step] = numbers
        table[known] = np.nan
        steps = main.add("Min", self._steps(backward=leaf.backward), main.integers(known))
        return main.add("Gather", self._file.numbers(table.astype(np.float32), str(leaf)), steps, axis=0)


def _changing(targets: Sequence[Node], states: Sequence[Node]) -> dict[Node, None]:
    """Return what differs from step to step among all that the targets need, given inputs first."""
    found = dict.fromkeys(states)
    for node in topological(targets):
        leaf = node.leaf
        # Nothing is drawn.
        is_read = isinstance(leaf, Stepwise) and not isinstance(leaf, Drawn | Length)
        if is_read or any(i in found for i in node.inputs):
            found[node] = None
    return found
