"""
AntisymmetricRNN: a state that neither grows nor fades
======================================================

Chang, Chen, Haber and Chi (`AntisymmetricRNN: A dynamical system view on recurrent neural networks
<https://arxiv.org/abs/1902.09689>`_, 2019) see a network as a differential equation that is solved in small steps. If
the recurrent matrix is a matrix minus its transpose, its eigenvalues are imaginary: the state rotates, and neither
grows nor fades. A little damping keeps the steps stable.
"""

import matplotlib.pyplot as plt
import mygrad as mg
import numpy as np
from mygrad import Tensor
from sklearn.datasets import load_digits

import myrnn
from myrnn import Adam, Sequences, dense

np.random.seed(0)


class AntisymmetricRNN:
    def __init__(self, dim_input, dim_recurrent, dim_output, step=0.1, damping=0.01):
        self.fc_x2h, self.fc_h2y = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_output)
        self.W = Tensor(np.random.normal(0, dim_recurrent**-0.5, (dim_recurrent, dim_recurrent)).astype(np.float32))
        self.step, self.damp = step, damping * np.eye(dim_recurrent, dtype=np.float32)

    def __call__(self, x):
        h = np.zeros((1, len(self.W)), dtype=np.float32)
        for x_t in x:
            h = h + self.step * mg.tanh(h @ (self.W - self.W.T - self.damp) + self.fc_x2h(x_t[np.newaxis]))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return (*self.fc_x2h.parameters, self.W, *self.fc_h2y.parameters)


model = AntisymmetricRNN(1, 64, 10)
print(myrnn.compile(model, dim_input=1))

# %%
# In the paper, the network reads pictures of digits pixel by pixel. Here it reads the small pictures of scikit-learn:
# 64 steps of one number. It answers after the last pixel.

digits = load_digits()
pictures = (digits.data / 8 - 1).reshape(-1, 64, 1).astype(np.float32)
order = np.random.default_rng(0).permutation(len(pictures))
data = Sequences.from_pairs([(pictures[i], digits.target[i]) for i in order])
training, test = data.select(np.arange(1_400)), data.select(np.arange(1_400, len(data)))

history = myrnn.train(
    model, training, Adam(model.parameters, learning_rate=0.005), 2_500, 32, schedule="cosine", report_every=50
)
print(f"right on {myrnn.evaluate(model, test).mean_accuracy:.1%} of the test pictures")

# %%
# Training keeps the recurrent matrix antisymmetric, up to the damping: all its eigenvalues lie on a vertical line, a
# little to the left of zero.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(history.iteration, history.accuracy)
left.set(xlabel="iterations", ylabel="accuracy in training", ylim=(0, 1))
values = np.linalg.eigvals(model.W.data - model.W.data.T - model.damp)
free = np.linalg.eigvals(model.W.data)
right.scatter(free.real, free.imag, s=14, color="lightgrey", label="of the free matrix W")
right.scatter(values.real, values.imag, s=14, label="of W less its transpose")
right.set(xlabel="real part", ylabel="imaginary part", title="Eigenvalues")
right.legend()
plt.show()
