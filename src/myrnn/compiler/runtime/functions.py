"""Functions that are compiled to machine code once for all programs, which call them by name.

Numba compiles a function again into everything that calls it, which for a model takes seconds. So each of these
functions has a file of machine code, made when a program first calls it, and callers only have its name. The
annotations define how it is called.
"""

from __future__ import annotations

import ctypes
import dis
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import CompilerBase, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.funcdesc import default_mangler
from numba.core.registry import cpu_target
from numba.core.typed_passes import NativeLowering, NoPythonBackend, NopythonTypeInference, PreLowerStripPhis
from numba.core.typing.templates import AbstractTemplate, Signature, infer_global, signature
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode
from numba.extending import lower_builtin
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

Floats = Annotated[NDArray[np.float32], types.float32[::1]]
Doubles = Annotated[NDArray[np.float64], types.float64[::1]]
Tokens = Annotated[NDArray[np.int32], types.int32[::1]]
Integers = Annotated[NDArray[np.int64], types.int64[::1]]
FloatTable = Annotated[NDArray[np.float32], types.float32[:, ::1]]
DoubleTable = Annotated[NDArray[np.float64], types.float64[:, ::1]]
IntegerTable = Annotated[NDArray[np.int64], types.int64[:, ::1]]
Bools = Annotated[NDArray[np.bool_], types.boolean[::1]]
BoolTable = Annotated[NDArray[np.bool_], types.boolean[:, ::1]]
Address = Annotated[Any, types.uintp]

_SCALARS = {
    int: types.int64,
    float: types.float64,
    bool: types.boolean,
    np.float32: types.float32,
    type(None): types.none,
}
_Function = TypeVar("_Function", bound=Callable[..., Any])

FUNCTIONS: list[Callable[..., Any]] = []
"""All functions that are compiled once."""


def compiled(function: _Function) -> _Function:
    """Register `function` to be compiled once, and make it callable from compiled code."""
    FUNCTIONS.append(function)

    def address(builder: Any, kind: Any, arguments: Any) -> Any:
        return cgutils.get_or_insert_function(builder.module, kind, symbol(function))

    return _callable(function, signature_of(function), address)


def by_address(function: _Function) -> _Function:
    """Make machine code at an address, the first argument, callable from compiled code with the other arguments."""

    def address(builder: Any, kind: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments.pop(0), kind.as_pointer())

    whole = signature_of(function)
    return _callable(function, signature(whole.return_type, *whole.args[1:]), address)


def _callable(function: Any, called: Signature, address: Any) -> Any:
    outer = signature_of(function)

    class Template(AbstractTemplate):
        key = function

        def generic(self, arguments: Any, keywords: Any) -> Signature | None:
            return outer if len(arguments) == len(outer.args) else None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arguments = list(arguments)
        callee = address(builder, _machine_type(context, called), arguments)
        pairs = zip(called.args, arguments, strict=True)
        words = [word for kind, value in pairs for word in _words(context, builder, kind, value)]
        if called.return_type == types.none:
            builder.call(callee, words)
            return context.get_dummy_value()
        result = cgutils.alloca_once(builder, context.get_value_type(called.return_type))
        builder.call(callee, [result, *words])
        return builder.load(result)

    infer_global(function, types.Function(Template))
    lower_builtin(function, *outer.args)(generate)
    return function


def _machine_type(context: Any, kinds: Signature) -> Any:
    """Return the LLVM type of a function: a pointer for the result, if any, and the words of all arguments."""
    result = [] if kinds.return_type == types.none else [context.get_value_type(kinds.return_type).as_pointer()]
    words = [word for kind in kinds.args for word in _word_types(context, kind)]
    return ir.FunctionType(ir.VoidType(), result + words)


def _word_types(context: Any, kind: Any) -> list[Any]:
    """Return how an argument is passed: an array as its address and sizes, a named tuple as its fields."""
    if isinstance(kind, types.NamedTuple):
        return [word for field in kind for word in _word_types(context, field)]
    if isinstance(kind, types.Array):
        return [context.get_data_type(kind.dtype).as_pointer(), *[ir.IntType(64)] * kind.ndim]
    return [context.get_value_type(kind)]


def _words(context: Any, builder: Any, kind: Any, value: Any) -> list[Any]:
    """Return the words of an argument."""
    if isinstance(kind, types.NamedTuple):
        fields = zip(kind, cgutils.unpack_tuple(builder, value), strict=True)
        return [word for field in fields for word in _words(context, builder, *field)]
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        return [array.data, *cgutils.unpack_tuple(builder, array.shape)]
    return [value]


def _argument(context: Any, builder: Any, kind: Any, words: Iterator[Any]) -> Any:
    """Return an argument in Numba's form from the next words."""
    if isinstance(kind, types.NamedTuple):
        return context.make_tuple(builder, kind, [_argument(context, builder, field, words) for field in kind])
    if not isinstance(kind, types.Array):
        return next(words)
    array = context.make_array(kind)(context, builder)
    data, shape = next(words), [next(words) for _ in range(kind.ndim)]
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(data.type.pointee))
    strides = [itemsize]
    for size in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    populate_array(array, data, shape, strides, itemsize, meminfo=None)
    return array._getvalue()


def _entry(context: Any, module: Any, name: str, kinds: Signature) -> None:
    """Write the function of this name, with the signature above, around the one that Numba makes."""
    entry = ir.Function(module, _machine_type(context, kinds), name)
    builder = ir.IRBuilder(entry.append_basic_block())
    words = iter(entry.args)
    result = None if kinds.return_type == types.none else next(words)
    arguments = [_argument(context, builder, kind, words) for kind in kinds.args]
    inner = context.call_conv.get_function_type(kinds.return_type, kinds.args)
    body = cgutils.get_or_insert_function(module, inner, name + ".body")
    # Nothing can fail: no memory is allocated, and no division checked.
    _, value = context.call_conv.call_function(builder, body, kinds.return_type, kinds.args, arguments)
    if result is not None:
        builder.store(value, result)
    builder.ret_void()


def symbol(function: Callable[..., Any]) -> str:
    """Return the name of a function's machine code."""
    return f"{function.__module__}.{function.__qualname__}"


def called_by(function: Any) -> list[Callable[..., Any]]:
    """Return the functions compiled once that a function calls."""
    names = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    known = [function.__globals__.get(name) for name in sorted(names)]
    return [other for other in known if any(other is one for one in FUNCTIONS)]


@cache
def signature_of(function: Callable[..., Any]) -> Signature:
    """Return the types of a function's arguments and result from its annotations."""
    hints = get_type_hints(function, include_extras=True)
    result = _type_of(hints.pop("return"))
    return signature(result, *map(_type_of, hints.values()))


def _type_of(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return hint.__metadata__[0]
    if hasattr(hint, "_fields"):
        fields = get_type_hints(hint, include_extras=True)
        return types.NamedTuple([_type_of(field) for field in fields.values()], hint)
    if get_origin(hint) is tuple:
        return types.BaseTuple.from_types(tuple(map(_type_of, get_args(hint))))
    return _SCALARS[hint]


class _Library(CPUCodeLibrary):
    """Code on its way to a file: optimized as a whole instead of function by function, and neither loaded nor kept."""

    def add_llvm_module(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def _finalize_final_module(self) -> None:
        pass


class _Compiler(CompilerBase):
    """Numba without its passes for closures, exceptions, lists and array expressions, which our code does not have."""

    # Those take a fifth of the time, and change nothing.

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("myrnn")
        for kind in (
            TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA, NopythonTypeInference, PreLowerStripPhis,
            NativeLowering, NoPythonBackend,
        ):  # fmt: skip
            passes.add_pass(kind, kind.__name__)
        passes.finalize()
        return [passes]


def machine_code(function: Callable[..., Any]) -> bytes:
    """Compile a function into an object file, in which it has its `symbol`."""
    ours, kinds = symbol(function), signature_of(function)
    flags = Flags()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.nrt = False
    flags.error_model = "numpy"

    def mangled(name: str, kinds: Any, **more: Any) -> str:
        return f"{name}.body" if name == ours else default_mangler(name, kinds, **more)

    with global_compiler_lock, _unchecked():
        typing, target = cpu_target.typing_context, cpu_target.target_context.subtarget(mangler=mangled)
        typing.refresh()
        target.refresh()
        library = _Library(target.codegen(), "myrnn")
        compile_extra(typing, target, function, kinds.args, kinds.return_type, flags, {}, library, _Compiler)
        module = library.create_ir_module("entry")
        _entry(target, module, ours, kinds)
        library.add_ir_module(module)
        library._final_module.get_function(f"{ours}.body").linkage = "internal"
        library.finalize()
        return target.codegen()._tm.emit_object(library._final_module)


@contextmanager
def _unchecked() -> Iterator[None]:
    """Ignore NUMBA_BOUNDSCHECK, for which machine code would need to raise errors."""
    checks, config.BOUNDSCHECK = config.BOUNDSCHECK, 0
    try:
        yield
    finally:
        config.BOUNDSCHECK = checks


def code_generation() -> tuple[str, ...]:
    """Return the target of machine code: the processor, and Numba's settings."""
    settings = config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE
    return (*cpu_target.target_context.codegen().magic_tuple(), *map(repr, settings))


class MachineCode:
    """Machine code in memory, from object files, as long as this object lives."""

    def __init__(self) -> None:
        target = llvm.Target.from_triple(llvm.get_process_triple())
        machine = target.create_target_machine(jit=True, codemodel="jitdefault")
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)

    def add(self, name: str, content: bytes) -> int:
        """Load the object file with the function of this name, and return its address."""
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
        self._engine.finalize_object()
        address: int = self._engine.get_function_address(name)
        assert address, name
        return address


# ---- calls from Python ----

_C_TYPES = {
    types.int64: ctypes.c_int64, types.float64: ctypes.c_double, types.float32: ctypes.c_float,
    types.boolean: ctypes.c_bool, types.uintp: ctypes.c_size_t,
}  # fmt: skip


class Caller:
    """Calls machine code with these types, without the GIL; the conversions are prepared once, not at every call."""

    def __init__(self, kinds: Signature) -> None:
        returned = kinds.return_type
        self._is_tuple = isinstance(returned, types.BaseTuple)
        parts = returned.types if self._is_tuple else () if returned == types.none else (returned,)
        self._names = [f"part_{i}" for i in range(len(parts))]
        fields = [(name, _C_TYPES[kind]) for name, kind in zip(self._names, parts, strict=True)]
        self._result = type("Result", (ctypes.Structure,), {"_fields_": fields})
        flat = [field for kind in kinds.args for field in (kind if isinstance(kind, types.NamedTuple) else [kind])]
        # The required type of each array; None for a number.
        self._arrays = [
            (np.dtype(kind.dtype.name), kind.ndim, True) if isinstance(kind, types.Array) else None for kind in flat
        ]
        words: list[Any] = [ctypes.POINTER(self._result)] if parts else []
        for kind in flat:
            words += [ctypes.c_int64] * (1 + kind.ndim) if isinstance(kind, types.Array) else [_C_TYPES[kind]]
        self._function = ctypes.CFUNCTYPE(None, *words)

    def __call__(self, address: int, arguments: Iterable[Any]) -> Any:
        """Call the machine code at an address."""
        result = self._result()
        words: list[Any] = [ctypes.byref(result)] if self._names else []
        flat = [field for value in arguments for field in (value if isinstance(value, tuple) else [value])]
        for array, value in zip(self._arrays, flat, strict=True):
            if array is None:
                words.append(value)
            else:
                assert (value.dtype, value.ndim, value.flags.c_contiguous) == array
                words += (value.ctypes.data, *value.shape)
        self._function(address)(*words)
        returned = tuple(getattr(result, name) for name in self._names)
        return returned if self._is_tuple else returned[0] if returned else None


@cache
def caller(function: Callable[..., Any]) -> Caller:
    """Return a caller for a compiled function."""
    return Caller(signature_of(function))
