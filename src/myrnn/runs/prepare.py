"""An experiment that is ready to train: its sequences as a model reads them, and the model with its initial weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data import (
    Differences,
    LabelledSequences,
    Numbers,
    SequenceEncoder,
    TargetEncoder,
    TokenSequences,
    flat_sequences,
)
from myrnn.data.differences import MOST_DIFFERENCES, trend_of
from myrnn.data.overlap import Overlap, TrainingSequences
from myrnn.data.read import DEFAULT_COLUMNS
from myrnn.data.series import is_number
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import LABELS, NEXT, SERIES, VALUES, RawTargets, cut_in_two
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import check_classes
from myrnn.experiment import Experiment, MemorySource
from myrnn.experiment.sources import MEMORY
from myrnn.runs.files import is_training_file, read_file
from myrnn.runs.model import describe_model
from myrnn.runs.reader import (
    TASK_TEST,
    DataReader,
    Reader,
    TaskReader,
    names_unknown,
)
from myrnn.runs.reports import WITH_BASELINES, Tested, known_of, tested_on
from myrnn.runs.trained import Run
from myrnn.sequences import Sequences
from myrnn.storage import sha256_if_readable
from myrnn.tasks import recognition_of
from myrnn.training.outputs import check_sees_no_future

# The default window, in steps, for text and series.
WINDOW = 64
# The fewest iterations of an epoch in windows.
FEWEST_ITERATIONS = 5


@dataclass(eq=False, kw_only=True)
class Prepared:
    """An experiment that is ready to train."""

    experiment: Experiment
    model: Any  # with its initial weights
    reader: Reader
    sequences: Any  # what the training draws from: a task, or encoded sequences
    held_out: Sequences | None = None  # what every epoch is validated on; None for a task, which has no epochs
    # What the trained model is tested on, by name: a task, or files without sequences of unknown classes.
    tests: Mapping[str, Any] = field(default_factory=dict)
    # As `myrnn.train` takes them.
    seed: int
    batch_size: int
    iterations: int
    report_every: int
    truncate: int | None = None
    class_weight: NDArray[np.float64] | None = None
    # The SHA-256 of every file as it was read, by its role in the experiment, and of sequences in memory.
    hashes: dict[str, str] = field(default_factory=dict)

    def test(self, name: str, run: Run, progress: bool | None = None) -> Tested:
        """Return the result of a test of the trained model."""
        return tested_on(run, self.tests[name], progress=progress)

    def facts(self) -> dict[str, Any]:
        """Return numbers about the sequences for ``report.json``."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return the description of the model for a run folder: its settings and its sizes."""
        return describe_model(self.model, self.reader.sizes, self.experiment.model)


def prepare(experiment: Experiment, make: Callable[..., Any] | None = None) -> Prepared:
    """Read or make everything that an experiment needs for its training."""
    make = experiment.model.own_class(make)
    chosen = {"task": _of_task, "data": _of_data}[experiment.source.section]
    return chosen(experiment, make)


# --- a task


def _of_task(experiment: Experiment, make: Callable[..., Any] | None) -> Prepared:
    settings, task = experiment.training, experiment.source.settings.make()
    reader = TaskReader(task)
    model = reader.new_model(experiment.model, experiment.source.initial_draws(settings.seed, 0).weights, make)
    # Runs are tested as classifiers: refuse other targets now, not after the training.
    if isinstance(drawn := recognition_of(task).sample(1, np.random.default_rng(0)), Sequences):
        check_classes(drawn)
    return Prepared(
        experiment=experiment,
        model=model,
        reader=reader,
        sequences=task,
        tests={TASK_TEST: task},
        seed=settings.seed,
        batch_size=settings.batch_size,
        iterations=experiment.length,
        report_every=settings.report_every or 1,
    )


# --- given sequences


@dataclass(eq=False, kw_only=True)
class PreparedData(Prepared):
    """An experiment on given sequences."""

    reader: DataReader
    # The training sequences and their targets: in one form, as a file has them, and as an estimator takes them.
    raw: RawSequences
    targets: RawTargets
    train: LabelledSequences | None = None
    given: tuple[Any, Any] = (None, None)
    # How many sequences of each test are also in the training data.
    overlaps: Mapping[str, Overlap] = field(default_factory=dict)
    # What the baselines of reports are fitted on, once it is needed.
    _known: Sequences | None = None

    def test(self, name: str, run: Run, progress: bool | None = None) -> Tested:
        """Return the result of a test, beside baselines, and how much of it is in the training data."""
        if self._known is None and self.reader.learn in WITH_BASELINES:
            self._known = known_of(run, *self.given)
        tested, overlap = tested_on(run, self.tests[name], known=self._known), self.overlaps[name]
        shared = {"share_in_training": overlap.share, "repeated_in_training": overlap.repeated}
        return replace(tested, facts={**tested.facts, **shared})

    def facts(self) -> dict[str, Any]:
        """Return the number of sequences, their lengths, and how many there are of each class."""
        lengths, counts = np.diff(self.raw.offsets), {}
        if self.targets.classes is not None:
            classes = self.targets.classes
            rows = np.bincount(np.asarray(self.targets.rows), minlength=len(classes))
            counts = {"classes": dict(zip(map(str, classes.classes.tolist()), rows.tolist(), strict=True))}
        return {
            "sequences": len(lengths),
            "skipped_lines": 0 if self.train is None else self.train.skipped,
            "shortest": int(lengths.min()),
            "longest": int(lengths.max()),
            **counts,
        }


def _of_data(experiment: Experiment, make: Callable[..., Any] | None) -> PreparedData:
    """Read the files of an experiment, or take its sequences from memory, and prepare them."""
    source, train = experiment.source, None
    data = source.settings
    # Hash first, so that a file that changes while it is read does not match later.
    hashes = _hashes_of(experiment)
    if isinstance(source, MemorySource):
        if source.given is None:
            raise InvalidArgument("the sequences were in memory: give them again, as data=(X, y)")
        X, y = source.given
        raw = flat_sequences(X, tokenize=data.tokenize)
        hashes[MEMORY] = _hash_of_memory(raw, y)
    else:
        train = read_file(data, data.file, data.labels, tokenize=data.tokenize)
        _warn_of_numbers(train)
        X, y = train.sequences, train.labels if data.learn == LABELS else train.targets
        raw = flat_sequences(X, tokenize=train.tokenize or "auto")
    prepared = prepare_given(experiment, raw, _targets_of(experiment, train, raw, y), make=make)
    prepared.given, prepared.hashes, prepared.train = (X, y), hashes, train
    prepared.reader.columns = None if train is None else train.columns
    prepared.tests = dict(prepared.reader.read_tests(experiment))
    if prepared.tests:
        prepared.overlaps = _overlaps(prepared, raw)
    return prepared


def _overlaps(prepared: PreparedData, raw: RawSequences) -> dict[str, Overlap]:
    """Return how many sequences of each test are in the training data; a warning tells of more than by chance."""
    known, hashes, found = TrainingSequences(raw), prepared.hashes, {}
    for name, file in prepared.experiment.evaluation.test:
        overlap = found[name] = known.overlap(prepared.tests[name].sequences)
        # Of the training file itself there is a warning already.
        if overlap.is_large and hashes[f"test {name}"] != hashes.get("data"):
            warn(
                f"{overlap.share:.1%} of the sequences of {file} are also in the training data, of which only "
                f"{overlap.repeated:.1%} are there twice: a test on them says little about new sequences"
            )
    return found


def _hashes_of(experiment: Experiment) -> dict[str, str]:
    """Return the SHA-256 of the files of an experiment by role; a warning tells of a test on the training file."""
    hashes = {name: sha256_if_readable(file) for name, file in experiment.files.items()}
    for role, file in experiment.files.items():
        if role.startswith("test ") and hashes[role] == hashes.get("data"):
            warn(is_training_file(file))
    return hashes


def _hash_of_memory(raw: RawSequences, y: Any) -> str:
    """Return the SHA-256 of sequences in memory and their targets."""
    arrays = (raw.codes if isinstance(raw, TokenSequences) else raw.rows, raw.offsets)
    try:
        targets = np.asarray(y).tolist()
    except ValueError:
        # Lists of different lengths.
        targets = [np.asarray(one).tolist() for one in y]
    named = (raw.kind, raw.symbols) if isinstance(raw, TokenSequences) else ("numbers",)
    kinds = [(array.dtype.str, array.shape) for array in arrays]
    digest = hashlib.sha256(repr((named, kinds, targets)).encode("utf-8", "surrogatepass"))
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _warn_of_numbers(train: LabelledSequences) -> None:
    """Warn if text holds decimal numbers, which are read as symbols without order or size."""
    if not train.symbols or not all(map(is_number, train.symbols)):
        return
    decimal = [symbol for symbol in train.symbols if not symbol.lstrip("+-").isdecimal()]
    if 2 * len(decimal) > len(train.symbols):
        warn(
            f"{train.source} holds numbers such as {decimal[0]}, which are symbols without size in text: "
            "features are read from lists of numbers, in JSON Lines or Parquet"
        )


def _targets_of(experiment: Experiment, train: LabelledSequences | None, raw: RawSequences, y: Any) -> RawTargets:
    """Return the targets of the training sequences."""
    data, where = experiment.source.settings, "y" if train is None else str(train.source)
    given = RawTargets.read(data.learn, y, raw.offsets, data.per_step, where)
    if given.is_column and train is not None:
        return replace(given, columns=(data.label_column or DEFAULT_COLUMNS[VALUES],))
    return given


def prepare_given(
    experiment: Experiment,
    raw: RawSequences,
    given: RawTargets,
    *,
    make: Callable[..., Any] | None = None,
    class_weight: Any = None,
) -> PreparedData:
    """Encode given sequences, and make a model for them."""
    settings, data = experiment.training, experiment.source.settings
    split, rng = experiment.source.initial_draws(settings.seed, len(raw))
    read, differences = raw, Differences(data.difference, data.period)
    if given.learn == SERIES and isinstance(raw, Numbers):
        # Before a single series is cut in two, so that no difference is lost in between.
        read = differences.of(raw)
        _warn_of_trend(read, differences)
    read, validation = _validated(read, given, settings.validation_fraction, split)
    encoder = SequenceEncoder.fit(read, ~validation, standardize=data.standardize, max_vocabulary=data.max_vocabulary)
    if not read.lengths[~validation].any():
        raise InvalidArgument("every sequence of X is empty: there is nothing to learn from")
    targets = TargetEncoder.fit(given, read, encoder, ~validation)
    reader = DataReader(
        encoder,
        replace(targets, differences=differences),
        raw.tokenize if isinstance(raw, TokenSequences) else None,
        names_unknown(encoder, data.max_vocabulary),
    )
    model = reader.new_model(experiment.model, rng, make)
    sequences = targets.sequences(encoder, read, given)
    weights = class_weights(settings.class_weight if class_weight is None else class_weight, given)
    if given.learn in NEXT:
        check_sees_no_future(model, sequences)
    learned = sequences.select(~validation)
    if not len(learned.targets):
        raise InvalidArgument("what is left to learn from has no target: give more, or a smaller validation_fraction")
    truncate = truncated_at(settings.truncate, given.learn)
    learned, batch, per_epoch, truncate = _batches(learned, settings.batch_size, truncate)
    return PreparedData(
        experiment=experiment,
        model=model,
        reader=reader,
        sequences=learned,
        held_out=sequences.select(validation),
        seed=int(rng.integers(2**31)),
        batch_size=batch,
        iterations=experiment.length * per_epoch,
        report_every=per_epoch,
        truncate=truncate,
        class_weight=weights,
        raw=raw,
        targets=given,
    )


def _warn_of_trend(raw: Numbers, differences: Differences) -> None:
    """Warn if what is learned of a series has a trend, which a network cannot follow beyond the training."""
    if (trend := trend_of(raw)) is None:
        return
    column, rise, deviation = trend
    what = f"column {column} of the series" if raw.rows.shape[1] > 1 else "the series"
    changes = f"the differences of {what} have" if differences.undefined_rows else f"{what} has"
    order = differences.order + 1
    instead = "" if order > MOST_DIFFERENCES else f": difference={order} learns changes instead"
    warn(
        f"{changes} a trend ({rise:+.4g} in all, along a line with deviations of {deviation:.4g}), and a network does "
        f"not follow one beyond what it learned{instead}"
    )


def _validated(
    raw: RawSequences, given: RawTargets, fraction: float, split: NDArray[np.int64]
) -> tuple[RawSequences, NDArray[np.bool_]]:
    """Return the sequences, a single one with targets for its steps cut in two, and which of them to validate on."""
    if len(raw) == 1 and given.per_step:
        parts = cut_in_two(raw, fraction)
        return (raw, np.array([False])) if parts is None else (parts, np.array([False, True]))
    by_class = given.rows if given.learn == LABELS and given.rows is not None else np.zeros(len(raw), dtype=np.int64)
    return raw, validation_mask(by_class, fraction, split)


def truncated_at(given: int | None, learn: str) -> int | None:
    """Return the window in steps, from the settings or the default; None reads sequences whole."""
    return (WINDOW if learn in NEXT else None) if given is None else given or None


def _batches(learned: Sequences, batch_size: int, truncate: int | None) -> tuple[Sequences, int, int, int | None]:
    """Return the training sequences, the batch size, the iterations per epoch, and the window."""
    if truncate is None or learned.lengths.max() <= truncate:
        batch = min(batch_size, len(learned))
        return learned, batch, -(-len(learned) // batch), None
    if len(learned) == 1:
        learned = learned.cut(min(batch_size, len(learned.values) // truncate))
    # A window never contains steps of two sequences.
    windows = int((-(-learned.lengths // truncate)).sum())
    batch = min(batch_size, int((learned.lengths > 0).sum()))
    return learned, batch, max(-(-windows // batch), FEWEST_ITERATIONS), truncate


def validation_mask(labels: NDArray[np.int64], fraction: float, shuffled: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the validation sequences: a fraction of every class, as near as whole numbers allow, bool (N,)."""
    chosen = np.zeros(len(labels), dtype=bool)
    count = round(fraction * len(labels))
    # Class by class, shuffled within each, take every k-th.
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    first = np.ones(len(labels), dtype=bool)
    first[1:] = labels[by_class][1:] != labels[by_class][:-1]
    candidates = by_class[~first]
    count = min(count, len(candidates))
    if count:
        chosen[candidates[((np.arange(count) + 0.5) * len(candidates) / count).astype(np.int64)]] = True
    return chosen


def class_weights(given: Any, targets: RawTargets) -> NDArray[np.float64] | None:
    """Return the weight of each class in the loss, float64 (K,), from scikit-learn's `class_weight`."""
    if given is None:
        return None
    labels, numbers = targets.classes, targets.rows
    if labels is None or numbers is None:
        raise InvalidArgument(f"class_weight is for labels and tags, not for {targets.learn}: leave it out")
    if isinstance(given, tuple):
        # Weights from the settings of an experiment are for labels as text.
        names = {str(label): label for label in labels.classes.tolist()}
        given = {names.get(label, label): weight for label, weight in given}
    if not isinstance(given, dict) and not (isinstance(given, str) and given == "balanced"):
        raise InvalidArgument(f"class_weight must be None, 'balanced' or a dict, not {_checks.shown(given)}")
    if isinstance(given, dict) and (unknown := set(given) - set(labels.classes.tolist())):
        raise InvalidArgument(f"class_weight names {next(iter(unknown))!r}, which is not one of the classes of y")
    from sklearn.utils.class_weight import compute_class_weight

    try:
        weights = compute_class_weight(given, classes=labels.classes, y=labels.classes[numbers])
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"class_weight must hold numbers: {error}") from None
    return np.asarray(weights, dtype=np.float64)
