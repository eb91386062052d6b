"""
Did it learn the task, or a shortcut?
=====================================

A network that is right in most cases may still have learned something else. ``shortcuts`` measures how often simple
features alone give the right answer: the first and the last symbol, how often each symbol occurs, and so on.
"""

import myrnn
from myrnn import GRU, Adam, tasks
from myrnn.exercises import shuffled_halves

task = tasks.TwinHalves(pattern_length_max=8)
model = GRU(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
history = myrnn.train(model, task, Adam(model.parameters, learning_rate=0.003), 6_000, 16, schedule="cosine")
report = myrnn.evaluate(model, task, 40_000, trained=history)
clues = myrnn.shortcuts(task, lengths=report.lengths)
ax = report.plot(shortcuts=clues)

# %%
# Counting is at least as good as the network: if the second half repeats the first, each digit occurs an even number of
# times.
# To find out whether the network compares the halves or counts digits, we shuffle the second halves of sequences that
# match. All counts stay even, and the right answer becomes *no match*.

shuffled = shuffled_halves(task)
ax = report.plot(label="sequences as in training")
ax = myrnn.evaluate(model, shuffled, trained=history).plot(ax=ax, label="shuffled second halves")

# %%
# The table of the shortcuts:

clues
