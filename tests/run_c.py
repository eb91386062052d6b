"""Build an exported C file and run it."""

import ctypes
import subprocess

import numpy as np

FLAGS = "-std=c99 -Wall -Wextra -Werror -pedantic".split()


class Library:
    """The functions of an exported file, whose names begin with `net`."""

    def __init__(self, source, folder, *, outputs, per_step, options=("-O1",)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "net.c").write_text(source)
        # Memory that was never written to holds huge numbers.
        options = [*FLAGS, *options, "-ftrivial-auto-var-init=pattern", "-shared", "-fPIC"]
        subprocess.run(["gcc", *options, "net.c", "-o", "net.so", "-lm"], check=True, cwd=folder)
        self._functions = ctypes.CDLL(str(folder / "net.so"))
        self._outputs, self._per_step = outputs, per_step
        self.by_steps = hasattr(self._functions, "net_step")

    def steps(self, x):
        """Return the logits after each step, float32 (T, K); `x` is float32 (T, C), or tokens (T,)."""
        net = np.full(1_000_000, np.nan, np.float32)
        pointer, found = net.ctypes.data_as(ctypes.c_void_p), []
        self._functions.net_start(pointer)
        for row in x:
            given = ctypes.c_int(row) if x.ndim == 1 else row.ctypes.data_as(ctypes.c_void_p)
            assert self._functions.net_step(pointer, given) == 0
            found.append(np.full(self._outputs, np.nan, np.float32))
            self._functions.net_logits(pointer, found[-1].ctypes.data_as(ctypes.c_void_p))
        return np.array(found)

    def run(self, x):
        """Return the logits of a sequence, float32 (1, K) or (T, K)."""
        if self.by_steps:
            rows = self.steps(x)
            return rows if self._per_step else rows[-1:]
        x = np.ascontiguousarray(x, np.float32 if x.ndim == 2 else np.intc)
        work = np.full(self._functions.net_work(len(x)) + 1, np.nan, np.float32)
        logits = np.full((len(x) if self._per_step else 1, self._outputs), np.nan, np.float32)
        pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (x, work, logits))
        given, *others = pointers
        assert self._functions.net_run(given, len(x), *others) == 0
        # Nothing is written behind the memory.
        assert np.isnan(work[-1])
        return logits
