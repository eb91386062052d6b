"""When a training has gone astray, and what happens then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import TrainingDiverged
from myrnn.training._hooks import Report
from myrnn.training._kinds import kind_of
from myrnn.training._state import Snapshot

ON_DIVERGENCE = ("stop", "restart")
MOST_RESTARTS = 5
# The norm that gradients are clipped to after a restart, where they were not clipped before.
CLIP_AFTER_RESTART = 1.0
# Reports to go back to are this part of a training apart at least, where it does not go back by itself.
KEPT = 100
ADVICE = "try a smaller learning rate, or clip the gradients with gradient_clip=1.0"


def check_losses(losses: NDArray[np.float64], first: int) -> None:
    """Raise TrainingDiverged for the first loss that is not finite; `first` is the iteration of the first of all."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise TrainingDiverged(f"the loss is {losses[bad[0]]} at iteration {first + int(bad[0])}: {ADVICE}")


def check_finite(what: str, arrays: Iterable[NDArray[Any]], iteration: int) -> None:
    """Raise TrainingDiverged where an array is no longer finite; `what` says whose arrays they are."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise TrainingDiverged(f"{what} are no longer finite at iteration {iteration}: {ADVICE}")


def check_learner(parameters: Iterable[Any], optimizer: Any, iteration: int) -> None:
    """Raise TrainingDiverged where a weight is no longer finite, or a gradient or its square that is remembered.

    A weight whose squared gradients have overflowed moves no more, and the loss need not show it.
    """
    check_finite("the weights", (parameter.data for parameter in parameters), iteration)
    kind = kind_of(optimizer)
    for memory in () if kind is None else kind.memory(optimizer).values():
        check_finite("the gradients that the optimizer remembers", memory, iteration)


def is_in_hand(loss: float, classes: int, class_weights: NDArray[np.float32] | None) -> bool:
    """Return whether a training may go back to a report with this loss.

    Losses are far above that of guessing well before they stop being finite, and weights that brought them there are no
    place to go on from.
    """
    heaviest = 1.0 if class_weights is None else float(class_weights.max())
    return bool(loss <= 2 * np.log(classes) * heaviest)


class Restarts:
    """How often a training went back after it had gone astray, and what that changes.

    Parameters
    ----------
    gradient_clip : float or None
        The largest norm of the gradients before any restart; None for no limit.
    allowed : bool
        Whether it may go back.

    Attributes
    ----------
    allowed : bool
    count : int
        How often it went back.
    last : Snapshot or None
        Where it would go back to; None where nobody wants to know.
    """

    def __init__(self, gradient_clip: float | None, allowed: bool) -> None:
        self._gradient_clip, self.allowed = gradient_clip, allowed
        self.count = 0
        self.last: Snapshot | None = None

    @property
    def scale(self) -> float:
        """What learning rates are multiplied by: every restart halves them."""
        return 0.5**self.count

    @property
    def gradient_clip(self) -> float | None:
        """The largest norm of the gradients by now."""
        return CLIP_AFTER_RESTART if self.count and self._gradient_clip is None else self._gradient_clip

    def wants(self, report: Report, classes: int, class_weights: NDArray[np.float32] | None) -> bool:
        """Return whether it may go back to this report rather than to the last.

        To be copied at every report would cost a long training more than what lies between two that are kept.
        """
        if self.last is None or not is_in_hand(report.loss, classes, class_weights):
            return False
        return self.allowed or KEPT * (report.iteration - self.last.iteration) >= self.last.iteration

    def told(self, error: TrainingDiverged, iteration: int) -> str:
        """Say that the training has gone back to an iteration after an error."""
        what = str(error).partition(": ")[0]
        return (
            f"{what}: training goes on from iteration {iteration} with {self.scale:g} times the learning rate "
            f"and gradients clipped to {self.gradient_clip:g}"
        )

    def back_from(self, error: TrainingDiverged) -> Snapshot:
        """Return where to go back to after an error; raise it, or what to try, where there is no going back."""
        if self.last is None or not self.allowed:
            raise error
        if self.count == MOST_RESTARTS:
            what, _, advice = str(error).partition(": ")
            raise TrainingDiverged(f"{what}, also after {MOST_RESTARTS} restarts: {advice}") from None
        return self.last
