"""Write one region of the program: its loops, products and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from myrnn.compiler._graph import Node, indices_of
from myrnn.compiler._memory import Memory, Place
from myrnn.compiler._names import LONGEST, Words
from myrnn.compiler._operations import OPERATIONS
from myrnn.compiler._plan import LANES, fits, reads_as_stored
from myrnn.compiler._schedule import Call, Linear, Loop, Schedule, schedule
from myrnn.compiler._weights import Matrix, WeightPlaces
from myrnn.compiler._writer import Writer


@dataclass(frozen=True)
class Sink:
    """Where the numbers of a node go, written there, or added to what is there."""

    node: Node
    place: Place
    add: bool = False


class Region:
    """A part of the program that runs as a whole.

    Parameters
    ----------
    writer, memory, weights
        What the program is written with.
    words : Words
        Where the names come from.
    places : dict
        Node -> where its numbers stand already; what the region computes and keeps is entered.
    rows : str
        The variable that counts the sequences side by side; empty for one.
    lasting : set of Node
        Nodes of which every step's value is kept.
    clean : set of Node
        Nodes whose padding must be zero, because a product or a sum reads it.
    prepare : tuple of str
        Lines that define, for each row, a name that its loops may read.
    room : str
        How many rows a buffer has that is not lasting.
    row : str
        The variable that counts the rows of lasting buffers.
    zero_at_first : set of Node
        Vectors that are zero at step 0, so that their products can be left out there.
    later_only : set of Node
        Nodes that nothing reads at step 0.
    """

    def __init__(
        self,
        writer: Writer,
        memory: Memory,
        weights: WeightPlaces,
        words: Words,
        places: dict[Node, Place],
        rows: str = "",
        lasting: frozenset[Node] = frozenset(),
        clean: frozenset[Node] = frozenset(),
        prepare: tuple[str, ...] = (),
        room: str = "one",
        row: str = "",
        zero_at_first: frozenset[Node] = frozenset(),
        later_only: frozenset[Node] = frozenset(),
    ) -> None:
        self._writer, self._memory, self._weights = writer, memory, weights
        self._words, self._places, self._rows = words, places, rows
        self._lasting, self._clean, self._prepare, self._room, self._row = lasting, clean, prepare, room, row
        self._zero_at_first, self._later_only = zero_at_first, later_only
        self._linear: dict[Node, Linear] = {}
        self._kept: set[Node] = set()

    def compute(self, sinks: Iterable[Sink], keep: Iterable[Node] = ()) -> None:
        """Write the computation of all nodes of the sinks and of `keep`, which stay in memory."""
        waiting = list(sinks)
        kept = set(keep) | set(self._lasting)
        plan = schedule([*(s.node for s in waiting), *keep], set(self._places), kept)
        self._linear, self._kept = plan.linear, plan.kept
        late = self._late(waiting, plan)
        plan.kept.update(sink.node for sink in late)
        self._assign(waiting, plan)
        for instruction in plan.instructions:
            if isinstance(instruction, Call):
                self._call(instruction.node)
                continue
            local = [n for n in instruction.nodes if n not in plan.linear]
            now = [s for s in waiting if s.node in local and s not in late]
            waiting = [s for s in waiting if s not in now]
            self._loop(instruction, now)
        for size in dict.fromkeys(s.node.size for s in waiting):
            self._loop(Loop(size, ()), [s for s in waiting if s.node.size == size])

    def _late(self, sinks: list[Sink], plan: Schedule) -> list[Sink]:
        """Return the sinks that must wait until the end, because they overwrite what is read until then."""
        loops = [(i, set(ins.nodes)) for i, ins in enumerate(plan.instructions) if isinstance(ins, Loop)]
        return [s for s in sinks for i, nodes in loops if s.node in nodes and self._read_later(s, plan, i, sinks)]

    # Places --------------------------------------------------------------------------------------------------------

    def _assign(self, waiting: list[Sink], plan: Schedule) -> None:
        """Give a place to every node that needs one: that of its sink where it may be written there at once."""
        for i, instruction in enumerate(plan.instructions):
            for node in instruction.nodes if isinstance(instruction, Loop) else (instruction.node,):
                if node not in plan.kept or node in self._places:
                    continue
                sink = next((s for s in waiting if s.node is node and not s.add), None)
                if sink is not None and node not in self._lasting and self._may_write(sink, plan, i, waiting):
                    self._places[node] = sink.place
                    waiting.remove(sink)
                elif not self._is_slice(node) or self._must_last_itself(node, sink):
                    self._places[node] = self._new_place(node)

    def _must_last_itself(self, node: Node, sink: Sink | None) -> bool:
        """Whether a slice that lasts is a slice of what does not, or is written elsewhere besides."""
        return node in self._lasting and (sink is not None or not self.place(node.inputs[0]).step)

    def _may_write(self, sink: Sink, plan: Schedule, index: int, waiting: list[Sink]) -> bool:
        """Whether the node may be computed in the place of its sink."""
        linear = plan.linear.get(sink.node)
        if linear is not None:
            vectors = [self._places.get(p.inputs[0]) for p in linear.products]
            if sink.place.step == "after" or any(v is not None and v.at == sink.place.at for v in vectors):
                return False
        return not self._read_later(sink, plan, index, waiting)

    def _read_later(self, sink: Sink, plan: Schedule, index: int, waiting: list[Sink]) -> bool:
        """Whether anything after an instruction still reads what the sink would overwrite, or a call at that moment."""
        over = self._in_place(sink.place)
        if sink.add or not over:
            return False
        # A loop reads each lane before it writes it; a call reads one number after others are written.
        begin = index + isinstance(plan.instructions[index], Loop)
        later = {i for ins in plan.instructions[begin:] for i in plan.reads_of(ins)}
        later |= {s.node for s in waiting if s is not sink}
        return bool(over & later)

    def _in_place(self, place: Place) -> set[Node]:
        """Return the nodes whose numbers stand there."""
        return {n for n, other in self._places.items() if other.at == place.at and other.step == place.step}

    def _new_place(self, node: Node) -> Place:
        name = self._name(node)
        if node in self._lasting:
            return self._memory.buffer(name, node.size, "steps", self._row)
        return self._memory.buffer(name, node.size, self._room)

    def _name(self, node: Node) -> str:
        return self._words.name(node) or node.operation

    def _is_slice(self, node: Node) -> bool:
        """Whether the node is a run of another one's numbers and can be read where they stand."""
        return node.operation == "take" and node not in self._clean and _run(node.attributes[0]) is not None

    def place(self, node: Node) -> Place:
        """Return where the numbers of a node stand in memory."""
        if node in self._places:
            return self._places[node]
        if node.is_constant:
            return self._memory.constant(node)
        if self._weights.knows(node):
            return self._weights.vector(node)
        if self._is_slice(node):
            whole, start = self.place(node.inputs[0]), _run(node.attributes[0])
            offset = self._memory.number(int(start or 0), "offset")
            extra = f"{whole.extra} + {offset}" if whole.extra else offset
            return replace(whole, size=node.size, extra=extra)
        raise AssertionError(f"{node} has no place")

    def _base(self, place: Place) -> str:
        return place.base("r" if self._rows else "")

    def _read(self, node: Node) -> str:
        """Return the expression for lanes of a node in a loop over `j`."""
        if node.is_constant and np.all(node.numbers == node.numbers[0]):
            return _literal(float(node.numbers[0]))
        place = self.place(node)
        if place.size == 1:
            return f"spread({place.array}, {self._base(place)})"
        return f"load({place.array}, {self._base(place)} + j)"

    # Loops ---------------------------------------------------------------------------------------------------------

    def _loop(self, loop: Loop, sinks: list[Sink]) -> None:
        if loop.nodes or sinks:
            with self._writer.section(self._told(loop, sinks)):
                self._over_rows(lambda: self._over_lanes(loop, sinks))

    def _told(self, loop: Loop, sinks: list[Sink]) -> str:
        """Return what a loop computes, in the model's words: as equations if they fit in a line, else the names."""
        told: list[tuple[str, str]] = []
        for node in loop.nodes:
            linear = self._linear.get(node)
            if linear is not None and linear.terms:
                told.append((f"{self._name(node)} =", " + ".join(self._words.operand(term) for term in linear.terms)))
            elif linear is None and node in self._kept:
                told.append((f"{self._name(node)} =", self._words.expression(node)))
        for sink in sinks:
            inside = sink.node in loop.nodes and sink.node not in self._kept and not sink.add
            right = self._words.expression(sink.node) if inside else self._words.operand(sink.node)
            name = f"d_{sink.place.at}" if sink.place.array == "g" else sink.place.at
            if name != right:
                told.append((f"{name} {'+=' if sink.add else '='}", right))
        text = "; ".join(f"{left} {right}" for left, right in told)
        if len(text) > LONGEST:
            text = ", ".join(dict.fromkeys(left.split()[0] for left, _ in told))
        return text if len(text) <= LONGEST else f"{text[: text.rfind(',', 0, LONGEST)]}, ..."

    def _over_rows(self, body: Callable[[], None]) -> None:
        if not self._rows:
            body()
            return
        with self._writer.block(f"for r in range({self._rows}):"), self._writer.prepared(self._prepare):
            body()

    def each_row(self, node: Node, call: str) -> None:
        """Write a call for each row of a node; ``{}`` in it stands for the row's array and offset."""
        self._over_rows(lambda: self._writer.line(call.format(self._memory_of(node))))

    def _over_lanes(self, loop: Loop, sinks: list[Sink]) -> None:
        local: dict[Node, str] = {}
        uses = self._uses(loop, sinks)
        if not sinks and all(n in self._linear and not self._linear[n].terms for n in loop.nodes):
            return
        with self._writer.block(f"for j in range(0, {self._memory.padded(loop.size)}, {LANES}):"):
            for node in loop.nodes:
                linear = self._linear.get(node)
                if linear is None:
                    self._compute_lanes(node, local, uses)
                elif linear.terms and not self._overwrites(node):
                    self._store(self._places[node], self._begun(linear, local), node)
            # All is read before anything is overwritten that something in the loop may read.
            last = [n for n in loop.nodes if n in self._places and self._overwrites(n)]
            several = len(sinks) + len(last) > 1
            texts = [self._settled(sink.node, self._operand(sink.node, local), several) for sink in sinks]
            for node in last:
                linear = self._linear.get(node)
                if linear is None:
                    texts.append(local[node])
                elif linear.terms:
                    texts.append(self._settled(node, self._begun(linear, local), several))
            begun = [n for n in last if n not in self._linear or self._linear[n].terms]
            for sink, text in zip(sinks, texts[: len(sinks)], strict=True):
                self._write_sink(sink, text)
            for node, text in zip(begun, texts[len(sinks) :], strict=True):
                self._store(self._places[node], text, node)

    def _overwrites(self, node: Node) -> bool:
        """Whether the node is written where the numbers of another one stand, such as a gradient over that before."""
        return bool(self._in_place(self._places[node]) - {node})

    def _begun(self, linear: Linear, local: dict[Node, str]) -> str:
        return " + ".join(self._operand(term, local) for term in linear.terms)

    def _settled(self, node: Node, text: str, several: bool) -> str:
        if several and not text.isidentifier() and not node.is_constant:
            name = self._memory.names.new(f"{self._name(node)}_j")
            self._writer.line(f"{name} = {text}")
            return name
        return text

    def _write_sink(self, sink: Sink, text: str) -> None:
        if not sink.add:
            self._store(sink.place, text, sink.node)
            return
        base = f"{sink.place.array}, {self._base(sink.place)} + j"
        self._writer.line(f"store({base}, load({base}) + {self._cleaned(text, sink.node)})")

    def _compute_lanes(self, node: Node, local: dict[Node, str], uses: dict[Node, int]) -> None:
        arguments = [self._operand(i, local) for i in node.inputs]
        text = OPERATIONS[node.operation].emitted.format(*arguments)
        stored = node in self._kept and not self._overwrites(node)
        if not self._words.name(node) and node not in self._kept and uses.get(node, 0) == 1 and len(text) < 60:
            local[node] = f"({text})"
            return
        if stored and not uses.get(node, 0):
            self._store(self._places[node], text, node)
            local[node] = text
            return
        local[node] = self._memory.names.new(f"{self._name(node)}_j")
        self._writer.line(f"{local[node]} = {text}")
        if stored:
            self._store(self._places[node], local[node], node)

    def _uses(self, loop: Loop, sinks: list[Sink]) -> dict[Node, int]:
        uses: dict[Node, int] = {}
        for node in loop.nodes:
            linear = self._linear.get(node)
            for child in node.inputs if linear is None else linear.terms:
                uses[child] = uses.get(child, 0) + 1
        for sink in sinks:
            uses[sink.node] = uses.get(sink.node, 0) + 1
        return uses

    def _operand(self, node: Node, local: dict[Node, str]) -> str:
        return local[node] if local.get(node) else self._read(node)

    def _store(self, place: Place, text: str, node: Node) -> None:
        if node in self._clean:
            text = self._cleaned(text, node)
        self._writer.line(f"store({place.array}, {self._base(place)} + j, {text})")

    def _cleaned(self, text: str, node: Node) -> str:
        """Return the expression with zeros in its padding."""
        if node.size % LANES == 0 or text == "0.0":
            return text
        if node.is_constant:
            text = f"full({text})"
        return f"keep({text}, {self._memory.number(node.size)} - j)"

    # Products and calls --------------------------------------------------------------------------------------------

    def _call(self, node: Node) -> None:
        linear = self._linear.get(node)
        if linear is not None:
            with self._writer.block("if t > 0:" if node in self._later_only else ""):
                self._products(node, linear)
            return
        if self._is_slice(node) and node not in self._places:
            self.place(node.inputs[0])
            return
        write = getattr(self, f"_write_{node.operation}")
        out = self._places[node]
        with self._writer.section(f"{self._name(node)} = {self._words.expression(node)}"):
            self._over_rows(lambda: self._writer.lines_of(write(node, f"{out.array}, {self._base(out)}")))

    def _products(self, node: Node, linear: Linear) -> None:
        # What is zero at the first step comes last, so that there is something to add it to.
        ordered = sorted(linear.products, key=lambda p: p.inputs[0] in self._zero_at_first)
        for i, product in enumerate(ordered):
            add = bool(linear.terms) or i > 0
            skipped = add and product.inputs[0] in self._zero_at_first and node not in self._later_only
            what = self._words.expression(node) if product is node else self._words.operand(product)
            told = f"{self._name(node)} {'+=' if add else '='} {what}"
            with self._writer.block("if t > 0:" if skipped else ""), self._writer.section(told):
                self._product(node, product, add)

    def _product(self, node: Node, product: Node, add: bool) -> None:
        """Write `node (+)= vector @ matrix`."""
        vector, right = product.inputs
        _, k, n, _ = product.attributes
        out, v = self._places[node], self.place(vector)
        weight = self._weights.weight(right) if self._weights.knows(right) else None
        if weight is None or not fits(product, weight):
            self._plain_product(node, product, add)
            return
        matrix = self._weights.matrix(right)
        if not reads_as_stored(product, weight):
            if n < LANES:
                self._dots(out, v, matrix, n, k, add)
                return
            matrix = self._weights.transposed(right)
        self._multiply(out, v, matrix, k, n, add)

    def _multiply(self, out: Place, v: Place, matrix: Matrix, k: int, n: int, add: bool) -> None:
        steps, columns = self._memory.number(k), self._memory.padded(n)
        right = f"{matrix.array}, {matrix.at}, {matrix.stride}"
        left, target = f"{v.array}, {v.base()}", f"{out.array}, {out.base()}"
        if self._rows:
            sizes = f"{self._rows}, {steps}, {columns}"
            self._writer.line(f"multiply({target}, {out.stride}, {left}, {v.stride}, 1, {right}, {sizes}, {add})")
        else:
            self._writer.line(f"multiply_row({target}, {left}, {right}, {steps}, {columns}, {add})")

    def _dots(self, out: Place, v: Place, matrix: Matrix, n: int, k: int, add: bool) -> None:
        def body() -> None:
            target = f"{out.array}, {self._base(out)}"
            if not add:
                self._writer.line(
                    f"fill({out.array}, {self._base(out)}, {self._base(out)} + {self._memory.padded(n)}, 0.0)"
                )
            right = f"{matrix.array}, {matrix.at}, {matrix.stride}"
            counts = f"{self._memory.number(n)}, {self._memory.padded(k)}"
            self._writer.line(f"add_dots({target}, {v.array}, {self._base(v)}, {right}, {counts})")

        self._over_rows(body)

    def _plain_product(self, node: Node, product: Node, add: bool) -> None:
        out = self._places[node]
        self._over_rows(lambda: self._writer.line(self._write_matmul(product, f"{out.array}, {self._base(out)}", add)))

    def _memory_of(self, node: Node) -> str:
        place = self.place(node)
        return f"{place.array}, {self._base(place)}"

    def _numbers(self, *values: int) -> str:
        return ", ".join(self._memory.number(value) for value in values)

    def _write_matmul(self, node: Node, out: str, add: bool = False) -> str:
        left, right = (self._memory_of(i) for i in node.inputs)
        m, k, n, transposed = node.attributes
        return f"multiply_plain({out}, {left}, {right}, {self._numbers(m, k, n)}, {transposed}, {add})"

    def _write_outer(self, node: Node, out: str) -> str:
        left, right = (self._memory_of(i) for i in node.inputs)
        sizes = self._numbers(node.inputs[0].size, 1, node.inputs[1].size)
        return f"multiply_plain({out}, {left}, {right}, {sizes}, False, False)"

    def _write_take(self, node: Node, out: str) -> str:
        source = self._memory_of(node.inputs[0])
        return f"take({out}, {source}, tables, {self._memory.table(node.attributes[0])}, {self._numbers(node.size)})"

    def _write_put(self, node: Node, out: str) -> str:
        source, table = self._memory_of(node.inputs[0]), self._memory.table(node.attributes[0])
        return f"put({out}, {source}, tables, {table}, {self._numbers(node.inputs[0].size, node.size)})"

    def _write_join(self, node: Node, out: str) -> str:
        # One call a line.
        calls = []
        for part, places in zip(node.inputs, node.attributes[0], strict=True):
            table = self._memory.table(places)
            calls.append(f"spread_out({out}, {self._memory_of(part)}, tables, {table}, {self._numbers(part.size)})")
        return "\n".join(calls)

    def _write_sum(self, node: Node, out: str) -> str:
        return f"sum_axis({out}, {self._memory_of(node.inputs[0])}, {self._numbers(*node.attributes)})"

    def _write_softmax(self, node: Node, out: str) -> str:
        return f"softmax_axis({out}, {self._memory_of(node.inputs[0])}, {self._numbers(*node.attributes)}, False)"

    def _write_log_softmax(self, node: Node, out: str) -> str:
        return f"softmax_axis({out}, {self._memory_of(node.inputs[0])}, {self._numbers(*node.attributes)}, True)"


def _run(indices: bytes) -> int | None:
    """Return where a run of neighbouring indices begins; None where they are no run."""
    where = indices_of(indices)
    return int(where[0]) if np.array_equal(where, np.arange(where[0], where[0] + len(where))) else None


def _literal(value: float) -> str:
    number = np.float32(value)
    return str(number) if np.isfinite(number) else f"np.float32('{number}')"
