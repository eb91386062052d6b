"""
Where the gradient goes: RNN against LSTM
=========================================

A network can learn from the first symbol only if the gradient reaches it. Each step on the way multiplies the gradient
by a matrix. In a simple network the gradient tends to shrink. The memory of an LSTM preserves it.
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
    ax = myrnn.gradient_flow(model, task, relative=True).plot(ax=ax, label=name)

# %%
# These networks are untrained. The curves are medians over a thousand sequences of 40 steps, relative to the last step,
# and the bands contain 80% of the sequences. If the recurrent weights begin as an orthogonal matrix, the norm of the
# gradient is preserved better:

ax = None
for begin in ("glorot", "orthogonal"):
    model = RNN(10, 50, 2, activation="tanh", recurrent_init=begin, rng=0)
    ax = myrnn.gradient_flow(model, task, relative=True).plot(ax=ax, label=begin)
