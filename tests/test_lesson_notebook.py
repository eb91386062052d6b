import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cells import run
from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.exercises import ExerciseReport, check_generate_sequence, check_model
from myrnn.lesson import PARTS, Cell, lesson_source, make_version, read_cells, write_lesson
from myrnn.models import RNN
from myrnn.plots import LivePlot

ROOT = Path(__file__).parents[1]

SMALL = """\
---
jupyter: {}
---

# Title

Text.

<!-- <COGNOTE> -->
> A note.
<!-- </COGNOTE> -->

```python
def f(x):
    # <COGSTUB>
    # # Your code.
    # return ...
    # </COGSTUB>
    # <COGINST>
    y = 2 * x
    return y
    # </COGINST>

z = f(3)  # <COGLINE>
```

<!-- <COGSTUB>
Write it.
</COGSTUB> -->

The end. <!-- <COGLINE> -->
"""


# ---- cells


def test_cells_are_read():
    text = (
        "---\nh: 1\n---\n\n# One\n\nstill one\n\n\n# Two\n```python\n\na = 1\n\n\nb = 2\n```\nThree\n\n```python\n```\n"
    )
    assert read_cells(text) == (
        Cell("markdown", "# One\n\nstill one", 5),
        Cell("markdown", "# Two", 10),
        Cell("code", "a = 1\n\n\nb = 2", 13),
        Cell("markdown", "Three", 18),
        Cell("code", "", 0),
    )


def test_a_region_is_one_cell_with_its_fenced_blocks():
    region = "<!-- #region -->\n# One\n\n\n```python\nno_cell\n```\n\n\nend\n<!-- #endregion -->\n\n"
    text = f"{region}```text\n\n\nblock\n```\n"
    assert read_cells(text) == (
        Cell("markdown", "# One\n\n\n```python\nno_cell\n```\n\n\nend", 2),
        Cell("markdown", "```text\n\n\nblock\n```", 13),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\na: 1\n", "line 1: the header that begins here is never closed by ---"),
        ("text\n```python\na = 1\n", "line 2: the code cell that begins here is never closed by ```"),
        ("```\na\n", "line 1: the block that begins here is never closed by ```"),
        (
            "\n\n<!-- #region -->\n```python\n",
            "line 3: the region that begins here is never closed by <!-- #endregion -->",
        ),
    ],
)
def test_an_unclosed_tag_is_named(text, message):
    with pytest.raises(InvalidArgument) as caught:
        read_cells(text)
    assert str(caught.value) == message


# ---- versions


def test_the_instructors_version_has_solutions_and_notes():
    assert make_version(SMALL) == (
        "---\njupyter: {}\n---\n\n# Title\n\nText.\n\n> A note.\n\n"
        "```python\ndef f(x):\n    y = 2 * x\n    return y\n\nz = f(3)\n```\n\n\nThe end.\n"
    )


def test_the_students_version_has_stubs_instead():
    assert make_version(SMALL, "student") == (
        "---\njupyter: {}\n---\n\n# Title\n\nText.\n\n\n"
        "```python\ndef f(x):\n    # Your code.\n    return ...\n\n```\n\nWrite it.\n\n"
    )


def test_the_tagged_version_is_the_source():
    assert make_version(SMALL, "tagged") == SMALL


def test_the_source_itself_runs():
    names = {}
    exec(read_cells(SMALL)[1].source, names)
    assert names["z"] == 6


def code(*lines):
    return "\n".join(("```python", *lines, "```"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (code("# <COGINTS>"), r"line 2: <COGINTS> is not a tag; the tag must be one of .*; did you mean 'COGINST'\?"),
        (code("# <coginst>"), r"line 2: <coginst> is not a tag; tags are written in capitals, <COGINST>$"),
        (code("# <COGINST>", "a"), r"line 2: <COGINST> is not closed in its cell$"),
        ("<!-- <COGNOTE> -->\ntext", r"line 1: <COGNOTE> is never closed$"),
        (code("a", "# </COGINST>"), r"line 3: </COGINST> closes what was never opened$"),
        (
            code("# <COGINST>", "# </COGSTUB>"),
            r"line 3: </COGSTUB> is inside the open <COGINST> of line 2$",
        ),
        (code("# <COGINST>", "# <COGSTUB>"), r"line 3: <COGSTUB> within the <COGINST> of line 2$"),
        (code("# <COGINST>", "a  # <COGLINE>"), r"line 3: <COGLINE> within the <COGINST> of line 2$"),
        (code("a = 1  # <COGINST>"), r"line 2: <COGINST> must be alone on its line, in a comment$"),
        (code("<COGINST>"), r"line 2: <COGINST> must be alone on its line, in a comment$"),
        ("text <COGNOTE>", r"line 1: <COGNOTE> must be alone on its line, in a comment$"),
        (code("a <COGLINE> = 1"), r"line 2: <COGLINE> must end its line, as # <COGLINE>$"),
        ("a # <COGLINE>", r"line 1: <COGLINE> must end its line, as <!-- <COGLINE> -->$"),
        (code("a  # </COGLINE>"), r"line 2: </COGLINE> is not a tag; <COGLINE> is for one line and is not closed$"),
        (code("# <COGINST> </COGINST>"), r"line 2: there are two tags in one line$"),
        ("---\n# <COGINST>\n---", r"line 2: <COGINST> is where no tag can be$"),
        (code("# <COGSTUB>", "a = 1", "# </COGSTUB>"), r"line 3: in code, a line of a <COGSTUB> must be a comment$"),
        (
            "<!-- <COGNOTE> -->\n" + code("# </COGNOTE>"),
            r"line 3: </COGNOTE> is in a different cell from the <COGNOTE> of line 1$",
        ),
    ],
)
@pytest.mark.parametrize("version", ["instructor", "student", "tagged"])
def test_a_wrong_tag_is_named_with_its_line(text, message, version):
    with pytest.raises(InvalidArgument, match=message):
        make_version(text, version)


def test_a_block_in_the_text_can_contain_whole_cells():
    text = "<!-- <COGINST> -->\nHow:\n\n" + code("a = 1") + "\n<!-- </COGINST> -->\nend"
    assert [cell.kind for cell in read_cells(make_version(text))] == ["markdown", "code", "markdown"]
    assert read_cells(make_version(text, "student")) == (Cell("markdown", "end", 1),)


def test_an_unknown_version_is_refused():
    with pytest.raises(
        InvalidArgument, match="version must be one of 'instructor', 'student', 'tagged', not 'teacher'"
    ):
        make_version(SMALL, "teacher")


# ---- files


def test_a_notebook_is_written_in_jupyters_format(tmp_path):
    path = tmp_path / "small.ipynb"
    cells = write_lesson(path, "student", SMALL)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["markdown", "code", "markdown"]
    assert ["".join(cell["source"]) for cell in notebook["cells"]] == [cell.source for cell in cells]
    assert notebook["cells"][1] == {
        "cell_type": "code",
        "id": "cell-001",
        "metadata": {},
        "source": ["def f(x):\n", "    # Your code.\n", "    return ..."],
        "execution_count": None,
        "outputs": [],
    }
    assert len({cell["id"] for cell in notebook["cells"]}) == 3


def test_markdown_is_written_unchanged(tmp_path):
    write_lesson(tmp_path / "small.md", "student", SMALL)
    assert (tmp_path / "small.md").read_text(encoding="utf-8") == make_version(SMALL, "student")


def test_files_are_only_replaced_on_request(tmp_path):
    path = tmp_path / "mine.md"
    path.write_text("work")
    with pytest.raises(InvalidArgument, match=r"mine\.md exists already, and is only replaced with overwrite=True"):
        write_lesson(path)
    assert path.read_text() == "work"
    write_lesson(path, source=SMALL, overwrite=True)
    assert path.read_text() == make_version(SMALL)


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match=r"a notebook's file must end in \.ipynb or \.md, not 'lesson\.py'"):
        write_lesson(tmp_path / "lesson.py")


def test_the_command_writes_each_version(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert [main(["lesson"]), main(["lesson", "--student"]), main(["lesson", "--tagged"])] == [0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lesson-student.ipynb", "lesson.ipynb", "lesson.md"]
    assert (tmp_path / "lesson.md").read_text(encoding="utf-8") == lesson_source()
    assert "COG" not in (tmp_path / "lesson.ipynb").read_text(encoding="utf-8")
    assert "instructors" not in (tmp_path / "lesson-student.ipynb").read_text(encoding="utf-8")
    out = capsys.readouterr().out
    assert "lesson      lesson-student.ipynb\n            student version, " in out
    # JupyterLab opens notebooks, but not the tagged source.
    opened = [line for line in out.splitlines() if line.startswith("open it")]
    assert opened == [
        f"open it     pip install jupyterlab && jupyter lab {name}.ipynb" for name in ("lesson", "lesson-student")
    ]


def test_the_command_writes_the_second_part(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert [main(["lesson", "1"]), main(["lesson", "2"]), main(["lesson", "2", "--student", "--out", "mine.md"])] == [
        0
    ] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lesson-2.ipynb", "lesson.ipynb", "mine.md"]
    assert "Does the second half repeat the first?" in (tmp_path / "lesson.ipynb").read_text(encoding="utf-8")
    assert (tmp_path / "mine.md").read_text(encoding="utf-8") == make_version(lesson_source(2), "student")
    assert "lesson      lesson-2.ipynb\n            instructor version, " in capsys.readouterr().out


@pytest.mark.parametrize(("part", "bound"), [(0, "at least 1"), (3, "at most 2")])
def test_there_are_two_parts(part, bound, capsys):
    assert main(["lesson", str(part)]) == 2
    assert capsys.readouterr().err == f"myrnn: part must be {bound}, not {part}\n"


def test_the_command_accepts_another_source(tmp_path, capsys):
    source, out = tmp_path / "my.md", tmp_path / "out.md"
    source.write_text(SMALL)
    assert main(["lesson", "--student", "--from", str(source), "--out", str(out)]) == 0
    assert out.read_text() == make_version(SMALL, "student")
    source.write_text(SMALL.replace("# </COGINST>", ""))
    assert main(["lesson", "--from", str(source), "--out", str(out), "--force"]) == 2
    assert capsys.readouterr().err == "myrnn: line 24: <COGLINE> within the <COGINST> of line 19\n"
    assert out.read_text() == make_version(SMALL, "student")


def test_mistakes_in_the_command_give_a_one_line_error(tmp_path, capsys):
    taken, latin, cut = tmp_path / "taken.md", tmp_path / "latin.md", tmp_path / "cut.ipynb"
    cut.write_text('{\n "cells": [\n  {\n   "cell_type": "mark')
    taken.write_text("work")
    latin.write_bytes("caf\xe9".encode("latin-1"))
    for arguments, message in (
        (["--out", str(taken)], f"{taken} exists already; name another file with --out, or overwrite it with --force"),
        (
            ["2", "--from", str(latin)],
            "a part of the lesson and --from do not go together: each says which notebook to write",
        ),
        (["--student", "--tagged"], "--student and --tagged do not go together: a student's version has no tags"),
        (["--out", str(tmp_path / "a.txt")], "a notebook's file must end in .ipynb or .md, not 'a.txt'"),
        (["--from", str(latin), "--out", str(tmp_path / "a.md")], f"{latin} is not UTF-8 text: byte 3 is wrong"),
        (
            ["--from", str(cut), "--out", str(tmp_path / "a.md")],
            "the source is JSON, as in an .ipynb file, but it must be Markdown with tags, as of myrnn lesson --tagged",
        ),
        (
            ["--from", str(tmp_path / "no.md"), "--out", str(tmp_path / "a.md")],
            f"{tmp_path / 'no.md'}: No such file or directory",
        ),
    ):
        assert main(["lesson", *arguments]) == 2
        assert capsys.readouterr().err == f"myrnn: {message}\n"


def test_the_lesson_is_in_the_wheel(tmp_path):
    built = subprocess.run(
        [sys.executable, "-c", f"import hatchling.build as b; print(b.build_wheel({str(tmp_path)!r}))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        for part, name in PARTS.items():
            assert wheel.read(f"myrnn/lesson/{name}").decode() == lesson_source(part)


# ---- the lesson runs


@pytest.fixture(scope="module")
def lesson():
    """The names that the lesson defines, and the output of its cells."""
    names = {"__name__": "lesson"}
    state = np.random.get_state()  # noqa: NPY002 - the lesson seeds this generator
    shown = [run(cell, names) for cell in read_cells(make_version(lesson_source())) if cell.kind == "code"]
    np.random.set_state(state)  # noqa: NPY002
    plt.close("all")
    return names, [value for value in shown if value is not None]


@pytest.mark.long
def test_the_answers_of_the_lesson_are_right(lesson):
    reports = [value for value in lesson[1] if isinstance(value, ExerciseReport)]
    assert [(report.name, report.ok) for report in reports] == [("RNN", True), ("generate_sequence", True)]


@pytest.mark.long
def test_the_lesson_trains_and_plots(lesson):
    names, _ = lesson
    assert isinstance(names["plotter"], LivePlot)
    assert names["history"].iteration[-1] == 100_000
    assert names["history"].engine == "native"
    assert len(names["losses"]) == 400
    assert sum(names["total"].values()) == 3000


@pytest.mark.long
def test_claims_of_the_lesson_hold(lesson):
    names, _ = lesson
    report, clues, outcome = names["report"], names["clues"], names["outcome"]
    # Longer sequences are harder, and those beyond the training lengths even harder.
    known, beyond = report.accuracy[~report.beyond], report.accuracy[report.beyond]
    assert known[0] > 0.95
    assert known[-1] < known[0]
    assert beyond[-1] < beyond[0] < known[0]
    # A classifier that tracks even and odd counts is right almost always.
    assert max(clues.overall.values()) > 0.99
    assert sorted(clues.overall.values())[2] < 0.55
    # The first and the last losses of the manual loop are both near that of a coin toss.
    for part in (names["losses"][:50], names["losses"][-50:]):
        assert abs(np.mean(part) - np.log(2)) < 0.15
    # On shuffled halves the first network is no better than a coin, that of near misses is about as bad, and that of
    # palindromes is better.
    fooled = dict(zip(names["exams"].models, names["exams"].accuracy[:, 3], strict=True))
    assert fooled["halves"] < 0.6
    assert abs(fooled["near misses"] - fooled["halves"]) < 0.15
    assert fooled["palindromes"] > fooled["halves"] + 0.15
    # The gated networks are nearly perfect, and better on near misses, but far from good on shuffled halves.
    rows = dict(zip(outcome.models, outcome.accuracy, strict=True))
    for gated in ("GRU", "LSTM"):
        halves, near_misses, palindromes, shuffled = rows[gated]
        assert halves > 0.95
        assert near_misses > rows["RNN"][1]
        assert palindromes < 0.75
        assert shuffled < 0.9
    assert (names["inside"].states["h"] == 0).mean() > 0.5
    assert names["trained"].radius["fc_h2h.weight"] > 1.5 > names["untrained"].radius["fc_h2h.weight"]


@pytest.mark.long
def test_the_shuffled_halves_have_the_same_digits_in_another_order(lesson):
    shuffled = lesson[0]["shuffled"]
    assert len(shuffled) > 5000
    for i in range(100):
        first, second = np.split(shuffled.tokens(i), 2)
        assert not np.array_equal(first, second)
        assert np.array_equal(np.sort(first), np.sort(second))


@pytest.mark.long
def test_every_figure_and_graph_of_the_lesson_is_displayed(lesson):
    graphs = [value for value in lesson[1] if hasattr(value, "to_svg")]
    assert ["<svg" in graph.to_svg() for graph in graphs] == [True, True]
    tables = [value for value in lesson[1] if hasattr(value, "rows") or hasattr(value, "_repr_mimebundle_")]
    assert len(tables) >= 4


# ---- the students' version


def student_cells():
    return [cell for cell in read_cells(make_version(lesson_source(), "student")) if cell.kind == "code"]


def test_the_students_version_is_valid_python_without_solutions():
    cells = student_cells()
    for cell in cells:
        ast.parse(cell.source)
    text = make_version(lesson_source(), "student")
    for solution in (
        "relu(self.fc_x2h",
        "np.random.randint(pattern_length_min",
        "loss.backward()\n    optimizer",
        "rng.permutation",
        "For instructors",
        "COG",
    ):
        assert solution not in text
    everything = [cell for cell in read_cells(make_version(lesson_source())) if cell.kind == "code"]
    assert len(cells) == len(everything)


@pytest.mark.long
def test_the_students_version_runs_without_solutions(capsys):
    begins = make_version(lesson_source(), "student")[: make_version(lesson_source(), "student").index("## 8. Inside")]
    names = {"__name__": "lesson"}
    for cell in student_cells():
        if cell.line <= begins.count("\n"):
            # Long enough to see that every cell works.
            short = cell.source.replace("100_000", "200").replace("20_000", "400")
            run(Cell(cell.kind, short, cell.line), names)
    plt.close("all")
    assert "continue with myrnn.RNN" in capsys.readouterr().out
    assert type(names["model"]) is RNN
    assert names["exams"].tasks[-1] == "shuffled"
    assert len(names["shuffled"]) > 1000


def test_an_unanswered_exercise_gets_a_message():
    names = {}
    for cell in student_cells():
        if cell.source.startswith(("from collections", "class RNN", "def generate_sequence")):
            run(cell, names)
    model, generator = check_model(names["RNN"]), check_generate_sequence(names["generate_sequence"])
    assert model.failed[0].detail == "parameters is of type NoneType."
    assert generator.failed[0].detail == "With the default arguments it returned nothing: is the return missing?"
