"""What ``myrnn transfer`` does: try trained networks on tasks that they were not trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from myrnn.cli._options import OwnClass

if TYPE_CHECKING:
    from myrnn.evaluation import TransferTable
    from myrnn.runs import Run

# The options must be known before the command runs; what it needs is imported when it does.

OTHER_ALPHABET = 5


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
    seed: Annotated[int, typer.Option(min=0, help="Seeds the drawing of the sequences.")] = 1,
    engine: Annotated[str, typer.Option(help="How to run the equations: auto, native or mygrad.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to write to.  [default: runs/transfer-<time>]", show_default=False),
    ] = None,
    model: OwnClass = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write the files, show no table.")] = False,
) -> None:
    """Try trained networks on tasks that they were not trained on; write a table and a heat map.

    Tasks are of the lengths that the first run was trained on, and of the most symbols that one of the runs knows.
    """
    from myrnn.cli import _show
    from myrnn.cli._load import check_on_task, load_all
    from myrnn.evaluation import transfer as try_all
    from myrnn.runs import claim_folder, run_names

    names = run_names(runs)
    loaded = load_all(runs, model)
    for run in loaded:
        check_on_task(run)
    tasks = _tasks(loaded, task or [])
    models = dict(zip(names, (run.model for run in loaded), strict=True))
    with claim_folder(out, "transfer") as folder:
        table = try_all(models, tasks, samples, seed, engine=engine)
        _write(table, folder)
    if quiet:
        print(folder)
        return
    _show.table(table)
    typer.echo()
    _show.path("written", folder)


def _write(table: TransferTable, folder: Path) -> None:
    from myrnn.plots import save_figure

    table.to_csv(folder / "transfer.csv")
    ax = table.plot()
    for suffix in ("svg", "png"):
        save_figure(ax, folder / f"transfer.{suffix}")


def _tasks(runs: Sequence[Run], given: Sequence[str]) -> dict[str, Any]:
    """Return the tasks by the names that they are given under; without any, all that have a name."""
    known = _known_tasks(runs)
    return {_spoken(text): _task(text, known) for text in given or known}


def _spoken(text: str) -> str:
    """Return a task as it is named in a table, where lines break between words."""
    words = re.sub(r"[-_=]", " ", text)
    return re.sub(r"([:,])\b", r"\1 ", words)


def _known_tasks(runs: Sequence[Run]) -> dict[str, Any]:
    from myrnn.tasks import Palindromes, TwinHalves

    first, alphabet = runs[0].task, max(run.task.alphabet_size for run in runs)
    size = (first.pattern_length_min, first.pattern_length_max)
    return {
        "halves": TwinHalves(*size, alphabet),
        "palindromes": Palindromes(*size, alphabet),
        "halves-near-miss": TwinHalves(*size, alphabet, negatives="near_miss"),
        "palindromes-near-miss": Palindromes(*size, alphabet, negatives="near_miss"),
        f"halves-{OTHER_ALPHABET}": TwinHalves(*size, OTHER_ALPHABET),
    }


def _task(text: str, known: dict[str, Any]) -> Any:
    from dataclasses import fields, replace

    from myrnn import _checks
    from myrnn.errors import InvalidArgument

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
