"""The equations of papers, step by step in NumPy: vectors are columns, as there, and exponents are not stabilized.

Each function takes the parameters of a model by name, its settings, and a sequence, and returns the last hidden state.
"""

import numpy as np
from scipy.special import expit as sigmoid

# The constants of the models are float32.
SLOPE, CUBIC, TINY, FASTEST = (float(np.float32(c)) for c in (np.sqrt(2 / np.pi), 0.044715, 1e-6, np.exp(-0.5)))
LEAST, LEAST_OF_GROUP = float(np.float32(1e-5)), float(np.float32(64e-5))


def silu(z):
    return z * sigmoid(z)


def softplus(z):
    return np.log1p(np.exp(z))


def affine(p, name, x):
    return p[f"{name}.weight"].T @ x + p.get(f"{name}.bias", np.zeros((1, 1)))[0]


def heads_of(vector, heads):
    return np.split(vector, heads)


def min_gru(p, model, xs):
    """Feng et al., section 3.1: the minimal version of a GRU."""
    h = np.zeros(model.dim_recurrent)
    for x in xs:
        z = sigmoid(affine(p, "fc_x2z", x))
        h = (1 - z) * h + z * affine(p, "fc_x2n", x)
    return h


def lru(p, model, xs):
    """Orvieto et al., section 3: a diagonal complex matrix in its exponential form, with normalized inputs."""
    eigenvalues = np.exp(-np.exp(p["nu"][0]) + 1j * np.exp(p["theta"][0]))
    b = (p["b_real"] + 1j * p["b_imaginary"]).T
    c = (p["c_real"] + 1j * p["c_imaginary"]).T
    state, h = np.zeros(model.dim_recurrent, dtype=complex), np.zeros(model.dim_recurrent)
    for x in xs:
        u = affine(p, "fc_x2u", x)
        state = np.diag(eigenvalues) @ state + np.exp(p["gamma"][0]) * (b @ u)
        y = (c @ state).real + p["skip"][0] * u
        y = 0.5 * y * (1 + np.tanh(SLOPE * (y + CUBIC * y**3)))
        h = y * sigmoid(affine(p, "fc_v2g", y))
    return h


def mamba(p, model, xs):
    """Gu and Dao, algorithm 2 and section 3.4: the selective scan, unit by unit, after a causal convolution."""
    rows = [affine(p, "fc_x2u", x) for x in xs]
    states = np.zeros((model.dim_recurrent, model.dim_state))
    h = np.zeros(model.dim_recurrent)
    for t, x in enumerate(xs):
        past = [rows[t - lag] * p["kernel"][-1 - lag] for lag in range(min(t + 1, model.convolution))]
        u = silu(sum(past) + p["kernel_bias"][0])
        delta = softplus(affine(p, "fc_r2d", affine(p, "fc_u2r", u)))
        b, c = affine(p, "fc_u2b", u), affine(p, "fc_u2c", u)
        y = np.empty(model.dim_recurrent)
        for unit in range(model.dim_recurrent):
            a = -np.exp(p["a"][unit])
            states[unit] = np.exp(delta[unit] * a) * states[unit] + delta[unit] * b * u[unit]
            y[unit] = c @ states[unit] + p["skip"][0, unit] * u[unit]
        h = y * silu(affine(p, "fc_x2z", x))
    return h


def slstm(p, model, xs):
    """Beck et al., equations 8 to 14, with recurrent matrices in blocks (appendix A.2)."""

    def gate(name, x, h):
        blocks = zip(p[f"fc_h2{name}.weight"], heads_of(h, model.heads), strict=True)
        return affine(p, f"fc_x2{name}", x) + np.concatenate([block.T @ part for block, part in blocks])

    h, c, n = np.zeros((3, model.dim_recurrent))
    for x in xs:
        i, f = np.exp(gate("i", x, h)), sigmoid(gate("f", x, h))
        z, o = np.tanh(gate("z", x, h)), sigmoid(gate("o", x, h))
        c, n = f * c + i * z, f * n + i
        h = o * (c / n)
    return h


def mlstm(p, model, xs):
    """Beck et al., equations 19 to 27, for every head."""
    size = model.dim_recurrent // model.heads
    memories, norms = np.zeros((model.heads, size, size)), np.zeros((model.heads, size))
    h = np.zeros(model.dim_recurrent)
    for x in xs:
        queries, keys, values = (heads_of(affine(p, f"fc_x2{name}", x), model.heads) for name in "qkv")
        i, f = np.exp(affine(p, "fc_x2i", x)), sigmoid(affine(p, "fc_x2f", x))
        read = []
        for head, (q, k, v) in enumerate(zip(queries, keys, values, strict=True)):
            k = k / float(np.float32(np.sqrt(size)))
            memories[head] = f[head] * memories[head] + i[head] * np.outer(v, k)
            norms[head] = f[head] * norms[head] + i[head] * k
            read.append(memories[head] @ q / max(abs(norms[head] @ q), 1))
        h = sigmoid(affine(p, "fc_x2o", x)) * np.concatenate(read)
    return h


def delta_product(p, model, xs):
    """Siems et al., section 3, and Yang et al. (gated): products of generalized Householder matrices, written out."""
    size = model.dim_recurrent // model.heads
    states, h = np.zeros((model.heads, size, size)), np.zeros(model.dim_recurrent)

    def unit(z):
        return z / np.sqrt(z @ z + TINY)

    for x in xs:
        alpha = np.ones(model.heads)
        if model.gated:
            alpha = np.exp(-np.exp(p["rate"][0]) * softplus(affine(p, "fc_x2a", x)))
        queries = heads_of(silu(affine(p, "fc_x2q", x)), model.heads)
        read = []
        for head in range(model.heads):
            turn, write = alpha[head] * np.eye(size), np.zeros((size, size))
            for j in range(model.householders):
                k = unit(heads_of(silu(affine(p, f"fc_x2k[{j}]", x)), model.heads)[head])
                v = heads_of(silu(affine(p, f"fc_x2v[{j}]", x)), model.heads)[head]
                beta = (2 if model.negative_eigenvalues else 1) * sigmoid(affine(p, f"fc_x2b[{j}]", x))[head]
                factor = np.eye(size) - beta * np.outer(k, k)
                turn, write = turn @ factor, write @ factor + beta * np.outer(v, k)
            states[head] = states[head] @ turn + write
            y = states[head] @ unit(queries[head])
            read.append(y / np.sqrt(np.mean(y**2) + LEAST) * p["scale"][0])
        h = np.concatenate(read)
        if model.gated:
            h = h * silu(affine(p, "fc_x2g", x))
    return h


def rwkv7(p, model, xs):
    """Peng et al., section 4.1: the weighted key value state of each head, whose columns belong to keys."""
    size = model.dim_recurrent // model.heads
    states, last = np.zeros((model.heads, size, size)), np.zeros(xs.shape[1])
    # Before the first step, the output is that of a row of zeros.
    h = affine(p, "fc_g2g", np.full(p["fc_g2g.weight"].shape[0], 0.5)) * p["shift"][0]
    for x in xs:
        mixed = {name: x + (last - x) * p[f"mix[{name!r}]"][0] for name in "rwkvag"}
        last = x
        r, k, v = (affine(p, f"fc_x2{name}", mixed[name]) for name in "rkv")
        d = affine(p, "fc_w2w", np.tanh(affine(p, "fc_x2w", mixed["w"])))
        w = np.exp(-FASTEST * sigmoid(d))
        a = sigmoid(affine(p, "fc_a2a", affine(p, "fc_x2a", mixed["a"])))
        g = affine(p, "fc_g2g", sigmoid(affine(p, "fc_x2g", mixed["g"])))
        removed, added = k * p["removed"][0], k * ((1 - p["added"][0]) + a * p["added"][0])
        read = []
        for head in range(model.heads):
            own = slice(head * size, (head + 1) * size)
            hat = removed[own] / np.sqrt(removed[own] @ removed[own] + TINY)
            turn = np.diag(w[own]) - np.outer(hat, a[own] * hat)
            states[head] = states[head] @ turn + np.outer(v[own], added[own])
            y = states[head] @ r[own]
            y = (y - y.mean()) / np.sqrt(y.var() + LEAST_OF_GROUP) * p["scale"][0, own] + p["shift"][0, own]
            read.append(y + (r[own] @ (p["bonus"][0, own] * added[own])) * v[own])
        h = g * np.concatenate(read)
    return h
