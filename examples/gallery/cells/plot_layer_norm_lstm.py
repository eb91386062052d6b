"""
Layer-normalized LSTM: sums at a constant scale
===============================================

Ba, Kiros and Hinton (`Layer normalization <https://arxiv.org/abs/1607.06450>`_, 2016) normalize the sums inside a cell
to mean 0 and standard deviation 1 over its units, before they reach the gates. A learned gain then scales each sum. The
size of the input no longer matters, and the gates do not saturate.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad import Tensor
from mygrad.nnet.activations import sigmoid
from sklearn.datasets import load_digits

import myrnn
from myrnn import LSTM, Adam, Sequences, dense

np.random.seed(0)


def normalized(z, gain):
    return (z - mg.mean(z)) / mg.sqrt(mg.var(z) + 1e-5) * gain


class LayerNormLSTM:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        wide = 4 * dim_recurrent
        self.fc_x2z, self.fc_h2z = dense(dim_input, wide), dense(dim_recurrent, wide, bias=False)
        self.gain_x, self.gain_h = (Tensor(np.ones(wide, dtype=np.float32)) for _ in range(2))
        self.gain_c = Tensor(np.ones(dim_recurrent, dtype=np.float32))
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        D = len(self.gain_c)
        h, c = np.zeros((1, D), dtype=np.float32), np.zeros((1, D), dtype=np.float32)
        for x_t in x:
            z = normalized(x_t[np.newaxis] @ self.fc_x2z.weight, self.gain_x) + self.fc_x2z.bias
            z = z + normalized(self.fc_h2z(h), self.gain_h)
            i, f, o, g = z[:, :D], z[:, D : 2 * D], z[:, 2 * D : 3 * D], z[:, 3 * D :]
            c = sigmoid(f) * c + sigmoid(i) * mg.tanh(g)
            h = sigmoid(o) * mg.tanh(normalized(c, self.gain_c))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        layers = *self.fc_x2z.parameters, *self.fc_h2z.parameters, *self.fc_h2y.parameters
        return (*layers, self.gain_x, self.gain_h, self.gain_c)


print(myrnn.compile(LayerNormLSTM(8, 32, 10), dim_input=8))

# %%
# The networks read pictures of digits row by row: 8 steps of 8 pixels. A pixel is a number from 0 to 16. We train the
# plain LSTM twice: on these numbers, and on numbers 50 times as large, which saturate its gates. We train the
# layer-normalized LSTM on the large numbers.

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.images))


def split(contrast):
    pairs = [(digits.images[i].astype(np.float32) * contrast, digits.target[i]) for i in order]
    data = Sequences.from_pairs(pairs)
    return data.select(np.arange(1_400)), data.select(np.arange(1_400, len(data)))


runs = {
    "LSTM": (LSTM, 1),
    "LSTM, contrast times 50": (LSTM, 50),
    "layer-normalized, contrast times 50": (LayerNormLSTM, 50),
}
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, (kind, contrast) in runs.items():
    training, test = split(contrast)
    model = kind(8, 32, 10)
    history = myrnn.train(model, training, Adam(model.parameters, learning_rate=0.003), 1_500, 32, report_every=50)
    accuracy = myrnn.evaluate(model, test).mean_accuracy
    ax.plot(history.iteration, history.loss, label=f"{name}: test accuracy {accuracy:.1%}")
ax.set(xlabel="iterations", ylabel="loss", yscale="log")
fig.legend(loc="outside upper center")
plt.show()
