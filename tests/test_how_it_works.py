"""The page about the compiler shows the real output of its stages."""

import re
from functools import cache

import pytest

from pages import DOCS, script


@pytest.fixture(scope="module")
def maker():
    with script("make_how_it_works") as module:
        module.texts = cache(module.texts)
        yield module


@pytest.fixture(scope="module")
def document():
    return (DOCS / "explanation" / "how-it-works.md").read_text(encoding="utf-8")


def test_the_page_shows_the_stages_as_they_are(maker, document):
    assert maker.filled(document) == document, "run python docs/make_how_it_works.py"


def test_every_stage_is_on_the_page(maker, document):
    assert set(re.findall(r"<!-- ([\w ]+) -->", document)) - {"end"} == set(maker.texts())


def test_every_file_of_the_table_is_there(document):
    files = re.findall(r"^\| \w+ \| (`.*`) \|", document, flags=re.MULTILINE)
    named = {name for cell in files for name in re.findall(r"`([\w/]+)`", cell)}
    compiler = DOCS.parent / "src" / "myrnn" / "compiler"
    assert len(files) == 7
    assert all((compiler / f"{name}.py").exists() for name in named)
