"""``myrnn generate`` continues a text, ``myrnn forecast`` a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from myrnn._checks import count_of
from myrnn.cli import show
from myrnn.cli.options import DelimiterAsTrained, OwnClass, Quiet, argument, file_option, load, option, picture_option
from myrnn.data.targets import SERIES, TEXT
from myrnn.errors import InvalidArgument
from myrnn.plots import save_figure
from myrnn.runs import Run
from myrnn.runs.compare import run_names
from myrnn.storage import place_file

if TYPE_CHECKING:
    # scikit-learn takes longer to import than everything else, so commands import it when they need it.
    from myrnn.estimators import LanguageModel


def generate(
    run: Annotated[Path, argument("The folder of a run that learned text.", "RUN")],
    prime: Annotated[str, option("What the text begins with.  [default: a line break]")] = "",
    length: Annotated[int, option("How many symbols to write.", min=1)] = 500,
    temperature: Annotated[
        float, option("Below 1 likely symbols become likelier; with 0 the most likely one is taken.", min=0)
    ] = 1.0,
    top_k: Annotated[
        int | None, option("Draw from the K most likely symbols.  [default: from all]", metavar="K", min=1)
    ] = None,
    seed: Annotated[
        int | None, option("The same seed writes the same text.  [default: another at each call]", min=0)
    ] = None,
    model: OwnClass = None,
) -> None:
    """Write text with a network: each symbol is drawn from its prediction."""
    from myrnn.estimators import LanguageModel

    writer = LanguageModel.of_run(_loaded(run, model, TEXT, "writes"))
    begin = prime or _first_symbol(writer)
    written = writer.generate(begin, length, temperature=temperature, top_k=top_k, seed=seed)
    between = "" if writer.tokenize_ == "characters" or not prime else " "
    print(f"{prime}{between}{written if isinstance(written, str) else ' '.join(map(str, written))}")


def _first_symbol(writer: LanguageModel) -> Any:
    """Return the default first symbol of a text: a line break, or else the first known symbol."""
    symbols = writer.encoder_.symbols
    first = "\n" if "\n" in symbols else symbols[0]
    return first if writer.tokenize_ is not None else [first]


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

    loaded = [_loaded(run, model, SERIES, "forecasts") for run in runs]
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


def _loaded(folder: Path, model: str | None, wanted: str, does: str) -> Run:
    """Read a run that must have learned text, or a series."""
    run = load(folder, model)
    if run.reader.learn != wanted:
        raise InvalidArgument(f"{folder} learned {run.reader.learn}: only what learned {wanted} {does}")
    return run
