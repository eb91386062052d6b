"""How text is split into symbols: its words, or its characters."""

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
    """Return how texts are read; ``"auto"`` is words if any of them has a space between two words, else characters.

    Parameters
    ----------
    tokenize : {"auto", "words", "characters"}
    with_spaces, total : int
        How many of the texts have white space between two words, and how many there are.
    source : str
        What a warning calls the texts, where only few of them have one.
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
