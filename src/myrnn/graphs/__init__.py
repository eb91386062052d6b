"""Pictures of models and losses: one step with states that loop back, or a column for each step of a sequence.

In the order in which data pass through them: `steps` finds the steps of an unrolled graph, `read` makes a drawing of
MyGrad's graph, `rolled` of a compiled recurrence, `layout` places its cards and lines, `draw` writes it as SVG or DOT,
and `build` puts these together.
"""

from myrnn.graphs.build import build_graph
from myrnn.graphs.draw import ComputationalGraph

__all__ = [
    "ComputationalGraph",
    "build_graph",
]
