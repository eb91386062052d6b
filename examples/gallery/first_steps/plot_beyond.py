"""
Longer than anything seen in training
=====================================

A network that has learned a rule can apply it to longer sequences. One that has learned something else often cannot.
Two networks learn to tell whether a string of bits has an odd number of ones, from strings of at most 10 bits. The test
has strings of up to 100.
"""

import myrnn
from myrnn import RNN, Adam, tasks

task = tasks.Flare("parity", length_max=10)
models = {"ReLU": RNN(2, 16, 2, rng=0), "tanh": RNN(2, 16, 2, activation="tanh", rng=0)}
reports = {}
for name, model in models.items():
    optimizer = Adam(model.parameters, learning_rate=0.003)
    history = myrnn.train(model, task, optimizer, 4_000, batch_size=32, schedule="cosine")
    reports[name] = myrnn.evaluate(model, task, 20_000, lengths=range(1, 101, 3), trained=history)

# %%
# The grey area is what they were not trained on.

ax = None
for name, report in reports.items():
    ax = report.plot(ax, label=name)
