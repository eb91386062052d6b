"""The graph of one sequence, as ``myrnn train`` and ``myrnn graph`` write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mygrad.nnet.losses import softmax_crossentropy

from myrnn.graphs import build_graph
from myrnn.models import parameter_names
from myrnn.sequences import Sequences


def write_graph(model: Any, sequences: Sequences, path: Path) -> None:
    """Write the graph of the loss on the first of `sequences` as SVG, with the size of every gradient."""
    x, y = sequences[0]
    logits = model(x)
    loss = softmax_crossentropy(logits, y)
    named = dict(zip(parameter_names(model), model.parameters, strict=True))
    # Before backward(), which takes the graph apart; the picture then shows the gradients that it left.
    graph = build_graph(loss, names={**named, "x": x, "logits": logits, "loss": loss})
    assert graph is not None
    loss.backward()
    graph.save(path)
