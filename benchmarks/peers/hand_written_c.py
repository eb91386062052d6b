"""The lesson's job in C, by hand: ``benchmarks/lesson.c``, compiled with the machine's own compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.jobs import Job, Weights, first_weights
from benchmarks.peers import PeerMissing
from myrnn.sequences import Sequences

SOURCE = Path(__file__).resolve().parent.parent / "lesson.c"
LONGEST = 20

# The second is for compilers with another option for the machine's processor.
FLAGS = (("-O3", "-march=native", "-ffast-math"), ("-O3", "-mcpu=native", "-ffast-math"))


def compiler() -> str:
    """Return the path of the C compiler, or raise PeerMissing."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        if path := shutil.which(name):
            return path
    raise PeerMissing("there is no C compiler")


def build(folder: Path, unroll: bool = False) -> Path:
    """Compile the program into `folder` and return its path."""
    program = folder / "lesson"
    errors = ""
    for flags in FLAGS:
        extra = ("-funroll-loops",) if unroll else ()
        command = [compiler(), "-std=gnu11", *flags, *extra, str(SOURCE), "-o", str(program), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return program
        errors = done.stderr.strip()
    raise PeerMissing(f"the C compiler fails: {errors.splitlines()[0] if errors else 'it says nothing'}")


def training(job: Job, unroll: bool = False) -> Callable[[int], float]:
    """Time the loop of the program, with its draws and without its start."""
    folder = tempfile.TemporaryDirectory(prefix="myrnn-bench-")
    program = build(Path(folder.name), unroll)

    def run(iterations: int) -> float:
        # The folder exists as long as this function.
        assert folder
        output = subprocess.run([str(program), str(iterations)], capture_output=True, text=True, check=True).stdout
        return float(output.split()[0])

    run(1000)
    return run


def losses(job: Job, iterations: int, unroll: bool = False) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="myrnn-bench-") as folder:
        program = build(Path(folder), unroll)
        replay = Path(folder) / "replay.bin"
        replay.write_bytes(weights_as_bytes(first_weights(job)) + sequences_as_bytes(job.sequences(iterations)))
        command = [str(program), str(iterations), str(replay)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(line) for line in output.split()]


def weights_as_bytes(weights: Weights) -> bytes:
    """Return the weights of a simple RNN as the program reads them."""
    parts = (weights.x2h["h"], weights.bias["h"], weights.h2h["h"], weights.h2y.T, weights.bias_y)
    return b"".join(np.ascontiguousarray(part, dtype=np.float32).tobytes() for part in parts)


def sequences_as_bytes(sequences: Sequences) -> bytes:
    """Return the sequences as the program reads them: T, label and tokens, padded with zeros."""
    records = np.zeros((len(sequences), 2 + LONGEST), dtype=np.int32)
    records[:, 0], records[:, 1] = sequences.lengths, sequences.labels
    for index in range(len(sequences)):
        tokens = sequences.tokens(index)
        records[index, 2 : 2 + len(tokens)] = tokens
    return records.tobytes()
