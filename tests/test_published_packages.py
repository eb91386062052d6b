"""The cells give the same numbers as the packages that their authors, or others, have published.

All of them run on a CPU. They are no part of an extra: ``pip install torch triton einops`` and then, without what they
need on a GPU, ``pip install --no-deps xlstm mambapy minGRU-pytorch fla-core rwkv``. A test is skipped if its package is
missing. Compared were xlstm 2.0.6, mambapy 1.2.0, minGRU-pytorch 0.2.1, fla-core 0.6.0 and rwkv 0.8.32.
"""

import numpy as np
import pytest

from myrnn import MLSTM, RWKV7, SLSTM, DeltaProduct, GatedDeltaNet, Mamba, MinGRU

torch = pytest.importorskip("torch")
STEPS, INPUTS, UNITS, HEADS = 9, 3, 6, 2


def in_float64(model):
    """Give every parameter other numbers, in float64."""
    rng = np.random.default_rng(1)
    for parameter in model.parameters:
        parameter.data = rng.normal(0, 0.7, parameter.shape)
    return model


def rows():
    return np.random.default_rng(2).normal(size=(STEPS, INPUTS))


def hidden(model, x):
    """The hidden state after every step, (T, D)."""
    state, found = model.start(), []
    for x_t in x:
        state = model.step(x_t[np.newaxis], state)
        found.append(state[0].data[0])
    return np.array(found)


def of(tensor):
    return torch.tensor(tensor.data)


def through(layer, x):
    """The result of one of our dense layers, in torch."""
    product = torch.tensor(x) @ of(layer.weight)
    return product if layer.bias is None else product + of(layer.bias)


def by_head(z):
    """(T, D) as (1, T, H, d)."""
    return z.reshape(1, len(z), HEADS, -1)


def test_slstm():
    vanilla = pytest.importorskip("xlstm.blocks.slstm.src.vanilla")
    model, x = in_float64(SLSTM(INPUTS, UNITS, 2, heads=HEADS)), rows()
    gates = "ifzo"
    given = torch.cat([through(getattr(model, f"fc_x2{gate}"), x) for gate in gates], dim=1)
    # Of each head: all rows of one gate, then of the next, by columns.
    recurrent = torch.cat([of(getattr(model, f"fc_h2{gate}").weight).transpose(1, 2) for gate in gates], dim=1)
    start = torch.zeros(4, 1, UNITS, dtype=torch.float64)
    bias, cell = torch.zeros(4 * UNITS, dtype=torch.float64), vanilla.slstm_pointwise_function_registry["slstm"]
    states, _, _ = vanilla.slstm_forward(given[:, None], start, recurrent, bias, cell)
    np.testing.assert_allclose(hidden(model, x), states[0, 1:, 0], rtol=1e-10)


def test_mlstm():
    backends = pytest.importorskip("xlstm.blocks.mlstm.backends")
    model, x = in_float64(MLSTM(INPUTS, UNITS, 2, heads=HEADS)), rows()
    q, k, v, i, f = (by_head(through(getattr(model, f"fc_x2{name}"), x)).transpose(1, 2) for name in "qkvif")
    read = backends.parallel_stabilized_simple(q, k, v, i, f, eps=0.0)
    expected = torch.sigmoid(through(model.fc_x2o, x)) * read.transpose(1, 2).reshape(STEPS, UNITS)
    # Our root of d is a float32.
    np.testing.assert_allclose(hidden(model, x), expected, rtol=1e-6)


@pytest.mark.parametrize("convolution", [1, 4])
def test_mamba(convolution):
    mamba = pytest.importorskip("mambapy.mamba")
    model, x = in_float64(Mamba(INPUTS, UNITS, 2, dim_state=5, convolution=convolution)), rows()
    expand = UNITS // INPUTS
    config = mamba.MambaConfig(INPUTS, 1, d_state=5, expand_factor=expand, d_conv=convolution, pscan=False)
    block = mamba.MambaBlock(config).double()
    # The projection of the output is not part of our layer.
    block.out_proj = torch.nn.Identity()
    columns = {
        block.in_proj.weight: [model.fc_x2u.weight, model.fc_x2z.weight],
        block.x_proj.weight: [model.fc_u2r.weight, model.fc_u2b.weight, model.fc_u2c.weight],
        block.dt_proj.weight: [model.fc_r2d.weight],
    }
    with torch.no_grad():
        for weight, parts in columns.items():
            weight[...] = torch.cat([of(part) for part in parts], dim=1).T
        block.conv1d.weight[:, 0] = of(model.kernel).T
        block.conv1d.bias[...] = of(model.kernel_bias)[0]
        block.dt_proj.bias[...] = of(model.fc_r2d.bias)[0]
        block.A_log[...] = of(model.a)
        block.D[...] = of(model.skip)[0]
        expected = block(torch.tensor(x)[None])[0]
    # Some of it is computed in float32.
    np.testing.assert_allclose(hidden(model, x), expected, rtol=1e-5, atol=1e-7)


def test_min_gru():
    package = pytest.importorskip("minGRU_pytorch.minGRU")
    model, x = in_float64(MinGRU(INPUTS, UNITS, 2)), np.abs(rows())
    # Theirs adds 0.5 to positive candidates, and has no other biases.
    model.fc_x2n.weight.data = np.abs(model.fc_x2n.weight.data)
    model.fc_x2n.bias.data, model.fc_x2z.bias.data = np.full((1, UNITS), 0.5), np.zeros((1, UNITS))
    theirs = package.minGRU(INPUTS, UNITS / INPUTS, proj_out=False).double()
    with torch.no_grad():
        theirs.to_hidden_and_gate.weight[...] = torch.cat([of(model.fc_x2n.weight), of(model.fc_x2z.weight)], dim=1).T
        expected = theirs(torch.tensor(x)[None])[0]
    np.testing.assert_allclose(hidden(model, x), expected, rtol=1e-10)


def normalized(z):
    return z / torch.sqrt((z * z).sum(dim=-1, keepdim=True) + 1e-6)


def decayed(model, x):
    return -torch.exp(of(model.rate)) * torch.nn.functional.softplus(through(model.fc_x2a, x))


def delta_arguments(model, x):
    """Queries, and keys, values and rates of all steps and Householder matrices in their order."""
    silu = torch.nn.functional.silu

    def in_order(layers):
        return torch.stack([through(layer, x) for layer in layers], dim=1).flatten(0, 1)

    q, k, v = through(model.fc_x2q, x), in_order(model.fc_x2k), in_order(model.fc_x2v)
    rates = (2 if model.negative_eigenvalues else 1) * torch.sigmoid(in_order(model.fc_x2b))
    return normalized(by_head(silu(q))), normalized(by_head(silu(k))), by_head(silu(v)), rates[None]


def read_out(model, x, read):
    """The hidden states of what theirs reads from the matrices, (1, T, H, d)."""
    size = UNITS // HEADS
    h = (torch.nn.functional.rms_norm(read, (size,), eps=1e-5) * of(model.scale)).reshape(STEPS, UNITS)
    return h * torch.nn.functional.silu(through(model.fc_x2g, x)) if model.gated else h


@pytest.mark.parametrize("negative_eigenvalues", [False, True])
def test_gated_deltanet(negative_eigenvalues):
    naive = pytest.importorskip("fla.ops.gated_delta_rule.naive")
    model = in_float64(GatedDeltaNet(INPUTS, UNITS, 2, heads=HEADS, negative_eigenvalues=negative_eigenvalues))
    x = rows()
    q, k, v, rates = delta_arguments(model, x)
    read, _ = naive.naive_recurrent_gated_delta_rule(q, k, v, rates, decayed(model, x)[None], scale=1.0)
    # Theirs computes in float32.
    np.testing.assert_allclose(hidden(model, x), read_out(model, x, read.double()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("householders", [1, 3])
def test_delta_product(householders, gated):
    naive = pytest.importorskip("fla.ops.gated_delta_product.naive")
    model = in_float64(DeltaProduct(INPUTS, UNITS, 2, heads=HEADS, householders=householders, gated=gated))
    x = rows()
    q, k, v, rates = delta_arguments(model, x)
    decay = decayed(model, x)[None] if gated else None
    read, _ = naive.naive_recurrent_gated_delta_product(q, k, v, decay, rates, 1.0, num_householder=householders)
    np.testing.assert_allclose(hidden(model, x), read_out(model, x, read), rtol=1e-4, atol=1e-5)


def test_rwkv7(monkeypatch):
    monkeypatch.setenv("RWKV_V7_ON", "1")
    package = pytest.importorskip("rwkv.model")
    model, x = in_float64(RWKV7(INPUTS, UNITS, 2, heads=HEADS)), rows()
    # Theirs divides by the length of a key, ours by the root of its square and 0.000001.
    model.removed.data *= 100
    mixes = [of(model.mix[name])[0] for name in "rwkvag"]
    w, a, g = model.fc_w2w, model.fc_a2a, model.fc_g2g
    factors = [
        *(of(w.bias)[0], of(model.fc_x2w.weight), of(w.weight)),
        *(of(a.bias)[0], of(model.fc_x2a.weight), of(a.weight)),
        # Those that a first layer does not use.
        *torch.zeros(3, 1),
        *(of(model.fc_x2g.weight), of(g.weight)),
        *(of(vector)[0] for vector in (model.removed, model.added, model.bonus)),
        *(of(layer.weight) for layer in (model.fc_x2r, model.fc_x2k, model.fc_x2v)),
        torch.eye(UNITS),
        *(of(vector)[0] for vector in (model.scale, model.shift)),
    ]
    # Theirs computes a part in float32, whatever it receives.
    weights = [each.float() for each in (*mixes, *factors)]
    size = UNITS // HEADS
    before, first, state, found = torch.zeros(INPUTS), torch.zeros(UNITS), torch.zeros(HEADS, size, size), []
    for x_t in torch.tensor(x).float():
        h, before, state, first = package.RWKV_x070_TMix_one(0, HEADS, size, x_t, before, first, state, *weights)
        found.append(h.numpy())
    np.testing.assert_allclose(hidden(model, x), found, rtol=1e-4, atol=1e-5)
