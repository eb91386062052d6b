"""Describe the machine that the numbers were measured on."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("myrnn", "mygrad", "numpy", "scipy", "numba", "torch", "jax", "keras")


def describe() -> dict[str, str]:
    """Return the machine's name, cores, load, system, date and versions."""
    facts = {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "processor": processor(),
        "cores": str(_cores()),
        "load": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return {**facts, **{package: _version(package) for package in PACKAGES}}


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


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
