import itertools
import math
import tracemalloc
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.errors import InvalidArgument
from myrnn.evaluation import tag_baselines, tag_report, text_baselines, text_report
from myrnn.evaluation.clusters import mean_ends, ratio
from myrnn.sequences import Sequences, of_checked

BEGIN = "begin"


def drawn(seed, symbols=4, classes=3, longest=9):
    """Return sequences of symbols and of classes that go with them; some sequences are empty."""
    rng = np.random.default_rng(seed)
    lengths = [*rng.integers(0, longest, size=rng.integers(1, 12)), 3]
    values = rng.choice(symbols, size=sum(lengths), p=rng.dirichlet(np.ones(symbols)))
    targets = (values + rng.integers(0, 2, size=len(values))) % classes
    return Sequences(values, np.concatenate(([0], np.cumsum(lengths))), targets, symbols, per_step=True)


def pairs_of(data, order):
    """Return the last `order` symbols and the target of every step, in order."""
    found = []
    for a, b in itertools.pairwise(data.offsets.tolist()):
        read = [BEGIN] * order + data.values[a:b].tolist()
        contexts = [tuple(read[place + 1 : place + 1 + order]) for place in range(b - a)]
        found += zip(contexts, data.targets[a:b].tolist(), strict=True)
    return found


def counted(pairs):
    counts = defaultdict(Counter)
    for context, target in pairs:
        counts[context][target] += 1
    return counts


# --- tags


def tags_by_hand(train, test, order):
    """Return the baseline's tag of every step of the test from the last symbols, in plain Python."""
    frequency = Counter(train.targets.tolist())
    said = [min(frequency, key=lambda tag: (-frequency[tag], tag))] * len(test.targets)
    for length in range(1, order + 1):
        counts = counted(pairs_of(train, length))
        for place, (context, _) in enumerate(pairs_of(test, length)):
            if context in counts:
                found = counts[context]
                said[place] = min(found, key=lambda tag: (-found[tag], -frequency[tag], tag))
    return np.array(said)


@given(st.integers(0, 1000))
def test_tags_are_those_of_the_last_symbols(seed):
    train, test = drawn(seed), drawn(seed + 5000, symbols=5, classes=4)
    found = tag_baselines(train, test, orders=[3, 1, 2])
    names = ["most frequent", "last symbol", "last 2 symbols", "last 3 symbols"]
    assert list(found.scores) == names
    for order, name in enumerate(names):
        said = tags_by_hand(train, test, order)
        report = tag_report(test.targets, np.eye(4)[said], test.offsets)
        for measure, score in found.scores[name].items():
            assert score == pytest.approx(report.scores[measure], nan_ok=True), (name, measure)


def test_the_baseline_of_feature_sequences_is_the_most_frequent_tag():
    data = Sequences([[0.5], [1.5], [0.1]], [0, 3], [1, 1, 0], per_step=True)
    found = tag_baselines(data, data)
    assert {name: scores["accuracy"].value for name, scores in found.scores.items()} == {"most frequent": 2 / 3}


# --- text


def probability_by_hand(counts, context, symbol, symbols):
    """Return the probability of a symbol by Witten and Bell's rule, from contexts counted by length."""
    lower = 1 / symbols if not context else None
    if context not in counts[len(context)]:
        return probability_by_hand(counts, context[1:], symbol, symbols) if context else lower
    found = counts[len(context)][context]
    shorter = probability_by_hand(counts, context[1:], symbol, symbols) if lower is None else lower
    return (found[symbol] + len(found) * shorter) / (found.total() + len(found))


@given(st.integers(0, 1000))
def test_text_has_the_probabilities_of_witten_and_bell(seed):
    train, test = drawn(seed, classes=4), drawn(seed + 5000, symbols=5, classes=5)
    names = ["1-gram (frequency)", *(f"{order}-gram" for order in range(2, 7))]
    found = text_baselines(train, test, orders=range(1, 7))
    counts = [counted(pairs_of(train, order)) for order in range(6)]
    for order, name in enumerate(names):
        rows = np.array(
            [[probability_by_hand(counts, context, k, 5) for k in range(5)] for context, _ in pairs_of(test, order)]
        )
        assert rows.sum(axis=1) == pytest.approx(1)
        report = text_report(test.targets, rows, test.offsets)
        for measure in ("bits_per_symbol", "perplexity", "cross_entropy"):
            assert found.scores[name][measure] == pytest.approx(report.scores[measure], nan_ok=True)
        # Any of several equally likely symbols may be predicted.
        best = rows.max(axis=1)
        chosen = rows[np.arange(len(rows)), test.targets]
        unique = (rows > best[:, np.newaxis] - 1e-12).sum(axis=1) == 1
        least, most = np.mean((chosen > best - 1e-12) & unique), np.mean(chosen > best - 1e-12)
        assert least - 1e-12 <= found.scores[name]["accuracy"].value <= most + 1e-12


def test_the_right_order_reaches_the_optimum():
    rng = np.random.default_rng(0)
    steps = np.zeros(20_000, dtype=int)
    for place, noise in enumerate(rng.random(len(steps) - 2) < 0.1):
        steps[place + 2] = rng.integers(0, 8) if noise else (steps[place] + 3 * steps[place + 1] + 1) % 8
    train, test = (Sequences(part[:-1], [0, len(part) - 1], part[1:], per_step=True) for part in np.split(steps, 2))
    found = text_baselines(train, test, orders=range(1, 5))
    bits = [scores["bits_per_symbol"].value for scores in found.scores.values()]
    entropy = -(0.9 + 0.1 / 8) * math.log2(0.9 + 0.1 / 8) - 7 * 0.1 / 8 * math.log2(0.1 / 8)
    assert bits[2] == pytest.approx(entropy, abs=0.05)
    assert (found.best, np.argmin(bits)) == ("3-gram", 2)
    assert found.scores["3-gram"]["accuracy"].value == pytest.approx(0.9 + 0.1 / 8, abs=0.01)
    best = found.scores["3-gram"]["bits_per_symbol"]
    assert repr(found) == f"Baselines(9,999 steps, the best: 3-gram, bits per symbol {best})"


def text_of_order(order, steps, seed=0):
    """Return a text in which each symbol follows from the last `order - 1`, save one in ten."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 3, size=steps)
    for place in range(order - 1, steps):
        if rng.random() > 0.1:
            found[place] = (found[place - order + 1 : place].sum() + 1) % 3
    return Sequences(found[:-1], [0, steps - 1], found[1:], per_step=True)


def held_out_bits(train, symbols):
    """Return the bits of orders 1 to 6 in plain Python, on the last tenth of the steps, learned from the others."""
    cut = len(train.targets) - max(1, len(train.targets) // 10)
    learned, held_out = (pairs_of(train, 6)[part] for part in (slice(cut), slice(cut, None)))
    counts = [counted((context[6 - back :], target) for context, target in learned) for back in range(6)]
    return [
        -sum(
            math.log2(probability_by_hand(counts, context[6 - back :], target, symbols)) for context, target in held_out
        )
        for back in range(6)
    ]


@pytest.mark.parametrize("order", [1, 3, 5, 6])
def test_the_order_is_chosen_on_the_end_of_the_training(order):
    train = text_of_order(order, 8000)
    # The test, which would choose another order, has no say.
    for test in (text_of_order(order, 900, seed=1), text_of_order(4, 900)):
        found = list(text_baselines(train, test).scores)
        assert len(found) == order and found[-1].startswith(f"{order}-gram")
    assert int(np.argmin(held_out_bits(train, 3))) + 1 == order


@given(st.integers(0, 1000))
def test_the_end_of_the_training_is_read_after_its_beginning(seed):
    train = drawn(seed, classes=4, longest=60)
    bits = held_out_bits(train, 4)
    assert bits[len(text_baselines(train, train).scores) - 1] == pytest.approx(min(bits))


def test_the_order_of_a_text_of_a_step_or_two():
    for steps in (1, 2, 9):
        train = Sequences(np.arange(steps) % 2, [0, 0, steps], np.arange(steps) % 2, per_step=True)
        assert "1-gram (frequency)" in text_baselines(train, train).scores


@pytest.mark.parametrize("orders", [None, [1, 4, 8]])
def test_large_alphabets_are_counted_alike(orders):
    def scores(factor):
        data = [drawn(seed, symbols=40, classes=40, longest=200) for seed in (1, 2)]
        spread = [
            of_checked(one.values * factor, one.offsets, one.targets * factor, 40 * factor, per_step=True)
            for one in data
        ]
        return text_baselines(*spread, orders=orders, symbols=20_000_000).scores

    assert scores(1) == scores(500_000)


@pytest.mark.parametrize("baselines", [tag_baselines, text_baselines])
def test_texts_longer_than_a_block_are_counted_alike(baselines, monkeypatch):
    train, test = (drawn(seed, classes=4, longest=100) for seed in (1, 2))
    whole = baselines(train, test)
    for module in ("ngrams", "baselines"):
        monkeypatch.setattr(f"myrnn.evaluation.{module}.AT_ONCE", 7)
    parts = baselines(train, test)
    assert parts.scores == whole.scores
    assert all((parts.losses[name] == losses).all() for name, losses in whole.losses.items())


@pytest.mark.parametrize(("trained", "tested"), [(1, 0), (0, 1)])
def test_a_longer_text_takes_little_more_memory(trained, tested, monkeypatch):
    def text(steps):
        symbols = np.random.default_rng(steps).integers(0, 4, size=steps + 1)
        return Sequences(symbols[:-1], [0, steps], symbols[1:], per_step=True)

    for module in ("ngrams", "baselines"):
        monkeypatch.setattr(f"myrnn.evaluation.{module}.AT_ONCE", 2**14)
    peaks, short = [], 300_000
    for more in (0, 300_000):
        train, test = text(short + trained * more), text(short + tested * more)
        tracemalloc.start()
        text_baselines(train, test)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert np.diff(peaks)[0] / 300_000 < 1


# --- next to a model, and mistakes


def test_a_report_shows_its_baselines():
    train, test = drawn(1), drawn(2)
    probabilities = np.eye(3)[test.targets]
    for report in (
        tag_report(test.targets, probabilities, test.offsets, baselines=tag_baselines(train, test, orders=[1])),
        text_report(test.targets, probabilities, test.offsets, baselines=text_baselines(train, test, orders=[2])),
    ):
        names = ["the model", *report.baselines]
        assert [row["model"] for row in report.rows()] == names
        assert all(name in report.table().to_text(160) for name in names)
        assert [row["model"] for row in report.numbers()["baselines"]] == names[1:]
        assert names[-1] in report.plot().get_legend_handles_labels()[1]


@pytest.mark.parametrize("sequences", [40, 1])
def test_a_gain_is_a_difference_on_the_same_steps(sequences):
    rng = np.random.default_rng(4)
    offsets = np.arange(sequences + 1) * 600 // sequences
    train, test = (
        Sequences(rng.integers(0, 3, size=600), offsets, rng.integers(0, 3, size=600), per_step=True) for _ in range(2)
    )
    probabilities = rng.dirichlet(np.ones(3), size=600)
    right, bits = probabilities.argmax(axis=1) == test.targets, -np.log2(probabilities[np.arange(600), test.targets])
    frequency = (np.bincount(train.targets) + 1) / 603
    blocks = np.arange(600) * max(sequences, 30) // 600
    size = np.bincount(blocks)
    text = text_report(test.targets, probabilities, offsets, baselines=text_baselines(train, test))
    less = np.bincount(blocks, -np.log2(frequency[test.targets]) - bits)
    found = text.baselines["1-gram (frequency)"]["gain"]
    assert found == pytest.approx((less.sum() / 600, *mean_ends(ratio(less, size), 0.95)[0]))
    tags = tag_report(test.targets, probabilities, offsets, baselines=tag_baselines(train, test))
    most = test.targets == frequency.argmax()
    found = tags.baselines["most frequent"]["gain"]
    better = ratio(np.bincount(blocks, 1.0 * right - most), size)
    assert found == pytest.approx((right.mean() - most.mean(), *mean_ends(better, 0.95)[0]))
    row = tags.rows()[1]
    assert (row["gain"], row["gain_low"], row["gain_high"]) == found
    assert f"{100 * found.value:+.1f} (" in tags.table().to_text(120)
    assert tags.rows()[0]["gain"] is None


DATA = drawn(3)
LABELLED = Sequences([0, 1], [0, 2], [1])
NUMBERS = Sequences([0, 1], [0, 2], [0.5, 1.0], per_step=True)
FEATURES = Sequences([[0.5], [1.0]], [0, 2], [0, 1], per_step=True)
WEIGHTED = Sequences([0, 1], [0, 2], [0, 1], per_step=True, weights=[1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tag_baselines([1, 2], DATA), "train must be Sequences, not [1, 2]"),
        (
            lambda: tag_baselines(DATA, LABELLED),
            "test must have a class for each step, without weights, but it has a class for each sequence",
        ),
        (
            lambda: text_baselines(WEIGHTED, DATA),
            "train must have a class for each step, without weights, but it has a class for each step, with weights",
        ),
        (
            lambda: text_baselines(NUMBERS, DATA),
            "train must have a class for each step, without weights, but it has numbers (1) for each step",
        ),
        (
            lambda: tag_baselines(DATA, Sequences([], [0], [], per_step=True)),
            "test must have at least one target, but it has none",
        ),
        (lambda: tag_baselines(DATA, FEATURES), "train holds tokens and test features: both must be of one kind"),
        (lambda: text_baselines(FEATURES, FEATURES), "text_baselines takes sequences of tokens, not of features"),
        (lambda: text_baselines(DATA, DATA, symbols=2), "symbols must be at least 3, not 2"),
        (lambda: text_baselines(DATA, DATA, orders=[]), "orders must be at least one number, not an empty list"),
        (lambda: tag_baselines(DATA, DATA, orders=[0]), "orders must be at least 1, but there is 0 at [0]"),
        (lambda: tag_baselines(DATA, DATA, confidence=0), "confidence must be above 0, not 0.0"),
        (
            lambda: tag_report([0], [[1.0]], [0, 1], baselines=text_baselines(DATA, DATA)),
            "baselines must be those of tags, of tag_baselines, not those of text",
        ),
    ],
)
def test_mistakes_give_a_one_line_error(call, message):
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message
