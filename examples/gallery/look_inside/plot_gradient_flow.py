"""
Where the gradient goes: RNN against LSTM
=========================================

A network can only learn from its first symbol if the gradient comes back to it. Each step on the way multiplies the
gradient by a matrix. In a simple network it tends to shrink; the memory of an LSTM hands it on.
"""

import myrnn
from myrnn import LSTM, RNN, tasks

task = tasks.TwinHalves(pattern_length_min=20, pattern_length_max=20)
models = {
    "RNN (tanh)": RNN(10, 50, 2, activation="tanh", rng=0),
    "RNN (ReLU)": RNN(10, 50, 2, rng=0),
    "LSTM": LSTM(10, 50, 2, rng=0),
}
ax = None
for name, model in models.items():
    ax = myrnn.gradient_flow(model, task, relative=True).plot(ax, label=name)

# %%
# These networks are untrained. The curves are medians over a thousand sequences of 40 steps, measured from the last
# step; the bands hold 80% of them. If the recurrent weights begin as an orthogonal matrix, the length of
# the gradient is kept better:

ax = None
for begin in ("glorot", "orthogonal"):
    model = RNN(10, 50, 2, activation="tanh", recurrent_init=begin, rng=0)
    ax = myrnn.gradient_flow(model, task, relative=True).plot(ax, label=begin)
