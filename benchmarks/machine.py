"""Describe the machine that the numbers were measured on."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from importlib import metadata
from pathlib import Path

# They make OpenBLAS multiply as on another processor, which can take twice as long. Measured processes lack them.
CLEARED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
PACKAGES = ("myrnn", "mygrad", "numpy", "scipy", "numba", "torch", "jax", "keras")


def describe() -> dict[str, str]:
    """Return the machine's name, cores, load, system, date, versions, and variables that measured processes lack."""
    facts = {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "processor": processor(),
        "cores": str(cores()),
        "load": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        "cleared": ", ".join(name for name in CLEARED if name in os.environ),
        "python": platform.python_version(),
    }
    return {**facts, **{package: _version(package) for package in PACKAGES}}


def notes(facts: dict[str, str]) -> list[str]:
    """Return what a reader of the measurements should know about the machine."""
    cleared = f"Set here, but not in the measured processes: {facts['cleared']}." if facts["cleared"] else ""
    return [note for note in (busy(facts), cleared) if note]


def busy(facts: dict[str, str]) -> str:
    """Return a warning if the machine was busy when the benchmark began, otherwise an empty string."""
    if facts["load"] == "unknown" or float(facts["load"]) < 0.25 * int(facts["cores"]):
        return ""
    return (
        f"The machine was busy when this began (load {facts['load']} on {facts['cores']} cores): the figures, most of "
        "all those of two threads, are not to be trusted."
    )


def processor() -> str:
    """Return the name of the processor if the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
