"""The public functions: the graph of a tensor, a model rolled, or a model unrolled for one sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.compiler import CompiledModel
from myrnn.compiler.equations import write_equations
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.graphs.draw import ComputationalGraph
from myrnn.graphs.read import ShownLines, read_graph
from myrnn.graphs.rolled import draw_recurrence, observe
from myrnn.inspection.one import compiled_of
from myrnn.models.model import parameter_names, parameters_of
from myrnn.sequences import Sequences
from myrnn.targets import CLASS


def build_graph(
    fin: Any,
    names: Mapping[str, Any] | None = None,
    *,
    rolled: bool | None = None,
    x: Any = None,
    y: Any = None,
    render: bool = True,
    save: bool = False,
    dims: bool = True,
    dtypes: bool = False,
    sum_stats: bool = False,
) -> ComputationalGraph | None:
    """Draw a model as its recurrence, or the computational graph that ends in a tensor.

    The recurrence is drawn as one step with states that loop back, the initial states before it, the readout after it,
    and a card for every variable of the model with its equation, shape and number of parameters.

    The graph of a tensor, usually a loss, has every operation of every step, with the steps side by side. Every tensor
    is visited once, so the time is linear in the size of the graph. Build it before ``backward()``, which dismantles
    MyGrad's graph; afterwards the same object also shows the size of each gradient.

    Parameters
    ----------
    fin : mygrad.Tensor, model or CompiledModel
        The tensor that the graph ends in; or a model, ``model(x)`` with ``model.parameters``, compiled or not.
    names : dict of str to object, optional
        The names of things in the graph of a tensor, usually ``locals()``. A tensor or array gets the name under which
        it is found; parameters are also found in objects, as ``model.fc_x2h.weight``, and rows of an array as ``x[3]``.
        A recurrence uses the names of the model's own variables.
    rolled : bool, optional
        Whether to draw one step for all. By default a model is drawn this way, and a tensor is not: its graph is that
        of one sequence. To draw a model unrolled, pass `x`.
    x : array, shape (T, C), optional
        For a model: one sequence. Tooltips then show the range of the values on each card.
    y : int or array of one int, optional
        For a model with `x`: the true class. Tooltips then show the size of the gradients of the softmax cross-entropy.
        The model's own gradients are not changed. For a model with logits at every step, the class of each step, ints
        (T,), with -1 at steps that the loss ignores.
    render : bool, optional
        Whether to return the graph; without it nothing is returned, which is useful with `save`.
    save : bool, optional
        Whether to write ``computational_graph.svg`` in the current folder.
    dims, dtypes, sum_stats : bool, optional
        Whether each node shows its shape; its dtype; its range, median and mean. Tooltips always show them.

    Returns
    -------
    ComputationalGraph or None
        The graph, which a notebook displays. None without `render`.

    Raises
    ------
    InvalidArgument
        `fin` is neither a tensor with a graph nor a model; `names` is not a dictionary; `rolled`, `x` and `y` do not
        fit `fin`.
    CompileError
        The model is to be rolled but is not a recurrence; the message shows the line.

    Examples
    --------
    >>> import mygrad as mg
    >>> x = mg.tensor([3.0, 4.0])
    >>> loss = (x * x).sum()
    >>> graph = build_graph(loss, names=locals())
    >>> graph
    <ComputationalGraph loss: 2 operations, 1 parameter (2 numbers)>
    >>> loss.backward()
    >>> sorted(graph.gradients.values())
    [1.0, 1.4142135623730951, 10.0]
    >>> from myrnn.models import RNN
    >>> build_graph(RNN(dim_input=10, dim_recurrent=16, dim_output=2))
    <ComputationalGraph RNN: state h (16), 466 parameters>
    """
    if names is not None and not isinstance(names, Mapping):
        raise InvalidArgument(
            f"names must be a dictionary from names to tensors, such as locals(), not {type(names).__name__}"
        )
    shown = ShownLines(dims, dtypes, sum_stats)
    if isinstance(fin, mg.Tensor):
        graph = _tensor_graph(fin, names or {}, shown, rolled, x, y)
    else:
        graph = _model_graph(fin, names or {}, shown, rolled is None or rolled, x, y)
    if save:
        graph.save("computational_graph.svg")
    return graph if render else None


def _tensor_graph(
    result: mg.Tensor, names: Mapping[str, Any], shown: ShownLines, rolled: bool | None, x: Any, y: Any
) -> ComputationalGraph:
    if rolled:
        raise InvalidArgument(
            "rolled=True draws the step that a model repeats, which a tensor does not have: pass the model, "
            "build_graph(model), not its output"
        )
    if x is not None or y is not None:
        raise InvalidArgument("x and y are for a model: the graph of a tensor already contains its sequence")
    _need_creator(result)
    return ComputationalGraph(*read_graph(result, names, shown))


def _model_graph(
    model: Any, names: Mapping[str, Any], shown: ShownLines, rolled: bool, x: Any, y: Any
) -> ComputationalGraph:
    if not isinstance(model, CompiledModel) and (not callable(model) or not hasattr(model, "parameters")):
        raise InvalidArgument(f"fin must be a mygrad.Tensor, or a model with `parameters`, not {type(model).__name__}")
    if x is None and y is not None:
        raise InvalidArgument("y is the class of a sequence: pass the sequence too, x=...")
    if rolled:
        return _recurrence_graph(model, shown, x, y)
    if x is None:
        raise InvalidArgument("rolled=False draws all steps of one sequence: pass the sequence, x=...")
    return _sequence_graph(model, names, shown, x, y)


def _need_creator(fin: mg.Tensor) -> None:
    if fin.creator is not None:
        return
    if fin.grad is not None:
        raise InvalidArgument(
            "this tensor has no graph any more: backward() dismantles it. Compute the tensor again, build the graph, "
            "and call backward() afterwards; the graph shows the gradients from then on"
        )
    raise InvalidArgument(
        "this tensor has no graph: it was not computed from other tensors, was computed under mygrad.no_autodiff, "
        "or its graph was cleared. Compute it again without no_autodiff and build the graph before backward()"
    )


def write_graph(model: Any, sequences: Sequences, path: Path) -> None:
    """Write the graph of the loss on the first of `sequences`, or without classes of the logits, as SVG."""
    y: Any
    x, y = sequences[0]
    if sequences.kind.what != CLASS:
        y = None
    elif sequences.per_step and sequences.weights is not None:
        y = np.where(sequences.weights[: len(y)] > 0, y, -1)
    graph = build_graph(model, rolled=False, x=x, y=y)
    assert graph is not None
    graph.save(path)


def write_recurrence(model: Any, path: Path) -> None:
    """Write the step that a model repeats as SVG."""
    graph = build_graph(model)
    assert graph is not None
    graph.save(path)


def _recurrence_graph(model: Any, shown: ShownLines, x: Any, y: Any) -> ComputationalGraph:
    """Draw the recurrence of a model, compiled or not, with the numbers of one sequence if it is given."""
    steps, width = np.shape(getattr(x, "data", x))[:2] if np.ndim(getattr(x, "data", x)) == 2 else (None, None)
    compiled = compiled_of(model, None if hasattr(model, "dim_input") else width, steps)
    equations = write_equations(compiled.recurrence)
    observed = None if x is None else observe(compiled, equations, x, y)
    return ComputationalGraph(*draw_recurrence(compiled, equations, observed, shown))


def _sequence_graph(model: Any, names: Mapping[str, Any], shown: ShownLines, x: Any, y: Any) -> ComputationalGraph:
    """Draw all steps of a model on one sequence, up to the loss if the true class is given."""
    model = model.model if isinstance(model, CompiledModel) else model
    parameters = parameters_of(model)
    values, classes = np.asarray(getattr(x, "data", x)), np.asarray(0 if y is None else y)
    per_step = classes.size > 1 and classes.shape == values.shape[:1]
    counts = np.flatnonzero(classes >= 0) if per_step else np.zeros(0, dtype=np.int64)
    one = Sequences.from_pairs([(values, np.maximum(classes, 0) if per_step else classes)], per_step=per_step)
    if not per_step:
        one.check_labels()
    sequence, labels = one[0]
    known = dict(zip(parameter_names(model), parameters, strict=True)) | {"x": sequence}
    with MYGRAD:
        before = [parameter._grad for parameter in parameters]
        try:
            result = known["logits"] = model(sequence)
            if 0 < len(counts) < len(labels):
                result, labels = result[counts], labels[counts]
                known["answers"] = result
            if y is not None:
                result = known["loss"] = softmax_crossentropy(result, labels)
            graph = ComputationalGraph(*read_graph(result, {**known, **names}, shown))
            if y is not None:
                result.backward()
        finally:
            for parameter, gradient in zip(parameters, before, strict=True):
                parameter._grad = gradient
    return graph
