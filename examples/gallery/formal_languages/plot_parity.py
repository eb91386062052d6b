"""
Extracting the automaton from a network
=======================================

A network that accepts and rejects strings may behave like a finite automaton. ``extract_automaton`` finds out: it asks
the network about strings, and builds the smallest automaton that gives the same answers.
"""

import myrnn
from myrnn import LSTM, Adam, tasks

task = tasks.Flare("parity", length_max=12)
model = LSTM(dim_input=2, dim_recurrent=12, dim_output=2, rng=0)
optimizer = Adam(model.parameters, learning_rate=0.01)
history = myrnn.train(model, task, optimizer, 2_500, batch_size=32, schedule="cosine")
found = myrnn.extract_automaton(model, "01")
ax = found.plot()

# %%
# There are two states: the number of ones so far is even, or it is odd. The numbers of the search:

found

# %%
# A network whose training was stopped early has learned something else. Its automaton shows what.

early = LSTM(dim_input=2, dim_recurrent=12, dim_output=2, rng=0)
myrnn.train(early, task, Adam(early.parameters, learning_rate=0.01), 150, batch_size=32)
found = myrnn.extract_automaton(early, "01", max_states=12, seconds=2)
print(found)
ax = found.plot()
