"""What the scripts share that fill the pages of studies."""

import re
from pathlib import Path

import matplotlib

matplotlib.use("agg")

DOCS = Path(__file__).parent
# The accuracy that a run must reach to count as learned.
LEARNED = 0.99


def percent(value):
    """Return a share with one digit; only an accuracy of exactly 1 is shown as 100."""
    shown = f"{100 * value:.1f}"
    return "99.9" if shown == "100.0" and value < 1 else shown


def markdown(head, rows):
    """Return a table in Markdown: a list of headings, and a list of cells for each row."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def fill(page, parts):
    """Write texts into a page, by the names in their marks: between ``<!-- name -->`` and ``<!-- end -->``."""
    document = page.read_text(encoding="utf-8")
    for name, text in parts.items():
        mark = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        document, found = mark.subn(lambda marks, text=text: f"{marks[1]}{text}\n{marks[2]}", document)
        assert found == 1, f"{page.name} has {found} places for {name}"
    page.write_text(document, encoding="utf-8")
