"""How a network is written: the options that the formats share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How to write a network.

    Attributes
    ----------
    name : str
        An identifier: what names of the file begin with, if the format has an option for it.
    tokens : bool
        Whether the network reads tokens, which are integers, instead of rows of numbers.
    batched : bool
        Whether it reads several sequences at once.
    training : bool
        Whether the file can continue training.
    """

    name: str
    tokens: bool = False
    batched: bool = False
    training: bool = False
