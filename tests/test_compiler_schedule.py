"""Schedules: the instructions, done in order, compute the graph, and read only what is done."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from myrnn.compiler import ops
from myrnn.compiler.graph import Builder, evaluate, topological
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.schedule import Call, Loop, is_map, schedule


@st.composite
def graphs(draw):
    """Return leaves, some targets of a random graph with products, sums over features and single numbers, and keeps."""
    build = Builder(simplify=draw(st.booleans()))
    leaves = [build.leaf("state", i, size=size) for i, size in enumerate((4, 4, 1, 3))]
    leaves += [build.leaf("parameter", i, size=size) for i, size in enumerate((16, 12, 12))]
    nodes = leaves[:4]
    for _ in range(draw(st.integers(1, 25))):
        a = draw(st.sampled_from(nodes))
        fitting = [n for n in nodes if n.size in (a.size, 1) or a.size == 1]
        kind = draw(st.sampled_from(["add", "add", "multiply", "tanh", "product", "product", "sum", "take"]))
        if kind == "product" and a.size in (3, 4):
            n = draw(st.sampled_from([3, 4]))
            weight = {(4, 4): 4, (4, 3): 5, (3, 4): 6}.get((a.size, n))
            if weight is not None:
                nodes.append(ops.matmul(a, leaves[weight], m=1, k=a.size, n=n, transposed=False))
        elif kind == "sum":
            nodes.append(ops.total(a, outer=1, n=a.size, inner=1))
        elif kind == "take" and a.size > 1:
            nodes.append(ops.take(a, indices=np.arange(a.size)[::-1]))
        elif kind == "tanh":
            nodes.append(ops.tanh(a))
        elif kind in ("add", "multiply"):
            nodes.append(build.make(kind, a, draw(st.sampled_from(fitting))))
    targets = draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=4))
    keep = draw(st.sets(st.sampled_from(nodes), max_size=3))
    return leaves, targets, keep


def executed(plan, known):
    """Do the instructions in order with NumPy; everything read outside its own loop must be done, and in memory."""
    memory = dict(known)

    def read(node):
        return node.numbers.astype(float) if node.is_constant else memory[node]

    for instruction in plan.instructions:
        if isinstance(instruction, Call) and instruction.node in plan.linear:
            node = instruction.node
            for product in plan.linear[node].products:
                arrays = [read(i) for i in product.inputs]
                memory[node] = memory[node] + OPERATIONS["matmul"].reference(*arrays, *product.attributes)
        elif isinstance(instruction, Call):
            node = instruction.node
            memory[node] = OPERATIONS[node.operation].reference(*map(read, node.inputs), *node.attributes)
        else:
            loop(instruction, plan, memory, read)
    return memory


def loop(instruction, plan, memory, read):
    local = {}
    for node in instruction.nodes:
        assert node.size == instruction.size
        if node in plan.linear:
            terms = [local[t] if t in local else read(t) for t in plan.linear[node].terms]
            memory[node] = sum((np.broadcast_to(t, node.size) for t in terms), np.zeros(node.size))
            continue
        inputs = [local[i] if i in local else read(i) for i in node.inputs]
        local[node] = OPERATIONS[node.operation].reference(*inputs, *node.attributes)
        if node in plan.kept:
            memory[node] = local[node]


@given(graphs(), st.integers(0, 2**32 - 1))
def test_the_instructions_compute_the_graph(drawn, seed):
    leaves, targets, keep = drawn
    rng = np.random.default_rng(seed)
    known = {leaf: rng.uniform(-1, 1, leaf.size) for leaf in leaves}
    wanted = [*dict.fromkeys([*targets, *(n for n in topological(targets) if n in keep and n.inputs)])]
    plan = schedule(wanted, set(leaves), set(wanted))
    memory = executed(plan, known)
    for node, value in zip(wanted, evaluate(wanted, known, np.float64), strict=True):
        found = node.numbers if node.is_constant else memory[node]
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12)


@given(graphs())
def test_every_node_is_computed_once_and_nothing_is_forgotten(drawn):
    leaves, targets, keep = drawn
    plan = schedule(targets, set(leaves), keep)
    absorbed = {p for linear in plan.linear.values() for p in linear.products}
    computed = []
    for instruction in plan.instructions:
        if isinstance(instruction, Loop):
            computed += [n for n in instruction.nodes if n not in plan.linear]
            assert all(is_map(n, plan.linear) or n in plan.linear for n in instruction.nodes)
        else:
            computed.append(instruction.node)
    assert len(computed) == len(set(computed))
    needed = {n for n in topological(targets) if n.inputs}
    assert {t for t in targets if t.inputs} <= set(computed) <= needed
    # What is not computed by itself is a product, or an inner sum, of a linear node.
    assert all(n in absorbed or n.operation == "add" for n in needed - set(computed))


def test_a_sum_of_products_is_one_linear_node():
    build = Builder()
    h, x, bias = (build.leaf("state", i, size=4) for i in range(3))
    weight = build.leaf("parameter", 0, size=16)
    products = [ops.matmul(v, weight, m=1, k=4, n=4, transposed=False) for v in (h, x)]
    total = ops.add(ops.add(products[0], bias), products[1])
    plan = schedule([ops.tanh(total)], {h, x, bias, weight}, set())
    assert set(plan.linear) == {total}
    assert plan.linear[total].products == tuple(products) and plan.linear[total].terms == (bias,)
    assert [type(i) for i in plan.instructions] == [Loop, Call, Loop]


def test_a_product_that_is_read_twice_stands_alone():
    build = Builder()
    h, weight = build.leaf("state", 0, size=4), build.leaf("parameter", 0, size=16)
    product = ops.matmul(h, weight, m=1, k=4, n=4, transposed=False)
    total = product + h
    plan = schedule([total, ops.tanh(product)], {h, weight}, set())
    assert product in plan.linear and total not in plan.linear


def test_what_is_available_is_not_computed_again():
    build = Builder()
    h = build.leaf("state", 0, size=4)
    middle = ops.exp(h)
    plan = schedule([ops.tanh(middle)], {middle}, set())
    assert plan.instructions == [Loop(4, (ops.tanh(middle),))]
    assert schedule([middle], {middle}, set()).instructions == []
