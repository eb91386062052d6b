import re

import mygrad as mg
import numpy as np
import pytest

from myrnn import _checks
from myrnn.errors import InvalidArgument, MyRNNError


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def test_an_invalid_argument_is_a_value_error_and_an_error_of_the_library():
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(InvalidArgument, MyRNNError)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_integers_of_any_type_become_int(value):
    number = _checks.integer("n", value, minimum=3, maximum=3)
    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3.0"),
        ("3", "'3'"),
        (None, "None"),
        (True, "True"),
        (np.True_, "np.True_"),
        (np.array([3]), "array([3])"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
    ],
)
def test_a_non_integer_is_refused_in_one_line(value, text):
    with refused(f"n must be an integer, not {text}"):
        _checks.integer("n", value)


def test_an_integer_out_of_bounds_is_refused():
    with refused("n must be at least 1, not 0"):
        _checks.integer("n", 0, minimum=1)
    with refused(f"n must be at most 7, not {2**70}"):
        _checks.integer("n", 2**70, maximum=7)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), mg.tensor(0.5)])
def test_numbers_of_any_type_become_float(value):
    number = _checks.real("rate", value, minimum=0.5, below=0.6, above=0.4)
    assert number == 0.5
    assert type(number) is float


@pytest.mark.parametrize("value", ["0.5", b"1", None, 1j, True, np.False_, [0.5], 10**400])
def test_a_non_number_is_refused(value):
    with refused(f"rate must be a number, not {_checks.shown(value)}"):
        _checks.real("rate", value)


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (np.nan, {}, "rate must be finite, not nan"),
        (-np.inf, {}, "rate must be finite, not -inf"),
        (-1, {"minimum": 0}, "rate must be at least 0, not -1.0"),
        (0, {"above": 0}, "rate must be above 0, not 0.0"),
        (1, {"below": 1}, "rate must be below 1, not 1.0"),
    ],
)
def test_a_number_out_of_bounds_is_refused(value, bounds, message):
    with refused(message):
        _checks.real("rate", value, **bounds)


def test_an_unknown_name_is_refused_with_the_closest_known_name():
    assert _checks.one_of("kind", "tanh", ("relu", "tanh")) == "tanh"
    with refused("kind must be one of 'relu', 'tanh', not 'thanh'; did you mean 'tanh'?"):
        _checks.one_of("kind", "thanh", ("relu", "tanh"))
    with refused("kind must be one of 'relu', 'tanh', not 3"):
        _checks.one_of("kind", 3, ("relu", "tanh"))
    with refused("kind must be one of 'relu', 'tanh', not array(['relu'], dtype='<U4'); did you mean 'relu'?"):
        _checks.one_of("kind", np.array(["relu"]), ("relu", "tanh"))


def test_a_generator_passes_and_a_seed_makes_one():
    rng = np.random.default_rng(0)
    assert _checks.generator("rng", rng) is rng
    assert _checks.generator("rng", 5).random() == np.random.default_rng(5).random()
    assert _checks.generator("rng", np.uint8(5)).random() == np.random.default_rng(5).random()
    assert _checks.generator("rng", None).random() != _checks.generator("rng", None).random()


@pytest.mark.parametrize("value", [-1, True, 0.5, "0", [1, 2]])
def test_an_invalid_seed_is_refused(value):
    with refused(f"rng must be a numpy.random.Generator, a seed of 0 or more, or None, not {value!r}"):
        _checks.generator("rng", value)


def test_a_value_is_shown_in_one_short_line():
    text = _checks.shown(np.arange(10_000).reshape(100, 100))
    assert "\n" not in text
    assert len(text) <= 80
    assert _checks.shown("x" * 100) == "'" + "x" * 76 + "..."


def test_of_many_values_the_first_are_shown():
    assert _checks.first_of(("a", "b")) == "'a', 'b'"
    assert _checks.first_of(list(range(9))) == "0, 1, 2, 3, 4, ..."
    assert _checks.first_of([]) == ""


def test_lists_tensors_and_views_become_arrays():
    np.testing.assert_array_equal(_checks.array("x", [[1, 2], [3, 4]]), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(_checks.array("x", mg.tensor([1.0, 2.0])), [1, 2])
    np.testing.assert_array_equal(_checks.array("x", memoryview(np.arange(6)[::2])), [0, 2, 4])
    with refused("x must be an array, but its items differ in shape"):
        _checks.array("x", [[1, 2], [3]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, ">i4"])
def test_integer_arrays_keep_their_type(dtype):
    given = np.array([0, 7, 3], dtype=dtype)
    assert _checks.integers("n", given, minimum=0, maximum=7) is given


def test_an_empty_list_holds_integers():
    assert len(_checks.integers("n", [], minimum=0, maximum=7)) == 0


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (3, "int64 of shape ()"),
        ([[1], [2]], "int64 of shape (2, 1)"),
        ([1.0, 2.0], "float64 of shape (2,)"),
        ([True, False], "bool of shape (2,)"),
        (["1", "2"], "<U1 of shape (2,)"),
        ([1, 2**70], "object of shape (2,)"),
        (np.array([1], dtype=object), "object of shape (1,)"),
        (np.array([1], dtype="timedelta64[s]"), "timedelta64[s] of shape (1,)"),
        (np.zeros((1, 2), dtype=int).view(np.matrix), "int64 of shape (1, 2)"),
    ],
)
def test_arrays_of_non_integers_are_refused(given, kind):
    with refused(f"n must be integers of shape (N,), not {kind}"):
        _checks.integers("n", given, minimum=0, maximum=7)


def test_integers_out_of_bounds_are_refused_with_their_place():
    with refused("n must be at least 0, but there is -4 at [2]"):
        _checks.integers("n", [0, -1, -4], minimum=0, maximum=7)
    with refused(f"n must be at most 7, but there is {2**63} at [1]"):
        _checks.integers("n", np.array([0, 2**63], dtype=np.uint64), minimum=0, maximum=7)


def test_the_first_value_that_is_not_finite_is_named():
    values = np.array([[0.0, -0.0], [1.0, np.inf], [np.nan, 0.0]], dtype=np.float32)
    _checks.finite("x", values[:1])
    with refused("x must be finite float32, but there is inf at [1, 1]"):
        _checks.finite("x", values)


def test_tensors_become_a_tuple():
    one, two = mg.tensor([1.0]), mg.tensor([2.0])
    assert _checks.tensors("params", iter([one, two])) == (one, two)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (mg.zeros((2, 2)), "params must be a tuple of tensors, not one tensor"),
        (None, "params must be a tuple of tensors, not NoneType"),
        ((), "params is empty: there is nothing to train"),
        ([mg.zeros(2), np.zeros(2)], "params[1] must be a mygrad.Tensor, not ndarray"),
        ({"w": mg.zeros(2)}, "params[0] must be a mygrad.Tensor, not str"),
    ],
)
def test_non_tensors_are_refused(given, message):
    with refused(message):
        _checks.tensors("params", given)
