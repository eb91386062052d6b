"""Write a recurrent model as its equations; train it at native speed; see what it learned."""

from myrnn import _start as _start  # isort: split

from myrnn import exercises, plots, tasks
from myrnn._version import __version__
from myrnn.compiler import CompiledModel, compile
from myrnn.data import LabelledSequences, read_sequences
from myrnn.errors import (
    CompileError,
    DataError,
    InvalidArgument,
    MyRNNError,
    NotARecurrence,
    NotDeterministic,
    RunError,
    TrainingDiverged,
    UnsupportedOperation,
)
from myrnn.evaluation import (
    ClassificationReport,
    Comparison,
    Counterexamples,
    LengthReport,
    Mistake,
    ShortcutReport,
    TransferTable,
    classification_report,
    counterexamples,
    evaluate,
    shortcuts,
    transfer,
)
from myrnn.graphs import ComputationalGraph, build_graph
from myrnn.inspection import gradient_flow, inspect, recurrent_eigenvalues, state_space
from myrnn.models import GRU, LSTM, RNN, dense
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.plots import LivePlot, create_plot
from myrnn.sequences import Sequences
from myrnn.training import History, train

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "ClassificationReport",
    "Comparison",
    "CompileError",
    "CompiledModel",
    "ComputationalGraph",
    "Counterexamples",
    "DataError",
    "History",
    "InvalidArgument",
    "LabelledSequences",
    "LengthReport",
    "LivePlot",
    "Mistake",
    "MyRNNError",
    "NotARecurrence",
    "NotDeterministic",
    "RMSprop",
    "RunError",
    "Sequences",
    "ShortcutReport",
    "TrainingDiverged",
    "TransferTable",
    "UnsupportedOperation",
    "__version__",
    "build_graph",
    "classification_report",
    "compile",
    "counterexamples",
    "create_plot",
    "dense",
    "evaluate",
    "exercises",
    "gradient_flow",
    "inspect",
    "plots",
    "read_sequences",
    "recurrent_eigenvalues",
    "shortcuts",
    "state_space",
    "tasks",
    "train",
    "transfer",
]
