"""The snippets of the README, the front page and the tours run unchanged, but on fewer sequences."""

import re
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import myrnn
from marks import the_rest_is_long
from myrnn import RNN, Experiment
from pages import DOCS

ROOT = DOCS.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FRONT = (DOCS / "index.md").read_text(encoding="utf-8")
TOUR = (DOCS / "start" / "python.md").read_text(encoding="utf-8")
COMMANDS = (DOCS / "start" / "commands.md").read_text(encoding="utf-8")


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", page, re.S | re.M)


SNIPPETS = {
    **dict(zip(("lesson", "own class"), blocks(TOUR), strict=True)),
    **dict(zip(("classifier", "experiment"), blocks(COMMANDS), strict=True)),
}
# The second column of the table of questions.
QUESTIONS = [
    call for cell in re.findall(r"^\| [^|]+\? \| ([^|]+) \|", TOUR, re.M) for call in re.findall(r"`([^`]+)`", cell)
]
# A few sequences are enough for the answers.
FEW = {name: partial(getattr(myrnn, name), samples=50) for name in ("state_space", "gradient_flow")}
FEW["evaluate"] = partial(myrnn.evaluate, samples=2000)


# The cell of the README is the lesson in short, and other tests use the same commands.
@pytest.fixture(params=the_rest_is_long(SNIPPETS, "own class"))
def ran(request, tmp_path, monkeypatch, capsys):
    """The name of a snippet, the names that it defines, and its output."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    # Unchanged except the number of iterations and sequences.
    exec(compile(SNIPPETS[request.param].replace("100_000", "10_000"), "python.md", "exec"), names)
    return request.param, names, capsys.readouterr().out


def test_a_snippet_runs_unchanged(ran):
    name, names, printed = ran
    if name == "lesson":
        assert names["report"].lengths.tolist() == list(range(2, 41, 2))
        assert "<svg" in Path("graph.svg").read_text(encoding="utf-8")
        assert Path("training.png").is_file() and Path("accuracy_by_length.png").is_file()
        # The code in the table of questions uses these names.
        public = {name: getattr(myrnn, name) for name in myrnn.__all__}
        assert len(QUESTIONS) == 10
        for call in QUESTIONS:
            assert eval(call, public | names | FEW) is not None, call
    elif name == "own class":
        # The page shows the printed equations.
        assert f"```\n{printed}```" in TOUR
        own, ours = names["MyRNN"](10, 50, 2), RNN(10, 50, 2, rng=0)
        for parameter, other in zip(own.parameters, ours.parameters, strict=True):
            parameter.data[...] = other.data
        assert np.array_equal(own(names["x"]).data, ours(names["x"]).data)
    elif name == "experiment":
        assert names["done"].model.fc_h2y.weight.shape == (32, 2)
        assert Path("runs/palindromes/report.json").is_file()
    else:
        assert set(names["classifier"].classes_) == {"English", "Italian"}
        assert Path("languages").is_dir()


def check_cell(snippet, capsys, has_learned=True):
    """Run the cell of the README, compare what it prints with what the README shows, and return its names.

    A network that has not learned may predict another class.
    """
    names, state = {"__name__": "snippet"}, np.random.get_state()  # noqa: NPY002 - the snippet seeds this generator
    exec(compile(snippet, "README.md", "exec"), names)
    np.random.set_state(state)  # noqa: NPY002
    (shown,) = re.findall(r"^```\n(before .*?)^```$", README, re.S | re.M)
    # Another machine, and fewer sequences, give other digits.
    texts = [capsys.readouterr().out, shown]
    if not has_learned:
        texts = [text.replace("no match", "match") for text in texts]
    printed, expected = ([re.sub(r"[\d.,()-]+|─+", "#", line).split() for line in text.splitlines()] for text in texts)
    assert printed == expected
    assert f"```\n{shown}```" in FRONT and str(myrnn.compile(names["model"])) in shown
    assert names["history"].engine == "native"
    assert Path("accuracy_by_length.png").is_file()
    return names


def test_the_cell_of_the_readme_runs(here, capsys, in_python):
    (snippet,) = blocks(README)
    assert blocks(FRONT) == [snippet]
    few = snippet.replace("lengths=", "samples=400, lengths=").replace("iterations=100_000", "iterations=20")
    assert "samples=400" in few and "iterations=20," in few
    check_cell(few, capsys, has_learned=False)


@pytest.mark.long
def test_the_cell_of_the_readme_runs_unchanged_and_learns(here, capsys):
    (snippet,) = blocks(README)
    names = check_cell(snippet.replace("lengths=", "samples=4_000, lengths="), capsys)
    accuracy = dict(zip(names["report"].lengths.tolist(), names["report"].accuracy, strict=True))
    assert min(accuracy[length] for length in (4, 12, 20)) > 0.85 and accuracy[36] < 0.6


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_the_experiment_in_a_file_can_be_read(tmp_path):
    (block,) = re.findall(r"^```toml\n(.*?)^```$", COMMANDS, re.S | re.M)
    path = tmp_path / "parity.toml"
    path.write_text(block, encoding="utf-8")
    experiment = Experiment.from_file(path)
    assert dict(experiment.evaluation.test) == {name: str(tmp_path / f"{name}.csv") for name in ("near", "far")}
    assert (experiment.source.settings.file, experiment.training.max_epochs) == (str(tmp_path / "train.csv"), 30)


def test_pages_and_examples_only_install_what_is_there():
    # There is no release, so the name alone installs nothing.
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    files = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *DOCS.glob("*.py"), *ROOT.glob("examples/*.py")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.name != "CHANGELOG.md"]
    assert not [text for text in texts if re.search(r"pip install\s+(-\S+\s+)*'?myrnn", text)]
    named = {name for text in texts for group in re.findall(r"'\.\[([a-z,]+)\]'", text) for name in group.split(",")}
    assert {"automata", "playground", "dask", "ray", "examples", "bench"} <= named <= set(extras)
