"""An experiment as one value: the task or data, the model, the training and the tests."""

from myrnn.experiment.experiment import (
    DATA_DEFAULTS,
    OWN,
    PARTS,
    SHA256,
    Experiment,
    Memory,
    Part,
    is_own,
    merged,
    weight_generator,
)
from myrnn.experiment.presets import PRESETS, Preset, find_preset
from myrnn.experiment.sections import MOST_SAMPLES, Data, EpochTraining, Evaluation, FileEvaluation
from myrnn.training import TrainingSettings as Training

__all__ = [
    "DATA_DEFAULTS",
    "MOST_SAMPLES",
    "OWN",
    "PARTS",
    "PRESETS",
    "SHA256",
    "Data",
    "EpochTraining",
    "Evaluation",
    "Experiment",
    "FileEvaluation",
    "Memory",
    "Part",
    "Preset",
    "Training",
    "find_preset",
    "is_own",
    "merged",
    "weight_generator",
]
