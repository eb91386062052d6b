"""The workers that do the runs of a sweep: on the cores of this machine, or on a cluster of Dask or Ray.

Workers may be lost. Their current runs are repeated, and a run that kills its worker is identified.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.sweeps.run import Failed, Record, SentRun, do, fault_of
from myrnn.sweeps.study import Point

# If workers are lost this often during a run, it is done alone to see whether it is the cause.
SUSPECT = 3
# Seconds to wait for a scheduler's answer.
CONNECT = 20
# Seconds between two checks that the parent process still exists.
EVERY = 1.0

Lost = tuple[type[BaseException], ...]


class LostWithWorkers(Exception):
    """Workers were lost repeatedly while they did some runs.

    Attributes
    ----------
    runs : list of str
        One of them is the cause.
    """

    def __init__(self, runs: list[str], error: BaseException) -> None:
        super().__init__(_line(error))
        self.runs = runs


# --- a pool of workers


@dataclass(frozen=True)
class Backend:
    """The place where runs are done.

    Attributes
    ----------
    label : str
        Its name in messages: ``"2 cores"``.
    workers : callable
        Returns the number of runs that are done at a time.
    parallel : callable
        Returns a `joblib.Parallel` that yields results as they come.
    lost : tuple of exception types
        Raised when a worker is lost: the others continue, or new ones replace it.
    gone : tuple of exception types
        Raised when the whole backend is lost.
    """

    label: str
    workers: Callable[[], int]
    parallel: Callable[[], Any]
    lost: Lost
    gone: Lost = ()


class Pool:
    """Does runs and yields their records as they come."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._under_way: dict[str, Point] = {}
        self.lost = 0

    @property
    def running(self) -> int:
        """The number of runs in progress; 0 if the backend does not answer, which `records` will raise."""
        try:
            return min(len(self._under_way), self._backend.workers())
        except self._backend.gone:
            return 0

    def records(self, points: Iterable[Point]) -> Iterator[tuple[Point, Record]]:
        """Yield every run with its record, in the order in which they end.

        Raises
        ------
        RunError
            When the whole backend is lost.
        """
        fresh, again, losses = iter(points), list[Point](), Counter[str]()
        while True:
            source = _Source(chain(again, fresh), self._under_way)
            try:
                yield from self._attempt(source)
                return
            except self._backend.lost as error:
                self.lost += 1
                source.close()
                # Including those that had not begun.
                again = [*self._under_way.values(), *again[source.taken :]]
                blamed = error.runs if isinstance(error, LostWithWorkers) else []
                losses.update(dict.fromkeys(blamed, SUSPECT) or self._under_way.keys())
                self._under_way.clear()
            suspects = [point for point in again if losses[point.run] >= SUSPECT]
            again = sorted((point for point in again if losses[point.run] < SUSPECT), key=lambda p: losses[p.run])
            for point in suspects:
                # A single suspect has been tried often enough.
                yield point, _lost(point) if blamed == [point.run] else self._alone(point)

    def _attempt(self, source: _Source) -> Iterator[tuple[Point, Record]]:
        try:
            for record in self._results((do, (SentRun.of(point),), {}) for point in source):
                yield self._under_way.pop(record.run), record
        except self._backend.lost:
            raise
        except self._backend.gone as error:
            raise self._gone(error) from error

    def _results(self, calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> Iterator[Any]:
        found = self._backend.parallel()(calls)
        try:
            yield from found
        finally:
            # Workers are stopped in any case.
            found.close()

    def _gone(self, error: BaseException) -> RunError:
        # Dask's text begins with the name of a task.
        why = _line(getattr(error, "msg", None) or error)
        return RunError(f"{self._backend.label} is lost: {why.rstrip('.')}; the same command goes on")

    def _alone(self, point: Point) -> Record:
        """Return the record of a run during which workers were lost repeatedly."""
        try:
            ((_, record),) = self._attempt(_Source(iter([point]), self._under_way))
        except self._backend.lost:
            self.lost += 1
            self._under_way.clear()
            return _lost(point)
        return record

    def check(self, points: Iterable[Point]) -> None:
        """Raise InvalidArgument if a worker cannot do one of these runs, before any is done."""
        try:
            faults = list(self._results((fault_of, (SentRun.of(point),), {}) for point in points))
        except self._backend.lost as error:
            raise InvalidArgument(f"a worker is lost when it makes a model of this study: {_line(error)}") from None
        except self._backend.gone as error:
            raise self._gone(error) from error
        if fault := next(filter(None, faults), None):
            raise InvalidArgument(fault)


def _lost(point: Point) -> Record:
    """Return the record of a run that kills every worker."""
    error = "WorkerLost: the worker is lost every time it does this run, which may need more memory than there is"
    return Failed(run=point.run, error=error)


class _Source:
    """Hands out runs to threads, one at a time, and records which; after `close` it is empty."""

    def __init__(self, points: Iterator[Point], under_way: dict[str, Point]) -> None:
        self._points, self._under_way = points, under_way
        self._lock, self._is_open = threading.Lock(), True
        self.taken = 0

    def __iter__(self) -> Iterator[Point]:
        return self

    def __next__(self) -> Point:
        with self._lock:
            if not self._is_open:
                raise StopIteration
            point = next(self._points)
            self.taken += 1
            self._under_way[point.run] = point
            return point

    def close(self) -> None:
        """Hand out no more runs."""
        with self._lock:
            self._is_open = False


# --- the backends


def open_backend(backend: str, address: str | None, jobs: int | None) -> AbstractContextManager[Backend]:
    """Return a backend as a context manager that closes it.

    Parameters
    ----------
    backend : {"loky", "dask", "ray"}
    address : str, optional
        That of the Dask scheduler or the Ray cluster.
    jobs : int, optional
        The number of runs at a time; by default the number of cores.

    Raises
    ------
    InvalidArgument
        When the arguments contradict each other, or the backend is not installed.
    RunError
        When the cluster cannot be reached.
    """
    _checks.one_of("backend", backend, BACKENDS)
    count = None if jobs is None else _checks.integer("jobs", jobs, minimum=1)
    if address is not None and not isinstance(address, str):
        raise InvalidArgument(f"address must be a text, not {_checks.shown(address)}")
    return {"loky": _loky, "dask": _dask, "ray": _ray}[backend](address, count)


BACKENDS = ("loky", "dask", "ray")


def _parallel(backend: str, jobs: int, **options: Any) -> Any:
    import joblib

    # Twice as many runs are dispatched as there are workers, so that none is idle; joblib batches short ones. Only
    # these are in memory, whatever the total.
    with joblib.parallel_config(backend, n_jobs=jobs, **options):
        return joblib.Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")


@contextmanager
def _loky(address: str | None, jobs: int | None) -> Iterator[Backend]:
    if address is not None:
        raise InvalidArgument("address is for the backends dask and ray: loky runs on this machine")
    import joblib  # imported late: only sweeps need it

    count = joblib.cpu_count() if jobs is None else jobs
    options = {"inner_max_num_threads": 1, "initializer": _live_with, "initargs": (os.getpid(),)}
    yield Backend(
        f"{_checks.count_of(count, 'core')} of this machine",
        lambda: count,
        # With one job joblib uses no other process.
        lambda: _parallel("loky", count, **(options if count > 1 else {})),
        (BrokenProcessPool,),
    )


def _live_with(parent: int) -> None:
    """Leave Ctrl-C to the parent process, and exit when it does, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    # loky's workers wait for work even when their parent is gone. On Windows, where the recorded parent id never
    # changes, they exit after five idle minutes.
    while os.getppid() == parent:
        time.sleep(EVERY)
    os._exit(1)


@contextmanager
def _dask(address: str | None, jobs: int | None) -> Iterator[Backend]:
    distributed = _required("dask", "distributed")
    if jobs is not None:
        raise InvalidArgument(
            "jobs is for the backends loky and ray: with dask, the cluster determines the number of workers"
        )
    if address is None:
        raise InvalidArgument("the backend dask needs the address of the scheduler, such as tcp://10.0.0.1:8786")
    _register_dask()
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(f"there is no Dask scheduler at {address}: {_line(error)}") from error
    with _silent("distributed.client"), client:
        threads = max(client.nthreads().values(), default=1)
        if threads > 1:
            warn(
                f"a worker of {address} has {threads} threads, but a process does one run at a time: start workers "
                "with --nthreads 1, one per core"
            )
        yield Backend(
            f"the Dask cluster at {address}",
            partial(_workers_of, client),
            lambda: _parallel("myrnn-dask", -1, client=client),
            (LostWithWorkers,),
            (OSError, TimeoutError, distributed.client.FutureCancelledError),
        )


def _workers_of(client: Any) -> int:
    try:
        return len(client.nthreads())
    except AttributeError as error:
        # What a client raises that has closed itself, because it cannot reach the scheduler any more.
        raise OSError("its scheduler cannot be reached any more") from error


def _register_dask() -> None:
    import joblib
    from distributed.scheduler import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class FailingDaskBackend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int) -> int:
            # With one, joblib would do the runs in this process.
            return max(2, super().effective_n_jobs(n_jobs))

        # joblib's own version does not report that a task failed, and waits for it for ever.
        def submit(self, func: Any, callback: Any = None) -> Any:
            def pass_on(done: Any) -> None:
                error = done.exception()
                if isinstance(error, KilledWorker):
                    error = LostWithWorkers([arguments[0].run for _, arguments, _ in func.items], error)
                if error is not None:
                    callback(error)

            task = super().submit(func, callback)
            task.add_done_callback(pass_on)
            return task

    joblib.register_parallel_backend("myrnn-dask", FailingDaskBackend)


@contextmanager
def _ray(address: str | None, jobs: int | None) -> Iterator[Backend]:
    ray = _required("ray", "ray")
    import joblib
    from ray.util.joblib.ray_backend import RayBackend

    class GeneratingRayBackend(RayBackend):
        # joblib forbids it only for multiprocessing pools, from which Ray's backend inherits.
        supports_return_generator = True

    joblib.register_parallel_backend("myrnn-ray", GeneratingRayBackend)
    is_ours = not ray.is_initialized()
    try:
        if is_ours:
            # Without an address Ray would look for an earlier cluster, and wait for one that no longer exists.
            dashboard = False if address is None else None
            ray.init(address or "local", log_to_driver=False, include_dashboard=dashboard, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        what = "Ray does not start here" if address is None else f"there is no Ray cluster at {address}"
        raise RunError(f"{what}: {_line(error)}") from error
    count = int(ray.cluster_resources().get("CPU", 1)) if jobs is None else jobs
    try:
        with _silent("ray", logging.ERROR):
            yield Backend(
                "a Ray of this machine" if address is None else f"the Ray cluster at {address}",
                lambda: count,
                lambda: _parallel("myrnn-ray", count),
                (ray.exceptions.RayError,),
                (OSError,),
            )
    finally:
        if is_ours:
            ray.shutdown()


@contextmanager
def _silent(logger: str, lowest: int = logging.CRITICAL) -> Iterator[None]:
    """Let a library log nothing below a level: what it reports is handled here."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(lowest)
    try:
        yield
    finally:
        log.setLevel(level)


def _required(extra: str, module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidArgument(f"the backend {extra} is not installed: pip install 'myrnn[{extra}]'") from error


def _line(error: object) -> str:
    return " ".join(str(error).split())
