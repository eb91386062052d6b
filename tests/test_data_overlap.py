import json
from pathlib import Path

import numpy as np
import pytest

from myrnn.cli import main
from myrnn.data import Numbers, flat_sequences
from myrnn.data.overlap import TrainingSequences


def strings(count, shortest, longest, seed, symbols="abcd"):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    return ["".join(rng.choice(list(symbols), length)) for length in lengths]


def overlap(train, test):
    return TrainingSequences(flat_sequences(train)).overlap(flat_sequences(test))


def test_a_copy_of_training_rows_is_found_even_if_some_differ():
    train = strings(400, 20, 30, 0)
    found = overlap(train, [*train[:90], *strings(10, 20, 30, 1)])
    assert (found.share, found.repeated, found.is_large) == (0.9, 0, True)


def test_short_sequences_that_are_shared_by_chance_are_not_a_copy():
    train, test = strings(2000, 1, 10, 0), strings(500, 1, 10, 1)
    found = overlap(train, test)
    assert found.share == pytest.approx(found.repeated, abs=0.06)
    assert found.share > 0.3
    assert not found.is_large
    assert overlap(train, train[:1000]).is_large
    assert overlap(train, [*train[:250], *test[:250]]).is_large


def test_a_shared_sequence_among_few_may_be_chance():
    assert not overlap(strings(20, 3, 5, 0), [strings(20, 3, 5, 0)[0], "dddd", "cccc", "abab"]).is_large


def test_symbols_are_compared_by_their_names():
    found = overlap(["bd", "db", "dd"], ["abd", "bd", "xd"])
    assert found.share == pytest.approx(1 / 3)


def test_numbers_are_compared_row_by_row():
    train = [np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4], [5, 6]])]
    found = overlap(train, [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 4.5]])])
    assert found.share == 0.5
    assert TrainingSequences(Numbers(np.zeros((2, 1)), np.array([0, 2]))).overlap(flat_sequences(["ab"])).share == 0


def test_a_text_is_compared_line_by_line():
    lines = strings(200, 20, 30, 0)
    others = [*lines[:30], *strings(10, 20, 30, 1), *lines[30:90]]
    train, test = (flat_sequences(["\n".join(some) + "\n"], tokenize="characters") for some in (lines, others))
    found = TrainingSequences(train).overlap(test)
    assert (found.share, found.is_large) == (0.9, True)


SMALL = ("--dim-recurrent=2", "--max-epochs=1", "--engine=mygrad", "--quiet")


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("train", "test", "options"),
    [
        ("train.csv", "test.csv", ()),
        pytest.param("train.jsonl", "test.jsonl", ("--learn=tags",), marks=pytest.mark.long),
        pytest.param("train.csv", "test.csv", ("--learn=text", "--truncate=0"), marks=pytest.mark.long),
    ],
)
def test_the_command_warns_of_a_test_that_is_nearly_the_training(tmp_path, monkeypatch, capsys, train, test, options):
    monkeypatch.chdir(tmp_path)
    texts = strings(60, 8, 12, 0)
    write = {
        ".csv": lambda some: "sequence,label\n" + "".join(f"{text},{text[0]}\n" for text in some),
        ".jsonl": lambda some: "".join(json.dumps({"sequence": list(x), "tags": list(x)}) + "\n" for x in some),
    }[Path(train).suffix]
    Path(train).write_text(write(texts))
    Path(test).write_text(write(texts[:40]))
    assert main(["train", f"--data={train}", f"--test={test}", *options, *SMALL, "--out=copy"]) == 0
    told = f"100.0% of the sequences of {test} are also in the training data, of which only 0.0% are there twice"
    assert capsys.readouterr().err.startswith(f"myrnn: warning: {told}: a test on them says little about")
    Path(test).write_text(write(strings(40, 8, 12, 1)))
    assert main(["train", f"--data={train}", f"--test={test}", *options, *SMALL, "--out=new"]) == 0
    assert "also in the training" not in capsys.readouterr().err
    for folder, share in (("copy", 1), ("new", 0)):
        numbers = json.loads(Path(folder, "report.json").read_text())["tests"]["test"]
        assert (numbers["share_in_training"], numbers["repeated_in_training"]) == (share, 0)
