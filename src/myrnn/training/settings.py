"""The settings of a training: type, bounds, default and help of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Literal, get_args

from msgspec import Meta

from myrnn.losses import CROSS_ENTROPY, loss_names
from myrnn.schedules import schedule_names
from myrnn.settings import Section, settings_of

# Iterations have twelve digits in the names of checkpoints.
MOST_ITERATIONS = 10**12 - 1

Iterations = Annotated[int, Meta(ge=1, le=MOST_ITERATIONS, description="How many optimizer steps to do.")]
BatchSize = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000,
        title="Batch size",
        description="How many sequences each step averages over.",
        examples=[1, 4, 16, 64],
    ),
]
Seed = Annotated[
    int, Meta(ge=0, title="Seed", description="The same seed gives the same weights.", examples=[0, 1, 2, 3, 4])
]
_Engine = Literal["auto", "native", "mygrad"]
ENGINES: tuple[str, ...] = get_args(_Engine)
EngineName = Annotated[_Engine, Meta(description="How to run the equations: auto, native or mygrad.")]
ReportEvery = Annotated[
    int, Meta(ge=1, le=MOST_ITERATIONS, description="Iterations that each point of the history averages.")
]
ScheduleName = Annotated[
    str,
    Meta(
        description="How the learning rate changes",
        extra={"choices": schedule_names},
    ),
]
LossName = Annotated[
    str,
    Meta(description="The loss to minimise", extra={"choices": loss_names, "later": True}),
]
GradientClip = Annotated[
    float,
    Meta(gt=0, title="Clipping", description="The largest norm of the gradient.", examples=[0.1, 0.3, 1.0, 3.0, 10.0]),
]
OnDivergence = Annotated[
    Literal["stop", "restart"],
    Meta(
        description="When the loss is no longer finite: stop, or restart from before with half the rate and "
        "clipped gradients."
    ),
]


class TrainingSettings(Section, frozen=True, kw_only=True):
    """How a model is trained on sequences that a task draws.

    Examples
    --------
    >>> settings = TrainingSettings(iterations=1_000, schedule="cosine")
    >>> settings.iterations, settings.schedule, settings.batch_size
    (1000, 'cosine', 1)
    """

    iterations: Iterations = 100_000
    batch_size: BatchSize = 1
    seed: Seed = 0
    engine: EngineName = "auto"
    report_every: ReportEvery = 500
    schedule: ScheduleName = "constant"
    gradient_clip: GradientClip | None = None
    on_divergence: OnDivergence = "stop"
    loss: LossName = CROSS_ENTROPY


# A type instead of an instance, which would look for schedules of other packages while this one is being imported.
DEFAULTS = SimpleNamespace(**{setting.name: setting.default for setting in settings_of(TrainingSettings)})
