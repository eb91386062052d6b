"""Write a drawing in the DOT language, for those who want Graphviz to lay it out."""

from __future__ import annotations

from collections.abc import Mapping

from myrnn.graphs._record import Drawing, GraphNode, compact

_LOOKS = {
    "operation": 'shape=box, style="rounded,filled", fillcolor="#ffffff"',
    "parameter": 'shape=box, style="filled", fillcolor="#d6e8f3", color="#0072B2"',
    "input": 'shape=box, style="filled", fillcolor="#fbecc8", color="#E69F00"',
    "constant": 'shape=box, style="filled", fillcolor="#e6e6e6", color="#999999"',
}


def to_dot(drawing: Drawing, gradients: Mapping[int, float]) -> str:
    """Return a ``digraph``: every node once, an edge for each operand, a cluster for each column with a heading."""
    lines = [
        "digraph {",
        "  rankdir=LR;",
        f"  label={_quoted(drawing.title)};",
        '  node [fontname="Helvetica", fontsize=11];',
    ]
    for column, heading in enumerate(drawing.columns):
        inside = [_node(n, gradients) for n in drawing.nodes if not n.leaf and n.column == column]
        if heading:
            inside = [f"  subgraph cluster_{column} {{", f"    label={_quoted(heading)};", *inside, "  }"]
        lines += inside
    lines += [_node(node, gradients) for node in drawing.nodes if node.leaf]
    for node in drawing.nodes:
        lines += [f"  n{operand} -> n{node.key};" for operand in node.inputs]
    lines += [f"  n{state} -> n{reader} [constraint=false];" for state, reader in drawing.loops]
    return "\n".join([*lines, "}", ""])


def _node(node: GraphNode, gradients: Mapping[int, float]) -> str:
    lines = [node.label, *node.details]
    if node.key in gradients:
        lines.append(f"∇ {compact(gradients[node.key])}")
    return f"    n{node.key} [label={_quoted(chr(10).join(lines))}, {_LOOKS[node.kind]}];"


def _quoted(text: str) -> str:
    # A backslash starts an escape in DOT labels, so one that is meant is doubled; a new line is written as one.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "") + '"'
