"""The graph of a model: rolled, or unrolled for one sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.compiler import MYGRAD, CompiledModel, compile, write_equations
from myrnn.graphs._graph import ComputationalGraph
from myrnn.graphs._observed import observe
from myrnn.graphs._read import Shown, read_graph
from myrnn.graphs._rolled import draw_recurrence
from myrnn.models import parameter_names, parameters_of
from myrnn.sequences import Sequences


def recurrence_graph(model: Any, shown: Shown, x: Any, y: Any) -> ComputationalGraph:
    """Draw the recurrence of a model, compiled or not, with the numbers of one sequence where there is one."""
    compiled = model if isinstance(model, CompiledModel) else compile(model)
    equations = write_equations(compiled.recurrence)
    observed = None if x is None else observe(compiled, equations, x, y)
    return ComputationalGraph(*draw_recurrence(compiled, equations, observed, shown))


def sequence_graph(model: Any, names: Mapping[str, Any], shown: Shown, x: Any, y: Any) -> ComputationalGraph:
    """Draw all steps of a model on one sequence, up to the loss where the right class is given."""
    model = model.model if isinstance(model, CompiledModel) else model
    parameters = parameters_of(model)
    sequence, labels = Sequences.from_pairs([(np.asarray(getattr(x, "data", x)), 0 if y is None else y)])[0]
    known = dict(zip(parameter_names(model), parameters, strict=True)) | {"x": sequence}
    with MYGRAD:
        before = [parameter._grad for parameter in parameters]
        try:
            result = known["logits"] = model(sequence)
            if y is not None:
                result = known["loss"] = softmax_crossentropy(result, labels)
            graph = ComputationalGraph(*read_graph(result, {**known, **names}, shown))
            if y is not None:
                result.backward()
        finally:
            for parameter, gradient in zip(parameters, before, strict=True):
                parameter._grad = gradient
    return graph
