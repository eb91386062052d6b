"""The test of a trained model: on new sequences of a task, or on given ones with known targets of any kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

from myrnn._user_code import warn
from myrnn.data import ClassLabels, LabelledSequences, Numbers
from myrnn.data.symbols import RawSequences
from myrnn.data.targets import LABELS, NEXT, SERIES, TAGS, TEXT, RawTargets
from myrnn.errors import InvalidArgument
from myrnn.evaluation import (
    LengthReport,
    Report,
    classification_report,
    evaluate,
    naive_forecast,
    number_report,
    tag_baselines,
    tag_report,
    text_baselines,
)
from myrnn.evaluation.baselines import naive_name
from myrnn.evaluation.scoring import report_of_chosen
from myrnn.experiment import Experiment
from myrnn.finite import is_lost
from myrnn.flat import offsets_of, places_from
from myrnn.models.stacked import with_stack_depth
from myrnn.results import ENDS, Result, Table, counted, integer, number, share, text
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of, twice_as_long
from myrnn.tasks.drawn import DrawnTask, existing_lengths, named_lengths

if TYPE_CHECKING:
    from myrnn.runs.trained import Run

# The kinds of targets with simple baseline models.
WITH_BASELINES = (TAGS, TEXT)


@dataclass(frozen=True)
class Tested:
    """The result of a test of a run.

    Attributes
    ----------
    source : Task or LabelledSequences
        What drew the sequences, or the sequences as they were read from a file.
    report : Report or LengthReport
        On given sequences a `Report`; on those that a task draws, accuracy by length.
    facts : dict
        Numbers about the test for ``report.json``, such as ``seconds``.

    Examples
    --------
    >>> from myrnn.evaluation import number_report
    >>> from myrnn.runs import Tested
    >>> tested = Tested(None, number_report([1.0, 2.0], [1.5, 2.5]), {"seconds": 0.25})
    >>> tested.report.mae, tested.numbers()["seconds"], tested.every_length
    (0.5, 0.25, None)
    """

    source: Any
    report: Report | LengthReport
    facts: dict[str, Any]

    @property
    def every_length(self) -> LengthReport | None:
        """The accuracy of labels, or of the steps of a task, at every length; None if something else is predicted."""
        return self.report if isinstance(self.report, LengthReport) else self.report.every_length

    @property
    def not_finite(self) -> int:
        """The number of sequences, steps or rows with outputs that are not finite."""
        report = self.report
        return int(report.not_finite.sum()) if isinstance(report, LengthReport) else int(report.counts["not_finite"])

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {**self.facts, **self.report.numbers()}


def tested_on(
    run: Run, source: Any, *, known: Sequences | None = None, period: int | None = None, progress: bool | None = False
) -> Tested:
    """Test a run on new sequences of a task, as its experiment says, or on given ones as they were read from a file.

    `known` are the training data, if there are to be baselines, and `period` is the season of a naive forecast.
    """
    begin = time.perf_counter()
    if isinstance(source, LabelledSequences):
        y = source.labels if run.reader.learn == LABELS else source.targets
        report = report_on(run, source.sequences, y, known, period)
        return Tested(source, report, {"skipped_lines": source.skipped, "seconds": time.perf_counter() - begin})
    asked, seed = run.experiment.evaluation, test_seed(run.experiment)
    with with_stack_depth(run.model, asked.stack_depth):
        by_length = evaluate(
            run.model,
            source,
            asked.samples or 1,
            seed,
            lengths=tested_lengths(source, asked.lengths),
            trained=run.history,
            engine=run.experiment.training.engine,
            progress=progress,
        )
    seconds, tried = time.perf_counter() - begin, int(by_length.sequences.sum())
    speed = {"sequences": tried, "seconds": seconds, "sequences_per_second": tried / seconds}
    return Tested(source, by_length, {"seed": seed, **speed})


def test_seed(experiment: Experiment) -> int:
    """Return the seed of the test sequences: by default the next seed, so that they are new to the model."""
    asked: int | None = experiment.evaluation.seed
    return experiment.training.seed + 1 if asked is None else asked


def tested_lengths(task: Any, asked: Sequence[int] | None = None) -> NDArray[np.int64]:
    """Return the test lengths of a run on a task: those asked for, or up to twice its longest, as far as they exist."""
    task = recognition_of(task)
    if asked is None:
        lengths: NDArray[np.int64] = twice_as_long(task).lengths
        if isinstance(task, DrawnTask) and lengths[-1] == task.lengths[-1]:
            warn(f"the task has no sequences of more than {lengths[-1]} steps, as in the training: none are tested")
        return lengths
    wanted = np.unique(np.asarray(asked, dtype=np.int64))
    found = existing_lengths(task, wanted)
    if len(found) < len(wanted):
        left = np.setdiff1d(wanted, found)
        are = "it is" if len(left) == 1 else "they are"
        warn(f"the task has no sequences of {named_lengths(left)} to test on: {are} left out")
    return found


def known_of(run: Run, X: Any, y: Any) -> Sequences:
    """Return the training data of a model, on which the baselines of a report are fitted."""
    targets = run.reader.targets
    if targets.learn not in WITH_BASELINES:
        raise InvalidArgument(f"train is for tags and text, not for {targets.learn}: leave it out")
    raw = run.reader.raw(X)
    if targets.learn == TEXT:
        _check_none("the y of train", y, TEXT)
        return targets.sequences(run.reader.encoder, raw)
    tags = RawTargets.tags(y, raw.offsets, fewest=1)
    return targets.sequences(run.reader.encoder, raw, _of_classes(run.reader.labels, tags))


def report_on(run: Run, X: Any, y: Any, known: Sequences | None = None, period: int | None = None) -> Report:
    """Return a report on sequences and their targets, given as in the training."""
    targets = run.reader.targets
    if period is not None and targets.learn != SERIES:
        raise InvalidArgument(f"period is for series, not for {targets.learn}: leave it out")
    if targets.learn in NEXT:
        _check_none("y", y, targets.learn)
    raw = run.reader.raw(X)
    if targets.learn == LABELS:
        probabilities = run.probabilities(run.reader.targets.inputs(run.reader.encoder, raw), not_finite=np.nan)
        names = np.array(run.class_names)
        return classification_report(y, probabilities, names, raw.lengths, trained=run.history.longest)
    if targets.learn == TAGS:
        return _of_tags(run, raw, y, known)
    if targets.learn == TEXT:
        return _of_text(run, raw, known)
    return _of_numbers(run, raw, y, period)


def _check_none(name: str, given: Any, learn: str) -> None:
    if given is not None:
        raise InvalidArgument(f"{name} must be None where {learn} is learned: the sequences tell what comes next")


def _of_text(run: Run, raw: RawSequences, known: Sequences | None) -> Report:
    sequences = run.reader.targets.sequences(run.reader.encoder, raw)
    if not len(sequences.targets):
        raise InvalidArgument("X holds no text of two symbols or more: there is nothing to predict")
    truth, symbols = sequences.targets, len(run.reader.targets)
    baselines = None if known is None else text_baselines(known, sequences, symbols=symbols)
    chosen = np.empty(len(truth), dtype=np.float32)
    right, lost = (np.zeros(len(truth), dtype=np.bool_) for _ in range(2))

    def use(place: slice, logits: NDArray[np.float32]) -> None:
        shares, wanted = _shares(logits), truth[place]
        chosen[place], lost[place] = shares[np.arange(len(wanted)), wanted], is_lost(shares)
        right[place] = ~lost[place] & (np.argmax(shares, axis=1) == wanted)

    run.predictor.in_parts(sequences, use)
    return report_of_chosen(chosen, right, lost, symbols, sequences.offsets, baselines=baselines)


def _of_tags(run: Run, raw: RawSequences, y: Any, known: Sequences | None) -> Report:
    given = RawTargets.tags(y, raw.offsets, fewest=1)
    assert given.classes is not None and given.rows is not None
    sequences = run.reader.targets.inputs(run.reader.encoder, raw)
    shares = _shares(run.scores(sequences))
    names, baselines = given.classes.classes, None
    if known is not None and set(names.tolist()) <= set(run.reader.labels.classes.tolist()):
        test = run.reader.targets.sequences(run.reader.encoder, raw, _of_classes(run.reader.labels, given))
        baselines = tag_baselines(known, test)
    classes = run.reader.labels.classes
    return tag_report(names[given.rows], shares, sequences.offsets, classes=classes, baselines=baselines)


def _of_classes(classes: ClassLabels, given: RawTargets) -> RawTargets:
    """Return tags numbered by these classes."""
    assert given.classes is not None and given.rows is not None
    return RawTargets(TAGS, classes.encode(given.classes.classes[given.rows]), classes)


def _of_numbers(run: Run, raw: RawSequences, y: Any, period: int | None) -> Report:
    targets = run.reader.targets
    sequences = targets.inputs(run.reader.encoder, raw)
    outputs = run.scores(sequences)
    if targets.learn == SERIES:
        assert isinstance(raw, Numbers)
        return _of_series(run, raw, sequences, targets.next_rows(raw, outputs), period or 1)
    given = RawTargets.read(targets.learn, y, raw.offsets, targets.per_step)
    assert given.rows is not None
    targets.check_columns(given)
    predicted = targets.decode(outputs).reshape(len(outputs), -1)
    offsets = sequences.offsets if targets.per_step else None
    return number_report(given.rows.reshape(len(predicted), -1), predicted, offsets, names=targets.columns)


def _of_series(run: Run, raw: Numbers, sequences: Sequences, predicted: NDArray[np.float64], period: int) -> Report:
    """Return the report on the next rows that were predicted at every step that the model read."""
    # The last prediction of each series is of an unknown row.
    lengths = np.maximum(sequences.lengths - 1, 0)
    steps = places_from(sequences.offsets[:-1], lengths)
    later = places_from(raw.offsets[1:] - lengths, lengths)
    if not len(later):
        least = run.reader.targets.differences.undefined_rows + 2
        raise InvalidArgument(f"X holds no series of {least:,} steps or more: there is nothing to predict")
    truth, naive = raw.rows.astype(np.float64), naive_forecast(raw.rows, raw.offsets, period)[later]
    if np.isnan(naive).all():
        raise InvalidArgument(f"period={period} has no forecast to compare with: no series is long enough")
    named = {naive_name(period): naive}
    return number_report(truth[later], predicted[steps], offsets_of(lengths), naive=named, names=run.reader.columns)


def _shares(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return class probabilities, float32 (S, K); NaN if logits are not finite."""
    lost = is_lost(logits)
    shares: NDArray[np.float32] = scipy.special.softmax(np.where(lost[:, np.newaxis], 0, logits), axis=1)
    shares[lost] = np.nan
    return shares


def parts_of(report: Any) -> tuple[dict[str, Callable[[Any], Any]], dict[str, Callable[[], Any]]]:
    """Return functions that write each table of a report and draw each of its figures, by name."""
    if isinstance(report, LengthReport):
        return {"accuracy_by_length": report.to_csv}, {"accuracy_by_length": report.plot}
    tables: dict[str, Result | None] = {"classes": report.confusion, "by_position": report.positions}
    if report.kind != LABELS:
        tables["scores"] = report
    figures: dict[str, Result | None] = {
        "confusion": report.confusion,
        "accuracy_by_length": report.lengths,
        "calibration": report.calibration,
        "by_position": report.positions,
    }
    return (
        {name: part.to_csv for name, part in tables.items() if part is not None},
        {name: part.plot for name, part in figures.items() if part is not None},
    )


def tests_table(reports: Mapping[str, Any]) -> Table:
    """Return a table of several tests of a model with their accuracies or other scores."""
    first = next(iter(reports.values()))
    if first.kind != LABELS:
        columns = {name: [one.scores[name].value for one in reports.values()] for name in first.scores}
        shown = [number(name, ".4g", name.replace("_", " ")) for name in columns]
        return Table("Tests", {"test": list(reports), **columns}, (text("test"), *shown))
    total = [report.sequences for report in reports.values()]
    correct = [round(report.accuracy * report.sequences) for report in reports.values()]
    return Table(
        f"Tests, % ({first.confidence:.0%} interval)",
        {"test": list(reports), **counted(correct, total, first.confidence)},
        (text("test"), share("accuracy", interval=ENDS), integer("total", "of")),
    )
