"""The computational graph of a tensor as a picture: each step of a recurrence is a column, time goes to the right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import mygrad as mg

from myrnn.errors import InvalidArgument
from myrnn.graphs._dot import to_dot
from myrnn.graphs._layout import Layout, lay_out
from myrnn.graphs._read import Shown, read_graph
from myrnn.graphs._record import Drawing, GraphNode
from myrnn.graphs._svg import to_svg

__all__ = ["ComputationalGraph", "Drawing", "GraphNode", "build_graph"]


class ComputationalGraph:
    """A computational graph that shows itself in a notebook.

    It keeps no tensor and no array alive, so parameters are writeable again as soon as MyGrad lets go of the graph.
    Where it comes from :func:`build_graph`, it shows the size of every gradient from the moment that ``backward()``
    has run.

    Parameters
    ----------
    drawing : Drawing
        What to draw.
    gradients : mapping of int to float, optional
        The L2 norm of the gradient by the key of a node; read again at every drawing.
    """

    def __init__(self, drawing: Drawing, gradients: Mapping[int, float] | None = None) -> None:
        self.drawing = drawing
        self._gradients: Mapping[int, float] = {} if gradients is None else gradients

    @property
    def gradients(self) -> dict[int, float]:
        """The L2 norm of the gradient by the key of a node; empty until ``backward()`` has run."""
        return dict(self._gradients)

    @cached_property
    def _layout(self) -> Layout:
        return lay_out(self.drawing)

    def to_svg(self) -> str:
        """Return the picture as an SVG element, the same bytes for the same graph."""
        return to_svg(self.drawing, self._layout, self._gradients)

    def to_dot(self) -> str:
        """Return the graph in Graphviz's DOT language."""
        return to_dot(self.drawing, self._gradients)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the graph to a file.

        Parameters
        ----------
        path : str or path-like
            Where to; its suffix says what: ``.svg`` a picture, ``.dot`` or ``.gv`` Graphviz's language.

        Returns
        -------
        pathlib.Path
            The file that was written.

        Raises
        ------
        InvalidArgument
            The suffix is none of these.
        """
        path = Path(path)
        forms = {".svg": self.to_svg, ".dot": self.to_dot, ".gv": self.to_dot}
        if path.suffix.lower() not in forms:
            raise InvalidArgument(f"path must end in .svg, .dot or .gv, not {path.name!r}")
        path.write_text(forms[path.suffix.lower()](), encoding="utf-8")
        return path

    def __repr__(self) -> str:
        """Say how large the graph is."""
        return f"<ComputationalGraph {self.drawing.title}>"

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        svg = self.to_svg()
        # Within HTML the picture keeps its size, scrolls, and shows what hovering tells.
        html = f'<div style="overflow-x: auto; max-width: 100%">{svg}</div>'
        return {"text/html": html, "image/svg+xml": svg, "text/plain": repr(self)}


def build_graph(
    fin: mg.Tensor,
    names: Mapping[str, Any] | None = None,
    *,
    render: bool = True,
    save: bool = False,
    dims: bool = True,
    dtypes: bool = False,
    sum_stats: bool = False,
) -> ComputationalGraph | None:
    """Draw the computational graph that ends in a tensor.

    Every tensor is visited once, so the time is linear in the size of the graph. Build the graph before
    ``backward()``, which takes MyGrad's graph apart; afterwards the same object shows the size of each gradient as
    well.

    Parameters
    ----------
    fin : mygrad.Tensor
        The result, a loss as a rule.
    names : dict of str to object, optional
        What things are called, ``locals()`` as a rule. A tensor or array has the name under which it is found;
        parameters are also found in objects, as ``model.fc_x2h.weight``, and rows of an array as ``x[3]``.
    render : bool, optional
        Whether to return the graph; without it nothing is returned, which makes sense together with `save`.
    save : bool, optional
        Whether to write ``computational_graph.svg`` in the current folder.
    dims, dtypes, sum_stats : bool, optional
        Whether each node shows its shape; its dtype; its range, median and mean. Hovering shows them in any case.

    Returns
    -------
    ComputationalGraph or None
        The graph, which a notebook shows as a picture. None when not `render`.

    Raises
    ------
    InvalidArgument
        `fin` is no tensor, or has no graph; `names` is no dictionary.

    Examples
    --------
    >>> import mygrad as mg
    >>> x = mg.tensor([3.0, 4.0])
    >>> loss = (x * x).sum()
    >>> graph = build_graph(loss, names=locals())
    >>> graph
    <ComputationalGraph loss: 2 operations, 1 parameter (2 numbers)>
    >>> loss.backward()
    >>> sorted(graph.gradients.values())
    [1.0, 1.4142135623730951, 10.0]
    """
    if not isinstance(fin, mg.Tensor):
        raise InvalidArgument(f"the result of a graph must be a mygrad.Tensor, not {type(fin).__name__}")
    if names is not None and not isinstance(names, Mapping):
        raise InvalidArgument(
            f"names must be a dictionary from names to tensors, such as locals(), not {type(names).__name__}"
        )
    _need_creator(fin)
    drawing, gradients = read_graph(fin, names or {}, Shown(dims, dtypes, sum_stats))
    graph = ComputationalGraph(drawing, gradients)
    if save:
        graph.save("computational_graph.svg")
    return graph if render else None


def _need_creator(fin: mg.Tensor) -> None:
    if fin.creator is not None:
        return
    if fin.grad is not None:
        raise InvalidArgument(
            "this tensor has no graph any more: backward() takes it apart. Compute the tensor again, build the graph, "
            "and call backward() afterwards; the graph shows the gradients from then on"
        )
    raise InvalidArgument(
        "this tensor has no graph: it was not computed from other tensors, was computed under mygrad.no_autodiff, "
        "or its graph was cleared. Compute it again without no_autodiff and build the graph before backward()"
    )
