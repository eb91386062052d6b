"""A trained network as one HTML file that loads nothing: a person gives it sequences and sees what it computes."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from myrnn import web
from myrnn._version import __version__
from myrnn.exports import javascript
from myrnn.exports.examples import Example, examples_of
from myrnn.exports.facts import PageFacts, facts_of
from myrnn.exports.network import TrainedNetwork, Units
from myrnn.exports.options import Options
from myrnn.graphs import build_graph
from myrnn.targets import NUMBERS, SEVERAL

STATIC = Path(__file__).parent / "static"
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./([\w.]+)\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async |function|const|let|class))", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)


def written(network: TrainedNetwork, options: Options) -> str:
    """Return the page of a network, with examples of its run."""
    if not options.tokens:
        network = replace(network, symbols=None)
    elif network.symbols is None:
        network = replace(network, symbols=tuple(map(str, range(network.dim_input))))
    return page(network, javascript.written(network, options), examples_of(network.run))


def page(network: TrainedNetwork, module: str, examples: tuple[Example, ...] = ()) -> str:
    """Return the page of a network, whose ES module is `module`, with sequences to begin with."""
    look = "\n".join(_file(name) for name in ("look.css", "page.css"))
    icon = base64.b64encode(_file("icon.svg").encode()).decode()
    graph = build_graph(network.compiled)
    parts = {
        "title": escape(network.title),
        "icon": f"data:image/svg+xml;base64,{icon}",
        "style": look,
        "drawing": "" if graph is None else graph.to_svg(),
        "footer": f"Made with MyRNN {__version__}",
        "data": json.dumps(_data(network, examples)).replace("<", "\\u003c"),
        "script": _script(module),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _file("page.html"))


def _file(name: str) -> str:
    """Return the text of a file of this page, or of all pages."""
    own = STATIC / name
    return (own if own.exists() else web.STATIC / name).read_text(encoding="utf-8")


# The program ----------------------------------------------------------------------------------------------------------


def _script(module: str) -> str:
    """Return the network as a constant, and the scripts of the page, each after those that it imports."""
    names = ", ".join(_EXPORTED.findall(module))
    inner = f"const network = (() => {{\n{_EXPORT.sub('', module)}\nreturn {{{names}}};\n}})();\n"
    scripts: dict[str, str] = {}
    _collect("page.js", scripts)
    # Within a script these two would end it, or hide its end; a string means the same with the backslash.
    return re.sub(r"<(?=/script|!--)", r"<\\", inner + "\n".join(scripts.values()), flags=re.IGNORECASE)


def _collect(name: str, scripts: dict[str, str]) -> None:
    """Add a script of the page after those that it imports."""
    if name in scripts:
        return
    text = _file(name)
    for other in _IMPORT.findall(text):
        _collect(other, scripts)
    scripts[name] = _EXPORT.sub("", _IMPORT.sub("", text))


# What the page knows of the network -----------------------------------------------------------------------------------


def _data(network: TrainedNetwork, examples: tuple[Example, ...]) -> dict[str, Any]:
    """Return what `page.js` reads, as values for JSON."""
    answer = {NUMBERS: "numbers", SEVERAL: "labels"}.get(network.targets, "class")
    is_series = network.predicts_next_input and network.targets == NUMBERS
    facts, differences = facts_of(network), network.differences
    return {
        "answer": answer,
        "predictsNextInput": network.predicts_next_input,
        "perStep": network.per_step,
        "read": "rows" if network.symbols is None else "symbols",
        "symbols": network.symbols,
        "separator": facts.separator,
        "unknownToken": facts.unknown_token,
        "startToken": facts.start_token,
        "classes": network.classes,
        "inputs": _scale(network.inputs, network.dim_input),
        "outputs": _scale(network.outputs, network.dim_output),
        "series": {"earlier": differences.earlier, "skipped": differences.undefined_rows} if is_series else None,
        "lengths": _lengths(facts),
        "examples": [{"x": example.x, "answer": example.answer} for example in examples],
        "equations": network.equations,
    }


def _scale(scale: Units | None, count: int) -> dict[str, Any]:
    if scale is None:
        return {"mean": [0.0] * count, "scale": [1.0] * count, "columns": None}
    return {"mean": scale.mean, "scale": scale.scale, "columns": scale.columns}


def _lengths(facts: PageFacts) -> dict[str, Any] | None:
    """Return the accuracy by length as the chart reads it: groups of lengths are numbered, and have names."""
    rows = facts.accuracy
    if not rows:
        return None
    are_single = all(row.first == row.last for row in rows)
    numbers = [row.first if are_single else place for place, row in enumerate(rows)]
    within = [number for number, row in zip(numbers, rows, strict=True) if not row.beyond]
    return {
        "lengths": numbers,
        "names": [str(row.first) if row.first == row.last else f"{row.first}-{row.last}" for row in rows],
        **{name: [round(getattr(row, name), 5) for row in rows] for name in ("accuracy", "low", "high")},
        "trained": within[-1] if within else -1,
        "chance": facts.chance,
    }
