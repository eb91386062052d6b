"""What the symbols of text are: its words, or its characters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from myrnn._user_code import warn

WORDS, CHARACTERS, AUTO = "words", "characters", "auto"
TOKENIZE = (AUTO, WORDS, CHARACTERS)
# White space as `str.split` knows it, for Polars, which does not count the last four.
WHITE = r"[\s\x1c-\x1f]"
# Text of several words.
SEVERAL = re.compile(r"\S\s+\S")
# A smaller share of texts with spaces than this may be a slip.
FEW = 0.1


def read_as(tokenize: str, with_spaces: int, total: int, source: str) -> str:
    """Return whether texts are read as words or as characters: where that is not said, words if one has a space in it.

    Parameters
    ----------
    tokenize : {"auto", "words", "characters"}
    with_spaces, total : int
        How many of the texts have white space between two words, and how many there are.
    source : str
        What the texts are called in a warning, which says so where few of them have any.
    """
    if tokenize != AUTO:
        return tokenize
    if not with_spaces:
        return CHARACTERS
    if with_spaces < FEW * total:
        warn(
            f"{source} is read as words, because {with_spaces:,} of {total:,} texts have spaces: tokenize='characters' "
            "makes every character a symbol"
        )
    return WORDS


def spaced(texts: Sequence[str]) -> int:
    """Return how many texts have white space between two words."""
    return sum(SEVERAL.search(text) is not None for text in texts)
