"""An experiment is one value: what is trained on what, how, and how it is tested."""

from myrnn.experiment._experiment import (
    PARTS,
    Experiment,
    Part,
    is_own,
    merged,
    setting_names,
    weight_generator,
)
from myrnn.experiment._sections import MOST_SAMPLES, Evaluation, Training

__all__ = [
    "MOST_SAMPLES",
    "PARTS",
    "Evaluation",
    "Experiment",
    "Part",
    "Training",
    "is_own",
    "merged",
    "setting_names",
    "weight_generator",
]
