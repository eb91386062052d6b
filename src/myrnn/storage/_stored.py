"""What was read from a folder: bytes that are as they were written, to be taken apart with care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import RunError
from myrnn.storage._values import bytes_to_arrays, bytes_to_json, bytes_to_rows

# The most characters of what is wrong with a file.
LONGEST = 400


@dataclass(frozen=True, eq=False)
class Stored:
    """The files of a folder, their sizes and hashes checked; what is in them is still anybody's.

    Attributes
    ----------
    folder : Path
    index : dict
        The values of the index.
    content : mapping of str to bytes
        The files that belong to the format.
    """

    folder: Path
    index: dict[str, Any]
    content: Mapping[str, bytes]

    def json(self, name: str) -> dict[str, Any]:
        """Return the object of a JSON file.

        Raises
        ------
        RunError
            When it is none; also too deep, or with numbers that are none or too large.
        """
        return parse_object(self.folder, name, self.content[name])

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a safetensors file by their names; raises RunError where it is none."""
        try:
            return bytes_to_arrays(self.content[name])
        except ValueError as error:
            damaged(self.folder, name, f"is not valid: {_one_line(error)}", error)

    def rows(self, name: str, columns: Sequence[str]) -> list[list[str]]:
        """Return the rows of a CSV file with these columns, as text; raises ValueError where it is none."""
        return bytes_to_rows(self.content[name], columns)

    def damaged(self, name: str, what: str, cause: BaseException | None = None) -> NoReturn:
        """Raise the RunError that a file of this folder is of no use: `what` goes on after the file's name."""
        damaged(self.folder, name, what, cause)


def parse_object(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    """Return the object that a JSON file holds, or say what is wrong with the file."""
    try:
        parsed = bytes_to_json(content)
    except (ValueError, RecursionError) as error:
        damaged(folder, name, f"is not valid JSON: {_one_line(error)}", error)
    if not isinstance(parsed, dict):
        damaged(folder, name, f"must hold an object, not {_checks.shown(parsed)}")
    return parsed


def damaged(folder: Path, name: str, what: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the RunError for a file that is of no use: what the file holds must not fill a screen, or command it."""
    told = what if what.isprintable() else repr(what)[1:-1]
    raise RunError(f"{folder}: {name} {told if len(told) <= LONGEST else f'{told[: LONGEST - 3]}...'}") from cause


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
