"""Write a recurrent model as its equations; train it at native speed; see what it learned.

A model is a class with ``parameters`` and ``__call__(x)``, written in MyGrad. It reads one sequence (T, C) and returns
scores (1, K), or (T, K) with an output at every step. ``train`` compiles it and trains it in one native loop.

>>> from myrnn import RNN, Adam, evaluate, tasks, train
>>> task = tasks.TwinHalves()
>>> model = RNN(task.dim_input, 50, task.dim_output, rng=0)
>>> history = train(model, task, Adam(model.parameters), iterations=1_000, seed=0, progress=False)
>>> report = evaluate(model, task, 1_000, trained=history, progress=False)
>>> report.tried
'1,000 sequences'

Where to look:

=====================  ============================================================================================
models                 `RNN`, `GRU`, `LSTM`, `MGU`, `StackRNN`, `MinGRU`, `LRU`, `SLSTM`, `MLSTM`, `Mamba`,
                       `GatedDeltaNet`, `DeltaProduct`, `RWKV7`, layers of them: `Stacked`
parts of a model       `dense`, `dropout`, `noise`, `add_loss`
data                   `tasks` draws sequences; `Sequences` holds them; `read_sequences` reads files
training               `train`, `Adam`, `RMSprop`, `SGD`; `compile` shows the equations and the native code
tests                  `evaluate`, `shortcuts`, `counterexamples`, `transfer`; reports on other targets in `evaluation`
a look inside          `inspect`, `gradient_flow`, `state_space`, `extract_automaton`, `build_graph`
after training         `generate`, `forecast`, `export`; the estimators for scikit-learn, such as `SequenceClassifier`
runs and studies       `Experiment`, `run`, `load_run`, `sweep`, `load_sweep`; the command ``myrnn`` does the same
figures and lessons    `plots`, `create_plot`, `exercises`
errors                 `MyRNNError` is the base of all in `errors`
=====================  ============================================================================================
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from myrnn import _start as _start  # isort: split

from myrnn._version import __version__ as __version__

# The public names and the module of each. It is imported when the name is first used: all together take seconds.
_LINES = re.findall(r"^from (\S+) import (\w+) as", Path(__file__).with_suffix(".pyi").read_text("utf-8"), re.MULTILINE)
_MODULES = {name: "myrnn" if module == "." else module for module, name in _LINES}
__all__ = sorted(name for module, name in _LINES if module != ".")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _MODULES[name] == __name__:
        return import_module(f"{__name__}.{name}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
