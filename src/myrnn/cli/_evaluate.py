"""What ``myrnn evaluate`` does: test a trained network by length, beside shortcuts, and show its mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from myrnn.cli._options import OwnClass
from myrnn.cli._places import check_file, check_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from myrnn.evaluation import LengthReport, ShortcutReport
    from myrnn.runs import Run

# The options must be known before the command runs; what it needs is imported when it does.

# More lengths than this are a slip of the keyboard.
MOST_LENGTHS = 10_000


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    samples: Annotated[int, typer.Option(min=1, help="How many sequences to evaluate on.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Seeds the drawing of the sequences.")] = 1,
    length_max: Annotated[
        int | None, typer.Option(min=1, help="The longest sequence.  [default: twice the longest of the task]")
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST:STEP",
            help="These lengths, the last among them, such as 2:80:2; or numbers with commas between.",
            show_default=False,
        ),
    ] = None,
    shortcuts: Annotated[
        bool, typer.Option("--shortcuts", help="Show what classifiers reach that see only a part of a sequence.")
    ] = False,
    counterexamples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Show the N shortest and the N most confident mistakes.")
    ] = 0,
    engine: Annotated[str, typer.Option(help="How to run the equations: auto, native or mygrad.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write the table to this CSV file, too.", show_default=False)] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the table into this file: .svg, .png or .pdf.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file of labelled sequences, for a run that was trained with --data.  [default: its tests]",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The labels of --data, one a line.", show_default=False)
    ] = None,
    model: OwnClass = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no tables.")] = False,
) -> None:
    """Show how often a trained network is right, length by length and class by class."""
    import time

    from myrnn import evaluation
    from myrnn.cli import _show
    from myrnn.cli._load import load
    from myrnn.errors import InvalidArgument

    check_file("--out", out)
    check_picture("--figure", figure)
    loaded = load(run, model)
    if loaded.fitted is not None:
        if lengths is not None or length_max is not None:
            raise InvalidArgument("--lengths and --length-max go with a run on a task, which draws any length")
        tests = loaded.tests(None if data is None else str(data), None if labels is None else str(labels))
        return _of_data(loaded, tests, shortcuts, counterexamples, engine, out, figure, quiet)
    if data is not None or labels is not None:
        raise InvalidArgument(f"--data goes with a run that was trained on data, which {run} was not")
    asked = _lengths(loaded, lengths, length_max)
    begin = time.perf_counter()
    report = evaluation.evaluate(
        loaded.model,
        loaded.task,
        samples,
        seed,
        lengths=asked,
        trained=loaded.history,
        engine=engine,
        progress=not quiet,
    )
    seconds = time.perf_counter() - begin
    known = evaluation.shortcuts(loaded.task, samples, seed, lengths=asked) if shortcuts else None
    if out is not None:
        report.to_csv(out)
    if figure is not None:
        _draw(report, known, figure)
    if quiet:
        return
    _show.accuracy(report, seed, seconds, known)
    if counterexamples:
        found = evaluation.counterexamples(
            loaded.model, loaded.task, samples, seed, most=counterexamples, lengths=asked, engine=engine
        )
        _show.table(found)


def _of_data(
    run: Run,
    tests: dict[str, Any],
    shortcuts: bool,
    counterexamples: int,
    engine: str,
    out: Path | None,
    figure: Path | None,
    quiet: bool,
) -> None:
    """Evaluate a run on data on its tests, one after the other; of several, files are called after the test."""
    import time

    from myrnn import evaluation
    from myrnn.cli import _show

    for name, sequences in tests.items():
        begin = time.perf_counter()
        report = evaluation.evaluate(
            run.model, sequences, len(sequences), trained=run.history, engine=engine, progress=not quiet
        )
        seconds = time.perf_counter() - begin
        known = evaluation.shortcuts(sequences, len(sequences)) if shortcuts else None
        if out is not None:
            report.to_csv(out if len(tests) == 1 else out.with_stem(f"{out.stem}-{name}"))
        if figure is not None:
            _draw(report, known, figure if len(tests) == 1 else figure.with_stem(f"{figure.stem}-{name}"))
        if quiet:
            continue
        _show.accuracy(report, name, seconds, known)
        if counterexamples:
            found = evaluation.counterexamples(
                run.model, sequences, len(sequences), most=counterexamples, engine=engine
            )
            _show.table(found)


def parse_lengths(text: str) -> list[int]:
    """Return the lengths that are written as ``"2:80:2"``, the last among them, or as ``"2,4,10"``."""
    from myrnn import _checks
    from myrnn.errors import InvalidArgument

    numbers = _checks.span("--lengths", text, MOST_LENGTHS)
    if numbers is not None:
        return list(numbers)
    parts = text.split(",")
    # Not isdigit(): that holds for digits of other scripts, too.
    if any(not part or set(part) - set("0123456789") or len(part) > 9 for part in parts):
        wanted = "FIRST:LAST or FIRST:LAST:STEP, or numbers with commas between, such as 2:80:2"
        raise InvalidArgument(f"--lengths must be {wanted}, not {text!r}")
    return [int(part) for part in parts]


def _lengths(run: Run, text: str | None, length_max: int | None) -> NDArray[np.int64] | list[int]:
    from myrnn.errors import InvalidArgument
    from myrnn.tasks import twice_as_long

    if text is not None:
        if length_max is not None:
            raise InvalidArgument("--lengths and --length-max do not go together: --lengths says all")
        return parse_lengths(text)
    if length_max is None:
        return twice_as_long(run.task).lengths
    return _lengths_up_to(run.task, length_max)


def _lengths_up_to(task: Any, length_max: int) -> NDArray[np.int64]:
    from dataclasses import replace

    from myrnn.errors import InvalidArgument

    shortest = int(task.lengths[0])
    if length_max < shortest:
        raise InvalidArgument(f"--length-max must be at least {shortest}, the shortest of the task, not {length_max}")
    lengths: NDArray[np.int64] = replace(task, pattern_length_max=max(task.pattern_length_min, length_max // 2)).lengths
    return lengths[lengths <= length_max]


def _draw(report: LengthReport, shortcuts: ShortcutReport | None, path: Path) -> None:
    from myrnn.plots import save_figure

    save_figure(report.plot(shortcuts=shortcuts, by_class=True), path)
