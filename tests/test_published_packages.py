"""The cells give the same numbers as the packages that their authors, or others, have published.

The numbers are in a file that `published_packages` makes with these packages, and checks wherever they are installed.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import myrnn
from myrnn.models.model import parameter_names

CELLS = json.loads(Path(__file__).with_name("published_packages.json").read_text(encoding="utf-8"))["cells"]
every_cell = pytest.mark.parametrize("name", CELLS)


def model_of(cell):
    """A model with the weights of the file, in float64, and its rows."""
    x = np.array(cell["x"])
    model = getattr(myrnn, cell["model"])(x.shape[1], np.shape(cell["hidden"])[1], 2, **cell["settings"])
    assert set(parameter_names(model)) == set(cell["weights"])
    for name, parameter in zip(parameter_names(model), model.parameters, strict=True):
        parameter.data = np.array(cell["weights"][name])
    return model, x


def assert_close(found, cell):
    np.testing.assert_allclose(found, cell["hidden"], rtol=cell["rtol"], atol=cell["atol"])


@every_cell
def test_our_cell_gives_the_numbers_of_the_package(name):
    model, x = model_of(CELLS[name])
    state, found = model.start(), []
    for x_t in x:
        state = model.step(x_t[np.newaxis], state)
        found.append(state[0].data[0])
    assert_close(found, CELLS[name])


@pytest.mark.filterwarnings("ignore")  # some of them warn when they are imported
@every_cell
def test_the_package_gives_the_numbers_of_the_file(name):
    packages = pytest.importorskip("published_packages")
    try:
        found = packages.CASES[name].hidden(*model_of(CELLS[name]))
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    assert_close(found, CELLS[name])
