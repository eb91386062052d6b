"""``myrnn evaluate`` tests a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn import evaluation
from myrnn.cli import show
from myrnn.cli.options import (
    ON_DATA,
    ON_TASK,
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
    with_test_settings,
)
from myrnn.data.targets import LABELS
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Report, ShortcutReport
from myrnn.models.stacked import stacks_of, with_stack_depth
from myrnn.plots import save_figure
from myrnn.runs import Run, Tested
from myrnn.sequences import Sequences
from myrnn.tasks import recognition_of, twice_as_long

# A sentence of the help about runs with several tests.
OF_EACH = " A run with several tests gets one file for each: NAME-TEST.ENDING."


@with_test_settings
def evaluate(
    context: typer.Context,
    run: RunFolder,
    length_max: Annotated[
        int | None, option("The longest sequence.  [default: as in the run's own test]", of=ON_TASK, min=1)
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
    engine: Annotated[
        str | None,
        option("How to run the equations: auto, native or mygrad.  [default: as in the training]", metavar="NAME"),
    ] = None,
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
    **settings: Any,
) -> None:
    """Test a trained network: for labels, show the accuracy by length and by class.

    A network trained on a task is tested on new sequences of the task, a network trained on data on the tests of its
    run. Without options, the results are those of the run's own tests.
    """
    loaded = load(run, model)
    options = given(context)
    refuse_of_others(context, loaded)
    if loaded.reader.learn != LABELS:
        refuse(options, ("shortcuts", "counterexamples", "labels"), "labels of sequences")
    if data is None:
        refuse(options, ("labels",), "--data, which is missing")
    if "stack_depth" in options and not stacks_of(loaded.model):
        raise InvalidArgument(
            f"--stack-depth is for a stack-rnn, and the run has the model {loaded.experiment.model.name!r}"
        )
    asked = {name: options[name] for name in settings if name in options}
    if length_max is not None:
        if "lengths" in asked:
            raise InvalidArgument("--lengths and --length-max do not go together: --lengths is enough")
        asked["lengths"] = _lengths_to(loaded.task, length_max)
    tests = loaded.test(data, labels, period=period, engine=engine, progress=not quiet, **asked)
    for name, tested in tests.items():
        sequences = _as_tested(loaded, tested) if shortcuts or counterexamples else {}
        known = evaluation.shortcuts(**sequences) if shortcuts else None
        # Shortcuts are tested on half of the sequences, which may not have all lengths of given ones.
        beside = known if known is not None and _has_lengths(known, tested) else None
        _save(tested, name if len(tests) > 1 else "", out, figure, beside)
        if quiet:
            continue
        show.test(name, tested, by_length=True, shortcuts=beside)
        if known is not None and beside is None:
            show.table(known)
        if counterexamples:
            how: dict[str, Any] = {"most": counterexamples, "engine": engine or loaded.experiment.training.engine}
            with with_stack_depth(loaded.model, options.get("stack_depth", loaded.experiment.evaluation.stack_depth)):
                show.table(evaluation.counterexamples(loaded.recognizer, **sequences, **how))


def _has_lengths(known: ShortcutReport, tested: Tested) -> bool:
    """Return whether the shortcuts have all lengths of a test."""
    return tested.every_length is not None and set(tested.every_length.lengths) <= set(known.lengths)


def _as_tested(run: Run, tested: Tested) -> dict[str, Any]:
    """Return the arguments that give functions of evaluation the very sequences of a test."""
    task = run.reader.test_sequences(tested.source)
    if isinstance(task, Sequences):
        return {"task": task, "samples": len(task)}
    assert tested.every_length is not None
    known = {"samples": tested.facts["sequences"], "seed": tested.facts["seed"]}
    return {"task": task, **known, "lengths": tested.every_length.lengths}


def _save(tested: Tested, name: str, out: Path | None, figure: Path | None, known: ShortcutReport | None) -> None:
    """Write a report as CSV and as a figure, for labels the one by length; those of several tests have their names."""
    ending = f"-{name}" if name else ""
    report: Any = tested.report if tested.every_length is None else tested.every_length
    options = {} if tested.every_length is None else {"shortcuts": known, "by_class": True}
    if figure is not None and isinstance(report, Report) and report.positions is None:
        raise InvalidArgument("--figure shows scores by position, but these predictions have no steps")
    if out is not None:
        report.to_csv(out.with_stem(out.stem + ending))
    if figure is not None:
        save_figure(report.plot(**options), figure.with_stem(figure.stem + ending))


def _lengths_to(task: Any, longest: int) -> list[int]:
    """Return the lengths of a task, or of longer sequences like its own, up to the longest one."""
    task = recognition_of(task)
    shortest = int(task.lengths[0])
    if longest < shortest:
        raise InvalidArgument(f"--length-max must be at least {shortest}, the shortest of the task, not {longest}")
    while task.lengths[-1] < longest and (longer := twice_as_long(task)).lengths[-1] > task.lengths[-1]:
        task = longer
    lengths: list[int] = task.lengths[task.lengths <= longest].tolist()
    return lengths
