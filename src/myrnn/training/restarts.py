"""Divergence: whether a training is still finite, and the state that it goes back to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import TrainingDiverged
from myrnn.training.hooks import TrainingReport
from myrnn.training.state import TrainingState

MOST_RESTARTS = 5
# The norm that gradients are clipped to after a restart, if they were not clipped before.
CLIP_AFTER_RESTART = 1.0
# The least distance of two reports to go back to, as a share of the training, unless it restarts by itself.
KEPT = 100
ADVICE = "try a smaller learning rate, or clip the gradients with gradient_clip=1.0"


def check_losses(losses: NDArray[np.float64], first: int) -> None:
    """Raise TrainingDiverged for the first loss that is not finite; `first` is the iteration of the first of all."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise TrainingDiverged(f"the loss is {losses[bad[0]]} at iteration {first + int(bad[0])}: {ADVICE}")


def check_not_diverged(what: str, arrays: Iterable[NDArray[Any]], iteration: int) -> None:
    """Raise TrainingDiverged if an array is no longer finite; `what` names the arrays."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise TrainingDiverged(f"{what} are no longer finite at iteration {iteration}: {ADVICE}")


def is_in_hand(loss: float, guessing: float) -> bool:
    """Return whether a training may go back to a report with this loss; `guessing` is the loss of guessing."""
    # Losses are far above that of guessing well before they overflow, and a training should not resume from the weights
    # that led there.
    # Twice that of guessing, which may be below 0 for a user's loss.
    return loss <= guessing + abs(guessing)


class Restarts:
    """The restarts of a training that diverged, if they are `allowed`, and their effects."""

    def __init__(self, gradient_clip: float | None, allowed: bool) -> None:
        self._gradient_clip, self.allowed = gradient_clip, allowed
        self.count = 0
        # The state to go back to; None as long as nothing is kept.
        self.last: TrainingState | None = None

    @property
    def scale(self) -> float:
        """The factor of learning rates: every restart halves them."""
        return 0.5**self.count

    @property
    def gradient_clip(self) -> float | None:
        """The current largest norm of the gradients."""
        return CLIP_AFTER_RESTART if self.count and self._gradient_clip is None else self._gradient_clip

    def wants(self, report: TrainingReport, guessing: float) -> bool:
        """Return whether it may go back to this report instead of the last one."""
        # Copying the state at every report would cost a long training more time than a restart has to repeat.
        if self.last is None or not is_in_hand(report.loss, guessing):
            return False
        return self.allowed or KEPT * (report.iteration - self.last.iteration) >= self.last.iteration

    def message(self, error: TrainingDiverged, iteration: int) -> str:
        """Say that the training has gone back to an iteration after an error."""
        what = str(error).partition(": ")[0]
        return (
            f"{what}: training resumes from iteration {iteration} with {self.scale:g} times the learning rate "
            f"and gradients clipped to {self.gradient_clip:g}"
        )

    def back_from(self, error: TrainingDiverged) -> TrainingState:
        """Return the state to go back to after an error; raise the error, or advice, if there is none."""
        if self.last is None or not self.allowed:
            raise error
        if self.count == MOST_RESTARTS:
            what, _, advice = str(error).partition(": ")
            raise TrainingDiverged(f"{what}, also after {MOST_RESTARTS} restarts: {advice}") from None
        return self.last
