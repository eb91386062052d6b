"""
Attention over all states
=========================

A network can compute its answer from all its states instead of only the last one: a learned query gives each state a
weight, and the answer comes from the weighted sum. This takes a few more lines in the class, and the weights show where
the network looks.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad.nnet.activations import softmax

import myrnn
from myrnn import Adam, Sequences, dense

np.random.seed(0)


class Attention:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, bias=False)
        self.query = dense(dim_recurrent, 1, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def states(self, x):
        h, states = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32), []
        for x_t in x:
            h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
            states.append(h)
        return mg.concatenate(states)

    def weights(self, states):
        return softmax(self.query(states), axis=0)

    def __call__(self, x):
        states = self.states(x)
        return self.fc_h2y(mg.sum(self.weights(states) * states, axis=0, keepdims=True))

    @property
    def parameters(self):
        layers = self.fc_x2h, self.fc_h2h, self.query, self.fc_h2y
        return tuple(parameter for layer in layers for parameter in layer.parameters)


print(myrnn.compile(Attention(11, 32, 10), dim_input=11))

# %%
# The question is: which digit comes right after the star? The star is somewhere in a string of 30 symbols, and the
# network answers only at the end.


def draw(count, rng):
    strings = rng.integers(0, 10, (count, 30))
    stars = rng.integers(0, 29, count)
    strings[np.arange(count), stars] = 10
    return Sequences.from_pairs(zip(strings, strings[np.arange(count), stars + 1], strict=True), dim_input=11)


model = Attention(11, 32, 10)
data, test = draw(10_000, np.random.default_rng(0)), draw(2_000, np.random.default_rng(1))
optimizer = Adam(model.parameters, learning_rate=0.005)
history = myrnn.train(model, data, optimizer, 2_000, 32, gradient_clip=1.0, schedule="cosine")
print(f"{history.engine}: right on {myrnn.evaluate(model, test).mean_accuracy:.1%} of new strings")

# %%
# Where does it look? Each row is a string. The darker a step, the larger its weight.

fig, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
shown = []
with mg.no_autodiff:
    for i in range(8):
        x = np.eye(11, dtype=np.float32)[test.tokens(i)]
        shown.append(model.weights(model.states(x)).data[:, 0])
image = ax.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for i in range(8):
    for step, token in enumerate(test.tokens(i)):
        color = "white" if shown[i][step] > 0.5 else "black"
        ax.text(step, i, "0123456789*"[token], ha="center", va="center", color=color)
ax.set(xlabel="step", yticks=[])
fig.colorbar(image, label="weight")
plt.show()
