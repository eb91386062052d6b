"""JavaScript: how it writes numbers, arrays and calls."""

from __future__ import annotations

import math

import numpy as np

from myrnn.compiler.render.curly import Syntax

_FUNCTIONS = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "power": "pow",
} | {name: name for name in "cbrt cos exp expm1 floor log log1p sin sqrt tanh".split()}  # fmt: skip


def _literal(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    # All digits: JavaScript reads a float64.
    return repr(float(np.float32(value))).removesuffix(".0")


_KEYWORDS = """
abstract arguments async await boolean break byte case catch char class const continue debugger default delete do double
else enum eval export extends false final finally float for function goto if implements import in instanceof int
interface let long native new null of package private protected public return short static super switch synchronized
this throw throws transient true try typeof undefined var void volatile while with yield NaN Infinity Math Array Object
Number String Symbol Float32Array Int32Array Uint8Array RangeError Error atob get set
"""

JAVASCRIPT = Syntax(
    counter="let",
    integer="const",
    number="const",
    literal=_literal,
    pointer=lambda array, index: f"{array}, {index}",
    functions={name: f"Math.{own}" for name, own in _FUNCTIONS.items()},
    runtime="runtime.js",
    reserved=frozenset(_KEYWORDS.split()),
)
