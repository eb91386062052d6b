"""Recurrent models: plain MyGrad classes over dense layers."""

from myrnn.models._cell import Units
from myrnn.models._dense import dense
from myrnn.models._gru import GRU
from myrnn.models._lstm import LSTM
from myrnn.models._model import Model, num_classes, num_parameters, parameter_names, parameters_of
from myrnn.models._own import OwnModel, load_own, make_own
from myrnn.models._rnn import ACTIVATIONS, RNN
from myrnn.models._stacked import Stacked
from myrnn.registry import register

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

for _name, _kind in (("rnn", RNN), ("gru", GRU), ("lstm", LSTM)):
    register("model", _name, dim_recurrent=50)(_kind)
