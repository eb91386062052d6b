"""Training: `train`, what it returns and what can watch it."""

from myrnn.training._checkpoint import Checkpoint, has_checkpoints, load_checkpoint
from myrnn.training._engines import reference_logits
from myrnn.training._history import History
from myrnn.training._hooks import Report, TrainingStart
from myrnn.training._progress import Curve, Display, duration, progress_display
from myrnn.training._schedules import SCHEDULES, named_schedule
from myrnn.training._sparkline import curve_levels, sparkline
from myrnn.training._state import TrainingState
from myrnn.training._train import train
from myrnn.training._training import Training

__all__ = [
    "SCHEDULES",
    "Checkpoint",
    "Curve",
    "Display",
    "History",
    "Report",
    "Training",
    "TrainingStart",
    "TrainingState",
    "curve_levels",
    "duration",
    "has_checkpoints",
    "load_checkpoint",
    "named_schedule",
    "progress_display",
    "reference_logits",
    "sparkline",
    "train",
]
