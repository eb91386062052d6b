"""
Reading its mistakes
====================

An accuracy says how often a network is wrong, and not on what. ``counterexamples`` looks for the shortest sequences that
it gets wrong, and those on which it is surest of the wrong answer.
"""

import myrnn
from myrnn import RNN, Adam, tasks

task = tasks.Palindromes(pattern_length_max=8)
model = RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
history = myrnn.train(model, task, Adam(model.parameters), 100_000, schedule="cosine")
myrnn.counterexamples(model, task, most=8)

# %%
# A caret stands below each symbol that does not fit its partner. What does the network think, step by step, while it
# reads one of these mistakes?

mistakes = myrnn.counterexamples(model, task, most=8)
worst = max(mistakes.rows(), key=lambda row: row["probability"])
print(worst)
