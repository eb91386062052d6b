"""How far back the gradient reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import plots
from myrnn.errors import InvalidArgument, NotFinite
from myrnn.inspection._given import compiled_of, many_sequences, name_of, norms, observations

Curves = dict[str, NDArray[np.float64]]
# The band that is drawn around the mean: eight of ten sequences lie in it.
QUANTILES = (0.1, 0.9)


@dataclass(frozen=True, repr=False, eq=False)
class GradientFlow:
    """The size of the loss's gradient with respect to the states, by their distance from the last step.

    A norm that is exactly zero (units that are all switched off, a loss that has rounded to zero) has no logarithm:
    `zeros` tells how many there are, mean and quantiles are those of the others, and NaN where there are none.

    Attributes
    ----------
    distance : ndarray, int64 (L,)
        Steps between a state and the last one: 0, 1 and so on.
    count : ndarray, int64 (L,)
        How many sequences reach that far back.
    mean : dict of str to ndarray, float64 (L,)
        The geometric mean of the norm, for every state.
    low, high : dict of str to ndarray, float64 (L,)
        The 10 % and the 90 % quantile.
    zeros : dict of str to ndarray, float64 (L,)
        The share of norms that are zero.
    relative : bool
        Whether every norm was divided by that of all states together after the sequence's last step.
    name : str
        The class of the model.
    """

    distance: NDArray[np.int64]
    count: NDArray[np.int64]
    mean: Curves
    low: Curves
    high: Curves
    zeros: Curves
    relative: bool
    name: str

    def __repr__(self) -> str:
        """Say what the gradients of every state come to at the far end."""
        told = ", ".join(f"{name} {_decades(mean)}" for name, mean in self.mean.items())
        return f"GradientFlow({self.name}, {self.count[0]:,} sequences, up to {self.distance[-1]} steps back: {told})"

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record for every state and distance: state, distance, count, mean, low, high, zeros."""
        return [
            {"state": name, "distance": int(self.distance[i]), "count": int(self.count[i])}
            | {key: float(getattr(self, key)[name][i]) for key in ("mean", "low", "high", "zeros")}
            for name in self.mean
            for i in range(len(self.distance))
        ]

    def plot(self, ax: Any = None, *, label: str | None = None) -> Any:
        """Draw the norms against the distance from the end, on a log axis, and return the matplotlib axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Those of another model's plot, to compare.
        label : str, optional
            The name of the model in the legend.
        """
        curves = {name: (self.mean[name], self.low[name], self.high[name]) for name in self.mean}
        return plots.plot_gradient_flow(self.distance, curves, label=label, relative=self.relative, ax=ax)


def gradient_flow(
    model: Any, task_or_sequences: Any, samples: int = 1000, seed: int = 0, *, relative: bool = False
) -> GradientFlow:
    """Measure how large the loss's gradient is at every distance from the end, over many sequences.

    The loss is that of the true classes. The model and its gradients are not changed.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.inspect`.
    task_or_sequences : Task, Sequences or iterable of (x, y)
        Draws the sequences, or holds them.
    samples, seed : int
        How many sequences to draw, and what seeds the drawing.
    relative : bool
        Whether to divide by the norm after the last step of the same sequence, which tells how much is lost or gained
        on the way, however large the loss is. Sequences whose gradient is zero or not finite there are left out.

    Returns
    -------
    GradientFlow

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be.
    CompileError
        When the model cannot be compiled: it must keep a state from step to step.
    NotFinite
        When the gradient is not finite on any of the sequences.
    """
    compiled = compiled_of(model, getattr(task_or_sequences, "dim_input", None))
    sequences = many_sequences("task_or_sequences", task_or_sequences, samples, seed, compiled)
    names = compiled.state_names
    # One row a sequence, the last step first; NaN where a sequence is too short.
    table = np.full((len(names), len(sequences), int(sequences.lengths.max())), np.nan)
    for i, seen in enumerate(observations(compiled, sequences)):
        for state, gradients in enumerate(seen.state_gradients):
            table[state, i, : len(gradients) - 1] = norms(gradients[:0:-1])
    last = np.sqrt((table[:, :, 0] ** 2).sum(axis=0))
    is_finite = np.isfinite(last)
    if not is_finite.any():
        raise NotFinite(
            "the loss's gradient is not finite on any sequence: the network's numbers grow beyond all bounds"
        )
    if relative:
        known = is_finite & (last > 0)
        table = table[:, known] / last[known, np.newaxis]
        if not table.shape[1]:
            what = "zero" if is_finite.all() else "zero or not finite"
            raise InvalidArgument(f"the loss's gradient is {what} on every sequence, so nothing can be relative to it")
    return _summarized(table, names, relative, name_of(compiled))


def _summarized(table: NDArray[np.float64], names: tuple[str, ...], relative: bool, model: str) -> GradientFlow:
    """Gather norms of shape (states, sequences, L) into curves."""
    count = np.isfinite(table[0]).sum(axis=0)
    reached = int((count > 0).sum())
    mean, low, high, zeros = ({name: np.full(reached, np.nan) for name in names} for _ in range(4))
    for name, values in zip(names, table, strict=True):
        for distance in range(reached):
            column = values[:, distance]
            column = column[np.isfinite(column)]
            logs = np.log(column[column > 0])
            zeros[name][distance] = 1 - len(logs) / len(column)
            if len(logs):
                mean[name][distance] = np.exp(logs.mean())
                low[name][distance], high[name][distance] = np.exp(np.quantile(logs, QUANTILES))
    return GradientFlow(np.arange(reached), count[:reached], mean, low, high, zeros, relative, model)


def _decades(mean: NDArray[np.float64]) -> str:
    known = mean[np.isfinite(mean)]
    return f"{known[0]:.2g} to {known[-1]:.2g}" if len(known) else "all zero"
