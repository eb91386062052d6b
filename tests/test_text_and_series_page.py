"""The page on tags, numbers, text and series: its code runs unchanged, in order."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pages import DOCS

PAGE = (DOCS / "how-to" / "text-and-series.md").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*in the training and count:UserWarning")
def test_the_code_of_the_page_runs_and_its_claims_hold(capsys):
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M):
        exec(compile(block, "text-and-series.md", "exec"), names)
    plt.close("all")
    out = capsys.readouterr().out
    assert "bits per character" in out
    report = names["report"]
    rules = [found["accuracy"].value for found in report.baselines.values()]
    assert report.accuracy > 0.9 > max(rules)
    assert names["regressor"].score(names["series"][200:], names["largest"][200:]) > 0.8
    assert names["model"].bits(names["held_out"]) < 3.2
    future, truth = names["future"], names["wave"][1000:1040]
    assert ((future.low <= truth) & (truth <= future.high)).mean() > 0.6
    months, sales = names["months"], names["sales"][500:]
    assert ((months.low <= sales) & (sales <= months.high)).mean() > 0.7
    assert np.sqrt(np.mean((months.mean - sales) ** 2)) < 3 and months.mean.max() > names["sales"][:450].max()
    assert names["members"][0].report(names["wave"][1000:], period=44).skill > 0.5
