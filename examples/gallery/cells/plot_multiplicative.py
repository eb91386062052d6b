"""
Multiplicative RNN: every symbol has its own matrix
===================================================

Sutskever, Martens and Hinton (`Generating text with recurrent neural networks
<https://www.cs.toronto.edu/~jmartens/docs/RNN_Language.pdf>`_, 2011) let the symbol choose how the state changes: the
recurrent matrix is the product of two matrices, with a diagonal matrix between them that depends on the symbol. Such a
network can follow operations that are carried out one after another.
"""

from itertools import permutations

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np

import myrnn
from myrnn import RNN, Adam, Sequences, dense

np.random.seed(0)


class MultiplicativeRNN:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2f, self.fc_h2f = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2h, self.fc_f2h = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h = np.ones((1, self.fc_h2y.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            f = self.fc_x2f(x_t[np.newaxis]) * self.fc_h2f(h)
            h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_f2h(f))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        layers = self.fc_x2f, self.fc_h2f, self.fc_x2h, self.fc_f2h, self.fc_h2y
        return tuple(parameter for layer in layers for parameter in layer.parameters)


print(myrnn.compile(MultiplicativeRNN(6, 48, 6), dim_input=6))

# %%
# Three cups are in a row. Each symbol is one of the six ways to rearrange them. After the last symbol, the network says
# in which order they are. There is no shortcut: the answer depends on all moves.

ORDERS = list(permutations(range(3)))


class Cups:
    dim_input, dim_output, lengths = 6, 6, np.arange(1, 13)

    def sample(self, n, rng):
        return self.sample_lengths(rng.choice(self.lengths, n), rng)

    def sample_lengths(self, lengths, rng):
        pairs = []
        for moves in (rng.integers(0, 6, length) for length in lengths):
            cups = (0, 1, 2)
            for move in moves:
                cups = tuple(cups[place] for place in ORDERS[move])
            pairs.append((moves, ORDERS.index(cups)))
        return Sequences.from_pairs(pairs, dim_input=6)


task = Cups()
data = task.sample(40_000, np.random.default_rng(0))
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
models = {"multiplicative": MultiplicativeRNN(6, 48, 6), "RNN (tanh)": RNN(6, 72, 6, activation="tanh")}
for name, model in models.items():
    optimizer = Adam(model.parameters, learning_rate=0.003)
    history = myrnn.train(model, data, optimizer, 4_000, 32, gradient_clip=1.0, schedule="cosine")
    report = myrnn.evaluate(model, task, 10_000, lengths=range(1, 31), trained=12)
    size = sum(parameter.size for parameter in model.parameters)
    report.plot(ax=ax, label=f"{name}, {size:,} weights")
plt.show()
