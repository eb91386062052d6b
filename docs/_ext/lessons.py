"""The lessons as notebooks that run while the site is built: the version for instructors, with the results."""

from typing import Any

from sphinx.application import Sphinx

from myrnn.lesson import PARTS, lesson_source, make_version, read_cells

PAGES = {f"lessons/{file.removesuffix('.md')}": part for part, file in PARTS.items()}
HEADER = """---
file_format: mystnb
kernelspec:
  name: python3
  display_name: Python 3
language_info:
  name: python
  pygments_lexer: python
---
"""


def as_notebook(app: Sphinx, name: str, source: list[str]) -> None:
    """Replace the page of a lesson by its text, jupytext Markdown with tags, as a notebook of MyST."""
    if name in PAGES:
        cells = [
            f"```{{code-cell}} python\n{cell.source}\n```" if cell.kind == "code" else cell.source
            for cell in read_cells(make_version(lesson_source(PAGES[name])))
        ]
        source[0] = HEADER + "\n\n".join(cells) + "\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step."""
    app.connect("source-read", as_notebook)
    return {"parallel_read_safe": True}
