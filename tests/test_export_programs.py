"""Exported C and JavaScript: they compute what the model computes in MyGrad, and refuse what they cannot read."""

import re
import shutil
import subprocess
from dataclasses import replace

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import relu, selu, sigmoid

from marks import the_rest_is_long
from myrnn import GRU, LSTM, RNN, Stacked, compile
from myrnn.compiler.ops import OPERATIONS
from myrnn.exports import Options, c, javascript, network_of
from recurrences import ALL, C, K
from recurrences.registry import weight
from run_c import FLAGS, Library
from run_javascript import run_module

LENGTHS = (1, 2, 7, 50)
# The others are long: each takes most of a second.
SHORT = {"Elman", "MeanPooling", "WindowTagger", "ClockFromZero", "StackRNN"}

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler"),
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node"),
]


def library(network, folder, *, tokens=False, options=("-O1",)):
    source = c.written(network, Options("net", tokens=tokens))
    return Library(source, folder, outputs=network.dim_output, per_step=network.per_step, options=options)


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def readable(model, length):
    """Whether the model itself reads so many steps."""
    try:
        model(np.zeros((length, C), dtype=np.float32))
    except (IndexError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    "entry", [pytest.param(e, id=str(e), marks=() if e.name in SHORT else pytest.mark.long) for e in ALL if e.compiles]
)
def test_every_recurrence_is_right_in_c_and_javascript(entry, tmp_path):
    model = entry.made()
    network = network_of(compile(model, dim_input=C, check=False))
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, C)).astype(np.float32) for n in LENGTHS if readable(model, n)]
    expected = [np.asarray(model(x).data) for x in sequences]
    in_c = library(network, tmp_path)
    _, answers = run_module(javascript.written(network, Options("net")), sequences, tmp_path)
    for x, answer, logits in zip(sequences, answers, expected, strict=True):
        assert_close(in_c.run(x), logits)
        assert_close(answer, logits)


MODELS = {
    "RNN": lambda: RNN(7, 18, 3, rng=0),
    "GRU": lambda: GRU(7, 18, 3, rng=0),
    "LSTM": lambda: LSTM(7, 18, 3, rng=0),
    "stacked": lambda: Stacked(7, 18, 3, cell="gru", dim_embedding=4, rng=0),
    "bidirectional": lambda: Stacked(7, 18, 3, bidirectional=True, rng=0),
    "every step": lambda: Stacked(7, 18, 3, cell="lstm", layers=1, per_step=True, rng=0),
}


@pytest.mark.parametrize("name", the_rest_is_long(MODELS, "LSTM"))
def test_tokens_are_read_as_rows_of_the_weights(name, tmp_path):
    model = MODELS[name]()
    network, tokens = network_of(model), np.random.default_rng(1).integers(0, 7, 20)
    expected = np.asarray(model(np.eye(7, dtype=np.float32)[tokens]).data)
    assert_close(library(network, tmp_path, tokens=True).run(tokens), expected)
    info, (answer,) = run_module(javascript.written(network, Options("net", tokens=True)), [tokens], tmp_path)
    assert_close(answer, expected)
    assert (info["inputs"], info["outputs"], info["tokens"]) == (7, 3, True)
    # There are no products with a one-hot row.
    assert "one_hot" not in c.written(network, Options("net", tokens=True))


def test_there_are_outputs_after_every_step_of_a_model_that_only_reads_the_last_state(tmp_path):
    model, x = LSTM(4, 6, 2, rng=0), np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    rows = library(network_of(model), tmp_path).steps(x)
    assert_close(rows, np.concatenate([model(x[: t + 1]).data for t in range(5)]))


@pytest.mark.long
@pytest.mark.parametrize("options", [["-O0"], ["-O3", "-march=native"], ["-O1", "-ffast-math"]], ids=" ".join)
@pytest.mark.parametrize("name", ["GRU", "bidirectional", "every step"])
def test_the_optimization_of_the_compiler_does_not_matter(name, options, tmp_path):
    model, x = MODELS[name](), np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32)
    assert_close(library(network_of(model), tmp_path, options=options).run(x), np.asarray(model(x).data))


MAIN = """
#include <stdio.h>
#include "net.c"

int main(void) {
    struct net net;
    float logits[NET_OUTPUTS];
    int token;
    net_start(&net);
    while (scanf("%d", &token) == 1) {
        if (net_step(&net, token)) { printf("refused\\n"); continue; }
        net_logits(&net, logits);
        for (int k = 0; k < NET_OUTPUTS; k++) printf("%.9g ", logits[k]);
        printf("\\n");
    }
    return 0;
}
"""


def build_and_run(network, compiler, options, before, folder, tokens, main=MAIN, training=False):
    (folder / "net.c").write_text(c.written(network, Options("net", tokens=True, training=training)))
    (folder / "main.c").write_text(main)
    subprocess.run([compiler, *FLAGS, *options, "main.c", "-o", "main", "-lm"], check=True, cwd=folder)
    given = " ".join(map(str, tokens))
    done = subprocess.run([*before, "./main"], input=given, check=True, cwd=folder, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_a_token_that_there_is_not_is_refused_and_changes_nothing(tmp_path):
    network = network_of(RNN(7, 5, 2, rng=0))
    right = build_and_run(network, "gcc", [], [], tmp_path, [3, 1])
    assert build_and_run(network, "gcc", [], [], tmp_path, [3, 7, -1, 1]) == [right[0], "refused", "refused", right[1]]
    _, answers = run_module(
        javascript.written(network, Options("net", tokens=True)), [[3, 7], [-1], [1.5], ["3"], []], tmp_path
    )
    assert answers[0] == "RangeError: a token must be an integer from 0 to 6, not 7"
    assert all(str(answer).startswith("RangeError") for answer in answers)


def test_rows_of_another_width_are_refused(tmp_path):
    network = network_of(GRU(3, 5, 2, rng=0))
    _, answers = run_module(javascript.written(network, Options("net")), [[[1, 2]], [[1, 2, "3"]], [1], []], tmp_path)
    assert answers[0] == "RangeError: a row must be an array of 3 numbers, not [1,2]"
    assert all(str(answer).startswith("RangeError") for answer in answers)


@pytest.mark.long
@pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-arm")), reason="there is no ARM compiler, or no QEMU"
)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "every step"])
def test_a_microcontroller_computes_the_same(name, tmp_path):
    model, tokens = MODELS[name](), [3, 1, 4, 1, 5, 2, 6]
    options = ["-O2", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "--specs=rdimon.specs"]
    lines = build_and_run(
        network_of(model), "arm-none-eabi-gcc", options, ["qemu-arm", "-cpu", "cortex-m4"], tmp_path, tokens
    )
    found = np.array([line.split() for line in lines], dtype=np.float32)
    outputs = np.asarray(model(np.eye(7, dtype=np.float32)[tokens]).data)
    assert_close(found if len(outputs) > 1 else found[-1:], outputs)


SANITIZED = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LEARNING = """
#include <stdio.h>
#include <stdlib.h>
#include "net.c"

int main(void) {
    const int steps = 9, tokens[9] = {2, 1, 0, 1, 2, 2, 0, 1, 2};
    float *weights = malloc(NET_WEIGHTS * sizeof(float)), *gradients = malloc(NET_WEIGHTS * sizeof(float));
    float *moments = calloc(2 * NET_WEIGHTS, sizeof(float)), *work = malloc(net_learning_work(steps) * sizeof(float));
    net_first_weights(weights);
    for (int i = 1; i < 4; i++) {
        printf("%.9g\\n", net_gradients(weights, tokens, steps, TARGET, work, gradients));
        net_adam(weights, gradients, moments, i, steps, 0.01f);
    }
    USE
    free(weights), free(gradients), free(moments), free(work);
    return 0;
}
"""
WHOLE = """float logits[NET_OUTPUTS], *others = malloc(net_work(steps) * sizeof(float));
    net_run(weights, tokens, steps, others, logits);
    free(others);"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["LSTM", "every step", "bidirectional"])
def test_nothing_outside_of_the_arrays_is_touched(name, tmp_path):
    network = network_of(MODELS[name]())
    if name != "bidirectional":
        assert len(build_and_run(network, "gcc", SANITIZED, [], tmp_path, [1, 2, 9, 3])) == 4
    main = LEARNING.replace("TARGET", "tokens" if network.per_step else "2")
    main = main.replace("USE", WHOLE if name == "bidirectional" else "")
    losses = build_and_run(network, "gcc", SANITIZED, [], tmp_path, [], main=main, training=True)
    assert float(losses[2]) < float(losses[0])


# Operations without a class of their own in MyGrad.
OTHERS = {
    "greater": lambda a, b: mg.where(a > b, a, 2 * b),
    "sign": np.sign,
    "floor": np.floor,
    "rint": np.rint,
    "abs": mg.abs,
    "cube": lambda a: mg.tensor(a) ** 3,
    "relu": relu,
    "sigmoid": sigmoid,
    "selu": selu,
}
WITHOUT_GRADIENT = {"sign", "floor", "rint"}
FUNCTIONS = {
    name: OTHERS[name] if name in OTHERS else getattr(mg, name)
    for name, row in OPERATIONS.items()
    if row.domain and (name in OTHERS or hasattr(mg, name))
}


class EveryFunction:
    """Outputs of each step: every elementary function, of columns of its own."""

    def __init__(self):
        self.scale = mg.tensor(np.ones(len(FUNCTIONS), dtype=np.float32))
        self.parameters = (self.scale,)

    def __call__(self, x):
        rows = []
        for row in x:
            values, at = [], 0
            for name, function in FUNCTIONS.items():
                inputs = []
                for low, high in OPERATIONS[name].domain:
                    given = row[at : at + 1]
                    # NumPy's functions without a gradient take the input itself.
                    inputs.append(given if name in WITHOUT_GRADIENT else low + (high - low) * sigmoid(given))
                    at += 1
                values.append(function(*inputs))
            rows.append(mg.concatenate([mg.tensor(value) for value in values]) * self.scale)
        return mg.stack(rows)


@pytest.mark.long
def test_every_elementary_function_is_right(tmp_path):
    width = sum(len(OPERATIONS[name].domain) for name in FUNCTIONS)
    x = np.random.default_rng(0).normal(size=(40, width)).astype(np.float32)
    model = EveryFunction()
    network, expected = network_of(compile(model, 4, dim_input=width, check=False)), np.asarray(model(x).data)
    _, (answer,) = run_module(javascript.written(network, Options("net")), [x], tmp_path)
    for found in (library(network, tmp_path).run(x), answer):
        wrong = np.abs(found - expected) > 2e-6 + 1e-5 * np.abs(expected)
        assert not wrong.any(), [list(FUNCTIONS)[i] for i in np.flatnonzero(wrong.any(axis=0))]


class Awkward:
    """Variables and weights whose names the languages, or the exported functions, have."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.start, self.float, self.tanhf, self.await_ = (weight(rng, *s) for s in ((C, 6), (6, 6), (6,), (6, K)))
        self.names = ("start", "float", "Math", "new")
        self.parameters = (self.start, self.float, self.tanhf, self.await_)

    def __call__(self, x):
        let = np.zeros((1, 6), dtype=np.float32)
        for void in x:
            double = void[np.newaxis] @ self.start
            function = mg.tanh(double + let @ self.float + self.tanhf)
            let = function * 0.5 - -function * double
        return let @ self.await_


def test_names_of_the_model_may_be_words_of_the_languages(tmp_path):
    model, x = Awkward(), np.random.default_rng(0).normal(size=(4, C)).astype(np.float32)
    network, expected = network_of(model), np.asarray(model(x).data)
    assert_close(library(network, tmp_path).run(x), expected)
    assert "net_new" not in c.written(network, Options("net", training=True))
    (tmp_path / "net.cpp").write_text(c.written(network, Options("net", training=True)))
    if shutil.which("g++"):
        subprocess.run(["g++", "-Wall", "-Wextra", "-Werror", "-c", "net.cpp"], check=True, cwd=tmp_path)
    _, (answer,) = run_module(javascript.written(network, Options("net")), [x], tmp_path)
    assert_close(answer, expected)


class Stateless:
    """Each step is scored by itself."""

    def __init__(self):
        self.w = weight(np.random.default_rng(0), C, K)
        self.parameters = (self.w,)

    def __call__(self, x):
        return mg.concatenate([row[np.newaxis] @ self.w for row in x])


def test_a_model_without_states_is_right(tmp_path):
    model, x = Stateless(), np.random.default_rng(0).normal(size=(4, C)).astype(np.float32)
    network, expected = network_of(model), np.asarray(model(x).data)
    assert_close(library(network, tmp_path).run(x), expected)
    _, (answer,) = run_module(javascript.written(network, Options("net")), [x], tmp_path)
    assert_close(answer, expected)


@pytest.mark.parametrize("name", ["x", "a", "h", "fc"])
def test_no_variable_hides_an_array_of_the_file(name, tmp_path):
    model = GRU(C, 5, K, rng=0)
    for training in (False, True):
        source = c.written(network_of(model), Options(name, training=training))
        (tmp_path / "file.c").write_text(source)
        subprocess.run(["gcc", *FLAGS, "-Wshadow", "-c", "file.c"], check=True, cwd=tmp_path)


def test_two_files_go_into_one_program(tmp_path):
    networks = {"one": network_of(RNN(3, 4, 2, rng=0)), "two": network_of(LSTM(3, 4, 2, rng=0))}
    for name, network in networks.items():
        (tmp_path / f"{name}.c").write_text(c.written(network, Options(name)))
    (tmp_path / "main.c").write_text('#include "one.c"\n#include "two.c"\nint main(void) { return 0; }\n')
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main", "-lm"], check=True, cwd=tmp_path)


def test_texts_are_the_same_in_every_language(tmp_path):
    symbols = ("a", '"', "\\", "ä", "*/", "</script>", "??/", "\n", "\udc80")
    network = network_of(RNN(len(symbols), 4, 2, rng=0))
    network = replace(network, symbols=symbols, title="a title */ with\\\udc80")
    (tmp_path / "net.c").write_text(c.written(network, Options("net", tokens=True)))
    lines = ["#include <stdio.h>", '#include "net.c"', "int main(void) {"]
    lines += ['for (int i = 0; i < NET_INPUTS; i++) printf("%s|", net_symbols[i]);']
    (tmp_path / "main.c").write_text("\n".join([*lines, "return 0;", "}"]))
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main", "-lm"], check=True, cwd=tmp_path)
    printed = subprocess.run(["./main"], check=True, cwd=tmp_path, capture_output=True).stdout
    printed = printed.decode(errors="surrogatepass")
    assert tuple(printed.split("|")[:-1]) == symbols
    info, _ = run_module(javascript.written(network, Options("net", tokens=True)), [], tmp_path)
    assert (tuple(info["symbols"]), info["name"]) == (symbols, "a title */ with\\\udc80")


class Positions:
    """A table of what each step adds, for 40 steps."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.table, self.w = rng.normal(size=(40, 5)).astype(np.float32), weight(rng, C, 5)
        self.u, self.v = weight(rng, 5, 5), weight(rng, 5, K)
        self.parameters = (self.w, self.u, self.v)

    def __call__(self, x):
        h = np.zeros((1, 5), dtype=np.float32)
        for t, row in enumerate(x):
            h = mg.tanh(row[np.newaxis] @ self.w + h @ self.u + self.table[t])
        return h @ self.v


def test_more_steps_than_a_table_has_are_refused(tmp_path):
    network, x = network_of(Positions()), np.zeros((100, C), dtype=np.float32)
    source = c.written(network, Options("net"))
    most = int(float(re.search(r"states\[\d+\] >= (\S+)f\)", source)[1]))
    assert 32 <= most < 100
    built = Library(source, tmp_path, outputs=K, per_step=False)
    assert len(built.steps(x[:most])) == most
    with pytest.raises(AssertionError):
        built.steps(x[: most + 1])
    _, answers = run_module(javascript.written(network, Options("net")), [x[:most], x], tmp_path)
    assert answers[1] == f"RangeError: the network can read {most} steps"


def test_files_are_short_and_need_nothing_else():
    network = network_of(RNN(10, 50, 2, rng=0))
    source = c.written(network, Options("net", tokens=True))
    assert re.findall(r"#include .*", source) == ["#include <math.h>"]
    assert not re.search(r"malloc|double|memcpy", source)
    text = javascript.written(network, Options("net", tokens=True))
    assert len(text) < 25_000 and "import" not in text
