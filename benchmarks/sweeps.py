"""Measure the cost of sweeps: throughput on two cores, the overhead of a run, the parent's memory, and a large study.

``python -m benchmarks.sweeps measure`` measures on this machine and writes ``benchmarks/sweeps.json``.
``python -m benchmarks.sweeps throughput`` compares two cores with one, on an otherwise idle machine, and writes the
result to the same file and to ``docs/explanation/scaling.md``. ``python -m benchmarks.sweeps simulate`` computes from
the measurements what a study of 20,910 networks costs, and draws ``docs/images/scaling.png``.
"""

from __future__ import annotations

import heapq
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import Meter, enter, refusal

HERE = Path(__file__).resolve().parent
FIGURES, DOCS = HERE / "sweeps.json", HERE.parent / "docs"
PAGE, PICTURE = DOCS / "explanation" / "scaling.md", DOCS / "images" / "scaling.png"
# The start of the row with the throughput in the page, and of the row before it.
THROUGHPUT, BEFORE = "| 24 networks of 50 units, 50,000 iterations each", "| one network of 50 units,"
NETWORKS = 20_910
CORES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
INK, MUTED, WARM, GREEN = "#0072B2", "#8a8a8a", "#D55E00", "#009E73"

# --- measuring


def study(iterations: int, seeds: int, **model: Any) -> dict[str, Any]:
    """Return a study of the lesson's task."""
    return {
        "model": model,
        "training": {"iterations": iterations, "seed": f"0:{seeds - 1}"},
        "evaluation": {"samples": 10_000, "lengths": "2:40:2"},
    }


def swept(given: dict[str, Any], jobs: int) -> tuple[float, list[float]]:
    """Return the seconds of a sweep, and of each of its runs."""
    from myrnn.sweeps import sweep

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        sweep(given, folder, jobs=jobs, progress=False)
        seconds = time.perf_counter() - begin
        lines = (Path(folder) / "results.jsonl").read_text().splitlines()
    return seconds, [json.loads(line)["seconds"] for line in lines]


def seconds_a_network() -> dict[str, float]:
    """Return the processor's seconds for one network of each kind: the lesson's 100,000 iterations, and its test.

    They are estimated from short trainings, compiled before, and do not depend on other work of the machine.
    """
    found = {}
    for name in ("rnn", "gru", "lstm"):
        _processor_seconds(name, 100)
        short, longer = (min(_processor_seconds(name, count) for _ in range(2)) for count in (2_000, 22_000))
        found[name] = short + (longer - short) * (100_000 - 2_000) / 20_000
        print(f"{name} of 50 units: {found[name]:.2f} s", flush=True)
    return found


def _processor_seconds(name: str, iterations: int) -> float:
    from myrnn.sweeps import read_study
    from myrnn.sweeps.run import Done, do

    (point,) = read_study(study(iterations, 1, name=name, dim_recurrent=50)).points
    begin = time.process_time()
    assert isinstance(do(point), Done)
    return time.process_time() - begin


def throughput() -> None:
    """Compare two cores with one, with workers already started, and store the result; the machine must be idle."""
    given = study(50_000, 24, dim_recurrent=50)
    for jobs in (1, 2):
        swept(study(100, 4, dim_recurrent=50), jobs)
    times = {jobs: [] for jobs in (1, 2)}
    for jobs in (1, 2, 1, 2):
        meter = Meter()
        times[jobs].append(swept(given, jobs)[0])
        # One run at a time is done by this process, others by workers, whose time is not known here.
        if jobs == 1 and (invalid := refusal(meter.cores(), 1)):
            raise SystemExit(f"The times are {invalid}")
        print(f"24 runs on {jobs}: {times[jobs][-1]:.2f} s", flush=True)
    one, two = min(times[1]), min(times[2])
    print(f"two cores do {one / two:.2f} times as much as one")
    keep({"throughput": {"one": one, "two": two, "ratio": one / two}})
    row = f"{THROUGHPUT}, on one core and on two | {one:.1f} s and {two:.1f} s: {one / two:.2f} times as fast |"
    PAGE.write_text(with_row(PAGE.read_text(), row))


def with_row(page: str, row: str) -> str:
    """Return the page with this row for the throughput instead of the old one, if there is one."""
    lines = [line for line in page.splitlines() if not line.startswith(THROUGHPUT)]
    (at,) = (number for number, line in enumerate(lines, start=1) if line.startswith(BEFORE))
    return "\n".join([*lines[:at], row, *lines[at:]]) + "\n"


def keep(found: dict[str, Any]) -> None:
    """Add measurements to those in the file."""
    FIGURES.write_text(json.dumps({**json.loads(FIGURES.read_text()), **found}, indent=2) + "\n")


def waiting_runs(count: int, pause: float) -> dict[str, float]:
    """Return the cost of runs that only wait: milliseconds per run, and the parent's memory in MB."""
    from myrnn.sweeps import pool, read_study
    from myrnn.sweeps.log import Log
    from myrnn.sweeps.run import Done

    def do(point: Any) -> Done:
        time.sleep(pause)
        counts = {"lengths": list(range(2, 42, 2)), "total": [500] * 20, "correct": [400] * 20}
        return Done(run=point.run, engine="native", parameters=3152, loss=0.3, longest=20, **counts)

    honest, pool.do = pool.do, do
    memory = []
    try:
        backend = pool.open_backend("loky", None, 2)
        with tempfile.TemporaryDirectory() as folder, backend as place, Log(Path(folder)) as log:
            plan = read_study(study(1, count, dim_recurrent=50))
            begin, used = time.perf_counter(), time.process_time()
            for number, (_, record) in enumerate(pool.Pool(place).records(plan.points), start=1):
                log.add(record)
                if number % (count // 10) == 0:
                    memory.append(resident())
                if number == count // 10:
                    begin, used = time.perf_counter(), time.process_time()
            seconds, cpu = time.perf_counter() - begin, time.process_time() - used
    finally:
        pool.do = honest
    left = count - count // 10
    return {
        "runs": count,
        "milliseconds": 1e3 * seconds / left,
        "parent_cpu_milliseconds": 1e3 * cpu / left,
        "memory_after_a_tenth": memory[0],
        "memory_at_the_end": memory[-1],
        "memory_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def resident() -> float:
    """Return the memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def measure() -> None:
    """Measure everything that does not depend on other work of the machine, and write it to the file."""
    # Runs of ten milliseconds are shorter than any real one.
    found = {"empty": waiting_runs(10_000, 0.0), "short": waiting_runs(10_000, 0.01), "seconds": seconds_a_network()}
    print(json.dumps(found, indent=2))
    keep(found)


# --- a large study


def makespan(
    seconds: np.ndarray, cores: int, rng: np.random.Generator, *, stragglers: bool, lost: bool
) -> tuple[float, float]:
    """Simulate a study, and return when the last network is done, and the hours of all cores.

    With `stragglers` one core in twenty is three times as slow; with `lost` every core is lost once in six hours on
    average, with its current run, and is back after two minutes.
    """
    speed = np.where(rng.random(cores) < 0.05, 3.0, 1.0) if stragglers else np.ones(cores)
    free = [(0.0, core) for core in range(cores)]
    heapq.heapify(free)
    left, end = list(seconds[::-1]), 0.0
    while left:
        now, core = heapq.heappop(free)
        run = left.pop()
        took = run * speed[core]
        fails = rng.exponential(6 * 3600.0) if lost else np.inf
        if fails < took:
            left.append(run)
            heapq.heappush(free, (now + fails + 120.0, core))
            continue
        end = max(end, now + took)
        heapq.heappush(free, (now + took, core))
    return end, end * cores / 3600


def simulate() -> None:
    """Simulate the study on more and more cores, print the results, and draw them."""
    known = json.loads(FIGURES.read_text())
    kinds = np.array(list(known["seconds"].values()))
    overhead = known["empty"]["milliseconds"] / 1e3
    networks = np.random.default_rng(0).permutation(np.resize(kinds, NETWORKS)) + overhead
    cases = {
        "even cores": {"stragglers": False, "lost": False},
        "one core in twenty three times as slow": {"stragglers": True, "lost": False},
        "and every core lost once in six hours": {"stragglers": True, "lost": True},
    }
    results = {
        name: [makespan(networks, cores, np.random.default_rng(1), **case)[0] for cores in CORES]
        for name, case in cases.items()
    }
    total = networks.sum()
    print(f"{total / 3600:.1f} hours of one core")
    print(f"the parent hands out {1e3 / known['empty']['parent_cpu_milliseconds']:.0f} runs/s at most")
    for place, cores in enumerate(CORES):
        told = "  ".join(
            f"{times[place] / 60:9.1f} min ({total / cores / times[place]:.0%})" for times in results.values()
        )
        print(f"{cores:5d} cores  {told}")
    draw(results, total)


def draw(results: dict[str, list[float]], total: float) -> None:
    """Draw the time, and the efficiency of the cores, against the number of cores."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (times_ax, share_ax) = pyplot.subplots(2, 1, figsize=(6.4, 5.4), sharex=True, layout="constrained")
    looks = ((INK, "o"), (GREEN, "s"), (WARM, "^"))
    for (name, times), (color, marker) in zip(results.items(), looks, strict=True):
        shares = 100 * total / np.array(CORES) / times
        share_ax.plot(CORES, shares, color=color, marker=marker, markersize=4.5, linewidth=1.4, label=name)
    worst = np.array(results[next(reversed(results))]) / 60
    times_ax.loglog(CORES, total / np.array(CORES) / 60, ":", color=MUTED, label="all cores busy all the time")
    times_ax.loglog(
        CORES, worst, color=WARM, marker="^", markersize=4.5, linewidth=1.4, label="with all that goes wrong"
    )
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if worst[-1] / 2 < tick < 2 * worst[0]]
    times_ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    times_ax.set(ylabel="minutes")
    times_ax.set_title(f"A study of {NETWORKS:,} networks, simulated", fontsize=11)
    share_ax.set(xlabel="cores", ylabel="% of the cores' time", ylim=(75, 101.5), xscale="log")
    share_ax.set_xticks(CORES, [f"{cores:,}" for cores in CORES], fontsize=9)
    for ax in (times_ax, share_ax):
        ax.minorticks_off()
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=9, loc="lower left")
    figure.savefig(PICTURE, dpi=144, metadata={"Software": "MyRNN"})


if __name__ == "__main__":
    enter()
    {"measure": measure, "throughput": throughput, "simulate": simulate}[sys.argv[1]]()
