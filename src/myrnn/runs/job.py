"""The work of a run as its folder stores it: written before the first iteration, and read to resume."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import Experiment
from myrnn.experiment.parts import OWN, PARTS
from myrnn.experiment.sources import MEMORY, SOURCES, Source, read_source
from myrnn.runs.folder import CHECKPOINTS, RUN, UNFINISHED, WEIGHTS, has_run, is_unfinished, made_with
from myrnn.runs.model import GIVEN, LARGEST, check_size, checked_settings, part_of_own
from myrnn.storage import Stored, used
from myrnn.training import TrainingSettings as Training
from myrnn.training.checkpoint import saved_iteration

HASHES = "data_files"
# If the run continued another one, its name, the SHA-256 of its weights and its iterations.
CONTINUED_FROM = "continued_from"
ORIGIN = ("name", "weights", "iterations")
# If settings changed during the training: the arguments of each call of `train`.
PHASES = "phases"
PHASE = ("iterations", "learning_rate", "batch_size", "seed", "gradient_clip")


@dataclass(frozen=True)
class Job:
    """The work of a run: train a new model as an experiment says, and test it."""

    experiment: Experiment
    model: Mapping[str, Any]  # its description in the folder
    hashes: Mapping[str, str] = field(default_factory=dict)  # the SHA-256 of the files of the experiment, by their role

    def settings(self, folder: Path) -> dict[str, Any]:
        """Return the settings for the index in a folder, which has relative paths."""
        kept = self.experiment.with_paths(lambda file: os.path.relpath(Path(file).resolve(), folder.resolve()))
        hashes = {HASHES: dict(self.hashes)} if self.hashes else {}
        return {**made_with(), **kept.to_dict(), "model": dict(self.model), **hashes}

    def begin(self, folder: Path) -> None:
        """Write the job into a folder; raises RunError if that fails."""
        settings = self.settings(folder)
        if self.model["name"] != OWN:
            # As they were given, to compare them with those of an experiment that resumes it.
            settings["model"] |= self.experiment.model.to_dict()
        UNFINISHED.write(folder, settings, {})

    def changed(self, folder: Path, **asked: Any) -> Job:
        """Return the job with some training settings changed, for a run in progress or complete."""
        new = replace(self, experiment=self.experiment.with_training(**asked))
        source, before, now = self.experiment.source, self.experiment.length, new.experiment.length
        if now == before:
            return self if new.experiment == self.experiment else new
        if (schedule := self.experiment.training.schedule) != "constant":
            raise InvalidArgument(
                f"the learning rate of {folder} falls to 0 over its {_checks.count_of(before, source.unit)} "
                f"({schedule}): it cannot do {now:,}"
            )
        done = saved_iteration(folder / CHECKPOINTS)
        # How many iterations an epoch has is known when the data are read.
        if source.unit == "iteration" and now < done:
            raise InvalidArgument(f"iterations must be at least {done}, the number that {folder} has done, not {now}")
        return new


def load_job(folder: str | os.PathLike[str]) -> Job:
    """Read the job of a run that is in progress, or is complete and keeps the state of its training."""
    path = Path(folder)
    unfinished = is_unfinished(path)
    if unfinished or not has_run(path):
        stored = UNFINISHED.read(path)
    else:
        stored = RUN.read(path)
        if not saved_iteration(path / CHECKPOINTS):
            raise RunError(f"{path} is complete, and has no state of its training to resume from")
    if (path / CHECKPOINTS).is_symlink():
        stored.damaged(CHECKPOINTS, "is a link that leads out of the folder")
    with stored.using():
        job = parse_job(stored)
    _warn_of_versions(stored)
    if not unfinished and job.model["name"] == OWN:
        # The logits of a complete run are those of the trained model, not of the initial weights.
        return replace(job, model={**job.model, "logits": None})
    return job


def source_of(folder: Path) -> Source:
    """Return the source of the sequences of a run, complete or not; raises RunError if its index is damaged."""
    kind = UNFINISHED if is_unfinished(folder) or not has_run(folder) else RUN
    with used(folder, kind.index):
        return parse_source(kind.read_index(folder))


def parse_job(stored: Stored) -> Job:
    """Return the job in an index; raises InvalidArgument if it is not valid."""
    index = stored.index
    model = checked_settings("model", index.get("model"))
    whose = f"{WEIGHTS} has" if WEIGHTS in stored.content else "a run can hold"
    check_size(model, len(stored.content.get(WEIGHTS, b"")) or RUN.files[WEIGHTS], whose)
    # A user-defined class is checked when the model is made.
    of_user = model["name"] == OWN
    part: Any = part_of_own(model) if of_user else {name: value for name, value in model.items() if name not in GIVEN}
    sections = {name: index.get(name) for name in ("training", "evaluation")}
    if not all(isinstance(section, dict) for section in sections.values()):
        raise InvalidArgument("it has no settings of training and tests")
    source, optimizer = parse_source(index), checked_settings("optimizer", index.get("optimizer"))
    experiment = Experiment(source=source, model=part, optimizer=optimizer, **sections)
    source.check_sizes(model["dim_input"], model["dim_output"])
    hashes = index.get(HASHES, {})
    if not isinstance(hashes, dict) or not {*experiment.files, MEMORY} >= set(hashes):
        raise InvalidArgument(f"{HASHES} must be those of its files, not {_checks.shown(hashes)}")
    here = Path(os.path.relpath(stored.folder.resolve()))

    def found(file: str) -> str:
        return os.path.normpath(here / file)

    # The path of a class is from the working folder of its user.
    source, evaluation = source.with_paths(found), experiment.evaluation.with_paths(found)
    return Job(replace(experiment, source=source, evaluation=evaluation), model, hashes)


def parse_source(index: Mapping[str, Any]) -> Source:
    """Return the source of the sequences in an index; raises InvalidArgument if it is not valid."""
    given = {name: index[name] for name in SOURCES if name in index}
    if len(given) != 1:
        raise InvalidArgument(f"it must have one source of its sequences, {' or '.join(SOURCES)}")
    ((name, section),) = given.items()
    if name in PARTS:
        checked_settings(name, section)
    elif not isinstance(section, dict):
        raise InvalidArgument(f"the {name} must have settings by name, not {_checks.shown(section)}")
    return read_source(**given)


def _warn_of_versions(stored: Stored) -> None:
    then, now = stored.index.get("versions"), made_with()["versions"]
    if then != now and isinstance(then, dict):
        changed = next((name for name in now if then.get(name) != now[name]), None)
        if changed is not None:
            warn(
                f"{stored.folder} was begun with {changed} {_checks.shown(then.get(changed))}, this is {now[changed]}: "
                "it continues, but perhaps not bit for bit"
            )


def check_origin(given: Any) -> dict[str, Any]:
    """Return, checked, the name, the SHA-256 of the weights and the iterations of the run that this one continues."""
    if not isinstance(given, dict) or set(given) != set(ORIGIN):
        raise InvalidArgument(f"{CONTINUED_FROM} must have {', '.join(ORIGIN)}, not {_checks.shown(given)}")
    name, weights = given["name"], given["weights"]
    if not isinstance(name, str):
        raise InvalidArgument(f"the name in {CONTINUED_FROM} must be a text, not {_checks.shown(name)}")
    if not (isinstance(weights, str) and re.fullmatch("[0-9a-f]{64}", weights)):
        raise InvalidArgument(f"the weights in {CONTINUED_FROM} must be a SHA-256, not {_checks.shown(weights)}")
    _checks.integer("iterations", given["iterations"], minimum=0, maximum=LARGEST)
    return dict(given)


def check_phases(given: Any) -> list[dict[str, Any]]:
    """Return, checked, the phases of a training whose settings changed on the way, each as `train` takes them."""
    if not isinstance(given, list) or not all(isinstance(phase, dict) for phase in given):
        raise InvalidArgument(f"{PHASES} must be a list of objects, not {_checks.shown(given)}")
    for phase in given:
        if set(phase) != set(PHASE):
            raise InvalidArgument(f"every one of {PHASES} must have {', '.join(PHASE)}, not {_checks.shown(phase)}")
        _checks.real("learning_rate", phase["learning_rate"], minimum=0)
        Training.read({name: phase[name] for name in PHASE if name != "learning_rate"}, "a phase")
    return [dict(phase) for phase in given]
