"""Plain text: a file of sequences and one of labels, one a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from myrnn.data._lines import read_lines
from myrnn.data._table import Table, check_faults
from myrnn.errors import DataError


def read_text_pair(path: Path, labels: Path | None, skip: bool) -> Table:
    """Return the lines of a file as sequences, an empty line as an empty one, and those of the other as labels."""
    import polars as pl

    sequences = read_lines(path)
    numbers = np.arange(1, len(sequences) + 1)
    if labels is None:
        return Table(sequences, None, numbers)
    told = read_lines(labels).str.strip_chars()
    if len(told) != len(sequences):
        raise DataError(
            f"there must be a label for every sequence, but {path} has {len(sequences):,} lines "
            f"and {labels} has {len(told):,}"
        )
    faults = pl.select(pl.when(told == "").then(pl.lit("no label"))).to_series()
    good, skipped = check_faults(labels, numbers, faults, skip)
    return Table(sequences.filter(good), told.filter(good), numbers[good], skipped)
