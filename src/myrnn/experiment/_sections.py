"""The sections of an experiment that every experiment has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import LARGEST_INT32
from myrnn.settings import Section

# Iterations have twelve digits in the names of checkpoints.
MOST_ITERATIONS = 10**12 - 1
MOST_LENGTHS = 100_000
MOST_SAMPLES = 10_000_000

Iterations = Annotated[int, Meta(ge=1, le=MOST_ITERATIONS, description="How many optimizer steps to do.")]
Engine = Annotated[
    Literal["auto", "native", "mygrad"], Meta(description="How to run the equations: auto, native or mygrad.")
]
Seed = Annotated[int, Meta(ge=0, description="The same seed gives the same weights.")]
Samples = Annotated[int, Meta(ge=1, le=MOST_SAMPLES, description="How many sequences to evaluate on.")]


class Training(Section, frozen=True, kw_only=True):
    """How a model is trained."""

    iterations: Iterations = 100_000
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000, description="How many sequences each step is the mean of.")] = 1
    seed: Seed = 0
    engine: Engine = "auto"
    report_every: Annotated[
        int, Meta(ge=1, le=MOST_ITERATIONS, description="Iterations that each point of the history averages.")
    ] = 500
    schedule: Annotated[
        Literal["constant", "cosine", "linear"],
        Meta(description="The learning rate: constant, or falling to zero as cosine or linear."),
    ] = "constant"
    gradient_clip: Annotated[float, Meta(gt=0, description="The largest norm of the gradient.")] | None = None
    on_divergence: Annotated[
        Literal["stop", "restart"],
        Meta(
            description="When the loss is no longer finite: stop, or restart from before with half the rate and "
            "clipped gradients."
        ),
    ] = "stop"


class Evaluation(Section, frozen=True, kw_only=True):
    """How a trained model is tested.

    Attributes
    ----------
    samples : int
    seed : int or None
        By default that of the training and one: other sequences than it was trained on.
    lengths : tuple of int or None
        By default up to twice the longest trained length. ``"2:40:2"`` stands for every second length from 2 to 40.
    """

    samples: Samples = 100_000
    seed: Annotated[int, Meta(ge=0, description="Seeds the sequences that are drawn to test on.")] | None = None
    lengths: Any = None

    def __post_init__(self) -> None:
        """Check all values; lengths are listed once each, rising."""
        super().__post_init__()
        self._keep("lengths", _lengths(self.lengths))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return {**super().to_dict(), "lengths": None if self.lengths is None else list(self.lengths)}


def _lengths(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    if isinstance(given, str):
        numbers = _checks.span("lengths", given, MOST_LENGTHS)
        if numbers is None:
            raise InvalidArgument(f"lengths must be a list, or 'first:last:step' as in '2:40:2', not {given!r}")
        given = list(numbers)
    if not isinstance(given, list | tuple | range | np.ndarray):
        raise InvalidArgument(
            f"lengths must be a list, or 'first:last:step' as in '2:40:2', not {_checks.shown(given)}"
        )
    whole = _checks.integers("lengths", given, minimum=1, maximum=LARGEST_INT32)
    if not len(whole):
        raise InvalidArgument("lengths is empty: name at least one length")
    return tuple(np.unique(whole).tolist())
