"""Write a recurrent model as its equations; train it at native speed; see what it learned."""

from myrnn import exercises, plots, tasks
from myrnn._version import __version__
from myrnn.compiler import CompiledModel, compile
from myrnn.errors import (
    CompileError,
    InvalidArgument,
    MyRNNError,
    NotARecurrence,
    NotDeterministic,
    RunError,
    TrainingDiverged,
    UnsupportedOperation,
)
from myrnn.evaluation import LengthReport, evaluate
from myrnn.graphs import ComputationalGraph, build_graph
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
    "CompileError",
    "CompiledModel",
    "ComputationalGraph",
    "History",
    "InvalidArgument",
    "LengthReport",
    "LivePlot",
    "MyRNNError",
    "NotARecurrence",
    "NotDeterministic",
    "RMSprop",
    "RunError",
    "Sequences",
    "TrainingDiverged",
    "UnsupportedOperation",
    "__version__",
    "build_graph",
    "compile",
    "create_plot",
    "dense",
    "evaluate",
    "exercises",
    "plots",
    "tasks",
    "train",
]
