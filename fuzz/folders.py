"""Small real folders of every kind, which the fuzzer changes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from myrnn.estimators import SequenceClassifier
from myrnn.evaluation import evaluate
from myrnn.experiment import Experiment
from myrnn.models import RNN
from myrnn.optimizers import Adam
from myrnn.runs import run, save_run
from myrnn.runs.folder import CHECKPOINTS, RUN, UNFINISHED, Job
from myrnn.runs.model import describe_model
from myrnn.storage import FolderFormat
from myrnn.sweeps import sweep
from myrnn.sweeps.folder import SWEEP
from myrnn.sweeps.log import LOG
from myrnn.tasks import TwinHalves
from myrnn.training import train
from myrnn.training.checkpoint import FORMAT, save_state
from myrnn.training.loop import Training

TASK = TwinHalves(pattern_length_max=2, alphabet_size=3)
SEQUENCES = [["to", "be"], ["or"], ["not", "to", "be"], ["be", "be"]] * 3
LABELS = ["long", "short", "long", "short"] * 3
STUDY = {
    "task": {"pattern_length_max": 2, "alphabet_size": 3},
    "model": {"dim_recurrent": [2, 3]},
    "optimizer": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
    "training": {"iterations": 2, "engine": "mygrad", "seed": "0:1"},
    "evaluation": {"samples": 4},
    "search": {"draws": 2},
    "variants": [{"name": "RNN"}, {"name": "GRU", "model": {"name": "gru"}}],
}
TRAINING = {"iterations": 4, "report_every": 2, "engine": "mygrad"}
CHECKPOINT_AT = 3


@dataclass(frozen=True)
class Folder:
    """A folder as bytes.

    Attributes
    ----------
    files : mapping of str to bytes
    By path in the folder.
    formats : mapping of str to FolderFormat
        The formats of the folder ("") and of its subfolders with a format, the innermost first.
    """

    files: Mapping[str, bytes]
    formats: Mapping[str, FolderFormat]


def new_training() -> Training:
    """Return the training whose checkpoints are changed, before its first iteration."""
    model = RNN(3, 2, 2, rng=0)
    return Training(model, TASK, Adam(model.parameters), seed=0, engine="mygrad", report_every=2)


def folders() -> dict[str, Folder]:
    """Return a folder of each kind, by name."""
    with tempfile.TemporaryDirectory() as made:
        base = Path(made)
        _write_run(base / "run")
        _write_checkpoint(base / "checkpoint")
        _classifier().save(base / "classifier")
        _write_data_run(base / "data-run")
        _write_unfinished(base / "unfinished")
        sweep(STUDY, base / "sweep", jobs=1, progress=False)
        at = f"checkpoint-{CHECKPOINT_AT:012d}"
        return {
            "run": _read(base / "run", {"": RUN}),
            "checkpoint": _read(base / "checkpoint", {at: FORMAT}),
            "unfinished": _read(base / "unfinished", {f"{CHECKPOINTS}/{at}": FORMAT, "": UNFINISHED}),
            "classifier": _read(base / "classifier", {"": RUN}),
            "data-run": _read(base / "data-run", {"": RUN}),
            "sweep": Folder({name: (base / "sweep" / name).read_bytes() for name in (SWEEP.index, LOG)}, {"": SWEEP}),
        }


def _read(folder: Path, formats: Mapping[str, FolderFormat]) -> Folder:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".png", ".svg")]
    return Folder({str(path.relative_to(folder)): path.read_bytes() for path in paths}, formats)


def _write_run(folder: Path) -> None:
    model = RNN(3, 2, 2, rng=0)
    optimizer = Adam(model.parameters)
    history = train(model, TASK, optimizer, **TRAINING)
    report = evaluate(model, TASK, samples=12, lengths=(2, 4), trained=history, engine="mygrad")
    parts = {"task": TASK, "model": model, "optimizer": optimizer, "history": history}
    save_run(folder, **parts, training=TRAINING, report=report)


def _write_checkpoint(folder: Path) -> None:
    training = new_training()
    training.advance(CHECKPOINT_AT)
    save_state(folder / f"checkpoint-{CHECKPOINT_AT:012d}", training.state())


def _write_unfinished(folder: Path) -> None:
    model = RNN(3, 2, 2, rng=0)
    experiment = Experiment(TASK, {"dim_recurrent": 2}, training=TRAINING, evaluation={"samples": 12})
    folder.mkdir()
    Job(experiment, describe_model(model, TASK)).begin(folder)
    _write_checkpoint(folder / CHECKPOINTS)


def _classifier() -> SequenceClassifier:
    settings = {"dim_recurrent": 2, "max_epochs": 2, "dim_embedding": 2, "engine": "mygrad", "class_weight": "balanced"}
    return SequenceClassifier("gru", random_state=0, **settings).fit(SEQUENCES, LABELS)


def _write_data_run(folder: Path) -> None:
    file = folder.with_name("data.csv")
    file.write_text("sequence,label\n" + "to be,long\nor,short\nnot to be,long\nbe be,short\n" * 3)
    model = {"name": "gru", "dim_recurrent": 2, "dim_embedding": 2}
    training = {"max_epochs": 2, "engine": "mygrad"}
    run(Experiment(data=str(file), model=model, training=training, evaluation={"test": str(file)}), folder)
