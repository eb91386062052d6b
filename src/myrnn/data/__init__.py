"""Sequences and labels, from files and from memory, as a model takes them.

The files in the order in which data pass through them: `files` reads one file and `series` a table of numbers,
`symbols` splits text and stores sequences flat, `read` turns a file into sequences and targets, `memory` makes flat
sequences from Python objects, `encode` is fitted on the training sequences and turns others into tokens, numbers and
classes, `differences` takes those of a series and adds them up again, `targets` turns targets into what a model
learns, and `overlap` compares a test with the training data.

Polars is imported on first use.
"""

from myrnn.data.differences import Differences
from myrnn.data.encode import ClassLabels, SequenceEncoder, Standardizer, Vocabulary
from myrnn.data.memory import flat_sequences
from myrnn.data.read import LabelledSequences, read_sequences
from myrnn.data.symbols import Numbers, TokenSequences
from myrnn.data.targets import TargetEncoder

__all__ = [
    "ClassLabels",
    "Differences",
    "LabelledSequences",
    "Numbers",
    "SequenceEncoder",
    "Standardizer",
    "TargetEncoder",
    "TokenSequences",
    "Vocabulary",
    "flat_sequences",
    "read_sequences",
]
