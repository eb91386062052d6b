"""Are the labels of strings true? Compares given labels with a language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.flat import offsets_of
from myrnn.results import Result, Row, Shown, Table, integer, text
from myrnn.tasks.languages.language import Language

# Labels of members, and of other strings.
YES, NO = (
    ("1", "true", "yes", "y", "t", "+", "accept", "member"),
    ("0", "false", "no", "n", "f", "-", "reject", "no member"),
)
# Longer strings would fill the terminal.
WIDEST = 50


@dataclass(frozen=True, repr=False, eq=False)
class LabelCheck(Result):
    """The strings with wrong labels.

    Attributes
    ----------
    total, members : int
        The number of strings, and of members among them.
    places : ndarray, int64 (W,)
        The indices of strings with a wrong label.
    strings, labels : tuple of str
        These strings, and their labels.
    lengths : ndarray, int64 (W,)
    lines : ndarray, int64 (W,)
        Their lines in the file, or `places` + 1.

    Examples
    --------
    >>> from myrnn.tasks.languages import check_labels, flare
    >>> found = check_labels(["0 1 1 = 0 1".split(), "1 =".split()], [1, 1], flare("compute-sqrt"))
    >>> found.total, found.members, found.rows()
    (2, 1, [{'line': 2, 'length': 2, 'label': '1', 'string': '1='}])
    """

    total: int
    members: int
    places: NDArray[np.int64]
    strings: tuple[str, ...]
    labels: tuple[str, ...]
    lengths: NDArray[np.int64]
    lines: NDArray[np.int64]

    def __repr__(self) -> str:
        """Return how many are wrong."""
        return f"LabelCheck({len(self.places):,} of {self.total:,} labels are wrong)"

    def table(self, most: int | None = None) -> Table:
        """Return a row for each string with a wrong label, the shortest first: its line, length, label and text.

        With `most` only this many. Terminals show only the beginning of long strings.
        """
        order = np.argsort(self.lengths, kind="stable")[:most]
        left = len(self.places) - len(order)
        return Table(
            "Wrong labels",
            {
                "line": self.lines[order],
                "length": self.lengths[order],
                "label": np.array(self.labels, dtype=object)[order],
                "string": np.array(self.strings, dtype=object)[order],
            },
            (integer("line"), integer("length"), text("label"), Shown("string", _beginning, is_number=False)),
            caption=f"and {left:,} more" if left else None,
        )


def check_labels(
    strings: Sequence[Sequence[str]],
    labels: Sequence[Any],
    language: Language,
    *,
    member: Any = None,
    lines: NDArray[np.int64] | None = None,
) -> LabelCheck:
    """Compare the labels of strings with a language.

    Parameters
    ----------
    strings : sequence of sequences of str
        N strings, as names of symbols; those that `read_sequences` reads, too.
    labels : sequence
        N labels.
    language : Language
    member : object, optional
        The label of members. By default it is 1, True, true, yes, accept or +, as opposed to 0, False, no, reject or -.
    lines : ndarray of int (N,), optional
        The lines of the strings in their file.

    Returns
    -------
    LabelCheck

    Raises
    ------
    InvalidArgument
        When a string has a symbol that the language lacks, or the label of members cannot be determined.

    Examples
    --------
    >>> from myrnn.tasks.languages import flare
    >>> check_labels(["0 1 1 = 0 1".split(), "1 =".split()], [1, 1], flare("compute-sqrt"))
    LabelCheck(1 of 2 labels are wrong)
    """
    if len(strings) != len(labels):
        raise InvalidArgument(f"there must be a label for each of {len(strings)} strings, but there are {len(labels)}")
    where = np.arange(1, len(strings) + 1) if lines is None else lines
    tokens = []
    for string, line in zip(strings, where.tolist(), strict=True):
        try:
            tokens.append(language.read(list(map(str, string))))
        except InvalidArgument as error:
            raise InvalidArgument(f"string {line}: {error}") from None
    flat = np.concatenate(tokens) if tokens else np.zeros(0, dtype=np.int32)
    truth = language.contains(flat, offsets_of([len(string) for string in tokens]))
    wrong = np.flatnonzero(_says_member(labels, member) != truth)
    return LabelCheck(
        len(strings),
        int(truth.sum()),
        wrong,
        tuple(language.write(tokens[place]) for place in wrong.tolist()),
        tuple(str(labels[place]) for place in wrong.tolist()),
        np.array([len(tokens[place]) for place in wrong.tolist()], dtype=np.int64),
        where[wrong],
    )


def _beginning(row: Row) -> str:
    string = str(row["string"])
    return string if len(string) <= WIDEST else f"{string[: WIDEST - 4]} ..."


def _says_member(labels: Sequence[Any], member: Any) -> NDArray[np.bool_]:
    """Return which labels mark members."""
    names = [str(label) for label in labels]
    known = sorted(set(names))
    if member is not None:
        if str(member) not in known:
            raise InvalidArgument(f"no string has the label {_checks.shown(member)}: labels are {', '.join(known)}")
        return np.array([name == str(member) for name in names], dtype=np.bool_)
    if strange := [name for name in known if name.lower() not in (*YES, *NO)]:
        raise InvalidArgument(f"say which label members have: {strange[0]!r} may or may not be theirs")
    return np.array([name.lower() in YES for name in names], dtype=np.bool_)
