"""``myrnn forecast`` continues a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from myrnn._checks import count_of
from myrnn.cli import show
from myrnn.cli.options import (
    DelimiterAsTrained,
    OwnClass,
    Quiet,
    argument,
    file_option,
    load_learned,
    option,
    picture_option,
)
from myrnn.data.targets import SERIES
from myrnn.errors import InvalidArgument
from myrnn.plots import save_figure
from myrnn.runs.compare import run_names
from myrnn.storage import place_file

if TYPE_CHECKING:
    # scikit-learn takes longer to import than everything else, so commands import it when they need it.
    pass


def forecast(
    runs: Annotated[
        list[Path],
        argument("The folders of runs that learned a series; several should differ only in their seeds.", "RUN..."),
    ],
    horizon: Annotated[int, option("How many steps to forecast.", min=1)] = 12,
    data: Annotated[
        str | None, option("The series so far.  [default: that of the first run's training]", metavar="FILE")
    ] = None,
    text_column: Annotated[str | None, option("Its columns.  [default: as in the training]", metavar="NAMES")] = None,
    delimiter: DelimiterAsTrained = None,
    level: Annotated[float, option("The share of the paths that lie in an interval.")] = 0.9,
    paths: Annotated[int, option("How many paths are drawn; with 0 there is no interval.", min=0)] = 1000,
    seed: Annotated[int, option("Seed of the errors that are drawn.", min=0)] = 0,
    out: Annotated[Path | None, file_option("Write the forecast as CSV here.", metavar="FILE")] = None,
    figure: Annotated[Path | None, picture_option("Draw it: .svg, .png or .pdf.", metavar="FILE")] = None,
    model: OwnClass = None,
    quiet: Quiet = False,
) -> None:
    """Forecast a series, with intervals.

    For several networks it shows their mean, and the intervals include the variation between them.
    """
    from myrnn import estimators

    loaded = [load_learned(run, model, SERIES, "forecasts") for run in runs]
    source = loaded[0].experiment.source.settings
    file = source.file if data is None else data
    if file is None:
        raise InvalidArgument(f"{loaded[0].folder} learned from a series in memory: give it with --data")
    series = loaded[0].reader.read_series(source, file, text_column=text_column, delimiter=delimiter)
    members = [estimators.SequenceForecaster.of_run(run) for run in loaded]
    found = estimators.forecast(members, series, horizon, level=level, paths=paths, seed=seed)
    if out is not None:
        place_file(out, found.to_csv)
    if figure is not None:
        save_figure(found.plot(), figure)
    if quiet:
        return show.csv_columns(None, found.table().columns)
    show.table(found)
    of = ", ".join(run_names(runs))
    show.named_rows(("forecast", f"of {count_of(horizon, 'step')} after {count_of(len(series), 'step')}, by {of}"))
