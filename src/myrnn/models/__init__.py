"""Recurrent models: plain MyGrad classes over dense layers.

`model` defines what a model is, `own` loads and makes user-defined ones, whose files import others by `siblings`.
`dense` has the layers of weights, `functions` those that MyGrad lacks, and `layer` what all recurrent layers have in
common. The networks of one layer are in `cells` (simple, gated and with a stack), `linear`, `xlstm` and `delta`;
`stacked` has networks of several layers, and `network` registers all of them by name. `recognizer` turns a model with
several objectives into a classifier.
"""

from myrnn.models.cells import GRU, LSTM, MGU, RNN, StackRNN
from myrnn.models.delta import RWKV7, DeltaProduct, GatedDeltaNet
from myrnn.models.dense import dense
from myrnn.models.linear import LRU, Mamba, MinGRU
from myrnn.models.recognizer import Recognizer
from myrnn.models.stacked import Stacked
from myrnn.models.xlstm import MLSTM, SLSTM

__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "MGU",
    "MLSTM",
    "RNN",
    "RWKV7",
    "SLSTM",
    "DeltaProduct",
    "GatedDeltaNet",
    "Mamba",
    "MinGRU",
    "Recognizer",
    "StackRNN",
    "Stacked",
    "dense",
]
