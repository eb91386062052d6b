"""A drawing that shows and saves itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from myrnn.errors import InvalidArgument
from myrnn.graphs._dot import to_dot
from myrnn.graphs._layout import Layout, lay_out
from myrnn.graphs._record import Drawing
from myrnn.graphs._svg import to_svg


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
        # Within HTML the picture scrolls, and shows what hovering tells. It keeps its size: a notebook shrinks pictures
        # to the width of the page, where a graph of many steps could not be read.
        full_size = svg.replace("<svg ", '<svg style="max-width: none" ', 1)
        html = f'<div style="overflow-x: auto; max-width: 100%">{full_size}</div>'
        return {"text/html": html, "image/svg+xml": svg, "text/plain": repr(self)}
