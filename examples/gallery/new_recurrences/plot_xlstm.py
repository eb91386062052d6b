"""
xLSTM: the matrix of an mLSTM as a memory
=========================================

The state of an mLSTM is a matrix. At each step it adds the outer product of a key and a value, and a query reads the
values of the keys that are similar to it. Here a step brings a letter and a digit, and later steps ask for the digits
of letters: this is associative recall.
"""

import matplotlib.pyplot as plt
import numpy as np

import myrnn
from myrnn import Adam, Sequences, Stacked

LETTERS, DIGITS = "abcdefgh", "01234567"


def pairs_and_questions(count, pairs, rng):
    """Return sequences of pairs, one at each step, and then questions for all letters in another order."""
    letter, digit = np.eye(len(LETTERS)), np.eye(len(DIGITS))
    x, y = [], []
    for _ in range(count):
        stored, values = rng.permutation(len(LETTERS))[:pairs], rng.integers(0, len(DIGITS), pairs)
        order = rng.permutation(pairs)
        asked = np.concatenate([letter[stored[order]], np.zeros((pairs, len(DIGITS)))], axis=1)
        x.append(np.concatenate([np.concatenate([letter[stored], digit[values]], axis=1), asked]))
        y.append(np.concatenate([values, values[order]]))
    offsets = 2 * pairs * np.arange(count + 1)
    weights = np.tile(np.repeat([0.0, 1.0], pairs), count)
    return Sequences(np.concatenate(x), offsets, np.concatenate(y), per_step=True, weights=weights)


rng = np.random.default_rng(0)
model = Stacked(16, 16, 8, cell="mlstm", layers=1, per_step=True, rng=0)
training = pairs_and_questions(4_000, 6, rng)
history = myrnn.train(model, training, Adam(model.parameters, learning_rate=0.01), 1_500, 32, schedule="cosine")
report = myrnn.evaluate(model, pairs_and_questions(500, 6, rng))
print(f"right on {report.accuracy[0]:.1%} of new questions")

# %%
# The matrix fills up while the pairs are read, and then stays as it is.

compiled = myrnn.compile(model)
one = pairs_and_questions(1, 6, rng)
state, matrices, answers = compiled.start(), [], []
for row in one.values:
    state, logits = compiled.step(state, row)
    matrices.append(state["C"].reshape(16, 16) * np.exp(state["m"]))
    answers.append(DIGITS[logits.argmax()])

names = ["".join((LETTERS + DIGITS)[place] for place in np.flatnonzero(row)) for row in one.values]
most = np.abs(matrices).max()
fig, panels = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for ax, matrix, name, answer in zip(panels.flat, matrices, names, answers, strict=True):
    ax.imshow(matrix, cmap="RdBu_r", vmin=-most, vmax=most)
    ax.set_title(name if len(name) == 2 else f"{name}?  {answer}", fontsize=10)
    ax.set_axis_off()
