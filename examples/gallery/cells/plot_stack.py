"""
Stack-RNN: a network with a stack
=================================

Joulin and Mikolov (`Inferring algorithmic patterns with stack-augmented recurrent nets
<https://arxiv.org/abs/1503.01007>`_, 2015) give a simple network a stack. At each step it can push a value, pop one, or
keep the stack unchanged. It does a little of each, and learns the shares. MyRNN has this network as ``myrnn.StackRNN``.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad.nnet.activations import softmax

import myrnn
from myrnn import Adam, Stacked, tasks

# Strings of brackets of two kinds need a stack. At each step the network says which symbols may come next. A bracket
# can only be closed by one of its kind, so the network has to know which one was opened last. It learns from strings
# with at most 8 open brackets. The test has longer strings without this limit.

task = tasks.Dyck(2, 8, length_max=24, objective="next_symbols")
deeper = tasks.Dyck(2, length_max=60, objective="next_symbols")
sizes = {"dim_input": task.dim_input, "dim_output": task.dim_output, "layers": 1, "per_step": True, "rng": 0}
model = Stacked(dim_recurrent=16, cell="stack-rnn", stack_depth=16, stack_width=4, **sizes)
print(myrnn.compile(model))

# %%
# The share of strings that are right at every step:

models = {"RNN with a stack": model, "RNN": Stacked(dim_recurrent=20, cell="rnn", activation="tanh", **sizes)}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, network in models.items():
    optimizer = Adam(network.parameters, learning_rate=0.01)
    myrnn.train(network, task, optimizer, 2_000, 32, gradient_clip=1.0, schedule="cosine")
    report = myrnn.evaluate(network, deeper, 5_000, lengths=range(5, 61, 6))
    size = sum(parameter.size for parameter in network.parameters)
    ax.plot(report.lengths, report.whole / report.sequences, "o-", label=f"{name}, {size:,} weights")
ax.axvspan(25, 60, color="grey", alpha=0.15, linewidth=0, label="longer than trained on")
ax.set(xlabel="length of the string", ylabel="wholly right", ylim=(0, 1.02))
ax.legend()
plt.show()

# %%
# What does it do with its stack? We read a string step by step and keep the shares of the three actions.

string = "([([])])[]"
layer, shares = model.stack[0], []
state = layer.start()
with mg.no_autodiff:
    for symbol in string:
        x_t = np.eye(task.dim_input, dtype=np.float32)[[task.symbol_names.index(symbol)]]
        state = layer.step(x_t, state)
        shares.append(softmax(layer.fc_h2a(state[0])).data[0])

fig, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
image = ax.imshow(np.transpose(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto")
ax.set_xticks(range(len(string)), list(string), fontsize=13)
ax.set_yticks(range(3), ["push", "pop", "keep"])
fig.colorbar(image, label="share")
plt.show()
