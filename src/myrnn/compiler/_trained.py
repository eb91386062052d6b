"""Which parameters the loss of a sequence of so many steps has a gradient for.

The loss of a short sequence need not reach all of them: what a step leaves for the next is not used when there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler._graph import Node, topological
from myrnn.compiler._roll import Recurrence


@dataclass(frozen=True)
class _Reads:
    """The parameters and the states that a part of the recurrence reads, by their numbers."""

    parameters: frozenset[int]
    states: frozenset[int]


def trained_by_length(
    recurrence: Recurrence, seen: Mapping[int, Collection[int]], parameters: int, longest: int
) -> NDArray[np.bool_]:
    """Return which of so many parameters the loss reaches from a sequence of 0, 1, ..., `longest` steps.

    Parameters
    ----------
    recurrence : Recurrence
    seen : mapping
        Length -> the parameters that MyGrad's graph was seen to reach. The recurrence alone does not tell whether the
        first step multiplies a state of zeros by a weight, which then has a gradient, or leaves that out.
    parameters, longest : int

    Returns
    -------
    ndarray, bool (longest + 1, parameters)
    """
    step, initial = ([_reads(node) for node in nodes] for nodes in (recurrence.step, recurrence.initial))
    result = np.zeros((longest + 1, parameters), dtype=np.bool_)
    readout = _reads(recurrence.readout)
    found, states = readout.parameters, readout.states
    for length, trained in enumerate(result):
        reached = found.union(*(initial[i].parameters for i in states))
        trained[list(seen.get(length, reached))] = True
        found = found.union(*(step[i].parameters for i in states))
        states = frozenset[int]().union(*(step[i].states for i in states))
    return result


def _reads(node: Node) -> _Reads:
    order = topological([node])
    parameters, states = (
        frozenset(n.attributes[0] for n in order if n.operation == kind) for kind in ("parameter", "state")
    )
    return _Reads(parameters, states)
