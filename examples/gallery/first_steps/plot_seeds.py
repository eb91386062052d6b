"""
Is it the network, or the seed?
===============================

One training is one throw of the dice: other first weights and other sequences give another accuracy. A *sweep* trains
the same networks with several seeds and says how much they differ. A study is a dictionary, or a file in TOML.
"""

import tempfile

import myrnn

study = {
    "task": {"name": "twin-halves", "pattern_length_max": 6},
    "model": {"name": ["rnn", "mgu"], "dim_recurrent": 32},
    "training": {"iterations": 30_000, "seed": "0:4"},
    "evaluation": {"samples": 10_000},
}
results = myrnn.sweep(study, tempfile.mkdtemp(), jobs=1, progress=False)
results

# %%
# A line is the mean of the runs, and a band goes from the lowest to the highest of them.

ax = results.plot_lengths()
