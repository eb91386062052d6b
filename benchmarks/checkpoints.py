"""What checkpoints cost: ``python -m benchmarks.checkpoints`` trains with and without them in turns.

Every row is a training of so many seconds. The cost is the median, over the turns, of how much longer a training with
checkpoints took than the one without beside it. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from statistics import median
from typing import Any

# Seconds of a training, and how many turns.
LENGTHS = {1: 41, 5: 15, 60: 5}
# Units and batch: the lesson's network, and one whose state is a hundred times as large.
NETWORKS = {"50 units, 1 sequence": (50, 1), "512 units, 32 sequences": (512, 32)}


def train(units: int, batch: int, iterations: int, **options: Any) -> float:
    """Return the seconds of a training of the lesson's task."""
    import myrnn

    model = myrnn.RNN(10, units, 2, rng=0)
    begin = time.perf_counter()
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
    return time.perf_counter() - begin


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
    chosen = parser.parse_args().seconds
    for name, (units, batch) in NETWORKS.items():
        train(units, batch, 500)
        short, longer = (min(train(units, batch, count) for _ in range(3)) for count in (500, 2_000))
        for seconds in chosen:
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
