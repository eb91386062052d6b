"""The states of many sequences, seen from where they differ most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks, plots
from myrnn.errors import InvalidArgument
from myrnn.inspection._given import compiled_of, main_state, many_sequences, name_of, observations

COLORS = ("step", "class", "symbol")


@dataclass(frozen=True, repr=False, eq=False)
class StateSpace:
    """A state of many sequences in its first two principal components.

    P points (every step of every sequence, or the last ones), D units of the state.

    Attributes
    ----------
    state : str
        Which state.
    coordinates : ndarray, float64 (P, 2)
        The points in the two components.
    components : ndarray, float64 (2, D)
        The two directions, of length 1; the entry that is largest in size is positive.
    center : ndarray, float64 (D,)
        The mean of all points, where both coordinates are 0.
    explained : ndarray, float64 (2,)
        The share of the variance along each direction.
    sequence, step, label : ndarray, int64 (P,)
        Of each point: the number of its sequence, the steps done (from 1) and the class of its sequence.
    symbol : ndarray, int64 (P,), or None
        The symbol that was read last, where the sequences are tokens.
    class_names : tuple of str or None
    name : str
        The class of the model.
    """

    state: str
    coordinates: NDArray[np.float64]
    components: NDArray[np.float64]
    center: NDArray[np.float64]
    explained: NDArray[np.float64]
    sequence: NDArray[np.int64]
    step: NDArray[np.int64]
    label: NDArray[np.int64]
    symbol: NDArray[np.int64] | None
    class_names: tuple[str, ...] | None
    name: str

    def __len__(self) -> int:
        """Return the number of points, P."""
        return len(self.coordinates)

    def __repr__(self) -> str:
        """Say how much of the variance the two components hold."""
        return (
            f"StateSpace({self.name}, state {self.state}, {len(self):,} points, "
            f"two components explain {self.explained.sum():.0%} of the variance)"
        )

    def transform(self, states: ArrayLike) -> NDArray[np.float64]:
        """Return the coordinates (N, 2) of other states of the same kind, (N, D)."""
        given = _checks.array("states", states)
        if given.ndim != 2 or given.shape[1] != len(self.center):
            raise InvalidArgument(f"states must be of shape (N, {len(self.center)}), not {given.shape}")
        return (given.astype(np.float64) - self.center) @ self.components.T

    def plot(self, ax: Any = None, *, color: str = "step") -> Any:
        """Draw the points and return the matplotlib axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        color : {"step", "class", "symbol"}
            What the points are coloured by.
        """
        groups = {"step": self.step, "class": self.label, "symbol": self.symbol}[_checks.one_of("color", color, COLORS)]
        if groups is None:
            raise InvalidArgument('color="symbol" needs sequences of tokens, but these hold features')
        return plots.plot_state_space(
            self.coordinates,
            groups,
            color=color,
            names=self.class_names,
            explained=(float(self.explained[0]), float(self.explained[1])),
            ax=ax,
        )


def state_space(
    model: Any,
    task_or_sequences: Any,
    samples: int = 300,
    seed: int = 0,
    *,
    state: str | None = None,
    last: bool = False,
) -> StateSpace:
    """Gather the states of many sequences and find the two directions in which they differ most.

    The model and its gradients are not changed.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.inspect`.
    task_or_sequences : Task, Sequences or iterable of (x, y)
        Draws the sequences, or holds them.
    samples, seed : int
        How many sequences to draw, and what seeds the drawing.
    state : str, optional
        Which state; by default the one that the logits are computed from.
    last : bool
        Whether to take only the state after each sequence's last step, which the logits are computed from.

    Returns
    -------
    StateSpace

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be, the state has less than two units, or it is the same everywhere.
    CompileError
        When the model cannot be compiled: it must keep a state from step to step.

    References
    ----------
    Pearson, "On lines and planes of closest fit to systems of points in space", 1901.
    """
    compiled = compiled_of(model, getattr(task_or_sequences, "dim_input", None))
    names = compiled.state_names
    chosen = main_state(compiled) if state is None else _checks.one_of("state", state, names)
    which = names.index(chosen)
    if compiled.recurrence.state_sizes[which] < 2:
        raise InvalidArgument(f"state {chosen} has one unit, but two principal components need at least two")
    sequences = many_sequences("task_or_sequences", task_or_sequences, samples, seed, compiled)
    points = np.concatenate([seen.states[which][1:] for seen in observations(compiled, sequences)])
    lengths = sequences.lengths
    sequence = np.repeat(np.arange(len(sequences)), lengths)
    step = np.arange(len(points)) - np.repeat(sequences.offsets[:-1], lengths) + 1
    kept = step == lengths[sequence] if last else np.ones(len(points), dtype=bool)
    place = np.arange(len(points))
    if compiled.recurrence.reverse:
        # Such a model reads the last element first.
        place = sequences.offsets[1:][sequence] - step
    center, components, explained = principal_components(points[kept].astype(np.float64), chosen)
    return StateSpace(
        state=chosen,
        coordinates=(points[kept] - center) @ components.T,
        components=components,
        center=center,
        explained=explained,
        sequence=sequence[kept],
        step=step[kept],
        label=sequences.labels[sequence][kept],
        symbol=sequences.values[place][kept].astype(np.int64) if sequences.is_tokens else None,
        class_names=getattr(task_or_sequences, "class_names", None),
        name=name_of(compiled),
    )


def principal_components(
    points: NDArray[np.float64], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre (D,), the first two components (2, D) and their shares of the variance (2,).

    A component may as well point the other way; here its largest entry is positive, so that a figure is always the
    same.
    """
    center = points.mean(axis=0)
    _, scales, directions = np.linalg.svd(points - center, full_matrices=False)
    # Equal points leave nothing but the rounding of their mean.
    if len(points) < 2 or scales[0] <= 1e-7 * max(1.0, float(np.abs(points).max())) * np.sqrt(len(points)):
        raise InvalidArgument(f"state {name} is the same in all {len(points)} points: there is no direction to show")
    components = directions[:2]
    signs = np.sign(components[np.arange(2), np.abs(components).argmax(axis=1)])
    return center, components * signs[:, np.newaxis], scales[:2] ** 2 / (scales**2).sum()
