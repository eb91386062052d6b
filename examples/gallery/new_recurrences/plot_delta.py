"""
The delta rule: a reflection for every one
==========================================

DeltaProduct with one key multiplies its state at each step by I - b k'k. The symbol chooses the key k, a vector of
length 1, and the number b: along k the eigenvalue is 1 - b, in all other directions it is 1. With b up to 2 this can be
a reflection, which turns what is stored into its opposite. With b up to 1 it can only delete it.

The task is the parity of bits. Two small layers learn it, one with each range of b.
"""

import matplotlib.pyplot as plt
import numpy as np

import myrnn
from myrnn import Adam, Stacked, tasks
from myrnn.models.functions import silu, unit

task = tasks.RunningParity(length_max=16)
sizes = {"cell": "deltaproduct", "householders": 1, "layers": 1, "per_step": True}
fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for negative, name in ((True, "from -1 to 1"), (False, "from 0 to 1")):
    model = Stacked(2, 4, 2, **sizes, negative_eigenvalues=negative, rng=0)
    optimizer = Adam(model.parameters, learning_rate=0.01)
    history = myrnn.train(model, task, optimizer, 3_000, 32, schedule="cosine")
    report = myrnn.evaluate(model, task, 4_000, lengths=[2, 4, 8, 16, 32, 64, 128], trained=history)
    report.plot(label=f"eigenvalues {name}", ax=ax)

    # The eigenvalues along the keys of a zero and of a one, and how far the keys point in the same direction.
    layer, largest = model.stack[0], 2 if negative else 1
    zero, one = 1 - largest / (1 + np.exp(-layer.fc_x2b[0].weight.data[:, 0]))
    keys = unit(silu(layer.fc_x2k[0].weight)).data
    print(f"{name}: {zero:.2f} for a zero, {one:.2f} for a one, cosine of the keys {keys[0] @ keys[1]:.2f}")

# %%
# With negative eigenvalues, a one turns the state around, and a zero changes another direction: the keys are almost at
# right angles. The eigenvalue is not quite -1, so the state shrinks with every one, and the longest sequences show it.
# Without negative eigenvalues the layer does not even learn short sequences.
