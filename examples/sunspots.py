"""Forecast the number of sunspots month by month: ``python examples/sunspots.py``.

The series has 2,820 monthly means, from 1749 to 1983, and comes with pmdarima (``pip install '.[examples]'``). The
Sun is active about every 11 years, but no two cycles are alike. The last 22 years are held out for the test.

The network is compared with two forecasts that learn nothing: the last value, and the value 132 months before. Each of
them starts at every month of the test and sees only the months before it.

``--choose`` compares settings on the 22 years before the test, with networks that were trained on the years before
those. Most settings differ no more than two seeds do, so this example uses the defaults, except for the size and the
batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _show import CONSOLE, options
from numpy.typing import NDArray
from pmdarima.datasets import load_sunspots
from sklearn.model_selection import ParameterGrid

from myrnn import SequenceForecaster, forecast, plots
from myrnn.learning_curve import LearningCurve

Series = NDArray[np.float64]

FIRST_YEAR = 1749
# In months: the held-out end, a cycle of the Sun, and the horizons of the forecasts.
HELD_OUT, PERIOD, HORIZONS = 264, 132, (1, 6, 12, 24)
LONGEST = max(HORIZONS)
# The fraction of values that the intervals should contain.
LEVEL = 0.9

# What --choose tries: every combination.
CANDIDATES = {"learning_rate": [0.001, 0.003, 0.01], "dim_recurrent": [16, 32, 64]}


def make_forecaster(seed: int) -> SequenceForecaster:
    """Return the forecaster. Its training stops when the error at the end of its series no longer decreases."""
    return SequenceForecaster(
        "gru", dim_recurrent=32, learning_rate=0.003, batch_size=16, truncate=64, random_state=seed
    )


def errors(say: Callable[[Series], Series], series: Series) -> dict[int, float]:
    """Return the RMSE for each horizon, of forecasts from every month of the held-out end.

    `say` receives the series up to a month and returns the next 24 months.
    """
    begins = range(len(series) - HELD_OUT, len(series) - LONGEST + 1)
    missed = np.array([say(series[:begin]) - series[begin : begin + LONGEST] for begin in begins])
    return {months: float(np.sqrt((missed[:, :months] ** 2).mean())) for months in HORIZONS}


def baselines(series: Series) -> dict[str, dict[int, float]]:
    """Return the errors of forecasts that learn nothing."""
    return {
        "last value": errors(lambda known: np.repeat(known[-1], LONGEST), series),
        "132 months before": errors(lambda known: known[-PERIOD:][:LONGEST], series),
    }


def ahead(members: list[SequenceForecaster], series: Series) -> tuple[Series, Series, Series]:
    """Return the forecasts of all networks together for the held-out end, 24 months at a time, and their intervals."""
    begins = range(len(series) - HELD_OUT, len(series), LONGEST)
    parts = [forecast(members, series[:begin], LONGEST, level=LEVEL) for begin in begins]
    mean, low, high = ([getattr(part, name) for part in parts] for name in ("mean", "low", "high"))
    return np.concatenate(mean)[:HELD_OUT], np.concatenate(low)[:HELD_OUT], np.concatenate(high)[:HELD_OUT]


def show(name: str, found: dict[int, float]) -> None:
    """Print the errors of one forecast."""
    shown = "".join(f"{found[months]:8.1f}" for months in HORIZONS)
    CONSOLE.print(f"{name:<32}{shown}", soft_wrap=True)


def draw(members: list[SequenceForecaster], series: Series) -> dict[str, Any]:
    """Return the figures: the learning curve of the first network, and the forecasts next to the true values."""
    mean, low, high = ahead(members, series)
    truth = series[-HELD_OUT:]
    held = np.mean((low <= truth) & (truth <= high))
    CONSOLE.print(f"the {LEVEL:.0%} intervals hold {held:.1%} of the months", soft_wrap=True)
    ax = plots.plot_forecast(
        series[-HELD_OUT - PERIOD :],
        mean,
        begin=PERIOD,
        low=low,
        high=high,
        label=f"forecast, {LONGEST} months at a time",
    )
    first = FIRST_YEAR + (len(series) - HELD_OUT - PERIOD) // 12
    years = range(first + 2 - first % 2, FIRST_YEAR + len(series) // 12 + 1, 4)
    ax.set_xticks([12 * (year - first) + 1 for year in years], list(map(str, years)))
    ax.set_xlabel("year")
    ax.set_ylabel("sunspots")
    return {
        "training": plots.plot_learning_curve(LearningCurve.from_columns(members[0].history_)),
        "forecast": ax,
    }


def choose(series: Series) -> None:
    """Print the errors of each combination of settings at the end of a series, the best first."""
    tried = []
    for given in ParameterGrid(CANDIDATES):
        forecaster = make_forecaster(0).set_params(**given).fit(series[:-HELD_OUT])
        found = errors(lambda known, to=forecaster: to.forecast(known, LONGEST), series)
        tried.append((sum(found.values()), given, found))
    for _, given, found in sorted(tried, key=lambda one: one[0]):
        show(", ".join(f"{name} {value}" for name, value in given.items()), found)


def main(arguments: list[str] | None = None) -> list[dict[int, float]]:
    """Train and test, and return the errors of the network for each seed."""
    given = options(__doc__.splitlines()[0], arguments, seeds=5)
    series = load_sunspots()
    CONSOLE.print(f"{'RMSE by months ahead:':<32}" + "".join(f"{months:8d}" for months in HORIZONS))
    if given.choose:
        choose(series[:-HELD_OUT])
        return []
    for name, found in baselines(series).items():
        show(name, found)
    members, reports = [], []
    for seed in range(given.seeds):
        begin = time.perf_counter()
        members.append(make_forecaster(seed).fit(series[:-HELD_OUT]))
        seconds = time.perf_counter() - begin
        reports.append(errors(lambda known: members[-1].forecast(known, LONGEST), series))
        show(f"seed {seed}, trained in {seconds:.1f} s", reports[-1])
    if given.seeds > 1:
        show(
            f"{given.seeds} networks together",
            errors(lambda known: np.mean([one.forecast(known, LONGEST) for one in members], axis=0), series),
        )
    given.out.mkdir(parents=True, exist_ok=True)
    for kind, figure in draw(members, series).items():
        path = plots.save_figure(figure, given.out / f"{Path(__file__).stem}_{kind}.png")
        CONSOLE.print(f"figure: {path}", soft_wrap=True)
    return reports


if __name__ == "__main__":
    main()
