"""
Minimal gated unit: one gate instead of two
===========================================

Zhou, Wu, Zhang and Zhou (`Minimal gated unit for recurrent neural networks <https://arxiv.org/abs/1603.09420>`_, 2016)
let one gate do the work of the two gates of a GRU: it decides how much of the state is read, and how much is replaced.
MyRNN has this network as ``myrnn.MGU``. Here it is written out.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad.nnet.activations import sigmoid

import myrnn
from myrnn import GRU, Adam, dense, tasks

np.random.seed(0)


class MGU:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2f, self.fc_h2f = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_x2n, self.fc_h2n = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def step(self, x_t, h):
        f = sigmoid(self.fc_x2f(x_t) + self.fc_h2f(h))
        n = mg.tanh(self.fc_x2n(x_t) + self.fc_h2n(f * h))
        return f, h + f * (n - h)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2y.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            _, h = self.step(x_t[np.newaxis], h)
        return self.fc_h2y(h)

    @property
    def parameters(self):
        layers = self.fc_x2f, self.fc_h2f, self.fc_x2n, self.fc_h2n, self.fc_h2y
        return tuple(parameter for layer in layers for parameter in layer.parameters)


print(myrnn.compile(MGU(10, 50, 2), dim_input=10))

# %%
# Does it do as well as a GRU, with fewer weights? Both learn to recognise palindromes.

task = tasks.Palindromes(pattern_length_max=10)
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, model in {"MGU": MGU(10, 50, 2), "GRU": GRU(10, 50, 2)}.items():
    optimizer = Adam(model.parameters, learning_rate=0.003)
    history = myrnn.train(model, task, optimizer, 7_000, 16, schedule="cosine")
    report = myrnn.evaluate(model, task, 20_000, lengths=range(2, 33, 2), trained=history)
    size = sum(parameter.size for parameter in model.parameters)
    report.plot(ax=ax, label=f"{name}, {size:,} weights")
plt.show()
