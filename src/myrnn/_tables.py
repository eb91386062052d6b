"""How results are shown: tables for a terminal and for a notebook, and CSV files."""

from __future__ import annotations

import csv
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from myrnn.terminal import WholeTable


class ShownAsTable(ABC):
    """What a notebook shows as its table, and a prompt as one line."""

    @abstractmethod
    def table(self) -> Table:
        """Return the numbers as a Rich table."""

    def _repr_mimebundle_(self, include: Sequence[str] = (), exclude: Sequence[str] = (), **_: Any) -> dict[str, str]:
        bundle: dict[str, str] = self.table()._repr_mimebundle_(include, exclude)
        return bundle


def bare_table(title: str, caption: str | None = None) -> Table:
    """Return a table without columns, as all tables look."""
    return WholeTable(title=title, caption=caption, title_style="bold")


def new_table(title: str, first: str, *others: str, caption: str | None = None) -> Table:
    """Return an empty table, its first column for names and the others for numbers."""
    table = bare_table(title, caption)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def per_cent(share: float, interval: Sequence[float] | None = None) -> str:
    """Return a share in per cent, with its interval where it has one; a dash where nothing was tried."""
    if math.isnan(share):
        return "-"
    if interval is None:
        return f"{100 * share:.1f}"
    # Three columns of these fit into a line only without the zero of 100.0.
    told, low, high = (f"{100 * number:.1f}".replace("100.0", "100") for number in (share, *interval))
    return f"{told} ({low}-{high})"


def points(difference: float, interval: Sequence[float]) -> str:
    """Return a difference of two shares in percentage points, with its interval."""
    low, high = interval
    return f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def slug(name: str) -> str:
    """Return a name as it may stand at the head of a column: ``"no match"`` as ``"no_match"``."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def known(number: float) -> float | None:
    """Return a number as plain records have it: None where it is none."""
    return None if math.isnan(number) else float(number)


def write_csv(
    rows: Sequence[dict[str, Any]], path: str | os.PathLike[str], columns: Sequence[str] | None = None
) -> None:
    """Write plain records as CSV, under the names of the first, or those given: there may be no record."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys() if columns is None else columns)
        writer.writeheader()
        writer.writerows(rows)
