"""Tasks with an answer at every step: their answers, networks that learn them, and accuracy over steps."""

import codecs
import contextlib
import io
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marks import the_rest_is_long
from myrnn import GRU, Adam, evaluate, generate, inspect, train
from myrnn.cli import main
from myrnn.compiler import compile
from myrnn.errors import InvalidArgument
from myrnn.evaluation import tag_report
from myrnn.experiment import Experiment
from myrnn.intervals import wilson_interval
from myrnn.models.network import sizes_for
from myrnn.registry import make
from myrnn.runs import compare_runs, load_run, reports
from myrnn.sequences import Sequences
from myrnn.tasks import (
    AssociativeRecall,
    CopyAfterPause,
    GroupWords,
    Induction,
    ModularArithmetic,
    NextCharacter,
    RunningParity,
    TwinHalves,
    answered,
    twice_as_long,
)
from myrnn.tasks.groups import group_of
from myrnn.tasks.steps import ZEN
from playground_help import RECURRENT

# With fixed seeds a test of a distribution passes always or never; far below 1 in 1,000 means that something is wrong.
UNLIKELY = 1e-3
TASKS = [RunningParity(1, 6), CopyAfterPause(1, 3, pause=2, alphabet_size=4), NextCharacter(1, 9)]
MORE_TASKS = [
    GroupWords("Z5", length_max=9),
    GroupWords("S4", length_max=9),
    GroupWords("A5", "generators", length_max=9),
    GroupWords("Z2xS3", length_max=9),
    GroupWords("Z3xZ2xA4", "generators", length_max=9),
    ModularArithmetic(length_max=13),
    ModularArithmetic(7, brackets=True, length_max=21),
    AssociativeRecall(1, 4, keys=6, values=3),
    AssociativeRecall(1, 30, keys=60, values=3),
    Induction(4, length_max=12),
]


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def product_of(group, names):
    """The name of the product of elements: numbers are added, and permutations move the points one after another."""
    products = []
    for place, factor in enumerate(group.split("x")):
        parts = [name.split(".")[place] for name in names]
        if factor[0] == "Z":
            products.append(str(sum(map(int, parts)) % int(factor[1:])))
        else:
            points = range(int(factor[1:]))
            for part in parts:
                points = [int(part[point]) for point in points]
            products.append("".join(map(str, points)))
    return ".".join(products)


def values_of(names, task):
    """The values of the beginnings of an expression, as long as it can be continued to a whole one."""
    found, reduced = [], ""
    for name in names:
        reduced += name
        if task.brackets:
            closing = re.search(r"\((\d[-+*]\d)\)$", reduced)
            if closing:
                reduced = f"{reduced[: closing.start()]}{eval(closing[1]) % task.modulus}"
            is_right = re.fullmatch(r"(\((\d[-+*])?)*\d?", reduced)
            has_value = closing or (len(reduced) == 1 and reduced.isdigit())
        else:
            is_right = re.fullmatch(r"(\d[-+*])*\d?", reduced)
            has_value = name.isdigit()
        if not is_right:
            break
        found.append((int(reduced[-1]) if task.brackets else eval(reduced) % task.modulus) if has_value else None)
    return found + [None] * (len(names) - len(found))


def right_answers(task, tokens):
    """The answers in plain Python, or None at steps without one."""
    if isinstance(task, RunningParity):
        return [sum(tokens[: step + 1]) % 2 for step in range(len(tokens))]
    if isinstance(task, NextCharacter):
        return [*tokens[1:], None] if tokens else []
    names = [task.symbol_names[token] for token in tokens]
    if isinstance(task, GroupWords):
        return [task.class_names.index(product_of(task.group, names[: step + 1])) for step in range(len(names))]
    if isinstance(task, ModularArithmetic):
        return values_of(names, task)
    if isinstance(task, AssociativeRecall):
        values, answers = {}, []
        for before, name in itertools.pairwise([None, *names]):
            answers.append(None if name.isdigit() else values.get(name))
            if name.isdigit() and before is not None and not before.isdigit():
                values[before] = int(name)
        return answers
    if isinstance(task, Induction):
        earlier = [[place for place in range(step) if tokens[place] == token] for step, token in enumerate(tokens)]
        return [tokens[places[-1] + 1] if places else None for places in earlier]
    answers, asked = [], 0
    for step, token in enumerate(tokens):
        answers.append(None)
        if token == task.alphabet_size + 1:
            copied = [(place, symbol) for place, symbol in enumerate(tokens) if symbol < task.alphabet_size]
            if asked < len(copied) and copied[asked][0] < step:
                answers[-1] = copied[asked][1]
            asked += 1
    return answers


def plain(sequences):
    return [sequences.tokens(i).tolist() for i in range(len(sequences))]


def answers_of(sequences):
    weights = np.ones(len(sequences.values)) if sequences.weights is None else sequences.weights
    flat = [int(target) if weight else None for target, weight in zip(sequences.targets, weights, strict=True)]
    return [flat[begin:end] for begin, end in itertools.pairwise(sequences.offsets)]


# --- drawing


@given(st.sampled_from(TASKS + MORE_TASKS), st.integers(0, 80), st.integers(0, 2**32 - 1))
def test_answers_are_the_truth_and_shapes_are_as_promised(task, n, seed):
    drawn = task.sample(n, np.random.default_rng(seed))
    assert len(drawn) == n
    assert drawn.is_tokens
    assert drawn.per_step
    assert drawn.dim_input == task.dim_input == len(task.symbol_names)
    assert task.dim_output == len(task.class_names)
    assert set(drawn.lengths.tolist()) <= set(task.lengths.tolist())
    for tokens, answers in zip(plain(drawn), answers_of(drawn), strict=True):
        right = right_answers(task, tokens)
        if isinstance(task, NextCharacter):
            assert task.text_of([*tokens, answers[-1]]) in task.text
            answers, right = answers[:-1], right[:-1]
        assert answers == right


@given(st.sampled_from(TASKS + MORE_TASKS), st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=12))
def test_truth_of_given_sequences(task, lists):
    lists = [[token % task.dim_input for token in tokens] for tokens in lists]
    offsets = np.cumsum([0, *map(len, lists)])
    values = np.array(list(itertools.chain(*lists)), dtype=np.int64)
    truth = task.truth(Sequences(values, offsets, [0] * len(lists), task.dim_input))
    expected = [right_answers(task, tokens) for tokens in lists]
    assert truth.tolist() == [-1 if answer is None else answer for answer in itertools.chain(*expected)]
    assert answers_of(answered(task, values, offsets)) == expected


@pytest.mark.parametrize("task", TASKS + MORE_TASKS)
def test_lengths_are_equally_likely_and_come_in_their_order_on_request(task):
    drawn = task.sample(3000, np.random.default_rng(0))
    counts = np.unique(drawn.lengths, return_counts=True)[1]
    assert stats.chisquare(counts).pvalue > UNLIKELY
    longer = twice_as_long(task).lengths[::-1]
    assert longer[0] > task.lengths[-1]
    assert task.sample_lengths(longer, np.random.default_rng(0)).lengths.tolist() == longer.tolist()
    one, again = (task.sample(50, np.random.default_rng(1)) for _ in range(2))
    assert one.values.tobytes() == again.values.tobytes()


def test_bits_and_symbols_are_equally_likely():
    bits = RunningParity(5, 5).sample(2000, np.random.default_rng(0))
    assert stats.binomtest(int(bits.values.sum()), 10_000).pvalue > UNLIKELY
    symbols = CopyAfterPause(4, 4, alphabet_size=5).sample(2000, np.random.default_rng(0)).values
    assert stats.chisquare(np.bincount(symbols[symbols < 5])).pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("name", "order"), [("Z5", 5), ("S4", 24), ("A4", 12), ("A5", 60), ("Z2xS3", 12), ("S1xZ4", 4)]
)
def test_a_group_is_a_group_and_its_generators_reach_all_of_it(name, order):
    group = group_of(name)
    every = np.arange(order)
    assert group.table.shape == (order, order) and len(set(group.names)) == order
    assert np.array_equal(group.table[0], every) and np.array_equal(group.table[:, 0], every)
    assert all(np.array_equal(np.sort(row), every) for row in (*group.table, *group.table.T))
    assert np.array_equal(group.table[group.table], group.table[:, group.table])  # (a b) c and a (b c)
    reached = {0}
    while len(wider := reached | {int(group.table[a, b]) for a in reached for b in group.generators}) > len(reached):
        reached = wider
    assert len(reached) == order


def test_expressions_have_all_forms_and_pairs_all_keys():
    forms = {
        "".join("d" if name.isdigit() else "+" if name in "+-*" else name for name in names)
        for names in (
            [ModularArithmetic(brackets=True).symbol_names[token] for token in tokens]
            for tokens in plain(
                ModularArithmetic(brackets=True, length_min=9, length_max=9).sample(100, np.random.default_rng(0))
            )
        )
    }
    assert forms == {"((d+d)+d)", "(d+(d+d))"}
    task = AssociativeRecall(6, 6, keys=6, values=3)
    drawn = task.sample(2000, np.random.default_rng(0))
    for pairs in (drawn.values.reshape(-1, 18)[:, :12:2], drawn.values.reshape(-1, 18)[:, 12:]):
        assert (np.sort(pairs, axis=1) == np.arange(6)).all()
        assert all(stats.chisquare(np.bincount(column)).pvalue > UNLIKELY for column in pairs.T)


def test_the_text_is_the_zen_that_python_prints():
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    assert codecs.decode(this.s, "rot13") == ZEN
    assert NextCharacter().text == " ".join(ZEN.lower().split())


def test_pieces_start_anywhere_in_the_text():
    task = NextCharacter(3, 3)
    pieces = {task.text_of(tokens) for tokens in plain(task.sample(20_000, np.random.default_rng(0)))}
    assert pieces == {task.text[i : i + 3] for i in range(len(task.text) - 3)}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: RunningParity(3, 2), "length_min must not exceed length_max, but they are 3 and 2"),
        (lambda: CopyAfterPause(3, 2), "copied_min must not exceed copied_max, but they are 3 and 2"),
        (
            lambda: GroupWords("D5"),
            "group must be Z, S or A and a number, or a product such as Z2xZ3, not 'D5'",
        ),
        (lambda: GroupWords("Z1"), "group must have 2 to 1,000 elements, which Z1 does not"),
        (lambda: GroupWords("S9999"), "group must have 2 to 1,000 elements, which S9999 does not"),
        (lambda: GroupWords("Z99999"), "group must have 2 to 1,000 elements, which Z99999 does not"),
        (lambda: GroupWords("Z2xS6"), "group must have 2 to 1,000 elements, which Z2xS6 does not"),
        (lambda: AssociativeRecall(1, 5, keys=4), "pairs_max must be at most keys, 4, not 5"),
        (
            lambda: AssociativeRecall(keys=9).sample_lengths([30], 0),
            "AssociativeRecall has no sequence of length 30: lengths are three for each pair, of which there are 1 "
            "to 9",
        ),
        (
            lambda: ModularArithmetic(brackets=True).sample_lengths([3], 0),
            "ModularArithmetic has no sequence of length 3: lengths are 1, 5, 9 and so on",
        ),
        (
            lambda: ModularArithmetic(brackets=True, length_min=2, length_max=4),
            "ModularArithmetic has no sequence of lengths 2 to 4: lengths are 1, 5, 9 and so on",
        ),
        (lambda: NextCharacter(1, 5000), "length_max must be at most 854, not 5000"),
        (lambda: Induction(length_min=1, length_max=1), "length_max must be at least 2, not 1"),
        (lambda: Induction(32769), "alphabet_size must be at most 32768, not 32769"),
        (lambda: CopyAfterPause(alphabet_size=32769), "alphabet_size must be at most 32768, not 32769"),
        (lambda: GroupWords("Z999999999999"), "group must have 2 to 1,000 elements, which Z999999999999 does not"),
        (
            lambda: RunningParity().sample_lengths([0], 0),
            "RunningParity has no sequence of length 0: lengths are 1 or more",
        ),
        (
            lambda: CopyAfterPause(pause=5).sample_lengths([8], 0),
            "CopyAfterPause has no sequence of length 8: lengths are 5 and an even number more, 2 at least",
        ),
        (
            lambda: NextCharacter().sample_lengths([855], 0),
            "NextCharacter has no sequence of length 855: lengths are 1 to 854",
        ),
        (
            lambda: RunningParity().truth(Sequences(np.zeros((1, 2)), [0, 1], [0])),
            "sequences must hold tokens, not features",
        ),
        (
            lambda: GroupWords("S3").truth(Sequences([1, 7], [0, 2], [0], 9)),
            "sequences must hold tokens below 6, not 7",
        ),
        (
            lambda: ModularArithmetic(3).truth(Sequences([0, 7], [0, 2], [0], 8)),
            "sequences must hold tokens below 6, not 7",
        ),
        (lambda: RunningParity().truth(Sequences([5, 1], [0, 2], [0], 6)), "sequences must hold tokens below 2, not 5"),
        (lambda: GroupWords("S3").truth("012"), "sequences must be Sequences of tokens, not '012'"),
    ],
)
def test_invalid_requests_are_refused(draw, message):
    with refused(message):
        draw()


def test_a_run_says_if_no_longer_sequences_than_those_of_the_training_can_be_tested():
    assert reports.tested_lengths(AssociativeRecall(1, 2, keys=4)).tolist() == [3, 6, 9, 12]
    message = "^the task has no sequences of more than 12 steps, as in the training: none are tested$"
    with pytest.warns(UserWarning, match=message):
        assert reports.tested_lengths(AssociativeRecall(1, 4, keys=4)).tolist() == [3, 6, 9, 12]


# --- networks


@pytest.mark.parametrize("task", [TASKS[0], *(pytest.param(task, marks=pytest.mark.long) for task in TASKS[1:])])
def test_a_network_has_an_output_for_each_step_and_learns_the_same_on_both_engines(task):
    models, losses = [], []
    for engine in ("native", "mygrad"):
        _, model, optimizer = Experiment(task, {"name": "rnn", "dim_recurrent": 8}).make()
        losses.append(train(model, task, optimizer, 30, 4, engine=engine).loss)
        models.append(model)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    for one, other in zip(models[0].parameters, models[1].parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=1e-4)


@pytest.mark.long
def test_a_network_learns_running_parity():
    task = RunningParity(1, 5)
    model = make("model", "rnn", **sizes_for(task, "rnn"), dim_recurrent=16, rng=0)
    train(model, task, Adam(model.parameters, learning_rate=0.01), 3000, 8)
    report = evaluate(model, task, 2000)
    assert report.mean_accuracy > 0.98
    assert report.whole_accuracy > 0.95


def test_a_model_that_has_one_output_is_refused(in_python):
    model = GRU(2, 4, 2, rng=0)
    with refused("each step has a class, but the model has one output for a sequence: make it per_step"):
        evaluate(model, RunningParity(2, 3), 5, engine="native")
    wants_steps = "^the targets are a class for each step, so the model must return outputs of shape"
    with pytest.raises(InvalidArgument, match=wants_steps):
        evaluate(model, RunningParity(2, 3), 5, engine="mygrad")
    with pytest.raises(InvalidArgument, match=wants_steps):
        train(model, RunningParity(2, 3), Adam(model.parameters), 5)


def test_a_user_defined_class_must_have_an_output_for_each_step(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(RECURRENT)
    model = f"{tmp_path / 'mine.py'}:Recurrent"
    assert (
        main(["train", "--task=running-parity", f"--model={model}", "--iterations=1", f"--out={tmp_path / 'run'}"]) == 2
    )
    said = "the targets are a class for each step, so the model must return outputs of shape (T, K) for K = 2"
    assert said in capsys.readouterr().err


# --- accuracy over steps


@pytest.fixture(scope="module")
def parity():
    task = RunningParity(1, 6)
    model = make("model", "gru", **sizes_for(task, "gru"), dim_recurrent=8, rng=1)
    return task, model


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("which", the_rest_is_long(range(3), 1))
def test_steps_and_whole_sequences_are_counted_as_by_hand(which):
    task = TASKS[which]
    model = make("model", "rnn", **sizes_for(task, "rnn"), dim_recurrent=8, rng=0)
    report = evaluate(model, task, 300, 5)
    drawn = task.sample(300, np.random.default_rng(5))
    said = compile(model).logits(drawn).argmax(axis=1)
    counted = {length: [0, 0, 0, 0] for length in drawn.lengths.tolist()}
    for (begin, end), answers in zip(itertools.pairwise(drawn.offsets), answers_of(drawn), strict=True):
        right = [s == a for s, a in zip(said[begin:end], answers, strict=True) if a is not None]
        for place, number in enumerate((len(right), sum(right), 1, all(right))):
            counted[len(answers)][place] += number
    expected = np.array([counted[length] for length in sorted(counted)])
    assert report.each == "step"
    found = (report.total, report.correct, report.sequences, report.whole)
    assert np.array_equal(np.stack(found, axis=1), expected)
    assert report.class_total.sum() == report.total.sum()
    assert np.diagonal(report.class_correct).sum() <= report.correct.sum()
    # All steps of a sequence together.
    np.testing.assert_allclose(
        report.interval, wilson_interval(report.accuracy * report.sequences, report.sequences), atol=1e-12
    )
    assert set(report.rows()[0]) >= {"sequences", "whole", "whole_accuracy"}


def test_a_report_of_steps_says_so(parity, in_python):
    task, model = parity
    report = evaluate(model, task, 200, 5)
    steps = task.sample(200, np.random.default_rng(5)).lengths.sum()
    assert repr(report).startswith(f"LengthReport({steps} steps of 200 sequences, accuracy ")
    table = str(report.table())
    assert "Accuracy of steps by length" in table
    assert "whole" in table
    twice = report.joined(report)
    assert (twice.sequences == 2 * report.sequences).all()
    assert twice.whole_accuracy == report.whole_accuracy
    other = report.compare(evaluate(model, task, 200, 6))
    assert abs(other.difference).max() < 0.5
    with refused("one of the reports counts steps, the other sequences"):
        report.compare(evaluate(GRU(10, 8, 2, rng=0), TwinHalves(1, 3), 10, engine="mygrad"))


@pytest.mark.long
def test_the_report_of_tags_counts_the_same(parity):
    task, model = parity
    drawn = task.sample(200, np.random.default_rng(5))
    logits = compile(model).logits(drawn).astype(np.float64)
    powers = np.exp(logits)
    tags = tag_report(drawn.targets, powers / powers.sum(axis=1, keepdims=True), offsets=drawn.offsets)
    report = evaluate(model, task, 200, 5)
    assert tags.accuracy == pytest.approx(report.mean_accuracy)
    assert tags.sequence_accuracy == pytest.approx(report.whole_accuracy)


@pytest.mark.long
def test_inspection_covers_the_steps_with_answers(parity):
    task, model = parity
    tokens = np.array([1, 0, 1, 1])
    found = inspect(model, tokens, task.truth(Sequences(tokens, [0, 4], [0])), class_names=task.class_names)
    plain_logits = model(np.eye(2, dtype=np.float32)[tokens]).data
    np.testing.assert_allclose(found.logits, plain_logits, atol=1e-5)
    shares = np.exp(plain_logits) / np.exp(plain_logits).sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(-np.log(shares[range(4), [1, 1, 0, 1]]).mean(), rel=1e-4)
    assert "of 4 answers right; loss" in found.summary()
    last = inspect(model, tokens, [-1, -1, -1, 1])
    assert last.loss == pytest.approx(-np.log(shares[3, 1]), rel=1e-4)
    # A step before all steps that count has only their gradient.
    assert last.state_gradients["h"][0].any()
    first = inspect(model, tokens, [1, -1, -1, -1])
    assert not first.state_gradients["h"][1:].any()
    with refused("y must be one class for each of the 4 steps, not an array of shape (3,)"):
        inspect(model, tokens, [1, 0, 1])


def test_a_network_continues_a_text():
    task = NextCharacter(1, 10)
    model = make("model", "rnn", **sizes_for(task, "rnn"), dim_recurrent=8, rng=0)
    written = generate(model, task.sample(1, np.random.default_rng(0)).tokens(0), 12, seed=0, engine="mygrad")
    assert len(task.text_of(written)) == 12


# --- the command line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    options = "--iterations=20 --dim-recurrent=8 --samples=100 --batch-size=4 --engine=mygrad --quiet".split()
    for name in ("running-parity", "copy-after-pause"):
        assert main(["train", f"--task={name}", f"--out={folder / name}", *options]) == 0
    return folder / "running-parity"


def test_a_run_is_trained_and_tested_over_steps(run, capsys):
    loaded = load_run(run)
    assert loaded.model.per_step
    assert loaded.report["tests"]["task"]["lengths"][0].keys() >= {"total", "sequences", "whole"}
    assert max(row["length"] for row in loaded.report["tests"]["task"]["lengths"]) == 40
    assert main(["evaluate", str(run), "--samples=200", "--lengths=2,4"]) == 0
    out = capsys.readouterr().out
    assert "600 steps of 200 new sequences (seed 1)" in out
    assert "of the sequences are right at every step" in out


def test_longer_sequences_can_be_requested(run, tmp_path):
    file = tmp_path / "found.csv"
    assert main(["evaluate", str(run), "--samples=180", "--length-max=90", f"--out={file}", "--quiet"]) == 0
    lengths = [int(line.split(",")[0]) for line in file.read_text().splitlines()[1:]]
    assert lengths == list(range(1, 91))


@pytest.mark.long
def test_a_run_is_inspected(run, tmp_path, capsys):
    assert main(["inspect", str(run), "1011", f"--out={tmp_path}"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "of 4 answers right" in out
    assert main(["inspect", str(run.parent / "copy-after-pause"), "31.....??", "--quiet", f"--out={tmp_path}"]) == 0
    compared = compare_runs(run, run.parent / "copy-after-pause")
    assert compared.accuracy is not None


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict {run} 1011", "{run} has an output at every step: myrnn inspect {run} '1011' shows them"),
        ("inspect {run} 12", "sequence '12' has the symbol '2': the symbols are 0 1"),
        (
            "inspect {run} 11 --label 1",
            "--label is for runs with one class per sequence, but {run} has one at every step",
        ),
        (
            "evaluate {run} --samples 9 --shortcuts",
            "a class for each sequence is needed here, without weights, but these sequences have a class for each step",
        ),
    ],
)
def test_functions_for_one_class_per_sequence_refuse_other_runs(run, capsys, command, message):
    assert main(command.format(run=run).split()) == 2
    assert capsys.readouterr().err.strip().endswith(message.format(run=run))
