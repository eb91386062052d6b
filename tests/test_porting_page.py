"""The page for users of Keras or PyTorch shows the code that its script runs."""

import numpy as np
import pytest

from pages import DOCS, script


@pytest.fixture
def made():
    with script("make_ports") as module:
        yield module


def test_the_page_shows_the_code_of_the_script(made):
    page = (DOCS / "how-to" / "porting.md").read_text(encoding="utf-8")
    assert made.with_code(page) == page
    shown = [name for name, source in made.shown() if f"```python\n{source}\n```" in page]
    assert {f"{job.name}_{library}" for job in made.jobs(None).values() for library in made.LIBRARIES} <= {*shown}


def test_the_code_for_myrnn_runs(made):
    # Op by op, without compiling; only code that reads in windows has to be compiled.
    made.AS_THE_OTHERS["engine"] = "mygrad"
    rows, tags = [[1, 2, 3], [2, 1], [3], [1, 1]], [[0, 1, 1], [1, 0], [1], [0, 0]]
    labels = np.array([0, 1, 1, 0])
    least = {"epochs": 1, "seed": 0}
    scores = [
        made.sentiment_myrnn((rows, labels), (rows, labels), 4, bidirectional=True, **least),
        made.tags_myrnn((rows, tags), (rows, tags), 4, 2, **least),
    ]
    assert np.isfinite(scores).all()


def test_a_text_is_cut_into_streams(made):
    x, y = made.pieces(np.arange(14), 2, 3)
    assert x.tolist() == [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]
    assert np.array_equal(y, x + 1)
