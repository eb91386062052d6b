"""The other commands: ``myrnn lesson``, ``myrnn playground`` and ``myrnn sweep``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from myrnn._checks import count_of, install
from myrnn._signals import noted_stops, stopped
from myrnn.cli import show
from myrnn.cli.options import Quiet, argument, option
from myrnn.errors import InvalidArgument
from myrnn.lesson import PARTS, lesson_source, write_lesson
from myrnn.plots import save_figure
from myrnn.results import Table
from myrnn.sweeps import Study, SweepResults, read_study
from myrnn.sweeps import sweep as do_all
from myrnn.sweeps.metrics import check_has_lengths
from myrnn.sweeps.results import checked_names

PORT = 8400


def lesson(
    part: Annotated[
        int, typer.Argument(help="1: classify sequences; 2: predict what comes next in a text or a series.")
    ] = 1,
    student: Annotated[bool, option("Leave out solutions and notes for instructors.", "--student")] = False,
    tagged: Annotated[bool, option("Keep the tags that mark the versions, to edit the source.", "--tagged")] = False,
    source: Annotated[
        Path | None, option("Another tagged notebook, Markdown.  [default: the lesson]", "--from")
    ] = None,
    out: Annotated[Path | None, option("The file, .ipynb or .md.  [default: lesson.ipynb, lesson-2.ipynb]")] = None,
    force: Annotated[bool, option("Overwrite an existing file.", "--force")] = False,
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
    show.named_rows(("", f"{version} version, {len(cells)} cells, {code} of them code"))
    if path.suffix == ".ipynb":
        show.named_rows(("open it", f"pip install jupyterlab && jupyter lab {quote(str(path))}"), wrap=False)


def _read(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{source} is not UTF-8 text: byte {error.start} is wrong") from None


def playground(
    port: Annotated[int, option("The port to listen on; 0 takes any.", min=0, max=65_535)] = PORT,
    host: Annotated[
        str, option("The address to listen on; 0.0.0.0 lets in others who have the printed address with its token.")
    ] = "127.0.0.1",
    model: Annotated[str | None, option("A model class of yours to play with.", metavar="FILE.py:CLASS")] = None,
    browser: Annotated[bool, option("Open the page in the browser, except with --host for others.")] = True,
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
        raise InvalidArgument(f"the playground needs {error.name}: {install('playground')}") from None
    serve(host=host, port=port, model=model, browser=browser, tell=partial(print, flush=True))


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
