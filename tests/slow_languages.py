"""Formal languages by slow definitions over text that share no code with the library.

``python tests/slow_languages.py 1000000`` compares this many labels of each language, at lengths up to 500.
"""

import itertools
import re
import sys
from math import isqrt, nan


def number(text):
    """Return a little-endian binary number, or None if the text is not one."""
    if not text or not set(text) <= {"0", "1"}:
        return None
    value = 0
    for bit in reversed(text):
        value = 2 * value + (bit == "1")
    return value


def split(symbols, *signs):
    """Return the parts between signs that each occur once, in this order; otherwise None."""
    parts, rest = [], list(symbols)
    for sign in signs:
        if sign not in rest:
            return None
        at = rest.index(sign)
        parts.append(rest[:at])
        rest = rest[at + 1 :]
    parts.append(rest)
    return None if any(sign in part for part in parts for sign in signs) else parts


def equation(holds, *signs):
    def tell(symbols):
        parts = split(symbols, *signs)
        numbers = [] if parts is None else [number(part) for part in parts]
        return bool(numbers) and None not in numbers and holds(*numbers)

    return tell


def marked(answer):
    def tell(symbols):
        parts = split(symbols, "#")
        return parts is not None and answer(parts[0]) == parts[1]

    return tell


def brackets(opening, closing, depth=None):
    def tell(symbols):
        stack = []
        for symbol in symbols:
            if symbol in opening:
                stack.append(opening.index(symbol))
            elif not stack or stack.pop() != closing.index(symbol):
                return False
            if depth is not None and len(stack) > depth:
                return False
        return not stack

    return tell


def stack_manipulation(symbols):
    rest, stack = list(symbols), []
    while rest and rest[0] in "01":
        stack.append(rest.pop(0))
    while rest and rest[0] != "#":
        operation = rest.pop(0)
        if operation == "PUSH":
            if not rest or rest[0] not in ("0", "1"):
                return False
            stack.append(rest.pop(0))
        elif operation == "POP" and stack:
            stack.pop()
        else:
            return False
    return bool(rest) and rest[1:] == stack[::-1]


def missing_duplicate(symbols):
    filled = ["1" if symbol == "_" else symbol for symbol in symbols]
    half = len(filled) // 2
    return symbols.count("_") == 1 and len(filled) == 2 * half and filled[:half] == filled[half:]


def cycle(symbols):
    *moves, last = symbols or ["<"]
    place = sum({"<": -1, ">": 1, "=": 0}.get(move, nan) for move in moves)
    return last.isdigit() and place % 5 == int(last)


def left_to_right(symbols):
    if len(symbols) < 3 or len(symbols) % 2 == 0 or symbols[-2] != "=":
        return False
    numbers, signs = symbols[::2], symbols[1:-2:2]
    if not all(n.isdigit() for n in numbers) or not all(sign in ("+", "-", "*") for sign in signs):
        return False
    value = int(numbers[0])
    for sign, digit in zip(signs, numbers[1:], strict=False):
        value = {"+": value + int(digit), "-": value - int(digit), "*": value * int(digit)}[sign]
    return value % 5 == int(numbers[-1])


def odd_then_odd(symbols):
    runs = [(symbol, len(list(run))) for symbol, run in itertools.groupby(symbols)]
    return any(one == "1" and other == "0" and n % 2 and m % 2 for (one, n), (other, m) in itertools.pairwise(runs))


def matches(pattern):
    return lambda symbols: re.fullmatch(pattern, "".join(symbols)) is not None


FLARE = {
    "even-pairs": lambda s: not s or s[0] == s[-1],
    "repeat-01": lambda s: "".join(s) == "01" * (len(s) // 2),
    "parity": lambda s: s.count("1") % 2 == 1,
    "cycle-navigation": cycle,
    "modular-arithmetic-simple": left_to_right,
    "dyck-2-3": brackets(["(0", "(1"], [")0", ")1"], 3),
    "first": lambda s: s[:1] == ["1"],
    "majority": lambda s: s.count("1") > s.count("0"),
    "stack-manipulation": stack_manipulation,
    "marked-reversal": marked(lambda w: w[::-1]),
    "unmarked-reversal": lambda s: len(s) % 2 == 0 and s == s[::-1],
    "marked-copy": marked(lambda w: w),
    "missing-duplicate-string": missing_duplicate,
    "odds-first": marked(lambda w: w[::2] + w[1::2]),
    "binary-addition": equation(lambda a, b, c: a + b == c, "+", "="),
    "binary-multiplication": equation(lambda a, b, c: a * b == c, "\N{MULTIPLICATION SIGN}", "="),
    "compute-sqrt": equation(lambda a, b: isqrt(a) == b, "="),
    "bucket-sort": marked(sorted),
}
TOMITA = {
    1: lambda s: "0" not in s,
    2: matches("(10)*"),
    3: lambda s: not odd_then_odd(s),
    4: lambda s: "000" not in "".join(s),
    5: lambda s: s.count("0") % 2 == 0 and s.count("1") % 2 == 0,
    6: lambda s: (s.count("0") - s.count("1")) % 3 == 0,
    7: matches("0*1*0*1*"),
}


def tasks(longest):
    """Return a task for each language, with the slow definition."""
    from myrnn.tasks import ContextFree, Dyck, EqualCounts, Flare, Regular, Tomita

    given = {"length_min": 0, "length_max": longest, "any_length": True}
    found = {f"flare {name}": (Flare(name, **given), tell) for name, tell in FLARE.items()}
    found |= {f"tomita {number}": (Tomita(number, **given), tell) for number, tell in TOMITA.items()}
    equal = lambda s: len({s.count(letter) for letter in "abc"}) == 1  # noqa: E731
    expression = matches(r"-*x([+*]-*x)*")
    return found | {
        "dyck 2": (Dyck(2, **given), brackets("([", ")]")),
        "dyck 1 2": (Dyck(1, 2, **given), brackets("(", ")", 2)),
        "equal abc": (EqualCounts("abc", **given), lambda s: equal(s) and s == sorted(s)),
        "equal abc in any order": (EqualCounts("abc", False, **given), equal),
        "regular": (Regular("(ab|ba)*c?[a-c]{2,3}", **given), matches("(ab|ba)*c?[a-c]{2,3}")),
        "grammar of expressions": (
            ContextFree("E -> T | E + T; T -> F | T * F; F -> x | - F", **{**given, "length_max": min(longest, 60)}),
            expression,
        ),
    }


def wrong_labels(task, tell, count, rng):
    """Return strings whose label differs from the slow definition."""
    drawn = task.sample(count, rng)
    names = task.symbol_names
    wrong = []
    for index, label in enumerate(drawn.labels.tolist()):
        symbols = [names[token] for token in drawn.values[drawn.offsets[index] : drawn.offsets[index + 1]].tolist()]
        if tell(symbols) != bool(label):
            wrong.append((symbols, label))
    return wrong


if __name__ == "__main__":
    import numpy as np

    total = int(sys.argv[1])
    for name, (task, tell) in tasks(500).items():
        rng = np.random.default_rng(0)
        wrong, done = 0, 0
        while done < total:
            count = min(20_000, total - done)
            wrong += len(wrong_labels(task, tell, count, rng))
            done += count
        print(f"{name}: {wrong} of {done:,} labels are wrong", flush=True)
