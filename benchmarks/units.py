"""The words of the benchmark: units that are run, comparisons between them, and the works that gather both."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.jobs import Job

# What the table calls the project itself.
OURS = "MyRNN"


@dataclass(frozen=True)
class Unit:
    """One thing that is timed, in a process of its own.

    Attributes
    ----------
    name : str
        What the table calls it; unique within its work.
    peer, function : str
        ``benchmarks.peers.<peer>.<function>(job, **options)`` gets everything ready and returns a function that runs n
        iterations and returns the seconds they took.
    job : Job
    options : dict
        Further keyword arguments of that function.
    threads : int or None
        How many threads the numerical libraries may use; None leaves it to them.
    iterations : int
        The most iterations of one repeat.
    chunk : int
        A repeat is a multiple of so many iterations.
    whole : bool
        Whether a repeat is always all `iterations`; else as many of them as fill the time that a repeat is given.
    flops : float
        Floating-point operations of an iteration, where a comparison asks for rates.
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
    """Two units of a work side by side, and what is wanted of them.

    Attributes
    ----------
    kind : {"times", "share", "rate", "seconds"}
        "times": `unit` is so many times as fast as `other`. "share": `unit` takes so much of `other`'s time.
        "rate": `unit` does so much of the operations a second that `other` does. "seconds": `unit` takes so long.
    unit, other : str
        Names of units; "seconds" needs no other.
    wanted : float or None
        At least this for "times" and "rate", at most this for "share" and "seconds"; None only shows the figure.
    """

    kind: str
    unit: str
    other: str = ""
    wanted: float | None = None

    def holds(self, value: float) -> bool | None:
        """Say whether `value` is as wanted; None where nothing is wanted."""
        if self.wanted is None:
            return None
        return value <= self.wanted if self.kind in ("share", "seconds") else value >= self.wanted


@dataclass(frozen=True)
class Work:
    """Units that are run side by side, and how they compare.

    Attributes
    ----------
    group : str
        What ``--only`` selects by.
    title : str
        A line for the table.
    repeats : int or None
        The most repeats, where one is long.
    """

    group: str
    title: str
    units: tuple[Unit, ...]
    comparisons: tuple[Comparison, ...] = ()
    repeats: int | None = None
