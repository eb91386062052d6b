"""
Eigenvalues of the recurrent matrix
===================================

The recurrent matrix acts on the state at each step. Directions with eigenvalues inside the unit circle shrink, those
with eigenvalues outside it grow, and complex eigenvalues rotate the state. What does training do to them?
"""

import myrnn
from myrnn import RNN, Adam, tasks

task = tasks.TwinHalves(pattern_length_max=10)
model = RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
before = myrnn.recurrent_eigenvalues(model)
myrnn.train(model, task, Adam(model.parameters), iterations=100_000)
after = myrnn.recurrent_eigenvalues(model)
ax = after.plot(before=before)

# %%
# Many of them are now outside the circle. Even so, the states do not grow without bounds: ReLU switches units off, and
# only the weights between units that are on take part.

inside = myrnn.inspect(model, "31415926533141592653")
ax = inside.plot()
