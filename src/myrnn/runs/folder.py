"""Run folders: their files, whether a run has begun, is in progress or complete, and the work that a folder holds."""

from __future__ import annotations

import os
import platform
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn._user_code import warn
from myrnn._version import __version__
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import Experiment
from myrnn.experiment.parts import OWN, PARTS
from myrnn.experiment.sources import MEMORY, SOURCES, Source, read_source, with_memory
from myrnn.models.model import parameter_names, parameters_of
from myrnn.runs.model import GIVEN, check_size, checked_settings, part_of_own
from myrnn.settings import settings_by_name
from myrnn.storage import FolderFormat, FolderLock, Stored, arrays_to_bytes, clear_scratch, empty_folder, used
from myrnn.training.checkpoint import keep_last_checkpoint, latest_iteration, load_checkpoint

INDEX, WEIGHTS, HISTORY, REPORT, ENCODING = (
    "settings.json",
    "model.safetensors",
    "history.csv",
    "report.json",
    "encoding.json",
)
# The packages that numbers depend on, besides MyRNN, Python and all settings. Numba and LLVM make the machine code;
# scikit-learn computes the weights of classes.
PACKAGES = ("scikit-learn", "numpy", "mygrad", "numba", "llvmlite")
# A folder has this file until its run is complete.
UNFINISHED = FolderFormat("myrnn unfinished run", 1, "unfinished run", "unfinished.json", {})
CHECKPOINTS = "checkpoints"
# No valid run comes near these sizes. A run on data also has the encoders of its sequences and targets.
RUN = FolderFormat(
    "myrnn run",
    1,
    "run",
    INDEX,
    {WEIGHTS: 4_000_000_000, HISTORY: 500_000_000, REPORT: 1_000_000_000, ENCODING: 1_000_000_000},
    optional=(ENCODING,),
)
HASHES = "data_files"


def has_run(folder: Path) -> bool:
    """Return whether a folder holds a run that was complete once; also while it is given more iterations."""
    return (folder / INDEX).exists()


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder holds a run that is not complete, or a complete one that is given more iterations."""
    return (folder / UNFINISHED.index).is_file()


def resumable_iteration(folder: Path) -> int | None:
    """Return the number of iterations in the last good checkpoint of a run, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            state = load_checkpoint(folder / CHECKPOINTS)
        except RunError:
            return None
    return None if state is None else state.iteration


def end_job(folder: Path) -> None:
    """Remove the temporary files of a complete run; the last checkpoint stays."""
    keep_last_checkpoint(folder / CHECKPOINTS)
    (folder / UNFINISHED.index).unlink(missing_ok=True)


@contextmanager
def claim_folder(folder: str | os.PathLike[str] | None, name: str) -> Iterator[Path]:
    """Lock an empty folder while a run is made; if that fails without a checkpoint, remove what it has begun."""
    claimed = _new_folder(name) if folder is None else empty_folder(folder, "run")
    try:
        with FolderLock(claimed):
            # Another process may have written into it before it was locked.
            clear_scratch(empty_folder(claimed, "run"))
            try:
                yield claimed
            except BaseException:
                if is_unfinished(claimed) and resumable_iteration(claimed) is None:
                    (claimed / UNFINISHED.index).unlink(missing_ok=True)
                    shutil.rmtree(claimed / CHECKPOINTS, ignore_errors=True)
                raise
    except BaseException:
        with suppress(OSError):  # it is not empty
            claimed.rmdir()
        raise


def _new_folder(name: str) -> Path:
    base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    suffixes = ("", *(f"-{count}" for count in range(2, 1000)))
    for suffix in suffixes:
        folder = base.with_name(base.name + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"cannot make the run folder {folder}: {error.strerror or error}") from error
        return folder
    raise RunError(f"there are {len(suffixes)} run folders called {base} already")


def made_with() -> dict[str, Any]:
    """Return the time, and the versions of the packages that numbers depend on."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    versions = {"myrnn": __version__, "python": platform.python_version(), **versions}
    return {"created": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "versions": versions}


def weight_bytes(model: Any) -> bytes:
    """Return a model's weights, by their names, as safetensors."""
    names = parameter_names(model)
    return arrays_to_bytes({name: p.data for name, p in zip(names, parameters_of(model), strict=True)})


# --- the work of a run, written before the first iteration and read to resume


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

    def with_memory(self, given: tuple[Any, Any] | None) -> Job:
        """Return the job with these sequences, if it is one of sequences in memory."""
        return replace(self, experiment=replace(self.experiment, source=with_memory(self.experiment.source, given)))

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
        return new


def load_job(folder: str | os.PathLike[str]) -> Job:
    """Read the job of a run that is in progress, or is complete and keeps the state of its training."""
    path = Path(folder)
    kind = _format_of(path)
    stored = kind.read(path)
    if kind is RUN and not latest_iteration(path / CHECKPOINTS):
        raise RunError(f"{path} is complete, and has no state of its training to resume from")
    if (path / CHECKPOINTS).is_symlink():
        stored.damaged(CHECKPOINTS, "is a link that leads out of the folder")
    with stored.using():
        job = parse_job(stored)
    _warn_of_versions(stored)
    if kind is RUN and job.model["name"] == OWN:
        # The logits of a complete run are those of the trained model, not of the initial weights.
        return replace(job, model={**job.model, "logits": None})
    return job


def source_of(folder: Path) -> Source:
    """Return the source of the sequences of a run, complete or not; raises RunError if its index is damaged."""
    kind = _format_of(folder)
    with used(folder, kind.index):
        return parse_source(kind.read_index(folder))


def _format_of(folder: Path) -> FolderFormat:
    return UNFINISHED if is_unfinished(folder) or not has_run(folder) else RUN


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
    else:
        settings_by_name(f"the {name}", section)
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
