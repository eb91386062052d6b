"""Sixteen float32 numbers as a type that compiled code computes with.

LLVM only vectorizes a loop when it can prove that no store changes what a later load reads, which it often cannot. Code
over lanes *is* vector code: `load` reads 16 consecutive numbers of a flat array, operators and functions work on all of
them at once, `store` writes them back. LLVM splits lanes into the registers of the machine (one of AVX-512, two of
AVX2, four of NEON).

An `instruction` is a Python function of `CodeValue`, which represents a value of generated code. Numba calls the
function where compiled code calls it, and gets the LLVM instructions that its operators have appended.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typeconv import Conversion
from numba.core.typing.templates import ConcreteTemplate, Signature, infer_global, signature
from numba.extending import lower_builtin, lower_cast, models, register_model

from myrnn.compiler.runtime import LANES
from myrnn.compiler.runtime.functions import signature_of

_INT32 = ir.IntType(32)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTEGERS = ir.VectorType(_INT32, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Lanes(types.Type):
    """The type for Numba; a number is converted by repeating it sixteen times."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")

    def can_convert_from(self, typing: Any, other: Any) -> Any:
        return Conversion.safe if isinstance(other, types.Number) else None


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


@lower_cast(types.Number, _Lanes)  # type: ignore[untyped-decorator]
def _sixteen(context: Any, builder: Any, kind: Any, lanes: Any, number: Any) -> Any:
    return splat(CodeValue(builder, context.cast(builder, number, kind, types.float32))).llvm


# Annotations for the arguments and results of instructions; arrays are passed by address.
lanes = _Lanes()
Lanes = Annotated[Any, lanes]
Array = Annotated[Any, types.float32[::1]]
Index = Annotated[Any, types.int64]
Float = Annotated[Any, types.float32]
Truth = Annotated[Any, types.boolean]


# ---- values of generated code ----


def _infix(name: str) -> tuple[Any, Any]:
    """Return the methods of an operator, for a value as the left and as the right operand."""
    return lambda self, other: self.join(name, other), lambda self, other: self.beside(other).join(name, self)


def _comparison(symbol: str) -> Any:
    return lambda self, other: self.compare(symbol, other)


class CodeValue:
    """A value of generated code: a number, sixteen of them, or an address. Operators append instructions."""

    # Python numbers become constants. Comparisons give truth values; with NaN all are false except `!=`.

    def __init__(self, builder: Any, llvm: Any) -> None:
        self.builder, self.llvm = builder, llvm
        self.is_float = getattr(llvm.type, "element", llvm.type) == ir.FloatType()

    def beside(self, other: Any) -> CodeValue:
        """Return the other value; a number as a constant of this one's type."""
        return other if isinstance(other, CodeValue) else CodeValue(self.builder, _constant(self.llvm.type, other))

    def join(self, name: str, other: Any, flags: tuple[str, ...] = ()) -> CodeValue:
        """Append LLVM's instruction `name` on this value and another one."""
        build = getattr(self.builder, f"f{name}" if self.is_float else name)
        return CodeValue(self.builder, build(self.llvm, self.beside(other).llvm, flags=flags))

    def compare(self, symbol: str, other: Any) -> CodeValue:
        """Return where this value is smaller, larger or equal."""
        of_floats = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
        build = of_floats if self.is_float else self.builder.icmp_signed
        return CodeValue(self.builder, build(symbol, self.llvm, self.beside(other).llvm))

    def cast(self, name: str, kind: Any) -> CodeValue:
        """Return the value as another type, by LLVM's instruction `name`."""
        return CodeValue(self.builder, getattr(self.builder, name)(self.llvm, kind))

    def __neg__(self) -> CodeValue:  # noqa: D105 - as the operators below
        return CodeValue(self.builder, self.builder.fneg(self.llvm))

    __add__, __radd__ = _infix("add")
    __sub__, __rsub__ = _infix("sub")
    __mul__, __rmul__ = _infix("mul")
    __truediv__, __rtruediv__ = _infix("div")
    __floordiv__, _ = _infix("sdiv")
    __lshift__, _ = _infix("shl")
    __rshift__, _ = _infix("ashr")
    __or__, _ = _infix("or_")
    __lt__, __gt__ = _comparison("<"), _comparison(">")
    __le__, __ge__ = _comparison("<="), _comparison(">=")
    __eq__, __ne__ = _comparison("=="), _comparison("!=")
    __hash__ = None  # type: ignore[assignment]


def _constant(kind: Any, number: Any) -> Any:
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)
    return ir.Constant(kind, number)


def call(name: str, *values: Any) -> CodeValue:
    """Call an LLVM intrinsic for as many lanes as are given."""
    known = next(value for value in values if isinstance(value, CodeValue))
    lanes = known.llvm.type
    kind = ir.FunctionType(lanes, [lanes] * len(values))
    function = cgutils.get_or_insert_function(known.builder.module, kind, f"llvm.{name}.v{lanes.count}f32")
    return CodeValue(known.builder, known.builder.call(function, [known.beside(value).llvm for value in values]))


def fma(a: Any, b: Any, c: Any) -> CodeValue:
    """Return a * b + c, as one instruction if the machine has it."""
    return call("fmuladd", a, b, c)


def shuffle(a: CodeValue, b: CodeValue, order: list[int]) -> CodeValue:
    """Return the numbers of two values selected by `order`; those of `b` count from those of `a` on."""
    kind = ir.VectorType(_INT32, len(order))
    return CodeValue(a.builder, a.builder.shuffle_vector(a.llvm, b.llvm, ir.Constant(kind, order)))


def splat(number: CodeValue, count: int = LANES) -> CodeValue:
    """Return a number repeated in so many lanes."""
    undefined = ir.Constant(ir.VectorType(number.llvm.type, count), ir.Undefined)
    first = number.builder.insert_element(undefined, number.llvm, ir.Constant(_INT32, 0))
    nowhere = ir.Constant(ir.VectorType(_INT32, count), None)
    return CodeValue(number.builder, number.builder.shuffle_vector(first, undefined, nowhere))


def floats(count: int) -> ir.VectorType:
    """Return the type of so many float32 lanes."""
    return ir.VectorType(ir.FloatType(), count)


def _vector_at(array: CodeValue, index: CodeValue, kind: ir.VectorType = FLOATS) -> Any:
    return array.builder.bitcast(array.builder.gep(array.llvm, [index.llvm]), kind.as_pointer())


def load_lanes(array: CodeValue, index: CodeValue, count: int) -> CodeValue:
    """Return so many consecutive numbers of a flat float32 array as lanes."""
    return CodeValue(array.builder, array.builder.load(_vector_at(array, index, floats(count)), align=4))


def spread_lanes(array: CodeValue, index: CodeValue, count: int) -> CodeValue:
    """Return a number of a flat float32 array, repeated in so many lanes."""
    address = array.builder.gep(array.llvm, [index.llvm])
    return splat(CodeValue(array.builder, array.builder.load(address, align=4)), count)


def store_lanes(array: CodeValue, index: CodeValue, value: CodeValue) -> None:
    """Write all lanes of a value to consecutive numbers."""
    array.builder.store(value.llvm, _vector_at(array, index, value.llvm.type), align=4)


# ---- instructions ----


def instruction(function: _Function) -> _Function:
    """Make a function of values callable from compiled code, with the types of its annotations."""
    _register(function, signature_of(function), function)
    return function


def _register(symbol: Any, kinds: Signature, function: Callable[..., Any]) -> None:
    class Template(ConcreteTemplate):
        key = symbol
        cases = (kinds,)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = []
        for kind, value in zip(kinds.args, arguments, strict=True):
            is_array = isinstance(kind, types.Array)
            values.append(
                CodeValue(builder, context.make_array(kind)(context, builder, value).data if is_array else value)
            )
        result = function(*values)
        return context.get_dummy_value() if result is None else result.llvm

    infer_global(symbol, types.Function(Template))
    lower_builtin(symbol, *kinds.args)(generate)


def _fused(name: str) -> Any:
    # A product and a sum may become one fused instruction. Nothing else may change: infinities and NaN keep their
    # meaning.
    return lambda a, b: a.join(name, b, ("contract",))


_register(operator.add, signature(lanes, lanes, lanes), _fused("add"))
_register(operator.sub, signature(lanes, lanes, lanes), _fused("sub"))
_register(operator.mul, signature(lanes, lanes, lanes), _fused("mul"))
_register(operator.truediv, signature(lanes, lanes, lanes), _fused("div"))
_register(operator.neg, signature(lanes, lanes), operator.neg)


@instruction
def load(array: Array, index: Index) -> Lanes:
    """Return `array[index:index + 16]` of a flat float32 array. Nothing is checked."""
    return load_lanes(array, index, LANES)


@instruction
def spread(array: Array, index: Index) -> Lanes:
    """Return `array[index]` of a flat float32 array, repeated sixteen times. Nothing is checked."""
    return spread_lanes(array, index, LANES)


@instruction
def store(array: Array, index: Index, value: Lanes) -> None:
    """Write `array[index:index + 16] = value`. Nothing is checked."""
    store_lanes(array, index, value)


def first_lanes(count: CodeValue, lanes: int = LANES) -> CodeValue:
    """Return which lanes are among the first `count`."""
    numbers = CodeValue(count.builder, ir.Constant(ir.VectorType(_INT32, lanes), list(range(lanes))))
    return numbers < splat(count.cast("trunc", _INT32), lanes)


def load_some(array: CodeValue, index: CodeValue, some: CodeValue, others: CodeValue | None = None) -> CodeValue:
    """Return consecutive numbers in some of the lanes, and `others` or zeros elsewhere, where nothing is read."""
    elsewhere = ir.Constant(FLOATS, None) if others is None else others.llvm
    kind = ir.FunctionType(FLOATS, [FLOATS.as_pointer(), _INT32, _MASK, FLOATS])
    function = cgutils.get_or_insert_function(array.builder.module, kind, f"llvm.masked.load.v{LANES}f32.p0")
    arguments = [_vector_at(array, index), ir.Constant(_INT32, 4), some.llvm, elsewhere]
    return CodeValue(array.builder, array.builder.call(function, arguments))


def store_some(array: CodeValue, index: CodeValue, value: CodeValue, some: CodeValue) -> None:
    """Write some of the lanes to consecutive numbers; the other numbers are neither read nor written."""
    kind = ir.FunctionType(ir.VoidType(), [FLOATS, FLOATS.as_pointer(), _INT32, _MASK])
    function = cgutils.get_or_insert_function(array.builder.module, kind, f"llvm.masked.store.v{LANES}f32.p0")
    array.builder.call(function, [value.llvm, _vector_at(array, index), ir.Constant(_INT32, 4), some.llvm])


@instruction
def load_first(array: Array, index: Index, count: Index) -> Lanes:
    """Return the first `count` of the lanes at an index, and zeros in the others, which are not read."""
    return load_some(array, index, first_lanes(count))


@instruction
def load_between(array: Array, index: Index, begin: Index, end: Index, others: Lanes) -> Lanes:
    """Return the lanes from `begin` to `end` at an index, and those of `others` elsewhere, where nothing is read."""
    return load_some(array, index, first_lanes(end).join("xor", first_lanes(begin)), others)


@instruction
def store_first(array: Array, index: Index, value: Lanes, count: Index) -> None:
    """Write the first `count` lanes to an index, and nothing else."""
    store_some(array, index, value, first_lanes(count))


def add_up(rows: list[CodeValue]) -> CodeValue:
    """Return the sums of the lanes of eight values, that of the first in the first lane, and so on."""
    count = rows[0].llvm.type.count
    if count == 2 * len(rows):
        # The halves of a value are added first, since half as many lanes are moved faster on many processors.
        rows = [shuffle(row, row, list(range(8))) + shuffle(row, row, list(range(8, 16))) for row in rows]
        count = 8
    # Narrow values are put next to each other, and need fewer additions.
    rows = [_side_by_side(rows[first::count]) for first in range(count)]
    half = count // 2
    while half:
        # Add the halves of two values, and put their sums next to each other.
        upper = [lane if not lane & half else 8 + lane - half for lane in range(8)]
        lower = [lane + half if not lane & half else 8 + lane for lane in range(8)]
        pairs = zip(rows[:half], rows[half:], strict=True)
        rows = [shuffle(a, b, upper) + shuffle(a, b, lower) for a, b in pairs]
        half //= 2
    (sums,) = rows
    return sums


def _side_by_side(parts: list[CodeValue]) -> CodeValue:
    """Return the lanes of all values in one; there are one, two, four or eight."""
    while len(parts) > 1:
        lanes = 2 * parts[0].llvm.type.count
        parts = [shuffle(a, b, list(range(lanes))) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


@instruction
def full(number: Lanes) -> Lanes:
    """Return `number` repeated sixteen times."""
    return number


@instruction
def where(condition: Lanes, a: Lanes, b: Lanes) -> Lanes:
    """Return `a` where a condition is true, or a number is not 0, else `b`."""
    if condition.is_float:
        condition = condition != 0.0
    kind = next((value.llvm.type for value in (a, b) if isinstance(value, CodeValue)), FLOATS)
    a, b = (value.llvm if isinstance(value, CodeValue) else _constant(kind, value) for value in (a, b))
    return CodeValue(condition.builder, condition.builder.select(condition.llvm, a, b))


@instruction
def keep(value: Lanes, count: Index) -> Lanes:
    """Return the first `count` lanes of `value`, and zeros in the others."""
    return where(first_lanes(count), value, 0.0)


@instruction
def total(value: Lanes) -> Float:
    """Return the sum of all lanes."""
    half = value.llvm.type.count // 2
    while half:
        lower, upper = list(range(half)), list(range(half, 2 * half))
        value = shuffle(value, value, lower) + shuffle(value, value, upper)
        half //= 2
    return CodeValue(value.builder, value.builder.extract_element(value.llvm, ir.Constant(_INT32, 0)))


@instruction
def store_total(array: Array, index: Index, value: Lanes) -> None:
    """Write the sum of all lanes to `array[index]`."""
    array.builder.store(total(value).llvm, array.builder.gep(array.llvm, [index.llvm]), align=4)
