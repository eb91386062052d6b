"""The parts of the benchmark without its large peers: turns, ratios, the table, the pipe and the C program."""

import importlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import agreement, machine, report, scaling, sweeps  # noqa: E402
from benchmarks.environment import environment  # noqa: E402
from benchmarks.jobs import (  # noqa: E402
    CHARACTERS,
    GATES,
    PER_STEP,
    PREFIXES,
    SENTENCES,
    TOKENS,
    VOWELS,
    Job,
    Replay,
    data_set,
    first_weights,
    matrix_flops,
    weights_by_name,
)
from benchmarks.matrix_states import MATRIX_STATES  # noqa: E402
from benchmarks.measure import Measurement, UnitFailed, compare, largest_difference, measure  # noqa: E402
from benchmarks.peers import PeerMissing, hand_written_c  # noqa: E402
from benchmarks.processes import WorkerProcess  # noqa: E402
from benchmarks.units import Comparison, Unit, Work  # noqa: E402
from benchmarks.worker import calibrate, explain, serve  # noqa: E402
from benchmarks.works import all_works  # noqa: E402

from marks import most_are_long  # noqa: E402
from myrnn import compile  # noqa: E402
from myrnn.training.loop import Training  # noqa: E402

JOB = Job("rnn")
needs_c = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler")


def unit(name, **kwargs):
    return Unit(name, "ours", JOB, **kwargs)


class FakeRunner:
    """Returns given times, one per repeat, and records its turns."""

    def __init__(self, name, times, turns, fails_at=None, losses=(), cores=1.0):
        self.name, self.times, self.turns, self.fails_at = name, list(times), turns, fails_at
        self.closed, self._losses, self._cores = False, list(losses), cores

    def prepare(self, budget):
        if self.fails_at == "prepare":
            raise UnitFailed("PyTorch is not installed")
        return 0.5, 10

    def losses(self, iterations):
        return self._losses[:iterations]

    def run(self, iterations):
        self.turns.append(self.name)
        if self.fails_at == len(self.times):
            raise UnitFailed("fails: ValueError: no")
        return self.times.pop(0), self._cores

    def close(self):
        self.closed = True


def run_fakes(runners, comparisons=(), repeats=3, limit=None, threads=None):
    units = tuple(unit(name, threads=threads) for name in runners)
    work = Work("lesson", "A work", units, tuple(comparisons), limit)
    return work, measure(work, lambda u: runners[u.name], repeats, 1.0, lambda line: None)


# ---- turns and ratios


def test_units_take_turns_and_their_processes_end():
    turns = []
    runners = {name: FakeRunner(name, [1.0, 2.0, 3.0], turns) for name in "AB"}
    _, results = run_fakes(runners)
    assert turns == list("ABABAB")
    assert results["A"].seconds == [1.0, 2.0, 3.0]
    assert results["A"].per_iteration == pytest.approx(0.2)
    assert results["A"].spread == pytest.approx(2.0)
    assert all(runner.closed for runner in runners.values())


def test_a_workload_can_limit_its_repeats():
    turns = []
    run_fakes({"A": FakeRunner("A", [1.0, 1.0], turns)}, repeats=7, limit=2)
    assert turns == ["A", "A"]


@pytest.mark.parametrize("fails_at", ["prepare", 2])
def test_a_unit_that_fails_is_left_out_and_the_others_continue(fails_at):
    turns = []
    runners = {"A": FakeRunner("A", [1.0] * 3, turns, fails_at), "B": FakeRunner("B", [1.0] * 3, turns)}
    work, results = run_fakes(runners, [Comparison("times", "B", "A", 2.0)])
    assert results["A"].problem in ("PyTorch is not installed", "fails: ValueError: no")
    assert len(results["B"].seconds) == 3 and turns.count("A") <= 2
    assert compare(work.comparisons[0], results) is None
    assert all(runner.closed for runner in runners.values())


@pytest.mark.parametrize(
    ("threads", "cores", "problem"),
    [
        (1, 1.09, ""),
        (1, 1.11, "invalid: it kept 1.11 cores busy with 1 thread"),
        (2, 2.0, ""),
        (2, 2.3, "invalid: it kept 2.30 cores busy with 2 threads"),
        (None, 8.0, ""),
    ],
)
def test_a_time_with_more_threads_than_its_row_says_is_invalid(threads, cores, problem):
    runners = {name: FakeRunner(name, [1.0] * 3, [], cores=c) for name, c in (("A", cores), ("B", 1.0))}
    work, results = run_fakes(runners, [Comparison("times", "B", "A")], threads=threads)
    assert results["A"].problem == problem and results["A"].cores == ([] if problem else [cores] * 3)
    assert (compare(work.comparisons[0], results) is None) == bool(problem)
    assert results["B"].seconds == [1.0] * 3


def measured(times, iterations=1, flops=0.0):
    return Measurement(unit("x", flops=flops), 0.0, iterations, list(times))


@pytest.mark.parametrize(
    ("kind", "value"),
    # In each turn the second unit takes 4, 3 and 100 times as long.
    [("times", 4.0), ("share", 0.25), ("rate", 2.0)],
)
def test_a_ratio_is_the_median_of_the_turns(kind, value):
    results = {"A": measured([1.0, 2.0, 1.0], 1, 5.0), "B": measured([8.0, 12.0, 200.0], 2, 10.0)}
    assert compare(Comparison(kind, "A", "B"), results) == pytest.approx(value)


def test_seconds_need_no_other_unit():
    assert compare(Comparison("seconds", "A"), {"A": measured([3.0, 1.0, 2.0])}) == 2.0


@pytest.mark.parametrize(
    ("kind", "wanted", "value", "holds"),
    [
        ("times", 10, 11, True),
        ("times", 10, 9, False),
        ("rate", 0.65, 0.7, True),
        ("share", 0.85, 0.8, True),
        ("share", 0.85, 0.9, False),
        ("seconds", 1.5, 1.4, True),
        ("times", None, 1, None),
    ],
)
def test_expected_ratios(kind, wanted, value, holds):
    assert Comparison(kind, "A", "B", wanted).holds(value) is holds


def test_difference_of_losses():
    assert largest_difference([1.0, 0.5], [1.0, 0.4]) == pytest.approx(0.25)


# ---- the table


def outcome(results, comparisons=(), group="lesson"):
    units = tuple(result.unit for result in results.values())
    return report.Outcome(Work(group, "A work", units, tuple(comparisons)), results)


@pytest.fixture
def compared():
    results = {
        "MyRNN": Measurement(unit("MyRNN"), 1.0, 100, [6e-4, 6e-4], [0.9, 1.0], 2e-7),
        "slow": Measurement(unit("slow"), 1.0, 100, [6e-2, 12e-2], [1.8, 2.0], 0.5),
        "absent": Measurement(unit("absent"), problem="JAX is not installed"),
    }
    comparisons = [Comparison("times", "MyRNN", "slow", 200), Comparison("share", "MyRNN", "slow", 0.85)]
    return outcome(results, [*comparisons, Comparison("times", "MyRNN", "absent", 10)])


def test_rows_say_time_ratio_target_and_agreement(compared):
    assert report.rows(compared) == [
        ("MyRNN", "6 µs", "0%", "0.95", "", "", "", "within 2e-07"),
        ("slow", "900 µs", "100%", "1.90", "150 times as fast", "at least 200", "no", "NO: off by 5e-01"),
        ("", "", "", "", "0.01 of its time", "at most 0.85", "yes", ""),
        ("absent", "JAX is not installed", "", "", "", "", "", ""),
    ]


def test_written_report(compared, tmp_path):
    facts = machine.describe() | {"processor": "A fine processor", "cores": "2", "load": "0.01", "cleared": "A, B"}
    report.write([compared], facts, tmp_path / "new")
    table = (tmp_path / "new" / "table.md").read_text(encoding="utf-8")
    assert "Measured on A fine processor, 2 cores" in table and f"numpy {np.__version__}" in table
    assert "busy" not in table and "Set here, but not in the measured processes: A, B." in table
    assert "| slow | 900 µs | 100% | 1.90 | 150 times as fast | at least 200 | no | NO: off by 5e-01 |" in table
    record = json.loads((tmp_path / "new" / "results.json").read_text(encoding="utf-8"))
    (work,) = record["works"]
    assert (work["units"][1]["seconds"], work["units"][1]["cores"]) == ([6e-2, 12e-2], [1.8, 2.0])
    assert work["units"][2]["seconds_per_iteration"] is None
    assert [c["holds"] for c in work["comparisons"]] == [False, True, None]
    assert not (tmp_path / "new" / "scaling.png").exists()


def test_terminal_table_has_all_rows(compared):
    assert report.terminal_table(compared).row_count == 4


def test_a_busy_machine_is_named():
    assert "busy when this began (load 1.50 on 2 cores)" in machine.busy({"load": "1.50", "cores": "2"})
    assert machine.busy({"load": "unknown", "cores": "2"}) == ""


@pytest.mark.parametrize(("seconds", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (6.54e-6, "6.54 µs")])
def test_duration(seconds, text):
    assert report.duration(seconds) == text


def test_scaling_finds_the_power_and_draws_it(tmp_path):
    results = {f"D {n}": Measurement(unit(f"D {n}"), 0, 1, [1e-6 * n**2], [1.0]) for n in (64, 128, 256)}
    series = scaling.series_of(results | {"T 9": Measurement(unit("T 9"), problem="fails")})
    assert set(series) == {"D"} and scaling.slope(*series["D"]) == pytest.approx(2.0)
    made = outcome(results, group="scaling")
    assert report.rows(made)[-1] == ("", "", "", "", "slope 2.00", "about 2", "", "")
    report.write([made], machine.describe(), tmp_path)
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert "scaling.png" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_ticks_are_plain_numbers():
    assert scaling.plain_ticks(0.03, 0.3) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5])


# ---- works and jobs


def test_workloads_only_compare_their_units():
    works = all_works()
    assert {work.group for work in works} == {
        "lesson",
        "gated",
        "batch32",
        "batch64",
        "ragged",
        "structures",
        "characters",
        "matrix-states",
        "evaluate",
        "start",
        "scaling",
    }
    for work in works:
        names = [u.name for u in work.units]
        assert len(set(names)) == len(names)
        assert {side for c in work.comparisons for side in (c.unit, c.other) if side} <= set(names)
        assert all(u.flops for c in work.comparisons if c.kind == "rate" for u in work.units if u.name == c.unit)


def test_a_unit_is_the_same_after_the_pipe():
    for work in all_works():
        for each in work.units:
            assert Unit.from_dict(json.loads(json.dumps(each.to_dict()))) == each


@pytest.mark.parametrize("cell", GATES)
def test_first_weights_are_all_that_the_model_has(cell):
    job = Job(cell, dim_recurrent=4)
    named = weights_by_name(job)
    assert sum(part.size for part in named.values()) == sum(p.size for p in job.model().parameters)
    layers = [first_weights(job, prefix) for prefix in PREFIXES.get(cell, ("",))]
    gates = [
        part for weights in layers for part in (*weights.x2h.values(), *weights.bias.values(), *weights.h2h.values())
    ]
    assert all(list(weights.h2h) == list(GATES[cell]) for weights in layers)
    others = {"query.weight", "embedding.weight"} & named.keys()
    parts = [*gates, layers[0].h2y, layers[0].bias_y, *(named[name] for name in others)]
    assert sum(part.size for part in parts) == sum(part.size for part in named.values())


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("cell", most_are_long(["mgu-tagger", "attention", "bidirectional", "tagger", "characters"], 5))
def test_models_of_other_structures_compile(cell):
    job = Job(cell, dim_recurrent=4)
    compiled = compile(job.model())
    assert compiled.per_step == (cell in PER_STEP)
    x, y = job.sequences(1)[0]
    _, gradients = compiled.loss_and_gradients(x, y if compiled.per_step else int(y[0]))
    assert all(gradient.any() for gradient in gradients)


def test_flops_count_the_products_over_the_hidden_state():
    # 2 steps: one product of (3, 4) by (4, 4) and the readout's (3, 4) by (4, 2), each three times.
    assert matrix_flops(Job("rnn", 2, 2, 4, 3)) == 3 * (2 * 3 * 4 * 4 + 2 * 3 * 4 * 2)


def test_replay_gives_the_sequences_in_order():
    data = JOB.sequences(3)
    again = Replay(data).sample(7, np.random.default_rng(0))
    assert [again.tokens(i).tolist() for i in range(7)] == [data.tokens(i % 3).tolist() for i in range(7)]


# ---- the worker


@pytest.mark.parametrize(
    ("per_iteration", "kwargs", "count"),
    [
        (1e-3, {}, 1000),
        (1e-9, {}, 100_000),
        (10.0, {}, 1),
        (1e-3, {"chunk": 300}, 900),
        (10.0, {"iterations": 5, "whole": True}, 5),
    ],
)
def test_a_repeat_fills_its_time(per_iteration, kwargs, count):
    assert calibrate(lambda n: n * per_iteration, unit("x", **kwargs), 1.0) == pytest.approx(count, abs=1)


def test_messages_of_a_worker_about_errors():
    assert explain(ModuleNotFoundError("no", name="torch")) == "PyTorch is not installed"
    assert explain(ModuleNotFoundError("No module named 'x'", name="x")).startswith("fails: ModuleNotFoundError")
    assert explain(PeerMissing("there is no C compiler")) == "there is no C compiler"
    assert explain(ValueError("first\nsecond")) == "fails: ValueError: first"


def test_a_worker_answers_line_by_line():
    product = replace(unit("NumPy"), peer="numpy_product", function="product", iterations=1)
    asked = [{"unit": product.to_dict()}, {"call": "run", "arguments": [1]}, {"call": "prepare", "arguments": [0.0]}]
    answers = io.StringIO()
    serve(io.StringIO("".join(json.dumps(request) + "\n" for request in asked)), answers)
    ready, early, prepared = map(json.loads, answers.getvalue().splitlines())
    assert ready == {} and early["problem"].startswith("fails: AssertionError")
    assert prepared["iterations"] == 1 and prepared["setup"] > 0


def test_threads_of_all_libraries_are_set_before_a_process_begins(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    for threads in (1, 2):
        found = environment(threads)
        assert {found[f"{name}_NUM_THREADS"] for name in ("MYRNN", "OMP", "OPENBLAS", "MKL", "NUMBA")} == {str(threads)}
        assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & found.keys()
    # Without a number, all libraries have their defaults.
    assert not {"OMP_NUM_THREADS", "MYRNN_NUM_THREADS", "OPENBLAS_CORETYPE"} & environment(None).keys()
    assert machine.describe()["cleared"] == "OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE"


def test_a_program_enters_the_environment_once(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nprint(os.getpid(), sys.argv[1:], flush=True)\n"
        "from benchmarks import machine\nfrom benchmarks.environment import enter\n"
        "enter(1)\nprint(os.environ['MYRNN_NUM_THREADS'], 'OPENBLAS_CORETYPE' in os.environ, machine.cores())\n"
    )
    given = {**os.environ, "OPENBLAS_CORETYPE": "Prescott", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, program, "--seed", "1"], env=given, capture_output=True, text=True, check=True
    )
    first, again, inside = ran.stdout.splitlines()
    assert first == again and first.endswith("['--seed', '1']")
    assert inside == f"1 False {1 if hasattr(os, 'sched_setaffinity') else machine.cores()}"


def test_more_threads_than_cores_are_not_measured():
    asked = {"unit": replace(unit("NumPy"), threads=machine.cores() + 1).to_dict()}
    answers = io.StringIO()
    serve(io.StringIO(json.dumps(asked) + "\n"), answers)
    count = machine.cores()
    assert json.loads(answers.getvalue()) == {"problem": f"needs {count + 1} cores, but may only use {count}"}


@pytest.mark.long
@needs_c
def test_a_process_trains_in_c_and_ends():
    runner = WorkerProcess(Unit("C", "hand_written_c", JOB, iterations=2000, whole=True))
    try:
        setup, iterations = runner.prepare(1.0)
        assert iterations == 2000 and setup > 0
        seconds, cores = runner.run(iterations)
        assert seconds > 0 and 0 < cores < 1.5
        with pytest.raises(UnitFailed, match="fails: InvalidArgument: n must be an integer"):
            runner.losses("many")
        runner._process.kill()
        with pytest.raises(UnitFailed, match="its process ended with code"):
            runner.run(1)
    finally:
        runner.close()


# ---- the program in C


@needs_c
def test_c_computes_what_mygrad_computes():
    from benchmarks.peers import ours

    iterations = 12
    reference = ours.losses(JOB, iterations, engine="mygrad")
    assert len(reference) == iterations and all(map(math.isfinite, reference))
    np.testing.assert_allclose(hand_written_c.losses(JOB, iterations), reference, rtol=1e-4)


@pytest.fixture
def clock(monkeypatch):
    """A clock of MyRNN's peer that counts the iterations of its trainings instead of seconds."""
    from benchmarks.peers import ours

    trained = []

    def counted(step):
        return lambda self, count: (trained.append(count), step(self, count))[1]

    for name in ("advance", "run"):
        monkeypatch.setattr(Training, name, counted(getattr(Training, name)))
    monkeypatch.setattr(ours, "time", SimpleNamespace(perf_counter=lambda: float(sum(trained))))
    return ours


@pytest.mark.parametrize("drawn", [True, False])
def test_training_is_timed(drawn, clock):
    run = clock.training(Job("rnn", 4, 4, 5, 2, drawn), engine="mygrad")
    assert run(3) == 3


def test_a_data_set_is_the_same_each_time_and_has_all_lengths():
    job = Job("rnn", batch_size=32, drawn=False, data=TOKENS)
    whole, first = data_set(TOKENS), job.sequences(2)
    assert len(whole) == 10_000 and (whole.lengths.min(), whole.lengths.max()) == (0, 500)
    assert first.lengths.tolist() == whole.lengths[:64].tolist()
    assert (job.dim_input, job.dim_output) == (whole.dim_input, whole.labels.max() + 1)


def test_sentences_have_a_class_at_every_step():
    job = Job("tagger", batch_size=32, drawn=False, data=SENTENCES)
    whole, first = data_set(SENTENCES), job.sequences(2)
    assert (whole.lengths.min(), whole.lengths.max()) == (5, 40) and len(first) == 64
    assert first.per_step and first.targets.tolist() == whole.targets[: first.offsets[-1]].tolist()
    assert (job.dim_input, job.dim_output) == (whole.dim_input, whole.targets.max() + 1) == (500, 12)


def test_characters_are_streams_of_one_text():
    whole = data_set(CHARACTERS)
    assert whole.lengths.tolist() == [64 * 240] * 64 and whole.dim_input == whole.targets.max() + 1 == 100
    assert (whole.targets[:-1] == whole.values[1:]).all() and np.bincount(whole.values).argmax() == 0


def test_a_job_with_logits_at_every_step_has_targets_there():
    job = Job("mgu-tagger")
    drawn = job.sequences(3)
    assert drawn.per_step and drawn.targets.tolist() == (drawn.values % 2).tolist()
    np.testing.assert_array_equal(drawn.values, Job("mgu").sequences(3).values)


@pytest.mark.parametrize(
    ("library", "peer", "cell"),
    [
        *(("torch", "pytorch", cell) for cell in ("bidirectional", "attention", "mgu-tagger", "tagger")),
        ("jax", "jax_scan", "mgu-tagger"),
    ],
)
@pytest.mark.parametrize("size", [1, 3])
def test_peers_compute_what_mygrad_computes(library, peer, cell, size):
    pytest.importorskip(library)
    from benchmarks.peers import ours

    job = Job(cell, 2 if size == 1 else 6, 6, 7, size, drawn=False, data=SENTENCES if cell == "tagger" else "")
    losses = importlib.import_module(f"benchmarks.peers.{peer}").losses(job, 4)
    np.testing.assert_allclose(losses, ours.losses(job, 4, engine="mygrad"), rtol=1e-4)


@pytest.mark.parametrize(("library", "peer"), [("torch", "pytorch"), ("jax", "jax_matrices")])
@pytest.mark.parametrize("cell", MATRIX_STATES)
def test_peers_compute_the_same_matrices(library, peer, cell):
    pytest.importorskip(library)
    from benchmarks.peers import ours

    job = Job(cell, 6, 6, 6, 3, drawn=False, heads=2)
    losses = importlib.import_module(f"benchmarks.peers.{peer}").losses(job, 4)
    np.testing.assert_allclose(losses, ours.losses(job, 4, engine="mygrad"), rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(("library", "peer"), [("mygrad", "ours"), ("torch", "pytorch"), ("jax", "jax_scan")])
def test_peers_continue_from_the_same_states(library, peer):
    pytest.importorskip(library)
    from benchmarks.peers import ours

    job = Job("characters", dim_recurrent=7, batch_size=64, drawn=False, data=CHARACTERS)
    losses = importlib.import_module(f"benchmarks.peers.{peer}").losses(job, 3)
    np.testing.assert_allclose(losses, ours.losses(job, 3, engine="mygrad"), rtol=1e-4)


def test_both_loops_of_pytorch_write_the_same():
    torch = pytest.importorskip("torch")
    from benchmarks.peers import pytorch

    job, written = Job("characters", dim_recurrent=7, data=CHARACTERS), []
    for by_cell in (False, True):
        torch.manual_seed(0)
        written.append(pytorch.writer(job, by_cell)(50))
    assert written[0] == written[1] and len(set(written[0])) > 10


@pytest.mark.long
def test_the_vowels_are_the_training_set():
    pytest.importorskip("sktime")
    job, whole = Job("rnn", data=VOWELS), data_set(VOWELS)
    assert len(whole) == 270 and (whole.lengths.min(), whole.lengths.max()) == (7, 26)
    assert (job.dim_input, job.dim_output) == (whole.dim_input, whole.labels.max() + 1) == (12, 9)
    np.testing.assert_allclose(whole.values.std(axis=0), 1, rtol=1e-3)


@pytest.mark.long
def test_epochs_are_timed(clock):
    pytest.importorskip("sktime")
    run = clock.epochs(Job("rnn", dim_recurrent=5, batch_size=90, drawn=False, data=VOWELS))
    # Two epochs of 270 sequences.
    assert run(2) == 6


def test_without_a_compiler_the_table_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerMissing, match="there is no C compiler"):
        hand_written_c.build(tmp_path)


def test_agreement_is_filled_in_for_units_that_must_agree(monkeypatch):
    monkeypatch.setattr(agreement, "reference_losses", lambda job, start: [1.0, 2.0])
    results = {
        "same": Measurement(unit("same")),
        "free": Measurement(unit("free", agrees=False)),
        "gone": Measurement(unit("gone"), problem="JAX is not installed"),
    }
    runner = FakeRunner("same", [], [], losses=[1.0, 2.2])
    agreement.check(results, lambda u: runner, lambda line: None)
    assert results["same"].difference == pytest.approx(0.1)
    assert results["free"].difference is None and results["gone"].difference is None
    assert runner.closed


@pytest.mark.long
def test_the_time_of_a_network_of_a_study_is_measured():
    assert sweeps._processor_seconds("rnn", 10) > 0


def test_the_throughput_of_sweeps_has_one_row_in_its_page():
    page = (ROOT / "docs" / "explanation" / "scaling.md").read_text()
    once = sweeps.with_row(page, f"{sweeps.THROUGHPUT} | 9.0 s and 5.0 s: 1.80 times as fast |")
    again = sweeps.with_row(once, f"{sweeps.THROUGHPUT} | 8.0 s and 4.0 s: 2.00 times as fast |")
    assert once.count("1.80 times as fast") == 1 and again.count("times as fast") == 1
    lines = again.splitlines()
    at = lines.index(next(line for line in lines if line.startswith(sweeps.THROUGHPUT)))
    assert lines[at - 1].startswith("| one network of 50 units") and lines[at + 1] == ""
