"""Recurrent models: plain MyGrad classes over dense layers.

`model` says what a model is and makes those of a class that the user wrote, `dense` has the layer, `cells` RNN, GRU and
LSTM, and `stacked` several of their layers on top of each other.
"""

from myrnn.models.cells import ACTIVATIONS, GRU, LSTM, RNN, Units
from myrnn.models.dense import dense
from myrnn.models.model import (
    Model,
    OwnModel,
    load_own,
    make_own,
    num_classes,
    num_parameters,
    parameter_names,
    parameters_of,
)
from myrnn.models.stacked import Stacked

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "LSTM",
    "RNN",
    "Model",
    "OwnModel",
    "Stacked",
    "Units",
    "dense",
    "load_own",
    "make_own",
    "num_classes",
    "num_parameters",
    "parameter_names",
    "parameters_of",
]
