"""Equations in lines short enough for a card."""

from __future__ import annotations

WIDTH = 30
_JOINTS = ("+", "-", "*", "/", "@", ">", "==")


def equation_lines(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Return the label of a card and the lines under it: all in the label where it fits."""
    whole = f"{name} = {text}"
    if len(whole) <= WIDTH:
        return whole, ()
    function, inner = _call(text)
    if function:
        return f"{name} = {function}(…)", wrapped(inner)
    return f"{name} =", wrapped(text)


def _call(text: str) -> tuple[str, str]:
    """Return the function and its argument if the whole text is the call of one with one argument."""
    function, _, rest = text.partition("(")
    if not function.isidentifier() or not rest.endswith(")"):
        return "", text
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter in "([") - (letter in ")]")
        if (depth == 0 and place < len(rest) - 1) or (depth == 1 and letter == ","):
            return "", text
    return function, rest[:-1]


def wrapped(text: str) -> tuple[str, ...]:
    """Break a text in front of signs and after commas, where the fewest parentheses are open."""
    if len(text) <= WIDTH:
        return (text,)
    depth, breaks = 0, []
    words = text.split(" ")
    place = 0
    for index, word in enumerate(words):
        # Sums are torn apart before products are.
        if index and (word in _JOINTS or words[index - 1].endswith(",")):
            breaks.append((depth, word not in "+-", place))
        depth += sum(letter in "([" for letter in word) - sum(letter in ")]" for letter in word)
        place += len(word) + 1
    if not breaks:
        return (text,)
    weakest = min(breaks)[:2]
    ends = [place for *kind, place in breaks if tuple(kind) == weakest]
    pieces = [text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    return _joined(pieces)


def _joined(pieces: list[str]) -> tuple[str, ...]:
    """Put as many pieces on a line as fit, and break those that are too long for one."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + 1 + len(piece) <= WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines += wrapped(piece)
    return tuple(lines)
