"""Time against sequence length, recurrent units and batch: the plot, and the slopes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.measure import Measurement

Series = dict[str, tuple[list[float], list[float]]]

# The varying size, its axis, and the power with which the time should grow.
AXES = {
    "T": ("steps T  (D 50, batch 1)", 1),
    "D": ("recurrent units D  (T 20, batch 1)", 2),
    "B": ("batch B  (T 20, D 128)", 1),
}

INK, MUTED = "#1f5fa8", "#8a8a8a"


def series_of(results: dict[str, Measurement]) -> Series:
    """Return sizes and milliseconds per iteration by letter, from units with names like "T 16"."""
    series: Series = {}
    for name, result in results.items():
        letter, size = name.split()
        if not result.problem and result.seconds:
            sizes, times = series.setdefault(letter, ([], []))
            sizes.append(float(size))
            times.append(1e3 * result.per_iteration)
    return series


def slope(sizes: list[float], times: list[float]) -> float:
    """Return the power of the size with which the time grows, over the three largest sizes."""
    return float(np.polyfit(np.log(sizes[-3:]), np.log(times[-3:]), 1)[0])


def plain_ticks(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2 and 5 times a power of ten from just below `low` to just above `high`."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [tick for tick in ticks if low / 2 <= tick <= high * 2]


def plot(series: Series, path: Path) -> None:
    """Draw one panel per letter, both axes logarithmic, with the expected power as a dotted line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(series), figsize=(4.2 * len(series), 3.8), squeeze=False, layout="constrained"
    )
    for panel, (letter, (sizes, times)) in zip(panels[0], series.items(), strict=True):
        label, power = AXES[letter]
        wanted = times[-1] * (np.array(sizes) / sizes[-1]) ** power
        panel.loglog(sizes, wanted, ":", color=MUTED, label="linear" if power == 1 else "quadratic")
        title = f"slope {slope(sizes, times):.2f}" if len(sizes) >= 3 else "too few points"
        panel.loglog(sizes, times, "o-", color=INK, label="measured")
        panel.set(xlabel=label, title=title)
        panel.set_xticks(sizes, [f"{size:g}" for size in sizes])
        panel.minorticks_off()
        ticks = plain_ticks(min(times), max(times))
        panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
    panels[0][0].set_ylabel("ms an iteration")
    figure.suptitle("Time of an iteration of MyRNN, simple RNN (slope over the three largest sizes)", fontsize=11)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)
