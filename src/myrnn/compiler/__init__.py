"""The compiler: from a model's own code to native training.

The stages are plain functions, one file each: trace, roll, hoist, differentiate, plan, emit, native.
"""

from myrnn.compiler._compile import CompiledModel, Observation, compile
from myrnn.compiler._native import Block, Native, shards_for

__all__ = ["Block", "CompiledModel", "Native", "Observation", "compile", "shards_for"]
