"""The compiler: from the Python code of a model to native training.

In the order in which data flow: `ops` and `graph` (the elements of programs); the passes in `trace` (with `reads`,
`recording`, `writes`, `values`, `layers`, `lower` and `rules`), `probe` (with `draws`, `growth` and `work`), `roll`
(with `loops`, `tables`, `found`, `match`, `beginning`, `turns`, `variables`, `finder` and `cut`; `explain` says why a
model has no loops), `derive` (with `loss` and `penalty`), `plan`, `schedule` (with `assemble` and `instructions`) and
`emit` (which makes a `program`); `streams` (states carried from one piece of a sequence to the next); `printer` and
`equations` (every stage as text); `runtime` (functions that emitted code calls), `cache` and `native` (machine code);
`guard` (checks of a compiled model in use); `model` (the list of passes, and the public functions).
"""

from myrnn.compiler.cache import begin_to_compile, compiling_seconds, is_known, without_notice
from myrnn.compiler.equations import Equation, Equations, write_equations
from myrnn.compiler.graph import Node, evaluate, topological
from myrnn.compiler.loops import Recurrence
from myrnn.compiler.loss import LossGraph, trace_loss
from myrnn.compiler.model import MAX_LENGTH, CompiledModel, compile, compile_for
from myrnn.compiler.native import Block, Native, Observation, limit_threads, memory, shards_for
from myrnn.compiler.penalty import PenaltyGraph, trace_penalty
from myrnn.compiler.probe import ADVICE, input_width, unreached
from myrnn.compiler.runtime.updates import Descent
from myrnn.compiler.streams import State, Streams, check_steps
from myrnn.compiler.trace import MYGRAD, lines_that_look, tensors_below

__all__ = [
    "ADVICE",
    "MAX_LENGTH",
    "MYGRAD",
    "Block",
    "CompiledModel",
    "Descent",
    "Equation",
    "Equations",
    "LossGraph",
    "Native",
    "Node",
    "Observation",
    "PenaltyGraph",
    "Recurrence",
    "State",
    "Streams",
    "begin_to_compile",
    "check_steps",
    "compile",
    "compile_for",
    "compiling_seconds",
    "evaluate",
    "input_width",
    "is_known",
    "limit_threads",
    "lines_that_look",
    "memory",
    "shards_for",
    "tensors_below",
    "topological",
    "trace_loss",
    "trace_penalty",
    "unreached",
    "without_notice",
    "write_equations",
]
