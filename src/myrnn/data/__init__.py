"""Labelled sequences from files: CSV, TSV, JSON Lines, Parquet, and pairs of plain text files.

Polars reads them. It is imported when a file is read, so that nobody else waits for it.
"""

from myrnn.data._labelled import LabelledSequences
from myrnn.data._lines import without_gz
from myrnn.data._read import read_sequences
from myrnn.data._symbols import TokenSequences
from myrnn.data._tokenize import TOKENIZE, read_as, spaced

__all__ = ["TOKENIZE", "LabelledSequences", "TokenSequences", "read_as", "read_sequences", "spaced", "without_gz"]
