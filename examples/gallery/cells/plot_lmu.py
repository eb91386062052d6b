"""
Legendre memory unit: the last steps as a polynomial
====================================================

Voelker, Kajić and Eliasmith (`Legendre memory units: Continuous-time representation in recurrent neural networks
<https://papers.nips.cc/paper/9689-legendre-memory-units-continuous-time-representation-in-recurrent-neural-networks>`_,
2019) give the network a memory that is not learned: a few numbers that describe the last steps of the input as a sum of
Legendre polynomials. A small nonlinear state reads this memory and decides what is written into it.
"""

from functools import partial

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from scipy.linalg import expm
from scipy.special import eval_legendre

import myrnn
from myrnn import Adam, Sequences, dense

np.random.seed(0)


def legendre_memory(order, window):
    """Return A and B of the update m = m A + u B, for a memory of the last ``window`` steps."""
    i, j = np.ogrid[:order, :order]
    a = (2 * i + 1) * np.where(i < j, -1, (-1.0) ** (i - j + 1)) / window
    b = (2 * i + 1) * (-1.0) ** i / window
    both = expm(np.block([[a, b], [np.zeros((1, order + 1))]]))
    return both[:order, :order].T.astype(np.float32), both[:order, order:].T.astype(np.float32)


class LMU:
    def __init__(self, dim_input, dim_recurrent, dim_output, order=8, window=24):
        layer = partial(dense, bias=False)
        self.A, self.B = legendre_memory(order, window)
        self.fc_x2u, self.fc_h2u, self.fc_m2u = layer(dim_input, 1), layer(dim_recurrent, 1), layer(order, 1)
        self.fc_x2h, self.fc_h2h = layer(dim_input, dim_recurrent), layer(dim_recurrent, dim_recurrent)
        self.fc_m2h, self.fc_h2y = layer(order, dim_recurrent), dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h, m = np.zeros((1, len(self.fc_h2h.weight)), dtype=np.float32), np.zeros((1, len(self.A)), dtype=np.float32)
        outputs = []
        for x_t in x:
            u = self.fc_x2u(x_t[np.newaxis]) + self.fc_h2u(h) + self.fc_m2u(m)
            m = m @ self.A + u @ self.B
            h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h) + self.fc_m2h(m))
            outputs.append(self.fc_h2y(h))
        return mg.concatenate(outputs)

    @property
    def parameters(self):
        memory = self.fc_x2u, self.fc_h2u, self.fc_m2u
        layers = *memory, self.fc_x2h, self.fc_h2h, self.fc_m2h, self.fc_h2y
        return tuple(parameter for layer in layers for parameter in layer.parameters)


model = LMU(1, 32, 1)
print(myrnn.compile(model, dim_input=1))

# %%
# The paper's second test is the Mackey-Glass equation. Its series never repeats. At every step, the network predicts
# the value 15 steps later.

series = np.full(6_000, 1.2)
for t in range(17, len(series) - 1):
    series[t + 1] = series[t] + 0.2 * series[t - 17] / (1 + series[t - 17] ** 10) - 0.1 * series[t]
series = (series[200:] - series.mean()) / series.std()
ahead = 15
now, later = series[:-ahead, None].astype(np.float32), series[ahead:, None].astype(np.float32)
training = Sequences(now[:5_000], [0, 5_000], later[:5_000], per_step=True)

optimizer = Adam(model.parameters, learning_rate=0.005)
history = myrnn.train(model, training.cut(16), optimizer, 1_000, 16, truncate=50, schedule="cosine")

# %%
# Left: the predictions on steps that the network was not trained on. Right: the memory. It holds eight numbers, and the
# curve is the last 24 steps of the input as these numbers describe them.

_, said = (compiled := myrnn.compile(model, dim_input=1)).step(compiled.start(), now[5_000:])
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", width_ratios=[3, 2])
shown = slice(100, 350)
left.plot(later[5_000:][shown], label="the series")
left.plot(said[shown], "--", label=f"said {ahead} steps before")
error = np.sqrt(np.mean((said[100:] - later[5_100:]) ** 2))
left.set(xlabel="step", title=f"root mean squared error {error:.3f}")
left.legend(loc="lower right")

m = np.zeros((1, 8), dtype=np.float32)
for value in now[5_000:5_200]:
    m = m @ model.A + value * model.B
ago = np.arange(24)
right.plot(-ago, now[5_199 - ago, 0], "o", label="the last steps")
right.plot(-ago, sum(m[0, i] * eval_legendre(i, 2 * ago / 24 - 1) for i in range(8)), label="the memory")
right.set(xlabel="steps from now")
right.legend()
plt.show()
