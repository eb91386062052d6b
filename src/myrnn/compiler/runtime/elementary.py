"""Functions of lanes, number by number.

The C library's exponentials and logarithms take one number at a time, so a loop that calls them is not vector code.
These are polynomials and ratios of polynomials, fitted for the least largest relative error, of an argument brought
close to zero before; their relative error stays below 4e-7. Infinities come out as they should, and NaN stays
NaN in all functions.
"""

from __future__ import annotations

import math
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
def same(typing: Any, a: Any, b: Any) -> Any:
    """Return 1 where a == b, else 0."""

    def build(builder: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered("==", a, b), constant(1.0), constant(0.0))

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


def _log1p(builder: Any, x: Any) -> Any:
    # What the sum lost of x goes back in as a factor: Goldberg, "What every computer scientist should know about
    # floating-point arithmetic", 1991, theorem 4.
    larger = builder.fadd(x, constant(1.0))
    factor = builder.fdiv(x, builder.fsub(larger, constant(1.0)))
    lost = builder.fcmp_ordered("==", larger, constant(1.0))
    infinite = builder.fcmp_ordered("==", x, constant(float("inf")))
    return builder.select(builder.or_(lost, infinite), x, builder.fmul(_log(builder, larger), factor))


@instruction
def log1p(typing: Any, x: Any) -> Any:
    """Return log(1 + x), which keeps its digits where `x` is small."""
    return elementwise(_log1p, (x,))


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
def logaddexp(typing: Any, a: Any, b: Any) -> Any:
    """Return log(e^a + e^b)."""

    def build(builder: Any, a: Any, b: Any) -> Any:
        distance = call(builder, "fabs", builder.fsub(a, b))
        # The distance of two infinities is not a number.
        distance = builder.select(builder.fcmp_ordered("==", a, b), constant(0.0), distance)
        return builder.fadd(at_least(builder, a, b), _softplus(builder, builder.fneg(distance)))

    return elementwise(build, (a, b))


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


@instruction
def sinc(typing: Any, x: Any) -> Any:
    """Return sin(pi x) / (pi x), and 1 at 0; the sine goes number by number through the C library."""

    def build(builder: Any, x: Any) -> Any:
        angle = builder.fmul(x, constant(math.pi))
        ratio = builder.fdiv(call(builder, "sin", angle), angle)
        return builder.select(builder.fcmp_ordered("==", x, constant(0.0)), constant(1.0), ratio)

    return elementwise(build, (x,))


# The polynomials of the inverse functions are those of Moshier's Cephes library, 1989.
_ARCTAN = (-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2)
_ARCSIN = (1.6666752422e-1, 7.4953002686e-2, 4.5470025998e-2, 2.4181311049e-2, 4.2163199048e-2)


def _odd(builder: Any, x: Any, coefficients: tuple[float, ...]) -> Any:
    """Return x + x^3 (c0 + c1 x^2 + ...)."""
    square = builder.fmul(x, x)
    return fma(builder, builder.fmul(x, square), polynomial(builder, square, coefficients), x)


def _arctan(builder: Any, x: Any) -> Any:
    """Return the angle whose tangent is `x`, from 0 on."""
    # By the addition theorem: what is left of an angle beyond 3 pi / 8 from pi / 2, beyond pi / 8 from pi / 4.
    steep = builder.fcmp_ordered(">", x, constant(2.414213562373095))
    middle = builder.fcmp_ordered(">", x, constant(0.4142135623730951))
    over = builder.select(middle, builder.fsub(x, constant(1.0)), x)
    under = builder.select(middle, builder.fadd(x, constant(1.0)), constant(1.0))
    rest = builder.fdiv(builder.select(steep, constant(-1.0), over), builder.select(steep, x, under))
    begin = builder.select(middle, constant(math.pi / 4), constant(0.0))
    begin = builder.select(steep, constant(math.pi / 2), begin)
    return builder.fadd(begin, _odd(builder, rest, _ARCTAN))


def _signed(of_size: Any) -> Any:
    """Return the odd function that `of_size` is for positive numbers."""
    return lambda builder, x: call(builder, "copysign", of_size(builder, call(builder, "fabs", x)), x)


@instruction
def arctan(typing: Any, x: Any) -> Any:
    """Return the angle whose tangent is `x`."""
    return elementwise(_signed(_arctan), (x,))


@instruction
def arctan2(typing: Any, y: Any, x: Any) -> Any:
    """Return the angle of the point (x, y), from -pi to pi."""

    def build(builder: Any, y: Any, x: Any) -> Any:
        high, wide = call(builder, "fabs", y), call(builder, "fabs", x)
        steep = builder.fcmp_ordered(">", high, wide)
        over, under = builder.select(steep, wide, high), builder.select(steep, high, wide)
        # Both may be zero or infinite: then they have no ratio.
        ratio = builder.fdiv(
            over, builder.select(builder.fcmp_ordered("==", under, constant(0.0)), constant(1.0), under)
        )
        infinite = builder.fcmp_ordered("==", over, constant(float("inf")))
        angle = _arctan(builder, builder.select(infinite, constant(1.0), ratio))
        angle = builder.select(steep, builder.fsub(constant(math.pi / 2), angle), angle)
        left = builder.icmp_signed("<", builder.bitcast(x, INTEGERS), integer(0))
        angle = builder.select(left, builder.fsub(constant(math.pi), angle), angle)
        angle = builder.select(builder.fcmp_unordered("uno", x, y), constant(float("nan")), angle)
        return call(builder, "copysign", angle, y)

    return elementwise(build, (y, x))


def _arcsin(builder: Any, x: Any) -> tuple[Any, Any]:
    """Return the angle whose sine is `x`, from 0 on, and, beyond a half, what is left of pi / 2."""
    far = builder.fcmp_ordered(">", x, constant(0.5))
    root = call(builder, "sqrt", builder.fmul(constant(0.5), builder.fsub(constant(1.0), x)))
    near = _odd(builder, builder.select(far, root, x), _ARCSIN)
    rest = builder.fadd(near, near)
    return builder.select(far, builder.fsub(constant(math.pi / 2), rest), near), rest


@instruction
def arcsin(typing: Any, x: Any) -> Any:
    """Return the angle whose sine is `x`."""
    return elementwise(_signed(lambda builder, x: _arcsin(builder, x)[0]), (x,))


@instruction
def arccos(typing: Any, x: Any) -> Any:
    """Return the angle whose cosine is `x`."""

    def build(builder: Any, x: Any) -> Any:
        size = call(builder, "fabs", x)
        angle, rest = _arcsin(builder, size)
        angle = builder.fsub(constant(math.pi / 2), call(builder, "copysign", angle, x))
        left = builder.fcmp_ordered("<", x, constant(0.0))
        far = builder.select(left, builder.fsub(constant(math.pi), rest), rest)
        return builder.select(builder.fcmp_ordered(">", size, constant(0.5)), far, angle)

    return elementwise(build, (x,))


def _log_of_twice(builder: Any, x: Any) -> Any:
    return builder.fadd(_log(builder, x), constant(math.log(2)))


def _arcsinh(builder: Any, x: Any) -> Any:
    root = call(builder, "sqrt", fma(builder, x, x, constant(1.0)))
    beyond = builder.fmul(x, builder.fdiv(x, builder.fadd(root, constant(1.0))))
    # The square of a large number would be infinite.
    large = builder.fcmp_ordered(">", x, constant(1e8))
    return builder.select(large, _log_of_twice(builder, x), _log1p(builder, builder.fadd(x, beyond)))


@instruction
def arcsinh(typing: Any, x: Any) -> Any:
    """Return the inverse of the hyperbolic sine."""
    return elementwise(_signed(_arcsinh), (x,))


@instruction
def arccosh(typing: Any, x: Any) -> Any:
    """Return the inverse of the hyperbolic cosine."""

    def build(builder: Any, x: Any) -> Any:
        more = builder.fsub(x, constant(1.0))
        root = call(builder, "sqrt", fma(builder, more, more, builder.fadd(more, more)))
        small = _log1p(builder, builder.fadd(more, root))
        large = builder.fcmp_ordered(">", x, constant(1e8))
        result = builder.select(large, _log_of_twice(builder, x), small)
        return builder.select(builder.fcmp_ordered("<", x, constant(1.0)), constant(float("nan")), result)

    return elementwise(build, (x,))


def _arctanh(builder: Any, x: Any) -> Any:
    ratio = builder.fdiv(builder.fadd(x, x), builder.fsub(constant(1.0), x))
    return builder.fmul(constant(0.5), _log1p(builder, ratio))


@instruction
def arctanh(typing: Any, x: Any) -> Any:
    """Return the inverse of the hyperbolic tangent."""
    return elementwise(_signed(_arctanh), (x,))


def _cbrt(builder: Any, x: Any) -> Any:
    tiny = builder.fcmp_ordered("<", x, constant(_TINY))
    scaled = builder.select(tiny, builder.fmul(x, constant(2.0**24)), x)
    # A third of the exponent, and of what lies above it, comes close; Newton's method does the rest.
    third = builder.sdiv(builder.bitcast(scaled, INTEGERS), integer(3))
    root = builder.bitcast(builder.add(third, integer(0x2A5137A0)), FLOATS)
    for _ in range(3):
        error = builder.fsub(builder.fdiv(scaled, builder.fmul(root, root)), root)
        root = fma(builder, error, constant(1 / 3), root)
    root = builder.select(tiny, builder.fmul(root, constant(2.0**-8)), root)
    itself = builder.or_(
        builder.fcmp_ordered("==", x, constant(0.0)), builder.fcmp_ordered("==", x, constant(float("inf")))
    )
    return builder.select(itself, x, root)


@instruction
def cbrt(typing: Any, x: Any) -> Any:
    """Return the cube root."""
    return elementwise(_signed(_cbrt), (x,))
