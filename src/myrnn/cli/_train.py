"""What ``myrnn train`` does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.cli import _show
from myrnn.cli._graph import write_graph
from myrnn.errors import InvalidArgument
from myrnn.evaluation import evaluate
from myrnn.runs import (
    KINDS,
    check_training,
    claim_folder,
    make_model,
    make_optimizer,
    save_run,
    setting_names,
    summarize,
    twice_as_long,
    weight_generator,
)
from myrnn.tasks import Palindromes, TwinHalves, make_task
from myrnn.training import TrainingStart, train


def train_and_save(
    *,
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    optimizer: Mapping[str, Any],
    training: Mapping[str, Any],
    preset: str | None,
    samples: int,
    out: Path | None,
    quiet: bool,
) -> None:
    """Train, evaluate, write the run folder and show the numbers."""
    for part, options in (("task", task), ("model", model), ("optimizer", optimizer)):
        _check_options(part, options)
    check_training(training)
    the_task = make_task(**task)
    the_model = make_model(
        **model, dim_input=the_task.dim_input, dim_output=the_task.dim_output, rng=weight_generator(training["seed"])
    )
    the_optimizer = make_optimizer(**optimizer, params=the_model.parameters)
    with claim_folder(out, the_task.name) as folder:
        if not quiet:
            if preset is not None:
                _show.named_rows(("preset", preset))
            _show.job(the_task, the_model, the_optimizer, training)
        clock = _Clock()
        history = train(the_model, the_task, the_optimizer, **training, hooks=[clock], progress=not quiet)
        trained = time.perf_counter()
        # The sequences of the next seed: others than it was trained on.
        seed = training["seed"] + 1
        longer = twice_as_long(the_task)
        report = evaluate(
            the_model,
            longer,
            samples,
            seed,
            lengths=longer.lengths,
            trained=history,
            engine=training["engine"],
            progress=not quiet,
        )
        numbers = summarize(
            the_model,
            history,
            report,
            training={
                "preparation_seconds": clock.begin - clock.made,
                **_speed("iterations", int(history.iteration[-1]), trained - clock.begin),
            },
            evaluation={
                "seed": seed,
                **_speed("sequences", int(report.total.sum()), time.perf_counter() - trained),
            },
        )
        save_run(
            folder,
            task=the_task,
            model=the_model,
            optimizer=the_optimizer,
            history=history,
            training=training,
            report=report,
            numbers=numbers,
            pictures={"graph.svg": lambda path: write_graph(the_model, _example(the_task, seed), path)},
        )
    if quiet:
        print(folder)
    else:
        _show.training(numbers)
        _show.accuracy(report, seed, numbers["evaluation"]["seconds"])
        _show.files(folder)


class _Clock:
    """The hook that tells the training itself from what comes before it, such as compiling the model."""

    def __init__(self) -> None:
        self.made = self.begin = time.perf_counter()

    def on_train_begin(self, start: TrainingStart) -> None:
        self.begin = time.perf_counter()


def _example(task: TwinHalves | Palindromes, seed: int) -> Any:
    """Return one sequence of about four symbols, whose graph fits on a page."""
    length = task.lengths[np.argmin(abs(task.lengths - 4))]
    return task.sample_lengths([length], np.random.default_rng(seed))


def _check_options(part: str, options: Mapping[str, Any]) -> None:
    name = _checks.one_of(f"--{part}", options["name"], tuple(KINDS[part]))
    for option in options:
        if option != "name" and option not in setting_names(KINDS[part][name]):
            raise InvalidArgument(f"--{option.replace('_', '-')} does not go with --{part} {name}")


def _speed(unit: str, count: int, seconds: float) -> dict[str, Any]:
    return {unit: count, "seconds": seconds, f"{unit}_per_second": count / seconds}
