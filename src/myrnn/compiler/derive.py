"""Stages 3 and 4: hoisting out of the loop, and backpropagation through time, as graphs.

References
----------
Werbos, "Backpropagation through time: what it does and how to do it", 1990.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from myrnn.compiler.beforehand import move_beforehand
from myrnn.compiler.graph import (
    Builder,
    Node,
    fixed_nodes,
    leaves_of,
    substitute,
    substitutions,
    topological,
)
from myrnn.compiler.kept_products import Moved, move_products
from myrnn.compiler.leaves import (
    INPUT,
    OUTPUTS,
    WEIGHTS,
    CarriedNumbers,
    Derived,
    Drawn,
    Gradient,
    Kept,
    Leaf,
    Length,
    LoopState,
    Parameter,
    ParameterRows,
)
from myrnn.compiler.loops import Recurrence, chosen_by_time
from myrnn.compiler.loss import LossGraph, PenaltyGraph
from myrnn.compiler.ops import OPERATIONS, add, equal, expand, indices_of, join, run_of, select, total
from myrnn.compiler.split import split_product

# Hoisting -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hoisted:
    """A recurrence whose steps and readout read values that depend only on parameters as leaves."""

    # Whole rows of a parameter need no computing. Everything else is a leaf `Derived`.

    recurrence: Recurrence
    # The node of each leaf `Derived`, by its number.
    derived: tuple[Node, ...]
    # The recurrence as it was found.
    rolled: Recurrence
    # What later loops computed of states, and what their own loops keep of it instead.
    moved: tuple[Moved, ...] = ()


def hoist(recurrence: Recurrence) -> Hoisted:
    """Rebuild the recurrence with joined products split and constant parts replaced by leaves."""
    split, moved = move_products(_rewritten(recurrence, Builder(simplify=True)))
    split = move_beforehand(split)
    build = split.build
    targets = [*split.step, *split.kept.values(), split.readout]
    order = topological(targets)
    fixed = fixed_nodes(order)
    # What only one side of a choice needs may be infinite: then its gradient is right only where the choice is known.
    fixed -= {n for n, choices in chosen_by_time(targets).items() if any(c not in fixed for c, _ in choices)}
    read = {i for node in order if node not in fixed for i in node.inputs} | set(targets)
    candidates = [n for n in order if n in fixed and n in read and n.inputs]
    leaves = {n: leaf for n in candidates if (leaf := _rows_of_parameter(n, recurrence.shapes)) is not None}
    chosen = [n for n in candidates if n not in leaves]
    leaves |= {n: build.leaf(Derived(i), n.size) for i, n in enumerate(chosen)}
    # The initial states are not rewritten: they are computed once in any case.
    targets += [product for one in moved for product in one.products.values()]
    place = substitutions(build, targets, leaves)
    return Hoisted(
        split.placed(place, keep_initial=True), tuple(chosen), recurrence, tuple(one.placed(place) for one in moved)
    )


def _rewritten(recurrence: Recurrence, build: Builder) -> Recurrence:
    """Rebuild the recurrence with the rules of `simplify`."""
    place: dict[Node, Node] = {}
    order = topological(recurrence.nodes)
    fixed = fixed_nodes(order)
    for node in order:
        inputs = [place[i] for i in node.inputs]
        place[node] = split_product(node, inputs, fixed) or build.rebuild(node, inputs)
    return recurrence.placed(place)


def _rows_of_parameter(node: Node, shapes: Sequence[tuple[int, ...]]) -> Node | None:
    """Return the leaf for whole rows of a parameter; None for anything else."""
    if node.operation != "take" or not isinstance(parameter := node.inputs[0].leaf, Parameter):
        return None
    run, shape = run_of(node.attributes[0]), shapes[parameter.number]
    if run is None or len(shape) != 2 or run.start % shape[1] or len(run) % shape[1]:
        return None
    return node.build.leaf(ParameterRows(parameter.number, run.start // shape[1]), node.size)


# Derivatives ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pullback:
    """The backward pass of a part of the recurrence: gradients of everything that it reads."""

    # The number of a state, or of a kept value -> its gradient, if it is read.
    states: dict[int, Node]
    kept: dict[int, Node]
    input: Node
    # Leaf (of `WEIGHTS`) -> the terms that this part adds to its gradient. A term ``outer(v,
    # dz)`` is separate from the others, because it can be summed over all steps in one product.
    weights: dict[Node, tuple[Node, ...]]
    # Values of the forward pass -> their gradients.
    gradients: dict[Node, Node]


class ProgramKind(NamedTuple):
    """The kind of program: tokens or features, one sequence or a batch, and its purpose."""

    # An observed one keeps all gradients. Without a loss, it uses softmax cross-entropy, which is an instruction.
    # Carried, each sequence continues its stream. A penalty is added to the mean loss. A compact program, for languages
    # without lanes, pads and copies nothing. One that does not learn computes only the outputs.

    tokens: bool = False
    batched: bool = False
    observed: bool = False
    loss: LossGraph | None = None
    carried: bool = False
    penalty: PenaltyGraph | None = None
    compact: bool = False
    learns: bool = True


ONE_OF_FEATURES = ProgramKind()


@dataclass(frozen=True)
class Derivative:
    """The recurrence and all its derivatives."""

    # Gradients from outside are leaves `Gradient`: of the logits, of states, of kept values and of derived nodes.

    recurrence: Recurrence
    derived: tuple[Node, ...]
    rolled: Recurrence
    readout: Pullback
    # Of the steps of each loop, and of its initial states if these read last states.
    loops: tuple[Pullback, ...]
    entries: tuple[Pullback, ...]
    # From the other initial states and the derived nodes to the parameters.
    prelude: Pullback
    # The gradients of states by values that their loops keep instead of them, by the number of the state.
    of_moved: dict[int, Node]
    # The kind of data for which the next passes make a program.
    kind: ProgramKind = ONE_OF_FEATURES

    @property
    def pullbacks(self) -> tuple[Pullback, ...]:
        """All of them, in the order of the backward pass."""
        parts = zip(reversed(self.loops), reversed(self.entries), strict=True)
        return (self.readout, *(part for pair in parts for part in pair), self.prelude)


def differ_by_sequence(nodes: Sequence[Node]) -> bool:
    """Whether sequences may have other values of the nodes: these read states, a length or random numbers."""
    return any(
        isinstance(leaf, LoopState | CarriedNumbers | Length) or (isinstance(leaf, Drawn) and leaf.once)
        for leaf in leaves_of(Leaf, nodes)
    )


def differentiate(hoisted: Hoisted) -> Derivative:
    """Derive backpropagation through time."""
    r = hoisted.recurrence
    leaf = r.build.leaf
    of_states = [leaf(Gradient(LoopState(i)), size) for i, size in enumerate(r.state_sizes)]
    of_derived = [leaf(Gradient(Derived(i)), n.size) for i, n in enumerate(hoisted.derived)]
    of_logits = [leaf(Gradient("logits"), r.readout.size)]
    loops, entries, begin, of_begin = [], [], list[Node](), list[Node]()
    for loop, first in zip(r.loops, r.first_states, strict=True):
        own = of_states[first : first + len(loop.step)]
        of_kept = [leaf(Gradient(Kept(k)), n.size) for k, n in loop.kept.items()]
        loops.append(_pullback([*loop.step, *loop.kept.values()], [*own, *of_kept], r))
        if differ_by_sequence(loop.initial):
            entries.append(_pullback(loop.initial, own, r))
        else:
            entries.append(_pullback([], [], r))
            begin += loop.initial
            of_begin += own
    return Derivative(
        r,
        hoisted.derived,
        hoisted.rolled,
        _pullback([r.readout], of_logits, r),
        tuple(loops),
        tuple(entries),
        _pullback([*begin, *hoisted.derived], [*of_begin, *of_derived], r),
        dict(pair for one in hoisted.moved for pair in _of_moved(one, r)),
    )


def without_gradients(derivative: Derivative) -> Derivative:
    """Return the recurrence with nothing to compute in a backward pass."""
    nothing = _pullback([], [], derivative.recurrence)
    return replace(
        derivative,
        readout=nothing,
        loops=(nothing,) * len(derivative.loops),
        entries=(nothing,) * len(derivative.entries),
        prelude=nothing,
    )


def _of_moved(moved: Moved, recurrence: Recurrence) -> Iterator[tuple[int, Node]]:
    """Yield the number of the state that the values are computed from, if it is one, and its gradient by them."""
    if moved.state is not None:
        build = recurrence.build
        gradients = [build.leaf(Gradient(Kept(k)), node.size) for k, node in moved.products.items()]
        terms, _ = pull_back(build, list(moved.products.values()), gradients)
        yield moved.state, _summed(build, terms.get(moved.leaf, []), moved.leaf.size)


def _pullback(targets: Sequence[Node], gradients: Sequence[Node], recurrence: Recurrence) -> Pullback:
    build = recurrence.build
    terms, gradients_of = pull_back(build, targets, gradients)
    row = build.leaf(INPUT, recurrence.dim_input)

    def read(kind: type[LoopState | Kept]) -> dict[int, Node]:
        found = {node.leaf.number: node for node in terms if isinstance(node.leaf, kind)}
        return {number: _summed(build, terms[found[number]], found[number].size) for number in sorted(found)}

    return Pullback(
        read(LoopState),
        read(Kept),
        _summed(build, terms.get(row, []), row.size),
        {node: tuple(t) for node, t in terms.items() if isinstance(node.leaf, WEIGHTS)},
        gradients_of,
    )


def pull_back(
    build: Builder, targets: Sequence[Node], gradients: Sequence[Node]
) -> tuple[dict[Node, list[Node]], dict[Node, Node]]:
    """Return the terms of the gradient of each leaf, and the gradient of each node, from those of the targets."""
    terms: dict[Node, list[Node]] = {}
    chosen = chosen_by_time(targets)
    for target, gradient in zip(targets, gradients, strict=True):
        terms.setdefault(target, []).append(gradient)
    gradients_of: dict[Node, Node] = {}
    for node in reversed(topological(targets)):
        if node.is_leaf or node not in terms:
            continue
        gradient = gradients_of[node] = _summed(build, terms.pop(node), node.size)
        rule = OPERATIONS[node.operation].derivative
        shares = () if rule is None or gradient.is_zero else rule(gradient, node, *node.inputs)
        shares = shares if isinstance(shares, tuple) else (shares,)
        for child, term in zip(node.inputs, shares, strict=False):
            if term is None or child.is_constant or term.is_zero:
                continue
            if child.size == 1 and term.size > 1:
                # A single number was broadcast: its gradient is the sum over the elements.
                term = total(term, outer=1, n=term.size, inner=1)
            for condition, which in chosen.get(node, ()):
                term = _where_chosen(term, condition, which)
            terms.setdefault(child, []).append(expand(term, size=child.size))
    return terms, gradients_of


def _where_chosen(term: Node, condition: Node, which: bool) -> Node:
    """Return a term of a gradient where a side is chosen, and zeros elsewhere."""
    if term.operation == "outer":
        return term.build.rebuild(term, [_where_chosen(i, condition, which) for i in term.inputs])
    return select(condition, term, 0.0) if which else select(condition, 0.0, term)


def differentiate_loss(loss: LossGraph, build: Builder) -> tuple[Node, Node]:
    """Return the loss of a row, and the gradient of its outputs; that of the loss is a leaf."""
    # If the latter is 0, so is the former: zero times infinity would be NaN.
    (value,) = substitute(build, [loss.value], {})
    of_loss, outputs = build.leaf(Gradient("loss"), 1), build.leaf(OUTPUTS, loss.outputs)
    terms, _ = pull_back(build, [value], [of_loss])
    gradient = _summed(build, terms.get(outputs, []), outputs.size)
    return value, select(equal(of_loss, 0.0), 0.0, gradient)


def differentiate_penalty(penalty: PenaltyGraph, recurrence: Recurrence) -> tuple[Node, Pullback]:
    """Return a penalty and its backward pass; its gradient is a leaf."""
    build = recurrence.build
    (value,) = substitute(build, [penalty.value], {})
    return value, _pullback([value], [build.leaf(Gradient("penalty"), 1)], recurrence)


def _summed(build: Builder, terms: list[Node], size: int) -> Node:
    if not terms:
        return build.constant(np.zeros(size))
    puts = [term for term in terms if term.operation == "put"]
    if (joined := _side_by_side(puts, size)) is not None:
        terms = [*(term for term in terms if term not in puts), joined]
    return reduce(add, terms)


def _side_by_side(puts: list[Node], size: int) -> Node | None:
    """Join terms that fill a vector piece by piece, as gradients of slices do; return None for other terms."""
    if len(puts) < 2:
        return None
    places = [t.attributes[0] for t in puts]
    if sum(len(p) // 4 for p in places) != size or len(set(np.concatenate([indices_of(p) for p in places]))) != size:
        return None
    return join(*(t.inputs[0] for t in puts), places=tuple(places))
