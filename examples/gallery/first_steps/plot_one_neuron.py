"""
One neuron that remembers
=========================

The smallest recurrent network has one unit, one input weight and one recurrent weight. The recurrent weight alone
determines how long the unit remembers: with 0.9 it forgets slowly, with 0.5 quickly. Training learns the weight from
examples.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np

import myrnn
from myrnn import Adam, Sequences


class Neuron:
    def __init__(self, w, u):
        self.w, self.u = mg.tensor([[w]], dtype=np.float32), mg.tensor([[u]], dtype=np.float32)

    def __call__(self, x):
        h, states = np.zeros((1, 1), dtype=np.float32), []
        for x_t in x:
            h = x_t[np.newaxis] @ self.w + h @ self.u
            states.append(h)
        return mg.concatenate(states)

    @property
    def parameters(self):
        return self.w, self.u


# %%
# The input is 1 at the first step, and 0 at all later steps. Each step multiplies the state by the recurrent weight.

x = np.zeros((20, 1), dtype=np.float32)
x[0] = 1
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for u in (0.5, 0.8, 0.95, -0.8):
    ax.plot(Neuron(1.0, u)(x).data, "o-", markersize=4, label=f"recurrent weight {u}")
ax.set(xlabel="step", ylabel="state")
ax.legend()
plt.show()

# %%
# Now the other way round: one neuron, the teacher, generates series, and a neuron with wrong weights learns to generate
# the same ones. The dashed lines are the weights of the teacher.

rng, teacher = np.random.default_rng(0), Neuron(0.5, 0.9)
inputs = rng.normal(size=(50, 30, 1)).astype(np.float32)
data = Sequences.from_pairs([(x, teacher(x).data) for x in inputs], per_step=True)
learner = Neuron(-1.0, 0.0)
optimizer, weights = Adam(learner.parameters, learning_rate=0.02), []
for seed in range(60):
    weights.append((learner.w.item(), learner.u.item()))
    myrnn.train(learner, data, optimizer, iterations=10, batch_size=5, seed=seed)

fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.plot(np.arange(60) * 10, weights, label=["input weight", "recurrent weight"])
ax.axhline(0.5, color="grey", linestyle="--")
ax.axhline(0.9, color="grey", linestyle="--")
ax.set(xlabel="iterations", ylabel="weight")
ax.legend()
plt.show()
