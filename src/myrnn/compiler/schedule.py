"""Which instructions a program has, in which order, and where each of them reads and writes.

A program is a list of parts that run as a whole: what depends on parameters alone, the steps forward, the readout, and
the way back through all of these. Within a part, element-wise nodes are gathered into loops, each as large as what is
known by then allows; a sum of matrix products and other terms becomes one *linear* node: a loop begins it with its
terms, and its products add up in place. `emit` writes these instructions as Python, for one sequence or for a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from myrnn.compiler.graph import Node, in_order, topological
from myrnn.compiler.layout import Buffer, Names, Over, Place, Row, Rows, padded
from myrnn.compiler.names import state_names
from myrnn.compiler.ops import OPERATIONS, indices_of
from myrnn.compiler.plan import Outer, Plan, Terms
from myrnn.compiler.printer import LONGEST, Printer

# Instructions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """Writes a node to a place, or the sum of the terms that a linear node begins with.

    Attributes
    ----------
    add : bool
        Whether it is added to what is there.
    clean : bool
        Whether to write zeros into the padding.
    is_home : bool
        Whether later instructions read the node there; otherwise this is a copy.
    """

    node: Node
    place: Place
    terms: tuple[Node, ...] = ()
    add: bool = False
    clean: bool = False
    is_home: bool = False


@dataclass(frozen=True)
class Loop:
    """Computes nodes of one size element by element.

    Attributes
    ----------
    body : tuple of Node or Store
        What is computed, and what is written as soon as it is.
    last : tuple of Store
        What is written when all is computed, because something else stands there until then.
    reads : dict
        Where the nodes stand that are not computed here.
    """

    over: Over
    size: int
    body: tuple[Node | Store, ...]
    last: tuple[Store, ...]
    reads: dict[Node, Place]
    comment: str


@dataclass(frozen=True)
class Product:
    """Multiplies a vector, or the rows side by side, by a (k, n) matrix; `by_dots`, if it is kept transposed."""

    over: Over
    out: Place
    vector: Place
    matrix: Buffer
    k: int
    n: int
    add: bool
    by_dots: bool
    comment: str


@dataclass(frozen=True)
class Sum:
    """Adds the outer products of two vectors, those of all rows at once, to the gradient of a weight."""

    over: Over
    gradient: Buffer
    left: Place
    right: Place
    comment: str


@dataclass(frozen=True)
class Padded:
    """A size in whole lanes."""

    size: int


@dataclass(frozen=True)
class Call:
    """Calls a function of the runtime for each row."""

    over: Over
    function: str
    arguments: tuple[Place | Buffer | int | Padded | bytes | Over, ...]
    comment: str = ""


@dataclass(frozen=True)
class Fill:
    """Clears a matrix; without one, the gradients of all parameters that are no lookups."""

    buffer: Buffer | None = None


@dataclass(frozen=True)
class Inputs:
    """Makes the rows of the sequences ready."""

    place: Place


@dataclass(frozen=True)
class Length:
    """Writes how long each sequence is."""

    place: Place


@dataclass(frozen=True)
class Loss:
    """Computes the loss, and the gradient of the logits."""

    logits: Place
    gradients: Place


@dataclass(frozen=True)
class For:
    """Does its body at every step, from the first to the last or back."""

    backward: bool
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class IfLater:
    """Does its body at every step but the first."""

    body: tuple[Instruction, ...]


Instruction = Loop | Product | Sum | Call | Fill | Inputs | Length | Loss | For | IfLater


@dataclass(frozen=True)
class Part:
    """A section of the program."""

    title: str
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class Schedule:
    """The instructions of a program.

    Attributes
    ----------
    plan : Plan
    forward, backward : tuple of Part
    buffers : tuple of Buffer
        All that the instructions read and write; those of the parameters too.
    constants : dict
        Constant vector -> its buffer.
    logits : Buffer
    states, state_gradients : tuple of Buffer
        The states; their gradients at every step, if the program is observed.
    input_gradients : Buffer or None
    """

    plan: Plan
    forward: tuple[Part, ...]
    backward: tuple[Part, ...]
    buffers: tuple[Buffer, ...]
    constants: dict[Node, Buffer]
    logits: Buffer
    states: tuple[Buffer, ...]
    state_gradients: tuple[Buffer, ...]
    input_gradients: Buffer | None

    def __str__(self) -> str:
        """Return the instructions, one a line."""
        parts = [*self.forward, *self.backward]
        return "\n".join(line for part in parts for line in (part.title, *_lines(part.body, "    ")))


def schedule(plan: Plan) -> Schedule:
    """Decide the instructions of a program."""
    return _Scheduler(plan).result()


# As text -------------------------------------------------------------------------------------------------------------


def _lines(body: Iterable[Instruction], indent: str) -> list[str]:
    """Return what each instruction does, and below that what it reads and writes."""
    lines = []
    for instruction in body:
        match instruction:
            case For(backward, inner):
                lines += [f"{indent}for every step{', the last one first' if backward else ''}:"]
                lines += _lines(inner, f"{indent}    ")
            case IfLater(inner):
                lines += [f"{indent}not at the first step:", *_lines(inner, f"{indent}    ")]
            case _:
                text, reads, writes = _described(instruction)
                read, written = (", ".join(dict.fromkeys(map(str, several))) for several in (reads, writes))
                lines.append(f"{indent}{text}")
                if written:
                    lines.append(f"{indent}    {f'{read} -> {written}'.lstrip()}")
    return lines


def _described(instruction: Instruction) -> tuple[str, list[Place], list[Place]]:
    """Return what an instruction does, what it reads and what it writes."""
    match instruction:
        case Loop(_, size, body, last, reads, comment):
            stores = [s.place for s in (*body, *last) if isinstance(s, Store)]
            return f"loop over {size}: {comment}", list(reads.values()), stores
        case Product(_, out, vector, matrix, _, _, _, _, comment):
            return f"product: {comment}", [vector, _whole(matrix)], [out]
        case Sum(_, gradient, left, right, comment):
            return f"sum of products: {comment}", [left, right], [_whole(gradient)]
        case Call(_, function, arguments, comment):
            out, *rest = [a if isinstance(a, Place) else _whole(a) for a in arguments if isinstance(a, Place | Buffer)]
            return f"{function}: {comment}" if comment else function, rest, [out]
        case Fill(buffer):
            name = "all gradients of parameters" if buffer is None else buffer.name
            return f"fill with zeros: {name}", [], []
        case Inputs(place) | Length(place):
            return type(instruction).__name__.lower(), [], [place]
        case Loss(logits, gradients):
            return "loss", [logits], [gradients]
    raise AssertionError(instruction)


def _whole(matrix: Buffer) -> Place:
    return Place(matrix, matrix.lines * matrix.columns)


# What shares a loop --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """A sum of vector-matrix products and other terms."""

    products: tuple[Node, ...]
    terms: tuple[Node, ...]


Group = tuple[Node, ...]
"""The nodes of a loop in order; or one node that is not element-wise, or the products of a linear one."""


@dataclass(frozen=True)
class Fused:
    """The nodes of a part in groups.

    Attributes
    ----------
    groups : list
        Whether each is a loop, and its nodes.
    linear : dict
        The linear nodes.
    kept : set of Node
        The nodes that must be in memory: something outside their own loop reads them.
    """

    groups: list[tuple[bool, Group]]
    linear: dict[Node, Linear]
    kept: set[Node] = field(default_factory=set)

    def reads(self, is_loop: bool, nodes: Group) -> set[Node]:
        """Return what a group reads: a loop the terms of its linear nodes, otherwise their vectors."""
        if is_loop:
            return {i for n in nodes for i in (self.linear[n].terms if n in self.linear else n.inputs)}
        (node,) = nodes
        return {i for p in (self.linear[node].products if node in self.linear else (node,)) for i in p.inputs}


def fuse(targets: Iterable[Node], available: set[Node], keep: set[Node]) -> Fused:
    """Order the computation of the targets from what is available, and gather it in loops.

    Parameters
    ----------
    targets : iterable of Node
        What must be computed.
    available : set of Node
        What stands in memory already.
    keep : set of Node
        What must stand in memory afterwards.
    """
    wanted = list(dict.fromkeys(targets))
    order = [n for n in topological(wanted, stop=available) if n not in available and n.inputs]
    linear, absorbed = _linear_nodes(order, set(wanted), available)
    nodes = [n for n in order if n not in absorbed]
    fused = Fused(_groups(nodes, linear, set(available)), linear, set(linear) | (keep & set(nodes)))
    for is_loop, group in fused.groups:
        inside = {n for n in group if n not in linear} if is_loop else set()
        fused.kept.update(fused.reads(is_loop, group) - inside)
        if not is_loop:
            fused.kept.update(group)
    return fused


def _linear_nodes(
    order: Sequence[Node], wanted: set[Node], available: set[Node]
) -> tuple[dict[Node, Linear], set[Node]]:
    """Find the sums that hold products, from the largest down, and the nodes that they absorb."""
    readers: dict[Node, int] = {}
    for node in order:
        for child in node.inputs:
            readers[child] = readers.get(child, 0) + 1
    inside = set(order) - available

    def private(node: Node) -> bool:
        return node in inside and node not in wanted and readers[node] == 1

    linear: dict[Node, Linear] = {}
    absorbed: set[Node] = set()
    for node in reversed(order):
        if node in absorbed or node.operation not in ("add", "matmul"):
            continue
        leaves, inner, stack = [], [], [node]
        while stack:
            part = stack.pop()
            if part is node or private(part):
                if part.operation == "add" and all(i.size == part.size for i in part.inputs):
                    inner.append(part)
                    stack.extend(reversed(part.inputs))
                    continue
            leaves.append(part)
        products = tuple(n for n in leaves if _is_row_product(n) and (n is node or private(n)))
        if products:
            linear[node] = Linear(products, tuple(n for n in leaves if n not in products))
            absorbed |= ({*inner, *products}) - {node}
    return linear, absorbed


def _is_row_product(node: Node) -> bool:
    return node.operation == "matmul" and node.attributes[0] == 1


def _groups(nodes: list[Node], linear: dict[Node, Linear], done: set[Node]) -> list[tuple[bool, Group]]:
    reads = {n: n.inputs for n in nodes}
    reads |= {n: (*s.terms, *(i for p in s.products for i in p.inputs)) for n, s in linear.items()}
    looped = {n for n in nodes if n in linear or OPERATIONS[n.operation].kind == "map"}

    def ready(node: Node, loop: Iterable[Node] = (), size: int = 0) -> bool:
        # A single number that a larger loop reads must be finished before that loop.
        return all(i in done or not i.inputs or (i in loop and i.size == size) for i in reads[node])

    groups: list[tuple[bool, Group]] = []
    left = list(nodes)
    while left:
        before = len(groups)
        first = next((n for n in left if n in looped and ready(n)), None)
        if first is not None:
            inside: dict[Node, None] = {}
            begun = []
            for node in left:
                if node in looped and node.size == first.size and ready(node, inside, first.size):
                    # A linear node is finished by its products only: nothing in its own loop may read it.
                    if node in linear:
                        begun.append(node)
                    else:
                        inside[node] = None
            members = {*inside, *begun}
            groups.append((True, tuple(n for n in left if n in members)))
            groups += [(False, (n,)) for n in begun]
            done |= members
            left = [n for n in left if n not in done]
        calls = [n for n in left if n not in looped and ready(n)]
        groups += [(False, (n,)) for n in calls]
        done |= set(calls)
        left = [n for n in left if n not in done]
        assert len(groups) > before, f"nothing can be computed of {left}"
    return groups


# Where everything goes -----------------------------------------------------------------------------------------------


class _Scheduler:
    """Writes the instructions of a program, part by part, and gives each node that needs one a place."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.printer = plan, plan.printer
        self.derivative, self.recurrence = plan.derivative, plan.derivative.recurrence
        self._names = Names(sizes_of(plan))
        self._buffers: list[Buffer] = []
        self._constants: dict[Node, Buffer] = {}
        # What computes copies of weights in the layout in which they are read.
        self._copies: dict[str, list[Instruction]] = {"parameters": [], "derived": [], "backward": []}
        self._copied: dict[tuple[str, Node], Buffer] = {}
        self._is_backward = False
        self._out: list[Instruction] = []
        self._weights: dict[Node, tuple[Buffer, Buffer]] = {}
        for leaf in sorted(plan.weights, key=lambda n: (n.operation, n.attributes)):
            self._weights[leaf] = self._place_weight(leaf)
        sizes, names = self.recurrence.state_sizes, state_names(self.recurrence)
        self.states = [self._new(name, n, Rows.STATES) for name, n in zip(names, sizes, strict=True)]
        self.gradients = [self._new(f"d_{name}", n, Rows.SEQUENCES) for name, n in zip(names, sizes, strict=True)]
        classes = self.recurrence.readout.size
        self.logits = self._new("logits", classes, Rows.SEQUENCES)
        self.logit_gradients = self._new("d_logits", classes, Rows.SEQUENCES)
        self.seen_gradients: list[Buffer] = []
        self.input_gradients: Buffer | None = None
        if plan.kind.observed:
            self.seen_gradients = [self._new(f"seen_{b.name}", b.columns, Rows.STATES) for b in self.gradients]
            self.input_gradients = self._new("d_inputs", self.recurrence.dim_input, Rows.STEPS)
        self._places: dict[Node, Place] = {}

    def result(self) -> Schedule:
        # The same node, such as the square of a state, is another number before a step and after the last one: what
        # one part of the program keeps is never read in the place of the other's.
        prelude = self._part(
            "What depends on the parameters alone, and the states before the first step.", self._prelude
        )
        fixed = dict(self._places)
        forward = self._part("What the input alone gives, for all steps at once.", self._projections)
        forward += self._part("Forward, step by step.", self._steps)
        of_steps, self._places = self._places, dict(fixed)
        forward += self._part("The readout, the loss, and the gradient of the logits.", self._readout)
        self._is_backward = True
        backward = self._part("Back through the readout.", self._readout_backward)
        self._places = of_steps
        backward += self._part("Back through time, the last step first.", self._steps_backward)
        self._places = fixed
        backward += self._part("Back to what depends on the parameters alone.", self._prelude_backward)
        titles = {
            "parameters": "Weights as the way forward reads them.",
            "derived": "Computed weights as the way forward reads them.",
            "backward": "Weights as the way back reads them.",
        }
        copies = {k: [Part(titles[k], tuple(calls))] if calls else [] for k, calls in self._copies.items()}
        return Schedule(
            self.plan,
            (*copies["parameters"], *prelude, *copies["derived"], *forward),
            (*copies["backward"], *backward),
            tuple(self._buffers),
            self._constants,
            self.logits,
            tuple(self.states),
            tuple(self.seen_gradients),
            self.input_gradients,
        )

    def _part(self, title: str, write: Callable[[], None]) -> list[Part]:
        self._out = []
        write()
        return [Part(title, tuple(self._out))] if self._out else []

    # Buffers and places ----------------------------------------------------------------------------------------------

    def _new(self, wanted: str, columns: int, rows: Rows = Rows.ONE, lines: int = 1) -> Buffer:
        buffer = Buffer("w", self._names.new(wanted), columns, rows, lines)
        self._buffers.append(buffer)
        return buffer

    def _place_weight(self, leaf: Node) -> tuple[Buffer, Buffer]:
        """Return where a weight and its gradient stand."""
        weight = self.plan.weights[leaf]
        if leaf.operation == "derived":
            matrix = self._new(f"derived_{leaf.attributes[0]}", weight.columns, lines=weight.rows)
            return matrix, self._new(f"d_{matrix.name}", weight.columns, lines=weight.rows)
        index, *first_row = leaf.attributes
        layout = self.plan.parameters.layouts[index]
        at, name = layout.at, layout.name
        if first_row:
            at, name = at + first_row[0] * padded(weight.columns), f"{name}_from_{first_row[0]}"
        matrix = Buffer("p", self._names.new(name), weight.stored_columns, Rows.ONE, weight.stored_rows, at)
        self._buffers.append(matrix)
        return matrix, replace(matrix, array="g")

    def _flat(self, leaf: Node) -> Buffer:
        """Return a weight's numbers one after the other: where they are, or a copy."""
        weight, (matrix, _) = self.plan.weights[leaf], self._weights[leaf]
        if weight.is_flat:
            return matrix
        if ("flat", leaf) not in self._copied:
            flat = self._copied["flat", leaf] = self._new(f"{matrix.name}_flat", leaf.size)
            shape = weight.rows, weight.columns, weight.flipped
            self._copy(leaf, "unpack", Place(flat, leaf.size), matrix, *shape)
        return self._copied["flat", leaf]

    def _transposed(self, leaf: Node) -> Buffer:
        """Return a copy of the weight with the rows and columns of its layout exchanged."""
        if ("transposed", leaf) not in self._copied:
            matrix, _ = self._weights[leaf]
            copy = self._new(f"{matrix.name}_transposed", matrix.lines, lines=padded(matrix.columns))
            self._copied["transposed", leaf] = copy
            self._copy(leaf, "transpose", copy, matrix, matrix.lines, Padded(matrix.columns))
        return self._copied["transposed", leaf]

    def _copy(self, leaf: Node, function: str, *arguments: Place | Buffer | int | Padded) -> None:
        when = "backward" if self._is_backward else "derived" if leaf.operation == "derived" else "parameters"
        self._copies[when].append(Call(Over.ONCE, function, arguments))

    def _place(self, node: Node) -> Place:
        """Return where the numbers of a node stand."""
        if node in self._places:
            return self._places[node]
        if node.is_constant:
            if node not in self._constants:
                self._constants[node] = self._new("constant", node.size)
            return Place(self._constants[node], node.size)
        if node in self._weights:
            return Place(self._flat(node), node.size)
        assert self._is_slice(node), f"{node} has no place"
        whole = self._place(node.inputs[0])
        return replace(whole, size=node.size, offset=(whole.offset or 0) + _run(node))

    def _is_slice(self, node: Node) -> bool:
        """Whether the node is a run of another one's numbers and can be read where they stand."""
        return node.operation == "take" and node not in self.plan.clean and _run(node) >= 0

    def _sharing(self, place: Place) -> set[Node]:
        """Return the nodes whose numbers stand at a place."""
        return {n for n, p in self._places.items() if p.buffer == place.buffer and p.row == place.row}

    # Forward ---------------------------------------------------------------------------------------------------------

    def _prelude(self) -> None:
        """Compute what depends on parameters only: initial states and derived weights."""
        stores, packs = [], []
        for i, node in enumerate(self.derivative.derived):
            leaf = self.plan.leaves.get(("derived", i))
            if leaf is None:
                continue
            matrix, _ = self._weights[leaf]
            weight = self.plan.weights[leaf]
            if weight.is_flat:
                stores.append(self._store(node, Place(matrix, node.size)))
            else:
                flat = Place(self._new(f"{matrix.name}_flat", node.size), node.size)
                stores.append(self._store(node, flat))
                packs.append(Call(Over.ONCE, "pack", (matrix, flat, weight.rows, weight.columns, False)))
        initial = self.recurrence.initial
        self._compute(Over.ONCE, stores, keep=in_order(self.plan.saved_prelude, [*initial, *self.derivative.derived]))
        self._out += packs
        if self.plan.kind.batched:
            # Once for all sequences; each gets a copy.
            self._compute(Over.ONCE, [], keep=[n for n in initial if n.inputs])
        first = [Place(state, state.columns, Row.AFTER) for state in self.states]
        self._compute(Over.START, [self._store(n, p) for n, p in zip(initial, first, strict=True)])

    def _projections(self) -> None:
        """Multiply all rows of the sequence by the weights that they meet first; a token picks a row of the weight."""
        width, row = self.recurrence.dim_input, self.plan.leaves["input",]
        if self.plan.reads_inputs:
            self._places[row] = Place(self._new("inputs", width, Rows.STEPS), width)
            self._out.append(Inputs(self._places[row]))
        for node in in_order(self.plan.projected, self.recurrence.step):
            matrix, _ = self._weights[node.inputs[1]]
            if self.plan.kind.tokens:
                self._places[node] = Place(matrix, node.size, Row.TOKEN)
                continue
            out = self._places[node] = Place(self._new(f"x_{matrix.name}", node.size, Rows.STEPS), node.size)
            comment = self.printer.expression(node)
            vector = self._places[row]
            self._out.append(Product(Over.ALL, out, vector, matrix, width, node.size, False, False, comment))

    def _steps(self) -> None:
        step = self.recurrence.step
        for i, state in enumerate(self.states):
            self._places[self.plan.leaves["state", i]] = Place(state, state.columns)
        operands = {n for o in self.plan.terms["step"].outer for n in (o.left, o.right)}
        lasting = {n for n in self.plan.saved_step if n not in step}
        lasting |= {n for n in operands & set(topological(step)) if n.inputs and n not in step}
        if self.plan.kind.batched:
            # In a batch the states after a step do not lie side by side.
            lasting |= {n for n in step if n.inputs and n in self.plan.whole | operands}
        with self._for(backward=False):
            self._copy_token_rows(operands)
            known = set(self._places) | lasting
            after = [Place(state, state.columns, Row.AFTER) for state in self.states]
            self._compute(
                Over.STEP,
                [self._store(n, p) for n, p in zip(step, after, strict=True)],
                in_order(lasting - set(self._places), step),
                lasting,
            )
        # What else has a place holds the last step's numbers only.
        self._places = {node: place for node, place in self._places.items() if node in known}
        for node, place in zip(step, after, strict=True):
            self._places.setdefault(node, place)

    def _copy_token_rows(self, operands: set[Node]) -> None:
        """Copy a token's row of a weight where whole rows of many steps or sequences are read."""
        if not self.plan.kind.tokens:
            return
        copies = {}
        for node in in_order(self.plan.projected & (operands | self.plan.whole), self.recurrence.step):
            name = f"x_{self._weights[node.inputs[1]][0].name}"
            copies[node] = Place(self._new(name, node.size, Rows.STEPS), node.size)
        self._compute(Over.STEP, [self._store(n, p) for n, p in copies.items()])
        self._places.update(copies)

    def _readout(self) -> None:
        for i, state in enumerate(self.states):
            self._places[self.plan.leaves["state", i]] = Place(state, state.columns)
        length = self.plan.leaves.get(("length",))
        if length is not None:
            self._places[length] = Place(self._new("length", 1, Rows.SEQUENCES), 1)
            self._out.append(Length(self._places[length]))
        readout, classes = self.recurrence.readout, self.recurrence.readout.size
        logits = Place(self.logits, classes)
        self._compute(Over.END, [self._store(readout, logits)], in_order(self.plan.saved_readout, [readout]))
        self._out.append(Loss(logits, Place(self.logit_gradients, classes)))

    # Back ------------------------------------------------------------------------------------------------------------

    def _readout_backward(self) -> None:
        self._out.append(Fill())
        for leaf, (_, gradient) in self._weights.items():
            if leaf.operation == "derived":
                self._out.append(Fill(gradient))
        of_logits = Place(self.logit_gradients, self.recurrence.readout.size)
        self._places[self.plan.leaves["gradient", "logits"]] = of_logits
        self._way_back(Over.END, self._state_gradients(self.derivative.readout.states), self.plan.terms["readout"])

    def _steps_backward(self) -> None:
        terms = self.plan.terms["step"]
        for i, (state, gradient) in enumerate(zip(self.states, self.gradients, strict=True)):
            self._places[self.plan.leaves["state", i]] = Place(state, state.columns)
            self._places[self.plan.leaves["gradient", i]] = Place(gradient, gradient.columns)
        lasting = [n for n in dict.fromkeys(terms.operands) if n.inputs and n not in self._places]
        with self._for(backward=True):
            # A gradient that a later sum reads is overwritten at every step, and needs a copy.
            copied = {n for n in terms.operands if n.operation == "gradient"}
            copies = {
                n: Place(self._new("d_kept", n.size, Rows.STEPS), n.size)
                for n in sorted(copied, key=lambda n: str(n.attributes))
            }
            stores = self._state_gradients(self.derivative.step.states)
            for o in terms.outer:
                if o.is_row:
                    row = Place(self._weights[o.leaf][1], o.right.size, Row.TOKEN)
                    stores.append(self._store(o.right, row, add=True))
            stores += [self._store(n, p) for n, p in copies.items()]
            leaves = [self.plan.leaves["gradient", i] for i in range(len(self.states))]
            seen = [Place(buffer, buffer.columns, Row.AFTER) for buffer in self.seen_gradients]
            observed = [self._store(n, p) for n, p in zip(leaves, seen, strict=False)]
            stores += observed
            if self.input_gradients is not None:
                stores.append(
                    self._store(self.derivative.step.input, Place(self.input_gradients, self.recurrence.dim_input))
                )
            self._compute_terms(Over.STEP, stores, terms.others, lasting, lasting)
        self._compute(Over.START, observed)
        self._places.update(copies)
        for o in terms.outer:
            if not o.is_row:
                left, right = self._place(o.left), self._place(o.right)
                # The state before the first step is zero, and so are its products.
                later = {o.left, o.right} & self.plan.zero_at_first and left.offset is None and right.offset is None
                self._sum(Over.LATER if later else Over.ALL, o)

    def _prelude_backward(self) -> None:
        if not self.derivative.prelude.weights:
            return
        for i, buffer in enumerate(self.gradients):
            gradient = Place(buffer, buffer.columns)
            if self.plan.kind.batched:
                summed = Place(self._new(f"{buffer.name}_sum", buffer.columns), buffer.columns)
                sizes = Over.END, Padded(buffer.columns), False
                self._out.append(Call(Over.ONCE, "sum_rows", (summed, buffer, *sizes)))
                gradient = summed
            self._places[self.plan.leaves["gradient", i]] = gradient
        for i, node in enumerate(self.derivative.derived):
            leaf = self.plan.leaves.get(("derived", i))
            if leaf is None:
                continue
            weight, (_, buffer) = self.plan.weights[leaf], self._weights[leaf]
            gradient = Place(buffer, node.size)
            if not weight.is_flat:
                gradient = Place(self._new(f"{buffer.name}_flat", node.size), node.size)
                shape = weight.rows, weight.columns, False
                self._out.append(Call(Over.ONCE, "unpack", (gradient, buffer, *shape)))
            self._places[self.plan.leaves["gradient", "derived", i]] = gradient
        self._way_back(Over.ONCE, [], self.plan.terms["prelude"])

    def _state_gradients(self, nodes: Sequence[Node]) -> list[Store]:
        return [self._store(n, Place(b, b.columns)) for n, b in zip(nodes, self.gradients, strict=True)]

    def _way_back(self, over: Over, stores: list[Store], terms: Terms) -> None:
        keep = [n for n in terms.operands if n.inputs and n not in self._places]
        self._compute_terms(over, stores, terms.others, keep)
        for operand in terms.outer:
            self._sum(over, operand)

    def _compute_terms(
        self,
        over: Over,
        stores: list[Store],
        terms: Iterable[tuple[Node, Node]],
        keep: Sequence[Node],
        lasting: Iterable[Node] = (),
    ) -> None:
        """Compute a way back: the stores, and the terms of weights that no product sums up."""
        wide = []
        for leaf, term in terms:
            if self.plan.weights[leaf].is_flat:
                stores.append(self._store(term, Place(self._weights[leaf][1], term.size), add=True))
            else:
                wide.append((leaf, term))
        self._compute(over, stores, [*keep, *(term for _, term in wide)], lasting)
        for leaf, term in wide:
            weight = self.plan.weights[leaf]
            shape = weight.rows, weight.columns, weight.flipped
            self._out.append(Call(over, "add_packed", (self._weights[leaf][1], self._place(term), *shape)))

    def _sum(self, over: Over, outer: Outer) -> None:
        gradient = self._weights[outer.leaf][1]
        product = "({1}.T @ {0}).T" if self.plan.weights[outer.leaf].flipped else "{0}.T @ {1}"
        comment = f"d_{gradient.name} += {self.printer.text(product, outer.left, outer.right)}"
        self._out.append(Sum(over, gradient, self._place(outer.left), self._place(outer.right), comment))

    @contextmanager
    def _for(self, backward: bool) -> Iterator[None]:
        """Gather the instructions that follow inside in a loop over the steps."""
        before, self._out = self._out, []
        yield
        body, self._out = self._out, before
        if body:
            self._out.append(For(backward, tuple(body)))

    # Nodes -----------------------------------------------------------------------------------------------------------

    def _store(self, node: Node, place: Place, add: bool = False) -> Store:
        return Store(node, place, add=add, clean=add or node in self.plan.clean)

    def _compute(
        self, over: Over, stores: Sequence[Store], keep: Sequence[Node] = (), lasting: Iterable[Node] = ()
    ) -> None:
        """Compute all nodes of the stores and of `keep`, which stay in memory, those of `lasting` for every step."""
        fused = fuse([*(s.node for s in stores), *keep], set(self._places), {*keep, *lasting})
        # Some stores must wait until the end, because they overwrite what is read until then.
        late = [
            s
            for s in stores
            for i, (is_loop, nodes) in enumerate(fused.groups)
            if is_loop and s.node in nodes and self._is_read_later(fused, i, s, stores)
        ]
        fused.kept.update(s.node for s in late)
        waiting = self._assign(over, fused, stores, set(lasting))
        for is_loop, nodes in fused.groups:
            if is_loop:
                computed = {n for n in nodes if n not in fused.linear}
                now = [s for s in waiting if s.node in computed and s not in late]
                waiting = [s for s in waiting if s not in now]
                self._loop(over, fused, nodes, now)
            elif nodes[0] in fused.linear:
                self._products(over, nodes[0], fused.linear[nodes[0]])
            else:
                self._call(over, nodes[0])
        for size in dict.fromkeys(s.node.size for s in waiting):
            self._loop(over, fused, (), [s for s in waiting if s.node.size == size])

    def _assign(self, over: Over, fused: Fused, stores: Sequence[Store], lasting: set[Node]) -> list[Store]:
        """Give a place to every node that needs one; return the stores whose place is no node's."""
        left = list(stores)
        rows = Rows.SEQUENCES if over in (Over.STEP, Over.END) else Rows.ONE
        for i, (_, nodes) in enumerate(fused.groups):
            for node in nodes:
                if node not in fused.kept or node in self._places:
                    continue
                store = next((s for s in left if s.node is node and not s.add), None)
                lasts = node in lasting
                if store is not None and not lasts and self._may_compute_in_place(fused, i, store, left):
                    self._places[node] = store.place
                    left.remove(store)
                elif not self._is_slice(node) or (lasts and self._needs_copy(node, store)):
                    buffer = self._new(self.printer.label(node), node.size, Rows.STEPS if lasts else rows)
                    self._places[node] = Place(buffer, node.size)
        return left

    def _needs_copy(self, node: Node, store: Store | None) -> bool:
        """Whether a slice that is kept for every step needs a buffer: its source is overwritten, or it is stored."""
        return store is not None or self._place(node.inputs[0]).buffer.rows not in (Rows.STEPS, Rows.STATES)

    def _may_compute_in_place(self, fused: Fused, index: int, store: Store, stores: Sequence[Store]) -> bool:
        """Whether the node of a group may be computed where a store writes it."""
        linear = fused.linear.get(store.node)
        if linear is not None:
            if store.place.row is Row.AFTER and self.plan.kind.batched:
                return False
            vectors = [self._places.get(p.inputs[0]) for p in linear.products]
            if any(v is not None and v.buffer == store.place.buffer for v in vectors):
                return False
        return not self._is_read_later(fused, index, store, stores)

    def _is_read_later(self, fused: Fused, index: int, store: Store, stores: Sequence[Store]) -> bool:
        """Whether anything after a group still reads what the store would overwrite, or a call at that moment."""
        over = self._sharing(store.place)
        if store.add or not over:
            return False
        # A loop reads each lane before it writes it; a call reads one number after others are written.
        groups = fused.groups[index + fused.groups[index][0] :]
        later = {i for group in groups for i in fused.reads(*group)} | {s.node for s in stores if s is not store}
        return bool(over & later)

    def _loop(self, over: Over, fused: Fused, nodes: Group, stores: list[Store]) -> None:
        """Add a loop that computes nodes, begins the linear ones with their terms, and ends with the stores."""
        body: list[Node | Store] = []
        last = list(stores)
        reads: dict[Node, Place] = {}
        for node in nodes:
            linear = fused.linear.get(node)
            terms = linear.terms if linear is not None else ()
            if linear is None:
                body.append(node)
            for i in terms if linear is not None else node.inputs:
                self._note_read(reads, i, nodes)
            if node in self._places and (linear is None or terms):
                place = self._places[node]
                store = Store(node, place, terms, clean=node in self.plan.clean, is_home=True)
                (last if self._sharing(place) - {node} else body).append(store)
        for store in stores:
            self._note_read(reads, store.node, nodes)
        if body or last:
            size = (*nodes, *(s.node for s in stores))[0].size
            comment = _comment(self.printer, fused, nodes, stores)
            self._out.append(Loop(over, size, tuple(body), tuple(last), reads, comment))

    def _note_read(self, reads: dict[Node, Place], node: Node, computed: Group) -> None:
        if node not in computed and node not in reads and not (node.is_constant and is_one_number(node)):
            reads[node] = self._place(node)

    def _products(self, over: Over, node: Node, linear: Linear) -> None:
        """Add the products of a linear node, which a loop has begun with its terms if it has any."""
        zero, unread = (self.plan.zero_at_first, self.plan.unread_at_first) if over is Over.STEP else ((), ())
        out, label = self._places[node], self.printer.label(node)
        # What is zero at the first step comes last, so that there is something to add it to.
        for i, product in enumerate(sorted(linear.products, key=lambda p: p.inputs[0] in zero)):
            add = bool(linear.terms) or i > 0
            what = self.printer.expression(node) if product is node else self.printer.operand(product)
            instruction = self._product(over, out, product, add, f"{label} {'+=' if add else '='} {what}")
            if node in unread or (add and product.inputs[0] in zero):
                # One condition serves all that follow each other.
                before = self._out[-1] if self._out else None
                if isinstance(before, IfLater):
                    self._out[-1] = IfLater((*before.body, instruction))
                else:
                    self._out.append(IfLater((instruction,)))
            else:
                self._out.append(instruction)

    def _product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> Instruction:
        """Return the instruction for `out (+)= vector @ matrix`."""
        left, right = product.inputs
        vector = self._place(left)
        weight = self.plan.weights.get(right)
        if weight is None or not weight.fits(product):
            return self._plain_product(over, out, product, add, comment)
        _, k, n, _ = product.attributes
        along = weight.goes_along_rows(product)
        # Dots are better than a transposed copy where there are few rows.
        by_dots = not along and weight.flipped
        matrix = self._weights[right][0] if along or by_dots else self._transposed(right)
        return Product(over, out, vector, matrix, k, n, add, by_dots, comment)

    def _plain_product(self, over: Over, out: Place, product: Node, add: bool, comment: str) -> Call:
        """Return the product of two values, whatever their shapes."""
        left, right = map(self._place, product.inputs)
        return Call(over, "multiply_plain", (out, left, right, *product.attributes, add), comment)

    def _call(self, over: Over, node: Node) -> None:
        """Add the call of an operation that neither works element by element nor is one row times a weight."""
        sources = [self._place(i) for i in node.inputs]
        if self._is_slice(node) and node not in self._places:
            # It is read where it stands; what it is a slice of has its place now.
            return
        out = self._places[node]
        comment = f"{self.printer.label(node)} = {self.printer.expression(node)}"
        match node.operation:
            case "matmul":
                self._out.append(self._plain_product(over, out, node, False, comment))
            case "join":
                for source, where in zip(sources, node.attributes[0], strict=True):
                    self._out.append(Call(over, "spread_out", (out, source, where, source.size), comment))
            case "outer":
                m, n = (i.size for i in node.inputs)
                self._out.append(Call(over, "multiply_plain", (out, *sources, m, 1, n, False, False), comment))
            case "take" | "put":
                sizes = (node.size,) if node.operation == "take" else (node.inputs[0].size, node.size)
                self._out.append(Call(over, node.operation, (out, *sources, node.attributes[0], *sizes), comment))
            case "sum":
                self._out.append(Call(over, "sum_axis", (out, *sources, *node.attributes), comment))
            case "softmax" | "log_softmax":
                arguments = out, *sources, *node.attributes, node.operation == "log_softmax"
                self._out.append(Call(over, "softmax_axis", arguments, comment))


def sizes_of(plan: Plan) -> dict[str, int]:
    """Return the sizes that have names of their own: the number of inputs, of classes, and of the units."""
    r = plan.derivative.recurrence
    units = {"D" if i == 0 else f"D_{i + 1}": size for i, size in enumerate(r.state_sizes)}
    return {"C": r.dim_input, "K": r.readout.size, **units}


def is_one_number(node: Node) -> bool:
    """Whether a constant is one number, however often: its lanes are a literal."""
    return bool(np.all(node.numbers == node.numbers[0]))


def _run(node: Node) -> int:
    """Return where the run of neighbours begins that a node takes; -1 where it is no run."""
    where = indices_of(node.attributes[0])
    return int(where[0]) if np.array_equal(where, np.arange(where[0], where[0] + len(where))) else -1


def _comment(printer: Printer, fused: Fused, nodes: Group, stores: list[Store]) -> str:
    """Return what a loop computes, in the model's words: as equations if they fit in a line, else the names."""
    parts: list[tuple[str, str]] = []
    for node in nodes:
        linear = fused.linear.get(node)
        if linear is not None and linear.terms:
            parts.append((f"{printer.label(node)} =", printer.sum(linear.terms)))
        elif linear is None and node in fused.kept:
            parts.append((f"{printer.label(node)} =", printer.expression(node)))
    for store in stores:
        inside = store.node in nodes and store.node not in fused.kept and not store.add
        right = printer.expression(store.node) if inside else printer.operand(store.node)
        name = f"d_{store.place.buffer.name}" if store.place.buffer.array == "g" else store.place.buffer.name
        if name != right:
            parts.append((f"{name} {'+=' if store.add else '='}", right))
    text = "; ".join(f"{left} {right}" for left, right in parts)
    if len(text) > LONGEST:
        text = ", ".join(dict.fromkeys(left.split()[0] for left, _ in parts))
    return text if len(text) <= LONGEST else f"{text[: text.rfind(',', 0, LONGEST)]}, ..."
