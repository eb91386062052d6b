"""Functions of lanes, number by number.

The C library's exponentials and logarithms take one number at a time, so a loop that calls them is not vector code.
These are polynomials and ratios of polynomials, fitted for the least largest relative error, of an argument brought
close to zero before; their relative error stays below 4e-7. Infinities come out as they should, and NaN stays
NaN in all functions.
"""

from __future__ import annotations

from typing import Any

from myrnn.compiler.runtime.lanes import (
    FLOATS,
    INTEGERS,
    at_least,
    at_most,
    call,
    constant,
    elementwise,
    fma,
    instruction,
    integer,
    polynomial,
)


@instruction
def relu(typing: Any, x: Any) -> Any:
    """Return `x` where it is not negative, else 0; NaN stays NaN."""
    return elementwise(lambda builder, x: at_least(builder, x, constant(0.0)), (x,))


@instruction
def sqrt(typing: Any, x: Any) -> Any:
    """Return the square root."""
    return elementwise(lambda builder, x: call(builder, "sqrt", x), (x,))


@instruction
def absolute(typing: Any, x: Any) -> Any:
    """Return |x|."""
    return elementwise(lambda builder, x: call(builder, "fabs", x), (x,))


@instruction
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of both, NaN where one of them is."""

    def build(builder: Any, a: Any, b: Any) -> Any:
        larger = builder.select(builder.fcmp_unordered(">", a, b), a, b)
        return builder.select(builder.fcmp_unordered("uno", b, b), b, larger)

    return elementwise(build, (a, b))


@instruction
def minimum(typing: Any, a: Any, b: Any) -> Any:
    """Return the smaller of both, NaN where one of them is."""

    def build(builder: Any, a: Any, b: Any) -> Any:
        smaller = builder.select(builder.fcmp_unordered("<", a, b), a, b)
        return builder.select(builder.fcmp_unordered("uno", b, b), b, smaller)

    return elementwise(build, (a, b))


@instruction
def above(typing: Any, a: Any, b: Any) -> Any:
    """Return 1 where a > b, else 0."""

    def build(builder: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", a, b), constant(1.0), constant(0.0))

    return elementwise(build, (a, b))


@instruction
def where(typing: Any, condition: Any, a: Any, b: Any) -> Any:
    """Return `a` where `condition` is not 0, else `b`."""

    def build(builder: Any, condition: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_unordered("!=", condition, constant(0.0)), a, b)

    return elementwise(build, (condition, a, b))


# e^f = 1 + f + f^2 q(f) for |f| <= log(2) / 2; least largest relative error, 3e-9.
_EXP = (1.0, 1.0, 0.49999994, 0.16666521, 0.04166839, 0.00836871, 0.0013814613)
# The float 1.5 * 2^23 + n has n in its lowest bits.
_ROUND = 12582912.0


def _power_of_two(builder: Any, exponent: Any) -> Any:
    """Return 2^exponent for whole exponents from -126 to 127, infinity for 128."""
    return builder.bitcast(builder.shl(builder.add(exponent, integer(127)), integer(23)), FLOATS)


def _exp_parts(builder: Any, x: Any, least: float) -> tuple[Any, Any]:
    """Return e^f and n such that e^x = 2^n e^f, n being whole, for `x` cut to at least `least` and at most 89."""
    x = at_most(builder, at_least(builder, x, constant(least)), constant(89.0))
    shifted = fma(builder, x, constant(1.44269504088896341), constant(_ROUND))
    n = builder.fsub(shifted, constant(_ROUND))
    # log(2) in two parts, so that the product with the first is exact.
    f = fma(builder, n, constant(-0.693359375), x)
    f = fma(builder, n, constant(2.12194440054690583e-4), f)
    whole = builder.sub(builder.bitcast(shifted, INTEGERS), integer(0x4B400000))
    return polynomial(builder, f, _EXP), whole


def _exp(builder: Any, x: Any) -> Any:
    """Return e^x; it overflows to infinity and underflows to 0 as it should."""
    result, n = _exp_parts(builder, x, -104.0)
    # 2^n in two factors: n reaches from -150 to 128, one float's exponent from -126 to 127.
    half = builder.ashr(n, integer(1))
    result = builder.fmul(result, _power_of_two(builder, half))
    return builder.fmul(result, _power_of_two(builder, builder.sub(n, half)))


@instruction
def exp(typing: Any, x: Any) -> Any:
    """Return e^x."""
    return elementwise(_exp, (x,))


def _sigmoid(builder: Any, x: Any) -> Any:
    result, n = _exp_parts(builder, builder.fneg(x), -87.0)
    power = builder.fmul(result, _power_of_two(builder, n))
    return builder.fdiv(constant(1.0), builder.fadd(constant(1.0), power))


@instruction
def sigmoid(typing: Any, x: Any) -> Any:
    """Return 1 / (1 + e^-x)."""
    return elementwise(_sigmoid, (x,))


# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 9.02; least largest relative error, 2e-8. Beyond, a float32 tanh is 1.
_TANH_OVER = (1.0, 0.13379666209220886, 0.0034939723554998636, 2.0582432625815272e-05, 1.3317598579476453e-08)
_TANH_UNDER = (1.0, 0.46712982654571533, 0.02587083913385868, 0.0003282989782746881, 7.76141916958295e-07)


def _tanh(builder: Any, x: Any) -> Any:
    near = at_most(builder, at_least(builder, x, constant(-9.02)), constant(9.02))
    square = builder.fmul(near, near)
    over = builder.fmul(near, polynomial(builder, square, _TANH_OVER))
    ratio = builder.fdiv(over, polynomial(builder, square, _TANH_UNDER))
    return at_most(builder, at_least(builder, ratio, constant(-1.0)), constant(1.0))


@instruction
def tanh(typing: Any, x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return elementwise(_tanh, (x,))


# log(1 + f) = f - f^2 / 2 + f^3 q(f) for 1 + f between the roots of 1/2 and 2; relative error 6e-9.
_LOG = (0.3333333, -0.2500082, 0.20001227, -0.16623357, 0.14201759, -0.13160183, 0.12761575, -0.07634493)
_TINY = 1.17549435e-38


def _log(builder: Any, x: Any) -> Any:
    """Return log(x) = n log(2) + log(1 + f); -inf at 0, NaN below."""
    subnormal = builder.fcmp_ordered("<", x, constant(_TINY))
    scaled = builder.select(subnormal, builder.fmul(x, constant(2.0**23)), x)
    bits = builder.bitcast(scaled, INTEGERS)
    # Counted from the root of 1/2, so that 1 + f lies around 1.
    exponent = builder.ashr(builder.sub(bits, integer(0x3F3504F3)), integer(23))
    mantissa = builder.sub(bits, builder.shl(exponent, integer(23)))
    f = builder.fsub(builder.bitcast(mantissa, FLOATS), constant(1.0))
    n = builder.sitofp(exponent, FLOATS)
    n = builder.fsub(n, builder.select(subnormal, constant(23.0), constant(0.0)))
    square = builder.fmul(f, f)
    rest = builder.fmul(builder.fmul(square, f), polynomial(builder, f, _LOG))
    rest = fma(builder, n, constant(-2.12194440054690583e-4), rest)
    rest = fma(builder, square, constant(-0.5), rest)
    result = fma(builder, n, constant(0.693359375), builder.fadd(f, rest))
    result = builder.select(builder.fcmp_ordered("==", x, constant(float("inf"))), x, result)
    result = builder.select(builder.fcmp_unordered("<", x, constant(0.0)), constant(float("nan")), result)
    return builder.select(builder.fcmp_ordered("==", x, constant(0.0)), constant(float("-inf")), result)


@instruction
def log(typing: Any, x: Any) -> Any:
    """Return the natural logarithm."""
    return elementwise(_log, (x,))


@instruction
def log1p(typing: Any, x: Any) -> Any:
    """Return log(1 + x), which keeps its digits where `x` is small."""

    def build(builder: Any, x: Any) -> Any:
        # What the sum lost of x goes back in as a factor: Goldberg, "What every computer scientist should know about
        # floating-point arithmetic", 1991, theorem 4.
        larger = builder.fadd(x, constant(1.0))
        factor = builder.fdiv(x, builder.fsub(larger, constant(1.0)))
        lost = builder.fcmp_ordered("==", larger, constant(1.0))
        infinite = builder.fcmp_ordered("==", x, constant(float("inf")))
        return builder.select(builder.or_(lost, infinite), x, builder.fmul(_log(builder, larger), factor))

    return elementwise(build, (x,))


@instruction
def expm1(typing: Any, x: Any) -> Any:
    """Return e^x - 1, which keeps its digits where `x` is small."""

    def build(builder: Any, x: Any) -> Any:
        half = _tanh(builder, builder.fmul(x, constant(0.5)))
        return builder.fmul(half, builder.fadd(_exp(builder, x), constant(1.0)))

    return elementwise(build, (x,))


# log(1 + y) = y P(y) / Q(y) for 0 <= y <= 1; relative error 1e-9.
_LOG1P_OVER = (1.0, 1.066218, 0.23815724, 0.00341727)
_LOG1P_UNDER = (1.0, 1.5662178, 0.68793577, 0.07528718)


def _softplus(builder: Any, x: Any) -> Any:
    """Return max(x, 0) + log(1 + e^-|x|)."""
    y = _exp(builder, builder.fneg(call(builder, "fabs", x)))
    over = builder.fmul(y, polynomial(builder, y, _LOG1P_OVER))
    ratio = builder.fdiv(over, polynomial(builder, y, _LOG1P_UNDER))
    return builder.fadd(at_least(builder, x, constant(0.0)), ratio)


@instruction
def softplus(typing: Any, x: Any) -> Any:
    """Return log(1 + e^x)."""
    return elementwise(_softplus, (x,))


@instruction
def power(typing: Any, x: Any, exponent: Any) -> Any:
    """Return ``x ** exponent``, number by number through the C library."""
    return elementwise(lambda builder, x, exponent: call(builder, "pow", x, exponent), (x, exponent))


@instruction
def sin(typing: Any, x: Any) -> Any:
    """Return the sine, number by number through the C library."""
    return elementwise(lambda builder, x: call(builder, "sin", x), (x,))


@instruction
def cos(typing: Any, x: Any) -> Any:
    """Return the cosine, number by number through the C library."""
    return elementwise(lambda builder, x: call(builder, "cos", x), (x,))
