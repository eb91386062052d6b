"""The results of a sweep in the order of its study: one row a run, and one row a run and length."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from myrnn.storage import place_file
from myrnn.sweeps._log import Finished
from myrnn.sweeps._points import Point, points
from myrnn.sweeps._run import DONE, FAILED, Record
from myrnn.sweeps._settings import FIXED, SECTIONS
from myrnn.sweeps._study import Study

TABLE, LENGTHS, TIMES = "results", "lengths", "times.csv"
METRICS = ("accuracy", "worst", "beyond", "loss")
# What a row says beside the settings, with the kind of each.
FOUND: dict[str, type] = {
    "status": str,
    "error": str,
    "engine": str,
    "parameters": int,
    "longest": int,
    "loss": float,
    "accuracy": float,
    "worst": float,
    "beyond": float,
}

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Tables:
    """What a sweep has found so far.

    Attributes
    ----------
    runs : mapping of str to list
        A column each for ``run``, ``variant``, every setting (``model.dim_recurrent``), and what was found: ``status``
        (``"done"`` or ``"failed"``), ``error``, ``engine``, ``parameters``, ``longest`` (the longest length that was
        trained on), ``loss`` (of the last report), ``accuracy`` (on the lengths that were trained on), ``worst`` (that
        of the worst of these lengths) and ``beyond`` (on longer ones). What there is not is None.
    lengths : mapping of str to list
        ``run``, ``length``, ``total`` and ``correct``: how many sequences of a length were tried, and right.
    """

    runs: Columns
    lengths: Columns


def collect(study: Study, finished: Finished) -> Tables:
    """Return the results of all runs of the study that were done or failed, in its order."""
    runs: dict[str, list[Any]] = {name: [] for name in ("run", *setting_names(study), *FOUND)}
    lengths: dict[str, Any] = {"run": [], **{name: array("q") for name in ("length", "total", "correct")}}
    for point, record in _records(study, finished):
        row = {"run": point.run, "variant": point.variant, **_flat(point), **_found(record)}
        for name, column in runs.items():
            column.append(row.get(name))
        if record["status"] == DONE:
            lengths["run"].extend([point.run] * len(record["lengths"]))
            lengths["length"].extend(record["lengths"])
            lengths["total"].extend(record["total"])
            lengths["correct"].extend(record["correct"])
    return Tables(runs, lengths)


class HasTables(Protocol):
    """The tables, or what has them."""

    @property
    def runs(self) -> Columns: ...
    @property
    def lengths(self) -> Columns: ...


def write_tables(tables: HasTables, folder: Path) -> None:
    """Write both tables as CSV, and as Parquet; the same results give the same bytes."""
    for name, columns in ((TABLE, tables.runs), (LENGTHS, tables.lengths)):
        write_csv(columns, folder / f"{name}.csv")
        _write_parquet(columns, folder / f"{name}.parquet")


def write_times(study: Study, finished: Finished, folder: Path) -> None:
    """Write how long each run took and where it was done, which is another thing every time."""
    records = [record for _, record in _records(study, finished)]
    write_csv({name: [record.get(name) for record in records] for name in ("run", "seconds", "worker")}, folder / TIMES)


def accuracies(record: Mapping[str, Any]) -> dict[str, float | None]:
    """Return ``accuracy``, ``worst`` and ``beyond`` from the counts of a run."""
    counts = list(zip(record["lengths"], record["total"], record["correct"], strict=True))
    trained = [(total, right) for length, total, right in counts if length <= record["longest"]]
    beyond = [(total, right) for length, total, right in counts if length > record["longest"]]
    return {
        "accuracy": _share(trained),
        "worst": min((right / total for total, right in trained), default=None),
        "beyond": _share(beyond),
    }


def _share(counts: list[tuple[int, int]]) -> float | None:
    total = sum(total for total, _ in counts)
    return sum(right for _, right in counts) / total if total else None


def _records(study: Study, finished: Finished) -> Iterator[tuple[Point, Record]]:
    known = (point for point in points(study) if point.run in finished)
    for point in known:
        record = finished.record(point.run)
        if record is not None:
            yield point, record


def setting_names(study: Study) -> tuple[str, ...]:
    """Return the variant, where there are any, and the settings that any run has, section by section."""
    names: dict[str, dict[str, None]] = {section: {} for section in SECTIONS if section != FIXED}
    for point in points(study):
        for section, known in names.items():
            known.update(dict.fromkeys(point.settings[section]))
    variant = ("variant",) if any(variant.name for variant in study.variants) else ()
    return (*variant, *(f"{section}.{name}" for section, known in names.items() for name in known))


def _flat(point: Point) -> dict[str, Any]:
    return {
        f"{section}.{name}": value
        for section, settings in point.settings.items()
        if section != FIXED
        for name, value in settings.items()
    }


def _found(record: Record) -> dict[str, Any]:
    if record["status"] == FAILED:
        return {"status": FAILED, "error": record["error"]}
    return {**{name: record.get(name) for name in FOUND}, **accuracies(record)}


def write_csv(columns: Columns, path: Path) -> None:
    """Write columns as CSV; None is an empty field, and a number has all its digits."""

    def write(unfinished: Path) -> None:
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

    place_file(path, write)


def _write_parquet(columns: Columns, path: Path) -> None:
    import polars

    kinds = {int: polars.Int64, float: polars.Float64, str: polars.String}
    frame = polars.DataFrame(
        [polars.Series(name, column, kinds[_kind(name, column)], strict=False) for name, column in columns.items()]
    )
    place_file(path, frame.write_parquet)


def _kind(name: str, column: Sequence[Any]) -> type:
    """Return the kind of a column: that which it always has, or that of the settings in it."""
    if name in FOUND:
        return FOUND[name]
    kinds = {type(value) for value in column} - {type(None)}
    if kinds <= {int} and kinds:
        return int
    return float if kinds and kinds <= {int, float} else str
