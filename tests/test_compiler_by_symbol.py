"""What a step computes from its symbol alone is computed once for each symbol, in programs for batches of tokens."""

import builtins

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid, softmax

import myrnn
from marks import the_rest_is_long
from myrnn.compiler import compile
from myrnn.compiler.by_symbol import MOST_SYMBOLS, by_symbol
from myrnn.compiler.derive import hoist
from recurrences.oracle import compiled_mean, difference, mean_by_mygrad

C, E, D, K = 5, 4, 6, 3
SHAPES = {"e": (C, E), "a": (C, D), "b": (C, D), "p": (E, D), "h": (D, D), "g": (C, 1), "bias": (D,), "y": (D, K)}
# The step, given the row, the state h (D,), and e, the product of the row with `w.e`; and the sizes of what is looked
# up.
STEPS = {
    "a gate": ("sigmoid(x_t @ w.a + w.bias) * h + x_t @ w.b", [D]),
    "a product of two weights": ("mg.tanh(e @ w.p + h @ w.h)", [D]),
    "a norm without a least length": ("0.5 * h + (x_t @ w.a) / mg.sqrt(mg.sum((x_t @ w.a) ** 2))", [D]),
    "a logarithm": ("0.5 * h + mg.log(x_t @ w.a)", [D]),
    "a single number": ("sigmoid(x_t @ w.g) * h + x_t @ w.a", [1]),
    "a single number that is repeated": ("0.5 * h + mg.exp(x_t @ w.g) * w.bias", [1]),
    "a sum for each of two heads": (
        "0.5 * h + mg.sum(sigmoid((x_t @ w.a).reshape(2, 3)), axis=1)[[0, 0, 0, 1, 1, 1]]",
        [2],
    ),
    "a softmax along columns": ("0.5 * h + softmax((x_t @ w.a).reshape(2, 3), axis=0).reshape(6)", [D]),
    "numbers in another order": ("0.5 * h + mg.tanh((x_t @ w.a)[::-1] + x_t @ w.b)", [D]),
    "side by side": ("0.5 * h + mg.tanh(mg.concatenate([e, e[1:3]]))", [D]),
    "side by side with a number": ("0.5 * h + mg.tanh(mg.concatenate([np.ones(1), e, e[1:2]]))", [D]),
    "the row twice": ("mg.tanh(mg.concatenate([x_t, x_t]) @ mg.concatenate([w.a, w.b])) * h", [D]),
    "the row in two halves": ("mg.tanh((x_t[:4].reshape(2, 2) @ w.e[:2]).reshape(-1)[:6]) * h", [D]),
    "all of the row in parts": ("mg.tanh((x_t.reshape(5, 1) @ w.e[:1]).reshape(-1)[:6]) * h", [D]),
    "the row in another order": ("mg.tanh(x_t[::-1] @ w.a) * h", [D]),
    "a part of the row": ("mg.tanh(x_t[1:4] @ w.a[:3]) * h", [D]),
    "numbers for columns": ("0.5 * h + mg.matmul(mg.tanh(w.g[:1]), mg.tanh(x_t @ w.a)[None])[0]", [D]),
    "a choice": ("0.5 * h + mg.where(x_t[0] > 0, mg.tanh(x_t @ w.a), 0.1)", [D]),
    "a product of two rows": ("0.5 * h + mg.matmul(e, mg.tanh(e.reshape(4, 1) + (x_t @ w.a)))", [D]),
    "products of heads": (
        "0.5 * h + mg.einsum('hi,hij->hj', e.reshape(2, 2), mg.tanh(w.p.reshape(2, 2, 6)[:, :, :3])).reshape(6)",
        [D],
    ),
    "an outer product that is not small": (
        "mg.tanh(mg.matmul(h, sigmoid(x_t @ w.a)[:, None] * mg.tanh(x_t @ w.b)[None]))",
        [D, D],
    ),
    "the row itself": ("mg.tanh(h + mg.sum(x_t * w.a[:, 0]) + mg.sqrt(x_t[1] + 1.0))", [1, 1]),
    "products alone": ("mg.tanh(x_t @ w.a + h @ w.h + w.bias)", []),
    "of the state": ("mg.tanh(h * (x_t @ w.a)) + 0.1 * mg.sum(h * h)", []),
}


class Model:
    """A model of one state, whose step is given as text, with a learned initial state."""

    def __init__(self, step, per_step=True, symbols=C):
        rng, shapes = np.random.default_rng(0), {**SHAPES, **dict.fromkeys("ab", (symbols, D)), "e": (symbols, E)}
        self.step, self.per_step = builtins.compile(step, "<test>", "eval"), per_step
        numbers = {name: rng.normal(size=shape).astype(np.float32) / 2 for name, shape in shapes.items()}
        # Without a logarithm or a norm: nothing may be computed from a symbol that does not occur.
        numbers["a"], numbers["a"][-1] = np.abs(numbers["a"]) + 0.1, 0
        self.weights = {name: mg.tensor(one) for name, one in numbers.items()}
        self.begin = mg.tensor(rng.normal(size=D).astype(np.float32))
        self.parameters = (*self.weights.values(), self.begin)

    def __call__(self, x):
        w, h, rows = _Named(self.weights), mg.tanh(self.begin), []
        for x_t in x:
            known = {
                "mg": mg,
                "np": np,
                "sigmoid": sigmoid,
                "softmax": softmax,
                "w": w,
                "h": h,
                "x_t": x_t,
                "e": x_t @ w.e,
            }
            h = eval(self.step, known)
            rows.append(h @ w.y)
        return mg.stack(rows) if self.per_step else (h @ w.y)[np.newaxis]


class _Named:
    def __init__(self, values):
        vars(self).update(values)


def sequences_of(tokens, lengths, per_step, dim_input=C):
    """Return sequences with labels that are drawn."""
    labels = np.random.default_rng(0).integers(K, size=sum(lengths) if per_step else len(lengths))
    return myrnn.Sequences(tokens, np.cumsum([0, *lengths]), labels, dim_input, per_step=per_step)


def disagreement_on(compiled, sequences):
    """Return a message that says where the loss and gradients of a batch differ from MyGrad's, or None."""
    return difference(compiled_mean(compiled, sequences, batched=True), mean_by_mygrad(compiled.model, sequences))


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("per_step", the_rest_is_long([False, True], False))
@pytest.mark.parametrize(("step", "sizes"), STEPS.values(), ids=STEPS)
def test_what_reads_a_symbol_alone_is_looked_up(step, sizes, per_step):
    compiled = compile(Model(step, per_step), dim_input=C, check=False)
    found = by_symbol(compiled.recurrence)
    tables = [] if found is None else [node.size // C for node in hoist(found).derived if node.size % C == 0]
    assert sorted(tables) == sorted(sizes)
    # More sequences than run together; the last symbol, whose weights have no logarithm and no norm, does not occur.
    lengths = [5, 1, 7, 2, 3, *([] if per_step else [0])]
    tokens = np.random.default_rng(1).integers(C - 1, size=sum(lengths))
    assert disagreement_on(compiled, sequences_of(tokens, lengths, per_step)) is None


@pytest.mark.usefixtures("in_python")
def test_a_batch_of_empty_sequences_reads_no_symbol():
    compiled = compile(Model(STEPS["a logarithm"][0], per_step=False), dim_input=C, check=False)
    compiled.native(tokens=True, batched=True)
    compiled.model.weights["a"].data[0] = 0
    assert disagreement_on(compiled, sequences_of(np.zeros(0, np.int64), [0, 0, 0], per_step=False)) is None


class Starting:
    """Begins with the first row; later steps add the length of theirs."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.w, self.y = (mg.tensor(rng.normal(size=size).astype(np.float32)) for size in ((C, D), (D, K)))
        self.parameters = (self.w, self.y)

    def __call__(self, x):
        h = np.zeros(D, dtype=np.float32)
        for t, x_t in enumerate(x):
            z = x_t @ self.w
            h = z if t == 0 else 0.5 * h + mg.sqrt(mg.sum(z * z)) + sigmoid(z)
        return (h @ self.y)[np.newaxis]


@pytest.mark.usefixtures("in_python")
def test_a_first_symbol_has_no_gradient_through_what_only_later_steps_need():
    compiled = compile(Starting(), dim_input=C, check=False)
    compiled.native(tokens=True, batched=True)
    compiled.model.w.data[0] = 0
    assert disagreement_on(compiled, sequences_of(np.array([0, 3, 1, 0, 2]), [3, 2], per_step=False)) is None


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("symbols", [1, MOST_SYMBOLS + 1])
def test_many_symbols_are_not_all_computed(symbols):
    model = Model(STEPS["a gate"][0], symbols=symbols)
    assert by_symbol(compile(model, dim_input=symbols, check=False).recurrence) is None


def penalty(model):
    return 0.1 * mg.sum(model.begin**2)


@pytest.mark.parametrize("name", the_rest_is_long(["a gate", "a product of two weights"], "a gate"))
def test_what_serves_all_parts_of_a_batch_is_added_once(name):
    step, _ = STEPS[name]
    trained, lengths = [Model(step), Model(step)], np.arange(1, 40)
    sequences = sequences_of(np.random.default_rng(1).integers(C, size=lengths.sum()), lengths, per_step=True)
    losses = [
        myrnn.train(
            model, sequences, myrnn.SGD(model.parameters, learning_rate=0.5), 3, 39, engine=engine, penalty=penalty,
            progress=False,
        ).loss
        for model, engine in zip(trained, ("native", "mygrad"), strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for ours, theirs in zip(*(model.parameters for model in trained), strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, atol=1e-5)
