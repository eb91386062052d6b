"""The page on formal languages: its code runs unchanged, in order, and the error messages are those of the page."""

import re

import pytest

from myrnn.cli import main
from pages import DOCS

PAGE = (DOCS / "how-to" / "formal-languages.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_the_code_of_the_page_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "compute-sqrt" / "datasets" / "test"
    folder.mkdir(parents=True)
    (folder / "main.tok").write_text("0 1 1 = 0 1\n1 =\n")
    (folder / "labels.txt").write_text("1\n1\n")
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M):
        exec(compile(block, "formal-languages.md", "exec"), names)
    out = capsys.readouterr().out
    assert "Sequences(1,000 of tokens below 4, lengths 2 to 40) Dfa(16 states over (0 (1 )0 )1)" in out
    assert "True True True" in out
    assert "LabelCheck(1 of 2 labels are wrong)" in out
    assert (tmp_path / "wrong.csv").read_text().splitlines() == ["line,length,label,string", "2,2,1,1="]


@pytest.mark.parametrize(("command", "message"), re.findall(r"^\$ myrnn (train .*)\n(myrnn: .*)$", PAGE, re.M))
def test_error_messages_are_those_of_the_page(command, message, capsys):
    name, option, task, *rest = re.findall(r'"[^"]*"|\S+', command)
    assert main([name, option, task.strip('"'), *rest]) == 2
    assert capsys.readouterr().err.strip() == message
