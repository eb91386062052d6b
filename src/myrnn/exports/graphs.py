"""A graph of ONNX while it is written: its operators, the names of its values, and the numbers that it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from myrnn.compiler.graph import Node
from myrnn.compiler.leaves import INPUT
from myrnn.compiler.ops import Array


class File:
    """What all graphs of a file share: the names that are taken, and the numbers that they read.

    `fixed` has the numbers of the nodes that depend on parameters alone, and `labels` the names of some nodes.
    """

    def __init__(self, fixed: Mapping[Node, Array], labels: Mapping[Node, str]) -> None:
        self.fixed, self.labels = fixed, labels
        self.initializers: list[TensorProto] = []
        self._names: dict[str, int] = {}
        self._numbers: dict[tuple[Any, ...], str] = {}

    def name(self, wanted: str) -> str:
        """Return a name that is not taken, the wanted one if possible."""
        count = self._names.get(wanted, 0)
        self._names[wanted] = count + 1
        return wanted if not count else self.name(f"{wanted}_{count}")

    def numbers(self, values: Array, wanted: str) -> str:
        """Return the name of an initializer with these numbers."""
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self._numbers:
            name = self._numbers[key] = self.name(wanted)
            self.initializers.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return self._numbers[key]


class Graph:
    """The main graph, or the body of a loop, which also reads values of the graph `around` it.

    Values are float32 (N, size), or (1, size) if all N sequences share them.
    """

    def __init__(self, file: File, around: Graph | None = None) -> None:
        self.file, self.operators = file, list[NodeProto]()
        # The name of the number of sequences, int64 (1,), if there may be several.
        self.count: str | None = None if around is None else around.count
        # The name of the current token of each sequence, int64 (N,), in a loop over tokens.
        self.tokens: str | None = None
        self._inputs, self._outputs = list[ValueInfoProto](), list[ValueInfoProto]()
        self._values: dict[Node, str] = {} if around is None else dict(around._values)
        self._shared: set[Node] = set() if around is None else set(around._shared)

    # Values -----------------------------------------------------------------------------------------------------------

    def set(self, node: Node, name: str, *, shared: bool | None = None) -> None:
        """Note the name of a value, and whether all sequences share it: by default, if they share all its inputs."""
        self._values[node] = name
        if self._is_shared(node) if shared is None else shared:
            self._shared.add(node)

    def has(self, node: Node) -> bool:
        """Whether a value is known."""
        return node in self._values

    def value(self, node: Node) -> str:
        """Return the name of a value, (N, size) or (1, size)."""
        if self.is_fixed(node):
            return self._fixed(node, (1, node.size))
        if node not in self._values and node.leaf is INPUT:
            assert self.tokens is not None
            values = self.numbers([0.0, 1.0])
            self.set(node, self.add("OneHot", self.tokens, self.integers(node.size), values, axis=1), shared=False)
        return self._values[node]

    def of_batch(self, node: Node) -> str:
        """Return the name of a value, (N, size) in any case."""
        name = self.value(node)
        if self.count is None or not (self.is_fixed(node) or node in self._shared):
            return name
        return self.add("Expand", name, self.add("Concat", self.count, self.integers([node.size]), axis=0))

    def shaped(self, node: Node, *shape: int) -> str:
        """Return the name of a value in another shape, (N, *shape) or (1, *shape)."""
        if self.is_fixed(node):
            return self._fixed(node, (1, *shape))
        return self.add("Reshape", self.value(node), self.integers([-1, *shape]))

    def matrix(self, node: Node, rows: int, columns: int, transposed: bool = False) -> str:
        """Return the name of fixed numbers as a matrix, which they hold as (columns, rows) if it is transposed."""
        numbers = self.file.fixed[node].reshape((columns, rows) if transposed else (rows, columns))
        return self.file.numbers(numbers.T if transposed else numbers, self._label(node))

    def flat(self, name: str, size: int) -> str:
        """Return the name of a value of any shape as (N, size)."""
        return self.add("Reshape", name, self.integers([-1, size]))

    def is_fixed(self, node: Node) -> bool:
        """Whether a value depends on parameters alone."""
        return node in self.file.fixed

    def _is_shared(self, node: Node) -> bool:
        return all(self.is_fixed(i) or i in self._shared for i in node.inputs)

    def _fixed(self, node: Node, shape: tuple[int, ...]) -> str:
        return self.file.numbers(self.file.fixed[node].reshape(shape), self._label(node))

    def _label(self, node: Node) -> str:
        return self.file.labels.get(node, "constant")

    # The graph as a function ------------------------------------------------------------------------------------------

    def read(self, node: Node, wanted: str, *, shared: bool = False) -> None:
        """Add an input for a value."""
        name = self.file.name(wanted)
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self._shape(node, shared)))
        self.set(node, name, shared=shared)

    def read_tokens(self, wanted: str) -> None:
        """Add an input for the tokens."""
        self.tokens = self.file.name(wanted)
        self._inputs.append(helper.make_tensor_value_info(self.tokens, TensorProto.INT64, [self._sequences]))

    def give(self, node: Node, wanted: str) -> None:
        """Add an output for a value, (N, size)."""
        name = self.of_batch(node)
        is_given = any(name == output.name for output in self._outputs)
        if is_given or all(name not in operator.output for operator in self.operators):
            name = self.add("Identity", name, result=self.file.name(wanted))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self._shape(node)))

    def proto(self, name: str) -> GraphProto:
        """Return it as ONNX has it."""
        return helper.make_graph(self.operators, self.file.name(name), self._inputs, self._outputs)

    def _shape(self, node: Node, shared: bool = False) -> list[int | str]:
        return [1 if shared else self._sequences, node.size]

    @property
    def _sequences(self) -> int | str:
        return 1 if self.count is None else "N"

    # Operators and numbers --------------------------------------------------------------------------------------------

    def add(self, operator: str, *inputs: str, result: str | None = None, **attributes: Any) -> str:
        """Add an operator, and return the name of its result."""
        name = self.file.name(re.sub(r"(?<!^)([A-Z])", r"_\1", operator).lower()) if result is None else result
        self.operators.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def add_loop(self, inputs: list[str], outputs: list[str], body: GraphProto, **attributes: Any) -> None:
        """Add a loop: its initial states and the rows that it reads -> its last states, and the rows that it keeps."""
        self.operators.append(helper.make_node("Scan", inputs, outputs, body=body, **attributes))

    def numbers(self, values: Any) -> str:
        """Return the name of float32 numbers."""
        return self.file.numbers(np.array(values, dtype=np.float32), "constant")

    def integers(self, values: Any) -> str:
        """Return the name of int64 numbers."""
        return self.file.numbers(np.array(values, dtype=np.int64), "integers")

    def as_float(self, name: str) -> str:
        """Return the name of a value as float32."""
        return self.add("Cast", name, to=TensorProto.FLOAT)
