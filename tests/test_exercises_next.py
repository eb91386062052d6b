# ruff: noqa: NPY002 - students' code draws from this generator
"""The exercises of the lesson's second part: right answers pass, and wrong ones get a helpful message."""

import re

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import softmax

from myrnn import Stacked, dense
from myrnn.errors import InvalidArgument
from myrnn.exercises import (
    answers,
    check_draw_symbol,
    check_model,
    check_naive_forecast,
    check_next_symbols,
    check_step_model,
)
from myrnn.exercises.report import Checklist


def assert_message(report, says, detail):
    """Check that the property that begins with `says` does not hold, and its message."""
    found = [finding for finding in report.failed if finding.says.startswith(says)]
    assert found, str(report)
    assert re.search(detail, found[0].detail), found[0].detail


# The next symbols ----------------------------------------------------------------------------------------------------


def in_place(tokens):
    x, y = tokens[:-1].copy(), tokens[1:].copy()
    tokens[:] = 0
    return x, y


RIGHT_SYMBOLS = {
    "answers": answers.next_symbols,
    "views": lambda tokens: (tokens[:-1], tokens[1:]),
    "a list of two": lambda tokens: [tokens[:-1], tokens[1:]],
    "another type": lambda tokens: (tokens[:-1].astype(np.int16), tokens[1:].astype(np.uint8)),
}
ALIKE, NO_ARRAYS = "Of T symbols, x and y have T - 1 each", "It returns (x, y): two arrays"
AFTER = "y[t] is the symbol that comes right after x[t]"
WRONG_SYMBOLS = {
    "nothing": (lambda tokens: None, NO_ARRAYS, r"It returned nothing: is the return missing\?"),
    "one array": (lambda tokens: tokens[1:], NO_ARRAYS, "It returned array"),
    "three": (lambda tokens: (tokens, tokens, tokens), NO_ARRAYS, "It returned 3 values, not 2"),
    "lists": (
        lambda tokens: (list(tokens[:-1]), list(tokens[1:])),
        NO_ARRAYS,
        r"x is \[.* must be an array of integers",
    ),
    "one-hot rows": (lambda tokens: (np.eye(10)[tokens[:-1]], tokens[1:]), NO_ARRAYS, "x is array.* one for each step"),
    "round and round": (
        lambda tokens: (tokens, np.roll(tokens, -1)),
        ALIKE,
        "Of 8 symbols x has 8 and y 8, not 7 each",
    ),
    "unequal": (
        lambda tokens: (tokens, tokens[1:]),
        ALIKE,
        "Of 8 symbols x has 8 and y 7, not 7 each: nothing is known",
    ),
    "repeated": (
        lambda tokens: (tokens[:-1], tokens[:-1]),
        AFTER,
        "y is x itself: the model would only have to repeat",
    ),
    "backwards": (lambda tokens: (tokens[1:], tokens[:-1]), AFTER, "x and y are the other way round"),
    "last one": (
        lambda tokens: (tokens[1:], tokens[1:]),
        "x begins with the first symbol",
        r"For \[3, 1, .* x is \[1, 4",
    ),
    "reversed": (lambda tokens: (tokens[:-1], tokens[:0:-1]), AFTER, r"y is \[6, 2, .*\], not \[1, 4, "),
    "written to": (in_place, "The text stays unchanged", r"\[3, 1, .* became \[0, 0, 0"),
    "an error": (lambda tokens: tokens[0, 1], NO_ARRAYS, "it raised IndexError: too many indices"),
}


@pytest.mark.parametrize("name", RIGHT_SYMBOLS)
def test_right_targets_pass(name):
    report = check_next_symbols(RIGHT_SYMBOLS[name])
    assert report.ok, str(report)


@pytest.mark.parametrize("name", WRONG_SYMBOLS)
def test_wrong_targets_get_a_helpful_message(name):
    fn, says, detail = WRONG_SYMBOLS[name]
    assert_message(check_next_symbols(fn), says, detail)


# Drawing a symbol ----------------------------------------------------------------------------------------------------


def shares_of(scores):
    powers = np.exp(np.asarray(scores, dtype=float) - np.max(scores))
    return powers / powers.sum()


def by_uniform(scores, temperature):
    if temperature == 0:
        return scores.argmax()
    return min(int(np.searchsorted(shares_of(scores / temperature).cumsum(), np.random.rand())), len(scores) - 1)


def with_gumbel(scores, temperature):
    return int(np.argmax(scores + temperature * np.random.gumbel(size=len(scores))))


def choice(scores, shares):
    return int(np.random.choice(len(scores), p=shares))


def unless_cold(draw):
    """Return a draw that is right at temperature 0."""

    def fn(scores, temperature):
        return int(np.argmax(scores)) if temperature == 0 else draw(scores, temperature)

    return fn


def overflowing(scores, temperature):
    with np.errstate(all="ignore"):
        powers = np.exp(np.asarray(scores, dtype=float) / temperature)
        return choice(scores, powers / powers.sum())


def drawn_in_place(scores, temperature):
    scores -= scores.max()
    return by_uniform(scores, temperature)


def seeded(scores, temperature):
    np.random.seed(0)
    return by_uniform(scores, temperature)


SOFTMAX, DIVIDED = "With temperature 1, symbols come as often", "The scores are divided by the temperature"
COLD, INTEGER = "With temperature 0 it is always the largest", "It returns one integer"
WRONG_DRAWS = {
    "nothing": (lambda scores, temperature: None, INTEGER, r"It returned nothing: is the return missing\?"),
    "a share": (
        lambda scores, temperature: float(shares_of(scores)[0]),
        INTEGER,
        "type float, which is not an integer",
    ),
    "all shares": (lambda scores, temperature: shares_of(scores), INTEGER, "type ndarray, which is not an integer"),
    "from 1 on": (
        lambda s, t: by_uniform(s, t) + 1,
        INTEGER,
        r"Of 1 score it drew number 1\.|Of 4 scores it drew number 4",
    ),
    "always the largest": (lambda scores, temperature: int(scores.argmax()), SOFTMAX, "All of 4,000 draws gave 2"),
    "seeded": (seeded, SOFTMAX, "without a seed inside"),
    "all alike": (unless_cold(lambda s, t: np.random.randint(len(s))), SOFTMAX, r"number \d was drawn in 2\d\.\d%"),
    "without exp": (
        unless_cold(lambda s, t: choice(s, (s - s.min() + 1) / (s - s.min() + 1).sum(dtype=float))),
        SOFTMAX,
        r"at temperature 1, number \d was drawn in",
    ),
    "temperature unused": (lambda scores, temperature: by_uniform(scores, 1.0), DIVIDED, r"Is the temperature used\?"),
    "multiplied": (
        unless_cold(lambda s, t: by_uniform(s * t, 1.0)),
        DIVIDED,
        r"Are the scores multiplied by the temperature\?",
    ),
    "shares divided": (
        unless_cold(lambda s, t: choice(s, shares_of(shares_of(s) / t)) if t != 1 else by_uniform(s, t)),
        DIVIDED,
        r"at temperature 0\.5, number \d was drawn in",
    ),
    "cold drawn": (lambda scores, temperature: by_uniform(scores, temperature or 1.0), COLD, "not always 2"),
    "cold divided": (overflowing, COLD, "it raised ValueError|it raised ZeroDivisionError"),
    "overflow": (
        unless_cold(overflowing),
        "Scores may have any size",
        r"it raised an error\. np\.exp overflows there",
    ),
    "written to": (drawn_in_place, "The scores stay unchanged", "became"),
}


@pytest.mark.parametrize("fn", [answers.draw_symbol, by_uniform, with_gumbel], ids=lambda fn: fn.__name__)
def test_right_draws_pass(fn):
    np.random.seed(5)
    report = check_draw_symbol(fn)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", WRONG_DRAWS)
def test_wrong_draws_get_a_helpful_message(name):
    np.random.seed(5)
    fn, says, detail = WRONG_DRAWS[name]
    assert_message(check_draw_symbol(fn), says, detail)


# The naive forecast --------------------------------------------------------------------------------------------------


def in_loop(series, horizon, period=1):
    said = list(series)
    for _ in range(horizon):
        said.append(said[-period])
    return np.array(said[len(series) :])


def shifted_by_horizon(series, horizon, period=1):
    return series[len(series) - horizon :].copy() if horizon <= len(series) else np.resize(series, horizon)


LAST, BEGINS, SHAPE = "Without a period", "With a period the forecast begins", "It returns an array of horizon numbers"
REPEATS = "A horizon longer than a season"
WRONG_FORECASTS = {
    "nothing": (lambda series, horizon, period=1: None, SHAPE, r"It returned nothing: is the return missing\?"),
    "a list": (
        lambda series, horizon, period=1: [series[-1]] * horizon,
        SHAPE,
        r"It returned \[.* which is not an array",
    ),
    "the season alone": (lambda s, horizon, period=1: s[-period:], SHAPE, r"horizon=4, period=1 it returned .* \(1,\)"),
    "no period taken": (lambda series, horizon: in_loop(series, horizon), "It takes series and horizon", "TypeError"),
    "no default": (lambda series, horizon, period: in_loop(series, horizon, period), "It takes series", "TypeError"),
    "period unused": (lambda s, horizon, period=1: in_loop(s, horizon), BEGINS, r"period=3 it returns 5, not 3\."),
    "from the beginning": (
        lambda s, horizon, period=1: np.resize(s[:period], horizon),
        LAST,
        "it returns 9, 9, 9, 9, not 5, 5, 5, 5",
    ),
    "last values": (shifted_by_horizon, LAST, "it returns 2, 3, 6, 5, not 5, 5, 5, 5"),
    "one too early": (
        lambda s, horizon, period=1: np.resize(np.roll(s, 1)[-period:], horizon) if period > 1 else in_loop(s, horizon),
        BEGINS,
        r"After \.\.\. 3, 6, 5 with period=3 it returns 2, not 3",
    ),
    "season backwards": (
        lambda s, horizon, period=1: np.resize(s[-period:][::-1], horizon),
        BEGINS,
        "After .* with period",
    ),
    "then the last": (
        lambda s, horizon, period=1: np.concatenate(
            [s[len(s) - period :][:horizon], np.repeat(s[-1], max(0, horizon - period))]
        ),
        REPEATS,
        r"After \.\.\. 6, 5 with period=2 it returns 6, 5, 5, 5, 5, 5, not 6, 5, 6, 5, 6, 5",
    ),
    "written to": (
        lambda s, horizon, period=1: [in_loop(s, horizon, period), s.sort()][0],
        "The series stays unchanged",
        "became 1, 2",
    ),
}


@pytest.mark.parametrize("fn", [answers.naive_forecast, in_loop], ids=lambda fn: fn.__name__)
def test_right_forecasts_pass(fn):
    report = check_naive_forecast(fn)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", WRONG_FORECASTS)
def test_wrong_forecasts_get_a_helpful_message(name):
    fn, says, detail = WRONG_FORECASTS[name]
    assert_message(check_naive_forecast(fn), says, detail)


@pytest.mark.parametrize("check", [check_next_symbols, check_draw_symbol, check_naive_forecast])
def test_only_a_function_can_be_checked(check):
    with pytest.raises(InvalidArgument, match="fn must be a function, passed without calling it, not 7"):
        check(7)


# A model with scores at every step -----------------------------------------------------------------------------------

MODEL = """
class Student:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)
        self.dim_recurrent = dim_recurrent

    def __call__(self, x):
        h = np.zeros((1, self.dim_recurrent), dtype=np.float32)
        scores = []
        for x_t in x:
            h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
            scores.append(self.fc_h2y(h))
        return mg.concatenate(scores)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters
"""
LOOP, APPEND, RETURN = "for x_t in x:", "scores.append(self.fc_h2y(h))", "return mg.concatenate(scores)"
UPDATE = "h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))"


def student(*changes):
    """Return the class with some of its source changed."""
    source = MODEL
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    names = {"np": np, "mg": mg, "softmax": softmax, "dense": dense}
    exec(compile(source, "<answer>", "exec"), names)
    return names["Student"]


RIGHT_MODELS = {
    "as asked": [],
    "relu": [("mg.tanh", "mg.nnet.activations.relu")],
    "states first": [(APPEND, "scores.append(h)"), (RETURN, "return self.fc_h2y(mg.concatenate(scores))")],
}
ROWS, ALONE = "A sequence gives a row of scores for every step", "Row t of the scores equals the scores after"
WRONG_MODELS = {
    "the last step alone": (
        [(RETURN, "return scores[-1]")],
        ROWS,
        r"have shape \(1, 2\)\. These are the scores of one",
    ),
    "a list": ([(RETURN, "return scores")], ROWS, r"returns list, not a mygrad\.Tensor\. Join the rows of the list"),
    "nothing": ([(RETURN, "mg.concatenate(scores)")], ROWS, r"returns NoneType.* Is the return missing\?"),
    "stacked": ([(RETURN, "return mg.stack(scores)")], ROWS, r"shape \(20, 1, 2\)\. mg\.stack adds an axis"),
    "side by side": (
        [(RETURN, "return mg.concatenate(scores, axis=1)")],
        ROWS,
        r"\(1, 40\)\. The rows are side by side",
    ),
    "hidden states": ([(APPEND, "scores.append(h)")], ROWS, r"\(20, 50\)\. These are hidden states"),
    "the empty state, too": (
        [("scores = []", "scores = [self.fc_h2y(h)]")],
        ROWS,
        r"\(21, 2\)\. Are the scores of the empty",
    ),
    "taken before": (
        [(f"{UPDATE}\n            {APPEND}", f"{APPEND}\n            {UPDATE}")],
        "Row t of the scores depends on element t",
        "append the scores after the new state",
    ),
    "the same for all": (
        [(RETURN, "return mg.concatenate([scores[-1] for _ in scores])")],
        ALONE,
        "All rows are the same",
    ),
    "last ones first": (
        [(RETURN, "return mg.concatenate(scores[::-1])")],
        "The scores depend on every",
        "only the first",
    ),
    "later ones, too": (
        [(RETURN, "return mg.concatenate([score + scores[-1] for score in scores])")],
        ALONE,
        r"row \d is \[.*\], but for the first \d of them alone .* Does a score depend on what comes later\?",
    ),
    "state not carried": (
        [(UPDATE, "h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(0 * h))")],
        "The scores depend on every element",
        "Of 6 elements only the last one matters",
    ),
    "softmax": ([(RETURN, "return softmax(mg.concatenate(scores))")], "The scores come straight", "return them before"),
    "state detached": (
        [(UPDATE, UPDATE.replace("fc_h2h(h)", "fc_h2h(np.asarray(h))"))],
        "The gradient goes back",
        "stops on",
    ),
    "no call": ([("def __call__", "def scored")], ROWS, "'Student' object is not callable"),
}


@pytest.mark.parametrize("name", RIGHT_MODELS)
def test_a_right_model_passes(name):
    report = check_step_model(student(*RIGHT_MODELS[name]))
    assert report.ok, str(report)
    assert str(report).startswith("Student: all 20 properties hold")


@pytest.mark.parametrize("name", WRONG_MODELS)
def test_a_wrong_model_gets_a_helpful_message(name):
    changes, says, detail = WRONG_MODELS[name]
    assert_message(check_step_model(student(*changes)), says, detail)


def test_a_model_for_sequences_fails_the_check_for_steps_and_vice_versa():
    assert check_step_model(student((RETURN, "return scores[-1]"))).failed
    assert check_model(student()).failed[0].says.startswith("A sequence gives one row of scores")
    with pytest.raises(InvalidArgument, match="cls must be a model class"):
        check_step_model(Stacked(10, 5, 2, per_step=True))


def test_dependencies_on_a_replaced_property_move_to_the_new_one():
    first = Checklist()
    one = first("One.")(lambda answer: None)
    first("Two.", one)(lambda answer: None)
    other = first.replacing(one, "Another.", lambda answer: ["no"])
    assert [finding.outcome for finding in first.run("x", 0).findings] == ["passed", "passed"]
    assert [(found.says, found.outcome) for found in other.run("x", 0).findings] == [
        ("Another.", "failed"),
        ("Two.", "not checked"),
    ]
