"""
Recurrent highway network: several layers inside a step
=======================================================

In most cells one step is one layer. Zilly, Srivastava, Koutník and Schmidhuber (`Recurrent highway networks
<https://arxiv.org/abs/1607.03474>`_, 2017) make a step deeper: the state passes several layers before the next symbol
is read. A gate in each layer decides how much of the state is replaced and how much is carried on.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad.nnet.activations import sigmoid

import myrnn
from myrnn import Adam, Sequences, dense

np.random.seed(0)


class RecurrentHighway:
    def __init__(self, dim_input, dim_recurrent, dim_output, depth=3):
        closed = {"bias_kwargs": {"value": -1.0}}  # at first most of the state is carried on
        self.fc_x2h, self.fc_x2t = dense(dim_input, dim_recurrent), dense(dim_input, dim_recurrent, bias=False)
        self.fc_h2h = [dense(dim_recurrent, dim_recurrent, bias=False) for _ in range(depth)]
        self.fc_h2t = [dense(dim_recurrent, dim_recurrent, **closed) for _ in range(depth)]
        self.fc_s2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        s = np.zeros((1, self.fc_s2y.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            for place, (fc_h2h, fc_h2t) in enumerate(zip(self.fc_h2h, self.fc_h2t, strict=True)):
                reads = place == 0  # only the first layer reads the symbol
                h = mg.tanh(fc_h2h(s) + self.fc_x2h(x_t[np.newaxis]) if reads else fc_h2h(s))
                t = sigmoid(fc_h2t(s) + self.fc_x2t(x_t[np.newaxis]) if reads else fc_h2t(s))
                s = h * t + s * (1 - t)
        return self.fc_s2y(s)

    @property
    def parameters(self):
        layers = self.fc_x2h, self.fc_x2t, *self.fc_h2h, *self.fc_h2t, self.fc_s2y
        return tuple(parameter for layer in layers for parameter in layer.parameters)


print(myrnn.compile(RecurrentHighway(7, 30, 5), dim_input=7))

# %%
# A calculator has the seven keys +1, +2, +3, +4, times 2, times 3 and times 4. It calculates modulo 5, so 4 + 1 is 0.
# Which number does it show after a sequence of keys? The effect of a key depends on the number that is shown before it,
# which is hard to learn for a single layer.

KEYS = ["+1", "+2", "+3", "+4", "*2", "*3", "*4"]


class Calculator:
    dim_input, dim_output, lengths = len(KEYS), 5, np.arange(1, 21)

    def sample(self, n, rng):
        return self.sample_lengths(rng.choice(self.lengths, n), rng)

    def sample_lengths(self, lengths, rng):
        pairs = []
        for keys in (rng.integers(0, len(KEYS), length) for length in lengths):
            value = 0
            for operation, number in (KEYS[key] for key in keys):
                value = (value + int(number) if operation == "+" else value * int(number)) % 5
            pairs.append((keys, value))
        return Sequences.from_pairs(pairs, dim_input=len(KEYS))


# %%
# The three networks have about the same number of weights: the deeper ones have fewer units. They are trained on up to
# 20 keys.

task = Calculator()
data = task.sample(20_000, np.random.default_rng(0))
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for depth, units in {1: 48, 2: 36, 3: 30}.items():
    model = RecurrentHighway(len(KEYS), units, 5, depth)
    optimizer = Adam(model.parameters, learning_rate=0.005)
    myrnn.train(model, data, optimizer, 2_000, 32, gradient_clip=1.0, schedule="cosine")
    report = myrnn.evaluate(model, task, 8_000, lengths=range(1, 41, 3), trained=20)
    size = sum(parameter.size for parameter in model.parameters)
    report.plot(ax=ax, label=f"depth {depth}, {size:,} weights")
plt.show()
