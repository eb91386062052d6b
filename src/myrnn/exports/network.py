"""What every format needs of a trained network: its equations, its weights, and the meaning of inputs and outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler import CompiledModel, compile
from myrnn.data import Differences, Standardizer
from myrnn.data.targets import VALUES
from myrnn.errors import InvalidArgument
from myrnn.experiment import MemorySource
from myrnn.models.model import network_of as network_inside
from myrnn.models.model import parameter_names, parameters_of
from myrnn.models.stacked import CELLS, Stacked
from myrnn.runs import DataReader, Run, load_run
from myrnn.targets import CLASS, NUMBERS


@dataclass(frozen=True)
class Units:
    """The units of numbers outside of the model, which has ``(number - mean) / scale`` of each column.

    Attributes
    ----------
    mean, scale : tuple of float
    columns : tuple of str or None
        The names of the columns.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network, ready to be written.

    Attributes
    ----------
    title : str
        The class of the model, or of its layers, and what it was trained on.
    compiled : CompiledModel
    weights : tuple of ndarray, float32
        All finite, in the order and the shapes of the model's parameters.
    names : tuple of str
        Those of the weights, such as ``fc_h2h.weight``.
    targets : {"a class", "several classes at once", "numbers"}
        What an output is: the logits of classes, or numbers. A model alone with several outputs counts as a classifier.
    predicts_next_input : bool
        Whether an output predicts the next input: the next symbol of a text, or the next row of a series.
    classes : tuple of str
        The names of the classes; empty for numbers.
    symbols : tuple of str or None
        The names of the tokens; None if the model reads numbers, or is given alone.
    inputs, outputs : Units or None
        How the numbers of the data become those of the model.
    differences : Differences
        Those of a series that are learned instead of its rows.
    most_steps : int or None
        The most steps of a sequence, for a model that computes with numbers that are read off its runs step by step;
        None for all others.
    run : Run or None
        Where it comes from; None for a model alone.
    """

    title: str
    compiled: CompiledModel
    weights: tuple[NDArray[np.float32], ...]
    names: tuple[str, ...]
    targets: str = CLASS
    predicts_next_input: bool = False
    classes: tuple[str, ...] = ()
    symbols: tuple[str, ...] | None = None
    inputs: Units | None = None
    outputs: Units | None = None
    differences: Differences = field(default=Differences())
    most_steps: int | None = None
    run: Run | None = None

    @property
    def equations(self) -> str:
        """The recurrence as equations."""
        return str(self.compiled).encode("utf-8", "backslashreplace").decode()

    @property
    def per_step(self) -> bool:
        """Whether there is an output at every step, (T, K), instead of one, (1, K)."""
        return self.compiled.per_step

    @property
    def dim_input(self) -> int:
        """C: the number of symbols or columns."""
        return self.compiled.dim_input

    @property
    def dim_output(self) -> int:
        """K: the number of outputs."""
        return self.compiled.dim_output


def network_of(source: Any) -> TrainedNetwork:
    """Return the network of a model, compiled or not, of a run or its folder, or of a fitted estimator."""
    if isinstance(source, str | os.PathLike):
        source = load_run(source)
    if not isinstance(source, Run | CompiledModel) and not hasattr(source, "parameters"):
        source = _run_of(source)
    if isinstance(source, Run):
        return _of_run(source)
    compiled = source if isinstance(source, CompiledModel) else compile(source, check=False)
    if compiled.dim_output == 1:
        return _network(_name_of(compiled.model), compiled, targets=NUMBERS)
    names = _checks.names("class_names", None, compiled.dim_output)
    return _network(_name_of(compiled.model), compiled, classes=tuple(names))


def _run_of(source: Any) -> Run:
    """Return the run of a fitted estimator."""
    # scikit-learn takes longer to import than everything else.
    from myrnn.estimators.base import SequenceEstimator

    if not isinstance(source, SequenceEstimator):
        raise InvalidArgument(
            "source must be a model with `parameters`, a run or its folder, or a fitted estimator, not "
            f"{_checks.shown(source)}"
        )
    return source.run_


def _network(title: str, compiled: CompiledModel, **known: Any) -> TrainedNetwork:
    """Return a network after a last check that its model still computes what was compiled, with finite weights."""
    parameters, names = parameters_of(compiled.model), parameter_names(compiled.model)
    with np.errstate(over="ignore"):
        weights = tuple(parameter.data.astype(np.float32) for parameter in parameters)
    for name, weight in zip(names, weights, strict=True):
        if not np.isfinite(weight).all():
            raise InvalidArgument(f"the weights must be finite to export them, but {name} holds NaN or infinity")
    guard = compiled.guard
    guard.refuse_looks()
    guard.check_again(compiled.max_length)
    if compiled.recurrence.tables:
        known["most_steps"] = guard.readable(compiled.max_length, max(compiled.max_length, guard.traced))
        guard.know(known["most_steps"])
    shown = tuple(map(_checks.printable, names))
    return TrainedNetwork(_checks.printable(title), compiled, weights, shown, **known)


def _of_run(run: Run) -> TrainedNetwork:
    """Return the network of a run, with what its reader knows."""
    reader, source = run.reader, run.experiment.source
    where = "" if isinstance(source, MemorySource) else f" on {source.name}"
    known: dict[str, Any] = {
        "targets": reader.target_kind.what,
        "predicts_next_input": reader.predicts_next_input,
        "classes": run.class_names,
        "run": run,
    }
    if reader.is_symbols:
        names = reader.symbol_names
        known["symbols"] = tuple(map(str, range(run.compiled.dim_input))) if names is None else tuple(names)
    if isinstance(reader, DataReader):
        known |= _scales_of(reader)
    return _network(f"{_name_of(run.model)}{where}", run.compiled, **known)


def _name_of(model: Any) -> str:
    """Return the class of a model, or of its recurrent layers, such as ``GRU of 2 layers``."""
    inside = network_inside(model)
    if not isinstance(inside, Stacked):
        return type(inside).__name__
    cell = CELLS[inside.cell].model.__name__
    both = " in both directions" if inside.bidirectional else ""
    return f"{cell}{f' of {inside.layers} layers' if inside.layers > 1 else ''}{both}"


def _scales_of(reader: DataReader) -> dict[str, Any]:
    """Return the units of data that are numbers, and the differences of a series."""
    targets = reader.targets
    known: dict[str, Any] = {"differences": targets.differences}
    if isinstance(reader.encoder, Standardizer):
        known["inputs"] = _scale(reader.encoder, reader.columns)
    if isinstance(targets.inner, Standardizer):
        columns = targets.columns if targets.learn == VALUES else reader.columns
        known["outputs"] = _scale(targets.inner, columns)
    return known


def _scale(standardizer: Standardizer, columns: tuple[str, ...] | None) -> Units:
    return Units(standardizer.mean, standardizer.scale, columns)
