"""What ``myrnn train`` does: a new run, or one that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.cli import _show
from myrnn.cli._stop import told
from myrnn.cli._work import Work
from myrnn.errors import InvalidArgument, RunError
from myrnn.models import load_own, make_own
from myrnn.runs import (
    KINDS,
    Job,
    check_training,
    claim_folder,
    describe,
    describe_model,
    drop_job,
    is_data_run,
    is_unfinished,
    is_whole,
    iterations_saved,
    load_job,
    load_run,
    make_model,
    make_optimizer,
    setting_names,
    weight_generator,
)
from myrnn.storage import FolderLock, clear_scratch
from myrnn.tasks import make_task

# Options that go with --resume: all others are those of the run.
FOR_RESUME = ("resume", "iterations", "on_divergence", "model", "checkpoint_every", "quiet")


def train_and_save(
    *,
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    optimizer: Mapping[str, Any],
    training: Mapping[str, Any],
    preset: str | None,
    samples: int,
    out: Path | None,
    every: float | None = None,
    quiet: bool = False,
) -> None:
    """Train a new model, evaluate it, write the run folder and show the numbers."""
    for part, options in (("task", task), ("model", model), ("optimizer", optimizer)):
        _check_options(part, options)
    checked = check_training(training)
    the_task = make_task(**task)
    the_model = _new_model(model, (the_task.dim_input, the_task.dim_output), checked["seed"])
    the_optimizer = make_optimizer(**optimizer, params=the_model.parameters)
    described = describe_model(the_model, the_task, model["dim_recurrent"])
    job = Job(the_task, described, describe("optimizer", the_optimizer), checked, samples)
    own = model["name"] if _is_own(model["name"]) else None
    with claim_folder(out, the_task.name) as folder:
        try:
            job.begin(folder, the_model)
            with told(folder, own, checked["on_divergence"]):
                if not quiet:
                    if preset is not None:
                        _show.named_rows(("preset", preset))
                    _show.job(job, the_model, the_optimizer)
                Work(folder, job, the_model, the_optimizer, every, quiet).do()
        except BaseException:
            if is_unfinished(folder) and iterations_saved(folder) is None:
                drop_job(folder)
            raise


def resume(folder: Path, options: Mapping[str, Any]) -> None:
    """Go on with a run that was stopped, or give a whole one further iterations; without those nothing is left to do.

    Parameters
    ----------
    folder : Path
    options : mapping
        Those that were given on the command line.
    """
    for name in options:
        if name not in FOR_RESUME:
            raise InvalidArgument(f"--{name.replace('_', '-')} does not go with --resume: a run keeps its settings")
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}")
    with FolderLock(folder):
        clear_scratch(folder)
        if "iterations" not in options and is_whole(folder):
            return _say_whole(folder, options)
        begun = load_job(folder)
        asked = begun.training["iterations"]
        if not is_unfinished(folder) and options["iterations"] <= asked:
            if options["iterations"] == asked:
                return _say_whole(folder, options)
            raise InvalidArgument(f"{folder} is whole, with its {asked:,} iterations: ask for more with --iterations")
        job = begun.with_iterations(folder, options.get("iterations", asked))
        job = job.on_divergence(options.get("on_divergence", job.training["on_divergence"]))
        own = options.get("model")
        make = None if own is None else load_own(own).make
        if not is_unfinished(folder):
            # Whatever is wrong with it, or with the class, is to be said before it is changed.
            load_run(folder, model=make)
        try:
            model, optimizer = job.make(make)
        except InvalidArgument as error:
            raise InvalidArgument(f"{folder}: {error}") from None
        if job is not begun:
            job.begin(folder, model)
        quiet = bool(options.get("quiet"))
        with told(folder, own, job.training["on_divergence"]):
            if not quiet:
                _show.job(job, model, optimizer, iterations_saved(folder) or 0)
            Work(folder, job, model, optimizer, options.get("checkpoint_every"), quiet).do()


def _say_whole(folder: Path, options: Mapping[str, Any]) -> None:
    if options.get("quiet"):
        print(folder)
    else:
        further = "" if is_data_run(folder) else "; --iterations gives it more"
        _show.named_rows(("resumed", f"{folder} is whole: nothing is left to do{further}"))


def _check_options(part: str, options: Mapping[str, Any]) -> None:
    if part == "model" and _is_own(options["name"]):
        known: tuple[str, ...] = ("dim_recurrent",)
    else:
        name = _checks.one_of(f"--{part}", options["name"], tuple(KINDS[part]))
        known = setting_names(KINDS[part][name])
    for option in options:
        if option != "name" and option not in known:
            raise InvalidArgument(f"--{option.replace('_', '-')} does not go with --{part} {options['name']}")


def _is_own(name: str) -> bool:
    """Return whether a model is named by a file and a class in it."""
    return ":" in name or name.endswith(".py")


def _new_model(options: Mapping[str, Any], sizes: tuple[int, int], seed: int) -> Any:
    inputs, classes = sizes
    rng = weight_generator(seed)
    if _is_own(options["name"]):
        return make_own(load_own(options["name"]).make, (inputs, options["dim_recurrent"], classes), rng)
    return make_model(**options, dim_input=inputs, dim_output=classes, rng=rng)
