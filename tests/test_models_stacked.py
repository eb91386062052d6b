import re

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

import names
from myrnn import GRU, MGU, RNN, Sequences, Stacked, StackRNN, compile
from myrnn.compiler.compilation import compile_for
from myrnn.errors import InvalidArgument
from myrnn.models.model import parameter_names
from myrnn.models.network import no_input
from myrnn.models.stacked import CELLS, with_stack_depth
from myrnn.registry import kind_of, make

STACK = {"stack_depth": 4, "stack_width": 3}
BOTH_WAYS = {"bidirectional": True}
every_cell = pytest.mark.parametrize("cell", CELLS)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def features(steps, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, columns)).astype(np.float32)


def ragged(lengths, symbols, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    labels = rng.integers(0, 3, len(lengths))
    return Sequences(rng.integers(0, symbols, offsets[-1]), offsets, labels, symbols)


@every_cell
def test_one_layer_has_the_equations_of_the_model_of_that_name(cell):
    one, stacked = CELLS[cell].model(4, 5, 3, rng=3), Stacked(4, 5, 3, cell=cell, layers=1, rng=7)
    for parameter, other in zip(stacked.parameters, one.parameters, strict=True):
        parameter.data[...] = other.data
    x = features(6, 4)
    assert np.array_equal(stacked(x).data, one(x).data)


@every_cell
def test_one_layer_starts_as_the_model_of_that_name(cell):
    one, stacked = CELLS[cell].model(4, 5, 3, rng=3), Stacked(4, 5, 3, cell=cell, layers=1, rng=3)
    assert all(np.array_equal(p.data, q.data) for p, q in zip(stacked.parameters, one.parameters, strict=True))


def test_a_layer_reads_the_hidden_states_of_the_one_below():
    stacked = Stacked(4, 5, 3, cell="rnn", layers=2, rng=0)
    x = features(6, 4)
    h = np.zeros((1, 5), dtype=np.float32)
    states = []
    lower, upper = stacked.stack
    for row in x:
        h = np.maximum(row @ lower.fc_x2h.weight.data + lower.fc_x2h.bias.data + h @ lower.fc_h2h.weight.data, 0)
        states.append(h)
    above = RNN(5, 5, 3, rng=0)
    layers = (upper.fc_x2h, upper.fc_h2h, stacked.fc_h2y)
    values = [parameter.data for layer in layers for parameter in layer.parameters]
    for parameter, value in zip(above.parameters, values, strict=True):
        parameter.data[...] = value
    assert np.allclose(stacked(x).data, above(np.concatenate(states)).data, atol=1e-6)


def test_an_embedding_of_one_hot_rows_is_a_table_of_vectors():
    tokens = [3, 0, 2, 2]
    embedded = Stacked(4, 5, 3, cell="gru", layers=1, dim_embedding=2, rng=0)
    plain = GRU(2, 5, 3, rng=1)
    for parameter, other in zip(plain.parameters, embedded.parameters[1:], strict=True):
        parameter.data[...] = other.data
    x = np.eye(4, dtype=np.float32)[tokens]
    vectors = embedded.embedding.weight.data[tokens]
    assert np.allclose(embedded(x).data, plain(vectors).data, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"cell": "gru", "layers": 2, "dim_embedding": 6}, id="gru over an embedding", marks=pytest.mark.long
        ),
        pytest.param({"cell": "lstm", "layers": 3}, id="three lstm", marks=pytest.mark.long),
        pytest.param({"cell": "mgu", "layers": 1}, id="mgu", marks=pytest.mark.long),
        pytest.param({"cell": "stack-rnn", "layers": 1, **STACK}, id="stack-rnn", marks=pytest.mark.long),
        pytest.param({"cell": "min-gru", "layers": 2}, id="min-gru", marks=pytest.mark.long),
        pytest.param({"cell": "lru", "layers": 2}, id="lru", marks=pytest.mark.long),
        pytest.param({"cell": "slstm", "layers": 2, "heads": 2}, id="slstm", marks=pytest.mark.long),
        pytest.param({"cell": "mlstm", "layers": 1, "heads": 2}, id="mlstm", marks=pytest.mark.long),
        pytest.param({"cell": "mamba", "layers": 2}, id="mamba", marks=pytest.mark.long),
        pytest.param({"cell": "gated-deltanet", "layers": 1}, id="gated-deltanet", marks=pytest.mark.long),
        pytest.param({"cell": "deltaproduct", "layers": 1, "heads": 2}, id="deltaproduct", marks=pytest.mark.long),
        pytest.param({"cell": "rwkv7", "layers": 1}, id="rwkv7", marks=pytest.mark.long),
        # Their outputs read the rows below, also earlier ones.
        pytest.param({"cell": "rwkv7", "layers": 1, **BOTH_WAYS}, id="rwkv7 both ways", marks=pytest.mark.long),
        pytest.param(
            {"cell": "rwkv7", "layers": 1, "dim_embedding": 2, **BOTH_WAYS},
            id="rwkv7 both ways over an embedding",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"cell": "mamba", "layers": 1, "dim_embedding": 2, **BOTH_WAYS},
            id="mamba both ways over an embedding",
            marks=pytest.mark.long,
        ),
        pytest.param({"cell": "lru", "layers": 2, **BOTH_WAYS}, id="lru both ways", marks=pytest.mark.long),
        pytest.param(
            {"cell": "mamba", "layers": 2, "convolution": 5, **BOTH_WAYS}, id="mamba both ways", marks=pytest.mark.long
        ),
    ],
)
def test_it_compiles_with_the_same_numbers(settings, request):
    # Machine code of cells with gates, of stacks and of matrices is enough; the other programs run in Python.
    if settings["cell"] in ("lstm", "mgu", "min-gru", "lru", "slstm", "gated-deltanet") or "bidirectional" in settings:
        request.getfixturevalue("in_python")
        longest = 20
    else:
        longest = 80
    model = Stacked(7, 8, 3, rng=0, **settings)
    sequences = ragged([1, 0, 17, 5, longest, 2], 7)
    compiled = compile(model, check=False)
    expected = np.concatenate([model(sequences.features(i)).data for i in range(len(sequences))])
    assert np.allclose(compiled.logits(sequences), expected, atol=1e-5)
    loss, gradients = compiled.loss_and_gradients(sequences.features(2), 1)
    reference = softmax_crossentropy(model(sequences.features(2)), np.array([1]))
    reference.backward()
    assert loss == pytest.approx(reference.item(), rel=1e-5)
    for gradient, parameter in zip(gradients, model.parameters, strict=True):
        assert np.allclose(gradient, parameter.grad, atol=1e-5)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(MGU(4, 5, 3, rng=0), id="mgu"),
        pytest.param(StackRNN(4, 5, 3, **STACK, rng=0), id="stack-rnn", marks=pytest.mark.long),
        *(pytest.param(CELLS[cell].model(4, 5, 3, rng=0), id=cell, marks=pytest.mark.long) for cell in list(CELLS)[5:]),
    ],
)
def test_emitted_code_of_a_cell_gives_the_same_numbers(model):
    compiled, x = compile(model, check=False), features(6, 4)
    assert np.allclose(compiled(x), model(x).data, atol=1e-6)
    loss, gradients = compiled.loss_and_gradients(x, 1)
    reference = softmax_crossentropy(model(x), np.array([1]))
    reference.backward()
    assert loss == pytest.approx(reference.item(), rel=1e-5)
    for gradient, parameter in zip(gradients, model.parameters, strict=True):
        assert np.allclose(gradient, parameter.grad, atol=1e-6)


def test_a_stack_may_be_deepened_later():
    deep, shallow = (StackRNN(4, 5, 3, stack_depth=depth, stack_width=2, rng=0) for depth in (9, 2))
    x = features(8, 4)
    assert not np.array_equal(deep(x).data, shallow(x).data)
    shallow.stack_depth = 9
    assert np.array_equal(deep(x).data, shallow(x).data)


@pytest.mark.long
@pytest.mark.parametrize("per_step", [False, True])
def test_the_stacks_of_all_layers_may_be_deepened_later(per_step, in_python):
    deep, shallow = (
        Stacked(4, 5, 3, cell="stack-rnn", per_step=per_step, stack_depth=depth, stack_width=2, rng=0)
        for depth in (70, 2)
    )
    sequences = Sequences.from_pairs([(features(70, 4), np.zeros(70, int) if per_step else 0)] * 3, per_step=per_step)
    shallow_logits = compile_for(shallow, sequences).logits(sequences)
    shallow.stack_depth = 70
    assert repr(shallow) == repr(deep)
    found = compile_for(shallow, sequences).logits(sequences)
    assert np.allclose(found, compile_for(deep, sequences).logits(sequences), rtol=1e-4, atol=1e-6)
    assert not np.allclose(found, shallow_logits, rtol=1e-4, atol=1e-6)


def test_a_model_without_stacks_has_no_depth():
    model, message = Stacked(4, 5, 3), "^layers of the cell 'gru' have no stack$"
    with pytest.raises(AttributeError, match=message):
        _ = model.stack_depth
    with pytest.raises(AttributeError, match=message):
        model.stack_depth = 5


@pytest.mark.parametrize("model", [StackRNN(4, 5, 3), Stacked(4, 5, 3, cell="stack-rnn")], ids=["one", "stacked"])
@pytest.mark.parametrize(("depth", "message"), [(0, "at least 2, not 0"), (None, "an integer, not None")])
def test_a_stack_has_at_least_two_values(model, depth, message):
    with pytest.raises(InvalidArgument, match=f"stack_depth must be {message}"):
        model.stack_depth = depth
    assert model.stack_depth == 48


def test_another_depth_for_a_while_is_taken_back_layer_by_layer():
    model = Stacked(4, 5, 3, cell="stack-rnn")
    model.stack[1].stack_depth = 3
    with with_stack_depth(model, 7):
        assert [layer.stack_depth for layer in model.stack] == [7, 7]
    assert [layer.stack_depth for layer in model.stack] == [48, 3]


def test_only_recurrent_weights_start_as_orthogonal_matrices():
    glorot, orthogonal = (StackRNN(4, 5, 3, recurrent_init=init, rng=0) for init in ("glorot", "orthogonal"))
    names = parameter_names(glorot)
    pairs = zip(names, glorot.parameters, orthogonal.parameters, strict=True)
    assert [name for name, p, q in pairs if not np.array_equal(p.data, q.data)] == ["fc_h2h.weight"]
    weight = orthogonal.fc_h2h.weight.data
    assert np.allclose(weight @ weight.T, np.eye(5), atol=1e-6)


def test_the_size_of_the_stack_is_a_setting():
    stacked = make("model", "stack-rnn", dim_input=4, dim_output=3, dim_recurrent=5, per_step=True, **STACK)
    assert stacked(features(6, 4)).shape == (6, 3)
    assert (stacked.stack_depth, stacked.stack_width) == (4, 3)
    assert "stack_depth=4, stack_width=3" in repr(stacked)
    assert Stacked(4, 5, 3, cell="stack-rnn").stack_depth == 48
    assert kind_of("model", stacked).settings_of(stacked).stack_depth == 4


@every_cell
def test_the_defaults_of_several_layers_are_those_of_one(cell):
    one, several = CELLS[cell].model(4, 6, 3), Stacked(4, 6, 3, cell=cell, layers=2)
    of_one, of_several = (kind_of("model", model).settings_of(model).to_dict() for model in (one, several))
    assert of_several == {**of_one, "layers": 2}


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("rnn", {"activation": "tanh"}),
        ("slstm", {"heads": 5, "recurrent_init": "orthogonal"}),
        ("mlstm", {"heads": 5}),
        ("mamba", {"dim_state": 3, "convolution": 1}),
        ("gated-deltanet", {"heads": 5, "negative_eigenvalues": True}),
        ("deltaproduct", {"heads": 5, "householders": 3, "negative_eigenvalues": False, "gated": True}),
        ("rwkv7", {"heads": 5}),
    ],
)
def test_the_settings_of_a_cell_are_those_of_its_model_and_of_its_layers(cell, settings):
    for further in ({}, {"layers": 2, "per_step": True}):
        model = make("model", cell, dim_input=4, dim_output=3, dim_recurrent=5, rng=0, **settings, **further)
        found = kind_of("model", model).settings_of(model)
        assert {name: getattr(found, name) for name in settings} == settings
        assert repr(eval(repr(model), {type(model).__name__: type(model)})) == repr(model)
        assert all(f"{name}={value!r}" in repr(model) for name, value in settings.items())
        again = eval(repr(model), {type(model).__name__: type(model)})
        assert [p.shape for p in again.parameters] == [p.shape for p in model.parameters]


def test_heads_of_orthogonal_recurrent_weights_are_orthogonal_each():
    weight = CELLS["slstm"].model(4, 6, 3, heads=2, recurrent_init="orthogonal", rng=0).fc_h2f.weight.data
    assert np.allclose(weight @ weight.transpose(0, 2, 1), np.eye(3), atol=1e-6)


def test_names_of_parameters_contain_the_layer():
    names = parameter_names(Stacked(4, 5, 3, cell="rnn", layers=2, dim_embedding=2, rng=0))
    assert names == (
        "embedding.weight",
        "stack[0].fc_x2h.weight",
        "stack[0].fc_x2h.bias",
        "stack[0].fc_h2h.weight",
        "stack[1].fc_x2h.weight",
        "stack[1].fc_x2h.bias",
        "stack[1].fc_h2h.weight",
        "fc_h2y.weight",
        "fc_h2y.bias",
    )


def test_layers_in_a_list_are_named_too():
    names = parameter_names(Stacked(4, 5, 3, cell="gated-deltanet", layers=1, rng=0))
    assert names[:3] == ("stack[0].fc_x2q.weight", "stack[0].fc_x2k[0].weight", "stack[0].fc_x2v[0].weight")


@every_cell
@pytest.mark.parametrize(
    "settings", [{}, {"layers": 2}, {"bidirectional": True}, {"dim_embedding": 4}], ids=["one", "two", "both", "over"]
)
def test_a_token_without_input_is_read_as_zeros(cell, settings):
    # As many units as symbols: the shapes of weights do not tell what they read.
    model = make("model", cell, dim_input=4, dim_output=3, dim_recurrent=4, rng=0, **settings)
    rng = np.random.default_rng(1)
    for parameter in model.parameters:
        parameter.data[...] = rng.normal(size=parameter.shape)
    others, given = (np.eye(4, dtype=np.float32)[tokens] for tokens in ([1, 2, 3], [1, 0, 3]))
    before, zeros = model(others).data, given * given[:, 1:].any(axis=1, keepdims=True)
    no_input(model, 0)
    assert np.array_equal(model(given).data, model(zeros).data)
    assert np.array_equal(model(others).data, before)


def test_an_empty_sequence_gets_the_bias():
    model = Stacked(4, 5, 3, layers=2, rng=0)
    model.fc_h2y.bias.data[...] = [[1.0, 2.0, 3.0]]
    assert model(np.zeros((0, 4), dtype=np.float32)).data.tolist() == [[1.0, 2.0, 3.0]]


def test_the_same_seed_gives_the_same_weights_and_layers_differ():
    one, two = (Stacked(5, 5, 3, cell="rnn", layers=2, rng=4) for _ in range(2))
    assert all(np.array_equal(p.data, q.data) for p, q in zip(one.parameters, two.parameters, strict=True))
    assert not np.array_equal(one.stack[0].fc_x2h.weight.data, one.stack[1].fc_x2h.weight.data)


def test_it_accepts_tensors():
    model = Stacked(4, 5, 3, rng=0)
    x = features(3, 4)
    assert np.array_equal(model(mg.tensor(x)).data, model(x).data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cell": "grru"},
            f"cell must be one of {names.CELLS}, not 'grru'; did you mean 'gru'?",
        ),
        ({"stack_depth": 4}, "stack_depth is for the cell 'stack-rnn', not for 'gru': leave it out"),
        (
            {"negative_eigenvalues": False},
            "negative_eigenvalues is for the cells 'gated-deltanet', 'deltaproduct', not for 'gru': leave it out",
        ),
        (
            {"cell": "lru", "recurrent_init": "orthogonal"},
            "recurrent_init is for cells that have recurrent weights, not for 'lru': leave it out",
        ),
        ({"cell": "rwkv7", "heads": 3}, "heads must divide dim_recurrent, 5, which 3 does not"),
        ({"cell": "stack-rnn", "stack_depth": 1}, "stack_depth must be at least 2, not 1"),
        ({"recurrent_init": "identity"}, "recurrent_init must be one of 'glorot', 'orthogonal', not 'identity'"),
        ({"bidirectional": "no"}, "bidirectional must be true or false, not 'no'"),
        ({"per_step": 1}, "per_step must be true or false, not 1"),
        ({"layers": 0}, "layers must be at least 1, not 0"),
        ({"dim_embedding": 0}, "dim_embedding must be at least 1, not 0"),
        ({"dim_embedding": 2.5}, "dim_embedding must be an integer, not 2.5"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with refused(message):
        Stacked(4, 5, 3, **settings)


def test_a_wrong_sequence_is_refused():
    with refused("x must be one sequence of numbers of shape (T, 4), not float32 of shape (3, 5)"):
        Stacked(4, 5, 3, rng=0)(features(3, 5))
