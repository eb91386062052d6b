"""
An LSTM counts, a GRU does not
==============================

To accept *n* times a, then *n* times b, a network has to count. The memory of an LSTM can grow by one at each a and
shrink by one at each b. The state of a GRU lies between -1 and 1 and cannot. Weiss, Goldberg and Yahav described the
difference (`On the practical computational power of finite precision RNNs for language recognition
<https://arxiv.org/abs/1805.04908>`_, 2018).
"""

import matplotlib.pyplot as plt

import myrnn
from myrnn import GRU, LSTM, Adam, tasks

task = tasks.EqualCounts("ab", length_max=24)
models = {"LSTM": LSTM(task.dim_input, 8, 2, rng=0), "GRU": GRU(task.dim_input, 8, 2, rng=0)}
ax = None
for name, model in models.items():
    optimizer = Adam(model.parameters, learning_rate=0.01)
    history = myrnn.train(model, task, optimizer, 4_000, 32, gradient_clip=1.0, schedule="cosine")
    report = myrnn.evaluate(model, task, 10_000, lengths=range(2, 121, 6), trained=history)
    ax = report.plot(ax, label=name)

# %%
# What they keep in mind while they read a string of 15 a and 15 b:

fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, (name, state) in zip(axes, {"LSTM": "c", "GRU": "h"}.items(), strict=True):
    ax.plot(myrnn.inspect(models[name], [0] * 15 + [1] * 15).states[state])
    ax.axvline(14, color="grey", linestyle="--")
    ax.set(title=f"{name}: {state}, one line a unit", xlabel="step")
plt.show()
