"""One network of the playground: made from settings, trained in short turns, inspected in between."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.compiler import CompiledModel, compile
from myrnn.errors import CompileError, InvalidArgument, TrainingDiverged
from myrnn.experiment.parts import OWN, Part, weight_generator
from myrnn.generation import generate
from myrnn.learning_curve import LearningCurve
from myrnn.optimizers import SGD, Adam, RMSprop
from myrnn.playground.material import Material, material_of
from myrnn.playground.settings import ADJUSTABLE, sections_of, unrepeatable
from myrnn.registry import make
from myrnn.runs import Run
from myrnn.runs.folder import weight_bytes
from myrnn.sequences import Sequences
from myrnn.tasks import Task
from myrnn.training.loop import Training
from myrnn.training.settings import EngineName

ModelClass = Callable[..., Any]

REPORT_EVERY = 500
# The limit of a playground; every 500 iterations add an entry to the history.
MOST_ITERATIONS = 20_000_000
# After an adjustment the seed of the sequences is larger by this, which exceeds every seed in the settings.
NEXT_SEED = 10_000_000
# The most points of a curve on the page, an even number.
MOST_POINTS = 512


class Recorded:
    """A task that remembers the last drawn sequences, so that those of the latest iteration can be shown."""

    def __init__(self, task: Task, batch_size: int) -> None:
        self._task, self._batch_size = task, batch_size
        self._blocks: deque[tuple[int, Sequences]] = deque(maxlen=2)
        self._drawn = 0
        # The number of answers that count in each iteration, from the first one not asked for yet.
        self._counted: list[NDArray[np.int64]] = []
        self.dim_input, self.dim_output, self.lengths = task.dim_input, task.dim_output, task.lengths

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Draw `n` labelled sequences. A training asks for whole iterations, and uses them in order."""
        drawn = self._task.sample(n, rng)
        self._blocks.append((self._drawn, drawn))
        self._drawn += n
        self._counted.append(drawn.counted.reshape(-1, self._batch_size).sum(axis=1))
        return drawn

    def counted(self, iterations: int) -> NDArray[np.int64]:
        """Return the number of answers that counted in each of the next iterations, int64 (n,)."""
        known = np.concatenate(self._counted)
        self._counted = [known[iterations:]]
        return known[:iterations]

    def last_of(self, iteration: int) -> NDArray[np.int64]:
        """Return the tokens of the last sequence of an iteration, counted from 0."""
        place = (iteration + 1) * self._batch_size - 1
        start, block = next((s, b) for s, b in self._blocks if s <= place < s + len(b))
        return block.tokens(place - start)


@dataclass(frozen=True)
class TrainingPhase:
    """A part of a training with constant settings."""

    iterations: int
    learning_rate: float
    batch_size: int
    seed: int
    gradient_clip: float | None


class MeanCurve:
    """Means over `width` iterations each, which doubles from 1 whenever there are too many points for the page."""

    def __init__(self, most: int = MOST_POINTS) -> None:
        self.width, self.iterations = 1, 0
        # Sums of losses and of right answers.
        self._sums = np.zeros((2, most))

    def add(self, losses: ArrayLike, right: ArrayLike) -> None:
        """Add the mean loss and the share of right answers of iterations, each of shape (n,)."""
        added = np.asarray((losses, right), dtype=np.float64)
        last = self.iterations + added.shape[1]
        points = self._sums.shape[1]
        while last > points * self.width:
            halves = self._sums.reshape(2, -1, 2).sum(axis=2)
            self._sums = np.hstack((halves, np.zeros_like(halves)))
            self.width *= 2
        point = np.arange(self.iterations, last) // self.width
        self._sums += [np.bincount(point, weights=numbers, minlength=points) for numbers in added]
        self.iterations = last

    def since(self, point: int) -> tuple[list[float], list[float]]:
        """Return the losses and accuracies of all points from the given one on."""
        points = -(-self.iterations // self.width)
        # The last point may have fewer iterations.
        counts = np.minimum(self.iterations - self.width * np.arange(points), self.width)
        loss, accuracy = (self._sums[:, :points] / counts)[:, point:].tolist()
        return loss, accuracy


class Network:
    """A model with its training: a new one, or that of a run to continue."""

    def __init__(
        self,
        settings: dict[str, Any],
        own: ModelClass | None = None,
        run: Run | None = None,
        data: Material | None = None,
    ) -> None:
        self.settings = dict(settings)
        sections = sections_of(self.settings)
        self.material = material_of(sections["task"], data)
        self.task: Task = self.material.task  # what the library draws from, and saves
        self.run = run
        # Before it learns anything more; a training on data counts no iterations.
        self.origin = _origin_of(run) if run is not None and run.history.unit == "iteration" else None
        self.model = new_model(self.settings, self.task, own) if run is None else run.model
        self.optimizer = make("optimizer", params=self.model.parameters, **sections["optimizer"])
        # None if the model cannot be compiled or inspected; and why it is not trained by native code, or empty.
        self.compiled, self.note = _compiled(self.model, self.task.dim_input)
        has_native_form = type(self.optimizer) in (Adam, RMSprop, SGD)
        self.engine: EngineName = "native" if self.compiled is not None and has_native_form else "mygrad"
        if not has_native_form:
            self.note = self.note or f"{type(self.optimizer).__name__} has no native form"
        # The parts of the training before the current settings: each phase, with its history.
        self._finished: list[tuple[TrainingPhase, LearningCurve]] = []
        self.recorded = Recorded(self.task, settings["batch_size"])
        self._training: Training | None = None
        self.curve = MeanCurve()
        self.rate = 0.0  # the approximate number of iterations per second; 0 before the first
        # The last sequence of the latest iteration, and the mean loss of the iteration's sequences before the step.
        self.last_tokens: list[int] = []
        self.last_loss = 0.0
        # The eigenvalues of its matrices before it learns anything here, as the page draws them; unknown at first.
        self.began: list[dict[str, Any]] | None = None
        self.failed = ""  # why its training failed within an iteration, and what to do; otherwise empty

    @property
    def training(self) -> Training:
        """The training with the current settings, which is compiled on first access."""
        settings = self.settings
        if self._training is None:
            self._training = Training(
                self.model,
                self.recorded,
                self.optimizer,
                settings["batch_size"],
                self._seed,
                engine=self.engine,
                report_every=REPORT_EVERY,
                gradient_clip=settings["gradient_clip"],
                loss=self.loss,
            )
        return self._training

    @property
    def loss(self) -> str | None:
        """The registered loss of the continued run; None for the usual one."""
        return None if self.run is None else self.run.experiment.training.loss

    def adjust(self, settings: dict[str, Any]) -> bool:
        """Change learning rate, clipping or batch size, and keep the weights; return whether that is possible."""
        changed = {name for name in settings if settings[name] != self.settings[name]}
        if self.failed or not changed.issubset(ADJUSTABLE):
            return False
        if changed:
            if self._done:
                self._finished.append((self._phase, self.training.history))
            self.settings = dict(settings)
            self.optimizer.learning_rate = settings["learning_rate"]
            self.recorded, self._training = Recorded(self.task, settings["batch_size"]), None
            # Iterations of another batch size have another speed.
            self.rate = 0.0
        return True

    @property
    def _seed(self) -> int:
        return int(self.settings["seed"]) + NEXT_SEED * len(self._finished)

    @property
    def _phase(self) -> TrainingPhase:
        given = {name: self.settings[name] for name in ADJUSTABLE}
        return TrainingPhase(iterations=self._done, seed=self._seed, **given)

    @property
    def phases(self) -> list[TrainingPhase]:
        """The parts of the training, in order; without an adjustment there is one."""
        current = [self._phase] if self._done else []
        return [*(phase for phase, _ in self._finished), *current]

    @property
    def was_adjusted(self) -> bool:
        """Whether some of the training used other settings than the current ones."""
        return bool(self._finished)

    @property
    def _done(self) -> int:
        """The number of iterations with the current settings."""
        return 0 if self._training is None else self._training.iteration

    @property
    def iteration(self) -> int:
        """The total number of iterations."""
        return sum(phase.iterations for phase, _ in self._finished) + self._done

    @property
    def moment(self) -> tuple[int, str]:
        """A value that changes whenever the weights do; a failed training may have changed them without counting."""
        return self.iteration, self.failed

    @property
    def ended(self) -> str:
        """Why it does not train any more, or empty."""
        enough = f"{MOST_ITERATIONS:,} iterations are enough here: save it, and go on in Python"
        return self.failed or self.material.missing or (enough if self.iteration >= MOST_ITERATIONS else "")

    def check_goes_on(self) -> None:
        """Refuse to train a network that does not train any more."""
        if self.ended:
            raise InvalidArgument(self.ended)

    def check_whole(self) -> None:
        """Refuse a network whose training failed: its iterations do not reproduce its weights."""
        if self.failed:
            raise InvalidArgument(self.failed)

    @property
    def unrepeatable(self) -> str:
        """Why no settings reproduce it, or empty."""
        return "" if self.run is None else unrepeatable(self.run)

    @property
    def off(self) -> dict[str, str]:
        """What cannot be done with it, by the name of the request, and why."""
        off = dict.fromkeys(("reset", "link"), self.unrepeatable) if self.unrepeatable else {}
        return off | self.material.off

    @property
    def before(self) -> LearningCurve | None:
        """The history of the continued run, if it counts iterations."""
        run = self.run
        return run.history if run is not None and run.history.unit == "iteration" and len(run.history) else None

    @property
    def done_before(self) -> int:
        """The number of iterations of the continued run."""
        return 0 if self.before is None else int(self.before.iteration[-1])

    @property
    def history(self) -> LearningCurve:
        """The history, including that of the continued run."""
        parts = [history for _, history in self._finished]
        if self._done or not parts:
            parts.append(self.training.history)
        return reduce(LearningCurve.joined, parts if self.before is None else [self.before, *parts])

    @property
    def writes(self) -> bool:
        """Whether it can continue a sequence: its classes are the next symbols."""
        material = self.material
        names_symbols = material.class_names == material.symbol_names
        return self.compiled is not None and material.predicts_next and names_symbols

    @property
    def longest(self) -> int | None:
        """The longest training sequence, if known."""
        if len(self.task.lengths):
            return int(self.task.lengths[-1])
        return None if self.run is None else self.run.history.longest or None

    def programs(self) -> list[str]:
        """Return the compiled programs for training and inspecting the network."""
        if self.compiled is None:
            return []
        return self.compiled.programs_for_tokens(self.settings["batch_size"], writes=self.writes)

    def preparations(self) -> list[Callable[[], object]]:
        """Return small steps that load these programs and check them."""
        compiled = self.compiled
        if compiled is None:
            return []
        if self.material.missing:
            tokens = Sequences([0, 0], [0, 1, 2], [0, 0], self.task.dim_input)
        else:
            tokens = self.task.sample(2, np.random.default_rng(0))
        return [
            *([] if self.material.missing else [lambda: self.training]),
            lambda: compiled.logits(tokens),
            lambda: compiled.observe(tokens.features(0), tokens.targets[tokens.rows(np.array([0]))]),
            *([lambda: generate(compiled, [0], 1, seed=0)] if self.writes else []),
        ]

    def advance(self, seconds: float, most: int) -> int:
        """Train for about this many seconds, at most `most` iterations, and return their number."""
        self.check_goes_on()
        # The speed is unknown at first.
        wanted = max(1, int(self.rate * seconds)) if self.rate else 16
        count = min(wanted, most, MOST_ITERATIONS - self.iteration)
        begin = time.perf_counter()
        try:
            losses, right = self.training.advance(count)
        except TrainingDiverged as error:
            self.failed = "this network has diverged: reset it, or load a run"
            # Advice for Python is useless on the page.
            what = str(error).partition(":")[0]
            raise TrainingDiverged(f"{what}: choose a smaller learning rate, or clipping, and train again") from error
        except BaseException:
            self.failed = "this network failed in its training: reset it, or load a run"
            raise
        took = time.perf_counter() - begin
        measured = count / max(took, 1e-6)
        # A slow turn (the first one compiles, or another program interferes) says little about the speed, and a short
        # one not much.
        self.rate = float(np.clip(measured, 0.8 * self.rate, 8 * self.rate)) if self.rate else measured
        self.curve.add(losses, right / np.maximum(self.recorded.counted(len(losses)), 1))
        self.last_tokens = self.recorded.last_of(self._done - 1).tolist()
        self.last_loss = float(losses[-1])
        return count


def new_model(settings: dict[str, Any], task: Task, own: ModelClass | None = None) -> Any:
    """Return a model with its initial weights, drawn from the seed in a different stream from the sequences."""
    is_own = settings["cell"] == OWN
    if is_own and own is None:
        raise InvalidArgument(
            "there is no model class of yours here: start with myrnn playground --model my_file.py:MyClass"
        )
    part = Part.read("model", sections_of(settings)["model"])
    return part.new_model(task, weight_generator(settings["seed"]), own if is_own else None)


def _origin_of(run: Run) -> dict[str, Any]:
    """Return the description of this run in one that continues it, while its weights are unchanged."""
    iterations = int(run.history.iteration[-1]) if len(run.history) else 0
    return {
        "name": run.folder.resolve().name,
        "weights": hashlib.sha256(weight_bytes(run.model)).hexdigest(),
        "iterations": iterations,
    }


def _compiled(model: Any, dim_input: int) -> tuple[CompiledModel | None, str]:
    try:
        return compile(model, dim_input=dim_input, check=False), ""
    except CompileError as error:
        return None, str(error)
