"""Run folders: everything that a training leaves behind, in files that hold nothing executable.

A folder holds ``settings.json`` (what it takes to repeat the run, and the size and hash of the files that are read
back), ``model.safetensors``, ``history.csv``, ``report.json`` and, where there is something to show,
``accuracy_by_length.csv`` and pictures. ``settings.json`` is written last: a folder without it is no whole run. One
that is under way holds ``unfinished.json`` and the state of its training in ``checkpoints``: see `Job`.
"""

from myrnn.runs._compare import RunComparison, compare_runs
from myrnn.runs._data import CLASSIFIER, CLASSIFIER_FOLDER, DATA_RUN, classifier_history, is_data_run
from myrnn.runs._job import (
    Job,
    begin_data_job,
    dropped_unless_saved,
    end_job,
    is_on_data,
    is_unfinished,
    is_whole,
    iterations_saved,
    load_data_job,
    load_job,
)
from myrnn.runs._load import Run, holds_own, load_run, load_weights
from myrnn.runs._names import run_names
from myrnn.runs._own import describe_model
from myrnn.runs._save import CHECKPOINTS, claim_folder, made_with, save_run, summarize, weight_bytes, write_run
from myrnn.runs._work import ANY_SHARE, Work, evaluated, run
from myrnn.runs.listing import ORDERS, STATES, RunListing, RunSummary, list_runs, printable

__all__ = [
    "ANY_SHARE",
    "CHECKPOINTS",
    "CLASSIFIER",
    "CLASSIFIER_FOLDER",
    "DATA_RUN",
    "ORDERS",
    "STATES",
    "Job",
    "Run",
    "RunComparison",
    "RunListing",
    "RunSummary",
    "Work",
    "begin_data_job",
    "claim_folder",
    "classifier_history",
    "compare_runs",
    "describe_model",
    "dropped_unless_saved",
    "end_job",
    "evaluated",
    "holds_own",
    "is_data_run",
    "is_on_data",
    "is_unfinished",
    "is_whole",
    "iterations_saved",
    "list_runs",
    "load_data_job",
    "load_job",
    "load_run",
    "load_weights",
    "made_with",
    "printable",
    "run",
    "run_names",
    "save_run",
    "summarize",
    "weight_bytes",
    "write_run",
]
