"""Make the figures of sweeps.md.

``python docs/make_sweep.py [FOLDER]`` does the runs in a folder, which takes minutes, or resumes those in it.
"""

import sys
import tempfile
from pathlib import Path

from myrnn import plots, sweep

IMAGES = Path(__file__).parent / "images"
STUDY = {
    "name": "networks",
    "task": {"name": ["twin-halves", "palindromes"], "pattern_length_max": 5},
    "model": {"dim_recurrent": [10, 25]},
    "training": {"iterations": 20_000, "seed": "0:4"},
    "evaluation": {"samples": 10_000, "lengths": "2:20:2"},
    "variants": [
        {"name": "RNN", "model": {"name": "rnn"}},
        {"name": "IRNN", "model": {"name": "rnn", "recurrent_init": "identity"}},
        {"name": "GRU", "model": {"name": "gru"}},
    ],
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        results = sweep(STUDY, Path(sys.argv[1] if len(sys.argv) > 1 else scratch) / "networks")
        plots.save_figure(results.plot(by=("variant", "task.name")), IMAGES / "sweep_lengths.png")
        plots.save_figure(results.plot("parallel"), IMAGES / "sweep_parallel.png")
