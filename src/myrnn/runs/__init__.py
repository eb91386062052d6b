"""Runs: an experiment is trained, tested, and saved in a folder without executable content.

A folder holds ``settings.json`` (everything needed to repeat the run, with the size and hash of the other files),
``model.safetensors``, ``history.csv``, ``report.json`` and, if there is something to show, tables and figures; a run on
data also has ``encoding.json``. ``settings.json`` is written last: a folder without it is not a complete run. A run in
progress has ``unfinished.json`` and the state of its training in ``checkpoints``.

`fitted` is a trained model for given sequences, `fitting` trains one, `reports` evaluates it, `data` reads the
sequences from files. `former`, `folder`, `model` and `origin` know the content of a folder, `job` the work to do;
`load` and `save` read and write folders, `work` does a whole run. `listing` and `compare` read several.
"""

from myrnn.runs.compare import ComparedRun, RunComparison, compare_runs, run_names
from myrnn.runs.data import GivenData, read_data
from myrnn.runs.fitted import Fitted, lost_sequences, scores_of, sequences_of
from myrnn.runs.fitting import fit, stopped_early, truncated_at
from myrnn.runs.folder import (
    CHECKPOINTS,
    INDEX,
    RUN,
    RUN_ON_DATA,
    UNFINISHED,
    claim_folder,
    dropped_unless_saved,
    end_job,
    has_run,
    is_data_run,
    is_on_data,
    is_unfinished,
    is_whole,
    iterations_saved,
    made_with,
    weight_bytes,
)
from myrnn.runs.job import Job, described, load_job
from myrnn.runs.listing import ORDERS, STATES, RunListing, RunSummary, list_runs
from myrnn.runs.load import Run, classes_of, holds_own, load_history, load_run
from myrnn.runs.model import describe_model
from myrnn.runs.reports import known_of, report_on, tests_table
from myrnn.runs.save import save_run, summarize, write_data_run, write_run
from myrnn.runs.work import ANY_SHARE, DataWork, TaskWork, begin, evaluated, go_on, run, tested_lengths

__all__ = [
    "ANY_SHARE",
    "CHECKPOINTS",
    "INDEX",
    "ORDERS",
    "RUN",
    "RUN_ON_DATA",
    "STATES",
    "UNFINISHED",
    "ComparedRun",
    "DataWork",
    "Fitted",
    "GivenData",
    "Job",
    "Run",
    "RunComparison",
    "RunListing",
    "RunSummary",
    "TaskWork",
    "begin",
    "claim_folder",
    "classes_of",
    "compare_runs",
    "describe_model",
    "described",
    "dropped_unless_saved",
    "end_job",
    "evaluated",
    "fit",
    "go_on",
    "has_run",
    "holds_own",
    "is_data_run",
    "is_on_data",
    "is_unfinished",
    "is_whole",
    "iterations_saved",
    "known_of",
    "list_runs",
    "load_history",
    "load_job",
    "load_run",
    "lost_sequences",
    "made_with",
    "read_data",
    "report_on",
    "run",
    "run_names",
    "save_run",
    "scores_of",
    "sequences_of",
    "stopped_early",
    "summarize",
    "tested_lengths",
    "tests_table",
    "truncated_at",
    "weight_bytes",
    "write_data_run",
    "write_run",
]
