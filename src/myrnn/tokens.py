"""Sequences of symbols as text: digits, numbers separated by commas, or the names of the symbols."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument

DIGITS = frozenset("0123456789")


def read_tokens(text: str, size: int, names: Sequence[str] | None = None, *, may_be_empty: bool = False) -> list[int]:
    """Return the tokens of a text as `written_tokens` writes it, for an alphabet of `size` symbols."""
    if names is None or _are_numbers(names):
        return _read_numbers(text, size)
    is_spaced = separator(names) == " "
    symbols = text.split() if is_spaced else list(text)
    strange = next((symbol for symbol in symbols if symbol not in names), None)
    if strange is not None or not (symbols or may_be_empty):
        what = "is empty" if strange is None else f"has the symbol {strange!r}"
        how = "write symbols with spaces between, of these:" if is_spaced else "the symbols are"
        raise InvalidArgument(f"sequence {_checks.shown(text)} {what}: {how} {' '.join(names)}")
    return [names.index(symbol) for symbol in symbols]


def written_tokens(values: NDArray[Any], names: Sequence[str] | None = None, size: int | None = None) -> str:
    """Return tokens as text; features, which have none, as their number of rows and columns."""
    # Without `size`, digits as far as these tokens have only one.
    if values.ndim > 1:
        return f"{_checks.count_of(values.shape[0], 'row')} of {_checks.count_of(values.shape[1], 'feature')}"
    most = int(values.max(initial=0)) + 1 if size is None else size
    symbols = [str(token) if names is None else names[token] for token in values.tolist()]
    if names is None or _are_numbers(names):
        return ("" if most <= 10 else ",").join(symbols)
    return separator(names).join(symbols)


def separator(names: Iterable[str]) -> str:
    """Return what stands between symbols in text: nothing if each is one character, otherwise a space."""
    return "" if all(len(name) == 1 for name in names) else " "


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether the names of symbols are just their numbers, some of more digits than one."""
    return len(names) > 10 and list(names) == [str(token) for token in range(len(names))]


def _read_numbers(text: str, size: int) -> list[int]:
    if size > 10 and "," not in text:
        raise InvalidArgument(
            f"sequence {_checks.shown(text)}: separate numbers by commas, such as 10,3,10,3, "
            f"because the alphabet has {_checks.count_of(size, 'symbol')}"
        )
    parts = text.split(",") if "," in text else list(text)
    if not parts:
        raise InvalidArgument("a sequence is empty: write digits, such as 2020")
    for place, part in enumerate(parts, 1):
        # isdigit() would accept digits of other scripts, too.
        if not part or set(part) - DIGITS or len(part) > 10:
            raise InvalidArgument(
                f"sequence {_checks.shown(text)}: {_checks.shown(part)} at place {place} is not a digit"
            )
        if int(part) >= size:
            raise InvalidArgument(
                f"sequence {_checks.shown(text)}: {part} at place {place} is not one of the symbols 0 to {size - 1}"
            )
    return [int(part) for part in parts]
