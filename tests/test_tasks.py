import dataclasses
import itertools
import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marks import the_rest_is_long
from myrnn.errors import InvalidArgument
from myrnn.experiment import Part
from myrnn.registry import kinds, make
from myrnn.sequences import Sequences
from myrnn.tasks import (
    FAMILIES,
    Palindromes,
    Task,
    TwinHalves,
    generate_sequence,
    sample_family,
    twice_as_long,
)

# With fixed seeds a test of a distribution passes always or never; far below 1 in 1,000 means that something is wrong.
UNLIKELY = 1e-3


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


@st.composite
def tasks(draw, **settings):
    kind = draw(st.sampled_from([TwinHalves, Palindromes]))
    shortest = draw(st.integers(1, 6))
    if kind is Palindromes:
        settings["parity"] = draw(st.sampled_from(["even", "odd", "both"]))
    return kind(
        pattern_length_min=shortest,
        pattern_length_max=shortest + draw(st.integers(0, 5)),
        alphabet_size=draw(st.integers(2, 12)),
        negatives=draw(st.sampled_from(["uniform", "near_miss"])),
        max_changes=draw(st.integers(1, 8)),
        **settings,
    )


seeds = st.integers(0, 2**32 - 1)


def right_answer(task, tokens):
    """The truth in plain Python."""
    if isinstance(task, Palindromes):
        return int(tokens == tokens[::-1])
    half = len(tokens) // 2
    return int(tokens[:half] == tokens[half:])


def halves(task, tokens):
    """Return the first half, and the second half in the order in which the two are equal in a match."""
    half = len(tokens) // 2
    second = tokens[len(tokens) - half :]
    return tokens[:half], second[::-1] if isinstance(task, Palindromes) else second


def plain(sequences):
    return [sequences.tokens(i).tolist() for i in range(len(sequences))]


def looks_even(counts):
    return stats.chisquare(counts).pvalue > UNLIKELY


@given(tasks(), st.integers(0, 150), seeds)
def test_labels_are_the_truth_and_shapes_are_as_promised(task, n, seed):
    drawn = task.sample(n, np.random.default_rng(seed))
    assert len(drawn) == n
    assert drawn.is_tokens
    assert drawn.dim_input == task.dim_input == task.alphabet_size
    assert set(drawn.lengths.tolist()) <= set(task.lengths.tolist())
    assert all(0 <= token < task.alphabet_size for token in drawn.values.tolist())
    assert drawn.labels.tolist() == [right_answer(task, tokens) for tokens in plain(drawn)]
    assert task.truth(drawn).tolist() == drawn.labels.tolist()
    assert task.truth(drawn).dtype == np.int64


@given(tasks(), seeds)
def test_the_same_seed_draws_the_same_bytes(task, seed):
    one, again = (task.sample(50, np.random.default_rng(seed)) for _ in range(2))
    assert one.values.tobytes() == again.values.tobytes()
    assert one.offsets.tobytes() == again.offsets.tobytes()
    assert one.labels.tobytes() == again.labels.tobytes()
    rng = np.random.default_rng(seed)
    assert plain(task.sample(50, rng)) == plain(one)
    assert plain(task.sample(50, rng)) != plain(one)
    assert plain(task.sample(50, seed)) == plain(one)


@given(tasks(), st.lists(st.integers(1, 60), max_size=40), seeds)
def test_requested_lengths_keep_their_order_and_can_exceed_the_task(task, halves_wanted, seed):
    odd = 1 if getattr(task, "parity", "even") == "odd" else 0
    wanted = [2 * half + odd for half in halves_wanted]
    drawn = task.sample_lengths(wanted, np.random.default_rng(seed))
    assert drawn.lengths.tolist() == wanted
    assert drawn.dim_input == task.alphabet_size
    assert drawn.labels.tolist() == [right_answer(task, tokens) for tokens in plain(drawn)]


@given(st.lists(st.lists(st.integers(0, 2), max_size=7), min_size=1, max_size=30))
def test_truth_of_given_sequences(lists):
    offsets = np.cumsum([0] + [len(tokens) for tokens in lists])
    sequences = Sequences(np.array(list(itertools.chain(*lists)), dtype=int), offsets, [0] * len(lists), dim_input=3)
    even = [int(len(tokens) > 1 and len(tokens) % 2 == 0) for tokens in lists]
    long = [int(len(tokens) > 1) for tokens in lists]
    for task, possible in ((TwinHalves(), even), (Palindromes(), even), (Palindromes(parity="both"), long)):
        truth = [ok * right_answer(task, tokens) for ok, tokens in zip(possible, lists, strict=True)]
        assert task.truth(sequences).tolist() == truth


@pytest.mark.parametrize(
    ("task", "lengths"),
    [
        (TwinHalves(2, 5), [4, 6, 8, 10]),
        (Palindromes(2, 4), [4, 6, 8]),
        (Palindromes(2, 4, parity="odd"), [5, 7, 9]),
        (Palindromes(2, 4, parity="both"), [4, 5, 6, 7, 8, 9]),
        (TwinHalves(3, 3, negatives="near_miss"), [6]),
    ],
)
def test_every_length_within_the_bounds_is_drawn_and_equally_often_in_both_classes(task, lengths):
    assert task.lengths.tolist() == lengths
    assert task.lengths.dtype == np.int64
    drawn = task.sample(20_000, np.random.default_rng(1))
    counts = Counter(zip(drawn.lengths.tolist(), drawn.labels.tolist(), strict=True))
    assert sorted(counts) == [(length, label) for length in lengths for label in (0, 1)]
    assert looks_even(list(counts.values()))


@pytest.mark.parametrize(
    ("task", "length"),
    [
        (TwinHalves(1, 1, alphabet_size=4), 2),
        (TwinHalves(2, 2, alphabet_size=2), 4),
        (TwinHalves(2, 2, alphabet_size=3), 4),
        (Palindromes(2, 2, alphabet_size=3), 4),
        (Palindromes(1, 1, alphabet_size=3, parity="odd"), 3),
    ],
)
def test_within_each_class_every_sequence_is_equally_likely(task, length):
    drawn = task.sample(30_000, np.random.default_rng(2))
    counts = Counter(map(tuple, plain(drawn)))
    for label in (0, 1):
        possible = [
            tokens
            for tokens in itertools.product(range(task.alphabet_size), repeat=length)
            if right_answer(task, tokens) == label
        ]
        assert looks_even([counts[tokens] for tokens in possible])


@pytest.mark.parametrize("kind", the_rest_is_long([TwinHalves, Palindromes], TwinHalves))
def test_uniform_negatives_stay_uniform_beside_other_lengths(kind):
    task = kind(1, 3, alphabet_size=2)
    drawn = task.sample(60_000, np.random.default_rng(3))
    counts = Counter(
        tuple(tokens)
        for tokens, label in zip(plain(drawn), drawn.labels, strict=True)
        if label == 0 and len(tokens) == 4
    )
    assert len(counts) == 12
    assert looks_even(list(counts.values()))


@pytest.mark.parametrize(
    ("task", "most"),
    [
        (TwinHalves(5, 5, alphabet_size=4, negatives="near_miss"), 3),
        (TwinHalves(2, 2, alphabet_size=3, negatives="near_miss"), 2),
        (TwinHalves(4, 4, alphabet_size=2, negatives="near_miss", max_changes=4), 4),
        (Palindromes(5, 5, alphabet_size=4, negatives="near_miss", max_changes=2), 2),
        (Palindromes(4, 4, negatives="near_miss", parity="odd"), 3),
        (TwinHalves(6, 6, negatives="near_miss", max_changes=1), 1),
    ],
)
def test_near_misses_change_any_number_of_symbols_up_to_the_maximum(task, most):
    drawn = task.sample(20_000, np.random.default_rng(4))
    places, steps = Counter(), Counter()
    for tokens, label in zip(plain(drawn), drawn.labels, strict=True):
        first, second = halves(task, tokens)
        changed = tuple(i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
        if label == 0:
            places[changed] += 1
            steps.update((second[i] - first[i]) % task.alphabet_size for i in changed)
    half = task.pattern_length_min
    by_number = [
        [places[chosen] for chosen in itertools.combinations(range(half), number)] for number in range(1, most + 1)
    ]
    assert sum(map(sum, by_number)) == places.total()
    assert most == 1 or looks_even([sum(counts) for counts in by_number])
    assert all(looks_even(counts) for counts in by_number if len(counts) > 1)
    assert sorted(steps) == list(range(1, task.alphabet_size))
    assert task.alphabet_size == 2 or looks_even(list(steps.values()))


def test_near_misses_of_many_lengths_change_at_most_all_their_symbols():
    task = TwinHalves(1, 6, negatives="near_miss", max_changes=4)
    drawn = task.sample(30_000, np.random.default_rng(5))
    numbers = {length: Counter() for length in task.lengths.tolist()}
    for tokens, label in zip(plain(drawn), drawn.labels, strict=True):
        first, second = halves(task, tokens)
        if label == 0:
            numbers[len(tokens)][sum(a != b for a, b in zip(first, second, strict=True))] += 1
    for length, counts in numbers.items():
        assert sorted(counts) == list(range(1, min(4, length // 2) + 1))
        assert len(counts) == 1 or looks_even(list(counts.values()))


def test_the_first_half_and_a_middle_symbol_are_drawn_evenly():
    drawn = Palindromes(2, 2, alphabet_size=5, parity="odd", negatives="near_miss").sample(20_000, 6)
    for step in range(3):
        assert looks_even(np.bincount(drawn.values[drawn.offsets[:-1] + step], minlength=5))


@pytest.mark.parametrize("family", FAMILIES)
@given(task=tasks(), seed=st.integers(0, 99))
def test_a_family_has_the_truth_of_the_task(family, task, seed):
    drawn = sample_family(task, family, 60, np.random.default_rng(seed))
    assert len(drawn) == 60
    assert drawn.dim_input == task.dim_input
    assert drawn.labels.tolist() == task.truth(drawn).tolist()
    for tokens, label, length in zip(plain(drawn), drawn.labels, drawn.lengths.tolist(), strict=True):
        if family == "longer":
            assert task.lengths[-1] < length <= twice_as_long(task).lengths[-1]
            continue
        if family == "other":
            assert length // 2 in range(task.pattern_length_min, task.pattern_length_max + 1)
            continue
        assert length in task.lengths
        first, second = halves(task, tokens)
        if family == "near":
            assert sum(a != b for a, b in zip(first, second, strict=True)) == 1 - label


def test_half_of_the_sequences_of_another_family_match():
    drawn = sample_family(TwinHalves(2, 4), "other", 2000, np.random.default_rng(0))
    mirrored = [tokens == tokens[::-1] for tokens in plain(drawn)]
    assert looks_even([sum(mirrored), len(mirrored) - sum(mirrored)])


def test_an_unknown_family_is_refused():
    with refused("family must be one of 'trained', 'longer', 'near', 'other', not 'far'"):
        sample_family(TwinHalves(), "far", 5, np.random.default_rng(0))


def test_no_sequences():
    for task in (TwinHalves(), TwinHalves(negatives="near_miss"), Palindromes(parity="both")):
        for none in (task.sample(0, np.random.default_rng(0)), task.sample_lengths([], np.random.default_rng(0))):
            assert len(none) == 0
            assert none.dim_input == 10
            assert task.truth(none).tolist() == []


def test_settings_of_any_integer_type_become_int_and_tasks_compare_by_them():
    task = TwinHalves(np.int64(2), np.uint8(3), np.array(4), max_changes=np.int16(2))
    assert task == TwinHalves(2, 3, 4, max_changes=2)
    assert json.loads(json.dumps(dataclasses.asdict(task)))["alphabet_size"] == 4
    assert TwinHalves() != Palindromes()


def test_tasks_can_be_named():
    assert make("task", "twin-halves", pattern_length_max=4) == TwinHalves(pattern_length_max=4)
    assert make("task", "palindromes", parity="odd") == Palindromes(parity="odd")
    assert list(kinds("task")) == [
        "twin-halves",
        "palindromes",
        "flare",
        "tomita",
        "dyck",
        "equal-counts",
        "regular",
        "context-free",
        "deepmind",
        "running-parity",
        "copy-after-pause",
        "next-character",
        "modular-arithmetic",
        "group-words",
        "associative-recall",
        "induction",
    ]
    assert make("task", "palindromes:parity=odd", alphabet_size=4) == Palindromes(parity="odd", alphabet_size=4)
    for name, kind in kinds("task").items():
        made = make("task", kind.example)
        assert isinstance(made, Task) and type(made) is kind.make and kind.example.startswith(name)
    assert not isinstance(object(), Task)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "twin-halfs",
            {},
            "task must be one of 'twin-halves', 'palindromes', 'flare', 'tomita', 'dyck', 'equal-counts', "
            "'regular', 'context-free', 'deepmind', 'running-parity', 'copy-after-pause', "
            "'next-character', 'modular-arithmetic', 'group-words', 'associative-recall', 'induction', "
            "not 'twin-halfs'; did you mean 'twin-halves'?",
        ),
        (
            "twin-halves",
            {"parity": "odd"},
            "task twin-halves has no setting 'parity', only 'name', 'pattern_length_min', 'pattern_length_max', "
            "'alphabet_size', 'negatives', 'max_changes'",
        ),
        (
            "palindromes",
            {"dim_output": 3},
            "task palindromes has no setting 'dim_output', only 'name', 'pattern_length_min', 'pattern_length_max', "
            "'alphabet_size', 'negatives', 'max_changes', 'parity'",
        ),
    ],
)
def test_unknown_tasks_and_settings_are_refused(name, settings, message):
    with refused(message):
        Part.read("task", {"name": name, **settings})


@pytest.mark.parametrize("kind", [TwinHalves, Palindromes])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern_length_min": 0}, "pattern_length_min must be at least 1, not 0"),
        ({"pattern_length_max": -3}, "pattern_length_max must be at least 1, not -3"),
        (
            {"pattern_length_min": 5, "pattern_length_max": 4},
            "pattern_length_min must not exceed pattern_length_max, but they are 5 and 4",
        ),
        ({"pattern_length_min": 1.0}, "pattern_length_min must be an integer, not 1.0"),
        ({"pattern_length_max": "10"}, "pattern_length_max must be an integer, not '10'"),
        ({"pattern_length_max": True}, "pattern_length_max must be an integer, not True"),
        ({"alphabet_size": 1}, "alphabet_size must be at least 2, not 1"),
        ({"alphabet_size": 2**40}, "alphabet_size must be at most 100000, not 1099511627776"),
        ({"max_changes": 0}, "max_changes must be at least 1, not 0"),
        ({"max_changes": 2**70}, f"max_changes must be at most 2147483647, not {2**70}"),
        (
            {"negatives": "near-miss"},
            "negatives must be one of 'uniform', 'near_miss', not 'near-miss'; did you mean 'near_miss'?",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(kind, settings, message):
    with refused(message):
        kind(**settings)


def test_an_unknown_parity_is_refused():
    with refused("parity must be one of 'even', 'odd', 'both', not 'odds'; did you mean 'odd'?"):
        Palindromes(parity="odds")


@pytest.mark.parametrize(
    ("task", "lengths", "message"),
    [
        (TwinHalves(), [4, 5], "TwinHalves has no sequence of length 5: lengths are even, 2 or more"),
        (TwinHalves(), [0], "TwinHalves has no sequence of length 0: lengths are even, 2 or more"),
        (Palindromes(), [3], "Palindromes has no sequence of length 3: lengths are even, 2 or more"),
        (Palindromes(parity="odd"), [1], "Palindromes has no sequence of length 1: lengths are odd, 3 or more"),
        (Palindromes(parity="odd"), [4], "Palindromes has no sequence of length 4: lengths are odd, 3 or more"),
        (Palindromes(parity="both"), [1], "Palindromes has no sequence of length 1: lengths are 2 or more"),
        (TwinHalves(), [4, -2], "lengths must be at least 0, but there is -2 at [1]"),
        (TwinHalves(), [2**40], "lengths must be at most 2147483647, but there is 1099511627776 at [0]"),
        (TwinHalves(), 4, "lengths must be integers of shape (N,), not int64 of shape ()"),
        (TwinHalves(), [4.0], "lengths must be integers of shape (N,), not float64 of shape (1,)"),
        (TwinHalves(), ["4"], "lengths must be integers of shape (N,), not <U1 of shape (1,)"),
    ],
)
def test_lengths_that_the_task_cannot_have_are_refused(task, lengths, message):
    with refused(message):
        task.sample_lengths(lengths, np.random.default_rng(0))


def test_invalid_sample_arguments_are_refused():
    with refused("n must be at least 0, not -1"):
        TwinHalves().sample(-1, np.random.default_rng(0))
    with refused("n must be an integer, not 10.0"):
        TwinHalves().sample(10.0, np.random.default_rng(0))
    with refused("rng must be a numpy.random.Generator, a seed of 0 or more, or None, not 'seed'"):
        TwinHalves().sample(1, "seed")
    with refused("sequences must hold tokens, not features"):
        TwinHalves().truth(Sequences(np.zeros((2, 3)), [0, 2], [0]))


@given(st.integers(1, 6), st.integers(0, 6), st.booleans(), seeds)
def test_the_lessons_generator_returns_what_the_lesson_describes(shortest, more, palindrome, seed):
    x, y, sequence = generate_sequence(shortest, shortest + more, palindrome, rng=seed)
    tokens = sequence.tolist()
    assert (x.dtype, y.dtype, sequence.dtype) == (np.float32, np.int16, np.int64)
    assert (x.shape, y.shape, sequence.shape) == ((len(tokens), 10), (1,), (len(tokens),))
    assert 2 * shortest <= len(tokens) <= 2 * (shortest + more)
    assert x.tolist() == [[float(digit == token) for digit in range(10)] for token in tokens]
    assert y.item() == right_answer(Palindromes() if palindrome else TwinHalves(), tokens)


@pytest.mark.parametrize("palindrome", the_rest_is_long([False, True], False))
def test_the_lessons_generator_draws_every_length_in_both_classes(palindrome):
    rng = np.random.default_rng(7)
    drawn = [generate_sequence(1, 4, palindrome, rng) for _ in range(2500)]
    counts = Counter((len(sequence), y.item()) for _, y, sequence in drawn)
    assert sorted(counts) == [(length, label) for length in (2, 4, 6, 8) for label in (0, 1)]
    assert looks_even(list(counts.values()))
    # With halves of one symbol, the digits of a non-match are any two that differ.
    pairs = Counter(tuple(sequence.tolist()) for _, y, sequence in drawn if len(sequence) == 2 and not y.item())
    assert all(a != b for a, b in pairs)
    assert len(pairs) > 80


def test_the_lessons_generator_is_fresh_unless_it_is_seeded():
    assert len({tuple(generate_sequence(10, 10)[2]) for _ in range(5)}) == 5
    one, again = (generate_sequence(rng=np.random.default_rng(8)) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, again, strict=True))
    with refused("pattern_length_min must not exceed pattern_length_max, but they are 11 and 10"):
        generate_sequence(11)
    with refused("rng must be a numpy.random.Generator, a seed of 0 or more, or None, not -1"):
        generate_sequence(rng=-1)
