"""Recurrent models: plain MyGrad classes over dense layers.

`model` defines what a model is, `own` loads and makes user-defined ones, whose files import others by `siblings`,
`dense` has the layer, `cells` the networks of one layer, `stacked` networks of several layers, and `network` registers
all of them by name. `recognizer` turns a model with several objectives into a classifier.
"""

from myrnn.models.cells import GRU, LSTM, MGU, RNN, StackRNN
from myrnn.models.dense import dense
from myrnn.models.recognizer import Recognizer
from myrnn.models.stacked import Stacked

__all__ = [
    "GRU",
    "LSTM",
    "MGU",
    "RNN",
    "Recognizer",
    "StackRNN",
    "Stacked",
    "dense",
]
