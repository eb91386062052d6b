"""Processes of their own. Whatever happens to a test, those that it started end with it."""

import contextlib
import os
import signal
import subprocess

_started = []


def start(command, **options):
    """Start a process, as the leader of a group of its own and with text in its pipes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **{**pipes, **options})
    _started.append(process)
    return process


def kill(process):
    """Kill a process and all that it started, and wait for its end."""
    if process in _started:
        _started.remove(process)
    # Where nobody of its group is left, its number may be another's by now.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()


def kill_all():
    """Kill all that were started, with all that they started."""
    while _started:
        kill(_started[-1])
