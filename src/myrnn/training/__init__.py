"""Training: `train`, its results, and hooks that watch it.

`feed` gives the sequences of every iteration, and an `engine`, compiled (`native`) or MyGrad's, runs it. `state` holds
everything that changes, and the state to go back to; `records` converts results to arrays, and `checkpoint` saves
states on disk. `outputs` defines the outputs required for targets and their scores, `measure` the scores on other
sequences. `hooks` watch, and `progress` shows the progress. `loop` has `train`, and `settings` its settings.
"""

from myrnn._signals import held_interrupts
from myrnn.learning_curve import History
from myrnn.schedules import named_schedule
from myrnn.training.checkpoint import Checkpoint, TrainingState, keep_last_checkpoint, load_checkpoint, saved_iteration
from myrnn.training.engine import check_sees_no_future, reference_in_parts, reference_logits
from myrnn.training.hooks import Report, TrainingStart, Validation
from myrnn.training.loop import Training, train
from myrnn.training.measure import mean_over, measure
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
    "check_sees_no_future",
    "curve_levels",
    "duration",
    "held_interrupts",
    "keep_last_checkpoint",
    "load_checkpoint",
    "mean_over",
    "measure",
    "metric_of",
    "named_schedule",
    "progress_display",
    "reference_in_parts",
    "reference_logits",
    "saved_iteration",
    "sparkline",
    "total_score",
    "train",
]
