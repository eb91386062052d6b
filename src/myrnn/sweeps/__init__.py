"""Sweeps: many runs of one study, on all cores or a cluster; after any interruption the same call resumes.

In the order in which data pass through them: `choices` (the values of a setting) and `study` (a TOML file as points,
each an experiment), `run` (one of them, as a record), `metrics` (what runs are compared by), `pool` (the workers),
`log` (the records in an append-only file), `results` (tables in the order of the study, with the same bytes wherever
and in whatever order the runs were done), `figures` of them, and `folder` (everything in one call).
"""

from myrnn.sweeps import figures as figures  # it registers them
from myrnn.sweeps.folder import load_sweep, sweep
from myrnn.sweeps.results import SweepResults
from myrnn.sweeps.study import Point, Study, read_study

__all__ = [
    "Point",
    "Study",
    "SweepResults",
    "load_sweep",
    "read_study",
    "sweep",
]
