"""
Each network takes each test
============================

Networks of the same kind are trained on different tasks. What does each of them know about the other tasks? If a
network scores well on a task that it never saw, it has learned something that both tasks share, sometimes a shortcut.
"""

import myrnn
from myrnn import RNN, Adam, tasks

trained_on = {
    "twin halves": tasks.TwinHalves(pattern_length_max=6),
    "near misses": tasks.TwinHalves(pattern_length_max=6, negatives="near_miss"),
    "palindromes": tasks.Palindromes(pattern_length_max=6),
}
models = {}
for name, task in trained_on.items():
    models[name] = RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
    myrnn.train(models[name], task, Adam(models[name].parameters), iterations=100_000, schedule="cosine")

exams = myrnn.transfer(models, trained_on)
ax = exams.plot()

# %%
# The same numbers as a table, with intervals:

exams
