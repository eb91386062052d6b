"""``myrnn graph`` draws the step that a network repeats, or the graph of one sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from myrnn.cli import show
from myrnn.cli.options import SEQUENCE, OwnClass, RunFolder, file_option, load, option
from myrnn.graphs.build import write_graph, write_recurrence


def graph(
    run: RunFolder,
    sequence: Annotated[str | None, option(f"Draw all steps of this sequence. {SEQUENCE}")] = None,
    out: Annotated[
        Path | None, file_option("The SVG file.  [default: RUN/recurrence.svg, or RUN/graph-<sequence>.svg]")
    ] = None,
    model: OwnClass = None,
) -> None:
    """Draw the step that a network repeats, or the graph of one sequence, as SVG."""
    loaded = load(run, model)
    if sequence is None:
        path = loaded.folder / "recurrence.svg" if out is None else out
        write_recurrence(loaded.model, path)
    else:
        read = loaded.read_texts([sequence])
        path = loaded.folder / f"graph-{show.file_name(sequence, int(read.lengths[0]))}.svg" if out is None else out
        write_graph(loaded.recognizer, read, path)
    show.path("graph", path)
