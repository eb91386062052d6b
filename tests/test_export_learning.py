"""Exported networks go on learning: after 100 iterations their weights are those of native training."""

import ctypes
import json
import shutil
import subprocess
from dataclasses import replace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import softmax

from marks import the_rest_is_long
from myrnn import LSTM, RNN, SGD, Adam, Experiment, Sequences, Stacked, compile, dropout, export
from myrnn.errors import CompileError, InvalidArgument
from myrnn.exports import Options, c, javascript, network_of
from myrnn.learning_curve import LearningCurve
from myrnn.losses import CROSS_ENTROPY, MEAN_SQUARED_ERROR, SIGMOID_CROSS_ENTROPY, Objective
from myrnn.registry import register
from myrnn.runs import Run, TaskReader
from myrnn.training.native import Batches, NativeEngine, Problem
from recurrences.registry import weight
from run_c import FLAGS

COUNT, INPUTS, OUTPUTS = 100, 5, 3

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler"),
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node"),
]

MODELS = {
    "RNN": lambda: RNN(INPUTS, 9, OUTPUTS, activation="tanh", rng=0),
    "LSTM": lambda: LSTM(INPUTS, 9, OUTPUTS, rng=0),
    "bidirectional": lambda: Stacked(INPUTS, 6, OUTPUTS, cell="gru", bidirectional=True, rng=0),
    "stack": lambda: Stacked(INPUTS, 6, OUTPUTS, cell="stack-rnn", stack_depth=4, stack_width=3, layers=1, rng=0),
    "every step": lambda: Stacked(INPUTS, 6, OUTPUTS, cell="lstm", per_step=True, dim_embedding=4, rng=0),
}
LOSSES = {"a class": CROSS_ENTROPY, "several classes at once": SIGMOID_CROSS_ENTROPY, "numbers": MEAN_SQUARED_ERROR}
OPTIMIZERS = {"sgd": (SGD, 0.05), "adam": (Adam, 0.003)}


def sequences_for(model, what, *, tokens):
    """Return sequences of 1 to 9 steps, with targets."""
    rng, per_step = np.random.default_rng(1), getattr(model, "per_step", False)
    lengths = rng.integers(1, 10, COUNT)
    rows = lengths.sum() if per_step else COUNT
    given = rng.integers(0, INPUTS, lengths.sum()) if tokens else rng.normal(size=(lengths.sum(), INPUTS))
    targets = {
        "a class": lambda: rng.integers(0, OUTPUTS, rows),
        "several classes at once": lambda: rng.random((rows, OUTPUTS)) > 0.5,
        "numbers": lambda: rng.normal(size=(rows, OUTPUTS)),
    }[what]()
    given = given if tokens else given.astype(np.float32)
    return Sequences(given, np.concatenate([[0], np.cumsum(lengths)]), targets, INPUTS, per_step=per_step)


def parts(sequences):
    """Yield each sequence and its target."""
    for i in range(COUNT):
        begin, end = sequences.offsets[i : i + 2]
        target = sequences.targets[begin:end] if sequences.per_step else sequences.targets[i]
        yield sequences.values[begin:end], target * 1


def natively(model, sequences, loss, optimizer):
    """Train on one sequence after the other, and return all weights."""
    problem = Problem(model, optimizer, Objective(loss), 1, 0)
    engine = NativeEngine(problem, compile(model, dim_input=INPUTS, check=False), sequences)
    engine.run(Batches(sequences, np.arange(COUNT)[:, None]))
    return np.concatenate([parameter.data.reshape(-1) for parameter in model.parameters])


def in_c(network, sequences, name, rate, folder, *, tokens):
    (folder / "net.c").write_text(c.written(network, Options("net", tokens=tokens, training=True)))
    options = [*FLAGS, "-O1", "-ftrivial-auto-var-init=pattern", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "net.c", "-o", "net.so", "-lm"], check=True, cwd=folder)
    net = ctypes.CDLL(str(folder / "net.so"))
    net.net_gradients.restype = ctypes.c_float

    def pointer(array):
        return array.ctypes.data_as(ctypes.c_void_p)

    count = sum(weight.size for weight in network.weights)
    # One number more, which nothing changes.
    weights, gradients = np.full((2, count + 1), np.nan, np.float32)
    moments = np.zeros(2 * count, np.float32)
    net.net_first_weights(pointer(weights))
    for i, (x, target) in enumerate(parts(sequences)):
        given = np.ascontiguousarray(x, np.intc if tokens else np.float32)
        work = np.full(net.net_learning_work(len(x)) + 1, np.nan, np.float32)
        kind = np.intc if sequences.targets.ndim == 1 else np.float32
        target = np.asarray(target, kind, order="C")
        answer = ctypes.c_int(int(target)) if kind is np.intc and not target.ndim else pointer(target)
        loss = net.net_gradients(pointer(weights), pointer(given), len(x), answer, pointer(work), pointer(gradients))
        assert np.isfinite(loss)
        assert np.isnan([work[-1], gradients[-1], weights[-1]]).all()
        if name == "sgd":
            net.net_sgd(pointer(weights), pointer(gradients), ctypes.c_float(rate))
        else:
            arrays = map(pointer, (weights, gradients, moments))
            net.net_adam(*arrays, i + 1, len(x), ctypes.c_float(rate))
    return weights[:-1], read_in_c(net, pointer, pointer(weights), given, network)


def read_in_c(net, pointer, weights, given, network):
    """Return the outputs for a sequence with these weights."""
    logits = np.full((len(given) if network.per_step else 1, network.dim_output), np.nan, np.float32)
    if not hasattr(net, "net_step"):
        work = np.full(net.net_work(len(given)), np.nan, np.float32)
        assert net.net_run(weights, pointer(given), len(given), pointer(work), pointer(logits)) == 0
        return logits
    state = np.full(10_000, np.nan, np.float32)
    net.net_start(pointer(state), weights)
    for t, x in enumerate(given):
        assert net.net_step(pointer(state), ctypes.c_int(x) if given.ndim == 1 else pointer(x)) == 0
        net.net_logits(pointer(state), pointer(logits[t if network.per_step else 0]))
    return logits


SCRIPT = """
import fs from "node:fs";
import * as net from "./net.mjs";
const { data, name, rate } = JSON.parse(fs.readFileSync("data.json"));
const weights = net.firstWeights();
const moments = new Float32Array(2 * weights.length);
data.forEach(([xs, target], i) => {
    const { gradients } = net.gradients(weights, xs, target);
    if (name === "sgd") net.sgd(weights, gradients, rate);
    else net.adam(weights, gradients, moments, i + 1, xs.length, rate);
});
const outputs = net.run(data.at(-1)[0], weights);
const rows = net.info.perStep ? outputs : [outputs];
console.log(JSON.stringify({ weights: Array.from(weights), outputs: rows.map((row) => Array.from(row)) }));
"""


def in_javascript(network, sequences, name, rate, folder, *, tokens):
    source = javascript.written(network, Options("net", tokens=tokens, training=True))
    (folder / "net.mjs").write_text(source, encoding="utf-8")
    (folder / "learn.mjs").write_text(SCRIPT, encoding="utf-8")
    data = [(x.tolist(), target.tolist()) for x, target in parts(sequences)]
    (folder / "data.json").write_text(json.dumps({"data": data, "name": name, "rate": rate}))
    done = subprocess.run(["node", "learn.mjs"], check=True, cwd=folder, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return np.array(told["weights"], dtype=np.float32), np.array(told["outputs"], dtype=np.float32)


# Each model with each loss and input, and with one of the optimizers, so that each two of them meet.
CASES = {
    f"{model} {what} {optimizer} {'tokens' if tokens else 'features'}": (model, what, optimizer, tokens)
    for i, model in enumerate(MODELS)
    for j, what in enumerate(LOSSES)
    for tokens in (True, False)
    for optimizer in [list(OPTIMIZERS)[(i + j + tokens) % len(OPTIMIZERS)]]
}

# The others compare with the same program in Python, which takes much less time than to compile it.
IN_MACHINE_CODE = "LSTM a class sgd tokens"


@pytest.mark.parametrize("case", the_rest_is_long(CASES, IN_MACHINE_CODE))
def test_weights_are_those_of_native_training(case, tmp_path, request):
    if case != IN_MACHINE_CODE:
        request.getfixturevalue("in_python")
    name, what, optimizer, tokens = CASES[case]
    model, (kind, rate) = MODELS[name](), OPTIMIZERS[optimizer]
    sequences, network = sequences_for(model, what, tokens=tokens), network_of(compile(model, dim_input=INPUTS))
    network = replace(network, targets=what)
    found = [run(network, sequences, optimizer, rate, tmp_path, tokens=tokens) for run in (in_c, in_javascript)]
    begun = np.concatenate([weight.reshape(-1) for weight in network.weights])
    expected = natively(model, sequences, LOSSES[what], kind(model.parameters, learning_rate=rate))
    # It has learned something.
    assert np.abs(expected - begun).max() > 0.01
    *_, (x, _) = parts(sequences)
    outputs = np.asarray(model(np.eye(INPUTS, dtype=np.float32)[x] if tokens else x).data)
    for weights, answer in found:
        assert np.abs(weights - expected).max() <= 1e-4
        assert np.abs(answer - outputs).max() <= 1e-3


def test_a_loss_of_zero_steps_or_with_wrong_targets_is_refused(tmp_path):
    network = network_of(RNN(INPUTS, 4, OUTPUTS, rng=0))
    (tmp_path / "net.c").write_text(c.written(network, Options("net", tokens=True, training=True)))
    lines = ["#include <stdio.h>", '#include "net.c"', "int main(void) {", "int tokens[3] = {1, 2, 3};"]
    lines += ["float w[NET_WEIGHTS], g[NET_WEIGHTS], work[10000];", "net_first_weights(w); g[0] = 7.0f;"]
    calls = ["tokens, 3, 0", "tokens, 0, 0", "tokens, 3, -1", "tokens, 3, 3", "tokens, NET_MOST_LEARNING_STEPS + 1, 0"]
    for given in calls:
        lines += ["g[0] = 7.0f;", f'printf("%d", isnan(net_gradients(w, {given}, work, g)) != 0);']
        lines.append('printf("%d ", g[0] == 7.0f);')
    lines += [
        "tokens[1] = 5;",
        'printf("%d\\n", isnan(net_gradients(w, tokens, 3, 0, work, g)) != 0);',
        "return 0;",
        "}",
    ]
    (tmp_path / "main.c").write_text("\n".join(lines))
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main", "-lm"], check=True, cwd=tmp_path)
    printed = subprocess.run(["./main"], check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert printed.split() == ["00", "11", "11", "11", "11", "1"]


class Dropped:
    """A cell with dropout."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.w, self.u, self.v = weight(rng, INPUTS, 4), weight(rng, 4, 4), weight(rng, 4, OUTPUTS)
        self.parameters = (self.w, self.u, self.v)

    def __call__(self, x):
        h = np.zeros((1, 4), dtype=np.float32)
        for row in x:
            h = dropout(mg.tanh(row[np.newaxis] @ self.w + h @ self.u), 0.2)
        return h @ self.v


@pytest.mark.parametrize("ending", ["c", "js"])
def test_a_model_that_draws_random_numbers_is_refused_for_training_alone(ending, tmp_path):
    export(Dropped(), tmp_path / f"net.{ending}")
    with pytest.raises(
        CompileError, match=r"random numbers when it trains \(dropout\), which exported training does not"
    ):
        export(Dropped(), tmp_path / f"again.{ending}", training=True)
    assert not (tmp_path / f"again.{ending}").exists()


def test_a_loss_that_is_not_the_librarys_is_refused(registered_here, tmp_path):
    register("loss", "brier")(lambda outputs, targets: ((softmax(outputs) - np.eye(2)[targets]) ** 2).sum(axis=1))
    experiment = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=3")
    experiment = experiment.with_training(engine="mygrad", loss="brier")
    task, model, _ = experiment.make()
    run = Run(
        experiment, model, TaskReader(task), LearningCurve.from_columns({"iteration": [], "loss": [], "accuracy": []})
    )
    with pytest.raises(InvalidArgument, match=r"by one of cross-entropy, .*, huber, not by brier$"):
        export(run, tmp_path / "net.c", training=True)


WRONG = """
import * as net from "./net.mjs";
const weights = net.firstWeights(), count = weights.length;
const gradients = new Float32Array(count), moments = new Float32Array(2 * count);
const calls = [
    () => net.run([1], weights.slice(1)),
    () => net.run([1], Array.from(weights)),
    () => net.gradients(weights.slice(1), [1], 0),
    () => net.gradients(weights, [1], 3),
    () => net.gradients(weights, [1], undefined),
    () => net.gradients(weights, [], 0),
    () => net.sgd(weights, gradients),
    () => net.sgd(weights, gradients.slice(1), 0.1),
    () => net.adam(weights, gradients, moments, 1, 0.1),
    () => net.adam(weights, gradients, moments.slice(1), 1, 2, 0.1),
    () => net.adam(weights, gradients, moments, 0, 2, 0.1),
];
const names = calls.map((call) => { try { call(); return "nothing"; } catch (error) { return error.name; } });
console.log(JSON.stringify({ names, unchanged: weights.every((one, i) => one === net.firstWeights()[i]) }));
"""


def test_wrong_arguments_are_refused_in_javascript_and_change_nothing(tmp_path):
    network = network_of(RNN(INPUTS, 4, OUTPUTS, rng=0))
    (tmp_path / "net.mjs").write_text(javascript.written(network, Options("net", tokens=True, training=True)))
    (tmp_path / "wrong.mjs").write_text(WRONG)
    done = subprocess.run(["node", "wrong.mjs"], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"names": ["RangeError"] * 11, "unchanged": True}
