"""``myrnn evaluate`` tests a trained network by length."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn import evaluation
from myrnn.cli import show
from myrnn.cli.options import (
    ON_DATA,
    ON_TASK,
    Engine,
    OwnClass,
    Quiet,
    RunFolder,
    file_option,
    given,
    load,
    option,
    picture_option,
    refuse,
    refuse_of_others,
)
from myrnn.data.targets import LABELS
from myrnn.errors import InvalidArgument
from myrnn.experiment import Evaluation
from myrnn.models.stacked import stacks_of, with_stack_depth
from myrnn.plots import save_figure
from myrnn.runs import Run
from myrnn.runs.prepare import tested_lengths
from myrnn.runs.reports import reports_on
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of, twice_as_long

# More lengths than this are a typing error.
MOST_LENGTHS = 10_000
# A sentence of the help about runs with several tests.
OF_EACH = " A run with several tests gets one file for each: NAME-TEST.ENDING."


def evaluate(
    context: typer.Context,
    run: RunFolder,
    samples: Annotated[int, option("How many sequences to evaluate on.", of=ON_TASK, min=1)] = 100_000,
    seed: Annotated[int, option("Seed of the sequences.", of=ON_TASK, min=0)] = 1,
    length_max: Annotated[
        int | None, option("The longest sequence.  [default: twice the longest of the task]", of=ON_TASK, min=1)
    ] = None,
    lengths: Annotated[
        str | None,
        option(
            "The lengths to test, such as 2:80:2 (80 included), or numbers separated by commas; those that the task "
            "does not have are left out.",
            of=ON_TASK,
            metavar="FIRST:LAST:STEP",
        ),
    ] = None,
    stack_depth: Annotated[
        int | None,
        option(
            "The depth of the stack of a stack-rnn.  [default: as in the run's own test]", of=ON_TASK, min=2, max=10_000
        ),
    ] = None,
    data: Annotated[
        str | None, option("A file of labelled sequences.  [default: the tests of the run]", of=ON_DATA, metavar="FILE")
    ] = None,
    labels: Annotated[
        str | None, option("The labels of a .txt file, one per line.", of=ON_DATA, metavar="FILE")
    ] = None,
    shortcuts: Annotated[
        bool, option("Show the accuracy of classifiers that see only part of a sequence.", "--shortcuts")
    ] = False,
    counterexamples: Annotated[
        int, option("Show the N shortest and the N most confident mistakes.", metavar="N", min=0)
    ] = 0,
    engine: Engine = "auto",
    out: Annotated[Path | None, file_option(f"Write the table to this CSV file, too.{OF_EACH}")] = None,
    figure: Annotated[
        Path | None, picture_option(f"Draw the table into this file: .svg, .png or .pdf.{OF_EACH}")
    ] = None,
    model: OwnClass = None,
    period: Annotated[
        int | None,
        option(
            "Compare the forecasts of a series with the value this many steps before.  [default: the last value]",
            of=ON_DATA,
            metavar="STEPS",
            min=1,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Test a trained network: for labels, show the accuracy by length and by class.

    A network trained on a task is tested on new sequences of the task, a network trained on data on the tests of its
    run.
    """
    loaded = load(run, model)
    options = given(context)
    refuse_of_others(context, loaded)
    if loaded.reader.learn != LABELS:
        refuse(options, ("shortcuts", "counterexamples", "labels", "engine"), "labels of sequences")
        return _report(loaded, data, period, out, figure, quiet)
    refuse(options, ("period",), "series")
    if data is None:
        refuse(options, ("labels",), "--data, which is missing")
    asked: Any = None if loaded.task is None else _lengths(loaded.task, lengths, length_max)
    with with_stack_depth(loaded.model, _stack_depth(loaded, stack_depth)):
        for name, source in (tests := loaded.tests(data, labels)).items():
            is_given = isinstance(source, Sequences)
            drawn = source, len(source) if is_given else samples, seed
            known = evaluation.shortcuts(*drawn, lengths=asked) if shortcuts else None
            begin = time.perf_counter()
            how: dict[str, Any] = {"lengths": asked, "engine": engine}
            report = evaluation.evaluate(loaded.recognizer, *drawn, trained=loaded.history, progress=not quiet, **how)
            seconds = time.perf_counter() - begin
            _save(report, name if len(tests) > 1 else "", out, figure, shortcuts=known, by_class=True)
            if quiet:
                continue
            show.accuracy(report, name if is_given else seed, seconds, known)
            if counterexamples:
                show.table(evaluation.counterexamples(loaded.recognizer, *drawn, most=counterexamples, **how))


def _save(report: Any, name: str, out: Path | None, figure: Path | None, **options: Any) -> None:
    """Write a report as CSV and as a figure; those of several tests have their names."""
    ending = f"-{name}" if name else ""
    if out is not None:
        report.to_csv(out.with_stem(out.stem + ending))
    if figure is not None:
        save_figure(report.plot(**options), figure.with_stem(figure.stem + ending))


def _stack_depth(run: Run, depth: int | None) -> int | None:
    """Return the depth of the stacks that is asked for, or that of the run's own test."""
    if depth is not None and not stacks_of(run.model):
        raise InvalidArgument(
            f"--stack-depth is for a stack-rnn, and the run has the model {run.experiment.model.name!r}"
        )
    return depth or run.experiment.evaluation.stack_depth


def _report(run: Run, data: str | None, period: int | None, out: Path | None, figure: Path | None, quiet: bool) -> None:
    """Test a network that predicts tags, numbers, or the next step."""
    begin = time.perf_counter()
    reports = reports_on(run, data, period)
    seconds = time.perf_counter() - begin
    for name, report in reports.items():
        if figure is not None and report.positions is None:
            raise InvalidArgument("--figure shows scores by position, but these predictions have no steps")
        _save(report, name if len(reports) > 1 else "", out, figure)
        if not quiet:
            show.report(report, {**report.numbers(), "seconds": seconds}, name)


def _lengths(task: Any, text: str | None, longest: int | None) -> Any:
    if text is not None:
        if longest is not None:
            raise InvalidArgument("--lengths and --length-max do not go together: --lengths is enough")
        lengths = Evaluation(lengths=text).lengths or ()
        if len(lengths) > MOST_LENGTHS:
            raise InvalidArgument(f"--lengths must be at most {MOST_LENGTHS:,} numbers, which {text!r} exceeds")
        return tested_lengths(task, lengths)
    if longest is None:
        return tested_lengths(task)
    task = recognition_of(task)
    shortest = int(task.lengths[0])
    if longest < shortest:
        raise InvalidArgument(f"--length-max must be at least {shortest}, the shortest of the task, not {longest}")
    while task.lengths[-1] < longest and (longer := twice_as_long(task)).lengths[-1] > task.lengths[-1]:
        task = longer
    return task.lengths[task.lengths <= longest]
