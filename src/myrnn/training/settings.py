"""The settings of a training: type, bounds, default and help of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.losses import loss_names
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
    Meta(
        description="The loss to minimise, by default cross-entropy, or for numbers the mean squared error",
        extra={"choices": loss_names},
    ),
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


MaxEpochs = Annotated[int, Meta(ge=1, le=10**9, description="The maximum number of passes through the data.")]
ValidationFraction = Annotated[
    float, Meta(ge=0, lt=1, description="The share of the data that is held out to choose the best epoch.")
]
Patience = Annotated[int, Meta(ge=1, description="How many epochs may pass without a better one.")]
ClassWeight = Annotated[
    Any,
    Meta(description="The weights of the classes: balanced, so that rare ones count as much, or as in spam=3,ham=1."),
]
Window = Annotated[
    int,
    Meta(
        ge=0,
        description="Train on windows of this many steps, carrying the state on; 0 reads sequences whole. By default "
        "64 for text and series, else 0.",
    ),
]


class TrainingSettings(Section, frozen=True, kw_only=True):
    """How a model is trained: on sequences that a task draws, for `iterations`; on given sequences, in epochs.

    The defaults are those for a task. Settings for given sequences only are None or 0; an experiment with data has
    defaults of its own, see :doc:`/reference/experiments`.

    Examples
    --------
    >>> settings = TrainingSettings(iterations=1_000, schedule="cosine")
    >>> settings.iterations, settings.schedule, settings.batch_size
    (1000, 'cosine', 1)
    """

    iterations: Iterations | None = 100_000
    max_epochs: MaxEpochs | None = None
    batch_size: BatchSize = 1
    seed: Seed = 0
    engine: EngineName = "auto"
    report_every: ReportEvery | None = 500
    validation_fraction: ValidationFraction = 0.0
    early_stopping_patience: Patience | None = None
    schedule: ScheduleName = "constant"
    gradient_clip: GradientClip | None = None
    class_weight: ClassWeight = None
    on_divergence: OnDivergence = "stop"
    loss: LossName | None = None
    truncate: Window | None = None

    def __post_init__(self) -> None:
        """Check all values; store class weights as pairs."""
        super().__post_init__()
        self._keep("class_weight", _class_weight(self.class_weight))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        weight = self.class_weight
        return {**super().to_dict(), "class_weight": dict(weight) if isinstance(weight, tuple) else weight}


# A type instead of an instance, which would look for schedules of other packages while this one is being imported.
DEFAULTS = SimpleNamespace(**{setting.name: setting.default for setting in settings_of(TrainingSettings)})


def _class_weight(given: Any) -> Any:
    """Return None, ``"balanced"`` or pairs of a label and a number."""
    if given is None or given == "balanced":
        return given
    wanted = "class_weight must be balanced, or weights such as spam=3,ham=1"
    if isinstance(given, str):
        parts = [part.rpartition("=") for part in given.split(",")]
        if not all(label and equals for label, equals, _ in parts):
            raise InvalidArgument(f"{wanted}, not {given!r}")
        pairs: list[tuple[Any, Any]] = [(label, weight) for label, _, weight in parts]
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given):
        pairs = [tuple(pair) for pair in given]
    else:
        raise InvalidArgument(f"{wanted}, not {_checks.shown(given)}")
    weights: dict[str, float] = {}
    for label, weight in pairs:
        try:
            number = float(weight) if isinstance(weight, str) else weight
        except ValueError:
            raise InvalidArgument(f"{wanted}, not {given!r}") from None
        number = _checks.real(f"the weight of {str(label)!r} in class_weight", number, minimum=0)
        if str(label) in weights:
            raise InvalidArgument(f"class_weight has two weights for {str(label)!r}")
        weights[str(label)] = number
    if not any(weights.values()):
        raise InvalidArgument("class_weight must have a weight above 0 for one class at least")
    return tuple(weights.items())
