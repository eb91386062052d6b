"""
Reading the mistakes of a network
=================================

An accuracy says how often a network is wrong, but not on which sequences. ``counterexamples`` looks for the shortest
sequences that it gets wrong, and for those on which it is most certain of the wrong answer.
"""

import myrnn
from myrnn import RNN, Adam, tasks

task = tasks.Palindromes(pattern_length_max=8)
model = RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
history = myrnn.train(model, task, Adam(model.parameters), 100_000, schedule="cosine")
mistakes = myrnn.counterexamples(model, task, most=8)
mistakes

# %%
# Take the mistake that it is most certain of. What would it answer after each step?

worst = max(mistakes.rows(), key=lambda row: row["probability"])
ax = myrnn.inspect(model, worst["sequence"], class_names=task.class_names).plot("probabilities")
_ = ax.set_title(f"{worst['sequence']}: {worst['truth']}")
