"""The examples on real data run, reach the documented results, and draw their figures."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an example with one seed, and return its report and the kinds of its figures."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(name):
        (report,) = importlib.import_module(name).main(["--seeds", "1", "--out", str(tmp_path)])
        figures = list(tmp_path.glob(f"{name}_*.png"))
        assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in figures)
        return report, {figure.stem.removeprefix(f"{name}_") for figure in figures}

    return run


@pytest.mark.long
def test_japanese_vowels(run, capsys):
    report, figures = run("japanese_vowels")
    assert figures == {"training", "confusion", "lengths"}
    assert report.sequences == 370 and report.lengths.first[0] == 7 and report.lengths.last[-1] == 29
    assert report.accuracy >= 0.97
    assert f"test accuracy {report.accuracy:.2%}" in capsys.readouterr().out


@pytest.mark.long
def test_digits(run):
    report, figures = run("digits")
    assert figures == {"training", "confusion"}
    assert report.sequences == 360
    assert report.accuracy >= 0.97


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*symbols were not in the training:UserWarning")
def test_languages(run, capsys, monkeypatch):
    languages, compared = importlib.import_module("languages"), []
    compare = languages.compare
    monkeypatch.setattr(languages, "compare", lambda *given: compared.append(compare(*given)) or compared[0])
    report, figures = run("languages")
    training, test = languages.load()
    assert figures == {"training", "confusion", "lengths"}
    assert report.sequences == len(test.texts) and len(report.confusion.classes) == 10
    assert report.lengths.last[-1] <= languages.LONGEST
    assert not set(training.english) & set(test.english)
    assert len({*training.texts, *test.texts}) == len(training.texts) + len(test.texts)
    printed = capsys.readouterr().out
    bag = compared[0]["bag of words"]
    assert report.accuracy >= bag.accuracy > 2 * report.confusion.majority
    assert f"bag of words, logistic regression: test accuracy {bag.accuracy:.2%}" in printed


@pytest.mark.usefixtures("run")
def test_messages_lose_their_placeholders():
    languages = importlib.import_module("languages")
    message = "Vælg %(name)s,\n <b class='x'>%d%%</b> {field}&nbsp;eller https://example.org/a"
    assert languages.tidy(message) == "Vælg , eller"


@pytest.mark.long
def test_sunspots(run, capsys):
    pytest.importorskip("pmdarima")
    report, figures = run("sunspots")
    assert figures == {"training", "forecast"}
    sunspots = importlib.import_module("sunspots")
    naive = sunspots.baselines(sunspots.load_sunspots())
    for months in sunspots.HORIZONS:
        assert report[months] < min(found[months] for found in naive.values())
    assert report[1] < 17 and report[24] < 31
    printed = capsys.readouterr().out
    assert f"{naive['last value'][24]:.1f}" in printed and f"{report[24]:.1f}" in printed
    held = float(re.search(r"hold ([\d.]+)% of the months", printed)[1])
    assert held > 75
    # On a straight line, the last value is h too low after h months.
    of_line = sunspots.baselines(np.arange(600.0))
    assert of_line["last value"][6] == pytest.approx(np.sqrt((np.arange(1, 7) ** 2).mean()))
    assert of_line["132 months before"] == dict.fromkeys(sunspots.HORIZONS, 132.0)
