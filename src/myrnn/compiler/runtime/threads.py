"""The floating-point mode of a thread of compiled code, and the barrier between threads.

Below 1.2e-38 a float32 loses digits, and many processors take a hundred times longer for such a number than for any
other. They are not rare: decaying values, such as Adam's mean of the gradients of a unit that a ReLU has switched off,
fall below that and stay there. A processor replaces them by zeros when its floating-point mode says so. The mode
belongs to the thread, so each emitted function sets it and restores it before it returns.

The halves of a batch run on separate threads for many iterations without returning to Python; they synchronize where
the gradients are summed and where the parameters have changed.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Annotated, Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from myrnn.compiler.runtime.functions import Integers, compiled
from myrnn.compiler.runtime.lanes import CodeValue, Index, instruction

_BYTE, _WORD, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _call(builder: Any, name: str, result: Any, *values: Any) -> Any:
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def _read_x86(builder: Any) -> Any:
    room = cgutils.alloca_once(builder, _WORD)
    _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), builder.bitcast(room, _BYTE.as_pointer()))
    return builder.zext(builder.load(room), _LONG)


def _write_x86(builder: Any, mode: Any) -> None:
    room = cgutils.alloca_once(builder, _WORD)
    builder.store(builder.trunc(mode, _WORD), room)
    _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(room, _BYTE.as_pointer()))


def _read_arm(builder: Any) -> Any:
    return _call(builder, "llvm.aarch64.get.fpcr", _LONG)


def _write_arm(builder: Any, mode: Any) -> None:
    _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), mode)


# How to read and write the mode, and its bit that flushes results to zero. On other processors nothing is done.
MODES = {"x86_64": (_read_x86, _write_x86, 1 << 15), "aarch64": (_read_arm, _write_arm, 1 << 24)}
MODES["arm64"] = MODES["aarch64"]
_mode = MODES.get(llvmlite.binding.get_process_triple().split("-")[0])


@intrinsic  # type: ignore[untyped-decorator]
def flush_subnormals(typing: Any) -> Any:
    """Flush results that are too small for a normal float32 to zero; return the previous mode, for `restore_mode`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _mode is None:
            return ir.Constant(_LONG, 0)
        read, write, bit = _mode
        before = read(builder)
        write(builder, builder.or_(before, ir.Constant(_LONG, bit)))
        return before

    return types.int64(), generate


@instruction
def restore_mode(mode: Index) -> None:
    """Restore the mode that `flush_subnormals` found."""
    if _mode is not None:
        _mode[1](mode.builder, mode.llvm)


# ---- the barrier ----

# Yields the processor to other threads: named here, so that code in the cache on disk finds it at every start.
_library: Any = ctypes
_switch = _library.WinDLL("kernel32").SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield
llvmlite.binding.add_symbol("myrnn_yield", ctypes.cast(_switch, ctypes.c_void_p).value)
_yield = types.ExternalFunction("myrnn_yield", types.int32())

_Cells = Annotated[Any, types.int64[::1]]

BARRIER_SIZE = 16
"""The number of int64 zeros that make a barrier."""
# The counter is in the middle, so that no other data shares its cache line.
_COUNT = BARRIER_SIZE // 2
_SPINS = 2000


@instruction
def _arrive(cells: _Cells) -> Index:
    """Atomically add one to the count and return its previous value."""
    address = cells.builder.gep(cells.llvm, [ir.Constant(_LONG, _COUNT)])
    return CodeValue(cells.builder, cells.builder.atomic_rmw("add", address, ir.Constant(_LONG, 1), "seq_cst"))


@instruction
def _arrived(cells: _Cells) -> Index:
    """Return the total number of arrivals."""
    address = cells.builder.gep(cells.llvm, [ir.Constant(_LONG, _COUNT)])
    return CodeValue(cells.builder, cells.builder.load_atomic(address, "seq_cst", 8))


@compiled
def meet(barrier: Integers, parties: int) -> None:
    """Wait until all `parties` threads have arrived. `barrier` is an int64 array of BARRIER_SIZE, initially zeros."""
    if parties == 1:
        return
    # The round ends when the count is the next multiple.
    end = (_arrive(barrier) // parties + 1) * parties
    spins = 0
    while _arrived(barrier) < end:
        spins += 1
        if spins > _SPINS:
            _yield()
