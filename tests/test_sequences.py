import copy
import pickle
import re

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.errors import InvalidArgument
from myrnn.sequences import Sequences, one_hot

token_lists = st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=12)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def of_tokens(lists, labels=None):
    labels = [i % 3 for i in range(len(lists))] if labels is None else labels
    offsets = np.cumsum([0] + [len(tokens) for tokens in lists])
    return Sequences(np.array([t for tokens in lists for t in tokens], dtype=int), offsets, labels, dim_input=7)


def same(one, other):
    return (
        one.dim_input == other.dim_input
        and all(getattr(one, a).tobytes() == getattr(other, a).tobytes() for a in ("values", "offsets", "labels"))
        and one.values.shape == other.values.shape
    )


@given(token_lists)
def test_tokens_are_returned_unchanged(lists):
    sequences = of_tokens(lists)
    assert len(sequences) == len(lists)
    assert sequences.is_tokens
    assert [sequences.tokens(i).tolist() for i in range(len(lists))] == lists
    assert sequences.lengths.tolist() == [len(tokens) for tokens in lists]
    assert (sequences.values.dtype, sequences.offsets.dtype, sequences.labels.dtype) == (np.int32, np.int64, np.int64)
    assert sequences.tokens(0).dtype == sequences.lengths.dtype == np.int64


@given(token_lists)
def test_an_item_is_the_one_hot_sequence_and_its_label(lists):
    sequences = of_tokens(lists)
    for i, (x, y) in enumerate(sequences):
        assert x.dtype == np.float32
        assert x.shape == (len(lists[i]), 7)
        assert [[j for j in range(7) if row[j]] for row in x.tolist()] == [[t] for t in lists[i]]
        assert x.sum() == len(lists[i])
        assert y.dtype == np.int16
        assert y.tolist() == [i % 3]
        last_x, last_y = sequences[i - len(lists)]
        assert last_x.tobytes() == x.tobytes()
        assert last_y.tobytes() == y.tobytes()


@given(token_lists, st.data())
def test_selecting_agrees_with_plain_lists(lists, data):
    sequences = of_tokens(lists)
    n = len(lists)
    chosen = data.draw(st.lists(st.integers(-n, n - 1), max_size=10))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    part = data.draw(st.slices(n))
    for indices, places in (
        (chosen, [range(n)[i] for i in chosen]),
        (np.array(chosen, dtype=np.int8), [range(n)[i] for i in chosen]),
        (mask, [i for i in range(n) if mask[i]]),
        (mask.tolist(), [i for i in range(n) if mask[i]]),
        (part, list(range(n))[part]),
    ):
        expected = of_tokens([lists[i] for i in places], [i % 3 for i in places])
        assert same(sequences[indices], expected)
        assert same(sequences.select(indices), expected)


@given(token_lists)
def test_pairs_of_tokens_or_features_give_the_same_sequences(lists):
    sequences = of_tokens(lists)
    pairs = [(np.array(tokens, dtype=np.uint8), i % 3) for i, tokens in enumerate(lists)]
    assert same(Sequences.from_pairs(pairs, dim_input=7), sequences)
    features = Sequences.from_pairs(sequences)
    assert not features.is_tokens
    assert features.dim_input == 7
    assert features.values.dtype == np.float32
    assert same(Sequences.from_pairs(features), features)
    assert all(a.tobytes() == b.tobytes() for (a, _), (b, _) in zip(features, sequences, strict=True))


def test_pairs_can_be_tensors_or_lists_with_labels_of_any_integer_type():
    pairs = [
        (mg.tensor([[1.0, 2.0]]), np.array([1], dtype=np.int16)),
        ([[3, 4], [5, 6]], mg.tensor([0])),
        (np.zeros((0, 2)), np.array([[2]])),
        (np.array([[7, 8]], dtype=">f8"), np.uint64(3)),
        (np.arange(16.0).reshape(2, 8)[:, ::4], memoryview(np.array([4]))),
    ]
    sequences = Sequences.from_pairs(iter(pairs))
    assert sequences.values.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [0, 4], [8, 12]]
    assert sequences.offsets.tolist() == [0, 1, 3, 3, 4, 6]
    assert sequences.labels.tolist() == [1, 0, 2, 3, 4]


def test_tokens_of_different_integer_types_are_combined():
    pairs = [(np.array([1], dtype=np.uint64), 0), (np.array([2], dtype=np.int8), 1), ([], 0)]
    assert Sequences.from_pairs(pairs).values.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64, ">i2"])
def test_values_can_be_read_only_noncontiguous_and_of_any_integer_type(dtype):
    values = np.array([1, 9, 0, 9, 2, 9], dtype=dtype)[::2]
    values.flags.writeable = False
    sequences = Sequences(values, np.array([0, 3], dtype=np.uint8), np.array([1], dtype=np.uint64))
    assert sequences.values.tolist() == [1, 0, 2]
    assert sequences.values.flags.c_contiguous
    assert sequences.dim_input == 3


def test_integer_features_and_negative_zero_are_features():
    sequences = Sequences(np.array([[1, 0], [0, -1]]), [0, 2], [0])
    assert sequences.values.tolist() == [[1.0, 0.0], [0.0, -1.0]]
    assert np.signbit(Sequences([[-0.0]], [0, 1], [0]).values[0, 0])


@pytest.mark.parametrize(
    "values", [np.asfortranarray(np.arange(6.0).reshape(3, 2)), np.arange(12.0).reshape(3, 4)[:, ::2]]
)
def test_features_are_flat_in_any_form(values):
    sequences = Sequences(values, [0, 3], [0])
    assert sequences.values.tolist() == values.tolist()
    assert sequences.values.flags.c_contiguous


def test_nothing_from_outside_changes_the_sequences():
    values, offsets, labels = np.zeros((3, 2), dtype=np.float32), np.array([0, 1, 3]), np.array([0, 1])
    sequences = Sequences(values, offsets, labels)
    before = copy.deepcopy(sequences)
    values[:], offsets[:], labels[:] = 7, 7, 7
    x, y = sequences[1]
    x[:], y[:] = 7, 7
    assert same(sequences, before)


@pytest.mark.parametrize("values", [np.array([2, 0, 1], np.int32), np.ones((3, 2), np.float32)])
@pytest.mark.parametrize(
    "copied",
    [lambda s: s, lambda s: s[:2], copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],
    ids=["made", "selected", "copied", "deeply copied", "unpickled"],
)
def test_checked_arrays_are_read_only(values, copied):
    values, offsets, labels = values.copy(), np.array([0, 1, 3]), np.array([1, 0])
    sequences = copied(Sequences(values, offsets, labels))
    for array in (sequences.values, sequences.offsets, sequences.labels, sequences.lengths):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9
    assert sequences.dim_input == (3 if values.ndim == 1 else 2)
    # The given arrays still belong to the caller.
    values[...], offsets[...], labels[...] = 5, 5, 5
    assert (sequences.offsets.tolist(), sequences.labels.tolist()) == ([0, 1, 3], [1, 0])


def test_no_sequences_and_empty_ones():
    none = Sequences([], [0], [])
    assert (len(none), none.dim_input, none.lengths.tolist(), list(none)) == (0, 1, [], [])
    assert repr(none) == "Sequences(0 of tokens below 1, none)"
    assert same(none[:], none)
    assert same(none.select([]), none)
    empty = Sequences([], [0, 0, 0], [1, 0], dim_input=np.int64(4))
    assert [x.shape for x, _ in empty] == [(0, 4), (0, 4)]
    assert type(empty.dim_input) is int
    features = Sequences(np.zeros((0, 4)), [0, 0], [1])
    assert features[0][0].shape == (0, 4)
    assert len(features[1:]) == 0


def test_the_repr_of_sequences():
    assert repr(of_tokens([[1, 2], [3]])) == "Sequences(2 of tokens below 7, lengths 1 to 2)"
    assert repr(Sequences(np.zeros((4, 3)), [0, 4], [0])) == "Sequences(1 of 3 features, lengths 4 to 4)"


def test_one_hot_encodes_each_token():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot(np.array([2, 0]), 3).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "dim_input", "message"),
    [
        ([0, 3, -2], None, "values must be tokens in 0 .. 3 (dim_input is 4), but there is -2 at [2]"),
        ([-5], None, "values must be tokens in 0 .. 0 (dim_input is 1), but there is -5 at [0]"),
        ([0, 10], 10, "values must be tokens in 0 .. 9 (dim_input is 10), but there is 10 at [1]"),
        (
            [0, 2**40],
            None,
            "values must be tokens in 0 .. 2147483646 (dim_input is 2147483647), but there is 1099511627776 at [1]",
        ),
        ([0, 1], 2**40, "dim_input must be at most 2147483647, not 1099511627776"),
        ([0, 1], 0, "dim_input must be at least 1, not 0"),
        ([0, 1], 10.0, "dim_input must be an integer, not 10.0"),
        ([0, 1], "10", "dim_input must be an integer, not '10'"),
        ([[0.0, 1.0]], 2.0, "dim_input must be an integer, not 2.0"),
        ([[0.0, 1.0]], 3, "dim_input is 3, but values has 2 columns of features"),
        (np.zeros((2, 0)), None, "values must have at least one column of features"),
        ([[0, 1], [np.nan, 0]], None, "values must be finite float32, but there is nan at [1, 0]"),
        ([[0, 1], [2, 1e300]], None, "values must be finite float32, but there is inf at [1, 1]"),
        ([[0, 1], [2]], None, "values must be an array, but its items differ in shape"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, dim_input, message):
    with refused(message):
        Sequences(values, [0, len(values)], [0], dim_input)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.0, 1.0], "float64 of shape (2,)"),
        ([True, False], "bool of shape (2,)"),
        (["0", "1"], "<U1 of shape (2,)"),
        (np.array([0, 1], dtype=object), "object of shape (2,)"),
        ([0, 2**70], "object of shape (2,)"),
        ([[True], [False]], "bool of shape (2, 1)"),
        ([[1j], [0]], "complex128 of shape (2, 1)"),
        (np.array([0, 1], dtype="timedelta64[s]"), "timedelta64[s] of shape (2,)"),
        (np.zeros((2, 1, 1)), "float64 of shape (2, 1, 1)"),
        (3, "int64 of shape ()"),
        (None, "object of shape ()"),
    ],
)
def test_values_of_another_kind_are_refused(values, kind):
    with refused(f"values must be integer tokens of shape (T,) or features of shape (T, C), not {kind}"):
        Sequences(values, [0, 2], [0])


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 2], "offsets must rise from 0 to the number of values, 3"),
        ([1, 3], "offsets must rise from 0 to the number of values, 3"),
        ([0, 2, 1, 3], "offsets must rise from 0 to the number of values, 3"),
        (np.array([0, 2, 1, 3], dtype=np.uint64), "offsets must rise from 0 to the number of values, 3"),
        ([], "offsets must rise from 0 to the number of values, 3"),
        ([0, 4, 3], "offsets must be at most 3, but there is 4 at [1]"),
        ([0, -1, 3], "offsets must be at least 0, but there is -1 at [1]"),
        ([0.0, 3.0], "offsets must be integers of shape (N,), not float64 of shape (2,)"),
        (3, "offsets must be integers of shape (N,), not int64 of shape ()"),
    ],
)
def test_offsets_that_do_not_fit_are_refused(offsets, message):
    with refused(message):
        Sequences([0, 1, 2], offsets, [0])


NO_TARGETS = (
    "targets must be integers of shape (N,) for classes, truth values of shape (N, K) for several classes at once, or "
    "floats of shape (N,) or (N, K)"
)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0], "labels must be one for each of the 2 sequences, but there are 1"),
        ([[0], [1]], "labels must be integers of shape (N,), not int64 of shape (2, 1)"),
        ([True, False], f"{NO_TARGETS}, not bool of shape (2,)"),
        (["a", "b"], f"{NO_TARGETS}, not <U1 of shape (2,)"),
        ([0, -1], "labels must be at least 0, but there is -1 at [1]"),
        ([2**15, 0], "labels must be at most 32767, but there is 32768 at [0]"),
        (np.array([0, 2**63], dtype=np.uint64), f"labels must be at most 32767, but there is {2**63} at [1]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with refused(message):
        Sequences([0, 1, 2], [0, 1, 3], labels)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "there are no sequences: at least one pair (x, y) is needed"),
        (3, "pairs must be an iterable of (x, y), not 3"),
        ([([1], 0), 7], "item 1 must be a pair (x, y), not 7"),
        ([([1], 0, [1])], "item 0 must be a pair (x, y), not ([1], 0, [1])"),
        (
            [([[1.0]], 0), ([[1.0, 2.0]], 0)],
            "every sequence must have the same number of inputs, but sequence 1 has shape (1, 2) "
            "and sequence 0 has shape (1, 1)",
        ),
        (
            [([1, 2], 0), ([[1.0]], 0)],
            "every sequence must have the same number of inputs, but sequence 1 has shape (1, 1) "
            "and sequence 0 has shape (2,)",
        ),
        ([([1], 0), ([2, 12], 0)], "sequence 1 must be tokens in 0 .. 9 (dim_input is 10), but there is 12 at [1]"),
        ([([[1.0] * 10], 0), ([[np.nan] * 10], 0)], "sequence 1 must be finite float32, but there is nan at [0, 0]"),
        (
            [([1], 0), ([True], 0)],
            "sequence 1 must be integer tokens of shape (T,) or features of shape (T, C), not bool of shape (1,)",
        ),
        ([([1], 0), ([[1], [2, 3]], 0)], "sequence 1 must be an array, but its items differ in shape"),
        ([([1], [0, 1])], "the label of sequence 0 must be one integer, not an array of shape (2,)"),
        ([([1], True)], "the label of sequence 0 must be an integer, not np.True_"),
        ([([1], None)], "the label of sequence 0 must be an integer, not None"),
        ([([1], "1")], "the label of sequence 0 must be an integer, not np.str_('1')"),
        ([([1], -1)], "the label of sequence 0 must be at least 0, not -1"),
        ([([1], 40_000)], "the label of sequence 0 must be at most 32767, not 40000"),
    ],
)
def test_pairs_that_do_not_fit_are_refused_with_their_index(pairs, message):
    with refused(message):
        Sequences.from_pairs(pairs, dim_input=10 if "dim_input is 10" in message else None)


def test_features_have_no_tokens():
    with refused("these sequences hold features, not tokens"):
        Sequences(np.zeros((1, 2)), [0, 1], [0]).tokens(0)


def test_an_index_outside_is_an_index_error():
    sequences = of_tokens([[1], [2]])
    for index in (2, -3, 2**70):
        with pytest.raises(IndexError, match=f"^there is no sequence {index}: there are 2$"):
            sequences[index]
    with refused("index must be an integer, not 0.5"):
        sequences.tokens(0.5)


@pytest.mark.parametrize("indices", [[2], [0.5], np.array([]), [True], "a", None, [[0, 1]], (0, 1), 1.0])
def test_indices_that_do_not_fit_are_refused(indices):
    with refused(
        f"indices must be integers, a mask or a slice that fits 2 sequences, not {' '.join(repr(indices).split())}"
    ):
        of_tokens([[1], [2]])[indices]
