"""The lines of a text file, and what is wrong with a file before any line is looked at."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from myrnn.errors import DataError

if TYPE_CHECKING:
    import polars as pl

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMPRESSED = ".gz"


def without_gz(path: Path) -> Path:
    """Return the name that a file has once it is decompressed: that of ``train.csv.gz`` is ``train.csv``."""
    return path.with_suffix("") if path.suffix.lower() == COMPRESSED else path


def read_bytes(path: Path) -> bytes:
    """Return the content, decompressed, of a file that is there and holds something."""
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if content and without_gz(path) != path:
        content = _decompressed(path, content)
    if not content:
        raise DataError(f"{path} is empty")
    return content


def _decompressed(path: Path, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a gzip file, or it is damaged: {error}") from None
    except MemoryError:
        raise DataError(f"{path} does not fit the memory when it is decompressed") from None


def read_text(path: Path) -> bytes:
    """Return the content of a file of UTF-8 text, as bytes without a byte order mark."""
    content = read_bytes(path).removeprefix(BYTE_ORDER_MARK)
    if not content:
        raise DataError(f"{path} is empty")
    # Text in UTF-16 and files that are no text at all have such bytes.
    place = content.find(b"\0")
    if place >= 0:
        raise DataError(f"{path}, line {_line(content, place)}: a zero byte: this is not a file of UTF-8 text")
    return content


def literal(text: str) -> str:
    """Return the pattern of a text, as both Python's and Polars' regular expressions read it."""
    return "".join(f"\\U{ord(character):08x}" for character in text)


def read_lines(path: Path) -> pl.Series:
    """Return the lines of a file of UTF-8 text, without their ends; one may be empty."""
    return split_lines(path, read_text(path))


def split_lines(path: Path, content: bytes) -> pl.Series:
    """Return the lines of text that was read from `path`."""
    import polars as pl

    # A file of one column: zero bytes, which are in no text, stand between columns.
    schema = {"line": pl.String}
    try:
        lines = pl.read_csv(content, has_header=False, schema=schema, quote_char=None, separator="\0")
        return lines.to_series().fill_null("")
    except pl.exceptions.ComputeError as error:
        raise _undecodable(path, content, str(error)) from None


def _undecodable(path: Path, content: bytes, otherwise: str) -> DataError:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        where, byte = _line(content, error.start), content[error.start]
        return DataError(f"{path}, line {where}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8 text")
    return DataError(f"{path} cannot be read: {otherwise}")


def _line(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1
