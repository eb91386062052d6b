"""The compiler: from a model's own code to native training.

The stages are plain functions, one file each: trace, roll, hoist, differentiate, plan, emit, native.
"""

from myrnn.compiler._compile import CompiledModel, Observation, compile
from myrnn.compiler._equations import Equation, Equations, write_equations
from myrnn.compiler._graph import Node, evaluate, topological
from myrnn.compiler._native import Block, Native, shards_for

__all__ = [
    "Block",
    "CompiledModel",
    "Equation",
    "Equations",
    "Native",
    "Node",
    "Observation",
    "compile",
    "evaluate",
    "shards_for",
    "topological",
    "write_equations",
]
