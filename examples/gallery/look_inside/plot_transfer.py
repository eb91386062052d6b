"""
Each network takes each test
============================

Networks of the same kind were trained on different tasks. What does each of them know of the other tasks? A network
that scores well on a task that it never saw has learned something that the two have in common: sometimes a short cut.
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
# The same as a table, with intervals:

exams
