"""Runs: an experiment is trained, tested, and saved in a folder without executable content.

A folder holds ``settings.json`` (everything needed to repeat the run, with the size and hash of the other files),
``model.safetensors``, ``history.csv``, ``report.json`` and, if there is something to show, tables and figures; a run on
data also has ``encoding.json``. ``settings.json`` is written last: a folder without it is not a complete run. A run in
progress has ``unfinished.json`` and the state of its training in ``checkpoints``.

In the order in which an experiment passes through them: `files` reads its files; `one_step` has the errors of a network
of series; `reader` says what a model reads and what its outputs mean; `prepare` encodes the sequences and makes the
model; `reports` tests a model, and `trained` is one with what it reads; `training` trains it; `model` and `folder` know
the content of a folder; `saved` writes and reads a complete one; `work` does all of this for one run, and resumes it.
`listing` and `compare` read several.
"""

from myrnn.runs.compare import ComparedRun, RunComparison, compare_runs
from myrnn.runs.listing import RunListing, RunSummary, list_runs
from myrnn.runs.one_step import KeptErrors
from myrnn.runs.reader import DataReader, TaskReader
from myrnn.runs.reports import Tested
from myrnn.runs.saved import load_run, save_run
from myrnn.runs.trained import Run
from myrnn.runs.work import resume, run

__all__ = [
    "ComparedRun",
    "DataReader",
    "KeptErrors",
    "Run",
    "RunComparison",
    "RunListing",
    "RunSummary",
    "TaskReader",
    "Tested",
    "compare_runs",
    "list_runs",
    "load_run",
    "resume",
    "run",
    "save_run",
]
