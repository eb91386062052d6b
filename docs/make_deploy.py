"""Measure exported networks for the tables in ``deploy.md``: ``python docs/make_deploy.py``.

It needs gcc, Debian's ``gcc-arm-none-eabi`` and ``libnewlib-arm-none-eabi``, and ``pip install torch onnxruntime``.
Each step reads a token and computes the outputs, on one thread. Programs take turns, and the table has medians of
processor times, so other work on the machine hardly counts. The text between ``<!-- steps -->`` and ``<!-- end -->`` is
generated, as is that after ``<!-- sizes -->``.
"""

from __future__ import annotations

import ctypes
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.environment import enter

DOCUMENT = Path(__file__).parent / "how-to" / "deploy.md"
SYMBOLS, UNITS, CLASSES = 10, 50, 2
CELLS = ("RNN", "GRU", "LSTM")
TURNS, SECONDS, LONG = 15, 0.1, 2000
ARM = "-O2 -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 --specs=nosys.specs".split()

# What is timed in C: the number of steps comes from outside, so that nothing is computed beforehand.
LOOP = """
#include "net.c"

float many(int count) {
    struct net net;
    float logits[NET_OUTPUTS], sum = 0.0f;
    net_start(&net);
    for (int i = 0; i < count; i++) {
        net_step(&net, i % NET_INPUTS);
        net_logits(&net, logits);
        sum += logits[0];
    }
    return sum;
}
"""

# A program of a microcontroller; what it never calls is left out of it.
MAIN = """
#include "net.c"

volatile int token;
volatile float answer;

int main(void) {
    static struct net net;
    float logits[NET_OUTPUTS];
    net_start(&net);
    for (;;) {
        net_step(&net, token);
        net_logits(&net, logits);
        answer = logits[0];
    }
}
"""
EMPTY = "volatile int token;\nvolatile float answer;\nint main(void) { for (;;) answer = (float)token; }\n"


def in_c(folder: Path) -> Callable[[int], Any]:
    """Return a function that does so many steps in C."""
    (folder / "loop.c").write_text(LOOP)
    options = "-std=c99 -O2 -shared -fPIC".split()
    subprocess.run(["gcc", *options, "loop.c", "-o", "loop.so", "-lm"], cwd=folder, check=True)
    many = ctypes.CDLL(str(folder / "loop.so")).many
    many.restype = ctypes.c_float
    return many


def in_onnxruntime(file: Path, steps: int) -> Callable[[int], Any]:
    """Return a function that reads sequences of so many steps, until it has done a number of steps."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options)
    tokens = np.arange(steps) % SYMBOLS

    def many(count: int) -> None:
        for _ in range(count // steps):
            session.run(None, {"tokens": tokens})

    return many


def in_torch(cell: str) -> Callable[[int], Any]:
    """Return a function that does so many steps of PyTorch's cell and a linear layer."""
    import torch

    torch.set_num_threads(1)
    layer = getattr(torch.nn, f"{cell}Cell")(SYMBOLS, UNITS)
    readout, rows = torch.nn.Linear(UNITS, CLASSES), torch.eye(SYMBOLS)

    def many(count: int) -> None:
        with torch.inference_mode():
            state = None
            for i in range(count):
                state = layer(rows[i % SYMBOLS : i % SYMBOLS + 1], state)
                readout(state[0] if cell == "LSTM" else state)

    return many


def microseconds(programs: dict[str, Callable[[int], Any]]) -> dict[str, float]:
    """Return the time of a step of each program: the median of several turns."""
    counts = {}
    for name, many in programs.items():
        begin = time.process_time()
        many(LONG)
        counts[name] = max(LONG, int(SECONDS / (time.process_time() - begin) * LONG) // LONG * LONG)
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(TURNS):
        for name, many in programs.items():
            begin = time.process_time()
            many(counts[name])
            times[name].append((time.process_time() - begin) / counts[name] * 1e6)
    return {name: statistics.median(several) for name, several in times.items()}


def sizes(folder: Path) -> tuple[int, int, int]:
    """Return the bytes of flash, of a struct, and of the stack of a step on a Cortex-M4."""

    def text_and_data(source: str) -> int:
        (folder / "main.c").write_text(source)
        build = ["arm-none-eabi-gcc", *ARM, "main.c", "-o", "main.elf", "-lm"]
        # The linker warns that there is no operating system.
        subprocess.run(build, cwd=folder, check=True, capture_output=True)
        told = subprocess.run(
            ["arm-none-eabi-size", "main.elf"], cwd=folder, check=True, capture_output=True, text=True
        )
        text, data, *_ = told.stdout.splitlines()[1].split()
        return int(text) + int(data)

    flash = text_and_data(MAIN) - text_and_data(EMPTY)
    subprocess.run(["arm-none-eabi-gcc", *ARM, "-fstack-usage", "-c", "net.c"], cwd=folder, check=True)
    stack = re.search(r"net_step\t(\d+)", (folder / "net.su").read_text())
    floats = re.search(r"float states\[(\d+)\]", (folder / "net.c").read_text())
    assert stack and floats
    return flash, 4 * int(floats[1]), int(stack[1])


def main() -> None:
    """Measure all cells, and write both tables."""
    enter(threads=1)
    import myrnn

    steps = ["| a step, in microseconds | " + " | ".join(CELLS) + " |", "|---|" + "---|" * len(CELLS)]
    memory = ["| bytes on a Cortex-M4 | flash | state | stack of a step |", "|---|---|---|---|"]
    rows: dict[str, list[float]] = {}
    for cell in CELLS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            model = getattr(myrnn, cell)(SYMBOLS, UNITS, CLASSES, rng=0)
            for ending in ("c", "onnx"):
                myrnn.export(model, folder / f"net.{ending}", tokens=True)
            programs = {
                "C, `gcc -O2`": in_c(folder),
                "onnxruntime, one step a call": in_onnxruntime(folder / "net.onnx", 1),
                f"onnxruntime, {LONG:,} steps a call": in_onnxruntime(folder / "net.onnx", LONG),
                "PyTorch, one step a call": in_torch(cell),
            }
            for name, found in microseconds(programs).items():
                rows.setdefault(name, []).append(found)
            memory.append(f"| {cell} | " + " | ".join(f"{size:,}" for size in sizes(folder)) + " |")
    steps += [f"| {name} | " + " | ".join(f"{time:.2g}" for time in times) + " |" for name, times in rows.items()]
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in (("steps", steps), ("sizes", memory)):
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m, t=table: m[1] + "\n".join(t) + m[2], text, flags=re.S
        )
    DOCUMENT.write_text(text, encoding="utf-8")
    print("\n".join([*steps, "", *memory]))


if __name__ == "__main__":
    main()
