"""The compiler: from the Python code of a model to native training.

In the order in which data flow: `leaves`, `ops`, `simplify` and `graph` (the elements of programs); `reference` (the
model itself, run in MyGrad); `recorder` (which makes a `record` of what a model does; with `callers`, `comparable` and
`traced_arrays`); the passes in `trace` (with `values`, `shapes`, `arithmetic`, `writes`, `lower` and `mygrad_graph`),
`probe` (with `calls`, `steps`, `draws` and `growth`), `roll` (with `tables`, `loops`, `found`, `states`, `alignment`,
`match`, `beginning`, `labels`, `finder`, `readout`, `proof` and `delays`; `differences` and `explain` say why a model
has no loops), `derive` (with `loss`, `split`, `kept_products` and `beforehand`), `plan`, `schedule` (with `part`,
`buffers`, `fuse`, `joined`, `forms`, `instructions` and `addresses`) and `render` (which makes a `program`); `portable`
and `specialize` (programs that other languages run); `carry` and `streams` (states carried from one piece of a sequence
to the next); `by_symbol` (what a symbol alone decides, once for each); `reach` (which parameters have a gradient);
`printer`, `array_text` and `equations` (every stage as text); `runtime` (functions that emitted code calls), `cache`,
`memory`, `shards` and `native` (machine code); `verify` (comparison with MyGrad); `guard` (checks of a compiled model
in use); `passes` (the list of passes); `reader` (sequences read by native code); `model` (compiled models) and
`compilation` (how they are made).
"""

from myrnn.compiler.compilation import compile
from myrnn.compiler.model import CompiledModel
from myrnn.compiler.streams import State

__all__ = [
    "CompiledModel",
    "State",
    "compile",
]
