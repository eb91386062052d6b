"""What ``myrnn plot`` does: the trainings of several runs in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myrnn.cli._options import OwnClass
from myrnn.cli._places import check_picture

if TYPE_CHECKING:
    from myrnn.training import History

CURVE = 16  # characters across


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    model: OwnClass = None,
    out: Annotated[Path, typer.Option(help="The picture: a file that ends in .svg, .png or .pdf.")] = Path("plot.svg"),
) -> None:
    """Draw loss and accuracy of one or several runs over each other."""
    from myrnn.cli._load import load_all
    from myrnn.plots import save_figure
    from myrnn.runs import run_names

    check_picture("--out", out)
    names = run_names(runs)
    histories = [run.history for run in load_all(runs, model)]
    axes = None
    for name, history in zip(names, histories, strict=True):
        axes = history.plot(axes, name)
    save_figure(axes, out)
    _show_runs(names, histories, out)


def _show_runs(names: list[str], histories: list[History], out: Path) -> None:
    from rich.console import Console

    from myrnn.cli import _show
    from myrnn.results import Table, integer, number, text
    from myrnn.training import curve_levels, sparkline

    console = Console(highlight=False)
    levels = curve_levels(console)

    def curves(name: str) -> list[str]:
        return [sparkline(getattr(history, name), CURVE, levels) for history in histories]

    table = Table(
        "",
        {
            "run": names,
            "iterations": [history.step[-1] for history in histories],
            "loss_curve": curves("loss"),
            "loss": [history.loss[-1] for history in histories],
            "accuracy_curve": curves("accuracy"),
            "accuracy": [history.accuracy[-1] for history in histories],
        },
        (
            text("run"),
            integer("iterations"),
            text("loss_curve", ""),
            number("loss", ".4f"),
            text("accuracy_curve", ""),
            number("accuracy", ".1%"),
        ),
    )
    console.print(table)
    console.print()
    _show.path("plot", out)
