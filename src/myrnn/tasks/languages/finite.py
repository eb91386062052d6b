"""Regular languages that are known by name, as automata."""

from __future__ import annotations

from functools import cache

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.tasks.languages.automata import MOST_STATES, Dfa
from myrnn.tasks.languages.regular import regular

BITS = ("0", "1")
_TOMITA = (
    "1*",
    "(10)*",
    "0*((11)+0+|1(11)*(00)+)*1*",
    "((|0|00)1)*(|0|00)",
    "(00|11|(01|10)(00|11)*(01|10))*",
    "(1(10)*(0|11)|0(01)*(1|00))*",
    "0*1*0*1*",
)


@cache
def tomita(number: int) -> Dfa:
    """Return one of Tomita's seven languages over 0 and 1, as its smallest automaton.

    They are (1) ``1*``, (2) ``(10)*``, (3) no odd run of 1s with an odd run of 0s right after it, (4) no ``000``,
    (5) an even number of 0s and one of 1s, (6) as many 0s as 1s, modulo 3, (7) ``0*1*0*1*``.

    Parameters
    ----------
    number : int
        1 to 7.

    Returns
    -------
    Dfa

    Raises
    ------
    InvalidArgument
        When there is no such language.

    References
    ----------
    Tomita, "Dynamic construction of finite automata from examples using hill-climbing", 1982.

    Examples
    --------
    >>> [len(tomita(number)) for number in range(1, 8)]
    [2, 3, 5, 4, 4, 3, 5]
    """
    return regular(_TOMITA[_checks.integer("number", number, minimum=1, maximum=7) - 1], BITS)


def cycle_navigation(size: int = 5) -> Dfa:
    """Return moves on a cycle (``<`` back, ``>`` forward, ``=`` stay) and then the place where they end, from 0."""
    digits = tuple(map(str, range(size)))
    moves = {"<": -1, ">": 1, "=": 0}
    symbols = ("<", ">", "=", *digits)

    def move(state: int | str, token: int) -> int | str:
        name = symbols[token]
        if not isinstance(state, int):
            return "lost"
        return (state + moves[name]) % size if name in moves else ("end" if int(name) == state else "lost")

    return Dfa.explored(symbols, 0, move, lambda state: state == "end")


def modular_arithmetic(size: int = 5) -> Dfa:
    """Return expressions of + - *, worked out from left to right, then ``=`` and the value, modulo `size`."""
    digits = tuple(map(str, range(size)))
    symbols = (*digits, "+", "-", "*", "=")

    def move(state: tuple[int, str] | str, token: int) -> tuple[int, str] | str:
        name = symbols[token]
        if state == "start":
            return (token, "") if name in digits else "lost"
        if isinstance(state, str):
            return "lost"
        value, sign = state
        if not sign:
            return (value, name) if name not in digits else "lost"
        if name not in digits:
            return "lost"
        if sign == "=":
            return "end" if token == value else "lost"
        return ({"+": value + token, "-": value - token, "*": value * token}[sign] % size, "")

    return Dfa.explored(symbols, "start", move, lambda state: state == "end")


def bracket_names(kinds: int) -> tuple[str, ...]:
    """Return the names of the symbols of so many kinds of brackets, all that open and then all that close."""
    if kinds <= 3:
        return (*"([{"[:kinds], *")]}"[:kinds])
    return (*(f"({kind}" for kind in range(kinds)), *(f"){kind}" for kind in range(kinds)))


def bounded_dyck(kinds: int, depth: int) -> Dfa:
    """Return balanced brackets of so many kinds, at most so many within each other; refuse too many states."""
    states, level = 1, 1
    for _ in range(depth):
        level *= kinds
        states += level
        # Each has a way for each of the symbols.
        if states * kinds >= MOST_STATES:
            raise InvalidArgument(f"{kinds} kinds of brackets, {depth} deep, take too many states: leave the depth out")

    def move(open_: tuple[int, ...] | None, token: int) -> tuple[int, ...] | None:
        if open_ is None:
            return None
        if token < kinds:
            return (*open_, token) if len(open_) < depth else None
        return open_[:-1] if open_ and open_[-1] == token - kinds else None

    return Dfa.explored(bracket_names(kinds), (), move, lambda open_: open_ == ())
