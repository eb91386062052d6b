"""Automata extracted from networks and languages."""

import pickle
import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tests.test_compiler_equations import BothWays

import myrnn
from marks import the_rest_is_long
from myrnn import GRU, LSTM, RNN, Adam, Stacked, extract_automaton
from myrnn.cli import main
from myrnn.errors import InvalidArgument, NotFinite
from myrnn.inspection.automata.search import Cells, method_words, table_lengths, trial_words, words_of_length
from myrnn.inspection.automata.teacher import Teacher, flat
from myrnn.runs import save_run
from myrnn.sequences import Sequences
from myrnn.tasks import EqualCounts, Regular, RunningParity, Tomita
from myrnn.tasks.languages import Dfa, regular, tomita
from myrnn.tasks.languages.automata import telling_apart

ODD = Dfa("01", [[0, 1], [1, 0]], [False, True])
ODD_WRITTEN = "1*(01*01*)*01*"


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def counter(classes=2):
    """Return a network of two units, with weights set by hand, that accepts an odd number of 1s.

    The units are relu(odd + x) and relu(odd + x - 1), where odd is the first minus twice the second.
    """
    return weighted(RNN(2, 2, classes, rng=0), classes)


def weighted(model, classes=2):
    """Return a network of two units with these weights."""
    numbers = ([[0, 0], [1, 1]], [0, -1], [[1, 1], [-2, -2]], np.eye(2, classes, 1)[[0, 0]], np.eye(1, classes)[0] / 2)
    numbers[3][1] *= -2
    for parameter, given in zip(model.parameters, (*numbers[:3], *numbers[3:]), strict=True):
        parameter.data[...] = given
    return model


@pytest.fixture(scope="module")
def odd():
    """The same, compiled."""
    return myrnn.compile(counter())


@pytest.fixture(scope="module")
def odd_at_each_step():
    """The same network with an output for each step."""
    return myrnn.compile(weighted(Stacked(2, 2, 2, cell="rnn", layers=1, per_step=True, rng=0)))


# Languages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 8))
def test_a_regular_language_gives_its_smallest_automaton(number):
    found = extract_automaton(tomita(number), "01")
    assert found.complete and found.stopped is None
    assert found.dfa.difference(tomita(number)) is None and len(found) == len(tomita(number))
    assert found.hypotheses[-1].counterexample is None
    # Each counterexample refutes the automaton before it.
    for hypothesis in found.hypotheses[:-1]:
        text = hypothesis.counterexample
        assert (text in hypothesis.dfa) != (text in tomita(number))


@pytest.mark.parametrize("pattern", ["(a|b)*a(a|b){4}", "(abc|cab)*", "a{6}"])
def test_rare_and_long_members_are_found(pattern):
    language = regular(pattern, "abc")
    assert extract_automaton(language, "abc", max_length=30).dfa.difference(language) is None


@pytest.mark.parametrize(
    "examples",
    [["a" * 12], Regular("a{12}", "abc", length_max=20, any_length=True), Sequences([0] * 12, [0, 12], [1], 3)],
    ids=["strings", "task", "sequences"],
)
def test_an_example_shows_a_string_that_is_too_rare_to_be_found(examples):
    language = regular("a{12}", "abc")
    assert len(extract_automaton(language, "abc", max_length=30)) == 1
    assert extract_automaton(language, "abc", examples=examples).dfa.difference(language) is None


def test_the_automata_of_a_nonregular_language_keep_growing():
    task = EqualCounts("ab")
    found = extract_automaton(task.language, "ab", max_states=15)
    assert not found.complete and found.stopped == "15 states"
    assert "states, stopped by the limit of 15 states, " in repr(found)
    sizes = [hypothesis.states for hypothesis in found.hypotheses]
    assert sizes == sorted(set(sizes)) and sizes[-1] > 15 and len(sizes) > 8
    assert all(text.counterexample is not None for text in found.hypotheses[:-1])
    agreement = found.agreement(task, lengths=[4, 20, 20, 6])
    assert agreement.lengths.tolist() == [4, 6, 20]
    assert agreement.accuracy[:2].tolist() == [1, 1] and agreement.accuracy[2] < 1
    # Each differing string is listed once, the shortest first.
    assert agreement.differences and len(set(agreement.differences)) == len(agreement.differences)
    assert all((text in found) != (text in task.language) for text in agreement.differences)


@pytest.mark.parametrize("method", the_rest_is_long(["lstar", "clusters"], "clusters"))
def test_without_time_the_automaton_has_one_state(method, odd):
    found = extract_automaton(odd, "01", method=method, seconds=1e-9)
    # The shortest words were queried before, so L* has an automaton for them.
    assert (len(found), found.complete, found.stopped) == (1 + (method == "lstar"), False, "1e-09 seconds")
    assert "" not in found and len(found.hypotheses) == 1


# Networks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="both"),
        pytest.param({"equivalence": "states"}, id="states", marks=pytest.mark.long),
        pytest.param({"equivalence": "words"}, id="words", marks=pytest.mark.long),
        pytest.param({"method": "clusters"}, id="clusters"),
    ],
)
def test_a_network_that_counts_is_an_automaton_of_two_states(options, odd):
    found = extract_automaton(odd, "01", **options)
    assert found.complete and found.name == "RNN"
    assert_array_equal(found.dfa.moves, ODD.moves)
    assert_array_equal(found.dfa.accepting, ODD.accepting)
    again = extract_automaton(odd, "01", **options)
    assert [h.counterexample for h in again.hypotheses] == [h.counterexample for h in found.hypotheses]
    assert again.queries == found.queries
    assert len(pickle.loads(pickle.dumps(found))) == 2


@pytest.mark.long
def test_any_class_can_be_the_accepting_one(odd):
    assert extract_automaton(odd, "01", accept=0).dfa.difference(ODD.complement) is None
    three = counter(classes=3)
    assert extract_automaton(three, "01", accept=1, equivalence="words").dfa.difference(ODD) is None
    with refused("the model has 3 classes: say which one is to be accepted, as accept=1"):
        extract_automaton(three, "01")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="both", marks=pytest.mark.long),
        pytest.param({"equivalence": "words"}, id="words"),
        pytest.param({"method": "clusters"}, id="clusters", marks=pytest.mark.long),
    ],
)
def test_the_last_of_the_outputs_at_all_steps_counts(options, odd_at_each_step):
    found = extract_automaton(odd_at_each_step, "01", **options)
    assert found.complete and found.dfa.difference(ODD) is None
    assert found.agreement(RunningParity()).share == found.agreement(odd_at_each_step).share == 1


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"equivalence": "words"}, id="words"),
        pytest.param({"method": "clusters"}, id="clusters", marks=pytest.mark.long),
    ],
)
def test_the_empty_string_is_rejected_if_it_has_no_output(options, odd_at_each_step):
    even = extract_automaton(odd_at_each_step, "01", accept=0, **options)
    assert even.complete and "" not in even and "11" in even and len(even) == 3
    for other in (RunningParity(), odd_at_each_step):
        assert even.agreement(other).share == even.agreement(other, accept=0).share == 1
        assert even.agreement(other, accept=1).share < 0.1


def test_symbols_may_have_other_names_and_tokens(odd):
    found = extract_automaton(odd, {"one": 1, "nil": 0})
    assert "one nil nil" in found and "one one" not in found
    # Only one of its symbols: examples with the other one are ignored.
    examples = Sequences([1, 1, 0], [0, 2, 3], [0, 0], 2)
    (alone,) = extract_automaton(odd, {"1": 1}, examples=examples).hypotheses
    assert alone.states == 2 and alone.dfa.symbols == ("1",)


@pytest.mark.long
def test_a_model_that_cannot_step_is_queried_with_words(in_python):
    model = BothWays()
    found = extract_automaton(model, "01234", accept=1, samples=20, max_length=2, max_states=2)
    assert found.hypotheses
    with pytest.raises(InvalidArgument, match=r"^equivalence 'states' follows the states of a network: .* backward"):
        extract_automaton(model, "01234", accept=1, equivalence="states")
    with pytest.raises(InvalidArgument, match=r"^method 'clusters' groups the states of a network: .* backward"):
        extract_automaton(model, "01234", accept=1, method="clusters")


class Uneven:
    """Accepts strings of at least two symbols; not a recurrence, because it reads the length."""

    def __init__(self):
        self.model = counter()
        self.parameters = self.model.parameters

    def __call__(self, x):
        return self.model(np.eye(2)[[int(len(x) > 1)]])


@pytest.mark.filterwarnings("ignore:the model runs op by op")
def test_a_model_that_does_not_compile_is_queried_op_by_op(monkeypatch):
    monkeypatch.setattr("myrnn.inspection.automata.teacher.SHORT_WORDS", 20)
    found = extract_automaton(Uneven(), "01", samples=10, max_length=4)
    assert found.dfa.difference(regular("[01]{2,}")) is None


class UnevenSteps(Uneven):
    """The same with an output for each step."""

    def __call__(self, x):
        return mg.concatenate([super().__call__(x)] * len(x))


@pytest.mark.filterwarnings("ignore:the model runs op by op")
def test_a_model_with_an_output_for_each_step_must_compile():
    with pytest.raises(InvalidArgument, match=r"returned shape \(2, 2\): of scores for each step, return the last row"):
        extract_automaton(UnevenSteps(), "01")


def test_states_that_no_short_word_reaches_are_followed(odd, monkeypatch):
    """A network that is right on short words and words of the W-method may still differ on longer ones."""
    teacher = Teacher(odd, "01")
    wrong = regular("([01]{0,9}|1*(01*01*)*)", "01").complement
    cells = Cells(teacher)
    word, is_whole = cells.find_difference(wrong.minimal())
    assert is_whole and word is not None
    assert teacher.accepts_one(word) != (wrong.write(word) in wrong)
    # Known cells are kept.
    assert cells.find_difference(ODD) == (None, True) and len(cells) >= 2
    monkeypatch.setattr("myrnn.inspection.automata.search.MOST_CELLS", 1)
    assert Cells(teacher).find_difference(regular("[01]{3}").complement)[1] in (True, False)


@pytest.fixture(scope="module")
def long():
    """A network of one unit that counts symbols and accepts strings of at least 12."""
    model = RNN(2, 1, 2, rng=0)
    for parameter, given in zip(model.parameters, ([[0], [0]], [1], [[1]], [[0, 1]], [0, -11.5]), strict=True):
        parameter.data[...] = given
    return myrnn.compile(model)


@pytest.mark.parametrize("equivalence", the_rest_is_long(["both", "states", "words"], "both"))
def test_an_automaton_is_complete_only_if_its_table_of_agreement_does_not_refute_it(equivalence, long):
    """Neither cells of states nor short words show that long strings are accepted."""
    found = extract_automaton(long, "01", samples=1, max_length=15, equivalence=equivalence)
    assert found.complete and (found.max_length, found.tested) == (15, 7_023)
    assert f"{len(found)} states, complete up to length 15 (7,023 strings tested), " in repr(found)
    assert "0" * 11 not in found and "01" * 6 in found
    agreement = found.agreement(long)
    assert (agreement.share, agreement.total.sum()) == (1.0, found.tested)


@pytest.mark.parametrize("method", the_rest_is_long(["lstar", "clusters"], "lstar"))
def test_an_automaton_that_its_table_of_agreement_refutes_is_not_complete(method, long):
    found = extract_automaton(long, "01", method=method, samples=1, max_states=3)
    assert (found.complete, found.tested) == (False, 0)
    assert found.stopped == {"lstar": "3 states", "clusters": "3 clusters"}[method]
    assert "complete" not in repr(found)


def test_tables_of_agreement_test_the_same_strings_of_a_length(odd):
    found, other = extract_automaton(odd, "01"), regular("(01|10)*")
    alone, among = (found.agreement(other, lengths=lengths, samples=50) for lengths in ([12], [3, 8, 12]))
    assert alone.differences == [text for text in among.differences if len(text) == 12]


def test_a_table_of_agreement_ends_with_the_longest_length():
    assert table_lengths(3) == [0, 1, 2, 3] and table_lengths(45) == [*range(0, 45, 2), 45]


# Agreement ------------------------------------------------------------------------------------------------------------


def test_agreement_is_counted_by_length(odd):
    found = extract_automaton(odd, "01")
    even = Regular("(0|10*1)*")
    truth = found.agreement(even, lengths=range(4))
    assert truth.total.tolist() == [1, 2, 4, 8] and truth.share == 0.0 and truth.what == "truth"
    assert truth.differences[:4] == ["", "0", "1", "00"]
    assert_array_equal(truth.interval, 0.0)
    network = found.agreement(odd, lengths=[3, 12, 0, 1, 2], samples=200)
    assert network.what == "network" and network.share == 1.0 and network.is_all.tolist() == [True] * 4 + [False]
    assert 0.9 < network.interval[4, 0] < 1.0
    assert repr(network) == "Agreement(100.00% of 215 strings with the network)"
    wrong = found.agreement(even, lengths=[0, 1, 2, 3, 12], samples=200)
    table = network.table(beside=wrong)
    assert list(table.columns)[-5:] == [f"truth_{name}" for name in ("total", "correct", "accuracy", "low", "high")]
    text = table.to_text()
    assert "100 (98.1-100)" in text and "all 8" in text
    assert "differs from the truth on (empty) (rejected), 0 (rejected), 1 (accepted)" in " ".join(text.split())
    # A task with another truth, and another model.
    assert found.accept == 1
    assert found.agreement(Regular("(0|10*1)*"), lengths=[2], accept=0).share == 1.0
    with refused("accept must be at most 1, not 2"):
        found.agreement(Regular("(0|10*1)*"), lengths=[2], accept=2)
    with refused("accept is a class of a model or a task, but a language was given"):
        found.agreement(tomita(5), accept=1)
    # Whatever class the automaton accepts, members of a language have class 1.
    rejected = replace(found, dfa=found.dfa.complement, accept=0)
    assert rejected.agreement(Regular("(0|10*1)*")).share == rejected.agreement(regular("(0|10*1)*")).share == 1.0
    with refused(
        "the automaton accepts class 5, and the task has 2 classes: say which one has the members, as accept=1"
    ):
        replace(found, accept=5).agreement(RunningParity())
    assert found.agreement(tomita(5), lengths=[1]).differences == ["1"]


@pytest.mark.parametrize(
    ("other", "options", "message"),
    [
        (regular("ab"), {}, "the other language has the symbols a b, and the automaton 0 1"),
        (myrnn.tasks.TwinHalves(), {}, "the task has 10 symbols, and the automaton 2"),
        (ODD, {"lengths": [-1]}, "lengths must be at least 0, but there is -1 at [0]"),
        (ODD, {"samples": 0}, "samples must be at least 1, not 0"),
    ],
)
def test_incomparable_arguments_are_refused(other, options, message):
    with refused(message):
        extract_automaton(ODD, "01").agreement(other, **options)


# Words ----------------------------------------------------------------------------------------------------------------


def test_all_kinds_of_words_are_tried():
    rng = np.random.default_rng(0)
    strings, offsets = trial_words((tomita(1), tomita(1).complement), np.full(2000, 12), rng)
    assert set(np.diff(offsets)) == {12}
    ones = strings.reshape(-1, 12).sum(axis=1)
    # Members of 1* are one of 4,096 strings of this length.
    assert (
        np.count_nonzero(ones == 12) > 300 and np.count_nonzero(ones == 11) > 100 and np.count_nonzero(ones < 8) > 300
    )


def test_all_words_of_a_length_are_tried_if_there_are_few():
    rng = np.random.default_rng(0)
    (strings, offsets), is_all = words_of_length((tomita(1),), 3, 8, rng)
    assert is_all and len(offsets) == 9 and len(set(map(bytes, strings.reshape(8, 3)))) == 8
    (strings, offsets), is_all = words_of_length((tomita(1),), 4, 8, rng)
    assert not is_all and len(strings) == 4 * (len(offsets) - 1) == 32
    # Also if there are no members of a length.
    (strings, offsets), _ = words_of_length((regular("ab"),), 9, 40, rng)
    assert len(offsets) == 41


def test_words_of_the_w_method_contain_every_middle():
    strings, offsets = method_words(2, [(), (0,)], [(), (1,)])
    words = {tuple(strings[a:b].tolist()) for a, b in pairwise(offsets)}
    assert {(), (0,), (1,), (0, 0, 1, 0, 1), (0, 1, 1, 1, 1)} <= words


def test_a_word_distinguishes_two_states():
    dfa = tomita(4)
    assert telling_apart(dfa, 0, dfa, 2) == (0,) and telling_apart(dfa, 0, dfa, 3) == ()
    assert flat([(0, 1), ()])[1].tolist() == [0, 2, 2]


# What is refused ------------------------------------------------------------------------------------------------------

REFUSED = {
    "method": ({"method": "l*"}, "method must be one of 'lstar', 'clusters', not 'l*'"),
    "equivalence": ({"equivalence": "word"}, None),
    "length": ({"max_length": 0}, "max_length must be at least 1, not 0"),
    "samples": ({"samples": 0}, "samples must be at least 1, not 0"),
    "seconds": ({"seconds": 0}, "seconds must be above 0.0, not 0.0"),
    "states": ({"max_states": 0}, "max_states must be at least 1, not 0"),
    "seed": ({"seed": -1}, "seed must be at least 0, not -1"),
    "alphabet": (
        {"alphabet": "012"},
        "the alphabet has 3 symbols, but the model reads 2: name each, or give the token of some, as "
        "alphabet={'a': 1, 'b': 2}",
    ),
    "twice": ({"alphabet": "00"}, "the symbol '0' is repeated in the alphabet"),
    "token": ({"alphabet": {"0": 0, "1": 2}}, "alphabet must be at most 1, but there is 2 at [1]"),
    "class": ({"accept": 2}, "accept must be at most 1, not 2"),
    "examples": ({"examples": "01"}, "examples must be a task, a Sequences or strings, not '01'"),
    "features": (
        {"examples": Sequences([[0.5, 1.0]], [0, 1], [0])},
        "examples must be sequences of symbols, not of features",
    ),
    "symbol": ({"examples": ["0", "02"]}, "'2' is not a symbol of the language: these are 0 1"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_argument_is_refused(options, message, odd):
    with pytest.raises(InvalidArgument) if message is None else refused(message):
        extract_automaton(odd, **{"alphabet": "01", **options})


def test_a_language_with_other_symbols_is_refused():
    with refused("the alphabet must be that of the language, 0 1, not a b"):
        extract_automaton(ODD, "ab")
    with refused("accept is a class of a model, but a language was given"):
        extract_automaton(ODD, "01", accept=1)
    with refused("equivalence 'states' follows the states of a network: a language has none"):
        extract_automaton(ODD, "01", equivalence="states")


def test_models_with_other_outputs_are_refused(in_python):
    with refused("the model has one output, but an automaton is read out of one with classes"):
        extract_automaton(RNN(2, 3, 1, rng=0), "01")


def test_logits_that_are_not_finite_are_an_error(in_python):
    model = counter()
    model.parameters[2].data[...] = 1e30
    with pytest.raises(NotFinite):
        extract_automaton(model, "01")


def test_clusters_work_without_aalpy(monkeypatch, odd):
    monkeypatch.setitem(sys.modules, "aalpy", None)
    with refused(
        "method 'lstar' needs AALpy: pip install '.[automata]' in the folder of MyRNN, or choose method 'clusters'"
    ):
        extract_automaton(odd, "01")
    assert len(extract_automaton(odd, "01", method="clusters")) == 2


# The command ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_command_asks_which_of_several_classes_is_accepted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("three.csv").write_text("sequence,label\n" + "ab,x\nba,y\naa,z\n" * 10)
    assert main(["train", "--data=three.csv", "--dim-recurrent=2", "--max-epochs=1", "--quiet", "--out=run"]) == 0
    capsys.readouterr()
    assert main(["extract", "run"]) == 2
    assert capsys.readouterr().err == "myrnn: the network has 3 classes: --accept chooses one of x, y, z\n"


def test_the_command_compares_the_class_that_is_accepted(tmp_path, monkeypatch, capsys):
    """The network is right on every string: so is the automaton of either class, and both columns show it."""
    monkeypatch.setenv("COLUMNS", "80")
    task, network = Regular("0*(10*10*)*10*", length_max=4), counter()
    optimizer = Adam(network.parameters, learning_rate=1e-9)
    training = {"iterations": 1, "report_every": 1, "engine": "mygrad"}
    history = myrnn.train(network, task, optimizer, **training, progress=False)
    run = save_run(tmp_path / "run", task=task, model=network, optimizer=optimizer, history=history, training=training)
    for accept in ("member", "no member"):
        assert main(["extract", str(run), f"--accept={accept}"]) == 0
        shown = capsys.readouterr().out
        rows = re.findall(r"^ +(\d+) +(\S+) +(\S+) +all +\d+ *$", shown, re.MULTILINE)
        assert [int(row[0]) for row in rows] == list(range(9))
        assert {row[1:] for row in rows} == {("100.0", "100.0")} and "differs" not in shown
        assert f"accepted    {accept}\n" in shown


@pytest.mark.long
def test_the_command_shows_the_automaton_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    small = ("--dim-recurrent=2", "--iterations=2", "--quiet")
    assert main(["train", "--task", f"regular:{ODD_WRITTEN},length_max=4", *small, "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["extract", "run", "--max-states=3", "--seconds=5"]) == 0
    shown = capsys.readouterr().out
    assert "Automaton: RNN" in shown and "with the network" in shown and "with the truth" in shown
    assert re.search(r"\naccepted    member\nautomaton   (run.automaton\.svg|no picture: .*)\n$", shown)
    assert main(["extract", "run", "--method=clusters", "--max-states=2", "--accept=no member", "--out=a.png"]) == 0
    assert (tmp_path / "a.png").exists() and "accepted    no member" in capsys.readouterr().out
    for options, message in (
        (["--accept=members"], "--accept must be one of 'no member', 'member', not 'members'"),
        (["--out=a.gif"], "--out must end in .svg, .png or .pdf, not 'a.gif'"),
        (["--max-states=0"], "--max-states must be at least 1, not 0"),
        (["--method=stars"], "--method must be one of 'lstar', 'clusters', not 'stars'"),
    ):
        assert main(["extract", "run", *options]) == 2
        assert capsys.readouterr().err.startswith(f"myrnn: {message}")


# Trained networks -----------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "number"), [*((GRU, n) for n in range(1, 8)), (LSTM, 3), (LSTM, 7), (RNN, 2), (RNN, 5)]
)
def test_trained_networks_give_the_automata_of_the_tomita_languages(kind, number):
    task = Tomita(number, length_min=0, length_max=15, any_length=True)
    options = {"activation": "tanh"} if kind is RNN else {}
    model = kind(2, 16, 2, rng=0, **options)
    optimizer = Adam(model.parameters, learning_rate=0.01, weight_decay=0.01)
    myrnn.train(model, task, optimizer, iterations=8_000, batch_size=20, schedule="cosine", seed=0, progress=False)
    found = extract_automaton(model, "01", max_length=15)
    assert found.complete and found.dfa.difference(task.language) is None


def test_sequences_become_the_tokens_that_the_network_reads(odd):
    strings, offsets = flat([(0, 1, 1), (), (1,)])
    teacher = Teacher(odd, "01")
    expected = odd.predict(Sequences(strings, offsets, np.zeros(3, dtype=int), 2))
    assert teacher.accepts((strings, offsets)).tolist() == [bool(label) for label in expected] == [False, False, True]
    assert teacher.queries == 3 and teacher.accepts_one((1,)) and teacher.accepts_one((1,)) and teacher.queries == 4
