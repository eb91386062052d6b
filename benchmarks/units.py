"""The terms of the benchmark: units that are run, comparisons between them, and workloads that contain both."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.jobs import Job

# What the table calls the project itself.
OURS = "MyRNN"


@dataclass(frozen=True)
class Unit:
    """One program that is timed, in a separate process.

    Attributes
    ----------
    name : str
        Its name in the table; unique within its workload.
    peer, function : str
        ``benchmarks.peers.<peer>.<function>(job, **options)`` prepares everything and returns a function that runs n
        iterations and returns their seconds.
    job : Job
    options : dict
        Further keyword arguments of that function.
    threads : int or None
        The number of threads of the numerical libraries, and of the cores that they may use; None is their default.
    iterations : int
        The maximum number of iterations of one repeat.
    chunk : int
        The iterations of a repeat are a multiple of this.
    whole : bool
        Whether a repeat is always all `iterations`; otherwise as many as fit into the time of a repeat.
    flops : float
        Floating-point operations of an iteration, for comparisons of rates.
    agrees : bool
        Whether its losses must be those of MyGrad, from the same weights and sequences.
    """

    name: str
    peer: str
    job: Job
    function: str = "training"
    options: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None
    iterations: int = 100_000
    chunk: int = 1
    whole: bool = False
    flops: float = 0.0
    agrees: bool = True

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Unit:
        return cls(**{**record, "job": Job(**record["job"])})


@dataclass(frozen=True)
class Comparison:
    """Two units of a workload, and the expected ratio.

    Attributes
    ----------
    kind : {"times", "share", "rate", "seconds"}
        "times": how many times as fast as `other` `unit` is. "share": the time of `unit` divided by that of `other`.
        "rate": the operations per second of `unit` divided by those of `other`. "seconds": the time of `unit`.
    unit, other : str
        Names of units; "seconds" needs no other.
    wanted : float or None
        At least this for "times" and "rate", at most this for "share" and "seconds"; None only shows the value.
    """

    kind: str
    unit: str
    other: str = ""
    wanted: float | None = None

    def holds(self, value: float) -> bool | None:
        """Return whether `value` is as expected; None if nothing is expected."""
        if self.wanted is None:
            return None
        return value <= self.wanted if self.kind in ("share", "seconds") else value >= self.wanted


@dataclass(frozen=True)
class Work:
    """A workload: units that are run in turns, and their comparisons.

    Attributes
    ----------
    group : str
        The name for ``--only``.
    title : str
        A line for the table.
    repeats : int or None
        The maximum number of repeats, if one takes long.
    """

    group: str
    title: str
    units: tuple[Unit, ...]
    comparisons: tuple[Comparison, ...] = ()
    repeats: int | None = None
