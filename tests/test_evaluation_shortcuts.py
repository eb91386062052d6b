import csv
import re
from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.errors import InvalidArgument
from myrnn.evaluation import shortcuts
from myrnn.evaluation.shortcuts import NAMES, counts, ends, evenness, lengths_of, marks_of, one_place, pairs, place_name
from myrnn.sequences import Sequences
from myrnn.tasks import Flare, Palindromes, TwinHalves


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def of(lists, labels=None, alphabet=None):
    labels = [0] * len(lists) if labels is None else labels
    return Sequences.from_pairs([(np.array(one, dtype=int), y) for one, y in zip(lists, labels, strict=True)], alphabet)


# --- what each sees, in plain Python


def all_even(tokens):
    odd = sum(count % 2 for count in Counter(tokens).values())
    return odd == len(tokens) % 2


def symbol(tokens, place):
    return tokens[place] if -len(tokens) <= place < len(tokens) else None


SEES = {
    "length alone": lambda tokens: len(tokens),
    "first, last": lambda tokens: (len(tokens), symbol(tokens, 0), symbol(tokens, -1)),
    "counts": lambda tokens: tuple(sorted(tokens)),
    "even counts": lambda tokens: (len(tokens), all_even(tokens)),
    "pairs": lambda tokens: (len(tokens), *sorted(pairwise(tokens))),
}

lists = st.lists(st.lists(st.integers(0, 3), max_size=7), min_size=1, max_size=30)


def same_groups(codes, keys):
    """Return whether two sequences have the same code exactly when they have the same key."""
    pairs = set(zip(codes.tolist(), keys, strict=True))
    return len(pairs) == len(set(codes.tolist())) == len(set(keys))


@given(lists)
def test_codes_distinguish_what_each_shortcut_sees(drawn):
    sequences = of(drawn, alphabet=4)
    marks = marks_of(4)
    for name, chain in (
        ("length alone", [lengths_of(sequences)]),
        ("first, last", ends(sequences)),
        ("counts", counts(sequences, marks)),
        ("even counts", evenness(sequences, marks)),
        ("pairs", pairs(sequences)),
    ):
        assert same_groups(chain[-1], [SEES[name](one) for one in drawn])


@given(lists, st.integers(-8, 7))
def test_one_place_sees_the_length_and_one_symbol(drawn, place):
    chain = one_place(of(drawn, alphabet=4), place)
    assert same_groups(chain[-1], [(len(one), symbol(one, place)) for one in drawn])


@given(lists)
def test_every_code_of_a_chain_is_finer_than_the_previous_one(drawn):
    sequences = of(drawn, alphabet=4)
    marks = marks_of(4)
    for chain in (ends(sequences), counts(sequences, marks), one_place(sequences, 1), pairs(sequences)):
        for coarse, fine in pairwise(chain):
            assert len(set(zip(coarse.tolist(), fine.tolist(), strict=True))) == len(set(fine.tolist()))


# --- compared with the optimum over all sequences


def matches(task, tokens):
    half = len(tokens) // 2
    second = tokens[::-1] if isinstance(task, Palindromes) else tokens[half:]
    return tuple(tokens[:half]) == tuple(second[:half])


def chances(task):
    """Return every sequence of the task with its class and chance."""
    lengths = task.lengths.tolist()
    found = []
    for length in lengths:
        every = list(product(range(task.alphabet_size), repeat=length))
        positive = [tokens for tokens in every if matches(task, tokens)]
        negative = [tokens for tokens in every if not matches(task, tokens)]
        for label, group in ((1, positive), (0, negative)):
            found += [(tokens, label, 0.5 / len(group) / len(lengths)) for tokens in group]
    return found


def best_accuracy(weighed, sees):
    table = Counter()
    for tokens, label, chance in weighed:
        table[sees(tokens), label] += chance
    return sum(max(table[key, 0], table[key, 1]) for key in {key for key, _ in table})


@pytest.mark.parametrize("task", [TwinHalves(1, 3, 3), Palindromes(1, 3, 3), Palindromes(1, 3, 2, parity="both")])
def test_estimates_reach_the_optimum(task):
    report, weighed = shortcuts(task, samples=60_000, seed=2), chances(task)
    best = {name: best_accuracy(weighed, sees) for name, sees in SEES.items()}
    best["one place"] = max(
        best_accuracy(weighed, lambda tokens, place=place: (len(tokens), symbol(tokens, place)))
        for place in range(-7, 7)
    )
    # Four standard deviations of the estimate; the tables lose less than one.
    for name, share in report.overall.items():
        spread = np.sqrt(best[name] * (1 - best[name]) / report.total.sum())
        assert abs(share - best[name]) < 5 * spread + 1e-12


@pytest.mark.parametrize("task", [TwinHalves(1, 3, 3), Palindromes(1, 3, 3)])
def test_estimates_by_length_reach_the_optimum(task):
    report, weighed = shortcuts(task, samples=60_000, seed=3), chances(task)
    for column, length in enumerate(report.lengths):
        part = [(tokens, label, 3 * chance) for tokens, label, chance in weighed if len(tokens) == length]
        for row, name in enumerate(NAMES[:4]):
            best = best_accuracy(part, SEES[name])
            spread = np.sqrt(best * (1 - best) / report.total[column])
            assert abs(report.accuracy[row, column] - best) < 5 * spread + 1e-12


def test_ends_of_palindromes_give_away_all_but_chance_agreements():
    report = shortcuts(Palindromes(5, 5, alphabet_size=10), samples=40_000)
    agree = (10**4 - 1) / (10**5 - 1)
    assert report.overall["first, last"] == pytest.approx(1 - agree / 2, abs=0.01)


def test_pairs_give_repeats_away():
    report = shortcuts(Flare("repeat-01", length_max=200, negatives="near_miss"), samples=10_000)
    assert report.overall["pairs"] > 0.95
    assert report.overall["counts"] < 0.9


def test_even_counts_give_near_misses_away():
    report = shortcuts(TwinHalves(1, 10, negatives="near_miss"), samples=20_000)
    assert report.overall["even counts"] > 0.98
    assert report.overall["counts"] > 0.98
    assert report.overall["length alone"] < 0.53


# --- nothing is memorised


@pytest.mark.parametrize("alphabet", [2, 50])
def test_labels_without_a_reason_are_guessed(alphabet):
    rng = np.random.default_rng(0)
    n, length = 8000, 6
    data = Sequences(rng.integers(0, alphabet, n * length), length * np.arange(n + 1), rng.integers(0, 2, n), alphabet)
    report = shortcuts(data)
    assert report.total.tolist() == [n // 2]
    for share in report.overall.values():
        assert abs(share - 0.5) < 4 * np.sqrt(0.25 / (n // 2))


def test_a_rarer_class_is_never_the_best_guess():
    rng = np.random.default_rng(1)
    n = 4000
    labels = (rng.random(n) < 0.2).astype(int)
    report = shortcuts(Sequences(rng.integers(0, 50, 4 * n), 4 * np.arange(n + 1), labels, 50))
    assert report.overall["length alone"] == pytest.approx(0.8, abs=0.02)
    assert report.overall["counts"] == pytest.approx(0.8, abs=0.03)


def test_many_classes_are_distinguished_by_length():
    lists = [[0] * (1 + i % 3) for i in range(300)]
    assert shortcuts(of(lists, [len(one) - 1 for one in lists])).overall == dict.fromkeys(NAMES, 1.0)


# --- the best position


@pytest.mark.parametrize("place", [0, 3, -2, -1])
def test_the_informative_position_is_found(place):
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, 2, rng.integers(5, 9)).tolist() for _ in range(2000)]
    report = shortcuts(of(lists, [one[place] for one in lists]))
    assert report.place == place
    assert report.overall["one place"] == 1.0


def test_the_best_position_is_not_chosen_on_the_half_on_which_it_is_scored():
    """Of 300 positions some fit random labels by chance: the score of one that was chosen for this varies far more."""
    rng = np.random.default_rng(0)
    n, length = 200, 150
    shares = []
    for seed in range(30):
        values, labels = rng.integers(0, 2, n * length), rng.integers(0, 2, n)
        data = Sequences(values, length * np.arange(n + 1), labels, 2)
        shares.append(shortcuts(data, seed=seed).overall["one place"])
    off = np.array(shares) - 0.5
    # Each is a share of n / 2 guesses, of variance 1 / (2 n).
    assert np.mean(off**2) < 2 / (2 * n) and abs(off.mean()) < 4 * np.sqrt(1 / (2 * n * len(off)))


@pytest.mark.parametrize(
    ("place", "name"),
    [(0, "the first symbol"), (-1, "the last symbol"), (3, "symbol 4"), (-3, "symbol 3 from the end")],
)
def test_positions_have_names(place, name):
    assert place_name(place) == name


# --- the report


def test_the_bayes_rate_is_1_if_labels_are_true():
    assert shortcuts(TwinHalves(1, 2), samples=50).bayes == 1.0
    assert shortcuts(TwinHalves(1, 2).sample(50, np.random.default_rng(0))).bayes is None


def test_labels_that_are_not_the_truth_have_no_known_bayes_rate():
    class Noisy(TwinHalves):
        def sample(self, n, rng):
            drawn = super().sample(n, rng)
            return Sequences(drawn.values, drawn.offsets, drawn.labels ^ (np.arange(n) % 10 == 0), drawn.dim_input)

    assert shortcuts(Noisy(1, 2), samples=50).bayes is None


def test_the_same_seed_finds_the_same():
    one, two, other = (shortcuts(TwinHalves(1, 3), samples=500, seed=seed) for seed in (1, 1, 2))
    assert one.correct.tolist() == two.correct.tolist()
    assert one.correct.tolist() != other.correct.tolist()


def test_lengths_are_tried_equally_often():
    report = shortcuts(TwinHalves(), samples=400, lengths=range(2, 9, 2))
    assert report.lengths.tolist() == [2, 4, 6, 8]
    assert report.total.tolist() == [50, 50, 50, 50]
    assert report.correct.shape == (6, 4)
    assert report.interval.shape == (6, 4, 2)
    assert np.all((report.interval[..., 0] <= report.accuracy) & (report.accuracy <= report.interval[..., 1]))


def test_rows_and_totals_are_plain_records(tmp_path):
    report = shortcuts(TwinHalves(1, 2), samples=200, lengths=[2, 4])
    rows = report.rows()
    assert [(row["shortcut"], row["length"]) for row in rows[:3]] == [
        ("length alone", 2),
        ("length alone", 4),
        ("first, last", 2),
    ]
    assert rows[2]["accuracy"] == 1.0
    assert report.totals()["counts"]["total"] == 100
    report.to_csv(tmp_path / "shortcuts.csv")
    with open(tmp_path / "shortcuts.csv", newline="", encoding="utf-8") as file:
        assert [float(row["accuracy"]) for row in csv.DictReader(file)] == [row["accuracy"] for row in rows]


def test_the_table_fits_into_80_columns():
    report = shortcuts(TwinHalves(1, 3), samples=200_000, lengths=[2, 4])
    lines = report.table().to_text().splitlines()
    assert max(map(len, lines)) <= 80
    # The names are wrapped.
    assert sorted(" ".join(lines[1:3]).split()) == sorted(f"sequence length {' '.join(NAMES)} of".split())
    assert lines[4].split()[1:] == [*(f"{100 * share:.1f}" for share in report.accuracy[:, 0]), "50,000"]
    assert lines[-1].strip() == "Bayes rate: 100.0, since every label follows from its sequence"
    assert repr(report).endswith("; Bayes rate 100%)")


def test_a_notebook_shows_the_table():
    report = shortcuts(TwinHalves(1, 2), samples=20)
    assert "even counts" in report._repr_mimebundle_()["text/html"]


def test_it_is_drawn():
    report = shortcuts(Palindromes(1, 3), samples=2000)
    ax = report.plot()
    assert "counts / even counts" in [line.get_label() for line in ax.get_lines()]


def test_a_part_of_the_lengths():
    part = shortcuts(TwinHalves(1, 3), samples=300, lengths=[2, 4, 6]).only(np.array([2, 6]))
    assert part.lengths.tolist() == [2, 6]
    assert part.correct.shape == (6, 2)


# --- arguments


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        (5, {}, "task must be a task, a Sequences or an iterable of (x, y) pairs, not int"),
        (TwinHalves(), {"samples": 1}, "shortcuts take at least 2 sequences, one to learn from and one to try, not 1"),
        (TwinHalves(), {"samples": 0}, "samples must be at least 1, not 0"),
        (TwinHalves(), {"seed": -1}, "seed must be at least 0, not -1"),
        (TwinHalves(), {"confidence": 1.5}, "confidence must be below 1, not 1.5"),
        (TwinHalves(), {"lengths": [3]}, "TwinHalves has no sequence of length 3: lengths are even, 2 or more"),
        (
            Sequences(np.zeros((4, 2)), [0, 2, 4], [0, 1]),
            {},
            "shortcuts are of sequences of tokens, not of features",
        ),
    ],
)
def test_wrong_arguments_are_refused(task, arguments, message):
    with refused(message):
        shortcuts(task, **arguments)


def test_empty_sequences_are_accepted():
    report = shortcuts(of([[], [], [1], [0]], [0, 0, 1, 1], 2))
    assert report.lengths.tolist() == [0, 1]
    assert report.overall["length alone"] == 1.0
