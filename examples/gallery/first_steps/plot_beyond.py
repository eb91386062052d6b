"""
Longer than anything seen in training
=====================================

The equations of a recurrent network do not depend on the length of a sequence, so the network can read longer sequences
than those it was trained on. Whether its answers are right is another question. Here a simple network and a gated one
learn whether the second half of a sequence repeats the first.
"""

import myrnn
from myrnn import GRU, RNN, Adam, tasks

task = tasks.TwinHalves(pattern_length_max=10)
ax = None
for name, model in {"RNN": RNN(10, 50, 2, rng=0), "GRU": GRU(10, 50, 2, rng=0)}.items():
    optimizer = Adam(model.parameters, learning_rate=0.001)
    history = myrnn.train(model, task, optimizer, 8_000, batch_size=16, gradient_clip=1.0, schedule="cosine")
    report = myrnn.evaluate(model, task, 60_000, lengths=range(2, 61, 2), trained=history)
    ax = report.plot(ax=ax, label=name)

# %%
# The grey lengths, up to three times as long, were not in the training. Which kind of mistake do the networks make
# there? The report also has the accuracy of each class, shown here for the gated network.

ax = report.plot(by_class=True)
