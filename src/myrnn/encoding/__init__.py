"""From what people have to what a model takes: sequences of numbers or symbols, and labels of any kind.

`read_sequences` brings the many ways of writing sequences down to two, `Symbols` and `Numbers`. A `SequenceEncoder`
is fitted on those of the training and turns any into a `Sequences`; `ClassLabels` do it with labels. What was fitted
is plain data: ``to_settings()`` returns values for JSON, ``from_settings()`` trusts none of them.
"""

from myrnn.encoding._encoder import SequenceEncoder
from myrnn.encoding._labels import ClassLabels
from myrnn.encoding._raw import Numbers, RawSequences, Symbols, Tokenize
from myrnn.encoding._read import read_sequences
from myrnn.encoding._standardizer import Standardizer
from myrnn.encoding._vocabulary import UNKNOWN, Vocabulary

__all__ = [
    "UNKNOWN",
    "ClassLabels",
    "Numbers",
    "RawSequences",
    "SequenceEncoder",
    "Standardizer",
    "Symbols",
    "Tokenize",
    "Vocabulary",
    "read_sequences",
]
