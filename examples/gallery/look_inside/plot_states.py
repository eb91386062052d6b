"""
The hidden state, step by step
==============================

What does a network remember while it reads? ``inspect`` runs one sequence and records everything: the states, the
answer that the network would give if the sequence ended at each step, and the gradients.
"""

import matplotlib.pyplot as plt

import myrnn
from myrnn import GRU, Adam, tasks

task = tasks.TwinHalves(pattern_length_max=8)
model = GRU(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
myrnn.train(model, task, Adam(model.parameters, learning_rate=0.003), 6_000, 16, schedule="cosine")

fig, axes = plt.subplots(2, 2, figsize=(10, 5.5), height_ratios=[2, 1], layout="constrained", sharex="col")
for (top, bottom), digits in zip(axes.T, ("31413141", "31413159"), strict=True):
    inside = myrnn.inspect(model, digits, class_names=task.class_names)
    inside.plot(ax=top)
    inside.plot("probabilities", ax=bottom)
    top.set_title(" ".join(digits))
plt.show()

# %%
# As long as a digit is missing, the halves differ, and the network says so. Only the last digits decide.
#
# The numbers of the second sequence, as a table:

inside
