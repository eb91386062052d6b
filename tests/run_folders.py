"""Small run folders of every kind, for the tests of what reads them."""

import shutil

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


def without_pictures(source, target):
    """Copy a run folder, its pictures left out: they take most of the time."""
    return shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.png", "*.svg"))


def gru_run(folder):
    """Write the run of a gated network."""
    return task_run(folder, GRU, seed=1, iterations=20)
