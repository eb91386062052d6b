"""Training: `train`, its results, and hooks that watch it.

`feed` gives the sequences of every iteration, and an `engine`, compiled (`native`) or MyGrad's, runs it. `state` holds
everything that changes, and the state to go back to; `records` converts results to arrays, and `checkpoint` saves
states on disk. `outputs` defines the outputs required for targets and their scores, `measure` the scores on other
sequences. `hooks` watch, and `progress` shows the progress. `loop` has `train`, and `settings` its settings.
"""

from myrnn.training.checkpoint import Checkpoint
from myrnn.training.hooks import TrainingReport, TrainingStart, Validation
from myrnn.training.loop import train
from myrnn.training.measure import measure
from myrnn.training.settings import TrainingSettings
from myrnn.training.state import TrainingState

__all__ = [
    "Checkpoint",
    "TrainingReport",
    "TrainingSettings",
    "TrainingStart",
    "TrainingState",
    "Validation",
    "measure",
    "train",
]
