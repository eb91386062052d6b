"""Elementary functions of lanes.

The C library's exponentials and logarithms take one number at a time, so a loop that calls them is not vectorized.
These are polynomials and ratios of polynomials, fitted for the least maximal relative error, after range reduction;
their relative error stays below 4e-7. Infinities are handled correctly, and NaN stays NaN in all functions.
"""

from __future__ import annotations

import math

from llvmlite import ir

from myrnn.compiler.runtime import LANES
from myrnn.compiler.runtime.lanes import (
    FLOATS,
    INTEGERS,
    CodeValue,
    Float,
    Lanes,
    call,
    fma,
    instruction,
    shuffle,
    where,
)

_INFINITY, _NAN = math.inf, math.nan
_TINY = 1.17549435e-38


# ---- building blocks ----


def polynomial(x: CodeValue, coefficients: tuple[float, ...]) -> CodeValue:
    """Return c0 + c1 x + c2 x^2 + ..., by Horner's rule."""
    result = x.beside(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = fma(result, x, coefficient)
    return result


def clip(x: CodeValue, least: float, most: float) -> CodeValue:
    """Return `x` cut to at least `least` and at most `most`; NaN stays NaN."""
    x = where(x < least, least, x)
    return where(x > most, most, x)


def bits_of(x: CodeValue) -> CodeValue:
    """Return the bits of floats as integers: the exponent is above the lowest 23."""
    return x.cast("bitcast", INTEGERS)


def of_bits(bits: CodeValue) -> CodeValue:
    """Return the floats with these bits."""
    return bits.cast("bitcast", FLOATS)


# ---- choices ----


@instruction
def relu(x: Lanes) -> Lanes:
    """Return `x` where it is not negative, else 0; NaN stays NaN."""
    return where(x < 0.0, 0.0, x)


@instruction
def absolute(x: Lanes) -> Lanes:
    """Return |x|."""
    return call("fabs", x)


@instruction
def floor(x: Lanes) -> Lanes:
    """Return the largest whole number that is not above `x`."""
    return call("floor", x)


@instruction
def rint(x: Lanes) -> Lanes:
    """Return the nearest whole number; ties go to even."""
    return call("nearbyint", x)


@instruction
def maximum(a: Lanes, b: Lanes) -> Lanes:
    """Return the larger of both, NaN where one of them is."""
    return where(b != b, b, where(a <= b, b, a))


@instruction
def minimum(a: Lanes, b: Lanes) -> Lanes:
    """Return the smaller of both, NaN where one of them is."""
    return where(b != b, b, where(a >= b, b, a))


@instruction
def highest(value: Lanes) -> Float:
    """Return the largest of all lanes, NaN where one of them is."""
    half = LANES // 2
    while half:
        value = maximum(value, shuffle(value, value, [(lane + half) % LANES for lane in range(LANES)]))
        half //= 2
    return CodeValue(value.builder, value.builder.extract_element(value.llvm, ir.Constant(ir.IntType(32), 0)))


@instruction
def above(a: Lanes, b: Lanes) -> Lanes:
    """Return 1 where a > b, else 0."""
    return where(a > b, 1.0, 0.0)


@instruction
def same(a: Lanes, b: Lanes) -> Lanes:
    """Return 1 where a == b, else 0."""
    return where(a == b, 1.0, 0.0)


# ---- exponentials ----

# e^f = 1 + f + f^2 q(f) for |f| <= log(2) / 2; minimax relative error, 3e-9.
_EXP = (1.0, 1.0, 0.49999994, 0.16666521, 0.04166839, 0.00836871, 0.0013814613)
# The float 1.5 * 2^23 + n has n in its lowest bits.
_ROUND, _ROUND_BITS = 12582912.0, 0x4B400000


def _power_of_two(exponent: CodeValue) -> CodeValue:
    """Return 2^exponent for whole exponents from -126 to 127, infinity for 128."""
    return of_bits((exponent + 127) << 23)


def _exp_parts(x: CodeValue, least: float) -> tuple[CodeValue, CodeValue]:
    """Return e^f and n such that e^x = 2^n e^f, n being whole, for `x` clipped to [`least`, 89]."""
    x = clip(x, least, 89.0)
    shifted = fma(x, 1.44269504088896341, _ROUND)
    n = shifted - _ROUND
    # log(2) in two parts, so that the product with the first is exact.
    f = fma(n, -0.693359375, x)
    f = fma(n, 2.12194440054690583e-4, f)
    return polynomial(f, _EXP), bits_of(shifted) - _ROUND_BITS


@instruction
def exp(x: Lanes) -> Lanes:
    """Return e^x, with correct overflow to infinity and underflow to 0."""
    result, n = _exp_parts(x, -104.0)
    # 2^n in two factors: n reaches from -150 to 128, one float's exponent from -126 to 127.
    half = n >> 1
    return result * _power_of_two(half) * _power_of_two(n - half)


@instruction
def sigmoid(x: Lanes) -> Lanes:
    """Return 1 / (1 + e^-x)."""
    result, n = _exp_parts(-x, -87.0)
    return 1.0 / (1.0 + result * _power_of_two(n))


# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 9.02; minimax relative error, 2e-8. Beyond, a float32 tanh is 1.
_TANH_OVER = (1.0, 0.13379666209220886, 0.0034939723554998636, 2.0582432625815272e-05, 1.3317598579476453e-08)
_TANH_UNDER = (1.0, 0.46712982654571533, 0.02587083913385868, 0.0003282989782746881, 7.76141916958295e-07)


@instruction
def tanh(x: Lanes) -> Lanes:
    """Return the hyperbolic tangent."""
    near = clip(x, -9.02, 9.02)
    square = near * near
    return clip(near * polynomial(square, _TANH_OVER) / polynomial(square, _TANH_UNDER), -1.0, 1.0)


@instruction
def expm1(x: Lanes) -> Lanes:
    """Return e^x - 1, accurate for small `x`."""
    return tanh(x * 0.5) * (exp(x) + 1.0)


# ---- logarithms ----

# log(1 + f) = f - f^2 / 2 + f^3 q(f) for 1 + f between the roots of 1/2 and 2; relative error 6e-9.
_LOG = (0.3333333, -0.2500082, 0.20001227, -0.16623357, 0.14201759, -0.13160183, 0.12761575, -0.07634493)
_ROOT_OF_HALF_BITS = 0x3F3504F3


@instruction
def log(x: Lanes) -> Lanes:
    """Return the natural logarithm: n log(2) + log(1 + f); -inf at 0, NaN below."""
    subnormal = x < _TINY
    bits = bits_of(where(subnormal, x * 2.0**23, x))
    # Counted from the root of 1/2, so that 1 + f lies around 1.
    exponent = (bits - _ROOT_OF_HALF_BITS) >> 23
    f = of_bits(bits - (exponent << 23)) - 1.0
    n = exponent.cast("sitofp", FLOATS) - where(subnormal, 23.0, 0.0)
    square = f * f
    rest = square * f * polynomial(f, _LOG)
    rest = fma(n, -2.12194440054690583e-4, rest)
    rest = fma(square, -0.5, rest)
    result = fma(n, 0.693359375, f + rest)
    result = where(x == _INFINITY, x, result)
    result = where(x >= 0.0, result, _NAN)
    return where(x == 0.0, -_INFINITY, result)


@instruction
def log1p(x: Lanes) -> Lanes:
    """Return log(1 + x), accurate for small `x`."""
    # The digits of x that the sum lost are restored by a factor: Goldberg, "What every computer scientist should know
    # about floating-point arithmetic", 1991, theorem 4.
    larger = x + 1.0
    factor = x / (larger - 1.0)
    return where((larger == 1.0) | (x == _INFINITY), x, log(larger) * factor)


# log(1 + y) = y P(y) / Q(y) for 0 <= y <= 1; relative error 1e-9.
_LOG1P_OVER = (1.0, 1.066218, 0.23815724, 0.00341727)
_LOG1P_UNDER = (1.0, 1.5662178, 0.68793577, 0.07528718)


@instruction
def logaddexp(a: Lanes, b: Lanes) -> Lanes:
    """Return log(e^a + e^b), the larger of both and log(1 + e^-|a - b|)."""
    # The difference of two infinities is NaN.
    distance = where(a == b, 0.0, absolute(a - b))
    y = exp(-distance)
    return where(a < b, b, a) + y * polynomial(y, _LOG1P_OVER) / polynomial(y, _LOG1P_UNDER)


# ---- roots and powers ----


@instruction
def sqrt(x: Lanes) -> Lanes:
    """Return the square root."""
    return call("sqrt", x)


@instruction
def power(x: Lanes, exponent: Lanes) -> Lanes:
    """Return ``x ** exponent``, number by number through the C library."""
    return call("pow", x, exponent)


@instruction
def cbrt(x: Lanes) -> Lanes:
    """Return the cube root."""
    size = absolute(x)
    tiny = size < _TINY
    scaled = where(tiny, size * 2.0**24, size)
    # A third of the exponent bits, and of the mantissa, is a close start for Newton's method.
    root = of_bits(bits_of(scaled) // 3 + 0x2A5137A0)
    for _ in range(3):
        root = fma(scaled / (root * root) - root, 1 / 3, root)
    root = where(tiny, root * 2.0**-8, root)
    root = where((size == 0.0) | (size == _INFINITY), size, root)
    return call("copysign", root, x)


# ---- circles ----


@instruction
def sin(x: Lanes) -> Lanes:
    """Return the sine, number by number through the C library."""
    return call("sin", x)


@instruction
def cos(x: Lanes) -> Lanes:
    """Return the cosine, number by number through the C library."""
    return call("cos", x)


@instruction
def sinc(x: Lanes) -> Lanes:
    """Return sin(pi x) / (pi x), and 1 at 0; the sine is computed number by number through the C library."""
    angle = x * math.pi
    return where(x == 0.0, 1.0, sin(angle) / angle)


# The polynomials of the inverse functions are those of Moshier's Cephes library, 1989.
_ARCTAN = (-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2)
_ARCSIN = (1.6666752422e-1, 7.4953002686e-2, 4.5470025998e-2, 2.4181311049e-2, 4.2163199048e-2)


def _odd(x: CodeValue, coefficients: tuple[float, ...]) -> CodeValue:
    """Return x + x^3 (c0 + c1 x^2 + ...)."""
    square = x * x
    return fma(x * square, polynomial(square, coefficients), x)


def _arctan(x: CodeValue) -> CodeValue:
    """Return the angle whose tangent is `x`, for `x` of 0 or more."""
    # By the addition theorem, relative to pi / 2 for angles beyond 3 pi / 8, to pi / 4 beyond pi / 8.
    steep, middle = x > 2.414213562373095, x > 0.4142135623730951
    over = where(steep, -1.0, where(middle, x - 1.0, x))
    under = where(steep, x, where(middle, x + 1.0, 1.0))
    begin = where(steep, math.pi / 2, where(middle, math.pi / 4, 0.0))
    return begin + _odd(over / under, _ARCTAN)


@instruction
def arctan(x: Lanes) -> Lanes:
    """Return the angle whose tangent is `x`."""
    return call("copysign", _arctan(absolute(x)), x)


@instruction
def arctan2(y: Lanes, x: Lanes) -> Lanes:
    """Return the angle of the point (x, y), from -pi to pi."""
    high, wide = absolute(y), absolute(x)
    steep = high > wide
    over, under = where(steep, wide, high), where(steep, high, wide)
    # Both may be zero or infinite: then they have no ratio.
    ratio = over / where(under == 0.0, 1.0, under)
    angle = _arctan(where(over == _INFINITY, 1.0, ratio))
    angle = where(steep, math.pi / 2 - angle, angle)
    is_left = bits_of(x) < 0
    angle = where(is_left, math.pi - angle, angle)
    angle = where((x != x) | (y != y), _NAN, angle)
    return call("copysign", angle, y)


def _arcsin(x: CodeValue) -> tuple[CodeValue, CodeValue]:
    """Return the angle whose sine is `x`, for `x` of 0 or more, and, beyond a half, its difference from pi / 2."""
    far = x > 0.5
    near = _odd(where(far, sqrt(0.5 * (1.0 - x)), x), _ARCSIN)
    rest = near + near
    return where(far, math.pi / 2 - rest, near), rest


@instruction
def arcsin(x: Lanes) -> Lanes:
    """Return the angle whose sine is `x`."""
    angle, _ = _arcsin(absolute(x))
    return call("copysign", angle, x)


@instruction
def arccos(x: Lanes) -> Lanes:
    """Return the angle whose cosine is `x`."""
    size = absolute(x)
    angle, rest = _arcsin(size)
    far = where(x < 0.0, math.pi - rest, rest)
    return where(size > 0.5, far, math.pi / 2 - call("copysign", angle, x))


# ---- inverse hyperbolic functions ----


def _log_of_twice(x: CodeValue) -> CodeValue:
    """Return log(2 x), the inverse hyperbolic function of a number whose square would overflow."""
    return log(x) + math.log(2)


@instruction
def arcsinh(x: Lanes) -> Lanes:
    """Return the inverse of the hyperbolic sine."""
    size = absolute(x)
    root = sqrt(fma(size, size, 1.0))
    near = log1p(size + size * (size / (root + 1.0)))
    return call("copysign", where(size > 1e8, _log_of_twice(size), near), x)


@instruction
def arccosh(x: Lanes) -> Lanes:
    """Return the inverse of the hyperbolic cosine."""
    more = x - 1.0
    near = log1p(more + sqrt(fma(more, more, more + more)))
    result = where(x > 1e8, _log_of_twice(x), near)
    return where(x < 1.0, _NAN, result)


@instruction
def arctanh(x: Lanes) -> Lanes:
    """Return the inverse of the hyperbolic tangent."""
    size = absolute(x)
    return call("copysign", 0.5 * log1p((size + size) / (1.0 - size)), x)
