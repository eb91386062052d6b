"""What is too small for a normal float32 is zero in compiled code, and there alone."""

import llvmlite.binding
import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from myrnn.compiler.runtime.threads import MODES, flush_subnormals, restore_mode
from myrnn.models import RNN
from myrnn.optimizers import Adam
from myrnn.tasks import TwinHalves
from myrnn.training import train

SMALL = np.float32(1e-20)
PROCESSOR = llvmlite.binding.get_process_triple().split("-")[0]
known = pytest.mark.skipif(PROCESSOR not in MODES, reason=f"nothing is flushed on {PROCESSOR}")


@njit
def squared(x, out):
    mode = flush_subnormals()
    for i in range(len(x)):
        out[i] = x[i] * x[i]
    restore_mode(mode)


def subnormal(array):
    return (array != 0) & (np.abs(array) < np.finfo(np.float32).tiny)


@known
def test_products_are_flushed_and_the_mode_is_put_back():
    x = np.array([SMALL, -SMALL, 2.0], dtype=np.float32)
    out = np.ones_like(x)
    squared(x, out)
    np.testing.assert_array_equal(out, [0, 0, 4])
    assert subnormal(x * x)[:2].all()


@known
@pytest.mark.parametrize("batch_size", [1, pytest.param(64, marks=pytest.mark.long)])
def test_what_an_optimizer_remembers_does_not_stay_subnormal(batch_size):
    task = TwinHalves(pattern_length_min=2, pattern_length_max=2)

    def remembered(engine):
        model = RNN(dim_input=10, dim_recurrent=64, dim_output=2, rng=0)
        # A unit that is never on: none of its weights has a gradient, but Adam's mean of them is not zero.
        model.fc_x2h.bias.data[0] = -100
        optimizer = Adam(model.parameters)
        optimizer.m[1][...] = SMALL * SMALL * np.float32(2)
        assert subnormal(optimizer.m[1]).all()
        train(model, task, optimizer, iterations=5, seed=0, batch_size=batch_size, engine=engine)
        return optimizer.m[1]

    assert subnormal(remembered("mygrad")).any()
    assert not subnormal(remembered("native")).any()
    assert subnormal(np.array([SMALL]) * SMALL).all()


@pytest.mark.parametrize(
    ("processor", "instructions"), [("x86_64", ("stmxcsr", "ldmxcsr")), ("aarch64", ("FPCR", "msr"))]
)
def test_each_processor_gets_its_own_instructions(processor, instructions):
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    try:
        target = llvmlite.binding.Target.from_triple(f"{processor}-unknown-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this LLVM does not know {processor}: {error}")
    read, write, bit = MODES[processor]
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "flush")
    builder = ir.IRBuilder(function.append_basic_block())
    write(builder, builder.or_(read(builder), ir.Constant(ir.IntType(64), bit)))
    builder.ret_void()
    text = target.create_target_machine().emit_assembly(llvmlite.binding.parse_assembly(str(module)))
    assert all(instruction.lower() in text.lower() for instruction in instructions)
