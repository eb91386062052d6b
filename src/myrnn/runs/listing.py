"""The runs of a folder at a glance, read from their small files; large files are only checked to exist."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment.parts import OWN
from myrnn.results import Result, Row, Shown, Table, text
from myrnn.runs.folder import CHECKPOINTS, REPORT, RUN, UNFINISHED, has_run, is_unfinished, parse_source
from myrnn.runs.model import LARGEST, checked_settings
from myrnn.storage import Stored, is_locked
from myrnn.training.checkpoint import latest_iteration

STATES = ("whole", "in progress", "interrupted", "unreadable")
ORDERS = ("name", "state", "task", "model", "iterations", "loss", "accuracy", "tested", "rmse", "made")
TIME = "%Y-%m-%d %H:%M:%S"
# Later times, after the year 2514, are invalid.
LATEST = 2.0**34
MOST_ITERATIONS = 2**63 - 1


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs. Unknown values are None.

    Attributes
    ----------
    name : str
        The name of the folder.
    state : {"whole", "in progress", "interrupted", "unreadable"}
        In progress while a process is working in the folder; interrupted if that process ended before the run was
        complete; unreadable if `fault` is set.
    task, model : str
        Such as ``"twin-halves 2-20"`` and ``"rnn 50"``.
    iterations, epochs : int
        A run on a task counts iterations, one on data epochs.
    loss, accuracy : float
        At the end, on the training sequences.
    tested : float
        The accuracy on other sequences: of the trained lengths, or of the test data; the lowest of several tests.
    rmse : float
        For a run that learned numbers or a series, instead of accuracy: the root mean squared error on the test data;
        the largest of several tests.
    made : float
        The time in seconds since 1970.
    fault : str
        The fault in one line.

    Examples
    --------
    >>> summary = RunSummary("parity", "whole", task="running-parity 1-20", model="rnn 50", accuracy=0.98)
    >>> summary.name, summary.accuracy, summary.loss
    ('parity', 0.98, None)
    """

    name: str
    state: str
    task: str | None = None
    model: str | None = None
    iterations: int | None = None
    epochs: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    tested: float | None = None
    rmse: float | None = None
    made: float | None = None
    fault: str | None = None

    def row(self) -> dict[str, Any]:
        """Return a plain record, with the time as text in the local time zone."""
        made = None if self.made is None else time.strftime(TIME, time.localtime(self.made))
        return {**asdict(self), "made": made}


@dataclass(frozen=True, repr=False)
class RunListing(Result, Sequence[RunSummary]):
    """The runs of a folder: a sequence of `RunSummary` in the order in which they were made.

    Attributes
    ----------
    folder : Path
    runs : tuple of RunSummary

    Examples
    --------
    >>> from pathlib import Path
    >>> from myrnn.runs import RunSummary
    >>> first, second = (RunSummary(name, "whole", accuracy=share) for name, share in (("a", 0.7), ("b", 0.9)))
    >>> runs = RunListing(Path("runs"), (first, second))
    >>> runs
    RunListing(2 runs in runs)
    >>> [run.name for run in runs.sorted("accuracy", reverse=True)], runs[1].accuracy
    (['b', 'a'], 0.9)
    """

    folder: Path
    runs: tuple[RunSummary, ...]

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.runs)

    def __getitem__(self, place: Any) -> Any:
        """Return a run, or a listing of several."""
        return RunListing(self.folder, self.runs[place]) if isinstance(place, slice) else self.runs[place]

    def __repr__(self) -> str:
        """Say how many there are, and how many of them are not complete."""
        partial = sum(run.state != "whole" for run in self.runs)
        ending = f", {partial:,} not whole" if partial else ""
        return f"RunListing({_checks.count_of(len(self), 'run')} in {self.folder}{ending})"

    def sorted(self, by: str, reverse: bool = False) -> RunListing:
        """Return the same runs in another order. Unknown values count as the worst.

        Parameters
        ----------
        by : str
            One of ``ORDERS``: an attribute of `RunSummary`.
        reverse : bool
            Whether to sort in descending order.
        """
        _checks.one_of("by", by, ORDERS)
        known = [run for run in self.runs if getattr(run, by) is not None]
        unknown = tuple(run for run in self.runs if getattr(run, by) is None)
        # Equal runs keep their order.
        order = tuple(sorted(known, key=lambda run: getattr(run, by), reverse=reverse))
        unknown_last = reverse != (by in ("loss", "rmse"))
        return RunListing(self.folder, order + unknown if unknown_last else unknown + order)

    def table(self) -> Table:
        """Return the attributes of every `RunSummary`, ``made`` as text; a terminal shows an abridged table."""
        rows = [run.row() for run in self.runs]
        shown = [
            # Characters that a terminal cannot show are escaped.
            Shown("run", lambda row: _checks.printable(row["name"]), is_number=False),
            text("task"),
            text("model"),
            Shown("iterations", _length),
            _number("loss", ".4f"),
            _number("accuracy", ".1%"),
            Shown("tested", _tested),
            Shown("made", _date, is_number=False),
        ]
        if any(run.state != "whole" for run in self.runs):
            shown.append(Shown("", lambda row: "" if row["state"] == "whole" else row["state"], is_number=False))
        return Table(
            "",
            {field.name: [row[field.name] for row in rows] for field in fields(RunSummary)},
            shown,
            styles=[None if run.state == "whole" else "yellow" for run in self.runs],
        )


def list_runs(folder: str | os.PathLike[str] = "runs") -> RunListing:
    """Return a summary of every run in a folder.

    Parameters
    ----------
    folder : path
        The folder that holds the run folders. Everything else in it is ignored.

    Returns
    -------
    RunListing

    Raises
    ------
    RunError
        When it is missing, not a folder, a run itself, or cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import Experiment, train
    >>> from myrnn.runs import save_run
    >>> task, model, optimizer = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=8").make()
    >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = save_run(Path(folder, "halves"), task=task, model=model, optimizer=optimizer, history=history)
    ...     runs = list_runs(folder)
    >>> [(run.name, run.state, run.task, run.model, run.iterations) for run in runs]
    [('halves', 'whole', 'twin-halves 2-4', 'rnn 8', 20)]
    """
    path = Path(folder)
    found = [summary for name in _folders(path) if (summary := summarize_run(path / name)) is not None]
    return RunListing(path, tuple(sorted(found, key=lambda run: (run.made or 0, run.name))))


def summarize_run(folder: Path) -> RunSummary | None:
    """Return the summary of a folder, or None if it is not a run."""
    name = folder.name
    try:
        if not has_run(folder):
            return _unfinished(folder)
        summary = _whole(name, RUN.read(folder, REPORT))
    except RunError as error:
        return RunSummary(name, "unreadable", fault=str(error))
    except OSError as error:
        return RunSummary(name, "unreadable", fault=f"{folder} cannot be read: {error.strerror or error}")
    # A complete run may have been given more iterations.
    return replace(summary, state=_state(folder)) if is_locked(folder) or is_unfinished(folder) else summary


def _folders(path: Path) -> list[str]:
    """Return the names of all subfolders."""
    try:
        if has_run(path):
            raise RunError(f"{path} is a run itself: give the folder above it")
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        raise RunError(f"there is no folder {path} with runs in it") from None
    except OSError as error:
        raise RunError(f"cannot read the folder {path}: {error.strerror or error}") from error


def _state(folder: Path) -> str:
    return "in progress" if is_locked(folder) else "interrupted"


def _unfinished(folder: Path) -> RunSummary | None:
    """Return the summary of a folder without an index: a run that is not complete, or None."""
    state = _state(folder)
    if is_unfinished(folder):
        stored = UNFINISHED.read(folder)
        source, model = _source_and_model(stored)
        done, made = latest_iteration(folder / CHECKPOINTS), _moment(stored.index.get("created"))
        return RunSummary(folder.name, state, source, model, iterations=done or None, made=made)
    if state == "in progress" or latest_iteration(folder):
        return RunSummary(folder.name, state, made=folder.stat().st_mtime)
    return None


def _whole(name: str, stored: Stored) -> RunSummary:
    source, model = _source_and_model(stored)
    report = stored.json(REPORT)
    training = _part(report, "training")
    tests = [found for found in _part(report, "tests").values() if isinstance(found, dict)]
    # The worst of several tests.
    shares = [test.get("accuracy_trained_lengths", test.get("accuracy")) for test in tests]
    tested = min((one for share in shares if (one := _finite(share)) is not None), default=None)
    rmse = max((one for test in tests if (one := _finite(test.get("rmse"))) is not None), default=None)
    if isinstance(classes := training.get("classes"), dict):
        source = f"{source}, {_checks.count_of(len(classes), 'class')}"
    return RunSummary(
        name,
        "whole",
        source,
        model,
        iterations=_count(training.get("iterations")),
        epochs=_count(training.get("epochs")),
        loss=_finite(training.get("loss")),
        accuracy=_finite(training.get("accuracy")),
        tested=tested,
        rmse=rmse,
        made=_moment(stored.index.get("created")),
    )


def _source_and_model(stored: Stored) -> tuple[str, str]:
    """Return short descriptions of the task or data and of the model in an index."""
    with stored.using():
        model = _model_name(checked_settings("model", stored.index.get("model")))
        return parse_source(stored.index).summary(), model


def _model_name(settings: Mapping[str, Any]) -> str:
    name = settings["class"] if settings["name"] == OWN else settings["name"]
    if settings.get("dim_recurrent") is None:
        return str(name)
    units, layers = (
        _checks.integer(key, settings.get(key, 1), minimum=1, maximum=LARGEST) for key in ("dim_recurrent", "layers")
    )
    return f"{name} {'' if layers == 1 else f'{layers}x'}{units}"


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    with suppress(InvalidArgument):
        return _checks.integer("", value, minimum=0, maximum=MOST_ITERATIONS)
    return None


def _finite(value: Any) -> float | None:
    with suppress(InvalidArgument):
        return _checks.real("", value)
    return None


def _moment(given: Any) -> float | None:
    """Return the time in an index, in seconds since 1970."""
    try:
        moment = datetime.fromisoformat(given).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment if 0 <= moment <= LATEST else None


def _length(row: Row) -> str:
    if row["iterations"] is None and row["epochs"] is not None:
        return f"{row['epochs']:,} ep."
    return _form(row["iterations"], ",")


def _tested(row: Row) -> str:
    return _form(row["tested"], ".1%") if row["rmse"] is None else f"RMSE {row['rmse']:.4g}"


def _date(row: Row) -> str:
    """Return a time of this year to the minute, an earlier one to the day."""
    if row["made"] is None:
        return ""
    then = time.strptime(row["made"], TIME)
    return time.strftime("%b %d %H:%M" if then.tm_year == time.localtime().tm_year else "%Y-%m-%d", then)


def _number(name: str, form: str) -> Shown:
    return Shown(name, lambda row: _form(row[name], form))


def _form(number: float | None, form: str) -> str:
    return "" if number is None else f"{number:{form}}"
