"""``myrnn plot`` draws the learning curves of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from myrnn.cli import show
from myrnn.cli.options import Runs, picture_option
from myrnn.learning_curve import ACCURACY, LearningCurve, word_for
from myrnn.plots import plot_learning_curves, save_figure
from myrnn.results import Table, integer, number, text
from myrnn.runs.compare import run_names
from myrnn.runs.saved import load_history
from myrnn.training.progress import curve_levels, sparkline

CURVE = 16  # characters wide


def plot(
    runs: Runs,
    out: Annotated[Path, picture_option("The figure: a .svg, .png or .pdf file.")] = Path("plot.svg"),
) -> None:
    """Draw loss and accuracy of one or more runs in one figure."""
    names = run_names(runs)
    histories = [load_history(run) for run in runs]
    save_figure(plot_learning_curves(dict(zip(names, histories, strict=True))), out)
    console = show.new_console()
    console.print(_curves(names, histories, curve_levels(console)))
    console.print()
    show.path("plot", out)


def _curves(names: list[str], histories: list[LearningCurve], levels: str) -> Table:
    metric, steps = histories[0].metric, f"{histories[0].unit}s"

    def curves(name: str) -> list[str]:
        return [sparkline(getattr(history, name), CURVE, levels) for history in histories]

    return Table(
        "",
        {
            "run": names,
            steps: [history.step[-1] for history in histories],
            "loss_curve": curves("loss"),
            "loss": [history.loss[-1] for history in histories],
            f"{metric}_curve": curves(metric),
            metric: [history.score[-1] for history in histories],
        },
        (
            text("run"),
            integer(steps),
            text("loss_curve", ""),
            number("loss", ".4f"),
            text(f"{metric}_curve", ""),
            number(metric, ".1%" if metric == ACCURACY else ".4g", word_for(metric)),
        ),
    )
