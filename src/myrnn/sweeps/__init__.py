"""Sweeps: many runs of one study, over all cores or a cluster; whatever stops a sweep, the same call goes on.

In the order in which data pass through them: `choices` (what a setting may be) and `study` (a TOML file as points, each
an experiment), `run` (one of them, as a record), `pool` (the workers), `log` (the records in a file that only grows),
`results` (the tables in the order of the study: the same bytes wherever and in whatever order the runs were done), and
`folder` (all of it in one call).
"""

from myrnn.sweeps.folder import load_sweep, sweep
from myrnn.sweeps.pool import BACKENDS
from myrnn.sweeps.results import SweepResults, checked_names
from myrnn.sweeps.study import Point, Study, read_study

__all__ = [
    "BACKENDS",
    "Point",
    "Study",
    "SweepResults",
    "checked_names",
    "load_sweep",
    "read_study",
    "sweep",
]
