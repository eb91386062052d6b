"""What ``myrnn train`` does: a new run, or one that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myrnn.cli import _show
from myrnn.cli._settings import option_of, sections_of
from myrnn.cli._stop import told
from myrnn.cli._train_data import CHANGEABLE, FOR_RESUME_ON_DATA, resume_on_data
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import PARTS, Experiment, is_own, merged, setting_names
from myrnn.models import load_own
from myrnn.presets import find_preset
from myrnn.runs import (
    Job,
    Work,
    claim_folder,
    dropped_unless_saved,
    is_on_data,
    is_unfinished,
    is_whole,
    iterations_saved,
    load_job,
    load_run,
)
from myrnn.storage import FolderLock, clear_scratch

# Options that go with --resume: all others are those of the run.
FOR_RESUME = ("resume", "iterations", "on_divergence", "model", "checkpoint_every", "quiet")


def train_and_save(options: Mapping[str, Any]) -> None:
    """Train a new model, evaluate it, write the run folder and show the numbers.

    Parameters
    ----------
    options : mapping
        Those that were given on the command line.
    """
    experiment = experiment_of(options)
    task, model, optimizer = experiment.make()
    job, quiet = Job.of(experiment, task, model), bool(options.get("quiet"))
    own = experiment.model.name if is_own(experiment.model.name) else None
    with claim_folder(options.get("out"), experiment.task.name) as folder:
        with dropped_unless_saved(folder), told(folder, own, job.training.on_divergence):
            job.begin(folder, model)
            if not quiet:
                if "preset" in options:
                    _show.named_rows(("preset", _told_of_preset(options)))
                _show.job(job, task, model, optimizer)
            _do(Work(folder, job, task, model, optimizer, options.get("checkpoint_every"), not quiet))


def experiment_of(options: Mapping[str, Any]) -> Experiment:
    """Return the experiment that the options of a command line, by their names, ask for.

    They come before those of the file, or of the preset, that they begin with.
    """
    sections = sections_of(options)
    begin = find_preset(options.get("preset", "lesson")).sections
    if "config" in options:
        if "preset" in options:
            raise InvalidArgument("--preset does not go with --config: both say where the other options begin")
        # What is wrong in the file is said of the file.
        begin = Experiment.from_file(options["config"]).to_dict()
    experiment = merged(begin, sections)
    for part in PARTS:
        name = experiment[part].get("name", PARTS[part])
        for setting in sections[part]:
            if setting != "name" and setting not in setting_names(part, name):
                raise InvalidArgument(f"{option_of(setting)} does not go with --{part} {name}")
    return Experiment.read(experiment)


def _do(work: Work) -> None:
    """Do the work of a run, and show the numbers."""
    report, numbers = work.do()
    if not work.progress:
        print(work.folder)
        return
    _show.training(numbers)
    _show.accuracy(report, numbers["evaluation"]["seed"], numbers["evaluation"]["seconds"])
    _show.files(work.folder)


def _told_of_preset(options: Mapping[str, Any]) -> str:
    """Say in a line what the preset is, and which options are given instead of its own."""
    preset, given = find_preset(options["preset"]), sections_of(options)
    others = [
        f"{option_of(section if name == 'name' else name)} {given[section][name]}"
        for section, settings in preset.sections.items()
        for name in settings
        if name in given[section]
    ]
    return f"{preset.name}: {preset.summary}" + (f"; but with {' '.join(others)}" if others else "")


def resume(folder: Path, options: Mapping[str, Any]) -> None:
    """Go on with a run that was stopped, or give a whole one further iterations; without those nothing is left to do.

    Parameters
    ----------
    folder : Path
    options : mapping
        Those that were given on the command line.
    """
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}")
    on_data = is_on_data(folder)
    for name in options:
        if name not in (FOR_RESUME_ON_DATA if on_data else FOR_RESUME):
            raise InvalidArgument(f"{option_of(name)} does not go with --resume: a run keeps its settings")
    if on_data:
        with FolderLock(folder):
            clear_scratch(folder)
            if not is_unfinished(folder) and not set(options) & set(CHANGEABLE) and is_whole(folder):
                return _say_whole(folder, options)
            return resume_on_data(folder, options)
    with FolderLock(folder):
        clear_scratch(folder)
        if "iterations" not in options and is_whole(folder):
            return _say_whole(folder, options)
        kept = load_job(folder)
        asked = kept.training.iterations
        if not is_unfinished(folder) and options["iterations"] <= asked:
            if options["iterations"] == asked:
                return _say_whole(folder, options)
            raise InvalidArgument(f"{folder} is whole, with its {asked:,} iterations: ask for more with --iterations")
        job = kept.with_iterations(folder, options.get("iterations", asked))
        job = job.on_divergence(options.get("on_divergence", job.training.on_divergence))
        own = options.get("model")
        make = None if own is None else load_own(own).make
        if not is_unfinished(folder):
            # Whatever is wrong with it, or with the class, is to be said before it is changed.
            load_run(folder, model=make)
        try:
            model, optimizer = job.make(make)
        except InvalidArgument as error:
            raise InvalidArgument(f"{folder}: {error}") from None
        if job is not kept:
            job.begin(folder, model)
        task, quiet = job.experiment.task.make(), bool(options.get("quiet"))
        with told(folder, own, job.training.on_divergence):
            if not quiet:
                _show.job(job, task, model, optimizer, iterations_saved(folder) or 0)
            _do(Work(folder, job, task, model, optimizer, options.get("checkpoint_every"), not quiet))


def _say_whole(folder: Path, options: Mapping[str, Any]) -> None:
    if options.get("quiet"):
        print(folder)
    else:
        further = f"; {'--max-epochs' if is_on_data(folder) else '--iterations'} gives it more"
        _show.named_rows(("resumed", f"{folder} is whole: nothing is left to do{further}"))
