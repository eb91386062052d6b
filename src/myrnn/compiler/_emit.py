"""Stage 6: write the plan as Python for Numba.

Two programs come out of one plan: one runs a single sequence, the other several of different lengths side by side.
Both go forward to the logits and the loss, and back to the gradients of all weights.

Side by side means: at step t the sequences that are longer than t, longest first, are rows of one matrix. Row
``start[t] + r`` of a buffer belongs to sequence r at step t; nothing is padded. A state's rows are those before each
step, and after them one for each sequence: its last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from myrnn.compiler._graph import Node, topological
from myrnn.compiler._memory import Memory, Names, Place
from myrnn.compiler._names import Words
from myrnn.compiler._operations import OPERATIONS
from myrnn.compiler._plan import LANES, Plan, backward_targets, fits, reads_as_stored
from myrnn.compiler._region import Region, Sink
from myrnn.compiler._weights import WeightPlaces
from myrnn.compiler._writer import Writer, names_in, wrapped


@dataclass(frozen=True)
class Program:
    """An emitted program.

    Attributes
    ----------
    body : str
        The lines of the function.
    memory : Memory
        What its sizes and offsets are.
    weights : WeightPlaces
        Where the parameters stand.
    logits : str
        The name of the offset at which it leaves the logits.
    states : tuple of Place
        Where it leaves the states, a row before every step and the last ones.
    state_gradients : tuple of Place
        Where an observed program leaves the gradients with respect to them, row by row.
    input_gradients : Place or None
        Where it leaves those with respect to the rows of the sequence.
    """

    body: str
    memory: Memory
    weights: WeightPlaces
    logits: str
    states: tuple[Place, ...] = ()
    state_gradients: tuple[Place, ...] = ()
    input_gradients: Place | None = None


def emit(plan: Plan, parameter_names: tuple[str, ...], batched: bool, observed: bool = False) -> Program:
    """Write one of the two programs; an observed one keeps the gradients of all states and inputs."""
    return _Emitter(plan, parameter_names, batched, observed).program()


class _Emitter:
    def __init__(self, plan: Plan, parameter_names: tuple[str, ...], batched: bool, observed: bool) -> None:
        assert not (batched and observed)
        self.plan, self.derivative, self.batched = plan, plan.derivative, batched
        self.recurrence = plan.derivative.recurrence
        self.memory = Memory(Names())
        self.words = Words(self.recurrence, parameter_names, plan.shapes)
        self.writer = Writer()
        self._name_sizes()
        self.weights = WeightPlaces(plan, parameter_names, self.memory)
        self.row = "row" if batched else "t"
        self.total = "total" if batched else "steps"
        self.sequences = "sequences" if batched else ""
        self.active = "active" if batched else ""
        self.states = [
            self._buffer(self._state_name(i), n, "states") for i, n in enumerate(self.recurrence.state_sizes)
        ]
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
                self._buffer(f"seen_{place.at}", place.size, "states") for place in self.state_gradients
            ]
            self.input_gradients = self._buffer("d_inputs", self.recurrence.dim_input, "steps")
        self.places: dict[Node, Place] = {}
        self._leaves = {(n.operation, *n.attributes): n for n in _all_nodes(plan) if n.is_leaf and not n.is_constant}
        self.operands = _outer(plan, plan.derivative.step.weights)
        self.vectors = self._product_vectors()
        self.clean = frozenset(self._clean_nodes())
        self.inputs = self._input_place()
        self.zero_at_first = frozenset(
            self._leaf("state", i) for i, node in enumerate(self.recurrence.initial) if _is_zero(node)
        )

    def program(self) -> Program:
        # The same node, such as the square of a state, is another number before a step and after the last one: what
        # one part of the program keeps is never read in the place of the other's.
        with self.writer.part("What depends on the parameters alone, and the states before the first step."):
            self._prelude()
        fixed = dict(self.places)
        with self.writer.part("What the input alone gives, for all steps at once."):
            self._project()
        with self.writer.part("Forward, step by step."):
            self._forward()
        of_steps, self.places = self.places, dict(fixed)
        with self.writer.part("The readout, the loss, and the gradient of the logits."):
            self._readout()
        forward = self.writer
        self.writer = Writer()
        self.weights.in_backward = True
        with self.writer.part("Back through the readout."):
            self._readout_backward()
        self.places = of_steps
        with self.writer.part("Back through time, the last step first."):
            self._step_backward()
        self.places = fixed
        with self.writer.part("Back to what depends on the parameters alone."):
            self._prelude_backward()
        lines = _copied("Weights as the way forward reads them.", self.weights.copies) + forward.lines
        lines += ["    if not learn:", "        return loss, hits"]
        lines += _copied("Weights as the way back reads them.", self.weights.backward_copies)
        lines += [*self.writer.lines, "    return loss, hits"]
        lines = [f"    {text}" for text in self.memory.header(names_in(lines))] + lines
        return Program(
            "\n".join(lines) + "\n", self.memory, self.weights, self.logits.at,
            tuple(self.states), tuple(self.seen_gradients), self.input_gradients,
        )  # fmt: skip

    def _leaf(self, *key: object) -> Node:
        """Return a leaf by its kind and number; one that nothing reads is made up."""
        return self._leaves.setdefault(key, Node(str(key[0]), (), key[1:], 0))

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

    def _buffer(self, name: str, size: int, rows: str) -> Place:
        return self.memory.buffer(name, size, rows, self.row if rows in ("steps", "states") else "")

    def _after(self, state: Place) -> Place:
        """Return where the state after the present step stands."""
        return replace(state, step="after" if self.batched else "t + 1")

    def _last(self, state: Place) -> Place:
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
        scattered = self.plan.tokens and not any(_reads(o, "input") and not self._scatters(o) for o in self.operands)
        read |= any(node.operation == "input" for node in self.recurrence.step)
        if self.plan.tokens and not read and scattered:
            return None
        return self._buffer("inputs", self.recurrence.dim_input, "steps")

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
            for operand in _outer(self.plan, pull.weights)
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

    def _region(
        self,
        rows: str,
        lasting: frozenset[Node] = frozenset(),
        step: bool = False,
        room: str = "one",
        later_only: frozenset[Node] = frozenset(),
    ) -> Region:
        prepare: tuple[str, ...] = ()
        if step and self.batched:
            prepare = ("after = start[t + 1] + r if r < going else total + r",)
            if self.plan.tokens:
                prepare += ("x = tokens[row + r]",)
        return Region(
            self.writer, self.memory, self.weights, self.words, self.places, rows, lasting, self.clean,
            prepare, room, self.row, self.zero_at_first if step else frozenset(), later_only,
        )  # fmt: skip

    # Before the first step -------------------------------------------------------------------------------------------

    def _prelude(self) -> None:
        """Compute what depends on parameters only: initial states and derived weights."""
        region = self._region("")
        sinks, packs = [], []
        for i, node in enumerate(self.derivative.derived):
            leaf = self._derived_leaf(i, node)
            if leaf is None:
                continue
            matrix = self.weights.matrix(leaf)
            if self.weights.is_flat(leaf):
                sinks.append(Sink(node, Place("w", matrix.at, node.size)))
            else:
                weight, flat = self.weights.weight(leaf), self.memory.buffer(f"{matrix.at}_flat", node.size)
                sinks.append(Sink(node, flat))
                shape = f"{self.memory.number(weight.rows)}, {self.memory.number(weight.columns)}"
                packs.append(f"pack(w, {matrix.at}, {matrix.stride}, w, {flat.at}, {shape}, False)")
        region.compute(sinks, keep=self.plan.saved_prelude)
        for text in packs:
            self.writer.line(text)
        prepare = ("after = r if r < start[1] else total + r",) if self.batched else ()
        start = Region(
            self.writer, self.memory, self.weights, self.words, self.places, self.sequences,
            frozenset(), self.clean, prepare, row=self.row,
        )  # fmt: skip
        if self.batched:
            region.compute([], keep=[n for n in self.recurrence.initial if n.inputs])
        first = "after" if self.batched else ""
        start.compute(
            [Sink(n, replace(s, step=first)) for n, s in zip(self.recurrence.initial, self.states, strict=True)]
        )

    def _derived_leaf(self, index: int, node: Node) -> Node | None:
        return self._leaves.get(("derived", index))

    def _project(self) -> None:
        """Multiply all rows of the sequence by the weights that they meet first; a token picks a row of the weight."""
        if self.inputs is not None:
            self.places[self._leaf("input")] = self.inputs
            self._fill_inputs(self.inputs)
        for node in sorted(self.plan.projected, key=topological(self.recurrence.step).index):
            matrix = self.weights.matrix(node.inputs[1])
            if self.plan.tokens:
                self.places[node] = Place(matrix.array, matrix.at, node.size, extra=f"x * {matrix.stride}")
                continue
            assert self.inputs is not None
            place = self._buffer(self._product_name(node), node.size, "steps")
            left = f"{self.inputs.array}, {self.inputs.at}, {self.inputs.stride}, 1"
            with self.writer.section(self.words.expression(node)):
                self.writer.line(
                    f"multiply(w, {place.at}, {place.stride}, {left}, {matrix.array}, {matrix.at}, {matrix.stride}, "
                    f"{self.total}, {self.memory.number(self.recurrence.dim_input)}, {place.stride}, False)"
                )
            self.places[node] = place

    def _product_name(self, node: Node) -> str:
        return f"x_{self.weights.matrix(node.inputs[1]).at}"

    def _fill_inputs(self, inputs: Place) -> None:
        where = f"w, {inputs.at}, {inputs.stride}"
        width, backwards = self.memory.number(self.recurrence.dim_input), self.recurrence.reverse
        if self.batched and self.plan.tokens:
            call = f"one_hot_rows({where}, tokens, 0, total, {width}, False)"
        elif self.batched:
            call = f"line_up_rows({where}, features, offsets, members, start, steps, {width}, {backwards})"
        elif self.plan.tokens:
            call = f"one_hot_rows({where}, tokens, begin, steps, {width}, {backwards})"
        else:
            call = f"copy_rows({where}, features, begin, steps, {width}, {backwards})"
        self.writer.line(call)

    # The steps -------------------------------------------------------------------------------------------------------

    def _begin_step(self) -> tuple[str, ...]:
        """Return the lines that define what a step may read."""
        if self.batched:
            going = "going = start[t + 2] - start[t + 1]"
            return "row = start[t]", "active = start[t + 1] - row", going
        if self.plan.tokens:
            return (f"x = tokens[{'begin + steps - 1 - t' if self.recurrence.reverse else 'begin + t'}]",)
        return ()

    def _forward(self) -> None:
        step = self.recurrence.step
        for i, place in enumerate(self.states):
            self.places[self._leaf("state", i)] = place
        lasting = {n for n in self.plan.saved_step if n not in step}
        lasting |= {n for n in step if n.inputs and (self.batched and n in self.vectors | self._operand_nodes())}
        lasting |= {n for n in self._operand_nodes() if n in topological(step) and n.inputs and n not in step}
        with self.writer.block("for t in range(steps):"), self.writer.prepared(self._begin_step()):
            self._copy_token_rows()
            known = set(self.places) | lasting
            region = self._region(self.active, frozenset(lasting), step=True, room="sequences")
            sinks = [Sink(n, self._after(s)) for n, s in zip(step, self.states, strict=True)]
            region.compute(sinks, keep=[n for n in lasting if n not in self.places])
        # What else has a place holds the last step's numbers only.
        self.places = {node: place for node, place in self.places.items() if node in known}
        for i, node in enumerate(step):
            self.places.setdefault(node, self._after(self.states[i]))

    def _operand_nodes(self) -> set[Node]:
        return {n for operand in self.operands for n in (operand.left, operand.right)}

    def _copy_token_rows(self) -> None:
        """Copy a token's row of a weight where whole rows of many steps or sequences are read."""
        needed = self._operand_nodes() | self.vectors
        rows = [n for n in self.plan.projected if self.plan.tokens and n in needed]
        if not rows:
            return
        copies = {n: self._buffer(self._product_name(n), n.size, "steps") for n in rows}
        self._region(self.active, step=True).compute([Sink(n, place) for n, place in copies.items()])
        self.places.update(copies)

    def _readout(self) -> None:
        for i, place in enumerate(self.states):
            self.places[self._leaf("state", i)] = self._last(place)
        self._place_length()
        region = self._region(self.sequences, room="sequences")
        region.compute([Sink(self.recurrence.readout, self.logits)], keep=self.plan.saved_readout)
        K = self.memory.number(self.recurrence.readout.size)
        if not self.batched:
            self.writer.line(
                f"loss, hits = cross_entropy(w, {self.logits.at}, {K}, label, w, {self.logit_gradients.at}, 1.0)"
            )
            self.writer.line("hits = int(hits == label)")
            return
        self.writer.line("loss, hits = 0.0, 0")
        with self.writer.block("for r in range(sequences):"):
            self.writer.line("label = labels[members[r]]")
            logits, gradients = self.logits.base("r"), self.logit_gradients.base("r")
            self.writer.line(f"one_loss, best = cross_entropy(w, {logits}, {K}, label, w, {gradients}, share)")
            self.writer.line("loss += one_loss")
            self.writer.line("hits += int(best == label)")

    def _place_length(self) -> None:
        leaf = self._leaves.get(("length",))
        if leaf is None:
            return
        place = self.memory.buffer("length", 1, "sequences")
        self.places[leaf] = place
        if not self.batched:
            self.writer.line(f"w[{place.at}] = steps")
            return
        with self.writer.block("for r in range(sequences):"):
            self.writer.line(f"w[{place.base('r')}] = offsets[members[r] + 1] - offsets[members[r]]")

    # The way back ----------------------------------------------------------------------------------------------------

    def _readout_backward(self) -> None:
        pullback = self.derivative.readout
        self.writer.line(f"fill(g, 0, {self.memory.fixed(self.weights.size, 'parameters')}, 0.0)")
        for i, node in enumerate(self.derivative.derived):
            leaf = self._derived_leaf(i, node)
            if leaf is not None:
                weight, at = self.weights.weight(leaf), self.weights.gradient(leaf).at
                size = self.memory.number(weight.rows * (-(-weight.columns // LANES) * LANES))
                self.writer.line(f"fill(w, {at}, {at} + {size}, 0.0)")
        self.places[self._leaf("gradient", "logits")] = self.logit_gradients
        operands = _outer(self.plan, pullback.weights)
        region = self._region(self.sequences, room="sequences")
        sinks = [Sink(n, place) for n, place in zip(pullback.states, self.state_gradients, strict=True)]
        keep = [n for o in operands for n in (o.left, o.right) if n.inputs and n not in self.places]
        self._compute_with_terms(region, sinks, _plain_terms(self.plan, pullback.weights), keep)
        for operand in operands:
            self._sum_outer(operand, self.sequences or "1", *(self._place_of(n) for n in (operand.left, operand.right)))

    def _step_backward(self) -> None:
        pullback = self.derivative.step
        for i, (state, gradient) in enumerate(zip(self.states, self.state_gradients, strict=True)):
            self.places[self._leaf("state", i)] = state
            self.places[self._leaf("gradient", i)] = gradient
        scattered = [o for o in self.operands if self._scatters(o)]
        deferred = [o for o in self.operands if not self._scatters(o)]
        lasting = {n for o in deferred for n in (o.left, o.right) if n.inputs and n not in self.places}
        with self.writer.block("for t in range(steps - 1, -1, -1):"), self.writer.prepared(self._begin_step()):
            copies = self._copied_gradients(deferred)
            unread = frozenset() if self.observed else frozenset(self._unread_gradients())
            region = self._region(self.active, frozenset(lasting), step=True, room="sequences", later_only=unread)
            sinks = [Sink(n, place) for n, place in zip(pullback.states, self.state_gradients, strict=True)]
            sinks += [self._scatter(o) for o in scattered]
            sinks += [Sink(n, place) for n, place in copies.items()]
            sinks += self._observations()
            self._compute_with_terms(region, sinks, _plain_terms(self.plan, pullback.weights), list(lasting))
        self.places.update(copies)
        if self.observed:
            initial = [replace(place, step="") for place in self.seen_gradients]
            leaves = [self._leaf("gradient", i) for i in range(len(self.states))]
            self._region("").compute([Sink(n, place) for n, place in zip(leaves, initial, strict=True)])
        for operand in deferred:
            self._sum_over_steps(operand)

    def _observations(self) -> list[Sink]:
        """Return where an observed program keeps the gradients of the states after a step, and of its input."""
        if self.input_gradients is None:
            return []
        after = [self._after(place) for place in self.seen_gradients]
        sinks = [Sink(self._leaf("gradient", i), place) for i, place in enumerate(after)]
        return [*sinks, Sink(self.derivative.step.input, self.input_gradients)]

    def _unread_gradients(self) -> list[Node]:
        """Return the gradients of initial states that no parameter is behind: at step 0 they are not needed."""
        terms = [term for several in self.derivative.prelude.weights.values() for term in several]
        read = set(topological(terms))
        states = enumerate(self.derivative.step.states)
        return [node for i, node in states if self._leaf("gradient", i) not in read]

    def _copied_gradients(self, deferred: list[Outer]) -> dict[Node, Place]:
        """Return a place of its own for each operand of a later sum that does not last by itself."""
        nodes = {n for o in deferred for n in (o.left, o.right) if n.operation == "gradient"}
        return {n: self._buffer("d_kept", n.size, "steps") for n in sorted(nodes, key=str)}

    def _scatters(self, operand: Outer) -> bool:
        """Whether the term is a token's row of the gradient."""
        return self.plan.tokens and operand.left.operation == "input"

    def _scatter(self, operand: Outer) -> Sink:
        gradient = self.weights.gradient(operand.leaf)
        place = Place(gradient.array, gradient.at, operand.right.size, extra=f"x * {gradient.stride}")
        return Sink(operand.right, place, add=True)

    def _compute_with_terms(
        self, region: Region, sinks: list[Sink], terms: list[tuple[Node, Node]], keep: list[Node]
    ) -> None:
        """Compute a way back: the sinks, and the terms of weights that no product sums up."""
        flat = [(leaf, term) for leaf, term in terms if self.weights.is_flat(leaf)]
        wide = [(leaf, term) for leaf, term in terms if not self.weights.is_flat(leaf)]
        for leaf, term in flat:
            gradient = self.weights.gradient(leaf)
            sinks.append(Sink(term, Place(gradient.array, gradient.at, term.size), add=True))
        region.compute(sinks, keep=[*keep, *(term for _, term in wide)])
        for leaf, term in wide:
            gradient, weight = self.weights.gradient(leaf), self.weights.weight(leaf)
            shape = f"{self.memory.number(weight.rows)}, {self.memory.number(weight.columns)}, {weight.flipped}"
            region.each_row(term, f"add_packed({gradient.array}, {gradient.at}, {gradient.stride}, {{}}, {shape})")

    def _sum_over_steps(self, operand: Outer) -> None:
        left, right = (self._place_of(n).first() for n in (operand.left, operand.right))
        count = self.total
        if {operand.left, operand.right} & self.zero_at_first and not (left.extra or right.extra):
            # The state before the first step is zero, and so are its products.
            first = "start[1]" if self.batched else "1"
            left, right = (replace(p, step="2" if p.step else first) for p in (left, right))
            count = f"{self.total} - {first}"
        self._sum_outer(operand, count, left, right)

    def _sum_outer(self, operand: Outer, rows: str, left: Place, right: Place) -> None:
        """Add the products of two vectors in `rows` rows to a weight's gradient."""
        gradient = self.weights.gradient(operand.leaf)
        names = [self.words.operand(n) for n in (operand.left, operand.right)]
        flipped = self.weights.weight(operand.leaf).flipped
        product = f"({names[1]}.T @ {names[0]}).T" if flipped else f"{names[0]}.T @ {names[1]}"
        with self.writer.section(f"d_{gradient.at} += {product}"):
            self.writer.line(
                f"multiply({gradient.array}, {gradient.at}, {gradient.stride}, "
                f"{left.array}, {left.base()}, 1, {left.stride or '0'}, "
                f"{right.array}, {right.base()}, {right.stride or '0'}, "
                f"{self.memory.number(operand.left.size)}, {rows}, {self.memory.padded(operand.right.size)}, True)"
            )

    def _place_of(self, node: Node) -> Place:
        return self._region("").place(node)

    def _prelude_backward(self) -> None:
        pullback = self.derivative.prelude
        if not pullback.weights:
            return
        for i, gradient in enumerate(self.state_gradients):
            leaf = self._leaf("gradient", i)
            if self.batched:
                summed = self.memory.buffer(f"{gradient.at}_sum", gradient.size)
                counts = f"{gradient.stride}, sequences, {self.memory.padded(gradient.size)}"
                self.writer.line(f"sum_rows(w, {summed.at}, w, {gradient.at}, {counts}, False)")
                gradient = summed
            self.places[leaf] = gradient
        for i, node in enumerate(self.derivative.derived):
            self._place_derived_gradient(i, node)
        operands = _outer(self.plan, pullback.weights)
        keep = [n for o in operands for n in (o.left, o.right) if n.inputs and n not in self.places]
        self._compute_with_terms(self._region(""), [], _plain_terms(self.plan, pullback.weights), keep)
        for operand in operands:
            self._sum_outer(operand, "1", *(self._place_of(n) for n in (operand.left, operand.right)))

    def _place_derived_gradient(self, index: int, node: Node) -> None:
        leaf = self._derived_leaf(index, node)
        if leaf is None:
            return
        gradient, weight = self.weights.gradient(leaf), self.weights.weight(leaf)
        place = Place("w", gradient.at, node.size)
        if not self.weights.is_flat(leaf):
            place = self.memory.buffer(f"{gradient.at}_flat", node.size)
            shape = f"{self.memory.number(weight.rows)}, {self.memory.number(weight.columns)}, False"
            self.writer.line(f"unpack(w, {place.at}, w, {gradient.at}, {gradient.stride}, {shape})")
        self.places[self._leaf("gradient", "derived", index)] = place


# Terms of weights' gradients -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outer:
    """A term of a weight's gradient that is a product of two vectors, as the weight lies in memory: rows by lanes."""

    leaf: Node
    left: Node
    right: Node


_MAPS = frozenset(name for name, row in OPERATIONS.items() if row.kind == "map")


def _copied(told: str, calls: list[str]) -> list[str]:
    lines = [part for call in calls for part in wrapped(f"    {call}")]
    return ["", f"    # {told}", *lines] if lines else []


def _all_nodes(plan: Plan) -> list[Node]:
    derivative = plan.derivative
    recurrence = derivative.recurrence
    targets = [*recurrence.initial, *recurrence.step, recurrence.readout, *derivative.derived]
    for pullback in (derivative.readout, derivative.step, derivative.prelude):
        targets += [*pullback.states, *(term for terms in pullback.weights.values() for term in terms)]
    return topological(targets)


def _is_outer(plan: Plan, leaf: Node, term: Node) -> bool:
    """Whether the term is a product of two vectors in the shape of the weight."""
    weight = plan.weights[leaf]
    return term.operation == "outer" and tuple(i.size for i in term.inputs) == (weight.rows, weight.columns)


def _outer(plan: Plan, terms: dict[Node, tuple[Node, ...]]) -> list[Outer]:
    found = []
    for leaf, several in terms.items():
        for term in several:
            if _is_outer(plan, leaf, term):
                left, right = reversed(term.inputs) if plan.weights[leaf].flipped else term.inputs
                found.append(Outer(leaf, left, right))
    return found


def _plain_terms(plan: Plan, terms: dict[Node, tuple[Node, ...]]) -> list[tuple[Node, Node]]:
    return [(leaf, term) for leaf, several in terms.items() for term in several if not _is_outer(plan, leaf, term)]


def _is_zero(node: Node) -> bool:
    return node.is_constant and not node.numbers.any()


def _reads(operand: Outer, operation: str) -> bool:
    return operation in (operand.left.operation, operand.right.operation)
