"""The graphs that ``myrnn train`` and ``myrnn graph`` write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from myrnn.graphs import build_graph
from myrnn.sequences import Sequences


def write_graph(model: Any, sequences: Sequences, path: Path) -> None:
    """Write the graph of the loss on the first of `sequences` as SVG, with the size of every gradient."""
    x, y = sequences[0]
    graph = build_graph(model, rolled=False, x=x, y=y)
    assert graph is not None
    graph.save(path)


def write_recurrence(model: Any, path: Path) -> None:
    """Write the step that the model repeats as SVG."""
    graph = build_graph(model)
    assert graph is not None
    graph.save(path)
