"""A small study, and sweeps of it in separate processes."""

import os
import re
import signal
import subprocess
import sys

from processes import start

# Op by op, so that nothing is compiled; 24 runs of some hundredths of a second.
STUDY = """
[task]
pattern_length_max = 2
alphabet_size = 3

[model]
dim_recurrent = 3

[training]
iterations = 12
engine = "mygrad"
seed = "0:7"

[evaluation]
samples = 40

[[variants]]
name = "RNN"

[[variants]]
name = "GRU"
model = { name = "gru" }

[[variants]]
name = "wild"
optimizer = { name = "sgd", learning_rate = 1e30 }
"""
RUNS = 24
# The same after four networks whose loops are compiled.
NATIVE = STUDY.replace(
    "[[variants]]",
    '[[variants]]\nname = "native"\ntraining = { engine = "native", seed = "0:3", iterations = 200 }\n\n[[variants]]',
    1,
)
# The same before two runs that take hours, so that a signal never comes too late.
ENDLESS = (
    STUDY
    + """
[[variants]]
name = "endless"
training = { iterations = 100_000_000, seed = "0:1" }
"""
)
# A class that takes no generator, and a setting.
LEAKY = """
import mygrad as mg
import numpy as np
from mygrad.nnet.initializers import glorot_normal
from myrnn import dense


class Leaky:
    def __init__(self, dim_input, dim_recurrent, dim_output, leak: float = 0.5):
        self.leak = leak
        self.x2h = dense(dim_input, dim_recurrent, weight_initializer=glorot_normal)
        self.h2h = dense(dim_recurrent, dim_recurrent, weight_initializer=glorot_normal, bias=False)
        self.h2y = dense(dim_recurrent, dim_output, weight_initializer=glorot_normal)

    def __call__(self, x):
        h = np.zeros((1, len(self.h2h.weight)), dtype=np.float32)
        for x_t in x:
            h = (1 - self.leak) * h + self.leak * mg.tanh(self.x2h(x_t[np.newaxis]) + self.h2h(h))
        return self.h2y(h)

    @property
    def parameters(self):
        return self.x2h.parameters + self.h2h.parameters + self.h2y.parameters
"""
CLASS_STUDY = """
[task]
pattern_length_max = 2
alphabet_size = 3

[model]
name = "leaky.py:Leaky"
dim_recurrent = 3
leak = [0.2, 0.9]

[training]
iterations = 12
engine = "mygrad"
seed = "0:1"

[evaluation]
samples = 40
"""
TABLES = ("results.csv", "results.parquet", "lengths.csv", "lengths.parquet", "groups.csv")


def tables(folder):
    """Return the bytes of all tables of a sweep."""
    return {name: (folder / name).read_bytes() for name in TABLES}


class SweepProcess:
    """``myrnn sweep`` in a new process group; tests can wait for its progress."""

    def __init__(self, study, out, *options, env=None):
        command = [sys.executable, "-m", "myrnn", "sweep", str(study), "--out", str(out), *options]
        self._process = start(command, env={**os.environ, "PYTHONFAULTHANDLER": "1", **(env or {})})
        self.lines = []

    @property
    def pid(self):
        return self._process.pid

    def wait_for(self, done):
        """Wait until the progress shows this many runs; the process must not end before."""
        for line in self._process.stderr:
            self.lines.append(line)
            found = re.match(r"sweep (\d+)/", line)
            if found and int(found[1]) >= done:
                return
        raise AssertionError(f"the sweep ended before {done} runs were done: {''.join(self.lines)}")

    def kill(self):
        """Kill the process, but not its workers."""
        self._process.kill()
        self._end()

    def signal(self, number):
        """Send a signal to the whole group, as a terminal does on Ctrl-C, and a service manager."""
        os.killpg(self._process.pid, number)

    def end(self):
        """Wait for the end and return the exit code, the output, and the last line of errors."""
        out = self._end()
        return self._process.returncode, out, self.lines[-1].strip() if self.lines else ""

    def _end(self):
        try:
            out, err = self._process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # Python prints where each of its threads is
            raise AssertionError(f"the sweep does not end: {self._process.communicate(timeout=10)}") from None
        self.lines.extend(err.splitlines())
        return out


def is_alive(pid):
    """Return whether a process runs and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
