"""Sixteen float32 numbers side by side, as a type that compiled code computes with.

Left to itself LLVM makes vector instructions of a loop only when it can prove that no store changes what a later load
reads, which it often cannot. Code over lanes *is* vector code: `load` reads 16 neighbours of a flat array, operators
and functions work on all of them at once, `store` writes them back. LLVM cuts lanes to what the machine has (one
register of AVX-512, two of AVX2, four of NEON).

All of this runs inside functions compiled by Numba only; Python itself cannot call it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 16
"""How many numbers lanes hold. Flat buffers are padded to multiples of it."""

FLOATS = ir.VectorType(ir.FloatType(), WIDTH)
INTEGERS = ir.VectorType(ir.IntType(32), WIDTH)
# A product and a sum may become one fused instruction. Nothing else: infinities and NaN keep their meaning.
_FLAGS = ("contract",)


class _Lanes(types.Type):
    """The type, for Numba."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


# ---- building blocks ----


def instruction(define: Callable[..., Any]) -> Any:
    """Make a function of compiled code from `define`, which returns its types and what builds its instructions."""
    return intrinsic(define)


def constant(value: float) -> Any:
    """Return sixteen times one float32."""
    return ir.Constant(FLOATS, [ir.Constant(ir.FloatType(), value)] * WIDTH)


def integer(value: int) -> Any:
    """Return sixteen times one int32."""
    return ir.Constant(INTEGERS, [ir.Constant(ir.IntType(32), value)] * WIDTH)


def splat(builder: Any, scalar: Any) -> Any:
    """Return sixteen times a number of running code."""
    undefined = ir.Constant(ir.VectorType(scalar.type, WIDTH), ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, integer(0))


def _as_lanes(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """Return the value as lanes; a number becomes sixteen of it."""
    if kind == lanes:
        return value
    return splat(builder, context.cast(builder, value, kind, types.float32))


def call(builder: Any, name: str, *values: Any) -> Any:
    """Call LLVM's own function `name` of as many lanes as are given."""
    function = ir.FunctionType(FLOATS, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.v{WIDTH}f32"), values)


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, by one instruction where the machine has it."""
    return call(builder, "fmuladd", a, b, c)


def polynomial(builder: Any, x: Any, coefficients: tuple[float, ...]) -> Any:
    """Return c0 + c1 x + c2 x^2 + ..., by Horner's rule."""
    result = constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = fma(builder, result, x, constant(coefficient))
    return result


def at_most(builder: Any, x: Any, limit: Any) -> Any:
    """Return the smaller of `x` and `limit`; NaN stays NaN."""
    return builder.select(builder.fcmp_ordered(">", x, limit), limit, x)


def at_least(builder: Any, x: Any, limit: Any) -> Any:
    """Return the larger of `x` and `limit`; NaN stays NaN."""
    return builder.select(builder.fcmp_ordered("<", x, limit), limit, x)


# ---- memory ----


def pointer_to(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Return the address of a flat array's number `index`."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


def is_flat(kind: Any) -> bool:
    """Return whether a type is that of a flat float32 array."""
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C" and kind.dtype == types.float32


@instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """Return `array[index:index + 16]` of a flat float32 array. Nothing is checked."""
    if not (is_flat(array) and isinstance(index, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = pointer_to(context, builder, array, *arguments)
        return builder.load(builder.bitcast(pointer, FLOATS.as_pointer()), align=4)

    return lanes(array, types.intp), generate


@instruction
def spread(typing: Any, array: Any, index: Any) -> Any:
    """Return sixteen times `array[index]` of a flat float32 array. Nothing is checked."""
    if not (is_flat(array) and isinstance(index, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return splat(builder, builder.load(pointer_to(context, builder, array, *arguments), align=4))

    return lanes(array, types.intp), generate


@instruction
def full(typing: Any, number: Any) -> Any:
    """Return sixteen times `number`."""
    if not isinstance(number, types.Number):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _as_lanes(context, builder, arguments[0], number)

    return lanes(number), generate


@instruction
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write `array[index:index + 16] = value`. Nothing is checked."""
    if not (is_flat(array) and isinstance(index, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = pointer_to(context, builder, array, *arguments[:2])
        vector = _as_lanes(context, builder, arguments[2], value)
        builder.store(vector, builder.bitcast(pointer, FLOATS.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@instruction
def keep(typing: Any, value: Any, count: Any) -> Any:
    """Return the first `count` lanes of `value` and zeros in the others, whatever stood there."""
    if value != lanes:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count32 = builder.trunc(arguments[1], ir.IntType(32))
        numbers = ir.Constant(INTEGERS, [ir.Constant(ir.IntType(32), lane) for lane in range(WIDTH)])
        inside = builder.icmp_signed("<", numbers, splat(builder, count32))
        return builder.select(inside, arguments[0], constant(0.0))

    return lanes(lanes, types.intp), generate


@instruction
def total(typing: Any, value: Any) -> Any:
    """Return the sum of all lanes, a float32."""
    if value != lanes:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (vector,) = arguments
        half = WIDTH // 2
        while half:
            order = ir.Constant(
                INTEGERS, [ir.Constant(ir.IntType(32), lane + half if lane < half else lane) for lane in range(WIDTH)]
            )
            vector = builder.fadd(vector, builder.shuffle_vector(vector, vector, order))
            half //= 2
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(lanes), generate


# ---- operators ----


def _operator(symbol: Any, build: Callable[..., Any], arity: int = 2) -> None:
    """Let `symbol` act on lanes, and on numbers beside lanes, by the instructions that `build` makes."""

    class Template(AbstractTemplate):
        def generic(self, arguments: Any, keywords: Any) -> Any:
            known = all(kind == lanes or isinstance(kind, types.Number) for kind in arguments)
            return signature(lanes, *arguments) if known and lanes in arguments and len(arguments) == arity else None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, signature.args, strict=True)
        return build(builder, *(_as_lanes(context, builder, value, kind) for value, kind in pairs))

    infer_global(symbol)(Template)
    for mix in range(1, 2**arity):
        lower_builtin(symbol, *(lanes if mix >> place & 1 else types.Number for place in range(arity)))(generate)


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b, flags=_FLAGS))
_operator(operator.neg, lambda builder, a: builder.fneg(a), arity=1)


# ---- functions ----


def elementwise(build: Callable[..., Any], kinds: tuple[Any, ...]) -> Any:
    """Return what an instruction on lanes, or numbers beside lanes, is made of: its types and its generator."""
    if lanes not in kinds or not all(kind == lanes or isinstance(kind, types.Number) for kind in kinds):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, kinds, strict=True)
        return build(builder, *(_as_lanes(context, builder, value, kind) for value, kind in pairs))

    return lanes(*kinds), generate
