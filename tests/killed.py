"""A training that is killed again and again, in processes of its own; `test_checkpoints.py` runs it.

The processes are forks of one that has a single thread and has imported all that they need: each takes but a moment.
"""

import json
import os
import random
import select
import signal
import sys
import traceback
from pathlib import Path

from myrnn.models import RNN
from myrnn.optimizers import Adam
from myrnn.tasks import TwinHalves
from myrnn.training import Checkpoint, train

ITERATIONS = 120


def training(folder=None, **hooks):
    """Train, or go on in the folder, and return all that must be the same in the end."""
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


def in_child(work):
    """Run `work` in a fork and return its process number; it ends with 0 when the work does."""
    child = os.fork()
    if child == 0:
        try:
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
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def at_random_moments(folder, seed):
    """Kill the training at random moments until it comes through, and return how often it was killed."""
    draw, kills = random.Random(seed), 0
    while killed_after(in_child(lambda: training(folder)), draw.uniform(0, 0.1)):
        kills += 1
    return kills


def at_every_write(folder):
    """Kill the training at every step of the writing of its checkpoints in turn, and return how often it was killed."""
    kills = 0
    while True:
        child = in_child(lambda at=kills % 12 + 1: (kill_at(at), training(folder)))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return kills
        kills += 1


def kill_at(count):
    """Let this process kill itself before its call number `count` of those that write to the disk."""
    left = [count + 12]

    def killing(real):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in ("fsync", "replace", "mkdir", "rmdir", "unlink"):
        setattr(os, name, killing(getattr(os, name)))


def main(kind, folder, least):
    """Kill trainings until `least` have been killed, and print what each became in the end."""
    kills, count, uninterrupted = 0, 0, training()
    while kills < least:
        place = folder / str(count)
        kills += at_every_write(place) if kind == "writes" else at_random_moments(place, int(kind) + count)
        # The training has come to its end: going on returns what it has become.
        assert training(place) == uninterrupted, f"training {count} became another"
        count += 1
    print(json.dumps({"kills": kills, "trainings": count}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
