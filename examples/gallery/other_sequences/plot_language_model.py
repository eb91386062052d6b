"""
A language model that writes
============================

A language model learns which character comes next. Then it can write: it draws a character, reads it, and draws the
next one. The text is documentation that comes with Python.
"""

from pydoc_data.topics import topics

import numpy as np

from myrnn import LanguageModel
from myrnn.plots import plot_text_probabilities

text = "\n\n".join(topics[name] for name in sorted(topics))[:120_000]
learned, held_out = text[:115_000], text[115_000:]

model = LanguageModel("gru", dim_recurrent=64, max_epochs=5, learning_rate=0.01, random_state=0)
model.fit(learned)
for temperature in (0.3, 0.7, 1.0):
    print(f"temperature {temperature}:", model.generate("The ", 150, temperature=temperature, seed=0), "\n")

# %%
# How certain was it of each character of a text that it has not seen? The dark characters surprised it. The beginning
# of a word is harder to guess than its end.

sample = held_out[1_560:1_960]
(found,) = model.log_probabilities(sample)
ax = plot_text_probabilities(sample[1:], np.exp(found))

# %%
# Bits per character, compared with models that count which characters follow which:

model.report(held_out, train=(learned, None))
