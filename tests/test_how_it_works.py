"""The page about the compiler shows what its stages really say."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"

if not DOCS.exists():
    pytest.skip("the documentation is not part of this copy", allow_module_level=True)


@pytest.fixture(scope="module")
def maker():
    # Registered for a while, so that the source of its model can be found.
    spec = importlib.util.spec_from_file_location("make_how_it_works", DOCS / "make_how_it_works.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def document():
    return (DOCS / "how-it-works.md").read_text(encoding="utf-8")


def test_the_page_shows_the_stages_as_they_are(maker, document):
    assert maker.filled(document) == document, "run python docs/make_how_it_works.py"


def test_every_stage_has_a_place(maker, document):
    assert set(re.findall(r"<!-- ([\w ]+) -->", document)) - {"end"} == set(maker.texts())


def test_every_file_of_the_table_is_there(document):
    files = re.findall(r"^\| \w+ \| (`.*`) \|", document, flags=re.MULTILINE)
    named = {name for cell in files for name in re.findall(r"`(\w+)`", cell)}
    compiler = DOCS.parent / "src" / "myrnn" / "compiler"
    assert len(files) == 7
    assert all((compiler / f"{name}.py").exists() for name in named)
