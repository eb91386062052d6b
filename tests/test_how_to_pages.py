"""The short pages: their code runs unchanged, in order, and the commands of the first page give its output."""

import re
import shlex
import shutil
import subprocess
from ast import literal_eval
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

import myrnn
from myrnn import Experiment, registry
from myrnn.cli import main
from myrnn.intervals import wilson_interval
from myrnn.sweeps import read_study
from pages import DOCS


def run_page(page, names=None, few=()):
    """Run the Python of a page with some smaller numbers, and return the names that it defines."""
    names = {} if names is None else names
    text = (DOCS / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M):
        for much, little in few:
            block = block.replace(much, little)
        exec(compile(block, page, "exec"), names)
    plt.close("all")
    return names


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.long
def test_a_model_of_two_states_and_one_with_a_matrix(capsys):
    names = run_page("how-to/your-own-model.md")
    page = (DOCS / "how-to" / "your-own-model.md").read_text(encoding="utf-8")
    shown = re.split("(?=^before the first step)", capsys.readouterr().out, flags=re.M)[1:]
    assert len(shown) == 2 and all(f"```\n{text}```" in page for text in shown)
    assert names["history"].engine == "native"
    assert names["report"].accuracy.mean() > 0.6


@pytest.mark.long
def test_a_task(capsys):
    names = run_page("how-to/your-own-task.md")
    report, drawn = names["report"], names["task"].sample(500, np.random.default_rng(0))
    ones = [drawn.tokens(i).sum() / len(drawn.tokens(i)) > 0.5 for i in range(500)]
    assert drawn.labels.tolist() == ones
    assert report.lengths.tolist() == list(range(1, 31)) and report.trained_length == 15
    assert report.accuracy[:15].mean() > 0.9


def test_a_loss(in_python):
    names = run_page("how-to/your-own-loss.md", few=[("2_000", "50")])
    assert names["history"].engine == "native" and 0 < names["history"].loss[-1] < 1


@pytest.mark.long
def test_figures_tables_and_weights(folder):
    text = 'from myrnn import run, Experiment\nrun(Experiment(training={"iterations": 10}), "runs/mine")'
    exec(text, {})
    names = run_page("how-to/export.md", few=[("2_000", "200"), (".to_polars()", ".to_pandas()")])
    assert {"fc_h2h.weight"} <= set(names["weights"])
    assert {"training.svg", "lengths.pdf", "lengths.csv", "step.svg"} <= {path.name for path in folder.iterdir()}


def export_programs(name, training):
    myrnn.export("runs/halves", "halves.c", name=name, training=training, overwrite=True)
    myrnn.export("runs/halves", "halves.mjs", training=training, overwrite=True)


@pytest.mark.long
@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("node")), reason="there is no C compiler, or no Node")
def test_outside_of_python(capsys):
    """The program of the page prints what the page shows, and the commands write the same file."""
    text = (DOCS / "how-to" / "deploy.md").read_text(encoding="utf-8")
    run_page("how-to/deploy.md")
    assert f"```\n{capsys.readouterr().out}```" in text
    written = Path("halves.onnx").read_bytes()
    train, export = re.findall(r"^myrnn (.*)$", text, re.M)
    assert main(shlex.split(train.replace("runs/halves", "again"))) == 0
    assert main(shlex.split(export.replace("runs/halves", "again").replace("halves.onnx", "again/halves.onnx"))) == 0
    assert Path("again/halves.onnx").read_bytes() == written
    # The program in C, as its Makefile builds it.
    program, learning = re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)
    Path("main.c").write_text(program)
    rule, commands = (
        re.search(r"`main: main.c halves.c; (.*?)`", text)[1],
        re.search(r"\| ./main\n(.*?)```", text, re.S)[1],
    )
    export_programs(name="halves", training=False)
    subprocess.run([*shlex.split(rule), "-std=c99", "-Wall", "-Wextra", "-Werror"], check=True)
    assert subprocess.run(["./main"], input="3131\n", capture_output=True, text=True, check=True).stdout == commands
    # What continues training, in C and JavaScript.
    export_programs(name="net", training=True)
    head, body = learning.split("net_first_weights", 1)
    given = (
        "static float work[10000];\nstatic const int tokens[4] = {3, 1, 3, 1};\nstatic const int steps = 4, label = 1;"
    )
    lines = ['#include "halves.c"', given, f"static {head.replace('int it', 'static int it')}", "int main(void) {"]
    lines += ["struct net net;", f"net_first_weights{body}", "return loss > 0.0f ? 0 : 1;", "}"]
    Path("learn.c").write_text("\n".join(lines))
    subprocess.run([*shlex.split("cc learn.c -o learn -lm -std=c99 -Wall -Wextra -Werror")], check=True)
    subprocess.run(["./learn"], check=True)
    (script,) = re.findall(r"^```js\n(.*?)^```", text, re.M | re.S)
    (page,) = re.findall(r"^```html\n(.*?)^```", text, re.M | re.S)
    names = "firstWeights, gradients, adam, run, info"
    lines = [f'import {{ {names} }} from "./halves.mjs";', "const tokens = [3, 1, 3, 1], label = 1;", script]
    lines += ["if (!(found.loss > 0 && outputs.length === 2)) throw new Error(found.loss);"]
    Path("learn.mjs").write_text("\n".join(lines))
    subprocess.run(["node", "learn.mjs"], check=True)
    # The script of the web page, with stand-ins for its elements.
    script = re.search(r'<script type="module">(.*?)</script>', page, re.S)[1].replace("halves.js", "halves.mjs")
    before = 'const digits = { value: "3131" }, answer = {};'
    lines = [before, script, 'digits.oninput(); if (answer.value !== "match") throw new Error(answer.value);']
    Path("page.mjs").write_text("\n".join(lines))
    subprocess.run(["node", "page.mjs"], check=True)


@pytest.mark.long
def test_a_network_that_does_not_learn(capsys):
    """Each pair of trainings shows the difference that the page describes."""
    names = run_page("how-to/not-learning.md")
    lines = capsys.readouterr().out.splitlines()
    assert float(lines[0]) < 0.01
    slow, good, fast = (list(map(float, line.split())) for line in lines[1:4])
    assert slow[1] > good[1] < 0.2 and fast[1] > 0.69 and good[2] > 0.1 > 100 * fast[2]
    assert float(lines[4]) < 0.6 and float(lines[5]) > 0.99
    assert "at iteration 500: try a smaller learning rate" in lines[6]
    shares = [float(line.split()[-1]) for line in lines[7:9]]
    assert shares[0] < 0.85 and shares[1] > 0.93
    near, far = names["report"].accuracy[1:]
    assert near > 0.88 and far < 0.6
    counts = [literal_eval(line)["counts"] for line in lines[-2:]]
    assert counts[0] > 0.99 and counts[1] < 0.9


@pytest.mark.long
def test_in_scikit_learn(monkeypatch, capsys):
    monkeypatch.setitem(registry._KINDS, "loss", dict(registry.kinds("loss")))
    few = [
        ("max_epochs=20", "max_epochs=2"),
        ('"max_epochs": 20', '"max_epochs": 2'),
        ('"learning_rate": [0.003, 0.01]', '"learning_rate": [0.003]'),
    ]
    names = run_page("how-to/scikit-learn.md", few=few)
    assert set(names["search"].best_params_) == {"dim_recurrent", "learning_rate"}
    assert names["classifier"].predict(["kindly"]).shape == (1,)


def test_shortcuts_of_the_page(capsys):
    run_page("explanation/shortcuts.md", few=[("10_000", "1_000")])
    (overall,) = re.findall(r"^all +(.*) \d+$", capsys.readouterr().out, re.M)
    names = re.findall(r"^\| `(.*)` \|", (DOCS / "explanation" / "shortcuts.md").read_text(encoding="utf-8"), re.M)
    shown = dict(zip(names, map(float, overall.split()), strict=True))
    assert shown["even counts"] > 99 and shown["length alone"] < 60


def test_the_interval_of_the_page():
    """The formula of the page, and its example."""
    p, n, z = 0.9, 50, 1.959964
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert_allclose(wilson_interval(45, 50), np.array([centre - half, centre + half]) / (1 + z**2 / n), rtol=1e-6)
    assert "for 100 right answers out of 100, the interval is 96.3% to" in (
        DOCS / "explanation" / "intervals.md"
    ).read_text(encoding="utf-8")
    assert_allclose(wilson_interval(100, 100), [0.963, 1.0], atol=5e-4)


def test_the_files_of_the_page_can_be_read(folder):
    page = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    experiment, study = re.findall(r"^```toml\n(.*?)^```$", page, re.S | re.M)
    for name in ("train.csv", "test.csv"):
        (folder / name).write_text("sequence,label\nbabba,yes\nababa,no\n", encoding="utf-8")
    (folder / "experiment.toml").write_text(experiment, encoding="utf-8")
    (folder / "study.toml").write_text(study, encoding="utf-8")
    assert Experiment.from_file("experiment.toml").model.name == "gru"
    assert len(read_study("study.toml").points) == 9


@pytest.mark.long
def test_five_minutes(folder, capsys):
    text = (DOCS / "start" / "five-minutes.md").read_text(encoding="utf-8")
    cell, compiling, data, classifying, opening = re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)
    (folder / "my_cell.py").write_text(cell, encoding="utf-8")
    names = {}
    exec(compiling, names)
    assert f"```\n{capsys.readouterr().out}```" in text
    exec(data, names)
    for command in re.findall(r"^\$ myrnn (.*)$", text.replace("\\\n", ""), re.M):
        assert main(shlex.split(command)) == 0, command
        expected = {"train": "no 100.0", "evaluate": "pairs 89.8", "inspect": "yes (0.99"}
        expected["extract"] = "Automaton: Leaky, 4 states, complete"
        # Columns are as wide as the terminal allows.
        for shown in (capsys.readouterr().out, text):
            assert expected[command.split()[0]] in " ".join(shown.split()), command
    exec(classifying, names)
    assert names["report"].accuracy == 1.0 and capsys.readouterr().out.startswith("['yes' 'no']")
    # This block has all imports of its own.
    opened = {}
    exec(opening, opened)
    assert len(opened["automaton"].dfa) == 4
    assert opened["automaton"].dfa.accepting.sum() == 1
    assert (folder / "confusion.png").is_file() and (folder / "states.png").is_file()
