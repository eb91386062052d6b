"""What ``myrnn sweep`` does: all runs of a study, over all cores or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from myrnn.sweeps import Study, SweepResults

# The options must be known before the command runs; what it needs is imported when it does.


def sweep(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="A TOML file: what to try. See docs/sweeps.md.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of the results.  [default: sweeps/<name of the study>]", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many runs to do at a time.  [default: one a core]")
    ] = None,
    backend: Annotated[str, typer.Option(help="Where to do them: loky (this machine), dask or ray.")] = "loky",
    address: Annotated[
        str | None, typer.Option(help="Of the cluster, such as tcp://10.0.0.1:8786.", show_default=False)
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            help="What to compare: accuracy (on the trained lengths), worst (of them), beyond or loss; of runs on "
            "files accuracy (in all tests), worst, beyond, validation, loss or test.NAME."
        ),
    ] = "accuracy",
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING",
            help="What the runs of a group have in common, such as model.dim_recurrent. Can be given several times.  "
            "[default: all that varies but seeds]",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Do runs again that failed before.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say which runs there are, and do none.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no table.")] = False,
) -> None:
    """Do all runs of a study that are not done yet; write tables and figures of all of them.

    It can be stopped at any time, by whatever: the same command goes on, and does nothing twice.
    """
    from myrnn.cli._stop import noted_stops, stopped
    from myrnn.sweeps import checked_names, read_study
    from myrnn.sweeps import sweep as do_all

    read = read_study(study)
    if by:
        # It is of use at the end, but to be right before hours of runs.
        checked_names(read.settings, by)
    if plan:
        return _show_plan(read)
    try:
        with noted_stops() as stops:
            results = do_all(
                read,
                out,
                jobs=jobs,
                backend=backend,
                address=address,
                retry_failed=retry_failed,
                metric=metric,
                progress=not quiet,
            )
    except KeyboardInterrupt as stop:
        # Training on files may have caught the signal's own exception.
        raise stopped(stops.last or stop, str(stop) or "the same command goes on") from None
    if quiet:
        print(results.folder)
    else:
        _show_results(results, by, metric)
    if results.failed == len(results):
        raise typer.Exit(2)


def _show_plan(study: Study) -> None:
    from myrnn.cli import _show

    planned = len(study.points)
    for point in study.points:
        _show.named_rows((point.run, point.label))
    _show.named_rows(("", f"{planned:,} run{'' if planned == 1 else 's'}"))


def _show_results(results: SweepResults, by: list[str] | None, metric: str) -> None:
    from myrnn.cli import _show

    _show.table(results, by=by or None, metric=metric)
    typer.echo()
    best = results.best(metric)
    if best is not None:
        _show.named_rows(("best", results.point(best["run"]).label))
    if results.failed:
        first = next(error for error in results.runs["error"] if error is not None)
        _show.named_rows(("failed", f"{results.failed:,} of {len(results):,} runs, the first with {first}"))
        _show.named_rows(("", "--retry-failed does them again"))
    if results.fallbacks:
        _show.named_rows(("op by op", f"{results.fallbacks:,} of {len(results):,} runs, without native code"))
        _show.named_rows(("", 'with engine = "native" in the study they fail and say why'))
    _show.path("written", results.folder)
