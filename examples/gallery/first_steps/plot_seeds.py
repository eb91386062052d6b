"""
Is it the network, or the seed?
===============================

Each training depends on chance: other initial weights and other sequences give another accuracy. A *sweep* trains the
same networks with several seeds and shows how much they differ. It runs a study, which is a dictionary or a TOML file.
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
# Each line is the mean of the runs, and the band goes from the lowest run to the highest.

ax = results.plot()
