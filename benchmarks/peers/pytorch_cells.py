"""The cells of the gallery in PyTorch: loops over the steps, as a user of PyTorch writes them.

Each is a function of the weights `p`, by their names in MyRNN, and of the sequences `x`, (T, B, C). If a cell allows
it, the product of the inputs of all steps is computed before the loop.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from benchmarks.jobs import MATRIX_STATES, Job, weights_by_name
from benchmarks.peers.pytorch_matrices import MATRICES

Weights = dict[str, Tensor]


def dense(p: Weights, name: str, x: Tensor) -> Tensor:
    product = x @ p[f"{name}.weight"]
    return product + p[f"{name}.bias"] if f"{name}.bias" in p else product


def zeros(x: Tensor, units: int) -> Tensor:
    return x.new_zeros(x.shape[1], units)


def indrnn(p: Weights, x: Tensor) -> Tensor:
    g = h = zeros(x, len(p["u"]))
    u, v = p["u"].clamp(-1, 1), p["v"].clamp(-1, 1)
    for input_t in dense(p, "fc_x2g", x).unbind():
        g = torch.relu(input_t + u * g)
        h = torch.relu(dense(p, "fc_g2h", g) + v * h)
    return dense(p, "fc_h2y", h)


def antisymmetric(p: Weights, x: Tensor, step: float = 0.1, damping: float = 0.01) -> Tensor:
    h = zeros(x, len(p["W"]))
    skew = p["W"] - p["W"].T - damping * torch.eye(len(p["W"]))
    for input_t in dense(p, "fc_x2h", x).unbind():
        h = h + step * torch.tanh(h @ skew + input_t)
    return dense(p, "fc_h2y", h)


def multiplicative(p: Weights, x: Tensor) -> Tensor:
    h = torch.ones_like(zeros(x, len(p["fc_h2f.weight"])))
    for input_f, input_h in zip(dense(p, "fc_x2f", x).unbind(), dense(p, "fc_x2h", x).unbind(), strict=True):
        h = torch.tanh(input_h + dense(p, "fc_f2h", input_f * dense(p, "fc_h2f", h)))
    return dense(p, "fc_h2y", h)


def highway(p: Weights, x: Tensor, depth: int = 3) -> Tensor:
    s = zeros(x, len(p["fc_s2y.weight"]))
    for input_h, input_t in zip(dense(p, "fc_x2h", x).unbind(), dense(p, "fc_x2t", x).unbind(), strict=True):
        for place in range(depth):
            h, t = dense(p, f"fc_h2h[{place}]", s), dense(p, f"fc_h2t[{place}]", s)
            if place == 0:
                h, t = h + input_h, t + input_t
            t = torch.sigmoid(t)
            s = torch.tanh(h) * t + s * (1 - t)
    return dense(p, "fc_s2y", s)


def layer_norm_lstm(p: Weights, x: Tensor) -> Tensor:
    def normalized(z: Tensor, gain: Tensor) -> Tensor:
        return layer_norm(z, z.shape[-1:], gain)

    h = c = zeros(x, len(p["gain_c"]))
    for input_t in (normalized(x @ p["fc_x2z.weight"], p["gain_x"]) + p["fc_x2z.bias"]).unbind():
        i, f, o, g = (input_t + normalized(dense(p, "fc_h2z", h), p["gain_h"])).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(normalized(c, p["gain_c"]))
    return dense(p, "fc_h2y", h)


def lmu(p: Weights, x: Tensor) -> Tensor:
    h, m, states = zeros(x, len(p["fc_h2h.weight"])), zeros(x, len(p["A"])), []
    for input_u, input_h in zip(dense(p, "fc_x2u", x).unbind(), dense(p, "fc_x2h", x).unbind(), strict=True):
        m = m @ p["A"] + (input_u + dense(p, "fc_h2u", h) + dense(p, "fc_m2u", m)) @ p["B"]
        h = torch.tanh(input_h + dense(p, "fc_h2h", h) + dense(p, "fc_m2h", m))
        states.append(h)
    return dense(p, "fc_h2y", torch.cat(states))


def stack(p: Weights, x: Tensor, depth: int = 32) -> Tensor:
    h, width = zeros(x, len(p["fc_h2h.weight"])), len(p["fc_s2h.weight"])
    s = x.new_zeros(x.shape[1], depth, width)
    below = x.new_zeros(x.shape[1], 1, width)
    for input_t in dense(p, "fc_x2h", x).unbind():
        h = torch.tanh(input_t + dense(p, "fc_h2h", h) + dense(p, "fc_s2h", s[:, 0]))
        a = torch.softmax(dense(p, "fc_h2a", h), dim=1)[:, :, None, None]
        pushed = torch.cat([torch.sigmoid(dense(p, "fc_h2v", h))[:, None], s[:, :-1]], dim=1)
        popped = torch.cat([s[:, 1:], below], dim=1)
        s = a[:, 0] * pushed + a[:, 1] * popped + a[:, 2] * s
    return dense(p, "fc_h2y", h)


LOOPS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (indrnn, antisymmetric, multiplicative, highway, layer_norm_lstm, lmu, stack)
} | MATRICES


class Loop(nn.Module):
    """One of these cells with the first weights of a job."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        named = weights_by_name(job)
        self.function, self.names = LOOPS[job.cell], tuple(named)
        self.weights = nn.ParameterList(torch.from_numpy(values) for values in named.values())
        self.constants = {}
        if job.cell == "lmu":
            model = job.model()
            self.constants = {name: torch.from_numpy(getattr(model, name)) for name in ("A", "B")}
        self.options = {"heads": job.heads} if job.cell in MATRIX_STATES else {}

    def forward(self, x: Tensor) -> Tensor:
        return self.function(dict(zip(self.names, self.weights, strict=True)) | self.constants, x, **self.options)
