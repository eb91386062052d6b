"""Draw a recurrence as one step whose states loop back: a card for each equation, with the parameters that it reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from myrnn._checks import count_of
from myrnn.compiler import CompiledModel
from myrnn.compiler.equations import Equation, Equations
from myrnn.compiler.graph import Node, evaluate
from myrnn.compiler.leaves import Drawn, Kept, Length, LoopState, Parameter, StepNumber, StepTable
from myrnn.compiler.loops import Recurrence, run_in_numpy
from myrnn.graphs.read import Drawing, Emphasis, GraphNode, NodeKind, ShownLines, statistics, value_range
from myrnn.models.model import network_of, num_parameters, parameter_names

Array = NDArray[np.float32]
Place = tuple[int, str]
"""A column and the name of an equation. Each loop has two columns, before it and in it; the last is the readout's."""

WIDTH = 30  # of a line on a card, in letters


# The numbers of one sequence ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Observed:
    """The values and gradients of one sequence; empty if none was given."""

    steps: int = 0  # T
    sequence: Array | None = None  # float32 (T, C)
    # The position of an equation -> its values, and, if the true class was given, their gradient, float32 (1 or T,
    # size).
    values: Mapping[Place, Array] = field(default_factory=dict)
    gradients: Mapping[Place, Array] = field(default_factory=dict)
    # ``"x"`` or the index of a parameter -> its gradient.
    leaf_gradients: Mapping[int | str, Array] = field(default_factory=dict)


def observe(compiled: CompiledModel, equations: Equations, x: Any, y: Any) -> Observed:
    """Run one sequence (T, C) through the recurrence, and differentiate its loss if `y` is the true class."""
    compiled(x)  # refuses invalid sequences, and those on which the model behaves differently
    sequence = np.asarray(getattr(x, "data", x), dtype=np.float32)
    values = _values(compiled, equations, sequence)
    if y is None:
        return Observed(len(sequence), sequence, values)
    classes = np.ravel(getattr(y, "data", y))
    given = (x, np.maximum(classes, 0), classes >= 0) if compiled.per_step else (x, y)
    observation, (_, of_parameters) = compiled.observe(*given), compiled.loss_and_gradients(*given)
    by_state = iter(observation.state_gradients)
    gradients: dict[Place, Array] = {}
    for i, loop in enumerate(equations.loops):
        for start, name, found in zip(loop.initial, loop.after, by_state, strict=False):
            gradients[2 * i, start.name], gradients[2 * i + 1, name] = found[:1], found[1:]
    gradients[result_place(compiled.recurrence, equations)] = _of_logits(np.atleast_2d(observation.logits), classes)
    leaves: dict[int | str, Array] = {"x": observation.input_gradients}
    leaves |= dict(enumerate(of_parameters))
    return Observed(len(sequence), sequence, values, gradients, leaves)


def _of_logits(logits: Array, classes: NDArray[np.int64]) -> Array:
    """Return the gradient of the mean softmax cross-entropy of the rows with a class, not -1."""
    is_right = np.arange(logits.shape[1]) == classes[:, np.newaxis]
    counts = classes >= 0
    gradients: Array = scipy.special.softmax(logits, axis=1) - is_right
    return gradients * (counts / max(1, int(counts.sum()))).astype(np.float32)[:, np.newaxis]


def result_place(recurrence: Recurrence, equations: Equations) -> Place:
    """Return the place of the logits' equation: logits of every step may be computed in a loop."""
    if equations.readout:
        return 2 * len(equations.loops), equations.readout[-1].name
    assert isinstance(recurrence.readout.leaf, Kept)
    node = recurrence.kept[recurrence.readout.leaf.number]
    return next(
        (2 * i + 1, equation.name)
        for i, loop in enumerate(equations.loops)
        for equation in loop.step
        if equation.node is node
    )


def _values(compiled: CompiledModel, equations: Equations, sequence: Array) -> dict[Place, Array]:
    """Compute the value of every equation with NumPy, (1 or T, size); for a loop, in its own order."""
    parts = [part for loop in equations.loops for part in (loop.initial, loop.step)] + [equations.readout]
    found: dict[Place, list[Array]] = defaultdict(list)

    def watch(column: int, known: Mapping[Node, Array]) -> None:
        values = evaluate([equation.node for equation in parts[column]], known)
        for equation, value in zip(parts[column], values, strict=True):
            found[column, equation.name].append(value)

    run_in_numpy(compiled.recurrence, [p.data.reshape(-1) for p in compiled.model.parameters], sequence, watch)
    return {place: np.stack(values) for place, values in found.items()}


def _kept_leaves(recurrence: Recurrence, loop: int) -> list[Node]:
    """Return the leaves that represent what a loop keeps of every step."""
    return [recurrence.build.leaf(Kept(k), node.size) for k, node in recurrence.loops[loop].kept.items()]


# The drawing ----------------------------------------------------------------------------------------------------------


def draw_recurrence(
    compiled: CompiledModel, equations: Equations, observed: Observed | None, shown: ShownLines
) -> tuple[Drawing, dict[int, float]]:
    """Return the drawing of a recurrence, and the norm of the gradient by the key of a node."""
    return _Rolled(compiled, equations, observed or Observed(), shown).finish()


class _Rolled:
    """The state of one drawing: nodes are made in the order in which they are computed."""

    def __init__(self, compiled: CompiledModel, equations: Equations, observed: Observed, shown: ShownLines) -> None:
        self.recurrence, self.model = compiled.recurrence, compiled.model
        self.equations, self.observed, self.shown = equations, observed, shown
        self.result = result_place(self.recurrence, equations)
        self.parameters = tuple(self.model.parameters)
        # The equations write a parameter with the name of a state as self.name.
        names = parameter_names(self.model)
        self.names = tuple(f"self.{name}" if name in equations.states else name for name in names)
        self.nodes: list[GraphNode] = []
        self.leaves: dict[Node, int] = {}
        self.gradients: dict[int, float] = {}

    def finish(self) -> tuple[Drawing, dict[int, float]]:
        # Inputs of later columns: last states, and what loops keep of every step.
        handed: dict[Node, int] = {}
        columns, rounds = list[str](), list[tuple[int, int]]()
        for i, (loop, part) in enumerate(zip(self.recurrence.loops, self.equations.loops, strict=True)):
            states, kept = self.recurrence.state_leaves[i], _kept_leaves(self.recurrence, i)
            starts = [self._card(equation, handed, 2 * i, begins=True) for equation in part.initial]
            entries = [self._entry(state, start, 2 * i + 1) for state, start in zip(states, starts, strict=True)]
            known = handed | dict(zip(states, entries, strict=True))
            ends = self._cards(part.step, known, 2 * i + 1)
            after = [ends[name] for name in part.after]
            handed |= dict(zip(states, after, strict=True))
            handed |= {leaf: known[node] for leaf, node in zip(kept, loop.kept.values(), strict=True)}
            rounds += zip(after, entries, strict=True)
            columns += ["before" if i == 0 else "then", "every step" + ", the last row first" * part.backward]
        self._cards(self.equations.readout, handed, len(columns))
        columns += ["readout"] if self.equations.readout else []
        names, sizes = self.equations.states, self.recurrence.state_sizes
        title = f"{type(network_of(self.model)).__name__}: state{'s' * (len(names) != 1)} "
        title += ", ".join(f"{name} ({size})" for name, size in zip(names, sizes, strict=True))
        title += f", {count_of(num_parameters(self.model), 'parameter')}"
        description = f"{title}. {self.equations}"
        drawing = Drawing(title, description, tuple(self.nodes), tuple(columns), tuple(rounds), rolled=True)
        drawing.check()
        return drawing, self.gradients

    def _entry(self, state: Node, start: int, column: int) -> int:
        """Make the card through which a state enters the step: from its initial value, then from the step before."""
        assert isinstance(state.leaf, LoopState)
        number = state.leaf.number
        name, shape = self.equations.states[number], _shape_text(self.equations.shapes[number])
        tooltip = (f"{name} of the step before", f"shape {shape}, float32")
        details = ("of the step before", *([shape] * self.shown.dims))
        return self._add("operation", name, details, tooltip, inputs=(start,), column=column, emphasis="state")

    def _cards(self, equations: Sequence[Equation], known: dict[Node, int], column: int) -> dict[str, int]:
        """Make the cards of a part, and add their results to `known`."""
        keys = {}
        for equation in equations:
            keys[equation.name] = self._card(equation, known, column)
            known.setdefault(equation.node, keys[equation.name])
        return keys

    def _card(self, equation: Equation, known: Mapping[Node, int], column: int, *, begins: bool = False) -> int:
        """Make the card of an equation, or of the initial value of a state."""
        label, lines = equation_lines(equation.name, equation.text)
        inputs = tuple(known[node] if node in known else self._leaf(node) for node in equation.reads)
        read = {leaf.number for node in equation.reads if isinstance(leaf := node.leaf, Parameter)}
        count = [count_of(sum(self.parameters[place].size for place in read), "parameter")] if read else []
        shape = _shape_text(equation.shape)
        sizes = " ".join([shape] * self.shown.dims + ["float32"] * self.shown.dtypes)
        # Size and count on one line if they fit.
        line = " · ".join(filter(None, [sizes, *count]))
        details = (*lines, *([line] if len(line) <= WIDTH else [sizes, *count]))
        tooltip = (str(equation), f"shape {shape}, float32", *(f"reads {text}" for text in count))
        place, is_step = (column, equation.name), column % 2 == 1
        if (values := self.observed.values.get(place)) is not None:
            outside = "before the first step" if begins else "after the last step"
            when = self._over_steps() if is_step else outside
            tooltip += (f"{when}: {value_range(values)}",)
            details += statistics(values) if self.shown.sum_stats else ()
        gradients = self.observed.gradients.get(place)
        if gradients is not None and is_step:
            first, last = _norm(gradients[0]), _norm(gradients[-1])
            tooltip += (f"gradient: {first:.3g} after the first step, {last:.3g} after the last",)
        is_state = begins or (is_step and equation.name in self.equations.loops[column // 2].after)
        emphasis: Emphasis = "state" if is_state else ""
        if place == self.result:
            emphasis = "result"
        details = tuple(filter(None, details))
        return self._add(
            "operation", label, details, tooltip, gradients, inputs=inputs, column=column, emphasis=emphasis
        )

    def _leaf(self, node: Node) -> int:
        if node not in self.leaves:
            leaf = node.leaf
            self.leaves[node] = self._parameter(leaf.number) if isinstance(leaf, Parameter) else self._input(node)
        return self.leaves[node]

    def _parameter(self, place: int) -> int:
        data, name = self.parameters[place].data, self.names[place]
        sides = [str(n) for n in data.shape if n != 1] or ["1"]
        size = "×".join(sides) + (f" = {data.size:,}" if len(sides) > 1 else "")  # noqa: RUF001
        shape = f"shape {data.shape}, {data.dtype}, {count_of(data.size, 'number')}"
        tooltip = (f"{name} (parameter)", shape, value_range(data))
        return self._add("parameter", name, (size,), tooltip, self.observed.leaf_gradients.get(place))

    def _input(self, node: Node) -> int:
        match node.leaf:
            case StepTable() as table:
                what = "numbers for every step, computed from the time (input)"
                return self._add("input", str(table), (str(node.size),), (what,))
            case Drawn() as drawn:
                what = f"{drawn.draw.kind}, drawn at random in training (input)"
                return self._add("input", str(drawn), (str(node.size),), (what,))
            case Length():
                value = f" = {self.observed.steps}" if self.observed.steps else ""
                return self._add("input", f"T{value}", (), ("T, the number of steps (input)",))
            case StepNumber():
                return self._add("input", "t", (), ("t, the number of the step, from 0 on (input)",))
        name, sequence = self.equations.sequence, self.observed.sequence
        seen = [] if sequence is None else [f"{self._over_steps()}: {value_range(sequence)}"]
        tooltip = (f"{name}, the current row of the sequence (input)", f"shape ({node.size},)", *seen)
        return self._add("input", name, (str(node.size),), tooltip, self.observed.leaf_gradients.get("x"))

    def _over_steps(self) -> str:
        return f"over {count_of(self.observed.steps, 'step')}"

    def _add(
        self,
        kind: NodeKind,
        label: str,
        details: tuple[str, ...],
        tooltip: tuple[str, ...],
        gradients: Array | None = None,
        **others: Any,
    ) -> int:
        key = len(self.nodes)
        self.nodes.append(GraphNode(key, kind, label, details, tooltip, **others))
        if gradients is not None:
            self.gradients[key] = _norm(gradients)
        return key


def _norm(values: Array) -> float:
    return float(np.linalg.norm(np.asarray(values, dtype=np.float64)))


def _shape_text(shape: Sequence[int]) -> str:
    """Return the shape of a value, such as ``4×4`` or ``(4,)``."""  # noqa: RUF002
    sides = [n for n in shape if n > 1]
    return "×".join(map(str, sides)) if len(sides) > 1 else f"({prod(sides)},)"  # noqa: RUF001


# Equations in lines short enough for a card ---------------------------------------------------------------------------

_JOINTS = ("+", "-", "*", "/", "@", ">", "==")


def equation_lines(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Return the label of a card and the lines below it: all in the label if it fits."""
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
    """Break a text before signs and after commas, where the fewest parentheses are open."""
    if len(text) <= WIDTH:
        return (text,)
    depth, breaks = 0, []
    words = text.split(" ")
    place = 0
    for index, word in enumerate(words):
        # Split sums before products.
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
        # Put as many pieces on a line as fit; break pieces that are too long.
        if lines and len(lines[-1]) + 1 + len(piece) <= WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines += wrapped(piece)
    return tuple(lines)
