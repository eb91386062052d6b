"""The directive ``commands``: every command of ``myrnn`` with its options, read from the command line itself."""

from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from myrnn.cli.entry import make_app
from myrnn.cli.options import help_sections


class Commands(SphinxDirective):
    """Put a section for each command where the directive stands."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        root = typer.main.get_command(make_app())
        text = "\n".join(line for path, command in leaves(root, ("myrnn",)) for line in section(path, command))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the commands that do something, each with the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        if getattr(inner, "commands", None):
            yield from leaves(inner, (*path, name))
        elif not inner.hidden:
            yield (*path, name), inner


def section(path: tuple[str, ...], command: Any) -> Iterator[str]:
    """Yield the lines of Markdown about one command."""
    # A context gives the defaults and the usage, as ``--help`` shows them.
    with command.make_context(" ".join(path), [], resilient_parsing=True) as context:
        usage = [" ".join(path), *command.collect_usage_pieces(context)]
        groups = help_sections(command, context)
    yield from (f"## {' '.join(path)}", "", "```text", " ".join(usage), "```", "", command.help or "", "")
    for heading, records in groups.items():
        yield from (f"**{heading}**", "", "| | |", "|---|---|")
        for names, purpose in records:
            yield f"| {code(names)} | {cell(purpose)} |"
        yield ""


def code(text: str) -> str:
    """Return text as code in a cell."""
    return "`" + text.replace("|", "\\|") + "`"


def cell(text: str) -> str:
    """Return text as a cell of a Markdown table shows it as it is."""
    words = " ".join(text.split())
    for sign in "\\|*_<>[]$`":
        words = words.replace(sign, f"\\{sign}")
    return words


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
