"""Print how many models of the corpus compile, and why the others are refused.

Usage: ``PYTHONPATH=src:tests python -m recurrences [part of a name or group]``.
"""

import sys
from collections import Counter

from myrnn.compiler import compile
from myrnn.errors import MyRNNError

from . import ALL, C


def refusal(entry):
    """Return in one line why a model is refused, or None if it compiles."""
    try:
        compile(entry.made(), max_length=min(20, entry.largest), dim_input=C, check=False)
    except MyRNNError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return None


def main(wanted=""):
    """Compile all models whose name or group contains the text."""
    chosen = [entry for entry in ALL if wanted.lower() in f"{entry.group}.{entry.name}".lower()]
    told = {entry: refusal(entry) for entry in chosen}
    for entry, why in told.items():
        if why:
            print(f"{entry.group}.{entry.name}: {why}")
        if (why is None) != entry.compiles:
            print(f"{entry.group}.{entry.name}: not what is expected, which is compiles={entry.compiles}")
    all_of, compiled = Counter(e.group for e in chosen), Counter(e.group for e, why in told.items() if not why)
    print(f"{compiled.total()} of {all_of.total()} models compile: ", end="")
    print(", ".join(f"{group} {compiled[group]} of {n}" for group, n in all_of.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
