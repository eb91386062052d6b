"""Real clusters on the loopback: a Dask scheduler with worker processes, and a Ray."""

import re
import subprocess
import sys
from contextlib import contextmanager

from processes import kill, start


def started(command, says):
    """Start a process and wait for its first output; return both."""
    process = start(command, stderr=subprocess.STDOUT)
    for line in process.stdout:
        found = re.search(says, line)
        if found:
            return process, found
    raise AssertionError(f"{command} ended with {process.wait()} before it said {says}")


@contextmanager
def dask_cluster(workers=2):
    """Yield the address of a scheduler, and its worker processes."""
    quiet = ["--no-dashboard"]
    run = [sys.executable, "-m", "distributed.cli."]
    command = [run[0], run[1], run[2] + "dask_scheduler", "--host", "127.0.0.1", "--port", "0", *quiet]
    scheduler, found = started(command, r"Scheduler at:\s+(tcp://\S+)")
    processes = [scheduler]
    try:
        for _ in range(workers):
            command = [run[0], run[1], run[2] + "dask_worker", found[1], "--nthreads", "1", "--no-nanny", *quiet]
            processes.append(started(command, r"Registered to")[0])
        yield found[1], processes[1:]
    finally:
        for process in processes:
            kill(process)
