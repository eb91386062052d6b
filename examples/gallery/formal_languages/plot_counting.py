"""
Counting with an LSTM and with a GRU
====================================

To accept strings of *n* times a, then *n* times b, a network has to count. The memory of an LSTM can grow by a step at
each a and shrink by a step at each b. The states of a GRU lie between -1 and 1, so the GRU has to count in smaller and
smaller steps. Weiss, Goldberg and Yahav described the difference (`On the practical computational power of finite
precision RNNs for language recognition <https://arxiv.org/abs/1805.04908>`_, 2018).
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
    report = myrnn.evaluate(model, task, 10_000, lengths=range(2, 62, 2), trained=history)
    ax = report.plot(ax=ax, label=name)

# %%
# Both are right on the trained lengths, and both lose count beyond them. How do their states change while they read 12
# times a and 12 times b? Some units of the LSTM rise and fall in straight lines. Those of the GRU follow curves.

fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, (name, state) in zip(axes, {"LSTM": "c", "GRU": "h"}.items(), strict=True):
    ax.plot(myrnn.inspect(models[name], [0] * 12 + [1] * 12).states[state])
    ax.axvline(11, color="grey", linestyle="--")
    ax.set(title=f"{name}: {state}, one line a unit", xlabel="step")
plt.show()
