"""Generated sequences: both engines draw the same tokens, by the probabilities of the model."""

import contextlib
import io
import itertools
import re
from pathlib import Path

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import tanh

from marks import the_rest_is_long
from myrnn import GRU, LSTM, RNN, Adam, Sequences, compile, dropout, generate, train
from myrnn.compiler.runtime import generation
from myrnn.errors import CompileError, InvalidArgument, NotFinite
from myrnn.generation import _drawn
from natively import native

TOKENS = 5


class NextToken:
    """A simple recurrent network with an output for every token at every step."""

    dim_input = TOKENS

    def __init__(self, backward=False, rate=0.3):
        rng = np.random.default_rng(0)
        self.backward, self.rate = backward, rate
        self.w, self.u, self.v = (
            mg.tensor(rng.normal(size=shape).astype(np.float32)) for shape in ((TOKENS, 8), (8, 8), (8, TOKENS))
        )
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h, rows = mg.zeros((1, 8), dtype=np.float32), []
        for x_t in x[::-1] if self.backward else x:
            h = dropout(tanh(x_t[None] @ self.w + h @ self.u), self.rate)
            rows.append(h @ self.v)
        return mg.concatenate(rows[::-1] if self.backward else rows)


def models():
    return [NextToken(), *(kind(TOKENS, 6, TOKENS, rng=0) for kind in (RNN, GRU, LSTM))]


OPTIONS = {}, {"temperature": 0.3}, {"temperature": 0}, {"top_k": 1}, {"top_k": 3}, {"top_k": 99, "temperature": 2}


@pytest.mark.parametrize("options", the_rest_is_long(OPTIONS, {}, {"top_k": 3}))
@pytest.mark.parametrize(
    "model",
    [pytest.param(m, id=type(m).__name__, marks=pytest.mark.long if i else ()) for i, m in enumerate(models())],
)
def test_both_engines_draw_the_same(model, options):
    for prime in ([2], [0, 4, 1, 1]):
        ours, theirs = (generate(model, prime, 16, seed=1, engine=e, **options) for e in ("native", "mygrad"))
        assert ours.dtype == np.int64
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("engine", the_rest_is_long(["native", "mygrad"], "native"))
def test_a_token_is_never_drawn(engine):
    model = NextToken(rate=0.0)
    plain = generate(model, [2], 40, seed=1, engine=engine)
    left_out = int(np.bincount(plain).argmax())
    for options in ({}, {"temperature": 0}, {"top_k": 2}, {"top_k": TOKENS}):
        found = generate(model, [2], 40, never=[left_out], seed=1, engine=engine, **options)
        assert left_out not in found
    # The probabilities of the others are divided by their sum.
    compiled, expected, token, state = compile(model), [], 2, compile(model).start()
    for uniform in np.random.default_rng(1).random(40):
        state, logits = compiled.step(state, token)
        rest = np.delete(np.arange(TOKENS), left_out)
        token = int(rest[_drawn(logits[rest].astype(float), uniform, 1.0, TOKENS - 1)])
        expected.append(token)
    np.testing.assert_array_equal(generate(model, [2], 40, never=[left_out], seed=1, engine=engine), expected)


def test_the_number_determines_the_drawn_token():
    logits = np.log([0.1, 0.2, 0.3, 0.4])
    found = [_drawn(logits, u, 1.0, 4) for u in (0, 0.09, 0.11, 0.29, 0.31, 0.59, 0.61, 0.999999)]
    assert found == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [_drawn(logits, u, 1.0, 2) for u in (0, 0.42, 0.44, 0.99)] == [2, 2, 3, 3]


@pytest.mark.parametrize("count", [1, 5, 16, 100])
def test_the_native_draw_agrees_with_numpy(count):
    rng, shares = np.random.default_rng(count), np.zeros(112, np.float32)
    for temperature, top in itertools.product([1e-45, 0.5, 1, 30, 1e30], [1, 2, 7, 40, 100]):
        # With equal numbers, zeros of both signs, and numbers after the end that must not be read.
        outputs = np.r_[rng.normal(0, 3, count).round(1), np.full(112 - count, np.nan)].astype(np.float32)
        outputs[: count // 3] *= np.float32(-0.0)
        for uniform in [0, *rng.random(20)]:
            found = native(generation.drawn)(outputs, 0, count, temperature, min(top, count), uniform, shares)
            assert found == _drawn(outputs[:count].astype(float), uniform, temperature, top)


@pytest.mark.usefixtures("in_python")
def test_it_agrees_with_steps_by_hand():
    compiled, rng = compile(NextToken()), np.random.default_rng(3)
    state, token, found = compiled.start(), 2, []
    for uniform in rng.random(30):
        state, logits = compiled.step(state, token)
        token = _drawn(logits.astype(float), uniform, 0.8, TOKENS)
        found.append(token)
    np.testing.assert_array_equal(generate(compiled, [2], 30, temperature=0.8, seed=3), found)


@pytest.mark.long
def test_it_continues_from_call_to_call(monkeypatch):
    whole = generate(NextToken(), [0], 100, seed=0)
    monkeypatch.setattr("myrnn.generation.CALL", 7)
    np.testing.assert_array_equal(generate(NextToken(), [0], 100, seed=0), whole)
    np.testing.assert_array_equal(generate(NextToken(), [0], 9, seed=0), whole[:9])


@pytest.mark.usefixtures("in_python")
def test_only_a_seed_makes_it_reproducible():
    model = NextToken()
    assert (generate(model, [0], 50, seed=0) != generate(model, [0], 50, seed=1)).any()
    assert (generate(model, [0], 50) != generate(model, [0], 50)).any()
    assert len(generate(model, [0], 0)) == 0


@pytest.mark.long
def test_generated_text_is_the_learned_one():
    tokens = np.tile([0, 1, 2, 3, 4, 3, 2], 60)
    sequences = Sequences(tokens[:-1], [0, len(tokens) - 1], tokens[1:], TOKENS, per_step=True)
    model = NextToken(rate=0.0)
    train(model, sequences.cut(4), Adam(model.parameters, learning_rate=0.01), 600, 4, truncate=20, progress=False)
    np.testing.assert_array_equal(generate(model, [0, 1], 70, temperature=0), np.tile([2, 3, 4, 3, 2, 0, 1], 10))


@pytest.mark.long
def test_the_page_of_text_is_right():
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "your-own-sequences.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page.split("\n## Text generation\n")[1].split("\n## ")[0], re.DOTALL)
    known, said = {}, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code.replace("truncate=40", "truncate=40, progress=False"), known)
    words = re.findall(r"[a-z]+", said.getvalue())[1:-1]
    assert len(words) > 9 and set(words) <= set(re.findall(r"[a-z]+", known["text"]))


@pytest.mark.long
def test_a_backward_model_is_run_again_for_every_token():
    model = NextToken(backward=True)
    with pytest.warns(UserWarning, match="the whole sequence is read again for every token, with MyGrad, because"):
        found = generate(model, [1, 2], 5, seed=0)
    np.testing.assert_array_equal(found, generate(model, [1, 2], 5, seed=0, engine="mygrad"))
    with pytest.raises(CompileError, match="backward"):
        generate(model, [1, 2], 5, engine="native")


@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": RNN(TOKENS, 4, 2, rng=0)}, "needs an output for each token: it has 2 for 5 tokens"),
        ({"prime": []}, "prime must be the first tokens of a sequence, at least one"),
        ({"prime": [[1, 2]]}, "prime must be integers of shape (N,)"),
        ({"prime": [5]}, "prime must be"),
        ({"prime": [-1]}, "prime must be"),
        ({"prime": [0.5]}, "prime must be"),
        ({"prime": "ab"}, "prime must be"),
        ({"length": -1}, "length must be"),
        ({"temperature": -1}, "temperature must be"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"never": [-1]}, "never must be at least 0, not -1"),
        ({"never": [0, TOKENS]}, "never must be tokens of the model, at most 4, not 5"),
        ({"never": range(TOKENS)}, "never must leave a token to draw"),
        ({"seed": -1}, "seed must be"),
        ({"seed": "x"}, "seed must be"),
        ({"length": 10**15}, "length must be"),
    ],
)
def test_wrong_arguments_give_a_helpful_message(changes, told, engine):
    given = {"model": NextToken(), "prime": [0], "length": 3, **changes}
    with pytest.raises(InvalidArgument, match=re.escape(told)):
        generate(**given, engine=engine)


class Added(RNN):
    """A network with numbers added to its outputs."""

    def __init__(self, added):
        super().__init__(TOKENS, 4, TOKENS, rng=0)
        self.added = np.array(added, dtype=np.float32)

    def __call__(self, x):
        return super().__call__(x) + self.added


@pytest.mark.parametrize("engine", [pytest.param("native", marks=pytest.mark.long), "mygrad"])
@pytest.mark.parametrize("temperature", [0, 1])
def test_nonfinite_outputs_are_not_probabilities(engine, temperature):
    for added in ([0, np.inf, 0, 0, 0], [np.inf] * TOKENS, [-np.inf] * TOKENS):
        with pytest.raises(NotFinite, match="after 2 tokens the outputs of the model are not finite"):
            generate(Added(added), [0, 1], 8, temperature=temperature, engine=engine)
    with pytest.raises(NotFinite, match="after 2 tokens the outputs of the model are not finite"):
        generate(Added([0, np.inf, 0, 0, 0]), [0, 1], 8, temperature=temperature, never=[1], engine=engine)
    assert 1 not in generate(Added([0, -np.inf, 0, 0, 0]), [0], 40, seed=0, engine=engine)
