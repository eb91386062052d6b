"""
Linear recurrences: an LRU that keeps time
==========================================

The state of a linear recurrent unit is complex. At each step it is multiplied by learned eigenvalues, whatever the
input is: it shrinks a little and turns by a fixed angle. A layer can use this to tell the time. Here the input is
always the same, and the answer is the number of the step modulo 5.
"""

import matplotlib.pyplot as plt
import numpy as np

import myrnn
from myrnn import Adam, Sequences, Stacked

TRAINED = 100
model = Stacked(dim_input=1, dim_recurrent=16, dim_output=5, cell="lru", layers=1, per_step=True, rng=0)
print(myrnn.compile(model))


def counting(steps):
    """Return two sequences of the same token, whose answers are the steps modulo 5."""
    answers = np.tile(np.arange(steps) % 5, 2)
    return Sequences(np.zeros_like(answers), [0, steps, 2 * steps], answers, dim_input=1, per_step=True)


optimizer = Adam(model.parameters, learning_rate=0.003)
history = myrnn.train(model, counting(TRAINED), optimizer, 4_000, 2, schedule="cosine", gradient_clip=1.0)

# %%
# Left: a fifth root of unity comes back to 1 after five steps, and the largest eigenvalues have such angles, or near
# ones. Right: they are smaller than 1, so the state shrinks. The layer is right for twice as many steps as it was
# trained on, and then no longer.

layer = model.stack[0]
eigenvalues = np.exp(-np.exp(layer.nu.data) + 1j * np.exp(layer.theta.data))[0]
roots = np.exp(2j * np.pi * np.arange(5) / 5)
fig, (plane, time) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", width_ratios=(2, 3))
plane.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.7"))
plane.plot(roots.real, roots.imag, "x", color="black", markersize=9, label="fifth roots of unity")
both = np.concatenate([eigenvalues, eigenvalues.conj()])
plane.plot(both.real, both.imag, "o", alpha=0.6, label="eigenvalues")
plane.set(xlabel="real part", ylabel="imaginary part", aspect="equal", xlim=(-1.2, 1.2), ylim=(-1.2, 1.6))
plane.legend(loc="upper center", ncols=2, fontsize=8)

_, logits = (compiled := myrnn.compile(model)).step(compiled.start(), np.zeros(600, dtype=np.int64))
right = (logits.argmax(axis=1) == np.arange(600) % 5).reshape(-1, 20).mean(axis=1)
time.plot(np.arange(10, 600, 20), right)
time.axvline(TRAINED, color="0.5", linestyle="--", label="trained on")
time.set(xlabel="step", ylabel="accuracy", ylim=(0, 1.05))
time.legend(loc="lower left")

# %%
# The angles do not depend on the input: the layer counts steps, not symbols. It cannot turn for a one and stay for a
# zero, which the parity of bits needs.
