import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from myrnn.intervals import mean_difference_interval, newcombe_interval, wilson_interval

counts = st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
levels = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@given(counts, levels)
def test_wilsons_interval_is_that_of_scipy(pair, confidence):
    theirs = binomtest(*pair).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(wilson_interval(*pair, confidence), (theirs.low, theirs.high), rtol=1e-9, atol=1e-12)


def test_wilsons_interval_takes_any_shape():
    correct, total = np.array([[1, 2], [3, 4]]), np.array([[9, 9], [9, 9]])
    found = wilson_interval(correct, total)
    assert found.shape == (2, 2, 2)
    assert found[1, 0].tolist() == wilson_interval(3, 9).tolist()


def test_without_trials_the_interval_is_0_to_1():
    assert wilson_interval(0, 0).tolist() == [0.0, 1.0]
    assert wilson_interval([0, 5], [0, 5]).tolist()[0] == [0.0, 1.0]


# Newcombe (1998), table II, method 10: two shares and the interval of their difference.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_newcombes_interval_is_that_of_the_paper(counts, low, high):
    np.testing.assert_allclose(newcombe_interval(*counts), (low, high), atol=5e-5)


@given(counts, counts, levels)
def test_the_reversed_difference_has_the_mirrored_interval(one, other, confidence):
    there, back = newcombe_interval(*one, *other, confidence), newcombe_interval(*other, *one, confidence)
    np.testing.assert_allclose(there, -back[::-1], atol=1e-12)
    assert -1 - 1e-12 <= there[0] <= one[0] / one[1] - other[0] / other[1] + 1e-12 <= there[1] + 2e-12 <= 1 + 3e-12


def test_the_interval_has_its_nominal_coverage():
    share, other_share, size = 0.85, 0.7, 60
    x = np.arange(size + 1)
    low, high = np.moveaxis(newcombe_interval(x[:, None], size, x[None, :], size), -1, 0)
    chance = binom.pmf(x, size, share)[:, None] * binom.pmf(x, size, other_share)
    covered = chance[(low <= share - other_share) & (share - other_share <= high)].sum()
    assert 0.94 < covered < 0.965


@given(counts, counts, levels)
def test_the_mean_of_one_difference_is_that_difference(one, other, confidence):
    mean, interval = mean_difference_interval(*np.array([*one, *other])[:, None], confidence)
    assert mean == one[0] / one[1] - other[0] / other[1]
    np.testing.assert_allclose(interval, newcombe_interval(*one, *other, confidence), atol=1e-12)


def test_the_interval_of_the_mean_of_many_differences_is_narrower():
    counts = np.tile([[80], [100], [70], [100]], 25)
    mean, (low, high) = mean_difference_interval(*counts)
    one_low, one_high = newcombe_interval(80, 100, 70, 100)
    assert mean == pytest.approx(0.1)
    assert low == pytest.approx(0.1 - (0.1 - one_low) / 5)
    assert high == pytest.approx(0.1 + (one_high - 0.1) / 5)


def test_the_interval_of_the_mean_has_its_nominal_coverage():
    rng = np.random.default_rng(0)
    shares, others, size = np.array([0.95, 0.8, 0.6]), np.array([0.9, 0.8, 0.7]), 80
    truth, held = (shares - others).mean(), 0
    for _ in range(2000):
        drawn = rng.binomial(size, shares), rng.binomial(size, others)
        _, (low, high) = mean_difference_interval(drawn[0], np.full(3, size), drawn[1], np.full(3, size))
        held += low <= truth <= high
    assert 0.935 < held / 2000 < 0.97
