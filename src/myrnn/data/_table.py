"""What every kind of file is read into: sequences and labels by line, and what is wrong with some of the lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl

# Names of columns that a message lists.
MOST_COLUMNS = 12


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; `label` is None where labels are left alone."""

    text: str = "sequence"
    label: str | None = "label"

    @property
    def names(self) -> list[str]:
        """The names of the columns that must be there."""
        return [self.text] if self.label is None else [self.text, self.label]


@dataclass(frozen=True, eq=False)
class Table:
    """The sequences and labels of a file, without its malformed lines.

    Attributes
    ----------
    sequences : polars Series (N,)
        Of str, lists of str, lists of float64 or lists of lists of float64.
    labels : polars Series of str (N,) or None
    lines : ndarray, int64 (N,)
        Where each stands in the file, from 1; rows, where a file has no lines.
    skipped : int
        How many malformed lines there were.
    """

    sequences: pl.Series
    labels: pl.Series | None
    lines: NDArray[np.int64]
    skipped: int = 0


def check_faults(
    path: Path, lines: NDArray[np.int64], faults: pl.Series, skip: bool, unit: str = "line"
) -> tuple[NDArray[np.bool_], int]:
    """Return which lines have no fault, bool (N,), and how many others there are.

    Parameters
    ----------
    path : Path
    lines : ndarray, int64 (N,)
        The numbers of the lines.
    faults : polars Series of str (N,)
        What is wrong with each; null where nothing is.
    skip : bool
        Whether the others may be skipped.
    unit : str
        What is counted.

    Raises
    ------
    DataError
        Where a line is malformed and may not be skipped, and where no line is left.
    """
    if not len(lines):
        raise DataError(f"{path} holds no sequence")
    good = faults.is_null().to_numpy()
    if good.all():
        return good, 0
    first = int(np.argmin(good))
    told = f"{path}, {unit} {lines[first]}: {faults[first]}"
    if not skip:
        raise DataError(told)
    if not good.any():
        raise DataError(f"every {unit} is malformed; {told}")
    return good, int(np.sum(~good))


def check_columns(path: Path, there: Sequence[str], columns: Columns) -> None:
    """Refuse a file without the columns that are wanted, or with two of a name; say which it has."""
    for name in columns.names:
        if list(there).count(name) > 1:
            raise DataError(f"{path} has more than one column {name!r}")
        if name not in there:
            listed = ", ".join(repr(column if len(column) <= 40 else f"{column[:37]}...") for column in there)
            more = ", ..." if len(there) > MOST_COLUMNS else ""
            shown = ", ".join(listed.split(", ")[:MOST_COLUMNS]) + more
            what = "text" if name == columns.text else "label"
            raise DataError(
                f"{path} has no column {name!r}; its columns are {shown or 'none'}: say which is the {what} column "
                f"(--{what}-column)"
            )
