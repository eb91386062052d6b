"""What ``myrnn graph`` and ``predict`` do with a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from myrnn.cli import _show
from myrnn.cli._load import load
from myrnn.cli._places import check_file
from myrnn.cli._predict_data import check_class, said
from myrnn.graphs import write_graph, write_recurrence
from myrnn.results import check_finite, is_lost
from myrnn.training import reference_logits

# Longer sequences than this are not spelled out in the name of a file.
LONGEST_IN_NAME = 40


def draw_graph(folder: Path, text: str | None, out: Path | None, own: str | None = None) -> None:
    """Write the graph of one sequence, or without one the recurrence, and say where it is."""
    check_file("--out", out)
    run = load(folder, own)
    if text is None:
        path = run.folder / "recurrence.svg" if out is None else out
        write_recurrence(run.model, path)
        _show.path("graph", path)
        return
    sequences = run.read_texts([text])
    is_short = len(text) <= LONGEST_IN_NAME and text.isprintable() and not set(text) & set("/\\")
    name = text.replace(" ", "-") if is_short else f"{sequences.lengths[0]}-steps"
    path = run.folder / f"graph-{name}.svg" if out is None else out
    write_graph(run.model, sequences, path)
    _show.path("graph", path)


def predict_sequences(folder: Path, texts: list[str], own: str | None, not_finite: str | None) -> None:
    """Show class, probability and truth of the given sequences.

    Those whose logits are not finite are of the class `not_finite`, without a probability; without it an error.
    """
    run = load(folder, own)
    names = run.class_names
    check_class(not_finite, names)
    sequences = run.read_texts(texts)
    with np.errstate(over="ignore", invalid="ignore"):
        logits = reference_logits(run.model, sequences)
        probabilities = _softmax(logits)
    if not_finite is None:
        check_finite(logits, sequences.lengths)
    probabilities[is_lost(logits)] = np.nan
    rows = [
        (text, *said(row, names, not_finite), names[truth])
        for text, row, truth in zip(texts, probabilities, sequences.labels, strict=True)
    ]
    _show.predictions(rows)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
