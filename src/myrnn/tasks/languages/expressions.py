"""Expressions with brackets modulo 5: drawing by length, and evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from myrnn.errors import InvalidArgument

MODULUS = 5
_DIGITS = frozenset("01234")


def draw_expression(length: int, signs: str, rng: np.random.Generator) -> str:
    """Draw an expression of this length: a digit, -digit, either in brackets, or (expression sign expression)."""
    if length <= 4:
        text = str(rng.integers(MODULUS))
        text = f"-{text}" if length % 2 == 0 else text
        return f"({text})" if length > 2 else text
    left = int(rng.integers(1, length - 3))
    sign = signs[rng.integers(len(signs))]
    return f"({draw_expression(left, signs, rng)}{sign}{draw_expression(length - 3 - left, signs, rng)})"


def value_of(symbols: Sequence[str], x: int = 0) -> int:
    """Return the value of an expression, modulo 5, with the usual precedence.

    Raises
    ------
    InvalidArgument
        When it is not an expression.
    """
    # Of each open bracket: the sum of all terms before, and the product of the present one so far.
    levels: list[tuple[int, int]] = []
    total, product = 0, 1
    wants_number = True
    for symbol in symbols:
        if wants_number and (symbol in _DIGITS or symbol == "x"):
            product, wants_number = product * (x if symbol == "x" else int(symbol)) % MODULUS, False
        elif wants_number and symbol == "-":
            product = -product
        elif wants_number and symbol == "(":
            levels.append((total, product))
            total, product = 0, 1
        elif not wants_number and symbol in "+-":
            total, product, wants_number = total + product, 1 if symbol == "+" else -1, True
        elif not wants_number and symbol == "*":
            wants_number = True
        elif not wants_number and symbol == ")" and levels:
            inner = total + product
            total, product = levels.pop()
            product = product * inner % MODULUS
        else:
            break
    else:
        if not wants_number and not levels:
            return (total + product) % MODULUS
    raise InvalidArgument(f"{' '.join(symbols)} is not an expression")
