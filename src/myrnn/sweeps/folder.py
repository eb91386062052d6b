"""A sweep in one call: its folder is created or resumed, and finally tables and figures are written into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment.parts import is_own
from myrnn.plots import save_figure
from myrnn.plots.style import figures_for_files
from myrnn.registry import find
from myrnn.results import write_csv
from myrnn.runs.folder import made_with
from myrnn.storage import LOCK, FolderFormat, FolderLock, damaged, is_scratch, place_file, refused, sha256_of, used
from myrnn.sweeps.log import LOG, Log, read_log
from myrnn.sweeps.metrics import checked_metric, metrics, values_of
from myrnn.sweeps.pool import Backend, Pool, check_points, open_backend
from myrnn.sweeps.results import Columns, SweepResults, found_columns
from myrnn.sweeps.run import Done, Failed, Record, is_divergence
from myrnn.sweeps.study import MOST_STORED, Point, Study, read_study, stored_study
from myrnn.training.progress import Curve, Display, progress_display

# The study, and the time and the versions of its beginning.
SWEEP = FolderFormat("myrnn sweep", 1, "sweep", "sweep.json", {}, index_bytes=MOST_STORED + 100_000)
# At most this many settings get a figure each, the first ones.
MOST_SETTINGS = 8


def sweep(
    study: str | os.PathLike[str] | Mapping[str, Any] | Study,
    folder: str | os.PathLike[str] | None = None,
    *,
    jobs: int | None = None,
    backend: str = "loky",
    address: str | None = None,
    metric: str | None = None,
    progress: bool | None = None,
) -> SweepResults:
    """Execute all runs of a study that are not finished yet, and return all results.

    A run whose training diverged is finished. A run that failed for another reason is tried again by the next call.

    Every run is what ``myrnn train`` does with the same settings, on one thread. The tables are the same, byte for
    byte, wherever and in whatever order the runs are executed, and however often the sweep is interrupted: the same
    call resumes it.

    Parameters
    ----------
    study : path, mapping or Study
        A TOML file, or its content; ``docs/how-to/sweeps.md`` describes it.
    folder : path, optional
        The folder of the results, by default ``sweeps/<name of the study>``. Runs in it are not repeated, including
        those of another study.
    jobs : int, optional
        How many runs to execute in parallel, by default one per core of this machine or of the Ray cluster. With 1 they
        are executed in this process.
    backend : {"loky", "dask", "ray"}
        Processes of this machine, or a cluster, which needs the extra ``dask`` or ``ray`` of MyRNN.
    address : str, optional
        The address of the cluster: ``"tcp://10.0.0.1:8786"`` for a Dask scheduler. Without it, Ray starts a local
        cluster.
    metric : {"accuracy", "worst", "beyond", "loss"}, optional
        Or another metric of `SweepResults.groups`, by which the progress display names the best run so far.
    progress : bool, optional
        Whether to show runs done, running and failed, the time left and the best so far; by default in terminals and
        notebooks.

    Returns
    -------
    SweepResults

    Raises
    ------
    InvalidArgument
        When an argument or anything in the study is invalid.
    RunError
        When the folder cannot be used, or the cluster cannot be reached or is lost.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import sweep
    >>> study = {
    ...     "name": "small",
    ...     "task": {"pattern_length_max": 2},
    ...     "model": {"dim_recurrent": [2, 4]},
    ...     "training": {"iterations": 10, "engine": "mygrad"},
    ...     "evaluation": {"samples": 40},
    ... }
    >>> with TemporaryDirectory() as folder:
    ...     results = sweep(study, Path(folder, "small"), jobs=1, progress=False)
    >>> len(results), results.failed, results.runs["model.dim_recurrent"]
    (2, 0, [2, 4])
    """
    plan = study if isinstance(study, Study) else read_study(study)
    metric = checked_metric(plan, metric)
    path = Path("sweeps") / plan.name if folder is None else Path(folder)
    with open_backend(backend, address, jobs) as place, _held(path, plan):
        records, damages = read_log(path)
        if damages and any(point.run not in records for point in plan.points):
            warn(f"{path / LOG} has {_checks.count_of(damages, 'damaged line')}: missing runs are done again")
        _do_all(plan, records, place, path, _Progress(plan, progress, metric))
        records, _ = read_log(path)
        results = SweepResults.of(path, plan, records)
        with refused(f"cannot write the tables into {path}"):
            _write_results(results, records)
    if results.not_finite:
        runs = sum(bool(count) for count in results.runs["not_finite"])
        warn(
            f"in {_checks.count_of(runs, 'run')} the scores of {results.not_finite:,} sequences or steps are not "
            "finite: they count as wrong"
        )
    return results


def load_sweep(folder: str | os.PathLike[str]) -> SweepResults:
    """Return the results in the folder of a sweep, finished or not.

    Parameters
    ----------
    folder : path

    Returns
    -------
    SweepResults

    Raises
    ------
    RunError
        When it is not the folder of a sweep, or is damaged.

    Warns
    -----
    UserWarning
        When lines of its results are damaged, and runs are missing.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import load_sweep, sweep
    >>> short = {"training": {"iterations": 10, "engine": "mygrad"}, "evaluation": {"samples": 40}}
    >>> study = {"name": "small", "task": {"pattern_length_max": 2}, "model": {"dim_recurrent": [2, 4]}, **short}
    >>> with TemporaryDirectory() as folder:
    ...     done = sweep(study, Path(folder, "small"), jobs=1, progress=False)
    ...     read = load_sweep(done.folder)
    >>> read.runs == done.runs
    True
    """
    path = Path(folder)
    index = SWEEP.read_index(path)
    given = index.get("study")
    if not isinstance(given, Mapping):
        damaged(path, SWEEP.index, "holds no study")
    with used(path, SWEEP.index):
        study = stored_study(given, index.get("classes"))
    results = SweepResults.of(path, study, *read_log(path))
    if results.damaged:
        lines, missing = _checks.count_of(results.damaged, "damaged line"), results.planned - len(results)
        warn(
            f"{path / LOG} has {lines}, left out: {_checks.count_of(missing, 'run')} of {results.planned:,} "
            "missing here; myrnn sweep does them again"
        )
    return results


@contextmanager
def _held(folder: Path, study: Study) -> Iterator[None]:
    """Lock the folder of a sweep, which is created if it is missing, and store the study in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir() if not is_scratch(path)}
    except (OSError, ValueError) as error:
        raise RunError(f"cannot make the sweep folder {folder}: {getattr(error, 'strerror', None) or error}") from error
    if names - {LOCK} and not names & {SWEEP.index, LOG}:
        raise RunError(f"{folder} is not the folder of a sweep: choose another folder")
    with FolderLock(folder):
        known = SWEEP.read_index(folder) if SWEEP.index in names else made_with()
        if (now := made_with()["versions"]) != known.get("versions"):
            warn(
                f"the runs in {folder} were done with {_versions(known.get('versions'))}, and others will be done "
                f"with {_versions(now)}: for consistent tables begin in a new folder"
            )
        content = {"study": study.given, "classes": dict(study.classes)}
        if {name: known.get(name) for name in content} != content:
            SWEEP.write(folder, {"created": known.get("created"), "versions": known.get("versions"), **content}, {})
        yield


# --- the runs


def _do_all(
    study: Study,
    records: Mapping[str, Record],
    backend: Backend,
    folder: Path,
    progress: _Progress,
) -> None:
    hashes = _hashes(study)

    def is_over(point: Point) -> bool:
        record = records.get(point.run)
        if isinstance(record, Done):
            # Runs on files that have changed are repeated.
            return record.files == {name: hashes[file] for name, file in point.located.files.items()}
        return record is not None and is_divergence(record.error)

    over = [point for point in study.points if is_over(point)]
    planned = len(study.points)
    if len(over) == planned:
        return
    note = _versions_noted()
    # The parts of a user may be wrong, or missing in the workers: try the first run of each.
    first = {tuple(point.experiment.parts.items()): point for point in reversed(study.points) if not is_over(point)}
    foreign = [
        point
        for parts, point in first.items()
        if not all(not is_own(name) and find(part, name).is_ours for part, name in parts)
    ]
    if foreign:
        check_points(backend, foreign)
    known = [(point, records[point.run]) for point in over]
    try:
        with Log(folder) as log, progress.over(planned, known):
            pool = Pool(backend)
            for point, record in pool.records(point for point in study.points if not is_over(point)):
                log.add(note(record))
                progress.add(point, record, pool.running)
    except KeyboardInterrupt as stop:
        # The log is the authority: the signal may have come right after a record was written.
        now = read_log(folder)[0]
        done = sum(is_over(point) or now.get(point.run) != records.get(point.run) for point in study.points)
        kept = f"{done:,} of {_checks.count_of(planned, 'run')} are done and kept in {folder}; the same command goes on"
        raise type(stop)(kept) from None


def _hashes(study: Study) -> dict[str, str]:
    """Return the SHA-256 of every file that the runs of a study name; raises InvalidArgument if one is missing."""
    found = {}
    for file in dict.fromkeys(file for point in study.points for file in point.located.files.values()):
        try:
            found[file] = sha256_of(file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidArgument(f"{file} cannot be read: {reason}") from error
    return found


def _versions_noted() -> Callable[[Record], Record]:
    """Return a function that removes this process's versions from a record, and warns once about others."""
    here = made_with()["versions"]
    known = [here, None]

    def note(record: Record) -> Record:
        if record.versions not in known:
            known.append(record.versions)
            warn(
                f"{record.worker} has {_versions(record.versions)}, and this process {_versions(here)}: "
                "its runs may differ in their last digits from those of others"
            )
        return replace(record, versions=None) if record.versions == here else record

    return note


def _versions(versions: Any) -> str:
    """Return versions by name in a line, from an index or a record."""
    if not isinstance(versions, Mapping):
        return "versions that are not known"
    return _checks.printable(", ".join(f"{name} {version}" for name, version in versions.items()))


class _Progress:
    """The display of a sweep: runs done, running and failed, the time left, and the best so far."""

    def __init__(self, study: Study, show: bool | None, metric: str) -> None:
        self._study, self._show, self._metric = study, show, metric
        self._display: Display | None = None
        self._done, self._failed = 0, 0
        self._best: float | None = None
        self._best_label = ""

    @contextmanager
    def over(self, planned: int, known: Sequence[tuple[Point, Record]]) -> Iterator[None]:
        """Show the display while the block runs; `known` are the runs done before, which count as well."""
        self._display = progress_display(self._show, "sweep", planned, "runs", len(known))
        for point, record in known:
            self._count(point, record)
        try:
            yield
        finally:
            if self._display is not None:
                self._display.close()

    def add(self, point: Point, record: Record, running: int) -> None:
        """Count a run that has ended, while `running` others are in progress."""
        self._count(point, record)
        if self._display is not None:
            lines = [f"{running} running", f"{self._failed} failed", *([self._best_label] if self._best_label else [])]
            self._display.update(self._done, [Curve(line, ()) for line in lines])

    def _count(self, point: Point, record: Record) -> None:
        self._done += 1
        if isinstance(record, Failed):
            self._failed += 1
            return
        value, metric = values_of(self._study, record).get(self._metric), metrics(self._study)[self._metric]
        if value is not None and (self._best is None or metric.is_better(value, self._best)):
            self._best = value
            self._best_label = f"best {metric.text(value)}: {self._study.label(point)}"


# --- the files


def _write_results(results: SweepResults, records: Mapping[str, Record]) -> None:
    """Write all that is derived from the results, the same bytes wherever and in whatever order the runs were done."""
    folder = results.folder
    tables = {"results": results.runs, "lengths": results.lengths}
    if results.study.has_files:
        tables["tests"] = results.tests
    kinds = found_columns(results.study)
    for name, columns in tables.items():
        place_file(folder / f"{name}.csv", partial(write_csv, columns))
        place_file(folder / f"{name}.parquet", partial(_write_parquet, columns, kinds))
    done = [record for point in results.study.points if (record := records.get(point.run)) is not None]
    times = {name: [getattr(record, name) for record in done] for name in ("run", "seconds", "worker")}
    place_file(folder / "times.csv", partial(write_csv, times))
    if len(results):
        groups = [
            {"metric": metric, **group} for metric in metrics(results.study) for group in results.groups(metric=metric)
        ]
        columns = {name: [group[name] for group in groups] for name in groups[0]}
        place_file(folder / "groups.csv", partial(write_csv, columns))
    if len(results) > results.failed:
        _write_figures(results)


def _write_parquet(columns: Columns, kinds: Mapping[str, type], path: Path) -> None:
    import polars  # imported late because it takes a moment

    types = {str: polars.String, int: polars.Int64, float: polars.Float64}
    known = {name: types[kind] for name, kind in kinds.items() if name in columns}
    polars.DataFrame(columns, schema_overrides=known, strict=False).write_parquet(path)


def _write_figures(results: SweepResults) -> None:
    draw: dict[str, Callable[[], Any]] = {}
    if len(results.by_length(range(len(results)))[1]):
        draw["accuracy_by_length"] = partial(results.plot, "lengths")
    # Runs on data without tests have only a validation, or not even that.
    known = (name for name in metrics(results.study) if any(value is not None for value in results.runs[name]))
    metric = next(known, "loss")
    for name in results.varied[:MOST_SETTINGS]:
        draw[f"{metric}_by_{name.replace('.', '_')}"] = partial(results.plot, "setting", name=name, metric=metric)
    if results.varied:
        draw["parallel"] = partial(results.plot, "parallel", metric=metric)
    for name, function in draw.items():
        with figures_for_files():
            ax = function()
        for ending in (".svg", ".png"):
            place_file(results.folder / f"{name}{ending}", partial(save_figure, ax))
