"""Products of a vector and a weight, added up where their sum stands."""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.compiler._calls import plain_product
from myrnn.compiler._memory import Place
from myrnn.compiler._scope import Scope
from myrnn.compiler._weights import Matrix
from myrnn.compiler.graph import Node
from myrnn.compiler.plan import fits, reads_as_stored
from myrnn.compiler.schedule import Linear


@dataclass(frozen=True)
class FirstStep:
    """What need not be computed at step 0.

    Attributes
    ----------
    zero : frozenset of Node
        Vectors that are zero there, so that their products can be left out.
    unread : frozenset of Node
        Nodes that nothing reads there.
    """

    zero: frozenset[Node] = frozenset()
    unread: frozenset[Node] = frozenset()


def write_products(scope: Scope, node: Node, linear: Linear, first: FirstStep) -> None:
    """Write the products of a linear node, which a loop has begun with its terms if it has any."""
    # What is zero at the first step comes last, so that there is something to add it to.
    ordered = sorted(linear.products, key=lambda p: p.inputs[0] in first.zero)
    with scope.writer.block("if t > 0:" if node in first.unread else ""):
        for i, product in enumerate(ordered):
            add = bool(linear.terms) or i > 0
            skipped = add and product.inputs[0] in first.zero and node not in first.unread
            what = scope.words.expression(node) if product is node else scope.words.operand(product)
            told = f"{scope.words.label(node)} {'+=' if add else '='} {what}"
            with scope.writer.block("if t > 0:" if skipped else ""), scope.writer.section(told):
                _write_product(scope, scope.places.known[node], product, add)


def _write_product(scope: Scope, out: Place, product: Node, add: bool) -> None:
    """Write `out (+)= vector @ matrix`."""
    places, weights = scope.places, scope.places.weights
    vector, right = product.inputs
    v = places.of(vector)
    weight = weights.weight(right) if weights.knows(right) else None
    if weight is None or not fits(product, weight):
        scope.write_calls(plain_product(places, product, places.address(out), add))
        return
    _, k, n, _ = product.attributes
    if reads_as_stored(product, weight):
        _write_by_rows(scope, out, v, weights.matrix(right), k, n, add)
    elif weight.flipped:
        _write_dots(scope, out, v, weights.matrix(right), k, n, add)
    else:
        _write_by_rows(scope, out, v, weights.transposed(right), k, n, add)


def _write_by_rows(scope: Scope, out: Place, v: Place, matrix: Matrix, k: int, n: int, add: bool) -> None:
    """Add up the rows of the matrix, each times its element of the vector: of all sequences at once."""
    steps, columns = scope.places.memory.number(k), scope.places.memory.padded(n)
    right = f"{matrix.array}, {matrix.at}, {matrix.stride}"
    left, target, rows = f"{v.array}, {v.base()}", f"{out.array}, {out.base()}", scope.places.rows
    if rows:
        sizes = f"{rows}, {steps}, {columns}"
        scope.writer.line(f"multiply({target}, {out.stride}, {left}, {v.stride}, 1, {right}, {sizes}, {add})")
    else:
        scope.writer.line(f"multiply_row({target}, {left}, {right}, {steps}, {columns}, {add})")


def _write_dots(scope: Scope, out: Place, v: Place, matrix: Matrix, k: int, n: int, add: bool) -> None:
    """Multiply the vector by each row of the matrix: better than a transposed copy where there are few of them."""
    places, memory = scope.places, scope.places.memory
    target = places.address(out)
    begin = [] if add else [f"fill({target}, {places.base(out)} + {memory.padded(n)}, 0.0)"]
    right = f"{matrix.array}, {matrix.at}, {matrix.stride}"
    counts = f"{memory.number(n)}, {memory.padded(k)}"
    scope.write_calls([*begin, f"add_dots({target}, {places.address(v)}, {right}, {counts})"])
