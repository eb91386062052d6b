"""The workers that do the runs of a sweep: on the cores of this machine, or on a cluster of Dask or Ray.

A backend takes a run and returns a future. Clusters repeat the runs of lost workers themselves; for those of this
machine `Pool` does so, and finds a run that kills its worker.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import chain
from queue import SimpleQueue
from typing import Any

from myrnn import _checks
from myrnn._user_code import in_one_line, warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.sweeps.run import Failed, Record, SentRun, do, fault_of
from myrnn.sweeps.study import Point

BACKENDS = ("loky", "dask", "ray")
# If workers are lost this often during a run, it is done alone to see whether it is the cause.
SUSPECT = 3
# Seconds to wait for a scheduler's answer.
CONNECT = 20
# Seconds between two checks that the parent process still exists.
EVERY = 1.0

Errors = tuple[type[BaseException], ...]
LOST = "WorkerLost: the worker is lost every time it does this run, which may need more memory than there is"


# --- a pool of workers


@dataclass(frozen=True)
class Backend:
    """The place where runs are done."""

    # `workers` returns how many runs are done at a time, and `submit` a future for a function of a run. `ahead` times
    # as many runs are submitted, so that no worker is idle. A future raises `broken` when all workers are lost and
    # others begin, `lost` when the backend has tried a run in vain, and `gone` when the whole backend is lost.

    label: str
    workers: Callable[[], int]
    submit: Callable[[Callable[[SentRun], Any], SentRun], Future[Any]]
    ahead: int = 2
    broken: Errors = ()
    lost: Errors = ()
    gone: Errors = ()


class Pool:
    """Does runs and yields their records as they come."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._under_way: dict[Future[Record], Point] = {}
        self._over = SimpleQueue[Future[Record]]()
        self.lost = 0

    @property
    def running(self) -> int:
        """The number of runs in progress; 0 if the backend does not answer, which `records` will raise."""
        try:
            return min(len(self._under_way), self._backend.workers())
        except self._backend.gone:
            return 0

    def records(self, points: Iterable[Point]) -> Iterator[tuple[Point, Record]]:
        """Yield every run with its record, in the order in which they end; RunError if the whole backend is lost."""
        left, losses = iter(points), Counter[str]()
        while True:
            again = list[Point]()
            for point, record in self._ended(left):
                if record is None:
                    again.append(point)
                else:
                    yield point, record
            if not again:
                return
            self.lost += 1
            losses.update(point.run for point in again)
            left = chain((point for point in again if losses[point.run] < SUSPECT), left)
            for suspect in (point for point in again if losses[point.run] >= SUSPECT):
                ((_, record),) = self._ended(iter([suspect]))
                self.lost += record is None
                yield suspect, record or Failed(run=suspect.run, error=LOST)

    def _ended(self, points: Iterator[Point]) -> Iterator[tuple[Point, Record | None]]:
        """Yield every run as it ends, with its record, or None if it has to be repeated; then no others are begun."""
        backend, under_way = self._backend, self._under_way
        is_broken = False
        try:
            while True:
                while not is_broken and len(under_way) < backend.ahead * max(1, backend.workers()):
                    if (point := next(points, None)) is None:
                        break
                    future = backend.submit(do, SentRun.of(point))
                    under_way[future] = point
                    future.add_done_callback(self._over.put)
                if not under_way:
                    return
                future = self._over.get()
                point, record = under_way.pop(future), None
                try:
                    record = future.result()
                except backend.lost:
                    record = Failed(run=point.run, error=LOST)
                except backend.broken:
                    is_broken = True
                yield point, record
        except backend.gone as error:
            raise _lost(backend, error) from error


def check_points(backend: Backend, points: Iterable[Point]) -> None:
    """Raise InvalidArgument if a worker cannot do one of these runs, before any is done."""
    try:
        faults = [future.result() for future in [backend.submit(fault_of, SentRun.of(point)) for point in points]]
    except (*backend.broken, *backend.lost) as error:
        raise InvalidArgument(f"a worker is lost when it makes a model of this study: {in_one_line(error)}") from None
    except backend.gone as error:
        raise _lost(backend, error) from error
    if fault := next(filter(None, faults), None):
        raise InvalidArgument(fault)


def _lost(backend: Backend, error: BaseException) -> RunError:
    why = in_one_line(error).rstrip(".") or "its scheduler cannot be reached any more"
    return RunError(f"{backend.label} is lost: {why}; the same command goes on")


# --- the backends


def open_backend(backend: str, address: str | None, jobs: int | None) -> AbstractContextManager[Backend]:
    """Return a backend as a context manager that closes it."""
    # Raises InvalidArgument when the arguments contradict each other, or the backend is not installed, and RunError
    # when the cluster cannot be reached.
    _checks.one_of("backend", backend, BACKENDS)
    count = None if jobs is None else _checks.integer("jobs", jobs, minimum=1)
    if address is not None and not isinstance(address, str):
        raise InvalidArgument(f"address must be a text, not {_checks.shown(address)}")
    return {"loky": _loky, "dask": _dask, "ray": _ray}[backend](address, count)


@contextmanager
def _loky(address: str | None, jobs: int | None) -> Iterator[Backend]:
    if address is not None:
        raise InvalidArgument("address is for the backends dask and ray: loky runs on this machine")
    from joblib.externals import loky  # imported late: only sweeps need it

    count = loky.cpu_count() if jobs is None else jobs
    label = f"{_checks.count_of(count, 'core')} of this machine"
    if count == 1:
        yield Backend(label, lambda: 1, _done_here, ahead=1)
        return
    threads = dict.fromkeys((f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")), "1")
    # Idle workers stay for the next sweep for five minutes.
    workers = partial(
        loky.get_reusable_executor, count, timeout=300, initializer=_live_with, initargs=(os.getpid(),), env=threads
    )

    last = Future[Any]()
    last.set_result(None)

    def submit(function: Callable[[SentRun], Any], sent: SentRun) -> Future[Any]:
        nonlocal last
        try:
            last = workers().submit(function, sent)
        except BrokenProcessPool as error:
            last = Future()
            last.set_exception(error)
        return last

    try:
        yield Backend(label, lambda: count, submit, broken=(BrokenProcessPool,))
    except BaseException:
        # The thread of loky fails with a traceback if it is stopped before it has passed all runs on.
        for _ in range(100):
            if last.running() or last.done():
                break
            time.sleep(EVERY / 100)
        workers().shutdown(kill_workers=True)
        raise


def _done_here(function: Callable[[SentRun], Any], sent: SentRun) -> Future[Any]:
    found = Future[Any]()
    found.set_result(function(sent))
    return found


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
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(f"there is no Dask scheduler at {address}: {in_one_line(error)}") from error
    with _silent("distributed.client"), _silent("tornado.application"), client:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except TimeoutError as error:
            raise RunError(f"the Dask cluster at {address} has no worker: start one with dask worker") from error
        threads = max(client.nthreads().values(), default=1)
        if threads > 1:
            warn(
                f"a worker of {address} has {threads} threads, but a process does one run at a time: start workers "
                "with --nthreads 1, one per core"
            )
        yield Backend(
            f"the Dask cluster at {address}",
            partial(_workers_of, client),
            client.get_executor(pure=False).submit,
            lost=(distributed.KilledWorker,),
            gone=(OSError, TimeoutError, CancelledError),
        )


def _workers_of(client: Any) -> int:
    try:
        return len(client.nthreads())
    except AttributeError as error:
        # What a client raises that has closed itself, because it cannot reach the scheduler any more.
        raise OSError from error


@contextmanager
def _ray(address: str | None, jobs: int | None) -> Iterator[Backend]:
    ray = _required("ray", "ray")
    is_ours = not ray.is_initialized()
    try:
        if is_ours:
            # Without an address Ray would look for an earlier cluster, and wait for one that no longer exists.
            dashboard = False if address is None else None
            ray.init(address or "local", log_to_driver=False, include_dashboard=dashboard, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        what = "Ray does not start here" if address is None else f"there is no Ray cluster at {address}"
        raise RunError(f"{what}: {in_one_line(error)}") from error
    count = int(ray.cluster_resources().get("CPU", 1)) if jobs is None else jobs
    remote = cache(ray.remote)
    try:
        with _silent("ray", logging.ERROR):
            yield Backend(
                "a Ray of this machine" if address is None else f"the Ray cluster at {address}",
                lambda: count,
                lambda function, sent: remote(function).remote(sent).future(),
                ahead=1,
                lost=(ray.exceptions.RayError,),
                gone=(OSError,),
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
    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidArgument(f"the backend {extra} is not installed: {_checks.install(extra)}") from error
