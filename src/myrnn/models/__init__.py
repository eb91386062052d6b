"""Recurrent models: plain MyGrad classes over dense layers.

`model` defines what a model is, `own` loads and makes user-defined ones, `dense` has the layer, `cells` the networks of
one layer, `stacked` networks of several layers, and `network` registers all of them by name. `recognizer` turns a model
with several objectives into a classifier.
"""

from myrnn.models.cells import ACTIVATIONS, GRU, LSTM, MGU, RNN, StackRNN, Units
from myrnn.models.dense import dense
from myrnn.models.model import (
    Model,
    network_of,
    num_classes,
    num_parameters,
    parameter_names,
    parameters_of,
)
from myrnn.models.network import check_gives_each_step, embedding_of, no_input, sizes_for
from myrnn.models.own import (
    ClassFile,
    OwnModel,
    check_settings_of,
    file_of,
    load_own,
    make_own,
    named_before,
    not_named,
)
from myrnn.models.recognizer import Recognizer
from myrnn.models.stacked import Stacked, stacks_of, with_stack_depth

__all__ = [
    "ACTIVATIONS",
    "GRU",
    "LSTM",
    "MGU",
    "RNN",
    "ClassFile",
    "Model",
    "OwnModel",
    "Recognizer",
    "StackRNN",
    "Stacked",
    "Units",
    "check_gives_each_step",
    "check_settings_of",
    "dense",
    "embedding_of",
    "file_of",
    "load_own",
    "make_own",
    "named_before",
    "network_of",
    "no_input",
    "not_named",
    "num_classes",
    "num_parameters",
    "parameter_names",
    "parameters_of",
    "sizes_for",
    "stacks_of",
    "with_stack_depth",
]
