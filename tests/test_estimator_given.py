"""What a classifier accepts as X and y, and how it refuses the rest."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.exceptions import NotFittedError

from myrnn import SequenceClassifier, Sequences
from myrnn.errors import InvalidArgument, MyRNNError
from names import CELLS

SMALL = {"dim_recurrent": 3, "max_epochs": 1, "engine": "mygrad", "random_state": 0}
WORDS = ["ab" * (index % 5) + "c" * (index % 2) for index in range(12)]
TOKENS = [list(word) for word in WORDS]
CODES = [[ord(letter) for letter in word] for word in WORDS]
LABELS = ["odd" if index % 2 else "even" for index in range(12)]
NUMBERS = np.random.default_rng(0).normal(size=(12, 4, 3))
RAGGED = [NUMBERS[index, : index % 5] for index in range(12)]


def fitted(X, y=LABELS, **settings):
    return SequenceClassifier(**{**SMALL, **settings}).fit(X, y)


# --- X: the same sequences in other forms


def as_sequences(parts):
    return Sequences(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), np.zeros(len(parts), dtype=int))


STRINGS = np.array(WORDS)
SAME = {
    "characters": [WORDS, tuple(WORDS), STRINGS, STRINGS.astype(object), pd.Series(WORDS), pl.Series(WORDS)],
    "words": [TOKENS, tuple(map(tuple, TOKENS)), pd.Series(TOKENS), pl.Series(TOKENS)],
    "integers": [CODES, pd.Series(CODES), pl.Series(CODES), as_sequences([np.array(part, int) for part in CODES])],
    "numbers": [RAGGED, [part.tolist() for part in RAGGED], as_sequences(RAGGED)],
}
SAME["characters"] += [pd.Series(WORDS, dtype="string"), np.array(WORDS, dtype=np.dtypes.StringDType())]
SAME["numbers"] += [
    [pd.DataFrame(part) for part in RAGGED],
    [pl.DataFrame(part, schema=list("abc")) for part in RAGGED],
    pd.Series(RAGGED),
    pl.Series([part.tolist() for part in RAGGED]),
    # As pandas reads it from Parquet.
    pd.Series([np.array([*part, None], dtype=object)[:-1] for part in RAGGED]),
]
SAME["words"].extend([np.array(part, dtype=kind) for part in TOKENS] for kind in (str, object))
SAME["integers"].append([np.array(part, dtype=np.int16) for part in CODES])


@pytest.mark.parametrize("kind", SAME)
def test_one_list_of_sequences_in_many_forms(kind):
    first, *others = SAME[kind]
    classifier = fitted(first)
    expected = classifier.predict_proba(first)
    assert (classifier.encoder_.kind, expected.shape) == (kind, (12, 2))
    for other in others:
        assert fitted(other).predict_proba(other) == pytest.approx(expected, abs=1e-6)
        assert classifier.predict_proba(other) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("table", "kind", "dim_input"),
    [
        (NUMBERS, "numbers", 3),
        (NUMBERS.round().astype(int), "numbers", 3),
        (NUMBERS[:, :, 0], "numbers", 1),
        (pd.DataFrame(NUMBERS[:, :, 0], columns=list("abcd")), "numbers", 1),
        (np.arange(48).reshape(12, 4) % 5, "integers", 6),
        (np.arange(48).reshape(12, 4).astype(np.uint64) % 5, "integers", 6),
        (np.array(TOKENS[9:10] * 12), "words", 4),
        (pd.DataFrame(TOKENS[9:10] * 12), "words", 4),
    ],
)
def test_arrays(table, kind, dim_input):
    classifier = fitted(table)
    assert (classifier.encoder_.kind, classifier.encoder_.dim_input) == (kind, dim_input)
    rows = list(np.asarray(table))
    if np.ndim(table) == 2 and kind == "numbers":
        rows = [row[:, np.newaxis] for row in rows]
    assert classifier.predict_proba(rows) == pytest.approx(classifier.predict_proba(table), abs=1e-6)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_data_frame_with_one_column_of_text_is_like_its_column(frame, tmp_path):
    table = frame({"text": WORDS})
    classifier = fitted(table)
    assert classifier.encoder_.kind == "characters"
    other = fitted(list(WORDS))
    for X in (table, table["text"], frame({"other": WORDS}), list(WORDS)):
        assert np.array_equal(classifier.predict_proba(X), other.predict_proba(list(WORDS)))
    loaded = SequenceClassifier.load(classifier.save(tmp_path / "run"))
    assert np.array_equal(loaded.predict(table), classifier.predict(table))
    texts = frame({"text": ["to be or", "not to be"] * 6})
    assert fitted(texts).encoder_.symbols == ("be", "not", "or", "to")
    with pytest.raises(InvalidArgument, match=r"^X is a column of text, but row 11 holds (None|nan)$"):
        fitted(frame({"text": [*WORDS[:-1], None]}))


def test_an_array_of_one_column_of_text_gives_a_warning():
    with pytest.warns(UserWarning, match=r"^X is an array of one column of text, in which every text is one symbol: "):
        classifier = fitted(STRINGS[:, np.newaxis])
    assert classifier.encoder_.kind == "words"
    classifier.predict(STRINGS[:, np.newaxis])


def test_an_estimator_of_word_lists_reads_text_with_spaces():
    lists = [["to", "be"], ["or", "not", "to", "be"]] * 6
    classifier = fitted(lists)
    texts = [" ".join(words) for words in lists]
    assert classifier.tokenize_ is None
    assert np.array_equal(classifier.predict_proba(texts), classifier.predict_proba(lists))
    assert np.array_equal(classifier.predict_proba(["to\tbe \n"]), classifier.predict_proba([["to", "be"]]))
    with pytest.warns(UserWarning, match="^1 symbol was not in the training and counts as unknown: 'tobe'"):
        classifier.predict(["tobe"])


def test_whole_numbers_are_features_if_they_were_in_the_fit():
    classifier = fitted([np.array([0.5, 2.0]), np.array([1.0])] * 6)
    assert np.array_equal(classifier.predict_proba([[1, 2]]), classifier.predict_proba([[1.0, 2.0]]))


@pytest.mark.parametrize("embedding", [None, 2])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_unknown_symbols_share_one_index(cell, embedding):
    classifier = fitted(TOKENS, cell=cell, dim_embedding=embedding, max_epochs=3)
    strange = [["a", "Ω", "b"], ["a", "never seen", "b"], ["a", "", "b"]]
    with pytest.warns(UserWarning, match="^3 symbols were not in the training"):
        unknown = classifier.predict_proba(strange)
    assert np.array_equal(unknown[0], unknown[1])
    assert np.array_equal(unknown[0], unknown[2])
    # A step without input: the model reads a row of zeros.
    if embedding is None:
        x = np.zeros((3, 4), dtype=np.float32)
        x[[0, 2], [1, 2]] = 1.0
        logits = classifier.model_(x).data.astype(np.float64)
        assert unknown[0] == pytest.approx(np.exp(logits[0]) / np.exp(logits).sum(), abs=1e-6)


def test_the_most_frequent_symbols_are_kept():
    classifier = fitted(["aab", "abc", "aab", "c"] * 3, max_vocabulary=2)
    assert classifier.encoder_.symbols == ("a", "b")
    assert np.array_equal(classifier.predict_proba(["ac"]), classifier.predict_proba(["az"]))


def test_symbols_that_only_occur_in_the_validation_are_unknown(monkeypatch):
    mask = np.arange(12) >= 10
    monkeypatch.setattr("myrnn.runs.prepare.validation_mask", lambda *_: mask)
    X = [["a"]] * 5 + [["b"]] * 5 + [["only here"]] * 2
    assert fitted(X, ["x"] * 5 + ["y"] * 6 + ["x"]).encoder_.symbols == ("a", "b")


def test_columns_are_standardised_by_the_training_alone(monkeypatch):
    mask = np.arange(12) % 4 == 0
    monkeypatch.setattr("myrnn.runs.prepare.validation_mask", lambda *_: mask)
    X = [100.0 * part + [1, 2, 3] for part in RAGGED]
    rows = np.concatenate([part for part, kept in zip(X, mask, strict=True) if not kept])
    classifier = fitted(X)
    assert classifier.encoder_.mean == pytest.approx(rows.mean(axis=0))
    assert classifier.encoder_.scale == pytest.approx(rows.std(axis=0))
    assert fitted(X, standardize=False).encoder_.mean == (0.0, 0.0, 0.0)


def test_empty_sequences():
    classifier = fitted(["", "a", "", "ab"] * 3)
    assert classifier.predict_proba([""]).shape == (1, 2)
    assert np.array_equal(classifier.predict_proba([""]), classifier.predict_proba([[]]))
    numbers = fitted([np.zeros((0, 2)), np.ones((3, 2))] * 6)
    expected = numbers.predict_proba([np.zeros((0, 2))])
    assert np.array_equal(numbers.predict_proba([[]]), expected)
    assert np.array_equal(numbers.predict_proba([np.zeros(0), np.ones((1, 2))])[:1], expected)


# --- y: labels of any kind


# Labels, and the classes that they are.
KINDS_OF_LABELS = [
    (["b", "a"], ["a", "b"]),
    ([True, False], [False, True]),
    ([-1, -50], [-50, -1]),
    ([1.5 * 2, 0.0], [0.0, 3.0]),
    ([2**62, -(2**62)], [-(2**62), 2**62]),
    (["", "$x^2$\n"], ["", "$x^2$\n"]),
    (np.array(["bb", "a"]), ["a", "bb"]),
    (np.array(["bb", "a"], dtype=object), ["a", "bb"]),
    (np.array(["bb", "a"], dtype=np.dtypes.StringDType()), ["a", "bb"]),
    (np.array([3, 200], dtype=np.uint8), [3, 200]),
    ([np.str_("b"), np.str_("a")], ["a", "b"]),
    ([np.int8(4), np.int8(-4)], [-4, 4]),
    ([np.True_, np.False_], [False, True]),
    (pd.Series(["b", "a"]), ["a", "b"]),
    (pd.Series(["b", "a"], dtype="category"), ["a", "b"]),
    (pd.Series(["b", "a"], index=[7, 3]), ["a", "b"]),
    (pl.Series(["b", "a"]), ["a", "b"]),
]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [pytest.param(*case, marks=pytest.mark.long if i % 4 else ()) for i, case in enumerate(KINDS_OF_LABELS)],
)
def test_labels_of_any_kind_are_returned_unchanged(labels, classes, tmp_path):
    y = [labels[index] for index in (0, 1)] * 6 if isinstance(labels, list) else None
    if y is None:
        y = pd.concat([labels] * 6) if isinstance(labels, pd.Series) else np.tile(np.asarray(labels), 6)
    classifier = fitted(["aaa", "b"] * 6, y, max_epochs=30, learning_rate=0.05, validation_fraction=0)
    assert classifier.classes_.tolist() == classes
    found = classifier.predict(["aaa", "b"])
    assert found.tolist() == list(y)[:2]
    assert (found.dtype, classifier.score(["aaa", "b"], list(y)[:2])) == (classifier.classes_.dtype, 1.0)
    classifier.save(tmp_path / "saved")
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert loaded.predict(["aaa", "b"]).tolist() == found.tolist()
    assert loaded.classes_.dtype == classifier.classes_.dtype


# --- invalid arguments


WANTED = "a list of strings, of token lists or of (T, C) arrays, an array of shape (N, T, C) or (N, T), or a Sequences"
PAIR = [np.zeros((2, 2)), np.ones((3, 2))]


@pytest.mark.parametrize(
    ("X", "told"),
    [
        (None, f"X must be {WANTED}, not None"),
        ("abc", f"X must be {WANTED}, not str"),
        ({}, f"X must be {WANTED}, not dict"),
        ((word for word in WORDS), f"X must be {WANTED}, not generator"),
        (np.array(3), f"X must be {WANTED}, not int64 of shape (). Reshape your data"),
        (np.zeros((2, 2, 2, 2)), f"X must be {WANTED}, not float64 of shape (2, 2, 2, 2). Reshape your data"),
        ([], "X holds no sequence: at least two are needed, of two classes"),
        (["", ""] * 6, "every sequence of X is empty: there is nothing to learn from"),
        ([1, 2] * 6, f"X must be {WANTED}, but sequence 0 is int 1"),
        ([np.float32(1)] * 12, f"X must be {WANTED}, but sequence 0 is float32 np.float32(1.0)"),
        (pd.Series(["a", None] * 6, dtype=object), f"X must be {WANTED}, but sequence 1 is NoneType None"),
        (pl.Series([["a"], None] * 6), f"X must be {WANTED}, but sequence 1 is NoneType None"),
        (["a", ["b"]] * 6, f"X must be {WANTED}, but sequence 0 is the string 'a', and sequence 1 list ['b']"),
        ([["a", 1]] * 12, "sequence 0 must hold symbols or numbers of one kind, but beside strings there is 1"),
        ([["a", None]] * 12, "sequence 0 must hold symbols or numbers of one kind, but beside strings there is None"),
        ([["a"], [1.0]] * 6, "every sequence must be of one kind, but sequence 1 holds numbers and sequence 0 words"),
        ([[2**64]] * 12, f"sequence 0 holds {2**64} at step 0: integers must fit 64 bits"),
        (
            [*PAIR, np.zeros((1, 3))] * 4,
            "every sequence must have the same number of columns, but sequence 2 has 3 and sequence 0 has 2",
        ),
        (
            [*PAIR, np.array([[0, 1], [2, np.nan]])] * 4,
            "X must be finite numbers, but sequence 2 has NaN in row 1, column 1",
        ),
        (
            [*PAIR, np.array([[-np.inf, 1]])] * 4,
            "X must be finite numbers, but sequence 2 has -inf in row 0, column 0",
        ),
        (np.full((12, 2, 2), np.nan), "X must be finite numbers, but sequence 0 has NaN in row 0, column 0"),
        ([np.zeros((2, 0))] * 12, "sequence 0 must have at least one column of numbers, but its shape is (2, 0)"),
        (np.zeros((12, 2, 2), dtype=complex), "Complex data not supported: X must be real numbers"),
    ],
)
def test_an_object_that_is_not_a_list_of_sequences_is_refused(X, told):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        fitted(X)


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), "must hold symbols or numbers of one kind, but there is 'x'"),
        (
            pl.DataFrame({"a": [1.0], "b": [None]}),
            "X must be finite numbers, but sequence 1 has NaN in row 0, column 1",
        ),
        (pd.DataFrame({"a": [1.0]}), "every sequence must have the same number of columns, but sequence 1 has 1"),
        (np.array([np.zeros(2), np.zeros(1)], dtype=object), "must be an array, but its items differ in shape"),
    ],
)
def test_the_one_malformed_sequence_is_named(item, told):
    with pytest.raises(InvalidArgument, match=re.escape(told)):
        fitted([PAIR[0], item, *PAIR * 5])


def masked(values):
    """Return a copy as a masked array, its last value masked."""
    values = np.array(values)
    mask = np.zeros(values.shape, dtype=bool)
    mask.flat[-1] = True
    return np.ma.array(values, mask=mask)


@pytest.mark.parametrize(
    ("X", "told"),
    [
        (masked(NUMBERS), "X must have no masked values (1 of 144): leave them out or fill them"),
        (masked(NUMBERS[:, :, 0]), "X must have no masked values (1 of 48): leave them out or fill them"),
        (masked(np.arange(48).reshape(12, 4)), "X must have no masked values (1 of 48)"),
        ([*PAIR * 5, masked(PAIR[0]), PAIR[1]], "sequence 10 must have no masked values (1 of 4)"),
    ],
)
def test_masked_values_are_refused(X, told):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}"):
        fitted(X)
    classifier = fitted([np.ma.getdata(part) for part in X] if isinstance(X, list) else np.ma.getdata(X))
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}"):
        classifier.predict(X)


def test_a_mask_that_hides_nothing_is_ignored():
    expected = fitted(NUMBERS).predict_proba(NUMBERS)
    bare = np.ma.array(NUMBERS, mask=np.zeros(NUMBERS.shape, dtype=bool))
    assert np.array_equal(fitted(bare, np.ma.array(LABELS)).predict_proba(bare), expected)


def test_masked_labels_are_refused():
    with pytest.raises(InvalidArgument, match=r"^y must have no masked values \(1 of 12\): leave them out"):
        fitted(WORDS, masked([0, 1] * 6))


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (LABELS[:3], "X holds 12 sequences, but y 3 labels"),
        (["a"] * 12, "y holds one class only, 'a': a classifier needs two or more"),
        (np.ones(12, dtype=int), "y holds one class only, 1: a classifier needs two or more"),
        (["a", 1] * 6, "y must be labels of one kind, not int and str together"),
        (["a", None] * 6, "y must be strings, integers, floats or booleans, but there is None at [1]"),
        (pl.Series(["a", None] * 6), "y must be strings, integers, floats or booleans, but there is None at [1]"),
        (np.array(["a", 1] * 6, dtype=object), "y must be labels of one kind, not int and str together"),
        ([b"a", b"b"] * 6, "y must be strings, integers, floats or booleans, but there is b'a' at [0]"),
        (None, "this classifier requires y to be passed, but the target y is None"),
    ],
)
def test_invalid_labels_are_refused(y, told):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        fitted(WORDS, y)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"cell": "gr"}, f"cell must be one of {CELLS}, not 'gr'; did you mean 'gru'?"),
        (
            {"cell": 3},
            f"cell must be one of {CELLS}, or a model class or a function that makes a model, not 3",
        ),
        (
            {"cell": lambda *dims: None},
            "model must have `parameters` and be callable on one sequence, which NoneType is not",
        ),
        ({"dim_recurrent": 2.0}, "dim_recurrent must be an integer, not 2.0"),
        ({"layers": 0}, "layers must be at least 1, not 0"),
        ({"dim_embedding": 0}, "dim_embedding must be at least 1, not 0"),
        ({"dim_embedding": "none"}, "dim_embedding must be an integer, None or 'auto', not 'none'"),
        ({"learning_rate": -1}, "learning_rate must be above 0, not -1.0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"max_epochs": 0}, "max_epochs must be at least 1, not 0"),
        ({"validation_fraction": 1}, "validation_fraction must be below 1, not 1.0"),
        ({"early_stopping_patience": 0}, "early_stopping_patience must be at least 1, not 0"),
        ({"standardize": "no"}, "standardize must be true or false, not 'no'"),
        ({"class_weight": "balance"}, "class_weight must be None, 'balanced' or a dict, not 'balance'"),
        ({"class_weight": np.ones(2)}, "class_weight must be None, 'balanced' or a dict, not array([1., 1.])"),
        ({"class_weight": {"third": 1}}, "class_weight names 'third', which is not one of the classes of y"),
        ({"class_weight": {"odd": -1}}, "class_weight must be at least 0, but there is -1.0 at [1]"),
        (
            {"class_weight": {"odd": "much"}},
            "class_weight must hold numbers: could not convert string to float: 'much'",
        ),
    ],
)
def test_an_invalid_setting_is_refused(settings, told):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        fitted(WORDS, **settings)


@pytest.mark.long
def test_a_vocabulary_that_is_too_large_for_memory(monkeypatch):
    monkeypatch.setattr("myrnn.runs.model.machine_memory", lambda: 10**6)
    X = [[f"word {index}", f"word {index + 1}"] for index in range(2000)]
    y = [index % 2 for index in range(2000)]
    with pytest.raises(
        InvalidArgument,
        match=r"^1,\d{3} inputs of a step take about 0\.0 GB to train, but there are 0\.0 GB: keep the most frequent "
        r"symbols with max_vocabulary= \(of numbers, give fewer columns\), or make dim_embedding or dim_recurrent "
        r"smaller$",
    ):
        fitted(X, y, dim_recurrent=50)
    assert fitted(X, y, dim_recurrent=50, max_vocabulary=20, batch_size=2000).encoder_.dim_input == 21


def test_too_many_units_for_memory(monkeypatch):
    monkeypatch.setattr("myrnn.runs.model.machine_memory", lambda: 10**9)
    told = "20,000 recurrent units take about 16.0 GB to train, but there are 1.0 GB: make dim_recurrent smaller"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        fitted(NUMBERS, dim_recurrent=20_000)


@pytest.mark.parametrize("settings", [{}, {"not_finite": "x"}])
def test_before_a_fit(settings):
    with pytest.raises(NotFittedError, match="This SequenceClassifier instance is not fitted yet"):
        SequenceClassifier().predict(WORDS, **settings)


@pytest.mark.parametrize(
    ("X", "told"),
    [
        ([], "X holds no sequence: found array with 0 sample(s), at least one is needed"),
        (CODES, "X must be strings, read as characters, as in fit, not lists of integers"),
        (RAGGED, "X must be strings, read as characters, as in fit, not sequences of numbers"),
    ],
)
def test_sequences_of_another_kind_than_those_of_the_fit(X, told):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}$"):
        fitted(WORDS).predict(X)


def test_columns_that_differ_from_those_of_the_fit():
    with pytest.raises(InvalidArgument, match=r"^the sequences have 2 columns, but those in fit had 3$"):
        fitted(RAGGED).predict([np.zeros((4, 2))])


@pytest.mark.parametrize("entry", [NotImplemented, object, {"a": 1}])
def test_a_table_of_non_numbers_is_refused(entry):
    table = np.array([[1.0, entry], [2.0, 3.0]], dtype=object)
    with pytest.raises(InvalidArgument, match=r"^X must hold numbers or text: .*number") as refused:
        SequenceClassifier(**SMALL).fit(table, [0, 1])
    # As in scikit-learn.
    assert isinstance(refused.value, TypeError)


# --- any arguments

SCALARS = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.booleans(),
    st.none(),
    st.binary(max_size=2),
    st.complex_numbers(),
)
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner), max_leaves=12)
ARRAYS = arrays.arrays(
    st.one_of(arrays.scalar_dtypes(), arrays.unicode_string_dtypes(max_len=3), st.just(np.dtype(object))),
    arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    elements=None,
    fill=None,
)
ANY = st.one_of(NESTED, ARRAYS, st.lists(ARRAYS, max_size=4), st.dictionaries(st.text(max_size=2), SCALARS, max_size=2))


@given(ANY, ANY)
def test_any_arguments_are_fitted_or_refused(X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            classifier = SequenceClassifier(**SMALL).fit(X, y)
        except (MyRNNError, ValueError) as error:
            assert str(error)
        else:
            assert classifier.predict_proba(X).shape == (len(y), len(classifier.classes_))


@pytest.fixture(scope="module")
def of_every_kind():
    return [fitted(example[0]) for example in SAME.values()] + [fitted(NUMBERS), fitted(NUMBERS[:, :, 0])]


@given(ANY, st.integers(0, 5))
def test_any_sequences_are_classified_or_refused(of_every_kind, X, which):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = of_every_kind[which].predict(X)
        except (MyRNNError, ValueError) as error:
            assert str(error)
        else:
            assert len(found) == len(X)
            assert set(found.tolist()) <= {"odd", "even"}


# --- how text is read


@pytest.mark.parametrize(
    ("X", "tokenize", "how", "symbols"),
    [
        (["good film", "bad"] * 6, "auto", "words", {"good", "film", "bad"}),
        (np.array(["good film", "bad"] * 6), "auto", "words", {"good", "film", "bad"}),
        (["good", "bad"] * 6, "auto", "characters", set("goodba")),
        (["good film", "bad"] * 6, "characters", "characters", set("good film" + "bad")),
        (["good", "bad"] * 6, "words", "words", {"good", "bad"}),
        ([["good", "film"], ["bad"]] * 6, "auto", None, {"good", "film", "bad"}),
        ([["good", "film"], ["bad"]] * 6, "words", None, {"good", "film", "bad"}),
    ],
)
def test_text_is_read_as_words_if_it_has_spaces(X, tokenize, how, symbols):
    classifier = fitted(X, tokenize=tokenize, validation_fraction=0)
    assert classifier.tokenize_ == how
    assert set(classifier.encoder_.symbols) == symbols
    # Text to predict is read in the same way, whatever it contains.
    if how is not None:
        units = ["good", "bad"] if how == "words" else ["good", "bad"[::-1]]
        lists = [[unit] if how == "words" else list(unit) for unit in units]
        assert classifier.encoder_.kind == how
        if how == "words":
            assert np.array_equal(classifier.predict_proba(units), classifier.predict_proba(lists))


def halves(text):
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def test_a_user_defined_function_reads_text(tmp_path):
    classifier = fitted(WORDS, tokenize=halves)
    assert classifier.tokenize_ is halves
    split = fitted([halves(word) for word in WORDS])
    assert np.array_equal(classifier.predict_proba(WORDS), split.predict_proba([halves(word) for word in WORDS]))
    folder = classifier.save(tmp_path / "saved")
    assert "halves" not in "".join(path.read_text(errors="replace") for path in folder.iterdir())
    loaded = SequenceClassifier.load(folder, tokenize=halves)
    assert np.array_equal(loaded.predict_proba(WORDS), classifier.predict_proba(WORDS))
    with pytest.raises(InvalidArgument, match=r"reads text with a user-defined function: give it as tokenize=$"):
        SequenceClassifier.load(folder)
    with pytest.raises(InvalidArgument, match=r"reads text without a user-defined function: leave out tokenize=$"):
        SequenceClassifier.load(split.save(tmp_path / "split"), tokenize=halves)


@pytest.mark.parametrize(
    ("X", "tokenize", "told"),
    [
        (WORDS, "word", "tokenize must be one of 'auto', 'words', 'characters', not 'word'; did you mean 'words'?"),
        ([list(word) for word in WORDS], "characters", "tokenize='characters' says how to read text, but X holds none"),
        (WORDS, str.split, None),
        (WORDS, len, "tokenize must return a list of strings, but of "),
        (WORDS, str.encode, "tokenize must return a list of strings, but of "),
    ],
)
def test_an_unknown_way_to_read_text(X, tokenize, told):
    if told is None:
        assert fitted(X, tokenize=tokenize).tokenize_ is tokenize
        return
    with pytest.raises(InvalidArgument, match=f"^{re.escape(told)}"):
        fitted(X, tokenize=tokenize)


@pytest.mark.filterwarnings("default::UserWarning")
def test_verbose_says_how_text_was_read(capsys):
    fitted(["good film", "bad"] * 6, verbose=True)
    assert "X is read as words (3 different ones)\n" in capsys.readouterr().err
    fitted(["good film", "bad"] * 6)
    assert capsys.readouterr() == ("", "")


def test_an_unknown_symbol_is_named_once():
    classifier = fitted(["good film", "bad"] * 6, validation_fraction=0)
    told = "2 symbols were not in the training and count as unknown: 'dull', 'odd' (50.0% of all steps)"
    with pytest.warns(UserWarning, match=f"^{re.escape(told)}$") as caught:
        classifier.predict(["odd film", "good dull"])
    assert caught[0].filename == __file__
    classifier.predict(["odd film", "dull"])
    with pytest.warns(UserWarning, match=r"^1 symbol was not in the training and counts as unknown: 'new' ") as caught:
        classifier.score(["odd new", "bad"], LABELS[:2])
    assert caught[0].filename == __file__
    # Rare symbols are unknown because that was requested.
    fitted(["good film", "bad"] * 6, max_vocabulary=2).predict(["odd"])


@pytest.mark.parametrize("as_array", [False, True])
def test_a_table_of_text_and_numbers_is_refused_in_one_line(as_array):
    table = pd.DataFrame({"height": [1.0, 2.0], "name": ["ab", "ba"]})
    named = "column 1" if as_array else "column 'name'"
    message = f"X must hold numbers or text, not both, but {named} holds 'ab': give the column of text alone, or leave"
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        SequenceClassifier().fit(table.to_numpy() if as_array else table, ["x", "y"])
