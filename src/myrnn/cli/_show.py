"""What the commands print: Rich tables and lines that read well in a terminal, in a pipe and without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from myrnn.evaluation import LengthReport, ShortcutReport
from myrnn.models import num_parameters
from myrnn.results import Table
from myrnn.runs import Job
from myrnn.training import duration

LABEL_WIDTH = 10
PICTURES = (".svg", ".png")
# Seconds of preparation that are worth a word.
LONG = 1.0


def job(job: Job, task: Any, model: Any, optimizer: Any, done: int = 0) -> None:
    """Say what is about to be trained, and how many iterations of it are done."""
    training = job.training
    matching = {"uniform": "drawn at random", "near_miss": "the right ones with a few symbols changed"}
    kind = type(model).__name__ + (f" ({model.activation})" if hasattr(model, "activation") else "")
    diagonal = {"identity": "as the identity", "minus_identity": "as minus the identity"}
    begin = diagonal.get(getattr(model, "recurrent_init", ""))
    clip = training.gradient_clip
    shapes = {"constant": "", "cosine": ", falling to 0 as a cosine", "linear": ", falling to 0 in a straight line"}
    falls = shapes.get(training.schedule, f", on the schedule {training.schedule}")
    task_name, units = job.experiment.task.name, job.model.get("dim_recurrent")
    named_rows(
        ("task", f"{task_name}, lengths {task.lengths[0]} to {task.lengths[-1]}, {task.dim_input} symbols"),
        *(
            [("", f"second halves that do not match are {matching[task.negatives]}")]
            if hasattr(task, "negatives")
            else []
        ),
        (
            "model",
            f"{kind}, {'' if units is None else f'{units} units, '}{num_parameters(model):,} parameters"
            + ("" if begin is None else f", recurrent weights begin {begin}"),
        ),
        (
            "optimizer",
            f"{type(optimizer).__name__}, learning rate {optimizer.learning_rate:g}{falls}"
            + ("" if clip is None else f", gradients clipped to {clip:g}"),
        ),
        (
            "training",
            f"{training.iterations:,} iterations of {_count(training.batch_size, 'sequence')}, seed {training.seed}",
        ),
        *([("resumed", f"after iteration {done:,}")] if done else []),
    )


def training(numbers: Mapping[str, Any]) -> None:
    """Show how the training went."""
    part = numbers["training"]
    if "seconds" in part:
        speed = f"{part['iterations_per_second']:,.0f} iterations/s, {part['engine']}"
        prepared = preparation(part["preparation_seconds"], part["engine"])
        here = f" from iteration {part['resumed_at']:,} on" if "resumed_at" in part else ""
        took = f"in {duration(part['seconds'])}{here} ({speed})"
    else:
        prepared, took = [], f"before, all {part['iterations']:,} iterations"
    named_rows(
        *prepared,
        ("trained", took),
        ("at the end", f"loss {part['loss']:.4f}, accuracy {part['accuracy']:.2%} on the sequences it learned from"),
    )


def preparation(seconds: float, engine: str) -> list[tuple[str, str]]:
    """Return the line that says how long the model was compiled, or with MyGrad made ready, if that is worth a word."""
    name = "compiled" if engine == "native" else "prepared"
    return [(name, f"in {duration(seconds)}")] if seconds >= LONG else []


def accuracy(report: LengthReport, seed: int, seconds: float, shortcuts: ShortcutReport | None = None) -> None:
    """Show accuracy by length as a table, and on how many sequences it was counted."""
    console = _console()
    console.print()
    console.print(report.table(shortcuts))
    console.print()
    drawn = f"{report.total.sum():,} new sequences (seed {seed})"
    named_rows(("guessing", f"{report.chance:.2%}"), ("evaluated", f"on {drawn} in {duration(seconds)}"))


def table(result: Any, **options: Any) -> None:
    """Show what has a table of its own."""
    console = _console()
    console.print()
    console.print(result.table(**options))


def predictions(rows: Sequence[tuple[str, ...]]) -> None:
    """Show class and probability of sequences, and their truth where it is known, as a table."""
    names = ("sequence", "class", "probability", "truth")[: len(rows[0])]
    styles = ["yellow" if len(row) > 3 and row[1] != row[3] else None for row in rows]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    _console().print(Table("", columns, styles=styles))


def files(folder: Path) -> None:
    """Say where the run is, and what to look at."""
    names = sorted(
        file.name + ("/" if file.is_dir() else "") for file in folder.iterdir() if not file.name.startswith(".")
    )
    pictures = [name for name in names if name.endswith(PICTURES)]
    console = _console()
    console.print()
    path("run folder", folder)
    named_rows(("pictures", ", ".join(pictures)), ("data", ", ".join(name for name in names if name not in pictures)))


def path(name: str, where: Path) -> None:
    """Say where something was written. The path stays whole, so that it can be copied."""
    _row(name, [str(where)])


def named_rows(*rows: tuple[str, str]) -> None:
    """Show named lines, the names in a column of their own; in a terminal lines wrap between words."""
    console = _console()
    for name, text in rows:
        width = console.width - max(LABEL_WIDTH, len(name)) - 2
        wrapped = textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
        _row(name, wrapped if console.is_terminal and wrapped else [text])


def _row(name: str, lines: Sequence[str]) -> None:
    for label, line in zip_longest([name], lines, fillvalue=""):
        label = label.ljust(max(LABEL_WIDTH, len(name)))
        _console().print(Text(label, style="cyan"), Text(line), sep="  ", soft_wrap=True)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _console() -> Console:
    # Numbers keep their colour to themselves: Rich would paint every one.
    return Console(highlight=False)
