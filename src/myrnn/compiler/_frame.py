"""What the ways forward and back of an emitted program share."""

from __future__ import annotations

from dataclasses import replace

from myrnn.compiler._assign import Room
from myrnn.compiler._memory import Memory, Names, Place
from myrnn.compiler._places import Places
from myrnn.compiler._products import FirstStep
from myrnn.compiler._region import Region
from myrnn.compiler._scope import Scope
from myrnn.compiler._terms import Outer, outer_terms
from myrnn.compiler._weights import WeightPlaces
from myrnn.compiler._writer import Writer
from myrnn.compiler.graph import Node, topological
from myrnn.compiler.names import printer_of
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.plan import Plan, backward_targets, fits, reads_as_stored

_MAPS = frozenset(name for name, row in OPERATIONS.items() if row.kind == "map")


class Frame:
    """The frame of a program: its writer, its memory, and where everything stands."""

    def __init__(self, plan: Plan, parameter_names: tuple[str, ...], batched: bool, observed: bool) -> None:
        assert not (batched and observed)
        self.plan, self.derivative, self.batched = plan, plan.derivative, batched
        self.recurrence = plan.derivative.recurrence
        self.memory = Memory(Names())
        self.words = printer_of(plan.derivative, parameter_names, plan.shapes)
        self.writer = Writer()
        self._name_sizes()
        self.weights = WeightPlaces(plan, parameter_names, self.memory)
        self.row = "row" if batched else "t"
        self.total = "total" if batched else "steps"
        self.sequences = "sequences" if batched else ""
        self.active = "active" if batched else ""
        self.states = [self.buffer(self._state_name(i), n, "states") for i, n in enumerate(self.recurrence.state_sizes)]
        self.state_gradients = [
            self.memory.buffer(f"d_{self._state_name(i)}", n, "sequences")
            for i, n in enumerate(self.recurrence.state_sizes)
        ]
        self.logits = self.memory.buffer("logits", self.recurrence.readout.size, "sequences")
        self.logit_gradients = self.memory.buffer("d_logits", self.recurrence.readout.size, "sequences")
        self.observed = observed
        self.seen_gradients: list[Place] = []
        self.input_gradients: Place | None = None
        if observed:
            self.seen_gradients = [
                self.buffer(f"seen_{place.at}", place.size, "states") for place in self.state_gradients
            ]
            self.input_gradients = self.buffer("d_inputs", self.recurrence.dim_input, "steps")
        self.places: dict[Node, Place] = {}
        nodes = _all_nodes(plan, observed)
        self.leaves = {(n.operation, *n.attributes): n for n in nodes if n.is_leaf and not n.is_constant}
        for i, size in enumerate(self.recurrence.state_sizes):
            # What nothing reads may still be observed.
            self.leaves.setdefault(("gradient", i), self.recurrence.readout.build.leaf("gradient", i, size=size))
        self.operands = outer_terms(plan, plan.derivative.step.weights)
        self.vectors = self._product_vectors()
        self.clean = frozenset(self._clean_nodes())
        self.inputs = self._input_place()
        self.zero_at_first = frozenset(
            self.leaf("state", i) for i, node in enumerate(self.recurrence.initial) if _is_zero(node)
        )

    def leaf(self, *key: object) -> Node:
        """Return a leaf by its kind and number; one that nothing reads is made up."""
        return self.leaves.setdefault(key, self.recurrence.readout.build.leaf(str(key[0]), *key[1:], size=0))

    # Names and places ------------------------------------------------------------------------------------------------

    def _name_sizes(self) -> None:
        r = self.recurrence
        sizes = [(r.dim_input, "C"), (r.readout.size, "K")]
        sizes += [(size, "D" if i == 0 else f"D_{i + 1}") for i, size in enumerate(r.state_sizes)]
        for size, name in sizes:
            self.memory.number(size, name)

    def _state_name(self, index: int) -> str:
        origin = self.recurrence.origins.get(self.recurrence.step[index])
        return origin.name if origin is not None and origin.name else f"state_{index}"

    def buffer(self, name: str, size: int, rows: str) -> Place:
        return self.memory.buffer(name, size, rows, self.row if rows in ("steps", "states") else "")

    def after(self, state: Place) -> Place:
        """Return where the state after the present step stands."""
        return replace(state, step="after" if self.batched else "t + 1")

    def last(self, state: Place) -> Place:
        """Return where the state after the last step stands."""
        return replace(state, step=self.total)

    def _input_place(self) -> Place | None:
        """Return the rows of the sequence, where anything but a token's row of a weight reads them."""
        targets = [*self.recurrence.step, *backward_targets(self.derivative.step)]
        read = any(
            child.operation == "input" and node not in self.plan.projected
            for node in topological(targets)
            for child in node.inputs
        )
        scattered = self.plan.tokens and not any(_reads(o, "input") and not self.scatters(o) for o in self.operands)
        read |= any(node.operation == "input" for node in self.recurrence.step)
        if self.plan.tokens and not read and scattered:
            return None
        return self.buffer("inputs", self.recurrence.dim_input, "steps")

    def _product_vectors(self) -> set[Node]:
        """Return what stands on the left of a product in the step, or is read whole by another operation."""
        found: set[Node] = set()
        targets = [*self.recurrence.step, *backward_targets(self.derivative.step)]
        for node in topological(targets):
            if node.inputs and node.operation not in _MAPS and node not in self.plan.projected:
                found.update(node.inputs)
        return found

    def _clean_nodes(self) -> set[Node]:
        """Return the nodes whose padding a product or a sum reads."""
        clean = {*self.derivative.step.states, *self.derivative.readout.states}
        clean |= {operand.right for operand in self.operands}
        clean |= {
            operand.right
            for pull in (self.derivative.readout, self.derivative.prelude)
            for operand in outer_terms(self.plan, pull.weights)
        }
        parts = (self.recurrence.step, [self.recurrence.readout], backward_targets(self.derivative.step))
        for node in topological([n for part in (*parts, backward_targets(self.derivative.readout)) for n in part]):
            weight = self.plan.weights.get(node.inputs[1]) if node.operation == "matmul" else None
            if weight is not None and fits(node, weight) and not reads_as_stored(node, weight):
                clean.add(node.inputs[0])
        for i, node in enumerate(self.recurrence.step):
            if any(n.operation == "state" and n.attributes[0] == i for n in clean):
                clean |= {node, self.recurrence.initial[i]}
        return clean

    def region(self, rows: str, room: str = "one", prepare: tuple[str, ...] = ()) -> Region:
        """Return a region outside of the steps."""
        return Region(self._scope(rows, prepare), Room(room), FirstStep())

    def step_region(self, lasting: frozenset[Node] = frozenset(), unread: frozenset[Node] = frozenset()) -> Region:
        """Return a region that runs at every step.

        Parameters
        ----------
        lasting : frozenset of Node
            Nodes of which every step's value is kept.
        unread : frozenset of Node
            Nodes that nothing reads at step 0.
        """
        prepare: tuple[str, ...] = ()
        if self.batched:
            prepare = ("after = start[t + 1] + r if r < going else total + r",)
            if self.plan.tokens:
                prepare += ("x = tokens[row + r]",)
        room = Room("sequences", lasting, self.row)
        return Region(self._scope(self.active, prepare), room, FirstStep(self.zero_at_first, unread))

    def _scope(self, rows: str, prepare: tuple[str, ...]) -> Scope:
        return Scope(self.writer, self.words, self._places_of(rows), prepare)

    def _places_of(self, rows: str) -> Places:
        return Places(self.memory, self.weights, self.places, self.clean, rows)

    def derived_leaf(self, index: int, node: Node) -> Node | None:
        return self.leaves.get(("derived", index))

    def place_of(self, node: Node) -> Place:
        return self._places_of("").of(node)

    def scatters(self, operand: Outer) -> bool:
        """Whether the term is a token's row of the gradient."""
        return self.plan.tokens and operand.left.operation == "input"

    def operand_nodes(self) -> set[Node]:
        return {n for operand in self.operands for n in (operand.left, operand.right)}

    def begin_step(self) -> tuple[str, ...]:
        """Return the lines that define what a step may read."""
        if self.batched:
            going = "going = start[t + 2] - start[t + 1]"
            return "row = start[t]", "active = start[t + 1] - row", going
        if self.plan.tokens:
            return (f"x = tokens[{'begin + steps - 1 - t' if self.recurrence.reverse else 'begin + t'}]",)
        return ()

    def product_name(self, node: Node) -> str:
        return f"x_{self.weights.matrix(node.inputs[1]).at}"


def _all_nodes(plan: Plan, observed: bool) -> list[Node]:
    derivative = plan.derivative
    recurrence = derivative.recurrence
    targets = [*recurrence.initial, *recurrence.step, recurrence.readout, *derivative.derived]
    for pullback in (derivative.readout, derivative.step, derivative.prelude):
        targets += [*pullback.states, *(term for terms in pullback.weights.values() for term in terms)]
    if observed:
        # It is asked for, whether a weight needs it or not.
        targets.append(derivative.step.input)
    return topological(targets)


def _is_zero(node: Node) -> bool:
    return node.is_constant and not node.numbers.any()


def _reads(operand: Outer, operation: str) -> bool:
    return operation in (operand.left.operation, operand.right.operation)
