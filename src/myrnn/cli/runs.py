"""``myrnn runs`` lists the runs of a folder; ``myrnn runs compare`` compares two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from myrnn import _checks
from myrnn.cli import show
from myrnn.cli.options import RunFolder, argument, file_option, option, picture_option
from myrnn.output import notify
from myrnn.plots import save_figure
from myrnn.runs import RunComparison, RunListing, compare_runs, list_runs
from myrnn.runs.listing import ORDERS

MOST_FAULTS = 10


class ListByDefault(TyperGroup):
    """Commands with ``list`` as the default: ``myrnn runs FOLDER``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before its arguments."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


runs = typer.Typer(cls=ListByDefault, rich_markup_mode=None)


@runs.callback()
def about() -> None:
    """List runs (myrnn runs FOLDER), or compare two (myrnn runs compare RUN RUN)."""


@runs.command(name="list")
def show_runs(
    folder: Annotated[Path, argument("The folder of the run folders.  [default: runs]", "FOLDER")] = Path("runs"),
    sort: Annotated[
        str, option("name, state, task, model, iterations, loss, accuracy, tested, rmse or made.")
    ] = "made",
    reverse: Annotated[bool, option("Sort in descending order.", "--reverse", "-r")] = False,
    last: Annotated[int, option("Show only the last N; 0 shows all.", metavar="N", min=0)] = 50,
    out: Annotated[Path | None, file_option("Write all runs to this CSV file, too.")] = None,
) -> None:
    """List the runs of a folder: what was trained, how it ended, and whether it is complete.

    The newest runs come last, next to the prompt. Accuracy is measured on the training sequences, tested on other
    sequences of the same lengths.
    """
    _checks.one_of("--sort", sort, ORDERS)
    found = list_runs(folder).sorted(sort, reverse)
    if out is not None:
        found.to_csv(out)
    if not found:
        print(f"no runs in {folder}")
        return
    shown = found[-last:] if last else found
    show.new_console().print(shown.table())
    _show_rest(found, len(shown))


def _show_rest(found: RunListing, shown: int) -> None:
    if shown < len(found):
        print(f"\nthe last {shown:,} of {_checks.count_of(len(found), 'run')}; --last 0 shows all")
    faults = [run for run in found if run.fault is not None]
    for run in faults[:MOST_FAULTS]:
        notify(f"unreadable: {_checks.printable(str(run.fault))}")
    if len(faults) > MOST_FAULTS:
        notify(f"and {len(faults) - MOST_FAULTS:,} more that are unreadable")


@runs.command()
def compare(
    first: RunFolder,
    second: Annotated[Path, argument("The folder of another run.", "RUN")],
    figure: Annotated[
        Path | None,
        picture_option("Draw accuracy by length of both into this file, or their trainings: .svg, .png or .pdf."),
    ] = None,
) -> None:
    """Compare two runs: settings, weights, and accuracy by length with intervals."""
    found = compare_runs(first, second)
    if figure is not None:
        save_figure(found.plot(), figure)
    _show_comparison(found)
    if figure is not None:
        print()
        show.path("figure", figure)


def _show_comparison(found: RunComparison) -> None:
    console = show.new_console()
    if found.settings:
        console.print(found.settings_table())
    else:
        print("the same settings")
    print()
    show.named_rows(("weights", found.describe_weights()), ("history", _history(found)))
    table = found.table()
    if not table:
        print("\nnothing to compare by length: one of the two was not tested, or only on other lengths")
        return
    if any(name.startswith("task.") for name in found.settings):
        show.named_rows(("note", "the tasks differ: each run was tested on sequences of its own task"))
    print()
    console.print(table)


def _history(found: RunComparison) -> str:
    common = found.common_reports
    length, other = (len(side.curve.loss) for side in (found.first, found.second))
    if common == length == other:
        return "the same"
    if common == 0:
        return "differs from the beginning"
    reached = int(found.first.curve.step[common - 1])
    return f"the same up to {reached:,} {found.first.unit}"
