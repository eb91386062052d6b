"""An experiment as one value: the source of its sequences, the model, the training and the tests."""

from myrnn.experiment.experiment import Experiment
from myrnn.experiment.parts import Part
from myrnn.experiment.sections import Data, Evaluation
from myrnn.experiment.sources import FileSource, MemorySource, TaskSource

__all__ = [
    "Data",
    "Evaluation",
    "Experiment",
    "FileSource",
    "MemorySource",
    "Part",
    "TaskSource",
]
