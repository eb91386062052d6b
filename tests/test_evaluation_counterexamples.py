import re

import mygrad as mg
import numpy as np
import pytest

from myrnn.errors import InvalidArgument
from myrnn.evaluation import counterexamples, evaluate, shortcuts
from myrnn.evaluation.mistakes import aligned, halves_of
from myrnn.models import LSTM, RNN
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.tokens import written_tokens

TASK = TwinHalves(1, 3, alphabet_size=4)
MODEL = RNN(4, 6, 2, rng=3)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


class Constant:
    """A model with the same answer for every sequence."""

    parameters = (mg.tensor([0.0]),)

    def __init__(self, *logits):
        self.logits = np.array([logits])

    def __call__(self, x):
        return self.logits


def mistakes_by_hand(model, sequences):
    """Return every distinct sequence that the model gets wrong, with its class and probability."""
    found = {}
    for index, (x, y) in enumerate(sequences):
        logits = model(x).data[0].astype(float)
        shares = np.exp(logits) / np.exp(logits).sum()
        if np.argmax(logits) != y.item():
            found[tuple(sequences.tokens(index).tolist())] = (y.item(), int(np.argmax(logits)), shares.max())
    return found


@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize("model", [MODEL, pytest.param(LSTM(4, 6, 2, rng=0), marks=pytest.mark.long)])
def test_the_mistakes_are_those_found_by_hand(model, engine):
    drawn = TASK.sample(200, np.random.default_rng(2))
    by_hand = mistakes_by_hand(model, drawn)
    found = counterexamples(model, TASK, samples=200, seed=2, most=1000, engine=engine)
    for listed in (found.shortest, found.most_confident):
        assert {tuple(one.sequence.tolist()) for one in listed} == set(by_hand)
        assert len(listed) == len(by_hand)
        for one in listed:
            truth, predicted, probability = by_hand[tuple(one.sequence.tolist())]
            assert (one.truth, one.predicted) == (truth, predicted)
            assert one.probability == pytest.approx(probability, rel=1e-5)
    report = evaluate(model, TASK, samples=200, seed=2)
    assert (found.mistakes, found.samples) == (report.total.sum() - report.correct.sum(), 200)


def test_the_shortest_come_first_and_the_most_confident_first():
    found = counterexamples(MODEL, TASK, samples=400, most=1000)
    keys = [(len(one.sequence), -one.probability) for one in found.shortest]
    assert keys == sorted(keys)
    shares = [one.probability for one in found.most_confident]
    assert shares == sorted(shares, reverse=True)


def test_the_lists_are_no_longer_than_requested():
    everything = counterexamples(MODEL, TASK, samples=400, most=1000)
    found = counterexamples(MODEL, TASK, samples=400, most=3)
    for few, all_of_them in (
        (found.shortest, everything.shortest),
        (found.most_confident, everything.most_confident),
    ):
        assert [one.sequence.tolist() for one in few] == [one.sequence.tolist() for one in all_of_them[:3]]


def test_probabilities_that_round_to_one_are_still_ordered():
    class Sure(Constant):
        def __call__(self, x):
            return np.array([[0.0, 100.0 + x.shape[0]]])

    found = counterexamples(Sure(), TASK, samples=100, engine="mygrad")
    assert len(found.most_confident[0].sequence) == 6
    assert len(found.shortest[0].sequence) == 2
    assert found.most_confident[0].probability == 1.0


def test_classes_have_the_names_of_the_task():
    assert counterexamples(MODEL, TASK, samples=50).class_names == ("no match", "match")
    assert counterexamples(Constant(0, 1, 2), TASK, samples=50, engine="mygrad").class_names[2] == "class 2"


def test_lengths_can_be_requested():
    found = counterexamples(MODEL, TASK, samples=60, lengths=[10, 12])
    assert {len(one.sequence) for one in found.shortest} <= {10, 12}
    assert found.samples == 60


# --- halves


def test_halves_of_twins_are_compared_in_their_order():
    halves = halves_of(TwinHalves(), np.array([1, 2, 3, 1, 5, 3]))
    assert (halves.first.tolist(), halves.second.tolist()) == ([1, 2, 3], [1, 5, 3])
    assert halves.differ.tolist() == [False, True, False]
    assert not halves.backwards
    assert str(aligned(halves)) == "123\n153\n ^"


def test_halves_of_palindromes_are_compared_from_the_end():
    halves = halves_of(Palindromes(parity="odd"), np.array([1, 2, 9, 3, 1]))
    assert (halves.first.tolist(), halves.middle.tolist(), halves.second.tolist()) == ([1, 2], [9], [1, 3])
    assert halves.backwards
    assert str(aligned(halves)) == "12\n13\n ^"


def test_a_match_has_no_marks():
    assert str(aligned(halves_of(TwinHalves(), np.array([4, 2, 4, 2])))) == "42\n42"


def test_numbers_of_several_digits_stay_in_their_columns():
    assert str(aligned(halves_of(TwinHalves(), np.array([1, 12, 3, 1, 2, 3])))) == "  1 12  3\n  1  2  3\n     ^"


def test_a_long_half_continues_further_down():
    tokens = np.array([1] * 40 + [1] * 35 + [2] * 5)
    lines = str(aligned(halves_of(TwinHalves(), tokens))).splitlines()
    assert lines == ["1" * 30, "1" * 30, "1" * 10, "1" * 5 + "2" * 5, " " * 5 + "^" * 5]


def test_other_tasks_have_no_halves():
    assert halves_of(Sequences([1], [0, 1], [0]), np.array([1, 1])) is None
    assert written_tokens(np.array([1, 2, 3])) == "123"
    assert written_tokens(np.array([1, 12])) == "1,12"
    assert written_tokens(np.array([], dtype=int)) == ""


# --- the table


def test_the_table_shows_halves_under_each_other():
    data = TwinHalves(3, 3).sample(20, np.random.default_rng(0))
    found = counterexamples(Constant(0.0, 2.0), TwinHalves(3, 3), samples=20, seed=0, most=2, engine="mygrad")
    lines = found.table().to_text().splitlines()
    assert lines[0].strip() == f"{np.sum(data.labels == 0)} mistakes in 20 sequences"
    assert lines[1].split() == ["length", "sequence", "truth", "model", "says", "sure"]
    first = found.shortest[0]
    assert lines[3].split() == ["shortest", "6", written_tokens(first.halves.first), "no", "match", "match", "0.8808"]
    assert lines[4].split() == [written_tokens(first.halves.second)]
    assert set(lines[5].split()) <= {"^", "^^", "^^^"}
    assert lines[-1].strip() == "first half above the second; ^ marks where they differ"


@pytest.mark.parametrize("alphabet", [10, 2000])
def test_the_table_fits_into_80_columns_however_long_the_sequences(alphabet):
    found = counterexamples(
        Constant(1.0, 0.0), Palindromes(1, 60, alphabet), samples=9, lengths=[120], most=2, engine="mygrad"
    )
    lines = found.table().to_text().splitlines()
    assert max(map(len, lines)) <= 80
    spelled_out = "".join(line[18:48].strip() for line in lines[3:])
    assert "…" not in spelled_out
    assert lines[-1].startswith("first half above the second, written backwards;")


def test_the_middle_symbol_is_mentioned():
    found = counterexamples(Constant(1.0, 0.0), Palindromes(parity="odd"), samples=50, engine="mygrad")
    assert "the middle symbol of an odd length is left out" in " ".join(found.table().to_text().split())


def test_sequences_without_halves_are_spelled_out():
    data = Sequences([1, 2, 3, 11, 4], [0, 3, 5], [0, 0], 12)
    text = counterexamples(Constant(0.0, 1.0), data, engine="mygrad").table().to_text()
    assert re.search(r"2 +11,4 +class 0 +class 1", text)
    assert re.search(r"3 +123 +class 0 +class 1", text)
    assert "half" not in text


def test_features_are_counted():
    found = counterexamples(Constant(0.0, 1.0), Sequences(np.ones((3, 2)), [0, 3], [0]), engine="mygrad")
    assert found.shortest[0].sequence.shape == (3, 2)
    assert "3 rows of 2 features" in found.table().to_text()


def test_no_mistake_is_an_empty_table():
    data = Sequences([1, 2], [0, 1, 2], [1, 1])
    found = counterexamples(Constant(0.0, 1.0), data, engine="mygrad")
    assert (found.shortest, found.most_confident, found.mistakes) == ([], [], 0)
    assert repr(found) == "Counterexamples(0 mistakes in 2 sequences)"
    assert found.table().to_text().startswith("0 mistakes in 2 sequences")


def test_the_output_in_a_notebook_and_at_a_prompt():
    found = counterexamples(Constant(0.0, 1.0), TASK, samples=40, engine="mygrad")
    assert "^" in found._repr_mimebundle_()["text/html"]
    assert re.fullmatch(r"Counterexamples\(\d+ mistakes in 40 sequences, the shortest of length 2\)", repr(found))
    assert re.fullmatch(r"Mistake\(\d\d: class 0, predicted 1 with probability 0.7311\)", repr(found.shortest[0]))


# --- nothing is changed


@pytest.mark.parametrize("engine", ["auto", "mygrad"])
def test_the_model_and_its_gradients_do_not_change(engine):
    model = RNN(4, 6, 2, rng=3)
    model(np.eye(4, dtype=np.float32)).sum().backward()
    before = [(p.data.tobytes(), p.grad.tobytes()) for p in model.parameters]
    counterexamples(model, TASK, samples=50, engine=engine)
    report = evaluate(model, TASK, samples=50, lengths=[2, 4], engine=engine)
    report.plot(shortcuts=shortcuts(TASK, lengths=[2, 4], samples=50), by_class=True)
    assert [(p.data.tobytes(), p.grad.tobytes()) for p in model.parameters] == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"most": 0}, "most must be at least 1, not 0"),
        ({"samples": 0}, "samples must be at least 1, not 0"),
        ({"task": 5}, "task must be a task, a Sequences or an iterable of (x, y) pairs, not int"),
        ({"engine": "gpu"}, "engine must be one of 'auto', 'native', 'mygrad', not 'gpu'"),
        ({"model": RNN}, "model must be a model, not the class RNN: call it, RNN(...)"),
        ({"task": TwinHalves()}, "the sequences have 10 symbols, but the model takes 4 inputs"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with refused(message):
        counterexamples(**{"model": MODEL, "task": TASK, "samples": 9, **arguments})
