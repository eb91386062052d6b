import inspect
import re
from functools import partial
from types import SimpleNamespace

import mygrad as mg
import numpy as np
import pytest
from mygrad import Tensor
from mygrad.nnet.activations import relu
from mygrad.nnet.initializers import glorot_normal, glorot_uniform, uniform
from mygrad.nnet.losses import softmax_crossentropy
from mynn.layers.dense import dense as mynn_dense
from scipy import stats
from scipy.special import softmax

import papers
from myrnn.errors import InvalidArgument
from myrnn.models import (
    GRU,
    LRU,
    LSTM,
    MGU,
    MLSTM,
    RNN,
    RWKV7,
    SLSTM,
    DeltaProduct,
    GatedDeltaNet,
    Mamba,
    MinGRU,
    Stacked,
    StackRNN,
    dense,
)
from myrnn.models.model import num_parameters, parameter_names, parameters_of

MODELS = {
    "relu": lambda *dims, rng=None: RNN(*dims, rng=rng),
    "tanh": lambda *dims, rng=None: RNN(*dims, activation="tanh", rng=rng),
    "identity": lambda *dims, rng=None: RNN(*dims, recurrent_init="identity", rng=rng),
    "minus identity": lambda *dims, rng=None: RNN(*dims, recurrent_init="minus_identity", rng=rng),
    "gru": lambda *dims, rng=None: GRU(*dims, rng=rng),
    "lstm": lambda *dims, rng=None: LSTM(*dims, rng=rng),
    "mgu": lambda *dims, rng=None: MGU(*dims, rng=rng),
    "stack": lambda *dims, rng=None: StackRNN(*dims, stack_depth=4, stack_width=3, rng=rng),
    "min-gru": lambda *dims, rng=None: MinGRU(*dims, rng=rng),
    "lru": lambda *dims, rng=None: LRU(*dims, rng=rng),
    "slstm": lambda *dims, rng=None: SLSTM(*dims, rng=rng),
    "mlstm": lambda *dims, rng=None: MLSTM(*dims, rng=rng),
    "mamba": lambda *dims, rng=None: Mamba(*dims, dim_state=3, convolution=3, rng=rng),
    "gated-deltanet": lambda *dims, rng=None: GatedDeltaNet(*dims, rng=rng),
    "deltaproduct": lambda *dims, rng=None: DeltaProduct(*dims, rng=rng),
    "rwkv7": lambda *dims, rng=None: RWKV7(*dims, rng=rng),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
# Other settings of the same equations; the number of units must be even.
VARIANTS = {
    "slstm of heads": lambda *dims, rng=None: SLSTM(*dims, heads=2, rng=rng),
    "mlstm of heads": lambda *dims, rng=None: MLSTM(*dims, heads=2, rng=rng),
    "mamba with one row": lambda *dims, rng=None: Mamba(*dims, dim_state=2, convolution=1, rng=rng),
    "gated-deltanet of heads": lambda *dims, rng=None: GatedDeltaNet(
        *dims, heads=2, negative_eigenvalues=True, rng=rng
    ),
    "deltanet": lambda *dims, rng=None: DeltaProduct(
        *dims, heads=2, householders=1, negative_eigenvalues=False, rng=rng
    ),
    "gated deltaproduct": lambda *dims, rng=None: DeltaProduct(*dims, householders=3, gated=True, rng=rng),
    "rwkv7 of heads": lambda *dims, rng=None: RWKV7(*dims, heads=2, rng=rng),
}
every_variant = pytest.mark.parametrize("make", (MODELS | VARIANTS).values(), ids=MODELS | VARIANTS)
PAPERS = {
    MinGRU: papers.min_gru,
    LRU: papers.lru,
    SLSTM: papers.slstm,
    MLSTM: papers.mlstm,
    Mamba: papers.mamba,
    GatedDeltaNet: papers.delta_product,
    DeltaProduct: papers.delta_product,
    RWKV7: papers.rwkv7,
}


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


class LessonRNN:
    """The model as the lesson's reader writes it, over MyNN's own layers."""

    def __init__(self, dim_input, dim_recurrent, dim_output):
        layer = mynn_dense
        self.fc_x2h = layer(dim_input, dim_recurrent, weight_initializer=glorot_normal)
        self.fc_h2h = layer(dim_recurrent, dim_recurrent, weight_initializer=glorot_normal, bias=False)
        self.fc_h2y = layer(dim_recurrent, dim_output, weight_initializer=glorot_normal)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters


def features(steps, columns, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(steps, columns)).astype(dtype)


def in_float64(model):
    """Convert every parameter to float64, with biases that differ."""
    rng = np.random.default_rng(9)
    for parameter in model.parameters:
        parameter.data = parameter.data.astype(np.float64) + rng.normal(0, 0.1, parameter.shape)
    return model


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def logits_in_numpy(model, x):
    """The equations of the docstrings in plain NumPy."""
    arrays = [parameter.data for parameter in model.parameters]
    if type(model) in PAPERS:
        h = PAPERS[type(model)](dict(zip(parameter_names(model), arrays, strict=True)), model, x)
        return (h @ arrays[-2] + arrays[-1][0])[np.newaxis]
    h = c = np.zeros(model.dim_recurrent)
    values = []  # on the stack, the topmost first
    for x_t in x:
        match model:
            case RNN():
                w_x, b, w_h, *_ = arrays
                a = x_t @ w_x + b[0] + h @ w_h
                h = np.tanh(a) if model.activation == "tanh" else np.where(a > 0, a, 0)
            case GRU():
                w_xz, b_z, w_hz, w_xr, b_r, w_hr, w_xn, b_n, w_hn, *_ = arrays
                z = sigmoid(x_t @ w_xz + b_z[0] + h @ w_hz)
                r = sigmoid(x_t @ w_xr + b_r[0] + h @ w_hr)
                n = np.tanh(x_t @ w_xn + b_n[0] + (r * h) @ w_hn)
                h = (1 - z) * n + z * h
            case LSTM():
                w_xi, b_i, w_hi, w_xf, b_f, w_hf, w_xo, b_o, w_ho, w_xg, b_g, w_hg, *_ = arrays
                i = sigmoid(x_t @ w_xi + b_i[0] + h @ w_hi)
                f = sigmoid(x_t @ w_xf + b_f[0] + h @ w_hf)
                o = sigmoid(x_t @ w_xo + b_o[0] + h @ w_ho)
                g = np.tanh(x_t @ w_xg + b_g[0] + h @ w_hg)
                c = f * c + i * g
                h = o * np.tanh(c)
            case MGU():
                w_xf, b_f, w_hf, w_xn, b_n, w_hn, *_ = arrays
                f = sigmoid(x_t @ w_xf + b_f[0] + h @ w_hf)
                h = (1 - f) * h + f * np.tanh(x_t @ w_xn + b_n[0] + (f * h) @ w_hn)
            case StackRNN():
                w_x, b, w_h, w_s, w_a, b_a, w_v, b_v, *_ = arrays
                empty = np.zeros(model.stack_width)
                values = values or [empty] * model.stack_depth
                h = np.tanh(x_t @ w_x + b[0] + h @ w_h + values[0] @ w_s)
                push, pop, keep = softmax(h @ w_a + b_a[0])
                above, below = [sigmoid(h @ w_v + b_v[0]), *values], [*values[1:], empty]
                values = [push * u + pop * d + keep * v for u, d, v in zip(above, below, values, strict=False)]
    return (h @ arrays[-2] + arrays[-1][0])[np.newaxis]


@every_variant
@pytest.mark.parametrize("steps", [0, 1, 2, 13])
def test_logits_follow_the_equations(make, steps):
    model = in_float64(make(3, 6, 4, rng=1))
    x = features(steps, 3, dtype=np.float64)
    expected = logits_in_numpy(model, x)
    np.testing.assert_allclose(model(x).data, expected, rtol=1e-12)
    np.testing.assert_allclose(model(mg.tensor(x)).data, expected, rtol=1e-12)


@every_variant
def test_gradients_agree_with_central_differences(make):
    model = in_float64(make(3, 4, 2, rng=2))
    x = mg.tensor(features(5, 3, seed=3, dtype=np.float64))
    y = np.array([1])

    def loss():
        with mg.no_autodiff:
            return softmax_crossentropy(model(x), y).item()

    softmax_crossentropy(model(x), y).backward()
    for tensor in (*model.parameters, x):
        gradient = tensor.grad.copy()
        assert gradient.any()
        differences = np.empty_like(gradient)
        for place in np.ndindex(tensor.shape):
            kept = tensor.data[place]
            values = []
            for nudge in (1e-5, -1e-5):
                tensor.data[place] = kept + nudge
                values.append(loss())
            tensor.data[place] = kept
            differences[place] = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-10)


@every_model
def test_everything_is_float32_and_every_parameter_learns(make):
    model = make(10, 7, 3, rng=4)
    if isinstance(model, RWKV7):
        # The second of two factors learns as soon as the first one is not zero.
        for layer in (model.fc_x2w, model.fc_x2a, model.fc_x2g):
            layer.weight.data[...] = 0.1
    logits = model(np.eye(10, dtype=np.float32))
    assert isinstance(logits, Tensor)
    assert logits.shape == (1, 3)
    assert logits.dtype == np.float32
    softmax_crossentropy(logits, np.array([2], dtype=np.int16)).backward()
    for parameter in model.parameters:
        assert parameter.dtype == np.float32
        assert not parameter.constant
        assert parameter.grad.dtype == np.float32
        assert parameter.grad.any()


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (RNN, "x2h+ h2h h2y+"),
        (GRU, "x2z+ h2z x2r+ h2r x2n+ h2n h2y+"),
        (LSTM, "x2i+ h2i x2f+ h2f x2o+ h2o x2g+ h2g h2y+"),
        (MGU, "x2f+ h2f x2n+ h2n h2y+"),
        (StackRNN, "x2h+ h2h s2h h2a+ h2v+ h2y+"),
        (MinGRU, "x2z+ x2n+ h2y+"),
    ],
)
def test_parameters_are_ordered_by_layer_with_names_and_shapes(make, names):
    model = make(3, 5, 2)
    sizes = {"x": 3, "h": 5, "y": 2, "s": 8, "v": 8, "a": 3}
    expected = []
    for layer in names.split():
        rows, columns = sizes[layer[0]], sizes.get(layer[2], 5)
        expected.append((f"fc_{layer[:3]}.weight", (rows, columns)))
        if layer.endswith("+"):
            expected.append((f"fc_{layer[:3]}.bias", (1, columns)))
    shapes = [parameter.shape for parameter in model.parameters]
    assert list(zip(parameter_names(model), shapes, strict=True)) == expected
    assert parameters_of(model) == model.parameters
    assert num_parameters(model) == sum(rows * columns for _, (rows, columns) in expected)
    assert (model.dim_input, model.dim_recurrent, model.dim_output) == (3, 5, 2)


def test_biases_start_at_zero_and_those_of_forget_gates_at_one():
    for name in ("relu", "tanh", "gru", "lstm", "mgu", "stack", "min-gru", "lru"):
        model = MODELS[name](3, 5, 2)
        named = dict(zip(parameter_names(model), model.parameters, strict=True))
        biases = {name: np.unique(tensor.data).tolist() for name, tensor in named.items() if name.endswith("bias")}
        ones = {"fc_x2f.bias"} if isinstance(model, LSTM) else set()
        assert biases == {name: [name in ones] for name in biases} and {"fc_h2y.bias", *ones} < biases.keys()


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (LRU, "x2u+3,6 nu1,6 theta1,6 gamma1,6 b_real6,6 b_imaginary6,6 c_real6,6 c_imaginary6,6 skip1,6 v2g+6,6"),
        (
            partial(Mamba, dim_state=5),
            "x2u3,6 x2z3,6 kernel4,6 kernel_bias1,6 u2b6,5 u2c6,5 u2r6,1 r2d+1,6 a6,5 skip1,6",
        ),
        (partial(SLSTM, heads=2), "x2i+3,6 h2i2,3,3 x2f+3,6 h2f2,3,3 x2o+3,6 h2o2,3,3 x2z+3,6 h2z2,3,3"),
        (partial(MLSTM, heads=2), "x2q+3,6 x2k+3,6 x2v+3,6 x2i+3,2 x2f+3,2 x2o+3,6"),
        (
            partial(DeltaProduct, heads=2),
            "x2q3,6 x2k[0]3,6 x2k[1]3,6 x2v[0]3,6 x2v[1]3,6 x2b[0]3,2 x2b[1]3,2 scale1,3",
        ),
        (partial(GatedDeltaNet, heads=2), "x2q3,6 x2k[0]3,6 x2v[0]3,6 x2b[0]3,2 x2a+3,2 rate1,2 x2g3,6 scale1,3"),
        (
            RWKV7,
            "mix['r']1,3 mix['w']1,3 mix['k']1,3 mix['v']1,3 mix['a']1,3 mix['g']1,3 x2r3,6 x2k3,6 x2v3,6 x2w3,3 "
            "x2a3,3 x2g3,3 w2w+3,6 a2a+3,6 g2g3,6 removed1,6 added1,6 bonus1,6 scale1,6 shift1,6",
        ),
    ],
)
def test_names_and_shapes_of_parameters(model, parameters):
    made = model(3, 6, 2)
    expected = []
    for word in (*parameters.split(), "h2y+6,2"):
        name, bias, sizes = re.fullmatch(r"(\w2\w(?:\[\d\])?|[a-z_]+(?:\['\w'\])?)(\+?)([\d,]+)", word).groups()
        shape = tuple(map(int, sizes.split(",")))
        is_layer = "2" in name
        expected.append((f"fc_{name}.weight" if is_layer else name, shape))
        if bias:
            expected.append((f"fc_{name}.bias", (1, shape[-1])))
    shapes = [parameter.shape for parameter in made.parameters]
    assert list(zip(parameter_names(made), shapes, strict=True)) == expected


def test_weights_begin_as_the_papers_say():
    lru = LRU(3, 2000, 2, rng=0)
    eigenvalues = np.exp(-np.exp(lru.nu.data[0]) + 1j * np.exp(lru.theta.data[0]))
    assert stats.kstest(np.abs(eigenvalues) ** 2, "uniform").pvalue > 1e-3
    assert stats.kstest(np.angle(eigenvalues) % (2 * np.pi), stats.uniform(0, 2 * np.pi).cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.exp(2 * lru.gamma.data[0]), 1 - np.abs(eigenvalues) ** 2, atol=1e-6)
    mamba = Mamba(3, 800, 2, rng=0)
    np.testing.assert_allclose(np.exp(mamba.a.data), np.tile(np.arange(1, 17), (800, 1)), rtol=1e-6)
    gated = GatedDeltaNet(3, 800, 2, heads=800, rng=0)
    for bias in (mamba.fc_r2d.bias, gated.fc_x2a.bias):
        steps = np.log10(np.log1p(np.exp(bias.data[0])))
        assert stats.kstest(steps, stats.uniform(-3, 2).cdf).pvalue > 1e-3
    assert stats.kstest(np.exp(gated.rate.data[0]), stats.uniform(0, 16).cdf).pvalue > 1e-3
    assert SLSTM(3, 4, 2, heads=2).fc_x2f.bias.data.tolist() == [[5, -7, 5, -7]]
    mlstm = MLSTM(3, 8, 2, heads=4)
    assert mlstm.fc_x2f.bias.data.tolist() == [[3, 4, 5, 6]]
    assert not mlstm.fc_x2f.weight.data.any() and not mlstm.fc_x2i.weight.data.any()
    rwkv = RWKV7(3, 8, 2)
    assert rwkv.fc_w2w.bias.data[0, [0, -1]].tolist() == [-8, 3]
    factor = rwkv.fc_w2w.weight.data
    np.testing.assert_allclose(factor @ factor.T, 0.01 * np.eye(4), atol=1e-8)


@pytest.mark.parametrize("kind", [SLSTM, MLSTM, GatedDeltaNet, DeltaProduct, RWKV7])
def test_heads_divide_the_units(kind):
    with refused("heads must divide dim_recurrent, 50, which 4 does not"):
        kind(3, 50, 2, heads=4)


@every_model
def test_the_same_seed_makes_the_same_weights(make):
    def weights(rng):
        return [parameter.data.tobytes() for parameter in make(4, 6, 2, rng=rng).parameters]

    assert weights(7) == weights(7) == weights(np.random.default_rng(7)) == weights(np.int64(7))
    assert weights(7) != weights(8)
    rng = np.random.default_rng(7)
    assert weights(rng) != weights(rng)


def test_without_a_generator_weights_are_drawn_from_numpys_global_one_as_in_mynn():
    np.random.seed(11)  # noqa: NPY002
    ours = RNN(4, 6, 2)
    np.random.seed(11)  # noqa: NPY002
    lessons = LessonRNN(4, 6, 2)
    for one, other in zip(ours.parameters, lessons.parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.parametrize("seed", [None, 12])
def test_weights_are_glorot_normal(seed):
    np.random.seed(12)  # noqa: NPY002
    model = RNN(80, 120, 40, rng=seed)
    for layer in (model.fc_x2h, model.fc_h2h, model.fc_h2y, dense(80, 120)):
        rows, columns = layer.weight.shape
        standard = layer.weight.data.ravel() / np.sqrt(2 / (rows + columns))
        assert stats.kstest(standard, "norm").pvalue > 1e-3


@pytest.mark.parametrize("steps", [1, 6, 20])
def test_the_class_of_the_lesson_gives_the_same_logits_and_gradients(steps):
    ours, lessons = RNN(10, 50, 2, rng=13), LessonRNN(10, 50, 2)
    for one, other in zip(ours.parameters, lessons.parameters, strict=True):
        other.data[...] = one.data
    x = np.eye(10, dtype=np.float32)[np.random.default_rng(14).integers(0, 10, steps)]
    assert ours(x).data.tobytes() == lessons(x).data.tobytes()
    for model in (ours, lessons):
        softmax_crossentropy(model(x), np.array([1])).backward()
    for one, other in zip(ours.parameters, lessons.parameters, strict=True):
        assert one.grad.tobytes() == other.grad.tobytes()


def test_a_layer_has_the_signature_of_mynn_except_for_its_first_weights():
    def signature(kind):
        parameters = {p.name: (p.kind, p.default) for p in inspect.signature(kind).parameters.values()}
        return parameters.pop("weight_initializer"), list(parameters.items())

    (ours, ours_others), (theirs, theirs_others) = map(signature, (dense, mynn_dense))
    assert ours_others == theirs_others
    assert (ours, theirs) == ((ours[0], glorot_normal), (ours[0], uniform))


@pytest.mark.parametrize(
    "settings",
    [
        {"weight_initializer": uniform},
        {"weight_initializer": glorot_normal, "bias": False},
        {"weight_initializer": glorot_uniform, "weight_kwargs": {"gain": 2, "dtype": np.float64}},
        {"weight_initializer": glorot_normal, "bias_kwargs": {"value": 0.5}},
        {"weight_initializer": uniform, "bias_initializer": glorot_normal},
    ],
)
def test_a_layer_computes_the_same_as_in_mynn(settings):
    layers = []
    for kind in (dense, mynn_dense):
        np.random.seed(15)  # noqa: NPY002
        layers.append(kind(3, 4, **settings))
    ours, theirs = layers
    x = features(5, 3)
    for layer in layers:
        layer(x).sum().backward()
    assert (ours.bias is None) == (theirs.bias is None)
    assert len(ours.parameters) == len(theirs.parameters)
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert one.dtype == other.dtype
        assert one.data.tobytes() == other.data.tobytes()
        assert one.grad.tobytes() == other.grad.tobytes()
    assert ours(x).data.tobytes() == theirs(x).data.tobytes()
    assert ours(mg.tensor(x)).data.tobytes() == theirs(mg.tensor(x)).data.tobytes()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 4), "input_size must be at least 1, not 0"),
        ((3, -4), "output_size must be at least 1, not -4"),
        ((3.0, 4), "input_size must be an integer, not 3.0"),
        ((3, "4"), "output_size must be an integer, not '4'"),
    ],
)
def test_sizes_of_a_layer_that_do_not_fit_are_refused(sizes, message):
    with refused(message):
        dense(*sizes)


@every_model
@pytest.mark.parametrize("place", range(3))
def test_dimensions_that_do_not_fit_are_refused(make, place):
    name = ("dim_input", "dim_recurrent", "dim_output")[place]
    for value, message in (
        (0, "must be at least 1, not 0"),
        (-2, "must be at least 1, not -2"),
        (5.0, "must be an integer, not 5.0"),
        ("5", "must be an integer, not '5'"),
        (True, "must be an integer, not True"),
        (None, "must be an integer, not None"),
    ):
        dims = [3, 5, 2]
        dims[place] = value
        with refused(f"{name} {message}"):
            make(*dims)


@every_model
def test_dimensions_may_be_integers_of_any_kind(make):
    model = make(np.int64(3), np.uint8(5), np.array(2))
    assert model(np.zeros((2, 3), dtype=np.float32)).shape == (1, 2)
    assert type(model.dim_input) is type(model.dim_recurrent) is type(model.dim_output) is int


def test_other_settings_that_do_not_fit_are_refused():
    with refused("activation must be one of 'relu', 'tanh', not 'Relu'; did you mean 'relu'?"):
        RNN(3, 5, 2, activation="Relu")
    inits = "'glorot', 'orthogonal', 'identity', 'minus_identity'"
    with refused(f"recurrent_init must be one of {inits}, not 'identiti'; did you mean 'identity'?"):
        RNN(3, 5, 2, recurrent_init="identiti")


@pytest.mark.parametrize(("init", "sign"), [("identity", 1), ("minus_identity", -1)])
def test_the_identity_keeps_the_state_and_minus_the_identity_subtracts_it(init, sign):
    model = RNN(3, 5, 2, recurrent_init=init, rng=0)
    assert np.array_equal(model.fc_h2h.weight.data, sign * np.eye(5)) and model.fc_h2h.weight.dtype == np.float32
    x = features(4, 3)
    state = np.zeros((1, 5))
    for row in x:
        state = np.maximum(row @ model.fc_x2h.weight.data + sign * state, 0)
    np.testing.assert_allclose(model(x).data, state @ model.fc_h2y.weight.data, rtol=1e-5)
    for kind in (RNN, GRU, LSTM):
        with refused("rng must be a numpy.random.Generator, a seed of 0 or more, or None, not 0.5"):
            kind(3, 5, 2, rng=0.5)


@pytest.mark.parametrize("heads", [1, 2])
def test_each_head_has_its_own_recurrent_weights(heads):
    model = Stacked(3, 6, 2, cell="slstm", layers=1, recurrent_init="orthogonal", heads=heads, rng=0)
    for name in ("fc_h2i", "fc_h2f", "fc_h2o", "fc_h2z"):
        weight, same = getattr(model.stack[0], name).weight.data, np.eye(6 // heads)
        assert weight.shape == (heads, 6 // heads, 6 // heads)
        for head in weight:
            np.testing.assert_allclose(head @ head.T, same, atol=1e-6)


def nan_at(place):
    x = np.zeros((4, 3), dtype=np.float32)
    x[place] = np.nan
    return x


@every_model
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0.0, 0.0, 1.0]], "x must be an array or a tensor of shape (T, 3), not list"),
        ("123", "x must be an array or a tensor of shape (T, 3), not str"),
        (np.zeros((2, 3)).view(np.matrix), "x must be an array or a tensor of shape (T, 3), not matrix"),
        (np.zeros(3), "x must be one sequence of numbers of shape (T, 3), not float64 of shape (3,)"),
        (np.zeros((2, 4)), "x must be one sequence of numbers of shape (T, 3), not float64 of shape (2, 4)"),
        (np.zeros((1, 2, 3)), "x must be one sequence of numbers of shape (T, 3), not float64 of shape (1, 2, 3)"),
        (mg.zeros((2, 4)), "x must be one sequence of numbers of shape (T, 3), not float32 of shape (2, 4)"),
        (
            np.zeros((2, 3), dtype=object),
            "x must be one sequence of numbers of shape (T, 3), not object of shape (2, 3)",
        ),
        (nan_at((2, 1)), "x must be finite float32, but there is nan at [2, 1]"),
        (mg.tensor(nan_at((0, 0))), "x must be finite float32, but there is nan at [0, 0]"),
    ],
)
def test_an_input_that_is_not_one_sequence_is_refused(make, x, message):
    model = make(3, 5, 2)
    with refused(message):
        model(x)


@every_model
def test_a_sequence_can_be_read_only_noncontiguous_or_integer(make):
    model = make(3, 5, 2, rng=16)
    x = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    expected = model(x).data
    fortran = np.asfortranarray(x)
    fortran.flags.writeable = False
    assert model(fortran).data.tobytes() == expected.tobytes()
    assert model(np.repeat(x, 2, axis=0)[::2]).data.tobytes() == expected.tobytes()
    assert model(x.astype(bool)).data.tobytes() == expected.tobytes()
    np.testing.assert_allclose(model(x.astype(np.uint8)).data, expected, rtol=1e-6)


class UserModel:
    """Tensors in lists, dictionaries and layers, one of them used twice, and one that no attribute refers to."""

    def __init__(self, *hidden):
        self.layers = [dense(3, 4), dense(4, 2, bias=False)]
        self.start = {"h": mg.zeros((1, 4))}
        self.again = self.layers[1]
        layers = self.layers[0].parameters + self.layers[1].parameters
        self.parameters = (*layers, self.start["h"], *hidden, self.layers[1].weight)

    def __call__(self, x):
        return self.layers[1](self.layers[0](x[-1:]) + self.start["h"])


def test_parameters_are_named_by_the_attributes_that_lead_to_them():
    model = UserModel(mg.zeros((1, 2)))
    layers = ("layers[0].weight", "layers[0].bias", "layers[1].weight")
    assert parameter_names(model) == (*layers, "start['h']", "parameter_4", "layers[1].weight")
    assert num_parameters(model) == 12 + 4 + 8 + 4 + 2


def model_with(parameters):
    class Broken:
        def __call__(self, x):
            return x

    Broken.parameters = property(lambda self: parameters)
    return Broken()


def test_any_callable_with_parameters_is_a_model():
    parameters = [mg.zeros(2), mg.zeros((2, 2))]
    assert parameters_of(model_with(parameters)) == tuple(parameters)
    assert parameters_of(model_with(iter(parameters))) == tuple(parameters)
    assert parameter_names(model_with(parameters)) == ("parameter_0", "parameter_1")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RNN, "model must be a model, not the class RNN: call it, RNN(...)"),
        (None, "model must have `parameters` and be callable on one sequence, which NoneType is not"),
        (len, "model must have `parameters` and be callable on one sequence, which builtin_function_or_method is not"),
        (
            SimpleNamespace(parameters=(mg.zeros(2),)),
            "model must have `parameters` and be callable on one sequence, which SimpleNamespace is not",
        ),
        (model_with(()), "Broken.parameters is empty: there is nothing to train"),
        (model_with(None), "Broken.parameters must be a tuple of tensors, not NoneType"),
        (model_with(lambda: ()), "Broken.parameters must be a tuple of tensors, not function"),
        (model_with(mg.zeros((2, 2))), "Broken.parameters must be a tuple of tensors, not one tensor"),
        (model_with((mg.zeros(2), np.zeros(2))), "Broken.parameters[1] must be a mygrad.Tensor, not ndarray"),
        (
            model_with((mg.zeros(2), mg.zeros(2, constant=True))),
            "Broken.parameters[1] must be a trainable tensor, not a constant one",
        ),
    ],
)
def test_an_invalid_model_is_refused(model, message):
    for ask in (parameters_of, parameter_names, num_parameters):
        with refused(message):
            ask(model)


def test_the_repr_of_a_model_is_its_call():
    assert repr(RNN(5, 4, 2, activation="tanh")) == (
        "RNN(dim_input=5, dim_recurrent=4, dim_output=2, activation='tanh', recurrent_init='glorot')"
    )
    for model in (
        RNN(5, 4, 2, recurrent_init="identity"),
        GRU(5, 4, 2),
        GRU(5, 4, 2, recurrent_init="orthogonal"),
        LSTM(5, 4, 3),
        Stacked(5, 4, 2, cell="rnn", activation="tanh", recurrent_init="minus_identity"),
        Stacked(5, 4, 2, cell="lstm", layers=3, dim_embedding=2, recurrent_init="orthogonal"),
    ):
        again = eval(repr(model))
        assert repr(again) == repr(model)
        assert again.recurrent_init == model.recurrent_init
        assert getattr(again, "activation", None) == getattr(model, "activation", None)
        assert [p.shape for p in again.parameters] == [p.shape for p in model.parameters]
    assert [repr(layer) for layer in (model.fc_h2y, dense(3, 4, bias=False))] == [
        "dense(4, 2)",
        "dense(3, 4, bias=False)",
    ]


@pytest.mark.parametrize("kind", [MLSTM, SLSTM])
@pytest.mark.parametrize(("gate_i", "gate_f"), [(-120, -200), (120, 200), (-120, 200), (120, -200)])
def test_gates_that_are_nearly_closed_or_open_have_finite_gradients(kind, gate_i, gate_f):
    model, x = kind(3, 4, 2, rng=0), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    model.fc_x2i.bias.data[...] = gate_i
    model.fc_x2f.bias.data[...] = gate_f
    logits = model(x)
    # MyGrad's logaddexp divides by an infinity.
    with np.errstate(over="ignore"):
        logits.sum().backward()
    assert np.isfinite(logits.data).all()
    assert all(p.grad is None or np.isfinite(p.grad).all() for p in model.parameters)
