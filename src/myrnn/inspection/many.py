"""Many sequences: how far back the gradient of the loss reaches, and the main directions of the states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks, results
from myrnn.compiler import CompiledModel
from myrnn.compiler.native import Observation
from myrnn.compiler.reference import input_width
from myrnn.errors import InvalidArgument, NotFinite
from myrnn.evaluation.classify import as_tested, drawn_or_given
from myrnn.inspection.one import compiled_of, main_state, norms, shown_states
from myrnn.models.model import network_of, parameters_of
from myrnn.sequences import Sequences

Curves = dict[str, NDArray[np.float64]]
# The band around the mean; it contains eight of ten sequences.
QUANTILES = (0.1, 0.9)


def _compiled_with_sequences(model: Any, given: Any, samples: int, seed: int) -> tuple[CompiledModel, Sequences]:
    """Draw sequences from a task, or take the given ones, without empty sequences; compile the model for them."""
    name, width = "task_or_sequences", _width_of(model, given)
    drawn = drawn_or_given(name, given, samples, seed, dim_input=width)
    if drawn.dim_input != width:
        raise InvalidArgument(
            f"{name} has sequences of {_checks.count_of(drawn.dim_input, 'input')}, but the model takes {width}"
        )
    kept = drawn.select(drawn.lengths > 0)
    if not len(kept):
        raise InvalidArgument(f"{name} holds no sequence of at least one step")
    kept.check_labels()
    compiled = compiled_of(model, width, int(kept.lengths.max()))
    if kept.labels.max() >= compiled.dim_output:
        raise InvalidArgument(
            f"{name} has a label {kept.labels.max()}, but the model has {compiled.dim_output} classes, "
            f"0 .. {compiled.dim_output - 1}"
        )
    return compiled, kept


def _width_of(model: Any, given: Any) -> int:
    """Return the number of inputs of a model; one that does not say it takes those of the given sequences."""
    if isinstance(model, CompiledModel):
        return model.dim_input
    parameters = parameters_of(model)
    width = getattr(model, "dim_input", None) or getattr(given, "dim_input", None)
    return input_width(model, parameters) if width is None else int(width)


def _observations(compiled: CompiledModel, sequences: Sequences) -> Iterator[Observation]:
    """Run each sequence with its own label for the loss and observe it; the model is checked once for all."""
    compiled.guard.check_use(sequences, gradients=True)
    native = compiled.native(observed=True)
    parameters = compiled.numbers_for(native)
    for i in range(len(sequences)):
        # The program takes features. All of them at once may need too much memory.
        one = Sequences.from_pairs([(sequences.features(i), int(sequences.labels[i]))])
        yield native.observe(one, 0, parameters)


# The flow of the gradient ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class GradientFlow(results.Result):
    """The norm of the loss's gradient with respect to the states, by distance from the last step.

    A norm of exactly zero (all units are switched off, or the loss has rounded to zero) has no logarithm: `zeros` has
    their share, and mean and quantiles are those of the others, NaN if there are none.

    Attributes
    ----------
    distance : ndarray, int64 (L,)
        Steps between a state and the last one of its loop: 0, 1 and so on. A loop that runs backwards ends at the first
        row.
    count : ndarray, int64 (L,)
        The number of sequences that are long enough.
    mean : dict of str to ndarray, float64 (L,)
        The geometric mean of the norm for every state of `Inspection`.
    low, high : dict of str to ndarray, float64 (L,)
        The 10 % and the 90 % quantile.
    zeros : dict of str to ndarray, float64 (L,)
        The share of norms that are zero.
    relative : bool
        Whether every norm was divided by that of all these states together after the last steps of their loops.
    name : str
        The class of the model.

    Examples
    --------
    >>> from myrnn import RNN, gradient_flow, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> flow = gradient_flow(RNN(task.dim_input, 8, task.dim_output, rng=0), task, samples=20)
    >>> flow.distance, flow.mean["h"].shape
    (array([0, 1, 2, 3]), (4,))
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
        """Show the gradients of every state at the largest distance."""
        ends = ", ".join(f"{name} {_decades(mean)}" for name, mean in self.mean.items())
        count, back = _checks.count_of(self.count[0], "sequence"), _checks.count_of(self.distance[-1], "step")
        return f"GradientFlow({self.name}, {count}, up to {back} back: {ends})"

    def table(self) -> results.Table:
        """Return one row for every state and distance: state, distance, count, mean, low, high, zeros."""
        states = list(self.mean)
        columns: dict[str, Any] = {
            "state": np.repeat(states, len(self.distance)),
            "distance": np.tile(self.distance, len(states)),
            "count": np.tile(self.count, len(states)),
        }
        curves = ("mean", "low", "high", "zeros")
        columns |= {name: np.concatenate(list(getattr(self, name).values())) for name in curves}
        shown = [results.text("state"), results.integer("distance"), results.integer("count")]
        return results.Table(repr(self), columns, [*shown, *(results.number(name, ".3g") for name in curves)])


def gradient_flow(
    model: Any, task_or_sequences: Any, samples: int = 1000, seed: int = 0, *, relative: bool = False
) -> GradientFlow:
    """Measure the norm of the loss's gradient at every distance from the end, over many sequences.

    The loss is that of the true classes. The model and its gradients are not changed.

    Parameters
    ----------
    model : callable or CompiledModel
        As for `myrnn.inspect`.
    task_or_sequences : Task, Sequences or iterable of (x, y)
        Draws the sequences, or holds them.
    samples, seed : int
        The number of sequences to draw, and the seed of the draws.
    relative : bool
        Whether to divide by the norm after the last step of the same sequence. This shows how much is lost or gained on
        the way, independent of the size of the loss. Sequences whose gradient is zero or not finite there are left out.

    Returns
    -------
    GradientFlow

    Raises
    ------
    InvalidArgument
        When an argument is invalid.
    CompileError
        When the model cannot be compiled: it must keep a state from step to step.
    NotFinite
        When the gradient is not finite on any of the sequences.

    Examples
    --------
    >>> from myrnn import RNN, gradient_flow, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> flow = gradient_flow(model, task, samples=50)
    >>> flow.distance
    array([0, 1, 2, 3])
    """
    model, task_or_sequences = as_tested(model, task_or_sequences)
    compiled, sequences = _compiled_with_sequences(model, task_or_sequences, samples, seed)
    names = shown_states(compiled)
    places = [compiled.state_names.index(name) for name in names]
    # One row per sequence, the last step first; NaN for sequences that are too short.
    table = np.full((len(names), len(sequences), int(sequences.lengths.max())), np.nan)
    for i, seen in enumerate(_observations(compiled, sequences)):
        for state, place in enumerate(places):
            gradients = seen.state_gradients[place]
            table[state, i, : len(gradients) - 1] = norms(gradients[:0:-1])
    last = np.sqrt((table[:, :, 0] ** 2).sum(axis=0))
    is_finite = np.isfinite(last)
    if not is_finite.any():
        raise NotFinite("the loss's gradient is not finite on any sequence: the network's numbers overflow")
    if relative:
        known = is_finite & (last > 0)
        table = table[:, known] / last[known, np.newaxis]
        if not table.shape[1]:
            what = "zero" if is_finite.all() else "zero or not finite"
            raise InvalidArgument(f"the loss's gradient is {what} on every sequence, so nothing can be relative to it")
    return _summarized(table, names, relative, type(network_of(compiled.model)).__name__)


def _summarized(table: NDArray[np.float64], names: tuple[str, ...], relative: bool, model: str) -> GradientFlow:
    """Summarize norms of shape (states, sequences, L) as curves."""
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


# The space of the states ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class StateSpace(results.Result):
    """A state of many sequences in its first two principal components.

    P points (every step of every sequence, or only the last ones), D units of the state.

    Attributes
    ----------
    state : str
        The name of the state.
    coordinates : ndarray, float64 (P, 2)
        The points in the two components.
    components : ndarray, float64 (2, D)
        The two directions, of length 1; the largest entry by magnitude is positive.
    center : ndarray, float64 (D,)
        The mean of all points, the origin of the coordinates.
    explained : ndarray, float64 (2,)
        The share of the variance along each direction.
    sequence, step, label : ndarray, int64 (P,)
        For each point: the number of its sequence, the number of steps read (from 1) and the class of its sequence.
    symbol : ndarray, int64 (P,), or None
        The last symbol read, if the sequences are tokens.
    class_names : tuple of str or None
    name : str
        The class of the model.
    symbol_names : tuple of str or None
        The names of the symbols; by default their numbers.

    Examples
    --------
    >>> from myrnn import RNN, state_space, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> space = state_space(RNN(task.dim_input, 8, task.dim_output, rng=0), task, samples=20)
    >>> space.coordinates.shape == (len(space), 2), space.components.shape
    (True, (2, 8))
    >>> list(space.rows()[0])
    ['sequence', 'step', 'class', 'symbol', 'component 1', 'component 2']
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
    symbol_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Return the number of points, P."""
        return len(self.coordinates)

    def __repr__(self) -> str:
        """Show the variance explained by the two components."""
        return (
            f"StateSpace({self.name}, state {self.state}, {_checks.count_of(len(self), 'point')}, "
            f"two components explain {self.explained.sum():.0%} of the variance)"
        )

    def table(self) -> results.Table:
        """Return a row for each component: its number, and its share of the variance as ``explained``."""
        columns = {"component": [1, 2], "explained": self.explained}
        shown = (results.integer("component"), results.share("explained", "variance, %"))
        return results.Table(repr(self), columns, shown)

    def data(self) -> results.Table:
        """Return a row for each point: sequence, step, class, for tokens symbol, and the two coordinates."""
        columns: dict[str, Any] = {"sequence": self.sequence, "step": self.step, "class": self.label}
        if self.symbol is not None:
            columns["symbol"] = self.symbol
        columns |= {f"component {number}": self.coordinates[:, number - 1] for number in (1, 2)}
        return results.Table("Points", columns)


def state_space(
    model: Any,
    task_or_sequences: Any,
    samples: int = 300,
    seed: int = 0,
    *,
    state: str | None = None,
    last: bool = False,
) -> StateSpace:
    """Collect the states of many sequences and find the two directions in which they vary most.

    The model and its gradients are not changed.

    Parameters
    ----------
    model, task_or_sequences, samples, seed
        As for `gradient_flow`.
    state : str, optional
        The name of the state; by default the one that the logits are computed from, see `Inspection`.
    last : bool
        Whether to take only the state after the last step of each sequence.

    Returns
    -------
    StateSpace

    Raises
    ------
    InvalidArgument
        When an argument is invalid, the state has less than two units, or it is constant.
    CompileError
        When the model cannot be compiled: it must keep a state from step to step.

    References
    ----------
    Pearson, "On lines and planes of closest fit to systems of points in space", 1901.

    Examples
    --------
    >>> from myrnn import RNN, state_space, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> space = state_space(model, task, samples=50, last=True)
    >>> space.coordinates.shape
    (50, 2)
    """
    model, task_or_sequences = as_tested(model, task_or_sequences)
    compiled, sequences = _compiled_with_sequences(model, task_or_sequences, samples, seed)
    names = compiled.state_names
    chosen = main_state(compiled) if state is None else _checks.one_of("state", state, names)
    which = names.index(chosen)
    if compiled.recurrence.state_sizes[which] < 2:
        raise InvalidArgument(f"state {chosen} has one unit, but two principal components need at least two")
    points = np.concatenate([seen.states[which][1:] for seen in _observations(compiled, sequences)])
    lengths = sequences.lengths
    sequence = sequences.owners
    step = np.arange(len(points)) - np.repeat(sequences.offsets[:-1], lengths) + 1
    kept = step == lengths[sequence] if last else np.ones(len(points), dtype=bool)
    place = np.arange(len(points))
    if compiled.recurrence.goes_backward[which]:
        # Such a loop reads the last element first.
        place = sequences.offsets[1:][sequence] - step
    center, components, explained = _principal_components(points[kept].astype(np.float64), chosen)
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
        symbol_names=getattr(task_or_sequences, "symbol_names", None),
        name=type(network_of(compiled.model)).__name__,
    )


def _principal_components(
    points: NDArray[np.float64], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre (D,), the first two components (2, D) and their shares of the variance (2,)."""
    # The sign of a component is arbitrary; its largest entry is made positive so that figures are reproducible.
    center = points.mean(axis=0)
    _, scales, directions = np.linalg.svd(points - center, full_matrices=False)
    # For equal points, only the rounding error of their mean remains.
    if len(points) < 2 or scales[0] <= 1e-7 * max(1.0, float(np.abs(points).max())) * np.sqrt(len(points)):
        raise InvalidArgument(f"state {name} is the same in all {len(points)} points: there is no direction to show")
    components = directions[:2]
    signs = np.sign(components[np.arange(2), np.abs(components).argmax(axis=1)])
    return center, components * signs[:, np.newaxis], scales[:2] ** 2 / (scales**2).sum()
