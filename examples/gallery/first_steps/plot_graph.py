"""
The graph of a recurrence
=========================

A computational graph shows which numbers are computed from which. MyRNN draws it in two ways: as a loop, just as the
class is written, and unrolled over one sequence. Gradients flow through the unrolled graph, from the loss back to the
first symbol.
"""

# sphinx_gallery_thumbnail_path = "images/recurrence.svg"
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

import myrnn
from myrnn import GRU, RNN, tasks

model = RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
myrnn.build_graph(model)

# %%
# A gated unit has more to show:

myrnn.build_graph(GRU(dim_input=10, dim_recurrent=50, dim_output=2, rng=0))

# %%
# Two digits, step by step. After ``backward()`` the graph also shows the size of each gradient.

np.random.seed(0)
x, y, sequence = tasks.generate_sequence(pattern_length_min=1, pattern_length_max=1)
loss = softmax_crossentropy(model(x), y)
graph = myrnn.build_graph(loss, names=locals())
loss.backward()
graph

# %%
# How far back do gradients reach? The norm of the gradient at each step of a longer sequence, for the untrained
# network:

inside = myrnn.inspect(model, "31415926535897932384")
ax = inside.plot("gradients")
