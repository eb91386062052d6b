"""Training: `train`, its results, and hooks that watch it.

`settings` has the settings. `state` is everything needed to continue, of which the model and the optimizer have a part;
`feed` gives the sequences of every iteration, `outputs` the outputs required for targets and their scores, and an
`engine`, compiled (`native`) or MyGrad's, runs the iterations. `hooks` watch; `records` keeps the results, `restarts`
what to go back to, and `checkpoint` saves states on disk. `loop` puts them together, `progress` shows the progress,
`train` does it in one call, and `validation` scores a model on held-out sequences.
"""

from myrnn.training.checkpoint import Checkpoint
from myrnn.training.hooks import TrainingReport, TrainingStart
from myrnn.training.settings import TrainingSettings
from myrnn.training.state import TrainingState
from myrnn.training.train import train
from myrnn.training.validation import Validation, measure

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
