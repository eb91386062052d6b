"""``myrnn train`` begins a new run or resumes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn import _checks
from myrnn._signals import Stops
from myrnn.cli import show
from myrnn.cli.options import Quiet, given, option, option_of, sections_of
from myrnn.cli.stop import command, explained, explaining_stops, keeping
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment, TaskSource
from myrnn.experiment.experiment import merged, written_in
from myrnn.experiment.parts import is_own
from myrnn.experiment.sources import GivenSource
from myrnn.models.own import load_own
from myrnn.runs.folder import claim_folder, has_run, is_unfinished, source_of
from myrnn.runs.work import PendingRun, begin, resuming

# The options that may be combined with --resume: settings that a run accepts, and those that are not settings. All
# others are fixed by the run.
CHANGEABLE = ("iterations", "max_epochs", "early_stopping_patience", "on_divergence")
FOR_RESUME = (*CHANGEABLE, "resume", "model", "checkpoint_every", "quiet")


@dataclass(frozen=True)
class Preset:
    """Settings that belong together; all others keep their defaults."""

    name: str
    summary: str
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("lesson", "the lesson's own network and training, which are the defaults"),
        # docs/explanation/study-halves.md says how it was found and what else was tried.
        Preset(
            "best",
            "the best training found for the lesson's network",
            {
                "task": {"name": "twin-halves", "pattern_length_min": 1, "pattern_length_max": 10},
                "model": {"name": "rnn", "recurrent_init": "identity", "dim_recurrent": 50},
                "optimizer": {"name": "adam", "learning_rate": 0.002},
                "training": {"iterations": 62_500, "batch_size": 128, "schedule": "cosine"},
            },
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Return the preset called `name`, or raise an error that lists all."""
    return PRESETS[_checks.one_of("--preset", name, tuple(PRESETS))]


def train(
    context: typer.Context,
    preset: Annotated[
        str,
        option(
            "The settings that the other options change: lesson, the defaults shown here; or best, the best training "
            "found.",
            metavar="NAME",
        ),
    ] = "lesson",
    config: Annotated[
        Path | None,
        option("The settings that the other options change, in a .toml or .json file.", metavar="FILE"),
    ] = None,
    out: Annotated[Path | None, option("The run folder.  [default: runs/<task or file>-<time>]")] = None,
    checkpoint_every: Annotated[
        float | None,
        option(
            "How often to save the state of the training; 0: as often as possible.  [default: every 10 seconds, less "
            "often if that takes over 1% of the time]",
            metavar="SECONDS",
            min=0,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        option(
            "Resume a run that was stopped; or a complete one, with more --iterations (for data --max-epochs); or one "
            "that diverged, with --on-divergence restart.",
            metavar="RUN",
        ),
    ] = None,
    quiet: Quiet = False,
    **settings: Any,
) -> None:
    """Train a network, test it, and write a run folder.

    Without options, a simple recurrent network of 50 units learns in 100,000 iterations whether a sequence of digits
    consists of the same half twice. With --data, a network learns from the sequences of a file, and is tested on those
    of --test. --resume continues a training that was stopped.
    """
    options = given(context)
    if resume is None:
        train_and_save(options)
    else:
        go_on(resume, options)


def train_and_save(options: Mapping[str, Any]) -> None:
    """Train a new model, test it, write the run folder and show the results."""
    experiment = experiment_of(options)
    quiet = bool(options.get("quiet"))
    work = begin(experiment, every=options.get("checkpoint_every"), progress=not quiet)
    own = experiment.model.name if is_own(experiment.model.name) else None
    with claim_folder(options.get("out"), work.name) as folder:
        with explained(folder, own, experiment.training.on_divergence) as stops:
            work.job.begin(folder)
            if not quiet and "preset" in options:
                show.named_rows(("preset", _preset_line(options)))
            _do(work, folder, quiet, stops, own)


def experiment_of(options: Mapping[str, Any]) -> Experiment:
    """Return the experiment for the options of a command line, given by name.

    They take precedence over those of the file or preset.
    """
    begin: Mapping[str, Any] = find_preset(options.get("preset", "lesson")).sections
    if "config" in options:
        if "preset" in options:
            raise InvalidArgument(
                "--preset does not go with --config: each sets the values that the other options change"
            )
        begin = written_in(options["config"])
        if "data" in options and "task" in begin:
            raise InvalidArgument("--data does not go with the task in the file of --config: leave [task] out of it")
    source = GivenSource if "data" in options or "data" in begin else TaskSource
    if source is GivenSource and "preset" in options:
        raise InvalidArgument("--preset does not go with --data")
    return Experiment.read(merged(begin, sections_of(options, source)))


def _do(work: PendingRun, folder: Path, quiet: bool, stops: Stops, own: str | None) -> None:
    """Do the work of a run, and show the results. After an interrupt the best network so far is kept."""

    def held() -> str:
        if work.run is None:
            return ""
        history = work.run.history
        return f"{folder} holds the network of {history.unit} {history.step[work.run.best - 1]}"

    if not quiet:
        show.beginning(work)
        work.on_trained = show.training
    try:
        with keeping(lambda: held() if has_run(folder) else ""):
            work.do(folder)
    except KeyboardInterrupt:
        if stops.last is None or work.run is None:
            raise
    if quiet:
        print(folder)
    else:
        show.tests(work.tests)
        show.files(folder)
    untested = "" if work.is_tested else ", which was not tested"
    again = f"; resume with: {command(folder, own)}" if is_unfinished(folder) else ""
    stops.obey(f"{held()}{untested}{again}")


def _preset_line(options: Mapping[str, Any]) -> str:
    """Return a line about the preset, and the options that replace its settings."""
    preset, given = find_preset(options["preset"]), sections_of(options)
    others = [
        f"{option_of(section if name == 'name' else name)} {given[section][name]}"
        for section, settings in preset.sections.items()
        for name in settings
        if name in given[section]
    ]
    return f"{preset.name}: {preset.summary}" + (f"; but with {' '.join(others)}" if others else "")


def go_on(folder: Path, options: Mapping[str, Any]) -> None:
    """Resume a run that was stopped, or give a complete one more iterations or epochs."""
    quiet, own = bool(options.get("quiet")), options.get("model")
    for name in options:
        if name not in FOR_RESUME:
            raise InvalidArgument(f"{option_of(name)} does not go with --resume: a run keeps its settings")
    changes = {name: options[name] for name in CHANGEABLE if name in options}
    with explaining_stops(folder, own):
        make = None if own is None else load_own(own)
        every = options.get("checkpoint_every")
        with resuming(folder, changes, make, every=every, progress=not quiet) as work:
            if work is None:
                return _say_whole(folder, quiet)
            with explained(folder, own, work.job.experiment.training.on_divergence) as stops:
                _do(work, folder, quiet, stops, own)


def _say_whole(folder: Path, quiet: bool) -> None:
    if quiet:
        print(folder)
    else:
        more = option_of(source_of(folder).length)
        show.named_rows(("resumed", f"{folder} is complete: nothing is left to do; {more} gives it more"))
