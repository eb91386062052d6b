"""The page about experiments shows all settings, its examples run, and the names on all pages exist."""

import csv
import re
import tomllib

import numpy as np
import pytest

import myrnn
from myrnn import RNN, Experiment, read_sequences, registry
from pages import DOCS, script

PAGE = DOCS / "reference" / "experiments.md"
ROOT = DOCS.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")), *(ROOT / "src").rglob("*.md")]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_the_page_shows_the_settings_as_they_are():
    with script("make_experiments") as maker:
        document = PAGE.read_text(encoding="utf-8")
        assert maker.filled(document) == document, "run python docs/make_experiments.py"


def test_every_experiment_of_the_page_can_be_read(tmp_path):
    read = 0
    for block in blocks("toml"):
        if "[project" not in block:
            (tmp_path / "experiment.toml").write_text(block, encoding="utf-8")
            if "[data]" in block or "[task]" in block:
                experiment = Experiment.from_file(tmp_path / "experiment.toml")
                assert experiment.model.name == "gru"
            else:
                assert list(tomllib.loads(block)["evaluation"]["test"]) == ["near", "far"]
            read += 1
    assert read == 3


def test_the_experiment_in_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("train", "near", "far"):
        texts = ["".join(rng.choice(["a", "b"], size=5)) for _ in range(40)]
        with open(f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("sequence", "label"), *((text, text[-1]) for text in texts)])
    names = {}
    exec(blocks("python")[0].replace('"max_epochs": 30', '"max_epochs": 2, "engine": "mygrad"'), names)
    done, far = names["done"], read_sequences("far.csv")
    tokens = done.read_texts(["".join(letters) for letters in far.sequences])
    said = [done.class_names[np.argmax(done.model(tokens.features(i)).data)] for i in range(len(tokens))]
    assert done.report["tests"]["far"]["accuracy"] == np.equal(said, far.labels).mean()


def test_the_parts_of_the_page_are_registered(monkeypatch):
    for part in ("optimizer", "schedule", "loss"):
        monkeypatch.setitem(registry._KINDS, part, dict(registry.kinds(part)))
    _, optimizer, schedule, loss, *_ = blocks("python")
    names = {}
    exec(optimizer + schedule + loss, names)
    model = RNN(3, 4, 2, rng=0)
    myrnn.train(
        model,
        myrnn.tasks.TwinHalves(1, 2, alphabet_size=3),
        names["Signs"](model.parameters),
        2,
        engine="mygrad",
        loss="brier",
    )
    made = registry.make("schedule", "steps", rate=1.0, iterations=10)
    assert (made(0), made(5)) == (1.0, 0.1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_the_package_and_links_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in {*re.findall(r"\bmyrnn(?:\.[A-Za-z_]\w*)+", text)}:
        if name not in ("myrnn.py", "myrnn.errors"):
            assert resolved(name), f"{page.name}: {name}"
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        target = page if not file else page.parent / file
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, link


def resolved(name):
    """Return whether a dotted name is a module or an object in one."""
    from importlib import import_module

    first, *rest = name.split(".")
    found = import_module(first)
    for place, part in enumerate(rest, start=1):
        if not hasattr(found, part):
            try:
                found = import_module(".".join((first, *rest[:place])))
            except ImportError:
                return False
        else:
            found = getattr(found, part)
    return True
