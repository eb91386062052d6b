"""
Several answers at once
=======================

Several classes may hold at once, or none. The network then has one output for each class, and a sigmoid turns it into a
probability. Here a network answers four questions about a string of letters.
"""

import matplotlib.pyplot as plt
import numpy as np

import myrnn
from myrnn import GRU, Adam, Sequences

QUESTIONS = {
    "ends with a": lambda s: s[-1] == 0,
    "more a than b": lambda s: np.sum(s == 0) > np.sum(s == 1),
    "even number of c": lambda s: np.sum(s == 2) % 2 == 0,
    "has aba": lambda s: "010" in "".join(map(str, s)),
}


def draw(count, longest, rng):
    strings = [rng.integers(0, 3, rng.integers(1, longest + 1)) for _ in range(count)]
    answers = [[bool(holds(s)) for holds in QUESTIONS.values()] for s in strings]
    return Sequences.from_pairs(zip(strings, answers, strict=True), dim_input=3)


training, test = draw(5_000, 15, np.random.default_rng(0)), draw(8_000, 60, np.random.default_rng(1))
model = GRU(3, 32, len(QUESTIONS), rng=0)
optimizer = Adam(model.parameters, learning_rate=0.005)
history = myrnn.train(model, training, optimizer, 4_000, batch_size=32, schedule="cosine")

# %%
# An output above 0 means yes. How often is each answer right on new strings, which are up to four times as long as the
# strings in training? Each dot is a mean over strings of five lengths.

said = myrnn.compile(model).logits(test) > 0
right = said == test.targets
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
group = (test.lengths - 1) // 5
for place, question in enumerate(QUESTIONS):
    ax.plot(np.arange(12) * 5 + 3, [right[group == n, place].mean() for n in range(12)], "o-", label=question)
ax.axvspan(15, 60, color="grey", alpha=0.15, linewidth=0, label="longer than trained on")
ax.set(xlabel="length of the string", ylabel="right", ylim=(0.5, 1.02))
ax.legend(loc="lower left")
plt.show()
