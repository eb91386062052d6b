"""Training: `train`, what it returns and what can watch it.

`feed` gives the sequences of every iteration, and an `engine`, compiled (`native`) or MyGrad's, does it. `state` holds
what that changes, and where to go back to; `records` gives it the form of arrays, and `checkpoint` keeps it on the
disk. `outputs` says what is wanted of a model and how good that is, on other sequences `measure`. `hooks` watch,
`progress` shows how far it is, and `interrupts` lets Ctrl-C wait until all is counted. `loop` has `train`, and
`settings` what can be chosen.
"""

from myrnn.results import History
from myrnn.schedules import named_schedule
from myrnn.training.checkpoint import Checkpoint, TrainingState, keep_last_checkpoint, load_checkpoint, saved_iteration
from myrnn.training.engine import reference_logits
from myrnn.training.hooks import Report, TrainingStart, Validation
from myrnn.training.interrupts import held_interrupts, raising
from myrnn.training.loop import Training, train
from myrnn.training.measure import measure
from myrnn.training.outputs import metric_of, total_score
from myrnn.training.progress import Curve, Display, curve_levels, duration, progress_display, sparkline
from myrnn.training.settings import ENGINES, TrainingSettings

__all__ = [
    "ENGINES",
    "Checkpoint",
    "Curve",
    "Display",
    "History",
    "Report",
    "Training",
    "TrainingSettings",
    "TrainingStart",
    "TrainingState",
    "Validation",
    "curve_levels",
    "duration",
    "held_interrupts",
    "keep_last_checkpoint",
    "load_checkpoint",
    "measure",
    "metric_of",
    "named_schedule",
    "progress_display",
    "raising",
    "reference_logits",
    "saved_iteration",
    "sparkline",
    "total_score",
    "train",
]
