"""What belongs to a thread of compiled code: its floating-point mode, and where it meets the others.

Below 1.2e-38 a float32 loses digits, and many processors take a hundred times longer for such a number than for any
other. They are not rare: what decays, such as Adam's mean of the gradients of a unit that a ReLU has switched off,
sinks below that and stays there for good. A processor writes zeros in their place when its floating-point mode says so.
The mode belongs to the thread, so each emitted function sets it and puts it back before it returns.

The halves of a batch run on threads of their own, for many iterations without returning to Python; they meet where the
gradients are summed and where the parameters have changed.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types

from myrnn.compiler.runtime.functions import Integers, compiled
from myrnn.compiler.runtime.lanes import instruction

_WORD, _LONG = ir.IntType(32), ir.IntType(64)


def _read_x86(builder: Any) -> Any:
    room = cgutils.alloca_once(builder, _WORD)
    _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), room)
    return builder.zext(builder.load(room), _LONG)


def _write_x86(builder: Any, mode: Any) -> None:
    room = cgutils.alloca_once(builder, _WORD)
    builder.store(builder.trunc(mode, _WORD), room)
    _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), room)


def _read_arm(builder: Any) -> Any:
    return _call(builder, "llvm.aarch64.get.fpcr", _LONG)


def _write_arm(builder: Any, mode: Any) -> None:
    _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), mode)


def _call(builder: Any, name: str, result: Any, *values: Any) -> Any:
    kinds = [ir.IntType(8).as_pointer() if value.type.is_pointer else value.type for value in values]
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, kinds), name)
    cast = [builder.bitcast(value, kind) for value, kind in zip(values, kinds, strict=True)]
    return builder.call(function, cast)


# How the mode is read and written, and its bit that flushes results to zero. On other processors nothing is done.
MODES = {"x86_64": (_read_x86, _write_x86, 1 << 15), "aarch64": (_read_arm, _write_arm, 1 << 24)}
MODES["arm64"] = MODES["aarch64"]


def _mode() -> Any:
    return MODES.get(llvmlite.binding.get_process_triple().split("-")[0])


@instruction
def flush_subnormals(typing: Any) -> Any:
    """Let results that are too small for a normal float32 be zero; return the mode before, for `restore_mode`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if (known := _mode()) is None:
            return ir.Constant(_LONG, 0)
        read, write, bit = known
        before = read(builder)
        write(builder, builder.or_(before, ir.Constant(_LONG, bit)))
        return before

    return types.int64(), generate


@instruction
def restore_mode(typing: Any, mode: Any) -> Any:
    """Go back to the mode that `flush_subnormals` found."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if (known := _mode()) is not None:
            known[1](builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate


# What lets another thread of this machine run: named here, so that code in the cache on disk finds it at every start.
_YIELD = "myrnn_yield"
_library: Any = ctypes
_switch = _library.WinDLL("kernel32").SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield
llvmlite.binding.add_symbol(_YIELD, ctypes.cast(_switch, ctypes.c_void_p).value)

BARRIER_SIZE = 32
"""How many int64 zeros a barrier is made of."""
_SPINS = 2000


@instruction
def _yield(typing: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@instruction
def _add(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to `array[index]` and return what was there before, in one step that no other thread can split."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(array)(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@compiled
def meet(barrier: Integers, parties: int) -> None:
    """Wait until all `parties` threads have come here. `barrier` is an int64 array of BARRIER_SIZE, zeros at first."""
    if parties == 1:
        return
    round_now = _add(barrier, 16, 0)
    if _add(barrier, 0, 1) == parties - 1:
        _add(barrier, 0, -parties)
        _add(barrier, 16, 1)
        return
    spins = 0
    while _add(barrier, 16, 0) == round_now:
        spins += 1
        if spins > _SPINS:
            _yield()
