"""Names of a test's cases, and which of them are long."""

import pytest


def named(case):
    """Return what a case is called: functions and classes by their names, which are the same in every process."""
    return "-".join(map(named, case)) if isinstance(case, tuple) else getattr(case, "__name__", str(case))


def parameters(case, is_long):
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, id=named(case), marks=pytest.mark.long if is_long else ())


def most_are_long(cases, every):
    """Return the cases as parameters; only each so many is in the short run."""
    return [parameters(case, i % every) for i, case in enumerate(cases)]


def the_rest_is_long(cases, *short):
    """Return the cases as parameters; only those that are named again are in the short run."""
    return [parameters(case, case not in short) for case in cases]
