import random
import re
from pathlib import Path

import numpy as np
import pytest

from myrnn import evaluate
from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.playground import keep, views
from myrnn.playground.material import data_of
from myrnn.playground.network import Network
from playground_help import loop, open_session

LETTERS = "ab"


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def table(count, longest, seed):
    """Return words of a and b, labelled by whether the number of a is even, as CSV."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(LETTERS, k=rng.randint(1, longest))) for _ in range(count)]
    return "sequence,label\n" + "".join(f"{word},{'odd' if word.count('a') % 2 else 'even'}\n" for word in words)


def train_on(name, *options, **files):
    """Train briefly on files of the given content, and write a run folder."""
    for file, content in files.items():
        Path(f"{file}.csv").write_text(content)
    given = ["--data=train.csv", *(["--test=test.csv"] if "test" in files else [])]
    small = ("--dim-recurrent=8", "--batch-size=1", "--max-epochs=1", "--engine=mygrad", "--quiet")
    assert main(["train", *given, *small, *options, "--out", f"runs/{name}"]) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the run `parity`, and with its files."""
    made = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        train_on("parity", train=table(60, 5, 0), test=table(130, 8, 1))
    return made


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def gone(here):
    """The run `parity`, whose files have been moved away."""
    files = [Path("train.csv"), Path("test.csv")]
    for file in files:
        file.rename(f"{file}.away")
    yield
    for file in files:
        Path(f"{file}.away").rename(file)


def opened(name="parity"):
    run, settings = keep.load(name)
    return Network(settings, run=run, data=data_of(run))


# --- the data as a task


def test_the_data_of_a_run_become_a_task(here):
    data = opened().material
    assert (data.name, data.symbol_names, data.class_names) == ("train.csv", ("�", "a", "b"), ("even", "odd"))
    assert (data.dim_input, data.dim_output, len(data.sequences), len(data.tested.sequences)) == (3, 2, 60, 130)
    assert (data.lengths.tolist(), data.tested.lengths.tolist()) == ([1, 2, 3, 4, 5], list(range(1, 9)))
    words = {tuple(data.sequences.tokens(i)): data.sequences.labels[i] for i in range(60)}
    rng = np.random.default_rng(0)
    for drawn in (data.sample(50, rng), data.sample_lengths([3] * 20 + [5] * 10, rng), data.some(20, rng)):
        assert all(words[tuple(drawn.tokens(i))] == drawn.labels[i] for i in range(len(drawn)))
    assert data.sample_lengths([3, 5, 1], rng).lengths.tolist() == [3, 5, 1]
    assert len(data.some(1000, rng)) == 60


def test_parts_of_data_contain_every_sequence_once(here):
    test = opened().material.tested
    parts = [test.part(7, part) for part in range(30)]
    assert max(np.bincount(parts[0].lengths)) == 7
    assert len(parts[-1]) == 0
    read = sorted(tuple(part.tokens(i)) for part in parts for i in range(len(part)))
    assert read == sorted(tuple(test.sequences.tokens(i)) for i in range(130))


def test_the_class_is_only_known_for_sequences_in_the_data(here):
    data = opened().material
    for sequences in (data.sequences, data.tested.sequences):
        for i in range(20):
            tokens = sequences.tokens(i).tolist()
            assert data.answers(tokens)[-1] == tokens.count(1) % 2
    assert data.answers([0, 1]) == [None] * 2
    assert data.answers([1] * 70) == [None] * 70


@pytest.mark.parametrize(("label", "length", "found"), [(0, 3, 3), (1, 5, 5), (1, 70, 5)])
def test_a_sequence_of_a_class_has_about_the_requested_length(here, label, length, found):
    one = opened().material.like(label, length, np.random.default_rng(0))
    assert (one.labels.tolist(), one.lengths.tolist()) == ([label], [found])


# --- a network on data


def test_a_network_on_data_continues_through_its_sequences(here):
    network = opened()
    before = [parameter.data.copy() for parameter in network.model.parameters]
    assert network.advance(0.0, 1) == 1
    assert network.material.answers(network.last_tokens)[-1] is not None
    assert any((old != new.data).any() for old, new in zip(before, network.model.parameters, strict=True))
    assert (network.iteration, network.done_before, network.longest) == (1, 0, 5)


def test_a_network_on_data_is_tested_on_all_its_test_by_length(here, monkeypatch):
    monkeypatch.setattr(views, "MOST", 7)
    network, report = opened(), None
    while (further := views.tried_further(network, report, 400)) is not report:
        report = further
    whole = evaluate(network.model, network.material.tested.sequences, trained=5)
    assert report.rows() == whole.rows()
    assert report.total.sum() == 130
    shown = views.accuracy_shown(report)
    assert (shown["lengths"], shown["trained"]) == (list(range(1, 9)), 5)


def test_a_row_of_data_shows_the_loss_if_the_class_is_known(here):
    network = opened()
    known = network.material.sequences.tokens(0).tolist()
    assert views.row(network, known)["answers"][-1] == known.count(1) % 2
    assert views.row(network, known)["loss"] > 0
    other = views.row(network, [0, 1])
    assert (other["answers"], other["loss"], len(other["likely"])) == ([None, None], None, 2)


def test_mistakes_and_shortcuts_are_those_of_the_test(here):
    network = opened()
    told = views.mistakes(network, "trained", 500, 0)
    assert told["samples"] == 130
    assert all(network.material.tested.answers(one["tokens"])[-1] == one["truth"] for one in told["mistakes"])
    with refused("such mistakes exist only for twin halves and palindromes"):
        views.mistakes(network, "longer", 500, 0)
    assert set(views.shortcut_levels(network.material.tested)["lengths"]) <= set(range(1, 9))


@pytest.mark.parametrize(
    ("options", "rows", "why"),
    [
        ((), ["ab,x", "ba,y", "aa,z"], "and this one has 3 classes"),
        ((), ["abcdef,x", "ghijk,y"], "and this one reads 11"),
    ],
)
def test_data_that_the_page_cannot_show_are_refused(tmp_path, monkeypatch, options, rows, why):
    monkeypatch.chdir(tmp_path)
    train_on("other", *options, train="\n".join(["sequence,label", *rows * 4]))
    assert keep.listed_runs() == ["other"]
    with refused(f"the playground opens runs on data of two classes and at most 10 symbols, {why}"):
        opened("other")


def test_settings_that_the_page_does_not_have_are_moved_into_its_bounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_on("large", "--batch-size=500", "--seed=4000000000", train=table(20, 3, 0))
    settings = opened("large").settings
    assert (settings["batch_size"], settings["seed"]) == (128, 999_999)


def test_numbers_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.jsonl").write_text(
        '{"sequence": [[0.5], [1.5]], "label": "x"}\n{"sequence": [[2.5]], "label": "y"}\n' * 5
    )
    options = ("--dim-recurrent=8", "--max-epochs=1", "--engine=mygrad", "--quiet", "--out=runs/numbers")
    assert main(["train", "--data=train.jsonl", *options]) == 0
    with refused("the playground opens runs on data of two classes and at most 10 symbols, and this one reads numbers"):
        opened("numbers")


def test_tags_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.jsonl").write_text('{"sequence": ["a", "b"], "tags": ["v", "c"]}\n' * 10)
    options = ("--learn=tags", "--dim-recurrent=4", "--max-epochs=1", "--engine=mygrad", "--quiet", "--out=runs/tags")
    assert main(["train", "--data=train.jsonl", *options]) == 0
    with refused("the playground opens runs on data of two classes and at most 10 symbols, and this one learned tags"):
        opened("tags")


def test_at_most_ten_symbols_are_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_on("digits", train="sequence,label\n" + "0123456789,x\n98765,y\n" * 5)
    network = opened("digits")
    assert views.row(network, [10, 0, 1])["tokens"] == [10, 0, 1]
    with refused("there are no test sequences: the run was given none"):
        views.tried_further(network, None, 1)


def test_a_network_whose_files_are_missing_is_shown_without_data(gone):
    network = opened()
    for prepare in network.preparations():
        prepare()
    assert "train.csv" in network.material.missing
    assert network.material.description.endswith(
        f"The network can be looked at, but not trained: {network.material.missing}."
    )
    assert {"play", "step", "draw"} < network.off.keys()
    assert len(views.row(network, [1, 2])["likely"]) == 2
    with refused(network.material.missing):
        network.advance(0.0, 1)
    with refused(network.material.missing):
        views.gradient(network)
    with pytest.raises(InvalidArgument, match=r"^there are no test sequences: .*test\.csv"):
        views.tried_further(network, None, 1)


# --- a session


@pytest.fixture(scope="module", autouse=True)
def sessions_run():
    with loop():
        yield


def test_a_run_on_data_is_used_in_the_playground(here):
    with open_session() as page:
        assert page.ask("runs", "runs")["runs"] == ["parity"]
        told = page.ask("load", "network", run="parity")
        assert told["task"] == {
            "told": "The data: train.csv. Is a sequence “even” or “odd”? “�” stands for every other symbol.",
            "symbols": ("�", "a", "b"),
            "classes": ("even", "odd"),
            "families": ("trained",),
            "each": "sequence",
            "views": ("row", "accuracy", "gradient", "eigenvalues", "mistakes"),
            "example": None,
        }
        assert (told["settings"]["task"], told["is_loaded"], "past" in told) == ("data", True, False)
        assert page.step(0)["last"]["loss"] > 0
        page.send("watch", views=["row", "accuracy", "gradient", "mistakes"])
        accuracy = page.until(lambda told: told["type"] == "accuracy" and sum(told.get("total", ())) == 130)
        assert accuracy["lengths"] == list(range(1, 9))
        page.send("draw", label=1, length=4)
        row = page.until(lambda told: told["type"] == "row" and len(told["tokens"]) == 4 and told["answers"][-1] == 1)
        assert row["tokens"].count(1) % 2 == 1
        for kind in ("reset", "save", "script"):
            assert page.ask(kind, "error")["message"] == told["off"][kind]


@pytest.mark.long
def test_another_network_is_trained_on_the_data_of_a_run(here):
    with open_session() as page:
        settings = page.ask("load", "network", run="parity")["settings"]
        fresh = page.ask("configure", "network", settings={**settings, "dim_recurrent": 4}, anew=False)
        assert (fresh["task"]["symbols"], fresh["is_loaded"]) == (("�", "a", "b"), False)
        assert set(fresh["off"]) == {"link", "save", "script"}
        page.step(0)
        assert page.ask("pin", "pinned")["network"]["settings"]["task"] == "data"
        assert page.next("network")["settings"] == {**settings, "dim_recurrent": 4}
        page.send("watch", views=["row"])
        page.send("tokens", tokens=[1, 2, 1])
        assert "pinned" in page.until(lambda told: told["type"] == "row" and told["tokens"] == [1, 2, 1])
        other = page.ask("configure", "network", settings={**settings, "task": "palindromes"}, anew=False)
        assert other["task"]["classes"] == ("no match", "match")
        # Its tokens are other symbols.
        page.send("tokens", tokens=[2, 1])
        assert "pinned" not in page.until(lambda told: told["type"] == "row" and told["tokens"] == [2, 1])
        assert page.ask("configure", "network", settings=settings, anew=False)["settings"] == settings


def test_without_a_run_on_data_there_are_no_data(here):
    with open_session() as page:
        settings = {**page.last["network"]["settings"], "task": "data"}
        assert page.ask("configure", "error", settings=settings, anew=False)["message"] == (
            "there are no data here: load a run on data"
        )


def test_a_run_whose_files_are_missing_says_so(gone):
    with open_session() as page:
        told = page.ask("load", "network", run="parity")
        assert "not trained" in told["task"]["told"]
        for kind in ("play", "step"):
            assert page.ask(kind, "error")["message"] == told["off"][kind]
        page.send("watch", views=["row", "accuracy"])
        page.until(lambda told: told["type"] == "row" and "likely" in told)
        assert page.next("accuracy")["problem"].startswith("there are no test sequences: ")
