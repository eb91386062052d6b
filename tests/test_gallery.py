"""The cells of the gallery train natively and agree with MyGrad; two examples run. The docs run all of them."""

import json
import runpy
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib import pyplot

import myrnn
from marks import the_rest_is_long
from myrnn import Adam, Sequences

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "examples" / "gallery"
if not (GALLERY.is_dir() and (ROOT / "benchmarks").is_dir()):
    pytest.skip("the gallery or the benchmarks are not part of this copy", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks import gallery  # noqa: E402
from benchmarks.cells import gallery_cell  # noqa: E402
from benchmarks.jobs import PER_STEP  # noqa: E402

EXAMPLES = sorted(GALLERY.glob("*/plot_*.py"))


def sequences(cell, inputs=3, classes=2):
    """Return some sequences of several lengths, with a class for each, or for each step."""
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(length, inputs)).astype(np.float32) for length in (4, 7, 5, 9, 6, 8)]
    if cell in PER_STEP:
        return Sequences.from_pairs([(x, rng.integers(0, classes, len(x))) for x in features], per_step=True)
    return Sequences.from_pairs([(x, rng.integers(0, classes)) for x in features])


@pytest.mark.parametrize("cell", the_rest_is_long(gallery.NAMES, "mgu"))
def test_a_cell_trains_natively_as_with_mygrad(cell, in_python):
    losses = {}
    for engine in ("native", "mygrad"):
        model = gallery_cell(cell, 3, 8, 2)
        optimizer = Adam(model.parameters, learning_rate=0.01)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = myrnn.train(model, sequences(cell), optimizer, 8, 3, engine=engine, report_every=1)
        assert history.engine == engine
        losses[engine] = history.loss
    np.testing.assert_allclose(losses["native"], losses["mygrad"], rtol=1e-5)
    assert losses["native"][0] != losses["native"][-1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_begins_with_a_title_and_has_cells(example):
    text = example.read_text(encoding="utf-8")
    title, line = text.splitlines()[1:3]
    assert set(line) == {"="} and len(line) == len(title)
    assert "\n# %%\n" in text


def test_each_section_has_a_header():
    sections = {example.parent for example in EXAMPLES}
    for folder in [GALLERY, *sections]:
        title, line = (folder / "GALLERY_HEADER.rst").read_text(encoding="utf-8").splitlines()[:2]
        assert set(line) == {"="} and len(line) == len(title)


@pytest.mark.long
@pytest.mark.parametrize("name", ["look_inside/plot_counterexamples", "first_steps/plot_lesson"])
def test_an_example_draws_its_figures(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "sphinx_gallery", ModuleType("sphinx_gallery"))
    runpy.run_path(str(GALLERY / f"{name}.py"), run_name="__main__")
    try:
        assert pyplot.get_fignums()
    finally:
        pyplot.close("all")


def test_the_page_of_cells_shows_the_times_that_were_measured():
    found = json.loads(gallery.RESULTS.read_text(encoding="utf-8"))
    assert gallery.page(found) == gallery.HEADER.read_text(encoding="utf-8")
