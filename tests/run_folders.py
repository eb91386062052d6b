"""Small run folders of every kind, for tests of code that reads them."""

import base64
import contextlib
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from myrnn.cli import main
from myrnn.evaluation import evaluate
from myrnn.models import GRU, RNN
from myrnn.optimizers import Adam
from myrnn.runs import save_run
from myrnn.tasks import TwinHalves
from myrnn.training import train

TASK = TwinHalves(pattern_length_max=3, alphabet_size=5)
LENGTHS = (2, 4, 6, 8)
SMALL_DATA = "sequence,label\n" + "good film,pos\nbad,neg\na bad film,neg\nfine,pos\n" * 6


def task_run(folder, model=RNN, seed=0, iterations=30):
    """Train a network of 6 units a little, test it, and write its run folder."""
    network = model(5, 6, 2, rng=seed)
    optimizer = Adam(network.parameters)
    training = {"iterations": iterations, "report_every": 10, "seed": seed, "engine": "mygrad"}
    history = train(network, TASK, optimizer, **training)
    report = evaluate(network, TASK, samples=80, seed=1, lengths=LENGTHS, trained=history, engine="mygrad")
    parts = {"task": TASK, "model": network, "optimizer": optimizer, "history": history}
    return save_run(folder, **parts, training=training, report=report)


def data_run(folder, *options):
    """Train a classifier on a few words, test it on them, and write its run folder."""
    table = folder.parent / "data.csv"
    table.write_text(SMALL_DATA)
    small = ("--dim-recurrent=4", "--max-epochs=2", "--engine=mygrad", "--quiet")
    assert main(["train", "--data", str(table), "--test", str(table), *small, *options, "--out", str(folder)]) == 0
    return folder


BLANK = {
    ".svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>\n',
    ".png": base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
    ),
}


save_drawn = Figure.savefig


@contextlib.contextmanager
def figures_left_blank():
    """Draw figures as usual, but save blank files."""

    def save(figure, path, **options):
        if isinstance(path, (str, Path)) and Path(path).suffix in BLANK:
            Path(path).write_bytes(BLANK[Path(path).suffix])
        else:
            save_drawn(figure, path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield


def without_pictures(source, target):
    """Copy a run folder without its pictures, which take most of the time."""
    return shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.png", "*.svg"))


def gru_run(folder):
    """Write the run of a gated network."""
    return task_run(folder, GRU, seed=1, iterations=20)
