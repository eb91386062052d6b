"""How each of MyGrad's operations is written in the compiler's own: one rule for each, by MyGrad's name for it.

The rules stand in a table for each family of operations.
"""

from __future__ import annotations

from myrnn.compiler._lower_elementwise import ELEMENTWISE
from myrnn.compiler._lower_products import PRODUCTS
from myrnn.compiler._lower_reductions import REDUCTIONS
from myrnn.compiler._lower_shapes import SHAPES
from myrnn.compiler._values import Rule

RULES: dict[str, Rule] = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **PRODUCTS}
