"""An experiment is one value: what is trained on what, how, and how it is tested."""

from myrnn.experiment._experiment import Experiment, Part, is_own, weight_generator
from myrnn.experiment._sections import Evaluation, Training

__all__ = ["Evaluation", "Experiment", "Part", "Training", "is_own", "weight_generator"]
