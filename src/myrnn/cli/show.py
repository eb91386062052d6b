"""Output of the commands: Rich tables and lines that read well in a terminal, in a pipe and without colour."""

from __future__ import annotations

import math
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from myrnn._checks import count_of
from myrnn.data import LabelledSequences
from myrnn.data.targets import LABELS, TEXT
from myrnn.evaluation import LengthReport, Report, ShortcutReport
from myrnn.experiment.parts import is_own
from myrnn.learning_curve import ACCURACY, SQUARED_ERROR, word_for
from myrnn.models.model import num_parameters
from myrnn.results import write_csv
from myrnn.runs import Run, Tested
from myrnn.runs.prepare import Prepared, PreparedData
from myrnn.runs.reports import tests_table
from myrnn.runs.training import stopped_early
from myrnn.runs.work import PendingRun
from myrnn.storage import place_file
from myrnn.tasks import Palindromes, TwinHalves, recognition_of
from myrnn.training.progress import duration

LABEL_WIDTH = 10
PICTURES = (".svg", ".png")
# Longer sequences do not appear in the names of files.
LONGEST_IN_NAME = 40
# Preparation of fewer seconds is not mentioned.
LONG = 1.0
# The width of tables in a pipe or a file, in characters: none is as wide.
WIDEST = 10_000
# The most classes that are listed by name, and the most rows of classes; files have all of them.
MOST_NAMED, MOST_ROWS = 6, 40


def beginning(work: PendingRun) -> None:
    """Show the task or data and the model before training, and how many iterations are already done."""
    prepared, experiment = work.prepared, work.job.experiment
    training, optimizer = experiment.training, experiment.optimizer
    length, batch = count_of(experiment.length, experiment.source.unit), training.batch_size
    in_epochs = prepared.held_out is not None
    how = f"at most {length} in batches of {batch}" if in_epochs else f"{length} of {count_of(batch, 'sequence')}"
    kept = f", {training.validation_fraction:.0%} kept for validation" if training.validation_fraction else ""
    shapes = {"constant": "", "cosine": ", falling to 0 as a cosine", "linear": ", falling to 0 in a straight line"}
    falls = shapes.get(training.schedule, f", on the schedule {training.schedule}")
    rate = getattr(optimizer.settings, "learning_rate", None)
    clip, usual = training.gradient_clip, experiment.source.default("training").get("gradient_clip")
    named_rows(
        *(_data(prepared) if isinstance(prepared, PreparedData) else _task(prepared)),
        ("model", _model(work)),
        (
            "optimizer",
            optimizer.kind.make.__name__
            + ("" if rate is None else f", learning rate {rate:g}{falls}")
            + ("" if clip in (None, usual) else f", gradients clipped to {clip:g}"),
        ),
        ("training", f"{how}{kept}, seed {training.seed}"),
        *([("resumed", f"after iteration {work.done:,}")] if work.done else []),
    )


def _task(prepared: Prepared) -> list[tuple[str, str]]:
    task, name = prepared.reader.task, prepared.experiment.source.title
    tested = recognition_of(task)
    lengths, symbols = tested.lengths, count_of(tested.dim_input, "symbol")
    rows = [("task", f"{name}, lengths {lengths[0]} to {lengths[-1]}, {symbols}")]
    also = {name: getattr(task, f"also_{name}", 0) for name in ("next_symbol", "next_symbols")}
    if learned := [f"{name} ({weight:g})" for name, weight in also.items() if weight]:
        rows.append(("", f"beside recognition it learns {' and '.join(learned)}"))
    matching = {"uniform": "drawn at random", "near_miss": "the right ones with a few symbols changed"}
    if isinstance(task, TwinHalves | Palindromes):
        rows.append(("", f"second halves that do not match are {matching[task.negatives]}"))
    return rows


def _data(prepared: PreparedData) -> list[tuple[str, str]]:
    if prepared.train is None:
        return []
    rows, tests = _files("data", prepared.train), prepared.tests
    for test, given in tests.items():
        rows += _files("test" if len(tests) == 1 else f"test {test}", given)
    if not tests:
        rows.append(("test", "none: --test FILE tests the network on sequences that it has not seen"))
    data: Any = prepared.experiment.source.settings
    return rows + _read_as(prepared.train, data.tokenize != "auto", data.learn)


def _model(work: PendingRun) -> str:
    """Return the kind and sizes of a model."""
    model, described = work.job.experiment.model, work.job.model
    settings = model.settings
    # A resumed run knows the name of your class, but not its file.
    kind = described["class"] if is_own(model.name) else model.kind.make.__name__
    activation = f" ({settings.activation})" if hasattr(settings, "activation") else ""
    layers, units = getattr(settings, "layers", 1), getattr(settings, "dim_recurrent", None)
    parts = [f"{kind}{activation}"]
    if units is not None:
        parts.append(f"{'' if layers == 1 else f'{layers} layers of '}{count_of(units, 'unit')}")
    parts.append(count_of(num_parameters(work.prepared.model), "parameter"))
    if width := getattr(work.prepared.model, "dim_embedding", None):
        parts.append(f"embedding of {width}")
    begin = {"identity": "as the identity", "minus_identity": "as minus the identity"}
    if (how := begin.get(getattr(settings, "recurrent_init", ""))) is not None:
        parts.append(f"recurrent weights begin {how}")
    return ", ".join(parts)


def training(run: Run) -> None:
    """Show the results of a training."""
    part, source, metric = run.report["training"], run.experiment.source, run.experiment.source.metric
    form = {ACCURACY: "{:.2%}", SQUARED_ERROR: "{:.4g}"}[metric]
    length = count_of(part[f"{source.unit}s"], source.unit)
    if "seconds" in part:
        epochs = f"{length}, " if "best_epoch" in part else ""
        speed = f"{epochs}{part['iterations_per_second']:,.0f} iterations/s, {part['engine']}"
        prepared = preparation(part["preparation_seconds"], part["engine"])
        here = f" from iteration {part['resumed_at']:,} on" if "resumed_at" in part else ""
        took = f"in {duration(part['seconds'])}{here} ({speed})"
    else:
        prepared, took = [], f"before, all {length}"
    score = f"{word_for(metric)} {form.format(part[metric])}"
    learned = f"loss {part['loss']:.4f}, {score} on the sequences it learned from"
    if (validated := part.get(f"validation_{metric}")) is not None:
        learned += f"; {form.format(validated)} on those kept for validation"
    why = stopped_early(run)
    named_rows(
        *prepared,
        ("trained", took),
        *([] if why is None else [("stopped", f"{why} (--early-stopping-patience)")]),
        ("at the end" if "best_epoch" not in part else f"epoch {run.best}", learned),
    )


def tests(found: Mapping[str, Tested]) -> None:
    """Show the results of the tests of a run."""
    for name, tested in found.items():
        test(name, tested)
    if len(found) > 1:
        table(tests_table({name: tested.report for name, tested in found.items()}))


def test(name: str, tested: Tested, by_length: bool = False, shortcuts: ShortcutReport | None = None) -> None:
    """Show a test: of a task accuracy by length, and of given sequences the report; or of all labels by length."""
    numbers, each = tested.numbers(), tested.every_length
    if each is not None and (by_length or isinstance(tested.report, LengthReport)):
        accuracy(each, numbers.get("seed", name), numbers["seconds"], shortcuts)
    elif isinstance(tested.report, Report):
        report(tested.report, numbers, name)


def preparation(seconds: float, engine: str) -> list[tuple[str, str]]:
    """Return the line with the compilation time, or the preparation time with MyGrad, if it is long enough."""
    name = "compiled" if engine == "native" else "prepared"
    return [(name, f"in {duration(seconds)}")] if seconds >= LONG else []


def accuracy(report: LengthReport, seed: int | str, seconds: float, shortcuts: ShortcutReport | None = None) -> None:
    """Show accuracy by length as a table, with the number of sequences and their seed or file."""
    table(report, shortcuts=shortcuts)
    print()
    total = report.sequences.sum()
    if isinstance(seed, str):
        drawn = f"{count_of(total, 'sequence')} of {seed}"
    else:
        drawn = f"{count_of(total, 'new sequence')} (seed {seed})"
    whole = []
    if report.each == "step":
        drawn = f"{count_of(report.total.sum(), 'step')} of {drawn}"
        whole = [("whole", f"{report.whole_accuracy:.2%} of the sequences are right at every step")]
    level = [("guessing", f"{report.chance:.2%}")]
    if report.class_names:
        all_ = report.totals()["all"]
        balanced = all_["balanced_accuracy"]
        level = _base_rate(all_["base_rate"], report.is_base_rate_known)
        level += [] if balanced is None else [("balanced", f"{balanced:.2%}, the mean accuracy for the classes")]
    named_rows(*level, *whole, ("evaluated", f"on {drawn} in {duration(seconds)}"))


def _base_rate(rate: float, is_known: bool) -> list[tuple[str, str]]:
    too_high = [] if is_known else [("", "too high, by chance: there are few sequences of each length")]
    return [("base rate", f"{rate:.2%}, by always giving the most frequent class of a length"), *too_high]


def report(found: Report, numbers: Mapping[str, Any], name: str) -> None:
    """Show a test on given sequences."""
    if name != "test":
        print()
        path("test", Path(name))
    for one in found.tables():
        if len(one) <= MOST_ROWS:
            table(one)
    print()
    unit = next(unit for unit in ("step", "row", "sequence") if f"{unit}s" in numbers)
    tested = ("tested", f"on {count_of(numbers[f'{unit}s'], unit)} in {duration(numbers['seconds'])}")
    lost = []
    if found.counts.get("shortest_not_finite") is not None:
        which = f"the logits of {found.not_finite:,}, the shortest of length {found.shortest_not_finite}"
        lost = [("not finite", f"{which}: they count as wrong")]
    named_rows(*(_classification(found) if found.kind == LABELS else ()), tested, *lost)


def _classification(found: Report) -> list[tuple[str, str]]:
    confusion, lengths, calibration = found.confusion, found.lengths, found.calibration
    assert confusion is not None and lengths is not None and calibration is not None
    accuracy, low, high = found.scores["accuracy"]
    if math.isnan(calibration.excess):
        calibrated = "not at all: no class was predicted"
    else:
        how = "too sure" if calibration.excess > 0 else "too unsure"
        calibrated = f"to within {calibration.expected_error:.2%}; {how} by {abs(calibration.excess):.2%} on average"
    return [
        ("accuracy", f"{accuracy:.2%} ({low:.2%} to {high:.2%})"),
        *_base_rate(found.base_rate, lengths.base_rate is not None),
        ("majority", f"{confusion.majority:.2%}, by always predicting the most frequent class"),
        ("balanced", f"accuracy {confusion.balanced_accuracy:.2%}, macro F1 {confusion.macro_f1:.4f}"),
        ("calibrated", calibrated),
    ]


def table(result: Any, **options: Any) -> None:
    """Show a result that has a table."""
    console = new_console()
    console.print()
    console.print(result.table(**options) if hasattr(result, "table") else result)


def csv_columns(out: Path | None, columns: Mapping[str, Iterable[Any]]) -> None:
    """Write columns as CSV to a file, which is named afterwards, or to the standard output without one."""
    if out is None:
        return write_csv(columns, sys.stdout)
    place_file(out, partial(write_csv, columns))
    path("written", out)


def files(folder: Path) -> None:
    """Show where the run is, and its main files."""
    names = sorted(
        file.name + ("/" if file.is_dir() else "") for file in folder.iterdir() if not file.name.startswith(".")
    )
    pictures = [name for name in names if name.endswith(PICTURES)]
    print()
    path("run folder", folder)
    named_rows(("pictures", ", ".join(pictures)), ("data", ", ".join(name for name in names if name not in pictures)))


def path(name: str, where: Path) -> None:
    """Show where something was written. The path is not wrapped, so that it can be copied."""
    named_rows((name, str(where)), wrap=False)


def file_name(text: str, steps: int) -> str:
    """Return the name of a sequence in the name of a file."""
    is_short = len(text) <= LONGEST_IN_NAME and text.isprintable() and not set(text) & set("/\\")
    return text.replace(" ", "-") if is_short else f"{steps}-steps"


def named_rows(*rows: tuple[str, str], wrap: bool = True) -> None:
    """Show named lines, with the names in one column; in a terminal lines wrap between words."""
    console = new_console()
    for name, text in rows:
        label = name.ljust(LABEL_WIDTH)
        width = max(console.width - len(label) - 2, 1)
        lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        for line in lines if lines and wrap and console.is_terminal else [text]:
            console.print(Text(label, style="cyan"), Text(line), sep="  ", soft_wrap=True)
            label = " " * len(label)


def new_console() -> Console:
    """Return a console for tables and lines; outside a terminal a row of a table is one line, whatever its width."""
    # Switch off highlighting: Rich would colour every number.
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDEST
    return console


def _files(name: str, data: LabelledSequences) -> list[tuple[str, str]]:
    rows = [(name, f"{data.source}: {_what(data)}"), *([("", _balance(data))] if data.labels is not None else [])]
    if data.skipped:
        rows.append(("", f"skipped {count_of(data.skipped, 'malformed line')}"))
    return rows


def _read_as(data: LabelledSequences, chosen: bool, learn: str) -> list[tuple[str, str]]:
    """Say how text was split into symbols, and which option splits it differently."""
    if data.tokenize is None:
        return []
    how = {
        "words": ("words, separated by white space", "--tokenize characters for characters"),
        "characters": ("characters", "no text has a space between words; --tokenize words for whole words"),
    }
    if learn == TEXT:
        how["characters"] = ("characters", "--tokenize words for whole words")
    what, other = how[data.tokenize]
    return [("text", f"read as {what}" + ("" if chosen else f" ({other})"))]


def _what(data: LabelledSequences) -> str:
    kind = (
        f"{len(data.symbols):,} different {data.tokenize or 'symbols'}"
        if data.is_tokens
        else count_of(data.dim_input or 0, "feature")
    )
    return f"{count_of(len(data), 'sequence')} of length {data.lengths.min()} to {data.lengths.max()}, {kind}"


def _balance(data: LabelledSequences) -> str:
    classes, total = data.classes, len(data)
    if len(classes) > MOST_NAMED:
        least, most = min(classes.values()), max(classes.values())
        return f"{len(classes):,} classes of {least:,} to {count_of(most, 'sequence')}"
    return ", ".join(f"{name} {count / total:.1%}" for name, count in classes.items())
