"""Where the runs of a sweep are done: on the cores of this machine, or on a cluster of Dask or Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.sweeps._worker import live_with

Lost = tuple[type[BaseException], ...]


class LostWithWorkers(Exception):
    """Workers were lost with some runs, again and again.

    Attributes
    ----------
    runs : list of str
        One of them is the cause.
    """

    def __init__(self, runs: list[str], error: BaseException) -> None:
        super().__init__(_line(error))
        self.runs = runs


@dataclass(frozen=True)
class Place:
    """Where runs are done.

    Attributes
    ----------
    told : str
        What to call it: ``"2 cores"``.
    workers : callable
        Returns how many runs are done at a time.
    parallel : callable
        Returns a `joblib.Parallel` that gives results as they come.
    lost : tuple of exception types
        What is raised when a worker is lost: the others go on, or new ones take their places.
    gone : tuple of exception types
        What is raised when all of it is lost.
    """

    told: str
    workers: Callable[[], int]
    parallel: Callable[[], Any]
    lost: Lost
    gone: Lost = ()


def open_place(backend: str, address: str | None, jobs: int | None) -> AbstractContextManager[Place]:
    """Return the place that a backend is, as a context manager that gives it back.

    Parameters
    ----------
    backend : {"loky", "dask", "ray"}
    address : str, optional
        Of the cluster's scheduler, or of the Ray cluster.
    jobs : int, optional
        How many runs to do at a time; by default as many as there are cores.

    Raises
    ------
    InvalidArgument
        When the arguments do not go together, or the backend is not installed.
    RunError
        When the cluster cannot be reached.
    """
    _checks.one_of("backend", backend, tuple(_BACKENDS))
    count = None if jobs is None else _checks.integer("jobs", jobs, minimum=1)
    if address is not None and not isinstance(address, str):
        raise InvalidArgument(f"address must be a text, not {_checks.shown(address)}")
    return _BACKENDS[backend](address, count)


def _parallel(backend: str, jobs: int, **options: Any) -> Any:
    import joblib

    # Twice as many runs are under way as there are workers, so that none waits for the next; joblib puts short ones
    # together. No more are in memory, whatever the number of runs.
    with joblib.parallel_config(backend, n_jobs=jobs, **options):
        return joblib.Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")


@contextmanager
def _loky(address: str | None, jobs: int | None) -> Iterator[Place]:
    if address is not None:
        raise InvalidArgument("address goes with the backends dask and ray: loky works on this machine")
    import joblib  # late, as all that only sweeps need

    count = joblib.cpu_count() if jobs is None else jobs
    options = {"inner_max_num_threads": 1, "initializer": live_with, "initargs": (os.getpid(),)}
    yield Place(
        f"{count} core{'s' if count > 1 else ''} of this machine",
        lambda: count,
        # With one job joblib takes no other process.
        lambda: _parallel("loky", count, **(options if count > 1 else {})),
        (BrokenProcessPool,),
    )


@contextmanager
def _dask(address: str | None, jobs: int | None) -> Iterator[Place]:
    distributed = _required("dask", "distributed")
    if jobs is not None:
        raise InvalidArgument("jobs goes with the backends loky and ray: how many workers Dask has, its cluster says")
    if address is None:
        raise InvalidArgument("the backend dask needs the address of the scheduler, such as tcp://10.0.0.1:8786")
    _register_dask()
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(f"there is no Dask scheduler at {address}: {_line(error)}") from error
    with client, _quiet("distributed.client"):
        threads = max(client.nthreads().values(), default=1)
        if threads > 1:
            warn(
                f"a worker of {address} has {threads} threads, but a process does one run at a time: start workers "
                "with --nthreads 1, one a core"
            )
        yield Place(
            f"the Dask cluster at {address}",
            lambda: len(client.nthreads()),
            lambda: _parallel("myrnn-dask", -1, client=client),
            (LostWithWorkers,),
            (OSError, TimeoutError, distributed.client.FutureCancelledError),
        )


def _register_dask() -> None:
    import joblib
    from distributed.scheduler import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class TellingDaskBackend(DaskDistributedBackend):
        # joblib's own keeps to itself that a task failed, and waits for it for ever.
        def submit(self, func: Any, callback: Any = None) -> Any:
            def tell(done: Any) -> None:
                error = done.exception()
                if isinstance(error, KilledWorker):
                    error = LostWithWorkers([arguments[0].run for _, arguments, _ in func.items], error)
                if error is not None:
                    callback(error)

            task = super().submit(func, callback)
            task.add_done_callback(tell)
            return task

    joblib.register_parallel_backend("myrnn-dask", TellingDaskBackend)


@contextmanager
def _ray(address: str | None, jobs: int | None) -> Iterator[Place]:
    ray = _required("ray", "ray")
    import joblib
    from ray.util.joblib.ray_backend import RayBackend

    class GeneratingRayBackend(RayBackend):
        # joblib forbids it for the pools of multiprocessing alone, and Ray's backend inherits from theirs.
        supports_return_generator = True

    joblib.register_parallel_backend("myrnn-ray", GeneratingRayBackend)
    ours = not ray.is_initialized()
    try:
        if ours:
            # Without an address Ray would look for a cluster that was here once, and wait for one that is no more.
            dashboard = False if address is None else None
            ray.init(address or "local", log_to_driver=False, include_dashboard=dashboard, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        what = "Ray does not start here" if address is None else f"there is no Ray cluster at {address}"
        raise RunError(f"{what}: {_line(error)}") from error
    count = int(ray.cluster_resources().get("CPU", 1)) if jobs is None else jobs
    try:
        with _quiet("ray"):
            yield Place(
                "a Ray of this machine" if address is None else f"the Ray cluster at {address}",
                lambda: count,
                lambda: _parallel("myrnn-ray", count),
                (ray.exceptions.RayError,),
                (OSError,),
            )
    finally:
        if ours:
            ray.shutdown()


# Seconds to wait for a scheduler's answer.
CONNECT = 20

_BACKENDS: dict[str, Callable[[str | None, int | None], AbstractContextManager[Place]]] = {
    "loky": _loky,
    "dask": _dask,
    "ray": _ray,
}
BACKENDS = tuple(_BACKENDS)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Let a library speak of nothing less than errors: what it warns of is dealt with here."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
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


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
