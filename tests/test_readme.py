"""The README's snippets in Python run one by one, as they stand."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_there_are_snippets():
    assert len(SNIPPETS) >= 3


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: re.search(r"\w+ = .*|class \w+", snippet)[0][:30])
def test_a_snippet_runs_as_it_stands(snippet, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {"__name__": "snippet"})
    # What it says it prints.
    if "as below" in snippet:
        equations = README[README.index(snippet) :].split("```")[2].strip()
        assert equations in capsys.readouterr().out
