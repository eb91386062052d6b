"""
What the compiler found
=======================

A model is a plain Python class. MyRNN calls it on a few sequences, records what MyGrad computes, and finds the loop in
it. The class needs no base class and no decorator. You will not find the cell below in a textbook: it has a fast and a
slow state, and its answer averages over all steps.
"""

import mygrad as mg
import numpy as np

import myrnn
from myrnn import Adam, dense, tasks

np.random.seed(0)


class TwoSpeeds:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.dim_input = dim_input
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        fast = slow = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        states = []
        for x_t in x:
            fast = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(slow))
            slow = 0.9 * slow + 0.1 * fast
            states.append(fast)
        return self.fc_h2y(mg.mean(mg.concatenate(states), axis=0, keepdims=True))

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters


model = TwoSpeeds(4, 24, 2)
compiled = myrnn.compile(model)
print(compiled)

# %%
# The equations as a graph: one step, and the states that the next step reads.

myrnn.build_graph(model)

# %%
# MyRNN derives backpropagation through time from the equations, and emits Python that Numba compiles. That code begins
# like this:

print("\n".join(compiled.source.splitlines()[:45]))

# %%
# The model trains natively. Here it learns to say whether the second half of a sequence is the first half backward.

task = tasks.Palindromes(pattern_length_max=4, alphabet_size=4)
history = myrnn.train(model, task, Adam(model.parameters, learning_rate=0.005), 5_000, batch_size=16)
print(f"engine: {history.engine}")
ax = history.plot()
