"""What packages that were published for our cells compute; makes ``published_packages.json``.

All of them run on a CPU. They are no part of an extra: ``pip install torch triton einops`` and then, without what they
need on a GPU, ``pip install --no-deps xlstm mambapy minGRU-pytorch fla-core rwkv``. To make the file again, run
``PYTHONPATH=src:tests python -m published_packages``.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import myrnn
from myrnn.models.model import parameter_names

PACKAGES = ("torch", "xlstm", "mambapy", "minGRU-pytorch", "fla-core", "rwkv")
STEPS, INPUTS, UNITS, HEADS = 9, 3, 6, 2


@dataclass(frozen=True)
class Case:
    """One of our models, and the same in a package."""

    model: str
    hidden: Callable  # returns the hidden states (T, D) of the weights of our model for rows (T, C)
    settings: dict = field(default_factory=dict)
    fit: Callable = lambda model, x: None  # changes weights and rows so that the package can have them
    # How much ours may differ; the packages compute some numbers in float32.
    rtol: float = 1e-4
    atol: float = 1e-5


def of(tensor):
    return torch.tensor(tensor.data)


def through(layer, x):
    """The result of one of our dense layers, in torch."""
    product = torch.tensor(x) @ of(layer.weight)
    return product if layer.bias is None else product + of(layer.bias)


def by_head(z):
    """(T, D) as (1, T, H, d)."""
    return z.reshape(1, len(z), HEADS, -1)


# --- the packages


def slstm(model, x):
    from xlstm.blocks.slstm.src import vanilla

    gates = "ifzo"
    given = torch.cat([through(getattr(model, f"fc_x2{gate}"), x) for gate in gates], dim=1)
    # Of each head: all rows of one gate, then of the next, by columns.
    recurrent = torch.cat([of(getattr(model, f"fc_h2{gate}").weight).transpose(1, 2) for gate in gates], dim=1)
    start = torch.zeros(4, 1, UNITS, dtype=torch.float64)
    bias, cell = torch.zeros(4 * UNITS, dtype=torch.float64), vanilla.slstm_pointwise_function_registry["slstm"]
    states, _, _ = vanilla.slstm_forward(given[:, None], start, recurrent, bias, cell)
    return states[0, 1:, 0]


def mlstm(model, x):
    from xlstm.blocks.mlstm import backends

    q, k, v, i, f = (by_head(through(getattr(model, f"fc_x2{name}"), x)).transpose(1, 2) for name in "qkvif")
    read = backends.parallel_stabilized_simple(q, k, v, i, f, eps=0.0)
    return torch.sigmoid(through(model.fc_x2o, x)) * read.transpose(1, 2).reshape(STEPS, UNITS)


def mamba(model, x):
    from mambapy.mamba import MambaBlock, MambaConfig

    states, rows = model.dim_state, model.convolution
    config = MambaConfig(INPUTS, 1, d_state=states, expand_factor=UNITS // INPUTS, d_conv=rows, pscan=False)
    block = MambaBlock(config).double()
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
        return block(torch.tensor(x)[None])[0]


def fit_min_gru(model, x):
    # Theirs adds 0.5 to positive candidates, and has no other biases.
    x[...], model.fc_x2n.weight.data[...] = np.abs(x), np.abs(model.fc_x2n.weight.data)
    model.fc_x2n.bias.data[...], model.fc_x2z.bias.data[...] = 0.5, 0.0


def min_gru(model, x):
    from minGRU_pytorch.minGRU import minGRU

    theirs = minGRU(INPUTS, UNITS / INPUTS, proj_out=False).double()
    with torch.no_grad():
        theirs.to_hidden_and_gate.weight[...] = torch.cat([of(model.fc_x2n.weight), of(model.fc_x2z.weight)], dim=1).T
        return theirs(torch.tensor(x)[None])[0]


def gated_deltanet(model, x):
    from fla.ops.gated_delta_rule import naive

    q, k, v, rates = delta_arguments(model, x)
    read, _ = naive.naive_recurrent_gated_delta_rule(q, k, v, rates, decayed(model, x), scale=1.0)
    return read_out(model, x, read.double())


def delta_product(model, x):
    from fla.ops.gated_delta_product import naive

    q, k, v, rates = delta_arguments(model, x)
    decay, keys = decayed(model, x) if model.gated else None, model.householders
    read, _ = naive.naive_recurrent_gated_delta_product(q, k, v, decay, rates, 1.0, num_householder=keys)
    return read_out(model, x, read)


def normalized(z):
    return z / torch.sqrt((z * z).sum(dim=-1, keepdim=True) + 1e-6)


def decayed(model, x):
    return -torch.exp(of(model.rate)) * torch.nn.functional.softplus(through(model.fc_x2a, x))[None]


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


def fit_rwkv7(model, x):
    # Theirs divides by the length of a key, ours by the root of its square and 0.000001.
    model.removed.data *= 100


def rwkv7(model, x):
    os.environ["RWKV_V7_ON"] = "1"
    from rwkv.model import RWKV_x070_TMix_one

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
        h, before, state, first = RWKV_x070_TMix_one(0, HEADS, size, x_t, before, first, state, *weights)
        found.append(h)
    return torch.stack(found)


HEADED = {"heads": HEADS}
NEGATIVE = {"negative_eigenvalues": True}
CASES = {
    "sLSTM": Case("SLSTM", slstm, HEADED, rtol=1e-10, atol=0),
    # Our root of d is a float32.
    "mLSTM": Case("MLSTM", mlstm, HEADED, rtol=1e-6, atol=0),
    "Mamba": Case("Mamba", mamba, {"dim_state": 5, "convolution": 4}, rtol=1e-5, atol=1e-7),
    "Mamba with one row": Case("Mamba", mamba, {"dim_state": 5, "convolution": 1}, rtol=1e-5, atol=1e-7),
    "minGRU": Case("MinGRU", min_gru, fit=fit_min_gru, rtol=1e-10, atol=0),
    "gated DeltaNet": Case("GatedDeltaNet", gated_deltanet, HEADED),
    "gated DeltaNet, negative": Case("GatedDeltaNet", gated_deltanet, HEADED | NEGATIVE),
    **{
        f"DeltaProduct, n = {keys}{', gated' if gated else ''}": Case(
            "DeltaProduct", delta_product, {**HEADED, "householders": keys, "gated": gated}
        )
        for keys in (1, 3)
        for gated in (False, True)
    },
    "RWKV-7": Case("RWKV7", rwkv7, HEADED, fit_rwkv7),
}


def numbers_of(case):
    """A model with random weights in float64, the rows, and the hidden states of the package."""
    model, x = getattr(myrnn, case.model)(INPUTS, UNITS, 2, **case.settings), random(STEPS, INPUTS)
    for parameter in model.parameters:
        parameter.data = random(*parameter.shape)
    case.fit(model, x)
    return {
        "model": case.model,
        "settings": case.settings,
        "weights": dict(zip(parameter_names(model), (p.data.tolist() for p in model.parameters), strict=True)),
        "x": x.tolist(),
        "hidden": [[float(f"{number:.12g}") for number in row] for row in case.hidden(model, x).tolist()],
        "rtol": case.rtol,
        "atol": case.atol,
    }


RNG = np.random.default_rng(1)


def random(*shape):
    return RNG.normal(0, 0.7, shape).round(2)


def main():
    lines = [f'"{name}": {json.dumps(numbers_of(case))}' for name, case in CASES.items()]
    versions = json.dumps({name: version(name) for name in PACKAGES})
    text = f'{{"versions": {versions},\n"cells": {{\n' + ",\n".join(lines) + "\n}}\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
