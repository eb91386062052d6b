"""Data flow one way: a module imports only from modules above it, and never private names of another package."""

import ast
import re
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "myrnn"
ORDER = (
    "_version",
    "_signals",
    "_start",
    "errors",
    "_checks",
    "_user_code",
    "settings",
    "registry",
    "_keywords",
    "output",
    "terminal",
    "intervals",
    "results",
    "learning_curve",
    "storage",
    "flat",
    "targets",
    "sequences",
    "tokens",
    "finite",
    "randomness",
    "data",
    "tasks",
    "models",
    "optimizers",
    "schedules",
    "losses",
    "added_loss",
    "compiler",
    "training",
    "generation",
    "experiment",
    "evaluation",
    "inspection",
    "plots",
    "graphs",
    "web",
    "runs",
    "sweeps",
    "estimators",
    "exports",
    "exercises",
    "lesson",
    "playground",
    "cli",
    "__main__",
)
SHARED = ("_checks", "_keywords", "_signals", "_start", "_user_code", "_version")


@cache
def tree_of(source):
    """Return the syntax tree of a source, which is parsed once."""
    return ast.parse(source)


def imported(tree, package):
    """Yield ``(line, dotted name)`` of all that a module of `package` imports, late imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


# A result imports the figures when it is drawn: the only import of a module below.
DOOR = ("results.py", "myrnn.plots", "plot")


def imports_of(path, tree, package):
    """Yield the imports of a module, late ones included, without the door."""
    draw = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == DOOR[2]]
    inside = {line for node in draw for line in range(node.lineno, node.end_lineno + 1)}
    for line, name in imported(tree, package):
        if (str(path), name) != DOOR[:2] or line not in inside:
            yield line, name


def wrong_imports(path, source):
    """Return a line for every import of `source`, the module at `path` under the package, that breaks the rules."""
    parts = path.with_suffix("").parts
    part = parts[0]
    if part not in ORDER:
        return [f"{path}: {part} has no place in the order"]
    package = ".".join(("myrnn", *parts[:-1]))
    problems = []
    for line, name in imports_of(path, tree_of(source), package):
        top, *rest = name.split(".")
        if top != "myrnn":
            continue
        # The version is defined in the package itself, before its imports.
        if rest == ["__version__"]:
            continue
        if not rest or rest[0] not in ORDER:
            problems.append(f"{path}:{line}: {name} is not a module of the order")
        elif rest[0] != part and ORDER.index(rest[0]) > ORDER.index(part):
            problems.append(f"{path}:{line}: {part} comes before {rest[0]} and may not import it")
        elif rest[0] not in (part, *SHARED) and any(step.startswith("_") for step in rest):
            problems.append(f"{path}:{line}: {name} is private to {rest[0]}")
    return problems


MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
KNOWN = frozenset(MODULES)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_from_modules_above_it(path):
    assert wrong_imports(path, (SOURCE / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("sequences.py", "from myrnn.tasks import TwinHalves", "sequences comes before tasks and may not import it"),
        ("sequences.py", "import numpy, myrnn.tasks", "sequences comes before tasks and may not import it"),
        ("sequences.py", "from myrnn import tasks", "sequences comes before tasks and may not import it"),
        ("sequences.py", "from . import tasks", "sequences comes before tasks and may not import it"),
        ("sequences.py", "def late():\n    import myrnn.cli", "sequences comes before cli and may not import it"),
        ("tasks/halves.py", "from ..models import RNN", "tasks comes before models and may not import it"),
        ("tasks/__init__.py", "from .. import training", "tasks comes before training and may not import it"),
        ("cli.py", "from myrnn.models._rnn import RNN", "myrnn.models._rnn.RNN is private to models"),
        ("cli.py", "from myrnn.models import _rnn", "myrnn.models._rnn is private to models"),
        ("cli.py", "from myrnn.sequences import _part", "myrnn.sequences._part is private to sequences"),
        ("cli.py", "from myrnn import RNN", "myrnn.RNN is not a module of the order"),
        ("cli.py", "import myrnn", "myrnn is not a module of the order"),
        ("results.py", "from myrnn import plots", "results comes before plots and may not import it"),
        ("tasks/halves.py", "def plot():\n    import myrnn.plots", "tasks comes before plots and may not import it"),
    ],
)
def test_a_wrong_import_is_found(path, source, problem):
    line = source.count("\n") + 1
    assert wrong_imports(Path(path), source) == [f"{Path(path)}:{line}: {problem}"]


def module_of(name):
    """Return the file of the module that a dotted name is, or is in; None for a name outside of the package."""
    parts = name.split(".")[1:]
    for count in range(len(parts), 0, -1):
        for file in (Path(*parts[:count]).with_suffix(".py"), Path(*parts[:count], "__init__.py")):
            if file in KNOWN:
                return file
    return None


def imports_between_files(sources):
    """Return the files that each file imports, late imports included, but not the door, nor what only types need."""
    graph = {}
    for path, source in sources.items():
        tree = tree_of(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
                node.body = []
        names = [name for _, name in imports_of(path, tree, ".".join(("myrnn", *path.parts[:-1])))]
        graph[path] = {module_of(name) for name in names if name.split(".")[0] == "myrnn"} - {None, path}
    return graph


def test_no_file_imports_itself_through_others():
    files = {path: (SOURCE / path).read_text(encoding="utf-8") for path in MODULES}
    assert sorted(TopologicalSorter(imports_between_files(files)).static_order()) == MODULES


def test_a_circle_of_imports_is_found():
    sources = {
        Path("results.py"): "def plot():\n    from myrnn.tasks import halves\n    import myrnn.plots",
        Path("tasks/halves.py"): "from myrnn import results",
        Path("plots/__init__.py"): "from myrnn import results",
    }
    with pytest.raises(CycleError) as caught:
        TopologicalSorter(imports_between_files(sources)).prepare()
    assert {str(path) for path in caught.value.args[1]} == {"results.py", str(Path("tasks/halves.py"))}


# Packages that are only imported on request: for data frames, clusters, the playground, notebooks.
OPTIONAL = {"aalpy", "pandas", "distributed", "ray", "anyio", "starlette", "uvicorn", "websockets", "IPython", "onnx"}
PACKAGES = {"sklearn": "scikit-learn", "llvmlite": "numba"}


def test_what_is_imported_is_installed_with_the_library():
    trees = [(path, tree_of((SOURCE / path).read_text(encoding="utf-8"))) for path in MODULES]
    names = {name.split(".")[0] for path, tree in trees for _, name in imported(tree, f"myrnn.{path.parent.name}")}
    needed = {PACKAGES.get(name, name) for name in names - set(sys.stdlib_module_names) - OPTIONAL - {"myrnn"}}
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert needed <= {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}


def test_the_order_contains_the_package():
    assert {Path("errors.py"), Path("tasks/halves.py")} <= set(MODULES)


def test_a_module_that_is_not_in_the_order_is_found():
    assert wrong_imports(Path("utils.py"), "") == ["utils.py: utils has no place in the order"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tasks/halves.py", "from myrnn import _checks\nfrom myrnn.sequences import Sequences\nimport numpy"),
        (
            "tasks/__init__.py",
            "from myrnn.tasks.halves import TwinHalves\nfrom .halves import FAMILIES\nfrom . import halves",
        ),
        ("results.py", "class Result:\n    def plot(self):\n        import myrnn.plots"),
        ("cli.py", "import myrnn.models\nfrom myrnn import __version__, training\nfrom myrnn._checks import integer"),
    ],
)
def test_right_imports_pass(path, source):
    assert wrong_imports(Path(path), source) == []


CONTRIBUTING = SOURCE.parents[1] / "CONTRIBUTING.md"


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="the documentation is not part of this copy")
def test_contributing_lists_the_modules_in_order_and_every_dependency():
    text = CONTRIBUTING.read_text(encoding="utf-8")
    tables = {title: body for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.M | re.S)}
    first = {title: re.findall(r"^\| (`.*?) \|", body, re.M) for title, body in tables.items()}
    assert tuple(re.findall(r"`(\w+)`", " ".join(first["Where things live"]))) == ORDER
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[\w-]+", wanted)[0] for wanted in project["dependencies"]}
    assert needed <= set(re.findall(r"`([\w-]+)`", " ".join(first["Dependencies"])))
