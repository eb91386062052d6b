"""
Longer than anything seen in training
=====================================

Nothing in the equations of a recurrent network knows a length, so it can read sequences that are longer than those it
was trained on. Whether it is right on them is another question. A simple network and a gated one learn whether the
second half of a sequence repeats the first.
"""

import myrnn
from myrnn import GRU, RNN, Adam, tasks

task = tasks.TwinHalves(pattern_length_max=10)
ax = None
for name, model in {"RNN": RNN(10, 50, 2, rng=0), "GRU": GRU(10, 50, 2, rng=0)}.items():
    optimizer = Adam(model.parameters, learning_rate=0.001)
    history = myrnn.train(model, task, optimizer, 8_000, batch_size=16, gradient_clip=1.0, schedule="cosine")
    report = myrnn.evaluate(model, task, 60_000, lengths=range(2, 61, 2), trained=history)
    ax = report.plot(ax, label=name)

# %%
# Grey is what they were not trained on, up to three times as long. Which kind of mistake do they make there? The same
# report has the accuracy of each class, here that of the gated network.

ax = report.plot(by_class=True)
