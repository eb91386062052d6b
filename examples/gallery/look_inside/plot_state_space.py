"""
The space of states
===================

A state of many numbers is a point in a space of many dimensions. ``state_space`` shows the directions in which the
states differ most. For a language with a small automaton, the states of a trained network form a few clouds.
"""

import myrnn
from myrnn import GRU, Adam, tasks

task = tasks.Tomita(5, length_min=0, length_max=16, any_length=True)
model = GRU(dim_input=2, dim_recurrent=16, dim_output=2, rng=0)
myrnn.train(model, task, Adam(model.parameters, learning_rate=0.01), 4_000, 32, schedule="cosine")

space = myrnn.state_space(model, task, samples=300)
ax = space.plot(color="step")

# %%
# The members of the language have an even number of zeros and an even number of ones. Its automaton has four states,
# one for each combination of even and odd, and the network has found them.

ax = myrnn.extract_automaton(model, "01").plot()
