"""Train in separate processes that are killed again and again; `test_checkpoints.py` and others use it.

The processes are forks of one with a single thread and all imports, so each starts at once.
"""

import json
import os
import random
import select
import signal
import sys
import traceback
from functools import partial
from itertools import count
from pathlib import Path

from myrnn.cli import main as command_line
from myrnn.compiler.cache import without_notice
from myrnn.models import RNN
from myrnn.optimizers import Adam
from myrnn.runs import load_run
from myrnn.tasks import TwinHalves
from myrnn.training import Checkpoint, train
from run_folders import figures_left_blank

ITERATIONS = 120
# A complete run is extended.
EXTENDED = 140
# A run of the command, with a checkpoint at every report.
RUN = (
    *("train", "--quiet", f"--iterations={ITERATIONS}", "--report-every=5", "--checkpoint-every=0"),
    *("--task=twin-halves:pattern_length_max=2", "--dim-recurrent=4", "--samples=40"),
)
# Files that must be the same in the end; report.json contains seconds, and pictures are drawn from the rest.
FILES = ("model.safetensors", "history.csv", "accuracy_by_length.csv", f"checkpoints/checkpoint-{EXTENDED:012d}/")
# A run that learns a text window by window: its checkpoints also contain the states of its streams.
TEXT = "the cat sat on the mat. the dog sat on the log. " * 6
ON_TEXT = (
    *("train", "--quiet", "--learn=text", "--tokenize=characters", "--model=gru", "--dim-recurrent=4"),
    *("--truncate=5", "--batch-size=3", "--max-epochs=12", "--checkpoint-every=0"),
)
# The maximum number of calls that write to the disk before a process is killed.
MOST_WRITES = 80


def training(folder=None, **hooks):
    """Train, or resume in the folder, and return everything that must be the same in the end."""
    model = RNN(10, 4, 2, rng=0)
    optimizer = Adam(model.parameters)
    saving = None if folder is None else Checkpoint(folder, every=0, share=1e9)
    history = train(
        model,
        TwinHalves(1, 2),
        optimizer,
        ITERATIONS,
        engine="mygrad",
        report_every=5,
        checkpoint=saving,
        resume=saving is not None,
        **hooks,
    )
    arrays = [parameter.data for parameter in model.parameters] + optimizer.m + optimizer.v
    columns = [history.iteration, history.loss, history.accuracy]
    return [array.tobytes().hex() for array in arrays + columns] + [optimizer.t, history.longest]


def run(folder, engine="mygrad"):
    """Start or resume a run with the command, then extend it, and return everything that must be the same."""
    going_on = ("train", "--resume", str(folder), "--quiet", "--checkpoint-every=0")
    if is_whole(folder):
        # A run that says that it is complete can be loaded, whatever stopped its extension.
        load_run(folder)
    if (folder / "unfinished.json").exists():
        assert command_line([*going_on]) == 0
    elif not is_whole(folder):
        assert command_line([*RUN, f"--engine={engine}", "--out", str(folder)]) == 0
    if load_run(folder).experiment.training.iterations < EXTENDED:
        assert command_line([*going_on, f"--iterations={EXTENDED}"]) == 0
    paths = [
        path for name in FILES for path in ([folder / name] if name[-1] != "/" else sorted((folder / name).iterdir()))
    ]
    return [path.read_bytes().hex() for path in paths]


def run_on_text(folder):
    """Start or resume a run on a text with the command, and return everything that must be the same in the end."""
    file = folder.parent / "text.txt"
    if not file.exists():
        file.write_text(TEXT)
    if (folder / "unfinished.json").exists():
        assert command_line(["train", "--resume", str(folder), "--quiet", "--checkpoint-every=0"]) == 0
    elif not is_whole(folder):
        assert command_line([*ON_TEXT, f"--data={file}", "--out", str(folder)]) == 0
    return [(folder / name).read_bytes().hex() for name in ("model.safetensors", "history.csv", "encoding.json")]


def is_whole(folder):
    """Return whether a run says that it is complete."""
    return (folder / "settings.json").exists()


def in_child(work):
    """Run `work` in a fork and return its process id; its exit code is 0 when the work is done."""
    child = os.fork()
    if child == 0:
        try:
            sys.stdout = open(os.devnull, "w")
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def killed_after(child, seconds):
    """Kill the child with SIGKILL after some time, and return whether it had not ended before."""
    descriptor = os.pidfd_open(child)
    ended, _, _ = select.select([descriptor], [], [], seconds)
    if not ended:
        os.kill(child, signal.SIGKILL)
    os.close(descriptor)
    return was_killed(child)


def was_killed(child):
    """Wait for the child, and return whether it was killed; if not, its work is done."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def at_random_moments(work, draw, longest):
    """Kill the work at random moments, later and later until it is done, and return how often it was killed."""
    kills = 0
    while killed_after(in_child(work), draw.uniform(0, longest * (1 + kills / 20))):
        kills += 1
    return kills


def at_every_write(work):
    """Kill the work at every step of writing its checkpoints in turn, and return how often it was killed."""
    kills = 0
    while was_killed(in_child(partial(at_a_write, work, kills % 12 + 13))):
        kills += 1
    return kills


def at_random_writes(work, draw):
    """Kill the work before random calls that write to the disk, and return how often it was killed."""
    for kills in count():
        at = draw.randint(1, MOST_WRITES) + kills
        if not was_killed(in_child(partial(at_a_write, work, at))):
            return kills


def at_a_write(work, count):
    """Work until this process kills itself before its `count`-th call that writes to the disk."""
    kill_at(count)
    work()


def kill_at(count):
    """Make this process kill itself before its `count`-th call that writes to the disk."""
    left = [count]

    def killing(real):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in ("fsync", "replace", "mkdir", "rmdir", "unlink"):
        setattr(os, name, killing(getattr(os, name)))


def kill(kind, work, draw):
    """Kill the work in the given way until it is done, and return how often it was killed."""
    if kind == "writes":
        return at_every_write(work)
    if kind == "run-writes":
        return at_random_writes(work, draw)
    return at_random_moments(work, draw, 0.1 if kind == "moments" else 2.0)


def main(kind, folder, least, seed):
    """Kill trainings until `least` have been killed, and print the result of each."""
    # Programs compiled before the forks are available in all of them, without a message.
    without_notice()
    works = {
        "run-writes": run,
        "run-moments": run,
        "run-native": partial(run, engine="native"),
        "run-text": run_on_text,
    }
    work = works.get(kind, training)
    kills, trainings, uninterrupted = 0, 0, work(folder / "uninterrupted")
    while kills < least:
        place = folder / str(trainings)
        kills += kill(kind, partial(work, place), random.Random(seed + trainings))
        # It is done: resuming returns the result.
        assert work(place) == uninterrupted, f"training {trainings} became another"
        trainings += 1
    print(json.dumps({"kills": kills, "trainings": trainings}))


if __name__ == "__main__":
    with figures_left_blank():
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
