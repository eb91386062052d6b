"""Numbers too small for a normal float32, which compiled code takes for zero.

Below 1.2e-38 a float32 loses digits, and many processors take a hundred times longer for such a number than for any
other. They are not rare: what decays, such as Adam's mean of the gradients of a unit that a ReLU has switched off,
sinks below that and stays there for good. A processor writes zeros in their place when its floating-point mode says so.
The mode belongs to the thread, so each emitted function sets it and puts it back before it returns.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types

from myrnn.compiler._lanes import instruction

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
