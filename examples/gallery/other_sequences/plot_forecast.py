"""
A forecast with intervals
=========================

A forecaster learns the next value of a series. To look further ahead, it reads its own predictions. ``forecast``
follows many such paths, each with errors as large as those that the network made so far. The interval contains most of
them.
"""

import numpy as np

from myrnn import SequenceForecaster, forecast

t = np.arange(900)
series = np.sin(t / 7) * (1.5 + np.sin(t / 40)) + 0.1 * np.random.default_rng(0).normal(size=len(t))
known, rest = series[:840], series[840:]

members = [
    SequenceForecaster("gru", dim_recurrent=24, max_epochs=20, learning_rate=0.01, batch_size=8, random_state=seed)
    for seed in range(2)
]
for member in members:
    member.fit(known)
future = forecast(members, known, horizon=len(rest), level=0.9, paths=300)
axes = future.plot(truth=rest)

# %%
# The interval grows with the distance, and is wider where the two networks disagree. How many of the values lie in it?

inside = (np.ravel(future.low) <= rest) & (rest <= np.ravel(future.high))
print(f"{inside.mean():.0%} of the values are inside the 90% interval")

# %%
# Forecasts of one step ahead, compared with the last value and with the value one period earlier:

members[0].report(rest, period=44)
