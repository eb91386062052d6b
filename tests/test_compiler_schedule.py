"""Schedules: which operations share a loop, and the printed instructions of programs."""

import dataclasses
import itertools

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from marks import most_are_long
from myrnn.compiler import compile, ops
from myrnn.compiler.addresses import Address, Buffer, Size
from myrnn.compiler.derive import ProgramKind
from myrnn.compiler.fuse import Linear, fuse, loop_size, multiplied
from myrnn.compiler.graph import Builder, evaluate, topological
from myrnn.compiler.instructions import Comment, elements
from myrnn.compiler.joined import ranges_of
from myrnn.compiler.leaves import LoopState, Parameter
from myrnn.compiler.ops import OPERATIONS, parts_in_place
from myrnn.compiler.plan import MICRO_BATCH, MICRO_BATCH_APART, MICRO_BATCH_LARGE, plan
from myrnn.compiler.render.numba import emit
from myrnn.compiler.runtime import LANES
from myrnn.compiler.schedule import schedule
from myrnn.models import RNN


@st.composite
def graphs(draw):
    """Return leaves, targets and stored nodes of a random graph with products, feature sums and single numbers."""
    build = Builder(simplify=draw(st.booleans()))
    leaves = [build.leaf(LoopState(i), size) for i, size in enumerate((4, 4, 1, 3))]
    leaves += [build.leaf(Parameter(i), size) for i, size in enumerate((16, 12, 12))]
    nodes = leaves[:4]
    for _ in range(draw(st.integers(1, 25))):
        a = draw(st.sampled_from(nodes))
        fitting = [n for n in nodes if n.size in (a.size, 1) or a.size == 1]
        kind = draw(
            st.sampled_from(
                ["add", "add", "multiply", "tanh", "product", "product", "sum", "dot", "take", "slice", "put", "join"]
            )
        )
        if kind == "product" and a.size in (3, 4):
            n = draw(st.sampled_from([3, 4]))
            weight = {(4, 4): 4, (4, 3): 5, (3, 4): 6}.get((a.size, n))
            if weight is not None:
                nodes.append(ops.matmul(a, leaves[weight], m=1, k=a.size, n=n))
        elif kind == "sum":
            nodes.append(ops.total(a, outer=1, n=a.size, inner=1))
        elif kind == "dot" and a.size > 1:
            b = draw(st.sampled_from([n for n in nodes if n.size == a.size]))
            nodes.append(ops.matmul(a, b, m=1, k=a.size, n=1))
        elif kind == "take" and a.size > 1:
            nodes.append(ops.take(a, indices=np.arange(a.size)[::-1]))
        elif kind == "slice" and a.size == 4:
            nodes.append(ops.take(a, indices=np.arange(3) + draw(st.integers(0, 1))))
        elif kind == "put" and a.size == 3:
            nodes.append(ops.put(a, indices=np.arange(3) + draw(st.integers(0, 1)), size=4))
        elif kind == "join" and a.size in (1, 3):
            b = draw(st.sampled_from([n for n in nodes if n.size == 4 - a.size]))
            nodes.append(ops.join(a, b, places=[np.arange(a.size), np.arange(a.size, 4)]))
        elif kind == "tanh":
            nodes.append(ops.tanh(a))
        elif kind in ("add", "multiply"):
            nodes.append(build.make(kind, a, draw(st.sampled_from(fitting))))
    targets = draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=4))
    keep = draw(st.sets(st.sampled_from(nodes), max_size=3))
    return leaves, targets, keep


def executed(fused, known):
    """Run the groups in order with NumPy; values read outside of their loop must be computed and in memory."""
    memory = dict(known)

    def read(node):
        return node.numbers.astype(float) if node.is_constant else memory[node]

    for is_loop, nodes in fused.groups:
        if is_loop:
            loop(nodes, fused, memory, read)
        elif nodes[0] in fused.linear:
            (node,) = nodes
            if fused.linear[node].base is not None:
                factors, base = map(read, fused.linear[node].base)
                memory[node] = np.repeat(factors, node.size // len(factors)) * base
            for product in fused.linear[node].products:
                (value,) = evaluate([product], {i: read(i) for i in multiplied(product).inputs}, np.float64)
                memory[node] = memory.get(node, 0) + value
        else:
            (node,) = nodes
            memory[node] = OPERATIONS[node.operation].reference(*map(read, node.inputs), *node.attributes)
    return memory


def loop(nodes, fused, memory, read):
    local, totals = {}, {}
    for node in nodes:
        assert loop_size(node, fused.sums) == loop_size(nodes[0], fused.sums)
        if node in fused.linear:
            terms = [local[t] if t in local else read(t) for t in fused.linear[node].terms]
            memory[node] = sum((np.broadcast_to(t, node.size) for t in terms), np.zeros(node.size))
            continue
        # The parts of a joined vector are read from memory.
        parts = parts_in_place(node)
        inputs = [local[i] if i in local and parts is None else read(i) for i in node.inputs]
        value = OPERATIONS[node.operation].reference(*inputs, *node.attributes)
        if node in fused.sums:
            totals[node] = value
            continue
        assert parts is not None or OPERATIONS[node.operation].kind == "map"
        local[node] = value
        if node in fused.kept:
            memory[node] = local[node]
    memory.update(totals)


@given(graphs(), st.integers(0, 2**32 - 1))
def test_the_groups_compute_the_graph(drawn, seed):
    leaves, targets, keep = drawn
    rng = np.random.default_rng(seed)
    known = {leaf: rng.uniform(-1, 1, leaf.size) for leaf in leaves}
    wanted = [*dict.fromkeys([*targets, *(n for n in topological(targets) if n in keep and n.inputs)])]
    fused = fuse(wanted, set(leaves), set(wanted))
    memory = executed(fused, known)
    for node, value in zip(wanted, evaluate(wanted, known, np.float64), strict=True):
        found = node.numbers if node.is_constant else memory[node]
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12)


@given(graphs())
def test_every_node_is_computed_once_and_nothing_is_forgotten(drawn):
    leaves, targets, keep = drawn
    fused = fuse(targets, set(leaves), keep)
    absorbed = {p for linear in fused.linear.values() for p in linear.products}
    computed = [n for is_loop, nodes in fused.groups for n in nodes if not (is_loop and n in fused.linear)]
    assert len(computed) == len(set(computed))
    needed = {n for n in topological(targets) if n.inputs}
    assert {t for t in targets if t.inputs} <= set(computed) <= needed
    # A node that is not computed by itself is a product, or an inner sum, of a linear node.
    assert all(n in absorbed or n.operation == "add" for n in needed - set(computed))


def test_a_sum_of_products_becomes_one_linear_node():
    build = Builder()
    h, x, bias = (build.leaf(LoopState(i), 4) for i in range(3))
    weight = build.leaf(Parameter(0), 16)
    products = [ops.matmul(v, weight, m=1, k=4, n=4) for v in (h, x)]
    total = ops.add(ops.add(products[0], bias), products[1])
    fused = fuse([ops.tanh(total)], {h, x, bias, weight}, set())
    assert set(fused.linear) == {total}
    assert fused.linear[total].products == tuple(products) and fused.linear[total].terms == (bias,)
    assert [is_loop for is_loop, _ in fused.groups] == [True, False, True]


def test_a_loop_reads_joined_vectors_where_their_parts_are():
    build = Builder()
    a, b, gate = (build.leaf(LoopState(i), size) for i, size in enumerate((8, 32, 1)))
    shifted = ops.join(ops.tanh(a), ops.take(b, indices=np.arange(24)), places=[np.arange(8), np.arange(8, 32)])
    fused = fuse([gate * shifted + b], {a, b, gate}, set())
    assert [[n.operation for n in nodes] for _, nodes in fused.groups] == [
        ["take"],
        ["tanh"],
        ["join", "multiply", "add"],
    ]
    assert shifted not in fused.kept


def test_a_loop_sums_products_of_its_elements():
    build = Builder()
    a, b = (build.leaf(LoopState(i), 32) for i in range(2))
    dot = ops.matmul(a, b, m=1, k=32, n=1)
    both = fuse([dot * (a * b)], {a, b}, set())
    assert both.sums == {dot}
    assert [[n.operation for n in nodes] for _, nodes in both.groups] == [["matmul", "multiply"], ["multiply"]]
    # A function is faster than a loop with nothing else to compute.
    alone = fuse([dot], {a, b}, set())
    assert not alone.sums and set(alone.linear) == {dot}


def _number_at(read, element):
    """Return the number that a loop reads at an element: an address is a place among all numbers."""
    if isinstance(read, Address):
        return read.offset + element
    inside = [piece.address for piece in read.pieces if piece.begin.number <= element < piece.end.number]
    return sum(address.offset + element for address in inside)


@pytest.mark.parametrize(
    ("size", "runs"),
    [
        (40, []),
        (48, [(0, 16), (16, 48)]),
        (128, [(0, 8), (8, 128)]),
        (100, [(0, 70), (70, 100)]),
        (20, [(3, 5)]),
        (90, [(0, 1), (1, 2), (2, 40), (41, 90)]),
    ],
)
@pytest.mark.parametrize("lanes", [1, LANES])
def test_a_loop_reads_each_element_of_a_joined_vector_from_its_part(size, runs, lanes):
    vector, buffer = Builder().leaf(LoopState(0), size), Buffer("w", "parts", 10_000)
    # The parts lie apart: part i begins at number 1,000 i + 500.
    parts = [
        (Address(buffer, last - first, offset=1000 * i + 500), range(first, last))
        for i, (first, last) in enumerate(runs)
    ]
    found = ranges_of(Size(size, padded=lanes > 1), {vector: parts}, compact=lanes == 1)
    wanted = {e: a.offset + e - run.start for a, run in parts for e in run}
    end = 0
    for one in found:
        begin, past, read = (getattr(bound, "number", bound) for bound in (one.begin, one.end, one.joined[vector]))
        assert begin == end and begin % lanes == 0
        end = past if past < size else size
        assert [_number_at(read, e) for e in range(begin, end)] == [wanted.get(e, 0) for e in range(begin, end)]
        # Only lanes across the end of a part are read piece by piece.
        assert isinstance(read, Address) or not read.pieces or past - begin == lanes > 1
    assert end == size


@pytest.mark.parametrize(
    ("start", "count", "accumulates"), [(0, 16, True), (5, 16, True), (32, 8, True), (0, 8, False), (36, 4, False)]
)
def test_a_product_is_added_to_whole_lanes_of_a_sum_that_begins_before(start, count, accumulates):
    build = Builder()
    state, h = build.leaf(LoopState(0), 40), build.leaf(LoopState(1), 4)
    weight = build.leaf(Parameter(0), 4 * count)
    # The product reads the dot product, which the first loop computes beside the state's own term.
    vector = ops.tanh(h * ops.matmul(state, state, m=1, k=40, n=1))
    put = ops.put(ops.matmul(vector, weight, m=1, k=4, n=count), indices=np.arange(start, start + count), size=40)
    fused = fuse([state * 0.5 + put], {state, h, weight}, set())
    is_loop, first = fused.groups[0]
    assert is_loop and [n.operation for n in first] == ["multiply", "matmul", *["add"] * accumulates]
    assert (put in fused.linear.get(first[-1], Linear((), ())).products) == accumulates


@pytest.mark.parametrize(
    ("state", "factor", "node"),
    [
        (lambda s, gate: s, 1.0, "s"),
        (lambda s, gate: gate * s, "gate", "s"),
        (lambda s, gate: s * 0.5, 0.5, "s"),
        (lambda s, gate: ops.take(s, indices=np.arange(12)[::-1]), 1.0, "take"),
        (lambda s, gate: s * s, None, None),
        (lambda s, gate: ops.tanh(s), None, None),
    ],
    ids=["a state", "a gated state", "a multiple", "another order", "a square", "a function"],
)
def test_an_outer_product_is_added_to_what_is_in_memory_in_one_pass(state, factor, node):
    build = Builder()
    sizes = {"s": 12, "gate": 1, "k": 3, "v": 4}
    leaves = {name: build.leaf(LoopState(i), size) for i, (name, size) in enumerate(sizes.items())}
    read = state(leaves["s"], leaves["gate"])
    total = ops.add(read, ops.outer(leaves["k"], leaves["v"]))
    fused = fuse([total], set(leaves.values()), set())
    base = fused.linear[total].base
    if factor is None:
        assert base is None and fused.linear[total].terms == (read,)
        return
    assert base is not None and fused.linear[total].terms == ()
    assert base.factors is (leaves[factor] if factor in leaves else build.constant(factor))
    assert base.node is (leaves[node] if node in leaves else read)


def test_each_of_several_matrices_has_its_own_factor():
    build = Builder()
    s, gates, k, v, g = (build.leaf(LoopState(i), size) for i, size in enumerate((24, 2, 6, 8, 6)))
    total = ops.add(ops.multiply(ops.spread(gates, 2, 12, 1), s), ops.outer(k, v, 2))
    fused = fuse([total], {s, gates, k, v}, set())
    assert fused.linear[total].base == (gates, s)
    assert {node for _, nodes in fused.groups for node in nodes} == {total}
    # A multiple that something else reads is computed.
    multiple = total.inputs[0]
    fused = fuse([total, ops.tanh(multiple)], {s, gates, k, v}, set())
    assert fused.linear[total].base == (build.constant(1.0), multiple)
    assert multiple.inputs[0] in {node for _, nodes in fused.groups for node in nodes}
    # A number for each row is not one for each matrix.
    total = ops.add(ops.multiply(ops.spread(g, 6, 4, 1), s), ops.outer(k, v, 2))
    assert fuse([total], {s, g, k, v}, set()).linear[total].base is None


def test_a_product_that_is_read_twice_is_a_separate_node():
    build = Builder()
    h, weight = build.leaf(LoopState(0), 4), build.leaf(Parameter(0), 16)
    product = ops.matmul(h, weight, m=1, k=4, n=4)
    total = ops.add(product, h)
    fused = fuse([total, ops.tanh(product)], {h, weight}, set())
    assert product in fused.linear and total not in fused.linear


def test_available_values_are_not_computed_again():
    build = Builder()
    h = build.leaf(LoopState(0), 4)
    middle = ops.exp(h)
    fused = fuse([ops.tanh(middle)], {middle}, set())
    assert fused.groups == [(True, (ops.tanh(middle),))]
    assert fuse([middle], {middle}, set()).groups == []


KINDS = [ProgramKind(*flags) for flags in itertools.product((False, True), repeat=2)] + [
    ProgramKind(False, False, observed=True)
]


@pytest.mark.parametrize("model", most_are_long(zoo.ALL, 12))
def test_the_printed_schedule_is_the_emitted_one(model):
    compiled = compile(zoo.made(model), dim_input=model.C, check=False)
    for kind in KINDS:
        assert_printed_as_emitted(schedule(plan(dataclasses.replace(compiled.derivative, kind=kind))))


def assert_printed_as_emitted(found):
    every = list(elements(tuple(phase.body for phase in found.phases)))
    comments = {i.text for i in every if isinstance(i, Comment)} | {phase.title for phase in found.phases}
    emitted = {line.strip()[2:] for line in emit(found).source.splitlines() if line.strip().startswith("# ")}
    headings = {line for line in emitted if line == "sizes" or line.startswith("offsets of ")}
    assert emitted - headings == comments
    printed = str(found)
    assert all(comment in printed for comment in comments)
    # All sizes and offsets are known; nothing else has to be decided.
    buffers = {buffer.name for buffer in found.buffers}
    addresses = [i for i in every if isinstance(i, Address)]
    assert addresses and all(address.buffer.name in buffers for address in addresses)


class Sums:
    """Sums of products of two vectors, in a matrix."""

    def __init__(self, rows, columns):
        shapes = (3, rows), (3, columns), (columns, 2)
        self.k, self.v, self.y = self.parameters = tuple(mg.ones(shape, dtype=np.float32) for shape in shapes)

    def __call__(self, x):
        memory = mg.zeros((self.k.shape[1], self.v.shape[1]))
        for x_t in x:
            memory = memory + (x_t @ self.k)[:, None] * (x_t @ self.v)
        return mg.sum(memory, axis=0)[None] @ self.y


@pytest.mark.parametrize(
    ("model", "micro_batch"),
    [(RNN(3, 4, 2), MICRO_BATCH), (Sums(32, 64), MICRO_BATCH_APART), (Sums(3, 683), MICRO_BATCH_LARGE)],
)
def test_sequences_run_together_as_long_as_their_states_stay_in_the_cache(model, micro_batch):
    assert compile(model, dim_input=3, check=False).program(batched=True).micro_batch == micro_batch
