"""Sweeps: many runs of one study, over all cores or a cluster, that nothing stops for good.

A study is read (`read_study`) and laid out as points (`points`), each the settings of one run. A pool of workers does
them, one thread each, and what they find is kept in a file that only grows. At the end that file becomes tables in the
order of the study: the same bytes wherever and in whatever order the runs were done.
"""

from myrnn.sweeps._backends import BACKENDS
from myrnn.sweeps._groups import checked_names
from myrnn.sweeps._points import Point, count_points, points
from myrnn.sweeps._results import SweepResults, load_sweep
from myrnn.sweeps._study import Study, read_study
from myrnn.sweeps._sweep import sweep
from myrnn.sweeps._table import METRICS, setting_names

__all__ = [
    "BACKENDS",
    "METRICS",
    "Point",
    "Study",
    "SweepResults",
    "checked_names",
    "count_points",
    "load_sweep",
    "points",
    "read_study",
    "setting_names",
    "sweep",
]
