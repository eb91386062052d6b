"""C99: how it writes numbers, arrays and calls."""

from __future__ import annotations

import math

import numpy as np

from myrnn.compiler.render.curly import Syntax

_FUNCTIONS = {
    "absolute": "fabsf", "arccos": "acosf", "arccosh": "acoshf", "arcsin": "asinf", "arcsinh": "asinhf",
    "arctan": "atanf", "arctan2": "atan2f", "arctanh": "atanhf", "cbrt": "cbrtf", "cos": "cosf", "exp": "expf",
    "expm1": "expm1f", "floor": "floorf", "log": "logf", "log1p": "log1pf", "power": "powf", "rint": "rintf",
    "sin": "sinf", "sqrt": "sqrtf",
}  # fmt: skip


def _literal(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{np.float32(value)!s}f"


# Of C, and of C++.
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Complex
_Imaginary main
alignas alignof and and_eq asm bitand bitor bool catch char16_t char32_t char8_t class co_await co_return co_yield compl
concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export false friend mutable
namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires
static_assert static_cast template this thread_local throw true try typeid typename using virtual wchar_t xor xor_eq
NULL linux unix i386 math_errhandling float_t double_t int8_t int16_t int32_t int64_t
"""

C = Syntax(
    counter="int",
    integer="const int",
    number="const float",
    literal=_literal,
    pointer=lambda array, index: array if index == "0" else f"{array} + {index}",
    functions=_FUNCTIONS,
    runtime="runtime.c",
    # The names of math.h may be macros; y0, y1, yn, j0, j1 and jn are functions in some libraries.
    reserved=frozenset(_KEYWORDS.split())
    | frozenset(_FUNCTIONS)
    | frozenset(_FUNCTIONS.values())
    | frozenset("y0 y1 yn j0 j1 jn gamma signgam NAN INFINITY HUGE_VAL OVERFLOW UNDERFLOW DOMAIN SING PLOSS".split())
    | frozenset(
        "M_E M_LOG2E M_LOG10E M_LN2 M_LN10 M_PI M_PI_2 M_PI_4 M_1_PI M_2_PI M_2_SQRTPI M_SQRT2 M_SQRT1_2".split()
    ),
)
