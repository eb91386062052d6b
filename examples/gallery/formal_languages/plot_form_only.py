"""
Almost always right, without arithmetic
=======================================

The strings of one of FLaRe's languages are formulas with their result, computed modulo 5: ``2+4-1=0`` is a member. A
network learns which strings are members. Does it really calculate?
"""

import numpy as np

import myrnn
from myrnn import GRU, Adam, Sequences, tasks

task = tasks.Flare("modular-arithmetic-simple", any_length=True)
model = GRU(task.dim_input, 32, 2, recurrent_init="orthogonal", rng=0)
optimizer = Adam(model.parameters, learning_rate=0.01)
history = myrnn.train(model, task, optimizer, 3_000, 32, gradient_clip=1.0, schedule="cosine")
report = myrnn.evaluate(model, task, 4_000, lengths=range(3, 120, 4), trained=history)
report

# %%
# Half of the strings are members. Most of the others are not even formulas, so a network that only checks the form of a
# string is almost always right. We now make strings for which this is not enough: we take members and replace only the
# result by another digit. None of the new strings is a member.

rng = np.random.default_rng(0)
drawn = task.sample_lengths(np.resize(report.lengths, 2_000), rng)
digits = [task.language.symbols.index(digit) for digit in "01234"]
strings = []
for number in np.flatnonzero(drawn.labels == 1):
    string = drawn.tokens(number).copy()
    string[-1] = rng.choice([digit for digit in digits if digit != string[-1]])
    strings.append((string, 0))
wrong_results = Sequences.from_pairs(strings, dim_input=task.dim_input)
assert not task.truth(wrong_results).any()

ax = report.plot(label="strings of the task")
ax = myrnn.evaluate(model, wrong_results, trained=history).plot(ax=ax, label="formulas with a wrong result")

# %%
# A high accuracy on long strings shows that the network learned *some* rule that holds for longer strings. It takes
# another test to find out which rule.
