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
models                 `RNN`, `GRU`, `LSTM`, `MGU`, `StackRNN`, `Stacked`; `dense`, `dropout`, `noise`, `add_loss`
data                   `tasks` draws sequences; `Sequences` holds them; `read_sequences` reads files
training               `train`, `Adam`, `RMSprop`, `SGD`; `compile` shows the equations and the native code
tests                  `evaluate`, `shortcuts`, `counterexamples`, `transfer`, `classification_report`
a look inside          `inspect`, `gradient_flow`, `state_space`, `extract_automaton`, `build_graph`
after training         `generate`; `forecast` and the estimators for scikit-learn, such as `SequenceClassifier`
runs and studies       `Experiment`, `run`, `sweep`, `load_sweep`; the command ``myrnn`` does the same
figures and lessons    `plots`, `create_plot`, `exercises`
=====================  ============================================================================================
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from myrnn import _start as _start  # isort: split

from myrnn._version import __version__

if TYPE_CHECKING:
    # A function with the name of its module is imported from there: mypy takes the package's for the module.
    from myrnn import exercises, plots, tasks
    from myrnn.added_loss import add_loss
    from myrnn.compiler import CompiledModel, compile
    from myrnn.data import LabelledSequences, read_sequences
    from myrnn.errors import (
        CompileError,
        DataError,
        InvalidArgument,
        MyRNNError,
        NotARecurrence,
        NotDeterministic,
        NotFinite,
        RunError,
        TrainingDiverged,
        UnsupportedOperation,
    )
    from myrnn.estimators import (
        Forecast,
        LanguageModel,
        SequenceClassifier,
        SequenceForecaster,
        SequenceRegressor,
        SequenceTagger,
    )
    from myrnn.estimators.forecast import forecast
    from myrnn.evaluation import (
        Baselines,
        Comparison,
        Counterexamples,
        LengthReport,
        Mistake,
        ShortcutReport,
        TransferTable,
        classification_report,
        counterexamples,
        naive_forecast,
        number_baselines,
        number_report,
        tag_baselines,
        tag_report,
        text_baselines,
        text_report,
    )
    from myrnn.evaluation.evaluate import evaluate
    from myrnn.evaluation.shortcuts import shortcuts
    from myrnn.evaluation.transfer import transfer
    from myrnn.experiment import Experiment
    from myrnn.generation import generate
    from myrnn.graphs import ComputationalGraph, build_graph
    from myrnn.inspection import (
        ExtractedAutomaton,
        extract_automaton,
        gradient_flow,
        incoming_weights,
        inspect,
        recurrent_eigenvalues,
        state_space,
    )
    from myrnn.learning_curve import History, LearningCurve
    from myrnn.models import GRU, LSTM, MGU, RNN, Recognizer, Stacked, StackRNN
    from myrnn.models.dense import dense
    from myrnn.optimizers import SGD, Adam, RMSprop
    from myrnn.plots import LivePlot, create_plot
    from myrnn.randomness import dropout, noise
    from myrnn.results import Table
    from myrnn.runs import run
    from myrnn.sequences import Sequences
    from myrnn.sweeps import SweepResults, load_sweep, sweep
    from myrnn.training import train

__all__ = [
    "GRU",
    "LSTM",
    "MGU",
    "RNN",
    "SGD",
    "Adam",
    "Baselines",
    "Comparison",
    "CompileError",
    "CompiledModel",
    "ComputationalGraph",
    "Counterexamples",
    "DataError",
    "Experiment",
    "ExtractedAutomaton",
    "Forecast",
    "History",
    "InvalidArgument",
    "LabelledSequences",
    "LanguageModel",
    "LearningCurve",
    "LengthReport",
    "LivePlot",
    "Mistake",
    "MyRNNError",
    "NotARecurrence",
    "NotDeterministic",
    "NotFinite",
    "RMSprop",
    "Recognizer",
    "RunError",
    "SequenceClassifier",
    "SequenceForecaster",
    "SequenceRegressor",
    "SequenceTagger",
    "Sequences",
    "ShortcutReport",
    "StackRNN",
    "Stacked",
    "SweepResults",
    "Table",
    "TrainingDiverged",
    "TransferTable",
    "UnsupportedOperation",
    "__version__",
    "add_loss",
    "build_graph",
    "classification_report",
    "compile",
    "counterexamples",
    "create_plot",
    "dense",
    "dropout",
    "evaluate",
    "exercises",
    "extract_automaton",
    "forecast",
    "generate",
    "gradient_flow",
    "incoming_weights",
    "inspect",
    "load_sweep",
    "naive_forecast",
    "noise",
    "number_baselines",
    "number_report",
    "plots",
    "read_sequences",
    "recurrent_eigenvalues",
    "run",
    "shortcuts",
    "state_space",
    "sweep",
    "tag_baselines",
    "tag_report",
    "tasks",
    "text_baselines",
    "text_report",
    "train",
    "transfer",
]


# The names of each module. It is imported when one of them is first used, because all together take seconds.
_NAMES = {
    "myrnn.added_loss": ("add_loss",),
    "myrnn.compiler": (
        "CompiledModel",
        "compile",
    ),
    "myrnn.data": (
        "LabelledSequences",
        "read_sequences",
    ),
    "myrnn.errors": (
        "CompileError",
        "DataError",
        "InvalidArgument",
        "MyRNNError",
        "NotARecurrence",
        "NotDeterministic",
        "NotFinite",
        "RunError",
        "TrainingDiverged",
        "UnsupportedOperation",
    ),
    "myrnn.estimators": (
        "Forecast",
        "LanguageModel",
        "SequenceClassifier",
        "SequenceForecaster",
        "SequenceRegressor",
        "SequenceTagger",
        "forecast",
    ),
    "myrnn.evaluation": (
        "Baselines",
        "Comparison",
        "Counterexamples",
        "LengthReport",
        "Mistake",
        "ShortcutReport",
        "TransferTable",
        "classification_report",
        "counterexamples",
        "evaluate",
        "naive_forecast",
        "number_baselines",
        "number_report",
        "shortcuts",
        "tag_baselines",
        "tag_report",
        "text_baselines",
        "text_report",
        "transfer",
    ),
    "myrnn.experiment": ("Experiment",),
    "myrnn.generation": ("generate",),
    "myrnn.graphs": (
        "ComputationalGraph",
        "build_graph",
    ),
    "myrnn.inspection": (
        "ExtractedAutomaton",
        "extract_automaton",
        "gradient_flow",
        "incoming_weights",
        "inspect",
        "recurrent_eigenvalues",
        "state_space",
    ),
    "myrnn.learning_curve": (
        "History",
        "LearningCurve",
    ),
    "myrnn.models": (
        "GRU",
        "LSTM",
        "MGU",
        "RNN",
        "Recognizer",
        "Stacked",
        "StackRNN",
        "dense",
    ),
    "myrnn.optimizers": (
        "SGD",
        "Adam",
        "RMSprop",
    ),
    "myrnn.plots": (
        "LivePlot",
        "create_plot",
    ),
    "myrnn.randomness": (
        "dropout",
        "noise",
    ),
    "myrnn.results": ("Table",),
    "myrnn.runs": ("run",),
    "myrnn.sequences": ("Sequences",),
    "myrnn.sweeps": (
        "SweepResults",
        "load_sweep",
        "sweep",
    ),
    "myrnn.training": ("train",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found = getattr(import_module(_MODULES[name]), name)
    elif not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        found = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
