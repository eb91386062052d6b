"""``myrnn sweep`` does the runs of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn._checks import count_of
from myrnn._signals import noted_stops, stopped
from myrnn.cli import show
from myrnn.cli.options import Quiet, argument, option
from myrnn.plots import save_figure
from myrnn.results import Table
from myrnn.sweeps import Study, SweepResults, read_study
from myrnn.sweeps import sweep as do_all
from myrnn.sweeps.metrics import check_has_lengths
from myrnn.sweeps.results import checked_names


def sweep(
    study: Annotated[Path, argument("A TOML file: what to try. See docs/how-to/sweeps.md.", "STUDY")],
    out: Annotated[Path | None, option("The folder for the results.  [default: sweeps/<name of the study>]")] = None,
    jobs: Annotated[int | None, option("How many runs to do at a time.  [default: one per core]", min=1)] = None,
    backend: Annotated[str, option("Where to run them: loky (this machine), dask or ray.")] = "loky",
    address: Annotated[str | None, option("The address of the cluster, such as tcp://10.0.0.1:8786.")] = None,
    metric: Annotated[
        str | None,
        option(
            "What to compare: accuracy (on the trained lengths), worst (of them), beyond or loss; of runs on files "
            "accuracy, bits_per_symbol, rmse or mae (in all tests), worst, validation, validation_loss, loss or "
            "test.NAME.  [default: the score in the tests, or without any in validation]"
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        option(
            "The setting that the runs of a group share, such as model.dim_recurrent. Can be repeated.  [default: all "
            "that varies but seeds]",
            metavar="SETTING",
        ),
    ] = None,
    summary: Annotated[
        bool,
        option(
            "Show trained lengths and longer ones, with intervals over the runs and the best shortcut on each task, "
            "and write it as summary.csv.",
            "--summary",
        ),
    ] = False,
    grid: Annotated[
        bool, option("Draw accuracy by length with a panel for each task, as grid.svg and .png.", "--grid")
    ] = False,
    plan: Annotated[bool, option("List the runs without doing them.", "--plan")] = False,
    quiet: Quiet = False,
) -> None:
    """Do all runs of a study that are not done yet; write tables and figures of all.

    It can be interrupted at any time and in any way: the same command resumes it, and repeats no finished run. A run
    that failed is tried again, unless its training diverged.
    """
    read = read_study(study)
    if by:
        # Used only at the end, but checked before hours of runs.
        checked_names(read.settings, by)
    for name, is_asked in (("--summary", summary), ("--grid", grid)):
        if is_asked:
            check_has_lengths(read, name)
    if plan:
        return _show_plan(read)
    try:
        with noted_stops() as stops:
            settings: dict[str, Any] = {"jobs": jobs, "backend": backend, "address": address, "metric": metric}
            results = do_all(read, out, **settings, progress=not quiet)
    except KeyboardInterrupt as stop:
        # A run on data may have caught the exception of the signal.
        raise stopped(stops.last or stop, str(stop) or "the same command goes on") from None
    found = results.summary(by or None) if summary else None
    if found is not None:
        found.to_csv(results.folder / "summary.csv")
    if grid:
        for ending in (".svg", ".png"):
            save_figure(results.plot("grid", by=by or None), results.folder / f"grid{ending}")
    if quiet:
        print(results.folder)
    else:
        _show_results(results, by, metric, found)
    if results.failed == len(results):
        raise typer.Exit(2)


def _show_plan(study: Study) -> None:
    planned = len(study.points)
    for point in study.points:
        show.named_rows((point.run, study.label(point)))
    show.named_rows(("", count_of(planned, "run")))


def _show_results(results: SweepResults, by: list[str] | None, metric: str | None, summary: Table | None) -> None:
    show.table(results.table(by or None, metric) if summary is None else summary)
    print()
    best = results.best(metric)
    if best is not None:
        show.named_rows(("best", results.study.label(results.point(best["run"]))))
    if results.failed:
        first = next(error for error in results.runs["error"] if error is not None)
        show.named_rows(("failed", f"{results.failed:,} of {count_of(len(results), 'run')}, the first with {first}"))
        if again := results.failed - results.diverged:
            others = "; the others diverged" if results.diverged else ""
            show.named_rows(("", f"the same command tries {again:,} of them again{others}"))
    if results.fallbacks:
        show.named_rows(("op by op", f"{results.fallbacks:,} of {count_of(len(results), 'run')}, without native code"))
        show.named_rows(("", 'with engine = "native" in the study they fail and say why'))
    show.path("written", results.folder)
