"""Names of a test's cases, and which of them are long."""

import pytest


def named(case):
    """Return the name of a case; that of a function or class is the same in every process."""
    return "-".join(map(named, case)) if isinstance(case, tuple) else getattr(case, "__name__", str(case))


def parameters(case, is_long):
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, id=named(case), marks=pytest.mark.long if is_long else ())


def most_are_long(cases, every):
    """Return the cases as parameters; only every n-th is in the short run."""
    return [parameters(case, i % every) for i, case in enumerate(cases)]


def the_rest_is_long(cases, *short):
    """Return the cases as parameters; only the named ones are in the short run."""
    return [parameters(case, case not in short) for case in cases]
