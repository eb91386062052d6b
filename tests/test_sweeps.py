"""Sweeps that are stopped, killed, or lose their workers give the tables of one core, byte for byte."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import statistics

import msgspec
import numpy as np
import polars
import pytest
from msgspec.structs import replace
from scipy import stats

import myrnn
from myrnn.cli import main
from myrnn.errors import CompileError, InvalidArgument, RunError
from myrnn.experiment.parts import weight_generator
from myrnn.models import RNN
from myrnn.models.dense import Maker
from myrnn.optimizers import Adam
from myrnn.runs.folder import made_with
from myrnn.runs.training import trained
from myrnn.storage import FolderLock, seal
from myrnn.sweeps import folder as sweep_folder
from myrnn.sweeps import load_sweep, log, pool, read_study, sweep
from myrnn.sweeps.folder import SWEEP
from myrnn.sweeps.log import Log, read_log
from myrnn.sweeps.pool import Pool, open_backend
from myrnn.sweeps.run import Done, Failed
from myrnn.sweeps.summary import columns_of
from myrnn.tasks import TwinHalves
from myrnn.training import engine
from names import CELLS
from sweeps_help import RUNS, STUDY, SweepProcess, is_alive, tables


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """Skip the figures, which take most of the time of a small sweep, except in `one_core`."""
    monkeypatch.setattr(sweep_folder, "_write_figures", lambda results: None)


@pytest.fixture
def done(one_core, tmp_path):
    """A copy of the sweep on one core without its figures."""
    return shutil.copytree(one_core, tmp_path / "done", ignore=shutil.ignore_patterns("*.svg", "*.png"))


# --- single runs


def test_a_run_agrees_with_train_and_evaluate(one_core):
    results = load_sweep(one_core)
    row = results.runs["training.seed"].index(3)
    task = TwinHalves(1, 2, 3)
    model = RNN(3, 3, 2, rng=weight_generator(3))
    history = myrnn.train(model, task, Adam(model.parameters), 12, seed=3, engine="mygrad")
    report = myrnn.evaluate(model, task, 40, 4, lengths=[2, 4, 6, 8], trained=history, engine="mygrad")
    assert results.runs["variant"][row] == "RNN"
    assert results.runs["loss"][row] == history.loss[-1]
    assert results.runs["accuracy"][row] == report.correct[:2].sum() / report.total[:2].sum()
    assert results.runs["worst"][row] == report.accuracy[:2].min()
    assert results.runs["beyond"][row] == report.correct[2:].sum() / report.total[2:].sum()
    run = results.runs["run"][row]
    mine = [i for i, other in enumerate(results.lengths["run"]) if other == run]
    assert [results.lengths["correct"][i] for i in mine] == report.correct.tolist()
    assert [results.lengths["length"][i] for i in mine] == [2, 4, 6, 8]


def test_lengths_beyond_are_those_above_the_longest_trained_one(one_core):
    """For a single run the same number may come out if the longest trained length is counted, too."""
    results = load_sweep(one_core)
    counts = list(zip(*(results.lengths[name] for name in ("run", "length", "total", "correct")), strict=True))
    otherwise = 0
    for run, longest, beyond in zip(*(results.runs[name] for name in ("run", "longest", "beyond")), strict=True):
        if longest is None:
            continue
        assert longest == 4
        above, at = (
            [(right, total) for name, length, total, right in counts if name == run and length >= least]
            for least in (longest + 1, longest)
        )
        share, wrong = (sum(right for right, _ in rows) / sum(total for _, total in rows) for rows in (above, at))
        assert beyond == share
        otherwise += wrong != share
    assert otherwise


def test_the_table_has_all_runs_in_the_order_of_the_study(study, one_core):
    with open(one_core / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [point.run for point in read_study(study).points]
    assert len(rows) == RUNS
    frame = polars.read_parquet(one_core / "results.parquet")
    assert frame["run"].to_list() == [row["run"] for row in rows]
    assert frame.schema["model.dim_recurrent"] == polars.Int64 and frame.schema["accuracy"] == polars.Float64
    assert frame["training.gradient_clip"].is_null().all()


def test_runs_without_native_code_are_reported(tmp_path, monkeypatch, capsys):
    def refused(*_):
        raise CompileError("there is no native code here")

    path = tmp_path / "auto.toml"
    two = STUDY[: STUDY.index('\n[[variants]]\nname = "wild"')].replace("0:7", "0:1")
    # One variant uses native code if possible, the other does not.
    both = two.replace('engine = "mygrad"', 'engine = "auto"') + 'training = { engine = "mygrad" }\n'
    path.write_text(both)
    monkeypatch.setattr(engine, "compile_for", refused)
    assert main(["sweep", str(path), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert load_sweep(tmp_path / "out").runs["engine"].count("mygrad") == 4
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("op by op"))
    assert lines[at].split(maxsplit=3)[3] == "2 of 4 runs, without native code"
    assert lines[at + 1].strip() == 'with engine = "native" in the study they fail and say why'


def test_a_failing_run_is_recorded_and_the_others_are_done(one_core):
    results = load_sweep(one_core)
    wild = [i for i, name in enumerate(results.runs["variant"]) if name == "wild"]
    failed = [i for i, status in enumerate(results.runs["status"]) if status == "failed"]
    assert failed and set(failed) <= set(wild)
    assert results.failed == len(failed)
    for row in failed:
        assert re.match(r"TrainingDiverged: the (loss|weights)", results.runs["error"][row])
        assert results.runs["accuracy"][row] is None
    for row in set(range(RUNS)) - set(failed):
        assert 0 <= results.runs["worst"][row] <= results.runs["accuracy"][row] <= 1


# --- the same table


@pytest.mark.long
def test_two_cores_give_the_same_bytes(native_study, native_one_core, tmp_path):
    results = sweep(native_study, tmp_path, jobs=2)
    assert tables(tmp_path) == tables(native_one_core)
    assert len(results) == results.planned == RUNS + 4


@pytest.mark.long
def test_native_runs_that_are_killed_resume_and_give_the_same_bytes(native_study, native_one_core, tmp_path):
    process = SweepProcess(native_study, tmp_path / "out", "--jobs", "1")
    process.wait_for(2)
    process.kill()
    assert SweepProcess(native_study, tmp_path / "out", "--jobs", "2").end()[0] == 0
    assert tables(tmp_path / "out") == tables(native_one_core)


def test_finished_runs_are_not_repeated(study, one_core, done):
    before = (done / "results.jsonl").read_bytes()
    sweep(study, done, jobs=1)
    assert (done / "results.jsonl").read_bytes() == before
    assert tables(done) == tables(one_core)


def test_the_figures_show_every_setting_that_varies(one_core):
    figures = ("accuracy_by_length", "accuracy_by_variant", "parallel")
    assert {path.name for path in one_core.iterdir() if path.suffix in (".svg", ".png")} == {
        f"{name}{ending}" for name in figures for ending in (".svg", ".png")
    }


def test_the_progress_of_a_resumed_sweep_counts_earlier_runs(study, one_core, tmp_path, capsys):
    results = load_sweep(one_core)
    lines = (one_core / "results.jsonl").read_bytes().splitlines(keepends=True)
    runs = [json.loads(line)["run"] for line in lines]
    best = results.best()["run"]
    # Leave one run to do, which is not the best and did not fail.
    left = next(n for n, line in enumerate(lines) if json.loads(line)["status"] == "done" and runs[n] != best)
    (tmp_path / "results.jsonl").write_bytes(b"".join(lines[:left] + lines[left + 1 :]))
    sweep(study, tmp_path, jobs=1, progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"{results.failed} failed" in last and results.failed
    assert f"best {results.best()['accuracy']:.1%}: {results.point(best).label}" in last


def test_a_larger_study_continues_a_smaller_one(study, one_core, tmp_path):
    smaller = {**read_study(study).given, "training": {"iterations": 12, "engine": "mygrad", "seed": [5, 2]}}
    assert len(sweep(smaller, tmp_path, jobs=1)) == 6
    records = (tmp_path / "results.jsonl").read_bytes()
    results = sweep(study, tmp_path, jobs=1)
    assert (tmp_path / "results.jsonl").read_bytes().startswith(records)
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == RUNS
    assert tables(tmp_path) == tables(one_core)
    # The table of the smaller study has only its runs.
    assert len(results) == RUNS and len(sweep(smaller, tmp_path, jobs=1)) == 6


def test_failed_runs_are_tried_again_unless_they_diverged(study, one_core, tmp_path, monkeypatch, capsys):
    """Divergence is a result, and a fault of anything else may be mended."""
    faults = iter([MemoryError("full"), None, OSError("gone")])

    def failing(*given, **settings):
        if fault := next(faults, None):
            raise fault
        return trained(*given, **settings)

    monkeypatch.setattr("myrnn.sweeps.run.trained", failing)
    diverged = load_sweep(one_core).failed
    assert main(["sweep", str(study), "--out", str(tmp_path), "--jobs=1"]) == 0
    out = capsys.readouterr().out
    assert f"failed      {diverged + 2} of 24 runs, the first with MemoryError: full\n" in out
    assert "the same command tries 2 of them again; the others diverged\n" in out
    assert sweep(study, tmp_path, jobs=1).failed == diverged
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == RUNS + 2
    assert tables(tmp_path) == tables(one_core)


# --- faults


@pytest.mark.long
def test_a_killed_sweep_resumes(study, endless_study, one_core, tmp_path):
    for moment in (3, 14):
        process = SweepProcess(endless_study, tmp_path / "out", "--jobs", "2")
        process.wait_for(moment)
        process.kill()
    process = SweepProcess(study, tmp_path / "out", "--jobs", "2")
    code, out, _ = process.end()
    assert code == 0 and "failed" in out
    assert tables(tmp_path / "out") == tables(one_core)


@pytest.mark.long
def test_runs_of_a_killed_worker_are_repeated(study, one_core, tmp_path):
    process = SweepProcess(study, tmp_path / "out", "--jobs", "2")
    for moment in (3, 8):
        process.wait_for(moment)
        # The last lines name working processes.
        last = (tmp_path / "out" / "results.jsonl").read_bytes().splitlines()[-1]
        worker = int(json.loads(last)["worker"].rpartition(":")[2])
        assert worker != process.pid
        if is_alive(worker):
            os.kill(worker, signal.SIGKILL)
    code, _, _ = process.end()
    assert code == 0
    assert tables(tmp_path / "out") == tables(one_core)


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "exit_code", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")]
)
def test_ctrl_c_and_sigterm_stop_all_processes_and_say_how_to_resume(
    study, endless_study, one_core, tmp_path, number, exit_code, word
):
    process = SweepProcess(endless_study, tmp_path / "out", "--jobs", "2")
    process.wait_for(5)
    process.signal(getattr(signal, number))
    code, _, error = process.end()
    assert code == exit_code
    found = re.match(rf"myrnn: {word}: (\d+) of 26 runs are done and kept in .*; the same command goes on$", error)
    kept = (tmp_path / "out" / "results.jsonl").read_bytes().splitlines()
    assert found and int(found[1]) == len(kept) >= 5
    workers = {int(json.loads(line)["worker"].rpartition(":")[2]) for line in kept}
    assert not any(is_alive(worker) for worker in workers)
    assert "Traceback" not in "".join(process.lines)
    sweep(study, tmp_path / "out", jobs=1)
    assert tables(tmp_path / "out") == tables(one_core)


def test_a_record_written_right_before_a_stop_counts(study, tmp_path, monkeypatch, capsys):
    write, written = Log.add, []

    def add(log, record):
        write(log, record)
        written.append(record)
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Log, "add", add)
    with pytest.raises(KeyboardInterrupt, match=r"^3 of 24 runs are done and kept in "):
        sweep(study, tmp_path / "out", jobs=1)
    assert len(read_log(tmp_path / "out")[0]) == 3
    written.clear()
    capsys.readouterr()
    assert main(["sweep", str(study), "--out", str(tmp_path / "out"), "--jobs=1"]) == 130
    told = r"myrnn: interrupted: 6 of 24 runs are done and kept in .*; the same command goes on"
    assert re.fullmatch(told, capsys.readouterr().err.splitlines()[-1])


@pytest.mark.long
def test_a_run_that_kills_its_workers_is_found_and_recorded(study, monkeypatch):
    honest = pool.do
    chosen = [point for point in read_study(study).points if point.variant == "RNN"]
    deadly = chosen[2].run

    def do(point):  # a nested function is sent to the workers by value
        import os
        import signal

        if point.run == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(point)

    monkeypatch.setattr(pool, "do", do)
    with open_backend("loky", None, 2) as backend:
        workers = Pool(backend)
        records = {point.run: record for point, record in workers.records(iter(chosen))}
    assert set(records) == {point.run for point in chosen}
    assert records[deadly].error.startswith("WorkerLost: the worker is lost every time it does this run")
    assert all(isinstance(record, Done) for run, record in records.items() if run != deadly)
    assert workers.lost >= 4


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_the_run_of_a_truncated_last_line_is_repeated(study, one_core, done, cut):
    path = done / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    sweep(study, done, jobs=1)
    assert tables(done) == tables(one_core)
    assert read_log(done)[1] == 0


def test_runs_of_damaged_lines_are_repeated_with_a_warning(study, one_core, done):
    path = done / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    rng = np.random.default_rng(0)
    for number in (2, 7, 11):
        line = bytearray(lines[number])
        line[rng.integers(len(line) - 1)] ^= 1 << rng.integers(7)
        lines[number] = bytes(line[:-1]).replace(b"\n", b" ") + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.warns(UserWarning, match=r"has 3 damaged lines, left out: 3 runs of 24 missing here; "):
        results = load_sweep(done)
    assert (len(results), results.damaged) == (RUNS - 3, 3)
    assert repr(results).endswith(", 3 damaged lines left out)")
    for table in (results.table(), results.summary()):
        assert table.to_text(120).splitlines()[-1].endswith("3 damaged lines left out")
    with pytest.warns(UserWarning, match=r"results\.jsonl has 3 damaged lines: missing runs are done again$"):
        sweep(study, done, jobs=1)
    assert tables(done) == tables(one_core)
    # Now nothing is missing.
    assert load_sweep(done).damaged == 0
    sweep(study, done, jobs=1)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[" * 100_000,
        b"null",
        b'{"run": 3}',
        b'{"run": "a", "status": "done", "sha256": "0"}',
        b"\xff\xfe",
        b'{"run": "a", "loss": NaN}',
        b"",
    ],
)
def test_a_line_that_is_not_a_record_is_ignored(tmp_path, line):
    (tmp_path / "results.jsonl").write_bytes(line + b"\n")
    assert read_log(tmp_path) == ({}, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"total": [1]},
        {"correct": ["1", 1]},
        {"lengths": []},
        {"lengths": None},
        {"total": [1, 2**70]},
        {"total": [1, -1]},
        {"total": [5, 0], "correct": [1, 0]},
        {"correct": [1, 6]},
        {"loss": "0"},
        {"longest": True},
        {"engine": 3},
        {"status": "half"},
    ],
)
def test_a_line_with_a_valid_hash_but_wrong_types_is_ignored(tmp_path, wrong):
    record = {"run": "a", "status": "done", "engine": "native", "parameters": 3, "loss": 0.5, "longest": 4}
    record |= {"lengths": [2, 4], "total": [5, 5], "correct": [1, 2]}
    lines = [json.dumps(seal(values)) + "\n" for values in (record, {**record, "run": "b", **wrong})]
    (tmp_path / "results.jsonl").write_text("".join(lines))
    records, damaged = read_log(tmp_path)
    assert {run: msgspec.to_builtins(found) for run, found in records.items()} == {"a": record}
    assert damaged == 1


def link_of_a_text(path):
    path.with_name("letter.txt").write_text("Dear Ada\nyours")
    path.symlink_to("letter.txt")


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (link_of_a_text, "is a link: results are in the folder itself"),
        (lambda path: path.symlink_to("/dev/zero"), "is a link: results are in the folder itself"),
        (os.mkfifo, "is not a file"),
        (os.mkdir, "is not a file"),
    ],
)
def test_results_outside_of_the_folder_are_not_changed(study, one_core, tmp_path, put, message):
    (tmp_path / "sweep.json").write_bytes((one_core / "sweep.json").read_bytes())
    put(tmp_path / "results.jsonl")
    for act in (load_sweep, lambda folder: sweep(study, folder, jobs=1), Log):
        with refused(f"{tmp_path}: results.jsonl {message}", RunError):
            act(tmp_path)
    if put is link_of_a_text:
        assert (tmp_path / "letter.txt").read_text() == "Dear Ada\nyours"


def test_a_table_is_not_written_through_a_link(study, one_core, tmp_path):
    victim = tmp_path / "letter.txt"
    victim.write_text("Dear Ada")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / ".unfinished-results.csv").symlink_to(victim)
    sweep(study, tmp_path / "sweep", jobs=1)
    assert victim.read_text() == "Dear Ada"
    assert tables(tmp_path / "sweep") == tables(one_core)


def test_the_largest_studies_can_be_read_back(tmp_path):
    path = tmp_path / "lengths.toml"
    path.write_text(f"[evaluation]\nlengths = [{','.join(map(str, range(10**9, 10**9 + 90_000)))}]\n")
    assert 900_000 < path.stat().st_size < 1_000_000
    study = read_study(path)
    SWEEP.write(tmp_path, {"study": study.given}, {})
    assert (tmp_path / "sweep.json").stat().st_size > 1_000_000
    assert SWEEP.read_index(tmp_path)["study"] == study.given


@pytest.mark.long
def test_a_study_that_could_not_be_read_back_is_refused():
    with pytest.raises(InvalidArgument, match=r"^study is too large for a study: 1\d,\d{3},\d{3} bytes as JSON"):
        read_study({"evaluation": {"lengths": range(10**9, 10**9 + 600_000)}})


def test_an_invalid_study_in_a_folder_is_reported(tmp_path):
    SWEEP.write(tmp_path, {"study": {"model": {"name": "rnm"}}, "classes": {}}, {})
    place, known = f"{tmp_path}: sweep.json cannot be used: study: [model]", CELLS
    with refused(f"{place} model must be one of {known}, not 'rnm'; did you mean 'rnn'?", RunError):
        load_sweep(tmp_path)


def test_a_record_is_on_the_disk_when_it_is_added(tmp_path, monkeypatch):
    fsync, sizes = os.fsync, []
    monkeypatch.setattr(log.os, "fsync", lambda file: (fsync(file), sizes.append(os.fstat(file).st_size)))
    with Log(tmp_path) as records:
        records.add(Failed(run="a", error="none"))
        assert sizes == [(tmp_path / "results.jsonl").stat().st_size]
        records.add(Failed(run="b", error="none"))
    # At the end all records are on the disk, however quickly they followed each other.
    assert sizes[-1] == (tmp_path / "results.jsonl").stat().st_size


def test_records_that_did_not_reach_the_disk_are_reported(tmp_path, monkeypatch):
    def failing(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(log.os, "fsync", failing)
    message = f"cannot write {tmp_path / 'results.jsonl'}: Input/output error; its content is unchanged"
    with refused(message, RunError), Log(tmp_path) as records:
        records.add(Failed(run="a", error="none"))
    with refused(message, RunError), Log(tmp_path):
        pass


def test_a_full_disk_ends_the_sweep_and_loses_nothing(study, one_core, tmp_path, monkeypatch):
    write, left = os.write, [5]

    def full(file, data):
        left[0] -= 1
        if left[0] == 0:
            write(file, data[:7])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data)

    monkeypatch.setattr(log.os, "write", full)
    message = f"cannot write {tmp_path / 'results.jsonl'}: No space left on device; its content is unchanged"
    with refused(message, RunError):
        sweep(study, tmp_path, jobs=1)
    monkeypatch.undo()
    sweep(study, tmp_path, jobs=1)
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == RUNS
    assert tables(tmp_path) == tables(one_core)


def test_a_folder_that_is_removed_ends_the_sweep_at_once(study, one_core, tmp_path, monkeypatch):
    add, left = Log.add, [5]

    def removed(log, record):
        left[0] -= 1
        if left[0] == 0:
            shutil.rmtree(tmp_path / "sweep")
        add(log, record)

    monkeypatch.setattr(Log, "add", removed)
    file = tmp_path / "sweep" / "results.jsonl"
    with refused(f"{file} was removed while runs were in progress: the same command starts again", RunError):
        sweep(study, tmp_path / "sweep", jobs=1)
    assert left == [0]
    sweep(study, tmp_path / "sweep", jobs=1)
    assert tables(tmp_path / "sweep") == tables(one_core)


# --- folders and arguments


def test_a_folder_with_other_content_is_refused(study, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear Ada")
    with refused(f"{tmp_path} is not the folder of a sweep: choose another folder", RunError):
        sweep(study, tmp_path)
    with refused(f"cannot make the sweep folder {tmp_path / 'letter.txt'}: File exists", RunError):
        sweep(study, tmp_path / "letter.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_in_use_is_refused(study, tmp_path):
    with FolderLock(tmp_path), pytest.raises(RunError, match="is in use by another process"):
        sweep(study, tmp_path, jobs=1)


def test_runs_of_other_versions_are_reported(study, tmp_path, monkeypatch):
    sweep({"training": {"iterations": 1, "engine": "mygrad"}, "evaluation": {"samples": 4}}, tmp_path, jobs=1)
    monkeypatch.setattr("myrnn.runs.folder.metadata.version", lambda name: "0.0")
    with pytest.warns(UserWarning, match="mygrad 0.0.*: for consistent tables begin in a new folder"):
        sweep({"training": {"iterations": 1, "engine": "mygrad"}, "evaluation": {"samples": 4}}, tmp_path, jobs=1)


def test_a_worker_with_other_versions_is_reported_and_recorded(study, one_core, tmp_path, monkeypatch):
    honest = pool.do
    there = {**made_with()["versions"], "llvmlite": "0.0"}

    def do(point):
        record = honest(point)
        return replace(record, versions=there) if point.sections["model"]["name"] == "gru" else record

    monkeypatch.setattr(pool, "do", do)
    with pytest.warns(UserWarning) as told:
        sweep(study, tmp_path, jobs=1)
    (message,) = (str(warning.message) for warning in told)
    assert re.search(r" has myrnn .*, llvmlite 0\.0, and this process .*: its runs may differ in their last ", message)
    noted = [json.loads(line) for line in (tmp_path / "results.jsonl").read_bytes().splitlines()]
    assert [record["versions"] for record in noted if "versions" in record] == [there] * 8
    assert tables(tmp_path) == tables(one_core)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "threads"}, "backend must be one of 'loky', 'dask', 'ray', not 'threads'"),
        ({"jobs": 0}, "jobs must be at least 1, not 0"),
        ({"metric": "speed"}, "metric must be one of 'accuracy', 'worst', 'beyond', 'loss', not 'speed'"),
        ({"address": "a"}, "address is for the backends dask and ray: loky runs on this machine"),
        ({"address": 3, "backend": "dask"}, "address must be a text, not 3"),
        (
            {"backend": "dask"},
            "the backend dask needs the address of the scheduler, such as tcp://10.0.0.1:8786",
        ),
        (
            {"backend": "dask", "address": "tcp://127.0.0.1:1", "jobs": 3},
            "jobs is for the backends loky and ray: with dask, the cluster determines the number of workers",
        ),
    ],
)
def test_invalid_arguments_are_refused(study, tmp_path, options, message):
    with refused(message):
        sweep(study, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_unknown_setting_to_group_by_is_refused_before_anything_runs(study, tmp_path, capsys):
    assert main(["sweep", str(study), "--out", str(tmp_path / "out"), "--by", "model.width"]) == 2
    assert re.match(r"myrnn: a setting of the sweep must be one of 'variant', 'task\.name', ", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_backend_that_is_missing_is_named_with_its_extra(study, tmp_path, monkeypatch, backend, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with refused(f"the backend {backend} is not installed: pip install '.[{backend}]' in the folder of MyRNN"):
        sweep(study, tmp_path / "out", backend=backend, address="tcp://127.0.0.1:1")


# --- groups


def test_groups_are_mean_spread_and_best(one_core):
    results = load_sweep(one_core)
    groups = {group["variant"]: group for group in results.groups()}
    assert list(groups) == ["RNN", "GRU", "wild"]
    for name, group in groups.items():
        rows = [i for i, variant in enumerate(results.runs["variant"]) if variant == name]
        known = [results.runs["accuracy"][i] for i in rows if results.runs["accuracy"][i] is not None]
        assert group["runs"] == 8 and group["failed"] == 8 - len(known)
        if len(known) > 1:
            assert group["mean"] == float(f"{statistics.fmean(known):.12g}")
            assert group["spread"] == pytest.approx(np.std(known, ddof=1))
            assert (group["low"], group["high"]) == (min(known), max(known))
            assert results.runs["accuracy"][results.runs["run"].index(group["best"])] == max(known)


def test_groups_by_a_setting_and_by_another_metric(one_core):
    results = load_sweep(one_core)
    groups = results.groups("model.name", "loss")
    assert [group["model.name"] for group in groups] == ["rnn", "gru"]
    losses = [loss for loss in results.runs["loss"] if loss is not None]
    assert results.best("loss")["loss"] == min(losses)
    with refused("metric must be one of 'accuracy', 'worst', 'beyond', 'loss', not 'speed'"):
        results.groups(metric="speed")
    with pytest.raises(InvalidArgument, match=r"^a setting of the sweep must be one of 'variant', .*, not 'width'"):
        results.groups("width")


def test_settings_that_depend_on_others_make_no_group(tmp_path):
    study = {
        "model": {"name": ["rnn", "gru"], "dim_recurrent": [2, 3]},
        "optimizer": {"learning_rate": {"low": 0.001, "high": 0.01}},
        "training": {"iterations": 1, "engine": "mygrad", "seed": [0, 1]},
        "evaluation": {"samples": 4, "lengths": [2]},
        "search": {"draws": 2},
    }
    results = sweep(study, tmp_path, jobs=1)
    # The activation depends on the name, and the rates are drawn.
    assert [(g["model.name"], g["model.dim_recurrent"], g["runs"]) for g in results.groups()] == [
        ("rnn", 2, 4), ("rnn", 3, 4), ("gru", 2, 4), ("gru", 3, 4),
    ]  # fmt: skip
    assert set(results.runs["beyond"]) == {None}


def test_a_summary_has_trained_lengths_longer_ones_and_the_best_shortcut(one_core):
    results = load_sweep(one_core)
    table = results.summary()
    assert [row["variant"] for row in table.rows()] == ["RNN", "GRU", "wild"]
    for row in table.rows()[:2]:
        mine = [i for i, name in enumerate(results.runs["variant"]) if name == row["variant"]]
        for name in ("accuracy", "beyond"):
            values = [results.runs[name][i] for i in mine]
            assert row[name] == pytest.approx(statistics.fmean(values))
            assert (row[f"{name}_lowest"], row[f"{name}_highest"]) == (min(values), max(values))
            reach = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
            assert row[f"{name}_low"] == pytest.approx(max(0, row[name] - reach))
            assert row[f"{name}_high"] == pytest.approx(min(1, row[name] + reach))
        # With halves of one digit the ends give the answer; with four digits each, they say little.
        assert 0.6 < row["shortcut_beyond"] < row["shortcut_accuracy"] <= 1
        assert row["shortcut_accuracy_name"] in ("counts", "even counts", "pairs")
        # Half of the sequences match.
        assert 0.5 <= row["base_rate_accuracy"] < 0.52 and 0.5 <= row["base_rate_beyond"] < 0.52
    # A single run has no interval.
    alone = results.summary(["variant", "training.seed"]).rows()[0]
    assert (alone["runs"], alone["accuracy_low"], alone["accuracy_high"]) == (1, None, None)
    assert alone["shortcut_accuracy"] > 0.6
    text = table.to_text(120)
    assert text.splitlines()[1].split()[:5] == ["variant", "runs", "failed", "trained", "lowest"]
    assert "95% intervals of means over runs" in text


def test_a_task_with_an_answer_at_each_step_and_groups_of_several_tasks_have_no_shortcut(tmp_path):
    study = {
        "task": {"name": ["running-parity", "twin-halves"]},
        "model": {"dim_recurrent": 2},
        "training": {"iterations": 1, "engine": "mygrad"},
        "evaluation": {"samples": 10, "lengths": [2, 4]},
    }
    results = sweep(study, tmp_path / "out", jobs=1, progress=False)
    steps, halves = results.summary("task.name").rows()
    assert steps["shortcut_accuracy"] is None and halves["shortcut_accuracy"] > 0.9
    assert 0.5 <= steps["base_rate_accuracy"] < 0.52
    assert (steps["accuracy_low"], steps["beyond"]) == (None, None)
    (both,) = results.summary(()).rows()
    assert both["shortcut_accuracy"] is None and both["base_rate_accuracy"] is None and both["runs"] == 2


def test_seeds_that_trained_to_different_lengths_have_a_base_rate_and_a_shortcut_together(tmp_path):
    study = {
        "task": {"name": "twin-halves"},
        "model": {"dim_recurrent": 2},
        "training": {"iterations": 3, "batch_size": 1, "engine": "mygrad", "seed": "0:3"},
        "evaluation": {"samples": 20, "lengths": [2, 8, 20]},
    }
    results = sweep(study, tmp_path / "out", jobs=1, progress=False)
    assert len(set(results.runs["longest"])) > 1
    (together,) = results.summary(()).rows()
    each = results.summary("training.seed").rows()
    for name in ("base_rate_accuracy", "base_rate_beyond", "shortcut_accuracy", "shortcut_beyond"):
        assert together[name] == pytest.approx(statistics.fmean(row[name] for row in each))
    used = dict.fromkeys(row["shortcut_accuracy_name"] for row in each)
    assert together["shortcut_accuracy_name"] == " or ".join(used)
    assert [shown.heading for shown in results.summary(()).shown].count("base rate") == 2


def test_means_are_written_without_digits_that_come_from_arithmetic(one_core):
    results = load_sweep(one_core)
    groups = list(csv.DictReader((one_core / "groups.csv").read_text(encoding="utf-8").splitlines()))
    summary = results.summary().rows()
    shares = [float(row["mean"]) for row in groups if row["metric"] == "accuracy" and row["mean"]]
    shares += [row[name] for row in summary for name in ("accuracy", "beyond", "base_rate_accuracy")]
    assert shares and all(share == float(f"{share:.12g}") for share in shares if share is not None)
    noisy = [0.1 + 0.2, 0.3, 0.3]
    assert columns_of(noisy, "accuracy")["accuracy"] == 0.3 != np.mean(noisy)


def test_a_grid_has_a_panel_for_each_task_and_one_legend(tmp_path):
    study = {
        "task": {"name": ["running-parity", "twin-halves"]},
        "model": {"name": ["rnn", "gru"], "dim_recurrent": 2},
        "training": {"iterations": 1, "engine": "mygrad", "seed": "0:1"},
        "evaluation": {"samples": 10, "lengths": [2, 4]},
    }
    axes = sweep(study, tmp_path / "out", jobs=1, progress=False).plot("grid")
    assert [ax.get_title() for ax in axes] == ["running-parity", "twin-halves"]
    assert [text.get_text() for text in axes[0].figure.legends[0].get_texts()] == ["rnn", "gru", "base rate"]
    assert all(ax.get_legend() is None and len(ax.get_lines()) >= 3 for ax in axes)
    colors = [[line.get_color() for line in ax.get_lines()] for ax in axes]
    assert colors[0] == colors[1]


@pytest.mark.parametrize(
    ("task", "titles"),
    [
        ({"name": "tomita", "number": [3, 5], "length_max": 4}, ["tomita 3", "tomita 5"]),
        ({"name": "twin-halves", "alphabet_size": [2, 5]}, ["alphabet_size 2", "alphabet_size 5"]),
    ],
)
def test_a_panel_is_named_after_its_task_if_its_settings_are_numbers(tmp_path, task, titles):
    study = {
        "task": task,
        "model": {"dim_recurrent": 2},
        "training": {"iterations": 1, "engine": "mygrad"},
        "evaluation": {"samples": 10, "lengths": [2, 4]},
    }
    axes = sweep(study, tmp_path / "out", jobs=1, progress=False).plot("grid")
    assert [ax.get_title() for ax in axes] == titles


def test_the_command_writes_the_summary_and_the_grid(study, done, capsys):
    assert main(["sweep", str(study), "--out", str(done), "--summary", "--grid"]) == 0
    assert "intervals of means over runs" in capsys.readouterr().out
    with open(done / "summary.csv", newline="", encoding="utf-8") as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["RNN", "GRU", "wild"]
    assert {"grid.svg", "grid.png"} <= {path.name for path in done.iterdir()}


def test_nonfinite_scores_count_as_wrong_and_are_reported(tmp_path, monkeypatch):
    """A network that doubles its state at every step overflows float32 after 128 steps."""

    def doubled(make):
        for weight in make.recurrent_weights:
            weight.data[...] = 2 * np.eye(2)

    monkeypatch.setattr(Maker, "begin_recurrent", doubled)
    study = {
        "model": {"dim_recurrent": 2},
        "optimizer": {"name": "sgd", "learning_rate": 1e-30},
        "training": {"iterations": 1, "engine": "mygrad"},
        "evaluation": {"samples": 6, "lengths": [2, 300]},
    }
    message = "in 1 run the scores of 3 sequences or steps are not finite: they count as wrong"
    with pytest.warns(UserWarning, match=f"^{message}$") as told:
        results = sweep(study, tmp_path / "out", jobs=1, progress=False)
    assert len(told) == 1
    assert results.runs["status"] == ["done"]
    assert results.runs["not_finite"] == [3] and results.not_finite == 3
    assert results.lengths["correct"][1] == 0


def test_results_of_a_running_sweep_can_be_loaded(done):
    path = done / "results.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    results = load_sweep(done)
    assert len(results) == 5 and results.planned == RUNS
    assert repr(results).startswith("SweepResults(small: 5 of 24 runs, 0 failed, best accuracy ")
