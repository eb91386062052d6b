"""The reference has a page for every public name, and every name on it exists."""

import re

import pytest

import myrnn
from pages import DOCS

TOPICS = sorted((DOCS / "reference" / "api").glob("*.rst"))
MODULES = (myrnn, myrnn.tasks, myrnn.plots, myrnn.exercises)


def listed(page):
    """Return the full names that a page of the reference lists: in its summaries, and one by one."""
    module, found, summary = "myrnn", [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if (directive := re.match(r"\.\. (\w+):: ?(.*)$", line)) is not None:
            kind, argument = directive.groups()
            summary = kind == "autosummary"
            if kind in ("module", "currentmodule"):
                module = argument
            elif kind == "data":
                found.append(f"{module}.{argument}")
            elif kind == "automodule":
                found.append(argument)
        elif summary and re.fullmatch(r"   \w+", line):
            found.append(f"{module}.{line.strip()}")
        elif line and not line.startswith(" "):
            summary = False
    return found


def test_every_public_name_is_in_one_place():
    names = [name for page in TOPICS for name in listed(page)]
    assert len(names) == len(set(names))
    # A name that two modules export has a page in one of them.
    places = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            owner = value.__name__ if value in MODULES else None
            key = owner or (getattr(value, "__module__", module.__name__), name)
            places.setdefault(key, set()).add(owner or f"{module.__name__}.{name}")
    documented = {*names, "myrnn.tasks", "myrnn.plots", "myrnn.exercises"}
    assert [sorted(where) for where in places.values() if not where & documented] == []


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_every_name_of_a_page_exists_and_has_a_docstring(page):
    assert listed(page)
    for name in listed(page):
        module, _, last = name.rpartition(".")
        value = getattr(__import__(module, fromlist=[last]), last)
        if callable(value):
            assert value.__doc__, name


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_every_page_is_in_the_contents(page):
    assert f"\napi/{page.stem}\n" in (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
