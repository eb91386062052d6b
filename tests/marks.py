"""Which cases of a test with many are long."""

import pytest


def most_are_long(cases, every, name=str):
    """Return the cases as parameters; only each so many is in the short run."""
    return [pytest.param(c, id=name(c), marks=pytest.mark.long if i % every else ()) for i, c in enumerate(cases)]
