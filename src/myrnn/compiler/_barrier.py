"""A barrier for the threads that share one batch, inside compiled code.

The halves of a batch run on threads of their own, for many iterations without returning to Python; they meet where the
gradients are summed and where the parameters have changed.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numpy.typing import NDArray

from myrnn.compiler._lanes import compiled, instruction

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
def meet(barrier: NDArray[np.int64], parties: int) -> None:
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
