"""
A number for each sequence
==========================

A regressor reads a series and predicts a number. Here the series are noisy waves of different lengths, and the number
is the period of the wave. Nothing is padded, so a short series takes less time than a long one.
"""

import matplotlib.pyplot as plt
import numpy as np

from myrnn import SequenceRegressor

rng = np.random.default_rng(0)
periods = rng.uniform(5, 20, 600)
waves = [np.sin(2 * np.pi * (np.arange(rng.integers(30, 80)) / p + rng.random()))[:, None] for p in periods]
waves = [wave + 0.2 * rng.normal(size=wave.shape) for wave in waves]

regressor = SequenceRegressor("gru", dim_recurrent=32, max_epochs=20, learning_rate=0.01, random_state=0)
regressor.fit(waves[:400], periods[:400])
said = regressor.predict(waves[400:])

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", width_ratios=[3, 2])
for i in range(3):
    left.plot(waves[400 + i][:, 0] - 3 * i, label=f"period {periods[400 + i]:.1f}, said {said[i]:.1f}")
left.set(xlabel="step", yticks=[])
fig.legend(loc="outside upper left", ncols=3)
right.plot([5, 20], [5, 20], color="grey", linestyle="--")
right.scatter(periods[400:], said, s=10)
right.set(xlabel="period", ylabel="what the network says", aspect="equal")
plt.show()

# %%
# The report on the series that were held out:

regressor.report(waves[400:], periods[400:])
