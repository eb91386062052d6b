"""The lessons as notebooks that run while the site is built: the version for instructors, with the results."""

from typing import Any

from sphinx.application import Sphinx

from myrnn.lesson import make_version, read_cells

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
    """Turn a lesson, which is jupytext Markdown with tags, into a notebook of MyST."""
    if name.startswith("lessons/lesson"):
        cells = [
            f"```{{code-cell}} python\n{cell.source}\n```" if cell.kind == "code" else cell.source
            for cell in read_cells(make_version(source[0]))
        ]
        source[0] = HEADER + "\n\n".join(cells) + "\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step."""
    app.connect("source-read", as_notebook)
    return {"parallel_read_safe": True}
