"""Sequences and labels, from files and from memory, as a model takes them.

The files in the order in which data pass through them: `files` reads one file and `series` a table of numbers,
`symbols` splits text and stores sequences flat, `read` turns a file into sequences and targets, `memory` makes flat
sequences from Python objects, `encode` is fitted on the training sequences and turns others into tokens, numbers and
classes, `differences` takes those of a series and adds them up again, and `targets` turns targets into what a model
learns.

Polars is imported on first use.
"""

from myrnn.data.differences import Differences, trend_of
from myrnn.data.encode import UNKNOWN, ClassLabels, SequenceEncoder, Standardizer, Vocabulary
from myrnn.data.files import is_tabbed, without_gz
from myrnn.data.memory import flat_sequences
from myrnn.data.read import DEFAULT_COLUMNS, LabelledSequences, labels_beside, read_examples, read_sequences
from myrnn.data.series import is_number
from myrnn.data.symbols import TOKENIZE, Numbers, RawSequences, Tokenize, TokenSequences
from myrnn.data.targets import LABELS, LEARN, NEXT, SERIES, TAGS, TEXT, VALUES, RawTargets, TargetEncoder, cut_in_two

__all__ = [
    "DEFAULT_COLUMNS",
    "LABELS",
    "LEARN",
    "NEXT",
    "SERIES",
    "TAGS",
    "TEXT",
    "TOKENIZE",
    "UNKNOWN",
    "VALUES",
    "ClassLabels",
    "Differences",
    "LabelledSequences",
    "Numbers",
    "RawSequences",
    "RawTargets",
    "SequenceEncoder",
    "Standardizer",
    "TargetEncoder",
    "TokenSequences",
    "Tokenize",
    "Vocabulary",
    "cut_in_two",
    "flat_sequences",
    "is_number",
    "is_tabbed",
    "labels_beside",
    "read_examples",
    "read_sequences",
    "trend_of",
    "without_gz",
]
