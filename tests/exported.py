"""Run exported networks, and compare them with their models."""

from contextlib import contextmanager

import mygrad as mg
import numpy as np
import onnxruntime

from myrnn.compiler import guard
from myrnn.exports import network_of
from myrnn.exports.onnx import onnx_model

# The largest difference of a logit, relative to the largest logit.
TOLERANCE = 1e-5


def session(network, *, tokens=False, batched=False):
    """Return a function that runs the ONNX model of a network in onnxruntime."""
    model = onnx_model(network, tokens=tokens, batched=batched)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    running = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x: running.run(["logits"], {"tokens" if tokens else "x": x})[0]


@contextmanager
def few_known(steps):
    """Read the numbers of tables off fewer steps of the model: many take long."""
    usual, guard.TRACED = guard.TRACED, steps
    try:
        yield
    finally:
        guard.TRACED = usual


def largest_difference(compiled, lengths=(1, 2, 7, 50)):
    """Return the largest difference of ONNX to the model in MyGrad, relative to the largest logit.

    Of two sequences, one after the other and together.
    """
    with few_known(max(lengths)):
        network = network_of(compiled)
    alone, together, worst = session(network), session(network, batched=True), 0.0
    for length in lengths:
        x = np.random.default_rng(length).normal(size=(2, length, compiled.dim_input)).astype(np.float32)
        with mg.no_autodiff:
            wanted = np.stack([np.asarray(compiled.model(each)) for each in x]).astype(np.float64)
        one_by_one, at_once = np.stack([alone(each) for each in x]), together(x)
        assert one_by_one.shape == wanted.shape
        assert at_once.shape == (wanted.shape if network.per_step else wanted[:, 0].shape)
        of_all = [np.abs(found.reshape(wanted.shape) - wanted).max() for found in (one_by_one, at_once)]
        # Of these, NaN is the largest.
        worst = np.maximum(worst, np.max(of_all) / max(np.abs(wanted).max(), 1e-30))
    return worst
