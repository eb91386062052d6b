"""The other commands: ``myrnn lesson``, ``myrnn playground`` and ``myrnn sweep``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from myrnn._checks import count_of
from myrnn._signals import noted_stops, stopped
from myrnn.cli import show
from myrnn.errors import InvalidArgument
from myrnn.lesson import PARTS, lesson_source, write_lesson
from myrnn.plots import save_figure
from myrnn.results import Table
from myrnn.sweeps import Study, SweepResults, checked_names, read_study
from myrnn.sweeps import sweep as do_all

PORT = 8400


def lesson(
    part: Annotated[
        int,
        typer.Argument(help="1: classify sequences; 2: predict what comes next in a text or a series."),
    ] = 1,
    student: Annotated[bool, typer.Option("--student", help="Leave out solutions and notes for instructors.")] = False,
    tagged: Annotated[
        bool, typer.Option("--tagged", help="Keep the tags that mark the versions, to edit the source.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Another tagged notebook.  [default: the lesson]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file, .ipynb or .md.  [default: lesson.ipynb, lesson-2.ipynb]", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a part of the lesson as a notebook, for instructors or for students."""
    if student and tagged:
        raise InvalidArgument("--student and --tagged do not go together: a student's version has no tags")
    version = "student" if student else "tagged" if tagged else "instructor"
    if part != 1 and source is not None:
        raise InvalidArgument("a part of the lesson and --from do not go together: each says which notebook to write")
    text = lesson_source(part) if source is None else _read(source)
    name = Path(PARTS[part]).stem if source is None else source.stem
    path = out or Path(f"{name}{'-student' if student else ''}{'.md' if tagged else '.ipynb'}")
    if path.exists() and not force:
        raise InvalidArgument(f"{path} exists already; name another file with --out, or overwrite it with --force")
    cells = write_lesson(path, version, text, overwrite=force)
    code = sum(cell.kind == "code" for cell in cells)
    show.path("lesson", path)
    typer.echo(f"            {version} version, {len(cells)} cells, {code} of them code")
    if path.suffix == ".ipynb":
        typer.echo(f"open it     pip install jupyterlab && jupyter lab {quote(str(path))}")


def _read(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{source} is not UTF-8 text: byte {error.start} is wrong") from None


def playground(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 takes any.")] = PORT,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on; 0.0.0.0 lets in others who have the printed address with its token."
        ),
    ] = "127.0.0.1",
    model: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:CLASS", help="A model class of yours to play with.", show_default=False),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser, except with --host for others.")] = True,
) -> None:
    """Open a page that shows a recurrent network while it learns.

    Without a screen it only prints the address. For a class, myrnn playground --host 0.0.0.0 prints an address with a
    token; everybody who opens it gets a separate network. Ctrl-C ends it for all.
    """
    try:
        from myrnn.playground import serve
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "starlette", "uvicorn", "websockets"):
            raise
        raise InvalidArgument(f"the playground needs {error.name}: pip install 'myrnn[playground]'") from None
    serve(host=host, port=port, model=model, browser=browser, tell=typer.echo)


def sweep(
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY", help="A TOML file: what to try. See docs/how-to/sweeps.md.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for the results.  [default: sweeps/<name of the study>]", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many runs to do at a time.  [default: one per core]")
    ] = None,
    backend: Annotated[str, typer.Option(help="Where to run them: loky (this machine), dask or ray.")] = "loky",
    address: Annotated[
        str | None, typer.Option(help="The address of the cluster, such as tcp://10.0.0.1:8786.", show_default=False)
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
            help="The setting that the runs of a group share, such as model.dim_recurrent. Can be repeated.  "
            "[default: all that varies but seeds]",
            show_default=False,
        ),
    ] = None,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Show trained lengths and longer ones, with intervals over the runs and the best shortcut on each "
            "task, and write it as summary.csv.",
        ),
    ] = False,
    grid: Annotated[
        bool, typer.Option("--grid", help="Draw accuracy by length with a panel for each task, as grid.svg and .png.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="List the runs without doing them.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no table.")] = False,
) -> None:
    """Do all runs of a study that are not done yet; write tables and figures of all of them.

    It can be interrupted at any time and in any way: the same command resumes it, and repeats no finished run. A run
    that failed is tried again, unless its training diverged.
    """
    read = read_study(study)
    if by:
        # Used only at the end, but checked before hours of runs.
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
                metric=metric,
                progress=not quiet,
            )
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
        show.named_rows((point.run, point.label))
    show.named_rows(("", count_of(planned, "run")))


def _show_results(results: SweepResults, by: list[str] | None, metric: str, summary: Table | None) -> None:
    show.table(results.table(by or None, metric) if summary is None else summary)
    typer.echo()
    best = results.best(metric)
    if best is not None:
        show.named_rows(("best", results.point(best["run"]).label))
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
