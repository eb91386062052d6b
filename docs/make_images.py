"""Make the pictures of the README from a run of ``myrnn train``, and one of the gallery.

``python docs/make_images.py [RUN]`` takes the folder of a run; without one it makes the run first.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import myrnn
from myrnn.cli import main

IMAGES = Path(__file__).parent / "images"
PICTURES = ("accuracy_by_length.png", "graph-20.svg")


def make_images(run: Path) -> None:
    """Copy the pictures of a run, and draw the graph of a sequence short enough to be read."""
    main(["graph", str(run), "--sequence", "20"])
    IMAGES.mkdir(exist_ok=True)
    for name in PICTURES:
        shutil.copy(run / name, IMAGES / name)


def draw_recurrence() -> None:
    """Draw the graph of a simple network's recurrence, which stands for an example in the gallery."""
    model = myrnn.RNN(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
    myrnn.build_graph(model).save(IMAGES / "recurrence.svg")


def draw_states() -> None:
    """Draw the hidden state of a trained GRU under the digits of a sequence."""
    model = myrnn.GRU(dim_input=10, dim_recurrent=50, dim_output=2, rng=0)
    myrnn.train(model, myrnn.tasks.TwinHalves(), myrnn.Adam(model.parameters))
    axes = myrnn.inspect(model, "31415926535897").plot()
    myrnn.plots.save_figure(axes, IMAGES / "states.png")


if __name__ == "__main__":
    draw_recurrence()
    draw_states()
    if len(sys.argv) > 1:
        make_images(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            run = Path(scratch) / "run"
            if main(["train", "--out", str(run)]) == 0:
                make_images(run)
