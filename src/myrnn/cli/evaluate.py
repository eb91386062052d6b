"""``myrnn evaluate`` tests a trained network by length; ``myrnn transfer`` tests networks on other tasks."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from myrnn import _checks, evaluation
from myrnn.cli import show
from myrnn.cli.options import (
    ON_DATA,
    ON_TASK,
    Engine,
    OwnClass,
    OwnClasses,
    Quiet,
    RunFolder,
    check_file,
    check_picture,
    given,
    load,
    load_all,
    refuse,
    refuse_of_others,
)
from myrnn.data import LABELS
from myrnn.errors import InvalidArgument, RunError
from myrnn.models import stacks_of
from myrnn.plots import save_figure
from myrnn.runs import Run, claim_folder, run_names, tested_lengths
from myrnn.tasks import Palindromes, TwinHalves, recognition_of, twice_as_long

# More lengths than this are a typing error.
MOST_LENGTHS = 10_000
OTHER_ALPHABET = 5
# A sentence of the help about runs with several tests.
OF_EACH = " A run with several tests gets one file for each: NAME-TEST.ENDING."


def evaluate(
    context: typer.Context,
    run: RunFolder,
    samples: Annotated[
        int, typer.Option(min=1, help="How many sequences to evaluate on.", rich_help_panel=ON_TASK)
    ] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sequences.", rich_help_panel=ON_TASK)] = 1,
    length_max: Annotated[
        int | None,
        typer.Option(
            min=1, help="The longest sequence.  [default: twice the longest of the task]", rich_help_panel=ON_TASK
        ),
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST:STEP",
            help="The lengths to test, such as 2:80:2 (80 included), or numbers separated by commas.",
            show_default=False,
            rich_help_panel=ON_TASK,
        ),
    ] = None,
    stack_depth: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=10_000,
            help="The depth of the stack of a stack-rnn.  [default: as in the run's own test]",
            rich_help_panel=ON_TASK,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file of labelled sequences.  [default: the tests of the run]",
            show_default=False,
            rich_help_panel=ON_DATA,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The labels of a .txt file, one per line.",
            show_default=False,
            rich_help_panel=ON_DATA,
        ),
    ] = None,
    shortcuts: Annotated[
        bool, typer.Option("--shortcuts", help="Show the accuracy of classifiers that see only part of a sequence.")
    ] = False,
    counterexamples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Show the N shortest and the N most confident mistakes.")
    ] = 0,
    engine: Engine = "auto",
    out: Annotated[
        Path | None, typer.Option(help=f"Write the table to this CSV file, too.{OF_EACH}", show_default=False)
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help=f"Draw the table into this file: .svg, .png or .pdf.{OF_EACH}", show_default=False),
    ] = None,
    model: OwnClass = None,
    period: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEPS",
            help="Compare the forecasts of a series with the value this many steps before.  [default: the last value]",
            show_default=False,
            rich_help_panel=ON_DATA,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Test a trained network: for labels, show the accuracy by length and by class.

    A network trained on a task is tested on new sequences of the task, a network trained on data on the tests of its
    run.
    """
    check_file("--out", out)
    check_picture("--figure", figure)
    loaded = load(run, model)
    options = given(context)
    of_task = ("samples", "seed", "length_max", "lengths", "stack_depth")
    refuse_of_others(options, loaded, of_task, ("data", "labels", "period"))
    if loaded.fitted is not None and loaded.fitted.targets.learn != LABELS:
        refuse(options, ("shortcuts", "counterexamples", "labels", "engine"), "labels of sequences")
        return _report(loaded, data, period, out, figure, quiet)
    refuse(options, ("period",), "series")
    tests: dict[str, Any]
    asked: Any = None
    if loaded.fitted is None:
        asked, tests = _lengths(loaded.task, lengths, length_max), {"": loaded.task}
        _set_stack_depth(loaded, stack_depth)
    else:
        if data is None:
            refuse(options, ("labels",), "--data, which is missing")
        tests = loaded.tests(None if data is None else str(data), None if labels is None else str(labels))
    for name, source in tests.items():
        count = samples if loaded.fitted is None else len(source)
        known = evaluation.shortcuts(source, count, seed, lengths=asked) if shortcuts else None
        begin = time.perf_counter()
        report = evaluation.evaluate(
            loaded.model,
            source,
            count,
            seed,
            lengths=asked,
            trained=loaded.history,
            engine=engine,
            progress=not quiet,
        )
        seconds = time.perf_counter() - begin
        # Each of several tests has its own files.
        ending = f"-{name}" if len(tests) > 1 else ""
        if out is not None:
            report.to_csv(out.with_stem(out.stem + ending))
        if figure is not None:
            save_figure(report.plot(shortcuts=known, by_class=True), figure.with_stem(figure.stem + ending))
        if quiet:
            continue
        show.accuracy(report, name or seed, seconds, known)
        if counterexamples:
            found = evaluation.counterexamples(
                loaded.model, source, count, seed, most=counterexamples, lengths=asked, engine=engine
            )
            show.table(found)


def _set_stack_depth(run: Run, depth: int | None) -> None:
    """Give the stacks of the network the depth that is asked for, or that of the run's own test."""
    stacks = stacks_of(run.model)
    if depth is not None and not stacks:
        raise InvalidArgument(
            f"--stack-depth is for a stack-rnn, and the run has the model {run.experiment.model.name!r}"
        )
    depth = depth or run.experiment.evaluation.stack_depth
    for layer in stacks if depth is not None else ():
        layer.stack_depth = depth


def _report(
    run: Run, data: Path | None, period: int | None, out: Path | None, figure: Path | None, quiet: bool
) -> None:
    """Test a network that predicts tags, numbers, or the next step."""
    begin = time.perf_counter()
    reports = run.reports(None if data is None else str(data), None, period)
    seconds = time.perf_counter() - begin
    for name, report in reports.items():
        ending = f"-{name}" if len(reports) > 1 else ""
        if out is not None:
            report.to_csv(out.with_stem(out.stem + ending))
        if figure is not None:
            if report.positions is None:
                raise InvalidArgument("--figure shows scores by position, but these predictions have no steps")
            save_figure(report.plot(), figure.with_stem(figure.stem + ending))
        if not quiet:
            show.report(report, {**report.numbers(), "seconds": seconds}, name)


def parse_lengths(text: str) -> list[int]:
    """Return the lengths in ``"2:80:2"``, 80 included, or in ``"2,4,10"``."""
    numbers = _checks.span("--lengths", text, MOST_LENGTHS)
    if numbers is not None:
        return list(numbers)
    parts = text.split(",")
    # isdigit() would accept digits of other scripts, too.
    if any(not part or set(part) - set("0123456789") or len(part) > 9 for part in parts):
        wanted = "FIRST:LAST or FIRST:LAST:STEP, such as 2:80:2, or numbers separated by commas"
        raise InvalidArgument(f"--lengths must be {wanted}, not {text!r}")
    return [int(part) for part in parts]


def _lengths(task: Any, text: str | None, longest: int | None) -> NDArray[np.int64] | list[int]:
    if text is not None:
        if longest is not None:
            raise InvalidArgument("--lengths and --length-max do not go together: --lengths is enough")
        return parse_lengths(text)
    if longest is None:
        return tested_lengths(task)
    task = recognition_of(task)
    shortest = int(task.lengths[0])
    if longest < shortest:
        raise InvalidArgument(f"--length-max must be at least {shortest}, the shortest of the task, not {longest}")
    if isinstance(task, TwinHalves | Palindromes):
        task = replace(task, pattern_length_max=max(task.pattern_length_min, longest // 2))
    while task.lengths[-1] < longest and (longer := twice_as_long(task)).lengths[-1] > task.lengths[-1]:
        task = longer
    lengths: NDArray[np.int64] = task.lengths
    return lengths[lengths <= longest]


def transfer(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="The folders of runs.", show_default=False)],
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="halves, palindromes, halves-near-miss, palindromes-near-miss or halves-5 (of 5 symbols), with "
            "settings if need be: halves:alphabet_size=7,max_changes=1. Can be given several times.  [default: all]",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many sequences to draw from each task.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sequences.")] = 1,
    engine: Engine = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to write to.  [default: runs/transfer-<time>]", show_default=False),
    ] = None,
    model: OwnClasses = None,
    quiet: Quiet = False,
) -> None:
    """Test trained networks on tasks that they were not trained on; write a table and a heat map.

    The tasks have the lengths that the first run was trained on, and the largest alphabet of the runs.
    """
    names = run_names(runs)
    loaded = load_all(runs, model)
    for run in loaded:
        if not isinstance(run.task, TwinHalves | Palindromes):
            raise RunError(_untransferable(run))
    tasks = _tasks(loaded, task or [])
    models = dict(zip(names, (run.model for run in loaded), strict=True))
    with claim_folder(out, "transfer") as folder:
        table = evaluation.transfer(models, tasks, samples, seed, engine=engine)
        table.to_csv(folder / "transfer.csv")
        ax = table.plot()
        for suffix in ("svg", "png"):
            save_figure(ax, folder / f"transfer.{suffix}")
    if quiet:
        print(folder)
        return
    show.table(table)
    typer.echo()
    show.path("written", folder)


def _untransferable(run: Run) -> str:
    if run.task is not None:
        return f"{run.folder} was trained on a task without halves: transfer tries networks on tasks with two halves"
    return (
        f"{run.folder} was trained on data, not on a task that draws sequences: "
        f"myrnn predict {run.folder} --data FILE predicts the classes of other sequences"
    )


def _tasks(runs: Sequence[Run], given: Sequence[str]) -> dict[str, Any]:
    """Return the tasks by their given names; by default all named ones."""
    first, alphabet = runs[0].task, max(run.task.alphabet_size for run in runs)
    size = (first.pattern_length_min, first.pattern_length_max)
    known = {
        "halves": TwinHalves(*size, alphabet),
        "palindromes": Palindromes(*size, alphabet),
        "halves-near-miss": TwinHalves(*size, alphabet, negatives="near_miss"),
        "palindromes-near-miss": Palindromes(*size, alphabet, negatives="near_miss"),
        f"halves-{OTHER_ALPHABET}": TwinHalves(*size, OTHER_ALPHABET),
    }
    return {_in_words(text): _task(text, known) for text in given or known}


def _in_words(text: str) -> str:
    """Return the name of a task for a table, where lines break between words."""
    words = re.sub(r"[-_=]", " ", text)
    return re.sub(r"([:,])\b", r"\1 ", words)


def _task(text: str, known: dict[str, Any]) -> Any:
    name, _, rest = text.partition(":")
    base = known[_checks.one_of("--task", name, tuple(known))]
    settings: dict[str, int | str] = {}
    for part in rest.split(",") if rest else []:
        setting, equals, value = part.partition("=")
        if not equals:
            raise InvalidArgument(f"--task {text}: write settings as NAME=VALUE, not {part!r}")
        _checks.check_setting(f"--task {name}", setting, tuple(field.name for field in fields(base)))
        settings[setting] = int(value) if value.isascii() and value.isdigit() else value.replace("-", "_")
    return replace(base, **settings)
