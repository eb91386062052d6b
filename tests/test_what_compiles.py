"""The page about ways to write a model shows the real results of the compiler."""

import re

import pytest

from pages import DOCS, script


@pytest.fixture(scope="module")
def maker(gru_in_python):
    with script("make_what_compiles") as module:
        yield module


@pytest.fixture(scope="module")
def rows(maker):
    return [row for rows in maker.ROWS.values() for row in rows]


@pytest.fixture(scope="module")
def document():
    return (DOCS / "explanation" / "what-compiles.md").read_text(encoding="utf-8")


def test_the_model_at_the_top_of_the_page_compiles_as_it_is_shown(maker, document, capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```$", document, re.S | re.M)
    names = {}
    exec(compile(code, "what-compiles.md", "exec"), names)
    assert capsys.readouterr().out.endswith("logits = h @ v\n")
    assert all(names[size] == getattr(maker, size) for size in "CDK")


@pytest.mark.long
def test_the_page_shows_the_result_for_every_model(maker, document):
    assert maker.filled(document) == document, "run python docs/make_what_compiles.py"


def test_the_page_shows_the_result_for_some_models(maker, rows, document):
    lines = document.splitlines()
    for row in rows[::60]:
        assert maker.line(row) in lines, "run python docs/make_what_compiles.py"


def test_every_model_is_in_the_page_and_only_rejected_ones_have_an_alternative(maker, rows, document):
    lines = re.findall(r"^\| .*`.*", document, flags=re.MULTILINE)
    assert len(lines) == len(rows) >= 40
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row.head), "run python docs/make_what_compiles.py"
        assert line.endswith(f"Instead: {row.instead} |" if row.instead else " |")
        assert ("**rejected**" in line) == bool(row.instead)
