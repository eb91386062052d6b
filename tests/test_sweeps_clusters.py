"""Sweeps on real clusters on the loopback, with workers killed in the middle, give the bytes of one core."""

import json
import os
import re
import signal

import pytest

from clusters import dask_cluster
from myrnn.errors import InvalidArgument, RunError
from myrnn.sweeps import pool, read_study, sweep
from myrnn.sweeps.pool import Pool, open_backend
from myrnn.sweeps.run import Done
from sweeps_help import CLASS_STUDY, LEAKY, RUNS, SweepProcess, is_alive, tables

pytest.importorskip("distributed", reason="Dask is not installed")


@pytest.fixture
def class_study(tmp_path, registered_here):
    """The file of a study of a class in a file beside it."""
    (tmp_path / "leaky.py").write_text(LEAKY)
    path = tmp_path / "study.toml"
    path.write_text(CLASS_STUDY)
    return path


def workers_of(folder):
    """Return the processes that did runs, the last one first."""
    lines = (folder / "results.jsonl").read_bytes().splitlines()
    return [int(json.loads(line)["worker"].rpartition(":")[2]) for line in reversed(lines)]


@pytest.mark.long
def test_dask_gives_the_same_bytes_when_a_worker_is_killed_in_the_middle(native_study, native_one_core, tmp_path):
    with dask_cluster() as (address, workers):
        process = SweepProcess(native_study, tmp_path / "out", "--backend", "dask", "--address", address)
        process.wait_for(6)
        done_by = workers_of(tmp_path / "out")
        victim = next(worker for worker in workers if worker.pid in done_by)
        victim.kill()
        code, _, _ = process.end()
    assert code == 0
    assert tables(tmp_path / "out") == tables(native_one_core)
    # Both did runs, and neither is the parent process.
    assert set(workers_of(tmp_path / "out")) <= {worker.pid for worker in workers}
    assert any(worker.pid in workers_of(tmp_path / "out") for worker in workers if worker is not victim)


@pytest.mark.long
def test_a_lost_scheduler_ends_the_sweep_with_one_line_and_another_backend_resumes_it(
    study, endless_study, one_core, tmp_path
):
    with dask_cluster() as (address, _):
        process = SweepProcess(endless_study, tmp_path / "out", "--backend", "dask", "--address", address)
        process.wait_for(6)
    code, _, error = process.end()
    assert code == 2
    assert re.match(rf"myrnn: the Dask cluster at {address} is lost: .*; the same command goes on$", error)
    # Nothing else was printed than the progress.
    assert not [line for line in process.lines if not line.startswith(("sweep ", "myrnn: "))]
    kept = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert 6 <= kept.count(b"\n") <= RUNS
    sweep(study, tmp_path / "out", jobs=1)
    assert (tmp_path / "out" / "results.jsonl").read_bytes().startswith(kept)
    assert tables(tmp_path / "out") == tables(one_core)


@pytest.mark.long
def test_a_class_of_a_file_is_swept_on_dask(class_study, tmp_path):
    """Also by a single worker."""
    alone = sweep(class_study, tmp_path / "alone", jobs=1)
    with dask_cluster(workers=1) as (address, (worker,)):
        study = {"model": {"name": "registered-here", "dim_recurrent": 2}, "evaluation": {"samples": 10}}
        with pytest.raises(InvalidArgument, match=r"^model 'registered-here' is registered only in this process"):
            sweep(study, tmp_path / "registered", backend="dask", address=address)
        assert sweep(class_study, tmp_path / "out", backend="dask", address=address).runs == alone.runs
        assert set(workers_of(tmp_path / "out")) == {worker.pid}
        # The next sweep reads another file.
        (class_study.parent / "leaky.py").write_text(LEAKY + "# changed\n")
        assert sweep(class_study, tmp_path / "out", backend="dask", address=address).failed == 0
        assert len(workers_of(tmp_path / "out")) == 2 * len(alone)


@pytest.mark.long
def test_a_class_of_a_file_is_swept_on_ray(class_study, tmp_path):
    pytest.importorskip("ray", reason="Ray is not made for this Python")
    alone = sweep(class_study, tmp_path / "alone", jobs=1)
    assert sweep(class_study, tmp_path / "out", backend="ray", jobs=2).runs == alone.runs
    assert os.getpid() not in workers_of(tmp_path / "out")


@pytest.mark.long
def test_a_run_that_kills_all_workers_of_dask_is_recorded(study, monkeypatch):
    honest = pool.do
    chosen = [point for point in read_study(study).points if point.variant == "RNN"]
    deadly = chosen[3].run

    def do(point):  # a nested function is sent to the workers by value
        import os
        import signal

        if point.run == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(point)

    monkeypatch.setattr(pool, "do", do)
    # Dask gives up a task after it killed four workers: one is left for the others.
    with dask_cluster(workers=5) as (address, _), open_backend("dask", address, None) as backend:
        records = {point.run: record for point, record in Pool(backend).records(iter(chosen))}
    assert {run for run, record in records.items() if isinstance(record, Done)} == {
        point.run for point in chosen if point.run != deadly
    }
    assert records[deadly].error.startswith("WorkerLost: the worker is lost every time it does this run")


def test_an_address_without_a_scheduler_is_reported(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "CONNECT", 0.5)
    with pytest.raises(RunError, match=r"^there is no Dask scheduler at tcp://127\.0\.0\.1:9: "):
        sweep(study, tmp_path / "out", backend="dask", address="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_ray_gives_the_same_bytes_when_a_worker_is_killed_in_the_middle(study, one_core, tmp_path):
    pytest.importorskip("ray", reason="Ray is not made for this Python")
    # On a busy machine, starting Ray takes longer than its timeout.
    patient = {"RAY_raylet_start_wait_time_s": "300"}
    process = SweepProcess(study, tmp_path / "out", "--backend", "ray", "--jobs", "2", env=patient)
    process.wait_for(6)
    victim = next(worker for worker in workers_of(tmp_path / "out") if is_alive(worker))
    assert victim != process.pid
    os.kill(victim, signal.SIGKILL)
    code, _, _ = process.end()
    assert code == 0
    assert tables(tmp_path / "out") == tables(one_core)
    assert len(set(workers_of(tmp_path / "out"))) >= 2


@pytest.mark.long
def test_a_cluster_without_workers_is_reported(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "CONNECT", 0.5)
    with dask_cluster(workers=0) as (address, _):
        with pytest.raises(
            RunError, match=rf"^the Dask cluster at {address} has no worker: start one with dask worker$"
        ):
            sweep(study, tmp_path / "out", backend="dask", address=address)
