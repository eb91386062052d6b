"""A sweep in one call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from myrnn._user_code import warn
from myrnn.errors import RunError
from myrnn.runs import made_with
from myrnn.storage import LOCK, FolderLock, is_scratch
from myrnn.sweeps._backends import Place, open_place
from myrnn.sweeps._files import write_results
from myrnn.sweeps._groups import checked_metric
from myrnn.sweeps._log import LOG, Finished, Log
from myrnn.sweeps._points import Point, count_points, points
from myrnn.sweeps._pool import Pool
from myrnn.sweeps._results import SWEEP, SweepResults
from myrnn.sweeps._show import Progress
from myrnn.sweeps._study import Study, read_study
from myrnn.sweeps._table import collect
from myrnn.sweeps._versions import Versions, told_versions


def sweep(
    study: str | os.PathLike[str] | Mapping[str, Any] | Study,
    folder: str | os.PathLike[str] | None = None,
    *,
    jobs: int | None = None,
    backend: str = "loky",
    address: str | None = None,
    retry_failed: bool = False,
    metric: str = "accuracy",
    progress: bool | None = None,
) -> SweepResults:
    """Do all runs of a study that are not done yet, and return the results of all.

    Every run is what ``myrnn train`` does with the same settings, on one thread. The tables are the same, byte for
    byte, wherever the runs are done, in whatever order, and however often the sweep was stopped on the way, by
    whatever: the same call goes on.

    Parameters
    ----------
    study : path, mapping or Study
        A TOML file, or what it says; ``docs/sweeps.md`` describes it.
    folder : path, optional
        Where the results are, by default ``sweeps/<name of the study>``. Runs that stand there are not done again,
        those of another study among them.
    jobs : int, optional
        How many runs to do at a time, by default one a core of this machine, or of the Ray cluster. 1 does them in
        this process.
    backend : {"loky", "dask", "ray"}
        Processes of this machine, or a cluster: ``pip install 'myrnn[dask]'`` or ``'myrnn[ray]'``.
    address : str, optional
        Of the cluster: ``"tcp://10.0.0.1:8786"`` for a scheduler of Dask. Ray takes a local one without it.
    retry_failed : bool
        Whether to do runs again that failed before.
    metric : {"accuracy", "worst", "beyond", "loss"}
        By which the progress display names the best run so far.
    progress : bool, optional
        Whether to show runs done, running and failed, the time left and the best so far; by default in a terminal and
        in a notebook.

    Returns
    -------
    SweepResults

    Raises
    ------
    InvalidArgument
        When an argument or anything in the study is not what it should be.
    RunError
        When the folder cannot be used, or the cluster cannot be reached or is lost.
    """
    plan = study if isinstance(study, Study) else read_study(study)
    planned = count_points(plan)
    checked_metric(metric)
    path = Path("sweeps") / plan.name if folder is None else Path(folder)
    with open_place(backend, address, jobs) as place, _held(path, plan):
        finished = Finished(path)
        if finished.damaged:
            warn(f"{path / LOG} has {finished.damaged} damaged lines: their runs are done again")
        _do_all(plan, planned, finished, place, path, retry_failed, Progress(progress, metric))
        finished = Finished(path)
        results = SweepResults(path, plan, planned, collect(plan, finished))
        try:
            write_results(results, finished)
        except OSError as error:
            raise RunError(f"cannot write the tables into {path}: {error.strerror or error}") from error
    return results


def _do_all(
    study: Study,
    planned: int,
    finished: Finished,
    place: Place,
    folder: Path,
    retry_failed: bool,
    progress: Progress,
) -> None:
    def is_over(point: Point) -> bool:
        return point.run in finished and not (retry_failed and finished.has_failed(point.run))

    begun = sum(is_over(point) for point in points(study))
    if begun == planned:
        return
    pool, done, versions = Pool(place), begun, Versions()
    known = ((point, finished.record(point.run)) for point in points(study) if is_over(point))
    try:
        with Log(folder) as log, progress.over(planned, begun, known):
            for point, record in pool.records(point for point in points(study) if not is_over(point)):
                log.add(versions.noted(record))
                done += 1
                progress.add(point, record, pool.running)
    except KeyboardInterrupt as stop:
        kept = f"{done:,} of {planned:,} runs are done and kept in {folder}; the same command goes on"
        raise type(stop)(kept) from None


@contextmanager
def _held(folder: Path, study: Study) -> Iterator[None]:
    """Hold the folder of a sweep, which is made where it is missing, and note the study in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir() if not is_scratch(path)}
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise RunError(f"cannot make the sweep folder {folder}: {told}") from error
    if names - {LOCK} and not names & {SWEEP.index, LOG}:
        raise RunError(f"{folder} holds something else than a sweep: choose another folder")
    with FolderLock(folder):
        known = SWEEP.read_index(folder) if SWEEP.index in names else made_with()
        if (now := made_with()["versions"]) != known.get("versions"):
            warn(
                f"the runs in {folder} were done with {told_versions(known.get('versions'))}, and others will be done "
                f"with {told_versions(now)}: for one table of one kind begin in a new folder"
            )
        if known.get("study") != study.given:
            values = {"created": known.get("created"), "versions": known.get("versions"), "study": study.given}
            try:
                SWEEP.write(folder, values, {})
            except OSError as error:
                raise RunError(f"cannot write into {folder}: {error.strerror or error}") from error
        yield
