"""The cost of checkpoints: ``python -m benchmarks.checkpoints`` trains with and without them in turns.

Every row is a training of a given number of seconds. The cost is the median, over the turns, of how much longer a
training with checkpoints took than the one without. Run nothing else on the machine at the same time, except with
``--processor``, which counts only processor seconds and times the writing to the disk separately.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

# Seconds of a training, and the number of turns.
LENGTHS = {1: 41, 5: 15, 60: 5}
# Units and batch: the lesson's network, and one whose state is a hundred times as large.
NETWORKS = {"50 units, 1 sequence": (50, 1), "512 units, 32 sequences": (512, 32)}


clock: Callable[[], float] = time.perf_counter


def train(units: int, batch: int, iterations: int, **options: Any) -> float:
    """Return the seconds of a training of the lesson's task."""
    import myrnn

    model = myrnn.RNN(10, units, 2, rng=0)
    begin = clock()
    myrnn.train(
        model,
        myrnn.tasks.TwinHalves(1, 10),
        myrnn.Adam(model.parameters),
        iterations,
        batch,
        engine="native",
        progress=False,
        gradient_clip=1.0,
        **options,
    )
    return clock() - begin


def disk(units: int, turns: int) -> float:
    """Return the wall-clock seconds to write one checkpoint."""
    import myrnn
    from myrnn.training.checkpoint import save_state
    from myrnn.training.loop import Training

    model = myrnn.RNN(10, units, 2, rng=0)
    training = Training(model, myrnn.tasks.TwinHalves(1, 10), myrnn.Adam(model.parameters), engine="native")
    training.run(500)
    found = []
    for number in range(turns):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            begin = time.perf_counter()
            save_state(Path(folder) / str(number), training.state())
            found.append(time.perf_counter() - begin)
    return median(found)


def turn(units: int, batch: int, iterations: int, swap: bool) -> tuple[float, float]:
    """Return the seconds of a training without checkpoints, and of one with."""
    found = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for option in (True, False) if swap else (False, True):
            found[option] = train(units, batch, iterations, **({"checkpoint": folder} if option else {}))
    return found[False], found[True]


def main() -> None:
    """Measure, and print a line for each network and length."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoints")
    parser.add_argument("--seconds", type=int, nargs="*", default=list(LENGTHS), choices=list(LENGTHS))
    parser.add_argument("--processor", action="store_true", help="count the processor's seconds alone")
    arguments = parser.parse_args()
    global clock
    clock = time.process_time if arguments.processor else time.perf_counter
    for name, (units, batch) in NETWORKS.items():
        train(units, batch, 500)
        short, longer = (min(train(units, batch, count) for _ in range(3)) for count in (500, 2_000))
        print(f"{name}: {1000 * disk(units, 41):.1f} ms to write one", flush=True)
        for seconds in arguments.seconds:
            iterations = max(500, round(1_500 * seconds / (longer - short)))
            turns = [turn(units, batch, iterations, bool(number % 2)) for number in range(LENGTHS[seconds])]
            costs = [with_them / without - 1 for without, with_them in turns]
            extra = median(with_them - without for without, with_them in turns)
            print(
                f"{name}: {iterations:,} iterations, {median(without for without, _ in turns):.2f} s without; "
                f"checkpoints cost {100 * median(costs):+.2f}% ({1000 * extra:+.1f} ms, median of {len(turns)}; "
                f"from {100 * min(costs):+.1f}% to {100 * max(costs):+.1f}%)",
                flush=True,
            )


if __name__ == "__main__":
    main()
