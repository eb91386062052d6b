"""Which parameters a training moves: MyGrad's optimizers leave those without a gradient unchanged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler.graph import Node, evaluate, inputs_first, inputs_with_gradient, topological
from myrnn.compiler.leaves import Kept, Length, LoopState, Parameter, StepNumber
from myrnn.compiler.loops import Recurrence, reads_time_alone

# From this many steps on, what is trained repeats with this period, unless seven or more states are permuted.
PERIOD = 60


class Reach:
    """Which parameters the loss of a piece of a sequence reaches: in MyGrad the others have no gradient.

    A piece is known by the number of its first step and the number of its steps; one that does not begin its sequence
    continues from numbers. `seen` has the parameters that MyGrad's graph reaches from whole sequences, by length.
    """

    # The recurrence alone does not say whether the first step multiplies a state of zeros by a weight, which then has a
    # gradient. What a node reads is kept for each set of choices: to interpret all nodes of all steps, as `interpret`
    # does, takes about ten times as long.

    def __init__(self, recurrence: Recurrence, seen: Mapping[int, Collection[int]], parameters: int) -> None:
        self._recurrence, self._seen = recurrence, seen
        # Choices by the number of the step: the model computes only the chosen side.
        selects = (n for n in topological(recurrence.nodes) if n.operation == "select")
        self._choices = [n for n in selects if reads_time_alone(n.inputs[0])]
        self._chosen, self._reads = cache(self._chosen_at), cache(self._read)
        # A row for each first step and number of steps below twice the period, and whether it is known.
        self._rows = np.zeros((4 * PERIOD**2, parameters), dtype=np.bool_)
        self._is_known = np.zeros(len(self._rows), dtype=np.bool_)

    def of(self, firsts: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which parameters pieces reach, bool (N, parameters), by their first step and number of steps (N,)."""
        first, count = (np.where(n < 2 * PERIOD, n, PERIOD + n % PERIOD) for n in (firsts, steps))
        kinds = 2 * PERIOD * first + count
        occurs = np.bincount(kinds, minlength=len(self._rows)) > 0
        for kind in np.flatnonzero(occurs & ~self._is_known).tolist():
            self._rows[kind, list(self._reached(*divmod(kind, 2 * PERIOD)))] = True
            self._is_known[kind] = True
        found = self._rows[kinds]
        for length, parameters in self._seen.items():
            # A later check may see what earlier ones did not.
            if parameters:
                found[(first == 0) & (count == length)] = np.isin(np.arange(found.shape[1]), list(parameters))
        return found

    def _reached(self, first: int, count: int) -> set[int]:
        """Return the numbers of the parameters that the loss reaches from a piece."""
        recurrence, length = self._recurrence, first + count
        states, kept = list[set[int]](), [dict[int, set[int]]() for _ in range(count)]

        def reached(node: Node, i: int, states: Sequence[set[int]], kept: Mapping[int, set[int]]) -> set[int]:
            parameters, read, read_kept = self._reads(node, self._chosen(first + i, length))
            return parameters.union(*(states[s] for s in read), *(kept[k] for k in read_kept))

        for loop in recurrence.loops:
            own = [set[int]() if first else reached(node, 0, states, {}) for node in loop.initial]
            for i in reversed(range(count)) if loop.backward else range(count):
                now = [*states, *own]
                found = {k: reached(node, i, now, kept[i]) for k, node in loop.kept.items()}
                own = [reached(node, i, now, kept[i]) for node in loop.step]
                kept[i] |= found
            states += own
        ends = kept if recurrence.per_step else [dict[int, set[int]]()]
        return set[int]().union(*(reached(recurrence.readout, i, states, row) for i, row in enumerate(ends)))

    def _chosen_at(self, row: int, length: int) -> tuple[bool, ...]:
        """Return whether the first side of each choice is chosen at this row of a sequence of this length."""
        conditions = [choice.inputs[0] for choice in self._choices]
        read = [n for n in topological(conditions) if isinstance(n.leaf, StepNumber | Length)]
        known = {n: n.leaf.at(row, length) for n in read if isinstance(n.leaf, StepNumber | Length)}
        return tuple(bool(values.all()) for values in evaluate(conditions, known))

    def _read(self, node: Node, chosen: tuple[bool, ...]) -> tuple[set[int], set[int], set[int]]:
        """Return the parameters, states and kept values that a gradient reaches from a node with these choices."""
        sides = (1 if is_first else 2 for is_first in chosen)
        side = {choice: choice.inputs[which] for choice, which in zip(self._choices, sides, strict=True)}
        order = inputs_first([node], lambda n: (side[n],) if n in side else inputs_with_gradient(n))
        leaves = [n.leaf for n in order]
        return (
            {leaf.number for leaf in leaves if isinstance(leaf, Parameter)},
            {leaf.number for leaf in leaves if isinstance(leaf, LoopState)},
            {leaf.number for leaf in leaves if isinstance(leaf, Kept)},
        )
