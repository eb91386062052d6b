"""What a sweep leaves behind for people and for their own analysis: tables, groups and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from myrnn.plots import save_figure
from myrnn.storage import place_file
from myrnn.sweeps._log import Finished
from myrnn.sweeps._results import SweepResults
from myrnn.sweeps._table import METRICS, Columns, write_csv, write_tables, write_times

GROUPS = "groups.csv"
ENDINGS = (".svg", ".png")
# A figure each for so many settings; of more, the first.
MOST_SETTINGS = 8


def write_results(results: SweepResults, finished: Finished) -> None:
    """Write all that follows from the results of a sweep, which may be none, into its folder.

    Raises
    ------
    OSError
        When something cannot be written.
    """
    write_tables(results, results.folder)
    write_times(results.study, finished, results.folder)
    if len(results):
        write_csv(_groups(results), results.folder / GROUPS)
    if len(results) > results.failed:
        for name, draw in _figures(results):
            ax = draw()
            for ending in ENDINGS:
                place_file(results.folder / f"{name}{ending}", partial(save_figure, ax))


def _groups(results: SweepResults) -> Columns:
    """Return mean, spread and best of every group by every metric."""
    records = [{"metric": metric, **record} for metric in METRICS for record in results.groups(metric=metric)]
    return {name: [record[name] for record in records] for name in records[0]}


def _figures(results: SweepResults) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "accuracy_by_length", results.plot_lengths
    for name in results.varied[:MOST_SETTINGS]:
        yield f"accuracy_by_{name.replace('.', '_')}", partial(results.plot_setting, name)
    if results.varied:
        yield "parallel", results.plot_parallel
