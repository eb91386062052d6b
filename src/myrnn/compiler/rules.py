"""The rules for all of MyGrad's operations, by MyGrad's class."""

from __future__ import annotations

from typing import Any

from myrnn.compiler.layers import LAYERS
from myrnn.compiler.lower import ELEMENTWISE, PRODUCTS, REDUCTIONS, SHAPES
from myrnn.compiler.writes import READ_OR_WRITE

RULES: dict[str, Any] = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **PRODUCTS, **LAYERS, **READ_OR_WRITE}
"""MyGrad's class -> rule."""

_LOSS = "Return logits: training computes the loss"
INSTEAD = {
    "BatchNorm": "Normalise over the features, by `mean` and `var`",
    **dict.fromkeys(("FocalLoss", "MarginRanking", "MulticlassHinge", "SoftmaxCrossEntropy"), _LOSS),
}
"""What to write instead of an operation that has no rule."""
