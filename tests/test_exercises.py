# ruff: noqa: NPY002 - students' code draws from this generator
import re
import signal
import sys
from dataclasses import replace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import relu, softmax
from mygrad.nnet.initializers import uniform

from marks import the_rest_is_long
from myrnn import GRU, LSTM, RNN, dense, tasks
from myrnn._signals import ALARM
from myrnn.errors import InvalidArgument
from myrnn.exercises import ExerciseReport, Finding, check_generate_sequence, check_model
from myrnn.exercises import report as reports
from myrnn.exercises.generator import SETTINGS
from myrnn.exercises.report import few_lines, is_unlikely

EYE = np.eye(10, dtype=np.float32)


def packed(first, second, match):
    sequence = np.concatenate([first, second])
    return EYE[sequence], np.array([match], dtype=np.int16), sequence


def halves(low, high, palindrome):
    """Return a pattern, the half that matches it, and whether this sequence should match."""
    pattern = np.random.randint(0, 10, np.random.randint(low, high + 1))
    return pattern, pattern[::-1] if palindrome else pattern, np.random.rand() < 0.5


def other_than(right):
    drawn = np.random.randint(0, 10, len(right))
    while np.array_equal(drawn, right):
        drawn = np.random.randint(0, 10, len(right))
    return drawn


def right(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    return packed(pattern, partner if match else other_than(partner), match)


def near_misses(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    second = partner.copy()
    if not match:
        second[np.random.randint(len(second))] += np.random.randint(1, 10)
    return packed(pattern, second % 10, match)


RNG = np.random.default_rng()


def plain_python(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    """Build it digit by digit, with a separate generator and another integer type for the digits."""
    size = int(RNG.integers(pattern_length_min, pattern_length_max, endpoint=True))
    first = [int(RNG.integers(10)) for _ in range(size)]
    wanted = first[::-1] if palindrome else first
    second = list(wanted)
    match = RNG.random() < 0.5
    while not match and second == wanted:
        second = [int(RNG.integers(10)) for _ in range(size)]
    x = np.zeros((2 * size, 10), dtype=np.float32)
    for row, digit in zip(x, first + second, strict=True):
        row[digit] = 1
    return x, np.array([1 if match else 0], dtype=np.int16), np.array(first + second, dtype=np.int32)


RIGHT = (right, near_misses, plain_python, tasks.generate_sequence)


@pytest.mark.parametrize("fn", the_rest_is_long(RIGHT, right))
def test_a_right_generator_passes(fn):
    np.random.seed(3)
    report = check_generate_sequence(fn)
    assert report.ok, str(report)
    assert len(report.findings) == 18
    # The check itself draws nothing.
    assert fn in (right, near_misses) or np.random.get_state()[2] == np.random.RandomState(3).get_state()[2]
    assert str(report).startswith(f"{fn.__name__}: all 18 properties hold\n  pass  It can be called")


WRONG_GENERATORS = {}


def wrong(says, detail):
    """Register a wrong answer with the property that it breaks and a pattern of the message about it."""

    def keep(fn):
        WRONG_GENERATORS[fn.__name__] = (fn, says, detail)
        return fn

    return keep


@wrong("Every length within the bounds is drawn", "none of 4,000 sequences has length 20. Does the range leave out its")
def longest_pattern_never_drawn(low=1, high=10, palindrome=False, **bounds):
    low, high = bounds.get("pattern_length_min", low), bounds.get("pattern_length_max", high)
    return right(low, max(low, high - 1), palindrome)


@wrong("Every length within the bounds is drawn", r"\d\d\.\d% of the sequences have length 2, not 10.0%")
def short_ones_too_often(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    high = np.random.randint(pattern_length_min, pattern_length_max + 1)
    return right(pattern_length_min, high, palindrome)


@wrong("Every length lies within the bounds", "pattern_length_min=3, pattern_length_max=5 lengths are 6 to 10, but")
def bounds_ignored(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    return right(1, 10, palindrome)


@wrong("Every length lies within the bounds", "lengths are 2 to 20, but there is one of length 22")
def one_too_long(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    return right(pattern_length_min, pattern_length_max + 1, palindrome)


@wrong("y is 1 exactly where the second half", r"^(\d.*) \1 is labelled 0, but the halves are the same")
def negatives_that_match_by_chance(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    return packed(pattern, partner if match else np.random.randint(0, 10, len(pattern)), match)


@wrong("y is 1 exactly where the second half", "is labelled [01], but the halves")
def labels_now_and_then_untrue(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    x, y, sequence = right(pattern_length_min, pattern_length_max, palindrome)
    return x, y ^ np.int16(np.random.rand() < 0.005), sequence


@wrong("y is 1 exactly where the second half", "is labelled [01], but the halves")
def labels_the_other_way_round(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    x, y, sequence = right(pattern_length_min, pattern_length_max, palindrome)
    return x, 1 - y, sequence


@wrong("y is 1 exactly where the second half", "is labelled 1, but the halves differ")
def label_of_the_first_digits_alone(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    x, _, sequence = right(pattern_length_min, pattern_length_max, palindrome)
    return x, np.array([sequence[0] == sequence[len(sequence) // 2]], dtype=np.int16), sequence


@wrong("With palindrome=True, y is 1 exactly", r"(\d)( \d)+ \1 is labelled 0, but it reads the same backwards")
def palindromes_among_the_negatives(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    # The non-match is compared with the pattern, not with the pattern backwards.
    return packed(pattern, partner if match else other_than(pattern), match)


@wrong("With palindrome=True, y is 1 exactly", "is labelled 1, but it does not read the same backwards")
def palindrome_ignored(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    return right(pattern_length_min, pattern_length_max)


@wrong(
    "Half of the sequences match, at every length", r"With the default arguments (59|6\d|)\S*% of .* match, not half"
)
def sixty_to_forty(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, _ = halves(pattern_length_min, pattern_length_max, palindrome)
    match = np.random.rand() < 0.6
    return packed(pattern, partner if match else other_than(partner), match)


@wrong(
    "Half of the sequences match, at every length", r"pattern_length_max=1 5\d\.\d% of 8,000 sequences match, not half"
)
def chance_matches_relabelled(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    second = partner if match else np.random.randint(0, 10, len(pattern))
    return packed(pattern, second, np.array_equal(second, partner))


@wrong("Half of the sequences match, at every length", r"With the default arguments .* match, not half")
def long_ones_never_match(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    match = len(pattern) <= 5
    return packed(pattern, partner if match else other_than(partner), match)


@wrong("Every digit of the pattern is drawn at random", r"^0\.0% of the digits of the first half are 9, not 10%\.$")
def nine_never_drawn(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern = np.random.randint(0, 9, np.random.randint(pattern_length_min, pattern_length_max + 1))
    partner = pattern[::-1] if palindrome else pattern
    match = np.random.rand() < 0.5
    return packed(pattern, partner if match else other_than(partner), match)


@wrong("Every digit of the pattern is drawn at random", r"of the digits of the first half are \d, not 10%")
def even_digits_alone(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern = 2 * np.random.randint(0, 5, np.random.randint(pattern_length_min, pattern_length_max + 1))
    partner = pattern[::-1] if palindrome else pattern
    match = np.random.rand() < 0.5
    return packed(pattern, partner if match else other_than(partner), match)


@wrong("Every digit of the pattern is drawn at random", r"equals the one before it in \d\.\d% of the cases, not 10%")
def no_digit_twice(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    size = np.random.randint(pattern_length_min, pattern_length_max + 1)
    pattern = np.concatenate([np.random.permutation(10), np.random.permutation(10)])[:size]
    partner = pattern[::-1] if palindrome else pattern
    match = np.random.rand() < 0.5
    return packed(pattern, partner if match else other_than(partner), match)


@wrong("Every digit of the pattern is drawn at random", r"^0\.0% of the sequences begin with 0, not 10%\.$")
def never_begins_with_zero(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    x, y, sequence = right(pattern_length_min, pattern_length_max, palindrome)
    while sequence[0] == 0:
        x, y, sequence = right(pattern_length_min, pattern_length_max, palindrome)
    return x, y, sequence


@wrong(
    "A second half that does not match is drawn at random", r"differ from the first half only by \[1\] \(modulo 10\)"
)
def negatives_one_higher(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    pattern, partner, match = halves(pattern_length_min, pattern_length_max, palindrome)
    return packed(pattern, partner if match else (partner + 1) % 10, match)


@wrong("Every call draws a new sequence", r"20 calls gave the same sequence \[.*\]: is a seed set inside\?")
def seeded_inside(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    first = np.random.default_rng(7).integers(0, 10, pattern_length_min)
    return packed(first, first, True)


BUFFER = np.zeros((24, 10), dtype=np.float32)


@wrong(
    "Every call draws a new sequence", "A later call changed the x of an earlier one: make a new array in every call"
)
def one_array_for_all(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    x, y, sequence = right(pattern_length_min, pattern_length_max, palindrome)
    BUFFER[: len(x)] = x
    return BUFFER[: len(x)], y, sequence


@wrong("x has shape (T, 10)", r"x has shape \((\d+), 11\) for \1 digits, which make .* The digits 0 to 9 are ten")
def eleven_columns(**given):
    x, y, sequence = right(**given)
    return np.pad(x, ((0, 0), (0, 1))), y, sequence


@wrong("x has shape (T, 10)", r"x has shape \(10, (\d+)\) for \1 digits")
def transposed(**given):
    x, y, sequence = right(**given)
    return np.ascontiguousarray(x.T), y, sequence


@wrong("x is float32", r"^x is float64\.$")
def x_of_double_precision(**given):
    x, y, sequence = right(**given)
    return x.astype(float), y, sequence


@wrong("Row t of x is the one-hot encoding", r"^Digit 0 of \[.*\] is \d, but row 0 of x is \[[01 ]{19}\]\.$")
def encoded_backwards(**given):
    x, y, sequence = right(**given)
    return x[:, ::-1], y, sequence


@wrong("Row t of x is the one-hot encoding", "but row [0-9]+ of x is")
def second_half_not_encoded(**given):
    x, y, sequence = right(**given)
    x[len(x) // 2 :] = 0
    return x, y, sequence


@wrong("y is int16", r"^y is float64\.$")
def label_of_floats(**given):
    x, y, sequence = right(**given)
    return x, y.astype(float), sequence


@wrong("y has shape (1,)", r"^y has shape \(\): array\([01], dtype=int16\)\.$")
def label_without_axis(**given):
    x, y, sequence = right(**given)
    return x, y.reshape(()), sequence


@wrong("y has shape (1,)", r"^y has shape \(2,\)")
def label_one_hot(**given):
    x, y, sequence = right(**given)
    return x, np.array([1 - y[0], y[0]], dtype=np.int16), sequence


@wrong("y has shape (1,)", r"^y is array\(\[-1\], dtype=int16\)\.$")
def label_minus_one(**given):
    x, y, sequence = right(**given)
    return x, 2 * y - 1, sequence


@wrong("It returns (x, y, sequence)", r"y is (True|False), of type bool, and must be an array")
def label_bare(**given):
    x, y, sequence = right(**given)
    return x, bool(y[0]), sequence


@wrong("It returns (x, y, sequence)", "returned nothing: is the return missing")
def nothing_returned(**given):
    right(**given)


@wrong("It returns (x, y, sequence)", r"returned 2 values, not 3\.")
def sequence_not_returned(**given):
    return right(**given)[:2]


@wrong("sequence holds the T digits", r"sequence is float64 of shape \(\d+,\)\.")
def digits_of_floats(**given):
    x, y, sequence = right(**given)
    return x, y, sequence.astype(float)


@wrong("sequence holds the T digits", r"A sequence has \d+ digits, so it has no two halves")
def middle_digit(**given):
    x, y, sequence = right(**given)
    return x, y, np.append(sequence, 0)


@wrong("sequence holds the T digits", "A sequence holds 10: ")
def ten_is_drawn(**given):
    x, y, sequence = right(**given)
    return x, y, sequence + 1


GROWING = []


@wrong("Every length lies within the bounds", "lengths are 2 to 20, but there is one of length")
def pattern_kept_between_calls(pattern_length_min=1, pattern_length_max=10, palindrome=False):
    GROWING.append(np.random.randint(10))
    pattern = np.array(GROWING[-50:])
    partner = pattern[::-1] if palindrome else pattern
    match = np.random.rand() < 0.5
    return packed(pattern, partner if match else other_than(partner), match)


@wrong(
    "It takes palindrome=True", r"With palindrome=True it raised TypeError: .* unexpected keyword argument 'palindrome'"
)
def palindrome_not_taken(pattern_length_min=1, pattern_length_max=10):
    return right(pattern_length_min, pattern_length_max)


@wrong("It can be called without arguments", "With the default arguments it raised TypeError: .* missing 2 required")
def defaults_missing(pattern_length_min, pattern_length_max, palindrome=False):
    return right(pattern_length_min, pattern_length_max, palindrome)


@wrong(
    "It takes pattern_length_min and pattern_length_max",
    r"With pattern_length_min=1, pattern_length_max=1 it raised ValueError: .* in raises_at_equal_bounds, line \d+: "
    r"size = np.random.randint",
)
def raises_at_equal_bounds(pattern_length_min=1, pattern_length_max=11, palindrome=False):
    size = np.random.randint(pattern_length_min, pattern_length_max)
    return right(size, size, palindrome)


# Properties that do not depend on these mistakes hold.
ALONE = ("x_of_double_precision", "palindromes_among_the_negatives", "chance_matches_relabelled")


# Rare mistakes need all calls of a check; a tenth is enough for the others.
RARE = (
    "longest_pattern_never_drawn",
    "labels_now_and_then_untrue",
    "palindromes_among_the_negatives",
    "sixty_to_forty",
    "chance_matches_relabelled",
)


@pytest.mark.parametrize(
    "name",
    the_rest_is_long(
        WRONG_GENERATORS,
        "palindromes_among_the_negatives",
        "never_begins_with_zero",
        "second_half_not_encoded",
        "digits_of_floats",
    ),
)
def test_a_wrong_generator_gets_a_helpful_message(name, monkeypatch):
    if name not in RARE:
        few = {which: replace(setting, calls=setting.calls // 10) for which, setting in SETTINGS.items()}
        monkeypatch.setattr("myrnn.exercises.generator.SETTINGS", few)
    fn, says, detail = WRONG_GENERATORS[name]
    report = check_generate_sequence(fn)
    assert not report.ok
    found = [finding for finding in report.failed if finding.says.startswith(says)]
    assert found, str(report)
    assert re.search(detail, found[0].detail), found[0].detail
    assert name not in ALONE or len(report.failed) == 1, str(report)


def test_properties_that_depend_on_a_failed_one_are_not_checked():
    report = check_generate_sequence(nothing_returned)
    assert [finding.outcome for finding in report.findings] == ["passed"] * 3 + ["failed"] + ["not checked"] * 14
    assert "1 of 18 properties do not hold, 14 could not be checked yet" in str(report)


@pytest.mark.parametrize("given", [right(), None, 7])
def test_only_a_function_can_be_checked(given):
    with pytest.raises(InvalidArgument, match="fn must be a function, passed without calling it, not "):
        check_generate_sequence(given)


def test_a_count_is_judged_by_its_exact_distribution():
    # With 40 coins, two-sided: 2 * (1 + 40) / 2**40 is below the level, 2 * (1 + 40 + 780 + 9880) / 2**40 above.
    assert is_unlikely(1, 40, 0.5)
    assert is_unlikely(39, 40, 0.5)
    assert not is_unlikely(3, 40, 0.5)
    assert not is_unlikely(37, 40, 0.5)
    assert is_unlikely(0, 4000, 0.1)
    assert not is_unlikely(0, 10, 0.1)


MODEL = """
class Student:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)
        # more layers

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters
"""
START, STEP = "h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)", "+ self.fc_h2h(h))"
LOOP, RETURN = "for x_t in x:", "return self.fc_h2y(h)"
ALL = "self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters"
MORE = "# more layers"


def student(*changes):
    """Return the class with some of its source changed."""
    source = MODEL
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    names = {"np": np, "mg": mg, "relu": relu, "softmax": softmax, "dense": dense, "uniform": uniform}
    exec(compile(source, "<answer>", "exec"), names)
    return names["Student"]


RIGHT_MODELS = {
    "as asked": [],
    "a bias in the hidden layer, too": [(", bias=False", "")],
    "a list of parameters": [(f"return {ALL}", f"return list({ALL})")],
    "tanh": [("relu(self", "mg.tanh(self")],
    "a tensor as first state": [(START, "h = mg.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)")],
    "counted steps": [(LOOP, "for t in range(len(x)):\n            x_t = x[t]")],
    "all states kept": [(LOOP, "states = []\n        for x_t in x:\n            states.append(h)")],
    "states of all steps scored, the last returned": [(RETURN, "return self.fc_h2y(mg.concatenate([h, h]))[-1:]")],
    "two layers": [
        (MORE, "self.fc_g2h = dense(dim_recurrent, dim_recurrent)"),
        (STEP, "+ relu(self.fc_g2h(self.fc_h2h(h))))"),
        (f"return {ALL}", f"return {ALL} + self.fc_g2h.parameters"),
    ],
    # MyGrad computes 1 - z in float64, and a vector next to the bias is not a second bias.
    "a learned leak": [
        (MORE, "self.leak = mg.tensor(np.zeros(dim_recurrent, dtype=np.float32))"),
        ("h = relu(", "h = self.leak * h + (1 - self.leak) * relu("),
        (f"return {ALL}", f"return {ALL} + (self.leak,)"),
    ],
}


@pytest.mark.parametrize("name", RIGHT_MODELS)
def test_a_right_model_passes(name):
    report = check_model(student(*RIGHT_MODELS[name]))
    assert report.ok, str(report)
    assert str(report).startswith("Student: all 18 properties hold")


@pytest.mark.parametrize("cls", [RNN, GRU, LSTM])
def test_library_models_pass(cls):
    report = check_model(cls)
    assert report.ok, str(report)


def test_weights_for_input_and_state_together_pass():
    class Joined:
        def __init__(self, dim_input, dim_recurrent, dim_output):
            self.dim_recurrent = dim_recurrent
            self.fc_xh2h = dense(dim_input + dim_recurrent, dim_recurrent)
            self.fc_h2y = dense(dim_recurrent, dim_output)

        def __call__(self, x):
            h = np.zeros((1, self.dim_recurrent), dtype=np.float32)
            for x_t in x:
                h = relu(self.fc_xh2h(mg.concatenate([h, x_t[np.newaxis]], axis=1)))
            return self.fc_h2y(h)

        @property
        def parameters(self):
            return self.fc_xh2h.parameters + self.fc_h2y.parameters

    assert check_model(Joined).ok, str(check_model(Joined))


WRONG_MODELS = {
    "state detached from the graph": (
        [(STEP, "+ self.fc_h2h(h if isinstance(h, np.ndarray) else h.data))")],
        "The gradient goes back through time",
        "It stops on the way, although the scores depend on the first element",
    ),
    "state detached half way": (
        [(LOOP, "for t, x_t in enumerate(x):\n            h = h.data if t == 3 else h")],
        "The gradient goes back through time",
        "is the state taken out of the graph, by .data",
    ),
    "scores for every step": (
        [
            (LOOP, "states = []\n        " + LOOP),
            (STEP, STEP + "; states.append(h)"),
            ("fc_h2y(h)", "fc_h2y(mg.concatenate(states))"),
        ],
        "A sequence gives one row of scores",
        r"For 20 steps the scores have shape \(20, 2\)\. These are scores for every step",
    ),
    "hidden state returned": (
        [(RETURN, "return h")],
        "A sequence gives one row of scores",
        r"shape \(1, 50\)\. This is a hidden state: the readout W_hy is still to come",
    ),
    "scores without first axis": (
        [(RETURN, "return self.fc_h2y(h)[0]")],
        "A sequence gives one row of scores",
        r"shape \(2,\)\. The hidden state has shape \(1, D\); keep its first axis",
    ),
    "an array returned": (
        [(RETURN, "return self.fc_h2y(h).data")],
        "A sequence gives one row",
        "returns ndarray, not a",
    ),
    "nothing returned": (
        [(RETURN, "self.fc_h2y(h)")],
        "A sequence gives one row",
        r"NoneType, .*Is the return missing\?",
    ),
    "state reset inside the loop": (
        [(LOOP, LOOP + "\n            " + START)],
        "The scores depend on every element",
        "Of 6 elements only the last one matters: is the hidden state carried from step to step",
    ),
    "first element alone": (
        [(LOOP, "for x_t in x[:1]:")],
        "The scores depend on every element",
        "does the loop end too early",
    ),
    "first element left out": (
        [(LOOP, "for x_t in x[1:] if len(x) > 1 else x:")],
        "The scores depend on every element",
        r"Of 6 elements, numbers 0 \(counted from 0\) change nothing",
    ),
    "elements summed up": (
        [
            (
                "h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))",
                "h = h + relu(self.fc_h2h(self.fc_x2h(x_t[np.newaxis])))",
            )
        ],
        "The scores depend on the order",
        "Swapping elements changes nothing",
    ),
    "W_hh made and not used": (
        [(STEP, "+ h)")],
        "A gradient reaches every parameter",
        r"No gradient reaches fc_h2h\.weight: is it used\?",
    ),
    "no W_hh": (
        [(STEP, "+ h)"), (ALL, "self.fc_x2h.parameters + self.fc_h2y.parameters")],
        "The parameters map the input",
        r"No parameter is W_hh, shape \(D, D\) = \(50, 50\)\. There are \(10, 50\)",
    ),
    "a layer missing from parameters": (
        [(ALL, "self.fc_x2h.parameters + self.fc_h2y.parameters")],
        "Every tensor that the scores are computed from",
        r"fc_h2h\.weight is used, but is not in parameters",
    ),
    "a bias missing from parameters": (
        [("return self.fc_x2h.parameters", "return (self.fc_x2h.weight,)")],
        "Every tensor that the scores are computed from",
        r"fc_x2h\.bias is used, but is not in parameters",
    ),
    "a layer twice in parameters": (
        [(ALL, ALL + " + self.fc_h2y.parameters")],
        "parameters is a tuple",
        r"fc_h2y\.weight is in parameters twice: the optimizer would move it twice",
    ),
    "parameters a method": ([("    @property\n", "")], "parameters is a tuple", "is a method: put @property above it"),
    "parameters not joined": (
        [(ALL, "self.fc_x2h.parameters, self.fc_h2h.parameters")],
        "parameters is a tuple",
        r"parameters\[0\] is of type tuple and no tensor: join the layers' tuples with \+",
    ),
    "a bias of None in parameters": (
        [(ALL, "(self.fc_h2h.weight, self.fc_h2h.bias)")],
        "parameters is a tuple",
        r"parameters\[1\] is of type NoneType and no tensor: a layer without a bias has none",
    ),
    "parameters of an iterator": (
        [(f"return {ALL}", f"yield from {ALL}")],
        "parameters is a tuple",
        "is of type generator",
    ),
    "no parameters": (
        [("def parameters", "def weights")],
        "parameters is a tuple",
        "The model has no attribute parameters",
    ),
    "parameters empty": ([(ALL, "()")], "parameters is a tuple", r"^parameters is empty\.$"),
    "parameters constant": (
        [(MORE, "self.fc_h2h.weight = mg.tensor(self.fc_h2h.weight.data, constant=True)")],
        "parameters is a tuple",
        r"parameters\[2\], fc_h2h\.weight, is constant, so it gets no gradient",
    ),
    "double precision": (
        [(MORE, "self.fc_h2h.weight = mg.tensor(self.fc_h2h.weight.data.astype(float))")],
        "Every parameter is float32",
        r"^fc_h2h\.weight is float64\.$",
    ),
    "state of double precision": (
        [(START, "h = np.zeros((1, self.fc_h2h.weight.shape[0]))")],
        "The scores are float32",
        r"They are float64\. Is the hidden state made of zeros with dtype=np\.float32\?",
    ),
    "no activation": (
        [("relu(self", "(self")],
        "The hidden state has an activation",
        "no activation function is applied",
    ),
    "softmax in the model": (
        [(RETURN, "return softmax(self.fc_h2y(h))")],
        "The scores come straight from the hidden state",
        "The scores always sum to 1: return them before softmax",
    ),
    "relu on the scores": (
        [(RETURN, "return relu(self.fc_h2y(h))")],
        "The scores come straight from the hidden state",
        "Something is applied to the scores after h W_hy",
    ),
    "read backwards": (
        [(LOOP, "for x_t in x[::-1]:")],
        "Where the parameters are those of the equations",
        "the equations with the",
    ),
    "state begins with ones": (
        [("np.zeros(", "np.ones(")],
        "Where the parameters are those of the equations",
        "give \\[",
    ),
    "activation before the sum": (
        [(STEP, ") + relu(self.fc_h2h(h))")],
        "Where the parameters are those of the equations",
        r"For the digits \[3, 1, 4, 0, 5, 9\] the scores are \[-?\d\.\d{4}, ",
    ),
    "state kept between calls": (
        [(START, "h = self.h"), (MORE, START.replace("h =", "self.h =", 1)), (RETURN, "self.h = h.data; " + RETURN)],
        "The same sequence gives the same scores",
        r"A second call gave \[.*\] after \[.*\]\. The hidden state begins with zeros in every call",
    ),
    "layers made in every call": (
        [(LOOP, "self.__init__(10, 50, 2)\n        " + LOOP)],
        "The same sequence gives the same scores",
        "the layers are made in __init__ alone",
    ),
    "sequence changed": (
        [(LOOP, "x *= 2\n        " + LOOP)],
        "The same sequence gives the same scores",
        "The model changes its input sequence",
    ),
    "sizes written in": (
        [("dense(dim_recurrent, dim_output)", "dense(dim_recurrent, 2)")],
        "Sizes other than 10, 50 and 2",
        r"With dim_input, dim_recurrent, dim_output = \(6, 17, 4\) the scores have shape \(1, 2\)",
    ),
    "weights between 0 and 1": (
        [
            (
                "self.fc_h2h = dense(dim_recurrent, dim_recurrent",
                "self.fc_h2h = dense(dim_recurrent, dim_recurrent, weight_initializer=uniform",
            )
        ],
        "The first weights are small",
        r"There is a score of size \d+e\+\d+\. The first weights should be small, and some of them negative",
    ),
    "no graph": (
        [
            (
                LOOP,
                "with mg.no_autodiff:\n          h = self.read(x, h)\n        return mg.tensor(self.fc_h2y(h).data)\n\n"
                "    def read(self, x, h):\n        " + LOOP,
            ),
            (RETURN, "return h"),
        ],
        "A gradient reaches every parameter",
        "No parameter gets a gradient: are the scores computed with MyGrad's operations",
    ),
    "an axis forgotten": (
        [("x_t[np.newaxis]", "x_t.T[:, np.newaxis]")],
        "A sequence gives one row of scores",
        r"it raised ValueError: .*, in __call__, line 12$",
    ),
    "arguments in another number": (
        [
            (
                "def __init__(self, dim_input, dim_recurrent, dim_output)",
                "def __init__(self, dim_input, dim_output, dim_recurrent=50, *, seed)",
            )
        ],
        "A model is made from",
        "it raised TypeError: .*seed",
    ),
    "a layer that is not there": (
        [("self.fc_h2y(h)", "self.fc_y(h)")],
        "A sequence gives one row of scores",
        "it raised AttributeError: 'Student' object has no attribute 'fc_y', in __call__, line 13",
    ),
}


SUBTLE = (
    "state detached from the graph",
    "a layer missing from parameters",
    "no activation",
    "softmax in the model",
)


@pytest.mark.parametrize("name", WRONG_MODELS)
def test_a_wrong_model_gets_a_helpful_message(name):
    changes, says, detail = WRONG_MODELS[name]
    report = check_model(student(*changes))
    found = [finding for finding in report.failed if finding.says.startswith(says)]
    assert found, str(report)
    assert re.search(detail, found[0].detail), found[0].detail
    assert name not in SUBTLE or len(report.failed) <= 2, str(report)


def test_weights_shared_by_the_class_are_detected():
    shared = RNN(10, 50, 2)
    cls = student((MORE, "self.fc_h2h = LAYER"))
    cls.__init__.__globals__["LAYER"] = shared.fc_h2h
    assert [finding.detail for finding in check_model(cls).failed if "separate parameters" in finding.says] == [
        "Two models share fc_h2h.weight: make the layers in __init__, as attributes of self."
    ]


@pytest.mark.parametrize(
    ("given", "hint"),
    [(RNN(10, 5, 2), "pass the class itself, RNN"), (lambda x: x, "pass a class"), (3, "pass a class")],
)
def test_only_a_class_can_be_checked(given, hint):
    with pytest.raises(InvalidArgument, match=f"^cls must be a model class, not .*: {hint}$"):
        check_model(given)


def test_a_report_shows_itself_in_a_notebook():
    report = ExerciseReport(
        "fn",
        (Finding("A <b> holds.", "passed"), Finding("So does C.", "failed", "1 < 2"), Finding("D.", "not checked")),
    )
    shown = report._repr_html_()
    assert "A &lt;b&gt; holds." in shown
    assert "1 &lt; 2" in shown
    assert [shown.count(sign) for sign in "✓✗…"] == [1, 1, 1]
    assert str(report) == (
        "fn: 1 of 3 properties do not hold, 1 could not be checked yet\n"
        "  pass  A <b> holds.\n  FAIL  So does C.\n        1 < 2\n    -   D."
    )
    assert repr(report) == str(report)
    assert not report.ok


# The first signal may arrive in a finalizer, which swallows exceptions; another one follows.
SWALLOWED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@SWALLOWED
def test_an_answer_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(reports, "SECONDS", 0.2)
    before = signal.getsignal(ALARM)

    def endless(pattern_length_min=1, pattern_length_max=10, palindrome=False):
        while True:
            pass

    report = check_generate_sequence(endless)
    first = report.findings[0]
    assert first.outcome == "failed"
    assert re.fullmatch(
        r"With the default arguments it was still running after 0.2 s, in endless, "
        r"line \d+: (while True:|pass)\. Does a loop never end\?",
        first.detail,
    )
    assert not any(finding.outcome == "passed" for finding in report.findings)
    assert signal.getsignal(ALARM) == before


@SWALLOWED
def test_a_model_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(reports, "SECONDS", 0.2)
    report = check_model(student((LOOP, "while True:\n            x_t = x[0]")))
    failed = {finding.says: finding.detail for finding in report.failed}
    assert "still running after 0.2 s" in failed["A sequence gives one row of scores, a tensor of shape (1, K)."]


def test_an_answer_that_exits_is_a_failed_line():
    def leaves(pattern_length_min=1, pattern_length_max=10, palindrome=False):
        sys.exit("enough")

    assert "it raised SystemExit: enough, in leaves" in check_generate_sequence(leaves).findings[0].detail


def test_the_user_can_still_interrupt():
    def interrupted(pattern_length_min=1, pattern_length_max=10, palindrome=False):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_generate_sequence(interrupted)


def test_the_first_of_many_lines_are_shown(capsys):
    def talks(pattern_length_min=1, pattern_length_max=10, palindrome=False):
        print("drawing")

    assert len(check_generate_sequence(talks).failed) == 1
    assert capsys.readouterr().out == "drawing\n" * 20 + "... (the rest of the output is left out)\n"


def test_the_beginning_of_a_long_line_is_shown(capsys):
    with few_lines(3, 5):
        for _ in range(9):
            print(".", end="", flush=True)
    assert capsys.readouterr().out == "........ (the rest of the output is left out)\n"
    with few_lines(3, 5):
        print("1\n2", end="\n")
    assert capsys.readouterr().out == "1\n2\n"
