"""An experiment as one value: the source of its sequences, the model, the training and the tests."""

from myrnn.experiment.experiment import Experiment, merged
from myrnn.experiment.parts import OWN, PARTS, SHA256, Part, is_own, weight_generator
from myrnn.experiment.presets import PRESETS, Preset, find_preset
from myrnn.experiment.sections import MOST_SAMPLES, Data, Evaluation
from myrnn.experiment.sources import (
    MEMORY,
    SOURCES,
    FileSource,
    GivenSource,
    MemorySource,
    Source,
    TaskSource,
    read_source,
    with_memory,
)
from myrnn.training import TrainingSettings as Training

__all__ = [
    "MEMORY",
    "MOST_SAMPLES",
    "OWN",
    "PARTS",
    "PRESETS",
    "SHA256",
    "SOURCES",
    "Data",
    "Evaluation",
    "Experiment",
    "FileSource",
    "GivenSource",
    "MemorySource",
    "Part",
    "Preset",
    "Source",
    "TaskSource",
    "Training",
    "find_preset",
    "is_own",
    "merged",
    "read_source",
    "weight_generator",
    "with_memory",
]
