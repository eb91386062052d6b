"""
IndRNN: each unit reads only its own state
==========================================

In the independently recurrent network of Li, Li, Cook, Zhu and Gao (`Independently recurrent neural network (IndRNN):
Building a longer and deeper RNN <https://arxiv.org/abs/1803.04831>`_, 2018) the recurrent weights are a vector instead
of a matrix. Each unit reads only its own last state, times one number. If that number is near 1, the unit remembers for
a long time. Weights above 1 would let a state grow without bounds, so they are clipped. Units are mixed only between
layers, so there are two layers.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad import Tensor
from mygrad.nnet.activations import relu

import myrnn
from myrnn import RNN, Adam, Sequences, dense

np.random.seed(0)


class IndRNN:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2g, self.fc_g2h = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_recurrent)
        self.fc_h2y = dense(dim_recurrent, dim_output)
        self.u, self.v = (Tensor(np.random.uniform(0, 1, dim_recurrent).astype(np.float32)) for _ in range(2))

    def __call__(self, x):
        g = h = np.zeros((1, len(self.u)), dtype=np.float32)
        for x_t in x:
            g = relu(self.fc_x2g(x_t[np.newaxis]) + mg.clip(self.u, -1, 1) * g)
            h = relu(self.fc_g2h(g) + mg.clip(self.v, -1, 1) * h)
        return self.fc_h2y(h)

    @property
    def parameters(self):
        layers = *self.fc_x2g.parameters, *self.fc_g2h.parameters, *self.fc_h2y.parameters
        return (*layers, self.u, self.v)


print(myrnn.compile(IndRNN(2, 32, 1), dim_input=2))

# %%
# The paper tests it on the *adding problem*. A sequence has two columns: random numbers, and a mark at two of its
# steps. The answer is the sum of the two marked numbers. Here a sequence has 100 steps, so the network has to remember.


def adding_problem(count, steps, rng):
    x = np.zeros((count, steps, 2), dtype=np.float32)
    x[:, :, 0] = rng.random((count, steps))
    for row in x:
        row[rng.choice(steps, 2, replace=False), 1] = 1
    return Sequences.from_pairs(zip(x, (x[:, :, 0] * x[:, :, 1]).sum(axis=1, keepdims=True), strict=True))


data = adding_problem(5_000, 100, np.random.default_rng(0))
models = {"IndRNN": IndRNN(2, 32, 1), "RNN (tanh)": RNN(2, 48, 1, activation="tanh")}
histories = {}
for name, model in models.items():
    optimizer = Adam(model.parameters, learning_rate=0.005)
    histories[name] = myrnn.train(model, data, optimizer, 1_500, 32, gradient_clip=1.0, report_every=50)

# %%
# The dashed line is the error of a constant answer. In this time, the simple network does not get below it. The figure
# on the right shows the answers of the IndRNN to new sequences.

new = adding_problem(300, 100, np.random.default_rng(1))
answers = myrnn.compile(models["IndRNN"], dim_input=2).logits(new)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", width_ratios=[3, 2])
for name, history in histories.items():
    left.plot(history.iteration, history.loss, label=name)
left.axhline(1 / 6, color="grey", linestyle="--")
left.set(xlabel="iterations", ylabel="mean squared error", yscale="log")
left.legend()
right.plot([0, 2], [0, 2], color="grey", linestyle="--")
right.scatter(new.targets, answers, s=10)
right.set(xlabel="the sum", ylabel="the answer", aspect="equal")
plt.show()
