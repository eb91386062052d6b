"""The page of a trained network: what is in the file. `tests/browser` tests what it does."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import myrnn
from myrnn import Experiment, LanguageModel, SequenceClassifier, SequenceForecaster, SequenceRegressor, SequenceTagger
from myrnn.exports import network_of
from myrnn.exports.examples import COUNT, examples_of
from myrnn.exports.facts import facts_of
from myrnn.exports.page import page
from myrnn.runs import Run, TaskReader
from run_folders import data_run

pytestmark = pytest.mark.usefixtures("in_python")
HOSTILE = ("</script><b>", "<!--<script>", "&amp;", "\"'`${1}", "\\", "{{data}}")
MODULE = "export const info = {};\nexport function start() {}\n"
FEW = {"dim_recurrent": 4, "max_epochs": 1, "random_state": 0, "engine": "mygrad"}


class Parsed(HTMLParser):
    """The elements of a page: their names, attributes, and the text of scripts, styles and the title."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._inside = [], {}, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style", "title", "h1"):
            # The pictures of the page have titles, too.
            self._inside = None if (tag, None) in self.texts else (tag, dict(attributes).get("id"))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    @property
    def data(self):
        return json.loads(self.texts["script", "data"])


def trained(task, model="rnn:dim_recurrent=4", iterations=20):
    """A run on a task, trained op by op."""
    experiment = Experiment(task, model).with_training(engine="mygrad")
    task, model, optimizer = experiment.make()
    history = myrnn.train(model, task, optimizer, iterations, engine="mygrad", progress=False)
    return Run(experiment, model, TaskReader(task), history)


def of(source, module=MODULE):
    network = network_of(source)
    return Parsed(page(network, module, examples_of(network.run)))


@pytest.fixture(scope="module")
def hostile():
    """A classifier whose symbols and classes are names that would break out of a page."""
    rng = np.random.default_rng(0)
    X = [[str(symbol) for symbol in rng.choice(HOSTILE, 3)] for _ in range(20)]
    return SequenceClassifier("rnn", **FEW).fit(X, [HOSTILE[i % 2] for i in range(20)])


def test_the_page_loads_nothing(hostile):
    for source in (hostile, trained("twin-halves:pattern_length_max=2")):
        parsed = of(source)
        for tag, attributes in parsed.elements:
            for name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
                assert attributes.get(name, "#").startswith(("#", "data:image/svg+xml;base64,")), (tag, attributes)
        assert not re.search(r"@import|url\(", parsed.texts["style", None])
        assert not re.search(
            r"\bimport\b[^;\n]*from|\bimport\(|fetch\(|XMLHttp|WebSocket", parsed.texts["script", None]
        )
        policy = next(a["content"] for _, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'; ") and policy.endswith("; form-action 'none'; base-uri 'none'")
        assert "http" not in policy


def test_the_lessons_network_is_a_small_file(tmp_path):
    run = trained("twin-halves", "rnn:dim_recurrent=50", iterations=1)
    path = myrnn.export(run, tmp_path / "net.html")
    assert 40_000 < path.stat().st_size < 300_000
    data = Parsed(path.read_text(encoding="utf-8")).data
    assert data["symbols"] == list("0123456789")
    # A model alone has neither names nor examples; its tokens are numbers.
    path = myrnn.export(run.model, tmp_path / "alone.html", tokens=True)
    data = Parsed(path.read_text(encoding="utf-8")).data
    assert (data["symbols"], data["separator"], data["examples"]) == (list("0123456789"), "", [])


def test_names_are_text_wherever_they_stand(hostile):
    module = f"// {HOSTILE[0]}\nexport const info = {json.dumps({'classes': HOSTILE})};\n"
    parsed, plain = of(hostile, module), of(trained("twin-halves:pattern_length_max=2"))
    count = lambda page, tag: sum(name == tag for name, _ in page.elements)  # noqa: E731
    for tag in ("script", "style", "b", "img"):
        assert count(parsed, tag) == count(plain, tag)
    assert parsed.data["symbols"] == ["<unknown>", *sorted(HOSTILE)]
    assert parsed.data["classes"] == sorted(HOSTILE[:2])
    # The program means the same with its backslashes, which is the only change.
    program = parsed.texts["script", None]
    assert program.replace("<\\", "<").startswith("\nconst network = (() => {\n" + module.replace("export ", ""))
    assert "return {info};" in program


def test_a_title_is_text(monkeypatch):
    run = trained("twin-halves:pattern_length_max=2")
    monkeypatch.setattr(type(run.experiment.source), "name", "</title><b>&amp;{{data}}")
    parsed = of(run)
    assert parsed.texts["title", None] == parsed.texts["h1", None].strip() == "RNN on </title><b>&amp;{{data}}"


def tagged():
    X = [["a", "b", "c"], ["b", "c"], ["c", "a", "b", "a"]] * 4
    return SequenceTagger("rnn", **FEW).fit(X, [[name.upper() for name in x] for x in X])


def columns():
    X = np.random.default_rng(0).normal(size=(12, 5, 2)) * [1, 10] + [0, 5]
    return SequenceRegressor("rnn", **FEW).fit(list(X), X.sum(axis=1))


def series():
    rows = np.cumsum(np.sin(np.arange(60) / 3))
    return SequenceForecaster("rnn", difference=1, period=4, **FEW).fit(rows)


@pytest.mark.parametrize(
    ("make", "known"),
    [
        (
            lambda: trained("twin-halves:pattern_length_max=2"),
            {
                "answer": "class",
                "read": "symbols",
                "perStep": False,
                "predictsNextInput": False,
                "startToken": None,
                "unknownToken": None,
            },
        ),
        (
            lambda: trained("dyck:kinds=1,depth=2,objective=next_symbols"),
            {
                "answer": "labels",
                "read": "symbols",
                "perStep": True,
                "predictsNextInput": False,
                "startToken": 2,
                "separator": "",
            },
        ),
        # The product so far is a symbol, too, but not the next one.
        (lambda: trained("group-words:Z3,length_max=4"), {"perStep": True, "predictsNextInput": False}),
        (tagged, {"answer": "class", "perStep": True, "predictsNextInput": False, "separator": " ", "unknownToken": 0}),
        (
            lambda: LanguageModel("rnn", truncate=None, **FEW).fit("abcabc\n" * 20),
            {
                "answer": "class",
                "perStep": True,
                "predictsNextInput": True,
                "separator": "",
                "unknownToken": 0,
                "series": None,
            },
        ),
        (columns, {"answer": "numbers", "read": "rows", "symbols": None, "perStep": False, "series": None}),
        (
            series,
            {
                "answer": "numbers",
                "read": "rows",
                "predictsNextInput": True,
                # y[t] - y[t - 1] - y[t - 4] + y[t - 5] is learned.
                "series": {"earlier": [[1, 1.0], [4, 1.0], [5, -1.0]], "skipped": 5},
            },
        ),
        (
            lambda: myrnn.RNN(3, 4, 1, rng=0),
            {"answer": "numbers", "read": "rows", "predictsNextInput": False, "examples": []},
        ),
    ],
    ids=["classes", "labels", "products", "tags", "text", "numbers", "series", "model"],
)
def test_what_the_page_knows_of_each_kind(make, known):
    source = make()
    data = of(source).data
    assert {name: data[name] for name in known} == known
    assert data["equations"] == network_of(source).equations
    assert data["classes"] == list(network_of(source).classes)


def test_numbers_have_the_units_of_the_data():
    data = of(columns()).data
    X = np.random.default_rng(0).normal(size=(12, 5, 2)) * [1, 10] + [0, 5]
    np.testing.assert_allclose(data["inputs"]["mean"], X.reshape(-1, 2).mean(axis=0), atol=2)
    np.testing.assert_allclose(data["outputs"]["scale"], X.sum(axis=1).std(axis=0), rtol=0.5)


def test_halves_of_surrogate_pairs_are_text(tmp_path):
    half = "\udc80"
    source = LanguageModel("rnn", truncate=None, **FEW).fit(f"ab{half}ab" * 20)
    page = Parsed(myrnn.export(source, tmp_path / "net.html").read_text(encoding="utf-8"))
    assert page.data["symbols"] == list(network_of(source).symbols) and half in page.data["symbols"]
    (tmp_path / f"{half}.csv").write_text("sequence,label\nab,yes\nb,no\nba,yes\nbb,no\n")
    experiment = Experiment(data={"file": str(tmp_path / f"{half}.csv")}, model="rnn:dim_recurrent=4")
    run = myrnn.run(experiment.with_training(max_epochs=1, engine="mygrad"), tmp_path / "run", progress=False)
    page = Parsed(myrnn.export(run, tmp_path / "net.html", overwrite=True).read_text(encoding="utf-8"))
    assert page.texts["title", None] == "RNN on \\udc80"


def test_accuracy_by_length_of_data(tmp_path):
    found = facts_of(network_of(data_run(tmp_path / "run"))).accuracy
    assert [(one.first, one.last) for one in found] == [(1, 1), (2, 2), (3, 3)]
    assert all(one.low <= one.accuracy <= one.high for one in found)


def test_accuracy_by_length_is_that_of_the_report(tmp_path):
    experiment = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=4")
    experiment = experiment.with_training(iterations=20, engine="mygrad").with_evaluation(samples=400)
    run = myrnn.run(experiment, tmp_path / "run", progress=False)
    found, report = of(tmp_path / "run").data["lengths"], run.test()["task"].report
    assert found["names"] == [str(length) for length in report.lengths] == ["2", "4", "6", "8"]
    np.testing.assert_allclose(found["accuracy"], report.accuracy, atol=1e-5)
    np.testing.assert_allclose(np.column_stack((found["low"], found["high"])), report.interval, atol=1e-5)
    assert (found["trained"], found["chance"]) == (4, 0.5)


def test_examples_are_of_the_test_and_show_mistakes():
    run = trained("twin-halves:pattern_length_max=3")
    examples = examples_of(run)
    read = run.read_texts(["".join(map(str, example.x)) for example in examples])
    truth = [run.class_names[label] for label in run.task.truth(read)]
    assert len(examples) == COUNT
    assert [example.answer for example in examples] == truth
    says = [run.class_names[place] for place in run.scores(read).argmax(axis=1)]
    assert 1 <= sum(said != right for said, right in zip(says, truth, strict=True)) <= 2
    assert examples_of(None) == ()


FEATURES = [{"sequence": [[row, 1.0], [row, 2.0]], "label": "ab"[row % 2]} for row in range(8)]
TAGS = [{"sequence": list("abc"), "tags": list("ABC")}, {"sequence": list("ca"), "tags": list("CA")}] * 4


@pytest.mark.parametrize(
    ("name", "content", "settings", "count", "first"),
    [
        ("labels.csv", "sequence,label\nab,yes\nb,no\nba,yes\nbb,no\n", {}, 4, ([1, 2], "yes")),
        ("features.jsonl", "\n".join(map(json.dumps, FEATURES)), {}, COUNT, ([[0.0, 1.0], [0.0, 2.0]], "a")),
        ("tags.jsonl", "\n".join(map(json.dumps, TAGS)), {"learn": "tags"}, 2, ([1, 2, 3], None)),
        ("text.txt", "abcabc\n" * 30, {"learn": "text"}, 1, (([2, 3, 4, 2, 3, 4, 1] * 7)[:48], None)),
        (
            "series.csv",
            "x\n" + "\n".join(f"{row % 7}.0" for row in range(120)),
            {"learn": "series"},
            1,
            ([[float(row % 7)] for row in range(20, 120)], None),
        ),
    ],
    ids=lambda value: value.split(".")[0] if isinstance(value, str) and "." in value[:16] else "",
)
def test_examples_of_a_file_and_none_without_it(tmp_path, name, content, settings, count, first):
    path = tmp_path / name
    path.write_text(content)
    experiment = Experiment(data={"file": str(path), **settings}, model="rnn:dim_recurrent=4")
    whole = {"truncate": 0} if settings.get("learn") in ("text", "series") else {}
    experiment = experiment.with_training(max_epochs=1, engine="mygrad", validation_fraction=0.5, **whole)
    run = myrnn.run(experiment, tmp_path / "run", progress=False)
    found = [(example.x, example.answer) for example in examples_of(run)]
    assert len(found) == count
    assert first in found
    path.unlink()
    assert examples_of(run) == ()
