"""Emitted code: readable, without unused names, and as reviewed."""

import ast
import itertools
import os
import re
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import relu, sigmoid

import zoo
from marks import the_rest_is_long
from myrnn.compiler import compile
from myrnn.compiler.buffers import Names
from myrnn.compiler.render.numba import OF_PROGRAMS, RESERVED, WIDTH, wrapped
from myrnn.models import GRU, LSTM, RNN

GOLDEN = Path(__file__).parent / "golden"
REWRITE = "MYRNN_REWRITE_GOLDEN"


def weight(rng, *shape):
    return mg.tensor((rng.normal(size=shape) * 0.4).astype(np.float32))


class Awkward:
    """Variables and weights with names that the emitted code also uses."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.sizes, self.store, self.BODY, self.VALUES = (
            weight(rng, 5, 6),
            weight(rng, 6, 6),
            weight(rng, 6),
            weight(rng, 6, 3),
        )
        self.mask = np.tril(np.ones((6, 6), dtype=np.float32))
        self.parameters = (self.sizes, self.store, self.BODY, self.VALUES)

    def __call__(self, x):
        p = np.zeros((1, 6), dtype=np.float32)
        for tokens in x:
            load = tokens[np.newaxis] @ self.sizes
            range = sigmoid(load + p @ (self.store * self.mask) + self.BODY)
            steps = range * mg.tanh(load)
            p = relu(steps + 0.5 * p)
        logits = p @ self.VALUES
        return logits


class Everything:
    """Two states, learned initial states, sums over features, joined and sliced vectors, a mean over time."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.A, self.B, self.h0, self.U, self.V = (
            weight(rng, 9, 8),
            weight(rng, 4, 4),
            weight(rng, 1, 4),
            weight(rng, 4, 5),
            weight(rng, 5, 2),
        )
        self.parameters = (self.A, self.B, self.h0, self.U, self.V)

    def __call__(self, x):
        h, seen = self.h0, []
        for x_t in x:
            both = mg.concatenate([x_t[np.newaxis], h], axis=1) @ self.A
            norm = mg.sqrt((both**2).mean(axis=1, keepdims=True) + 1e-3)
            h = mg.tanh(both[:, 4:] / norm) + mg.maximum(both[:, :4], 0.1) * (h @ self.B)
            seen.append(h)
        mean = mg.concatenate(seen).mean(axis=0, keepdims=True)
        return mg.logaddexp(mean @ self.U, 0) @ self.V


MODELS = {
    "rnn": lambda: RNN(10, 50, 2, rng=0),
    "gru": lambda: GRU(10, 20, 2, rng=0),
    "lstm": lambda: LSTM(10, 50, 2, rng=0),
    "awkward": Awkward,
    "everything": Everything,
}
KINDS = [(name, tokens, batched) for name in MODELS for tokens in (True, False) for batched in (True, False)]


@pytest.fixture(scope="module")
def sources():
    # These tests read the emitted code; other tests check its numbers.
    width = {"awkward": 5, "everything": 5}
    found = {name: compile(make(), 13, dim_input=width.get(name, 10), check=False) for name, make in MODELS.items()}
    return {(n, t, b): found[n].program(tokens=t, batched=b).source for n, t, b in KINDS}


@pytest.mark.parametrize(
    ("file", "kind"),
    [("rnn_tokens_single.py", ("rnn", True, False)), ("lstm_features_batched.py", ("lstm", False, True))],
)
def test_the_emitted_code_is_the_reviewed_code(file, kind, sources):
    path = GOLDEN / file
    if os.environ.get(REWRITE):
        path.write_text(sources[kind], encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    assert sources[kind] == expected, f"read what changed, then: {REWRITE}=1 pytest tests/test_compiler_emit.py"


@pytest.mark.long
@pytest.mark.parametrize("make", [GRU, RNN, LSTM])
@pytest.mark.parametrize("widths", [(3, 8, 15, 17, 50, 100), (16, 32, 64)], ids=["others", "multiples of 16"])
def test_one_program_serves_all_widths_of_a_class(make, widths):
    found = [compile(make(10, width, 2, rng=0), 9, check=False) for width in widths]
    for tokens, batched in itertools.product((True, False), repeat=2):
        assert len({one.program(tokens=tokens, batched=batched).source for one in found}) == 1


def functions(source):
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def names(tree, context):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_name_that_is_assigned_is_read(kind, sources):
    for function in functions(sources[kind]):
        assert names(function, ast.Store) <= names(function, ast.Load)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_imports_are_used_and_used_names_exist(kind, sources):
    tree = ast.parse(sources[kind])
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    imported = {"np" if name == "numpy" else name for name in imported}
    assert imported <= names(tree, ast.Load)
    for function in functions(sources[kind]):
        known = imported | names(function, ast.Store) | {a.arg for a in function.args.args}
        assert names(function, ast.Load) <= known | {"range", "len", "int", "float", "bool", "tuple"}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_lines_are_short_and_blocks_are_not_empty(kind, sources):
    lines = sources[kind].splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert all(line == line.rstrip() for line in lines)
    assert not any(isinstance(node, ast.Pass) for node in ast.walk(ast.parse(sources[kind])))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_header_shows_the_recurrence(kind, sources):
    text = ast.get_docstring(ast.parse(sources[kind]))
    assert "compiled.\n\nbefore the first step:\n" in text and "\nfor every x:\n" in text


def test_gradients_and_sums_are_named_after_the_model(sources):
    lstm = functions(sources["lstm", False, True])[0]
    found = names(lstm, ast.Store)
    assert {"f_sum", "i_sum", "o_sum", "d_f_sum", "d_c", "d_h", "d_o_j", "tanh_c", "d_logits"} <= found
    text = sources["rnn", True, False]
    for comment in (
        "# h_sum = x @ fc_x2h.weight + fc_x2h.bias",
        "# h_sum += h @ fc_h2h.weight",
        "# h = relu(h_sum)",
        "# d_h = d_h_sum @ fc_h2h.weight.T",
        "# d_fc_h2h_weight += h.T @ d_h_sum",
    ):
        assert f"{comment}\n" in text


def test_every_function_that_can_be_called_exists():
    import importlib

    for module, functions_of in OF_PROGRAMS.items():
        runtime = importlib.import_module(f"myrnn.compiler.runtime.{module}")
        assert all(callable(getattr(runtime, name)) for name in functions_of)


def test_no_emitted_name_shadows_a_called_function():
    given = Names(RESERVED)
    own = ("p", "g", "w", "t", "j", "r", "x", "row", "steps", "range", "len", "int", "np")
    for name in (*own, *itertools.chain(*OF_PROGRAMS.values())):
        assert given.new(name) != name


def test_names_are_distinct_identifiers():
    given = Names()
    assert given.new("fc.weight") == "fc_weight"
    assert given.new("fc.weight") == "fc_weight_2"
    assert given.new("2nd layer") == "v_2nd_layer"
    assert given.new("lambda") == "v_lambda"
    assert given.new("...") == "value"


def test_long_lines_break_after_commas_of_the_outermost_brackets():
    arguments = ", ".join(f"load(w, argument_{i} + j)" for i in range(8))
    parts = wrapped(f"    store({arguments})")
    assert len(parts) > 1 and all(len(part) <= WIDTH for part in parts)
    assert " ".join(part.strip() for part in parts) == f"store({arguments})"
    assert all(part.endswith("),") for part in parts[:-1])
    assert all(part.startswith(" " * 8 + "load") for part in parts[1:])
    assert wrapped("    # " + "x" * 200) == ["    # " + "x" * 200]


@pytest.mark.parametrize("kind", the_rest_is_long(zoo.ALL, zoo.Lesson, zoo.RunningSum))
def test_every_model_can_be_observed(kind):
    compiled = compile(zoo.made(kind), dim_input=kind.C, check=False)
    program = compiled.program(tokens=False, batched=False, observed=True)
    ast.parse(program.source)
    assert program.input_gradients.columns == kind.C
    assert [buffer.columns for buffer in program.state_gradients] == list(compiled.recurrence.state_sizes)


# Tokens or not, batched or not, and the observed program.
PROGRAMS = [*itertools.product([False, True], [False, True], [False]), (False, False, True)]


@pytest.mark.parametrize("kind", the_rest_is_long(zoo.ALL, zoo.Lesson, zoo.RunningSum))
def test_names_of_the_emitted_code_are_not_used_for_user_variables(kind):
    compiled = compile(zoo.made(kind), dim_input=kind.C, check=False)
    for tokens, batched, observed in PROGRAMS:
        program = compiled.program(tokens=tokens, batched=batched, observed=observed)
        run = next(n for n in ast.parse(program.source).body if isinstance(n, ast.FunctionDef) and n.name == "run")
        names = {n.id for n in ast.walk(run) if isinstance(n, ast.Name)} | {a.arg for a in run.args.args}
        for name in names - set(program.memory.names):
            assert re.search(r"(^|_)(j|sum)(_\d+)?$", name) or Names(RESERVED).new(name) != name, name


def test_models_with_the_same_equations_share_their_program():
    class Mine(RNN):
        """The same under another name."""

    texts = {compile(kind(10, 6, 2, rng=0)).program(tokens=True, batched=True).source for kind in (RNN, Mine)}
    assert len(texts) == 1
