"""Training: `train`, what it returns and what can watch it."""

from myrnn.results import History
from myrnn.training._checkpoint import Checkpoint, keep_last_checkpoint, load_checkpoint, saved_iteration
from myrnn.training._divergence import ON_DIVERGENCE
from myrnn.training._engines import reference_logits
from myrnn.training._hooks import Report, TrainingStart
from myrnn.training._interrupts import held_interrupts, raising
from myrnn.training._progress import Curve, Display, duration, progress_display
from myrnn.training._schedules import SCHEDULES, named_schedule
from myrnn.training._sparkline import curve_levels, sparkline
from myrnn.training._state import TrainingState
from myrnn.training._train import train
from myrnn.training._training import Training
from myrnn.training._validation import Validation

__all__ = [
    "ON_DIVERGENCE",
    "SCHEDULES",
    "Checkpoint",
    "Curve",
    "Display",
    "History",
    "Report",
    "Training",
    "TrainingStart",
    "TrainingState",
    "Validation",
    "curve_levels",
    "duration",
    "held_interrupts",
    "keep_last_checkpoint",
    "load_checkpoint",
    "named_schedule",
    "progress_display",
    "raising",
    "reference_logits",
    "saved_iteration",
    "sparkline",
    "train",
]
