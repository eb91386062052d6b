"""The cells of the gallery compared with PyTorch: ``python -m benchmarks.gallery``.

It writes its measurements to ``gallery.json``, and from that the table of the gallery's page about cells. With
``--table`` it only writes the table again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import agreement, machine
from benchmarks.cells import EXAMPLES
from benchmarks.jobs import Job
from benchmarks.measure import compare, measure
from benchmarks.processes import WorkerProcess
from benchmarks.report import duration
from benchmarks.units import OURS, Comparison, Unit, Work

RESULTS, HEADER = Path(__file__).with_suffix(".json"), EXAMPLES / "GALLERY_HEADER.rst"
BEGIN = ".. The table below is written by: python -m benchmarks.gallery\n"

NAMES = {
    "mgu": "Minimal gated unit",
    "indrnn": "IndRNN, two layers",
    "antisymmetric": "AntisymmetricRNN",
    "multiplicative": "Multiplicative RNN",
    "highway": "Recurrent highway network, depth 3",
    "layer_norm_lstm": "Layer-normalized LSTM",
    "lmu": "Legendre memory unit",
    "stack": "Stack-RNN",
}
LOOP, COMPILED = "PyTorch loop", "PyTorch torch.compile"
# T of the sequences, D of the cells, and the number of sequences per iteration.
STEPS, UNITS, BATCHES = 20, 64, (32, 1)
# The largest allowed relative difference of a loss from MyGrad's.
TOLERANCE = 1e-3


def works() -> tuple[Work, ...]:
    """Return a workload for each cell and batch, on one thread."""
    found = []
    for batch in BATCHES:
        for cell, name in NAMES.items():
            job = Job(cell, STEPS, STEPS, UNITS, batch, drawn=False)
            # A call of MyRNN takes some hundredths of a second to start, so a repeat has many iterations.
            units = (
                Unit(OURS, "ours", job, chunk=200, threads=1),
                Unit(LOOP, "pytorch", job, threads=1),
                # It is the function of the loop, whose losses are compared.
                Unit(COMPILED, "pytorch", job, options={"compiled": True}, threads=1, agrees=False),
            )
            comparisons = tuple(Comparison("times", OURS, peer) for peer in (LOOP, COMPILED))
            found.append(Work("gallery", f"{name}, batch {batch}", units, comparisons))
    return tuple(found)


def record(work: Work, repeats: int, budget: float, say: Any) -> dict[str, Any]:
    """Measure a workload, and return its times and ratios; a peer with other losses has neither."""
    results = measure(work, WorkerProcess, repeats, budget, say)
    agreement.check(results, WorkerProcess, say)
    for result in results.values():
        agrees = result.difference is not None and result.difference <= TOLERANCE
        if result.unit.agrees and not result.problem and not agrees:
            result.problem = f"its losses differ from MyGrad's by {result.difference}"
            say(f"  {result.unit.name}: {result.problem}")
    job = work.units[0].job
    return {
        "cell": job.cell,
        "batch": job.batch_size,
        "seconds": {name: None if r.problem else r.per_iteration for name, r in results.items()},
        "times": {c.other: compare(c, results) for c in work.comparisons},
        "problems": {name: r.problem for name, r in results.items() if r.problem},
    }


def table(found: dict[str, Any]) -> str:
    """Return the table of the measurements in reStructuredText."""
    facts = found["machine"]
    by_cell = {(entry["cell"], entry["batch"]): entry for entry in found["cells"]}
    batches = [batch for batch in BATCHES if any(measured == batch for _, measured in by_cell)]
    lines = [
        BEGIN,
        "The table shows the time of one iteration in MyRNN: forward, loss, backpropagation through time and Adam, for",
        f"sequences of {STEPS} steps, {UNITS} units and two classes, on one thread. *Loop* is a loop over the steps in",
        "PyTorch, and *compiled* is the same loop with ``torch.compile``. Both columns say how many times as long they",
        "take.",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
    ]
    heads = ["cell"]
    for batch in batches:
        heads += [f"MyRNN, {'one sequence' if batch == 1 else f'batch {batch}'}", "loop", "compiled"]
    lines += _row(heads)
    for cell, name in NAMES.items():
        cells = [name]
        for batch in batches:
            entry = by_cell.get((cell, batch), {"seconds": {}, "times": {}})
            ours, times = entry["seconds"].get(OURS), [entry["times"].get(peer) for peer in (LOOP, COMPILED)]
            cells += ["-" if ours is None else duration(ours)]
            cells += ["-" if ratio is None else f"{ratio:.3g} times" for ratio in times]
        if any((cell, batch) in by_cell for batch in batches):
            lines += _row(cells)
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", "numpy", "numba", "torch"))
    lines += ["", f"Measured on {facts['cores']} cores of {facts['processor']}, {facts['date'][:10]} ({versions})."]
    if machine.busy(facts):
        lines += ["The machine also did other work, so the ratios are rough."]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> list[str]:
    first, *rest = cells
    return [f"   * - {first}", *(f"     - {cell}" for cell in rest)]


def page(found: dict[str, Any]) -> str:
    """Return the header of the gallery's cells with this table at its end."""
    return HEADER.read_text(encoding="utf-8").partition(BEGIN)[0] + table(found)


def main(
    repeats: Annotated[int, typer.Option(min=1, help="How often each unit is timed.")] = 7,
    budget: Annotated[float, typer.Option(min=0.01, help="How many seconds a repeat takes, about.")] = 1.0,
    only: Annotated[str, typer.Option(help="Comma-separated cells; the others stay as they are in the file.")] = "",
    only_table: Annotated[bool, typer.Option("--table", help="Only write the table again.")] = False,
) -> None:
    """Measure the cells of the gallery, and PyTorch."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"cells": []}
    if not only_table:
        wanted = [name.strip() for name in only.split(",") if name.strip()] or list(NAMES)
        found["machine"] = machine.describe()
        for work in works():
            if work.units[0].job.cell not in wanted:
                continue
            print(work.title, flush=True)
            new = record(work, repeats, budget, lambda line: print(line, flush=True))
            kept = [old for old in found["cells"] if (old["cell"], old["batch"]) != (new["cell"], new["batch"])]
            found["cells"] = [*kept, new]
            RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    HEADER.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
