"""
A simple network and its accuracy by length
===========================================

A recurrent network reads a sequence of digits, one at a time, and says at the end whether the second half repeats the
first. A simple network of 50 units learns this from nothing but examples, which are drawn while it trains.
"""

import myrnn
from myrnn import RNN, Adam, tasks

task = tasks.TwinHalves(pattern_length_max=10)
model = RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
history = myrnn.train(model, task, Adam(model.parameters), iterations=100_000, seed=0)
ax = history.plot()

# %%
# One number hides the interesting part: is a long sequence harder than a short one? ``evaluate`` draws new sequences of
# every length. The bars are 95% intervals.

report = myrnn.evaluate(model, task, samples=50_000, trained=history)
ax = report.plot()

# %%
# A report is also a table. Here, as in a notebook, it is shown when it is the last expression of a cell.

report
