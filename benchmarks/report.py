"""The results as a table in the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks import machine, scaling
from benchmarks.measure import Measurement, compare
from benchmarks.units import OURS, Comparison, Work

COLUMNS = ("what", "time", "spread", "cores", "MyRNN compared with it", "expected", "holds", "losses agree")

# Facts of the machine that are not a name and its version.
NOT_VERSIONS = ("date", "processor", "cores", "load", "cleared")

# The largest relative difference of a loss from MyGrad's in its first iterations.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Outcome:
    """A workload and its measurements."""

    work: Work
    results: dict[str, Measurement]

    def to_dict(self) -> dict[str, Any]:
        comparisons = [{**asdict(c), "value": compare(c, self.results)} for c in self.work.comparisons]
        for record, comparison in zip(comparisons, self.work.comparisons, strict=True):
            record["holds"] = None if record["value"] is None else comparison.holds(record["value"])
        return {
            "group": self.work.group,
            "title": self.work.title,
            "units": [result.to_dict() for result in self.results.values()],
            "comparisons": comparisons,
        }


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """Return the rows of a workload, with the cells of `COLUMNS`: one per unit and per further comparison."""
    lines = []
    for name, result in outcome.results.items():
        if result.problem:
            lines.append((name, result.problem, *("",) * (len(COLUMNS) - 2)))
            continue
        shown = [_comparison_cells(c, outcome.results) for c in outcome.work.comparisons if _row_of(c) == name]
        first, *more = shown or [("", "", "")]
        cores = f"{median(result.cores):.2f}"
        lines.append((name, duration(result.per_iteration), f"{result.spread:.0%}", cores, *first, _agreement(result)))
        lines += [("", "", "", "", *cells, "") for cells in more]
    if outcome.work.group == "scaling":
        lines += _slope_rows(outcome.results)
    return lines


def duration(seconds: float) -> str:
    """Return a time in a suitable unit."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def terminal_table(outcome: Outcome) -> Table:
    table = Table(title=outcome.work.title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=column in ("what", "spread"))
    for line in rows(outcome):
        table.add_row(*line, style="red" if line[COLUMNS.index("holds")] == "no" else None)
    return table


def markdown(outcomes: list[Outcome], facts: dict[str, str]) -> str:
    """Return the whole report."""
    versions = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in NOT_VERSIONS)
    parts = [f"Measured on {facts['processor']}, {facts['cores']} cores, {facts['date']} ({versions}).", ""]
    for note in machine.notes(facts):
        parts += [note, ""]
    for outcome in outcomes:
        parts += [f"**{outcome.work.title}**", "", f"| {' | '.join(COLUMNS)} |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
        parts += [f"| {' | '.join(line)} |" for line in rows(outcome)] + [""]
    if any(outcome.work.group == "scaling" for outcome in outcomes):
        parts += ["![Time against steps, recurrent units and batch](scaling.png)", ""]
    return "\n".join(parts)


def write(outcomes: list[Outcome], facts: dict[str, str], folder: Path) -> None:
    """Write ``table.md``, ``results.json`` and, if scaling was measured, ``scaling.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown(outcomes, facts), encoding="utf-8")
    record = {"machine": facts, "works": [outcome.to_dict() for outcome in outcomes]}
    (folder / "results.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    series: scaling.Series = {}
    for outcome in outcomes:
        if outcome.work.group == "scaling":
            series |= scaling.series_of(outcome.results)
    if series:
        scaling.plot(series, folder / "scaling.png")


def _row_of(comparison: Comparison) -> str:
    """Return the unit whose row shows the comparison: the peer, if there is one."""
    return comparison.other or comparison.unit


def _comparison_cells(comparison: Comparison, results: dict[str, Measurement]) -> tuple[str, str, str]:
    value = compare(comparison, results)
    if value is None:
        return "", _wanted(comparison), ""
    texts = {
        "times": f"{value:.3g} times as fast",
        "share": f"{value:.2f} of its time",
        "rate": f"{value:.0%} of its rate",
        "seconds": "",
    }
    # The column is about MyRNN's training; other units are named.
    unit = "" if comparison.unit.startswith(OURS) or not comparison.other else f"{comparison.unit}: "
    holds = {True: "yes", False: "no", None: ""}[comparison.holds(value)]
    return unit + texts[comparison.kind], _wanted(comparison), holds


def _wanted(comparison: Comparison) -> str:
    if comparison.wanted is None:
        return ""
    texts = {"times": "at least {:g}", "share": "at most {:g}", "rate": "at least {:.0%}", "seconds": "under {:g} s"}
    return texts[comparison.kind].format(comparison.wanted)


def _agreement(result: Measurement) -> str:
    if result.difference is None:
        return ""
    return (
        f"within {result.difference:.0e}" if result.difference <= TOLERANCE else f"NO: off by {result.difference:.0e}"
    )


def _slope_rows(results: dict[str, Measurement]) -> list[tuple[str, ...]]:
    return [
        ("", "", "", "", f"slope {scaling.slope(sizes, times):.2f}", f"about {scaling.AXES[letter][1]}", "", "")
        for letter, (sizes, times) in scaling.series_of(results).items()
        if len(sizes) >= 3
    ]
