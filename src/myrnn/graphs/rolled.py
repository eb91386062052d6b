"""Draw a recurrence as one step whose states go round: a card for each equation, with the parameters that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn.compiler import CompiledModel, Equation, Equations, Node, evaluate, topological
from myrnn.graphs.read import Drawing, Emphasis, GraphNode, Kind, Shown, statistics, value_range
from myrnn.models import num_parameters, parameter_names

Array = NDArray[np.float32]

# The columns.
START, STEP, READOUT = range(3)
WIDTH = 30  # of a line on a card, in letters


# The numbers of one sequence ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Observed:
    """The numbers of one sequence; empty where none was given.

    Attributes
    ----------
    steps : int
        T.
    sequence : ndarray, float32 (T, C), or None
    values, gradients : dict
        Column and name of an equation -> its values, and where the right class was given their gradient, float32 (1 or
        T, size).
    leaf_gradients : dict
        ``"x"`` or the place of a parameter -> its gradient.
    """

    steps: int = 0
    sequence: Array | None = None
    values: Mapping[tuple[int, str], Array] = field(default_factory=dict)
    gradients: Mapping[tuple[int, str], Array] = field(default_factory=dict)
    leaf_gradients: Mapping[int | str, Array] = field(default_factory=dict)


def observe(compiled: CompiledModel, equations: Equations, x: Any, y: Any) -> Observed:
    """Run one sequence (T, C) through the recurrence, and its loss back where `y` is the right class."""
    compiled(x)  # refuses what is no sequence, and a sequence on which the model does something else
    sequence = np.asarray(getattr(x, "data", x), dtype=np.float32)
    recurrence = compiled.recurrence
    known: dict[str, Any] = {"parameter": [p.data.reshape(-1) for p in compiled.model.parameters]}
    known["state"] = initial = _run(recurrence.initial, known)
    nodes, rows = [equation.node for equation in equations.step], []
    for known["input"] in sequence[::-1] if recurrence.reverse else sequence:
        found = _run([*nodes, *recurrence.step], known)
        rows.append(found[: len(nodes)])
        known["state"] = found[len(nodes) :]
    known["length"] = np.full(1, len(sequence), dtype=np.float32)
    last = _run([equation.node for equation in equations.readout], known)
    values = {(START, e.name): v[np.newaxis] for e, v in zip(equations.initial, initial, strict=True)}
    values |= {(STEP, e.name): np.stack(v) for e, v in zip(equations.step, zip(*rows, strict=True), strict=True)}
    values |= {(READOUT, e.name): v[np.newaxis] for e, v in zip(equations.readout, last, strict=True)}
    if y is None:
        return Observed(len(sequence), sequence, values)
    observation, (_, of_parameters) = compiled.observe(x, y), compiled.loss_and_gradients(x, y)
    by_state = observation.state_gradients
    gradients = {(START, e.name): g[:1] for e, g in zip(equations.initial, by_state, strict=True)}
    gradients |= {(STEP, name): by_state[i][1:] for name, i in _new_states(equations).items()}
    # Of the softmax cross-entropy with respect to the logits.
    scores = np.exp(observation.logits - observation.logits.max())
    is_right = np.arange(len(scores)) == np.ravel(getattr(y, "data", y))
    gradients[READOUT, equations.readout[-1].name] = scores / scores.sum() - is_right
    leaves: dict[int | str, Array] = {"x": observation.input_gradients}
    leaves |= dict(enumerate(of_parameters))
    return Observed(len(sequence), sequence, values, gradients, leaves)


def _run(targets: Sequence[Node], known: Mapping[str, Any]) -> list[Array]:
    """Compute the targets with NumPy from the values of the leaves below them, known by their operation."""
    leaves = [node for node in topological(targets) if node.operation in ("parameter", "state", "input", "length")]
    values = {n: known[n.operation][n.attributes[0]] if n.attributes else known[n.operation] for n in leaves}
    return evaluate(targets, values)


def _new_states(equations: Equations) -> dict[str, int]:
    """Return the states by the names that the step gives them."""
    dash = "'" * (len(equations.states) > 1)
    return {f"{name}{dash}": i for i, name in enumerate(equations.states)}


# The drawing ----------------------------------------------------------------------------------------------------------


def draw_recurrence(
    compiled: CompiledModel, equations: Equations, observed: Observed | None, shown: Shown
) -> tuple[Drawing, dict[int, float]]:
    """Return the drawing of a recurrence, and the norm of the gradient by the key of a node."""
    return _Rolled(compiled, equations, observed or Observed(), shown).finish()


class _Rolled:
    """The running state of one drawing: nodes are made in the order in which they are computed."""

    def __init__(self, compiled: CompiledModel, equations: Equations, observed: Observed, shown: Shown) -> None:
        self.recurrence, self.model = compiled.recurrence, compiled.model
        self.equations, self.observed, self.shown = equations, observed, shown
        self.parameters = tuple(self.model.parameters)
        # The equations write a parameter with the name of a state as self.name.
        names = parameter_names(self.model)
        self.names = tuple(f"self.{name}" if name in equations.states else name for name in names)
        self.shapes = _shapes(compiled)
        self.nodes: list[GraphNode] = []
        self.leaves: dict[Node, int] = {}
        self.gradients: dict[int, float] = {}

    def finish(self) -> tuple[Drawing, dict[int, float]]:
        equations, states = self.equations, self.equations.states
        starts = [self._card(equation, {}, START) for equation in equations.initial]
        entries = [self._entry(i, start) for i, start in enumerate(starts)]
        ends = self._cards(equations.step, self._states(self.recurrence.step, entries), STEP)
        after = [ends[name] for name in _new_states(equations)]
        self._cards(equations.readout, self._states([self.recurrence.readout], after), READOUT)
        sizes = zip(states, self.recurrence.state_sizes, strict=True)
        title = f"{type(self.model).__name__}: state{'s' * (len(states) != 1)} "
        title += ", ".join(f"{name} ({size})" for name, size in sizes)
        title += f", {count_of(num_parameters(self.model), 'parameter')}"
        every = "every step" + (", the last row first" if equations.reverse else "")
        columns, loops = ("before", every, "readout"), tuple(zip(after, entries, strict=True))
        drawing = Drawing(title, f"{title}. {equations}", tuple(self.nodes), columns, loops, rolled=True)
        drawing.check()
        return drawing, self.gradients

    def _states(self, targets: Sequence[Node], keys: Sequence[int]) -> dict[Node, int]:
        return {node: keys[node.attributes[0]] for node in topological(targets) if node.operation == "state"}

    def _entry(self, i: int, start: int) -> int:
        """Make the card through which a state enters the step: from the start, then again and again from its end."""
        name, shape = self.equations.states[i], self._shape(i, self.recurrence.state_sizes[i])
        tooltip = (f"{name} of the step before", f"shape {shape}, float32")
        details = ("of the step before", *([shape] * self.shown.dims))
        return self._add("operation", name, details, tooltip, (start,), STEP, "state")

    def _cards(self, equations: Sequence[Equation], known: dict[Node, int], column: int) -> dict[str, int]:
        keys = {}
        for equation in equations:
            keys[equation.name] = self._card(equation, known, column)
            known.setdefault(equation.node, keys[equation.name])
        return keys

    def _card(self, equation: Equation, known: Mapping[Node, int], column: int) -> int:
        label, lines = equation_lines(equation.name, equation.text)
        inputs = tuple(known[node] if node in known else self._leaf(node) for node in equation.reads)
        read = {node.attributes[0] for node in equation.reads if node.operation == "parameter"}
        count = [count_of(sum(self.parameters[place].size for place in read), "parameter")] if read else []
        state = equation.node if column != START else self.equations.states.index(equation.name)
        shape = self._shape(state, equation.node.size)
        sizes = " ".join([shape] * self.shown.dims + ["float32"] * self.shown.dtypes)
        # Size and count on one line, where there is room for both.
        line = " · ".join(filter(None, [sizes, *count]))
        details = (*lines, *([line] if len(line) <= WIDTH else [sizes, *count]))
        tooltip = (str(equation), f"shape {shape}, float32", *(f"reads {text}" for text in count))
        place = column, equation.name
        if (values := self.observed.values.get(place)) is not None:
            when = ("before the first step", self._over_steps(), "after the last step")[column]
            tooltip += (f"{when}: {value_range(values)}",)
            details += statistics(values) if self.shown.sum_stats else ()
        gradients = self.observed.gradients.get(place)
        if gradients is not None and column == STEP:
            first, last = _norm(gradients[0]), _norm(gradients[-1])
            tooltip += (f"gradient: {first:.3g} after the first step, {last:.3g} after the last",)
        emphasis: Emphasis = "state" if column == START or (column == STEP and self._is_state(equation)) else ""
        if equation is self.equations.readout[-1]:
            emphasis = "result"
        key = self._add("operation", label, tuple(filter(None, details)), tooltip, inputs, column, emphasis)
        return self._with_gradient(key, gradients)

    def _is_state(self, equation: Equation) -> bool:
        return equation.name in _new_states(self.equations)

    def _leaf(self, node: Node) -> int:
        if node not in self.leaves:
            self.leaves[node] = self._parameter(node) if node.operation == "parameter" else self._input(node)
        return self.leaves[node]

    def _parameter(self, node: Node) -> int:
        place = node.attributes[0]
        data, name = self.parameters[place].data, self.names[place]
        sides = [str(n) for n in data.shape if n != 1] or ["1"]
        size = "×".join(sides) + (f" = {data.size:,}" if len(sides) > 1 else "")  # noqa: RUF001
        shape = f"shape {data.shape}, {data.dtype}, {count_of(data.size, 'number')}"
        key = self._add("parameter", name, (size,), (f"{name} (parameter)", shape, value_range(data)))
        return self._with_gradient(key, self.observed.leaf_gradients.get(place))

    def _input(self, node: Node) -> int:
        if node.operation == "length":
            value = f" = {self.observed.steps}" if self.observed.steps else ""
            return self._add("input", f"T{value}", (), ("T, the number of steps (input)",))
        name, sequence = self.equations.sequence, self.observed.sequence
        seen = [] if sequence is None else [f"{self._over_steps()}: {value_range(sequence)}"]
        tooltip = (f"{name}, the present row of the sequence (input)", f"shape ({node.size},)", *seen)
        key = self._add("input", name, (str(node.size),), tooltip)
        return self._with_gradient(key, self.observed.leaf_gradients.get("x"))

    def _with_gradient(self, key: int, gradients: Array | None) -> int:
        if gradients is not None:
            self.gradients[key] = _norm(gradients)
        return key

    def _over_steps(self) -> str:
        return f"over {count_of(self.observed.steps, 'step')}"

    def _shape(self, what: Node | int, size: int) -> str:
        rows, columns = self.shapes.get(what, (1, size))
        return f"{rows}×{columns}" if rows > 1 else f"({size},)"  # noqa: RUF001

    def _add(
        self,
        kind: Kind,
        label: str,
        details: tuple[str, ...],
        tooltip: tuple[str, ...],
        inputs: tuple[int, ...] = (),
        column: int = STEP,
        emphasis: Emphasis = "",
    ) -> int:
        key = len(self.nodes)
        self.nodes.append(GraphNode(key, kind, label, details, tooltip, inputs, column=column, emphasis=emphasis))
        return key


def _norm(values: Array) -> float:
    return float(np.linalg.norm(np.asarray(values, dtype=np.float64)))


def _shapes(compiled: CompiledModel) -> dict[Node | int, tuple[int, int]]:
    """Return the rows and columns of what is the right matrix of a product; a state by its number."""
    recurrence = compiled.recurrence
    shapes: dict[Node | int, tuple[int, int]] = {}
    for node in topological([*recurrence.step, recurrence.readout]):
        if node.operation == "matmul":
            _, k, n, transposed = node.attributes
            shapes[node.inputs[1]] = (n, k) if transposed else (k, n)
    for i, node in enumerate(recurrence.step):
        leaves = [n for n in shapes if isinstance(n, Node) and n.operation == "state" and n.attributes[0] == i]
        for known in [*leaves, node]:
            if known in shapes:
                shapes[i] = shapes[node] = shapes[known]
    return shapes


# Equations in lines short enough for a card ---------------------------------------------------------------------------

_JOINTS = ("+", "-", "*", "/", "@", ">", "==")


def equation_lines(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Return the label of a card and the lines under it: all in the label where it fits."""
    whole = f"{name} = {text}"
    if len(whole) <= WIDTH:
        return whole, ()
    function, inner = _call(text)
    if function:
        return f"{name} = {function}(…)", wrapped(inner)
    return f"{name} =", wrapped(text)


def _call(text: str) -> tuple[str, str]:
    """Return the function and its argument if the whole text is the call of one with one argument."""
    function, _, rest = text.partition("(")
    if not function.isidentifier() or not rest.endswith(")"):
        return "", text
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter in "([") - (letter in ")]")
        if (depth == 0 and place < len(rest) - 1) or (depth == 1 and letter == ","):
            return "", text
    return function, rest[:-1]


def wrapped(text: str) -> tuple[str, ...]:
    """Break a text in front of signs and after commas, where the fewest parentheses are open."""
    if len(text) <= WIDTH:
        return (text,)
    depth, breaks = 0, []
    words = text.split(" ")
    place = 0
    for index, word in enumerate(words):
        # Sums are torn apart before products are.
        if index and (word in _JOINTS or words[index - 1].endswith(",")):
            breaks.append((depth, word not in "+-", place))
        depth += sum(letter in "([" for letter in word) - sum(letter in ")]" for letter in word)
        place += len(word) + 1
    if not breaks:
        return (text,)
    weakest = min(breaks)[:2]
    ends = [place for *kind, place in breaks if tuple(kind) == weakest]
    lines: list[str] = []
    for a, b in zip([0, *ends], [*ends, len(text)], strict=True):
        piece = text[a:b].strip()
        # As many pieces on a line as fit; those that are too long for one are broken.
        if lines and len(lines[-1]) + 1 + len(piece) <= WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines += wrapped(piece)
    return tuple(lines)
