"""Forecasts of series with trends and seasons: differences, intervals of the level, and warnings.

The networks here are known functions, so that every number is, too.
"""

import csv
import io
import pickle
import re
from statistics import NormalDist

import mygrad as mg
import numpy as np
import pandas as pd
import pytest

from myrnn import SequenceForecaster, forecast
from myrnn.cli import main
from myrnn.data import Differences, TargetEncoder, flat_sequences
from myrnn.errors import InvalidArgument
from myrnn.estimators import Forecast
from myrnn.experiment import Experiment

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=400)
TIME = np.arange(400)
# Noise around a line, a season of 12 steps, and a random walk with drift.
LINE, SEASON, WALK = 0.1 * TIME + NOISE, 5 * np.sin(TIME * np.pi / 6), np.cumsum(0.5 + NOISE)
DIFFERENCES = [(1, None), (2, None), (0, 12), (1, 12), (2, 3)]
OFF = re.escape("outside of the numbers that were learned")


class Constant:
    """A network whose outputs are a constant, whatever it reads; in standard deviations, 0 is the mean."""

    value = 0.0

    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.parameters = (mg.tensor(np.ones((dim_input, dim_output), dtype=np.float32)),)

    def __call__(self, x):
        return mg.matmul(x, self.parameters[0]) * np.float32(0) + np.float32(self.value)


class Biased(Constant):
    value = 3.0


def fitted(series, cell=Constant, **settings):
    return SequenceForecaster(
        cell, engine="mygrad", max_epochs=1, truncate=None, validation_fraction=0, random_state=0, **settings
    ).fit(series)


def refused(message):
    return pytest.raises(InvalidArgument, match=re.escape(message))


def changes(rows, order, period):
    """Return the differences of a series by NumPy."""
    rows = np.diff(rows, order, axis=0)
    return rows if period is None else rows[period:] - rows[:-period]


# --- differences


@pytest.mark.parametrize(("order", "period"), DIFFERENCES)
def test_differences_add_up_to_the_series_again(order, period):
    parts = [RNG.normal(size=(length, 2)) for length in (40, 0, 3, 17)]
    raw, differences = flat_sequences(parts, "numbers"), Differences(order, period)
    found = differences.of(raw)
    each = [changes(part, order, period) if len(part) > differences.undefined_rows else part[:0] for part in parts]
    assert np.allclose(found.rows, np.concatenate(each)) and np.diff(found.offsets).tolist() == list(map(len, each))
    # The next row is the next difference, added to what is known.
    without = np.split(differences.next_without(raw), found.offsets[1:-1])
    for part, known, change in zip(parts, without, each, strict=True):
        assert np.allclose(known[:-1] + change[1:], part[differences.undefined_rows + 1 :])
    rest = np.stack([each[0][-10:], each[0][-10:] + 1], axis=1)
    paths = differences.continued(parts[0][:-10], rest)
    assert np.allclose(paths[:, 0], parts[0][-10:])
    assert np.allclose(changes(np.concatenate([parts[0][:-10], paths[:, 1]]), order, period)[-10:], rest[:, 1])


def test_no_differences_are_the_series_itself():
    raw = flat_sequences([LINE])
    none = Differences()
    assert none.of(raw) is raw and not none.next_without(raw).any()
    assert none.continued(LINE[:, np.newaxis], np.ones((2, 3, 1))).tolist() == np.ones((2, 3, 1)).tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"difference": 3}, "difference must be at most 2, not 3"),
        ({"difference": -1}, "difference must be at least 0, not -1"),
        ({"difference": True}, "difference must be an integer, not True"),
        ({"period": 1}, "period must be at least 2, not 1"),
        ({"period": 390}, "X holds no series of 392 steps or more: there is nothing to predict"),
    ],
)
def test_differences_that_cannot_be(settings, message):
    with refused(message):
        SequenceForecaster(**settings).fit(LINE[:391])


def test_differences_are_for_series():
    for name, value in (("difference", 1), ("period", 7)):
        with refused(f"{name} is for series, not for text: leave it out"):
            Experiment(data={"file": "a.txt", "learn": "text", name: value})
    for wrong in ({"order": 1}, {"order": 1, "period": None, "more": 2}, [1, 2], {"order": "1", "period": None}):
        settings = {"learn": "series", "per_step": True, "inner": None, "differences": wrong}
        encoder = fitted(LINE, difference=1).encoder_
        with pytest.raises(InvalidArgument):
            TargetEncoder.from_settings(settings, encoder)


# --- the level


@pytest.mark.parametrize(("order", "period"), DIFFERENCES)
def test_a_forecaster_of_differences_works_on_the_level(order, period, tmp_path):
    series = LINE + SEASON
    lost = order + (period or 0)
    model = fitted(series, difference=order, period=period)
    mean = changes(series, order, period).mean()
    # What a constant change means for the next row, from the rows before it.
    said = np.full(400, np.nan)
    for step in range(lost, 400):
        trial = np.append(series[: step + 1], 0)
        said[step] = mean - changes(trial, order, period)[-1]
    assert np.allclose(model.predict(series), said, equal_nan=True)
    truth, guessed = series[lost + 1 :], said[lost:-1]
    r2 = 1 - np.square(truth - guessed).sum() / np.square(truth - truth.mean()).sum()
    assert model.score(series) == pytest.approx(r2)
    known = list(series)
    for _ in range(15):
        trial = np.array([*known, 0.0])
        known.append(mean - changes(trial, order, period)[-1])
    for one in (
        model,
        pickle.loads(pickle.dumps(model)),
        SequenceForecaster.load(model.save(tmp_path / "run"), Constant),
    ):
        assert np.allclose(one.forecast(series, 15), known[400:])
        report = one.report(series, period=12)
        assert report.r2 == pytest.approx(r2) and report.counts["rows"] == len(truth)
        assert report.naive == "the value 12 steps before" and report.naive_rows == min(388, len(truth))
        assert (one.difference, one.period) == (order, period)


def test_differences_of_several_columns_and_several_series():
    both = pd.DataFrame({"line": LINE, "walk": WALK})
    model = fitted(both, difference=1)
    mean = both.diff().mean().to_numpy()
    assert np.allclose(model.forecast(both, 3), both.to_numpy()[-1] + np.outer([1, 2, 3], mean))
    found = forecast(model, both, 3, paths=9)
    assert found.paths.shape == (9, 3, 2) and found.low.shape == (3, 2) and found.columns == ("line", "walk")
    several = fitted([LINE[:50], WALK[:9], LINE[:1]], difference=1)
    said = several.predict([LINE[:50], LINE[:1]])
    assert [len(one) for one in said] == [50, 1] and np.isnan(said[0]).sum() == 1 and np.isnan(said[1]).all()
    assert several.report([LINE[:50], LINE[:1], WALK[:9]]).counts["rows"] == 48 + 7


def test_a_series_that_is_too_short_for_its_differences():
    model = fitted(WALK, difference=1, period=4)
    with refused("series has 5 rows, but with the differences of the network at least 6"):
        model.forecast(WALK[:5], 2)
    assert model.forecast(WALK[:6], 2).shape == (2,)
    assert forecast(model, WALK[:6], 2, paths=9).paths.shape == (9, 2)
    short = fitted(WALK[:9], difference=1, period=4)
    with refused(
        "intervals need 5 errors of one step, but there are 3 of the series and 3 of the training: give a longer "
        "series; with paths=0 there are no intervals"
    ):
        forecast(short, WALK[:9], 2)
    for use in (model.score, model.report):
        with refused("X holds no series of 7 steps or more: there is nothing to predict"):
            use(WALK[:6])
    with refused("period=400 has no forecast to compare with: no series is long enough"):
        model.report(WALK, period=400)


# --- intervals


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_share_of_the_paths_in_an_interval_is_its_level(level):
    model = fitted(WALK, difference=1)
    found = forecast(model, WALK, 6, level=level, paths=200)
    assert found.paths.shape == (200, 6)
    # Some paths are equal.
    rest, slack = (1 - level) / 2, 1 / 200
    for strictly, at_most in (
        (found.paths < found.low, found.paths <= found.low),
        (found.paths > found.high, found.paths >= found.high),
    ):
        assert (strictly.mean(axis=0) <= rest + slack).all() and (at_most.mean(axis=0) >= rest - slack).all()
    # A random walk of these steps: the deviation grows with the root of the horizon.
    expected = np.diff(WALK).std() * np.sqrt(np.arange(1, 7))
    assert np.allclose(found.paths.std(axis=0), expected, rtol=0.15)
    assert np.allclose(found.paths.mean(axis=0), found.mean, atol=0.2 * expected)
    assert forecast(model, WALK, 6, paths=0).paths is None


@pytest.mark.filterwarnings(f"ignore:.*{OFF}")
def test_the_paths_of_a_biased_network_lie_around_its_mean():
    model = fitted(NOISE, Biased)
    found = forecast(model, NOISE, 5, paths=200)
    assert np.allclose(found.mean, NOISE.mean() + 3 * NOISE.std())
    assert ((found.low < found.mean) & (found.mean < found.high)).all()
    assert np.allclose(found.paths.mean(axis=0), found.mean, atol=0.3)


class Slow(Constant):
    """A network that predicts a constant series only after it has read 90 steps of it."""

    def __call__(self, x):
        missing = np.maximum(1 - np.arange(len(x)) / 90, 0).astype(np.float32)[:, np.newaxis]
        return mg.matmul(x, self.parameters[0]) * np.float32(0) - 50 * missing


@pytest.mark.filterwarnings(f"ignore:.*{OFF}")
def test_errors_before_a_network_has_read_enough_are_not_drawn():
    series = np.full(400, 7.0)
    found = forecast(fitted(series, Slow), series, 5, paths=200)
    assert found.low.tolist() == found.mean.tolist() == found.high.tolist() == [7.0] * 5
    # Neither are they among those of the training.
    assert forecast(fitted(series, Slow), series[:9], 1, paths=50).paths.std() < 1e-6


@pytest.mark.filterwarnings(f"ignore:.*{OFF}")
@pytest.mark.parametrize("rows", [1, 3, 5, 10, 40, 400])
def test_the_intervals_after_a_few_rows_have_their_level(rows, tmp_path):
    model = fitted(NOISE)
    model = SequenceForecaster.load(model.save(tmp_path / "run"), Constant)
    later, inside = NormalDist(NOISE.mean(), NOISE.std()), []
    for seed in range(15):
        history = np.random.default_rng(seed).normal(later.mean, later.stdev, rows)
        found = forecast(model, history, 1, paths=80, seed=seed)
        inside.append(later.cdf(found.high[0]) - later.cdf(found.low[0]))
    assert 0.86 < np.mean(inside) < 0.94


@pytest.mark.filterwarnings(f"ignore:.*{OFF}")
def test_errors_are_enlarged_by_those_of_held_out_rows():
    # What follows the learned rows is noisier.
    series = np.concatenate((NOISE[:300], 3 * NOISE[300:]))
    settings = {"engine": "mygrad", "max_epochs": 1, "truncate": None, "validation_fraction": 0.25}
    model = SequenceForecaster(Constant, **settings, random_state=0).fit(series)
    deviations = [
        forecast(model, rows, 1, paths=300).paths.std() for rows in (series[:300], series[300:], 9 * NOISE, NOISE / 9)
    ]
    # It is at most as much as the network's own errors grew, and never if those of the series are as large already.
    noise = NOISE.std()
    assert np.allclose(deviations, [3 * noise, 3 * noise, 9 * noise, noise / 3], rtol=0.15)


@pytest.mark.parametrize(
    ("mean", "spread", "shown"),
    [
        (1e9, 0.5, ["1000000000.000", "1000000000.200", "1000000000.400"]),
        (12_345, 1_000, ["12345", "12745", "13145"]),
        (0, 2, ["0.000", "0.800", "1.600"]),
        (2e20, 1e19, ["2e+20", "2.04e+20", "2.08e+20"]),
        (0, 0, ["0", "0", "0"]),
    ],
)
def test_a_table_shows_how_the_steps_of_a_forecast_differ(mean, spread, shown):
    rows = mean + spread * np.arange(0, 1, 0.4)
    found = Forecast(rows, rows, None, None, level=0.9, members=1)
    assert found.table().cells("mean") == shown


def test_errors_of_consecutive_steps_stay_together():
    # The changes of noise cancel: its level has the same deviation at every step ahead, up to that of the last row.
    found = forecast(fitted(NOISE, difference=1), NOISE, 12, paths=200)
    deviation = found.paths.std(axis=0)
    assert np.allclose(deviation, np.sqrt(2) * NOISE.std(), rtol=0.2)


def test_networks_of_different_differences_forecast_together():
    members = [fitted(WALK, difference=1), fitted(WALK, period=12)]
    found = forecast(members, WALK, 4, paths=20)
    assert np.allclose(found.mean, np.mean([member.forecast(WALK, 4) for member in members], axis=0))
    assert found.paths.shape == (20, 4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (lambda rng: np.cumsum(0.3 + rng.normal(size=612)), {"difference": 1}),
        (
            lambda rng: 0.05 * np.arange(612) + 10 * np.sin(np.arange(612) * np.pi / 6) + rng.normal(size=612),
            {"difference": 1},
        ),
    ],
    ids=["a random walk with drift", "a trend and a season"],
)
def test_intervals_of_the_level_have_their_nominal_coverage(make, settings):
    inside = {0.8: [], 0.9: []}
    for seed in range(12):
        series = make(np.random.default_rng(seed))
        model = SequenceForecaster(
            dim_recurrent=8, learning_rate=0.01, batch_size=8, max_epochs=20, random_state=seed, **settings
        ).fit(series[:600])
        paths = forecast(model, series[:600], 12, paths=500).paths
        for level, found in inside.items():
            low, high = np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0)
            found.append((low <= series[600:]) & (series[600:] <= high))
    for level, found in inside.items():
        assert level - 0.15 < np.mean(found) <= 1


# --- warnings


@pytest.mark.parametrize(
    ("series", "settings", "message"),
    [
        (LINE, {}, "the series has a trend (+39.82 in all"),
        (-LINE + SEASON, {}, "difference=1 learns changes instead"),
        ([LINE, -LINE], {}, "the series has a trend"),
        (np.stack([NOISE, LINE], axis=1), {}, "column 1 of the series has a trend"),
        (LINE**2, {"difference": 1}, None),
        (TIME**2.0 + NOISE, {"difference": 1}, "the differences of the series have a trend"),
        (TIME**3.0, {"difference": 2}, "does not follow one beyond what it learned$"),
        (LINE + SEASON, {"difference": 1}, None),
        (LINE + SEASON, {"period": 12}, None),
        (SEASON, {}, None),
        (NOISE, {}, None),
        (LINE[:20], {}, None),
        (np.full(50, 0.1), {}, None),
    ],
)
def test_a_trend_is_named(series, settings, message):
    if message is None:
        fitted(series, **settings)
    else:
        pattern = re.escape(message.removesuffix("$")) + "$" * message.endswith("$")
        with pytest.warns(UserWarning, match=pattern):
            fitted(series, **settings)


@pytest.mark.parametrize("shift", [-9, 9])
def test_numbers_that_were_not_learned_are_named(shift):
    model = fitted(NOISE)
    assert len(forecast(model, NOISE, 3, paths=0)) == 3
    # A new largest number is not yet another world.
    model.predict(np.append(NOISE, NOISE.max() * 1.1))
    moved = np.append(NOISE[:300], NOISE[300:] + shift)
    ends = f"({NOISE.min():.3f} to {NOISE.max():.3f})"
    message = rf"100 of 400 steps of the series are {OFF} {re.escape(ends)}, the farthest .*: predictions mean little"
    for use in (
        model.predict,
        model.score,
        model.report,
        lambda X: model.forecast(X, 3),
        lambda X: forecast(model, X, 3),
    ):
        with pytest.warns(UserWarning, match=message):
            use(moved)
    with pytest.warns(UserWarning, match=f"1 of 3 steps of the series is {OFF} .* in 'b'"):
        fitted(pd.DataFrame({"a": NOISE, "b": NOISE})).predict(pd.DataFrame({"a": [0, 0, 0.0], "b": [0, 30, 0.0]}))
    # At a large offset, the digits that differ are shown.
    far = fitted(1e12 + NOISE)
    ends = f"({1e12 + NOISE.min():.2f} to {1e12 + NOISE.max():.2f})"
    with pytest.warns(UserWarning, match=f"are {OFF} {re.escape(ends)}, the farthest [0-9]+[.][0-9]{{2}}: pred"):
        far.predict(moved + 1e12)
    with pytest.warns(UserWarning, match=re.escape("(5.00000 to 5.00000), the farthest 5.00100: predictions")):
        fitted(np.full(50, 5.0)).predict([5, 5, 5.001])
    # The changes of a shifted series are those that were learned.
    fitted(WALK, difference=1).forecast(WALK + 1000, 3)


def test_a_forecast_that_leaves_what_was_learned_is_named():
    with pytest.warns(UserWarning, match=f"3 of 3 steps of the forecast are {OFF}"):
        fitted(NOISE, type("Far", (Constant,), {"value": 9.0})).forecast(NOISE, 3)


# --- the command


def test_the_command_forecasts_the_level(tmp_path, capsys):
    file, folder = tmp_path / "sales.csv", tmp_path / "run"
    series = LINE + SEASON
    file.write_text("\n".join(["sales", *map(str, series)]))
    options = ["--max-epochs=1", "--dim-recurrent=2", "--engine=mygrad", "--truncate=0", "--quiet"]
    given = [f"--data={file}", "--learn=series", f"--test={file}", "--difference=1", "--period=12", *options]
    assert main(["train", *given, f"--out={folder}"]) == 0
    capsys.readouterr()
    assert main(["forecast", str(folder), "--horizon=24", "--paths=0", "--quiet"]) == 0
    said = [float(row["mean"]) for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    model = SequenceForecaster.load(folder)
    assert (model.difference, model.period) == (1, 12)
    assert np.array_equal(said, model.forecast(series, 24))
