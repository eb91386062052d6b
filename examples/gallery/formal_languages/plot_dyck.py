"""
Which symbols may come next?
============================

A label says only whether a whole string is right. There is a stricter question: after each symbol, which symbols may
follow? With ``objective="next_symbols"`` a network learns to answer it. Here the strings are brackets of two kinds,
with at most four open at once.
"""

import matplotlib.pyplot as plt
import numpy as np

import myrnn
from myrnn import Adam, Stacked, tasks

task = tasks.Dyck(2, 4, length_max=30, objective="next_symbols")
model = Stacked(task.dim_input, 32, task.dim_output, cell="lstm", layers=1, per_step=True, rng=0)
optimizer = Adam(model.parameters, learning_rate=0.01)
history = myrnn.train(model, task, optimizer, 1_500, 32, gradient_clip=1.0, schedule="cosine")
report = myrnn.evaluate(model, task, 2_000, lengths=range(3, 62, 4), trained=history)
ax = report.plot()

# %%
# A step counts as right if all its answers are right: whether each of the four brackets may follow, and whether the
# string may end here ($). The figure shows one string, step by step. ``^`` is the start. Rings mark the true answers.

string = "^([[]()])[]"
tokens = [task.symbol_names.index(symbol) for symbol in string]
said = 1 / (1 + np.exp(-myrnn.inspect(model, tokens).logits))

open_brackets, truth = [], []
for symbol in string:
    if symbol in "([":
        open_brackets.append(symbol)
    elif symbol in ")]":
        open_brackets.pop()
    last = open_brackets[-1] if open_brackets else ""
    deeper = len(open_brackets) < task.depth
    truth.append([deeper, deeper, last == "(", last == "[", not last])

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
image = ax.imshow(said.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
ax.plot(*np.nonzero(truth), "o", color="tab:orange", fillstyle="none", markersize=12)
ax.set_xticks(range(len(string)), list(string), fontsize=13)
ax.set_yticks(range(5), task.class_names, fontsize=13)
fig.colorbar(image, label="probability")
plt.show()
