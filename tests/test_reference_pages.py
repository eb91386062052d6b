"""The reference has a page for every public name, and every name on it exists."""

import ast
import builtins
import doctest
import inspect
import re
import sys
from dataclasses import is_dataclass

import pytest

import myrnn
from marks import most_are_long
from myrnn import results
from myrnn.results import Result
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


def value_of(name):
    """Return the object of a full name."""
    module, _, last = name.rpartition(".")
    return getattr(__import__(module, fromlist=[last]), last)


def callables_of(page):
    """Return the functions and classes that a page lists, by their full names."""
    values = {name: value_of(name) for name in listed(page)}
    return {name: value for name, value in values.items() if callable(value)}


def sections_of(text):
    """Return the lines of the sections of a NumPy docstring by their headings."""
    heading, sections = "", {"": []}
    lines = inspect.cleandoc(text).splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"-"}:
            heading, sections[line] = line, []
        elif not line or set(line) != {"-"}:
            sections[heading].append(line)
    return sections


def entries_of(text, *headings):
    """Return the names and the types that some sections of a NumPy docstring list."""
    sections = sections_of(text)
    lines = [line for heading in headings for line in sections.get(heading, []) if line and not line.startswith(" ")]
    pairs = [line.partition(" : ") for line in lines]
    return {name for names, _, _ in pairs for name in re.findall(r"\w+", names)}, [kind for _, _, kind in pairs]


def types_named_in(text):
    """Return the words with a capital letter in the types of the arguments, attributes and results of a docstring."""
    _, kinds = entries_of(text, "Parameters", "Attributes")
    results = [line for line in sections_of(text).get("Returns", []) if not line.startswith(" ")]
    return {word for kind in (*kinds, *results) for word in re.findall(r"\b[A-Z]\w+", kind)}


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_every_name_of_a_page_exists_and_has_a_docstring(page):
    assert listed(page)
    assert [name for name, value in callables_of(page).items() if not value.__doc__] == []


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_no_description_looks_like_a_numbered_list(page):
    """For the site, a description that begins with "C. By default" is item C of a list."""
    items = [
        (name, text)
        for name, value in callables_of(page).items()
        for _, text in re.findall(r"\n( *)\S.* : .*\n\1 +((?:\w|[ivxlcIVXLC]+)\. \S.*)", value.__doc__)
    ]
    assert items == []


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_the_arguments_and_the_result_of_every_function_are_described(page):
    for name, value in callables_of(page).items():
        if not isinstance(value, type):
            arguments = set(inspect.signature(value).parameters)
            assert arguments - entries_of(value.__doc__, "Parameters")[0] == set(), name
            returns_none = inspect.unwrap(value).__annotations__["return"] == "None"
            assert returns_none or "Returns" in sections_of(value.__doc__), name


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_every_function_and_class_has_an_example(page):
    without = [name for name, value in callables_of(page).items() if ">>>" not in value.__doc__]
    # An exception is raised, not used.
    assert [name for name in without if not issubclass(value_of(name), BaseException)] == []


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_an_example_imports_all_that_it_uses_besides_the_name_itself(page):
    missing = {}
    for name, value in callables_of(page).items():
        parts = doctest.DocTestParser().get_examples(value.__doc__)
        nodes = list(ast.walk(ast.parse("".join(part.source for part in parts))))
        known = {*dir(builtins), name.rpartition(".")[2], *(node.arg for node in nodes if isinstance(node, ast.arg))}
        known.update(node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                known.update(alias.asname or alias.name for alias in node.names)
        names = [node for node in nodes if isinstance(node, ast.Name)]
        known.update(node.id for node in names if isinstance(node.ctx, ast.Store))
        missing[name] = {node.id for node in names} - known
    assert {name: names for name, names in missing.items() if names} == {}


RESULTS = {name: value for page in TOPICS for name, value in callables_of(page).items() if is_dataclass(value)}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", most_are_long(RESULTS, 6))
def test_a_result_shows_itself_in_one_line_and_in_a_notebook_as_a_table(name):
    kind = RESULTS[name]
    (example,) = doctest.DocTestFinder(recurse=False).find(kind, name, globs=dict(vars(sys.modules[kind.__module__])))
    doctest.DocTestRunner().run(example, clear_globs=False)
    found = [value for value in example.globs.values() if type(value) is kind]
    assert found or not issubclass(kind, Result)
    for one in found:
        # The result of an exercise is read by a student.
        lines = repr(one).splitlines()
        assert len(lines) == 1 or kind is myrnn.exercises.ExerciseReport
        assert max(map(len, lines)) < 250 and "array(" not in lines[0]
        # What can be drawn has numbers.
        assert isinstance(one, Result) or not hasattr(one, "plot")
        if isinstance(one, Result):
            assert one._repr_html_().count("\n") > len(one.table())
            assert len(one.rows()) == len(one.data())


def test_the_page_of_figures_lists_every_result_that_has_one():
    assert myrnn.plots and myrnn.estimators and myrnn.sweep  # their modules register the figures
    page = (DOCS / "reference" / "api" / "plots.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r":class:`myrnn\.(?:\w+\.)*(\w+)`", page)) - {"InvalidArgument"}
    assert listed == {kind.__name__ for kind in results._FIGURES if kind.__module__.startswith("myrnn.")}


def test_every_type_that_a_page_names_has_a_page():
    documented = [value for page in TOPICS for value in callables_of(page).values()]
    classes = {
        value.__name__
        for name, module in sys.modules.items()
        if name.startswith("myrnn.") and name.split(".")[1] not in ("cli", "lesson", "playground")
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.startswith("myrnn.")
    }
    missing = classes - {value.__name__ for value in documented}
    named = {value.__qualname__: sorted(types_named_in(value.__doc__) & missing) for value in documented}
    assert {name: types for name, types in named.items() if types} == {}


@pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.stem)
def test_every_page_is_in_the_contents(page):
    assert f"\napi/{page.stem}\n" in (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
