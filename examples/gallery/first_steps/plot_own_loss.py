"""
Your own loss
=============

A loss is a function of outputs and targets, written in MyGrad, that returns the loss of each row. It is compiled
together with the model. Here a network learns three *quantiles*: numbers that the next value stays below in one case
out of ten, in five, and in nine.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np

import myrnn
from myrnn import Adam, Sequences, Stacked

QUANTILES = np.array([0.1, 0.5, 0.9], dtype=np.float32)


def pinball(outputs, targets):
    """Return the pinball loss, which is smallest if the outputs are the quantiles of the target."""
    above = targets - outputs
    return mg.mean(mg.maximum(QUANTILES * above, (QUANTILES - 1) * above), axis=1)


# %%
# The series is a wave whose noise grows and fades. The target is the next value, repeated for the three outputs.

rng, t = np.random.default_rng(0), np.arange(6_000)
wave = np.sin(t / 10) + 0.4 * np.sin(t / 40) ** 2 * rng.normal(size=len(t))
x, y = wave[:-1, None].astype(np.float32), np.repeat(wave[1:, None], 3, axis=1).astype(np.float32)
training = Sequences(x[:5_000], [0, 5_000], y[:5_000], per_step=True)

model = Stacked(1, 24, 3, cell="gru", layers=1, per_step=True, rng=0)
optimizer = Adam(model.parameters, learning_rate=0.01)
history = myrnn.train(model, training.cut(20), optimizer, 800, 20, truncate=50, loss=pinball, schedule="cosine")

# %%
# On the rest of the series, how often is the next value below each of the three numbers?

compiled = myrnn.compile(model)
_, said = compiled.step(compiled.start(), x[4_900:])
said, truth = said[100:], y[5_000:, 0]
print("share below:", (truth[:, None] < said).mean(axis=0).round(2))

fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
ax.fill_between(range(300), said[:300, 0], said[:300, 2], alpha=0.3, label="from the 10% to the 90% quantile")
ax.plot(said[:300, 1], label="the median")
ax.plot(truth[:300], ".", color="black", markersize=3, label="the next value")
ax.set(xlabel="step")
fig.legend(loc="outside upper center", ncols=3)
plt.show()
