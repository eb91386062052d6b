"""Products that are written in other ways become products, with the same numbers and derivatives."""

import numpy as np
import pytest

from myrnn.compiler import ops
from myrnn.compiler.derive import pull_back
from myrnn.compiler.fuse import fuse
from myrnn.compiler.graph import Builder, evaluate, topological
from myrnn.compiler.leaves import Gradient, LoopState, Parameter

# The sizes of the leaves of the cases below.
SIZES = {"u": 3, "v": 4, "k": 6, "q": 6, "s": 1, "m": 12, "n": 12, "w": 4, "S": 18, "z": 2}


def rows(node, columns):
    """Repeat each number along a line."""
    return ops.spread(node, node.size, columns, 1)


def lines(node, count, matrices=1):
    """Repeat whole lines, those of several matrices apart."""
    return ops.spread(node, matrices, count, node.size // matrices)


def two(left, right):
    """Return two matrices, as for two heads."""
    return rows(left, 3) * lines(right, 3, 2)


# The expression, and the operations that it becomes, besides those that are free.
CASES = {
    "a column times a row": (lambda u, v, **_: rows(u, 4) * lines(v, 3), ["outer"]),
    "a row times a column": (lambda u, v, **_: lines(v, 3) * rows(u, 4), ["outer"]),
    "of two matrices": (lambda k, q, **_: two(k, q), ["outer"]),
    "times a number": (lambda u, v, s, **_: s * (rows(u, 4) * lines(v, 3)), ["multiply", "outer"]),
    "of two matrices times a number": (lambda k, q, s, **_: two(k, q) * s, ["multiply", "outer"]),
    "of two matrices times a number for each": (
        lambda k, q, z, **_: two(k, q) * ops.spread(z, 2, 9, 1),
        ["multiply", "outer"],
    ),
    "of two matrices with a factor for each column": (
        lambda k, q, **_: two(k, q) * lines(q, 3, 2),
        ["multiply", "outer"],
    ),
    "divided by a number": (lambda u, v, s, **_: (rows(u, 4) * lines(v, 3)) / s, ["divide", "outer"]),
    "subtracted": (lambda u, v, m, **_: m - ops.outer(u, v), ["negative", "outer", "add"]),
    "with a factor for each row": (lambda u, v, **_: ops.outer(u, v) * rows(u, 4), ["multiply", "outer"]),
    "with a factor for each column": (lambda u, v, **_: lines(v, 3) * ops.outer(u, v), ["multiply", "outer"]),
    "a sum of products": (lambda m, n, **_: ops.total(m * n, outer=1, n=12, inner=1), ["matmul"]),
    "a sum of products with a parameter": (lambda v, w, **_: ops.total(w * v, outer=1, n=4, inner=1), ["matmul"]),
    "a sum over rows": (lambda u, m, **_: ops.total(m * rows(u, 4), outer=1, n=3, inner=4), ["matmul"]),
    "a sum over columns": (lambda v, m, **_: ops.total(lines(v, 3) * m, outer=3, n=4, inner=1), ["matmul"]),
    "sums over rows of two matrices": (
        lambda k, S, **_: ops.total(S * rows(k, 3), outer=2, n=3, inner=3),
        ["matmul"],
    ),
    "sums over columns of two matrices": (
        lambda k, S, **_: ops.total(lines(k, 3, 2) * S, outer=6, n=3, inner=1),
        ["matmul"],
    ),
    "a sum of repeated numbers over the other axis": (
        lambda u, m, **_: ops.total(m * rows(u, 4), outer=3, n=4, inner=1),
        ["multiply", "sum"],
    ),
    "a slice of a multiple": (lambda s, m, **_: ops.take(s * m, indices=np.arange(3, 7)), ["multiply"]),
    "a multiple put into a vector": (
        lambda s, v, **_: ops.put(v * ops.tanh(s), indices=np.arange(4), size=9),
        ["tanh", "put", "multiply"],
    ),
    # Zero times infinity would not be zero.
    "a multiple by any number put into a vector": (
        lambda s, v, **_: ops.put(v * s, indices=np.arange(4), size=9),
        ["multiply", "put"],
    ),
    "element by element": (lambda u, m, **_: m * rows(u, 4), ["multiply"]),
}


def made(make, simplify):
    """Return the leaves by name, the node, and the gradients of the leaves."""
    build = Builder(simplify=simplify)
    leaves = {
        name: build.leaf(Parameter(0) if name == "w" else LoopState(i), size)
        for i, (name, size) in enumerate(SIZES.items())
    }
    node = make(**leaves)
    gradient = build.leaf(Gradient(LoopState(99)), node.size)
    terms, _ = pull_back(build, [node], [gradient])
    return {**leaves, "gradient": gradient}, node, {name: terms.get(leaf, []) for name, leaf in leaves.items()}


@pytest.mark.parametrize(("make", "operations"), CASES.values(), ids=CASES)
def test_products_are_found_and_have_the_same_numbers_and_gradients(make, operations):
    results = []
    for simplify in (False, True):
        leaves, node, terms = made(make, simplify)
        rng = np.random.default_rng(0)
        known = {leaf: rng.uniform(0.5, 2, leaf.size) for leaf in leaves.values()}
        gradients = [sum(evaluate(several, known, np.float64)) for several in terms.values()]
        results.append([*evaluate([node], known, np.float64), *gradients])
    assert [n.operation for n in topological([node]) if n.inputs and n.operation != "take"] == operations
    for plain, simpler in zip(*results, strict=True):
        np.testing.assert_allclose(simpler, plain, rtol=1e-12)


def test_gradients_of_products_are_products():
    _, _, terms = made(CASES["of two matrices times a number"][0], simplify=True)
    found = topological([term for several in terms.values() for term in several])
    assert "sum" not in {node.operation for node in found}
    assert max(n.size for n in found if n.operation in ("multiply", "expand")) < 18


def test_products_of_several_matrices_are_added_in_place():
    leaves, node, _ = made(lambda k, q, S, **_: S + two(k, q), simplify=True)
    fused = fuse([node], set(leaves.values()), set())
    (linear,) = fused.linear.values()
    assert linear.base is not None and linear.base.node is leaves["S"] and len(fused.groups) == 2
