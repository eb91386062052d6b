"""Draw a recurrence as one step whose states go round: a card for each equation, with the parameters that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from myrnn.compiler import CompiledModel, Equation, Equations, Node, topological
from myrnn.graphs._observed import Array, Observed
from myrnn.graphs._read import Shown
from myrnn.graphs._record import Drawing, Emphasis, GraphNode, Kind
from myrnn.graphs._wrap import WIDTH, equation_lines
from myrnn.models import num_parameters, parameter_names

_START, _STEP, _READOUT = range(3)
_LEAVES = ("parameter", "input", "length")


def draw_recurrence(
    compiled: CompiledModel, equations: Equations, observed: Observed | None, shown: Shown
) -> tuple[Drawing, dict[int, float]]:
    """Return the drawing of a recurrence, and the norm of the gradient by the key of a node."""
    return _Rolled(compiled, equations, observed, shown).finish()


class _Rolled:
    """The running state of one drawing: nodes are made in the order in which they are computed."""

    def __init__(self, compiled: CompiledModel, equations: Equations, observed: Observed | None, shown: Shown) -> None:
        self.compiled, self.equations, self.observed, self.shown = compiled, equations, observed, shown
        self.parameters = tuple(compiled.model.parameters)
        states = equations.states
        # As the equations tell a parameter that is called like a state from it.
        self.names = tuple(f"self.{name}" if name in states else name for name in parameter_names(compiled.model))
        self.shapes = _shapes(compiled)
        self.nodes: list[GraphNode] = []
        self.leaves: dict[Node, int] = {}
        self.gradients: dict[int, float] = {}

    def finish(self) -> tuple[Drawing, dict[int, float]]:
        starts = [self._start(i, equation) for i, equation in enumerate(self.equations.initial)]
        before = {i: self._entry(i, start) for i, start in enumerate(starts)}
        known = {node: before[i] for node, i in self._state_leaves(self.compiled.recurrence.step).items()}
        after = self._step(known)
        known = {node: after[i] for node, i in self._state_leaves([self.compiled.recurrence.readout]).items()}
        self._readout(known)
        every = "every step" + (", the last row first" if self.equations.reverse else "")
        loops = tuple((after[i], before[i]) for i in before)
        title = self._title()
        description = f"{title}. {self.equations}"
        drawing = Drawing(title, description, tuple(self.nodes), ("before", every, "readout"), loops, rolled=True)
        drawing.check()
        return drawing, self.gradients

    def _title(self) -> str:
        count = num_parameters(self.compiled.model)
        sizes = self.compiled.recurrence.state_sizes
        states = ", ".join(f"{name} ({size})" for name, size in zip(self.equations.states, sizes, strict=True))
        kind = type(self.compiled.model).__name__
        return f"{kind}: state{'s' * (len(sizes) != 1)} {states}, {count:,} parameter{'s' * (count != 1)}"

    # Cards -----------------------------------------------------------------------------------------------------------

    def _start(self, i: int, equation: Equation) -> int:
        values = None if self.observed is None else self.observed.initial[i][np.newaxis]
        key = self._card(equation, {}, _START, "state", values, "before the first step")
        if self.observed is not None and self.observed.observation is not None:
            self._gradient(key, self.observed.observation.state_gradients[i][:1])
        return key

    def _entry(self, i: int, start: int) -> int:
        """Make the card through which a state enters the step: from the start, then again and again from its end."""
        name, size = self.equations.states[i], self.compiled.recurrence.state_sizes[i]
        shape = self._shape(self.equations.initial[i].node, size, i)
        tooltip = (f"{name} of the step before", f"shape {shape}, float32")
        details = ("of the step before", *([shape] * self.shown.dims))
        return self._add("operation", name, details, tooltip, (start,), _STEP, "state")

    def _step(self, known: dict[Node, int]) -> list[int]:
        states = self.compiled.recurrence.step
        dash = "'" * (len(states) > 1)
        final = {f"{name}{dash}": i for i, name in enumerate(self.equations.states)}
        after = [0] * len(states)
        for equation in self.equations.step:
            i = final.get(equation.name)
            values = None if self.observed is None else self.observed.step[equation.node]
            emphasis: Emphasis = "" if i is None else "state"
            key = self._card(equation, known, _STEP, emphasis, values, self._over_steps())
            known.setdefault(equation.node, key)
            if i is not None:
                after[i] = key
                self._state_gradient(key, i)
        return after

    def _readout(self, known: dict[Node, int]) -> None:
        for equation in self.equations.readout:
            values = None if self.observed is None else self.observed.readout[equation.node]
            last = equation is self.equations.readout[-1]
            key = self._card(equation, known, _READOUT, "result" if last else "", values, "after the last step")
            known.setdefault(equation.node, key)
        if self.observed is not None and self.observed.observation is not None:
            self._gradient(key, self.observed.logits_gradient)

    def _card(
        self,
        equation: Equation,
        known: Mapping[Node, int],
        column: int,
        emphasis: Emphasis,
        values: Array | None,
        when: str,
    ) -> int:
        label, lines = equation_lines(equation.name, equation.text)
        inputs = tuple(known[node] if node in known else self._leaf(node) for node in equation.reads)
        read = {node.attributes[0] for node in equation.reads if node.operation == "parameter"}
        count = sum(self.parameters[place].size for place in read)
        state = self.equations.states.index(equation.name) if column == _START else None
        shape = self._shape(equation.node, equation.node.size, state)
        sizes = [shape] * self.shown.dims + ["float32"] * self.shown.dtypes
        counted = [f"{count:,} parameter{'s' * (count != 1)}"] if count else []
        # Size and count on one line, where there is room for both.
        told = " · ".join([*filter(None, [" ".join(sizes)]), *counted])
        details = (*lines, *([told] if len(told) <= WIDTH else [" ".join(sizes), *counted]))
        tooltip = (str(equation), f"shape {shape}, float32", *(f"reads {told}" for told in counted))
        if values is not None:
            tooltip += (f"{when}: {_range(values)}",)
            details += _statistics(values) if self.shown.sum_stats else ()
        return self._add("operation", label, tuple(filter(None, details)), tooltip, inputs, column, emphasis)

    # Leaves ----------------------------------------------------------------------------------------------------------

    def _leaf(self, node: Node) -> int:
        if node not in self.leaves:
            self.leaves[node] = self._parameter(node) if node.operation == "parameter" else self._input(node)
        return self.leaves[node]

    def _parameter(self, node: Node) -> int:
        place = node.attributes[0]
        data, name = self.parameters[place].data, self.names[place]
        sides = [str(n) for n in data.shape if n != 1] or ["1"]
        told = "×".join(sides) + (f" = {data.size:,}" if len(sides) > 1 else "")  # noqa: RUF001
        shape = f"shape {data.shape}, {data.dtype}, {data.size:,} number{'s' * (data.size != 1)}"
        tooltip = (f"{name} (parameter)", shape, _range(data))
        key = self._add("parameter", name, (told,), tooltip)
        if self.observed is not None and self.observed.parameter_gradients:
            self._gradient(key, self.observed.parameter_gradients[place])
        return key

    def _input(self, node: Node) -> int:
        observed = self.observed
        if node.operation == "length":
            value = "" if observed is None else f" = {observed.steps}"
            return self._add("input", f"T{value}", (), ("T, the number of steps (input)",))
        tooltip: tuple[str, ...] = (
            f"{self.equations.sequence}, the present row of the sequence (input)",
            f"shape ({node.size},)",
        )
        if observed is not None:
            tooltip += (f"{self._over_steps()}: {_range(observed.sequence)}",)
        key = self._add("input", self.equations.sequence, (str(node.size),), tooltip)
        if observed is not None and observed.observation is not None:
            self._gradient(key, observed.observation.input_gradients)
        return key

    # Numbers ---------------------------------------------------------------------------------------------------------

    def _state_gradient(self, key: int, i: int) -> None:
        if self.observed is None or self.observed.observation is None:
            return
        gradients = self.observed.observation.state_gradients[i][1:]
        self._gradient(key, gradients)
        first, last = (np.linalg.norm(row.astype(np.float64)) for row in (gradients[0], gradients[-1]))
        line = f"gradient: {first:.3g} after the first step, {last:.3g} after the last"
        self.nodes[key] = replace(self.nodes[key], tooltip=(*self.nodes[key].tooltip, line))

    def _gradient(self, key: int, values: Array) -> None:
        self.gradients[key] = float(np.linalg.norm(np.asarray(values, dtype=np.float64)))

    def _over_steps(self) -> str:
        steps = 0 if self.observed is None else self.observed.steps
        return f"over {steps} step{'s' * (steps != 1)}"

    def _shape(self, node: Node, size: int, state: int | None = None) -> str:
        key: Node | int = node if state is None else state
        rows, columns = self.shapes.get(key, (1, size))
        return f"{rows}×{columns}" if rows > 1 else f"({size},)"  # noqa: RUF001

    def _state_leaves(self, targets: Iterable[Node]) -> dict[Node, int]:
        return {node: node.attributes[0] for node in topological(targets) if node.operation == "state"}

    def _add(
        self,
        kind: Kind,
        label: str,
        details: tuple[str, ...],
        tooltip: tuple[str, ...],
        inputs: tuple[int, ...] = (),
        column: int = _STEP,
        emphasis: Emphasis = "",
    ) -> int:
        key = len(self.nodes)
        self.nodes.append(GraphNode(key, kind, label, details, tooltip, inputs, column=column, emphasis=emphasis))
        return key


def _shapes(compiled: CompiledModel) -> dict[Node | int, tuple[int, int]]:
    """Return the rows and columns of what is the right matrix of a product; a state by its number."""
    recurrence = compiled.recurrence
    shapes: dict[Node | int, tuple[int, int]] = {}
    for node in topological([*recurrence.step, recurrence.readout]):
        if node.operation == "matmul":
            _, k, n, transposed = node.attributes
            matrix = node.inputs[1]
            shapes[matrix] = (n, k) if transposed else (k, n)
    for i, node in enumerate(recurrence.step):
        leaves = [n for n in shapes if isinstance(n, Node) and n.operation == "state" and n.attributes[0] == i]
        for known in [*leaves, node]:
            if known in shapes:
                shapes[i] = shapes[node] = shapes[known]
    return shapes


def _range(values: Array) -> str:
    if values.size == 0:
        return "no values"
    if values.size == 1:
        return f"value {float(values.reshape(-1)[0]):.6g}"
    with np.errstate(all="ignore"):  # the mean of infinities is a number that may be shown
        # Adding zero makes minus zero zero.
        low, mean, high = (float(f(values)) + 0.0 for f in (np.min, np.mean, np.max))
    return f"values {low:.4g} to {high:.4g}, mean {mean:.4g}"


def _statistics(values: Array) -> tuple[str, ...]:
    if values.size == 0:
        return ()
    with np.errstate(all="ignore"):
        low, middle, mean, high = (float(f(values)) + 0.0 for f in (np.min, np.median, np.mean, np.max))
    return f"{low:.3g} … {high:.3g}", f"median {middle:.3g}", f"mean {mean:.3g}"
